/* Settings: the defaults of the one table, and how spans are written. Where values come from, and
 * whether they are in range, is the home's business. */
#include "core/settings.h"

#include "base/text.h"

void settings_default(struct settings *ret_settings)
{
    struct settings settings = {0};
    enum rc rc = RC_OK;
#define SETTING_MS(name, fallback, min, max, help) settings.name##_ms = (fallback);
#define SETTING_INT(name, fallback, min, max, help) settings.name = (fallback);
#define SETTING_BYTES(name, fallback, min, max, help) settings.name = (fallback);
#define SETTING_BOOL(name, fallback, help) settings.name = (fallback);
#define SETTING_TEXT(name, fallback, max_bytes, help) settings.name = STR(fallback);
#define SETTING_SPANS(name, fallback, help)                                                        \
    rc = settings_spans_read(STR(fallback), &settings.name##_spans);                               \
    assert(rc == RC_OK);
    SETTINGS(SETTING_MS, SETTING_INT, SETTING_BYTES, SETTING_BOOL, SETTING_TEXT, SETTING_SPANS)
#undef SETTING_MS
#undef SETTING_INT
#undef SETTING_BYTES
#undef SETTING_BOOL
#undef SETTING_TEXT
#undef SETTING_SPANS
    (void)rc;
    *ret_settings = settings;
}

enum rc settings_span_read(struct str text, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}};
    size_t digits = 0;
    int64_t number = 0;
    while (digits < text.len && text.s[digits] >= '0' && text.s[digits] <= '9') {
        digits++;
    }
    TRY(text_to_i64(str_head(text, digits), &number));
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (str_is(str_from(text, digits), units[i].name) && number <= INT64_MAX / units[i].ms) {
            *ret_ms = number * units[i].ms;
            return RC_OK;
        }
    }
    return RC_INVALID;
}

enum rc settings_spans_read(struct str text, struct spans *ret_spans)
{
    struct spans spans = {0};
    size_t commas = 0;
    for (size_t i = 0; i < text.len; i++) {
        commas += text.s[i] == ',';
    }
    if (commas >= SPANS_MAX) {
        return RC_INVALID;
    }
    for (size_t i = 0; i <= commas; i++) {
        TRY(settings_span_read(text_trim(text_cut(&text, ',')), &spans.ms[spans.count++]));
    }
    *ret_spans = spans;
    return RC_OK;
}
