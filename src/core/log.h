/* The log of a device: entries, their hash chain, and what can be derived from them: the state of an
 * update, what is pending, what a rejection or a cancel leaves of the document. */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "core/ports.h"

const char *entry_kind_name(enum entry_kind);
enum entry_kind entry_kind_of(struct str name); /* ENTRY_NO_KIND if unknown */
/* Does an entry of this kind end the updates in its range? */
bool entry_ends(enum entry_kind);

/* The sha of an entry: SHA-256 over the hex sha before it ("" for entry 0) and the entry's immutable fields, each as
 * "<length>:<bytes>", numbers in decimal, in the order seq kind at_ms by request_id data from_seq to_seq delivery; 64 hex. */
struct str log_sha(struct arena *, struct str sha_before, const struct entry *);

/* The sha of what was sealed, in the same way: delivery target bytes repeat_id mapping_version. The entries of its outcomes hold it
 * as seal_sha: so the log speaks for the bodies too. */
struct str log_seal_sha(struct arena *, const struct body *);

/* Begin a change of a device: the after-image with version + 1, and room for entries.
 * Use: log_begin, change the copy's fields, log_add entries (numbers and sha are filled in), log_commit. */
struct draft {
    struct device device;
    enum work work_before;
    struct change change;
    struct entry entries[4];
};
void log_begin(struct draft *, const struct device *before);
/* Add an entry; fields kind, data, from_seq, to_seq, delivery, ended, notice_at_ms are the caller's.
 * out: a pointer into the draft, until the commit. */
struct entry *log_add(struct call *, struct draft *, struct str by, enum entry_kind,
                      struct str data);
/* When a customer's event of an entry shall be told: now, or 0 if nobody listens for customers. */
int64_t log_notice_at(const struct world *, const struct call *);
/* Check invariants of the after-image, then commit; marks call->wrote. */
MUST enum rc log_commit(struct world *, struct call *, struct draft *);

/* What is accepted, not sealed and not ended after a seq. */
struct pending {
    int64_t first_seq, first_at_ms; /* 0 = none */
    int64_t count, bytes;
    struct entry *updates; /* count of them, oldest first; data still the entry's */
};
MUST enum rc log_pending(struct world *, struct call *, struct str key, int64_t after_seq,
                         int64_t to_seq, struct pending *ret_pending);

/* The patch or document inside an update's or created entry's data. */
struct str log_attributes(struct call *, const struct entry *);
/* The document that the device goes back to when everything after the base is undone: base's target, or the created document. */
MUST enum rc log_base_document(struct world *, struct call *, const struct device *,
                               struct str *ret_doc);

/* State of an update, derived, never stored. */
/* clang-format off */
#define UPDATE_STATES(X) X(pending) X(sending) X(uncertain) X(dead) X(delivered) X(satisfied) X(rejected) X(cancelled)
/* clang-format on */
enum update_state {
#define X(name) UPDATE_##name,
    UPDATE_STATES(X)
#undef X
};
const char *update_state_name(enum update_state);
/* tries: the covering entries, oldest first; ret_end: the deciding one, or NULL. */
enum update_state log_state(const struct device *, const struct entry *update,
                            const struct entry_page *tries, const struct entry **ret_end);

#endif
