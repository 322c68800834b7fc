/* A device: create, read, list, and the actions of operators and owners on it (cancel is update.h's). */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include "core/log.h"

/* Who asks. */
struct principal {
    struct str id;    /* key id */
    struct str owner; /* "" for operators */
    struct str realm; /* "live" or "test-<owner>" */
    enum role role;
    int64_t last_used_day; /* of the key, as it is written down */
};

/* What a commit carries for an idempotent request: the caller fills owner, key, fingerprint, expires_at_ms and
 * `render`, which turns the after-image into the answer's bytes just before the commit. key "" = no Idempotency-Key: nothing is kept,
 * but what the answer needs is still read before the commit, so that 503 means that nothing has changed. */
struct repeat {
    struct reply reply;
    void *context;
    /* entry: the update or created entry; NULL = nothing new was written but the reply (create of an equal device: 200) */
    enum rc (*render)(void *context, struct call *, const struct device *, const struct entry *,
                      struct reply *) MUST;
};

/* Create a device.
 *   in     name, key: of name_device_key; owner: whose; doc: of document_check
 *   out    ret_created false: it was there, same owner and equal document (200)
 *   fails  RC_INVALID document_too_large, unmappable, device_exists (call->why says by whom if the caller may know) · RC_REPEATED · RC_BUSY · RC_BROKEN */
struct device_new {
    struct str name, key, owner, doc;
    struct repeat *repeat;
};
MUST enum rc device_create(struct world *, struct call *, const struct principal *,
                           const struct device_new *, struct device *ret_device, bool *ret_created);

/* Read one that the principal may see. fails: RC_NOT_FOUND unknown, foreign or the system's. */
MUST enum rc device_read(struct world *, struct call *, const struct principal *, struct str key,
                         struct device *ret_device);

/* Actions; table of device.c: which role, which work states. */
/* clang-format off */
#define ACTIONS(X) X(cancel) X(hold) X(resume) X(deliver_now) X(confirm) X(deny) X(discard) X(redrive) X(resend_all)
/* clang-format on */
enum action {
    ACTION_NONE,
#define X(name) ACTION_##name,
    ACTIONS(X)
#undef X
};
enum action action_of(struct str name);
struct action_request {
    enum action action;
    struct str reason; /* "" = none given */
    int64_t seq;       /* cancel; else 0 */
    struct repeat *repeat;
};
/* fails: RC_NOT_FOUND · RC_INVALID forbidden, wrong_state, update_in_flight, update_ended, missing_member · ... */
MUST enum rc device_action(struct world *, struct call *, const struct principal *, struct str key,
                           const struct action_request *, struct device *ret_device);

/* After a restore of the store from a backup: the downstream may be newer than we know. The next body goes out in full, the window of now
 * counts as used, and a device that ever had something sent gets work. Audited. */
MUST enum rc device_restored(struct world *, struct call *, struct str key);

#endif
