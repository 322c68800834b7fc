/* From the options of a sub-command to settings. An option that bears a setting's name (a hyphen for an underscore) is
 * that setting, so a sub-command offers --data-dir by a row in its table and nothing else. */
#include "home/config_args.h"

#include <stdio.h>
#include <unistd.h>

/* The setting that an option stands for. fails: RC_NOT_FOUND. */
static enum rc find_setting(const struct args *args, const struct option *option,
                            enum config_id *ret_id)
{
    struct str name = arena_copy(args->arena, str_of(option->name));
    char *letters = arena_alloc(args->arena, name.len + 1);
    for (size_t i = 0; i < name.len; i++) {
        letters[i] = (char)(name.s[i] == '-' ? '_' : name.s[i]);
    }
    return config_find((struct str){letters, name.len}, ret_id);
}

static size_t collect_flags(const struct args *args, const char **ret_flags)
{
    size_t count = 0;
    for (int i = 0; i < args->given_count; i++) {
        const char *value = args->given[i].value;
        enum config_id id = CONFIG_COUNT;
        if (strcmp(args->given[i].option->name, "set") == 0) {
            ret_flags[count++] = value;
        } else if (find_setting(args, args->given[i].option, &id) == RC_OK) {
            ret_flags[count++] =
                arena_printf(args->arena, "%s=%s", config_setting(id)->name, value ? value : "yes")
                    .s;
        }
    }
    return count;
}

static void tell(const struct args *args, bool fault, const struct str *remarks, int count)
{
    for (int i = 0; i < count && i < CONFIG_REMARKS_MAX; i++) {
        if (fault) {
            command_fail(args, EXIT_INVALID, STR_FMT, STR_ARG(remarks[i]));
        } else {
            command_note(args, "warning: " STR_FMT, STR_ARG(remarks[i]));
        }
    }
    if (count > CONFIG_REMARKS_MAX) {
        command_note(args, "... and %d more", count - CONFIG_REMARKS_MAX);
    }
}

enum rc config_args_load(const struct args *args, struct config *ret_config)
{
    const char *flags[OPTION_GIVEN_MAX];
    struct config_report report;
    const struct config_input input = {
        .file = args_text(args, "file", NULL),
        .flags = flags,
        .flag_count = collect_flags(args, flags),
        .environment = environ,
    };
    enum rc rc = config_load(args->arena, &input, ret_config, &report);
    tell(args, true, report.faults, report.fault_count);
    tell(args, false, report.warnings, report.warning_count);
    return rc;
}
