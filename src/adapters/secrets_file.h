/* Secrets of a machine: looked up by name ("sap/password") in three places, first found wins:
 *   1. $CREDENTIALS_DIRECTORY/sap.password              systemd's LoadCredential=; the file's text, one last newline off
 *   2. HOURBELL_SECRET_SAP__PASSWORD                    the environment
 *   3. a line sap/password=... of the secrets file      read at the start; nobody but its owner may read it
 * An empty value counts as none. Values never reach a log. */
#ifndef ADAPTERS_SECRETS_FILE_H
#define ADAPTERS_SECRETS_FILE_H

#include "core/ports.h"

#define SECRET_NAME_MAX_BYTES 64
#define SECRET_MAX_BYTES 4096
#define SECRETS_FILE_MAX_BYTES 65536

/* Open.
 *   in     path of the secrets file; "" = there is none
 *   fails  RC_INVALID the file is readable by others, or a line breaks a rule (call->why: file and line, never a value)
 *          · RC_NOT_FOUND there is no such file · RC_BROKEN it cannot be read */
MUST enum rc secrets_file_open(struct call *, struct str path, struct secrets **ret_secrets);
void secrets_file_close(struct secrets *); /* wipes the values; NULL does nothing */

#endif
