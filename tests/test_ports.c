/* The gate: what it lets through unchanged, what it refuses, and the faults it injects. Behind it stands a
 * store that does what the test says, or one that breaks its word. */
#include "core/ports.h"

#include "adapters/clock_manual.h"
#include "adapters/store_sqlite.h"
#include "store_desk.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOUR_MS INT64_C(3600000)

/* ---- a store on strings -------------------------------------------------------------------------- */

/* What the next operations give. */
struct puppet {
    struct store store; /* first */
    enum rc rc;
    struct device device;
    struct work_page work;
    struct entry_page entries;
    int64_t until_ms; /* that it was asked for */
    int calls;
};

static struct puppet *puppet_of(struct store *store)
{
    struct puppet *puppet = (struct puppet *)store;
    puppet->calls++;
    return puppet;
}

static enum rc puppet_get(struct store *store, struct call *call UNUSED, struct str key UNUSED,
                          struct device *ret_device)
{
    struct puppet *puppet = puppet_of(store);
    *ret_device = puppet->device; /* also when it fails: the gate must not hand that on */
    return puppet->rc;
}

static enum rc puppet_work(struct store *store, struct call *call UNUSED, enum work work UNUSED,
                           struct str realm UNUSED, int shard UNUSED, int64_t until_ms,
                           struct str after UNUSED, int limit UNUSED, struct work_page *ret_page)
{
    struct puppet *puppet = puppet_of(store);
    puppet->until_ms = until_ms;
    *ret_page = puppet->work;
    return puppet->rc;
}

static enum rc puppet_log(struct store *store, struct call *call UNUSED, struct str key UNUSED,
                          int64_t from_seq UNUSED, int64_t to_seq UNUSED, bool newest_first UNUSED,
                          int limit UNUSED, struct entry_page *ret_page)
{
    *ret_page = puppet_of(store)->entries;
    return RC_OK;
}

static enum rc puppet_commit(struct store *store, struct call *call UNUSED,
                             const struct change *change UNUSED)
{
    return puppet_of(store)->rc;
}

static enum rc puppet_ping(struct store *store, struct call *call UNUSED)
{
    return puppet_of(store)->rc;
}

static const struct store_ops puppet_ops = {.device_get = puppet_get,
                                            .work_list = puppet_work,
                                            .log_list = puppet_log,
                                            .commit = puppet_commit,
                                            .ping = puppet_ping};

static void open_puppet(struct desk *desk, struct puppet *puppet)
{
    *puppet = (struct puppet){.store.ops = &puppet_ops};
    desk_open(desk, &puppet->store);
}

/* Does it abort? Asked in a child, whose words are not shown. */
static bool trips(void (*act)(struct desk *, struct puppet *))
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct desk desk;
        struct puppet puppet;
        int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, STDERR_FILENO);
        open_puppet(&desk, &puppet);
        act(&desk, &puppet);
        _exit(0);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* ---- who may, and what is let through --------------------------------------------------------------- */

static void ask_from_a_job(struct desk *desk, struct puppet *puppet UNUSED)
{
    desk->call.on_pool = true;
    (void)!store_ping(desk->store, &desk->call);
}

TEST(a_store_call_from_a_pool_job_trips_the_gate)
{
    CHECK(trips(ask_from_a_job));
}

TEST(an_output_is_untouched_unless_it_went_well)
{
    struct desk desk;
    struct puppet puppet;
    struct device device = {.version = 42};
    open_puppet(&desk, &puppet);
    puppet.device = (struct device){.version = 7};
    puppet.rc = RC_BUSY;
    CHECK_RC(store_device_get(desk.store, &desk.call, STR("live/a"), &device), RC_BUSY);
    CHECK_INT(device.version, 42);
    puppet.rc = RC_OK;
    puppet.device = (struct device){0};
    CHECK_RC(store_device_get(desk.store, &desk.call, STR("live/a"), &device), RC_OK);
    CHECK_INT(device.version, 0);
    desk_close(&desk);
}

static void read_a_bad_record(struct desk *desk, struct puppet *puppet)
{
    struct device device;
    puppet->device = (struct device){.version = 7, .key = STR("live/a")};
    (void)!store_device_get(desk->store, &desk->call, STR("live/a"), &device);
}

/* A record that breaks the contract is our own mistake, but in a file that is only checked. */
TEST(a_bad_record_of_a_foreign_file_is_an_error_in_words)
{
    struct desk desk;
    struct puppet puppet;
    struct device device = {.version = 42};
    CHECK(trips(read_a_bad_record));
    open_puppet(&desk, &puppet);
    puppet.store.foreign = true;
    puppet.device = (struct device){.version = 7, .key = STR("live/a")};
    CHECK_RC(store_device_get(desk.store, &desk.call, STR("live/a"), &device), RC_BROKEN);
    CHECK_HAS(str_of(desk.call.why), "device->revision > 0");
    CHECK_INT(device.version, 42);
    desk_close(&desk);
}

/* ---- changes that no core may hand over ----------------------------------------------------------------- */

static void draft(struct desk *desk, struct desk_draft *ret_draft)
{
    desk_new(desk, ret_draft, "live/a", "acme");
    ret_draft->device.version = 5;
    ret_draft->device.seq = 9;
    ret_draft->entries[0].seq = 9;
    ret_draft->change.expect_version = 4;
}

#define BAD_CHANGE(name, spoil)                                                                    \
    static void commit_##name(struct desk *desk, struct puppet *puppet UNUSED)                     \
    {                                                                                              \
        struct desk_draft d;                                                                       \
        draft(desk, &d);                                                                           \
        spoil;                                                                                     \
        (void)!desk_commit(desk, &d);                                                              \
    }

static struct body a_body = {
    .delivery = 5, .target = {"{}", 2}, .bytes = {"{}", 2}, .repeat_id = {"r", 1}};

BAD_CHANGE(nothing_wrong, (void)0)
BAD_CHANGE(version_not_next, d.device.version = 6)
BAD_CHANGE(entry_with_a_gap, d.entries[0].seq = 8)
BAD_CHANGE(entry_of_no_kind, d.entries[0].kind = ENTRY_NO_KIND)
BAD_CHANGE(entry_without_sha, d.entries[0].sha = STR("short"))
BAD_CHANGE(sha_of_another_entry, d.device.log_sha = desk_sha(desk, 77))
BAD_CHANGE(new_device_not_from_0, (d.change.expect_version = 0, d.device.version = 1))
BAD_CHANGE(end_without_update, d.change.ended = ENDED_CANCELLED)
BAD_CHANGE(end_of_a_new_entry, (d.change.ended = ENDED_CANCELLED, d.change.ended_seq = 9))
BAD_CHANGE(body_of_another_seal,
           (d.change.body = &a_body, d.device.version = 6, d.change.expect_version = 5))
BAD_CHANGE(seal_without_body, d.device.flight.delivery = 5)
BAD_CHANGE(retired_base, (d.device.base = 3, d.change.retire_body = 3))
BAD_CHANGE(key_outside_its_realm, d.device.realm = STR("test-x"))
BAD_CHANGE(too_many_rows, d.change.entry_count = 9)
BAD_CHANGE(nothing_at_all, d.change = (struct change){0})

TEST(a_change_that_breaks_a_rule_trips_the_gate)
{
    CHECK(!trips(commit_nothing_wrong));
    CHECK(trips(commit_version_not_next));
    CHECK(trips(commit_entry_with_a_gap));
    CHECK(trips(commit_entry_of_no_kind));
    CHECK(trips(commit_entry_without_sha));
    CHECK(trips(commit_sha_of_another_entry));
    CHECK(trips(commit_new_device_not_from_0));
    CHECK(trips(commit_end_without_update));
    CHECK(trips(commit_end_of_a_new_entry));
    CHECK(trips(commit_body_of_another_seal));
    CHECK(trips(commit_seal_without_body));
    CHECK(trips(commit_retired_base));
    CHECK(trips(commit_key_outside_its_realm));
    CHECK(trips(commit_too_many_rows));
    CHECK(trips(commit_nothing_at_all));
}

/* ---- the hour rule ------------------------------------------------------------------------------------------ */

static struct settings hours;

/* A seal at ten past, of a device whose last effect began so long after the hour. */
static void seal(struct desk *desk, int64_t effect_ms, int64_t send_before_ms)
{
    struct desk_draft d;
    int64_t hour_ms = DESK_NOW_MS / HOUR_MS * HOUR_MS;
    settings_default(&hours);
    desk->call.settings = &hours;
    desk->call.now_ms = hour_ms + 600000;
    draft(desk, &d);
    d.change.body = &a_body;
    d.device.work = WORK_FLIGHT;
    d.device.effect_at_ms = hour_ms + effect_ms;
    d.device.flight = (struct flight){
        .delivery = 5, .lease_no = 1, .send_before_at_ms = hour_ms + send_before_ms};
    (void)!desk_commit(desk, &d);
}

static void seal_after_an_effect_of_the_hour_before(struct desk *desk, struct puppet *puppet UNUSED)
{
    seal(desk, -1, HOUR_MS - 2000);
}

static void seal_after_an_effect_of_this_hour(struct desk *desk, struct puppet *puppet UNUSED)
{
    seal(desk, 0, HOUR_MS - 2000);
}

static void seal_that_may_leave_too_late(struct desk *desk, struct puppet *puppet UNUSED)
{
    seal(desk, -1, HOUR_MS - 1999);
}

/* P2: whatever the core came to think, no second seal of a window becomes durable */
TEST(a_second_seal_in_a_window_trips_the_gate)
{
    CHECK(!trips(seal_after_an_effect_of_the_hour_before));
    CHECK(trips(seal_after_an_effect_of_this_hour));
    CHECK(trips(seal_that_may_leave_too_late));
}

/* ---- adapters that break their word ------------------------------------------------------------------------- */

static void read_another_device(struct desk *desk, struct puppet *puppet)
{
    struct device device;
    struct desk_draft d;
    draft(desk, &d);
    puppet->device = d.device;
    (void)!store_device_get(desk->store, &desk->call, STR("live/b"), &device);
}

static void read_with_a_strange_code(struct desk *desk, struct puppet *puppet)
{
    struct device device;
    puppet->rc = RC_CONFLICT;
    (void)!store_device_get(desk->store, &desk->call, STR("live/a"), &device);
}

static void commit_with_a_strange_code(struct desk *desk, struct puppet *puppet)
{
    struct desk_draft d;
    draft(desk, &d);
    puppet->rc = RC_REPEATED; /* though there was no reply */
    (void)!desk_commit(desk, &d);
}

static void list_work_that_is_not_due(struct desk *desk, struct puppet *puppet)
{
    struct work_item item = {.key = STR("live/a"), .at_ms = 11};
    struct work_page page;
    puppet->work = (struct work_page){.items = &item, .count = 1, .after = STR("x")};
    (void)!store_work_list(desk->store, &desk->call, WORK_OPEN, STR("live"), SHARD_ALL, 10, STR(""),
                           5, &page);
}

static void list_entries_out_of_order(struct desk *desk, struct puppet *puppet)
{
    struct desk_draft d;
    struct entry_page page;
    draft(desk, &d);
    d.entries[1] = d.entries[0];
    puppet->entries = (struct entry_page){.items = d.entries, .count = 2};
    (void)!store_log_list(desk->store, &desk->call, STR("live/a"), 0, 99, false, 5, &page);
}

TEST(an_adapter_that_breaks_its_word_trips_the_gate)
{
    CHECK(trips(read_another_device));
    CHECK(trips(read_with_a_strange_code));
    CHECK(trips(commit_with_a_strange_code));
    CHECK(trips(list_work_that_is_not_due));
    CHECK(trips(list_entries_out_of_order));
}

/* ---- faults ---------------------------------------------------------------------------------------------------- */

TEST(the_nth_operation_fails_once_and_the_adapter_is_not_asked)
{
    struct desk desk;
    struct puppet puppet;
    struct store_faults faults = {.fail_in = 2, .fail_with = RC_BROKEN};
    open_puppet(&desk, &puppet);
    puppet.store.faults = &faults;
    CHECK_RC(store_ping(desk.store, &desk.call), RC_OK);
    CHECK_RC(store_ping(desk.store, &desk.call), RC_BROKEN);
    CHECK_HAS(str_of(desk.call.why), "fault");
    CHECK_RC(store_ping(desk.store, &desk.call), RC_OK);
    CHECK_INT(puppet.calls, 2);
    CHECK_INT(faults.op_count, 3);
    desk_close(&desk);
}

TEST(the_nth_commit_fails_whatever_is_read_between)
{
    struct desk desk;
    struct puppet puppet;
    struct desk_draft d;
    struct store_faults faults = {.fail_commit_in = 2, .fail_with = RC_BUSY};
    open_puppet(&desk, &puppet);
    puppet.store.faults = &faults;
    draft(&desk, &d);
    CHECK_RC(desk_commit(&desk, &d), RC_OK);
    CHECK_RC(store_ping(desk.store, &desk.call), RC_OK);
    CHECK_RC(desk_commit(&desk, &d), RC_BUSY);
    CHECK_RC(desk_commit(&desk, &d), RC_OK);
    CHECK_INT(puppet.calls, 3);
    desk_close(&desk);
}

TEST(a_lagging_index_sees_only_what_was_due_some_time_ago)
{
    struct desk desk;
    struct puppet puppet;
    struct work_page page;
    struct store_faults faults = {.lag_ms = 300};
    open_puppet(&desk, &puppet);
    puppet.store.faults = &faults;
    CHECK_RC(store_work_list(desk.store, &desk.call, WORK_OPEN, STR("live"), SHARD_ALL, 1000,
                             STR(""), 5, &page),
             RC_OK);
    CHECK_INT(puppet.until_ms, 700);
    desk_close(&desk);
}

/* ---- world ------------------------------------------------------------------------------------------------------ */

TEST(a_call_gets_its_moment_its_id_and_the_settings_of_the_world)
{
    struct clock_manual clock;
    struct settings settings;
    struct arena arena;
    struct call first, second;
    clock_manual_open(&clock, DESK_NOW_MS, 1);
    settings_default(&settings);
    struct world world = {.clock = &clock.clock, .settings = &settings};
    arena_open(&arena, 0);
    call_open(&first, &arena, &world);
    clock_manual_advance(&clock, 5);
    call_open(&second, &arena, &world);
    CHECK_INT(first.now_ms, DESK_NOW_MS);
    CHECK_INT(second.now_ms, DESK_NOW_MS + 5);
    CHECK_INT((int64_t)first.id.len, 36);
    CHECK_INT(first.id.s[14], '7');
    CHECK(str_compare(first.id, second.id) < 0);
    CHECK(second.settings == &settings && !second.wrote && second.wake_count == 0);
    arena_close(&arena);
}

TEST(the_live_realm_has_the_downstream_and_every_other_the_mock)
{
    struct downstream live, mock;
    struct world world = {.downstream = &live, .mock = &mock};
    CHECK(world_downstream(&world, STR("live")) == &live);
    CHECK(world_downstream(&world, STR("test-acme")) == &mock);
    CHECK(world_downstream(&world, STR("livelihood")) == &mock);
}
