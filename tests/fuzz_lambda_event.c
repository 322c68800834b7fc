/* Does any event break the readers of the AWS home? The first byte says which; what is taken is written back where there is a way,
 * and must be JSON again. */
#include "base/text.h"
#include "home/lambda_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_json(struct arena *arena, struct str text)
{
    yyjson_val *root = NULL;
    enum rc rc = json_read(arena, text, 16, &root, NULL);
    assert(rc == RC_OK);
    (void)rc;
}

static void proxy(struct call *call, struct str text)
{
    struct proxy_event event;
    if (event_proxy_read(call, text, &event) != RC_OK) {
        return;
    }
    const struct request *request = &event.request;
    assert(request->target.len && request->target.s[0] == '/');
    for (size_t i = 0; i < request->target.len;
         i++) { /* whatever the gateway decoded is encoded again */
        unsigned char c = (unsigned char)request->target.s[i];
        assert(c > ' ' && c < 0x7f);
    }
    struct response response = {.status = 200, .body = text_utf8(call->arena, request->body)};
    must_be_json(call->arena, event_proxy_answer(call, &response, STR_NONE));
}

static void authorizer(struct call *call, struct str text)
{
    struct authorizer_event event;
    struct principal principal = {.id = STR("k"), .realm = STR("live"), .role = ROLE_OPERATOR};
    if (event_authorizer_read(call, text, &event) == RC_OK) {
        must_be_json(call->arena, event_authorizer_answer(call, &event, &principal, STR("p")));
        must_be_json(call->arena, event_authorizer_answer(call, &event, NULL, STR_NONE));
    }
}

static void sqs(struct call *call, struct str text)
{
    struct sqs_event event;
    bool failed[EVENT_RECORDS_MAX] = {true, false, true};
    if (event_sqs_read(call, text, &event) == RC_OK) {
        assert(event.count >= 1 && event.count <= EVENT_RECORDS_MAX);
        must_be_json(call->arena, event_sqs_answer(call, &event, failed));
    }
}

static void others(struct call *call, struct str text)
{
    int64_t hour_at_ms = 0;
    struct plan_event plan;
    struct report_event report;
    if (event_tick_read(call, text, &hour_at_ms) == RC_OK) {
        assert(hour_at_ms % 3600000 == 0 && event_run_name(call->arena, hour_at_ms).len == 17);
        must_be_json(call->arena, event_run_input(call, hour_at_ms));
    }
    if (event_plan_read(call, text, &plan) == RC_OK) {
        assert(plan.shard >= SHARD_ALL && plan.shard < SHARD_COUNT && plan.span_s > 0);
    }
    if (event_report_read(call, text, &report) == RC_OK) {
        assert(report.woken >= 0 && report.more >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct call *, struct str) = {proxy, authorizer, sqs, others};
    struct arena arena;
    arena_open(&arena, 0);
    struct call call = {.arena = &arena, .id = STR("id"), .now_ms = 1};
    if (size > 0) {
        readers[data[0] % COUNT_OF(readers)](&call, (struct str){(const char *)data + 1, size - 1});
    }
    arena_close(&arena);
    return 0;
}
