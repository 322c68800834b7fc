/* See dynamo_rig.h. */
#include "dynamo_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/clock_system.h"
#include "test.h"

const char *dynamo_endpoint(void)
{
    return getenv("HOURBELL_TEST_DYNAMODB");
}

struct aws_options dynamo_options(void)
{
    static struct clock_system clock;
    clock_system_open(&clock);
    const char *key_id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    return (struct aws_options){.region = STR("eu-central-1"),
                                .access_key_id =
                                    str_of(key_id ? key_id : "123456789012"), /* MiniStack's root */
                                .secret_access_key = str_of(secret ? secret : "test"),
                                .session_token = str_of(getenv("AWS_SESSION_TOKEN")),
                                .endpoint = str_of(dynamo_endpoint()),
                                .clock = &clock.clock};
}

static int ask(struct aws *aws, const char *target, const char *body, bool repeatable)
{
    struct arena arena;
    struct aws_answer answer = {0};
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    struct aws_request request = {.service = AWS_DYNAMODB,
                                  .target = target,
                                  .body = str_of(body),
                                  .timeout_ms = 20000,
                                  .repeatable = repeatable};
    enum rc rc = aws_call(aws, &call, &request, &answer);
    if (rc != RC_OK || (answer.status != 200 && !str_is(answer.type, "ResourceInUseException"))) {
        FAIL("%s: %s: %d " STR_FMT, target, call.why, answer.status, STR_ARG(answer.body));
    }
    arena_close(&arena);
    return answer.status;
}

#define KEY(name) "{\"AttributeName\":\"" name "\",\"AttributeType\":\"S\"}"
#define SCHEMA(pk, sk)                                                                             \
    "\"KeySchema\":[{\"AttributeName\":\"" pk "\",\"KeyType\":\"HASH\"},"                          \
    "{\"AttributeName\":\"" sk "\",\"KeyType\":\"RANGE\"}]"
#define INDEX(name)                                                                                \
    "{\"IndexName\":\"" name                                                                       \
    "\"," SCHEMA(name "_pk", name "_sk") ",\"Projection\":"                                        \
                                         "{\"ProjectionType\":\"KEYS_ONLY\"}}"

void dynamo_table(struct aws *aws, const char *name)
{
    char body[2000];
    snprintf(
        body, sizeof body,
        "{\"TableName\":\"%s\",\"BillingMode\":\"PAY_PER_REQUEST\","
        "\"AttributeDefinitions\":[" KEY("pk") "," KEY("sk") "," KEY("work_pk") "," KEY("work_sk") "," KEY(
            "owner_pk") "," KEY("owner_sk") "]," SCHEMA("pk",
                                                        "sk") ","
                                                              "\"GlobalSecondaryIndexes\":[" INDEX(
                                                                  "work") "," INDEX("owner") "]}",
        name);
    (void)ask(aws, "CreateTable", body, true);
}

static char own_table[64];

void dynamo_forget_table(void)
{
    own_table[0] = '\0';
}

const char *dynamo_own_table(void)
{
    char *name = own_table;
    if (!name[0]) {
        struct aws_options options = dynamo_options();
        struct arena arena;
        struct aws *aws;
        uint64_t bits = 0;
        arena_open(&arena, 0);
        struct call call = {.arena = &arena};
        clock_random(options.clock, &bits, sizeof bits);
        snprintf(name, sizeof own_table, "test-%d-%08llx", (int)getpid(),
                 (unsigned long long)(bits & 0xffffffff));
        CHECK_RC(aws_open(&call, &options, &aws), RC_OK);
        dynamo_table(aws, name);
        aws_close(aws);
        arena_close(&arena);
    }
    return name;
}

/* Which aws belongs to which store, to close both. */
#define OPEN_MAX 64
static struct {
    struct store *store;
    struct aws *aws;
} opened[OPEN_MAX];

struct store *dynamo_open_with(const struct aws_options *options)
{
    struct store_dynamodb_options how = {.table = str_of(dynamo_own_table()), .counts_kept_ms = -1};
    struct arena arena;
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    for (int i = 0; i < OPEN_MAX; i++) {
        if (!opened[i].store) {
            CHECK_RC(aws_open(&call, options, &opened[i].aws), RC_OK);
            store_dynamodb_open(opened[i].aws, &how, &opened[i].store);
            arena_close(&arena);
            return opened[i].store;
        }
    }
    FAIL("more than %d stores are open", OPEN_MAX);
    return NULL;
}

struct store *dynamo_open(void)
{
    struct aws_options options = dynamo_options();
    return dynamo_open_with(&options);
}

void dynamo_close(struct store *store)
{
    for (int i = 0; i < OPEN_MAX; i++) {
        if (store && opened[i].store == store) {
            store_dynamodb_close(store);
            aws_close(opened[i].aws);
            opened[i].store = NULL;
        }
    }
}
