/* Names of store_sqlite: those that wait in memory and those on the disk are one list, through crashes, full disks and
 * restarts. The tail is tiny here, so every turn sweeps; in test_store_sqlite.c and in the simulator too. */
#include "adapters/store_sqlite.h"

#include "fault_vfs.h"
#include "store_desk.h"
#include "test.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

#define OWNERS 3
#define NAMES_MAX 4096

static void open_names(struct desk *desk, const char *path, struct store_sqlite_options options)
{
    options.turns = !options.read_only;
    desk_open(desk, NULL);
    enum rc rc = store_sqlite_open(&desk->call, path, &options, &desk->store);
    CHECK_STR(str_of(desk->call.why), "");
    CHECK_RC(rc, RC_OK);
}

static void close_names(struct desk *desk)
{
    store_sqlite_close(desk->store);
    desk_close(desk);
}

/* The n-th name: in no order. */
static const char *key_of(struct desk *desk, int n)
{
    return desk_text(desk, "live/%04d", n * 1237 % NAMES_MAX).s;
}

static const char *owner_of(struct desk *desk, int n)
{
    return desk_text(desk, "o%d", n % OWNERS).s;
}

/* One turn that creates the names from..to-1. */
static enum rc create_turn(struct desk *desk, int from, int to)
{
    struct desk_draft draft;
    enum rc rc = RC_OK;
    store_sqlite_turn_begin(desk->store);
    for (int n = from; n < to && rc == RC_OK; n++) {
        desk_new(desk, &draft, key_of(desk, n), owner_of(desk, n));
        rc = desk_commit(desk, &draft);
    }
    enum rc end = store_sqlite_turn_commit(desk->store, &desk->call);
    CHECK(rc == RC_OK || rc == end);
    return end;
}

/* Page by page: each of the list once, in order. Returns how many. */
static int walk(struct desk *desk, const char *owner, int limit)
{
    struct device_page page = {.more = true};
    struct str after = STR(""), before;
    int count = 0;
    while (page.more) {
        CHECK_RC(store_device_list(desk->store, &desk->call, STR("live"), str_of(owner), STR(""),
                                   after, limit, &page),
                 RC_OK);
        for (int i = 0; i < page.count; i++) {
            before = after;
            after = page.items[i].key;
            CHECK(str_compare(after, before) > 0);
            CHECK(!*owner || str_is(page.items[i].owner, owner));
        }
        count += page.count;
    }
    return count;
}

/* P5: names 0..there-1 are there, found, listed, and taken; the others up to `all` are not. */
static void check_names(struct desk *desk, int there, int all)
{
    struct desk_draft draft;
    for (int n = 0; n < all; n++) {
        struct device device = desk_read(desk, key_of(desk, n));
        CHECK_INT(device.version, n < there);
        CHECK(n >= there || str_is(device.key, key_of(desk, n)));
    }
    CHECK_INT(walk(desk, "", 7), there);
    for (int owner = 0; owner < OWNERS; owner++) {
        CHECK_INT(walk(desk, owner_of(desk, owner), 2), (there + OWNERS - 1 - owner) / OWNERS);
    }
    store_sqlite_turn_begin(desk->store);
    for (int n = 0; n < there; n++) {
        desk_new(desk, &draft, key_of(desk, n), "other");
        CHECK_RC(desk_commit(desk, &draft), RC_CONFLICT);
    }
    CHECK_RC(store_sqlite_turn_commit(desk->store, &desk->call), RC_OK);
    CHECK_RC(store_sqlite_verify(desk->store, &desk->call), RC_OK);
}

/* One number from the file of a store that is closed. */
static int64_t ask(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    CHECK_INT(sqlite3_step(row), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(row, 0);
    CHECK_INT(sqlite3_finalize(row), SQLITE_OK);
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
    return number;
}

TEST(names_in_memory_and_on_the_disk_are_one_list)
{
    struct desk desk;
    for (int turn = 0; turn < 15; turn++) {
        open_names(&desk, "store.db", (struct store_sqlite_options){.tail_names = 6});
        for (int n = 4 * turn; n < 4 * turn + 4; n += 2) {
            CHECK_RC(create_turn(&desk, n, n + 2), RC_OK);
            check_names(&desk, n + 2, 64);
        }
        close_names(&desk); /* and every time they are found again */
    }
    int64_t on_disk = ask("store.db", "SELECT count(*) FROM name");
    CHECK(on_disk >= 120 - 2 * 6 - 4 && on_disk < 120);
    open_names(&desk, "store.db", (struct store_sqlite_options){.tail_names = 6});
    check_names(&desk, 60, 64);
    close_names(&desk);
}

/* A turn may be larger than the tail: all goes to the disk, and the next turns go on. */
TEST(a_turn_larger_than_the_tail_is_swept_as_a_whole)
{
    struct desk desk;
    open_names(&desk, "store.db", (struct store_sqlite_options){.tail_names = 2});
    for (int n = 0; n < 200; n += 50) {
        CHECK_RC(create_turn(&desk, n, n + 50), RC_OK);
        check_names(&desk, n + 50, 210);
    }
    close_names(&desk);
    CHECK_INT(ask("store.db", "SELECT count(*) FROM name"), 400);
    CHECK(ask("store.db", "SELECT device FROM sweep WHERE path = ''") >= 100);
}

/* What the start looks through: no more than the sweep is behind, however often the process began anew. */
TEST(the_mark_follows_the_names_also_through_restarts)
{
    struct desk desk;
    open_names(&desk, "store.db", (struct store_sqlite_options){.tail_names = 16});
    for (int n = 0; n < 2000; n += 4) {
        CHECK_RC(create_turn(&desk, n, n + 4), RC_OK);
        if (n % 20 == 0) {
            close_names(&desk);
            open_names(&desk, "store.db", (struct store_sqlite_options){.tail_names = 16});
        }
    }
    check_names(&desk, 2000, 2010);
    close_names(&desk);
    CHECK(ask("store.db", "SELECT device FROM sweep WHERE path = ''") > 2000 - 4 * 16);
    CHECK(ask("store.db", "SELECT count(*) FROM sweep") < 4 * 16);
}

TEST(a_void_turn_takes_its_names_back_from_memory_and_disk)
{
    struct desk desk;
    struct store_sqlite_options options = {
        .tail_names = 3, .vfs = fault_vfs(), .checkpoint_pages = 1000000, .cache_kib = 64};
    int there = 12, failed = 0;
    enum rc rc = RC_BUSY;
    open_names(&desk, "fault.db", options);
    CHECK_RC(create_turn(&desk, 0, there), RC_OK);
    for (int64_t n = 1; rc == RC_BUSY; n++) {
        store_sqlite_turn_begin(desk.store);
        desk_create(&desk, key_of(&desk, there), "other");
        store_sqlite_turn_rollback(desk.store);
        fault_disk.fail_write_in = n;
        rc = create_turn(&desk, there, there + 3);
        fault_disk.fail_write_in = 0;
        fault_disk.full = false;
        CHECK(rc == RC_OK || rc == RC_BUSY);
        check_names(&desk, rc == RC_OK ? there + 3 : there, there + 6);
        failed += rc == RC_BUSY;
    }
    CHECK(failed > 3);
    CHECK_RC(create_turn(&desk, there + 3, there + 6), RC_OK);
    check_names(&desk, there + 6, there + 9);
    close_names(&desk);
    open_names(&desk, "fault.db", options);
    check_names(&desk, there + 6, there + 9);
    close_names(&desk);
    fault_disk_erase();
}

/* P1, P5 */
TEST(power_that_goes_during_a_sweep_loses_no_name_and_doubles_none)
{
    const struct store_sqlite_options options = {
        .tail_names = 2, .vfs = fault_vfs(), .checkpoint_pages = 12};
    bool went = true;
    for (int64_t n = 1; went; n++) {
        struct desk desk;
        int there = 0;
        open_names(&desk, "fault.db", options);
        fault_disk.power_in = n;
        while (there < 16 && create_turn(&desk, there, there + 2) == RC_OK) {
            there += 2;
        }
        went = fault_disk.dead;
        close_names(&desk);
        fault_disk_restart(n % 2 ? FAULT_LOSE_ALL : FAULT_LOSE_SOME, (uint64_t)n);
        open_names(&desk, "fault.db", options);
        there += desk_read(&desk, key_of(&desk, there)).version > 0 ? 2 : 0;
        check_names(&desk, there, 20);
        CHECK_RC(create_turn(&desk, there, there + 4), RC_OK); /* and the sweep goes on */
        CHECK_RC(create_turn(&desk, there + 4, there + 8), RC_OK);
        check_names(&desk, there + 8, 30);
        close_names(&desk);
        fault_disk_erase();
    }
}

/* What a killed server had in memory only is there for those who only read. */
TEST(reading_only_finds_the_names_that_are_not_on_the_disk)
{
    struct desk desk;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        open_names(&desk, "store.db", (struct store_sqlite_options){.tail_names = 5});
        for (int n = 0; n < 30; n += 2) {
            CHECK_RC(create_turn(&desk, n, n + 2), RC_OK);
        }
        kill(getpid(), SIGKILL);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_names(&desk, "store.db", (struct store_sqlite_options){.read_only = true});
    CHECK_INT(walk(&desk, "", 7), 30);
    CHECK_INT(walk(&desk, "o1", 7), 10);
    CHECK_INT(desk_read(&desk, key_of(&desk, 29)).version, 1);
    CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_OK);
    close_names(&desk);
}

/* A backup has no memory: it says by itself which names are still to be written. */
TEST(a_backup_has_the_names_that_wait)
{
    struct desk desk;
    open_names(&desk, "store.db", (struct store_sqlite_options){.tail_names = 5});
    for (int n = 0; n < 30; n += 2) {
        CHECK_RC(create_turn(&desk, n, n + 2), RC_OK);
    }
    CHECK_RC(store_sqlite_backup(desk.store, &desk.call, "copy.db"), RC_OK);
    close_names(&desk);
    CHECK(ask("copy.db", "SELECT count(*) FROM name") < 60);
    open_names(&desk, "copy.db", (struct store_sqlite_options){.tail_names = 5});
    check_names(&desk, 30, 40);
    close_names(&desk);
}

/* P5, P11 */
TEST(two_devices_of_one_name_do_not_start)
{
    struct desk desk;
    struct store *store = NULL;
    sqlite3 *db = NULL;
    open_names(&desk, "store.db", (struct store_sqlite_options){0});
    CHECK_RC(create_turn(&desk, 0, 2), RC_OK);
    close_names(&desk);
    CHECK_INT(sqlite3_open("store.db", &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, "UPDATE device SET key = (SELECT key FROM device WHERE id = 1)",
                           NULL, NULL, NULL),
              SQLITE_OK);
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
    desk_open(&desk, NULL);
    CHECK_RC(store_sqlite_open(&desk.call, "store.db", NULL, &store), RC_BROKEN);
    CHECK_STR(str_of(desk.call.why), "two devices have one name");
    desk_close(&desk);
}
