/* Sub-commands for operators: work (what waits, flies, is uncertain or dead), redrive, downstream. */
#include "home/cmd_client.h"

#include <time.h>

/* ---- work --------------------------------------------------------------------------------------------------- */

/* Without a state: the backlog by state, from the downstream's answer. */
static int work_counts(struct client *client)
{
    static const char *const heads[] = {"STATE", "COUNT", "EARLIEST"};
    struct client_answer answer;
    yyjson_val *root = NULL, *name, *value;
    struct print_table table;
    size_t at, count;
    struct client_request request = {.method = "GET", .target = STR("/downstream")};
    int exit_code = client_ask(client, &request, &root, &answer);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    yyjson_val *backlog = json_member(root, "backlog");
    if (args_has(client->args, "json")) {
        print_json(stdout, json_write(client->arena, backlog));
        return EXIT_DONE;
    }
    print_open(&table, client->arena, heads, 3);
    yyjson_obj_foreach(backlog, at, count, name, value)
    {
        print_row(&table,
                  (struct str[]){json_str(name), print_member(client->arena, value, "count"),
                                 print_member(client->arena, value, "earliest_at")});
    }
    print_close(&table);
    return EXIT_DONE;
}

static int run_work(struct client *client)
{
    static const char *const heads[] = {"NAME",    "OWNER",    "WORK", "AT",
                                        "PENDING", "ATTEMPTS", "HOLD"};
    static const char *const paths[] = {"device_name",   "owner",         "work",       "work_at",
                                        "pending.count", "attempt_count", "hold_reason"};
    const char *state = args_text(client->args, "state", NULL);
    if (!state) {
        if (args_has(client->args, "limit")) {
            return command_fail(client->args, EXIT_USAGE, "--limit needs --state");
        }
        return work_counts(client);
    }
    return cmd_list(client, arena_printf(client->arena, "/work?state=%s", state), heads, paths,
                    COUNT_OF(heads));
}

int cmd_work(const struct args *args)
{
    return cmd_with_client(args, run_work);
}

/* ---- redrive --------------------------------------------------------------------------------------------------- */

static struct str redrive_body(struct client *client, int64_t limit, struct str cursor)
{
    const char *owner = args_text(client->args, "owner", NULL);
    yyjson_mut_doc *doc = json_doc(client->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_i64(doc, root, "limit", limit);
    json_add_bool(doc, root, "dry_run", args_has(client->args, "dry-run"));
    if (owner) {
        json_add_str(doc, root, "owner", str_of(owner));
    }
    if (cursor.len) {
        json_add_str(doc, root, "cursor", cursor);
    }
    return json_write_mut(client->arena, doc);
}

static int run_redrive(struct client *client)
{
    static const char *const heads[] = {"NAME", "OWNER", "DEAD SINCE", "RESULT"};
    static const char *const paths[] = {"device_name", "owner", "dead_since", "result"};
    struct print_table table;
    struct str cursor = STR_NONE;
    int64_t limit = args_number(client->args, "limit", INT64_MAX), taken = 0;
    bool json = args_has(client->args, "json"), more = true;
    int exit_code = EXIT_DONE;
    print_open(&table, client->arena, heads, COUNT_OF(heads));
    while (more && taken < limit && exit_code == EXIT_DONE) {
        struct client_answer answer;
        yyjson_val *root = NULL, *item;
        size_t at, count;
        struct client_request request = {
            .method = "POST",
            .target = STR("/redrives"),
            .body = redrive_body(client, min_i64(limit - taken, PAGE_MAX), cursor)};
        exit_code = client_ask(client, &request, &root, &answer);
        if (exit_code != EXIT_DONE) {
            break;
        }
        yyjson_arr_foreach(json_member(root, "items"), at, count, item)
        {
            struct str cells[COUNT_OF(paths)];
            for (size_t i = 0; i < COUNT_OF(paths); i++) {
                cells[i] = print_member(client->arena, item, paths[i]);
            }
            if (json) {
                print_json(stdout, json_write(client->arena, item));
            } else {
                print_row(&table, cells);
            }
            taken++;
        }
        cursor = json_member_str(root, "next_cursor", STR_NONE);
        more = json_member_bool(root, "has_more", false) && cursor.len;
    }
    if (!json) {
        print_close(&table);
    }
    return exit_code;
}

int cmd_redrive(const struct args *args)
{
    return cmd_with_client(args, run_redrive);
}

/* ---- downstream -------------------------------------------------------------------------------------------------- */

#define PROBE_LOOK_MS 100 /* between two looks at a probe */

/* Wait until the probe that was asked for has ended, at most as long as one answer may take. in, out: the last answer. */
static int await_probe(struct client *client, struct client_answer *answer, yyjson_val **root)
{
    struct client_request request = {.method = "GET", .target = STR("/downstream")};
    for (int64_t waited_ms = 0; json_member_bool(*root, "probing", false);
         waited_ms += PROBE_LOOK_MS) {
        if (waited_ms >= client->timeout_ms) {
            command_note(client->args, "the probe has not ended yet; this is the state before it");
            return EXIT_DONE;
        }
        nanosleep(&(struct timespec){.tv_nsec = PROBE_LOOK_MS * 1000000}, NULL);
        int exit_code = client_ask(client, &request, root, answer);
        if (exit_code != EXIT_DONE) {
            return exit_code;
        }
    }
    return EXIT_DONE;
}

static int run_downstream(struct client *client)
{
    const char *action = args_operand(client->args, 0, NULL),
               *reason = args_text(client->args, "reason", NULL);
    struct client_request request = {.method = "GET", .target = STR("/downstream")};
    if (action) {
        yyjson_mut_doc *doc = json_doc(client->arena);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        if (!reason) {
            return command_fail(client->args, EXIT_USAGE,
                                "--reason is missing: it goes into the log");
        }
        json_add_str(doc, root, "action", str_of(action));
        json_add_str(doc, root, "reason", str_of(reason));
        request = (struct client_request){.method = "POST",
                                          .target = STR("/downstream/actions"),
                                          .body = json_write_mut(client->arena, doc)};
    }
    struct client_answer answer;
    yyjson_val *root = NULL;
    int exit_code = client_ask(client, &request, &root, &answer);
    if (exit_code == EXIT_DONE && action && strcmp(action, "probe") == 0) {
        exit_code = await_probe(client, &answer, &root);
    }
    if (exit_code == EXIT_DONE) {
        cmd_show_object(client, &answer, root,
                        "breaker estimate backlog backlog.open backlog.flight backlog.uncertain "
                        "backlog.dead backlog.notice");
    }
    return exit_code;
}

int cmd_downstream(const struct args *args)
{
    return cmd_with_client(args, run_downstream);
}
