/* The log: one entry is one fact. This file numbers and chains entries, and derives from them what is
 * never stored: which updates are pending, which state one has, which document an undo returns to. */
#include "core/log.h"

#include "base/sha256.h"
#include "base/text.h"
#include "core/work.h"

#define PENDING_PAGE 500 /* entries per read while looking for pending updates */

static const char *const kind_names[ENTRY_KIND_COUNT] = {"none",
#define X(name) #name,
                                                         ENTRY_KINDS(X)
#undef X
};

const char *entry_kind_name(enum entry_kind kind)
{
    return kind_names[kind];
}

enum entry_kind entry_kind_of(struct str name)
{
    for (int i = 1; i < ENTRY_KIND_COUNT; i++) {
        if (str_is(name, kind_names[i])) {
            return (enum entry_kind)i;
        }
    }
    return ENTRY_NO_KIND;
}

bool entry_ends(enum entry_kind kind)
{
    return kind == ENTRY_delivered || kind == ENTRY_satisfied || kind == ENTRY_rejected ||
           kind == ENTRY_cancelled;
}

static void hash_digits(struct text *text, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do { /* by hand: this runs ten times per entry, and snprintf took a tenth of a create */
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    text_add(text, (struct str){digits + at, sizeof(digits) - at});
}

static void hash_text(struct text *text, struct str field)
{
    hash_digits(text, field.len);
    text_add_char(text, ':');
    text_add(text, field);
}

/* As hash_text of its decimal digits. No number of an entry is negative. */
static void hash_number(struct text *text, int64_t number)
{
    uint64_t length = 1;
    assert(number >= 0);
    for (int64_t rest = number / 10; rest; rest /= 10) {
        length++;
    }
    hash_digits(text, length);
    text_add_char(text, ':');
    hash_digits(text, (uint64_t)number);
}

static struct str hash_end(struct arena *arena, const struct text *text)
{
    unsigned char sha[SHA256_BYTES];
    assert(!text->full);
    sha256(text_str(text), sha);
    return text_hex(arena, (struct str){(const char *)sha, sizeof(sha)});
}

struct str log_sha(struct arena *arena, struct str sha_before, const struct entry *entry)
{
    struct text text;
    text_open(&text, arena, ENTRY_MAX_BYTES + 4096);
    hash_text(&text, sha_before);
    hash_number(&text, entry->seq);
    hash_text(&text, str_of(entry_kind_name(entry->kind)));
    hash_number(&text, entry->at_ms);
    hash_text(&text, entry->by);
    hash_text(&text, entry->request_id);
    hash_text(&text, entry->data);
    hash_number(&text, entry->from_seq);
    hash_number(&text, entry->to_seq);
    hash_number(&text, entry->delivery);
    return hash_end(arena, &text);
}

struct str log_seal_sha(struct arena *arena, const struct body *body)
{
    struct text text;
    text_open(&text, arena, body->target.len + body->bytes.len + body->repeat_id.len + 256);
    hash_number(&text, body->delivery);
    hash_text(&text, body->target);
    hash_text(&text, body->bytes);
    hash_text(&text, body->repeat_id);
    hash_number(&text, body->mapping_version);
    return hash_end(arena, &text);
}

void log_begin(struct draft *draft, const struct device *before)
{
    *draft = (struct draft){.device = *before, .work_before = before->work};
    draft->device.version = before->version + 1;
    draft->change.expect_version = before->version;
}

struct entry *log_add(struct call *call, struct draft *draft, struct str by, enum entry_kind kind,
                      struct str data)
{
    assert(draft->change.entry_count < COUNT_OF(draft->entries) && data.len <= ENTRY_MAX_BYTES);
    struct entry *entry = &draft->entries[draft->change.entry_count++];
    bool first = draft->change.expect_version == 0 && draft->change.entry_count == 1;
    draft->device.seq = first ? 0 : draft->device.seq + 1;
    *entry = (struct entry){.seq = draft->device.seq, .kind = kind, .by = by, .data = data};
    entry->at_ms = call->now_ms;
    entry->request_id = call->id;
    return entry;
}

int64_t log_notice_at(const struct world *world, const struct call *call)
{
    return world->notifier && world->notifier->customers ? call->now_ms : 0;
}

enum rc log_commit(struct world *world, struct call *call, struct draft *draft)
{
    struct change *change = &draft->change;
    for (size_t i = 0; i < change->entry_count; i++) {
        struct entry *entry = &draft->entries[i];
        entry->sha = log_sha(call->arena, draft->device.log_sha, entry);
        draft->device.log_sha = entry->sha;
    }
    work_check(draft->work_before, &draft->device);
    change->device = &draft->device;
    change->entries = draft->entries;
    enum rc rc = store_commit(world->store, call, change);
    call->wrote |= rc == RC_OK;
    for (size_t i = 0; i < change->entry_count; i++) {
        const struct entry *entry = &draft->entries[i];
        call->noticed |= entry->notice_at_ms != 0;
        if (rc == RC_OK && entry->notice_at_ms && entry->notice_at_ms <= call->now_ms &&
            call->untold_count < NOTICES_MAX) {
            call->untold[call->untold_count++] = (struct untold){draft->device.key, entry->seq};
        }
    }
    return rc;
}

/* Copied: the page that holds it goes. */
static void pending_take(struct arena *arena, struct pending *pending, size_t *room,
                         const struct entry *entry)
{
    if (entry->kind != ENTRY_update || entry->ended != ENDED_NONE) {
        return;
    }
    if ((size_t)pending->count == *room) {
        size_t wider = *room ? *room * 2 : 16;
        pending->updates =
            arena_grow(arena, pending->updates, *room * sizeof(*entry), wider * sizeof(*entry));
        *room = wider;
    }
    if (pending->count == 0) {
        pending->first_seq = entry->seq;
        pending->first_at_ms = entry->at_ms;
    }
    struct entry *kept = &pending->updates[pending->count++];
    *kept = *entry;
    kept->by = arena_copy(arena, entry->by);
    kept->request_id = arena_copy(arena, entry->request_id);
    kept->data = arena_copy(arena, entry->data);
    kept->sha = arena_copy(arena, entry->sha);
    pending->bytes += (int64_t)entry->data.len;
}

/* Between two updates there may be any number of tries, each with what the downstream said: only updates are kept. */
enum rc log_pending(struct world *world, struct call *call, struct str key, int64_t after_seq,
                    int64_t to_seq, struct pending *ret_pending)
{
    struct arena scratch, *keep = call->arena;
    struct pending pending = {0};
    size_t room = 0;
    int64_t from_seq = after_seq + 1;
    enum rc rc = RC_OK;
    arena_open(&scratch, 0);
    while (rc == RC_OK && from_seq <= to_seq) {
        struct entry_page page = {0};
        call->arena = &scratch;
        rc = store_log_list(world->store, call, key, from_seq, to_seq, false, PENDING_PAGE, &page);
        call->arena = keep;
        for (int i = 0; rc == RC_OK && i < page.count; i++) {
            pending_take(keep, &pending, &room, &page.items[i]);
        }
        from_seq = page.more ? page.items[page.count - 1].seq + 1 : to_seq + 1;
        arena_reset(&scratch);
    }
    arena_close(&scratch);
    *ret_pending = pending;
    return rc;
}

struct str log_attributes(struct call *call, const struct entry *entry)
{
    yyjson_val *root = NULL;
    enum rc rc = json_read(call->arena, entry->data, JSON_MAX_DEPTH + 2, &root, NULL);
    yyjson_val *attributes = rc == RC_OK ? json_member(root, "attributes") : NULL;
    return attributes ? json_write(call->arena, attributes) : STR_NONE;
}

enum rc log_base_document(struct world *world, struct call *call, const struct device *device,
                          struct str *ret_doc)
{
    if (device->base) {
        struct body body;
        enum rc rc = store_body_get(world->store, call, device->key, device->base, &body);
        if (rc != RC_OK) {
            return call_why(call, rc == RC_NOT_FOUND ? RC_BROKEN : rc, "the base's body");
        }
        *ret_doc = body.target;
        return RC_OK;
    }
    struct entry_page page;
    TRY(store_log_list(world->store, call, device->key, 0, 0, false, 1, &page));
    if (page.count != 1 || page.items[0].kind != ENTRY_created) {
        return call_why(call, RC_BROKEN, "entry 0 is missing");
    }
    *ret_doc = log_attributes(call, &page.items[0]);
    return RC_OK;
}

const char *update_state_name(enum update_state state)
{
    static const char *const names[] = {
#define X(name) #name,
        UPDATE_STATES(X)
#undef X
    };
    return names[state];
}

static enum update_state state_of_end(enum entry_kind kind)
{
    switch (kind) {
    case ENTRY_delivered:
        return UPDATE_delivered;
    case ENTRY_satisfied:
        return UPDATE_satisfied;
    case ENTRY_rejected:
        return UPDATE_rejected;
    default:
        return UPDATE_cancelled;
    }
}

enum update_state log_state(const struct device *device, const struct entry *update,
                            const struct entry_page *tries, const struct entry **ret_end)
{
    const struct flight *flight = &device->flight;
    *ret_end = NULL;
    if (update->ended != ENDED_NONE) {
        return update->ended == ENDED_SATISFIED ? UPDATE_satisfied : UPDATE_cancelled;
    }
    for (int i = 0; i < tries->count; i++) {
        if (entry_ends(tries->items[i].kind)) {
            *ret_end = &tries->items[i];
            return state_of_end(tries->items[i].kind);
        }
    }
    if (flight->delivery && update->seq >= flight->from_seq && update->seq <= flight->to_seq) {
        return device->work == WORK_UNCERTAIN ? UPDATE_uncertain : UPDATE_sending;
    }
    return device->work == WORK_DEAD ? UPDATE_dead : UPDATE_pending;
}
