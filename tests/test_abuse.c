/* Customers who mean no good: requests that are lawful one by one, and chosen so that answering them takes the most
 * memory or time. Each call has an arena as a home gives it; one that is exhausted aborts the test as it would the
 * server. Times are of the processor, with sanitizers, and generous: what they catch is the square of something. */
#include "adapters/clock_manual.h"
#include "adapters/store_sqlite.h"
#include "base/text.h"
#include "core/api.h"
#include "core/deliver.h"
#include "core/document.h"
#include "test.h"

#include <stdio.h>
#include <time.h>

#define HOUR_MS INT64_C(3600000)
#define START_MS (INT64_C(498730) * HOUR_MS + 5 * 60000)
#define QUICKLY_US 2000000

struct abuse {
    struct arena arena; /* of the test */
    struct clock_manual clock;
    struct settings settings;
    struct store *store;
    struct downstream downstream;
    struct world world;
    struct str credential;
    struct arena call_arena; /* of the latest call */
    struct call call;
    struct response response;
    int64_t took_us;
};

static enum rc take_all(struct downstream *downstream, struct call *call, struct str name,
                        struct str base, struct str target, struct str *ret_bytes)
{
    (void)downstream, (void)name;
    *ret_bytes = base.len && document_equal(call, base, target) ? STR_NONE : target;
    return RC_OK;
}

static void succeed(struct downstream *downstream, struct call *call, struct world *world,
                    const struct lease *lease, struct outcome *ret_outcome)
{
    (void)downstream, (void)lease;
    *ret_outcome = (struct outcome){.class = OUTCOME_EFFECT,
                                    .started_at_ms = call->now_ms,
                                    .sent_at_ms = clock_now_ms(world->clock),
                                    .code = STR("DONE")};
}

static void succeed_check(struct downstream *downstream, struct call *call, struct world *world,
                          struct outcome *ret_outcome)
{
    succeed(downstream, call, world, NULL, ret_outcome);
}

static const struct downstream_ops ops = {take_all, succeed, succeed, succeed_check};

static struct call *next_call(struct abuse *abuse)
{
    arena_close(&abuse->call_arena);
    arena_open(&abuse->call_arena, 0);
    call_open(&abuse->call, &abuse->call_arena, &abuse->world);
    return &abuse->call;
}

static void abuse_open(struct abuse *abuse)
{
    struct key key;
    struct key_new new = {.owner = STR("acme"), .role = ROLE_CUSTOMER, .realm = STR("live")};
    struct str credential;
    *abuse = (struct abuse){.downstream = {.ops = &ops, .mapping_version = 1, .reads_back = true}};
    arena_open(&abuse->arena, (size_t)1 << 30);
    clock_manual_open(&abuse->clock, START_MS, 1);
    settings_default(&abuse->settings);
    abuse->world = (struct world){.downstream = &abuse->downstream,
                                  .clock = &abuse->clock.clock,
                                  .settings = &abuse->settings};
    struct call *call = next_call(abuse);
    CHECK_RC(store_sqlite_open(call, ":memory:", NULL, &abuse->store), RC_OK);
    abuse->world.store = abuse->store;
    CHECK_RC(auth_create(&abuse->world, call, STR("system"), &new, &key, &credential), RC_OK);
    abuse->credential = arena_copy(&abuse->arena, credential);
}

static void abuse_close(struct abuse *abuse)
{
    arena_close(&abuse->call_arena);
    store_sqlite_close(abuse->store);
    arena_close(&abuse->arena);
}

static int64_t cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int ask(struct abuse *abuse, const char *method, const char *target, struct str body)
{
    struct header headers[] = {{STR("x-api-key"), abuse->credential},
                               {STR("content-type"), STR("application/json")}};
    struct request request = {.method = str_of(method),
                              .target = str_of(target),
                              .headers = headers,
                              .header_count = 2,
                              .body = body};
    struct call *call = next_call(abuse);
    int64_t before_us = cpu_us();
    CHECK_RC(api_handle(&abuse->world, call, &request, &abuse->response), RC_OK);
    abuse->took_us = cpu_us() - before_us;
    return abuse->response.status;
}

static void get_quickly(struct abuse *abuse, const char *target)
{
    CHECK_INT(ask(abuse, "GET", target, STR_NONE), 200);
    printf("%s: %lld us, %zu bytes of answer, %zu of memory\n", target, (long long)abuse->took_us,
           abuse->response.body.len, abuse->call_arena.used_bytes);
    CHECK(abuse->took_us < QUICKLY_US);
}

static void create(struct abuse *abuse, const char *name)
{
    struct str body = arena_printf(&abuse->arena, "{\"device_name\":\"%s\"}", name);
    CHECK_INT(ask(abuse, "POST", "/create-device", body), 201);
}

static int update(struct abuse *abuse, struct str attributes)
{
    struct str body = arena_printf(
        &abuse->arena, "{\"device_name\":\"A\",\"attributes\":" STR_FMT "}", STR_ARG(attributes));
    CHECK(body.len <= BODY_MAX_BYTES);
    int status = ask(abuse, "POST", "/update-device", body);
    CHECK(abuse->took_us < QUICKLY_US);
    return status;
}

static void deliver_all(struct abuse *abuse)
{
    clock_manual_set(&abuse->clock, (abuse->clock.now_ms / HOUR_MS + 1) * HOUR_MS + 1000);
    CHECK_RC(deliver(&abuse->world, next_call(abuse), STR("live/a")), RC_OK);
}

/* {"<prefix>0":value,...}, as many as fit into bytes */
static struct str wide(struct abuse *abuse, const char *prefix, const char *value, size_t bytes)
{
    struct text text;
    text_open(&text, &abuse->arena, bytes);
    text_add_char(&text, '{');
    for (int i = 0; text.len + 40 < bytes; i++) {
        text_printf(&text, "%s\"%s%d\":%s", i ? "," : "", prefix, i, value);
    }
    text_add_char(&text, '}');
    return text_str(&text);
}

/* --- the cases ------------------------------------------------------------------------------------------ */
/* Deletions of what is not there are accepted at once, without limit, and stay in the log. */
TEST(abuse_fields_of_an_update_among_many_wide_ones)
{
    struct abuse abuse;
    abuse_open(&abuse);
    create(&abuse, "A");
    CHECK_INT(update(&abuse, STR("{\"a\":1}")), 202);
    deliver_all(&abuse);
    CHECK_INT(update(&abuse, wide(&abuse, "k", "null", 65000)), 200);
    int64_t seq = 3;
    for (int i = 0; i < 45; i++) {
        char prefix[2] = {(char)('b' + i % 5), '\0'};
        CHECK_INT(update(&abuse, wide(&abuse, prefix, "null", 65000)), 200);
    }
    get_quickly(&abuse, arena_printf(&abuse.arena, "/devices/A/updates/%lld", (long long)seq).s);
    CHECK_HAS(abuse.response.body, "\"fields_complete\":false");
    get_quickly(&abuse, "/devices/A/updates?limit=100");
    get_quickly(&abuse, "/devices/A/log?limit=100");
    abuse_close(&abuse);
}

/* All that may be pending, then undone by a cancel of the first: the rest is applied anew. */
TEST(abuse_cancel_before_as_many_patches_as_may_be_pending)
{
    struct abuse abuse;
    abuse_open(&abuse);
    create(&abuse, "A");
    CHECK_INT(update(&abuse, wide(&abuse, "k", "1", 2000)), 202);
    for (int i = 1; i < 1000; i++) {
        struct str patch = arena_printf(&abuse.arena, "{\"k%d\":{\"a\":{\"b\":null}}}", i % 150);
        CHECK_INT(update(&abuse, patch), 202);
    }
    CHECK_INT(update(&abuse, STR("{\"one\":\"more\"}")), 429);
    CHECK_INT(ask(&abuse, "POST", "/devices/A/actions",
                  STR("{\"action\":\"cancel\",\"seq\":1,\"reason\":\"no\"}")),
              200);
    CHECK(abuse.took_us < QUICKLY_US);
    get_quickly(&abuse, "/devices/A/pending");
    get_quickly(&abuse, "/devices/A/updates/2");
    abuse_close(&abuse);
}

/* Long names around many members: each leaf's pointer repeats them. */
TEST(abuse_pointers_that_repeat_a_long_name)
{
    struct abuse abuse;
    abuse_open(&abuse);
    create(&abuse, "A");
    for (int bytes = 100; bytes < 12000; bytes *= 2) {
        struct str inner = wide(&abuse, "k", "null", (size_t)(60000 - bytes));
        struct str patch =
            arena_printf(&abuse.arena, "{\"%0*d\":" STR_FMT "}", bytes, 7, STR_ARG(inner));
        int status = update(&abuse, patch);
        CHECK_INT(status, bytes * 5000 > POINTERS_MAX_BYTES ? 400 : 202);
    }
    CHECK_INT(update(&abuse, STR("{\"a\":1}")), 202);
    get_quickly(&abuse, "/devices/A/updates/1");
    abuse_close(&abuse);
}

/* A page of the largest devices. */
TEST(abuse_pages_of_the_largest_devices)
{
    struct abuse abuse;
    abuse_open(&abuse);
    for (int i = 0; i < 100; i++) {
        struct str body =
            arena_printf(&abuse.arena, "{\"device_name\":\"D%d\",\"attributes\":" STR_FMT "}", i,
                         STR_ARG(wide(&abuse, "k", "1", 16300)));
        CHECK_INT(ask(&abuse, "POST", "/create-device", body), 201);
    }
    get_quickly(&abuse, "/devices?limit=100");
    CHECK(abuse.response.body.len < 2 * PAGE_MAX_BYTES);
    abuse_close(&abuse);
}
