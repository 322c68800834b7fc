/* Settings: every default is in its range, and spans are written in one way. */
#include "core/settings.h"
#include "test.h"

TEST(settings_defaults_are_in_range)
{
    struct settings settings;
    settings_default(&settings);
#define SETTING_MS(name, fallback, min, max, help)                                                 \
    CHECK_INT(settings.name##_ms, fallback);                                                       \
    CHECK(settings.name##_ms >= (min) && settings.name##_ms <= (max));
#define SETTING_INT(name, fallback, min, max, help)                                                \
    CHECK_INT(settings.name, fallback);                                                            \
    CHECK(settings.name >= (min) && settings.name <= (max));
#define SETTING_BYTES(name, fallback, min, max, help)                                              \
    CHECK_INT(settings.name, fallback);                                                            \
    CHECK(settings.name >= (min) && settings.name <= (max));
#define SETTING_BOOL(name, fallback, help) CHECK_INT(settings.name, fallback);
#define SETTING_TEXT(name, fallback, max_bytes, help)                                              \
    CHECK_STR(settings.name, fallback);                                                            \
    CHECK(settings.name.len <= (max_bytes));
#define SETTING_SPANS(name, fallback, help) CHECK(settings.name##_spans.count > 0);
    SETTINGS(SETTING_MS, SETTING_INT, SETTING_BYTES, SETTING_BOOL, SETTING_TEXT, SETTING_SPANS)
    CHECK_INT(settings.backoff_spans.count, 5);
    CHECK_INT(settings.backoff_spans.ms[3], 120000);
}

TEST(settings_spans_have_one_way_to_be_written)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"500ms", 500}, {"10s", 10000}, {"2min", 120000}, {"1h", 3600000},
                {"7", 7000},    {"0", 0},       {"0ms", 0}};
    static const char *const bad[] = {"",    "s",    "1 s",  "1.5s",  "-1s", "+1s",
                                      "1m",  "1S",   "1hh",  "1d",    " 1s", "99999999999999999h",
                                      "1s ", "0x1s", "1e3s", "10secs"};
    int64_t ms = -7;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        CHECK_RC(settings_span_read(str_of(good[i].text), &ms), RC_OK);
        CHECK_INT(ms, good[i].ms);
    }
    ms = -7;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(settings_span_read(str_of(bad[i]), &ms), RC_INVALID);
        CHECK_INT(ms, -7);
    }
}

TEST(settings_lists_of_spans_have_up_to_eight)
{
    struct spans spans = {.count = 99};
    CHECK_RC(settings_spans_read(STR("1s, 5s,2min"), &spans), RC_OK);
    CHECK_INT(spans.count, 3);
    CHECK_INT(spans.ms[2], 120000);
    CHECK_RC(settings_spans_read(STR("1,2,3,4,5,6,7,8"), &spans), RC_OK);
    CHECK_INT(spans.count, SPANS_MAX);
    static const char *const bad[] = {"", ",", "1,", ",1", "1,,2", "1,2,3,4,5,6,7,8,9", "1;2"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(settings_spans_read(str_of(bad[i]), &spans), RC_INVALID);
        CHECK_INT(spans.count, SPANS_MAX);
    }
}
