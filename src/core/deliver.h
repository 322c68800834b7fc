/* Delivering one device: lease (seal, durable), send (blocks, no store), settle. What an outcome leads to
 * stands in deliver.c's table and nowhere else. */
#ifndef CORE_DELIVER_H
#define CORE_DELIVER_H

#include "core/ports.h"

/* Seal what is pending and take the lease, or take the lease of an uncertain or lost flight, or of the probe.
 *   in     key: of a device or of the system's record
 *   out    ret_lease: the caller must send it after the commit is durable, and settle what came
 *   rule   durable before the first byte
 *   fails  RC_NOT_DUE nothing to do now (the record's at_ms was corrected, or it was satisfied without a call; a wake is left
 *          when a later moment is known) · RC_NOT_FOUND · RC_CONFLICT another was faster: leave it · RC_BUSY · RC_BROKEN */
MUST enum rc deliver_lease(struct world *, struct call *, struct str key, struct lease *ret_lease);

/* What the downstream is known to hold, as a lease judges it: the base's target. out: "" = nothing known: the next body is in full. */
MUST enum rc deliver_known_base(struct world *, struct call *, const struct device *,
                                struct str *ret_base);

/* Carry it out; touches no store, may block. The outcome's strings live in call->arena. */
void deliver_send(struct world *, struct call *, const struct lease *, struct outcome *ret_outcome);

/* Write down what it came to: the breaker first, then the device. Repeating it with the same lease and outcome is harmless.
 *   fails  RC_NOT_DUE the lease is no longer ours: the outcome is void (an operator or a later lease decided)
 *          · RC_BUSY again with the same outcome · RC_BROKEN */
MUST enum rc deliver_settle(struct world *, struct call *, const struct lease *,
                            const struct outcome *);

/* Lease, send, settle in a row, for homes without turns. */
MUST enum rc deliver(struct world *, struct call *, struct str key);

#endif
