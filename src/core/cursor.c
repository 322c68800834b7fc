/* A cursor is base64url of a checksum and the payload; the checksum is the head of SHA-256 over scope and payload.
 * What is decoded must encode to the same text again: each cursor has one spelling. */
#include "core/cursor.h"

#include "base/sha256.h"
#include "base/text.h"

#define CHECKSUM_BYTES 6

static void checksum(struct call *call, struct str scope, struct str payload, char *ret_bytes)
{
    unsigned char sha[SHA256_BYTES];
    struct text text;
    text_open(&text, call->arena, scope.len + payload.len + 32);
    text_printf(&text, "%zu:", scope.len);
    text_add(&text, scope);
    text_add(&text, payload);
    sha256(text_str(&text), sha);
    memcpy(ret_bytes, sha, CHECKSUM_BYTES);
}

static struct str encode(struct call *call, struct str bytes)
{
    struct str plain = text_base64(call->arena, bytes);
    char *text = arena_alloc(call->arena, plain.len + 1);
    size_t len = 0;
    while (len < plain.len && plain.s[len] != '=') {
        text[len] = plain.s[len] == '+' ? '-' : plain.s[len] == '/' ? '_' : plain.s[len];
        len++;
    }
    return (struct str){text, len};
}

static enum rc decode(struct call *call, struct str cursor, struct str *ret_bytes)
{
    struct text plain;
    text_open(&plain, call->arena, cursor.len + 4);
    for (size_t i = 0; i < cursor.len; i++) {
        char c = cursor.s[i];
        if (c == '+' || c == '/' || c == '=') {
            return RC_INVALID;
        }
        text_add_char(&plain, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (plain.len % 4) {
        text_add_char(&plain, '=');
    }
    TRY(text_unbase64(call->arena, text_str(&plain), ret_bytes));
    return str_equal(encode(call, *ret_bytes), cursor) ? RC_OK : RC_INVALID;
}

struct str cursor_write(struct call *call, struct str scope, struct str payload)
{
    assert(payload.len <= CURSOR_PAYLOAD_MAX_BYTES);
    char *bytes = arena_alloc(call->arena, CHECKSUM_BYTES + payload.len);
    checksum(call, scope, payload, bytes);
    if (payload.len) {
        memcpy(bytes + CHECKSUM_BYTES, payload.s, payload.len);
    }
    return encode(call, (struct str){bytes, CHECKSUM_BYTES + payload.len});
}

enum rc cursor_read(struct call *call, struct str scope, struct str cursor, struct str *ret_payload)
{
    struct str bytes;
    char expected[CHECKSUM_BYTES];
    if (cursor.len > CURSOR_MAX_BYTES) {
        return RC_INVALID;
    }
    TRY(decode(call, cursor, &bytes));
    if (bytes.len < CHECKSUM_BYTES) {
        return RC_INVALID;
    }
    struct str payload = str_from(bytes, CHECKSUM_BYTES);
    checksum(call, scope, payload, expected);
    if (memcmp(expected, bytes.s, CHECKSUM_BYTES) != 0) {
        return RC_INVALID;
    }
    *ret_payload = payload;
    return RC_OK;
}
