/* A device's life at the door: create, read, and what operators may do to it. The table `rules` says
 * which action is lawful for whom in which state; the functions below it say what each one changes. */
#include "core/device.h"

#include "core/document.h"
#include "core/name.h"
#include "core/notice.h"
#include "core/settle.h"
#include "core/update.h"
#include "core/window.h"
#include "core/work.h"

/* --- create ------------------------------------------------------------------------------------------ */
static struct str created_data(struct call *call, const struct device_new *new)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_raw(doc, root, "attributes", new->doc);
    json_add_str(doc, root, "device_name", new->name);
    json_add_str(doc, root, "owner", new->owner);
    return json_write_mut(call->arena, doc);
}

/* Let the caller put the answer's bytes into the commit. entry NULL: nothing new but the reply. */
static enum rc repeat_fill(struct call *call, struct repeat *repeat, struct draft *draft,
                           const struct entry *entry)
{
    if (repeat) {
        TRY(repeat->render(repeat->context, call, &draft->device, entry, &repeat->reply));
        draft->change.reply = repeat->reply.key.len ? &repeat->reply : NULL;
    }
    return RC_OK;
}

/* The name is there: equal and the caller's own is as good as created. */
static enum rc create_existing(struct world *world, struct call *call,
                               const struct principal *principal, const struct device_new *new,
                               const struct device *existing)
{
    bool own = str_equal(existing->owner, new->owner);
    if (own && document_equal(call, existing->doc, new->doc)) {
        struct draft draft;
        log_begin(&draft, existing);
        TRY(repeat_fill(call, new->repeat, &draft, NULL));
        return draft.change.reply ? log_commit(world, call, &draft) : RC_OK;
    }
    if (own || principal->role == ROLE_OPERATOR) {
        struct device *current = arena_new(call->arena, struct device);
        *current = *existing;
        call->current = current;
    }
    return call_refuse_at(call, STR("/device_name"), PROBLEM_device_exists,
                          "a device of this name exists");
}

static enum rc create_commit(struct world *world, struct call *call,
                             const struct principal *principal, const struct device_new *new,
                             struct device *ret_device)
{
    struct draft draft;
    log_begin(&draft, &(struct device){0});
    struct device *device = &draft.device;
    device->realm = principal->realm;
    device->key = new->key;
    device->name = new->name;
    device->owner = new->owner;
    device->doc = new->doc;
    device->revision = 1;
    device->created_at_ms = device->accepted_at_ms = call->now_ms;
    struct entry *entry =
        log_add(call, &draft, principal->id, ENTRY_created, created_data(call, new));
    entry->notice_at_ms = log_notice_at(world, call);
    TRY(repeat_fill(call, new->repeat, &draft, entry));
    TRY(log_commit(world, call, &draft));
    call->tallies[TALLY_devices_created]++;
    *ret_device = draft.device;
    return RC_OK;
}

enum rc device_create(struct world *world, struct call *call, const struct principal *principal,
                      const struct device_new *new, struct device *ret_device, bool *ret_created)
{
    struct str bytes;
    struct device existing;
    if (new->doc.len > DOC_MAX_BYTES) {
        return call_refuse_at(call, STR("/attributes"), PROBLEM_document_too_large,
                              "the document has %zu bytes, at most %d are allowed", new->doc.len,
                              DOC_MAX_BYTES);
    }
    TRY(downstream_encode(world_downstream(world, principal->realm), call, new->name, STR_NONE,
                          new->doc, &bytes));
    for (int i = 0; i < CONFLICT_TRIES; i++) {
        enum rc rc = create_commit(world, call, principal, new, ret_device);
        if (rc != RC_CONFLICT) {
            *ret_created = true;
            return rc;
        }
        TRY(store_device_get(world->store, call, new->key, &existing));
        if (!existing.version) {
            continue;
        }
        rc = create_existing(world, call, principal, new, &existing);
        if (rc != RC_CONFLICT) {
            TRY(rc);
            *ret_device = existing;
            *ret_created = false;
            return RC_OK;
        }
    }
    return RC_BUSY;
}

/* --- read ------------------------------------------------------------------------------------------------ */
enum rc device_read(struct world *world, struct call *call, const struct principal *principal,
                    struct str key, struct device *ret_device)
{
    struct device device;
    if (name_is_system(key)) {
        return RC_NOT_FOUND;
    }
    TRY(store_device_get(world->store, call, key, &device));
    bool mine = principal->role == ROLE_OPERATOR || str_equal(device.owner, principal->owner);
    if (!device.version || !mine) {
        return RC_NOT_FOUND;
    }
    *ret_device = device;
    return RC_OK;
}

/* --- actions ---------------------------------------------------------------------------------------------- */
#define IN(state) (1u << WORK_##state)
#define ANY (IN(NONE) | IN(OPEN) | IN(FLIGHT) | IN(UNCERTAIN) | IN(DEAD))

struct action_rule {
    const char *name;
    bool customers; /* may the owner do it? */
    unsigned states;
};

static const struct action_rule rules[] = {
    [ACTION_cancel] = {"cancel", true, ANY},
    [ACTION_hold] = {"hold", false, ANY},
    [ACTION_resume] = {"resume", false, ANY},
    [ACTION_deliver_now] = {"deliver_now", false, IN(OPEN)},
    [ACTION_confirm] = {"confirm", false, IN(UNCERTAIN)},
    [ACTION_deny] = {"deny", false, IN(UNCERTAIN)},
    [ACTION_discard] = {"discard", false, IN(DEAD)},
    [ACTION_redrive] = {"redrive", false, IN(DEAD)},
    [ACTION_resend_all] = {"resend_all", false, IN(NONE) | IN(OPEN) | IN(DEAD)},
};

enum action action_of(struct str name)
{
    for (size_t i = 1; i < COUNT_OF(rules); i++) {
        if (str_is(name, rules[i].name)) {
            return (enum action)i;
        }
    }
    return ACTION_NONE;
}

static struct str action_data(struct call *call, enum action action, struct str reason)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "action", str_of(rules[action].name));
    if (reason.len) {
        json_add_str(doc, root, "reason", reason);
    }
    return json_write_mut(call->arena, doc);
}

static void open_now(struct world *world, struct call *call, struct device *device)
{
    device->attempt_count = 0;
    device->not_before_at_ms = 0;
    device->due_at_ms = call->now_ms;
    work_open(world->settings, device, call->now_ms);
}

static void resend_all(struct world *world, struct call *call, struct device *device)
{
    device->resend_all = true;
    if (device->work == WORK_DEAD) {
        open_now(world, call, device);
    } else if (device->work == WORK_NONE) {
        device->from_seq = device->seq; /* the action's own entry: a delivery without updates */
        device->due_at_ms = window_due(world->settings, call->now_ms);
        work_open(world->settings, device, call->now_ms);
    }
}

static enum rc hold_or_resume(struct world *world, struct call *call, struct device *device,
                              const struct action_request *request)
{
    bool hold = request->action == ACTION_hold;
    if (!hold && !device->hold_reason.len) {
        return call_refuse(call, PROBLEM_wrong_state, "the device is not held");
    }
    device->hold_reason = !hold                 ? STR_NONE
                          : request->reason.len ? request->reason
                                                : STR("held by an operator");
    if (device->work == WORK_OPEN) {
        device->at_ms = max_i64(window_look_at(world->settings, device, call->now_ms), 1);
    }
    return RC_OK;
}

/* An operator knows what became of an uncertain delivery. */
static enum rc decide(struct world *world, struct call *call, struct draft *draft, struct str by,
                      const struct action_request *request)
{
    bool confirm = request->action == ACTION_confirm;
    int64_t latest_ms = draft->device.flight.send_before_at_ms;
    int64_t deny_at_ms = latest_ms + world->settings->late_limit_ms;
    if (!confirm && call->now_ms < deny_at_ms) {
        return call_refuse(call, PROBLEM_wrong_state,
                           "the downstream may still commit; deny is possible from %s on",
                           iso_time(call->arena, deny_at_ms).s);
    }
    struct outcome outcome = {.class = confirm ? OUTCOME_EFFECT : OUTCOME_NO_EFFECT,
                              .detail = request->reason};
    outcome.code = confirm ? STR("CONFIRMED") : STR("DENIED");
    struct verdict verdict = {.by = by,
                              .outcome = &outcome,
                              .effect_at_ms = latest_ms,
                              .window_ms = world->settings->window_ms};
    return confirm ? settle_effect(world, call, draft, &verdict)
                   : settle_no_effect(world, call, draft, &verdict);
}

static enum rc action_apply(struct world *world, struct call *call, struct draft *draft,
                            struct str by, const struct action_request *request)
{
    struct device *device = &draft->device;
    if (request->action == ACTION_confirm || request->action == ACTION_deny) {
        return decide(world, call, draft, by, request);
    }
    if (request->action == ACTION_discard) {
        return settle_discard(world, call, draft, by, request->reason);
    }
    (void)log_add(call, draft, by, ENTRY_action,
                  action_data(call, request->action, request->reason));
    switch (request->action) {
    case ACTION_hold:
    case ACTION_resume:
        return hold_or_resume(world, call, device, request);
    case ACTION_deliver_now:
        device->due_at_ms = min_i64(device->due_at_ms, call->now_ms);
        work_open(world->settings, device, call->now_ms);
        return RC_OK;
    case ACTION_redrive:
        open_now(world, call, device);
        return RC_OK;
    default:
        resend_all(world, call, device);
        return RC_OK;
    }
}

static enum rc action_once(struct world *world, struct call *call,
                           const struct principal *principal, struct str key,
                           const struct action_request *request, struct device *ret_device)
{
    struct device device;
    struct draft draft;
    const struct action_rule *rule = &rules[request->action];
    TRY(device_read(world, call, principal, key, &device));
    if (principal->role != ROLE_OPERATOR && !rule->customers) {
        return call_refuse(call, PROBLEM_forbidden, "only an operator may %s", rule->name);
    }
    if (request->action == ACTION_cancel) {
        return update_cancel(world, call, principal, &device, request, ret_device);
    }
    if (!(rule->states & (1u << device.work))) {
        struct device *current = arena_new(call->arena, struct device);
        *current = device;
        call->current = current;
        return call_refuse(call, PROBLEM_wrong_state, "%s is not possible while the work is %s",
                           rule->name, work_name(device.work));
    }
    log_begin(&draft, &device);
    TRY(action_apply(world, call, &draft, principal->id, request));
    TRY(repeat_fill(call, request->repeat, &draft, &draft.entries[0]));
    TRY(log_commit(world, call, &draft));
    if (draft.device.work == WORK_OPEN && draft.device.at_ms < TIME_NEVER_MS) {
        call_wake(call, draft.device.key, draft.device.at_ms);
    }
    *ret_device = draft.device;
    return RC_OK;
}

enum rc device_action(struct world *world, struct call *call, const struct principal *principal,
                      struct str key, const struct action_request *request,
                      struct device *ret_device)
{
    int64_t tallies[TALLY_COUNT];
    enum rc rc = RC_CONFLICT;
    assert(request->action != ACTION_NONE);
    memcpy(tallies, call->tallies, sizeof(tallies));
    for (int i = 0; i < CONFLICT_TRIES && rc == RC_CONFLICT; i++) {
        rc = action_once(world, call, principal, key, request, ret_device);
        if (rc != RC_OK) { /* what was counted for a commit that was refused */
            memcpy(call->tallies, tallies, sizeof(tallies));
        }
    }
    return rc == RC_CONFLICT ? RC_BUSY : rc;
}

/* --- after a restore ------------------------------------------------------------------------------------------- */
enum rc device_restored(struct world *world, struct call *call, struct str key)
{
    struct device before;
    struct draft draft;
    TRY(store_device_get(world->store, call, key, &before));
    if (!before.version || name_is_system(key)) {
        return RC_NOT_FOUND;
    }
    log_begin(&draft, &before);
    struct device *device = &draft.device;
    (void)log_add(call, &draft, STR("system"), ENTRY_action, STR("{\"action\":\"restored\"}"));
    bool ever_sent = device->base || device->downstream_ref.len;
    device->effect_at_ms = call->now_ms;
    if (device->work == WORK_FLIGHT || device->work == WORK_UNCERTAIN) {
        device->resend_all = true; /* the flight resolves first */
    } else if (ever_sent && device->work == WORK_NONE) {
        resend_all(world, call, device);
    } else {
        device->resend_all = device->resend_all || ever_sent;
    }
    if (device->work == WORK_OPEN) {
        work_open(world->settings, device, call->now_ms);
    }
    return log_commit(world, call, &draft);
}
