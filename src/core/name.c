/* Names. What is written is checked against a short list of kinds of characters; what is compared is
 * the key. The key is the end of a chain: canonical decomposition, NFKC case folding, and once more
 * until nothing changes, because "the same device" has to mean the same however often it is asked.
 * The rule on characters holds for both ends: folding may turn a letter into a blank and a mark. */
#include "core/name.h"

#include <utf8proc.h>

#include "base/sha256.h"
#include "base/text.h"

#define SYSTEM_NAME "!system"
#define PUNCTUATION " -_.:+()[],&'@=#!*"
#define FOLD_ROUNDS_MAX 4
/* One code point becomes at most 18 (U+FDFA). reencode needs one more. */
#define FOLD_ROOM(code_count) (((code_count) + 1) * 18 + 1)
#define FOLD_ROOM_MAX FOLD_ROOM(NAME_MAX_CHARS)

/* --- characters -------------------------------------------------------------------------------- */
static bool is_letter_or_digit(int32_t code)
{
    if (code < 0x80) {
        return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
               (code >= '0' && code <= '9');
    }
    utf8proc_category_t category = utf8proc_category(code);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) ||
           category == UTF8PROC_CATEGORY_ND;
}

static bool is_allowed(int32_t code)
{
    if (is_letter_or_digit(code)) {
        return true;
    }
    if (code < 0x80) {
        return code > 0 && strchr(PUNCTUATION, code);
    }
    utf8proc_category_t category = utf8proc_category(code);
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

/* The rule on characters. in: text: well-formed; whose: for the words. out: how many there are. */
static enum rc check_characters(struct call *call, struct str text, struct str pointer,
                                const char *whose, size_t *ret_count)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text.s;
    size_t count = 0;
    for (size_t at = 0; at < text.len; count++) {
        utf8proc_int32_t code = -1;
        utf8proc_ssize_t length =
            utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(text.len - at), &code);
        assert(length > 0);
        if (!is_allowed(code)) {
            return call_refuse_at(call, pointer, PROBLEM_name_invalid,
                                  "character %zu of %s, U+%04X, is not allowed: letters, marks and "
                                  "digits of any script, space and " PUNCTUATION " are",
                                  count + 1, whose, (unsigned)code);
        }
        at += (size_t)length;
    }
    *ret_count = count;
    return RC_OK;
}

/* in: text: well-formed, not empty */
static enum rc check_first(struct call *call, struct str text, struct str pointer,
                           const char *whose)
{
    utf8proc_int32_t code = -1;
    utf8proc_ssize_t length =
        utf8proc_iterate((const utf8proc_uint8_t *)text.s, (utf8proc_ssize_t)text.len, &code);
    assert(length > 0);
    return is_letter_or_digit(code)
               ? RC_OK
               : call_refuse_at(call, pointer, PROBLEM_name_invalid,
                                "the first character of %s must be a letter or a digit", whose);
}

enum rc name_check(struct call *call, struct str name, struct str pointer, struct str *ret_name)
{
    struct str trimmed = text_trim(name);
    if (!text_is_utf8(name)) {
        return call_refuse_at(call, pointer, PROBLEM_name_invalid, "the name is not valid UTF-8");
    }
    if (trimmed.len == 0) {
        return call_refuse_at(call, pointer, PROBLEM_name_invalid, "the name is empty");
    }
    size_t count = 0;
    TRY(check_first(call, trimmed, pointer, "the name"));
    TRY(check_characters(call, trimmed, pointer, "the name", &count));
    if (count > NAME_MAX_CHARS) {
        return call_refuse_at(call, pointer, PROBLEM_name_too_long,
                              "the name has %zu characters, at most %d are allowed", count,
                              NAME_MAX_CHARS);
    }
    *ret_name = trimmed;
    return RC_OK;
}

/* --- folding ------------------------------------------------------------------------------------- */
static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.s[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* One run of utf8proc; false: the result has no room. */
static bool transform(struct arena *arena, struct str text, int options, struct str *ret_text)
{
    utf8proc_ssize_t room = text.len < NAME_MAX_CHARS
                                ? (utf8proc_ssize_t)FOLD_ROOM(text.len)
                                : FOLD_ROOM_MAX; /* a byte is a code or less */
    utf8proc_int32_t *codes = arena_array(arena, utf8proc_int32_t, (size_t)room);
    utf8proc_ssize_t count =
        utf8proc_decompose((const utf8proc_uint8_t *)text.s, (utf8proc_ssize_t)text.len, codes,
                           room - 1, (utf8proc_option_t)options);
    if (count < 0 || count >= room) {
        return false;
    }
    utf8proc_ssize_t length = utf8proc_reencode(codes, count, (utf8proc_option_t)options);
    assert(length >= 0);
    *ret_text = (struct str){(const char *)codes, (size_t)length};
    return true;
}

/* NFKC_Casefold of the canonical decomposition: without that, U+0345 would fold by where it stands. */
static bool fold_once(struct arena *arena, struct str text, struct str *ret_text)
{
    const int fold =
        UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    struct str decomposed;
    return transform(arena, text, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &decomposed) &&
           transform(arena, decomposed, fold, ret_text);
}

/* fails: RC_INVALID name_too_long */
static enum rc fold(struct call *call, struct str text, struct str pointer, struct str *ret_key)
{
    struct str key = text;
    if (is_ascii(text)) {
        *ret_key = text_lower(call->arena, text);
        return RC_OK;
    }
    for (int round = 0; round < FOLD_ROUNDS_MAX; round++) {
        struct str before = key;
        if (!fold_once(call->arena, before, &key)) {
            break;
        }
        if (str_equal(before, key)) {
            *ret_key = key;
            return RC_OK;
        }
    }
    return call_refuse_at(call, pointer, PROBLEM_name_too_long,
                          "the name grows too much when its case is folded");
}

enum rc name_key(struct call *call, struct str name, struct str pointer, struct str *ret_key)
{
    struct str key;
    TRY(fold(call, name, pointer, &key));
    if (key.len > NAME_KEY_MAX_BYTES) {
        return call_refuse_at(call, pointer, PROBLEM_name_too_long,
                              "folded, the name has %zu bytes, at most %d are allowed", key.len,
                              NAME_KEY_MAX_BYTES);
    }
    if (key.len == 0 || key.s[key.len - 1] == ' ') {
        return call_refuse_at(call, pointer, PROBLEM_name_invalid,
                              key.len ? "folded, the name ends with a space"
                                      : "the name has no visible character");
    }
    size_t count = 0;
    TRY(check_first(call, key, pointer, "the folded name"));
    TRY(check_characters(call, key, pointer, "the folded name", &count));
    *ret_key = key;
    return RC_OK;
}

/* --- keys of the store --------------------------------------------------------------------------- */
static struct str in_realm(struct call *call, struct str realm, struct str rest)
{
    return arena_printf(call->arena, STR_FMT "/" STR_FMT, STR_ARG(realm), STR_ARG(rest));
}

enum rc name_device_key(struct call *call, struct str realm, struct str name, struct str pointer,
                        struct str *ret_name, struct str *ret_key)
{
    struct str checked, key;
    TRY(name_check(call, name, pointer, &checked));
    TRY(name_key(call, checked, pointer, &key));
    *ret_name = checked;
    *ret_key = in_realm(call, realm, key);
    return RC_OK;
}

enum rc name_prefix_key(struct call *call, struct str prefix, struct str *ret_key)
{
    struct str key;
    size_t count = 0;
    if (!text_is_utf8(prefix) || prefix.len > NAME_MAX_BYTES) {
        return call_refuse(call, PROBLEM_invalid_parameter,
                           prefix.len > NAME_MAX_BYTES ? "the prefix is longer than any name"
                                                       : "the prefix is not valid UTF-8");
    }
    if (check_characters(call, prefix, STR(""), "the prefix", &count) != RC_OK ||
        fold(call, prefix, STR(""), &key) != RC_OK || key.len > NAME_KEY_MAX_BYTES) {
        call->item_count = 0; /* a parameter has no place in the body */
        return call_refuse(call, PROBLEM_invalid_parameter, "no name begins with the prefix");
    }
    *ret_key = key;
    return RC_OK;
}

struct str name_system(struct call *call, struct str realm)
{
    return in_realm(call, realm, STR(SYSTEM_NAME));
}

bool name_is_system(struct str key)
{
    struct str end = STR("/" SYSTEM_NAME);
    return key.len > end.len && str_equal(str_from(key, key.len - end.len), end);
}

struct str name_realm(struct str key)
{
    return text_cut(&key, '/');
}

int name_shard(struct str key)
{
    unsigned char digest[SHA256_BYTES];
    sha256(key, digest);
    return digest[0] >> 4;
}
