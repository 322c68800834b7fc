/* The HTTP server's listeners, and life and deadlines of its connections. Memory of a connection is
 * bounded: one struct while idle, at most HTTP_PIPELINE_MAX exchanges from a shared pool while busy.
 * Deadlines are lists in order of time, one per kind of waiting, and one timer for all of them; it only
 * makes `check` look after the sockets were read, so a stall of the loop times out nobody who had sent. */
#include "home/http_server.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "home/http_connection.h"

#define BACKLOG 1024
#define REFUSED_MAX 64 /* connections beyond the cap that are told so; more are closed at once */

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

static void on_check(uv_check_t *check)
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

/* Does the other end of it stand on this machine? */
static bool peer_is_loopback(struct http_connection *connection)
{
    struct sockaddr_storage peer = {0};
    int len = sizeof peer;
    if (connection->io.handle.type != UV_TCP) {
        return true;
    }
    if (uv_tcp_getpeername(&connection->io.tcp, (struct sockaddr *)&peer, &len) != 0) {
        return false;
    }
    if (peer.ss_family == AF_INET) {
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    }
    const struct in6_addr *address = &((struct sockaddr_in6 *)&peer)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_server *server = listener->data;
    struct http_connection *connection = status < 0 ? NULL : calloc(1, sizeof *connection);
    if (!connection) {
        return;
    }
    connection->server = server;
    if (listener->type == UV_TCP) {
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
    if (uv_accept(listener, &connection->io.stream) != 0 ||
        server->connection_count > server->options.max_connections + REFUSED_MAX) {
        http_connection_close(connection);
        return;
    }
    if (listener->type == UV_TCP) {
        uv_tcp_nodelay(&connection->io.tcp, 1);
    }
    connection->loopback = !server->options.behind_proxy && peer_is_loopback(connection);
    http_parse_open(connection);
    if (server->connection_count > server->options.max_connections) {
        http_parse_refuse(connection, PROBLEM_store_busy, "There are too many connections.");
    } else {
        http_connection_read(connection, true);
    }
    http_connection_wait(connection, true);
}

/* --- listeners --------------------------------------------------------------------------------------------- */

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080". */
static enum rc address_read(struct call *call, struct str bind,
                            struct sockaddr_storage *ret_address, bool *ret_loopback)
{
    size_t colon = bind.len;
    int64_t port = -1;
    while (colon > 0 && bind.s[colon - 1] != ':') {
        colon--;
    }
    struct str host = str_head(bind, colon ? colon - 1 : 0);
    bool bracketed = host.len > 2 && host.s[0] == '[' && host.s[host.len - 1] == ']';
    if (bracketed) {
        host = (struct str){host.s + 1, host.len - 2};
    } else if (str_is(host, "localhost")) {
        host = STR("127.0.0.1");
    }
    const char *name = arena_copy(call->arena, host).s;
    if (text_to_i64(str_from(bind, colon), &port) != RC_OK || port < 0 || port > 65535 ||
        (bracketed ? uv_ip6_addr(name, (int)port, (struct sockaddr_in6 *)ret_address)
                   : uv_ip4_addr(name, (int)port, (struct sockaddr_in *)ret_address)) != 0) {
        return call_why(call, RC_INVALID, "bind " STR_FMT ": not ADDRESS:PORT or [ADDRESS]:PORT",
                        STR_ARG(bind));
    }
    *ret_loopback = bracketed
                        ? IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)ret_address)->sin6_addr)
                        : ntohl(((struct sockaddr_in *)ret_address)->sin_addr.s_addr) >> 24 == 127;
    return RC_OK;
}

static enum rc listen_tcp(struct http_server *server, struct call *call)
{
    struct str bind = server->options.bind;
    struct sockaddr_storage address = {0};
    bool loopback = false;
    int len = sizeof address;
    TRY(address_read(call, bind, &address, &loopback));
    if (!loopback && !server->options.behind_proxy) {
        return call_why(
            call, RC_INVALID,
            "bind " STR_FMT
            ": not a loopback address; it needs behind_proxy = yes and a proxy that ends TLS",
            STR_ARG(bind));
    }
    int error = uv_tcp_bind(&server->tcp, (const struct sockaddr *)&address, 0);
    if (error == 0) {
        error = uv_listen((uv_stream_t *)&server->tcp, BACKLOG, on_connection);
    }
    if (error == 0) {
        error = uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &len);
    }
    if (error != 0) {
        return call_why(call, error == UV_EADDRINUSE ? RC_CONFLICT : RC_BROKEN,
                        "bind " STR_FMT ": %s", STR_ARG(bind), uv_strerror(error));
    }
    server->listening_tcp = true;
    server->port =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                            : ((struct sockaddr_in *)&address)->sin_port);
    return RC_OK;
}

/* Is somebody listening on this path? A socket that nobody holds any more is removed. */
static enum rc socket_clear(struct call *call, struct str path)
{
    struct stat info;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = arena_copy(call->arena, path).s;
    if (path.len >= sizeof address.sun_path) {
        return call_why(call, RC_INVALID, "unix_socket %s: the path is too long", name);
    }
    if (lstat(name, &info) != 0) {
        return errno == ENOENT ? RC_OK
                               : call_why(call, RC_BROKEN, "unix_socket %s: errno %d", name, errno);
    }
    if (!S_ISSOCK(info.st_mode)) {
        return call_why(call, RC_INVALID, "unix_socket %s: there is a file that is no socket",
                        name);
    }
    memcpy(address.sun_path, name, path.len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int connected = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address);
    int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (connected == 0) {
        return call_why(call, RC_CONFLICT, "unix_socket %s: another server listens there", name);
    }
    if (error != ECONNREFUSED || unlink(name) != 0) {
        return call_why(call, RC_BROKEN, "unix_socket %s: cannot be removed (errno %d)", name,
                        error);
    }
    return RC_OK;
}

static enum rc listen_pipe(struct http_server *server, struct call *call)
{
    struct str path = server->options.unix_socket;
    TRY(socket_clear(call, path));
    mode_t mask = umask(0117); /* 0660 from the start */
    int error = uv_pipe_bind(&server->pipe, arena_copy(call->arena, path).s);
    (void)umask(mask);
    if (error == 0) {
        error = uv_listen((uv_stream_t *)&server->pipe, BACKLOG, on_connection);
    }
    if (error != 0) {
        return call_why(call, error == UV_EADDRINUSE ? RC_CONFLICT : RC_BROKEN,
                        "unix_socket " STR_FMT ": %s", STR_ARG(path), uv_strerror(error));
    }
    server->listening_pipe = true;
    return RC_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    ((struct http_server *)handle->data)->handle_count--;
}

enum rc http_server_open(uv_loop_t *loop, struct call *call, const struct http_options *options,
                         struct http_server **ret_server)
{
    struct http_server *server = calloc(1, sizeof *server);
    enum rc rc = RC_OK;
    if (!server) {
        abort();
    }
    server->options = *options;
    server->loop = loop;
    if (server->options.body_max_bytes == 0) {
        server->options.body_max_bytes = BODY_MAX_BYTES;
    }
    server->waiting[WAIT_IDLE].span_ms = (uint64_t)options->idle_timeout_ms;
    server->waiting[WAIT_HEAD].span_ms = (uint64_t)options->header_timeout_ms;
    server->waiting[WAIT_BODY].span_ms = (uint64_t)options->body_timeout_ms;
    server->waiting[WAIT_WRITE].span_ms = (uint64_t)options->idle_timeout_ms;
    server->waiting[WAIT_LINGER].span_ms = HTTP_LINGER_MS;
    uv_tcp_init(loop, &server->tcp);
    uv_pipe_init(loop, &server->pipe, 0);
    uv_timer_init(loop, &server->timer);
    uv_idle_init(loop, &server->idle);
    uv_check_init(loop, &server->check);
    uv_check_start(&server->check, on_check);
    server->tcp.data = server->pipe.data = server->timer.data = server->idle.data =
        server->check.data = server;
    server->handle_count = 5;
    if (options->bind.len) {
        rc = listen_tcp(server, call);
    }
    if (rc == RC_OK && options->unix_socket.len) {
        rc = listen_pipe(server, call);
    }
    if (rc != RC_OK) {
        http_server_close(server);
        while (server->handle_count > 0) {
            uv_run(loop, UV_RUN_NOWAIT);
        }
        http_server_free(server);
        return rc;
    }
    *ret_server = server;
    return RC_OK;
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}

int64_t http_server_connection_count(const struct http_server *server)
{
    return server->connection_count;
}

bool http_server_is_idle(const struct http_server *server)
{
    return server->exchange_count == 0;
}

void http_server_drain(struct http_server *server)
{
    if (!server->draining) {
        server->draining = true;
        uv_close((uv_handle_t *)&server->tcp, on_handle_closed);
        uv_close((uv_handle_t *)&server->pipe, on_handle_closed); /* removes the socket's file */
    }
}

void http_server_close(struct http_server *server)
{
    if (!server || server->closing) {
        return;
    }
    http_server_drain(server);
    server->closing = true;
    for (struct http_connection *one = server->connections; one; one = one->after) {
        http_connection_close(one);
    }
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    uv_close((uv_handle_t *)&server->idle, on_handle_closed);
    uv_close((uv_handle_t *)&server->check, on_handle_closed);
}

void http_server_free(struct http_server *server)
{
    if (!server) {
        return;
    }
    assert(server->handle_count == 0 && server->exchange_count == 0);
    while (server->pool) {
        struct http_exchange *exchange = server->pool;
        server->pool = exchange->later;
        arena_close(&exchange->arena);
        free(exchange);
    }
    free(server);
}
