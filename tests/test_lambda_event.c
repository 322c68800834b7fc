/* The forms of AWS's events. Samples are written by hand after the documentation named in lambda_event.h. */
#include "home/lambda_event.h"

#include <stdio.h>

#include "home/lambda_runtime.h"
#include "test.h"

static struct arena arena;
static struct call call;

static void begin(void)
{
    arena_open(&arena, 0);
    call = (struct call){.arena = &arena, .id = STR("0190-id"), .now_ms = 1};
}

static void end(void)
{
    arena_close(&arena);
}

static struct str sample(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", test_source_path("tests/corpus/lambda_event"), name);
    FILE *file = fopen(path, "re");
    CHECK(file);
    char *bytes = arena_alloc(&arena, 65536);
    size_t size = fread(bytes, 1, 65536, file);
    fclose(file);
    CHECK(size > 1);
    return (struct str){bytes + 1, size - 1}; /* the first byte tells the fuzz target the kind */
}

/* A proxy event with these members more; the later of two equal ones counts nowhere: they must not repeat. */
static struct str proxy(const char *more)
{
    return arena_printf(&arena,
                        "{\"httpMethod\":\"GET\",\"requestContext\":{\"stage\":\"v1\"}%s%s}",
                        more[0] ? "," : "", more);
}

static struct str target_of(const char *more)
{
    struct proxy_event event;
    CHECK_RC(event_proxy_read(&call, proxy(more), &event), RC_OK);
    return event.request.target;
}

TEST(proxy_event_of_the_documentation_is_read_whole)
{
    struct proxy_event event;
    begin();
    CHECK_RC(event_proxy_read(&call, sample("proxy.json"), &event), RC_OK);
    CHECK_STR(event.request.method, "POST");
    CHECK_STR(event.request.target, "/update-device");
    CHECK_STR(event.request.body,
              "{\"device_name\":\"Pump-7\",\"attributes\":{\"vendor\":\"\xc3\xa4\"}}");
    CHECK_INT(event.request.header_count, 5);
    CHECK_STR(event.request.headers[0].name, "content-type");
    CHECK_STR(event.request.headers[2].name, "x-double");
    CHECK_STR(event.request.headers[3].value, "two");
    CHECK_STR(event.gateway_id, "41b45ea3-70b5-11e6-b7bd-69b5aaebc7d9");
    CHECK(event.request.principal == &event.principal);
    CHECK_STR(event.principal.id, "k_abcdefghij");
    CHECK_STR(event.principal.owner, "acme");
    CHECK_STR(event.principal.realm, "live");
    CHECK_INT(event.principal.role, ROLE_CUSTOMER);
    CHECK_INT(event.principal.last_used_day, 20779);
    end();
}

TEST(proxy_path_is_decoded_once_and_stands_without_stage_or_base_path)
{
    begin();
    /* the gateway has decoded it: what looks like an escape is none any more */
    CHECK_STR(target_of("\"path\":\"/devices/Pump 7\""), "/devices/Pump%207");
    CHECK_STR(target_of("\"path\":\"/devices/a%2Fb\""), "/devices/a%252Fb");
    CHECK_STR(target_of("\"path\":\"/devices/\xc3\xa4?x&y#z\""), "/devices/%C3%A4%3Fx%26y%23z");
    CHECK_STR(target_of("\"path\":\"/v1/devices\""), "/devices");
    CHECK_STR(target_of("\"path\":\"/v1devices\""), "/v1devices");
    CHECK_STR(target_of("\"path\":\"/devices/v1/\""), "/devices/v1/");
    CHECK_STR(target_of("\"path\":\"/\""), "/");
    CHECK_STR(target_of("\"path\":\"//\""), "//");
    /* a custom domain's base path */
    CHECK_STR(target_of("\"resource\":\"/{proxy+}\",\"path\":\"/registry/devices/a\","
                        "\"pathParameters\":{\"proxy\":\"devices/a\"}"),
              "/devices/a");
    CHECK_STR(target_of("\"resource\":\"/create-device\",\"path\":\"/registry/create-device\""),
              "/create-device");
    CHECK_STR(target_of("\"resource\":\"/\",\"path\":\"/registry/\""), "/");
    /* what does not fit together stays as the path says */
    CHECK_STR(target_of("\"resource\":\"/{proxy+}\",\"path\":\"/devices/a\","
                        "\"pathParameters\":{\"proxy\":\"other\"}"),
              "/devices/a");
    end();
}

TEST(proxy_query_keeps_order_and_repeats_and_is_encoded_anew)
{
    begin();
    CHECK_STR(target_of("\"path\":\"/devices\",\"queryStringParameters\":{\"a\":\"9\"},"
                        "\"multiValueQueryStringParameters\":{\"name_prefix\":[\"P "
                        "&\xc3\xa4\"],\"limit\":[\"1\",\"2\"]}"),
              "/devices?name_prefix=P%20%26%C3%A4&limit=1&limit=2");
    CHECK_STR(target_of("\"path\":\"/devices\",\"queryStringParameters\":{\"a=b\":\"\"},"
                        "\"multiValueQueryStringParameters\":null"),
              "/devices?a%3Db=");
    CHECK_STR(target_of("\"path\":\"/devices\",\"queryStringParameters\":null"), "/devices");
    end();
}

TEST(proxy_body_may_be_base64)
{
    struct proxy_event event;
    begin();
    CHECK_RC(event_proxy_read(&call, proxy("\"body\":\"eyJhIjoxfQ==\",\"isBase64Encoded\":true"),
                              &event),
             RC_OK);
    CHECK_STR(event.request.body, "{\"a\":1}");
    CHECK(event.request.principal == NULL);
    CHECK_RC(event_proxy_read(&call, proxy("\"body\":\"eyJh*\",\"isBase64Encoded\":true"), &event),
             RC_INVALID);
    CHECK_RC(event_proxy_read(&call, proxy("\"body\":null"), &event), RC_OK);
    CHECK_INT(event.request.body.len, 0);
    end();
}

TEST(what_is_no_proxy_event_is_refused_with_words)
{
    static const char *const bad[] = {
        "",
        "[]",
        "null",
        "{}",
        "{\"httpMethod\":\"GET\"}",
        "{\"httpMethod\":7,\"requestContext\":{}}",
        "{\"version\":\"2.0\",\"rawPath\":\"/\",\"requestContext\":{\"http\":{}}}",
        "{\"httpMethod\":\"GET\",\"requestContext\":{},\"path\":\"x\"}"};
    struct proxy_event event;
    begin();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        call.why[0] = '\0';
        CHECK_RC(event_proxy_read(&call, str_of(bad[i]), &event), RC_INVALID);
        CHECK(call.why[0]);
    }
    end();
}

TEST(proxy_answer_is_json_whatever_the_body_holds)
{
    struct response response = {.status = 404, .body = STR("{\"a\":\"\xc3\xa4\\n\"}\x01")};
    yyjson_val *root;
    begin();
    response.headers[0] = (struct header){STR("etag"), STR("\"1\"")};
    response.header_count = 1;
    struct str answer = event_proxy_answer(&call, &response, STR_NONE);
    CHECK_RC(json_read(&arena, answer, 4, &root, NULL), RC_OK);
    CHECK_INT(json_member_i64(root, "statusCode", 0), 404);
    CHECK_BYTES(json_member_str(root, "body", STR_NONE), response.body);
    CHECK(!json_member_bool(root, "isBase64Encoded", true));
    yyjson_val *headers = json_member(root, "headers");
    CHECK_STR(json_member_str(headers, "etag", STR_NONE), "\"1\"");
    CHECK_STR(json_member_str(headers, "x-request-id", STR_NONE), "0190-id");
    CHECK_HAS_NOT(answer, "access-control");
    end();
}

TEST(proxy_answer_may_be_read_by_the_pages_of_the_console_and_of_nobody_else)
{
    struct response response = {.status = 200, .body = STR("{}")};
    begin();
    struct str answer = event_proxy_answer(&call, &response, STR("https://console.example.com"));
    CHECK_HAS(answer, "\"access-control-allow-origin\":\"https://console.example.com\"");
    CHECK_HAS(answer, "\"access-control-expose-headers\":\"etag,link,location,");
    CHECK_HAS(answer, "\"vary\":\"origin\"");
    end();
}

TEST(authorizer_answer_covers_the_whole_stage_and_nothing_else)
{
    struct authorizer_event event;
    struct principal principal = {
        .id = STR("k_1"), .owner = STR("acme"), .realm = STR("live"), .role = ROLE_CUSTOMER};
    begin();
    CHECK_RC(event_authorizer_read(&call, sample("authorizer.json"), &event), RC_OK);
    struct str answer = event_authorizer_answer(&call, &event, &principal, STR("plan-key"));
    CHECK_HAS(answer, "\"Effect\":\"Allow\",\"Resource\":\"arn:aws:execute-api:us-east-1:"
                      "123456789012:abcdef123/test/*\"");
    CHECK_HAS(answer, "\"usageIdentifierKey\":\"plan-key\"");
    CHECK_HAS(answer, "\"owner\":\"acme\",\"role\":\"customer\"");
    answer = event_authorizer_answer(&call, &event, NULL, STR("plan-key"));
    CHECK_HAS(answer, "\"Effect\":\"Deny\"");
    CHECK_HAS_NOT(answer, "plan-key");
    CHECK_HAS_NOT(answer, "context");
    CHECK_RC(event_authorizer_read(&call, STR("{\"type\":\"TOKEN\",\"methodArn\":\"a\"}"), &event),
             RC_INVALID);
    end();
}

TEST(sqs_batch_answers_with_the_ids_that_failed)
{
    struct sqs_event event;
    bool failed[EVENT_RECORDS_MAX] = {false, true};
    begin();
    CHECK_RC(event_sqs_read(&call, sample("sqs.json"), &event), RC_OK);
    CHECK_INT(event.count, 2);
    CHECK_STR(event.records[0].body, "live/pump-7");
    CHECK_INT(event.records[1].receive_count, 3);
    CHECK_STR(
        event_sqs_answer(&call, &event, failed),
        "{\"batchItemFailures\":[{\"itemIdentifier\":\"2e1424d4-f796-459a-8184-9c92662be6da\"}]}");
    failed[1] = false;
    CHECK_STR(event_sqs_answer(&call, &event, failed), "{\"batchItemFailures\":[]}");
    CHECK_RC(event_sqs_read(&call, STR("{\"Records\":[]}"), &event), RC_INVALID);
    CHECK_RC(event_sqs_read(&call, STR("{\"Records\":[{\"body\":\"live/a\"}]}"), &event),
             RC_INVALID);
    CHECK_RC(event_sqs_read(&call, STR("{\"Records\":[1,2,3,4,5,6,7,8,9,10,11]}"), &event),
             RC_INVALID);
    end();
}

TEST(run_is_named_and_fed_by_its_hour_alone)
{
    int64_t hour_at_ms = 0;
    begin();
    CHECK_RC(
        event_tick_read(&call, STR("{\"scheduled_time\":\"2026-11-22T13:59:59Z\"}"), &hour_at_ms),
        RC_OK);
    CHECK_STR(event_run_name(&arena, hour_at_ms), "run-2026-11-22T13");
    CHECK_STR(event_run_input(&call, hour_at_ms),
              "{\"run\":\"2026-11-22T13\",\"report_at\":\"2026-11-22T13:57:00Z\",\"passes\":["
              "{\"at\":\"2026-11-22T13:00:00Z\",\"span_s\":120},{\"at\":\"2026-11-22T13:02:00Z\","
              "\"span_s\":780},"
              "{\"at\":\"2026-11-22T13:15:00Z\",\"span_s\":900},{\"at\":\"2026-11-22T13:30:00Z\","
              "\"span_s\":900},"
              "{\"at\":\"2026-11-22T13:45:00Z\",\"span_s\":900}]}");
    CHECK_RC(event_tick_read(&call, STR("{\"scheduled_time\":\"<aws.scheduler.scheduled-time>\"}"),
                             &hour_at_ms),
             RC_INVALID);
    end();
}

TEST(plan_and_report_events_are_held_to_their_ranges)
{
    struct plan_event plan;
    struct report_event report;
    begin();
    CHECK_RC(event_plan_read(&call, STR("{\"run\":\"r\",\"at\":\"t\",\"span_s\":120,\"shard\":15}"),
                             &plan),
             RC_OK);
    CHECK_INT(plan.shard, 15);
    CHECK_INT(plan.span_s, 120);
    CHECK_RC(event_plan_read(&call, STR("{\"span_s\":120,\"shard\":16}"), &plan), RC_INVALID);
    CHECK_RC(event_plan_read(&call, STR("{\"span_s\":0,\"shard\":1}"), &plan), RC_INVALID);
    CHECK_RC(event_plan_read(&call, STR("{\"span_s\":1}"), &plan), RC_INVALID);
    CHECK_RC(event_report_read(&call,
                               STR("{\"run\":\"r\",\"planned\":[[{\"woken\":2,\"more\":true}],[{"
                                   "\"woken\":3,\"more\":false},"
                                   "{\"woken\":1,\"more\":true}]]}"),
                               &report),
             RC_OK);
    CHECK_INT(report.woken, 6);
    CHECK_INT(report.more, 1); /* of the last pass */
    CHECK_RC(event_report_read(&call, STR("{}"), &report), RC_INVALID);
    end();
}

TEST(error_types_are_those_that_the_runtime_api_takes)
{
    CHECK(lambda_error_type_is_valid("Function.BatchFailed"));
    CHECK(lambda_error_type_is_valid("Runtime.UnknownHandler"));
    CHECK(!lambda_error_type_is_valid("Function.batchFailed"));
    CHECK(!lambda_error_type_is_valid("Function."));
    CHECK(!lambda_error_type_is_valid("Function.Batch_Failed"));
    CHECK(!lambda_error_type_is_valid("Service.Broken"));
    CHECK(!lambda_error_type_is_valid("Broken"));
}
