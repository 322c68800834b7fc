/* What a start needs besides its settings: the files and folders that they name. Whatever is wrong with one of them is told
 * with the setting's name in front. */
#ifndef HOME_START_H
#define HOME_START_H

#include "core/ports.h"

/* The secrets of `secrets_file`; secrets_file_close closes. fails: as secrets_file_open. */
MUST enum rc start_secrets(struct call *, const struct settings *, struct secrets **ret_secrets);
/* The downstream of `downstream_file`; downstream_file_close closes. fails: as downstream_file_open. */
MUST enum rc start_downstream(struct call *, const struct settings *, struct secrets *, int slots,
                              struct downstream **ret_downstream);
/* Make `data_dir` if it is missing; refuse one that a restore left half done. fails: RC_INVALID. */
MUST enum rc start_data_dir(struct call *, const struct settings *);

/* Would a start fail on any of them, or on the webhooks? Leaves nothing behind.
 *   in     clock and settings of the world; tell: called with each fault, in words
 *   out    how many faults there are */
int start_check(struct call *, const struct world *, void (*tell)(void *context, const char *words),
                void *context);

#endif
