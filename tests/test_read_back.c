/* Is what a crash left uncertain there? The plain JSON downstream, with a transport that shows one document. */
#include "adapters/clock_manual.h"
#include "adapters/downstream_http.h"
#include "test.h"

struct shown {
    struct transport port;
    struct str document;
};

static void show(struct transport *port, struct call *call, struct world *world, int slot,
                 const struct outbound *outbound, struct inbound *ret)
{
    (void)call, (void)world, (void)slot;
    CHECK_STR(outbound->method, "GET");
    *ret = (struct inbound){
        .end = INBOUND_ANSWERED, .status = 200, .body = ((struct shown *)port)->document};
}

static const struct transport_ops show_ops = {.perform = show};

/* in: base "" = nothing was there; body: what was sent, "" = the whole target */
static struct outcome read_back(const char *base, const char *target, const char *body,
                                const char *document)
{
    static struct clock_manual clock;
    static struct settings settings;
    struct shown shown = {.port.ops = &show_ops, .document = str_of(document)};
    struct http_config config = {.base_url = STR("https://b.example/d"),
                                 .full = !body[0],
                                 .create = true,
                                 .read_back = true,
                                 .mapping_version = 1};
    struct world world = {.clock = &clock.clock, .settings = &settings};
    struct arena arena;
    struct call call;
    struct outcome outcome;
    arena_open(&arena, 0);
    settings_default(&settings);
    clock_manual_open(&clock, 1795340100000, 1);
    call_open(&call, &arena, &world);
    CHECK_RC(downstream_http_open(&call, &config, &shown.port, NULL, 1, &world.downstream), RC_OK);
    struct lease lease = {.mode = LEASE_READ_BACK,
                          .realm = STR("live"),
                          .key = STR("live/pump"),
                          .device_name = STR("Pump"),
                          .lease_no = 1,
                          .first_sent_at_ms = 1,
                          .send_before_at_ms = 2,
                          .trace_id = STR("t"),
                          .earlier_sent_at_ms = 2,
                          .base = str_of(base)};
    lease.body = (struct body){.delivery = 7,
                               .target = str_of(target),
                               .bytes = str_of(body[0] ? body : target),
                               .repeat_id = STR("0123456789abcdef0123456789abcdef")};
    downstream_read_back(world.downstream, &call, &world, &lease, &outcome);
    outcome.code = outcome.detail = outcome.data = STR_NONE;
    downstream_http_close(world.downstream);
    arena_close(&arena);
    return outcome;
}

/* P4: kill -9 between seal and send had left a member downstream that was deleted. */
TEST(P4_what_was_there_before_a_deletion_does_not_pass_for_what_is_there_after_it)
{
    struct outcome outcome = read_back("{\"n\":0,\"a\":64}", "{\"n\":0}", "", "{\"n\":0,\"a\":64}");
    CHECK_INT(outcome.class, OUTCOME_NO_EFFECT);
    CHECK(!outcome.partial); /* n was there anyway: it tells nothing of this send */
    CHECK_INT(read_back("{\"n\":0,\"a\":64}", "{\"n\":0}", "", "{\"n\":0}").class, OUTCOME_EFFECT);
    CHECK_INT(read_back("{\"n\":0,\"a\":{\"b\":1}}", "{\"n\":0,\"a\":{}}", "",
                        "{\"n\":0,\"a\":{\"b\":1}}")
                  .class,
              OUTCOME_NO_EFFECT);
}

/* P2: some of what the send would have changed is there: the window counts as used. */
TEST(P2_a_part_of_what_was_sent_counts_only_if_the_send_would_have_changed_it)
{
    CHECK(read_back("{\"n\":0}", "{\"n\":1,\"m\":1}", "", "{\"n\":1}").partial);
    CHECK(!read_back("{\"n\":0,\"k\":1}", "{\"n\":1,\"k\":1}", "", "{\"n\":0,\"k\":1}").partial);
    CHECK(read_back("", "{\"n\":0,\"k\":1}", "", "{\"n\":0}").partial);
    CHECK(!read_back("{\"n\":0}", "{\"n\":1}", "{\"n\":1}", "{\"n\":0}").partial);
    CHECK_INT(
        read_back("{\"n\":0,\"a\":1}", "{\"n\":0}", "{\"a\":null}", "{\"n\":0,\"a\":1}").class,
        OUTCOME_NO_EFFECT);
    CHECK_INT(read_back("{\"n\":0,\"a\":1}", "{\"n\":0}", "{\"a\":null}", "{\"n\":0}").class,
              OUTCOME_EFFECT);
}
