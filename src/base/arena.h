/* Memory that lives and dies with one piece of work. An arena hands out zeroed, aligned pieces and
 * takes them back all at once. It never returns NULL: inputs are capped at the door, so an arena that
 * reaches its cap is our own mistake and aborts. Not thread-safe: a call belongs to one thread. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

#define ARENA_DEFAULT_MAX_BYTES ((size_t)64 << 20) /* a page of 100 largest documents, four times */

struct arena_block;

struct arena {
    struct arena_block *newest; /* chain of blocks, newest first; NULL = none yet */
    size_t used_bytes;          /* of all blocks, as asked for */
    size_t max_bytes;           /* abort beyond */
};

/* Start an empty arena; allocates nothing until first use. max_bytes 0 = the default. */
void arena_open(struct arena *, size_t max_bytes);
/* Free all; NULL does nothing. The arena may be used again after arena_open. */
void arena_close(struct arena *);
/* Forget all pieces but keep the first block, for the next piece of work on a connection. */
void arena_reset(struct arena *);

/* A zeroed piece, aligned for any type. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *, size_t size_bytes) __attribute__((returns_nonnull));
/* Grow the piece old of old_bytes to new_bytes (moves unless it was the last one). */
void *arena_grow(struct arena *, void *old, size_t old_bytes, size_t new_bytes)
    __attribute__((returns_nonnull));

#define arena_new(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (count)))

/* A copy that also ends with a NUL (not counted), so .s may go to a C library. */
struct str arena_copy(struct arena *, struct str);
struct str arena_printf(struct arena *, const char *format, ...) PRINTF(2, 3);

#endif
