/* yyjson on an arena: reading, building and writing JSON without malloc. Numbers are kept as written
 * (raw), so that 1.0 stays 1.0 and 1e400 stays itself. Duplicate members and depth are refused by the
 * reader here, since the library takes them. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <yyjson.h>

#include "base/arena.h"

#define JSON_MAX_DEPTH 8 /* of attributes; the object itself is 1 */

/* Why a text was refused, and where: pointer is an RFC 6901 JSON pointer ("" = the whole). */
struct json_fault {
    enum { JSON_SYNTAX, JSON_DUPLICATE, JSON_TOO_DEEP } kind;
    struct str pointer;
    char why[128];
};

/* Values live in the arena. */
yyjson_alc json_alc(struct arena *);

/* Parse strictly (RFC 8259, UTF-8, no lone surrogates, no BOM, nothing behind). max_depth counts
 * containers from the root (a flat object is 1). Iterative: depth cannot hurt the stack.
 * fails: RC_INVALID, ret_fault says why (may be NULL). */
MUST enum rc json_read(struct arena *, struct str text, int max_depth, yyjson_val **ret_root,
                       struct json_fault *ret_fault);

/* The line (from 1 on) of a text on which what a pointer names stands; of something that is missing, where it is missing
 * from; of a text that is no JSON, where that shows. For people: it parses the text once more. */
int json_line(struct arena *, struct str text, struct str pointer);

struct str json_write(struct arena *, const yyjson_val *);
struct str json_write_mut(struct arena *, const yyjson_mut_doc *);
yyjson_mut_doc *json_doc(struct arena *); /* with an empty object as root */

struct str json_str(yyjson_val *); /* of a string value; STR_NONE else */
struct str json_raw(yyjson_val *); /* of a number as written; STR_NONE else */
yyjson_val *json_member(yyjson_val *object, const char *name);
/* Typed members; the fallback where the member is missing or of another type. */
struct str json_member_str(yyjson_val *object, const char *name, struct str fallback);
int64_t json_member_i64(yyjson_val *object, const char *name, int64_t fallback);
bool json_member_bool(yyjson_val *object, const char *name, bool fallback);

/* All values of a tree in the order of the text, without recursion.
 *     json_walk_open(&walk, arena, root, JSON_MAX_DEPTH);
 *     while ((value = json_walk_next(&walk))) { ... }
 * depth: containers around the value, 0 for the root. name: of the member that the value is, NULL in an array and
 * for the root. A container is entered unless json_walk_skip was called, or it lies max_depth deep (is_too_deep). */
struct json_level;
struct json_walk {
    struct arena *arena;
    struct json_level *levels;
    int depth, max_depth;
    yyjson_val *value, *name;
    bool skips, is_too_deep;
};
void json_walk_open(struct json_walk *, struct arena *, yyjson_val *root, int max_depth);
yyjson_val *json_walk_next(struct json_walk *); /* NULL: that was all */
void json_walk_skip(struct json_walk *);        /* what is inside of the present value */
/* The RFC 6901 pointer of the present value, behind what stands before the root. */
struct str json_walk_pointer(const struct json_walk *, struct str before);

/* Add members; strings are copied, what is not UTF-8 in them becomes U+FFFD. The names must be literals. */
void json_add_str(yyjson_mut_doc *, yyjson_mut_val *object, const char *name, struct str);
void json_add_i64(yyjson_mut_doc *, yyjson_mut_val *object, const char *name, int64_t);
void json_add_bool(yyjson_mut_doc *, yyjson_mut_val *object, const char *name, bool);
void json_add_null(yyjson_mut_doc *, yyjson_mut_val *object, const char *name);
/* A moment as RFC 3339; 0 gives null. */
void json_add_time(yyjson_mut_doc *, yyjson_mut_val *object, const char *name, int64_t at_ms);
/* JSON text that is known to be valid, embedded as it is; not copied. */
void json_add_raw(yyjson_mut_doc *, yyjson_mut_val *object, const char *name, struct str json);
yyjson_mut_val *json_add_obj(yyjson_mut_doc *, yyjson_mut_val *object, const char *name);
yyjson_mut_val *json_add_arr(yyjson_mut_doc *, yyjson_mut_val *object, const char *name);

/* Append "/<token>" to a JSON pointer, escaping ~ and / (RFC 6901 section 3). */
struct str json_pointer(struct arena *, struct str parent, struct str token);

#endif
