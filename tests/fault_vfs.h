/* A disk in memory for SQLite that fails as real ones do: it becomes full, a sync fails, the power goes.
 * What was written and not synced is lost with the power, all of it or a random part, torn in the middle.
 * One disk per process: tests run in children of their own. */
#ifndef TESTS_FAULT_VFS_H
#define TESTS_FAULT_VFS_H

#include "base/base.h"

struct fault_disk {
    int64_t write_count, sync_count; /* so far */
    int64_t
        fail_write_in; /* the n-th write from now finds the disk full, and so do those after it; 0 = none */
    int64_t fail_sync_in; /* the n-th sync from now fails, once; 0 = none */
    int64_t power_in;     /* the power goes at the n-th write or sync from now; 0 = it stays */
    bool full;            /* no write succeeds; clear it to make room */
    bool dead;            /* the power is gone: nothing works until fault_disk_restart */
};
extern struct fault_disk fault_disk;

/* Register with SQLite (once per process). Returns the name for store_sqlite_options.vfs. */
const char *fault_vfs(void);

/* How much of what was not synced survives. */
enum fault_loss {
    FAULT_LOSE_NOTHING, /* only the process died */
    FAULT_LOSE_SOME,
    FAULT_LOSE_ALL,
};
/* After the power went (or to pull the plug now): close the store first. The disk holds what survived. */
void fault_disk_restart(enum fault_loss, uint64_t seed);
/* From here on SQLite's random bytes (salts of the WAL) follow from the seed: one seed, one run. */
void fault_disk_seed(uint64_t seed);
/* Forget all files, for LeakSanitizer. */
void fault_disk_erase(void);

#endif
