/* Lines: each is one JSON object and one line, whatever the texts hold. P9 P11 */
#include "base/diag.h"
#include "base/json.h"
#include "test.h"

static struct arena arena;
static struct str last_line;
static int line_count;

static void keep(void *context, struct str line)
{
    CHECK(context == &arena);
    last_line = arena_copy(&arena, line);
    line_count++;
}

static void begin(enum diag_level most)
{
    arena_open(&arena, 0);
    diag_set(most, keep, &arena);
}

static yyjson_val *parsed(void)
{
    yyjson_val *root = NULL;
    CHECK(last_line.len > 0 && last_line.s[last_line.len - 1] == '\n');
    CHECK_RC(json_read(&arena, str_head(last_line, last_line.len - 1), 1, &root, NULL), RC_OK);
    return root;
}

TEST(diag_line_is_one_json_object)
{
    begin(DIAG_INFO);
    struct diag_field fields[] = {DIAG_TEXT("name", STR("Pump 7")), DIAG_NUMBER("count", -3)};
    diag_line(DIAG_WARN, 1795345199800, "lease_lost", fields, 2);
    CHECK_STR(last_line, "{\"at\":\"2026-11-22T10:59:59.800Z\",\"level\":\"warn\","
                         "\"event\":\"lease_lost\",\"name\":\"Pump 7\",\"count\":-3}\n");
    diag_line(DIAG_INFO, 1, "bare", NULL, 0);
    CHECK_STR(last_line,
              "{\"at\":\"1970-01-01T00:00:00.001Z\",\"level\":\"info\",\"event\":\"bare\"}\n");
    DIAG(DIAG_ERROR, "now", DIAG_NUMBER("n", 1));
    CHECK(!str_starts(json_member_str(parsed(), "at", STR("1970")), STR("1970")));
    arena_close(&arena);
}

TEST(diag_no_control_byte_reaches_a_line)
{
    begin(DIAG_INFO);
    char all[256];
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
    }
    DIAG(DIAG_INFO, "x", DIAG_TEXT("text", ((struct str){all, 256})),
         DIAG_TEXT("injected", STR("\"}\n{\"level\":\"error\"\x1b[2J\xc2\x9b")));
    for (size_t i = 0; i + 1 < last_line.len; i++) {
        CHECK((unsigned char)last_line.s[i] >= 0x20 && last_line.s[i] != 0x7f);
    }
    CHECK_HAS_NOT(last_line, "\xc2\x9b");
    CHECK_STR(json_member_str(parsed(), "level", STR("")), "info");
    arena_close(&arena);
}

TEST(diag_long_texts_are_cut_and_the_line_says_so)
{
    begin(DIAG_INFO);
    char big[5000];
    memset(big, 'a', sizeof big);
    memcpy(big + 2047, "\xc3\xa4", 2); /* a character across the cut goes as a whole */
    DIAG(DIAG_INFO, "x", DIAG_TEXT("text", ((struct str){big, sizeof big})), DIAG_NUMBER("n", 5));
    CHECK_INT(json_member_str(parsed(), "text", STR("")).len, 2047);
    CHECK_INT(json_member_i64(parsed(), "n", 0), 5);
    CHECK(json_member_bool(parsed(), "cut", false));
    memset(big, 1, sizeof big); /* six bytes each when escaped: the second does not fit any more */
    DIAG(DIAG_INFO, "x", DIAG_TEXT("a", ((struct str){big, sizeof big})),
         DIAG_TEXT("b", ((struct str){big, sizeof big})), DIAG_NUMBER("n", 6));
    CHECK_INT(json_member_str(parsed(), "a", STR("")).len, 2048);
    CHECK(json_member(parsed(), "b") == NULL);
    CHECK_INT(json_member_i64(parsed(), "n", 0), 6);
    CHECK(json_member_bool(parsed(), "cut", false));
    arena_close(&arena);
}

TEST(diag_writes_only_what_is_wanted)
{
    begin(DIAG_WARN);
    CHECK(diag_wants(DIAG_ERROR) && diag_wants(DIAG_WARN));
    CHECK(!diag_wants(DIAG_INFO) && !diag_wants(DIAG_DEBUG));
    diag_line(DIAG_INFO, 0, "x", NULL, 0);
    CHECK_INT(line_count, 0);
    diag_line(DIAG_WARN, 0, "x", NULL, 0);
    CHECK_INT(line_count, 1);
    arena_close(&arena);
}
