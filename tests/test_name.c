/* P5 A name is one device: the rule on characters, and the key by which names are the same. */
#include "base/text.h"
#include "core/name.h"
#include "test.h"

#include <utf8proc.h>

static struct arena arena;
static struct call call;

static void begin(void)
{
    arena_open(&arena, (size_t)1 << 30);
    call = (struct call){.arena = &arena};
}

static struct str key_of(const char *name)
{
    struct str checked, key;
    struct call fresh = {.arena = &arena};
    if (name_check(&fresh, str_of(name), STR("/device_name"), &checked) != RC_OK ||
        name_key(&fresh, checked, STR("/device_name"), &key) != RC_OK) {
        FAIL("%s: %s", name, fresh.why);
    }
    return key;
}

/* P5 */
TEST(name_spellings_of_one_device_have_one_key)
{
    static const struct {
        const char *key, *names[6];
    } cases[] = {
        {"pump-7", {"Pump-7", "pump-7", "PUMP-7", "  pUmP-7\t"}},
        {"i\xcc\x87stanbul", {"\xc4\xb0stanbul", "i\xcc\x87stanbul", "I\xcc\x87STANBUL"}},
        {"strasse",
         {"Stra\xc3\x9f"
          "e",
          "STRASSE",
          "stra\xe1\xba\x9e"
          "e"}},
        {"fisch", {"\xef\xac\x81sch", "FISCH", "Fisch"}},
        {"\xcf\x83\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x83",
         {"\xce\xa3\xce\xaf\xcf\x83\xcf\x85\xcf\x86\xce\xbf\xcf\x82",
          "\xce\xa3\xce\x8a\xce\xa3\xce\xa5\xce\xa6\xce\x9f\xce\xa3"}},
        {"\xc3\xa9t\xc3\xa9", {"\xc3\x89t\xc3\xa9", "E\xcc\x81TE\xcc\x81", "\xc3\xa9te\xcc\x81"}},
        {"abc123",
         {"\xef\xbc\xa1\xef\xbc\xa2\xef\xbd\x83\xef\xbc\x91\xef\xbc\x92\xef\xbc\x93", "ABC123"}},
        {"k\xc3\xa5", {"\xe2\x84\xaa\xe2\x84\xab", "K\xc3\x85", "kA\xcc\x8a"}},
        {"\xe1\xbb\x87",
         {"\xe1\xbb\x86", "E\xcc\xa3\xcc\x82", "e\xcc\x82\xcc\xa3"}}, /* order of marks */
        {"\xea\xb0\x81", {"\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"}}, /* Hangul */
        {"s", {"\xc5\xbf", "S"}},
        {"a \xce\xb9", {"a\xcd\xba", "A \xce\x99"}},
        /* U+0345 before or after an accent: canonically the same text */
        {"\xce\xac\xce\xb9",
         {"\xce\xb1\xcd\x85\xcc\x81", "\xce\xb1\xcc\x81\xcd\x85", "\xe1\xbe\xb4"}},
        {"\xe1\x8f\xb0", {"\xe1\x8f\xb0", "\xe1\x8f\xb8"}}, /* Cherokee folds to capitals */
        {"\xe6\xbc\xa2\xe5\xad\x97 7", {"\xe6\xbc\xa2\xe5\xad\x97 7"}},
        {"x", {"x\xef\xb8\x8f", "X"}}, /* a variation selector is ignored */
        {"0_a(b)[c],&'@=#!*:+.-", {"0_A(B)[C],&'@=#!*:+.-"}},
    };
    begin();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t j = 0; j < COUNT_OF(cases[i].names) && cases[i].names[j]; j++) {
            CHECK_STR(key_of(cases[i].names[j]), cases[i].key);
        }
    }
    arena_close(&arena);
}

/* P5 */
TEST(name_different_devices_have_different_keys)
{
    static const char *const names[] = {"Pump-7",
                                        "Pump_7",
                                        "Pump 7",
                                        "Pump  7",
                                        "Pump7",
                                        "P\xc3\xbcmp-7",
                                        "\xce\xa1ump-7",
                                        "Pump-07",
                                        "Pump-7.",
                                        "\xc4\xb1",
                                        "i",
                                        "\xc3\xb6",
                                        "o",
                                        "l",
                                        "I1"};
    begin();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        for (size_t j = 0; j < i; j++) {
            CHECK(!str_equal(key_of(names[i]), key_of(names[j])));
        }
    }
    arena_close(&arena);
}

/* P10 */
TEST(name_what_breaks_the_rule_is_refused_and_named)
{
    static const struct {
        const char *name;
        enum problem problem;
        const char *words;
    } cases[] = {
        {"", PROBLEM_name_invalid, "empty"},
        {" \t ", PROBLEM_name_invalid, "empty"},
        {"a/b", PROBLEM_name_invalid, "character 2 of the name, U+002F"},
        {"a\\b", PROBLEM_name_invalid, "U+005C"},
        {"a\nb", PROBLEM_name_invalid, "U+000A"},
        {"a\tb", PROBLEM_name_invalid, "U+0009"},
        {"a\x7f", PROBLEM_name_invalid, "U+007F"},
        {"-a", PROBLEM_name_invalid, "first character"},
        {"!system", PROBLEM_name_invalid, "first character"},
        {"\xcc\x81"
         "a",
         PROBLEM_name_invalid, "first character"},
        {"a\"b", PROBLEM_name_invalid, "U+0022"},
        {"a%b", PROBLEM_name_invalid, "U+0025"},
        {"a?b", PROBLEM_name_invalid, "U+003F"},
        {"a<b", PROBLEM_name_invalid, "U+003C"},
        {"a;b", PROBLEM_name_invalid, "U+003B"},
        {"a\xe2\x80\x8b"
         "b",
         PROBLEM_name_invalid, "U+200B"}, /* zero-width space */
        {"a\xe2\x80\x8d"
         "b",
         PROBLEM_name_invalid, "U+200D"}, /* zero-width joiner */
        {"a\xe2\x80\xae"
         "b",
         PROBLEM_name_invalid, "U+202E"}, /* right-to-left override */
        {"a\xef\xbb\xbf", PROBLEM_name_invalid, "U+FEFF"},
        {"a\xc2\xa0"
         "b",
         PROBLEM_name_invalid, "U+00A0"},
        {"a\xe3\x80\x80"
         "b",
         PROBLEM_name_invalid, "U+3000"},
        {"a\xc2\xad"
         "b",
         PROBLEM_name_invalid, "U+00AD"},              /* soft hyphen */
        {"a\xc2\xb2", PROBLEM_name_invalid, "U+00B2"}, /* superscript: no decimal digit */
        {"\xe2\x85\xa7", PROBLEM_name_invalid,
         "first character"}, /* Roman numeral: a letter number */
        {"a\xf0\x9f\x98\x80", PROBLEM_name_invalid, "U+1F600"},
        {"a\xef\xbf\xbe", PROBLEM_name_invalid, "U+FFFE"},
        {"a\xee\x80\x80", PROBLEM_name_invalid, "U+E000"},
        {"a\xff", PROBLEM_name_invalid, "UTF-8"},
        {"a\xed\xa0\x80", PROBLEM_name_invalid, "UTF-8"},
        {"\xe3\x85\xa4", PROBLEM_name_invalid, "no visible character"}, /* Hangul filler */
        {"\xcd\xba", PROBLEM_name_invalid, "first character of the folded name"},
        {"\xe3\x85\xa4-a", PROBLEM_name_invalid, "first character of the folded name"},
        {"a \xe3\x85\xa4", PROBLEM_name_invalid, "ends with a space"},
    };
    begin();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str name = STR("untouched"), key = STR("untouched");
        call = (struct call){.arena = &arena};
        CHECK_RC(name_device_key(&call, STR("live"), str_of(cases[i].name), STR("/device_name"),
                                 &name, &key),
                 RC_INVALID);
        CHECK_INT(call.problem, cases[i].problem);
        CHECK_HAS(str_of(call.why), cases[i].words);
        CHECK_INT(call.item_count, 1);
        CHECK_STR(call.items[0].pointer, "/device_name");
        CHECK_STR(name, "untouched");
        CHECK_STR(key, "untouched");
    }
    CHECK_RC(name_check(&call, STR("a\0b"), STR(""), &(struct str){0}), RC_INVALID);
    arena_close(&arena);
}

static struct str repeated(const char *piece, size_t count)
{
    struct text text;
    text_open(&text, &arena, 100000);
    for (size_t i = 0; i < count; i++) {
        text_add(&text, str_of(piece));
    }
    return text_str(&text);
}

TEST(name_caps_are_exact)
{
    struct str name, key;
    begin();
    CHECK_RC(name_check(&call, repeated("a", NAME_MAX_CHARS), STR(""), &name), RC_OK);
    CHECK_RC(name_check(&call, repeated("a", NAME_MAX_CHARS + 1), STR(""), &name), RC_INVALID);
    CHECK_INT(call.problem, PROBLEM_name_too_long);
    CHECK_HAS(str_of(call.why), "129 characters");
    /* 128 characters of four bytes are a name, but no key */
    CHECK_RC(name_check(&call, repeated("\xf0\x90\x8c\x80", NAME_MAX_CHARS), STR(""), &name),
             RC_OK);
    CHECK_INT(name.len, NAME_MAX_BYTES);
    call.problem = PROBLEM_NONE;
    CHECK_RC(name_key(&call, name, STR(""), &key), RC_INVALID);
    CHECK_INT(call.problem, PROBLEM_name_too_long);
    CHECK_RC(name_key(&call, repeated("\xf0\x90\x8c\x80", 64), STR(""), &key), RC_OK);
    CHECK_INT(key.len, NAME_KEY_MAX_BYTES);
    /* folding may grow a name eighteen times */
    CHECK_RC(name_key(&call, repeated("\xef\xb7\xba", 7), STR(""), &key), RC_OK);
    CHECK_RC(name_key(&call, repeated("\xef\xb7\xba", NAME_MAX_CHARS), STR(""), &key), RC_INVALID);
    CHECK_INT(call.problem, PROBLEM_name_too_long);
    arena_close(&arena);
}

/* P5: what is a key stays that key, over all of Unicode, alone and with a mark behind it */
TEST(name_folding_twice_changes_nothing)
{
    static const char *const behind[] = {"", "\xcd\x85", "\xcc\x81\xcd\x85", "\xcc\x88", "x"};
    int allowed = 0;
    begin();
    for (utf8proc_int32_t code = 1; code < 0x110000; code++) {
        char bytes[16] = "";
        utf8proc_ssize_t length = utf8proc_encode_char(code, (utf8proc_uint8_t *)bytes);
        if (length <= 0 || (code >= 0xd800 && code < 0xe000)) {
            continue;
        }
        for (size_t i = 0; i < COUNT_OF(behind); i++) {
            struct str name, key, again;
            memcpy(bytes + length, behind[i], strlen(behind[i]) + 1);
            call.problem = PROBLEM_NONE;
            call.item_count = 0;
            arena_reset(&arena);
            if (name_check(&call, str_of(bytes), STR(""), &name) != RC_OK ||
                name_key(&call, name, STR(""), &key) != RC_OK) {
                break;
            }
            allowed++;
            CHECK_RC(name_check(&call, key, STR(""), &name), RC_OK);
            CHECK_RC(name_key(&call, name, STR(""), &again), RC_OK);
            CHECK_BYTES(again, key);
        }
    }
    CHECK(allowed > 500000); /* Unicode 15 has some 138,000 letters, marks and digits */
    arena_close(&arena);
}

/* P5: the quick way for ASCII gives what the long way gives */
TEST(name_ascii_takes_a_shortcut_with_the_same_end)
{
    begin();
    for (int first = 1; first < 0x80; first++) {
        char plain[] = {(char)first, 'X', '\0'};
        char marked[] = {(char)first, 'X', '\xc3', '\xa4', '\0'};
        struct str name, key, marked_key;
        call.item_count = 0;
        if (name_check(&call, str_of(plain), STR(""), &name) == RC_OK && name.len == 2) {
            CHECK_RC(name_key(&call, str_of(plain), STR(""), &key), RC_OK);
            CHECK_RC(name_key(&call, str_of(marked), STR(""), &marked_key), RC_OK);
            CHECK_BYTES(str_head(marked_key, 2), key);
        }
    }
    arena_close(&arena);
}

TEST(name_prefix_may_end_anywhere)
{
    struct str key;
    begin();
    CHECK_RC(name_prefix_key(&call, STR(""), &key), RC_OK);
    CHECK_INT(key.len, 0);
    CHECK_RC(name_prefix_key(&call, STR("PUMP "), &key), RC_OK);
    CHECK_STR(key, "pump ");
    CHECK_RC(name_prefix_key(&call, STR("-"), &key), RC_OK);
    CHECK_RC(name_prefix_key(&call, STR("\xc3\x84"), &key), RC_OK);
    CHECK_STR(key, "\xc3\xa4");
    static const char *const bad[] = {"a/", "\xff", "a\xe2\x80\x8b"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        call = (struct call){.arena = &arena};
        CHECK_RC(name_prefix_key(&call, str_of(bad[i]), &key), RC_INVALID);
        CHECK_INT(call.problem, PROBLEM_invalid_parameter);
        CHECK_INT(call.item_count, 0);
    }
    CHECK_RC(name_prefix_key(&call, repeated("a", NAME_MAX_BYTES + 1), &key), RC_INVALID);
    arena_close(&arena);
}

TEST(name_keys_of_the_store_hold_their_realm)
{
    struct str name, key;
    begin();
    CHECK_RC(name_device_key(&call, STR("live"), STR(" Pump-7 "), STR("/device_name"), &name, &key),
             RC_OK);
    CHECK_STR(name, "Pump-7");
    CHECK_STR(key, "live/pump-7");
    CHECK_STR(name_realm(key), "live");
    CHECK(!name_is_system(key));
    CHECK_STR(name_system(&call, STR("test-acme")), "test-acme/!system");
    CHECK(name_is_system(STR("live/!system")));
    CHECK(!name_is_system(STR("live/a!system")));
    CHECK(!name_is_system(STR("/!system")));
    for (int i = 0; i < 100; i++) {
        int shard = name_shard(arena_printf(&arena, "live/%d", i));
        CHECK(shard >= 0 && shard < SHARD_COUNT);
    }
    CHECK_INT(name_shard(STR("abc")), 0xb); /* SHA-256 of "abc" is ba7816bf... (FIPS 180-4) */
    arena_close(&arena);
}
