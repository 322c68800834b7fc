/* The HTTP server on a real loopback socket, in process: a client that feeds bytes as it likes, and a
 * home that echoes. Everything that RFC 9112 calls faulty is refused with 400 and the connection closed,
 * whole and one byte at a time, and a good request before the garbage is still answered. */
#include "home/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/api.h"
#include "test.h"

/* --- a home that echoes ------------------------------------------------------------------------------ */

static int64_t now_ms(struct clock *clock)
{
    (void)clock;
    return 1767225600123; /* 2026-01-01T00:00:00.123Z */
}

static void no_chance(struct clock *clock, void *bytes, size_t len)
{
    (void)clock;
    memset(bytes, 7, len);
}

static const struct clock_ops clock_ops = {
    .now_ms = now_ms, .boot_ms = now_ms, .random = no_chance};
static struct clock test_clock = {.ops = &clock_ops};
static struct settings test_settings;
static struct world world = {.clock = &test_clock, .settings = &test_settings};

struct home {
    uv_loop_t loop;
    struct http_server *server;
    struct http_exchange *waiting; /* newest first */
    struct str answer;             /* body of every answer; "" = an echo */
    struct arena arena;
    int request_count, answer_count;
    bool hold, backwards, drop;
    size_t cut_bytes;
    struct http_options options;
};

static void on_request(void *context, struct http_exchange *exchange)
{
    struct home *home = context;
    exchange->next = home->waiting;
    home->waiting = exchange;
    home->request_count++;
}

static void on_answer(void *context, const struct http_exchange *exchange)
{
    struct home *home = context;
    CHECK(exchange->response.status >= 200);
    home->answer_count++;
}

static void answer_one(struct home *home, struct http_exchange *exchange)
{
    struct request *request = &exchange->request;
    struct response *response = &exchange->response;
    response->status = 200;
    response->headers[response->header_count++] =
        (struct header){STR("content-type"), STR("text/plain")};
    struct str cookie = request_header(request, "x-echo");
    if (cookie.len) {
        response->headers[response->header_count++] = (struct header){STR("x-echo"), cookie};
    }
    response->body = home->answer.len
                         ? home->answer
                         : arena_printf(&exchange->arena, STR_FMT " " STR_FMT " %zu " STR_FMT "|",
                                        STR_ARG(request->method), STR_ARG(request->target),
                                        request->header_count, STR_ARG(request->body));
    if (home->drop) {
        http_server_drop(exchange);
    } else if (home->cut_bytes) {
        http_server_answer_cut(exchange, home->cut_bytes);
    } else {
        http_server_answer(exchange);
    }
}

static void answer_waiting(struct home *home)
{
    struct http_exchange *oldest = NULL;
    while (!home->hold && home->waiting) {
        struct http_exchange *exchange = home->waiting;
        home->waiting = exchange->next;
        if (home->backwards) {
            answer_one(home, exchange);
        } else {
            exchange->next = oldest;
            oldest = exchange;
        }
    }
    while (oldest) {
        struct http_exchange *next = oldest->next;
        answer_one(home, oldest);
        oldest = next;
    }
    http_server_flush(home->server);
}

static void home_open_with(struct home *home, struct http_options options)
{
    struct call call = {0};
    *home = (struct home){.options = options};
    arena_open(&home->arena, 0);
    CHECK_INT(uv_loop_init(&home->loop), 0);
    home->options.world = &world;
    home->options.on_request = on_request;
    home->options.on_answer = on_answer;
    home->options.context = home;
    settings_default(&test_settings);
    call.arena = &home->arena;
    CHECK_RC(http_server_open(&home->loop, &call, &home->options, &home->server), RC_OK);
}

static struct http_options usual(void)
{
    return (struct http_options){.bind = STR("127.0.0.1:0"),
                                 .max_connections = 100,
                                 .header_timeout_ms = 30000,
                                 .body_timeout_ms = 30000,
                                 .idle_timeout_ms = 30000};
}

static void home_open(struct home *home)
{
    home_open_with(home, usual());
}

static void home_close(struct home *home)
{
    answer_waiting(home);
    http_server_close(home->server);
    while (uv_run(&home->loop, UV_RUN_ONCE)) {}
    http_server_free(home->server);
    CHECK_INT(uv_loop_close(&home->loop), 0);
    arena_close(&home->arena);
}

/* --- a client ------------------------------------------------------------------------------------------ */

struct client {
    int fd;
    char *got;
    size_t got_bytes;
    bool ended, broken; /* the server half-closed · reset */
};

/* source: an address of this machine; 0 = any */
static void client_open_from(struct home *home, struct client *client, uint32_t source)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_server_port(home->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM, 0), .got = calloc(1, 8 << 20)};
    CHECK_INT(bind(client->fd, (struct sockaddr *)&own, sizeof own), 0);
    CHECK_INT(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
}

static void client_open(struct home *home, struct client *client)
{
    client_open_from(home, client, 0);
}

static void client_close(struct client *client)
{
    close(client->fd);
    free(client->got);
}

static void client_read(struct client *client)
{
    ssize_t len = recv(client->fd, client->got + client->got_bytes, 65536, 0);
    if (len > 0) {
        client->got_bytes += (size_t)len;
    } else if (len == 0) {
        client->ended = true;
    } else if (errno != EAGAIN) {
        client->ended = client->broken = true;
    }
}

/* Let the server work until done says so; 20 s are the end of all patience. */
static void turn_until(struct home *home, struct client *client,
                       bool (*done)(struct home *, struct client *))
{
    uint64_t until_ns = uv_hrtime() + UINT64_C(20000000000);
    while (!done(home, client)) {
        struct pollfd wait[2] = {{.fd = uv_backend_fd(&home->loop), .events = POLLIN},
                                 {.fd = client->ended ? -1 : client->fd, .events = POLLIN}};
        int timeout_ms = uv_backend_timeout(&home->loop);
        CHECK(uv_hrtime() < until_ns);
        (void)poll(wait, 2, timeout_ms < 0 || timeout_ms > 50 ? 50 : timeout_ms);
        uv_run(&home->loop, UV_RUN_NOWAIT);
        answer_waiting(home);
        if (!client->ended) {
            client_read(client);
        }
    }
}

static bool server_closed(struct home *home, struct client *client)
{
    (void)home;
    return client->ended;
}

static bool request_came(struct home *home, struct client *client)
{
    (void)client;
    return home->request_count > 0;
}

static bool two_are_left(struct home *home, struct client *client)
{
    (void)client;
    return http_server_connection_count(home->server) == 2;
}

/* Long enough to lose one's place: HTTP_REST_MS. */
static bool rested(struct home *home, struct client *client)
{
    static uint64_t since_ms;
    (void)client;
    if (since_ms == 0 && http_server_connection_count(home->server) > 2) { /* all are accepted */
        since_ms = uv_now(&home->loop);
    }
    return since_ms && uv_now(&home->loop) > since_ms + 250;
}

static int answers_wanted;
static bool answers_came(struct home *home, struct client *client)
{
    (void)client;
    return home->answer_count >= answers_wanted && http_server_is_idle(home->server);
}

/* All bytes at once, or one at a time with turns of the loop between. */
static void client_send(struct home *home, struct client *client, struct str bytes, size_t step)
{
    while (bytes.len > 0) {
        size_t len = step && step < bytes.len ? step : bytes.len;
        ssize_t sent = send(client->fd, bytes.s, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return; /* refused and closed in the middle: what came is read later */
        }
        if (sent > 0) {
            bytes = str_from(bytes, (size_t)sent);
        }
        if (step || sent < 0) {
            uv_run(&home->loop, UV_RUN_NOWAIT);
            answer_waiting(home);
            if (!client->ended) {
                client_read(client);
            }
        }
    }
}

static struct str client_got(const struct client *client)
{
    return (struct str){client->got, client->got_bytes};
}

/* Send, wait for the server's close. out: all that came, in home->arena. */
static struct str talk(struct home *home, struct str bytes, size_t step)
{
    struct client client;
    client_open(home, &client);
    client_send(home, &client, bytes, step);
    turn_until(home, &client, server_closed);
    struct str got = arena_copy(&home->arena, client_got(&client));
    client_close(&client);
    return got;
}

/* Send on a kept-alive connection, wait for so many answers. */
static struct str talk_for(struct home *home, struct str bytes, size_t step, int answers)
{
    struct client client;
    client_open(home, &client);
    answers_wanted = home->answer_count + answers;
    client_send(home, &client, bytes, step);
    turn_until(home, &client, answers_came);
    while (!client.ended && recv(client.fd, client.got + client.got_bytes, 1, MSG_PEEK) > 0) {
        client_read(&client);
    }
    struct str got = arena_copy(&home->arena, client_got(&client));
    client_close(&client);
    return got;
}

static int count_of(struct str text, const char *part)
{
    int count = 0;
    for (size_t len = strlen(part); text.len >= len;) {
        const char *at = memmem(text.s, text.len, part, len);
        if (!at) {
            break;
        }
        count++;
        text = str_from(text, (size_t)(at - text.s) + len);
    }
    return count;
}

static struct str repeat(struct arena *arena, char c, size_t count)
{
    char *bytes = arena_alloc(arena, count + 1);
    memset(bytes, c, count);
    return (struct str){bytes, count};
}

/* STR, for tables that are static. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* --- garbage ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    struct str bytes;
} garbage[] = {
    {"CR hides a header (CVE-2023-30589)",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nX-Abc:\rxTransfer-Encoding: "
           "chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n")},
    {"folded header (CVE-2024-27982)",
     BYTES("GET / HTTP/1.1\r\nHost: a\r\n Content-Length: 5\r\n\r\nhello")},
    {"folded with a tab", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n")},
    {"blank before the colon", BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n")},
    {"CR CR ends the head (CVE-2025-23167)", BYTES("GET / HTTP/1.1\r\nHost: a\r\n\rX")},
    {"coding folded over two lines",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n")},
    {"coding and length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                                "chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")},
    {"length and coding", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                "5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"two lengths",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")},
    {"two equal lengths",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello")},
    {"a list of lengths", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello")},
    {"a signed length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello")},
    {"a length with letters",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5x\r\n\r\nhello")},
    {"a length beyond 64 bits",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\nhello")},
    {"an empty length", BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n")},
    {"chunked is not last",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")},
    {"another coding first",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")},
    {"two codings", BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                          "chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"an unknown coding",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")},
    {"a coding in HTTP/1.0",
     BYTES("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"a chunk size that is none",
     BYTES(
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nA\r\n0\r\n\r\n")},
    {"a chunk longer than its size",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nAB\r\n0\r\n\r\n")},
    {"a negative chunk size",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nA\r\n0\r\n\r\n")},
    {"LF in a chunk size",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nA\r\n0\r\n\r\n")},
    {"LF in a chunk extension",
     BYTES(
         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\nA\r\n0\r\n\r\n")},
    {"blank after a chunk size",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nA\r\n0\r\n\r\n")},
    {"LF ends the lines", BYTES("GET / HTTP/1.1\nHost: a\n\n")},
    {"LF ends a header", BYTES("GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n")},
    {"a bare LF before the request", BYTES("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a bare CR before the request", BYTES("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a control byte in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\001b\r\n\r\n")},
    {"NUL in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\000b\r\n\r\n")},
    {"DEL in a value", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: a\177b\r\n\r\n")},
    {"a control byte in a name", BYTES("GET / HTTP/1.1\r\nHost: a\r\nX\001: b\r\n\r\n")},
    {"an empty name", BYTES("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n")},
    {"no colon", BYTES("GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n")},
    {"a control byte in the target", BYTES("GET /a\001b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a raw umlaut in the target", BYTES("GET /a\303\244 HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a fragment", BYTES("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a target without slash", BYTES("GET a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a star without OPTIONS", BYTES("GET * HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"two blanks in the request line", BYTES("GET  / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"no target", BYTES("GET HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"HTTP/1.9", BYTES("GET / HTTP/1.9\r\nHost: a\r\n\r\n")},
    {"HTTP/2.0", BYTES("GET / HTTP/2.0\r\nHost: a\r\n\r\n")},
    {"HTTP/0.9", BYTES("GET / HTTP/0.9\r\nHost: a\r\n\r\n")},
    {"no version", BYTES("GET /\r\n\r\n")},
    {"a small http", BYTES("GET / http/1.1\r\nHost: a\r\n\r\n")},
    {"the preface of HTTP/2", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    {"two Hosts", BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")},
    {"two equal Hosts", BYTES("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n")},
    {"no Host", BYTES("GET / HTTP/1.1\r\nX: y\r\n\r\n")},
    {"a Host with a slash", BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
    {"a Host with a blank", BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")},
    {"a Host with two ports", BYTES("GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n")},
    {"a Host with letters for a port", BYTES("GET / HTTP/1.1\r\nHost: a:http\r\n\r\n")},
    {"a Host with half a bracket", BYTES("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")},
    {"a Host with a user", BYTES("GET / HTTP/1.1\r\nHost: b@a\r\n\r\n")},
    {"a target with a user", BYTES("GET http://b:c@a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a target without a host", BYTES("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a target with only a port", BYTES("GET http://:80/a HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a target with another scheme", BYTES("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"RTSP", BYTES("GET / RTSP/1.0\r\nHost: a\r\n\r\n")},
    {"ICE", BYTES("SOURCE / ICE/1.0\r\nHost: a\r\n\r\n")},
    {"an unknown method", BYTES("FROB / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"a small method", BYTES("get / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"another expectation",
     BYTES("POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 1\r\n\r\nx")},
    {"TLS at the plain port",
     BYTES("\026\003\001\002\000\001\000\001\374\003\003 and so on\r\n\r\n")},
};

/* P10: what is ambiguous is refused, and nothing of it is carried out. */
TEST(P10_each_kind_of_garbage_is_refused_and_runs_nothing)
{
    for (size_t i = 0; i < COUNT_OF(garbage); i++) {
        for (size_t step = 0; step < 2; step++) { /* whole, one byte at a time */
            struct home home;
            home_open(&home);
            fprintf(stderr, "%s, step %zu\n", garbage[i].name, step);
            struct str got = talk(&home, garbage[i].bytes, step);
            if (!str_starts(got, STR("HTTP/1.1 400 Bad Request\r\n")) || home.request_count != 0) {
                FAIL("not refused, %d requests: " STR_FMT, home.request_count, STR_ARG(got));
            }
            CHECK_HAS(got, "\r\ncontent-type: application/problem+json\r\n");
            CHECK_HAS(got, "\r\nx-request-id: ");
            CHECK_HAS(got, "\r\nconnection: close\r\n");
            CHECK_HAS(got, "\"code\":\"invalid_header\"");
            CHECK_INT(count_of(got, "x-request-id: "), 1);
            CHECK_INT(home.answer_count, 1);
            home_close(&home);
        }
    }
}

/* P11: a fault of the second request takes nothing from the first. */
TEST(P11_a_good_request_before_the_garbage_still_gets_its_answer)
{
    for (size_t i = 0; i < COUNT_OF(garbage); i++) {
        for (size_t step = 0; step < 2; step++) {
            struct home home;
            home_open(&home);
            fprintf(stderr, "%s, step %zu\n", garbage[i].name, step);
            struct str both = STR("POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok");
            char *bytes = arena_alloc(&home.arena, both.len + garbage[i].bytes.len);
            memcpy(bytes, both.s, both.len);
            memcpy(bytes + both.len, garbage[i].bytes.s, garbage[i].bytes.len); /* may hold NUL */
            struct str got =
                talk(&home, (struct str){bytes, both.len + garbage[i].bytes.len}, step);
            CHECK(str_starts(got, STR("HTTP/1.1 200 OK\r\n")));
            CHECK_HAS(got, "POST /good 2 ok|HTTP/1.1 400 Bad Request\r\n");
            CHECK_INT(home.request_count, 1);
            home_close(&home);
        }
    }
}

TEST(connect_and_trace_are_refused)
{
    struct home home;
    home_open(&home);
    struct str got = talk(&home, STR("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    CHECK(str_starts(got, STR("HTTP/1.1 405 Method Not Allowed\r\n")));
    got = talk(&home, STR("TRACE / HTTP/1.1\r\nHost: a\r\nx-api-key: secret\r\n\r\n"), 0);
    CHECK(str_starts(got, STR("HTTP/1.1 405 Method Not Allowed\r\n")));
    CHECK_HAS(got, "\r\nallow: ");
    CHECK_HAS_NOT(got, "secret");
    CHECK_INT(home.request_count, 0);
    home_close(&home);
}

/* --- good requests ------------------------------------------------------------------------------------------- */

TEST(a_request_comes_in_whole_and_one_byte_at_a_time)
{
    static const struct {
        struct str bytes;
        const char *echo;
    } good[] = {
        {BYTES("GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n"), "\r\n\r\nGET /a?b=c 1 |"},
        {BYTES("\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n"), "\r\n\r\nGET /a 1 |"},
        {BYTES("GET / HTTP/1.1\r\nHost:\r\nX:   y  \t\r\nEmpty:\r\n\r\n"), "\r\n\r\nGET / 3 |"},
        {BYTES("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
         "\r\n\r\nPOST / 2 hello|"},
        {BYTES("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
               "2;x=\"y\"\r\nhe\r\n003\r\nllo\r\n0\r\nX-Trailer: t\r\nHost: b\r\n\r\n"),
         "\r\n\r\nPOST / 2 hello|"},
        {BYTES("POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n"),
         "\r\n\r\nPOST / 2 |"},
        {BYTES("DELETE /keys/k HTTP/1.1\r\nHost: a:80\r\nContent-Length: 0\r\n\r\n"),
         "\r\n\r\nDELETE /keys/k 2 |"},
        {BYTES("GET http://x.example/a?b HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
         "\r\n\r\nGET /a?b 1 |"},
        {BYTES("GET HTTPS://x.example?b HTTP/1.1\r\nHost: x.example\r\n\r\n"),
         "\r\n\r\nGET /?b 1 |"},
        {BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), "\r\n\r\nOPTIONS * 1 |"},
        {BYTES("M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n"), "\r\n\r\nM-SEARCH / 1 |"},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"),
         "\r\n\r\nGET / 3 |"},
        {BYTES("POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: "
               "websocket\r\nContent-Length: 1\r\n\r\nx"),
         "\r\n\r\nPOST / 4 x|"},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        for (size_t step = 0; step < 2; step++) {
            struct home home;
            home_open(&home);
            struct str got = talk_for(&home, good[i].bytes, step, 1);
            CHECK(str_starts(got, STR("HTTP/1.1 200 OK\r\n")));
            CHECK_HAS(got, good[i].echo);
            CHECK_HAS(got, "\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
            CHECK_HAS_NOT(got, "connection:");
            CHECK_INT(home.request_count, 1);
            home_close(&home);
        }
    }
}

TEST(answers_leave_in_the_order_of_the_requests)
{
    struct home home;
    home_open(&home);
    home.backwards = true; /* the home answers the last one first */
    struct str got =
        talk_for(&home,
                 STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
                     "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"),
                 0, 3);
    const char *one = memmem(got.s, got.len, "GET /1", 6),
               *two = memmem(got.s, got.len, "GET /2", 6),
               *three = memmem(got.s, got.len, "GET /3", 6);
    CHECK(one && two && three && one < two && two < three);
    home_close(&home);
}

TEST(a_long_pipeline_is_answered_in_parts_and_none_is_lost)
{
    struct home home;
    home_open(&home);
    enum { COUNT = 1000 };
    char *bytes = arena_alloc(&home.arena, COUNT * 64);
    size_t len = 0;
    for (int i = 0; i < COUNT; i++) {
        len += (size_t)snprintf(bytes + len, 64,
                                "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", i);
    }
    struct str got = talk_for(&home, (struct str){bytes, len}, 0, COUNT);
    CHECK_INT(home.request_count, COUNT);
    CHECK_INT(count_of(got, "HTTP/1.1 200 OK"), COUNT);
    for (int i = 0, at = 0; i < COUNT; i++) {
        char echo[32];
        snprintf(echo, sizeof echo, "POST /%d 2 hi|", i);
        const char *found = memmem(got.s + at, got.len - (size_t)at, echo, strlen(echo));
        CHECK(found != NULL);
        at = (int)(found - got.s);
    }
    home_close(&home);
}

TEST(a_pipeline_beyond_the_cap_is_not_read_until_there_is_room)
{
    struct home home;
    struct client client;
    home_open(&home);
    home.hold = true;
    client_open(&home, &client);
    for (int i = 0; i < 3 * HTTP_PIPELINE_MAX; i++) {
        client_send(&home, &client, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    }
    for (int i = 0; i < 50; i++) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
    }
    CHECK_INT(home.request_count, HTTP_PIPELINE_MAX);
    home.hold = false;
    answers_wanted = 3 * HTTP_PIPELINE_MAX;
    turn_until(&home, &client, answers_came);
    CHECK_INT(home.request_count, 3 * HTTP_PIPELINE_MAX);
    client_close(&client);
    home_close(&home);
}

TEST(head_has_the_headers_of_get_and_no_body)
{
    struct home home;
    home_open(&home);
    struct str got = talk_for(&home, STR("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"), 0, 1);
    CHECK_HAS(got, "\r\ncontent-length: 10\r\n"); /* "GET /x 1 |" */
    CHECK(got.len > 4 && memcmp(got.s + got.len - 4, "\r\n\r\n", 4) == 0);
    home_close(&home);
}

TEST(http_1_0_closes_unless_it_asks_to_keep_alive)
{
    struct home home;
    home_open(&home);
    struct str got = talk(&home, STR("GET / HTTP/1.0\r\n\r\n"), 0);
    CHECK_HAS(got, "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(got, "\r\nconnection: close\r\n");
    got = talk_for(&home, STR("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 0, 1);
    CHECK_HAS(got, "\r\nconnection: keep-alive\r\n");
    home_close(&home);
}

TEST(what_follows_a_closing_request_is_not_read)
{
    struct home home;
    home_open(&home);
    struct str got = talk(&home,
                          STR("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                              "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"),
                          0);
    CHECK_INT(count_of(got, "HTTP/1.1 "), 1);
    CHECK_INT(home.request_count, 1);
    home_close(&home);
}

TEST(a_client_that_closes_its_half_still_gets_its_answers)
{
    struct home home;
    struct client client;
    home_open(&home);
    home.hold = true;
    client_open(&home, &client);
    client_send(&home, &client,
                STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    CHECK_INT(shutdown(client.fd, SHUT_WR), 0);
    for (int i = 0; i < 20; i++) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
    }
    home.hold = false;
    turn_until(&home, &client, server_closed);
    CHECK(!client.broken);
    CHECK_HAS(client_got(&client), "GET /1 1 |");
    CHECK_HAS(client_got(&client), "GET /2 1 |");
    client_close(&client);
    home_close(&home);
}

TEST(a_client_that_leaves_while_its_request_runs_harms_nobody)
{
    struct home home;
    struct client client;
    home_open(&home);
    home.hold = true;
    client_open(&home, &client);
    client_send(&home, &client,
                STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    while (home.request_count < 2) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
    }
    struct linger reset = {.l_onoff = 1};
    setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&client);
    for (int i = 0; i < 20; i++) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
    }
    home.hold = false;
    answer_waiting(&home);
    CHECK_INT(home.answer_count, 2);
    CHECK(http_server_is_idle(home.server));
    home_close(&home);
}

static bool continue_came(struct home *home, struct client *client)
{
    (void)home;
    return client->got_bytes >= 25;
}

TEST(expect_100_continue_is_answered_before_the_body_and_in_its_turn)
{
    struct home home;
    struct client client;
    home_open(&home);
    client_open(&home, &client);
    client_send(
        &home, &client,
        STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
            "POST /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n"),
        0);
    answers_wanted = 1;
    home.hold = true;
    for (int i = 0; i < 20; i++) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
    }
    client_read(&client);
    CHECK_INT(client.got_bytes, 0); /* not before the first request's answer */
    home.hold = false;
    turn_until(&home, &client, continue_came);
    for (int i = 0; i < 20; i++) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
        client_read(&client);
    }
    CHECK_HAS(client_got(&client), "GET /1 1 |HTTP/1.1 100 Continue\r\n\r\n");
    answers_wanted = 2;
    client_send(&home, &client, STR("hi"), 0);
    turn_until(&home, &client, answers_came);
    client_read(&client);
    CHECK_HAS(client_got(&client), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
    CHECK_HAS(client_got(&client), "POST /2 3 hi|");
    client_close(&client);
    home_close(&home);
}

TEST(no_value_of_an_answer_can_end_its_line)
{
    struct home home;
    struct client client;
    home_open(&home);
    home.hold = true;
    client_open(&home, &client);
    client_send(&home, &client, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    while (home.request_count < 1) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
    }
    home.waiting->response.headers[home.waiting->response.header_count++] =
        (struct header){STR("location"), STR("a\r\nset-cookie: b")};
    home.hold = false;
    answers_wanted = 1;
    turn_until(&home, &client, answers_came);
    client_read(&client);
    CHECK_HAS(client_got(&client), "\r\nlocation: a  set-cookie: b\r\n");
    client_close(&client);
    home_close(&home);
}

/* --- caps ------------------------------------------------------------------------------------------------------- */

static struct str with_target(struct home *home, size_t target_bytes)
{
    return arena_printf(&home->arena,
                        "GET /" STR_FMT " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                        STR_ARG(repeat(&home->arena, 'a', target_bytes - 1)));
}

TEST(P10_the_cap_of_the_target)
{
    for (size_t step = 0; step < 1000; step += 999) {
        struct home home;
        home_open(&home);
        CHECK_HAS(talk(&home, with_target(&home, HTTP_TARGET_MAX_BYTES), step),
                  "HTTP/1.1 200 OK\r\n");
        CHECK_INT(home.request_count, 1);
        struct str got = talk(&home, with_target(&home, HTTP_TARGET_MAX_BYTES + 1), step);
        CHECK_HAS(got, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
        CHECK_HAS(got, "\"code\":\"headers_too_large\"");
        CHECK_INT(home.request_count, 1);
        home_close(&home);
    }
}

/* The head as it is counted: target, names, values. */
static struct str with_head(struct home *home, size_t head_bytes)
{
    size_t known = strlen("/") + strlen("Hosta") + strlen("Connectionclose") + strlen("X");
    return arena_printf(&home->arena,
                        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " STR_FMT "\r\n\r\n",
                        STR_ARG(repeat(&home->arena, 'a', head_bytes - known)));
}

TEST(P10_the_cap_of_the_headers)
{
    for (size_t step = 0; step < 1000; step += 999) {
        struct home home;
        home_open(&home);
        CHECK_HAS(talk(&home, with_head(&home, HTTP_HEAD_MAX_BYTES), step), "HTTP/1.1 200 OK\r\n");
        CHECK_HAS(talk(&home, with_head(&home, HTTP_HEAD_MAX_BYTES + 1), step), "HTTP/1.1 431 ");
        CHECK_INT(home.request_count, 1);
        home_close(&home);
    }
}

static struct str with_header_lines(struct home *home, int count)
{
    struct str lines = STR_NONE;
    for (int i = 2; i < count; i++) {
        lines = arena_printf(&home->arena, STR_FMT "x: y\r\n", STR_ARG(lines));
    }
    return arena_printf(&home->arena,
                        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" STR_FMT "\r\n",
                        STR_ARG(lines));
}

TEST(P10_the_cap_of_header_lines)
{
    struct home home;
    home_open(&home);
    CHECK_HAS(talk(&home, with_header_lines(&home, HTTP_HEADERS_MAX), 0), "HTTP/1.1 200 OK\r\n");
    CHECK_HAS(talk(&home, with_header_lines(&home, HTTP_HEADERS_MAX + 1), 0), "HTTP/1.1 431 ");
    CHECK_INT(home.request_count, 1);
    home_close(&home);
}

TEST(blanks_without_end_in_a_head_are_cut_off)
{
    struct home home;
    home_open(&home);
    struct str got = talk(&home,
                          arena_printf(&home.arena, "GET / HTTP/1.1\r\nHost: a\r\nX:" STR_FMT,
                                       STR_ARG(repeat(&home.arena, ' ', 200000))),
                          0);
    CHECK_HAS(got, "HTTP/1.1 431 ");
    home_close(&home);
}

static struct str with_body(struct home *home, size_t body_bytes, bool chunked)
{
    struct str body = repeat(&home->arena, 'b', body_bytes);
    if (!chunked) {
        return arena_printf(&home->arena,
                            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: "
                            "%zu\r\n\r\n" STR_FMT,
                            body_bytes, STR_ARG(body));
    }
    return arena_printf(
        &home->arena,
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1000\r\n" STR_FMT "\r\n%zx\r\n" STR_FMT "\r\n0\r\n\r\n",
        STR_ARG(str_head(body, 4096)), body_bytes - 4096, STR_ARG(str_from(body, 4096)));
}

TEST(P10_the_cap_of_the_body)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        for (size_t step = 0; step < 10000; step += 9999) {
            struct home home;
            home_open(&home);
            CHECK_HAS(talk(&home, with_body(&home, BODY_MAX_BYTES, chunked), step),
                      "HTTP/1.1 200 OK\r\n");
            struct str got = talk(&home, with_body(&home, BODY_MAX_BYTES + 1, chunked), step);
            CHECK_HAS(got, "HTTP/1.1 413 Content Too Large\r\n");
            CHECK_HAS(got, "\"code\":\"body_too_large\"");
            CHECK_INT(home.request_count, 1);
            home_close(&home);
        }
    }
}

TEST(a_body_that_is_too_large_is_refused_before_it_comes)
{
    struct home home;
    home_open(&home);
    struct str got = talk(
        &home,
        STR("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n"),
        0);
    CHECK(str_starts(got, STR("HTTP/1.1 413 Content Too Large\r\n")));
    home_close(&home);
}

/* P10 */
TEST(a_chunk_that_is_too_large_is_refused_before_it_comes)
{
    static const char *const sizes[] = {"10001", "80000000", "7fffffffffffffff",
                                        "ffffffffffffffff"};
    struct home home;
    home_open(&home);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct str head = arena_printf(&home.arena,
                                       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                                       "chunked\r\n\r\n%s\r\n",
                                       sizes[i]);
        CHECK(str_starts(talk(&home, head, i % 2), STR("HTTP/1.1 413 Content Too Large\r\n")));
    }
    CHECK_INT(home.request_count, 0);
    home_close(&home);
}

TEST(a_body_of_tiny_chunks_with_long_extensions_is_cut_off)
{
    struct home home;
    home_open(&home);
    struct str flood = STR_NONE, chunk = arena_printf(&home.arena, "1;" STR_FMT "\r\nb\r\n",
                                                      STR_ARG(repeat(&home.arena, 'x', 30000)));
    for (int i = 0; i < 40; i++) {
        flood = arena_printf(&home.arena, STR_FMT STR_FMT, STR_ARG(flood), STR_ARG(chunk));
    }
    struct str got = talk(
        &home,
        arena_printf(&home.arena,
                     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" STR_FMT,
                     STR_ARG(flood)),
        0);
    CHECK_HAS(got, "HTTP/1.1 413 ");
    CHECK_INT(home.request_count, 0);
    home_close(&home);
}

/* --- slowness ------------------------------------------------------------------------------------------------------ */

TEST(P11_slow_headers_are_answered_408_and_closed)
{
    struct home home;
    struct http_options options = usual();
    options.header_timeout_ms = 100;
    home_open_with(&home, options);
    struct str got = talk(&home, STR("GET / HTTP/1.1\r\nHos"), 0);
    CHECK(str_starts(got, STR("HTTP/1.1 408 Request Timeout\r\n")));
    CHECK_HAS(got, "\"code\":\"request_timeout\"");
    got = talk(&home, STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHos"), 0);
    CHECK_HAS(got, "GET /1 1 |HTTP/1.1 408 Request Timeout\r\n");
    CHECK_INT(home.request_count, 1);
    home_close(&home);
}

TEST(P11_a_slow_body_is_answered_408_and_closed)
{
    struct home home;
    struct http_options options = usual();
    options.body_timeout_ms = 100;
    home_open_with(&home, options);
    struct str got =
        talk(&home, STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell"), 0);
    CHECK(str_starts(got, STR("HTTP/1.1 408 Request Timeout\r\n")));
    CHECK_INT(home.request_count, 0);
    home_close(&home);
}

TEST(an_idle_connection_is_closed_without_a_word)
{
    struct home home;
    struct http_options options = usual();
    options.idle_timeout_ms = 100;
    home_open_with(&home, options);
    CHECK_INT(talk(&home, STR(""), 0).len, 0);
    CHECK_INT(talk(&home, STR("\r\n\r\n"), 0).len, 0);
    struct str got = talk(&home, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    CHECK_INT(count_of(got, "HTTP/1.1 "), 1);
    CHECK_INT(home.answer_count, 1);
    home_close(&home);
}

static bool no_connection(struct home *home, struct client *client)
{
    (void)client;
    return http_server_connection_count(home->server) == 0;
}

TEST(a_client_that_does_not_read_is_cut_off_and_read_no_further)
{
    struct home home;
    struct client client;
    struct http_options options = usual();
    options.idle_timeout_ms = 200;
    home_open_with(&home, options);
    home.answer = repeat(&home.arena, 'x', 1 << 20);
    client_open(&home, &client);
    for (int i = 0; i < 100; i++) {
        client_send(&home, &client, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    }
    client.ended = true; /* from now on nobody reads */
    turn_until(&home, &client, no_connection);
    CHECK(home.request_count < 100);
    CHECK(http_server_is_idle(home.server));
    client_close(&client);
    home_close(&home);
}

static bool all_asked(struct home *home, struct client *client)
{
    (void)client;
    return home->answer_count == 20;
}

/* P11: answers that nobody reads have a cap, all together; who exceeds it is cut off, nobody else. */
TEST(P11_answers_that_nobody_reads_are_capped_all_together)
{
    struct home home;
    struct client clients[20];
    home_open(&home);
    home.answer = repeat(&home.arena, 'x', 8 << 20); /* the kernel's buffers take a part of each */
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        client_open(&home, &clients[i]);
        client_send(&home, &clients[i], STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
        clients[i].ended = true; /* it never reads */
    }
    turn_until(&home, &clients[0], all_asked);
    for (int i = 0; i < 20; i++) {
        uv_run(&home.loop, UV_RUN_NOWAIT);
    }
    int64_t left = http_server_connection_count(home.server);
    CHECK(left >= (int64_t)(HTTP_UNSENT_MAX_BYTES / home.answer.len) &&
          left < (int64_t)COUNT_OF(clients));
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        client_close(&clients[i]);
    }
    home_close(&home);
}

TEST(a_large_answer_arrives_whole)
{
    struct home home;
    home_open(&home);
    home.answer = repeat(&home.arena, 'x', 4 << 20);
    struct str got = talk(&home, STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 0);
    CHECK_HAS(got, "\r\ncontent-length: 4194304\r\n");
    CHECK(got.len > (4 << 20) && got.s[got.len - 1] == 'x');
    home_close(&home);
}

/* --- many, few, none ------------------------------------------------------------------------------------------------- */

TEST(P11_connections_beyond_the_cap_are_told_503)
{
    struct home home;
    struct client first;
    struct http_options options = usual();
    options.max_connections = 1;
    home_open_with(&home, options);
    home.hold = true;
    client_open(&home, &first);
    client_send(&home, &first, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    turn_until(&home, &first, request_came);
    struct str got = talk(&home, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    CHECK(str_starts(got, STR("HTTP/1.1 503 Service Unavailable\r\n")));
    CHECK_INT(home.request_count, 1);
    client_close(&first);
    home.hold = false;
    home_close(&home);
}

/* P11: who waits for nothing must not keep others out. */
TEST(a_new_connection_takes_the_place_of_one_that_rests)
{
    struct home home;
    struct client resting, busy, refused[80];
    struct http_options options = usual();
    options.max_connections = 2;
    home_open_with(&home, options);
    client_open(&home, &resting);
    client_open(&home, &busy);
    client_send(&home, &busy, STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"), 0);
    for (int i = 0; i < 80; i++) { /* refused, as nobody rests yet; they take nobody's place */
        client_open(&home, &refused[i]);
    }
    turn_until(&home, &resting, rested);
    struct str got = talk(&home, STR("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 0);
    CHECK_HAS(got, "GET /1 2 |");
    turn_until(&home, &resting, server_closed);
    CHECK_INT(resting.got_bytes, 0);
    answers_wanted = home.answer_count + 1;
    client_send(&home, &busy, STR("123456789"), 0);
    turn_until(&home, &busy, answers_came);
    for (int i = 0; i < 80; i++) {
        client_close(&refused[i]);
    }
    client_close(&resting);
    client_close(&busy);
    home_close(&home);
}

/* P11: one address cannot take all places. */
TEST(connections_of_one_address_beyond_its_cap_are_told_503)
{
    struct str request = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    struct home home;
    struct client client[3];
    struct http_options options = usual();
    options.max_connections_per_peer = 2;
    home_open_with(&home, options);
    for (int i = 0; i < 2; i++) {
        client_open(&home, &client[i]);
        answers_wanted = home.answer_count + 1;
        client_send(&home, &client[i], request, 0);
        turn_until(&home, &client[i], answers_came);
    }
    struct str got = talk(&home, request, 0);
    CHECK(str_starts(got, STR("HTTP/1.1 503 Service Unavailable\r\n")));
    CHECK_HAS(got, "from this address");
    CHECK_INT(home.request_count, 2);
    client_open_from(&home, &client[2], INADDR_LOOPBACK + 1); /* another address */
    answers_wanted = home.answer_count + 1;
    client_send(&home, &client[2], request, 0);
    turn_until(&home, &client[2], answers_came);
    CHECK_INT(home.request_count, 3);
    client_close(&client[0]); /* there is room again */
    turn_until(&home, &client[2], two_are_left);
    (void)talk_for(&home, request, 0, 1);
    CHECK_INT(home.request_count, 4);
    client_close(&client[1]);
    client_close(&client[2]);
    home_close(&home);
}

TEST(connections_of_a_unix_socket_have_no_peer)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "sock"};
    struct home home;
    struct http_options options = usual();
    struct client client[3];
    options.max_connections_per_peer = 1;
    options.unix_socket = STR("sock");
    home_open_with(&home, options);
    for (int i = 0; i < 3; i++) {
        client[i] =
            (struct client){.fd = socket(AF_UNIX, SOCK_STREAM, 0), .got = calloc(1, 8 << 20)};
        CHECK_INT(connect(client[i].fd, (struct sockaddr *)&address, sizeof address), 0);
        CHECK_INT(fcntl(client[i].fd, F_SETFL, O_NONBLOCK), 0);
        answers_wanted = home.answer_count + 1;
        client_send(&home, &client[i], STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
        turn_until(&home, &client[i], answers_came);
    }
    CHECK_INT(home.request_count, 3);
    for (int i = 0; i < 3; i++) {
        client_close(&client[i]);
    }
    home_close(&home);
}

TEST(after_drain_each_answer_closes_and_nobody_new_gets_in)
{
    struct home home;
    struct client client;
    home_open(&home);
    int port = http_server_port(home.server);
    client_open(&home, &client);
    answers_wanted = 1;
    client_send(&home, &client, STR("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    turn_until(&home, &client, answers_came);
    http_server_drain(home.server);
    client_send(&home, &client, STR("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    turn_until(&home, &client, server_closed);
    CHECK_INT(count_of(client_got(&client), "connection: close"), 1);
    CHECK_HAS(client_got(&client), "GET /2 1 |");
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) != 0);
    close(fd);
    client_close(&client);
    home_close(&home);
}

TEST(a_mock_can_drop_a_connection_before_and_within_an_answer)
{
    struct home home;
    struct client client;
    home_open(&home);
    home.drop = true;
    client_open(&home, &client);
    client_send(&home, &client, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    turn_until(&home, &client, server_closed);
    CHECK_INT(client.got_bytes, 0);
    CHECK(client.broken);
    client_close(&client);
    home.drop = false;
    home.cut_bytes = 30;
    client_open(&home, &client);
    client_send(&home, &client, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    turn_until(&home, &client, server_closed);
    CHECK(client.got_bytes <= 30); /* RST may overtake them */
    client_close(&client);
    home_close(&home);
}

/* --- listeners ----------------------------------------------------------------------------------------------------------- */

static enum rc try_to_open(struct http_options options, char *ret_why)
{
    struct http_server *server = NULL;
    struct arena arena;
    struct call call = {.arena = &arena};
    uv_loop_t loop;
    arena_open(&arena, 0);
    CHECK_INT(uv_loop_init(&loop), 0);
    options.world = &world;
    enum rc rc = http_server_open(&loop, &call, &options, &server);
    if (rc == RC_OK) {
        http_server_close(server);
        while (uv_run(&loop, UV_RUN_ONCE)) {}
        http_server_free(server);
    }
    CHECK_INT(uv_loop_close(&loop), 0);
    memcpy(ret_why, call.why, sizeof call.why);
    arena_close(&arena);
    return rc;
}

/* P9 */
TEST(P9_an_open_address_needs_a_proxy_in_front)
{
    static const char *const open_to_all[] = {"0.0.0.0:0", "[::]:0", "10.1.2.3:0"};
    struct http_options options = usual();
    char why[256];
    for (size_t i = 0; i < COUNT_OF(open_to_all); i++) {
        options.bind = str_of(open_to_all[i]);
        CHECK_RC(try_to_open(options, why), RC_INVALID);
        CHECK_HAS(str_of(why), "behind_proxy");
    }
    options.bind = STR("0.0.0.0:0");
    options.behind_proxy = true;
    CHECK_RC(try_to_open(options, why), RC_OK);
}

TEST(an_address_that_is_none_is_refused)
{
    static const char *const wrong[] = {"127.0.0.1", ":80",   "127.0.0.1:65536", "127.0.0.1:x",
                                        "::1:80",    "[::1]", "host.example:80", "127.0.0.1:"};
    struct http_options options = usual();
    char why[256];
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        options.bind = str_of(wrong[i]);
        CHECK_RC(try_to_open(options, why), RC_INVALID);
        CHECK_HAS(str_of(why), wrong[i]);
    }
    options.bind = STR("localhost:0");
    CHECK_RC(try_to_open(options, why), RC_OK);
}

TEST(an_address_in_use_is_a_conflict)
{
    struct home home;
    char why[256];
    home_open(&home);
    struct http_options options = usual();
    options.bind = arena_printf(&home.arena, "127.0.0.1:%d", http_server_port(home.server));
    CHECK_RC(try_to_open(options, why), RC_CONFLICT);
    home_close(&home);
}

TEST(a_unix_socket_is_for_the_group_only_and_its_remains_are_cleared_away)
{
    struct http_options options = usual();
    struct home home;
    struct stat info;
    char why[256];
    options.bind = STR_NONE;
    options.unix_socket = STR("sock");
    /* what a killed server leaves */
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "sock"};
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(stale, (struct sockaddr *)&address, sizeof address), 0);
    close(stale);
    home_open_with(&home, options);
    CHECK_INT(stat("sock", &info), 0);
    CHECK_INT(info.st_mode & 0777, 0660);
    CHECK_RC(try_to_open(options, why), RC_CONFLICT);
    struct client client = {.fd = socket(AF_UNIX, SOCK_STREAM, 0), .got = calloc(1, 8 << 20)};
    CHECK_INT(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
    answers_wanted = 1;
    client_send(&home, &client, STR("GET /unix HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    turn_until(&home, &client, answers_came);
    client_read(&client);
    CHECK_HAS(client_got(&client), "GET /unix 1 |");
    client_close(&client);
    home_close(&home);
    CHECK(stat("sock", &info) != 0);
    close(open("sock", O_CREAT | O_WRONLY, 0600));
    CHECK_RC(try_to_open(options, why), RC_INVALID); /* a file of somebody's is left alone */
}
