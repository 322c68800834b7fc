/* Life of the server home: opening, the first look at clock and store, signals, stopping in order.
 * Stopping: readyz fails and no lease is taken from the first moment; after stop_delay the listener
 * closes, what was read is answered and new requests get 503 draining; running sends are settled or,
 * after stop_timeout, stay leased; then the loop ends and the store's owner closes it. */
#include "home/server.h"

#include <signal.h>

#include "adapters/store_sqlite.h"
#include "base/diag.h"
#include "core/breaker.h"
#include "home/log_lines.h"
#include "home/server_inner.h"

int server_pool_size(const struct settings *settings)
{
    return (int)min_i64(settings->downstream_concurrency + settings->webhook_concurrency + 1, 1024);
}

static void on_request(void *context, struct http_exchange *exchange)
{
    struct server *server = context;
    exchange->next = NULL;
    *server->requests_end = exchange;
    server->requests_end = &exchange->next;
    server->request_count++;
}

/* --- stopping ---------------------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    ((struct server *)handle->data)->handle_count--;
}

static void close_handles(struct server *server)
{
    uv_close((uv_handle_t *)&server->check, on_handle_closed);
    uv_close((uv_handle_t *)&server->idle, on_handle_closed);
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    uv_close((uv_handle_t *)&server->stop_timer, on_handle_closed);
    for (int i = 0; i < server->signal_count; i++) {
        uv_close((uv_handle_t *)&server->signals[i], on_handle_closed);
    }
}

static void on_stop_timeout(uv_timer_t *timer)
{
    struct server *server = timer->data;
    DIAG(DIAG_WARN, "stop_timeout", DIAG_NUMBER("sends", server->send_count),
         DIAG_NUMBER("notices", server->notice_count));
    server->stop_now = true;
    uv_stop(&server->loop);
}

static void drain(struct server *server)
{
    server->state = SERVER_DRAINS;
    server->drain_turns = 0;
    server->admitted_count = server->request_count;
    DIAG(DIAG_INFO, "draining", DIAG_NUMBER("sends", server->send_count));
    http_server_drain(server->http);
    uv_timer_start(&server->stop_timer, on_stop_timeout,
                   (uint64_t)server->settings->stop_timeout_ms, 0);
    server_rest(server);
}

static void on_stop_delay(uv_timer_t *timer)
{
    drain(timer->data);
}

void server_stop(struct server *server)
{
    if (server->state == SERVER_RUNS) {
        server->state = SERVER_WAITS;
        DIAG(DIAG_INFO, "stopping", DIAG_NUMBER("stop_delay_ms", server->settings->stop_delay_ms));
        uv_timer_start(&server->stop_timer, on_stop_delay,
                       (uint64_t)server->settings->stop_delay_ms, 0);
    } else if (server->state == SERVER_WAITS) {
        drain(server); /* asked twice: no delay */
    } else if (server->state == SERVER_DRAINS) {
        on_stop_timeout(&server->stop_timer);
    }
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct server *server = handle->data;
    if (signum == SIGHUP) {
        DIAG(
            DIAG_INFO, "signal", DIAG_TEXT("name", STR("SIGHUP")),
            DIAG_TEXT("detail", STR("there is nothing to read again; restart to change settings")));
    } else {
        server_stop(server);
    }
}

/* Everything accepted is answered, everything that ran is written down. */
static void end_if_drained(struct server *server)
{
    if (server->state != SERVER_DRAINS || ++server->drain_turns < DRAIN_TURNS) {
        return;
    }
    if (server->requests || server->send_count || server->notice_count || server->ended.first ||
        server->backup.state != BACKUP_NONE || !http_server_is_idle(server->http)) {
        return;
    }
    server->state = SERVER_ENDS;
    http_server_close(server->http);
    close_handles(server);
}

/* --- the loop -------------------------------------------------------------------------------------------------- */

static void on_check(uv_check_t *check)
{
    struct server *server = check->data;
    if (server_has_something(server)) {
        server_turn(server);
        end_if_drained(server);
        server_rest(server);
    }
    log_lines_flush();
}

static void open_signals(struct server *server)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uv_signal_t *handle = &server->signals[server->signal_count++];
        uv_signal_init(&server->loop, handle);
        handle->data = server;
        server->handle_count++;
        if (uv_signal_start(handle, on_signal, numbers[i]) != 0) {
            abort();
        }
    }
}

static enum rc open_http(struct server *server, struct call *call)
{
    const struct settings *settings = server->settings;
    struct http_options options = {
        .world = server->world,
        .bind = settings->bind,
        .unix_socket = settings->unix_socket,
        .behind_proxy = settings->behind_proxy,
        .max_connections = settings->max_connections,
        .max_connections_per_peer = settings->max_connections_per_peer,
        .header_timeout_ms = settings->header_timeout_ms,
        .body_timeout_ms = settings->body_timeout_ms,
        .idle_timeout_ms = settings->idle_timeout_ms,
        .on_request = on_request,
        .on_answer = answer_log,
        .context = server,
    };
    return http_server_open(&server->loop, call, &options, &server->http);
}

/* Everything is looked at in the first turn: what was due while we were away, and the clock against the log. */
static enum rc first_look(struct server *server, struct call *call)
{
    int64_t newest_at_ms = 0;
    TRY(store_sqlite_newest_at_ms(server->world->store, call, &newest_at_ms));
    server->now_ms = clock_now_ms(server->world->clock);
    server->boot_ms = clock_boot_ms(server->world->clock);
    server->metrics.started_at_ms = server->now_ms;
    server->expire_at_ms = server->now_ms + EXPIRE_AGAIN_MS;
    if (newest_at_ms > server->now_ms) {
        server->clock_pending = true;
        server->clock_why = STR("the clock at the start was before the newest entry of the log");
        DIAG(DIAG_WARN, "clock_behind", DIAG_NUMBER("behind_ms", newest_at_ms - server->now_ms));
    }
    return RC_OK;
}

enum rc server_open(struct call *call, const struct server_options *options,
                    struct server **ret_server)
{
    struct server *server = calloc(1, sizeof *server);
    struct due *due = calloc(DUE_MAX, sizeof *due);
    if (!server || !due || uv_loop_init(&server->loop) != 0) {
        abort();
    }
    server->world = options->world;
    server->settings = options->world->settings;
    server->due = due;
    server->requests_end = &server->requests;
    arena_open(&server->arena, 0);
    arena_open(&server->backup.arena, 0);
    uv_check_init(&server->loop, &server->check);
    uv_idle_init(&server->loop, &server->idle);
    uv_timer_init(&server->loop, &server->timer);
    uv_timer_init(&server->loop, &server->stop_timer);
    server->check.data = server->idle.data = server->timer.data = server->stop_timer.data = server;
    server->handle_count = 4;
    uv_check_start(&server->check, on_check);
    enum rc rc = open_http(server, call);
    if (rc == RC_OK) {
        rc = first_look(server, call);
    }
    if (rc != RC_OK) {
        http_server_close(server->http);
        close_handles(server);
        server_close(server);
        return rc;
    }
    if (options->signals) {
        open_signals(server);
    }
    *ret_server = server;
    return RC_OK;
}

int server_port(const struct server *server)
{
    return http_server_port(server->http);
}

enum rc server_run(struct server *server, int *ret_left)
{
    server_rest(server);
    uv_run(&server->loop, UV_RUN_DEFAULT);
    if (server->broken) {
        return RC_BROKEN;
    }
    *ret_left = server->stop_now ? server->send_count + server->notice_count +
                                       (server->backup.state == BACKUP_VERIFIES)
                                 : 0;
    return RC_OK;
}

void server_close(struct server *server)
{
    if (!server) {
        return;
    }
    if (server->stop_now && server->state != SERVER_ENDS) {
        backup_give_up(server);
        http_server_close(
            server->http); /* stop_timeout without a send: only slow clients were left */
        close_handles(server);
    }
    while (uv_run(&server->loop, UV_RUN_ONCE)) {}
    http_server_free(server->http);
    if (uv_loop_close(&server->loop) != 0) {
        abort();
    }
    struct job *job;
    while ((job = job_pop(&server->ended))) { /* of a server that broke */
        job_free(server, job);
    }
    while ((job = server->spare)) {
        server->spare = job->next;
        arena_close(&job->arena);
        free(job);
    }
    arena_close(&server->backup.arena);
    arena_close(&server->arena);
    free(server->due);
    free(server);
}
