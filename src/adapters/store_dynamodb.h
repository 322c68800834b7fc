/* The store in one DynamoDB table: what a home needs beside the port (core/ports.h). The layout stands in
 * store_dynamodb_inner.h. Every commit is one TransactWriteItems with its token, so several processes may write. */
#ifndef ADAPTERS_STORE_DYNAMODB_H
#define ADAPTERS_STORE_DYNAMODB_H

#include "adapters/aws_call.h"

#define STORE_COUNTS_KEPT_MS                                                                       \
    60000 /* how old work counts may be: 80 index queries each time are too dear */

struct store_dynamodb_options {
    struct str table;
    int64_t
        history_ms; /* log entries and retired bodies get ttl_s so long after their time; 0 = 90 days */
    int64_t counts_kept_ms; /* 0 = STORE_COUNTS_KEPT_MS; -1 = never kept (tests) */
};

/* Open; touches no network. The aws must outlive the store; the strings are copied. */
void store_dynamodb_open(struct aws *, const struct store_dynamodb_options *,
                         struct store **ret_store);
void store_dynamodb_close(struct store *); /* NULL does nothing */

#endif
