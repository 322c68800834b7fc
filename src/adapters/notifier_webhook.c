/* What an answer means: 2xx told; 410 the receiver is gone, so its webhook is off until the next start;
 * anything else is tried again, redirects too (they are not followed), because receivers get mended.
 * 429 or 503 with Retry-After: nothing is posted there until then, whichever event it was about.
 * The core decides when to give up. The address rule is applied to the very address that the socket
 * connects to. A URL may hold a token, so no URL is ever logged. Safe from several threads. */
#include "adapters/notifier_webhook.h"

#include <curl/curl.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "adapters/address.h"
#include "adapters/http_client.h"
#include "base/diag.h"
#include "base/text.h"
#include "core/notice.h"

#define URL_MAX_BYTES 2048
#define SECRET_BYTES_MIN 24 /* Standard Webhooks, "Symmetric": 24 to 64 */
#define SECRET_BYTES_MAX 64
#define ANSWER_KEPT_BYTES 1024
#define IDLE_MAX                                                                                   \
    64 /* clients kept; at most so many posts run at once (setting webhook_concurrency) */
#define LOGGED_MAX 256
#define GONE 410
#define TOO_MANY 429
#define UNAVAILABLE 503

struct endpoint {
    const char *name; /* also of its secret, behind "webhook/" */
    char url[URL_MAX_BYTES + 1];
    atomic_bool is_gone;
    atomic_llong rests_until_ms; /* it asked for rest: Retry-After */
};

struct notifier_webhook {
    struct notifier notifier; /* the port; first */
    struct secrets *secrets;
    struct clock *clock;
    int64_t timeout_ms;
    bool allow_private;
    struct endpoint operators, customers;
    pthread_mutex_t lock; /* of what follows */
    struct http_client *idle[IDLE_MAX];
    int idle_count;
    char logged[LOGGED_MAX]
               [40]; /* ids of the events logged last: each is logged once, not at each try */
    int logged_next;
};

/* --- signing ----------------------------------------------------------------------------------------- */
/* The bytes of a secret. fails: RC_INVALID with words, RC_NOT_FOUND, RC_BROKEN. */
static enum rc key_get(struct secrets *secrets, struct call *call, struct str name,
                       struct str *ret_key)
{
    struct str text, key, prefix = STR("whsec_");
    TRY(secrets_get(secrets, call, name, &text));
    if (!str_starts(text, prefix) ||
        text_unbase64(call->arena, str_from(text, prefix.len), &key) != RC_OK ||
        key.len < SECRET_BYTES_MIN || key.len > SECRET_BYTES_MAX) {
        return call_why(call, RC_INVALID,
                        "the secret \"" STR_FMT
                        "\" must be whsec_ and the base64 of %d to %d bytes",
                        STR_ARG(name), SECRET_BYTES_MIN, SECRET_BYTES_MAX);
    }
    *ret_key = key;
    return RC_OK;
}

static struct str signature(struct call *call, struct str key, struct str content)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    const unsigned char *done =
        HMAC(EVP_sha256(), key.s, (int)key.len, (const unsigned char *)content.s, content.len,
             digest, &digest_bytes);
    assert(done);
    (void)done;
    struct str bytes = {(const char *)digest, digest_bytes};
    return arena_printf(call->arena, "v1," STR_FMT, STR_ARG(text_base64(call->arena, bytes)));
}

/* One signature, or two while a new secret is being rolled out. */
static enum rc sign(const struct notifier_webhook *webhook, struct call *call,
                    const struct endpoint *endpoint, struct str content, struct str *ret_header)
{
    struct str key, next, name = arena_printf(call->arena, "webhook/%s", endpoint->name);
    struct str next_name = arena_printf(call->arena, "webhook/%s_next", endpoint->name);
    TRY(key_get(webhook->secrets, call, name, &key));
    struct str header = signature(call, key, content);
    enum rc rc = key_get(webhook->secrets, call, next_name, &next);
    if (rc == RC_OK) {
        header = arena_printf(call->arena, STR_FMT " " STR_FMT, STR_ARG(header),
                              STR_ARG(signature(call, next, content)));
    } else if (rc != RC_NOT_FOUND) {
        return rc;
    }
    call_forget(call); /* a next secret is there only during a rotation */
    *ret_header = header;
    return RC_OK;
}

/* --- posting ------------------------------------------------------------------------------------------- */
static bool is_allowed(void *context, const struct sockaddr *address, socklen_t size_bytes)
{
    const struct notifier_webhook *webhook = context;
    return webhook->allow_private || address_is_public(address, size_bytes);
}

static enum rc client_take(struct notifier_webhook *webhook, struct call *call,
                           struct http_client **ret_client)
{
    struct http_client *client = NULL;
    pthread_mutex_lock(&webhook->lock);
    if (webhook->idle_count > 0) {
        client = webhook->idle[--webhook->idle_count];
    }
    pthread_mutex_unlock(&webhook->lock);
    if (!client) {
        struct http_client_options options = {.address_allowed = is_allowed, .context = webhook};
        TRY(http_client_open(call, &options, &client));
    }
    *ret_client = client;
    return RC_OK;
}

static void client_give(struct notifier_webhook *webhook, struct http_client *client)
{
    pthread_mutex_lock(&webhook->lock);
    if (webhook->idle_count < IDLE_MAX) {
        webhook->idle[webhook->idle_count++] = client;
        client = NULL;
    }
    pthread_mutex_unlock(&webhook->lock);
    http_client_close(client);
}

static enum rc post(struct notifier_webhook *webhook, struct call *call,
                    const struct endpoint *endpoint, const struct event *event,
                    struct inbound *ret_answer)
{
    struct http_client *client = NULL;
    struct str signatures, seconds = arena_printf(call->arena, "%lld",
                                                  (long long)(clock_now_ms(webhook->clock) / 1000));
    struct str content = arena_printf(call->arena, STR_FMT "." STR_FMT "." STR_FMT,
                                      STR_ARG(event->id), STR_ARG(seconds), STR_ARG(event->body));
    TRY(sign(webhook, call, endpoint, content, &signatures));
    struct header headers[] = {{STR("content-type"), STR("application/json")},
                               {STR("webhook-id"), event->id},
                               {STR("webhook-timestamp"), seconds},
                               {STR("webhook-signature"), signatures}};
    struct outbound outbound = {.method = STR("POST"),
                                .url = str_of(endpoint->url),
                                .headers = headers,
                                .header_count = COUNT_OF(headers),
                                .body = event->body,
                                .timeout_ms = webhook->timeout_ms,
                                .answer_max_bytes = ANSWER_KEPT_BYTES};
    TRY(client_take(webhook, call, &client));
    http_client_perform(client, call, webhook->clock, &outbound, ret_answer);
    client_give(webhook, client);
    return RC_OK;
}

/* --- telling --------------------------------------------------------------------------------------------- */
/* Is it the first time that this event comes by? */
static bool is_first(struct notifier_webhook *webhook, struct str id)
{
    bool found = false;
    pthread_mutex_lock(&webhook->lock);
    for (int i = 0; i < LOGGED_MAX && !found; i++) {
        found = str_is(id, webhook->logged[i]);
    }
    if (!found && id.len < sizeof webhook->logged[0]) {
        char *slot = webhook->logged[webhook->logged_next];
        webhook->logged_next = (webhook->logged_next + 1) % LOGGED_MAX;
        memcpy(slot, id.s, id.len);
        slot[id.len] = '\0';
    }
    pthread_mutex_unlock(&webhook->lock);
    return !found;
}

static void log_failure(enum diag_level level, const char *line, const struct endpoint *endpoint,
                        const struct event *event, int status, struct str why)
{
    DIAG(level, line, DIAG_TEXT("webhook", str_of(endpoint->name)), DIAG_TEXT("type", event->type),
         DIAG_TEXT("event_id", event->id), DIAG_NUMBER("status", status), DIAG_TEXT("why", why));
}

static enum told webhook_tell(struct notifier *notifier, struct call *call,
                              const struct event *event, int64_t *ret_again_at_ms)
{
    struct notifier_webhook *webhook = (struct notifier_webhook *)notifier;
    struct endpoint *endpoint = event->operators ? &webhook->operators : &webhook->customers;
    struct inbound answer = {0};
    *ret_again_at_ms = 0;
    if (is_first(webhook, event->id)) {
        notifier_log_line(event);
    }
    if (!endpoint->url[0]) {
        return TOLD_DONE;
    }
    if (atomic_load(&endpoint->is_gone)) {
        return TOLD_NEVER; /* it was said loudly when it went */
    }
    int64_t now_ms = clock_now_ms(webhook->clock);
    int64_t until_ms = (int64_t)atomic_load(&endpoint->rests_until_ms);
    if (now_ms < until_ms && until_ms <= now_ms + NOTICE_AGAIN_MAX_MS) { /* else a clock was set */
        *ret_again_at_ms = until_ms;
        return TOLD_AGAIN;
    }
    if (post(webhook, call, endpoint, event, &answer) != RC_OK) {
        log_failure(DIAG_ERROR, "webhook_failed", endpoint, event, 0, str_of(call->why));
        return TOLD_AGAIN;
    }
    if (answer.end == INBOUND_ANSWERED && answer.status / 100 == 2) {
        return TOLD_DONE;
    }
    if (answer.end == INBOUND_ANSWERED && answer.status == GONE) {
        atomic_store(&endpoint->is_gone, true);
        log_failure(DIAG_ERROR, "webhook_off", endpoint, event, answer.status,
                    STR("the receiver is gone: nothing is posted there until the next start"));
        return TOLD_NEVER;
    }
    log_failure(DIAG_WARN, "webhook_failed", endpoint, event, answer.status,
                answer.why.len ? answer.why : str_of(inbound_end_name(answer.end)));
    *ret_again_at_ms = inbound_retry_after(inbound_header(&answer, "retry-after"),
                                           clock_now_ms(webhook->clock), NOTICE_AGAIN_MAX_MS);
    if (*ret_again_at_ms && (answer.status == TOO_MANY || answer.status == UNAVAILABLE)) {
        atomic_store(&endpoint->rests_until_ms, *ret_again_at_ms); /* the others are meant too */
    }
    return TOLD_AGAIN;
}

/* --- opening ----------------------------------------------------------------------------------------------- */
static void url_free(CURLU **url)
{
    curl_url_cleanup(*url);
}

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static enum rc check_url(struct call *call, const char *name, struct str text, bool allow_private)
{
    CLEANUP(url_free) CURLU *url = curl_url();
    bool is_https = text.len > 8 && text_equal_nocase(str_head(text, 8), STR("https://"));
    bool is_http = text.len > 7 && text_equal_nocase(str_head(text, 7), STR("http://"));
    const char *fault = NULL;
    if (text.len > URL_MAX_BYTES || memchr(text.s, '\0', text.len)) {
        fault = "is too long";
    } else if (!is_https && !(is_http && allow_private)) {
        fault = "must begin with https:// (http:// needs webhook_allow_private = yes)";
    } else if (!url || curl_url_set(url, CURLUPART_URL, arena_copy(call->arena, text).s, 0)) {
        fault = "is no URL";
    } else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD)) {
        fault = "must not hold a user or password";
    } else if (has_part(url, CURLUPART_FRAGMENT)) {
        fault = "must not hold a fragment";
    }
    return fault ? call_why(call, RC_INVALID, "webhook_%s %s", name, fault) : RC_OK;
}

static enum rc endpoint_open(struct notifier_webhook *webhook, struct call *call,
                             struct endpoint *endpoint, const char *name, struct str url)
{
    struct str header;
    endpoint->name = name;
    if (url.len == 0) {
        return RC_OK;
    }
    TRY(check_url(call, name, url, webhook->allow_private));
    memcpy(endpoint->url, url.s, url.len);
    enum rc rc = sign(webhook, call, endpoint, STR(""), &header);
    if (rc != RC_OK) {
        return call_why(call, RC_INVALID, "webhook_%s is set", name);
    }
    return RC_OK;
}

enum rc notifier_webhook_open(struct call *call, struct world *world,
                              struct notifier **ret_notifier)
{
    static const struct notifier_ops ops = {.tell = webhook_tell};
    const struct settings *settings = world->settings;
    struct notifier_webhook *webhook = calloc(1, sizeof *webhook);
    if (!webhook) {
        abort();
    }
    webhook->notifier =
        (struct notifier){.ops = &ops, .customers = settings->webhook_customer.len > 0};
    webhook->secrets = world->secrets;
    webhook->clock = world->clock;
    webhook->timeout_ms = settings->webhook_timeout_ms;
    webhook->allow_private = settings->webhook_allow_private;
    pthread_mutex_init(&webhook->lock, NULL);
    enum rc rc =
        endpoint_open(webhook, call, &webhook->operators, "operator", settings->webhook_operator);
    if (rc == RC_OK) {
        rc = endpoint_open(webhook, call, &webhook->customers, "customer",
                           settings->webhook_customer);
    }
    if (rc != RC_OK) {
        notifier_webhook_close(&webhook->notifier);
        return rc;
    }
    *ret_notifier = &webhook->notifier;
    return RC_OK;
}

void notifier_webhook_close(struct notifier *notifier)
{
    struct notifier_webhook *webhook = (struct notifier_webhook *)notifier;
    if (!webhook) {
        return;
    }
    for (int i = 0; i < webhook->idle_count; i++) {
        http_client_close(webhook->idle[i]);
    }
    pthread_mutex_destroy(&webhook->lock);
    free(webhook);
}
