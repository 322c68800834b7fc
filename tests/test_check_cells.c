/* A file from anybody: one cell of a small real database after the other gets a value that it must not have. The check
 * must end each time, without falling over; and the columns that it has nothing to hold against are listed here, by name,
 * and in docs/operations.md. */
#include "engine.h"

#include "adapters/store_sqlite.h"
#include "home/check_store.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VALUES_PER_CELL 9

/* "table.column" of cells that may say anything. */
static const char *const unseen[] = {
    /* when to look again, and how often was tried: wrong, a delivery comes early or late in its right, never twice */
    "device.at_ms",
    "device.due_at_ms",
    "device.not_before_at_ms",
    "device.attempt_count",
    "device.window_attempt_count",
    "device.resend_all",
    "device.flight_lease_no",
    "device.flight_settled_no",
    "device.flight_started_at_ms",
    "device.flight_send_before_at_ms",
    "device.flight_lease_until_ms",
    /* counts commits, and not all of them are entries */
    "device.version",
    /* of a delivery that has no outcome yet; and when a body may go */
    "body.bytes",
    "body.repeat_id",
    "body.mapping_version",
    "body.retired_at_ms",
    /* where a row lies, if nothing names the place */
    "body.id",
    /* answers to repeats, credentials, the sweep of names, the trace of readyz: no log speaks of them */
    "reply.",
    "api_key.",
    "sweep.",
    "ping.",
};

static bool may_be_unseen(const char *cell)
{
    for (size_t i = 0; i < COUNT_OF(unseen); i++) {
        size_t len = strlen(unseen[i]);
        if (strncmp(cell, unseen[i], len) == 0 && (unseen[i][len - 1] == '.' || !cell[len])) {
            return true;
        }
    }
    return false;
}

/* One of everything that a log may hold. */
static void write_base(struct engine *engine, const char *path)
{
    struct timespec
        now; /* the check asks the system's clock: what is older than history_days may be missing */
    engine_open(engine);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_manual_step(&engine->clock,
                      now.tv_sec * INT64_C(1000) - 48 * HOUR_MS - engine->clock.now_ms);
    engine_create(engine, "Pump-7", "{\"a\":1}");
    engine_update(engine, "Pump-7", "{\"a\":2}");
    engine_update(engine, "Pump-7", "{\"b\":{\"c\":3}}");
    engine_next_hour(engine);
    struct lease lease = engine_lease(engine, "Pump-7");
    engine_settle(
        engine, &lease,
        (struct outcome){.class = OUTCOME_EFFECT, .code = STR("DONE"), .ref = STR("10004711")});
    engine_update(engine, "Pump-7", "{\"a\":9}");
    engine_next_hour(engine);
    lease = engine_lease(engine, "Pump-7");
    engine_settle(engine, &lease,
                  (struct outcome){.class = OUTCOME_REJECTED, .code = STR("BUSINESS")});
    CHECK_RC(engine_action(engine, "Pump-7", ACTION_cancel,
                           engine_update(engine, "Pump-7", "{\"a\":6}")),
             RC_OK);
    engine_update(engine, "Pump-7", "{\"a\":5}");
    CHECK_RC(engine_action(engine, "Pump-7", ACTION_hold, 0), RC_OK);
    engine_create(engine, "Pump-8", "{}"); /* in flight */
    engine_update(engine, "Pump-8", "{\"x\":\"y\"}");
    engine_next_hour(engine);
    lease = engine_lease(engine, "Pump-8");
    engine_create(engine, "Pump-9", "{}");
    CHECK_RC(store_sqlite_backup(engine->disk, engine_call(engine), path), RC_OK);
}

/* Tables that no log speaks of; the engine's story has nothing for them. */
static void write_rest(const char *path)
{
    sqlite3 *db = NULL;
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_INT(
        sqlite3_exec(db,
                     "INSERT INTO reply VALUES(1, 7, 8, 202, 'acme', 'k', 'f', 'h', 'b');"
                     "INSERT INTO api_key VALUES('k_a', 1, 1, 'acme', 'live', '', 's', 0, '', "
                     "0, 1, 0, 0); INSERT INTO ping VALUES(1, 5)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

static char *read_whole(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    fseek(file, 0, SEEK_END);
    *ret_len = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*ret_len);
    CHECK(bytes && fread(bytes, 1, *ret_len, file) == *ret_len);
    fclose(file);
    return bytes;
}

static void write_whole(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, len, file) == len);
    fclose(file);
}

/* A value for a cell, as SQL; `it` is what it holds. */
static void put_value(char *sql, size_t size, const char *type, const char *it, int which)
{
    static const char *const numbers[VALUES_PER_CELL] = {"0",
                                                         "1",
                                                         "-1",
                                                         "%s + 1",
                                                         "%s - 1",
                                                         "9223372036854775807",
                                                         "-9223372036854775808",
                                                         "4294967296",
                                                         "%s + 3600000"};
    static const char *const texts[VALUES_PER_CELL] = {"''",
                                                       "'x'",
                                                       "%s || 'x'",
                                                       "substr(%s, 2)",
                                                       "'{}'",
                                                       "'{\"a\":9}'",
                                                       "'[['",
                                                       "upper(%s)",
                                                       "replace(hex(zeroblob(50000)), '0', 'y')"};
    static const char *const blobs[VALUES_PER_CELL] = {
        "x''",          "x'00'", "zeroblob(32)", "zeroblob(31)", "zeroblob(40000)",
        "zeroblob(33)", "x'ff'", "x'0102'",      "zeroblob(1)"};
    const char *const *values = strcmp(type, "INTEGER") == 0 ? numbers
                                : strcmp(type, "TEXT") == 0  ? texts
                                                             : blobs;
    /* the format is one of the lines above */
    const char *value = values[which], *mark = strstr(value, "%s");
    if (mark) {
        snprintf(sql, size, "%.*s%s%s", (int)(mark - value), value, it, mark + 2);
    } else {
        snprintf(sql, size, "%s", value);
    }
}

struct cells {
    struct engine engine;
    struct args args;
    struct settings settings;
    char *base;
    size_t base_len;
    int tried, seen;
    bool wrong; /* a column that is not in the list went unseen */
};

static bool is_found(struct cells *cells)
{
    struct arena arena CLEANUP(arena_close);
    arena_open(&arena, 0);
    struct args args = {.arena = &arena};
    struct check_store check = {.args = &args, .path = "cell.db", .settings = &cells->settings};
    int exit_code = check_store(&check);
    return exit_code != EXIT_DONE || check.report.finding_count > 0;
}

/* Change one cell; out: did it become another one? (not what a constraint refuses) */
static bool change(const char *table, const char *column, const char *where, const char *value)
{
    sqlite3 *db = NULL;
    char sql[1024];
    CHECK_INT(sqlite3_open("cell.db", &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", NULL, NULL, NULL);
    snprintf(sql, sizeof sql, "UPDATE %s SET \"%s\" = %s WHERE %s AND \"%s\" IS NOT (%s)", table,
             column, value, where, column, value);
    bool changed = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK && sqlite3_changes(db) == 1;
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
    return changed;
}

static void try_cell(struct cells *cells, const char *table, const char *column, const char *type,
                     const char *where, int which)
{
    char value[128], it[64], cell[80];
    snprintf(it, sizeof it, "\"%s\"", column);
    snprintf(cell, sizeof cell, "%s.%s", table, column);
    put_value(value, sizeof value, type, it, which);
    write_whole("cell.db", cells->base, cells->base_len);
    if (!change(table, column, where, value)) {
        return;
    }
    cells->tried++;
    if (is_found(cells)) {
        cells->seen++;
    } else if (!may_be_unseen(cell)) {
        fprintf(stderr, "unseen: UPDATE %s SET %s = %s WHERE %s\n", table, column, value, where);
        cells->wrong = true;
    }
}

/* Every n-th cell and value, beginning with the first. */
static void try_all(struct cells *cells, int every)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *columns = NULL, *rows = NULL;
    int at = 0;
    CHECK_INT(sqlite3_open("base.db", &db), SQLITE_OK);
    CHECK_INT(
        sqlite3_prepare_v2(db,
                           "SELECT t.name, c.name, c.type, t.wr FROM pragma_table_list t JOIN "
                           "pragma_table_info(t.name) c WHERE t.schema = 'main' AND "
                           "t.name NOT LIKE 'sqlite%' ORDER BY 1, c.cid",
                           -1, &columns, NULL),
        SQLITE_OK);
    while (sqlite3_step(columns) == SQLITE_ROW) {
        const char *table = (const char *)sqlite3_column_text(columns, 0);
        bool without_rowid = sqlite3_column_int(columns, 3) != 0;
        char sql[256];
        /* without rowids the rows are told apart by their keys: path, id or log */
        const char *key = !without_rowid                  ? "rowid"
                          : strcmp(table, "api_key") == 0 ? "id"
                          : strcmp(table, "notice") == 0  ? "log"
                                                          : "path";
        snprintf(sql, sizeof sql, "SELECT quote(%s) FROM %s", key, table);
        CHECK_INT(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
        while (sqlite3_step(rows) == SQLITE_ROW) {
            char where[256];
            snprintf(where, sizeof where, "%s = %s", key,
                     (const char *)sqlite3_column_text(rows, 0));
            for (int which = 0; which < VALUES_PER_CELL; which++) {
                if (at++ % every == 0) {
                    try_cell(cells, table, (const char *)sqlite3_column_text(columns, 1),
                             (const char *)sqlite3_column_text(columns, 2), where, which);
                }
            }
        }
        sqlite3_finalize(rows);
    }
    sqlite3_finalize(columns);
    CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

static void try_file(int every)
{
    struct cells cells = {0};
    int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC), out = dup(STDOUT_FILENO);
    write_base(&cells.engine, "base.db");
    write_rest("base.db");
    settings_default(&cells.settings);
    cells.base = read_whole("base.db", &cells.base_len);
    fflush(stdout);
    dup2(nothing, STDOUT_FILENO); /* the findings */
    write_whole("cell.db", cells.base, cells.base_len);
    CHECK(!is_found(&cells));
    try_all(&cells, every);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(nothing);
    fprintf(stderr, "%d cells changed, %d seen\n", cells.tried, cells.seen);
    CHECK(!cells.wrong);
    CHECK(cells.tried > 2500 / every && cells.seen > cells.tried / 2);
    free(cells.base);
    engine_close(&cells.engine);
}

/* P11 */
TEST(one_changed_cell_of_a_database_is_found_or_is_on_the_list)
{
    try_file(23);
}

TEST_SLOW(each_changed_cell_of_a_database_is_found_or_is_on_the_list)
{
    try_file(1);
}
