/* What an answer of SAP means: the table from signals to classes. Pure. The SAP class is the adapter's word, for logs
 * and alarms; the core class behind it is what the engine acts on. */
#ifndef ADAPTERS_SAP_CLASSIFY_H
#define ADAPTERS_SAP_CLASSIFY_H

#include "adapters/sap_wire.h"

/* name, core class, counts as an attempt, throttled or refused (the breaker counts it) */
/* clang-format off */
#define SAP_CLASSES(X) \
    X(DONE, EFFECT, false, false) \
    X(SILENT_NOOP, EFFECT, false, false)      /* 2xx, and a field shows another value than was sent */ \
    X(ALREADY, SAME, false, false)            /* the read shows every value of the body */ \
    X(RETRY_SAFE, NO_EFFECT, true, true)      /* no connection, a read that failed, a write that was not complete */ \
    X(NOT_SENT, NO_EFFECT, false, false)      /* it was not the time for it */ \
    X(SESSION, NO_EFFECT, false, false)       /* session or token refused */ \
    X(LOCKED, NO_EFFECT, true, false) \
    X(CONFLICT, NO_EFFECT, true, false)       /* changed between read and write */ \
    X(PRECONDITION, NO_EFFECT, true, false)   /* If-Match is wanted */ \
    X(THROTTLED, NO_EFFECT, true, true) \
    X(MISSING, NO_EFFECT, false, false)       /* the entity is gone: find or create it again */ \
    X(CONFIG_REPEAT, NO_EFFECT, false, false) /* idempotent services are not configured: do without */ \
    X(READ_REFUSED, NO_EFFECT, true, false)   /* 4xx to a read: nothing that the customer could mend */ \
    X(AUTH, STOP, false, false) \
    X(CONFIG, STOP, false, false) \
    X(AMBIGUOUS, UNSURE, false, false) \
    X(IN_PROGRESS, UNSURE, false, false)      /* the first send of this id still runs */ \
    X(OUTDATED, UNSURE, false, false)         /* the id was executed long ago: EFFECT once a read shows it */ \
    X(RETRY_LIMITED, UNSURE, false, false)    /* 500 */ \
    X(NEEDS_ATTENTION, UNSURE, false, false)  /* 2xx with a message of severity error */ \
    X(PERMANENT, REJECTED, false, false) \
    X(TOO_LARGE, REJECTED, false, false) \
    X(NOT_FOUND, REJECTED, false, false)      /* and it must not be made (on_missing fail) */
/* clang-format on */
enum sap_class {
#define X(name, class, counts, refused) SAP_IS_##name,
    SAP_CLASSES(X)
#undef X
};

struct sap_reply {
    const struct inbound *answer;
    const struct sap_error *error; /* of answers that are no success */
    enum sap_severity severity;    /* of the messages of a success */
    bool write, if_match;          /* if_match: the request had one */
};

enum sap_class sap_classify(const struct sap_config *, const struct sap_reply *);
/* Put a class into an outcome: class, code, counts, refused, auth, full_next, ref_clear. */
void sap_classify_apply(enum sap_class, struct outcome *);
const char *sap_class_name(enum sap_class);

#endif
