/* The things hourbell is about, their caps, and the problems that the outside is told. Order of
 * reading: caps, problems, the call, then the records as the store keeps them.
 * To change a record: the struct here, its columns in store_sqlite (new columns with a default and a
 * new user_version), its attributes in the other store; old and new code run side by side for a while. */
#ifndef CORE_MODEL_H
#define CORE_MODEL_H

#include "base/arena.h"
#include "base/base.h"
#include "base/iso_time.h"
#include "base/json.h"
#include "core/settings.h"

/* --- caps: the one table; each has a test ------------------------------------------------------- */
#define BODY_MAX_BYTES 65536   /* request body */
#define NAME_MAX_CHARS 128     /* device_name after trimming, in code points */
#define NAME_MAX_BYTES 512     /* the same in bytes: 4 per code point */
#define NAME_KEY_MAX_BYTES 256 /* the folded name */
#define REALM_MAX_BYTES 80     /* "live" or "test-<owner>" */
#define KEY_MAX_BYTES (REALM_MAX_BYTES + 1 + NAME_KEY_MAX_BYTES)
#define OWNER_MAX_BYTES 64         /* [a-z0-9][a-z0-9_.-]* */
#define DOC_MAX_BYTES 16384        /* merged document at the door */
#define DOC_STORED_MAX_BYTES 65536 /* undoing a patch may grow a document past the door's cap */
#define POINTERS_MAX_BYTES                                                                         \
    262144                    /* JSON pointers of all leaves of one document or patch, together */
#define ENTRY_MAX_BYTES 98304 /* data of one log entry: the largest patch and its frame */
#define ENTRY_NAMES_MAX_BYTES                                                                      \
    3072 /* who asked for an entry, and in which request: the longest is a role's ARN */
#define NUMBER_MAX (INT64_C(1) << 53) /* of what counts up, and of times: RFC 8259 section 6 */
#define ANSWER_MAX_BYTES 2048         /* what is kept of a downstream's answer */
#define REASON_MAX_CHARS 500          /* of an operator's action */
#define PAGE_MAX 100                  /* items of one page */
#define PAGE_DEFAULT 20
#define PAGE_MAX_BYTES ((size_t)1 << 20) /* documents in one page; the first item always goes in */
#define CURSOR_MAX_BYTES 1024
#define IDEMPOTENCY_KEY_MAX_BYTES 255
#define PROBLEMS_MAX 16 /* members named in one problem document */
#define CONFLICT_TRIES 5
#define WAKES_MAX 256 /* keys that one call may leave for waking */
#define NOTICES_MAX 4 /* entries of one call that want to be told at once */
#define SHARD_COUNT 16
#define SHARD_ALL (-1)

/* --- problems: code, status, title, exit code of the command line -------------------------------- */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 10,
    EXIT_CONFLICT = 11,
    EXIT_AUTH = 12,
    EXIT_INVALID = 13,
    EXIT_UNREACHABLE = 14,
    EXIT_PARTIAL = 15,
};

/* clang-format off */
#define PROBLEMS(X) \
    X(invalid_json, 400, "The body is not valid JSON", EXIT_INVALID) \
    X(not_an_object, 400, "A JSON object is needed", EXIT_INVALID) \
    X(duplicate_member, 400, "A member stands twice in one object", EXIT_INVALID) \
    X(too_deep, 400, "The JSON is nested too deeply", EXIT_INVALID) \
    X(unknown_member, 400, "A member is unknown", EXIT_INVALID) \
    X(missing_member, 400, "A member is missing", EXIT_INVALID) \
    X(invalid_member, 400, "A member has a value that is not allowed", EXIT_INVALID) \
    X(null_in_document, 400, "A stored document holds no null", EXIT_INVALID) \
    X(name_invalid, 400, "The device name breaks a rule", EXIT_INVALID) \
    X(name_too_long, 400, "The device name is too long", EXIT_INVALID) \
    X(document_too_large, 400, "The merged document is too large", EXIT_INVALID) \
    X(unmappable, 400, "The downstream has no place for a value", EXIT_INVALID) \
    X(unknown_parameter, 400, "A query parameter is unknown", EXIT_INVALID) \
    X(invalid_parameter, 400, "A parameter has a value that is not allowed", EXIT_INVALID) \
    X(invalid_header, 400, "A header has a value that is not allowed", EXIT_INVALID) \
    X(unauthorized, 401, "A valid key is needed", EXIT_AUTH) \
    X(forbidden, 403, "The role of the key does not allow this", EXIT_AUTH) \
    X(not_found, 404, "There is no such thing", EXIT_NOT_FOUND) \
    X(method_not_allowed, 405, "The route does not know this method", EXIT_INVALID) \
    X(request_timeout, 408, "The request came too slowly", EXIT_UNREACHABLE) \
    X(device_exists, 409, "The name is taken", EXIT_CONFLICT) \
    X(update_in_flight, 409, "The update is already on its way", EXIT_CONFLICT) \
    X(update_ended, 409, "The update has already ended", EXIT_CONFLICT) \
    X(wrong_state, 409, "The state does not allow this action", EXIT_CONFLICT) \
    X(revision_mismatch, 412, "The document has another revision", EXIT_CONFLICT) \
    X(body_too_large, 413, "The body is too large", EXIT_INVALID) \
    X(unsupported_media_type, 415, "The body must be application/json", EXIT_INVALID) \
    X(idempotency_key_reused, 422, "The Idempotency-Key was used for another request", EXIT_INVALID) \
    X(too_many_pending, 429, "Too many updates of this device wait", EXIT_FAILED) \
    X(rate_limited, 429, "Too many requests", EXIT_FAILED) \
    X(headers_too_large, 431, "The headers are too large", EXIT_INVALID) \
    X(internal, 500, "An error of the service", EXIT_FAILED) \
    X(store_busy, 503, "The store cannot take this now", EXIT_UNREACHABLE) \
    X(draining, 503, "The service is stopping", EXIT_UNREACHABLE)
/* clang-format on */

enum problem {
    PROBLEM_NONE,
#define X(code, status, title, exit_code) PROBLEM_##code,
    PROBLEMS(X)
#undef X
        PROBLEM_COUNT
};

struct problem_info {
    const char *code, *title;
    int status;
    enum exit_code exit_code;
};

/* Of any problem but PROBLEM_NONE. */
const struct problem_info *problem_info(enum problem);
/* By its code. out: PROBLEM_NONE if there is none. */
enum problem problem_of(struct str code);

/* One named member of a problem document. */
struct problem_item {
    struct str pointer; /* RFC 6901 into the body; "" = the whole */
    enum problem code;
    struct str detail;
};

/* --- the call: one request or unit of work -------------------------------------------------------- */
struct wake {
    struct str key;
    int64_t at_ms; /* 0 = now */
};

/* An entry that wants to be told. */
struct untold {
    struct str key;
    int64_t seq;
};

struct device;
struct principal; /* device.h */

/* What a call brought about, counted in the unit that the name says; the home adds it to its metrics after the commit. */
/* clang-format off */
#define TALLIES(X) \
    X(devices_created) X(updates_accepted) X(updates_delivered) X(updates_satisfied) X(updates_rejected) X(updates_cancelled) X(updates_dead) \
    X(deliveries_delivered) X(deliveries_satisfied) X(deliveries_rejected) X(deliveries_no_effect) X(deliveries_uncertain) X(deliveries_dead) \
    X(attempts_effect) X(attempts_same) X(attempts_no_effect) X(attempts_stop) X(attempts_unsure) X(attempts_rejected) \
    X(notices_told) X(notices_given_up) X(breaker_opened) X(downstream_paused) X(leases_lost)
/* clang-format on */
enum tally {
#define X(name) TALLY_##name,
    TALLIES(X)
#undef X
        TALLY_COUNT
};

struct call {
    struct arena *arena;             /* all that the call returns lives here */
    struct str id;                   /* UUIDv7, the request id */
    int64_t now_ms;                  /* frozen for the call */
    int64_t deadline_at_ms;          /* 0 = none: a Lambda's end */
    const struct settings *settings; /* the world's, for the gate; NULL in tests of one module */
    enum problem problem;            /* set with RC_INVALID */
    struct problem_item items[PROBLEMS_MAX];
    int item_count;
    const struct device *
        current; /* with device_exists, revision_mismatch and wrong_state of a device that the caller may see: as it is; else NULL */
    char why[256];                /* words for the log and the problem's detail */
    struct wake wakes[WAKES_MAX]; /* carried out by the home after the commit */
    int wake_count;
    int64_t tallies[TALLY_COUNT]; /* valid only if the call's commit became durable */
    bool wrote;                   /* the call committed something */
    bool noticed; /* an entry wants to be told now: the home looks for notices after the commit */
    struct untold
        untold[NOTICES_MAX]; /* which, as far as there is room: for homes without turns, notice.h */
    int untold_count;
    bool on_pool; /* runs in a pool job: the gate refuses the store */
};

/* Refuse: set problem and detail; with a pointer also an item. As an expression RC_INVALID, for `return`:
 * a macro, so that compilers and analysers know that the way ends here. */
#define call_refuse(call, ...) (call_refuse_words((call), __VA_ARGS__), RC_INVALID)
#define call_refuse_at(call, ...) (call_refuse_at_words((call), __VA_ARGS__), RC_INVALID)
void call_refuse_words(struct call *, enum problem, const char *format, ...) PRINTF(3, 4);
void call_refuse_at_words(struct call *, struct str pointer, enum problem, const char *format, ...)
    PRINTF(4, 5);
/* Name one more member; the first one decides the problem's code. Beyond PROBLEMS_MAX: dropped. */
void call_name(struct call *, struct str pointer, enum problem, const char *format, ...)
    PRINTF(4, 5);
/* Prefix call->why and hand rc on. */
#define call_why(call, rc, ...) (call_why_words((call), __VA_ARGS__), (rc))
void call_why_words(struct call *, const char *format, ...) PRINTF(2, 3);
/* What failed was one possible outcome and is dealt with: it must not be named by what fails later. */
void call_forget(struct call *);
/* Ask the home to wake a device after the commit; at_ms 0 = now. A full list is no error: plan passes repair. */
void call_wake(struct call *, struct str key, int64_t at_ms);

/* --- credentials ------------------------------------------------------------------------------------- */
enum role { ROLE_NONE, ROLE_CUSTOMER, ROLE_OPERATOR };

#define SECRETS_PER_KEY 2

struct key_secret {
    struct str sha;        /* 64 hex of SHA-256 of the secret; empty = none */
    int64_t expires_at_ms; /* 0 = never */
};

struct key {
    struct str id, owner, realm,
        label; /* owner "" for operators; realm: "live" or "test-<owner>" */
    enum role role;
    struct key_secret secrets[SECRETS_PER_KEY]; /* 0 = newest */
    int64_t version, created_at_ms,
        deleted_at_ms;     /* deleted_at_ms 0 = alive; a deleted key stays as a record */
    int64_t last_used_day; /* days since 1970; 0 = never */
};

/* --- records of the store ------------------------------------------------------------------------------- */
enum work { WORK_NONE, WORK_OPEN, WORK_FLIGHT, WORK_UNCERTAIN, WORK_DEAD, WORK_NOTICE, WORK_COUNT };

/* clang-format off */
#define ENTRY_KINDS(X) X(created) X(update) X(delivered) X(satisfied) X(rejected) X(no_effect) X(uncertain) X(dead) X(cancelled) X(action)
/* clang-format on */
enum entry_kind {
    ENTRY_NO_KIND,
#define X(name) ENTRY_##name,
    ENTRY_KINDS(X)
#undef X
        ENTRY_KIND_COUNT
};

enum ended { ENDED_NONE, ENDED_SATISFIED, ENDED_CANCELLED };

/* A sealed delivery on its way; delivery == 0: none (started_at_ms then still tells when the last lease began). */
struct flight {
    int64_t delivery; /* number of the seal = the device's version after the sealing commit */
    int64_t from_seq, to_seq; /* what it carries */
    int64_t lease_no;         /* fence: + 1 with each lease of this flight */
    int64_t settled_no;       /* lease_no of the last lease that had an outcome */
    int64_t started_at_ms;    /* of the first lease: the first-sent time of all sends */
    int64_t
        send_before_at_ms; /* no byte of a write leaves later; once a send's time is known: that time */
    int64_t lease_until_ms;
};

struct device {
    struct str realm, key, name,
        owner;        /* realm: "live" or "test-<owner>"; key: realm "/" name_key() */
    int64_t version;  /* 0 = does not exist; each commit adds 1 */
    struct str doc;   /* desired document, <= DOC_STORED_MAX_BYTES */
    int64_t revision; /* of doc: + 1 with each change */
    int64_t seq;      /* last log entry; entry 0 is `created` */
    int64_t from_seq; /* first pending or sealed entry without an end, 0 = none */
    int64_t pending_count, pending_bytes; /* accepted, not sealed, not ended */
    int64_t attempt_count;                /* calls without effect since the last effect */
    int64_t window_attempt_count;         /* leases in slot(flight.started_at_ms) */
    enum work work;
    int64_t
        at_ms; /* when to look: OPEN next start, FLIGHT lease end, UNCERTAIN next try, DEAD since */
    int64_t due_at_ms, not_before_at_ms, effect_at_ms, accepted_at_ms, created_at_ms;
    struct flight flight;
    int64_t base;    /* delivery whose target the downstream holds, 0 = none */
    bool resend_all; /* next body in full */
    struct str downstream_ref, hold_reason; /* hold_reason "" = not held */
    struct str log_sha;                     /* 64 hex: sha of the last entry */
};

struct entry { /* immutable, but for `ended` and `notice_at_ms` */
    int64_t seq;
    enum entry_kind kind;
    int64_t at_ms;
    struct str by, request_id,
        data;       /* by: key id or "system"; data: a JSON object, <= ENTRY_MAX_BYTES */
    struct str sha; /* 64 hex over the sha before it and this entry: log.h */
    int64_t from_seq, to_seq, delivery; /* of kinds that end or try a delivery; else 0 */
    enum ended ended;                   /* an update's own end */
    int64_t notice_at_ms;               /* tell somebody, not before; 0 = nobody (left) to tell */
};

struct body { /* frozen at the seal, written once */
    int64_t delivery;
    struct str target;    /* the document that is sealed */
    struct str bytes;     /* what goes out; "" = nothing had to go out (satisfied at the lease) */
    struct str repeat_id; /* 32 hex */
    int64_t mapping_version;
};

struct reply {                          /* the stored answer to an Idempotency-Key */
    struct str owner, key, fingerprint; /* fingerprint: 64 hex */
    int64_t status;                     /* 0 = none */
    struct str head, body;              /* head: lines "name: value\n" */
    int64_t expires_at_ms;
};

struct change { /* one commit: all or nothing; <= 9 rows */
    const struct device
        *device; /* after-image, version = expect_version + 1; NULL = only a credential changes */
    int64_t expect_version; /* 0 = must not exist yet */
    const struct entry
        *entries; /* new ones: numbered from the device's last seq (0 for a new one), no gap */
    size_t entry_count;
    int64_t ended_seq; /* one earlier update gets its own end; 0 = none */
    enum ended ended;
    int64_t retire_body; /* a body that is no longer the base's starts to age; 0 = none */
    const struct body *body;
    const struct reply *reply;
    const struct key *api_key; /* after-image, guarded by version - 1 */
};

struct device_page {
    struct device *items;
    int count;
    bool more;
};
struct entry_page {
    struct entry *items;
    int count;
    bool more;
};
struct key_page {
    struct key *items;
    int count;
    bool more;
};

struct work_item {
    struct str key;
    int64_t at_ms, seq; /* seq: of a notice's entry; else 0 */
};
struct work_page {
    struct work_item *items;
    int count;
    bool more;
    struct str after; /* opaque: goes into the next call */
};
struct work_counts {
    int64_t count[WORK_COUNT];
    int64_t earliest_at_ms[WORK_COUNT]; /* 0 = none */
};

/* --- a request and its answer, the same in both homes ------------------------------------------------- */
struct header {
    struct str name, value; /* name in lower case */
};

struct request {
    struct str method, target; /* target: origin-form, raw: path and query as they came */
    const struct header *headers;
    size_t header_count;
    struct str body;
    bool loopback; /* the peer is this machine itself */
    const struct principal *
        principal; /* who asks, where somebody before us has judged that; NULL = the request shows a credential */
};

#define RESPONSE_HEADERS_MAX 8
struct response {
    int status;
    struct header
        headers[RESPONSE_HEADERS_MAX]; /* content-type is among them when there is a body */
    size_t header_count;
    struct str body;
    struct str operation; /* operationId of the route, for logs and metrics; "" = no route */
    struct str by;        /* key id, "" = nobody */
};

#endif
