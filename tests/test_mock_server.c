/* The connector over a real socket: libcurl on one side, the mock on libuv on the other. What the in-process tests
 * prove with instructions is proven here with connections that really break. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "adapters/clock_system.h"
#include "adapters/downstream_mock.h"
#include "adapters/downstream_odata.h"
#include "adapters/http_client.h"
#include "adapters/sap_metadata.h"
#include "core/name.h"
#include "fixture_sap.h"
#include "home/mock_server.h"
#include "home/mock_state.h"
#include "test.h"

struct rig {
    struct clock_system clock;
    struct settings settings;
    struct world world;
    struct arena arena, server_arena;
    struct call call, server_call;
    struct sap_mock *sap;
    struct mock_server *server;
    uv_loop_t loop;
    uv_async_t stop;
    pthread_t thread;
    struct sap_config config;
    struct transport *transport;
    struct downstream *downstream;
    struct lease lease;
    int sends, port;
};

static void on_stop(uv_async_t *async)
{
    struct rig *rig = async->data;
    mock_server_close(rig->server);
    uv_close((uv_handle_t *)async, NULL);
}

static void *run_loop(void *context)
{
    uv_run(&((struct rig *)context)->loop, UV_RUN_DEFAULT);
    return NULL;
}

static const char *mapping_for(struct arena *arena, int port)
{
    char to[32];
    (void)snprintf(to, sizeof(to), "127.0.0.1:%d", port);
    char *mapping = fixture_sap_mapping("127.0.0.1:8181", to);
    return odata_v4 ? fixture_sap_as_v4(arena, str_of(mapping)).s : mapping;
}

static void rig_open_idle(struct rig *rig, int64_t idle_ms)
{
    *rig = (struct rig){0};
    clock_system_open(&rig->clock);
    settings_default(&rig->settings);
    rig->world = (struct world){.clock = &rig->clock.clock, .settings = &rig->settings};
    arena_open(&rig->arena, 0);
    arena_open(&rig->server_arena, 0);
    call_open(&rig->call, &rig->arena, &rig->world);
    call_open(&rig->server_call, &rig->server_arena, &rig->world);
    rig->sap = sap_mock_open(&(struct sap_mock_options){.control = true});
    CHECK_INT(uv_loop_init(&rig->loop), 0);
    struct mock_server_options options = {.world = &rig->world,
                                          .sap = rig->sap,
                                          .bind = STR("127.0.0.1:0"),
                                          .log_fd = -1,
                                          .idle_ms = idle_ms};
    CHECK_RC(mock_server_open(&rig->loop, &rig->server_call, &options, &rig->server), RC_OK);
    uv_async_init(&rig->loop, &rig->stop, on_stop);
    rig->stop.data = rig;
    rig->port = mock_server_port(rig->server);
    CHECK_INT(pthread_create(&rig->thread, NULL, run_loop, rig), 0);
    CHECK_RC(sap_config_read(&rig->call, &rig->arena, str_of(mapping_for(&rig->arena, rig->port)),
                             &rig->config),
             RC_OK);
    CHECK_RC(http_client_transport_open(&rig->call, &(struct http_client_options){0}, 2,
                                        &rig->transport),
             RC_OK);
    CHECK_RC(
        downstream_odata_open(&rig->call, &rig->config, rig->transport, NULL, 2, &rig->downstream),
        RC_OK);
}

static void rig_open(struct rig *rig)
{
    rig_open_idle(rig, 0);
}

/* Stop the mock: from here on its log may be read. */
static void rig_stop(struct rig *rig)
{
    uv_async_send(&rig->stop);
    pthread_join(rig->thread, NULL);
}

static void rig_close(struct rig *rig)
{
    mock_server_free(rig->server);
    CHECK_INT(uv_loop_close(&rig->loop), 0);
    downstream_odata_close(rig->downstream);
    http_client_transport_close(rig->transport);
    sap_mock_close(rig->sap);
    arena_close(&rig->arena);
    arena_close(&rig->server_arena);
}

static struct outcome deliver(struct rig *rig, const char *base, const char *target,
                              const char *ref)
{
    struct outcome outcome;
    int64_t now_ms = clock_now_ms(&rig->clock.clock);
    rig->lease = (struct lease){.mode = LEASE_SEND,
                                .realm = STR("live"),
                                .key = STR("live/pump"),
                                .device_name = STR("Pump"),
                                .base = str_of(base),
                                .ref = str_of(ref),
                                .trace_id = rig->call.id,
                                .lease_no = 1,
                                .first_sent_at_ms = now_ms,
                                .send_before_at_ms = now_ms + 60000};
    rig->lease.body.target = str_of(target);
    rig->lease.body.delivery = 1;
    rig->lease.body.repeat_id = arena_printf(&rig->arena, "%032x", ++rig->sends);
    CHECK_RC(downstream_encode(rig->downstream, &rig->call, STR("Pump"), rig->lease.base,
                               rig->lease.body.target, &rig->lease.body.bytes),
             RC_OK);
    downstream_send(rig->downstream, &rig->call, &rig->world, &rig->lease, &outcome);
    return outcome;
}

static enum outcome_class read_back(struct rig *rig)
{
    struct outcome outcome;
    rig->lease.mode = LEASE_READ_BACK;
    downstream_read_back(rig->downstream, &rig->call, &rig->world, &rig->lease, &outcome);
    return outcome.class;
}

static int effects(const struct rig *rig)
{
    int count = 0;
    for (size_t i = 0; i < sap_mock_log_count(rig->sap); i++) {
        count += sap_mock_log_at(rig->sap, i)->effect;
    }
    return count;
}

/* By the control path: the mock belongs to the loop's thread. */
static void fault(struct rig *rig, const char *json)
{
    struct http_client *client;
    struct inbound inbound;
    CHECK_RC(http_client_open(&rig->call, &(struct http_client_options){0}, &client), RC_OK);
    struct header json_type = {STR("content-type"), STR("application/json; charset=utf-8")};
    struct outbound outbound = {
        .method = STR("POST"),
        .headers = &json_type,
        .header_count = 1,
        .body = str_of(json),
        .url = arena_printf(&rig->arena, "http://127.0.0.1:%d/_mock/faults", rig->port)};
    http_client_perform(client, &rig->call, &rig->clock.clock, &outbound, &inbound);
    CHECK_INT(inbound.status, 200);
    http_client_close(client);
}

/* A connection on which these bytes were sent. */
static int connected(const struct rig *rig, const char *request)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)rig->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_INT(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    return fd;
}

/* The status of one request, as bytes. */
static int status_of(struct rig *rig, const char *request)
{
    char answer[512] = "";
    int fd = connected(rig, request);
    CHECK(recv(fd, answer, sizeof(answer) - 1, 0) > 12);
    close(fd);
    return (int)strtol(answer + strlen("HTTP/1.1 "), NULL, 10);
}

/* P9: whoever opens a web page on this machine does not let it drive the mock */
TEST(a_web_page_cannot_reach_the_control_paths)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"POST /_mock/expire HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Type: "
         "application/json\r\nContent-Length: 0\r\n\r\n",
         200},
        {"POST /_mock/expire HTTP/1.1\r\nHost: localhost\r\nContent-Type: Application/JSON ; "
         "charset=utf-8\r\nContent-Length: 0\r\n\r\n",
         200},
        {"POST /_mock/expire HTTP/1.1\r\nHost: [::1]:1\r\nOrigin: "
         "http://localhost:3000\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
         200},
        {"GET /_mock/log HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200},
        {"POST /_mock/reset HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", 415},
        {"POST /_mock/faults HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
         "text/plain\r\nContent-Length: 2\r\n\r\n{}",
         415},
        {"POST /_mock/faults HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
         "text/plain;application/json\r\nContent-Length: 2\r\n\r\n{}",
         415},
        {"GET /_mock/log HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
        {"GET /_mock/log HTTP/1.1\r\nHost: localhost.evil.example:8181\r\n\r\n", 403},
        {"GET /_mock/log HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\n\r\n", 403},
        {"POST /_mock/reset HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: "
         "https://evil.example\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n",
         403},
        {"DELETE /_mock/faults HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: "
         "http://127.0.0.1.evil.example\r\n\r\n",
         403},
    };
    struct rig rig;
    rig_open(&rig);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK_INT(status_of(&rig, cases[i].request), cases[i].status);
    }
    rig_stop(&rig);
    rig_close(&rig);
}

/* S1 C1 W1 W2 */
TEST_V2_V4(a_device_is_created_and_changed_over_a_socket)
{
    struct rig rig;
    rig_open(&rig);
    struct outcome outcome = deliver(&rig, "", "{\"description\":\"a\"}", "");
    CHECK_STR(outcome.code, "DONE");
    struct str ref = outcome.ref;
    CHECK_STR(ref, "10000000");
    CHECK_STR(deliver(&rig, "{\"description\":\"a\"}", "{\"description\":\"b\"}", ref.s).code,
              "DONE");
    CHECK_STR(deliver(&rig, "{\"description\":\"a\"}", "{\"description\":\"b\"}", ref.s).code,
              "ALREADY");
    rig_stop(&rig);
    CHECK_INT(effects(&rig), 2);
    CHECK_STR(sap_mock_log_at(rig.sap, 0)->method, "HEAD");
    rig_close(&rig);
}

/* T2 P2 */
TEST(connections_that_break_around_a_commit_lead_to_one_effect)
{
    static const struct {
        const char *fault, *code;
        enum outcome_class read_back;
    } cases[] = {
        {"{\"method\":\"PATCH\",\"drop\":\"after\"}", "DONE", OUTCOME_EFFECT},
        {"{\"method\":\"PATCH\",\"drop\":\"half\"}", "DONE", OUTCOME_EFFECT},
        {"{\"method\":\"PATCH\",\"drop\":\"before\"}", "DONE", OUTCOME_EFFECT},
        {"{\"method\":\"PATCH\",\"drop\":\"after\",\"times\":2}", "AMBIGUOUS", OUTCOME_EFFECT},
        {"{\"method\":\"PATCH\",\"drop\":\"before\",\"times\":2}", "AMBIGUOUS", OUTCOME_NO_EFFECT},
        {"{\"method\":\"PATCH\",\"delay_ms\":1000}", "AMBIGUOUS", OUTCOME_EFFECT},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig rig;
        rig_open(&rig);
        rig.settings.write_timeout_ms = 300;
        struct str ref = deliver(&rig, "", "{\"description\":\"a\"}", "").ref;
        fault(&rig, cases[i].fault);
        struct outcome outcome =
            deliver(&rig, "{\"description\":\"a\"}", "{\"description\":\"b\"}", ref.s);
        if (!str_is(outcome.code, cases[i].code)) {
            FAIL("case %zu is " STR_FMT ": " STR_FMT, i, STR_ARG(outcome.code),
                 STR_ARG(outcome.data));
        }
        CHECK_INT(read_back(&rig), cases[i].read_back);
        rig_stop(&rig);
        CHECK_INT(effects(&rig), cases[i].read_back == OUTCOME_EFFECT ? 2 : 1);
        rig_close(&rig);
    }
}

/* T3: SAP closes a connection that rests */
TEST(a_connection_that_rests_is_closed)
{
    struct rig rig;
    char bytes[4096];
    ssize_t got, all = 0;
    rig_open_idle(&rig, 200);
    int fd = connected(&rig, "GET " SAP_MOCK_ROOT "/ HTTP/1.1\r\nHost: x\r\n\r\n");
    while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
        all += got;
    }
    CHECK_INT(got, 0); /* closed, in order, by the mock */
    CHECK(all > 100);
    close(fd);
    rig_stop(&rig);
    CHECK_INT(sap_mock_log_count(rig.sap), 1);
    rig_close(&rig);
}

/* T2: the length says that bytes are missing, so nothing was asked */
TEST(a_write_whose_body_is_incomplete_is_never_executed)
{
    struct rig rig;
    rig_open(&rig);
    int fd = connected(&rig, "POST " SAP_MOCK_ROOT
                             "/Equipment HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n"
                             "{\"EquipmentCategory\":\"M\"}");
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    char bytes[512];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0) {}
    close(fd);
    struct outcome outcome = deliver(&rig, "", "{\"description\":\"a\"}", "");
    CHECK_STR(outcome.code, "DONE");
    rig_stop(&rig);
    CHECK_INT(sap_mock_row_count(rig.sap), 1);
    for (size_t i = 0; i < sap_mock_log_count(rig.sap); i++) {
        CHECK(sap_mock_log_at(rig.sap, i)->status < 300);
    }
    rig_close(&rig);
}

/* T3: the mock closes the resting connection right after it took the request */
TEST(a_create_on_a_connection_that_dies_is_searched_for)
{
    struct rig rig;
    rig_open(&rig);
    fault(&rig, "[{\"method\":\"POST\",\"match\":\"/sap/\",\"drop\":\"after\"}]");
    struct outcome outcome = deliver(&rig, "", "{\"description\":\"a\"}", "");
    CHECK_STR(outcome.code, "AMBIGUOUS");
    CHECK(!outcome.re_sent);
    CHECK_INT(read_back(&rig), OUTCOME_EFFECT);
    rig_stop(&rig);
    CHECK_INT(effects(&rig), 1);
    rig_close(&rig);
}

TEST(metadata_of_the_mock_fits_the_mapping_of_the_demonstration)
{
    struct rig rig;
    struct outcome outcome;
    struct sap_findings findings;
    struct str xml;
    rig_open(&rig);
    downstream_odata_metadata(rig.downstream, &rig.call, &rig.world, &outcome, &xml);
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    CHECK_RC(sap_metadata_compare(&rig.config, &rig.call, xml, &findings), RC_OK);
    CHECK_INT(findings.count, 0);
    rig_stop(&rig);
    rig_close(&rig);
}

struct sender {
    struct rig *rig;
    int number, done;
};

/* Ten devices of its own, each created and changed. */
static void *send_ten(void *context)
{
    struct sender *sender = context;
    struct rig *rig = sender->rig;
    for (int i = 0; i < 10; i++) {
        struct arena arena;
        struct call call;
        struct outcome outcome = {0};
        arena_open(&arena, 0);
        call_open(&call, &arena, &rig->world);
        int64_t now_ms = clock_now_ms(&rig->clock.clock);
        struct str name = arena_printf(&arena, "pump %d-%d", sender->number, i);
        struct lease lease = {.mode = LEASE_SEND,
                              .realm = STR("live"),
                              .key = name,
                              .device_name = name,
                              .trace_id = call.id,
                              .lease_no = 1,
                              .first_sent_at_ms = now_ms,
                              .send_before_at_ms = now_ms + 60000};
        lease.body =
            (struct body){.delivery = 1,
                          .target = STR("{\"description\":\"a\"}"),
                          .repeat_id = arena_printf(&arena, "%016x%016x", sender->number, i)};
        if (downstream_encode(rig->downstream, &call, name, lease.base, lease.body.target,
                              &lease.body.bytes) == RC_OK) {
            downstream_send(rig->downstream, &call, &rig->world, &lease, &outcome);
        }
        sender->done += outcome.class == OUTCOME_EFFECT;
        arena_close(&arena);
    }
    return NULL;
}

/* S4: more senders than slots: each session stays with its own cookies */
TEST(parallel_senders_share_slots_and_never_mix_their_sessions)
{
    struct rig rig;
    struct sender senders[6];
    pthread_t threads[6];
    rig_open(&rig);
    for (int i = 0; i < 6; i++) {
        senders[i] = (struct sender){.rig = &rig, .number = i};
        CHECK_INT(pthread_create(&threads[i], NULL, send_ten, &senders[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(senders[i].done, 10);
    }
    rig_stop(&rig);
    CHECK_INT(effects(&rig), 60);
    int sessions = 0, refused = 0;
    for (size_t i = 0; i < sap_mock_log_count(rig.sap); i++) {
        sessions += str_is(sap_mock_log_at(rig.sap, i)->method, "HEAD");
        refused += sap_mock_log_at(rig.sap, i)->status == 403;
    }
    CHECK(sessions >= 1 && sessions <= 2); /* one per slot, no more */
    CHECK_INT(refused, 0);
    rig_close(&rig);
}

TEST(the_rows_of_the_mock_survive_a_stop_and_a_broken_file_is_told)
{
    struct arena arena;
    struct call call = {.arena = &arena};
    struct header values[] = {{STR("YY1_DEVICE_NAME"), STR("a")},
                              {STR("EquipmentName"), STR("b \"c\"")}};
    arena_open(&arena, 0);
    struct sap_mock *sap = sap_mock_open(&(struct sap_mock_options){0});
    CHECK_RC(mock_state_load(&call, sap, "rows"), RC_OK); /* there is none yet */
    sap_mock_row_put(sap, 1, STR(""), values, 2);
    sap_mock_row_put(sap, 1, STR("X-1"), values, 1);
    CHECK_RC(mock_state_save(&call, sap, "rows"), RC_OK);
    struct sap_mock *again = sap_mock_open(&(struct sap_mock_options){0});
    CHECK_RC(mock_state_load(&call, again, "rows"), RC_OK);
    CHECK_INT(sap_mock_row_count(again), 2);
    for (size_t i = 0; i < 2; i++) {
        CHECK_BYTES(sap_mock_row_json(again, &arena, i), sap_mock_row_json(sap, &arena, i));
    }
    sap_mock_row_put(again, 1, STR(""), values, 2); /* no number is given twice */
    CHECK_STR(sap_mock_row_value(again, 2, "Equipment"), "10000001");
    FILE *file = fopen("rows", "ae");
    CHECK(file && fputs("{\"Nope\":1}\n", file) >= 0 && fclose(file) == 0);
    CHECK_RC(mock_state_load(&call, again, "rows"), RC_INVALID);
    CHECK_HAS(str_of(call.why), "line 3");
    CHECK_RC(mock_state_save(&call, sap, "no/such/folder"), RC_BROKEN);
    sap_mock_close(sap);
    sap_mock_close(again);
    arena_close(&arena);
}
