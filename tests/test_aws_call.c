/* Signed calls of AWS, against a receiver on loopback that answers what it is told. That the signatures are right is
 * for the judge to say (tests/aws): here, what is signed, what is repeated, and what an end means. */
#include "adapters/aws_call.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapters/clock_system.h"
#include "receiver.h"
#include "test.h"

#define ANSWER(status, body)                                                                       \
    "HTTP/1.0 " status "\r\nContent-Type: application/x-amz-json-1.0\r\n\r\n" body
#define OK ANSWER("200 OK", "{\"TableNames\":[]}")
#define ERROR_500                                                                                  \
    ANSWER("500 Oh", "{\"__type\":\"com.amazonaws.dynamodb.v20120810#InternalServerError\"}")
#define THROTTLED                                                                                  \
    ANSWER(                                                                                        \
        "400 Bad Request",                                                                         \
        "{\"__type\":\"com.amazon.coral.availability#ThrottlingException\",\"message\":\"slow\"}")

struct bench {
    struct receiver receiver;
    struct clock_system clock;
    struct arena arena;
    struct call call;
    struct aws_options options;
    struct aws *aws;
    int seen;
};

static void see(void *context, const struct aws_request *request, const struct aws_answer *answer)
{
    struct bench *bench = context;
    (void)request, (void)answer;
    bench->seen++;
}

static void bench_open(struct bench *bench, const char *token)
{
    *bench = (struct bench){0};
    receiver_open(&bench->receiver);
    clock_system_open(&bench->clock);
    arena_open(&bench->arena, 0);
    bench->call = (struct call){.arena = &bench->arena, .id = STR("call-1")};
    bench->options = (struct aws_options){
        .region = STR("eu-central-1"),
        .access_key_id = STR("AKIDRIG"),
        .secret_access_key = STR("secret+/="),
        .session_token = str_of(token),
        .endpoint = arena_printf(&bench->arena, "http://127.0.0.1:%d", bench->receiver.port),
        .retry_span_ms = 300 * test_patience, /* valgrind: a first call takes a second */
        .clock = &bench->clock.clock,
        .observe = see,
        .context = bench};
    CHECK_RC(aws_open(&bench->call, &bench->options, &bench->aws), RC_OK);
}

static void bench_close(struct bench *bench)
{
    aws_close(bench->aws);
    arena_close(&bench->arena);
    receiver_close(&bench->receiver);
}

static enum rc list_tables(struct bench *bench, bool repeatable, struct aws_answer *ret_answer)
{
    struct aws_request request = {.service = AWS_DYNAMODB,
                                  .target = "ListTables",
                                  .body = STR("{\"Limit\":1}"),
                                  .repeatable = repeatable};
    return aws_call(bench->aws, &bench->call, &request, ret_answer);
}

TEST(a_call_is_a_signed_post_of_the_root)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "tok/en+=");
    receiver_answer(&bench.receiver, OK);
    CHECK_RC(list_tables(&bench, false, &answer), RC_OK);
    CHECK_INT(answer.status, 200);
    CHECK_STR(answer.body, "{\"TableNames\":[]}");
    CHECK_STR(answer.type, "");
    CHECK_STR(receiver_line(&bench.receiver, 0), "POST / HTTP/1.1");
    CHECK_STR(receiver_body(&bench.receiver, 0), "{\"Limit\":1}");
    CHECK_STR(receiver_header(&bench.receiver, 0, "Content-Type"), "application/x-amz-json-1.0");
    CHECK_STR(receiver_header(&bench.receiver, 0, "X-Amz-Target"), "DynamoDB_20120810.ListTables");
    CHECK_STR(receiver_header(&bench.receiver, 0, "X-Amz-Security-Token"), "tok/en+=");
    struct str authorization = receiver_header(&bench.receiver, 0, "Authorization");
    CHECK(str_starts(authorization, STR("AWS4-HMAC-SHA256 Credential=AKIDRIG/")));
    CHECK_HAS(authorization, "/eu-central-1/dynamodb/aws4_request");
    CHECK_HAS(authorization, "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;"
                             "x-amz-target,");
    CHECK_HAS_NOT(authorization, "secret");
    CHECK_STR(receiver_header(&bench.receiver, 0, "Expect"), "");
    bench_close(&bench);
}

TEST(an_empty_session_token_is_no_header)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "");
    receiver_answer(&bench.receiver, OK);
    CHECK_RC(list_tables(&bench, false, &answer), RC_OK);
    CHECK_HAS(receiver_header(&bench.receiver, 0, "Authorization"),
              "SignedHeaders=content-type;host;x-amz-date;x-amz-target,");
    CHECK_HAS_NOT(str_of(bench.receiver.requests[0]), "oken");
    bench_close(&bench);
}

TEST(each_service_has_its_own_name_target_and_type)
{
    struct bench bench;
    struct aws_answer answer;
    static const char *const wanted[][3] = {
        {"/dynamodb/", "DynamoDB_20120810.X", "application/x-amz-json-1.0"},
        {"/sqs/", "AmazonSQS.X", "application/x-amz-json-1.0"},
        {"/states/", "AWSStepFunctions.X", "application/x-amz-json-1.0"},
        {"/ssm/", "AmazonSSM.X", "application/x-amz-json-1.1"},
        {"/sns/", "", "application/x-www-form-urlencoded; charset=utf-8"}};
    bench_open(&bench, "");
    for (int i = 0; i < AWS_SERVICE_COUNT; i++) {
        struct aws_request request = {
            .service = (enum aws_service)i, .target = i == AWS_SNS ? NULL : "X", .body = STR("{}")};
        receiver_answer(&bench.receiver, OK);
        CHECK_RC(aws_call(bench.aws, &bench.call, &request, &answer), RC_OK);
        CHECK_HAS(receiver_header(&bench.receiver, i, "Authorization"), wanted[i][0]);
        CHECK_STR(receiver_header(&bench.receiver, i, "X-Amz-Target"), wanted[i][1]);
        CHECK_STR(receiver_header(&bench.receiver, i, "Content-Type"), wanted[i][2]);
    }
    bench_close(&bench);
}

TEST(an_error_is_told_by_what_follows_the_hash_and_by_either_spelling_of_its_text)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "");
    receiver_answer(&bench.receiver,
                    ANSWER("400 B", "{\"__type\":\"com.amazonaws.dynamodb.v20120810#"
                                    "ResourceNotFoundException\",\"Message\":\"no table\"}"));
    receiver_answer(&bench.receiver, ANSWER("400 B", "{\"__type\":\"ValidationException\","
                                                     "\"message\":\"bad\"}"));
    receiver_answer(&bench.receiver, ANSWER("403 Forbidden", "not JSON"));
    receiver_answer(&bench.receiver,
                    ANSWER("400 B", "<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code>"
                                    "<Message>no topic</Message></Error></ErrorResponse>"));
    CHECK_RC(list_tables(&bench, true, &answer), RC_OK);
    CHECK_INT(answer.status, 400);
    CHECK_STR(answer.type, "ResourceNotFoundException");
    CHECK_STR(answer.message, "no table");
    CHECK_RC(list_tables(&bench, true, &answer), RC_OK);
    CHECK_STR(answer.type, "ValidationException");
    CHECK_STR(answer.message, "bad");
    CHECK_RC(list_tables(&bench, true, &answer), RC_OK);
    CHECK_INT(answer.status, 403);
    CHECK_STR(answer.type, "");
    struct aws_request publish = {.service = AWS_SNS, .body = STR("Action=Publish")};
    CHECK_RC(aws_call(bench.aws, &bench.call, &publish, &answer), RC_OK);
    CHECK_STR(answer.type, "NotFound");
    CHECK_STR(answer.message, "no topic");
    CHECK_INT(receiver_count(&bench.receiver), 4);
    bench_close(&bench);
}

TEST(what_may_be_repeated_is_repeated_after_errors_of_the_service_and_dead_connections)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "");
    receiver_answer(&bench.receiver, ERROR_500);
    receiver_answer(&bench.receiver, THROTTLED);
    receiver_answer(&bench.receiver, NULL);
    receiver_answer(&bench.receiver, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half");
    receiver_answer(&bench.receiver, OK);
    bench.options.retry_span_ms = 20000;
    aws_close(bench.aws);
    CHECK_RC(aws_open(&bench.call, &bench.options, &bench.aws), RC_OK);
    CHECK_RC(list_tables(&bench, true, &answer), RC_OK);
    CHECK_INT(answer.status, 200);
    CHECK_INT(answer.tries, 5);
    CHECK_INT(bench.seen, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_STR(receiver_body(&bench.receiver, i), "{\"Limit\":1}");
    }
    bench_close(&bench);
}

TEST(what_may_not_be_repeated_is_sent_once)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "");
    receiver_answer(&bench.receiver, ERROR_500);
    receiver_answer(&bench.receiver, THROTTLED);
    CHECK_RC(list_tables(&bench, false, &answer), RC_BROKEN);
    CHECK_INT(answer.status, 500);
    CHECK_STR(answer.type, "InternalServerError");
    CHECK_HAS(str_of(bench.call.why), "dynamodb ListTables");
    CHECK_RC(list_tables(&bench, false, &answer), RC_BUSY);
    CHECK_INT(receiver_count(&bench.receiver), 2);
    bench_close(&bench);
}

/* busy means that nothing was done: not so if one of the tries may have been heard */
TEST(throttled_to_the_end_is_busy_but_broken_if_one_try_had_an_unknown_end)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "");
    receiver_answer(&bench.receiver, THROTTLED);
    CHECK_RC(list_tables(&bench, true, &answer), RC_BUSY);
    CHECK(answer.tries > 1);
    CHECK_STR(answer.type, "ThrottlingException");
    bench_close(&bench);
    bench_open(&bench, "");
    receiver_answer(&bench.receiver, ERROR_500);
    receiver_answer(&bench.receiver, THROTTLED);
    CHECK_RC(list_tables(&bench, true, &answer), RC_BROKEN);
    CHECK(answer.tries > 1);
    bench_close(&bench);
}

TEST(no_try_runs_into_the_end_of_a_call)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "");
    receiver_answer(&bench.receiver, ERROR_500);
    int64_t began_ms = aws_boot_ms(bench.aws);
    int64_t left_ms = AWS_DEADLINE_SPARE_MS + 200 * test_patience;
    bench.call.deadline_at_ms = clock_now_ms(&bench.clock.clock) + left_ms;
    CHECK_RC(list_tables(&bench, true, &answer), RC_BROKEN);
    CHECK(aws_boot_ms(bench.aws) - began_ms < left_ms);
    CHECK(answer.tries > 1);
    bench.call.deadline_at_ms = clock_now_ms(&bench.clock.clock);
    CHECK_RC(list_tables(&bench, true, &answer), RC_BROKEN);
    CHECK_INT(answer.tries, 1);
    bench_close(&bench);
}

TEST(no_connection_is_broken_and_tells_no_secret)
{
    struct bench bench;
    struct aws_answer answer;
    bench_open(&bench, "tok/en+=");
    bench.options.endpoints[AWS_DYNAMODB] = STR("http://127.0.0.1:1");
    aws_close(bench.aws);
    CHECK_RC(aws_open(&bench.call, &bench.options, &bench.aws), RC_OK);
    CHECK_RC(list_tables(&bench, true, &answer), RC_BROKEN);
    CHECK_HAS(str_of(bench.call.why), "dynamodb ListTables, tried ");
    CHECK_HAS_NOT(str_of(bench.call.why), "secret");
    CHECK_HAS_NOT(str_of(bench.call.why), "tok/en");
    CHECK_INT(receiver_count(&bench.receiver), 0);
    bench_close(&bench);
}

/* ---- opening -------------------------------------------------------------------------------------- */

static char *find_stand_in(const char *name)
{
    static char *const pairs[][2] = {
        {"AWS_DEFAULT_REGION", "eu-west-1"}, {"AWS_ACCESS_KEY_ID", "AKID"},
        {"AWS_SECRET_ACCESS_KEY", "secret"}, {"AWS_SESSION_TOKEN", ""},
        {"AWS_ENDPOINT_URL", "http://a:1"},  {"AWS_ENDPOINT_URL_SFN", "http://b:2/"}};
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        if (strcmp(pairs[i][0], name) == 0) {
            return pairs[i][1];
        }
    }
    return NULL;
}

TEST(options_are_read_from_the_usual_variables)
{
    struct aws_options options = {.ca_pem = STR("kept")};
    aws_options_read(&options, find_stand_in);
    CHECK_STR(options.region, "eu-west-1");
    CHECK_STR(options.access_key_id, "AKID");
    CHECK_STR(options.secret_access_key, "secret");
    CHECK_STR(options.session_token, "");
    CHECK_STR(options.endpoint, "http://a:1");
    CHECK_STR(options.endpoints[AWS_STATES], "http://b:2/");
    CHECK_STR(options.endpoints[AWS_DYNAMODB], "");
    CHECK_STR(options.ca_pem, "kept");
}

TEST(what_cannot_work_is_refused_when_it_is_opened)
{
    struct arena arena;
    struct aws *aws = NULL;
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    const struct aws_options good = {
        .region = STR("eu-central-1"), .access_key_id = STR("a"), .secret_access_key = STR("b")};
    struct aws_options bad[] = {good, good, good, good, good, good};
    bad[0].region = STR_NONE;
    bad[1].access_key_id = STR_NONE;
    bad[2].secret_access_key = STR_NONE;
    bad[3].endpoint = STR("127.0.0.1:19000");
    bad[4].endpoints[AWS_SQS] = STR("http://a/path");
    bad[5].session_token = (struct str){arena_alloc(&arena, 5000), 5000};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(aws_open(&call, &bad[i], &aws), RC_INVALID);
    }
    CHECK_RC(aws_open(&call, &good, &aws), RC_OK);
    aws_close(aws);
    aws_close(NULL);
    arena_close(&arena);
}
