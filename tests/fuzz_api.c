/* Does any request break the interface? The input is a digit (who asks), then "METHOD target", header lines, an empty
 * line, the body. The world behind is real but for the network, and each input meets the same one: what it wrote is
 * rolled back. Every answer is a status that the table knows with a body that is JSON; no customer sees another's
 * device; what was written keeps the invariants of the log. */
#include "adapters/clock_manual.h"
#include "adapters/downstream_mock.h"
#include "adapters/secrets_file.h"
#include "adapters/store_sqlite.h"
#include "base/text.h"
#include "core/api.h"
#include "core/check.h"

#include <stdlib.h>

#define START_MS INT64_C(1795428300000)
#define HEADERS_MAX 8
#define FOREIGN "zq-foreign-zq" /* stands in the other customer's device only */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct lab {
    struct arena arena;
    struct clock_manual clock;
    struct settings settings;
    struct store *store;
    struct secrets *secrets;
    struct downstream *downstream;
    struct notifier notifier;
    struct world world;
    struct str credentials[4]; /* nobody, acme, globex, an operator */
};

static enum told tell_nobody(struct notifier *notifier, struct call *call,
                             const struct event *event, int64_t *ret_again_at_ms)
{
    (void)notifier, (void)call, (void)event, (void)ret_again_at_ms;
    return TOLD_DONE;
}

static const struct notifier_ops nobody_ops = {tell_nobody};

static void must(enum rc rc)
{
    assert(rc == RC_OK);
    (void)rc;
}

static enum rc ask(struct lab *lab, struct call *call, struct request *request,
                   struct response *response)
{
    call_open(call, call->arena, &lab->world);
    return api_handle(&lab->world, call, request, response);
}

static void seed(struct lab *lab, struct str credential, const char *target, const char *body)
{
    struct call call = {.arena = &lab->arena};
    struct response response;
    struct header headers[] = {{STR("x-api-key"), credential},
                               {STR("content-type"), STR("application/json")}};
    struct request request = {.method = STR("POST"),
                              .target = str_of(target),
                              .headers = headers,
                              .header_count = 2,
                              .body = str_of(body)};
    store_sqlite_turn_begin(lab->store);
    must(ask(lab, &call, &request, &response));
    assert(response.status / 100 == 2);
    must(store_sqlite_turn_commit(lab->store, &call));
}

static struct str add_key(struct lab *lab, const char *owner)
{
    struct call call;
    struct key key;
    struct str credential;
    struct key_new new = {.owner = str_of(owner),
                          .role = owner[0] ? ROLE_CUSTOMER : ROLE_OPERATOR,
                          .realm = STR("live")};
    call_open(&call, &lab->arena, &lab->world);
    store_sqlite_turn_begin(lab->store);
    must(auth_create(&lab->world, &call, STR("system"), &new, &key, &credential));
    must(store_sqlite_turn_commit(lab->store, &call));
    return credential;
}

static struct lab *lab_open(void)
{
    struct lab *lab = calloc(1, sizeof *lab);
    struct call call;
    struct store_sqlite_options store = {.turns = true};
    struct downstream_mock_options mock = {.slots = 1};
    assert(lab);
    arena_open(&lab->arena, 0);
    clock_manual_open(&lab->clock, START_MS, 1);
    settings_default(&lab->settings);
    lab->settings.max_pending = 5;
    lab->notifier = (struct notifier){.ops = &nobody_ops, .customers = true};
    lab->world = (struct world){
        .notifier = &lab->notifier, .clock = &lab->clock.clock, .settings = &lab->settings};
    call_open(&call, &lab->arena, &lab->world);
    must(store_sqlite_open(&call, ":memory:", &store, &lab->store));
    lab->world.store = lab->store;
    must(secrets_file_open(&call, STR(""), &lab->secrets));
    lab->world.secrets = lab->secrets;
    must(downstream_mock_open(&call, &mock, lab->secrets, &lab->downstream));
    lab->world.downstream = lab->downstream;
    lab->credentials[0] = STR_NONE;
    lab->credentials[1] = add_key(lab, "acme");
    lab->credentials[2] = add_key(lab, "globex");
    lab->credentials[3] = add_key(lab, "");
    seed(lab, lab->credentials[1], "/create-device",
         "{\"device_name\":\"Pump-7\",\"attributes\":{\"description\":\"a\"}}");
    seed(lab, lab->credentials[1], "/update-device",
         "{\"device_name\":\"pump-7\",\"attributes\":{\"room\":\"1\"}}");
    seed(lab, lab->credentials[1], "/create-device", "{\"device_name\":\"Pump-8\"}");
    seed(lab, lab->credentials[2], "/create-device",
         "{\"device_name\":\"Fan\",\"attributes\":{\"description\":\"" FOREIGN "\"}}");
    return lab;
}

/* --- one input ----------------------------------------------------------------------------------------- */
static int who(char digit)
{
    return digit >= '0' && digit <= '3' ? digit - '0' : 1;
}

static size_t read_headers(struct arena *arena, struct str *rest, struct header *headers)
{
    size_t count = 0;
    while (rest->len) {
        struct str value = text_cut(rest, '\n');
        if (value.len == 0) {
            break;
        }
        struct str name = text_lower(arena, text_cut(&value, ':'));
        if (count < HEADERS_MAX && !(value.len && memchr(value.s, 0, value.len))) {
            headers[count++] = (struct header){name, text_trim(value)};
        }
    }
    return count;
}

static void check_answer(struct arena *arena, const struct response *response, bool may_see)
{
    yyjson_val *root = NULL;
    int status = response->status;
    if (status == 0) { /* the home's */
        assert(response->operation.len);
        return;
    }
    assert(status >= 200 && status < 600 && status != 500);
    assert(text_is_utf8(response->body));
    assert(may_see || !memmem(response->body.s, response->body.len, FOREIGN, strlen(FOREIGN)));
    for (size_t i = 0; i < response->header_count; i++) {
        struct str value = response->headers[i].value;
        for (size_t j = 0; j < value.len; j++) { /* no line of the answer is made by a value */
            assert((unsigned char)value.s[j] >= 0x20 && value.s[j] != 0x7f);
        }
    }
    if (response->body.len) {
        must(json_read(arena, response->body, 32, &root, NULL));
    }
    if (status >= 400) {
        enum problem problem = problem_of(json_member_str(root, "code", STR_NONE));
        assert(problem != PROBLEM_NONE && problem_info(problem)->status == status);
        assert(json_member_i64(root, "status", 0) == status);
    }
}

static void check_world(struct lab *lab, struct call *call)
{
    struct check_report report = {0};
    struct device_page page;
    must(store_device_list(lab->store, call, STR("live"), STR_NONE, STR_NONE, STR_NONE, PAGE_MAX,
                           &page));
    for (int i = 0; i < page.count; i++) {
        must(check_device(&lab->world, call, page.items[i].key, &report));
    }
    assert(report.finding_count == 0);
}

static void play(struct lab *lab, struct arena *arena, struct str input)
{
    struct header headers[HEADERS_MAX + 2];
    struct call call = {.arena = arena};
    struct response response = {0};
    struct str rest = str_from(input, 1), line = text_cut(&rest, '\n');
    struct str credential = lab->credentials[who(input.s[0])];
    struct request request = {.method = text_cut(&line, ' '), .target = line, .headers = headers};
    size_t count = read_headers(arena, &rest, headers);
    if (credential.len) {
        headers[count++] = (struct header){STR("x-api-key"), credential};
    }
    if (rest.len) {
        headers[count++] = (struct header){STR("content-type"), STR("application/json")};
    }
    request.header_count = count;
    request.body = rest;
    enum rc rc = ask(lab, &call, &request, &response);
    assert(rc == RC_OK);
    /* an input that holds the mark (the fuzzer finds it in the comparison) may be told its own words */
    bool may_see = who(input.s[0]) >= 2 || memmem(input.s, input.len, "foreign", 7);
    check_answer(arena, &response, may_see);
    if (call.wrote) {
        check_world(lab, &call);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lab *lab;
    struct arena arena;
    if (size == 0 || size > BODY_MAX_BYTES) {
        return 0;
    }
    if (!lab) {
        lab = lab_open();
    }
    clock_manual_open(&lab->clock, START_MS + 1000, 2);
    arena_open(&arena, 0);
    store_sqlite_turn_begin(lab->store);
    play(lab, &arena, (struct str){(const char *)data, size});
    store_sqlite_turn_rollback(lab->store);
    arena_close(&arena);
    return 0;
}
