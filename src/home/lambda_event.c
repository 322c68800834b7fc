/* Reading is by name and type: what is not there is null in AWS's events as often as it is missing. Strings from a gateway are
 * decoded; the core decodes targets itself, once, so they are encoded again here. */
#include "home/lambda_event.h"

#include "base/text.h"

#define EVENT_MAX_DEPTH 32 /* claims of foreign authorizers may be nested */
#define TARGET_MAX_BYTES ((size_t)64 << 10)
#define HOUR_MS INT64_C(3600000)
#define DAY_MAX 100000000

static const struct {
    int at_min, span_s;
} passes[] = {{0, 120}, {2, 780}, {15, 900}, {30, 900}, {45, 900}};
#define REPORT_AT_MIN 57

static enum rc read_event(struct call *call, struct str event, const char *what,
                          yyjson_val **ret_root)
{
    struct json_fault fault;
    yyjson_val *root = NULL;
    if (json_read(call->arena, event, EVENT_MAX_DEPTH, &root, &fault) != RC_OK) {
        return call_why(call, RC_INVALID, "the event is no JSON that can be taken: %s", fault.why);
    }
    if (!yyjson_is_obj(root)) {
        return call_why(call, RC_INVALID, "the event is no object, and should be %s", what);
    }
    *ret_root = root;
    return RC_OK;
}

/* --- headers and query ---------------------------------------------------------------------------------- */
static size_t count_values(yyjson_val *map)
{
    size_t count = 0, index, most;
    yyjson_val *name, *value;
    if (!yyjson_is_obj(map)) {
        return 0;
    }
    yyjson_obj_foreach(map, index, most, name, value)
    {
        count += yyjson_is_arr(value) ? yyjson_arr_size(value) : 1;
    }
    return count;
}

/* name: [values] and name: value alike; in the order of the event. */
typedef void each_fn(void *context, struct str name, struct str value);
static void each_value(yyjson_val *map, each_fn *each, void *context)
{
    size_t index, most, inner, inner_most;
    yyjson_val *name, *value, *item;
    if (!yyjson_is_obj(map)) {
        return;
    }
    yyjson_obj_foreach(map, index, most, name, value)
    {
        if (yyjson_is_str(value)) {
            each(context, json_str(name), json_str(value));
        }
        if (yyjson_is_arr(value)) {
            yyjson_arr_foreach(value, inner, inner_most, item)
            {
                if (yyjson_is_str(item)) {
                    each(context, json_str(name), json_str(item));
                }
            }
        }
    }
}

struct headers {
    struct arena *arena;
    struct header *items;
    size_t count;
};

static void add_header(void *context, struct str name, struct str value)
{
    struct headers *headers = context;
    headers->items[headers->count++] = (struct header){text_lower(headers->arena, name), value};
}

static yyjson_val *multi_or_single(yyjson_val *root, const char *multi, const char *single)
{
    yyjson_val *map = json_member(root, multi);
    return yyjson_is_obj(map) ? map : json_member(root, single);
}

static void read_headers(struct call *call, yyjson_val *root, struct request *request)
{
    yyjson_val *map = multi_or_single(root, "multiValueHeaders", "headers");
    struct headers headers = {.arena = call->arena};
    headers.items = arena_array(call->arena, struct header, count_values(map));
    each_value(map, add_header, &headers);
    request->headers = headers.items;
    request->header_count = headers.count;
}

static void add_parameter(void *context, struct str name, struct str value)
{
    struct text *target = context;
    text_add_char(target, memchr(target->s, '?', target->len) ? '&' : '?');
    text_add(target, text_percent(target->arena, name));
    text_add_char(target, '=');
    text_add(target, text_percent(target->arena, value));
}

/* --- path ----------------------------------------------------------------------------------------------- */
static bool ends_with(struct str text, struct str end)
{
    return text.len >= end.len && str_equal(str_from(text, text.len - end.len), end);
}

/* What stands before our routes is cut off: a custom domain's base path, which only the resource tells, or the stage. */
static struct str own_path(struct call *call, yyjson_val *root)
{
    struct str path = json_member_str(root, "path", STR("/"));
    struct str resource = json_member_str(root, "resource", STR_NONE);
    struct str proxy = json_member_str(json_member(root, "pathParameters"), "proxy", STR_NONE);
    struct str stage = json_member_str(json_member(root, "requestContext"), "stage", STR_NONE);
    if (str_is(resource, "/{proxy+}") && proxy.len) {
        struct str own = arena_printf(call->arena, "/" STR_FMT, STR_ARG(proxy));
        if (ends_with(path, own)) {
            return own;
        }
    } else if (resource.len && !memchr(resource.s, '{', resource.len) &&
               ends_with(path, resource)) {
        return resource;
    }
    struct str prefix = arena_printf(call->arena, "/" STR_FMT "/", STR_ARG(stage));
    return stage.len && str_starts(path, prefix) ? str_from(path, prefix.len - 1) : path;
}

static enum rc read_target(struct call *call, yyjson_val *root, struct request *request)
{
    struct str rest = own_path(call, root);
    struct text target;
    text_open(&target, call->arena, TARGET_MAX_BYTES);
    if (!rest.len || rest.s[0] != '/') {
        return call_why(call, RC_INVALID, "the event's path does not begin with /");
    }
    (void)text_cut(&rest, '/');
    for (bool more = true; more;) {
        more = rest.len && memchr(rest.s, '/', rest.len);
        text_add_char(&target, '/');
        text_add(&target, text_percent(call->arena, text_cut(&rest, '/')));
    }
    each_value(multi_or_single(root, "multiValueQueryStringParameters", "queryStringParameters"),
               add_parameter, &target);
    if (target.full) {
        return call_why(call, RC_INVALID, "the event's path and query are too long");
    }
    request->target = text_str(&target);
    return RC_OK;
}

/* --- proxy events ------------------------------------------------------------------------------------------ */
static enum rc read_body(struct call *call, yyjson_val *root, struct request *request)
{
    request->body = json_member_str(root, "body", STR_NONE);
    if (json_member_bool(root, "isBase64Encoded", false) &&
        text_unbase64(call->arena, request->body, &request->body) != RC_OK) {
        return call_why(call, RC_INVALID, "the event's body is not base64");
    }
    return RC_OK;
}

static void read_principal(yyjson_val *context, struct proxy_event *event)
{
    yyjson_val *said = json_member(context, "authorizer");
    struct str id = json_member_str(said, "key", STR_NONE);
    struct str role = json_member_str(said, "role", STR_NONE);
    int64_t day = 0;
    if (!id.len) {
        return;
    }
    event->principal.id = id;
    event->principal.owner = json_member_str(said, "owner", STR_NONE);
    event->principal.realm = json_member_str(said, "realm", STR("live"));
    event->principal.role = str_is(role, "operator")   ? ROLE_OPERATOR
                            : str_is(role, "customer") ? ROLE_CUSTOMER
                                                       : ROLE_NONE;
    if (text_to_i64(json_member_str(said, "last_used_day", STR_NONE), &day) != RC_OK) {
        day = json_member_i64(said, "last_used_day", 0); /* AWS makes a string of every value */
    }
    event->principal.last_used_day = day >= 0 && day < DAY_MAX ? day : 0;
    event->request.principal = &event->principal;
}

enum rc event_proxy_read(struct call *call, struct str event, struct proxy_event *ret_event)
{
    yyjson_val *root = NULL;
    *ret_event = (struct proxy_event){0};
    TRY(read_event(call, event, "a proxy event of API Gateway", &root));
    yyjson_val *context = json_member(root, "requestContext");
    struct request *request = &ret_event->request;
    request->method = json_member_str(root, "httpMethod", STR_NONE);
    if (!request->method.len || !yyjson_is_obj(context)) {
        return call_why(call, RC_INVALID, "the event is no proxy event of a REST API (format 1.0)");
    }
    ret_event->gateway_id = json_member_str(context, "requestId", STR_NONE);
    ret_event->user_arn = json_member_str(json_member(context, "identity"), "userArn", STR_NONE);
    TRY(read_target(call, root, request));
    read_headers(call, root, request);
    TRY(read_body(call, root, request));
    read_principal(context, ret_event);
    return RC_OK;
}

static void answer_header(struct text *answer, struct str name, struct str value)
{
    text_add_char(answer, ',');
    text_add_json(answer, name);
    text_add_char(answer, ':');
    text_add_json(answer, value);
}

/* source Fetch standard, "CORS protocol"; the preflight is the gateway's. */
static void add_cors(struct text *answer, struct str console_origin)
{
    answer_header(answer, STR("access-control-allow-origin"), console_origin);
    answer_header(answer, STR("access-control-expose-headers"),
                  STR("etag,link,location,retry-after,x-request-id"));
    answer_header(answer, STR("vary"), STR("origin"));
}

struct str event_proxy_answer(struct call *call, const struct response *response,
                              struct str console_origin)
{
    struct text answer;
    /* a byte becomes \u00XX at most */
    size_t room = (response->body.len + console_origin.len) * 6 + 4096;
    for (size_t i = 0; i < response->header_count; i++) {
        room += (response->headers[i].name.len + response->headers[i].value.len) * 6 + 8;
    }
    text_open(&answer, call->arena, room);
    text_printf(&answer,
                "{\"isBase64Encoded\":false,\"statusCode\":%d,\"headers\":{\"x-request-id\":",
                response->status);
    text_add_json(&answer, call->id);
    for (size_t i = 0; i < response->header_count; i++) {
        answer_header(&answer, response->headers[i].name, response->headers[i].value);
    }
    if (console_origin.len) {
        add_cors(&answer, console_origin);
    }
    text_add(&answer, STR("},\"body\":"));
    text_add_json(&answer, response->body);
    text_add_char(&answer, '}');
    assert(!answer.full);
    return text_str(&answer);
}

/* --- authorizer ---------------------------------------------------------------------------------------------- */
enum rc event_authorizer_read(struct call *call, struct str event,
                              struct authorizer_event *ret_event)
{
    yyjson_val *root = NULL;
    *ret_event = (struct authorizer_event){0};
    TRY(read_event(call, event, "an authorizer's request", &root));
    ret_event->method_arn = json_member_str(root, "methodArn", STR_NONE);
    if (!str_is(json_member_str(root, "type", STR_NONE), "REQUEST") || !ret_event->method_arn.len) {
        return call_why(call, RC_INVALID, "the event is none of an authorizer of type REQUEST");
    }
    ret_event->gateway_id =
        json_member_str(json_member(root, "requestContext"), "requestId", STR_NONE);
    read_headers(call, root, &ret_event->request);
    return RC_OK;
}

/* "arn:aws:execute-api:region:account:api/stage/GET/path" as "arn:.../stage/" and a star: one answer covers every method. */
static struct str whole_stage(struct call *call, struct str method_arn)
{
    struct str rest = method_arn;
    (void)text_cut(&rest, '/');
    (void)text_cut(&rest, '/');
    size_t len = rest.len ? method_arn.len - rest.len : method_arn.len;
    return arena_printf(call->arena, STR_FMT "*", STR_ARG(str_head(method_arn, len)));
}

struct str event_authorizer_answer(struct call *call, const struct authorizer_event *event,
                                   const struct principal *principal, struct str plan_key)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "principalId", principal ? principal->id : STR("nobody"));
    yyjson_mut_val *policy = json_add_obj(doc, root, "policyDocument");
    json_add_str(doc, policy, "Version", STR("2012-10-17"));
    yyjson_mut_val *statements = json_add_arr(doc, policy, "Statement");
    yyjson_mut_val *statement = yyjson_mut_arr_add_obj(doc, statements);
    json_add_str(doc, statement, "Action", STR("execute-api:Invoke"));
    json_add_str(doc, statement, "Effect", principal ? STR("Allow") : STR("Deny"));
    json_add_str(doc, statement, "Resource", whole_stage(call, event->method_arn));
    if (principal) {
        yyjson_mut_val *context = json_add_obj(doc, root, "context");
        bool is_operator = principal->role == ROLE_OPERATOR;
        json_add_str(doc, context, "key", principal->id);
        json_add_str(doc, context, "owner", principal->owner);
        json_add_str(doc, context, "role", is_operator ? STR("operator") : STR("customer"));
        json_add_str(doc, context, "realm", principal->realm);
        json_add_i64(doc, context, "last_used_day", principal->last_used_day);
        if (plan_key.len) {
            json_add_str(doc, root, "usageIdentifierKey", plan_key);
        }
    }
    return json_write_mut(call->arena, doc);
}

/* --- SQS --------------------------------------------------------------------------------------------------------- */
enum rc event_sqs_read(struct call *call, struct str event, struct sqs_event *ret_event)
{
    yyjson_val *root = NULL, *item;
    size_t index, most;
    *ret_event = (struct sqs_event){0};
    TRY(read_event(call, event, "a batch of SQS", &root));
    yyjson_val *records = json_member(root, "Records");
    if (!yyjson_is_arr(records) || yyjson_arr_size(records) == 0 ||
        yyjson_arr_size(records) > EVENT_RECORDS_MAX) {
        return call_why(call, RC_INVALID, "the event holds not 1 to %d records of SQS",
                        EVENT_RECORDS_MAX);
    }
    yyjson_arr_foreach(records, index, most, item)
    {
        struct sqs_record *record = &ret_event->records[ret_event->count++];
        yyjson_val *attributes = json_member(item, "attributes");
        record->id = json_member_str(item, "messageId", STR_NONE);
        record->body = json_member_str(item, "body", STR_NONE);
        if (text_to_i64(json_member_str(attributes, "ApproximateReceiveCount", STR_NONE),
                        &record->receive_count) != RC_OK) {
            record->receive_count = 0;
        }
        if (!record->id.len) {
            return call_why(call, RC_INVALID, "a record has no messageId: none could be repeated");
        }
    }
    return RC_OK;
}

struct str event_sqs_answer(struct call *call, const struct sqs_event *event, const bool *failed)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *list = json_add_arr(doc, yyjson_mut_doc_get_root(doc), "batchItemFailures");
    for (int i = 0; i < event->count; i++) {
        if (failed[i]) {
            yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
            json_add_str(doc, item, "itemIdentifier", event->records[i].id);
        }
    }
    return json_write_mut(call->arena, doc);
}

/* --- the hourly run ------------------------------------------------------------------------------------------------ */
enum rc event_tick_read(struct call *call, struct str event, int64_t *ret_hour_at_ms)
{
    yyjson_val *root = NULL;
    int64_t at_ms = 0;
    TRY(read_event(call, event, "the schedule's", &root));
    struct str text = json_member_str(root, "scheduled_time", STR_NONE);
    if (iso_time_read(text, &at_ms) != RC_OK) {
        return call_why(call, RC_INVALID, "scheduled_time is no time: %.60s",
                        arena_copy(call->arena, text).s);
    }
    *ret_hour_at_ms = at_ms - at_ms % HOUR_MS;
    return RC_OK;
}

/* "2026-11-22T13" */
static struct str hour_text(struct arena *arena, int64_t hour_at_ms)
{
    return str_head(iso_time(arena, hour_at_ms), STR("2026-11-22T13").len);
}

/* AWS's own form, without milliseconds: what a Wait state takes. */
static struct str seconds_text(struct arena *arena, int64_t at_ms)
{
    struct str head = str_head(iso_time(arena, at_ms), STR("2026-11-22T13:00:00").len);
    return arena_printf(arena, STR_FMT "Z", STR_ARG(head));
}

struct str event_run_name(struct arena *arena, int64_t hour_at_ms)
{
    return arena_printf(arena, "run-" STR_FMT, STR_ARG(hour_text(arena, hour_at_ms)));
}

struct str event_run_input(struct call *call, int64_t hour_at_ms)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "run", hour_text(call->arena, hour_at_ms));
    json_add_str(doc, root, "report_at",
                 seconds_text(call->arena, hour_at_ms + REPORT_AT_MIN * 60000));
    yyjson_mut_val *list = json_add_arr(doc, root, "passes");
    for (size_t i = 0; i < COUNT_OF(passes); i++) {
        yyjson_mut_val *pass = yyjson_mut_arr_add_obj(doc, list);
        json_add_str(doc, pass, "at",
                     seconds_text(call->arena, hour_at_ms + passes[i].at_min * 60000));
        json_add_i64(doc, pass, "span_s", passes[i].span_s);
    }
    return json_write_mut(call->arena, doc);
}

enum rc event_plan_read(struct call *call, struct str event, struct plan_event *ret_event)
{
    yyjson_val *root = NULL;
    TRY(read_event(call, event, "one pass of a plan", &root));
    int64_t shard = json_member_i64(root, "shard", -2);
    *ret_event = (struct plan_event){.run = json_member_str(root, "run", STR_NONE),
                                     .cursor = json_member_str(root, "cursor", STR_NONE),
                                     .span_s = json_member_i64(root, "span_s", 0),
                                     .shard = (int)shard};
    if (shard < SHARD_ALL || shard >= SHARD_COUNT || ret_event->span_s <= 0 ||
        ret_event->span_s > DAY_MAX) {
        return call_why(call, RC_INVALID, "a plan's event has shard 0 to 15 and span_s above 0");
    }
    return RC_OK;
}

/* planned: an array of passes of arrays of shards: [[{"woken":1,"more":false}, ...], ...] */
enum rc event_report_read(struct call *call, struct str event, struct report_event *ret_event)
{
    yyjson_val *root = NULL, *pass, *shard;
    size_t i, most, j, inner_most;
    TRY(read_event(call, event, "the run's", &root));
    *ret_event = (struct report_event){.run = json_member_str(root, "run", STR_NONE)};
    yyjson_val *planned = json_member(root, "planned");
    if (!ret_event->run.len) {
        return call_why(call, RC_INVALID, "a report's event names its run");
    }
    if (!yyjson_is_arr(planned)) {
        return RC_OK;
    }
    yyjson_arr_foreach(planned, i, most, pass)
    {
        ret_event->more = 0;
        if (!yyjson_is_arr(pass)) {
            continue;
        }
        yyjson_arr_foreach(pass, j, inner_most, shard)
        {
            ret_event->woken += max_i64(json_member_i64(shard, "woken", 0), 0) % DAY_MAX;
            ret_event->more += json_member_bool(shard, "more", false);
        }
    }
    return RC_OK;
}
