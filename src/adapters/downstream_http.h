/* The downstream as a plain JSON resource per device, for people without SAP: PATCH {base_url}/{name}. */
#ifndef ADAPTERS_DOWNSTREAM_HTTP_H
#define ADAPTERS_DOWNSTREAM_HTTP_H

#include "adapters/http_config.h"
#include "adapters/outbound.h"

/* in     config: lives as long as the port; slots: sends that may run at once
 * fails  RC_NOT_FOUND the secret is missing · RC_BROKEN */
MUST enum rc downstream_http_open(struct call *, const struct http_config *, struct transport *,
                                  struct secrets *, int slots, struct downstream **ret_downstream);
void downstream_http_close(struct downstream *);

#endif
