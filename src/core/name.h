/* The name of a device and its key: the one function by which Pump-7, pump-7 and PUMP-7 are the same
 * device, used by create, update, read, search, import and the test that proves uniqueness. */
#ifndef CORE_NAME_H
#define CORE_NAME_H

#include "core/model.h"

/* Check a device name and trim it.
 *   in     name: as the client wrote it; pointer: where it stood ("/device_name"; "" = a path segment)
 *   out    ret_name: trimmed, otherwise as written
 *   rule   1..NAME_MAX_CHARS code points: letters, marks, digits of any script, space and -_.:+()[],&'@=#!* ; the first a letter or digit
 *   fails  RC_INVALID name_invalid or name_too_long with the rule
 *   source Unicode general categories L*, M*, Nd by utf8proc */
MUST enum rc name_check(struct call *, struct str name, struct str pointer, struct str *ret_name);

/* The key of a checked name: NFKC case folding (UAX 31 NFKC_Casefold), <= NAME_KEY_MAX_BYTES.
 *   fails  RC_INVALID name_too_long (folding grew it), name_invalid (folding left nothing or a character that is not allowed)
 *   safe   pure; an ASCII name takes a fast path with the same result */
MUST enum rc name_key(struct call *, struct str name, struct str pointer, struct str *ret_key);

/* Both checks, and the device's key in the store: "<realm>/<key>". */
MUST enum rc name_device_key(struct call *, struct str realm, struct str name, struct str pointer,
                             struct str *ret_name, struct str *ret_key);

/* Fold a search prefix: may be empty or end in the middle of a name; no rule on the first character. */
MUST enum rc name_prefix_key(struct call *, struct str prefix, struct str *ret_key);

/* "<realm>/!system": the record of a realm's downstream. No name can fold to it: '!' is no letter. */
struct str name_system(struct call *, struct str realm);
bool name_is_system(struct str key);
/* The realm part of a device key. */
struct str name_realm(struct str key);
/* Shard 0..15 of a key: the first hex digit of its SHA-256. */
int name_shard(struct str key);

#endif
