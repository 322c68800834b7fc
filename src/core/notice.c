/* Notices: an entry that wants to be told becomes events. Listing claims them for a while, durable with
 * the commit, so that neither two loops nor a slow webhook tell one event many times in a row; telling
 * again after a crash is lawful, with the same id. */
#include "core/notice.h"

#include "base/sha256.h"
#include "base/text.h"
#include "core/log.h"
#include "core/name.h"

#define UUID_BYTES 36
#define AGAIN_MIN_MS 5000

/* --- ids ------------------------------------------------------------------------------------------------ */
struct str uuid7(struct arena *arena, int64_t at_ms, const unsigned char random[10])
{
    unsigned char b[16];
    for (int i = 0; i < 6; i++) {
        b[i] = (unsigned char)((uint64_t)at_ms >> (40 - 8 * i));
    }
    memcpy(b + 6, random, 10);
    b[6] = (unsigned char)(0x70 | (b[6] & 0x0f)); /* version 7 */
    b[8] = (unsigned char)(0x80 | (b[8] & 0x3f)); /* variant 10 */
    struct str hex = text_hex(arena, (struct str){(const char *)b, sizeof(b)});
    char *uuid = arena_alloc(arena, UUID_BYTES + 1);
    static const int from[] = {0, 8, 12, 16, 20, 32}; /* 8-4-4-4-12 */
    for (int i = 0; i < 5; i++) {
        memcpy(uuid + from[i] + i, hex.s + from[i], (size_t)(from[i + 1] - from[i]));
        if (i < 4) {
            uuid[from[i + 1] + i] = '-';
        }
    }
    return (struct str){uuid, UUID_BYTES};
}

struct str notice_event_id(struct arena *arena, struct str key, const struct entry *entry,
                           int which)
{
    unsigned char sha[SHA256_BYTES];
    struct str text =
        arena_printf(arena, STR_FMT "#%lld#%d", STR_ARG(key), (long long)entry->seq, which);
    sha256(text, sha);
    return uuid7(arena, entry->at_ms, sha);
}

/* --- which events --------------------------------------------------------------------------------------- */
struct kind_rule {
    const char *customer, *operators; /* event types; NULL = not told */
};

static const struct kind_rule rules[ENTRY_KIND_COUNT] = {
    [ENTRY_created] = {"device.created", NULL},
    [ENTRY_delivered] = {"update.delivered", NULL},
    [ENTRY_satisfied] = {"update.delivered",
                         NULL}, /* its data says satisfied: the downstream already had it */
    [ENTRY_rejected] = {"update.rejected", NULL},
    [ENTRY_no_effect] = {NULL, "delivery.dead"}, /* out of attempts, but newer updates go on */
    [ENTRY_uncertain] = {NULL, "delivery.uncertain"},
    [ENTRY_dead] = {"update.dead", "delivery.dead"},
    [ENTRY_cancelled] = {"update.cancelled", NULL},
    [ENTRY_action] = {NULL, "downstream.stopped"},
};

static struct str event_body(struct call *call, const struct device *device,
                             const struct entry *entry, const struct event *event)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "id", event->id);
    json_add_str(doc, root, "type", event->type);
    json_add_time(doc, root, "timestamp", event->at_ms);
    yyjson_mut_val *data = json_add_obj(doc, root, "data");
    if (!name_is_system(device->key)) {
        json_add_str(doc, data, "device_name", device->name);
        json_add_str(doc, data, "owner", device->owner);
    }
    json_add_str(doc, data, "realm", device->realm);
    json_add_str(doc, data, "kind", str_of(entry_kind_name(entry->kind)));
    json_add_i64(doc, data, "seq", entry->seq);
    if (entry->to_seq) {
        json_add_i64(doc, data, "from_seq", entry->from_seq);
        json_add_i64(doc, data, "to_seq", entry->to_seq);
    }
    if (entry->delivery) {
        json_add_i64(doc, data, "delivery", entry->delivery);
    }
    json_add_str(doc, data, "by", entry->by);
    json_add_str(doc, data, "request_id", entry->request_id);
    if (entry->kind !=
        ENTRY_created) { /* a document may be large, and its reader asks for the device anyway */
        json_add_raw(doc, data, "what", entry->data);
    }
    return json_write_mut(call->arena, doc);
}

static void event_add(struct call *call, const struct device *device, const struct entry *entry,
                      const char *type, bool operators, struct notice *notice)
{
    struct event *event = &notice->events[notice->event_count];
    *event = (struct event){.type = str_of(type), .operators = operators, .at_ms = entry->at_ms};
    event->id = notice_event_id(call->arena, device->key, entry, notice->event_count);
    event->owner = operators ? STR_NONE : device->owner;
    event->body = event_body(call, device, entry, event);
    notice->event_count++;
}

/* An uncertain delivery that has found its end needs no alarm. */
static bool is_moot(const struct device *device, const struct entry *entry)
{
    return entry->kind == ENTRY_uncertain &&
           (device->work != WORK_UNCERTAIN || device->flight.delivery != entry->delivery);
}

static enum rc notice_fill(struct world *world, struct call *call, struct notice *notice)
{
    struct device device;
    struct entry_page page;
    TRY(store_device_get(world->store, call, notice->key, &device));
    TRY(store_log_list(world->store, call, notice->key, notice->seq, notice->seq, false, 1, &page));
    notice->moot = !device.version || page.count != 1 || is_moot(&device, &page.items[0]);
    if (notice->moot) {
        return RC_OK;
    }
    const struct entry *entry = &page.items[0];
    const struct kind_rule *rule = &rules[entry->kind];
    notice->at_ms = entry->at_ms;
    if (rule->customer && world->notifier->customers) {
        event_add(call, &device, entry, rule->customer, false, notice);
    }
    if (rule->operators) {
        event_add(call, &device, entry, rule->operators, true, notice);
    }
    notice->moot = notice->event_count == 0;
    return RC_OK;
}

/* --- the round ---------------------------------------------------------------------------------------------- */
enum rc notices_due(struct world *world, struct call *call, int limit, struct notice_list *ret_list)
{
    struct work_page page;
    struct notice_list list = {0};
    TRY(store_work_list(world->store, call, WORK_NOTICE, STR_NONE, SHARD_ALL, call->now_ms,
                        STR_NONE, limit, &page));
    list.items = arena_array(call->arena, struct notice, (size_t)page.count);
    list.more = page.more;
    for (int i = 0; i < page.count; i++) {
        struct notice *notice = &list.items[list.count++];
        *notice = (struct notice){.key = page.items[i].key, .seq = page.items[i].seq};
        TRY(notice_fill(world, call, notice));
        int64_t claim_ms = notice->moot ? 0 : call->now_ms + NOTICE_CLAIM_MS;
        TRY(store_notice_done(world->store, call, notice->key, notice->seq, claim_ms));
        call->wrote = true;
    }
    if (!list.more) {
        TRY(store_work_list(world->store, call, WORK_NOTICE, STR_NONE, SHARD_ALL, TIME_NEVER_MS,
                            STR_NONE, 1, &page));
        list.next_at_ms = page.count ? page.items[0].at_ms : 0;
    }
    *ret_list = list;
    return RC_OK;
}

void notice_copy(struct arena *arena, const struct notice *notice, struct notice *ret_copy)
{
    *ret_copy = *notice;
    ret_copy->key = arena_copy(arena, notice->key);
    for (int i = 0; i < notice->event_count; i++) {
        struct event *event = &ret_copy->events[i];
        event->id = arena_copy(arena, event->id);
        event->type = arena_copy(arena, event->type);
        event->owner = arena_copy(arena, event->owner);
        event->body = arena_copy(arena, event->body);
    }
}

enum told notice_send(struct world *world, struct call *call, const struct notice *notice,
                      int64_t *ret_again_at_ms)
{
    enum told worst = TOLD_DONE;
    *ret_again_at_ms = 0;
    for (int i = 0; i < notice->event_count; i++) {
        int64_t again_at_ms = 0;
        enum told told = notifier_tell(world->notifier, call, &notice->events[i], &again_at_ms);
        *ret_again_at_ms = max_i64(*ret_again_at_ms, again_at_ms);
        worst = told == TOLD_AGAIN || worst == TOLD_DONE ? told : worst;
    }
    return worst;
}

enum rc notice_done(struct world *world, struct call *call, const struct notice *notice,
                    enum told told, int64_t again_at_ms)
{
    int64_t age_ms = max_i64(call->now_ms - notice->at_ms, 0);
    bool again = told == TOLD_AGAIN && age_ms < NOTICE_GIVE_UP_MS;
    if (again && !again_at_ms) {
        again_at_ms = call->now_ms + min_i64(max_i64(age_ms, AGAIN_MIN_MS), NOTICE_AGAIN_MAX_MS);
    }
    call->tallies[told == TOLD_DONE ? TALLY_notices_told : TALLY_notices_given_up] += !again;
    call->wrote = true;
    return store_notice_done(world->store, call, notice->key, notice->seq, again ? again_at_ms : 0);
}

enum rc notices_send(struct world *world, struct call *call, int limit, int *ret_count)
{
    struct notice_list list;
    TRY(notices_due(world, call, limit, &list));
    for (int i = 0; i < list.count; i++) {
        int64_t again_at_ms;
        if (list.items[i].moot) {
            continue;
        }
        enum told told = notice_send(world, call, &list.items[i], &again_at_ms);
        TRY(notice_done(world, call, &list.items[i], told, again_at_ms));
    }
    *ret_count = list.count;
    return RC_OK;
}

enum rc notices_tell(struct world *world, struct call *call)
{
    while (call->untold_count > 0) {
        const struct untold *untold = &call->untold[--call->untold_count];
        struct notice notice = {.key = untold->key, .seq = untold->seq};
        int64_t again_at_ms = 0;
        enum told told = TOLD_DONE;
        TRY(notice_fill(world, call, &notice));
        if (!notice.moot) {
            told = notice_send(world, call, &notice, &again_at_ms);
        }
        TRY(notice_done(world, call, &notice, told, again_at_ms));
    }
    return RC_OK;
}
