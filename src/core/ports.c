/* The gate: every request of the core to the world passes here. It asserts what both sides of a port
 * promised (what the core hands over, what an adapter hands back), keeps outputs untouched unless RC_OK,
 * holds each seal against the hour rule, refuses the store to pool jobs, and is where tests inject faults.
 * It knows no technology and no rule but the one of the window (core/window.c). */
#include "core/ports.h"

#include "core/log.h"
#include "core/notice.h"
#include "core/window.h"

#include <stdio.h>

#define CHANGE_ROWS_MAX 9
#define LOG_LIMIT_MAX 1001
#define SHA_HEX_BYTES 64
#define RANDOM_OF_UUID_BYTES 10

/* ==== store ==================================================================================== */

/* Before each operation: is the caller allowed, is a fault due? */
static enum rc store_enter(struct store *store, struct call *call)
{
    assert(store && store->ops && call && call->arena);
    assert(!call->on_pool); /* a pool job touches no store */
    struct store_faults *faults = store->faults;
    if (!faults) {
        return RC_OK;
    }
    faults->op_count++;
    if (faults->fail_in > 0 && --faults->fail_in == 0) {
        snprintf(call->why, sizeof call->why, "injected fault at operation %lld",
                 (long long)faults->op_count);
        return faults->fail_with;
    }
    return RC_OK;
}

/* What a read may come to. */
static enum rc store_leave(enum rc rc)
{
    assert(rc == RC_OK || rc == RC_BUSY || rc == RC_BROKEN);
    return rc;
}

/* The rules of a record, each in words; NULL = it keeps them all. */
#define RULE(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return #condition;                                                                     \
        }                                                                                          \
    } while (0)

/* What counts up: as far as JSON tells numbers exactly. */
static bool is_count(int64_t number)
{
    return number >= 0 && number <= NUMBER_MAX;
}

static const char *device_fault(const struct device *device)
{
    RULE(device->version > 0 && device->revision > 0 && device->seq >= 0);
    RULE(is_count(device->version) && is_count(device->revision) && is_count(device->seq));
    RULE(device->key.len > 0 && device->key.len <= KEY_MAX_BYTES);
    RULE(device->realm.len > 0 && str_starts(device->key, device->realm));
    RULE(device->key.len > device->realm.len && device->key.s[device->realm.len] == '/');
    RULE(device->doc.len > 0 && device->doc.len <= DOC_STORED_MAX_BYTES);
    RULE(device->log_sha.len == SHA_HEX_BYTES);
    RULE(device->work >= WORK_NONE && device->work <= WORK_DEAD);
    RULE(device->from_seq >= 0 && device->from_seq <= device->seq);
    RULE(is_count(device->pending_count) && is_count(device->pending_bytes));
    RULE(device->base >= 0 && device->base <= device->version);
    RULE(device->flight.delivery >= 0 && device->flight.delivery <= device->version);
    return NULL;
}

static const char *entry_fault(const struct entry *entry)
{
    RULE(is_count(entry->seq) && entry->sha.len == SHA_HEX_BYTES);
    RULE(entry->kind > ENTRY_NO_KIND && entry->kind < ENTRY_KIND_COUNT);
    RULE(entry->data.len > 0 && entry->data.len <= ENTRY_MAX_BYTES);
    RULE(entry->by.len + entry->request_id.len <= ENTRY_NAMES_MAX_BYTES);
    RULE(entry->from_seq >= 0 && entry->from_seq <= entry->to_seq && is_count(entry->to_seq));
    RULE(is_count(entry->delivery));
    RULE(is_count(entry->at_ms) && is_count(entry->notice_at_ms));
    RULE(entry->ended >= ENDED_NONE && entry->ended <= ENDED_CANCELLED);
    return NULL;
}

static const char *body_fault(const struct body *body, int64_t delivery)
{
    RULE(body->delivery == delivery && body->mapping_version >= 0);
    RULE(body->target.len > 0 && body->target.len <= DOC_STORED_MAX_BYTES);
    return NULL;
}

static const char *log_page_fault(const struct entry_page *page, int64_t from_seq, int64_t to_seq,
                                  bool newest_first)
{
    for (int i = 0; i < page->count; i++) {
        int64_t seq = page->items[i].seq, before = i > 0 ? page->items[i - 1].seq : 0;
        const char *fault = entry_fault(&page->items[i]);
        if (fault) {
            return fault;
        }
        RULE(seq >= from_seq && seq <= to_seq);
        RULE(i == 0 || (newest_first ? seq < before : seq > before));
    }
    return NULL;
}

/* What an adapter read must keep the rules. */
static enum rc store_judge(const struct store *store, struct call *call, const char *fault)
{
    if (!fault) {
        return RC_OK;
    }
    call_why_words(call, "what was read breaks a rule of the store: %s", fault);
    assert(store->foreign); /* call->why names the rule */
    return RC_BROKEN;
}

enum rc store_device_get(struct store *store, struct call *call, struct str key,
                         struct device *ret_device)
{
    struct device device = {0};
    assert(key.len > 0 && key.len <= KEY_MAX_BYTES);
    TRY(store_enter(store, call));
    TRY(store_leave(store->ops->device_get(store, call, key, &device)));
    if (device.version != 0) {
        TRY(store_judge(store, call,
                        str_equal(device.key, key) ? device_fault(&device) : "its key"));
    }
    *ret_device = device;
    return RC_OK;
}

enum rc store_device_list(struct store *store, struct call *call, struct str realm,
                          struct str owner, struct str prefix, struct str after, int limit,
                          struct device_page *ret_page)
{
    struct device_page page = {0};
    assert(realm.len > 0 && realm.len <= REALM_MAX_BYTES && owner.len <= OWNER_MAX_BYTES);
    assert(prefix.len == 0 || (str_starts(prefix, realm) && prefix.len <= KEY_MAX_BYTES));
    assert(after.len <= KEY_MAX_BYTES && limit >= 1 && limit <= PAGE_MAX);
    TRY(store_enter(store, call));
    TRY(store_leave(
        store->ops->device_list(store, call, realm, owner, prefix, after, limit, &page)));
    assert(page.count >= 0 && page.count <= limit && (page.count > 0 || !page.more));
    for (int i = 0; i < page.count; i++) {
        const struct device *device = &page.items[i];
        TRY(store_judge(store, call, device_fault(device)));
        assert(str_equal(device->realm, realm) && str_starts(device->key, prefix));
        assert(owner.len == 0 || str_equal(device->owner, owner));
        assert(str_compare(device->key, i > 0 ? page.items[i - 1].key : after) > 0);
    }
    *ret_page = page;
    return RC_OK;
}

enum rc store_log_list(struct store *store, struct call *call, struct str key, int64_t from_seq,
                       int64_t to_seq, bool newest_first, int limit, struct entry_page *ret_page)
{
    struct entry_page page = {0};
    assert(key.len > 0 && key.len <= KEY_MAX_BYTES && limit >= 1 && limit <= LOG_LIMIT_MAX);
    TRY(store_enter(store, call));
    TRY(store_leave(
        store->ops->log_list(store, call, key, from_seq, to_seq, newest_first, limit, &page)));
    assert(page.count >= 0 && page.count <= limit && (page.count > 0 || !page.more));
    TRY(store_judge(store, call, log_page_fault(&page, from_seq, to_seq, newest_first)));
    *ret_page = page;
    return RC_OK;
}

enum rc store_log_covering(struct store *store, struct call *call, struct str key, int64_t seq,
                           int limit, struct entry_page *ret_page)
{
    struct entry_page page = {0};
    assert(key.len > 0 && key.len <= KEY_MAX_BYTES && seq >= 0);
    assert(limit >= 1 && limit <= LOG_LIMIT_MAX);
    TRY(store_enter(store, call));
    TRY(store_leave(store->ops->log_covering(store, call, key, seq, limit, &page)));
    assert(page.count >= 0 && page.count <= limit && (page.count > 0 || !page.more));
    for (int i = 0; i < page.count; i++) {
        const struct entry *entry = &page.items[i];
        TRY(store_judge(store, call, entry_fault(entry)));
        assert(entry->seq > seq && entry->from_seq <= seq && entry->to_seq >= seq);
        assert(i == 0 || entry->seq > page.items[i - 1].seq);
        /* what follows its end is about its neighbours */
        assert(i == page.count - 1 || !entry_ends(entry->kind));
    }
    *ret_page = page;
    return RC_OK;
}

enum rc store_body_get(struct store *store, struct call *call, struct str key, int64_t delivery,
                       struct body *ret_body)
{
    struct body body = {0};
    assert(key.len > 0 && key.len <= KEY_MAX_BYTES && delivery > 0);
    TRY(store_enter(store, call));
    enum rc rc = store->ops->body_get(store, call, key, delivery, &body);
    if (rc == RC_NOT_FOUND) {
        return rc;
    }
    TRY(store_leave(rc));
    TRY(store_judge(store, call, body_fault(&body, delivery)));
    *ret_body = body;
    return RC_OK;
}

enum rc store_reply_get(struct store *store, struct call *call, struct str owner,
                        struct str idempotency_key, struct reply *ret_reply)
{
    struct reply reply = {0};
    assert(owner.len <= OWNER_MAX_BYTES);
    assert(idempotency_key.len > 0 && idempotency_key.len <= IDEMPOTENCY_KEY_MAX_BYTES);
    TRY(store_enter(store, call));
    TRY(store_leave(store->ops->reply_get(store, call, owner, idempotency_key, &reply)));
    if (reply.status != 0) {
        assert(str_equal(reply.owner, owner) && str_equal(reply.key, idempotency_key));
        assert(reply.expires_at_ms > call->now_ms && reply.fingerprint.len == SHA_HEX_BYTES);
    }
    *ret_reply = reply;
    return RC_OK;
}

enum rc store_work_list(struct store *store, struct call *call, enum work work, struct str realm,
                        int shard, int64_t until_ms, struct str after, int limit,
                        struct work_page *ret_page)
{
    struct work_page page = {0};
    assert(work > WORK_NONE && work < WORK_COUNT && realm.len <= REALM_MAX_BYTES);
    assert(shard == SHARD_ALL || (shard >= 0 && shard < SHARD_COUNT));
    assert(after.len <= CURSOR_MAX_BYTES && limit >= 1 && limit <= WAKES_MAX);
    TRY(store_enter(store, call));
    if (store->faults) {
        until_ms -= store->faults->lag_ms;
    }
    enum rc rc =
        store->ops->work_list(store, call, work, realm, shard, until_ms, after, limit, &page);
    if (rc == RC_INVALID) {
        assert(call->problem != PROBLEM_NONE); /* a cursor that is none of ours */
        return rc;
    }
    TRY(store_leave(rc));
    assert(page.count >= 0 && page.count <= limit);
    assert(!page.more ||
           (page.count > 0 && page.after.len > 0 && page.after.len <= CURSOR_MAX_BYTES));
    for (int i = 0; i < page.count; i++) {
        const struct work_item *item = &page.items[i];
        assert(item->key.len > 0 && item->at_ms <= until_ms);
        assert(work == WORK_NOTICE || item->seq == 0);
        assert(i == 0 || item->at_ms >= page.items[i - 1].at_ms);
    }
    *ret_page = page;
    return RC_OK;
}

enum rc store_work_count(struct store *store, struct call *call, struct work_counts *ret_counts)
{
    struct work_counts counts = {0};
    TRY(store_enter(store, call));
    TRY(store_leave(store->ops->work_count(store, call, &counts)));
    for (int work = 0; work < WORK_COUNT; work++) {
        assert(counts.count[work] >= 0);
        assert(counts.count[work] > 0 || counts.earliest_at_ms[work] == 0);
    }
    *ret_counts = counts;
    return RC_OK;
}

enum rc store_key_get(struct store *store, struct call *call, struct str id, struct key *ret_key)
{
    struct key key = {0};
    assert(id.len <= CURSOR_MAX_BYTES);
    TRY(store_enter(store, call));
    TRY(store_leave(store->ops->key_get(store, call, id, &key)));
    assert(key.version == 0 || str_equal(key.id, id));
    *ret_key = key;
    return RC_OK;
}

enum rc store_key_list(struct store *store, struct call *call, struct str after, int limit,
                       struct key_page *ret_page)
{
    struct key_page page = {0};
    assert(after.len <= CURSOR_MAX_BYTES && limit >= 1 && limit <= PAGE_MAX);
    TRY(store_enter(store, call));
    TRY(store_leave(store->ops->key_list(store, call, after, limit, &page)));
    assert(page.count >= 0 && page.count <= limit && (page.count > 0 || !page.more));
    for (int i = 0; i < page.count; i++) {
        assert(page.items[i].version > 0);
        assert(str_compare(page.items[i].id, i > 0 ? page.items[i - 1].id : after) > 0);
    }
    *ret_page = page;
    return RC_OK;
}

/* A seal that becomes durable starts a window's one effect: the hour rule, whoever made the after-image. */
static void assert_seal(const struct call *call, const struct device *device)
{
    const struct flight *flight = &device->flight;
    const struct settings *settings = call->settings;
    if (!settings || flight->delivery != device->version) {
        return; /* a store tested alone, or no new seal */
    }
    int64_t slot = window_slot(settings, call->now_ms);
    assert(device->effect_at_ms == 0 || slot > window_slot(settings, device->effect_at_ms));
    assert(flight->send_before_at_ms <=
           window_boundary(settings, slot + 1) - window_guard_ms(settings));
}

static void assert_change_of_device(const struct call *call, const struct change *change)
{
    const struct device *device = change->device;
    assert(!device_fault(device));
    assert(change->expect_version >= 0 && device->version == change->expect_version + 1);
    int64_t first = device->seq + 1 - (int64_t)change->entry_count;
    assert(change->expect_version > 0 ? first >= 1 : first == 0);
    for (size_t i = 0; i < change->entry_count; i++) {
        const struct entry *entry = &change->entries[i];
        assert(!entry_fault(entry));
        assert(entry->seq == first + (int64_t)i && entry->to_seq <= device->seq);
    }
    if (change->entry_count > 0) {
        assert(str_equal(change->entries[change->entry_count - 1].sha, device->log_sha));
    }
    assert(change->ended_seq >= 0 && (change->ended_seq == 0 || change->ended_seq < first));
    assert((change->ended_seq != 0) == (change->ended != ENDED_NONE));
    assert(change->retire_body >= 0 && change->retire_body <= change->expect_version);
    assert(change->retire_body == 0 || change->retire_body != device->base);
    if (change->body) {
        assert(change->body->delivery == device->version && change->body->target.len > 0);
        assert(change->body->target.len <= DOC_STORED_MAX_BYTES);
    }
    assert(device->flight.delivery != device->version || change->body);
    assert_seal(call, device);
}

static void assert_change(const struct call *call, const struct change *change)
{
    size_t rows = change->entry_count + (change->device != NULL) + (change->ended_seq != 0) +
                  (change->retire_body != 0) + (change->body != NULL) + (change->reply != NULL) +
                  (change->api_key != NULL);
    assert(rows >= 1 && rows <= CHANGE_ROWS_MAX);
    if (change->device) {
        assert_change_of_device(call, change);
    } else {
        assert(change->api_key && change->entry_count == 0 && change->ended_seq == 0);
        assert(change->retire_body == 0 && !change->body);
    }
    if (change->reply) {
        const struct reply *reply = change->reply;
        assert(reply->status > 0 && reply->expires_at_ms > call->now_ms);
        assert(reply->key.len > 0 && reply->key.len <= IDEMPOTENCY_KEY_MAX_BYTES);
        assert(reply->owner.len <= OWNER_MAX_BYTES && reply->fingerprint.len == SHA_HEX_BYTES);
    }
    if (change->api_key) {
        assert(change->api_key->version > 0 && change->api_key->id.len > 0);
    }
}

enum rc store_commit(struct store *store, struct call *call, const struct change *change)
{
    assert_change(call, change);
    TRY(store_enter(store, call));
    struct store_faults *faults = store->faults;
    if (faults && faults->fail_commit_in > 0 && --faults->fail_commit_in == 0) {
        snprintf(call->why, sizeof call->why, "injected fault at a commit");
        return faults->fail_with;
    }
    enum rc rc = store->ops->commit(store, call, change);
    assert(rc == RC_OK || rc == RC_CONFLICT || rc == RC_REPEATED || rc == RC_BUSY ||
           rc == RC_BROKEN);
    assert(rc != RC_REPEATED || change->reply);
    return rc;
}

enum rc store_notice_done(struct store *store, struct call *call, struct str key, int64_t seq,
                          int64_t again_at_ms)
{
    assert(key.len > 0 && key.len <= KEY_MAX_BYTES && seq >= 0 && again_at_ms >= 0);
    TRY(store_enter(store, call));
    return store_leave(store->ops->notice_done(store, call, key, seq, again_at_ms));
}

enum rc store_expire(struct store *store, struct call *call, int64_t history_ms, int limit,
                     int *ret_count)
{
    int count = 0;
    assert(history_ms > 0 && limit >= 1);
    TRY(store_enter(store, call));
    TRY(store_leave(store->ops->expire(store, call, history_ms, limit, &count)));
    assert(count >= 0 && count <= limit);
    *ret_count = count;
    return RC_OK;
}

enum rc store_ping(struct store *store, struct call *call)
{
    TRY(store_enter(store, call));
    return store_leave(store->ops->ping(store, call));
}

/* ==== downstream =============================================================================== */

enum rc downstream_encode(struct downstream *downstream, struct call *call, struct str device_name,
                          struct str base, struct str target, struct str *ret_bytes)
{
    struct str bytes = STR_NONE;
    assert(downstream && downstream->ops && call && call->arena);
    assert(device_name.len > 0 && target.len > 0 && target.len <= DOC_STORED_MAX_BYTES);
    enum rc rc = downstream->ops->encode(downstream, call, device_name, base, target, &bytes);
    assert(rc == RC_OK || rc == RC_INVALID || rc == RC_BROKEN);
    assert(rc != RC_INVALID || call->problem != PROBLEM_NONE);
    TRY(rc);
    *ret_bytes = bytes;
    return RC_OK;
}

static void assert_outcome(const struct outcome *outcome)
{
    assert(outcome->class >= OUTCOME_EFFECT && outcome->class <= OUTCOME_REJECTED);
    assert(outcome->data.len <= ANSWER_MAX_BYTES + 2048);
    assert(outcome->sent_at_ms >= 0 && outcome->earlier_sent_at_ms >= 0);
}

static void assert_lease(const struct lease *lease)
{
    assert(lease->mode >= LEASE_SEND && lease->mode <= LEASE_PROBE && lease->realm.len > 0);
    assert(lease->key.len > 0 && lease->lease_no > 0 && lease->body.delivery > 0);
}

void downstream_send(struct downstream *downstream, struct call *call, struct world *world,
                     const struct lease *lease, struct outcome *ret_outcome)
{
    assert(downstream && downstream->ops && call && call->arena && world);
    assert_lease(lease);
    assert(lease->mode == LEASE_SEND || lease->mode == LEASE_RESEND);
    assert(lease->send_before_at_ms > 0 && lease->body.bytes.len > 0);
    *ret_outcome = (struct outcome){0};
    downstream->ops->send(downstream, call, world, lease, ret_outcome);
    assert_outcome(ret_outcome);
    /* no byte of a write leaves outside of its window: the adapter asked the clock just before it */
    assert(ret_outcome->sent_at_ms < lease->send_before_at_ms);
    assert(ret_outcome->sent_at_ms == 0 || ret_outcome->sent_at_ms >= lease->send_from_at_ms);
}

void downstream_read_back(struct downstream *downstream, struct call *call, struct world *world,
                          const struct lease *lease, struct outcome *ret_outcome)
{
    assert(downstream && downstream->ops && downstream->reads_back && call && call->arena && world);
    assert_lease(lease);
    *ret_outcome = (struct outcome){0};
    downstream->ops->read_back(downstream, call, world, lease, ret_outcome);
    assert_outcome(ret_outcome);
    assert(ret_outcome->class != OUTCOME_REJECTED && ret_outcome->class != OUTCOME_SAME);
}

void downstream_check(struct downstream *downstream, struct call *call, struct world *world,
                      struct outcome *ret_outcome)
{
    assert(downstream && downstream->ops && call && call->arena && world);
    *ret_outcome = (struct outcome){0};
    downstream->ops->check(downstream, call, world, ret_outcome);
    assert_outcome(ret_outcome);
}

/* ==== notifier, secrets, clock ================================================================== */

enum told notifier_tell(struct notifier *notifier, struct call *call, const struct event *event,
                        int64_t *ret_again_at_ms)
{
    int64_t again_at_ms = 0;
    assert(notifier && notifier->ops && call && call->arena);
    assert(event->id.len > 0 && event->type.len > 0 && event->body.len > 0);
    assert(event->operators || event->owner.len > 0);
    enum told told = notifier->ops->tell(notifier, call, event, &again_at_ms);
    assert(told == TOLD_DONE || told == TOLD_AGAIN || told == TOLD_NEVER);
    *ret_again_at_ms = told == TOLD_AGAIN ? again_at_ms : 0;
    return told;
}

enum rc secrets_get(struct secrets *secrets, struct call *call, struct str name,
                    struct str *ret_value)
{
    struct str value = STR_NONE;
    assert(secrets && secrets->ops && call && call->arena && name.len > 0);
    enum rc rc = secrets->ops->get(secrets, call, name, &value);
    assert(rc == RC_OK || rc == RC_NOT_FOUND || rc == RC_BROKEN);
    TRY(rc);
    *ret_value = value;
    return RC_OK;
}

int64_t clock_now_ms(struct clock *clock)
{
    int64_t now_ms = clock->ops->now_ms(clock);
    assert(now_ms > 0);
    return now_ms;
}

int64_t clock_boot_ms(struct clock *clock)
{
    return clock->ops->boot_ms(clock);
}

void clock_random(struct clock *clock, void *ret_bytes, size_t size_bytes)
{
    clock->ops->random(clock, ret_bytes, size_bytes);
}

/* ==== world ===================================================================================== */

struct downstream *world_downstream(const struct world *world, struct str realm)
{
    return str_is(realm, "live") ? world->downstream : world->mock;
}

void call_open(struct call *call, struct arena *arena, struct world *world)
{
    unsigned char random[RANDOM_OF_UUID_BYTES];
    *call = (struct call){.arena = arena, .settings = world->settings};
    call->now_ms = clock_now_ms(world->clock);
    clock_random(world->clock, random, sizeof random);
    call->id = uuid7(arena, call->now_ms, random);
}
