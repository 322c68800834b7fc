/* Building and reading text: a buffer that grows in an arena up to a cap given at its birth, and the
 * few conversions that C leaves to everybody. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/arena.h"

/* A growing text. Appending beyond max_bytes sets `full` and appends nothing more: the writer checks
 * once, at the end. */
struct text {
    struct arena *arena;
    char *s;
    size_t len, room_bytes, max_bytes;
    bool full;
};

void text_open(struct text *, struct arena *, size_t max_bytes);
void text_add(struct text *, struct str);
void text_add_char(struct text *, char);
void text_printf(struct text *, const char *format, ...) PRINTF(2, 3);
/* As a JSON string with its quotes; control bytes and invalid UTF-8 are escaped or replaced (U+FFFD). */
void text_add_json(struct text *, struct str);
struct str text_str(const struct text *);

#define TEXT_SHOWN_BYTES 8
/* Cut the next piece off a text of foreign origin as it may be shown: a terminal obeys none of it and reads it in its order.
 *   in     keep: control characters that stay ("\n\t"); room: TEXT_SHOWN_BYTES for a piece that is no part of the text
 *   out    a run of harmless characters, one as \uXXXX (controls: C0, DEL, C1; line and paragraph separators; what
 *          sets the direction of writing), or U+FFFD for bytes that are no UTF-8; "" at the end */
struct str text_cut_shown(struct str *rest, const char *keep, char *room);

/* Whole text as a decimal number. fails: RC_INVALID sign, blank, overflow, empty. */
MUST enum rc text_to_i64(struct str, int64_t *ret_number);
/* Lower-case hex of bytes, and back (RC_INVALID: odd length or another character). */
struct str text_hex(struct arena *, struct str bytes);
MUST enum rc text_unhex(struct arena *, struct str hex, struct str *ret_bytes);
/* Base64 with padding (RFC 4648 section 4), and back (strict). */
struct str text_base64(struct arena *, struct str bytes);
MUST enum rc text_unbase64(struct arena *, struct str text, struct str *ret_bytes);
/* Percent-decode one path segment or query value. fails: RC_INVALID malformed escape or NUL. plus: '+' is a blank. */
MUST enum rc text_unpercent(struct arena *, struct str text, bool plus, struct str *ret_text);
/* Percent-encode all but unreserved characters (RFC 3986 section 2.3). */
struct str text_percent(struct arena *, struct str text);
/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong form)? */
bool text_is_utf8(struct str);
/* The text itself if it is well-formed, else a copy in which each bad byte has become U+FFFD. */
struct str text_utf8(struct arena *, struct str);
struct str text_trim(struct str);                  /* blanks and tabs off both ends */
struct str text_lower(struct arena *, struct str); /* ASCII only */
bool text_equal_nocase(struct str, struct str);    /* ASCII only */
/* Cut at the first separator: *rest becomes what follows it (or empty), the part before is returned. */
struct str text_cut(struct str *rest, char separator);

#endif
