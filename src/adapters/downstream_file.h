/* downstream.json: where the downstream is and how devices are mapped to it. Strict: an unknown member, a wrong type, a
 * contradiction is refused with a pointer. Secrets stand in it by name only. docs/sap.md explains each member. */
#ifndef ADAPTERS_DOWNSTREAM_FILE_H
#define ADAPTERS_DOWNSTREAM_FILE_H

#include "adapters/http_config.h"
#include "adapters/sap_config.h"

#define DOWNSTREAM_FILE_MAX_BYTES ((size_t)256 << 10)

/* The file's text. fails: RC_NOT_FOUND, RC_BROKEN it cannot be read · RC_INVALID it is larger than any */
MUST enum rc downstream_file_read(struct call *, struct str path, struct str *ret_text);

/* All in one for a home: read the file, open transport and port.
 *   in     kind: "odata" or "http" (the setting `downstream`); slots: sends that may run at once (one more is added for probes)
 *   fails  RC_NOT_FOUND file or secret · RC_INVALID call->items say where · RC_BROKEN; call->why says what, with the line of the file */
MUST enum rc downstream_file_open(struct call *, struct str kind, struct str path, struct secrets *,
                                  int slots, struct downstream **ret_downstream);
/* The same from its text, wherever that is from; name: of the text, for words. */
MUST enum rc downstream_file_open_text(struct call *, struct str kind, struct str name,
                                       struct str json, struct secrets *, int slots,
                                       struct downstream **ret_downstream);
/* The configuration of an opened port. NULL: a plain downstream has no OData service behind it. */
const struct sap_config *downstream_file_sap(const struct downstream *);
/* Of a port that downstream_file_open gave. NULL does nothing. */
void downstream_file_close(struct downstream *);

#endif
