/* The common part of the sub-commands that talk to a server: open, ask, print, close. */
#include "home/cmd_client.h"

/* Lists: rows of the members at these paths, or each item as a line of JSON. */
struct list {
    struct print_table table;
    const char *const *paths;
    bool json;
};

static int take_item(void *context, struct client *client, yyjson_val *item)
{
    struct list *list = context;
    struct str cells[PRINT_COLUMNS_MAX];
    if (list->json) {
        print_json(stdout, json_write(client->arena, item));
        return EXIT_DONE;
    }
    for (int i = 0; i < list->table.column_count; i++) {
        struct str cell = print_member(client->arena, item, list->paths[i]);
        cells[i] = list->table.terminal ? arena_copy(list->table.arena, cell) : cell;
    }
    print_row(&list->table, cells);
    return EXIT_DONE;
}

int cmd_list(struct client *client, struct str target, const char *const *heads,
             const char *const *paths, int count)
{
    const struct args *args = client->args;
    struct list list = {.paths = paths, .json = args_has(args, "json")};
    print_open(&list.table, args->arena, heads, count);
    struct client_list pages = {.target = target,
                                .limit = args_number(args, "limit", 0),
                                .take = take_item,
                                .context = &list};
    int exit_code = client_pages(client, &pages);
    if (!list.json) {
        print_close(&list.table);
    }
    return exit_code;
}

void cmd_show_object(const struct client *client, const struct client_answer *answer,
                     yyjson_val *root, const char *flatten)
{
    if (args_has(client->args, "json")) {
        print_json(stdout, answer->body);
    } else {
        print_object(client->arena, root, flatten);
    }
}

int cmd_object(struct client *client, const struct client_request *request, const char *flatten)
{
    struct client_answer answer;
    yyjson_val *root = NULL;
    int exit_code = client_ask(client, request, &root, &answer);
    if (exit_code == EXIT_DONE) {
        cmd_show_object(client, &answer, root, flatten);
    }
    return exit_code;
}

int cmd_with_client(const struct args *args, int (*run)(struct client *))
{
    struct client client;
    int exit_code = client_open(args, &client);
    if (exit_code == EXIT_DONE) {
        exit_code = run(&client);
        client_close(&client);
    }
    return exit_code;
}
