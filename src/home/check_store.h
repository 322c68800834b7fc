/* The check of a whole store: SQLite's own rules, names that are unique by folding each anew, and the replay of every
 * log. For `hourbell check` and for the backup that `hourbell restore` is given. */
#ifndef HOME_CHECK_STORE_H
#define HOME_CHECK_STORE_H

#include "core/check.h"
#include "home/command.h"

struct check_store {
    const struct args *args;
    const char *path;                /* of the file; it is opened for reading only */
    const struct settings *settings; /* window and retention */
    bool progress;                   /* a line on standard error that is overwritten */
    struct check_report report;
};

/* Check it and print each finding as one line (with --json as an object per line).
 * out: EXIT_DONE also with findings: report says how many; else it was told why it cannot be checked. */
int check_store(struct check_store *);

#endif
