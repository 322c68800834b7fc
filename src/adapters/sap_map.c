/* The mapping at work. A field's value goes through two forms: the normal form, a text in which two values are
 * equal exactly if the downstream cannot tell them apart, and the JSON of the wire. The diff is made of normal
 * forms of two whole documents, never of patches. */
#include "adapters/sap_map.h"

#include <stdio.h>

#include "adapters/sap_edm.h"
#include "base/text.h"
#include "core/document.h"
#include "core/name.h"

#define BODY_ROOM_BYTES ((size_t)1 << 20)
#define DATE_TEXT_BYTES 10 /* 2026-11-22 */

/* ---- normal forms ------------------------------------------------------------------------------------ */

/* 012.50 -> 12.5; zero of any spelling -> "". false: no plain decimal number. */
static bool decimal_normal(struct arena *arena, struct str text, struct str *ret_text)
{
    bool minus = text.len && text.s[0] == '-';
    struct str rest = text_trim(minus ? str_from(text, 1) : text);
    bool point = memchr(rest.s ? rest.s : "", '.', rest.len) != NULL;
    struct str whole = text_cut(&rest, '.');
    if (!whole.len || (point && !rest.len)) {
        return false;
    }
    for (size_t i = 0; i < whole.len + rest.len; i++) {
        char c = i < whole.len ? whole.s[i] : rest.s[i - whole.len];
        if (c < '0' || c > '9') {
            return false;
        }
    }
    while (whole.len > 1 && whole.s[0] == '0') {
        whole = str_from(whole, 1);
    }
    while (rest.len && rest.s[rest.len - 1] == '0') {
        rest.len--;
    }
    bool zero = whole.len == 1 && whole.s[0] == '0' && !rest.len;
    *ret_text = zero ? STR("")
                     : arena_printf(arena, "%s" STR_FMT "%s" STR_FMT, minus ? "-" : "",
                                    STR_ARG(whole), rest.len ? "." : "", STR_ARG(rest));
    return true;
}

static struct str string_normal(const struct sap_field *field, struct arena *arena, struct str text)
{
    while (text.len && text.s[text.len - 1] == ' ') { /* CHAR fields keep no blanks at their end */
        text.len--;
    }
    if (field && field->upper) {
        text = sap_edm_upper(arena, text);
    }
    bool digits = field && field->alpha && text.len > 1;
    for (size_t i = 0; digits && i < text.len; i++) {
        digits = text.s[i] >= '0' && text.s[i] <= '9';
    }
    while (digits && text.len > 1 && text.s[0] == '0') {
        text = str_from(text, 1);
    }
    return text;
}

/* A scalar of any kind as text; false: an object or array. */
static bool scalar_text(yyjson_val *value, struct str *ret_text)
{
    if (!value || yyjson_is_null(value)) {
        *ret_text = STR("");
    } else if (yyjson_is_str(value)) {
        *ret_text = json_str(value);
    } else if (yyjson_is_bool(value)) {
        *ret_text = yyjson_is_true(value) ? STR("true") : STR("false");
    } else if (yyjson_is_raw(value)) {
        *ret_text = json_raw(value);
    } else {
        return false;
    }
    return true;
}

struct str sap_map_normal(const struct sap_field *field, struct arena *arena, yyjson_val *value)
{
    struct str text, normal;
    int64_t at_ms;
    enum sap_type type = field ? field->type : SAP_STRING;
    if (!scalar_text(value, &text) || !text.len) {
        return STR("");
    }
    switch (type) {
    case SAP_DECIMAL:
    case SAP_INTEGER:
        return decimal_normal(arena, text, &normal) ? normal : text;
    case SAP_DATE:
        return sap_edm_date_read(text, &at_ms) ? arena_printf(arena, "%lld", (long long)at_ms)
                                               : text;
    case SAP_BOOLEAN:
        return str_is(text, "false") ? STR("") : text;
    case SAP_STRING:
        break;
    }
    return string_normal(field, arena, text);
}

/* ---- mapping one field ------------------------------------------------------------------------------------ */

/* A field's value in a document. */
struct mapped {
    bool present;
    struct str normal;
    const char *fault; /* why it cannot be mapped; NULL = it can */
};

/* in: words: what is wrong, up to the name of the field */
static struct mapped fault_of(struct arena *arena, const struct sap_field *field, const char *words)
{
    return (struct mapped){.fault = arena_printf(arena, "%s the downstream's field " STR_FMT, words,
                                                 STR_ARG(field->field))
                                        .s};
}

static yyjson_val *member_at(yyjson_val *root, const struct sap_path *path)
{
    yyjson_val *value = root;
    for (int i = 0; i < path->count && value; i++) {
        value = yyjson_is_obj(value) ? yyjson_obj_getn(value, path->names[i].s, path->names[i].len)
                                     : NULL;
    }
    return value;
}

static struct str cut_to(struct str text, size_t max_units)
{
    while (sap_edm_length(text) > max_units) {
        do {
            text.len--;
        } while (text.len && ((unsigned char)text.s[text.len] & 0xC0U) == 0x80U);
    }
    return text;
}

static struct mapped string_of(const struct sap_field *field, struct arena *arena, struct str text)
{
    if (field->choice_count) {
        int i = 0;
        while (i < field->choice_count && !str_equal(field->choices[i].from, text)) {
            i++;
        }
        if (i == field->choice_count) {
            return fault_of(arena, field, "is none of the values that the mapping has for");
        }
        text = field->choices[i].to;
    }
    text = string_normal(field, arena, text);
    if (field->max && sap_edm_length(text) > (size_t)field->max) {
        if (!field->cut) {
            return (struct mapped){.fault = arena_printf(arena,
                                                         "has %zu characters, at most %d fit into "
                                                         "the downstream's field " STR_FMT,
                                                         sap_edm_length(text), field->max,
                                                         STR_ARG(field->field))
                                                .s};
        }
        text = string_normal(field, arena, cut_to(text, (size_t)field->max));
    }
    return (struct mapped){true, text, NULL};
}

static struct mapped decimal_of(const struct sap_field *field, struct arena *arena, struct str text)
{
    struct str normal, rest;
    if (!decimal_normal(arena, text, &normal)) {
        return fault_of(arena, field, "is no plain decimal number, as it is needed for");
    }
    rest = normal;
    struct str whole = text_cut(&rest, '.');
    size_t sign = whole.len && whole.s[0] == '-' ? 1 : 0;
    int scale = field->type == SAP_INTEGER ? 0 : field->scale;
    if ((int)rest.len > scale) {
        return fault_of(arena, field,
                        arena_printf(arena,
                                     "has %zu digits behind the point, %d is all that is kept by",
                                     rest.len, scale)
                            .s);
    }
    if (field->max && (int)(whole.len - sign) > field->max - scale) {
        return fault_of(arena, field,
                        arena_printf(arena,
                                     "has %zu digits before the point, %d is all that is kept by",
                                     whole.len - sign, field->max - scale)
                            .s);
    }
    return (struct mapped){true, normal, NULL};
}

static struct mapped value_of(const struct sap_field *field, struct arena *arena, yyjson_val *value)
{
    struct str text;
    int64_t at_ms;
    if (!value) {
        return (struct mapped){0};
    }
    if (!scalar_text(value, &text)) {
        return fault_of(arena, field, "is an object or an array, not the one value that fits into");
    }
    switch (field->type) {
    case SAP_DECIMAL:
    case SAP_INTEGER:
        return decimal_of(field, arena, text);
    case SAP_DATE:
        if (!yyjson_is_str(value) || text.len != DATE_TEXT_BYTES ||
            !sap_edm_date_read(text, &at_ms)) {
            return fault_of(arena, field, "is no date like 2026-11-22, as it is needed for");
        }
        return (struct mapped){true, arena_printf(arena, "%lld", (long long)at_ms), NULL};
    case SAP_BOOLEAN:
        if (!yyjson_is_bool(value)) {
            return fault_of(arena, field, "is neither true nor false, as it is needed for");
        }
        return (struct mapped){true, yyjson_is_true(value) ? STR("true") : STR(""), NULL};
    case SAP_STRING:
        break;
    }
    if (yyjson_is_bool(value) && !field->choice_count) {
        return fault_of(arena, field,
                        "is no text (a `map` in the mapping could make one), as it is needed for");
    }
    return string_of(field, arena, text);
}

static enum rc name_form(struct call *call, struct str device_name, enum sap_from from, bool upper,
                         struct str *ret_text)
{
    if (from == SAP_FROM_NAME && !upper) {
        *ret_text = device_name;
        return RC_OK;
    }
    TRY(name_key(call, device_name, STR("/device_name"), ret_text));
    if (upper) {
        *ret_text = sap_edm_upper(call->arena, *ret_text);
    }
    return RC_OK;
}

static enum rc map_field(const struct sap_field *field, struct call *call, struct str device_name,
                         yyjson_val *document, struct mapped *ret_mapped)
{
    struct str text;
    switch (field->from) {
    case SAP_FROM_CONST:
        *ret_mapped = (struct mapped){0};
        if (!field->when.count || member_at(document, &field->when)) {
            *ret_mapped = (struct mapped){true, field->constant, NULL};
        }
        return RC_OK;
    case SAP_FROM_NAME:
    case SAP_FROM_KEY:
        TRY(name_form(call, device_name, field->from, field->upper, &text));
        *ret_mapped = string_of(field, call->arena, text);
        return RC_OK;
    case SAP_FROM_ATTRIBUTE:
        break;
    }
    *ret_mapped = value_of(field, call->arena, member_at(document, &field->path));
    return RC_OK;
}

static struct str pointer_of(const struct sap_field *field)
{
    switch (field->from) {
    case SAP_FROM_NAME:
    case SAP_FROM_KEY:
        return STR("/device_name");
    case SAP_FROM_ATTRIBUTE:
        return field->path.pointer;
    case SAP_FROM_CONST:
        break;
    }
    return field->when.pointer;
}

const struct sap_field *sap_map_field(const struct sap_config *config, struct str name)
{
    for (int i = 0; i < config->field_count; i++) {
        if (str_equal(config->fields[i].field, name)) {
            return &config->fields[i];
        }
    }
    return NULL;
}

struct str sap_map_pointer(const struct sap_config *config, struct str field)
{
    const struct sap_field *own = sap_map_field(config, field);
    return own ? pointer_of(own) : STR("");
}

enum rc sap_map_search(const struct sap_config *config, struct call *call, struct str device_name,
                       struct str *ret_value)
{
    const struct sap_field *field = sap_map_field(config, config->resolve_field);
    struct str text;
    TRY(name_form(call, device_name, config->resolve_from, config->resolve_upper, &text));
    *ret_value = string_normal(field, call->arena, text);
    return RC_OK;
}

/* ---- encode ---------------------------------------------------------------------------------------------------- */

static void write_decimal(struct text *out, const struct sap_field *field, struct str normal)
{
    struct str rest = normal.len ? normal : STR("0");
    struct str whole = text_cut(&rest, '.');
    text_printf(out, "\"" STR_FMT, STR_ARG(whole));
    if (field->scale) {
        text_printf(out, "." STR_FMT "%.*s", STR_ARG(rest), field->scale - (int)rest.len,
                    "000000000000000");
    }
    text_add_char(out, '"');
}

static void write_date(struct text *out, enum sap_protocol protocol, struct str normal)
{
    char day[11];
    int64_t at_ms = 0;
    bool before_1970 = normal.len && normal.s[0] == '-';
    if (protocol == SAP_V2) {
        text_printf(out, "\"/Date(" STR_FMT ")/\"", STR_ARG(normal));
    } else if (text_to_i64(str_from(normal, before_1970), &at_ms) == RC_OK) {
        sap_edm_day_write(before_1970 ? -at_ms : at_ms, day);
        text_printf(out, "\"%s\"", day);
    }
}

static void write_value(const struct sap_config *config, struct text *out,
                        const struct sap_field *field, struct str normal)
{
    text_add(out, out->len ? STR(",") : STR("{"));
    text_add_json(out, field->field);
    text_add_char(out, ':');
    switch (field->type) {
    case SAP_STRING:
        text_add_json(out, normal);
        return;
    case SAP_DECIMAL:
        write_decimal(out, field, normal);
        return;
    case SAP_INTEGER:
        text_add(out, normal.len ? normal : STR("0"));
        return;
    case SAP_DATE:
        if (!normal.len) {
            text_add(out, STR("null"));
            return;
        }
        write_date(out, config->protocol, normal);
        return;
    case SAP_BOOLEAN:
        text_add(out, normal.len ? STR("true") : STR("false"));
        return;
    }
}

/* Is a leaf of the document taken by some field? */
static bool is_mapped(const struct sap_config *config, struct arena *arena, struct str leaf)
{
    struct str pointer = arena_printf(arena, "/attributes" STR_FMT, STR_ARG(leaf));
    for (int i = 0; i < config->field_count; i++) {
        if (config->fields[i].from == SAP_FROM_ATTRIBUTE &&
            str_equal(config->fields[i].path.pointer, pointer)) {
            return true;
        }
    }
    return false;
}

static enum rc refuse_unmapped(const struct sap_config *config, struct call *call,
                               struct str target)
{
    struct leaf *leaves;
    size_t count;
    TRY(document_leaves(call, target, &leaves, &count));
    for (size_t i = 0; i < count; i++) {
        if (!is_mapped(config, call->arena, leaves[i].pointer)) {
            call_name(call,
                      arena_printf(call->arena, "/attributes" STR_FMT, STR_ARG(leaves[i].pointer)),
                      PROBLEM_unmappable, "the downstream has no field for this member");
        }
    }
    return RC_OK;
}

/* Map a whole document. Faults are named in the call only if they are to be told. */
static enum rc map_all(const struct sap_config *config, struct call *call, struct str device_name,
                       struct str document, bool tell, struct mapped *ret_values)
{
    yyjson_val *root;
    if (json_read(call->arena, document, JSON_MAX_DEPTH, &root, NULL) != RC_OK) {
        return call_why(call, RC_BROKEN, "a document of ours is not JSON");
    }
    for (int i = 0; i < config->field_count; i++) {
        const struct sap_field *field = &config->fields[i];
        TRY(map_field(field, call, device_name, root, &ret_values[i]));
        const char *fault = ret_values[i].fault;
        if (!fault && field->required && !ret_values[i].normal.len) {
            fault = fault_of(call->arena, field, "is missing or empty, but required by").fault;
        }
        if (fault && tell) {
            call_name(call, pointer_of(field), PROBLEM_unmappable, "%s", fault);
        }
        if (ret_values[i].fault) {
            ret_values[i] = (struct mapped){0};
        }
    }
    return RC_OK;
}

static bool same_path(const struct sap_path *a, const struct sap_path *b)
{
    return a->count == b->count && str_equal(a->pointer, b->pointer);
}

/* Does a field go out by itself: in a full body, or since it differs? */
static bool goes_out(const struct sap_field *field, bool full, const struct mapped *before,
                     const struct mapped *after)
{
    if (full) {
        return after->present || field->clear;
    }
    if (field->create_only || str_equal(before->normal, after->normal)) {
        return false;
    }
    return after->present || field->clear;
}

/* A constant goes with its partner: send it whenever that is sent. */
static bool partner_goes(const struct sap_config *config, const bool *goes,
                         const struct sap_field *constant)
{
    for (int i = 0; i < config->field_count; i++) {
        if (goes[i] && config->fields[i].from == SAP_FROM_ATTRIBUTE &&
            same_path(&config->fields[i].path, &constant->when)) {
            return true;
        }
    }
    return false;
}

enum rc sap_map_encode(const struct sap_config *config, struct call *call, struct str device_name,
                       struct str base, struct str target, struct str *ret_bytes)
{
    struct mapped *before = arena_array(call->arena, struct mapped, (size_t)config->field_count);
    struct mapped *after = arena_array(call->arena, struct mapped, (size_t)config->field_count);
    bool *goes = arena_array(call->arena, bool, (size_t)config->field_count);
    bool full = base.len == 0;
    int named = call->item_count;
    struct text out;
    TRY(map_all(config, call, device_name, target, true, after));
    if (config->refuse_unmapped) {
        TRY(refuse_unmapped(config, call, target));
    }
    if (call->item_count > named) {
        return call_refuse(call, PROBLEM_unmappable, STR_FMT " " STR_FMT,
                           STR_ARG(call->items[named].pointer), STR_ARG(call->items[named].detail));
    }
    if (!full) {
        TRY(map_all(config, call, device_name, base, false, before));
    }
    for (int i = 0; i < config->field_count; i++) {
        goes[i] = goes_out(&config->fields[i], full, &before[i], &after[i]);
    }
    text_open(&out, call->arena, BODY_ROOM_BYTES);
    for (int i = 0; i < config->field_count; i++) {
        const struct sap_field *field = &config->fields[i];
        bool pair = field->from == SAP_FROM_CONST && field->when.count && after[i].present;
        if (goes[i] || (pair && !field->create_only && partner_goes(config, goes, field))) {
            write_value(config, &out, field, after[i].normal);
        }
    }
    if (out.len) {
        text_add_char(&out, '}');
    }
    assert(!out.full);
    *ret_bytes = text_str(&out);
    return RC_OK;
}

/* ---- a sealed body again -------------------------------------------------------------------------------------------- */

static yyjson_val *read_sealed(struct arena *arena, struct str bytes)
{
    yyjson_val *root = NULL;
    return json_read(arena, bytes, 2, &root, NULL) == RC_OK && yyjson_is_obj(root) ? root : NULL;
}

struct str sap_map_wire(const struct sap_config *config, struct arena *arena, struct str bytes,
                        bool create)
{
    yyjson_val *root = read_sealed(arena, bytes), *key;
    yyjson_obj_iter members;
    struct text out;
    text_open(&out, arena, BODY_ROOM_BYTES);
    if (!root) {
        return STR_NONE;
    }
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        const struct sap_field *field = sap_map_field(config, json_str(key));
        bool empty = yyjson_is_null(value) || (yyjson_is_str(value) && yyjson_get_len(value) == 0);
        bool clears = field && field->clear && !sap_map_normal(field, arena, value).len;
        if (create ? empty || clears : field && field->create_only) {
            continue;
        }
        text_add(&out, out.len ? STR(",") : STR("{"));
        text_add_json(&out, json_str(key));
        text_add_char(&out, ':');
        text_add(&out, json_write(arena, value));
    }
    if (out.len) {
        text_add_char(&out, '}');
    }
    return text_str(&out);
}

/* out: how many fields were compared */
static int compare(const struct sap_config *config, struct arena *arena, yyjson_val *root,
                   yyjson_val *entity, bool create_only, struct sap_compared *ret)
{
    yyjson_obj_iter members;
    yyjson_val *key;
    int count = 0;
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        const struct sap_field *field = sap_map_field(config, json_str(key));
        if ((field && field->create_only) != create_only) {
            continue;
        }
        yyjson_val *now = yyjson_obj_getn(entity, json_str(key).s, json_str(key).len);
        struct str sent = sap_map_normal(field, arena, yyjson_obj_iter_get_val(key));
        bool same = str_equal(sent, sap_map_normal(field, arena, now));
        bool evidence = create_only || (field && field->from == SAP_FROM_ATTRIBUTE);
        ret->same += evidence && same;
        ret->different += evidence && !same;
        ret->other_different += !evidence && !same;
        ret->first = same || ret->first.len ? ret->first : json_str(key);
        count++;
    }
    return count;
}

void sap_map_compare(const struct sap_config *config, struct arena *arena, struct str bytes,
                     yyjson_val *entity, struct sap_compared *ret)
{
    yyjson_val *root = read_sealed(arena, bytes);
    *ret = (struct sap_compared){0};
    if (root && compare(config, arena, root, entity, false, ret) == 0) {
        (void)compare(config, arena, root, entity, true, ret);
    }
}

static void add_name(struct text *names, struct str name)
{
    text_add(names, names->len ? STR(",") : STR("["));
    text_add_json(names, name);
}

void sap_map_drift(const struct sap_config *config, struct call *call, struct str device_name,
                   struct str base, struct str bytes, yyjson_val *entity,
                   struct str *ret_overwritten, struct str *ret_drift)
{
    struct mapped *known = arena_array(call->arena, struct mapped, (size_t)config->field_count);
    yyjson_val *body = read_sealed(call->arena, bytes);
    struct text overwritten, drift;
    text_open(&overwritten, call->arena, BODY_ROOM_BYTES);
    text_open(&drift, call->arena, BODY_ROOM_BYTES);
    if (body && map_all(config, call, device_name, base, false, known) == RC_OK) {
        for (int i = 0; i < config->field_count; i++) {
            const struct sap_field *field = &config->fields[i];
            yyjson_val *now = yyjson_obj_getn(entity, field->field.s, field->field.len);
            bool ours = field->from == SAP_FROM_ATTRIBUTE && !field->create_only &&
                        (known[i].present || field->clear);
            if (ours && !str_equal(known[i].normal, sap_map_normal(field, call->arena, now))) {
                bool goes = yyjson_obj_getn(body, field->field.s, field->field.len) != NULL;
                add_name(goes ? &overwritten : &drift, field->field);
            }
        }
    }
    text_add(&overwritten, overwritten.len ? STR("]") : STR(""));
    text_add(&drift, drift.len ? STR("]") : STR(""));
    *ret_overwritten = text_str(&overwritten);
    *ret_drift = text_str(&drift);
}
