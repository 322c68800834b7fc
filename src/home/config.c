/* The settings as texts: one table from core/settings.h; and the source that both homes have, the environment.
 * Rule: a value is taken only if it is known, in range and no secret; nothing is guessed or cut.
 * Leaves to others: the other sources and their order (config_load.c), rules between settings (config_rules.c). */
#include "home/config.h"

#include "base/nearest.h"
#include "base/text.h"
#include "home/config_rules.h"

#include <stdarg.h>
#include <stdio.h>

#define ENVIRONMENT_PREFIX STR("HOURBELL_")

/* clang-format off */
#define ROW(setting, setting_kind, member) \
    .name = #setting, .kind = setting_kind, .offset = offsetof(struct settings, member)
#define ROW_MS(setting, value, low, high, text) \
    {ROW(setting, KIND_MS, setting##_ms), .fallback = value, .min = low, .max = high, .help = text},
#define ROW_INT(setting, value, low, high, text) \
    {ROW(setting, KIND_INT, setting), .fallback = value, .min = low, .max = high, .help = text},
#define ROW_BYTES(setting, value, low, high, text) \
    {ROW(setting, KIND_BYTES, setting), .fallback = value, .min = low, .max = high, .help = text},
#define ROW_BOOL(setting, value, text) \
    {ROW(setting, KIND_BOOL, setting), .fallback = value, .max = 1, .help = text},
#define ROW_TEXT(setting, value, high, text) \
    {ROW(setting, KIND_TEXT, setting), .fallback_text = value, .max = high, .help = text},
#define ROW_SPANS(setting, value, text) \
    {ROW(setting, KIND_SPANS, setting##_spans), .fallback_text = value, .min = 100, .max = 86400000, .help = text},
static const struct config_setting settings_table[CONFIG_COUNT] = {
    SETTINGS(ROW_MS, ROW_INT, ROW_BYTES, ROW_BOOL, ROW_TEXT, ROW_SPANS)
};

#define NAME_ONLY(setting, ...) #setting,
static const char *const setting_names[CONFIG_COUNT] = {
    SETTINGS(NAME_ONLY, NAME_ONLY, NAME_ONLY, NAME_ONLY, NAME_ONLY, NAME_ONLY)
};
/* clang-format on */

/* Variables of the command line, of mock-sap, of the secrets and of the AWS home (lambda.h): no settings, but ours. */
static const char *const foreign_variables[] = {
    "HOURBELL_URL",       "HOURBELL_KEY",           "HOURBELL_KEY_FILE",   "HOURBELL_CONF",
    "HOURBELL_MOCK_USER", "HOURBELL_MOCK_PASSWORD", "HOURBELL_MOCK_BEARER"};

/* ---- remarks -------------------------------------------------------------------------------- */

static void remark(struct config_report *report, struct str *list, int *count, const char *format,
                   va_list arguments)
{
    char line[1024];
    vsnprintf(line, sizeof line, format, arguments);
    if (*count < CONFIG_REMARKS_MAX) {
        list[*count] = arena_copy(report->arena, str_of(line));
    }
    (*count)++;
}

void config_fault(struct config_report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    remark(report, report->faults, &report->fault_count, format, arguments);
    va_end(arguments);
}

void config_warn(struct config_report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    remark(report, report->warnings, &report->warning_count, format, arguments);
    va_end(arguments);
}

/* ---- values --------------------------------------------------------------------------------- */

const struct config_setting *config_setting(enum config_id id)
{
    assert(id < CONFIG_COUNT);
    return &settings_table[id];
}

enum rc config_find(struct str name, enum config_id *ret_id)
{
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        if (str_is(name, setting_names[id])) {
            *ret_id = id;
            return RC_OK;
        }
    }
    return RC_NOT_FOUND;
}

static struct str span_text(struct arena *arena, int64_t span_ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    if (span_ms == 0) {
        return STR("0s");
    }
    size_t i = 0;
    while (span_ms % units[i].ms != 0) {
        i++;
    }
    return arena_printf(arena, "%lld%s", (long long)(span_ms / units[i].ms), units[i].unit);
}

static struct str bytes_text(struct arena *arena, int64_t bytes)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t i = 0;
    while (i + 1 < COUNT_OF(units) && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        i++;
    }
    return arena_printf(arena, "%lld%s", (long long)bytes, units[i]);
}

static enum rc bytes_read(struct str text, int64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        int64_t bytes;
    } units[] = {{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}};
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        struct str unit = str_of(units[i].unit);
        if (text.len > unit.len && str_equal(str_from(text, text.len - unit.len), unit)) {
            int64_t count = 0;
            TRY(text_to_i64(str_head(text, text.len - unit.len), &count));
            if (count > INT64_MAX / units[i].bytes) {
                return RC_INVALID;
            }
            *ret_bytes = count * units[i].bytes;
            return RC_OK;
        }
    }
    return RC_INVALID;
}

static enum rc number_read(const struct config_setting *setting, struct str text,
                           int64_t *ret_number)
{
    int64_t number = 0;
    switch (setting->kind) {
    case KIND_MS:
        TRY(settings_span_read(text, &number));
        break;
    case KIND_BYTES:
        TRY(bytes_read(text, &number));
        break;
    case KIND_INT:
    case KIND_BOOL:
    case KIND_TEXT:
    case KIND_SPANS:
        TRY(text_to_i64(text, &number));
        break;
    }
    if (number < setting->min || number > setting->max) {
        return RC_INVALID;
    }
    *ret_number = number;
    return RC_OK;
}

static enum rc bool_read(struct str text, bool *ret_bool)
{
    if (!str_is(text, "yes") && !str_is(text, "no")) {
        return RC_INVALID;
    }
    *ret_bool = str_is(text, "yes");
    return RC_OK;
}

static enum rc spans_read(const struct config_setting *setting, struct str text,
                          struct spans *ret_spans)
{
    struct spans spans = {.count = 0};
    TRY(settings_spans_read(text, &spans));
    for (int i = 0; i < spans.count; i++) {
        if (spans.ms[i] < setting->min || spans.ms[i] > setting->max) {
            return RC_INVALID;
        }
    }
    *ret_spans = spans;
    return RC_OK;
}

/* What is printed, logged and handed to the kernel as a path: one line of UTF-8. */
static bool is_one_line(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.s[i] < ' ' || text.s[i] == 0x7f) {
            return false;
        }
    }
    return text_is_utf8(text);
}

static enum rc text_read(struct arena *arena, const struct config_setting *setting, struct str text,
                         struct str *ret_text)
{
    if (text.len > (size_t)setting->max || !is_one_line(text)) {
        return RC_INVALID;
    }
    *ret_text = arena_copy(arena, text);
    return RC_OK;
}

enum rc config_set(struct arena *arena, enum config_id id, struct str value,
                   struct settings *settings, struct str *ret_why)
{
    const struct config_setting *setting = config_setting(id);
    void *at = (char *)settings + setting->offset;
    enum rc rc = RC_INVALID;
    switch (setting->kind) {
    case KIND_MS:
    case KIND_INT:
    case KIND_BYTES:
        rc = number_read(setting, value, at);
        break;
    case KIND_BOOL:
        rc = bool_read(value, at);
        break;
    case KIND_TEXT:
        rc = text_read(arena, setting, value, at);
        break;
    case KIND_SPANS:
        rc = spans_read(setting, value, at);
        break;
    }
    if (rc != RC_OK) {
        *ret_why = arena_printf(arena, "must be " STR_FMT, STR_ARG(config_range(arena, id)));
    }
    return rc;
}

struct str config_value(struct arena *arena, const struct settings *settings, enum config_id id)
{
    const struct config_setting *setting = config_setting(id);
    const void *at = (const char *)settings + setting->offset;
    switch (setting->kind) {
    case KIND_MS:
        return span_text(arena, *(const int64_t *)at);
    case KIND_INT:
        return arena_printf(arena, "%lld", (long long)*(const int64_t *)at);
    case KIND_BYTES:
        return bytes_text(arena, *(const int64_t *)at);
    case KIND_BOOL:
        return *(const bool *)at ? STR("yes") : STR("no");
    case KIND_TEXT:
        return *(const struct str *)at;
    case KIND_SPANS:
        break;
    }
    const struct spans *spans = at;
    struct text text;
    text_open(&text, arena, 1024);
    for (int i = 0; i < spans->count; i++) {
        text_printf(&text, "%s" STR_FMT, i ? "," : "", STR_ARG(span_text(arena, spans->ms[i])));
    }
    return text_str(&text);
}

struct str config_range(struct arena *arena, enum config_id id)
{
    const struct config_setting *setting = config_setting(id);
    switch (setting->kind) {
    case KIND_MS:
        return arena_printf(arena, "a span of " STR_FMT " to " STR_FMT,
                            STR_ARG(span_text(arena, setting->min)),
                            STR_ARG(span_text(arena, setting->max)));
    case KIND_INT:
        return arena_printf(arena, "a whole number, %lld to %lld", (long long)setting->min,
                            (long long)setting->max);
    case KIND_BYTES:
        return arena_printf(arena, "a size of " STR_FMT " to " STR_FMT,
                            STR_ARG(bytes_text(arena, setting->min)),
                            STR_ARG(bytes_text(arena, setting->max)));
    case KIND_BOOL:
        return STR("yes or no");
    case KIND_TEXT:
        return arena_printf(arena, "one line of UTF-8, at most %lld bytes",
                            (long long)setting->max);
    case KIND_SPANS:
        break;
    }
    return arena_printf(arena, "1 to %d spans of " STR_FMT " to " STR_FMT ", comma between",
                        SPANS_MAX, STR_ARG(span_text(arena, setting->min)),
                        STR_ARG(span_text(arena, setting->max)));
}

/* ---- sources -------------------------------------------------------------------------------- */

struct str config_origin(struct arena *arena, const struct config *config, enum config_id id)
{
    assert(id < CONFIG_COUNT);
    switch (config->from[id].origin) {
    case ORIGIN_DEFAULT:
        return STR("default");
    case ORIGIN_FILE:
        return arena_printf(arena, STR_FMT ":%d", STR_ARG(config->file), config->from[id].line);
    case ORIGIN_ENVIRONMENT: {
        struct str name = arena_printf(arena, "environment HOURBELL_%s", setting_names[id]);
        char *upper = arena_alloc(arena, name.len + 1);
        for (size_t i = 0; i < name.len; i++) {
            bool small = i > STR("environment ").len && name.s[i] >= 'a' && name.s[i] <= 'z';
            upper[i] = (char)(small ? name.s[i] - 'a' + 'A' : name.s[i]);
        }
        return (struct str){upper, name.len};
    }
    case ORIGIN_FLAG:
        break;
    }
    return STR("flag");
}

static void fault_unknown(struct config_report *report, struct str where, struct str name)
{
    int near = nearest(name, setting_names, CONFIG_COUNT);
    if (near >= 0) {
        config_fault(report, STR_FMT ": there is no setting %.64s; the nearest is %s",
                     STR_ARG(where), arena_copy(report->arena, name).s, setting_names[near]);
    } else {
        config_fault(report, STR_FMT ": there is no setting %.64s", STR_ARG(where),
                     arena_copy(report->arena, name).s);
    }
}

void config_take(struct config *config, struct config_report *report, enum config_origin origin,
                 int line, struct str where, struct str name, struct str value)
{
    enum config_id id = CONFIG_COUNT;
    struct str why = STR_NONE;
    if (config_find(name, &id) != RC_OK) {
        if (config_rules_secret_name(name)) {
            config_fault(report,
                         STR_FMT ": %.64s looks like a secret; those come from secrets_file, from "
                                 "HOURBELL_SECRET_... or from $CREDENTIALS_DIRECTORY",
                         STR_ARG(where), arena_copy(report->arena, name).s);
        } else {
            fault_unknown(report, where, name);
        }
        return;
    }
    /* neither the value nor a part of it is shown: it may be a secret that slipped in here */
    if (config_rules_secret_value(value)) {
        config_fault(report,
                     STR_FMT ": the value of %s holds a secret; settings are no place for it",
                     STR_ARG(where), setting_names[id]);
        return;
    }
    if (config_set(report->arena, id, value, &config->settings, &why) != RC_OK) {
        config_fault(report, STR_FMT ": %s = %.80s: " STR_FMT, STR_ARG(where), setting_names[id],
                     arena_copy(report->arena, value).s, STR_ARG(why));
        return;
    }
    config->from[id].origin = origin;
    config->from[id].line = line;
}

static bool is_foreign(struct str variable)
{
    for (size_t i = 0; i < COUNT_OF(foreign_variables); i++) {
        if (str_is(variable, foreign_variables[i])) {
            return true;
        }
    }
    return str_starts(variable, STR("HOURBELL_SECRET_")) ||
           str_starts(variable, STR("HOURBELL_AWS_"));
}

void config_environment(char *const *environment, struct config *config,
                        struct config_report *report)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        struct str value = str_of(environment[i]);
        struct str variable = text_cut(&value, '=');
        if (!str_starts(variable, ENVIRONMENT_PREFIX) || is_foreign(variable)) {
            continue;
        }
        struct str name = text_lower(report->arena, str_from(variable, ENVIRONMENT_PREFIX.len));
        struct str where =
            arena_printf(report->arena, "environment %.64s", arena_copy(report->arena, variable).s);
        config_take(config, report, ORIGIN_ENVIRONMENT, 0, where, name, value);
    }
}
