/* The logs of store_sqlite. A device's log is a chain of rows, newest first, walked down from device.log_head.
 * Where retention has taken rows the chain ends, and only entry 0 is left below: see store_sqlite_schema.h.
 * Walking is in C: one prepared look-up per entry, bounded memory, and gaps need no SQL of their own. */
#include "adapters/store_sqlite_inner.h"

#include "core/log.h"

/* One step down a device's log: the head of a row, without its text. */
struct step {
    int64_t id, prev, seq, from_seq, to_seq; /* id 0 = the end */
    enum entry_kind kind;
};

static enum rc step_to(struct store_sqlite *self, struct call *call, const struct seen *seen,
                       int64_t id, struct step *ret_step)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_log_step, &row));
    bind_i64(row, 1, id);
    TRY(store_sqlite_step(self, call, row, &there));
    if (!there && id != seen->log_first) { /* retention took it, and all below but entry 0 */
        sqlite3_reset(row);
        id = seen->log_first;
        bind_i64(row, 1, id);
        TRY(store_sqlite_step(self, call, row, &there));
    }
    if (!there || column_i64(row, 2) != seen->id) {
        return store_sqlite_corrupt(self, call, "the log of a device is broken");
    }
    *ret_step = (struct step){.id = id,
                              .prev = column_i64(row, 0),
                              .seq = column_i64(row, 1),
                              .from_seq = column_i64(row, 3),
                              .to_seq = column_i64(row, 4),
                              .kind = (enum entry_kind)column_i64(row, 5)};
    return RC_OK;
}

static enum rc step_down(struct store_sqlite *self, struct call *call, const struct seen *seen,
                         struct step *step)
{
    if (step->id == seen->log_first) {
        step->id = 0;
        return RC_OK;
    }
    struct step next = {0};
    TRY(step_to(self, call, seen, step->prev, &next));
    if (next.id >= step->id || next.seq >= step->seq) { /* a walk must end, whatever a file says */
        return store_sqlite_corrupt(self, call, "the log of a device leads back to itself");
    }
    *step = next;
    return RC_OK;
}

enum rc store_sqlite_find_entry(struct store_sqlite *self, struct call *call,
                                const struct seen *seen, int64_t seq, int64_t *ret_id)
{
    struct step step = {0};
    TRY(step_to(self, call, seen, seen->log_head, &step));
    while (step.id != 0 && step.seq > seq) {
        TRY(step_down(self, call, seen, &step));
    }
    *ret_id = step.id != 0 && step.seq == seq ? step.id : 0;
    return RC_OK;
}

/* Read one entry; its data are skipped if they would not fit into what is left of the page. */
static enum rc read_entry(struct store_sqlite *self, struct call *call, int64_t id,
                          size_t room_bytes, struct entry *ret_entry, size_t *ret_bytes)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_log_get, &row));
    bind_i64(row, 1, id);
    TRY(store_sqlite_step(self, call, row, &there));
    assert(there); /* the walk has just seen it */
    *ret_bytes = (size_t)sqlite3_column_bytes(row, 13);
    if (*ret_bytes <= room_bytes) {
        *ret_entry = (struct entry){.seq = column_i64(row, 1),
                                    .kind = (enum entry_kind)column_i64(row, 3),
                                    .at_ms = column_i64(row, 4),
                                    .from_seq = column_i64(row, 5),
                                    .to_seq = column_i64(row, 6),
                                    .delivery = column_i64(row, 7),
                                    .ended = (enum ended)column_i64(row, 8),
                                    .notice_at_ms = column_i64(row, 9),
                                    .sha = column_sha(call, row, 10),
                                    .by = column_str(call, row, 11),
                                    .request_id = column_str(call, row, 12),
                                    .data = column_str(call, row, 13)};
    }
    return RC_OK;
}

/* Which entries a walk collects: seq in from..to, and holding `covers` in their range if it is >= 0. */
struct wanted {
    int64_t from_seq, to_seq, covers;
    bool newest_first;
    int limit;
};

static bool is_wanted(const struct wanted *wanted, const struct step *step)
{
    return step->seq <= wanted->to_seq &&
           (wanted->covers < 0 ||
            (step->from_seq <= wanted->covers && step->to_seq >= wanted->covers));
}

/* Rows of the wanted entries in the order of the page. Oldest first, the last limit + 1 rows of the walk are the
 * first ones of the page: a ring keeps them. */
static enum rc collect(struct store_sqlite *self, struct call *call, const struct seen *seen,
                       const struct wanted *wanted, int64_t *ret_ids, int *ret_count,
                       int64_t *ret_newest_id)
{
    size_t room = (size_t)wanted->limit + 1, found = 0;
    int64_t *ring = arena_array(call->arena, int64_t, room);
    struct step step = {0};
    TRY(step_to(self, call, seen, seen->log_head, &step));
    while (step.id != 0 && step.seq >= wanted->from_seq) {
        if (is_wanted(wanted, &step)) {
            if (wanted->covers >= 0 && entry_ends(step.kind)) {
                found = 0; /* what came after its end is about its neighbours */
            }
            *ret_newest_id = found ? *ret_newest_id : step.id;
            ring[found++ % room] = step.id;
            if (wanted->newest_first && found == room) {
                break;
            }
        }
        TRY(step_down(self, call, seen, &step));
    }
    size_t count = found < room ? found : room;
    for (size_t i = 0; i < count; i++) {
        ret_ids[i] = wanted->newest_first ? ring[i] : ring[(found - 1 - i) % room];
    }
    *ret_count = (int)count;
    return RC_OK;
}

static enum rc read_log(struct store *store, struct call *call, struct str key,
                        const struct wanted *wanted, struct entry_page *ret_page)
{
    struct store_sqlite *self = store_sqlite_of(store);
    struct entry_page page = {0};
    struct seen seen;
    size_t room = PAGE_MAX_BYTES;
    int64_t newest_id = 0;
    int count = 0;
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_see(self, call, key, 0, &seen));
    if (seen.id != 0) {
        int64_t *ids = arena_array(call->arena, int64_t, (size_t)wanted->limit + 1);
        TRY(collect(self, call, &seen, wanted, ids, &count, &newest_id));
        page.items = arena_array(call->arena, struct entry, (size_t)count);
        for (int i = 0; i < count; i++) {
            size_t bytes = 0, fits = i == 0 ? SIZE_MAX : room;
            if (i < wanted->limit) {
                TRY(read_entry(self, call, ids[i], fits, &page.items[i], &bytes));
            }
            if (i == wanted->limit || bytes > fits) {
                page.more = true;
                break;
            }
            room -= bytes < room ? bytes : room;
            page.count++;
        }
        if (page.more && wanted->covers >= 0) { /* what is left out stands before the newest */
            size_t bytes;
            TRY(read_entry(self, call, newest_id, SIZE_MAX, &page.items[page.count - 1], &bytes));
        }
    }
    *ret_page = page;
    return RC_OK;
}

enum rc store_sqlite_log_list(struct store *store, struct call *call, struct str key,
                              int64_t from_seq, int64_t to_seq, bool newest_first, int limit,
                              struct entry_page *ret_page)
{
    struct wanted wanted = {from_seq, to_seq, -1, newest_first, limit};
    return read_log(store, call, key, &wanted, ret_page);
}

enum rc store_sqlite_log_covering(struct store *store, struct call *call, struct str key,
                                  int64_t seq, int limit, struct entry_page *ret_page)
{
    struct wanted wanted = {seq + 1, INT64_MAX, seq, false, limit};
    return read_log(store, call, key, &wanted, ret_page);
}
