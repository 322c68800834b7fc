/* What the sub-commands that talk to a server share. */
#ifndef HOME_CMD_CLIENT_H
#define HOME_CMD_CLIENT_H

#include "home/client.h"
#include "home/cmd.h"
#include "home/print.h"

/* Open the client, run one function with it, close it. out: its exit code, or why there was no client. */
int cmd_with_client(const struct args *, int (*run)(struct client *));
/* Ask for one object and print it: as it came with --json, else as members and values (flatten: print_object). */
int cmd_object(struct client *, const struct client_request *, const char *flatten);
/* Print an object that was answered, in the same way. */
void cmd_show_object(const struct client *, const struct client_answer *, yyjson_val *root,
                     const char *flatten);
/* Print a list, at most --limit items: columns heads from the members at paths, or with --json one item per line. */
int cmd_list(struct client *, struct str target, const char *const *heads, const char *const *paths,
             int count);

#endif
