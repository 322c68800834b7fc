/* One loop, one mock, no locks. Requests are collected by the server's read callbacks and answered in uv_check, as
 * the turn of the real server does; an answer that shall take time waits in a timer of its own. */
#include "home/mock_server.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "core/api.h"
#include "home/http_server.h"

#define IDLE_TIMEOUT_MS 60000 /* as SAP's ICM */
#define REQUEST_MAX_BYTES ((size_t)4 << 20)
#define CONNECTIONS_MAX 2048

/* A request whose answer is late. */
struct waiting {
    uv_timer_t timer;
    struct mock_server *server;
    struct http_exchange *exchange;
    struct sap_answer answer;
    struct waiting *next, **link;
};

struct mock_server {
    uv_loop_t *loop;
    uv_check_t check;
    struct http_server *http;
    struct mock_server_options options;
    struct http_exchange *collected, **collected_end;
    struct waiting *waiting;
    int64_t logged_no;
    bool closed;
};

static void write_all(int fd, struct str text)
{
    while (text.len) {
        ssize_t wrote = write(fd, text.s, text.len);
        if (wrote < 0 && errno != EINTR) {
            return; /* a log of a mock: nobody's data depends on it */
        }
        text = str_from(text, wrote > 0 ? (size_t)wrote : 0);
    }
}

static void log_new_lines(struct mock_server *server, struct arena *arena)
{
    size_t count = sap_mock_log_count(server->options.sap), first = count;
    if (server->options.log_fd < 0) {
        return;
    }
    while (first > 0 && sap_mock_log_at(server->options.sap, first - 1)->no > server->logged_no) {
        first--;
    }
    for (size_t i = first; i < count; i++) {
        const struct sap_log *line = sap_mock_log_at(server->options.sap, i);
        struct str json = sap_mock_log_json(arena, line);
        write_all(server->options.log_fd, arena_printf(arena, STR_FMT "\n", STR_ARG(json)));
        server->logged_no = line->no;
    }
}

/* Carry the mock's answer out. */
static void deliver(struct http_exchange *exchange, const struct sap_answer *answer)
{
    struct response *response = &exchange->response;
    if (answer->drop == SAP_DROP_BEFORE || answer->drop == SAP_DROP_AFTER) {
        http_server_drop(exchange);
        return;
    }
    response->status = answer->status;
    assert(answer->header_count <= RESPONSE_HEADERS_MAX);
    for (size_t i = 0; i < answer->header_count; i++) {
        response->headers[response->header_count++] = answer->headers[i];
    }
    response->body = answer->body;
    if (answer->drop == SAP_DROP_HALF) {
        http_server_answer_cut(exchange, 40 + answer->body.len / 2);
    } else {
        http_server_answer(exchange);
    }
}

static void waiting_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void waiting_end(struct waiting *waiting)
{
    *waiting->link = waiting->next;
    if (waiting->next) {
        waiting->next->link = waiting->link;
    }
    uv_close((uv_handle_t *)&waiting->timer, waiting_closed);
}

static void on_timer(uv_timer_t *timer)
{
    struct waiting *waiting = timer->data;
    struct mock_server *server = waiting->server;
    deliver(waiting->exchange, &waiting->answer);
    waiting_end(waiting);
    http_server_flush(server->http);
}

static void wait_for(struct mock_server *server, struct http_exchange *exchange,
                     const struct sap_answer *answer)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (!waiting) {
        abort();
    }
    *waiting = (struct waiting){.server = server,
                                .exchange = exchange,
                                .answer = *answer,
                                .next = server->waiting,
                                .link = &server->waiting};
    if (server->waiting) {
        server->waiting->link = &waiting->next;
    }
    server->waiting = waiting;
    uv_timer_init(server->loop, &waiting->timer);
    waiting->timer.data = waiting;
    uv_timer_start(&waiting->timer, on_timer, (uint64_t)answer->delay_ms, 0);
}

/* "127.0.0.1:8181", "localhost", "[::1]:8181" */
static bool is_loopback(struct str host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct str name = str_of(names[i]);
        if (str_starts(host, name) && (host.len == name.len || host.s[name.len] == ':')) {
            return true;
        }
    }
    return false;
}

/* A web page in this machine's browser must not drive the mock: not by a form or another request that needs no leave of
 * ours (its content type, its Origin say so), not under a name that was made to point here (Host). out: 0 = go on. */
static int refuse_page(const struct request *request, const char **ret_why)
{
    struct str host = request_header(request, "host"), origin = request_header(request, "origin");
    struct str type = request_header(request, "content-type");
    type = text_trim(text_cut(&type, ';'));
    if (!is_loopback(host)) {
        *ret_why = "the control paths are for 127.0.0.1, [::1] and localhost; Host names another";
        return 403;
    }
    if (origin.len && !(str_starts(origin, STR("http://")) && is_loopback(str_from(origin, 7)))) {
        *ret_why = "the control paths are not for web pages of elsewhere (Origin)";
        return 403;
    }
    if (str_is(request->method, "POST") && !text_equal_nocase(type, STR("application/json"))) {
        *ret_why = "a POST to a control path needs content-type: application/json";
        return 415;
    }
    return 0;
}

static bool refuse(struct http_exchange *exchange)
{
    const char *why = NULL;
    int status = 0;
    if (str_starts(exchange->request.target, STR(SAP_MOCK_CONTROL))) {
        status = refuse_page(&exchange->request, &why);
    }
    if (status) {
        struct sap_answer answer = {
            .status = status, .body = arena_printf(&exchange->arena, "{\"error\":\"%s\"}\n", why)};
        answer.headers[answer.header_count++] =
            (struct header){STR("content-type"), STR("application/json")};
        deliver(exchange, &answer);
    }
    return status != 0;
}

static void take(struct mock_server *server, struct http_exchange *exchange)
{
    struct sap_answer answer;
    struct request request = exchange->request;
    if (refuse(exchange)) {
        return;
    }
    if (exchange->head_only) {
        request.method = STR("HEAD"); /* the mock tells them apart */
    }
    sap_mock_handle(server->options.sap, &exchange->arena,
                    clock_now_ms(server->options.world->clock), &request, &answer);
    log_new_lines(server, &exchange->arena);
    if (answer.delay_ms > 0) {
        wait_for(server, exchange, &answer);
    } else {
        deliver(exchange, &answer);
    }
}

static void on_request(void *context, struct http_exchange *exchange)
{
    struct mock_server *server = context;
    exchange->next = NULL;
    *server->collected_end = exchange;
    server->collected_end = &exchange->next;
}

static void on_check(uv_check_t *check)
{
    struct mock_server *server = check->data;
    struct http_exchange *exchange = server->collected;
    if (!exchange) {
        return;
    }
    server->collected = NULL;
    server->collected_end = &server->collected;
    while (exchange) {
        struct http_exchange *next = exchange->next;
        take(server, exchange);
        exchange = next;
    }
    http_server_flush(server->http);
}

enum rc mock_server_open(uv_loop_t *loop, struct call *call,
                         const struct mock_server_options *options, struct mock_server **ret_server)
{
    struct mock_server *server = calloc(1, sizeof(*server));
    if (!server) {
        abort();
    }
    struct http_options http = {.world = options->world,
                                .bind = options->bind,
                                .behind_proxy = options->behind_proxy,
                                .max_connections = CONNECTIONS_MAX,
                                .header_timeout_ms = 10000,
                                .body_timeout_ms = 20000,
                                .idle_timeout_ms =
                                    options->idle_ms ? options->idle_ms : IDLE_TIMEOUT_MS,
                                .body_max_bytes = REQUEST_MAX_BYTES,
                                .on_request = on_request,
                                .context = server};
    server->loop = loop;
    server->options = *options;
    server->collected_end = &server->collected;
    enum rc rc = http_server_open(loop, call, &http, &server->http);
    if (rc != RC_OK) {
        free(server);
        return rc;
    }
    uv_check_init(loop, &server->check);
    server->check.data = server;
    uv_check_start(&server->check, on_check);
    *ret_server = server;
    return RC_OK;
}

int mock_server_port(const struct mock_server *server)
{
    return http_server_port(server->http);
}

void mock_server_close(struct mock_server *server)
{
    if (server->closed) {
        return;
    }
    server->closed = true;
    while (server->waiting) {
        http_server_drop(server->waiting->exchange);
        waiting_end(server->waiting);
    }
    while (server->collected) {
        struct http_exchange *next = server->collected->next;
        http_server_drop(server->collected);
        server->collected = next;
    }
    uv_close((uv_handle_t *)&server->check, NULL);
    http_server_close(server->http);
}

void mock_server_free(struct mock_server *server)
{
    if (server) {
        http_server_free(server->http);
        free(server);
    }
}
