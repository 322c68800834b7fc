/* The turn. Order: the clock first (it may hold all starts), then what came back from the pool, then
 * requests, then whom to wake and what to tell, then retention; one commit; and only then anything leaves.
 *   committed       answers out, counts added, wake-ups learned, jobs started
 *   RC_BUSY         the store had no room: every request of the turn gets 503, reads too (they may have seen
 *                   rows of the turn), nothing is sent, what came back is settled by a later turn
 *   RC_BROKEN       nobody knows what holds: no answer, the process ends */
#include "adapters/store_sqlite.h"
#include "base/diag.h"
#include "core/breaker.h"
#include "core/plan.h"
#include "home/server_inner.h"

/* --- pieces -------------------------------------------------------------------------------------------- */

struct call *turn_call(struct server *server, struct turn *turn)
{
    struct call *call = arena_new(&server->arena, struct call);
    assert(turn->own_count < TURN_OWN_MAX);
    call_open(call, &server->arena, server->world);
    call->now_ms = server->now_ms;
    turn->own[turn->own_count++] = call;
    return call;
}

/* Wall time against boot time: a step holds all starts for one window (P2). */
static void look_at_clock(struct server *server, struct turn *turn)
{
    server->now_ms = clock_now_ms(server->world->clock);
    server->boot_ms = clock_boot_ms(server->world->clock);
    int64_t offset_ms = server->now_ms - server->boot_ms;
    int64_t step_ms = offset_ms - server->clock_offset_ms;
    if (server->clock_known && (step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS)) {
        server->clock_pending = true;
        server->clock_why =
            step_ms > 0 ? STR("the clock was set forward") : STR("the clock was set back");
        server->plan_at_ms = server->notice_at_ms = server->expire_at_ms = server->now_ms;
        server->retry_at_ms = 0;
        DIAG(DIAG_WARN, "clock_step", DIAG_NUMBER("step_ms", step_ms));
    }
    server->clock_offset_ms = offset_ms;
    server->clock_known = true;
    if (server->clock_pending) {
        struct call *call = turn_call(server, turn);
        turn->clock_written =
            breaker_clock(server->world, call, STR("live"), server->clock_why) == RC_OK;
        if (!turn->clock_written) { /* still pending: no lease until it is written down */
            DIAG(DIAG_ERROR, "clock_hold_failed", DIAG_TEXT("why", str_of(call->why)));
        }
    }
}

static void answer_requests(struct server *server, struct turn *turn)
{
    uint64_t until_ns = 0;
    size_t bytes = 0;
    for (int i = 0; i < TURN_REQUESTS_MAX && server->requests; i++) {
        struct http_exchange *exchange = server->requests;
        if (i % 16 == 15) {
            uint64_t now_ns = uv_hrtime();
            until_ns = until_ns ? until_ns : now_ns + TURN_REQUESTS_NS;
            if (now_ns > until_ns || bytes > TURN_ANSWERS_BYTES) {
                break;
            }
        }
        server->requests = exchange->next;
        server->request_count--;
        if (!server->requests) {
            server->requests_end = &server->requests;
        }
        answer_request(server, exchange);
        if (exchange->response.status == 0) {
            continue; /* a backup: answered later */
        }
        bytes += exchange->response.body.len;
        exchange->next = NULL;
        *turn->answered_end = exchange;
        turn->answered_end = &exchange->next;
    }
}

static void expire(struct server *server, struct turn *turn)
{
    int count = 0;
    if (server->now_ms < server->expire_at_ms || server->state != SERVER_RUNS) {
        return;
    }
    struct call *call = turn_call(server, turn);
    int64_t history_ms = server->settings->history_days * INT64_C(86400000);
    if (store_expire(server->world->store, call, history_ms, EXPIRE_LIMIT, &count) == RC_OK) {
        server->expire_at_ms =
            server->now_ms + (count == EXPIRE_LIMIT ? EXPIRE_AGAIN_MS : EXPIRE_EVERY_MS);
    } else {
        server->expire_at_ms = server->now_ms + EXPIRE_EVERY_MS;
        DIAG(DIAG_ERROR, "expire_failed", DIAG_TEXT("why", str_of(call->why)));
    }
}

/* --- the end of a turn ------------------------------------------------------------------------------------ */

static void learn(struct server *server, const struct call *call)
{
    metrics_tallies(&server->metrics, call->tallies);
    work_wakes(server, call);
    if (call->noticed) {
        server->notice_at_ms = min_i64(server->notice_at_ms, server->now_ms + NOTICE_PAUSE_MS);
    }
}

static void turn_holds(struct server *server, struct turn *turn)
{
    server->store_full = false;
    server->clock_pending &= !turn->clock_written;
    work_settled(server, turn);
    for (int i = 0; i < turn->own_count; i++) {
        learn(server, turn->own[i]);
    }
    while (turn->answered) {
        struct http_exchange *exchange = turn->answered;
        turn->answered = exchange->next;
        learn(server, &exchange->call);
        http_server_answer(exchange);
    }
    work_start(server, &turn->leased);
    work_start(server, &turn->told);
}

static void turn_void(struct server *server, struct turn *turn)
{
    if (!server->store_full) {
        DIAG(DIAG_ERROR, "store_full",
             DIAG_TEXT("why", STR("the store cannot write; requests get 503 until it can")));
    }
    server->store_full = true;
    server->metrics.void_turn_count++;
    work_void(server, turn);
    while (turn->answered) {
        struct http_exchange *exchange = turn->answered;
        turn->answered = exchange->next;
        answer_busy(exchange);
        http_server_answer(exchange);
    }
}

bool server_has_something(const struct server *server)
{
    return server->requests || server->ended.first || server->backup.state == BACKUP_DONE ||
           uv_is_active((const uv_handle_t *)&server->idle);
}

void server_turn(struct server *server)
{
    struct turn turn = {0};
    if (server->broken || server->state == SERVER_ENDS || !server_has_something(server)) {
        return;
    }
    uint64_t started_ns = uv_hrtime();
    turn.answered_end = &turn.answered;
    arena_reset(&server->arena);
    store_sqlite_turn_begin(server->world->store);
    look_at_clock(server, &turn);
    work_settle(server, &turn);
    backup_answer(server, &turn);
    answer_requests(server, &turn);
    if (!server->clock_pending || turn.clock_written) {
        work_plan(server, &turn);
        work_lease(server, &turn);
    }
    work_notices(server, &turn);
    expire(server, &turn);
    struct call end = {.arena = &server->arena};
    switch (store_sqlite_turn_commit(server->world->store, &end)) {
    case RC_OK:
        turn_holds(server, &turn);
        break;
    case RC_BUSY:
        turn_void(server, &turn);
        break;
    default:
        DIAG(DIAG_ERROR, "store_broken", DIAG_TEXT("why", str_of(end.why)));
        server->broken = true;
        uv_stop(&server->loop);
        return;
    }
    metrics_turn(&server->metrics, uv_hrtime() - started_ns);
    http_server_flush(server->http);
}

/* --- between turns ------------------------------------------------------------------------------------------ */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* it is there so that the loop does not sleep */
}

static void on_timer(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uv_idle_start(&server->idle,
                  on_idle); /* timers run before the sockets are read: the turn comes after */
}

/* The earliest moment at which something is to be done without anybody asking. */
static int64_t next_look_ms(const struct server *server)
{
    int64_t at_ms = server->now_ms + min_i64(server->settings->plan_interval_ms, 5000);
    if (server->state == SERVER_RUNS) {
        bool room = server->send_count < server->settings->downstream_concurrency;
        at_ms = min_i64(at_ms, server->expire_at_ms);
        if (room && server->due_count > 0) {
            at_ms = min_i64(at_ms, work_next_send_ms(server));
        } else if (room) {
            at_ms = min_i64(at_ms, work_plan_ms(server));
        }
    }
    if (server->state < SERVER_DRAINS &&
        server->notice_count < server->settings->webhook_concurrency) {
        at_ms = min_i64(at_ms, server->notice_at_ms);
    }
    if (server->ended.first) {
        at_ms = min_i64(at_ms, server->retry_at_ms);
    }
    return max_i64(at_ms, server->retry_at_ms);
}

void server_rest(struct server *server)
{
    if (server->broken || server->state == SERVER_ENDS) {
        uv_idle_stop(&server->idle);
        uv_timer_stop(&server->timer);
        return;
    }
    bool more = backup_step(server);
    int64_t wait_ms = next_look_ms(server) - server->now_ms;
    if (server->state == SERVER_DRAINS) {
        wait_ms = min_i64(wait_ms, server->drain_turns < DRAIN_TURNS ? 0 : DRAIN_LOOK_MS);
    }
    if (more || server->requests || wait_ms <= 0) {
        uv_idle_start(&server->idle, on_idle);
        return;
    }
    uv_idle_stop(&server->idle);
    uv_timer_start(&server->timer, on_timer, (uint64_t)wait_ms, 0);
}
