/* Names, and how new ones come to the disk.
 *
 * A device has two paths: its key, and "/<owner>/<key>" for the lists of its owner. Written to their places in a sorted
 * table at once, each would dirty a page of its own, and a page goes to the disk twice. So new paths wait in the tail, a
 * table of the same shape in memory, and a turn that adds some moves about as many to the disk: neighbours, from where
 * the last turn stopped, round and round. Neighbours share pages. Who looks for a name looks into both tables.
 *
 * The rule kept here: the tail is written inside the transactions of the file, so what is rolled back is gone from both.
 * What a crash takes from memory is read again from the devices: where the sweep was when is noted in table sweep, and
 * when it comes by a note again, every device that was there then has its paths on the disk. The last one that is
 * sure is the mark (the note of path ""); only devices after it are looked through at the start. */
#include "adapters/store_sqlite_inner.h"

#include <stdio.h>

#define TAIL_SHARE                                                                                 \
    32 /* so many devices to each name that waits: then several paths go to one page */
#define TAIL_MIN 1024
#define TAIL_MAX 65536
#define NOTES_PER_TAIL 8
#define PATH_END "~" /* behind every path: they begin with "/" or a letter */

struct str store_sqlite_owner_path(struct call *call, struct str owner, struct str key)
{
    return arena_printf(call->arena, "/" STR_FMT "/" STR_FMT, STR_ARG(owner), STR_ARG(key));
}

/* Run one statement on a path and a device. */
static enum rc run_path(struct store_sqlite *self, struct call *call, enum statement which,
                        struct str path, int64_t device_id)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    TRY(store_sqlite_statement(self, call, which, &row));
    bind_str(row, 1, path);
    bind_i64(row, 2, device_id);
    return store_sqlite_run(self, call, row);
}

enum rc store_sqlite_add_name(struct store_sqlite *self, struct call *call,
                              const struct device *device, int64_t device_id)
{
    struct str owner_path = store_sqlite_owner_path(call, device->owner, device->key);
    self->mirror.last_device_id = device_id;
    self->mirror.tail_count += 2;
    TRY(run_path(self, call, SQL_tail_add, device->key, device_id));
    return run_path(self, call, SQL_tail_add, owner_path, device_id);
}

/* The path up to which a sweep of count paths goes. */
static enum rc find_end(struct store_sqlite *self, struct call *call, int64_t count,
                        struct str *ret_to)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_tail_end, &row));
    bind_str(row, 1, str_of(self->mirror.sweep_path));
    bind_i64(row, 2, count - 1);
    TRY(store_sqlite_step(self, call, row, &there));
    *ret_to = there ? column_str(call, row, 0) : STR(PATH_END);
    return RC_OK;
}

/* Run one statement on the paths from the sweep to `to`. out: the largest number that it gives, 0 = none. */
static enum rc run_range(struct store_sqlite *self, struct call *call, enum statement which,
                         struct str to, int64_t *ret_number)
{
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, which, &row));
    bind_str(row, 1, str_of(self->mirror.sweep_path));
    bind_str(row, 2, to);
    do {
        TRY(store_sqlite_step(self, call, row, &there));
        *ret_number = there ? max_i64(*ret_number, column_i64(row, 0)) : *ret_number;
    } while (there);
    return RC_OK;
}

static enum rc sweep(struct store_sqlite *self, struct call *call, int64_t count, int64_t tail_max)
{
    struct mirror *mirror = &self->mirror;
    struct str to = STR_NONE;
    int64_t passed = 0;
    TRY(find_end(self, call, count, &to));
    TRY(run_range(self, call, SQL_tail_move, to, &passed));
    TRY(run_range(self, call, SQL_tail_cut, to, &passed));
    mirror->tail_count -= sqlite3_changes(self->db);
    mirror->sweep_unnoted += sqlite3_changes(self->db);
    TRY(run_range(self, call, SQL_sweep_pass, to, &passed));
    if (passed != 0) {
        TRY(run_path(self, call, SQL_sweep_mark, STR(""), passed));
    }
    if (mirror->sweep_unnoted > tail_max / NOTES_PER_TAIL) {
        TRY(run_path(self, call, SQL_sweep_note, to, mirror->last_device_id));
        mirror->sweep_unnoted = 0;
    }
    to = str_is(to, PATH_END) ? STR_NONE : to;
    snprintf(mirror->sweep_path, sizeof mirror->sweep_path, STR_FMT, STR_ARG(to));
    return RC_OK;
}

enum rc store_sqlite_sweep(struct store_sqlite *self, struct call *call)
{
    int64_t share = min_i64(max_i64(self->mirror.last_device_id / TAIL_SHARE, TAIL_MIN), TAIL_MAX);
    int64_t tail_max = 2 * (self->tail_names > 0 ? self->tail_names : share);
    int64_t added = self->mirror.tail_count - self->mirror_before.tail_count;
    if (added == 0 || self->mirror.tail_count <= tail_max) {
        return RC_OK;
    }
    return sweep(self, call, added + added / 8 + 1, tail_max);
}

enum rc store_sqlite_find_tail(struct store_sqlite *self, struct call *call)
{
    CLEANUP(statement_reset) sqlite3_stmt *note = NULL;
    CLEANUP(statement_reset) sqlite3_stmt *fill = NULL;
    CLEANUP(statement_reset) sqlite3_stmt *known = NULL;
    bool there = false;
    TRY(store_sqlite_statement(self, call, SQL_sweep_get, &note));
    TRY(store_sqlite_step(self, call, note, &there));
    struct str at = there ? column_str(call, note, 0) : STR_NONE;
    at = str_is(at, PATH_END) || at.len > PATH_MAX_BYTES ? STR_NONE : at;
    snprintf(self->mirror.sweep_path, sizeof self->mirror.sweep_path, STR_FMT, STR_ARG(at));
    self->mirror.last_device_id = there ? column_i64(note, 1) : 0;
    TRY(store_sqlite_statement(self, call, SQL_tail_fill, &fill));
    if (store_sqlite_run(self, call, fill) != RC_OK) {
        bool doubled = (sqlite3_errcode(self->db) & 0xff) == SQLITE_CONSTRAINT;
        return doubled ? store_sqlite_corrupt(self, call, "two devices have one name") : RC_BROKEN;
    }
    self->mirror.tail_count = sqlite3_changes(self->db);
    TRY(store_sqlite_statement(self, call, SQL_tail_known, &known));
    TRY(store_sqlite_run(self, call, known));
    self->mirror.tail_count -= sqlite3_changes(self->db);
    return RC_OK;
}
