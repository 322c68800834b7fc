/* What a data folder holds, and who may use it. */
#ifndef HOME_DATA_DIR_H
#define HOME_DATA_DIR_H

#include "base/arena.h"

#define DATA_FILE "hourbell.db" /* beside it SQLite's -wal and -shm, and the lock */

#define DATA_RESTORING                                                                             \
    DATA_FILE ".restore" /* there: a restore was cut short; nobody may serve these data */

/* "<folder>/hourbell.db" */
static inline struct str data_path(struct arena *arena, const char *folder)
{
    return arena_printf(arena, "%s/" DATA_FILE, folder);
}

#endif
