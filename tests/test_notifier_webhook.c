/* P8 You are told: posts, their signatures, what an answer means, and where a post may not go. */
#include "adapters/clock_manual.h"
#include "adapters/notifier_webhook.h"
#include "adapters/secrets_file.h"
#include "base/diag.h"
#include "base/text.h"
#include "receiver.h"
#include "test.h"

#include <stdlib.h>

/* the example of the Standard Webhooks libraries */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SECRET_NEXT "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
#define EVENT_ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define AT_S INT64_C(1614265330)
#define BODY "{\"test\": 2432232314}"
#define SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

#define OK "HTTP/1.1 204 No Content\r\n\r\n"

static struct arena arena;
static struct call call;
static struct receiver receiver;
static struct clock_manual the_clock;
static struct settings settings;
static struct world world;
static struct notifier *notifier;
static struct text lines; /* of the log */

static void keep_line(void *context, struct str line)
{
    (void)context;
    text_add(&lines, line);
}

static void begin(void)
{
    arena_open(&arena, 0);
    call = (struct call){.arena = &arena};
    text_open(&lines, &arena, 1 << 20);
    diag_set(DIAG_DEBUG, keep_line, NULL);
    clock_manual_open(&the_clock, AT_S * 1000, 1);
    settings_default(&settings);
    world = (struct world){.clock = &the_clock.clock, .settings = &settings};
    CHECK_RC(secrets_file_open(&call, STR(""), &world.secrets), RC_OK);
    setenv("HOURBELL_SECRET_WEBHOOK__OPERATOR", SECRET, 1);
    setenv("HOURBELL_SECRET_WEBHOOK__CUSTOMER", SECRET, 1);
    receiver_open(&receiver);
}

static void open_to(const char *scheme)
{
    struct str url =
        arena_printf(&arena, "%s://127.0.0.1:%d/hook/sesame?t=1", scheme, receiver.port);
    settings.webhook_operator = settings.webhook_customer = url;
    if (notifier_webhook_open(&call, &world, &notifier) != RC_OK) {
        FAIL("%s", call.why);
    }
}

static void end(void)
{
    notifier_webhook_close(notifier);
    secrets_file_close(world.secrets);
    receiver_close(&receiver);
    diag_set(DIAG_INFO, NULL, NULL);
    arena_close(&arena);
}

static struct event event_of(const char *type, bool operators)
{
    return (struct event){.id = STR(EVENT_ID),
                          .type = str_of(type),
                          .operators = operators,
                          .owner = operators ? STR_NONE : STR("acme"),
                          .at_ms = AT_S * 1000,
                          .body = STR(BODY)};
}

static enum told tell(struct event event, int64_t *ret_again_at_ms)
{
    return notifier_tell(notifier, &call, &event, ret_again_at_ms);
}

/* P8 */
TEST(webhook_is_signed_after_standard_webhooks)
{
    int64_t again_at_ms = -1;
    begin();
    settings.webhook_allow_private = true;
    open_to("http");
    CHECK(notifier->customers);
    receiver_answer(&receiver, OK);
    CHECK_INT(tell(event_of("update.delivered", false), &again_at_ms), TOLD_DONE);
    CHECK_INT(receiver_count(&receiver), 1);
    CHECK_STR(receiver_line(&receiver, 0), "POST /hook/sesame?t=1 HTTP/1.1");
    CHECK_STR(receiver_header(&receiver, 0, "webhook-id"), EVENT_ID);
    CHECK_STR(receiver_header(&receiver, 0, "webhook-timestamp"), "1614265330");
    CHECK_STR(receiver_header(&receiver, 0, "webhook-signature"), SIGNATURE);
    CHECK_STR(receiver_header(&receiver, 0, "content-type"), "application/json");
    CHECK_STR(receiver_body(&receiver, 0), BODY);
    /* a later try: the same id and body, its own time and signature */
    clock_manual_advance(&the_clock, 60000);
    CHECK_INT(tell(event_of("update.delivered", false), &again_at_ms), TOLD_DONE);
    CHECK_STR(receiver_header(&receiver, 1, "webhook-id"), EVENT_ID);
    CHECK_STR(receiver_header(&receiver, 1, "webhook-timestamp"), "1614265390");
    CHECK(!str_is(receiver_header(&receiver, 1, "webhook-signature"), SIGNATURE));
    end();
}

TEST(webhook_has_two_signatures_while_its_secret_is_rotated)
{
    int64_t again_at_ms;
    begin();
    settings.webhook_allow_private = true;
    setenv("HOURBELL_SECRET_WEBHOOK__OPERATOR_NEXT", SECRET_NEXT, 1);
    open_to("http");
    receiver_answer(&receiver, OK);
    CHECK_INT(tell(event_of("delivery.dead", true), &again_at_ms), TOLD_DONE);
    struct str two = receiver_header(&receiver, 0, "webhook-signature");
    CHECK_STR(text_cut(&two, ' '), SIGNATURE);
    CHECK_INT(two.len, strlen(SIGNATURE));
    CHECK(str_starts(two, STR("v1,")) && !str_is(two, SIGNATURE));
    CHECK_INT(tell(event_of("update.dead", false), &again_at_ms), TOLD_DONE);
    CHECK_STR(receiver_header(&receiver, 1, "webhook-signature"), SIGNATURE);
    end();
}

/* P8 */
TEST(webhook_that_does_not_answer_2xx_is_tried_again_when_it_wishes)
{
    static const struct {
        const char *answer;
        int64_t again_after_ms; /* 0 = no wish */
    } cases[] = {
        {"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", 0},
        {"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", 0},
        {"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n", 0},
        {"HTTP/1.1 408 No\r\ncontent-length: 0\r\n\r\n", 0},
        {"HTTP/1.1 301 No\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", 0},
        {"HTTP/1.1 307 No\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", 0},
        {"HTTP/1.1 500 No\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n", 120000},
        {"HTTP/1.1 502 No\r\nretry-after: Thu, 25 Feb 2021 15:12:10 GMT\r\ncontent-length: "
         "0\r\n\r\n",
         600000},
        {"HTTP/1.1 413 No\r\nretry-after: 999999\r\ncontent-length: 0\r\n\r\n", 3600000},
        {NULL, 0}, /* the connection breaks off */
    };
    begin();
    settings.webhook_allow_private = true;
    open_to("http");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t again_at_ms = -1;
        receiver_answer(&receiver, cases[i].answer);
        CHECK_INT(tell(event_of("update.delivered", false), &again_at_ms), TOLD_AGAIN);
        CHECK_INT(again_at_ms, cases[i].again_after_ms ? AT_S * 1000 + cases[i].again_after_ms : 0);
    }
    CHECK_INT(receiver_count(&receiver), COUNT_OF(cases)); /* no redirect was followed */
    /* the event is logged once, each failure too, and no line holds the URL or a secret */
    int notice_count = 0, failure_count = 0;
    for (struct str rest = text_str(&lines); rest.len;) {
        struct str line = text_cut(&rest, '\n');
        CHECK(str_starts(line, STR("{\"at\":")));
        notice_count += memmem(line.s, line.len, "\"event\":\"notice\"", 16) != NULL;
        failure_count += memmem(line.s, line.len, "\"event\":\"webhook_failed\"", 24) != NULL;
    }
    CHECK_INT(notice_count, 1);
    CHECK_INT(failure_count, COUNT_OF(cases));
    CHECK_HAS_NOT(text_str(&lines), "sesame");
    CHECK_HAS_NOT(text_str(&lines), "whsec_");
    end();
}

TEST(webhook_that_asks_for_rest_gets_it_from_all_events)
{
    static const char *const answers[] = {
        "HTTP/1.1 429 No\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 No\r\nretry-after: 120\r\ncontent-length: 0\r\n\r\n"};
    int64_t again_at_ms;
    begin();
    settings.webhook_allow_private = true;
    open_to("http");
    for (int i = 0; i < 2; i++) {
        int64_t until_ms = clock_now_ms(&the_clock.clock) + 120000;
        struct event other = event_of("update.delivered", false);
        other.id = STR("another");
        receiver_answer(&receiver, answers[i]);
        CHECK_INT(tell(event_of("update.delivered", false), &again_at_ms), TOLD_AGAIN);
        CHECK_INT(again_at_ms, until_ms);
        clock_manual_advance(&the_clock, 119999);
        CHECK_INT(tell(other, &again_at_ms), TOLD_AGAIN);
        CHECK_INT(again_at_ms, until_ms);
        CHECK_INT(receiver_count(&receiver), 3 * i + 1);
        receiver_answer(&receiver, OK);
        CHECK_INT(tell(event_of("delivery.dead", true), &again_at_ms),
                  TOLD_DONE); /* not this one */
        clock_manual_advance(&the_clock, 1);
        CHECK_INT(tell(other, &again_at_ms), TOLD_DONE);
        CHECK_INT(receiver_count(&receiver), 3 * i + 3);
    }
    end();
}

/* P11 */
TEST(webhook_that_is_gone_is_off_until_the_next_start_and_that_is_said)
{
    int64_t again_at_ms;
    begin();
    settings.webhook_allow_private = true;
    open_to("http");
    receiver_answer(&receiver, "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n");
    receiver_answer(&receiver, OK);
    CHECK_INT(tell(event_of("update.delivered", false), &again_at_ms), TOLD_NEVER);
    CHECK_HAS(text_str(&lines), "\"level\":\"error\",\"event\":\"webhook_off\"");
    CHECK_INT(tell(event_of("update.delivered", false), &again_at_ms), TOLD_NEVER);
    CHECK_INT(receiver_count(&receiver), 1);
    CHECK_INT(tell(event_of("delivery.dead", true), &again_at_ms), TOLD_DONE); /* the other one */
    CHECK_INT(receiver_count(&receiver), 2);
    end();
}

/* P9 */
TEST(webhook_does_not_connect_to_an_address_that_is_not_public)
{
    static const char *const hosts[] = {"127.0.0.1",       "localhost",
                                        "127.1",           "2130706433",
                                        "0x7f000001",      "0x7f.1",
                                        "0177.0.0.1",      "017700000001",
                                        "0.0.0.0",         "0",
                                        "0300.0250.0.1",   "169.254.169.254",
                                        "2852039166",      "[::ffff:127.0.0.1]",
                                        "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]",
                                        "[::127.0.0.1]",   "[2002:7f00:1::]",
                                        "[::1]",           "[::]"};
    int64_t again_at_ms;
    begin();
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        lines.len = 0;
        settings.webhook_operator = arena_printf(&arena, "https://%s:%d/", hosts[i], receiver.port);
        CHECK_RC(notifier_webhook_open(&call, &world, &notifier), RC_OK);
        CHECK(!notifier->customers);
        CHECK_INT(tell(event_of("delivery.dead", true), &again_at_ms), TOLD_AGAIN);
        if (hosts[i][0] != '[') { /* this machine may have no IPv6 at all */
            CHECK_HAS(text_str(&lines), "the address is not allowed");
        }
        notifier_webhook_close(notifier);
    }
    CHECK_INT(receiver_count(&receiver), 0);
    notifier = NULL;
    end();
}

TEST(webhook_settings_that_break_a_rule_stop_the_start)
{
    static const struct {
        const char *url;
        bool allow_private;
        const char *words;
    } bad[] = {
        {"http://example.com/", false, "https://"},
        {"ftp://example.com/", true, "https://"},
        {"example.com", true, "https://"},
        {"https://", true, "https://"},
        {"https://exa mple.com/", true, "no URL"},
        {"https://user:pass@example.com/", true, "user or password"},
        {"https://user@example.com/", true, "user or password"},
        {"https://example.com/#top", true, "fragment"},
        {"https://example.com:99999/", true, "no URL"},
    };
    begin();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        call.why[0] = '\0';
        settings.webhook_allow_private = bad[i].allow_private;
        settings.webhook_customer = str_of(bad[i].url);
        CHECK_RC(notifier_webhook_open(&call, &world, &notifier), RC_INVALID);
        CHECK_HAS(str_of(call.why), "webhook_customer");
        CHECK_HAS(str_of(call.why), bad[i].words);
        CHECK_HAS_NOT(str_of(call.why), "pass@");
    }
    static const char *const secrets[] = {"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_",
                                          "whsec_!!!!", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY="};
    settings.webhook_customer = STR("https://example.com/");
    for (size_t i = 0; i < COUNT_OF(secrets); i++) {
        call.why[0] = '\0';
        setenv("HOURBELL_SECRET_WEBHOOK__CUSTOMER", secrets[i], 1);
        CHECK_RC(notifier_webhook_open(&call, &world, &notifier), RC_INVALID);
        CHECK_HAS(str_of(call.why), "webhook/customer");
        CHECK_HAS_NOT(str_of(call.why), "MfKQ");
        CHECK_HAS_NOT(str_of(call.why), "AAEC");
    }
    CHECK(notifier == NULL);
    end();
}

/* P8 */
TEST(webhook_without_a_url_tells_the_log)
{
    int64_t again_at_ms;
    begin();
    CHECK_RC(notifier_webhook_open(&call, &world, &notifier), RC_OK);
    CHECK(!notifier->customers);
    CHECK_INT(tell(event_of("downstream.stopped", true), &again_at_ms), TOLD_DONE);
    CHECK_HAS(text_str(&lines), "\"level\":\"warn\",\"event\":\"notice\",\"type\":"
                                "\"downstream.stopped\",\"event_id\":\"" EVENT_ID "\"");
    CHECK_HAS(text_str(&lines), "\"body\":\"{\\\"test\\\": 2432232314}\"");
    struct event other = event_of("update.delivered", false);
    other.id = STR("another");
    CHECK_INT(tell(other, &again_at_ms), TOLD_DONE);
    CHECK_HAS(text_str(&lines), "\"level\":\"info\",\"event\":\"notice\",\"type\":"
                                "\"update.delivered\",\"event_id\":\"another\",\"to\":\"acme\"");
    CHECK_INT(receiver_count(&receiver), 0);
    end();
}

/* --- several threads at once ---------------------------------------------------------------------------- */
static void *tell_many(void *context)
{
    struct arena own;
    int *told_count = context;
    arena_open(&own, 0);
    for (int i = 0; i < 20; i++) {
        struct call own_call = {.arena = &own};
        struct event event = event_of("update.delivered", false);
        int64_t again_at_ms = 0;
        *told_count += notifier_tell(notifier, &own_call, &event, &again_at_ms) == TOLD_DONE;
    }
    arena_close(&own);
    return NULL;
}

TEST(webhook_posts_from_several_threads)
{
    pthread_t threads[4];
    int told_counts[4] = {0};
    begin();
    settings.webhook_allow_private = true;
    open_to("http");
    receiver_answer(&receiver, OK);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, tell_many, &told_counts[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(told_counts[i], 20);
    }
    CHECK_INT(receiver_count(&receiver), 80);
    end();
}

TEST(notifier_log_is_done_with_its_line)
{
    struct notifier_log log;
    int64_t again_at_ms = 0;
    begin();
    notifier_log_open(&log);
    CHECK(!log.notifier.customers);
    notifier = &log.notifier;
    CHECK_INT(tell(event_of("run.report", true), &again_at_ms), TOLD_DONE);
    CHECK_HAS(text_str(&lines), "\"level\":\"info\",\"event\":\"notice\",\"type\":\"run.report\"");
    notifier = NULL;
    end();
}
