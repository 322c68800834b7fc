/* An update: accepting a change of a device, and cancelling one that has not been sealed. */
#ifndef CORE_UPDATE_H
#define CORE_UPDATE_H

#include "core/device.h"

#define FIELDS_SCAN_MAX 10000

struct update_new {
    struct str key;   /* of name_device_key */
    struct str patch; /* of document_check */
    int64_t if_match; /* revision, 0 = any */
    struct repeat *repeat;
};

/* Accept.
 *   out    ret_device after-image; ret_update the entry (ended SATISFIED: it changed nothing, 200)
 *   fails  RC_NOT_FOUND · RC_INVALID revision_mismatch (ret_device is the current one), document_too_large, unmappable, too_many_pending
 *          · RC_REPEATED · RC_BUSY contended 5 times or throttled · RC_BROKEN */
MUST enum rc update_accept(struct world *, struct call *, const struct principal *,
                           const struct update_new *, struct device *ret_device,
                           struct entry *ret_update);

/* Cancel one update; part of device_action. */
MUST enum rc update_cancel(struct world *, struct call *, const struct principal *,
                           const struct device *before, const struct action_request *,
                           struct device *ret_device);

/* One update with its delivery, tries and fields. */
struct update_field {
    struct str pointer;
    bool deletes;
    int64_t overwritten_by; /* seq; 0 = survived */
};
struct update_view {
    struct entry entry;
    enum update_state state;
    struct entry end;        /* seq 0 = none: the entry that decided */
    struct entry_page tries; /* covering entries, oldest first */
    struct update_field *fields;
    size_t field_count;
    bool
        fields_complete; /* false: the log after the update is longer than FIELDS_SCAN_MAX entries or 2 MiB */
};
/* fails: RC_NOT_FOUND no update has this seq. */
MUST enum rc update_view(struct world *, struct call *, const struct device *, int64_t seq,
                         struct update_view *ret_view);

#endif
