/* tick: start the hour's execution. Its name is made from the scheduled time, so a doubled firing finds it already there, which is
 * success; the schedule itself cannot make the name, for its times hold colons. */
#include "base/diag.h"
#include "home/lambda.h"
#include "home/lambda_event.h"

enum rc lambda_tick(struct lambda *lambda, struct call *call, const struct invocation *invocation,
                    struct str *ret_answer)
{
    int64_t hour_at_ms = 0;
    struct aws_request request = {
        .service = AWS_STATES, .target = "StartExecution", .repeatable = true};
    struct aws_answer answer;
    if (!lambda->names.state_machine.len) {
        return lambda_raise(lambda, call, "Function.InvalidConfiguration",
                            "HOURBELL_AWS_STATE_MACHINE is not set");
    }
    TRY(event_tick_read(call, invocation->event, &hour_at_ms));
    struct str name = event_run_name(call->arena, hour_at_ms);
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "stateMachineArn", lambda->names.state_machine);
    json_add_str(doc, root, "name", name);
    json_add_str(doc, root, "input", event_run_input(call, hour_at_ms));
    request.body = json_write_mut(call->arena, doc);
    TRY(aws_call(lambda->aws, call, &request, &answer));
    bool again = str_is(answer.type, "ExecutionAlreadyExists");
    if (answer.status != 200 && !again) {
        return lambda_raise(lambda, call, "Function.RunNotStarted", STR_FMT ": " STR_FMT,
                            STR_ARG(answer.type), STR_ARG(answer.message));
    }
    DIAG(DIAG_INFO, again ? "run_exists" : "run_started", DIAG_TEXT("run", name));
    *ret_answer = arena_printf(call->arena, "{\"run\":\"" STR_FMT "\",\"started\":%s}",
                               STR_ARG(name), again ? "false" : "true");
    return RC_OK;
}
