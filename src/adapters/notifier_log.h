/* A notifier that tells the log: one line per event, with its whole body as far as a line holds it. */
#ifndef ADAPTERS_NOTIFIER_LOG_H
#define ADAPTERS_NOTIFIER_LOG_H

#include "core/ports.h"

struct notifier_log {
    struct notifier
        notifier; /* the port; first. customers: false, for nobody waits for their lines */
};

/* Holds nothing, so nothing is closed. */
void notifier_log_open(struct notifier_log *);
/* The line of one event: a warning if operators are told of a failure. */
void notifier_log_line(const struct event *);

#endif
