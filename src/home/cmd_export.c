/* `hourbell export`: all devices as lines that import reads, in order of their names. Into a file it writes FILE.part
 * and notes behind each page where to go on (FILE.part.cursor); the file gets its name when it is whole. */
#include "home/cmd_client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct export
{
    struct client *client;
    FILE *out;
    const char *path, *part, *notes; /* NULL: standard output */
    bool owners, progress;
    int64_t count;
};

static int fail_errno(const struct export *export, const char *what)
{
    return command_fail(export->client->args, EXIT_FAILED, "%s: %s", what, strerrordesc_np(errno));
}

static int take_device(void *context, struct client *client, yyjson_val *item)
{
    struct export *export = context;
    yyjson_mut_doc *doc = json_doc(client->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "device_name", json_member_str(item, "device_name", STR_NONE));
    if (export->owners) {
        json_add_str(doc, root, "owner", json_member_str(item, "owner", STR_NONE));
    }
    json_add_raw(doc, root, "attributes", json_write(client->arena, json_member(item, "desired")));
    struct str line = json_write_mut(client->arena, doc);
    print_json(export->out, line);
    if (ferror(export->out)) {
        return fail_errno(export, export->path ? export->part : "standard output");
    }
    export->count++;
    return EXIT_DONE;
}

/* A page is out: note where the next one begins, and behind which byte. */
static int take_page(void *context, struct client *client, struct str next_cursor)
{
    struct export *export = context;
    if (fflush(export->out) != 0) {
        return fail_errno(export, export->path ? export->part : "standard output");
    }
    if (export->progress) {
        fprintf(stderr, "\r\033[K%lld devices", (long long)export->count);
    }
    if (!export->path || next_cursor.len == 0) {
        return EXIT_DONE;
    }
    const char *beside = arena_printf(client->arena, "%s.new", export->notes).s;
    FILE *notes = fopen(beside, "we");
    if (!notes) {
        return fail_errno(export, beside);
    }
    fprintf(notes, "{\"offset_bytes\":%lld,\"count\":%lld,\"cursor\":\"" STR_FMT "\"}\n",
            (long long)ftello(export->out), (long long)export->count, STR_ARG(next_cursor));
    if (fclose(notes) != 0 || rename(beside, export->notes) != 0) {
        return fail_errno(export, export->notes);
    }
    return EXIT_DONE;
}

/* Where an export broke off. out: the cursor, "" = nowhere; the part file is cut behind its last whole page. */
static int resume(struct export *export, struct str *ret_cursor)
{
    struct arena *arena = export->client->args->arena;
    char *room = arena_alloc(arena, 2 * CURSOR_MAX_BYTES);
    yyjson_val *root = NULL;
    FILE *notes = fopen(export->notes, "re");
    size_t len = notes ? fread(room, 1, 2 * CURSOR_MAX_BYTES, notes) : 0;
    if (notes) {
        fclose(notes);
    }
    if (json_read(arena, (struct str){room, len}, 4, &root, NULL) != RC_OK) {
        return command_fail(export->client->args, EXIT_NOT_FOUND,
                            "%s: there is no export to go on with", export->notes);
    }
    int64_t offset_bytes = json_member_i64(root, "offset_bytes", 0);
    struct stat status;
    if (stat(export->part, &status) != 0 || status.st_size < offset_bytes) {
        return command_fail(export->client->args, EXIT_CONFLICT,
                            "%s is shorter than %s says: begin anew without --resume", export->part,
                            export->notes);
    }
    if (truncate(export->part, offset_bytes) != 0) {
        return fail_errno(export, export->part);
    }
    export->count = json_member_i64(root, "count", 0);
    *ret_cursor = json_member_str(root, "cursor", STR_NONE);
    return EXIT_DONE;
}

/* Whole and on the disk: give it its name. */
static int finish_file(const struct export *export)
{
    if (fsync(fileno(export->out)) != 0 || rename(export->part, export->path) != 0) {
        return fail_errno(export, export->path);
    }
    unlink(export->notes); /* may not be there: a single page */
    return EXIT_DONE;
}

/* Only operators may say whose a device is when they create it, so only their lines say it. The list of keys is theirs
 * alone, which tells who we are. */
static int ask_role(struct client *client, bool *ret_operator)
{
    struct client_answer answer;
    struct client_request request = {.method = "GET", .target = STR("/keys?limit=1")};
    int exit_code = client_call(client, &request, &answer);
    *ret_operator = answer.status == 200;
    return answer.status == 200 || answer.status == 403 ? EXIT_DONE
                                                        : client_tell(client, &answer, exit_code);
}

static int open_output(struct export *export, struct str *ret_cursor)
{
    const struct args *args = export->client->args;
    bool resuming = args_has(args, "resume");
    export->path = args_text(args, "output", NULL);
    export->out = stdout;
    if (!export->path) {
        return resuming ? command_fail(args, EXIT_USAGE, "--resume needs --output FILE")
                        : EXIT_DONE;
    }
    export->part = arena_printf(args->arena, "%s.part", export->path).s;
    export->notes = arena_printf(args->arena, "%s.part.cursor", export->path).s;
    int exit_code = resuming ? resume(export, ret_cursor) : EXIT_DONE;
    if (exit_code == EXIT_DONE) {
        export->out = fopen(export->part, resuming ? "ae" : "we");
        exit_code = export->out ? EXIT_DONE : fail_errno(export, export->part);
    }
    return exit_code;
}

static int run_export(struct client *client)
{
    const struct args *args = client->args;
    struct export export = {.client = client,
                            .progress = isatty(STDERR_FILENO) == 1 && !args_has(args, "quiet") &&
                                        !args->json};
    struct client_list list = {.take = take_device, .page = take_page, .context = &export};
    const char *prefix = args_text(args, "prefix", NULL), *owner = args_text(args, "owner", NULL);
    list.target = arena_printf(args->arena, "/devices%s%s%s%s%s", prefix || owner ? "?" : "",
                               prefix ? "name_prefix=" : "",
                               prefix ? client_encode(args->arena, str_of(prefix)).s : "",
                               owner ? (prefix ? "&owner=" : "owner=") : "",
                               owner ? client_encode(args->arena, str_of(owner)).s : "");
    int exit_code = ask_role(client, &export.owners);
    exit_code = exit_code == EXIT_DONE ? open_output(&export, &list.cursor) : exit_code;
    exit_code = exit_code == EXIT_DONE ? client_pages(client, &list) : exit_code;
    if (export.progress) {
        fputs("\r\033[K", stderr);
    }
    if (export.path && exit_code == EXIT_DONE) {
        exit_code = finish_file(&export);
    }
    if (export.path && export.out && fclose(export.out) != 0 && exit_code == EXIT_DONE) {
        exit_code = fail_errno(&export, export.path);
    }
    if (export.path && exit_code == EXIT_DONE && args_has(args, "json")) {
        printf("{\"device_count\":%lld}\n", (long long)export.count);
    } else if (export.path && exit_code == EXIT_DONE) {
        printf("%s: %lld devices\n", export.path, (long long)export.count);
    }
    return exit_code;
}

int cmd_export(const struct args *args)
{
    return cmd_with_client(args, run_export);
}
