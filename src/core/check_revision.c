/* The revision and the sealed document, derived: 1 for the created document, and one more for each entry that changed it. The document is
 * followed from entry to entry: what has ended well, and the patches behind it that may still be undone. */
#include "core/check_inner.h"

#include "core/document.h"

#define OPEN_MAX 4096 /* patches that may still be undone; with more of them the walk is given up */
#define OPEN_MAX_BYTES ((size_t)32 << 20)

struct patch {
    int64_t seq;
    struct str text;
};

struct doc { /* a text with room to change */
    struct arena arena;
    struct str text;
};

struct revision {
    struct doc ended, now; /* without and with the open patches */
    struct arena arena;    /* of the open patches; emptied when there are none */
    struct patch *open;
    int open_count, open_room;
    int64_t least,
        most; /* an undo that ends in an equal document may have counted: the bytes decided (settle.c) */
    bool lost, sealed; /* sealed: the delivery in flight was passed by */
};

static void doc_set(struct doc *doc, struct str text)
{
    struct doc before = *doc;
    arena_open(&doc->arena, 0);
    doc->text = arena_copy(&doc->arena, text);
    arena_close(&before.arena);
}

static enum rc doc_merge(struct replay *replay, struct doc *doc, struct str patch)
{
    struct arena arena CLEANUP(arena_close);
    struct call call = *replay->call;
    struct str merged;
    arena_open(&arena, 0);
    call.arena = &arena;
    enum rc rc = document_merge(&call, doc->text, patch, &merged);
    if (rc == RC_OK) {
        doc_set(doc, merged);
    }
    memcpy(replay->call->why, call.why, sizeof call.why);
    return rc;
}

static bool doc_equal(struct replay *replay, struct str a, struct str b)
{
    struct arena arena CLEANUP(arena_close);
    struct call call = *replay->call;
    arena_open(&arena, 0);
    call.arena = &arena;
    return document_equal(&call, a, b);
}

static void forget(struct revision *revision, int from)
{
    revision->open_count = from;
    if (from == 0) {
        arena_close(&revision->arena);
        arena_open(&revision->arena, 2 * OPEN_MAX_BYTES);
    }
}

static enum rc take_update(struct replay *replay, struct call *page_call, struct revision *revision,
                           const struct entry *entry)
{
    struct str patch = log_attributes(page_call, entry);
    struct str before = arena_copy(page_call->arena, revision->now.text);
    TRY(doc_merge(replay, &revision->now, patch));
    bool same = doc_equal(replay, before, revision->now.text);
    if (entry->ended == ENDED_SATISFIED) {
        if (!same) {
            check_find(replay, "I4", entry->seq,
                       "it ended as one that changes nothing, and it changes the document");
        }
        return RC_OK;
    }
    revision->least += !same;
    revision->most += !same;
    if (revision->open_count == OPEN_MAX ||
        revision->arena.used_bytes + patch.len > OPEN_MAX_BYTES) {
        revision->lost = true;
        return RC_OK;
    }
    if (revision->open_count == revision->open_room) {
        int wider = revision->open_room ? 2 * revision->open_room : 16;
        revision->open = arena_grow(replay->call->arena, revision->open,
                                    (size_t)revision->open_room * sizeof *revision->open,
                                    (size_t)wider * sizeof *revision->open);
        revision->open_room = wider;
    }
    revision->open[revision->open_count++] =
        (struct patch){entry->seq, arena_copy(&revision->arena, patch)};
    return RC_OK;
}

/* What ended well can no longer be undone. */
static enum rc take_well(struct replay *replay, struct revision *revision,
                         const struct entry *entry)
{
    int count = 0;
    while (count < revision->open_count && revision->open[count].seq <= entry->to_seq) {
        TRY(doc_merge(replay, &revision->ended, revision->open[count++].text));
    }
    if (count) {
        memmove(revision->open, revision->open + count,
                (size_t)(revision->open_count - count) * sizeof *revision->open);
    }
    forget(revision, revision->open_count - count);
    return RC_OK;
}

static enum rc take_undone(struct replay *replay, struct call *page_call, struct revision *revision,
                           const struct entry *entry)
{
    struct str before = arena_copy(page_call->arena, revision->now.text);
    int kept = 0;
    doc_set(&revision->now, revision->ended.text);
    for (int i = 0; i < revision->open_count; i++) {
        struct patch patch = revision->open[i];
        if (patch.seq < entry->from_seq || patch.seq > entry->to_seq) {
            TRY(doc_merge(replay, &revision->now, patch.text));
            revision->open[kept++] = patch;
        }
    }
    forget(revision, kept);
    revision->least += !doc_equal(replay, before, revision->now.text);
    revision->most++;
    return RC_OK;
}

/* The document that was sealed last is the one after the entries that the delivery in flight carries. */
static enum rc check_sealed(struct replay *replay, struct revision *revision)
{
    struct arena arena CLEANUP(arena_close);
    struct call call = *replay->call;
    struct body body;
    const struct device *device = &replay->device;
    arena_open(&arena, 0);
    call.arena = &arena;
    if (revision->lost || revision->sealed || device->flight.delivery == 0) {
        return RC_OK;
    }
    revision->sealed = true;
    enum rc rc =
        store_body_get(replay->world->store, &call, device->key, device->flight.delivery, &body);
    if (rc == RC_NOT_FOUND) {
        return RC_OK; /* check_record tells */
    }
    TRY(rc);
    if (!document_equal(&call, body.target, revision->now.text)) {
        check_find(replay, "I4", -1,
                   "what the delivery in flight %lld seals is not what the updates make of it",
                   (long long)device->flight.delivery);
    }
    return RC_OK;
}

static enum rc take_change(struct replay *replay, struct call *page_call, const struct entry *entry,
                           void *context)
{
    struct revision *revision = context;
    if (revision->lost) {
        return RC_OK;
    }
    if (entry->seq > replay->device.flight.to_seq) {
        TRY(check_sealed(replay, revision));
    }
    switch (entry->kind) {
    case ENTRY_created:
        doc_set(&revision->ended, log_attributes(page_call, entry));
        doc_set(&revision->now, revision->ended.text);
        return RC_OK;
    case ENTRY_update:
        return take_update(replay, page_call, revision, entry);
    case ENTRY_delivered:
    case ENTRY_satisfied:
        return take_well(replay, revision, entry);
    case ENTRY_rejected:
    case ENTRY_cancelled:
        return take_undone(replay, page_call, revision, entry);
    default:
        return RC_OK;
    }
}

enum rc check_revision(struct replay *replay)
{
    const struct device *device = &replay->device;
    struct revision revision = {.least = 1, .most = 1, .lost = !replay->complete};
    arena_open(&revision.arena, 2 * OPEN_MAX_BYTES);
    enum rc rc = revision.lost ? RC_OK : check_each_entry(replay, 0, take_change, &revision);
    rc = rc == RC_OK ? check_sealed(replay, &revision) : rc;
    arena_close(&revision.arena);
    arena_close(&revision.ended.arena);
    arena_close(&revision.now.arena);
    if (revision.lost) { /* an entry changes the document once at most */
        revision.least = 1;
        revision.most = 1 + device->seq;
    }
    if (rc == RC_OK && (device->revision < revision.least || device->revision > revision.most)) {
        check_find(replay, "I4", -1, "its revision is %lld, by the log %lld",
                   (long long)device->revision, (long long)revision.least);
    }
    return rc;
}
