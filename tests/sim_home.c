/* The server home as the simulator plays it: the order of home/server_turn.c, with chance where the loop has none of its
 * own: which of the due devices come first, which wake-ups are lost or doubled, when a turn ends in a crash. */
#include "sim.h"

#include "core/plan.h"

#define PLAN_INTERVAL_MS 5000
#define ASKS_MAX 4

struct sim_turn_calls {
    struct call *own[8];
    int own_count;
    struct sim_ask asks[ASKS_MAX];
    struct call calls[ASKS_MAX];
    int ask_count;
    bool clock_written, broken;
};

static struct call *turn_call(struct sim *sim, struct sim_turn_calls *turn)
{
    struct call *call = arena_new(&sim->turn_arena, struct call);
    CHECK(turn->own_count < (int)COUNT_OF(turn->own));
    call_open(call, &sim->turn_arena, &sim->world);
    turn->own[turn->own_count++] = call;
    return call;
}

/* ---- jobs --------------------------------------------------------------------------------------- */

static void free_job(struct sim_job *job)
{
    arena_close(&job->arena);
    *job = (struct sim_job){0};
}

/* Those of a dead process; one that is in the middle of a send is freed when it comes back. */
void sim_free_jobs(struct sim *sim)
{
    for (int i = 0; i < SIM_JOBS; i++) {
        struct sim_job *job = &sim->jobs[i];
        if (job->state != SIM_FREE && job->state != SIM_RUNS && job->epoch != sim->epoch) {
            free_job(job);
        }
    }
}

static struct sim_job *take_job(struct sim *sim, enum sim_job_kind kind)
{
    for (int i = 0; i < SIM_JOBS; i++) {
        struct sim_job *job = &sim->jobs[i];
        if (job->state == SIM_FREE) {
            *job = (struct sim_job){.kind = kind, .epoch = sim->epoch, .state = SIM_READY};
            arena_open(&job->arena, 0);
            call_open(&job->call, &job->arena, &sim->world);
            return job;
        }
    }
    return NULL;
}

static void run(struct sim *sim, struct sim_job *job)
{
    struct sim_job *outer = sim->running;
    sim->running = job;
    sim->depth++;
    job->state = SIM_RUNS;
    job->call.on_pool = true;
    if (job->kind == SIM_SEND) {
        deliver_send(&sim->world, &job->call, &job->lease, &job->outcome);
    } else {
        job->told = notice_send(&sim->world, &job->call, &job->notice, &job->again_at_ms);
    }
    job->call.on_pool = false;
    job->state = SIM_ENDED;
    sim->depth--;
    sim->running = outer;
    if (job->epoch != sim->epoch) {
        free_job(job);
    }
}

bool sim_run_job(struct sim *sim)
{
    int first = (int)sim_random(sim, SIM_JOBS);
    for (int i = 0; i < SIM_JOBS; i++) {
        struct sim_job *job = &sim->jobs[(first + i) % SIM_JOBS];
        if (job->state == SIM_READY) {
            run(sim, job);
            return true;
        }
    }
    return false;
}

/* ---- wake-ups ------------------------------------------------------------------------------------- */

static void push_due(struct sim *sim, struct str key, int64_t at_ms)
{
    if (sim->due_count < SIM_DUE) {
        sim->due[sim->due_count].key = arena_copy(&sim->arena, key);
        sim->due[sim->due_count++].at_ms = at_ms;
    }
}

/* Some are lost, some come twice, some come late: the plan passes make good for it. */
static void learn_wakes(struct sim *sim, const struct call *call)
{
    for (int i = 0; i < call->wake_count; i++) {
        int times = sim->quiet || !sim_percent(sim, 15) ? 1 : (int)sim_random(sim, 3);
        for (int n = 0; n < times; n++) {
            int64_t late_ms = sim_percent(sim, 10) ? (int64_t)sim_random(sim, 7200000) : 0;
            push_due(sim, call->wakes[i].key, call->wakes[i].at_ms + (sim->quiet ? 0 : late_ms));
        }
    }
}

static void learn(struct sim *sim, const struct call *call)
{
    for (int i = 0; i < TALLY_COUNT; i++) {
        sim->tallies[i] += call->tallies[i];
    }
    if (call->noticed) {
        sim->notice_at_ms = 0;
    }
}

/* ---- pieces of a turn ------------------------------------------------------------------------------- */

static void look_at_clock(struct sim *sim, struct sim_turn_calls *turn)
{
    int64_t offset_ms = sim_now_ms(sim) - clock_boot_ms(&sim->clock.clock);
    int64_t step_ms = offset_ms - sim->clock_offset_ms;
    if (step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS) {
        sim->clock_pending = true;
        sim->plan_at_ms = sim->notice_at_ms = 0;
    }
    sim->clock_offset_ms = offset_ms;
    if (sim->clock_pending) {
        turn->clock_written = breaker_clock(&sim->world, turn_call(sim, turn), STR("live"),
                                            STR("the clock was set")) == RC_OK;
    }
}

static void settle(struct sim *sim, struct sim_job *job)
{
    struct call *call = &job->call;
    call->now_ms = sim_now_ms(sim);
    call->problem = PROBLEM_NONE;
    call->item_count = call->wake_count = 0;
    call->wrote = call->noticed = false;
    memset(call->tallies, 0, sizeof call->tallies);
    job->rc = job->kind == SIM_SEND
                  ? deliver_settle(&sim->world, call, &job->lease, &job->outcome)
                  : notice_done(&sim->world, call, &job->notice, job->told, job->again_at_ms);
    CHECK(job->rc == RC_OK || job->rc == RC_NOT_DUE || job->rc == RC_BUSY || fault_disk.dead);
    job->settled = true;
}

static void settle_ended(struct sim *sim)
{
    for (int i = 0; i < SIM_JOBS; i++) {
        if (sim->jobs[i].state == SIM_ENDED && (sim->quiet || sim_percent(sim, 90))) {
            settle(sim, &sim->jobs[i]);
        }
    }
}

static void plan_due(struct sim *sim, struct sim_turn_calls *turn)
{
    struct plan_request request = {.shard = SHARD_ALL, .limit = 8};
    struct plan_result result;
    if (sim_now_ms(sim) < sim->plan_at_ms && !sim_percent(sim, 10)) {
        return;
    }
    struct call *call = turn_call(sim, turn);
    if (plan(&sim->world, call, &request, &result) == RC_OK) {
        sim->plan_at_ms = sim_now_ms(sim) + (result.more ? 0 : PLAN_INTERVAL_MS);
        learn_wakes(sim, call);
        call->wake_count = 0;
    }
}

/* Leases of this turn are jobs that are READY with `settled` set until the commit. */
static void lease_due(struct sim *sim)
{
    for (int i = sim->due_count - 1; i >= 0; i--) {
        int at = (int)sim_random(sim, (uint64_t)sim->due_count);
        if (sim->due[at].at_ms > sim_now_ms(sim) || sim->job_count >= sim->profile.concurrency) {
            continue;
        }
        struct str key = sim->due[at].key;
        struct sim_job *job = take_job(sim, SIM_SEND);
        if (!job) {
            return;
        }
        sim->due[at] = sim->due[--sim->due_count];
        job->rc = deliver_lease(&sim->world, &job->call, arena_copy(&job->arena, key), &job->lease);
        CHECK(job->rc == RC_OK || job->rc == RC_NOT_DUE || job->rc == RC_CONFLICT ||
              job->rc == RC_BUSY || fault_disk.dead);
        job->settled = true;
        sim->job_count += job->rc == RC_OK;
    }
}

static void list_notices(struct sim *sim, struct sim_turn_calls *turn)
{
    struct notice_list list;
    if (sim_now_ms(sim) < sim->notice_at_ms) {
        return;
    }
    struct call *call = turn_call(sim, turn);
    if (notices_due(&sim->world, call, 3, &list) != RC_OK) {
        return;
    }
    sim->notice_at_ms = list.more ? 0 : sim_now_ms(sim) + PLAN_INTERVAL_MS;
    for (int i = 0; i < list.count; i++) {
        struct sim_job *job = list.items[i].moot ? NULL : take_job(sim, SIM_TELL);
        if (job) {
            notice_copy(&job->arena, &list.items[i], &job->notice);
            job->settled = true;
        }
    }
}

static void expire(struct sim *sim, struct sim_turn_calls *turn)
{
    int count = 0;
    if (sim_percent(sim, 10)) {
        int64_t history_ms = sim->settings.history_days * INT64_C(86400000);
        enum rc rc = store_expire(sim->world.store, turn_call(sim, turn), history_ms, 20, &count);
        CHECK(rc == RC_OK || rc == RC_BUSY || fault_disk.dead);
    }
}

/* ---- the end of a turn ----------------------------------------------------------------------------------- */

/* The commit is durable: whatever happens now, this was. */
static void turn_holds(struct sim *sim, struct sim_turn_calls *turn)
{
    sim->clock_pending &= !turn->clock_written;
    for (int i = 0; i < turn->own_count; i++) {
        learn(sim, turn->own[i]);
    }
    for (int i = 0; i < turn->ask_count; i++) {
        learn(sim, &turn->calls[i]);
        sim_ask_durable(sim, &turn->asks[i], &turn->calls[i]);
    }
    for (int i = 0; i < SIM_JOBS; i++) {
        if (sim->jobs[i].state != SIM_FREE && sim->jobs[i].settled && sim->jobs[i].rc != RC_BUSY) {
            learn(sim, &sim->jobs[i].call);
        }
    }
}

/* And now it leaves: answers, wake-ups, jobs. */
static void let_out(struct sim *sim, struct sim_turn_calls *turn)
{
    for (int i = 0; i < turn->ask_count; i++) {
        learn_wakes(sim, &turn->calls[i]);
        if (sim->quiet || !sim_percent(sim, 5)) { /* else the connection broke */
            sim_ask_heard(sim, &turn->asks[i]);
        }
    }
    for (int i = 0; i < turn->own_count; i++) {
        learn_wakes(sim, turn->own[i]);
    }
    for (int i = 0; i < SIM_JOBS; i++) {
        struct sim_job *job = &sim->jobs[i];
        if (job->state == SIM_FREE || !job->settled) {
            continue;
        }
        job->settled = false;
        if (job->state == SIM_READY && (job->kind == SIM_TELL || job->rc == RC_OK)) {
            continue; /* leased: it may run */
        }
        if (job->state == SIM_ENDED && job->rc == RC_BUSY) {
            continue; /* once more, with the same outcome */
        }
        learn_wakes(sim, &job->call);
        sim->job_count -= job->state == SIM_ENDED && job->kind == SIM_SEND;
        free_job(job);
    }
}

static void turn_void(struct sim *sim)
{
    sim->counts[SIM_VOIDS]++;
    for (int i = 0; i < SIM_JOBS; i++) {
        struct sim_job *job = &sim->jobs[i];
        if (job->state == SIM_FREE || !job->settled) {
            continue;
        }
        job->settled = false;
        if (job->state == SIM_READY) { /* the lease was not to be: nothing is sent */
            sim->job_count -= job->kind == SIM_SEND && job->rc == RC_OK;
            free_job(job);
        }
    }
    sim->plan_at_ms = sim->notice_at_ms = 0;
}

/* What may happen to the disk in the commit. */
static void draw_disk(struct sim *sim)
{
    if (sim->quiet) {
        return;
    }
    if (sim->profile.full_disk && sim_percent(sim, 5)) {
        fault_disk.fail_write_in = 1 + (int64_t)sim_random(sim, 6);
    }
    if (sim->profile.power && sim_percent(sim, 4)) {
        fault_disk.power_in = 1 + (int64_t)sim_random(sim, 25);
    }
    if (sim->profile.busy_store && sim_percent(sim, 8)) {
        sim->faults.fail_commit_in = 1 + (int)sim_random(sim, 4);
        sim->faults.fail_with = RC_BUSY;
    }
}

static void finish(struct sim *sim, struct sim_turn_calls *turn)
{
    struct call end = {.arena = &sim->turn_arena};
    if (!sim->quiet && sim->profile.crashes && sim_percent(sim, 2) && !sim->second) {
        sim_crash(sim, FAULT_LOSE_NOTHING); /* before the commit: nobody was answered */
        return;
    }
    switch (store_sqlite_turn_commit(sim->disk, &end)) {
    case RC_OK:
        turn_holds(sim, turn);
        if (!sim->quiet && sim->profile.crashes && sim_percent(sim, 2)) {
            sim_crash(sim, FAULT_LOSE_NOTHING); /* after the commit, before anything left */
            return;
        }
        let_out(sim, turn);
        break;
    case RC_BUSY:
        CHECK(fault_disk.full || fault_disk.dead);
        turn_void(sim);
        break;
    default:
        CHECK(fault_disk.dead); /* nothing else breaks this disk */
        sim->tallies_known = false;
        sim_crash(sim, sim_percent(sim, 50) ? FAULT_LOSE_ALL : FAULT_LOSE_SOME);
        return;
    }
    fault_disk.full = false;
    fault_disk.fail_write_in = fault_disk.power_in = 0;
}

void sim_turn(struct sim *sim, int ask_count)
{
    struct sim_turn_calls turn = {.ask_count = ask_count};
    CHECK(sim->up && ask_count <= ASKS_MAX);
    arena_reset(&sim->turn_arena);
    sim->counts[SIM_TURNS]++;
    sim->latest_ms = max_i64(sim->latest_ms, sim_now_ms(sim));
    draw_disk(sim);
    store_sqlite_turn_begin(sim->disk);
    look_at_clock(sim, &turn);
    settle_ended(sim);
    for (int i = 0; i < ask_count; i++) {
        sim_ask_new(sim, &turn.asks[i]);
        call_open(&turn.calls[i], &sim->turn_arena, &sim->world);
        sim_ask_send(sim, &turn.asks[i], &turn.calls[i]);
    }
    if (!sim->clock_pending || turn.clock_written) {
        plan_due(sim, &turn);
        lease_due(sim);
    }
    list_notices(sim, &turn);
    expire(sim, &turn);
    sim->faults.fail_commit_in = 0;
    finish(sim, &turn);
}
