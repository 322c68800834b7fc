/* Documents: JSON objects without null. Parse, merge, compare, replay. Pure. */
#ifndef CORE_DOCUMENT_H
#define CORE_DOCUMENT_H

#include "base/table.h"
#include "core/model.h"

/* Check attributes at the door and give them in canonical text (compact, members and numbers as written).
 *   in     value: parsed JSON whose duplicates and depth were already refused by json_read; pointer: where it stands
 *   rule   patch false: a document, no null anywhere; true: a merge patch, null only as a member's value outside arrays
 *   fails  RC_INVALID not_an_object, null_in_document, too_deep with the pointer; document_too_large: the pointers of its
 *          leaves are longer than POINTERS_MAX_BYTES (long names around many members: they are named one by one later) */
MUST enum rc document_check(struct call *, yyjson_val *value, struct str pointer, bool patch,
                            struct str *ret_json);

/* Apply one merge patch to a document.
 *   in     doc: JSON object without null, <= DOC_STORED_MAX_BYTES; patch: JSON object, nesting <= JSON_MAX_DEPTH
 *   out    ret_doc: a new JSON object in call->arena, without null; may exceed the door's cap, the caller checks
 *   rule   null deletes a member, arrays replace whole; patches apply one by one in seq order, two patches are never merged
 *   fails  RC_INVALID patch is no object; call->why says where
 *   safe   pure
 *   source RFC 7396 section 2 */
MUST enum rc document_merge(struct call *, struct str doc, struct str patch, struct str *ret_doc);

/* The same for many patches in order; as if document_merge were called for each. */
MUST enum rc document_replay(struct call *, struct str doc, const struct str *patches, size_t count,
                             struct str *ret_doc);

/* Same members and values? Order of members does not count; numbers compare as written. */
bool document_equal(struct call *, struct str a, struct str b);

/* The leaves that a patch sets or deletes, as JSON pointers in order of the patch: a leaf is a member whose
 * value in the patch is no object, or is an empty object. */
struct leaf {
    struct str pointer;
    bool deletes;
    bool empty_object; /* makes an object of what is none, and leaves the members of what is one */
};
MUST enum rc document_leaves(struct call *, struct str patch, struct leaf **ret_leaves,
                             size_t *ret_count);

/* The leaves of one patch, ready to be asked about many pointers. Lives in call->arena, beside the leaves. */
struct leaf_set {
    const struct leaf *leaves;
    struct table at, above; /* pointers of the leaves, and of what lies above them */
};
void document_leaf_set(struct call *, const struct leaf *, size_t count, struct leaf_set *ret_set);

/* Does a later patch decide over a leaf that an earlier patch wrote: does it set or delete the same pointer, one above it, or one below it?
 * An empty object decides over the same pointer, but not over those below it. */
bool document_overrides(const struct leaf_set *later, struct str pointer);

#endif
