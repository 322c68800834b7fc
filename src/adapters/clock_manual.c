/* Wall and boot time are two counters. The generator is SplitMix64: one addition to a shared counter
 * per eight bytes, so threads need no lock and a seed gives one sequence. Never for secrets. */
#include "adapters/clock_manual.h"

static int64_t manual_now_ms(struct clock *clock)
{
    return atomic_load(&((struct clock_manual *)clock)->now_ms);
}

static int64_t manual_boot_ms(struct clock *clock)
{
    return atomic_load(&((struct clock_manual *)clock)->boot_ms);
}

static uint64_t next_random(struct clock_manual *manual)
{
    const uint64_t step = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mix = atomic_fetch_add(&manual->random_state, step) + step;
    mix = (mix ^ (mix >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mix = (mix ^ (mix >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mix ^ (mix >> 31);
}

static void manual_random(struct clock *clock, void *ret_bytes, size_t size_bytes)
{
    char *bytes = ret_bytes;
    while (size_bytes > 0) {
        uint64_t eight = next_random((struct clock_manual *)clock);
        size_t part = size_bytes < sizeof eight ? size_bytes : sizeof eight;
        memcpy(bytes, &eight, part);
        bytes += part;
        size_bytes -= part;
    }
}

void clock_manual_advance(struct clock_manual *manual, int64_t ms)
{
    assert(ms >= 0);
    atomic_fetch_add(&manual->now_ms, ms);
    atomic_fetch_add(&manual->boot_ms, ms);
}

void clock_manual_step(struct clock_manual *manual, int64_t ms)
{
    atomic_fetch_add(&manual->now_ms, ms);
}

void clock_manual_set(struct clock_manual *manual, int64_t now_ms)
{
    clock_manual_advance(manual, now_ms - atomic_load(&manual->now_ms));
}

void clock_manual_open(struct clock_manual *manual, int64_t now_ms, uint64_t seed)
{
    static const struct clock_ops ops = {
        .now_ms = manual_now_ms, .boot_ms = manual_boot_ms, .random = manual_random};
    manual->clock.ops = &ops;
    atomic_init(&manual->now_ms, now_ms);
    atomic_init(&manual->boot_ms, 1000);
    atomic_init(&manual->random_state, seed);
}
