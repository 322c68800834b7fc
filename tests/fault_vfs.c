/* The disk in memory: each file has what a reader sees now, what is safe, and the writes between the two. */
#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define FILES_MAX 16
#define NAME_ROOM 128

struct bytes {
    unsigned char *s;
    size_t len, room;
};

struct pending { /* one write or truncation that is not synced yet */
    struct pending *next;
    size_t at, len;
    bool truncates; /* to `at` */
    unsigned char data[];
};

struct disk_file {
    char name[NAME_ROOM]; /* "" = free */
    struct bytes now, safe;
    struct pending *first, *last;
    bool anonymous;
};

struct open_file {
    sqlite3_file base; /* first */
    struct disk_file *file;
};

struct fault_disk fault_disk;
static struct disk_file files[FILES_MAX];
static uint64_t disk_chance;

/* ---- files ------------------------------------------------------------------------------------ */

static void bytes_resize(struct bytes *bytes, size_t len)
{
    if (len > bytes->room) {
        size_t room = len * 2;
        bytes->s = realloc(bytes->s, room);
        assert(bytes->s);
        bytes->room = room;
    }
    if (len > bytes->len) {
        memset(bytes->s + bytes->len, 0, len - bytes->len);
    }
    bytes->len = len;
}

static void bytes_apply(struct bytes *bytes, const struct pending *pending, size_t len)
{
    if (pending->truncates) {
        bytes_resize(bytes, pending->at);
    } else if (len > 0) {
        if (pending->at + len > bytes->len) {
            bytes_resize(bytes, pending->at + len);
        }
        memcpy(bytes->s + pending->at, pending->data, len);
    }
}

static void forget_pending(struct disk_file *file)
{
    while (file->first) {
        struct pending *next = file->first->next;
        free(file->first);
        file->first = next;
    }
    file->last = NULL;
}

static void erase(struct disk_file *file)
{
    forget_pending(file);
    free(file->now.s);
    free(file->safe.s);
    *file = (struct disk_file){0};
}

void fault_disk_erase(void)
{
    for (int i = 0; i < FILES_MAX; i++) {
        erase(&files[i]);
    }
    fault_disk = (struct fault_disk){0};
}

void fault_disk_seed(uint64_t seed)
{
    disk_chance = seed;
    (void)fault_vfs();
    sqlite3_randomness(0, NULL); /* begins anew from disk_random */
}

static struct disk_file *find(const char *name)
{
    for (int i = 0; i < FILES_MAX; i++) {
        if (files[i].name[0] && strcmp(files[i].name, name) == 0) {
            return &files[i];
        }
    }
    return NULL;
}

static void note(struct disk_file *file, size_t at, const void *data, size_t len, bool truncates)
{
    struct pending *pending = malloc(sizeof *pending + len);
    assert(pending);
    *pending = (struct pending){.at = at, .len = len, .truncates = truncates};
    if (len > 0) {
        memcpy(pending->data, data, len);
    }
    if (file->last) {
        file->last->next = pending;
    } else {
        file->first = pending;
    }
    file->last = pending;
    bytes_apply(&file->now, pending, len);
}

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void fault_disk_restart(enum fault_loss loss, uint64_t seed)
{
    for (int i = 0; i < FILES_MAX; i++) {
        struct disk_file *file = &files[i];
        for (struct pending *p = file->first; p && loss != FAULT_LOSE_ALL; p = p->next) {
            uint64_t fate = loss == FAULT_LOSE_NOTHING ? 0 : next_random(&seed);
            if (fate % 3 == 0) {
                bytes_apply(&file->safe, p, p->len);
            } else if (fate % 3 == 1 && !p->truncates && p->len > 0) {
                bytes_apply(&file->safe, p, (size_t)((fate >> 8) % p->len)); /* torn */
            }
        }
        forget_pending(file);
        bytes_resize(&file->now, file->safe.len);
        if (file->safe.len > 0) {
            memcpy(file->now.s, file->safe.s, file->safe.len);
        }
    }
    fault_disk = (struct fault_disk){.write_count = fault_disk.write_count,
                                     .sync_count = fault_disk.sync_count};
}

/* ---- faults ------------------------------------------------------------------------------------ */

/* Does the power go now? */
static bool power_goes(void)
{
    if (fault_disk.power_in > 0 && --fault_disk.power_in == 0) {
        fault_disk.dead = true;
    }
    return fault_disk.dead;
}

static bool disk_is_full(void)
{
    if (fault_disk.fail_write_in > 0 && --fault_disk.fail_write_in == 0) {
        fault_disk.full = true;
    }
    return fault_disk.full;
}

/* ---- SQLite's file ------------------------------------------------------------------------------ */

static struct disk_file *file_of(sqlite3_file *base)
{
    return ((struct open_file *)base)->file;
}

static int file_close(sqlite3_file *base)
{
    if (file_of(base)->anonymous) {
        erase(file_of(base));
    }
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *to, int amount, sqlite3_int64 at)
{
    struct disk_file *file = file_of(base);
    size_t from = (size_t)at, wanted = (size_t)amount;
    size_t there = from < file->now.len ? file->now.len - from : 0;
    size_t len = there < wanted ? there : wanted;
    if (fault_disk.dead) {
        return SQLITE_IOERR_READ;
    }
    if (len > 0) {
        memcpy(to, file->now.s + from, len);
    }
    memset((unsigned char *)to + len, 0, wanted - len);
    return len == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *from, int amount, sqlite3_int64 at)
{
    if (power_goes()) {
        return SQLITE_IOERR_WRITE;
    }
    fault_disk.write_count++;
    if (disk_is_full()) {
        return SQLITE_FULL;
    }
    note(file_of(base), (size_t)at, from, (size_t)amount, false);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    if (power_goes()) {
        return SQLITE_IOERR_TRUNCATE;
    }
    note(file_of(base), (size_t)size, NULL, 0, true);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags UNUSED)
{
    struct disk_file *file = file_of(base);
    if (power_goes()) {
        return SQLITE_IOERR_FSYNC;
    }
    fault_disk.sync_count++;
    if (fault_disk.fail_sync_in > 0 && --fault_disk.fail_sync_in == 0) {
        forget_pending(file); /* as Linux does: the pages count as clean, and are lost */
        return SQLITE_IOERR_FSYNC;
    }
    for (const struct pending *p = file->first; p; p = p->next) {
        bytes_apply(&file->safe, p, p->len);
    }
    forget_pending(file);
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
    *ret_size = (sqlite3_int64)file_of(base)->now.len;
    return fault_disk.dead ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int file_lock(sqlite3_file *base UNUSED, int level UNUSED)
{
    return SQLITE_OK; /* one connection */
}

static int file_reserved(sqlite3_file *base UNUSED, int *ret_reserved)
{
    *ret_reserved = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base UNUSED, int what UNUSED, void *argument UNUSED)
{
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base UNUSED)
{
    return 512;
}

static int file_traits(sqlite3_file *base UNUSED)
{
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as SQLite's own file system says of Linux */
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, /* no shared memory: locking_mode=EXCLUSIVE */
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
};

/* ---- SQLite's file system ------------------------------------------------------------------------ */

static int disk_open(sqlite3_vfs *vfs UNUSED, const char *name, sqlite3_file *base, int flags,
                     int *ret_flags)
{
    struct open_file *opened = (struct open_file *)base;
    struct disk_file *file = name ? find(name) : NULL;
    *opened = (struct open_file){0};
    if (fault_disk.dead || (!file && name && !(flags & SQLITE_OPEN_CREATE))) {
        return SQLITE_CANTOPEN;
    }
    for (int i = 0; i < FILES_MAX && !file; i++) {
        if (!files[i].name[0]) {
            file = &files[i];
            file->anonymous = !name;
            snprintf(file->name, sizeof file->name, "%s", name ? name : "(temporary)");
        }
    }
    assert(file);
    *opened = (struct open_file){{&methods}, file};
    if (ret_flags) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs UNUSED, const char *name, int sync_folder UNUSED)
{
    struct disk_file *file = find(name);
    if (power_goes()) {
        return SQLITE_IOERR_DELETE;
    }
    if (!file) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    erase(file);
    return SQLITE_OK;
}

static int disk_access(sqlite3_vfs *vfs UNUSED, const char *name, int flags UNUSED, int *ret_there)
{
    *ret_there = find(name) != NULL;
    return SQLITE_OK;
}

static int disk_path(sqlite3_vfs *vfs UNUSED, const char *name, int room, char *ret_path)
{
    return snprintf(ret_path, (size_t)room, "%s", name) < room ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int disk_random(sqlite3_vfs *vfs UNUSED, int size, char *ret_bytes)
{
    for (int i = 0; i < size; i++) {
        ret_bytes[i] = (char)next_random(&disk_chance);
    }
    return size;
}

static int disk_sleep(sqlite3_vfs *vfs UNUSED, int us)
{
    return us;
}

static int disk_time(sqlite3_vfs *vfs UNUSED, double *ret_julian_day)
{
    *ret_julian_day = 2460000.5;
    return SQLITE_OK;
}

static int disk_error(sqlite3_vfs *vfs UNUSED, int room UNUSED, char *ret_text UNUSED)
{
    return 0;
}

const char *fault_vfs(void)
{
    static sqlite3_vfs vfs = {
        .iVersion = 1,
        .szOsFile = sizeof(struct open_file),
        .mxPathname = NAME_ROOM - 16,
        .zName = "fault",
        .xOpen = disk_open,
        .xDelete = disk_delete,
        .xAccess = disk_access,
        .xFullPathname = disk_path,
        .xRandomness = disk_random,
        .xSleep = disk_sleep,
        .xCurrentTime = disk_time,
        .xGetLastError = disk_error,
    };
    int code = sqlite3_vfs_register(&vfs, 1); /* the default one, for its random bytes */
    assert(code == SQLITE_OK);
    return vfs.zName;
}
