/* The operations on devices: create, update, read, list, what is pending, actions. The decisions are device.c's and
 * update.c's; here a request becomes their arguments, and what they give becomes an answer. What an Idempotency-Key
 * keeps is rendered by the same functions just before the commit. */
#include "base/text.h"
#include "core/api_parts.h"
#include "core/deliver.h"
#include "core/document.h"
#include "core/name.h"
#include "core/window.h"
#include "core/work.h"

/* --- answers --------------------------------------------------------------------------------------------- */
static void add_etag(struct exchange *exchange, const struct device *device)
{
    api_header(exchange->response, "etag",
               arena_printf(exchange->call->arena, "\"%lld\"", (long long)device->revision));
}

/* What the downstream last confirmed; "" = nothing yet. */
static enum rc acknowledged(struct exchange *exchange, const struct device *device,
                            struct str *ret_doc)
{
    struct body body = {0};
    if (device->base) {
        enum rc rc = store_body_get(exchange->world->store, exchange->call, device->key,
                                    device->base, &body);
        if (rc != RC_OK) {
            return call_why(exchange->call, rc == RC_NOT_FOUND ? RC_BROKEN : rc, "the base's body");
        }
    }
    *ret_doc = body.target;
    return RC_OK;
}

static enum rc answer_device(struct exchange *exchange, int status, const struct device *device)
{
    struct str confirmed;
    yyjson_mut_doc *doc = json_doc(exchange->call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    TRY(acknowledged(exchange, device, &confirmed));
    api_json_device(doc, root, device);
    if (confirmed.len) {
        json_add_raw(doc, root, "acknowledged", confirmed);
    } else {
        json_add_null(doc, root, "acknowledged");
    }
    api_json_answer(exchange, status, doc);
    add_etag(exchange, device);
    return RC_OK;
}

/* From /create-device; a stage or prefix may stand before: RFC 3986 section 5.2. */
static enum rc answer_created(struct exchange *exchange, int status, const struct device *device)
{
    struct arena *arena = exchange->call->arena;
    TRY(answer_device(exchange, status, device));
    api_header(exchange->response, "location",
               arena_printf(arena, "devices/" STR_FMT, STR_ARG(text_percent(arena, device->name))));
    return RC_OK;
}

static enum rc answer_updated(struct exchange *exchange, const struct device *device,
                              const struct entry *entry)
{
    struct arena *arena = exchange->call->arena;
    TRY(api_answer_update(exchange, entry->ended ? 200 : 202, device, entry));
    add_etag(exchange, device);
    api_header(exchange->response, "location",
               arena_printf(arena, "devices/" STR_FMT "/updates/%lld",
                            STR_ARG(text_percent(arena, device->name)), (long long)entry->seq));
    return RC_OK;
}

/* --- create ------------------------------------------------------------------------------------------------ */
static enum rc render_created(void *context, struct call *call, const struct device *device,
                              const struct entry *entry, struct reply *ret_reply)
{
    struct exchange *exchange = context;
    (void)call;
    TRY(answer_created(exchange, entry ? 201 : 200, device));
    return api_reply_keep(exchange, ret_reply);
}

static enum rc owner_of(struct exchange *exchange, struct str *ret_owner)
{
    const struct value *owner = api_request_member(exchange, "owner");
    if (exchange->principal.role == ROLE_OPERATOR && !owner->given) {
        return call_refuse_at(exchange->call, STR("/owner"), PROBLEM_missing_member,
                              "an operator must say whose device it is: owner is missing");
    }
    *ret_owner = owner->given ? owner->text : exchange->principal.owner;
    return RC_OK;
}

enum rc api_create_device(struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct value *attributes = api_request_member(exchange, "attributes");
    struct device_new new = {.doc = STR("{}"), .repeat = exchange->repeat};
    struct device device;
    bool created;
    TRY(owner_of(exchange, &new.owner));
    TRY(name_device_key(call, exchange->principal.realm,
                        api_request_member(exchange, "device_name")->text, STR("/device_name"),
                        &new.name, &new.key));
    if (attributes->given) {
        TRY(document_check(call, attributes->object, STR("/attributes"), false, &new.doc));
    }
    if (exchange->repeat) {
        exchange->repeat->render = render_created;
    }
    TRY(device_create(exchange->world, call, &exchange->principal, &new, &device, &created));
    return exchange->repeat ? RC_OK : answer_created(exchange, created ? 201 : 200, &device);
}

/* --- update -------------------------------------------------------------------------------------------------- */
static enum rc render_updated(void *context, struct call *call, const struct device *device,
                              const struct entry *entry, struct reply *ret_reply)
{
    struct exchange *exchange = context;
    (void)call;
    TRY(answer_updated(exchange, device, entry));
    return api_reply_keep(exchange, ret_reply);
}

enum rc api_update_device(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct update_new new = {.repeat = exchange->repeat};
    struct device device;
    struct entry entry;
    struct str name;
    TRY(api_request_if_match(exchange, 0, &new.if_match));
    TRY(name_device_key(call, exchange->principal.realm,
                        api_request_member(exchange, "device_name")->text, STR("/device_name"),
                        &name, &new.key));
    exchange->asked_name = api_request_member(exchange, "device_name")->text;
    TRY(document_check(call, api_request_member(exchange, "attributes")->object, STR("/attributes"),
                       true, &new.patch));
    if (exchange->if_match.len && memchr(exchange->if_match.s, ',', exchange->if_match.len)) {
        TRY(device_read(exchange->world, call, &exchange->principal, new.key, &device));
        TRY(api_request_if_match(exchange, device.revision, &new.if_match));
    }
    if (exchange->repeat) {
        exchange->repeat->render = render_updated;
    }
    TRY(update_accept(exchange->world, call, &exchange->principal, &new, &device, &entry));
    return exchange->repeat ? RC_OK : answer_updated(exchange, &device, &entry);
}

/* --- read, list ------------------------------------------------------------------------------------------------ */
enum rc api_device_read(struct exchange *exchange, struct device *ret_device)
{
    struct str key;
    TRY(api_request_device_key(exchange, &key));
    return device_read(exchange->world, exchange->call, &exchange->principal, key, ret_device);
}

enum rc api_get_device(struct exchange *exchange)
{
    struct device device;
    TRY(api_device_read(exchange, &device));
    return answer_device(exchange, 200, &device);
}

/* The beginning of the whole keys that a list is about: realm and folded prefix. */
static enum rc list_prefix(struct exchange *exchange, struct str *ret_prefix)
{
    struct call *call = exchange->call;
    const struct value *prefix = api_request_query(exchange, "name_prefix");
    struct str folded = STR("");
    if (prefix->given && name_prefix_key(call, prefix->text, &folded) != RC_OK) {
        return call_refuse(call, PROBLEM_invalid_parameter,
                           "name_prefix cannot be the beginning of a name");
    }
    *ret_prefix = arena_printf(call->arena, STR_FMT "/" STR_FMT, STR_ARG(exchange->principal.realm),
                               STR_ARG(folded));
    return RC_OK;
}

enum rc api_list_devices(struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct value *asked = api_request_query(exchange, "owner");
    struct str prefix, after, owner = asked->given ? asked->text : exchange->principal.owner;
    struct device_page devices;
    struct page page;
    int limit = (int)api_request_query(exchange, "limit")->number;
    TRY(list_prefix(exchange, &prefix));
    struct str scope = api_page_scope(
        exchange, arena_printf(call->arena, STR_FMT " " STR_FMT, STR_ARG(owner), STR_ARG(prefix)));
    TRY(api_page_cursor(exchange, api_request_query(exchange, "cursor"), scope, &after));
    TRY(store_device_list(exchange->world->store, call, exchange->principal.realm, owner, prefix,
                          after, limit, &devices));
    api_page_open(exchange, scope, limit, &page);
    int i = 0;
    for (; i < devices.count && api_page_take(&page, devices.items[i].doc.len); i++) {
        api_json_device(page.doc, api_page_add(&page), &devices.items[i]);
        after = devices.items[i].key;
    }
    api_page_close(exchange, &page, devices.more || i < devices.count, after);
    return RC_OK;
}

/* --- pending ------------------------------------------------------------------------------------------------------ */
/* The body, or what cannot be mapped; a refusal here is part of the answer, not of the request. */
static enum rc pending_body(struct exchange *exchange, const struct device *device,
                            yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    struct call *call = exchange->call;
    struct str base, bytes = STR_NONE;
    TRY(deliver_known_base(exchange->world, call, device, &base));
    bool waits =
        device->pending_count > 0 || device->work == WORK_OPEN || device->work == WORK_DEAD;
    enum rc rc = !waits ? RC_OK
                        : downstream_encode(world_downstream(exchange->world, device->realm), call,
                                            device->name, base, device->doc, &bytes);
    if (rc != RC_OK && rc != RC_INVALID) {
        return rc;
    }
    json_add_bool(doc, root, "full", base.len == 0);
    if (bytes.len) {
        json_add_raw(doc, root, "body", bytes);
    } else {
        json_add_null(doc, root, "body");
    }
    api_json_errors(doc, root, call->items, call->item_count);
    call_forget(call);
    return RC_OK;
}

enum rc api_get_pending(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct device device;
    struct breaker breaker;
    int64_t at_ms = 0;
    TRY(api_device_read(exchange, &device));
    TRY(breaker_get(exchange->world, call, device.realm, &breaker));
    bool waits = device.work != WORK_NONE;
    enum block block =
        waits ? window_may_start(exchange->world->settings, &device, &breaker, call->now_ms, &at_ms)
              : BLOCK_nothing;
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "device_name", device.name);
    json_add_i64(doc, root, "revision", device.revision);
    json_add_str(doc, root, "work", str_of(work_name(device.work)));
    api_json_pending(doc, root, &device);
    api_json_text(doc, root, "blocked_on",
                  block == BLOCK_nothing ? STR_NONE : str_of(block_name(block)));
    api_json_text(doc, root, "hold_reason", device.hold_reason);
    json_add_time(doc, root, "next_attempt_at", waits && at_ms < TIME_NEVER_MS ? at_ms : 0);
    TRY(pending_body(exchange, &device, doc, root));
    api_json_answer(exchange, 200, doc);
    return RC_OK;
}

/* --- actions ---------------------------------------------------------------------------------------------------------- */
static enum rc render_acted(void *context, struct call *call, const struct device *device,
                            const struct entry *entry, struct reply *ret_reply)
{
    struct exchange *exchange = context;
    (void)call, (void)entry;
    TRY(answer_device(exchange, 200, device));
    return api_reply_keep(exchange, ret_reply);
}

enum rc api_act_on_device(struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct value *seq = api_request_member(exchange, "seq");
    struct repeat keyless = {.context = exchange};
    struct action_request request = {
        .action = action_of(api_request_member(exchange, "action")->text),
        .reason = api_request_member(exchange, "reason")->text,
        .seq = seq->number,
        .repeat = exchange->repeat ? exchange->repeat : &keyless,
    };
    struct device device;
    struct str key;
    TRY(api_request_device_key(exchange, &key));
    if (request.action == ACTION_cancel && !seq->given) {
        return call_refuse_at(call, STR("/seq"), PROBLEM_missing_member,
                              "cancel needs the seq of an update");
    }
    if (request.action != ACTION_cancel && seq->given) {
        return call_refuse_at(call, STR("/seq"), PROBLEM_unknown_member,
                              "seq belongs to cancel alone");
    }
    exchange->current_key = key;
    request.repeat->render = render_acted;
    return device_action(exchange->world, call, &exchange->principal, key, &request, &device);
}
