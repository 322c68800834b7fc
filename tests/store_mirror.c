/* See store_mirror.h. */
#include "store_mirror.h"

#include <stdlib.h>

#include "test.h"

static struct store_mirror *mirror_of(struct store *store)
{
    struct store_mirror *mirror = (struct store_mirror *)store;
    mirror->compared++;
    return mirror;
}

static bool is_asked(struct store_mirror *mirror)
{
    return mirror->reads++ % mirror->reads_every == 0;
}

#define SAME_I(member) CHECK_INT(second->member, first->member);
#define SAME_S(member) CHECK_BYTES(second->member, first->member);

static void same_device(const struct device *second, const struct device *first)
{
    SAME_I(version)
    if (first->version == 0) {
        return;
    }
    SAME_S(realm)
    SAME_S(key)
    SAME_S(name)
    SAME_S(owner)
    SAME_S(doc)
    SAME_S(downstream_ref)
    SAME_S(hold_reason)
    SAME_S(log_sha)
    SAME_I(revision)
    SAME_I(seq)
    SAME_I(from_seq)
    SAME_I(pending_count)
    SAME_I(pending_bytes)
    SAME_I(attempt_count)
    SAME_I(window_attempt_count)
    SAME_I(work)
    SAME_I(at_ms)
    SAME_I(due_at_ms)
    SAME_I(not_before_at_ms)
    SAME_I(effect_at_ms)
    SAME_I(accepted_at_ms)
    SAME_I(created_at_ms)
    SAME_I(base)
    SAME_I(resend_all)
    CHECK(memcmp(&second->flight, &first->flight, sizeof first->flight) == 0);
}

static void same_entry(const struct entry *second, const struct entry *first)
{
    SAME_I(seq)
    SAME_I(kind)
    SAME_I(at_ms)
    SAME_S(by)
    SAME_S(request_id)
    SAME_S(data)
    SAME_S(sha)
    SAME_I(from_seq)
    SAME_I(to_seq)
    SAME_I(delivery)
    SAME_I(ended)
    SAME_I(notice_at_ms)
}

static void same_entries(const struct entry_page *second, const struct entry_page *first)
{
    SAME_I(count)
    SAME_I(more)
    for (int i = 0; i < first->count; i++) {
        same_entry(&second->items[i], &first->items[i]);
    }
}

static void same_key(const struct key *second, const struct key *first)
{
    SAME_I(version)
    if (first->version == 0) {
        return;
    }
    SAME_S(id)
    SAME_S(owner)
    SAME_S(realm)
    SAME_S(label)
    SAME_I(role)
    for (int i = 0; i < SECRETS_PER_KEY; i++) {
        SAME_S(secrets[i].sha)
        SAME_I(secrets[i].expires_at_ms)
    }
    SAME_I(created_at_ms)
    SAME_I(deleted_at_ms)
    SAME_I(last_used_day)
}

/* Ask both; the second only what the first could do. */
#define BOTH(operation, ...)                                                                       \
    struct store_mirror *mirror = mirror_of(store);                                                \
    enum rc rc = operation(mirror->first, __VA_ARGS__ first);                                      \
    if ((rc != RC_OK && rc != RC_NOT_FOUND) || !is_asked(mirror)) {                                \
        return rc;                                                                                 \
    }                                                                                              \
    CHECK_RC(operation(mirror->second, __VA_ARGS__ &second), rc);                                  \
    if (rc != RC_OK) {                                                                             \
        return rc;                                                                                 \
    }

static enum rc device_get(struct store *store, struct call *call, struct str key,
                          struct device *first)
{
    struct device second;
    BOTH(store_device_get, call, key, )
    same_device(&second, first);
    return rc;
}

static enum rc device_list(struct store *store, struct call *call, struct str realm,
                           struct str owner, struct str prefix, struct str after, int limit,
                           struct device_page *first)
{
    struct device_page second;
    BOTH(store_device_list, call, realm, owner, prefix, after, limit, )
    CHECK_INT(second.count, first->count);
    CHECK_INT(second.more, first->more);
    for (int i = 0; i < first->count; i++) {
        same_device(&second.items[i], &first->items[i]);
    }
    return rc;
}

static enum rc log_list(struct store *store, struct call *call, struct str key, int64_t from_seq,
                        int64_t to_seq, bool newest_first, int limit, struct entry_page *first)
{
    struct entry_page second;
    BOTH(store_log_list, call, key, from_seq, to_seq, newest_first, limit, )
    same_entries(&second, first);
    return rc;
}

static enum rc log_covering(struct store *store, struct call *call, struct str key, int64_t seq,
                            int limit, struct entry_page *first)
{
    struct entry_page second;
    BOTH(store_log_covering, call, key, seq, limit, )
    same_entries(&second, first);
    return rc;
}

static enum rc body_get(struct store *store, struct call *call, struct str key, int64_t delivery,
                        struct body *first)
{
    struct body second;
    BOTH(store_body_get, call, key, delivery, )
    CHECK_INT(second.delivery, first->delivery);
    CHECK_BYTES(second.target, first->target);
    CHECK_BYTES(second.bytes, first->bytes);
    CHECK_BYTES(second.repeat_id, first->repeat_id);
    CHECK_INT(second.mapping_version, first->mapping_version);
    return rc;
}

static enum rc reply_get(struct store *store, struct call *call, struct str owner,
                         struct str idempotency_key, struct reply *first)
{
    struct reply second;
    BOTH(store_reply_get, call, owner, idempotency_key, )
    CHECK_INT(second.status, first->status);
    CHECK_INT(second.expires_at_ms, first->expires_at_ms);
    CHECK_BYTES(second.fingerprint, first->fingerprint);
    CHECK_BYTES(second.head, first->head);
    CHECK_BYTES(second.body, first->body);
    return rc;
}

static int order_of_work(const void *a, const void *b)
{
    const struct work_item *left = a, *right = b;
    int by_time = (left->at_ms > right->at_ms) - (left->at_ms < right->at_ms);
    int by_key = by_time ? by_time : str_compare(left->key, right->key);
    return by_key ? by_key : (left->seq > right->seq) - (left->seq < right->seq);
}

/* At one moment each store has its own order: a page that was cut may hold others of that moment. */
static void same_work(struct call *call, const struct work_page *second,
                      const struct work_page *first)
{
    struct work_item *of_first = arena_array(call->arena, struct work_item, (size_t)first->count);
    CHECK_INT(second->count, first->count);
    CHECK_INT(second->more, first->more);
    for (int i = 0; i < first->count; i++) {
        CHECK_INT(second->items[i].at_ms, first->items[i].at_ms);
        of_first[i] = first->items[i];
    }
    if (!first->more && first->count > 0) {
        qsort(of_first, (size_t)first->count, sizeof *of_first, order_of_work);
        qsort(second->items, (size_t)second->count, sizeof *of_first, order_of_work);
        for (int i = 0; i < first->count; i++) {
            CHECK_BYTES(second->items[i].key, of_first[i].key);
            CHECK_INT(second->items[i].seq, of_first[i].seq);
        }
    }
}

static enum rc work_list(struct store *store, struct call *call, enum work work, struct str realm,
                         int shard, int64_t until_ms, struct str after, int limit,
                         struct work_page *first)
{
    struct store_mirror *mirror = mirror_of(store);
    struct work_page second;
    TRY(store_work_list(mirror->first, call, work, realm, shard, until_ms, after, limit, first));
    if (after.len == 0 && is_asked(mirror)) { /* a cursor is its store's own */
        CHECK_RC(store_work_list(mirror->second, call, work, realm, shard, until_ms, after, limit,
                                 &second),
                 RC_OK);
        same_work(call, &second, first);
    }
    return RC_OK;
}

static enum rc work_count(struct store *store, struct call *call, struct work_counts *first)
{
    struct store_mirror *mirror = mirror_of(store);
    struct work_counts second;
    TRY(store_work_count(mirror->first, call, first));
    if (is_asked(mirror)) {
        CHECK_RC(store_work_count(mirror->second, call, &second), RC_OK);
        for (int i = 0; i < WORK_COUNT; i++) {
            CHECK_INT(second.count[i], first->count[i]);
            CHECK_INT(second.earliest_at_ms[i], first->earliest_at_ms[i]);
        }
    }
    return RC_OK;
}

static enum rc key_get(struct store *store, struct call *call, struct str id, struct key *first)
{
    struct key second;
    BOTH(store_key_get, call, id, )
    same_key(&second, first);
    return rc;
}

static enum rc key_list(struct store *store, struct call *call, struct str after, int limit,
                        struct key_page *first)
{
    struct key_page second;
    BOTH(store_key_list, call, after, limit, )
    CHECK_INT(second.count, first->count);
    CHECK_INT(second.more, first->more);
    for (int i = 0; i < first->count; i++) {
        same_key(&second.items[i], &first->items[i]);
    }
    return rc;
}

static enum rc commit(struct store *store, struct call *call, const struct change *change)
{
    struct store_mirror *mirror = mirror_of(store);
    enum rc rc = store_commit(mirror->first, call, change);
    if (rc == RC_OK || rc == RC_CONFLICT || rc == RC_REPEATED) {
        CHECK_RC(store_commit(mirror->second, call, change), rc);
    }
    return rc;
}

static enum rc notice_done(struct store *store, struct call *call, struct str key, int64_t seq,
                           int64_t again_at_ms)
{
    struct store_mirror *mirror = mirror_of(store);
    TRY(store_notice_done(mirror->first, call, key, seq, again_at_ms));
    CHECK_RC(store_notice_done(mirror->second, call, key, seq, again_at_ms), RC_OK);
    return RC_OK;
}

static enum rc expire(struct store *store, struct call *call, int64_t history_ms, int limit,
                      int *ret_count)
{
    return store_expire(mirror_of(store)->first, call, history_ms, limit, ret_count);
}

static enum rc ping(struct store *store, struct call *call)
{
    return store_ping(mirror_of(store)->first, call);
}

static const struct store_ops ops = {.device_get = device_get,
                                     .device_list = device_list,
                                     .log_list = log_list,
                                     .log_covering = log_covering,
                                     .body_get = body_get,
                                     .reply_get = reply_get,
                                     .work_list = work_list,
                                     .work_count = work_count,
                                     .key_get = key_get,
                                     .key_list = key_list,
                                     .commit = commit,
                                     .notice_done = notice_done,
                                     .expire = expire,
                                     .ping = ping};

void store_mirror_open(struct store_mirror *mirror, struct store *first, struct store *second,
                       int reads_every)
{
    *mirror = (struct store_mirror){
        .store = {.ops = &ops}, .first = first, .second = second, .reads_every = reads_every};
}
