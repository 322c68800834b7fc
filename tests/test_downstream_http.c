/* The plain JSON downstream, against a store of documents behind its transport, in process. */
#include "adapters/clock_manual.h"
#include "adapters/downstream_http.h"
#include "base/text.h"
#include "core/document.h"
#include "test.h"

#define NOW INT64_C(1795340100000)

/* One resource that merges patches and remembers repeat ids; it answers as it is told. */
struct resource {
    struct transport port;
    struct arena arena;
    struct call call;
    struct str document;                                  /* "" = there is none */
    struct str method, url, type, repeat_id, token, body; /* of the last request */
    struct str known_id;
    int status;           /* answer this instead; 0 = the right answer */
    struct header extra;  /* of that answer */
    enum inbound_end end; /* how the next exchange ends */
    bool execute, remembers;
    int effects, requests;
};

static struct str header_of(const struct outbound *outbound, const char *name)
{
    for (size_t i = 0; i < outbound->header_count; i++) {
        if (text_equal_nocase(outbound->headers[i].name, str_of(name))) {
            return outbound->headers[i].value;
        }
    }
    return STR_NONE;
}

static int execute(struct resource *resource, const struct outbound *outbound)
{
    if (resource->remembers && str_equal(resource->known_id, resource->repeat_id)) {
        return 200;
    }
    if (str_is(outbound->method, "PATCH") && !resource->document.len) {
        return 404;
    }
    resource->known_id = resource->repeat_id;
    resource->effects++;
    if (str_is(outbound->method, "PUT")) {
        resource->document = resource->body;
        return 201;
    }
    CHECK_RC(
        document_merge(&resource->call, resource->document, resource->body, &resource->document),
        RC_OK);
    return 200;
}

static void perform(struct transport *port, struct call *call, struct world *world, int slot,
                    const struct outbound *outbound, struct inbound *ret)
{
    struct resource *resource = (struct resource *)port;
    struct arena *arena = &resource->arena;
    bool write = str_is(outbound->method, "PUT") || str_is(outbound->method, "PATCH");
    bool replayed = false;
    (void)call, (void)slot;
    *ret = (struct inbound){.end = resource->end};
    CHECK_INT(outbound->write, write);
    if (write && !outbound_is_in_time(outbound, clock_now_ms(world->clock))) {
        ret->end = INBOUND_NOT_SENT;
        return;
    }
    resource->requests++;
    resource->method = arena_copy(arena, outbound->method);
    resource->url = arena_copy(arena, outbound->url);
    resource->type = arena_copy(arena, header_of(outbound, "content-type"));
    resource->repeat_id = arena_copy(arena, header_of(outbound, "idempotency-key"));
    resource->token = arena_copy(arena, header_of(outbound, "authorization"));
    resource->body = arena_copy(arena, outbound->body);
    ret->sent_at_ms = ret->end == INBOUND_NO_CONNECTION ? 0 : clock_now_ms(world->clock);
    ret->status = resource->status;
    if (!resource->status || resource->execute) {
        replayed =
            resource->remembers && write && str_equal(resource->known_id, resource->repeat_id);
        int status = write ? execute(resource, outbound) : resource->document.len ? 200 : 404;
        ret->status = resource->status ? resource->status : status;
        ret->body = write ? STR_NONE : resource->document;
    }
    ret->headers = arena_array(arena, struct header, 2);
    ret->headers[0] =
        replayed ? (struct header){STR("idempotency-replayed"), STR("true")} : resource->extra;
    ret->header_count = 1;
    resource->end = INBOUND_ANSWERED;
    resource->status = 0;
}

static const struct transport_ops ops = {.perform = perform};

static enum rc secret(struct secrets *secrets, struct call *call, struct str name,
                      struct str *ret_value)
{
    (void)secrets, (void)call;
    *ret_value = STR("tok");
    return str_is(name, "t") ? RC_OK : RC_NOT_FOUND;
}
static const struct secrets_ops secret_ops = {.get = secret};

struct bench {
    struct clock_manual clock;
    struct settings settings;
    struct secrets secrets;
    struct world world;
    struct arena arena;
    struct call call;
    struct resource resource;
    struct http_config config;
    struct downstream *downstream;
    struct lease lease;
    int sends;
};

static void bench_open(struct bench *bench, struct http_config config)
{
    *bench =
        (struct bench){.config = config, .secrets = {&secret_ops}, .resource = {.port = {&ops}}};
    clock_manual_open(&bench->clock, NOW, 1);
    settings_default(&bench->settings);
    bench->world = (struct world){
        .secrets = &bench->secrets, .clock = &bench->clock.clock, .settings = &bench->settings};
    arena_open(&bench->arena, 0);
    arena_open(&bench->resource.arena, 0);
    bench->resource.call.arena = &bench->resource.arena;
    call_open(&bench->call, &bench->arena, &bench->world);
    bench->config.base_url = STR("https://registry.example/devices");
    bench->config.mapping_version = 1;
    CHECK_RC(downstream_http_open(&bench->call, &bench->config, &bench->resource.port,
                                  &bench->secrets, 2, &bench->downstream),
             RC_OK);
}

static void bench_close(struct bench *bench)
{
    downstream_http_close(bench->downstream);
    arena_close(&bench->resource.arena);
    arena_close(&bench->arena);
}

static struct outcome again(struct bench *bench, enum lease_mode mode)
{
    struct outcome outcome;
    bench->lease.mode = mode;
    if (mode == LEASE_READ_BACK) {
        downstream_read_back(bench->downstream, &bench->call, &bench->world, &bench->lease,
                             &outcome);
    } else {
        downstream_send(bench->downstream, &bench->call, &bench->world, &bench->lease, &outcome);
    }
    return outcome;
}

static struct outcome deliver(struct bench *bench, const char *base, const char *target)
{
    bench->lease = (struct lease){.realm = STR("live"),
                                  .key = STR("live/a"),
                                  .device_name = STR("A #1"),
                                  .base = str_of(base),
                                  .trace_id = bench->call.id,
                                  .lease_no = 1,
                                  .first_sent_at_ms = NOW,
                                  .send_before_at_ms = NOW + 60000,
                                  .earlier_sent_at_ms = NOW};
    bench->lease.body.delivery = ++bench->sends;
    bench->lease.body.target = str_of(target);
    bench->lease.body.repeat_id = arena_printf(&bench->arena, "%032x", bench->sends);
    CHECK_RC(downstream_encode(bench->downstream, &bench->call, STR("A #1"), bench->lease.base,
                               bench->lease.body.target, &bench->lease.body.bytes),
             RC_OK);
    return again(bench, LEASE_SEND);
}

TEST(the_difference_goes_as_a_merge_patch_to_the_named_resource)
{
    struct bench bench;
    bench_open(&bench, (struct http_config){.token_secret = STR("t")});
    bench.resource.document = STR("{\"a\":1,\"b\":{\"c\":2,\"d\":3},\"e\":[1]}");
    struct outcome outcome = deliver(&bench, "{\"a\":1,\"b\":{\"c\":2,\"d\":3},\"e\":[1]}",
                                     "{\"a\":1,\"b\":{\"c\":5},\"e\":[1],\"f\":\"x\"}");
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    CHECK_STR(bench.resource.method, "PATCH");
    CHECK_STR(bench.resource.url, "https://registry.example/devices/A%20%231");
    CHECK_STR(bench.resource.type, "application/merge-patch+json");
    CHECK_STR(bench.resource.body, "{\"b\":{\"c\":5,\"d\":null},\"f\":\"x\"}");
    CHECK_STR(bench.resource.repeat_id, "00000000000000000000000000000001");
    CHECK_STR(bench.resource.token, "Bearer tok");
    CHECK(bench.downstream->credentials_sha.len == 64);
    CHECK(document_equal(&bench.call, bench.resource.document, bench.lease.body.target));
    CHECK_HAS_NOT(outcome.data, "tok");
    bench_close(&bench);
}

/* P4: whatever two documents are, the patch leads from one to the other */
TEST(a_difference_leads_from_any_document_to_any_other)
{
    static const char *const documents[] = {"{}",
                                            "{\"a\":{}}",
                                            "{\"a\":{\"b\":{\"c\":{}}}}",
                                            "{\"a\":{\"b\":{\"c\":{\"d\":1}}},\"x\":[{\"y\":1}]}",
                                            "{\"a\":1}",
                                            "{\"a\":{\"b\":1},\"x\":[{\"y\":2}]}",
                                            "{\"a\":{\"b\":{\"e\":1}},\"z\":{}}",
                                            "{\"a\":[]}",
                                            "{\"a\":{\"b\":1},\"q\":2}",
                                            "{\"a\":{\"b\":1},\"q\":3}",
                                            "{\"a\":{\"b\":{\"e\":1}},\"q\":2}"};
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        for (size_t j = 0; j < COUNT_OF(documents); j++) {
            struct bench bench;
            struct str patch, merged;
            bench_open(&bench, (struct http_config){0});
            CHECK_RC(downstream_encode(bench.downstream, &bench.call, STR("a"),
                                       str_of(documents[i]), str_of(documents[j]), &patch),
                     RC_OK);
            CHECK_INT(patch.len == 0, i == j);
            if (patch.len) {
                CHECK_RC(document_merge(&bench.call, str_of(documents[i]), patch, &merged), RC_OK);
                if (!document_equal(&bench.call, merged, str_of(documents[j]))) {
                    FAIL("%s to %s by " STR_FMT, documents[i], documents[j], STR_ARG(patch));
                }
            }
            bench_close(&bench);
        }
    }
}

TEST(a_full_body_is_sent_where_the_downstream_wants_it)
{
    struct bench bench;
    bench_open(&bench, (struct http_config){.full = true});
    bench.resource.document = STR("{\"a\":1}");
    CHECK_STR(deliver(&bench, "{\"a\":1}", "{\"a\":1,\"b\":2}").code, "DONE");
    CHECK_STR(bench.resource.body, "{\"a\":1,\"b\":2}");
    bench_close(&bench);
}

TEST(a_missing_resource_is_put_whole_or_refused)
{
    struct bench bench;
    bench_open(&bench, (struct http_config){.create = true});
    struct outcome outcome = deliver(&bench, "{\"a\":1,\"b\":1}", "{\"a\":2,\"b\":1}");
    CHECK_STR(outcome.code, "MISSING");
    CHECK(outcome.class == OUTCOME_NO_EFFECT && outcome.full_next);
    outcome = deliver(&bench, "", "{\"a\":2}");
    CHECK_STR(outcome.code, "DONE");
    CHECK_STR(bench.resource.method, "PUT");
    CHECK_STR(bench.resource.type, "application/json");
    CHECK_STR(bench.resource.document, "{\"a\":2}");
    bench_close(&bench);
    bench_open(&bench, (struct http_config){.full = true});
    outcome = deliver(&bench, "", "{\"a\":2}");
    CHECK_STR(outcome.code, "NOT_FOUND");
    CHECK_INT(outcome.class, OUTCOME_REJECTED);
    CHECK_STR(bench.resource.method, "PATCH");
    bench_close(&bench);
}

TEST(each_answer_of_a_plain_downstream_has_its_class)
{
    static const struct {
        int status;
        enum outcome_class class;
        bool counts;
        const char *code;
    } cases[] = {
        {204, OUTCOME_EFFECT, false, "DONE"},        {400, OUTCOME_REJECTED, false, "PERMANENT"},
        {401, OUTCOME_STOP, false, "AUTH"},          {403, OUTCOME_STOP, false, "AUTH"},
        {405, OUTCOME_STOP, false, "CONFIG"},        {408, OUTCOME_UNSURE, false, "AMBIGUOUS"},
        {409, OUTCOME_NO_EFFECT, true, "LOCKED"},    {413, OUTCOME_REJECTED, false, "TOO_LARGE"},
        {422, OUTCOME_REJECTED, false, "PERMANENT"}, {423, OUTCOME_NO_EFFECT, true, "LOCKED"},
        {429, OUTCOME_NO_EFFECT, true, "THROTTLED"}, {500, OUTCOME_UNSURE, false, "RETRY_LIMITED"},
        {502, OUTCOME_UNSURE, false, "AMBIGUOUS"},   {503, OUTCOME_NO_EFFECT, true, "THROTTLED"},
        {301, OUTCOME_STOP, false, "CONFIG"},
    };
    struct bench bench;
    bench_open(&bench, (struct http_config){0});
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bench.resource.status = cases[i].status;
        bench.resource.extra = (struct header){STR("retry-after"), STR("90")};
        struct outcome outcome = deliver(&bench, "", "{\"a\":2}");
        CHECK_INT(outcome.class, cases[i].class);
        CHECK_INT(outcome.counts, cases[i].counts);
        CHECK_STR(outcome.code, cases[i].code);
        CHECK_INT(outcome.pause_until_ms, str_is(outcome.code, "THROTTLED") ? NOW + 90000 : 0);
    }
    static const struct {
        enum inbound_end end;
        enum outcome_class class;
    } ends[] = {{INBOUND_NO_CONNECTION, OUTCOME_NO_EFFECT},
                {INBOUND_INCOMPLETE, OUTCOME_NO_EFFECT},
                {INBOUND_LOST, OUTCOME_UNSURE},
                {INBOUND_TIMEOUT, OUTCOME_UNSURE}};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        bench.resource.status = 200;
        bench.resource.end = ends[i].end;
        CHECK_INT(deliver(&bench, "", "{\"a\":2}").class, ends[i].class);
    }
    bench_close(&bench);
}

/* P2: what cannot be read back goes out again under its id, and has one effect where the id is honoured */
TEST(an_unsure_write_is_sent_again_under_its_id)
{
    struct bench bench;
    bench_open(&bench, (struct http_config){.create = true});
    CHECK(!bench.downstream->reads_back);
    bench.resource.remembers = bench.resource.execute = true;
    bench.resource.status = 504;
    struct outcome outcome = deliver(&bench, "", "{\"a\":2}");
    CHECK_INT(outcome.class, OUTCOME_UNSURE);
    struct str body = bench.resource.body, id = bench.resource.repeat_id;
    outcome = again(&bench, LEASE_RESEND);
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    CHECK(outcome.re_sent && outcome.repeat_confirmed);
    CHECK_BYTES(bench.resource.body, body);
    CHECK_BYTES(bench.resource.repeat_id, id);
    CHECK_INT(bench.resource.effects, 1);
    bench.clock.now_ms = NOW + 60000;
    CHECK_STR(again(&bench, LEASE_RESEND).code, "NOT_SENT");
    bench.lease.send_from_at_ms = NOW + 1000; /* the clock was set back since the lease */
    bench.clock.now_ms = NOW;
    CHECK_STR(again(&bench, LEASE_RESEND).code, "NOT_SENT");
    CHECK_INT(bench.resource.effects, 1);
    bench_close(&bench);
}

/* P4: numbers that one double cannot tell apart are told apart where it matters; what others rounded still counts. */
TEST(a_long_number_of_before_is_not_taken_for_the_new_one)
{
    static const struct {
        const char *base, *target, *found;
        enum outcome_class class;
    } cases[] = {
        {"9007199254740992", "9007199254740993", "9007199254740992", OUTCOME_NO_EFFECT},
        {"9007199254740992", "9007199254740993", "9007199254740993", OUTCOME_EFFECT},
        {"9007199254740992", "9007199254740993", "9007199254740993.0", OUTCOME_EFFECT},
        {"-0.90071992547409920e16", "-0.90071992547409930e16", "-9007199254740993", OUTCOME_EFFECT},
        {"9007199254740992", "9007199254740993", "900719925474099300e-2", OUTCOME_EFFECT},
        {"9007199254740992", "9007199254740993", "9007199254740993e+1", OUTCOME_NO_EFFECT},
        {"1", "9007199254740993", "9007199254740992", OUTCOME_EFFECT}, /* rounded by another */
        {"1.0", "1", "1.0", OUTCOME_EFFECT},
        {"0", "-0.0", "0e5", OUTCOME_EFFECT},
    };
    struct bench bench;
    bench_open(&bench, (struct http_config){.read_back = true});
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char base[64], target[64], found[64];
        (void)snprintf(base, sizeof base, "{\"x\":1,\"n\":%s}", cases[i].base);
        (void)snprintf(target, sizeof target, "{\"x\":2,\"n\":%s}", cases[i].target);
        (void)snprintf(found, sizeof found, "{\"x\":2,\"n\":%s}", cases[i].found);
        bench.resource.document = str_of(base);
        bench.resource.end = INBOUND_LOST;
        (void)deliver(&bench, base, target);
        bench.resource.document = str_of(found);
        fprintf(stderr, "%s\n", found);
        CHECK_INT(again(&bench, LEASE_READ_BACK).class, cases[i].class);
    }
    bench_close(&bench);
}

TEST(a_plain_downstream_that_can_be_read_is_read_back)
{
    struct bench bench;
    bench_open(&bench, (struct http_config){.read_back = true});
    CHECK(bench.downstream->reads_back);
    bench.resource.document = STR("{\"a\":1,\"b\":{\"c\":1}}");
    bench.resource.end = INBOUND_LOST;
    (void)deliver(&bench, "{\"a\":1,\"b\":{\"c\":1},\"x\":1}", "{\"a\":2.0,\"b\":{\"c\":2}}");
    bench.resource.document = STR("{\"a\":2,\"b\":{\"c\":2,\"more\":1},\"x\":null}");
    CHECK_INT(again(&bench, LEASE_READ_BACK).class, OUTCOME_EFFECT);
    bench.resource.document = STR("{\"a\":2,\"b\":{\"c\":1}}");
    struct outcome outcome = again(&bench, LEASE_READ_BACK);
    CHECK(outcome.class == OUTCOME_NO_EFFECT && outcome.partial);
    bench.resource.document = STR("{\"a\":1,\"b\":{\"c\":1},\"x\":1}");
    outcome = again(&bench, LEASE_READ_BACK);
    CHECK(outcome.class == OUTCOME_NO_EFFECT && !outcome.partial);
    bench.resource.document = STR("");
    CHECK_INT(again(&bench, LEASE_READ_BACK).class, OUTCOME_NO_EFFECT);
    bench.resource.document = STR("[");
    CHECK_INT(again(&bench, LEASE_READ_BACK).class, OUTCOME_UNSURE);
    bench.resource.status = 503;
    CHECK_INT(again(&bench, LEASE_READ_BACK).class, OUTCOME_UNSURE);
    bench.resource.status = 401;
    CHECK_INT(again(&bench, LEASE_READ_BACK).class, OUTCOME_STOP);
    downstream_check(bench.downstream, &bench.call, &bench.world, &outcome);
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    bench_close(&bench);
}
