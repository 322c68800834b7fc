/* Accepting and cancelling: the document, the caps, what a repeat and a foreigner get. */
#include "engine.h"

#define EFFECT ((struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE")})
#define LOCKED ((struct outcome){.class = OUTCOME_NO_EFFECT, .counts = true, .code = STR("LOCKED")})

TEST(patches_apply_one_by_one_and_are_never_folded) /* P4 */
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":{\"a1\":0,\"a2\":3}}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":null}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":{\"a1\":8}}");
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":{\"a1\":8}}");
    engine_close(&engine);
}

TEST(the_due_of_a_later_update_never_moves_the_first_one) /* P3 */
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    int64_t due_at_ms = engine_device(&engine, "Pump-7").due_at_ms;
    engine_next_hour(&engine);
    (void)engine_update(&engine, "Pump-7", "{\"a\":2}");
    CHECK_INT(engine_device(&engine, "Pump-7").due_at_ms, due_at_ms);
    engine_close(&engine);
}

TEST(if_match_tells_who_was_faster)
{
    struct engine engine;
    struct device device;
    struct entry entry;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    struct update_new new = {
        .key = engine_key(&engine, "Pump-7"), .patch = STR("{\"a\":1}"), .if_match = 1};
    CHECK_RC(
        update_accept(&engine.world, engine_call(&engine), &engine.customer, &new, &device, &entry),
        RC_OK);
    CHECK_RC(
        update_accept(&engine.world, engine_call(&engine), &engine.customer, &new, &device, &entry),
        RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_revision_mismatch);
    CHECK_INT(engine.call.current->revision, 2);
    engine_close(&engine);
}

TEST(a_foreign_device_is_not_found) /* P9 */
{
    struct engine engine;
    struct device device;
    struct entry entry;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    struct principal other = {STR("k_other"), STR("other"), STR("live"), ROLE_CUSTOMER, 0};
    struct update_new new = {.key = engine_key(&engine, "Pump-7"), .patch = STR("{\"a\":1}")};
    CHECK_RC(update_accept(&engine.world, engine_call(&engine), &other, &new, &device, &entry),
             RC_NOT_FOUND);
    CHECK_RC(device_read(&engine.world, engine_call(&engine), &other, new.key, &device),
             RC_NOT_FOUND);
    struct action_request request = {.action = ACTION_cancel, .seq = 1};
    CHECK_RC(device_action(&engine.world, engine_call(&engine), &other, new.key, &request, &device),
             RC_NOT_FOUND);
    engine_close(&engine);
}

TEST(the_system_record_is_no_device) /* P9 */
{
    struct engine engine;
    struct device device;
    struct breaker breaker;
    engine_open(&engine);
    CHECK_RC(breaker_action(&engine.world, engine_call(&engine), STR("k"), STR("hold"), STR("why"),
                            &breaker),
             RC_OK);
    CHECK_RC(device_read(&engine.world, engine_call(&engine), &engine.operator, STR("live/!system"),
                         &device),
             RC_NOT_FOUND);
    engine_close(&engine);
}

TEST(the_thousand_and_first_pending_update_is_refused)
{
    struct engine engine;
    struct entry entry;
    engine_open(&engine);
    engine.settings.max_pending = 3;
    (void)engine_create(&engine, "Pump-7", "{}");
    for (int i = 0; i < 3; i++) {
        (void)engine_update(&engine, "Pump-7", i % 2 ? "{\"a\":1}" : "{\"a\":2}");
    }
    CHECK_RC(engine_try_update(&engine, "Pump-7", "{\"a\":9}", &entry), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_too_many_pending);
    engine_next_hour(&engine);
    (void)engine_lease(&engine, "Pump-7"); /* sealed ones wait no more */
    CHECK_RC(engine_try_update(&engine, "Pump-7", "{\"a\":9}", &entry), RC_OK);
    engine_close(&engine);
}

TEST(the_merged_document_has_a_cap_but_not_the_patch_that_shrinks_it)
{
    struct engine engine;
    struct entry entry;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    char patch[DOC_MAX_BYTES + 64];
    memset(patch, 'x', sizeof(patch));
    memcpy(patch, "{\"a\":\"", 6);
    memcpy(patch + DOC_MAX_BYTES - 2, "\"}", 3);
    CHECK_RC(engine_try_update(&engine, "Pump-7", patch, &entry), RC_OK);
    CHECK_INT(engine_device(&engine, "Pump-7").doc.len, DOC_MAX_BYTES);
    CHECK_RC(engine_try_update(&engine, "Pump-7", "{\"b\":1}", &entry), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_document_too_large);
    CHECK_RC(engine_try_update(&engine, "Pump-7", "{\"a\":1}", &entry), RC_OK);
    engine_close(&engine);
}

TEST(cancel_takes_one_patch_out_and_leaves_the_rest_in_order) /* P4 */
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":0}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1,\"b\":1}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":null}");
    (void)engine_update(&engine, "Pump-7", "{\"c\":1}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 2), RC_OK);
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1,\"b\":1,\"c\":1}");
    CHECK_STR(engine_state(&engine, "Pump-7", 2), "cancelled");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 2), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_update_ended);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 1), RC_OK);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 3), RC_OK);
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":0}");
    CHECK_INT(engine_device(&engine, "Pump-7").work, WORK_NONE);
    engine_close(&engine);
}

TEST(a_sealed_update_cannot_be_cancelled)
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":0}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    (void)engine_update(&engine, "Pump-7", "{\"a\":2}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 1), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_update_in_flight);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 2), RC_OK);
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1}");
    CHECK_STR(engine_device(&engine, "Pump-7").doc, lease.body.target.s);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 77), RC_NOT_FOUND);
    engine_settle(&engine, &lease, EFFECT);
    engine_close(&engine);
}

/* A downstream that answers nonsense for days: more tries, and more words, than fit into one page. */
TEST(an_update_with_many_tries_has_the_end_that_it_has) /* P3 P7 */
{
    struct engine engine;
    struct lease lease;
    char words[2048];
    engine_open(&engine);
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    (void)engine_create(&engine, "Pump-7", "{}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    engine_next_hour(&engine);
    engine.settings.attempts_per_window = 1000;
    struct outcome refused = {
        .class = OUTCOME_NO_EFFECT, .code = STR("BUSY"), .detail = str_of(words)};
    for (int i = 0; i < 600; i++) {
        lease = engine_lease(&engine, "Pump-7");
        engine_settle(&engine, &lease, refused);
        arena_reset(&engine.arena); /* nothing of it is needed, and there is much of it */
    }
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, (struct outcome){.class = OUTCOME_EFFECT});
    (void)engine_update(&engine, "Pump-7", "{\"b\":2}");
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "delivered");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 1), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_update_ended);
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1,\"b\":2}");
    engine_close(&engine);
}

TEST(cancel_while_uncertain_touches_only_what_is_not_sealed)
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":0}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, (struct outcome){.class = OUTCOME_UNSURE});
    (void)engine_update(&engine, "Pump-7", "{\"a\":2}");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 1), RC_INVALID);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 3), RC_OK);
    CHECK_STR(engine_device(&engine, "Pump-7").doc, "{\"a\":1}");
    CHECK_STR(engine_state(&engine, "Pump-7", 1), "uncertain");
    engine_close(&engine);
}

TEST(cancel_of_a_dead_update_leaves_the_others_dead)
{
    struct engine engine;
    engine_open(&engine);
    engine.settings.max_attempts = 1;
    (void)engine_create(&engine, "Pump-7", "{\"a\":0}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    (void)engine_update(&engine, "Pump-7", "{\"b\":1}");
    engine_next_hour(&engine);
    struct lease lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, LOCKED);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 1), RC_OK);
    CHECK_STR(engine_state(&engine, "Pump-7", 2), "dead");
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_redrive, 0), RC_OK);
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_STR(lease.body.target, "{\"a\":0,\"b\":1}");
    engine_close(&engine);
}

TEST(a_repeated_create_is_equal_or_refused) /* P5 P6 */
{
    struct engine engine;
    struct device device;
    bool created;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":1,\"b\":2}");
    struct device_new new = {.name = STR("PUMP-7"),
                             .key = engine_key(&engine, "PUMP-7"),
                             .owner = STR("acme"),
                             .doc = STR("{\"b\":2,\"a\":1}")};
    CHECK_RC(device_create(&engine.world, engine_call(&engine), &engine.customer, &new, &device,
                           &created),
             RC_OK);
    CHECK(!created);
    CHECK_STR(device.name, "Pump-7");
    new.doc = STR("{\"a\":2}");
    CHECK_RC(device_create(&engine.world, engine_call(&engine), &engine.customer, &new, &device,
                           &created),
             RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_device_exists);
    CHECK(engine.call.current != NULL);
    new.owner = STR("other");
    CHECK_RC(device_create(&engine.world, engine_call(&engine), &engine.customer, &new, &device,
                           &created),
             RC_INVALID);
    CHECK(engine.call.current == NULL);
    engine_close(&engine);
}

TEST(only_operators_act_but_for_cancel) /* P9 */
{
    struct engine engine;
    struct device device;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    struct action_request request = {.action = ACTION_hold};
    CHECK_RC(device_action(&engine.world, engine_call(&engine), &engine.customer,
                           engine_key(&engine, "Pump-7"), &request, &device),
             RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_forbidden);
    engine_close(&engine);
}

TEST(an_action_in_the_wrong_state_says_so)
{
    struct engine engine;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{}");
    static const enum action wrong[] = {ACTION_resume, ACTION_deliver_now, ACTION_confirm,
                                        ACTION_deny,   ACTION_discard,     ACTION_redrive};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        CHECK_RC(engine_action(&engine, "Pump-7", wrong[i], 0), RC_INVALID);
        CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    }
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_cancel, 0), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_missing_member);
    engine_close(&engine);
}

TEST(after_a_restore_the_full_document_waits_for_the_next_window) /* P2 */
{
    struct engine engine;
    struct lease lease;
    engine_open(&engine);
    (void)engine_create(&engine, "Pump-7", "{\"a\":0}");
    (void)engine_update(&engine, "Pump-7", "{\"a\":1}");
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    engine_settle(&engine, &lease, EFFECT);
    CHECK_RC(device_restored(&engine.world, engine_call(&engine), engine_key(&engine, "Pump-7")),
             RC_OK);
    CHECK_RC(engine_action(&engine, "Pump-7", ACTION_deliver_now, 0), RC_OK);
    CHECK_RC(engine_try_lease(&engine, "Pump-7", &lease), RC_NOT_DUE);
    engine_next_hour(&engine);
    lease = engine_lease(&engine, "Pump-7");
    CHECK_STR(lease.base, "");
    engine_close(&engine);
}
