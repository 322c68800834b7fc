/* What a range cannot say. A fault is what could break a promise or cannot work; a warning is what is lawful but rarely
 * meant. A default that another setting pushes aside is no fault: the engine uses the nearest lawful value
 * (core/window.h), only a value that somebody wrote must be kept as written or refused. */
#include "home/config_rules.h"

#include "base/text.h"

#include <arpa/inet.h>

#define LEASE_MARGIN_MS 20000 /* a sender needs this beyond its write: leases are judged by it */
#define POOL_MAX 1024         /* libuv documentation, UV_THREADPOOL_SIZE: at most 1024 */
#define SAP_CALLS 8           /* parallel calls that an SAP gateway bears well */
#define DAY_MS 86400000

/* ---- secrets -------------------------------------------------------------------------------- */

static bool holds(struct str text, const char *part)
{
    return text.len > 0 && memmem(text.s, text.len, part, strlen(part)) != NULL;
}

bool config_rules_secret_name(struct str name)
{
    static const char *const words[] = {"password",   "passwd",       "secret",      "token",
                                        "api_key",    "apikey",       "credential",  "private_key",
                                        "client_key", "operator_key", "customer_key"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (holds(name, words[i])) {
            return true;
        }
    }
    return false;
}

/* The part of a URL that may hold "user:password@", empty if there is none. */
static struct str url_user(struct str url)
{
    const char *scheme = url.len ? memmem(url.s, url.len, "://", 3) : NULL;
    if (!scheme) {
        return STR_NONE;
    }
    struct str rest = str_from(url, (size_t)(scheme - url.s) + 3);
    size_t len = 0;
    while (len < rest.len && !strchr("/?#", rest.s[len])) {
        len++;
    }
    const char *at = memrchr(rest.s, '@', len);
    return at ? str_head(rest, (size_t)(at - rest.s)) : STR_NONE;
}

bool config_rules_secret_value(struct str value)
{
    return holds(value, "hb_live_") || holds(value, "hb_test_") || holds(value, "whsec_") ||
           url_user(value).len > 0;
}

/* ---- single settings ------------------------------------------------------------------------ */

struct rules {
    const struct config *config;
    const struct settings *settings;
    struct config_report *report;
};

static bool is_given(const struct rules *rules, enum config_id id)
{
    return rules->config->from[id].origin != ORIGIN_DEFAULT;
}

/* "/etc/hourbell.conf:12: window": where a setting was written, and its name. */
static const char *place(const struct rules *rules, enum config_id id)
{
    struct arena *arena = rules->report->arena;
    return arena_printf(arena, STR_FMT ": %s", STR_ARG(config_origin(arena, rules->config, id)),
                        config_setting(id)->name)
        .s;
}

static void check_word(const struct rules *rules, enum config_id id, struct str value,
                       const char *const *words)
{
    struct text list;
    text_open(&list, rules->report->arena, 256);
    for (size_t i = 0; words[i]; i++) {
        if (str_is(value, words[i])) {
            return;
        }
        text_printf(&list, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    config_fault(rules->report, "%s = " STR_FMT ": must be " STR_FMT, place(rules, id),
                 STR_ARG(value), STR_ARG(text_str(&list)));
}

static void check_url(const struct rules *rules, enum config_id id, struct str url)
{
    bool https = str_starts(url, STR("https://")), http = str_starts(url, STR("http://"));
    if (url.len == 0) {
        return;
    }
    if (!https && !http) {
        config_fault(rules->report, "%s: must begin with https://", place(rules, id));
    } else if (http && !rules->settings->webhook_allow_private) {
        config_fault(rules->report,
                     "%s: must begin with https:// (http:// only with webhook_allow_private = yes)",
                     place(rules, id));
    } else if (memchr(url.s, ' ', url.len) || url.len <= (https ? 8U : 7U)) {
        config_fault(rules->report, "%s: is not a URL", place(rules, id));
    }
}

static bool is_loopback(struct str host, bool *ret_is_address)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    *ret_is_address = false;
    if (host.len == 0 || host.len >= sizeof text) {
        return false;
    }
    memcpy(text, host.s, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, address) == 1) {
        *ret_is_address = true;
        return address[0] == 127;
    }
    if (inet_pton(AF_INET6, text, address) == 1) {
        static const unsigned char loopback[16] = {[15] = 1};
        *ret_is_address = true;
        return memcmp(address, loopback, sizeof loopback) == 0;
    }
    return false;
}

static void check_bind(const struct rules *rules)
{
    struct str bind = rules->settings->bind, host = bind;
    int64_t port = -1;
    bool is_address = false;
    if (bind.len == 0) {
        if (rules->settings->unix_socket.len == 0) {
            config_fault(rules->report, "bind and unix_socket are both empty: nobody could ask");
        }
        return;
    }
    const char *colon = memrchr(bind.s, ':', bind.len);
    if (colon) {
        host.len = (size_t)(colon - bind.s);
        if (text_to_i64(str_from(bind, host.len + 1), &port) != RC_OK) {
            port = -1;
        }
        if (host.len > 2 && host.s[0] == '[' && host.s[host.len - 1] == ']') {
            host = (struct str){host.s + 1, host.len - 2};
        } else if (memchr(host.s, ':', host.len)) {
            host.len = 0; /* an IPv6 address needs its brackets */
        }
    }
    bool loopback = is_loopback(host, &is_address);
    if (!is_address || port < 0 || port > 65535) {
        config_fault(rules->report,
                     "%s = " STR_FMT ": must be ADDRESS:PORT, as 127.0.0.1:8080 or [::1]:8080",
                     place(rules, CONFIG_bind), STR_ARG(bind));
    } else if (!loopback && !rules->settings->behind_proxy) {
        config_fault(rules->report,
                     "%s = " STR_FMT
                     ": is not a loopback address: hourbell speaks plain HTTP, so it "
                     "must stand behind a proxy that ends TLS; say behind_proxy = yes",
                     place(rules, CONFIG_bind), STR_ARG(bind));
    }
}

/* ---- rules between settings ------------------------------------------------------------------- */

static void check_engine(const struct rules *rules)
{
    const struct settings *s = rules->settings;
    if (is_given(rules, CONFIG_boundary_guard) && s->boundary_guard_ms > s->window_ms / 10) {
        config_fault(rules->report, "%s: must be at most a tenth of window (%lld ms)",
                     place(rules, CONFIG_boundary_guard), (long long)(s->window_ms / 10));
    }
    if (is_given(rules, CONFIG_lease) && s->lease_ms < s->write_timeout_ms + LEASE_MARGIN_MS) {
        config_fault(rules->report, "%s: must be at least write_timeout + 20 s (%lld s)",
                     place(rules, CONFIG_lease),
                     (long long)((s->write_timeout_ms + LEASE_MARGIN_MS + 999) / 1000));
    }
    if (s->read_timeout_ms > s->write_timeout_ms) {
        config_fault(rules->report, "read_timeout must not be longer than write_timeout");
    }
    if (s->downstream_concurrency + s->webhook_concurrency > POOL_MAX) {
        config_fault(rules->report,
                     "downstream_concurrency + webhook_concurrency must be at most %d", POOL_MAX);
    }
    if (DAY_MS % s->window_ms != 0) {
        config_warn(rules->report, "window: a day is no multiple of it, so its boundaries lie at "
                                   "other times each day");
    }
    if (s->late_limit_ms < s->write_timeout_ms) {
        config_warn(rules->report,
                    "late_limit is shorter than write_timeout: a write that the downstream commits "
                    "after its answer was given up may be believed not to have happened");
    }
    if (s->downstream_concurrency > SAP_CALLS && str_is(s->downstream, "odata")) {
        config_warn(rules->report,
                    "downstream_concurrency: SAP bears about %d calls at once; more of them lock "
                    "each other out",
                    SAP_CALLS);
    }
}

void config_rules_check(const struct config *config, struct config_report *report)
{
    static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
    static const char *const connectors[] = {"odata", "http", NULL};
    const struct rules rules = {config, &config->settings, report};
    check_engine(&rules);
    check_bind(&rules);
    check_word(&rules, CONFIG_log_level, rules.settings->log_level, levels);
    check_word(&rules, CONFIG_downstream, rules.settings->downstream, connectors);
    check_url(&rules, CONFIG_webhook_operator, rules.settings->webhook_operator);
    check_url(&rules, CONFIG_webhook_customer, rules.settings->webhook_customer);
    if (rules.settings->data_dir.len == 0) {
        config_fault(report, "%s: must not be empty", place(&rules, CONFIG_data_dir));
    }
}
