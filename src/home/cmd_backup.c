/* `hourbell backup`: the server writes it while it goes on working; this only asks. */
#include "home/cmd_client.h"

static int run_backup(struct client *client)
{
    struct client_answer answer;
    yyjson_val *root = NULL;
    struct client_request request = {.method = "POST", .target = STR("/backups")};
    int exit_code = client_ask(client, &request, &root, &answer);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    struct arena *arena = client->arena;
    if (args_has(client->args, "json")) {
        print_json(stdout, answer.body);
    } else if (print_is_terminal()) {
        print_text(stdout, print_member(arena, root, "path"), "");
        printf(": written and verified, " STR_FMT " bytes in " STR_FMT " ms\n",
               STR_ARG(print_member(arena, root, "size_bytes")),
               STR_ARG(print_member(arena, root, "duration_ms")));
    } else {
        print_text(stdout, print_member(arena, root, "path"), "");
        putchar('\n');
    }
    return EXIT_DONE;
}

int cmd_backup(const struct args *args)
{
    return cmd_with_client(args, run_backup);
}
