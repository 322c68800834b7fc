/* Planning one page: lost leases and uncertain work first (they block their devices), then what is due.
 * While the downstream is closed or the window's end is near nothing that is merely open is woken: a
 * backlog then costs no reads and no writes. */
#include "core/plan.h"

#include "core/breaker.h"
#include "core/name.h"

static const enum work order[] = {WORK_FLIGHT, WORK_UNCERTAIN, WORK_OPEN};

static void later(struct plan_result *result, int64_t at_ms)
{
    if (at_ms < TIME_NEVER_MS && (result->next_at_ms == 0 || at_ms < result->next_at_ms)) {
        result->next_at_ms = at_ms;
    }
}

/* Does OPEN work have to wait for reasons that are not a device's own? */
static bool all_wait(struct world *world, struct call *call, const struct breaker *breaker,
                     struct plan_result *result)
{
    int64_t at_ms;
    int64_t boundary = window_due(world->settings, call->now_ms);
    if (breaker_blocks(breaker, call->now_ms, &at_ms) != BLOCK_nothing) {
        later(result, max_i64(at_ms, call->now_ms + 1));
        return true;
    }
    if (call->now_ms >= boundary - window_guard_ms(world->settings)) {
        later(result, boundary);
        return true;
    }
    return false;
}

/* The earliest of a state, due or not: tells when to look again. No open device plans so far ahead as a clock that was
 * wrong by a day: once nothing else is before them, such ones are woken, and the lease corrects their times. */
static enum rc look_ahead(struct world *world, struct call *call, enum work state, int shard,
                          int room, struct plan_result *result)
{
    struct work_page page;
    int64_t latest_ms =
        call->now_ms + world->settings->window_ms + window_longest_wait_ms(world->settings);
    TRY(store_work_list(world->store, call, state, STR("live"), shard, TIME_NEVER_MS, STR_NONE, 1,
                        &page));
    int64_t at_ms = page.count ? page.items[0].at_ms : TIME_NEVER_MS;
    if (state != WORK_OPEN || at_ms <= latest_ms || at_ms >= TIME_NEVER_MS) {
        later(result, max_i64(at_ms, call->now_ms + 1));
        return RC_OK;
    }
    TRY(store_work_list(world->store, call, state, STR("live"), shard, TIME_NEVER_MS - 1, STR_NONE,
                        room, &page));
    for (int i = 0; i < page.count; i++) {
        call_wake(call, page.items[i].key, 0);
    }
    return RC_OK;
}

static enum rc plan_state(struct world *world, struct call *call,
                          const struct plan_request *request, enum work state,
                          struct plan_result *result)
{
    struct work_page page = {0};
    struct str after = state == request->state ? request->after : STR_NONE;
    int room = min_i64(request->limit, WAKES_MAX) - call->wake_count > 0
                   ? (int)min_i64(request->limit, WAKES_MAX) - call->wake_count
                   : 0;
    if (room > 0) {
        TRY(store_work_list(world->store, call, state, STR("live"), request->shard, call->now_ms,
                            after, room, &page));
        for (int i = 0; i < page.count; i++) {
            if (!name_is_system(page.items[i].key)) {
                call_wake(call, page.items[i].key, 0);
            }
        }
    }
    if (room == 0 || page.more) {
        result->more = true;
        result->state = state;
        result->after = room ? page.after : STR_NONE;
        return RC_OK;
    }
    return page.count ? RC_OK : look_ahead(world, call, state, request->shard, room, result);
}

enum rc plan(struct world *world, struct call *call, const struct plan_request *request,
             struct plan_result *ret_result)
{
    struct plan_result result = {0};
    struct breaker breaker;
    TRY(breaker_get(world, call, STR("live"), &breaker));
    if (breaker_wants_probe(&breaker, call->now_ms)) {
        call_wake(call, name_system(call, STR("live")), 0);
    }
    bool begun = request->state == WORK_NONE;
    for (size_t i = 0; i < COUNT_OF(order) && !result.more; i++) {
        begun |= order[i] == request->state;
        if (!begun || (order[i] == WORK_OPEN && all_wait(world, call, &breaker, &result))) {
            continue;
        }
        TRY(plan_state(world, call, request, order[i], &result));
    }
    *ret_result = result;
    return RC_OK;
}
