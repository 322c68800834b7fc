/* The interface where stories cannot look: what is handed back to the home, HEAD, races between two processes,
 * and requests that no HTTP parser would let through. The rest is told by tests/scenarios. */
#include "base/text.h"
#include "core/api.h"
#include "core/routes.h"
#include "engine.h"

struct door {
    struct engine engine;
    struct header headers[4];
    struct request request;
    struct response response;
    struct str customer, boss; /* credentials */
};

static struct str add_key(struct engine *engine, const char *owner)
{
    struct key_new new = {.owner = str_of(owner),
                          .role = owner[0] ? ROLE_CUSTOMER : ROLE_OPERATOR,
                          .realm = STR("live")};
    struct key key;
    struct str credential;
    CHECK_RC(
        auth_create(&engine->world, engine_call(engine), STR("system"), &new, &key, &credential),
        RC_OK);
    return credential;
}

static void door_open(struct door *door)
{
    *door = (struct door){0};
    engine_open(&door->engine);
    door->boss = add_key(&door->engine, "");
    door->customer = add_key(&door->engine, "acme");
}

static enum rc ask(struct door *door, const char *method, const char *target, const char *body,
                   struct str credential)
{
    size_t count = 0;
    door->headers[count++] = (struct header){STR("content-type"), STR("application/json")};
    if (credential.len) {
        door->headers[count++] = (struct header){STR("x-api-key"), credential};
    }
    if (door->headers[2].name.len) { /* one more, of the test's choice */
        door->headers[count++] = door->headers[2];
    }
    bool loopback = door->request.loopback;
    door->request = (struct request){.method = str_of(method),
                                     .target = str_of(target),
                                     .headers = door->headers,
                                     .header_count = count,
                                     .body = str_of(body),
                                     .loopback = loopback};
    return api_handle(&door->engine.world, engine_call(&door->engine), &door->request,
                      &door->response);
}

TEST(what_the_home_answers_itself_is_handed_back_with_status_0)
{
    static const char *const routes_of_home[][3] = {{"GET", "/livez", "getLive"},
                                                    {"GET", "/readyz", "getReady"},
                                                    {"GET", "/openapi.json", "getOpenapi"}};
    struct door door;
    door_open(&door);
    for (size_t i = 0; i < COUNT_OF(routes_of_home); i++) {
        CHECK_RC(ask(&door, routes_of_home[i][0], routes_of_home[i][1], "", STR_NONE), RC_OK);
        CHECK_INT(door.response.status, 0);
        CHECK_STR(door.response.operation, routes_of_home[i][2]);
    }
    CHECK_RC(ask(&door, "POST", "/backups", "", door.boss), RC_OK);
    CHECK_INT(door.response.status, 0);
    CHECK_STR(door.response.operation, "createBackup");
    CHECK_INT(door.response.by.len, KEY_ID_BYTES);
    engine_close(&door.engine);
}

/* P9 */
TEST(metrics_are_for_operators_and_for_this_machine_itself)
{
    struct door door;
    door_open(&door);
    CHECK_RC(ask(&door, "GET", "/metrics", "", STR_NONE), RC_OK);
    CHECK_INT(door.response.status, 401);
    CHECK_RC(ask(&door, "GET", "/metrics", "", door.customer), RC_OK);
    CHECK_INT(door.response.status, 403);
    CHECK_RC(ask(&door, "GET", "/metrics", "", door.boss), RC_OK);
    CHECK_INT(door.response.status, 0);
    door.request.loopback = true;
    CHECK_RC(ask(&door, "GET", "/metrics", "", STR_NONE), RC_OK);
    CHECK_INT(door.response.status, 0);
    CHECK_RC(ask(&door, "GET", "/metrics", "", door.customer), RC_OK);
    CHECK_INT(door.response.status, 403);
    CHECK_RC(ask(&door, "GET", "/devices", "", STR_NONE), RC_OK);
    CHECK_INT(door.response.status, 401);
    engine_close(&door.engine);
}

TEST(head_is_answered_as_get)
{
    struct door door;
    door_open(&door);
    CHECK_RC(ask(&door, "HEAD", "/devices", "", door.customer), RC_OK);
    CHECK_INT(door.response.status, 200);
    CHECK_STR(door.response.operation, "listDevices");
    CHECK_RC(ask(&door, "HEAD", "/create-device", "", door.customer), RC_OK);
    CHECK_INT(door.response.status, 405);
    engine_close(&door.engine);
}

/* P11: the core says what happened; the home logs it and lets its alarm ring. */
TEST(an_outcome_that_nobody_knows_is_raised_and_told_as_500)
{
    struct door door;
    struct store_faults faults = {.fail_commit_in = 1, .fail_with = RC_BROKEN};
    door_open(&door);
    door.engine.store->faults = &faults;
    CHECK_RC(ask(&door, "POST", "/create-device", "{\"device_name\":\"Pump-7\"}", door.customer),
             RC_BROKEN);
    CHECK_INT(door.response.status, 500);
    faults = (struct store_faults){.fail_in = 1, .fail_with = RC_BUSY};
    CHECK_RC(ask(&door, "GET", "/devices", "", door.customer), RC_BUSY);
    CHECK_INT(door.response.status, 503);
    CHECK_STR(response_header(&door.response, "retry-after"), "1");
    door.engine.store->faults = NULL;
    engine_close(&door.engine);
}

/* --- a race of two processes ------------------------------------------------------------------------------ */
static const struct store_ops *real_ops;
static int blind_count; /* so many look-ups see nothing yet */

static enum rc blind_reply_get(struct store *store, struct call *call, struct str owner,
                               struct str key, struct reply *ret_reply)
{
    if (blind_count > 0) {
        blind_count--;
        *ret_reply = (struct reply){0};
        return RC_OK;
    }
    return real_ops->reply_get(store, call, owner, key, ret_reply);
}

/* P6 */
TEST(a_repeat_that_races_its_first_request_gets_the_same_bytes)
{
    static const char *const body = "{\"device_name\":\"Pump-7\",\"attributes\":{\"a\":1}}";
    struct door door;
    door_open(&door);
    CHECK_RC(ask(&door, "POST", "/create-device", "{\"device_name\":\"Pump-7\"}", door.customer),
             RC_OK);
    real_ops = door.engine.store->ops;
    struct store_ops ops = *real_ops;
    ops.reply_get = blind_reply_get;
    door.engine.store->ops = &ops;
    door.headers[2] = (struct header){STR("idempotency-key"), STR("k-1")};
    CHECK_RC(ask(&door, "POST", "/update-device", body, door.customer), RC_OK);
    CHECK_INT(door.response.status, 202);
    struct str first = door.response.body;
    blind_count = 1;
    CHECK_RC(ask(&door, "POST", "/update-device", body, door.customer), RC_OK);
    CHECK_INT(door.response.status, 202);
    CHECK_STR(response_header(&door.response, "idempotency-replayed"), "true");
    CHECK_BYTES(door.response.body, first);
    CHECK_INT(engine_device(&door.engine, "Pump-7").seq, 1);
    blind_count = 1;
    CHECK_RC(ask(&door, "POST", "/update-device", "{\"device_name\":\"Pump-7\",\"attributes\":{}}",
                 door.customer),
             RC_OK);
    CHECK_INT(door.response.status, 422);
    engine_close(&door.engine);
}

/* P10 P11: headers may be as large as the HTTP server lets them; a repeat's fingerprint takes them whole. */
TEST(a_repeat_with_an_enormous_if_match_is_answered)
{
    static char tag[16000];
    struct door door;
    door_open(&door);
    memset(tag, '1', sizeof(tag));
    tag[0] = tag[sizeof(tag) - 1] = '"';
    struct header headers[] = {{STR("content-type"), STR("application/json")},
                               {STR("x-api-key"), door.customer},
                               {STR("idempotency-key"), STR("k-1")},
                               {STR("if-match"), {tag, sizeof(tag)}}};
    struct request request = {.method = STR("POST"),
                              .target = STR("/update-device"),
                              .headers = headers,
                              .header_count = COUNT_OF(headers),
                              .body = STR("{\"device_name\":\"P\",\"attributes\":{}}")};
    CHECK_RC(api_handle(&door.engine.world, engine_call(&door.engine), &request, &door.response),
             RC_OK);
    CHECK_INT(door.response.status, 404);
    engine_close(&door.engine);
}

/* --- the door holds --------------------------------------------------------------------------------------------- */
/* P10: whatever stands in the target, there is an answer. */
TEST(strange_targets_are_answered)
{
    static const char *const targets[] = {"",
                                          "/",
                                          "*",
                                          "?",
                                          "//",
                                          "/devices/",
                                          "/devices//pending",
                                          "/devices/%00",
                                          "/devices/%",
                                          "/devices/%2",
                                          "/devices/%C3%28",
                                          "/devices/..",
                                          "/../devices",
                                          "/devices?",
                                          "/devices?&&",
                                          "/devices?=",
                                          "/devices?limit",
                                          "/devices?limit=",
                                          "/devices?limit=%00",
                                          "/devices?cursor=",
                                          "/devices?limit=99999999999999999999",
                                          "/devices?limit=-1",
                                          "/devices?a=b=c&limit=1",
                                          "/devices/a/updates/-1",
                                          "/devices/a/updates/0",
                                          "/devices/a/updates/99999999999",
                                          "/a/b/c/d/e/f/g/h/i/j/k/l",
                                          "/devices/a/b",
                                          "/devices/!system",
                                          "/devices/live%2F!system",
                                          "/devices?name_prefix=%ff",
                                          "/devices?name_prefix=!sys",
                                          "/keys/%20"};
    struct door door;
    door_open(&door);
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        CHECK_RC(ask(&door, "GET", targets[i], "", door.customer), RC_OK);
        bool lawful = strncmp(targets[i], "/devices?", 9) == 0 && door.response.status == 200;
        if (!lawful && door.response.status != 400 && door.response.status != 404 &&
            door.response.status != 405) {
            FAIL("%s: %d", targets[i], door.response.status);
        }
        CHECK_RC(ask(&door, "GET", targets[i], "", STR_NONE), RC_OK);
        CHECK_INT(door.response.status, 401);
    }
    engine_close(&door.engine);
}

/* P9: the downstream's record is no device, whoever asks. */
TEST(the_systems_record_is_no_device)
{
    struct door door;
    door_open(&door); /* its keys were audited there */
    CHECK_RC(ask(&door, "GET", "/devices", "", door.boss), RC_OK);
    CHECK_STR(door.response.body, "{\"items\":[],\"has_more\":false,\"next_cursor\":null}");
    CHECK_RC(ask(&door, "GET", "/log", "", door.boss), RC_OK);
    CHECK_HAS(door.response.body, "\"kind\":\"action\"");
    engine_close(&door.engine);
}

TEST(the_route_table_names_each_operation_once_and_each_right)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *route = &routes[i];
        CHECK_INT(route->operation, (int64_t)i + 1);
        CHECK(route->open == (route->roles == 0));
        CHECK(!route->idempotent || strcmp(route->method, "POST") == 0);
        CHECK(route->path_field_count <= FIELDS_MAX && route->member_count <= FIELDS_MAX);
    }
}

/* P10: a problem document names at most so many members, and stays small. */
TEST(many_faults_in_one_body_are_named_up_to_the_cap)
{
    struct door door;
    struct text body;
    door_open(&door);
    text_open(&body, &door.engine.arena, 100000);
    text_add(&body, STR("{\"device_name\":\"Pump-7\""));
    for (int i = 0; i < 1000; i++) {
        text_printf(&body, ",\"m%d\":1", i);
    }
    text_add(&body, STR("}"));
    text_add_char(&body, '\0');
    CHECK_RC(ask(&door, "POST", "/create-device", body.s, door.customer), RC_OK);
    CHECK_INT(door.response.status, 400);
    CHECK_HAS(door.response.body, "/m15");
    CHECK_HAS_NOT(door.response.body, "/m16");
    engine_close(&door.engine);
}

/* --- long logs and large pages --------------------------------------------------------------------------------- */
static struct str next_cursor(struct door *door)
{
    yyjson_val *root;
    CHECK_RC(json_read(&door->engine.arena, door->response.body, 32, &root, NULL), RC_OK);
    return json_member_str(root, "next_cursor", STR_NONE);
}

/* Deliver what is pending, as an effect. */
static void deliver_once(struct door *door, const char *name)
{
    struct lease lease;
    engine_next_hour(&door->engine);
    lease = engine_lease(&door->engine, name);
    engine_settle(&door->engine, &lease, (struct outcome){.class = OUTCOME_EFFECT});
}

/* P7: however long a log is and wherever a page begins, each update is listed once, with the state that its own GET gives. */
TEST(pages_of_updates_show_each_update_once_with_its_state)
{
    enum { UPDATES = 1300, DELIVERED_EACH = 7, DELIVERED = 1197 };
    struct door door;
    door_open(&door);
    struct engine *engine = &door.engine;
    engine_create(engine, "Pump-7", "{}");
    for (int i = 0; i < UPDATES; i++) {
        struct str patch = arena_printf(&engine->arena, "{\"n\":%d}", i);
        engine_update(engine, "Pump-7", patch.s);
        if (i % DELIVERED_EACH == DELIVERED_EACH - 1 && i < DELIVERED) {
            deliver_once(&door, "Pump-7");
        }
    }
    int64_t listed = 0, last_seq = INT64_MAX, pages = 0;
    struct str target = STR("/devices/Pump-7/updates?limit=100");
    for (bool more = true; more; pages++) {
        struct arena *arena = &engine->arena;
        yyjson_val *root, *item;
        size_t at, count;
        CHECK_RC(ask(&door, "GET", target.s, "", door.customer), RC_OK);
        CHECK_INT(door.response.status, 200);
        CHECK_RC(json_read(arena, door.response.body, 32, &root, NULL), RC_OK);
        yyjson_arr_foreach(json_member(root, "items"), at, count, item)
        {
            int64_t seq = json_member_i64(item, "seq", -1);
            CHECK(seq < last_seq);
            last_seq = seq;
            listed++;
            if (seq % 29 == 0 || at == 0) {
                CHECK_BYTES(json_member_str(item, "state", STR_NONE),
                            engine_state(engine, "Pump-7", seq));
            } else {
                bool delivered = str_is(json_member_str(item, "state", STR_NONE), "delivered");
                CHECK(delivered == (listed > UPDATES - DELIVERED));
            }
        }
        more = json_member_bool(root, "has_more", false);
        target = arena_printf(arena, "/devices/Pump-7/updates?limit=100&cursor=" STR_FMT,
                              STR_ARG(next_cursor(&door)));
    }
    CHECK_INT(listed, UPDATES);
    CHECK_INT(pages, 13);
    engine_close(engine);
}

/* A page ends after 1 MiB of documents, but holds at least one; nothing is left out or twice. */
TEST(pages_of_large_documents_end_early_and_go_on)
{
    enum { DEVICES = 100 };
    struct door door;
    door_open(&door);
    struct engine *engine = &door.engine;
    char *filler = arena_alloc(&engine->arena, 16001);
    memset(filler, 'x', 16000);
    for (int i = 0; i < DEVICES; i++) {
        struct str name = arena_printf(&engine->arena, "Pump-%03d", i);
        engine_create(engine, name.s, arena_printf(&engine->arena, "{\"x\":\"%s\"}", filler).s);
    }
    int listed = 0, pages = 0;
    struct str target = STR("/devices?limit=100");
    for (bool more = true; more; pages++) {
        yyjson_val *root, *item;
        size_t at, count;
        CHECK_RC(ask(&door, "GET", target.s, "", door.customer), RC_OK);
        CHECK(door.response.body.len < PAGE_MAX_BYTES + 65536);
        CHECK_RC(json_read(&engine->arena, door.response.body, 32, &root, NULL), RC_OK);
        yyjson_arr_foreach(json_member(root, "items"), at, count, item)
        {
            struct str name = arena_printf(&engine->arena, "Pump-%03d", listed++);
            CHECK_BYTES(json_member_str(item, "device_name", STR_NONE), name);
        }
        more = json_member_bool(root, "has_more", false);
        target = arena_printf(&engine->arena, "/devices?limit=100&cursor=" STR_FMT,
                              STR_ARG(next_cursor(&door)));
    }
    CHECK_INT(listed, DEVICES);
    CHECK_INT(pages, 2);
    engine_close(engine);
}
