/* JSON: what the reader refuses and where it says so; that its time is linear; building and writing. */
#include <time.h>

#include "base/json.h"
#include "base/text.h"
#include "test.h"

static struct arena arena;

static yyjson_val *read_well(struct str text, int max_depth)
{
    yyjson_val *root = NULL;
    struct json_fault fault;
    if (json_read(&arena, text, max_depth, &root, &fault) != RC_OK) {
        FAIL(STR_FMT ": %s at " STR_FMT, STR_ARG(text), fault.why, STR_ARG(fault.pointer));
    }
    return root;
}

static void refused(struct str text, int max_depth, int kind, const char *pointer)
{
    yyjson_val *root = NULL;
    struct json_fault fault;
    if (json_read(&arena, text, max_depth, &root, &fault) != RC_INVALID) {
        FAIL("taken: " STR_FMT, STR_ARG(text));
    }
    CHECK(root == NULL);
    CHECK_INT(fault.kind, kind);
    CHECK_STR(fault.pointer, pointer);
    CHECK(fault.why[0]);
    CHECK_RC(json_read(&arena, text, max_depth, &root, NULL), RC_INVALID);
}

TEST(json_numbers_and_members_stay_as_written)
{
    static const char *const same[] = {
        "1.0", "1e400",       "-0",   "0.10", "123456789012345678901234567890",     "1E+2", "[]",
        "{}",  "\"\\u0000\"", "null", "true", "{\"b\":1.50,\"a\":[1,{}],\"\":\"\"}"};
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        CHECK_STR(json_write(&arena, read_well(str_of(same[i]), 8)), same[i]);
    }
    CHECK_STR(json_write(&arena, read_well(STR(" { \"a\" : [ 1 , \"\\u00e4\\/\" ] }\n"), 8)),
              "{\"a\":[1,\"\xc3\xa4/\"]}");
    arena_close(&arena);
}

TEST(json_what_is_no_json_is_refused)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{'a':1}",
                                      "[1]x",
                                      "[1] [2]",
                                      "01",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "-",
                                      "NaN",
                                      "Infinity",
                                      "1e",
                                      "\"\\x\"",
                                      "\"\n\"",
                                      "\"\t\"",
                                      "/**/1",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\xff\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xc0\x80\"",
                                      "\xef\xbb\xbf{}",
                                      "\"abc",
                                      "tru",
                                      "nul",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "[1 2]",
                                      "\"\\u12\""};
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        refused(str_of(bad[i]), 8, JSON_SYNTAX, "");
    }
    refused(STR("{}\0"), 8, JSON_SYNTAX, "");
    refused(STR("\"\0\""), 8, JSON_SYNTAX, "");
    refused(STR_NONE, 8, JSON_SYNTAX, "");
    arena_close(&arena);
}

TEST(json_a_member_twice_is_refused_where_it_stands)
{
    arena_open(&arena, 0);
    refused(STR("{\"a\":1,\"a\":1}"), 8, JSON_DUPLICATE, "/a");
    refused(STR("{\"a\":1,\"\\u0061\":1}"), 8, JSON_DUPLICATE, "/a");
    refused(STR("{\"x\":{\"\":1,\"\":2}}"), 8, JSON_DUPLICATE, "/x/");
    refused(STR("[0,{\"q\":[{\"a/b~\":1,\"c\":2,\"a/b~\":3}]}]"), 8, JSON_DUPLICATE,
            "/1/q/0/a~1b~0");
    (void)read_well(STR("{\"a\":1,\"A\":1,\"aa\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}"), 8);
    for (int count = 2; count < 40; count++) { /* on both sides of the change to a table */
        for (int twice = 0; twice < count - 1; twice++) {
            struct text text;
            text_open(&text, &arena, 10000);
            text_add_char(&text, '{');
            for (int i = 0; i < count; i++) {
                text_printf(&text, "%s\"m%d\":0", i ? "," : "", i == count - 1 ? twice : i);
            }
            text_add_char(&text, '}');
            refused(text_str(&text), 8, JSON_DUPLICATE, arena_printf(&arena, "/m%d", twice).s);
        }
    }
    arena_close(&arena);
}

TEST(json_depth_is_counted_from_the_root)
{
    arena_open(&arena, 0);
    (void)read_well(STR("1"), 0);
    refused(STR("{}"), 0, JSON_TOO_DEEP, "");
    (void)read_well(STR("{\"a\":1}"), 1);
    refused(STR("{\"a\":{}}"), 1, JSON_TOO_DEEP, "/a");
    refused(STR("{\"a\":1,\"b\":[0,[]]}"), 2, JSON_TOO_DEEP, "/b/1");
    (void)read_well(STR("[[[[[[[[1]]]]]]]]"), 8);
    refused(STR("[[[[[[[[[1]]]]]]]]]"), 8, JSON_TOO_DEEP, "/0/0/0/0/0/0/0/0");
    arena_close(&arena);
}

TEST(json_depth_can_not_hurt_the_stack)
{
    arena_open(&arena, 0);
    size_t depth = 100000;
    char *deep = arena_alloc(&arena, depth * 2);
    memset(deep, '[', depth);
    memset(deep + depth, ']', depth);
    refused((struct str){deep, depth * 2}, 8, JSON_TOO_DEEP, "/0/0/0/0/0/0/0/0");
    refused((struct str){deep, depth}, 8, JSON_SYNTAX, "");
    arena_close(&arena);
}

static int64_t cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Time to read an object of count members. */
static int64_t reading_us(int count)
{
    struct text text;
    arena_open(&arena, 0);
    text_open(&text, &arena, (size_t)count * 20 + 10);
    for (int i = 0; i < count; i++) {
        text_printf(&text, "%c\"%d\":0", i ? ',' : '{', i);
    }
    text_add_char(&text, '}');
    int64_t before_us = cpu_us();
    (void)read_well(text_str(&text), 1);
    int64_t took_us = cpu_us() - before_us;
    arena_close(&arena);
    return took_us;
}

TEST(json_sixteen_times_the_members_take_far_less_than_the_square_of_the_time)
{
    int64_t few_us = INT64_MAX, many_us = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        few_us = min_i64(few_us, reading_us(4000));
        many_us = min_i64(many_us, reading_us(64000));
    }
    CHECK(many_us < few_us * 100); /* the square would be 256 */
}

TEST(json_members_come_typed_or_as_the_fallback)
{
    arena_open(&arena, 0);
    yyjson_val *root = read_well(
        STR("{\"s\":\"x\",\"n\":12,\"m\":-3,\"f\":1.5,\"b\":true,\"z\":null,\"e\":1e3}"), 1);
    CHECK_STR(json_member_str(root, "s", STR("y")), "x");
    CHECK_STR(json_member_str(root, "n", STR("y")), "y");
    CHECK_STR(json_member_str(root, "nothing", STR("y")), "y");
    CHECK_INT(json_member_i64(root, "n", 7), 12);
    CHECK_INT(json_member_i64(root, "m", 7), -3);
    CHECK_INT(json_member_i64(root, "f", 7), 7);
    CHECK_INT(json_member_i64(root, "e", 7), 7);
    CHECK_INT(json_member_i64(root, "s", 7), 7);
    CHECK_INT(json_member_i64(root, "nothing", 7), 7);
    CHECK(json_member_bool(root, "b", false));
    CHECK(json_member_bool(root, "s", true));
    CHECK(json_member(root, "z") && !json_member(root, "y"));
    CHECK_STR(json_raw(json_member(root, "f")), "1.5");
    CHECK_INT(json_raw(json_member(root, "s")).len, 0);
    CHECK_INT(json_str(NULL).len, 0);
    CHECK(json_member(NULL, "a") == NULL);
    arena_close(&arena);
}

TEST(json_is_built_in_the_order_of_adding)
{
    arena_open(&arena, 0);
    yyjson_mut_doc *doc = json_doc(&arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "s", STR("a\"\n\xc3\xa4"));
    json_add_str(doc, root, "empty", STR_NONE);
    json_add_i64(doc, root, "i", INT64_MIN);
    json_add_bool(doc, root, "b", true);
    json_add_null(doc, root, "z");
    json_add_time(doc, root, "at", 1795345199800);
    json_add_time(doc, root, "never", 0);
    json_add_raw(doc, root, "raw", STR("{\"x\":1.0}"));
    json_add_i64(doc, json_add_obj(doc, root, "o"), "n", 1);
    yyjson_mut_arr_append(json_add_arr(doc, root, "a"), yyjson_mut_true(doc));
    CHECK_STR(json_write_mut(&arena, doc),
              "{\"s\":\"a\\\"\\n\xc3\xa4\",\"empty\":\"\",\"i\":-9223372036854775808,\"b\":true,"
              "\"z\":null,\"at\":\"2026-11-22T10:59:59.800Z\",\"never\":null,\"raw\":{\"x\":1.0},"
              "\"o\":{\"n\":1},\"a\":[true]}");
    arena_close(&arena);
}

TEST(json_built_text_is_utf8_whatever_comes)
{
    arena_open(&arena, 0);
    yyjson_mut_doc *doc = json_doc(&arena);
    json_add_str(doc, yyjson_mut_doc_get_root(doc), "s", STR("a\xff"));
    CHECK_STR(json_write_mut(&arena, doc), "{\"s\":\"a\xef\xbf\xbd\"}");
    arena_close(&arena);
}

/* The pointers of a walk, a blank behind each; arrays are skipped if so wanted. */
static struct str walked(const char *json, int max_depth, bool skip_arrays)
{
    struct json_walk walk;
    struct text text;
    text_open(&text, &arena, 10000);
    json_walk_open(&walk, &arena, read_well(str_of(json), 8), max_depth);
    for (yyjson_val *value; (value = json_walk_next(&walk));) {
        text_add(&text, json_walk_pointer(&walk, STR("~")));
        text_printf(&text, "%s%s ", walk.is_too_deep ? "!" : "", walk.name ? "" : "-");
        if (skip_arrays && yyjson_is_arr(value)) {
            json_walk_skip(&walk);
        }
    }
    CHECK(json_walk_next(&walk) == NULL);
    return text_str(&text);
}

TEST(json_walk_meets_each_value_once_in_order)
{
    arena_open(&arena, 0);
    CHECK_STR(walked("1", 8, false), "~- ");
    CHECK_STR(walked("{}", 0, false), "~!- ");
    const char *json = "{\"a\":{\"b\":1,\"c\":{}},\"d\":[2,[3],{\"e\":4}],\"f\":5}";
    CHECK_STR(walked(json, 8, false),
              "~- ~/a ~/a/b ~/a/c ~/d ~/d/0- ~/d/1- ~/d/1/0- ~/d/2- ~/d/2/e ~/f ");
    CHECK_STR(walked(json, 8, true), "~- ~/a ~/a/b ~/a/c ~/d ~/f ");
    CHECK_STR(walked(json, 2, false), "~- ~/a ~/a/b ~/a/c! ~/d ~/d/0- ~/d/1!- ~/d/2!- ~/f ");
    arena_close(&arena);
}

TEST(json_pointer_escapes_its_tokens)
{
    arena_open(&arena, 0);
    struct str pointer = json_pointer(&arena, STR(""), STR("a/b"));
    CHECK_STR(json_pointer(&arena, pointer, STR("m~n")), "/a~1b/m~0n");
    CHECK_STR(json_pointer(&arena, pointer, STR("")), "/a~1b/");
    arena_close(&arena);
}

TEST(a_pointer_is_found_on_its_line)
{
    static const char text[] =
        "{\n \"a\": 1,\n \"b/c\": [\n  {\"d\":\n   true},\n  \"x\\ny\", 7],\n"
        " \"e\": {}}\n";
    static const struct {
        const char *pointer;
        int line;
    } cases[] = {{"", 2},          {"/a", 2},         {"/b~1c", 3},   {"/b~1c/0", 4},
                 {"/b~1c/0/d", 4}, {"/b~1c/1", 6},    {"/b~1c/2", 6}, {"/b~1c/9", 3},
                 {"/e", 7},        {"/e/missing", 7}, {"/missing", 2}};
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int line = json_line(&arena, str_of(text), str_of(cases[i].pointer));
        if (line != cases[i].line) {
            FAIL("%s: line %d", cases[i].pointer, line);
        }
    }
    CHECK_INT(json_line(&arena, STR("{\n\n\"a\":}"), STR("")), 3); /* where it breaks */
    CHECK_INT(json_line(&arena, STR(""), STR("/a")), 1);
    CHECK_INT(json_line(&arena, STR("[true]"), STR("/0")), 1);
    arena_close(&arena);
}
