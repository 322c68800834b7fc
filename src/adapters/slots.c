/* A mutex, a condition, an array of flags. The home bounds how many jobs it starts, so nobody waits long. */
#include "adapters/slots.h"

#include <stdlib.h>

void slots_open(struct slots *slots, int count)
{
    assert(count > 0);
    *slots = (struct slots){.taken = calloc((size_t)count, sizeof(bool)), .count = count};
    if (!slots->taken) {
        abort();
    }
    pthread_mutex_init(&slots->mutex, NULL);
    pthread_cond_init(&slots->freed, NULL);
}

void slots_close(struct slots *slots)
{
    free(slots->taken);
    pthread_mutex_destroy(&slots->mutex);
    pthread_cond_destroy(&slots->freed);
}

int slots_take(struct slots *slots)
{
    int number = 0;
    pthread_mutex_lock(&slots->mutex);
    while (slots->taken[number]) {
        if (++number == slots->count) {
            pthread_cond_wait(&slots->freed, &slots->mutex);
            number = 0;
        }
    }
    slots->taken[number] = true;
    pthread_mutex_unlock(&slots->mutex);
    return number;
}

void slots_give(struct slots *slots, int number)
{
    pthread_mutex_lock(&slots->mutex);
    slots->taken[number] = false;
    pthread_cond_signal(&slots->freed);
    pthread_mutex_unlock(&slots->mutex);
}
