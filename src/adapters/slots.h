/* Numbered places for work that may run at once: a job takes one and gives it back, others wait. A slot's own things
 * (a connection, a session) belong to whoever holds its number. safe: from any thread */
#ifndef ADAPTERS_SLOTS_H
#define ADAPTERS_SLOTS_H

#include <pthread.h>

#include "base/base.h"

struct slots {
    bool *taken;
    int count;
    pthread_mutex_t mutex;
    pthread_cond_t freed;
};

void slots_open(struct slots *, int count);
void slots_close(struct slots *);
/* Waits until one is free. out: its number, the lowest free one: the connection used last is the likeliest to be warm. */
int slots_take(struct slots *);
void slots_give(struct slots *, int number);

#endif
