/* See sap_value.h. Faults are sentences about the member, since its customer reads them: "has 13 characters, at most 8 fit
 * into ...". */
#include "adapters/sap_value.h"

#include <regex.h>

#include "adapters/sap_edm.h"
#include "base/iso_time.h"

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

struct str sap_value_normal_text(const struct sap_field *field, struct arena *arena,
                                 struct str text)
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

/* A moment in whole seconds, as ms: /Date(ms+0000)/ or RFC 3339. false: neither, or before 1970. */
static bool moment_normal(struct arena *arena, struct str text, struct str *ret_text)
{
    int64_t at_ms;
    bool v2 = str_starts(text, STR("/Date("));
    if (v2 ? !sap_edm_date_read(text, &at_ms) : iso_time_read(text, &at_ms) != RC_OK) {
        return false;
    }
    int64_t seconds = at_ms / 1000;
    *ret_text = seconds ? arena_printf(arena, "%lld000", (long long)seconds) : STR("0");
    return at_ms >= 0;
}

struct str sap_value_normal(const struct sap_field *field, struct arena *arena, yyjson_val *value)
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
    case SAP_MOMENT:
        return moment_normal(arena, text, &normal) ? normal : text;
    case SAP_BOOLEAN:
        return str_is(text, "false") ? STR("") : text;
    case SAP_STRING:
        break;
    }
    return sap_value_normal_text(field, arena, text);
}

/* ---- mapping one value ------------------------------------------------------------------------------------ */

struct sap_value sap_value_fault(const struct sap_field *field, struct arena *arena,
                                 const char *words)
{
    return (struct sap_value){.fault = arena_printf(arena, "%s the downstream's field " STR_FMT,
                                                    words, STR_ARG(field->field))
                                           .s};
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

/* The downstream's word for a value of ours. NULL = the mapping has none. */
static const struct str *choice_of(const struct sap_field *field, struct str text)
{
    for (int i = 0; i < field->choice_count; i++) {
        if (str_equal(field->choices[i].from, text)) {
            return &field->choices[i].to;
        }
    }
    return NULL;
}

/* Which of the field's own rules a text breaks. NULL = none; an empty one breaks none, it is what is there without it. */
static const char *broken_rule(const struct sap_field *field, struct arena *arena, struct str text)
{
    bool listed = field->enum_count == 0;
    for (int i = 0; i < field->enum_count; i++) {
        listed = listed || str_equal(field->enums[i], text);
    }
    if (text.len && !listed) {
        return "is none of the values that the mapping allows for";
    }
    if (text.len && field->regex &&
        (memchr(text.s, 0, text.len) ||
         regexec(field->regex, arena_copy(arena, text).s, 0, NULL, 0) != 0)) {
        return arena_printf(arena, "does not look like " STR_FMT ", as it is needed for",
                            STR_ARG(field->pattern))
            .s;
    }
    return NULL;
}

struct sap_value sap_value_of_text(const struct sap_field *field, struct arena *arena,
                                   struct str text)
{
    if (field->choice_count) {
        const struct str *choice = choice_of(field, text);
        if (!choice) {
            return sap_value_fault(field, arena, "is none of the values that the mapping has for");
        }
        text = *choice;
    }
    text = sap_value_normal_text(field, arena, text);
    size_t units = sap_edm_length(text);
    if (field->max && units > (size_t)field->max) {
        if (!field->cut) {
            return sap_value_fault(
                field, arena,
                arena_printf(arena, "has %zu characters, at most %d fit into", units, field->max)
                    .s);
        }
        text = sap_value_normal_text(field, arena, cut_to(text, (size_t)field->max));
    }
    const char *broken = broken_rule(field, arena, text);
    return broken ? sap_value_fault(field, arena, broken) : (struct sap_value){true, text, NULL};
}

static struct sap_value decimal_of(const struct sap_field *field, struct arena *arena,
                                   struct str text)
{
    struct str normal, rest;
    if (!decimal_normal(arena, text, &normal)) {
        return sap_value_fault(field, arena, "is no plain decimal number, as it is needed for");
    }
    rest = normal;
    struct str whole = text_cut(&rest, '.');
    size_t sign = whole.len && whole.s[0] == '-' ? 1 : 0;
    int scale = field->type == SAP_INTEGER ? 0 : field->scale;
    if ((int)rest.len > scale) {
        return sap_value_fault(
            field, arena,
            arena_printf(arena, "has %zu digits behind the point, %d is all that is kept by",
                         rest.len, scale)
                .s);
    }
    if (field->max && (int)(whole.len - sign) > field->max - scale) {
        return sap_value_fault(
            field, arena,
            arena_printf(arena, "has %zu digits before the point, %d is all that is kept by",
                         whole.len - sign, field->max - scale)
                .s);
    }
    return (struct sap_value){true, normal, NULL};
}

/* A whole number as SAP's Edm.Int32 keeps it; longer ones are decimals without digits behind the point. */
static struct sap_value integer_of(const struct sap_field *field, struct arena *arena,
                                   struct str text)
{
    struct sap_value value = decimal_of(field, arena, text);
    bool minus = value.normal.len && value.normal.s[0] == '-';
    int64_t number = 0;
    if (!value.fault && value.normal.len &&
        (text_to_i64(str_from(value.normal, minus), &number) != RC_OK ||
         number > (int64_t)INT32_MAX + minus)) {
        return sap_value_fault(field, arena, "is larger than any number that is kept by");
    }
    return value;
}

struct sap_value sap_value_of(const struct sap_field *field, struct arena *arena, yyjson_val *value)
{
    struct str text;
    int64_t at_ms;
    if (!value) {
        return (struct sap_value){0};
    }
    if (!scalar_text(value, &text)) {
        return sap_value_fault(field, arena,
                               "is an object or an array, not the one value that fits into");
    }
    switch (field->type) {
    case SAP_DECIMAL:
        return decimal_of(field, arena, text);
    case SAP_INTEGER:
        return integer_of(field, arena, text);
    case SAP_DATE:
        if (!yyjson_is_str(value) || text.len != DATE_TEXT_BYTES ||
            !sap_edm_date_read(text, &at_ms)) {
            return sap_value_fault(field, arena, "is no date like 2026-11-22, as it is needed for");
        }
        return (struct sap_value){true, arena_printf(arena, "%lld", (long long)at_ms), NULL};
    case SAP_MOMENT:
        if (!yyjson_is_str(value) || !moment_normal(arena, text, &text)) {
            return sap_value_fault(field, arena,
                                   "is no moment since 1970 like 2026-11-22T10:00:00Z, as it is "
                                   "needed for");
        }
        return (struct sap_value){true, text, NULL};
    case SAP_BOOLEAN:
        if (!yyjson_is_bool(value)) {
            return sap_value_fault(field, arena, "is neither true nor false, as it is needed for");
        }
        return (struct sap_value){true, yyjson_is_true(value) ? STR("true") : STR(""), NULL};
    case SAP_STRING:
        break;
    }
    if (yyjson_is_bool(value) && !field->choice_count) {
        return sap_value_fault(
            field, arena,
            "is no text (a `map` in the mapping could make one), as it is needed for");
    }
    return sap_value_of_text(field, arena, text);
}

/* ---- the wire ---------------------------------------------------------------------------------------------- */

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

static void write_moment(struct text *out, enum sap_protocol protocol, struct str normal)
{
    char iso[ISO_TIME_BYTES + 1];
    int64_t at_ms = 0;
    if (protocol == SAP_V2) {
        text_printf(out, "\"/Date(" STR_FMT "+0000)/\"", STR_ARG(normal));
    } else if (text_to_i64(normal, &at_ms) == RC_OK) {
        iso_time_write(at_ms, iso);
        text_printf(out, "\"%.19sZ\"", iso); /* without its milliseconds */
    }
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

void sap_value_write(enum sap_protocol protocol, struct text *out, const struct sap_field *field,
                     struct str normal)
{
    bool moment = field->type == SAP_DATE || field->type == SAP_MOMENT;
    if (moment && !normal.len) {
        text_add(out, STR("null"));
        return;
    }
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
        write_date(out, protocol, normal);
        return;
    case SAP_MOMENT:
        write_moment(out, protocol, normal);
        return;
    case SAP_BOOLEAN:
        text_add(out, normal.len ? STR("true") : STR("false"));
        return;
    }
}
