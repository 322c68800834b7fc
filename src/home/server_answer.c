/* Requests in a turn: the core answers them; a few operations are the home's own, after the core has
 * checked route, method and right. OPTIONS is the core's 405 with another status: the route decides what
 * is allowed, and who may ask. A backup is copied between turns, verified in the pool, answered when whole. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapters/store_sqlite.h"
#include "base/diag.h"
#include "base/text.h"
#include "core/api.h"
#include "core/breaker.h"
#include "home/answer_options.h"
#include "home/openapi_json.h"
#include "home/server_inner.h"

/* --- the home's own operations ------------------------------------------------------------------------ */

static void add_header(struct response *response, struct str name, struct str value)
{
    assert(response->header_count < RESPONSE_HEADERS_MAX);
    response->headers[response->header_count++] = (struct header){name, value};
}

static void answer_with(struct response *response, int status, struct str type, struct str body)
{
    response->status = status;
    response->header_count = 0;
    add_header(response, STR("content-type"), type);
    add_header(response, STR("cache-control"), STR("no-store"));
    response->body = body;
}

/* Ready: it takes requests and its store can write. The ping is the turn's write, so a full disk voids it. */
static enum rc answer_ready(struct server *server, struct http_exchange *exchange)
{
    struct call *call = &exchange->call;
    if (server->state != SERVER_RUNS) {
        api_problem(call, PROBLEM_draining, STR_NONE, &exchange->response);
        return RC_OK;
    }
    enum rc rc = store_ping(server->world->store, call);
    if (rc != RC_OK) {
        api_problem(call, rc == RC_BUSY ? PROBLEM_store_busy : PROBLEM_internal, STR_NONE,
                    &exchange->response);
        return rc;
    }
    answer_with(&exchange->response, 200, STR("application/json"), STR("{\"status\":\"ready\"}"));
    return RC_OK;
}

static enum rc answer_metrics(struct server *server, struct http_exchange *exchange)
{
    struct call *call = &exchange->call;
    if (server->counts_at_boot_ms == 0 ||
        server->boot_ms - server->counts_at_boot_ms >= WORK_COUNTS_MS) {
        TRY(store_work_count(server->world->store, call, &server->counts));
        server->counts_at_boot_ms = server->boot_ms;
    }
    struct breaker breaker;
    int64_t at_ms;
    TRY(breaker_get(server->world, call, STR("live"), &breaker));
    struct metrics_gauges gauges = {
        .work = server->counts,
        .block = breaker_blocks(&breaker, server->now_ms, &at_ms),
        .paused_until_ms = breaker.pause_until_ms,
        .now_ms = server->now_ms,
        .connection_count = http_server_connection_count(server->http),
        .send_count = server->send_count,
        .notice_count = server->notice_count,
        .ready = server->state == SERVER_RUNS && !server->store_full,
    };
    answer_with(&exchange->response, 200, STR("text/plain; version=0.0.4; charset=utf-8"),
                metrics_render(call->arena, &server->metrics, &gauges));
    return RC_OK;
}

/* --- backup ----------------------------------------------------------------------------------------------- */

static void run_backup(uv_work_t *work)
{
    struct job *job = work->data;
    job->rc = store_sqlite_backup_finish(job->server->backup.copy, &job->call);
}

/* <backup_dir>/hourbell-20261122T100500Z.db, absolute: whoever asked stands in another folder. The folder is made if it is
 * missing. */
static enum rc backup_path(struct server *server, struct backup *backup)
{
    const struct settings *settings = server->settings;
    struct call *call = &backup->call;
    struct str dir = settings->backup_dir;
    char at[ISO_TIME_BYTES + 1], compact[ISO_TIME_BYTES + 1], whole[PATH_MAX];
    size_t len = 0;
    if (!dir.len) {
        dir = arena_printf(call->arena, STR_FMT "/backup", STR_ARG(settings->data_dir));
    }
    if (mkdir(arena_copy(call->arena, dir).s, 0700) != 0 && errno != EEXIST) {
        return call_why(call, errno == ENOSPC ? RC_BUSY : RC_BROKEN,
                        "backup_dir " STR_FMT ": errno %d", STR_ARG(dir), errno);
    }
    if (!realpath(arena_copy(call->arena, dir).s, whole)) {
        return call_why(call, RC_BROKEN, "backup_dir " STR_FMT ": errno %d", STR_ARG(dir), errno);
    }
    iso_time_write(backup->started_at_ms, at);
    for (const char *c = at; *c && *c != 'Z';
         c++) { /* with milliseconds: two in one second are two */
        if (*c != '-' && *c != ':') {
            compact[len++] = *c;
        }
    }
    backup->path = arena_printf(call->arena, "%s/hourbell-%.*sZ.db", whole, (int)len, compact);
    return RC_OK;
}

static void backup_ask(struct server *server, struct http_exchange *exchange)
{
    struct backup *backup = &server->backup;
    if (backup->state != BACKUP_NONE) {
        api_problem(&exchange->call, PROBLEM_rate_limited, STR("A backup is being written."),
                    &exchange->response);
        return;
    }
    arena_reset(&backup->arena);
    call_open(&backup->call, &backup->arena, server->world);
    backup->exchange = exchange;
    backup->state = BACKUP_ASKED;
    backup->started_ns = uv_hrtime();
    backup->started_at_ms = server->now_ms;
}

static struct str backup_json(struct backup *backup, struct call *call, const char *action)
{
    struct stat info = {0};
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    (void)stat(backup->path.s, &info);
    if (action) {
        json_add_str(doc, root, "action", str_of(action));
    }
    json_add_str(doc, root, "path", backup->path);
    json_add_i64(doc, root, "size_bytes", (int64_t)info.st_size);
    json_add_time(doc, root, "created_at", backup->started_at_ms);
    json_add_i64(doc, root, "duration_ms", (int64_t)((uv_hrtime() - backup->started_ns) / 1000000));
    return json_write_mut(call->arena, doc);
}

static void backup_done(struct backup *backup, enum rc rc)
{
    backup->state = BACKUP_DONE;
    backup->rc = rc;
}

bool backup_step(struct server *server)
{
    struct backup *backup = &server->backup;
    int64_t left_pages = 0;
    enum rc rc = RC_OK;
    if (backup->state == BACKUP_ASKED) {
        rc = backup_path(server, backup);
        if (rc == RC_OK) {
            rc = store_sqlite_backup_open(server->world->store, &backup->call, backup->path.s,
                                          &backup->copy);
        }
        backup->state = BACKUP_COPIES;
    } else if (backup->state == BACKUP_COPIES) {
        rc = store_sqlite_backup_step(backup->copy, &backup->call, BACKUP_PAGES, &left_pages);
        if (rc == RC_OK && left_pages == 0) {
            backup->state = BACKUP_VERIFIES;
            job_queue(server, job_take(server, JOB_BACKUP), run_backup);
        }
    }
    if (rc != RC_OK) {
        backup_done(backup, rc);
    }
    return backup->state == BACKUP_COPIES || backup->state == BACKUP_DONE;
}

void backup_verified(struct server *server, const struct job *job)
{
    memcpy(server->backup.call.why, job->call.why, sizeof job->call.why);
    backup_done(&server->backup, job->rc);
}

/* The copy is whole, or failed: audited in this turn, answered after it. */
void backup_answer(struct server *server, struct turn *turn)
{
    struct backup *backup = &server->backup;
    struct http_exchange *exchange = backup->exchange;
    if (backup->state != BACKUP_DONE) {
        return;
    }
    struct call *call = &exchange->call;
    enum rc rc = backup->rc;
    call->now_ms = server->now_ms;
    store_sqlite_backup_free(backup->copy);
    backup->copy = NULL;
    backup->state = BACKUP_NONE;
    if (rc == RC_OK) {
        struct str by = exchange->response.by;
        rc = breaker_audit(server->world, call, by, backup_json(backup, call, "backup"), NULL);
    } else {
        DIAG(DIAG_ERROR, "backup_failed", DIAG_TEXT("path", backup->path),
             DIAG_TEXT("why", str_of(backup->call.why)));
    }
    if (rc == RC_OK) {
        answer_with(&exchange->response, 201, STR("application/json"),
                    backup_json(backup, call, NULL));
    } else {
        api_problem(call, rc == RC_BUSY ? PROBLEM_store_busy : PROBLEM_internal, STR_NONE,
                    &exchange->response);
    }
    exchange->next = NULL;
    *turn->answered_end = exchange;
    turn->answered_end = &exchange->next;
}

/* The server ends: what is half written goes. */
void backup_give_up(struct server *server)
{
    struct backup *backup = &server->backup;
    if (backup->state != BACKUP_NONE) {
        store_sqlite_backup_free(backup->copy);
        backup->copy = NULL;
        backup->state = BACKUP_NONE;
        http_server_drop(backup->exchange);
    }
}

/* --- requests ------------------------------------------------------------------------------------------------ */

static enum rc answer_own(struct server *server, struct http_exchange *exchange)
{
    struct response *response = &exchange->response;
    if (str_is(response->operation, "getLive")) {
        answer_with(response, 200, STR("application/json"), STR("{\"status\":\"live\"}"));
        return RC_OK;
    }
    if (str_is(response->operation, "getOpenapi")) {
        answer_with(response, 200, STR("application/json"), openapi_json());
        return RC_OK;
    }
    if (str_is(response->operation, "getReady")) {
        return answer_ready(server, exchange);
    }
    if (str_is(response->operation, "getMetrics")) {
        return answer_metrics(server, exchange);
    }
    assert(str_is(response->operation, "createBackup"));
    backup_ask(server, exchange);
    return RC_OK;
}

void answer_request(struct server *server, struct http_exchange *exchange)
{
    struct call *call = &exchange->call;
    struct response *response = &exchange->response;
    bool options = str_is(exchange->request.method, "OPTIONS");
    call->now_ms = server->now_ms;
    if (server->state >= SERVER_DRAINS && --server->admitted_count < 0) {
        api_problem(call, PROBLEM_draining, STR_NONE, response);
        return;
    }
    if (options && str_is(exchange->request.target, "*")) {
        response->status = 204;
        add_header(response, STR("allow"), STR("GET, HEAD, POST, DELETE, OPTIONS"));
        return;
    }
    enum rc rc = api_handle(server->world, call, &exchange->request, response);
    if (rc == RC_OK && response->status == 0) {
        rc = answer_own(server, exchange);
        if (rc != RC_OK && response->status == 0) {
            api_problem(call, rc == RC_BUSY ? PROBLEM_store_busy : PROBLEM_internal, STR_NONE,
                        response);
        }
    }
    if (rc == RC_BROKEN) {
        DIAG(DIAG_ERROR, "request_failed", DIAG_TEXT("request_id", call->id),
             DIAG_TEXT("operation", response->operation), DIAG_TEXT("why", str_of(call->why)));
    }
    if (options) {
        answer_options(&exchange->arena, response);
    }
}

/* The turn is void: whatever the core had to say does not hold. */
void answer_busy(struct http_exchange *exchange)
{
    struct str operation = exchange->response.operation, by = exchange->response.by;
    exchange->response = (struct response){.operation = operation, .by = by};
    api_problem(&exchange->call, PROBLEM_store_busy, STR_NONE, &exchange->response);
}

/* One line per request; also of those that the parser refused. */
void answer_log(void *context, const struct http_exchange *exchange)
{
    struct server *server = context;
    const struct response *response = &exchange->response;
    metrics_request(&server->metrics, response->operation, response->status);
    if (diag_wants(DIAG_INFO)) {
        DIAG(DIAG_INFO, "request", DIAG_TEXT("operation", response->operation),
             DIAG_NUMBER("status", response->status),
             DIAG_NUMBER("duration_us", (int64_t)((uv_hrtime() - exchange->received_at_ns) / 1000)),
             DIAG_TEXT("request_id", exchange->call.id), DIAG_TEXT("by", response->by),
             DIAG_NUMBER("bytes", (int64_t)response->body.len));
    }
}
