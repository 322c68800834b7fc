/* The store in one SQLite file, embedded: what a home needs beside the port (core/ports.h).
 *
 * One connection, one thread, no other process on the file. WAL with synchronous=FULL: what is committed
 * survives the power. With `turns`, calls gather between turn_begin and turn_commit and share one fsync;
 * without, each write is a transaction of its own. A failing call decides for its whole turn: see turn_commit. */
#ifndef ADAPTERS_STORE_SQLITE_H
#define ADAPTERS_STORE_SQLITE_H

#include "core/ports.h"

#define STORE_SQLITE_SCHEMA 1 /* user_version of the file */

struct store_sqlite_options {
    bool turns;           /* writes need a turn (server home) */
    bool read_only;       /* for `check`: a backup, or the data of a stopped server */
    int checkpoint_pages; /* a WAL of so many pages is carried over; 0 = by how large the turns are */
    int cache_kib;        /* page cache; 0 = the default, 8 MiB */
    int tail_names;       /* so many names wait in memory; 0 = by how many devices there are */
    const char *vfs;      /* tests: another file system; NULL = the system's */
};

/* Open, and make the file if it is missing (not when read_only).
 *   in     path: a file, or ":memory:"; options: NULL = all defaults
 *   rule   holds a lock on "<path>.lock" until close: a second server on the same data is refused
 *   fails  call->why says why. RC_CONFLICT another process has it · RC_NOT_FOUND read_only and no such file
 *          · RC_INVALID not a file of ours, or of a newer version · RC_BUSY disk full · RC_BROKEN */
MUST enum rc store_sqlite_open(struct call *, const char *path, const struct store_sqlite_options *,
                               struct store **ret_store);
/* NULL does nothing. An open turn is rolled back. */
void store_sqlite_close(struct store *);

/* A turn: the calls between begin and commit. The transaction starts with the first write; a turn without one does not sync. */
void store_sqlite_turn_begin(struct store *);
/* Make the turn durable. No answer, send or wake-up of the turn leaves before this returned RC_OK.
 *   fails  RC_BUSY disk full: rolled back, nothing of the turn holds, its reads included; the next turn may try again
 *          · RC_BROKEN I/O error: the outcome is unknown and every later operation fails too: the home ends the process */
MUST enum rc store_sqlite_turn_commit(struct store *, struct call *);
void store_sqlite_turn_rollback(struct store *);

/* When the newest log entry was written; 0 = there is none. O(1). */
MUST enum rc store_sqlite_newest_at_ms(struct store *, struct call *, int64_t *ret_at_ms);

/* Every device in order of making, the system's records included: for `check`. in: after 0 or the last page's. */
MUST enum rc store_sqlite_scan(struct store *, struct call *, int64_t after, int limit,
                               struct device_page *ret_page, int64_t *ret_after);

/* Does the file keep SQLite's rules and ours (chains, notices)? Slow: reads everything. fails: RC_BROKEN, call->why names the first fault. */
MUST enum rc store_sqlite_verify(struct store *, struct call *);

/* How many devices and log entries there are, the system's included, by counting: for `check`. */
MUST enum rc store_sqlite_totals(struct store *, struct call *, int64_t *ret_devices,
                                 int64_t *ret_entries);

/* A backup while the store is in use. Open it, then step between turns until done, then finish.
 *   rule   the copy appears under its name only when it is whole, verified and synced; until then it is "<path>.part"
 *   safe   open and step: the loop, outside a turn. finish: may run in a pool job, it touches only the copy */
struct store_backup;
MUST enum rc store_sqlite_backup_open(struct store *, struct call *, const char *path,
                                      struct store_backup **ret_backup);
/* Copy some pages more. out: ret_left: pages still to go, 0 = finish it. fails: RC_BUSY disk full · RC_BROKEN. */
MUST enum rc store_sqlite_backup_step(struct store_backup *, struct call *, int pages,
                                      int64_t *ret_left);
/* fails: RC_BUSY disk full · RC_BROKEN the copy is not whole, call->why says how. */
MUST enum rc store_sqlite_backup_finish(struct store_backup *, struct call *);
/* After finish, or to give up at any time before it; removes what is not finished. NULL does nothing. */
void store_sqlite_backup_free(struct store_backup *);
/* All of it in one go. */
MUST enum rc store_sqlite_backup(struct store *, struct call *, const char *path);

#endif
