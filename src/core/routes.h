/* The routes of the interface, their parameters and the members of their bodies.
 * Made by script/generate from docs/openapi.yaml: change that file, not this one. */
#ifndef CORE_ROUTES_H
#define CORE_ROUTES_H

#include "core/model.h"

/* clang-format off */
#define OPERATIONS(X) \
    X(createDevice) \
    X(updateDevice) \
    X(listDevices) \
    X(getDevice) \
    X(getPending) \
    X(listUpdates) \
    X(getUpdate) \
    X(getDeviceLog) \
    X(actOnDevice) \
    X(listWork) \
    X(redrive) \
    X(getDownstream) \
    X(actOnDownstream) \
    X(listKeys) \
    X(createKey) \
    X(rotateKey) \
    X(deleteKey) \
    X(getLog) \
    X(createBackup) \
    X(getLive) \
    X(getReady) \
    X(getMetrics) \
    X(getOpenapi)

enum operation {
    OPERATION_NONE,
#define X(name) OPERATION_##name,
    OPERATIONS(X)
#undef X
    OPERATION_COUNT
};

enum value_type { VALUE_TEXT, VALUE_INTEGER, VALUE_BOOLEAN, VALUE_OBJECT };

/* Who checks more than type, length and list: name.h, document.h, or api.c (owner). */
enum checked_by { CHECKED_BY_TYPE, CHECKED_BY_NAME, CHECKED_BY_DOCUMENT, CHECKED_BY_OWNER };

/* A parameter, or a member of a body. */
struct field {
    const char *name;
    enum value_type type;
    bool required;
    unsigned roles;             /* bits 1U << enum role: who may use it; 0 = everybody */
    int64_t min, max;           /* TEXT: characters; INTEGER: its value */
    int64_t fallback;           /* INTEGER: if it is left out */
    const char *const *allowed; /* TEXT: the words that are allowed, NULL at their end; NULL = any text */
    enum checked_by checked_by;
};

enum body_need { BODY_NONE, BODY_OPTIONAL, BODY_REQUIRED };

struct route {
    enum operation operation;
    const char *operation_id, *method, *path; /* path: "/devices/{name}" */
    unsigned roles;                           /* bits 1U << enum role */
    bool open;                                /* nobody is asked who he is */
    bool loopback;                            /* this machine itself needs no key */
    bool server_home;                         /* only the server home has it */
    bool idempotent, conditional;             /* takes Idempotency-Key, If-Match */
    enum body_need body;
    const struct field *path_fields, *query_fields, *members;
    size_t path_field_count, query_field_count, member_count;
};

#define ROUTE_COUNT 23
#define FIELDS_MAX 4 /* of any one list */
extern const struct route routes[ROUTE_COUNT];
/* clang-format on */

#endif
