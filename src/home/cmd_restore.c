/* `hourbell restore`: a backup becomes the data of a stopped server. What the downstream got after the backup is
 * unknown here, so the core marks it: full bodies next, no effect in this window, the downstream held until an
 * operator has looked. All this is done to a file beside the database. When it is whole it becomes hourbell.db.restore:
 * as long as a file of that name is there no server starts. Then the old database and its WAL step aside, and the last
 * rename puts the new one in its place. So a crash leaves the old data, the new, or a folder that is refused until
 * restore has been run again; never an empty one that looks well, and never a database with a WAL that is not its own. */
#include "home/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/clock_system.h"
#include "adapters/store_sqlite.h"
#include "core/breaker.h"
#include "core/device.h"
#include "core/name.h"
#include "home/check_store.h"
#include "home/config_args.h"
#include "home/data_dir.h"

#define PAGE_DEVICES 100
#define COPY_BYTES 1048576

struct restore {
    const struct args *args;
    const char *backup, *folder, *path;
    const char *part, *beside;       /* the new database while it is worked on; once it is whole */
    bool cut_short;                  /* an earlier restore of this folder did not come to its end */
    const char *aside;               /* where the old one went; "" = there was none */
    const struct settings *settings; /* the window decides when devices are looked at next */
    int lock_fd;
    int64_t device_count;
};

static int fail_errno(const struct restore *restore, const char *what)
{
    return command_fail(restore->args, errno == EACCES || errno == EPERM ? EXIT_AUTH : EXIT_FAILED,
                        "%s: %s", what, strerrordesc_np(errno));
}

/* ---- the folder ------------------------------------------------------------------------------------------ */

/* Take the lock that a server takes, so that none starts meanwhile. in: make: folder and lock may be made; without, a folder
 * that nobody has served in stays as it is, locked or not: a restore that is refused leaves nothing behind. */
static int folder_lock(struct restore *restore, bool make)
{
    const char *lock = arena_printf(restore->args->arena, "%s.lock", restore->path).s;
    if (make && mkdir(restore->folder, 0700) != 0 && errno != EEXIST) {
        return fail_errno(restore, restore->folder);
    }
    if (restore->lock_fd < 0) {
        restore->lock_fd = open(lock, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
    }
    if (restore->lock_fd < 0 && (make || errno != ENOENT)) {
        return fail_errno(restore, lock);
    }
    if (restore->lock_fd >= 0 && flock(restore->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return command_fail(restore->args, EXIT_CONFLICT, "%s is in use: stop the server first",
                            restore->folder);
    }
    if (access(restore->path, F_OK) == 0 && !args_has(restore->args, "force")) {
        return command_fail(restore->args, EXIT_CONFLICT,
                            "%s is there already; --force replaces it and keeps it as %s.N",
                            restore->path, DATA_FILE ".before-restore");
    }
    return EXIT_DONE;
}

static int file_copy(const struct restore *restore, const char *from, const char *to)
{
    char *room = arena_alloc(restore->args->arena, COPY_BYTES);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, exit_code = EXIT_DONE;
    ssize_t len = 1;
    if (in < 0 || (out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0) {
        exit_code = fail_errno(restore, in < 0 ? from : to);
        len = 0;
    }
    while (len > 0) {
        len = read(in, room, COPY_BYTES);
        if (len < 0 || (len > 0 && write(out, room, (size_t)len) != len)) {
            exit_code = fail_errno(restore, len < 0 ? from : to);
            len = 0;
        }
    }
    if (exit_code == EXIT_DONE && fsync(out) != 0) {
        exit_code = fail_errno(restore, to);
    }
    if (in >= 0) {
        close(in);
    }
    if (out >= 0) {
        close(out);
    }
    return exit_code;
}

static void remove_with_suffixes(const struct restore *restore, const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        unlink(arena_printf(restore->args->arena, "%s%s", path, suffixes[i]).s);
    }
}

/* What was renamed stays renamed. */
static int folder_sync(const struct restore *restore)
{
    int fd = open(restore->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return synced ? EXIT_DONE : fail_errno(restore, restore->folder);
}

static bool is_there(const struct restore *restore, const char *path, const char *suffix)
{
    return access(arena_printf(restore->args->arena, "%s%s", path, suffix).s, F_OK) == 0;
}

/* A name for the old database that neither a database nor the WAL of an earlier restore has. If a restore was cut
 * short, its name: the WAL that stepped aside then belongs to the database that steps aside now. */
static const char *free_name(const struct restore *restore)
{
    struct arena *arena = restore->args->arena;
    const char *before = NULL, *name = NULL;
    for (int i = 1; !name || is_there(restore, name, "") || is_there(restore, name, "-wal"); i++) {
        before = name;
        name = arena_printf(arena, "%s.before-restore.%d", restore->path, i).s;
    }
    bool both =
        before && ((is_there(restore, before, "") && is_there(restore, restore->path, "")) ||
                   (is_there(restore, before, "-wal") && is_there(restore, restore->path, "-wal")));
    return restore->cut_short && before && !both ? before : name;
}

/* The new database is whole: from here on no server starts until it has its name. */
static int folder_switch(struct restore *restore)
{
    static const char *const suffixes[] = {"-wal", "-shm",
                                           ""}; /* the database last: its WAL is never without it */
    struct arena *arena = restore->args->arena;
    const char *aside = free_name(restore);
    if (rename(restore->part, restore->beside) != 0) {
        return fail_errno(restore, restore->beside);
    }
    int exit_code = folder_sync(restore);
    for (size_t i = 0; exit_code == EXIT_DONE && i < COUNT_OF(suffixes); i++) {
        const char *from = arena_printf(arena, "%s%s", restore->path, suffixes[i]).s;
        const char *to = arena_printf(arena, "%s%s", aside, suffixes[i]).s;
        if (rename(from, to) == 0) {
            restore->aside = aside;
        } else if (errno != ENOENT) {
            return fail_errno(restore, from);
        }
    }
    exit_code = exit_code == EXIT_DONE ? folder_sync(restore) : exit_code;
    if (exit_code == EXIT_DONE && rename(restore->beside, restore->path) != 0) {
        return fail_errno(restore, restore->path);
    }
    return exit_code == EXIT_DONE ? folder_sync(restore) : exit_code;
}

/* ---- what the core does to it ---------------------------------------------------------------------------------- */

/* One page of devices in one transaction. */
static enum rc mark_page(struct restore *restore, struct world *world, struct call *call,
                         int64_t *after, bool *ret_more)
{
    struct device_page page;
    TRY(store_sqlite_scan(world->store, call, *after, PAGE_DEVICES, &page, after));
    store_sqlite_turn_begin(world->store);
    for (int i = 0; i < page.count; i++) {
        if (!name_is_system(page.items[i].key)) {
            TRY(device_restored(world, call, page.items[i].key));
            restore->device_count++;
        }
    }
    *ret_more = page.more;
    return store_sqlite_turn_commit(world->store, call);
}

static enum rc mark_all(struct restore *restore, struct world *world, struct call *call)
{
    int64_t after = 0;
    bool more = true;
    store_sqlite_turn_begin(world->store);
    TRY(breaker_restored(world, call, STR("live")));
    TRY(store_sqlite_turn_commit(world->store, call));
    while (more) {
        struct arena arena CLEANUP(arena_close);
        struct call *page_call = arena_new(call->arena, struct call);
        arena_open(&arena, 0);
        call_open(page_call, &arena, world);
        enum rc rc = mark_page(restore, world, page_call, &after, &more);
        if (rc != RC_OK) {
            return call_why(call, rc, "%s", page_call->why);
        }
    }
    return RC_OK;
}

static int mark(struct restore *restore)
{
    struct arena arena CLEANUP(arena_close);
    struct clock_system clock;
    struct downstream nowhere = {0};
    struct call *call = arena_new(restore->args->arena, struct call);
    struct world world = {
        .downstream = &nowhere, .clock = &clock.clock, .settings = restore->settings};
    arena_open(&arena, (size_t)1 << 32);
    clock_system_open(&clock);
    call_open(call, &arena, &world);
    enum rc rc = store_sqlite_open(call, restore->part,
                                   &(struct store_sqlite_options){.turns = true}, &world.store);
    if (rc == RC_OK) {
        world.store->foreign = true; /* findings may have been accepted */
        rc = mark_all(restore, &world, call);
        store_sqlite_close(world.store);
    }
    return rc == RC_OK
               ? EXIT_DONE
               : command_fail(restore->args, EXIT_FAILED, "%s: %s", restore->part, call->why);
}

/* ---- the sub-command --------------------------------------------------------------------------------------------- */

static int verify(const struct restore *restore)
{
    struct check_store check = {
        .args = restore->args, .path = restore->backup, .settings = restore->settings};
    int exit_code = check_store(&check);
    if (exit_code != EXIT_DONE || check.report.finding_count == 0) {
        return exit_code;
    }
    if (args_has(restore->args, "accept-findings")) {
        return EXIT_DONE;
    }
    return command_fail(restore->args, EXIT_FAILED,
                        "the backup has %lld findings; --accept-findings restores it all the same",
                        (long long)check.report.finding_count);
}

int cmd_restore(const struct args *args)
{
    struct config config;
    struct restore restore = {.args = args,
                              .backup = args_operand(args, 0, ""),
                              .folder = args_operand(args, 1, ""),
                              .aside = "",
                              .lock_fd = -1};
    if (config_args_load(args, &config) != RC_OK) {
        return EXIT_INVALID;
    }
    restore.settings = &config.settings;
    restore.path = data_path(args->arena, restore.folder).s;
    restore.beside = arena_printf(args->arena, "%s/" DATA_RESTORING, restore.folder).s;
    restore.cut_short = access(restore.beside, F_OK) == 0;
    restore.part = arena_printf(args->arena, "%s.part", restore.beside).s;
    if (access(restore.backup, R_OK) != 0) {
        return command_fail(args, EXIT_NOT_FOUND, "%s: %s", restore.backup, strerrordesc_np(errno));
    }
    int exit_code = folder_lock(&restore, false);
    exit_code = exit_code == EXIT_DONE ? verify(&restore) : exit_code;
    exit_code = exit_code == EXIT_DONE ? folder_lock(&restore, true) : exit_code;
    if (exit_code == EXIT_DONE) {
        remove_with_suffixes(&restore, restore.part); /* of an earlier try */
        exit_code = file_copy(&restore, restore.backup, restore.part);
        exit_code = exit_code == EXIT_DONE ? mark(&restore) : exit_code;
        exit_code = exit_code == EXIT_DONE ? folder_switch(&restore) : exit_code;
        remove_with_suffixes(&restore, restore.part);
    }
    if (restore.lock_fd >= 0) {
        close(restore.lock_fd);
    }
    if (exit_code == EXIT_DONE && args_has(args, "json")) {
        printf("{\"device_count\":%lld,\"downstream\":\"held\"}\n",
               (long long)restore.device_count);
    } else if (exit_code == EXIT_DONE) {
        printf("%lld devices restored into %s. The downstream is held; after you have looked:\n"
               "  hourbell downstream resume --reason 'restored, looked at'\n",
               (long long)restore.device_count, restore.folder);
        if (restore.aside[0]) {
            printf("The data that were there are %s now, with its -wal if there is one.\n",
                   restore.aside);
        }
    }
    return exit_code;
}
