/* api: one request through the gateway. What the core answers is an answer, 4xx and 503 too; a fault of ours is raised, so that
 * the client gets the gateway's 502 and the alarm rings. Nothing is sent to the queue on the hot path: plan passes find what was
 * accepted. Operators' actions wake devices at once where the function knows the queue. */
#include "base/diag.h"
#include "base/text.h"
#include "core/api.h"
#include "core/auth.h"
#include "core/notice.h"
#include "core/routes.h"
#include "home/answer_options.h"
#include "home/lambda.h"
#include "home/lambda_event.h"

#define FOLLOW_UP_MS 2000 /* a client waits for it */

/* arn:aws:sts::<account>:assumed-role/<role>/<session> is arn:aws:iam::<account>:role/<role>; what is none stays as it is. */
static struct str role_arn(struct call *call, struct str user_arn)
{
    static const char marker[] = ":assumed-role/";
    const char *at =
        user_arn.len ? memmem(user_arn.s, user_arn.len, marker, sizeof marker - 1) : NULL;
    struct str rest = user_arn;
    if (!at) {
        return user_arn;
    }
    struct str role = {at + sizeof marker - 1, 0};
    role.len = (size_t)(user_arn.s + user_arn.len - role.s);
    role = text_cut(&role, '/');
    (void)text_cut(&rest, ':');
    struct str partition = text_cut(&rest, ':');
    (void)text_cut(&rest, ':'); /* sts */
    (void)text_cut(&rest, ':'); /* no region */
    struct str account = text_cut(&rest, ':');
    return arena_printf(call->arena, "arn:" STR_FMT ":iam::" STR_FMT ":role/" STR_FMT,
                        STR_ARG(partition), STR_ARG(account), STR_ARG(role));
}

/* AuthType Iam: AWS has checked who signed; a key record whose id is that role says what it may do. Without one: nobody (401),
 * but for the first operator's role, as the first operator's credential elsewhere. */
static enum rc find_role(struct lambda *lambda, struct call *call, struct proxy_event *event)
{
    struct key key;
    if (!str_is(lambda->names.auth_type, "Iam")) {
        return RC_OK;
    }
    event->request.principal = NULL; /* no authorizer speaks here */
    if (!event->user_arn.len) {
        return RC_OK;
    }
    struct str arn = role_arn(call, event->user_arn);
    TRY(store_key_get(lambda->world.store, call, arn, &key));
    if (key.version == 0 && str_equal(arn, lambda->names.operator_role)) {
        key = (struct key){.id = arn, .version = 1, .realm = STR("live"), .role = ROLE_OPERATOR};
    }
    if (key.version > 0 && key.deleted_at_ms == 0 && key.role != ROLE_NONE) {
        event->principal = auth_principal(&key);
        event->request.principal = &event->principal;
    }
    return RC_OK;
}

/* Routes of the server home's own (livez, metrics, backups ...) do not exist here. */
static void not_here(struct call *call, struct response *response)
{
    struct str operation = response->operation, by = response->by;
    api_problem(call, PROBLEM_not_found, STR_NONE, response);
    response->operation = operation;
    response->by = by;
}

static bool is_action(struct str operation)
{
    return str_is(operation, "actOnDevice") || str_is(operation, "actOnDownstream") ||
           str_is(operation, "redrive");
}

/* After the commit. What fails here is found by the next plan pass, so the answer stands and does not wait for it long. */
static void after_commit(struct lambda *lambda, struct call *call, const struct response *response)
{
    int sent = 0;
    int64_t until_ms = clock_now_ms(lambda->world.clock) + FOLLOW_UP_MS + AWS_DEADLINE_SPARE_MS;
    call->deadline_at_ms =
        call->deadline_at_ms ? min_i64(call->deadline_at_ms, until_ms) : until_ms;
    lambda_metric_tallies(lambda, call->tallies);
    if (notices_tell(&lambda->world, call) != RC_OK) {
        DIAG(DIAG_WARN, "notice_left", DIAG_TEXT("why", str_of(call->why)));
    }
    if (call->wake_count && lambda->names.queue_url.len && is_action(response->operation) &&
        lambda_wake(lambda, call, call->wakes, call->wake_count, &sent) != RC_OK) {
        DIAG(DIAG_WARN, "wakes_left", DIAG_TEXT("why", str_of(call->why)));
    }
}

enum rc lambda_api(struct lambda *lambda, struct call *call, const struct invocation *invocation,
                   struct str *ret_answer)
{
    struct proxy_event event;
    struct response response = {0};
    int64_t began_ms = clock_boot_ms(&lambda->clock.clock);
    TRY(event_proxy_read(call, invocation->event, &event));
    lambda_log_correlate(event.gateway_id);
    TRY(find_role(lambda, call, &event));
    enum rc rc = api_handle(&lambda->world, call, &event.request, &response);
    if (rc != RC_OK && rc != RC_BUSY) {
        return rc;
    }
    if (response.status == 0) {
        not_here(call, &response);
    }
    if (str_is(event.request.method, "OPTIONS")) {
        answer_options(call->arena, &response);
    }
    if (str_is(event.request.method, "HEAD")) {
        response.body = STR_NONE;
    }
    struct str answer = event_proxy_answer(call, &response, lambda->names.console_origin);
    after_commit(lambda, call, &response);
    DIAG(DIAG_INFO, "request", DIAG_TEXT("operation", response.operation),
         DIAG_NUMBER("status", response.status),
         DIAG_NUMBER("duration_ms", clock_boot_ms(&lambda->clock.clock) - began_ms),
         DIAG_TEXT("request_id", call->id), DIAG_TEXT("by", response.by),
         DIAG_NUMBER("bytes", (int64_t)response.body.len));
    *ret_answer = answer;
    return RC_OK;
}
