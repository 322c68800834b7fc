/* The page that Prometheus reads: what is counted where, and in its format. promtool judges the page of the real
 * binary in e2e_server.py. */
#include "home/log_lines.h"
#include "home/metrics.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct str render(const struct metrics *metrics, const struct metrics_gauges *gauges)
{
    static struct arena arena; /* of the latest page; reachable until the end of the test */
    arena_close(&arena);
    arena_open(&arena, 0);
    return metrics_render(&arena, metrics, gauges);
}

TEST(requests_are_counted_by_operation_and_status)
{
    struct metrics metrics = {0};
    metrics_request(&metrics, STR("createDevice"), 201);
    metrics_request(&metrics, STR("createDevice"), 201);
    metrics_request(&metrics, STR_NONE, 431);
    metrics_request(&metrics, STR("nonsense"), 799);
    struct str page = render(&metrics, &(struct metrics_gauges){0});
    CHECK_HAS(page, "hourbell_requests_total{operation=\"createDevice\",status=\"201\"} 2\n");
    CHECK_HAS(page, "hourbell_requests_total{operation=\"none\",status=\"431\"} 1\n");
    CHECK_HAS(page, "hourbell_requests_total{operation=\"none\",status=\"other\"} 1\n");
}

TEST(what_calls_brought_about_is_counted_in_its_own_unit)
{
    struct metrics metrics = {0};
    int64_t tallies[TALLY_COUNT] = {[TALLY_updates_delivered] = 3,
                                    [TALLY_deliveries_delivered] = 1,
                                    [TALLY_attempts_effect] = 1};
    metrics_tallies(&metrics, tallies);
    metrics_tallies(&metrics, tallies);
    struct str page = render(&metrics, &(struct metrics_gauges){0});
    CHECK_HAS(page, "hourbell_updates_total{end=\"delivered\"} 6\n");
    CHECK_HAS(page, "hourbell_deliveries_total{end=\"delivered\"} 2\n");
    CHECK_HAS(page, "hourbell_attempts_total{class=\"effect\"} 2\n");
    CHECK_HAS(page, "hourbell_updates_total{end=\"dead\"} 0\n");
}

TEST(the_buckets_of_the_turns_add_up)
{
    struct metrics metrics = {0};
    metrics_turn(&metrics, 100000);
    metrics_turn(&metrics, 100001);
    metrics_turn(&metrics, 3000000000);
    struct str page = render(&metrics, &(struct metrics_gauges){0});
    CHECK_HAS(page, "hourbell_turn_seconds_bucket{le=\"0.0001\"} 1\n");
    CHECK_HAS(page, "hourbell_turn_seconds_bucket{le=\"0.00025\"} 2\n");
    CHECK_HAS(page, "hourbell_turn_seconds_bucket{le=\"2.5\"} 2\n");
    CHECK_HAS(page, "hourbell_turn_seconds_bucket{le=\"+Inf\"} 3\n");
    CHECK_HAS(page, "hourbell_turn_seconds_count 3\n");
    CHECK_HAS(page, "hourbell_turn_seconds_sum 3.000200\n");
}

TEST(the_oldest_due_is_how_late_it_is_and_not_how_early)
{
    struct metrics metrics = {0};
    struct metrics_gauges gauges = {.now_ms = 5000};
    gauges.work.count[WORK_OPEN] = 2;
    CHECK_HAS(render(&metrics, &gauges), "hourbell_oldest_due_seconds 0.000\n");
    gauges.work.earliest_at_ms[WORK_OPEN] = 9000;
    CHECK_HAS(render(&metrics, &gauges), "hourbell_oldest_due_seconds 0.000\n");
    gauges.work.earliest_at_ms[WORK_OPEN] = 3500;
    struct str page = render(&metrics, &gauges);
    CHECK_HAS(page, "hourbell_oldest_due_seconds 1.500\n");
    CHECK_HAS(page, "hourbell_work{state=\"open\"} 2\n");
}

TEST(what_stops_the_downstream_is_a_gauge_of_its_own) /* P11 */
{
    struct metrics metrics = {0};
    struct metrics_gauges gauges = {.now_ms = 5000};
    struct str page = render(&metrics, &gauges);
    CHECK_HAS(page, "hourbell_downstream_blocked{by=\"downstream_paused\"} 0\n");
    CHECK_HAS(page, "hourbell_downstream_pause_seconds 0.000\n");
    gauges.block = BLOCK_downstream_paused;
    gauges.paused_until_ms = 65500;
    page = render(&metrics, &gauges);
    CHECK_HAS(page, "hourbell_downstream_blocked{by=\"downstream_paused\"} 1\n");
    CHECK_HAS(page, "hourbell_downstream_blocked{by=\"downstream_hold\"} 0\n");
    CHECK_HAS(page, "hourbell_downstream_pause_seconds 60.500\n");
}

/* Lines wait for their turn, keep their order, and none is cut. */
TEST(log_lines_leave_whole_and_in_order)
{
    int ends[2], count = 0;
    FILE *reader;
    char *line = NULL;
    size_t room = 0;
    CHECK_INT(pipe(ends), 0);
    int before = dup(STDERR_FILENO);
    log_lines_open(DIAG_INFO);
    dup2(ends[1], STDERR_FILENO);
    DIAG(DIAG_INFO, "first", DIAG_NUMBER("n", 1));
    for (int i = 0; i < 300; i++) {
        DIAG(DIAG_INFO, "more", DIAG_NUMBER("n", i));
    }
    DIAG(DIAG_DEBUG, "not wanted", DIAG_NUMBER("n", 1));
    log_lines_flush();
    log_lines_flush();
    dup2(before, STDERR_FILENO);
    close(ends[1]);
    diag_set(DIAG_INFO, NULL, NULL);
    reader = fdopen(ends[0], "r");
    while (getline(&line, &room, reader) > 0) {
        struct str text = str_of(line);
        CHECK(str_starts(text, STR("{")) && text.len > 2 &&
              memcmp(text.s + text.len - 2, "}\n", 2) == 0);
        CHECK_HAS(text, count == 0 ? "\"event\":\"first\"" : "\"event\":\"more\"");
        count++;
    }
    CHECK_INT(count, 301);
    free(line);
    fclose(reader);
}
