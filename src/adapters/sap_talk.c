/* Requests to SAP with what every one of them carries. Reads may be repeated, writes are sent once per call. No
 * header value, token or cookie ever goes into a log from here. */
#include "adapters/sap_talk.h"

#include <openssl/sha.h>
#include <stdatomic.h>

#include "base/text.h"
#include "core/settings.h"

#define HEADERS_ROOM 24

struct request_headers {
    struct header items[HEADERS_ROOM];
    size_t count;
};

static void add(struct request_headers *headers, const char *name, struct str value)
{
    assert(headers->count < HEADERS_ROOM);
    if (value.len) {
        headers->items[headers->count++] = (struct header){str_of(name), value};
    }
}

void sap_slot_open(struct sap_slot *slot, int number)
{
    *slot = (struct sap_slot){.number = number};
    arena_open(&slot->session_arena, 0);
    arena_open(&slot->bearer_arena, 0);
}

void sap_slot_close(struct sap_slot *slot)
{
    arena_close(&slot->session_arena);
    arena_close(&slot->bearer_arena);
}

/* ---- logon ------------------------------------------------------------------------------------------- */

enum rc sap_talk_credentials(struct call *call, const struct sap_config *config,
                             struct secrets *secrets, struct str *ret_sha)
{
    struct str names[2] = {config->user_secret, config->password_secret}, values[2] = {{0}};
    unsigned char sha[SHA256_DIGEST_LENGTH];
    *ret_sha = STR_NONE;
    for (int i = 0; i < 2 && config->auth != SAP_AUTH_NONE; i++) {
        if (!names[i].len) {
            continue; /* a bearer token has no user */
        }
        enum rc rc = secrets_get(secrets, call, names[i], &values[i]);
        if (rc != RC_OK) {
            return call_why(call, rc, "the downstream's secret " STR_FMT, STR_ARG(names[i]));
        }
    }
    if (config->auth == SAP_AUTH_NONE) {
        return RC_OK;
    }
    struct str all =
        arena_printf(call->arena, STR_FMT "\n" STR_FMT "\n" STR_FMT, STR_ARG(config->base_url),
                     STR_ARG(values[0]), STR_ARG(values[1]));
    SHA256((const unsigned char *)all.s, all.len, sha);
    *ret_sha = text_hex(call->arena, (struct str){(const char *)sha, sizeof(sha)});
    return RC_OK;
}

static bool secret_of(struct sap_talk *talk, struct str name, struct str *ret_value)
{
    if (secrets_get(talk->world->secrets, talk->call, name, ret_value) == RC_OK) {
        return true;
    }
    talk->class = SAP_IS_CONFIG;
    talk->error = (struct sap_error){.message = STR("a secret of the downstream is missing")};
    return false;
}

static bool basic_of(struct sap_talk *talk, struct str *ret_value)
{
    struct str user, password;
    struct arena *arena = talk->call->arena;
    if (!secret_of(talk, talk->config->user_secret, &user) ||
        !secret_of(talk, talk->config->password_secret, &password)) {
        return false;
    }
    struct str pair = arena_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(user), STR_ARG(password));
    *ret_value = arena_printf(arena, "Basic " STR_FMT, STR_ARG(text_base64(arena, pair)));
    return true;
}

static void classify(struct sap_talk *talk, bool write, bool if_match)
{
    struct arena *arena = talk->call->arena;
    const struct inbound *answer = &talk->answer;
    struct sap_reply reply = {
        .answer = answer, .error = &talk->error, .write = write, .if_match = if_match};
    talk->error = (struct sap_error){0};
    talk->severity = sap_wire_message(arena, answer, &talk->message);
    reply.severity = talk->severity;
    if (answer->end == INBOUND_ANSWERED && (answer->status < 200 || answer->status >= 300)) {
        sap_wire_error(arena, inbound_header(answer, "content-type"), answer->body, &talk->error);
    }
    talk->class = sap_classify(talk->config, &reply);
}

/* SAP locks a user after three refused logons, so senders that are still talking when one of them is refused stop
 * where they are. */
static bool rests(struct sap_talk *talk)
{
    int64_t refused_at_ms = talk->refused_at_ms ? atomic_load(talk->refused_at_ms) : 0;
    int64_t now_ms = clock_now_ms(talk->world->clock);
    return refused_at_ms && now_ms >= refused_at_ms && now_ms - refused_at_ms < SAP_REFUSED_REST_MS;
}

static void perform(struct sap_talk *talk, const struct outbound *outbound)
{
    if (rests(talk)) {
        talk->answer =
            (struct inbound){.end = INBOUND_NOT_SENT, .why = STR("a logon has just been refused")};
        return;
    }
    talk->requests++;
    talk->transport->ops->perform(talk->transport, talk->call, talk->world, talk->slot->number,
                                  outbound, &talk->answer);
}

static void take_bearer(struct sap_talk *talk)
{
    yyjson_val *root = NULL;
    struct str token = STR_NONE;
    if (talk->class == SAP_IS_DONE &&
        json_read(talk->call->arena, talk->answer.body, 8, &root, NULL) == RC_OK) {
        token = json_member_str(root, "access_token", STR_NONE);
    }
    if (!token.len) {
        talk->class = talk->class == SAP_IS_DONE || talk->class == SAP_IS_READ_REFUSED
                          ? SAP_IS_AUTH
                          : talk->class;
        return;
    }
    int64_t seconds = json_member_i64(root, "expires_in", 300);
    seconds = seconds < 0 || seconds > 86400 ? 300 : seconds;
    int64_t early_ms =
        min_i64(SAP_BEARER_EARLY_MS, seconds * 500); /* short ones: half their life */
    arena_close(&talk->slot->bearer_arena);
    arena_open(&talk->slot->bearer_arena, 0);
    talk->slot->bearer = arena_printf(&talk->slot->bearer_arena, "Bearer " STR_FMT, STR_ARG(token));
    talk->slot->bearer_until_ms = clock_now_ms(talk->world->clock) + seconds * 1000 - early_ms;
}

/* OAuth 2.0 client credentials (RFC 6749 section 4.4). */
static bool fetch_bearer(struct sap_talk *talk)
{
    struct request_headers headers = {0};
    struct str basic, body = STR("grant_type=client_credentials");
    if (!basic_of(talk, &basic)) {
        return false;
    }
    if (talk->config->scope.len) {
        body = arena_printf(talk->call->arena, STR_FMT "&scope=" STR_FMT, STR_ARG(body),
                            STR_ARG(text_percent(talk->call->arena, talk->config->scope)));
    }
    add(&headers, "Authorization", basic);
    add(&headers, "Accept", STR("application/json"));
    add(&headers, "Content-Type", STR("application/x-www-form-urlencoded"));
    struct outbound outbound = {.method = STR("POST"),
                                .url = talk->config->token_url,
                                .headers = headers.items,
                                .header_count = headers.count,
                                .body = body,
                                .timeout_ms = talk->world->settings->read_timeout_ms};
    talk->slot->bearer = STR_NONE;
    perform(talk, &outbound);
    classify(talk, false, false);
    take_bearer(talk);
    return talk->slot->bearer.len > 0;
}

bool sap_talk_new_bearer(struct sap_talk *talk)
{
    return talk->config->auth == SAP_AUTH_OAUTH2 && fetch_bearer(talk);
}

static bool authorization(struct sap_talk *talk, struct str *ret_value)
{
    *ret_value = STR_NONE;
    switch (talk->config->auth) {
    case SAP_AUTH_NONE:
        return true;
    case SAP_AUTH_BASIC:
        return basic_of(talk, ret_value);
    case SAP_AUTH_BEARER:
        if (!secret_of(talk, talk->config->password_secret, ret_value)) {
            return false;
        }
        *ret_value = arena_printf(talk->call->arena, "Bearer " STR_FMT, STR_ARG(*ret_value));
        return true;
    case SAP_AUTH_OAUTH2:
        break;
    }
    if (!talk->slot->bearer.len ||
        clock_now_ms(talk->world->clock) >= talk->slot->bearer_until_ms) {
        if (!fetch_bearer(talk)) {
            return false;
        }
    }
    *ret_value = arena_copy(talk->call->arena, talk->slot->bearer);
    return true;
}

/* ---- single requests ---------------------------------------------------------------------------------------- */

static struct str json_type(const struct sap_talk *talk)
{
    return talk->config->protocol == SAP_V2 ? STR("application/json")
                                            : STR("application/json;IEEE754Compatible=true");
}

static bool common(struct sap_talk *talk, struct request_headers *headers)
{
    struct str logon;
    if (!authorization(talk, &logon)) {
        return false;
    }
    bool v2 = talk->config->protocol == SAP_V2;
    add(headers, "Accept", talk->accept.len ? talk->accept : json_type(talk));
    add(headers, "Accept-Language", STR("en"));
    add(headers, "Authorization", logon);
    add(headers, "Cookie", talk->slot->cookies);
    add(headers, "X-Requested-With", STR("X"));
    add(headers, v2 ? "MaxDataServiceVersion" : "OData-MaxVersion", v2 ? STR("2.0") : STR("4.0"));
    add(headers, "X-Correlation-ID", talk->trace_id);
    return true;
}

static bool read_once(struct sap_talk *talk, const char *method, struct str url, bool fetch)
{
    struct request_headers headers = {0};
    if (!common(talk, &headers)) {
        return false;
    }
    add(&headers, "X-CSRF-Token", fetch ? STR("Fetch") : STR_NONE);
    struct outbound outbound = {.method = str_of(method),
                                .url = url,
                                .headers = headers.items,
                                .header_count = headers.count,
                                .timeout_ms = talk->world->settings->read_timeout_ms,
                                .answer_max_bytes = SAP_ANSWER_MAX_BYTES};
    perform(talk, &outbound);
    classify(talk, false, false);
    return true;
}

/* Read; with an OAuth2 token that was refused, once more with another. */
static void read_twice(struct sap_talk *talk, const char *method, struct str url, bool fetch)
{
    if (read_once(talk, method, url, fetch) && talk->class == SAP_IS_AUTH &&
        talk->answer.status == 401 && sap_talk_new_bearer(talk)) {
        (void)read_once(talk, method, url, fetch);
    }
}

enum sap_class sap_talk_get(struct sap_talk *talk, struct str url)
{
    read_twice(talk, "GET", url, false);
    talk->slot->used_at_ms = clock_now_ms(talk->world->clock);
    return talk->class;
}

/* ---- session --------------------------------------------------------------------------------------------------- */

static void session_forget(struct sap_slot *slot)
{
    slot->token = slot->cookies = STR_NONE;
    arena_close(&slot->session_arena);
    arena_open(&slot->session_arena, 0);
}

/* Keep a token even from an error status: some gateways answer so and mean it. */
static bool session_take(struct sap_talk *talk)
{
    struct str token = inbound_header(&talk->answer, "x-csrf-token");
    struct sap_slot *slot = talk->slot;
    bool is_token = talk->answer.end == INBOUND_ANSWERED && token.len &&
                    !text_equal_nocase(token, STR("required")) &&
                    !text_equal_nocase(token, STR("fetch")) && talk->answer.status != 401;
    struct str cookies = sap_wire_cookies(talk->call->arena, &talk->answer, slot->cookies);
    session_forget(slot);
    slot->cookies = arena_copy(&slot->session_arena, cookies);
    slot->token = is_token ? arena_copy(&slot->session_arena, token) : STR_NONE;
    return is_token;
}

bool sap_talk_session(struct sap_talk *talk, bool fresh)
{
    struct sap_slot *slot = talk->slot;
    int64_t now_ms = clock_now_ms(talk->world->clock);
    struct str url = sap_wire_root_url(talk->config, talk->call->arena);
    if (!talk->config->csrf) {
        return true;
    }
    if (!fresh && slot->token.len && now_ms - slot->used_at_ms < SAP_SESSION_IDLE_MS) {
        return true;
    }
    session_forget(slot);
    read_twice(talk, "HEAD", url, true);
    bool stop = talk->class == SAP_IS_AUTH || talk->class == SAP_IS_THROTTLED;
    if (talk->answer.end == INBOUND_ANSWERED && !session_take(talk) && !stop) {
        read_twice(talk, "GET", url, true); /* some gateways answer HEAD badly */
        (void)(talk->answer.end == INBOUND_ANSWERED && session_take(talk));
    }
    slot->used_at_ms = now_ms;
    if (slot->token.len) {
        return true;
    }
    if (talk->class == SAP_IS_DONE || talk->class == SAP_IS_MISSING ||
        talk->class == SAP_IS_SESSION) {
        talk->error.message = talk->class == SAP_IS_MISSING ? STR("there is no such service")
                                                            : STR("the service gave no token");
        talk->class = SAP_IS_CONFIG;
    }
    return false;
}

/* ---- write ------------------------------------------------------------------------------------------------------- */

static void add_repeat(struct sap_talk *talk, struct request_headers *headers,
                       const struct sap_write *write)
{
    struct arena *arena = talk->call->arena;
    char iso[ISO_TIME_BYTES + 1];
    if (!write->repeat_id.len) {
        return;
    }
    if (talk->config->repeat == SAP_REPEAT_OASIS) {
        add(headers, "Repeatability-Request-ID", sap_wire_guid(arena, write->repeat_id));
        add(headers, "Repeatability-First-Sent", http_date(arena, write->first_sent_at_ms));
    } else if (talk->config->repeat == SAP_REPEAT_GATEWAY) {
        iso_time_write(write->first_sent_at_ms, iso);
        struct text id; /* SAP's GUIDs are written in upper case */
        text_open(&id, arena, write->repeat_id.len);
        for (size_t i = 0; i < write->repeat_id.len; i++) {
            char c = write->repeat_id.s[i];
            text_add_char(&id, c >= 'a' && c <= 'f' ? (char)(c - 'a' + 'A') : c);
        }
        add(headers, "RequestID", text_str(&id));
        add(headers, "RepeatabilityCreation", arena_printf(arena, "%.19s", iso));
    }
}

enum sap_class sap_talk_write(struct sap_talk *talk, const struct sap_write *write)
{
    struct request_headers headers = {0};
    bool tunnel = talk->config->verb == SAP_TUNNEL && !str_is(write->method, "POST");
    bool v2 = talk->config->protocol == SAP_V2;
    talk->answer = (struct inbound){.end = INBOUND_NO_CONNECTION};
    if (!common(talk, &headers)) {
        return talk->class;
    }
    add(&headers, "Content-Type", json_type(talk));
    add(&headers, v2 ? "DataServiceVersion" : "OData-Version", v2 ? STR("2.0") : STR("4.0"));
    if (!v2) { /* a create has to tell the key, an update nothing */
        add(&headers, "Prefer",
            str_is(write->method, "POST") ? STR("return=representation") : STR("return=minimal"));
    }
    add(&headers, "X-CSRF-Token", talk->slot->token);
    add(&headers, "If-Match", write->if_match);
    add(&headers, "X-HTTP-Method", tunnel ? write->method : STR_NONE);
    add_repeat(talk, &headers, write);
    struct outbound outbound = {.method = tunnel ? STR("POST") : write->method,
                                .url = write->url,
                                .headers = headers.items,
                                .header_count = headers.count,
                                .body = write->body,
                                .timeout_ms = talk->world->settings->write_timeout_ms,
                                .write = true,
                                .send_from_at_ms = write->send_from_at_ms,
                                .send_before_at_ms = write->send_before_at_ms};
    perform(talk, &outbound);
    classify(talk, true, write->if_match.len > 0);
    talk->slot->used_at_ms = clock_now_ms(talk->world->clock);
    return talk->class;
}
