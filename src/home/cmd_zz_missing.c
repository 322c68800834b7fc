/* Sub-commands whose files are not there yet. Weak, and last in the archive, so that a file that comes is taken instead.
 * This file goes when the last of them has come. */
#include "home/cmd.h"

#define MISSING(name)                                                                              \
    __attribute__((weak)) int name(const struct args *args)                                        \
    {                                                                                              \
        return command_fail(args, EXIT_FAILED, "is not built yet");                                \
    }

MISSING(cmd_serve)
MISSING(cmd_mock_sap)
MISSING(cmd_config)
MISSING(cmd_create)
MISSING(cmd_update)
MISSING(cmd_show)
MISSING(cmd_log)
MISSING(cmd_pending)
MISSING(cmd_act)
MISSING(cmd_work)
MISSING(cmd_redrive)
MISSING(cmd_downstream)
MISSING(cmd_keys_list)
MISSING(cmd_keys_create)
MISSING(cmd_keys_rotate)
MISSING(cmd_keys_delete)
MISSING(cmd_import)
MISSING(cmd_export)
MISSING(cmd_backup)
MISSING(cmd_restore)
MISSING(cmd_check)
