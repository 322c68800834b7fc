/* Telling at once what a call has committed: for homes without turns. */
#include "engine.h"

static struct engine engine;

static enum told tell_later(struct notifier *notifier, struct call *call, const struct event *event,
                            int64_t *ret_again_at_ms)
{
    (void)notifier, (void)call, (void)event;
    *ret_again_at_ms = 0;
    return TOLD_AGAIN;
}

static int due_count(void)
{
    struct notice_list list;
    CHECK_RC(notices_due(&engine.world, engine_call(&engine), 10, &list), RC_OK);
    return list.count;
}

TEST(a_call_tells_what_it_committed_once_and_leaves_nothing_P8)
{
    engine_open(&engine);
    (void)engine_create(&engine, "pump-7", "{}");
    CHECK(engine.call.noticed);
    CHECK_INT(engine.call.untold_count, 1);
    CHECK_INT(engine.call.untold[0].seq, 0);
    CHECK_RC(notices_tell(&engine.world, &engine.call), RC_OK);
    CHECK_INT(engine.told_count, 1);
    CHECK_STR(engine.told[0].type, "device.created");
    CHECK_RC(notices_tell(&engine.world, &engine.call), RC_OK); /* again: there is nothing left */
    CHECK_INT(engine.told_count, 1);
    CHECK_INT(due_count(), 0);
    engine_close(&engine);
}

TEST(what_could_not_be_told_at_once_is_found_later_with_the_same_id_P8)
{
    static const struct notifier_ops later = {tell_later};
    engine_open(&engine);
    const struct notifier_ops *usual = engine.notifier.ops;
    (void)engine_create(&engine, "pump-7", "{}");
    struct entry entry = engine_last(&engine, "pump-7");
    engine.notifier.ops = &later;
    (void)engine_create(&engine, "pump-8", "{}");
    CHECK_RC(notices_tell(&engine.world, &engine.call), RC_OK);
    engine.notifier.ops = usual;
    clock_manual_advance(&engine.clock, HOUR_MS);
    int count = 0;
    CHECK_RC(notices_send(&engine.world, engine_call(&engine), 10, &count), RC_OK);
    CHECK_INT(count, 2); /* pump-7 was never told, pump-8 in vain */
    struct str id = notice_event_id(&engine.arena, engine_key(&engine, "pump-7"), &entry, 0);
    CHECK(str_equal(engine.told[0].id, id) || str_equal(engine.told[1].id, id));
    engine_close(&engine);
}

TEST(a_commit_that_was_refused_leaves_nothing_to_tell)
{
    struct store_faults faults = {.fail_commit_in = 1, .fail_with = RC_BUSY};
    struct device device;
    bool created;
    engine_open(&engine);
    struct device_new new = {.name = STR("pump-7"), .owner = STR("acme"), .doc = STR("{}")};
    new.key = engine_key(&engine, "pump-7");
    engine.store->faults = &faults;
    CHECK_RC(device_create(&engine.world, engine_call(&engine), &engine.customer, &new, &device,
                           &created),
             RC_BUSY);
    engine.store->faults = NULL;
    CHECK_INT(engine.call.untold_count, 0);
    engine_close(&engine);
}
