/* What tests of a store work with: a call on a clock of its own, and after-images that keep the port's
 * rules without the core. Not a store and not the core: small things that are typed in too often. */
#ifndef TESTS_STORE_DESK_H
#define TESTS_STORE_DESK_H

#include "core/ports.h"

#define DESK_NOW_MS INT64_C(1763805600000) /* 2025-11-22T10:00:00Z */
#define DESK_ENTRIES_MAX 6

struct desk {
    struct store *store;
    struct arena arena;
    struct call call; /* call.now_ms is the clock */
};

/* in: the store may be NULL and set later. */
void desk_open(struct desk *, struct store *);
/* Closes the arena; the store is the caller's. */
void desk_close(struct desk *);

/* A text that lives as long as the desk. */
struct str desk_text(struct desk *, const char *format, ...) PRINTF(2, 3);
/* 64 hex made of a number. */
struct str desk_sha(struct desk *, int64_t number);

/* One commit to be changed at will before it is handed over. */
struct desk_draft {
    struct device device;
    struct entry entries[DESK_ENTRIES_MAX];
    struct change change;
};
/* A new device with its entry 0. */
void desk_new(struct desk *, struct desk_draft *, const char *key, const char *owner);
/* The next version of a device that is there, with some more entries of kind update. */
void desk_next(struct desk *, struct desk_draft *, const char *key, int entry_count);
MUST enum rc desk_commit(struct desk *, struct desk_draft *);

/* In one go, checked. */
void desk_create(struct desk *, const char *key, const char *owner);
void desk_append(struct desk *, const char *key, int entry_count);
struct device desk_read(struct desk *, const char *key);
/* All entries, oldest first. */
struct entry_page desk_log(struct desk *, const char *key);
/* Keys of a page as "a b c". */
struct str desk_keys(struct desk *, const struct work_page *);

#endif
