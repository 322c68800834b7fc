/* The store in one SQLite file: opening it, turns, and what an error means. Reads, the one write, retention
 * and backups are in the files store_sqlite_*.c beside.
 *
 * The rule kept here: what a turn wrote is durable when turn_commit returns RC_OK, and nothing of it holds
 * otherwise. SQLITE_FULL makes the turn void and the next one may try again; after any other error the file's
 * state is unknown (a failed fsync may have dropped pages that the kernel calls clean), so nothing is written
 * or synced any more and the home ends. Checkpoints are made here, not by SQLite's own hook, which would
 * swallow their errors. No rule of hourbell is in here. */
#include "adapters/store_sqlite_inner.h"

#include "base/diag.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_DEFAULT_KIB                                                                          \
    8192 /* a commit looks through all of it, and the kernel caches the file as well */
/* Carrying the WAL over costs two syncs and a write of each page that it holds, once. While turns are large, many wait
 * for the next one, so the WAL may grow and a page that was written often is carried over once; after a small turn it is
 * done early and takes milliseconds. 64 MiB are read again after a crash in less than a tenth of a second. */
#define CHECKPOINT_CALM_PAGES 1000
#define CHECKPOINT_BUSY_PAGES 16384
#define TURN_CALM_PAGES 100 /* a turn that wrote less was small */

/* ---- errors ---------------------------------------------------------------------------------- */

enum rc store_sqlite_fail(struct store_sqlite *self, struct call *call, const char *doing)
{
    int code = sqlite3_extended_errcode(self->db);
    bool full = (code & 0xff) == SQLITE_FULL;
    if (self->read_only) { /* no turn that could be void: who checks a file goes on */
        return call_why(call, RC_BROKEN, "%s: %s (%d)", doing, sqlite3_errmsg(self->db), code);
    }
    if (self->void_rc == RC_OK) {
        self->void_rc = full ? RC_BUSY : RC_BROKEN;
        snprintf(self->void_why, sizeof self->void_why, "%s: %s (%d)", doing,
                 sqlite3_errmsg(self->db), code);
    }
    if (!full) {
        self->void_rc = RC_BROKEN;
        self->broken = true;
    }
    snprintf(call->why, sizeof call->why, "%s", self->void_why);
    return self->void_rc;
}

enum rc store_sqlite_corrupt(struct store_sqlite *self, struct call *call, const char *what)
{
    if (self->read_only) {
        return call_why(call, RC_BROKEN, "%s", what);
    }
    self->void_rc = RC_BROKEN;
    self->broken = true;
    snprintf(self->void_why, sizeof self->void_why, "%s", what);
    snprintf(call->why, sizeof call->why, "%s", what);
    return RC_BROKEN;
}

/* ---- statements ------------------------------------------------------------------------------- */

static const char *const statement_texts[STATEMENT_COUNT] = {
#define X(name, sql) sql,
    STATEMENTS(X)
#undef X
};

enum rc store_sqlite_statement(struct store_sqlite *self, struct call *call,
                               enum statement statement, sqlite3_stmt **ret_statement)
{
    sqlite3_stmt **cached = &self->statements[statement];
    if (!*cached && sqlite3_prepare_v3(self->db, statement_texts[statement], -1,
                                       SQLITE_PREPARE_PERSISTENT, cached, NULL) != SQLITE_OK) {
        return store_sqlite_fail(self, call, statement_texts[statement]);
    }
    assert(!sqlite3_stmt_busy(*cached)); /* a statement is not used inside its own loop */
    *ret_statement = *cached;
    return RC_OK;
}

void statement_reset(sqlite3_stmt **statement)
{
    if (*statement) {
        sqlite3_reset(*statement); /* its code repeats that of the step, which was looked at */
    }
}

enum rc store_sqlite_step(struct store_sqlite *self, struct call *call, sqlite3_stmt *statement,
                          bool *ret_row)
{
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return store_sqlite_fail(self, call, "a statement of the store");
    }
    *ret_row = code == SQLITE_ROW;
    return RC_OK;
}

enum rc store_sqlite_run(struct store_sqlite *self, struct call *call, sqlite3_stmt *statement)
{
    bool row = false;
    TRY(store_sqlite_step(self, call, statement, &row));
    assert(!row);
    return RC_OK;
}

static void run_bound(int code)
{
    assert(code == SQLITE_OK); /* a parameter that does not exist, or a statement in mid-step */
}

void bind_i64(sqlite3_stmt *statement, int at, int64_t number)
{
    run_bound(sqlite3_bind_int64(statement, at, number));
}

void bind_str(sqlite3_stmt *statement, int at, struct str text)
{
    run_bound(
        sqlite3_bind_text(statement, at, text.len ? text.s : "", (int)text.len, SQLITE_STATIC));
}

void bind_sha(struct call *call, sqlite3_stmt *statement, int at, struct str hex)
{
    struct str bytes = STR_NONE;
    enum rc rc = text_unhex(call->arena, hex, &bytes);
    assert(rc == RC_OK); /* the gate looked at its length; log.c makes it */
    run_bound(sqlite3_bind_blob(statement, at, bytes.s, (int)bytes.len, SQLITE_STATIC));
}

int64_t column_i64(sqlite3_stmt *statement, int at)
{
    return sqlite3_column_int64(statement, at);
}

struct str column_str(struct call *call, sqlite3_stmt *statement, int at)
{
    const char *text =
        sqlite3_column_blob(statement, at); /* as text it would be scanned for its NUL */
    struct str borrowed = {text, (size_t)sqlite3_column_bytes(statement, at)};
    return borrowed.len ? arena_copy(call->arena, borrowed) : STR("");
}

struct str column_sha(struct call *call, sqlite3_stmt *statement, int at)
{
    const char *bytes = sqlite3_column_blob(statement, at);
    return text_hex(call->arena, (struct str){bytes, (size_t)sqlite3_column_bytes(statement, at)});
}

/* ---- transactions ------------------------------------------------------------------------------ */

static enum rc run_statement(struct store_sqlite *self, struct call *call, enum statement which)
{
    CLEANUP(statement_reset) sqlite3_stmt *statement = NULL;
    TRY(store_sqlite_statement(self, call, which, &statement));
    return store_sqlite_run(self, call, statement);
}

static int count_wal_pages(void *context, sqlite3 *db UNUSED, const char *name UNUSED, int pages)
{
    ((struct store_sqlite *)context)->wal_pages = pages;
    return SQLITE_OK;
}

/* Back to the last COMMIT, in the file and in memory. */
static void roll_back(struct store_sqlite *self)
{
    /* some errors have rolled back already; a rollback itself writes nothing in WAL mode */
    if (!sqlite3_get_autocommit(self->db)) {
        sqlite3_exec(self->db, "ROLLBACK", NULL, NULL, NULL);
    }
    self->in_transaction = false;
    self->mirror = self->mirror_before;
    memset(self->seen, 0, sizeof self->seen);
    store_sqlite_forget_keys(self);
}

/* Carry the WAL over into the file. The turn is durable already, so a full disk is no error yet: the WAL grows on. */
static enum rc checkpoint(struct store_sqlite *self, struct call *call)
{
    int code = sqlite3_wal_checkpoint_v2(self->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (code == SQLITE_OK) {
        self->wal_pages = 0;
        return RC_OK;
    }
    if ((code & 0xff) == SQLITE_FULL) {
        DIAG(DIAG_WARN, "checkpoint_disk_full", DIAG_NUMBER("wal_pages", self->wal_pages));
        self->wal_pages = 0; /* try again after as many pages */
        return RC_OK;
    }
    return store_sqlite_fail(self, call, "checkpoint");
}

/* End the transaction: durable, or as if it had not been. */
static enum rc finish(struct store_sqlite *self, struct call *call)
{
    enum rc rc = self->void_rc;
    int pages_before = self->wal_pages;
    if (rc != RC_OK) {
        snprintf(call->why, sizeof call->why, "%s", self->void_why);
    } else if (self->in_transaction) {
        rc = store_sqlite_sweep(self, call);
        rc = rc == RC_OK ? run_statement(self, call, SQL_commit) : rc;
    }
    if (rc != RC_OK) {
        roll_back(self);
        self->void_rc = self->broken ? RC_BROKEN : RC_OK;
        return rc;
    }
    self->in_transaction = false;
    self->mirror_before = self->mirror;
    bool calm = self->wal_pages - pages_before < TURN_CALM_PAGES;
    if (self->wal_pages >= (calm ? self->calm_pages : self->busy_pages)) {
        return checkpoint(self, call);
    }
    return RC_OK;
}

enum rc store_sqlite_enter(struct store_sqlite *self, struct call *call)
{
    if (self->void_rc != RC_OK) {
        snprintf(call->why, sizeof call->why, "%s", self->void_why);
        return self->void_rc;
    }
    return RC_OK;
}

enum rc store_sqlite_enter_write(struct store_sqlite *self, struct call *call)
{
    assert(!self->read_only &&
           self->in_turn == self->turns); /* a write of a server stands in a turn */
    TRY(store_sqlite_enter(self, call));
    if (!self->in_transaction) {
        TRY(run_statement(self, call, SQL_begin));
        self->in_transaction = true;
    }
    return RC_OK;
}

enum rc store_sqlite_leave_write(struct store_sqlite *self, struct call *call, enum rc rc)
{
    if (self->in_turn) {
        return rc;
    }
    enum rc finished = finish(self, call);
    return finished == RC_OK ? rc : finished;
}

void store_sqlite_turn_begin(struct store *store)
{
    struct store_sqlite *self = store_sqlite_of(store);
    assert(self->turns && !self->in_turn && !self->in_transaction);
    self->in_turn = true;
}

enum rc store_sqlite_turn_commit(struct store *store, struct call *call)
{
    struct store_sqlite *self = store_sqlite_of(store);
    assert(self->in_turn);
    self->in_turn = false;
    return finish(self, call);
}

void store_sqlite_turn_rollback(struct store *store)
{
    struct store_sqlite *self = store_sqlite_of(store);
    assert(self->in_turn);
    self->in_turn = false;
    roll_back(self);
    self->void_rc = self->broken ? RC_BROKEN : RC_OK;
}

/* ---- opening -------------------------------------------------------------------------------------- */

/* Hold "<path>.lock" as long as the store is open. */
static enum rc take_lock(struct store_sqlite *self, struct call *call, const char *path)
{
    char name[PATH_MAX];
    if (snprintf(name, sizeof name, "%s.lock", path) >= (int)sizeof name) {
        return call_why(call, RC_INVALID, "%s: the path is too long", path);
    }
    int flags = self->read_only ? O_RDONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC;
    self->lock_fd = open(name, flags, 0600);
    if (self->lock_fd < 0) {
        if (self->read_only && errno == ENOENT) {
            return RC_OK; /* a backup, or data that no server has opened here */
        }
        return call_why(call, errno == ENOSPC ? RC_BUSY : RC_BROKEN, "%s: %s", name,
                        strerrordesc_np(errno));
    }
    if (flock(self->lock_fd, (self->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        return call_why(call, errno == EWOULDBLOCK ? RC_CONFLICT : RC_BROKEN,
                        "%s: another process has these data open", path);
    }
    return RC_OK;
}

/* One number that a pragma gives. */
static enum rc pragma_number(struct store_sqlite *self, struct call *call, const char *pragma,
                             int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    enum rc rc = RC_OK;
    bool row = false;
    if (sqlite3_prepare_v2(self->db, pragma, -1, &statement, NULL) != SQLITE_OK) {
        rc = store_sqlite_fail(self, call, pragma);
    } else {
        rc = store_sqlite_step(self, call, statement, &row);
    }
    *ret_number = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return rc;
}

static enum rc run_text(struct store_sqlite *self, struct call *call, const char *sql)
{
    if (sqlite3_exec(self->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return store_sqlite_fail(self, call, sql);
    }
    return RC_OK;
}

/* Make the tables, or bring an older file to this version; refuse a foreign or newer one. */
static enum rc bring_schema(struct store_sqlite *self, struct call *call, const char *path)
{
    static const char *const steps[STORE_SQLITE_SCHEMA] = {SCHEMA_STEPS};
    int64_t application_id = 0, version = 0, tables = 0;
    char stamp[128];
    TRY(pragma_number(self, call, "PRAGMA application_id", &application_id));
    TRY(pragma_number(self, call, "PRAGMA user_version", &version));
    TRY(pragma_number(self, call, "SELECT count(*) FROM sqlite_schema", &tables));
    if (application_id != SCHEMA_APPLICATION_ID && (tables > 0 || self->read_only)) {
        return call_why(call, RC_INVALID, "%s: this is no database of hourbell", path);
    }
    if (version > STORE_SQLITE_SCHEMA) {
        return call_why(call, RC_INVALID,
                        "%s: made by a newer hourbell (schema %lld, this one knows %d)", path,
                        (long long)version, STORE_SQLITE_SCHEMA);
    }
    if (version == STORE_SQLITE_SCHEMA) {
        return RC_OK;
    }
    if (self->read_only) {
        return call_why(call, RC_INVALID, "%s: made by an older hourbell; start the server once",
                        path);
    }
    TRY(run_text(self, call, "BEGIN IMMEDIATE"));
    for (int64_t step = version; step < STORE_SQLITE_SCHEMA; step++) {
        TRY(run_text(self, call, steps[step]));
    }
    snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             SCHEMA_APPLICATION_ID, STORE_SQLITE_SCHEMA);
    return run_text(self, call, stamp);
}

/* A file that nobody writes (the lock says so) and that has no WAL is opened as immutable: in a folder that may not be
 * written either, and without leaving anything there. out: "file:<path>?immutable=1". */
static void write_uri(struct text *text, const char *path)
{
    text_add(text, STR("file:"));
    for (const char *c = path; *c; c++) {
        if (strchr("%?#", *c)) {
            text_printf(text, "%%%02x", (unsigned)*c);
        } else {
            text_add_char(text, *c);
        }
    }
    text_add(text, STR("?immutable=1"));
    text_add_char(text, 0);
}

static bool has_wal(struct call *call, const char *path)
{
    struct stat about;
    struct str wal = arena_printf(call->arena, "%s-wal", path);
    return stat(wal.s, &about) == 0 && about.st_size > 0;
}

static enum rc open_database(struct store_sqlite *self, struct call *call, const char *path,
                             const struct store_sqlite_options *options)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    const char *name = path;
    struct text uri;
    flags |= self->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (self->read_only && access(path, F_OK) != 0) {
        return call_why(call, RC_NOT_FOUND, "%s: there is no such file", path);
    }
    if (self->read_only && !has_wal(call, path)) {
        text_open(&uri, call->arena, 4 * PATH_MAX);
        write_uri(&uri, path);
        name = text_str(&uri).s;
        flags |= SQLITE_OPEN_URI;
    }
    int code = sqlite3_open_v2(name, &self->db, flags, options->vfs);
    if (code != SQLITE_OK) {
        enum rc rc = (code & 0xff) == SQLITE_FULL ? RC_BUSY : RC_BROKEN;
        return call_why(call, rc, "%s: %s", path, sqlite3_errstr(code));
    }
    return RC_OK;
}

/* EXCLUSIVE comes before the file is first read: one connection for good, so no shared memory and no lock calls, and a
 * stray sqlite3 shell is kept out. */
static enum rc set_up(struct store_sqlite *self, struct call *call, const char *path,
                      const struct store_sqlite_options *options)
{
    char cache[64];
    snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d",
             options->cache_kib > 0 ? options->cache_kib : CACHE_DEFAULT_KIB);
    if (!self->read_only) {
        TRY(run_text(self, call, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL"));
        TRY(run_text(self, call, "PRAGMA synchronous = FULL; PRAGMA secure_delete = FAST"));
        sqlite3_wal_hook(self->db, count_wal_pages, self);
    }
    TRY(run_text(self, call, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON"));
    TRY(run_text(self, call, "PRAGMA temp_store = MEMORY"));
    TRY(run_text(self, call, cache));
    TRY(bring_schema(self, call, path));
    TRY(run_text(self, call, SCHEMA_IN_MEMORY));
    TRY(store_sqlite_find_tail(self, call));
    TRY(store_sqlite_fill_mirror(self, call));
    self->mirror_before = self->mirror;
    return RC_OK;
}

enum rc store_sqlite_open(struct call *call, const char *path,
                          const struct store_sqlite_options *options, struct store **ret_store)
{
    static const struct store_sqlite_options defaults = {0};
    options = options ? options : &defaults;
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS,
                   0); /* no counting under a lock; refused once SQLite is in use */
    struct store_sqlite *self = calloc(1, sizeof *self);
    if (!self) {
        return call_why(call, RC_BROKEN, "out of memory");
    }
    *self = (struct store_sqlite){.store.ops = &store_sqlite_ops,
                                  .store.foreign = options->read_only,
                                  .lock_fd = -1,
                                  .turns = options->turns,
                                  .read_only = options->read_only,
                                  .tail_names = options->tail_names,
                                  .calm_pages = CHECKPOINT_CALM_PAGES,
                                  .busy_pages = CHECKPOINT_BUSY_PAGES};
    arena_open(&self->kept.arena, 0);
    if (options->checkpoint_pages > 0) {
        self->calm_pages = self->busy_pages = options->checkpoint_pages;
    }
    bool is_file = strcmp(path, ":memory:") != 0;
    enum rc rc = is_file ? take_lock(self, call, path) : RC_OK;
    if (rc == RC_OK && is_file && !options->vfs && !self->read_only) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC,
                      0600); /* for the owner's eyes, whatever the umask */
        if (fd >= 0) {
            close(fd);
        }
    }
    if (rc == RC_OK) {
        rc = open_database(self, call, path, options);
    }
    if (rc == RC_OK) {
        rc = set_up(self, call, path, options);
    }
    if (rc != RC_OK) {
        store_sqlite_close(&self->store);
        return rc;
    }
    *ret_store = &self->store;
    return RC_OK;
}

void store_sqlite_close(struct store *store)
{
    if (!store) {
        return;
    }
    struct store_sqlite *self = store_sqlite_of(store);
    if (self->db && self->in_turn) {
        store_sqlite_turn_rollback(store);
    }
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(self->statements[i]);
    }
    if (self->broken) {
        sqlite3_db_config(self->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    int code = sqlite3_close(
        self->db); /* carries the WAL over and removes it; what fails stays in the WAL */
    assert(code == SQLITE_OK); /* a statement or a backup is still open */
    if (self->lock_fd >= 0) {
        close(self->lock_fd);
    }
    arena_close(&self->kept.arena);
    free(self);
}
