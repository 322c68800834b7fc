/* Moments as text: what is written is read back, and the calendar is right at its corners. */
#include "base/iso_time.h"
#include "test.h"

static struct arena arena;

static const struct {
    int64_t at_ms;
    const char *iso, *http;
} known[] = {
    {0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
    {784111777000, "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"},
    {951782399999, "2000-02-28T23:59:59.999Z", "Mon, 28 Feb 2000 23:59:59 GMT"},
    {951782400000, "2000-02-29T00:00:00.000Z", "Tue, 29 Feb 2000 00:00:00 GMT"},
    {951868800000, "2000-03-01T00:00:00.000Z", "Wed, 01 Mar 2000 00:00:00 GMT"},
    {1795345199800, "2026-11-22T10:59:59.800Z", "Sun, 22 Nov 2026 10:59:59 GMT"},
    {4107542399000, "2100-02-28T23:59:59.000Z", "Sun, 28 Feb 2100 23:59:59 GMT"},
    {4107542400000, "2100-03-01T00:00:00.000Z", "Mon, 01 Mar 2100 00:00:00 GMT"},
    {TIME_NEVER_MS, "9999-12-31T23:59:59.000Z", "Fri, 31 Dec 9999 23:59:59 GMT"},
};

TEST(time_known_moments_are_written_and_read)
{
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        int64_t at_ms = -1;
        CHECK_STR(iso_time(&arena, known[i].at_ms), known[i].iso);
        CHECK_RC(iso_time_read(str_of(known[i].iso), &at_ms), RC_OK);
        CHECK_INT(at_ms, known[i].at_ms);
        CHECK_STR(http_date(&arena, known[i].at_ms), known[i].http);
        CHECK_RC(http_date_read(str_of(known[i].http), &at_ms), RC_OK);
        CHECK_INT(at_ms, known[i].at_ms / 1000 * 1000);
    }
    arena_close(&arena);
}

TEST(time_outside_the_years_is_clamped)
{
    char text[ISO_TIME_BYTES + 1];
    iso_time_write(-5, text);
    CHECK_STR(str_of(text), "1970-01-01T00:00:00.000Z");
    iso_time_write(INT64_MAX, text);
    CHECK_STR(str_of(text), "9999-12-31T23:59:59.999Z");
    iso_time_write(INT64_MIN, text);
    CHECK_STR(str_of(text), "1970-01-01T00:00:00.000Z");
}

TEST(time_every_day_of_the_calendar_goes_there_and_back)
{
    char text[ISO_TIME_BYTES + 1];
    for (int64_t day = 0; day * 86400000 < TIME_NEVER_MS; day += 13) {
        int64_t at_ms = day * 86400000 + day % 86400000, back_ms = -1;
        iso_time_write(at_ms, text);
        CHECK_RC(iso_time_read(str_of(text), &back_ms), RC_OK);
        CHECK_INT(back_ms, at_ms);
    }
}

TEST(time_read_takes_offsets_fractions_and_leap_seconds)
{
    static const struct {
        const char *text;
        int64_t at_ms;
    } cases[] = {
        {"1970-01-01t00:00:00z", 0},
        {"1970-01-01T00:00:01.5Z", 1500},
        {"1970-01-01T00:00:01.0019999Z", 1001},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:30:00-00:30", 0},
        {"1970-01-01T00:00:00-12:00", 43200000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2017-01-01T00:59:60.7+01:00", 1483228800000},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t at_ms = -1;
        CHECK_RC(iso_time_read(str_of(cases[i].text), &at_ms), RC_OK);
        CHECK_INT(at_ms, cases[i].at_ms);
    }
}

TEST(time_read_refuses_what_is_no_moment)
{
    static const char *const bad[] = {"",
                                      "2026",
                                      "2026-11-22",
                                      "2026-11-22T10:59:59",
                                      "2026-11-22 10:59:59Z",
                                      "2026-11-22T10:59:59.Z",
                                      "2026-11-22T10:59Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-04-31T00:00:00Z",
                                      "2026-01-00T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:60:00Z",
                                      "2026-01-01T00:00:61Z",
                                      "2026-01-01T12:00:60Z",
                                      "2026-01-01T00:00:00+24:00",
                                      "2026-01-01T00:00:00+01:60",
                                      "2026-01-01T00:00:00+0100",
                                      "1969-12-31T23:59:59Z",
                                      "0000-01-01T00:00:00Z",
                                      "1970-01-01T00:00:00+00:01",
                                      "9999-12-31T23:59:59-00:01",
                                      "2026-11-22T10:59:59Zx",
                                      "+026-11-22T10:59:59Z",
                                      "2026-11-22T-1:59:59Z",
                                      "9999-12-31T23:59:60Z"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t at_ms = 77;
        if (iso_time_read(str_of(bad[i]), &at_ms) != RC_INVALID || at_ms != 77) {
            FAIL("taken: %s", bad[i]);
        }
    }
    CHECK_RC(iso_time_read(STR("2026-11-22\0"
                               "10:59:59Z"),
                           &(int64_t){0}),
             RC_INVALID);
}

TEST(time_http_dates_have_three_forms)
{
    /* RFC 9110 section 5.6.7 */
    static const char *const same[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        int64_t at_ms = 0;
        CHECK_RC(http_date_read(str_of(same[i]), &at_ms), RC_OK);
        CHECK_INT(at_ms, 784111777000);
    }
    static const char *const bad[] = {"",
                                      "120",
                                      "Sun, 6 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 UTC",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "sun, 06 nov 1994 08:49:37 GMT",
                                      "Sun, 31 Feb 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 08:49:37 GMT ",
                                      "Wed, 31 Dec 1969 23:59:59 GMT"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(http_date_read(str_of(bad[i]), &(int64_t){0}), RC_INVALID);
    }
}
