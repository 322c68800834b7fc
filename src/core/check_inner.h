/* Inside of the check: shared by check.c (numbers, chain, ends, document), check_record.c (what the log says of the
 * record's other fields and of the bodies) and check_revision.c. Nobody else includes it. */
#ifndef CORE_CHECK_INNER_H
#define CORE_CHECK_INNER_H

#include "core/check.h"

/* What is kept of an entry. */
struct mark {
    int64_t seq, at_ms, from_seq, to_seq, delivery;
    enum entry_kind kind;
    enum ended ended;
    bool own;        /* of `cancelled`: of one update by itself, which then has its own end */
    int64_t end_seq; /* of an update: the entry that ended it; 0 = none */
    enum entry_kind end_kind;
};

/* A field as the newest entry that speaks of it says; not said: nothing is known but in a complete log. */
struct said_str {
    bool said;
    struct str value;
};
struct said_i64 {
    bool said;
    int64_t value;
};

/* What the entries say of the record. A time of effect is a span where a clock was wrong: see check_record.c. */
struct facts {
    struct said_str name, owner, downstream_ref, hold_reason;
    struct said_i64 created_at_ms, accepted_at_ms, base;
    bool dead;         /* given up, and nobody has opened it again */
    bool cancelled;    /* something of what had been given up was cancelled later */
    int64_t uncertain; /* the delivery that was told last as uncertain */
    bool effect_said;
    int64_t effect_low_ms, effect_high_ms, effect_window_ms;
};

struct replay {
    struct world *world;
    struct call *call;
    struct check_report *report;
    struct device device;
    struct mark *marks;
    size_t mark_count;
    bool complete;        /* retention took nothing */
    int64_t effect_at_ms; /* of the effective delivery before; 0 = none yet */
    struct facts facts;
};

void check_find(struct replay *, const char *rule, int64_t seq, const char *format, ...)
    PRINTF(4, 5);
typedef enum rc take_entry(struct replay *, struct call *, const struct entry *, void *context);
/* Hand every entry from from_seq on to take(), oldest first; what a page needs is given back with it. */
MUST enum rc check_each_entry(struct replay *replay, int64_t from_seq, take_entry *take,
                              void *context);

/* --- check_record.c ------------------------------------------------------------------------------- */
/* Learn from one entry, in order; the body that it speaks of must be the one that it names by its hash. */
MUST enum rc check_learn(struct replay *, const struct entry *, yyjson_val *data);
/* May one reckon with the record's numbers? What may not is told. */
bool check_numbers(struct replay *);
/* The record's fields fit each other, and what was learned. */
MUST enum rc check_record(struct replay *);

/* --- check_revision.c ----------------------------------------------------------------------------- */
/* The record's revision is 1 and one more for each entry that changed the document. Only of a complete log. */
MUST enum rc check_revision(struct replay *);

#endif
