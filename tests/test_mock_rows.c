/* The mock SAP, row by row of the conformance list (docs/sap.md), in OData V2 and V4. */
#include "base/text.h"
#include "mock_desk.h"

#define RIGHT "Basic dTpw" /* u:p */
#define WRONG "Basic dTp4"

static const struct sap_mock_options guarded = {.user = {"u", 1}, .password = {"p", 1}};

/* ---- session ------------------------------------------------------------------------------------- */

/* S1 S2 S4 */
TEST_V2_V4(a_token_is_good_only_with_its_own_cookies)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    struct str token = desk.token, cookie = desk.cookie;
    desk.token = STR("fEtCh");
    CHECK_INT(mock_desk_ask(&desk, "HEAD", "~/", "", NULL, 0), 200);
    CHECK_BYTES(mock_desk_header(&desk, "x-csrf-token"), token);
    CHECK_INT(desk.answer.body.len, 0);
    mock_desk_logon(&desk);
    CHECK(!str_equal(token, desk.token));
    desk.cookie = cookie;
    CHECK_INT(mock_desk_ask(&desk, "POST", "~/Equipment", "{}", NULL, 0), 403);
    CHECK_STR(mock_desk_header(&desk, "x-csrf-token"), "Required");
    CHECK_INT(mock_desk_effects(&desk), 0);
    desk.token = token;
    mock_desk_create(&desk);
    mock_desk_close(&desk);
}

/* S3 */
TEST_V2_V4(a_session_ends_by_its_age_and_by_an_order)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    desk.now_ms += 1800000;
    CHECK_INT(mock_desk_patch(&desk, "{}"), 204);
    desk.now_ms += 1800001;
    CHECK_INT(mock_desk_patch(&desk, "{}"), 403);
    CHECK_STR(mock_desk_header(&desk, "x-csrf-token"), "Required");
    mock_desk_logon(&desk);
    CHECK_INT(mock_desk_patch(&desk, "{}"), 204);
    sap_mock_expire(desk.sap);
    CHECK_INT(mock_desk_patch(&desk, "{}"), 403);
    CHECK_INT(mock_desk_effects(&desk), 3);
    mock_desk_close(&desk);
}

/* S5 S6 */
TEST_V2_V4(a_root_may_keep_its_token_give_it_with_an_error_or_point_elsewhere)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    desk.token = STR("Fetch");
    sap_mock_switch(desk.sap, SAP_MOCK_token_on_head, 0);
    CHECK_INT(mock_desk_ask(&desk, "HEAD", "~/", "", NULL, 0), 200);
    CHECK_INT(mock_desk_header(&desk, "x-csrf-token").len, 0);
    sap_mock_switch(desk.sap, SAP_MOCK_token_status, 503);
    CHECK_INT(mock_desk_get(&desk, "~/"), 503);
    CHECK_INT(mock_desk_header(&desk, "x-csrf-token").len, 32);
    CHECK_INT(mock_desk_get(&desk, "~"), 307);
    CHECK_STR(mock_desk_header(&desk, "location"),
              odata_v4 ? SAP_MOCK_ROOT_V4 "/" : SAP_MOCK_ROOT "/");
    sap_mock_switch(desk.sap, SAP_MOCK_redirect_away, 1);
    CHECK_INT(mock_desk_get(&desk, "~/"), 302);
    CHECK_HAS(mock_desk_header(&desk, "location"), "http://elsewhere.example/");
    mock_desk_close(&desk);
}

/* S7 S1: no token without a logon; the third failure locks the user, the right password too */
TEST_V2_V4(three_failed_logons_lock_the_user)
{
    struct mock_desk desk;
    mock_desk_open(&desk, &guarded);
    desk.token = STR("Fetch");
    CHECK_INT(mock_desk_get(&desk, "~/"), 401);
    CHECK_INT(mock_desk_header(&desk, "x-csrf-token").len, 0);
    CHECK_INT(mock_desk_with(&desk, "GET", "~/", "", "authorization", STR(RIGHT)), 200);
    CHECK_INT(mock_desk_header(&desk, "x-csrf-token").len, 32);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(mock_desk_with(&desk, "GET", "~/", "", "Authorization", STR(WRONG)), 401);
        CHECK_HAS(mock_desk_header(&desk, "www-authenticate"), "Basic");
    }
    CHECK_INT(mock_desk_with(&desk, "GET", "~/", "", "Authorization", STR(RIGHT)), 401);
    CHECK_INT(mock_desk_header(&desk, "x-csrf-token").len, 0);
    CHECK_INT(mock_desk_with(&desk, "GET", "/_mock/log", "", "Authorization", STR(RIGHT)),
              401); /* controls are shut unless asked for */
    sap_mock_reset(desk.sap);
    sap_mock_switch(desk.sap, SAP_MOCK_logon_html, 1);
    CHECK_INT(mock_desk_get(&desk, "~/"), 200);
    CHECK_HAS(desk.answer.body, "<title>Logon");
    mock_desk_close(&desk);
}

/* ---- preconditions ---------------------------------------------------------------------------------- */

/* C1 C2 */
TEST_V2_V4(a_change_needs_the_current_etag)
{
    struct mock_desk desk;
    const char *none = odata_v4 ? "~/Equipment(Equipment='9',ValidityEndDate=9999-12-31)"
                                : "~/Equipment(Equipment='9',"
                                  "ValidityEndDate=datetime'9999-12-31T00:00:00')";
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    struct str old = desk.etag;
    CHECK_INT(mock_desk_ask(&desk, "PATCH", desk.pump, "{}", NULL, 0), 428);
    sap_mock_switch(desk.sap, SAP_MOCK_if_match_status, 412);
    CHECK_INT(mock_desk_ask(&desk, "PATCH", desk.pump, "{}", NULL, 0), 412);
    CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"b\"}"), 204);
    CHECK(!str_equal(old, desk.etag));
    CHECK_INT(mock_desk_with(&desk, "PATCH", desk.pump, "{}", "if-match", old), 412);
    CHECK_HAS(desk.answer.body, odata_v4 ? "/IWBEP/CM_V4_RUNTIME/021" : "/IWBEP/CM_MGW_RT/022");
    CHECK_INT(mock_desk_with(&desk, "PATCH", none, "{}", "if-match", STR("*")), 404);
    sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("PATCH"), .touch = true});
    CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"c\"}"), 412);
    CHECK_INT(mock_desk_get(&desk, desk.pump), 200);
    CHECK_HAS(desk.answer.body, "\"EquipmentName\":\"b\"");
    CHECK_HAS(desk.answer.body, odata_v4 ? "\"@odata.etag\":\"W/" : "\"etag\":\"W/");
    sap_mock_switch(desk.sap, SAP_MOCK_etags, 0);
    CHECK_INT(mock_desk_ask(&desk, "PATCH", desk.pump, "{}", NULL, 0), odata_v4 ? 200 : 204);
    CHECK_INT(mock_desk_header(&desk, "etag").len, 0);
    mock_desk_close(&desk);
}

/* ---- writes -------------------------------------------------------------------------------------------- */

/* W1 */
TEST(v2_takes_patch_merge_and_the_tunnel)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    struct header star[] = {{STR("If-Match"), STR("*")}, {STR("X-HTTP-Method"), STR("MERGE")}};
    CHECK_INT(mock_desk_ask(&desk, "PATCH", desk.pump, "{\"AssetRoom\":\"1\"}", star, 1), 204);
    CHECK_INT(mock_desk_ask(&desk, "MERGE", desk.pump, "{\"AssetRoom\":\"2\"}", star, 1), 204);
    CHECK_INT(mock_desk_ask(&desk, "POST", desk.pump, "{\"AssetRoom\":\"3\"}", star, 2), 204);
    CHECK_STR(mock_desk_value(&desk, "AssetRoom"), "3");
    sap_mock_switch(desk.sap, SAP_MOCK_update_status, 200);
    CHECK_INT(mock_desk_ask(&desk, "PATCH", desk.pump, "{\"AssetRoom\":\"4\"}", star, 1), 200);
    CHECK_HAS(desk.answer.body, "{\"d\":{\"__metadata\":{");
    CHECK_HAS(desk.answer.body, "\"AssetRoom\":\"4\"");
    mock_desk_close(&desk);
}

/* W1 */
TEST(v4_takes_patch_alone_and_answers_as_prefer_says)
{
    struct mock_desk desk;
    odata_v4 = true;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    struct header star[] = {{STR("If-Match"), STR("*")}, {STR("X-HTTP-Method"), STR("PATCH")}};
    CHECK_INT(mock_desk_ask(&desk, "MERGE", desk.pump, "{}", star, 1), 405);
    CHECK_INT(mock_desk_ask(&desk, "POST", desk.pump, "{}", star, 2), 405);
    CHECK_INT(mock_desk_ask(&desk, "PATCH", desk.pump, "{\"AssetRoom\":\"4\"}", star, 1), 200);
    CHECK_HAS(desk.answer.body, "{\"@odata.context\":\"$metadata#Equipment/$entity\"");
    CHECK_HAS(desk.answer.body, "\"ValidityEndDate\":\"9999-12-31\"");
    CHECK_HAS(desk.answer.body, "\"GrossWeight\":0.000,");
    CHECK_INT(mock_desk_patch(&desk, "{\"AssetRoom\":\"5\"}"), 412); /* its ETag is old */
    desk.etag = STR("*");
    CHECK_INT(mock_desk_patch(&desk, "{\"AssetRoom\":\"5\"}"), 204);
    CHECK_STR(mock_desk_header(&desk, "preference-applied"), "return=minimal");
    CHECK_STR(mock_desk_header(&desk, "odata-version"), "4.0");
    CHECK_INT(mock_desk_with(&desk, "GET", desk.pump, "", "accept",
                             STR("application/json;IEEE754Compatible=true")),
              200);
    CHECK_HAS(desk.answer.body, "\"GrossWeight\":\"0.000\"");
    mock_desk_close(&desk);
}

/* W2 */
TEST_V2_V4(a_create_gives_a_number_and_any_location)
{
    static const char *const locations[] = {"/sap/opu/odata", "Equipment(Equipment='1000000",
                                            "http://elsewhere.example/", "", ""};
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    for (int i = 0; i < 5; i++) {
        sap_mock_switch(desk.sap, SAP_MOCK_location, i);
        CHECK_INT(
            mock_desk_ask(&desk, "POST", "~/Equipment", "{\"EquipmentCategory\":\"M\"}", NULL, 0),
            201);
        CHECK(str_starts(mock_desk_header(&desk, "location"), str_of(locations[i])));
        CHECK_HAS(desk.answer.body, arena_printf(&desk.arena, "\"Equipment\":\"1000000%d\"", i).s);
    }
    const char *own = "{\"EquipmentCategory\":\"M\",\"Equipment\":\"x-1\"}";
    CHECK_INT(mock_desk_ask(&desk, "POST", "~/Equipment", own, NULL, 0), 201);
    CHECK_HAS(desk.answer.body, "\"Equipment\":\"X-1\"");
    CHECK_INT(mock_desk_ask(&desk, "POST", "~/Equipment", own, NULL, 0), 400);
    sap_mock_switch(desk.sap, SAP_MOCK_internal_numbers, 0);
    CHECK_INT(mock_desk_ask(&desk, "POST", "~/Equipment", "{\"EquipmentCategory\":\"M\"}", NULL, 0),
              400);
    mock_desk_close(&desk);
}

/* W3 */
TEST_V2_V4(what_sap_refuses_is_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"Nope\":1}",
        "{\"EquipmentName\":7}",
        "{\"ValidityEndDate\":\"/Date(1)/\"}",
        "{\"ValidityEndDate\":\"9999-12-31\"}",
        "{\"Equipment\":\"1\"}",
        "{\"EquipmentName\":\"12345678901234567890123456789012345678901\"}",
        "{\"GrossWeight\":12}",
        "{\"GrossWeight\":\"1.2345\"}",
        "{\"GrossWeight\":\"1.\"}",
        "{\"GrossWeight\":\"a\"}",
        "{\"OperationStartDate\":\"2026-02-30\"}",
        "{\"OperationStartDate\":\"/Date(x)/\"}",
        "{\"MaintenancePlant\":\"9Z99\"}",
        "{\"EquipmentName\":{}}"};
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_INT(mock_desk_patch(&desk, bad[i]), 400);
    }
    /* the literal of the other version */
    CHECK_INT(mock_desk_patch(&desk, odata_v4 ? "{\"OperationStartDate\":\"/Date(1)/\"}"
                                              : "{\"OperationStartDate\":\"2026-01-01\"}"),
              400);
    CHECK_INT(mock_desk_ask(&desk, "DELETE", desk.pump, "", NULL, 0), 405);
    CHECK_INT(mock_desk_ask(&desk, "PUT", desk.pump, "{}", NULL, 0), 405);
    CHECK_INT(mock_desk_ask(&desk, "POST", "~/Equipment", "{}", NULL, 0), 400);
    CHECK_HAS(desk.answer.body, "EquipmentCategory");
    CHECK_INT(mock_desk_get(&desk, "/elsewhere"), 404);
    CHECK_INT(mock_desk_get(&desk, "~/Equipment?$select=Nope"), 400);
    CHECK_INT(mock_desk_get(&desk, odata_v4 ? "~/Equipment(Equipment='10000000',ValidityEndDate="
                                              "datetime'9999-12-31T00:00:00')"
                                            : "~/Equipment(Equipment='10000000',ValidityEndDate="
                                              "9999-12-31)"),
              404);
    CHECK_INT(mock_desk_effects(&desk), 1);
    mock_desk_close(&desk);
}

/* ---- data ------------------------------------------------------------------------------------------------ */

/* D1 D3 D4 */
TEST_V2_V4(upper_case_is_made_and_read_only_fields_are_ignored_in_silence)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    CHECK_INT(mock_desk_patch(&desk,
                              odata_v4 ? "{\"InventoryNumber\":\"ab\xc3\xa4 \",\"WorkCenterPlant\":"
                                         "\"1010\",\"GrossWeight\":\"-1.5\","
                                         "\"OperationStartDate\":\"1969-12-31\"}"
                                       : "{\"InventoryNumber\":\"ab\xc3\xa4 \",\"WorkCenterPlant\":"
                                         "\"1010\",\"GrossWeight\":\"-1.5\","
                                         "\"OperationStartDate\":\"/Date(-86400000+0060)/\"}"),
              204);
    CHECK_STR(mock_desk_value(&desk, "InventoryNumber"), "AB\xc3\x84");
    CHECK_STR(mock_desk_value(&desk, "WorkCenterPlant"), "");
    CHECK_STR(mock_desk_value(&desk, "GrossWeight"), "-1.500");
    CHECK_STR(mock_desk_value(&desk, "OperationStartDate"), "-86400000");
    CHECK_INT(mock_desk_header(&desk, "sap-message").len, 0);
    CHECK_INT(mock_desk_header(&desk, "sap-messages").len, 0);
    sap_mock_switch(desk.sap, SAP_MOCK_mark_read_only, 1);
    CHECK_INT(mock_desk_patch(&desk, "{\"WorkCenterPlant\":\"1010\"}"), 204);
    CHECK_HAS(mock_desk_header(&desk, odata_v4 ? "sap-messages" : "sap-message"),
              odata_v4 ? "\"numericSeverity\":3" : "\"severity\":\"warning\"");
    sap_mock_switch(desk.sap, SAP_MOCK_mark_read_only, 2);
    CHECK_INT(mock_desk_patch(&desk, "{\"WorkCenterPlant\":\"1010\"}"), 400);
    sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("PATCH"), .silent = true});
    CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"z\"}"), 204);
    CHECK_STR(mock_desk_value(&desk, "EquipmentName"), "a");
    CHECK_INT(mock_desk_effects(&desk), 3);
    mock_desk_close(&desk);
}

/* D1 */
TEST_V2_V4(zeros_in_front_of_a_number_do_not_count)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    sap_mock_switch(desk.sap, SAP_MOCK_pad_keys, 1);
    mock_desk_create(&desk);
    CHECK_HAS(desk.answer.body, "\"Equipment\":\"000000000010000000\"");
    CHECK_INT(mock_desk_get(&desk, desk.pump), 200);
    CHECK_INT(mock_desk_get(&desk, "~/Equipment?$filter=Equipment%20eq%20'010000000'&$top=2"), 200);
    CHECK_HAS(desk.answer.body, "000000000010000000");
    mock_desk_close(&desk);
}

/* D2 */
TEST_V2_V4(a_usage_period_that_ends_moves_the_row_to_another_date)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("GET"), .split = true});
    CHECK_INT(mock_desk_get(&desk, desk.pump), 404);
    CHECK_INT(mock_desk_get(&desk, "~/Equipment?$filter=Equipment%20eq%20'10000000'&$orderby="
                                   "ValidityEndDate%20desc&$top=1"),
              200);
    CHECK_HAS(desk.answer.body, odata_v4 ? "\"ValidityEndDate\":\"2027-11-23\""
                                         : "\"ValidityEndDate\":\"/Date(1826928000000)/\"");
    mock_desk_close(&desk);
}

/* D5 */
TEST_V2_V4(a_search_finds_none_one_or_two)
{
    struct mock_desk desk;
    struct header name = {STR("YY1_DEVICE_NAME"), STR("it's")};
    const char *search = odata_v4 ? "~/Equipment?$filter=YY1_DEVICE_NAME%20eq%20'it''s'%20and%20"
                                    "ValidityEndDate%20eq%209999-12-31&$top=2&$count=true"
                                  : "~/Equipment?$filter=YY1_DEVICE_NAME%20eq%20'it''s'%20and%20"
                                    "ValidityEndDate%20eq%20datetime'9999-12-31T00%3A00%3A00'"
                                    "&$top=2&$inlinecount=allpages";
    mock_desk_open(&desk, NULL);
    for (int count = 0; count <= 3; count++) {
        CHECK_INT(mock_desk_get(&desk, search), 200);
        CHECK_HAS(desk.answer.body, arena_printf(&desk.arena,
                                                 odata_v4 ? "\"@odata.count\":%d,\"value\":["
                                                          : "\"__count\":\"%d\",\"results\":[",
                                                 count)
                                        .s);
        struct str number = arena_printf(&desk.arena, "\"Equipment\":\"1000000%d\"", count - 1);
        CHECK(count == 0 || count > 2 ||
              memmem(desk.answer.body.s, desk.answer.body.len, number.s, number.len));
        sap_mock_row_put(desk.sap, desk.now_ms, STR(""), &name, 1);
    }
    mock_desk_close(&desk);
}

/* ---- errors ------------------------------------------------------------------------------------------------- */

/* E1 */
TEST_V2_V4(an_error_tells_all_that_is_wrong_in_the_form_of_its_version)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    CHECK_INT(
        mock_desk_ask(&desk, "POST", "~/Equipment", "{\"MaintenancePlant\":\"9z99\"}", NULL, 0),
        400);
    CHECK_HAS(desk.answer.body,
              odata_v4
                  ? "{\"error\":{\"code\":\"ZHB/002\",\"message\":\"Plant 9Z99 does not "
                    "exist\",\"target\":\"MaintenancePlant\",\"details\":[{\"code\":\"ZHB/003\""
                  : "{\"error\":{\"code\":\"ZHB/002\",\"message\":{\"lang\":\"en\",\"value\":"
                    "\"Plant 9Z99 does not exist\"}");
    CHECK_HAS(desk.answer.body, "\"target\":\"EquipmentCategory\"");
    CHECK_HAS(desk.answer.body,
              odata_v4 ? "\"@SAP__common.TransactionId\":\"0000" : "\"transactionid\":\"0000");
    CHECK_STR(mock_desk_header(&desk, odata_v4 ? "odata-version" : "dataserviceversion"),
              odata_v4 ? "4.0" : "1.0");
    static const struct {
        const char *type, *body;
    } forms[] = {{"application/xml", "<code>ZHB/002</code><message xml:lang=\"en\">Plant"},
                 {"text/html; charset=utf-8", "<p>Plant 9Z99 does not exist"},
                 {"text/plain; charset=utf-8", "Plant 9Z99 does not exist"},
                 {"application/octet-stream", ""},
                 {"application/json", "{\"error\":{\"code\":\"ZHB/002\""}};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        sap_mock_switch(desk.sap, SAP_MOCK_error_form, (int64_t)i + 1);
        CHECK_INT(
            mock_desk_ask(&desk, "POST", "~/Equipment", "{\"MaintenancePlant\":\"9z99\"}", NULL, 0),
            400);
        CHECK_STR(mock_desk_header(&desk, "content-type"), forms[i].type);
        CHECK_HAS(desk.answer.body, forms[i].body);
    }
    CHECK(desk.answer.body.s[desk.answer.body.len - 1] != '}');
    mock_desk_close(&desk);
}

/* E2 E4 */
TEST_V2_V4(changes_may_be_off_and_bodies_too_large)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    sap_mock_switch(desk.sap, SAP_MOCK_update_off, 405);
    CHECK_INT(mock_desk_patch(&desk, "{}"), 405);
    CHECK_HAS(desk.answer.body, "CX_SADL_ENTITY_CUD_DISABLED");
    sap_mock_switch(desk.sap, SAP_MOCK_update_off, 501);
    CHECK_INT(mock_desk_ask(&desk, "POST", "~/Equipment", "{}", NULL, 0), 501);
    sap_mock_switch(desk.sap, SAP_MOCK_update_off, 0);
    sap_mock_switch(desk.sap, SAP_MOCK_body_max, 10);
    CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"b\"}"), 413);
    CHECK_INT(mock_desk_get(&desk, SAP_MOCK_ROOT ";v=2/"), 403);
    CHECK_HAS(desk.answer.body, "/IWFND/MED/170");
    sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("PATCH"),
                                                 .status = 500,
                                                 .code = STR("VL/002"),
                                                 .message = STR("no predecessor")});
    CHECK_INT(mock_desk_patch(&desk, "{}"), 500);
    CHECK_HAS(desk.answer.body, "\"code\":\"VL/002\"");
    CHECK_INT(mock_desk_effects(&desk), 1);
    mock_desk_close(&desk);
}

/* E3 */
TEST_V2_V4(a_lock_is_told_in_the_way_of_the_switch)
{
    static const int statuses[] = {400, 409, 423, 500};
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        sap_mock_switch(desk.sap, SAP_MOCK_lock_status, statuses[i]);
        sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("PATCH"), .lock = true});
        CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"b\"}"), statuses[i]);
        CHECK_HAS(desk.answer.body, "Equipment 10000000 is locked by user MILLER");
    }
    CHECK_INT(mock_desk_effects(&desk), 1);
    mock_desk_close(&desk);
}

/* ---- time and load ---------------------------------------------------------------------------------------------- */

/* T1 */
TEST_V2_V4(retry_after_is_given_as_it_was_ordered)
{
    static const char *const headers[] = {"60", "Sun, 22 Nov 2026 09:37:00 GMT", "99999999999",
                                          "soon", ""};
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        sap_mock_fault(desk.sap, &(struct sap_fault){.status = i % 2 ? 503 : 429,
                                                     .retry_after = str_of(headers[i])});
        CHECK_INT(mock_desk_ask(&desk, "POST", "~/Equipment", "{}", NULL, 0), i % 2 ? 503 : 429);
        CHECK_STR(mock_desk_header(&desk, "retry-after"), headers[i]);
    }
    mock_desk_close(&desk);
}

/* T2 T4 */
TEST_V2_V4(what_is_lost_was_done_or_not_as_it_was_ordered)
{
    static const struct {
        struct sap_fault fault;
        int status, effects;
    } cases[] = {
        {{.drop = SAP_DROP_BEFORE}, 0, 0},
        {{.drop = SAP_DROP_AFTER}, 204, 1},
        {{.drop = SAP_DROP_HALF}, 204, 1},
        {{.delay_ms = 30000}, 204, 1},
        {{.status = 502}, 502, 0},
        {{.status = 502, .commit = true}, 502, 1},
        {{.status = 504}, 504, 0},
        {{.status = 504, .commit = true}, 504, 1},
        {{.status = 500, .content_type = {"text/html", 9}, .body = {"<html>ICM", 9}}, 500, 0},
        {{.status = 500,
          .commit = true,
          .content_type = {"text/html", 9},
          .body = {"<html>ICM", 9}},
         500,
         1},
    };
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    desk.etag = STR("*");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int before = mock_desk_effects(&desk);
        sap_mock_fault(desk.sap, &cases[i].fault);
        CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"b\"}"), cases[i].status);
        CHECK_INT(desk.answer.drop, cases[i].fault.drop);
        CHECK_INT(desk.answer.delay_ms, cases[i].fault.delay_ms);
        CHECK_INT(mock_desk_effects(&desk) - before, cases[i].effects);
        desk.etag = STR("*");
    }
    mock_desk_close(&desk);
}

/* ---- repeat ids ---------------------------------------------------------------------------------------------------- */

static int repeated(struct mock_desk *desk, bool gateway, const char *id, const char *body)
{
    struct header headers[] = {
        {STR("If-Match"), STR("*")},
        {gateway ? STR("RequestID") : STR("Repeatability-Request-ID"), str_of(id)},
        {STR("Prefer"), STR("return=minimal")}};
    return mock_desk_ask(desk, "PATCH", desk->pump, body, headers, 3);
}

/* R1 R2 R3: an id has one effect and one answer, a failure too */
TEST_V2_V4(a_known_id_gets_the_first_answer_again_success_and_failure)
{
    for (int gateway = 0; gateway < 2; gateway++) {
        const char *result = gateway ? "RepeatabilityResult" : "Repeatability-Result";
        struct mock_desk desk;
        mock_desk_open(&desk, NULL);
        sap_mock_switch(desk.sap, gateway ? SAP_MOCK_repeat_gateway : SAP_MOCK_repeat_oasis, 1);
        mock_desk_create(&desk);
        for (int i = 0; i < 2; i++) {
            CHECK_INT(repeated(&desk, gateway, "a", "{\"EquipmentName\":\"b\"}"), 204);
            CHECK_STR(mock_desk_header(&desk, result), "accepted");
            CHECK_INT(repeated(&desk, gateway, "b", "{\"MaintenancePlant\":\"9\"}"), 400);
            CHECK_HAS(desk.answer.body, "Plant 9 does not exist");
        }
        CHECK_INT(mock_desk_effects(&desk), 2);
        CHECK_INT(repeated(&desk, gateway, "a", "{\"EquipmentName\":\"c\"}"), 400);
        sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("PATCH"), .late_ms = 5000});
        (void)repeated(&desk, gateway, "c", "{\"EquipmentName\":\"d\"}");
        CHECK_INT(repeated(&desk, gateway, "c", "{\"EquipmentName\":\"d\"}"), 409);
        CHECK_STR(mock_desk_header(&desk, result), "accepted");
        desk.now_ms += 5000;
        CHECK_INT(repeated(&desk, gateway, "c", "{\"EquipmentName\":\"d\"}"), 204);
        CHECK_INT(mock_desk_effects(&desk), 3);
        desk.now_ms += 43200001;
        mock_desk_logon(&desk);
        CHECK_INT(repeated(&desk, gateway, "a", "{\"EquipmentName\":\"b\"}"), gateway ? 400 : 412);
        CHECK_HAS(gateway ? desk.answer.body : mock_desk_header(&desk, result),
                  gateway ? "/IWBEP/CM_COS/005" : "rejected");
        CHECK_INT(mock_desk_effects(&desk), 3);
        mock_desk_close(&desk);
    }
}

/* R4 */
TEST_V2_V4(ids_may_be_ignored_unsupported_or_not_configured)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    CHECK_INT(repeated(&desk, true, "a", "{\"EquipmentName\":\"b\"}"), 204);
    CHECK_INT(repeated(&desk, false, "a", "{\"EquipmentName\":\"c\"}"), 204);
    CHECK_INT(mock_desk_header(&desk, "repeatability-result").len, 0);
    CHECK_INT(mock_desk_effects(&desk), 3);
    sap_mock_switch(desk.sap, SAP_MOCK_repeat_gateway, 2);
    CHECK_INT(repeated(&desk, true, "a", "{}"), 400);
    CHECK_STR(mock_desk_header(&desk, "RepeatabilityResult"), "unsupported");
    sap_mock_switch(desk.sap, SAP_MOCK_repeat_gateway, 3);
    CHECK_INT(repeated(&desk, true, "a", "{}"), 400);
    CHECK_HAS(desk.answer.body, "/IWBEP/CM_COS/001");
    CHECK_INT(mock_desk_effects(&desk), 3);
    mock_desk_close(&desk);
}

/* ---- the description of the service ------------------------------------------------------------------------------------ */

TEST_V2_V4(the_metadata_and_the_root_are_those_of_the_version)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    CHECK_INT(mock_desk_get(&desk, "~/$metadata"), 200);
    CHECK_STR(mock_desk_header(&desk, "content-type"), "application/xml");
    CHECK_HAS(desk.answer.body,
              odata_v4 ? "<edmx:Edmx Version=\"4.0\"" : "<edmx:Edmx Version=\"1.0\"");
    CHECK_HAS(desk.answer.body,
              odata_v4 ? "<Property Name=\"OperationStartDate\" Type=\"Edm.Date\"/>"
                       : "<Property Name=\"OperationStartDate\" Type=\"Edm.DateTime\"/>");
    CHECK_HAS(desk.answer.body, odata_v4 ? "<Annotations Target=\"SAP__self.EquipmentType/"
                                           "EquipmentCategory\"><Annotation "
                                           "Term=\"SAP__core.Immutable\"/>"
                                         : "sap:updatable=\"false\"");
    CHECK_INT(mock_desk_get(&desk, "~/"), 200);
    CHECK_HAS(desk.answer.body, odata_v4 ? "\"kind\":\"EntitySet\"" : "{\"d\":{\"EntitySets\":");
    mock_desk_close(&desk);
}
