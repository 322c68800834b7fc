/* The downstream's own record ("<realm>/!system"): operators' hold, the breaker, pauses, the proof of new
 * credentials, and the hold after a step of the clock. It is a device record whose document is this struct;
 * its log is the system's log (GET /log). Its work is OPEN while a probe is to be made, so that plan
 * finds it like any device. */
#ifndef CORE_BREAKER_H
#define CORE_BREAKER_H

#include "core/ports.h"
#include "core/window.h"

#define BREAKER_REFUSALS_MAX 5 /* consecutive throttled or refused results that open it */
#define BREAKER_PROBE_MS 60000 /* between two probes while it is open */
#define BREAKER_PAUSE_MAX_MS 3600000
#define CLOCK_STEP_MS 2000 /* a step of wall against boot time that holds all starts */

enum breaker_state {
    BREAKER_CLOSED,
    BREAKER_OPEN,
    BREAKER_STOPPED
}; /* STOPPED: credentials or set-up refused; only an operator's probe */

struct breaker {
    struct device record; /* version 0 = no record yet: all closed, nothing held */
    enum breaker_state state;
    int64_t since_ms;            /* of the state */
    int64_t refused_count;       /* consecutive */
    int64_t pause_until_ms;      /* the downstream asked for rest; 0 = no */
    int64_t clock_hold_until_ms; /* after a step of the clock; 0 = no */
    bool asked;                  /* an operator asked for a probe */
    bool held;                   /* operators' hold; record.hold_reason says why */
    bool unproven;               /* these credentials have not worked yet: one probe first */
    struct str code, detail;     /* of what opened it */
    struct str pause_reason;     /* what the downstream said when it asked for rest */
    struct str proven_sha;       /* credentials_sha that worked last */
    struct str refused_sha; /* STOPPED by refused credentials: which; "" = not by credentials */
};

/* Read it. out: unproven is judged against the downstream's credentials_sha. */
MUST enum rc breaker_get(struct world *, struct call *, struct str realm,
                         struct breaker *ret_breaker);
/* Take in what a send, read or probe came to: opens, pauses, counts, closes. Commits only if something changes, and
 * before the device's settle, so that a crash in between leaves it open rather than knocking on a locked door. */
MUST enum rc breaker_note(struct world *, struct call *, struct str realm, const struct outcome *);
/* Operator: "hold" | "resume" (ends a hold, else a rest that the downstream asked for) | "probe" (one that succeeds ends a rest).
 * Audited. fails: RC_INVALID wrong_state. */
MUST enum rc breaker_action(struct world *, struct call *, struct str by, struct str action,
                            struct str reason, struct breaker *ret_breaker);
/* Is the downstream closed to everybody now? out: the block and when to look again, or BLOCK_nothing. */
enum block breaker_blocks(const struct breaker *, int64_t now_ms, int64_t *ret_at_ms);
/* May a probe be made now? (open and its time has come; asked for; or new credentials to be proven) */
bool breaker_wants_probe(const struct breaker *, int64_t now_ms);
/* Was a probe asked for that has not come to anything yet, or is one on its way? */
bool breaker_is_probing(const struct breaker *);
/* Lease and settle of the probe: deliver.c hands over when the key is the system's. */
MUST enum rc breaker_lease(struct world *, struct call *, struct str realm,
                           struct lease *ret_lease);
MUST enum rc breaker_settle(struct world *, struct call *, const struct lease *,
                            const struct outcome *);
/* The home saw the clock step, or starts with a clock before newest_at_ms: hold all starts for one window, audited.
 * rule: what an earlier clock had set (a rest, the next probe) reaches no further than this one would set it. */
MUST enum rc breaker_clock(struct world *, struct call *, struct str realm, struct str why);
/* Write an entry of kind action into the system's log together with a credential (may be NULL). */
MUST enum rc breaker_audit(struct world *, struct call *, struct str by, struct str data,
                           const struct key *);
/* After a restore: hold the downstream, audited. */
MUST enum rc breaker_restored(struct world *, struct call *, struct str realm);

#endif
