/* Who is told what: an entry with notice_at_ms becomes one event, told at least once with the same id. */
#ifndef CORE_NOTICE_H
#define CORE_NOTICE_H

#include "core/ports.h"

#define NOTICE_AGAIN_MAX_MS 3600000 /* longest wait between two tries */
#define NOTICE_CLAIM_MS                                                                            \
    300000 /* a notice that is being told is nobody else's so long; above any webhook's time */
#define NOTICE_UNCERTAIN_MS                                                                        \
    900000 /* an uncertain delivery that resolves itself sooner is not told */
#define NOTICE_GIVE_UP_MS 259200000 /* 3 days of tries */

struct notice {
    struct str key;
    int64_t seq;
    int64_t at_ms;          /* of the entry */
    struct event events[2]; /* a dead delivery is told to its owner and to the operators */
    int event_count;
    bool
        moot; /* nothing to tell any more (an uncertain delivery that was resolved in time): done without telling */
};
struct notice_list {
    struct notice *items;
    int count;
    bool more;
    int64_t next_at_ms; /* earliest later notice, 0 = none */
};

/* The notices that are due, with their events rendered. in: limit <= PAGE_MAX.
 * rule: each is claimed for NOTICE_CLAIM_MS, durable with the commit, before it may be sent. */
MUST enum rc notices_due(struct world *, struct call *, int limit, struct notice_list *ret_list);
/* For who tells it later than the list's arena lives. out: all of it in arena. */
void notice_copy(struct arena *, const struct notice *, struct notice *ret_copy);
/* Tell one; touches no store, may block. */
enum told notice_send(struct world *, struct call *, const struct notice *,
                      int64_t *ret_again_at_ms);
/* Note it down; again_at_ms of a TOLD_AGAIN without a wish: grows with the notice's age. */
MUST enum rc notice_done(struct world *, struct call *, const struct notice *, enum told,
                         int64_t again_at_ms);
/* Tell what this call's own commits left to be told (call->untold): homes without turns do so after each call. What is not told
 * here, for whatever reason, is found by notices_due. */
MUST enum rc notices_tell(struct world *, struct call *);
/* All three for homes where sending may block: at most limit. */
MUST enum rc notices_send(struct world *, struct call *, int limit, int *ret_count);

/* UUIDv7 of an entry's event: its time and the head of SHA-256(key, seq, which): the same at every try (RFC 9562 section 5.7). */
struct str notice_event_id(struct arena *, struct str key, const struct entry *, int which);
/* A fresh UUIDv7 from time and random bits. */
struct str uuid7(struct arena *, int64_t at_ms, const unsigned char random[10]);

#endif
