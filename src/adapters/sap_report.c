/* The words about a conversation. Every part has its own cap, so the whole has one. */
#include "adapters/sap_report.h"

#include <openssl/sha.h>

#include "adapters/sap_map.h"
#include "base/text.h"

#define PART_MAX_BYTES 600
#define DATA_MAX_BYTES (ANSWER_MAX_BYTES + 2048)
#define ANSWER_SHOWN_BYTES 700 /* escaped it may grow sixfold, but then it is cut again */

/* The front of a text, at most max bytes of valid UTF-8. */
static struct str front(struct str text, size_t max_bytes)
{
    struct str shown = str_head(text, text.len > max_bytes ? max_bytes : text.len);
    while (shown.len && !text_is_utf8(shown) && max_bytes - shown.len < 4) {
        shown.len--; /* a character may be cut in half at the end */
    }
    return text_is_utf8(shown) ? shown : STR("(not UTF-8)");
}

/* "name":"value" if there is room for it. */
static void put(struct text *out, struct arena *arena, const char *name, struct str value)
{
    struct text part;
    if (!value.len) {
        return;
    }
    text_open(&part, arena, PART_MAX_BYTES * 6 + 64);
    text_printf(&part, "%s\"%s\":", out->len > 1 ? "," : "", name);
    text_add_json(&part, front(value, PART_MAX_BYTES));
    if (!part.full && out->len + part.len + 2 < DATA_MAX_BYTES) {
        text_add(out, text_str(&part));
    }
}

static void put_raw(struct text *out, const char *name, struct str json)
{
    if (json.len && out->len + json.len + strlen(name) + 6 < DATA_MAX_BYTES) {
        text_printf(out, "%s\"%s\":" STR_FMT, out->len > 1 ? "," : "", name, STR_ARG(json));
    }
}

static void put_number(struct text *out, struct arena *arena, const char *name, int64_t number)
{
    put_raw(out, name, arena_printf(arena, "%lld", (long long)number));
}

static struct str sha_of(struct arena *arena, struct str bytes)
{
    unsigned char sha[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)(bytes.s ? bytes.s : ""), bytes.len, sha);
    return text_hex(arena, (struct str){(const char *)sha, sizeof(sha)});
}

static struct str details_json(const struct sap_talk *talk)
{
    struct text out;
    int count = talk->error.detail_count > 4 ? 4 : talk->error.detail_count;
    text_open(&out, talk->call->arena, (size_t)1 << 16);
    for (int i = 0; i < count; i++) {
        const struct sap_detail *detail = &talk->error.details[i];
        text_add(&out, i ? STR(",{\"code\":") : STR("[{\"code\":"));
        text_add_json(&out, front(detail->code, 60));
        text_add(&out, STR(",\"message\":"));
        text_add_json(&out, front(detail->message, 160));
        text_add(&out, STR(",\"target\":"));
        text_add_json(&out, front(detail->target, 60));
        text_add_char(&out, '}');
    }
    text_add(&out, count ? STR("]") : STR(""));
    return text_str(&out);
}

/* The names of a body's fields; their values stand in before and after, or nowhere. */
static struct str field_names(struct arena *arena, struct str body)
{
    yyjson_val *root = NULL, *key;
    yyjson_obj_iter members;
    struct text out;
    if (!body.len || json_read(arena, body, 2, &root, NULL) != RC_OK || !yyjson_is_obj(root)) {
        return STR_NONE;
    }
    text_open(&out, arena, (size_t)1 << 16);
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        text_add(&out, out.len ? STR(",") : STR("["));
        text_add_json(&out, json_str(key));
    }
    text_add(&out, out.len ? STR("]") : STR(""));
    return text_str(&out);
}

struct str sap_report_data(const struct sap_talk *talk, const struct sap_report *report)
{
    struct arena *arena = talk->call->arena;
    const struct sap_error *error = &talk->error;
    struct text out;
    bool failed = talk->answer.end == INBOUND_ANSWERED &&
                  (talk->answer.status < 200 || talk->answer.status >= 300);
    text_open(&out, arena, DATA_MAX_BYTES + 64);
    text_add_char(&out, '{');
    put(&out, arena, "end", str_of(inbound_end_name(talk->answer.end)));
    if (talk->answer.status) {
        put_number(&out, arena, "status", talk->answer.status);
    }
    put(&out, arena, "verb", report->verb);
    put_number(&out, arena, "duration_ms", report->duration_ms);
    put_number(&out, arena, "requests", talk->requests);
    if (report->lease) {
        put(&out, arena, "repeat_id", report->lease->body.repeat_id);
    }
    if (report->body.len) {
        put(&out, arena, "body_sha", sha_of(arena, report->body));
    }
    put(&out, arena, "sap_code", error->code);
    put(&out, arena, "sap_message", talk->message.len ? talk->message : error->message);
    put(&out, arena, "transaction_id", error->transaction_id);
    put(&out, arena, "timestamp", error->timestamp);
    put(&out, arena, "connection", talk->answer.why);
    put(&out, arena, "note", report->note);
    put_raw(&out, "overwritten", report->overwritten);
    put_raw(&out, "drift", report->drift);
    put_raw(&out, "kept", report->kept);
    put_raw(&out, "details", details_json(talk));
    put_raw(&out, "fields", field_names(arena, report->body));
    put_raw(&out, "before", report->before.len <= ANSWER_SHOWN_BYTES ? report->before : STR_NONE);
    put_raw(&out, "after", report->after.len <= ANSWER_SHOWN_BYTES ? report->after : STR_NONE);
    if (failed && !error->code.len) {
        put(&out, arena, "answer", talk->answer.body);
    }
    text_add_char(&out, '}');
    return text_str(&out);
}

struct str sap_report_pointers(const struct sap_talk *talk)
{
    const struct sap_error *error = &talk->error;
    struct text out;
    int count = 0;
    text_open(&out, talk->call->arena, (size_t)1 << 16);
    for (int i = -1; i < error->detail_count; i++) {
        struct str target = i < 0 ? error->target : error->details[i].target;
        struct str message = i < 0 ? error->message : error->details[i].message;
        if (!target.len) {
            continue;
        }
        struct str rest = target; /* V4 targets may be paths: take the last step */
        for (struct str step; rest.len;) {
            step = text_cut(&rest, '/');
            target = step.len ? step : target;
        }
        text_add(&out, count++ ? STR(",{\"pointer\":") : STR("[{\"pointer\":"));
        text_add_json(&out, sap_map_pointer(talk->config, target));
        text_add(&out, STR(",\"detail\":"));
        text_add_json(&out, front(message, 300));
        text_add_char(&out, '}');
    }
    text_add(&out, count ? STR("]") : STR(""));
    return text_str(&out);
}

static struct str values_in(const struct sap_talk *talk, struct str bytes, yyjson_val *entity)
{
    struct arena *arena = talk->call->arena;
    yyjson_val *root = NULL, *key;
    yyjson_obj_iter members;
    struct text out;
    text_open(&out, arena, (size_t)1 << 20);
    if (!entity || json_read(arena, bytes, 2, &root, NULL) != RC_OK || !yyjson_is_obj(root)) {
        return STR_NONE;
    }
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        yyjson_val *value = yyjson_obj_getn(entity, json_str(key).s, json_str(key).len);
        if (value && !yyjson_is_ctn(value)) {
            text_add(&out, out.len ? STR(",") : STR("{"));
            text_add_json(&out, json_str(key));
            text_add_char(&out, ':');
            text_add(&out, json_write(arena, value));
        }
    }
    text_add(&out, out.len ? STR("}") : STR(""));
    return text_str(&out);
}

void sap_report_before(const struct sap_talk *talk, yyjson_val *entity, struct sap_report *report)
{
    const struct lease *lease = report->lease;
    report->before = values_in(talk, lease->body.bytes, entity);
    const struct sap_value *known =
        lease->base.len ? sap_map_values(talk->config, talk->call, lease->device_name, lease->base)
                        : NULL;
    if (known) {
        sap_map_drift(talk->config, talk->call, known, lease->body.bytes, entity,
                      &report->overwritten, &report->drift);
        report->kept =
            sap_map_kept(talk->config, talk->call, known, lease->device_name, lease->body.target);
    }
}

void sap_report_after(const struct sap_talk *talk, yyjson_val *entity, struct sap_report *report)
{
    report->after = values_in(talk, report->body, entity);
}

struct str sap_report_detail(const struct sap_talk *talk)
{
    struct arena *arena = talk->call->arena;
    const struct sap_error *error = &talk->error;
    if (error->message.len) {
        return arena_copy(arena, front(error->message, 300));
    }
    if (error->is_html || (talk->class == SAP_IS_AUTH && talk->answer.status == 200)) {
        return STR("the downstream answered with a web page, not with data");
    }
    if (talk->answer.end != INBOUND_ANSWERED) {
        return arena_printf(arena, "%s: " STR_FMT, inbound_end_name(talk->answer.end),
                            STR_ARG(front(talk->answer.why, 200)));
    }
    if (talk->message.len) {
        return arena_copy(arena, front(talk->message, 300));
    }
    if (talk->answer.status >= 200 && talk->answer.status < 300) {
        return STR_NONE;
    }
    return arena_printf(arena, "the downstream answered %d", talk->answer.status);
}
