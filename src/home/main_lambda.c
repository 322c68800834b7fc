/* The AWS home, `bootstrap`: one ELF for six functions, chosen by _HANDLER. It opens what the function needs, then fetches an event,
 * hands it to the function, posts what came, and begins again. A fault of ours is posted as an error, so that the alarm rings;
 * the process goes on. It ends only if the Runtime API itself fails, or if it cannot start. */
#include <signal.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/text.h"
#include "home/lambda.h"

extern char **environ;

static const struct lambda_function functions[] = {
    /* who asks for it      what it needs                                          what it does */
    {"api", NEEDS_STORE | NEEDS_MAPPING, lambda_api},               /* the gateway: a request */
    {"authorizer", NEEDS_STORE | NEEDS_SECRETS, lambda_authorizer}, /* the gateway: who asks? */
    {"tick", 0, lambda_tick},                           /* the schedule: starts the hour's run */
    {"plan", NEEDS_STORE | NEEDS_MAPPING, lambda_plan}, /* the run: whom to wake, 5 x 16 */
    {"deliver", NEEDS_STORE | NEEDS_DOWNSTREAM, lambda_deliver}, /* the queue: one device each */
    {"report", NEEDS_STORE | NEEDS_MAPPING, lambda_report},      /* the run: what became of it */
};

static const struct lambda_function *function_of(const char *handler)
{
    for (size_t i = 0; handler && i < COUNT_OF(functions); i++) {
        if (strcmp(handler, functions[i].name) == 0) {
            return &functions[i];
        }
    }
    return NULL;
}

static const char *error_type(const struct lambda *lambda, enum rc rc)
{
    return lambda->error_type   ? lambda->error_type
           : rc == RC_INVALID   ? "Function.InvalidEvent"
           : rc == RC_BUSY      ? "Function.StoreBusy"
           : rc == RC_NOT_FOUND ? "Function.NotFound"
                                : "Function.Broken";
}

/* One event. fails: RC_BROKEN: end the process. */
static enum rc turn(struct lambda *lambda, struct call *call)
{
    struct invocation invocation;
    struct str answer = STR("null");
    TRY(lambda_runtime_next(lambda->runtime, call, &invocation));
    lambda_log_begin(&invocation);
    struct arena *arena = call->arena;
    call_open(call, arena,
              &lambda->world); /* the time is the event's, not that of the wait before it */
    call->deadline_at_ms = invocation.deadline_at_ms;
    lambda->error_type = NULL;
    enum rc rc = lambda->function->handle(lambda, call, &invocation, &answer);
    if (rc == RC_OK) {
        return lambda_runtime_answer(lambda->runtime, call, &invocation, answer);
    }
    struct lambda_error error = {error_type(lambda, rc), arena_copy(arena, str_of(call->why))};
    DIAG(DIAG_ERROR, "raised", DIAG_TEXT("exception_name", str_of(error.type)),
         DIAG_TEXT("exception", error.message), DIAG_TEXT("request_id", call->id));
    return lambda_runtime_error(lambda->runtime, call, &invocation, &error);
}

static enum rc loop(struct lambda *lambda, struct call *call)
{
    for (bool cold = true;; cold = false) {
        struct arena *arena = call->arena;
        arena_reset(arena);
        *call = (struct call){.arena = arena};
        if (cold) {
            lambda_metric(lambda, "hourbell_cold_starts_total", "function",
                          str_of(lambda->function->name), 1);
        }
        TRY(turn(lambda, call));
    }
}

static int fail_start(struct lambda *lambda, struct call *call, const char *type)
{
    struct lambda_error error = {type, arena_copy(call->arena, str_of(call->why))};
    DIAG(DIAG_ERROR, "cannot_start", DIAG_TEXT("exception_name", str_of(type)),
         DIAG_TEXT("exception", error.message));
    if (lambda->runtime) {
        lambda_runtime_init_error(lambda->runtime, call, &error);
    }
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static struct lambda lambda;
    struct arena arena;
    struct call call = {.arena = &arena};
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API"), *handler = getenv("_HANDLER");
    (void)signal(SIGPIPE, SIG_IGN); /* a connection that died while we were frozen */
    arena_open(&arena, 0);
    arena_open(&lambda.arena, 0);
    clock_system_open(&lambda.clock);
    lambda.world.clock = &lambda.clock.clock;
    lambda.function = function_of(handler ? handler : argc > 1 ? argv[1] : NULL);
    lambda_log_open(&lambda);
    if (lambda_runtime_open(&call, str_of(api), &lambda.runtime) != RC_OK) {
        return fail_start(&lambda, &call, "Runtime.NoRuntimeApi");
    }
    if (!lambda.function) {
        (void)call_why(&call, RC_INVALID,
                       "_HANDLER is none of api authorizer tick plan deliver report");
        return fail_start(&lambda, &call, "Runtime.UnknownHandler");
    }
    call_open(&call, &arena, &lambda.world);
    if (lambda_open(&lambda, &call, environ) != RC_OK) {
        return fail_start(&lambda, &call, "Runtime.InvalidConfiguration");
    }
    enum rc rc = loop(&lambda, &call);
    DIAG(DIAG_ERROR, "ended", DIAG_TEXT("why", str_of(call.why)));
    lambda_close(&lambda);
    arena_close(&arena);
    return rc == RC_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
