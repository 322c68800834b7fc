/* Sub-commands whose files are not there yet. Weak, and last in the archive, so that a file that comes is taken instead.
 * This file goes when the last of them has come. */
#include "home/cmd.h"

#define MISSING(name)                                                                              \
    __attribute__((weak)) int name(const struct args *args)                                        \
    {                                                                                              \
        return command_fail(args, EXIT_FAILED, "is not built yet");                                \
    }

MISSING(cmd_mock_sap)
