/* What a conversation leaves in the log of a device: one JSON object, small, without any secret. Pure. */
#ifndef ADAPTERS_SAP_REPORT_H
#define ADAPTERS_SAP_REPORT_H

#include "adapters/sap_talk.h"

struct sap_report {
    const struct lease *lease;
    struct str verb; /* of the write; "" = nothing was written */
    struct str body; /* as it went out */
    struct str before,
        after; /* JSON: values of the body's fields as they were read; "" = not read */
    struct str overwritten,
        drift; /* JSON: names of fields that somebody changed there; "" = none */
    struct str
        kept; /* JSON: names of fields that keep their value though their member is gone; "" = none */
    struct str note;
    int64_t duration_ms;
};

/* <= ANSWER_MAX_BYTES + 2 KiB */
struct str sap_report_data(const struct sap_talk *, const struct sap_report *);
/* [{pointer, detail}]: which of the customer's members an error speaks of. */
struct str sap_report_pointers(const struct sap_talk *);
/* What stood there before the write, and what somebody had changed there since the last delivery. */
void sap_report_before(const struct sap_talk *, yyjson_val *entity, struct sap_report *);
/* What stands there after the write. */
void sap_report_after(const struct sap_talk *, yyjson_val *entity, struct sap_report *);
/* One sentence for people. */
struct str sap_report_detail(const struct sap_talk *);

#endif
