/* What the mock's service does with one request: search, read, update, create, in OData V2 or V4. Sessions and faults
 * were seen to by sap_mock.c; what is shown is written by sap_mock_answer.c. */
#include <stdio.h>

#include "adapters/sap_mock_parts.h"

#define SEARCH_MAX 1000 /* rows of one answer */

struct str sap_row_name(const struct sap_rows *rows, size_t row)
{
    struct str name = sap_rows_value(rows, row, EDM_NAME);
    return name.len ? name : sap_rows_value(rows, row, EDM_SORT_CODE);
}

int64_t sap_op_find_row(const struct sap_op *op, struct str equipment, int64_t end_at_ms)
{
    const struct sap_rows *rows = &op->mock->rows;
    int64_t at = sap_rows_first(rows, SAP_BY_EQUIPMENT, equipment);
    while (at >= 0) {
        struct str own = sap_rows_value(rows, (size_t)at, EDM_EQUIPMENT);
        if (rows->rows[at].end_at_ms == end_at_ms &&
            str_equal(sap_rows_bare(own), sap_rows_bare(equipment))) {
            return at;
        }
        at = sap_rows_next(rows, SAP_BY_EQUIPMENT, (size_t)at);
    }
    return -1;
}

/* ---- search --------------------------------------------------------------------------------------- */

struct term {
    int field;
    struct str value;
};
#define TERMS_MAX 8

static bool term_fits(const struct sap_rows *rows, size_t at, const struct term *term)
{
    if (term->field == EDM_VALIDITY_END) {
        int64_t end_at_ms;
        return text_to_i64(term->value, &end_at_ms) == RC_OK &&
               rows->rows[at].end_at_ms == end_at_ms;
    }
    struct str own = sap_rows_value(rows, at, term->field);
    return term->field == EDM_EQUIPMENT ? str_equal(sap_rows_bare(own), sap_rows_bare(term->value))
                                        : str_equal(own, term->value);
}

static int term_index(const struct term *term)
{
    switch (term->field) {
    case EDM_EQUIPMENT:
        return SAP_BY_EQUIPMENT;
    case EDM_SORT_CODE:
        return SAP_BY_SORT_CODE;
    case EDM_NAME:
        return SAP_BY_NAME;
    default:
        return -1;
    }
}

/* All rows that every term fits; by an index where a term has one. */
static size_t find_rows(struct sap_op *op, const struct term *terms, int count, size_t *ret_rows)
{
    const struct sap_rows *rows = &op->mock->rows;
    int index = -1;
    struct str value = STR_NONE;
    size_t found = 0;
    for (int i = 0; i < count && index < 0; i++) {
        index = term_index(&terms[i]);
        value = terms[i].value;
    }
    int64_t at = index >= 0 ? sap_rows_first(rows, index, value) : (int64_t)rows->count - 1;
    while (at >= 0 && found < SEARCH_MAX) {
        bool fits = true;
        for (int i = 0; i < count; i++) {
            fits = fits && term_fits(rows, (size_t)at, &terms[i]);
        }
        if (fits) {
            ret_rows[found++] = (size_t)at;
        }
        at = index >= 0 ? sap_rows_next(rows, index, (size_t)at) : at - 1;
    }
    return found;
}

static int row_order(const struct sap_rows *rows, size_t a, size_t b, int field)
{
    if (field == EDM_VALIDITY_END) {
        int64_t left = rows->rows[a].end_at_ms, right = rows->rows[b].end_at_ms;
        return (left > right) - (left < right);
    }
    return str_compare(sap_rows_value(rows, a, field), sap_rows_value(rows, b, field));
}

static bool sort_rows(struct sap_op *op, size_t *found, size_t count)
{
    struct str rest = op->target.orderby;
    if (!rest.len) {
        return true;
    }
    int field = sap_edm_find(text_cut(&rest, ' '));
    int sign = str_is(rest, "desc") ? -1 : 1;
    if (field < 0) {
        return false;
    }
    for (size_t i = 1; i < count; i++) { /* few rows: insertion keeps equal ones in place */
        size_t own = found[i], j = i;
        while (j > 0 && row_order(&op->mock->rows, found[j - 1], own, field) * sign > 0) {
            found[j] = found[j - 1];
            j--;
        }
        found[j] = own;
    }
    return true;
}

static void search(struct sap_op *op)
{
    struct term terms[TERMS_MAX];
    int count = 0;
    bool broken = op->target.bad_option;
    struct str filter = op->target.filter;
    while (!broken && count < TERMS_MAX &&
           sap_filter_next(op, &filter, &terms[count].field, &terms[count].value, &broken)) {
        count++;
    }
    size_t *found = arena_array(op->arena, size_t, SEARCH_MAX);
    size_t found_count = broken ? 0 : find_rows(op, terms, count, found);
    if (broken || filter.len || !sort_rows(op, found, found_count)) {
        sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/154", "", "Invalid query option");
        return;
    }
    size_t first = (size_t)min_i64(op->target.skip, (int64_t)found_count);
    size_t shown = found_count - first;
    shown = op->target.top >= 0 && (size_t)op->target.top < shown ? (size_t)op->target.top : shown;
    sap_op_answer_rows(op, found + first, shown, found_count);
}

/* ---- writes ----------------------------------------------------------------------------------------- */

static bool business_rules(struct sap_op *op, const struct sap_values *values)
{
    struct str plant = values->of[EDM_PLANT];
    if (plant.len && plant.s[0] == '9') {
        sap_op_wrong(op, "ZHB/002", "MaintenancePlant", "Plant " STR_FMT " does not exist",
                     STR_ARG(plant));
    }
    if (!values->of[EDM_CATEGORY].len) {
        sap_op_wrong(op, "ZHB/003", "EquipmentCategory", "Enter an equipment category");
    }
    if (op->wrong_count) {
        sap_op_fail_all(op, 400);
    }
    return op->wrong_count == 0;
}

static bool precondition(struct sap_op *op, const struct sap_row *row)
{
    const int64_t *switches = op->mock->switches;
    struct str if_match = sap_op_header(op->request, "if-match");
    if (!switches[SAP_MOCK_etags] || str_is(if_match, "*")) {
        return true;
    }
    if (!if_match.len) {
        if (switches[SAP_MOCK_if_match_status]) {
            sap_op_fail(op, (int)switches[SAP_MOCK_if_match_status],
                        op->target.v4 ? "/IWBEP/CM_V4_RUNTIME/020" : "/IWBEP/CM_MGW_RT/022", "",
                        "Data has to be read before it is changed: If-Match is missing");
            return false;
        }
        return true;
    }
    if (!str_equal(if_match, sap_op_etag(op->arena, row))) {
        sap_op_fail(op, 412, op->target.v4 ? "/IWBEP/CM_V4_RUNTIME/021" : "/IWBEP/CM_MGW_RT/022",
                    "", "The data was changed meanwhile");
        return false;
    }
    return true;
}

static void update(struct sap_op *op)
{
    struct sap_rows *rows = &op->mock->rows;
    int64_t at = sap_op_find_row(op, op->target.equipment, op->target.end_at_ms);
    struct sap_values values;
    bool changed = false;
    if (at < 0) {
        sap_op_fail(op, 404, "/IWBEP/CM_MGW_RT/020", "",
                    "Resource not found for the segment 'Equipment'");
        return;
    }
    sap_rows_get(rows, (size_t)at, &values);
    if (!precondition(op, &rows->rows[at]) || !sap_op_read_body(op, &values, false, &changed) ||
        !business_rules(op, &values)) {
        return;
    }
    if (!op->silent) { /* SAP counts also an update that changes nothing: it is one effect */
        sap_rows_set(rows, (size_t)at, &values, op->now_ms);
        op->log->effect = true;
    }
    if (op->mock->switches[SAP_MOCK_update_status] == 200 ||
        (op->target.v4 && !sap_op_has_word(op, "prefer", "return=minimal"))) {
        sap_op_answer_row(op, 200, (size_t)at);
    } else {
        sap_op_answer_empty(op, (size_t)at);
    }
}

static void add_location(struct sap_op *op, size_t at)
{
    struct str number = sap_rows_value(&op->mock->rows, at, EDM_EQUIPMENT);
    struct str url = sap_op_key_url(op, number, op->mock->rows.rows[at].end_at_ms);
    switch (op->mock->switches[SAP_MOCK_location]) {
    case 0:
        sap_op_add_header(op, "Location",
                          arena_printf(op->arena, "%s/" STR_FMT,
                                       op->target.v4 ? SAP_MOCK_ROOT_V4 : SAP_MOCK_ROOT,
                                       STR_ARG(url)));
        break;
    case 1:
        sap_op_add_header(op, "Location", url);
        break;
    case 2:
        sap_op_add_header(op, "Location", STR("http://elsewhere.example/Equipment('1')"));
        break;
    case 3:
        sap_op_add_header(op, "Location", STR(""));
        break;
    default:
        break;
    }
}

static void create(struct sap_op *op)
{
    struct sap_rows *rows = &op->mock->rows;
    struct sap_values values = {0};
    bool changed = false;
    if (!sap_op_read_body(op, &values, true, &changed) || !business_rules(op, &values)) {
        return;
    }
    if (!values.of[EDM_EQUIPMENT].len) {
        if (!op->mock->switches[SAP_MOCK_internal_numbers]) {
            sap_op_fail(op, 400, "ZHB/004", "Equipment", "Enter an equipment number");
            return;
        }
        values.of[EDM_EQUIPMENT] = arena_printf(op->arena, "%lld", (long long)rows->next_number++);
    } else if (sap_op_find_row(op, values.of[EDM_EQUIPMENT], SAP_END_OF_TIME_MS) >= 0) {
        sap_op_fail(op, 400, "ZHB/005", "Equipment", "Equipment " STR_FMT " already exists",
                    STR_ARG(values.of[EDM_EQUIPMENT]));
        return;
    }
    if (op->silent) {
        op->answer->status = 201;
        return;
    }
    values.of[EDM_CREATED_AT] =
        arena_printf(op->arena, "%lld", (long long)(op->now_ms - op->now_ms % 86400000));
    size_t at = sap_rows_add(rows, &values, SAP_END_OF_TIME_MS, op->now_ms);
    op->log->effect = true;
    op->target.equipment = values.of[EDM_EQUIPMENT];
    op->target.end_at_ms = SAP_END_OF_TIME_MS;
    sap_op_answer_row(op, 201, at);
    add_location(op, at);
}

static void read_entity(struct sap_op *op)
{
    int64_t at = sap_op_find_row(op, op->target.equipment, op->target.end_at_ms);
    if (op->target.bad_option) {
        sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/154", "", "Invalid query option");
        return;
    }
    if (at < 0) {
        sap_op_fail(op, 404, "/IWBEP/CM_MGW_RT/020", "",
                    "Resource not found for the segment 'Equipment'");
        return;
    }
    sap_op_answer_row(op, 200, (size_t)at);
}

static void execute_read(struct sap_op *op)
{
    switch (op->target.kind) {
    case SAP_ROOT:
        sap_op_answer_root(op);
        return;
    case SAP_METADATA:
        sap_op_answer_metadata(op);
        return;
    case SAP_SET:
        search(op);
        return;
    default:
        read_entity(op);
    }
}

/* The method, or what V2's tunnel says: POST + X-HTTP-Method. */
static struct str real_method(const struct sap_op *op)
{
    struct str tunnel = sap_op_header(op->request, "x-http-method");
    bool tunnelled = str_is(op->request->method, "POST") && tunnel.len && !op->target.v4;
    return tunnelled ? tunnel : op->request->method;
}

static bool is_update(const struct sap_op *op, struct str method)
{
    return op->target.kind == SAP_ENTITY &&
           (str_is(method, "PATCH") || (str_is(method, "MERGE") && !op->target.v4));
}

void sap_op_execute(struct sap_op *op)
{
    struct str method = real_method(op);
    enum sap_target_kind kind = op->target.kind;
    if (kind == SAP_OTHER_VERSION) {
        sap_op_fail(op, 403, "/IWFND/MED/170", "", "No service found for this version");
    } else if (kind == SAP_UNKNOWN || kind == SAP_ROOT_BARE) {
        sap_op_fail(op, 404, "/IWBEP/CM_MGW_RT/020", "", "Resource not found");
    } else if (str_is(method, "GET") || str_is(method, "HEAD")) {
        execute_read(op);
    } else if ((int64_t)op->request->body.len > op->mock->switches[SAP_MOCK_body_max]) {
        sap_op_fail(op, 413, "413", "", "The body is too large");
    } else if (op->mock->switches[SAP_MOCK_update_off]) {
        sap_op_fail(op, (int)op->mock->switches[SAP_MOCK_update_off], "CX_SADL_ENTITY_CUD_DISABLED",
                    "", "Changes of this entity are not enabled");
    } else if (is_update(op, method)) {
        update(op);
    } else if (kind == SAP_SET && str_is(method, "POST")) {
        create(op);
    } else {
        sap_op_fail(op, 405, "/IWBEP/CM_MGW_RT/021", "", "Method not allowed");
    }
}
