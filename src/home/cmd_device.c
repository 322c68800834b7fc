/* Sub-commands about one device: create, update, show, log, pending, act. Each is one call of the interface and
 * a form for its answer; with --json the answer is printed as it came. Rules are the server's. */
#include "home/cmd_client.h"
#include "home/text_file.h"

/* ---- what goes in --------------------------------------------------------------------------------------- */

/* The JSON object of the second operand or of --file. It is read here only to be sure that it is one value: its rules
 * are the server's. out: the fallback if neither was given. */
static enum rc read_attributes(const struct args *args, const char *fallback, struct str *ret_json)
{
    const char *operand = args_operand(args, 1, NULL), *file = args_text(args, "file", NULL);
    struct json_fault fault;
    yyjson_val *root;
    struct str json = str_of(operand ? operand : fallback);
    if (operand && file) {
        command_fail(args, EXIT_USAGE,
                     "the attributes were given twice, as an operand and by --file");
        return RC_CONFLICT;
    }
    if (file) {
        if (text_file_read(args, file, BODY_MAX_BYTES, &json) != EXIT_DONE) {
            return RC_INVALID;
        }
    } else if (!json.s) {
        command_fail(args, EXIT_USAGE, "PATCH is missing: a JSON object, or --file FILE");
        return RC_CONFLICT;
    }
    if (json_read(args->arena, json, 64, &root, &fault) != RC_OK) {
        command_fail(args, EXIT_INVALID, "the attributes are not valid JSON" STR_FMT STR_FMT ": %s",
                     STR_ARG(fault.pointer.len ? STR(" at ") : STR_NONE), STR_ARG(fault.pointer),
                     fault.why);
        return RC_INVALID;
    }
    *ret_json = json;
    return RC_OK;
}

static int exit_of(enum rc rc)
{
    return rc == RC_CONFLICT ? EXIT_USAGE : EXIT_INVALID;
}

/* ---- what comes out --------------------------------------------------------------------------------------- */

/* A sentence on a terminal, the cells with tabs in a pipe. */
static void put_line(const struct client *client, struct str sentence, const struct str *cells,
                     int count)
{
    static const char *const heads[PRINT_COLUMNS_MAX];
    struct print_table table;
    if (print_is_terminal()) {
        print_text(stdout, sentence, "");
        putchar('\n');
        return;
    }
    print_open(&table, client->arena, heads, count);
    print_row(&table, cells);
}

/* ---- create, update ----------------------------------------------------------------------------------------- */

static struct str device_body(const struct args *args, struct str attributes)
{
    yyjson_mut_doc *doc = json_doc(args->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    const char *owner = args_text(args, "owner", NULL);
    json_add_str(doc, root, "device_name", str_of(args_operand(args, 0, "")));
    json_add_raw(doc, root, "attributes", attributes);
    if (owner) {
        json_add_str(doc, root, "owner", str_of(owner));
    }
    return json_write_mut(args->arena, doc);
}

static int run_create(struct client *client)
{
    const struct args *args = client->args;
    struct str attributes;
    struct client_answer answer;
    yyjson_val *root = NULL;
    enum rc rc = read_attributes(args, "{}", &attributes);
    if (rc != RC_OK) {
        return exit_of(rc);
    }
    struct client_request request = {.method = "POST",
                                     .target = STR("/create-device"),
                                     .body = device_body(args, attributes),
                                     .idempotency_key =
                                         str_of(args_text(args, "idempotency-key", ""))};
    int exit_code = client_ask(client, &request, &root, &answer);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    if (args_has(args, "json")) {
        print_json(stdout, answer.body);
        return EXIT_DONE;
    }
    struct str name = print_member(client->arena, root, "device_name");
    struct str state = answer.status == 201 ? STR("created") : STR("equal");
    struct str revision = print_member(client->arena, root, "revision");
    put_line(client,
             arena_printf(client->arena,
                          answer.status == 201 ? STR_FMT " is created"
                                               : STR_FMT " was there already, equal to this",
                          STR_ARG(name)),
             (struct str[]){name, state, revision}, 3);
    return EXIT_DONE;
}

int cmd_create(const struct args *args)
{
    return cmd_with_client(args, run_create);
}

static int run_update(struct client *client)
{
    const struct args *args = client->args;
    struct str patch;
    struct client_answer answer;
    yyjson_val *root = NULL;
    enum rc rc = read_attributes(args, NULL, &patch);
    if (rc != RC_OK) {
        return exit_of(rc);
    }
    struct client_request request = {.method = "POST",
                                     .target = STR("/update-device"),
                                     .body = device_body(args, patch),
                                     .idempotency_key =
                                         str_of(args_text(args, "idempotency-key", "")),
                                     .if_match = args_number(args, "if-match", 0)};
    int exit_code = client_ask(client, &request, &root, &answer);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    if (args_has(args, "json")) {
        print_json(stdout, answer.body);
        return EXIT_DONE;
    }
    struct arena *arena = client->arena;
    struct str name = print_member(arena, root, "device_name"),
               seq = print_member(arena, root, "seq");
    struct str state = print_member(arena, root, "state"),
               due_at = print_member(arena, root, "due_at");
    struct str sentence =
        str_is(state, "pending")
            ? arena_printf(arena,
                           STR_FMT ": update " STR_FMT " is accepted; it goes out from " STR_FMT
                                   " on",
                           STR_ARG(name), STR_ARG(seq), STR_ARG(due_at))
            : arena_printf(arena, STR_FMT ": update " STR_FMT " is " STR_FMT " (" STR_FMT ")",
                           STR_ARG(name), STR_ARG(seq), STR_ARG(state),
                           STR_ARG(print_member(arena, root, "reason")));
    put_line(client, sentence, (struct str[]){name, seq, state, due_at}, 4);
    return EXIT_DONE;
}

int cmd_update(const struct args *args)
{
    return cmd_with_client(args, run_update);
}

/* ---- show ------------------------------------------------------------------------------------------------------ */

static int show_list(struct client *client)
{
    static const char *const heads[] = {"NAME", "OWNER", "REVISION", "WORK", "PENDING", "DUE"};
    static const char *const paths[] = {"device_name", "owner",         "revision",
                                        "work",        "pending.count", "pending.due_at"};
    const char *prefix = args_text(client->args, "prefix", NULL),
               *owner = args_text(client->args, "owner", NULL);
    struct str target = arena_printf(client->arena, "/devices%s%s%s%s%s",
                                     prefix || owner ? "?" : "", prefix ? "name_prefix=" : "",
                                     prefix ? client_encode(client->arena, str_of(prefix)).s : "",
                                     owner ? (prefix ? "&owner=" : "owner=") : "",
                                     owner ? client_encode(client->arena, str_of(owner)).s : "");
    return cmd_list(client, target, heads, paths, COUNT_OF(heads));
}

/* After the members of one update: which of its fields survived. */
static void show_fields(struct client *client, yyjson_val *root)
{
    static const char *const heads[] = {"FIELD", "CHANGE", "FATE"};
    struct print_table table;
    size_t at, count;
    yyjson_val *field;
    print_open(&table, client->arena, heads, 3);
    yyjson_arr_foreach(json_member(root, "fields"), at, count, field)
    {
        struct str by = print_member(client->arena, field, "overwritten_by");
        struct str fate =
            str_is(by, "-")
                ? STR("survived")
                : arena_printf(client->arena, "overwritten by update " STR_FMT, STR_ARG(by));
        struct str change = json_member_bool(field, "deletes", false) ? STR("deleted") : STR("set");
        print_row(&table,
                  (struct str[]){print_member(client->arena, field, "pointer"), change, fate});
    }
    print_close(&table);
}

static int show_update(struct client *client, struct str name)
{
    struct client_answer answer;
    yyjson_val *root = NULL;
    char rest[48];
    snprintf(rest, sizeof rest, "/updates/%lld", (long long)args_number(client->args, "seq", 0));
    struct client_request request = {.method = "GET",
                                     .target = client_device_target(client, name, rest)};
    int exit_code = client_ask(client, &request, &root, &answer);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    if (args_has(client->args, "json")) {
        print_json(stdout, answer.body);
        return EXIT_DONE;
    }
    print_object(client->arena, root, "delivery");
    if (print_is_terminal()) {
        putchar('\n');
        show_fields(client, root);
    }
    return EXIT_DONE;
}

static int run_show(struct client *client)
{
    const char *name = args_operand(client->args, 0, NULL);
    bool seq = args_has(client->args, "seq");
    bool listing = args_has(client->args, "prefix") || args_has(client->args, "owner") ||
                   args_has(client->args, "limit");
    if ((name && listing) || (!name && seq)) {
        return command_fail(client->args, EXIT_USAGE,
                            name ? "--prefix, --owner and --limit are for lists, without a NAME"
                                 : "--seq needs a NAME");
    }
    if (!name) {
        return show_list(client);
    }
    if (seq) {
        return show_update(client, str_of(name));
    }
    struct client_request request = {.method = "GET",
                                     .target = client_device_target(client, str_of(name), "")};
    return cmd_object(client, &request, "pending flight");
}

int cmd_show(const struct args *args)
{
    return cmd_with_client(args, run_show);
}

/* ---- log, pending ------------------------------------------------------------------------------------------------ */

static int run_log(struct client *client)
{
    static const char *const heads[] = {"SEQ", "AT", "KIND", "FROM", "TO", "BY", "DATA"};
    static const char *const paths[] = {"seq", "at", "kind", "from_seq", "to_seq", "by", "data"};
    static const char *const update_heads[] = {"SEQ",   "ACCEPTED", "STATE",
                                               "ENDED", "BY",       "ATTRIBUTES"};
    static const char *const update_paths[] = {"seq",      "accepted_at", "state",
                                               "ended_at", "by",          "attributes"};
    const char *name = args_operand(client->args, 0, NULL);
    if (args_has(client->args, "updates")) {
        if (!name) {
            return command_fail(client->args, EXIT_USAGE, "--updates needs a NAME");
        }
        return cmd_list(client, client_device_target(client, str_of(name), "/updates"),
                        update_heads, update_paths, COUNT_OF(update_heads));
    }
    struct str target = name ? client_device_target(client, str_of(name), "/log") : STR("/log");
    return cmd_list(client, target, heads, paths, COUNT_OF(heads));
}

int cmd_log(const struct args *args)
{
    return cmd_with_client(args, run_log);
}

static int run_pending(struct client *client)
{
    struct str name = str_of(args_operand(client->args, 0, ""));
    struct client_request request = {.method = "GET",
                                     .target = client_device_target(client, name, "/pending")};
    return cmd_object(client, &request, "pending");
}

int cmd_pending(const struct args *args)
{
    return cmd_with_client(args, run_pending);
}

/* ---- act ---------------------------------------------------------------------------------------------------------- */

static int run_act(struct client *client)
{
    const struct args *args = client->args;
    const char *reason = args_text(args, "reason", NULL);
    yyjson_mut_doc *doc = json_doc(client->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    if (!reason) {
        return command_fail(args, EXIT_USAGE, "--reason is missing: it goes into the log");
    }
    json_add_str(doc, root, "action", str_of(args_operand(args, 1, "")));
    json_add_str(doc, root, "reason", str_of(reason));
    if (args_has(args, "seq")) {
        json_add_i64(doc, root, "seq", args_number(args, "seq", 0));
    }
    struct client_request request = {
        .method = "POST",
        .target = client_device_target(client, str_of(args_operand(args, 0, "")), "/actions"),
        .body = json_write_mut(client->arena, doc),
        .idempotency_key = str_of(args_text(args, "idempotency-key", ""))};
    return cmd_object(client, &request, "pending flight");
}

int cmd_act(const struct args *args)
{
    return cmd_with_client(args, run_act);
}
