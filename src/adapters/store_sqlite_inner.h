/* Inside of store_sqlite: shared by store_sqlite.c (file, turns, errors), _names.c, _read.c, _keys.c, _log.c, _write.c, _expire.c and _backup.c.
 * Nobody else includes it. The tables stand in store_sqlite_schema.h. */
#ifndef ADAPTERS_STORE_SQLITE_INNER_H
#define ADAPTERS_STORE_SQLITE_INNER_H

#include "adapters/store_sqlite.h"
#include "adapters/store_sqlite_schema.h"

#include <sqlite3.h>

enum statement {
#define X(name, sql) SQL_##name,
    STATEMENTS(X)
#undef X
        STATEMENT_COUNT
};

#define PATH_MAX_BYTES (1 + OWNER_MAX_BYTES + 1 + KEY_MAX_BYTES)

/* What memory knows of the tables. Follows the turn; a rollback brings back what held before it. */
struct mirror {
    int64_t next_log_id;
    int64_t live_count[WORK_COUNT]; /* devices (notices) of realm live in each work state */
    int64_t last_device_id;
    int64_t tail_count;                  /* paths in the tail, two of each name */
    char sweep_path[PATH_MAX_BYTES + 1]; /* the sweep is behind this one */
    int64_t sweep_unnoted;               /* paths moved since it was noted where the sweep is */
};

/* The parts of a device's row that a commit needs besides the version: remembered from the last reads, since every
 * commit follows a read of the same device. Believed only if the version is the expected one. */
struct seen {
    char key[KEY_MAX_BYTES];
    size_t key_len; /* 0 = empty */
    int64_t id, version, seq, log_head, log_first;
    enum work work;
};
#define SEEN_COUNT 4

/* Credentials that were read, by their ids: store_sqlite_keys.c. */
#define KEPT_KEYS_MAX 256 /* places; half of them are used */
struct kept_keys {
    struct arena arena;
    struct key keys[KEPT_KEYS_MAX]; /* version 0: free */
    int count;
};

struct store_sqlite {
    struct store store; /* first */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int lock_fd; /* -1 = none */
    bool turns, read_only;
    bool in_turn, in_transaction;
    enum rc void_rc; /* of the turn; RC_OK = it holds so far */
    bool broken;     /* an I/O error: nothing works any more */
    char void_why[160];
    struct mirror mirror, mirror_before; /* before: as of the last COMMIT */
    struct seen seen[SEEN_COUNT];
    unsigned seen_next;
    struct kept_keys kept;
    int64_t tail_names;         /* so many may wait; 0 = by how many devices there are */
    int wal_pages;              /* in the WAL now */
    int calm_pages, busy_pages; /* so many are carried over after a small turn, after a large one */
    int64_t expire_log_after, expire_started_at_ms; /* store_sqlite_expire.c */
};

static inline struct store_sqlite *store_sqlite_of(struct store *store)
{
    return (struct store_sqlite *)store; /* store is the first member */
}

/* --- store_sqlite.c ------------------------------------------------------------------------------ */
/* The last SQLite call failed: set call->why, make the turn void. Returns RC_BUSY (disk full) or RC_BROKEN. */
MUST enum rc store_sqlite_fail(struct store_sqlite *, struct call *, const char *doing);
/* What the tables hold is not what they must hold. Returns RC_BROKEN; the turn is void. */
MUST enum rc store_sqlite_corrupt(struct store_sqlite *, struct call *, const char *what);
/* Begin an operation that reads. fails: the turn is void. */
MUST enum rc store_sqlite_enter(struct store_sqlite *, struct call *);
/* Begin an operation that writes: as enter, and there is a transaction afterwards. */
MUST enum rc store_sqlite_enter_write(struct store_sqlite *, struct call *);
/* End an operation that writes with what it came to: outside turns the transaction ends with it. */
MUST enum rc store_sqlite_leave_write(struct store_sqlite *, struct call *, enum rc);
/* A cached statement, to be bound, stepped and given to CLEANUP(statement_reset). */
MUST enum rc store_sqlite_statement(struct store_sqlite *, struct call *, enum statement,
                                    sqlite3_stmt **ret_statement);
void statement_reset(sqlite3_stmt **);
/* One step. out: ret_row: there is a row. */
MUST enum rc store_sqlite_step(struct store_sqlite *, struct call *, sqlite3_stmt *, bool *ret_row);
/* Step a statement that gives no row. */
MUST enum rc store_sqlite_run(struct store_sqlite *, struct call *, sqlite3_stmt *);

/* Bind one parameter; at counts from 1. Text is not copied: it lives until the statement was stepped. */
void bind_i64(sqlite3_stmt *, int at, int64_t);
void bind_str(sqlite3_stmt *, int at, struct str);
int64_t column_i64(sqlite3_stmt *, int at);
struct str column_str(struct call *, sqlite3_stmt *, int at); /* a copy */
/* 64 hex digits are stored as 32 bytes. */
void bind_sha(struct call *, sqlite3_stmt *, int at, struct str hex);
struct str column_sha(struct call *, sqlite3_stmt *, int at);

/* --- store_sqlite_names.c ------------------------------------------------------------------------- */
/* Where the lists of an owner have a device. */
struct str store_sqlite_owner_path(struct call *, struct str owner, struct str key);
/* A device that was just written gets its name. */
MUST enum rc store_sqlite_add_name(struct store_sqlite *, struct call *, const struct device *,
                                   int64_t device_id);
/* Before the COMMIT: if too many names wait in memory, move about as many as the turn added to the disk. */
MUST enum rc store_sqlite_sweep(struct store_sqlite *, struct call *);
/* At the start: the names that are not on the disk. */
MUST enum rc store_sqlite_find_tail(struct store_sqlite *, struct call *);

/* --- store_sqlite_read.c --------------------------------------------------------------------------- */
extern const struct store_ops store_sqlite_ops;
/* Row and version of a device; id 0 if there is none. From memory or by reading. */
MUST enum rc store_sqlite_see(struct store_sqlite *, struct call *, struct str key, int64_t version,
                              struct seen *ret_seen);
void store_sqlite_remember(struct store_sqlite *, struct str key, const struct seen *);
/* The row of a reply, dead ones included; 0 if there is none. */
MUST enum rc store_sqlite_find_reply(struct store_sqlite *, struct call *, struct str owner,
                                     struct str key, int64_t *ret_id, struct reply *ret_reply);
int64_t store_sqlite_reply_hash(struct str owner, struct str key);
/* First read of what memory keeps of the tables. */
MUST enum rc store_sqlite_fill_mirror(struct store_sqlite *, struct call *);

/* --- store_sqlite_log.c --------------------------------------------------------------------------- */
MUST enum rc store_sqlite_log_list(struct store *, struct call *, struct str, int64_t, int64_t,
                                   bool, int, struct entry_page *);
MUST enum rc store_sqlite_log_covering(struct store *, struct call *, struct str, int64_t, int,
                                       struct entry_page *);
/* The row of an entry; 0 if retention took it. */
MUST enum rc store_sqlite_find_entry(struct store_sqlite *, struct call *, const struct seen *,
                                     int64_t seq, int64_t *ret_id);

/* --- store_sqlite_keys.c ---------------------------------------------------------------------------- */
MUST enum rc store_sqlite_key_get(struct store *, struct call *, struct str, struct key *);
MUST enum rc store_sqlite_key_list(struct store *, struct call *, struct str, int,
                                   struct key_page *);
/* Before a credential is written, and when a turn is rolled back. */
void store_sqlite_forget_keys(struct store_sqlite *);

/* --- store_sqlite_write.c, store_sqlite_expire.c ------------------------------------------------------ */
MUST enum rc store_sqlite_commit(struct store *, struct call *, const struct change *);
MUST enum rc store_sqlite_notice_done(struct store *, struct call *, struct str, int64_t, int64_t);
MUST enum rc store_sqlite_ping(struct store *, struct call *);
MUST enum rc store_sqlite_expire(struct store *, struct call *, int64_t, int, int *);

#endif
