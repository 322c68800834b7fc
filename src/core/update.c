/* Updates: accepted in one read and one commit, whatever else goes on; cancelled while they are not
 * sealed; shown with what became of them. Patches are applied to the desired document one by one at
 * accept time and never merged with each other (RFC 7396 patches cannot be folded). */
#include "core/update.h"

#include "core/document.h"
#include "core/settle.h"
#include "core/window.h"
#include "core/work.h"

#define TRIES_PAGE 1000 /* covering entries of one update: its tries and its end */
#define SCAN_PAGE 100
#define SCAN_MAX_BYTES (2 << 20) /* of later entries that are looked at for one view */

/* --- accept ------------------------------------------------------------------------------------------- */
static struct str update_data(struct call *call, struct str patch)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    json_add_raw(doc, yyjson_mut_doc_get_root(doc), "attributes", patch);
    return json_write_mut(call->arena, doc);
}

static enum rc accept_check(struct world *world, struct call *call, const struct device *device,
                            struct str doc, int64_t data_bytes)
{
    const struct settings *settings = world->settings;
    struct str bytes;
    if (doc.len > DOC_MAX_BYTES) {
        return call_refuse_at(call, STR("/attributes"), PROBLEM_document_too_large,
                              "the merged document would have %zu bytes, at most %d are allowed",
                              doc.len, DOC_MAX_BYTES);
    }
    TRY(downstream_encode(world_downstream(world, device->realm), call, device->name, STR_NONE, doc,
                          &bytes));
    if (device->pending_count + 1 > settings->max_pending ||
        device->pending_bytes + data_bytes > settings->max_pending_bytes) {
        return call_refuse(call, PROBLEM_too_many_pending,
                           "%lld updates with %lld bytes wait; at most %lld and %lld may",
                           (long long)device->pending_count, (long long)device->pending_bytes,
                           (long long)settings->max_pending,
                           (long long)settings->max_pending_bytes);
    }
    return RC_OK;
}

/* The after-image of a device with one more pending update. */
static void accept_pending(struct world *world, struct call *call, struct device *device,
                           const struct entry *entry)
{
    if (device->pending_count == 0) {
        device->due_at_ms = device->work == WORK_OPEN
                                ? device->due_at_ms
                                : window_due(world->settings, device->accepted_at_ms);
    }
    device->pending_count++;
    device->pending_bytes += (int64_t)entry->data.len;
    if (device->work == WORK_NONE || device->work == WORK_DEAD) {
        device->from_seq = device->from_seq ? device->from_seq : entry->seq;
        device->due_at_ms = window_due(world->settings, device->accepted_at_ms);
        device->not_before_at_ms = device->work == WORK_DEAD ? 0 : device->not_before_at_ms;
        device->attempt_count = 0;
        work_open(world->settings, device, call->now_ms);
        call_wake(call, device->key, device->at_ms);
    }
    int64_t latest_ms = call->now_ms + world->settings->window_ms;
    if (device->work == WORK_OPEN &&
        device->due_at_ms > latest_ms) { /* by a clock that was wrong */
        device->due_at_ms = window_due(world->settings, call->now_ms);
        work_open(world->settings, device, call->now_ms);
    }
}

/* Never before an earlier one, unless that came from a clock that was wrong. */
static int64_t accepted_at(const struct settings *settings, const struct call *call,
                           const struct device *before)
{
    bool wrong = before->accepted_at_ms > call->now_ms + settings->window_ms;
    return wrong ? call->now_ms : max_i64(call->now_ms, before->accepted_at_ms);
}

static enum rc accept_once(struct world *world, struct call *call,
                           const struct principal *principal, const struct update_new *new,
                           struct device *ret_device, struct entry *ret_update)
{
    struct device before;
    struct draft draft;
    struct str doc, data = update_data(call, new->patch);
    TRY(device_read(world, call, principal, new->key, &before));
    if (new->if_match &&new->if_match != before.revision) {
        struct device *current = arena_new(call->arena, struct device);
        *current = before;
        call->current = current;
        return call_refuse(call, PROBLEM_revision_mismatch, "the revision is %lld",
                           (long long)before.revision);
    }
    TRY(document_merge(call, before.doc, new->patch, &doc));
    bool same = document_equal(call, before.doc, doc);
    bool satisfied = same && before.work == WORK_NONE && before.base && !before.resend_all;
    if (!satisfied) {
        TRY(accept_check(world, call, &before, doc, (int64_t)data.len));
    }
    log_begin(&draft, &before);
    struct device *device = &draft.device;
    struct entry *entry = log_add(call, &draft, principal->id, ENTRY_update, data);
    device->accepted_at_ms = accepted_at(world->settings, call, &before);
    entry->at_ms = device->accepted_at_ms;
    entry->ended = satisfied ? ENDED_SATISFIED : ENDED_NONE;
    if (!same) {
        device->doc = doc;
        device->revision++;
    }
    if (!satisfied) {
        accept_pending(world, call, device, entry);
    }
    if (new->repeat) {
        struct repeat *repeat = new->repeat;
        TRY(repeat->render(repeat->context, call, device, entry, &repeat->reply));
        draft.change.reply = repeat->reply.key.len ? &repeat->reply : NULL;
    }
    TRY(log_commit(world, call, &draft));
    call->tallies[TALLY_updates_accepted]++;
    call->tallies[TALLY_updates_satisfied] += satisfied;
    *ret_device = draft.device;
    *ret_update = draft.entries[0];
    return RC_OK;
}

enum rc update_accept(struct world *world, struct call *call, const struct principal *principal,
                      const struct update_new *new, struct device *ret_device,
                      struct entry *ret_update)
{
    enum rc rc = RC_CONFLICT;
    for (int i = 0; i < CONFLICT_TRIES && rc == RC_CONFLICT; i++) {
        call->wake_count = 0;
        rc = accept_once(world, call, principal, new, ret_device, ret_update);
    }
    return rc == RC_CONFLICT ? RC_BUSY : rc;
}

static enum rc no_update(struct call *call, int64_t seq)
{
    return call_why(call, RC_NOT_FOUND, "the device has no update %lld", (long long)seq);
}

/* --- cancel ------------------------------------------------------------------------------------------------ */
static enum rc cancel_check(struct world *world, struct call *call, const struct device *device,
                            int64_t seq)
{
    struct entry_page page, tries;
    const struct entry *end;
    bool open = device->from_seq && seq >= device->from_seq;
    TRY(store_log_list(world->store, call, device->key, seq, seq, false, 1, &page));
    if (page.count != 1 || page.items[0].kind != ENTRY_update) {
        return no_update(call, seq);
    }
    TRY(store_log_covering(world->store, call, device->key, seq, TRIES_PAGE, &tries));
    enum update_state state = log_state(device, &page.items[0], &tries, &end);
    switch (open
                ? state
                : UPDATE_delivered) { /* what is not open has ended, whatever the log still tells */
    case UPDATE_pending:
    case UPDATE_dead:
        return RC_OK;
    case UPDATE_sending:
    case UPDATE_uncertain:
        return call_refuse(call, PROBLEM_update_in_flight, "update %lld is sealed in delivery %lld",
                           (long long)seq, (long long)device->flight.delivery);
    default:
        return call_refuse(call, PROBLEM_update_ended, "update %lld has ended", (long long)seq);
    }
}

/* What the pending patches are applied to: the sealed target, or what the downstream is known to hold. */
static enum rc cancel_base(struct world *world, struct call *call, const struct device *device,
                           struct str *ret_doc)
{
    struct body body;
    if (!device->flight.delivery) {
        return log_base_document(world, call, device, ret_doc);
    }
    TRY(store_body_get(world->store, call, device->key, device->flight.delivery, &body));
    *ret_doc = body.target;
    return RC_OK;
}

static struct str cancel_data(struct call *call, struct str reason)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "code", STR("CANCELLED"));
    json_add_str(doc, root, "reason", reason);
    json_add_i64(doc, root, "update_count", 1);
    return json_write_mut(call->arena, doc);
}

/* The work after one pending update less: a sealed flight and dead work stay what they are. */
static void cancel_work(struct world *world, struct call *call, struct device *device,
                        const struct pending *left)
{
    if (device->flight.delivery) {
        device->pending_count = left->count;
        device->pending_bytes = left->bytes;
        if (left->count) {
            device->due_at_ms = window_due(world->settings, left->first_at_ms);
        }
    } else if (device->work == WORK_DEAD && left->count) {
        device->pending_count = left->count;
        device->pending_bytes = left->bytes;
        device->from_seq = left->first_seq;
    } else {
        int64_t due_at_ms = device->due_at_ms;
        bool was_open = device->work == WORK_OPEN;
        work_reopen(world->settings, device, left, call->now_ms);
        if (was_open && device->work == WORK_OPEN && due_at_ms <= call->now_ms) {
            device->due_at_ms = due_at_ms; /* it was due already: it stays due */
            work_open(world->settings, device, call->now_ms);
        }
    }
}

enum rc update_cancel(struct world *world, struct call *call, const struct principal *principal,
                      const struct device *before, const struct action_request *request,
                      struct device *ret_device)
{
    struct draft draft;
    struct pending left;
    struct str base, doc;
    int64_t after_seq = before->flight.delivery ? before->flight.to_seq : before->from_seq - 1;
    if (!request->seq) {
        return call_refuse_at(call, STR("/seq"), PROBLEM_missing_member,
                              "cancel needs the update's seq");
    }
    TRY(cancel_check(world, call, before, request->seq));
    TRY(cancel_base(world, call, before, &base));
    TRY(settle_replay(world, call, before, base, after_seq, request->seq, &left, &doc));
    if (doc.len > DOC_STORED_MAX_BYTES) {
        return call_refuse(call, PROBLEM_document_too_large,
                           "without this update the document would have %zu bytes", doc.len);
    }
    log_begin(&draft, before);
    struct device *device = &draft.device;
    struct entry *entry =
        log_add(call, &draft, principal->id, ENTRY_cancelled, cancel_data(call, request->reason));
    entry->from_seq = entry->to_seq = request->seq;
    entry->notice_at_ms = log_notice_at(world, call);
    draft.change.ended_seq = request->seq;
    draft.change.ended = ENDED_CANCELLED;
    device->revision += !document_equal(call, device->doc, doc);
    device->doc = doc;
    cancel_work(world, call, device, &left);
    if (request->repeat) {
        struct repeat *repeat = request->repeat;
        TRY(repeat->render(repeat->context, call, device, entry, &repeat->reply));
        draft.change.reply = repeat->reply.key.len ? &repeat->reply : NULL;
    }
    TRY(log_commit(world, call, &draft));
    call->tallies[TALLY_updates_cancelled]++;
    *ret_device = draft.device;
    return RC_OK;
}

/* --- view ------------------------------------------------------------------------------------------------------ */
struct range {
    int64_t from_seq, to_seq;
};

/* What a scan of the later log has found. */
struct scan {
    struct range *undone; /* ranges of rejected and cancelled entries */
    size_t undone_count, undone_room;
    struct arena *keep; /* for what outlives a page */
    struct update_view *view;
    size_t open_count; /* fields without an overwriting update yet */
    int64_t end_seq;   /* the last entry that is looked at */
    size_t bytes;      /* of the entries up to there */
};

static bool is_undone(const struct scan *scan, const struct entry *entry)
{
    if (entry->ended == ENDED_CANCELLED) {
        return true;
    }
    for (size_t i = 0; i < scan->undone_count; i++) {
        if (entry->seq >= scan->undone[i].from_seq && entry->seq <= scan->undone[i].to_seq) {
            return true;
        }
    }
    return false;
}

static void scan_undone(struct arena *arena, struct scan *scan, const struct entry *entry)
{
    if (entry->kind != ENTRY_rejected && entry->kind != ENTRY_cancelled) {
        return;
    }
    if (scan->undone_count == scan->undone_room) {
        size_t wider = scan->undone_room ? scan->undone_room * 2 : 16;
        scan->undone = arena_grow(arena, scan->undone, scan->undone_room * sizeof(*scan->undone),
                                  wider * sizeof(*scan->undone));
        scan->undone_room = wider;
    }
    scan->undone[scan->undone_count++] = (struct range){entry->from_seq, entry->to_seq};
}

/* The first later update that stands decides over a leaf; call->arena is a scratch of this entry. */
static enum rc scan_overwritten(struct call *call, struct scan *scan, const struct entry *entry)
{
    struct leaf *leaves;
    struct leaf_set set;
    size_t count;
    if (entry->kind != ENTRY_update || is_undone(scan, entry)) {
        return RC_OK;
    }
    TRY(document_leaves(call, log_attributes(call, entry), &leaves, &count));
    document_leaf_set(call, leaves, count, &set);
    for (size_t i = 0; i < scan->view->field_count; i++) {
        struct update_field *field = &scan->view->fields[i];
        if (!field->overwritten_by && document_overrides(&set, field->pointer)) {
            field->overwritten_by = entry->seq;
            scan->open_count--;
        }
    }
    return RC_OK;
}

/* The first pass, which also finds how far the view can look. */
static void scan_first(struct arena *keep, struct scan *scan, const struct entry *entry)
{
    scan_undone(keep, scan, entry);
    scan->bytes += entry->data.len;
    if (scan->bytes > SCAN_MAX_BYTES && entry->seq < scan->end_seq) {
        scan->end_seq = entry->seq;
        scan->view->fields_complete = false;
    }
}

/* One page of the log after the update; a scratch arena for the page, one for each entry: they may be many and large. */
static enum rc scan_page(struct world *world, struct call *call, const struct device *device,
                         struct scan *scan, bool first, int64_t *seq)
{
    CLEANUP(arena_close) struct arena scratch;
    struct arena *keep = scan->keep, *page_arena = call->arena;
    struct entry_page page = {0};
    enum rc rc = store_log_list(world->store, call, device->key, *seq, scan->end_seq, false,
                                SCAN_PAGE, &page);
    arena_open(&scratch, 0);
    call->arena = &scratch;
    for (int i = 0; rc == RC_OK && i < page.count && page.items[i].seq <= scan->end_seq; i++) {
        if (first) {
            scan_first(keep, scan, &page.items[i]);
        } else {
            rc = scan_overwritten(call, scan, &page.items[i]);
        }
        arena_reset(&scratch);
    }
    call->arena = page_arena;
    *seq = page.more ? page.items[page.count - 1].seq + 1 : scan->end_seq + 1;
    return rc;
}

static enum rc scan_log(struct world *world, struct call *call, const struct device *device,
                        struct scan *scan, bool first)
{
    struct arena pages, *keep = call->arena;
    int64_t seq = scan->view->entry.seq + 1;
    enum rc rc = RC_OK;
    arena_open(&pages, 0);
    call->arena = &pages;
    while (rc == RC_OK && seq <= scan->end_seq && (first || scan->open_count)) {
        rc = scan_page(world, call, device, scan, first, &seq);
        arena_reset(&pages);
    }
    call->arena = keep;
    arena_close(&pages);
    return rc;
}

static enum rc view_fields(struct world *world, struct call *call, const struct device *device,
                           struct update_view *view)
{
    struct leaf *leaves;
    struct scan scan = {.keep = call->arena, .view = view};
    TRY(document_leaves(call, log_attributes(call, &view->entry), &leaves, &view->field_count));
    view->fields = arena_array(call->arena, struct update_field, view->field_count);
    for (size_t i = 0; i < view->field_count; i++) {
        view->fields[i] = (struct update_field){leaves[i].pointer, leaves[i].deletes, 0};
    }
    scan.open_count = view->field_count;
    scan.end_seq = min_i64(device->seq, view->entry.seq + FIELDS_SCAN_MAX);
    view->fields_complete = scan.end_seq == device->seq;
    TRY(scan_log(world, call, device, &scan, true));
    return scan_log(world, call, device, &scan, false);
}

enum rc update_view(struct world *world, struct call *call, const struct device *device,
                    int64_t seq, struct update_view *ret_view)
{
    struct update_view view = {0};
    struct entry_page page;
    const struct entry *end;
    if (seq < 1 || seq > device->seq) {
        return no_update(call, seq);
    }
    TRY(store_log_list(world->store, call, device->key, seq, seq, false, 1, &page));
    if (page.count != 1 || page.items[0].kind != ENTRY_update) {
        return no_update(call, seq);
    }
    view.entry = page.items[0];
    TRY(store_log_covering(world->store, call, device->key, seq, TRIES_PAGE, &view.tries));
    view.state = log_state(device, &view.entry, &view.tries, &end);
    if (end) {
        view.end = *end;
    }
    TRY(view_fields(world, call, device, &view));
    *ret_view = view;
    return RC_OK;
}
