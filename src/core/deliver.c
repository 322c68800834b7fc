/* One delivery: lease, send, settle. The lease commit is the seal: it is durable before the first byte
 * leaves and never edited. The table of what each outcome leads to is `judge`; what happens then stands
 * in settle.c. A class speaks only for its own send: once a flight is uncertain, only its values seen
 * downstream, their absence after late_limit, a confirmed repeat id or an operator ends it. */
#include "core/deliver.h"

#include "base/text.h"
#include "core/breaker.h"
#include "core/settle.h"
#include "core/work.h"

#include "core/name.h"

#define LEASES_WITHOUT_OUTCOME                                                                     \
    3 /* then no more by itself: a delivery that kills its sender must not loop */
#define LOOK_MIN_MS 5000 /* between two looks at an uncertain delivery */
#define LOOK_MAX_MS 600000

/* --- lease: open work ----------------------------------------------------------------------------- */
static struct str repeat_id(struct world *world, struct call *call)
{
    unsigned char random[16];
    clock_random(world->clock, random, sizeof(random));
    return text_hex(call->arena, (struct str){(const char *)random, sizeof(random)});
}

static void seal(struct world *world, struct call *call, struct draft *draft, struct body *body)
{
    struct device *device = &draft->device;
    const struct settings *settings = world->settings;
    int64_t before_slot = window_slot(settings, device->flight.started_at_ms);
    bool same_window = before_slot == window_slot(settings, call->now_ms);
    device->window_attempt_count = same_window ? device->window_attempt_count + 1 : 1;
    int64_t lease_until_ms = call->now_ms + window_lease_ms(settings);
    device->flight = (struct flight){
        .delivery = device->version,
        .from_seq = device->from_seq,
        .to_seq = device->seq,
        .lease_no = 1,
        .started_at_ms = call->now_ms,
        .send_before_at_ms =
            window_send_before(settings, call->now_ms, lease_until_ms, call->deadline_at_ms),
        .lease_until_ms = lease_until_ms,
    };
    *body = (struct body){.delivery = device->version, .target = device->doc};
    body->repeat_id = repeat_id(world, call);
    body->mapping_version = world_downstream(world, device->realm)->mapping_version;
    draft->change.body = body;
}

static void lease_fill(struct world *world, struct call *call, const struct device *device,
                       const struct body *body, struct lease *lease)
{
    const struct settings *settings = world->settings;
    *lease = (struct lease){.realm = device->realm, .key = device->key, .body = *body};
    lease->device_name = device->name;
    lease->ref = device->downstream_ref;
    lease->trace_id = call->id;
    lease->lease_no = device->flight.lease_no;
    lease->first_sent_at_ms = device->flight.started_at_ms;
    lease->lease_until_ms = device->flight.lease_until_ms;
    lease->send_from_at_ms = window_boundary(settings, window_slot(settings, call->now_ms));
    lease->send_before_at_ms = device->flight.send_before_at_ms;
}

#define POINTERS_KEPT_BYTES (ENTRY_MAX_BYTES / 2)

/* Those that fit: a long name stands in each pointer below it. */
static struct str pointers_json(struct call *call)
{
    struct text text;
    text_open(&text, call->arena, POINTERS_KEPT_BYTES);
    text_add_char(&text, '[');
    for (int i = 0; i < call->item_count; i++) {
        struct text item;
        text_open(&item, call->arena, POINTERS_KEPT_BYTES);
        text_add(&item, i ? STR(",{\"pointer\":") : STR("{\"pointer\":"));
        text_add_json(&item, call->items[i].pointer);
        text_add(&item, STR(",\"detail\":"));
        text_add_json(&item, call->items[i].detail);
        text_add_char(&item, '}');
        if (item.full || text.len + item.len >= POINTERS_KEPT_BYTES) {
            break;
        }
        text_add(&text, text_str(&item));
    }
    text_add_char(&text, ']');
    return text_str(&text);
}

/* The mapping changed since the update was accepted: rejected without a call. */
static enum rc lease_unmappable(struct world *world, struct call *call, struct draft *draft)
{
    struct outcome outcome = {
        .class = OUTCOME_REJECTED, .code = STR("UNMAPPABLE"), .pointers = pointers_json(call)};
    outcome.detail = arena_copy(call->arena, str_of(call->why));
    struct verdict verdict = {.by = STR("system"), .outcome = &outcome};
    call->problem = PROBLEM_NONE;
    call->item_count = 0;
    TRY(settle_rejected(world, call, draft, &verdict));
    draft->change.body = NULL;
    return log_commit(world, call, draft);
}

/* Nothing to send: the downstream already holds the target. */
static enum rc lease_satisfied(struct world *world, struct call *call, struct draft *draft)
{
    struct outcome outcome = {.class = OUTCOME_SAME, .code = STR("EMPTY_DIFF")};
    struct verdict verdict = {
        .by = STR("system"), .body = draft->change.body, .outcome = &outcome, .living = true};
    TRY(settle_same(world, call, draft, &verdict));
    return log_commit(world, call, draft);
}

enum rc deliver_known_base(struct world *world, struct call *call, const struct device *device,
                           struct str *ret_base)
{
    struct body base;
    *ret_base = STR_NONE;
    if (!device->base || device->resend_all) {
        return RC_OK;
    }
    enum rc rc = store_body_get(world->store, call, device->key, device->base, &base);
    if (rc != RC_OK) {
        return call_why(call, rc == RC_NOT_FOUND ? RC_BROKEN : rc, "the base's body");
    }
    if (base.mapping_version == world_downstream(world, device->realm)->mapping_version) {
        *ret_base = base.target;
    }
    return RC_OK;
}

static enum rc lease_open(struct world *world, struct call *call, const struct device *device,
                          struct lease *ret_lease)
{
    struct draft draft;
    struct body body;
    struct str base;
    struct downstream *downstream = world_downstream(world, device->realm);
    log_begin(&draft, device);
    TRY(deliver_known_base(world, call, device, &base));
    seal(world, call, &draft, &body);
    enum rc rc = downstream_encode(downstream, call, device->name, base, device->doc, &body.bytes);
    if (rc == RC_INVALID) {
        TRY(lease_unmappable(world, call, &draft));
        return RC_NOT_DUE;
    }
    TRY(rc);
    if (body.bytes.len == 0) {
        TRY(lease_satisfied(world, call, &draft));
        return RC_NOT_DUE;
    }
    draft.device.work = WORK_FLIGHT;
    draft.device.at_ms = draft.device.flight.lease_until_ms;
    draft.device.pending_count = draft.device.pending_bytes = 0;
    TRY(log_commit(world, call, &draft));
    lease_fill(world, call, &draft.device, &body, ret_lease);
    ret_lease->base = base;
    return RC_OK;
}

/* Not now: correct when to look if that is the device's own matter, and leave a wake-up. */
static enum rc lease_later(struct world *world, struct call *call, const struct device *device,
                           enum block block, int64_t at_ms)
{
    if (at_ms < TIME_NEVER_MS) {
        call_wake(call, device->key, max_i64(at_ms, call->now_ms + 1));
    }
    bool own = block == BLOCK_due || block == BLOCK_backoff || block == BLOCK_window_used ||
               block == BLOCK_window_attempts || block == BLOCK_hold;
    if (own && device->at_ms != at_ms) {
        struct draft draft;
        log_begin(&draft, device);
        draft.device.at_ms = at_ms;
        TRY(log_commit(world, call, &draft));
    }
    return RC_NOT_DUE;
}

/* --- lease: a lost or uncertain flight --------------------------------------------------------------- */
static enum rc lease_park(struct world *world, struct call *call, struct draft *draft)
{
    struct outcome outcome = {.class = OUTCOME_UNSURE, .code = STR("NO_OUTCOME")};
    outcome.detail =
        STR("three leases of this delivery had no outcome; an operator must confirm or deny it");
    struct verdict verdict = {.by = STR("system"), .outcome = &outcome};
    settle_unsure(call, draft, &verdict);
    draft->entries[draft->change.entry_count - 1].notice_at_ms = call->now_ms;
    draft->device.at_ms = TIME_NEVER_MS;
    draft->device.flight.settled_no = draft->device.flight.lease_no;
    TRY(log_commit(world, call, draft));
    return RC_NOT_DUE;
}

/* May an unresolved flight be looked at now? Reading is always lawful but with a closed downstream, or one that rests; a
 * re-send is a write: neither during a hold nor close to a boundary. */
static bool may_look(struct world *world, struct call *call, const struct device *device,
                     const struct breaker *breaker, enum lease_mode mode, int64_t *ret_at_ms)
{
    enum block block = breaker_blocks(breaker, call->now_ms, ret_at_ms);
    if (mode == LEASE_READ_BACK) { /* a hold may stand before another block, and opens no door */
        bool open = breaker->state == BREAKER_CLOSED && !breaker->unproven &&
                    call->now_ms >= breaker->pause_until_ms;
        return open && (block == BLOCK_nothing || block == BLOCK_downstream_hold ||
                        block == BLOCK_clock_hold);
    }
    if (block != BLOCK_nothing || device->hold_reason.len) {
        return false;
    }
    *ret_at_ms = window_due(world->settings, call->now_ms);
    return call->now_ms < *ret_at_ms - window_guard_ms(world->settings);
}

/* Not now: put off when to look, so that plan passes do not find it over and over. */
static enum rc look_later(struct world *world, struct call *call, struct draft *draft,
                          int64_t at_ms)
{
    int64_t soon = call->now_ms + LOOK_MIN_MS;
    draft->device.at_ms = min_i64(max_i64(at_ms, soon), soon + LOOK_MAX_MS);
    call_wake(call, draft->device.key, draft->device.at_ms);
    TRY(log_commit(world, call, draft));
    return RC_NOT_DUE;
}

/* What the downstream held before this seal, whatever the mapping was then: members that went since must be gone there. */
static enum rc held_before(struct world *world, struct call *call, const struct device *device,
                           struct str *ret_base)
{
    struct body base;
    *ret_base = STR_NONE;
    if (!device->base) {
        return RC_OK;
    }
    TRY(store_body_get(world->store, call, device->key, device->base, &base));
    *ret_base = base.target;
    return RC_OK;
}

static enum rc lease_again(struct world *world, struct call *call, const struct device *device,
                           const struct breaker *breaker, struct lease *ret_lease)
{
    struct draft draft;
    struct body body;
    struct str base;
    int64_t at_ms, earlier_at_ms = device->flight.send_before_at_ms;
    struct downstream *downstream = world_downstream(world, device->realm);
    enum lease_mode mode = downstream->reads_back ? LEASE_READ_BACK : LEASE_RESEND;
    log_begin(&draft, device);
    struct flight *flight = &draft.device.flight;
    if (flight->lease_no - flight->settled_no >= LEASES_WITHOUT_OUTCOME) {
        return lease_park(world, call, &draft);
    }
    if (!may_look(world, call, device, breaker, mode, &at_ms)) {
        return look_later(world, call, &draft, at_ms);
    }
    TRY(store_body_get(world->store, call, device->key, flight->delivery, &body));
    TRY(held_before(world, call, device, &base));
    if (device->work == WORK_FLIGHT) {
        struct outcome outcome = {.class = OUTCOME_UNSURE, .code = STR("LEASE_LOST")};
        outcome.detail = STR("the sender did not report before its lease ended");
        struct verdict verdict = {.by = STR("system"), .body = &body, .outcome = &outcome};
        settle_unsure(call, &draft, &verdict);
        call->tallies[TALLY_leases_lost]++;
    }
    flight->lease_no++;
    flight->lease_until_ms = call->now_ms + window_lease_ms(world->settings);
    draft.device.at_ms = flight->lease_until_ms;
    if (mode == LEASE_RESEND) {
        int64_t before = window_send_before(world->settings, call->now_ms, flight->lease_until_ms,
                                            call->deadline_at_ms);
        flight->send_before_at_ms = max_i64(flight->send_before_at_ms, before);
    }
    TRY(log_commit(world, call, &draft));
    lease_fill(world, call, &draft.device, &body, ret_lease);
    ret_lease->mode = mode;
    ret_lease->base = base;
    ret_lease->earlier_sent_at_ms = earlier_at_ms;
    return RC_OK;
}

/* Times of an open device that lie more than a window ahead come from a clock that was wrong. */
static bool clock_was_wrong(const struct settings *settings, const struct call *call,
                            struct device *device)
{
    int64_t latest_ms = call->now_ms + settings->window_ms;
    bool waits_long = device->not_before_at_ms > call->now_ms + window_longest_wait_ms(settings);
    if (device->effect_at_ms <= latest_ms && device->due_at_ms <= latest_ms && !waits_long) {
        return false;
    }
    device->not_before_at_ms = waits_long ? call->now_ms : device->not_before_at_ms;
    device->effect_at_ms = device->effect_at_ms > latest_ms ? call->now_ms : device->effect_at_ms;
    device->due_at_ms = min_i64(device->due_at_ms, window_due(settings, call->now_ms));
    return true;
}

/* Written down, or the window would count as used again at each look. */
static enum rc lease_correct(struct world *world, struct call *call, const struct device *device)
{
    struct draft draft;
    log_begin(&draft, device);
    (void)clock_was_wrong(world->settings, call, &draft.device);
    work_open(world->settings, &draft.device, call->now_ms);
    call_wake(call, draft.device.key, draft.device.at_ms);
    TRY(log_commit(world, call, &draft));
    return RC_NOT_DUE;
}

static enum rc lease_once(struct world *world, struct call *call, struct str key,
                          struct lease *ret_lease)
{
    struct device device;
    struct breaker breaker;
    int64_t at_ms;
    TRY(store_device_get(world->store, call, key, &device));
    if (!device.version) {
        return RC_NOT_FOUND;
    }
    TRY(breaker_get(world, call, device.realm, &breaker));
    if (breaker_wants_probe(&breaker, call->now_ms)) {
        call_wake(call, name_system(call, device.realm), 0);
    }
    if (device.work == WORK_FLIGHT || device.work == WORK_UNCERTAIN) {
        return call->now_ms < device.at_ms ? RC_NOT_DUE
                                           : lease_again(world, call, &device, &breaker, ret_lease);
    }
    if (device.work != WORK_OPEN) {
        return RC_NOT_DUE;
    }
    struct device corrected = device;
    if (clock_was_wrong(world->settings, call, &corrected)) {
        return lease_correct(world, call, &device);
    }
    enum block block = window_may_start(world->settings, &device, &breaker, call->now_ms, &at_ms);
    if (block != BLOCK_nothing) {
        return lease_later(world, call, &device, block, at_ms);
    }
    TRY(lease_open(world, call, &device, ret_lease));
    ret_lease->refused_count = breaker.refused_count;
    return RC_OK;
}

enum rc deliver_lease(struct world *world, struct call *call, struct str key,
                      struct lease *ret_lease)
{
    if (name_is_system(key)) {
        return breaker_lease(world, call, name_realm(key), ret_lease);
    }
    int64_t tallies[TALLY_COUNT];
    enum rc rc = RC_CONFLICT;
    memcpy(tallies, call->tallies, sizeof(tallies));
    for (int i = 0; i < CONFLICT_TRIES && rc == RC_CONFLICT; i++) {
        rc = lease_once(world, call, key, ret_lease);
        if (rc != RC_OK && rc != RC_NOT_DUE) { /* what was counted for a commit that was refused */
            memcpy(call->tallies, tallies, sizeof(tallies));
        }
    }
    return rc;
}

/* --- send ------------------------------------------------------------------------------------------------ */
/* A sender that slept until its lease was over (a suspended machine) says not a word: another has its place, and what it
 * would begin with is a logon, of which three that are refused lock SAP's user. */
static bool overslept(struct world *world, const struct lease *lease, struct outcome *outcome)
{
    outcome->started_at_ms = clock_now_ms(world->clock);
    if (outcome->started_at_ms < lease->lease_until_ms) {
        return false;
    }
    outcome->class = lease->mode == LEASE_SEND ? OUTCOME_NO_EFFECT : OUTCOME_UNSURE;
    outcome->code = STR("NOT_SENT");
    outcome->detail = STR("the lease was over before anything was sent");
    return true;
}

void deliver_send(struct world *world, struct call *call, const struct lease *lease,
                  struct outcome *ret_outcome)
{
    struct downstream *downstream = world_downstream(world, lease->realm);
    *ret_outcome = (struct outcome){.class = OUTCOME_UNSURE};
    if (overslept(world, lease, ret_outcome)) {
        return;
    }
    switch (lease->mode) {
    case LEASE_SEND:
    case LEASE_RESEND:
        downstream_send(downstream, call, world, lease, ret_outcome);
        break;
    case LEASE_READ_BACK:
        downstream_read_back(downstream, call, world, lease, ret_outcome);
        break;
    case LEASE_PROBE:
        downstream_check(downstream, call, world, ret_outcome);
        break;
    }
}

/* --- settle ---------------------------------------------------------------------------------------------- */
enum end { END_EFFECT, END_SAME, END_NO_EFFECT, END_REJECTED, END_UNSURE, END_LOOK_AGAIN };

static enum end end_of_class(enum outcome_class class)
{
    switch (class) {
    case OUTCOME_EFFECT:
        return END_EFFECT;
    case OUTCOME_SAME:
        return END_SAME;
    case OUTCOME_NO_EFFECT:
    case OUTCOME_STOP:
        return END_NO_EFFECT;
    case OUTCOME_REJECTED:
        return END_REJECTED;
    case OUTCOME_UNSURE:
        break;
    }
    return END_UNSURE;
}

/* "Different" is believed once the last send cannot commit any more, judged by the read's start. */
static bool late_limit_passed(struct world *world, const struct flight *flight,
                              const struct outcome *outcome)
{
    return outcome->started_at_ms >= flight->send_before_at_ms + world->settings->late_limit_ms;
}

/* What an outcome leads to. One sender that lives and knows all its sends: its word. Else: see the file's head. */
static enum end judge(struct world *world, const struct lease *lease, const struct flight *flight,
                      const struct outcome *outcome)
{
    enum end end = end_of_class(outcome->class);
    switch (lease->mode) {
    case LEASE_SEND:
        if (outcome->re_sent && !outcome->repeat_confirmed && end != END_EFFECT) {
            return END_UNSURE;
        }
        return end;
    case LEASE_READ_BACK:
        if (end == END_EFFECT) {
            return end;
        }
        if (outcome->class == OUTCOME_NO_EFFECT && late_limit_passed(world, flight, outcome)) {
            return END_NO_EFFECT;
        }
        return END_LOOK_AGAIN;
    default:
        if (end == END_EFFECT || (outcome->repeat_confirmed && end != END_UNSURE)) {
            return end;
        }
        return END_LOOK_AGAIN;
    }
}

/* When an uncertain delivery is looked at next: ever rarer, but not past the moment when "different" will be believed. */
static void look_again(struct world *world, struct call *call, const struct outcome *outcome,
                       struct device *device)
{
    int64_t believed_at = device->flight.send_before_at_ms + world->settings->late_limit_ms;
    int64_t age = call->now_ms - device->flight.started_at_ms;
    int64_t wait = min_i64(max_i64(age / 2, LOOK_MIN_MS), LOOK_MAX_MS);
    int64_t at_ms = call->now_ms + wait;
    if (call->now_ms < believed_at && believed_at < at_ms) {
        at_ms = believed_at;
    }
    device->at_ms = max_i64(at_ms, outcome->retry_after_at_ms);
    device->flight.settled_no = device->flight.lease_no;
}

/* The start of the latest send that had or may have had its effect. */
static int64_t effect_at(const struct lease *lease, const struct flight *flight,
                         const struct outcome *outcome)
{
    bool known = lease->mode != LEASE_READ_BACK && outcome->sent_at_ms;
    return known ? outcome->sent_at_ms : flight->send_before_at_ms;
}

/* After a re-send that succeeded without a confirmed repeat id, an earlier send may still commit over a younger delivery. */
static int64_t wait_until(struct world *world, const struct lease *lease,
                          const struct outcome *outcome)
{
    if (outcome->repeat_confirmed) {
        return 0;
    }
    int64_t earlier = lease->mode == LEASE_RESEND ? lease->earlier_sent_at_ms : 0;
    if (outcome->re_sent) {
        earlier = max_i64(earlier, outcome->earlier_sent_at_ms);
    }
    return earlier ? earlier + world->settings->late_limit_ms : 0;
}

static enum rc settle_draft(struct world *world, struct call *call, const struct lease *lease,
                            const struct outcome *outcome, struct draft *draft)
{
    const struct flight *flight = &draft->device.flight;
    struct verdict verdict = {.by = STR("system"),
                              .body = &lease->body,
                              .outcome = outcome,
                              .living = lease->mode == LEASE_SEND};
    verdict.window_ms = world->settings->window_ms;
    switch (judge(world, lease, flight, outcome)) {
    case END_EFFECT:
        verdict.effect_at_ms = effect_at(lease, flight, outcome);
        verdict.wait_until_ms = wait_until(world, lease, outcome);
        return settle_effect(world, call, draft, &verdict);
    case END_SAME:
        return settle_same(world, call, draft, &verdict);
    case END_NO_EFFECT:
        verdict.effect_at_ms = outcome->partial ? flight->send_before_at_ms : 0;
        return settle_no_effect(world, call, draft, &verdict);
    case END_REJECTED:
        return settle_rejected(world, call, draft, &verdict);
    case END_UNSURE:
        draft->device.flight.settled_no = lease->lease_no;
        settle_unsure(call, draft, &verdict);
        return RC_OK;
    case END_LOOK_AGAIN:
        look_again(world, call, outcome, &draft->device);
        return RC_OK;
    }
    return call_why(call, RC_BROKEN, "an outcome without an end");
}

static void count_attempt(struct call *call, enum outcome_class class)
{
    static const enum tally tallies[] = {
        [OUTCOME_EFFECT] = TALLY_attempts_effect,
        [OUTCOME_SAME] = TALLY_attempts_same,
        [OUTCOME_NO_EFFECT] = TALLY_attempts_no_effect,
        [OUTCOME_STOP] = TALLY_attempts_stop,
        [OUTCOME_UNSURE] = TALLY_attempts_unsure,
        [OUTCOME_REJECTED] = TALLY_attempts_rejected,
    };
    call->tallies[tallies[class]]++;
}

static enum rc settle_once(struct world *world, struct call *call, const struct lease *lease,
                           const struct outcome *outcome)
{
    struct device device;
    struct draft draft;
    int64_t tallies[TALLY_COUNT];
    TRY(store_device_get(world->store, call, lease->key, &device));
    if (device.flight.delivery != lease->body.delivery ||
        device.flight.lease_no != lease->lease_no) {
        return RC_NOT_DUE;
    }
    memcpy(tallies, call->tallies, sizeof(tallies));
    log_begin(&draft, &device);
    TRY(settle_draft(world, call, lease, outcome, &draft));
    count_attempt(call, outcome->class);
    enum rc rc = log_commit(world, call, &draft);
    if (rc != RC_OK) {
        memcpy(call->tallies, tallies, sizeof(tallies));
        return rc;
    }
    if (draft.device.work != WORK_NONE && draft.device.at_ms < TIME_NEVER_MS &&
        draft.device.work != WORK_DEAD) {
        call_wake(call, draft.device.key, draft.device.at_ms);
    }
    return RC_OK;
}

enum rc deliver_settle(struct world *world, struct call *call, const struct lease *lease,
                       const struct outcome *outcome)
{
    if (lease->mode == LEASE_PROBE) {
        return breaker_settle(world, call, lease, outcome);
    }
    TRY(breaker_note(world, call, lease->realm, outcome));
    enum rc rc = RC_CONFLICT;
    for (int i = 0; i < CONFLICT_TRIES && rc == RC_CONFLICT; i++) {
        rc = settle_once(world, call, lease, outcome);
    }
    return rc == RC_CONFLICT ? RC_BUSY : rc;
}

enum rc deliver(struct world *world, struct call *call, struct str key)
{
    struct lease lease;
    struct outcome outcome;
    TRY(deliver_lease(world, call, key, &lease));
    deliver_send(world, call, &lease, &outcome);
    return deliver_settle(world, call, &lease, &outcome);
}
