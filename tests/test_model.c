/* A call says what is wrong: the code, the words, the members; and whom to wake. P10 */
#include "base/text.h"
#include "core/model.h"
#include "test.h"

static struct arena arena;
static struct call call;

static void begin(void)
{
    arena_open(&arena, 0);
    call = (struct call){.arena = &arena};
}

TEST(model_each_problem_has_its_row)
{
    for (int i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++) {
        const struct problem_info *info = problem_info((enum problem)i);
        CHECK(info->status >= 400 && info->status <= 503);
        CHECK(info->title[0] && info->exit_code != EXIT_DONE);
        CHECK_INT(problem_of(str_of(info->code)), i);
    }
    CHECK_INT(problem_of(STR("nothing")), PROBLEM_NONE);
    CHECK_INT(problem_of(STR("")), PROBLEM_NONE);
    CHECK_INT(problem_info(PROBLEM_device_exists)->status, 409);
}

TEST(model_a_refusal_sets_code_words_and_member)
{
    begin();
    CHECK_RC(call_refuse(&call, PROBLEM_not_found, "no %s", "device"), RC_INVALID);
    CHECK_INT(call.problem, PROBLEM_not_found);
    CHECK_STR(str_of(call.why), "no device");
    CHECK_INT(call.item_count, 0);
    char pointer[] = "/a";
    CHECK_RC(call_refuse_at(&call, str_of(pointer), PROBLEM_invalid_member, "bad"), RC_INVALID);
    pointer[1] = 'z'; /* the call has its own copy */
    CHECK_INT(call.problem, PROBLEM_invalid_member);
    CHECK_STR(call.items[0].pointer, "/a");
    CHECK_STR(call.items[0].detail, "bad");
    CHECK_INT(call.items[0].code, PROBLEM_invalid_member);
    arena_close(&arena);
}

TEST(model_the_first_named_member_decides_the_code)
{
    begin();
    for (int i = 0; i < PROBLEMS_MAX + 5; i++) {
        call_name(&call, arena_printf(&arena, "/%d", i),
                  i ? PROBLEM_missing_member : PROBLEM_unknown_member, "member %d", i);
    }
    CHECK_INT(call.problem, PROBLEM_unknown_member);
    CHECK_STR(str_of(call.why), "member 0");
    CHECK_INT(call.item_count, PROBLEMS_MAX);
    CHECK_STR(call.items[PROBLEMS_MAX - 1].detail, "member 15");
    arena_close(&arena);
}

TEST(model_words_are_always_utf8_and_fit)
{
    begin();
    char big[1000];
    memset(big, 'a', sizeof big);
    for (size_t shift = 0; shift < 4; shift++) { /* the cap falls into a character */
        memset(big, 'a', 250);
        for (size_t at = 240 + shift; at + 3 < sizeof big; at += 3) {
            memcpy(big + at, "\xe2\x82\xac", 3);
        }
        CHECK_RC(call_refuse(&call, PROBLEM_internal, "%.*s", 900, big), RC_INVALID);
        CHECK(strlen(call.why) < sizeof call.why && strlen(call.why) > 250);
        CHECK(text_is_utf8(str_of(call.why)));
    }
    CHECK_RC(call_refuse(&call, PROBLEM_internal,
                         "a\xff\xc3"
                         "b"),
             RC_INVALID);
    CHECK_STR(str_of(call.why), "a??b");
    CHECK_RC(call_refuse(&call, PROBLEM_internal, "x: %s", call.why), RC_INVALID);
    CHECK_STR(str_of(call.why), "x: a??b");
    arena_close(&arena);
}

TEST(model_each_layer_may_prefix_the_words)
{
    begin();
    CHECK_RC(call_why(&call, RC_BROKEN, "disk %d", 3), RC_BROKEN);
    CHECK_STR(str_of(call.why), "disk 3");
    CHECK_RC(call_why(&call, RC_BROKEN, "commit"), RC_BROKEN);
    CHECK_STR(str_of(call.why), "commit: disk 3");
    for (int i = 0; i < 100; i++) {
        CHECK_RC(call_why(&call, RC_BUSY, "layer"), RC_BUSY);
    }
    CHECK_INT(strlen(call.why), sizeof call.why - 1);
    arena_close(&arena);
}

TEST(model_a_device_is_woken_once_and_at_the_earliest)
{
    begin();
    call_wake(&call, STR("live/a"), 50);
    call_wake(&call, STR("live/b"), 70);
    call_wake(&call, STR("live/a"), 20);
    call_wake(&call, STR("live/a"), 30);
    CHECK_INT(call.wake_count, 2);
    CHECK_INT(call.wakes[0].at_ms, 20);
    for (int i = 0; i < WAKES_MAX + 10; i++) {
        call_wake(&call, arena_printf(&arena, "live/%d", i), 0);
    }
    CHECK_INT(call.wake_count, WAKES_MAX);
    arena_close(&arena);
}
