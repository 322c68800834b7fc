/* Retention: what is past its life is deleted, a few rows per call.
 *
 * No index leads to old log entries. Rows stand in order of writing, so a cursor in memory walks them from the
 * oldest and rests at the first young one. It passes by what must stay (entry 0, the newest entry, open updates,
 * notices that are not told); a day later it begins anew. Per device entries go from the low end only: an entry is
 * deleted when the one before it is gone or is entry 0. So a log is always entry 0, one gap, and the rest without a
 * gap, which is what makes the chain walkable without an index, and its last hash the record's. */
#include "adapters/store_sqlite_inner.h"

#define LOOK_FACTOR 8 /* rows looked at per row that may be deleted */
#define BEGIN_ANEW_MS 86400000

/* Delete the row of one table. */
static enum rc delete_row(struct store_sqlite *self, struct call *call, enum statement statement,
                          int64_t id, int *count)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    TRY(store_sqlite_statement(self, call, statement, &row));
    bind_i64(row, 1, id);
    TRY(store_sqlite_run(self, call, row));
    ++*count;
    return RC_OK;
}

/* Ids that a query gives, read before anything is deleted. */
static enum rc read_ids(struct store_sqlite *self, struct call *call, sqlite3_stmt *rows, int limit,
                        int64_t **ret_ids, int *ret_count)
{
    int64_t *ids = arena_array(call->arena, int64_t, (size_t)limit);
    int count = 0;
    bool there = false;
    for (;;) {
        TRY(store_sqlite_step(self, call, rows, &there));
        if (!there) {
            break;
        }
        assert(count < limit);
        ids[count++] = column_i64(rows, 0);
    }
    *ret_ids = ids;
    *ret_count = count;
    return RC_OK;
}

/* Replies live equally long, so the oldest row expires first; a shorter setting waits for those before it. */
static enum rc expire_replies(struct store_sqlite *self, struct call *call, int limit, int *count)
{
    CLEANUP(statement_reset) sqlite3_stmt *rows = NULL;
    int64_t *ids = arena_array(call->arena, int64_t, (size_t)limit);
    int found = 0;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_reply_old, &rows));
    bind_i64(rows, 1, limit);
    for (;;) {
        TRY(store_sqlite_step(self, call, rows, &there));
        if (!there || column_i64(rows, 1) > call->now_ms) {
            break;
        }
        ids[found++] = column_i64(rows, 0);
    }
    sqlite3_reset(rows);
    for (int i = 0; i < found; i++) {
        TRY(delete_row(self, call, SQL_reply_delete, ids[i], count));
    }
    return RC_OK;
}

static enum rc expire_bodies(struct store_sqlite *self, struct call *call, int64_t before_ms,
                             int limit, int *count)
{
    CLEANUP(statement_reset) sqlite3_stmt *rows = NULL;
    int64_t *ids = NULL;
    int found = 0;
    TRY(store_sqlite_statement(self, call, SQL_body_old, &rows));
    bind_i64(rows, 1, before_ms);
    bind_i64(rows, 2, limit);
    TRY(read_ids(self, call, rows, limit, &ids, &found));
    sqlite3_reset(rows);
    for (int i = 0; i < found; i++) {
        TRY(delete_row(self, call, SQL_body_delete, ids[i], count));
    }
    return RC_OK;
}

struct old_entry {
    int64_t id, prev, seq, at_ms, notice_at_ms, from_seq, log_first, log_head;
};

static enum rc read_old_entries(struct store_sqlite *self, struct call *call, int limit,
                                struct old_entry *ret_entries, int *ret_count)
{
    CLEANUP(statement_reset) sqlite3_stmt *rows = NULL;
    bool there = false;
    *ret_count = 0;
    TRY(store_sqlite_statement(self, call, SQL_log_old, &rows));
    bind_i64(rows, 1, self->expire_log_after);
    bind_i64(rows, 2, limit);
    for (;;) {
        TRY(store_sqlite_step(self, call, rows, &there));
        if (!there) {
            return RC_OK;
        }
        ret_entries[(*ret_count)++] = (struct old_entry){
            column_i64(rows, 0), column_i64(rows, 1), column_i64(rows, 2), column_i64(rows, 3),
            column_i64(rows, 4), column_i64(rows, 5), column_i64(rows, 6), column_i64(rows, 7)};
    }
}

/* May it go by its device's rules, its age aside? */
static enum rc may_go(struct store_sqlite *self, struct call *call, const struct old_entry *old,
                      bool *ret_may)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = true;
    *ret_may = false;
    if (old->seq == 0 || old->id == old->log_head || old->notice_at_ms != 0 ||
        (old->from_seq != 0 && old->seq >= old->from_seq)) {
        return RC_OK;
    }
    if (old->prev != old->log_first) {
        TRY(store_sqlite_statement(self, call, SQL_log_notice_get, &row));
        bind_i64(row, 1, old->prev);
        TRY(store_sqlite_step(self, call, row, &there));
    } else {
        there = false;
    }
    *ret_may = !there;
    return RC_OK;
}

static enum rc expire_log(struct store_sqlite *self, struct call *call, int64_t before_ms,
                          int limit, int *count)
{
    int look = limit * LOOK_FACTOR, found = 0, deleted = 0;
    struct old_entry *entries = arena_array(call->arena, struct old_entry, (size_t)look);
    bool may = false;
    TRY(read_old_entries(self, call, look, entries, &found));
    for (int i = 0; i < found && deleted < limit; i++) {
        const struct old_entry *old = &entries[i];
        if (old->at_ms >= before_ms && old->at_ms <= call->now_ms) {
            return RC_OK; /* rests here until it is old enough */
        }
        TRY(may_go(self, call, old, &may));
        if (may && old->at_ms < before_ms) {
            TRY(delete_row(self, call, SQL_log_delete, old->id, &deleted));
            ++*count;
        }
        self->expire_log_after = old->id;
    }
    return RC_OK;
}

static enum rc expire_all(struct store_sqlite *self, struct call *call, int64_t history_ms,
                          int limit, int *count)
{
    int64_t before_ms = call->now_ms - history_ms;
    TRY(expire_replies(self, call, limit, count));
    if (*count < limit) {
        TRY(expire_bodies(self, call, before_ms, limit - *count, count));
    }
    if (call->now_ms - self->expire_started_at_ms >= BEGIN_ANEW_MS ||
        call->now_ms < self->expire_started_at_ms) {
        self->expire_started_at_ms = call->now_ms;
        self->expire_log_after = 0;
    }
    if (*count < limit) {
        TRY(expire_log(self, call, before_ms, limit - *count, count));
    }
    return RC_OK;
}

enum rc store_sqlite_expire(struct store *store, struct call *call, int64_t history_ms, int limit,
                            int *ret_count)
{
    struct store_sqlite *self = store_sqlite_of(store);
    int count = 0;
    TRY(store_sqlite_enter_write(self, call));
    TRY(store_sqlite_leave_write(self, call, expire_all(self, call, history_ms, limit, &count)));
    *ret_count = count;
    return RC_OK;
}
