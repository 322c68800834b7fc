/* The mock itself: what the connector's tests rely on. Requests are made by hand here, so that the mock is not judged by
 * the connector that it judges. */
#include <stdio.h>

#include "adapters/sap_mock.h"
#include "base/text.h"
#include "test.h"

#define ROOT SAP_MOCK_ROOT
#define NOW INT64_C(1795340100000)

struct bench {
    struct arena arena;
    struct sap_mock *sap;
    struct sap_answer answer;
    int64_t now_ms;
    struct str token, cookie, etag;
};

static struct str header_of(const struct bench *bench, const char *name)
{
    for (size_t i = 0; i < bench->answer.header_count; i++) {
        if (text_equal_nocase(bench->answer.headers[i].name, str_of(name))) {
            return bench->answer.headers[i].value;
        }
    }
    return STR_NONE;
}

static int ask(struct bench *bench, const char *method, const char *target, const char *body,
               struct header more)
{
    struct header headers[] = {
        {STR("x-csrf-token"), bench->token}, {STR("Cookie"), bench->cookie}, more};
    struct request request = {.method = str_of(method),
                              .target = str_of(target),
                              .headers = headers,
                              .header_count = 3,
                              .body = str_of(body)};
    sap_mock_handle(bench->sap, &bench->arena, bench->now_ms, &request, &bench->answer);
    return bench->answer.status;
}

static const struct header nothing = {{"x-nothing", 9}, {"", 0}};

static void logon(struct bench *bench)
{
    bench->token = STR("Fetch");
    bench->cookie = STR("");
    CHECK_INT(ask(bench, "GET", ROOT "/", "", nothing), 200);
    struct str cookie = header_of(bench, "set-cookie");
    bench->cookie = text_cut(&cookie, ';');
    bench->token = header_of(bench, "x-csrf-token");
    CHECK(bench->token.len == 32);
}

static void bench_open(struct bench *bench)
{
    *bench = (struct bench){.now_ms = NOW,
                            .sap = sap_mock_open(&(struct sap_mock_options){.control = true})};
    arena_open(&bench->arena, 0);
    logon(bench);
}

static void bench_close(struct bench *bench)
{
    sap_mock_close(bench->sap);
    arena_close(&bench->arena);
}

#define PUMP                                                                                       \
    ROOT "/Equipment(Equipment='10000000',ValidityEndDate=datetime'9999-12-31T00%3A00%3A00')"
static void create(struct bench *bench)
{
    CHECK_INT(
        ask(bench, "POST", ROOT "/Equipment",
            "{\"EquipmentCategory\":\"m\",\"YY1_DEVICE_NAME\":\"pump\",\"EquipmentName\":\"a\"}",
            nothing),
        201);
    bench->etag = header_of(bench, "etag");
}

static int patch(struct bench *bench, const char *body)
{
    int status = ask(bench, "PATCH", PUMP, body, (struct header){STR("If-Match"), bench->etag});
    struct str etag = header_of(bench, "etag");
    bench->etag = etag.len ? etag : bench->etag;
    return status;
}

/* S1 S2 S4 */
TEST(a_token_is_good_only_with_its_own_cookies)
{
    struct bench bench;
    bench_open(&bench);
    struct str token = bench.token, cookie = bench.cookie;
    bench.token = STR("fEtCh");
    CHECK_INT(ask(&bench, "HEAD", ROOT "/", "", nothing), 200);
    CHECK_BYTES(header_of(&bench, "x-csrf-token"), token);
    CHECK_INT(bench.answer.body.len, 0);
    logon(&bench);
    CHECK(!str_equal(token, bench.token));
    bench.cookie = cookie;
    CHECK_INT(ask(&bench, "POST", ROOT "/Equipment", "{}", nothing), 403);
    CHECK_STR(header_of(&bench, "x-csrf-token"), "Required");
    bench.token = token;
    create(&bench);
    bench.now_ms += 1800001; /* S3 */
    CHECK_INT(patch(&bench, "{}"), 403);
    bench_close(&bench);
}

/* S7 */
TEST(three_failed_logons_lock_the_user)
{
    struct sap_mock_options options = {.user = STR("u"), .password = STR("p")};
    struct bench bench = {.now_ms = NOW, .sap = sap_mock_open(&options)};
    arena_open(&bench.arena, 0);
    struct header wrong = {STR("Authorization"), STR("Basic dTp4")},
                  right = {STR("authorization"), STR("Basic dTpw")};
    CHECK_INT(ask(&bench, "GET", ROOT "/", "", wrong), 401);
    CHECK_INT(ask(&bench, "GET", ROOT "/", "", right), 200);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(ask(&bench, "GET", ROOT "/", "", wrong), 401);
    }
    CHECK_INT(ask(&bench, "GET", ROOT "/", "", right), 401);
    CHECK_INT(header_of(&bench, "x-csrf-token").len, 0);
    CHECK_INT(ask(&bench, "GET", "/_mock/log", "", right),
              401); /* controls are shut unless asked for */
    bench_close(&bench);
}

/* C1 */
TEST(a_change_needs_the_current_etag)
{
    struct bench bench;
    bench_open(&bench);
    create(&bench);
    struct str old = bench.etag;
    CHECK_INT(ask(&bench, "PATCH", PUMP, "{}", nothing), 428);
    sap_mock_switch(bench.sap, SAP_MOCK_if_match_status, 412);
    CHECK_INT(ask(&bench, "PATCH", PUMP, "{}", nothing), 412);
    CHECK_INT(patch(&bench, "{\"EquipmentName\":\"b\"}"), 204);
    CHECK(!str_equal(old, bench.etag));
    CHECK_INT(ask(&bench, "PATCH", PUMP, "{}", (struct header){STR("if-match"), old}), 412);
    CHECK_INT(ask(&bench, "MERGE", PUMP, "{}", (struct header){STR("if-match"), STR("*")}), 204);
    CHECK_INT(ask(&bench, "PATCH",
                  ROOT "/Equipment(Equipment='9',ValidityEndDate=datetime'9999-12-31T00:00:00')",
                  "{}", (struct header){STR("if-match"), STR("*")}),
              404);
    CHECK_INT(ask(&bench, "GET", PUMP, "", nothing), 200);
    CHECK_HAS(bench.answer.body, "\"EquipmentName\":\"b\"");
    bench_close(&bench);
}

/* W3 */
TEST(what_sap_refuses_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"Nope\":1}",
        "{\"EquipmentName\":7}",
        "{\"ValidityEndDate\":\"/Date(1)/\"}",
        "{\"Equipment\":\"1\"}",
        "{\"EquipmentName\":\"12345678901234567890123456789012345678901\"}",
        "{\"GrossWeight\":12}",
        "{\"GrossWeight\":\"1.2345\"}",
        "{\"GrossWeight\":\"1.\"}",
        "{\"GrossWeight\":\"a\"}",
        "{\"OperationStartDate\":\"2026-01-01\"}",
        "{\"OperationStartDate\":\"/Date(x)/\"}",
        "{\"MaintenancePlant\":\"9Z99\"}",
        "{\"EquipmentName\":{}}"};
    struct bench bench;
    bench_open(&bench);
    create(&bench);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_INT(patch(&bench, bad[i]), 400);
    }
    CHECK_INT(ask(&bench, "DELETE", PUMP, "", nothing), 405);
    CHECK_INT(ask(&bench, "PUT", PUMP, "{}", nothing), 405);
    CHECK_INT(ask(&bench, "POST", ROOT "/Equipment", "{}", nothing), 400);
    CHECK_HAS(bench.answer.body, "EquipmentCategory");
    CHECK_INT(ask(&bench, "GET", ROOT ";v=2/", "", nothing), 403);
    CHECK_HAS(bench.answer.body, "/IWFND/MED/170");
    CHECK_INT(ask(&bench, "GET", ROOT, "", nothing), 307);
    CHECK_INT(ask(&bench, "GET", "/elsewhere", "", nothing), 404);
    sap_mock_switch(bench.sap, SAP_MOCK_body_max, 10);
    CHECK_INT(patch(&bench, "{\"EquipmentName\":\"b\"}"), 413);
    int effects = 0;
    for (size_t i = 0; i < sap_mock_log_count(bench.sap); i++) {
        effects += sap_mock_log_at(bench.sap, i)->effect;
    }
    CHECK_INT(effects, 1);
    bench_close(&bench);
}

/* D1 D3 */
TEST(upper_case_is_made_and_read_only_fields_are_ignored_in_silence)
{
    struct bench bench;
    bench_open(&bench);
    create(&bench);
    CHECK_INT(patch(&bench, "{\"InventoryNumber\":\"ab\xc3\xa4 "
                            "\",\"WorkCenterPlant\":\"1010\",\"GrossWeight\":\"-1.5\","
                            "\"OperationStartDate\":\"/Date(-86400000+0060)/\"}"),
              204);
    CHECK_INT(header_of(&bench, "sap-message").len, 0);
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "InventoryNumber"), "AB\xc3\x84");
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "WorkCenterPlant"), "");
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "GrossWeight"), "-1.500");
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "OperationStartDate"), "-86400000");
    sap_mock_switch(bench.sap, SAP_MOCK_mark_read_only, 1);
    CHECK_INT(patch(&bench, "{\"WorkCenterPlant\":\"1010\"}"), 204);
    CHECK_HAS(header_of(&bench, "sap-message"), "\"severity\":\"warning\"");
    sap_mock_switch(bench.sap, SAP_MOCK_mark_read_only, 2);
    CHECK_INT(patch(&bench, "{\"WorkCenterPlant\":\"1010\"}"), 400);
    bench_close(&bench);
}

TEST(a_search_takes_terms_an_order_a_top_and_a_selection)
{
    struct bench bench;
    bench_open(&bench);
    for (int i = 0; i < 5; i++) {
        struct header values[] = {{STR("YY1_DEVICE_NAME"), STR("same")},
                                  {STR("EquipmentName"), arena_printf(&bench.arena, "n%d", i % 3)},
                                  {STR("InventoryNumber"), STR("it's")}};
        sap_mock_row_put(bench.sap, NOW, STR(""), values, 3);
    }
    CHECK_INT(ask(&bench, "GET",
                  ROOT "/Equipment?$filter=YY1_DEVICE_NAME%20eq%20'same'%20and%20EquipmentName%"
                       "20eq%20'n0'&$select=Equipment,EquipmentName",
                  "", nothing),
              200);
    CHECK_HAS(bench.answer.body, "10000000");
    CHECK_HAS(bench.answer.body, "10000003");
    CHECK_HAS_NOT(bench.answer.body, "10000001");
    CHECK_HAS_NOT(bench.answer.body, "InventoryNumber");
    CHECK_INT(
        ask(&bench, "GET",
            ROOT
            "/Equipment?$filter=InventoryNumber+eq+'it%27%27s'&$orderby=EquipmentName+desc&$top=1",
            "", nothing),
        200);
    CHECK_HAS(bench.answer.body, "10000002");
    CHECK_HAS_NOT(bench.answer.body, "10000000");
    CHECK_INT(ask(&bench, "GET", ROOT "/Equipment?$filter=Equipment%20eq%20'0010000002'&$select=*",
                  "", nothing),
              200);
    CHECK_HAS(bench.answer.body, "\"EquipmentName\":\"n2\"");
    static const char *const bad[] = {"$filter=Nope%20eq%20'1'",
                                      "$filter=EquipmentName%20gt%20'1'",
                                      "$filter=EquipmentName%20eq%20'1",
                                      "$filter=x",
                                      "$top=-1",
                                      "$top=x",
                                      "$expand=a",
                                      "$orderby=Nope",
                                      "$filter=%zz",
                                      "$filter=Equipment%20eq%20'1'%20or%20Equipment%20eq%20'2'"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_INT(ask(&bench, "GET", arena_printf(&bench.arena, ROOT "/Equipment?%s", bad[i]).s, "",
                      nothing),
                  400);
    }
    bench_close(&bench);
}

/* T2 R1 R2: the log says of each effect exactly one line, whatever was answered */
TEST(a_late_execution_happens_at_its_time_and_is_logged_where_it_came_in)
{
    struct bench bench;
    bench_open(&bench);
    create(&bench);
    sap_mock_switch(bench.sap, SAP_MOCK_repeat_oasis, 1);
    sap_mock_fault(bench.sap, &(struct sap_fault){.method = STR("PATCH"), .late_ms = 5000});
    struct str first = bench.etag;
    struct header headers[] = {{STR("x-csrf-token"), bench.token},
                               {STR("Cookie"), bench.cookie},
                               {STR("If-Match"), first},
                               {STR("Repeatability-Request-ID"), STR("id-1")}};
    struct request request = {.method = STR("PATCH"),
                              .target = STR(PUMP),
                              .headers = headers,
                              .header_count = 4,
                              .body = STR("{\"EquipmentName\":\"late\"}")};
    sap_mock_handle(bench.sap, &bench.arena, NOW, &request, &bench.answer);
    CHECK_INT(bench.answer.drop, SAP_DROP_AFTER);
    sap_mock_handle(bench.sap, &bench.arena, NOW + 1000, &request, &bench.answer);
    CHECK_INT(bench.answer.status, 409);
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "EquipmentName"), "a");
    sap_mock_advance(bench.sap, NOW + 4999);
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "EquipmentName"), "a");
    sap_mock_advance(bench.sap, NOW + 5000);
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "EquipmentName"), "late");
    sap_mock_handle(bench.sap, &bench.arena, NOW + 6000, &request, &bench.answer);
    CHECK_INT(bench.answer.status, 204);
    CHECK_STR(header_of(&bench, "repeatability-result"), "accepted");
    request.body = STR("{}");
    sap_mock_handle(bench.sap, &bench.arena, NOW + 6000, &request, &bench.answer);
    CHECK_INT(bench.answer.status, 400);
    request.body = STR("{\"EquipmentName\":\"late\"}");
    sap_mock_handle(bench.sap, &bench.arena, NOW + 6000 + 43200000, &request, &bench.answer);
    size_t count = sap_mock_log_count(bench.sap);
    CHECK_INT(sap_mock_log_at(bench.sap, count - 5)->effect, 1);
    CHECK_INT(sap_mock_log_at(bench.sap, count - 5)->at_ms, NOW);
    CHECK(sap_mock_log_at(bench.sap, count - 5)->late);
    CHECK_STR(sap_mock_log_at(bench.sap, count - 5)->name, "pump");
    CHECK(!sap_mock_log_at(bench.sap, count - 3)->effect &&
          sap_mock_log_at(bench.sap, count - 3)->replayed);
    bench_close(&bench);
}

TEST(a_late_execution_with_a_stale_etag_has_no_effect)
{
    struct bench bench;
    bench_open(&bench);
    create(&bench);
    sap_mock_fault(bench.sap,
                   &(struct sap_fault){.method = STR("PATCH"), .late_ms = 5000, .status = 502});
    CHECK_INT(patch(&bench, "{\"EquipmentName\":\"first\"}"), 502);
    CHECK_INT(patch(&bench, "{\"EquipmentName\":\"second\"}"), 204);
    sap_mock_advance(bench.sap, NOW + 5000);
    CHECK_STR(sap_mock_row_value(bench.sap, 0, "EquipmentName"), "second");
    bench_close(&bench);
}

TEST(faults_wait_for_their_turn)
{
    struct bench bench;
    bench_open(&bench);
    create(&bench);
    sap_mock_fault(bench.sap, &(struct sap_fault){.method = STR("READ"),
                                                  .match = STR("Equipment("),
                                                  .skip = 1,
                                                  .times = 2,
                                                  .status = 503,
                                                  .retry_after = STR("7")});
    CHECK_INT(patch(&bench, "{}"), 204);
    CHECK_INT(ask(&bench, "GET", ROOT "/", "", nothing), 200);
    CHECK_INT(ask(&bench, "GET", PUMP, "", nothing), 200);
    CHECK_INT(ask(&bench, "GET", PUMP, "", nothing), 503);
    CHECK_STR(header_of(&bench, "retry-after"), "7");
    CHECK_INT(sap_mock_faults_left(bench.sap), 1);
    CHECK_INT(ask(&bench, "GET", PUMP, "", nothing), 503);
    CHECK_INT(sap_mock_faults_left(bench.sap), 0);
    CHECK_INT(ask(&bench, "GET", PUMP, "", nothing), 200);
    bench_close(&bench);
}

TEST(magic_names_choose_the_answer)
{
    struct bench bench;
    bench_open(&bench);
    sap_mock_switch(bench.sap, SAP_MOCK_magic_names, 1);
    CHECK_INT(ask(&bench, "POST", ROOT "/Equipment", "{\"YY1_DEVICE_NAME\":\"reject-1\"}", nothing),
              400);
    CHECK_INT(ask(&bench, "POST", ROOT "/Equipment", "{\"YY1_DEVICE_NAME\":\"lock-1\"}", nothing),
              400);
    CHECK_HAS(bench.answer.body, "locked by");
    (void)ask(&bench, "POST", ROOT "/Equipment",
              "{\"EquipmentCategory\":\"M\",\"YY1_DEVICE_NAME\":\"timeout-1\"}", nothing);
    CHECK_INT(bench.answer.drop, SAP_DROP_AFTER);
    CHECK_INT(sap_mock_row_count(bench.sap), 1);
    bench_close(&bench);
}

TEST(the_controls_do_what_they_say)
{
    struct bench bench;
    bench_open(&bench);
    CHECK_INT(ask(&bench, "POST", "/_mock/switches", "{\"csrf\":0,\"update_status\":200}", nothing),
              200);
    CHECK_INT(sap_mock_switched(bench.sap, SAP_MOCK_csrf), 0);
    CHECK_INT(ask(&bench, "POST", "/_mock/switches", "{\"nope\":0}", nothing), 400);
    CHECK_INT(ask(&bench, "POST", "/_mock/rows",
                  "{\"YY1_DEVICE_NAME\":\"x\",\"EquipmentName\":\"a\\\"b\"}", nothing),
              200);
    CHECK_INT(ask(&bench, "POST", "/_mock/rows", "{\"Nope\":\"x\"}", nothing), 400);
    CHECK_INT(ask(&bench, "GET", "/_mock/rows", "", nothing), 200);
    CHECK_STR(
        bench.answer.body,
        "{\"ValidityEndDate\":\"9999-12-31\",\"Equipment\":\"10000000\",\"EquipmentCategory\":"
        "\"M\",\"YY1_DEVICE_NAME\":\"x\",\"EquipmentName\":\"a\\\"b\"}\n");
    struct str row = sap_mock_row_json(bench.sap, &bench.arena, 0);
    CHECK_INT(ask(&bench, "POST", "/_mock/faults",
                  "[{\"method\":\"GET\",\"status\":500},{\"drop\":\"half\"}]", nothing),
              200);
    CHECK_INT(sap_mock_faults_left(bench.sap), 2);
    CHECK_INT(ask(&bench, "POST", "/_mock/faults", "{\"nope\":1}", nothing), 400);
    CHECK_INT(ask(&bench, "DELETE", "/_mock/faults", "", nothing), 200);
    CHECK_INT(ask(&bench, "GET", ROOT "/", "", nothing), 200);
    CHECK_INT(ask(&bench, "GET", "/_mock/log?after=1", "", nothing), 200);
    CHECK_HAS(bench.answer.body, "{\"no\":2,");
    CHECK_HAS_NOT(bench.answer.body, "\"no\":1,");
    CHECK_INT(ask(&bench, "POST", "/_mock/reset", "", nothing), 200);
    CHECK_INT(sap_mock_row_count(bench.sap), 0);
    CHECK_INT(sap_mock_log_count(bench.sap), 0);
    CHECK(sap_mock_row_load(bench.sap, &bench.arena, NOW, row));
    CHECK_BYTES(sap_mock_row_json(bench.sap, &bench.arena, 0), row);
    CHECK(!sap_mock_row_load(bench.sap, &bench.arena, NOW, STR("{\"Nope\":1}")));
    bench_close(&bench);
}

TEST(forty_thousand_rows_are_found_at_once)
{
    struct bench bench;
    bench_open(&bench);
    for (int i = 0; i < 40000; i++) {
        struct header value = {STR("YY1_DEVICE_NAME"), arena_printf(&bench.arena, "device %d", i)};
        sap_mock_row_put(bench.sap, NOW, STR(""), &value, 1);
    }
    for (int i = 0; i < 40000; i += 7) {
        CHECK_INT(sap_mock_row_find(bench.sap, arena_printf(&bench.arena, "device %d", i)), i);
    }
    CHECK_INT(sap_mock_row_find(bench.sap, STR("device 40000")), -1);
    bench_close(&bench);
}
