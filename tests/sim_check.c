/* What must hold: on the store (the core's own check, and a second replay that shares no code with it), on SAP's log,
 * and on what customers were answered. I1 to I7 are the invariants that core/check.h names. */
#include "sim.h"

#include <stdio.h>

#include "core/check.h"
#include "core/log.h"
#include "core/notice.h"
#include "core/update.h"

struct call *sim_call(struct sim *sim)
{
    struct call *call = arena_new(&sim->turn_arena, struct call);
    struct clock_manual apart = sim->clock; /* looking must not use up the run's randomness */
    struct world world = sim->world;
    world.clock = &apart.clock;
    call_open(call, &sim->turn_arena, &world);
    return call;
}

struct device sim_device(struct sim *sim, struct call *call, int device)
{
    struct device record;
    CHECK_RC(store_device_get(sim->world.store, call, sim->keys[device], &record), RC_OK);
    return record;
}

static struct entry_page whole_log(struct sim *sim, struct call *call, int device)
{
    struct entry_page page;
    CHECK_RC(
        store_log_list(sim->world.store, call, sim->keys[device], 0, INT64_MAX, false, 1001, &page),
        RC_OK);
    CHECK(!page.more);
    return page;
}

/* For people: what a record and its log say. */
static void print_record(struct sim *sim, struct call *call, int device)
{
    struct device record = sim_device(sim, call, device);
    struct entry_page log = whole_log(sim, call, device);
    fprintf(stderr,
            STR_FMT ": version %lld work %d at %lld now %lld from_seq %lld seq %lld pending %lld "
                    "flight %lld (%lld..%lld) base %lld\n",
            STR_ARG(record.key), (long long)record.version, (int)record.work,
            (long long)record.at_ms, (long long)sim_now_ms(sim), (long long)record.from_seq,
            (long long)record.seq, (long long)record.pending_count,
            (long long)record.flight.delivery, (long long)record.flight.from_seq,
            (long long)record.flight.to_seq, (long long)record.base);
    for (int i = 0; i < log.count; i++) {
        const struct entry *entry = &log.items[i];
        fprintf(stderr, "%4lld %-10s %lld..%lld delivery %lld ended %d at %lld " STR_FMT "\n",
                (long long)entry->seq, entry_kind_name(entry->kind), (long long)entry->from_seq,
                (long long)entry->to_seq, (long long)entry->delivery, (int)entry->ended,
                (long long)entry->at_ms,
                STR_ARG(str_head(entry->data, entry->data.len < 150 ? entry->data.len : 150)));
    }
}

/* ---- each record -------------------------------------------------------------------------------- */

/* Where retention took entries the log begins with 0 and goes on later. */
static bool is_whole(const struct entry_page *log)
{
    return log->count > 0 && log->items[log->count - 1].seq == log->count - 1;
}

/* Is this update out of the document: rejected, cancelled, satisfied by itself? I1: by exactly one end. */
static bool is_out(const struct entry_page *log, const struct entry *update)
{
    int ends = update->ended != ENDED_NONE;
    bool out = update->ended == ENDED_CANCELLED;
    for (int i = 0; i < log->count; i++) {
        const struct entry *entry = &log->items[i];
        if (entry->seq > update->seq && entry_ends(entry->kind) && entry->from_seq <= update->seq &&
            entry->to_seq >= update->seq && update->ended == ENDED_NONE) {
            ends++;
            out |= entry->kind == ENTRY_rejected || entry->kind == ENTRY_cancelled;
            break;
        }
    }
    CHECK(ends <= 1);
    return out;
}

/* I4 by yyjson's own merge: created document + patches of all updates that are not out. */
static void check_document(struct sim *sim, struct call *call, const struct device *record,
                           const struct entry_page *log)
{
    yyjson_alc alc = json_alc(call->arena);
    yyjson_read_flag raw = YYJSON_READ_NUMBER_AS_RAW;
    struct str created = log_attributes(call, &log->items[0]);
    yyjson_doc *base = yyjson_read_opts((char *)(uintptr_t)created.s, created.len, raw, &alc, NULL);
    yyjson_mut_doc *doc = yyjson_doc_mut_copy(base, &alc);
    (void)sim;
    for (int i = 1; i < log->count; i++) {
        const struct entry *entry = &log->items[i];
        if (entry->kind != ENTRY_update || is_out(log, entry)) {
            continue;
        }
        struct str text = log_attributes(call, entry);
        yyjson_doc *patch = yyjson_read_opts((char *)(uintptr_t)text.s, text.len, raw, &alc, NULL);
        yyjson_mut_doc *patch_copy = yyjson_doc_mut_copy(patch, &alc);
        yyjson_mut_val *merged = yyjson_mut_merge_patch(doc, yyjson_mut_doc_get_root(doc),
                                                        yyjson_mut_doc_get_root(patch_copy));
        CHECK(merged != NULL);
        yyjson_mut_doc_set_root(doc, merged);
    }
    yyjson_doc *is =
        yyjson_read_opts((char *)(uintptr_t)record->doc.s, record->doc.len, raw, &alc, NULL);
    yyjson_mut_doc *is_copy = yyjson_doc_mut_copy(is, &alc);
    if (!yyjson_mut_equals(yyjson_mut_doc_get_root(doc), yyjson_mut_doc_get_root(is_copy))) {
        FAIL("I4: " STR_FMT " holds " STR_FMT ", its log makes " STR_FMT, STR_ARG(record->key),
             STR_ARG(record->doc), STR_ARG(json_write_mut(call->arena, doc)));
    }
}

static void expect_notices(struct sim *sim, int device, const struct entry_page *log)
{
    for (int i = 0; i < log->count; i++) {
        const struct entry *entry = &log->items[i];
        if (entry->seq > sim->seen_seq[device] && entry->notice_at_ms != 0 &&
            entry->kind != ENTRY_uncertain) {
            CHECK(sim->expected_count < SIM_NOTICES);
            sim->expected[sim->expected_count++] = (struct sim_expected){device, entry->seq};
        }
    }
}

static void check_record(struct sim *sim, int device)
{
    struct call *call = sim_call(sim);
    struct check_report report = {0};
    struct device record = sim_device(sim, call, device);
    if (record.version == 0) {
        CHECK_INT(sim->seen_version[device], 0); /* what was there stays there */
        return;
    }
    CHECK(record.version >= sim->seen_version[device] && record.seq >= sim->seen_seq[device]);
    if (record.version == sim->seen_version[device]) {
        return;
    }
    CHECK_RC(check_device(&sim->world, call, sim->keys[device], &report), RC_OK);
    if (report.finding_count > 0) {
        print_record(sim, call, device);
    }
    CHECK_STR(str_of(report.first), "");
    struct entry_page log = whole_log(sim, call, device);
    if (device != SIM_SYSTEM && is_whole(&log)) {
        check_document(sim, call, &record, &log);
    }
    expect_notices(sim, device, &log);
    sim->seen_version[device] = record.version;
    sim->seen_seq[device] = record.seq;
}

/* Faults are for the product, not for those who look. */
static struct store_faults look(struct sim *sim)
{
    struct store_faults kept = sim->faults;
    sim->faults = (struct store_faults){0};
    return kept;
}

void sim_check_changed(struct sim *sim)
{
    struct store_faults kept = look(sim);
    for (int i = 0; i < SIM_RECORDS && sim->up; i++) {
        check_record(sim, i);
    }
    sim->faults = kept;
}

/* ---- SAP's log -------------------------------------------------------------------------------------- */

static const struct sap_mock *sap_of(struct sim *sim)
{
    return downstream_mock_sap(sim->downstream);
}

static void print_sap(struct sim *sim, int device)
{
    for (size_t i = 0; i < sap_mock_log_count(sap_of(sim)); i++) {
        const struct sap_log *line = sap_mock_log_at(sap_of(sim), i);
        if (line->write && str_equal(line->name, str_from(sim->keys[device], 5))) {
            fprintf(stderr,
                    "sap %lld at %lld " STR_FMT " " STR_FMT
                    " status %d effect %d replayed %d late %d drop %d id " STR_FMT
                    " if-match " STR_FMT "\n",
                    (long long)line->no, (long long)line->at_ms, STR_ARG(line->method),
                    STR_ARG(line->equipment), line->status, line->effect, line->replayed,
                    line->late, line->drop,
                    STR_ARG(str_head(line->repeat_id,
                                     line->repeat_id.len < 8 ? line->repeat_id.len : 8)),
                    STR_ARG(line->if_match));
        }
    }
}

bool sim_had_effect(struct sim *sim, struct str repeat_id)
{
    bool known = false, effect = false;
    sap_mock_advance(downstream_mock_sap(sim->downstream), sim_true_ms(sim));
    for (size_t i = 0; i < sap_mock_log_count(sap_of(sim)); i++) {
        const struct sap_log *line = sap_mock_log_at(sap_of(sim), i);
        bool same = line->write && str_equal(sim->effects[i].repeat_id, repeat_id);
        known |= same;
        effect |= same && line->effect;
    }
    sim->counts[SIM_LOOKED_UP] += known;
    return effect;
}

static int64_t slot_at(const struct sim *sim, const struct sim_effect *aligned,
                       const struct sim_effect *at)
{
    int64_t ms = at->true_ms + aligned->offset_ms, window_ms = sim->settings.window_ms;
    return ms >= 0 ? ms / window_ms : (ms - window_ms + 1) / window_ms;
}

/* I2: consecutive effects of one device began in ascending windows. By hourbell's clock as it was set at the first of
 * them: a clock that is set wrong for good shifts the windows, and nobody can see that from inside. */
static void check_windows(struct sim *sim)
{
    const struct sap_log *before[SIM_DEVICES] = {0};
    size_t before_at[SIM_DEVICES] = {0};
    sim->counts[SIM_EFFECTS_SEEN] = 0;
    for (size_t i = 0; i < sap_mock_log_count(sap_of(sim)); i++) {
        const struct sap_log *line = sap_mock_log_at(sap_of(sim), i);
        for (int d = 0; d < SIM_DEVICES && line->effect; d++) {
            if (!str_equal(line->name, str_from(sim->keys[d], 5))) {
                continue;
            }
            sim->counts[SIM_EFFECTS_SEEN]++;
            const struct sim_effect *first = &sim->effects[before_at[d]],
                                    *second = &sim->effects[i];
            if (before[d] && slot_at(sim, first, second) <= slot_at(sim, first, first)) {
                FAIL("I2: two effects on " STR_FMT
                     " in one window: lines %lld and %lld of SAP's log",
                     STR_ARG(line->name), (long long)before[d]->no, (long long)line->no);
            }
            before[d] = line;
            before_at[d] = i;
        }
    }
}

/* I3: one effect and one body for each repeat id. */
static void check_repeat_ids(struct sim *sim)
{
    size_t count = sap_mock_log_count(sap_of(sim));
    for (size_t i = 0; i < count; i++) {
        const struct sap_log *line = sap_mock_log_at(sap_of(sim), i);
        struct str id = sim->effects[i].repeat_id;
        int effects = line->effect;
        for (size_t n = i + 1; n < count && line->write && id.len; n++) {
            const struct sap_log *other = sap_mock_log_at(sap_of(sim), n);
            if (other->write && str_equal(id, sim->effects[n].repeat_id)) {
                CHECK_BYTES(other->body_sha, line->body_sha);
                effects += other->effect;
            }
        }
        if (effects > 1) {
            FAIL("I3: %d effects of the delivery " STR_FMT, effects, STR_ARG(id));
        }
    }
}

/* ---- what was answered -------------------------------------------------------------------------------- */

/* I1: what was answered is there, as it was asked. */
static void check_facts(struct sim *sim)
{
    for (int i = 0; i < sim->fact_count; i++) {
        const struct sim_fact *fact = &sim->facts[i];
        struct call *call = sim_call(sim);
        struct entry_page page;
        CHECK_RC(store_log_list(sim->world.store, call, sim->keys[fact->device], fact->seq,
                                fact->seq, false, 1, &page),
                 RC_OK);
        if (page.count == 0 && sim->profile.short_history && fact->seq > 0) {
            continue; /* retention */
        }
        if (page.count != 1) {
            FAIL("I1: entry %lld of " STR_FMT " was answered and is gone", (long long)fact->seq,
                 STR_ARG(sim->keys[fact->device]));
        }
        const struct entry *entry = &page.items[0];
        if (fact->kind == SIM_CANCEL) {
            CHECK_INT(entry->ended, ENDED_CANCELLED);
        } else {
            CHECK_BYTES(log_attributes(call, entry), fact->attributes);
        }
    }
}

void sim_print(struct sim *sim)
{
    for (int device = 0; device < SIM_RECORDS; device++) {
        print_record(sim, sim_call(sim), device);
        if (device < SIM_DEVICES) {
            print_sap(sim, device);
        }
    }
}

void sim_check_all(struct sim *sim)
{
    if (!sim->up) {
        return;
    }
    struct store_faults kept = look(sim);
    CHECK_RC(store_sqlite_verify(sim->disk, sim_call(sim)), RC_OK);
    sim->faults = kept;
    sim_check_changed(sim);
    check_windows(sim);
    check_repeat_ids(sim);
    CHECK(!sap_mock_is_locked(sap_of(sim))); /* S7 */
    kept = look(sim);
    check_facts(sim);
    sim->faults = kept;
}

/* ---- at rest ------------------------------------------------------------------------------------------ */

/* P3, I1: every update has found its end. */
static void check_ends(struct sim *sim, int device, const struct device *record)
{
    struct call *call = sim_call(sim);
    struct entry_page log = whole_log(sim, call, device);
    for (int i = 1; i < log.count; i++) {
        struct update_view view;
        if (log.items[i].kind != ENTRY_update) {
            continue;
        }
        CHECK_RC(update_view(&sim->world, call, record, log.items[i].seq, &view), RC_OK);
        bool ended = view.state == UPDATE_delivered || view.state == UPDATE_satisfied ||
                     view.state == UPDATE_rejected || view.state == UPDATE_cancelled;
        if (!ended && !(view.state == UPDATE_dead && record->work == WORK_DEAD)) {
            FAIL("I1: update %lld of " STR_FMT " is %s", (long long)log.items[i].seq,
                 STR_ARG(record->key), update_state_name(view.state));
        }
    }
}

/* P4: SAP holds what the document says, as far as the mapping goes. */
static void check_downstream(struct sim *sim, int device, const struct device *record)
{
    static const char *const fields[][2] = {{"description", "EquipmentName"},
                                            {"vendor", "YY1_DEVICE_VENDOR"},
                                            {"product", "YY1_DEVICE_PRODUCT"},
                                            {"note", "YY1_DEVICE_NOTE"},
                                            {"building", "AssetLocation"}};
    struct call *call = sim_call(sim);
    yyjson_val *root = NULL;
    int64_t row = sap_mock_row_find(sap_of(sim), str_from(sim->keys[device], 5));
    if (record->base == 0) {
        return; /* nothing of it was ever due there, or everything was refused */
    }
    if (row < 0) {
        FAIL("I4: SAP has no " STR_FMT, STR_ARG(record->key));
    }
    CHECK_RC(json_read(call->arena, record->doc, 32, &root, NULL), RC_OK);
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        bool nested = strcmp(fields[i][0], "building") == 0;
        yyjson_val *parent = nested ? yyjson_obj_get(root, "location") : root;
        struct str wanted = json_member_str(parent, fields[i][0], STR(""));
        struct str is = sap_mock_row_value(sap_of(sim), (size_t)row, fields[i][1]);
        if (!str_equal(is, wanted)) {
            print_record(sim, call, device);
            print_sap(sim, device);
            FAIL("I4: " STR_FMT " of " STR_FMT " is \"" STR_FMT "\" in SAP, and \"" STR_FMT
                 "\" in " STR_FMT,
                 STR_ARG(str_of(fields[i][1])), STR_ARG(record->key), STR_ARG(is), STR_ARG(wanted),
                 STR_ARG(record->doc));
        }
    }
}

/* P8: whoever had to be told was told. */
static void check_told(struct sim *sim)
{
    for (int i = 0; i < sim->expected_count; i++) {
        const struct sim_expected *expected = &sim->expected[i];
        struct call *call = sim_call(sim);
        struct entry_page page;
        CHECK_RC(store_log_list(sim->world.store, call, sim->keys[expected->device], expected->seq,
                                expected->seq, false, 1, &page),
                 RC_OK);
        if (page.count == 0 && sim->profile.short_history) {
            continue;
        }
        if (sim_now_ms(sim) - page.items[0].at_ms > NOTICE_GIVE_UP_MS) {
            continue; /* days went by in one step, and the first try was the last */
        }
        CHECK_INT(page.count, 1);
        struct str id =
            notice_event_id(call->arena, sim->keys[expected->device], &page.items[0], 0);
        bool told = false;
        for (int n = 0; n < sim->told_count && !told; n++) {
            told = str_equal(sim->told[n].id, id);
        }
        if (!told) {
            print_record(sim, call, expected->device);
            print_record(sim, call, SIM_SYSTEM);
            FAIL("P8: nobody was told of entry %lld (%s) of " STR_FMT, (long long)expected->seq,
                 entry_kind_name(page.items[0].kind), STR_ARG(sim->keys[expected->device]));
        }
    }
}

/* The counters of the home are the sums of the logs. */
static void check_sums(struct sim *sim)
{
    int64_t kinds[ENTRY_KIND_COUNT] = {0};
    if (!sim->tallies_known || sim->profile.short_history) {
        return;
    }
    for (int device = 0; device < SIM_DEVICES; device++) {
        struct entry_page log = whole_log(sim, sim_call(sim), device);
        for (int i = 0; i < log.count; i++) {
            kinds[log.items[i].kind]++;
        }
    }
    CHECK_INT(sim->tallies[TALLY_devices_created], kinds[ENTRY_created]);
    CHECK_INT(sim->tallies[TALLY_updates_accepted], kinds[ENTRY_update]);
    CHECK_INT(sim->tallies[TALLY_deliveries_delivered], kinds[ENTRY_delivered]);
    CHECK_INT(sim->tallies[TALLY_deliveries_satisfied], kinds[ENTRY_satisfied]);
    CHECK_INT(sim->tallies[TALLY_deliveries_rejected], kinds[ENTRY_rejected]);
    CHECK_INT(sim->tallies[TALLY_deliveries_no_effect], kinds[ENTRY_no_effect]);
    CHECK_INT(sim->tallies[TALLY_deliveries_dead], kinds[ENTRY_dead]);
}

void sim_check_rest(struct sim *sim)
{
    sim_check_all(sim);
    for (int device = 0; device < SIM_DEVICES; device++) {
        struct device record = sim_device(sim, sim_call(sim), device);
        if (record.version == 0) {
            continue;
        }
        CHECK(record.work == WORK_NONE || record.work == WORK_DEAD);
        CHECK(record.hold_reason.len == 0);
        check_ends(sim, device, &record);
        if (record.work == WORK_NONE) {
            check_downstream(sim, device, &record);
        }
    }
    check_told(sim);
    check_sums(sim);
}
