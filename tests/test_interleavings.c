/* The orders of events that went wrong in other systems, each by its name. Those that need a socket, a second
 * process or a failing disk stand where those are: contract_store*, test_store_sqlite, e2e_server. */
#include "engine.h"

#include "core/auth.h"

#define EFFECT ((struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE")})
#define NOT_SENT ((struct outcome){.class = OUTCOME_NO_EFFECT, .code = STR("NOT_SENT")})
#define UNSURE ((struct outcome){.class = OUTCOME_UNSURE, .code = STR("AMBIGUOUS")})
#define REJECTED ((struct outcome){.class = OUTCOME_REJECTED, .code = STR("PERMANENT")})

static void due(struct engine *engine)
{
    engine_open(engine);
    (void)engine_create(engine, "Pump-7", "{\"a\":1}");
    (void)engine_update(engine, "Pump-7", "{\"a\":2}");
    engine_next_hour(engine);
}

TEST(a_lease_just_before_the_boundary_whose_write_would_leave_after_it_is_not_sent) /* P2 */
{
    struct engine engine;
    due(&engine);
    engine_at(&engine, HOUR_MS - 10000); /* 10:59:50 */
    struct lease lease = engine_lease(&engine, "Pump-7");
    int64_t boundary_ms = (engine.call.now_ms / HOUR_MS + 1) * HOUR_MS;
    CHECK_INT(lease.send_before_at_ms, boundary_ms - 2000);
    clock_manual_advance(&engine.clock,
                         15000); /* the session took until 11:00:05: the connector may not write */
    engine_settle(&engine, &lease, NOT_SENT);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.attempt_count, 0);
    CHECK_INT(device.effect_at_ms, 0);
    struct lease again =
        engine_lease(&engine, "Pump-7"); /* at once, as a delivery of the new window */
    CHECK(again.send_before_at_ms > boundary_ms);
    CHECK(!str_equal(again.body.repeat_id, lease.body.repeat_id));
    engine_settle(&engine, &again, EFFECT);
    engine_close(&engine);
}

TEST(a_clock_set_back_over_a_boundary_between_lease_and_send_sends_nothing) /* P2 */
{
    struct engine engine;
    due(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    int64_t boundary_ms = engine.call.now_ms / HOUR_MS * HOUR_MS;
    CHECK_INT(lease.send_from_at_ms, boundary_ms); /* 10:59:55 is not in the window of 11:00:05 */
    clock_manual_advance(&engine.clock, 151000);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_INT(lease.mode, LEASE_READ_BACK);
    CHECK_INT(lease.send_from_at_ms, boundary_ms);
    engine_settle(&engine, &lease, EFFECT);
    engine_close(&engine);
}

TEST(a_doubled_wake_up_gets_no_second_lease) /* P2 */
{
    struct engine engine;
    struct lease second;
    due(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &second), RC_NOT_DUE);
    engine_settle(&engine, &lease, EFFECT);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &second), RC_NOT_DUE);
    engine_close(&engine);
}

TEST(a_lost_wake_up_is_found_by_the_next_plan_pass) /* P3 */
{
    struct engine engine;
    struct plan_result result;
    struct plan_request request = {.shard = SHARD_ALL, .limit = 10};
    due(&engine); /* the wake-up that accept left was thrown away */
    CHECK_RC(plan(&engine.world, engine_call(&engine), &request, &result), RC_OK);
    CHECK_INT(engine.call.wake_count, 1);
    engine_close(&engine);
}

TEST(a_wake_up_that_comes_hours_late_delivers_once) /* P2 */
{
    struct engine engine;
    due(&engine);
    clock_manual_advance(&engine.clock, 7 * HOUR_MS);
    struct lease lease = engine_lease(&engine, "Pump-7"), second;
    engine_settle(&engine, &lease, EFFECT);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &second), RC_NOT_DUE);
    CHECK_INT(engine_device(&engine, "Pump-7").work, WORK_NONE);
    engine_close(&engine);
}

TEST(a_lease_that_expires_under_a_slow_sender_is_fenced) /* P2 */
{
    struct engine engine;
    due(&engine);
    struct lease slow = engine_lease(&engine, "Pump-7");
    clock_manual_advance(&engine.clock, 151000);
    struct lease look = engine_lease(&engine, "Pump-7");
    CHECK_INT(look.mode, LEASE_READ_BACK); /* never a second sender */
    struct outcome outcome = EFFECT;
    outcome.sent_at_ms = slow.first_sent_at_ms;
    CHECK_RC(deliver_settle(&engine.world, engine_call(&engine), &slow, &outcome), RC_NOT_DUE);
    engine_settle(&engine, &look, EFFECT);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "delivered");
    engine_close(&engine);
}

TEST(a_crash_after_the_patch_and_before_the_settle_is_read_back) /* P2 P3 */
{
    struct engine engine;
    due(&engine);
    struct lease lost = engine_lease(&engine, "Pump-7"), next;
    int64_t latest_ms = lost.send_before_at_ms; /* the process died after the write */
    clock_manual_advance(&engine.clock, 151000);
    struct lease look = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &look, EFFECT);
    CHECK_INT(engine_device(&engine, "Pump-7").effect_at_ms, latest_ms);
    (void)engine_update(&engine, "Pump-7", "{\"a\":3}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_deliver_now, 0), RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &next), RC_NOT_DUE);
    engine_close(&engine);
}

TEST(a_late_commit_after_a_reset_is_not_overtaken) /* P2 P4 */
{
    struct engine engine;
    due(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7"), next;
    struct outcome reset = UNSURE,
                   different = {.class = OUTCOME_NO_EFFECT, .code = STR("DIFFERENT")};
    int64_t sent_ms = reset.sent_at_ms = engine.call.now_ms;
    engine_settle(&engine, &lease, reset);
    (void)engine_update(&engine, "Pump-7", "{\"a\":3}");
    clock_manual_advance(&engine.clock, MINUTE_MS);
    struct lease look = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &look, different); /* not committed yet */
    engine_next_hour(&engine);
    look = engine_lease(&engine, "Pump-7"); /* nine minutes later it did commit */
    CHECK_INT(look.mode, LEASE_READ_BACK);
    engine_settle(&engine, &look, EFFECT);
    CHECK_INT(engine_device(&engine, "Pump-7").effect_at_ms, sent_ms);
    next = engine_lease(&engine, "Pump-7");
    CHECK_STR(next.base, "{\"a\":2}");
    CHECK_STR(next.body.target, "{\"a\":3}");
    engine_settle(&engine, &next, EFFECT);
    engine_close(&engine);
}

TEST(an_update_accepted_while_sending_survives_the_rejection_of_the_delivery) /* P3 P4 */
{
    struct engine engine;
    due(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    int64_t younger = engine_update(&engine, "Pump-7", "{\"b\":1}");
    engine_settle(&engine, &lease, REJECTED);
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1,\"b\":1}");
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "rejected");
    CHECK_STR(engine_state(&engine, "Pump-7", younger), "pending");
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_STR(lease.body.target, "{\"a\":1,\"b\":1}");
    engine_settle(&engine, &lease, EFFECT);
    engine_close(&engine);
}

TEST(dead_and_then_an_update_sends_the_newest_state_with_everything) /* P3 P4 */
{
    struct engine engine;
    due(&engine);
    engine.settings.max_attempts = 1;
    struct lease lease = engine_lease(&engine, "Pump-7");
    struct outcome locked = {.class = OUTCOME_NO_EFFECT, .counts = true, .code = STR("LOCKED")};
    engine_settle(&engine, &lease, locked);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "dead");
    (void)engine_update(&engine, "Pump-7", "{\"b\":1}");
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_STR(lease.body.target, "{\"a\":2,\"b\":1}");
    CHECK_INT(lease.body.delivery, engine_device(&engine, "Pump-7").flight.delivery);
    engine_settle(&engine, &lease, EFFECT);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "delivered");
    engine_close(&engine);
}

TEST(rejected_while_a_younger_update_that_undid_it_is_pending) /* P4 */
{
    struct engine engine;
    due(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}"); /* back to what the downstream holds */
    engine_settle(&engine, &lease, REJECTED);
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1}");
    CHECK_INT(engine_device(&engine, "Pump-7").work,
              WORK_OPEN); /* nothing was ever delivered: the document is not known there */
    engine_close(&engine);
}

TEST(an_index_that_lags_over_the_boundary_only_delays) /* P2 P3 */
{
    struct engine engine;
    struct plan_result result;
    struct plan_request request = {.shard = SHARD_ALL, .limit = 10};
    struct store_faults faults = {.lag_ms = 1000};
    engine_open(&engine);
    engine.store->faults = &faults;
    (void)engine_create(&engine, "Pump-7", "{}");
    engine_at(&engine, HOUR_MS - 200); /* accepted 10:59:59.8 */
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    clock_manual_advance(&engine.clock, 500); /* planned 11:00:00.3 */
    CHECK_RC(plan(&engine.world, engine_call(&engine), &request, &result), RC_OK);
    CHECK_INT(engine.call.wake_count, 0);
    clock_manual_advance(&engine.clock, 1000);
    CHECK_RC(plan(&engine.world, engine_call(&engine), &request, &result), RC_OK);
    CHECK_INT(engine.call.wake_count, 1);
    struct lease lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    engine_close(&engine);
}

TEST(an_hour_that_comes_again_after_the_clock_was_a_day_ahead_may_have_its_effect) /* P2 I2 */
{
    struct engine engine;
    due(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    (void)engine_update(&engine, "Pump-7", "{\"a\":3}");
    clock_manual_step(&engine.clock, -24 * HOUR_MS); /* it was a day ahead */
    (void)engine_update(&engine, "Pump-7", "{\"a\":4}");
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE); /* corrected */
    clock_manual_advance(&engine.clock, 24 * HOUR_MS + 10 * MINUTE_MS);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    engine_close(&engine); /* its replay finds nothing: this is not the hour of the first effect */
}

TEST(the_clock_one_day_forward_and_back_never_gives_two_effects_in_one_window) /* P2 */
{
    struct engine engine;
    struct lease lease, none;
    due(&engine);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    int64_t first_ms = engine_device(&engine, "Pump-7").effect_at_ms;
    clock_manual_step(&engine.clock, 24 * HOUR_MS);
    (void)engine_update(&engine, "Pump-7", "{\"a\":3}");
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT); /* an effect dated tomorrow */
    clock_manual_step(&engine.clock, first_ms + MINUTE_MS - engine.clock.now_ms);
    (void)engine_update(&engine, "Pump-7", "{\"a\":4}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_deliver_now, 0), RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &none),
             RC_NOT_DUE); /* corrected: counts as used now */
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &none), RC_NOT_DUE);
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    engine_close(&engine);
}

/* The record of a repeat belongs to the owner, not to a secret: a rotation in between changes nothing. */
/* What was accepted and turned away on the wrong day waits no day: the next quiet pass of the plan finds it. */
TEST(what_a_clock_one_day_ahead_had_planned_is_delivered_in_the_next_window) /* P2 P3 */
{
    struct engine engine;
    struct plan_result result;
    struct plan_request request = {.shard = SHARD_ALL, .limit = 10};
    struct lease lease;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    (void)engine_create(&engine, "Pump-8", "{}");
    (void)engine_update(&engine, "Pump-8", "{\"a\":1}");
    clock_manual_step(&engine.clock, 24 * HOUR_MS);
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    engine_at(&engine, HOUR_MS + 1000);
    lease = engine_lease(&engine, "Pump-8");
    engine_settle(&engine, &lease,
                  (struct outcome){.class = OUTCOME_NO_EFFECT,
                                   .retry_after_at_ms = engine.call.now_ms + MINUTE_MS});
    clock_manual_step(&engine.clock, -24 * HOUR_MS);
    CHECK_RC(breaker_clock(&engine.world, engine_call(&engine), STR("live"), STR("set back")),
             RC_OK);
    engine_next_hour(&engine);
    clock_manual_advance(&engine.clock, HOUR_MS);
    CHECK_RC(plan(&engine.world, engine_call(&engine), &request, &result), RC_OK);
    CHECK_INT(engine.call.wake_count, 2);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE); /* only corrected */
    CHECK_RC(engine_try_lease(&engine, "Pump-8", &lease), RC_NOT_DUE);
    CHECK(engine_device(&engine, "Pump-8").not_before_at_ms <= engine.call.now_ms);
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    lease = engine_lease(&engine, "Pump-8");
    engine_close(&engine);
}

/* The old code leases, the new one, with another mapping, settles and goes on: what it then sends is in full. */
TEST(old_and_new_code_side_by_side_end_what_the_other_began) /* P2 P4 */
{
    struct engine engine;
    struct lease old, new, late;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    engine_next_hour(&engine);
    old = engine_lease(&engine, "Pump-7");
    CHECK_INT(old.body.mapping_version, 1);
    engine.downstream.mapping_version = 2;
    (void)engine_update(&engine, "Pump-7", "{\"b\":2}");
    engine_settle(&engine, &old, (struct outcome){.class = OUTCOME_EFFECT});
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &new),
             RC_NOT_DUE); /* the window is used for both */
    engine_next_hour(&engine);
    new = engine_lease(&engine, "Pump-7");
    CHECK_INT(new.body.mapping_version, 2);
    CHECK_INT(new.base.len, 0);
    CHECK_STR(new.body.bytes, "{\"a\":1,\"b\":2}");
    engine.downstream.mapping_version = 1; /* the old one looks once more */
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &late), RC_NOT_DUE);
    engine_settle(&engine, &new, (struct outcome){.class = OUTCOME_EFFECT});
    CHECK_STR(engine_state(&engine, "Pump-7", 2), "delivered");
    engine_close(&engine);
}

TEST(a_key_rotated_between_a_request_and_its_repeat_still_gets_the_first_answer) /* P6 */
{
    struct engine engine;
    struct key key;
    struct str secret, rotated;
    struct principal principal;
    engine_open(&engine);
    struct key_new new = {
        .owner = STR("acme"), .label = STR("line 1"), .role = ROLE_CUSTOMER, .realm = STR("live")};
    CHECK_RC(auth_create(&engine.world, engine_call(&engine), STR("k_op"), &new, &key, &secret),
             RC_OK);
    CHECK_RC(auth_rotate(&engine.world, engine_call(&engine), STR("k_op"), key.id, HOUR_MS, &key,
                         &rotated),
             RC_OK);
    struct header old_header = {STR("x-api-key"), secret}, new_header = {STR("x-api-key"), rotated};
    struct request request = {.headers = &old_header, .header_count = 1};
    CHECK_RC(auth_check(&engine.world, engine_call(&engine), &request, &principal), RC_OK);
    CHECK_STR(principal.owner, "acme");
    request.headers = &new_header;
    CHECK_RC(auth_check(&engine.world, engine_call(&engine), &request, &principal), RC_OK);
    CHECK_STR(principal.owner, "acme");
    clock_manual_advance(&engine.clock, HOUR_MS);
    request.headers = &old_header;
    CHECK_RC(auth_check(&engine.world, engine_call(&engine), &request, &principal), RC_INVALID);
    engine_close(&engine);
}
