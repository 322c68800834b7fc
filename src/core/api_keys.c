/* The operations on keys. A secret is in exactly one answer, the one that makes it; such answers are never stored,
 * so these routes refuse Idempotency-Key. */
#include "core/api_parts.h"

enum rc api_list_keys(struct exchange *exchange)
{
    struct call *call = exchange->call;
    struct key_page keys;
    struct page page;
    struct str after;
    int limit = (int)api_request_query(exchange, "limit")->number;
    struct str scope = api_page_scope(exchange, STR(""));
    TRY(api_page_cursor(exchange, api_request_query(exchange, "cursor"), scope, &after));
    TRY(store_key_list(exchange->world->store, call, after, limit, &keys));
    api_page_open(exchange, scope, limit, &page);
    for (int i = 0; i < keys.count; i++) {
        (void)api_page_take(&page, 0); /* keys are small: limit alone bounds the page */
        api_json_key(page.doc, api_page_add(&page), &keys.items[i], call->now_ms);
        after = keys.items[i].id;
    }
    api_page_close(exchange, &page, keys.more, after);
    return RC_OK;
}

/* credential "" = it is not shown. */
static void answer_key(struct exchange *exchange, int status, const struct key *key,
                       struct str credential)
{
    yyjson_mut_doc *doc = json_doc(exchange->call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    api_json_key(doc, root, key, exchange->call->now_ms);
    if (credential.len) {
        json_add_str(doc, root, "credential", credential);
    }
    api_json_answer(exchange, status, doc);
}

enum rc api_create_key(struct exchange *exchange)
{
    struct call *call = exchange->call;
    const struct value *owner = api_request_member(exchange, "owner");
    bool is_operator = str_is(api_request_member(exchange, "role")->text, "operator");
    struct key_new new = {
        .owner = owner->text,
        .label = api_request_member(exchange, "label")->text,
        .role = is_operator ? ROLE_OPERATOR : ROLE_CUSTOMER,
        .realm = STR("live"),
        .role_arn = api_request_member(exchange, "role_arn")->text,
    };
    struct key key;
    struct str credential;
    if (is_operator && owner->given) {
        return call_refuse_at(call, STR("/owner"), PROBLEM_invalid_member,
                              "an operator's key has no owner");
    }
    if (!is_operator && !owner->given) {
        return call_refuse_at(call, STR("/owner"), PROBLEM_missing_member,
                              "a customer's key needs an owner");
    }
    TRY(auth_create(exchange->world, call, exchange->principal.id, &new, &key, &credential));
    answer_key(exchange, 201, &key, credential);
    return RC_OK;
}

enum rc api_rotate_key(struct exchange *exchange)
{
    const struct value *overlap = api_request_member(exchange, "overlap_s");
    int64_t overlap_ms = exchange->world->settings->key_overlap_ms;
    struct key key;
    struct str credential;
    if (overlap->given) {
        overlap_ms = overlap->number * 1000;
    }
    TRY(auth_rotate(exchange->world, exchange->call, exchange->principal.id,
                    api_request_path(exchange, "id")->text, overlap_ms, &key, &credential));
    answer_key(exchange, 200, &key, credential);
    return RC_OK;
}

enum rc api_delete_key(struct exchange *exchange)
{
    struct key key;
    TRY(auth_delete(exchange->world, exchange->call, exchange->principal.id,
                    api_request_path(exchange, "id")->text, &key));
    answer_key(exchange, 200, &key, STR_NONE);
    return RC_OK;
}
