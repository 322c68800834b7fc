/* Backups of a store in use, the verification behind them, and how the store asks SQLite. */
#include "adapters/store_sqlite.h"

#include "adapters/store_sqlite_schema.h"
#include "store_desk.h"
#include "test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void open_desk(struct desk *desk, const char *path, bool read_only)
{
    struct store_sqlite_options options = {.read_only = read_only};
    desk_open(desk, NULL);
    CHECK_RC(store_sqlite_open(&desk->call, path, &options, &desk->store), RC_OK);
}

static void close_desk(struct desk *desk)
{
    store_sqlite_close(desk->store);
    desk_close(desk);
}

static void create_many(struct desk *desk, int from, int to)
{
    for (int i = from; i < to; i++) {
        desk_create(desk, desk_text(desk, "live/%04d", i).s, "acme");
    }
}

static int count_devices(struct desk *desk)
{
    struct device_page page = {.more = true};
    int64_t after = 0;
    int count = 0;
    while (page.more) {
        CHECK_RC(store_sqlite_scan(desk->store, &desk->call, after, 100, &page, &after), RC_OK);
        count += page.count;
    }
    return count;
}

/* P1 */
TEST(a_backup_made_while_the_store_is_written_is_whole_and_opens_by_itself)
{
    struct desk desk, copy;
    struct store_backup *backup = NULL;
    int64_t left = 1;
    int made = 300;
    open_desk(&desk, "store.db", false);
    create_many(&desk, 0, made);
    CHECK_RC(store_sqlite_backup_open(desk.store, &desk.call, "copy.db", &backup), RC_OK);
    while (left > 0) {
        CHECK_RC(store_sqlite_backup_step(backup, &desk.call, 3, &left), RC_OK);
        if (left > 0) {
            desk_append(&desk, "live/0000", 1); /* a page that was copied already */
            create_many(&desk, made, made + 1);
            made++;
        }
        CHECK(access("copy.db", F_OK) != 0);
    }
    CHECK(made > 305);
    CHECK_RC(store_sqlite_backup_finish(backup, &desk.call), RC_OK);
    store_sqlite_backup_free(backup);
    int entries = desk_log(&desk, "live/0000").count;
    create_many(&desk, made, made + 5);
    CHECK(access("copy.db.part", F_OK) != 0 && access("copy.db-wal", F_OK) != 0);
    CHECK_INT(chmod("copy.db", 0400), 0);
    open_desk(&copy, "copy.db", true);
    CHECK_INT(count_devices(&copy), made);
    CHECK_INT(desk_log(&copy, "live/0000").count, entries);
    CHECK_RC(store_sqlite_verify(copy.store, &copy.call), RC_OK);
    close_desk(&copy);
    close_desk(&desk);
}

TEST(a_backup_in_one_go_can_be_opened_as_a_store)
{
    struct desk desk, copy;
    open_desk(&desk, ":memory:", false);
    create_many(&desk, 0, 3);
    CHECK_RC(store_sqlite_backup(desk.store, &desk.call, "copy.db"), RC_OK);
    CHECK_RC(store_sqlite_backup(desk.store, &desk.call, "copy.db"), RC_OK); /* over the old one */
    struct stat about;
    CHECK_INT(stat("copy.db", &about), 0);
    CHECK_INT(about.st_mode & 0777, 0600);
    open_desk(&copy, "copy.db", false);
    CHECK_INT(count_devices(&copy), 3);
    desk_append(&copy, "live/0001", 1);
    CHECK_RC(store_sqlite_verify(copy.store, &copy.call), RC_OK);
    close_desk(&copy);
    close_desk(&desk);
}

TEST(a_backup_that_cannot_be_made_says_why_and_leaves_nothing)
{
    struct desk desk;
    struct store_backup *backup = NULL;
    int64_t left = 0;
    open_desk(&desk, "store.db", false);
    create_many(&desk, 0, 300);
    CHECK_RC(store_sqlite_backup(desk.store, &desk.call, "nowhere/copy.db"), RC_BROKEN);
    CHECK_HAS(str_of(desk.call.why), "nowhere/copy.db");
    CHECK_RC(store_sqlite_backup_open(desk.store, &desk.call, "copy.db", &backup), RC_OK);
    CHECK_RC(store_sqlite_backup_step(backup, &desk.call, 1, &left), RC_OK);
    CHECK(left > 0);
    CHECK_INT(access("copy.db.part", F_OK), 0);
    store_sqlite_backup_free(backup);
    CHECK(access("copy.db.part", F_OK) != 0 && access("copy.db", F_OK) != 0);
    create_many(&desk, 300, 301);
    close_desk(&desk);
}

/* A store with one of everything, changed behind its back: the verification and the backup notice. */
static void check_noticed(const char *sql, const char *what)
{
    struct desk desk;
    struct desk_draft draft;
    struct body body = {
        .delivery = 2, .target = STR("{}"), .bytes = STR("{}"), .repeat_id = STR("r")};
    sqlite3 *db = NULL;
    unlink("store.db");
    open_desk(&desk, "store.db", false);
    create_many(&desk, 0, 2);
    desk_append(&desk, "live/0001", 3);
    desk_next(&desk, &draft, "live/0000", 3);
    draft.entries[0].notice_at_ms = 5;
    draft.device.base = 2;
    draft.device.from_seq = 1;
    draft.device.flight.delivery = 2;
    draft.change.body = &body;
    CHECK_RC(desk_commit(&desk, &draft), RC_OK);
    CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_OK);
    close_desk(&desk);
    CHECK_INT(sqlite3_open("store.db", &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    CHECK(sqlite3_total_changes(db) > 0);
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
    open_desk(&desk, "store.db", false);
    CHECK_RC(store_sqlite_verify(desk.store, &desk.call), RC_BROKEN);
    CHECK_STR(str_of(desk.call.why), what);
    CHECK_RC(store_sqlite_backup(desk.store, &desk.call, "copy.db"), RC_BROKEN);
    CHECK(access("copy.db", F_OK) != 0 && access("copy.db.part", F_OK) != 0);
    close_desk(&desk);
}

/* P11 */
TEST(a_file_that_breaks_a_rule_is_noticed)
{
    static const struct {
        const char *sql, *what;
    } cases[] = {
        {"DELETE FROM log WHERE seq = 0 AND device = 1", "a device without its entry 0"},
        {"UPDATE device SET log_sha = x'00' WHERE id = 1",
         "a device that is not at the head of its log"},
        {"UPDATE device SET seq = seq + 1 WHERE id = 1",
         "a device that is not at the head of its log"},
        {"DELETE FROM device WHERE id = 2", "a log entry without its device"},
        {"UPDATE log SET prev = 1 WHERE device = 1 AND seq = 3",
         "two log entries that do not follow each other"},
        {"DELETE FROM log WHERE device = 1 AND seq = 2", "a gap in what has not ended"},
        {"DELETE FROM notice", "an entry that nobody would be told of"},
        {"UPDATE notice SET at_ms = at_ms + 1", "an entry that nobody would be told of"},
        {"INSERT INTO notice VALUES(7, 99)", "a notice without its entry"},
        {"DELETE FROM body", "a device without the body of its base"},
        {"UPDATE body SET retired_at_ms = 1", "a device without the body of its base"},
        {"UPDATE device SET flight_delivery = 1 WHERE id = 1",
         "a device without the body of its flight"},
        {"INSERT INTO name VALUES('live/0002', 1)", "a name of no device, or of another"},
        {"INSERT INTO name VALUES('/acme/live/0001', 7)", "a name of no device, or of another"},
        {"UPDATE device SET key = 'live/0000', id = 7 WHERE id = 2; UPDATE log SET device = 7 "
         "WHERE device = 2; UPDATE sweep SET device = 7; INSERT INTO name VALUES('live/0000', 1), "
         "('/acme/live/0000', 1)",
         "a device that its name does not lead to"},
        {"UPDATE sweep SET device = 1", "a device that its name does not lead to"},
        {"UPDATE log SET prev = id WHERE device = 1 AND seq = 2",
         "a log that leads back to itself"},
        {"UPDATE log SET prev = id + 1 WHERE device = 1 AND seq = 2",
         "a log that leads back to itself"},
        {"UPDATE log SET kind = 11 WHERE seq = 1", "a log entry with a number out of its range"},
        {"UPDATE device SET resend_all = 2 WHERE id = 1",
         "a device with a number out of its range"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        check_noticed(cases[i].sql, cases[i].what);
    }
}

/* Whatever the rows say, a walk down a log ends: a step that does not go down is a fault of the file. */
TEST(a_log_that_leads_in_a_circle_is_broken_and_not_endless)
{
    static const char *const circles[] = {
        "UPDATE log SET prev = id WHERE seq = 2",
        "UPDATE log SET prev = id",
        "UPDATE log SET prev = id + 1 WHERE seq < 3 AND seq > 0",
        "UPDATE log SET prev = (SELECT max(id) FROM log) WHERE seq = 1",
    };
    for (size_t i = 0; i < COUNT_OF(circles); i++) {
        struct desk desk;
        struct entry_page page;
        sqlite3 *db = NULL;
        unlink("store.db");
        open_desk(&desk, "store.db", false);
        create_many(&desk, 0, 1);
        for (int k = 0; k < 3; k++) {
            desk_append(&desk, "live/0000", 1);
        }
        close_desk(&desk);
        CHECK_INT(sqlite3_open("store.db", &db), SQLITE_OK);
        CHECK_INT(sqlite3_exec(db, circles[i], NULL, NULL, NULL), SQLITE_OK);
        CHECK_INT(sqlite3_close(db), SQLITE_OK);
        open_desk(&desk, "store.db", true);
        CHECK_RC(store_log_list(desk.store, &desk.call, STR("live/0000"), 0, 3, false, 10, &page),
                 RC_BROKEN);
        CHECK_HAS(str_of(desk.call.why), "leads back to itself");
        struct device device; /* a file that is only read can be read on */
        CHECK_RC(store_device_get(desk.store, &desk.call, STR("live/0000"), &device), RC_OK);
        close_desk(&desk);
    }
}

/* ---- how SQLite is asked ------------------------------------------------------------------------- */

struct plan_case {
    const char *name, *sql;
};

/* Whole tables are read at the start and by nothing else, and nothing is sorted: a page costs what it returns. */
TEST(no_statement_reads_a_whole_table_or_sorts)
{
    static const struct plan_case cases[] = {
#define X(name, sql) {#name, sql},
        STATEMENTS(X)
#undef X
    };
    sqlite3 *db = NULL;
    struct desk desk;
    open_desk(&desk, "store.db", false);
    create_many(&desk, 0, 1);
    close_desk(&desk);
    CHECK_INT(sqlite3_open("store.db", &db), SQLITE_OK);
    CHECK_INT(sqlite3_exec(db, SCHEMA_IN_MEMORY, NULL, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char sql[4096];
        sqlite3_stmt *plan = NULL;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", cases[i].sql);
        CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &plan, NULL), SQLITE_OK);
        static const char *const of_start[] = {"work_count", "notice_count", "tail_fill",
                                               "tail_known", "sweep_get"};
        bool at_start = false;
        for (size_t k = 0; k < COUNT_OF(of_start); k++) {
            at_start = at_start || strcmp(cases[i].name, of_start[k]) == 0;
        }
        bool in_order = strcmp(cases[i].name, "newest") == 0 ||
                        strcmp(cases[i].name, "reply_old") == 0 ||
                        strcmp(cases[i].name, "notice_first") == 0; /* and stops after some rows */
        while (sqlite3_step(plan) == SQLITE_ROW) {
            struct str detail = str_of((const char *)sqlite3_column_text(plan, 3));
            fprintf(stderr, "%s: " STR_FMT "\n", cases[i].name, STR_ARG(detail));
            CHECK(at_start || !strstr(detail.s, "TEMP B-TREE"));
            if (strcmp(cases[i].name, "work_list_at") == 0) {
                CHECK_HAS(detail, "device_work (work=? AND at_ms=? AND rowid>?)");
            }
            if (!at_start && !in_order) {
                CHECK_HAS_NOT(detail, "SCAN");
            }
        }
        sqlite3_finalize(plan);
    }
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
}
