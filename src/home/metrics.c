/* Counters and gauges in Prometheus' text format. Names and labels are the words of the model; nothing
 * of a device, an owner or a key becomes a label. Adding happens in the loop's thread only. */
#include "home/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "home/version.h"

#define TEXT_MAX_BYTES ((size_t)1 << 20)

static const int statuses[METRICS_STATUSES - 1] = {200, 201, 202, 204, 400, 401, 403, 404, 405,
                                                   408, 409, 412, 413, 415, 422, 429, 431, 500,
                                                   503, 304, 207, 501, 502, 504, 417};

static const struct {
    uint64_t most_ns;
    const char *le;
} buckets[METRICS_BUCKETS] = {
    {100000, "0.0001"},  {250000, "0.00025"}, {500000, "0.0005"}, {1000000, "0.001"},
    {2500000, "0.0025"}, {5000000, "0.005"},  {10000000, "0.01"}, {25000000, "0.025"},
    {50000000, "0.05"},  {100000000, "0.1"},  {500000000, "0.5"}, {2500000000, "2.5"},
};

static const char *const operation_names[OPERATION_COUNT] = {"none",
#define X(name) #name,
                                                             OPERATIONS(X)
#undef X
};

/* One line of a counter that the core tallies; label NULL = none. */
static const struct metrics_line tally_lines[] = {
    {"hourbell_devices_created_total", "Devices created.", NULL, NULL, TALLY_devices_created},
    {"hourbell_updates_accepted_total", "Updates accepted.", NULL, NULL, TALLY_updates_accepted},
    {"hourbell_updates_total", "Updates by what became of them.", "end", "delivered",
     TALLY_updates_delivered},
    {"hourbell_updates_total", NULL, "end", "satisfied", TALLY_updates_satisfied},
    {"hourbell_updates_total", NULL, "end", "rejected", TALLY_updates_rejected},
    {"hourbell_updates_total", NULL, "end", "cancelled", TALLY_updates_cancelled},
    {"hourbell_updates_total", NULL, "end", "dead", TALLY_updates_dead},
    {"hourbell_deliveries_total", "Deliveries by what became of them.", "end", "delivered",
     TALLY_deliveries_delivered},
    {"hourbell_deliveries_total", NULL, "end", "satisfied", TALLY_deliveries_satisfied},
    {"hourbell_deliveries_total", NULL, "end", "rejected", TALLY_deliveries_rejected},
    {"hourbell_deliveries_total", NULL, "end", "no_effect", TALLY_deliveries_no_effect},
    {"hourbell_deliveries_total", NULL, "end", "uncertain", TALLY_deliveries_uncertain},
    {"hourbell_deliveries_total", NULL, "end", "dead", TALLY_deliveries_dead},
    {"hourbell_attempts_total", "Calls to the downstream by the class of their outcome.", "class",
     "effect", TALLY_attempts_effect},
    {"hourbell_attempts_total", NULL, "class", "same", TALLY_attempts_same},
    {"hourbell_attempts_total", NULL, "class", "no_effect", TALLY_attempts_no_effect},
    {"hourbell_attempts_total", NULL, "class", "stop", TALLY_attempts_stop},
    {"hourbell_attempts_total", NULL, "class", "unsure", TALLY_attempts_unsure},
    {"hourbell_attempts_total", NULL, "class", "rejected", TALLY_attempts_rejected},
    {"hourbell_notices_total", "Notifications by what became of them.", "end", "told",
     TALLY_notices_told},
    {"hourbell_notices_total", NULL, "end", "given_up", TALLY_notices_given_up},
    {"hourbell_breaker_opened_total", "How often the downstream was closed to all devices.", NULL,
     NULL, TALLY_breaker_opened},
    {"hourbell_downstream_paused_total", "How often the downstream asked for rest (Retry-After).",
     NULL, NULL, TALLY_downstream_paused},
    {"hourbell_leases_lost_total", "Senders that did not report before their lease ended.", NULL,
     NULL, TALLY_leases_lost},
};
_Static_assert(COUNT_OF(tally_lines) == TALLY_COUNT, "a tally has no metric");

static const char *const work_names[WORK_COUNT] = {
    [WORK_OPEN] = "open", [WORK_FLIGHT] = "flight", [WORK_UNCERTAIN] = "uncertain",
    [WORK_DEAD] = "dead", [WORK_NOTICE] = "notice",
};

const struct metrics_line *metrics_line(enum tally tally)
{
    assert(tally_lines[tally].tally == tally);
    return &tally_lines[tally];
}

const char *metrics_work_name(enum work work)
{
    return work_names[work];
}

/* --- counting ---------------------------------------------------------------------------------------- */

void metrics_request(struct metrics *metrics, struct str operation, int status)
{
    int at = OPERATION_NONE;
    size_t column = 0;
    for (int i = 1; i < OPERATION_COUNT && operation.len; i++) {
        if (str_is(operation, operation_names[i])) {
            at = i;
            break;
        }
    }
    while (column < METRICS_STATUSES - 1 && statuses[column] != status) {
        column++;
    }
    metrics->requests[at][column]++;
}

void metrics_tallies(struct metrics *metrics, const int64_t tallies[TALLY_COUNT])
{
    for (int i = 0; i < TALLY_COUNT; i++) {
        metrics->tallies[i] += tallies[i];
    }
}

void metrics_turn(struct metrics *metrics, uint64_t took_ns)
{
    for (int i = 0; i < METRICS_BUCKETS; i++) {
        if (took_ns <= buckets[i].most_ns) {
            metrics->turn_buckets[i]++;
            break;
        }
    }
    metrics->turn_count++;
    metrics->turn_ns += took_ns;
}

/* --- the process ---------------------------------------------------------------------------------------- */

static int64_t file_count(const char *folder)
{
    int64_t count = 0;
    DIR *dir = opendir(folder);
    while (dir && readdir(dir)) {
        count++;
    }
    if (dir) {
        closedir(dir);
    }
    return count > 3 ? count - 3 : 0; /* not ".", "..", the folder itself */
}

static void render_process(struct text *text, const struct metrics *metrics)
{
    long long pages = 0, resident = 0;
    struct rusage usage;
    struct rlimit files;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%lld %lld", &pages, &resident) != 2) {
            pages = resident = 0;
        }
        fclose(file);
    }
    long page_bytes = sysconf(_SC_PAGESIZE);
    text_printf(text,
                "# HELP process_resident_memory_bytes Resident memory.\n"
                "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %lld\n"
                "# HELP process_virtual_memory_bytes Virtual memory.\n"
                "# TYPE process_virtual_memory_bytes gauge\nprocess_virtual_memory_bytes %lld\n",
                resident * page_bytes, pages * page_bytes);
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        text_printf(text,
                    "# HELP process_cpu_seconds_total User and system time.\n"
                    "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %.3f\n",
                    seconds);
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        text_printf(text,
                    "# HELP process_max_fds Most open files.\n# TYPE process_max_fds "
                    "gauge\nprocess_max_fds %llu\n",
                    (unsigned long long)files.rlim_cur);
    }
    text_printf(text,
                "# HELP process_open_fds Open files.\n# TYPE process_open_fds "
                "gauge\nprocess_open_fds %lld\n"
                "# HELP process_start_time_seconds Start of the process since 1970.\n"
                "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %.3f\n",
                (long long)file_count("/proc/self/fd"), (double)metrics->started_at_ms / 1000);
}

/* --- the text --------------------------------------------------------------------------------------------- */

static void render_head(struct text *text, const char *name, const char *type, const char *help)
{
    text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void render_gauge(struct text *text, const char *name, const char *help, int64_t value)
{
    render_head(text, name, "gauge", help);
    text_printf(text, "%s %lld\n", name, (long long)value);
}

static void render_requests(struct text *text, const struct metrics *metrics)
{
    render_head(text, "hourbell_requests_total", "counter",
                "Requests answered, by operation and status.");
    for (int i = 0; i < OPERATION_COUNT; i++) {
        for (int j = 0; j < METRICS_STATUSES; j++) {
            if (metrics->requests[i][j]) {
                char status[8] = "other";
                if (j < METRICS_STATUSES - 1) {
                    snprintf(status, sizeof status, "%d", statuses[j]);
                }
                text_printf(text, "hourbell_requests_total{operation=\"%s\",status=\"%s\"} %lld\n",
                            operation_names[i], status, (long long)metrics->requests[i][j]);
            }
        }
    }
}

static void render_tallies(struct text *text, const struct metrics *metrics)
{
    for (size_t i = 0; i < COUNT_OF(tally_lines); i++) {
        if (tally_lines[i].help) {
            render_head(text, tally_lines[i].metric, "counter", tally_lines[i].help);
        }
        text_printf(text, "%s", tally_lines[i].metric);
        if (tally_lines[i].label) {
            text_printf(text, "{%s=\"%s\"}", tally_lines[i].label, tally_lines[i].value);
        }
        text_printf(text, " %lld\n", (long long)metrics->tallies[tally_lines[i].tally]);
    }
}

static void render_turns(struct text *text, const struct metrics *metrics)
{
    int64_t below = 0;
    render_head(text, "hourbell_turn_seconds", "histogram",
                "Turns of the loop that had something to do, with their commit.");
    for (int i = 0; i < METRICS_BUCKETS; i++) {
        below += metrics->turn_buckets[i];
        text_printf(text, "hourbell_turn_seconds_bucket{le=\"%s\"} %lld\n", buckets[i].le,
                    (long long)below);
    }
    text_printf(text,
                "hourbell_turn_seconds_bucket{le=\"+Inf\"} %lld\nhourbell_turn_seconds_sum %.6f\n"
                "hourbell_turn_seconds_count %lld\n",
                (long long)metrics->turn_count, (double)metrics->turn_ns / 1e9,
                (long long)metrics->turn_count);
    render_head(text, "hourbell_void_turns_total", "counter",
                "Turns that the store could not commit.");
    text_printf(text, "hourbell_void_turns_total %lld\n", (long long)metrics->void_turn_count);
}

static void render_work(struct text *text, const struct metrics_gauges *gauges)
{
    int64_t earliest_ms = gauges->work.earliest_at_ms[WORK_OPEN];
    int64_t late_ms = earliest_ms ? max_i64(gauges->now_ms - earliest_ms, 0) : 0;
    render_head(text, "hourbell_work", "gauge",
                "Devices by the state of their work; notices that wait to be told.");
    for (int i = WORK_OPEN; i < WORK_COUNT; i++) {
        text_printf(text, "hourbell_work{state=\"%s\"} %lld\n", work_names[i],
                    (long long)gauges->work.count[i]);
    }
    render_head(text, "hourbell_oldest_due_seconds", "gauge",
                "How long the device that waits longest could have been delivered.");
    text_printf(text, "hourbell_oldest_due_seconds %.3f\n", (double)late_ms / 1000);
}

static void render_downstream(struct text *text, const struct metrics_gauges *gauges)
{
    static const enum block blocks[] = {BLOCK_downstream_hold, BLOCK_downstream_stopped,
                                        BLOCK_downstream_paused, BLOCK_clock_hold};
    int64_t rest_ms = max_i64(gauges->paused_until_ms - gauges->now_ms, 0);
    render_head(text, "hourbell_downstream_blocked", "gauge",
                "1 for what keeps every delivery from starting.");
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        text_printf(text, "hourbell_downstream_blocked{by=\"%s\"} %d\n", block_name(blocks[i]),
                    gauges->block == blocks[i]);
    }
    render_head(text, "hourbell_downstream_pause_seconds", "gauge",
                "What is left of the rest that the downstream asked for.");
    text_printf(text, "hourbell_downstream_pause_seconds %.3f\n", (double)rest_ms / 1000);
}

struct str metrics_render(struct arena *arena, const struct metrics *metrics,
                          const struct metrics_gauges *gauges)
{
    struct text text;
    text_open(&text, arena, TEXT_MAX_BYTES);
    render_requests(&text, metrics);
    render_tallies(&text, metrics);
    render_work(&text, gauges);
    render_downstream(&text, gauges);
    render_gauge(&text, "hourbell_connections", "Open HTTP connections.", gauges->connection_count);
    render_gauge(&text, "hourbell_sends_in_flight", "Calls to the downstream under way.",
                 gauges->send_count);
    render_gauge(&text, "hourbell_notices_in_flight", "Notifications being told.",
                 gauges->notice_count);
    render_gauge(&text, "hourbell_ready", "1 if it takes requests.", gauges->ready);
    render_turns(&text, metrics);
    render_head(&text, "hourbell_build_info", "gauge", "Always 1; the labels say what runs.");
    text_printf(&text, "hourbell_build_info{version=\"%s\"} 1\n", HOURBELL_VERSION);
    render_process(&text, metrics);
    assert(!text.full);
    return text_str(&text);
}
