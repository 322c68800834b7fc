/* The clock of the machine: wall time, time since boot, and the kernel's random bytes. */
#ifndef ADAPTERS_CLOCK_SYSTEM_H
#define ADAPTERS_CLOCK_SYSTEM_H

#include "core/ports.h"

struct clock_system {
    struct clock clock; /* the port; first */
};

/* Nothing is held, so nothing is closed. */
void clock_system_open(struct clock_system *);

#endif
