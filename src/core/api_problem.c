/* Problem documents (RFC 9457): what the outside is told when a request is not answered as it hoped. The codes and
 * titles stand in model.h; `detail` is call->why. A document tells nothing of devices that the caller may not see. */
#include "core/api_parts.h"
#include "core/window.h"

#define BUSY_RETRY_AFTER_S 1
#define DRAINING_RETRY_AFTER_S                                                                     \
    5 /* another process has taken over by then, or the same one is back */

void api_header(struct response *response, const char *name, struct str value)
{
    assert(response->header_count < RESPONSE_HEADERS_MAX);
    response->headers[response->header_count++] = (struct header){str_of(name), value};
}

/* Seconds after which it is worth to try again; 0 = no such advice. */
static int64_t retry_after_s(enum problem problem)
{
    switch (problem) {
    case PROBLEM_too_many_pending:
    case PROBLEM_rate_limited:
    case PROBLEM_store_busy:
        return BUSY_RETRY_AFTER_S;
    case PROBLEM_draining:
        return DRAINING_RETRY_AFTER_S;
    default:
        return 0;
    }
}

static yyjson_mut_doc *begin(struct call *call, enum problem problem, struct str detail)
{
    const struct problem_info *info = problem_info(problem);
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "type",
                 arena_printf(call->arena, "urn:hourbell:problem:%s", info->code));
    json_add_str(doc, root, "title", str_of(info->title));
    json_add_i64(doc, root, "status", info->status);
    json_add_str(doc, root, "code", str_of(info->code));
    json_add_str(doc, root, "detail", detail.len ? detail : str_of(info->title));
    json_add_str(doc, root, "request_id", call->id);
    return doc;
}

static void finish(struct call *call, enum problem problem, int64_t wait_s,
                   const yyjson_mut_doc *doc, struct response *response)
{
    response->status = problem_info(problem)->status;
    response->header_count = 0;
    api_header(response, "content-type", STR("application/problem+json"));
    api_header(response, "cache-control", STR("no-store"));
    if (wait_s) {
        api_header(response, "retry-after", arena_printf(call->arena, "%lld", (long long)wait_s));
    }
    if (problem == PROBLEM_unauthorized) {
        api_header(response, "www-authenticate",
                   STR("Basic realm=\"hourbell\", charset=\"UTF-8\""));
    }
    response->body = json_write_mut(call->arena, doc);
}

void api_problem(struct call *call, enum problem problem, struct str detail,
                 struct response *ret_response)
{
    finish(call, problem, retry_after_s(problem), begin(call, problem, detail), ret_response);
}

void api_problem_call(struct exchange *exchange, const struct current *current)
{
    struct call *call = exchange->call;
    int64_t wait_s = retry_after_s(call->problem);
    yyjson_mut_doc *doc = begin(call, call->problem, str_of(call->why));
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    if (call->item_count) {
        api_json_errors(doc, root, call->items, call->item_count);
    }
    if (current) {
        yyjson_mut_val *object = json_add_obj(doc, root, "current");
        json_add_i64(doc, object, "revision", current->revision);
        json_add_str(doc, object, "by", current->by);
        json_add_time(doc, object, "at", current->at_ms);
    }
    if (call->problem == PROBLEM_too_many_pending) { /* the next window takes them along */
        int64_t due_at_ms = window_due(exchange->world->settings, call->now_ms);
        wait_s = (due_at_ms - call->now_ms + 999) / 1000;
    }
    finish(call, call->problem, wait_s, doc, exchange->response);
}
