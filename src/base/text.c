/* Text: a growing buffer on an arena, and strict conversions. Each reader here takes one form and
 * refuses the rest: what is lax at one door becomes a second spelling of a name or a signature at the
 * next. Case here is ASCII's; the case of device names is core/name.c's business. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#define FIRST_ROOM_BYTES 128

/* --- the buffer ------------------------------------------------------------------------------- */
void text_open(struct text *text, struct arena *arena, size_t max_bytes)
{
    *text = (struct text){.arena = arena, .max_bytes = max_bytes};
}

/* Room for more bytes; false: the cap is reached, now and for ever. */
static bool text_room(struct text *text, size_t more_bytes)
{
    if (text->full || more_bytes > text->max_bytes - text->len) {
        text->full = true;
        return false;
    }
    if (more_bytes > text->room_bytes - text->len) {
        size_t room = text->room_bytes ? text->room_bytes * 2 : FIRST_ROOM_BYTES;
        if (room < text->len + more_bytes) {
            room = text->len + more_bytes;
        }
        text->s = arena_grow(text->arena, text->s, text->room_bytes, room);
        text->room_bytes = room;
    }
    return true;
}

void text_add(struct text *text, struct str piece)
{
    if (piece.len && text_room(text, piece.len)) {
        memcpy(text->s + text->len, piece.s, piece.len);
        text->len += piece.len;
    }
}

void text_add_char(struct text *text, char character)
{
    if (text_room(text, 1)) {
        text->s[text->len++] = character;
    }
}

void text_printf(struct text *text, const char *format, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    assert(length >= 0);
    if ((size_t)length < sizeof small) {
        text_add(text, (struct str){small, (size_t)length});
    } else if (text_room(text, (size_t)length)) {
        char *whole = arena_alloc(text->arena, (size_t)length + 1);
        (void)vsnprintf(whole, (size_t)length + 1, format, again);
        text_add(text, (struct str){whole, (size_t)length});
    }
    va_end(again);
}

struct str text_str(const struct text *text)
{
    return (struct str){text->s, text->len};
}

/* --- UTF-8 ------------------------------------------------------------------------------------- */
/* Length of the well-formed character at the start of bytes (RFC 3629 section 4), 0 if there is none. */
static size_t utf8_length(const unsigned char *at, size_t left_bytes)
{
    unsigned char first = at[0];
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 0 || first > 0xf4 || length > left_bytes) {
        return 0;
    }
    /* the second byte carries what the first leaves open: overlong forms, surrogates, above U+10FFFF */
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (length > 1 && (at[1] < low || at[1] > high)) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

/* How many bytes from at on are ASCII; eight at a time, because most text is. */
static size_t ascii_run(const unsigned char *at, size_t left_bytes)
{
    size_t run = 0;
    while (left_bytes - run >= 8) {
        uint64_t eight;
        memcpy(&eight, at + run, sizeof eight);
        if (eight & UINT64_C(0x8080808080808080)) {
            break;
        }
        run += 8;
    }
    while (run < left_bytes && at[run] < 0x80) {
        run++;
    }
    return run;
}

bool text_is_utf8(struct str text)
{
    const unsigned char *bytes = (const unsigned char *)text.s;
    for (size_t at = 0; at < text.len;) {
        at += ascii_run(bytes + at, text.len - at);
        if (at < text.len) {
            size_t length = utf8_length(bytes + at, text.len - at);
            if (length == 0) {
                return false;
            }
            at += length;
        }
    }
    return true;
}

struct str text_utf8(struct arena *arena, struct str text)
{
    const unsigned char *bytes = (const unsigned char *)text.s;
    struct text good;
    if (text_is_utf8(text)) {
        return text;
    }
    text_open(&good, arena, text.len * 3);
    for (size_t at = 0; at < text.len;) {
        size_t length = utf8_length(bytes + at, text.len - at);
        text_add(&good, length ? (struct str){text.s + at, length} : STR("\xef\xbf\xbd"));
        at += length ? length : 1;
    }
    return text_str(&good);
}

/* --- text that is shown -------------------------------------------------------------------------- */
#define HARMLESS 0x10000U /* beyond every character that is not */

/* The character of that length, if it is one that does something where it is shown; else HARMLESS.
 * source Unicode 15: categories Cc, Zl, Zp, and the property Bidi_Control (UAX 9, section 2) */
static unsigned control_at(const unsigned char *at, size_t length)
{
    unsigned character = length == 1   ? at[0]
                         : length == 2 ? (at[0] & 0x1fU) << 6 | (at[1] & 0x3fU)
                         : length == 3
                             ? (at[0] & 0x0fU) << 12 | (at[1] & 0x3fU) << 6 | (at[2] & 0x3fU)
                             : HARMLESS;
    bool control = character < 0x20 || (character >= 0x7f && character < 0xa0);
    bool direction = character == 0x61c || character == 0x200e || character == 0x200f ||
                     (character >= 0x2028 && character <= 0x202e) ||
                     (character >= 0x2066 && character <= 0x2069);
    return control || direction ? character : HARMLESS;
}

struct str text_cut_shown(struct str *rest, const char *keep, char *room)
{
    const unsigned char *bytes = (const unsigned char *)rest->s;
    struct str piece;
    size_t plain = 0, length = 0;
    unsigned control = HARMLESS;
    while (plain < rest->len) {
        length = utf8_length(bytes + plain, rest->len - plain);
        control = length ? control_at(bytes + plain, length) : 0;
        bool kept = length == 1 && control && strchr(keep, (int)control);
        if (control < HARMLESS && !kept) {
            break;
        }
        plain += length;
    }
    if (plain > 0 || rest->len == 0) {
        piece = str_head(*rest, plain);
        *rest = str_from(*rest, plain);
    } else if (length == 0) {
        piece = STR("\xef\xbf\xbd");
        *rest = str_from(*rest, 1);
    } else {
        piece = (struct str){room, (size_t)snprintf(room, TEXT_SHOWN_BYTES, "\\u%04x", control)};
        *rest = str_from(*rest, length);
    }
    return piece;
}

/* --- JSON strings ------------------------------------------------------------------------------- */
static void add_escaped(struct text *text, unsigned char byte)
{
    static const char letters[] = "btn\0fr"; /* of 0x08..0x0d; 0x0b has none */
    if (byte == '"' || byte == '\\') {
        text_add(text, (struct str){(char[]){'\\', (char)byte}, 2});
    } else if (byte >= 0x08 && byte <= 0x0d && letters[byte - 0x08]) {
        text_add(text, (struct str){(char[]){'\\', letters[byte - 0x08]}, 2});
    } else {
        text_printf(text, "\\u%04x", byte);
    }
}

static bool is_plain(unsigned char byte)
{
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void text_add_json(struct text *text, struct str value)
{
    const unsigned char *bytes = (const unsigned char *)value.s;
    text_add_char(text, '"');
    for (size_t at = 0; at < value.len;) {
        size_t plain = 0;
        while (at + plain < value.len && is_plain(bytes[at + plain])) {
            plain++;
        }
        text_add(text, (struct str){value.s + at, plain});
        at += plain;
        if (at == value.len) {
            break;
        }
        size_t length = utf8_length(bytes + at, value.len - at);
        if (length == 0) {
            text_add(text, STR("\xef\xbf\xbd"));
            at++;
        } else if (length == 1) {
            add_escaped(text, bytes[at++]);
        } else if (length == 2 && bytes[at] == 0xc2 && bytes[at + 1] < 0xa0) {
            add_escaped(text, bytes[at + 1]); /* C1 controls: terminals obey them */
            at += 2;
        } else {
            text_add(text, (struct str){value.s + at, length});
            at += length;
        }
    }
    text_add_char(text, '"');
}

/* --- numbers, hex, base64 ----------------------------------------------------------------------- */
enum rc text_to_i64(struct str text, int64_t *ret_number)
{
    int64_t number = 0;
    if (text.len == 0) {
        return RC_INVALID;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = text.s[i] - '0';
        if (digit < 0 || digit > 9 || number > (INT64_MAX - digit) / 10) {
            return RC_INVALID;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return RC_OK;
}

struct str text_hex(struct arena *arena, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = arena_alloc(arena, bytes.len * 2 + 1);
    for (size_t i = 0; i < bytes.len; i++) {
        hex[i * 2] = digits[(unsigned char)bytes.s[i] >> 4];
        hex[i * 2 + 1] = digits[(unsigned char)bytes.s[i] & 15];
    }
    return (struct str){hex, bytes.len * 2};
}

/* -1: not a hex digit */
static int hex_value(char digit)
{
    static const char values[] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
        ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16}; /* + 1; 0: none */
    unsigned char at = (unsigned char)digit;
    return at < sizeof values ? values[at] - 1 : -1;
}

enum rc text_unhex(struct arena *arena, struct str hex, struct str *ret_bytes)
{
    char *bytes = arena_alloc(arena, hex.len / 2 + 1);
    if (hex.len % 2) {
        return RC_INVALID;
    }
    for (size_t i = 0; i < hex.len / 2; i++) {
        int high = hex_value(hex.s[i * 2]), low = hex_value(hex.s[i * 2 + 1]);
        if (high < 0 || low < 0) {
            return RC_INVALID;
        }
        bytes[i] = (char)(high << 4 | low);
    }
    *ret_bytes = (struct str){bytes, hex.len / 2};
    return RC_OK;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct str text_base64(struct arena *arena, struct str bytes)
{
    size_t length = (bytes.len + 2) / 3 * 4, at = 0;
    char *text = arena_alloc(arena, length + 1);
    for (size_t i = 0; i < bytes.len; i += 3) {
        uint32_t group = (uint32_t)(unsigned char)bytes.s[i] << 16;
        group |= i + 1 < bytes.len ? (uint32_t)(unsigned char)bytes.s[i + 1] << 8 : 0;
        group |= i + 2 < bytes.len ? (uint32_t)(unsigned char)bytes.s[i + 2] : 0;
        text[at++] = base64_digits[group >> 18];
        text[at++] = base64_digits[group >> 12 & 63];
        text[at++] = i + 1 < bytes.len ? base64_digits[group >> 6 & 63] : '=';
        text[at++] = i + 2 < bytes.len ? base64_digits[group & 63] : '=';
    }
    return (struct str){text, length};
}

/* -1: not a base64 digit */
static int base64_value(char digit)
{
    const char *found = digit ? strchr(base64_digits, digit) : NULL;
    return found ? (int)(found - base64_digits) : -1;
}

enum rc text_unbase64(struct arena *arena, struct str text, struct str *ret_bytes)
{
    char *bytes = arena_alloc(arena, text.len / 4 * 3 + 1);
    size_t digits = text.len, at = 0;
    while (digits > 0 && text.len - digits < 2 && text.s[digits - 1] == '=') {
        digits--;
    }
    if (text.len % 4) {
        return RC_INVALID;
    }
    uint32_t bits = 0;
    int bit_count = 0;
    for (size_t i = 0; i < digits; i++) {
        int value = base64_value(text.s[i]);
        if (value < 0) {
            return RC_INVALID;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            bytes[at++] = (char)(bits >> bit_count & 255);
        }
    }
    if (bits & ((1U << bit_count) - 1)) {
        return RC_INVALID; /* bits that no byte holds: a second spelling of the same bytes */
    }
    *ret_bytes = (struct str){bytes, at};
    return RC_OK;
}

/* --- percent-encoding ----------------------------------------------------------------------------- */
enum rc text_unpercent(struct arena *arena, struct str text, bool plus, struct str *ret_text)
{
    char *plain = arena_alloc(arena, text.len + 1);
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        char character = text.s[i];
        if (character == '%') {
            int high = i + 2 < text.len ? hex_value(text.s[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.s[i + 2]) : -1;
            if (low < 0) {
                return RC_INVALID;
            }
            character = (char)(high << 4 | low);
            i += 2;
        } else if (plus && character == '+') {
            character = ' ';
        }
        if (character == '\0') {
            return RC_INVALID;
        }
        plain[length++] = character;
    }
    *ret_text = (struct str){plain, length};
    return RC_OK;
}

static bool is_unreserved(char character)
{
    return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z') || character == '-' || character == '.' ||
           character == '_' || character == '~';
}

struct str text_percent(struct arena *arena, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *encoded = arena_alloc(arena, text.len * 3 + 1);
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (is_unreserved(text.s[i])) {
            encoded[length++] = text.s[i];
        } else {
            encoded[length++] = '%';
            encoded[length++] = digits[(unsigned char)text.s[i] >> 4];
            encoded[length++] = digits[(unsigned char)text.s[i] & 15];
        }
    }
    return (struct str){encoded, length};
}

/* --- small things ---------------------------------------------------------------------------------- */
struct str text_trim(struct str text)
{
    while (text.len && (text.s[0] == ' ' || text.s[0] == '\t')) {
        text = str_from(text, 1);
    }
    while (text.len && (text.s[text.len - 1] == ' ' || text.s[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

static char lower(char character)
{
    return character >= 'A' && character <= 'Z' ? (char)(character - 'A' + 'a') : character;
}

struct str text_lower(struct arena *arena, struct str text)
{
    char *result = arena_alloc(arena, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        result[i] = lower(text.s[i]);
    }
    return (struct str){result, text.len};
}

bool text_equal_nocase(struct str a, struct str b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.s[i]) != lower(b.s[i])) {
            return false;
        }
    }
    return true;
}

struct str text_cut(struct str *rest, char separator)
{
    struct str all = *rest;
    const char *found = all.len ? memchr(all.s, separator, all.len) : NULL;
    if (!found) {
        *rest = STR_NONE;
        return all;
    }
    size_t length = (size_t)(found - all.s);
    *rest = str_from(all, length + 1);
    return str_head(all, length);
}
