/* Does any name break the check or the key? A key is a name again and its own key; canonically equal spellings have one
 * key; a prefix of a name's characters folds to a key, or is refused. */
#include "base/text.h"
#include "core/name.h"

#include <stdlib.h>
#include <utf8proc.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct call call_on(struct arena *arena)
{
    return (struct call){.arena = arena};
}

/* The text in a normal form of Unicode. */
static struct str normal_form(struct arena *arena, struct str text, int options)
{
    utf8proc_uint8_t *form = NULL;
    utf8proc_ssize_t length =
        utf8proc_map((const utf8proc_uint8_t *)text.s, (utf8proc_ssize_t)text.len, &form,
                     (utf8proc_option_t)(UTF8PROC_STABLE | options));
    assert(length >= 0);
    struct str copy = arena_copy(arena, (struct str){(char *)form, (size_t)length});
    free(form);
    return copy;
}

static void check_spelling(struct arena *arena, struct str name, int options, struct str key)
{
    struct call call = call_on(arena);
    struct str checked, same;
    if (name_check(&call, normal_form(arena, name, options), STR(""), &checked) == RC_OK) {
        enum rc rc = name_key(&call, checked, STR(""), &same);
        assert(rc == RC_OK && str_equal(same, key));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct str name, key, again, prefix;
    arena_open(&arena, 0);
    struct call call = call_on(&arena);
    struct str text = {(const char *)data, size};
    if (name_check(&call, text, STR("/device_name"), &name) == RC_OK) {
        assert(name.len > 0 && name.len <= NAME_MAX_BYTES && text_is_utf8(name));
        if (name_key(&call, name, STR("/device_name"), &key) == RC_OK) {
            assert(key.len > 0 && key.len <= NAME_KEY_MAX_BYTES && text_is_utf8(key));
            assert(!memchr(key.s, '/', key.len) && !name_is_system(key));
            enum rc rc = name_key(&call, key, STR(""), &again);
            assert(rc == RC_OK && str_equal(again, key));
            check_spelling(&arena, name, UTF8PROC_DECOMPOSE, key);
            check_spelling(&arena, name, UTF8PROC_COMPOSE, key);
        }
    } else {
        assert(call.problem == PROBLEM_name_invalid || call.problem == PROBLEM_name_too_long);
        assert(call.item_count == 1 && text_is_utf8(str_of(call.why)));
    }
    call = call_on(&arena);
    if (name_prefix_key(&call, text, &prefix) == RC_OK) {
        assert(prefix.len <= NAME_KEY_MAX_BYTES);
    }
    arena_close(&arena);
    return 0;
}
