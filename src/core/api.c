/* The way of a request through the interface: target, who asks, route, right, headers, repeat, parameters, body,
 * operation. Who asks comes first, so that nobody learns from 404 or 405 what exists; what an Idempotency-Key kept
 * is looked up before the body is judged, so that a repeat gets its answer even if the rules have changed.
 * What each operation does stands in api_device.c, api_update.c, api_work.c, api_keys.c. */
#include "core/api.h"

#include "base/sha256.h"
#include "base/text.h"
#include "core/api_parts.h"

#define HEAD_MAX_BYTES 4096  /* of a kept answer */
#define CHANGES_LOOK_MAX 100 /* entries looked through for who changed the document last */

/* --- headers ----------------------------------------------------------------------------------------------- */
static struct str find_header(const struct header *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_is(headers[i].name, name)) {
            return headers[i].value;
        }
    }
    return STR_NONE;
}

struct str request_header(const struct request *request, const char *name)
{
    return find_header(request->headers, request->header_count, name);
}

struct str response_header(const struct response *response, const char *name)
{
    return find_header(response->headers, response->header_count, name);
}

/* --- repeats ------------------------------------------------------------------------------------------------ */
enum rc api_reply_keep(struct exchange *exchange, struct reply *ret_reply)
{
    const struct response *response = exchange->response;
    struct text head;
    text_open(&head, exchange->call->arena, HEAD_MAX_BYTES);
    for (size_t i = 0; i < response->header_count; i++) {
        text_printf(&head, STR_FMT ": " STR_FMT "\n", STR_ARG(response->headers[i].name),
                    STR_ARG(response->headers[i].value));
    }
    assert(!head.full); /* the longest location is a name, percent-encoded */
    ret_reply->status = response->status;
    ret_reply->head = text_str(&head);
    ret_reply->body = response->body;
    return RC_OK;
}

/* Owners are the scope; operators have their key's id instead, a test realm its hash. No owner begins with '!'. */
static struct str repeat_scope(const struct exchange *exchange)
{
    const struct principal *principal = &exchange->principal;
    struct arena *arena = exchange->call->arena;
    if (str_is(principal->realm, "live")) {
        return principal->role == ROLE_OPERATOR
                   ? arena_printf(arena, "!" STR_FMT, STR_ARG(principal->id))
                   : principal->owner;
    }
    unsigned char sha[SHA256_BYTES];
    sha256(principal->realm, sha);
    struct str hex = text_hex(arena, (struct str){(const char *)sha, sizeof(sha)});
    return arena_printf(arena, "!!" STR_FMT, STR_ARG(str_head(hex, 40)));
}

static void answer_kept(struct exchange *exchange, const struct reply *kept)
{
    struct response *response = exchange->response;
    struct str rest = kept->head;
    response->status = (int)kept->status;
    response->header_count = 0;
    while (rest.len) {
        struct str value = text_cut(&rest, '\n');
        struct str name = text_cut(&value, ':');
        assert(response->header_count < RESPONSE_HEADERS_MAX);
        response->headers[response->header_count++] = (struct header){name, text_trim(value)};
    }
    response->body = kept->body;
    api_header(response, "idempotency-replayed", STR("true"));
}

/* The kept answer, if there is one. out: ret_answered. */
static enum rc look_up(struct exchange *exchange, bool *ret_answered)
{
    struct call *call = exchange->call;
    struct reply *reply = &exchange->repeat->reply, kept;
    TRY(store_reply_get(exchange->world->store, call, reply->owner, reply->key, &kept));
    if (kept.status && !str_equal(kept.fingerprint, reply->fingerprint)) {
        return call_refuse(call, PROBLEM_idempotency_key_reused,
                           "the key was used for another request");
    }
    if (kept.status) {
        answer_kept(exchange, &kept);
    }
    *ret_answered = kept.status != 0;
    return RC_OK;
}

static void repeat_begin(struct exchange *exchange)
{
    struct repeat *repeat = exchange->repeat;
    repeat->context = exchange;
    repeat->reply.owner = repeat_scope(exchange);
    repeat->reply.fingerprint = api_request_fingerprint(exchange);
    repeat->reply.expires_at_ms =
        exchange->call->now_ms + exchange->world->settings->idempotency_ttl_ms;
}

/* --- operations ------------------------------------------------------------------------------------------------ */
typedef enum rc operation_fn(struct exchange *);

/* What the home answers itself: status 0. */
static enum rc hand_back(struct exchange *exchange)
{
    *exchange->response =
        (struct response){.operation = exchange->response->operation, .by = exchange->response->by};
    return RC_OK;
}

static operation_fn *const operations[OPERATION_COUNT] = {
    [OPERATION_createDevice] = api_create_device,
    [OPERATION_updateDevice] = api_update_device,
    [OPERATION_listDevices] = api_list_devices,
    [OPERATION_getDevice] = api_get_device,
    [OPERATION_getPending] = api_get_pending,
    [OPERATION_listUpdates] = api_list_updates,
    [OPERATION_getUpdate] = api_get_update,
    [OPERATION_getDeviceLog] = api_get_device_log,
    [OPERATION_actOnDevice] = api_act_on_device,
    [OPERATION_listWork] = api_list_work,
    [OPERATION_redrive] = api_redrive,
    [OPERATION_getDownstream] = api_get_downstream,
    [OPERATION_actOnDownstream] = api_act_on_downstream,
    [OPERATION_listKeys] = api_list_keys,
    [OPERATION_createKey] = api_create_key,
    [OPERATION_rotateKey] = api_rotate_key,
    [OPERATION_deleteKey] = api_delete_key,
    [OPERATION_getLog] = api_get_log,
    [OPERATION_createBackup] = hand_back,
    [OPERATION_getLive] = hand_back,
    [OPERATION_getReady] = hand_back,
    [OPERATION_getMetrics] = hand_back,
    [OPERATION_getOpenapi] = hand_back,
};

/* --- the way through ------------------------------------------------------------------------------------------------ */
static bool has_credential(const struct request *request)
{
    return request_header(request, "x-api-key").len || request_header(request, "authorization").len;
}

static enum rc authenticate(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    if (route && route->open) {
        return RC_OK;
    }
    if (route && route->loopback && exchange->request->loopback &&
        !has_credential(exchange->request)) {
        exchange->principal.role = ROLE_OPERATOR;
        return RC_OK;
    }
    if (exchange->request->principal) {
        exchange->principal = *exchange->request->principal;
    } else {
        TRY(auth_check(exchange->world, exchange->call, exchange->request, &exchange->principal));
    }
    exchange->response->by = exchange->principal.id;
    return auth_note_use(exchange->world, exchange->call, &exchange->principal);
}

/* 404, 405, 403. out: ret_allow for 405. */
static enum rc check_route(struct exchange *exchange, struct str allow)
{
    const struct route *route = exchange->route;
    struct call *call = exchange->call;
    if (!route) {
        struct str method = exchange->request->method;
        return allow.len ? call_refuse(call, PROBLEM_method_not_allowed,
                                       "this path takes no " STR_FMT ", only " STR_FMT,
                                       STR_ARG(str_head(method, method.len < 32 ? method.len : 32)),
                                       STR_ARG(allow))
                         : call_why(call, RC_NOT_FOUND, "no route has the path " STR_FMT,
                                    STR_ARG(exchange->path));
    }
    if (!route->open && !(route->roles & 1U << exchange->principal.role)) {
        return call_refuse(call, PROBLEM_forbidden, "only operators may do this");
    }
    return RC_OK;
}

static enum rc lead_through(struct exchange *exchange, struct str *ret_allow)
{
    enum rc target_rc = api_request_target(exchange);
    if (target_rc == RC_OK) {
        api_request_match(exchange, ret_allow);
    }
    if (exchange->route) {
        exchange->response->operation = str_of(exchange->route->operation_id);
    }
    TRY(authenticate(exchange));
    if (target_rc == RC_OK) {
        exchange->call->why[0] = '\0'; /* what stands there is not about the request */
    }
    TRY(target_rc);
    TRY(check_route(exchange, *ret_allow));
    TRY(api_request_headers(exchange));
    if (exchange->repeat) {
        bool answered;
        repeat_begin(exchange);
        TRY(look_up(exchange, &answered));
        if (answered) {
            return RC_OK;
        }
    }
    TRY(api_request_parameters(exchange));
    TRY(api_request_body(exchange));
    enum rc rc = operations[exchange->route->operation](exchange);
    if (rc == RC_REPEATED) { /* the same request was faster elsewhere */
        bool answered;
        TRY(look_up(exchange, &answered));
        return answered ? RC_OK : RC_BUSY;
    }
    return rc;
}

/* --- what became of it ---------------------------------------------------------------------------------------------- */
/* Who gave the document its revision, as far as the log still tells. */
static enum rc last_change(struct exchange *exchange, const struct device *device,
                           struct current *ret_current)
{
    struct entry_page page;
    struct current current = {.revision = device->revision, .at_ms = device->accepted_at_ms};
    current.by = STR("system");
    TRY(store_log_list(exchange->world->store, exchange->call, device->key, 0, device->seq, true,
                       CHANGES_LOOK_MAX, &page));
    for (int i = 0; i < page.count; i++) {
        const struct entry *entry = &page.items[i];
        bool changed = entry->kind == ENTRY_created || entry->kind == ENTRY_rejected ||
                       entry->kind == ENTRY_cancelled ||
                       (entry->kind == ENTRY_update && entry->ended != ENDED_SATISFIED);
        if (changed) {
            current.by = entry->by;
            current.at_ms = entry->at_ms;
            break;
        }
    }
    *ret_current = current;
    return RC_OK;
}

/* A refusal, and with 409 and 412 what the device is now: core's word if it gave one, else read again. */
static enum rc answer_refused(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct device device;
    struct current current;
    int status = problem_info(call->problem)->status;
    const struct device *shown = call->current;
    if (status == 409 && !shown && exchange->current_key.len) {
        TRY(device_read(exchange->world, call, &exchange->principal, exchange->current_key,
                        &device));
        shown = &device;
    }
    if ((status == 409 || status == 412) && shown) {
        TRY(last_change(exchange, shown, &current));
        api_problem_call(exchange, &current);
    } else {
        api_problem_call(exchange, NULL);
    }
    return RC_OK;
}

static void answer_problem(struct exchange *exchange, enum problem problem, struct str detail)
{
    exchange->call->problem = problem;
    exchange->call->item_count = 0;
    api_problem(exchange->call, problem, detail, exchange->response);
}

/* Unknown and foreign are one answer, to the byte but for the request's id: what was asked is all that it is made of. */
static void answer_missing(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct str what = str_of(call->why);
    if (!what.len && exchange->asked_name.len) {
        what = arena_printf(call->arena, "there is no device " STR_FMT,
                            STR_ARG(text_trim(exchange->asked_name)));
    }
    answer_problem(exchange, PROBLEM_not_found, what);
}

enum rc api_handle(struct world *world, struct call *call, const struct request *request,
                   struct response *ret_response)
{
    struct str allow = STR_NONE;
    struct exchange exchange = {
        .world = world, .call = call, .request = request, .response = ret_response};
    *ret_response = (struct response){0};
    enum rc rc = lead_through(&exchange, &allow);
    if (rc == RC_INVALID) {
        rc = answer_refused(&exchange);
        if (call->problem == PROBLEM_method_not_allowed) {
            api_header(ret_response, "allow", allow);
        }
    }
    switch (rc) {
    case RC_OK:
        return RC_OK;
    case RC_NOT_FOUND:
        answer_missing(&exchange);
        return RC_OK;
    case RC_BUSY:
    case RC_CONFLICT:
        answer_problem(&exchange, PROBLEM_store_busy, STR_NONE);
        return RC_BUSY;
    default:
        answer_problem(&exchange, PROBLEM_internal, STR_NONE);
        return RC_BROKEN;
    }
}
