/* Lines as CloudWatch's readers know them from Powertools: the members of base/diag, renamed, and what says which invocation it
 * was. A line is one write, so nothing is lost when the process is frozen or ends. Events are never logged.
 * source Powertools for AWS Lambda, "Logger", "Metrics"; CloudWatch user guide, "Embedded metric format specification" */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/text.h"
#include "home/lambda.h"
#include "home/metrics.h"

#define LINE_MAX_BYTES ((size_t)40 << 10)
#define WORDS_MAX_BYTES 512
#define AT_BYTES 6 /* {"at": */

/* What every line of the running invocation says; a process has one invocation at a time. */
static struct {
    char words[WORDS_MAX_BYTES * 2]; /* ,"service":... that never changes */
    char invocation[WORDS_MAX_BYTES * 2], correlation[WORDS_MAX_BYTES];
    int invocation_count;
} line_state;

static void write_all(int fd, struct str text)
{
    while (text.len) {
        ssize_t written = write(fd, text.s, text.len);
        if (written < 0 && errno != EINTR) {
            return; /* nobody is left to tell */
        }
        text = str_from(text, written < 0 ? 0 : (size_t)written);
    }
}

/* The text between the next two quotes. */
static struct str cut_quoted(struct str *rest)
{
    (void)text_cut(rest, '"');
    return text_cut(rest, '"');
}

/* in: {"at":"...","level":"info","event":"request",... }\n as base/diag writes it */
static void take_line(void *context, struct str line)
{
    CLEANUP(arena_close) struct arena arena;
    struct text out;
    struct str rest = str_from(line, AT_BYTES);
    (void)context;
    arena_open(&arena, LINE_MAX_BYTES * 4);
    text_open(&out, &arena, LINE_MAX_BYTES);
    struct str at = cut_quoted(&rest);
    (void)cut_quoted(&rest); /* the name "level" */
    struct str level = cut_quoted(&rest);
    (void)cut_quoted(&rest); /* the name "event"; what is left is :"request",...}\n */
    text_printf(&out, "{\"timestamp\":\"" STR_FMT "\",\"level\":\"", STR_ARG(at));
    for (size_t i = 0; i < level.len; i++) {
        text_add_char(&out, (char)(level.s[i] - 'a' + 'A'));
    }
    text_printf(&out, "\",\"message\"" STR_FMT "%s%s%s}\n",
                STR_ARG(str_head(rest, rest.len - STR("}\n").len)), line_state.words,
                line_state.invocation, line_state.correlation);
    write_all(STDERR_FILENO, text_str(&out));
}

static void add_word(struct text *out, const char *name, const char *value)
{
    if (value && value[0]) {
        text_printf(out, ",\"%s\":", name);
        text_add_json(out, str_of(value));
    }
}

static void keep(char *room, size_t room_bytes, const struct text *text)
{
    struct str words = text->full ? STR_NONE : text_str(text);
    assert(words.len < room_bytes);
    if (words.len) {
        memcpy(room, words.s, words.len);
    }
    room[words.len] = '\0';
}

void lambda_log_open(const struct lambda *lambda)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    CLEANUP(arena_close) struct arena arena;
    struct text words;
    enum diag_level most = DIAG_INFO;
    const char *aws_level = getenv("AWS_LAMBDA_LOG_LEVEL"); /* LoggingConfig.ApplicationLogLevel */
    struct str level =
        aws_level && aws_level[0] ? str_of(aws_level) : lambda->config.settings.log_level;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        most = text_equal_nocase(level, str_of(names[i])) ? (enum diag_level)i : most;
    }
    arena_open(&arena, 0);
    text_open(&words, &arena, sizeof line_state.words - 1);
    add_word(&words, "service", "hourbell");
    add_word(&words, "location", lambda->function ? lambda->function->name : NULL);
    add_word(&words, "function_name", getenv("AWS_LAMBDA_FUNCTION_NAME"));
    const char *memory = getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    int64_t mib = 0;
    if (memory && text_to_i64(str_of(memory), &mib) == RC_OK) {
        text_printf(&words, ",\"function_memory_size\":%lld", (long long)mib);
    }
    keep(line_state.words, sizeof line_state.words, &words);
    diag_set(most, take_line, NULL);
}

void lambda_log_begin(const struct invocation *invocation)
{
    CLEANUP(arena_close) struct arena arena;
    struct text words;
    arena_open(&arena, 0);
    text_open(&words, &arena, sizeof line_state.invocation - 1);
    bool cold = line_state.invocation_count++ == 0;
    text_printf(&words, ",\"cold_start\":%s", cold ? "true" : "false");
    text_add(&words, STR(",\"function_request_id\":"));
    text_add_json(&words, invocation->id);
    if (invocation->arn.len) {
        text_add(&words, STR(",\"function_arn\":"));
        text_add_json(&words, invocation->arn);
    }
    if (invocation->trace_id.len) {
        text_add(&words, STR(",\"xray_trace_id\":"));
        text_add_json(&words, invocation->trace_id);
    }
    keep(line_state.invocation, sizeof line_state.invocation, &words);
    line_state.correlation[0] = '\0';
}

void lambda_log_correlate(struct str correlation_id)
{
    CLEANUP(arena_close) struct arena arena;
    struct text words;
    arena_open(&arena, 0);
    text_open(&words, &arena, sizeof line_state.correlation - 1);
    if (correlation_id.len) {
        text_add(&words, STR(",\"correlation_id\":"));
        text_add_json(&words, correlation_id);
    }
    keep(line_state.correlation, sizeof line_state.correlation, &words);
}

/* --- metrics ------------------------------------------------------------------------------------------- */

void lambda_metric(struct lambda *lambda, const char *name, const char *label, struct str value,
                   int64_t number)
{
    CLEANUP(arena_close) struct arena arena;
    struct text blob;
    arena_open(&arena, 0);
    text_open(&blob, &arena, 4096);
    text_printf(&blob, "{\"_aws\":{\"Timestamp\":%lld,\"CloudWatchMetrics\":[{\"Namespace\":",
                (long long)clock_now_ms(&lambda->clock.clock));
    text_add_json(&blob, lambda->names.namespace.len ? lambda->names.namespace : STR("hourbell"));
    text_add(&blob, STR(",\"Dimensions\":[["));
    if (label) {
        text_add_json(&blob, str_of(label));
    }
    text_printf(&blob, "]],\"Metrics\":[{\"Name\":\"%s\",\"Unit\":\"%s\"}]}]}", name,
                str_is(str_from(str_of(name), strlen(name) - 8), "_seconds") ? "Seconds" : "Count");
    if (label) {
        text_add_char(&blob, ',');
        text_add_json(&blob, str_of(label));
        text_add_char(&blob, ':');
        text_add_json(&blob, value);
    }
    text_printf(&blob, ",\"%s\":%lld}\n", name, (long long)number);
    assert(!blob.full && strlen(name) > 8);
    write_all(STDOUT_FILENO, text_str(&blob));
}

void lambda_metric_tallies(struct lambda *lambda, const int64_t tallies[TALLY_COUNT])
{
    for (int i = 0; i < TALLY_COUNT; i++) {
        const struct metrics_line *line = metrics_line((enum tally)i);
        if (tallies[i]) {
            lambda_metric(lambda, line->metric, line->label, str_of(line->value), tallies[i]);
        }
    }
}
