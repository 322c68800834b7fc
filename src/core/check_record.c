/* The record against its log, but for counts and document: owner, name, times, the downstream's number and a hold follow from
 * what the entries say, each from the newest that speaks of it. Each outcome names what was sealed by its hash, so the
 * bodies are held against the log too.
 *
 * The time of the last effect is what the hour rule rests on. It is the latest that the log knows, with one exception: one that
 * lay more than a window ahead of the clock came from a clock that was wrong, and may have been set back without an entry
 * (deliver.c, lease_correct). Then the log gives a span, and the record must lie in it. */
#include "core/check_inner.h"

#include "core/name.h"
#include "core/window.h"

/* ---- learning ---------------------------------------------------------------------------------------------- */

static void say_str(struct replay *replay, struct said_str *said, struct str value)
{
    if (!str_equal(said->value, value)) {
        said->value = arena_copy(replay->call->arena, value);
    }
    said->said = true;
}

static void say_i64(struct said_i64 *said, int64_t value)
{
    *said = (struct said_i64){true, value};
}

/* An effect that lies more than a window ahead of a later entry may have been set back. */
static void doubt_effect(struct replay *replay, int64_t now_ms)
{
    struct facts *facts = &replay->facts;
    int64_t window_ms = min_i64(replay->world->settings->window_ms, facts->effect_window_ms);
    if (facts->effect_said && facts->effect_high_ms - window_ms > now_ms) {
        facts->effect_low_ms = min_i64(facts->effect_low_ms, 1);
    }
}

static void learn_effect(struct replay *replay, yyjson_val *root)
{
    struct facts *facts = &replay->facts;
    int64_t at_ms = 0;
    struct str text = json_member_str(root, "effect_at", STR_NONE);
    if (text.len && iso_time_read(text, &at_ms) == RC_OK) {
        facts->effect_low_ms = max_i64(facts->effect_low_ms, at_ms);
        facts->effect_high_ms = max_i64(facts->effect_high_ms, at_ms);
        facts->effect_window_ms = max_i64(json_member_i64(root, "window_ms", 0), 1);
        facts->effect_said = true;
    }
}

static void learn_action(struct replay *replay, const struct entry *entry, yyjson_val *root)
{
    struct facts *facts = &replay->facts;
    struct str action = json_member_str(root, "action", STR_NONE);
    if (str_is(action, "hold")) {
        say_str(replay, &facts->hold_reason,
                json_member_str(root, "reason", STR("held by an operator")));
    } else if (str_is(action, "resume")) {
        say_str(replay, &facts->hold_reason, STR_NONE);
    } else if (str_is(action, "redrive") || str_is(action, "resend_all")) {
        facts->dead = false;
    } else if (str_is(action, "restored")) {
        facts->effect_low_ms = facts->effect_high_ms = entry->at_ms;
        facts->effect_window_ms = replay->world->settings->window_ms;
        facts->effect_said = true;
    }
}

/* The frozen body is the one whose hash the outcome's entry holds. Retention takes it with the entry, never before. */
static enum rc learn_seal(struct replay *replay, const struct entry *entry, struct str seal_sha)
{
    struct arena arena CLEANUP(arena_close);
    struct call call = *replay->call;
    struct body body;
    int64_t history_ms = replay->world->settings->history_days * INT64_C(86400000);
    arena_open(&arena, 0);
    call.arena = &arena;
    enum rc rc =
        store_body_get(replay->world->store, &call, replay->device.key, entry->delivery, &body);
    if (rc == RC_NOT_FOUND) {
        if (entry->at_ms > replay->call->now_ms - history_ms) {
            check_find(replay, "record", entry->seq, "the body of delivery %lld is missing",
                       (long long)entry->delivery);
        }
        return RC_OK;
    }
    if (rc == RC_BROKEN && replay->world->store->foreign) {
        check_find(replay, "record", entry->seq, "the body of delivery %lld: %.150s",
                   (long long)entry->delivery, call.why);
        return RC_OK;
    }
    TRY(rc);
    if (!str_equal(seal_sha, log_seal_sha(&arena, &body))) {
        check_find(replay, "I3", entry->seq, "the body of delivery %lld is not what was sealed",
                   (long long)entry->delivery);
    }
    return RC_OK;
}

enum rc check_learn(struct replay *replay, const struct entry *entry, yyjson_val *data)
{
    struct facts *facts = &replay->facts;
    if (name_is_system(replay->device.key)) {
        return RC_OK; /* what it says is about the downstream */
    }
    doubt_effect(replay, entry->at_ms);
    if (entry->kind == ENTRY_update) {
        say_i64(&facts->accepted_at_ms, entry->at_ms);
        facts->dead = false;
        return RC_OK;
    }
    if (!data) {
        check_find(replay, "record", entry->seq, "its data are not readable");
        return RC_OK;
    }
    if (entry->kind == ENTRY_created) {
        say_str(replay, &facts->name, json_member_str(data, "device_name", STR_NONE));
        say_str(replay, &facts->owner, json_member_str(data, "owner", STR_NONE));
        say_i64(&facts->created_at_ms, entry->at_ms);
    } else if (entry->kind == ENTRY_action) {
        learn_action(replay, entry, data);
    }
    facts->cancelled =
        entry->kind == ENTRY_cancelled || (facts->cancelled && entry->kind != ENTRY_dead);
    if (entry->delivery == 0) {
        return RC_OK;
    }
    if (entry->kind == ENTRY_delivered || entry->kind == ENTRY_satisfied) {
        say_i64(&facts->base, entry->delivery);
    }
    facts->dead = facts->dead || entry->kind == ENTRY_dead;
    facts->uncertain = entry->kind == ENTRY_uncertain ? entry->delivery : facts->uncertain;
    learn_effect(replay, data);
    doubt_effect(replay, entry->at_ms); /* the clock was set back while it was on its way */
    if (json_member(data, "ref")) {
        say_str(replay, &facts->downstream_ref, json_member_str(data, "ref", STR_NONE));
    }
    struct str seal_sha = json_member_str(data, "seal_sha", STR_NONE);
    return seal_sha.len ? learn_seal(replay, entry, seal_sha) : RC_OK;
}

/* ---- the record --------------------------------------------------------------------------------------------- */

static enum rc check_body(struct replay *replay, int64_t delivery, const char *what)
{
    struct body body;
    enum rc rc =
        store_body_get(replay->world->store, replay->call, replay->device.key, delivery, &body);
    if (rc == RC_NOT_FOUND) {
        check_find(replay, "record", -1, "the body of %s %lld is missing", what,
                   (long long)delivery);
        return RC_OK;
    }
    return rc;
}

bool check_numbers(struct replay *replay)
{
    const struct device *device = &replay->device;
    const struct flight *flight = &device->flight;
    const int64_t numbers[] = {
        device->attempt_count,
        device->window_attempt_count,
        device->at_ms,
        device->due_at_ms,
        device->not_before_at_ms,
        device->effect_at_ms,
        device->accepted_at_ms,
        device->created_at_ms,
        flight->from_seq,
        flight->to_seq,
        flight->lease_no,
        flight->settled_no,
        flight->started_at_ms,
        flight->send_before_at_ms,
        flight->lease_until_ms,
    };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (numbers[i] < 0 || numbers[i] > NUMBER_MAX) {
            check_find(replay, "record", -1, "it has the number %lld", (long long)numbers[i]);
            return false;
        }
    }
    return true;
}

/* Given up, until the last of its updates is cancelled: then at most everything is to be sent once more. */
static bool is_dead(const struct replay *replay)
{
    const struct facts *facts = &replay->facts;
    return facts->dead && !(facts->cancelled && replay->device.pending_count == 0);
}

static void check_work(struct replay *replay)
{
    const struct device *device = &replay->device;
    bool flying = device->flight.delivery != 0, open = device->from_seq != 0;
    bool fits = false, dead = is_dead(replay);
    bool unsure = flying && replay->facts.uncertain == device->flight.delivery;
    switch (device->work) {
    case WORK_NONE:
        fits = !flying && !open;
        break;
    case WORK_OPEN:
    case WORK_DEAD:
        fits = !flying && open && dead == (device->work == WORK_DEAD);
        break;
    case WORK_FLIGHT:
    case WORK_UNCERTAIN:
        fits = flying && unsure == (device->work == WORK_UNCERTAIN);
        break;
    default:
        break;
    }
    if (!fits) {
        check_find(replay, "record", -1,
                   "work %d does not fit: first open update %lld, delivery in flight %lld",
                   device->work, (long long)device->from_seq, (long long)device->flight.delivery);
    }
    const struct flight *flight = &device->flight;
    if (!flying && (flight->from_seq || flight->to_seq || flight->lease_no || flight->settled_no ||
                    flight->send_before_at_ms || flight->lease_until_ms)) {
        check_find(replay, "record", -1,
                   "there is no delivery in flight, and fields of one are set");
    }
    if (flying && (flight->from_seq != device->from_seq || flight->to_seq < flight->from_seq ||
                   flight->to_seq > device->seq || flight->delivery <= device->base)) {
        check_find(
            replay, "record", -1,
            "the delivery in flight %lld carries %lld to %lld, the first open update is %lld",
            (long long)flight->delivery, (long long)flight->from_seq, (long long)flight->to_seq,
            (long long)device->from_seq);
    }
    if (flying && (flight->lease_no < 1 || flight->settled_no > flight->lease_no)) {
        check_find(replay, "record", -1,
                   "the delivery in flight has lease %lld, the last outcome lease %lld",
                   (long long)flight->lease_no, (long long)flight->settled_no);
    }
    if (device->work == WORK_NONE && (device->at_ms || device->due_at_ms)) {
        check_find(replay, "record", -1, "it has no work, and a time to look at it");
    }
    if (device->flight.delivery > device->version || device->base > device->version) {
        check_find(replay, "record", -1, "a delivery's number is above the version %lld",
                   (long long)device->version);
    }
}

/* What nobody ever said is the value of a new device; only a complete log says that nobody did. */
static void check_said_str(struct replay *replay, const char *what, struct said_str said,
                           struct str is)
{
    if ((said.said || replay->complete) && !str_equal(said.value, is)) {
        check_find(replay, "record", -1, "its %s is \"%.60s\", by the log \"%.60s\"", what,
                   arena_copy(replay->call->arena, is).s,
                   arena_copy(replay->call->arena, said.value).s);
    }
}

static void check_said_i64(struct replay *replay, const char *what, struct said_i64 said,
                           int64_t is)
{
    if ((said.said || replay->complete) && said.value != is) {
        check_find(replay, "record", -1, "its %s is %lld, by the log %lld", what, (long long)is,
                   (long long)said.value);
    }
}

static void check_facts(struct replay *replay)
{
    struct facts *facts = &replay->facts;
    const struct device *device = &replay->device;
    if (!facts->accepted_at_ms.said && replay->complete) {
        facts->accepted_at_ms = facts->created_at_ms;
    }
    check_said_str(replay, "name", facts->name, device->name);
    check_said_str(replay, "owner", facts->owner, device->owner);
    check_said_str(replay, "downstream_ref", facts->downstream_ref, device->downstream_ref);
    check_said_str(replay, "hold_reason", facts->hold_reason, device->hold_reason);
    check_said_i64(replay, "created_at_ms", facts->created_at_ms, device->created_at_ms);
    check_said_i64(replay, "accepted_at_ms", facts->accepted_at_ms, device->accepted_at_ms);
    check_said_i64(replay, "base", facts->base, device->base);
    doubt_effect(replay, replay->call->now_ms);
    if ((facts->effect_said || replay->complete) &&
        (device->effect_at_ms < facts->effect_low_ms ||
         device->effect_at_ms > facts->effect_high_ms)) {
        check_find(replay, "I2", -1, "its last effect was at %lld, by the log at %lld",
                   (long long)device->effect_at_ms, (long long)facts->effect_high_ms);
    }
}

enum rc check_record(struct replay *replay)
{
    const struct device *device = &replay->device;
    struct str name, key;
    if (name_device_key(replay->call, device->realm, device->name, STR_NONE, &name, &key) !=
            RC_OK ||
        !str_equal(key, device->key)) {
        check_find(replay, "record", -1, "its name does not fold to its key");
    }
    if (device->doc.len > DOC_STORED_MAX_BYTES) {
        check_find(replay, "record", -1, "its document has %zu bytes", device->doc.len);
    }
    check_work(replay);
    if (device->flight.delivery) {
        TRY(check_body(replay, device->flight.delivery, "the delivery in flight"));
    }
    if (device->base) {
        TRY(check_body(replay, device->base, "the acknowledged delivery"));
    }
    check_facts(replay);
    return RC_OK;
}
