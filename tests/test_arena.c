/* The arena: pieces are zeroed and apart, growing keeps what was written, caps abort. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "test.h"

TEST(arena_pieces_are_zeroed_aligned_and_apart)
{
    struct arena arena;
    arena_open(&arena, 0);
    unsigned char *before = NULL;
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *piece = arena_alloc(&arena, size);
        CHECK_INT((uintptr_t)piece % 16, 0);
        CHECK(piece != before);
        for (size_t i = 0; i < size; i++) {
            CHECK_INT(piece[i], 0);
        }
        memset(piece, 0xee, size);
        before = piece;
    }
    arena_close(&arena);
}

TEST(arena_grow_keeps_what_was_written)
{
    struct arena arena;
    arena_open(&arena, 0);
    char *piece = NULL;
    size_t size = 0;
    for (size_t next = 1; next < 200000; next = next * 3 / 2 + 1) {
        piece = arena_grow(&arena, piece, size, next);
        memset(piece + size, (int)(next % 100), next - size);
        if (next % 2) {
            (void)arena_alloc(&arena, 10); /* so that it can not grow in place */
        }
        size = next;
    }
    CHECK_INT(piece[0], 1);
    CHECK_INT(piece[1], 2);
    arena_close(&arena);
}

TEST(arena_reset_reuses_its_first_block)
{
    struct arena arena;
    arena_open(&arena, 0);
    char *first = arena_alloc(&arena, 100);
    memset(first, 'x', 100);
    (void)arena_alloc(&arena, 100000);
    arena_reset(&arena);
    CHECK_INT(arena.used_bytes, 0);
    char *again = arena_alloc(&arena, 100);
    CHECK(again == first);
    CHECK_INT(again[99], 0);
    arena_close(&arena);
    arena_close(NULL);
}

TEST(arena_copy_ends_with_a_nul_and_printf_takes_any_length)
{
    struct arena arena;
    arena_open(&arena, 0);
    struct str copy = arena_copy(&arena, str_head(STR("abcdef"), 3));
    CHECK_STR(copy, "abc");
    CHECK_INT(copy.s[3], 0);
    CHECK_INT(arena_copy(&arena, STR_NONE).len, 0);
    struct str text = arena_printf(&arena, "%05d-%s", 42, "x");
    CHECK_STR(text, "00042-x");
    CHECK_INT(arena_printf(&arena, "%9000d", 1).len, 9000);
    arena_close(&arena);
}

/* The signal that ended a child which asked for size bytes of an arena of 1000. */
static int end_of_asking_for(size_t size_bytes)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct arena arena;
        arena_open(&arena, 1000);
        (void)arena_alloc(&arena, size_bytes);
        _exit(0);
    }
    int status = 0;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(arena_beyond_its_cap_aborts)
{
    CHECK_INT(end_of_asking_for(1000), 0);
    CHECK_INT(end_of_asking_for(1001), SIGABRT);
    CHECK_INT(end_of_asking_for(SIZE_MAX), SIGABRT);
}
