/* The end of a flight. Each function writes its one fact into the log, clears the flight and says what
 * follows. The range of a call without effect is not requeued: it simply was never taken out. */
#include "core/settle.h"

#include "core/document.h"
#include "core/notice.h"
#include "core/window.h"
#include "core/work.h"

#define FIRST_LOOK_MS 1000 /* before an unsure delivery is read back: what is on its way may land */

/* --- the entry of an outcome ---------------------------------------------------------------------- */
/* What follows for the record must be in the log: `check` derives it from there. */
static void add_seal_and_ref(struct call *call, yyjson_mut_doc *doc, const struct verdict *verdict,
                             const struct device *before, enum entry_kind kind)
{
    const struct outcome *outcome = verdict->outcome;
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    if (verdict->body) {
        json_add_str(doc, root, "seal_sha", log_seal_sha(call->arena, verdict->body));
    }
    if (kind == ENTRY_uncertain) {
        return; /* nothing is learned from it */
    }
    if (outcome->ref_clear && before->downstream_ref.len) {
        json_add_null(doc, root, "ref");
    } else if (!outcome->ref_clear && outcome->ref.len &&
               !str_equal(outcome->ref, before->downstream_ref)) {
        json_add_str(doc, root, "ref", outcome->ref);
    }
}

static struct str outcome_data(struct call *call, const struct verdict *verdict,
                               const struct device *before, enum entry_kind kind,
                               int64_t update_count)
{
    const struct outcome *outcome = verdict->outcome;
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "code", outcome->code);
    if (outcome->detail.len) {
        json_add_str(doc, root, "detail", outcome->detail);
    }
    json_add_i64(doc, root, "update_count", update_count);
    if (outcome->sent_at_ms) {
        json_add_time(doc, root, "sent_at", outcome->sent_at_ms);
    }
    if (verdict->effect_at_ms) { /* and the window it was judged by: the setting may change later */
        json_add_time(doc, root, "effect_at", verdict->effect_at_ms);
        json_add_i64(doc, root, "window_ms", verdict->window_ms);
    }
    add_seal_and_ref(call, doc, verdict, before, kind);
    if (outcome->pointers.len) {
        json_add_raw(doc, root, "pointers", outcome->pointers);
    }
    if (outcome->data.len) {
        json_add_raw(doc, root, "answer", outcome->data);
    }
    return json_write_mut(call->arena, doc);
}

static struct entry *flight_entry(struct call *call, struct draft *draft,
                                  const struct verdict *verdict, enum entry_kind kind,
                                  int64_t update_count)
{
    const struct flight *flight = &draft->device.flight;
    struct entry *entry = log_add(call, draft, verdict->by, kind,
                                  outcome_data(call, verdict, &draft->device, kind, update_count));
    entry->from_seq = flight->from_seq;
    entry->to_seq = flight->to_seq;
    entry->delivery = flight->delivery;
    return entry;
}

/* --- steps that several ends share ------------------------------------------------------------------ */
static enum rc passengers(struct world *world, struct call *call, const struct device *device,
                          int64_t *ret_count)
{
    struct pending carried;
    TRY(log_pending(world, call, device->key, device->flight.from_seq - 1, device->flight.to_seq,
                    &carried));
    *ret_count = carried.count;
    return RC_OK;
}

static void flight_clear(struct device *device)
{
    device->flight = (struct flight){.started_at_ms = device->flight.started_at_ms};
}

static void take_ref(struct device *device, const struct outcome *outcome)
{
    if (outcome->ref_clear) {
        device->downstream_ref = STR_NONE;
    } else if (outcome->ref.len) {
        device->downstream_ref = outcome->ref;
    }
}

static void move_base(struct draft *draft)
{
    struct device *device = &draft->device;
    if (device->base && device->base != device->flight.delivery) {
        draft->change.retire_body = device->base;
    }
    device->base = device->flight.delivery;
    device->attempt_count = 0;
}

/* The downstream holds what was sealed: base moves; what came since opens the next work. */
static enum rc end_well(struct world *world, struct call *call, struct draft *draft,
                        const struct verdict *verdict, enum entry_kind kind, int64_t *ret_count)
{
    struct device *device = &draft->device;
    struct pending left;
    int64_t count, to_seq = device->flight.to_seq, seq = device->seq;
    TRY(passengers(world, call, device, &count));
    TRY(log_pending(world, call, device->key, to_seq, seq, &left));
    struct entry *entry = flight_entry(call, draft, verdict, kind, count);
    entry->notice_at_ms = count ? log_notice_at(world, call) : 0;
    move_base(draft);
    take_ref(device, verdict->outcome);
    if (verdict->living) {
        device->resend_all = false;
    }
    flight_clear(device);
    device->not_before_at_ms = max_i64(verdict->wait_until_ms, verdict->outcome->retry_after_at_ms);
    *ret_count = count;
    if (kind == ENTRY_delivered) {
        device->effect_at_ms = max_i64(device->effect_at_ms, verdict->effect_at_ms);
    }
    work_reopen(world->settings, device, &left, call->now_ms);
    return RC_OK;
}

enum rc settle_effect(struct world *world, struct call *call, struct draft *draft,
                      const struct verdict *verdict)
{
    int64_t count;
    TRY(end_well(world, call, draft, verdict, ENTRY_delivered, &count));
    call->tallies[TALLY_deliveries_delivered]++;
    call->tallies[TALLY_updates_delivered] += count;
    return RC_OK;
}

enum rc settle_same(struct world *world, struct call *call, struct draft *draft,
                    const struct verdict *verdict)
{
    int64_t count;
    TRY(end_well(world, call, draft, verdict, ENTRY_satisfied, &count));
    call->tallies[TALLY_deliveries_satisfied]++;
    call->tallies[TALLY_updates_satisfied] += count;
    return RC_OK;
}

/* --- no effect ----------------------------------------------------------------------------------------- */
static int64_t backoff_ms(struct world *world, int64_t attempt_count)
{
    const struct spans *backoff = &world->settings->backoff_spans;
    uint32_t random;
    int64_t step = min_i64(max_i64(attempt_count, 1), backoff->count);
    int64_t wait = backoff->count ? backoff->ms[step - 1] : 0;
    clock_random(world->clock, &random, sizeof(random));
    return wait + (int64_t)(random % (uint32_t)(wait / 4 + 1)); /* jitter: up to a quarter more */
}

static void die(struct call *call, struct draft *draft, const struct verdict *verdict,
                int64_t count)
{
    struct device *device = &draft->device;
    struct entry *entry = flight_entry(call, draft, verdict, ENTRY_dead, count);
    entry->notice_at_ms = call->now_ms;
    device->work = WORK_DEAD;
    device->at_ms = call->now_ms;
    call->tallies[TALLY_deliveries_dead]++;
    call->tallies[TALLY_updates_dead] += count;
}

enum rc settle_no_effect(struct world *world, struct call *call, struct draft *draft,
                         const struct verdict *verdict)
{
    struct device *device = &draft->device;
    const struct outcome *outcome = verdict->outcome;
    const struct flight flight = device->flight;
    struct pending pending;
    int64_t count;
    TRY(passengers(world, call, device, &count));
    TRY(log_pending(world, call, device->key, flight.from_seq - 1, device->seq, &pending));
    struct entry *entry = flight_entry(call, draft, verdict, ENTRY_no_effect, count);
    draft->change.retire_body = flight.delivery;
    take_ref(device, outcome);
    device->attempt_count += outcome->counts;
    device->resend_all |= outcome->partial || outcome->full_next;
    device->effect_at_ms = max_i64(device->effect_at_ms, verdict->effect_at_ms);
    device->pending_count = pending.count;
    device->pending_bytes = pending.bytes;
    device->due_at_ms = flight.started_at_ms; /* it was due then; a due never moves later */
    int64_t wait = outcome->counts ? call->now_ms + backoff_ms(world, device->attempt_count) : 0;
    device->not_before_at_ms = max_i64(wait, outcome->retry_after_at_ms);
    call->tallies[TALLY_deliveries_no_effect]++;
    bool exhausted = device->attempt_count >= world->settings->max_attempts;
    bool newer = pending.count && pending.updates[pending.count - 1].seq > flight.to_seq;
    if (exhausted && !newer) {
        die(call, draft, verdict, count);
        flight_clear(device);
        return RC_OK;
    }
    flight_clear(device);
    if (exhausted) { /* what came since was never tried: it gets its own attempts, in the next window */
        entry->notice_at_ms = call->now_ms;
        device->attempt_count = 0;
        device->not_before_at_ms =
            max_i64(device->not_before_at_ms, window_due(world->settings, call->now_ms));
    }
    work_open(world->settings, device, call->now_ms);
    return RC_OK;
}

/* --- unsure ---------------------------------------------------------------------------------------------- */
void settle_unsure(struct call *call, struct draft *draft, const struct verdict *verdict)
{
    struct device *device = &draft->device;
    struct entry *entry = flight_entry(call, draft, verdict, ENTRY_uncertain, 0);
    entry->notice_at_ms = call->now_ms + NOTICE_UNCERTAIN_MS;
    if (verdict->outcome->sent_at_ms) {
        device->flight.send_before_at_ms = verdict->outcome->sent_at_ms;
    }
    device->work = WORK_UNCERTAIN;
    device->at_ms = max_i64(call->now_ms + FIRST_LOOK_MS, verdict->outcome->retry_after_at_ms);
    call->tallies[TALLY_deliveries_uncertain]++;
}

/* --- undoing ------------------------------------------------------------------------------------------------ */
enum rc settle_replay(struct world *world, struct call *call, const struct device *device,
                      struct str doc, int64_t after_seq, int64_t but_seq, struct pending *ret_left,
                      struct str *ret_doc)
{
    struct pending left, kept = {0};
    TRY(log_pending(world, call, device->key, after_seq, device->seq, &left));
    struct str *patches = arena_array(call->arena, struct str, (size_t)left.count);
    for (int64_t i = 0; i < left.count; i++) {
        if (left.updates[i].seq == but_seq) {
            continue;
        }
        if (kept.count == 0) {
            kept.first_seq = left.updates[i].seq;
            kept.first_at_ms = left.updates[i].at_ms;
        }
        patches[kept.count] = log_attributes(call, &left.updates[i]);
        kept.bytes += (int64_t)left.updates[i].data.len;
        left.updates[kept.count++] = left.updates[i];
    }
    kept.updates = left.updates;
    TRY(document_replay(call, doc, patches, (size_t)kept.count, ret_doc));
    *ret_left = kept;
    return RC_OK;
}

/* Back to the base, keeping what is pending after after_seq. Should the undone document outgrow the store (a
 * rejected patch had made room for later ones), the later ones go with it: after_seq moves to the end. */
static enum rc undo(struct world *world, struct call *call, struct device *device,
                    int64_t *after_seq, struct pending *ret_left)
{
    struct str base, doc;
    TRY(log_base_document(world, call, device, &base));
    TRY(settle_replay(world, call, device, base, *after_seq, 0, ret_left, &doc));
    if (doc.len > DOC_STORED_MAX_BYTES) {
        *after_seq = device->seq;
        *ret_left = (struct pending){0};
        doc = base;
    }
    if (!str_equal(doc, device->doc)) {
        device->revision++;
    }
    device->doc = doc;
    return RC_OK;
}

enum rc settle_rejected(struct world *world, struct call *call, struct draft *draft,
                        const struct verdict *verdict)
{
    struct device *device = &draft->device;
    struct pending left;
    int64_t count, to_seq = device->flight.to_seq;
    TRY(undo(world, call, device, &to_seq, &left));
    device->flight.to_seq = to_seq;
    TRY(passengers(world, call, device, &count));
    struct entry *entry = flight_entry(call, draft, verdict, ENTRY_rejected, count);
    entry->notice_at_ms = count ? log_notice_at(world, call) : 0;
    draft->change.retire_body = draft->change.body ? 0 : device->flight.delivery;
    take_ref(device, verdict->outcome);
    device->attempt_count = 0;
    device->not_before_at_ms = verdict->outcome->retry_after_at_ms;
    flight_clear(device);
    bool resend_all =
        device
            ->resend_all; /* the wish stays, but opens no work: what was refused in full would be again */
    device->resend_all = false;
    work_reopen(world->settings, device, &left, call->now_ms);
    device->resend_all = resend_all;
    call->tallies[TALLY_deliveries_rejected]++;
    call->tallies[TALLY_updates_rejected] += count;
    return RC_OK;
}

enum rc settle_discard(struct world *world, struct call *call, struct draft *draft, struct str by,
                       struct str reason)
{
    struct device *device = &draft->device;
    struct pending gone, left;
    int64_t from_seq = device->from_seq, to_seq = device->seq;
    TRY(log_pending(world, call, device->key, from_seq - 1, to_seq, &gone));
    TRY(undo(world, call, device, &to_seq, &left));
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "code", STR("DISCARDED"));
    json_add_str(doc, root, "reason", reason);
    json_add_i64(doc, root, "update_count", gone.count);
    struct entry *entry =
        log_add(call, draft, by, ENTRY_cancelled, json_write_mut(call->arena, doc));
    entry->from_seq = from_seq;
    entry->to_seq = to_seq;
    entry->notice_at_ms = gone.count ? log_notice_at(world, call) : 0;
    device->attempt_count = 0;
    device->not_before_at_ms = 0;
    work_none(device);
    call->tallies[TALLY_updates_cancelled] += gone.count;
    return RC_OK;
}
