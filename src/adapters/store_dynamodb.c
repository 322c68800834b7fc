/* The store in DynamoDB: opening, requests, queries, and at its end the table of operations. */
#include "adapters/store_dynamodb_inner.h"

#include <stdlib.h>

#define HISTORY_DEFAULT_MS (INT64_C(90) * 86400000)
#define ANSWER_DEPTH_MAX 16

void store_dynamodb_open(struct aws *aws, const struct store_dynamodb_options *options,
                         struct store **ret_store)
{
    struct store_dynamodb *self = calloc(1, sizeof *self);
    if (!self || options->table.len >= sizeof self->table) {
        abort(); /* DynamoDB API reference: a table's name has at most 255 characters */
    }
    self->store.ops = &store_dynamodb_ops;
    self->aws = aws;
    memcpy(self->table, options->table.s, options->table.len);
    self->history_ms = options->history_ms ? options->history_ms : HISTORY_DEFAULT_MS;
    self->counts_kept_ms = options->counts_kept_ms ? options->counts_kept_ms : STORE_COUNTS_KEPT_MS;
    aws_random(aws, self->nonce, sizeof self->nonce);
    *ret_store = &self->store;
}

void store_dynamodb_close(struct store *store)
{
    free(store);
}

/* ---- requests ------------------------------------------------------------------------------------- */

yyjson_mut_doc *dynamodb_request(struct store_dynamodb *self, struct call *call)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    json_add_str(doc, yyjson_mut_doc_get_root(doc), "TableName", str_of(self->table));
    return doc;
}

enum rc dynamodb_ask(struct store_dynamodb *self, struct call *call, const char *target,
                     yyjson_mut_doc *doc, struct aws_answer *ret_answer, yyjson_val **ret_root)
{
    struct aws_request request = {.service = AWS_DYNAMODB,
                                  .target = target,
                                  .body = json_write_mut(call->arena, doc),
                                  .repeatable = true};
    *ret_root = NULL;
    TRY(aws_call(self->aws, call, &request, ret_answer));
    if (json_read(call->arena, ret_answer->body, ANSWER_DEPTH_MAX, ret_root, NULL) != RC_OK) {
        return call_why(call, RC_BROKEN, "%s: the answer (%d) is no JSON", target,
                        ret_answer->status);
    }
    return RC_OK;
}

enum rc dynamodb_read(struct store_dynamodb *self, struct call *call, const char *target,
                      yyjson_mut_doc *doc, yyjson_val **ret_root)
{
    struct aws_answer answer;
    TRY(dynamodb_ask(self, call, target, doc, &answer, ret_root));
    if (answer.status != 200) {
        return call_why(call, RC_BROKEN, "%s: %d " STR_FMT " " STR_FMT, target, answer.status,
                        STR_ARG(answer.type), STR_ARG(answer.message));
    }
    return RC_OK;
}

/* ---- queries -------------------------------------------------------------------------------------- */

static yyjson_mut_doc *query_request(struct store_dynamodb *self, struct call *call,
                                     const struct query *query)
{
    yyjson_mut_doc *doc = dynamodb_request(self, call);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    const char *before = query->index ? query->index : "", *dash = query->index ? "_" : "";
    yyjson_mut_val *values = json_add_obj(doc, root, "ExpressionAttributeValues");
    json_add_str(doc, root, "KeyConditionExpression",
                 arena_printf(call->arena, "%s%spk = :pk AND %s%ssk BETWEEN :low AND :high", before,
                              dash, before, dash));
    add_text(doc, values, ":pk", query->pk);
    add_text(doc, values, ":low", query->low);
    add_text(doc, values, ":high", query->high);
    if (query->index) {
        json_add_str(doc, root, "IndexName", str_of(query->index));
    } else {
        json_add_bool(doc, root, "ConsistentRead", true);
    }
    if (query->covers > 0) {
        json_add_str(doc, root, "FilterExpression", STR("from_seq <= :seq AND to_seq >= :seq"));
        add_number(doc, values, ":seq", query->covers);
    }
    if (query->newest_first) {
        json_add_bool(doc, root, "ScanIndexForward", false);
    }
    if (query->start) {
        yyjson_mut_obj_add(root, yyjson_mut_str(doc, "ExclusiveStartKey"),
                           yyjson_val_mut_copy(doc, query->start));
    }
    return doc;
}

/* Fetch the next page. An empty one with a start for the next is legal. */
static enum rc query_page(struct store_dynamodb *self, struct call *call, struct query *query)
{
    yyjson_mut_doc *doc = query_request(self, call, query);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_val *answer;
    if (query->index) {
        json_add_str(doc, root, "ProjectionExpression",
                     arena_printf(call->arena, "%s_sk", query->index));
    }
    if (query->limit > 0) {
        json_add_i64(doc, root, "Limit", query->limit);
    }
    TRY(dynamodb_read(self, call, "Query", doc, &answer));
    query->items = json_member(answer, "Items");
    query->start = json_member(answer, "LastEvaluatedKey");
    query->next = 0;
    query->is_read = true;
    return RC_OK;
}

enum rc dynamodb_next(struct store_dynamodb *self, struct call *call, struct query *query,
                      yyjson_val **ret_item)
{
    *ret_item = NULL;
    if (str_compare(query->low, query->high) > 0) {
        return RC_OK; /* DynamoDB calls it an error */
    }
    while (query->next == yyjson_arr_size(query->items)) {
        if (query->is_read && !query->start) {
            return RC_OK;
        }
        TRY(query_page(self, call, query));
    }
    *ret_item = yyjson_arr_get(query->items, query->next++);
    return RC_OK;
}

enum rc dynamodb_count(struct store_dynamodb *self, struct call *call, struct query *query,
                       int64_t *ret_count)
{
    int64_t count = 0;
    do {
        yyjson_mut_doc *doc = query_request(self, call, query);
        yyjson_val *answer;
        json_add_str(doc, yyjson_mut_doc_get_root(doc), "Select", STR("COUNT"));
        TRY(dynamodb_read(self, call, "Query", doc, &answer));
        count += json_member_i64(answer, "Count", 0);
        query->start = json_member(answer, "LastEvaluatedKey");
    } while (query->start);
    *ret_count = count;
    return RC_OK;
}

/* ---- the table of operations ------------------------------------------------------------------------ */

/* DynamoDB deletes by itself what is past its ttl_s. */
static enum rc expire(struct store *store, struct call *call, int64_t history_ms, int limit,
                      int *ret_count)
{
    (void)store, (void)call, (void)history_ms, (void)limit;
    *ret_count = 0;
    return RC_OK;
}

const struct store_ops store_dynamodb_ops = {
    .device_get = dynamodb_device_get,
    .device_list = dynamodb_device_list,
    .log_list = dynamodb_log_list,
    .log_covering = dynamodb_log_covering,
    .body_get = dynamodb_body_get,
    .reply_get = dynamodb_reply_get,
    .work_list = dynamodb_work_list,
    .work_count = dynamodb_work_count,
    .key_get = dynamodb_key_get,
    .key_list = dynamodb_key_list,
    .commit = dynamodb_commit,
    .notice_done = dynamodb_notice_done,
    .expire = expire,
    .ping = dynamodb_ping,
};
