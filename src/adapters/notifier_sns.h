/* A notifier that publishes to two SNS topics, the operators' and the customers'. The message is the event's JSON,
 * the same bytes as the server home's webhook; message attributes `type` and, of customers' events, `owner` are there
 * for filter policies. At least once: a doubled message has the same event id in its body. */
#ifndef ADAPTERS_NOTIFIER_SNS_H
#define ADAPTERS_NOTIFIER_SNS_H

#include "adapters/aws_call.h"

struct notifier_sns_options {
    struct str operators_topic, customers_topic; /* ARNs; "" = the log only */
};

/* Open; touches no network. out: ret_notifier->customers: there is a topic for them. The aws must outlive the notifier. */
void notifier_sns_open(struct aws *, const struct notifier_sns_options *,
                       struct notifier **ret_notifier);
void notifier_sns_close(struct notifier *); /* NULL does nothing */

#endif
