/* Does any input break the HTTP server? And does it matter how the bytes are cut? The same input is fed whole and one
 * byte at a time: the same requests must come out, and the same answers in the same order. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "home/http_connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX_BYTES 70000
#define SEEN_MAX_BYTES ((size_t)4 << 20)

struct home {
    uv_loop_t loop;
    struct http_server *server;
    struct http_exchange *first, **last; /* collected */
    struct arena arena;
    struct text seen, got; /* the requests as text · the answers as they left */
};

static int64_t now_ms(struct clock *clock)
{
    (void)clock;
    return 1767225600000;
}

static void no_chance(struct clock *clock, void *bytes, size_t len)
{
    (void)clock;
    memset(bytes, 7, len);
}

static const struct clock_ops clock_ops = {
    .now_ms = now_ms, .boot_ms = now_ms, .random = no_chance};
static struct clock fuzz_clock = {.ops = &clock_ops};
static struct settings settings;
static struct world world = {.clock = &fuzz_clock, .settings = &settings};

static void on_request(void *context, struct http_exchange *exchange)
{
    struct home *home = context;
    const struct request *request = &exchange->request;
    text_printf(&home->seen, "> " STR_FMT " " STR_FMT "\n", STR_ARG(request->method),
                STR_ARG(request->target));
    for (size_t i = 0; i < request->header_count; i++) {
        assert(memchr(request->headers[i].value.s, '\n', request->headers[i].value.len) == NULL);
        text_printf(&home->seen, STR_FMT ": " STR_FMT "\n", STR_ARG(request->headers[i].name),
                    STR_ARG(request->headers[i].value));
    }
    assert(request->header_count <= HTTP_HEADERS_MAX && request->body.len <= BODY_MAX_BYTES);
    text_add(&home->seen, request->body);
    text_add_char(&home->seen, '\n');
    exchange->next = NULL;
    *home->last = exchange;
    home->last = &exchange->next;
}

static void answer(struct home *home)
{
    while (home->first) {
        struct http_exchange *exchange = home->first;
        home->first = exchange->next;
        exchange->response.status = 204;
        http_server_answer(exchange);
    }
    home->last = &home->first;
    http_server_flush(home->server);
}

/* What the client gets: all but the interim answer, which depends on whether the body was already there. */
static void drain(struct home *home, int fd)
{
    static char bytes[65536];
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t len;
    while ((len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        struct str part = {bytes, (size_t)len};
        if (str_starts(part, str_of(interim))) { /* it leaves in a write of its own */
            part = str_from(part, sizeof interim - 1);
        }
        text_add(&home->got, part);
    }
}

/* Feed it all. out: what came out, in home->seen. */
static void play(struct home *home, const char *bytes, size_t len, size_t step)
{
    struct http_options options = {.world = &world,
                                   .max_connections = 1,
                                   .header_timeout_ms = 60000,
                                   .body_timeout_ms = 60000,
                                   .idle_timeout_ms = 60000,
                                   .on_request = on_request,
                                   .context = home};
    struct call call = {.arena = &home->arena};
    int ends[2];
    arena_open(&home->arena, 0);
    text_open(&home->seen, &home->arena, SEEN_MAX_BYTES);
    text_open(&home->got, &home->arena, SEEN_MAX_BYTES);
    home->first = NULL;
    home->last = &home->first;
    if (uv_loop_init(&home->loop) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0 ||
        http_server_open(&home->loop, &call, &options, &home->server) != RC_OK) {
        abort();
    }
    struct http_connection *connection = http_connection_open(home->server, false);
    if (uv_pipe_open(&connection->io.pipe, ends[0]) != 0) {
        abort();
    }
    for (size_t at = 0; at < len && !connection->closing && !connection->lingering;) {
        size_t part = len - at < step ? len - at : step;
        if (!connection->stopped && !connection->held) {
            http_parse(connection, bytes + at, part);
            at += part;
        } else if (connection->stopped) {
            at = len;
        }
        answer(home);
        drain(home, ends[1]);
    }
    while (connection->held && !connection->closing && !connection->lingering) {
        answer(home);
        drain(home, ends[1]);
    }
    answer(home);
    drain(home, ends[1]);
    http_server_close(home->server);
    while (uv_run(&home->loop, UV_RUN_NOWAIT)) {}
    close(ends[1]);
    http_server_free(home->server);
    if (uv_loop_close(&home->loop) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct home whole, single;
    if (size > INPUT_MAX_BYTES) {
        return 0;
    }
    settings_default(&settings);
    play(&whole, (const char *)data, size, INPUT_MAX_BYTES);
    play(&single, (const char *)data, size, size > 2000 ? 7 : 1);
    if (!str_equal(text_str(&whole.seen), text_str(&single.seen)) ||
        !str_equal(text_str(&whole.got), text_str(&single.got))) {
        __builtin_trap(); /* how the bytes are cut decides what they mean */
    }
    arena_close(&whole.arena);
    arena_close(&single.arena);
    return 0;
}
