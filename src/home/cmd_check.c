/* `hourbell check`: which file it is about (a backup, the data of a stopped server, or a backup that the running one
 * is asked for), and the sentence at the end. */
#include "home/cmd_client.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "home/check_store.h"
#include "home/config_args.h"
#include "home/data_dir.h"

/* Ask the running server for a backup. out: its path, on this machine. */
static int ask_backup(struct client *client, const char **ret_path)
{
    struct client_answer answer;
    yyjson_val *root = NULL;
    struct client_request request = {.method = "POST", .target = STR("/backups")};
    int exit_code = client_ask(client, &request, &root, &answer);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    *ret_path = arena_copy(client->args->arena, json_member_str(root, "path", STR_NONE)).s;
    if (access(*ret_path, R_OK) != 0) {
        return command_fail(client->args, EXIT_NOT_FOUND, "the backup %s cannot be read here: %s",
                            *ret_path, strerrordesc_np(errno));
    }
    return EXIT_DONE;
}

static int find_file(const struct args *args, const char **ret_path)
{
    struct stat status;
    struct client client;
    const char *path = args_operand(args, 0, NULL);
    if (!path) {
        int exit_code = client_open(args, &client);
        if (exit_code == EXIT_DONE) {
            exit_code = ask_backup(&client, ret_path);
            client_close(&client);
        }
        return exit_code;
    }
    if (stat(path, &status) != 0) {
        return command_fail(args, EXIT_NOT_FOUND, "%s: %s", path, strerrordesc_np(errno));
    }
    *ret_path = S_ISDIR(status.st_mode) ? data_path(args->arena, path).s : path;
    return EXIT_DONE;
}

/* The backup was asked for to be looked at. One that shows something wrong is kept. out: is it gone? */
static bool drop_backup(const struct args *args, const char *path, bool clean)
{
    if (!clean) {
        command_note(args, "the backup stays for a look: %s", path);
        return false;
    }
    if (unlink(path) != 0) {
        command_note(args, "the backup that was made for this check stays there: %s: %s", path,
                     strerrordesc_np(errno));
        return false;
    }
    return true;
}

static void put_summary(const struct check_store *check, bool gone)
{
    const struct check_report *report = &check->report;
    if (args_has(check->args, "json")) {
        printf("{\"path\":");
        struct text text;
        text_open(&text, check->args->arena, 8192);
        if (gone) {
            text_add(&text, STR("null"));
        } else {
            text_add_json(&text, str_of(check->path));
        }
        printf(STR_FMT ",\"devices\":%lld,\"entries\":%lld,\"updates\":%lld,\"expired\":%lld,"
                       "\"findings\":%lld}\n",
               STR_ARG(text_str(&text)), (long long)report->device_count,
               (long long)report->entry_count, (long long)report->update_count,
               (long long)report->expired_count, (long long)report->finding_count);
        return;
    }
    printf("%s: %lld records, %lld log entries, %lld updates replayed",
           gone ? "the running server, by a backup that is removed again" : check->path,
           (long long)report->device_count, (long long)report->entry_count,
           (long long)report->update_count);
    if (report->expired_count) {
        printf(", %lld entries past retention", (long long)report->expired_count);
    }
    if (report->finding_count) {
        printf("; %lld FINDINGS\n", (long long)report->finding_count);
    } else {
        printf("; nothing found\n");
    }
}

int cmd_check(const struct args *args)
{
    struct config config;
    struct check_store check = {.args = args,
                                .progress = isatty(STDERR_FILENO) == 1 &&
                                            !args_has(args, "quiet") && !args->json};
    if (config_args_load(args, &config) != RC_OK) {
        return EXIT_INVALID;
    }
    check.settings = &config.settings;
    int exit_code = find_file(args, &check.path);
    bool asked = exit_code == EXIT_DONE && args->operand_count == 0;
    if (exit_code == EXIT_DONE) {
        exit_code = check_store(&check);
    }
    bool clean = exit_code == EXIT_DONE && check.report.finding_count == 0;
    bool gone = asked && drop_backup(args, check.path, clean);
    if (exit_code == EXIT_DONE) {
        put_summary(&check, gone);
        exit_code = clean ? EXIT_DONE : EXIT_FAILED;
    }
    return exit_code;
}
