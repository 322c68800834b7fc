/* The operations on updates and logs: one update with what became of it, pages of updates, pages of entries. The
 * state of an update is derived from the entries that cover it, never stored. */
#include "base/text.h"
#include "core/api_parts.h"
#include "core/document.h"

#define LOOK_MAX 1000 /* entries that one page looks through at the most */
#define CHUNK 32      /* entries of one read */

/* --- one update ------------------------------------------------------------------------------------------- */
/* Why it ended, where the state alone does not say. */
static struct str reason_of(enum update_state state, const struct entry *update)
{
    if (state == UPDATE_satisfied) {
        return update->ended == ENDED_SATISFIED ? STR("no_change") : STR("already_there");
    }
    if (state == UPDATE_cancelled) {
        return update->ended == ENDED_CANCELLED ? STR("cancel") : STR("discard");
    }
    return STR_NONE;
}

/* When it ended; 0 = it has not, or the entry that says so is past its life. */
static int64_t ended_at_ms(const struct entry *update, const struct entry *end,
                           const struct entry_page *tries)
{
    if (end || update->ended == ENDED_SATISFIED) {
        return end ? end->at_ms : update->at_ms;
    }
    for (int i = 0; update->ended == ENDED_CANCELLED && i < tries->count; i++) {
        if (tries->items[i].kind == ENTRY_cancelled) {
            return tries->items[i].at_ms;
        }
    }
    return 0;
}

/* What a list shows of an update. */
static void add_update(struct exchange *exchange, yyjson_mut_doc *doc, yyjson_mut_val *object,
                       const struct device *device, const struct update_view *view)
{
    const struct entry *update = &view->entry;
    const struct entry *end = view->end.kind != ENTRY_NO_KIND ? &view->end : NULL;
    json_add_str(doc, object, "device_name", device->name);
    json_add_i64(doc, object, "seq", update->seq);
    json_add_str(doc, object, "state", str_of(update_state_name(view->state)));
    api_json_text(doc, object, "reason", reason_of(view->state, update));
    json_add_raw(doc, object, "attributes", log_attributes(exchange->call, update));
    json_add_time(doc, object, "accepted_at", update->at_ms);
    json_add_time(doc, object, "due_at", view->state == UPDATE_pending ? device->due_at_ms : 0);
    json_add_time(doc, object, "ended_at", ended_at_ms(update, end, &view->tries));
    json_add_str(doc, object, "by", update->by);
    json_add_str(doc, object, "request_id", update->request_id);
}

static void add_tries(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct entry_page *tries)
{
    yyjson_mut_val *array = json_add_arr(doc, object, "tries");
    for (int i = 0; i < tries->count; i++) {
        api_json_entry(doc, yyjson_mut_arr_add_obj(doc, array), &tries->items[i]);
    }
}

static void add_fields(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct update_view *view)
{
    yyjson_mut_val *array = json_add_arr(doc, object, "fields");
    for (size_t i = 0; i < view->field_count; i++) {
        yyjson_mut_val *field = yyjson_mut_arr_add_obj(doc, array);
        json_add_str(doc, field, "pointer", view->fields[i].pointer);
        json_add_bool(doc, field, "deletes", view->fields[i].deletes);
        api_json_seq(doc, field, "overwritten_by", view->fields[i].overwritten_by);
    }
    json_add_bool(doc, object, "fields_complete", view->fields_complete);
}

enum rc api_answer_update(struct exchange *exchange, int status, const struct device *device,
                          const struct entry *update)
{
    struct call *call = exchange->call;
    struct update_view view = {.entry = *update, .fields_complete = true};
    struct leaf *leaves;
    const struct entry *end;
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    TRY(document_leaves(call, log_attributes(call, update), &leaves, &view.field_count));
    view.fields = arena_array(call->arena, struct update_field, view.field_count);
    for (size_t i = 0; i < view.field_count; i++) {
        view.fields[i] = (struct update_field){leaves[i].pointer, leaves[i].deletes, 0};
    }
    view.state = log_state(device, update, &view.tries, &end);
    add_update(exchange, doc, root, device, &view);
    json_add_null(doc, root, "delivery");
    add_tries(doc, root, &view.tries);
    add_fields(doc, root, &view);
    api_json_answer(exchange, status, doc);
    return RC_OK;
}

/* The delivery that carried it last: the one that ended it, the one on its way, or the last try. */
static const struct entry *last_carrier(const struct update_view *view)
{
    const struct entry *carrier = view->end.delivery ? &view->end : NULL;
    for (int i = view->tries.count - 1; !carrier && i >= 0; i--) {
        carrier = view->tries.items[i].delivery ? &view->tries.items[i] : NULL;
    }
    return carrier;
}

static enum rc add_delivery(struct exchange *exchange, yyjson_mut_doc *doc, yyjson_mut_val *root,
                            const struct device *device, const struct update_view *view)
{
    const struct flight *flight = &device->flight;
    const struct entry *carrier = last_carrier(view);
    bool flying = view->state == UPDATE_sending || view->state == UPDATE_uncertain;
    int64_t delivery = flying ? flight->delivery : carrier ? carrier->delivery : 0;
    struct body body = {0};
    if (!delivery) {
        json_add_null(doc, root, "delivery");
        return RC_OK;
    }
    enum rc rc =
        store_body_get(exchange->world->store, exchange->call, device->key, delivery, &body);
    if (rc != RC_OK && rc != RC_NOT_FOUND) {
        return rc;
    }
    call_forget(exchange->call); /* bodies are kept for a while only */
    yyjson_mut_val *object = json_add_obj(doc, root, "delivery");
    json_add_i64(doc, object, "delivery", delivery);
    json_add_i64(doc, object, "from_seq", flying ? flight->from_seq : carrier->from_seq);
    json_add_i64(doc, object, "to_seq", flying ? flight->to_seq : carrier->to_seq);
    if (rc == RC_OK && body.bytes.len) {
        json_add_raw(doc, object, "body", body.bytes);
    } else {
        json_add_null(doc, object, "body");
    }
    return RC_OK;
}

enum rc api_get_update(struct exchange *exchange)
{
    struct device device;
    struct update_view view;
    yyjson_mut_doc *doc = json_doc(exchange->call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    int64_t seq = api_request_path(exchange, "seq")->number;
    TRY(api_device_read(exchange, &device));
    TRY(update_view(exchange->world, exchange->call, &device, seq, &view));
    add_update(exchange, doc, root, &device, &view);
    TRY(add_delivery(exchange, doc, root, &device, &view));
    add_tries(doc, root, &view.tries);
    add_fields(doc, root, &view);
    api_json_answer(exchange, 200, doc);
    return RC_OK;
}

/* --- lists ---------------------------------------------------------------------------------------------------- */
/* Where a page of a log begins: a cursor's payload is the last number that was shown or looked at. */
static enum rc first_seq(struct exchange *exchange, struct str scope, int64_t last_seq,
                         int64_t *ret_seq)
{
    struct str after;
    int64_t seq = last_seq + 1;
    TRY(api_page_cursor(exchange, api_request_query(exchange, "cursor"), scope, &after));
    if (after.len && text_to_i64(after, &seq) != RC_OK) {
        return RC_BROKEN; /* the checksum was right */
    }
    *ret_seq = min_i64(seq - 1, last_seq);
    return RC_OK;
}

static struct str seq_text(struct exchange *exchange, int64_t seq)
{
    return arena_printf(exchange->call->arena, "%lld", (long long)seq);
}

/* Ends of deliveries and cancels that a page's updates may have, newest first, without their words. */
struct ends {
    struct entry *items;
    size_t count, room;
    int64_t to_seq; /* looked up to here */
};

static void ends_take(struct arena *arena, struct ends *ends, const struct entry *entry)
{
    if (!entry_ends(entry->kind)) {
        return;
    }
    if (ends->count == ends->room) {
        size_t wider = ends->room ? ends->room * 2 : 16;
        ends->items = arena_grow(arena, ends->items, ends->room * sizeof(*ends->items),
                                 wider * sizeof(*ends->items));
        ends->room = wider;
    }
    ends->items[ends->count++] = (struct entry){.seq = entry->seq,
                                                .kind = entry->kind,
                                                .at_ms = entry->at_ms,
                                                .from_seq = entry->from_seq,
                                                .to_seq = entry->to_seq,
                                                .delivery = entry->delivery};
}

/* Read the entries from the page's oldest update on, on an arena of their own: they may be large. */
static enum rc read_ends(struct exchange *exchange, const struct device *device, int64_t from_seq,
                         struct ends *ends)
{
    struct call *call = exchange->call;
    struct arena scratch, *keep = call->arena;
    int64_t seq = ends->to_seq;
    enum rc rc = RC_OK;
    arena_open(&scratch, 0);
    while (rc == RC_OK && seq >= from_seq) {
        struct entry_page entries = {0};
        call->arena = &scratch;
        rc = store_log_list(exchange->world->store, call, device->key, from_seq, seq, true, CHUNK,
                            &entries);
        call->arena = keep;
        for (int i = 0; rc == RC_OK && i < entries.count; i++) {
            ends_take(keep, ends, &entries.items[i]);
        }
        seq = rc == RC_OK && entries.more ? entries.items[entries.count - 1].seq - 1 : -1;
        arena_reset(&scratch);
    }
    arena_close(&scratch);
    return rc;
}

/* The entry that ended an update. */
static enum rc find_end(struct exchange *exchange, const struct device *device,
                        const struct ends *ends, struct update_view *view)
{
    int64_t seq = view->entry.seq;
    for (size_t i = ends->count; i-- > 0;) {
        struct entry *end = &ends->items[i];
        if (end->seq > seq && end->from_seq <= seq && end->to_seq >= seq) {
            view->tries = (struct entry_page){.items = end, .count = 1};
            return RC_OK;
        }
    }
    return ends->to_seq >= device->seq
               ? RC_OK
               : store_log_covering(exchange->world->store, exchange->call, device->key, seq,
                                    PAGE_MAX, &view->tries);
}

static enum rc add_listed(struct exchange *exchange, struct page *page, const struct device *device,
                          const struct entry *update, const struct ends *ends)
{
    struct update_view view = {.entry = *update};
    const struct entry *end;
    TRY(find_end(exchange, device, ends, &view));
    view.state = log_state(device, update, &view.tries, &end);
    if (end) {
        view.end = *end;
    }
    add_update(exchange, page->doc, api_page_add(page), device, &view);
    return RC_OK;
}

/* The next updates downward from seq. out: ret_seq: the oldest entry looked at, ret_more: there is more below. */
static enum rc collect(struct exchange *exchange, const struct device *device, int64_t seq,
                       struct page *page, struct entry *ret_updates, int64_t *ret_seq,
                       bool *ret_more)
{
    *ret_seq = seq + 1;
    *ret_more = seq >= 0;
    for (int looked = 0; *ret_more && looked < LOOK_MAX; looked += CHUNK) {
        struct entry_page entries;
        TRY(store_log_list(exchange->world->store, exchange->call, device->key, 0, *ret_seq - 1,
                           true, CHUNK, &entries));
        for (int i = 0; i < entries.count; i++) {
            const struct entry *entry = &entries.items[i];
            int at = page->count;
            if (entry->kind == ENTRY_update) {
                if (!api_page_take(page, entry->data.len)) {
                    return RC_OK;
                }
                ret_updates[at] = *entry;
            }
            *ret_seq = entry->seq;
        }
        *ret_more = entries.more;
    }
    return RC_OK;
}

enum rc api_list_updates(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct device device;
    struct page page;
    int64_t seq, oldest_seq;
    bool more;
    int limit = (int)api_request_query(exchange, "limit")->number;
    TRY(api_device_read(exchange, &device));
    struct str scope = api_page_scope(exchange, device.key);
    TRY(first_seq(exchange, scope, device.seq, &seq));
    api_page_open(exchange, scope, limit, &page);
    struct entry *updates = arena_array(call->arena, struct entry, (size_t)limit);
    TRY(collect(exchange, &device, seq, &page, updates, &oldest_seq, &more));
    struct ends ends = {.to_seq = min_i64(device.seq, seq + LOOK_MAX)};
    TRY(read_ends(exchange, &device, oldest_seq, &ends));
    for (int i = 0; i < page.count; i++) {
        TRY(add_listed(exchange, &page, &device, &updates[i], &ends));
    }
    api_page_close(exchange, &page, more, seq_text(exchange, oldest_seq));
    return RC_OK;
}

enum rc api_log_page(struct exchange *exchange, struct str key, int64_t last_seq)
{
    struct entry_page entries;
    struct page page;
    int64_t seq;
    int limit = (int)api_request_query(exchange, "limit")->number;
    struct str scope = api_page_scope(exchange, key);
    TRY(first_seq(exchange, scope, last_seq, &seq));
    TRY(store_log_list(exchange->world->store, exchange->call, key, 0, seq, true, limit, &entries));
    api_page_open(exchange, scope, limit, &page);
    int i = 0;
    for (; i < entries.count && api_page_take(&page, entries.items[i].data.len); i++) {
        api_json_entry(page.doc, api_page_add(&page), &entries.items[i]);
        seq = entries.items[i].seq;
    }
    api_page_close(exchange, &page, i < entries.count || entries.more, seq_text(exchange, seq));
    return RC_OK;
}

enum rc api_get_device_log(struct exchange *exchange)
{
    struct device device;
    TRY(api_device_read(exchange, &device));
    return api_log_page(exchange, device.key, device.seq);
}
