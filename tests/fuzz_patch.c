/* Do any documents and patches break the merge? The input is a document and up to eight patches, a newline between.
 * One by one and all at once give the same bytes, the library's own merge gives the same document, and what a patch
 * sets is there. */
#include "base/text.h"
#include "core/document.h"

#define PATCHES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Checked at the door as a request's would be. */
static bool take(struct call *call, struct str text, bool patch, struct str *ret_json)
{
    yyjson_val *value = NULL;
    return json_read(call->arena, text, JSON_MAX_DEPTH, &value, NULL) == RC_OK &&
           document_check(call, value, STR("/attributes"), patch, ret_json) == RC_OK;
}

static yyjson_val *parsed(struct arena *arena, struct str json)
{
    yyjson_val *value = NULL;
    enum rc rc = json_read(arena, json, JSON_MAX_DEPTH, &value, NULL);
    assert(rc == RC_OK);
    return value;
}

static struct str by_library(struct arena *arena, struct str doc, struct str patch)
{
    yyjson_mut_doc *result = json_doc(arena);
    yyjson_mut_doc_set_root(result,
                            yyjson_merge_patch(result, parsed(arena, doc), parsed(arena, patch)));
    return json_write_mut(arena, result);
}

static void check_leaves(struct call *call, struct str patch)
{
    struct leaf *leaves = NULL;
    size_t count = 0, pointer_bytes = 0;
    enum rc rc = document_leaves(call, patch, &leaves, &count);
    assert(rc == RC_OK);
    struct leaf_set set;
    document_leaf_set(call, leaves, count, &set);
    for (size_t i = 0; i < count; i++) {
        assert(document_overrides(&set, leaves[i].pointer));
        pointer_bytes += leaves[i].pointer.len;
    }
    assert(pointer_bytes <= POINTERS_MAX_BYTES);
}

static void play(struct call *call, struct str doc, const struct str *patches, size_t count)
{
    struct str step = doc, naive = doc, all;
    enum rc rc = RC_OK;
    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        rc = document_merge(call, step, patches[i], &step);
        naive = by_library(call->arena, naive, patches[i]);
        check_leaves(call, patches[i]);
    }
    assert(rc == RC_OK);
    rc = document_replay(call, doc, patches, count, &all);
    assert(rc == RC_OK && str_equal(all, step));
    assert(yyjson_equals(parsed(call->arena, all), parsed(call->arena, naive)));
    assert(document_equal(call, all, naive));
    assert(document_equal(call, doc, all) ==
           yyjson_equals(parsed(call->arena, doc), parsed(call->arena, all)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, doc, patches[PATCHES_MAX];
    struct arena arena;
    size_t count = 0;
    if (size > 20000) {
        return 0; /* the library's merge takes the square of the time */
    }
    arena_open(&arena, (size_t)256 << 20);
    struct call call = {.arena = &arena};
    if (take(&call, text_cut(&rest, '\n'), false, &doc)) {
        while (rest.len && count < PATCHES_MAX) {
            if (take(&call, text_cut(&rest, '\n'), true, &patches[count])) {
                count++;
            }
        }
        play(&call, doc, patches, count);
    }
    arena_close(&arena);
    return 0;
}
