/* Two stores in one: each operation goes to both, and what they answer must be equal, field by field (I6: same inputs
 * and clock, same trace). The first one's answer goes on to the core. Where the port leaves freedom, the order of work at
 * one moment, only that is let go. */
#ifndef STORE_MIRROR_H
#define STORE_MIRROR_H

#include "core/ports.h"

struct store_mirror {
    struct store store; /* the port; first */
    struct store *first, *second;
    int64_t compared; /* operations */
    int reads_every;  /* every write goes to both; every n-th read */
    int64_t reads;
};
void store_mirror_open(struct store_mirror *, struct store *first, struct store *second,
                       int reads_every);

#endif
