/* What no Runtime API of a test can ask for: an answer that is too large. The rest of the protocol: tests/e2e_lambda.py. */
#include "home/lambda_runtime.h"

#include "receiver.h"
#include "test.h"

TEST(answer_above_the_limit_becomes_an_error_and_is_not_sent)
{
    struct receiver receiver;
    struct arena arena;
    struct lambda_runtime *runtime = NULL;
    struct invocation invocation = {.id = STR("id-1")};
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    receiver_open(&receiver);
    receiver_answer(&receiver, "HTTP/1.1 202 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    CHECK_RC(
        lambda_runtime_open(&call, arena_printf(&arena, "127.0.0.1:%d", receiver.port), &runtime),
        RC_OK);
    char *large = arena_alloc(&arena, LAMBDA_ANSWER_MAX_BYTES + 1);
    memset(large, 'x', LAMBDA_ANSWER_MAX_BYTES + 1);
    CHECK_RC(lambda_runtime_answer(runtime, &call, &invocation,
                                   (struct str){large, LAMBDA_ANSWER_MAX_BYTES + 1}),
             RC_OK);
    CHECK_INT(receiver_count(&receiver), 1);
    CHECK_STR(receiver_line(&receiver, 0),
              "POST /2018-06-01/runtime/invocation/id-1/error HTTP/1.1");
    CHECK_STR(receiver_header(&receiver, 0, "Lambda-Runtime-Function-Error-Type"),
              "Function.ResponseSizeTooLarge");
    CHECK_HAS(receiver_body(&receiver, 0), "\"errorType\":\"Function.ResponseSizeTooLarge\"");
    lambda_runtime_close(runtime);
    receiver_close(&receiver);
    arena_close(&arena);
}

TEST(address_of_the_runtime_api_is_needed)
{
    struct arena arena;
    struct lambda_runtime *runtime = NULL;
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    CHECK_RC(lambda_runtime_open(&call, STR(""), &runtime), RC_INVALID);
    CHECK(call.why[0]);
    lambda_runtime_close(NULL);
    arena_close(&arena);
}
