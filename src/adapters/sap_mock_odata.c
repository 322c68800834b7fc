/* What the mock's service does with one request: root, $metadata, search, read, update, create. Sessions and faults
 * were seen to by sap_mock.c. */
#include <stdarg.h>
#include <stdio.h>

#include "adapters/sap_mock_parts.h"

#define SEARCH_MAX 1000 /* rows of one answer */

struct str sap_op_etag(struct arena *arena, const struct sap_row *row)
{
    char at[ISO_TIME_BYTES + 1];
    iso_time_write(row->changed_at_ms, at);
    return arena_printf(arena, "W/\"datetime'%.13s%%3A%.2s%%3A%.2s.%07llu'\"", at, at + 14, at + 17,
                        (unsigned long long)row->change_no);
}

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

static struct str shown_number(struct sap_op *op, struct str equipment)
{
    bool digits = equipment.len > 0;
    for (size_t i = 0; i < equipment.len; i++) {
        digits = digits && equipment.s[i] >= '0' && equipment.s[i] <= '9';
    }
    if (!digits || !op->mock->switches[SAP_MOCK_pad_keys] || equipment.len >= 18) {
        return equipment;
    }
    return arena_printf(op->arena, "%.*s" STR_FMT, (int)(18 - equipment.len), "000000000000000000",
                        STR_ARG(equipment));
}

static struct str key_url(struct sap_op *op, struct str equipment, int64_t end_at_ms)
{
    char end[ISO_TIME_BYTES + 1];
    iso_time_write(end_at_ms, end);
    return arena_printf(op->arena,
                        "Equipment(Equipment='" STR_FMT
                        "',ValidityEndDate=datetime'%.13s%%3A%.2s%%3A%.2s')",
                        STR_ARG(equipment), end, end + 14, end + 17);
}

static void write_value(struct sap_op *op, struct text *out, const struct sap_row *row, int place,
                        struct str value)
{
    const struct edm_field *field = &sap_edm_fields[place];
    text_printf(out, ",\"%s\":", field->name);
    if (place == EDM_VALIDITY_END) {
        text_printf(out, "\"/Date(%lld)/\"", (long long)row->end_at_ms);
    } else if (place == EDM_CHANGED_AT) {
        text_printf(out, "\"/Date(%lld+0000)/\"", (long long)row->changed_at_ms);
    } else if (place == EDM_EQUIPMENT) {
        text_add_json(out, shown_number(op, value));
    } else if (field->type == EDM_DATE) {
        text_printf(out, value.len ? "\"/Date(" STR_FMT ")/\"" : "null", STR_ARG(value));
    } else if (field->type == EDM_DECIMAL) {
        text_printf(out, "\"" STR_FMT "\"", STR_ARG(value.len ? value : STR("0.000")));
    } else if (field->type == EDM_BOOLEAN) {
        text_add(out, value.len ? value : STR("false"));
    } else {
        text_add_json(out, value);
    }
}

/* Is a field among those that $select names? */
static bool selected(struct str select, const char *name)
{
    bool all = select.len == 0;
    while (select.len) {
        struct str item = text_trim(text_cut(&select, ','));
        all = all || str_is(item, name) || str_is(item, "*");
    }
    return all;
}

static void write_row(struct sap_op *op, struct text *out, size_t at)
{
    const struct sap_row *row = &op->mock->rows.rows[at];
    struct sap_values values;
    sap_rows_get(&op->mock->rows, at, &values);
    struct str uri = key_url(op, shown_number(op, values.of[EDM_EQUIPMENT]), row->end_at_ms);
    text_add(out, STR("{\"__metadata\":{\"id\":"));
    text_add_json(out, arena_printf(op->arena, SAP_MOCK_ROOT "/" STR_FMT, STR_ARG(uri)));
    text_add(out, STR(",\"uri\":"));
    text_add_json(out, arena_printf(op->arena, SAP_MOCK_ROOT "/" STR_FMT, STR_ARG(uri)));
    text_add(out, STR(",\"type\":\"cds_api_equipment.EquipmentType\""));
    if (op->mock->switches[SAP_MOCK_etags]) {
        text_add(out, STR(",\"etag\":"));
        text_add_json(out, sap_op_etag(op->arena, row));
    }
    text_add(out, STR("}"));
    for (int i = 0; i < sap_edm_count; i++) {
        if (selected(op->target.select, sap_edm_fields[i].name)) {
            write_value(op, out, row, i, values.of[i]);
        }
    }
    text_add(out, STR("}"));
}

static void answer_json(struct sap_op *op, int status, struct str body)
{
    op->answer->status = status;
    op->answer->body = body;
    sap_op_add_header(op, "Content-Type", STR("application/json"));
    sap_op_add_header(op, "DataServiceVersion", STR("2.0"));
}

static void answer_row(struct sap_op *op, int status, size_t at)
{
    struct text out;
    text_open(&out, op->arena, (size_t)1 << 20);
    text_add(&out, STR("{\"d\":"));
    write_row(op, &out, at);
    text_add(&out, STR("}"));
    answer_json(op, status, text_str(&out));
    if (op->mock->switches[SAP_MOCK_etags]) {
        sap_op_add_header(op, "ETag", sap_op_etag(op->arena, &op->mock->rows.rows[at]));
    }
}

static void answer_metadata(struct sap_op *op)
{
    struct text out;
    text_open(&out, op->arena, (size_t)1 << 20);
    text_add(&out, STR("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<edmx:Edmx Version=\"1.0\" "
                       "xmlns:edmx=\"http://schemas.microsoft.com/ado/2007/06/edmx\" "
                       "xmlns:m=\"http://schemas.microsoft.com/ado/2007/08/dataservices/metadata\" "
                       "xmlns:sap=\"http://www.sap.com/Protocols/SAPData\">\n"
                       "<edmx:DataServices m:DataServiceVersion=\"2.0\">\n<Schema "
                       "Namespace=\"cds_api_equipment\" "
                       "xmlns=\"http://schemas.microsoft.com/ado/2008/09/edm\">\n"
                       "<EntityType Name=\"EquipmentType\" "
                       "sap:content-version=\"1\">\n<Key><PropertyRef Name=\"Equipment\"/>"
                       "<PropertyRef Name=\"ValidityEndDate\"/></Key>\n"));
    for (int i = 0; i < sap_edm_count; i++) {
        const struct edm_field *field = &sap_edm_fields[i];
        text_printf(&out, "<Property Name=\"%s\" Type=\"%s\"", field->name,
                    sap_edm_type_name(field->type));
        if (i == EDM_EQUIPMENT || i == EDM_VALIDITY_END) {
            text_add(&out, STR(" Nullable=\"false\""));
        }
        if (field->max) {
            text_printf(&out,
                        field->type == EDM_DECIMAL ? " Precision=\"%d\"" : " MaxLength=\"%d\"",
                        field->max);
        }
        if (field->type == EDM_DECIMAL) {
            text_printf(&out, " Scale=\"%d\"", field->scale);
        }
        text_printf(&out, "%s%s%s/>\n", field->upper ? " sap:display-format=\"UpperCase\"" : "",
                    field->creatable ? "" : " sap:creatable=\"false\"",
                    field->updatable ? "" : " sap:updatable=\"false\"");
    }
    text_add(&out, STR("</EntityType>\n<EntityContainer Name=\"cds_api_equipment_Entities\" "
                       "m:IsDefaultEntityContainer=\"true\">\n<EntitySet Name=\"Equipment\" "
                       "EntityType=\"cds_api_equipment.EquipmentType\" sap:deletable=\"false\"/>\n"
                       "</EntityContainer>\n</Schema>\n</edmx:DataServices>\n</edmx:Edmx>\n"));
    op->answer->status = 200;
    op->answer->body = text_str(&out);
    sap_op_add_header(op, "Content-Type", STR("application/xml"));
    sap_op_add_header(op, "DataServiceVersion", STR("2.0"));
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
           sap_filter_next(op->arena, &filter, &terms[count].field, &terms[count].value, &broken)) {
        count++;
    }
    size_t *found = arena_array(op->arena, size_t, SEARCH_MAX);
    size_t found_count = broken ? 0 : find_rows(op, terms, count, found);
    if (broken || filter.len || !sort_rows(op, found, found_count)) {
        sap_op_fail(op, 400, "/IWBEP/CM_MGW_RT/154", "", "Invalid query option");
        return;
    }
    struct text out;
    bool first = true;
    text_open(&out, op->arena, (size_t)8 << 20);
    text_add(&out, STR("{\"d\":{\"results\":["));
    for (size_t i = (size_t)op->target.skip; i < found_count; i++) {
        if (op->target.top >= 0 && i - (size_t)op->target.skip >= (size_t)op->target.top) {
            break;
        }
        text_add(&out, first ? STR("") : STR(","));
        write_row(op, &out, found[i]);
        first = false;
    }
    text_add(&out, STR("]}}"));
    answer_json(op, 200, text_str(&out));
}

/* ---- writes ----------------------------------------------------------------------------------------- */

static bool business_rules(struct sap_op *op, const struct sap_values *values)
{
    struct str plant = values->of[EDM_PLANT];
    if (plant.len && plant.s[0] == '9') {
        sap_op_fail(op, 400, "ZHB/002", "MaintenancePlant", "Plant " STR_FMT " does not exist",
                    STR_ARG(plant));
        return false;
    }
    if (!values->of[EDM_CATEGORY].len) {
        sap_op_fail(op, 400, "ZHB/003", "EquipmentCategory", "Enter an equipment category");
        return false;
    }
    return true;
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
            sap_op_fail(op, (int)switches[SAP_MOCK_if_match_status], "/IWBEP/CM_MGW_RT/022", "",
                        "Data has to be read before it is changed: If-Match is missing");
            return false;
        }
        return true;
    }
    if (!str_equal(if_match, sap_op_etag(op->arena, row))) {
        sap_op_fail(op, 412, "/IWBEP/CM_MGW_RT/022", "", "The data was changed meanwhile");
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
    if (op->mock->switches[SAP_MOCK_update_status] == 200) {
        answer_row(op, 200, (size_t)at);
        return;
    }
    op->answer->status = 204;
    sap_op_add_header(op, "DataServiceVersion", STR("2.0"));
    if (op->mock->switches[SAP_MOCK_etags]) {
        sap_op_add_header(op, "ETag", sap_op_etag(op->arena, &rows->rows[at]));
    }
}

static void add_location(struct sap_op *op, size_t at)
{
    struct str number = sap_rows_value(&op->mock->rows, at, EDM_EQUIPMENT);
    struct str url = key_url(op, number, op->mock->rows.rows[at].end_at_ms);
    switch (op->mock->switches[SAP_MOCK_location]) {
    case 0:
        sap_op_add_header(op, "Location",
                          arena_printf(op->arena, SAP_MOCK_ROOT "/" STR_FMT, STR_ARG(url)));
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
    answer_row(op, 201, at);
    add_location(op, at);
}

static void read_entity(struct sap_op *op)
{
    int64_t at = sap_op_find_row(op, op->target.equipment, op->target.end_at_ms);
    if (at < 0) {
        sap_op_fail(op, 404, "/IWBEP/CM_MGW_RT/020", "",
                    "Resource not found for the segment 'Equipment'");
        return;
    }
    answer_row(op, 200, (size_t)at);
}

static void execute_read(struct sap_op *op)
{
    switch (op->target.kind) {
    case SAP_ROOT:
        answer_json(op, 200, STR("{\"d\":{\"EntitySets\":[\"Equipment\"]}}"));
        return;
    case SAP_METADATA:
        answer_metadata(op);
        return;
    case SAP_SET:
        search(op);
        return;
    default:
        read_entity(op);
    }
}

/* method, or what the tunnel POST + X-HTTP-Method says */
static struct str real_method(const struct request *request)
{
    struct str tunnel = sap_op_header(request, "x-http-method");
    return str_is(request->method, "POST") && tunnel.len ? tunnel : request->method;
}

void sap_op_execute(struct sap_op *op)
{
    struct str method = real_method(op->request);
    enum sap_target_kind kind = op->target.kind;
    if (kind == SAP_OTHER_VERSION) {
        sap_op_fail(op, 403, "/IWFND/MED/170", "", "No service found for this version");
    } else if (kind == SAP_UNKNOWN || kind == SAP_ROOT_BARE) {
        sap_op_fail(op, 404, "/IWBEP/CM_MGW_RT/020", "", "Resource not found");
    } else if (str_is(method, "GET") || str_is(method, "HEAD")) {
        execute_read(op);
    } else if ((int64_t)op->request->body.len > op->mock->switches[SAP_MOCK_body_max]) {
        sap_op_fail(op, 413, "413", "", "The body is too large");
    } else if (kind == SAP_ENTITY && (str_is(method, "PATCH") || str_is(method, "MERGE"))) {
        update(op);
    } else if (kind == SAP_SET && str_is(method, "POST")) {
        create(op);
    } else {
        sap_op_fail(op, 405, "/IWBEP/CM_MGW_RT/021", "", "Method not allowed");
    }
}
