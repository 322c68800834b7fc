/* What store_dynamodb sends and what it makes of an answer, against a receiver on loopback. That DynamoDB understands it
 * is contract_store's to prove (HOURBELL_TEST_DYNAMODB); here are the answers that no emulator gives. */
#include "adapters/store_dynamodb.h"

#include <stdio.h>

#include "aws_bench.h"
#include "base/json.h"
#include "store_desk.h"
#include "test.h"

#define DONE AWS_ANSWER("200 OK", "{}")
#define FAULT(status, type)                                                                        \
    AWS_ANSWER(status, "{\"__type\":\"com.amazonaws.dynamodb.v20120810#" type "\"}")
#define CANCELLED(reasons)                                                                         \
    AWS_ANSWER("400 Bad", "{\"__type\":\"com.amazonaws.dynamodb.v20120810#TransactionCanceled"     \
                          "Exception\",\"Message\":\"no\",\"CancellationReasons\":[" reasons "]}")
#define NONE "{\"Code\":\"None\"}"
#define FAILED                                                                                     \
    "{\"Code\":\"ConditionalCheckFailed\",\"Message\":\"The conditional request failed\"}"
#define CONFLICT "{\"Code\":\"TransactionConflict\"}"
#define SLOW "{\"Code\":\"ThrottlingError\"}"

struct ground {
    struct aws_bench bench;
    struct desk desk;
};

static void ground_open(struct ground *ground, struct clock *clock, int64_t counts_kept_ms)
{
    struct store_dynamodb_options options = {
        .table = STR("things"), .history_ms = INT64_C(86400000), .counts_kept_ms = counts_kept_ms};
    struct store *store;
    aws_bench_open(&ground->bench, clock);
    store_dynamodb_open(ground->bench.aws, &options, &store);
    desk_open(&ground->desk, store);
}

static void ground_close(struct ground *ground)
{
    store_dynamodb_close(ground->desk.store);
    desk_close(&ground->desk);
    aws_bench_close(&ground->bench);
}

static void will_answer(struct ground *ground, const char *answer)
{
    receiver_answer(&ground->bench.receiver, answer);
}

static struct str sent(struct ground *ground, int number)
{
    return receiver_body(&ground->bench.receiver, number);
}

/* Version 1 to 2 with one entry and a reply: device at place 0, entry 1, reply 2. */
static enum rc commit_next(struct ground *ground, bool with_reply)
{
    struct desk *desk = &ground->desk;
    struct desk_draft draft;
    struct reply reply = {.owner = STR("acme"),
                          .key = STR("again"),
                          .fingerprint = desk_sha(desk, 1),
                          .status = 202,
                          .body = STR("{}"),
                          .expires_at_ms = desk->call.now_ms + 1500};
    desk_new(desk, &draft, "live/pump", "acme");
    draft.device.version = 2;
    draft.device.seq = draft.entries[0].seq = 1;
    draft.device.work = WORK_OPEN;
    draft.device.at_ms = DESK_NOW_MS + 5;
    draft.change.expect_version = 1;
    draft.change.reply = with_reply ? &reply : NULL;
    return desk_commit(desk, &draft);
}

static struct str token_of(struct ground *ground, int number)
{
    yyjson_val *root;
    CHECK_RC(json_read(&ground->desk.arena, sent(ground, number), 16, &root, NULL), RC_OK);
    return json_member_str(root, "ClientRequestToken", STR_NONE);
}

/* A silent repeat on the wire, ours or libcurl's, must be the same transaction; the next decision must not. */
TEST(every_commit_has_a_token_that_its_repeats_share_and_no_other)
{
    struct ground ground;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, FAULT("500 Oh", "InternalServerError"));
    will_answer(&ground, CANCELLED(CONFLICT "," NONE));
    will_answer(&ground, FAULT("400 Bad", "TransactionInProgressException"));
    will_answer(&ground, DONE);
    ground.desk.call.deadline_at_ms = clock_now_ms(ground.bench.clock) + 10000;
    CHECK_RC(commit_next(&ground, false), RC_OK);
    CHECK_RC(commit_next(&ground, false), RC_OK);
    struct str token = token_of(&ground, 0);
    CHECK_INT((int64_t)token.len, 32);
    for (int i = 1; i < 4; i++) {
        CHECK_BYTES(token_of(&ground, i), token);
        CHECK_BYTES(sent(&ground, i), sent(&ground, 0));
    }
    CHECK_INT((int64_t)token_of(&ground, 4).len, 32);
    CHECK(!str_equal(token_of(&ground, 4), token));
    ground_close(&ground);
}

TEST(an_after_image_is_guarded_by_its_version_and_sets_only_what_is_known)
{
    struct ground ground;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, DONE);
    CHECK_RC(commit_next(&ground, true), RC_OK);
    struct str body = sent(&ground, 0);
    CHECK_HAS(body, "{\"Update\":{\"TableName\":\"things\",\"Key\":{\"pk\":{\"S\":\"D#live/pump\"},"
                    "\"sk\":{\"S\":\"DEVICE\"}},\"UpdateExpression\":\"SET #1 = :1,");
    CHECK_HAS(body, " REMOVE #");
    CHECK_HAS(body, "\"ConditionExpression\":\"#guard = :expect\"");
    CHECK_HAS(body, "\"#guard\":\"version\"");
    CHECK_HAS(body, "\":expect\":{\"N\":\"1\"}");
    CHECK_HAS(body, "{\"S\":\"OPEN#live#"); /* and the shard */
    CHECK_HAS(body, "{\"S\":\"1763805600005#live/pump\"}");
    CHECK_HAS(body, "{\"S\":\"O#live#acme\"}");
    CHECK_HAS(body, "\"sk\":{\"S\":\"L#0000000001\"}");
    CHECK_HAS(body, "\"ConditionExpression\":\"attribute_not_exists(pk)\"");
    ground_close(&ground);
}

/* a time to live in milliseconds never ends */
TEST(lives_end_in_seconds_and_never_early)
{
    struct ground ground;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, DONE);
    CHECK_RC(commit_next(&ground, true), RC_OK);
    CHECK_HAS(sent(&ground, 0), "\"expires_at_ms\":{\"N\":\"1763805601500\"}");
    CHECK_HAS(sent(&ground, 0), "\"ttl_s\":{\"N\":\"1763805602\"}");
    CHECK_HAS(sent(&ground, 0), "attribute_not_exists(pk) OR expires_at_ms <= :now_ms");
    ground_close(&ground);
}

/* P3, I7: DynamoDB deletes by itself what is past its ttl_s: the newest entry and what still waits must have none, however
 * old they get */
TEST(an_entry_has_no_time_to_live_when_it_is_written)
{
    static const enum ended ends[] = {ENDED_NONE, ENDED_SATISFIED};
    struct ground ground;
    struct desk_draft draft;
    struct desk *desk = &ground.desk;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, DONE);
    CHECK_RC(commit_next(&ground, false), RC_OK);
    CHECK_HAS(sent(&ground, 0), "\"kind\":{\"S\":\"created\"}");
    CHECK_HAS_NOT(sent(&ground, 0), "ttl_s");
    for (int i = 0; i < 2; i++) {
        desk_new(desk, &draft, "live/pump", "acme");
        draft.device.version = 2;
        draft.device.seq = draft.entries[0].seq = 1;
        draft.entries[0].kind = ENTRY_update;
        draft.entries[0].ended = ends[i];
        draft.change.expect_version = 1;
        CHECK_RC(desk_commit(desk, &draft), RC_OK);
        CHECK_HAS_NOT(sent(&ground, 1 + i), "ttl_s");
    }
    ground_close(&ground);
}

#define OPEN_DEVICE                                                                                \
    "{\"Item\":{\"pk\":{\"S\":\"D#live/"                                                           \
    "pump\"},\"sk\":{\"S\":\"DEVICE\"},\"version\":{\"N\":\"6\"},"                                 \
    "\"revision\":{\"N\":\"1\"},\"doc\":{\"S\":\"{}\"},\"seq\":{\"N\":\"5\"},\"from_seq\":{\"N\":" \
    "\"2\"},"                                                                                      \
    "\"base\":{\"N\":\"3\"},\"log_sha\":{\"S\":"                                                   \
    "\"00000000000000000000000000000000000000000000000000"                                         \
    "00000000000001\"}}}"

TEST(what_a_delivery_ended_and_the_body_before_it_begin_to_age_after_the_commit)
{
    struct ground ground;
    struct desk_draft draft;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, AWS_ANSWER("200 OK", OPEN_DEVICE));
    will_answer(&ground, DONE);
    will_answer(&ground, DONE);
    will_answer(&ground, DONE);
    will_answer(&ground, FAULT("400 Bad", "ConditionalCheckFailedException"));
    will_answer(&ground, FAULT("400 Bad", "ConditionalCheckFailedException"));
    will_answer(&ground, FAULT("500 Oh", "InternalServerError"));
    desk_next(&ground.desk, &draft, "live/pump", 1);
    draft.entries[0].kind = ENTRY_delivered;
    draft.device.from_seq = 5; /* came while 2..4 were under way */
    draft.device.base = 6;
    draft.change.retire_body = 3;
    CHECK_RC(desk_commit(&ground.desk, &draft), RC_OK); /* whatever becomes of the rest */
    CHECK_STR(str_of(ground.desk.call.why), "");
    CHECK_HAS_NOT(sent(&ground, 1), "B#");
    CHECK_HAS(sent(&ground, 2), "\"sk\":{\"S\":\"B#0000000003\"}");
    CHECK_HAS(sent(&ground, 2), "attribute_exists(pk) AND attribute_not_exists(ttl_s)");
    CHECK_HAS(sent(&ground, 2), "{\"N\":\"1763892000\"}");
    CHECK_HAS(sent(&ground, 3), "\"sk\":{\"S\":\"L#0000000001\"}"); /* was the newest before them */
    CHECK_HAS(sent(&ground, 4), "\"sk\":{\"S\":\"L#0000000002\"}");
    CHECK_HAS(sent(&ground, 5), "\"sk\":{\"S\":\"L#0000000003\"}");
    CHECK_INT(receiver_count(&ground.bench.receiver), 6); /* 4 is the newest that is over */
    ground_close(&ground);
}

TEST(a_refusal_is_read_by_its_position)
{
    static const struct {
        const char *answer;
        enum rc rc;
    } cases[] = {
        {CANCELLED(FAILED "," NONE "," NONE), RC_CONFLICT},
        {CANCELLED(NONE "," NONE "," FAILED), RC_REPEATED},
        {CANCELLED(FAILED "," FAILED "," FAILED), RC_REPEATED},
        {CANCELLED(FAILED "," FAILED "," NONE), RC_CONFLICT},
        {CANCELLED(FAILED "," CONFLICT "," NONE), RC_CONFLICT},
        {CANCELLED(NONE "," FAILED "," NONE), RC_BROKEN},
        {CANCELLED(NONE ",{\"Code\":\"ValidationError\"}," CONFLICT), RC_BROKEN},
        {CANCELLED(""), RC_BROKEN},
        {FAULT("400 Bad", "ValidationException"), RC_BROKEN},
        {FAULT("400 Bad", "IdempotentParameterMismatchException"), RC_BROKEN},
        {FAULT("403 No", "AccessDeniedException"), RC_BROKEN},
    };
    struct ground ground;
    ground_open(&ground, NULL, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        will_answer(&ground, cases[i].answer);
        CHECK_RC(commit_next(&ground, true), cases[i].rc);
        CHECK_INT(receiver_count(&ground.bench.receiver), (int64_t)i + 1);
    }
    ground_close(&ground);
}

TEST(conflicts_and_throttling_to_the_end_are_busy_and_an_unknown_end_is_broken)
{
    static const struct {
        const char *answer;
        enum rc rc;
    } cases[] = {
        {CANCELLED(CONFLICT "," NONE "," NONE), RC_BUSY},
        {CANCELLED(SLOW "," SLOW "," NONE), RC_BUSY},
        {FAULT("400 Bad", "ProvisionedThroughputExceededException"), RC_BUSY},
        {FAULT("400 Bad", "RequestLimitExceeded"), RC_BUSY},
        {FAULT("500 Oh", "InternalServerError"), RC_BROKEN},
        {FAULT("400 Bad", "TransactionInProgressException"), RC_BROKEN},
        {NULL, RC_BROKEN},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ground ground;
        ground_open(&ground, NULL, 0);
        will_answer(&ground, cases[i].answer);
        CHECK_RC(commit_next(&ground, true), cases[i].rc);
        CHECK(receiver_count(&ground.bench.receiver) > 1);
        ground_close(&ground);
    }
}

/* ---- reads -------------------------------------------------------------------------------------------- */

#define WORK_ITEM(moment) "{\"work_sk\":{\"S\":\"" moment "\"}}"

TEST(a_query_is_followed_to_its_end_over_empty_pages_too)
{
    struct ground ground;
    struct work_page page;
    ground_open(&ground, NULL, 0);
    will_answer(&ground,
                AWS_ANSWER("200 OK", "{\"Items\":[],\"Count\":0,\"LastEvaluatedKey\":{\"pk\":{"
                                     "\"S\":\"D#live/a\"},\"sk\":{\"S\":\"DEVICE\"}}}"));
    will_answer(
        &ground,
        AWS_ANSWER("200 OK",
                   "{\"Items\":[" WORK_ITEM(
                       "0000000000007#live/a") "],"
                                               "\"LastEvaluatedKey\":{\"pk\":{\"S\":\"x\"}}}"));
    will_answer(&ground,
                AWS_ANSWER("200 OK", "{\"Items\":[" WORK_ITEM("9999999999999#live/b#c") "]}"));
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Items\":[]}"));
    CHECK_RC(store_work_list(ground.desk.store, &ground.desk.call, WORK_OPEN, STR("live"), 3,
                             INT64_MAX, STR(""), 10, &page),
             RC_OK);
    CHECK_INT(receiver_count(&ground.bench.receiver), 3);
    CHECK_HAS_NOT(sent(&ground, 0), "ExclusiveStartKey");
    CHECK_HAS(sent(&ground, 0), "{\"S\":\"OPEN#live#3\"}");
    CHECK_HAS(sent(&ground, 0), "\":high\":{\"S\":\"9999999999999~\"}");
    CHECK_HAS(sent(&ground, 1), "\"ExclusiveStartKey\":{\"pk\":{\"S\":\"D#live/a\"},"
                                "\"sk\":{\"S\":\"DEVICE\"}}");
    CHECK_HAS(sent(&ground, 2), "\"ExclusiveStartKey\":{\"pk\":{\"S\":\"x\"}}");
    CHECK_INT(page.count, 2);
    CHECK(!page.more);
    CHECK_STR(page.items[0].key, "live/a");
    CHECK_INT(page.items[0].at_ms, 7);
    CHECK_STR(page.items[1].key, "live/b#c");
    CHECK_INT(page.items[1].at_ms, TIME_NEVER_MS); /* 13 digits hold no more */
    CHECK_RC(store_work_list(ground.desk.store, &ground.desk.call, WORK_OPEN, STR("live"), 3,
                             DESK_NOW_MS, STR("0000000000007#live/a"), 10, &page),
             RC_OK);
    CHECK_HAS(sent(&ground, 3), "\":low\":{\"S\":\"0000000000007#live/a\"},"
                                "\":high\":{\"S\":\"1763805600000~\"}");
    ground_close(&ground);
}

#define DEVICE_ITEM(name)                                                                          \
    "{\"pk\":{\"S\":\"D#live/" name "\"},\"sk\":{\"S\":\"DEVICE\"},\"version\":{\"N\":\"1\"},"     \
    "\"revision\":{\"N\":\"1\"},\"doc\":{\"S\":\"{}\"},\"owner\":{\"S\":\"acme\"},\"name\":{"      \
    "\"S\":"                                                                                       \
    "\"" name "\"},\"log_sha\":{\"S\":\"00000000000000000000000000000000000000000000000000000000"  \
    "00000001\"},\"from_a_newer_version\":{\"M\":{\"x\":{\"BOOL\":true}}}}"

TEST(what_a_batch_leaves_over_is_asked_for_again)
{
    struct ground ground;
    struct device_page page;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Items\":[{\"owner_sk\":{\"S\":\"live/a\"}},"
                                              "{\"owner_sk\":{\"S\":\"live/b\"}}]}"));
    will_answer(&ground,
                AWS_ANSWER("200 OK", "{\"Responses\":{\"things\":[" DEVICE_ITEM(
                                         "b") "]},"
                                              "\"UnprocessedKeys\":{\"things\":{\"Keys\":[{\"pk\":"
                                              "{\"S\":\"D#live/a\"}}],\"ConsistentRead\":true}}}"));
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Responses\":{\"things\":[" DEVICE_ITEM(
                                                  "a") "]},"
                                                       "\"UnprocessedKeys\":{}}"));
    CHECK_RC(store_device_list(ground.desk.store, &ground.desk.call, STR("live"), STR("acme"),
                               STR(""), STR(""), 10, &page),
             RC_OK);
    CHECK_HAS(sent(&ground, 2),
              "{\"RequestItems\":{\"things\":{\"Keys\":[{\"pk\":{\"S\":\"D#live/a\"}}]"
              ",\"ConsistentRead\":true}}}");
    CHECK_INT(page.count, 2);
    CHECK_STR(page.items[0].key, "live/a");
    CHECK_STR(page.items[1].key, "live/b");
    ground_close(&ground);
}

TEST(a_batch_that_is_never_finished_is_busy)
{
    struct ground ground;
    struct device_page page;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Items\":[{\"owner_sk\":{\"S\":\"live/a\"}}]}"));
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Responses\":{},\"UnprocessedKeys\":{\"things\":{"
                                              "\"Keys\":[{\"pk\":{\"S\":\"D#live/a\"}}]}}}"));
    CHECK_RC(store_device_list(ground.desk.store, &ground.desk.call, STR("live"), STR("acme"),
                               STR(""), STR(""), 10, &page),
             RC_BUSY);
    ground_close(&ground);
}

/* DynamoDB deletes within days what has expired: until then the code must not see it */
TEST(what_has_expired_is_not_seen_although_it_is_still_there)
{
    struct ground ground;
    struct body body;
    struct entry_page page;
    struct reply reply = {0};
    struct call *call = &ground.desk.call;
    ground_open(&ground, NULL, 0);
    will_answer(&ground,
                AWS_ANSWER("200 OK", "{\"Item\":{\"sk\":{\"S\":\"B#0000000002\"},\"target\":{"
                                     "\"S\":\"{}\"},\"ttl_s\":{\"N\":\"1763805600\"}}}"));
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Items\":[{\"sk\":{\"S\":\"L#0000000002\"},"
                                              "\"ttl_s\":{\"N\":\"1763805600\"}}]}"));
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Item\":{\"status\":{\"N\":\"202\"},"
                                              "\"expires_at_ms\":{\"N\":\"1763805600000\"}}}"));
    CHECK_RC(store_body_get(ground.desk.store, call, STR("live/a"), 2, &body), RC_NOT_FOUND);
    CHECK_RC(store_log_list(ground.desk.store, call, STR("live/a"), 0, 9, false, 9, &page), RC_OK);
    CHECK_INT(page.count, 0);
    CHECK_RC(store_reply_get(ground.desk.store, call, STR("acme"), STR("again"), &reply), RC_OK);
    CHECK_INT(reply.status, 0);
    ground_close(&ground);
}

TEST(counts_are_kept_for_a_minute)
{
    struct ground ground;
    struct clock_manual clock;
    struct work_counts counts;
    clock_manual_open(&clock, DESK_NOW_MS, 1);
    ground_open(&ground, &clock.clock, 0);
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Items\":[]}"));
    CHECK_RC(store_work_count(ground.desk.store, &ground.desk.call, &counts), RC_OK);
    CHECK_INT(receiver_count(&ground.bench.receiver), 5 * SHARD_COUNT);
    clock_manual_advance(&clock, STORE_COUNTS_KEPT_MS - 1);
    CHECK_RC(store_work_count(ground.desk.store, &ground.desk.call, &counts), RC_OK);
    CHECK_INT(receiver_count(&ground.bench.receiver), 5 * SHARD_COUNT);
    clock_manual_advance(&clock, 1);
    CHECK_RC(store_work_count(ground.desk.store, &ground.desk.call, &counts), RC_OK);
    CHECK_INT(receiver_count(&ground.bench.receiver), 10 * SHARD_COUNT);
    ground_close(&ground);
}

/* A count asks twice, for the earliest and for how many: what ends in between must not leave a moment of nothing */
TEST(work_that_ends_while_it_is_counted_is_none)
{
    struct ground ground;
    struct work_counts counts;
    ground_open(&ground, NULL, 0);
    will_answer(&ground,
                AWS_ANSWER("200 OK", "{\"Items\":[" WORK_ITEM("1763805600000#live/a") "]}"));
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Count\":0}"));
    will_answer(&ground, AWS_ANSWER("200 OK", "{\"Items\":[]}"));
    CHECK_RC(store_work_count(ground.desk.store, &ground.desk.call, &counts), RC_OK);
    CHECK_HAS(sent(&ground, 1), "\"Select\":\"COUNT\"");
    CHECK_INT(counts.count[WORK_OPEN], 0);
    CHECK_INT(counts.earliest_at_ms[WORK_OPEN], 0);
    ground_close(&ground);
}

TEST(a_notice_that_was_told_is_no_error)
{
    struct ground ground;
    ground_open(&ground, NULL, 0);
    will_answer(&ground, FAULT("400 Bad", "ConditionalCheckFailedException"));
    will_answer(&ground, DONE);
    CHECK_RC(store_notice_done(ground.desk.store, &ground.desk.call, STR("live/a"), 1, 0), RC_OK);
    CHECK_HAS(sent(&ground, 0), "\"UpdateExpression\":\"REMOVE #1, #2, #3\"");
    CHECK_HAS(sent(&ground, 0), "\"ConditionExpression\":\"attribute_exists(notice_at_ms)\"");
    CHECK_RC(store_notice_done(ground.desk.store, &ground.desk.call, STR("live/a"), 1, 77), RC_OK);
    CHECK_HAS(sent(&ground, 1), "{\"S\":\"0000000000077#live/a#1\"}");
    ground_close(&ground);
}
