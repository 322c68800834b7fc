/* Does any text break the JSON reader? What it takes must be what it writes, and written again the same; what it
 * refuses is either no JSON for the library, or names its member or depth by a pointer. */
#include "base/json.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool library_reads(struct arena *arena, struct str text)
{
    yyjson_alc alc = json_alc(arena);
    return yyjson_read_opts((char *)(uintptr_t)text.s, text.len, YYJSON_READ_NUMBER_AS_RAW, &alc,
                            NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena;
    yyjson_val *root = NULL, *again = NULL;
    struct json_fault fault;
    if (size > 65536) {
        return 0;
    }
    arena_open(&arena, 0);
    if (json_read(&arena, text, JSON_MAX_DEPTH, &root, &fault) == RC_OK) {
        struct str written = json_write(&arena, root);
        assert(text_is_utf8(written));
        enum rc rc = json_read(&arena, written, JSON_MAX_DEPTH, &again, NULL);
        assert(rc == RC_OK && yyjson_equals(root, again));
        assert(str_equal(json_write(&arena, again), written));
    } else {
        assert(!root && fault.why[0]);
        assert((fault.kind == JSON_SYNTAX) == !library_reads(&arena, text));
        assert(fault.pointer.len == 0 || fault.pointer.s[0] == '/');
    }
    arena_close(&arena);
    return 0;
}
