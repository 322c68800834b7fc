/* Targets of the mock taken apart: path, key, query options, filters. Pure; whatever comes, it answers. */
#include "adapters/sap_mock_parts.h"

/* 'it''s' at the front of *rest, without its quotes. */
static bool quoted(struct arena *arena, struct str *rest, struct str *ret_text)
{
    struct text text;
    size_t i = 1;
    if (!rest->len || rest->s[0] != '\'') {
        return false;
    }
    text_open(&text, arena, rest->len);
    for (; i < rest->len; i++) {
        if (rest->s[i] == '\'') {
            if (i + 1 < rest->len && rest->s[i + 1] == '\'') {
                i++;
            } else {
                break;
            }
        }
        text_add_char(&text, rest->s[i]);
    }
    if (i >= rest->len) {
        return false;
    }
    *rest = str_from(*rest, i + 1);
    *ret_text = text_str(&text);
    return true;
}

/* A day as it stands in an address: V4 9999-12-31, V2 datetime'9999-12-31T00:00:00'. */
static bool day_literal(struct arena *arena, bool v4, struct str *rest, int64_t *ret_at_ms)
{
    struct str text;
    if (v4) {
        text = str_head(*rest, rest->len < 10 ? rest->len : 10);
        *rest = str_from(*rest, text.len);
        return sap_edm_day_read(text, ret_at_ms);
    }
    if (!str_starts(*rest, STR("datetime'"))) {
        return false;
    }
    *rest = str_from(*rest, strlen("datetime"));
    return quoted(arena, rest, &text) && sap_edm_date_read(text, ret_at_ms);
}

/* Equipment='1',ValidityEndDate=<day> in any order. */
static bool read_key(struct arena *arena, struct str key, struct sap_target *target)
{
    bool has_end = false;
    target->end_at_ms = SAP_END_OF_TIME_MS;
    while (key.len) {
        if (str_starts(key, STR("Equipment="))) {
            key = str_from(key, strlen("Equipment="));
            if (!quoted(arena, &key, &target->equipment)) {
                return false;
            }
        } else if (str_starts(key, STR("ValidityEndDate="))) {
            key = str_from(key, strlen("ValidityEndDate="));
            if (!day_literal(arena, target->v4, &key, &target->end_at_ms)) {
                return false;
            }
            has_end = true;
        } else {
            return false;
        }
        if (key.len && key.s[0] != ',') {
            return false;
        }
        key = key.len ? str_from(key, 1) : key;
    }
    return target->equipment.len && has_end;
}

static bool names_fields(struct str select)
{
    bool all = true;
    while (select.len) {
        struct str name = text_trim(text_cut(&select, ','));
        all = all && (str_is(name, "*") || sap_edm_find(name) >= 0);
    }
    return all;
}

static void read_option(struct arena *arena, struct str option, struct sap_target *target)
{
    struct str value = option, name, plain;
    struct str raw_name = text_cut(&value, '=');
    if (text_unpercent(arena, raw_name, true, &name) != RC_OK ||
        text_unpercent(arena, value, true, &plain) != RC_OK) {
        target->bad_option = true;
    } else if (str_is(name, "$filter")) {
        target->filter = plain;
    } else if (str_is(name, "$orderby")) {
        target->orderby = plain;
    } else if (str_is(name, "$select")) {
        target->select = plain;
        target->bad_option |= !names_fields(plain);
    } else if (str_is(name, "$top")) {
        target->bad_option |= text_to_i64(plain, &target->top) != RC_OK || target->top < 0;
    } else if (str_is(name, "$skip")) {
        target->bad_option |= text_to_i64(plain, &target->skip) != RC_OK || target->skip < 0;
    } else if (str_is(name, "$inlinecount") || str_is(name, "$count")) {
        target->count = str_is(plain, "allpages") || str_is(plain, "true");
    } else if (name.len && name.s[0] == '$' && !str_is(name, "$format")) {
        target->bad_option = true;
    }
}

static void read_path(struct arena *arena, struct str path, struct sap_target *target)
{
    struct str rest, plain;
    if (str_is(path, SAP_MOCK_TOKEN)) {
        target->kind = SAP_TOKEN;
        return;
    }
    target->v4 = str_starts(path, STR(SAP_MOCK_ROOT_V4));
    if (!target->v4 && !str_starts(path, STR(SAP_MOCK_ROOT))) {
        return;
    }
    rest = str_from(path, strlen(target->v4 ? SAP_MOCK_ROOT_V4 : SAP_MOCK_ROOT));
    if (target->v4) {
        /* V4 has its version in the path itself */
    } else if (str_starts(rest, STR(";v=1"))) {
        rest = str_from(rest, strlen(";v=1"));
    } else if (str_starts(rest, STR(";v="))) {
        target->kind = SAP_OTHER_VERSION;
        return;
    }
    if (!rest.len) {
        target->kind = SAP_ROOT_BARE;
        return;
    }
    if (rest.s[0] != '/' || text_unpercent(arena, str_from(rest, 1), false, &plain) != RC_OK) {
        return;
    }
    if (!plain.len) {
        target->kind = SAP_ROOT;
    } else if (str_is(plain, "$metadata")) {
        target->kind = SAP_METADATA;
    } else if (str_is(plain, "Equipment")) {
        target->kind = SAP_SET;
    } else if (str_starts(plain, STR("Equipment(")) && plain.s[plain.len - 1] == ')') {
        struct str key = str_from(plain, strlen("Equipment("));
        key.len--;
        target->kind = read_key(arena, key, target) ? SAP_ENTITY : SAP_UNKNOWN;
    }
}

void sap_target_read(struct arena *arena, struct request const *request,
                     struct sap_target *ret_target)
{
    struct str query = request->target;
    struct str path = text_cut(&query, '?');
    *ret_target = (struct sap_target){.kind = SAP_UNKNOWN, .top = -1};
    while (query.len) {
        read_option(arena, text_cut(&query, '&'), ret_target);
    }
    read_path(arena, path, ret_target);
}

/* How many of the character stand at the front; they are taken off. */
static int run_of(struct str *rest, char c)
{
    int count = 0;
    while (rest->len && rest->s[0] == c) {
        *rest = str_from(*rest, 1);
        count++;
    }
    return count;
}

bool sap_filter_next(struct sap_op *op, struct str *filter, int *ret_field, struct str *ret_value,
                     bool *ret_broken)
{
    struct arena *arena = op->arena;
    int64_t at_ms;
    struct str rest = text_trim(*filter);
    if (!rest.len) {
        return false;
    }
    *ret_broken = true;
    op->open_brackets += run_of(&rest, '('); /* among terms that all must fit they mean nothing */
    struct str name = text_cut(&rest, ' ');
    int field = sap_edm_find(name);
    struct str operator= text_cut(&rest, ' ');
    if (field < 0 || !str_is(operator, "eq")) {
        return false;
    }
    if (sap_edm_fields[field].type == EDM_DATE) {
        if (!day_literal(arena, op->target.v4, &rest, &at_ms)) {
            return false;
        }
        *ret_value = arena_printf(arena, "%lld", (long long)at_ms);
    } else if (!quoted(arena, &rest, ret_value)) {
        return false;
    }
    op->open_brackets -= run_of(&rest, ')');
    if (op->open_brackets < 0 || (!rest.len && op->open_brackets > 0)) {
        return false;
    }
    if (rest.len) {
        if (!str_starts(rest, STR(" and ")) || rest.len == strlen(" and ")) {
            return false;
        }
        rest = str_from(rest, strlen(" and "));
    }
    *filter = rest;
    *ret_field = field;
    *ret_broken = false;
    return true;
}
