/* downstream.json: where the downstream is and how devices are mapped to it. Strict: an unknown member, a wrong type, a
 * contradiction is refused with a pointer. Secrets stand in it by name only. docs/sap.md explains each member. */
#ifndef ADAPTERS_DOWNSTREAM_FILE_H
#define ADAPTERS_DOWNSTREAM_FILE_H

#include "adapters/http_config.h"
#include "adapters/sap_config.h"

#define DOWNSTREAM_FILE_MAX_BYTES ((size_t)256 << 10)

/* All in one for a home: read the file, open transport and port.
 *   in     kind: "odata" or "http" (the setting `downstream`); slots: sends that may run at once (one more is added for probes)
 *   fails  RC_NOT_FOUND file or secret · RC_INVALID · RC_BROKEN; call->why says what */
MUST enum rc downstream_file_open(struct call *, struct str kind, struct str path, struct secrets *,
                                  int slots, struct downstream **ret_downstream);
/* What the downstream says about the mapping, as downstream_odata_inspect; a plain downstream says nothing. */
MUST enum rc downstream_file_inspect(struct downstream *, struct call *, struct world *,
                                     struct str *ret_findings);
/* Of a port that downstream_file_open gave. NULL does nothing. */
void downstream_file_close(struct downstream *);

#endif
