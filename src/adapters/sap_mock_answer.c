/* What the mock's service shows: the root, entities and lists, in the form of the version that was asked. The rows are
 * the same for both. */
#include "adapters/sap_mock_parts.h"

#define LIST_ROOM_BYTES ((size_t)8 << 20)
#define ROW_ROOM_BYTES ((size_t)1 << 20)

struct str sap_op_etag(struct arena *arena, const struct sap_row *row)
{
    char at[ISO_TIME_BYTES + 1];
    iso_time_write(row->changed_at_ms, at);
    return arena_printf(arena, "W/\"datetime'%.13s%%3A%.2s%%3A%.2s.%07llu'\"", at, at + 14, at + 17,
                        (unsigned long long)row->change_no);
}

bool sap_op_has_word(const struct sap_op *op, const char *header, const char *word)
{
    struct str value = sap_op_header(op->request, header);
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= value.len; i++) {
        if (text_equal_nocase((struct str){value.s + i, size}, str_of(word))) {
            return true;
        }
    }
    return false;
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

struct str sap_op_key_url(struct sap_op *op, struct str equipment, int64_t end_at_ms)
{
    char end[ISO_TIME_BYTES + 1];
    iso_time_write(end_at_ms, end);
    if (op->target.v4) {
        return arena_printf(op->arena, "Equipment(Equipment='" STR_FMT "',ValidityEndDate=%.10s)",
                            STR_ARG(equipment), end);
    }
    return arena_printf(op->arena,
                        "Equipment(Equipment='" STR_FMT
                        "',ValidityEndDate=datetime'%.13s%%3A%.2s%%3A%.2s')",
                        STR_ARG(equipment), end, end + 14, end + 17);
}

/* ---- one entity ----------------------------------------------------------------------------------- */

static void write_date(const struct sap_op *op, struct text *out, int64_t at_ms)
{
    char day[11];
    if (op->target.v4) {
        sap_edm_day_write(at_ms, day);
        text_printf(out, "\"%s\"", day);
    } else {
        text_printf(out, "\"/Date(%lld)/\"", (long long)at_ms);
    }
}

static void write_moment(const struct sap_op *op, struct text *out, int64_t at_ms)
{
    char at[ISO_TIME_BYTES + 1];
    iso_time_write(at_ms, at);
    if (op->target.v4) {
        text_printf(out, "\"%.19sZ\"", at);
    } else {
        text_printf(out, "\"/Date(%lld+0000)/\"", (long long)at_ms);
    }
}

static void write_value(struct sap_op *op, struct text *out, const struct sap_row *row, int place,
                        struct str value)
{
    const struct edm_field *field = &sap_edm_fields[place];
    int64_t at_ms = 0;
    text_printf(out, ",\"%s\":", field->name);
    if (place == EDM_VALIDITY_END) {
        write_date(op, out, row->end_at_ms);
    } else if (place == EDM_CHANGED_AT) {
        write_moment(op, out, row->changed_at_ms);
    } else if (place == EDM_EQUIPMENT) {
        text_add_json(out, shown_number(op, value));
    } else if (field->type == EDM_DATE) {
        bool minus = value.len && value.s[0] == '-';
        if (value.len && text_to_i64(str_from(value, minus), &at_ms) == RC_OK) {
            write_date(op, out, minus ? -at_ms : at_ms);
        } else {
            text_add(out, STR("null"));
        }
    } else if (field->type == EDM_DECIMAL) {
        bool bare = op->target.v4 && !sap_op_has_word(op, "accept", "ieee754compatible=true");
        text_printf(out, bare ? STR_FMT : "\"" STR_FMT "\"",
                    STR_ARG(value.len ? value : STR("0.000")));
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

static void write_row_head_v2(struct sap_op *op, struct text *out, const struct sap_row *row,
                              struct str uri)
{
    text_add(out, STR("\"__metadata\":{\"id\":"));
    text_add_json(out, arena_printf(op->arena, SAP_MOCK_ROOT "/" STR_FMT, STR_ARG(uri)));
    text_add(out, STR(",\"uri\":"));
    text_add_json(out, arena_printf(op->arena, SAP_MOCK_ROOT "/" STR_FMT, STR_ARG(uri)));
    text_add(out, STR(",\"type\":\"cds_api_equipment.EquipmentType\""));
    if (op->mock->switches[SAP_MOCK_etags]) {
        text_add(out, STR(",\"etag\":"));
        text_add_json(out, sap_op_etag(op->arena, row));
    }
    text_add(out, STR("}"));
}

static void write_row_head_v4(struct sap_op *op, struct text *out, const struct sap_row *row,
                              struct str uri)
{
    if (op->mock->switches[SAP_MOCK_etags]) {
        text_add(out, STR("\"@odata.etag\":"));
        text_add_json(out, sap_op_etag(op->arena, row));
        text_add_char(out, ',');
    }
    text_add(out, STR("\"@odata.id\":"));
    text_add_json(out, uri);
}

/* The members of a row, without the braces. */
static void write_row(struct sap_op *op, struct text *out, size_t at)
{
    const struct sap_row *row = &op->mock->rows.rows[at];
    struct sap_values values;
    sap_rows_get(&op->mock->rows, at, &values);
    struct str uri = sap_op_key_url(op, shown_number(op, values.of[EDM_EQUIPMENT]), row->end_at_ms);
    if (op->target.v4) {
        write_row_head_v4(op, out, row, uri);
    } else {
        write_row_head_v2(op, out, row, uri);
    }
    for (int i = 0; i < sap_edm_count; i++) {
        if (selected(op->target.select, sap_edm_fields[i].name)) {
            write_value(op, out, row, i, values.of[i]);
        }
    }
}

/* ---- answers ----------------------------------------------------------------------------------------- */

void sap_op_add_version(struct sap_op *op)
{
    sap_op_add_header(op, op->target.v4 ? "OData-Version" : "DataServiceVersion",
                      op->target.v4 ? STR("4.0") : STR("2.0"));
}

static void answer_json(struct sap_op *op, int status, const struct text *body)
{
    bool text_numbers = sap_op_has_word(op, "accept", "ieee754compatible=true");
    assert(!body->full);
    op->answer->status = status;
    op->answer->body = text_str(body);
    sap_op_add_header(op, "Content-Type",
                      !op->target.v4 ? STR("application/json")
                      : text_numbers
                          ? STR("application/json;odata.metadata=minimal;IEEE754Compatible=true")
                          : STR("application/json;odata.metadata=minimal"));
    sap_op_add_version(op);
}

static void add_etag(struct sap_op *op, size_t at)
{
    if (op->mock->switches[SAP_MOCK_etags]) {
        sap_op_add_header(op, "ETag", sap_op_etag(op->arena, &op->mock->rows.rows[at]));
    }
}

void sap_op_answer_row(struct sap_op *op, int status, size_t at)
{
    struct text out;
    text_open(&out, op->arena, ROW_ROOM_BYTES);
    text_add(&out, op->target.v4 ? STR("{\"@odata.context\":\"$metadata#Equipment/$entity\",")
                                 : STR("{\"d\":{"));
    write_row(op, &out, at);
    text_add(&out, op->target.v4 ? STR("}") : STR("}}"));
    answer_json(op, status, &out);
    add_etag(op, at);
}

void sap_op_answer_rows(struct sap_op *op, const size_t *rows, size_t shown, size_t count)
{
    struct text out;
    bool v4 = op->target.v4;
    text_open(&out, op->arena, LIST_ROOM_BYTES);
    text_add(&out, v4 ? STR("{\"@odata.context\":\"$metadata#Equipment\",") : STR("{\"d\":{"));
    if (op->target.count) {
        text_printf(&out, v4 ? "\"@odata.count\":%zu," : "\"__count\":\"%zu\",", count);
    }
    text_add(&out, v4 ? STR("\"value\":[") : STR("\"results\":["));
    for (size_t i = 0; i < shown; i++) {
        text_add(&out, i ? STR(",{") : STR("{"));
        write_row(op, &out, rows[i]);
        text_add(&out, STR("}"));
    }
    text_add(&out, v4 ? STR("]}") : STR("]}}"));
    answer_json(op, 200, &out);
}

void sap_op_answer_root(struct sap_op *op)
{
    struct text out;
    text_open(&out, op->arena, 1024);
    text_add(&out, op->target.v4 ? STR("{\"@odata.context\":\"$metadata\",\"value\":[{\"name\":"
                                       "\"Equipment\",\"kind\":\"EntitySet\",\"url\":"
                                       "\"Equipment\"}]}")
                                 : STR("{\"d\":{\"EntitySets\":[\"Equipment\"]}}"));
    answer_json(op, 200, &out);
}

void sap_op_answer_empty(struct sap_op *op, size_t at)
{
    op->answer->status = 204;
    sap_op_add_version(op);
    add_etag(op, at);
    if (op->target.v4 && sap_op_has_word(op, "prefer", "return=minimal")) {
        sap_op_add_header(op, "Preference-Applied", STR("return=minimal"));
    }
}
