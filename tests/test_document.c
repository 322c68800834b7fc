/* Documents: merge patches by RFC 7396 one after the other, and what the log says about leaves. */
#include "base/text.h"
#include "core/document.h"
#include "test.h"

#include <time.h>

static struct arena arena;
static struct call call;

static void begin(void)
{
    arena_open(&arena, (size_t)256 << 20);
    call = (struct call){.arena = &arena};
}

static struct str merged(const char *doc, const char *patch)
{
    struct str result;
    if (document_merge(&call, str_of(doc), str_of(patch), &result) != RC_OK) {
        FAIL("%s + %s: %s", doc, patch, call.why);
    }
    return result;
}

TEST(document_merges_as_appendix_a_of_its_rfc)
{
    /* RFC 7396 appendix A, those whose original and patch are objects */
    static const char *const cases[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
        /* section 3 */
        {"{\"title\":\"Goodbye!\",\"author\":{\"givenName\":\"John\",\"familyName\":\"Doe\"},"
         "\"tags\":[\"example\",\"sample\"],\"content\":\"This will be unchanged\"}",
         "{\"title\":\"Hello!\",\"phoneNumber\":\"+01-123-456-7890\",\"author\":{\"familyName\":"
         "null},\"tags\":[\"example\"]}",
         "{\"title\":\"Hello!\",\"author\":{\"givenName\":\"John\"},\"tags\":[\"example\"],"
         "\"content\":\"This will be unchanged\",\"phoneNumber\":\"+01-123-456-7890\"}"},
    };
    begin();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK_STR(merged(cases[i][0], cases[i][1]), cases[i][2]);
    }
    arena_close(&arena);
}

TEST(document_patch_that_is_no_object_is_refused)
{
    /* the other cases of RFC 7396 appendix A */
    static const char *const patches[] = {
        "[\"c\"]", "null", "\"bar\"", "1", "", "{", "{\"a\":1,\"a\":2}", "[[[[[[[[[[]]]]]]]]]]"};
    struct str result = STR("untouched");
    begin();
    for (size_t i = 0; i < COUNT_OF(patches); i++) {
        call.why[0] = '\0';
        CHECK_RC(document_merge(&call, STR("{\"a\":\"foo\"}"), str_of(patches[i]), &result),
                 RC_INVALID);
        CHECK_STR(result, "untouched");
        CHECK(call.why[0]);
    }
    CHECK_RC(document_merge(&call, STR("[1,2]"), STR("{\"a\":\"b\"}"), &result), RC_INVALID);
    arena_close(&arena);
}

TEST(document_keeps_what_a_patch_does_not_name_as_it_was)
{
    begin();
    CHECK_STR(
        merged("{\"n\":1.0,\"e\":1e400,\"z\":-0,\"s\":\"\\u00e4\\/\\u0000\"}", "{\"x\":0.10}"),
        "{\"n\":1.0,\"e\":1e400,\"z\":-0,\"s\":\"\xc3\xa4/\\u0000\",\"x\":0.10}");
    CHECK_STR(merged("{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":5}"), "{\"a\":1,\"b\":5,\"c\":3}");
    CHECK_STR(merged("{\"a\":1}", "{}"), "{\"a\":1}");
    CHECK_STR(merged("{\"a\":{\"b\":1}}", "{\"a\":{}}"), "{\"a\":{\"b\":1}}");
    CHECK_STR(merged("{\"a\":1}", "{\"a\":{}}"), "{\"a\":{}}");
    CHECK_STR(merged("{\"\":1}", "{\"\":{\"\":2}}"), "{\"\":{\"\":2}}");
    CHECK_STR(merged("{\"a\":1}", "{\"\\u0061\":2}"), "{\"a\":2}");
    CHECK_STR(merged("{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":1}}}}}}}",
                     "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"h\":2}}}}}}}"),
              "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":1,\"h\":2}}}}}}}");
    arena_close(&arena);
}

/* P4: two patches say what no folded patch says (pierreinglebert/json-merge-patch issue 7) */
TEST(document_patches_apply_one_by_one_and_are_never_folded)
{
    static const struct str patches[] = {{"{\"a\":null}", 10}, {"{\"a\":{\"a1\":8}}", 14}};
    struct str result;
    begin();
    CHECK_RC(document_replay(&call, STR("{\"a\":{\"a1\":0,\"a2\":3}}"), patches, 2, &result),
             RC_OK);
    CHECK_STR(result, "{\"a\":{\"a1\":8}}");
    CHECK_RC(document_replay(&call, STR("{ \"a\" : 1 }"), NULL, 0, &result), RC_OK);
    CHECK_STR(result, "{\"a\":1}");
    arena_close(&arena);
}

/* --- random documents against an implementation that cannot be wrong in the same way -------------- */
static uint64_t random_state;

static uint32_t dice(uint32_t sides)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % sides;
}

/* A random value; few names, so that they meet. Recursion is bounded by depth. */
static void add_random(struct text *text, int depth, bool nulls, bool top)
{
    uint32_t kind = top ? 9 : dice(10);
    if (kind >= 6 && depth > 0) {
        uint32_t first = dice(6), count = dice(6);
        text_add_char(text, '{');
        for (uint32_t i = 0; i < count; i++) {
            text_printf(text, "%s\"%c\":", i ? "," : "", 'a' + (int)((first + i) % 6));
            add_random(text, depth - 1, nulls, false);
        }
        text_add_char(text, '}');
    } else if (kind == 5) {
        text_printf(text, "[%u,{\"a\":[\"x\"]}]", dice(3));
    } else if (kind == 4 && nulls) {
        text_add(text, STR("null"));
    } else if (kind == 3) {
        text_add(text, dice(2) ? STR("true") : STR("\"s\""));
    } else {
        text_printf(text, "%u.0", dice(4));
    }
}

static struct str random_json(int depth, bool nulls)
{
    struct text text;
    text_open(&text, &arena, 1 << 20);
    add_random(&text, depth, nulls, true);
    return text_str(&text);
}

/* By yyjson's own merge, which recurses and knows nothing of ours. */
static struct str naively_merged(struct str doc, struct str patch)
{
    yyjson_val *target = NULL, *change = NULL;
    yyjson_mut_doc *result = json_doc(&arena);
    CHECK_RC(json_read(&arena, doc, 99, &target, NULL), RC_OK);
    CHECK_RC(json_read(&arena, patch, 99, &change, NULL), RC_OK);
    yyjson_mut_doc_set_root(result, yyjson_merge_patch(result, target, change));
    return json_write_mut(&arena, result);
}

static bool naively_equal(struct str a, struct str b)
{
    yyjson_val *left = NULL, *right = NULL;
    CHECK_RC(json_read(&arena, a, 99, &left, NULL), RC_OK);
    CHECK_RC(json_read(&arena, b, 99, &right, NULL), RC_OK);
    return yyjson_equals(left, right);
}

/* P4 */
TEST(document_replay_stepwise_and_naive_agree_on_random_documents)
{
    int equal_count = 0, changed_count = 0;
    begin();
    for (int run = 0; run < 6000; run++) {
        struct str patches[8], all, step, naive;
        size_t count = 1 + dice(8);
        arena_reset(&arena);
        step = naive = random_json(4, false);
        struct str doc = step;
        for (size_t i = 0; i < count; i++) {
            patches[i] = random_json(4, true);
            CHECK_RC(document_merge(&call, step, patches[i], &step), RC_OK);
            naive = naively_merged(naive, patches[i]);
        }
        CHECK_RC(document_replay(&call, doc, patches, count, &all), RC_OK);
        CHECK_BYTES(all, step);
        CHECK(naively_equal(all, naive));
        CHECK(document_equal(&call, all, naive));
        CHECK_INT(document_equal(&call, all, doc), naively_equal(all, doc));
        struct str other = random_json(2, false), another = random_json(2, false);
        CHECK_INT(document_equal(&call, other, another), naively_equal(other, another));
        equal_count += document_equal(&call, other, another);
        changed_count += !document_equal(&call, all, doc);
    }
    CHECK(equal_count > 50 && changed_count > 3000); /* the dice are not loaded */
    arena_close(&arena);
}

/* --- size ------------------------------------------------------------------------------------------- */
static int64_t cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* {"m0":value,...} */
static struct str wide(int count, int from, const char *value)
{
    struct text text;
    text_open(&text, &arena, 1 << 20);
    for (int i = 0; i < count; i++) {
        text_printf(&text, "%c\"m%d\":%s", i ? ',' : '{', from + i, value);
    }
    text_add_char(&text, '}');
    return text_str(&text);
}

static int64_t merging_us(int count)
{
    int64_t best_us = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        struct str doc = wide(count, 0, "1"), half = wide(count, count / 2, "2"), result;
        struct str same = wide(count, 0, "1");
        int64_t before_us = cpu_us();
        CHECK_RC(document_merge(&call, doc, half, &result), RC_OK);
        CHECK(!document_equal(&call, doc, result));
        CHECK_RC(document_merge(&call, doc, STR("{\"m0\":1}"), &result), RC_OK);
        CHECK(document_equal(&call, arena_printf(&arena, STR_FMT " ", STR_ARG(same)), result));
        best_us = min_i64(best_us, cpu_us() - before_us);
        arena_reset(&arena);
    }
    return best_us;
}

TEST(document_sixteen_times_the_members_take_far_less_than_the_square_of_the_time)
{
    begin();
    CHECK(merging_us(16000) < merging_us(1000) * 100); /* the square would be 256 */
    arena_close(&arena);
}

TEST(document_a_thousand_patches_of_a_wide_document_are_replayed_quickly)
{
    static struct str patches[1000];
    struct str result, doc;
    begin();
    doc = wide(4000, 0, "1");
    for (int i = 0; i < 1000; i++) {
        patches[i] = arena_printf(&arena, "{\"m%d\":%s,\"m%d\":%d}", i * 4, i % 2 ? "null" : "7",
                                  3999 - i, i);
    }
    int64_t before_us = cpu_us();
    CHECK_RC(document_replay(&call, doc, patches, 1000, &result), RC_OK);
    CHECK(cpu_us() - before_us < 500000); /* 30 ms with sanitizers; one by one it is seconds */
    arena_close(&arena);
}

TEST(document_a_member_deleted_and_set_again_comes_last_also_among_many)
{
    begin();
    for (int count = 10; count < 40; count += 7) {
        struct str doc = wide(count, 0, "1"), once, step = doc;
        struct str patches[28];
        for (size_t i = 0; i < COUNT_OF(patches); i++) { /* each of m0..m6 goes and comes, twice */
            patches[i] = arena_printf(&arena, "{\"m%zu\":%s}", i / 2 % 7, i % 2 ? "2" : "null");
            CHECK_RC(document_merge(&call, step, patches[i], &step), RC_OK);
        }
        CHECK_RC(document_replay(&call, doc, patches, COUNT_OF(patches), &once), RC_OK);
        CHECK_BYTES(once, step);
        CHECK_HAS(once, "\"m5\":2,\"m6\":2}");
    }
    arena_close(&arena);
}

/* --- at the door ------------------------------------------------------------------------------------ */
static enum rc checked(struct str json, bool patch, struct str *ret_json)
{
    yyjson_val *value = NULL;
    call = (struct call){.arena = &arena};
    CHECK_RC(json_read(&arena, json, 99, &value, NULL), RC_OK);
    return document_check(&call, value, STR("/attributes"), patch, ret_json);
}

static void refused(const char *json, bool patch, enum problem problem, const char *pointer)
{
    struct str result = STR("untouched");
    CHECK_RC(checked(str_of(json), patch, &result), RC_INVALID);
    CHECK_INT(call.problem, problem);
    CHECK_STR(call.items[0].pointer, pointer);
    CHECK_STR(result, "untouched");
}

/* P10 */
TEST(document_at_the_door_is_made_canonical_or_refused_with_its_place)
{
    struct str json;
    begin();
    CHECK_RC(checked(STR("{ \"b\" : 1.0, \"a\" : [ {} , [ ] ] }"), false, &json), RC_OK);
    CHECK_STR(json, "{\"b\":1.0,\"a\":[{},[]]}");
    CHECK_RC(checked(STR("{\"a\":null,\"b\":{\"c\":null}}"), true, &json), RC_OK);
    refused("[]", false, PROBLEM_not_an_object, "/attributes");
    refused("null", true, PROBLEM_not_an_object, "/attributes");
    refused("\"x\"", false, PROBLEM_not_an_object, "/attributes");
    refused("{\"a\":null}", false, PROBLEM_null_in_document, "/attributes/a");
    refused("{\"a\":{\"b/c\":[0,null]}}", false, PROBLEM_null_in_document, "/attributes/a/b~1c/1");
    refused("{\"a\":[null]}", true, PROBLEM_null_in_document, "/attributes/a/0");
    refused("{\"a\":[{\"b\":null}]}", true, PROBLEM_null_in_document, "/attributes/a/0/b");
    refused("{\"x\":[1],\"a\":[[{\"b\":{\"c\":null}}]]}", true, PROBLEM_null_in_document,
            "/attributes/a/0/0/b/c");
    CHECK_RC(checked(STR("{\"x\":[1],\"a\":{\"b\":null}}"), true, &json), RC_OK);
    /* the object itself is 1 */
    CHECK_RC(checked(STR("{\"a\":[[[[[[[1]]]]]]]}"), false, &json), RC_OK);
    refused("{\"a\":[[[[[[[[1]]]]]]]]}", false, PROBLEM_too_deep, "/attributes/a/0/0/0/0/0/0/0");
    arena_close(&arena);
}

/* {"<long name>":{"m0":1,...}}: the leaves' pointers repeat the long name */
static struct str long_pointers(int name_bytes, int count)
{
    struct str inner = wide(count, 0, "1");
    return arena_printf(&arena, "{\"%0*d\":" STR_FMT "}", name_bytes, 0, STR_ARG(inner));
}

TEST(document_pointers_of_its_leaves_have_a_cap)
{
    struct str json;
    struct leaf *leaves;
    size_t count, bytes = 0;
    begin();
    /* 10 leaves of 1 + 26210 + 3 bytes, and four more for each byte of the name beyond */
    CHECK_RC(checked(long_pointers(26210, 10), false, &json), RC_OK);
    CHECK_RC(document_leaves(&call, json, &leaves, &count), RC_OK);
    for (size_t i = 0; i < count; i++) {
        bytes += leaves[i].pointer.len;
    }
    CHECK_INT(bytes, POINTERS_MAX_BYTES - 4);
    CHECK_RC(checked(long_pointers(26211, 10), false, &json), RC_INVALID);
    CHECK_INT(call.problem, PROBLEM_document_too_large);
    CHECK_RC(checked(long_pointers(30000, 4000), true, &json), RC_INVALID);
    arena_close(&arena);
}

/* --- leaves ---------------------------------------------------------------------------------------------- */
static struct leaf *leaves_of(const char *patch, size_t *ret_count)
{
    struct leaf *leaves = NULL;
    CHECK_RC(document_leaves(&call, str_of(patch), &leaves, ret_count), RC_OK);
    return leaves;
}

TEST(document_leaves_are_what_a_patch_sets_or_deletes)
{
    size_t count = 9;
    begin();
    CHECK(leaves_of("{}", &count) == NULL);
    CHECK_INT(count, 0);
    struct leaf *leaves = leaves_of(
        "{\"a\":1,\"b\":{\"c\":null,\"d/e\":{}},\"f\":[{\"g\":1}],\"h\":{\"i\":{\"j\":0}}}",
        &count);
    static const char *const pointers[] = {"/a", "/b/c", "/b/d~1e", "/f", "/h/i/j"};
    CHECK_INT(count, COUNT_OF(pointers));
    for (size_t i = 0; i < count; i++) {
        CHECK_STR(leaves[i].pointer, pointers[i]);
        CHECK_INT(leaves[i].deletes, i == 1);
        CHECK_INT(leaves[i].empty_object, i == 2);
    }
    CHECK_RC(document_leaves(&call, STR("[]"), &leaves, &count), RC_INVALID);
    arena_close(&arena);
}

/* P7 */
TEST(document_a_later_patch_decides_over_the_same_above_and_below)
{
    static const struct {
        const char *pointer, *later;
        bool overrides;
    } cases[] = {
        {"/a", "{\"a\":2}", true},         {"/a", "{\"a\":null}", true},
        {"/a", "{\"b\":2}", false},        {"/a", "{\"ab\":2}", false},
        {"/ab", "{\"a\":2}", false},       {"/a/b", "{\"a\":2}", true},
        {"/a/b", "{\"a\":null}", true},    {"/a/b", "{\"a\":{\"c\":1}}", false},
        {"/a", "{\"a\":{\"c\":1}}", true}, {"/a/b", "{\"a\":{\"b\":{\"c\":1}}}", true},
        {"/a/b", "{\"a\":{}}", false}, /* a stays what it is */
        {"/a", "{\"a\":{}}", true},        {"/a", "{}", false},
        {"/a~1b", "{\"a/b\":1}", true},    {"/x", "{\"q\":1,\"r\":{\"x\":1},\"x\":3}", true},
    };
    begin();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t count = 0;
        struct leaf *leaves = leaves_of(cases[i].later, &count);
        struct leaf_set set;
        document_leaf_set(&call, leaves, count, &set);
        if (document_overrides(&set, str_of(cases[i].pointer)) != cases[i].overrides) {
            FAIL("%s, then %s", cases[i].pointer, cases[i].later);
        }
    }
    arena_close(&arena);
}
