/* The mock's controls over HTTP, outside /sap/, and its log and rows as JSON. For tests and demonstrations; off
 * unless asked for at the start.
 *   GET    /_mock/log?after=N      lines of the log, NDJSON        GET  /_mock/rows?after=N    rows, NDJSON
 *   POST   /_mock/faults           one fault or an array of them   DELETE /_mock/faults
 *   POST   /_mock/switches         {"name": number, ...}           GET  /_mock/switches
 *   POST   /_mock/rows             {"Equipment": "", "EquipmentName": ...}: what somebody else in SAP does
 *   POST   /_mock/expire           all sessions end                POST /_mock/reset */
#include <stdio.h>

#include "adapters/sap_mock_parts.h"

#define PAGE_ROWS 10000 /* of one answer */

static const char *const drop_names[] = {"none", "before", "after", "half"};
static const char *const switch_names[] = {
#define X(name, value, help) #name,
    SAP_MOCK_SWITCHES(X)
#undef X
};

/* ---- controls in C --------------------------------------------------------------------------------- */

void sap_mock_switch(struct sap_mock *mock, enum sap_mock_switch which, int64_t value)
{
    mock->switches[which] = value;
}

int64_t sap_mock_switched(const struct sap_mock *mock, enum sap_mock_switch which)
{
    return mock->switches[which];
}

size_t sap_mock_row_count(const struct sap_mock *mock)
{
    return mock->rows.count;
}

static int64_t row_by(const struct sap_mock *mock, int index, int field, struct str name)
{
    const struct sap_rows *rows = &mock->rows;
    int64_t at = sap_rows_first(rows, index, name);
    while (at >= 0 && (rows->rows[at].end_at_ms != SAP_END_OF_TIME_MS ||
                       !str_equal(sap_rows_value(rows, (size_t)at, field), name))) {
        at = sap_rows_next(rows, index, (size_t)at);
    }
    return at;
}

int64_t sap_mock_row_find(const struct sap_mock *mock, struct str name)
{
    int64_t at = row_by(mock, SAP_BY_NAME, EDM_NAME, name);
    return at >= 0 ? at : row_by(mock, SAP_BY_SORT_CODE, EDM_SORT_CODE, name);
}

struct str sap_mock_row_value(const struct sap_mock *mock, size_t row, const char *field)
{
    int place = sap_edm_find(str_of(field));
    return place < 0 ? STR_NONE : sap_rows_value(&mock->rows, row, place);
}

void sap_mock_row_put(struct sap_mock *mock, int64_t now_ms, struct str equipment,
                      const struct header *values, size_t count)
{
    struct sap_rows *rows = &mock->rows;
    struct sap_values all = {0};
    char number[32];
    int64_t at = equipment.len ? row_by(mock, SAP_BY_EQUIPMENT, EDM_EQUIPMENT, equipment) : -1;
    if (at >= 0) {
        sap_rows_get(rows, (size_t)at, &all);
    } else {
        int size = snprintf(number, sizeof(number), "%lld", (long long)rows->next_number);
        rows->next_number += equipment.len ? 0 : 1;
        all.of[EDM_EQUIPMENT] = equipment.len ? equipment : (struct str){number, (size_t)size};
        all.of[EDM_CATEGORY] = STR("M");
    }
    for (size_t i = 0; i < count; i++) {
        int place = sap_edm_find(values[i].name);
        if (place >= 0 && place != EDM_EQUIPMENT) {
            all.of[place] = values[i].value;
        }
    }
    if (at >= 0) {
        sap_rows_set(rows, (size_t)at, &all, now_ms);
    } else {
        (void)sap_rows_add(rows, &all, SAP_END_OF_TIME_MS, now_ms);
    }
}

bool sap_mock_row_load(struct sap_mock *mock, struct arena *arena, int64_t now_ms, struct str json)
{
    struct sap_values values = {0};
    yyjson_obj_iter members;
    yyjson_val *root, *key;
    int64_t end_at_ms = SAP_END_OF_TIME_MS, number = 0;
    if (json_read(arena, json, 2, &root, NULL) != RC_OK || !yyjson_is_obj(root)) {
        return false;
    }
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        int place = sap_edm_find(json_str(key));
        struct str value = json_str(yyjson_obj_iter_get_val(key));
        if (place < 0 || (place == EDM_VALIDITY_END && !sap_edm_day_read(value, &end_at_ms))) {
            return false;
        }
        values.of[place] = place == EDM_VALIDITY_END ? STR_NONE : value;
    }
    (void)sap_rows_add(&mock->rows, &values, end_at_ms, now_ms);
    if (text_to_i64(values.of[EDM_EQUIPMENT], &number) == RC_OK &&
        number < INT64_C(1000000000000)) {
        mock->rows.next_number = max_i64(mock->rows.next_number, number + 1);
    }
    return values.of[EDM_EQUIPMENT].len > 0;
}

struct str sap_mock_row_json(const struct sap_mock *mock, struct arena *arena, size_t row)
{
    struct sap_values values;
    struct text out;
    char end[ISO_TIME_BYTES + 1];
    sap_rows_get(&mock->rows, row, &values);
    iso_time_write(mock->rows.rows[row].end_at_ms, end);
    text_open(&out, arena, (size_t)1 << 20);
    text_printf(&out, "{\"ValidityEndDate\":\"%.10s\"", end);
    for (int i = 0; i < sap_edm_count; i++) {
        if (values.of[i].len) {
            text_printf(&out, ",\"%s\":", sap_edm_fields[i].name);
            text_add_json(&out, values.of[i]);
        }
    }
    text_add_char(&out, '}');
    return text_str(&out);
}

struct str sap_mock_log_json(struct arena *arena, const struct sap_log *line)
{
    struct text out;
    char at[ISO_TIME_BYTES + 1];
    const struct {
        const char *name;
        struct str value;
    } texts[] = {{"method", line->method},       {"target", line->target},
                 {"equipment", line->equipment}, {"name", line->name},
                 {"if_match", line->if_match},   {"body_sha", line->body_sha},
                 {"repeat_id", line->repeat_id}};
    text_open(&out, arena, (size_t)1 << 16);
    iso_time_write(line->at_ms, at);
    text_printf(&out, "{\"no\":%lld,\"at\":\"%s\",\"at_ms\":%lld", (long long)line->no, at,
                (long long)line->at_ms);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        text_printf(&out, ",\"%s\":", texts[i].name);
        text_add_json(&out, texts[i].value);
    }
    text_printf(
        &out,
        ",\"status\":%d,\"write\":%s,\"effect\":%s,\"replayed\":%s,\"late\":%s,\"drop\":\"%s\"}",
        line->status, line->write ? "true" : "false", line->effect ? "true" : "false",
        line->replayed ? "true" : "false", line->late ? "true" : "false", drop_names[line->drop]);
    return text_str(&out);
}

/* ---- the paths ---------------------------------------------------------------------------------------- */

static void say(struct sap_answer *answer, int status, const char *type, struct str body)
{
    answer->status = status;
    answer->body = body;
    answer->headers[answer->header_count++] = (struct header){STR("Content-Type"), str_of(type)};
}

static bool read_fault(yyjson_val *value, struct sap_fault *ret_fault)
{
    static const char *const known[] = {
        "method",      "match",  "skip",         "times",    "status",      "code",
        "message",     "target", "content_type", "body",     "retry_after", "csrf",
        "sap_message", "commit", "drop",         "delay_ms", "late_ms",     "touch",
        "silent",      "expire", "split",        "lock"};
    yyjson_obj_iter members;
    yyjson_val *key;
    if (!yyjson_is_obj(value)) {
        return false;
    }
    yyjson_obj_iter_init(value, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        bool found = false;
        for (size_t i = 0; i < COUNT_OF(known); i++) {
            found = found || str_is(json_str(key), known[i]);
        }
        if (!found) {
            return false;
        }
    }
    struct str drop = json_member_str(value, "drop", STR("none"));
    int drop_kind = -1;
    for (int i = 0; i < (int)COUNT_OF(drop_names); i++) {
        drop_kind = str_is(drop, drop_names[i]) ? i : drop_kind;
    }
    *ret_fault = (struct sap_fault){
        .method = json_member_str(value, "method", STR_NONE),
        .match = json_member_str(value, "match", STR_NONE),
        .skip = (int)json_member_i64(value, "skip", 0),
        .times = (int)json_member_i64(value, "times", 1),
        .status = (int)json_member_i64(value, "status", 0),
        .code = json_member_str(value, "code", STR_NONE),
        .message = json_member_str(value, "message", STR_NONE),
        .target = json_member_str(value, "target", STR_NONE),
        .content_type = json_member_str(value, "content_type", STR_NONE),
        .body = json_member_str(value, "body", STR_NONE),
        .retry_after = json_member_str(value, "retry_after", STR_NONE),
        .csrf = json_member_str(value, "csrf", STR_NONE),
        .sap_message = json_member_str(value, "sap_message", STR_NONE),
        .commit = json_member_bool(value, "commit", false),
        .drop = drop_kind < 0 ? SAP_DROP_NONE : (enum sap_drop)drop_kind,
        .delay_ms = json_member_i64(value, "delay_ms", 0),
        .late_ms = json_member_i64(value, "late_ms", 0),
        .lock = json_member_bool(value, "lock", false),
        .touch = json_member_bool(value, "touch", false),
        .silent = json_member_bool(value, "silent", false),
        .expire = json_member_bool(value, "expire", false),
        .split = json_member_bool(value, "split", false),
    };
    bool status_is_one =
        ret_fault->status == 0 || (ret_fault->status >= 200 && ret_fault->status <= 599);
    return drop_kind >= 0 && status_is_one;
}

static bool post_faults(struct sap_mock *mock, yyjson_val *root)
{
    struct sap_fault fault;
    size_t i, count;
    yyjson_val *item;
    if (!yyjson_is_arr(root)) {
        if (!read_fault(root, &fault)) {
            return false;
        }
        sap_mock_fault(mock, &fault);
        return true;
    }
    yyjson_arr_foreach(root, i, count, item)
    {
        if (!read_fault(item, &fault)) {
            return false;
        }
        sap_mock_fault(mock, &fault);
    }
    return true;
}

static bool post_switches(struct sap_mock *mock, yyjson_val *root)
{
    yyjson_obj_iter members;
    yyjson_val *key;
    if (!yyjson_is_obj(root)) {
        return false;
    }
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        int64_t value;
        int which = -1;
        for (int i = 0; i < SAP_MOCK_SWITCH_COUNT; i++) {
            which = str_is(json_str(key), switch_names[i]) ? i : which;
        }
        if (which < 0 || text_to_i64(json_raw(yyjson_obj_iter_get_val(key)), &value) != RC_OK) {
            return false;
        }
        mock->switches[which] = value;
    }
    return true;
}

static bool post_row(struct sap_mock *mock, struct arena *arena, int64_t now_ms, yyjson_val *root)
{
    yyjson_obj_iter members;
    yyjson_val *key;
    size_t count = 0;
    if (!yyjson_is_obj(root)) {
        return false;
    }
    struct header *values = arena_array(arena, struct header, yyjson_obj_size(root));
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        if (!yyjson_is_str(value) || sap_edm_find(json_str(key)) < 0) {
            return false;
        }
        values[count++] = (struct header){json_str(key), json_str(value)};
    }
    sap_mock_row_put(mock, now_ms, json_member_str(root, "Equipment", STR_NONE), values, count);
    return true;
}

static void get_switches(const struct sap_mock *mock, struct arena *arena,
                         struct sap_answer *answer)
{
    struct text out;
    text_open(&out, arena, 1 << 14);
    for (int i = 0; i < SAP_MOCK_SWITCH_COUNT; i++) {
        text_printf(&out, "%s\"%s\":%lld", i ? "," : "{", switch_names[i],
                    (long long)mock->switches[i]);
    }
    text_add_char(&out, '}');
    say(answer, 200, "application/json", text_str(&out));
}

static void get_lines(const struct sap_mock *mock, struct arena *arena, struct sap_answer *answer,
                      bool rows, int64_t after)
{
    struct text out;
    size_t count = rows ? mock->rows.count : sap_mock_log_count(mock), given = 0;
    int64_t first_no = !rows && count ? sap_mock_log_at(mock, 0)->no : 1;
    size_t start = after >= first_no ? (size_t)(after - first_no)
                                     : 0; /* lines may be fewer than numbers: look on */
    text_open(&out, arena, (size_t)32 << 20);
    if (!rows && start > count) {
        start = 0;
    }
    while (!rows && start > 0 && (start >= count || sap_mock_log_at(mock, start)->no > after)) {
        start--;
    }
    for (size_t i = rows ? (size_t)max_i64(after, 0) : start; i < count && given < PAGE_ROWS; i++) {
        if (!rows && sap_mock_log_at(mock, i)->no <= after) {
            continue;
        }
        text_add(&out, rows ? sap_mock_row_json(mock, arena, i)
                            : sap_mock_log_json(arena, sap_mock_log_at(mock, i)));
        text_add_char(&out, '\n');
        given++;
    }
    say(answer, 200, "application/x-ndjson", text_str(&out));
}

static bool post(struct sap_mock *mock, struct arena *arena, int64_t now_ms,
                 const struct request *request, struct str name)
{
    yyjson_val *root = NULL;
    if (str_is(name, "expire")) {
        sap_mock_expire(mock);
        return true;
    }
    if (str_is(name, "reset")) {
        sap_mock_reset(mock);
        return true;
    }
    if (json_read(arena, request->body, 8, &root, NULL) != RC_OK) {
        return false;
    }
    if (str_is(name, "faults")) {
        return post_faults(mock, root);
    }
    if (str_is(name, "switches")) {
        return post_switches(mock, root);
    }
    return str_is(name, "rows") && post_row(mock, arena, now_ms, root);
}

void sap_mock_control(struct sap_mock *mock, struct arena *arena, int64_t now_ms,
                      const struct request *request, struct sap_answer *answer)
{
    struct str query = str_from(request->target, strlen(SAP_MOCK_CONTROL));
    struct str name = text_cut(&query, '?');
    int64_t after = 0;
    if (str_starts(query, STR("after=")) && text_to_i64(str_from(query, 6), &after) != RC_OK) {
        say(answer, 400, "text/plain", STR("after is a number\n"));
    } else if (str_is(request->method, "POST")) {
        bool done = post(mock, arena, now_ms, request, name);
        say(answer, done ? 200 : 400, "application/json",
            done ? STR("{}\n") : STR("{\"error\":\"not understood\"}\n"));
    } else if (str_is(request->method, "DELETE") && str_is(name, "faults")) {
        sap_mock_faults_clear(mock);
        say(answer, 200, "application/json", STR("{}\n"));
    } else if (str_is(request->method, "GET") && str_is(name, "switches")) {
        get_switches(mock, arena, answer);
    } else if (str_is(request->method, "GET") && str_is(name, "faults")) {
        say(answer, 200, "application/json",
            arena_printf(arena, "{\"left\":%d}\n", mock->fault_count));
    } else if (str_is(request->method, "GET") && (str_is(name, "log") || str_is(name, "rows"))) {
        get_lines(mock, arena, answer, str_is(name, "rows"), after);
    } else {
        say(answer, 404, "text/plain", STR("not found\n"));
    }
}
