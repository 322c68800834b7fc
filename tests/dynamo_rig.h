/* A DynamoDB to test with, where there is one: HOURBELL_TEST_DYNAMODB is its endpoint ("http://127.0.0.1:19000", see
 * tests/aws/rig). Without it the tests that need one do nothing, and `make test` is the same as before. */
#ifndef DYNAMO_RIG_H
#define DYNAMO_RIG_H

#include "adapters/store_dynamodb.h"

/* NULL: there is none. */
const char *dynamo_endpoint(void);
/* Options of an aws that talks to it: a clock, credentials that it takes. Strings live as long as the process. */
struct aws_options dynamo_options(void);
/* Make a table with the two indexes of deploy/hourbell.yaml, but without TTL: test clocks are not the world's. Waits
 * until it can be used. */
void dynamo_table(struct aws *, const char *name);
/* The table of this process: its own, made at the first call. */
const char *dynamo_own_table(void);
void dynamo_forget_table(void); /* the next store is on a new, empty one */

/* A store on the table of this process, with an aws of its own; counts are never kept. */
struct store *dynamo_open(void);
struct store *dynamo_open_with(const struct aws_options *);
void dynamo_close(struct store *);

#endif
