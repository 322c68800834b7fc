/* The HTTP server's two listeners, a TCP address and a Unix socket, and its own life. An address that is
 * not loopback needs a proxy in front; a socket's file is for owner and group only, and what a killed
 * server left of it is removed, but nobody else's file is. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"
#include "home/http_connection.h"

#define BACKLOG 1024
#define REFUSED_MAX 64 /* connections beyond the cap that are told so; more are closed at once */
#define PEER_REFUSED_MAX 4 /* the same of one peer */

/* --- accepting ------------------------------------------------------------------------------------ */

/* Does the other end of it stand on this machine? Of a Unix socket nobody knows: it is where a proxy comes in. */
static bool peer_is_loopback(struct http_connection *connection)
{
    struct sockaddr_storage peer = {0};
    int len = sizeof peer;
    if (connection->io.handle.type != UV_TCP ||
        uv_tcp_getpeername(&connection->io.tcp, (struct sockaddr *)&peer, &len) != 0) {
        return false;
    }
    if (peer.ss_family == AF_INET) {
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    }
    const struct in6_addr *address = &((struct sockaddr_in6 *)&peer)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

/* A place for one more: beyond the cap only that of one that rests. */
static bool has_room(struct http_server *server)
{
    return server->connection_count <= server->options.max_connections ||
           http_connection_evict(server);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_server *server = listener->data;
    const char *fault = NULL;
    if (status < 0) {
        return;
    }
    struct http_connection *connection = http_connection_open(server, listener->type == UV_TCP);
    if (uv_accept(listener, &connection->io.stream) != 0) {
        http_connection_close(connection);
        return;
    }
    int64_t peer_over =
        http_peer_take(connection) - server->options.max_connections_per_peer; /* 0: no peer */
    if (peer_over > 0) {
        fault = "There are too many connections from this address.";
    } else if (!has_room(server)) {
        fault = "There are too many connections.";
    }
    if (fault && (peer_over > PEER_REFUSED_MAX ||
                  server->connection_count > server->options.max_connections + REFUSED_MAX)) {
        http_connection_close(connection);
        return;
    }
    if (listener->type == UV_TCP) {
        uv_tcp_nodelay(&connection->io.tcp, 1);
    }
    connection->loopback = !server->options.behind_proxy && peer_is_loopback(connection);
    if (fault) {
        http_parse_refuse(connection, PROBLEM_store_busy, fault);
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
    uv_check_start(&server->check, http_connection_check);
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
    for (const struct http_connection *one = server->connections; one; one = one->after) {
        if (one->first && one->first != one->current) {
            return false;
        }
    }
    return true;
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
