/* What the parts of the interface share: api.c leads a request through them. Nobody else includes this.
 *   api.c          who asks, which right, repeats, what becomes of an rc
 *   api_request.c  path, query, headers, body: held against the route table
 *   api_problem.c  problem documents, headers
 *   api_json.c     records as JSON, pages
 *   api_device.c api_update.c api_work.c api_keys.c   the operations */
#ifndef CORE_API_PARTS_H
#define CORE_API_PARTS_H

#include "core/api.h"
#include "core/breaker.h"
#include "core/routes.h"
#include "core/update.h"

#define IF_MATCH_NEVER (-1) /* no revision: a tag that cannot be one of ours */

/* What a parameter or member holds; the same index as its field. */
struct value {
    bool given;
    struct str text;    /* TEXT: decoded */
    int64_t number;     /* INTEGER: also the fallback of one that was left out */
    bool yes;           /* BOOLEAN */
    yyjson_val *object; /* OBJECT, or whatever stands there instead: document.h refuses it */
};

/* One request on its way through the interface. */
struct exchange {
    struct world *world;
    struct call *call;
    const struct request *request;
    struct response *response;
    const struct route *route; /* NULL: the path is unknown, or the method is */
    struct principal principal;
    struct str path, query; /* path: decoded; query: raw */
    struct value path_values[FIELDS_MAX], query_values[FIELDS_MAX], members[FIELDS_MAX];
    struct str if_match;   /* raw; "" = none */
    struct repeat *repeat; /* NULL: no Idempotency-Key */
    struct repeat repeat_room;
    struct str asked_name; /* of the device that the request is about, as it was asked; "" = none */
    struct str current_key; /* the device that a 409 or 412 tells about; "" = none */
};

/* --- api_request.c ------------------------------------------------------------------------------------ */
/* Split and decode the target. fails: RC_INVALID a malformed escape. */
MUST enum rc api_request_target(struct exchange *);
/* Find the route by path and method, with its path values as text.
 * out: exchange->route; or ret_allow: what the path knows instead ("GET, HEAD"), "" if the path itself is unknown. */
void api_request_match(struct exchange *, struct str *ret_allow);
/* Hold path values, query and headers, then the body, against the route. fails: RC_INVALID, RC_... as api.h. */
MUST enum rc api_request_parameters(struct exchange *);
MUST enum rc api_request_headers(struct exchange *);
MUST enum rc api_request_body(struct exchange *);
/* The value of a parameter or member by its name; the name is one of the route's. */
const struct value *api_request_path(const struct exchange *, const char *name);
const struct value *api_request_query(const struct exchange *, const char *name);
const struct value *api_request_member(const struct exchange *, const char *name);
/* The device that the path names: its key. */
MUST enum rc api_request_device_key(struct exchange *, struct str *ret_key);
/* The revision that If-Match asks for: 0 = any; of a list current_revision, if it is among them.
 * fails: RC_INVALID invalid_header. */
MUST enum rc api_request_if_match(struct exchange *, int64_t current_revision,
                                  int64_t *ret_revision);
/* Method, canonical path, If-Match and body as 64 hex. */
struct str api_request_fingerprint(const struct exchange *);

/* --- api_problem.c ------------------------------------------------------------------------------------- */
void api_header(struct response *, const char *name, struct str value); /* name: a literal */
/* A problem document from call->problem, why and items; current may be NULL. */
struct current {
    int64_t revision, at_ms;
    struct str by;
};
void api_problem_call(struct exchange *, const struct current *);

/* --- api_json.c ------------------------------------------------------------------------------------------ */
void api_json_device(yyjson_mut_doc *, yyjson_mut_val *ret_object, const struct device *);
void api_json_entry(yyjson_mut_doc *, yyjson_mut_val *ret_object, const struct entry *);
void api_json_key(yyjson_mut_doc *, yyjson_mut_val *ret_object, const struct key *, int64_t now_ms);
void api_json_pending(yyjson_mut_doc *, yyjson_mut_val *parent, const struct device *);
/* A text, a moment, a number, or null where there is none (empty; 0). */
void api_json_text(yyjson_mut_doc *, yyjson_mut_val *, const char *name, struct str);
void api_json_seq(yyjson_mut_doc *, yyjson_mut_val *, const char *name, int64_t seq);
void api_json_errors(yyjson_mut_doc *, yyjson_mut_val *, const struct problem_item *, int count);
/* The answer with this document as its body. */
void api_json_answer(struct exchange *, int status, const yyjson_mut_doc *);

/* A page being filled: {"items","has_more","next_cursor"}. */
struct page {
    yyjson_mut_doc *doc;
    yyjson_mut_val *items;
    struct str scope; /* what the cursor belongs to */
    int limit, count;
    size_t bytes;
};
/* in: scope: of api_page_scope; limit from the query. */
void api_page_open(struct exchange *, struct str scope, int limit, struct page *ret_page);
/* Is there room for one more item with so many bytes of documents? Then it is counted. */
bool api_page_take(struct page *, size_t bytes);
yyjson_mut_val *api_page_add(struct page *); /* an empty object at the end of the items */
/* has_more and next_cursor; after: where the next page begins, used if more. Members that a page has besides are added before or after. */
void api_page_close(struct exchange *, struct page *, bool more, struct str after);
/* What a cursor of this request belongs to: operation, realm, and the texts that the operation gives. */
struct str api_page_scope(const struct exchange *, struct str of);
/* The payload of the cursor in the query or body, "" if none was given. fails: RC_INVALID invalid_parameter. */
MUST enum rc api_page_cursor(struct exchange *, const struct value *cursor, struct str scope,
                             struct str *ret_after);

/* --- the operations ---------------------------------------------------------------------------------------- */
MUST enum rc api_create_device(struct exchange *);
MUST enum rc api_update_device(struct exchange *);
MUST enum rc api_list_devices(struct exchange *);
MUST enum rc api_get_device(struct exchange *);
MUST enum rc api_get_pending(struct exchange *);
MUST enum rc api_act_on_device(struct exchange *);
MUST enum rc api_list_updates(struct exchange *);
MUST enum rc api_get_update(struct exchange *);
MUST enum rc api_get_device_log(struct exchange *);
MUST enum rc api_list_work(struct exchange *);
MUST enum rc api_redrive(struct exchange *);
MUST enum rc api_get_downstream(struct exchange *);
MUST enum rc api_act_on_downstream(struct exchange *);
MUST enum rc api_get_log(struct exchange *);
MUST enum rc api_list_keys(struct exchange *);
MUST enum rc api_create_key(struct exchange *);
MUST enum rc api_rotate_key(struct exchange *);
MUST enum rc api_delete_key(struct exchange *);

/* The device that the path names, if the principal may see it. fails: RC_NOT_FOUND. */
MUST enum rc api_device_read(struct exchange *, struct device *ret_device);
/* A page of a log, the device's or the system's. in: last_seq: where it begins without a cursor. */
MUST enum rc api_log_page(struct exchange *, struct str key, int64_t last_seq);
/* One fresh update, as its GET would show it: no try of it yet. */
MUST enum rc api_answer_update(struct exchange *, int status, const struct device *,
                               const struct entry *);
/* The answer as what an Idempotency-Key keeps. */
MUST enum rc api_reply_keep(struct exchange *, struct reply *ret_reply);

#endif
