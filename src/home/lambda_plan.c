/* plan: one shard and one pass. At most what the downstream takes until the next pass is woken, each shard its part of it, so the
 * queue stays short and the backlog stays in the store, where it is counted. The first shard also repairs notices that nobody
 * told, and tells the gauges. Doing it twice is harmless. */
#include "core/plan.h"

#include "base/diag.h"
#include "base/text.h"
#include "core/name.h"
#include "core/notice.h"
#include "home/lambda.h"
#include "home/lambda_event.h"
#include "home/metrics.h"

#define NOTICES_PER_PASS 50
#define SEND_MS 700 /* of one call, about: SAP */

/* This shard's part of what the downstream takes within the span; at least one. */
static int64_t part_of(const struct settings *settings, const struct plan_event *event)
{
    int64_t per_span = settings->downstream_rps
                           ? settings->downstream_rps * event->span_s
                           : settings->downstream_concurrency * event->span_s * 1000 / SEND_MS;
    return event->shard == SHARD_ALL ? max_i64(per_span, 1)
                                     : max_i64((per_span + SHARD_COUNT - 1) / SHARD_COUNT, 1);
}

/* "<state>:<after>" of an answer with more. */
static enum rc read_cursor(struct call *call, struct str cursor, struct plan_request *request)
{
    int64_t state = 0;
    struct str rest = cursor;
    if (!cursor.len) {
        return RC_OK;
    }
    if (text_to_i64(text_cut(&rest, ':'), &state) != RC_OK || state <= WORK_NONE ||
        state >= WORK_COUNT || text_unbase64(call->arena, rest, &request->after) != RC_OK) {
        return call_why(call, RC_INVALID, "the cursor is none of ours");
    }
    request->state = (enum work)state;
    return RC_OK;
}

static struct str cursor_of(struct call *call, const struct plan_result *result)
{
    return arena_printf(call->arena, "%d:" STR_FMT, (int)result->state,
                        STR_ARG(text_base64(call->arena, result->after)));
}

/* The probe of the downstream is one for all shards: its own shard wakes it. */
static int without_foreign(struct call *call, int shard)
{
    int count = 0;
    for (int i = 0; i < call->wake_count; i++) {
        struct wake wake = call->wakes[i];
        bool own = shard == SHARD_ALL || !name_is_system(wake.key) || name_shard(wake.key) == shard;
        if (own) {
            call->wakes[count++] = wake;
        }
    }
    call->wake_count = 0;
    return count;
}

static void tell_gauges(struct lambda *lambda, struct call *call)
{
    struct work_counts counts;
    if (store_work_count(lambda->world.store, call, &counts) != RC_OK) {
        DIAG(DIAG_WARN, "count_failed", DIAG_TEXT("why", str_of(call->why)));
        return;
    }
    for (int i = WORK_OPEN; i < WORK_COUNT; i++) {
        lambda_metric(lambda, "hourbell_work", "state", str_of(metrics_work_name((enum work)i)),
                      counts.count[i]);
    }
    int64_t earliest_ms = counts.earliest_at_ms[WORK_OPEN];
    lambda_metric(lambda, "hourbell_oldest_due_seconds", NULL, STR_NONE,
                  earliest_ms ? max_i64(call->now_ms - earliest_ms, 0) / 1000 : 0);
}

/* At least once, same event id. That one cannot be told now must not stop the run: it stays due. */
static void repair_notices(struct lambda *lambda, struct call *call)
{
    int count = 0;
    if (notices_send(&lambda->world, call, NOTICES_PER_PASS, &count) != RC_OK) {
        DIAG(DIAG_ERROR, "notices_failed", DIAG_TEXT("why", str_of(call->why)));
        lambda_metric(lambda, "hourbell_notices_failed_total", NULL, STR_NONE, 1);
    }
    lambda_metric_tallies(lambda, call->tallies);
}

enum rc lambda_plan(struct lambda *lambda, struct call *call, const struct invocation *invocation,
                    struct str *ret_answer)
{
    struct plan_event event;
    struct plan_request request = {0};
    struct plan_result result = {.more = true};
    int64_t woken = 0, left;
    TRY(event_plan_read(call, invocation->event, &event));
    TRY(read_cursor(call, event.cursor, &request));
    request.shard = event.shard;
    for (left = part_of(&lambda->config.settings, &event); left > 0 && result.more;) {
        int sent = 0;
        request.limit = (int)min_i64(left, WAKES_MAX);
        call->wake_count = 0;
        TRY(plan(&lambda->world, call, &request, &result));
        int count = without_foreign(call, event.shard);
        TRY(lambda_wake(lambda, call, call->wakes, count, &sent));
        woken += sent;
        left -= count;
        request.state = result.state;
        request.after = result.after;
        if (count == 0) {
            break; /* nothing fits any more: the rest of the state machine's hour has further passes */
        }
    }
    if (event.shard <= 0 && !event.cursor.len) {
        repair_notices(lambda, call);
        tell_gauges(lambda, call);
    }
    DIAG(DIAG_INFO, "planned", DIAG_TEXT("run", event.run), DIAG_NUMBER("shard", event.shard),
         DIAG_NUMBER("woken", woken), DIAG_NUMBER("more", result.more));
    *ret_answer =
        result.more
            ? arena_printf(call->arena, "{\"woken\":%lld,\"more\":true,\"cursor\":\"" STR_FMT "\"}",
                           (long long)woken, STR_ARG(cursor_of(call, &result)))
            : arena_printf(call->arena, "{\"woken\":%lld,\"more\":false}", (long long)woken);
    return RC_OK;
}
