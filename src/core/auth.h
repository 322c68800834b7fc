/* Who may: keys, their secrets, and the check of each request. A credential is "<id>.<secret>" in x-api-key
 * or Basic (user = id, password = secret). Secrets are made by us: "hb_live_" or "hb_test_", 160 random bits in
 * base32 (32 characters), and a checksum of 6 (base32 of the first 30 bits of SHA-256 over what stands before it). Only
 * SHA-256 of the whole secret is stored. */
#ifndef CORE_AUTH_H
#define CORE_AUTH_H

#include "core/device.h"

#define KEY_ID_BYTES 12     /* "k_" and 10 characters of base32 */
#define KEY_SECRET_BYTES 46 /* prefix 8, random 32, checksum 6 */
#define KEY_CREDENTIAL_BYTES (KEY_ID_BYTES + 1 + KEY_SECRET_BYTES)

/* Check the request's credential; writes nothing. fails: RC_INVALID unauthorized (one answer for every reason) · RC_BUSY · RC_BROKEN.
 * in: one credential; the same one twice is one, two different ones are refused, also two of which one is right.
 * rule: constant-time compare; an unknown id costs the same hash. What is not shaped like a credential of ours (checksum) never
 *       reaches the store. */
MUST enum rc auth_check(struct world *, struct call *, const struct request *,
                        struct principal *ret_principal);
/* The same against a credential given beforehand ("<id>.<secret>", an operator's of realm live) instead of the store, which must not
 * know the id: the first operator of a home whose authorizer may not write. */
MUST enum rc auth_check_given(struct world *, struct call *, const struct request *,
                              struct str given, struct principal *ret_principal);
/* Write down the first use of a key on a day. It is bookkeeping: that somebody else wrote the key just now, that the store is
 * throttled, or that the key is not in the store must not turn anybody away. fails: RC_BROKEN. */
MUST enum rc auth_note_use(struct world *, struct call *, const struct principal *);

/* Who a key stands for. */
struct principal auth_principal(const struct key *);

struct key_new {
    struct str owner, label;
    enum role role;
    struct str realm; /* "live" or "test-<owner>" */
    struct str
        role_arn; /* whose signature AWS has checked is this key: its id, no secret; "" = a secret of ours */
};
/* Make a key. out: ret_secret "<id>.<secret>", shown once; "" with role_arn. Audited in the system's log.
 * fails: RC_INVALID what is asked for does not fit together; wrong_state: there is a key of that role */
MUST enum rc auth_create(struct world *, struct call *, struct str by, const struct key_new *,
                         struct key *ret_key, struct str *ret_secret);
/* New secret; the old one lives for overlap_ms more. fails: RC_NOT_FOUND · RC_INVALID wrong_state: a role's key has none; an earlier rotation's old one is still
 * alive, and overlap_ms is not 0, which ends both. */
MUST enum rc auth_rotate(struct world *, struct call *, struct str by, struct str id,
                         int64_t overlap_ms, struct key *ret_key, struct str *ret_secret);
/* fails: RC_NOT_FOUND · RC_INVALID wrong_state: the last operator key */
MUST enum rc auth_delete(struct world *, struct call *, struct str by, struct str id,
                         struct key *ret_key);
/* Store a key whose credential was given beforehand (secrets "operator_key", "customer_key": "<id>.<secret>"), if it is not there yet.
 * fails: RC_INVALID malformed. */
MUST enum rc auth_adopt(struct world *, struct call *, struct str credential,
                        const struct key_new *, bool *ret_added);
/* A credential that nobody knows yet, for auth_adopt at a later start; touches no store. */
void auth_generate(struct world *, struct call *, struct str realm, struct str *ret_credential);
/* Is there any living operator key with a secret? */
MUST enum rc auth_has_operator(struct world *, struct call *, bool *ret_has);

#endif
