/* Inside of store_dynamodb: shared by store_dynamodb.c (requests, queries), _item.c (items and records), _read.c, _work.c and
 * _write.c. Nobody else includes it.
 *
 * The table: pk, sk; indexes `work` (work_pk, work_sk) and `owner` (owner_pk, owner_sk), sparse, keys only; TTL ttl_s (seconds).
 *
 *   item         pk                    sk                      besides its members
 *   device       D#<key>               DEVICE                  owner_pk O#<realm>#<owner>, owner_sk <key> (not the system's own)
 *                                                              work: work_pk <STATE>#<realm>#<shard>, work_sk <at_ms>#<key>
 *   log entry    D#<key>               L#<seq, 10 digits>      notice: work_pk NOTICE#<realm>#<shard>,
 *                                                              work_sk <notice_at_ms>#<key>#<seq>; ttl_s, but of entry 0,
 *                                                              and of an update once it has its end
 *   body         D#<key>               B#<delivery, 10 digits> ttl_s once it is no longer the base's
 *   reply        R#<owner>#<32 hex>    R                       ttl_s; the hex is the head of SHA-256 of the idempotency key
 *   credential   KEY                   <id>
 *   owner        OWNER                 <realm>#<owner>         nothing: makes lists over all owners, or all realms, possible
 *   ping         PING                  PING
 *
 * at_ms has 13 digits, so that text sorts as the number does; shard is the hex digit of name_shard. Attributes are called as
 * the members of core/model.h, those of a flight with flight_ before; 0 and "" are not stored. States, kinds, ends
 * and roles are stored as words. To add a member: a line in the lists below. Old and new code run side by
 * side: an item is changed by SET and REMOVE of the attributes that are known, so what a newer version wrote survives. */
#ifndef ADAPTERS_STORE_DYNAMODB_INNER_H
#define ADAPTERS_STORE_DYNAMODB_INNER_H

#include "adapters/store_dynamodb.h"
#include "base/text.h"

/* X(attribute, member) */
/* clang-format off */
#define DEVICE_NUMBERS(X) \
    X(version, version) X(at_ms, at_ms) X(revision, revision) X(seq, seq) X(from_seq, from_seq) X(pending_count, pending_count) \
    X(pending_bytes, pending_bytes) X(attempt_count, attempt_count) X(window_attempt_count, window_attempt_count) \
    X(due_at_ms, due_at_ms) X(not_before_at_ms, not_before_at_ms) X(effect_at_ms, effect_at_ms) X(accepted_at_ms, accepted_at_ms) \
    X(created_at_ms, created_at_ms) X(flight_delivery, flight.delivery) X(flight_from_seq, flight.from_seq) \
    X(flight_to_seq, flight.to_seq) X(flight_lease_no, flight.lease_no) X(flight_settled_no, flight.settled_no) \
    X(flight_started_at_ms, flight.started_at_ms) X(flight_send_before_at_ms, flight.send_before_at_ms) \
    X(flight_lease_until_ms, flight.lease_until_ms) X(base, base) X(resend_all, resend_all)
#define DEVICE_TEXTS(X) \
    X(name, name) X(owner, owner) X(doc, doc) X(downstream_ref, downstream_ref) X(hold_reason, hold_reason) X(log_sha, log_sha)
#define ENTRY_NUMBERS(X) \
    X(at_ms, at_ms) X(from_seq, from_seq) X(to_seq, to_seq) X(delivery, delivery) X(notice_at_ms, notice_at_ms)
#define ENTRY_TEXTS(X) X(by, by) X(request_id, request_id) X(data, data) X(sha, sha)
#define BODY_NUMBERS(X) X(mapping_version, mapping_version)
#define BODY_TEXTS(X) X(target, target) X(bytes, bytes) X(repeat_id, repeat_id)
#define REPLY_NUMBERS(X) X(status, status) X(expires_at_ms, expires_at_ms)
#define REPLY_TEXTS(X) X(fingerprint, fingerprint) X(head, head) X(body, body)
#define KEY_NUMBERS(X) \
    X(version, version) X(expires_at_ms_0, secrets[0].expires_at_ms) X(expires_at_ms_1, secrets[1].expires_at_ms) \
    X(created_at_ms, created_at_ms) X(deleted_at_ms, deleted_at_ms) X(last_used_day, last_used_day)
#define KEY_TEXTS(X) X(owner, owner) X(realm, realm) X(label, label) X(sha_0, secrets[0].sha) X(sha_1, secrets[1].sha)
/* clang-format on */

#define INDEX_AT_MAX_MS                                                                            \
    INT64_C(9999999999999)           /* of 13 digits: whatever is later is TIME_NEVER_MS */
#define AFTER_ALL "\xF4\x8F\xBF\xBF" /* U+10FFFF: behind every text that begins alike */
#define OWNERS_KNOWN_MAX 64

/* What a read said of a device's first entry that is not over: its first update without an end, else the next entry. */
struct first_open {
    char key[KEY_MAX_BYTES];
    size_t key_len;
    int64_t version, seq;
};
#define SEEN_COUNT 4

struct store_dynamodb {
    struct store store; /* first */
    struct aws *aws;
    char table[256];
    int64_t history_ms, counts_kept_ms;
    unsigned char nonce[16]; /* makes the tokens of this process its own */
    int64_t commit_count;
    struct work_counts counts;
    int64_t counted_at_ms; /* by aws_boot_ms; 0 = never */
    char owners_known[OWNERS_KNOWN_MAX][REALM_MAX_BYTES + OWNER_MAX_BYTES + 2];
    int owners_next;
    struct first_open seen[SEEN_COUNT];
    unsigned seen_next;
};

static inline struct store_dynamodb *store_dynamodb_of(struct store *store)
{
    return (struct store_dynamodb *)store; /* store is the first member */
}

/* ---- store_dynamodb.c: requests ------------------------------------------------------------------- */
extern const struct store_ops store_dynamodb_ops;
/* The body of a request to be filled in, with its TableName. */
yyjson_mut_doc *dynamodb_request(struct store_dynamodb *, struct call *);
/* Ask. out: ret_root: what came, also of an error (ret_answer->status is not 200 then). fails: as aws_call. */
MUST enum rc dynamodb_ask(struct store_dynamodb *, struct call *, const char *target,
                          yyjson_mut_doc *, struct aws_answer *ret_answer, yyjson_val **ret_root);
/* The same where every error is our own fault or AWS's: RC_BROKEN. */
MUST enum rc dynamodb_read(struct store_dynamodb *, struct call *, const char *target,
                           yyjson_mut_doc *, yyjson_val **ret_root);

/* The items of one partition whose sort keys lie in low..high, in order; pages are fetched as they are needed. */
struct query {
    const char *
        index; /* NULL = the table: strong; else "work" or "owner": only sort keys come, and may lag */
    struct str pk, low, high; /* high < low: none */
    bool newest_first;
    int limit;                 /* items per page that are worth reading */
    int64_t covers;            /* > 0: only entries whose range holds it */
    yyjson_val *items, *start; /* of the page that was read; of the next one */
    size_t next;
    bool is_read;
};
/* out: ret_item NULL = that was all. */
MUST enum rc dynamodb_next(struct store_dynamodb *, struct call *, struct query *,
                           yyjson_val **ret_item);
/* How many items there are. */
MUST enum rc dynamodb_count(struct store_dynamodb *, struct call *, struct query *,
                            int64_t *ret_count);

/* ---- store_dynamodb_item.c: keys, items, records ---------------------------------------------------- */
struct str key_of_device(struct call *, struct str key);
struct str key_of_entry(struct call *, int64_t seq);
struct str key_of_body(struct call *, int64_t delivery);
struct str key_of_reply(struct call *, struct str owner, struct str idempotency_key);
struct str key_of_owner(struct call *, struct str realm, struct str owner);
struct str key_of_owners_devices(struct call *, struct str realm, struct str owner);
struct str key_of_work(struct call *, enum work, struct str realm, int shard);
struct str moment_of_work(struct call *, int64_t at_ms, struct str key,
                          int64_t seq); /* seq -1 = of a device */
/* Back from a moment_of_work. fails: RC_INVALID it is none. */
MUST enum rc work_of_moment(enum work, struct str moment, struct work_item *ret_item);
void add_key(yyjson_mut_doc *, yyjson_mut_val *object, const char *name, struct str pk,
             struct str sk);
void add_text(yyjson_mut_doc *, yyjson_mut_val *values, const char *name, struct str);
void add_number(yyjson_mut_doc *, yyjson_mut_val *values, const char *name, int64_t);

/* One item being written: all of it (Put), or what is known of it (Update: SET what is there, REMOVE what is not). */
struct row {
    yyjson_mut_doc *doc;
    yyjson_mut_val *action;         /* the object that says Key, Item, expressions */
    yyjson_mut_val *item;           /* of a Put */
    yyjson_mut_val *names, *values; /* of an Update; values also of a condition */
    struct text set, remove;
    int count;
    bool is_new; /* an Update of what is not there yet: nothing to remove */
};
struct row row_put(struct store_dynamodb *, struct call *, yyjson_mut_doc *, yyjson_mut_val *action,
                   struct str pk, struct str sk);
struct row row_update(struct store_dynamodb *, struct call *, yyjson_mut_doc *,
                      yyjson_mut_val *action, struct str pk, struct str sk);
void row_text(struct row *, const char *name, struct str);
void row_number(struct row *, const char *name, int64_t);
/* A value that a condition names, ":now_ms". */
void row_value(struct row *, const char *name, int64_t);
/* Write the expressions down. condition: NULL = none. */
void row_end(struct row *, const char *condition);

void row_device(struct row *, struct call *, const struct device *);
void row_entry(struct row *, struct call *, struct str key, const struct entry *);
void row_notice(struct row *, struct call *, struct str key, int64_t seq, int64_t notice_at_ms);
void row_body(struct row *, const struct body *);
void row_reply(struct row *, const struct reply *);
void row_key(struct row *, const struct key *);
const char *ended_word(enum ended);
int64_t ttl_of(int64_t at_ms); /* in seconds, never earlier than at_ms */

struct str item_text(yyjson_val *item, const char *name);
int64_t item_number(yyjson_val *item, const char *name);
void item_device(yyjson_val *item, struct device *ret_device);
void item_entry(yyjson_val *item, struct entry *ret_entry);
void item_body(yyjson_val *item, struct body *ret_body);
void item_reply(yyjson_val *item, struct reply *ret_reply);
void item_key(yyjson_val *item, struct key *ret_key);
bool item_is_expired(yyjson_val *item, int64_t now_ms);

/* ---- _read.c, _work.c, _write.c ---------------------------------------------------------------------- */
/* The first few of many sort keys, kept in order. */
struct firsts {
    struct str *keys;
    int count, max;
};
/* Merge what a query gives; its `high` shrinks to what still has a place. skip: the cursor itself. */
MUST enum rc dynamodb_merge(struct store_dynamodb *, struct call *, struct query *, struct str skip,
                            struct firsts *);
/* Each owner of a realm (realm "" = of all) that ever had a device: "<realm>#<owner>", in order. */
MUST enum rc dynamodb_owners(struct store_dynamodb *, struct call *, struct str realm,
                             struct str **ret_owners, int *ret_count);

/* The first entry of a device that is not over: its first update without an end, else the one that will come next. */
int64_t dynamodb_first_open(const struct device *);
/* As the last reads said of that version; 0 = not known. */
int64_t dynamodb_first_open_seen(const struct store_dynamodb *, struct str key, int64_t version);

MUST enum rc dynamodb_device_get(struct store *, struct call *, struct str, struct device *);
MUST enum rc dynamodb_device_list(struct store *, struct call *, struct str, struct str, struct str,
                                  struct str, int, struct device_page *);
MUST enum rc dynamodb_log_list(struct store *, struct call *, struct str, int64_t, int64_t, bool,
                               int, struct entry_page *);
MUST enum rc dynamodb_log_covering(struct store *, struct call *, struct str, int64_t, int,
                                   struct entry_page *);
MUST enum rc dynamodb_body_get(struct store *, struct call *, struct str, int64_t, struct body *);
MUST enum rc dynamodb_reply_get(struct store *, struct call *, struct str, struct str,
                                struct reply *);
MUST enum rc dynamodb_work_list(struct store *, struct call *, enum work, struct str, int, int64_t,
                                struct str, int, struct work_page *);
MUST enum rc dynamodb_work_count(struct store *, struct call *, struct work_counts *);
MUST enum rc dynamodb_key_get(struct store *, struct call *, struct str, struct key *);
MUST enum rc dynamodb_key_list(struct store *, struct call *, struct str, int, struct key_page *);
MUST enum rc dynamodb_commit(struct store *, struct call *, const struct change *);
MUST enum rc dynamodb_notice_done(struct store *, struct call *, struct str, int64_t, int64_t);
MUST enum rc dynamodb_ping(struct store *, struct call *);

#endif
