/* The connector's habits that the mapping chooses: logon by OAuth 2.0, reading again, repeat ids: against the mock in process. */
#include <stdio.h>

#include "fixture_sap.h"

#define OAUTH                                                                                      \
    "{\"type\":\"oauth2_client_credentials\",\"client_id\":\"secret:sap/user\","                   \
    "\"client_secret\":\"secret:sap/password\",\"token_url\":\"http://"                            \
    "127.0.0.1:8181" SAP_MOCK_TOKEN "\",\"scope\":\"a b\"}"

static int tokens_fetched(const struct fixture_sap *fixture)
{
    int count = 0;
    for (size_t i = 0; i < sap_mock_log_count(fixture->sap); i++) {
        count += str_is(sap_mock_log_at(fixture->sap, i)->target, SAP_MOCK_TOKEN);
    }
    return count;
}

/* P9: a minute early would be never for a token that lives half a minute */
TEST_V2_V4(a_bearer_token_that_lives_shortly_is_kept_for_half_its_life)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, fixture_sap_mapping("{\"type\":\"none\"}", OAUTH),
                     &fixture_sap_guarded);
    sap_mock_switch(fixture.sap, SAP_MOCK_bearer_s, 30);
    struct str ref = fixture_sap_create(&fixture);
    clock_manual_advance(&fixture.clock, 14000);
    CHECK_STR(
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"b\"}", ref.s).code,
        "DONE");
    CHECK_INT(tokens_fetched(&fixture), 1);
    clock_manual_advance(&fixture.clock, 2000);
    CHECK_STR(fixture_sap_deliver(&fixture, "Pump-7", "{\"description\":\"b\"}",
                                  "{\"description\":\"c\"}", ref.s)
                  .code,
              "DONE");
    CHECK_INT(tokens_fetched(&fixture), 2);
    fixture_sap_close(&fixture);
}

/* P9: OAuth 2.0: one token for many requests, renewed before its end, and once after a 401 */
TEST_V2_V4(a_bearer_token_is_fetched_kept_renewed_and_replaced)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, fixture_sap_mapping("{\"type\":\"none\"}", OAUTH),
                     &fixture_sap_guarded);
    struct str ref = fixture_sap_create(&fixture);
    CHECK_STR(sap_mock_log_at(fixture.sap, 0)->target, SAP_MOCK_TOKEN);
    size_t first = sap_mock_log_count(fixture.sap);
    CHECK_INT(first, 4); /* token, session, search, create */
    CHECK_STR(
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"b\"}", ref.s).code,
        "DONE");
    CHECK_INT(sap_mock_log_count(fixture.sap), first + 3); /* read, write, read: no new token */
    clock_manual_advance(&fixture.clock, 3541000);
    CHECK_STR(fixture_sap_deliver(&fixture, "Pump-7", "{\"description\":\"b\"}",
                                  "{\"description\":\"c\"}", ref.s)
                  .code,
              "DONE");
    sap_mock_fault(
        fixture.sap,
        &(struct sap_fault){.method = STR("PATCH"), .status = 401, .message = STR("expired")});
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "{\"description\":\"c\"}",
                                                 "{\"description\":\"d\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK_INT(fixture_sap_effects(&fixture), 4);
    CHECK_HAS_NOT(outcome.data, "Bearer");
    sap_mock_fault(fixture.sap,
                   &(struct sap_fault){
                       .method = STR("PATCH"), .status = 401, .message = STR("no"), .times = 2});
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "{\"description\":\"d\"}",
                                  "{\"description\":\"e\"}", ref.s);
    CHECK_STR(outcome.code, "AUTH");
    CHECK(outcome.auth);
    fixture.password = STR("wrong");
    clock_manual_advance(&fixture.clock, 3541000);
    downstream_check(fixture.downstream, &fixture.call, &fixture.world, &outcome);
    CHECK_STR(outcome.code, "AUTH");
    fixture_sap_close(&fixture);
}

/* P7 */
TEST_V2_V4(what_somebody_changed_in_sap_is_told_and_not_overwritten)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    struct header theirs[] = {{STR("EquipmentName"), STR("theirs")},
                              {STR("ManufacturerSerialNumber"), STR("THEIRS")}};
    sap_mock_row_put(fixture.sap, FIXTURE_NOW_MS, ref, theirs, 2);
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP,
                            "{\"description\":\"ours\",\"serial\":\"ab-1\",\"weight_kg\":12.5,"
                            "\"commissioned\":\"1965-03-01\",\"site\":\"berlin\"}",
                            ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK_HAS(outcome.data,
              "\"overwritten\":[\"EquipmentName\"],\"drift\":[\"ManufacturerSerialNumber\"]");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "EquipmentName"), "ours");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "ManufacturerSerialNumber"), "THEIRS");
    fixture_sap_close(&fixture);
}

/* P7 */
TEST_V2_V4(a_field_that_keeps_its_value_though_its_member_is_gone_is_told)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture,
                     fixture_sap_mapping("\"attributes.description\",\"max\":40,\"clear\":true",
                                         "\"attributes.description\",\"max\":40"),
                     NULL);
    struct str ref = fixture_sap_create(&fixture);
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"serial\":\"ab-2\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK_HAS(outcome.data, "\"kept\":[\"EquipmentName\"]");
    CHECK_STR(fixture_sap_value(&fixture, "pump-7", "EquipmentName"), "Pump 7");
    fixture_sap_close(&fixture);
}

TEST_V2_V4(how_often_a_write_is_read_again_is_a_matter_of_the_mapping)
{
    static const struct {
        const char *word;
        int after_create, after_update; /* reads behind the write */
    } cases[] = {{"off", 0, 0}, {"changed", 0, 1}, {"always", 1, 1}, {"sample", 1, 1}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture_sap fixture;
        char to[64];
        (void)snprintf(to, sizeof(to), "\"read_after_write\":\"%s\"", cases[i].word);
        fixture_sap_open(&fixture, fixture_sap_mapping("\"read_after_write\":\"changed\"", to),
                         NULL);
        struct str ref =
            fixture_sap_create(&fixture); /* its repeat id begins with 0: it is one of the sample */
        size_t count = sap_mock_log_count(fixture.sap);
        CHECK_INT(count, 3 + cases[i].after_create);
        CHECK_STR(
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"b\"}", ref.s)
                .code,
            "DONE");
        CHECK_INT(sap_mock_log_count(fixture.sap) - count, 2 + cases[i].after_update);
        fixture_sap_lease(&fixture, "Pump-7", "{\"description\":\"b\"}", "{\"description\":\"c\"}",
                          ref.s);
        fixture.lease.body.repeat_id = STR("f0000000000000000000000000000000");
        count = sap_mock_log_count(fixture.sap);
        CHECK_STR(fixture_sap_send(&fixture).code, "DONE");
        CHECK_INT(sap_mock_log_count(fixture.sap) - count, 2 + (i == 1 || i == 2));
        fixture_sap_close(&fixture);
    }
}

TEST_V2_V4(without_tokens_there_is_no_session)
{
    struct fixture_sap fixture;
    struct outcome outcome;
    fixture_sap_open(&fixture, fixture_sap_mapping("\"csrf\":\"auto\"", "\"csrf\":\"off\""), NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_csrf, 0);
    (void)fixture_sap_create(&fixture);
    CHECK_INT(sap_mock_log_count(fixture.sap), 2);
    downstream_check(fixture.downstream, &fixture.call, &fixture.world, &outcome);
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    fixture_sap_close(&fixture);
}

/* E2: an address that is not the service */
TEST(a_service_that_is_not_there_or_gives_no_token_stops)
{
    struct fixture_sap fixture;
    struct outcome outcome;
    fixture_sap_open(&fixture,
                     fixture_sap_mapping("/sap/opu/odata/sap/API_EQUIPMENT\"",
                                         "/sap/opu/odata/sap/API_EQUIPMEND\""),
                     NULL);
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "CONFIG");
    CHECK_STR(outcome.detail, "Resource not found");
    fixture_sap_close(&fixture);
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_csrf, 0);
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "CONFIG");
    CHECK_STR(outcome.detail, "the service gave no token");
    fixture_sap_close(&fixture);
}

/* A delivery that may not make anything, and one whose entity goes away between read and write */
TEST_V2_V4(a_missing_equipment_is_refused_where_none_shall_be_made)
{
    struct fixture_sap fixture;
    struct header named = {STR("YY1_DEVICE_NAME"), STR("pump-7")};
    const struct sap_fault gone = {.method = {"PATCH", 5}, .status = 404, .message = {"gone", 4}};
    fixture_sap_open(&fixture,
                     fixture_sap_mapping("\"on_missing\":\"create\"", "\"on_missing\":\"fail\""),
                     NULL);
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "NOT_FOUND");
    CHECK_INT(outcome.class, OUTCOME_REJECTED);
    CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_NO_EFFECT);
    sap_mock_row_put(fixture.sap, FIXTURE_NOW_MS, STR("77"), &named, 1);
    sap_mock_fault(fixture.sap, &gone);
    CHECK_STR(fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "").code, "NOT_FOUND");
    fixture_sap_close(&fixture);
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap, &gone);
    outcome = fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"b\"}", ref.s);
    CHECK_STR(outcome.code, "MISSING");
    CHECK(outcome.full_next && outcome.ref_clear && outcome.ref.len == 0);
    fixture_sap_close(&fixture);
}

/* T1: also the search and the session may be told to rest */
TEST_V2_V4(a_read_that_is_throttled_pauses_the_downstream_too)
{
    static const char *const methods[] = {"HEAD", "GET"};
    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture, "", NULL);
        sap_mock_fault(fixture.sap, &(struct sap_fault){.method = str_of(methods[i]),
                                                        .status = 503,
                                                        .retry_after = STR("30")});
        struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
        CHECK_STR(outcome.code, "THROTTLED");
        CHECK_INT(outcome.pause_until_ms, FIXTURE_NOW_MS + 30000);
        CHECK_INT(fixture_sap_writes(&fixture), 0);
        fixture_sap_close(&fixture);
    }
}

/* R1 R2 R3 R4 */
TEST_V2_V4(repeat_ids_confirm_and_their_absence_is_survived)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_repeat_oasis, 1);
    struct str ref = fixture_sap_create(&fixture);
    CHECK_HAS(fixture_sap_last_write(&fixture)->repeat_id, "0000-0000");
    sap_mock_fault(fixture.sap,
                   &(struct sap_fault){.method = STR("PATCH"), .drop = SAP_DROP_AFTER});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK(outcome.re_sent && outcome.repeat_confirmed);
    CHECK_INT(fixture_sap_effects(&fixture), 2);
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"), .late_ms = 60000});
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "{\"description\":\"x\"}",
                                  "{\"description\":\"y\"}", ref.s);
    CHECK_INT(outcome.class, OUTCOME_UNSURE); /* 409: the first one still runs */
    clock_manual_advance(&fixture.clock, 60000);
    CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_EFFECT);
    CHECK_INT(fixture_sap_effects(&fixture), 3);
    fixture_sap_close(&fixture);
}

/* R4 R3: the Gateway pair is dropped where it is not configured; an outdated id counts only with the values there */
TEST_V2_V4(the_gateway_pair_is_dropped_where_it_is_not_configured)
{
    for (int kind = 2; kind <= 3; kind++) {
        struct fixture_sap fixture;
        fixture_sap_open(
            &fixture,
            fixture_sap_mapping("\"repeatability\":\"oasis\"", "\"repeatability\":\"gateway\""),
            NULL);
        sap_mock_switch(fixture.sap, SAP_MOCK_repeat_gateway, kind);
        struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "");
        CHECK_STR(outcome.code, "CONFIG_REPEAT");
        CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
        CHECK(!outcome.counts);
        struct str ref = fixture_sap_create(&fixture);
        sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"),
                                                        .status = 400,
                                                        .code = STR("/IWBEP/CM_COS/005"),
                                                        .commit = true});
        outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_STR(outcome.code, "DONE");
        sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"),
                                                        .status = 400,
                                                        .code = STR("/IWBEP/CM_COS/005")});
        outcome = fixture_sap_deliver(&fixture, "Pump-7", "{\"description\":\"x\"}",
                                      "{\"description\":\"y\"}", ref.s);
        CHECK_STR(outcome.code, "OUTDATED");
        CHECK_INT(outcome.class, OUTCOME_UNSURE);
        fixture_sap_close(&fixture);
    }
}

/* P9 S7: a token that somebody else made; refused, nothing is left to try */
TEST_V2_V4(a_bearer_token_of_its_own_is_sent_as_it_is_and_refused_once)
{
    const struct sap_mock_options tokened = {.bearer = STR("t-1")};
    struct fixture_sap fixture;
    fixture_sap_open(&fixture,
                     fixture_sap_mapping("{\"type\":\"none\"}",
                                         "{\"type\":\"bearer\",\"token\":\"secret:sap/token\"}"),
                     &tokened);
    CHECK_INT(fixture.downstream->credentials_sha.len, 64);
    (void)fixture_sap_create(&fixture);
    fixture.password = STR("t-2");
    size_t before = sap_mock_log_count(fixture.sap);
    struct outcome outcome = fixture_sap_deliver(&fixture, "Pump-8", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "AUTH");
    CHECK_INT(outcome.class, OUTCOME_STOP);
    CHECK_INT(sap_mock_log_count(fixture.sap), before + 1);
    CHECK_HAS_NOT(outcome.data, "t-2");
    fixture_sap_close(&fixture);
}

/* S7 P2: SAP locks a user after three refused logons: what the other senders had under way ends where it is */
TEST_V2_V4(after_one_refused_logon_no_sender_says_a_word_until_a_probe_goes_well)
{
    struct fixture_sap fixture;
    const char *basic =
        "{\"type\":\"basic\",\"user\":\"secret:sap/user\",\"password\":\"secret:sap/password\"}";
    fixture_sap_open(&fixture, fixture_sap_mapping("{\"type\":\"none\"}", basic),
                     &fixture_sap_guarded);
    fixture.password = STR("wrong");
    CHECK_STR(fixture_sap_deliver(&fixture, "Pump-7", "", DOC_PUMP, "").code, "AUTH");
    fixture.password = STR("secret"); /* the others do not know yet whether it is right again */
    for (int i = 0; i < 4; i++) {
        struct outcome other = fixture_sap_deliver(&fixture, "Pump-8", "", DOC_PUMP, "");
        CHECK_STR(other.code, "NOT_SENT");
        CHECK_INT(other.class, OUTCOME_NO_EFFECT);
        CHECK(!other.counts);
        CHECK_INT(other.retry_after_at_ms, FIXTURE_NOW_MS + SAP_REFUSED_REST_MS);
        CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_UNSURE);
    }
    CHECK_INT(sap_mock_log_count(fixture.sap), 1);
    struct outcome probe;
    downstream_check(fixture.downstream, &fixture.call, &fixture.world, &probe);
    CHECK_INT(probe.class, OUTCOME_EFFECT);
    CHECK_STR(fixture_sap_deliver(&fixture, "Pump-8", "", DOC_PUMP, "").code, "DONE");
    fixture_sap_close(&fixture);
}

/* P7: what was sent, what stood there before, what stands there now; for a failure SAP's own id of it */
TEST_V2_V4(the_log_of_a_delivery_tells_its_fields_and_values_before_and_after)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP,
                            "{\"description\":\"Pump 8\",\"serial\":\"ab-1\",\"weight_kg\":12.5,"
                            "\"commissioned\":\"1965-03-01\",\"site\":\"berlin\"}",
                            ref.s);
    CHECK_HAS(outcome.data, "\"fields\":[\"EquipmentName\"]");
    CHECK_HAS(outcome.data, "\"before\":{\"EquipmentName\":\"Pump 7\"}");
    CHECK_HAS(outcome.data, "\"after\":{\"EquipmentName\":\"Pump 8\"}");
    CHECK_HAS(outcome.data, "\"body_sha\":\"");
    outcome = fixture_sap_deliver(&fixture, "Pump-7", "{\"site\":\"berlin\"}",
                                  "{\"site\":\"nowhere\"}", ref.s);
    CHECK_STR(outcome.code, "PERMANENT");
    CHECK_HAS(outcome.data, "\"transaction_id\":\"000000000000000000000000000000");
    CHECK_HAS(outcome.data, "\"timestamp\":\"1795340100000.0000");
    CHECK_HAS(outcome.data, "\"sap_code\":\"ZHB/002\"");
    fixture_sap_close(&fixture);
}

/* E3: a lock waits half a minute at least, longer where SAP says so */
TEST_V2_V4(a_lock_is_waited_for_in_whatever_way_it_is_told)
{
    static const int statuses[] = {400, 409, 423, 500};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture, "", NULL);
        struct str ref = fixture_sap_create(&fixture);
        sap_mock_switch(fixture.sap, SAP_MOCK_lock_status, statuses[i]);
        sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"), .lock = true});
        struct outcome outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_STR(outcome.code, "LOCKED");
        CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
        CHECK_INT(fixture_sap_last_write(&fixture)->status, statuses[i]);
        CHECK_INT(outcome.retry_after_at_ms, FIXTURE_NOW_MS + 30000);
        CHECK_INT(fixture_sap_effects(&fixture), 1);
        sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"),
                                                        .status = 423,
                                                        .message = STR("wait"),
                                                        .retry_after = STR("90")});
        outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_INT(outcome.retry_after_at_ms, FIXTURE_NOW_MS + 90000);
        fixture_sap_close(&fixture);
    }
}

/* E1 E2: whatever form an error has, the status speaks; and where changes are not enabled, everything stops */
TEST_V2_V4(an_error_in_any_form_has_the_class_of_its_status)
{
    static const struct {
        int form, off;
        const char *code;
    } cases[] = {{0, 0, "PERMANENT"}, {1, 0, "PERMANENT"}, {2, 0, "PERMANENT"},
                 {3, 0, "PERMANENT"}, {4, 0, "PERMANENT"}, {5, 0, "PERMANENT"},
                 {0, 405, "CONFIG"},  {4, 405, "CONFIG"},  {2, 501, "CONFIG"}};
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    struct str ref = fixture_sap_create(&fixture);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sap_mock_switch(fixture.sap, SAP_MOCK_error_form, cases[i].form);
        sap_mock_switch(fixture.sap, SAP_MOCK_update_off, cases[i].off);
        struct outcome outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"site\":\"nowhere\"}", ref.s);
        CHECK_STR(outcome.code, cases[i].code);
        CHECK_HAS(outcome.pointers.len ? outcome.pointers : STR("/attributes/site"),
                  "/attributes/site");
    }
    CHECK_INT(fixture_sap_effects(&fixture), 1);
    fixture_sap_close(&fixture);
}

/* S2: the word is understood in any case; and it says that nothing was done */
TEST_V2_V4(a_refused_token_is_known_in_any_spelling_of_the_word)
{
    static const char *const words[] = {"Required", "REQUIRED", "required"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        struct fixture_sap fixture;
        fixture_sap_open(&fixture, "", NULL);
        struct str ref = fixture_sap_create(&fixture);
        sap_mock_fault(
            fixture.sap,
            &(struct sap_fault){.method = STR("PATCH"), .status = 403, .csrf = str_of(words[i])});
        struct outcome outcome =
            fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
        CHECK_STR(outcome.code, "DONE");
        CHECK_INT(fixture_sap_writes(&fixture), 3);
        CHECK_INT(fixture_sap_effects(&fixture), 2);
        fixture_sap_close(&fixture);
    }
}

/* R1: SAP gives the first answer again, a failure too: so what surely had no effect is sent under a new id, or not at all */
TEST_V2_V4(a_definite_failure_is_never_sent_again_under_its_id)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_repeat_oasis, 1);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap, &(struct sap_fault){.method = STR("PATCH"), .lock = true});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "LOCKED");
    CHECK(!outcome.re_sent);
    CHECK_INT(fixture_sap_writes(&fixture), 2);
    struct str first = fixture_sap_last_write(&fixture)->repeat_id;
    outcome = fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "DONE");
    CHECK(outcome.repeat_confirmed);
    CHECK(!str_equal(first, fixture_sap_last_write(&fixture)->repeat_id));
    CHECK_INT(fixture_sap_writes(&fixture), 3);
    fixture_sap_close(&fixture);
}

/* R3: the window of an id is over: whether it was done is not known, and is read */
TEST_V2_V4(an_id_that_is_too_old_leaves_it_open)
{
    struct fixture_sap fixture;
    fixture_sap_open(&fixture, "", NULL);
    sap_mock_switch(fixture.sap, SAP_MOCK_repeat_oasis, 1);
    sap_mock_switch(fixture.sap, SAP_MOCK_repeat_keep_ms, -1);
    struct str ref = fixture_sap_create(&fixture);
    sap_mock_fault(fixture.sap,
                   &(struct sap_fault){.method = STR("PATCH"), .drop = SAP_DROP_AFTER});
    struct outcome outcome =
        fixture_sap_deliver(&fixture, "Pump-7", DOC_PUMP, "{\"description\":\"x\"}", ref.s);
    CHECK_STR(outcome.code, "AMBIGUOUS"); /* 412 rejected, no conflict of ETags */
    CHECK_INT(fixture_sap_last_write(&fixture)->status, 412);
    CHECK_INT(fixture_sap_read_back(&fixture).class, OUTCOME_EFFECT);
    CHECK_INT(fixture_sap_effects(&fixture), 2);
    fixture_sap_close(&fixture);
}
