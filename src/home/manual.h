/* What is printed from the table of sub-commands besides the short help: the man page, completions for three
 * shells, and the pieces of text that they share with the help. */
#ifndef HOME_MANUAL_H
#define HOME_MANUAL_H

#include "home/command.h"

extern const struct option command_common_options[]; /* of every command */

/* The man page in mdoc, the settings of core/settings.h included. */
void manual_print(const struct command_table *, FILE *);
/* Completions for bash, zsh or fish. fails: RC_INVALID another shell, nothing printed. */
MUST enum rc manual_completion(const struct command_table *, struct str shell, FILE *);

/* "hourbell create [OPTION]... NAME" */
void command_usage(const struct command_table *, const struct command *, FILE *);
/* The commands that begin with the word group, or all of them (NULL), one per line with its help. */
void command_list(const struct command_table *, const char *group, FILE *);
/* What an exit code means; NULL = it is not used. */
const char *command_exit_text(int exit_code);

#endif
