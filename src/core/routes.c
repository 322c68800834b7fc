/* The route table.
 * Made by script/generate from docs/openapi.yaml: change that file, not this one. */
#include "core/routes.h"

/* clang-format off */
_Static_assert(BODY_MAX_BYTES == 65536, "docs/openapi.yaml says 65536");
_Static_assert(CURSOR_MAX_BYTES == 1024, "docs/openapi.yaml says 1024");
_Static_assert(DOC_MAX_BYTES == 16384, "docs/openapi.yaml says 16384");
_Static_assert(JSON_MAX_DEPTH == 8, "docs/openapi.yaml says 8");
_Static_assert(NAME_KEY_MAX_BYTES == 256, "docs/openapi.yaml says 256");
_Static_assert(NAME_MAX_CHARS == 128, "docs/openapi.yaml says 128");
_Static_assert(OWNER_MAX_BYTES == 64, "docs/openapi.yaml says 64");
_Static_assert(PAGE_DEFAULT == 20, "docs/openapi.yaml says 20");
_Static_assert(PAGE_MAX == 100, "docs/openapi.yaml says 100");
_Static_assert(PAGE_MAX_BYTES == 1048576, "docs/openapi.yaml says 1048576");
_Static_assert(PROBLEMS_MAX == 16, "docs/openapi.yaml says 16");
_Static_assert(REASON_MAX_CHARS == 500, "docs/openapi.yaml says 500");

static const struct field members_createDevice[] = {
    {.name = "device_name", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .checked_by = CHECKED_BY_NAME},
    {.name = "attributes", .type = VALUE_OBJECT, .max = INT64_MAX, .checked_by = CHECKED_BY_DOCUMENT},
    {.name = "owner", .type = VALUE_TEXT, .roles = 1U << ROLE_OPERATOR, .min = 1, .max = 64, .checked_by = CHECKED_BY_OWNER},
};

static const struct field members_updateDevice[] = {
    {.name = "device_name", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .checked_by = CHECKED_BY_NAME},
    {.name = "attributes", .type = VALUE_OBJECT, .required = true, .max = INT64_MAX, .checked_by = CHECKED_BY_DOCUMENT},
};

static const struct field query_fields_listDevices[] = {
    {.name = "name_prefix", .type = VALUE_TEXT, .max = 128, .checked_by = CHECKED_BY_NAME},
    {.name = "owner", .type = VALUE_TEXT, .roles = 1U << ROLE_OPERATOR, .min = 1, .max = 64, .checked_by = CHECKED_BY_OWNER},
    {.name = "limit", .type = VALUE_INTEGER, .min = 1, .max = 100, .fallback = 20},
    {.name = "cursor", .type = VALUE_TEXT, .min = 1, .max = 1024},
};

static const struct field path_fields_getDevice[] = {
    {.name = "name", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .checked_by = CHECKED_BY_NAME},
};

static const struct field query_fields_listUpdates[] = {
    {.name = "limit", .type = VALUE_INTEGER, .min = 1, .max = 100, .fallback = 20},
    {.name = "cursor", .type = VALUE_TEXT, .min = 1, .max = 1024},
};

static const struct field path_fields_getUpdate[] = {
    {.name = "name", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .checked_by = CHECKED_BY_NAME},
    {.name = "seq", .type = VALUE_INTEGER, .required = true, .max = 9999999999},
};

static const char *const words_actOnDevice_action[] = {
    "cancel", "hold", "resume", "deliver_now", "confirm", "deny", "discard", "redrive", "resend_all", NULL,
};

static const struct field members_actOnDevice[] = {
    {.name = "action", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .allowed = words_actOnDevice_action},
    {.name = "reason", .type = VALUE_TEXT, .required = true, .min = 1, .max = 500},
    {.name = "seq", .type = VALUE_INTEGER, .min = 1, .max = 9999999999},
};

static const char *const words_listWork_state[] = {
    "open", "flight", "uncertain", "dead", NULL,
};

static const struct field query_fields_listWork[] = {
    {.name = "state", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .allowed = words_listWork_state},
    {.name = "limit", .type = VALUE_INTEGER, .min = 1, .max = 100, .fallback = 20},
    {.name = "cursor", .type = VALUE_TEXT, .min = 1, .max = 1024},
};

static const struct field members_redrive[] = {
    {.name = "limit", .type = VALUE_INTEGER, .required = true, .min = 1, .max = 100},
    {.name = "dry_run", .type = VALUE_BOOLEAN, .required = true, .max = INT64_MAX},
    {.name = "owner", .type = VALUE_TEXT, .min = 1, .max = 64, .checked_by = CHECKED_BY_OWNER},
    {.name = "cursor", .type = VALUE_TEXT, .min = 1, .max = 1024},
};

static const char *const words_actOnDownstream_action[] = {
    "hold", "resume", "probe", NULL,
};

static const struct field members_actOnDownstream[] = {
    {.name = "action", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .allowed = words_actOnDownstream_action},
    {.name = "reason", .type = VALUE_TEXT, .required = true, .min = 1, .max = 500},
};

static const char *const words_createKey_role[] = {
    "customer", "operator", NULL,
};

static const struct field members_createKey[] = {
    {.name = "role", .type = VALUE_TEXT, .required = true, .max = INT64_MAX, .allowed = words_createKey_role},
    {.name = "owner", .type = VALUE_TEXT, .min = 1, .max = 64, .checked_by = CHECKED_BY_OWNER},
    {.name = "label", .type = VALUE_TEXT, .max = 128},
    {.name = "role_arn", .type = VALUE_TEXT, .min = 1, .max = 128},
};

static const struct field path_fields_rotateKey[] = {
    {.name = "id", .type = VALUE_TEXT, .required = true, .min = 1, .max = 128},
};

static const struct field members_rotateKey[] = {
    {.name = "overlap_s", .type = VALUE_INTEGER, .max = 2592000},
};

const struct route routes[ROUTE_COUNT] = {
    {.operation = OPERATION_createDevice,
     .operation_id = "createDevice",
     .method = "POST",
     .path = "/create-device",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .idempotent = true,
     .body = BODY_REQUIRED,
     .members = members_createDevice, .member_count = 3},
    {.operation = OPERATION_updateDevice,
     .operation_id = "updateDevice",
     .method = "POST",
     .path = "/update-device",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .idempotent = true,
     .conditional = true,
     .body = BODY_REQUIRED,
     .members = members_updateDevice, .member_count = 2},
    {.operation = OPERATION_listDevices,
     .operation_id = "listDevices",
     .method = "GET",
     .path = "/devices",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .query_fields = query_fields_listDevices, .query_field_count = 4},
    {.operation = OPERATION_getDevice,
     .operation_id = "getDevice",
     .method = "GET",
     .path = "/devices/{name}",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .path_fields = path_fields_getDevice, .path_field_count = 1},
    {.operation = OPERATION_getPending,
     .operation_id = "getPending",
     .method = "GET",
     .path = "/devices/{name}/pending",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .path_fields = path_fields_getDevice, .path_field_count = 1},
    {.operation = OPERATION_listUpdates,
     .operation_id = "listUpdates",
     .method = "GET",
     .path = "/devices/{name}/updates",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .path_fields = path_fields_getDevice, .path_field_count = 1,
     .query_fields = query_fields_listUpdates, .query_field_count = 2},
    {.operation = OPERATION_getUpdate,
     .operation_id = "getUpdate",
     .method = "GET",
     .path = "/devices/{name}/updates/{seq}",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .path_fields = path_fields_getUpdate, .path_field_count = 2},
    {.operation = OPERATION_getDeviceLog,
     .operation_id = "getDeviceLog",
     .method = "GET",
     .path = "/devices/{name}/log",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .path_fields = path_fields_getDevice, .path_field_count = 1,
     .query_fields = query_fields_listUpdates, .query_field_count = 2},
    {.operation = OPERATION_actOnDevice,
     .operation_id = "actOnDevice",
     .method = "POST",
     .path = "/devices/{name}/actions",
     .roles = 1U << ROLE_CUSTOMER | 1U << ROLE_OPERATOR,
     .idempotent = true,
     .body = BODY_REQUIRED,
     .path_fields = path_fields_getDevice, .path_field_count = 1,
     .members = members_actOnDevice, .member_count = 3},
    {.operation = OPERATION_listWork,
     .operation_id = "listWork",
     .method = "GET",
     .path = "/work",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .query_fields = query_fields_listWork, .query_field_count = 3},
    {.operation = OPERATION_redrive,
     .operation_id = "redrive",
     .method = "POST",
     .path = "/redrives",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_REQUIRED,
     .members = members_redrive, .member_count = 4},
    {.operation = OPERATION_getDownstream,
     .operation_id = "getDownstream",
     .method = "GET",
     .path = "/downstream",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_NONE},
    {.operation = OPERATION_actOnDownstream,
     .operation_id = "actOnDownstream",
     .method = "POST",
     .path = "/downstream/actions",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_REQUIRED,
     .members = members_actOnDownstream, .member_count = 2},
    {.operation = OPERATION_listKeys,
     .operation_id = "listKeys",
     .method = "GET",
     .path = "/keys",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .query_fields = query_fields_listUpdates, .query_field_count = 2},
    {.operation = OPERATION_createKey,
     .operation_id = "createKey",
     .method = "POST",
     .path = "/keys",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_REQUIRED,
     .members = members_createKey, .member_count = 4},
    {.operation = OPERATION_rotateKey,
     .operation_id = "rotateKey",
     .method = "POST",
     .path = "/keys/{id}/rotate",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_OPTIONAL,
     .path_fields = path_fields_rotateKey, .path_field_count = 1,
     .members = members_rotateKey, .member_count = 1},
    {.operation = OPERATION_deleteKey,
     .operation_id = "deleteKey",
     .method = "DELETE",
     .path = "/keys/{id}",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .path_fields = path_fields_rotateKey, .path_field_count = 1},
    {.operation = OPERATION_getLog,
     .operation_id = "getLog",
     .method = "GET",
     .path = "/log",
     .roles = 1U << ROLE_OPERATOR,
     .body = BODY_NONE,
     .query_fields = query_fields_listUpdates, .query_field_count = 2},
    {.operation = OPERATION_createBackup,
     .operation_id = "createBackup",
     .method = "POST",
     .path = "/backups",
     .roles = 1U << ROLE_OPERATOR,
     .server_home = true,
     .body = BODY_NONE},
    {.operation = OPERATION_getLive,
     .operation_id = "getLive",
     .method = "GET",
     .path = "/livez",
     .roles = 0,
     .open = true,
     .server_home = true,
     .body = BODY_NONE},
    {.operation = OPERATION_getReady,
     .operation_id = "getReady",
     .method = "GET",
     .path = "/readyz",
     .roles = 0,
     .open = true,
     .server_home = true,
     .body = BODY_NONE},
    {.operation = OPERATION_getMetrics,
     .operation_id = "getMetrics",
     .method = "GET",
     .path = "/metrics",
     .roles = 1U << ROLE_OPERATOR,
     .loopback = true,
     .server_home = true,
     .body = BODY_NONE},
    {.operation = OPERATION_getOpenapi,
     .operation_id = "getOpenapi",
     .method = "GET",
     .path = "/openapi.json",
     .roles = 0,
     .open = true,
     .server_home = true,
     .body = BODY_NONE},
};
/* clang-format on */
