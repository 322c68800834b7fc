/* Records as JSON, as docs/openapi.yaml names them, and the pages that lists are cut into. What is empty or 0 in a
 * record because there is none is null outside. */
#include "core/api_parts.h"

#include "base/text.h"
#include "core/cursor.h"
#include "core/work.h"

/* --- members --------------------------------------------------------------------------------------------- */
void api_json_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, struct str text)
{
    if (text.len) {
        json_add_str(doc, object, name, text);
    } else {
        json_add_null(doc, object, name);
    }
}

void api_json_seq(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, int64_t seq)
{
    if (seq) {
        json_add_i64(doc, object, name, seq);
    } else {
        json_add_null(doc, object, name);
    }
}

/* A moment that only an outcome or an operator can bring is none. */
static void add_moment(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, int64_t at_ms)
{
    json_add_time(doc, object, name, at_ms >= TIME_NEVER_MS ? 0 : at_ms);
}

void api_json_errors(yyjson_mut_doc *doc, yyjson_mut_val *parent, const struct problem_item *items,
                     int count)
{
    yyjson_mut_val *errors = json_add_arr(doc, parent, "errors");
    for (int i = 0; i < count; i++) {
        yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, errors);
        json_add_str(doc, object, "pointer", items[i].pointer);
        json_add_str(doc, object, "code", str_of(problem_info(items[i].code)->code));
        json_add_str(doc, object, "detail", items[i].detail);
    }
}

/* --- records ----------------------------------------------------------------------------------------------- */
void api_json_pending(yyjson_mut_doc *doc, yyjson_mut_val *parent, const struct device *device)
{
    yyjson_mut_val *object = json_add_obj(doc, parent, "pending");
    bool waits = device->pending_count > 0 || device->work == WORK_OPEN;
    json_add_i64(doc, object, "count", device->pending_count);
    json_add_i64(doc, object, "bytes", device->pending_bytes);
    json_add_time(doc, object, "due_at", waits ? device->due_at_ms : 0);
}

static void add_flight(yyjson_mut_doc *doc, yyjson_mut_val *parent, const struct flight *flight)
{
    if (!flight->delivery) {
        json_add_null(doc, parent, "flight");
        return;
    }
    yyjson_mut_val *object = json_add_obj(doc, parent, "flight");
    json_add_i64(doc, object, "delivery", flight->delivery);
    json_add_i64(doc, object, "from_seq", flight->from_seq);
    json_add_i64(doc, object, "to_seq", flight->to_seq);
    json_add_i64(doc, object, "lease_no", flight->lease_no);
    json_add_time(doc, object, "started_at", flight->started_at_ms);
}

void api_json_device(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct device *device)
{
    json_add_str(doc, object, "device_name", device->name);
    json_add_str(doc, object, "owner", device->owner);
    json_add_i64(doc, object, "revision", device->revision);
    json_add_raw(doc, object, "desired", device->doc);
    json_add_str(doc, object, "work", str_of(work_name(device->work)));
    add_moment(doc, object, "work_at", device->work == WORK_NONE ? 0 : device->at_ms);
    json_add_i64(doc, object, "seq", device->seq);
    json_add_i64(doc, object, "attempt_count", device->attempt_count);
    api_json_pending(doc, object, device);
    add_flight(doc, object, &device->flight);
    api_json_text(doc, object, "hold_reason", device->hold_reason);
    json_add_bool(doc, object, "resend_all", device->resend_all);
    api_json_text(doc, object, "downstream_ref", device->downstream_ref);
    json_add_time(doc, object, "created_at", device->created_at_ms);
    json_add_time(doc, object, "accepted_at", device->accepted_at_ms);
    json_add_time(doc, object, "effect_at", device->effect_at_ms);
}

void api_json_entry(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct entry *entry)
{
    static const char *const ends[] = {
        [ENDED_NONE] = "", [ENDED_SATISFIED] = "satisfied", [ENDED_CANCELLED] = "cancelled"};
    json_add_i64(doc, object, "seq", entry->seq);
    json_add_str(doc, object, "kind", str_of(entry_kind_name(entry->kind)));
    json_add_time(doc, object, "at", entry->at_ms);
    json_add_str(doc, object, "by", entry->by);
    json_add_str(doc, object, "request_id", entry->request_id);
    api_json_seq(doc, object, "from_seq", entry->from_seq);
    api_json_seq(doc, object, "to_seq", entry->to_seq);
    api_json_seq(doc, object, "delivery", entry->delivery);
    api_json_text(doc, object, "ended", str_of(ends[entry->ended]));
    json_add_raw(doc, object, "data", entry->data.len ? entry->data : STR("{}"));
    json_add_str(doc, object, "sha", entry->sha);
}

void api_json_key(yyjson_mut_doc *doc, yyjson_mut_val *object, const struct key *key,
                  int64_t now_ms)
{
    struct str day = STR_NONE;
    char text[ISO_TIME_BYTES + 1];
    json_add_str(doc, object, "id", key->id);
    json_add_str(doc, object, "role",
                 key->role == ROLE_OPERATOR ? STR("operator") : STR("customer"));
    api_json_text(doc, object, "owner", key->owner);
    json_add_str(doc, object, "realm", key->realm);
    json_add_str(doc, object, "label", key->label);
    json_add_time(doc, object, "created_at", key->created_at_ms);
    json_add_time(doc, object, "deleted_at", key->deleted_at_ms);
    if (key->last_used_day) {
        iso_time_write(key->last_used_day * 86400000, text);
        day = (struct str){text, strlen("2026-11-22")};
    }
    api_json_text(doc, object, "last_used_on", day);
    yyjson_mut_val *secrets = json_add_arr(doc, object, "secrets");
    for (int i = 0; i < SECRETS_PER_KEY && !key->deleted_at_ms; i++) {
        const struct key_secret *secret = &key->secrets[i];
        if (secret->sha.len && (!secret->expires_at_ms || secret->expires_at_ms > now_ms)) {
            json_add_time(doc, yyjson_mut_arr_add_obj(doc, secrets), "expires_at",
                          secret->expires_at_ms);
        }
    }
}

void api_json_answer(struct exchange *exchange, int status, const yyjson_mut_doc *doc)
{
    struct response *response = exchange->response;
    response->status = status;
    response->header_count = 0;
    api_header(response, "content-type", STR("application/json"));
    api_header(response, "cache-control", STR("no-store"));
    response->body = json_write_mut(exchange->call->arena, doc);
}

/* --- pages --------------------------------------------------------------------------------------------------- */
struct str api_page_scope(const struct exchange *exchange, struct str of)
{
    return arena_printf(exchange->call->arena, "%s " STR_FMT " " STR_FMT " " STR_FMT,
                        exchange->route->operation_id, STR_ARG(exchange->principal.realm),
                        STR_ARG(exchange->principal.owner), STR_ARG(of));
}

enum rc api_page_cursor(struct exchange *exchange, const struct value *cursor, struct str scope,
                        struct str *ret_after)
{
    struct call *call = exchange->call;
    *ret_after = STR("");
    if (cursor->given && cursor_read(call, scope, cursor->text, ret_after) != RC_OK) {
        return call_refuse(call, PROBLEM_invalid_parameter,
                           "cursor is none of ours, or belongs to another request");
    }
    return RC_OK;
}

void api_page_open(struct exchange *exchange, struct str scope, int limit, struct page *ret_page)
{
    yyjson_mut_doc *doc = json_doc(exchange->call->arena);
    *ret_page = (struct page){.doc = doc, .scope = scope, .limit = limit};
    ret_page->items = yyjson_mut_arr(doc);
}

bool api_page_take(struct page *page, size_t bytes)
{
    bool fits = page->count == 0 || page->bytes + bytes <= PAGE_MAX_BYTES;
    if (page->count == page->limit || !fits) {
        return false;
    }
    page->count++;
    page->bytes += bytes;
    return true;
}

yyjson_mut_val *api_page_add(struct page *page)
{
    return yyjson_mut_arr_add_obj(page->doc, page->items);
}

/* The query of this request with another cursor. A relative reference that is a query alone keeps the
 * request's path, whatever stands before it: RFC 3986 section 5.2. */
static struct str next_link(struct exchange *exchange, struct str cursor)
{
    struct call *call = exchange->call;
    const struct route *route = exchange->route;
    struct text link;
    text_open(&link, call->arena, 3 * exchange->query.len + cursor.len + 256);
    text_add(&link, STR("<?"));
    for (size_t i = 0; i < route->query_field_count; i++) {
        const struct value *value = &exchange->query_values[i];
        if (value->given && strcmp(route->query_fields[i].name, "cursor") != 0) {
            text_printf(&link, "%s=" STR_FMT "&", route->query_fields[i].name,
                        STR_ARG(text_percent(call->arena, value->text)));
        }
    }
    text_printf(&link, "cursor=" STR_FMT ">; rel=\"next\"", STR_ARG(cursor));
    return text_str(&link);
}

void api_page_close(struct exchange *exchange, struct page *page, bool more, struct str after)
{
    struct call *call = exchange->call;
    yyjson_mut_val *root = yyjson_mut_doc_get_root(page->doc);
    struct str cursor = more ? cursor_write(call, page->scope, after) : STR_NONE;
    yyjson_mut_obj_add_val(page->doc, root, "items", page->items);
    json_add_bool(page->doc, root, "has_more", more);
    api_json_text(page->doc, root, "next_cursor", cursor);
    api_json_answer(exchange, 200, page->doc);
    if (more && str_is(exchange->request->method, "GET")) {
        api_header(exchange->response, "link", next_link(exchange, cursor));
    }
}
