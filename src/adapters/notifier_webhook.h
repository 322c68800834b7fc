/* A notifier that logs every event (as notifier_log does) and posts it, signed, to the webhook of its
 * audience: setting webhook_operator or webhook_customer; an empty URL means the log only.
 *
 * A post is signed after Standard Webhooks: headers webhook-id (the event's id, the same at every try),
 * webhook-timestamp (seconds, of this try) and webhook-signature: "v1,<base64>" of HMAC-SHA256 over
 * "<id>.<timestamp>.<body>". Its key is the secret webhook/operator or webhook/customer, "whsec_" and the
 * base64 of 24 to 64 bytes; while webhook/operator_next or webhook/customer_next exists too, there are two
 * signatures with a blank between. source standardwebhooks.com, specification 1.0.0 */
#ifndef ADAPTERS_NOTIFIER_WEBHOOK_H
#define ADAPTERS_NOTIFIER_WEBHOOK_H

#include "adapters/notifier_log.h"

/* Open.
 *   in     world: its settings, secrets and clock; they must outlive the notifier
 *   out    ret_notifier->customers: there is a webhook for them
 *   rule   a URL is https, without user or fragment; http, and addresses that are not public, only with
 *          webhook_allow_private
 *   fails  RC_INVALID a URL or a secret breaks its rule, or the secret is missing: call->why · RC_BROKEN */
MUST enum rc notifier_webhook_open(struct call *, struct world *, struct notifier **ret_notifier);
void notifier_webhook_close(struct notifier *); /* NULL does nothing */

#endif
