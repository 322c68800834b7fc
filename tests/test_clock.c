/* The two clocks. */
#include "adapters/clock_manual.h"
#include "adapters/clock_system.h"
#include "test.h"

TEST(clock_manual_moves_only_when_told)
{
    struct clock_manual manual;
    clock_manual_open(&manual, 5000, 1);
    struct clock *clock = &manual.clock;
    CHECK_INT(clock->ops->now_ms(clock), 5000);
    CHECK_INT(clock->ops->boot_ms(clock), 1000);
    clock_manual_advance(&manual, 250);
    CHECK_INT(clock->ops->now_ms(clock), 5250);
    CHECK_INT(clock->ops->boot_ms(clock), 1250);
    clock_manual_step(&manual, -5000);
    CHECK_INT(clock->ops->now_ms(clock), 250);
    CHECK_INT(clock->ops->boot_ms(clock), 1250);
    clock_manual_set(&manual, 1000);
    CHECK_INT(clock->ops->now_ms(clock), 1000);
    CHECK_INT(clock->ops->boot_ms(clock), 2000);
}

TEST(clock_manual_random_follows_from_the_seed)
{
    struct clock_manual a, b, c;
    unsigned char from_a[37], from_b[37], from_c[37];
    clock_manual_open(&a, 0, 7);
    clock_manual_open(&b, 9, 7);
    clock_manual_open(&c, 0, 8);
    for (int i = 0; i < 3; i++) {
        a.clock.ops->random(&a.clock, from_a, sizeof from_a);
        b.clock.ops->random(&b.clock, from_b, sizeof from_b);
        c.clock.ops->random(&c.clock, from_c, sizeof from_c);
        CHECK_INT(memcmp(from_a, from_b, sizeof from_a), 0);
        CHECK(memcmp(from_a, from_c, sizeof from_a) != 0);
    }
}

TEST(clock_system_tells_the_time_and_throws_dice)
{
    struct clock_system system;
    unsigned char first[64] = {0}, second[64] = {0};
    clock_system_open(&system);
    struct clock *clock = &system.clock;
    CHECK(clock->ops->now_ms(clock) > INT64_C(1700000000000));
    int64_t boot_ms = clock->ops->boot_ms(clock);
    CHECK(boot_ms > 0 && clock->ops->boot_ms(clock) >= boot_ms);
    clock->ops->random(clock, first, sizeof first);
    clock->ops->random(clock, second, sizeof second);
    CHECK(memcmp(first, second, sizeof first) != 0);
}
