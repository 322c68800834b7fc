/* A first downstream.json from what a service says of itself and from a sample of devices: each member gets the field whose name says
 * the same and whose type takes it. A person reads it before it is used. Pure. */
#ifndef ADAPTERS_SAP_PROPOSE_H
#define ADAPTERS_SAP_PROPOSE_H

#include "adapters/sap_edmx.h"
#include "adapters/sap_sample.h"
#include "base/text.h"

#define PROPOSE_REMARKS_MAX 64

struct propose_remark {
    struct str words;
    bool open; /* a person must decide before the file can be used */
};

struct propose {
    struct str
        head; /* members in front: address, auth ...; JSON without braces, ends with a comma */
    struct str name_field; /* the field that holds the device's name; "" = the likeliest */
};

struct proposal {
    struct str json;
    struct propose_remark remarks[PROPOSE_REMARKS_MAX];
    int remark_count;
    int mapped, unmapped; /* members of the sample */
};

/* out: texts in call->arena. fails: RC_NOT_FOUND no field can hold the device's name, or the one that was asked for is not there;
 * call->why says which */
MUST enum rc sap_propose(const struct propose *, const struct edmx *, const struct edmx_set *,
                         const struct sample *, struct call *, struct proposal *ret_proposal);

#endif
