/* Secrets of the SSM Parameter Store: "sap/password" is the SecureString "<prefix>/sap/password". What was read, and
 * what was found missing, is kept for SECRETS_KEPT_MS. Values never reach a log. */
#ifndef ADAPTERS_SECRETS_SSM_H
#define ADAPTERS_SECRETS_SSM_H

#include "adapters/aws_call.h"

#define SECRETS_KEPT_MS 300000

/* Open; touches no network. in: prefix "/hourbell/prod". The aws must outlive the secrets. */
void secrets_ssm_open(struct aws *, struct str prefix, struct secrets **ret_secrets);
void secrets_ssm_close(struct secrets *); /* wipes the values; NULL does nothing */
/* Forget what is kept: the next look reads anew (after the downstream refused the credentials). */
void secrets_ssm_refresh(struct secrets *);

#endif
