/* What store_dynamodb promises when several processes write at once, on a DynamoDB of the rig (HOURBELL_TEST_DYNAMODB);
 * without one these tests do nothing. Each caller is a thread with a connection and a store of its own. */
#include "dynamo_rig.h"

#include <pthread.h>
#include <stdio.h>

#include "adapters/clock_system.h"
#include "base/json.h"
#include "store_desk.h"
#include "test.h"

#define CALLERS 16
#define NAMES 5

#define NEEDS_DYNAMODB()                                                                           \
    do {                                                                                           \
        if (!dynamo_endpoint()) {                                                                  \
            return;                                                                                \
        }                                                                                          \
    } while (0)

struct caller {
    struct store *store;
    pthread_t thread;
    pthread_barrier_t *start;
    int number, won, lost, odd;
    bool with_reply;
};

static void run_callers(struct caller *callers, void *(*run)(void *), bool with_reply)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, CALLERS);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){
            .store = dynamo_open(), .start = &start, .number = i, .with_reply = with_reply};
    }
    for (int i = 0; i < CALLERS; i++) {
        CHECK_INT(pthread_create(&callers[i].thread, NULL, run, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].thread, NULL);
    }
    pthread_barrier_destroy(&start);
}

static void close_callers(struct caller *callers)
{
    for (int i = 0; i < CALLERS; i++) {
        CHECK_INT(callers[i].odd, 0);
        dynamo_close(callers[i].store);
    }
}

static void note(struct caller *caller, enum rc rc)
{
    caller->won += rc == RC_OK;
    caller->lost += rc == RC_CONFLICT || rc == RC_REPEATED;
    caller->odd += rc != RC_OK && rc != RC_CONFLICT && rc != RC_REPEATED;
}

static void *create_all(void *context)
{
    struct caller *caller = context;
    struct desk desk;
    desk_open(&desk, caller->store);
    for (int i = 0; i < NAMES; i++) {
        struct desk_draft draft;
        desk_new(&desk, &draft, desk_text(&desk, "live/race %d", i).s, "acme");
        draft.entries[0].by = desk_text(&desk, "k_%d", caller->number);
        pthread_barrier_wait(caller->start);
        note(caller, desk_commit(&desk, &draft));
    }
    desk_close(&desk);
    return NULL;
}

/* P5: a name is one device, whoever asks at the same moment */
TEST(of_sixteen_callers_one_gets_the_name)
{
    struct caller callers[CALLERS];
    int won = 0, lost = 0;
    NEEDS_DYNAMODB();
    (void)dynamo_own_table();
    run_callers(callers, create_all, false);
    for (int i = 0; i < CALLERS; i++) {
        won += callers[i].won;
        lost += callers[i].lost;
    }
    CHECK_INT(won, NAMES);
    CHECK_INT(lost, NAMES * (CALLERS - 1));
    struct desk desk;
    desk_open(&desk, callers[0].store);
    for (int i = 0; i < NAMES; i++) {
        const char *key = desk_text(&desk, "live/race %d", i).s;
        CHECK_INT(desk_read(&desk, key).version, 1);
        CHECK_INT(desk_log(&desk, key).count, 1);
    }
    desk_close(&desk);
    close_callers(callers);
}

#define UPDATES 4

/* Read, decide, write, and again after a conflict, as the core does. */
static void *update_all(void *context)
{
    struct caller *caller = context;
    struct desk desk;
    desk_open(&desk, caller->store);
    pthread_barrier_wait(caller->start);
    for (int i = 0; i < UPDATES; i++) {
        struct reply reply = {.owner = STR("acme"),
                              .key = STR("one key for all"),
                              .fingerprint = desk_sha(&desk, 1),
                              .status = 202,
                              .body = STR("{}"),
                              .expires_at_ms = DESK_NOW_MS + 1000};
        enum rc rc;
        do {
            struct desk_draft draft;
            desk_next(&desk, &draft, "live/pump", 1);
            draft.change.reply = caller->with_reply ? &reply : NULL;
            rc = desk_commit(&desk, &draft);
        } while (rc == RC_CONFLICT);
        note(caller, rc);
    }
    desk_close(&desk);
    return NULL;
}

/* P4 I1: nobody's update is lost, none is there twice, the numbers have no gap */
TEST(updates_of_sixteen_callers_are_all_there_once_and_in_order)
{
    struct caller callers[CALLERS];
    struct desk desk;
    int won = 0;
    NEEDS_DYNAMODB();
    desk_open(&desk, dynamo_open());
    desk_create(&desk, "live/pump", "acme");
    run_callers(callers, update_all, false);
    for (int i = 0; i < CALLERS; i++) {
        won += callers[i].won;
    }
    CHECK_INT(won, CALLERS * UPDATES);
    CHECK_INT(desk_read(&desk, "live/pump").version, 1 + won);
    struct entry_page log = desk_log(&desk, "live/pump");
    CHECK_INT(log.count, 1 + won);
    for (int i = 0; i < log.count; i++) {
        CHECK_INT(log.items[i].seq, i);
    }
    close_callers(callers);
    dynamo_close(desk.store);
    desk_close(&desk);
}

/* P6: of concurrent requests with one Idempotency-Key one is carried out */
TEST(of_sixteen_callers_with_one_idempotency_key_one_is_heard)
{
    struct caller callers[CALLERS];
    struct desk desk;
    int won = 0, lost = 0;
    NEEDS_DYNAMODB();
    desk_open(&desk, dynamo_open());
    desk_create(&desk, "live/pump", "acme");
    run_callers(callers, update_all, true);
    for (int i = 0; i < CALLERS; i++) {
        won += callers[i].won;
        lost += callers[i].lost;
    }
    CHECK_INT(won, 1);
    CHECK_INT(lost, CALLERS * UPDATES - 1);
    CHECK_INT(desk_log(&desk, "live/pump").count, 2);
    close_callers(callers);
    dynamo_close(desk.store);
    desk_close(&desk);
}

/* Two versions side by side: the newer one has written attributes that this one has never heard of. */
TEST(what_a_newer_version_wrote_survives_an_older_one)
{
    struct desk desk;
    struct aws *aws;
    struct aws_answer answer;
    NEEDS_DYNAMODB();
    desk_open(&desk, dynamo_open());
    desk_create(&desk, "live/pump", "acme");
    struct aws_options options = dynamo_options();
    CHECK_RC(aws_open(&desk.call, &options, &aws), RC_OK);
    struct aws_request set = {
        .service = AWS_DYNAMODB,
        .target = "UpdateItem",
        .repeatable = true,
        .body =
            desk_text(&desk,
                      "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"D#live/pump\"},\"sk\":{"
                      "\"S\":\"DEVICE\"}},\"UpdateExpression\":\"SET tomorrow = :t\","
                      "\"ExpressionAttributeValues\":{\":t\":{\"M\":{\"x\":{\"N\":\"1.50\"}}}}}",
                      dynamo_own_table())};
    CHECK_RC(aws_call(aws, &desk.call, &set, &answer), RC_OK);
    CHECK_INT(answer.status, 200);
    desk_append(&desk, "live/pump", 1);
    struct aws_request get = {
        .service = AWS_DYNAMODB,
        .target = "GetItem",
        .repeatable = true,
        .body = desk_text(&desk,
                          "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"D#live/pump\"},\"sk\":{"
                          "\"S\":\"DEVICE\"}},\"ConsistentRead\":true}",
                          dynamo_own_table())};
    CHECK_RC(aws_call(aws, &desk.call, &get, &answer), RC_OK);
    CHECK_HAS(answer.body, "tomorrow");
    CHECK_INT(desk_read(&desk, "live/pump").version, 2);
    aws_close(aws);
    dynamo_close(desk.store);
    desk_close(&desk);
}

/* P3: the time to live of an item, asked of DynamoDB itself. */
static bool has_end(struct desk *desk, struct aws *aws, const char *sk)
{
    struct aws_answer answer;
    struct aws_request get = {
        .service = AWS_DYNAMODB,
        .target = "GetItem",
        .repeatable = true,
        .body = desk_text(desk,
                          "{\"TableName\":\"%s\",\"Key\":{\"pk\":{\"S\":\"D#live/pump\"},\"sk\":{"
                          "\"S\":\"%s\"}},\"ConsistentRead\":true}",
                          dynamo_own_table(), sk)};
    CHECK_RC(aws_call(aws, &desk->call, &get, &answer), RC_OK);
    CHECK_HAS(answer.body, sk);
    return memmem(answer.body.s, answer.body.len, "ttl_s", 5) != NULL;
}

TEST(only_what_has_its_end_gets_a_time_to_live)
{
    struct desk desk;
    struct desk_draft draft;
    struct aws *aws;
    struct body body = {.target = STR("{}"), .bytes = STR("{}"), .repeat_id = STR("r")};
    NEEDS_DYNAMODB();
    desk_open(&desk, dynamo_open());
    struct aws_options options = dynamo_options();
    CHECK_RC(aws_open(&desk.call, &options, &aws), RC_OK);
    desk_create(&desk, "live/pump", "acme");
    for (int i = 0; i < 2; i++) { /* a body, later no longer the base's; updates 1 2, and 4 5 */
        desk_next(&desk, &draft, "live/pump", 2);
        draft.device.from_seq = draft.entries[0].seq;
        body.delivery = draft.device.version;
        draft.change.body = &body;
        CHECK_RC(desk_commit(&desk, &draft), RC_OK);
        CHECK(!has_end(&desk, aws, i ? "L#0000000004" : "L#0000000001"));
        desk_next(&desk, &draft, "live/pump", 1);
        draft.entries[0].kind = ENTRY_delivered;
        draft.change.retire_body = draft.device.base;
        draft.device.base = body.delivery;
        draft.device.from_seq = 0;
        CHECK_RC(desk_commit(&desk, &draft), RC_OK);
    }
    static const char *const ended[] = {"L#0000000001", "L#0000000002", "L#0000000003",
                                        "L#0000000004", "L#0000000005", "B#0000000002"};
    for (size_t i = 0; i < COUNT_OF(ended); i++) {
        CHECK(has_end(&desk, aws, ended[i]));
    }
    CHECK(!has_end(&desk, aws, "L#0000000000"));
    CHECK(!has_end(&desk, aws, "L#0000000006")); /* the newest */
    CHECK(!has_end(&desk, aws, "B#0000000004"));
    CHECK(!has_end(&desk, aws, "DEVICE"));
    aws_close(aws);
    dynamo_close(desk.store);
    desk_close(&desk);
}
