/* report: the run's last step. It counts, writes the counts into the system's log, and tells the operators: run.report. A run that
 * failed cannot tell for itself: run.failed is the alarm on the execution. */
#include "base/diag.h"
#include "base/sha256.h"
#include "core/breaker.h"
#include "core/notice.h"
#include "home/lambda.h"
#include "home/lambda_event.h"
#include "home/metrics.h"

static struct str run_data(struct call *call, const struct report_event *event,
                           const struct work_counts *counts, const char *action)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "action", str_of(action));
    json_add_str(doc, root, "run", event->run);
    json_add_i64(doc, root, "woken", event->woken);
    json_add_i64(doc, root, "shards_with_more", event->more);
    for (int i = WORK_OPEN; i < WORK_COUNT; i++) {
        json_add_i64(doc, root, metrics_work_name((enum work)i), counts->count[i]);
    }
    json_add_time(doc, root, "earliest_open_at", counts->earliest_at_ms[WORK_OPEN]);
    return json_write_mut(call->arena, doc);
}

/* The same id however often the step runs: made from the run's name. */
static struct event report_event(struct call *call, struct str run, struct str data)
{
    unsigned char sha[SHA256_BYTES];
    struct event event = {.type = STR("run.report"), .operators = true, .at_ms = call->now_ms};
    int64_t hour_at_ms = call->now_ms;
    struct str hour = arena_printf(call->arena, STR_FMT ":00:00Z", STR_ARG(run));
    sha256(arena_printf(call->arena, "run.report#" STR_FMT, STR_ARG(run)), sha);
    if (iso_time_read(hour, &hour_at_ms) != RC_OK) {
        hour_at_ms = 0;
    }
    event.id = uuid7(call->arena, hour_at_ms, sha);
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "id", event.id);
    json_add_str(doc, root, "type", event.type);
    json_add_time(doc, root, "timestamp", event.at_ms);
    json_add_raw(doc, root, "data", data);
    event.body = json_write_mut(call->arena, doc);
    return event;
}

enum rc lambda_report(struct lambda *lambda, struct call *call, const struct invocation *invocation,
                      struct str *ret_answer)
{
    struct report_event event;
    struct work_counts counts;
    int64_t again_at_ms = 0;
    enum rc rc = RC_CONFLICT;
    TRY(event_report_read(call, invocation->event, &event));
    TRY(store_work_count(lambda->world.store, call, &counts));
    struct str data = run_data(call, &event, &counts, "run_report");
    for (int i = 0; i < CONFLICT_TRIES && rc == RC_CONFLICT; i++) {
        rc = breaker_audit(&lambda->world, call, STR("system"), data, NULL);
    }
    TRY(rc);
    struct event told = report_event(call, event.run, data);
    if (notifier_tell(lambda->world.notifier, call, &told, &again_at_ms) != TOLD_DONE) {
        return lambda_raise(lambda, call, "Function.ReportNotTold", "run.report was not told");
    }
    DIAG(DIAG_INFO, "reported", DIAG_TEXT("run", event.run), DIAG_NUMBER("woken", event.woken),
         DIAG_NUMBER("dead", counts.count[WORK_DEAD]),
         DIAG_NUMBER("uncertain", counts.count[WORK_UNCERTAIN]));
    *ret_answer = data;
    return RC_OK;
}
