/* Text: the buffer and its cap, and the conversions with what they refuse. */
#include "base/table.h"
#include "base/text.h"
#include "test.h"

static struct arena arena; /* one test, one process */

TEST(text_grows_up_to_its_cap_and_then_stays)
{
    struct text text;
    arena_open(&arena, 0);
    text_open(&text, &arena, 300);
    for (int i = 0; i < 150; i++) {
        text_add(&text, STR("ab"));
    }
    CHECK(!text.full);
    CHECK_INT(text_str(&text).len, 300);
    text_add_char(&text, 'c');
    CHECK(text.full);
    CHECK_INT(text_str(&text).len, 300);
    text_add(&text, STR_NONE);
    CHECK_INT(text_str(&text).len, 300);
    arena_close(&arena);
}

TEST(text_nothing_follows_a_piece_that_did_not_fit)
{
    struct text text;
    arena_open(&arena, 0);
    text_open(&text, &arena, 5);
    text_add(&text, STR("abc"));
    text_add(&text, STR("def"));
    text_add(&text, STR("g"));
    text_printf(&text, "%d", 1);
    CHECK(text.full);
    CHECK_STR(text_str(&text), "abc");
    arena_close(&arena);
}

TEST(text_printf_takes_short_and_long)
{
    struct text text;
    arena_open(&arena, 0);
    text_open(&text, &arena, 10000);
    text_printf(&text, "%s-%d;", "a", 7);
    text_printf(&text, "%0255d;", 1);
    text_printf(&text, "%0256d;", 1);
    text_printf(&text, "%03000d;", 1);
    CHECK(str_starts(text_str(&text), STR("a-7;000")));
    CHECK_INT(text_str(&text).len, 4 + 256 + 257 + 3001);
    arena_close(&arena);
}

static struct str json_of(struct str value)
{
    struct text text;
    text_open(&text, &arena, 10000);
    text_add_json(&text, value);
    return text_str(&text);
}

TEST(text_as_json_escapes_controls_and_replaces_what_is_not_utf8)
{
    arena_open(&arena, 0);
    CHECK_STR(json_of(STR("")), "\"\"");
    CHECK_STR(json_of(STR("a\"b\\c/")), "\"a\\\"b\\\\c/\"");
    CHECK_STR(json_of(STR("\b\t\n\v\f\r")), "\"\\b\\t\\n\\u000b\\f\\r\"");
    CHECK_STR(json_of(STR("\0\x1f\x7f")), "\"\\u0000\\u001f\\u007f\"");
    CHECK_STR(json_of(STR("\xc2\x85\xc2\xa0")), "\"\\u0085\xc2\xa0\"");
    CHECK_STR(json_of(STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80")),
              "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    CHECK_STR(json_of(STR("a\xff\xc3")), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
    arena_close(&arena);
}

static struct str shown(struct str text, const char *keep)
{
    struct text out;
    char room[TEXT_SHOWN_BYTES];
    text_open(&out, &arena, 10000);
    while (text.len) {
        text_add(&out, text_cut_shown(&text, keep, room));
    }
    return text_str(&out);
}

/* P9: whoever writes a reason or a name does not write on the terminal of who reads it */
TEST(text_that_is_shown_holds_nothing_that_a_terminal_obeys)
{
    arena_open(&arena, 0);
    CHECK_STR(shown(STR("a \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0"), ""),
              "a \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xc2\xa0");
    CHECK_STR(shown(STR("\0\t\n\x1b[31m\x7f"), ""), "\\u0000\\u0009\\u000a\\u001b[31m\\u007f");
    CHECK_STR(shown(STR("a\tb\nc\0"), "\t\n"), "a\tb\nc\\u0000");
    CHECK_STR(shown(STR("\xc2\x80\xc2\x9b\xc2\x9f"), "\t\n"), "\\u0080\\u009b\\u009f");
    CHECK_STR(shown(STR("\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\xa8\xe2\x80\xae"), ""),
              "\\u061c\\u200e\\u200f\\u2028\\u202e");
    CHECK_STR(shown(STR("\xe2\x81\xa6\xe2\x81\xa9x\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xaa"), ""),
              "\\u2066\\u2069x\xe2\x80\x8d\xe2\x80\xaf\xe2\x81\xaa");
    CHECK_STR(shown(STR("\x9b\xc2"), ""), "\xef\xbf\xbd\xef\xbf\xbd");
    arena_close(&arena);
}

TEST(text_number_takes_digits_only)
{
    int64_t number = -1;
    CHECK_RC(text_to_i64(STR("0"), &number), RC_OK);
    CHECK_INT(number, 0);
    CHECK_RC(text_to_i64(STR("007"), &number), RC_OK);
    CHECK_INT(number, 7);
    CHECK_RC(text_to_i64(STR("9223372036854775807"), &number), RC_OK);
    CHECK_INT(number, INT64_MAX);
    static const char *const bad[] = {
        "", " 1", "1 ", "+1", "-1", "9223372036854775808", "1e3", "0x1", "99999999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        number = 5;
        CHECK_RC(text_to_i64(str_of(bad[i]), &number), RC_INVALID);
        CHECK_INT(number, 5);
    }
}

TEST(text_hex_goes_there_and_back)
{
    struct str bytes;
    arena_open(&arena, 0);
    CHECK_STR(text_hex(&arena, STR("\0\x7f\xff")), "007fff");
    CHECK_RC(text_unhex(&arena, STR("007fFF"), &bytes), RC_OK);
    CHECK_BYTES(bytes, STR("\0\x7f\xff"));
    CHECK_RC(text_unhex(&arena, STR(""), &bytes), RC_OK);
    CHECK_INT(bytes.len, 0);
    CHECK_RC(text_unhex(&arena, STR("0"), &bytes), RC_INVALID);
    CHECK_RC(text_unhex(&arena, STR("0g"), &bytes), RC_INVALID);
    arena_close(&arena);
}

TEST(text_base64_knows_the_vectors_of_its_rfc)
{
    /* RFC 4648 section 10 */
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xfe", "//4="}};
    struct str bytes;
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        CHECK_STR(text_base64(&arena, str_of(pairs[i][0])), pairs[i][1]);
        CHECK_RC(text_unbase64(&arena, str_of(pairs[i][1]), &bytes), RC_OK);
        CHECK_STR(bytes, pairs[i][0]);
    }
    arena_close(&arena);
}

TEST(text_base64_has_one_spelling)
{
    static const char *const bad[] = {"Zg",   "Zg=", "Zg===",  "Zh==", "Zm9=", "Z===",
                                      "====", "=",   "Zm9v\n", "Zm 9", "Zm_-", "Zg==Zg=="};
    struct str bytes;
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(text_unbase64(&arena, str_of(bad[i]), &bytes), RC_INVALID);
    }
    CHECK_RC(text_unbase64(&arena, STR("Zm9\0"), &bytes), RC_INVALID);
    arena_close(&arena);
}

TEST(text_percent_goes_there_and_back)
{
    struct str text;
    arena_open(&arena, 0);
    CHECK_STR(text_percent(&arena, STR("Pump 7/\xc3\xa4~-._%")), "Pump%207%2F%C3%A4~-._%25");
    CHECK_RC(text_unpercent(&arena, STR("Pump%207%2f%c3%A4+x"), false, &text), RC_OK);
    CHECK_STR(text, "Pump 7/\xc3\xa4+x");
    CHECK_RC(text_unpercent(&arena, STR("a+b"), true, &text), RC_OK);
    CHECK_STR(text, "a b");
    CHECK_RC(text_unpercent(&arena, STR("%41"), true, &text), RC_OK);
    CHECK_STR(text, "A");
    CHECK_RC(text_unpercent(&arena, STR_NONE, true, &text), RC_OK);
    CHECK_INT(text.len, 0);
    static const char *const bad[] = {"%", "%4", "%4g", "%%41", "a%00b", "x%"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(text_unpercent(&arena, str_of(bad[i]), false, &text), RC_INVALID);
    }
    CHECK_RC(text_unpercent(&arena, STR("a\0b"), false, &text), RC_INVALID);
    arena_close(&arena);
}

TEST(text_utf8_is_that_of_rfc_3629)
{
    static const struct {
        struct str text;
        bool good;
    } cases[] = {
        {{NULL, 0}, true},
        {{"plain ascii, more than eight", 28}, true},
        {{"\xc2\x80\xdf\xbf", 4}, true},
        {{"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12}, true},
        {{"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8}, true},
        {{"a\0b", 3}, true},
        {{"\x80", 1}, false},
        {{"\xc0\x80", 2}, false},         /* overlong */
        {{"\xc1\xbf", 2}, false},         /* overlong */
        {{"\xe0\x9f\xbf", 3}, false},     /* overlong */
        {{"\xf0\x8f\xbf\xbf", 4}, false}, /* overlong */
        {{"\xed\xa0\x80", 3}, false},     /* surrogate */
        {{"\xf4\x90\x80\x80", 4}, false}, /* above U+10FFFF */
        {{"\xf5\x80\x80\x80", 4}, false},
        {{"\xff", 1}, false},
        {{"12345678\xc3", 9}, false}, /* cut */
        {{"\xe2\x82", 2}, false},
        {{"\xe2\x28\xa1", 3}, false},
        {{"\xf0\x9f\x98\x28", 4}, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (text_is_utf8(cases[i].text) != cases[i].good) {
            FAIL("case %zu", i);
        }
    }
}

TEST(text_bad_bytes_become_the_replacement_character)
{
    arena_open(&arena, 0);
    struct str good = STR("a\xc3\xa4");
    CHECK(text_utf8(&arena, good).s == good.s);
    CHECK_STR(text_utf8(&arena, STR("a\xff\xc3\xa4\xc3")), "a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd");
    CHECK_INT(text_utf8(&arena, STR_NONE).len, 0);
    arena_close(&arena);
}

TEST(text_small_things)
{
    arena_open(&arena, 0);
    CHECK_STR(text_trim(STR(" \t a b\t ")), "a b");
    CHECK_STR(text_trim(STR("  ")), "");
    CHECK_STR(text_trim(STR_NONE), "");
    CHECK_STR(text_lower(&arena, STR("AbZ\xc3\x84@[")), "abz\xc3\x84@[");
    CHECK(text_equal_nocase(STR("Content-Type"), STR("content-tYPE")));
    CHECK(!text_equal_nocase(STR("a"), STR("ab")));
    CHECK(!text_equal_nocase(STR("@"), STR("`")));
    struct str rest = STR("a,,b");
    CHECK_STR(text_cut(&rest, ','), "a");
    CHECK_STR(text_cut(&rest, ','), "");
    CHECK_STR(text_cut(&rest, ','), "b");
    CHECK_STR(rest, "");
    CHECK_STR(text_cut(&rest, ','), "");
    arena_close(&arena);
}

TEST(table_finds_each_of_many_names)
{
    struct table table;
    uint32_t number = 0;
    arena_open(&arena, 0);
    table_open(&table, &arena);
    CHECK(!table_find(&table, STR("x"), &number));
    for (uint32_t i = 0; i < 5000; i++) {
        CHECK(!table_put(&table, arena_printf(&arena, "%u", i), i));
    }
    CHECK(table_put(&table, STR("17"), 1717));
    for (uint32_t i = 0; i < 5000; i++) {
        CHECK(table_find(&table, arena_printf(&arena, "%u", i), &number));
        CHECK_INT(number, i == 17 ? 1717 : i);
    }
    CHECK(!table_find(&table, STR("5000"), &number));
    CHECK(!table_find(&table, STR_NONE, &number));
    arena_close(&arena);
}
