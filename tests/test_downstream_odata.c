/* The connector against the mock in process: each row of the conformance list that it covers is named. */
#include "fixture_sap.h"

/* S1 W2: HEAD gives token and cookies; the number comes from the body */
TEST_V2_V4(a_first_delivery_creates_the_equipment_and_learns_its_number)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    CHECK_STR(ref, "10000000");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "EquipmentName"), "Pump 7");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "ManufacturerSerialNumber"), "AB-1");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "GrossWeight"), "12.500");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "GrossWeightUnit"), "KG");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "OperationStartDate"), "-152668800000");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "MaintenancePlant"), "1010");
    CHECK_INT(fixture_sap_effects(&fixture), 1);
    fixture_sap_close(&fixture);
}

/* C1 W1: an update carries the ETag that was read, and only what differs */
TEST_V2_V4(a_later_delivery_patches_what_differs_with_the_etag_it_read)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    struct outcome outcome = fixture_sap_deliver(
        &fixture, "Pump-7", DOC_PUMP, "{\"description\":\"Pump 8\",\"serial\":\"ab-1\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK_STR(
        fixture.lease.body.bytes,
        "{\"EquipmentName\":\"Pump "
        "8\",\"GrossWeight\":\"0.000\",\"OperationStartDate\":null,\"MaintenancePlant\":\"\"}");
    const struct sap_log *line = fixture_sap_last_write(&fixture);
    CHECK_STR(line->method, "PATCH");
    CHECK_HAS(line->if_match, "W/\"datetime'");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "EquipmentName"), "Pump 8");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "GrossWeight"), "0.000");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "OperationStartDate"), "");
    CHECK_HAS(outcome.data, "\"before\":{\"EquipmentName\":\"Pump 7\"");
    fixture_sap_close(&fixture);
}

/* D1: upper case, padded numbers are no difference */
TEST_V2_V4(what_sap_already_has_is_not_written)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_pad_keys, 1);
    struct str ref = fixture_sap_create(&fixture);
    CHECK_STR(ref, "000000000010000000");
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, ref.s);
    CHECK_STR(outcome.code, "ALREADY");
    CHECK_INT(outcome.class, OUTCOME_SAME);
    CHECK_INT(outcome.sent_at_ms, 0);
    outcome = fixture_sap_deliver(&fixture, "pump-7", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "ALREADY");
    CHECK_INT(fixture_sap_writes(&fixture), 1);
    fixture_sap_close(&fixture);
}

/* S3: a session that ended is made anew, once, in the same delivery */
TEST_V2_V4(an_expired_session_costs_one_replay_and_no_second_effect)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("WRITE"), .expire = true});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"room\":\"B12\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK_INT(fixture_sap_effects(&fixture), 2);
    CHECK_INT(fixture_sap_writes(&fixture), 3);
    sap_mock_fault(fixture.sap,
                   &(struct sap_fault){.method = STR("WRITE"), .expire = true, .times = 2});
    outcome =
        fixture_sap_deliver(&fixture, "Pump-7", "{\"room\":\"B12\"}", "{\"room\":\"B13\"}", ref.s);
    CHECK_STR(outcome.code, "CONFIG");
    CHECK_INT(outcome.class, OUTCOME_STOP);
    CHECK_INT(fixture_sap_effects(&fixture), 2);
    fixture_sap_close(&fixture);
}

/* S5: no token on HEAD, or with an error status */
TEST_V2_V4(a_token_is_taken_from_get_and_from_an_error_status)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_token_on_head, 0);
    (void)fixture_sap_create(&fixture);
    sap_mock_expire(fixture.sap);
    sap_mock_switch(fixture.sap, SAP_MOCK_token_on_head, 1);
    sap_mock_switch(fixture.sap, SAP_MOCK_token_status, 503);
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-8", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "DONE");
    fixture_sap_close(&fixture);
}

/* S6: a redirect to another host is not followed */
TEST_V2_V4(a_redirect_stops_the_downstream)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_redirect_away, 1);
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
    CHECK_INT(outcome.class, OUTCOME_STOP);
    CHECK_STR(outcome.code, "CONFIG");
    CHECK(!outcome.auth);
    fixture_sap_close(&fixture);
}

static char *with_basic(void)
{
    return fixture_sap_mapping(
        "{\"type\":\"none\"}",
        "{\"type\":\"basic\",\"user\":\"secret:sap/user\",\"password\":\"secret:sap/password\"}");
}

/* S7 P2: one failed logon is enough; SAP locks the user after three */
TEST_V2_V4(a_refused_logon_stops_at_once_and_is_never_called_success)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, with_basic(), &fixture_sap_guarded);
    CHECK(fixture.downstream->credentials_sha.len == 64);
    (void)fixture_sap_create(&fixture);
    fixture.password = STR("wrong");
    sap_mock_expire(fixture.sap);
    fixture_sap_close(&fixture);
    for (int html = 0; html < 2; html++) {
        fixture_sap_open(&fixture, with_basic(), &fixture_sap_guarded);
        fixture.password = STR("wrong");
        sap_mock_switch(fixture.sap, SAP_MOCK_logon_html, html);
        struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
        CHECK_STR(outcome.code, "AUTH");
        CHECK_INT(outcome.class, OUTCOME_STOP);
        CHECK(outcome.auth);
        CHECK_INT(sap_mock_log_count(fixture.sap), 1);
        CHECK_HAS_NOT(outcome.data, "wrong");
        downstream_check(fixture.downstream, &fixture.call, &fixture.world, &outcome);
        CHECK_STR(outcome.code, "AUTH");
        fixture_sap_close(&fixture);
    }
}

TEST_V2_V4(a_check_makes_one_round_trip_and_writes_nothing)
{
    struct fixture_sap fixture;
    struct outcome outcome;
    fixture_sap_open(&fixture, with_basic(), &fixture_sap_guarded);
    downstream_check(fixture.downstream, &fixture.call, &fixture.world, &outcome);
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    CHECK_INT(sap_mock_log_count(fixture.sap), 1);
    CHECK_INT(fixture_sap_writes(&fixture), 0);
    fixture_sap_close(&fixture);
}

/* C2: changed between read and write */
TEST_V2_V4(a_change_between_read_and_write_is_a_conflict_without_effect)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"), .touch = true});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "CONFLICT");
    CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
    CHECK(outcome.counts);
    CHECK_INT(fixture_sap_effects(&fixture), 1);
    outcome = fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    fixture_sap_close(&fixture);
}

/* C1: 428, and 412 although nothing was sent, teach the connector to send an ETag */
TEST_V2_V4(a_service_that_wants_if_match_gets_it_from_the_next_delivery_on)
{
    struct fixture_sap fixture;
    fixture_sap_open(
        &fixture,
        fixture_sap_mapping("\"concurrency\":\"etag\",\"read_before_write\":true",
                            "\"concurrency\":\"overwrite\",\"read_before_write\":false"),
        NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(
        fixture.sap,
        &(struct sap_fault){.method = STR("PATCH"), .status = 428, .message = STR("read first")});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "PRECONDITION");
    CHECK_STR(fixture_sap_last_write(&fixture)->if_match, "*");
    outcome = fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK_HAS(fixture_sap_last_write(&fixture)->if_match, "W/");
    fixture_sap_close(&fixture);
}

/* W1: MERGE and the tunnel are V2's, PATCH is in both; 204, or 200 with a body */
TEST(merge_and_tunnel_and_a_200_are_as_good_as_patch)
{
    for (int i = 0; i < 2; i++) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture,
                         fixture_sap_mapping("\"verb\":\"PATCH\"",
                                             i ? "\"verb\":\"tunnel\"" : "\"verb\":\"MERGE\""),
                         NULL);
        sap_mock_switch(fixture.sap, SAP_MOCK_update_status, 200);
        struct str ref = fixture_sap_create(&fixture);
        struct outcome outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_STR(outcome.code, "DONE");
        CHECK_STR(fixture_sap_last_write(&fixture)->method, i ? "POST" : "MERGE");
        CHECK_STR(fixture_sap_value(&fixture, "pump-7", "EquipmentName"), "x");
        fixture_sap_close(&fixture);
    }
}

TEST_V2_V4(an_update_is_done_whether_its_answer_is_204_or_the_entity)
{
    for (int status = 200; status <= 204; status += 4) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture, "", NULL);
        sap_mock_switch(fixture.sap, SAP_MOCK_update_status, status);
        struct str ref = fixture_sap_create(&fixture);
        struct outcome outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_STR(outcome.code, "DONE");
        CHECK_INT(fixture_sap_last_write(&fixture)->status, status);
        CHECK_STR(fixture_sap_last_write(&fixture)->method, "PATCH");
        CHECK_STR(fixture_sap_value(&fixture, "pump-7", "EquipmentName"), "x");
        fixture_sap_close(&fixture);
    }
}

/* W2: a Location may be relative, wrong, empty or missing */
TEST_V2_V4(the_number_of_a_created_equipment_comes_from_the_body)
{
    for (int location = 0; location <= 4; location++) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture, "", NULL);
        sap_mock_switch(fixture.sap, SAP_MOCK_location, location);
        CHECK_STR(fixture_sap_create(&fixture), "10000000");
        fixture_sap_close(&fixture);
    }
}

/* D2: the row that is valid for ever ended; the newest one counts */
TEST_V2_V4(a_usage_period_that_ended_leads_to_the_newest_row)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(
        fixture.sap,
        &(struct sap_fault){.method = STR("GET"), .match = STR("Equipment("), .split = true});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK_INT(fixture_sap_effects(&fixture), 2);
    CHECK_INT(sap_mock_row_count(fixture.sap), 1);
    CHECK_HAS(fixture_sap_last_write(&fixture)->target, "2027-11-23");
    fixture_sap_close(&fixture);
}

/* D3: SAP says 204 and changes nothing */
TEST_V2_V4(a_field_that_sap_ignores_is_named_and_opens_no_loop)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"), .silent = true});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "SILENT_NOOP");
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    CHECK_HAS(outcome.data, "EquipmentName");
    fixture_sap_close(&fixture);
}

/* D4: messages of a success */
TEST_V2_V4(an_error_message_on_a_success_is_unsure_and_a_warning_is_not)
{
    static const struct {
        const char *severity, *code;
    } cases[] = {{"info", "DONE"}, {"warning", "DONE"}, {"error", "NEEDS_ATTENTION"}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture, "", NULL);
        struct str ref = fixture_sap_create(&fixture);
        struct str message =
            odata_v4
                ? arena_printf(&fixture.arena,
                               "[{\"code\":\"A/1\",\"message\":\"look here\","
                               "\"numericSeverity\":%zu},"
                               "{\"code\":\"A/0\",\"message\":\"fine\",\"numericSeverity\":1}]",
                               i + 2)
                : arena_printf(&fixture.arena,
                               "{\"code\":\"A/1\",\"message\":\"look here\",\"severity\":\"%s\"}",
                               cases[i].severity);
        sap_mock_fault(fixture.sap,
                       &(struct sap_fault){.method = STR("PATCH"), .sap_message = message});
        struct outcome outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_STR(outcome.code, cases[i].code);
        CHECK_HAS(outcome.data, "look here");
        fixture_sap_close(&fixture);
    }
}

/* D5: one hit, none, two */
TEST_V2_V4(the_search_adopts_one_creates_for_none_and_refuses_two)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct header named[] = {{STR("YY1_DEVICE_NAME"), STR("valve")},
                             {STR("AssetRoom"), STR("OLD")}};
    sap_mock_row_put(fixture.sap, FIXTURE_NOW_MS, STR("4711"), named, 2);
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Valve", "", "{\"description\":\"mine\"}", "");
    CHECK_STR(outcome.code, "DONE");
    CHECK_STR(outcome.ref, "4711");
    CHECK_STR(fixture_sap_value(&fixture, "valve", "AssetRoom"), "");
    sap_mock_row_put(fixture.sap, FIXTURE_NOW_MS, STR("4712"), named, 2);
    outcome = fixture_sap_deliver(&fixture, "Valve", "", "{\"description\":\"other\"}", "");
    CHECK_STR(outcome.code, "PERMANENT");
    CHECK_INT(outcome.class, OUTCOME_REJECTED);
    fixture_sap_close(&fixture);
}

/* A stale reference: the search finds the device again; with a diff only, a lost device waits for a full body */
TEST_V2_V4(a_lost_equipment_is_made_again_only_from_a_full_body)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", "{}", "{\"description\":\"x\"}", "999");
    CHECK_STR(outcome.code, "MISSING");
    CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
    CHECK(outcome.full_next && outcome.ref_clear && !outcome.counts);
    CHECK_INT(fixture_sap_writes(&fixture), 0);
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "", "{\"description\":\"x\"}", "999");
    CHECK_STR(outcome.code, "DONE");
    CHECK_STR(outcome.ref, "10000000");
    fixture_sap_close(&fixture);
}

/* The reference leads nowhere and another entity has the name: a difference to what the old one held would leave it half */
TEST_V2_V4(an_equipment_that_took_the_place_of_another_gets_a_full_body)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct header named = {STR("YY1_DEVICE_NAME"), STR("pump-7")};
    sap_mock_row_put(fixture.sap, FIXTURE_NOW_MS, STR("4711"), &named, 1);
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "{\"room\":\"B1\"}",
                                                 "{\"room\":\"B1\",\"serial\":\"S\"}", "999");
    CHECK_STR(outcome.code, "MISSING");
    CHECK(outcome.full_next && outcome.ref_clear);
    CHECK_INT(fixture_sap_writes(&fixture), 0);
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "", "{\"room\":\"B1\",\"serial\":\"S\"}", "");
    CHECK_STR(outcome.code, "DONE");
    CHECK_STR(outcome.ref, "4711");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "AssetRoom"), "B1");
    fixture_sap_close(&fixture);
}

/* E1: errors of every shape; the status speaks even where the body cannot be read */
TEST_V2_V4(a_business_error_is_rejected_with_pointers)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", "", "{\"site\":\"nowhere\"}", "");
    CHECK_INT(outcome.class, OUTCOME_REJECTED);
    CHECK_STR(outcome.pointers,
              "[{\"pointer\":\"/attributes/site\",\"detail\":\"Plant 9Z99 does not exist\"}]");
    CHECK_HAS(outcome.data, "\"transaction_id\":\"");
    static const struct {
        const char *type, *body, *code;
        int status;
    } cases[] = {
        {"application/xml",
         "<error><code>A/1</code><message xml:lang=\"en\">no &amp; no</message></error>",
         "PERMANENT", 400},
        {"text/plain", "just no", "PERMANENT", 422},
        {"application/json", "{\"error\":{\"code\":", "PERMANENT", 400},
        {"application/json", "\xff\xfe", "PERMANENT", 400},
        {"text/html", "<html>timeout</html>", "AMBIGUOUS", 500},
        {"application/json",
         "{\"error\":{\"code\":\"VL/002\",\"message\":{\"value\":\"predecessor\"}}}",
         "RETRY_LIMITED", 500},
        {"application/json", "{\"error\":{\"code\":\"/IWFND/MED/170\",\"message\":\"\"}}", "CONFIG",
         403},
        {"application/json",
         "{\"error\":{\"code\":\"CX_SADL_ENTITY_CUD_DISABLED\",\"message\":\"\"}}", "CONFIG", 405},
        {"text/plain", "", "CONFIG", 501},
        {"text/plain", "", "TOO_LARGE", 413},
        {"application/json",
         "{\"error\":{\"code\":\"X\",\"message\":{\"value\":\"Equipment is Locked By user "
         "MILLER\"}}}",
         "LOCKED", 400},
        {"application/json",
         "{\"error\":{\"code\":\"X\",\"message\":{\"value\":\"being processed by\"}}}", "LOCKED",
         500},
        {"text/plain", "", "LOCKED", 409},
        {"text/plain", "", "LOCKED", 423},
        {"text/html", "<html>bad gateway</html>", "AMBIGUOUS", 502},
        {"text/html", "<html>late</html>", "AMBIGUOUS", 504},
        {"text/html", "<html>Logon</html>", "AUTH", 200},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sap_mock_fault(fixture.sap,
                       &(struct sap_fault){.method = STR("POST"),
                                           .status = cases[i].status,
                                           .content_type = str_of(cases[i].type),
                                           .body = str_of(cases[i].body[0] ? cases[i].body : " ")});
        outcome = fixture_sap_deliver(&fixture, "Pump-9", "", DOC_PUMP, "");
        if (!str_is(outcome.code, cases[i].code)) {
            FAIL("case %zu is " STR_FMT, i, STR_ARG(outcome.code));
        }
    }
    CHECK_INT(fixture_sap_effects(&fixture), 0);
    fixture_sap_close(&fixture);
}

/* T1: the whole downstream rests as long as it asked for, at most an hour */
TEST_V2_V4(retry_after_is_seconds_or_a_date_and_never_absurd)
{
    static const struct {
        const char *header;
        int64_t pause_ms;
    } cases[] = {{"60", 60000},
                 {"Sun, 22 Nov 2026 09:37:00 GMT", 120000},
                 {"", 0},
                 {"soon", 0},
                 {"-5", 0},
                 {"99999999999", 3600000},
                 {"Sun, 22 Nov 2020 09:37:00 GMT", 0}};
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        sap_mock_fault(fixture.sap,
                       &(struct sap_fault){.method = STR("POST"),
                                           .status = i % 2 ? 429 : 503,
                                           .message = STR("no"),
                                           .retry_after = str_of(cases[i / 2].header)});
        struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
        CHECK_STR(outcome.code, "THROTTLED");
        CHECK(outcome.refused && outcome.counts);
        CHECK_INT(outcome.pause_until_ms,
                  cases[i / 2].pause_ms ? FIXTURE_NOW_MS + cases[i / 2].pause_ms : 0);
    }
    fixture_sap_close(&fixture);
}

/* T2 T4 P2: whatever breaks around a commit, a read tells */
TEST_V2_V4(a_connection_that_breaks_after_the_commit_is_unsure_and_read_back_as_done)
{
    static const struct sap_fault faults[] = {
        {.method = {"PATCH", 5}, .delay_ms = 66000},
        {.method = {"PATCH", 5}, .drop = SAP_DROP_HALF, .status = 200, .commit = true},
        {.method = {"PATCH", 5}, .status = 502, .commit = true},
        {.method = {"PATCH", 5}, .status = 504, .commit = true},
        {.method = {"PATCH", 5},
         .status = 500,
         .commit = true,
         .content_type = {"text/html", 9},
         .body = {"<html>", 6}},
    };
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture, "", NULL);
        struct str ref = fixture_sap_create(&fixture);
        sap_mock_fault(fixture.sap, &faults[i]);
        struct outcome outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        if (faults[i].drop ==
            SAP_DROP_HALF) { /* the living sender sent again, was refused, and saw its values */
            CHECK_STR(outcome.code, "DONE");
        } else {
            CHECK_STR(outcome.code, "AMBIGUOUS");
            CHECK_INT(outcome.class, OUTCOME_UNSURE);
        }
        CHECK_INT(fixture_sap_effects(&fixture), 2);
        CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_EFFECT);
        fixture_sap_close(&fixture);
    }
}

/* T2: nothing was executed: the living sender sends once more with the same ETag */
TEST_V2_V4(a_reset_before_the_commit_is_mended_by_one_re_send_that_owns_up_to_the_first)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap,
                   &(struct sap_fault){.method = STR("PATCH"), .drop = SAP_DROP_BEFORE});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK(outcome.re_sent && !outcome.repeat_confirmed);
    CHECK_INT(outcome.earlier_sent_at_ms, FIXTURE_NOW_MS);
    CHECK_INT(fixture_sap_effects(&fixture), 2);
    sap_mock_fault(fixture.sap, &(struct sap_fault){
                                    .method = STR("PATCH"), .drop = SAP_DROP_BEFORE, .times = 2});
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "{\"description\":\"x\"}",
                                  "{\"description\":\"y\"}", ref.s);
    CHECK_STR(outcome.code, "AMBIGUOUS");
    CHECK(outcome.re_sent);
    outcome = fixture_sap_read_back(&fixture);
    CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
    CHECK(!outcome.partial);
    fixture_sap_close(&fixture);
}

/* T2: a refusal of the re-send says nothing about the first send, which commits later */
TEST_V2_V4(a_late_commit_is_found_by_reading_back)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"), .late_ms = 300000});
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"),
                                                    .status = 400,
                                                    .message = STR("locked by MILLER")});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_INT(outcome.class, OUTCOME_UNSURE);
    CHECK(outcome.re_sent);
    CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_NO_EFFECT);
    clock_manual_advance(&fixture.clock, 300000);
    CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_EFFECT);
    CHECK_INT(fixture_sap_effects(&fixture), 2);
    fixture_sap_close(&fixture);
}

/* T2: a create is searched for, never repeated */
TEST_V2_V4(a_create_with_an_unknown_end_is_found_by_its_name)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("POST"), .drop = SAP_DROP_AFTER});
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "AMBIGUOUS");
    CHECK_INT(fixture_sap_writes(&fixture), 1);
    outcome = fixture_sap_read_back(&fixture);
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    CHECK_STR(outcome.ref, "10000000");
    sap_mock_fault(fixture.sap,
                   &(struct sap_fault){.method = STR("POST"), .drop = SAP_DROP_BEFORE});
    outcome = fixture_sap_deliver(&fixture, "Pump-8", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "AMBIGUOUS");
    CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_NO_EFFECT);
    fixture_sap_close(&fixture);
}

/* P2: the write leaves before its moment or not at all */
TEST_V2_V4(no_byte_of_a_write_leaves_after_send_before)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    fixture_sap_lease(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    fixture.lease.send_before_at_ms = FIXTURE_NOW_MS + 5000;
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("GET"), .delay_ms = 5000});
    struct outcome outcome = fixture_sap_send(&fixture);
    CHECK_STR(outcome.code, "NOT_SENT");
    CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
    CHECK(!outcome.counts);
    CHECK_INT(outcome.sent_at_ms, 0);
    CHECK_INT(fixture_sap_writes(&fixture), 1);
    fixture.lease.send_before_at_ms += 60000;
    fixture.lease.send_from_at_ms =
        FIXTURE_NOW_MS + 30000; /* the clock was set back since the lease */
    outcome = fixture_sap_send(&fixture);
    CHECK_STR(outcome.code, "NOT_SENT");
    CHECK_INT(fixture_sap_writes(&fixture), 1);
    fixture_sap_close(&fixture);
}

TEST_V2_V4(reads_that_fail_and_no_connection_have_no_effect_and_count)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    downstream_mock_unplug(fixture.downstream, true);
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "RETRY_SAFE");
    CHECK(outcome.counts && outcome.refused);
    CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_UNSURE);
    downstream_mock_unplug(fixture.downstream, false);
    static const struct sap_fault faults[] = {
        {.method = {"GET", 3}, .status = 500},
        {.method = {"GET", 3}, .status = 502},
        {.method = {"GET", 3}, .delay_ms = 10000},
        {.method = {"GET", 3}, .drop = SAP_DROP_AFTER},
        {.method = {"GET", 3}, .status = 200, .body = {"{\"d\":", 5}},
        {.method = {"GET", 3}, .drop = SAP_DROP_HALF}};
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        sap_mock_fault(fixture.sap, &faults[i]);
        outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_STR(outcome.code, "RETRY_SAFE");
        CHECK_INT(outcome.sent_at_ms, 0);
    }
    CHECK_INT(fixture_sap_writes(&fixture), 1);
    fixture_sap_close(&fixture);
}

TEST_V2_V4(some_values_there_and_others_not_is_partial)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    fixture_sap_lease(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\",\"serial\":\"s-2\"}",
                      ref.s);
    struct header half[] = {{STR("EquipmentName"), STR("x")}};
    sap_mock_row_put(fixture.sap, FIXTURE_NOW_MS, ref, half, 1);
    struct outcome outcome = fixture_sap_read_back(&fixture);
    CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
    CHECK(outcome.partial);
    fixture_sap_close(&fixture);
}
