/* The work of a device: its states, which may follow which, and what must hold in each. */
#ifndef CORE_WORK_H
#define CORE_WORK_H

#include "core/log.h"

const char *work_name(enum work);
enum work work_of(struct str name); /* WORK_COUNT if unknown */

/* Abort if the after-image breaks a rule of its state, or may not follow the state before. Our own mistakes only. */
void work_check(enum work before, const struct device *after);

/* Say what follows once nothing is sealed any more: pending left -> OPEN, due of its oldest; else NONE
 * (OPEN while resend_all waits for its delivery). Sets from_seq, counts, due, work and at. */
void work_reopen(const struct settings *, struct device *, const struct pending *left,
                 int64_t now_ms);
void work_none(struct device *);
/* OPEN at the earliest moment that the device's own times allow. */
void work_open(const struct settings *, struct device *, int64_t now_ms);

#endif
