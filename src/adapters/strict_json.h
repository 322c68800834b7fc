/* Reading a JSON object that must hold what is expected and nothing else. Each take notes the member as known;
 * strict_end refuses those that nobody took. All faults of an object are named, not only the first. */
#ifndef ADAPTERS_STRICT_JSON_H
#define ADAPTERS_STRICT_JSON_H

#include "core/model.h"

#define STRICT_TEXTS_MAX 1000 /* of one list */

#define STRICT_MEMBERS_MAX 40

struct strict {
    struct call *call;
    struct arena *keep; /* where texts live */
    yyjson_val *object; /* NULL: it was none, and that was named */
    struct str pointer;
    const char *taken[STRICT_MEMBERS_MAX];
    int taken_count;
};

void strict_open(struct strict *, struct call *, struct arena *keep, yyjson_val *value,
                 struct str pointer);
/* A member of any kind; NULL = not there. */
yyjson_val *strict_take(struct strict *, const char *name);
/* Typed members. A wrong type is named and the fallback given. fallback with s == NULL: the member must be there. */
struct str strict_text(struct strict *, const char *name, struct str fallback);
bool strict_bool(struct strict *, const char *name, bool fallback);
int64_t strict_number(struct strict *, const char *name, int64_t fallback, int64_t min,
                      int64_t max);
/* The place of the member's text among words (NULL ends them). */
int strict_word(struct strict *, const char *name, const char *const *words, int fallback);
/* Name a fault of a member. */
void strict_fault(struct strict *, const char *name, enum problem, const char *format, ...)
    PRINTF(4, 5);
/* Name the members that nobody took. */
void strict_end(struct strict *);
struct str strict_pointer(const struct strict *, const char *name);

/* Parse a text and open its root object; "note" is taken. fails: RC_INVALID it is no JSON */
MUST enum rc strict_root(struct call *, struct arena *keep, struct str json,
                         struct strict *ret_strict);
/* After all: RC_INVALID if anything was named. */
MUST enum rc strict_verdict(struct call *);
/* Letters, digits, _. */
struct str strict_identifier(struct strict *, const char *name);
/* http(s)://host[:port]/path; plain http only to loopback, unless allow_http. fallback.s == NULL: must be there */
struct str strict_address(struct strict *, const char *name, bool allow_http, struct str fallback);
/* "secret:sap/user" -> sap/user */
struct str strict_secret(struct strict *, const char *name);
/* An array of texts. NULL = not there. Where one of them is none: those before it. */
const struct str *strict_texts(struct strict *, const char *name, bool lower, int *ret_count);

#endif
