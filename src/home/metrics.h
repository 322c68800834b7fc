/* What the server home counts, and how Prometheus reads it. Each counter names its unit: updates,
 * deliveries, attempts, requests. What a call brought about is added only after its commit is durable;
 * gauges count devices and are read from the store when asked for. */
#ifndef HOME_METRICS_H
#define HOME_METRICS_H

#include "core/routes.h"
#include "core/window.h"

#define METRICS_BUCKETS 12  /* of the turn histogram, without +Inf */
#define METRICS_STATUSES 26 /* that answers have; the last one stands for all others */

struct metrics {
    int64_t requests[OPERATION_COUNT]
                    [METRICS_STATUSES]; /* OPERATION_NONE: no route, or no request */
    int64_t tallies[TALLY_COUNT];
    int64_t turn_buckets[METRICS_BUCKETS], turn_count, void_turn_count;
    uint64_t turn_ns;
    int64_t started_at_ms;
};

/* What is true at the moment of asking. */
struct metrics_gauges {
    struct work_counts work;
    enum block
        block; /* what keeps every delivery of realm live from starting; BLOCK_nothing = nothing does */
    int64_t paused_until_ms; /* the downstream asked for rest; 0 = no */
    int64_t now_ms, connection_count, send_count, notice_count;
    bool ready;
};

/* How a tally is called outside: a counter and perhaps one label. The AWS home tells the same names. */
struct metrics_line {
    const char *metric, *help, *label,
        *value; /* label NULL = none; help NULL = that of the line before */
    enum tally tally;
};
const struct metrics_line *metrics_line(enum tally);
const char *metrics_work_name(enum work); /* from WORK_OPEN on */

/* in: operation: an operationId, "" = none. */
void metrics_request(struct metrics *, struct str operation, int status);
void metrics_tallies(struct metrics *, const int64_t tallies[TALLY_COUNT]);
void metrics_turn(struct metrics *, uint64_t took_ns);

/* The text format, version 0.0.4.
 * source https://prometheus.io/docs/instrumenting/exposition_formats/ */
struct str metrics_render(struct arena *, const struct metrics *, const struct metrics_gauges *);

#endif
