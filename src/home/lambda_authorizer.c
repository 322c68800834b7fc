/* authorizer: the core's own check of a credential, as the gateway's question. It may read and never writes; who has no good
 * credential is denied, which is an answer: the gateway makes 401 of it. Without caching, so a deleted key ends at once. */
#include "base/diag.h"
#include "core/auth.h"
#include "home/lambda.h"
#include "home/lambda_event.h"

/* RC_INVALID: nobody. The first operator's credential lies in SSM: the pipeline has put it there. */
static enum rc who_asks(struct lambda *lambda, struct call *call, const struct request *request,
                        struct principal *ret_principal)
{
    struct str given = STR_NONE;
    enum rc rc = auth_check(&lambda->world, call, request, ret_principal);
    if (rc != RC_INVALID) {
        return rc;
    }
    rc = secrets_get(lambda->secrets, call, STR("operator_key"), &given);
    if (rc != RC_OK) {
        return rc == RC_NOT_FOUND ? RC_INVALID : rc;
    }
    return auth_check_given(&lambda->world, call, request, given, ret_principal);
}

/* What the gateway's usage plan of the role knows; clients never see it. */
static enum rc plan_key(struct lambda *lambda, struct call *call, const struct principal *principal,
                        struct str *ret_key)
{
    bool is_operator = principal->role == ROLE_OPERATOR;
    struct str name = is_operator ? STR("plan_key/operator") : STR("plan_key/customer");
    enum rc rc = secrets_get(lambda->secrets, call, name, ret_key);
    if (rc == RC_NOT_FOUND) { /* no usage plan: the gateway says if it wanted one */
        call_forget(call);
        *ret_key = STR_NONE;
        return RC_OK;
    }
    return rc;
}

enum rc lambda_authorizer(struct lambda *lambda, struct call *call,
                          const struct invocation *invocation, struct str *ret_answer)
{
    struct authorizer_event event;
    struct principal principal;
    struct str key = STR_NONE;
    TRY(event_authorizer_read(call, invocation->event, &event));
    lambda_log_correlate(event.gateway_id);
    enum rc rc = who_asks(lambda, call, &event.request, &principal);
    if (rc == RC_OK) {
        rc = plan_key(lambda, call, &principal, &key);
    } else if (rc == RC_INVALID) {
        DIAG(DIAG_INFO, "denied", DIAG_TEXT("detail", str_of(call->why)));
        *ret_answer = event_authorizer_answer(call, &event, NULL, STR_NONE);
        return RC_OK;
    }
    TRY(rc);
    *ret_answer = event_authorizer_answer(call, &event, &principal, key);
    return RC_OK;
}
