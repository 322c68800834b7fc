/* Signed calls of AWS. Rules it keeps: credentials and tokens reach no log, no answer of ours and no line of libcurl's;
 * what may have had an effect is never told as "nothing was done". */
#include "adapters/aws_call.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "adapters/http_client.h"
#include "base/text.h"

#define ANSWER_DEPTH_MAX 16
#define CONNECT_TIMEOUT_MS 1000
#define WAIT_FIRST_MS 25
#define WAIT_MAX_MS 1000
#define URL_ROOM 256
#define TOKEN_ROOM 4096 /* of a session token; AWS names no limit, in practice up to 2 KB */

static const struct service {
    const char *name, *target, *type;
} services[] = {
#define X(member, name, target, type) {name, target, type},
    AWS_SERVICES(X)
#undef X
};

struct aws {
    struct aws_options options; /* its strings point to nothing of ours: use the fields below */
    char region[64], key_id[128], secret[256], token[TOKEN_ROOM];
    char urls[AWS_SERVICE_COUNT][URL_ROOM];
    struct http_client *clients[AWS_SERVICE_COUNT]; /* NULL until the first call */
};

const char *aws_service_name(enum aws_service service)
{
    return services[service].name;
}

/* ---- opening ------------------------------------------------------------------------------------- */

static struct str found(char *(*find)(const char *name), const char *name)
{
    return str_of(find(name));
}

void aws_options_read(struct aws_options *options, char *(*find)(const char *name))
{
    options->region = found(find, "AWS_REGION");
    if (!options->region.len) {
        options->region = found(find, "AWS_DEFAULT_REGION");
    }
    options->access_key_id = found(find, "AWS_ACCESS_KEY_ID");
    options->secret_access_key = found(find, "AWS_SECRET_ACCESS_KEY");
    options->session_token = found(find, "AWS_SESSION_TOKEN");
    options->endpoint = found(find, "AWS_ENDPOINT_URL");
    options->endpoints[AWS_DYNAMODB] = found(find, "AWS_ENDPOINT_URL_DYNAMODB");
    options->endpoints[AWS_SQS] = found(find, "AWS_ENDPOINT_URL_SQS");
    options->endpoints[AWS_STATES] = found(find, "AWS_ENDPOINT_URL_SFN");
    options->endpoints[AWS_SSM] = found(find, "AWS_ENDPOINT_URL_SSM");
    options->endpoints[AWS_SNS] = found(find, "AWS_ENDPOINT_URL_SNS");
}

static bool keep(char *into, size_t room, struct str text)
{
    if (text.len >= room || (text.len && memchr(text.s, '\0', text.len))) {
        return false;
    }
    if (text.len) {
        memcpy(into, text.s, text.len); /* the rest is zero */
    }
    return true;
}

/* "<endpoint>/", or AWS's own address: docs.aws.amazon.com/general/latest/gr/rande.html */
static bool set_url(struct aws *aws, enum aws_service service)
{
    const struct aws_options *options = &aws->options;
    struct str endpoint =
        options->endpoints[service].len ? options->endpoints[service] : options->endpoint;
    char *url = aws->urls[service];
    int len;
    if (endpoint.len) {
        bool is_http =
            str_starts(endpoint, STR("http://")) || str_starts(endpoint, STR("https://"));
        bool ends = endpoint.s[endpoint.len - 1] == '/';
        len = snprintf(url, URL_ROOM, STR_FMT "%s", STR_ARG(endpoint), ends ? "" : "/");
        return is_http && len < URL_ROOM && strchr(strstr(url, "//") + 2, '/') == url + len - 1;
    }
    bool is_china = strncmp(aws->region, "cn-", 3) == 0;
    len = snprintf(url, URL_ROOM, "https://%s.%s.amazonaws.com%s/", services[service].name,
                   aws->region, is_china ? ".cn" : "");
    return len < URL_ROOM;
}

enum rc aws_open(struct call *call, const struct aws_options *options, struct aws **ret_aws)
{
    struct aws *aws = calloc(1, sizeof *aws);
    const char *fault = NULL;
    if (!aws) {
        abort();
    }
    aws->options = *options;
    if (!options->region.len || !keep(aws->region, sizeof aws->region, options->region)) {
        fault = "AWS_REGION is missing or too long";
    } else if (!options->access_key_id.len ||
               !keep(aws->key_id, sizeof aws->key_id, options->access_key_id)) {
        fault = "AWS_ACCESS_KEY_ID is missing or too long";
    } else if (!options->secret_access_key.len ||
               !keep(aws->secret, sizeof aws->secret, options->secret_access_key)) {
        fault = "AWS_SECRET_ACCESS_KEY is missing or too long";
    } else if (!keep(aws->token, sizeof aws->token, options->session_token)) {
        fault = "AWS_SESSION_TOKEN is too long";
    }
    for (int i = 0; !fault && i < AWS_SERVICE_COUNT; i++) {
        fault = set_url(aws, (enum aws_service)i) ? NULL : "an endpoint is no URL of a host";
    }
    if (fault) {
        aws_close(aws);
        return call_why(call, RC_INVALID, "%s", fault);
    }
    *ret_aws = aws;
    return RC_OK;
}

void aws_close(struct aws *aws)
{
    if (!aws) {
        return;
    }
    for (int i = 0; i < AWS_SERVICE_COUNT; i++) {
        http_client_close(aws->clients[i]);
    }
    OPENSSL_cleanse(aws->secret, sizeof aws->secret);
    OPENSSL_cleanse(aws->token, sizeof aws->token);
    free(aws);
}

/* ---- waiting ------------------------------------------------------------------------------------- */

int64_t aws_boot_ms(struct aws *aws)
{
    return clock_boot_ms(aws->options.clock);
}

void aws_random(struct aws *aws, void *ret_bytes, size_t size_bytes)
{
    clock_random(aws->options.clock, ret_bytes, size_bytes);
}

/* How long all that is still to come may take. */
static int64_t time_left_ms(struct aws *aws, const struct call *call, int64_t began_ms)
{
    int64_t span_ms = aws->options.retry_span_ms ? aws->options.retry_span_ms : AWS_RETRY_SPAN_MS;
    if (call->deadline_at_ms) {
        return call->deadline_at_ms - AWS_DEADLINE_SPARE_MS - clock_now_ms(aws->options.clock);
    }
    return began_ms + span_ms - aws_boot_ms(aws);
}

bool aws_wait(struct aws *aws, struct call *call, int tries, int64_t began_ms)
{
    uint64_t bits = 0;
    int64_t most_ms = min_i64(WAIT_MAX_MS, (int64_t)WAIT_FIRST_MS << min_i64(tries, 10));
    clock_random(aws->options.clock, &bits, sizeof bits);
    int64_t wait_ms = (int64_t)(bits % (uint64_t)most_ms) + 1; /* full jitter */
    if (wait_ms >= time_left_ms(aws, call, began_ms)) {
        return false;
    }
    struct timespec span = {wait_ms / 1000, wait_ms % 1000 * 1000000};
    while (nanosleep(&span, &span) != 0 && errno == EINTR) {}
    return true;
}

/* ---- answers ------------------------------------------------------------------------------------- */

bool aws_is_throttling(struct str type)
{
    static const char *const types[] = {"ThrottlingException",
                                        "Throttling",
                                        "ThrottledException",
                                        "ThrottlingError",
                                        "RequestThrottled",
                                        "RequestThrottledException",
                                        "RequestLimitExceeded",
                                        "TooManyRequestsException",
                                        "ProvisionedThroughputExceededException",
                                        "ProvisionedThroughputExceeded",
                                        "OverLimit",
                                        "LimitExceededException",
                                        "SlowDown"};
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (str_is(type, types[i])) {
            return true;
        }
    }
    return false;
}

/* The text of the first <name> element. SNS escapes what it quotes; words for the log stay as they are. */
static struct str element(struct str xml, const char *open, const char *close)
{
    const char *at = xml.len ? memmem(xml.s, xml.len, open, strlen(open)) : NULL;
    if (!at) {
        return STR_NONE;
    }
    struct str rest = str_from(xml, (size_t)(at - xml.s) + strlen(open));
    const char *end = memmem(rest.s, rest.len, close, strlen(close));
    return end ? str_head(rest, (size_t)(end - rest.s)) : STR_NONE;
}

/* {"__type":"prefix#Name","message":"..."}: the prefix varies, the text is called `message` or `Message`. */
static void read_error(struct call *call, enum aws_service service, struct aws_answer *answer)
{
    yyjson_val *root = NULL;
    if (service == AWS_SNS) {
        answer->type = element(answer->body, "<Code>", "</Code>");
        answer->message = element(answer->body, "<Message>", "</Message>");
        return;
    }
    if (json_read(call->arena, answer->body, ANSWER_DEPTH_MAX, &root, NULL) != RC_OK) {
        return;
    }
    struct str type = json_member_str(root, "__type", STR_NONE);
    const char *hash = type.len ? memrchr(type.s, '#', type.len) : NULL;
    answer->type = hash ? str_from(type, (size_t)(hash + 1 - type.s)) : type;
    answer->message = json_member_str(root, "message", json_member_str(root, "Message", STR_NONE));
}

/* What one try came to. */
enum try_end { TRY_DONE, TRY_THROTTLED, TRY_NOT_SENT, TRY_UNKNOWN, TRY_UNSIGNED };

static enum try_end end_of(struct call *call, const struct aws_request *request,
                           const struct inbound *inbound, struct aws_answer *answer)
{
    *answer = (struct aws_answer){.tries = answer->tries + 1};
    bool was_sent = inbound->end != INBOUND_NO_CONNECTION && inbound->end != INBOUND_NOT_SENT;
    if (was_sent && !inbound->was_signed) {
        return TRY_UNSIGNED;
    }
    if (inbound->end != INBOUND_ANSWERED || inbound->cut) {
        return was_sent ? TRY_UNKNOWN : TRY_NOT_SENT;
    }
    answer->status = inbound->status;
    answer->body = inbound->body;
    if (inbound->status != 200) {
        read_error(call, request->service, answer);
    }
    if (aws_is_throttling(answer->type) || inbound->status == 429) {
        return TRY_THROTTLED;
    }
    return inbound->status >= 500 ? TRY_UNKNOWN : TRY_DONE;
}

/* ---- one call ------------------------------------------------------------------------------------ */

static enum rc client_of(struct aws *aws, struct call *call, enum aws_service service,
                         struct http_client **ret_client)
{
    if (!aws->clients[service]) {
        struct http_client_options options = {
            .ca_pem = aws->options.ca_pem,
            .connect_timeout_ms = CONNECT_TIMEOUT_MS,
            .sign_scope =
                arena_printf(call->arena, "aws:amz:%s:%s", aws->region, services[service].name),
            .sign_key_id = str_of(aws->key_id),
            .sign_secret = str_of(aws->secret),
        };
        TRY(http_client_open(call, &options, &aws->clients[service]));
    }
    *ret_client = aws->clients[service];
    return RC_OK;
}

static size_t make_headers(struct aws *aws, struct call *call, const struct aws_request *request,
                           struct header headers[3])
{
    const struct service *service = &services[request->service];
    size_t count = 0;
    headers[count++] = (struct header){STR("Content-Type"), str_of(service->type)};
    if (request->target) {
        struct str target = arena_printf(call->arena, "%s.%s", service->target, request->target);
        headers[count++] = (struct header){STR("X-Amz-Target"), target};
    }
    if (aws->token[0]) { /* an empty one would be signed but not sent */
        headers[count++] = (struct header){STR("X-Amz-Security-Token"), str_of(aws->token)};
    }
    return count;
}

static enum rc give_up(struct call *call, const struct aws_request *request, enum try_end end,
                       bool unknown_before, const struct aws_answer *answer, struct str why)
{
    const char *name = services[request->service].name;
    const char *target = request->target ? request->target : "Publish";
    if (end == TRY_UNSIGNED) {
        return call_why(call, RC_BROKEN, "%s %s: the request was not signed", name, target);
    }
    if (answer->status) {
        why = arena_printf(call->arena, "%d " STR_FMT " " STR_FMT, answer->status,
                           STR_ARG(answer->type), STR_ARG(answer->message));
    }
    bool was_done = end != TRY_THROTTLED || unknown_before;
    return call_why(call, was_done ? RC_BROKEN : RC_BUSY, "%s %s, tried %d times: " STR_FMT, name,
                    target, answer->tries, STR_ARG(why));
}

enum rc aws_call(struct aws *aws, struct call *call, const struct aws_request *request,
                 struct aws_answer *ret_answer)
{
    struct http_client *client;
    struct header headers[3];
    struct inbound inbound = {0};
    struct outbound outbound = {.method = STR("POST"),
                                .url = str_of(aws->urls[request->service]),
                                .headers = headers,
                                .header_count = make_headers(aws, call, request, headers),
                                .body = request->body,
                                .answer_max_bytes = AWS_ANSWER_MAX_BYTES};
    int64_t began_ms = aws_boot_ms(aws);
    bool unknown_before = false;
    enum try_end end = TRY_NOT_SENT;
    TRY(client_of(aws, call, request->service, &client));
    *ret_answer = (struct aws_answer){0};
    do {
        int64_t own_ms = request->timeout_ms ? request->timeout_ms : AWS_TIMEOUT_MS;
        unknown_before = unknown_before || end == TRY_UNKNOWN;
        outbound.timeout_ms = max_i64(min_i64(own_ms, time_left_ms(aws, call, began_ms)), 1);
        http_client_perform(client, call, aws->options.clock, &outbound, &inbound);
        end = end_of(call, request, &inbound, ret_answer);
        if (aws->options.observe) {
            aws->options.observe(aws->options.context, request, ret_answer);
        }
        if (end == TRY_DONE) {
            return RC_OK;
        }
    } while (end != TRY_UNSIGNED && request->repeatable &&
             aws_wait(aws, call, ret_answer->tries, began_ms));
    return give_up(call, request, end, unknown_before, ret_answer, inbound.why);
}
