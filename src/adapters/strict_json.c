/* See strict_json.h. Faults go into the call as items; the caller looks at call->item_count at the end. */
#include "adapters/strict_json.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

#define IDENTIFIER_MAX_BYTES 128

struct str strict_pointer(const struct strict *strict, const char *name)
{
    return json_pointer(strict->call->arena, strict->pointer, str_of(name));
}

void strict_fault(struct strict *strict, const char *name, enum problem problem, const char *format,
                  ...)
{
    char why[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    call_name(strict->call, strict_pointer(strict, name), problem, "%s", why);
}

void strict_open(struct strict *strict, struct call *call, struct arena *keep, yyjson_val *value,
                 struct str pointer)
{
    *strict = (struct strict){.call = call,
                              .keep = keep,
                              .object = yyjson_is_obj(value) ? value : NULL,
                              .pointer = pointer};
    if (!strict->object) {
        call_name(call, pointer, PROBLEM_invalid_member, "must be an object");
    }
}

yyjson_val *strict_take(struct strict *strict, const char *name)
{
    assert(strict->taken_count < STRICT_MEMBERS_MAX);
    strict->taken[strict->taken_count++] = name;
    return json_member(strict->object, name);
}

struct str strict_text(struct strict *strict, const char *name, struct str fallback)
{
    yyjson_val *value = strict_take(strict, name);
    if (!value) {
        if (!fallback.s && strict->object) {
            strict_fault(strict, name, PROBLEM_missing_member, "is missing");
        }
        return fallback;
    }
    struct str text = json_str(value);
    if (!yyjson_is_str(value) || memchr(text.s, 0, text.len)) {
        strict_fault(strict, name, PROBLEM_invalid_member, "must be a text");
        return fallback;
    }
    return arena_copy(strict->keep, text);
}

bool strict_bool(struct strict *strict, const char *name, bool fallback)
{
    yyjson_val *value = strict_take(strict, name);
    if (value && !yyjson_is_bool(value)) {
        strict_fault(strict, name, PROBLEM_invalid_member, "must be true or false");
    }
    return yyjson_is_bool(value) ? yyjson_get_bool(value) : fallback;
}

int64_t strict_number(struct strict *strict, const char *name, int64_t fallback, int64_t min,
                      int64_t max)
{
    yyjson_val *value = strict_take(strict, name);
    int64_t number = 0;
    if (!value && fallback >= min) {
        return fallback;
    }
    if (!value && strict->object) {
        strict_fault(strict, name, PROBLEM_missing_member, "is missing");
    } else if (value && (!yyjson_is_raw(value) || text_to_i64(json_raw(value), &number) != RC_OK ||
                         number < min || number > max)) {
        strict_fault(strict, name, PROBLEM_invalid_member, "must be a number from %lld to %lld",
                     (long long)min, (long long)max);
    } else if (value) {
        return number;
    }
    return max_i64(fallback, min);
}

int strict_word(struct strict *strict, const char *name, const char *const *words, int fallback)
{
    char all[160] = "";
    struct str text = strict_text(strict, name, STR(""));
    size_t used = 0;
    for (int i = 0; words[i]; i++) {
        if (str_is(text, words[i])) {
            return i;
        }
        int size = snprintf(all + used, sizeof(all) - used, "%s%s", i ? ", " : "", words[i]);
        used = min_i64((int64_t)used + size, sizeof(all) - 1) > 0
                   ? (size_t)min_i64((int64_t)used + size, sizeof(all) - 1)
                   : 0;
    }
    if (text.len || json_member(strict->object, name)) {
        strict_fault(strict, name, PROBLEM_invalid_member, "must be one of: %s", all);
    }
    return fallback;
}

void strict_end(struct strict *strict)
{
    yyjson_obj_iter members;
    yyjson_val *key;
    if (!strict->object) {
        return;
    }
    yyjson_obj_iter_init(strict->object, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        bool known = false;
        for (int i = 0; i < strict->taken_count; i++) {
            known = known || str_is(json_str(key), strict->taken[i]);
        }
        if (!known) {
            call_name(strict->call,
                      json_pointer(strict->call->arena, strict->pointer, json_str(key)),
                      PROBLEM_unknown_member, "is unknown");
        }
    }
}

/* ---- kinds of text that configurations share --------------------------------------------------- */

static bool is_identifier(struct str text)
{
    bool good =
        text.len > 0 && text.len <= IDENTIFIER_MAX_BYTES && !(text.s[0] >= '0' && text.s[0] <= '9');
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.s[i];
        good =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    return good;
}

struct str strict_identifier(struct strict *strict, const char *name)
{
    struct str text = strict_text(strict, name, STR_NONE);
    if (text.len && !is_identifier(text)) {
        strict_fault(strict, name, PROBLEM_invalid_member,
                     "must be a name of letters, digits and _");
    }
    return text;
}

static bool is_loopback(struct str host)
{
    return str_starts(host, STR("127.")) || str_is(host, "localhost") ||
           str_starts(host, STR("[::1]"));
}

/* http(s)://host[:port]/path without user, query, fragment, trailing slash. */
struct str strict_address(struct strict *strict, const char *name, bool allow_http,
                          struct str fallback)
{
    struct str url = strict_text(strict, name, fallback);
    struct str rest;
    bool plain = str_starts(url, STR("http://"));
    if (!url.len) {
        return url;
    }
    if (!plain && !str_starts(url, STR("https://"))) {
        strict_fault(strict, name, PROBLEM_invalid_member, "must begin with https:// (or http://)");
        return url;
    }
    rest = str_from(url, plain ? 7 : 8);
    struct str path = rest, authority = text_cut(&path, '/'), host = authority;
    if (!str_starts(host, STR("["))) {
        struct str port = host;
        host = text_cut(&port, ':');
    }
    bool bad = !host.len || memchr(authority.s, '@', authority.len) || url.s[url.len - 1] == '/';
    for (size_t i = 0; i < url.len; i++) {
        bad = bad || (unsigned char)url.s[i] <= ' ' || (unsigned char)url.s[i] >= 0x7f ||
              url.s[i] == '?' || url.s[i] == '#';
    }
    if (bad) {
        strict_fault(
            strict, name, PROBLEM_invalid_member,
            "must be an address without user, query, fragment, blanks, and slash at its end");
    } else if (plain && !allow_http && !is_loopback(host)) {
        strict_fault(
            strict, name, PROBLEM_invalid_member,
            "plain http:// shows secrets to the network; https://, or \"allow_http\": true");
    }
    return url;
}

/* "secret:sap/user" -> sap/user */
struct str strict_secret(struct strict *strict, const char *name)
{
    struct str text = strict_text(strict, name, STR_NONE);
    if (text.len && (!str_starts(text, STR("secret:")) || text.len == 7)) {
        strict_fault(strict, name, PROBLEM_invalid_member,
                     "must name a secret, like secret:sap/user; never the secret itself");
        return STR_NONE;
    }
    return text.len ? str_from(text, 7) : text;
}

enum rc strict_root(struct call *call, struct arena *keep, struct str json,
                    struct strict *ret_strict)
{
    struct json_fault fault;
    yyjson_val *root;
    if (json_read(call->arena, json, 6, &root, &fault) != RC_OK) {
        return call_refuse_at(call, fault.pointer, PROBLEM_invalid_json, "%s", fault.why);
    }
    strict_open(ret_strict, call, keep, root, STR(""));
    (void)strict_take(ret_strict, "note"); /* words for people */
    return RC_OK;
}

enum rc strict_verdict(struct call *call)
{
    if (!call->item_count) {
        return RC_OK;
    }
    const struct problem_item *first = &call->items[0];
    return call_refuse(call, first->code, STR_FMT ": " STR_FMT,
                       STR_ARG(first->pointer.len ? first->pointer : STR("/")),
                       STR_ARG(first->detail));
}

const struct str *strict_texts(struct strict *strict, const char *name, bool lower, int *ret_count)
{
    yyjson_val *list = strict_take(strict, name), *item;
    size_t i, count;
    *ret_count = 0;
    if (!list) {
        return NULL;
    }
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > STRICT_TEXTS_MAX) {
        strict_fault(strict, name, PROBLEM_invalid_member, "must be an array of at most %d texts",
                     STRICT_TEXTS_MAX);
        return NULL;
    }
    struct str *texts = arena_array(strict->keep, struct str, yyjson_arr_size(list));
    yyjson_arr_foreach(list, i, count, item)
    {
        if (!yyjson_is_str(item) || !yyjson_get_len(item)) {
            strict_fault(strict, name, PROBLEM_invalid_member, "must be an array of texts");
            return texts; /* those before it */
        }
        struct str text = json_str(item);
        texts[(*ret_count)++] =
            arena_copy(strict->keep, lower ? text_lower(strict->call->arena, text) : text);
    }
    return texts;
}
