/* Replay of a log. Two passes over its pages: the first proves numbers and hash chain and keeps a few words of
 * each entry, from which the ends of the updates follow; the second applies the patches that count. The
 * derivation is written anew here and not taken from log.c: a mistake there must not prove itself right.
 * Whoever calls it decides what a finding means. */
#include "core/check_inner.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/document.h"
#include "core/name.h"
#include "core/window.h"

#define PAGE_ENTRIES 256

void check_find(struct replay *replay, const char *rule, int64_t seq, const char *format, ...)
{
    struct check_report *report = replay->report;
    char what[CHECK_WHAT_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(what, sizeof what, format, list);
    va_end(list);
    if (report->finding_count++ == 0) {
        snprintf(report->first, sizeof report->first, "%.*s, %s, entry %lld: %.120s",
                 (int)min_i64((int64_t)replay->device.key.len, 64), replay->device.key.s, rule,
                 (long long)seq, what);
    }
    if (report->sink) {
        struct check_finding finding = {rule, replay->device.key, seq, str_of(what)};
        report->sink(report->context, &finding);
    }
}

static bool is_update(const struct mark *mark)
{
    return mark->kind == ENTRY_update;
}

/* An update without any end: pending, sealed, uncertain or dead. */
static bool is_open(const struct mark *mark)
{
    return is_update(mark) && mark->ended == ENDED_NONE && mark->end_seq == 0;
}

/* Does its patch count for the document? */
static bool counts(const struct mark *mark)
{
    if (!is_update(mark) || mark->ended == ENDED_CANCELLED) {
        return false;
    }
    return mark->ended == ENDED_SATISFIED ||
           (mark->end_kind != ENTRY_rejected && mark->end_kind != ENTRY_cancelled);
}

/* ---- pass 1: numbers and chain ------------------------------------------------------------------------- */

/* May retention have taken what lies between two entries? Only if the one before it is itself past its life. */
static void check_gap(struct replay *replay, const struct mark *before, const struct entry *entry)
{
    int64_t next = before ? before->seq + 1 : 0;
    int64_t history_ms = replay->world->settings->history_days * INT64_C(86400000);
    if (entry->seq == next) {
        return;
    }
    replay->complete = false;
    if (entry->seq < next) {
        check_find(replay, "I1", entry->seq, "it comes after entry %lld", (long long)next - 1);
    } else if (!before) {
        check_find(replay, "I1", 0, "entry 0 is missing");
    } else if (before->at_ms > replay->call->now_ms - history_ms) {
        check_find(replay, "I1", next,
                   "entries %lld to %lld are missing, and are too young for retention",
                   (long long)next, (long long)entry->seq - 1);
    } else {
        replay->report->expired_count += entry->seq - next;
    }
}

static void check_entry(struct replay *replay, const struct mark *before, struct str sha_before,
                        const struct entry *entry)
{
    check_gap(replay, before, entry);
    bool follows = before ? entry->seq == before->seq + 1 : entry->seq == 0;
    if (follows) {
        struct str sha = log_sha(replay->call->arena, sha_before, entry);
        if (!str_equal(sha, entry->sha)) {
            check_find(replay, "I7", entry->seq,
                       "its hash does not follow from the entry before it");
        }
    }
    if (entry->kind <= ENTRY_NO_KIND || entry->kind >= ENTRY_KIND_COUNT) {
        check_find(replay, "I1", entry->seq, "its kind is unknown");
    }
    if ((entry->kind == ENTRY_created) != (entry->seq == 0) &&
        !name_is_system(replay->device.key)) {
        check_find(replay, "I1", entry->seq, "only entry 0 creates the device");
    }
    if (entry->to_seq && (entry->from_seq > entry->to_seq || entry->to_seq >= entry->seq)) {
        check_find(replay, "I1", entry->seq, "its range %lld to %lld is not before it",
                   (long long)entry->from_seq, (long long)entry->to_seq);
    }
}

static enum rc take_pages(struct replay *replay, struct call *page_call, int64_t from_seq,
                          take_entry *take, void *context)
{
    struct entry_page page = {.more = true};
    while (page.more) {
        arena_reset(page_call->arena);
        TRY(store_log_list(replay->world->store, page_call, replay->device.key, from_seq,
                           replay->device.seq, false, PAGE_ENTRIES, &page));
        for (int i = 0; i < page.count; i++) {
            TRY(take(replay, page_call, &page.items[i], context));
            from_seq = page.items[i].seq + 1;
        }
        if (page.count == 0) {
            break;
        }
    }
    return RC_OK;
}

enum rc check_each_entry(struct replay *replay, int64_t from_seq, take_entry *take, void *context)
{
    struct arena arena CLEANUP(arena_close);
    struct call page_call = *replay->call;
    arena_open(&arena, 0);
    page_call.arena = &arena;
    enum rc rc = take_pages(replay, &page_call, from_seq, take, context);
    memcpy(replay->call->why, page_call.why, sizeof page_call.why);
    return rc;
}

/* In another window than the effect before it? Judged by the window that was set when it was delivered. An effect
 * dated before the last one is a clock that was set back: the system's log tells of it. */
static void check_window(struct replay *replay, const struct entry *entry, yyjson_val *root)
{
    int64_t effect_at_ms = 0;
    /* more than a window before it: that effect's clock was wrong, and when it really was nobody knows (window.c, effect_at) */
    if (replay->effect_at_ms > entry->at_ms + replay->world->settings->window_ms) {
        replay->effect_at_ms = 0;
    }
    if (entry->kind != ENTRY_delivered) {
        return;
    }
    if (!root ||
        iso_time_read(json_member_str(root, "effect_at", STR_NONE), &effect_at_ms) != RC_OK) {
        check_find(replay, "record", entry->seq, "a delivery without the time of its effect");
        return;
    }
    int64_t window_ms = json_member_i64(root, "window_ms", replay->world->settings->window_ms);
    window_ms = max_i64(window_ms, 1); /* of a damaged entry; the chain tells of it */
    if (replay->effect_at_ms && effect_at_ms / window_ms == replay->effect_at_ms / window_ms) {
        check_find(replay, "I2", entry->seq,
                   "its delivery began %lld ms after the one before it, in the same window",
                   (long long)(effect_at_ms - replay->effect_at_ms));
    }
    replay->effect_at_ms = effect_at_ms;
}

/* Of one update by itself, and not what an operator gave up. */
static bool is_own_cancel(const struct entry *entry, yyjson_val *root)
{
    return entry->kind == ENTRY_cancelled && root &&
           str_is(json_member_str(root, "code", STR_NONE), "CANCELLED");
}

/* What an entry says; NULL = a patch, or not readable. */
static yyjson_val *data_of(struct call *page_call, const struct entry *entry)
{
    yyjson_val *root = NULL;
    bool said = entry->kind != ENTRY_update &&
                json_read(page_call->arena, entry->data, JSON_MAX_DEPTH + 2, &root, NULL) == RC_OK;
    return said ? root : NULL;
}

static enum rc take_mark(struct replay *replay, struct call *page_call, const struct entry *entry,
                         void *context)
{
    char *sha_before = context; /* 65 bytes, "" before the first entry */
    struct mark *before = replay->mark_count ? &replay->marks[replay->mark_count - 1] : NULL;
    struct call *call = replay->call;
    replay->call = page_call; /* hashes are short-lived */
    check_entry(replay, before, str_of(sha_before), entry);
    replay->call = call;
    yyjson_val *data = data_of(page_call, entry);
    check_window(replay, entry, data);
    TRY(check_learn(replay, entry, data));
    snprintf(sha_before, 65, STR_FMT, STR_ARG(entry->sha));
    if ((replay->mark_count & (replay->mark_count - 1)) == 0) { /* at powers of two */
        size_t count = replay->mark_count ? 2 * replay->mark_count : 8;
        replay->marks =
            arena_grow(call->arena, replay->marks, replay->mark_count * sizeof *replay->marks,
                       count * sizeof *replay->marks);
    }
    replay->marks[replay->mark_count++] = (struct mark){.seq = entry->seq,
                                                        .at_ms = entry->at_ms,
                                                        .from_seq = entry->from_seq,
                                                        .to_seq = entry->to_seq,
                                                        .delivery = entry->delivery,
                                                        .kind = entry->kind,
                                                        .own = is_own_cancel(entry, data),
                                                        .ended = entry->ended};
    replay->report->entry_count++;
    replay->report->update_count += entry->kind == ENTRY_update;
    return RC_OK;
}

static enum rc check_chain(struct replay *replay)
{
    char sha[65] = "";
    replay->complete = true;
    TRY(check_each_entry(replay, 0, take_mark, sha));
    int64_t last = replay->mark_count ? replay->marks[replay->mark_count - 1].seq : -1;
    if (last != replay->device.seq) {
        check_find(replay, "I1", -1,
                   "the record says that entry %lld is the last, the log ends with %lld",
                   (long long)replay->device.seq, (long long)last);
    }
    if (!str_is(replay->device.log_sha, sha)) {
        check_find(replay, "I7", -1, "the record's hash of the log is not that of its last entry");
    }
    return RC_OK;
}

/* ---- the ends of updates --------------------------------------------------------------------------------- */

static size_t first_at_or_after(const struct replay *replay, int64_t seq)
{
    size_t low = 0, high = replay->mark_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (replay->marks[middle].seq < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* One update in the range of an entry that ends. out: may the rest of the range be looked at? */
static bool take_end(struct replay *replay, const struct mark *end, struct mark *update)
{
    if (!is_update(update) || (update->ended == ENDED_CANCELLED && !end->own)) {
        return true;
    }
    bool fits = end->own ? update->ended == ENDED_CANCELLED : update->ended == ENDED_NONE;
    if (update->end_seq || !fits) {
        check_find(replay, "I1", update->seq,
                   "entry %lld ends it (%s), and its own end or entry %lld says otherwise",
                   (long long)end->seq, entry_kind_name(end->kind), (long long)update->end_seq);
        return false;
    }
    update->end_seq = end->seq;
    update->end_kind = end->kind;
    return true;
}

/* Ranges follow each other; only who cancels one update by itself may stand inside of another one's. So the walk is as
 * long as the log, whatever a file says. */
static void take_ends(struct replay *replay)
{
    int64_t ended_to = 0;
    for (size_t i = 0; i < replay->mark_count; i++) {
        const struct mark *end = &replay->marks[i];
        if (!entry_ends(end->kind) || end->to_seq == 0) {
            continue;
        }
        if (end->own ? end->from_seq != end->to_seq : end->from_seq <= ended_to) {
            check_find(replay, "I1", end->seq, "its range %lld to %lld had ended before",
                       (long long)end->from_seq, (long long)end->to_seq);
            continue;
        }
        ended_to = end->own ? ended_to : end->to_seq;
        bool goes_on = true;
        for (size_t j = first_at_or_after(replay, end->from_seq);
             goes_on && j < i && replay->marks[j].seq <= end->to_seq; j++) {
            goes_on = take_end(replay, end, &replay->marks[j]);
        }
    }
    for (size_t i = 0; i < replay->mark_count; i++) {
        const struct mark *mark = &replay->marks[i];
        if (is_update(mark) && mark->ended == ENDED_CANCELLED && !mark->end_seq) {
            check_find(replay, "I1", mark->seq, "it was cancelled, and no entry says by whom");
        }
    }
}

static enum rc check_counts(struct replay *replay)
{
    const struct device *device = &replay->device;
    int64_t first = 0, count = 0, sealed_to = device->flight.delivery ? device->flight.to_seq : 0;
    for (size_t i = 0; i < replay->mark_count; i++) {
        const struct mark *mark = &replay->marks[i];
        if (is_open(mark)) {
            first = first ? first : mark->seq;
            count += mark->seq > sealed_to;
        }
    }
    bool nothing_open = first == 0 && (device->from_seq == 0) == (device->work == WORK_NONE);
    /* the wish to send everything anew may be older than the first update: then from_seq is no update's */
    size_t at = first_at_or_after(replay, device->from_seq);
    bool wish = device->resend_all && device->from_seq > 0 && device->from_seq < first &&
                at < replay->mark_count && replay->marks[at].seq == device->from_seq &&
                !is_update(&replay->marks[at]);
    if (first != device->from_seq && !nothing_open && !wish) {
        check_find(replay, "I1", -1,
                   "the first update without an end is %lld, the record says %lld",
                   (long long)first, (long long)device->from_seq);
    }
    if (count != device->pending_count) {
        check_find(replay, "I1", -1, "%lld updates are pending, the record says %lld",
                   (long long)count, (long long)device->pending_count);
    }
    struct pending pending = {0};
    int64_t after_seq = device->flight.delivery ? sealed_to : device->from_seq - 1;
    if (after_seq >= 0) {
        TRY(log_pending(replay->world, replay->call, device->key, after_seq, device->seq,
                        &pending));
    }
    if (pending.count != count || pending.bytes != device->pending_bytes) {
        check_find(replay, "I1", -1,
                   "the patches of %lld pending updates have %lld bytes, the record says %lld",
                   (long long)pending.count, (long long)pending.bytes,
                   (long long)device->pending_bytes);
    }
    return RC_OK;
}

/* ---- pass 2: the document -------------------------------------------------------------------------------- */

struct document {
    char *
        room; /* one text for the whole walk: a long log must not keep every state of its document */
    size_t len, room_bytes;
    const struct mark *marks; /* in step with the entries */
    size_t at, count;
    bool only_open; /* the base's own range is unknown: what has no end is what is not in it */
};

static void document_set(struct replay *replay, struct document *document, struct str doc)
{
    if (doc.len > document->room_bytes) {
        document->room_bytes = 2 * doc.len;
        document->room = arena_alloc(replay->call->arena, document->room_bytes);
    }
    if (doc.len) {
        memcpy(document->room, doc.s, doc.len);
    }
    document->len = doc.len;
}

static enum rc take_patch(struct replay *replay, struct call *page_call, const struct entry *entry,
                          void *context)
{
    struct document *document = context;
    while (document->at < document->count && document->marks[document->at].seq < entry->seq) {
        document->at++;
    }
    const struct mark *mark = &document->marks[document->at];
    if (document->at == document->count || mark->seq != entry->seq || !counts(mark) ||
        (document->only_open && !is_open(mark))) {
        return RC_OK;
    }
    struct str merged, doc = {document->room, document->len};
    TRY(document_merge(page_call, doc, log_attributes(page_call, entry), &merged));
    document_set(replay, document, merged);
    return RC_OK;
}

static enum rc check_document_from(struct replay *replay, struct str start, int64_t after_seq,
                                   bool only_open, const char *what)
{
    struct document document = {
        .marks = replay->marks, .count = replay->mark_count, .only_open = only_open};
    document_set(replay, &document, start);
    TRY(check_each_entry(replay, after_seq + 1, take_patch, &document));
    if (!document_equal(replay->call, (struct str){document.room, document.len},
                        replay->device.doc)) {
        check_find(replay, "I4", -1, "the document is not what %s and the updates make of it",
                   what);
    }
    return RC_OK;
}

static enum rc take_created(struct replay *replay, struct call *page_call,
                            const struct entry *entry, void *context)
{
    struct str *created = context;
    if (entry->seq == 0) {
        *created = arena_copy(replay->call->arena, log_attributes(page_call, entry));
    }
    return entry->seq == 0 ? RC_NOT_DUE : RC_OK; /* enough: stops the walk */
}

static enum rc check_document(struct replay *replay)
{
    const struct device *device = &replay->device;
    struct str base;
    if (replay->complete) {
        struct str created = STR("{}");
        enum rc rc = check_each_entry(replay, 0, take_created, &created);
        if (rc != RC_OK && rc != RC_NOT_DUE) {
            return rc;
        }
        TRY(check_document_from(replay, created, 0, false, "the created document"));
    }
    if (log_base_document(replay->world, replay->call, device, &base) != RC_OK) {
        check_find(replay, "record", -1,
                   "the document of delivery %lld, which the downstream holds, is missing",
                   (long long)device->base);
        return RC_OK;
    }
    int64_t base_to = 0;
    for (size_t i = replay->mark_count; i-- > 0 && !base_to && device->base;) {
        const struct mark *mark = &replay->marks[i];
        if (mark->delivery == device->base &&
            (mark->kind == ENTRY_delivered || mark->kind == ENTRY_satisfied)) {
            base_to = mark->to_seq;
        }
    }
    return check_document_from(replay, base, base_to, device->base != 0 && base_to == 0,
                               "the acknowledged document");
}

static enum rc check_all(struct replay *replay)
{
    if (!check_numbers(replay)) {
        return RC_OK;
    }
    TRY(check_chain(replay));
    if (name_is_system(replay->device.key)) {
        return RC_OK;
    }
    take_ends(replay);
    TRY(check_counts(replay));
    TRY(check_record(replay));
    TRY(check_revision(replay));
    return check_document(replay);
}

enum rc check_device(struct world *world, struct call *call, struct str key,
                     struct check_report *report)
{
    struct replay replay = {.world = world, .call = call, .report = report};
    enum rc rc = store_device_get(world->store, call, key, &replay.device);
    if (rc == RC_OK && replay.device.version == 0) {
        return RC_NOT_FOUND;
    }
    report->device_count++;
    replay.device.key = key;
    rc = rc == RC_OK ? check_all(&replay) : rc;
    if (world->store->foreign && (rc == RC_BROKEN || rc == RC_INVALID)) {
        check_find(&replay, "record", -1, "%s", call->why);
        return RC_OK;
    }
    return rc;
}
