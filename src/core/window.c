/* The hour rule: which window a moment lies in, when an update is due, whether a delivery may start
 * now and until when its first byte may leave. Arithmetic only; ports.c and the tests hold it to P2. */
#include "core/window.h"

#include "core/breaker.h"

#define LEASE_SLACK_MS 20000   /* a lease outlives the longest write by this */
#define SETTLE_SLACK_MS 10000  /* left of the lease after the longest write: time to settle */
#define DEADLINE_SLACK_MS 5000 /* left of a function's life after the longest write */

int64_t window_slot(const struct settings *settings, int64_t at_ms)
{
    return at_ms / settings->window_ms;
}

int64_t window_boundary(const struct settings *settings, int64_t slot)
{
    return slot * settings->window_ms;
}

int64_t window_due(const struct settings *settings, int64_t accepted_at_ms)
{
    return window_boundary(settings, window_slot(settings, accepted_at_ms) + 1);
}

int64_t window_guard_ms(const struct settings *settings)
{
    return min_i64(settings->boundary_guard_ms, settings->window_ms / 10);
}

int64_t window_lease_ms(const struct settings *settings)
{
    return max_i64(settings->lease_ms, settings->write_timeout_ms + LEASE_SLACK_MS);
}

int64_t window_longest_wait_ms(const struct settings *settings)
{
    const struct spans *backoff = &settings->backoff_spans;
    int64_t longest = max_i64(settings->window_ms, settings->late_limit_ms);
    for (int i = 0; i < backoff->count; i++) {
        longest = max_i64(longest, backoff->ms[i] * 2); /* with its jitter */
    }
    return max_i64(longest, BREAKER_PAUSE_MAX_MS);
}

int64_t window_send_before(const struct settings *settings, int64_t now_ms, int64_t lease_until_ms,
                           int64_t deadline_at_ms)
{
    int64_t before = window_due(settings, now_ms) - window_guard_ms(settings);
    before = min_i64(before, lease_until_ms - settings->write_timeout_ms - SETTLE_SLACK_MS);
    if (deadline_at_ms) {
        before = min_i64(before, deadline_at_ms - settings->write_timeout_ms - DEADLINE_SLACK_MS);
    }
    return before;
}

const char *block_name(enum block block)
{
    static const char *const names[] = {
#define X(name) #name,
        BLOCKS(X)
#undef X
    };
    return names[block];
}

/* An effect that lies more than a window ahead comes from a clock that was wrong: it counts as now. */
static int64_t effect_at(const struct settings *settings, const struct device *device,
                         int64_t now_ms)
{
    return device->effect_at_ms > now_ms + settings->window_ms ? now_ms : device->effect_at_ms;
}

static int64_t window_after(const struct settings *settings, int64_t at_ms)
{
    return at_ms ? window_due(settings, at_ms) : 0;
}

/* Calls that this window has seen already: the count belongs to the slot of the last lease. */
static bool attempts_used(const struct settings *settings, const struct device *device,
                          int64_t now_ms)
{
    return device->window_attempt_count >= settings->attempts_per_window &&
           window_slot(settings, device->flight.started_at_ms) >= window_slot(settings, now_ms);
}

static enum block block_of_work(const struct device *device, int64_t *ret_at_ms)
{
    *ret_at_ms = TIME_NEVER_MS;
    switch (device->work) {
    case WORK_FLIGHT:
        *ret_at_ms = device->flight.lease_until_ms;
        return BLOCK_flight;
    case WORK_UNCERTAIN:
        *ret_at_ms = device->at_ms;
        return BLOCK_uncertain;
    case WORK_DEAD:
        return BLOCK_dead;
    default:
        return device->hold_reason.len ? BLOCK_hold : BLOCK_nothing;
    }
}

/* What the device's own times say. */
static enum block block_of_time(const struct settings *settings, const struct device *device,
                                int64_t now_ms, int64_t *ret_at_ms)
{
    int64_t used_until = window_after(settings, effect_at(settings, device, now_ms));
    if (now_ms < device->due_at_ms) {
        *ret_at_ms = device->due_at_ms;
        return BLOCK_due;
    }
    if (now_ms < device->not_before_at_ms) {
        *ret_at_ms = device->not_before_at_ms;
        return BLOCK_backoff;
    }
    if (now_ms < used_until) {
        *ret_at_ms = used_until;
        return BLOCK_window_used;
    }
    *ret_at_ms = window_due(settings, now_ms);
    if (attempts_used(settings, device, now_ms)) {
        return BLOCK_window_attempts;
    }
    if (now_ms >= window_due(settings, now_ms) - window_guard_ms(settings)) {
        return BLOCK_boundary_guard;
    }
    *ret_at_ms = now_ms;
    return BLOCK_nothing;
}

enum block window_may_start(const struct settings *settings, const struct device *device,
                            const struct breaker *breaker, int64_t now_ms, int64_t *ret_at_ms)
{
    enum block block = block_of_work(device, ret_at_ms);
    if (block == BLOCK_nothing) {
        block = breaker_blocks(breaker, now_ms, ret_at_ms);
    }
    return block == BLOCK_nothing ? block_of_time(settings, device, now_ms, ret_at_ms) : block;
}

int64_t window_look_at(const struct settings *settings, const struct device *device, int64_t now_ms)
{
    if (device->hold_reason.len) {
        return TIME_NEVER_MS;
    }
    int64_t at = max_i64(device->due_at_ms, device->not_before_at_ms);
    at = max_i64(at, window_after(settings, effect_at(settings, device, now_ms)));
    if (attempts_used(settings, device, now_ms)) {
        at = max_i64(at, window_due(settings, now_ms));
    }
    return at;
}
