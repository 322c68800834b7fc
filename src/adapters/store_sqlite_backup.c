/* Backups of a store in use, and the proof that a file keeps the rules.
 *
 * The copy is made page by page between turns on the connection that also writes, so SQLite itself carries
 * later writes over into it. It is "<path>.part" until it is whole, passed the verification, and is synced;
 * then it gets its name. It is a single file without a WAL, so it may be read where nothing can be written. */
#include "adapters/store_sqlite_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct store_backup {
    struct store_sqlite *source;
    sqlite3 *copy;           /* until all pages are in it */
    sqlite3_backup *running; /* the same */
    bool whole, done;
    char path[PATH_MAX], part[PATH_MAX];
};

/* ---- verification ------------------------------------------------------------------------------- */

/* Each finds nothing in a file that is whole. That no two devices after the mark have one name was proved when the store
 * was opened. */
static const struct {
    const char *sql, *what;
} rules[] = {
    {"SELECT 1 FROM device WHERE work NOT BETWEEN 0 AND 4 OR resend_all NOT IN (0, 1)",
     "a device with a number out of its range"},
    {"SELECT 1 FROM log WHERE kind NOT BETWEEN 1 AND 10 OR ended NOT BETWEEN 0 AND 2 OR (ended <> "
     "0 AND kind <> 2)",
     "a log entry with a number out of its range"},
    {"SELECT 1 FROM log WHERE prev >= id", "a log that leads back to itself"},
    {"SELECT 1 FROM device d LEFT JOIN log l ON l.id = d.log_first WHERE l.id IS NULL OR l.device "
     "<> d.id OR l.seq <> 0",
     "a device without its entry 0"},
    {"SELECT 1 FROM device d LEFT JOIN log l ON l.id = d.log_head "
     "WHERE l.id IS NULL OR l.device <> d.id OR l.seq <> d.seq OR l.sha <> d.log_sha",
     "a device that is not at the head of its log"},
    {"SELECT 1 FROM log l LEFT JOIN device d ON d.id = l.device WHERE d.id IS NULL OR l.seq > "
     "d.seq",
     "a log entry without its device"},
    {"SELECT 1 FROM log l JOIN log p ON p.id = l.prev WHERE p.device <> l.device OR p.seq <> l.seq "
     "- 1",
     "two log entries that do not follow each other"},
    {"SELECT 1 FROM log l JOIN device d ON d.id = l.device LEFT JOIN log p ON p.id = l.prev "
     "WHERE p.id IS NULL AND l.seq <> 0 AND d.from_seq <> 0 AND l.seq > d.from_seq",
     "a gap in what has not ended"},
    {"SELECT 1 FROM log l JOIN device d ON d.id = l.device WHERE CASE l.seq WHEN 0 THEN l.prev <> "
     "0 ELSE l.prev < d.log_first END",
     "a log entry that leads out of its log"},
    {"SELECT 1 FROM body b LEFT JOIN device d ON d.id = b.device WHERE d.id IS NULL OR b.delivery "
     "NOT BETWEEN 1 AND d.version",
     "a body without its device"},
    {"SELECT 1 FROM log l LEFT JOIN notice n ON n.log = l.id AND n.at_ms = l.notice_at_ms WHERE "
     "l.notice_at_ms <> 0 AND n.log IS NULL",
     "an entry that nobody would be told of"},
    {"SELECT 1 FROM notice n LEFT JOIN log l ON l.id = n.log WHERE l.id IS NULL OR l.notice_at_ms "
     "<> n.at_ms",
     "a notice without its entry"},
    {"SELECT 1 FROM device d LEFT JOIN body b ON b.device = d.id AND b.delivery = d.base "
     "WHERE d.base <> 0 AND (b.id IS NULL OR b.retired_at_ms <> 0)",
     "a device without the body of its base"},
    {"SELECT 1 FROM device d LEFT JOIN body b ON b.device = d.id AND b.delivery = "
     "d.flight_delivery "
     "WHERE d.flight_delivery <> 0 AND b.id IS NULL",
     "a device without the body of its flight"},
    {"SELECT 1 FROM name n LEFT JOIN device d ON d.id = n.device "
     "WHERE d.id IS NULL OR n.path NOT IN (d.key, '/' || d.owner || '/' || d.key)",
     "a name of no device, or of another"},
    {"SELECT 1 FROM device d LEFT JOIN name n ON n.path = d.key LEFT JOIN name o "
     "ON o.path = '/' || d.owner || '/' || d.key WHERE n.device <> d.id OR o.device <> d.id "
     "OR (d.id <= " SWEEP_MARK " AND (n.path IS NULL OR o.path IS NULL))",
     "a device that its name does not lead to"},
};

/* Run one query whose first row, if any, is bad news, unless it is the text "ok". */
static enum rc find_fault(sqlite3 *db, struct call *call, const char *sql, const char *what)
{
    sqlite3_stmt *statement = NULL;
    enum rc rc = RC_OK;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (!text || strcmp(text, "ok") != 0) {
            rc = call_why(call, RC_BROKEN, "%s", what ? what : text ? text : "unreadable");
        }
    } else if (code != SQLITE_DONE) {
        rc = call_why(call, RC_BROKEN, "%s", sqlite3_errmsg(db));
    }
    sqlite3_finalize(statement);
    return rc;
}

static enum rc verify(sqlite3 *db, struct call *call)
{
    TRY(find_fault(db, call, "PRAGMA integrity_check(1)", NULL));
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        TRY(find_fault(db, call, rules[i].sql, rules[i].what));
    }
    return RC_OK;
}

enum rc store_sqlite_verify(struct store *store, struct call *call)
{
    struct store_sqlite *self = store_sqlite_of(store);
    TRY(store_sqlite_enter(self, call));
    return verify(self->db, call);
}

enum rc store_sqlite_totals(struct store *store, struct call *call, int64_t *ret_devices,
                            int64_t *ret_entries)
{
    struct store_sqlite *self = store_sqlite_of(store);
    sqlite3_stmt *counts = NULL;
    bool there = false;
    if (sqlite3_prepare_v2(self->db,
                           "SELECT (SELECT count(*) FROM device), (SELECT count(*) FROM log)", -1,
                           &counts, NULL) != SQLITE_OK) {
        return store_sqlite_fail(self, call, "counting the rows");
    }
    enum rc rc = store_sqlite_step(self, call, counts, &there);
    if (rc == RC_OK) {
        *ret_devices = column_i64(counts, 0);
        *ret_entries = column_i64(counts, 1);
    }
    sqlite3_finalize(counts);
    return rc;
}

/* ---- backup --------------------------------------------------------------------------------------- */

static enum rc copy_failed(struct call *call, const char *path, int code)
{
    enum rc rc = (code & 0xff) == SQLITE_FULL ? RC_BUSY : RC_BROKEN;
    return call_why(call, rc, "%s: %s", path, sqlite3_errstr(code));
}

static enum rc system_failed(struct call *call, const char *path)
{
    return call_why(call, errno == ENOSPC ? RC_BUSY : RC_BROKEN, "%s: %s", path,
                    strerrordesc_np(errno));
}

static enum rc open_copy(struct store_backup *backup, struct call *call)
{
    int fd = open(backup->part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return system_failed(call, backup->part);
    }
    close(fd);
    int code =
        sqlite3_open_v2(backup->part, &backup->copy,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code ==
        SQLITE_OK) { /* what a crash leaves is only a part: neither journal nor sync before the end */
        code = sqlite3_exec(
            backup->copy,
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF",
            NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        return copy_failed(call, backup->part, code);
    }
    backup->running = sqlite3_backup_init(backup->copy, "main", backup->source->db, "main");
    return backup->running
               ? RC_OK
               : copy_failed(call, backup->part, sqlite3_extended_errcode(backup->copy));
}

enum rc store_sqlite_backup_open(struct store *store, struct call *call, const char *path,
                                 struct store_backup **ret_backup)
{
    struct store_sqlite *self = store_sqlite_of(store);
    TRY(store_sqlite_enter(self, call));
    struct store_backup *backup = calloc(1, sizeof *backup);
    if (!backup) {
        return call_why(call, RC_BROKEN, "out of memory");
    }
    backup->source = self;
    int path_len = snprintf(backup->path, sizeof backup->path, "%s", path);
    int part_len = snprintf(backup->part, sizeof backup->part, "%s.part", path);
    if (path_len <= 0 || part_len >= (int)sizeof backup->part) {
        free(backup);
        return call_why(call, RC_BROKEN, "%s: the path is too long", path);
    }
    enum rc rc = open_copy(backup, call);
    if (rc != RC_OK) {
        store_sqlite_backup_free(backup);
        return rc;
    }
    *ret_backup = backup;
    return RC_OK;
}

/* Let go of the source; from here on only the copy is touched. */
static int end_copying(struct store_backup *backup)
{
    int code = sqlite3_backup_finish(backup->running);
    int closed = sqlite3_close(backup->copy);
    backup->running = NULL;
    backup->copy = NULL;
    return code != SQLITE_OK ? code : closed;
}

enum rc store_sqlite_backup_step(struct store_backup *backup, struct call *call, int pages,
                                 int64_t *ret_left)
{
    assert(backup->running && !backup->source->in_transaction);
    int code = sqlite3_backup_step(backup->running, pages);
    int64_t left = sqlite3_backup_remaining(backup->running);
    if (code != SQLITE_OK && code != SQLITE_DONE) {
        return copy_failed(call, backup->part, code);
    }
    if (code == SQLITE_DONE) {
        code = end_copying(backup);
        if (code != SQLITE_OK) {
            return copy_failed(call, backup->part, code);
        }
        backup->whole = true;
        left = 0;
    }
    *ret_left = code == SQLITE_OK && !backup->whole && left == 0 ? 1 : left;
    return RC_OK;
}

/* The copy still says WAL in its head, as the source does: make it one plain file, and prove it. */
static enum rc prove_copy(struct store_backup *backup, struct call *call)
{
    sqlite3 *copy = NULL;
    int code =
        sqlite3_open_v2(backup->part, &copy,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(copy, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE",
                            NULL, NULL, NULL);
    }
    enum rc rc = code == SQLITE_OK ? verify(copy, call) : copy_failed(call, backup->part, code);
    sqlite3_close(copy);
    return rc;
}

static enum rc sync_path(struct call *call, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    enum rc rc = synced ? RC_OK : system_failed(call, path);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

enum rc store_sqlite_backup_finish(struct store_backup *backup, struct call *call)
{
    char folder[PATH_MAX];
    assert(backup->whole && !backup->done);
    TRY(prove_copy(backup, call));
    TRY(sync_path(call, backup->part, O_RDWR));
    if (rename(backup->part, backup->path) != 0) {
        return system_failed(call, backup->path);
    }
    backup->done = true;
    const char *slash = strrchr(backup->path, '/');
    size_t len = slash ? (size_t)(slash - backup->path) : 0;
    snprintf(folder, sizeof folder, "%.*s", (int)len, backup->path);
    return sync_path(call, !slash ? "." : len ? folder : "/", O_RDONLY | O_DIRECTORY);
}

void store_sqlite_backup_free(struct store_backup *backup)
{
    if (!backup) {
        return;
    }
    if (backup->running) {
        sqlite3_backup_finish(backup->running);
    }
    sqlite3_close(backup->copy);
    if (!backup->done) {
        unlink(backup->part);
    }
    free(backup);
}

enum rc store_sqlite_backup(struct store *store, struct call *call, const char *path)
{
    struct store_backup *backup = NULL;
    int64_t left = 1;
    TRY(store_sqlite_backup_open(store, call, path, &backup));
    enum rc rc = RC_OK;
    while (rc == RC_OK && left > 0) {
        rc = store_sqlite_backup_step(backup, call, 1024, &left);
    }
    if (rc == RC_OK) {
        rc = store_sqlite_backup_finish(backup, call);
    }
    store_sqlite_backup_free(backup);
    return rc;
}
