/* One outbound HTTP request as adapters ask for it, and how it ended. Who carries it out is the
 * transport's choice: http_client.c (libcurl) or a server in the same process (downstream_mock.c). Both
 * tell in the same words how far it came, because that decides whether a write may have had an effect. */
#ifndef ADAPTERS_OUTBOUND_H
#define ADAPTERS_OUTBOUND_H

#include "core/ports.h"

#define INBOUND_HEADERS_MAX 64
#define INBOUND_MAX_BYTES ((size_t)1 << 20) /* of a body, unless the request says otherwise */

struct outbound {
    struct str method, url;
    const struct header *headers; /* names in any case; content-length is the transport's */
    size_t header_count;
    struct str body;
    int64_t timeout_ms;        /* for all of it; 0 = 10 s */
    bool write;                /* may have an effect: never repeated silently */
    int64_t send_from_at_ms;   /* no first byte before this moment: the clock was set back */
    int64_t send_before_at_ms; /* no first byte at or after this moment; 0 = any time */
    size_t answer_max_bytes;   /* of the body; 0 = INBOUND_MAX_BYTES */
};

enum inbound_end {
    INBOUND_ANSWERED,      /* status, headers, and the body (or as much as was asked for: `cut`) */
    INBOUND_NOT_SENT,      /* it was not the time for it when the connection stood: no byte left */
    INBOUND_NO_CONNECTION, /* name, refused address, connect, TLS: no byte left */
    INBOUND_INCOMPLETE, /* it broke off before the request was complete, so nobody can have executed it (RFC 9112 section 8) */
    INBOUND_LOST, /* the whole request left, then the connection broke before the whole answer was here */
    INBOUND_TIMEOUT, /* the whole request left, and the whole answer did not come in time */
};

struct inbound {
    enum inbound_end end;
    int status;             /* 0 = none came; may be set without INBOUND_ANSWERED */
    struct header *headers; /* names in lower case */
    size_t header_count;
    struct str body;
    bool cut;           /* the body was longer than asked for */
    bool was_signed;    /* the request left with an AWS signature */
    int64_t sent_at_ms; /* first byte of the request; 0 = no byte left */
    int64_t duration_ms;
    struct str why; /* words for the log; "" when answered */
};

/* May the first byte leave now? */
bool outbound_is_in_time(const struct outbound *, int64_t now_ms);
/* The first header of that (lower case) name; STR_NONE if there is none. */
struct str inbound_header(const struct inbound *, const char *name);
/* Seconds or a date (RFC 9110 section 10.2.3) as a moment; 0 = absent or absurd. At most max_ms from now on. */
int64_t inbound_retry_after(struct str value, int64_t now_ms, int64_t max_ms);
const char *inbound_end_name(enum inbound_end);

struct transport_ops;
struct transport {
    const struct transport_ops *ops;
};
struct transport_ops {
    /* Carry one request out. in: slot: a connection of its own, one thread at a time. out: strings in call->arena.
     * rule: `send_from_at_ms <= now < send_before_at_ms` is checked by the clock immediately before the first byte. */
    void (*perform)(struct transport *, struct call *, struct world *, int slot,
                    const struct outbound *, struct inbound *);
};

#endif
