/* Arena: a chain of malloc'ed blocks, each twice as large as the one before up to a megabyte.
 * Under AddressSanitizer the unused rest of a block is poisoned, so that a write beyond a piece is
 * found although malloc never saw the piece. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif
#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#define POISON(at, size) __asan_poison_memory_region((at), (size))
#define UNPOISON(at, size) __asan_unpoison_memory_region((at), (size))
#define GAP_BYTES 16 /* poisoned bytes between two pieces */
#else
#define POISON(at, size) ((void)(at), (void)(size))
#define UNPOISON(at, size) ((void)(at), (void)(size))
#define GAP_BYTES 0
#endif

#define ALIGN_BYTES 16
#define FIRST_BLOCK_BYTES ((size_t)4096)
#define LARGEST_STEP_BYTES ((size_t)1 << 20)

struct arena_block {
    struct arena_block *older;
    size_t size_bytes, used_bytes;
    _Alignas(ALIGN_BYTES) char bytes[];
};

static size_t aligned(size_t size_bytes)
{
    return (size_bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
}

void arena_open(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.max_bytes = max_bytes ? max_bytes : ARENA_DEFAULT_MAX_BYTES};
}

static void block_free(struct arena_block *block)
{
    UNPOISON(block->bytes, block->size_bytes);
    free(block);
}

void arena_close(struct arena *arena)
{
    if (!arena) {
        return;
    }
    while (arena->newest) {
        struct arena_block *older = arena->newest->older;
        block_free(arena->newest);
        arena->newest = older;
    }
    arena->used_bytes = 0;
}

void arena_reset(struct arena *arena)
{
    while (arena->newest && arena->newest->older) {
        struct arena_block *older = arena->newest->older;
        block_free(arena->newest);
        arena->newest = older;
    }
    if (arena->newest) {
        arena->newest->used_bytes = 0;
        POISON(arena->newest->bytes, arena->newest->size_bytes);
    }
    arena->used_bytes = 0;
}

static struct arena_block *block_add(struct arena *arena, size_t need_bytes)
{
    size_t size = arena->newest ? arena->newest->size_bytes * 2 : FIRST_BLOCK_BYTES;
    if (size > LARGEST_STEP_BYTES) {
        size = LARGEST_STEP_BYTES;
    }
    if (size < need_bytes) {
        size = aligned(need_bytes);
    }
    struct arena_block *block = malloc(sizeof(*block) + size);
    if (!block) {
        abort();
    }
    block->older = arena->newest;
    block->size_bytes = size;
    block->used_bytes = 0;
    POISON(block->bytes, size);
    arena->newest = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    if (size_bytes > arena->max_bytes || arena->used_bytes > arena->max_bytes - size_bytes) {
        abort(); /* a cap at the door is missing */
    }
    size_t need = aligned(size_bytes ? size_bytes : 1) + GAP_BYTES;
    struct arena_block *block = arena->newest;
    if (!block || block->size_bytes - block->used_bytes < need) {
        block = block_add(arena, need);
    }
    char *piece = block->bytes + block->used_bytes;
    block->used_bytes += need;
    arena->used_bytes += size_bytes;
    UNPOISON(piece, size_bytes);
    memset(piece, 0, size_bytes);
    return piece;
}

void *arena_grow(struct arena *arena, void *old, size_t old_bytes, size_t new_bytes)
{
    struct arena_block *block = arena->newest;
    size_t old_need = aligned(old_bytes ? old_bytes : 1) + GAP_BYTES;
    size_t new_need = aligned(new_bytes ? new_bytes : 1) + GAP_BYTES;
    assert(new_bytes >= old_bytes);
    if (old && block && (char *)old + old_need == block->bytes + block->used_bytes &&
        block->size_bytes - block->used_bytes >= new_need - old_need) {
        if (arena->used_bytes > arena->max_bytes - (new_bytes - old_bytes)) {
            abort();
        }
        block->used_bytes += new_need - old_need;
        arena->used_bytes += new_bytes - old_bytes;
        UNPOISON(old, new_bytes);
        memset((char *)old + old_bytes, 0, new_bytes - old_bytes);
        return old;
    }
    void *piece = arena_alloc(arena, new_bytes);
    if (old && old_bytes) {
        memcpy(piece, old, old_bytes);
    }
    return piece;
}

struct str arena_copy(struct arena *arena, struct str text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (text.len) {
        memcpy(copy, text.s, text.len);
    }
    return (struct str){copy, text.len};
}

/* Most texts are short: those are formatted once, and copied. */
struct str arena_printf(struct arena *arena, const char *format, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    assert(length >= 0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    if ((size_t)length < sizeof small) {
        memcpy(text, small, (size_t)length);
    } else {
        (void)vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    return (struct str){text, (size_t)length};
}
