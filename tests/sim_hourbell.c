/* Runs of the simulator. SIM_SEED=n build/dev/tests one_seed_of_choice plays one run and says what happened in it. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "dynamo_rig.h"

#define STEPS 160
#define REST_WINDOWS 240 /* a clock that was a day ahead leaves times behind that lie a day ahead */
#define REST_LOOKS 6

static const char *const sim_count_names[SIM_COUNTS] = {
#define X(name) #name,
    SIM_COUNT_NAMES(X)
#undef X
};

/* ---- what happens ------------------------------------------------------------------------------ */

static void some_time(struct sim *sim)
{
    int64_t window_ms = sim->settings.window_ms;
    int64_t left_ms = window_ms - sim_now_ms(sim) % window_ms;
    switch (sim_random(sim, 10)) {
    case 0: /* close to the boundary, before or after */
        sim_advance(sim, max_i64(0, left_ms - 3000 + (int64_t)sim_random(sim, 6000)));
        return;
    case 1:
    case 5:
    case 6:
        sim_advance(sim, left_ms + (int64_t)sim_random(sim, 2000));
        return;
    case 2:
        sim_advance(sim, (int64_t)sim_random(sim, (uint64_t)window_ms));
        return;
    case 3:
        sim_advance(sim, 600000 + (int64_t)sim_random(sim, 60000));
        return;
    case 4:
        if (sim->profile.short_history && sim_percent(sim, 20)) {
            sim_advance(sim, INT64_C(86400000) + (int64_t)sim_random(sim, 86400000));
        }
        return;
    default:
        sim_advance(sim, (int64_t)sim_random(sim, 60000));
        return;
    }
}

/* A clock that is set wrong, and often right again soon. Never forward while the process is down: nobody could tell. */
static void step_clock(struct sim *sim)
{
    static const int64_t steps_ms[] = {1500, 10000, 600000, 3600000, 86400000};
    int64_t wrong_ms = sim_now_ms(sim) - sim_true_ms(sim);
    int64_t ms = steps_ms[sim_random(sim, COUNT_OF(steps_ms))];
    if (wrong_ms != 0 && sim_percent(sim, 60)) {
        sim_step_clock(sim, -wrong_ms);
    } else {
        sim_step_clock(sim, sim_percent(sim, 50) ? ms : -ms);
    }
}

void sim_anything(struct sim *sim)
{
    uint64_t what = sim_random(sim, 100);
    if (!sim->up) {
        sim_advance(sim, (int64_t)sim_random(sim, 60000));
        sim_start(sim);
        sim_check_all(sim);
    } else if (what < 40) {
        sim_turn(sim, (int)sim_random(sim, 4));
        sim_check_changed(sim);
    } else if (what < 70) {
        if (sim->depth >= SIM_DEPTH_MAX || !sim_run_job(sim)) {
            some_time(sim);
        }
    } else if (what < 90) {
        some_time(sim);
    } else if ((int)sim_random(sim, 15) < sim->profile.fault_percent) {
        sim_fault(sim);
    } else if (sim->profile.steps && sim_percent(sim, 30)) {
        step_clock(sim);
    } else if (sim_percent(sim, 8)) {
        sim_sap_password(sim);
    } else if (sim_percent(sim, 5)) {
        downstream_mock_unplug(sim->downstream, sim_percent(sim, 30));
    }
}

/* ---- coming to rest --------------------------------------------------------------------------------- */

/* One request whose answer does not matter, in a turn of its own. */
static void ask(struct sim *sim, struct sim_ask *asked)
{
    struct call call;
    struct call end = {.arena = &sim->turn_arena};
    arena_reset(&sim->turn_arena);
    call_open(&call, &sim->turn_arena, &sim->world);
    store_sqlite_turn_begin(sim->disk);
    sim_ask_send(sim, asked, &call);
    CHECK_RC(store_sqlite_turn_commit(sim->disk, &end), RC_OK);
    for (int i = 0; i < TALLY_COUNT; i++) {
        sim->tallies[i] += call.tallies[i];
    }
}

static bool is_parked(const struct device *record)
{
    return record->work == WORK_UNCERTAIN && record->at_ms >= TIME_NEVER_MS;
}

/* Operators lift every hold, and decide what waits for them. */
static void operators_help(struct sim *sim)
{
    struct sim_ask asked;
    sim_ask_post(sim, &asked, "/downstream/actions",
                 STR("{\"action\":\"resume\",\"reason\":\"rest\"}"));
    ask(sim, &asked);
    struct breaker breaker;
    CHECK_RC(breaker_get(&sim->world, sim_call(sim), STR("live"), &breaker), RC_OK);
    if (breaker.state == BREAKER_STOPPED) {
        sim_ask_post(sim, &asked, "/downstream/actions",
                     STR("{\"action\":\"probe\",\"reason\":\"rest\"}"));
        ask(sim, &asked);
    }
    for (int device = 0; device < SIM_DEVICES; device++) {
        if (sim_device(sim, sim_call(sim), device).hold_reason.len) {
            sim_ask_action(sim, &asked, device, "resume", 0);
            ask(sim, &asked);
        }
        struct call *call = sim_call(sim);
        struct device record = sim_device(sim, call, device);
        if (is_parked(&record)) {
            struct body body;
            CHECK_RC(
                store_body_get(sim->world.store, call, record.key, record.flight.delivery, &body),
                RC_OK);
            bool effect = sim_had_effect(sim, body.repeat_id);
            sim_ask_action(sim, &asked, device, effect ? "confirm" : "deny", 0);
            ask(sim, &asked);
        }
    }
}

static bool is_at_rest(struct sim *sim)
{
    struct work_counts counts;
    CHECK_RC(store_work_count(sim->world.store, sim_call(sim), &counts), RC_OK);
    return counts.count[WORK_OPEN] + counts.count[WORK_FLIGHT] + counts.count[WORK_UNCERTAIN] +
               counts.count[WORK_NOTICE] ==
           0;
}

static void stop_the_trouble(struct sim *sim)
{
    sim->password_is_old = false;
    sim->quiet = true;
    sim->faults = (struct store_faults){0};
    fault_disk.full = false;
    fault_disk.fail_write_in = fault_disk.power_in = 0;
    sap_mock_faults_clear(downstream_mock_sap(sim->downstream));
    downstream_mock_unplug(sim->downstream, false);
    if (!sim->up) {
        sim_start(sim);
    }
}

/* Window by window, with some looks in each, until nothing is left to do. */
static void come_to_rest(struct sim *sim)
{
    stop_the_trouble(sim);
    for (int window = 0; window < REST_WINDOWS; window++) {
        int64_t window_ms = sim->settings.window_ms;
        operators_help(sim);
        for (int look = 0; look < REST_LOOKS; look++) {
            bool busy = true;
            for (int i = 0; i < 12 && busy;
                 i++) { /* a lease is followed by its send, a send by its settle */
                sim_turn(sim, 0);
                busy = sim_run_job(sim);
                while (sim_run_job(sim)) {}
            }
            CHECK(!busy);
            sim_check_changed(sim);
            sim_advance(sim, window_ms / REST_LOOKS);
        }
        sap_mock_advance(downstream_mock_sap(sim->downstream), sim_true_ms(sim));
        if (is_at_rest(sim)) {
            return;
        }
        if (window == 2 && sim_percent(sim, 50)) {
            struct sim_ask asked;
            sim_ask_post(sim, &asked, "/redrives", STR("{\"limit\":100,\"dry_run\":false}"));
            ask(sim, &asked);
        }
    }
    sim_print(sim);
    FAIL("the run does not come to rest");
}

/* ---- runs -------------------------------------------------------------------------------------------- */

static void play(struct sim *sim, uint64_t seed)
{
    fprintf(stderr, "SIM_SEED=%llu\n", (unsigned long long)seed);
    sim_open(sim, seed);
    for (int step = 0; step < STEPS; step++) {
        sim_anything(sim);
        if (step % 35 == 34) {
            sim_check_all(sim);
        }
    }
    come_to_rest(sim);
    sim->mirror.reads_every = 1; /* I6: at the end everything */
    sim_check_rest(sim);
}

static void play_many(uint64_t from, uint64_t to)
{
    struct sim *sim = malloc(sizeof *sim);
    int64_t counts[SIM_COUNTS] = {0};
    CHECK(sim != NULL);
    for (uint64_t seed = from; seed < to; seed++) {
        play(sim, seed);
        for (int i = 0; i < SIM_COUNTS; i++) {
            counts[i] += sim->counts[i];
        }
        sim_close(sim);
    }
    free(sim);
    for (int i = 0; i < SIM_COUNTS; i++) {
        fprintf(stderr, "%s %lld\n", sim_count_names[i], (long long)counts[i]);
        bool rare = i == SIM_LOOKED_UP;
        CHECK(to - from < 50 || rare ||
              counts[i] > 0); /* trouble that never comes proves nothing */
    }
}

/* SIM_SEED=n, or SIM_SEED=from-to: those runs; else one that shows what runs consist of. */
TEST_SLOW(seeds_of_your_choice)
{
    const char *chosen = getenv("SIM_SEED");
    struct str from = str_of(chosen ? chosen : "0-20"), to = from;
    int64_t first = 0, last = 0;
    const char *dash = memchr(from.s, '-', from.len);
    if (dash) {
        to = str_from(from, (size_t)(dash - from.s) + 1);
        from = str_head(from, (size_t)(dash - from.s));
    }
    CHECK_RC(text_to_i64(from, &first), RC_OK);
    CHECK_RC(text_to_i64(to, &last), RC_OK);
    play_many((uint64_t)first, (uint64_t)last + 1);
}

/* P1 P2 P3 P4 P5 P6 P8 */
#define SEEDS(kind, from, to)                                                                      \
    kind(seeds_##from##_to_##to)                                                                   \
    {                                                                                              \
        play_many(from, to);                                                                       \
    }
SEEDS(TEST, 0, 50)
SEEDS(TEST, 50, 100)
SEEDS(TEST, 100, 150)
SEEDS(TEST, 150, 200)

/* I6: beside each store operation of these runs the same one on DynamoDB, see store_mirror.h */
#define MIRRORED(from, to)                                                                         \
    TEST_SLOW(mirrored_seeds_##from##_to_##to)                                                     \
    {                                                                                              \
        if (dynamo_endpoint()) {                                                                   \
            play_many(from, to);                                                                   \
        }                                                                                          \
    }
MIRRORED(0, 10)
MIRRORED(10, 20)
MIRRORED(20, 30)
MIRRORED(30, 40)
MIRRORED(40, 50)

SEEDS(TEST_SLOW, 200, 500)
SEEDS(TEST_SLOW, 500, 1000)
SEEDS(TEST_SLOW, 1000, 1500)
SEEDS(TEST_SLOW, 1500, 2000)
SEEDS(TEST_SLOW, 2000, 2500)
SEEDS(TEST_SLOW, 2500, 3000)
SEEDS(TEST_SLOW, 3000, 3500)
SEEDS(TEST_SLOW, 3500, 4000)
SEEDS(TEST_SLOW, 4000, 4500)
SEEDS(TEST_SLOW, 4500, 5000)
SEEDS(TEST_SLOW, 5000, 5500)
SEEDS(TEST_SLOW, 5500, 6000)
SEEDS(TEST_SLOW, 6000, 6500)
SEEDS(TEST_SLOW, 6500, 7000)
SEEDS(TEST_SLOW, 7000, 7500)
SEEDS(TEST_SLOW, 7500, 8000)
SEEDS(TEST_SLOW, 8000, 8500)
SEEDS(TEST_SLOW, 8500, 9000)
SEEDS(TEST_SLOW, 9000, 9500)
SEEDS(TEST_SLOW, 9500, 10000)
