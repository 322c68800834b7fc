/* Do two names say the same? The name of a member of ours, and that of a service's property. Pure. */
#ifndef ADAPTERS_SAP_LIKENESS_H
#define ADAPTERS_SAP_LIKENESS_H

#include "base/arena.h"

/* 0 to 100. in: pointer: "/location/building" */
int sap_likeness(struct arena *, struct str pointer, struct str property);
/* The unit at the end of a member's name as SAP writes it: KG of /weight_kg. "" = none */
struct str sap_likeness_unit(struct arena *, struct str pointer);

#endif
