/* OData literals, addresses and answers. What SAP sends is read by its shape, not by its version: a V2 and a V4
 * answer cannot be mistaken for each other. Nothing here recurses on input or trusts a length. */
#include "adapters/sap_wire.h"

#include <stdio.h>

#include "adapters/sap_edm.h"
#include "base/text.h"

#define ANSWER_DEPTH_MAX 24 /* of JSON that SAP sends */
#define URL_ROOM_BYTES 16384

/* ---- addresses -------------------------------------------------------------------------------------- */

struct str sap_wire_string(struct arena *arena, struct str value)
{
    struct text doubled;
    text_open(&doubled, arena, value.len * 2 + 1);
    for (size_t i = 0; i < value.len; i++) {
        text_add_char(&doubled, value.s[i]);
        if (value.s[i] == '\'') {
            text_add_char(&doubled, '\'');
        }
    }
    return arena_printf(arena, "'" STR_FMT "'", STR_ARG(text_percent(arena, text_str(&doubled))));
}

struct str sap_wire_date(struct arena *arena, enum sap_protocol protocol, struct str date)
{
    return protocol == SAP_V2
               ? arena_printf(arena, "datetime'" STR_FMT "T00%%3A00%%3A00'", STR_ARG(date))
               : date;
}

static void add_query(struct text *url, struct str query)
{
    if (query.len) {
        text_add_char(url, memchr(url->s, '?', url->len) ? '&' : '?');
        text_add(url, query);
    }
}

static struct str finish(const struct sap_config *config, struct text *url)
{
    add_query(url, config->query);
    assert(!url->full);
    return text_str(url);
}

static struct text start(const struct sap_config *config, struct arena *arena, const char *rest)
{
    struct text url;
    text_open(&url, arena, URL_ROOM_BYTES);
    text_printf(&url, STR_FMT "/%s", STR_ARG(config->base_url), rest);
    return url;
}

struct str sap_wire_root_url(const struct sap_config *config, struct arena *arena)
{
    struct text url = start(config, arena, "");
    return finish(config, &url);
}

struct str sap_wire_metadata_url(const struct sap_config *config, struct arena *arena)
{
    struct text url = start(config, arena, "$metadata");
    return finish(config, &url);
}

struct str sap_wire_set_url(const struct sap_config *config, struct arena *arena)
{
    struct text url = start(config, arena, "");
    text_add(&url, config->entity);
    return finish(config, &url);
}

static bool selects(const struct sap_config *config, int field)
{
    for (int i = 0; i < config->key_count; i++) {
        if (str_equal(config->keys[i].field, config->fields[field].field)) {
            return false; /* keys are named once, in front */
        }
    }
    return true;
}

static void add_select(const struct sap_config *config, struct text *url)
{
    add_query(url, STR("$select="));
    for (int i = 0; i < config->key_count; i++) {
        text_printf(url, "%s" STR_FMT, i ? "," : "", STR_ARG(config->keys[i].field));
    }
    for (int i = 0; i < config->field_count; i++) {
        if (selects(config, i)) {
            text_printf(url, "," STR_FMT, STR_ARG(config->fields[i].field));
        }
    }
}

static struct str key_literal(const struct sap_config *config, struct arena *arena,
                              const struct sap_key *key, struct str value)
{
    return key->type == SAP_DATE ? sap_wire_date(arena, config->protocol, value)
                                 : sap_wire_string(arena, value);
}

struct str sap_wire_entity_url(const struct sap_config *config, struct arena *arena, struct str ref,
                               struct str end, bool select)
{
    struct text url = start(config, arena, "");
    text_printf(&url, STR_FMT "(", STR_ARG(config->entity));
    for (int i = 0; i < config->key_count; i++) {
        const struct sap_key *key = &config->keys[i];
        struct str constant = key->type == SAP_DATE && end.len ? end : key->constant;
        text_printf(&url, "%s" STR_FMT "=" STR_FMT, i ? "," : "", STR_ARG(key->field),
                    STR_ARG(key_literal(config, arena, key, key->is_ref ? ref : constant)));
    }
    text_add_char(&url, ')');
    if (select) {
        add_select(config, &url);
    }
    return finish(config, &url);
}

struct str sap_wire_search_url(const struct sap_config *config, struct arena *arena,
                               struct str field, struct str value)
{
    struct text url = start(config, arena, "");
    text_printf(&url, STR_FMT "?$filter=" STR_FMT "%%20eq%%20" STR_FMT, STR_ARG(config->entity),
                STR_ARG(field), STR_ARG(sap_wire_string(arena, value)));
    for (int i = 0; i < config->key_count; i++) { /* rows of the past do not count */
        const struct sap_key *key = &config->keys[i];
        if (!key->is_ref) {
            text_printf(&url, "%%20and%%20" STR_FMT "%%20eq%%20" STR_FMT, STR_ARG(key->field),
                        STR_ARG(key_literal(config, arena, key, key->constant)));
        }
    }
    add_select(config, &url);
    add_query(&url, STR("$top=2"));
    return finish(config, &url);
}

struct str sap_wire_newest_url(const struct sap_config *config, struct arena *arena, struct str ref)
{
    const struct sap_key *date = NULL, *number = NULL;
    for (int i = 0; i < config->key_count; i++) {
        date = config->keys[i].type == SAP_DATE ? &config->keys[i] : date;
        number = config->keys[i].is_ref ? &config->keys[i] : number;
    }
    if (!date || !number) {
        return STR_NONE;
    }
    struct text url = start(config, arena, "");
    text_printf(&url,
                STR_FMT "?$filter=" STR_FMT "%%20eq%%20" STR_FMT "&$orderby=" STR_FMT
                        "%%20desc&$top=1",
                STR_ARG(config->entity), STR_ARG(number->field),
                STR_ARG(sap_wire_string(arena, ref)), STR_ARG(date->field));
    add_select(config, &url);
    return finish(config, &url);
}

/* ---- entities ------------------------------------------------------------------------------------------ */

static struct sap_entity entity_of(yyjson_val *object)
{
    struct str v4 = json_member_str(object, "@odata.etag", STR_NONE);
    yyjson_val *metadata = json_member(object, "__metadata");
    return (struct sap_entity){object, v4.len ? v4 : json_member_str(metadata, "etag", STR_NONE)};
}

enum rc sap_wire_entity(struct arena *arena, struct str body, struct sap_entity *ret_entity)
{
    yyjson_val *root;
    TRY(json_read(arena, body, ANSWER_DEPTH_MAX, &root, NULL));
    yyjson_val *d = yyjson_is_obj(root) ? json_member(root, "d") : NULL;
    yyjson_val *object = d ? d : root;
    if (!yyjson_is_obj(object)) {
        return RC_INVALID;
    }
    *ret_entity = entity_of(object);
    return RC_OK;
}

enum rc sap_wire_list(struct arena *arena, struct str body, struct sap_entity ret_entities[2],
                      int *ret_count)
{
    yyjson_val *root;
    TRY(json_read(arena, body, ANSWER_DEPTH_MAX, &root, NULL));
    yyjson_val *d = yyjson_is_obj(root) ? json_member(root, "d") : NULL;
    yyjson_val *list = yyjson_is_arr(d) ? d : json_member(d ? d : root, d ? "results" : "value");
    if (!yyjson_is_arr(list)) {
        return RC_INVALID;
    }
    size_t count = yyjson_arr_size(list);
    for (size_t i = 0; i < 2; i++) {
        yyjson_val *item = yyjson_arr_get(list, i);
        if (i < count && !yyjson_is_obj(item)) {
            return RC_INVALID;
        }
        ret_entities[i] = i < count ? entity_of(item) : (struct sap_entity){0};
    }
    *ret_count = count > 1000 ? 1000 : (int)count;
    return RC_OK;
}

static yyjson_val *key_value(const struct sap_config *config, yyjson_val *entity, bool ref)
{
    for (int i = 0; i < config->key_count; i++) {
        const struct sap_key *key = &config->keys[i];
        if (key->is_ref == ref && (ref || key->type == SAP_DATE)) {
            return yyjson_obj_getn(entity, key->field.s, key->field.len);
        }
    }
    return NULL;
}

struct str sap_wire_ref(const struct sap_config *config, struct arena *arena, yyjson_val *entity)
{
    yyjson_val *value = key_value(config, entity, true);
    struct str text = yyjson_is_str(value) ? json_str(value) : json_raw(value);
    return text.len ? arena_copy(arena, text) : STR("");
}

struct str sap_wire_end(const struct sap_config *config, struct arena *arena, yyjson_val *entity)
{
    struct str text = json_str(key_value(config, entity, false));
    char day[11];
    int64_t at_ms;
    if (!text.len || !sap_edm_date_read(text, &at_ms)) {
        return STR("");
    }
    sap_edm_day_write(at_ms, day);
    return arena_copy(arena, str_of(day));
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

bool sap_wire_is_html(struct str content_type, struct str body)
{
    static const char *const fronts[] = {"<!doctype html", "<html"};
    struct str text = text_trim(body);
    if (content_type.len >= 9 && text_equal_nocase(str_head(content_type, 9), STR("text/html"))) {
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(fronts); i++) {
        struct str front = str_of(fronts[i]);
        if (text.len >= front.len && text_equal_nocase(str_head(text, front.len), front)) {
            return true;
        }
    }
    return false;
}

static void add_details(yyjson_val *list, struct sap_error *error)
{
    size_t i, count;
    yyjson_val *item;
    if (!yyjson_is_arr(list)) {
        return;
    }
    yyjson_arr_foreach(list, i, count, item)
    {
        if (!yyjson_is_obj(item) || error->detail_count == SAP_DETAILS_MAX) {
            continue;
        }
        struct str target = json_member_str(item, "target", STR_NONE);
        error->details[error->detail_count++] = (struct sap_detail){
            .code = json_member_str(item, "code", STR_NONE),
            .message = json_member_str(item, "message", STR_NONE),
            .target = target.len ? target : json_member_str(item, "propertyref", STR_NONE),
        };
    }
}

/* Where SAP's staff finds the request: V2 in innererror, V4 in its ErrorDetails or beside the code. */
static void read_transaction(yyjson_val *own, yyjson_val *inner, struct sap_error *error)
{
    yyjson_val *v4 = yyjson_is_obj(inner) ? json_member(inner, "ErrorDetails") : NULL;
    yyjson_val *places[] = {inner, v4, own};
    for (size_t i = 0; i < COUNT_OF(places) && !error->transaction_id.len; i++) {
        if (yyjson_is_obj(places[i])) {
            error->transaction_id =
                json_member_str(places[i], "transactionid",
                                json_member_str(places[i], "@SAP__common.TransactionId", STR_NONE));
            error->timestamp =
                json_member_str(places[i], "timestamp",
                                json_member_str(places[i], "@SAP__common.Timestamp", STR_NONE));
        }
    }
}

static bool read_json_error(struct arena *arena, struct str body, struct sap_error *error)
{
    yyjson_val *root = NULL;
    if (json_read(arena, body, ANSWER_DEPTH_MAX, &root, NULL) != RC_OK || !yyjson_is_obj(root)) {
        return false;
    }
    yyjson_val *own = json_member(root, "error");
    if (!yyjson_is_obj(own)) {
        return false;
    }
    yyjson_val *message = json_member(own, "message"), *inner = json_member(own, "innererror");
    error->code = json_member_str(own, "code", STR_NONE);
    error->message =
        yyjson_is_obj(message) ? json_member_str(message, "value", STR_NONE) : json_str(message);
    error->target = json_member_str(own, "target", STR_NONE);
    add_details(json_member(own, "details"), error);
    if (yyjson_is_obj(inner)) {
        yyjson_val *details = json_member(inner, "errordetails");
        add_details(yyjson_is_obj(details) ? json_member(details, "errordetail") : details, error);
    }
    read_transaction(own, inner, error);
    return true;
}

/* The text between <name ...> and the next '<'; "" = there is none. Entities stay as they are. */
static struct str xml_text(struct str body, const char *name)
{
    char open[64];
    int size = snprintf(open, sizeof(open), "<%s", name);
    for (struct str rest = body; rest.len > (size_t)size;) {
        const char *at = memmem(rest.s, rest.len, open, (size_t)size);
        if (!at) {
            return STR_NONE;
        }
        rest = str_from(rest, (size_t)(at - rest.s) + (size_t)size);
        if (rest.len && (rest.s[0] == '>' || rest.s[0] == ' ')) {
            (void)text_cut(&rest, '>');
            return text_trim(text_cut(&rest, '<'));
        }
    }
    return STR_NONE;
}

void sap_wire_error(struct arena *arena, struct str content_type, struct str body,
                    struct sap_error *ret_error)
{
    *ret_error = (struct sap_error){.is_html = sap_wire_is_html(content_type, body)};
    if (!ret_error->is_html && !read_json_error(arena, body, ret_error)) {
        struct str text = text_trim(body);
        if (text.len && text.s[0] == '<') {
            ret_error->code = xml_text(body, "code");
            ret_error->message = xml_text(body, "message");
            ret_error->transaction_id = xml_text(body, "transactionid");
            ret_error->timestamp = xml_text(body, "timestamp");
        } else {
            ret_error->message = str_head(text, text.len > 512 ? 512 : text.len);
        }
    }
    if (!text_is_utf8(ret_error->message)) {
        ret_error->message = STR("(text in an unknown encoding)");
    }
    if (!text_is_utf8(ret_error->code)) {
        ret_error->code = STR_NONE;
    }
}

/* ---- messages of a success ------------------------------------------------------------------------------- */

static enum sap_severity severity_of(yyjson_val *message)
{
    struct str word = json_member_str(message, "severity", STR_NONE);
    int64_t number = json_member_i64(
        message, "numericSeverity",
        json_member_i64(message, "@Common.numericSeverity",
                        json_member_i64(message, "@SAP__common.numericSeverity", 0)));
    if (text_equal_nocase(word, STR("error")) || text_equal_nocase(word, STR("abort")) ||
        number >= 4) {
        return SAP_ERROR;
    }
    if (text_equal_nocase(word, STR("warning")) || number == 3) {
        return SAP_WARNING;
    }
    return SAP_INFO;
}

static void worst(yyjson_val *message, enum sap_severity *severity, struct str *text)
{
    enum sap_severity own = severity_of(message);
    if (own > *severity) {
        *severity = own;
        *text = json_member_str(message, "message", STR_NONE);
    }
}

enum sap_severity sap_wire_message(struct arena *arena, const struct inbound *answer,
                                   struct str *ret_text)
{
    struct str one = inbound_header(answer, "sap-message"),
               many = inbound_header(answer, "sap-messages");
    enum sap_severity severity = SAP_SILENT;
    yyjson_val *root, *item;
    size_t i, count;
    *ret_text = STR_NONE;
    if (one.len && json_read(arena, one, ANSWER_DEPTH_MAX, &root, NULL) == RC_OK &&
        yyjson_is_obj(root)) {
        yyjson_val *details = json_member(root, "details");
        worst(root, &severity, ret_text);
        yyjson_arr_foreach(details, i, count, item)
        {
            worst(item, &severity, ret_text);
        }
    }
    if (many.len && json_read(arena, many, ANSWER_DEPTH_MAX, &root, NULL) == RC_OK &&
        yyjson_is_arr(root)) {
        yyjson_arr_foreach(root, i, count, item)
        {
            worst(item, &severity, ret_text);
        }
    }
    return severity;
}

/* ---- cookies ------------------------------------------------------------------------------------------------- */

struct str sap_wire_cookies(struct arena *arena, const struct inbound *answer, struct str before)
{
    struct text out;
    text_open(&out, arena, SAP_COOKIES_MAX_BYTES);
    for (size_t i = 0; i < answer->header_count; i++) {
        struct str rest = answer->headers[i].value;
        if (!text_equal_nocase(answer->headers[i].name, STR("set-cookie"))) {
            continue;
        }
        struct str pair = text_trim(text_cut(&rest, ';'));
        if (memchr(pair.s ? pair.s : "", '=', pair.len) &&
            out.len + pair.len + 2 < SAP_COOKIES_MAX_BYTES) {
            text_add(&out, out.len ? STR("; ") : STR(""));
            text_add(&out, pair);
        }
    }
    struct str fresh = text_str(&out);
    while (before.len) { /* what was not set anew stays */
        struct str pair = text_trim(text_cut(&before, ';')), name = pair;
        struct str own = text_cut(&name, '=');
        struct str needle = arena_printf(arena, STR_FMT "=", STR_ARG(own));
        if (!memmem(fresh.s ? fresh.s : "", fresh.len, needle.s, needle.len) &&
            out.len + pair.len + 2 < SAP_COOKIES_MAX_BYTES) {
            text_add(&out, out.len ? STR("; ") : STR(""));
            text_add(&out, pair);
        }
    }
    return text_str(&out);
}

struct str sap_wire_guid(struct arena *arena, struct str repeat_id)
{
    if (repeat_id.len != 32) {
        return repeat_id;
    }
    return arena_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", repeat_id.s, repeat_id.s + 8,
                        repeat_id.s + 12, repeat_id.s + 16, repeat_id.s + 20);
}
