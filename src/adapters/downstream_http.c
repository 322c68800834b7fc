/* One resource per device: PATCH with a merge patch of the difference (RFC 7396) or with the whole document; PUT of the
 * whole document where the resource may be made. The repeat id goes with every write as Idempotency-Key, so that a
 * downstream that honours it does the work once. Where nothing can be read back an uncertain write goes out again, the
 * same bytes under the same id. */
#include "adapters/downstream_http.h"

#include <openssl/sha.h>
#include <stdlib.h>

#include "adapters/slots.h"
#include "base/text.h"
#include "core/breaker.h"
#include "core/document.h"
#include "core/settings.h"

#define EXPONENT_MAX 1000000 /* of a number that is looked at digit by digit */
#define BUSY_WAIT_MS 30000
#define SHOWN_BYTES 1000 /* of an answer, in the log */

struct plain {
    struct downstream port;
    const struct http_config *config;
    struct transport *transport;
    struct slots slots;
    struct arena arena;
};

/* ---- encode: the difference as a merge patch --------------------------------------------------------------- */

struct level {
    yyjson_val *base, *target;
    yyjson_mut_val *patch;
    yyjson_obj_iter members;
    bool gone; /* the members of target are done; now those of base that target lacks */
};

static yyjson_val *same_member(yyjson_val *object, yyjson_val *key)
{
    return yyjson_obj_getn(object, yyjson_get_str(key), yyjson_get_len(key));
}

static void put(struct call *call, yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *key,
                yyjson_mut_val *value)
{
    struct str name = arena_copy(call->arena, json_str(key));
    (void)yyjson_mut_obj_add(object, yyjson_mut_strn(doc, name.s, name.len), value);
}

static bool equal_values(struct call *call, yyjson_val *a, yyjson_val *b)
{
    struct str left =
        arena_printf(call->arena, "{\"v\":" STR_FMT "}", STR_ARG(json_write(call->arena, a)));
    struct str right =
        arena_printf(call->arena, "{\"v\":" STR_FMT "}", STR_ARG(json_write(call->arena, b)));
    return document_equal(call, left, right);
}

/* One member of the target against the base: nothing, its value, or a deeper level (then true). */
static bool diff_member(struct call *call, yyjson_mut_doc *doc, struct level *level,
                        yyjson_val *key, struct level *ret_deeper)
{
    yyjson_val *after = yyjson_obj_iter_get_val(key), *before = same_member(level->base, key);
    if (yyjson_is_obj(after) && yyjson_is_obj(before)) {
        *ret_deeper = (struct level){.base = before, .target = after, .patch = yyjson_mut_obj(doc)};
        yyjson_obj_iter_init(after, &ret_deeper->members);
        put(call, doc, level->patch, key, ret_deeper->patch);
        return true;
    }
    if (!before || !equal_values(call, before, after)) {
        put(call, doc, level->patch, key, yyjson_val_mut_copy(doc, after));
    }
    return false;
}

/* Levels are left from the inside out, so an empty patch can be taken out of the level above: it is its last member. */
static void leave(struct level *levels, int depth)
{
    yyjson_mut_val *own = levels[depth].patch;
    if (depth > 0 && yyjson_mut_obj_size(own) == 0) {
        yyjson_mut_val *above = levels[depth - 1].patch, *key;
        yyjson_mut_obj_iter members;
        yyjson_mut_obj_iter_init(above, &members);
        while ((key = yyjson_mut_obj_iter_next(&members)) != NULL) {
            if (yyjson_mut_obj_iter_get_val(key) == own) {
                (void)yyjson_mut_obj_iter_remove(&members);
            }
        }
    }
}

static struct str diff(struct call *call, yyjson_val *base, yyjson_val *target)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    struct level levels[JSON_MAX_DEPTH + 1];
    int depth = 0;
    levels[0] =
        (struct level){.base = base, .target = target, .patch = yyjson_mut_doc_get_root(doc)};
    yyjson_obj_iter_init(target, &levels[0].members);
    while (depth >= 0) {
        struct level *level = &levels[depth];
        yyjson_val *key = yyjson_obj_iter_next(&level->members);
        if (key && !level->gone) {
            if (diff_member(call, doc, level, key,
                            &levels[depth + 1 <= JSON_MAX_DEPTH ? depth + 1 : depth])) {
                depth++;
            }
        } else if (key) {
            if (!same_member(level->target, key)) {
                put(call, doc, level->patch, key, yyjson_mut_null(doc));
            }
        } else if (!level->gone) {
            level->gone = true;
            yyjson_obj_iter_init(level->base, &level->members);
        } else {
            leave(levels, depth--);
        }
    }
    return yyjson_mut_obj_size(yyjson_mut_doc_get_root(doc)) ? json_write_mut(call->arena, doc)
                                                             : STR("");
}

static enum rc plain_encode(struct downstream *port, struct call *call, struct str device_name,
                            struct str base, struct str target, struct str *ret_bytes)
{
    const struct plain *plain = (struct plain *)port;
    yyjson_val *before, *after;
    (void)device_name;
    if (!base.len) {
        *ret_bytes = target;
        return RC_OK;
    }
    if (document_equal(call, base, target)) {
        *ret_bytes = STR("");
        return RC_OK;
    }
    if (plain->config->full) {
        *ret_bytes = target;
        return RC_OK;
    }
    if (json_read(call->arena, base, JSON_MAX_DEPTH, &before, NULL) != RC_OK ||
        json_read(call->arena, target, JSON_MAX_DEPTH, &after, NULL) != RC_OK) {
        return call_why(call, RC_BROKEN, "a document of ours is not JSON");
    }
    *ret_bytes = diff(call, before, after);
    return RC_OK;
}

/* ---- one request ------------------------------------------------------------------------------------------------- */

struct ask {
    struct plain *plain;
    struct call *call;
    struct world *world;
    const struct lease *lease;
    struct outcome *out;
    struct inbound answer;
    struct str verb;
};

static void settle_as(struct ask *ask, enum outcome_class class, const char *code, bool counts)
{
    struct outcome *out = ask->out;
    out->class = class;
    out->code = str_of(code);
    out->counts = counts;
}

static struct str name_url(struct ask *ask)
{
    return arena_printf(ask->call->arena, STR_FMT "/" STR_FMT,
                        STR_ARG(ask->plain->config->base_url),
                        STR_ARG(text_percent(ask->call->arena, ask->lease->device_name)));
}

/* false: the secret is missing, and that was said. */
static bool perform(struct ask *ask, const char *method, struct str url, struct str type,
                    struct str body)
{
    const struct http_config *config = ask->plain->config;
    const struct settings *settings = ask->world->settings;
    struct arena *arena = ask->call->arena;
    struct header headers[8];
    size_t count = 0;
    struct str token;
    bool write = ask->lease && body.len;
    if (config->token_secret.len) {
        if (secrets_get(ask->world->secrets, ask->call, config->token_secret, &token) != RC_OK) {
            settle_as(ask, OUTCOME_STOP, "CONFIG", false);
            ask->out->detail = STR("a secret of the downstream is missing");
            return false;
        }
        headers[count++] = (struct header){STR("Authorization"),
                                           arena_printf(arena, "Bearer " STR_FMT, STR_ARG(token))};
    }
    headers[count++] = (struct header){STR("Accept"), STR("application/json")};
    headers[count++] =
        (struct header){STR("X-Correlation-ID"), ask->lease ? ask->lease->trace_id : ask->call->id};
    if (write) {
        headers[count++] = (struct header){STR("Content-Type"), type};
        headers[count++] = (struct header){STR("Idempotency-Key"), ask->lease->body.repeat_id};
        headers[count++] = (struct header){STR("X-Repeat-ID"), ask->lease->body.repeat_id};
    }
    struct outbound outbound = {.method = str_of(method),
                                .url = url,
                                .headers = headers,
                                .header_count = count,
                                .body = body,
                                .timeout_ms =
                                    write ? settings->write_timeout_ms : settings->read_timeout_ms,
                                .write = write,
                                .send_from_at_ms = write ? ask->lease->send_from_at_ms : 0,
                                .send_before_at_ms = write ? ask->lease->send_before_at_ms : 0};
    int slot = slots_take(&ask->plain->slots);
    ask->plain->transport->ops->perform(ask->plain->transport, ask->call, ask->world, slot,
                                        &outbound, &ask->answer);
    slots_give(&ask->plain->slots, slot);
    ask->verb = str_of(method);
    return true;
}

static struct str data_of(struct ask *ask)
{
    struct arena *arena = ask->call->arena;
    struct str body = str_head(
        ask->answer.body, ask->answer.body.len > SHOWN_BYTES ? SHOWN_BYTES : ask->answer.body.len);
    struct text out;
    text_open(&out, arena, ANSWER_MAX_BYTES + 2048);
    text_printf(&out, "{\"end\":\"%s\",\"status\":%d,\"verb\":\"" STR_FMT "\",\"duration_ms\":%lld",
                inbound_end_name(ask->answer.end), ask->answer.status, STR_ARG(ask->verb),
                (long long)ask->answer.duration_ms);
    if (ask->answer.status < 200 || ask->answer.status > 299) {
        struct text shown;
        text_open(&shown, arena, SHOWN_BYTES * 6 + 64);
        text_add_json(&shown, body.len ? body : ask->answer.why);
        if (shown.len + out.len + 32 < ANSWER_MAX_BYTES + 2048) {
            text_printf(&out, ",\"answer\":" STR_FMT, STR_ARG(text_str(&shown)));
        }
    }
    text_add_char(&out, '}');
    return text_str(&out);
}

static void waits(struct ask *ask, bool whole)
{
    int64_t now_ms = clock_now_ms(ask->world->clock);
    struct str header = inbound_header(&ask->answer, "retry-after");
    int64_t until_ms = inbound_retry_after(header, now_ms, BREAKER_PAUSE_MAX_MS);
    ask->out->retry_after_at_ms = until_ms ? until_ms : whole ? 0 : now_ms + BUSY_WAIT_MS;
    ask->out->pause_until_ms = whole ? until_ms : 0;
    ask->out->refused = whole;
}

/* ---- classes -------------------------------------------------------------------------------------------------------- */

static void classify_status(struct ask *ask)
{
    int status = ask->answer.status;
    switch (status) {
    case 400:
    case 413:
    case 422:
        settle_as(ask, OUTCOME_REJECTED, status == 413 ? "TOO_LARGE" : "PERMANENT", false);
        return;
    case 401:
    case 403:
        settle_as(ask, OUTCOME_STOP, "AUTH", false);
        ask->out->auth = true;
        return;
    case 404:
    case 410:
        if (ask->plain->config->create) {
            settle_as(ask, OUTCOME_NO_EFFECT, "MISSING", false);
            ask->out->full_next = true;
        } else {
            settle_as(ask, OUTCOME_REJECTED, "NOT_FOUND", false);
        }
        return;
    case 409:
    case 423:
        settle_as(ask, OUTCOME_NO_EFFECT, "LOCKED", true);
        waits(ask, false);
        return;
    case 429:
    case 503:
        settle_as(ask, OUTCOME_NO_EFFECT, "THROTTLED", true);
        waits(ask, true);
        return;
    default:
        break;
    }
    if (status >= 200 && status < 300) {
        settle_as(ask, OUTCOME_EFFECT, "DONE", false);
    } else if (status == 408 || (status >= 500 && status != 501)) {
        settle_as(ask, OUTCOME_UNSURE, status == 500 ? "RETRY_LIMITED" : "AMBIGUOUS", false);
    } else {
        settle_as(ask, OUTCOME_STOP, "CONFIG", false);
    }
}

static void classify(struct ask *ask)
{
    switch (ask->answer.end) {
    case INBOUND_NOT_SENT:
        settle_as(ask, OUTCOME_NO_EFFECT, "NOT_SENT", false);
        break;
    case INBOUND_NO_CONNECTION:
    case INBOUND_INCOMPLETE:
        settle_as(ask, OUTCOME_NO_EFFECT, "RETRY_SAFE", true);
        ask->out->refused = true;
        break;
    case INBOUND_LOST:
    case INBOUND_TIMEOUT:
        settle_as(ask, OUTCOME_UNSURE, "AMBIGUOUS", false);
        break;
    case INBOUND_ANSWERED:
        classify_status(ask);
        break;
    }
    ask->out->detail =
        ask->answer.end != INBOUND_ANSWERED ? ask->answer.why
        : ask->out->class == OUTCOME_EFFECT
            ? STR_NONE
            : arena_printf(ask->call->arena, "the downstream answered %d", ask->answer.status);
    ask->out->data = data_of(ask);
}

/* ---- the port ----------------------------------------------------------------------------------------------------------- */

static struct ask ask_begin(struct downstream *port, struct call *call, struct world *world,
                            const struct lease *lease, struct outcome *out)
{
    *out = (struct outcome){.started_at_ms = clock_now_ms(world->clock)};
    return (struct ask){
        .plain = (struct plain *)port, .call = call, .world = world, .lease = lease, .out = out};
}

static void plain_send(struct downstream *port, struct call *call, struct world *world,
                       const struct lease *lease, struct outcome *ret_outcome)
{
    struct ask ask = ask_begin(port, call, world, lease, ret_outcome);
    struct str bytes = lease->body.bytes;
    bool whole = str_equal(bytes, lease->body.target);
    bool put_it = whole && ask.plain->config->create;
    struct str type = whole ? STR("application/json") : STR("application/merge-patch+json");
    if (!perform(&ask, put_it ? "PUT" : "PATCH", name_url(&ask), type, bytes)) {
        return;
    }
    classify(&ask);
    ret_outcome->sent_at_ms = ask.answer.sent_at_ms;
    ret_outcome->repeat_confirmed =
        text_equal_nocase(inbound_header(&ask.answer, "repeatability-result"), STR("accepted")) ||
        text_equal_nocase(inbound_header(&ask.answer, "idempotency-replayed"), STR("true"));
    if (lease->mode == LEASE_RESEND) {
        ret_outcome->re_sent = true;
        ret_outcome->earlier_sent_at_ms = lease->earlier_sent_at_ms;
    }
}

static bool same_number(struct str a, struct str b)
{
    char left[64], right[64];
    if (a.len >= sizeof(left) || b.len >= sizeof(right)) {
        return str_equal(a, b);
    }
    (void)snprintf(left, sizeof(left), STR_FMT, STR_ARG(a));
    (void)snprintf(right, sizeof(right), STR_FMT, STR_ARG(b));
    return strtod(left, NULL) ==
           strtod(right, NULL); /* 1.0 and 1 are one number: it went through another's hands */
}

/* A number as its digits and an exponent, without zeros at the ends: equal text is an equal value, however large. */
static struct str digits_of(struct arena *arena, struct str raw)
{
    struct str number = raw;
    bool negative = str_starts(number, STR("-")), after_point = false;
    int64_t exponent = 0, more = 0;
    struct text digits;
    text_open(&digits, arena, number.len);
    for (; number.len && (number.s[0] | 0x20) != 'e'; number = str_from(number, 1)) {
        char c = number.s[0];
        after_point |= c == '.';
        if (c >= '0' && c <= '9') {
            exponent -= after_point;
            if (digits.len || c != '0') {
                text_add_char(&digits, c);
            }
        }
    }
    struct str shown = text_str(&digits);
    if (number.len) {
        bool down = number.s[1] == '-';
        number = str_from(number, down || number.s[1] == '+' ? 2 : 1);
        if (text_to_i64(number, &more) != RC_OK || more > EXPONENT_MAX) {
            return raw;
        }
        more = down ? -more : more;
    }
    for (exponent += more; shown.len && shown.s[shown.len - 1] == '0'; exponent++) {
        shown.len--;
    }
    return shown.len ? arena_printf(arena, "%s" STR_FMT "e%lld", negative ? "-" : "",
                                    STR_ARG(shown), (long long)exponent)
                     : STR("0");
}

/* 2^53 and its neighbour are one double. Where the base would pass for what was sent, only the digits tell. */
static bool digits_agree(struct call *call, yyjson_val *a, yyjson_val *b, struct str pointer)
{
    yyjson_val *left = yyjson_ptr_getn(a, pointer.s, pointer.len);
    yyjson_val *right = yyjson_ptr_getn(b, pointer.s, pointer.len);
    if (!left || !right || !yyjson_is_raw(left) || !yyjson_is_raw(right)) {
        return true; /* no numbers: nothing was rounded */
    }
    return str_equal(json_raw(left), json_raw(right)) ||
           str_equal(digits_of(call->arena, json_raw(left)),
                     digits_of(call->arena, json_raw(right)));
}

/* Is the leaf of a patch what the document has there? A deleted leaf may be absent or null. */
static bool leaf_is_there(struct call *call, yyjson_val *patch, yyjson_val *document,
                          struct str pointer)
{
    yyjson_val *sent = yyjson_ptr_getn(patch, pointer.s, pointer.len);
    yyjson_val *found = yyjson_ptr_getn(document, pointer.s, pointer.len);
    if (!sent || yyjson_is_null(sent)) {
        return !found || yyjson_is_null(found);
    }
    if (yyjson_is_raw(sent) && yyjson_is_raw(found)) {
        return same_number(json_raw(sent), json_raw(found));
    }
    return found && equal_values(call, sent, found);
}

/* What was looked for and found there: of all that was sent, and of what that would have changed. */
struct found {
    size_t wanted, there, changed_there;
};

/* A whole document names no member that went, so what the base had and the target lacks is asked about here:
 * else the state from before the send would pass for the state after it. */
static enum rc find_gone(struct ask *ask, yyjson_val *document, yyjson_val *target,
                         struct found *found)
{
    struct leaf *leaves;
    size_t count = 0;
    if (ask->lease->base.len) {
        TRY(document_leaves(ask->call, ask->lease->base, &leaves, &count));
    }
    for (size_t i = 0; i < count; i++) {
        struct str pointer = leaves[i].pointer;
        if (!yyjson_ptr_getn(target, pointer.s, pointer.len)) {
            yyjson_val *value = yyjson_ptr_getn(document, pointer.s, pointer.len);
            bool gone = !value || yyjson_is_null(value);
            found->wanted++;
            found->there += gone;
            found->changed_there += gone;
        }
    }
    return RC_OK;
}

static enum rc find(struct ask *ask, yyjson_val *document, struct found *found)
{
    struct leaf *leaves;
    yyjson_val *patch, *target, *base = NULL;
    size_t count;
    const struct lease *lease = ask->lease;
    struct arena *arena = ask->call->arena;
    TRY(json_read(arena, lease->body.bytes, JSON_MAX_DEPTH, &patch, NULL));
    TRY(json_read(arena, lease->body.target, JSON_MAX_DEPTH, &target, NULL));
    if (lease->base.len) {
        TRY(json_read(arena, lease->base, JSON_MAX_DEPTH, &base, NULL));
    }
    TRY(document_leaves(ask->call, lease->body.bytes, &leaves, &count));
    for (size_t i = 0; i < count; i++) {
        bool there = leaf_is_there(ask->call, patch, document, leaves[i].pointer);
        bool was_there = base && leaf_is_there(ask->call, patch, base, leaves[i].pointer);
        if (there && was_there && !digits_agree(ask->call, patch, base, leaves[i].pointer)) {
            there = digits_agree(ask->call, patch, document, leaves[i].pointer);
            was_there = false;
        }
        found->wanted++;
        found->there += there;
        found->changed_there += there && !was_there;
    }
    return find_gone(ask, document, target, found);
}

static void compare(struct ask *ask, yyjson_val *document)
{
    struct found found = {0};
    if (find(ask, document, &found) != RC_OK) {
        settle_as(ask, OUTCOME_UNSURE, "AMBIGUOUS", false);
    } else if (found.there == found.wanted) {
        settle_as(ask, OUTCOME_EFFECT, "DONE", false);
        ask->out->detail = STR("the values are there");
    } else {
        settle_as(ask, OUTCOME_NO_EFFECT, "CONFLICT", true);
        ask->out->detail = STR("the values are not there");
        ask->out->partial = found.changed_there > 0;
    }
}

static void plain_read_back(struct downstream *port, struct call *call, struct world *world,
                            const struct lease *lease, struct outcome *ret_outcome)
{
    struct ask ask = ask_begin(port, call, world, lease, ret_outcome);
    yyjson_val *document = NULL;
    if (!perform(&ask, "GET", name_url(&ask), STR_NONE, STR_NONE)) {
        return;
    }
    classify(&ask);
    bool missing = ask.answer.end == INBOUND_ANSWERED &&
                   (ask.answer.status == 404 || ask.answer.status == 410);
    if (missing) {
        settle_as(&ask, OUTCOME_NO_EFFECT, "MISSING", true);
        ret_outcome->full_next = ask.plain->config->create;
    } else if (ret_outcome->class == OUTCOME_EFFECT &&
               json_read(call->arena, ask.answer.body, 64, &document, NULL) == RC_OK &&
               yyjson_is_obj(document)) {
        compare(&ask, document);
    } else if (ret_outcome->class != OUTCOME_STOP) {
        ret_outcome->class = OUTCOME_UNSURE;
        ret_outcome->counts = ret_outcome->full_next = false;
    }
    ret_outcome->sent_at_ms = 0;
}

static void plain_check(struct downstream *port, struct call *call, struct world *world,
                        struct outcome *ret_outcome)
{
    struct ask ask = ask_begin(port, call, world, NULL, ret_outcome);
    struct str url = arena_printf(call->arena, STR_FMT "/", STR_ARG(ask.plain->config->base_url));
    if (!perform(&ask, "HEAD", url, STR_NONE, STR_NONE)) {
        return;
    }
    classify(&ask);
    int status = ask.answer.end == INBOUND_ANSWERED ? ask.answer.status : 0;
    if (status == 404 || status == 405 ||
        status == 501) { /* there may be nothing at the root: it answers, that is enough */
        settle_as(&ask, OUTCOME_EFFECT, "DONE", false);
        ret_outcome->full_next = false;
    } else if (ret_outcome->class == OUTCOME_REJECTED || ret_outcome->class == OUTCOME_UNSURE) {
        settle_as(&ask, OUTCOME_NO_EFFECT, "RETRY_SAFE", true);
        ret_outcome->refused = true;
    }
}

static const struct downstream_ops plain_ops = {
    .encode = plain_encode, .send = plain_send, .read_back = plain_read_back, .check = plain_check};

enum rc downstream_http_open(struct call *call, const struct http_config *config,
                             struct transport *transport, struct secrets *secrets, int slots,
                             struct downstream **ret_downstream)
{
    unsigned char sha[SHA256_DIGEST_LENGTH];
    struct str token = STR_NONE;
    if (config->token_secret.len) {
        enum rc rc = secrets_get(secrets, call, config->token_secret, &token);
        if (rc != RC_OK) {
            return call_why(call, rc, "the downstream's secret " STR_FMT,
                            STR_ARG(config->token_secret));
        }
    }
    struct plain *plain = calloc(1, sizeof(*plain));
    if (!plain) {
        abort();
    }
    arena_open(&plain->arena, 0);
    plain->config = config;
    plain->transport = transport;
    plain->port = (struct downstream){.ops = &plain_ops,
                                      .mapping_version = config->mapping_version,
                                      .reads_back = config->read_back};
    if (token.len) {
        struct str all = arena_printf(call->arena, STR_FMT "\n" STR_FMT, STR_ARG(config->base_url),
                                      STR_ARG(token));
        SHA256((const unsigned char *)all.s, all.len, sha);
        plain->port.credentials_sha =
            text_hex(&plain->arena, (struct str){(const char *)sha, sizeof(sha)});
    }
    slots_open(&plain->slots, slots);
    *ret_downstream = &plain->port;
    return RC_OK;
}

void downstream_http_close(struct downstream *port)
{
    struct plain *plain = (struct plain *)port;
    if (plain) {
        slots_close(&plain->slots);
        arena_close(&plain->arena);
        free(plain);
    }
}
