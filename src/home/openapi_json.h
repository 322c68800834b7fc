/* The interface as JSON (GET /openapi.json): docs/openapi.yaml, made by script/generate, linked into the program. */
#ifndef HOME_OPENAPI_JSON_H
#define HOME_OPENAPI_JSON_H

#include "base/base.h"

struct str openapi_json(void);

#endif
