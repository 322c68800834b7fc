/* Cursors: what is written can be read again for the same list, and nothing else can be read. */
#include "core/cursor.h"
#include "test.h"

struct bench {
    struct arena arena;
    struct call call;
};

static struct call *bench_open(struct bench *bench)
{
    *bench = (struct bench){0};
    arena_open(&bench->arena, 0);
    bench->call.arena = &bench->arena;
    return &bench->call;
}

TEST(a_cursor_gives_its_payload_back_for_its_own_list)
{
    struct bench bench;
    struct call *call = bench_open(&bench);
    char bytes[CURSOR_PAYLOAD_MAX_BYTES];
    for (size_t len = 0; len <= sizeof(bytes); len += len < 20 ? 1 : 37) {
        for (size_t i = 0; i < len; i++) {
            bytes[i] = (char)(i * 37 + len);
        }
        struct str payload = {bytes, len}, back = STR("unread");
        struct str cursor = cursor_write(call, STR("listDevices live acme"), payload);
        CHECK(cursor.len <= CURSOR_MAX_BYTES);
        for (size_t i = 0; i < cursor.len; i++) {
            CHECK(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                         cursor.s[i]) != NULL);
        }
        CHECK_RC(cursor_read(call, STR("listDevices live acme"), cursor, &back), RC_OK);
        CHECK_BYTES(back, payload);
    }
    arena_close(&bench.arena);
}

/* P10 */
TEST(a_cursor_of_another_list_is_refused)
{
    struct bench bench;
    struct call *call = bench_open(&bench);
    struct str cursor = cursor_write(call, STR("listDevices live acme"), STR("live/pump-7")), back;
    CHECK_RC(cursor_read(call, STR("listDevices live globex"), cursor, &back), RC_INVALID);
    CHECK_RC(cursor_read(call, STR("listDevices live acm"), cursor, &back), RC_INVALID);
    CHECK_INT(call->problem, PROBLEM_NONE);
    arena_close(&bench.arena);
}

/* P10 */
TEST(a_cursor_that_was_changed_in_any_place_is_refused)
{
    struct bench bench;
    struct call *call = bench_open(&bench);
    struct str cursor = cursor_write(call, STR("scope"), STR("live/pump-7")), back;
    char text[128];
    for (size_t i = 0; i < cursor.len; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(text, cursor.s, cursor.len);
            text[i] = (char)c;
            enum rc expected = text[i] == cursor.s[i] ? RC_OK : RC_INVALID;
            CHECK_RC(cursor_read(call, STR("scope"), (struct str){text, cursor.len}, &back),
                     expected);
        }
        CHECK_RC(cursor_read(call, STR("scope"), str_head(cursor, i), &back), RC_INVALID);
    }
    memcpy(text, cursor.s, cursor.len);
    memcpy(text + cursor.len, "==", 2);
    CHECK_RC(cursor_read(call, STR("scope"), (struct str){text, cursor.len + 1}, &back),
             RC_INVALID);
    CHECK_RC(cursor_read(call, STR("scope"), (struct str){text, cursor.len + 2}, &back),
             RC_INVALID);
    CHECK_RC(cursor_read(call, STR("scope"), STR(""), &back), RC_INVALID);
    arena_close(&bench.arena);
}
