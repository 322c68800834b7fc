/* The operations of operators on what waits: devices by the state of their work, redrives, the downstream, the
 * system's log. Work lists may lag behind the store: each device is read again before it is shown or changed. */
#include "core/api_parts.h"
#include "core/name.h"
#include "core/window.h"
#include "core/work.h"

#define CHUNK 16            /* devices read before the page's bytes are looked at again */
#define SEND_TYPICAL_MS 700 /* one call of SAP, for the estimate */

/* --- work --------------------------------------------------------------------------------------------------- */
static enum rc add_work(struct exchange *exchange, struct page *page, enum work state,
                        const struct work_page *work)
{
    for (int i = 0; i < work->count; i++) {
        struct device device;
        TRY(store_device_get(exchange->world->store, exchange->call, work->items[i].key, &device));
        if (device.version && device.work == state && !name_is_system(device.key)) {
            page->bytes += device.doc.len;
            api_json_device(page->doc, api_page_add(page), &device);
        }
    }
    return RC_OK;
}

enum rc api_list_work(struct exchange *exchange)
{
    struct page page;
    struct str after;
    struct str word = api_request_query(exchange, "state")->text;
    enum work state = work_of(word);
    bool more = true;
    int limit = (int)api_request_query(exchange, "limit")->number;
    struct str scope = api_page_scope(exchange, word);
    TRY(api_page_cursor(exchange, api_request_query(exchange, "cursor"), scope, &after));
    api_page_open(exchange, scope, limit, &page);
    for (int looked = 0; more && looked < limit && page.bytes < PAGE_MAX_BYTES;) {
        struct work_page work;
        int chunk = limit - looked < CHUNK ? limit - looked : CHUNK;
        TRY(store_work_list(exchange->world->store, exchange->call, state,
                            exchange->principal.realm, SHARD_ALL, INT64_MAX, after, chunk, &work));
        TRY(add_work(exchange, &page, state, &work));
        looked += work.count;
        more = work.more && work.count > 0;
        after = work.after;
    }
    api_page_close(exchange, &page, more, after);
    return RC_OK;
}

/* --- redrives -------------------------------------------------------------------------------------------------- */
/* What a redrive of one device came to; "" = it is not among those that were meant. */
static enum rc redrive_one(struct exchange *exchange, const struct device *device, bool dry_run,
                           struct str *ret_result)
{
    struct call *call = exchange->call;
    const struct action_request request = {.action = ACTION_redrive, .reason = STR("redrives")};
    struct device after;
    if (dry_run) {
        *ret_result = STR("would_redrive");
        return RC_OK;
    }
    enum rc rc =
        device_action(exchange->world, call, &exchange->principal, device->key, &request, &after);
    if (rc == RC_INVALID && call->problem == PROBLEM_wrong_state) {
        call_forget(call); /* somebody was faster: part of the answer */
        *ret_result = STR("changed");
        return RC_OK;
    }
    *ret_result = STR("redriven");
    return rc;
}

/* out: ret_count: how many were opened. fails: RC_BUSY the store could not take this one any more; ret_count holds. */
static enum rc redrive_page(struct exchange *exchange, struct page *page,
                            const struct work_page *work, int64_t *ret_count)
{
    const struct value *owner = api_request_member(exchange, "owner");
    bool dry_run = api_request_member(exchange, "dry_run")->yes;
    *ret_count = 0;
    for (int i = 0; i < work->count; i++) {
        struct device device;
        struct str result;
        TRY(store_device_get(exchange->world->store, exchange->call, work->items[i].key, &device));
        if (device.work != WORK_DEAD || name_is_system(device.key) ||
            (owner->given && !str_equal(owner->text, device.owner))) {
            continue;
        }
        TRY(redrive_one(exchange, &device, dry_run, &result));
        *ret_count += str_is(result, "redriven");
        (void)api_page_take(page, 0);
        yyjson_mut_val *item = api_page_add(page);
        json_add_str(page->doc, item, "device_name", device.name);
        json_add_str(page->doc, item, "owner", device.owner);
        json_add_time(page->doc, item, "dead_since", device.at_ms);
        json_add_str(page->doc, item, "result", result);
    }
    return RC_OK;
}

/* Each device is a commit of its own. If the store gives way half-way, the answer tells what was opened, and goes on
 * from where it began: what is open is no longer dead. */
enum rc api_redrive(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct work_page work;
    struct page page;
    struct str after;
    int64_t redriven_count;
    int limit = (int)api_request_member(exchange, "limit")->number;
    bool dry_run = api_request_member(exchange, "dry_run")->yes;
    struct str scope = api_page_scope(exchange, api_request_member(exchange, "owner")->text);
    TRY(api_page_cursor(exchange, api_request_member(exchange, "cursor"), scope, &after));
    TRY(store_work_list(exchange->world->store, call, WORK_DEAD, exchange->principal.realm,
                        SHARD_ALL, INT64_MAX, after, limit, &work));
    api_page_open(exchange, scope, limit, &page);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(page.doc);
    json_add_bool(page.doc, root, "dry_run", dry_run);
    enum rc rc = redrive_page(exchange, &page, &work, &redriven_count);
    bool cut = rc == RC_BUSY && redriven_count > 0;
    if (!cut) {
        TRY(rc);
    }
    json_add_i64(page.doc, root, "redriven_count", redriven_count);
    api_page_close(exchange, &page, cut || work.more, cut ? after : work.after);
    return RC_OK;
}

/* --- the downstream ------------------------------------------------------------------------------------------------ */
static void add_breaker(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct breaker *breaker)
{
    static const char *const states[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_STOPPED] = "stopped"};
    json_add_bool(doc, root, "held", breaker->held);
    api_json_text(doc, root, "hold_reason", breaker->held ? breaker->record.hold_reason : STR_NONE);
    yyjson_mut_val *object = json_add_obj(doc, root, "breaker");
    json_add_str(doc, object, "state", str_of(states[breaker->state]));
    json_add_time(doc, object, "since", breaker->since_ms);
    json_add_i64(doc, object, "refused_count", breaker->refused_count);
    api_json_text(doc, object, "code", breaker->code);
    api_json_text(doc, object, "detail", breaker->detail);
}

static void add_backlog(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct work_counts *counts)
{
    static const struct {
        const char *name;
        enum work work;
    } states[] = {{"open", WORK_OPEN},
                  {"flight", WORK_FLIGHT},
                  {"uncertain", WORK_UNCERTAIN},
                  {"dead", WORK_DEAD},
                  {"notice", WORK_NOTICE}};
    yyjson_mut_val *backlog = json_add_obj(doc, root, "backlog");
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        yyjson_mut_val *object = json_add_obj(doc, backlog, states[i].name);
        int64_t at_ms = counts->earliest_at_ms[states[i].work];
        json_add_i64(doc, object, "count", counts->count[states[i].work]);
        json_add_time(doc, object, "earliest_at", at_ms < TIME_NEVER_MS ? at_ms : 0);
    }
}

/* How long the deliveries of all open devices take: the pace is the slower of calls per second and calls at once.
 * starts_at_ms 0: nothing is open, or only an operator can let it start. */
static void add_estimate(const struct settings *settings, yyjson_mut_doc *doc, yyjson_mut_val *root,
                         int64_t device_count, int64_t starts_at_ms)
{
    int64_t per_hour = settings->downstream_concurrency * 3600000 / SEND_TYPICAL_MS;
    if (settings->downstream_rps) {
        per_hour = min_i64(per_hour, settings->downstream_rps * 3600);
    }
    yyjson_mut_val *object = json_add_obj(doc, root, "estimate");
    json_add_i64(doc, object, "device_count", device_count);
    json_add_i64(doc, object, "devices_per_hour", per_hour);
    int64_t seconds = (device_count * 3600 + per_hour - 1) / per_hour;
    json_add_i64(doc, object, "seconds", seconds);
    json_add_time(doc, object, "starts_at", starts_at_ms);
    json_add_time(doc, object, "done_at", starts_at_ms ? starts_at_ms + seconds * 1000 : 0);
}

/* The earliest moment at which an open device may start: its own time has come, and nothing stops them all. */
static int64_t starts_at(const struct work_counts *counts, int64_t blocked_until_ms)
{
    int64_t at_ms = counts->earliest_at_ms[WORK_OPEN];
    bool waits = counts->count[WORK_OPEN] && at_ms < TIME_NEVER_MS;
    return waits && blocked_until_ms < TIME_NEVER_MS ? max_i64(at_ms, blocked_until_ms) : 0;
}

static void answer_downstream(struct exchange *exchange, const struct breaker *breaker,
                              const struct work_counts *counts)
{
    struct call *call = exchange->call;
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    int64_t until_ms;
    enum block block = breaker_blocks(breaker, call->now_ms, &until_ms);
    bool blocked = block != BLOCK_nothing, paused = breaker->pause_until_ms > call->now_ms;
    api_json_text(doc, root, "blocked_on", blocked ? str_of(block_name(block)) : STR_NONE);
    json_add_time(doc, root, "blocked_until", blocked && until_ms < TIME_NEVER_MS ? until_ms : 0);
    add_breaker(doc, root, breaker);
    json_add_time(doc, root, "paused_until", paused ? breaker->pause_until_ms : 0);
    api_json_text(doc, root, "pause_reason", paused ? breaker->pause_reason : STR_NONE);
    json_add_time(doc, root, "clock_hold_until",
                  breaker->clock_hold_until_ms > call->now_ms ? breaker->clock_hold_until_ms : 0);
    json_add_bool(doc, root, "unproven", breaker->unproven);
    json_add_bool(doc, root, "probing", breaker_is_probing(breaker));
    add_backlog(doc, root, counts);
    add_estimate(exchange->world->settings, doc, root, counts->count[WORK_OPEN],
                 starts_at(counts, until_ms));
    api_json_answer(exchange, 200, doc);
}

enum rc api_get_downstream(struct exchange *exchange)
{
    struct breaker breaker;
    struct work_counts counts;
    TRY(breaker_get(exchange->world, exchange->call, exchange->principal.realm, &breaker));
    TRY(store_work_count(exchange->world->store, exchange->call, &counts));
    answer_downstream(exchange, &breaker, &counts);
    return RC_OK;
}

enum rc api_act_on_downstream(struct exchange *exchange)
{
    struct breaker breaker;
    struct work_counts counts; /* before the action: what comes after it must not fail */
    TRY(store_work_count(exchange->world->store, exchange->call, &counts));
    TRY(breaker_action(exchange->world, exchange->call, exchange->principal.id,
                       api_request_member(exchange, "action")->text,
                       api_request_member(exchange, "reason")->text, &breaker));
    answer_downstream(exchange, &breaker, &counts);
    return RC_OK;
}

/* --- the system's log ---------------------------------------------------------------------------------------------- */
enum rc api_get_log(struct exchange *exchange)
{
    struct device record;
    struct str key = name_system(exchange->call, exchange->principal.realm);
    TRY(store_device_get(exchange->world->store, exchange->call, key, &record));
    return api_log_page(exchange, key, record.version ? record.seq : 0);
}
