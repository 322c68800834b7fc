/* The SQLite store by itself: turns, a disk that fails, the power, two openers, versions of the file.
 * What every store must do is in contract_store.c; backups are in test_store_backup.c. */
#include "adapters/store_sqlite.h"

#include "fault_vfs.h"
#include "store_desk.h"
#include "test.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

static const struct store_sqlite_options on_fault_disk = {
    .turns = true, .checkpoint_pages = 1000000, .tail_names = 2};

/* A desk on a file, with turns. options NULL: defaults with turns. */
static void open_desk(struct desk *desk, const char *path,
                      const struct store_sqlite_options *options)
{
    static const struct store_sqlite_options turns = {.turns = true};
    desk_open(desk, NULL);
    enum rc rc = store_sqlite_open(&desk->call, path, options ? options : &turns, &desk->store);
    CHECK_STR(str_of(desk->call.why), "");
    CHECK_RC(rc, RC_OK);
}

static void open_fault_desk(struct desk *desk, int checkpoint_pages)
{
    struct store_sqlite_options options = on_fault_disk;
    options.vfs = fault_vfs();
    options.checkpoint_pages = checkpoint_pages;
    open_desk(desk, "fault.db", &options);
}

static void close_desk(struct desk *desk)
{
    store_sqlite_close(desk->store);
    desk_close(desk);
}

static enum rc commit_turn(struct desk *desk)
{
    return store_sqlite_turn_commit(desk->store, &desk->call);
}

static void begin(struct desk *desk)
{
    store_sqlite_turn_begin(desk->store);
}

static void create_in_turn(struct desk *desk, const char *key)
{
    begin(desk);
    desk_create(desk, key, "acme");
    CHECK_RC(commit_turn(desk), RC_OK);
}

static bool is_there(struct desk *desk, const char *key)
{
    return desk_read(desk, key).version > 0;
}

/* Memory and file agree: the counts that are kept are those that a fresh start finds, and the file is sound. */
static void check_sound(struct desk *desk, const char *path,
                        const struct store_sqlite_options *options)
{
    struct work_counts kept, fresh;
    CHECK_RC(store_work_count(desk->store, &desk->call, &kept), RC_OK);
    CHECK_RC(store_sqlite_verify(desk->store, &desk->call), RC_OK);
    store_sqlite_close(desk->store);
    CHECK_RC(store_sqlite_open(&desk->call, path, options, &desk->store), RC_OK);
    CHECK_RC(store_work_count(desk->store, &desk->call, &fresh), RC_OK);
    CHECK(memcmp(&kept, &fresh, sizeof kept) == 0);
}

/* ---- turns ------------------------------------------------------------------------------------ */

TEST(a_refused_call_in_mid_turn_leaves_no_trace_and_the_turn_goes_on)
{
    struct desk desk;
    struct desk_draft draft;
    struct reply reply = {
        .owner = STR("acme"), .key = STR("again"), .status = 201, .head = STR(""), .body = STR("")};
    open_desk(&desk, "store.db", NULL);
    create_in_turn(&desk, "live/taken");
    begin(&desk);
    desk_create(&desk, "live/before", "acme");
    desk_new(&desk, &draft, "live/taken", "other");
    reply.fingerprint = desk_sha(&desk, 1);
    reply.expires_at_ms = desk.call.now_ms + 1;
    draft.change.reply = &reply;
    draft.entries[0].notice_at_ms = 5;
    CHECK_RC(desk_commit(&desk, &draft), RC_CONFLICT);
    desk_create(&desk, "live/after", "acme");
    CHECK_RC(commit_turn(&desk), RC_OK);
    CHECK_STR(desk_read(&desk, "live/taken").owner, "acme");
    CHECK(is_there(&desk, "live/before") && is_there(&desk, "live/after"));
    CHECK_RC(store_reply_get(desk.store, &desk.call, STR("acme"), STR("again"), &reply), RC_OK);
    CHECK_INT(reply.status, 0);
    check_sound(&desk, "store.db", NULL);
    close_desk(&desk);
}

/* P5 */
TEST(of_two_creates_of_one_key_in_a_turn_the_second_conflicts)
{
    struct desk desk;
    struct desk_draft draft;
    open_desk(&desk, ":memory:", NULL);
    begin(&desk);
    desk_create(&desk, "live/pump", "acme");
    desk_new(&desk, &draft, "live/pump", "other");
    CHECK_RC(desk_commit(&desk, &draft), RC_CONFLICT);
    CHECK_RC(commit_turn(&desk), RC_OK);
    CHECK_STR(desk_read(&desk, "live/pump").owner, "acme");
    close_desk(&desk);
}

TEST(later_calls_of_a_turn_see_the_rows_of_earlier_ones)
{
    struct desk desk;
    open_desk(&desk, ":memory:", NULL);
    begin(&desk);
    desk_create(&desk, "live/pump", "acme");
    desk_append(&desk, "live/pump", 2);
    desk_append(&desk, "live/pump", 1);
    CHECK_INT(desk_log(&desk, "live/pump").count, 4);
    CHECK_RC(commit_turn(&desk), RC_OK);
    CHECK_INT(desk_log(&desk, "live/pump").count, 4);
    close_desk(&desk);
}

TEST(a_turn_that_is_rolled_back_was_not)
{
    struct desk desk;
    open_desk(&desk, "store.db", NULL);
    create_in_turn(&desk, "live/pump");
    begin(&desk);
    desk_append(&desk, "live/pump", 2);
    desk_create(&desk, "live/valve", "acme");
    store_sqlite_turn_rollback(desk.store);
    CHECK(!is_there(&desk, "live/valve"));
    CHECK_INT(desk_log(&desk, "live/pump").count, 1);
    begin(&desk);
    desk_append(&desk, "live/pump", 1);
    desk_create(&desk, "live/valve", "other");
    CHECK_RC(commit_turn(&desk), RC_OK);
    CHECK_INT(desk_log(&desk, "live/pump").count, 2);
    check_sound(&desk, "store.db", NULL);
    close_desk(&desk);
}

/* ---- credentials that are kept in memory -------------------------------------------------------- */

static void write_key_version(struct desk *desk, const char *id, int64_t version, const char *label)
{
    struct key key = {
        .id = str_of(id), .version = version, .role = ROLE_CUSTOMER, .owner = STR("acme")};
    struct change change = {.api_key = &key};
    key.realm = STR("live");
    key.label = str_of(label);
    key.secrets[0].sha = desk_sha(desk, version);
    CHECK_RC(store_commit(desk->store, &desk->call, &change), RC_OK);
}

static void check_key(struct desk *desk, const char *id, int64_t version, const char *label)
{
    struct key key;
    CHECK_RC(store_key_get(desk->store, &desk->call, str_of(id), &key), RC_OK);
    CHECK_INT(key.version, version);
    CHECK_STR(key.label, label);
    if (version > 0) {
        CHECK_STR(key.id, id);
        CHECK_BYTES(key.secrets[0].sha, desk_sha(desk, version));
    }
}

/* P9 */
TEST(memory_learns_of_a_credential_only_what_is_committed)
{
    struct desk desk;
    open_desk(&desk, "t.db", NULL);
    begin(&desk);
    write_key_version(&desk, "k_1", 1, "never was");
    check_key(&desk, "k_1", 1, "never was");
    store_sqlite_turn_rollback(desk.store);
    check_key(&desk, "k_1", 0, "");

    begin(&desk);
    write_key_version(&desk, "k_1", 1, "first");
    CHECK_RC(commit_turn(&desk), RC_OK);
    check_key(&desk, "k_1", 1, "first");
    check_key(&desk, "k_1", 1, "first");

    begin(&desk);
    write_key_version(&desk, "k_1", 2, "second");
    check_key(&desk, "k_1", 2, "second");
    store_sqlite_turn_rollback(desk.store);
    check_key(&desk, "k_1", 1, "first");

    begin(&desk);
    check_key(&desk, "k_1", 1, "first");
    write_key_version(&desk, "k_1", 2, "second");
    CHECK_RC(commit_turn(&desk), RC_OK);
    check_key(&desk, "k_1", 2, "second");
    close_desk(&desk);
}

TEST(more_credentials_than_memory_keeps_are_all_found)
{
    struct desk desk;
    char id[16];
    open_desk(&desk, "t.db", NULL);
    begin(&desk);
    for (int i = 0; i < 700; i++) {
        snprintf(id, sizeof id, "k_%d", i);
        write_key_version(&desk, id, 1, id);
    }
    CHECK_RC(commit_turn(&desk), RC_OK);
    for (int i = 0; i < 2100; i++) {
        snprintf(id, sizeof id, "k_%d", i * 37 % 700);
        check_key(&desk, id, 1, id);
    }
    check_key(&desk, "k_700", 0, "");
    close_desk(&desk);
}

TEST(a_turn_syncs_once_and_a_turn_without_a_write_not_at_all)
{
    struct desk desk;
    struct desk_draft draft;
    open_fault_desk(&desk, 1000000);
    create_in_turn(&desk, "live/0");
    int64_t syncs = fault_disk.sync_count, writes = fault_disk.write_count;
    begin(&desk);
    CHECK(is_there(&desk, "live/0"));
    CHECK_RC(commit_turn(&desk), RC_OK);
    begin(&desk);
    desk_new(&desk, &draft, "live/0", "acme");
    CHECK_RC(desk_commit(&desk, &draft), RC_CONFLICT);
    CHECK_RC(commit_turn(&desk), RC_OK);
    CHECK_INT(fault_disk.sync_count - syncs, 0);
    CHECK_INT(fault_disk.write_count - writes, 0);
    begin(&desk);
    for (int i = 1; i <= 50; i++) {
        desk_create(&desk, desk_text(&desk, "live/%d", i).s, "acme");
    }
    CHECK_INT(fault_disk.sync_count - syncs, 0);
    CHECK_RC(commit_turn(&desk), RC_OK);
    CHECK_INT(fault_disk.sync_count - syncs, 1);
    close_desk(&desk);
    fault_disk_erase();
}

static int64_t size_of(const char *path)
{
    struct stat about;
    CHECK_INT(stat(path, &about), 0);
    return about.st_size;
}

TEST(the_wal_grows_while_turns_are_large_and_is_carried_over_after_a_small_one)
{
    struct desk desk;
    open_desk(&desk, "t.db", NULL);
    int64_t empty_bytes = size_of("t.db");
    char key[32];
    for (int i = 0; size_of("t.db-wal") < 1200 * 4096; i++) {
        begin(&desk);
        for (int j = 0; j < 2000; j++) { /* some 150 pages */
            snprintf(key, sizeof key, "live/d-%d-%d", i, j);
            desk_create(&desk, key, "acme");
        }
        CHECK_RC(commit_turn(&desk), RC_OK);
    }
    CHECK_INT(size_of("t.db"), empty_bytes);
    create_in_turn(&desk, "live/last");
    CHECK(size_of("t.db") > empty_bytes + 100 * 4096);
    check_sound(&desk, "t.db", &(struct store_sqlite_options){.turns = true});
    close_desk(&desk);
}

/* ---- a full disk ------------------------------------------------------------------------------- */

/* P1: what was answered stays, what was not is as if it had not been asked */
static void check_void_turn(struct desk *desk)
{
    struct desk_draft draft;
    struct device device;
    CHECK_RC(commit_turn(desk), RC_BUSY);
    CHECK(!is_there(desk, "live/new"));
    CHECK_INT(desk_log(desk, "live/pump").count, 1);
    begin(desk);
    desk_new(desk, &draft, "live/new", "acme");
    enum rc rc = desk_commit(desk, &draft); /* still full: at the write or at the commit */
    CHECK(rc == RC_OK || rc == RC_BUSY);
    CHECK_RC(commit_turn(desk), RC_BUSY);
    fault_disk.full = false;
    begin(desk);
    desk_create(desk, "live/new", "other"); /* the name is free again */
    desk_append(desk, "live/pump", 1);
    CHECK_RC(commit_turn(desk), RC_OK);
    CHECK_RC(store_device_get(desk->store, &desk->call, STR("live/new"), &device), RC_OK);
    CHECK_STR(device.owner, "other");
}

TEST(a_disk_that_is_full_at_the_commit_voids_the_turn_and_nothing_else)
{
    struct desk desk;
    open_fault_desk(&desk, 1000000);
    create_in_turn(&desk, "live/pump");
    begin(&desk);
    desk_create(&desk, "live/new", "acme");
    desk_append(&desk, "live/pump", 2);
    fault_disk.full = true;
    check_void_turn(&desk);
    struct store_sqlite_options options = on_fault_disk;
    options.vfs = fault_vfs();
    check_sound(&desk, "fault.db", &options);
    close_desk(&desk);
    fault_disk_erase();
}

/* Fill a turn until the page cache spills into the WAL: then a write in the middle of the turn meets the disk. */
TEST(a_disk_that_is_full_in_mid_turn_voids_the_turn_and_its_reads)
{
    struct desk desk;
    struct desk_draft draft;
    struct device device;
    struct work_counts counts;
    struct store_sqlite_options options = on_fault_disk;
    options.vfs = fault_vfs();
    options.cache_kib = 64;
    open_desk(&desk, "fault.db", &options);
    create_in_turn(&desk, "live/pump");
    begin(&desk);
    desk_create(&desk, "live/new", "acme");
    desk_append(&desk, "live/pump", 2);
    fault_disk.full = true;
    enum rc rc = RC_OK;
    int created = 0;
    while (rc == RC_OK) {
        desk_new(&desk, &draft, desk_text(&desk, "live/%d", created++).s, "acme");
        rc = desk_commit(&desk, &draft);
    }
    CHECK_INT(rc, RC_BUSY);
    CHECK_HAS(str_of(desk.call.why), "full");
    CHECK_RC(store_device_get(desk.store, &desk.call, STR("live/pump"), &device), RC_BUSY);
    CHECK_RC(store_work_count(desk.store, &desk.call, &counts), RC_BUSY);
    CHECK_RC(store_ping(desk.store, &desk.call), RC_BUSY);
    check_void_turn(&desk);
    CHECK(!is_there(&desk, "live/0"));
    check_sound(&desk, "fault.db", &options);
    close_desk(&desk);
    fault_disk_erase();
}

TEST(a_disk_that_is_full_at_a_checkpoint_loses_nothing)
{
    struct desk desk;
    open_fault_desk(&desk, 1);
    create_in_turn(&desk, "live/pump");
    begin(&desk);
    desk_create(&desk, "live/valve", "acme");
    fault_disk.fail_write_in = 1000;
    CHECK_RC(commit_turn(&desk), RC_OK);
    int64_t of_commit = 1000 - fault_disk.fail_write_in;
    bool hit = false;
    for (int64_t n = 1; n <= of_commit; n++) { /* the last ones are the checkpoint's */
        fault_disk.fail_write_in = n;
        begin(&desk);
        desk_append(&desk, "live/valve", 1);
        enum rc rc = commit_turn(&desk);
        CHECK(rc == RC_BUSY || rc == RC_OK);
        hit = hit || (rc == RC_OK && fault_disk.full);
        fault_disk.full = false;
        fault_disk.fail_write_in = 0;
    }
    CHECK(hit);
    struct entry_page log = desk_log(&desk, "live/valve");
    CHECK(log.count > 1);
    struct store_sqlite_options options = on_fault_disk;
    options.vfs = fault_vfs();
    check_sound(&desk, "fault.db", &options);
    CHECK_INT(desk_log(&desk, "live/valve").count, log.count);
    close_desk(&desk);
    fault_disk_erase();
}

/* ---- a failing sync ---------------------------------------------------------------------------- */

/* P11: after a failed sync nobody knows what the disk holds: nothing more is written, nothing is synced again */
static void check_broken(struct desk *desk)
{
    struct device device;
    int64_t writes = fault_disk.write_count, syncs = fault_disk.sync_count;
    CHECK_RC(store_device_get(desk->store, &desk->call, STR("live/pump"), &device), RC_BROKEN);
    begin(desk);
    CHECK_RC(store_ping(desk->store, &desk->call), RC_BROKEN);
    CHECK_RC(commit_turn(desk), RC_BROKEN);
    begin(desk);
    CHECK_RC(commit_turn(desk), RC_BROKEN);
    store_sqlite_close(desk->store);
    CHECK_INT(fault_disk.write_count, writes);
    CHECK_INT(fault_disk.sync_count, syncs);
    desk_close(desk);
}

TEST(a_sync_that_fails_at_the_commit_breaks_the_store_for_good)
{
    struct desk desk;
    open_fault_desk(&desk, 1000000);
    create_in_turn(&desk, "live/pump");
    begin(&desk);
    desk_create(&desk, "live/valve", "acme");
    fault_disk.fail_sync_in = 1;
    CHECK_RC(commit_turn(&desk), RC_BROKEN);
    CHECK_HAS(str_of(desk.call.why), "disk I/O error");
    check_broken(&desk);
    fault_disk_restart(FAULT_LOSE_ALL, 0);
    open_fault_desk(&desk, 1000000);
    CHECK(is_there(&desk, "live/pump") && !is_there(&desk, "live/valve"));
    CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_OK);
    close_desk(&desk);
    fault_disk_erase();
}

/* SQLite's own automatic checkpoint would swallow this error, and reset the WAL over pages that were lost. */
TEST(a_sync_that_fails_at_a_checkpoint_breaks_the_store_for_good)
{
    bool failed = true, at_commit = false, at_checkpoint = false;
    for (int64_t n = 1; failed; n++) {
        struct desk desk;
        open_fault_desk(&desk, 1);
        create_in_turn(&desk, "live/pump");
        begin(&desk);
        desk_create(&desk, "live/valve", "acme");
        fault_disk.fail_sync_in = n;
        enum rc rc = commit_turn(&desk);
        failed = fault_disk.fail_sync_in == 0;
        CHECK_RC(rc, failed ? RC_BROKEN : RC_OK);
        if (failed) {
            check_broken(&desk);
            fault_disk_restart(FAULT_LOSE_ALL, 0);
            open_fault_desk(&desk, 1);
        }
        CHECK(is_there(&desk, "live/pump"));
        *(is_there(&desk, "live/valve") ? &at_checkpoint : &at_commit) |= failed;
        CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_OK);
        close_desk(&desk);
        fault_disk_erase();
    }
    CHECK(at_commit && at_checkpoint);
}

/* ---- the power ---------------------------------------------------------------------------------- */

#define RUN_TURNS 12

/* One run: turns that create, update, tell and forget. Returns how many of them were answered. */
static int run_turns(struct desk *desk)
{
    struct desk_draft draft;
    int answered = 0;
    for (int i = 0; i < RUN_TURNS; i++) {
        char key[32], before[32];
        snprintf(key, sizeof key, "live/%d", i);
        snprintf(before, sizeof before, "live/%d", i - 1);
        begin(desk);
        desk_new(desk, &draft, key, "acme");
        draft.entries[0].notice_at_ms = 1;
        enum rc rc = desk_commit(desk, &draft);
        if (rc == RC_OK && i > 0) {
            desk_next(desk, &draft, before, 2);
            draft.device.work = WORK_OPEN;
            draft.device.at_ms = i;
            rc = desk_commit(desk, &draft);
        }
        if (rc == RC_OK && i > 0) {
            rc = store_notice_done(desk->store, &desk->call, str_of(before), 0, 0);
        }
        enum rc end = commit_turn(desk);
        CHECK(rc == end || end == RC_BROKEN);
        if (end != RC_OK) {
            return answered;
        }
        answered++;
    }
    return answered;
}

/* P1: exactly the answered turns are there, and at most the one that was under way; each wholly or not at all. */
static void check_after_power(int answered, int checkpoint_pages)
{
    struct desk desk;
    open_fault_desk(&desk, checkpoint_pages);
    CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_OK);
    int there = 0;
    while (there < RUN_TURNS && is_there(&desk, desk_text(&desk, "live/%d", there).s)) {
        there++;
    }
    CHECK(there == answered || there == answered + 1);
    for (int i = 0; i < RUN_TURNS; i++) {
        struct str key = desk_text(&desk, "live/%d", i);
        CHECK_INT(is_there(&desk, key.s), i < there);
        CHECK_INT(desk_log(&desk, key.s).count, i < there - 1 ? 3 : i < there ? 1 : 0);
        if (i < there) {
            CHECK_INT(desk_log(&desk, key.s).items[0].notice_at_ms, i == there - 1);
        }
    }
    close_desk(&desk);
}

static void lose_power_everywhere(enum fault_loss loss, int checkpoint_pages)
{
    bool went = true;
    for (int64_t n = 1; went; n++) {
        struct desk desk;
        open_fault_desk(&desk, checkpoint_pages);
        fault_disk.power_in = n;
        int answered = run_turns(&desk);
        went = fault_disk.dead;
        CHECK(went || answered == RUN_TURNS);
        store_sqlite_close(desk.store); /* a process that dies later than the disk */
        desk_close(&desk);
        fault_disk_restart(loss, (uint64_t)n);
        check_after_power(answered, checkpoint_pages);
        fault_disk_erase();
        CHECK(n < 10000);
    }
}

TEST(power_that_goes_at_any_write_keeps_exactly_the_answered_turns)
{
    lose_power_everywhere(FAULT_LOSE_ALL, 1000000);
}

TEST(power_that_goes_during_checkpoints_keeps_exactly_the_answered_turns)
{
    lose_power_everywhere(FAULT_LOSE_ALL, 8);
}

TEST(torn_and_reordered_writes_keep_exactly_the_answered_turns)
{
    lose_power_everywhere(FAULT_LOSE_SOME, 8);
}

TEST(a_killed_process_leaves_what_it_had_committed)
{
    struct desk desk;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        open_desk(&desk, "store.db", NULL);
        create_in_turn(&desk, "live/kept");
        begin(&desk);
        desk_create(&desk, "live/lost", "acme");
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_desk(&desk, "store.db", NULL);
    CHECK(is_there(&desk, "live/kept") && !is_there(&desk, "live/lost"));
    CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_OK);
    close_desk(&desk);
}

/* ---- opening --------------------------------------------------------------------------------------- */

static enum rc try_open(const char *path, const struct store_sqlite_options *options, char *ret_why)
{
    struct desk desk;
    desk_open(&desk, NULL);
    enum rc rc = store_sqlite_open(&desk.call, path, options, &desk.store);
    memcpy(ret_why, desk.call.why, sizeof desk.call.why);
    close_desk(&desk);
    return rc;
}

TEST(a_second_opener_of_the_same_data_is_refused)
{
    struct desk desk;
    char why[256];
    static const struct store_sqlite_options reading = {.read_only = true};
    open_desk(&desk, "store.db", NULL);
    CHECK_RC(try_open("store.db", NULL, why), RC_CONFLICT);
    CHECK_HAS(str_of(why), "store.db");
    CHECK_RC(try_open("store.db", &reading, why), RC_CONFLICT);
    create_in_turn(&desk, "live/pump"); /* the first one is none the worse */
    close_desk(&desk);
    CHECK_RC(try_open("store.db", NULL, why), RC_OK);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

TEST(a_file_of_a_newer_version_is_refused)
{
    char why[256];
    CHECK_RC(try_open("store.db", NULL, why), RC_OK);
    run_sql("store.db", "PRAGMA user_version = 1000");
    CHECK_RC(try_open("store.db", NULL, why), RC_INVALID);
    CHECK_HAS(str_of(why), "newer");
    CHECK_HAS(str_of(why), "1000");
}

TEST(a_file_of_something_else_is_refused_and_left_alone)
{
    char why[256];
    run_sql("other.db", "CREATE TABLE precious(x)");
    CHECK_RC(try_open("other.db", NULL, why), RC_INVALID);
    CHECK_HAS(str_of(why), "other.db");
    run_sql("other.db", "INSERT INTO precious VALUES(1)");
    FILE *file = fopen("text.db", "w");
    CHECK(file &&
          fputs("this is a letter, not a database; it goes on for a while ......................"
                "..................................................",
                file) >= 0);
    CHECK_INT(fclose(file), 0);
    CHECK_RC(try_open("text.db", NULL, why), RC_BROKEN);
}

TEST(reading_only_needs_a_file_and_refuses_to_make_one)
{
    char why[256];
    static const struct store_sqlite_options reading = {.read_only = true};
    CHECK_RC(try_open("nothing.db", &reading, why), RC_NOT_FOUND);
    CHECK(access("nothing.db", F_OK) != 0);
    CHECK_RC(try_open("/nowhere/store.db", NULL, why), RC_BROKEN);
    CHECK_HAS(str_of(why), "/nowhere/store.db");
}

TEST(the_data_of_a_stopped_or_killed_server_can_be_read_only)
{
    struct desk desk;
    static const struct store_sqlite_options reading = {.read_only = true};
    for (int killed = 0; killed < 2; killed++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            open_desk(&desk, "store.db", NULL);
            if (!killed) {
                create_in_turn(&desk, "live/pump");
                close_desk(&desk);
            } else {
                create_in_turn(&desk, "live/valve"); /* in the WAL only */
            }
            _exit(0);
        }
        int status = -1;
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
        open_desk(&desk, "store.db", &reading);
        CHECK(is_there(&desk, "live/pump"));
        CHECK_INT(is_there(&desk, "live/valve"), killed);
        CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_OK);
        close_desk(&desk);
    }
}

TEST(the_newest_moment_is_that_of_the_last_entry)
{
    struct desk desk;
    int64_t at_ms = -1;
    open_desk(&desk, "store.db", NULL);
    CHECK_RC(store_sqlite_newest_at_ms(desk.store, &desk.call, &at_ms), RC_OK);
    CHECK_INT(at_ms, 0);
    create_in_turn(&desk, "live/a");
    desk.call.now_ms += 5;
    create_in_turn(&desk, "live/b");
    CHECK_RC(store_sqlite_newest_at_ms(desk.store, &desk.call, &at_ms), RC_OK);
    CHECK_INT(at_ms, DESK_NOW_MS + 5);
    close_desk(&desk);
}

TEST(a_scan_sees_every_record_of_every_realm_once)
{
    struct desk desk;
    struct device_page page;
    struct text text;
    int64_t after = 0;
    open_desk(&desk, ":memory:", NULL);
    text_open(&text, &desk.arena, 1000);
    create_in_turn(&desk, "live/!system");
    create_in_turn(&desk, "test-x/b");
    create_in_turn(&desk, "live/a");
    do {
        CHECK_RC(store_sqlite_scan(desk.store, &desk.call, after, 2, &page, &after), RC_OK);
        for (int i = 0; i < page.count; i++) {
            text_printf(&text, STR_FMT " ", STR_ARG(page.items[i].key));
        }
    } while (page.more);
    CHECK_STR(text_str(&text), "live/!system test-x/b live/a ");
    close_desk(&desk);
}
