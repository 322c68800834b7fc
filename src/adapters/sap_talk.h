/* One conversation with SAP: logon, session, single requests. What is said in which order stands in
 * downstream_odata.c; here is how it is said. A session is a token with its own cookies: one immutable pair per
 * slot, replaced whole, never shared between threads. */
#ifndef ADAPTERS_SAP_TALK_H
#define ADAPTERS_SAP_TALK_H

#include "adapters/sap_classify.h"

#define SAP_SESSION_IDLE_MS                                                                        \
    1500000 /* 25 min: SAP ends a session after 30 (http/security_session_timeout) */
#define SAP_ANSWER_MAX_BYTES (4 << 20) /* of $metadata and other reads; whatever is longer is cut */
#define SAP_BEARER_EARLY_MS 60000      /* a token is renewed so long before it ends */
#define SAP_REFUSED_REST_MS                                                                        \
    60000 /* after a refused logon: longer than a conversation that was under way then goes on */

/* What one sender keeps between conversations. */
struct sap_slot {
    int number; /* of the transport's connection */
    struct arena session_arena, bearer_arena;
    struct str token, cookies; /* token "" = no session */
    int64_t used_at_ms;
    struct str bearer; /* OAuth2; "" = none */
    int64_t bearer_until_ms;
};
void sap_slot_open(struct sap_slot *, int number);
void sap_slot_close(struct sap_slot *);

struct sap_talk {
    const struct sap_config *config;
    struct transport *transport;
    struct call *call;
    struct world *world;
    struct sap_slot *slot;
    struct str trace_id;
    struct str accept; /* what kind of answer is wanted; "" = JSON */
    _Atomic int64_t *
        refused_at_ms; /* a logon was refused then, in some slot: nothing is sent; NULL = a probe */
    /* of the last request */
    struct inbound answer;
    struct sap_error error;
    enum sap_severity severity;
    struct str message; /* of a success */
    enum sap_class class;
    int requests;
};

/* A hash of address, user and password: changes when one of them does. out: "" = no logon is needed.
 * fails: RC_NOT_FOUND, RC_BROKEN a secret could not be had; call->why says which */
MUST enum rc sap_talk_credentials(struct call *, const struct sap_config *, struct secrets *,
                                  struct str *ret_sha);

/* Have a session; with `fresh` a new one. false: talk->class says why not (never SAP_IS_DONE). */
bool sap_talk_session(struct sap_talk *, bool fresh);
/* Read. out: DONE with a 200 and no logon page; else as classified. */
enum sap_class sap_talk_get(struct sap_talk *, struct str url);

struct sap_write {
    struct str method, url, body, if_match; /* if_match "" = none */
    struct str repeat_id;                   /* 32 hex; "" = none is sent */
    int64_t first_sent_at_ms, send_from_at_ms, send_before_at_ms;
};
/* One write, no more: whatever comes back is classified. A session must be there (or not be wanted). */
enum sap_class sap_talk_write(struct sap_talk *, const struct sap_write *);
/* After a 401: get another bearer token. false: there is none to get (Basic), or it failed; talk->class says. */
bool sap_talk_new_bearer(struct sap_talk *);

#endif
