/* Planning: which devices to wake. Planning twice, a lost or doubled wake-up, a lagging index: harmless. */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/ports.h"

struct plan_request {
    int shard;        /* 0..15 or SHARD_ALL */
    int limit;        /* plan_max: most keys to wake, <= WAKES_MAX */
    struct str after; /* "" or the last page's: continues within one state */
    enum work state;  /* WORK_NONE = begin; else continue in this state */
};
struct plan_result {
    bool more; /* call again with after and state */
    struct str after;
    enum work state;
    int64_t next_at_ms; /* earliest at_ms after now of what was looked at; 0 = nothing waits */
};
/* Leaves keys (devices that are OPEN, FLIGHT with a lost lease, UNCERTAIN with at_ms <= now, oldest first) in call->wakes.
 * fails: RC_BUSY, RC_BROKEN. */
MUST enum rc plan(struct world *, struct call *, const struct plan_request *,
                  struct plan_result *ret_result);

#endif
