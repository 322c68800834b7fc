/* The mock's front: logon, sessions and their tokens, faults, repeat ids, late execution, the log. What the service
 * itself does with a request stands in sap_mock_odata.c. The rule it keeps: every effect has exactly one line in
 * the log that says so, whatever the answer was. */
#include "adapters/sap_mock.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/sap_mock_parts.h"

static void *must_have(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

void sap_sha_hex(struct str bytes, char *ret_hex)
{
    unsigned char sha[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)bytes.s, bytes.len, sha);
    for (size_t i = 0; i < sizeof(sha); i++) {
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", sha[i]);
    }
}

struct str sap_op_header(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (text_equal_nocase(request->headers[i].name, str_of(name))) {
            return request->headers[i].value;
        }
    }
    return STR_NONE;
}

void sap_op_add_header(struct sap_op *op, const char *name, struct str value)
{
    struct sap_answer *answer = op->answer;
    assert(answer->header_count < COUNT_OF(answer->headers));
    answer->headers[answer->header_count++] = (struct header){str_of(name), value};
}

bool sap_op_is_read(const struct request *request)
{
    return str_is(request->method, "GET") || str_is(request->method, "HEAD");
}

/* ---- life ---------------------------------------------------------------------------------------- */

struct sap_mock *sap_mock_open(const struct sap_mock_options *options)
{
    struct sap_mock *mock = must_have(calloc(1, sizeof(*mock)));
    arena_open(&mock->arena, 0);
    mock->options = (struct sap_mock_options){
        .user = arena_copy(&mock->arena, options->user),
        .password = arena_copy(&mock->arena, options->password),
        .bearer = arena_copy(&mock->arena, options->bearer),
        .seed = arena_copy(&mock->arena, options->seed),
        .client = arena_copy(&mock->arena, options->client.len ? options->client : STR("100")),
        .control = options->control,
    };
#define X(name, value, help) mock->switches[SAP_MOCK_##name] = value;
    SAP_MOCK_SWITCHES(X)
#undef X
    mock->faults_end = &mock->faults;
    mock->repeats = must_have(calloc(SAP_REPEAT_HEADS, sizeof(struct sap_repeat *)));
    arena_open(&mock->repeat_arena, SIZE_MAX);
    sap_rows_open(&mock->rows);
    return mock;
}

static void forget(struct sap_mock *mock)
{
    sap_mock_faults_clear(mock);
    while (mock->late) {
        struct sap_late *next = mock->late->next;
        arena_close(&mock->late->arena);
        free(mock->late);
        mock->late = next;
    }
    for (size_t i = 0; i < mock->chunk_count; i++) {
        arena_close(&mock->chunks[i]->arena);
        free(mock->chunks[i]);
    }
    free(mock->chunks);
    mock->chunks = NULL;
    mock->chunk_count = mock->line_count = 0;
    mock->log_no = 0;
    arena_close(&mock->repeat_arena);
    sap_rows_close(&mock->rows);
}

void sap_mock_close(struct sap_mock *mock)
{
    if (mock) {
        forget(mock);
        free(mock->repeats);
        arena_close(&mock->arena);
        free(mock);
    }
}

void sap_mock_reset(struct sap_mock *mock)
{
    forget(mock);
    sap_mock_expire(mock);
    memset(mock->repeats, 0, SAP_REPEAT_HEADS * sizeof(struct sap_repeat *));
    arena_open(&mock->repeat_arena, SIZE_MAX);
    sap_rows_open(&mock->rows);
    mock->failed_logons = 0;
    mock->locked = false;
}

/* ---- log ------------------------------------------------------------------------------------------- */

static struct sap_log *log_line(struct sap_mock *mock, struct arena **ret_arena)
{
    if (!mock->chunk_count || mock->line_count == SAP_LOG_CHUNK) {
        if (mock->chunk_count == SAP_LOG_CHUNKS_MAX) {
            arena_close(&mock->chunks[0]->arena);
            free(mock->chunks[0]);
            memmove(mock->chunks, mock->chunks + 1,
                    (mock->chunk_count - 1) * sizeof(mock->chunks[0]));
            mock->chunk_count--;
        }
        mock->chunks =
            must_have(realloc(mock->chunks, (mock->chunk_count + 1) * sizeof(mock->chunks[0])));
        struct sap_log_chunk *chunk = must_have(calloc(1, sizeof(*chunk)));
        arena_open(&chunk->arena, SIZE_MAX);
        mock->chunks[mock->chunk_count++] = chunk;
        mock->line_count = 0;
    }
    struct sap_log_chunk *newest = mock->chunks[mock->chunk_count - 1];
    *ret_arena = &newest->arena;
    return &newest->lines[mock->line_count++];
}

size_t sap_mock_log_count(const struct sap_mock *mock)
{
    return mock->chunk_count ? (mock->chunk_count - 1) * SAP_LOG_CHUNK + mock->line_count : 0;
}

const struct sap_log *sap_mock_log_at(const struct sap_mock *mock, size_t index)
{
    assert(index < sap_mock_log_count(mock));
    return &mock->chunks[index / SAP_LOG_CHUNK]->lines[index % SAP_LOG_CHUNK];
}

/* Keep what stands in a line of its own stack in the log, with texts of the log's own. */
static void log_keep(struct sap_mock *mock, const struct sap_log *line)
{
    struct arena *arena;
    if (!line->write && !mock->switches[SAP_MOCK_log_reads]) {
        return;
    }
    struct sap_log *kept = log_line(mock, &arena);
    *kept = *line;
    struct str *texts[] = {&kept->method,   &kept->target,   &kept->equipment, &kept->name,
                           &kept->if_match, &kept->body_sha, &kept->repeat_id};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        *texts[i] = texts[i]->len ? arena_copy(arena, *texts[i]) : STR_NONE;
    }
}

static struct sap_log *log_find(struct sap_mock *mock, int64_t no)
{
    for (size_t i = sap_mock_log_count(mock); i > 0; i--) {
        struct sap_log *line =
            &mock->chunks[(i - 1) / SAP_LOG_CHUNK]->lines[(i - 1) % SAP_LOG_CHUNK];
        if (line->no <= no) {
            return line->no == no ? line : NULL;
        }
    }
    return NULL;
}

/* ---- faults ------------------------------------------------------------------------------------------------ */

void sap_mock_fault(struct sap_mock *mock, const struct sap_fault *fault)
{
    if (mock->fault_count == SAP_FAULTS_MAX) {
        return;
    }
    struct sap_fault_item *item = must_have(calloc(1, sizeof(*item)));
    arena_open(&item->arena, 0);
    item->fault = *fault;
    struct str *texts[] = {&item->fault.method,       &item->fault.match,  &item->fault.code,
                           &item->fault.message,      &item->fault.target, &item->fault.body,
                           &item->fault.content_type, &item->fault.csrf,   &item->fault.retry_after,
                           &item->fault.sap_message};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        *texts[i] = arena_copy(&item->arena, *texts[i]);
    }
    item->fault.times = fault->times ? fault->times : 1;
    *mock->faults_end = item;
    mock->faults_end = &item->next;
    mock->fault_count++;
}

static void fault_drop(struct sap_mock *mock, struct sap_fault_item **link)
{
    struct sap_fault_item *item = *link;
    *link = item->next;
    if (!*link) {
        mock->faults_end = link;
    }
    arena_close(&item->arena);
    free(item);
    mock->fault_count--;
}

void sap_mock_faults_clear(struct sap_mock *mock)
{
    while (mock->faults) {
        fault_drop(mock, &mock->faults);
    }
}

int sap_mock_faults_left(const struct sap_mock *mock)
{
    return mock->fault_count;
}

static bool fault_fits(const struct sap_fault *fault, const struct request *request)
{
    bool read = sap_op_is_read(request);
    bool method = !fault->method.len || str_equal(fault->method, request->method) ||
                  (str_is(fault->method, "READ") && read) ||
                  (str_is(fault->method, "WRITE") && !read);
    return method && (!fault->match.len || memmem(request->target.s, request->target.len,
                                                  fault->match.s, fault->match.len));
}

/* The fault for this request, if any: its texts are copied into the request's arena. */
static struct sap_fault fault_take(struct sap_op *op)
{
    struct sap_mock *mock = op->mock;
    for (struct sap_fault_item **link = &mock->faults; *link; link = &(*link)->next) {
        struct sap_fault *fault = &(*link)->fault;
        if (!fault_fits(fault, op->request)) {
            continue;
        }
        if (fault->skip > 0) {
            fault->skip--;
            continue;
        }
        struct sap_fault taken = *fault;
        struct str *texts[] = {&taken.code,        &taken.message,    &taken.target,
                               &taken.body,        &taken.csrf,       &taken.content_type,
                               &taken.retry_after, &taken.sap_message};
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            *texts[i] = arena_copy(op->arena, *texts[i]);
        }
        if (--fault->times <= 0) {
            fault_drop(mock, link);
        }
        return taken;
    }
    return (struct sap_fault){0};
}

static void fault_answer(struct sap_op *op, const struct sap_fault *fault)
{
    op->answer->status = fault->status;
    op->answer->header_count = 0;
    if (fault->body.len) {
        op->answer->body = fault->body;
        sap_op_add_header(op, "Content-Type",
                          fault->content_type.len ? fault->content_type : STR("application/json"));
    } else {
        op->answer->body = sap_op_error_body(op, fault->code, fault->message, fault->target);
    }
    if (fault->retry_after.len) {
        sap_op_add_header(op, "Retry-After", fault->retry_after);
    }
    if (fault->csrf.len) {
        sap_op_add_header(op, "X-CSRF-Token", fault->csrf);
    }
}

/* What happens in SAP just before the request is looked at. */
static void fault_before(struct sap_op *op, const struct sap_fault *fault)
{
    struct sap_rows *rows = &op->mock->rows;
    if (fault->expire) {
        sap_mock_expire(op->mock);
    }
    if (op->target.kind != SAP_ENTITY || !(fault->touch || fault->split)) {
        return;
    }
    int64_t at = sap_op_find_row(op, op->target.equipment, SAP_END_OF_TIME_MS);
    if (at >= 0 && fault->touch) {
        struct sap_values values;
        sap_rows_get(rows, (size_t)at, &values);
        values.of[sap_edm_find(STR("AssetRoom"))] = STR("TOUCHED");
        sap_rows_set(rows, (size_t)at, &values, op->now_ms);
    }
    if (at >= 0 && fault->split) {
        sap_rows_end(rows, (size_t)at, op->now_ms - op->now_ms % 86400000 + 366 * INT64_C(86400000),
                     op->now_ms);
    }
}

/* ---- late execution ----------------------------------------------------------------------------------------- */

static void late_add(struct sap_op *op, int64_t at_ms)
{
    struct sap_late *late = must_have(calloc(1, sizeof(*late)));
    const struct request *request = op->request;
    arena_open(&late->arena, 0);
    struct header *headers = arena_array(&late->arena, struct header, request->header_count);
    for (size_t i = 0; i < request->header_count; i++) {
        headers[i] = (struct header){arena_copy(&late->arena, request->headers[i].name),
                                     arena_copy(&late->arena, request->headers[i].value)};
    }
    late->at_ms = at_ms;
    late->log_no = op->log->no;
    late->request = (struct request){.method = arena_copy(&late->arena, request->method),
                                     .target = arena_copy(&late->arena, request->target),
                                     .headers = headers,
                                     .header_count = request->header_count,
                                     .body = arena_copy(&late->arena, request->body)};
    struct sap_late **link = &op->mock->late;
    while (*link && (*link)->at_ms <= at_ms) {
        link = &(*link)->next;
    }
    late->next = *link;
    *link = late;
    sap_op_repeat_running(op);
}

static void name_row(struct sap_op *op)
{
    if (op->target.equipment.len) {
        int64_t at = sap_op_find_row(op, op->target.equipment, op->target.end_at_ms);
        op->log->equipment = sap_rows_bare(op->target.equipment);
        op->log->name = at >= 0 ? sap_row_name(&op->mock->rows, (size_t)at) : STR_NONE;
    }
}

static void late_execute(struct sap_mock *mock, struct sap_late *late)
{
    struct sap_answer answer = {0};
    struct sap_log scratch = {0}, *line = log_find(mock, late->log_no);
    struct sap_op op = {.mock = mock,
                        .arena = &late->arena,
                        .now_ms = late->at_ms,
                        .request = &late->request,
                        .answer = &answer,
                        .log = line ? line : &scratch,
                        .late = true};
    sap_target_read(op.arena, op.request, &op.target);
    sap_op_execute_once(&op);
    if (line) { /* the texts must outlive this request */
        struct arena *arena = &mock->chunks[mock->chunk_count - 1]->arena;
        name_row(&op);
        line->equipment = arena_copy(arena, line->equipment);
        line->name = arena_copy(arena, line->name);
        line->status = answer.status;
    }
}

void sap_mock_advance(struct sap_mock *mock, int64_t now_ms)
{
    while (mock->late && mock->late->at_ms <= now_ms) {
        struct sap_late *late = mock->late;
        mock->late = late->next;
        late_execute(mock, late);
        arena_close(&late->arena);
        free(late);
    }
}

/* ---- one request ----------------------------------------------------------------------------------------------- */

/* Device names that choose the answer: the customers' own tests. */
static void magic(struct sap_op *op, struct sap_fault *fault)
{
    struct str name = STR_NONE;
    yyjson_val *root;
    if (!op->mock->switches[SAP_MOCK_magic_names] || sap_op_is_read(op->request)) {
        return;
    }
    if (op->target.kind == SAP_ENTITY) {
        int64_t at = sap_op_find_row(op, op->target.equipment, op->target.end_at_ms);
        name = at >= 0 ? sap_row_name(&op->mock->rows, (size_t)at) : STR_NONE;
    } else if (json_read(op->arena, op->request->body, 8, &root, NULL) == RC_OK &&
               yyjson_is_obj(root)) {
        name = json_member_str(root, "YY1_DEVICE_NAME",
                               json_member_str(root, "TechnicalObjectSortCode", STR_NONE));
    }
    name = text_lower(op->arena, name);
    if (str_starts(name, STR("reject-"))) {
        *fault = (struct sap_fault){
            .status = 400, .code = STR("ZHB/020"), .message = STR("Rejected, as the name asks")};
    } else if (str_starts(name, STR("lock-"))) {
        *fault = (struct sap_fault){.status = 400,
                                    .code = STR("ZHB/021"),
                                    .message = STR("Equipment is locked by user MILLER")};
    } else if (str_starts(name, STR("timeout-"))) {
        fault->drop = SAP_DROP_AFTER;
    }
}

static void front(struct sap_op *op)
{
    const int64_t *switches = op->mock->switches;
    enum sap_target_kind kind = op->target.kind;
    if (!sap_op_logged_on(op)) {
        return;
    }
    if (kind == SAP_TOKEN) {
        sap_op_give_bearer(op);
        return;
    }
    bool root = kind == SAP_ROOT || kind == SAP_ROOT_BARE;
    if (root && switches[SAP_MOCK_redirect_away]) {
        op->answer->status = 302;
        sap_op_add_header(op, "Location", STR("http://elsewhere.example/logon"));
    } else if (kind == SAP_ROOT_BARE && switches[SAP_MOCK_redirect_slash]) {
        op->answer->status = 307;
        sap_op_add_header(op, "Location",
                          op->target.v4 ? STR(SAP_MOCK_ROOT_V4 "/") : STR(SAP_MOCK_ROOT "/"));
    } else if (sap_op_is_read(op->request)) {
        sap_op_execute(op);
        sap_op_give_token(op);
    } else if (sap_op_token_is_right(op)) {
        sap_op_execute_once(op);
    }
}

/* The right answer, bent by the fault. */
static void bent(struct sap_op *op, const struct sap_fault *fault)
{
    fault_before(op, fault);
    op->silent = fault->silent;
    op->log->drop = fault->drop;
    if (fault->late_ms) {
        op->log->late = true;
        op->log->drop = fault->status || fault->drop ? fault->drop : SAP_DROP_AFTER;
        late_add(op, op->now_ms + fault->late_ms);
    } else if (fault->lock) {
        sap_op_fail(op, (int)op->mock->switches[SAP_MOCK_lock_status], "ZHB/021", "",
                    "Equipment " STR_FMT " is locked by user MILLER",
                    STR_ARG(op->target.equipment));
    } else if (fault->drop != SAP_DROP_BEFORE && (!fault->status || fault->commit)) {
        front(op);
    }
    if (fault->status) {
        fault_answer(op, fault);
    }
    op->sap_message = fault->sap_message.len ? fault->sap_message : op->sap_message;
    if (op->sap_message.len && op->answer->status >= 200 && op->answer->status < 300) {
        sap_op_add_header(op, op->target.v4 ? "sap-messages" : "sap-message", op->sap_message);
    }
    op->answer->drop = op->log->drop;
    op->answer->delay_ms = op->mock->switches[SAP_MOCK_delay_ms] + fault->delay_ms;
}

void sap_mock_handle(struct sap_mock *mock, struct arena *arena, int64_t now_ms,
                     const struct request *request, struct sap_answer *ret_answer)
{
    char body_sha[65];
    struct str repeat_id = sap_op_header(request, "repeatability-request-id");
    sap_mock_advance(mock, now_ms);
    *ret_answer = (struct sap_answer){0};
    if (mock->options.control && str_starts(request->target, STR(SAP_MOCK_CONTROL))) {
        sap_mock_control(mock, arena, now_ms, request, ret_answer);
        return;
    }
    struct sap_log line = {
        .no = ++mock->log_no,
        .at_ms = now_ms,
        .method = request->method,
        .target = str_head(request->target, request->target.len > 512 ? 512 : request->target.len),
        .if_match = sap_op_header(request, "if-match"),
        .repeat_id = repeat_id.len ? repeat_id : sap_op_header(request, "requestid"),
        .write = !sap_op_is_read(request)};
    struct sap_op op = {.mock = mock,
                        .arena = arena,
                        .now_ms = now_ms,
                        .request = request,
                        .answer = ret_answer,
                        .log = &line};
    if (request->body.len) {
        sap_sha_hex(request->body, body_sha);
        line.body_sha = str_of(body_sha);
    }
    sap_target_read(arena, request, &op.target);
    struct sap_fault fault = fault_take(&op);
    magic(&op, &fault);
    bent(&op, &fault);
    if (str_is(request->method, "HEAD")) {
        ret_answer->body = STR_NONE;
    }
    name_row(&op);
    line.status = ret_answer->status;
    log_keep(mock, &line);
}
