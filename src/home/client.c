/* Calls to a hourbell server by libcurl: single ones by an easy handle, many by a multi handle whose easy
 * handles are used again, so that connections stay open. A call is tried once: whoever repeats (import) has
 * an idempotency key for it. No redirect is followed and no proxy is used for a Unix socket or loopback. */
#include "home/client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIAL_MAX_BYTES 256
#define ANSWER_DEPTH 64 /* of JSON in answers: frames around documents */

/* ---- one exchange: an easy handle and what came ------------------------------------------------------- */

struct exchange {
    CURL *easy;
    struct curl_slist *headers;
    struct arena arena; /* request and answer; reset with each request */
    struct text body;
    struct client_answer answer;
    void *context;
    bool busy;
};

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    text_add(&exchange->body, (struct str){data, size * count});
    return exchange->body.full ? 0 : size * count;
}

static struct str header_value(struct str line, const char *name)
{
    size_t len = strlen(name);
    if (line.len <= len || strncasecmp(line.s, name, len) != 0 || line.s[len] != ':') {
        return STR_NONE;
    }
    line = str_from(line, len + 1);
    while (line.len && (line.s[0] == ' ' || line.s[0] == '\t')) {
        line = str_from(line, 1);
    }
    while (line.len && strchr("\r\n \t", line.s[line.len - 1])) {
        line.len--;
    }
    return line;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct str line = {data, size * count}, value = header_value(line, "retry-after");
    int64_t seconds = 0;
    if (value.len && text_to_i64(value, &seconds) == RC_OK && seconds > 0) {
        exchange->answer.retry_after_ms = min_i64(seconds, 3600) * 1000;
    }
    if (str_is(header_value(line, "idempotency-replayed"), "true")) {
        exchange->answer.replayed = true;
    }
    return line.len;
}

static void add_header(struct exchange *exchange, struct str line)
{
    struct str copy = arena_copy(&exchange->arena, line);
    struct curl_slist *longer = curl_slist_append(exchange->headers, copy.s);
    assert(longer); /* libcurl gives NULL only without memory */
    exchange->headers = longer;
}

static void set_headers(const struct client *client, struct exchange *exchange,
                        const struct client_request *request)
{
    struct arena *arena = &exchange->arena;
    curl_slist_free_all(exchange->headers);
    exchange->headers = NULL;
    if (client->credential) {
        add_header(exchange, str_of(client->credential));
    }
    if (request->body.len) {
        add_header(exchange, STR("content-type: application/json"));
    }
    add_header(exchange, STR("expect:"));
    if (request->idempotency_key.len) {
        add_header(exchange, arena_printf(arena, "idempotency-key: " STR_FMT,
                                          STR_ARG(request->idempotency_key)));
    }
    if (request->if_match) {
        add_header(exchange,
                   arena_printf(arena, "if-match: \"%lld\"", (long long)request->if_match));
    }
}

/* Everything but the transfer itself. */
static void exchange_set(const struct client *client, struct exchange *exchange,
                         const struct client_request *request)
{
    arena_reset(&exchange->arena);
    text_open(&exchange->body, &exchange->arena, CLIENT_ANSWER_MAX_BYTES);
    memset(&exchange->answer, 0, sizeof exchange->answer);
    set_headers(client, exchange, request);

    CURL *easy = exchange->easy;
    struct str url =
        arena_printf(&exchange->arena, "%s" STR_FMT, client->url, STR_ARG(request->target));
    curl_easy_reset(easy); /* keeps connections */
    curl_easy_setopt(easy, CURLOPT_URL, url.s);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body.len || strcmp(request->method, "POST") == 0) {
        struct str body = arena_copy(&exchange->arena, request->body);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.s);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body.len);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->answer.error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)client->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)min_i64(client->timeout_ms, 10000));
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* "." and ".." are names too */
    if (client->socket) {
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, client->socket);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    }
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
}

static void exchange_end(struct exchange *exchange, CURLcode code)
{
    long status = 0;
    if (code == CURLE_OK &&
        curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK) {
        exchange->answer.status = status;
        exchange->answer.body = text_str(&exchange->body);
    } else if (exchange->answer.error[0] == '\0') {
        snprintf(exchange->answer.error, sizeof exchange->answer.error, "%s",
                 curl_easy_strerror(code));
    }
}

static void exchange_close(struct exchange *exchange)
{
    curl_slist_free_all(exchange->headers);
    arena_close(&exchange->arena);
}

/* ---- where and who ------------------------------------------------------------------------------------------ */

/* The first line of a file that nobody else may read. */
static int credential_read(const struct args *args, const char *path,
                           char room[CREDENTIAL_MAX_BYTES + 1])
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return command_fail(args, EXIT_AUTH, "%s: %s", path, strerrordesc_np(errno));
    }
    if (fstat(fd, &status) != 0 || (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0)) {
        close(fd);
        return command_fail(args, EXIT_AUTH, "%s may be read by others: chmod 600 %s", path, path);
    }
    ssize_t len = read(fd, room, CREDENTIAL_MAX_BYTES);
    close(fd);
    if (len <= 0) {
        return command_fail(args, EXIT_AUTH, "%s: %s", path,
                            len < 0 ? strerrordesc_np(errno) : "it is empty");
    }
    room[len] = '\0';
    return EXIT_DONE;
}

static int credential_find(const struct args *args, struct client *client)
{
    char room[CREDENTIAL_MAX_BYTES + 1];
    const char *file = args_text(args, "key-file", NULL), *key = NULL;
    if (!file) {
        key = getenv("HOURBELL_KEY");
        file = getenv("HOURBELL_KEY_FILE");
    }
    if (!key || !*key) {
        if (!file || !*file) {
            return EXIT_DONE; /* the server says what it thinks of that */
        }
        int exit_code = credential_read(args, file, room);
        if (exit_code != EXIT_DONE) {
            return exit_code;
        }
        key = room;
    }
    size_t len = strcspn(key, " \t\r\n");
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e) {
            return command_fail(args, EXIT_AUTH, "the credential holds a character that none has");
        }
    }
    if (len > CREDENTIAL_MAX_BYTES) {
        return command_fail(args, EXIT_AUTH,
                            "the credential is longer than any that hourbell made");
    }
    client->credential = arena_printf(args->arena, "x-api-key: %.*s", (int)len, key).s;
    return EXIT_DONE;
}

int client_open(const struct args *args, struct client *ret_client)
{
    struct client client = {.args = args,
                            .arena = args->arena,
                            .timeout_ms = args_span_ms(args, "timeout", CLIENT_TIMEOUT_MS)};
    const char *url = args_text(args, "url", getenv("HOURBELL_URL"));
    url = url && *url ? url : "http://127.0.0.1:8080";
    if (strncmp(url, "unix:", 5) == 0) {
        client.socket = url + 5;
        client.url = "http://hourbell";
    } else if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0) {
        struct str copy = arena_copy(args->arena, str_of(url));
        size_t len = copy.len;
        while (len && copy.s[len - 1] == '/') {
            len--;
        }
        client.url = arena_copy(args->arena, str_head(copy, len)).s;
    } else {
        return command_fail(args, EXIT_USAGE,
                            "--url is http://..., https://... or unix:/path, not '%s'", url);
    }
    int exit_code = credential_find(args, &client);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(client.easy = curl_easy_init())) {
        return command_fail(args, EXIT_FAILED, "libcurl does not start");
    }
    *ret_client = client;
    return EXIT_DONE;
}

void client_close(struct client *client)
{
    if (client && client->easy) {
        curl_easy_cleanup(client->easy);
        client->easy = NULL;
    }
}

/* ---- single calls --------------------------------------------------------------------------------------------- */

int client_exit_code(struct arena *arena, const struct client_answer *answer)
{
    yyjson_val *root = NULL;
    if (answer->status == 0) {
        return EXIT_UNREACHABLE;
    }
    if (answer->status >= 200 && answer->status < 300) {
        return EXIT_DONE;
    }
    if (json_read(arena, answer->body, ANSWER_DEPTH, &root, NULL) == RC_OK) {
        enum problem problem = problem_of(json_member_str(root, "code", STR_NONE));
        if (problem != PROBLEM_NONE) {
            return problem_info(problem)->exit_code;
        }
    }
    switch (answer->status) { /* a gateway's answer, not hourbell's */
    case 401:
    case 403:
        return EXIT_AUTH;
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
    case 412:
        return EXIT_CONFLICT;
    case 502:
    case 503:
    case 504:
        return EXIT_UNREACHABLE;
    default:
        return answer->status >= 400 && answer->status < 500 && answer->status != 429 ? EXIT_INVALID
                                                                                      : EXIT_FAILED;
    }
}

int client_call(struct client *client, const struct client_request *request,
                struct client_answer *ret_answer)
{
    struct exchange exchange = {.easy = client->easy};
    arena_open(&exchange.arena, 4 * CLIENT_ANSWER_MAX_BYTES);
    exchange_set(client, &exchange, request);
    exchange_end(&exchange, curl_easy_perform(client->easy));
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER,
                     NULL); /* it points into what is closed now */
    curl_easy_setopt(client->easy, CURLOPT_ERRORBUFFER, NULL);
    *ret_answer = exchange.answer;
    ret_answer->body = arena_copy(client->arena, exchange.answer.body);
    exchange_close(&exchange);
    return client_exit_code(client->arena, ret_answer);
}

/* Text of a foreign answer on a terminal: no control bytes. */
static void tell_text(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        fputc((unsigned char)text.s[i] < 0x20 || text.s[i] == 0x7f ? ' ' : text.s[i], stderr);
    }
}

static void tell_problem(yyjson_val *root)
{
    struct str detail = json_member_str(root, "detail", json_member_str(root, "title", STR_NONE));
    tell_text(json_member_str(root, "code", STR_NONE));
    fputs(": ", stderr);
    tell_text(detail);
    fputc('\n', stderr);
    size_t at, count;
    yyjson_val *item;
    yyjson_arr_foreach(json_member(root, "errors"), at, count, item)
    {
        struct str pointer = json_member_str(item, "pointer", STR_NONE);
        struct str words = json_member_str(item, "detail", STR_NONE);
        if (pointer.len == 0 && str_equal(words, detail)) {
            continue;
        }
        fputs("  ", stderr);
        tell_text(pointer.len ? pointer : STR("(body)"));
        fputs(": ", stderr);
        tell_text(json_member_str(item, "code", STR_NONE));
        fputs(": ", stderr);
        tell_text(words);
        fputc('\n', stderr);
    }
    yyjson_val *current = json_member(root, "current");
    if (current) {
        fprintf(stderr, "  current revision %lld, written by " STR_FMT " at " STR_FMT "\n",
                (long long)json_member_i64(current, "revision", 0),
                STR_ARG(json_member_str(current, "by", STR("?"))),
                STR_ARG(json_member_str(current, "at", STR("?"))));
    }
}

int client_tell(const struct client *client, const struct client_answer *answer, int exit_code)
{
    yyjson_val *root = NULL;
    fflush(stdout);
    fprintf(stderr, "hourbell %s: ", client->args->command->name);
    if (answer->status == 0) {
        const char *where = client->socket ? client->socket : client->url;
        fprintf(stderr, "%s: %s\n", where, answer->error);
        if (!args_has(client->args, "url") && !getenv("HOURBELL_URL")) {
            fprintf(stderr,
                    "  Is the server running there? Another address: --url URL or HOURBELL_URL.\n");
        }
        return exit_code;
    }
    if (json_read(client->arena, answer->body, ANSWER_DEPTH, &root, NULL) == RC_OK &&
        json_member(root, "code")) {
        tell_problem(root);
    } else {
        fprintf(stderr, "the server answered %lld: ", (long long)answer->status);
        tell_text(str_head(answer->body, answer->body.len < 200 ? answer->body.len : 200));
        fputc('\n', stderr);
    }
    if (answer->status == 401 && !client->credential) {
        fprintf(stderr, "  There was no credential: set HOURBELL_KEY or HOURBELL_KEY_FILE, or give "
                        "--key-file FILE.\n");
    }
    if (answer->retry_after_ms) {
        fprintf(stderr, "  Try again in %lld s.\n", (long long)answer->retry_after_ms / 1000);
    }
    return exit_code;
}

int client_ask(struct client *client, const struct client_request *request, yyjson_val **ret_root,
               struct client_answer *ret_answer)
{
    int exit_code = client_call(client, request, ret_answer);
    if (exit_code != EXIT_DONE) {
        return client_tell(client, ret_answer, exit_code);
    }
    if (json_read(client->arena, ret_answer->body, ANSWER_DEPTH, ret_root, NULL) != RC_OK) {
        return command_fail(client->args, EXIT_FAILED,
                            "the answer is not JSON: is this a hourbell server?");
    }
    return EXIT_DONE;
}

int client_pages(struct client *client, struct str target, int64_t limit,
                 int (*take)(void *context, struct client *, yyjson_val *item), void *context)
{
    struct arena arena, *outer = client->arena;
    char cursor[CURSOR_MAX_BYTES * 3 + 16] = "",
                                       joint = memchr(target.s, '?', target.len) ? '&' : '?';
    int64_t taken = 0;
    bool more = true;
    int exit_code = EXIT_DONE;
    arena_open(&arena, 8 * CLIENT_ANSWER_MAX_BYTES);
    client->arena = &arena;
    while (more && exit_code == EXIT_DONE) {
        struct client_answer answer;
        yyjson_val *root = NULL, *item;
        size_t at, count;
        int64_t page = limit ? min_i64(limit - taken, PAGE_MAX) : PAGE_MAX;
        arena_reset(&arena);
        struct client_request request = {.method = "GET",
                                         .target = arena_printf(&arena, STR_FMT "%climit=%lld%s",
                                                                STR_ARG(target), joint,
                                                                (long long)page, cursor)};
        exit_code = client_ask(client, &request, &root, &answer);
        if (exit_code != EXIT_DONE) {
            break;
        }
        yyjson_arr_foreach(json_member(root, "items"), at, count, item)
        {
            if (exit_code == EXIT_DONE) {
                exit_code = take(context, client, item);
                taken++;
            }
        }
        more = json_member_bool(root, "has_more", false) && (limit == 0 || taken < limit);
        struct str next = client_encode(&arena, json_member_str(root, "next_cursor", STR_NONE));
        snprintf(cursor, sizeof cursor, "&cursor=%.*s", (int)next.len, next.s ? next.s : "");
    }
    client->arena = outer;
    arena_close(&arena);
    return exit_code;
}

struct str client_encode(struct arena *arena, struct str text)
{
    struct text out;
    text_open(&out, arena, 3 * text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c && strchr("-._~", c))) {
            text_add_char(&out, (char)c);
        } else {
            text_printf(&out, "%%%02X", c);
        }
    }
    return text_str(&out);
}

struct str client_device_target(struct client *client, struct str name, const char *rest)
{
    struct str encoded = client_encode(client->arena, name);
    return arena_printf(client->arena, "/devices/" STR_FMT "%s", STR_ARG(encoded), rest);
}

/* ---- many in flight ---------------------------------------------------------------------------------------------- */

struct client_pool {
    struct client *client;
    CURLM *multi;
    int in_flight, busy;
    struct exchange *last; /* handed out by client_pool_next: free again with the next call */
    struct exchange exchanges[];
};

struct client_pool *client_pool_open(struct client *client, int in_flight)
{
    assert(in_flight > 0 && in_flight <= CLIENT_IN_FLIGHT_MAX);
    struct client_pool *pool = arena_alloc(
        client->args->arena, sizeof *pool + (size_t)in_flight * sizeof pool->exchanges[0]);
    pool->client = client;
    pool->in_flight = in_flight;
    pool->multi = curl_multi_init();
    bool whole = pool->multi != NULL;
    for (int i = 0; i < in_flight; i++) {
        arena_open(&pool->exchanges[i].arena, 4 * CLIENT_ANSWER_MAX_BYTES);
        pool->exchanges[i].easy = whole ? curl_easy_init() : NULL;
        whole = whole && pool->exchanges[i].easy;
    }
    if (!whole) {
        client_pool_close(pool);
        command_fail(client->args, EXIT_FAILED, "libcurl does not start");
        return NULL;
    }
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)in_flight);
    return pool;
}

static void pool_release(struct client_pool *pool)
{
    if (pool->last) {
        pool->last->busy = false;
        pool->last = NULL;
        pool->busy--;
    }
}

void client_pool_close(struct client_pool *pool)
{
    if (!pool) {
        return;
    }
    for (int i = 0; i < pool->in_flight; i++) {
        struct exchange *exchange = &pool->exchanges[i];
        if (exchange->easy) {
            if (exchange->busy && exchange != pool->last) {
                curl_multi_remove_handle(pool->multi, exchange->easy);
            }
            curl_easy_cleanup(exchange->easy);
        }
        exchange_close(exchange);
    }
    if (pool->multi) {
        curl_multi_cleanup(pool->multi);
    }
}

bool client_pool_has_room(const struct client_pool *pool)
{
    return pool->busy - (pool->last != NULL) < pool->in_flight;
}

int client_pool_count(const struct client_pool *pool)
{
    return pool->busy - (pool->last != NULL);
}

void client_pool_send(struct client_pool *pool, const struct client_request *request, void *context)
{
    pool_release(pool);
    struct exchange *exchange = NULL;
    for (int i = 0; i < pool->in_flight && !exchange; i++) {
        exchange = pool->exchanges[i].busy ? NULL : &pool->exchanges[i];
    }
    assert(exchange);
    exchange->busy = true;
    exchange->context = context;
    pool->busy++;
    exchange_set(pool->client, exchange, request);
    CURLMcode code = curl_multi_add_handle(pool->multi, exchange->easy);
    assert(code == CURLM_OK);
}

/* One that has ended, if there is one. */
static struct exchange *pool_ended(struct client_pool *pool)
{
    int left = 0;
    struct exchange *exchange = NULL;
    for (CURLMsg *message; (message = curl_multi_info_read(pool->multi, &left));) {
        if (message->msg == CURLMSG_DONE) {
            CURLcode code = message->data.result; /* gone with remove_handle */
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
            exchange_end(exchange, code);
            curl_multi_remove_handle(pool->multi, exchange->easy);
            return exchange;
        }
    }
    return NULL;
}

bool client_pool_next(struct client_pool *pool, int64_t wait_ms, struct client_done *ret_done)
{
    int running = 0;
    pool_release(pool);
    struct exchange *exchange = pool_ended(pool);
    if (!exchange) {
        CURLMcode code = curl_multi_perform(pool->multi, &running);
        exchange = pool_ended(pool);
        if (!exchange && code == CURLM_OK && wait_ms > 0) {
            code = curl_multi_poll(pool->multi, NULL, 0, (int)min_i64(wait_ms, 60000), NULL);
            if (code == CURLM_OK) {
                code = curl_multi_perform(pool->multi, &running);
            }
            exchange = pool_ended(pool);
        }
        assert(code == CURLM_OK);
    }
    if (!exchange) {
        return false;
    }
    pool->last = exchange;
    *ret_done = (struct client_done){exchange->context, &exchange->answer};
    return true;
}
