/* A receiver of HTTP requests on a loopback port of the kernel's choice: keeps what came, answers what it
 * was told to, one answer per request, and closes. Runs in a thread of its own. */
#ifndef RECEIVER_H
#define RECEIVER_H

#include <pthread.h>

#include "base/arena.h"

#define RECEIVER_REQUESTS_MAX 16

struct receiver {
    int listen_fd, port;
    pthread_t thread;
    pthread_mutex_t lock;
    const char *answers[RECEIVER_REQUESTS_MAX]; /* whole answers; NULL: close without one */
    int answer_count;                           /* beyond: the last one again */
    char *requests[RECEIVER_REQUESTS_MAX];      /* whole, NUL behind */
    int request_count;                          /* also those that were not kept any more */
};

void receiver_open(struct receiver *);
void receiver_close(struct receiver *);
/* The answer to the next request that has none yet. */
void receiver_answer(struct receiver *, const char *answer);
int receiver_count(struct receiver *);
/* A header's value in the request of that number (from 0); name in the case that was sent. "" = none */
struct str receiver_header(struct receiver *, int number, const char *name);
struct str receiver_body(struct receiver *, int number);
struct str receiver_line(struct receiver *, int number); /* the request line */

#endif
