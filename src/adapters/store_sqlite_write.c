/* The one write of store_sqlite, and the two small ones beside it.
 *
 * A refused commit has written nothing: all guards are reads in the same transaction, made before the first
 * row is written. So a turn needs no savepoints. Any other error makes the whole turn void. */
#include "adapters/store_sqlite_inner.h"

#include <sqlite3.h>

static bool is_live(struct str key)
{
    return str_starts(key, STR("live/"));
}

static enum rc write_device(struct store_sqlite *self, struct call *call,
                            const struct change *change, struct seen *seen)
{
    const struct device *device = change->device;
    bool is_new = change->expect_version == 0;
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    int at = 0;
    if (is_new) {
        seen->log_first = self->mirror.next_log_id;
    }
    if (change->entry_count > 0) {
        seen->log_head = self->mirror.next_log_id + (int64_t)change->entry_count - 1;
    }
    TRY(store_sqlite_statement(self, call, is_new ? SQL_device_add : SQL_device_set, &row));
#define X(column, member) bind_i64(row, ++at, (int64_t)device->member);
    DEVICE_NUMBERS(X)
#undef X
    bind_i64(row, ++at, seen->log_head);
    bind_str(row, ++at, device->downstream_ref);
    bind_str(row, ++at, device->hold_reason);
    bind_sha(call, row, ++at, device->log_sha);
    bind_str(row, ++at, device->doc);
    if (is_new) {
        bind_i64(row, ++at, seen->log_first);
        bind_i64(row, ++at, device->created_at_ms);
        bind_str(row, ++at, device->realm);
        bind_str(row, ++at, device->owner);
        bind_str(row, ++at, device->key);
        bind_str(row, ++at, device->name);
    } else {
        bind_i64(row, ++at, seen->id);
        bind_i64(row, ++at, change->expect_version);
    }
    TRY(store_sqlite_run(self, call, row));
    assert(sqlite3_changes(self->db) == 1); /* its version was guarded */
    if (!is_new) {
        return RC_OK;
    }
    seen->id = sqlite3_last_insert_rowid(self->db);
    return store_sqlite_add_name(self, call, device, seen->id);
}

static enum rc add_notice(struct store_sqlite *self, struct call *call, int64_t at_ms,
                          int64_t log_id)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    TRY(store_sqlite_statement(self, call, SQL_notice_add, &row));
    bind_i64(row, 1, at_ms);
    bind_i64(row, 2, log_id);
    return store_sqlite_run(self, call, row);
}

static enum rc write_entry(struct store_sqlite *self, struct call *call, int64_t device_id,
                           int64_t prev, bool live, const struct entry *entry)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    int64_t id = self->mirror.next_log_id++;
    TRY(store_sqlite_statement(self, call, SQL_log_add, &row));
    bind_i64(row, 1, prev);
    bind_i64(row, 2, entry->seq);
    bind_i64(row, 3, device_id);
    bind_i64(row, 4, entry->kind);
    bind_i64(row, 5, entry->at_ms);
    bind_i64(row, 6, entry->from_seq);
    bind_i64(row, 7, entry->to_seq);
    bind_i64(row, 8, entry->delivery);
    bind_i64(row, 9, entry->ended);
    bind_i64(row, 10, entry->notice_at_ms);
    bind_sha(call, row, 11, entry->sha);
    bind_str(row, 12, entry->by);
    bind_str(row, 13, entry->request_id);
    bind_str(row, 14, entry->data);
    bind_i64(row, 15, id);
    TRY(store_sqlite_run(self, call, row));
    if (entry->notice_at_ms == 0) {
        return RC_OK;
    }
    self->mirror.live_count[WORK_NOTICE] += live;
    return add_notice(self, call, entry->notice_at_ms, id);
}

static enum rc end_update(struct store_sqlite *self, struct call *call, const struct seen *before,
                          const struct change *change)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    int64_t id = 0;
    TRY(store_sqlite_find_entry(self, call, before, change->ended_seq, &id));
    assert(id != 0); /* an update without an end is never taken by retention */
    TRY(store_sqlite_statement(self, call, SQL_log_end, &row));
    bind_i64(row, 1, change->ended);
    bind_i64(row, 2, id);
    TRY(store_sqlite_run(self, call, row));
    assert(sqlite3_changes(self->db) == 1); /* it had no end yet */
    return RC_OK;
}

static enum rc retire_body(struct store_sqlite *self, struct call *call, int64_t device_id,
                           int64_t delivery)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    TRY(store_sqlite_statement(self, call, SQL_body_retire, &row));
    bind_i64(row, 1, call->now_ms);
    bind_i64(row, 2, device_id);
    bind_i64(row, 3, delivery);
    return store_sqlite_run(self, call, row);
}

static enum rc write_body(struct store_sqlite *self, struct call *call, int64_t device_id,
                          const struct body *body)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    TRY(store_sqlite_statement(self, call, SQL_body_add, &row));
    bind_i64(row, 1, device_id);
    bind_i64(row, 2, body->delivery);
    bind_i64(row, 3, body->mapping_version);
    bind_str(row, 4, body->repeat_id);
    bind_str(row, 5, body->target);
    bind_str(row, 6, body->bytes);
    return store_sqlite_run(self, call, row);
}

static enum rc write_reply(struct store_sqlite *self, struct call *call, const struct reply *reply,
                           int64_t dead_id)
{
    CLEANUP(statement_reset) sqlite3_stmt *dead = NULL;
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    if (dead_id != 0) {
        TRY(store_sqlite_statement(self, call, SQL_reply_delete, &dead));
        bind_i64(dead, 1, dead_id);
        TRY(store_sqlite_run(self, call, dead));
    }
    TRY(store_sqlite_statement(self, call, SQL_reply_add, &row));
    bind_i64(row, 1, store_sqlite_reply_hash(reply->owner, reply->key));
    bind_i64(row, 2, reply->expires_at_ms);
    bind_i64(row, 3, reply->status);
    bind_str(row, 4, reply->owner);
    bind_str(row, 5, reply->key);
    bind_str(row, 6, reply->fingerprint);
    bind_str(row, 7, reply->head);
    bind_str(row, 8, reply->body);
    return store_sqlite_run(self, call, row);
}

static enum rc write_key(struct store_sqlite *self, struct call *call, const struct key *key)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    store_sqlite_forget_keys(self);
    TRY(store_sqlite_statement(self, call, SQL_key_set, &row));
    bind_str(row, 1, key->id);
    bind_i64(row, 2, key->version);
    bind_i64(row, 3, key->role);
    bind_str(row, 4, key->owner);
    bind_str(row, 5, key->realm);
    bind_str(row, 6, key->label);
    for (int i = 0; i < SECRETS_PER_KEY; i++) {
        bind_str(row, 7 + 2 * i, key->secrets[i].sha);
        bind_i64(row, 8 + 2 * i, key->secrets[i].expires_at_ms);
    }
    bind_i64(row, 11, key->created_at_ms);
    bind_i64(row, 12, key->deleted_at_ms);
    bind_i64(row, 13, key->last_used_day);
    return store_sqlite_run(self, call, row);
}

/* What the guards found: where the rows are that will be written. */
struct guarded {
    struct seen before; /* of the device; zero for a new one */
    int64_t dead_reply; /* an expired reply in the way; 0 = none */
};

static enum rc guard(struct store_sqlite *self, struct call *call, const struct change *change,
                     struct guarded *ret_guarded)
{
    if (change->reply) {
        struct reply there = {0};
        TRY(store_sqlite_find_reply(self, call, change->reply->owner, change->reply->key,
                                    &ret_guarded->dead_reply, &there));
        if (ret_guarded->dead_reply != 0 && there.expires_at_ms > call->now_ms) {
            return RC_REPEATED;
        }
    }
    if (change->api_key) {
        struct key there = {0};
        TRY(store_sqlite_ops.key_get(&self->store, call, change->api_key->id, &there));
        if (there.version != change->api_key->version - 1) {
            return RC_CONFLICT;
        }
    }
    if (change->device) {
        TRY(store_sqlite_see(self, call, change->device->key, change->expect_version,
                             &ret_guarded->before));
        if (ret_guarded->before.version != change->expect_version) {
            return RC_CONFLICT;
        }
        assert(change->expect_version == 0 ||
               ret_guarded->before.seq + (int64_t)change->entry_count == change->device->seq);
    }
    return RC_OK;
}

/* The device, its entries, and the rows that hang on it. */
static enum rc write_device_rows(struct store_sqlite *self, struct call *call,
                                 const struct change *change, const struct seen *before)
{
    const struct device *device = change->device;
    struct seen seen = *before;
    bool live = is_live(device->key);
    int64_t prev = before->log_head;
    TRY(write_device(self, call, change, &seen));
    for (size_t i = 0; i < change->entry_count; i++) {
        int64_t id = self->mirror.next_log_id;
        TRY(write_entry(self, call, seen.id, prev, live, &change->entries[i]));
        prev = id;
    }
    if (change->ended_seq != 0) {
        TRY(end_update(self, call, before, change));
    }
    if (change->retire_body != 0) {
        TRY(retire_body(self, call, seen.id, change->retire_body));
    }
    if (change->body) {
        TRY(write_body(self, call, seen.id, change->body));
    }
    if (live) {
        self->mirror.live_count[before->work] -= before->work != WORK_NONE;
        self->mirror.live_count[device->work] += device->work != WORK_NONE;
    }
    seen.version = device->version;
    seen.seq = device->seq;
    seen.work = device->work;
    store_sqlite_remember(self, device->key, &seen);
    return RC_OK;
}

static enum rc commit_change(struct store_sqlite *self, struct call *call,
                             const struct change *change)
{
    struct guarded guarded = {0};
    TRY(guard(self, call, change, &guarded));
    if (change->device) {
        TRY(write_device_rows(self, call, change, &guarded.before));
    }
    if (change->reply) {
        TRY(write_reply(self, call, change->reply, guarded.dead_reply));
    }
    if (change->api_key) {
        TRY(write_key(self, call, change->api_key));
    }
    return RC_OK;
}

enum rc store_sqlite_commit(struct store *store, struct call *call, const struct change *change)
{
    struct store_sqlite *self = store_sqlite_of(store);
    TRY(store_sqlite_enter_write(self, call));
    return store_sqlite_leave_write(self, call, commit_change(self, call, change));
}

static enum rc move_notice(struct store_sqlite *self, struct call *call, int64_t log_id, bool live,
                           int64_t again_at_ms)
{
    CLEANUP(statement_reset) sqlite3_stmt *now = NULL;
    CLEANUP(statement_reset) sqlite3_stmt *gone = NULL;
    CLEANUP(statement_reset) sqlite3_stmt *entry = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_log_notice_get, &now));
    bind_i64(now, 1, log_id);
    TRY(store_sqlite_step(self, call, now, &there));
    assert(there); /* it was just found */
    int64_t at_ms = column_i64(now, 0);
    if (at_ms == 0 || at_ms == again_at_ms) {
        return RC_OK; /* told already: it stays told */
    }
    TRY(store_sqlite_statement(self, call, SQL_notice_delete, &gone));
    bind_i64(gone, 1, at_ms);
    bind_i64(gone, 2, log_id);
    TRY(store_sqlite_run(self, call, gone));
    TRY(store_sqlite_statement(self, call, SQL_log_notice, &entry));
    bind_i64(entry, 1, again_at_ms);
    bind_i64(entry, 2, log_id);
    TRY(store_sqlite_run(self, call, entry));
    if (again_at_ms != 0) {
        return add_notice(self, call, again_at_ms, log_id);
    }
    self->mirror.live_count[WORK_NOTICE] -= live;
    return RC_OK;
}

enum rc store_sqlite_notice_done(struct store *store, struct call *call, struct str key,
                                 int64_t seq, int64_t again_at_ms)
{
    struct store_sqlite *self = store_sqlite_of(store);
    struct seen seen;
    int64_t log_id = 0;
    TRY(store_sqlite_enter_write(self, call));
    enum rc rc = store_sqlite_see(self, call, key, 0, &seen);
    if (rc == RC_OK && seen.id != 0) {
        rc = store_sqlite_find_entry(self, call, &seen, seq, &log_id);
    }
    if (rc == RC_OK && log_id != 0) {
        rc = move_notice(self, call, log_id, is_live(key), again_at_ms);
    }
    return store_sqlite_leave_write(self, call, rc);
}

static enum rc write_ping(struct store_sqlite *self, struct call *call)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    TRY(store_sqlite_statement(self, call, SQL_ping, &row));
    bind_i64(row, 1, call->now_ms);
    return store_sqlite_run(self, call, row);
}

enum rc store_sqlite_ping(struct store *store, struct call *call)
{
    struct store_sqlite *self = store_sqlite_of(store);
    TRY(store_sqlite_enter_write(self, call));
    return store_sqlite_leave_write(self, call, write_ping(self, call));
}
