/* The world of the simulator: chance, two clocks, a disk that loses what was not synced, SAP behind its connector, and
 * the two moments of a send at which anything may happen: before its first byte and after SAP has done it. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/name.h"
#include "dynamo_rig.h"

#define START_MS INT64_C(1795428300000) /* 2026-11-23T10:05:00Z */
#define READS_EVERY 20 /* a list of DynamoDB is 16 queries, counts are 80 and more */

/* ---- chance ------------------------------------------------------------------------------------ */

uint64_t sim_random(struct sim *sim, uint64_t below) /* splitmix64 */
{
    uint64_t z = (sim->chance += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

bool sim_percent(struct sim *sim, int percent)
{
    return (int)sim_random(sim, 100) < percent;
}

struct str sim_text(struct sim *sim, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CHECK(len >= 0 && len < (int)sizeof text);
    return arena_copy(&sim->arena, (struct str){text, (size_t)len});
}

/* ---- clocks --------------------------------------------------------------------------------------- */

int64_t sim_now_ms(struct sim *sim)
{
    return clock_now_ms(&sim->clock.clock);
}

int64_t sim_true_ms(struct sim *sim)
{
    return clock_now_ms(&sim->truth.clock);
}

void sim_advance(struct sim *sim, int64_t ms)
{
    clock_manual_advance(&sim->clock, ms);
    clock_manual_advance(&sim->truth, ms);
}

void sim_step_clock(struct sim *sim, int64_t ms)
{
    clock_manual_step(&sim->clock, ms);
    sim->counts[SIM_STEPS]++;
}

/* ---- inside a send ------------------------------------------------------------------------------------ */

static bool is_zombie(const struct sim *sim)
{
    return sim->running && sim->running->epoch != sim->epoch;
}

/* Time goes by, other things happen, the process dies; the send knows of nothing. */
static void disturb(struct sim *sim)
{
    if (sim->quiet) {
        return;
    }
    if (sim_percent(sim, 12)) {
        sim_advance(sim, (int64_t)sim_random(sim, 4000));
    }
    if (sim_percent(sim, 2)) { /* long enough for send_before, or the lease, to pass */
        sim_advance(sim, 60000 + (int64_t)sim_random(sim, 150000));
    }
    if (sim_percent(sim, 12) && sim->depth < SIM_DEPTH_MAX) {
        sim_anything(sim);
    }
    if (sim->up && sim->profile.crashes && sim_percent(sim, 2)) {
        sim_crash(sim, FAULT_LOSE_NOTHING);
    }
}

static void before_send(void *context, const struct outbound *outbound UNUSED)
{
    struct sim *sim = context;
    disturb(sim);
    if (is_zombie(sim) && !sim->profile.zombies) { /* a dead process sends nothing more */
        struct sap_fault gone = {.drop = SAP_DROP_BEFORE};
        sap_mock_faults_clear(downstream_mock_sap(sim->downstream));
        sap_mock_fault(downstream_mock_sap(sim->downstream), &gone);
    }
}

static void after_send(void *context, const struct outbound *outbound UNUSED,
                       const struct sap_answer *answer UNUSED)
{
    struct sim *sim = context;
    const struct sap_mock *sap = downstream_mock_sap(sim->downstream);
    size_t count = sap_mock_log_count(sap);
    CHECK(count > 0 && count <= SIM_EFFECTS);
    CHECK_INT(sap_mock_log_at(sap, count - 1)->no, (int64_t)count); /* none was dropped */
    sim->effects[count - 1] = (struct sim_effect){
        .true_ms = sim_true_ms(sim),
        .offset_ms = sim_now_ms(sim) - sim_true_ms(sim),
        .repeat_id = arena_copy(&sim->arena, sim->running->lease.body.repeat_id)};
    disturb(sim);
}

static void pass_time(void *context, int64_t ms)
{
    sim_advance(context, ms);
}

/* ---- who is told --------------------------------------------------------------------------------------------- */

/* P8: the same event has the same bytes at every try */
static enum told note_event(struct notifier *notifier, struct call *call UNUSED,
                            const struct event *event, int64_t *ret_again_at_ms UNUSED)
{
    struct sim *sim = (struct sim *)((char *)notifier - offsetof(struct sim, notifier));
    int at = 0;
    while (at < sim->told_count && !str_equal(sim->told[at].id, event->id)) {
        at++;
    }
    if (!sim->quiet && sim_percent(sim, 15)) {
        return TOLD_AGAIN;
    }
    if (at == sim->told_count) {
        CHECK(sim->told_count < SIM_TOLD);
        sim->told[sim->told_count++] = (struct sim_told){arena_copy(&sim->arena, event->id),
                                                         arena_copy(&sim->arena, event->body)};
    }
    CHECK_BYTES(event->body, sim->told[at].body);
    return TOLD_DONE;
}

static const struct notifier_ops notifier_ops = {note_event};

/* ---- the process ---------------------------------------------------------------------------------------------- */

void sim_start(struct sim *sim)
{
    const struct store_sqlite_options options = {.turns = true,
                                                 .vfs = fault_vfs(),
                                                 .checkpoint_pages = 50,
                                                 .cache_kib = 512,
                                                 .tail_names = 2};
    int64_t newest_ms = 0;
    struct call call = {.arena = &sim->turn_arena};
    enum rc rc = store_sqlite_open(&call, "sim.db", &options, &sim->disk);
    CHECK_STR(str_of(call.why), "");
    CHECK_RC(rc, RC_OK);
    CHECK_RC(store_sqlite_newest_at_ms(sim->disk, &call, &newest_ms), RC_OK);
    sim->world.store = sim->disk;
    if (sim->second) {
        store_mirror_open(&sim->mirror, sim->disk, sim->second, READS_EVERY);
        sim->world.store = &sim->mirror.store;
    }
    sim->world.store->faults = &sim->faults;
    sim->faults.fail_commit_in = 0;
    sim->clock_offset_ms = sim_now_ms(sim) - clock_boot_ms(&sim->clock.clock);
    sim->clock_pending = newest_ms > sim_now_ms(sim);
    sim->due_count = sim->job_count = 0;
    sim->plan_at_ms = sim->notice_at_ms = 0;
    sim->up = true;
}

void sim_crash(struct sim *sim, enum fault_loss loss)
{
    sim->counts[loss == FAULT_LOSE_NOTHING ? SIM_CRASHES : SIM_POWER]++;
    fault_disk.dead =
        true; /* a process that is killed writes nothing more, not even when its files are closed */
    store_sqlite_close(sim->disk);
    fault_disk_restart(loss, sim_random(sim, UINT64_MAX));
    sim->world.store = sim->disk = NULL;
    sim->up = false;
    sim->epoch++;
    sim_free_jobs(sim);
}

/* ---- a run's beginning and end --------------------------------------------------------------------------------- */

static void draw_profile(struct sim *sim)
{
    struct sim_profile *profile = &sim->profile;
    bool calm = sim_percent(sim, 10);
    profile->crashes = !calm && sim_percent(sim, 70);
    profile->power = !calm && sim_percent(sim, 50);
    profile->steps = !calm && sim_percent(sim, 25);
    profile->late = !calm && !profile->steps && sim_percent(sim, 70);
    profile->full_disk = !calm && sim_percent(sim, 30);
    profile->busy_store = !calm && sim_percent(sim, 30);
    profile->lag = !calm && sim_percent(sim, 30);
    profile->short_history =
        !profile->steps && sim_percent(sim, 20); /* a wrong clock ends a history early */
    profile->zombies = !profile->steps && sim_percent(sim, 50);
    profile->concurrency = 1 + (int)sim_random(sim, 3);
    profile->fault_percent = calm ? 0 : (int)sim_random(sim, 25);
    /* a crash may forget a refused logon, a clock that is set back when it was */
    profile->guarded =
        !profile->crashes && !profile->power && !profile->steps && sim_percent(sim, 70);
    if (profile->guarded) {
        profile->concurrency =
            1 + profile->concurrency % 2; /* three senders may lock the user at once */
    }
    if (sim->second) { /* DynamoDB knows no turns, hence no void ones, and deletes at times of its own */
        profile->power = profile->full_disk = profile->short_history = false;
    }
}

static void draw_settings(struct sim *sim)
{
    settings_default(&sim->settings);
    sim->settings.downstream_concurrency = sim->profile.concurrency;
    sim->settings.history_days = sim->profile.short_history ? 1 : 90;
    if (sim_percent(sim, 30)) { /* so that work dies now and then */
        sim->settings.max_attempts = 1 + (int64_t)sim_random(sim, 4);
    }
    if (sim_percent(sim, 20)) {
        sim->settings.window_ms = 900000 * (1 + (int64_t)sim_random(sim, 3));
    }
    sim->faults.lag_ms = sim->profile.lag ? 1 + (int64_t)sim_random(sim, 2000) : 0;
}

static void open_downstream(struct sim *sim)
{
    struct call call = {.arena = &sim->turn_arena};
    struct downstream_mock_options options = {
        .hooks = {.context = sim, .wait = pass_time, .before = before_send, .after = after_send},
        .clock = &sim->truth.clock,
        .slots = SIM_DEPTH_MAX + 2};
    sim_sap_open(sim, &call, &options);
    sim->world.downstream = sim->downstream;
}

static void make_keys(struct sim *sim)
{
    static const char *const owners[SIM_OWNERS] = {"acme", "bolt"};
    for (int i = 0; i <= SIM_OWNERS; i++) {
        struct key key;
        struct str secret = STR_NONE;
        struct call *call = sim_call(sim);
        bool customer = i < SIM_OWNERS;
        struct key_new new = {.owner = customer ? str_of(owners[i]) : STR_NONE,
                              .label = STR("sim"),
                              .role = customer ? ROLE_CUSTOMER : ROLE_OPERATOR,
                              .realm = STR("live")};
        store_sqlite_turn_begin(sim->disk);
        CHECK_RC(auth_create(&sim->world, call, STR("sim"), &new, &key, &secret), RC_OK);
        CHECK_RC(store_sqlite_turn_commit(sim->disk, call), RC_OK);
        sim->credentials[i] = arena_copy(&sim->arena, secret);
    }
}

void sim_open(struct sim *sim, uint64_t seed)
{
    memset(sim, 0, sizeof *sim);
    sim->seed = seed;
    sim->chance = seed;
    sim->chance =
        sim_random(sim, UINT64_MAX); /* else the next seed's chance is this one's, a step on */
    sim->tallies_known = true;
    if (dynamo_endpoint()) {
        dynamo_forget_table();
        sim->second = dynamo_open();
    }
    fault_disk_seed(seed);
    arena_open(&sim->arena, (size_t)256 << 20);
    arena_open(&sim->turn_arena, (size_t)256 << 20);
    int64_t start_ms = START_MS + (int64_t)sim_random(sim, 3600000);
    clock_manual_open(&sim->clock, start_ms, seed);
    clock_manual_open(&sim->truth, start_ms, seed);
    draw_profile(sim);
    draw_settings(sim);
    sim->notifier = (struct notifier){.ops = &notifier_ops, .customers = true};
    sim->world = (struct world){
        .notifier = &sim->notifier, .clock = &sim->clock.clock, .settings = &sim->settings};
    for (int i = 0; i < SIM_DEVICES; i++) {
        sim->names[i] = sim_text(sim, "Pump-%d", i);
        sim->keys[i] = sim_text(sim, "live/pump-%d", i);
        sim->owners[i] = (int)sim_random(sim, SIM_OWNERS);
    }
    sim->keys[SIM_SYSTEM] = STR("live/!system");
    memset(sim->seen_seq, -1, sizeof sim->seen_seq);
    open_downstream(sim);
    sim_start(sim);
    make_keys(sim);
}

void sim_close(struct sim *sim)
{
    sim->epoch++;
    sim_free_jobs(sim);
    store_sqlite_close(sim->disk);
    dynamo_close(sim->second);
    downstream_mock_close(sim->downstream);
    fault_disk_erase();
    arena_close(&sim->turn_arena);
    arena_close(&sim->arena);
}
