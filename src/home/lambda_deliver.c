/* deliver: messages of the queue, each a device's key. The store's lease is the truth: what is not due, is somebody else's, or was
 * delivered already is acknowledged as done. A message fails only if the store failed us; then the queue brings it again. */
#include "core/deliver.h"

#include "adapters/secrets_ssm.h"
#include "base/diag.h"
#include "core/notice.h"
#include "home/lambda.h"
#include "home/lambda_event.h"

#define SEND_SPARE_MS                                                                              \
    10000 /* beside one write: lease, reads, settle; core/window.h wants 5 s of it */
#define SETTLE_SPARE_MS 3000 /* before the function's end: no further try of a settle */

static const char *const class_names[] = {
    [OUTCOME_EFFECT] = "effect", [OUTCOME_SAME] = "same",     [OUTCOME_NO_EFFECT] = "no_effect",
    [OUTCOME_STOP] = "stop",     [OUTCOME_UNSURE] = "unsure", [OUTCOME_REJECTED] = "rejected",
};

static void log_outcome(const struct call *call, const struct lease *lease,
                        const struct outcome *outcome, enum rc rc, int64_t duration_ms)
{
    bool fine = (outcome->class == OUTCOME_EFFECT || outcome->class == OUTCOME_SAME) && rc == RC_OK;
    DIAG(fine ? DIAG_INFO : DIAG_WARN, rc == RC_NOT_DUE ? "outcome_void" : "outcome",
         DIAG_TEXT("key", lease->key), DIAG_TEXT("request_id", call->id),
         DIAG_NUMBER("delivery", lease->body.delivery), DIAG_NUMBER("lease_no", lease->lease_no),
         DIAG_TEXT("class", str_of(class_names[outcome->class])), DIAG_TEXT("code", outcome->code),
         DIAG_TEXT("detail", fine ? STR_NONE : outcome->detail),
         DIAG_NUMBER("duration_ms", duration_ms));
    if (call->tallies[TALLY_breaker_opened]) {
        DIAG(DIAG_ERROR, "downstream_stopped", DIAG_TEXT("code", outcome->code),
             DIAG_TEXT("detail", outcome->detail));
    }
}

/* The same outcome again while the store is busy: an outcome that is lost makes the delivery uncertain. */
static enum rc settle(struct lambda *lambda, struct call *call, const struct lease *lease,
                      const struct outcome *outcome)
{
    int64_t began_ms = aws_boot_ms(lambda->aws);
    for (int tries = 1;; tries++) {
        call->now_ms = clock_now_ms(lambda->world.clock);
        memset(call->tallies, 0, sizeof call->tallies);
        call->wake_count = call->untold_count = 0;
        enum rc rc = deliver_settle(&lambda->world, call, lease, outcome);
        bool time_left = !call->deadline_at_ms ||
                         clock_now_ms(lambda->world.clock) < call->deadline_at_ms - SETTLE_SPARE_MS;
        if (rc != RC_BUSY || !time_left || !aws_wait(lambda->aws, call, tries, began_ms)) {
            return rc;
        }
    }
}

static enum rc carry(struct lambda *lambda, struct call *call, struct str key)
{
    struct lease lease;
    struct outcome outcome;
    int64_t began_ms = clock_boot_ms(lambda->world.clock);
    TRY(deliver_lease(&lambda->world, call, key, &lease));
    int64_t tallies[TALLY_COUNT];
    memcpy(tallies, call->tallies, sizeof tallies);
    deliver_send(&lambda->world, call, &lease, &outcome);
    enum rc rc = settle(lambda, call, &lease, &outcome);
    for (int i = 0; i < TALLY_COUNT; i++) {
        call->tallies[i] += tallies[i]; /* the lease's commit counts too */
    }
    log_outcome(call, &lease, &outcome, rc, clock_boot_ms(lambda->world.clock) - began_ms);
    if (outcome.class == OUTCOME_STOP && outcome.auth) { /* perhaps they were changed just now */
        secrets_ssm_refresh(lambda->secrets);
        lambda->downstream_opened_at_ms = INT64_MIN / 2;
    }
    return rc;
}

/* After the commits. What fails here is repaired by the next plan pass. */
static void follow_up(struct lambda *lambda, struct call *call)
{
    int sent = 0;
    struct wake wakes[WAKES_MAX];
    int wake_count = call->wake_count;
    memcpy(wakes, call->wakes, sizeof(struct wake) * (size_t)wake_count);
    if (notices_tell(&lambda->world, call) != RC_OK) {
        DIAG(DIAG_WARN, "notice_left", DIAG_TEXT("why", str_of(call->why)));
    }
    if (lambda->names.queue_url.len &&
        lambda_wake(lambda, call, wakes, wake_count, &sent) != RC_OK) {
        DIAG(DIAG_WARN, "wakes_left", DIAG_TEXT("why", str_of(call->why)));
    }
    lambda_metric_tallies(lambda, call->tallies);
}

/* Where no write could end in time none would begin, and the message would come back at once, over and over. */
static enum rc check_time(struct lambda *lambda, struct call *call)
{
    int64_t needed_ms = lambda->config.settings.write_timeout_ms + SEND_SPARE_MS;
    if (call->deadline_at_ms && call->deadline_at_ms - call->now_ms < needed_ms) {
        return call_why(call, RC_BROKEN, "the function has %lld s left, one write needs %lld",
                        (long long)(call->deadline_at_ms - call->now_ms) / 1000,
                        (long long)needed_ms / 1000);
    }
    return RC_OK;
}

/* One message. out: false: the queue shall bring it again. */
static bool work_off(struct lambda *lambda, struct call *batch, const struct sqs_record *record)
{
    struct call call;
    call_open(&call, batch->arena, &lambda->world);
    call.deadline_at_ms = batch->deadline_at_ms;
    if (record->body.len == 0 || record->body.len > KEY_MAX_BYTES) {
        DIAG(DIAG_ERROR, "wake_strange", DIAG_TEXT("message_id", record->id));
        return true; /* no key: bringing it again would not make it one */
    }
    enum rc rc = check_time(lambda, &call);
    if (rc == RC_OK) {
        rc = lambda_refresh(lambda, &call);
    }
    if (rc == RC_OK) {
        rc = carry(lambda, &call, record->body);
        follow_up(lambda, &call);
    }
    switch (rc) {
    case RC_OK:
    case RC_NOT_DUE:
    case RC_NOT_FOUND:
    case RC_CONFLICT: /* another was faster */
        return true;
    default:
        DIAG(DIAG_ERROR, "deliver_failed", DIAG_TEXT("key", record->body),
             DIAG_NUMBER("receive_count", record->receive_count),
             DIAG_TEXT("why", str_of(call.why)));
        (void)call_why(batch, rc, STR_FMT ": %s", STR_ARG(record->body), call.why);
        return false;
    }
}

enum rc lambda_deliver(struct lambda *lambda, struct call *call,
                       const struct invocation *invocation, struct str *ret_answer)
{
    struct sqs_event event;
    bool failed[EVENT_RECORDS_MAX] = {0};
    int failed_count = 0;
    TRY(event_sqs_read(call, invocation->event, &event));
    for (int i = 0; i < event.count; i++) {
        failed[i] = !work_off(lambda, call, &event.records[i]);
        failed_count += failed[i];
    }
    if (failed_count) {
        lambda_metric(lambda, "hourbell_batch_failures_total", NULL, STR_NONE, failed_count);
    }
    if (failed_count == event.count) { /* partial failures do not count as errors of the function */
        return lambda_raise(lambda, call, "Function.BatchFailed", "no message could be worked off");
    }
    *ret_answer = event_sqs_answer(call, &event, failed);
    return RC_OK;
}
