/* All that the product asks of the world: five ports, and the gate that each request to them passes.
 * An adapter is src/adapters/<port>_<technology>.c; its struct begins with the port's struct, and one
 * `static const` table of operations ends its file. The gate (ports.c) asserts the contracts on both
 * sides and is where tests inject faults. Order: store, downstream, notifier, secrets, clock, world. */
#ifndef CORE_PORTS_H
#define CORE_PORTS_H

#include "core/model.h"

struct world;

/* ==== store ============================================================================================ */
struct store_ops;
struct store_faults;
struct store {
    const struct store_ops *ops;
    struct store_faults *faults; /* NULL outside tests: ports.c */
    bool
        foreign; /* rows may be anybody's (a file to be checked): one that breaks the contract is RC_BROKEN, not our own mistake */
};

/* 1  One device by its folded key. out: ret in call->arena, version 0 if there is none (no error). rule: newest committed state (strong read). */
MUST enum rc store_device_get(struct store *, struct call *, struct str key,
                              struct device *ret_device);
/* 2  An owner's devices in order of key. in: realm; owner "" = every owner's (operators); prefix: "" or the whole key's beginning
 *    ("live/pump"); after: "" or the last page's last key; limit 1..PAGE_MAX. rule: the system's own record (name_is_system) is never among them. */
MUST enum rc store_device_list(struct store *, struct call *, struct str realm, struct str owner,
                               struct str prefix, struct str after, int limit,
                               struct device_page *ret_page);
/* 3  Log entries from_seq..to_seq of a device, oldest or newest first. in: limit 1..1001. out: more = the limit cut it. */
MUST enum rc store_log_list(struct store *, struct call *, struct str key, int64_t from_seq,
                            int64_t to_seq, bool newest_first, int limit,
                            struct entry_page *ret_page);
/* 4  The entries after seq whose range from_seq..to_seq holds it, oldest first, up to the first that ends it (entry_ends): its tries and
 *    its end. out: more = the limit or the page's bytes left some out, all of them before the last one: the newest, which decides what
 *    became of it, is always there. */
MUST enum rc store_log_covering(struct store *, struct call *, struct str key, int64_t seq,
                                int limit, struct entry_page *ret_page);
/* 5  The frozen body of a delivery. fails: RC_NOT_FOUND retention took it (never the base's). */
MUST enum rc store_body_get(struct store *, struct call *, struct str key, int64_t delivery,
                            struct body *ret_body);
/* 6  The stored answer to an idempotency key. out: status 0 if none or expired at call->now_ms. */
MUST enum rc store_reply_get(struct store *, struct call *, struct str owner,
                             struct str idempotency_key, struct reply *ret_reply);
/* 7  Keys of devices (or notices) in one work state with at_ms <= until_ms, earliest first. in: realm "" = all; shard 0..15 or SHARD_ALL;
 *    after: "" or the last page's. rule: may lag; the caller re-reads and decides. */
MUST enum rc store_work_list(struct store *, struct call *, enum work, struct str realm, int shard,
                             int64_t until_ms, struct str after, int limit,
                             struct work_page *ret_page);
/* 8  How many of realm live, and the earliest at_ms, per work state: gauges, report. */
MUST enum rc store_work_count(struct store *, struct call *, struct work_counts *ret_counts);
/* 9, 10  Credentials by id (version 0 if there is none); all of them in pages, in order of id. */
MUST enum rc store_key_get(struct store *, struct call *, struct str id, struct key *ret_key);
MUST enum rc store_key_list(struct store *, struct call *, struct str after, int limit,
                            struct key_page *ret_page);
/* 11 THE write: a device's after-image, its new log entries, and what goes with them.
 *    in     change: expect_version (0 = must not exist yet); entries numbered from the device's last seq, no gap; <= 9 rows
 *    rule   all or nothing; durable on return (Lambda) or with the turn's COMMIT (server: no answer leaves before)
 *    fails  RC_CONFLICT device (or credential) is not at expect_version, nothing changed: read again, decide again
 *           RC_REPEATED reply's key is taken and alive, nothing changed · RC_BUSY throttled, nothing changed · RC_BROKEN outcome unknown: raise
 *    safe   from several processes; a silent repeat on the wire is harmless
 *    source DynamoDB API reference, TransactWriteItems, ClientRequestToken */
MUST enum rc store_commit(struct store *, struct call *, const struct change *);
/* 12 A notice was told (again_at_ms 0), or shall be tried again. Idempotent; no version guard. */
MUST enum rc store_notice_done(struct store *, struct call *, struct str key, int64_t seq,
                               int64_t again_at_ms);
/* 13 Delete what is past its life, at most limit rows: replies past expires_at_ms; log entries older than history_ms that are neither entry 0 nor the
 *    device's newest, not at or after its from_seq, and not still to be told; retired bodies older than that. DynamoDB: does nothing (TTL). */
MUST enum rc store_expire(struct store *, struct call *, int64_t history_ms, int limit,
                          int *ret_count);
/* 14 Can it write? One tiny durable write (readyz). */
MUST enum rc store_ping(struct store *, struct call *);

struct store_ops {
    enum rc (*device_get)(struct store *, struct call *, struct str, struct device *) MUST;
    enum rc (*device_list)(struct store *, struct call *, struct str, struct str, struct str,
                           struct str, int, struct device_page *) MUST;
    enum rc (*log_list)(struct store *, struct call *, struct str, int64_t, int64_t, bool, int,
                        struct entry_page *) MUST;
    enum rc (*log_covering)(struct store *, struct call *, struct str, int64_t, int,
                            struct entry_page *) MUST;
    enum rc (*body_get)(struct store *, struct call *, struct str, int64_t, struct body *) MUST;
    enum rc (*reply_get)(struct store *, struct call *, struct str, struct str,
                         struct reply *) MUST;
    enum rc (*work_list)(struct store *, struct call *, enum work, struct str, int, int64_t,
                         struct str, int, struct work_page *) MUST;
    enum rc (*work_count)(struct store *, struct call *, struct work_counts *) MUST;
    enum rc (*key_get)(struct store *, struct call *, struct str, struct key *) MUST;
    enum rc (*key_list)(struct store *, struct call *, struct str, int, struct key_page *) MUST;
    enum rc (*commit)(struct store *, struct call *, const struct change *) MUST;
    enum rc (*notice_done)(struct store *, struct call *, struct str, int64_t, int64_t) MUST;
    enum rc (*expire)(struct store *, struct call *, int64_t, int, int *) MUST;
    enum rc (*ping)(struct store *, struct call *) MUST;
};

/* Faults for tests, carried out by the gate: the n-th operation from now fails, and work lists lag. */
struct store_faults {
    int fail_in;        /* 1 = the next port operation; 0 = none */
    enum rc fail_with;  /* what it returns */
    int fail_commit_in; /* the same, counting commits only: fails before the adapter is asked */
    int64_t lag_ms;     /* work_list sees at_ms <= until_ms - lag_ms only */
    int64_t op_count;   /* operations so far */
};

/* ==== downstream ======================================================================================== */
enum outcome_class {
    OUTCOME_EFFECT,
    OUTCOME_SAME,
    OUTCOME_NO_EFFECT,
    OUTCOME_STOP,
    OUTCOME_UNSURE,
    OUTCOME_REJECTED
};

/* What one send, read_back or check came to. Data, no rc. */
struct outcome {
    enum outcome_class class;
    bool counts;  /* NO_EFFECT: counts as an attempt */
    bool refused; /* throttled or refused by the downstream: the breaker counts it */
    bool auth;    /* STOP: the credentials were refused: never probe by itself */
    bool partial; /* read_back: some of the sent values are there, others not (class NO_EFFECT) */
    bool re_sent; /* this answer is of a re-send whose first send has no known end */
    bool
        repeat_confirmed; /* the downstream confirmed the repeat id: the answer speaks for all sends */
    bool full_next;       /* the downstream lost the record: the next body must be in full */
    bool ref_clear;       /* forget downstream_ref */
    int64_t started_at_ms;      /* when the call began; read_back: when the read started */
    int64_t sent_at_ms;         /* first byte of the latest write; 0 = no byte of a write left */
    int64_t earlier_sent_at_ms; /* re_sent: first byte of the latest write before that */
    int64_t retry_after_at_ms;  /* this device not before; 0 = no wish */
    int64_t pause_until_ms;     /* the whole downstream rests until then; 0 = no */
    struct str ref;             /* found or made reference; "" = keep */
    struct str
        code; /* the adapter's class word: DONE LOCKED THROTTLED AMBIGUOUS ...; for logs and metrics */
    struct str detail;   /* one sentence for people */
    struct str pointers; /* REJECTED: JSON array of {pointer, detail}; "" = none */
    struct str
        data; /* JSON object for the log: status, code, message, transaction id, duration ...; <= ANSWER_MAX_BYTES + 2 KiB */
};

enum lease_mode { LEASE_SEND, LEASE_READ_BACK, LEASE_RESEND, LEASE_PROBE };

/* A sealed delivery as the sender needs it: copies, nothing of the store's. */
struct lease {
    enum lease_mode mode;
    struct str realm, key, device_name, ref; /* ref: the device's downstream_ref, "" = unknown */
    struct str base;                         /* acknowledged document; "" = none */
    struct body body;
    struct str trace_id; /* the call's id: correlation header */
    int64_t lease_no, first_sent_at_ms;
    int64_t lease_until_ms; /* nothing is asked of the downstream later */
    int64_t send_from_at_ms,
        send_before_at_ms; /* the window it was leased in; a clock may be set */
    int64_t
        earlier_sent_at_ms; /* RESEND, READ_BACK: latest moment at which an earlier send may have started */
    int64_t refused_count; /* of the breaker when leased */
};

struct downstream_ops;
struct downstream {
    const struct downstream_ops *ops;
    struct str
        credentials_sha; /* changes when the credentials do; "" = none needed (nothing to prove) */
    int64_t mapping_version;
    bool
        reads_back; /* read_back works; false: an uncertain delivery is sent again with its repeat id */
};

/* Map: body = what must be sent to get from base ("" = nothing known) to target. Pure.
 *   in     device_name as first written; base, target: documents; full: base is known but everything shall go out
 *   out    ret_bytes "" = nothing to send
 *   fails  RC_INVALID what cannot be mapped: call->problem unmappable, items point into the document ("/attributes/...") */
MUST enum rc downstream_encode(struct downstream *, struct call *, struct str device_name,
                               struct str base, struct str target, struct str *ret_bytes);
/* Carry a lease out: LEASE_SEND, LEASE_RESEND. May block; touches no store. Strings of the outcome live in call->arena.
 * rule: `send_from_at_ms <= now < send_before_at_ms` is checked by the clock immediately before the first byte of every write. */
void downstream_send(struct downstream *, struct call *, struct world *, const struct lease *,
                     struct outcome *ret_outcome);
/* Are the sent values there? EFFECT all, NO_EFFECT none (or partial), UNSURE could not tell, STOP as for send. */
void downstream_read_back(struct downstream *, struct call *, struct world *, const struct lease *,
                          struct outcome *ret_outcome);
/* One authenticated round trip that writes nothing: EFFECT = works. */
void downstream_check(struct downstream *, struct call *, struct world *,
                      struct outcome *ret_outcome);

struct downstream_ops {
    enum rc (*encode)(struct downstream *, struct call *, struct str, struct str, struct str,
                      struct str *) MUST;
    void (*send)(struct downstream *, struct call *, struct world *, const struct lease *,
                 struct outcome *);
    void (*read_back)(struct downstream *, struct call *, struct world *, const struct lease *,
                      struct outcome *);
    void (*check)(struct downstream *, struct call *, struct world *, struct outcome *);
};

/* ==== notifier =========================================================================================== */
/* One event to tell. body is the whole JSON document, the same bytes at every try. */
struct event {
    struct str id;    /* UUIDv7 made from the entry: the same at every try */
    struct str type;  /* device.created update.delivered ... */
    bool operators;   /* else the owner's */
    struct str owner; /* "" for operators' events */
    int64_t at_ms;
    struct str body;
};

enum told { TOLD_DONE, TOLD_AGAIN, TOLD_NEVER };

struct notifier_ops;
struct notifier {
    const struct notifier_ops *ops;
    bool customers; /* somebody listens for customers' events; false: no notice is kept for them */
};

/* Tell. May block; touches no store. out: AGAIN: ret_again_at_ms (0 = the core's backoff); NEVER: given up, the adapter has logged it. */
enum told notifier_tell(struct notifier *, struct call *, const struct event *,
                        int64_t *ret_again_at_ms);

struct notifier_ops {
    enum told (*tell)(struct notifier *, struct call *, const struct event *, int64_t *);
};

/* ==== secrets ============================================================================================ */
struct secrets_ops;
struct secrets {
    const struct secrets_ops *ops;
};

/* One named secret ("sap/user"). out: in call->arena. fails: RC_NOT_FOUND, RC_BROKEN. safe: from any thread. */
MUST enum rc secrets_get(struct secrets *, struct call *, struct str name, struct str *ret_value);

struct secrets_ops {
    enum rc (*get)(struct secrets *, struct call *, struct str, struct str *) MUST;
};

/* ==== clock (and random) =================================================================================== */
struct clock_ops;
struct clock {
    const struct clock_ops *ops;
};

int64_t clock_now_ms(struct clock *);  /* wall, UTC. safe: from any thread */
int64_t clock_boot_ms(struct clock *); /* since boot, sleep included; never steps */
void clock_random(struct clock *, void *ret_bytes, size_t size_bytes);

struct clock_ops {
    int64_t (*now_ms)(struct clock *);
    int64_t (*boot_ms)(struct clock *);
    void (*random)(struct clock *, void *, size_t);
};

/* ==== world: filled by each home in one literal ============================================================== */
struct world {
    struct store *store;
    struct downstream *downstream; /* of realm live */
    struct downstream *mock;       /* of the test realms; NULL = there are none */
    struct notifier *notifier;
    struct secrets *secrets;
    struct clock *clock;
    const struct settings *settings;
};

/* The downstream of a realm. */
struct downstream *world_downstream(const struct world *, struct str realm);
/* Start a call: arena (already open), id (UUIDv7 from the clock), now. */
void call_open(struct call *, struct arena *, struct world *);

#endif
