/* The loader of the settings: sources and their order, the form of the file, ranges, rules between settings, and
 * hourbell.conf against the table in core/settings.h. P10 */
#include "test.h"

#include "base/nearest.h"
#include "base/text.h"
#include "home/config.h"
#include "home/config_file.h"
#include "home/config_rules.h"

#include <stdio.h>

static struct arena arena;
static struct config config;
static struct config_report report;

static enum rc load_all(const char *file, const char *const *flags, size_t flag_count,
                        char *const *environment)
{
    const struct config_input input = {
        .file = file, .flags = flags, .flag_count = flag_count, .environment = environment};
    arena_close(&arena);
    arena_open(&arena, 0);
    return config_load(&arena, &input, &config, &report);
}

static enum rc load_flag(const char *flag)
{
    const char *const flags[] = {flag};
    return load_all("", flags, 1, NULL);
}

static void write_file(const char *path, struct str text)
{
    FILE *file = fopen(path, "we");
    CHECK(file != NULL);
    CHECK_INT(fwrite(text.s, 1, text.len, file), text.len);
    CHECK_INT(fclose(file), 0);
}

static enum rc load_text(struct str text)
{
    write_file("t.conf", text);
    return load_all("t.conf", NULL, 0, NULL);
}

static enum rc load_file(const char *text)
{
    return load_text(str_of(text));
}

/* The text is refused with exactly one fault, and the fault has this part. */
static void check_refused(const char *text, const char *part)
{
    CHECK_RC(load_file(text), RC_INVALID);
    CHECK_HAS(report.faults[0], part);
    CHECK_INT(report.fault_count, 1);
}

static void check_flag_refused(const char *flag, const char *part)
{
    CHECK_RC(load_flag(flag), RC_INVALID);
    CHECK_HAS(report.faults[0], part);
    CHECK_INT(report.fault_count, 1);
}

static void finish(void)
{
    arena_close(&arena);
}

/* ---- sources -------------------------------------------------------------------------------- */

TEST(without_any_source_each_setting_has_its_default)
{
    struct settings defaults;
    settings_default(&defaults);
    CHECK_RC(load_all("", NULL, 0, NULL), RC_OK);
    CHECK_INT(report.fault_count, 0);
    CHECK_INT(report.warning_count, 0);
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        CHECK_BYTES(config_value(&arena, &config.settings, id),
                    config_value(&arena, &defaults, id));
        CHECK_STR(config_origin(&arena, &config, id), "default");
    }
    CHECK_INT(config.settings.window_ms, 3600000);
    finish();
}

TEST(flags_win_over_the_environment_over_the_file_over_the_default)
{
    char *const environment[] = {"HOME=/", "HOURBELL_MAX_ATTEMPTS=3", "HOURBELL_WINDOW=1min", NULL};
    const char *const flags[] = {"window=2min", "window=30s"};
    write_file("t.conf", STR("# mine\nwindow = 1s\nmax_attempts=2\nhistory_days = 7\n"));
    CHECK_RC(load_all("t.conf", flags, 2, environment), RC_OK);
    CHECK_INT(config.settings.window_ms, 30000);
    CHECK_INT(config.settings.max_attempts, 3);
    CHECK_INT(config.settings.history_days, 7);
    CHECK_INT(config.settings.max_pending, 1000);
    CHECK_STR(config_origin(&arena, &config, CONFIG_window), "flag");
    CHECK_STR(config_origin(&arena, &config, CONFIG_max_attempts),
              "environment HOURBELL_MAX_ATTEMPTS");
    CHECK_STR(config_origin(&arena, &config, CONFIG_history_days), "t.conf:4");
    CHECK_STR(config_origin(&arena, &config, CONFIG_max_pending), "default");
    CHECK_STR(config.file, "t.conf");
    finish();
}

TEST(the_environment_may_name_the_file)
{
    char *const environment[] = {"HOURBELL_CONF=t.conf", NULL};
    write_file("t.conf", STR("history_days = 7\n"));
    CHECK_RC(load_all(NULL, NULL, 0, environment), RC_OK);
    CHECK_INT(config.settings.history_days, 7);
    finish();
}

TEST(a_named_file_that_is_missing_stops_the_start)
{
    CHECK_RC(load_all("nowhere.conf", NULL, 0, NULL), RC_INVALID);
    CHECK_HAS(report.faults[0], "nowhere.conf: cannot be read");
    CHECK_RC(load_all("/", NULL, 0, NULL), RC_INVALID);
    finish();
}

TEST(variables_of_the_command_line_and_of_secrets_are_no_settings)
{
    char *const environment[] = {"HOURBELL_URL=http://127.0.0.1:1",
                                 "HOURBELL_KEY=abc",
                                 "HOURBELL_KEY_FILE=/x",
                                 "HOURBELL_CONF=",
                                 "HOURBELL_MOCK_USER=sap",
                                 "HOURBELL_MOCK_PASSWORD=x",
                                 "HOURBELL_SECRET_SAP__PASSWORD=x",
                                 "OTHER_WINDOW=1",
                                 NULL};
    CHECK_RC(load_all(NULL, NULL, 0, environment), RC_OK);
    finish();
}

TEST(an_unknown_variable_of_ours_stops_the_start_with_the_nearest_name)
{
    char *const environment[] = {"HOURBELL_WINDOWS=1h", NULL};
    CHECK_RC(load_all("", NULL, 0, environment), RC_INVALID);
    CHECK_STR(report.faults[0], "environment HOURBELL_WINDOWS: there is no setting windows; the "
                                "nearest is window");
    finish();
}

TEST(a_flag_needs_a_known_name_and_a_value)
{
    check_flag_refused("window", "flag window: write NAME=VALUE");
    check_flag_refused("windo=1h", "flag: there is no setting windo; the nearest is window");
    check_flag_refused("qqqqqqqq=1", "flag: there is no setting qqqqqqqq");
    CHECK_HAS_NOT(report.faults[0], "nearest");
    CHECK_RC(load_flag("window = 10s"), RC_OK);
    CHECK_INT(config.settings.window_ms, 10000);
    finish();
}

TEST(every_fault_is_named_in_one_pass)
{
    char *const environment[] = {"HOURBELL_LEASE=1", NULL};
    const char *const flags[] = {"max_pending=0"};
    write_file("t.conf", STR("window = 1d\nwindow_s = 1\n[engine]\nlease = x\nmax_attempts = 5\n"));
    CHECK_RC(load_all("t.conf", flags, 1, environment), RC_INVALID);
    CHECK_INT(report.fault_count, 5);
    CHECK_STR(report.faults[0], "t.conf:1: window = 1d: must be a span of 1s to 24h");
    CHECK_HAS(report.faults[1], "t.conf:2: there is no setting window_s");
    CHECK_HAS(report.faults[2], "t.conf:3: there are no sections");
    CHECK_HAS(report.faults[3], "t.conf:4: lease = x");
    CHECK_HAS(report.faults[4], "flag: max_pending = 0");
    finish();
}

TEST(more_faults_than_are_kept_are_counted)
{
    char text[CONFIG_REMARKS_MAX * 4 * 8 + 1];
    size_t len = 0;
    for (int i = 0; i < CONFIG_REMARKS_MAX * 4; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "zzzz=1\n");
    }
    CHECK_RC(load_text((struct str){text, len}), RC_INVALID);
    CHECK_INT(report.fault_count, CONFIG_REMARKS_MAX * 4);
    finish();
}

/* ---- the form of the file ------------------------------------------------------------------- */

TEST(blank_lines_comments_and_both_line_ends_are_fine)
{
    CHECK_RC(
        load_file("\n  \n# a\n; b\n  # c\r\nwindow=1s\r\nmax_attempts \t=\t 4 \nunix_socket ="),
        RC_OK);
    CHECK_INT(config.settings.window_ms, 1000);
    CHECK_INT(config.settings.max_attempts, 4);
    CHECK_INT(config.from[CONFIG_window].line, 6);
    CHECK_INT(config.from[CONFIG_unix_socket].line, 8);
    CHECK_STR(config.settings.unix_socket, "");
    CHECK_RC(load_file(""), RC_OK);
    finish();
}

TEST(sections_are_refused)
{
    check_refused("window = 1s\n[server]\n", "t.conf:2: there are no sections");
    check_refused("[", "t.conf:1: there are no sections");
    finish();
}

TEST(comments_behind_a_value_are_refused)
{
    check_refused("window = 1s ; short\n", "t.conf:1: a comment stands on a line of its own");
    check_refused("data_dir = /a # b\n", "a comment stands on a line of its own");
    check_refused("unix_socket = # none\n", "a comment stands on a line of its own");
    CHECK_RC(load_file("data_dir = /a;b#c\n"), RC_OK);
    CHECK_STR(config.settings.data_dir, "/a;b#c");
    finish();
}

TEST(a_name_given_twice_is_refused)
{
    check_refused("window = 1s\n\nwindow = 1s\n", "t.conf:3: window stands in line 1 already");
    finish();
}

TEST(continuation_lines_are_refused)
{
    check_refused("data_dir = /a\n  /b\n", "t.conf:2: a setting begins in the first column");
    check_refused("data_dir = /a\n\twindow = 1s\n", "t.conf:2: a setting begins in the first");
    check_refused("data_dir = /a\\\n", "t.conf:1: there are no continuation lines");
    finish();
}

TEST(a_line_without_an_equals_sign_is_refused)
{
    check_refused("window\n", "t.conf:1: write NAME = VALUE");
    check_refused("window: 1s\n", "t.conf:1: write NAME = VALUE");
    check_refused("bind: 127.0.0.1=x\n", "t.conf:1: write NAME = VALUE");
    check_refused("= 1s\n", "t.conf:1: ");
    finish();
}

TEST(quotes_are_refused)
{
    check_refused("data_dir = \"/a\"\n", "t.conf:1: a value is written without quotes");
    check_refused("data_dir = '/a b'\n", "t.conf:1: a value is written without quotes");
    finish();
}

TEST(a_byte_order_mark_is_passed_over_but_only_of_utf8)
{
    CHECK_RC(load_file("\xef\xbb\xbfwindow = 1s\n"), RC_OK);
    CHECK_INT(config.settings.window_ms, 1000);
    CHECK_RC(load_text(STR("\xff\xfew\0i\0")), RC_INVALID);
    check_refused("window = 1s\n\xef\xbb\xbfmax_attempts = 1\n", "t.conf:2: there is no setting");
    finish();
}

TEST(nul_and_other_control_bytes_are_refused_with_their_line)
{
    CHECK_RC(load_text(STR("\nwindow = 1s\0\nmax_attempts = 0\n")), RC_INVALID);
    CHECK_INT(report.fault_count, 2);
    CHECK_HAS(report.faults[0], "t.conf:2: the line holds a control byte");
    CHECK_HAS(report.faults[1], "t.conf:3: max_attempts = 0");
    check_refused("data_dir = /a\x1b[31m\n", "t.conf:1: the line holds a control byte");
    check_refused("window = 1s\rmax_attempts = 1\n", "t.conf:1: the line holds a control byte");
    check_refused("data_dir = /\xc3\n", "t.conf:1: the line is not UTF-8");
    finish();
}

TEST(a_long_line_is_refused_and_never_cut)
{
    static char line[CONFIG_LINE_MAX_BYTES + 3];
    size_t name_len = (size_t)snprintf(line, sizeof line, "webhook_operator = https://h/");
    memset(line + name_len, 'x', sizeof line - name_len);
    line[CONFIG_LINE_MAX_BYTES + 1] = '\n';
    CHECK_RC(load_text((struct str){line, CONFIG_LINE_MAX_BYTES + 2}), RC_INVALID);
    CHECK_STR(report.faults[0], "t.conf:1: the line is longer than 4096 bytes");
    CHECK_INT(report.fault_count, 1);
    /* the longest line comes whole to its own rule */
    line[CONFIG_LINE_MAX_BYTES] = '\n';
    CHECK_RC(load_text((struct str){line, CONFIG_LINE_MAX_BYTES + 1}), RC_INVALID);
    CHECK_HAS(report.faults[0], "at most 2048 bytes");
    /* and the longest value comes whole into the settings: inih's own limit would have been 200 */
    size_t prefix = STR("webhook_operator = ").len;
    CHECK_RC(load_text((struct str){line, prefix + 2048}), RC_OK);
    CHECK_INT(config.settings.webhook_operator.len, 2048);
    CHECK_RC(load_text((struct str){line, prefix + 2049}), RC_INVALID);
    finish();
}

TEST(a_file_that_is_too_large_is_refused)
{
    static char text[CONFIG_FILE_MAX_BYTES + 1];
    memset(text, '\n', sizeof text);
    CHECK_RC(load_text((struct str){text, sizeof text - 1}), RC_OK);
    CHECK_RC(load_text((struct str){text, sizeof text}), RC_INVALID);
    CHECK_HAS(report.faults[0], "larger than 262144 bytes");
    finish();
}

/* ---- secrets -------------------------------------------------------------------------------- */

/* P9 */
TEST(secrets_are_refused_in_the_file_in_flags_and_never_shown)
{
    check_refused("sap_password = hunter2\n", "t.conf:1: sap_password looks like a secret");
    CHECK_HAS_NOT(report.faults[0], "hunter2");
    check_refused("operator_key = x\n", "looks like a secret");
    check_flag_refused("webhook_secret=hunter2", "flag: webhook_secret looks like a secret");
    CHECK_HAS_NOT(report.faults[0], "hunter2");
    check_refused("webhook_operator = https://me:hunter2@example.com/\n", "holds a secret");
    CHECK_HAS_NOT(report.faults[0], "hunter2");
    check_refused("webhook_operator = https://example.com/?k=hb_live_0123\n", "holds a secret");
    check_refused("backup_dir = whsec_aGVsbG8\n", "holds a secret");
    CHECK_RC(load_file("secrets_file = /run/secrets/hourbell\nkey_overlap = 1h\n"), RC_OK);
    CHECK_RC(load_file("webhook_operator = https://example.com/a@b?c=:@\n"), RC_OK);
    finish();
}

/* ---- values --------------------------------------------------------------------------------- */

TEST(each_number_is_taken_at_its_limits_and_refused_beyond)
{
    struct settings settings;
    struct str why = STR_NONE;
    arena_open(&arena, 0);
    settings_default(&settings);
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        const struct config_setting *setting = config_setting(id);
        if (setting->kind == KIND_TEXT || setting->kind == KIND_BOOL ||
            setting->kind == KIND_SPANS) {
            continue;
        }
        const char *unit = setting->kind == KIND_MS ? "ms" : "";
        const int64_t wrong[] = {setting->min - 1, setting->max + 1};
        const int64_t right[] = {setting->min, setting->max};
        for (int i = 0; i < 2; i++) {
            CHECK_RC(config_set(&arena, id,
                                arena_printf(&arena, "%lld%s", (long long)right[i], unit),
                                &settings, &why),
                     RC_OK);
            struct str text = config_value(&arena, &settings, id);
            CHECK_RC(config_set(&arena, id, text, &settings, &why), RC_OK);
            CHECK_BYTES(config_value(&arena, &settings, id), text);
            CHECK_RC(config_set(&arena, id,
                                arena_printf(&arena, "%lld%s", (long long)wrong[i], unit),
                                &settings, &why),
                     RC_INVALID);
            CHECK_STR(
                why, arena_printf(&arena, "must be " STR_FMT, STR_ARG(config_range(&arena, id))).s);
            CHECK_BYTES(config_value(&arena, &settings, id), text);
        }
    }
    finish();
}

TEST(spans_sizes_and_truths_are_read_in_their_own_spelling_only)
{
    static const char *const wrong[] = {"window=",
                                        "window=1d",
                                        "window=h",
                                        "window=1 h",
                                        "window=-1s",
                                        "window=1.5h",
                                        "window=1H",
                                        "max_pending=5x",
                                        "max_pending=+5",
                                        "max_pending=0x10",
                                        "max_pending=",
                                        "max_pending=5 ,",
                                        "max_pending_bytes=64KB",
                                        "max_pending_bytes=KiB",
                                        "max_pending_bytes=64 KiB",
                                        "max_pending_bytes=99999999999999999GiB",
                                        "behind_proxy=true",
                                        "behind_proxy=Yes",
                                        "behind_proxy=",
                                        "backoff=",
                                        "backoff=1s,,5s",
                                        "backoff=1s,2s,3s,4s,5s,6s,7s,8s,9s",
                                        "backoff=1ms",
                                        "backoff=25h",
                                        "window=9223372036854775807h"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        CHECK_RC(load_flag(wrong[i]), RC_INVALID);
        CHECK_HAS(report.faults[0], "must be ");
    }
    CHECK_RC(load_flag("window=90"), RC_OK);
    CHECK_INT(config.settings.window_ms, 90000);
    CHECK_RC(load_flag("window=1500ms"), RC_OK);
    CHECK_INT(config.settings.window_ms, 1500);
    CHECK_RC(load_flag("max_pending_bytes=64KiB"), RC_OK);
    CHECK_INT(config.settings.max_pending_bytes, 65536);
    CHECK_RC(load_flag("max_pending_bytes=1025"), RC_OK);
    CHECK_STR(config_value(&arena, &config.settings, CONFIG_max_pending_bytes), "1025");
    CHECK_RC(load_flag("backoff=1s,500ms,2min"), RC_OK);
    CHECK_STR(config_value(&arena, &config.settings, CONFIG_backoff), "1s,500ms,2min");
    CHECK_RC(load_flag("behind_proxy=yes"), RC_OK);
    CHECK(config.settings.behind_proxy);
    finish();
}

TEST(texts_are_one_line_of_utf8_within_their_limit)
{
    char text[200];
    memset(text, 'x', sizeof text);
    memcpy(text, "unix_socket=", 12);
    text[12 + 107] = '\0';
    CHECK_RC(load_flag(text), RC_OK);
    CHECK_INT(config.settings.unix_socket.len, 107);
    text[12 + 107] = 'x';
    text[12 + 108] = '\0';
    check_flag_refused(text, "at most 107 bytes");
    check_flag_refused("data_dir=/a\nb", "one line of UTF-8");
    check_flag_refused("data_dir=/a\xff", "one line of UTF-8");
    CHECK_RC(load_flag("data_dir=/srv/Geräte 1"), RC_OK);
    CHECK_STR(config.settings.data_dir, "/srv/Geräte 1");
    finish();
}

/* ---- rules between settings ------------------------------------------------------------------- */

static enum rc load_two(const char *first, const char *second)
{
    const char *const flags[] = {first, second};
    return load_all("", flags, 2, NULL);
}

TEST(the_boundary_guard_is_at_most_a_tenth_of_the_window)
{
    CHECK_RC(load_flag("window=1s"), RC_OK); /* the default shrinks along */
    CHECK_RC(load_two("window=10s", "boundary_guard=1s"), RC_OK);
    CHECK_RC(load_two("window=10s", "boundary_guard=1001ms"), RC_INVALID);
    CHECK_STR(report.faults[0],
              "flag: boundary_guard: must be at most a tenth of window (1000 ms)");
    finish();
}

TEST(a_lease_outlasts_a_write_by_twenty_seconds)
{
    CHECK_RC(load_flag("write_timeout=10min"), RC_OK); /* the default grows along */
    CHECK_RC(load_two("write_timeout=30s", "lease=50s"), RC_OK);
    CHECK_RC(load_two("write_timeout=30s", "lease=49999ms"), RC_INVALID);
    CHECK_STR(report.faults[0], "flag: lease: must be at least write_timeout + 20 s (50 s)");
    CHECK_RC(load_two("write_timeout=5s", "read_timeout=6s"), RC_INVALID);
    CHECK_STR(report.faults[0], "read_timeout must not be longer than write_timeout");
    finish();
}

TEST(the_calls_at_once_fit_the_thread_pool)
{
    CHECK_RC(load_two("downstream_concurrency=1020", "downstream=http"), RC_OK);
    CHECK_INT(report.warning_count, 0);
    CHECK_RC(load_two("downstream_concurrency=1021", "downstream=http"), RC_INVALID);
    CHECK_HAS(report.faults[0], "must be at most 1024");
    finish();
}

TEST(more_than_eight_calls_at_once_to_sap_are_warned_of)
{
    CHECK_RC(load_flag("downstream_concurrency=8"), RC_OK);
    CHECK_INT(report.warning_count, 0);
    CHECK_RC(load_flag("downstream_concurrency=9"), RC_OK);
    CHECK_INT(report.warning_count, 1);
    CHECK_HAS(report.warnings[0], "SAP bears about 8");
    finish();
}

TEST(odd_windows_and_short_late_limits_are_warned_of)
{
    CHECK_RC(load_flag("window=7s"), RC_OK);
    CHECK_HAS(report.warnings[0], "a day is no multiple of it");
    CHECK_RC(load_flag("late_limit=64s"), RC_OK);
    CHECK_HAS(report.warnings[0], "late_limit is shorter than write_timeout");
    CHECK_INT(report.warning_count, 1);
    finish();
}

/* P9 */
TEST(an_address_that_is_not_loopback_needs_a_proxy)
{
    static const char *const open[] = {"bind=0.0.0.0:80",       "bind=[::]:80",
                                       "bind=192.168.0.1:8080", "bind=[::2]:1",
                                       "bind=128.0.0.1:1",      "bind=[::ffff:127.0.0.1]:80"};
    static const char *const closed[] = {"bind=127.0.0.1:0", "bind=[::1]:65535",
                                         "bind=127.8.9.10:80"};
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        CHECK_RC(load_flag(open[i]), RC_INVALID);
        CHECK_HAS(report.faults[0], "behind_proxy = yes");
        CHECK_RC(load_two(open[i], "behind_proxy=yes"), RC_OK);
    }
    for (size_t i = 0; i < COUNT_OF(closed); i++) {
        CHECK_RC(load_flag(closed[i]), RC_OK);
    }
    finish();
}

TEST(what_to_listen_on_must_be_an_address_with_a_port)
{
    static const char *const wrong[] = {"bind=localhost:80", "bind=127.0.0.1",
                                        "bind=:80",          "bind=127.0.0.1:65536",
                                        "bind=127.0.0.1:",   "bind=::1:80",
                                        "bind=[::1]",        "bind=127.0.0.1:-1",
                                        "bind=127.1:80",     "bind=http://127.0.0.1:80"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        CHECK_RC(load_two(wrong[i], "behind_proxy=yes"), RC_INVALID);
        CHECK_HAS(report.faults[0], "must be ADDRESS:PORT");
    }
    check_flag_refused("bind=", "bind and unix_socket are both empty");
    CHECK_RC(load_two("bind=", "unix_socket=/run/hourbell/socket"), RC_OK);
    finish();
}

TEST(words_are_of_their_lists)
{
    check_flag_refused("log_level=verbose", "must be error, warn, info or debug");
    check_flag_refused("downstream=soap", "must be odata or http");
    check_flag_refused("data_dir=", "data_dir: must not be empty");
    CHECK_RC(load_two("log_level=debug", "downstream=http"), RC_OK);
    finish();
}

/* P9 */
TEST(webhooks_are_https_unless_private_ones_are_allowed)
{
    check_flag_refused("webhook_operator=http://example.com/", "must begin with https://");
    check_flag_refused("webhook_customer=ftp://example.com/", "must begin with https://");
    check_flag_refused("webhook_customer=https://", "is not a URL");
    check_flag_refused("webhook_customer=https://a b/", "is not a URL");
    CHECK_RC(load_two("webhook_operator=http://127.0.0.1:9/", "webhook_allow_private=yes"), RC_OK);
    CHECK_RC(load_flag("webhook_customer=https://example.com/hook?x=1"), RC_OK);
    finish();
}

/* ---- hourbell.conf ---------------------------------------------------------------------------- */

static struct str read_source(const char *path)
{
    FILE *file = fopen(test_source_path(path), "re");
    CHECK(file != NULL);
    char *text = arena_alloc(&arena, CONFIG_FILE_MAX_BYTES);
    size_t len = fread(text, 1, CONFIG_FILE_MAX_BYTES, file);
    CHECK_INT(fclose(file), 0);
    return (struct str){text, len};
}

TEST(the_manual_of_the_settings_says_of_each_its_default_and_its_range)
{
    struct settings defaults;
    arena_open(&arena, 0);
    settings_default(&defaults);
    struct str manual = read_source("hourbell.conf");
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        struct str value = config_value(&arena, &defaults, id);
        struct str range = config_range(&arena, id);
        const char *blank = value.len > 0 ? " " : "";
        struct str paragraph = arena_printf(
            &arena, "\n# Range: " STR_FMT ". Default: " STR_FMT ".\n#%s =%s" STR_FMT "\n",
            STR_ARG(range), STR_ARG(value.len > 0 ? value : STR("empty")), config_setting(id)->name,
            blank, STR_ARG(value));
        CHECK_HAS(manual, paragraph.s);
    }
    finish();
}

TEST(the_manual_of_the_settings_sets_nothing_and_names_nothing_else)
{
    CHECK_RC(load_all(test_source_path("hourbell.conf"), NULL, 0, NULL), RC_OK);
    struct str manual = read_source("hourbell.conf"), line;
    char *text = arena_alloc(&arena, manual.len + 1);
    size_t len = 0;
    int named = 0;
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        CHECK_STR(config_origin(&arena, &config, id), "default");
    }
    /* with every comment taken from the settings it must load, each of them once */
    while (manual.len > 0) {
        line = text_cut(&manual, '\n');
        if (line.len > 1 && line.s[0] == '#' && line.s[1] >= 'a' && line.s[1] <= 'z') {
            len += (size_t)snprintf(text + len, 1024, STR_FMT "\n", STR_ARG(str_from(line, 1)));
            named++;
        }
    }
    write_file("t.conf", (struct str){text, len});
    CHECK_INT(named, CONFIG_COUNT);
    CHECK_RC(load_all("t.conf", NULL, 0, NULL), RC_OK);
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        CHECK_INT(config.from[id].origin, ORIGIN_FILE);
    }
    finish();
}

/* ---- nearest ---------------------------------------------------------------------------------- */

TEST(the_nearest_word_is_found_and_far_ones_are_not)
{
    static const char *const words[] = {"window", "write_timeout", "webhook_timeout", "lease"};
    CHECK_INT(nearest(STR("windwo"), words, 4), 0);
    CHECK_INT(nearest(STR("elase"), words, 4), 3); /* swapped neighbours are one fault of five */
    CHECK_INT(nearest(STR("elasx"), words, 4), -1);
    CHECK_INT(nearest(STR("WINDOW"), words, 4), 0);
    CHECK_INT(nearest(STR("write-timeout"), words, 4), 1);
    CHECK_INT(nearest(STR("writetimeout"), words, 4), 1);
    CHECK_INT(nearest(STR("webhook"), words, 4), 2);
    CHECK_INT(nearest(STR("leases"), words, 4), 3);
    CHECK_INT(nearest(STR("q"), words, 4), -1);
    CHECK_INT(nearest(STR("bind"), words, 4), -1);
    CHECK_INT(nearest(STR_NONE, words, 4), -1);
    CHECK_INT(nearest(STR("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"),
                      words, 4),
              -1);
    finish();
}
