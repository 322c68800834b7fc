/* The server home in process: nothing leaves before its commit, a full disk and a failed sync, jobs and
 * their settles, stopping, the clock, the operations that the home answers itself. */
#include "adapters/store_sqlite.h"
#include "core/breaker.h"
#include "fault_vfs.h"
#include "server_rig.h"

static struct rig rig;

static bool sent_one(struct rig *one)
{
    return one->downstream.ended_count >= 1 && one->server->send_count == 0;
}

static bool sending_one(struct rig *one)
{
    return one->downstream.started_count >= 1;
}

static void next_hour(void)
{
    clock_manual_advance(&rig.clock, 3600000);
    rig_turn(&rig);
}

static struct str create(const char *name)
{
    return rig_ask(
        &rig, "POST", "/create-device", rig.customer,
        arena_printf(&rig.arena, "{\"device_name\":\"%s\",\"attributes\":{\"a\":1}}", name).s);
}

static struct str update(const char *name, int value)
{
    return rig_ask(
        &rig, "POST", "/update-device", rig.customer,
        arena_printf(&rig.arena, "{\"device_name\":\"%s\",\"attributes\":{\"a\":%d}}", name, value)
            .s);
}

/* P2, P4: the whole story through sockets, loop, store and pool. */
TEST(P2_three_updates_within_the_hour_become_one_send_at_the_next)
{
    rig_open(&rig, NULL, NULL);
    CHECK_HAS(create("Pump-7"), "HTTP/1.1 201 Created\r\n");
    for (int i = 2; i < 5; i++) {
        CHECK_HAS(update("pump-7", i), "HTTP/1.1 202 Accepted\r\n");
    }
    rig_turn(&rig);
    CHECK_INT(rig.downstream.started_count, 0);
    next_hour();
    rig_turn_until(&rig, sent_one);
    CHECK_STR(str_of(rig.downstream.body), "{\"a\":4}");
    rig_turn(&rig);
    next_hour();
    CHECK_INT(rig.downstream.started_count, 1);
    struct str shown = rig_ask(&rig, "GET", "/devices/Pump-7/updates/2", rig.customer, "");
    CHECK_HAS(shown, "\"state\":\"delivered\"");
    struct str metrics = rig_ask(&rig, "GET", "/metrics", STR_NONE, "");
    CHECK_HAS(metrics, "hourbell_updates_total{end=\"delivered\"} 3\n");
    CHECK_HAS(metrics, "hourbell_deliveries_total{end=\"delivered\"} 1\n");
    CHECK_HAS(metrics, "hourbell_attempts_total{class=\"effect\"} 1\n");
    CHECK_HAS(rig_log(), "\"event\":\"outcome\"");
    rig_close(&rig);
}

static bool told_one(struct rig *one)
{
    return one->server->metrics.tallies[TALLY_notices_told] > 0;
}

/* P8: the loop tells what it committed. */
TEST(P8_what_happened_is_told_after_the_commit)
{
    rig_open(&rig, NULL, NULL);
    CHECK_HAS(create("Pump-7"), " 201 ");
    clock_manual_advance(&rig.clock, 100);
    rig_turn_until(&rig, told_one);
    CHECK_HAS(rig_log(), "device.created");
    rig_close(&rig);
}

/* P5: rows of earlier calls of a turn are seen by later ones. */
TEST(P5_two_creates_of_one_folded_name_in_one_turn_make_one_device)
{
    struct rig_client client;
    rig_open(&rig, NULL, NULL);
    rig_connect(&rig, &client);
    static const char *const bodies[] = {"{\"device_name\":\"Pump-7\",\"attributes\":{\"a\":1}}",
                                         "{\"device_name\":\"PUMP-7\",\"attributes\":{\"a\":2}}",
                                         "{\"device_name\":\"x\",\"attributes\":{\"a\":null}}",
                                         "{\"device_name\":\"pump-7\",\"attributes\":{\"a\":1}}"};
    struct str all = STR_NONE;
    for (int i = 0; i < 4; i++) {
        all =
            arena_printf(&rig.arena,
                         STR_FMT "POST /create-device HTTP/1.1\r\nHost: a\r\n%s" STR_FMT
                                 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         STR_ARG(all), i == 3 ? "Connection: close\r\n" : "", STR_ARG(rig.customer),
                         strlen(bodies[i]), bodies[i]);
    }
    rig_send(&client, all);
    struct str got = rig_receive(&rig, &client);
    CHECK(str_starts(got, STR("HTTP/1.1 201 Created\r\n")));
    CHECK_HAS(got, "HTTP/1.1 409 Conflict\r\n");
    CHECK_HAS(got, "\"code\":\"device_exists\"");
    CHECK_HAS(got, "\"code\":\"null_in_document\""); /* a refused call in mid-turn */
    CHECK_HAS(got, "HTTP/1.1 200 OK\r\n");           /* the equal document */
    CHECK_INT(rig.server->metrics.requests[OPERATION_createDevice][1], 1);
    rig_close(&rig);
}

/* P1, P11 */
TEST(P1_a_full_disk_gives_503_to_the_whole_turn_and_loses_nothing)
{
    struct rig_client clients[2];
    rig_open(&rig, fault_vfs(), NULL);
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(rig_ask(&rig, "GET", "/readyz", STR_NONE, ""), "{\"status\":\"ready\"}");
    fault_disk.full = true;
    clock_manual_advance(
        &rig.clock, 1); /* SQLite writes no page that stays as it is: the ping needs a new time */
    /* a create and a read of one turn: the read may have seen the create */
    for (int i = 0; i < 2; i++) {
        const char *body = "{\"device_name\":\"Pump-8\"}";
        rig_connect(&rig, &clients[i]);
        rig_send(
            &clients[i],
            i == 0 ? arena_printf(
                         &rig.arena,
                         "POST /create-device HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" STR_FMT
                         "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         STR_ARG(rig.customer), strlen(body), body)
                   : arena_printf(
                         &rig.arena,
                         "GET /devices/Pump-8 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" STR_FMT
                         "\r\n",
                         STR_ARG(rig.customer)));
    }
    for (int i = 0; i < 2; i++) {
        struct str got = rig_receive(&rig, &clients[i]);
        CHECK_HAS(got, "HTTP/1.1 503 Service Unavailable\r\n");
        CHECK_HAS(got, "\"code\":\"store_busy\"");
        CHECK_HAS(got, "\r\nretry-after: ");
    }
    CHECK_HAS(rig_ask(&rig, "GET", "/readyz", STR_NONE, ""), "HTTP/1.1 503 ");
    CHECK_HAS(rig_ask(&rig, "GET", "/livez", STR_NONE, ""), "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(rig_log(), "\"event\":\"store_full\"");
    fault_disk.full = false;
    CHECK_HAS(rig_ask(&rig, "GET", "/readyz", STR_NONE, ""), "{\"status\":\"ready\"}");
    CHECK_HAS(rig_ask(&rig, "GET", "/devices/Pump-8", rig.customer, ""), " 404 ");
    CHECK_HAS(create("PUMP-8"), " 201 "); /* the name is free again */
    CHECK_HAS(rig_ask(&rig, "GET", "/devices/Pump-7", rig.customer, ""), " 200 OK");
    rig_close(&rig);
    fault_disk_erase();
}

/* Three creates in one write of the client, so of one turn. out: all answers. */
static struct str create_three(int round)
{
    struct rig_client client;
    struct str all = STR_NONE;
    for (int i = 0; i < 3; i++) {
        struct str body = arena_printf(&rig.arena, "{\"device_name\":\"round %d-%d\"}", round, i);
        all = arena_printf(&rig.arena,
                           STR_FMT
                           "POST /create-device HTTP/1.1\r\nHost: a\r\n%s" STR_FMT
                           "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" STR_FMT,
                           STR_ARG(all), i == 2 ? "Connection: close\r\n" : "",
                           STR_ARG(rig.customer), body.len, STR_ARG(body));
    }
    rig_connect(&rig, &client);
    rig_send(&client, all);
    return rig_receive(&rig, &client);
}

static int answers_of(struct str got, const char *line)
{
    int count = 0;
    for (const char *at = got.s;
         (at = memmem(at, got.len - (size_t)(at - got.s), line, strlen(line)));) {
        at += strlen(line);
        count++;
    }
    return count;
}

/* P1: the group commit fails in the middle of a batch, wherever that is. */
TEST(P1_a_disk_that_fills_up_at_any_write_of_a_turn_voids_the_whole_turn)
{
    int void_count = 0;
    rig_open(&rig, fault_vfs(), NULL);
    for (int n = 1; n < 40; n++) {
        fault_disk.fail_write_in = n;
        struct str got = create_three(n);
        int made = answers_of(got, "HTTP/1.1 201 "), busy = answers_of(got, "HTTP/1.1 503 ");
        CHECK(made + busy == 3 && (made == 0 || busy == 0));
        fault_disk.fail_write_in = 0;
        fault_disk.full = false;
        if (busy) {
            void_count++;
            CHECK_HAS(rig_ask(&rig, "GET", arena_printf(&rig.arena, "/devices/round%%20%d-0", n).s,
                              rig.customer, ""),
                      "HTTP/1.1 404 ");
            CHECK_INT(answers_of(create_three(n), "HTTP/1.1 201 "), 3);
        }
    }
    CHECK(void_count > 3);
    rig_close(&rig);
    fault_disk_erase();
}

TEST(P2_a_lease_of_a_void_turn_is_not_sent)
{
    rig_open(&rig, fault_vfs(), NULL);
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(update("Pump-7", 2), " 202 ");
    fault_disk.full = true;
    clock_manual_advance(&rig.clock, 3600000);
    for (int i = 0; i < 20; i++) {
        clock_manual_advance(&rig.clock, VOID_PAUSE_MS);
        rig_turn(&rig);
    }
    CHECK_INT(rig.downstream.started_count, 0);
    CHECK_INT(rig.server->send_count, 0);
    CHECK(rig.server->metrics.void_turn_count > 1);
    fault_disk.full = false;
    clock_manual_advance(&rig.clock, VOID_PAUSE_MS);
    rig_turn_until(&rig, sent_one);
    CHECK_INT(rig.downstream.started_count, 1);
    rig_close(&rig);
    fault_disk_erase();
}

TEST(a_rest_that_the_downstream_asks_for_is_seen_by_an_operator) /* P11 */
{
    rig_open(&rig, NULL, NULL);
    rig.downstream.class = OUTCOME_NO_EFFECT;
    rig.downstream.pause_ms = 600000;
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(update("Pump-7", 2), " 202 ");
    next_hour();
    rig_turn_until(&rig, sent_one);
    struct str log = rig_log();
    CHECK_HAS(log, "\"level\":\"warn\",\"event\":\"downstream_paused\",\"code\":\"TEST\","
                   "\"detail\":\"it asked for rest\",\"until\":\"20");
    struct str page = rig_ask(&rig, "GET", "/metrics", rig.operator, "");
    CHECK_HAS(page, "hourbell_downstream_paused_total 1\n");
    CHECK_HAS(page, "hourbell_downstream_blocked{by=\"downstream_paused\"} 1\n");
    CHECK_HAS(page, "hourbell_downstream_pause_seconds 600.000\n");
    rig_close(&rig);
}

static bool void_twice(struct rig *one)
{
    clock_manual_advance(&one->clock, VOID_PAUSE_MS);
    return one->server->metrics.void_turn_count >= 2;
}

TEST(P3_an_outcome_that_met_a_full_disk_is_settled_by_a_later_turn)
{
    rig_open(&rig, fault_vfs(), NULL);
    rig.downstream.hold = true;
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(update("Pump-7", 2), " 202 ");
    next_hour();
    rig_turn_until(&rig, sending_one);
    fault_disk.full = true;
    rig_let_go(&rig);
    rig_turn_until(&rig, void_twice);
    CHECK_INT(rig.server->send_count, 1); /* it still counts: the store does not know its end */
    fault_disk.full = false;
    clock_manual_advance(&rig.clock, VOID_PAUSE_MS);
    rig_turn_until(&rig, sent_one);
    CHECK_HAS(rig_ask(&rig, "GET", "/devices/Pump-7/updates/1", rig.customer, ""),
              "\"state\":\"delivered\"");
    CHECK_INT(rig.server->metrics.tallies[TALLY_attempts_effect], 1);
    rig_close(&rig);
    fault_disk_erase();
}

/* P1, P11: no fsync is ever retried. */
TEST(P11_a_failed_sync_ends_the_server_without_an_answer)
{
    struct rig_client client;
    int left = 0;
    const char *body = "{\"device_name\":\"Pump-7\"}";
    rig_open(&rig, fault_vfs(), NULL);
    fault_disk.fail_sync_in = 1;
    rig_connect(&rig, &client);
    rig_send(&client,
             arena_printf(&rig.arena,
                          "POST /create-device HTTP/1.1\r\nHost: a\r\n" STR_FMT
                          "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          STR_ARG(rig.customer), strlen(body), body));
    CHECK_RC(server_run(rig.server, &left), RC_BROKEN);
    CHECK_INT(rig_receive(&rig, &client).len, 0);
    CHECK_HAS(rig_log(), "\"event\":\"store_broken\"");
    _exit(0); /* as the program does: nothing is cleaned up */
}

/* P3 */
TEST(P3_a_send_that_nobody_settled_is_looked_at_after_its_lease)
{
    rig_open(&rig, NULL, NULL);
    rig.downstream.hold = true;
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(update("Pump-7", 2), " 202 ");
    next_hour();
    rig_turn_until(&rig, sending_one);
    rig_crash(&rig); /* its outcome is lost */
    rig_turn(&rig);
    CHECK_INT(rig.downstream.started_count, 1); /* the lease still holds */
    clock_manual_advance(&rig.clock, rig.settings.lease_ms + 1);
    rig.downstream.ended_count = 0;
    rig_turn_until(&rig, sent_one); /* the fake reads back: it is there */
    CHECK_HAS(rig_ask(&rig, "GET", "/devices/Pump-7/updates/1", rig.customer, ""),
              "\"state\":\"delivered\"");
    rig_close(&rig);
}

static void one_connection_slow_stop(struct settings *settings)
{
    settings->stop_delay_ms = 60000;
}

TEST(P11_readyz_fails_before_the_listener_closes)
{
    rig_open(&rig, NULL, one_connection_slow_stop);
    CHECK_HAS(rig_ask(&rig, "GET", "/readyz", STR_NONE, ""), " 200 OK");
    server_stop(rig.server);
    struct str got = rig_ask(&rig, "GET", "/readyz", STR_NONE, "");
    CHECK_HAS(got, "HTTP/1.1 503 ");
    CHECK_HAS(got, "\"code\":\"draining\"");
    CHECK_HAS(create("Pump-7"), " 201 "); /* still served */
    rig_close(&rig);
}

static bool draining(struct rig *one)
{
    return one->server->state == SERVER_DRAINS;
}

TEST(P1_what_comes_while_draining_is_told_so_and_running_sends_are_settled)
{
    struct rig_client client;
    rig_open(&rig, NULL, NULL);
    rig.downstream.hold = true;
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(update("Pump-7", 2), " 202 ");
    next_hour();
    rig_turn_until(&rig, sending_one);
    rig_connect(&rig, &client);
    rig_turn(&rig);
    server_stop(rig.server);
    rig_turn_until(&rig, draining);
    rig_send(&client, STR("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"));
    struct str got = rig_receive(&rig, &client);
    CHECK_HAS(got, "HTTP/1.1 503 ");
    CHECK_HAS(got, "\"code\":\"draining\"");
    CHECK_HAS(got, "\r\nconnection: close\r\n");
    CHECK_INT(rig.downstream.ended_count, 0);
    rig_close(&rig); /* lets it go; the server ends only after the settle */
    CHECK_INT(rig.downstream.ended_count, 1);
}

static void impatient(struct settings *settings)
{
    settings->stop_timeout_ms = 50;
}

TEST(P2_a_send_that_does_not_end_in_time_stays_leased)
{
    int left = 0;
    rig_open(&rig, NULL, impatient);
    rig.downstream.hold = true;
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(update("Pump-7", 2), " 202 ");
    next_hour();
    rig_turn_until(&rig, sending_one);
    server_stop(rig.server);
    CHECK_RC(server_run(rig.server, &left), RC_OK);
    CHECK_INT(left, 1);
    rig_crash(&rig);
    CHECK_HAS(rig_ask(&rig, "GET", "/devices/Pump-7/updates/1", rig.customer, ""),
              "\"state\":\"sending\"");
    rig_close(&rig);
}

/* P2 */
TEST(P2_a_step_of_the_clock_holds_all_starts_for_one_window)
{
    rig_open(&rig, NULL, NULL);
    rig_turn(&rig);
    CHECK_HAS(create("Pump-7"), " 201 ");
    CHECK_HAS(update("Pump-7", 2), " 202 ");
    clock_manual_step(&rig.clock, 2 * 3600000);
    for (int i = 0; i < 10; i++) {
        rig_turn(&rig);
    }
    CHECK_INT(rig.downstream.started_count, 0);
    CHECK_HAS(rig_log(), "\"event\":\"clock_step\"");
    CHECK_HAS(rig_ask(&rig, "GET", "/downstream", rig.operator, ""), "clock");
    clock_manual_advance(&rig.clock, 3600000);
    rig_turn_until(&rig, sent_one);
    rig_close(&rig);
}

TEST(P2_a_clock_that_went_back_while_the_server_was_away_holds_all_starts)
{
    rig_open(&rig, NULL, NULL);
    CHECK_HAS(create("Pump-7"), " 201 ");
    clock_manual_step(&rig.clock, -24 * 3600000);
    rig_crash(&rig);
    rig_turn(&rig);
    CHECK_HAS(rig_log(), "\"event\":\"clock_behind\"");
    CHECK_HAS(rig_ask(&rig, "GET", "/log", rig.operator, ""), "clock_hold");
    rig_close(&rig);
}

static void one_a_second(struct settings *settings)
{
    settings->downstream_rps = 1;
    settings->downstream_concurrency = 100;
}

TEST(no_more_sends_start_than_downstream_rps_allows)
{
    rig_open(&rig, NULL, one_a_second);
    for (int i = 0; i < 5; i++) {
        const char *name = arena_printf(&rig.arena, "Pump-%d", i).s;
        CHECK_HAS(create(name), " 201 ");
        CHECK_HAS(update(name, 2), " 202 ");
    }
    next_hour();
    rig_turn_until(&rig, sent_one);
    for (int i = 0; i < 10; i++) {
        rig_turn(&rig);
    }
    CHECK_INT(rig.downstream.started_count, 1);
    clock_manual_advance(&rig.clock, 1000);
    rig.downstream.ended_count = 0;
    rig_turn_until(&rig, sent_one);
    for (int i = 0; i < 10; i++) {
        rig_turn(&rig);
    }
    CHECK_INT(rig.downstream.started_count, 2);
    rig_close(&rig);
}

static bool all_sent(struct rig *one)
{
    return one->server->metrics.tallies[TALLY_deliveries_delivered] == 300;
}

static void three_at_once(struct settings *settings)
{
    settings->downstream_concurrency = 3;
}

TEST(P3_more_due_devices_than_one_plan_takes_are_all_sent)
{
    rig_open(&rig, NULL, three_at_once);
    for (int i = 0; i < 300; i++) {
        const char *name = arena_printf(&rig.arena, "Pump-%d", i).s;
        CHECK_HAS(create(name), " 201 ");
        CHECK_HAS(update(name, 2), " 202 ");
    }
    next_hour();
    rig_turn_until(&rig, all_sent);
    CHECK_INT(rig.downstream.started_count, 300);
    rig_close(&rig);
}

TEST(the_home_answers_head_options_and_its_own_operations)
{
    rig_open(&rig, NULL, NULL);
    struct str got = rig_ask(&rig, "HEAD", "/livez", STR_NONE, "");
    CHECK_HAS(got, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(got, "\r\ncontent-length: 17\r\n");
    CHECK_HAS_NOT(got, "live\"}");
    got = rig_ask(&rig, "OPTIONS", "/devices", rig.customer, "");
    CHECK_HAS(got, "HTTP/1.1 204 No Content\r\n");
    CHECK_HAS(got, "\r\nallow: GET, HEAD, OPTIONS\r\n");
    CHECK_HAS_NOT(got, "content-length");
    CHECK_HAS(rig_ask(&rig, "OPTIONS", "*", STR_NONE, ""), "HTTP/1.1 204 No Content\r\n");
    CHECK_HAS(rig_ask(&rig, "OPTIONS", "/devices", STR_NONE, ""), "HTTP/1.1 401 ");
    CHECK_HAS(rig_ask(&rig, "OPTIONS", "/nowhere", rig.customer, ""), "HTTP/1.1 404 ");
    CHECK_HAS(rig_ask(&rig, "PATCH", "/devices", rig.customer, ""), "HTTP/1.1 405 ");
    CHECK_HAS(rig_ask(&rig, "GET", "/openapi.json", STR_NONE, ""), "\"openapi\":\"3.1.0\"");
    CHECK_HAS(rig_ask(&rig, "GET", "/metrics", STR_NONE, ""), "hourbell_ready 1\n");
    rig_close(&rig);
}

static void behind_proxy(struct settings *settings)
{
    settings->behind_proxy = true;
}

/* P9: behind a proxy every peer seems to be this machine. */
TEST(P9_metrics_behind_a_proxy_need_an_operators_key)
{
    rig_open(&rig, NULL, behind_proxy);
    CHECK_HAS(rig_ask(&rig, "GET", "/metrics", STR_NONE, ""), " 401 ");
    CHECK_HAS(rig_ask(&rig, "GET", "/metrics", rig.customer, ""), " 403 ");
    CHECK_HAS(rig_ask(&rig, "GET", "/metrics", rig.operator, ""), " 200 OK");
    rig_close(&rig);
}

/* P9: nothing that speaks for others counts as this machine, nor a browser that was led here (DNS rebinding). */
TEST(P9_metrics_without_a_key_are_for_this_machine_itself)
{
    static const struct {
        const char *head;
        int status;
    } cases[] = {
        {"Host: localhost", 200},
        {"Host: LocalHost:8080", 200},
        {"Host: 127.0.0.1:8080", 200},
        {"Host: 127.1.2.3", 200},
        {"Host: [::1]:8080", 200},
        {"Host: [::1]", 200},
        {"Host: hourbell.example:8080", 401},
        {"Host: localhost.example", 401},
        {"Host: 127.0.0.1.example", 401},
        {"Host: 127.0.0.1-example.net", 401},
        {"Host: [::1%25x]", 400},
        {"Host: [::11]", 401},
        {"Host:", 401},
        {"Host: localhost\r\nForwarded: for=1.2.3.4", 401},
        {"Host: localhost\r\nX-Forwarded-For: 1.2.3.4", 401},
        {"Host: localhost\r\nX-Forwarded-Host: a", 401},
        {"Host: localhost\r\nX-Real-IP: 1.2.3.4", 401},
        {"Host: localhost\r\nVia: 1.1 a", 401},
    };
    rig_open(&rig, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig_client client;
        rig_connect(&rig, &client);
        rig_send(&client, arena_printf(&rig.arena,
                                       "GET /metrics HTTP/1.1\r\n%s\r\nConnection: close\r\n\r\n",
                                       cases[i].head));
        struct str got = rig_receive(&rig, &client);
        fprintf(stderr, "%s\n", cases[i].head);
        CHECK(str_starts(got, arena_printf(&rig.arena, "HTTP/1.1 %d ", cases[i].status)));
    }
    rig_close(&rig);
}

/* P1 */
TEST(P1_a_backup_of_the_running_server_is_whole)
{
    rig_open(&rig, NULL, NULL);
    for (int i = 0; i < 50; i++) {
        CHECK_HAS(create(arena_printf(&rig.arena, "Pump-%d", i).s), " 201 ");
    }
    CHECK_HAS(rig_ask(&rig, "POST", "/backups", rig.customer, ""), "HTTP/1.1 403 ");
    struct str got = rig_ask(&rig, "POST", "/backups", rig.operator, "");
    CHECK_HAS(got, "HTTP/1.1 201 Created\r\n");
    char folder[4096];
    CHECK(getcwd(folder, sizeof(folder)) != NULL);
    CHECK_HAS(got, arena_printf(&rig.arena, "\"path\":\"%s/backup/hourbell-", folder).s);
    CHECK_HAS(rig_ask(&rig, "GET", "/log", rig.operator, ""), "\"action\":\"backup\"");
    struct store_sqlite_options options = {.read_only = true};
    struct device device;
    struct call call;
    struct store *copy;
    const char *path = strstr(got.s, "\"path\":\"") + strlen("\"path\":\"");
    call_open(&call, &rig.arena, &rig.world);
    CHECK_RC(store_sqlite_open(&call,
                               arena_copy(&rig.arena, (struct str){path, strcspn(path, "\"")}).s,
                               &options, &copy),
             RC_OK);
    CHECK_RC(store_device_get(copy, &call, STR("live/pump-49"), &device), RC_OK);
    CHECK(device.version > 0);
    store_sqlite_close(copy);
    rig_close(&rig);
}

TEST(P9_the_log_has_one_line_per_request_and_no_secret)
{
    rig_open(&rig, NULL, NULL);
    CHECK_HAS(create("Pump\\u0007"), " 400 ");
    CHECK_HAS(create("Pump-7"), " 201 ");
    struct rig_client client;
    rig_connect(&rig, &client);
    rig_send(&client, STR("GET /\001 HTTP/1.1\r\nHost: a\r\n\r\n"));
    CHECK_HAS(rig_receive(&rig, &client), " 400 ");
    CHECK_HAS(rig_log(), "\"operation\":\"createDevice\",\"status\":201,");
    struct str log = rig_log();
    for (size_t i = 0; i < log.len; i++) {
        CHECK((unsigned char)log.s[i] >= ' ' || log.s[i] == '\n');
    }
    CHECK_HAS_NOT(rig_log(), "hb_live_");
    int lines = 0;
    for (const char *at = log.s;
         (at = memmem(at, log.len - (size_t)(at - log.s), "\"event\":\"request\"", 17)); at++) {
        lines++;
    }
    CHECK_INT(lines, 3);
    rig_close(&rig);
}

TEST(P1_what_had_come_before_the_stop_is_answered_and_half_a_request_stops_nobody)
{
    struct rig_client whole, half;
    const char *body = "{\"device_name\":\"Pump-7\"}";
    rig_open(&rig, NULL, NULL);
    rig_connect(&rig, &whole);
    rig_connect(&rig, &half);
    rig_send(&half, STR("POST /create-device HTTP/1.1\r\nHost: a\r\n"));
    rig_turn(&rig);
    rig_send(&whole, arena_printf(&rig.arena,
                                  "POST /create-device HTTP/1.1\r\nHost: a\r\n" STR_FMT
                                  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                                  STR_ARG(rig.customer), strlen(body), body));
    uv_check_cb turn = rig.server->check.check_cb;
    uv_check_stop(&rig.server->check);
    while (rig.server->request_count ==
           0) { /* read, and its turn not yet run: the stop comes in between */
        uv_run(&rig.server->loop, UV_RUN_NOWAIT);
    }
    server_stop(rig.server);
    while (rig.server->state != SERVER_DRAINS) {
        uv_run(&rig.server->loop, UV_RUN_NOWAIT);
    }
    uv_check_start(&rig.server->check, turn);
    struct str got = rig_receive(&rig, &whole);
    CHECK_HAS(got, "HTTP/1.1 201 Created\r\n");
    CHECK_HAS(got, "\r\nconnection: close\r\n");
    rig_close(&rig);
    close(half.fd);
}
