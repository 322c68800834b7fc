/* The Lambda Runtime API: fetch an event, hand back an answer or an error. Knows nothing of what an event means.
 * One easy handle of its own, without a signature and without a client's time limit on `next`: between two
 * invocations the process may be frozen for hours.
 * source Lambda developer guide, "Using the Lambda runtime API"; AWS's runtime interface emulator, internal/lambda/rapi */
#ifndef HOME_LAMBDA_RUNTIME_H
#define HOME_LAMBDA_RUNTIME_H

#include "core/model.h"

#define LAMBDA_EVENT_MAX_BYTES ((size_t)8 << 20)          /* AWS sends 6 MiB at most */
#define LAMBDA_ANSWER_MAX_BYTES (((size_t)6 << 20) + 100) /* the API takes no more: 413 */

struct invocation {
    struct str id, arn;
    struct str trace_id;    /* "" = not traced */
    int64_t deadline_at_ms; /* 0 = unknown */
    struct str event;
};

/* What an error is called outside: "Runtime.Word" or "Function.Word" with a capital; the API takes no other. */
struct lambda_error {
    const char *type;
    struct str message;
};

struct lambda_runtime;
/* in: address "host:port", as in AWS_LAMBDA_RUNTIME_API. fails: RC_INVALID (call->why) · RC_BROKEN no libcurl */
MUST enum rc lambda_runtime_open(struct call *, struct str address,
                                 struct lambda_runtime **ret_runtime);
void lambda_runtime_close(struct lambda_runtime *);

/* Wait for the next event; also sets _X_AMZN_TRACE_ID, or takes it away. out: strings in call->arena.
 * fails: RC_BROKEN it cannot go on: end the process with an error, never ask again in a loop */
MUST enum rc lambda_runtime_next(struct lambda_runtime *, struct call *,
                                 struct invocation *ret_invocation);
/* Hand the answer back. An answer that is too large becomes the error Function.ResponseSizeTooLarge.
 * rule: an answer that the API did not take (lost, 400, 403, 413) is logged and survived: go on with next
 * fails: RC_BROKEN the API answered 5xx: end the process with an error */
MUST enum rc lambda_runtime_answer(struct lambda_runtime *, struct call *,
                                   const struct invocation *, struct str answer);
MUST enum rc lambda_runtime_error(struct lambda_runtime *, struct call *, const struct invocation *,
                                  const struct lambda_error *);
/* It cannot even start; the process must end with an error afterwards. */
void lambda_runtime_init_error(struct lambda_runtime *, struct call *, const struct lambda_error *);
/* Is it one that the API takes? */
bool lambda_error_type_is_valid(const char *type);

#endif
