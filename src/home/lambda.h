/* The AWS home: one program, six functions, chosen by _HANDLER. main_lambda.c composes them; each lambda_<function>.c is one
 * of them; lambda_runtime.c is the loop's other side, lambda_event.c the forms of events, lambda_wake.c the queue,
 * lambda_log.c the lines and metrics.
 *
 * Its environment: HOURBELL_<SETTING> as in hourbell.conf, AWS's own (AWS_REGION, AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL ...), and
 * what only this home has, in the table below. Nothing of an invocation outlives it but what is read again when it is old. */
#ifndef HOME_LAMBDA_H
#define HOME_LAMBDA_H

#include "adapters/aws_call.h"
#include "adapters/clock_system.h"
#include "home/config.h"
#include "home/lambda_runtime.h"

/* X(member, variable, help) */
/* clang-format off */
#define LAMBDA_NAMES(X) \
    X(table, "HOURBELL_AWS_TABLE", "name of the DynamoDB table: all but tick") \
    X(queue_url, "HOURBELL_AWS_QUEUE_URL", "URL of the wake-up queue: plan, deliver; api: wake-ups of operators' actions, none if empty") \
    X(state_machine, "HOURBELL_AWS_STATE_MACHINE", "ARN of the hourly state machine: tick") \
    X(operators_topic, "HOURBELL_AWS_OPERATORS_TOPIC", "ARN of the operators' topic; empty: the log only") \
    X(customers_topic, "HOURBELL_AWS_CUSTOMERS_TOPIC", "ARN of the customers' topic; empty: nobody is told") \
    X(secrets_prefix, "HOURBELL_AWS_SECRETS_PREFIX", "path of the SSM parameters, as /hourbell/prod: authorizer (operator_key, plan_key/customer, " \
      "plan_key/operator), deliver (what downstream.json names)") \
    X(auth_type, "HOURBELL_AWS_AUTH_TYPE", "Key (default) or Iam: api takes the caller's role as its key") \
    X(operator_role, "HOURBELL_AWS_OPERATOR_ROLE", "with Iam: ARN of the role that is an operator as long as no key says otherwise; empty: none") \
    X(console_origin, "HOURBELL_AWS_CONSOLE_ORIGIN", "web origin whose pages may read the answers of api; empty: none") \
    X(namespace, "HOURBELL_AWS_NAMESPACE", "CloudWatch namespace of the metrics; empty: hourbell")
/* clang-format on */

struct lambda_names {
#define X(member, variable, help) struct str member;
    LAMBDA_NAMES(X)
#undef X
};

struct lambda {
    const struct lambda_function *function;
    struct arena arena; /* what lives as long as the process */
    struct config config;
    struct lambda_names names;
    struct clock_system clock;
    struct lambda_runtime *runtime;
    struct aws *aws;
    struct secrets *secrets; /* SSM; NULL where the function needs none */
    struct world world;
    int64_t downstream_opened_at_ms; /* deliver: its credentials are read again when they are old */
    const char *error_type;          /* of the invocation that is raised; NULL = by its rc */
};

/* Handle one event. fails: everything but RC_OK is raised: POST .../error, and the alarm rings; call->why says why */
typedef enum rc lambda_handler(struct lambda *, struct call *, const struct invocation *,
                               struct str *ret_answer) MUST;

#define NEEDS_STORE 1U      /* the table and the topics */
#define NEEDS_MAPPING 2U    /* downstream.json, to map and never to send */
#define NEEDS_DOWNSTREAM 4U /* the same to send, with its credentials */
#define NEEDS_SECRETS 8U
struct lambda_function {
    const char *name;
    unsigned needs;
    lambda_handler *handle;
};
lambda_handler lambda_api, lambda_authorizer, lambda_tick, lambda_plan, lambda_deliver,
    lambda_report;

/* lambda_open.c: everything up to the first `next`. Touches the network for deliver's secrets alone.
 * fails: RC_INVALID the environment is wrong · RC_NOT_FOUND · RC_BROKEN; call->why */
MUST enum rc lambda_open(struct lambda *, struct call *, char *const *environment);
void lambda_close(struct lambda *);
/* deliver: read the credentials again if they are old, or were refused. */
MUST enum rc lambda_refresh(struct lambda *, struct call *);

/* lambda_wake.c: send wake-ups that are due within 900 s (SQS's longest delay); later ones are left to the plan passes.
 * out: ret_sent: how many the queue took; each one that it did not take is logged, and found by the next pass
 * fails: RC_BROKEN, RC_BUSY the queue took none of them */
#define WAKE_DELAY_MAX_S 900 /* SQS API reference, SendMessage, DelaySeconds */
MUST enum rc lambda_wake(struct lambda *, struct call *, const struct wake *, int count,
                         int *ret_sent);

/* lambda_log.c: lines with Powertools' keys on standard error, metrics in CloudWatch's embedded format on standard output. */
void lambda_log_open(const struct lambda *);
void lambda_log_begin(const struct invocation *);     /* NULL: before the first invocation */
void lambda_log_correlate(struct str correlation_id); /* of the running invocation */
void lambda_metric_tallies(struct lambda *, const int64_t tallies[TALLY_COUNT]);
/* label NULL = none */
void lambda_metric(struct lambda *, const char *name, const char *label, struct str value,
                   int64_t number);

/* Raise with a type of one's own. As an expression RC_BROKEN. */
#define lambda_raise(lambda, call, type, ...)                                                      \
    ((lambda)->error_type = (type), call_why((call), RC_BROKEN, __VA_ARGS__))

#endif
