/* The interface: a request becomes a call of the core, what it came to becomes an answer. Route table and
 * body models are generated from docs/openapi.yaml (routes.c). No route knows which home it runs in. */
#ifndef CORE_API_H
#define CORE_API_H

#include "core/auth.h"

/* Handle one complete request.
 *   out    ret_response, always filled when RC_OK: 4xx are answers; strings live in call->arena. x-request-id is not among
 *          the headers: each home adds it (call->id), to the answers that it makes itself too
 *   fails  RC_BUSY the store cannot take it: api_problem(store_busy) is already in ret_response · RC_BROKEN raise; ret_response holds 500 internal */
MUST enum rc api_handle(struct world *, struct call *, const struct request *,
                        struct response *ret_response);

/* A problem document as the answer, for what the home finds itself: parser errors, timeouts, draining. detail "" = the title. */
void api_problem(struct call *, enum problem, struct str detail, struct response *ret_response);

/* A header of a request or answer by its lower-case name; STR_NONE if there is none. */
struct str request_header(const struct request *, const char *name);
struct str response_header(const struct response *, const char *name);

/* Routes that the home answers itself (livez, readyz, metrics, openapi.json, backups): api_handle checks route, method and right, and hands
 * back the operation with status 0 for the home to fill: "getMetrics", "getReady", "getLive", "getOpenapi", "createBackup". */
#endif
