/* What the AWS home's store costs, by AWS's rule from the requests that were really sent, on a DynamoDB of the rig
 * (HOURBELL_TEST_DYNAMODB); without one this test does nothing. docs/aws.md has the table that it prints.
 *
 * A write unit: 1 KB of the larger of the item before and after, twice in a transaction; an index costs one more
 * where its entry is new or goes, two where its key changes. A read unit: 4 KB, half of one where a read may lag.
 * source: DynamoDB developer guide, "Read and write operations", "Item sizes and formats" */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "core/api.h"
#include "dynamo_rig.h"
#include "engine.h"

#define ITEMS_MAX 256
#define DOC_BYTES 1024

/* An item as it was after the last write that was seen. */
struct known {
    struct str pk, sk, indexed[2]; /* of index work, owner: both key attributes */
    size_t bytes;
};

struct meter {
    struct engine engine;
    struct arena arena;
    struct aws *look; /* its calls are not counted */
    struct known items[ITEMS_MAX];
    int item_count;
    int64_t write_units, half_read_units, requests;
    FILE *
        table; /* HOURBELL_TEST_COST names it; else standard error, which is seen if the test fails */
};

/* ---- sizes -------------------------------------------------------------------------------------------- */

/* A byte for two digits and one more; zeros at either end cost nothing. */
static size_t number_bytes(struct str number)
{
    size_t digits = number.len, zeros = 0;
    while (zeros < digits && number.s[digits - 1 - zeros] == '0') {
        zeros++;
    }
    return (digits - zeros + 1) / 2 + 1;
}

static size_t item_bytes(yyjson_val *item)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(item);
    yyjson_val *name;
    size_t bytes = 0;
    while ((name = yyjson_obj_iter_next(&members))) {
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        struct str text = json_member_str(value, "S", STR_NONE);
        struct str number = json_member_str(value, "N", STR_NONE);
        CHECK(text.len || number.len); /* we write nothing else */
        bytes += yyjson_get_len(name) + text.len + (number.len ? number_bytes(number) : 0);
    }
    return bytes;
}

static int64_t units(size_t bytes, size_t unit_bytes)
{
    return bytes == 0 ? 1 : (int64_t)((bytes + unit_bytes - 1) / unit_bytes);
}

static struct str text_of(yyjson_val *item, const char *name)
{
    return json_member_str(json_member(item, name), "S", STR_NONE);
}

/* ---- writes ------------------------------------------------------------------------------------------- */

static struct known *known_of(struct meter *meter, struct str pk, struct str sk)
{
    for (int i = 0; i < meter->item_count; i++) {
        struct known *known = &meter->items[i];
        if (str_equal(known->pk, pk) && str_equal(known->sk, sk)) {
            return known;
        }
    }
    CHECK(meter->item_count < ITEMS_MAX);
    struct known *known = &meter->items[meter->item_count++];
    *known =
        (struct known){.pk = arena_copy(&meter->arena, pk), .sk = arena_copy(&meter->arena, sk)};
    return known;
}

static yyjson_val *read_item(struct meter *meter, struct str pk, struct str sk)
{
    struct call call = {.arena = &meter->arena};
    yyjson_mut_doc *doc = json_doc(&meter->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *key;
    struct aws_answer answer;
    yyjson_val *found;
    json_add_str(doc, root, "TableName", str_of(dynamo_own_table()));
    json_add_bool(doc, root, "ConsistentRead", true);
    key = json_add_obj(doc, root, "Key");
    json_add_str(doc, json_add_obj(doc, key, "pk"), "S", pk);
    json_add_str(doc, json_add_obj(doc, key, "sk"), "S", sk);
    struct aws_request request = {.service = AWS_DYNAMODB,
                                  .target = "GetItem",
                                  .body = json_write_mut(&meter->arena, doc),
                                  .repeatable = true};
    CHECK_RC(aws_call(meter->look, &call, &request, &answer), RC_OK);
    CHECK_RC(json_read(&meter->arena, answer.body, 16, &found, NULL), RC_OK);
    return json_member(found, "Item");
}

/* One item was written: what did that cost? */
static void count_item(struct meter *meter, yyjson_val *action, int factor)
{
    static const char *const indexes[2][2] = {{"work_pk", "work_sk"}, {"owner_pk", "owner_sk"}};
    yyjson_val *key = json_member(action, "Key");
    key = key ? key : json_member(action, "Item");
    struct known *known = known_of(meter, text_of(key, "pk"), text_of(key, "sk"));
    yyjson_val *item = read_item(meter, known->pk, known->sk);
    size_t bytes = item_bytes(item);
    meter->write_units += factor * units(bytes > known->bytes ? bytes : known->bytes, 1024);
    known->bytes = bytes;
    for (int i = 0; i < 2; i++) {
        struct str entry =
            arena_printf(&meter->arena, STR_FMT STR_FMT, STR_ARG(text_of(item, indexes[i][0])),
                         STR_ARG(text_of(item, indexes[i][1])));
        if (!str_equal(entry, known->indexed[i])) {
            meter->write_units += (known->indexed[i].len > 0) + (entry.len > 0);
            known->indexed[i] = entry;
        }
    }
}

static void count_reads(struct meter *meter, const char *target, yyjson_val *sent, yyjson_val *came)
{
    yyjson_val *items = json_member(came, "Items"), *item;
    int halves = json_member_bool(sent, "ConsistentRead", false) ? 2 : 1;
    size_t bytes = 0, at, count;
    if (strcmp(target, "GetItem") == 0) {
        bytes = item_bytes(json_member(came, "Item"));
    }
    yyjson_arr_foreach(items, at, count, item)
    {
        bytes += item_bytes(item) * 4; /* of an index: all its keys are read, one of them is sent */
    }
    meter->half_read_units += halves * units(bytes, 4096);
}

static void see(void *context, const struct aws_request *request, const struct aws_answer *answer)
{
    struct meter *meter = context;
    yyjson_val *sent, *came, *item;
    size_t at, count;
    meter->requests++;
    CHECK_RC(json_read(&meter->arena, request->body, 16, &sent, NULL), RC_OK);
    CHECK_RC(json_read(&meter->arena, answer->body, 16, &came, NULL), RC_OK);
    if (answer->status != 200) {
        FAIL("%s: " STR_FMT, request->target, STR_ARG(answer->body));
    }
    if (strcmp(request->target, "TransactWriteItems") == 0) {
        yyjson_arr_foreach(json_member(sent, "TransactItems"), at, count, item)
        {
            yyjson_val *put = json_member(item, "Put");
            count_item(meter, put ? put : json_member(item, "Update"), 2);
        }
    } else if (strcmp(request->target, "PutItem") == 0 ||
               strcmp(request->target, "UpdateItem") == 0) {
        count_item(meter, sent, 1);
    } else {
        count_reads(meter, request->target, sent, came);
    }
}

/* ---- the steps ---------------------------------------------------------------------------------------- */

/* The body that goes out holds what changed, as SAP's MERGE does. */
static enum rc diff_encode(struct downstream *downstream, struct call *call, struct str name,
                           struct str base, struct str target, struct str *ret_bytes)
{
    yyjson_val *before = NULL, *after;
    yyjson_mut_doc *doc = json_doc(call->arena);
    (void)downstream, (void)name;
    CHECK_RC(json_read(call->arena, target, 9, &after, NULL), RC_OK);
    CHECK(base.len == 0 || json_read(call->arena, base, 9, &before, NULL) == RC_OK);
    yyjson_obj_iter members = yyjson_obj_iter_with(after);
    yyjson_val *member;
    while ((member = yyjson_obj_iter_next(&members))) {
        struct str value = json_str(yyjson_obj_iter_get_val(member));
        const char *key = yyjson_get_str(member);
        if (!str_equal(json_member_str(before, key, STR_NONE), value)) {
            json_add_str(doc, yyjson_mut_doc_get_root(doc), key, value);
        }
    }
    *ret_bytes = json_write_mut(call->arena, doc);
    return RC_OK;
}

static void reset(struct meter *meter)
{
    meter->write_units = meter->half_read_units = meter->requests = 0;
}

static void print(struct meter *meter, const char *step)
{
    fprintf(meter->table, "| %s | %lld | %lld.%d | %lld |\n", step, (long long)meter->write_units,
            (long long)meter->half_read_units / 2, meter->half_read_units % 2 ? 5 : 0,
            (long long)meter->requests);
}

static struct str credential_of(struct engine *engine)
{
    struct key_new new = {.owner = STR("acme"), .role = ROLE_CUSTOMER, .realm = STR("live")};
    struct key key;
    struct str credential;
    CHECK_RC(
        auth_create(&engine->world, engine_call(engine), STR("system"), &new, &key, &credential),
        RC_OK);
    return credential;
}

/* One request as `api` gets it; what was left to be told is told, as it does after the commit. */
static void post(struct meter *meter, struct str credential, const char *target, struct str body,
                 const char *idempotency_key, int status)
{
    struct engine *engine = &meter->engine;
    struct header headers[] = {{STR("content-type"), STR("application/json")},
                               {STR("x-api-key"), credential},
                               {STR("idempotency-key"), str_of(idempotency_key)}};
    struct request request = {.method = STR("POST"),
                              .target = str_of(target),
                              .headers = headers,
                              .header_count = idempotency_key ? 3 : 2,
                              .body = body};
    struct response response;
    struct call *call = engine_call(engine);
    reset(meter);
    CHECK_RC(api_handle(&engine->world, call, &request, &response), RC_OK);
    CHECK_INT(response.status, status);
}

static struct str document(struct meter *meter, size_t bytes)
{
    struct text text;
    text_open(&text, &meter->arena, 2 * DOC_BYTES);
    text_add(&text, STR("{"));
    for (int i = 0; text.len + 60 < bytes; i++) {
        text_printf(&text, "\"attribute_%02d\":\"some words of an attribute %02d\",", i, i);
    }
    text_printf(&text, "\"filler\":\"");
    while (text.len + 2 < bytes) {
        text_add_char(&text, 'x');
    }
    text_add(&text, STR("\"}"));
    return text_str(&text);
}

static void tell(struct meter *meter, const char *step)
{
    reset(meter);
    CHECK_RC(notices_tell(&meter->engine.world, &meter->engine.call), RC_OK);
    print(meter, step);
}

/* Lease, send, settle, as `deliver` does; the cost of the two commits and their reads. */
static void deliver_one(struct meter *meter, const char *step)
{
    struct engine *engine = &meter->engine;
    struct outcome outcome = {
        .class = OUTCOME_EFFECT,
        .ref = STR("000000000010000042"),
        .code = STR("DONE"),
        .data = STR("{\"status\":204,\"duration_ms\":412,\"requests\":3,\"transaction_id\":"
                    "\"6F2A9C4E7B1D4F0E8C5A3D2B1E0F9A8C\"}")};
    engine_next_hour(engine);
    reset(meter);
    struct lease lease = engine_lease(engine, "Pump-7");
    engine_settle(engine, &lease, outcome);
    print(meter, step);
}

#define UPDATE(n)                                                                                  \
    STR("{\"device_name\":\"Pump-7\",\"attributes\":{\"attribute_0" n                              \
        "\":\"other words of an attribute\"}}")

/* What is paid whether or not anything happens. */
static void fixed_costs(struct meter *meter, struct str credential)
{
    struct engine *engine = &meter->engine;
    struct plan_request request = {.shard = 3, .limit = 10};
    struct plan_result result;
    struct work_counts counts;
    struct header headers[] = {{STR("x-api-key"), credential}};
    struct request get = {.method = STR("GET"),
                          .target = STR("/devices/Pump-7"),
                          .headers = headers,
                          .header_count = 1};
    struct response response;
    int told;
    reset(meter);
    CHECK_RC(api_handle(&engine->world, engine_call(engine), &get, &response), RC_OK);
    CHECK_INT(response.status, 200);
    print(meter, "read of a device");
    reset(meter);
    CHECK_RC(plan(&engine->world, engine_call(engine), &request, &result), RC_OK);
    print(meter, "plan, one shard, nothing due");
    reset(meter);
    CHECK_RC(notices_send(&engine->world, engine_call(engine), 10, &told), RC_OK);
    print(meter, "plan, the first shard: are all notices told?");
    reset(meter);
    CHECK_RC(store_work_count(engine->store, engine_call(engine), &counts), RC_OK);
    print(meter, "counts, at most once a minute and process");
}

TEST_AS(accept_costs_at_most_8_write_units_and_a_delivery_24, false, 120)
{
    static const struct downstream_ops diff_ops = {.encode = diff_encode};
    struct meter *meter = calloc(1, sizeof *meter);
    struct engine *engine = &meter->engine;
    if (!dynamo_endpoint()) {
        free(meter);
        return;
    }
    arena_open(&meter->arena, (size_t)256 << 20);
    struct call call = {.arena = &meter->arena};
    struct aws_options options = dynamo_options();
    const char *path = getenv("HOURBELL_TEST_COST");
    meter->table = path ? fopen(path, "w") : stderr;
    CHECK(meter->table != NULL);
    CHECK_RC(aws_open(&call, &options, &meter->look), RC_OK);
    options.observe = see;
    options.context = meter;
    engine_open(engine);
    dynamo_close(engine->mirror.second); /* no mirror here: the store itself, and only it */
    engine->mirror.second = dynamo_open_with(&options);
    engine->store = engine->world.store = engine->mirror.second;
    engine->downstream.ops = &diff_ops;
    struct str credential = credential_of(engine), doc = document(meter, DOC_BYTES);
    struct str create = arena_printf(
        &meter->arena, "{\"device_name\":\"Pump-7\",\"attributes\":" STR_FMT "}", STR_ARG(doc));
    fprintf(meter->table,
            "| step | write units | read units | requests |\n| --- | --- | --- | --- |\n");
    post(meter, credential, "/create-device", create, "key-0", 201);
    print(meter, "create, Idempotency-Key");
    tell(meter, "told: device.created");
    post(meter, credential, "/update-device", UPDATE("1"), "key-1", 202);
    print(meter, "accept, Idempotency-Key, the first one since the last delivery");
    post(meter, credential, "/update-device", UPDATE("2"), "key-2", 202);
    print(meter, "accept, Idempotency-Key, one more before the delivery");
    CHECK(meter->write_units <= 8);
    post(meter, credential, "/update-device", UPDATE("3"), NULL, 202);
    print(meter, "accept without a key, one more");
    CHECK(meter->write_units <= 8);
    deliver_one(meter, "delivery, the first one of a device, of three updates");
    CHECK(meter->write_units <= 24);
    tell(meter, "told: update.delivered");
    post(meter, credential, "/update-device", UPDATE("4"), NULL, 202);
    print(meter, "accept without a key, the first one since the last delivery");
    CHECK(meter->write_units <= 8);
    deliver_one(meter, "delivery, each later one, of one update");
    CHECK(meter->write_units <= 24);
    CHECK_RC(notices_tell(&engine->world, &engine->call), RC_OK);
    fixed_costs(meter, credential);
    CHECK_INT(path ? fclose(meter->table) : 0, 0);
    aws_close(meter->look);
    engine_close(engine);
    arena_close(&meter->arena);
    free(meter);
}
