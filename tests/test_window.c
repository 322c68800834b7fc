/* The hour rule: slots, dues, and what a delivery waits for. */
#include "core/breaker.h"
#include "core/window.h"
#include "test.h"

#define HOUR_MS INT64_C(3600000)
#define T0 (INT64_C(490000) * HOUR_MS)

static struct settings hourly(void)
{
    struct settings settings;
    settings_default(&settings);
    return settings;
}

static struct device open_device(int64_t due_at_ms)
{
    return (struct device){.version = 1, .work = WORK_OPEN, .from_seq = 1, .due_at_ms = due_at_ms};
}

TEST(accepted_on_a_boundary_is_due_at_the_next_one)
{
    struct settings settings = hourly();
    CHECK_INT(window_due(&settings, T0), T0 + HOUR_MS);
    CHECK_INT(window_due(&settings, T0 - 1), T0);
    CHECK_INT(window_due(&settings, T0 + HOUR_MS - 1), T0 + HOUR_MS);
}

TEST(the_guard_is_at_most_a_tenth_of_the_window)
{
    struct settings settings = hourly();
    CHECK_INT(window_guard_ms(&settings), 2000);
    settings.window_ms = 1000;
    CHECK_INT(window_guard_ms(&settings), 100);
}

TEST(no_byte_leaves_at_or_after_the_guard_the_lease_or_the_deadline) /* P2 */
{
    struct settings settings = hourly();
    int64_t lease = T0 + window_lease_ms(&settings);
    CHECK_INT(window_send_before(&settings, T0, lease, 0), T0 + 150000 - 65000 - 10000);
    CHECK_INT(window_send_before(&settings, T0 + HOUR_MS - 5000, T0 + HOUR_MS + 200000, 0),
              T0 + HOUR_MS - 2000);
    CHECK_INT(window_send_before(&settings, T0, lease, T0 + 120000), T0 + 120000 - 65000 - 5000);
}

static void check_block(struct device device, struct breaker breaker, int64_t now_ms,
                        enum block expected, int64_t at_ms)
{
    struct settings settings = hourly();
    int64_t ret_at_ms;
    enum block block = window_may_start(&settings, &device, &breaker, now_ms, &ret_at_ms);
    CHECK_STR(str_of(block_name(block)), block_name(expected));
    CHECK_INT(ret_at_ms, at_ms);
}

TEST(a_device_waits_for_the_first_reason_that_applies) /* P2 P7 */
{
    struct breaker shut = {0}, held = {.held = true}, paused = {.pause_until_ms = T0 + 5},
                   clock = {.clock_hold_until_ms = T0 + 7};
    struct breaker opened = {.state = BREAKER_OPEN};
    struct device device = open_device(T0);
    check_block(device, shut, T0, BLOCK_nothing, T0);
    check_block(device, shut, T0 - 1, BLOCK_due, T0);
    check_block(device, held, T0, BLOCK_downstream_hold, TIME_NEVER_MS);
    check_block(device, paused, T0, BLOCK_downstream_paused, T0 + 5);
    check_block(device, clock, T0, BLOCK_clock_hold, T0 + 7);
    check_block(device, opened, T0, BLOCK_downstream_stopped, TIME_NEVER_MS);
    device.not_before_at_ms = T0 + 30000;
    check_block(device, shut, T0, BLOCK_backoff, T0 + 30000);
    device.hold_reason = STR("x");
    check_block(device, shut, T0, BLOCK_hold, TIME_NEVER_MS);
    device.work = WORK_DEAD;
    check_block(device, shut, T0, BLOCK_dead, TIME_NEVER_MS);
}

TEST(one_effect_uses_the_whole_window_up_to_the_boundary) /* P2 */
{
    struct device device = open_device(T0);
    device.effect_at_ms = T0 + 10;
    check_block(device, (struct breaker){0}, T0 + 20, BLOCK_window_used, T0 + HOUR_MS);
    check_block(device, (struct breaker){0}, T0 + HOUR_MS - 1, BLOCK_window_used, T0 + HOUR_MS);
    check_block(device, (struct breaker){0}, T0 + HOUR_MS, BLOCK_nothing, T0 + HOUR_MS);
}

TEST(nothing_starts_in_the_guard_before_a_boundary) /* P2 */
{
    struct device device = open_device(T0);
    check_block(device, (struct breaker){0}, T0 + HOUR_MS - 2001, BLOCK_nothing,
                T0 + HOUR_MS - 2001);
    check_block(device, (struct breaker){0}, T0 + HOUR_MS - 2000, BLOCK_boundary_guard,
                T0 + HOUR_MS);
}

TEST(five_calls_in_one_window_are_all)
{
    struct device device = open_device(T0);
    device.window_attempt_count = 5;
    device.flight.started_at_ms = T0 + 1;
    check_block(device, (struct breaker){0}, T0 + 2, BLOCK_window_attempts, T0 + HOUR_MS);
    check_block(device, (struct breaker){0}, T0 + HOUR_MS, BLOCK_nothing, T0 + HOUR_MS);
}

TEST(a_lease_outlives_the_longest_write)
{
    struct settings settings = hourly();
    settings.lease_ms = 1000;
    CHECK_INT(window_lease_ms(&settings), 85000);
}
