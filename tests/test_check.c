/* Does the replay find what it says it finds, and nothing in a log that is whole? Records are forged past the core,
 * by a commit of an after-image that no rule of it would make. */
#include "engine.h"

#include "adapters/store_sqlite.h"

#define SHA_OF_NOTHING "0000000000000000000000000000000000000000000000000000000000000000"

static struct check_report check(struct engine *engine, const char *name)
{
    struct check_report report = {0};
    struct call *call = engine_call(engine);
    CHECK_RC(check_device(&engine->world, call, engine_key(engine, name), &report), RC_OK);
    return report;
}

/* A record with its next version, to be changed. */
static struct device forgery(struct engine *engine, const char *name)
{
    struct device device = engine_device(engine, name);
    device.version++;
    return device;
}

static void commit(struct engine *engine, const struct device *device, const struct entry *entry)
{
    struct change change = {.device = device,
                            .expect_version = device->version - 1,
                            .entries = entry,
                            .entry_count = entry ? 1 : 0};
    CHECK_RC(store_commit(engine->store, engine_call(engine), &change), RC_OK);
}

/* engine_close would find what was forged. */
static void close_forged(struct engine *engine)
{
    store_sqlite_close(engine->store);
    arena_close(&engine->arena);
}

static void expect(struct engine *engine, const char *name, const char *rule, const char *what)
{
    struct check_report report = check(engine, name);
    CHECK(report.finding_count > 0);
    CHECK_HAS(str_of(report.first), rule);
    CHECK_HAS(str_of(report.first), what);
    close_forged(engine);
}

struct seen {
    int count;
    char rules[256];
};

static void see(void *context, const struct check_finding *finding)
{
    struct seen *seen = context;
    size_t len = strlen(seen->rules);
    snprintf(seen->rules + len, sizeof seen->rules - len, "%s %lld;", finding->rule,
             (long long)finding->seq);
    CHECK(finding->what.len > 0);
    CHECK_STR(finding->key, "live/pump-7");
    seen->count++;
}

static void deliver_all(struct engine *engine, const char *name)
{
    engine_next_hour(engine);
    struct lease lease = engine_lease(engine, name);
    engine_settle(engine, &lease, (struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE")});
}

/* P1, P3, P4 */
TEST(a_log_that_the_core_wrote_has_no_findings)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{\"a\":1,\"b\":{\"c\":2}}");
    engine_update(&engine, "Pump-7", "{\"a\":null}");
    engine_update(&engine, "Pump-7", "{\"b\":{\"c\":null,\"d\":[1,2]}}");
    deliver_all(&engine, "Pump-7");
    engine_update(&engine, "Pump-7", "{\"a\":5}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel,
                           engine_update(&engine, "Pump-7", "{\"a\":6}")),
             RC_OK);
    struct check_report report = check(&engine, "Pump-7");
    CHECK_STR(str_of(report.first), "");
    CHECK_INT(report.finding_count, 0);
    CHECK_INT(report.update_count, 4);
    CHECK_INT(report.device_count, 1);
    CHECK_INT(report.expired_count, 0);
    engine_close(&engine);
}

TEST(a_rejected_delivery_leaves_a_log_without_findings)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    deliver_all(&engine, "Pump-7");
    engine_update(&engine, "Pump-7", "{\"a\":2}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    engine_update(&engine, "Pump-7", "{\"b\":3}");
    engine_settle(&engine, &lease,
                  (struct outcome){.class = OUTCOME_REJECTED, .code = STR("BUSINESS")});
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1,\"b\":3}");
    CHECK_STR(str_of(check(&engine, "Pump-7").first), "");
    engine_close(&engine);
}

TEST(an_update_that_is_cancelled_after_it_was_given_up_leaves_a_log_without_findings)
{
    struct engine engine;
    engine_open(&engine);
    engine.settings.max_attempts = 1;
    engine_create(&engine, "Pump-7", "{\"a\":1}");
    int64_t seq = engine_update(&engine, "Pump-7", "{\"a\":2}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    struct outcome missing = {.class = OUTCOME_NO_EFFECT, .code = STR("MISSING")};
    missing.counts = missing.full_next = true;
    engine_settle(&engine, &lease, missing);
    CHECK_INT(engine_device(&engine, "Pump-7").work, WORK_DEAD);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, seq), RC_OK);
    CHECK_INT(engine_device(&engine, "Pump-7").work, WORK_OPEN); /* all of it once more */
    CHECK_STR(str_of(check(&engine, "Pump-7").first), "");
    engine_close(&engine);
}

TEST(a_name_that_is_not_there_is_not_found)
{
    struct engine engine;
    struct check_report report = {0};
    engine_open(&engine);
    struct call *call = engine_call(&engine);
    CHECK_RC(check_device(&engine.world, call, engine_key(&engine, "Pump-7"), &report),
             RC_NOT_FOUND);
    CHECK_INT(report.device_count, 0);
    engine_close(&engine);
}

/* P1: the record lags behind its log, or runs ahead of it. */
TEST(a_forged_hash_in_the_record_is_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    struct device device = forgery(&engine, "Pump-7");
    device.log_sha = STR(SHA_OF_NOTHING);
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "I7", "not that of its last entry");
}

TEST(a_forged_entry_breaks_the_chain)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    struct device device = forgery(&engine, "Pump-7");
    struct entry entry = {.seq = 1,
                          .kind = ENTRY_action,
                          .at_ms = engine.clock.now_ms,
                          .by = STR("k_x"),
                          .request_id = engine.call.id,
                          .data = STR("{}"),
                          .sha = STR(SHA_OF_NOTHING)};
    device.seq = 1;
    device.log_sha = entry.sha;
    commit(&engine, &device, &entry);
    expect(&engine, "Pump-7", "I7", "does not follow");
}

/* P4 */
TEST(a_document_that_its_updates_did_not_make_is_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{\"a\":1}");
    engine_update(&engine, "Pump-7", "{\"a\":2}");
    struct device device = forgery(&engine, "Pump-7");
    device.doc = STR("{\"a\":1}");
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "I4", "the created document");
}

/* P4: what a rejection must undo. The first replay starts at the created document, the second at the base's. */
TEST(a_base_that_moved_to_another_document_is_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    deliver_all(&engine, "Pump-7");
    engine_update(&engine, "Pump-7", "{\"a\":2}");
    struct device device = forgery(&engine, "Pump-7");
    struct body body = {.delivery = device.version,
                        .target = STR("{\"a\":7}"),
                        .bytes = STR("{}"),
                        .repeat_id = STR("00000000000000000000000000000000")};
    struct change change = {.device = &device, .expect_version = device.version - 1, .body = &body};
    device.base = device.version;
    CHECK_RC(store_commit(engine.store, engine_call(&engine), &change), RC_OK);
    struct check_report report = check(&engine, "Pump-7");
    CHECK_INT(report.finding_count,
              1); /* the newer update sets the same member: only the number shows */
    CHECK_HAS(str_of(report.first), "its base is");
    device.version++;
    device.doc = STR("{\"a\":2,\"b\":1}");
    commit(&engine, &device, NULL);
    CHECK_INT(check(&engine, "Pump-7").finding_count, 3); /* now both replays see it */
    close_forged(&engine);
}

/* P3 */
TEST(an_update_that_nobody_would_carry_is_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    struct device device = forgery(&engine, "Pump-7");
    device.work = WORK_NONE;
    device.from_seq = device.at_ms = device.pending_count = device.pending_bytes = 0;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "I1", "first update without an end is 1");
}

TEST(a_wrong_count_is_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    struct device device = forgery(&engine, "Pump-7");
    device.pending_count = 2;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "I1", "1 updates are pending, the record says 2");
}

TEST(wrong_bytes_are_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    struct device device = forgery(&engine, "Pump-7");
    device.pending_bytes++;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "I1", "bytes");
}

/* P5 */
TEST(a_record_under_the_key_of_another_name_is_found)
{
    struct engine engine;
    struct seen seen = {0};
    struct check_report report = {.sink = see, .context = &seen};
    engine_open(&engine);
    struct device device = engine_create(&engine, "Pump-8", "{}");
    struct entry entry = engine_last(&engine, "Pump-8");
    device.key = STR("live/pump-7");
    struct change change = {.device = &device, .entries = &entry, .entry_count = 1};
    struct call *call = engine_call(&engine);
    CHECK_RC(store_commit(engine.store, call, &change), RC_OK);
    CHECK_RC(check_device(&engine.world, call, device.key, &report), RC_OK);
    CHECK_STR(str_of(seen.rules), "record -1;");
    CHECK_HAS(str_of(report.first), "does not fold to its key");
    close_forged(&engine);
}

TEST(work_that_does_not_fit_is_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    struct device device = forgery(&engine, "Pump-7");
    device.work = WORK_OPEN;
    device.at_ms = engine.clock.now_ms;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "record", "work 1 does not fit");
}

TEST(a_missing_body_is_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    struct device device = forgery(&engine, "Pump-7");
    device.base = device.version;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "record", "is missing");
}

/* P2 */
TEST(two_effects_in_one_window_are_found)
{
    struct engine engine;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    deliver_all(&engine, "Pump-7");
    struct entry entry = engine_last(&engine, "Pump-7");
    struct device device = forgery(&engine, "Pump-7");
    CHECK_INT(entry.kind, ENTRY_delivered);
    entry.seq = device.seq =
        device.seq + 1; /* the same effect once more, chained as it should be */
    entry.from_seq = entry.to_seq = 0;
    entry.sha = device.log_sha = log_sha(&engine.arena, device.log_sha, &entry);
    commit(&engine, &device, &entry);
    expect(&engine, "Pump-7", "I2", "in the same window");
}

TEST(each_finding_goes_to_the_sink)
{
    struct engine engine;
    struct seen seen = {0};
    struct check_report report = {.sink = see, .context = &seen};
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    struct device device = forgery(&engine, "Pump-7");
    device.pending_count = 5;
    device.log_sha = STR(SHA_OF_NOTHING);
    commit(&engine, &device, NULL);
    struct call *call = engine_call(&engine);
    CHECK_RC(check_device(&engine.world, call, engine_key(&engine, "Pump-7"), &report), RC_OK);
    CHECK_INT(seen.count, report.finding_count);
    CHECK_HAS(str_of(seen.rules), "I7 -1;");
    CHECK_HAS(str_of(seen.rules), "I1 -1;");
    close_forged(&engine);
}

/* A device that was delivered, held and updated again, for forging. */
static struct device told_device(struct engine *engine)
{
    engine_open(engine);
    engine_create(engine, "Pump-7", "{}");
    engine_update(engine, "Pump-7", "{\"a\":1}");
    engine_next_hour(engine);
    struct lease lease = engine_lease(engine, "Pump-7");
    engine_settle(
        engine, &lease,
        (struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE"), .ref = STR("4711")});
    engine_update(engine, "Pump-7", "{\"a\":2}");
    CHECK_RC(engine_action(engine, "Pump-7", ACTION_hold, 0), RC_OK);
    CHECK_STR(str_of(check(engine, "Pump-7").first), "");
    return forgery(engine, "Pump-7");
}

/* P2: the rule of the hour rests on it. */
TEST(another_time_of_the_last_effect_is_found)
{
    struct engine engine;
    static const int64_t off_ms[] = {-1, 1, -HOUR_MS, HOUR_MS, -100000 * HOUR_MS};
    for (size_t i = 0; i < COUNT_OF(off_ms); i++) {
        struct device device = told_device(&engine);
        device.effect_at_ms += off_ms[i];
        commit(&engine, &device, NULL);
        expect(&engine, "Pump-7", "I2", "its last effect was at");
    }
    struct device device = told_device(&engine);
    device.effect_at_ms = 0;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "I2", "its last effect was at 0");
}

TEST(another_number_of_the_downstream_is_found)
{
    struct engine engine;
    struct device device = told_device(&engine);
    CHECK_STR(device.downstream_ref, "4711");
    device.downstream_ref = STR("999");
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "record", "its downstream_ref is \"999\", by the log \"4711\"");
}

TEST(a_hold_that_nobody_took_back_is_found)
{
    struct engine engine;
    struct device device = told_device(&engine);
    device.hold_reason = STR_NONE;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "record", "its hold_reason is \"\"");
}

TEST(another_time_of_the_last_accept_is_found)
{
    struct engine engine;
    struct device device = told_device(&engine);
    device.accepted_at_ms--;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "record", "its accepted_at_ms is");
}

TEST(another_revision_is_found)
{
    struct engine engine;
    static const int64_t off[] = {-1, 1, 90};
    for (size_t i = 0; i < COUNT_OF(off); i++) {
        struct device device = told_device(&engine);
        CHECK_INT(device.revision, 3);
        device.revision += off[i];
        commit(&engine, &device, NULL);
        expect(&engine, "Pump-7", "I4", "its revision is");
    }
}

/* A clock that was a day ahead when the last effect was: the time is set back without an entry, and that is no finding. */
TEST(a_time_of_effect_that_was_set_back_with_the_clock_is_no_finding)
{
    struct engine engine;
    struct lease lease;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    int64_t right_ms = engine.clock.now_ms;
    clock_manual_step(&engine.clock, 24 * HOUR_MS);
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    deliver_all(&engine, "Pump-7");
    clock_manual_step(&engine.clock, right_ms + HOUR_MS - engine.clock.now_ms);
    engine_update(&engine, "Pump-7", "{\"a\":2}");
    CHECK_STR(str_of(check(&engine, "Pump-7").first), "");
    engine_next_hour(&engine);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE);
    CHECK(engine_device(&engine, "Pump-7").effect_at_ms <= engine.clock.now_ms);
    CHECK_STR(str_of(check(&engine, "Pump-7").first), "");
    struct device device = forgery(&engine, "Pump-7");
    device.effect_at_ms = 0;
    commit(&engine, &device, NULL);
    expect(&engine, "Pump-7", "I2", "its last effect was at 0");
}

TEST(a_time_of_effect_behind_a_clock_that_was_set_back_on_the_way_is_no_finding)
{
    struct engine engine;
    struct lease again;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    int64_t wrong_ms = engine.clock.now_ms;
    engine_update(&engine, "Pump-7", "{\"a\":2}");
    clock_manual_step(&engine.clock, -24 * HOUR_MS);
    engine_settle(
        &engine, &lease,
        (struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE"), .sent_at_ms = wrong_ms});
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &again), RC_NOT_DUE);
    CHECK(engine_device(&engine, "Pump-7").effect_at_ms < wrong_ms);
    clock_manual_step(&engine.clock, 25 * HOUR_MS);
    engine_update(&engine, "Pump-7", "{\"a\":3}"); /* the clock is right again */
    CHECK_STR(str_of(check(&engine, "Pump-7").first), "");
    engine_close(&engine);
}

/* P7: each outcome names what was sealed. */
TEST(each_outcome_in_the_log_holds_the_hash_of_what_was_sealed)
{
    struct engine engine;
    struct body body;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    engine_update(&engine, "Pump-7", "{\"a\":1}");
    deliver_all(&engine, "Pump-7");
    struct entry entry = engine_last(&engine, "Pump-7");
    CHECK_RC(store_body_get(engine.store, engine_call(&engine), engine_key(&engine, "Pump-7"),
                            entry.delivery, &body),
             RC_OK);
    struct str sha = log_seal_sha(&engine.arena, &body);
    CHECK_HAS(entry.data, arena_printf(&engine.arena, "\"seal_sha\":\"%s\"", sha.s).s);
    body.bytes = STR("{\"AssetRoom\":\"EVIL\"}");
    CHECK(!str_equal(sha, log_seal_sha(&engine.arena, &body)));
    engine_close(&engine);
}

/* Entries past their life are no gap; the document is then proved from the base. */
TEST(what_retention_took_is_no_finding)
{
    struct engine engine;
    int expired = 0;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    for (int i = 0; i < 5; i++) {
        engine_update(&engine, "Pump-7", i % 2 ? "{\"a\":1,\"b\":2}" : "{\"a\":3,\"b\":null}");
        deliver_all(&engine, "Pump-7");
    }
    clock_manual_set(&engine.clock, engine.clock.now_ms + 100 * 24 * HOUR_MS);
    for (int i = 0; i < 20; i++) {
        CHECK_RC(store_expire(engine.store, engine_call(&engine), 90 * 24 * HOUR_MS, 100, &expired),
                 RC_OK);
    }
    engine_update(&engine, "Pump-7", "{\"c\":4}");
    struct check_report report = check(&engine, "Pump-7");
    CHECK_STR(str_of(report.first), "");
    CHECK(report.expired_count > 0);
    CHECK(report.entry_count < 12);
    engine_close(&engine);
}

/* The same log, judged as if it had no right to be short. */
TEST(a_gap_among_young_entries_is_found)
{
    struct engine engine;
    int expired = 0;
    engine_open(&engine);
    engine_create(&engine, "Pump-7", "{}");
    for (int i = 0; i < 5; i++) {
        engine_update(&engine, "Pump-7", i % 2 ? "{\"a\":1}" : "{\"a\":3}");
        deliver_all(&engine, "Pump-7");
        engine_next_hour(&engine);
    }
    for (int i = 0; i < 20; i++) { /* a retention of two hours took what no setting allows */
        CHECK_RC(store_expire(engine.store, engine_call(&engine), 2 * HOUR_MS, 100, &expired),
                 RC_OK);
    }
    expect(&engine, "Pump-7", "I1", "too young for retention");
}
