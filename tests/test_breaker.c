/* The breaker: nothing knocks on a door that is shut, and new credentials are proven once. */
#include "engine.h"

#define STOP ((struct outcome){.class = OUTCOME_STOP, .auth = true, .code = STR("AUTH")})
#define THROTTLED                                                                                  \
    ((struct outcome){                                                                             \
        .class = OUTCOME_NO_EFFECT, .counts = true, .refused = true, .code = STR("THROTTLED")})
#define EFFECT ((struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE")})

static struct str system_key(void)
{
    return STR("live/!system");
}

static struct breaker breaker_now(struct engine *engine)
{
    struct breaker breaker;
    CHECK_RC(breaker_get(&engine->world, engine_call(engine), STR("live"), &breaker), RC_OK);
    return breaker;
}

static void due_devices(struct engine *engine, int count)
{
    char name[] = "Pump-0";
    engine_open(engine);
    for (int i = 0; i < count; i++) {
        name[5] = (char)('0' + i);
        (void)engine_create(engine, name, "{}");
        (void)engine_update(engine, name, "{\"a\":1}");
    }
    engine_next_hour(engine);
}

TEST(refused_credentials_stop_everything_until_an_operator_probes) /* P11 */
{
    struct engine engine;
    struct lease lease, other;
    due_devices(&engine, 2);
    engine.downstream.credentials_sha = STR("");
    lease = engine_lease(&engine, "Pump-0");
    engine_settle(&engine, &lease, STOP);
    CHECK_INT(breaker_now(&engine).state, BREAKER_STOPPED);
    CHECK_RC(engine_try_lease(&engine, "Pump-1", &other), RC_NOT_DUE);
    CHECK_INT(engine_device(&engine, "Pump-0").attempt_count, 0);
    CHECK_STR(engine_state(&engine, "Pump-0", 1), "pending");
    clock_manual_advance(&engine.clock, 10 * HOUR_MS);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &other),
             RC_NOT_DUE); /* never by itself */
    struct breaker breaker;
    CHECK_RC(breaker_action(&engine.world, engine_call(&engine), STR("k_op"), STR("probe"),
                            STR("new password"), &breaker),
             RC_OK);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &other), RC_OK);
    CHECK_INT(other.mode, LEASE_PROBE);
    struct lease second;
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &second),
             RC_NOT_DUE); /* one in the whole system */
    engine_settle(&engine, &other, EFFECT);
    CHECK_INT(breaker_now(&engine).state, BREAKER_CLOSED);
    lease = engine_lease(&engine, "Pump-1");
    engine_close(&engine);
}

/* P11: a hold lets uncertain deliveries be read back, but a hold on top of a closed door opens no door */
TEST(a_hold_lets_nothing_be_read_where_the_logon_was_refused_or_rest_was_asked_for)
{
    for (int rest = 0; rest < 2; rest++) {
        struct engine engine;
        struct breaker breaker;
        struct lease lease, other;
        struct outcome unsure = {.class = OUTCOME_UNSURE, .code = STR("AMBIGUOUS")};
        due_devices(&engine, 2);
        lease = engine_lease(&engine, "Pump-0");
        other = engine_lease(&engine, "Pump-1");
        unsure.sent_at_ms = engine.call.now_ms;
        engine_settle(&engine, &lease, unsure);
        struct outcome end = rest ? THROTTLED : STOP;
        end.pause_until_ms = rest ? engine.call.now_ms + HOUR_MS / 2 : 0;
        engine_settle(&engine, &other, end);
        CHECK_RC(breaker_action(&engine.world, engine_call(&engine), STR("k"), STR("hold"),
                                STR("SAP is in trouble"), &breaker),
                 RC_OK);
        clock_manual_advance(&engine.clock, 11 * MINUTE_MS);
        CHECK_RC(engine_try_lease(&engine, "Pump-0", &lease), RC_NOT_DUE);
        clock_manual_advance(&engine.clock, 30 * MINUTE_MS);
        CHECK_RC(engine_try_lease(&engine, "Pump-0", &lease), rest ? RC_OK : RC_NOT_DUE);
        engine_close(&engine);
    }
}

TEST(new_credentials_are_proven_by_one_probe_before_anything_else)
{
    struct engine engine;
    struct lease lease, probe;
    due_devices(&engine, 1);
    engine.downstream.credentials_sha = STR("abc");
    CHECK_RC(engine_try_lease(&engine, "Pump-0", &lease), RC_NOT_DUE);
    CHECK_INT(engine.call.wake_count, 2);
    CHECK_BYTES(engine.call.wakes[0].key, system_key());
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_OK);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &lease), RC_NOT_DUE);
    engine_settle(&engine, &probe, STOP);
    CHECK_RC(engine_try_lease(&engine, "Pump-0", &lease), RC_NOT_DUE);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_NOT_DUE);
    engine.downstream.credentials_sha =
        STR("def"); /* an operator changed the secret and started again */
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_OK);
    engine_settle(&engine, &probe, EFFECT);
    CHECK_STR(breaker_now(&engine).proven_sha, "def");
    lease = engine_lease(&engine, "Pump-0");
    engine_close(&engine);
}

TEST(five_refusals_in_a_row_open_it_and_a_probe_closes_it)
{
    struct engine engine;
    struct lease lease, probe;
    due_devices(&engine, 7);
    char name[] = "Pump-0";
    for (int i = 0; i < 5; i++) {
        CHECK_INT(breaker_now(&engine).state, BREAKER_CLOSED);
        name[5] = (char)('0' + i);
        lease = engine_lease(&engine, name);
        engine_settle(&engine, &lease, THROTTLED);
    }
    CHECK_INT(breaker_now(&engine).state, BREAKER_OPEN);
    CHECK_RC(engine_try_lease(&engine, "Pump-6", &lease), RC_NOT_DUE);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_NOT_DUE);
    clock_manual_advance(&engine.clock, BREAKER_PROBE_MS);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_OK);
    engine_settle(&engine, &probe, THROTTLED);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_NOT_DUE);
    clock_manual_advance(&engine.clock, BREAKER_PROBE_MS);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_OK);
    engine_settle(&engine, &probe, EFFECT);
    lease = engine_lease(&engine, "Pump-6");
    engine_close(&engine);
}

TEST(a_success_between_refusals_begins_the_count_anew)
{
    struct engine engine;
    struct lease lease;
    due_devices(&engine, 6);
    char name[] = "Pump-0";
    for (int i = 0; i < 6; i++) {
        name[5] = (char)('0' + i);
        lease = engine_lease(&engine, name);
        engine_settle(&engine, &lease, i == 3 ? EFFECT : THROTTLED);
    }
    CHECK_INT(breaker_now(&engine).state, BREAKER_CLOSED);
    CHECK_INT(breaker_now(&engine).refused_count, 2);
    engine_close(&engine);
}

TEST(the_whole_downstream_rests_when_it_asks_for_it_but_an_hour_at_most)
{
    struct engine engine;
    struct lease lease;
    due_devices(&engine, 2);
    struct outcome rest = THROTTLED;
    lease = engine_lease(&engine, "Pump-0");
    rest.pause_until_ms = engine.call.now_ms + 48 * HOUR_MS;
    engine_settle(&engine, &lease, rest);
    CHECK_INT(breaker_now(&engine).pause_until_ms, engine.call.now_ms + HOUR_MS);
    CHECK_RC(engine_try_lease(&engine, "Pump-1", &lease), RC_NOT_DUE);
    clock_manual_advance(&engine.clock, HOUR_MS);
    lease = engine_lease(&engine, "Pump-1");
    engine_close(&engine);
}

static enum rc act(struct engine *engine, const char *action)
{
    struct breaker breaker;
    return breaker_action(&engine->world, engine_call(engine), STR("k_op"), str_of(action),
                          STR("because"), &breaker);
}

/* The downstream has asked for rest, half an hour of it; Pump-0 was the one that heard it. */
static void at_rest(struct engine *engine, int count)
{
    struct outcome rest = THROTTLED;
    due_devices(engine, count);
    struct lease lease = engine_lease(engine, "Pump-0");
    rest.pause_until_ms = engine->call.now_ms + HOUR_MS / 2;
    rest.detail = STR("SAP answered 503");
    engine_settle(engine, &lease, rest);
}

TEST(a_rest_that_the_downstream_asks_for_is_said_once_and_with_its_end) /* P7 P11 */
{
    struct engine engine;
    struct entry_page page;
    at_rest(&engine, 2);
    CHECK_INT(engine.call.tallies[TALLY_downstream_paused], 1);
    struct breaker breaker = breaker_now(&engine);
    CHECK_STR(breaker.pause_reason, "SAP answered 503");
    struct outcome longer = THROTTLED;
    longer.pause_until_ms = breaker.pause_until_ms + MINUTE_MS;
    CHECK_RC(breaker_note(&engine.world, engine_call(&engine), STR("live"), &longer), RC_OK);
    CHECK_INT(engine.call.tallies[TALLY_downstream_paused], 0);
    CHECK_INT(breaker_now(&engine).pause_until_ms, breaker.pause_until_ms + MINUTE_MS);
    CHECK_RC(
        store_log_list(engine.store, engine_call(&engine), system_key(), 0, 99, false, 99, &page),
        RC_OK);
    CHECK_INT(page.count, 2); /* created, paused */
    CHECK_HAS(page.items[1].data, "\"action\":\"downstream_paused\"");
    CHECK_HAS(page.items[1].data, "\"reason\":\"SAP answered 503\"");
    CHECK_HAS(page.items[1].data, iso_time(&engine.arena, breaker.pause_until_ms).s);
    engine_close(&engine);
}

TEST(resume_ends_a_rest_early_but_no_window) /* P2 */
{
    struct engine engine;
    struct lease lease;
    at_rest(&engine, 3);
    CHECK_RC(engine_try_lease(&engine, "Pump-1", &lease), RC_NOT_DUE);
    CHECK_RC(act(&engine, "hold"), RC_OK);
    CHECK_RC(act(&engine, "resume"), RC_OK); /* one after the other: the hold first */
    CHECK_RC(engine_try_lease(&engine, "Pump-1", &lease), RC_NOT_DUE);
    CHECK_RC(act(&engine, "resume"), RC_OK);
    CHECK_INT(breaker_now(&engine).pause_until_ms, 0);
    CHECK_INT(breaker_now(&engine).pause_reason.len, 0);
    CHECK_RC(act(&engine, "resume"), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    lease = engine_lease(&engine, "Pump-1");
    engine_settle(&engine, &lease, EFFECT);
    (void)engine_update(&engine, "Pump-1", "{\"a\":2}");
    CHECK_RC(engine_action(&engine, "Pump-1", ACTION_deliver_now, 0), RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-1", &lease), RC_NOT_DUE);
    engine_close(&engine);
}

TEST(a_probe_that_succeeds_ends_a_rest_and_one_that_fails_does_not)
{
    struct engine engine;
    struct lease lease, probe;
    at_rest(&engine, 2);
    CHECK_RC(act(&engine, "probe"), RC_OK);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_OK);
    engine_settle(&engine, &probe, THROTTLED);
    CHECK(breaker_now(&engine).pause_until_ms > engine.call.now_ms);
    CHECK_RC(act(&engine, "probe"), RC_OK);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_OK);
    engine_settle(&engine, &probe, EFFECT);
    CHECK_INT(breaker_now(&engine).pause_until_ms, 0);
    CHECK_RC(engine_try_lease(&engine, "Pump-1", &lease), RC_OK);
    engine_close(&engine);
}

/* Five that were turned away: the breaker is open, and its probe waits for the end of the rest. */
static void open_and_at_rest(struct engine *engine)
{
    at_rest(engine, 6);
    for (int i = 0; i < BREAKER_REFUSALS_MAX; i++) {
        struct outcome rest = THROTTLED;
        rest.pause_until_ms = breaker_now(engine).pause_until_ms + 1;
        CHECK_RC(breaker_note(&engine->world, engine_call(engine), STR("live"), &rest), RC_OK);
    }
    CHECK_INT(breaker_now(engine).state, BREAKER_OPEN);
    CHECK(breaker_now(engine).record.at_ms > engine->call.now_ms + BREAKER_PROBE_MS);
}

TEST(resume_of_a_rest_with_an_open_breaker_probes_at_once)
{
    struct engine engine;
    struct lease probe;
    open_and_at_rest(&engine);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_NOT_DUE);
    CHECK_RC(act(&engine, "resume"), RC_OK);
    CHECK_INT(engine.call.wake_count, 1);
    CHECK_RC(deliver_lease(&engine.world, engine_call(&engine), system_key(), &probe), RC_OK);
    engine_settle(&engine, &probe, EFFECT);
    CHECK_INT(breaker_now(&engine).state, BREAKER_CLOSED);
    engine_close(&engine);
}

TEST(a_rest_and_a_probe_of_a_wrong_clock_end_with_the_clock)
{
    struct engine engine;
    open_and_at_rest(&engine);
    clock_manual_step(&engine.clock, -24 * HOUR_MS);
    CHECK_RC(breaker_clock(&engine.world, engine_call(&engine), STR("live"), STR("a step")), RC_OK);
    struct breaker breaker = breaker_now(&engine);
    CHECK_INT(breaker.pause_until_ms, engine.call.now_ms + BREAKER_PAUSE_MAX_MS);
    CHECK_INT(breaker.record.at_ms, engine.call.now_ms + BREAKER_PROBE_MS);
    engine_close(&engine);
}

TEST(a_step_of_the_clock_holds_all_starts_for_one_window) /* P2 */
{
    struct engine engine;
    struct lease lease;
    due_devices(&engine, 1);
    CHECK_RC(breaker_clock(&engine.world, engine_call(&engine), STR("live"), STR("a step")), RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-0", &lease), RC_NOT_DUE);
    clock_manual_advance(&engine.clock, HOUR_MS);
    lease = engine_lease(&engine, "Pump-0");
    engine_close(&engine);
}

TEST(a_held_downstream_takes_nothing_and_resume_needs_a_hold)
{
    struct engine engine;
    struct lease lease;
    struct breaker breaker;
    due_devices(&engine, 1);
    CHECK_RC(breaker_action(&engine.world, engine_call(&engine), STR("k"), STR("resume"), STR_NONE,
                            &breaker),
             RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    CHECK_RC(breaker_action(&engine.world, engine_call(&engine), STR("k"), STR("hold"),
                            STR("maintenance"), &breaker),
             RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-0", &lease), RC_NOT_DUE);
    CHECK_RC(breaker_action(&engine.world, engine_call(&engine), STR("k"), STR("resume"), STR_NONE,
                            &breaker),
             RC_OK);
    lease = engine_lease(&engine, "Pump-0");
    engine_close(&engine);
}

static struct plan_result planned(struct engine *engine)
{
    struct plan_result result;
    struct plan_request request = {.shard = SHARD_ALL, .limit = 10};
    CHECK_RC(plan(&engine->world, engine_call(engine), &request, &result), RC_OK);
    return result;
}

TEST(plan_wakes_what_is_due_and_tells_when_to_look_again)
{
    struct engine engine;
    engine_open(&engine);
    CHECK_INT(planned(&engine).next_at_ms, 0);
    (void)engine_create(&engine, "Pump-0", "{}");
    (void)engine_update(&engine, "Pump-0", "{\"a\":1}");
    int64_t due_at_ms = engine_device(&engine, "Pump-0").due_at_ms;
    CHECK_INT(planned(&engine).next_at_ms, due_at_ms);
    CHECK_INT(engine.call.wake_count, 0);
    engine_next_hour(&engine);
    (void)planned(&engine);
    CHECK_INT(engine.call.wake_count, 1);
    CHECK_STR(engine.call.wakes[0].key, "live/pump-0");
    engine_at(&engine, HOUR_MS - 1000); /* in the guard: not now */
    CHECK_INT(planned(&engine).next_at_ms, due_at_ms + HOUR_MS);
    CHECK_INT(engine.call.wake_count, 0);
    engine_close(&engine);
}

TEST(plan_goes_on_page_by_page)
{
    struct engine engine;
    struct plan_result result;
    due_devices(&engine, 5);
    struct plan_request request = {.shard = SHARD_ALL, .limit = 2};
    int woken = 0;
    for (int i = 0; i < 10; i++) {
        CHECK_RC(plan(&engine.world, engine_call(&engine), &request, &result), RC_OK);
        woken += engine.call.wake_count;
        if (!result.more) {
            break;
        }
        request.after = result.after;
        request.state = result.state;
    }
    CHECK(!result.more);
    CHECK_INT(woken, 5);
    engine_close(&engine);
}

TEST(plan_wakes_lost_leases_even_while_the_downstream_is_held)
{
    struct engine engine;
    struct breaker breaker;
    due_devices(&engine, 2);
    (void)engine_lease(&engine, "Pump-0");
    CHECK_RC(breaker_action(&engine.world, engine_call(&engine), STR("k"), STR("hold"), STR("x"),
                            &breaker),
             RC_OK);
    clock_manual_advance(&engine.clock, 151000);
    (void)planned(&engine);
    CHECK_INT(engine.call.wake_count, 1);
    CHECK_STR(engine.call.wakes[0].key, "live/pump-0");
    engine_close(&engine);
}

/* --- notices ------------------------------------------------------------------------------------- */
static int tell(struct engine *engine)
{
    int count = 0;
    CHECK_RC(notices_send(&engine->world, engine_call(engine), PAGE_MAX, &count), RC_OK);
    return count;
}

TEST(customers_are_told_what_became_of_an_update) /* P8 */
{
    struct engine engine;
    due_devices(&engine, 1);
    CHECK_INT(tell(&engine), 1);
    CHECK_STR(engine.told[0].type, "device.created");
    struct lease lease = engine_lease(&engine, "Pump-0");
    engine_settle(&engine, &lease, EFFECT);
    CHECK_INT(tell(&engine), 1);
    CHECK_STR(engine.told[1].type, "update.delivered");
    CHECK_STR(engine.told[1].owner, "acme");
    CHECK_HAS(engine.told[1].body, "\"from_seq\":1");
    CHECK_INT(tell(&engine), 0);
    engine_close(&engine);
}

TEST(dead_work_is_told_to_its_owner_and_to_operators) /* P8 P11 */
{
    struct engine engine;
    due_devices(&engine, 1);
    engine.settings.max_attempts = 1;
    (void)tell(&engine);
    struct lease lease = engine_lease(&engine, "Pump-0");
    engine_settle(&engine, &lease, THROTTLED);
    (void)tell(&engine);
    CHECK_INT(engine.told_count, 3);
    CHECK_STR(engine.told[1].type, "update.dead");
    CHECK_STR(engine.told[2].type, "delivery.dead");
    CHECK(engine.told[2].operators);
    CHECK(!str_equal(engine.told[1].id, engine.told[2].id));
    engine_close(&engine);
}

TEST(an_uncertain_delivery_alarms_after_a_quarter_of_an_hour_unless_it_resolved)
{
    struct engine engine;
    due_devices(&engine, 2);
    (void)tell(&engine);
    struct lease first = engine_lease(&engine, "Pump-0"), second = engine_lease(&engine, "Pump-1"),
                 look;
    engine_settle(&engine, &first, (struct outcome){.class = OUTCOME_UNSURE});
    engine_settle(&engine, &second, (struct outcome){.class = OUTCOME_UNSURE});
    clock_manual_advance(&engine.clock, 5000);
    look = engine_lease(&engine, "Pump-0");
    engine_settle(&engine, &look, EFFECT);
    (void)tell(&engine);
    int before = engine.told_count;
    clock_manual_advance(&engine.clock, 15 * MINUTE_MS);
    (void)tell(&engine);
    CHECK_INT(engine.told_count, before + 1);
    CHECK_STR(engine.told[before].type, "delivery.uncertain");
    CHECK_HAS(engine.told[before].body, "Pump-1");
    engine_close(&engine);
}

TEST(a_claimed_notice_is_told_again_with_the_same_id_if_nobody_finished_it) /* P8 */
{
    struct engine engine;
    struct notice_list list, again;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-0", "{}");
    CHECK_RC(notices_due(&engine.world, engine_call(&engine), 10, &list), RC_OK);
    CHECK_INT(list.count, 1);
    CHECK_RC(notices_due(&engine.world, engine_call(&engine), 10, &again), RC_OK);
    CHECK_INT(again.count, 0);
    clock_manual_advance(&engine.clock, NOTICE_CLAIM_MS);
    CHECK_RC(notices_due(&engine.world, engine_call(&engine), 10, &again), RC_OK);
    CHECK_INT(again.count, 1);
    CHECK_BYTES(again.items[0].events[0].id, list.items[0].events[0].id);
    CHECK_BYTES(again.items[0].events[0].body, list.items[0].events[0].body);
    engine_close(&engine);
}

TEST(an_event_id_is_a_uuid_of_version_seven)
{
    struct arena arena;
    static const unsigned char random[10] = {0xff, 0xff, 0xff, 0xff, 0xff,
                                             0xff, 0xff, 0xff, 0xff, 0x01};
    arena_open(&arena, 0);
    CHECK_STR(uuid7(&arena, 0x0123456789ab, random), "01234567-89ab-7fff-bfff-ffffffffff01");
    arena_close(&arena);
}
