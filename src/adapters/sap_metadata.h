/* A service's $metadata against the mapping: does each field exist, is it long enough, may it be written? Pure. */
#ifndef ADAPTERS_SAP_METADATA_H
#define ADAPTERS_SAP_METADATA_H

#include "adapters/sap_config.h"

/* in: xml: EDMX of V2 or V4. out: findings, one per line; "" = all fits. fails: RC_BROKEN: it is no metadata at all */
MUST enum rc sap_metadata_compare(const struct sap_config *, struct call *, struct str xml,
                                  struct str *ret_findings);

#endif
