/* Sub-commands about keys. A new credential is printed once, alone on standard output where that is no
 * terminal, so that a script can put it into a file: hourbell keys create --owner acme > acme.key */
#include "home/cmd_client.h"

#include "adapters/clock_system.h"
#include "core/auth.h"

static int run_list(struct client *client)
{
    static const char *const heads[] = {"ID",    "ROLE",    "OWNER",   "REALM",
                                        "LABEL", "CREATED", "DELETED", "LAST USED"};
    static const char *const paths[] = {"id",    "role",       "owner",      "realm",
                                        "label", "created_at", "deleted_at", "last_used_on"};
    return cmd_list(client, STR("/keys"), heads, paths, COUNT_OF(heads));
}

int cmd_keys_list(const struct args *args)
{
    return cmd_with_client(args, run_list);
}

/* Ask for a key with a new credential, and show that. */
static int show_credential(struct client *client, const struct client_request *request)
{
    struct client_answer answer;
    yyjson_val *root = NULL;
    int exit_code = client_ask(client, request, &root, &answer);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    struct str credential = json_member_str(root, "credential", STR_NONE);
    if (args_has(client->args, "json")) {
        print_json(stdout, answer.body);
    } else if (print_is_terminal()) {
        printf(STR_FMT "\nThis is shown once. Keep it, for instance in a file for "
                       "HOURBELL_KEY_FILE (chmod 600).\n",
               STR_ARG(credential));
    } else {
        printf(STR_FMT "\n", STR_ARG(credential));
    }
    return EXIT_DONE;
}

static int run_create(struct client *client)
{
    const struct args *args = client->args;
    const char *owner = args_text(args, "owner", NULL), *label = args_text(args, "label", NULL);
    yyjson_mut_doc *doc = json_doc(client->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "role", str_of(args_text(args, "role", "customer")));
    if (owner) {
        json_add_str(doc, root, "owner", str_of(owner));
    }
    if (label) {
        json_add_str(doc, root, "label", str_of(label));
    }
    struct client_request request = {
        .method = "POST", .target = STR("/keys"), .body = json_write_mut(client->arena, doc)};
    return show_credential(client, &request);
}

int cmd_keys_create(const struct args *args)
{
    return cmd_with_client(args, run_create);
}

static struct str key_target(struct client *client, const char *rest)
{
    struct str id = client_encode(client->arena, str_of(args_operand(client->args, 0, "")));
    return arena_printf(client->arena, "/keys/" STR_FMT "%s", STR_ARG(id), rest);
}

static int run_rotate(struct client *client)
{
    struct client_request request = {.method = "POST", .target = key_target(client, "/rotate")};
    if (args_has(client->args, "overlap")) {
        long long overlap_s = (long long)args_span_ms(client->args, "overlap", 0) / 1000;
        request.body = arena_printf(client->arena, "{\"overlap_s\":%lld}", overlap_s);
    }
    return show_credential(client, &request);
}

int cmd_keys_rotate(const struct args *args)
{
    return cmd_with_client(args, run_rotate);
}

static int run_delete(struct client *client)
{
    struct client_request request = {.method = "DELETE", .target = key_target(client, "")};
    return cmd_object(client, &request, "");
}

int cmd_keys_delete(const struct args *args)
{
    return cmd_with_client(args, run_delete);
}

int cmd_keys_generate(const struct args *args)
{
    CLEANUP(arena_close) struct arena arena;
    struct clock_system system;
    struct world world = {.clock = &system.clock};
    struct call call = {.arena = &arena};
    struct str credential;
    arena_open(&arena, 0);
    clock_system_open(&system);
    auth_generate(&world, &call, STR("live"), &credential);
    if (args_has(args, "json")) {
        printf("{\"credential\":\"" STR_FMT "\"}\n", STR_ARG(credential));
    } else {
        printf(STR_FMT "\n", STR_ARG(credential));
    }
    return EXIT_DONE;
}
