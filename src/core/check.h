/* Replay of a device's log against what the record says: the engine's invariants I1, I2, I4 and I7, read
 * back from the store. `hourbell check` runs it over every device, the simulator after each step. It only
 * reads. What it finds is data, no rc: the caller prints it and fails.
 *
 * A rule that is broken is named by the promise's invariant:
 *   I1  numbers without a gap (but for what retention may take), each update at most one end, the record's
 *       counts and first open update are those of the log
 *   I2  effective deliveries of a device started in ascending windows; the record's last effect is the log's
 *   I3  the bodies are those whose hashes the entries of their outcomes hold
 *   I4  doc = created document + patches of all updates neither rejected nor cancelled, in order; where
 *       retention took old entries: the base's target + the patches that have no end yet;
 *       the revision is 1 and one more for each entry that changed it
 *   I7  the hash chain leads from entry 0 to the record's log_sha
 *   record  it can be read; its fields fit each other, its work state, and what the entries say of owner, name, times, hold and
 *       the downstream's number; the bodies it names exist */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include "core/log.h"

#define CHECK_WHAT_BYTES 256

/* One broken rule. Lives only during the call of the sink. */
struct check_finding {
    const char *rule; /* "I1" ... "I7", "record" */
    struct str key;   /* of the device */
    int64_t seq;      /* of the entry; -1 = of the record itself */
    struct str what;  /* one sentence */
};
typedef void check_sink(void *context, const struct check_finding *);

/* Zero it, set the sink (NULL = only count), and hand it to any number of checks. */
struct check_report {
    check_sink *sink;
    void *context;
    int64_t device_count, entry_count, update_count;
    int64_t expired_count; /* entries that retention took */
    int64_t finding_count;
    char first[CHECK_WHAT_BYTES]; /* the first finding in words, "" = none */
};

/* Check one device (or the system's record: then only I1 and I7).
 *   out    report: counts and findings are added; RC_OK also with findings
 *   rule   reads only; window and retention are judged by world->settings as they are now
 *   fails  RC_NOT_FOUND there is no such record · RC_BUSY · RC_BROKEN */
MUST enum rc check_device(struct world *, struct call *, struct str key, struct check_report *);

#endif
