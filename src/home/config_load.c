/* The sources of the server home's settings and the command line's: file, environment, flags; every fault is named at once. */
#include "base/text.h"
#include "home/config.h"
#include "home/config_file.h"
#include "home/config_rules.h"

static const char *environment_get(const struct config_input *input, struct str name)
{
    for (size_t i = 0; input->environment && input->environment[i]; i++) {
        struct str value = str_of(input->environment[i]);
        if (str_equal(text_cut(&value, '='), name)) {
            return value.s;
        }
    }
    return NULL;
}

static void flags_read(const struct config_input *input, struct config *config,
                       struct config_report *report)
{
    for (size_t i = 0; i < input->flag_count; i++) {
        struct str value = str_of(input->flags[i]);
        if (!memchr(value.s, '=', value.len)) {
            config_fault(report, "flag %.64s: write NAME=VALUE", value.s);
            continue;
        }
        struct str name = text_trim(text_cut(&value, '='));
        config_take(config, report, ORIGIN_FLAG, 0, STR("flag"), name, text_trim(value));
    }
}

enum rc config_load(struct arena *arena, const struct config_input *input,
                    struct config *ret_config, struct config_report *ret_report)
{
    struct config config = {.file = STR_NONE};
    *ret_report = (struct config_report){.arena = arena};
    settings_default(&config.settings);

    const char *file = input->file ? input->file : environment_get(input, STR("HOURBELL_CONF"));
    if (!file) {
        config_file_read(CONFIG_DEFAULT_FILE, false, &config, ret_report);
    } else if (file[0]) {
        config_file_read(file, true, &config, ret_report);
    }
    config_environment(input->environment, &config, ret_report);
    flags_read(input, &config, ret_report);
    /* rules between settings only make sense of settings that are right by themselves */
    if (ret_report->fault_count == 0) {
        config_rules_check(&config, ret_report);
    }
    if (ret_report->fault_count > 0) {
        return RC_INVALID;
    }
    *ret_config = config;
    return RC_OK;
}
