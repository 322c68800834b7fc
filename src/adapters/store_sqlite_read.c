/* The reads of store_sqlite but for logs, and at its end the table of operations.
 * Lists are read row by row until the page is full; what SQL does not filter cheaply is filtered here. */
#include "adapters/store_sqlite_inner.h"

#include "base/sha256.h"
#include "base/text.h"
#include "core/name.h"

#include <stdio.h>

/* ---- devices -------------------------------------------------------------------------------- */

enum { /* where the columns after DEVICE_NUMBERS stand */
#define X(column, member) AT_##column,
       DEVICE_NUMBERS(X)
#undef X
           AT_id,
       AT_log_head,
       AT_log_first,
       AT_created_at_ms,
       AT_realm,
       AT_owner,
       AT_key,
       AT_name,
       AT_downstream_ref,
       AT_hold_reason,
       AT_log_sha,
       AT_doc,
       AT_path, /* of a list */
};

static void read_device(struct call *call, sqlite3_stmt *row, struct device *ret_device,
                        struct seen *ret_seen)
{
    struct device *device = ret_device;
    *device = (struct device){0};
#define X(column, member) device->member = (__typeof__(device->member))column_i64(row, AT_##column);
    DEVICE_NUMBERS(X)
#undef X
    device->created_at_ms = column_i64(row, AT_created_at_ms);
    device->realm = column_str(call, row, AT_realm);
    device->owner = column_str(call, row, AT_owner);
    device->key = column_str(call, row, AT_key);
    device->name = column_str(call, row, AT_name);
    device->downstream_ref = column_str(call, row, AT_downstream_ref);
    device->hold_reason = column_str(call, row, AT_hold_reason);
    device->log_sha = column_sha(call, row, AT_log_sha);
    device->doc = column_str(call, row, AT_doc);
    *ret_seen = (struct seen){.id = column_i64(row, AT_id),
                              .version = device->version,
                              .seq = device->seq,
                              .log_head = column_i64(row, AT_log_head),
                              .log_first = column_i64(row, AT_log_first),
                              .work = device->work};
}

void store_sqlite_remember(struct store_sqlite *self, struct str key, const struct seen *seen)
{
    struct seen *slot = NULL;
    assert(key.len <= sizeof slot->key);
    for (int i = 0; i < SEEN_COUNT && !slot; i++) {
        struct seen *other = &self->seen[i];
        slot = str_equal((struct str){other->key, other->key_len}, key) ? other : NULL;
    }
    slot = slot ? slot : &self->seen[self->seen_next++ % SEEN_COUNT];
    *slot = *seen;
    memcpy(slot->key, key.s, key.len);
    slot->key_len = key.len;
}

enum rc store_sqlite_see(struct store_sqlite *self, struct call *call, struct str key,
                         int64_t version, struct seen *ret_seen)
{
    for (int i = 0; i < SEEN_COUNT; i++) {
        const struct seen *seen = &self->seen[i];
        if (seen->version == version && version != 0 &&
            str_equal((struct str){seen->key, seen->key_len}, key)) {
            *ret_seen = *seen;
            return RC_OK;
        }
    }
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_device_see, &row));
    bind_str(row, 1, key);
    TRY(store_sqlite_step(self, call, row, &there));
    *ret_seen = (struct seen){0};
    if (there) {
        *ret_seen = (struct seen){.id = column_i64(row, 0),
                                  .version = column_i64(row, 1),
                                  .seq = column_i64(row, 2),
                                  .log_head = column_i64(row, 3),
                                  .log_first = column_i64(row, 4),
                                  .work = (enum work)column_i64(row, 5)};
        store_sqlite_remember(self, key, ret_seen);
    }
    return RC_OK;
}

static enum rc device_get(struct store *store, struct call *call, struct str key,
                          struct device *ret_device)
{
    struct store_sqlite *self = store_sqlite_of(store);
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    struct seen seen;
    bool there = false;
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_statement(self, call, SQL_device_get, &row));
    bind_str(row, 1, key);
    TRY(store_sqlite_step(self, call, row, &there));
    if (there) {
        read_device(call, row, ret_device, &seen);
        store_sqlite_remember(self, key, &seen);
    }
    return RC_OK;
}

/* Collect rows into a page until the limit, the page's bytes, or a key outside the prefix. */
static enum rc fill_device_page(struct store_sqlite *self, struct call *call, sqlite3_stmt *row,
                                struct str prefix, int limit, struct device_page *ret_page)
{
    struct device_page page = {.items = arena_array(call->arena, struct device, (size_t)limit)};
    size_t bytes = 0;
    bool there = false;
    for (;;) {
        TRY(store_sqlite_step(self, call, row, &there));
        if (!there) {
            break;
        }
        struct str path = {sqlite3_column_blob(row, AT_path),
                           (size_t)sqlite3_column_bytes(row, AT_path)};
        struct str key = {sqlite3_column_blob(row, AT_key),
                          (size_t)sqlite3_column_bytes(row, AT_key)};
        if (!str_starts(path, prefix)) {
            break;
        }
        if (name_is_system(key)) {
            continue;
        }
        bytes += (size_t)sqlite3_column_bytes(row, AT_doc);
        if (page.count == limit || (page.count > 0 && bytes > PAGE_MAX_BYTES)) {
            page.more = true;
            break;
        }
        struct seen seen;
        read_device(call, row, &page.items[page.count++], &seen);
    }
    *ret_page = page;
    return RC_OK;
}

static enum rc device_list(struct store *store, struct call *call, struct str realm,
                           struct str owner, struct str prefix, struct str after, int limit,
                           struct device_page *ret_page)
{
    struct store_sqlite *self = store_sqlite_of(store);
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    if (prefix.len <= realm.len) {
        prefix = arena_printf(call->arena, STR_FMT "/", STR_ARG(realm));
    }
    if (owner.len) {
        prefix = store_sqlite_owner_path(call, owner, prefix);
        after = after.len ? store_sqlite_owner_path(call, owner, after) : after;
    }
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_statement(self, call, SQL_device_list, &row));
    bind_str(row, 1,
             str_compare(after, prefix) > 0 ? after
                                            : prefix); /* one lower bound: an index takes no two */
    bind_str(row, 2, after);
    return fill_device_page(self, call, row, prefix, limit, ret_page);
}

enum rc store_sqlite_scan(struct store *store, struct call *call, int64_t after, int limit,
                          struct device_page *ret_page, int64_t *ret_after)
{
    struct store_sqlite *self = store_sqlite_of(store);
    struct device_page page = {.items = arena_array(call->arena, struct device, (size_t)limit)};
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    int64_t last = after;
    bool there = false;
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_statement(self, call, SQL_device_scan, &row));
    bind_i64(row, 1, after);
    bind_i64(row, 2, limit + 1);
    for (;;) {
        TRY(store_sqlite_step(self, call, row, &there));
        page.more = there && page.count == limit;
        if (!there || page.more) {
            break;
        }
        struct seen seen;
        read_device(call, row, &page.items[page.count++], &seen);
        if (seen.id <= last) { /* a damaged file must not lead around in a circle */
            return store_sqlite_corrupt(self, call, "the devices do not stand in order");
        }
        last = seen.id;
    }
    *ret_page = page;
    *ret_after = last;
    return RC_OK;
}

/* ---- bodies, replies ------------------------------------------------------------------------------ */

enum rc store_sqlite_newest_at_ms(struct store *store, struct call *call, int64_t *ret_at_ms)
{
    struct store_sqlite *self = store_sqlite_of(store);
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_statement(self, call, SQL_newest, &row));
    TRY(store_sqlite_step(self, call, row, &there));
    *ret_at_ms = there ? column_i64(row, 1) : 0;
    return RC_OK;
}

static enum rc body_get(struct store *store, struct call *call, struct str key, int64_t delivery,
                        struct body *ret_body)
{
    struct store_sqlite *self = store_sqlite_of(store);
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    struct seen seen;
    bool there = false;
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_see(self, call, key, 0, &seen));
    TRY(store_sqlite_statement(self, call, SQL_body_get, &row));
    bind_i64(row, 1, seen.id);
    bind_i64(row, 2, delivery);
    TRY(store_sqlite_step(self, call, row, &there));
    if (!there) {
        return RC_NOT_FOUND;
    }
    *ret_body = (struct body){.delivery = delivery,
                              .mapping_version = column_i64(row, 0),
                              .repeat_id = column_str(call, row, 1),
                              .target = column_str(call, row, 2),
                              .bytes = column_str(call, row, 3)};
    return RC_OK;
}

/* 64 bits of SHA-256: nobody can pile keys up in one place of the index. */
int64_t store_sqlite_reply_hash(struct str owner, struct str key)
{
    unsigned char text[OWNER_MAX_BYTES + 1 + IDEMPOTENCY_KEY_MAX_BYTES], sha[SHA256_BYTES];
    int64_t hash = 0;
    assert(owner.len + 1 + key.len <= sizeof text);
    memcpy(text, owner.len ? owner.s : "", owner.len);
    text[owner.len] = 0; /* in neither of them */
    memcpy(text + owner.len + 1, key.s, key.len);
    sha256((struct str){(const char *)text, owner.len + 1 + key.len}, sha);
    memcpy(&hash, sha, sizeof hash);
    return hash;
}

enum rc store_sqlite_find_reply(struct store_sqlite *self, struct call *call, struct str owner,
                                struct str key, int64_t *ret_id, struct reply *ret_reply)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_reply_get, &row));
    bind_i64(row, 1, store_sqlite_reply_hash(owner, key));
    bind_str(row, 2, owner);
    bind_str(row, 3, key);
    TRY(store_sqlite_step(self, call, row, &there));
    *ret_id = there ? column_i64(row, 0) : 0;
    if (there) {
        *ret_reply = (struct reply){.owner = arena_copy(call->arena, owner),
                                    .key = arena_copy(call->arena, key),
                                    .status = column_i64(row, 1),
                                    .expires_at_ms = column_i64(row, 2),
                                    .fingerprint = column_str(call, row, 3),
                                    .head = column_str(call, row, 4),
                                    .body = column_str(call, row, 5)};
    }
    return RC_OK;
}

static enum rc reply_get(struct store *store, struct call *call, struct str owner,
                         struct str idempotency_key, struct reply *ret_reply)
{
    struct store_sqlite *self = store_sqlite_of(store);
    struct reply reply = {0};
    int64_t id = 0;
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_find_reply(self, call, owner, idempotency_key, &id, &reply));
    if (id != 0 && reply.expires_at_ms > call->now_ms) {
        *ret_reply = reply;
    }
    return RC_OK;
}

/* ---- work ----------------------------------------------------------------------------------------- */

/* A cursor is "<at_ms>.<row>" of the last item. */
static enum rc read_cursor(struct call *call, struct str after, int64_t *ret_at_ms, int64_t *ret_id)
{
    const char *dot = after.len ? memchr(after.s, '.', after.len) : NULL;
    size_t head = dot ? (size_t)(dot - after.s) : 0;
    *ret_at_ms = INT64_MIN;
    *ret_id = 0;
    if (after.len == 0) {
        return RC_OK;
    }
    if (!dot || text_to_i64(str_head(after, head), ret_at_ms) != RC_OK ||
        text_to_i64(str_from(after, head + 1), ret_id) != RC_OK) {
        return call_refuse(call, PROBLEM_invalid_parameter, "the cursor is not one of this list");
    }
    return RC_OK;
}

/* What a page of work is made of. */
struct work_request {
    enum work work;
    struct str realm;
    int shard, limit;
    int64_t until_ms, at_ms, id; /* at_ms, id: of the last item so far */
};

/* Add what one query gives until the page is full. */
static enum rc fill_work_page(struct store_sqlite *self, struct call *call, enum statement query,
                              struct work_request *request, struct work_page *page)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, query, &row));
    bind_i64(row, 1, request->at_ms);
    if (query != SQL_work_list) {
        bind_i64(row, 2, request->id);
    }
    if (query != SQL_work_list_at) {
        bind_i64(row, 3, request->until_ms);
    }
    if (query != SQL_notice_list) {
        bind_i64(row, 4, request->work);
    }
    while (!page->more) {
        TRY(store_sqlite_step(self, call, row, &there));
        if (!there) {
            break;
        }
        struct str key = {sqlite3_column_blob(row, 2), (size_t)sqlite3_column_bytes(row, 2)};
        struct str realm = {sqlite3_column_blob(row, 3), (size_t)sqlite3_column_bytes(row, 3)};
        if ((request->realm.len && !str_equal(realm, request->realm)) ||
            (request->shard != SHARD_ALL && name_shard(key) != request->shard)) {
            continue;
        }
        if (page->count == request->limit) {
            page->more = true;
            break;
        }
        request->at_ms = column_i64(row, 0);
        request->id = column_i64(row, 1);
        page->items[page->count++] =
            (struct work_item){arena_copy(call->arena, key), request->at_ms, column_i64(row, 4)};
    }
    return RC_OK;
}

static enum rc work_list(struct store *store, struct call *call, enum work work, struct str realm,
                         int shard, int64_t until_ms, struct str after, int limit,
                         struct work_page *ret_page)
{
    struct store_sqlite *self = store_sqlite_of(store);
    struct work_request request = {work, realm, shard, limit, until_ms, 0, 0};
    struct work_page page = {.items = arena_array(call->arena, struct work_item, (size_t)limit)};
    TRY(read_cursor(call, after, &request.at_ms, &request.id));
    TRY(store_sqlite_enter(self, call));
    if (work == WORK_NOTICE) {
        TRY(fill_work_page(self, call, SQL_notice_list, &request, &page));
    } else {
        if (after.len > 0 && request.at_ms <= until_ms) {
            TRY(fill_work_page(self, call, SQL_work_list_at, &request, &page));
        }
        if (!page.more) {
            TRY(fill_work_page(self, call, SQL_work_list, &request, &page));
        }
    }
    if (page.count > 0) {
        page.after =
            arena_printf(call->arena, "%lld.%lld", (long long)request.at_ms, (long long)request.id);
    }
    *ret_page = page;
    return RC_OK;
}

/* The first moment of a list that is in order of time. */
static enum rc first_at_ms(struct store_sqlite *self, struct call *call, enum work work,
                           int64_t *ret_at_ms)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, work == WORK_NOTICE ? SQL_notice_first : SQL_work_first,
                               &row));
    if (work != WORK_NOTICE) {
        bind_i64(row, 1, work);
    }
    TRY(store_sqlite_step(self, call, row, &there));
    *ret_at_ms = there ? column_i64(row, 0) : 0;
    return RC_OK;
}

static enum rc work_count(struct store *store, struct call *call, struct work_counts *ret_counts)
{
    struct store_sqlite *self = store_sqlite_of(store);
    struct work_counts counts = {0};
    TRY(store_sqlite_enter(self, call));
    for (enum work work = WORK_OPEN; work < WORK_COUNT; work++) {
        counts.count[work] = self->mirror.live_count[work];
        if (counts.count[work] > 0) {
            TRY(first_at_ms(self, call, work, &counts.earliest_at_ms[work]));
        }
    }
    *ret_counts = counts;
    return RC_OK;
}

enum rc store_sqlite_fill_mirror(struct store_sqlite *self, struct call *call)
{
    CLEANUP(statement_reset) sqlite3_stmt *newest = NULL;
    CLEANUP(statement_reset) sqlite3_stmt *counts = NULL;
    CLEANUP(statement_reset) sqlite3_stmt *notices = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_newest, &newest));
    TRY(store_sqlite_step(self, call, newest, &there));
    int64_t last_log_id = there ? column_i64(newest, 0) : 0;
    if (last_log_id < 0 || last_log_id > NUMBER_MAX) {
        return store_sqlite_corrupt(self, call, "a log entry stands in a row that it cannot have");
    }
    self->mirror.next_log_id = last_log_id + 1;
    TRY(store_sqlite_statement(self, call, SQL_work_count, &counts));
    for (;;) {
        TRY(store_sqlite_step(self, call, counts, &there));
        if (!there) {
            break;
        }
        int64_t work = column_i64(counts, 0);
        if (work <= WORK_NONE || work >= WORK_NOTICE) {
            return store_sqlite_corrupt(self, call, "a device has a work state that is none");
        }
        self->mirror.live_count[work] = column_i64(counts, 1);
    }
    TRY(store_sqlite_statement(self, call, SQL_notice_count, &notices));
    TRY(store_sqlite_step(self, call, notices, &there));
    self->mirror.live_count[WORK_NOTICE] = there ? column_i64(notices, 0) : 0;
    return RC_OK;
}

const struct store_ops store_sqlite_ops = {
    .device_get = device_get,
    .device_list = device_list,
    .log_list = store_sqlite_log_list,
    .log_covering = store_sqlite_log_covering,
    .body_get = body_get,
    .reply_get = reply_get,
    .work_list = work_list,
    .work_count = work_count,
    .key_get = store_sqlite_key_get,
    .key_list = store_sqlite_key_list,
    .commit = store_sqlite_commit,
    .notice_done = store_sqlite_notice_done,
    .expire = store_sqlite_expire,
    .ping = store_sqlite_ping,
};
