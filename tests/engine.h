/* The engine on a bench: the core with a real SQLite store in memory, a clock that stands still, and a
 * downstream that does nothing: tests hand in what a send came to. One line per step, so that a test
 * reads as its story. Everything lives in one arena until engine_close. */
#ifndef ENGINE_H
#define ENGINE_H

#include "adapters/clock_manual.h"
#include "core/breaker.h"
#include "core/check.h"
#include "core/deliver.h"
#include "core/device.h"
#include "core/notice.h"
#include "core/plan.h"
#include "core/update.h"
#include "core/work.h"
#include "store_mirror.h"
#include "test.h"

#define HOUR_MS INT64_C(3600000)
#define MINUTE_MS INT64_C(60000)
#define ENGINE_START_MS (INT64_C(490000) * HOUR_MS + 20 * MINUTE_MS) /* twenty past */

struct engine {
    struct arena arena;
    struct clock_manual clock;
    struct settings settings;
    struct store *store,
        *disk; /* disk: SQLite; store: the same, or its mirror (HOURBELL_TEST_DYNAMODB) */
    struct store_mirror mirror;
    struct downstream downstream;
    struct notifier notifier;
    struct world world;
    struct call call; /* of the latest step */
    struct principal customer, operator;
    int told_count; /* events that the notifier saw */
    struct event told[64];
};

void engine_open(struct engine *);
void engine_close(struct engine *); /* checks every device's log first */
/* A new call, as a home would make; the steps below begin with it. */
struct call *engine_call(struct engine *);
void engine_at(struct engine *, int64_t after_hour_ms); /* so long after the running hour began */
void engine_next_hour(struct engine *);                 /* to one second after the next boundary */

struct str engine_key(struct engine *, const char *name);
struct device engine_create(struct engine *, const char *name, const char *doc);
enum rc engine_try_update(struct engine *, const char *name, const char *patch,
                          struct entry *ret_update);
int64_t engine_update(struct engine *, const char *name, const char *patch); /* its seq */
enum rc engine_action(struct engine *, const char *name, enum action, int64_t seq);
struct device engine_device(struct engine *, const char *name);
struct str engine_state(struct engine *, const char *name, int64_t seq);
/* Lease; must be there. */
struct lease engine_lease(struct engine *, const char *name);
enum rc engine_try_lease(struct engine *, const char *name, struct lease *ret_lease);
/* Settle with an outcome; sent_at is now where the class means that a byte left and the outcome has none. */
void engine_settle(struct engine *, const struct lease *, struct outcome);
/* The last entry of the log. */
struct entry engine_last(struct engine *, const char *name);

#endif
