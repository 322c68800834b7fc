/* The engine on a bench: see engine.h. */
#include "engine.h"

#include "adapters/store_sqlite.h"
#include "core/document.h"
#include "core/name.h"
#include "dynamo_rig.h"

static enum rc fake_encode(struct downstream *downstream, struct call *call, struct str name,
                           struct str base, struct str target, struct str *ret_bytes)
{
    (void)downstream, (void)name;
    if (memmem(target.s, target.len, "unmappable", 10)) {
        return call_refuse_at(call, STR("/attributes/unmappable"), PROBLEM_unmappable,
                              "no place for it");
    }
    *ret_bytes = base.len && document_equal(call, base, target) ? STR_NONE : target;
    return RC_OK;
}

static void fake_send(struct downstream *downstream, struct call *call, struct world *world,
                      const struct lease *lease, struct outcome *ret_outcome)
{
    (void)downstream, (void)call, (void)world, (void)lease, (void)ret_outcome;
    FAIL("a test of the engine hands its outcomes in");
}

static void fake_check(struct downstream *downstream, struct call *call, struct world *world,
                       struct outcome *ret_outcome)
{
    fake_send(downstream, call, world, NULL, ret_outcome);
}

static const struct downstream_ops fake_ops = {fake_encode, fake_send, fake_send, fake_check};

static enum told fake_tell(struct notifier *notifier, struct call *call, const struct event *event,
                           int64_t *ret_again_at_ms)
{
    struct engine *engine = (struct engine *)((char *)notifier - offsetof(struct engine, notifier));
    (void)call, (void)ret_again_at_ms;
    CHECK(engine->told_count < (int)COUNT_OF(engine->told));
    engine->told[engine->told_count++] = *event;
    return TOLD_DONE;
}

static const struct notifier_ops fake_notifier_ops = {fake_tell};

void engine_open(struct engine *engine)
{
    *engine = (struct engine){0};
    arena_open(&engine->arena, 0);
    clock_manual_open(&engine->clock, ENGINE_START_MS, 1);
    settings_default(&engine->settings);
    engine->downstream =
        (struct downstream){.ops = &fake_ops, .mapping_version = 1, .reads_back = true};
    engine->notifier = (struct notifier){.ops = &fake_notifier_ops, .customers = true};
    engine->world = (struct world){.downstream = &engine->downstream,
                                   .notifier = &engine->notifier,
                                   .clock = &engine->clock.clock,
                                   .settings = &engine->settings};
    CHECK_RC(store_sqlite_open(engine_call(engine), ":memory:", NULL, &engine->disk), RC_OK);
    engine->store = engine->disk;
    if (dynamo_endpoint()) { /* I6 */
        dynamo_forget_table();
        store_mirror_open(&engine->mirror, engine->disk, dynamo_open(), 1);
        engine->store = &engine->mirror.store;
    }
    engine->world.store = engine->store;
    engine->customer =
        (struct principal){STR("k_customer"), STR("acme"), STR("live"), ROLE_CUSTOMER, 0};
    engine->operator=(struct principal){STR("k_operator"), STR_NONE, STR("live"), ROLE_OPERATOR, 0};
}

void engine_close(struct engine *engine)
{
    struct device_page page;
    struct check_report report = {0};
    struct call *call = engine_call(engine);
    CHECK_RC(store_device_list(engine->store, call, STR("live"), STR_NONE, STR_NONE, STR_NONE,
                               PAGE_MAX, &page),
             RC_OK);
    for (int i = 0; i < page.count; i++) {
        CHECK_RC(check_device(&engine->world, call, page.items[i].key, &report), RC_OK);
    }
    CHECK_STR(str_of(report.first), "");
    dynamo_close(engine->mirror.second);
    store_sqlite_close(engine->disk);
    arena_close(&engine->arena);
}

struct call *engine_call(struct engine *engine)
{
    call_open(&engine->call, &engine->arena, &engine->world);
    return &engine->call;
}

void engine_at(struct engine *engine, int64_t after_hour_ms)
{
    int64_t hour_ms = engine->clock.now_ms / HOUR_MS * HOUR_MS;
    clock_manual_set(&engine->clock, hour_ms + after_hour_ms);
}

void engine_next_hour(struct engine *engine)
{
    engine_at(engine, HOUR_MS + 1000);
}

struct str engine_key(struct engine *engine, const char *name)
{
    struct str checked, key;
    CHECK_RC(name_device_key(&engine->call, STR("live"), str_of(name), STR_NONE, &checked, &key),
             RC_OK);
    return key;
}

struct device engine_create(struct engine *engine, const char *name, const char *doc)
{
    struct call *call = engine_call(engine);
    struct device device;
    bool created;
    struct device_new new = {.name = str_of(name),
                             .key = engine_key(engine, name),
                             .owner = STR("acme"),
                             .doc = str_of(doc)};
    CHECK_RC(device_create(&engine->world, call, &engine->customer, &new, &device, &created),
             RC_OK);
    return device;
}

enum rc engine_try_update(struct engine *engine, const char *name, const char *patch,
                          struct entry *ret_update)
{
    struct call *call = engine_call(engine);
    struct device device;
    struct update_new new = {.key = engine_key(engine, name), .patch = str_of(patch)};
    return update_accept(&engine->world, call, &engine->customer, &new, &device, ret_update);
}

int64_t engine_update(struct engine *engine, const char *name, const char *patch)
{
    struct entry entry = {0};
    CHECK_RC(engine_try_update(engine, name, patch, &entry), RC_OK);
    return entry.seq;
}

enum rc engine_action(struct engine *engine, const char *name, enum action action, int64_t seq)
{
    struct call *call = engine_call(engine);
    struct device device;
    struct action_request request = {.action = action, .reason = STR("a test"), .seq = seq};
    return device_action(&engine->world, call, &engine->operator, engine_key(engine, name),
                         &request, &device);
}

struct device engine_device(struct engine *engine, const char *name)
{
    struct call *call = engine_call(engine);
    struct device device;
    CHECK_RC(store_device_get(engine->store, call, engine_key(engine, name), &device), RC_OK);
    return device;
}

struct str engine_state(struct engine *engine, const char *name, int64_t seq)
{
    struct update_view view;
    struct device device = engine_device(engine, name);
    CHECK_RC(update_view(&engine->world, &engine->call, &device, seq, &view), RC_OK);
    return str_of(update_state_name(view.state));
}

enum rc engine_try_lease(struct engine *engine, const char *name, struct lease *ret_lease)
{
    struct call *call = engine_call(engine);
    return deliver_lease(&engine->world, call, engine_key(engine, name), ret_lease);
}

struct lease engine_lease(struct engine *engine, const char *name)
{
    struct lease lease = {0};
    CHECK_RC(engine_try_lease(engine, name, &lease), RC_OK);
    return lease;
}

void engine_settle(struct engine *engine, const struct lease *lease, struct outcome outcome)
{
    struct call *call = engine_call(engine);
    if (outcome.class == OUTCOME_EFFECT && lease->mode != LEASE_READ_BACK && !outcome.sent_at_ms) {
        outcome.sent_at_ms = call->now_ms;
    }
    if (!outcome.started_at_ms) {
        outcome.started_at_ms = call->now_ms;
    }
    CHECK_RC(deliver_settle(&engine->world, call, lease, &outcome), RC_OK);
}

struct entry engine_last(struct engine *engine, const char *name)
{
    struct device device = engine_device(engine, name);
    struct entry_page page;
    CHECK_RC(store_log_list(engine->store, &engine->call, device.key, device.seq, device.seq, false,
                            1, &page),
             RC_OK);
    CHECK_INT(page.count, 1);
    return page.items[0];
}
