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

/* Read the service's $metadata. out: ret_outcome as of a check; ret_xml: what came, if its class is OUTCOME_EFFECT.
 * rule: the session of a check before it is used again, so that both are one logon */
void downstream_odata_metadata(struct downstream *, struct call *, struct world *,
                               struct outcome *ret_outcome, struct str *ret_xml);

#endif
