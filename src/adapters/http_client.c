/* libcurl in the one way this project uses it. The rule it keeps: of every request it can say whether a byte
 * left, whether the whole request left, and whether an answer began; and a write leaves at most once.
 * What an end means is left to the adapters. */
#include "adapters/http_client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

#define ANSWER_GIVE_UP_BYTES                                                                       \
    ((size_t)64 << 20) /* beyond this an answer is no longer read to its end */

struct http_client {
    CURL *easy;
    struct curl_slist *resolve;
    struct http_client_options options;
    char proxy[512], ca_file[1024];
    char sign_scope[128], sign_key_id[128], sign_secret[256];
};

/* One request under way: what the callbacks of libcurl need. */
struct running {
    const struct http_client *client;
    const struct outbound *outbound;
    struct inbound *answer;
    struct call *call;
    struct clock *clock;
    struct text body;
    size_t answer_bytes;
    int starts;    /* how often libcurl was about to send the request */
    bool again;    /* libcurl set out to repeat it: its counters are those of the repeat */
    bool mistimed; /* send_before had passed, or the clock was set back */
    bool refused;  /* an address was not allowed */
    char error[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started = CURLE_FAILED_INIT;

static void curl_start(void)
{
    curl_started = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* The connection stands and nothing of the request has left. Also called before each silent repeat. */
static int about_to_send(void *context, char *peer, char *own, int peer_port, int own_port)
{
    struct running *running = context;
    const struct outbound *outbound = running->outbound;
    (void)peer, (void)own, (void)peer_port, (void)own_port;
    if (running->starts > 0 && outbound->write) {
        running->again = true;
        return CURL_PREREQFUNC_ABORT;
    }
    int64_t now_ms = clock_now_ms(running->clock);
    if (!outbound_is_in_time(outbound, now_ms)) {
        running->mistimed = true;
        return CURL_PREREQFUNC_ABORT;
    }
    running->starts++;
    running->answer->sent_at_ms = now_ms;
    return CURL_PREREQFUNC_OK;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct running *running = context;
    const struct http_client_options *options = &running->client->options;
    (void)purpose;
    running->again = running->again || running->starts > 0;
    if (options->address_allowed &&
        !options->address_allowed(options->context, &address->addr, (socklen_t)address->addrlen)) {
        running->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
    struct running *running = context;
    struct inbound *answer = running->answer;
    struct arena *arena = running->call->arena;
    struct str line = {bytes, size * count};
    struct str value = line;
    if (str_starts(line, STR("HTTP/"))) { /* a new head: 100 Continue had one of its own */
        answer->header_count = 0;
        return size * count;
    }
    struct str name = text_cut(&value, ':');
    if (name.len == line.len || answer->header_count == INBOUND_HEADERS_MAX) {
        return size * count;
    }
    while (value.len && (value.s[value.len - 1] == '\r' || value.s[value.len - 1] == '\n')) {
        value.len--;
    }
    answer->headers[answer->header_count++] = (struct header){
        .name = text_lower(arena, name), .value = arena_copy(arena, text_trim(value))};
    return size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct running *running = context;
    size_t fresh = size * count, room = running->body.max_bytes - running->body.len;
    running->answer_bytes += fresh;
    if (running->answer_bytes > ANSWER_GIVE_UP_BYTES) {
        return 0; /* libcurl: CURLE_WRITE_ERROR */
    }
    if (fresh > room) {
        running->answer->cut = true;
    }
    text_add(&running->body, (struct str){bytes, fresh > room ? room : fresh});
    return fresh;
}

/* libcurl shows what it sends only to this function, which looks for one header and keeps and tells nothing of it. */
static int look_at_head(CURL *easy, curl_infotype type, char *bytes, size_t size, void *context)
{
    static const char mark[] = "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=";
    struct running *running = context;
    (void)easy;
    if (type == CURLINFO_HEADER_OUT && memmem(bytes, size, mark, sizeof mark - 1)) {
        running->answer->was_signed = true;
    }
    return 0;
}

static bool keep(char *into, size_t room, struct str text)
{
    if (text.len < room && text.len > 0) {
        memcpy(into, text.s, text.len); /* the rest is zero */
    }
    return text.len < room;
}

enum rc http_client_open(struct call *call, const struct http_client_options *options,
                         struct http_client **ret_client)
{
    struct http_client *client = calloc(1, sizeof(*client));
    if (!client) {
        return call_why(call, RC_BROKEN, "out of memory");
    }
    client->options = *options;
    if (!keep(client->proxy, sizeof client->proxy, options->proxy) ||
        !keep(client->ca_file, sizeof client->ca_file, options->ca_file) ||
        !keep(client->sign_scope, sizeof client->sign_scope, options->sign_scope) ||
        !keep(client->sign_key_id, sizeof client->sign_key_id, options->sign_key_id) ||
        !keep(client->sign_secret, sizeof client->sign_secret, options->sign_secret)) {
        http_client_close(client);
        return call_why(call, RC_BROKEN, "the proxy, the CA file or the credentials are too long");
    }
    *ret_client = client;
    return RC_OK;
}

void http_client_close(struct http_client *client)
{
    if (!client) {
        return;
    }
    if (client->easy) {
        curl_easy_cleanup(client->easy);
        curl_slist_free_all(client->resolve);
    }
    OPENSSL_cleanse(client->sign_secret, sizeof client->sign_secret);
    free(client);
}

static void list_free(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

/* Keep libcurl from sending a header of its own. in: "Name:" */
static void list_remove(struct curl_slist **list, const char *name)
{
    struct curl_slist *longer = curl_slist_append(*list, name);
    if (!longer) {
        abort();
    }
    *list = longer;
}

/* libcurl sends "name:" as "remove this header" and "name;" as an empty one. */
static bool list_add(struct curl_slist **list, struct arena *arena, struct header header)
{
    struct str line = header.value.len ? arena_printf(arena, STR_FMT ": " STR_FMT,
                                                      STR_ARG(header.name), STR_ARG(header.value))
                                       : arena_printf(arena, STR_FMT ";", STR_ARG(header.name));
    if (memchr(line.s, '\r', line.len) || memchr(line.s, '\n', line.len) ||
        memchr(line.s, 0, line.len)) {
        return false; /* no line of the request is ever made by a value */
    }
    struct curl_slist *longer = curl_slist_append(*list, line.s);
    if (!longer) {
        abort();
    }
    *list = longer;
    return true;
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_code = curl_easy_setopt(easy, option, value);                                 \
        assert(set_code == CURLE_OK);                                                              \
        (void)set_code;                                                                            \
    } while (0)

/* What is the same for every request. The handle keeps its connection through curl_easy_reset. */
static void set_always(const struct http_client *client, struct running *running)
{
    CURL *easy = client->easy;
    int64_t connect_ms = client->options.connect_timeout_ms;
    int64_t idle_s = client->options.idle_max_s;
    curl_easy_reset(easy);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_PROXY, client->proxy); /* "" also keeps the environment's proxies out */
    SET(CURLOPT_PATH_AS_IS,
        client->sign_scope[0] ? 0L : 1L); /* libcurl 8 refuses to sign with it */
    SET(CURLOPT_MAXAGE_CONN, idle_s ? (long)idle_s : (long)HTTP_IDLE_MAX_S);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ms ? connect_ms : HTTP_CONNECT_TIMEOUT_MS));
    SET(CURLOPT_ERRORBUFFER, running->error);
    SET(CURLOPT_USERAGENT, "hourbell");
    if (client->ca_file[0]) {
        SET(CURLOPT_CAINFO, client->ca_file);
    }
    if (client->options.ca_pem.len) {
        struct curl_blob roots = {(void *)(uintptr_t)client->options.ca_pem.s,
                                  client->options.ca_pem.len, CURL_BLOB_NOCOPY};
        SET(CURLOPT_CAINFO_BLOB, &roots);
    }
    if (client->sign_scope[0]) {
        SET(CURLOPT_AWS_SIGV4, client->sign_scope);
        SET(CURLOPT_USERNAME, client->sign_key_id);
        SET(CURLOPT_PASSWORD, client->sign_secret);
        SET(CURLOPT_DEBUGFUNCTION, look_at_head);
        SET(CURLOPT_DEBUGDATA, running);
        SET(CURLOPT_VERBOSE, 1L);
    }
    if (client->resolve) {
        SET(CURLOPT_RESOLVE, client->resolve);
    }
    SET(CURLOPT_PREREQFUNCTION, about_to_send);
    SET(CURLOPT_PREREQDATA, running);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, running);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, running);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, running);
}

static void set_request(CURL *easy, const struct outbound *outbound, struct str method,
                        struct str url, struct curl_slist *headers)
{
    bool has_body = !str_is(method, "GET") && !str_is(method, "HEAD");
    SET(CURLOPT_URL, url.s);
    SET(CURLOPT_TIMEOUT_MS, (long)(outbound->timeout_ms ? outbound->timeout_ms : 10000));
    SET(CURLOPT_HTTPHEADER, headers);
    if (has_body) { /* a request with a method that may have a body always states its length */
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)outbound->body.len);
        SET(CURLOPT_POSTFIELDS, outbound->body.len ? outbound->body.s : "");
        SET(CURLOPT_CUSTOMREQUEST, method.s);
    } else if (str_is(method, "HEAD")) {
        SET(CURLOPT_NOBODY, 1L);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
}

static enum inbound_end end_of(struct running *running, CURLcode code)
{
    const struct outbound *outbound = running->outbound;
    struct inbound *answer = running->answer;
    long status = 0, request_bytes = 0;
    curl_off_t uploaded = 0;
    CURL *easy = running->client->easy;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    (void)curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    answer->status = (int)status;
    if (code == CURLE_OK) {
        return INBOUND_ANSWERED;
    }
    if (running->mistimed && running->starts == 0) {
        return INBOUND_NOT_SENT;
    }
    if (running->starts == 0) {
        return INBOUND_NO_CONNECTION;
    }
    /* Of a silent repeat that was refused or failed: the first request went out on a connection that then died. How much
     * of it, nobody counted: take it for all. */
    if (!running->again && !status &&
        (request_bytes == 0 || (size_t)uploaded < outbound->body.len)) {
        return INBOUND_INCOMPLETE;
    }
    return code == CURLE_OPERATION_TIMEDOUT ? INBOUND_TIMEOUT : INBOUND_LOST;
}

/* libcurl starts at the first request, see curl_load.c. */
static bool is_started(struct http_client *client)
{
    pthread_once(&curl_once, curl_start);
    if (!client->easy && curl_started == CURLE_OK) {
        client->easy = curl_easy_init();
        if (client->options.resolve) {
            client->resolve = curl_slist_append(NULL, client->options.resolve);
        }
    }
    return client->easy != NULL;
}

void http_client_perform(struct http_client *client, struct call *call, struct clock *clock,
                         const struct outbound *outbound, struct inbound *ret_answer)
{
    if (!is_started(client)) {
        *ret_answer =
            (struct inbound){.end = INBOUND_NO_CONNECTION, .why = STR("libcurl did not start")};
        return;
    }
    CLEANUP(list_free) struct curl_slist *headers = NULL;
    struct str method = arena_copy(call->arena, outbound->method);
    struct str url = arena_copy(call->arena, outbound->url);
    struct running running = {
        .client = client, .outbound = outbound, .answer = ret_answer, .call = call, .clock = clock};
    int64_t began_ms = clock_boot_ms(clock);
    size_t max_bytes = outbound->answer_max_bytes ? outbound->answer_max_bytes : INBOUND_MAX_BYTES;
    *ret_answer =
        (struct inbound){.headers = arena_array(call->arena, struct header, INBOUND_HEADERS_MAX)};
    text_open(&running.body, call->arena, max_bytes);
    bool sound = true, typed = false;
    if (!client->sign_scope[0]) { /* a header without a value would be signed but not sent */
        list_remove(&headers, "Expect:"); /* do not ask for 100 Continue */
    }
    for (size_t i = 0; i < outbound->header_count; i++) {
        sound = sound && list_add(&headers, call->arena, outbound->headers[i]);
        typed = typed || text_equal_nocase(outbound->headers[i].name, STR("content-type"));
    }
    if (!typed) {
        list_remove(&headers, "Content-Type:"); /* libcurl would say that a body is a form */
    }
    if (!sound) {
        ret_answer->end = INBOUND_NO_CONNECTION;
        ret_answer->why = STR("a header holds a control byte");
        return;
    }
    set_always(client, &running);
    set_request(client->easy, outbound, method, url, headers);
    CURLcode code = curl_easy_perform(client->easy);
    ret_answer->end = end_of(&running, code);
    ret_answer->body = text_str(&running.body);
    ret_answer->duration_ms = clock_boot_ms(clock) - began_ms;
    if (ret_answer->end == INBOUND_NOT_SENT || ret_answer->end == INBOUND_NO_CONNECTION) {
        ret_answer->sent_at_ms = 0;
    }
    if (running.refused && ret_answer->end == INBOUND_NO_CONNECTION) {
        ret_answer->why = STR("the address is not allowed");
    } else if (code != CURLE_OK) {
        ret_answer->why = arena_copy(
            call->arena, str_of(running.error[0] ? running.error : curl_easy_strerror(code)));
    }
    /* The handle outlives this frame: nothing in it may point here. */
    curl_easy_reset(client->easy);
}

/* ---- a transport of many ------------------------------------------------------------------------ */

struct client_transport {
    struct transport port;
    struct http_client **clients;
    int slots;
};

static void transport_perform(struct transport *port, struct call *call, struct world *world,
                              int slot, const struct outbound *outbound, struct inbound *ret_answer)
{
    struct client_transport *transport = (struct client_transport *)port;
    assert(slot >= 0 && slot < transport->slots);
    http_client_perform(transport->clients[slot], call, world->clock, outbound, ret_answer);
}

static const struct transport_ops client_transport_ops = {.perform = transport_perform};

enum rc http_client_transport_open(struct call *call, const struct http_client_options *options,
                                   int slots, struct transport **ret_transport)
{
    struct client_transport *transport = calloc(1, sizeof(*transport));
    struct http_client **clients = calloc((size_t)slots, sizeof(struct http_client *));
    if (!transport || !clients) {
        abort();
    }
    *transport = (struct client_transport){{&client_transport_ops}, clients, slots};
    for (int i = 0; i < slots; i++) {
        enum rc rc = http_client_open(call, options, &clients[i]);
        if (rc != RC_OK) {
            http_client_transport_close(&transport->port);
            return rc;
        }
    }
    *ret_transport = &transport->port;
    return RC_OK;
}

void http_client_transport_close(struct transport *port)
{
    struct client_transport *transport = (struct client_transport *)port;
    if (!transport) {
        return;
    }
    for (int i = 0; i < transport->slots; i++) {
        http_client_close(transport->clients[i]);
    }
    free(transport->clients);
    free(transport);
}
