/* What documents of a customer look like: which members there are, of which kind, how long. For a first mapping. Pure. */
#ifndef ADAPTERS_SAP_SAMPLE_H
#define ADAPTERS_SAP_SAMPLE_H

#include "core/model.h"

#define SAMPLE_MEMBERS_MAX 256 /* twice as many as a mapping has fields */

struct sample_member {
    struct str pointer;            /* "/location/building" */
    int64_t count;                 /* documents that have it */
    bool texts, numbers, switches; /* kinds of value that were seen */
    bool lists;                    /* arrays and empty objects: no field takes one */
    bool days, moments;            /* all texts are such */
    bool decimals;                 /* all texts are plain decimal numbers */
    int64_t longest;               /* UTF-16 units of the longest text */
    int64_t scale;                 /* digits behind the point, at most */
};

struct sample {
    struct sample_member members[SAMPLE_MEMBERS_MAX]; /* in the order in which they were met */
    int count;
    int64_t documents;
    bool more; /* there were more members than that */
};

/* Look at one more document. in: keep: where pointers live; it must outlive the call */
MUST enum rc sap_sample_add(struct sample *, struct call *, struct arena *keep,
                            struct str document);

#endif
