/* A service's $metadata against the mapping: does each field exist, is it long enough, may it be written? Pure. */
#ifndef ADAPTERS_SAP_METADATA_H
#define ADAPTERS_SAP_METADATA_H

#include "adapters/sap_edmx.h"

struct sap_finding {
    struct str pointer; /* into downstream.json */
    struct str words;
    bool note; /* good to know; nothing is wrong */
};

struct sap_findings {
    struct sap_finding *items;
    int count;
    int wrong; /* of them no notes */
};

/* in: xml: $metadata of V2 or V4. out: findings in the order of the mapping; texts in call->arena.
 * fails: RC_BROKEN: it is no metadata at all; call->why says why */
MUST enum rc sap_metadata_compare(const struct sap_config *, struct call *, struct str xml,
                                  struct sap_findings *ret_findings);

/* Does a value of the mapping's type go into a field of the service's type? */
bool sap_metadata_fits(enum sap_protocol, const struct sap_field *, struct str edm);
/* Whole numbers up to which count of digits go into a small type of the service, whatever they are; 0 = all of the mapping's. */
int sap_metadata_digits(struct str edm);

#endif
