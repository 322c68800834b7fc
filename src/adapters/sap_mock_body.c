/* A request's body onto the values of a row: unknown properties, wrong literals and lengths are refused, fields that
 * cannot be updated are ignored in silence as SAP does, upper case is made. */
#include "adapters/sap_mock_parts.h"

/* -12.5 with at most precision digits, scale of them behind the point; made to SAP's form 12.500. */
static bool decimal(struct arena *arena, struct str text, const struct edm_field *field,
                    struct str *ret_text)
{
    struct str rest = text;
    bool minus = rest.len && rest.s[0] == '-';
    rest = minus ? str_from(rest, 1) : rest;
    struct str whole = text_cut(&rest, '.');
    bool point = whole.len < text.len - (minus ? 1U : 0U);
    if (!whole.len || (point && !rest.len) || (int)rest.len > field->scale ||
        (int)whole.len > field->max - field->scale) {
        return false;
    }
    for (size_t i = 0; i < whole.len + rest.len; i++) {
        char c = i < whole.len ? whole.s[i] : rest.s[i - whole.len];
        if (c < '0' || c > '9') {
            return false;
        }
    }
    *ret_text =
        arena_printf(arena, "%s" STR_FMT "." STR_FMT "%.*s", minus ? "-" : "", STR_ARG(whole),
                     STR_ARG(rest), field->scale - (int)rest.len, "000000000");
    return true;
}

/* V2: /Date(ms)/; V4: 2026-11-22. */
static bool date(const struct sap_op *op, struct str text, struct str *ret_text)
{
    int64_t at_ms;
    bool right = op->target.v4 ? sap_edm_day_read(text, &at_ms)
                               : str_starts(text, STR("/Date(")) && sap_edm_date_read(text, &at_ms);
    *ret_text = right ? arena_printf(op->arena, "%lld", (long long)at_ms) : STR_NONE;
    return right;
}

/* Has a value the JSON type of its field? V2 writes decimals as texts, V4 as numbers unless the content type says
 * IEEE754Compatible. out: its text */
static bool json_type_is_right(const struct sap_op *op, const struct edm_field *field,
                               yyjson_val *value, struct str *ret_text)
{
    bool bare = op->target.v4 && field->type == EDM_DECIMAL &&
                !sap_op_has_word(op, "content-type", "ieee754compatible=true");
    if (field->type == EDM_BOOLEAN) {
        *ret_text = yyjson_is_true(value) ? STR("true") : STR("false");
        return yyjson_is_bool(value);
    }
    *ret_text = bare ? json_raw(value) : json_str(value);
    return bare ? yyjson_is_raw(value) : yyjson_is_str(value);
}

static bool take_value(struct sap_op *op, const struct edm_field *field, yyjson_val *value,
                       struct str *ret_text)
{
    struct str text;
    if (yyjson_is_null(value) && (!op->target.v4 || field->type == EDM_DATE)) {
        *ret_text = STR_NONE; /* V4 calls the others not nullable */
        return true;
    }
    bool right = json_type_is_right(op, field, value, &text);
    if (right && field->type == EDM_DECIMAL) {
        right = decimal(op->arena, text, field, &text);
    } else if (right && field->type == EDM_DATE) {
        right = date(op, text, &text);
    }
    if (!right) {
        sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/176", field->name, "Invalid value for property '%s'",
                    field->name);
        return false;
    }
    if (field->type == EDM_STRING) {
        while (text.len &&
               text.s[text.len - 1] == ' ') { /* CHAR fields keep no blanks at their end */
            text.len--;
        }
        text = field->upper ? sap_edm_upper(op->arena, text) : text;
        if (field->max && sap_edm_length(text) > (size_t)field->max) {
            sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/176", field->name,
                        "Property '%s' is longer than %d", field->name, field->max);
            return false;
        }
    }
    *ret_text = text;
    return true;
}

static bool not_updatable(struct sap_op *op, const struct edm_field *field, bool create)
{
    int64_t mark = op->mock->switches[SAP_MOCK_mark_read_only];
    if (mark == 2) {
        sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/176", field->name, "Property '%s' cannot be %s",
                    field->name, create ? "given" : "changed");
        return false;
    }
    if (mark == 1) {
        op->sap_message =
            sap_op_message(op, "ZHB/010", field->name, 3,
                           arena_printf(op->arena, "%s was not changed", field->name));
    }
    return true;
}

bool sap_op_read_body(struct sap_op *op, struct sap_values *values, bool create, bool *ret_changed)
{
    yyjson_val *root, *key, *value;
    yyjson_obj_iter members;
    *ret_changed = false;
    if (json_read(op->arena, op->request->body, 8, &root, NULL) != RC_OK || !yyjson_is_obj(root)) {
        sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/175", "", "Malformed request body");
        return false;
    }
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        struct str name = json_str(key), text;
        int place = sap_edm_find(name);
        value = yyjson_obj_iter_get_val(key);
        if (op->target.v4 ? name.len && name.s[0] == '@' : str_is(name, "__metadata")) {
            continue; /* what clients send back of what they read */
        }
        if (place < 0 || place == EDM_VALIDITY_END || (place == EDM_EQUIPMENT && !create)) {
            sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/175", "", "Property '" STR_FMT "' is invalid",
                        STR_ARG(name));
            return false;
        }
        const struct edm_field *field = &sap_edm_fields[place];
        if (!take_value(op, field, value, &text)) {
            return false;
        }
        if (create ? !field->creatable : !field->updatable) {
            if (!not_updatable(op, field, create)) {
                return false;
            }
            continue;
        }
        if (!str_equal(values->of[place], text)) {
            values->of[place] = text;
            *ret_changed = true;
        }
    }
    return true;
}
