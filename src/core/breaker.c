/* The breaker: one record per realm that says whether anything may go downstream at all. It is read at
 * each lease and written only when something changes. SAP locks a user after three refused logons, so
 * after refused credentials nothing is tried again until an operator asks or the credentials change,
 * and new credentials are proven by exactly one probe in the whole system: whoever wins the commit. */
#include "core/breaker.h"

#include "core/log.h"
#include "core/name.h"

static const char *const state_names[] = {"closed", "open", "stopped"};

/* --- the record's document ---------------------------------------------------------------------- */
static void breaker_read(struct breaker *breaker, yyjson_val *doc)
{
    struct str state = json_member_str(doc, "state", STR("closed"));
    breaker->state = str_is(state, "open")      ? BREAKER_OPEN
                     : str_is(state, "stopped") ? BREAKER_STOPPED
                                                : BREAKER_CLOSED;
    breaker->since_ms = json_member_i64(doc, "since_ms", 0);
    breaker->refused_count = json_member_i64(doc, "refused_count", 0);
    breaker->pause_until_ms = json_member_i64(doc, "pause_until_ms", 0);
    breaker->clock_hold_until_ms = json_member_i64(doc, "clock_hold_until_ms", 0);
    breaker->asked = json_member_bool(doc, "asked", false);
    breaker->code = json_member_str(doc, "code", STR_NONE);
    breaker->detail = json_member_str(doc, "detail", STR_NONE);
    breaker->pause_reason = json_member_str(doc, "pause_reason", STR_NONE);
    breaker->proven_sha = json_member_str(doc, "proven_sha", STR_NONE);
    breaker->refused_sha = json_member_str(doc, "refused_sha", STR_NONE);
}

static struct str breaker_write(struct call *call, const struct breaker *breaker)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "state", str_of(state_names[breaker->state]));
    json_add_i64(doc, root, "since_ms", breaker->since_ms);
    json_add_i64(doc, root, "refused_count", breaker->refused_count);
    json_add_i64(doc, root, "pause_until_ms", breaker->pause_until_ms);
    json_add_i64(doc, root, "clock_hold_until_ms", breaker->clock_hold_until_ms);
    json_add_bool(doc, root, "asked", breaker->asked);
    json_add_str(doc, root, "code", breaker->code);
    json_add_str(doc, root, "detail", breaker->detail);
    json_add_str(doc, root, "pause_reason", breaker->pause_reason);
    json_add_str(doc, root, "proven_sha", breaker->proven_sha);
    json_add_str(doc, root, "refused_sha", breaker->refused_sha);
    return json_write_mut(call->arena, doc);
}

enum rc breaker_get(struct world *world, struct call *call, struct str realm,
                    struct breaker *ret_breaker)
{
    struct breaker breaker = {0};
    struct str now_sha = world_downstream(world, realm)->credentials_sha;
    TRY(store_device_get(world->store, call, name_system(call, realm), &breaker.record));
    if (breaker.record.version) {
        yyjson_val *doc = NULL;
        if (json_read(call->arena, breaker.record.doc, JSON_MAX_DEPTH, &doc, NULL) != RC_OK) {
            return call_why(call, RC_BROKEN, "the system's record is not readable");
        }
        breaker_read(&breaker, doc);
        breaker.held = breaker.record.hold_reason.len > 0;
    }
    bool refused = breaker.state == BREAKER_STOPPED && str_equal(breaker.refused_sha, now_sha);
    breaker.unproven = now_sha.len && !refused && !str_equal(breaker.proven_sha, now_sha);
    *ret_breaker = breaker;
    return RC_OK;
}

/* --- writing -------------------------------------------------------------------------------------- */
/* A change of the record begins; a new record gets its entry 0. */
static void breaker_begin(struct call *call, struct str realm, const struct breaker *breaker,
                          struct draft *draft)
{
    log_begin(draft, &breaker->record);
    if (breaker->record.version) {
        return;
    }
    struct device *record = &draft->device;
    record->realm = realm;
    record->key = name_system(call, realm);
    record->name = STR("!system");
    record->created_at_ms = call->now_ms;
    (void)log_add(call, draft, STR("system"), ENTRY_created, STR("{\"attributes\":{}}"));
}

static enum rc breaker_commit(struct world *world, struct call *call, struct breaker *breaker,
                              struct draft *draft)
{
    draft->device.doc = breaker_write(call, breaker);
    draft->device.revision++;
    TRY(log_commit(world, call, draft));
    breaker->record = draft->device;
    return RC_OK;
}

static struct str action_data(struct call *call, const char *action, struct str code,
                              struct str detail)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "action", str_of(action));
    if (code.len) {
        json_add_str(doc, root, "code", code);
    }
    if (detail.len) {
        json_add_str(doc, root, "reason", detail);
    }
    return json_write_mut(call->arena, doc);
}

static struct str pause_data(struct call *call, const struct outcome *outcome, int64_t until_ms)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "action", STR("downstream_paused"));
    json_add_str(doc, root, "code", outcome->code);
    json_add_str(doc, root, "reason", outcome->detail);
    json_add_time(doc, root, "until", until_ms);
    return json_write_mut(call->arena, doc);
}

/* --- judging ---------------------------------------------------------------------------------------- */
enum block breaker_blocks(const struct breaker *breaker, int64_t now_ms, int64_t *ret_at_ms)
{
    *ret_at_ms = TIME_NEVER_MS;
    if (breaker->held) {
        return BLOCK_downstream_hold;
    }
    if (breaker->state != BREAKER_CLOSED || breaker->unproven) {
        if (breaker->record.work == WORK_OPEN || breaker->record.work == WORK_FLIGHT) {
            *ret_at_ms = max_i64(breaker->record.at_ms, now_ms);
        } else if (breaker->unproven) {
            *ret_at_ms = now_ms;
        }
        return BLOCK_downstream_stopped;
    }
    if (now_ms < breaker->pause_until_ms) {
        *ret_at_ms = breaker->pause_until_ms;
        return BLOCK_downstream_paused;
    }
    if (now_ms < breaker->clock_hold_until_ms) {
        *ret_at_ms = breaker->clock_hold_until_ms;
        return BLOCK_clock_hold;
    }
    *ret_at_ms = now_ms;
    return BLOCK_nothing;
}

bool breaker_wants_probe(const struct breaker *breaker, int64_t now_ms)
{
    if (breaker->held && !breaker->asked) {
        return false;
    }
    if (breaker->record.work == WORK_OPEN || breaker->record.work == WORK_FLIGHT) {
        return breaker->record.at_ms <= now_ms;
    }
    return breaker->unproven;
}

bool breaker_is_probing(const struct breaker *breaker)
{
    return breaker->asked || breaker->record.work == WORK_FLIGHT;
}

/* --- the probe --------------------------------------------------------------------------------------- */
enum rc breaker_lease(struct world *world, struct call *call, struct str realm,
                      struct lease *ret_lease)
{
    struct breaker breaker;
    struct draft draft;
    TRY(breaker_get(world, call, realm, &breaker));
    if (!breaker_wants_probe(&breaker, call->now_ms)) {
        return RC_NOT_DUE;
    }
    breaker_begin(call, realm, &breaker, &draft);
    struct device *record = &draft.device;
    record->work = WORK_FLIGHT;
    record->flight.lease_no++;
    record->flight.lease_until_ms = call->now_ms + window_lease_ms(world->settings);
    record->at_ms = record->flight.lease_until_ms;
    TRY(breaker_commit(world, call, &breaker, &draft));
    *ret_lease = (struct lease){.mode = LEASE_PROBE, .realm = realm, .key = record->key};
    ret_lease->lease_no = record->flight.lease_no;
    ret_lease->lease_until_ms = record->flight.lease_until_ms;
    ret_lease->trace_id = call->id;
    return RC_OK;
}

static int64_t rest_until(const struct call *call, const struct outcome *outcome)
{
    return min_i64(outcome->pause_until_ms, call->now_ms + BREAKER_PAUSE_MAX_MS);
}

/* The downstream asks for rest. Said when it begins; that it grows is the same news. */
static void rest(struct call *call, struct breaker *breaker, struct draft *draft,
                 const struct outcome *outcome)
{
    int64_t until_ms = rest_until(call, outcome);
    if (until_ms <= max_i64(breaker->pause_until_ms, call->now_ms)) {
        return;
    }
    if (breaker->pause_until_ms <= call->now_ms) {
        (void)log_add(call, draft, STR("system"), ENTRY_action,
                      pause_data(call, outcome, until_ms));
        call->tallies[TALLY_downstream_paused]++;
    }
    breaker->pause_until_ms = until_ms;
    breaker->pause_reason = outcome->detail.len ? outcome->detail : outcome->code;
}

static void rest_ends(struct breaker *breaker)
{
    breaker->pause_until_ms = 0;
    breaker->pause_reason = STR_NONE;
}

/* Closed no longer: an entry that operators are told of when the state changes. */
static void breaker_open(struct call *call, struct breaker *breaker, struct draft *draft,
                         const struct outcome *outcome, struct str credentials_sha)
{
    bool stop = outcome->class == OUTCOME_STOP && outcome->auth;
    enum breaker_state state = stop ? BREAKER_STOPPED : BREAKER_OPEN;
    if (state != breaker->state) {
        const char *action = stop ? "downstream_stopped" : "breaker_opened";
        struct entry *entry = log_add(call, draft, STR("system"), ENTRY_action,
                                      action_data(call, action, outcome->code, outcome->detail));
        entry->notice_at_ms = call->now_ms;
        breaker->since_ms = call->now_ms;
        call->tallies[TALLY_breaker_opened]++;
    }
    breaker->state = state;
    breaker->code = outcome->code;
    breaker->detail = outcome->detail;
    breaker->refused_sha = stop ? credentials_sha : STR_NONE;
    breaker->asked = false;
    draft->device.work = stop ? WORK_NONE : WORK_OPEN;
    draft->device.at_ms =
        stop ? 0 : max_i64(call->now_ms + BREAKER_PROBE_MS, breaker->pause_until_ms);
    if (!stop) {
        call_wake(call, draft->device.key, draft->device.at_ms);
    }
}

static void breaker_close(struct call *call, struct breaker *breaker, struct draft *draft,
                          struct str credentials_sha)
{
    if (breaker->state != BREAKER_CLOSED || !str_equal(breaker->proven_sha, credentials_sha)) {
        const char *action =
            breaker->state == BREAKER_CLOSED ? "credentials_proven" : "breaker_closed";
        (void)log_add(call, draft, STR("system"), ENTRY_action,
                      action_data(call, action, STR_NONE, STR_NONE));
        breaker->since_ms = call->now_ms;
    }
    if (breaker->asked) { /* an operator wants to go on, and it works */
        rest_ends(breaker);
    }
    breaker->state = BREAKER_CLOSED;
    breaker->refused_count = 0;
    breaker->code = breaker->detail = breaker->refused_sha = STR_NONE;
    breaker->proven_sha = credentials_sha;
    breaker->asked = false;
    draft->device.work = WORK_NONE;
    draft->device.at_ms = 0;
}

static enum rc settle_once(struct world *world, struct call *call, const struct lease *lease,
                           const struct outcome *outcome)
{
    struct breaker breaker;
    struct draft draft;
    struct str sha = world_downstream(world, lease->realm)->credentials_sha;
    TRY(breaker_get(world, call, lease->realm, &breaker));
    if (breaker.record.work != WORK_FLIGHT || breaker.record.flight.lease_no != lease->lease_no) {
        return RC_NOT_DUE;
    }
    breaker_begin(call, lease->realm, &breaker, &draft);
    rest(call, &breaker, &draft, outcome);
    if (outcome->class == OUTCOME_EFFECT || outcome->class == OUTCOME_SAME) {
        breaker_close(call, &breaker, &draft, sha);
    } else {
        breaker_open(call, &breaker, &draft, outcome, sha);
    }
    return breaker_commit(world, call, &breaker, &draft);
}

enum rc breaker_settle(struct world *world, struct call *call, const struct lease *lease,
                       const struct outcome *outcome)
{
    int64_t tallies[TALLY_COUNT];
    enum rc rc = RC_CONFLICT;
    memcpy(tallies, call->tallies, sizeof(tallies));
    for (int i = 0; i < CONFLICT_TRIES && rc == RC_CONFLICT; i++) {
        memcpy(call->tallies, tallies, sizeof(tallies));
        rc = settle_once(world, call, lease, outcome);
    }
    return rc == RC_CONFLICT ? RC_BUSY : rc;
}

/* --- what other calls learn ---------------------------------------------------------------------------- */
static enum rc note_once(struct world *world, struct call *call, struct str realm,
                         const struct outcome *outcome)
{
    struct breaker breaker;
    struct draft draft;
    TRY(breaker_get(world, call, realm, &breaker));
    int64_t refused = outcome->refused ? breaker.refused_count + 1 : 0;
    bool stop = outcome->class == OUTCOME_STOP;
    bool open = stop || refused >= BREAKER_REFUSALS_MAX;
    bool worse = open && (breaker.state == BREAKER_CLOSED ||
                          (stop && outcome->auth && breaker.state != BREAKER_STOPPED));
    if (!worse && rest_until(call, outcome) <= breaker.pause_until_ms &&
        refused == breaker.refused_count) {
        return RC_OK;
    }
    breaker_begin(call, realm, &breaker, &draft);
    breaker.refused_count = refused;
    rest(call, &breaker, &draft, outcome);
    if (worse) {
        breaker_open(call, &breaker, &draft, outcome,
                     world_downstream(world, realm)->credentials_sha);
    }
    return breaker_commit(world, call, &breaker, &draft);
}

enum rc breaker_note(struct world *world, struct call *call, struct str realm,
                     const struct outcome *outcome)
{
    int64_t tallies[TALLY_COUNT];
    enum rc rc = RC_CONFLICT;
    memcpy(tallies, call->tallies, sizeof(tallies));
    for (int i = 0; i < CONFLICT_TRIES && rc == RC_CONFLICT; i++) {
        memcpy(call->tallies, tallies, sizeof(tallies)); /* of a try that was refused */
        rc = note_once(world, call, realm, outcome);
    }
    return rc == RC_CONFLICT ? RC_BUSY : rc;
}

/* --- operators and the home ------------------------------------------------------------------------------ */
static enum rc action_apply(struct call *call, struct breaker *breaker, struct draft *draft,
                            struct str action, struct str reason)
{
    struct device *record = &draft->device;
    if (str_is(action, "hold")) {
        record->hold_reason = reason.len ? reason : STR("held by an operator");
        breaker->held = true;
        return RC_OK;
    }
    if (str_is(action, "resume")) {
        if (!breaker->held && breaker->pause_until_ms <= call->now_ms) {
            return call_refuse(call, PROBLEM_wrong_state,
                               "the downstream is neither held nor has it asked for rest");
        }
        if (!breaker->held) {
            rest_ends(breaker);
            if (record->work == WORK_OPEN) { /* the probe had waited for the end of the rest */
                record->at_ms = min_i64(record->at_ms, call->now_ms);
                call_wake(call, record->key, record->at_ms);
            }
        }
        record->hold_reason = STR_NONE;
        breaker->held = false;
        return RC_OK;
    }
    if (record->work == WORK_FLIGHT && record->at_ms > call->now_ms) {
        return call_refuse(call, PROBLEM_wrong_state, "a probe is on its way");
    }
    breaker->asked = true;
    record->work = WORK_OPEN;
    record->at_ms = call->now_ms;
    call_wake(call, record->key, 0);
    return RC_OK;
}

enum rc breaker_action(struct world *world, struct call *call, struct str by, struct str action,
                       struct str reason, struct breaker *ret_breaker)
{
    for (int i = 0; i < CONFLICT_TRIES; i++) {
        struct breaker breaker;
        struct draft draft;
        TRY(breaker_get(world, call, STR("live"), &breaker));
        breaker_begin(call, STR("live"), &breaker, &draft);
        TRY(action_apply(call, &breaker, &draft, action, reason));
        struct str name = arena_copy(call->arena, action);
        (void)log_add(call, &draft, by, ENTRY_action, action_data(call, name.s, STR_NONE, reason));
        enum rc rc = breaker_commit(world, call, &breaker, &draft);
        if (rc != RC_CONFLICT) {
            TRY(rc);
            *ret_breaker = breaker;
            return RC_OK;
        }
    }
    return RC_BUSY;
}

enum rc breaker_clock(struct world *world, struct call *call, struct str realm, struct str why)
{
    for (int i = 0; i < CONFLICT_TRIES; i++) {
        struct breaker breaker;
        struct draft draft;
        TRY(breaker_get(world, call, realm, &breaker));
        breaker_begin(call, realm, &breaker, &draft);
        breaker.clock_hold_until_ms = call->now_ms + world->settings->window_ms;
        breaker.pause_until_ms =
            min_i64(breaker.pause_until_ms, call->now_ms + BREAKER_PAUSE_MAX_MS);
        if (draft.device.work == WORK_OPEN) {
            draft.device.at_ms = min_i64(draft.device.at_ms, call->now_ms + BREAKER_PROBE_MS);
        }
        struct entry *entry = log_add(call, &draft, STR("system"), ENTRY_action,
                                      action_data(call, "clock_hold", STR_NONE, why));
        entry->notice_at_ms = call->now_ms;
        enum rc rc = breaker_commit(world, call, &breaker, &draft);
        if (rc != RC_CONFLICT) {
            return rc;
        }
    }
    return RC_BUSY;
}

enum rc breaker_audit(struct world *world, struct call *call, struct str by, struct str data,
                      const struct key *key)
{
    struct breaker breaker;
    struct draft draft;
    TRY(breaker_get(world, call, STR("live"), &breaker));
    breaker_begin(call, STR("live"), &breaker, &draft);
    (void)log_add(call, &draft, by, ENTRY_action, data);
    draft.change.api_key = key;
    return breaker_commit(world, call, &breaker, &draft);
}

enum rc breaker_restored(struct world *world, struct call *call, struct str realm)
{
    struct breaker breaker;
    struct draft draft;
    TRY(breaker_get(world, call, realm, &breaker));
    breaker_begin(call, realm, &breaker, &draft);
    draft.device.hold_reason = STR("restored from a backup: look, then resume");
    breaker.held = true;
    breaker.refused_count = 0;
    (void)log_add(call, &draft, STR("system"), ENTRY_action,
                  action_data(call, "restored", STR_NONE, draft.device.hold_reason));
    return breaker_commit(world, call, &breaker, &draft);
}
