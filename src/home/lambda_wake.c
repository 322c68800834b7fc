/* Wake-ups through SQS: a message holds a device's key and nothing else. Losing, doubling, delaying one does no harm, because the
 * store's lease decides and the next plan pass repairs; so what the queue does not take is said, not repaired here for long.
 * source SQS API reference, SendMessageBatch: the answer is 200 also if messages failed */
#include "base/diag.h"
#include "base/text.h"
#include "home/lambda.h"

#define BATCH_MAX 10 /* SQS API reference, SendMessageBatch */
#define ROUNDS_MAX 4
static const char id_digits[] = "0123456789";

struct batch {
    struct wake wakes[BATCH_MAX];
    bool taken[BATCH_MAX];
    int count, taken_count;
};

static struct str batch_body(struct lambda *lambda, struct call *call, const struct batch *batch)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    int64_t now_ms = clock_now_ms(lambda->world.clock);
    json_add_str(doc, root, "QueueUrl", lambda->names.queue_url);
    yyjson_mut_val *entries = json_add_arr(doc, root, "Entries");
    for (int i = 0; i < batch->count; i++) {
        if (batch->taken[i]) {
            continue;
        }
        yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, entries);
        int64_t delay_ms = max_i64(batch->wakes[i].at_ms - now_ms, 0);
        json_add_str(doc, entry, "Id", (struct str){&id_digits[i], 1});
        json_add_str(doc, entry, "MessageBody", batch->wakes[i].key);
        json_add_i64(doc, entry, "DelaySeconds",
                     min_i64((delay_ms + 999) / 1000, WAKE_DELAY_MAX_S));
    }
    return json_write_mut(call->arena, doc);
}

/* The place of an entry in the batch; -1 = none of ours. */
static int place_of(const struct batch *batch, yyjson_val *entry)
{
    struct str id = json_member_str(entry, "Id", STR_NONE);
    const char *at = id.len == 1 ? memchr(id_digits, id.s[0], BATCH_MAX) : NULL;
    return at && at - id_digits < batch->count ? (int)(at - id_digits) : -1;
}

/* Only what the answer names as successful was taken: also what it names nowhere was not. */
static void read_answer(struct call *call, struct batch *batch, struct str body)
{
    yyjson_val *root = NULL, *entry;
    size_t index, most;
    if (json_read(call->arena, body, 8, &root, NULL) != RC_OK) {
        return;
    }
    yyjson_val *successful = json_member(root, "Successful");
    if (yyjson_is_arr(successful)) {
        yyjson_arr_foreach(successful, index, most, entry)
        {
            int place = place_of(batch, entry);
            if (place >= 0 && !batch->taken[place]) {
                batch->taken[place] = true;
                batch->taken_count++;
            }
        }
    }
    yyjson_val *failed = json_member(root, "Failed");
    if (yyjson_is_arr(failed)) {
        yyjson_arr_foreach(failed, index, most, entry)
        {
            DIAG(DIAG_WARN, "wake_refused",
                 DIAG_TEXT("code", json_member_str(entry, "Code", STR_NONE)),
                 DIAG_TEXT("detail", json_member_str(entry, "Message", STR_NONE)));
        }
    }
}

static enum rc send_batch(struct lambda *lambda, struct call *call, struct batch *batch)
{
    int64_t began_ms = aws_boot_ms(lambda->aws);
    for (int round = 1;; round++) {
        struct aws_request request = {
            .service = AWS_SQS, .target = "SendMessageBatch", .repeatable = true};
        struct aws_answer answer;
        request.body = batch_body(lambda, call, batch);
        TRY(aws_call(lambda->aws, call, &request, &answer));
        if (answer.status != 200) {
            return call_why(call, RC_BROKEN, "SendMessageBatch: " STR_FMT ": " STR_FMT,
                            STR_ARG(answer.type), STR_ARG(answer.message));
        }
        read_answer(call, batch, answer.body);
        if (batch->taken_count == batch->count || round == ROUNDS_MAX ||
            !aws_wait(lambda->aws, call, round, began_ms)) {
            return RC_OK;
        }
    }
}

static void note_lost(struct lambda *lambda, const struct batch *batch)
{
    for (int i = 0; i < batch->count; i++) {
        if (!batch->taken[i]) {
            DIAG(DIAG_ERROR, "wake_lost", DIAG_TEXT("key", batch->wakes[i].key),
                 DIAG_TEXT("detail", STR("the next plan pass wakes it")));
        }
    }
    if (batch->taken_count < batch->count) {
        lambda_metric(lambda, "hourbell_wakes_lost_total", NULL, STR_NONE,
                      batch->count - batch->taken_count);
    }
}

enum rc lambda_wake(struct lambda *lambda, struct call *call, const struct wake *wakes, int count,
                    int *ret_sent)
{
    int64_t until_ms = clock_now_ms(lambda->world.clock) + WAKE_DELAY_MAX_S * 1000;
    int sent = 0, tried = 0, at = 0;
    enum rc rc = RC_OK;
    while (at < count && rc == RC_OK) {
        struct batch batch = {.count = 0};
        while (at < count && batch.count < BATCH_MAX) {
            const struct wake *wake = &wakes[at++];
            if (wake->at_ms <= until_ms) {
                batch.wakes[batch.count++] = *wake;
            }
        }
        if (batch.count == 0) {
            break;
        }
        rc = send_batch(lambda, call, &batch);
        note_lost(lambda, &batch);
        tried += batch.count;
        sent += batch.taken_count;
    }
    *ret_sent = sent;
    if (sent > 0 || tried == 0) {
        return RC_OK;
    }
    if (rc == RC_OK) {
        return call_why(call, RC_BROKEN, "the queue took none of %d wake-ups", tried);
    }
    return rc;
}
