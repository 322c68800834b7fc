/* Addresses, answers, classes: pure. */
#include <stdio.h>

#include "adapters/downstream_mock.h"
#include "adapters/sap_classify.h"
#include "adapters/sap_edm.h"
#include "adapters/sap_wire.h"
#include "test.h"

struct bench {
    struct arena arena;
    struct call call;
    struct sap_config config;
};

static void bench_open(struct bench *bench)
{
    *bench = (struct bench){0};
    arena_open(&bench->arena, 0);
    bench->call.arena = &bench->arena;
    CHECK_RC(sap_config_read(&bench->call, &bench->arena, str_of(downstream_mock_mapping),
                             &bench->config),
             RC_OK);
}

static void bench_close(struct bench *bench)
{
    arena_close(&bench->arena);
}

TEST(literals_double_their_quotes_and_are_percent_encoded)
{
    struct bench bench;
    bench_open(&bench);
    CHECK_STR(sap_wire_string(&bench.arena, STR("O'Neil & S\xc3\xb6hne/1")),
              "'O%27%27Neil%20%26%20S%C3%B6hne%2F1'");
    CHECK_STR(sap_wire_date(&bench.arena, SAP_V2, STR("9999-12-31")),
              "datetime'9999-12-31T00%3A00%3A00'");
    CHECK_STR(sap_wire_date(&bench.arena, SAP_V4, STR("9999-12-31")), "9999-12-31");
    CHECK_STR(sap_wire_entity_url(&bench.config, &bench.arena, STR("1'2"), STR(""), false),
              "http://127.0.0.1:8181/sap/opu/odata/sap/API_EQUIPMENT/"
              "Equipment(Equipment='1%27%272',ValidityEndDate=datetime'9999-12-31T00%3A00%3A00')?"
              "sap-client=100");
    CHECK_HAS(sap_wire_search_url(&bench.config, &bench.arena, STR("YY1_DEVICE_NAME"), STR("a'b")),
              "?$filter=YY1_DEVICE_NAME%20eq%20'a%27%27b'%20and%20ValidityEndDate%20eq%20datetime'"
              "9999-12-31T00%3A00%3A00'&$select=Equipment,ValidityEndDate,YY1_DEVICE_NAME,");
    CHECK_HAS(sap_wire_newest_url(&bench.config, &bench.arena, STR("1")),
              "$orderby=ValidityEndDate%20desc&$top=1");
    CHECK_STR(sap_wire_guid(&bench.arena, STR("0123456789abcdef0123456789abcdef")),
              "01234567-89ab-cdef-0123-456789abcdef");
    bench_close(&bench);
}

TEST(entities_and_lists_of_both_versions_are_read)
{
    struct bench bench;
    struct sap_entity entity, list[2];
    int count;
    bench_open(&bench);
    CHECK_RC(
        sap_wire_entity(&bench.arena,
                        STR("{\"d\":{\"Equipment\":\"7\",\"ValidityEndDate\":\"/"
                            "Date(253402214400000)/\",\"__metadata\":{\"etag\":\"W/\\\"1\\\"\"}}}"),
                        &entity),
        RC_OK);
    CHECK_STR(entity.etag, "W/\"1\"");
    CHECK_STR(sap_wire_ref(&bench.config, &bench.arena, entity.object), "7");
    CHECK_STR(sap_wire_end(&bench.config, &bench.arena, entity.object), "9999-12-31");
    CHECK_RC(
        sap_wire_entity(&bench.arena, STR("{\"Equipment\":\"7\",\"@odata.etag\":\"x\"}"), &entity),
        RC_OK);
    CHECK_STR(entity.etag, "x");
    CHECK_RC(sap_wire_list(&bench.arena,
                           STR("{\"d\":{\"results\":[{\"a\":1},{\"b\":2},{\"c\":3}]}}"), list,
                           &count),
             RC_OK);
    CHECK_INT(count, 3);
    CHECK_RC(sap_wire_list(&bench.arena, STR("{\"d\":[]}"), list, &count), RC_OK);
    CHECK_INT(count, 0);
    CHECK_RC(sap_wire_list(&bench.arena, STR("{\"value\":[{}]}"), list, &count), RC_OK);
    CHECK_INT(count, 1);
    static const char *const bad[] = {
        "", "[]", "{\"d\":7}", "{\"value\":[7]}", "{", "null", "{\"d\":{\"results\":{}}}"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(sap_wire_list(&bench.arena, str_of(bad[i]), list, &count), RC_INVALID);
    }
    CHECK_RC(sap_wire_entity(&bench.arena, STR("{\"d\":[]}"), &entity), RC_INVALID);
    bench_close(&bench);
}

/* E1 */
TEST(errors_of_every_shape_say_what_they_can)
{
    struct bench bench;
    struct sap_error error;
    bench_open(&bench);
    sap_wire_error(&bench.arena, STR("application/json"),
                   STR("{\"error\":{\"code\":\"ZHB/"
                       "002\",\"message\":\"Plant?\",\"target\":\"MaintenancePlant\",\"details\":[{"
                       "\"code\":\"A\",\"message\":\"b\",\"target\":\"c\"}],\"innererror\":{}}}"),
                   &error);
    CHECK_STR(error.message, "Plant?");
    CHECK_STR(error.target, "MaintenancePlant");
    CHECK_INT(error.detail_count, 1);
    sap_wire_error(&bench.arena, STR("application/json"),
                   STR("{\"error\":{\"code\":\"X\",\"message\":{\"lang\":\"en\",\"value\":\"v2\"},"
                       "\"innererror\":{\"transactionid\":\"T\",\"timestamp\":\"S\","
                       "\"errordetails\":[{\"propertyref\":\"P\"},{\"target\":\"Q\"},7]}}}"),
                   &error);
    CHECK_STR(error.message, "v2");
    CHECK_STR(error.transaction_id, "T");
    CHECK_INT(error.detail_count, 2);
    CHECK_STR(error.details[0].target, "P");
    sap_wire_error(&bench.arena, STR("application/xml"),
                   STR("<?xml version='1.0'?><error xmlns='x'><code>A/1</code><message "
                       "xml:lang='en'>no</message></error>"),
                   &error);
    CHECK_STR(error.code, "A/1");
    CHECK_STR(error.message, "no");
    sap_wire_error(&bench.arena, STR("text/plain"), STR(" CSRF token validation failed "), &error);
    CHECK_STR(error.message, "CSRF token validation failed");
    sap_wire_error(&bench.arena, STR("text/html"), STR("<p>"), &error);
    CHECK(error.is_html);
    sap_wire_error(&bench.arena, STR(""), STR(" <!DOCTYPE HTML><html>"), &error);
    CHECK(error.is_html);
    sap_wire_error(&bench.arena, STR(""), STR("\xff\xff"), &error);
    CHECK_STR(error.message, "(text in an unknown encoding)");
    sap_wire_error(&bench.arena, STR(""), STR(""), &error);
    CHECK_STR(error.message, "");
    bench_close(&bench);
}

/* E1: V4 says it in one of two places, older V2 systems nest their details deeper */
TEST(saps_own_id_of_a_request_is_found_wherever_it_stands)
{
    static const struct {
        const char *body, *id, *at, *target;
    } cases[] = {
        {"{\"error\":{\"innererror\":{\"transactionid\":\"A1\",\"timestamp\":\"T1\","
         "\"errordetails\":[{\"target\":\"X\"}]}}}",
         "A1", "T1", "X"},
        {"{\"error\":{\"innererror\":{\"transactionid\":\"A2\",\"timestamp\":\"T2\","
         "\"errordetails\":{\"errordetail\":[{\"propertyref\":\"Y\"}]}}}}",
         "A2", "T2", "Y"},
        {"{\"error\":{\"details\":[{\"target\":\"Z\"}],\"innererror\":{\"ErrorDetails\":{"
         "\"@SAP__common.TransactionId\":\"A3\",\"@SAP__common.Timestamp\":\"T3\"}}}}",
         "A3", "T3", "Z"},
        {"{\"error\":{\"details\":[{\"target\":\"Z\"}],\"@SAP__common.TransactionId\":\"A4\","
         "\"@SAP__common.Timestamp\":\"T4\"}}",
         "A4", "T4", "Z"},
    };
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sap_error error;
        sap_wire_error(&bench.arena, STR("application/json"), str_of(cases[i].body), &error);
        CHECK_STR(error.transaction_id, cases[i].id);
        CHECK_STR(error.timestamp, cases[i].at);
        CHECK_INT(error.detail_count, 1);
        CHECK_STR(error.details[0].target, cases[i].target);
    }
    bench_close(&bench);
}

/* D4 */
TEST(the_worst_message_of_a_success_counts)
{
    static const struct {
        const char *name, *value;
        enum sap_severity severity;
    } cases[] = {
        {"sap-message",
         "{\"code\":\"A\",\"message\":\"m\",\"severity\":\"info\",\"details\":[{\"severity\":"
         "\"error\",\"message\":\"deep\"}]}",
         SAP_ERROR},
        {"sap-message", "{\"severity\":\"warning\"}", SAP_WARNING},
        {"sap-message", "{\"severity\":\"success\"}", SAP_INFO},
        {"sap-messages", "[{\"numericSeverity\":2},{\"numericSeverity\":4}]", SAP_ERROR},
        {"sap-messages", "[{\"numericSeverity\":3}]", SAP_WARNING},
        {"sap-messages", "[{\"@SAP__common.numericSeverity\":4}]", SAP_ERROR},
        {"sap-message", "not json", SAP_SILENT},
        {"sap-messages", "{}", SAP_SILENT},
    };
    struct bench bench;
    struct str text;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct header header = {str_of(cases[i].name), str_of(cases[i].value)};
        struct inbound inbound = {.headers = &header, .header_count = 1};
        CHECK_INT(sap_wire_message(&bench.arena, &inbound, &text), cases[i].severity);
    }
    bench_close(&bench);
}

TEST(cookies_are_kept_as_pairs_and_replaced_by_name)
{
    struct bench bench;
    struct header headers[] = {{STR("set-cookie"), STR("A=1; path=/; HttpOnly")},
                               {STR("etag"), STR("x")},
                               {STR("set-cookie"), STR("B=2=3")},
                               {STR("set-cookie"), STR("junk")}};
    struct inbound inbound = {.headers = headers, .header_count = 4};
    bench_open(&bench);
    CHECK_STR(sap_wire_cookies(&bench.arena, &inbound, STR("")), "A=1; B=2=3");
    CHECK_STR(sap_wire_cookies(&bench.arena, &inbound, STR("A=0; C=9")), "A=1; B=2=3; C=9");
    bench_close(&bench);
}

/* Every end of a write, in one table: what decides whether it is sent again. E2 E3 E4 T1 T4 R2 R3 */
TEST(each_signal_of_a_write_and_of_a_read_has_its_class)
{
    static const struct {
        enum inbound_end end;
        int status;
        const char *header, *value, *code;
        enum sap_class write, read;
    } cases[] = {
        {INBOUND_NOT_SENT, 0, "", "", "", SAP_IS_NOT_SENT, SAP_IS_NOT_SENT},
        {INBOUND_NO_CONNECTION, 0, "", "", "", SAP_IS_RETRY_SAFE, SAP_IS_RETRY_SAFE},
        {INBOUND_INCOMPLETE, 0, "", "", "", SAP_IS_RETRY_SAFE, SAP_IS_RETRY_SAFE},
        {INBOUND_LOST, 0, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_LOST, 204, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_TIMEOUT, 0, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 204, "", "", "", SAP_IS_DONE, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 200, "", "", "", SAP_IS_DONE, SAP_IS_DONE},
        {INBOUND_ANSWERED, 201, "", "", "", SAP_IS_DONE, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 202, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 200, "content-type", "text/html", "", SAP_IS_AUTH, SAP_IS_AUTH},
        {INBOUND_ANSWERED, 302, "location", "https://idp", "", SAP_IS_CONFIG, SAP_IS_CONFIG},
        {INBOUND_ANSWERED, 400, "", "", "", SAP_IS_PERMANENT, SAP_IS_READ_REFUSED},
        {INBOUND_ANSWERED, 400, "", "", "/IWBEP/CM_COS 005", SAP_IS_OUTDATED, SAP_IS_OUTDATED},
        {INBOUND_ANSWERED, 400, "", "", "/IWBEP/CM_COS/001", SAP_IS_CONFIG_REPEAT,
         SAP_IS_CONFIG_REPEAT},
        {INBOUND_ANSWERED, 400, "repeatabilityresult", "unsupported", "", SAP_IS_CONFIG_REPEAT,
         SAP_IS_CONFIG_REPEAT},
        {INBOUND_ANSWERED, 401, "", "", "", SAP_IS_AUTH, SAP_IS_AUTH},
        {INBOUND_ANSWERED, 403, "x-csrf-token", "rEQUIRED", "", SAP_IS_SESSION, SAP_IS_SESSION},
        {INBOUND_ANSWERED, 403, "", "", "", SAP_IS_CONFIG, SAP_IS_CONFIG},
        {INBOUND_ANSWERED, 403, "x-csrf-token", "Required", "/IWFND/MED/170", SAP_IS_CONFIG,
         SAP_IS_CONFIG},
        {INBOUND_ANSWERED, 404, "", "", "", SAP_IS_MISSING, SAP_IS_MISSING},
        {INBOUND_ANSWERED, 405, "", "", "", SAP_IS_CONFIG, SAP_IS_CONFIG},
        {INBOUND_ANSWERED, 408, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 409, "", "", "", SAP_IS_LOCKED, SAP_IS_LOCKED},
        {INBOUND_ANSWERED, 409, "repeatability-result", "accepted", "", SAP_IS_IN_PROGRESS,
         SAP_IS_IN_PROGRESS},
        {INBOUND_ANSWERED, 412, "", "", "", SAP_IS_PRECONDITION, SAP_IS_PRECONDITION},
        {INBOUND_ANSWERED, 412, "repeatability-result", "rejected", "", SAP_IS_AMBIGUOUS,
         SAP_IS_AMBIGUOUS},
        {INBOUND_ANSWERED, 413, "", "", "", SAP_IS_TOO_LARGE, SAP_IS_CONFIG},
        {INBOUND_ANSWERED, 422, "", "", "", SAP_IS_PERMANENT, SAP_IS_READ_REFUSED},
        {INBOUND_ANSWERED, 423, "", "", "", SAP_IS_LOCKED, SAP_IS_LOCKED},
        {INBOUND_ANSWERED, 428, "", "", "", SAP_IS_PRECONDITION, SAP_IS_PRECONDITION},
        {INBOUND_ANSWERED, 429, "", "", "", SAP_IS_THROTTLED, SAP_IS_THROTTLED},
        {INBOUND_ANSWERED, 451, "", "", "", SAP_IS_CONFIG, SAP_IS_CONFIG},
        {INBOUND_ANSWERED, 500, "", "", "", SAP_IS_RETRY_LIMITED, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 501, "", "", "", SAP_IS_CONFIG, SAP_IS_CONFIG},
        {INBOUND_ANSWERED, 502, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 503, "", "", "", SAP_IS_THROTTLED, SAP_IS_THROTTLED},
        {INBOUND_ANSWERED, 504, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 599, "", "", "", SAP_IS_AMBIGUOUS, SAP_IS_RETRY_SAFE},
        {INBOUND_ANSWERED, 100, "", "", "", SAP_IS_CONFIG, SAP_IS_CONFIG},
    };
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct header header = {str_of(cases[i].header), str_of(cases[i].value)};
        struct inbound inbound = {.end = cases[i].end,
                                  .status = cases[i].status,
                                  .headers = &header,
                                  .header_count = header.name.len > 0};
        struct sap_error error = {.code = str_of(cases[i].code)};
        struct sap_reply reply = {.answer = &inbound, .error = &error, .write = true};
        enum sap_class write = sap_classify(&bench.config, &reply);
        reply.write = false;
        enum sap_class read = sap_classify(&bench.config, &reply);
        if (write != cases[i].write || read != cases[i].read) {
            FAIL("case %zu (%d) is %s, %s", i, cases[i].status, sap_class_name(write),
                 sap_class_name(read));
        }
    }
    bench_close(&bench);
}

TEST(days_before_1970_and_leap_days_are_right)
{
    static const struct {
        const char *day;
        int64_t at_ms;
    } cases[] = {{"1970-01-01", 0},
                 {"1969-12-31", -86400000},
                 {"1965-03-01", INT64_C(-152668800000)},
                 {"2000-02-29", INT64_C(951782400000)},
                 {"9999-12-31", INT64_C(253402214400000)},
                 {"0001-01-01", INT64_C(-62135596800000)},
                 {"1900-03-01", INT64_C(-2203891200000)}};
    static const char *const bad[] = {"1900-02-29", "2026-13-01", "2026-00-10", "2026-04-31",
                                      "2026-1-01",  "",           "0000-01-01", "2026-01-00"};
    char day[11];
    int64_t at_ms;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK(sap_edm_day_read(str_of(cases[i].day), &at_ms));
        CHECK_INT(at_ms, cases[i].at_ms);
        sap_edm_day_write(at_ms, day);
        CHECK_STR(str_of(day), cases[i].day);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!sap_edm_day_read(str_of(bad[i]), &at_ms));
    }
    for (int64_t days = -719162; days < 2932896; days += 97) {
        sap_edm_day_write(days * 86400000, day);
        CHECK(sap_edm_day_read(str_of(day), &at_ms));
        CHECK_INT(at_ms, days * 86400000);
    }
}
