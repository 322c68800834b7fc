/* What an outcome leads to: each of these turns a draft of a sealed device into its after-image. They are
 * the only places where a flight ends. deliver.c and an operator's confirm and deny choose among them. */
#ifndef CORE_SETTLE_H
#define CORE_SETTLE_H

#include "core/log.h"

struct verdict {
    struct str by;                 /* "system" or the operator's key id */
    const struct body *body;       /* what was sealed, where it is at hand; else NULL */
    const struct outcome *outcome; /* code, detail, data, pointers, ref, counts ... */
    int64_t
        effect_at_ms; /* start of the latest send that had or may have had its effect; 0 = the window is not used */
    int64_t window_ms;     /* of effect_at_ms, for the log */
    int64_t wait_until_ms; /* the next seal waits: an earlier send may still commit; 0 = no */
    bool living;           /* the sender itself tells: what was sealed is known to be whole */
};

/* EFFECT: `delivered`, the base moves to what was sealed. */
MUST enum rc settle_effect(struct world *, struct call *, struct draft *, const struct verdict *);
/* SAME: `satisfied`, the base moves, the window is not used. */
MUST enum rc settle_same(struct world *, struct call *, struct draft *, const struct verdict *);
/* NO_EFFECT, STOP: the range simply stays pending; or dead after max_attempts. */
MUST enum rc settle_no_effect(struct world *, struct call *, struct draft *,
                              const struct verdict *);
/* REJECTED: the whole delivery is undone. */
MUST enum rc settle_rejected(struct world *, struct call *, struct draft *, const struct verdict *);
/* UNSURE of the living sender, or a lost lease: uncertain from now on. */
void settle_unsure(struct call *, struct draft *, const struct verdict *);
/* The operator gives dead work up: undone like a rejection, `cancelled`. */
MUST enum rc settle_discard(struct world *, struct call *, struct draft *, struct str by,
                            struct str reason);

/* The document when everything from the base on is undone but the pending updates after after_seq. */
MUST enum rc settle_replay(struct world *, struct call *, const struct device *, struct str doc,
                           int64_t after_seq, int64_t but_seq, struct pending *ret_left,
                           struct str *ret_doc);

#endif
