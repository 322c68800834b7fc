/* One call of an AWS service: a signed POST of "/" by libcurl, the only shape that libcurl 7.88.1 signs right.
 * Knows signatures, endpoints, the shape of errors, what may be repeated, and the deadline; what an error means is
 * left to the adapters. One easy handle, hence one connection, per service.
 *
 * libcurl itself silently repeats a POST when a kept connection dies before the first answer byte, so every write
 * must be harmless twice: by a token, a condition or a name. */
#ifndef ADAPTERS_AWS_CALL_H
#define ADAPTERS_AWS_CALL_H

#include "core/ports.h"

#define AWS_TIMEOUT_MS 5000     /* of one try, unless the request says otherwise */
#define AWS_RETRY_SPAN_MS 10000 /* of all tries together, where a call has no deadline */
#define AWS_DEADLINE_SPARE_MS                                                                      \
    1000 /* no try runs into the last second of a call: somebody must still answer */
#define AWS_ANSWER_MAX_BYTES                                                                       \
    ((size_t)20 << 20) /* BatchGetItem answers 16 MB: DynamoDB API reference */

/* X(member, signing name, X-Amz-Target prefix, content type): botocore's service models */
/* clang-format off */
#define AWS_SERVICES(X) \
    X(DYNAMODB, "dynamodb", "DynamoDB_20120810", "application/x-amz-json-1.0") \
    X(SQS, "sqs", "AmazonSQS", "application/x-amz-json-1.0") \
    X(STATES, "states", "AWSStepFunctions", "application/x-amz-json-1.0") \
    X(SSM, "ssm", "AmazonSSM", "application/x-amz-json-1.1") \
    X(SNS, "sns", "", "application/x-www-form-urlencoded; charset=utf-8")
/* clang-format on */
enum aws_service {
#define X(member, name, target, type) AWS_##member,
    AWS_SERVICES(X)
#undef X
        AWS_SERVICE_COUNT
};
const char *aws_service_name(enum aws_service);

struct aws_request {
    enum aws_service service;
    const char *target; /* "TransactWriteItems"; of SNS: NULL, its action stands in the body */
    struct str body;    /* JSON; of SNS: a form */
    int64_t timeout_ms; /* of one try; 0 = AWS_TIMEOUT_MS */
    bool repeatable;    /* 5xx, throttling and broken connections are tried again */
};

struct aws_answer {
    int status;      /* HTTP's; 200 or an error */
    struct str type; /* of an error, what follows '#': "ConditionalCheckFailedException"; else "" */
    struct str message; /* of an error; may be "" */
    struct str body;
    int tries; /* how often it was sent */
};

struct aws_options {
    struct str region, access_key_id, secret_access_key;
    struct str session_token; /* "" = none: no header */
    struct str
        endpoint; /* of every service, "http://127.0.0.1:19000"; "" = https://<service>.<region>.amazonaws.com */
    struct str endpoints[AWS_SERVICE_COUNT]; /* of one service: goes before `endpoint` */
    struct str ca_pem;                       /* trusted roots in memory; "" = the system's */
    int64_t
        retry_span_ms; /* of all tries together, where a call has no deadline; 0 = AWS_RETRY_SPAN_MS */
    struct clock *clock; /* real time, also where the world's is not; must outlive the aws */
    /* Sees each try, status 0 = no answer came: for metrics and tests. NULL = nobody */
    void (*observe)(void *context, const struct aws_request *, const struct aws_answer *);
    void *context;
};

/* Read AWS_REGION (or AWS_DEFAULT_REGION), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL and
 * AWS_ENDPOINT_URL_<SERVICE> ("..._DYNAMODB", "..._SFN" for Step Functions).
 * in: find: getenv or a stand-in. out: clock, ca_pem, observe stay as they are; strings belong to find. */
void aws_options_read(struct aws_options *, char *(*find)(const char *name));

struct aws;
/* Open; touches no network. The strings of the options are copied.
 *   fails  RC_INVALID no region or no credentials, an endpoint that is no URL (call->why) · RC_BROKEN */
MUST enum rc aws_open(struct call *, const struct aws_options *, struct aws **ret_aws);
void aws_close(struct aws *); /* wipes the credentials; NULL does nothing */

/* Sign, send, and try again where that is allowed and helps: full jitter, never past the call's deadline.
 *   out    ret_answer in call->arena; any HTTP answer but throttling and 5xx is RC_OK, also an error of the service
 *   rule   nothing leaves unsigned and unnoticed: without an Authorization header the call is RC_BROKEN
 *   fails  (call->why) RC_BUSY throttled until the end, nothing was done
 *          · RC_BROKEN no answer, or a 5xx, until the end: the outcome is unknown. ret_answer is then the last try's
 *   safe   one thread at a time */
MUST enum rc aws_call(struct aws *, struct call *, const struct aws_request *,
                      struct aws_answer *ret_answer);
/* Is an error's code one of AWS's ways to say "too fast"? */
bool aws_is_throttling(struct str type);
/* May another try begin? Waits a random time that grows with tries (full jitter) and says yes; no: the end is near.
 * in: tries so far (>= 1); began_ms: clock_boot_ms at the first one. For adapters with rules of their own (TransactionConflict). */
bool aws_wait(struct aws *, struct call *, int tries, int64_t began_ms);
int64_t aws_boot_ms(struct aws *);
void aws_random(struct aws *, void *ret_bytes, size_t size_bytes);

#endif
