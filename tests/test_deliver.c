/* Lease and settle: what each outcome leads to, and what a crash in between leaves. */
#include "engine.h"

#define EFFECT ((struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE")})
#define SAME ((struct outcome){.class = OUTCOME_SAME, .code = STR("ALREADY")})
#define LOCKED ((struct outcome){.class = OUTCOME_NO_EFFECT, .counts = true, .code = STR("LOCKED")})
#define DIFFERENT                                                                                  \
    ((struct outcome){.class = OUTCOME_NO_EFFECT, .counts = true, .code = STR("DIFFERENT")})
#define UNSURE ((struct outcome){.class = OUTCOME_UNSURE, .code = STR("AMBIGUOUS")})
#define REJECTED                                                                                   \
    ((struct outcome){.class = OUTCOME_REJECTED, .code = STR("PERMANENT"), .pointers = STR("[]")})

/* A device with one update that is due now. */
static struct engine *due(struct engine *engine)
{
    engine_open(engine);
    (void)engine_create(engine, "Pump-7", "{\"a\":1}");
    CHECK_INT(engine_update(engine, "Pump-7", "{\"a\":2}"), 1);
    engine_next_hour(engine);
    return engine;
}

TEST(an_update_is_not_due_before_the_next_boundary) /* P2 */
{
    struct engine engine;
    struct lease lease;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":2}");
    engine_at(&engine, HOUR_MS - 1);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE);
    engine_at(&engine, HOUR_MS);
    CHECK_RC(engine_try_lease(&engine, "PUMP-7", &lease), RC_OK);
    CHECK_STR(lease.body.bytes, "{\"a\":2}");
    engine_close(&engine);
}

/* Not even a logon: SAP would count it. */
TEST(a_sender_that_slept_until_its_lease_was_over_says_nothing)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    struct outcome outcome;
    engine_at(&engine, lease.lease_until_ms % HOUR_MS);
    lease.mode = LEASE_READ_BACK;
    deliver_send(&engine.world, engine_call(&engine), &lease, &outcome);
    CHECK_INT(outcome.class, OUTCOME_UNSURE);
    lease.mode = LEASE_SEND;
    deliver_send(&engine.world, engine_call(&engine), &lease, &outcome);
    CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
    CHECK_STR(outcome.code, "NOT_SENT");
    CHECK(!outcome.counts);
    engine_settle(&engine, &lease, outcome);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "pending");
    engine_close(&engine);
}

TEST(three_updates_become_one_delivery_and_each_knows_it) /* P3 P7 */
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":1}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":2}");
    (void)engine_update(&engine, "Pump-7", "{\"b\":{\"c\":1}}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":3}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    CHECK_STR(lease.body.target, "{\"a\":3,\"b\":{\"c\":1}}");
    CHECK_STR(engine_state(&engine, "Pump-7", 2), "sending");
    engine_settle(&engine, &lease, EFFECT);
    for (int64_t seq = 1; seq <= 3; seq++) {
        CHECK_STR(engine_state(&engine, "Pump-7", seq), "delivered");
    }
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.work, WORK_NONE);
    CHECK_INT(device.base, lease.body.delivery);
    CHECK_INT(engine.call.tallies[TALLY_updates_delivered], 0);
    struct update_view view;
    CHECK_RC(update_view(&engine.world, engine_call(&engine), &device, 1, &view), RC_OK);
    CHECK_INT(view.field_count, 1);
    CHECK_STR(view.fields[0].pointer, "/a");
    CHECK_INT(view.fields[0].overwritten_by, 3);
    CHECK_INT(view.end.seq, 4);
    engine_close(&engine);
}

TEST(a_second_update_in_the_used_window_waits_for_the_next_one) /* P2 */
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), second;
    engine_settle(&engine, &lease, EFFECT);
    (void)engine_update(&engine, "Pump-7", "{\"a\":5}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_deliver_now, 0), RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &second), RC_NOT_DUE);
    engine_next_hour(&engine);
    second = engine_lease(&engine, "Pump-7");
    CHECK_STR(second.base, "{\"a\":2}");
    engine_close(&engine);
}

TEST(an_update_accepted_while_sending_belongs_to_the_next_delivery)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    CHECK_INT(engine_update(&engine, "Pump-7", "{\"a\":9}"), 2);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "sending");
    CHECK_STR(engine_state(&engine, "Pump-7", 2), "pending");
    engine_settle(&engine, &lease, EFFECT);
    CHECK_STR(engine_state(&engine, "Pump-7", 2), "pending");
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.work, WORK_OPEN);
    CHECK_INT(device.from_seq, 2);
    CHECK_INT(device.pending_count, 1);
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_INT(lease.body.delivery, device.version + 1);
    CHECK_STR(lease.base, "{\"a\":2}");
    engine_close(&engine);
}

TEST(a_rejection_undoes_the_delivery_and_keeps_what_came_after) /* P4 */
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":1}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":2,\"bad\":true}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    (void)engine_update(&engine, "Pump-7", "{\"b\":2}");
    engine_settle(&engine, &lease, REJECTED);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_STR(device.doc, "{\"a\":1,\"b\":2}");
    CHECK_INT(device.revision, 4);
    CHECK_INT(device.work, WORK_OPEN);
    CHECK_INT(device.effect_at_ms, 0);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "rejected");
    CHECK_STR(engine_state(&engine, "Pump-7", 2), "pending");
    engine_close(&engine);
}

TEST(a_call_without_effect_leaves_the_range_pending_and_backs_off)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), again;
    (void)engine_update(&engine, "Pump-7", "{\"b\":1}");
    engine_settle(&engine, &lease, LOCKED);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.work, WORK_OPEN);
    CHECK_INT(device.pending_count, 2);
    CHECK_INT(device.attempt_count, 1);
    CHECK(device.at_ms >= engine.call.now_ms + 1000 && device.at_ms <= engine.call.now_ms + 1250);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &again), RC_NOT_DUE);
    clock_manual_advance(&engine.clock, 1300);
    again = engine_lease(&engine, "Pump-7");
    CHECK_STR(again.body.target, "{\"a\":2,\"b\":1}");
    CHECK(!str_equal(again.body.repeat_id, lease.body.repeat_id));
    engine_close(&engine);
}

TEST(the_same_values_downstream_satisfy_without_using_the_window)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    engine_settle(&engine, &lease, SAME);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.effect_at_ms, 0);
    CHECK_INT(device.base, lease.body.delivery);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "satisfied");
    engine_close(&engine);
}

TEST(there_and_back_again_is_satisfied_at_the_lease_and_moves_the_base)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), none;
    engine_settle(&engine, &lease, EFFECT);
    (void)engine_update(&engine, "Pump-7", "{\"a\":3}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":2}");
    engine_next_hour(&engine);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &none), RC_NOT_DUE);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.work, WORK_NONE);
    CHECK(device.base > lease.body.delivery);
    CHECK_STR(engine_state(&engine, "Pump-7", 4), "satisfied");
    engine_close(&engine);
}

TEST(an_update_that_changes_nothing_is_satisfied_at_once)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    int64_t seq = engine_update(&engine, "Pump-7", "{\"a\":2}");
    CHECK_STR(engine_state(&engine, "Pump-7", seq), "satisfied");
    CHECK_INT(engine_device(&engine, "Pump-7").work, WORK_NONE);
    engine_close(&engine);
}

TEST(an_unsure_outcome_is_read_back_and_never_taken_for_no_effect) /* P2 P3 */
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), look;
    struct outcome unsure = UNSURE;
    unsure.sent_at_ms = engine.call.now_ms;
    engine_settle(&engine, &lease, unsure);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "uncertain");
    clock_manual_advance(&engine.clock, 5000);
    look = engine_lease(&engine, "Pump-7");
    CHECK_INT(look.mode, LEASE_READ_BACK);
    CHECK_STR(look.body.repeat_id, lease.body.repeat_id.s);
    engine_settle(&engine, &look, DIFFERENT); /* too early to believe it */
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "uncertain");
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &look), RC_NOT_DUE);
    clock_manual_advance(&engine.clock, 10 * MINUTE_MS);
    look = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &look, EFFECT);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "delivered");
    CHECK_INT(engine_device(&engine, "Pump-7").effect_at_ms, unsure.sent_at_ms);
    engine_close(&engine);
}

TEST(different_is_believed_only_if_the_read_started_after_the_late_limit)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), look;
    struct outcome unsure = UNSURE, different = DIFFERENT;
    int64_t sent = unsure.sent_at_ms = engine.call.now_ms;
    engine_settle(&engine, &lease, unsure);
    clock_manual_advance(&engine.clock, 10 * MINUTE_MS + 2000);
    look = engine_lease(&engine, "Pump-7");
    different.started_at_ms = sent + 10 * MINUTE_MS - 1;
    engine_settle(&engine, &look, different);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "uncertain");
    clock_manual_advance(&engine.clock, 10 * MINUTE_MS);
    look = engine_lease(&engine, "Pump-7");
    different.started_at_ms = sent + 10 * MINUTE_MS;
    engine_settle(&engine, &look, different);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "pending");
    CHECK_INT(engine_device(&engine, "Pump-7").effect_at_ms, 0);
    engine_close(&engine);
}

TEST(some_of_the_values_use_the_window_and_the_next_body_is_in_full)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), look;
    engine_settle(&engine, &lease, UNSURE);
    clock_manual_advance(&engine.clock, 20 * MINUTE_MS);
    look = engine_lease(&engine, "Pump-7");
    struct outcome partial = DIFFERENT;
    partial.partial = true;
    engine_settle(&engine, &look, partial);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK(device.resend_all);
    CHECK(device.effect_at_ms > 0);
    CHECK(device.at_ms % HOUR_MS == 0);
    engine_close(&engine);
}

TEST(a_lost_lease_is_uncertain_and_counts_as_sent_at_the_last_moment) /* P2 */
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), look;
    struct device sealed = engine_device(&engine, "Pump-7");
    clock_manual_advance(&engine.clock, 149000);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &look), RC_NOT_DUE);
    clock_manual_advance(&engine.clock, 2000);
    look = engine_lease(&engine, "Pump-7");
    CHECK_INT(look.mode, LEASE_READ_BACK);
    struct outcome slow = EFFECT;
    slow.sent_at_ms = lease.first_sent_at_ms;
    CHECK_RC(deliver_settle(&engine.world, engine_call(&engine), &lease, &slow),
             RC_NOT_DUE); /* fenced */
    engine_settle(&engine, &look, EFFECT);
    CHECK_INT(engine_device(&engine, "Pump-7").effect_at_ms, sealed.flight.send_before_at_ms);
    engine_close(&engine);
}

TEST(a_slow_sender_whose_lease_nobody_took_still_settles)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    clock_manual_advance(&engine.clock, 200000);
    engine_settle(&engine, &lease, EFFECT);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "delivered");
    engine_close(&engine);
}

TEST(three_leases_without_an_outcome_stop_and_call_an_operator)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    for (int i = 0; i < 2; i++) {
        clock_manual_advance(&engine.clock, 151000);
        lease = engine_lease(&engine, "Pump-7");
    }
    CHECK_INT(lease.lease_no, 3);
    clock_manual_advance(&engine.clock, 151000);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.work, WORK_UNCERTAIN);
    CHECK_INT(device.at_ms, TIME_NEVER_MS);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_confirm, 0), RC_OK);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "delivered");
    engine_close(&engine);
}

TEST(a_re_send_that_was_refused_leaves_the_delivery_uncertain)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    struct outcome refused = REJECTED;
    refused.re_sent = true;
    refused.sent_at_ms = refused.earlier_sent_at_ms = engine.call.now_ms;
    engine_settle(&engine, &lease, refused);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "uncertain");
    engine_close(&engine);
}

TEST(after_a_re_send_that_succeeded_the_next_seal_waits_for_the_earlier_send)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    struct outcome effect = EFFECT;
    effect.re_sent = true;
    int64_t earlier = effect.earlier_sent_at_ms = engine.call.now_ms;
    clock_manual_advance(&engine.clock, 60000);
    effect.sent_at_ms = earlier + 50000;
    engine_settle(&engine, &lease, effect);
    CHECK_INT(engine_device(&engine, "Pump-7").not_before_at_ms, earlier + 10 * MINUTE_MS);
    CHECK_INT(engine_device(&engine, "Pump-7").effect_at_ms, earlier + 50000);
    engine_close(&engine);
}

TEST(without_reading_back_the_same_bytes_go_out_again_with_the_same_id) /* P2 */
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7"), again;
    engine.downstream.reads_back = false;
    struct outcome unsure = UNSURE;
    unsure.sent_at_ms = engine.call.now_ms;
    engine_settle(&engine, &lease, unsure);
    clock_manual_advance(&engine.clock, 5000);
    again = engine_lease(&engine, "Pump-7");
    CHECK_INT(again.mode, LEASE_RESEND);
    CHECK_BYTES(again.body.bytes, lease.body.bytes);
    CHECK_BYTES(again.body.repeat_id, lease.body.repeat_id);
    CHECK_INT(again.earlier_sent_at_ms, unsure.sent_at_ms);
    engine_settle(&engine, &again, LOCKED); /* speaks only for itself */
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "uncertain");
    clock_manual_advance(&engine.clock, MINUTE_MS);
    again = engine_lease(&engine, "Pump-7");
    struct outcome rejected = REJECTED;
    rejected.repeat_confirmed = true;
    engine_settle(&engine, &again, rejected);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "rejected");
    engine_close(&engine);
}

TEST(max_attempts_without_effect_are_dead_and_the_next_update_opens_again) /* P3 */
{
    struct engine engine;
    struct lease lease;
    due(&engine);
    engine.settings.max_attempts = 2;
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, LOCKED);
    clock_manual_advance(&engine.clock, MINUTE_MS);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, LOCKED);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "dead");
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE);
    CHECK_INT(engine_update(&engine, "Pump-7", "{\"b\":1}"), 5);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "pending");
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "delivered");
    CHECK_STR(engine_state(&engine, "Pump-7", 5), "delivered");
    engine_close(&engine);
}

TEST(out_of_attempts_with_a_newer_update_goes_on_in_the_next_window)
{
    struct engine engine;
    struct lease lease;
    due(&engine);
    engine.settings.max_attempts = 1;
    lease = engine_lease(&engine, "Pump-7");
    (void)engine_update(&engine, "Pump-7", "{\"b\":1}");
    engine_settle(&engine, &lease, LOCKED);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.work, WORK_OPEN);
    CHECK_INT(device.attempt_count, 0);
    CHECK_INT(device.at_ms % HOUR_MS, 0);
    CHECK(engine_last(&engine, "Pump-7").notice_at_ms > 0);
    engine_close(&engine);
}

TEST(discard_undoes_dead_work)
{
    struct engine engine;
    struct lease lease;
    due(&engine);
    engine.settings.max_attempts = 1;
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, LOCKED);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_discard, 0), RC_OK);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "cancelled");
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1}");
    engine_close(&engine);
}

TEST(deny_is_possible_only_after_the_late_limit_and_uses_the_window) /* P2 */
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    struct outcome unsure = UNSURE;
    unsure.sent_at_ms = engine.call.now_ms;
    engine_settle(&engine, &lease, unsure);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_deny, 0), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    clock_manual_advance(&engine.clock, 10 * MINUTE_MS);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_deny, 0), RC_OK);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK_INT(device.effect_at_ms, unsure.sent_at_ms);
    CHECK_INT(device.work, WORK_OPEN);
    engine_close(&engine);
}

/* The mapping that is there when the update was accepted, and the one that is there an hour later. */
static enum rc takes_all(struct downstream *downstream, struct call *call, struct str name,
                         struct str base, struct str target, struct str *ret_bytes)
{
    (void)downstream, (void)call, (void)name, (void)base;
    *ret_bytes = target;
    return RC_OK;
}

static enum rc refuses_all(struct downstream *downstream, struct call *call, struct str name,
                           struct str base, struct str target, struct str *ret_bytes)
{
    char pointer[6000];
    (void)downstream, (void)name, (void)base, (void)target, (void)ret_bytes;
    memset(pointer, '/', sizeof pointer);
    for (int i = 0; i < PROBLEMS_MAX; i++) {
        call_name(call, (struct str){pointer, sizeof pointer}, PROBLEM_unmappable, "no place");
    }
    return RC_INVALID;
}

/* Sixteen pointers of 6,000 bytes are more than an entry holds: what is kept of them is JSON all the same. */
TEST(a_mapping_that_changed_rejects_at_the_lease_without_a_call) /* P3 P7 */
{
    struct engine engine;
    struct lease lease;
    yyjson_val *data = NULL;
    engine_open(&engine);
    struct downstream_ops ops = *engine.downstream.ops;
    engine.downstream.ops = &ops;
    ops.encode = takes_all;
    (void)engine_create(&engine, "Pump-7", "{\"a\":1}");
    (void)engine_update(&engine, "Pump-7", "{\"b\":1}");
    engine_next_hour(&engine);
    ops.encode = refuses_all;
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE);
    CHECK_INT(engine.call.problem, PROBLEM_NONE);
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "rejected");
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1}");
    struct entry entry = engine_last(&engine, "Pump-7");
    CHECK_RC(json_read(&engine.arena, entry.data, JSON_MAX_DEPTH, &data, NULL), RC_OK);
    CHECK_BYTES(json_member_str(data, "code", STR_NONE), STR("UNMAPPABLE"));
    CHECK_INT((int64_t)yyjson_arr_size(json_member(data, "pointers")), 8);
    engine_close(&engine);
}

TEST(a_held_device_accepts_and_waits)
{
    struct engine engine;
    struct lease lease;
    due(&engine);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_hold, 0), RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE);
    (void)engine_update(&engine, "Pump-7", "{\"b\":1}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_resume, 0), RC_OK);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_STR(lease.body.target, "{\"a\":2,\"b\":1}");
    engine_close(&engine);
}

TEST(resend_all_without_an_update_sends_the_whole_document_once)
{
    struct engine engine;
    struct lease lease = engine_lease(due(&engine), "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_resend_all, 0), RC_OK);
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_STR(lease.base, "");
    engine_settle(&engine, &lease, EFFECT);
    struct device device = engine_device(&engine, "Pump-7");
    CHECK(!device.resend_all);
    CHECK_INT(device.work, WORK_NONE);
    engine_close(&engine);
}

TEST(an_effect_from_a_wrong_clock_does_not_block_for_ever)
{
    struct engine engine;
    struct lease lease;
    due(&engine);
    clock_manual_step(&engine.clock, 24 * HOUR_MS);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    (void)engine_update(&engine, "Pump-7", "{\"b\":1}");
    clock_manual_step(&engine.clock, -24 * HOUR_MS);
    (void)engine_update(&engine, "Pump-7", "{\"c\":1}");
    engine_next_hour(&engine);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease),
             RC_NOT_DUE); /* the window of now counts as used */
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    engine_close(&engine);
}
