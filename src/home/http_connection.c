/* Life and deadlines of the HTTP server's connections. Memory of a connection is
 * bounded: one struct while idle, at most HTTP_PIPELINE_MAX exchanges from a shared pool while busy.
 * Deadlines are lists in order of time, one per kind of waiting, and one timer for all of them; it only
 * makes `check` look after the sockets were read, so a stall of the loop times out nobody who had sent. */
#include "home/http_connection.h"

/* --- exchanges ---------------------------------------------------------------------------------------- */

struct http_exchange *http_exchange_take(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = server->pool;
    struct arena arena;
    if (exchange) {
        server->pool = exchange->later;
        server->pool_count--;
        arena = exchange->arena;
    } else {
        exchange = malloc(sizeof *exchange);
        if (!exchange) {
            abort();
        }
        arena_open(&arena, 0);
    }
    server->exchange_count++;
    /* not the tables: what they hold is counted; nor the call, which call_open makes */
    memset((char *)exchange + offsetof(struct http_exchange, request), 0,
           offsetof(struct http_exchange, headers) - offsetof(struct http_exchange, request));
    memset((char *)exchange + offsetof(struct http_exchange, head), 0,
           sizeof *exchange - offsetof(struct http_exchange, head));
    exchange->arena = arena;
    exchange->connection = connection;
    if (connection->last) {
        connection->last->later = exchange;
    } else {
        connection->first = exchange;
    }
    connection->last = exchange;
    connection->queued_count++;
    return exchange;
}

void http_exchange_free(struct http_server *server, struct http_exchange *exchange)
{
    server->exchange_count--;
    if (server->pool_count < HTTP_POOL_MAX) {
        arena_reset(&exchange->arena);
        exchange->later = server->pool;
        server->pool = exchange;
        server->pool_count++;
    } else {
        arena_close(&exchange->arena);
        free(exchange);
    }
}

void http_exchange_finish(struct http_connection *connection)
{
    struct http_exchange *exchange = connection->first;
    connection->first = exchange->later;
    if (!connection->first) {
        connection->last = NULL;
    }
    connection->queued_count--;
    http_exchange_free(connection->server, exchange);
}

/* --- deadlines ------------------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *timer);

static void timer_set(struct http_server *server, uint64_t at_ms)
{
    uint64_t now_ms = uv_now(server->loop);
    if (server->timer_at_ms == 0 || at_ms < server->timer_at_ms) {
        server->timer_at_ms = at_ms;
        uv_timer_start(&server->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
    }
}

static void wait_unlink(struct http_connection *connection)
{
    struct http_waiting *list = &connection->server->waiting[connection->wait];
    if (connection->wait == WAIT_NONE) {
        return;
    }
    if (connection->older) {
        connection->older->newer = connection->newer;
    } else {
        list->oldest = connection->newer;
    }
    if (connection->newer) {
        connection->newer->older = connection->older;
    } else {
        list->newest = connection->older;
    }
    connection->wait = WAIT_NONE;
    connection->older = connection->newer = NULL;
}

static void wait_link(struct http_connection *connection, enum http_wait wait)
{
    struct http_server *server = connection->server;
    struct http_waiting *list = &server->waiting[wait];
    wait_unlink(connection);
    connection->wait = wait;
    if (wait == WAIT_NONE) {
        return;
    }
    connection->since_ms = uv_now(server->loop);
    connection->older = list->newest;
    if (list->newest) {
        list->newest->newer = connection;
    } else {
        list->oldest = connection;
    }
    list->newest = connection;
    timer_set(server, connection->since_ms + list->span_ms);
}

static enum http_wait wait_of(const struct http_connection *connection)
{
    if (connection->closing) {
        return WAIT_NONE;
    }
    if (connection->lingering) {
        return WAIT_LINGER;
    }
    if (connection->writing) {
        return WAIT_WRITE;
    }
    if (connection->current) {
        return connection->current->head_complete ? WAIT_BODY : WAIT_HEAD;
    }
    return connection->first ? WAIT_NONE : WAIT_IDLE;
}

void http_connection_wait(struct http_connection *connection, bool restart)
{
    enum http_wait wait = wait_of(connection);
    if (restart || wait != connection->wait) {
        wait_link(connection, wait);
    }
}

static void time_up(struct http_connection *connection)
{
    switch (connection->wait) {
    case WAIT_HEAD:
        http_parse_refuse(connection, PROBLEM_request_timeout, "The headers came too slowly.");
        http_connection_wait(connection, false);
        break;
    case WAIT_BODY:
        http_parse_refuse(connection, PROBLEM_request_timeout, "The body came too slowly.");
        http_connection_wait(connection, false);
        break;
    case WAIT_WRITE: {
        size_t left_bytes = uv_stream_get_write_queue_size(&connection->io.stream);
        if (left_bytes < connection->unsent_bytes) { /* slow, but it reads */
            connection->server->unsent_bytes -= connection->unsent_bytes - left_bytes;
            connection->unsent_bytes = left_bytes;
            http_connection_wait(connection, true);
        } else {
            http_connection_reset(connection);
        }
        break;
    }
    default:
        http_connection_close(connection);
    }
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* it is there so that the loop does not sleep */
}

static void on_timer(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    server->timer_at_ms = 0;
    uv_idle_start(&server->idle, on_idle);
}

void http_connection_check(uv_check_t *check)
{
    struct http_server *server = check->data;
    if (uv_is_active((uv_handle_t *)&server->idle)) {
        uint64_t now_ms = uv_now(server->loop), next_ms = 0;
        uv_idle_stop(&server->idle);
        for (enum http_wait wait = WAIT_IDLE; wait < WAIT_COUNT; wait++) {
            struct http_waiting *list = &server->waiting[wait];
            while (list->oldest && list->oldest->since_ms + list->span_ms <= now_ms) {
                time_up(list->oldest);
            }
            if (list->oldest &&
                (next_ms == 0 || list->oldest->since_ms + list->span_ms < next_ms)) {
                next_ms = list->oldest->since_ms + list->span_ms;
            }
        }
        if (next_ms) {
            timer_set(server, next_ms);
        }
    }
    http_server_flush(server);
}

/* --- connections ------------------------------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *handle, size_t suggested_bytes, uv_buf_t *ret_buffer)
{
    struct http_connection *connection = handle->data;
    (void)suggested_bytes;
    *ret_buffer = uv_buf_init(connection->server->read_buffer, HTTP_READ_BYTES);
}

/* No more bytes will come. What was complete is still answered. */
static void ended(struct http_connection *connection)
{
    connection->ended = true;
    http_connection_read(connection, false);
    if (connection->lingering || !connection->first) {
        http_connection_close(connection);
        return;
    }
    if (connection->current) { /* half a request: nobody waits for its answer */
        connection->stopped = true;
        http_parse_refuse(connection, PROBLEM_invalid_header, "The request ended in its middle.");
    }
    http_connection_wait(connection, false);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct http_connection *connection = stream->data;
    if (count < 0) {
        if (count == UV_EOF) {
            ended(connection);
        } else {
            http_connection_close(connection);
        }
    } else if (connection->lingering) {
        connection->lingered_bytes += (size_t)count;
        if (connection->lingered_bytes > HTTP_LINGER_MAX_BYTES) {
            http_connection_close(connection);
        }
    } else if (count > 0) {
        http_parse(connection, buffer->base, (size_t)count);
    }
}

void http_connection_read(struct http_connection *connection, bool wanted)
{
    if (wanted == connection->reading || connection->closing) {
        return;
    }
    connection->reading = wanted;
    if (!wanted) {
        uv_read_stop(&connection->io.stream);
    } else if (uv_read_start(&connection->io.stream, on_alloc, on_read) != 0) {
        http_connection_close(connection);
    }
}

void http_connection_free(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    if (!connection->closed || connection->home_count > 0) {
        return;
    }
    for (struct http_connection **at = &server->to_flush; connection->to_flush && *at;) {
        if (*at == connection) {
            *at = connection->flush_next;
            break;
        }
        at = &(*at)->flush_next;
    }
    while (connection->first) {
        http_exchange_finish(connection);
    }
    if (connection->before) {
        connection->before->after = connection->after;
    } else {
        server->connections = connection->after;
    }
    if (connection->after) {
        connection->after->before = connection->before;
    }
    free(connection->held);
    free(connection);
    server->handle_count--;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_connection *connection = handle->data;
    connection->closed = true;
    connection->server->connection_count--;
    http_peer_give(connection);
    http_connection_free(connection);
}

void http_connection_close(struct http_connection *connection)
{
    if (!connection->closing) {
        connection->closing = true;
        wait_link(connection, WAIT_NONE);
        uv_close(&connection->io.handle, on_closed);
    }
}

bool http_connection_evict(struct http_server *server)
{
    struct http_connection *oldest = server->waiting[WAIT_IDLE].oldest;
    if (!oldest || oldest->since_ms + HTTP_REST_MS > uv_now(server->loop)) {
        return false;
    }
    http_connection_close(oldest);
    return true;
}

void http_connection_reset(struct http_connection *connection)
{
    if (!connection->closing && connection->io.handle.type == UV_TCP && !connection->lingering) {
        connection->closing = true;
        wait_link(connection, WAIT_NONE);
        if (uv_tcp_close_reset(&connection->io.tcp, on_closed) == 0) {
            return;
        }
        connection->closing = false;
    }
    http_connection_close(connection);
}

struct http_connection *http_connection_open(struct http_server *server, bool tcp)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        abort();
    }
    connection->server = server;
    if (tcp) {
        uv_tcp_init(server->loop, &connection->io.tcp);
    } else {
        uv_pipe_init(server->loop, &connection->io.pipe, 0);
    }
    connection->io.handle.data = connection;
    connection->after = server->connections;
    if (connection->after) {
        connection->after->before = connection;
    }
    server->connections = connection;
    server->connection_count++;
    server->handle_count++;
    http_parse_open(connection);
    return connection;
}
