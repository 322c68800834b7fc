/* A request held against the route table: path, query, headers, body. What a route does not name is
 * refused here; what needs more than type and length (names, documents) is left to their modules. */
#include "core/api_parts.h"

#include "base/sha256.h"
#include "base/text.h"
#include "core/name.h"

#define QUERY_PAIRS_MAX 16

/* --- path --------------------------------------------------------------------------------------------- */
/* The path is decoded before it is cut into segments, as a gateway does it: an escaped slash cuts too. */
enum rc api_request_target(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct str rest = exchange->request->target;
    struct str path = text_cut(&rest, '?');
    exchange->query = rest;
    if (text_unpercent(call->arena, path, false, &exchange->path) != RC_OK) {
        exchange->path = path;
        return call_refuse(call, PROBLEM_invalid_parameter,
                           "the path holds a malformed escape, or %%00");
    }
    return RC_OK;
}

/* A value is one segment; only the id of a role's key, its ARN, is two. */
static size_t value_end(const char *pattern, struct str path, size_t at)
{
    bool is_arn = strncmp(pattern, "{id}", 4) == 0 && str_starts(str_from(path, at), STR("arn:"));
    for (; at < path.len && (is_arn || path.s[at] != '/'); at++) {
        is_arn = is_arn && path.s[at] != '/';
    }
    return at;
}

/* Does the path fit "/devices/{name}"? A value is not empty. */
static bool matches(const char *pattern, struct str path, struct value *ret_values)
{
    size_t at = 0, value_count = 0;
    while (*pattern) {
        if (*pattern != '{') {
            if (at == path.len || path.s[at++] != *pattern++) {
                return false;
            }
            continue;
        }
        size_t from = at;
        at = value_end(pattern, path, at);
        if (at == from) {
            return false;
        }
        ret_values[value_count++] =
            (struct value){.given = true, .text = {path.s + from, at - from}};
        pattern = strchr(pattern, '}') + 1;
    }
    return at == path.len;
}

/* The methods that a path knows; "" = it is none of ours. */
static struct str methods_of(struct exchange *exchange)
{
    struct text methods;
    struct value values[FIELDS_MAX];
    text_open(&methods, exchange->call->arena, 64);
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (matches(routes[i].path, exchange->path, values)) {
            bool is_get = strcmp(routes[i].method, "GET") == 0;
            text_printf(&methods, "%s%s%s", methods.len ? ", " : "", routes[i].method,
                        is_get ? ", HEAD" : "");
        }
    }
    return text_str(&methods);
}

void api_request_match(struct exchange *exchange, struct str *ret_allow)
{
    struct str method = exchange->request->method;
    if (str_is(method, "HEAD")) {
        method = STR("GET");
    }
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &routes[i];
        if (str_is(method, route->method) &&
            matches(route->path, exchange->path, exchange->path_values)) {
            exchange->route = route;
            return;
        }
    }
    *ret_allow = methods_of(exchange);
}

/* --- values --------------------------------------------------------------------------------------------- */
static int64_t count_characters(struct str text)
{
    int64_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        count += ((unsigned char)text.s[i] & 0xC0) != 0x80;
    }
    return count;
}

static bool is_owner(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.s[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!word && (i == 0 || !memchr("_.-", c, 3))) {
            return false;
        }
    }
    return text.len > 0;
}

/* C0, DEL, and C1 in UTF-8 (U+0080 to U+009F), which terminals obey as they obey C0. */
static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.s[i];
        unsigned char next = i + 1 < text.len ? (unsigned char)text.s[i + 1] : 0xFF;
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next < 0xA0)) {
            return true;
        }
    }
    return false;
}

/* The rule that a text breaks, in words; STR_NONE: none. */
static struct str broken_rule(struct call *call, const struct field *field, struct str text)
{
    if (!text_is_utf8(text)) {
        return STR("must be UTF-8");
    }
    if (field->allowed) {
        struct text words;
        text_open(&words, call->arena, 1024);
        for (size_t i = 0; field->allowed[i]; i++) {
            if (str_is(text, field->allowed[i])) {
                return STR_NONE;
            }
            text_printf(&words, "%s%s", i ? ", " : "must be one of ", field->allowed[i]);
        }
        return text_str(&words);
    }
    if (field->checked_by == CHECKED_BY_NAME) {
        bool fits = field->max == INT64_MAX || count_characters(text) <= field->max;
        return fits ? STR_NONE
                    : arena_printf(call->arena, "must have at most %lld characters",
                                   (long long)field->max);
    }
    int64_t count = count_characters(text);
    if (count < field->min || count > field->max) {
        return arena_printf(call->arena, "must have %lld to %lld characters", (long long)field->min,
                            (long long)field->max);
    }
    if (has_control(text)) {
        return STR("must not hold control characters");
    }
    if (field->checked_by == CHECKED_BY_OWNER && !is_owner(text)) {
        return STR("must be a-z, 0-9, then also _ . -");
    }
    return STR_NONE;
}

static struct str read_integer(struct call *call, const struct field *field, struct str digits,
                               int64_t *ret_number)
{
    int64_t number;
    if (text_to_i64(digits, &number) != RC_OK || number < field->min || number > field->max) {
        return arena_printf(call->arena, "must be a whole number, %lld to %lld",
                            (long long)field->min, (long long)field->max);
    }
    *ret_number = number;
    return STR_NONE;
}

static const struct value *value_of(const struct field *fields, size_t count,
                                    const struct value *values, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &values[i];
        }
    }
    assert(0 && "the route has this field");
    return NULL;
}

const struct value *api_request_path(const struct exchange *exchange, const char *name)
{
    return value_of(exchange->route->path_fields, exchange->route->path_field_count,
                    exchange->path_values, name);
}

const struct value *api_request_query(const struct exchange *exchange, const char *name)
{
    return value_of(exchange->route->query_fields, exchange->route->query_field_count,
                    exchange->query_values, name);
}

const struct value *api_request_member(const struct exchange *exchange, const char *name)
{
    return value_of(exchange->route->members, exchange->route->member_count, exchange->members,
                    name);
}

static bool may_use(const struct exchange *exchange, const struct field *field)
{
    return !field->roles || field->roles & 1U << exchange->principal.role;
}

/* --- path values and query ---------------------------------------------------------------------------------- */
/* A number that cannot be one names nothing: 404, as an unknown one. */
static enum rc check_path(struct exchange *exchange)
{
    const struct route *route = exchange->route;
    for (size_t i = 0; i < route->path_field_count; i++) {
        const struct field *field = &route->path_fields[i];
        struct value *value = &exchange->path_values[i];
        struct str broken = field->type == VALUE_INTEGER
                                ? read_integer(exchange->call, field, value->text, &value->number)
                                : broken_rule(exchange->call, field, value->text);
        if (broken.len && field->checked_by == CHECKED_BY_TYPE) {
            bool is_update = strcmp(field->name, "seq") == 0;
            return call_why(exchange->call, RC_NOT_FOUND, "there is no %s " STR_FMT,
                            is_update ? "update" : "key", STR_ARG(value->text));
        }
    }
    return RC_OK;
}

static enum rc take_parameter(struct exchange *exchange, struct str name, struct str text)
{
    struct call *call = exchange->call;
    const struct route *route = exchange->route;
    size_t i = 0;
    while (i < route->query_field_count && !str_is(name, route->query_fields[i].name)) {
        i++;
    }
    if (i == route->query_field_count) {
        return call_refuse(call, PROBLEM_unknown_parameter, STR_FMT " is unknown",
                           STR_ARG(str_head(name, name.len < 64 ? name.len : 64)));
    }
    const struct field *field = &route->query_fields[i];
    struct value *value = &exchange->query_values[i];
    if (value->given) {
        return call_refuse(call, PROBLEM_invalid_parameter, "%s stands twice", field->name);
    }
    if (!may_use(exchange, field)) {
        return call_refuse(call, PROBLEM_forbidden, "only operators may use %s", field->name);
    }
    struct str broken = field->type == VALUE_INTEGER
                            ? read_integer(call, field, text, &value->number)
                            : broken_rule(call, field, text);
    if (broken.len) {
        return call_refuse(call, PROBLEM_invalid_parameter, "%s " STR_FMT, field->name,
                           STR_ARG(broken));
    }
    value->given = true;
    value->text = text;
    return RC_OK;
}

enum rc api_request_parameters(struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct route *route = exchange->route;
    for (size_t i = 0; i < route->query_field_count; i++) {
        exchange->query_values[i] = (struct value){.number = route->query_fields[i].fallback};
    }
    TRY(check_path(exchange));
    struct str rest = exchange->query;
    for (int pairs = 0; rest.len; pairs++) {
        struct str raw = text_cut(&rest, '&'), name, text;
        struct str raw_name = text_cut(&raw, '=');
        if (pairs == QUERY_PAIRS_MAX) {
            return call_refuse(call, PROBLEM_invalid_parameter, "more than %d parameters",
                               QUERY_PAIRS_MAX);
        }
        if (text_unpercent(call->arena, raw_name, true, &name) != RC_OK ||
            text_unpercent(call->arena, raw, true, &text) != RC_OK) {
            return call_refuse(call, PROBLEM_invalid_parameter,
                               "the query holds a malformed escape, or %%00");
        }
        TRY(take_parameter(exchange, name, text));
    }
    for (size_t i = 0; i < route->query_field_count; i++) {
        if (route->query_fields[i].required && !exchange->query_values[i].given) {
            return call_refuse(call, PROBLEM_invalid_parameter, "%s is missing",
                               route->query_fields[i].name);
        }
    }
    return RC_OK;
}

enum rc api_request_device_key(struct exchange *exchange, struct str *ret_key)
{
    struct str name;
    exchange->asked_name = api_request_path(exchange, "name")->text;
    return name_device_key(exchange->call, exchange->principal.realm, exchange->asked_name, STR(""),
                           &name, ret_key);
}

/* --- headers --------------------------------------------------------------------------------------------- */
/* The only one of its name; a second one is refused. */
static enum rc sole_header(struct exchange *exchange, const char *name, struct str *ret_value,
                           bool *ret_given)
{
    const struct request *request = exchange->request;
    *ret_given = false;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!str_is(request->headers[i].name, name)) {
            continue;
        }
        if (*ret_given) {
            return call_refuse(exchange->call, PROBLEM_invalid_header, "%s stands twice", name);
        }
        *ret_given = true;
        *ret_value = text_trim(request->headers[i].value);
    }
    return RC_OK;
}

/* 1 to 255 visible ASCII characters; quotes around them are not part of the key. */
static bool read_key(struct str text, struct str *ret_key)
{
    if (text.len >= 2 && text.s[0] == '"' && text.s[text.len - 1] == '"') {
        text = (struct str){text.s + 1, text.len - 2};
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.s[i] < '!' || text.s[i] > '~') {
            return false;
        }
    }
    *ret_key = text;
    return text.len >= 1 && text.len <= IDEMPOTENCY_KEY_MAX_BYTES;
}

enum rc api_request_headers(struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct route *route = exchange->route;
    struct str key, match;
    bool has_key, has_match;
    if (str_is(str_of(route->method), "GET")) {
        return RC_OK;
    }
    TRY(sole_header(exchange, "idempotency-key", &key, &has_key));
    if (has_key && !route->idempotent) {
        return call_refuse(call, PROBLEM_invalid_header,
                           "Idempotency-Key is not possible here: the answer is not stored");
    }
    if (has_key && !read_key(key, &key)) {
        return call_refuse(call, PROBLEM_invalid_header,
                           "Idempotency-Key must be 1 to %d visible ASCII characters",
                           IDEMPOTENCY_KEY_MAX_BYTES);
    }
    if (has_key) {
        exchange->repeat = &exchange->repeat_room;
        exchange->repeat->reply.key = key;
    }
    TRY(sole_header(exchange, "if-match", &match, &has_match));
    if (has_match && !route->conditional) {
        return call_refuse(call, PROBLEM_invalid_header, "If-Match is not possible here");
    }
    exchange->if_match = has_match ? match : STR_NONE;
    return has_match && !match.len ? call_refuse(call, PROBLEM_invalid_header, "If-Match is empty")
                                   : RC_OK;
}

/* One entity tag off the front of rest. source RFC 9110 section 8.8.3. */
static bool cut_tag(struct str *rest, struct str *ret_opaque, bool *ret_weak)
{
    *ret_weak = str_starts(*rest, STR("W/"));
    struct str text = *ret_weak ? str_from(*rest, 2) : *rest;
    if (text.len < 2 || text.s[0] != '"') {
        return false;
    }
    const char *end = memchr(text.s + 1, '"', text.len - 1);
    if (!end) {
        return false;
    }
    *ret_opaque = (struct str){text.s + 1, (size_t)(end - text.s) - 1};
    *rest = text_trim(str_from(text, ret_opaque->len + 2));
    return !has_control(*ret_opaque) && !memchr(ret_opaque->s, ' ', ret_opaque->len);
}

/* Strong comparison: a weak tag never matches, neither does one that is no revision of ours (03, +3). */
static int64_t tag_revision(struct str opaque, bool weak)
{
    int64_t revision;
    bool ours = !weak && opaque.len && opaque.s[0] != '0' &&
                text_to_i64(opaque, &revision) == RC_OK && revision > 0;
    return ours ? revision : IF_MATCH_NEVER;
}

enum rc api_request_if_match(struct exchange *exchange, int64_t current_revision,
                             int64_t *ret_revision)
{
    struct str rest = exchange->if_match;
    int64_t chosen = 0, tag_count = 0;
    if (str_is(rest, "*")) {
        rest = STR_NONE;
    }
    while (rest.len) {
        struct str opaque;
        bool weak;
        if (rest.s[0] == ',') { /* also of an empty member: RFC 9110 section 5.6.1.2 */
            rest = text_trim(str_from(rest, 1));
            continue;
        }
        if (!cut_tag(&rest, &opaque, &weak) || (rest.len && rest.s[0] != ',')) {
            tag_count = 0;
            break;
        }
        int64_t revision = tag_revision(opaque, weak);
        if (tag_count == 0 || revision == current_revision) {
            chosen = revision;
        }
        tag_count++;
    }
    if (exchange->if_match.len && tag_count == 0 && !str_is(exchange->if_match, "*")) {
        return call_refuse(exchange->call, PROBLEM_invalid_header,
                           "If-Match must be *, or entity tags in quotes with commas between");
    }
    *ret_revision = chosen;
    return RC_OK;
}

#define LENGTH_BYTES 24 /* of one part: "<decimal>:" */

static void hash_part(struct text *text, struct str part)
{
    text_printf(text, "%zu:", part.len);
    text_add(text, part);
}

struct str api_request_fingerprint(const struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct request *request = exchange->request;
    unsigned char sha[SHA256_BYTES];
    struct text text;
    text_open(&text, call->arena,
              request->method.len + exchange->path.len + exchange->if_match.len +
                  request->body.len + 4 * LENGTH_BYTES);
    hash_part(&text, request->method);
    hash_part(&text, exchange->path);
    hash_part(&text, exchange->if_match);
    hash_part(&text, request->body);
    assert(!text.full);
    sha256(text_str(&text), sha);
    return text_hex(call->arena, (struct str){(const char *)sha, sizeof(sha)});
}

/* --- body ---------------------------------------------------------------------------------------------------- */
static enum rc check_media_type(struct exchange *exchange)
{
    struct str type = STR_NONE;
    bool given;
    TRY(sole_header(exchange, "content-type", &type, &given));
    struct str essence = text_trim(text_cut(&type, ';'));
    return given && text_equal_nocase(essence, STR("application/json"))
               ? RC_OK
               : call_refuse(exchange->call, PROBLEM_unsupported_media_type,
                             given ? "the body is " STR_FMT : "content-type is missing" STR_FMT,
                             STR_ARG(str_head(essence, essence.len < 64 ? essence.len : 64)));
}

static enum rc parse(struct exchange *exchange, yyjson_val **ret_root)
{
    struct call *call = exchange->call;
    struct json_fault fault;
    enum rc rc =
        json_read(call->arena, exchange->request->body, JSON_MAX_DEPTH + 1, ret_root, &fault);
    if (rc == RC_OK && !yyjson_is_obj(*ret_root)) {
        return call_refuse_at(call, STR(""), PROBLEM_not_an_object, "the body must be an object");
    }
    if (rc != RC_INVALID) {
        return rc;
    }
    switch (fault.kind) {
    case JSON_DUPLICATE:
        return call_refuse_at(call, fault.pointer, PROBLEM_duplicate_member,
                              STR_FMT " stands twice", STR_ARG(fault.pointer));
    case JSON_TOO_DEEP:
        return call_refuse_at(call, fault.pointer, PROBLEM_too_deep,
                              STR_FMT " is nested more than %d levels deep", STR_ARG(fault.pointer),
                              JSON_MAX_DEPTH);
    case JSON_SYNTAX:
        break;
    }
    return call_refuse(call, PROBLEM_invalid_json, "%s", fault.why);
}

/* One member against its field; what breaks a rule is named, and the others are looked at too. */
static enum rc take_member(struct exchange *exchange, const struct field *field,
                           struct value *value, yyjson_val *json)
{
    struct call *call = exchange->call;
    struct str pointer = json_pointer(call->arena, STR(""), str_of(field->name)), broken;
    if (!may_use(exchange, field)) {
        return call_refuse_at(call, pointer, PROBLEM_forbidden, "only operators may say %s",
                              field->name);
    }
    value->given = true;
    switch (field->type) {
    case VALUE_TEXT:
        value->text = json_str(json);
        broken = yyjson_is_str(json) ? broken_rule(call, field, value->text) : STR("must be text");
        break;
    case VALUE_INTEGER:
        broken = read_integer(call, field, json_raw(json), &value->number);
        break;
    case VALUE_BOOLEAN:
        value->yes = yyjson_is_true(json);
        broken = yyjson_is_bool(json) ? STR_NONE : STR("must be true or false");
        break;
    default:
        value->object = json;
        broken = STR_NONE;
    }
    if (broken.len) {
        call_name(call, pointer, PROBLEM_invalid_member, "%s " STR_FMT, field->name,
                  STR_ARG(broken));
    }
    return RC_OK;
}

static enum rc take_members(struct exchange *exchange, yyjson_val *root)
{
    struct call *call = exchange->call;
    const struct route *route = exchange->route;
    yyjson_obj_iter members = yyjson_obj_iter_with(root);
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&members));) {
        size_t i = 0;
        while (i < route->member_count && !str_is(json_str(name), route->members[i].name)) {
            i++;
        }
        if (i < route->member_count) {
            TRY(take_member(exchange, &route->members[i], &exchange->members[i],
                            yyjson_obj_iter_get_val(name)));
        } else {
            struct str shown = json_str(name);
            shown = str_head(shown, shown.len < 64 ? shown.len : 64);
            call_name(call, json_pointer(call->arena, STR(""), json_str(name)),
                      PROBLEM_unknown_member, STR_FMT " is unknown", STR_ARG(shown));
        }
    }
    for (size_t i = 0; i < route->member_count; i++) {
        if (route->members[i].required && !exchange->members[i].given) {
            call_name(call, json_pointer(call->arena, STR(""), str_of(route->members[i].name)),
                      PROBLEM_missing_member, "%s is missing", route->members[i].name);
        }
    }
    return call->item_count ? RC_INVALID : RC_OK;
}

enum rc api_request_body(struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct request *request = exchange->request;
    const struct route *route = exchange->route;
    yyjson_val *root;
    if (request->body.len > BODY_MAX_BYTES) {
        return call_refuse(call, PROBLEM_body_too_large, "at most %d bytes are allowed",
                           BODY_MAX_BYTES);
    }
    if (route->body == BODY_NONE) {
        return request->body.len == 0
                   ? RC_OK
                   : call_refuse(call, PROBLEM_unknown_member, "this route takes no body");
    }
    if (request->body.len == 0) {
        return route->body == BODY_OPTIONAL
                   ? RC_OK
                   : call_refuse(call, PROBLEM_invalid_json, "a body is needed");
    }
    TRY(check_media_type(exchange));
    TRY(parse(exchange, &root));
    return take_members(exchange, root);
}
