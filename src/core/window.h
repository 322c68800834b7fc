/* The hour rule, in this one place. Windows are aligned slots of the clock: slot(t) = floor(t / W).
 * Everything here is arithmetic on times that the caller gives; ports.c asserts it at each lease. */
#ifndef CORE_WINDOW_H
#define CORE_WINDOW_H

#include "core/model.h"

int64_t window_slot(const struct settings *, int64_t at_ms);
int64_t window_boundary(const struct settings *, int64_t slot);
/* boundary(slot(t) + 1): accepted exactly on a boundary belongs to the next one. */
int64_t window_due(const struct settings *, int64_t accepted_at_ms);
/* The guard really used: boundary_guard, at most a tenth of the window. */
int64_t window_guard_ms(const struct settings *);
/* The lease really used: at least write_timeout + 20 s. */
int64_t window_lease_ms(const struct settings *);
/* No byte of a write may leave at or after this moment. deadline_at_ms 0 = none. */
int64_t window_send_before(const struct settings *, int64_t now_ms, int64_t lease_until_ms,
                           int64_t deadline_at_ms);

/* What a device waits for; the first that applies, in this order. */
/* clang-format off */
#define BLOCKS(X) \
    X(nothing) X(flight) X(uncertain) X(dead) X(hold) X(downstream_hold) X(downstream_stopped) X(downstream_paused) X(clock_hold) \
    X(due) X(backoff) X(window_used) X(window_attempts) X(boundary_guard)
/* clang-format on */
enum block {
#define X(name) BLOCK_##name,
    BLOCKS(X)
#undef X
};
const char *block_name(enum block);

struct breaker; /* breaker.h */

/* May a delivery of this device start now?
 *   in     device: work OPEN, FLIGHT, ...; breaker: of its realm, read in the same call
 *   out    what blocks it (BLOCK_nothing = may start), and in ret_at_ms when to look again at the earliest
 *          (now if nothing; TIME_NEVER_MS if only an operator or an outcome can change it) */
enum block window_may_start(const struct settings *, const struct device *, const struct breaker *,
                            int64_t now_ms, int64_t *ret_at_ms);
/* The longest that a device's own times may lie ahead of now, but for its window: waits after calls, a rest, a late commit. What lies
 * further ahead comes from a clock that was wrong. */
int64_t window_longest_wait_ms(const struct settings *);
/* When OPEN work should be looked at, by the device's own fields alone (at_ms of the record). */
int64_t window_look_at(const struct settings *, const struct device *, int64_t now_ms);

#endif
