/* One exchange by libcurl. It is tried once: whoever repeats has an idempotency key for it. No redirect is followed
 * and no proxy is used for a Unix socket or loopback. */
#include "home/client_exchange.h"

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
void exchange_set(const struct client *client, struct exchange *exchange,
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

void exchange_end(struct exchange *exchange, CURLcode code)
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

void exchange_close(struct exchange *exchange)
{
    curl_slist_free_all(exchange->headers);
    arena_close(&exchange->arena);
}
