/* Events of AWS as the core wants them, and back. Pure: bytes in, bytes out; every string lives in call->arena.
 * An event that has not the expected form is RC_INVALID with call->why: somebody wired the function wrongly, so it is raised.
 * source Lambda developer guide: "Using AWS Lambda with Amazon API Gateway", "... Amazon SQS"; API Gateway developer guide,
 *        "Input to a Lambda authorizer", "Output from a Lambda authorizer" */
#ifndef HOME_LAMBDA_EVENT_H
#define HOME_LAMBDA_EVENT_H

#include "core/device.h"

/* --- API Gateway REST API, proxy integration, format 1.0 --------------------------------------------------- */
struct proxy_event {
    struct request
        request; /* path and query encoded anew from what the gateway has decoded; the stage is cut off */
    struct principal
        principal; /* what the authorizer said; request.principal points here, or is NULL without one */
    struct str gateway_id; /* requestContext.requestId; "" = none */
    struct str user_arn;   /* who signed, where the methods are AWS_IAM; "" = nobody */
};
MUST enum rc event_proxy_read(struct call *, struct str event, struct proxy_event *ret_event);
/* {"isBase64Encoded":false,"statusCode":...,"headers":{...},"body":"..."}
 * in: console_origin: the web origin whose pages may read the answer; "" = none */
struct str event_proxy_answer(struct call *, const struct response *, struct str console_origin);

/* --- authorizer of type REQUEST ------------------------------------------------------------------------------ */
struct authorizer_event {
    struct request request; /* its headers; nothing else is looked at */
    struct str method_arn, gateway_id;
};
MUST enum rc event_authorizer_read(struct call *, struct str event,
                                   struct authorizer_event *ret_event);
/* Allow the whole stage, with what api needs to know; principal NULL: deny. plan_key "" = none. */
struct str event_authorizer_answer(struct call *, const struct authorizer_event *,
                                   const struct principal *, struct str plan_key);

/* --- SQS ------------------------------------------------------------------------------------------------------- */
#define EVENT_RECORDS_MAX                                                                          \
    10 /* SQS API reference, ReceiveMessage, MaxNumberOfMessages; the mapping says 1 */
struct sqs_record {
    struct str id, body;
    int64_t receive_count;
};
struct sqs_event {
    struct sqs_record records[EVENT_RECORDS_MAX];
    int count;
};
MUST enum rc event_sqs_read(struct call *, struct str event, struct sqs_event *ret_event);
/* {"batchItemFailures":[...]}: failed[i] belongs to records[i]. */
struct str event_sqs_answer(struct call *, const struct sqs_event *, const bool *failed);

/* --- the hourly run ---------------------------------------------------------------------------------------------- */
/* Of tick: {"scheduled_time":"2026-11-22T13:00:00Z"}; out: the hour it lies in. */
MUST enum rc event_tick_read(struct call *, struct str event, int64_t *ret_hour_at_ms);
/* What the execution of that hour is called, and its input: a pure function of the hour. */
struct str event_run_name(struct arena *, int64_t hour_at_ms);
struct str event_run_input(struct call *, int64_t hour_at_ms);

struct plan_event {
    struct str run, cursor; /* cursor: of an answer with more; "" = begin */
    int64_t span_s;         /* till the next pass */
    int shard;
};
MUST enum rc event_plan_read(struct call *, struct str event, struct plan_event *ret_event);

struct report_event {
    struct str run;
    int64_t woken, more; /* keys woken by all passes; shards of the last pass that left a backlog */
};
MUST enum rc event_report_read(struct call *, struct str event, struct report_event *ret_event);

#endif
