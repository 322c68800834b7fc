/* Moments as text, by the proleptic Gregorian calendar. Pure: no clock, no time zone, no locale; libc's
 * calendar calls read all three. */
#include "base/iso_time.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)
#define YEAR_MIN 1969 /* an offset may carry its last hours into 1970 */
#define YEAR_MAX 9999

struct civil {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
};

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days since 1970-01-01. Counts in years that begin in March, so that a leap day is a year's last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t march_year = month > 2 ? year : year - 1;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 + day_of_year -
           719468;
}

static struct civil civil_of(int64_t at_ms)
{
    int64_t days = at_ms / DAY_MS + 719468, rest_s = at_ms % DAY_MS / 1000;
    int64_t era = days / 146097, day_of_era = days % 146097; /* an era: 400 years */
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    return (struct civil){.year = (int)(year_of_era + era * 400 + (month <= 2)),
                          .month = month,
                          .day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
                          .hour = (int)(rest_s / 3600),
                          .minute = (int)(rest_s / 60 % 60),
                          .second = (int)(rest_s % 60)};
}

static int64_t clamped(int64_t at_ms)
{
    return max_i64(0, min_i64(at_ms, TIME_NEVER_MS + 999));
}

static void write_digits(char *at, int width, int64_t number)
{
    while (width-- > 0) {
        at[width] = (char)('0' + number % 10);
        number /= 10;
    }
}

void iso_time_write(int64_t at_ms, char *ret_text)
{
    static const char frame[] = "0000-00-00T00:00:00.000Z";
    struct civil civil = civil_of(clamped(at_ms));
    memcpy(ret_text, frame, sizeof frame);
    write_digits(ret_text, 4, civil.year);
    write_digits(ret_text + 5, 2, civil.month);
    write_digits(ret_text + 8, 2, civil.day);
    write_digits(ret_text + 11, 2, civil.hour);
    write_digits(ret_text + 14, 2, civil.minute);
    write_digits(ret_text + 17, 2, civil.second);
    write_digits(ret_text + 20, 3, clamped(at_ms) % 1000);
}

struct str iso_time(struct arena *arena, int64_t at_ms)
{
    char *text = arena_alloc(arena, ISO_TIME_BYTES + 1);
    iso_time_write(at_ms, text);
    return (struct str){text, ISO_TIME_BYTES};
}

/* --- reading: a cursor that takes exact pieces ---------------------------------------------------- */
struct reader {
    struct str rest;
    bool bad;
};

static int take_digits(struct reader *reader, size_t width)
{
    int number = 0;
    if (reader->bad || reader->rest.len < width) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < width; i++) {
        char digit = reader->rest.s[i];
        reader->bad = reader->bad || digit < '0' || digit > '9';
        number = number * 10 + (digit - '0');
    }
    reader->rest = str_from(reader->rest, width);
    return reader->bad ? 0 : number;
}

/* One character out of a set; 0 if it is another. */
static char take_one(struct reader *reader, const char *set)
{
    if (reader->bad || reader->rest.len == 0 || reader->rest.s[0] == '\0' ||
        !strchr(set, reader->rest.s[0])) {
        reader->bad = true;
        return '\0';
    }
    char taken = reader->rest.s[0];
    reader->rest = str_from(reader->rest, 1);
    return taken;
}

static void take(struct reader *reader, const char *exact)
{
    struct str wanted = str_of(exact);
    if (reader->bad || !str_starts(reader->rest, wanted)) {
        reader->bad = true;
    } else {
        reader->rest = str_from(reader->rest, wanted.len);
    }
}

/* Index of one of names, each of which has the same length or is followed by what tells it apart. */
static int take_name(struct reader *reader, const char *const *names, int count)
{
    for (int i = 0; i < count && !reader->bad; i++) {
        if (str_starts(reader->rest, str_of(names[i]))) {
            reader->rest = str_from(reader->rest, strlen(names[i]));
            return i;
        }
    }
    reader->bad = true;
    return 0;
}

static void take_clock(struct reader *reader, struct civil *civil)
{
    civil->hour = take_digits(reader, 2);
    take(reader, ":");
    civil->minute = take_digits(reader, 2);
    take(reader, ":");
    civil->second = take_digits(reader, 2);
}

static bool is_real(const struct civil *civil)
{
    return civil->year >= YEAR_MIN && civil->year <= YEAR_MAX && civil->month >= 1 &&
           civil->month <= 12 && civil->day >= 1 &&
           civil->day <= days_in(civil->year, civil->month) && civil->hour < 24 &&
           civil->minute < 60 && civil->second < 60;
}

static int64_t ms_of(const struct civil *civil)
{
    return days_of(civil->year, civil->month, civil->day) * DAY_MS +
           ((civil->hour * INT64_C(60) + civil->minute) * 60 + civil->second) * 1000;
}

/* ".123456" to milliseconds, cut off; nothing gives 0. */
static int take_fraction(struct reader *reader)
{
    int fraction_ms = 0, weight = 100;
    if (reader->bad || reader->rest.len == 0 || reader->rest.s[0] != '.') {
        return 0;
    }
    take(reader, ".");
    do {
        fraction_ms += weight * take_digits(reader, 1);
        weight /= 10;
    } while (!reader->bad && reader->rest.len && reader->rest.s[0] >= '0' &&
             reader->rest.s[0] <= '9');
    return fraction_ms;
}

enum rc iso_time_read(struct str text, int64_t *ret_at_ms)
{
    struct reader reader = {.rest = text};
    struct civil civil = {0};
    civil.year = take_digits(&reader, 4);
    take(&reader, "-");
    civil.month = take_digits(&reader, 2);
    take(&reader, "-");
    civil.day = take_digits(&reader, 2);
    (void)take_one(&reader, "Tt");
    take_clock(&reader, &civil);
    int fraction_ms = take_fraction(&reader);
    char zone = take_one(&reader, "Zz+-");
    int zone_hour = 0, zone_minute = 0;
    if (zone == '+' || zone == '-') {
        zone_hour = take_digits(&reader, 2);
        take(&reader, ":");
        zone_minute = take_digits(&reader, 2);
    }
    bool leap_second = civil.second == 60; /* counts as the first moment of the next minute */
    civil.second -= leap_second ? 1 : 0;
    if (reader.bad || reader.rest.len || zone_hour > 23 || zone_minute > 59 || !is_real(&civil)) {
        return RC_INVALID;
    }
    int64_t offset_ms = (zone_hour * INT64_C(60) + zone_minute) * 60000;
    int64_t at_ms = ms_of(&civil) + (zone == '-' ? offset_ms : -offset_ms);
    if (leap_second) {
        if (at_ms % DAY_MS != DAY_MS - 1000) {
            return RC_INVALID; /* leap seconds come at the end of a day, UTC */
        }
        fraction_ms = 1000;
    }
    at_ms += fraction_ms;
    if (at_ms < 0 || at_ms > TIME_NEVER_MS + 999) {
        return RC_INVALID;
    }
    *ret_at_ms = at_ms;
    return RC_OK;
}

/* --- HTTP dates --------------------------------------------------------------------------------------- */
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                             "Thursday", "Friday", "Saturday"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct str http_date(struct arena *arena, int64_t at_ms)
{
    int64_t moment_ms = clamped(at_ms);
    struct civil civil = civil_of(moment_ms);
    const char *day_name = day_names[(moment_ms / DAY_MS + 4) % 7]; /* 1970 began on a Thursday */
    return arena_printf(arena, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_name, civil.day,
                        month_names[civil.month - 1], civil.year, civil.hour, civil.minute,
                        civil.second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_fixdate(struct str text, struct civil *civil)
{
    struct reader reader = {.rest = text};
    (void)take_name(&reader, day_names, 7);
    take(&reader, ", ");
    civil->day = take_digits(&reader, 2);
    take(&reader, " ");
    civil->month = take_name(&reader, month_names, 12) + 1;
    take(&reader, " ");
    civil->year = take_digits(&reader, 4);
    take(&reader, " ");
    take_clock(&reader, civil);
    take(&reader, " GMT");
    return !reader.bad && reader.rest.len == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": a year from 70 on is of the last century; nobody writes these anew */
static bool read_rfc850(struct str text, struct civil *civil)
{
    struct reader reader = {.rest = text};
    (void)take_name(&reader, long_day_names, 7);
    take(&reader, ", ");
    civil->day = take_digits(&reader, 2);
    take(&reader, "-");
    civil->month = take_name(&reader, month_names, 12) + 1;
    take(&reader, "-");
    int year = take_digits(&reader, 2);
    civil->year = year >= 70 ? 1900 + year : 2000 + year;
    take(&reader, " ");
    take_clock(&reader, civil);
    take(&reader, " GMT");
    return !reader.bad && reader.rest.len == 0;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(struct str text, struct civil *civil)
{
    struct reader reader = {.rest = text};
    (void)take_name(&reader, day_names, 7);
    take(&reader, " ");
    civil->month = take_name(&reader, month_names, 12) + 1;
    take(&reader, " ");
    bool padded = reader.rest.len && reader.rest.s[0] == ' ';
    if (padded) {
        take(&reader, " ");
    }
    civil->day = take_digits(&reader, padded ? 1 : 2);
    take(&reader, " ");
    take_clock(&reader, civil);
    take(&reader, " ");
    civil->year = take_digits(&reader, 4);
    return !reader.bad && reader.rest.len == 0;
}

enum rc http_date_read(struct str text, int64_t *ret_at_ms)
{
    struct civil civil = {0};
    if (!read_fixdate(text, &civil) && !read_rfc850(text, &civil) && !read_asctime(text, &civil)) {
        return RC_INVALID;
    }
    bool leap_second = civil.second == 60; /* RFC 9110 lets it through: the next second */
    civil.second -= leap_second ? 1 : 0;
    if (!is_real(&civil)) {
        return RC_INVALID;
    }
    int64_t at_ms = ms_of(&civil) + (leap_second ? 1000 : 0);
    if (at_ms < 0 || at_ms > TIME_NEVER_MS) {
        return RC_INVALID;
    }
    *ret_at_ms = at_ms;
    return RC_OK;
}
