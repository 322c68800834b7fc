/* A clock that stands still until it is told otherwise, and random bytes that follow from a seed: for
 * tests, the simulator and the test realm. One seed, one run. Safe from any thread. */
#ifndef ADAPTERS_CLOCK_MANUAL_H
#define ADAPTERS_CLOCK_MANUAL_H

#include <stdatomic.h>

#include "core/ports.h"

struct clock_manual {
    struct clock clock; /* the port; first */
    _Atomic int64_t now_ms, boot_ms;
    _Atomic uint64_t random_state;
};

/* Wall time is now_ms, boot time one second. */
void clock_manual_open(struct clock_manual *, int64_t now_ms, uint64_t seed);
/* Time goes by: both clocks. in: ms >= 0 */
void clock_manual_advance(struct clock_manual *, int64_t ms);
/* Somebody set the clock: wall time only, either way. */
void clock_manual_step(struct clock_manual *, int64_t ms);
/* Time goes by until wall time is now_ms; not backwards. */
void clock_manual_set(struct clock_manual *, int64_t now_ms);

#endif
