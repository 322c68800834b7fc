/* The mock itself: what the connector's tests rely on. The rows of the conformance list stand in test_mock_rows.c. */
#include "base/text.h"
#include "mock_desk.h"

#define ROOT SAP_MOCK_ROOT
#define NOW DESK_NOW_MS

TEST(a_search_takes_terms_an_order_a_top_and_a_selection)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    for (int i = 0; i < 5; i++) {
        struct header values[] = {{STR("YY1_DEVICE_NAME"), STR("same")},
                                  {STR("EquipmentName"), arena_printf(&desk.arena, "n%d", i % 3)},
                                  {STR("InventoryNumber"), STR("it's")}};
        sap_mock_row_put(desk.sap, NOW, STR(""), values, 3);
    }
    CHECK_INT(
        mock_desk_ask(&desk, "GET",
                      ROOT "/Equipment?$filter=YY1_DEVICE_NAME%20eq%20'same'%20and%20EquipmentName%"
                           "20eq%20'n0'&$select=Equipment,EquipmentName",
                      "", NULL, 0),
        200);
    CHECK_HAS(desk.answer.body, "10000000");
    CHECK_HAS(desk.answer.body, "10000003");
    CHECK_HAS_NOT(desk.answer.body, "10000001");
    CHECK_HAS_NOT(desk.answer.body, "InventoryNumber");
    CHECK_INT(
        mock_desk_ask(
            &desk, "GET",
            ROOT
            "/Equipment?$filter=InventoryNumber+eq+'it%27%27s'&$orderby=EquipmentName+desc&$top=1",
            "", NULL, 0),
        200);
    CHECK_HAS(desk.answer.body, "10000002");
    CHECK_HAS_NOT(desk.answer.body, "10000000");
    CHECK_INT(mock_desk_ask(&desk, "GET",
                            ROOT "/Equipment?$filter=Equipment%20eq%20'0010000002'&$select=*", "",
                            NULL, 0),
              200);
    CHECK_HAS(desk.answer.body, "\"EquipmentName\":\"n2\"");
    CHECK_INT(mock_desk_get(&desk,
                            ROOT "/Equipment?$filter=((YY1_DEVICE_NAME%20eq%20'same')%20and%20"
                                 "(EquipmentName%20eq%20'n1'))"),
              200);
    CHECK_HAS(desk.answer.body, "\"Equipment\":\"10000001\"");
    static const char *const bad[] = {"$filter=Nope%20eq%20'1'",
                                      "$filter=EquipmentName%20gt%20'1'",
                                      "$filter=EquipmentName%20eq%20'1",
                                      "$filter=x",
                                      "$filter=(EquipmentName%20eq%20'1'",
                                      "$filter=EquipmentName%20eq%20'1')",
                                      "$filter=EquipmentName%20eq%20'1'%20and%20",
                                      "$top=-1",
                                      "$top=x",
                                      "$expand=a",
                                      "$orderby=Nope",
                                      "$filter=%zz",
                                      "$filter=Equipment%20eq%20'1'%20or%20Equipment%20eq%20'2'"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_INT(mock_desk_get(&desk, arena_printf(&desk.arena, ROOT "/Equipment?%s", bad[i]).s),
                  400);
    }
    mock_desk_close(&desk);
}

/* T2 R1 R2: the log says of each effect exactly one line, whatever was answered */
TEST(a_late_execution_happens_at_its_time_and_is_logged_where_it_came_in)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    sap_mock_switch(desk.sap, SAP_MOCK_repeat_oasis, 1);
    sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("PATCH"), .late_ms = 5000});
    struct str first = desk.etag;
    struct header headers[] = {{STR("x-csrf-token"), desk.token},
                               {STR("Cookie"), desk.cookie},
                               {STR("If-Match"), first},
                               {STR("Repeatability-Request-ID"), STR("id-1")}};
    struct request request = {.method = STR("PATCH"),
                              .target = arena_printf(&desk.arena, ROOT "%s", desk.pump + 1),
                              .headers = headers,
                              .header_count = 4,
                              .body = STR("{\"EquipmentName\":\"late\"}")};
    sap_mock_handle(desk.sap, &desk.arena, NOW, &request, &desk.answer);
    CHECK_INT(desk.answer.drop, SAP_DROP_AFTER);
    sap_mock_handle(desk.sap, &desk.arena, NOW + 1000, &request, &desk.answer);
    CHECK_INT(desk.answer.status, 409);
    CHECK_STR(sap_mock_row_value(desk.sap, 0, "EquipmentName"), "a");
    sap_mock_advance(desk.sap, NOW + 4999);
    CHECK_STR(sap_mock_row_value(desk.sap, 0, "EquipmentName"), "a");
    sap_mock_advance(desk.sap, NOW + 5000);
    CHECK_STR(sap_mock_row_value(desk.sap, 0, "EquipmentName"), "late");
    sap_mock_handle(desk.sap, &desk.arena, NOW + 6000, &request, &desk.answer);
    CHECK_INT(desk.answer.status, 204);
    CHECK_STR(mock_desk_header(&desk, "repeatability-result"), "accepted");
    request.body = STR("{}");
    sap_mock_handle(desk.sap, &desk.arena, NOW + 6000, &request, &desk.answer);
    CHECK_INT(desk.answer.status, 400);
    request.body = STR("{\"EquipmentName\":\"late\"}");
    sap_mock_handle(desk.sap, &desk.arena, NOW + 6000 + 43200000, &request, &desk.answer);
    size_t count = sap_mock_log_count(desk.sap);
    CHECK_INT(sap_mock_log_at(desk.sap, count - 5)->effect, 1);
    CHECK_INT(sap_mock_log_at(desk.sap, count - 5)->at_ms, NOW);
    CHECK(sap_mock_log_at(desk.sap, count - 5)->late);
    CHECK_STR(sap_mock_log_at(desk.sap, count - 5)->name, "pump");
    CHECK(!sap_mock_log_at(desk.sap, count - 3)->effect &&
          sap_mock_log_at(desk.sap, count - 3)->replayed);
    mock_desk_close(&desk);
}

TEST(a_late_execution_with_a_stale_etag_has_no_effect)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    sap_mock_fault(desk.sap,
                   &(struct sap_fault){.method = STR("PATCH"), .late_ms = 5000, .status = 502});
    CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"first\"}"), 502);
    CHECK_INT(mock_desk_patch(&desk, "{\"EquipmentName\":\"second\"}"), 204);
    sap_mock_advance(desk.sap, NOW + 5000);
    CHECK_STR(sap_mock_row_value(desk.sap, 0, "EquipmentName"), "second");
    mock_desk_close(&desk);
}

TEST(faults_wait_for_their_turn)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    mock_desk_create(&desk);
    sap_mock_fault(desk.sap, &(struct sap_fault){.method = STR("READ"),
                                                 .match = STR("Equipment("),
                                                 .skip = 1,
                                                 .times = 2,
                                                 .status = 503,
                                                 .retry_after = STR("7")});
    CHECK_INT(mock_desk_patch(&desk, "{}"), 204);
    CHECK_INT(mock_desk_get(&desk, ROOT "/"), 200);
    CHECK_INT(mock_desk_get(&desk, desk.pump), 200);
    CHECK_INT(mock_desk_get(&desk, desk.pump), 503);
    CHECK_STR(mock_desk_header(&desk, "retry-after"), "7");
    CHECK_INT(sap_mock_faults_left(desk.sap), 1);
    CHECK_INT(mock_desk_get(&desk, desk.pump), 503);
    CHECK_INT(sap_mock_faults_left(desk.sap), 0);
    CHECK_INT(mock_desk_get(&desk, desk.pump), 200);
    mock_desk_close(&desk);
}

TEST(magic_names_choose_the_answer)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    sap_mock_switch(desk.sap, SAP_MOCK_magic_names, 1);
    CHECK_INT(mock_desk_ask(&desk, "POST", ROOT "/Equipment", "{\"YY1_DEVICE_NAME\":\"reject-1\"}",
                            NULL, 0),
              400);
    CHECK_INT(mock_desk_ask(&desk, "POST", ROOT "/Equipment", "{\"YY1_DEVICE_NAME\":\"lock-1\"}",
                            NULL, 0),
              400);
    CHECK_HAS(desk.answer.body, "locked by");
    (void)mock_desk_ask(&desk, "POST", ROOT "/Equipment",
                        "{\"EquipmentCategory\":\"M\",\"YY1_DEVICE_NAME\":\"timeout-1\"}", NULL, 0);
    CHECK_INT(desk.answer.drop, SAP_DROP_AFTER);
    CHECK_INT(sap_mock_row_count(desk.sap), 1);
    mock_desk_close(&desk);
}

TEST(the_controls_do_what_they_say)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    CHECK_INT(mock_desk_ask(&desk, "POST", "/_mock/switches", "{\"csrf\":0,\"update_status\":200}",
                            NULL, 0),
              200);
    CHECK_INT(sap_mock_switched(desk.sap, SAP_MOCK_csrf), 0);
    CHECK_INT(mock_desk_ask(&desk, "POST", "/_mock/switches", "{\"nope\":0}", NULL, 0), 400);
    CHECK_INT(mock_desk_ask(&desk, "POST", "/_mock/rows",
                            "{\"YY1_DEVICE_NAME\":\"x\",\"EquipmentName\":\"a\\\"b\"}", NULL, 0),
              200);
    CHECK_INT(mock_desk_ask(&desk, "POST", "/_mock/rows", "{\"Nope\":\"x\"}", NULL, 0), 400);
    CHECK_INT(mock_desk_get(&desk, "/_mock/rows"), 200);
    CHECK_STR(
        desk.answer.body,
        "{\"ValidityEndDate\":\"9999-12-31\",\"Equipment\":\"10000000\",\"EquipmentCategory\":"
        "\"M\",\"YY1_DEVICE_NAME\":\"x\",\"EquipmentName\":\"a\\\"b\"}\n");
    struct str row = sap_mock_row_json(desk.sap, &desk.arena, 0);
    CHECK_INT(mock_desk_ask(&desk, "POST", "/_mock/faults",
                            "[{\"method\":\"GET\",\"status\":500},{\"drop\":\"half\"}]", NULL, 0),
              200);
    CHECK_INT(sap_mock_faults_left(desk.sap), 2);
    CHECK_INT(mock_desk_ask(&desk, "POST", "/_mock/faults", "{\"nope\":1}", NULL, 0), 400);
    CHECK_INT(mock_desk_ask(&desk, "DELETE", "/_mock/faults", "", NULL, 0), 200);
    CHECK_INT(mock_desk_get(&desk, ROOT "/"), 200);
    CHECK_INT(mock_desk_get(&desk, "/_mock/log?after=1"), 200);
    CHECK_HAS(desk.answer.body, "{\"no\":2,");
    CHECK_HAS_NOT(desk.answer.body, "\"no\":1,");
    CHECK_INT(mock_desk_ask(&desk, "POST", "/_mock/reset", "", NULL, 0), 200);
    CHECK_INT(sap_mock_row_count(desk.sap), 0);
    CHECK_INT(sap_mock_log_count(desk.sap), 0);
    CHECK(sap_mock_row_load(desk.sap, &desk.arena, NOW, row));
    CHECK_BYTES(sap_mock_row_json(desk.sap, &desk.arena, 0), row);
    CHECK(!sap_mock_row_load(desk.sap, &desk.arena, NOW, STR("{\"Nope\":1}")));
    mock_desk_close(&desk);
}

TEST(forty_thousand_rows_are_found_at_once)
{
    struct mock_desk desk;
    mock_desk_open(&desk, NULL);
    for (int i = 0; i < 40000; i++) {
        struct header value = {STR("YY1_DEVICE_NAME"), arena_printf(&desk.arena, "device %d", i)};
        sap_mock_row_put(desk.sap, NOW, STR(""), &value, 1);
    }
    for (int i = 0; i < 40000; i += 7) {
        CHECK_INT(sap_mock_row_find(desk.sap, arena_printf(&desk.arena, "device %d", i)), i);
    }
    CHECK_INT(sap_mock_row_find(desk.sap, STR("device 40000")), -1);
    mock_desk_close(&desk);
}
