/* libcurl as this project uses it, against a tiny server on loopback that misbehaves as it is told. What counts: how far
 * a request came is told right, and a write leaves at most once. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/clock_system.h"
#include "adapters/http_client.h"
#include "test.h"

#define SEEN_MAX 16

/* One letter per request: o answer, r redirect, c close without an answer, h half an answer, b a big answer, n never answer,
 * p take a part and break; between requests: x close this connection (and take the next one), e the client closes it (else:
 * was_reused). */
struct tiny {
    int listener, port;
    pthread_t thread;
    const char *acts;
    char seen[SEEN_MAX][4096];
    int seen_count;
    bool was_reused;
};

static void break_off(int fd) /* with RST */
{
    struct linger linger = {.l_onoff = 1};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void)close(fd);
}

/* Read a head and its body. false: the peer closed. */
static bool read_request(int fd, char *into, size_t room)
{
    size_t size = 0, want = SIZE_MAX;
    while (size < want && size < room - 1) {
        ssize_t got = recv(fd, into + size, room - 1 - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        into[size] = '\0';
        const char *end = strstr(into, "\r\n\r\n"), *length = strcasestr(into, "content-length:");
        if (end && want == SIZE_MAX) {
            want = (size_t)(end - into) + 4 +
                   (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
        }
    }
    return true;
}

static void say(int fd, const char *text)
{
    size_t size = strlen(text);
    (void)!send(fd, text, size, MSG_NOSIGNAL);
}

static void say_big(int fd)
{
    static char block[65536];
    memset(block, 'a', sizeof(block));
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 655360\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        if (send(fd, block, sizeof(block), MSG_NOSIGNAL) < 0) {
            return;
        }
    }
}

/* One act. false: the connection is over. */
static bool act(struct tiny *tiny, int fd, char what)
{
    char few[64];
    if (what == 'x') {
        return false;
    }
    if (what == 'e') {
        tiny->was_reused = recv(fd, few, sizeof(few), 0) > 0;
        return false;
    }
    if (what == 'p') {
        (void)!recv(fd, few, sizeof(few), 0);
        return false;
    }
    if (tiny->seen_count == SEEN_MAX ||
        !read_request(fd, tiny->seen[tiny->seen_count], sizeof(tiny->seen[0]))) {
        return false;
    }
    tiny->seen_count++;
    switch (what) {
    case 'o':
        say(fd,
            "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nX-Thing:  a b \r\nETag: \"1\"\r\n\r\nok");
        return true;
    case 'r':
        say(fd, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        return true;
    case 'h':
        say(fd, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\nhalf");
        return false;
    case 'b':
        say_big(fd);
        return true;
    case 'n':
        (void)!recv(fd, few, sizeof(few), 0);
        return false;
    default:
        return false;
    }
}

static void *serve(void *context)
{
    struct tiny *tiny = context;
    int fd = -1;
    for (const char *at = tiny->acts; *at; at++) {
        while (fd < 0) {
            fd = accept(tiny->listener, NULL, NULL);
        }
        if (!act(tiny, fd, *at)) {
            break_off(fd);
            fd = -1;
        }
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return NULL;
}

static void tiny_open(struct tiny *tiny, const char *acts)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    *tiny = (struct tiny){.acts = acts, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK_INT(bind(tiny->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_INT(listen(tiny->listener, 8), 0);
    CHECK_INT(getsockname(tiny->listener, (struct sockaddr *)&address, &size), 0);
    tiny->port = ntohs(address.sin_port);
    CHECK_INT(pthread_create(&tiny->thread, NULL, serve, tiny), 0);
}

static void tiny_close(struct tiny *tiny)
{
    pthread_join(tiny->thread, NULL);
    (void)close(tiny->listener);
}

struct client {
    struct clock_system clock;
    struct arena arena;
    struct call call;
    struct http_client *http;
};

static void client_open(struct client *client, struct http_client_options options)
{
    *client = (struct client){0};
    clock_system_open(&client->clock);
    arena_open(&client->arena, 0);
    client->call.arena = &client->arena;
    CHECK_RC(http_client_open(&client->call, &options, &client->http), RC_OK);
}

static void client_close(struct client *client)
{
    http_client_close(client->http);
    arena_close(&client->arena);
}

static struct inbound ask(struct client *client, int port, struct outbound outbound)
{
    struct inbound inbound;
    outbound.url = arena_printf(&client->arena, "http://127.0.0.1:%d/a?b='c'", port);
    http_client_perform(client->http, &client->call, &client->clock.clock, &outbound, &inbound);
    return inbound;
}

static const struct outbound get = {.method = {"GET", 3}};
static const struct outbound patch = {
    .method = {"PATCH", 5}, .body = {"{\"a\":1}", 7}, .write = true};

TEST(an_answer_comes_with_its_headers_and_a_request_states_its_length)
{
    struct tiny tiny;
    struct client client;
    tiny_open(&tiny, "oooo");
    client_open(&client, (struct http_client_options){0});
    struct header headers[] = {{STR("Content-Type"), STR("application/json")},
                               {STR("X-Empty"), STR("")}};
    struct outbound outbound = patch;
    outbound.headers = headers;
    outbound.header_count = 2;
    struct inbound inbound = ask(&client, tiny.port, outbound);
    CHECK_INT(inbound.end, INBOUND_ANSWERED);
    CHECK_INT(inbound.status, 200);
    CHECK_STR(inbound.body, "ok");
    CHECK_STR(inbound_header(&inbound, "x-thing"), "a b");
    CHECK(inbound.sent_at_ms > 0);
    (void)ask(&client, tiny.port, get);
    (void)ask(&client, tiny.port, (struct outbound){.method = STR("POST"), .write = true});
    (void)ask(&client, tiny.port,
              (struct outbound){.method = STR("MERGE"), .body = STR("{}"), .write = true});
    client_close(&client);
    tiny_close(&tiny);
    CHECK_HAS(str_of(tiny.seen[0]), "PATCH /a?b='c' HTTP/1.1\r\n");
    CHECK_HAS(str_of(tiny.seen[0]), "Content-Length: 7\r\n");
    CHECK_HAS(str_of(tiny.seen[0]), "X-Empty:");
    CHECK_HAS(str_of(tiny.seen[0]), "\r\n\r\n{\"a\":1}");
    CHECK_HAS_NOT(str_of(tiny.seen[0]), "Expect");
    CHECK_HAS_NOT(str_of(tiny.seen[0]), "Transfer-Encoding");
    CHECK_HAS_NOT(str_of(tiny.seen[1]), "Content-Length");
    CHECK_HAS(str_of(tiny.seen[2]), "Content-Length: 0\r\n");
    CHECK_HAS(str_of(tiny.seen[3]), "MERGE /a");
}

/* S6 */
TEST(no_redirect_is_followed_and_no_proxy_of_the_environment_is_used)
{
    struct tiny tiny;
    struct client client;
    (void)setenv("http_proxy", "http://127.0.0.1:1", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:1", 1);
    tiny_open(&tiny, "r");
    client_open(&client, (struct http_client_options){0});
    struct inbound inbound = ask(&client, tiny.port, get);
    CHECK_INT(inbound.status, 302);
    CHECK_STR(inbound_header(&inbound, "location"), "/elsewhere");
    client_close(&client);
    tiny_close(&tiny);
    CHECK_INT(tiny.seen_count, 1);
}

/* P2: the moment is checked when the connection stands */
TEST(nothing_leaves_before_send_from_nor_at_or_after_send_before)
{
    struct tiny tiny;
    struct client client;
    struct outbound late = patch;
    tiny_open(&tiny, "ooo");
    client_open(&client, (struct http_client_options){0});
    late.send_before_at_ms = clock_now_ms(&client.clock.clock);
    struct inbound inbound = ask(&client, tiny.port, late);
    CHECK_INT(inbound.end, INBOUND_NOT_SENT);
    CHECK_INT(inbound.sent_at_ms, 0);
    late.send_before_at_ms = clock_now_ms(&client.clock.clock) + 60000;
    late.send_from_at_ms = late.send_before_at_ms - 30000; /* the clock was set back */
    inbound = ask(&client, tiny.port, late);
    CHECK_INT(inbound.end, INBOUND_NOT_SENT);
    CHECK_INT(inbound.sent_at_ms, 0);
    late.send_from_at_ms = late.send_before_at_ms - 60000;
    inbound = ask(&client, tiny.port, late);
    CHECK_INT(inbound.end, INBOUND_ANSWERED);
    client_close(&client);
    tiny_close(&tiny);
    CHECK_INT(tiny.seen_count, 1);
}

/* T3: libcurl repeats a request in silence when a kept-alive connection turns out to be dead; a write must not leave twice */
TEST(a_write_on_a_dead_kept_alive_connection_is_lost_and_a_read_is_repeated)
{
    struct tiny tiny;
    struct client client;
    tiny_open(&tiny, "ocxoo"); /* x: the connection that the repeat was refused on */
    client_open(&client, (struct http_client_options){0});
    CHECK_INT(ask(&client, tiny.port, get).end, INBOUND_ANSWERED);
    struct inbound inbound = ask(&client, tiny.port, patch);
    CHECK_INT(inbound.end, INBOUND_LOST);
    CHECK_INT(inbound.status, 0);
    CHECK_INT(ask(&client, tiny.port, patch).end, INBOUND_ANSWERED);
    CHECK_INT(ask(&client, tiny.port, get).end, INBOUND_ANSWERED);
    client_close(&client);
    tiny_close(&tiny);
    CHECK_INT(tiny.seen_count, 4);
    tiny_open(&tiny, "oco");
    client_open(&client, (struct http_client_options){0});
    CHECK_INT(ask(&client, tiny.port, get).end, INBOUND_ANSWERED);
    CHECK_INT(ask(&client, tiny.port, get).end, INBOUND_ANSWERED);
    client_close(&client);
    tiny_close(&tiny);
    CHECK_INT(tiny.seen_count, 3);
}

/* T3: SAP closes a connection that rests for a minute: one that rested nearly as long is not trusted with a write */
TEST_SLOW(a_connection_that_rested_too_long_is_not_used_again)
{
    struct tiny tiny;
    struct client client;
    CHECK_INT(HTTP_IDLE_MAX_S, 50);
    tiny_open(&tiny, "ooeo");
    client_open(&client, (struct http_client_options){.idle_max_s = 1});
    CHECK_INT(ask(&client, tiny.port, get).end, INBOUND_ANSWERED);
    CHECK_INT(ask(&client, tiny.port, patch).end, INBOUND_ANSWERED);
    (void)poll(NULL, 0, 3000); /* libcurl counts whole seconds */
    CHECK_INT(ask(&client, tiny.port, patch).end, INBOUND_ANSWERED);
    client_close(&client);
    tiny_close(&tiny);
    CHECK(!tiny.was_reused);
    CHECK_INT(tiny.seen_count, 3);
}

/* T2 */
TEST(how_far_a_request_came_is_told)
{
    struct tiny tiny;
    struct client client;
    tiny_open(&tiny, "chnp");
    client_open(&client, (struct http_client_options){0});
    CHECK_INT(ask(&client, tiny.port, patch).end, INBOUND_LOST);
    struct inbound half = ask(&client, tiny.port, patch);
    CHECK_INT(half.end, INBOUND_LOST);
    CHECK_INT(half.status, 201);
    struct outbound brief = patch;
    brief.timeout_ms = 100;
    CHECK_INT(ask(&client, tiny.port, brief).end, INBOUND_TIMEOUT);
    size_t size =
        (size_t)32 << 20; /* more than the kernel takes: the server breaks off in the middle */
    char *bytes = malloc(size);
    CHECK(bytes);
    memset(bytes, 'x', size);
    struct outbound big = patch;
    big.body = (struct str){bytes, size};
    CHECK_INT(ask(&client, tiny.port, big).end, INBOUND_INCOMPLETE);
    client_close(&client);
    tiny_close(&tiny);
    free(bytes);
}

TEST(nobody_there_is_no_connection)
{
    struct tiny tiny;
    struct client client;
    tiny_open(&tiny, "");
    tiny_close(&tiny);
    client_open(&client, (struct http_client_options){0});
    struct inbound inbound = ask(&client, tiny.port, patch);
    CHECK_INT(inbound.end, INBOUND_NO_CONNECTION);
    CHECK_INT(inbound.sent_at_ms, 0);
    CHECK(inbound.why.len > 0);
    client_close(&client);
}

static bool never(void *context, const struct sockaddr *address, socklen_t size_bytes)
{
    CHECK_INT(address->sa_family, AF_INET);
    CHECK_INT(size_bytes, sizeof(struct sockaddr_in));
    ++*(int *)context;
    return false;
}

/* P9 */
TEST(an_address_that_is_not_allowed_is_not_connected_to)
{
    struct tiny tiny;
    struct client client;
    int asked = 0;
    tiny_open(&tiny, "");
    client_open(&client, (struct http_client_options){.address_allowed = never, .context = &asked});
    struct inbound inbound = ask(&client, tiny.port, get);
    CHECK_INT(inbound.end, INBOUND_NO_CONNECTION);
    CHECK_STR(inbound.why, "the address is not allowed");
    CHECK_INT(asked, 1);
    client_close(&client);
    tiny_close(&tiny);
}

struct gate {
    uint32_t allowed; /* the one address */
    int asked;
};

static bool only_one(void *context, const struct sockaddr *address, socklen_t size_bytes)
{
    struct gate *gate = context;
    CHECK_INT(size_bytes, sizeof(struct sockaddr_in));
    gate->asked++;
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) == gate->allowed;
}

/* P9: a name whose addresses are some public, some not: each is judged, and only what is allowed is connected to. */
TEST(of_several_addresses_only_an_allowed_one_is_connected_to)
{
    static const char *const answers[] = {"127.0.0.2,127.0.0.1", "127.0.0.1,127.0.0.2",
                                          "127.0.0.2,127.0.0.3,127.0.0.1"};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        for (uint32_t last = 1; last <= 4; last += 3) { /* 127.0.0.1 is allowed; none of them is */
            struct gate gate = {.allowed = (127U << 24) + last};
            struct outbound outbound = get;
            struct inbound inbound;
            struct tiny tiny;
            struct client client;
            char resolve[128];
            tiny_open(&tiny, last == 1 ? "o" : "");
            (void)snprintf(resolve, sizeof resolve, "mixed.test:%d:%s", tiny.port, answers[i]);
            client_open(&client, (struct http_client_options){.address_allowed = only_one,
                                                              .context = &gate,
                                                              .resolve = resolve});
            outbound.url = arena_printf(&client.arena, "http://mixed.test:%d/", tiny.port);
            http_client_perform(client.http, &client.call, &client.clock.clock, &outbound,
                                &inbound);
            CHECK_INT(inbound.end, last == 1 ? INBOUND_ANSWERED : INBOUND_NO_CONNECTION);
            CHECK(last == 1 || str_is(inbound.why, "the address is not allowed"));
            CHECK(gate.asked >= (last == 1 ? 1 : i < 2 ? 2 : 3)); /* none is passed over */
            client_close(&client);
            tiny_close(&tiny);
        }
    }
}

TEST(a_long_answer_is_cut_and_the_connection_stays_good)
{
    struct tiny tiny;
    struct client client;
    struct outbound outbound = get;
    tiny_open(&tiny, "bo");
    client_open(&client, (struct http_client_options){0});
    outbound.answer_max_bytes = 1000;
    struct inbound inbound = ask(&client, tiny.port, outbound);
    CHECK_INT(inbound.end, INBOUND_ANSWERED);
    CHECK(inbound.cut);
    CHECK_INT(inbound.body.len, 1000);
    CHECK_STR(ask(&client, tiny.port, get).body, "ok");
    client_close(&client);
    tiny_close(&tiny);
}

/* P9 */
TEST(a_header_value_never_makes_a_line_of_its_own)
{
    struct client client;
    struct header bad = {STR("X-A"), STR("a\r\nX-B: b")};
    client_open(&client, (struct http_client_options){0});
    struct inbound inbound = ask(
        &client, 1, (struct outbound){.method = STR("GET"), .headers = &bad, .header_count = 1});
    CHECK_INT(inbound.end, INBOUND_NO_CONNECTION);
    CHECK_HAS(inbound.why, "control byte");
    client_close(&client);
}
