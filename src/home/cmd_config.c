/* `hourbell config`: the settings that a start would have, and where each came from. Starts nothing; with --check
 * what the settings name is tried too. */
#include "home/cmd.h"
#include "home/config_args.h"
#include "home/print.h"
#include "home/start.h"

#include "adapters/clock_system.h"
#include "base/json.h"

#include <stdio.h>
#include <unistd.h>

static struct str as_json(const struct args *args, const struct config *config)
{
    yyjson_mut_doc *doc = json_doc(args->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    if (config->file.len > 0) {
        json_add_str(doc, root, "file", config->file);
    } else {
        json_add_null(doc, root, "file");
    }
    yyjson_mut_val *settings = json_add_obj(doc, root, "settings");
    struct settings defaults;
    settings_default(&defaults);
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        yyjson_mut_val *one = json_add_obj(doc, settings, config_setting(id)->name);
        json_add_str(doc, one, "value", config_value(args->arena, &config->settings, id));
        json_add_str(doc, one, "default", config_value(args->arena, &defaults, id));
        json_add_str(doc, one, "range", config_range(args->arena, id));
        json_add_str(doc, one, "origin", config_origin(args->arena, config, id));
    }
    return json_write_mut(args->arena, doc);
}

/* Columns for people; tabs between for programs. */
static void print_rows(const struct args *args, const struct config *config)
{
    bool table = isatty(STDOUT_FILENO) == 1, origin = args_has(args, "origin");
    int name_width = 0, value_width = 0;
    for (enum config_id id = 0; table && id < CONFIG_COUNT; id++) {
        int name = (int)strlen(config_setting(id)->name);
        int value = (int)config_value(args->arena, &config->settings, id).len;
        name_width = name > name_width ? name : name_width;
        value_width = origin && value > value_width ? value : value_width;
    }
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        struct str value = config_value(args->arena, &config->settings, id);
        const char *gap = table ? "  " : "\t";
        int padding = value_width > (int)value.len ? value_width - (int)value.len : 0;
        printf("%-*s%s" STR_FMT, name_width, config_setting(id)->name, gap, STR_ARG(value));
        if (origin) {
            printf("%*s%s" STR_FMT, padding, "", gap,
                   STR_ARG(config_origin(args->arena, config, id)));
        }
        putchar('\n');
    }
}

static void tell_fault(void *context, const char *words)
{
    command_fail(context, EXIT_INVALID, "%s", words);
}

/* What is wrong with the settings has been told; here what they name. */
static int check_start(const struct args *args, const struct config *config)
{
    struct clock_system clock;
    struct world world = {.clock = &clock.clock, .settings = &config->settings};
    struct args told = *args;
    struct call call;
    clock_system_open(&clock);
    call_open(&call, args->arena, &world);
    return start_check(&call, &world, tell_fault, &told) ? EXIT_INVALID : EXIT_DONE;
}

int cmd_config(const struct args *args)
{
    struct config config;
    if (config_args_load(args, &config) != RC_OK) {
        return EXIT_INVALID;
    }
    if (args_has(args, "check")) {
        return check_start(args, &config);
    }
    if (args_has(args, "json")) {
        print_json(stdout, as_json(args, &config));
    } else {
        print_rows(args, &config);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return command_fail(args, EXIT_FAILED, "standard output cannot be written");
    }
    return EXIT_DONE;
}
