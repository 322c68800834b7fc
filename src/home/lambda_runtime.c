/* libcurl over plain HTTP on the machine itself. Names of headers are matched without regard to case; everything but the
 * request id is optional, since not every implementation of the API sends all of it. */
#include "home/lambda_runtime.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/text.h"

#define POST_TIMEOUT_MS 30000L /* of an answer: its reader is the machine itself */
#define URL_MAX_BYTES 512
#define ERROR_MAX_BYTES ((size_t)16 << 10)

struct lambda_runtime {
    CURL *easy;
    char base[URL_MAX_BYTES]; /* "http://host:port/2018-06-01/runtime/" */
};

/* One exchange. */
struct exchange {
    struct call *call;
    struct invocation *invocation; /* of next: filled from the headers; else NULL */
    struct text body;
    long status; /* 0 = none came */
};

static bool is_header(struct str name, const char *ours)
{
    return text_equal_nocase(name, str_of(ours));
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    struct invocation *invocation = exchange->invocation;
    struct str value = {bytes, size * count}, name = text_cut(&value, ':');
    struct arena *arena = exchange->call->arena;
    if (!invocation) {
        return size * count;
    }
    while (value.len && (value.s[value.len - 1] == '\r' || value.s[value.len - 1] == '\n')) {
        value.len--;
    }
    value = text_trim(value);
    if (is_header(name, "Lambda-Runtime-Aws-Request-Id")) {
        invocation->id = arena_copy(arena, value);
    } else if (is_header(name, "Lambda-Runtime-Trace-Id")) {
        invocation->trace_id = arena_copy(arena, value);
    } else if (is_header(name, "Lambda-Runtime-Invoked-Function-Arn")) {
        invocation->arn = arena_copy(arena, value);
    } else if (is_header(name, "Lambda-Runtime-Deadline-Ms") &&
               text_to_i64(value, &invocation->deadline_at_ms) != RC_OK) {
        invocation->deadline_at_ms = 0;
    }
    return size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *exchange = context;
    text_add(&exchange->body, (struct str){bytes, size * count});
    return exchange->body.full ? 0 : size * count; /* 0: CURLE_WRITE_ERROR */
}

enum rc lambda_runtime_open(struct call *call, struct str address,
                            struct lambda_runtime **ret_runtime)
{
    struct lambda_runtime *runtime = calloc(1, sizeof *runtime);
    if (!runtime) {
        abort();
    }
    int length = snprintf(runtime->base, sizeof runtime->base,
                          "http://" STR_FMT "/2018-06-01/runtime/", STR_ARG(address));
    if (!address.len || length < 0 || (size_t)length + 128 > sizeof runtime->base) {
        lambda_runtime_close(runtime);
        return call_why(
            call, RC_INVALID,
            "AWS_LAMBDA_RUNTIME_API is no host:port: this program is started by Lambda");
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(runtime->easy = curl_easy_init())) {
        lambda_runtime_close(runtime);
        return call_why(call, RC_BROKEN, "libcurl does not start");
    }
    *ret_runtime = runtime;
    return RC_OK;
}

void lambda_runtime_close(struct lambda_runtime *runtime)
{
    if (runtime && runtime->easy) {
        curl_easy_cleanup(runtime->easy);
    }
    free(runtime);
}

#define SET(option, value)                                                                         \
    do {                                                                                           \
        CURLcode set_code = curl_easy_setopt(easy, option, value);                                 \
        assert(set_code == CURLE_OK);                                                              \
        (void)set_code;                                                                            \
    } while (0)

static void list_free(struct curl_slist **list)
{
    curl_slist_free_all(*list);
}

static void list_add(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer) {
        abort();
    }
    *list = longer;
}

/* post: its body, NULL = GET. error_type: NULL = none. */
static CURLcode perform(struct lambda_runtime *runtime, struct exchange *exchange, const char *path,
                        const struct str *post, const char *error_type)
{
    CURL *easy = runtime->easy;
    CLEANUP(list_free) struct curl_slist *headers = NULL;
    char url[URL_MAX_BYTES * 2], type_line[160];
    snprintf(url, sizeof url, "%s%s", runtime->base, path);
    curl_easy_reset(easy); /* the connection stays */
    SET(CURLOPT_URL, url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_PROTOCOLS_STR, "http");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_USERAGENT, "hourbell");
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, exchange);
    if (post) {
        SET(CURLOPT_TIMEOUT_MS, POST_TIMEOUT_MS);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)post->len);
        SET(CURLOPT_POSTFIELDS, post->len ? post->s : "");
        list_add(&headers, "Content-Type: application/json");
        list_add(&headers, "Expect:"); /* a large answer does not wait for 100 Continue */
        if (error_type) {
            snprintf(type_line, sizeof type_line, "Lambda-Runtime-Function-Error-Type: %s",
                     error_type);
            list_add(&headers, type_line);
        }
    } else {
        SET(CURLOPT_TIMEOUT_MS, 0L); /* frozen for hours perhaps */
    }
    SET(CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(easy);
    SET(CURLOPT_HTTPHEADER, NULL);
    if (curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &exchange->status) != CURLE_OK) {
        exchange->status = 0;
    }
    return code;
}

enum rc lambda_runtime_next(struct lambda_runtime *runtime, struct call *call,
                            struct invocation *ret_invocation)
{
    struct invocation invocation = {0};
    struct exchange exchange = {.call = call, .invocation = &invocation};
    text_open(&exchange.body, call->arena, LAMBDA_EVENT_MAX_BYTES);
    CURLcode code = perform(runtime, &exchange, "invocation/next", NULL, NULL);
    if (code != CURLE_OK) {
        return call_why(call, RC_BROKEN, "next: %s", curl_easy_strerror(code));
    }
    if (exchange.status != 200 || !invocation.id.len || invocation.id.len > 128) {
        return call_why(call, RC_BROKEN, "next: status %ld%s", exchange.status,
                        exchange.status == 200 ? " without a request id" : "");
    }
    if (invocation.trace_id.len) {
        (void)setenv("_X_AMZN_TRACE_ID", invocation.trace_id.s, 1);
    } else {
        (void)unsetenv("_X_AMZN_TRACE_ID");
    }
    invocation.event = text_str(&exchange.body);
    *ret_invocation = invocation;
    return RC_OK;
}

/* out: RC_BROKEN only if the API itself is broken. */
static enum rc post(struct lambda_runtime *runtime, struct call *call, const char *path,
                    struct str body, const char *error_type)
{
    struct exchange exchange = {.call = call};
    text_open(&exchange.body, call->arena, ERROR_MAX_BYTES);
    CURLcode code = perform(runtime, &exchange, path, &body, error_type);
    if (code == CURLE_OK && exchange.status / 100 == 2) {
        return RC_OK;
    }
    DIAG(DIAG_ERROR, "post_failed", DIAG_TEXT("path", str_of(path)),
         DIAG_NUMBER("status", exchange.status),
         DIAG_TEXT("detail",
                   code == CURLE_OK ? text_str(&exchange.body) : str_of(curl_easy_strerror(code))));
    return exchange.status >= 500
               ? call_why(call, RC_BROKEN, "%s: status %ld", path, exchange.status)
               : RC_OK;
}

static const char *path_of(struct call *call, const struct invocation *invocation, const char *what)
{
    return arena_printf(call->arena, "invocation/" STR_FMT "/%s", STR_ARG(invocation->id), what).s;
}

bool lambda_error_type_is_valid(const char *type)
{
    struct str rest = str_of(type);
    struct str kind = text_cut(&rest, '.');
    if ((!str_is(kind, "Runtime") && !str_is(kind, "Function")) || rest.len < 2 ||
        rest.s[0] < 'A' || rest.s[0] > 'Z') {
        return false;
    }
    for (size_t i = 1; i < rest.len; i++) {
        if (!((rest.s[i] >= 'a' && rest.s[i] <= 'z') || (rest.s[i] >= 'A' && rest.s[i] <= 'Z'))) {
            return false;
        }
    }
    return rest.len < 100;
}

static struct str error_body(struct call *call, const struct lambda_error *error)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "errorMessage", error->message);
    json_add_str(doc, root, "errorType", str_of(error->type));
    (void)json_add_arr(doc, root, "stackTrace");
    return json_write_mut(call->arena, doc);
}

enum rc lambda_runtime_error(struct lambda_runtime *runtime, struct call *call,
                             const struct invocation *invocation, const struct lambda_error *error)
{
    assert(lambda_error_type_is_valid(error->type));
    return post(runtime, call, path_of(call, invocation, "error"), error_body(call, error),
                error->type);
}

enum rc lambda_runtime_answer(struct lambda_runtime *runtime, struct call *call,
                              const struct invocation *invocation, struct str answer)
{
    if (answer.len > LAMBDA_ANSWER_MAX_BYTES) {
        struct lambda_error error = {"Function.ResponseSizeTooLarge",
                                     arena_printf(call->arena,
                                                  "the answer has %zu bytes, %zu are taken",
                                                  answer.len, LAMBDA_ANSWER_MAX_BYTES)};
        DIAG(DIAG_ERROR, "answer_too_large", DIAG_NUMBER("bytes", (int64_t)answer.len));
        return lambda_runtime_error(runtime, call, invocation, &error);
    }
    return post(runtime, call, path_of(call, invocation, "response"), answer, NULL);
}

void lambda_runtime_init_error(struct lambda_runtime *runtime, struct call *call,
                               const struct lambda_error *error)
{
    assert(lambda_error_type_is_valid(error->type));
    enum rc rc = post(runtime, call, "init/error", error_body(call, error), error->type);
    (void)rc; /* the process ends anyway */
}
