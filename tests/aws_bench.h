/* An aws whose services are one receiver on loopback: what an adapter sends, and what it makes of an answer. */
#ifndef AWS_BENCH_H
#define AWS_BENCH_H

#include "adapters/aws_call.h"
#include "adapters/clock_manual.h"
#include "receiver.h"

#define AWS_ANSWER(status, body)                                                                   \
    "HTTP/1.0 " status "\r\nContent-Type: application/x-amz-json-1.0\r\n\r\n" body

struct aws_bench {
    struct receiver receiver;
    struct arena arena;
    struct call call;
    struct clock *clock;
    struct aws *aws;
};
/* in: clock: NULL = the system's */
void aws_bench_open(struct aws_bench *, struct clock *clock);
void aws_bench_close(struct aws_bench *);

#endif
