/* The settings as a sub-command gets them: from its options and from the environment of this process. */
#ifndef HOME_CONFIG_ARGS_H
#define HOME_CONFIG_ARGS_H

#include "home/command.h"
#include "home/config.h"

/* Load the settings; faults and warnings are told on standard error.
 *   in     args: --file, --set; an option that has a setting's name (--data-dir) sets it
 *   out    ret_config; its texts live in args->arena
 *   fails  RC_INVALID told: return EXIT_INVALID */
MUST enum rc config_args_load(const struct args *, struct config *ret_config);

#endif
