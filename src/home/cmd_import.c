/* `hourbell import`: where it begins (anew, or behind what an earlier run has done), and what it says at the end.
 * The lines themselves are import.c's. */
#include "home/cmd_client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "home/import.h"

#define WINDOW_FACTOR 4 /* lines read ahead, in requests in flight */
#define KEYS_OLD_MS                                                                                \
    79200000 /* 22 h: older idempotency keys may have been forgotten (idempotency_ttl) */

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static struct str summary_json(struct arena *arena, const struct import_state *state)
{
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_i64(doc, root, "line_count", state->line_count);
    json_add_bool(doc, root, "finished", state->finished);
    for (int i = 0; i < IMPORT_RESULT_COUNT; i++) {
        json_add_i64(doc, root, import_result_name((enum import_result)i), state->results[i]);
    }
    yyjson_mut_val *reasons = json_add_arr(doc, root, "reasons");
    for (int i = 0; i < state->reason_count; i++) {
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, reasons);
        json_add_str(doc, item, "code", str_of(state->reasons[i].code));
        json_add_str(doc, item, "detail", str_of(state->reasons[i].detail));
        json_add_i64(doc, item, "count", state->reasons[i].count);
        yyjson_mut_val *lines = json_add_arr(doc, item, "lines");
        for (int j = 0; j < IMPORT_LINES_TOLD && j < state->reasons[i].count; j++) {
            yyjson_mut_arr_add_sint(doc, lines, state->reasons[i].lines[j]);
        }
    }
    return json_write_mut(arena, doc);
}

static void summary_words(const struct import *import)
{
    const struct import_state *state = &import->state;
    if (import->dry) {
        printf("read     %lld\n", (long long)state->line_count);
    }
    for (int i = 0; i < IMPORT_RESULT_COUNT; i++) {
        if (!import->dry || i == IMPORT_refused) {
            printf("%-9s %lld\n", import_result_name((enum import_result)i),
                   (long long)state->results[i]);
        }
    }
    for (int i = 0; i < state->reason_count; i++) {
        const struct import_reason *reason = &state->reasons[i];
        fputs("  ", stdout);
        print_text(stdout, str_of(reason->code), "");
        printf(" %lld: ", (long long)reason->count);
        print_text(stdout, str_of(reason->detail), "");
        fputs(" (line", stdout);
        for (int j = 0; j < IMPORT_LINES_TOLD && j < reason->count; j++) {
            printf("%s %lld", j ? "," : "", (long long)reason->lines[j]);
        }
        printf("%s)\n", reason->count > IMPORT_LINES_TOLD ? ", ..." : "");
    }
}

static int finish(struct import *import)
{
    if (args_has(import->args, "json")) {
        print_json(stdout, summary_json(import->args->arena, &import->state));
    } else {
        summary_words(import);
    }
    if (import->exit_code != EXIT_DONE) {
        bool resumes = import->state.path && !import->dry;
        struct str hint = arena_printf(
            import->args->arena, "\n  %lld lines are done; run it again to go on behind them.",
            (long long)import->state.line_count);
        return command_fail(import->args, (enum exit_code)import->exit_code, "%s%s", import->why,
                            resumes ? hint.s : "");
    }
    return import->state.results[IMPORT_refused] ? EXIT_PARTIAL : EXIT_DONE;
}

/* ---- the beginning ------------------------------------------------------------------------------------------------ */

static void begin_state(struct import *import, const char *path)
{
    unsigned char id[16];
    char hex[33];
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id) {
        assert(!"the kernel has random bytes");
    }
    for (size_t i = 0; i < sizeof id; i++) {
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    }
    import_state_begin(&import->state, path, str_of(hex), import_now_ms(CLOCK_REALTIME));
}

/* Pass by the lines that an earlier run has done. out: false: the file is another one there; it stands at its beginning. */
static bool skip_done(struct import *import, const struct import_state *known)
{
    struct import_state replayed;
    struct arena arena CLEANUP(arena_close);
    arena_open(&arena, 0);
    import_state_begin(&replayed, known->path, str_of(known->id), known->started_at_ms);
    while (replayed.line_count < known->line_count) {
        struct str text;
        int64_t bytes;
        arena_reset(&arena);
        if (!import_read_line(import, &arena, &text, &bytes)) {
            break;
        }
        import_state_pass(&replayed, text, bytes);
    }
    return strcmp(replayed.sha, known->sha) == 0 && replayed.offset_bytes == known->offset_bytes;
}

/* Does the file hold the results of the lines that are done? What may stand behind them is of lines that are sent again. */
static bool results_hold(const char *results, int64_t bytes)
{
    struct stat status;
    char last = '\n';
    int fd = open(results, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool hold = fd >= 0 && bytes >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                status.st_size >= bytes && (bytes == 0 || pread(fd, &last, 1, bytes - 1) == 1);
    if (fd >= 0) {
        close(fd);
    }
    return hold && last == '\n';
}

/* Where to begin: at the first line, or behind those that are done. out: EXIT_DONE; else it was told. */
static int resume(struct import *import, const char *path, bool *ret_nothing_left)
{
    struct import_state known;
    begin_state(import, path);
    if (!path || args_has(import->args, "restart")) {
        return EXIT_DONE;
    }
    const char *results = args_text(import->args, "results", NULL);
    enum rc rc = import_state_load(import->args->arena, path, &known);
    if (rc == RC_NOT_FOUND) {
        return EXIT_DONE;
    }
    if (rc != RC_OK) {
        return command_fail(import->args, EXIT_INVALID,
                            "%s is no state of an import; --state FILE names another", path);
    }
    if (import_now_ms(CLOCK_REALTIME) - known.started_at_ms > KEYS_OLD_MS) {
        command_note(import->args,
                     "this import was begun over 22 hours ago; the server may have forgotten which "
                     "lines it has seen, and take some a second time. --restart begins anew.");
    }
    if (results && !results_hold(results, known.results_bytes)) {
        /* each line shall have its result: asked again with its key, it gets the answer that it got */
        import_state_begin(&import->state, path, str_of(known.id), known.started_at_ms);
        return EXIT_DONE;
    }
    bool same = skip_done(import, &known);
    if (same && !known.finished) {
        import->state = known;
        command_note(import->args, "going on behind line %lld", (long long)known.line_count);
        return EXIT_DONE;
    }
    if (same && known.results[IMPORT_refused] == 0 && fgetc(import->file) == EOF) {
        import->state = known;
        *ret_nothing_left = true;
        return EXIT_DONE;
    }
    /* Another file, or lines that were refused: all are sent again; what was accepted before is only answered again. */
    if (fseek(import->file, 0, SEEK_SET) != 0) {
        return command_fail(import->args, EXIT_CONFLICT,
                            "the input is not what %s knows; --restart begins anew", path);
    }
    import_state_begin(&import->state, path, str_of(known.id), known.started_at_ms);
    return EXIT_DONE;
}

/* Behind the results of the lines that are done; what an importer that was killed wrote behind them is cut off. */
static int open_results(struct import *import, const char *path)
{
    struct stat in, out;
    int64_t keep_bytes = import->state.line_count ? import->state.results_bytes : 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && fstat(fd, &out) == 0 && S_ISREG(out.st_mode)) {
        if (fstat(fileno(import->file), &in) == 0 && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino) {
            close(fd);
            return command_fail(import->args, EXIT_USAGE,
                                "%s is the input: --results would replace it", path);
        }
        if (ftruncate(fd, keep_bytes) != 0 || lseek(fd, keep_bytes, SEEK_SET) < 0) {
            close(fd);
            fd = -1;
        }
    }
    import->results = fd >= 0 ? fdopen(fd, "w") : NULL;
    return import->results
               ? EXIT_DONE
               : command_fail(import->args, EXIT_FAILED, "%s: %s", path, strerrordesc_np(errno));
}

static int open_files(struct import *import, bool *ret_nothing_left)
{
    const struct args *args = import->args;
    const char *name = args_operand(args, 0, "-"), *path = args_text(args, "state", NULL);
    const char *results = args_text(args, "results", NULL);
    struct stat status;
    import->file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
    if (!import->file) {
        return command_fail(args, EXIT_INVALID, "%s: %s", name, strerrordesc_np(errno));
    }
    if (import->file != stdin && fstat(fileno(import->file), &status) == 0 &&
        S_ISREG(status.st_mode)) {
        import->file_bytes = status.st_size;
        path = path ? path : arena_printf(args->arena, "%s.hourbell-import", name).s;
    }
    int exit_code = resume(import, import->dry ? NULL : path, ret_nothing_left);
    if (exit_code == EXIT_DONE && results && !*ret_nothing_left) {
        exit_code = open_results(import, results);
    }
    return exit_code;
}

static int run_window(struct import *import)
{
    struct arena *arena = import->args->arena;
    int64_t in_flight = args_number(import->args, "in-flight", 64);
    import->slot_count = in_flight * WINDOW_FACTOR;
    import->slots = arena_array(arena, struct import_slot, (size_t)import->slot_count);
    import->pool = client_pool_open(import->client, (int)in_flight);
    if (!import->pool) {
        return EXIT_FAILED;
    }
    for (int64_t i = 0; i < import->slot_count; i++) {
        arena_open(&import->slots[i].arena, 0);
    }
    import->first = import->next = import->state.line_count + 1;
    import_run(import);
    client_pool_close(import->pool);
    for (int64_t i = 0; i < import->slot_count; i++) {
        arena_close(&import->slots[i].arena);
    }
    return finish(import);
}

static int run_import(struct client *client)
{
    const struct args *args = client->args;
    struct import *import = arena_new(args->arena, struct import);
    bool nothing_left = false;
    import->args = args;
    import->client = client;
    import->dry = args_has(args, "dry-run");
    import->bar = isatty(STDERR_FILENO) == 1 && !args_has(args, "quiet") && !args->json;
    import->rules = (struct import_rules){
        .mode = import_op_of(str_of(args_text(args, "mode", "create")), IMPORT_CREATE),
        .owner = str_of(args_text(args, "owner", "")),
        .check_names = import->dry};
    int exit_code = open_files(import, &nothing_left);
    if (exit_code == EXIT_DONE && nothing_left) {
        command_note(args, "all %lld lines are done already; --restart begins anew",
                     (long long)import->state.line_count);
        exit_code = finish(import);
    } else if (exit_code == EXIT_DONE) {
        exit_code = run_window(import);
    }
    if (import->results && fclose(import->results) != 0 && exit_code == EXIT_DONE) {
        exit_code = command_fail(args, EXIT_FAILED, "the results were not written");
    }
    if (import->file && import->file != stdin) {
        fclose(import->file);
    }
    return exit_code;
}

int cmd_import(const struct args *args)
{
    return cmd_with_client(args, run_import);
}
