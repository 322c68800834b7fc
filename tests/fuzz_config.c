/* Does any settings file break the loader? What it accepts must come back equal when it is written out and read again,
 * and a file is accepted or it has a fault, never both. */
#include "base/text.h"
#include "home/config_file.h"
#include "home/config_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config parse(struct str text, struct config_report *report)
{
    struct config config = {.file = STR("fuzz.conf")};
    settings_default(&config.settings);
    config_file_parse(config.file, text, &config, report);
    if (report->fault_count == 0) {
        config_rules_check(&config, report);
    }
    return config;
}

static struct str write_out(struct arena *arena, const struct config *config)
{
    struct text text;
    text_open(&text, arena, CONFIG_FILE_MAX_BYTES);
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        if (config->from[id].origin == ORIGIN_FILE) {
            text_printf(&text, "%s = ", config_setting(id)->name);
            text_add(&text, config_value(arena, &config->settings, id));
            text_add_char(&text, '\n');
        }
    }
    return text_str(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > CONFIG_FILE_MAX_BYTES) {
        return 0;
    }
    struct arena arena;
    arena_open(&arena, 0);
    struct config_report report = {.arena = &arena}, report_again = {.arena = &arena};
    struct config config = parse((struct str){(const char *)data, size}, &report);
    if (report.fault_count == 0) {
        struct config again = parse(write_out(&arena, &config), &report_again);
        assert(report_again.fault_count == 0);
        for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
            assert(str_equal(config_value(&arena, &config.settings, id),
                             config_value(&arena, &again.settings, id)));
        }
    }
    arena_close(&arena);
    return 0;
}
