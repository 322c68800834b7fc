/* Going through a store for its check. Uniqueness is proved from the rows and not from an index: each name is
 * folded anew and looked up in a table of those before. */
#include "home/check_store.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "adapters/clock_system.h"
#include "adapters/store_sqlite.h"
#include "base/table.h"
#include "base/text.h"
#include "core/name.h"
#include "home/print.h"

#define PAGE_DEVICES 100

static void put_finding(void *context, const struct check_finding *finding)
{
    const struct check_store *check = context;
    struct arena arena CLEANUP(arena_close);
    arena_open(&arena, 0);
    if (args_has(check->args, "json")) {
        yyjson_mut_doc *doc = json_doc(&arena);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        json_add_str(doc, root, "rule", str_of(finding->rule));
        json_add_str(doc, root, "key", finding->key);
        if (finding->seq >= 0) {
            json_add_i64(doc, root, "seq", finding->seq);
        } else {
            json_add_null(doc, root, "seq");
        }
        json_add_str(doc, root, "what", finding->what);
        print_json(stdout, json_write_mut(&arena, doc));
        return;
    }
    static const char *const heads[] = {"RULE", "DEVICE", "ENTRY", "WHAT"};
    struct print_table table;
    print_open(&table, &arena, heads, 4);
    table.terminal = false; /* each at once: the check may take long */
    struct str seq =
        finding->seq >= 0 ? arena_printf(&arena, "%lld", (long long)finding->seq) : STR("-");
    print_row(&table, (struct str[]){str_of(finding->rule), finding->key, seq, finding->what});
}

static void find(struct check_store *check, const char *rule, struct str key, struct str what)
{
    check->report.finding_count++;
    put_finding(check, &(struct check_finding){rule, key, -1, what});
}

static void check_unique(struct check_store *check, struct call *call, struct table *names,
                         const struct device *device)
{
    struct str name, key;
    if (name_is_system(device->key)) {
        return;
    }
    if (name_device_key(call, device->realm, device->name, STR_NONE, &name, &key) != RC_OK) {
        key = device->key; /* check_device tells */
    }
    if (table_put(names, arena_copy(names->arena, key), 0)) {
        find(check, "I1", key, STR("two devices have this name"));
    }
}

/* What is being read just now. A record that breaks the contract of the store's port stops the process at the port's gate,
 * as in a server: here that is a finding, the last one. */
static char reading[KEY_MAX_BYTES + 128];

static void on_abort(int number)
{
    (void)number;
    ssize_t told = write(STDERR_FILENO, reading, strlen(reading));
    (void)told; /* nothing else can be done */
    _exit(EXIT_FAILED);
}

static void note_reading(struct str key)
{
    snprintf(reading, sizeof reading,
             "hourbell: the check ends here: a record cannot be read; the last one begun: " STR_FMT
             "\n",
             STR_ARG(key.len ? key : STR("none")));
}

static enum rc check_page(struct check_store *check, struct world *world, struct table *names,
                          int64_t *after, bool *ret_more)
{
    struct arena arena CLEANUP(arena_close);
    struct arena device_arena CLEANUP(arena_close);
    struct call call, device_call;
    struct device_page page;
    arena_open(&arena, 0);
    arena_open(&device_arena, (size_t)1 << 32);
    call_open(&call, &arena, world);
    TRY(store_sqlite_scan(world->store, &call, *after, PAGE_DEVICES, &page, after));
    for (int i = 0; i < page.count; i++) {
        arena_reset(&device_arena);
        call_open(&device_call, &device_arena, world);
        note_reading(page.items[i].key);
        struct str key = page.items[i].key;
        if (key.len == 0 || key.len > KEY_MAX_BYTES) {
            find(check, "record", str_head(key, (size_t)min_i64((int64_t)key.len, KEY_MAX_BYTES)),
                 STR("this is no key of a device"));
            continue;
        }
        enum rc rc = check_device(world, &device_call, page.items[i].key, &check->report);
        if (rc == RC_NOT_FOUND) {
            find(check, "record", page.items[i].key, STR("its key does not lead to it"));
        } else if (rc != RC_OK) {
            find(check, "record", page.items[i].key, str_of(device_call.why));
        } else {
            check_unique(check, &device_call, names, &page.items[i]);
        }
    }
    *ret_more = page.more;
    return RC_OK;
}

/* A row that no device's log leads to was not looked at. Where something was found already, that says why. */
static enum rc check_totals(struct check_store *check, struct world *world, struct call *call)
{
    int64_t devices = 0, entries = 0;
    const struct check_report *report = &check->report;
    TRY(store_sqlite_totals(world->store, call, &devices, &entries));
    if (report->finding_count == 0 &&
        (devices != report->device_count || entries != report->entry_count)) {
        find(check, "I1", STR_NONE,
             arena_printf(call->arena,
                          "%lld devices and %lld log entries are there that no log leads to",
                          (long long)(devices - report->device_count),
                          (long long)(entries - report->entry_count)));
    }
    return RC_OK;
}

static int check_all(struct check_store *check, struct world *world, struct call *call)
{
    struct arena arena CLEANUP(arena_close);
    struct table names;
    int64_t after = 0;
    bool more = true;
    arena_open(&arena, (size_t)1 << 34);
    table_open(&names, &arena);
    note_reading(STR_NONE);
    (void)signal(SIGABRT, on_abort);
    if (store_sqlite_verify(world->store, call) != RC_OK) {
        find(check, "file", STR_NONE, str_of(call->why));
    }
    while (more) {
        if (check_page(check, world, &names, &after, &more) != RC_OK) {
            return command_fail(check->args, EXIT_FAILED, "%s cannot be read to its end",
                                check->path);
        }
        if (check->progress) {
            fprintf(stderr, "\r\033[K%lld devices, %lld entries, %lld findings",
                    (long long)check->report.device_count, (long long)check->report.entry_count,
                    (long long)check->report.finding_count);
        }
    }
    if (check_totals(check, world, call) != RC_OK) {
        return command_fail(check->args, EXIT_FAILED, "%s cannot be read to its end", check->path);
    }
    (void)signal(SIGABRT, SIG_DFL);
    if (check->progress) {
        fputs("\r\033[K", stderr);
    }
    return EXIT_DONE;
}

/* A file that was named by mistake is told in plain words, before SQLite says its own. out: EXIT_DONE: it may be one. */
static int look_at_head(const struct check_store *check)
{
    static const char magic[16] = "SQLite format 3";
    char head[sizeof magic];
    FILE *file = fopen(check->path, "re");
    size_t len = file ? fread(head, 1, sizeof head, file) : 0;
    bool failed = !file || ferror(file);
    int why = errno;
    if (file) {
        fclose(file);
    }
    if (failed) {
        return command_fail(check->args, why == ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED, "%s: %s",
                            check->path, strerrordesc_np(why));
    }
    if (len < sizeof head || memcmp(head, magic, sizeof magic) != 0) {
        return command_fail(check->args, EXIT_INVALID, "%s is no database of hourbell%s",
                            check->path, len ? "" : ": it is empty");
    }
    return EXIT_DONE;
}

int check_store(struct check_store *check)
{
    struct arena arena CLEANUP(arena_close);
    struct clock_system clock;
    struct downstream nowhere = {0};
    struct world world = {
        .downstream = &nowhere, .clock = &clock.clock, .settings = check->settings};
    struct call *call = arena_new(check->args->arena, struct call);
    arena_open(&arena, 0);
    int exit_code = look_at_head(check);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    clock_system_open(&clock);
    call_open(call, &arena, &world);
    check->report.sink = put_finding;
    check->report.context = check;
    enum rc rc = store_sqlite_open(call, check->path,
                                   &(struct store_sqlite_options){.read_only = true}, &world.store);
    if (rc != RC_OK) {
        enum exit_code code = rc == RC_NOT_FOUND  ? EXIT_NOT_FOUND
                              : rc == RC_CONFLICT ? EXIT_CONFLICT
                              : rc == RC_INVALID  ? EXIT_INVALID
                                                  : EXIT_FAILED;
        if (str_starts(str_of(call->why), str_of(check->path))) {
            return command_fail(check->args, code, "%s", call->why);
        }
        struct str last = STR_NONE, rest = str_of(call->why);
        while (rest.len) { /* before the last colon: what SQLite was asked */
            last = text_cut(&rest, ':');
        }
        return command_fail(check->args, code, "%s is damaged or cut short:" STR_FMT, check->path,
                            STR_ARG(last));
    }
    exit_code = check_all(check, &world, call);
    store_sqlite_close(world.store);
    return exit_code;
}
