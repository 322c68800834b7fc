/* Can anybody make a cursor? The input is a scope, a newline, and a cursor. What cursor_read takes is exactly what
 * cursor_write made, in that scope and no other; what it refuses leaves nothing. */
#include "base/text.h"
#include "core/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str cursor = {(const char *)data, size}, scope = text_cut(&cursor, '\n'), payload;
    struct arena arena;
    if (size > 4096) {
        return 0;
    }
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    if (cursor_read(&call, scope, cursor, &payload) == RC_OK) {
        assert(str_equal(cursor_write(&call, scope, payload), cursor));
    }
    if (cursor.len <= CURSOR_MAX_BYTES / 2) { /* as a payload */
        struct str made = cursor_write(&call, scope, cursor), elsewhere;
        struct str other = arena_printf(&arena, STR_FMT "+", STR_ARG(scope));
        enum rc rc = cursor_read(&call, scope, made, &payload);
        assert(rc == RC_OK && str_equal(payload, cursor) && made.len <= CURSOR_MAX_BYTES);
        rc = cursor_read(&call, other, made, &elsewhere);
        assert(rc != RC_OK);
    }
    arena_close(&arena);
    return 0;
}
