/* The downstream as an OData service, in the first place SAP's API_EQUIPMENT. One conversation per delivery:
 * session, resolve, read, check, write, verify. docs/sap.md explains it. */
#ifndef ADAPTERS_DOWNSTREAM_ODATA_H
#define ADAPTERS_DOWNSTREAM_ODATA_H

#include "adapters/outbound.h"
#include "adapters/sap_config.h"

/* in     config: lives as long as the port; transport: has at least `slots` connections; secrets: read now for the hash of
 *        the credentials, and again at each logon; slots: conversations that may run at once, one more is made for probes
 * fails  RC_NOT_FOUND a secret is missing, call->why says which · RC_BROKEN */
MUST enum rc downstream_odata_open(struct call *, const struct sap_config *, struct transport *,
                                   struct secrets *, int slots, struct downstream **ret_downstream);
/* The transport and the config stay the caller's. NULL does nothing. */
void downstream_odata_close(struct downstream *);

/* What the service's $metadata says about the mapping: one line of text per thing that does not fit.
 * out: findings as lines; "" = all fits. Writes nothing. fails: RC_BROKEN it could not be read; call->why says why. */
MUST enum rc downstream_odata_inspect(struct downstream *, struct call *, struct world *,
                                      struct str *ret_findings);

#endif
