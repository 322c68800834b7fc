/* Mapping, normal forms, diff: pure. */
#include <stdio.h>

#include "adapters/sap_map.h"
#include "test.h"

#define MAP_HEAD                                                                                   \
    "{\"base_url\":\"https://sap.example/"                                                         \
    "API\",\"mapping_version\":1,\"auth\":{\"type\":\"none\"},\"entity\":\"Equipment\","           \
    "\"key\":[{\"field\":\"Equipment\",\"from\":\"ref\"},{\"field\":\"ValidityEndDate\","          \
    "\"const\":\"9999-12-31\",\"type\":\"date\"}],"                                                \
    "\"resolve\":{\"field\":\"Sort\",\"from\":\"device_name\",\"upper\":true},\"on_missing\":"     \
    "\"create\","
#define MAP_NAME                                                                                   \
    "{\"field\":\"Sort\",\"from\":\"device_name\",\"upper\":true,\"max\":25,\"create_only\":true}"

struct bench {
    struct arena arena;
    struct call call;
    struct sap_config config;
};

static void bench_open(struct bench *bench, const char *fields, const char *more)
{
    *bench = (struct bench){0};
    arena_open(&bench->arena, 0);
    bench->call.arena = &bench->arena;
    struct str json = arena_printf(&bench->arena, MAP_HEAD "\"fields\":[" MAP_NAME "%s%s]%s}",
                                   fields[0] ? "," : "", fields, more);
    enum rc rc = sap_config_read(&bench->call, &bench->arena, json, &bench->config);
    if (rc != RC_OK) {
        FAIL("the mapping: %s", bench->call.why);
    }
}

static void bench_close(struct bench *bench)
{
    sap_config_close(&bench->config);
    arena_close(&bench->arena);
}

static struct str encode(struct bench *bench, const char *base, const char *target)
{
    struct str bytes;
    CHECK_RC(sap_map_encode(&bench->config, &bench->call, STR("Pump-7"), str_of(base),
                            str_of(target), &bytes),
             RC_OK);
    return bytes;
}

/* The one fault of a target: "pointer: detail". */
static struct str fault(struct bench *bench, const char *target)
{
    struct str bytes;
    bench->call.item_count = 0;
    CHECK_RC(sap_map_encode(&bench->config, &bench->call, STR("Pump-7"), STR(""), str_of(target),
                            &bytes),
             RC_INVALID);
    CHECK_INT(bench->call.problem, PROBLEM_unmappable);
    CHECK_INT(bench->call.items[0].code, PROBLEM_unmappable);
    CHECK_BYTES(str_of(bench->call.why), /* the sentence is whole by itself */
                arena_printf(&bench->arena, STR_FMT " " STR_FMT,
                             STR_ARG(bench->call.items[0].pointer),
                             STR_ARG(bench->call.items[0].detail)));
    return arena_printf(&bench->arena, STR_FMT ": " STR_FMT, STR_ARG(bench->call.items[0].pointer),
                        STR_ARG(bench->call.items[0].detail));
}

TEST(a_full_body_holds_everything_and_a_diff_what_differs)
{
    struct bench bench;
    bench_open(&bench,
               "{\"field\":\"A\",\"from\":\"attributes.a\",\"clear\":true},{\"field\":\"B\","
               "\"from\":\"attributes.b\"}",
               "");
    CHECK_STR(encode(&bench, "", "{\"a\":\"1\"}"), "{\"Sort\":\"PUMP-7\",\"A\":\"1\"}");
    CHECK_STR(encode(&bench, "", "{\"b\":\"1\"}"), "{\"Sort\":\"PUMP-7\",\"A\":\"\",\"B\":\"1\"}");
    CHECK_STR(encode(&bench, "{}", "{\"a\":\"1\"}"), "{\"A\":\"1\"}");
    CHECK_STR(encode(&bench, "{\"a\":\"1\",\"b\":\"2\"}", "{}"),
              "{\"A\":\"\"}"); /* b is left out: no clear */
    CHECK_STR(encode(&bench, "{\"a\":\"1\"}", "{\"a\":\"1\",\"other\":2}"), "");
    bench_close(&bench);
}

/* P4: two patches are not one: the diff is made of documents */
TEST(a_diff_of_documents_takes_away_what_a_folded_patch_would_leave)
{
    struct bench bench;
    bench_open(&bench,
               "{\"field\":\"A1\",\"from\":\"attributes.a.a1\",\"clear\":true},{\"field\":\"A2\","
               "\"from\":\"attributes.a.a2\",\"clear\":true}",
               "");
    CHECK_STR(encode(&bench, "{\"a\":{\"a1\":\"0\",\"a2\":\"3\"}}", "{\"a\":{\"a1\":\"8\"}}"),
              "{\"A1\":\"8\",\"A2\":\"\"}");
    bench_close(&bench);
}

/* D1 */
TEST(what_sap_cannot_tell_apart_is_no_difference)
{
    static const char *const pairs[][2] = {{"{\"u\":\"ab\"}", "{\"u\":\"AB\"}"},
                                           {"{\"u\":\"stra\xc3\x9f"
                                            "e \"}",
                                            "{\"u\":\"STRA\xc3\x9f"
                                            "E\"}"},
                                           {"{\"d\":\"12.50\"}", "{\"d\":12.5}"},
                                           {"{\"d\":0}", "{}"},
                                           {"{\"d\":-0.0}", "{\"d\":\"0\"}"},
                                           {"{\"i\":\"007\"}", "{\"i\":\"7\"}"},
                                           {"{\"u\":\"\"}", "{}"},
                                           {"{\"u\":\"  \"}", "{}"},
                                           {"{\"f\":false}", "{}"}};
    struct bench bench;
    bench_open(&bench,
               "{\"field\":\"U\",\"from\":\"attributes.u\",\"upper\":true,\"clear\":true},"
               "{\"field\":\"D\",\"from\":\"attributes.d\",\"type\":\"decimal\",\"scale\":2,"
               "\"max\":5,\"clear\":true},"
               "{\"field\":\"I\",\"from\":\"attributes.i\",\"alpha\":true,\"clear\":true},"
               "{\"field\":\"F\",\"from\":\"attributes.f\",\"type\":\"boolean\",\"clear\":true}",
               "");
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        CHECK_STR(encode(&bench, pairs[i][0], pairs[i][1]), "");
        CHECK_STR(encode(&bench, pairs[i][1], pairs[i][0]), "");
    }
    CHECK_STR(encode(&bench, "{\"u\":\"a\",\"d\":1,\"i\":\"1\",\"f\":true}",
                     "{\"u\":\"b\",\"d\":\"2.5\",\"i\":\"a1\",\"f\":false}"),
              "{\"U\":\"B\",\"D\":\"2.50\",\"I\":\"a1\",\"F\":false}");
    bench_close(&bench);
}

/* P10: told at once, with the member */
TEST(what_cannot_be_mapped_is_named)
{
    struct bench bench;
    bench_open(
        &bench,
        "{\"field\":\"S\",\"from\":\"attributes.s\",\"max\":4},{\"field\":\"C\",\"from\":"
        "\"attributes.c\",\"max\":2,\"overflow\":\"cut\"},"
        "{\"field\":\"D\",\"from\":\"attributes.d\",\"type\":\"decimal\",\"scale\":2,\"max\":5},"
        "{\"field\":\"N\",\"from\":\"attributes.n\",\"type\":\"integer\"},{\"field\":\"T\","
        "\"from\":\"attributes.t\",\"type\":\"date\"},"
        "{\"field\":\"F\",\"from\":\"attributes.f\",\"type\":\"boolean\"},"
        "{\"field\":\"M\",\"from\":\"/attributes/"
        "m.x\",\"map\":{\"berlin\":\"1010\",\"true\":\"J\"}}",
        "");
    static const char *const cases[][2] = {
        {"{\"s\":\"12345\"}",
         "/attributes/s: has 5 characters, at most 4 fit into the downstream's field S"},
        {"{\"s\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\x78\"}", "/attributes/s: has 5 characters, at "
                                                             "most 4 fit into the downstream's "
                                                             "field S"}, /* 5 UTF-16 units */
        {"{\"s\":{}}", "/attributes/s: is an object or an array, not the one value that fits into "
                       "the downstream's field S"},
        {"{\"s\":[1]}", "/attributes/s: is an object or an array, not the one value that fits into "
                        "the downstream's field S"},
        {"{\"s\":true}", "/attributes/s: is no text (a `map` in the mapping could make one), as it "
                         "is needed for the downstream's field S"},
        {"{\"d\":1.234}", "/attributes/d: has 3 digits behind the point, 2 is all that is kept by "
                          "the downstream's field D"},
        {"{\"d\":1234}", "/attributes/d: has 4 digits before the point, 3 is all that is kept by "
                         "the downstream's field D"},
        {"{\"d\":1e3}",
         "/attributes/d: is no plain decimal number, as it is needed for the downstream's field D"},
        {"{\"d\":\"x\"}",
         "/attributes/d: is no plain decimal number, as it is needed for the downstream's field D"},
        {"{\"n\":1.5}", "/attributes/n: has 1 digits behind the point, 0 is all that is kept by "
                        "the downstream's field N"},
        {"{\"t\":\"2026-02-30\"}",
         "/attributes/t: is no date like 2026-11-22, as it is needed for the downstream's field T"},
        {"{\"t\":\"2026-11-22T10:00:00Z\"}",
         "/attributes/t: is no date like 2026-11-22, as it is needed for the downstream's field T"},
        {"{\"f\":\"true\"}",
         "/attributes/f: is neither true nor false, as it is needed for the downstream's field F"},
        {"{\"m.x\":\"paris\"}", "/attributes/m.x: is none of the values that the mapping has for "
                                "the downstream's field M"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK_STR(fault(&bench, cases[i][0]), cases[i][1]);
    }
    CHECK_STR(encode(&bench, "{}",
                     "{\"c\":\"abc\",\"d\":\"999.99\",\"n\":\"-7\",\"t\":\"1899-12-31\",\"f\":true,"
                     "\"m.x\":true}"),
              "{\"C\":\"ab\",\"D\":\"999.99\",\"N\":-7,\"T\":\"/Date(-2209075200000)/"
              "\",\"F\":true,\"M\":\"J\"}");
    CHECK_STR(encode(&bench, "{}", "{\"s\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"}"),
              "{\"S\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"}");
    CHECK_STR(encode(&bench, "{}", "{\"c\":\"a\xf0\x9f\x98\x80\"}"),
              "{\"C\":\"a\"}"); /* a pair is not cut in half */
    bench_close(&bench);
}

TEST(a_name_that_is_too_long_for_its_field_is_told_at_create)
{
    struct bench bench;
    struct str bytes;
    bench_open(&bench, "", "");
    CHECK_RC(sap_map_encode(&bench.config, &bench.call, STR("A-device-name-of-26-letters"), STR(""),
                            STR("{}"), &bytes),
             RC_INVALID);
    CHECK_STR(bench.call.items[0].pointer, "/device_name");
    bench_close(&bench);
}

/* P5 */
TEST(a_name_has_one_form_for_the_search_however_it_is_written)
{
    static const char *const names[] = {"Pump-7", "PUMP-7", "pump-7", "\xef\xbc\xb0ump-7"};
    struct bench bench;
    struct str value;
    bench_open(&bench, "", "");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        CHECK_RC(sap_map_search(&bench.config, &bench.call, str_of(names[i]), &value), RC_OK);
        CHECK_STR(value, "PUMP-7");
    }
    bench_close(&bench);
}

TEST(a_constant_goes_with_its_partner)
{
    struct bench bench;
    bench_open(&bench,
               "{\"field\":\"W\",\"from\":\"attributes.w\",\"type\":\"decimal\",\"scale\":3,"
               "\"clear\":true},"
               "{\"field\":\"Unit\",\"const\":\"KG\",\"when\":\"attributes.w\"},{\"field\":\"Cat\","
               "\"const\":\"M\",\"create_only\":true}",
               "");
    CHECK_STR(encode(&bench, "{\"w\":1}", "{\"w\":2}"), "{\"W\":\"2.000\",\"Unit\":\"KG\"}");
    CHECK_STR(encode(&bench, "{\"w\":1}", "{}"), "{\"W\":\"0.000\"}");
    CHECK_STR(encode(&bench, "", "{}"), "{\"Sort\":\"PUMP-7\",\"W\":\"0.000\",\"Cat\":\"M\"}");
    CHECK_STR(sap_map_wire(&bench.config, &bench.arena,
                           STR("{\"Sort\":\"P\",\"W\":\"0.000\",\"A\":\"\",\"Cat\":\"M\"}"), false),
              "{\"W\":\"0.000\",\"A\":\"\"}");
    CHECK_STR(sap_map_wire(&bench.config, &bench.arena,
                           STR("{\"Sort\":\"P\",\"A\":\"\",\"T\":null,\"Cat\":\"M\"}"), true),
              "{\"Sort\":\"P\",\"Cat\":\"M\"}");
    CHECK_STR(
        sap_map_wire(&bench.config, &bench.arena,
                     STR("{\"Sort\":\"P\",\"W\":\"0.000\",\"Z\":\"0.000\",\"Cat\":\"M\"}"), true),
        "{\"Sort\":\"P\",\"Z\":\"0.000\",\"Cat\":\"M\"}"); /* nothing has to be cleared; Z was asked for */
    bench_close(&bench);
}

TEST(required_and_unmapped_members_are_told)
{
    struct bench bench;
    bench_open(&bench, "{\"field\":\"R\",\"from\":\"attributes.r\",\"required\":true}",
               ",\"unmapped\":\"refuse\"");
    CHECK_STR(fault(&bench, "{}"),
              "/attributes/r: is missing or empty, but required by the downstream's field R");
    CHECK_STR(fault(&bench, "{\"r\":\"1\",\"x\":{\"y\":1}}"),
              "/attributes/x/y: the downstream has no field for this member");
    CHECK_STR(encode(&bench, "{\"r\":\"1\"}", "{\"r\":\"2\"}"), "{\"R\":\"2\"}");
    bench_close(&bench);
}

TEST(a_base_that_no_longer_maps_is_overwritten_not_told)
{
    struct bench bench;
    bench_open(&bench, "{\"field\":\"S\",\"from\":\"attributes.s\",\"max\":4}", "");
    CHECK_STR(encode(&bench, "{\"s\":\"far too long\"}", "{\"s\":\"ok\"}"), "{\"S\":\"ok\"}");
    bench_close(&bench);
}

TEST(values_are_compared_in_their_normal_forms)
{
    struct bench bench;
    struct sap_compared compared;
    yyjson_val *entity;
    bench_open(&bench,
               "{\"field\":\"U\",\"from\":\"attributes.u\",\"upper\":true},{\"field\":\"W\","
               "\"from\":\"attributes.w\",\"type\":\"decimal\",\"scale\":3},"
               "{\"field\":\"T\",\"from\":\"attributes.t\",\"type\":\"date\"},{\"field\":\"Unit\","
               "\"const\":\"KG\",\"when\":\"attributes.w\"}",
               "");
    CHECK_RC(
        json_read(&bench.arena,
                  STR("{\"Sort\":\"X\",\"U\":\"ab "
                      "\",\"W\":\"1.5\",\"T\":\"/Date(1795305600000+0060)/\",\"Unit\":\"LB\"}"),
                  8, &entity, NULL),
        RC_OK);
    sap_map_compare(&bench.config, &bench.arena,
                    STR("{\"Sort\":\"PUMP\",\"U\":\"AB\",\"W\":\"1.500\",\"T\":\"/"
                        "Date(1795305600000)/\",\"Unit\":\"KG\"}"),
                    entity, &compared);
    CHECK_INT(compared.same, 3);
    CHECK_INT(compared.different, 0);
    CHECK_INT(compared.other_different, 1);
    CHECK_STR(compared.first, "Unit");
    sap_map_compare(&bench.config, &bench.arena, STR("{\"Sort\":\"PUMP\"}"), entity, &compared);
    CHECK_INT(compared.different, 1);
    bench_close(&bench);
}

TEST(a_create_only_field_never_goes_out_with_a_difference)
{
    struct bench bench;
    bench_open(&bench,
               "{\"field\":\"A\",\"from\":\"attributes.a\",\"create_only\":true},{\"field\":\"B\","
               "\"from\":\"attributes.b\"}",
               "");
    CHECK_STR(encode(&bench, "", "{\"a\":\"1\"}"), "{\"Sort\":\"PUMP-7\",\"A\":\"1\"}");
    CHECK_STR(encode(&bench, "{\"a\":\"1\"}", "{\"a\":\"2\",\"b\":\"3\"}"), "{\"B\":\"3\"}");
    CHECK_STR(encode(&bench, "{\"a\":\"1\"}", "{\"a\":\"2\"}"), "");
    bench_close(&bench);
}

/* P7 */
TEST(a_member_that_is_gone_and_not_cleared_is_named)
{
    struct bench bench;
    bench_open(&bench,
               "{\"field\":\"A\",\"from\":\"attributes.a\"},"
               "{\"field\":\"B\",\"from\":\"attributes.b\",\"clear\":true},"
               "{\"field\":\"C\",\"from\":\"attributes.c\",\"create_only\":true}",
               "");
    static const char base[] = "{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}";
    static const char *const cases[][2] = {
        {"{}", "[\"A\",\"C\"]"}, {"{\"a\":\"\",\"c\":\"3\"}", ""}, {"{\"a\":\"2\"}", "[\"C\"]"}};
    const struct sap_value *known =
        sap_map_values(&bench.config, &bench.call, STR("Pump-7"), str_of(base));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK_STR(
            sap_map_kept(&bench.config, &bench.call, known, STR("Pump-7"), str_of(cases[i][0])),
            cases[i][1]);
    }
    bench_close(&bench);
}

TEST(a_value_keeps_the_rules_of_its_field_or_is_told_at_once)
{
    struct bench bench;
    bench_open(
        &bench,
        "{\"field\":\"P\",\"from\":\"attributes.p\",\"pattern\":\"([0-9A-F]{2}:){2}[0-9A-F]{2}\","
        "\"upper\":true},"
        "{\"field\":\"E\",\"from\":\"attributes.e\",\"enum\":[\"a\",\"B \"],\"upper\":true,"
        "\"max\":2},"
        "{\"field\":\"N\",\"from\":\"attributes.n\",\"type\":\"integer\"}",
        "");
    static const char *const cases[][2] = {
        {"{\"p\":\"0A:1B:2\"}",
         "/attributes/p: does not look like "
         "([0-9A-F]{2}:){2}[0-9A-F]{2}, as it is needed for the downstream's field P"},
        {"{\"p\":\"x0A:1B:2C\"}",
         "/attributes/p: does not look like "
         "([0-9A-F]{2}:){2}[0-9A-F]{2}, as it is needed for the downstream's field P"},
        {"{\"p\":\"0A:1B:2C\\u0000\"}",
         "/attributes/p: does not look like "
         "([0-9A-F]{2}:){2}[0-9A-F]{2}, as it is needed for the downstream's field P"},
        {"{\"e\":\"C\"}",
         "/attributes/e: is none of the values that the mapping allows for the downstream's "
         "field E"},
        {"{\"n\":2147483648}",
         "/attributes/n: is larger than any number that is kept by the downstream's field N"},
        {"{\"n\":-2147483649}",
         "/attributes/n: is larger than any number that is kept by the downstream's field N"},
        {"{\"n\":99999999999999999999}",
         "/attributes/n: is larger than any number that is kept by the downstream's field N"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK_STR(fault(&bench, cases[i][0]), cases[i][1]);
    }
    CHECK_STR(encode(&bench, "{}", "{\"p\":\"0a:1b:2c\",\"e\":\"b\",\"n\":-2147483648}"),
              "{\"P\":\"0A:1B:2C\",\"E\":\"B\",\"N\":-2147483648}");
    CHECK_STR(encode(&bench, "{\"p\":\"0a:1b:2c\"}", "{\"p\":\"\",\"n\":2147483647}"),
              "{\"P\":\"\",\"N\":2147483647}"); /* empty is what is there without it */
    bench_close(&bench);
}

TEST(a_moment_is_kept_in_whole_seconds_and_written_as_the_protocol_wants_it)
{
    struct bench bench;
    struct sap_compared compared;
    yyjson_val *entity;
    bench_open(&bench,
               "{\"field\":\"S\",\"from\":\"attributes.s\",\"type\":\"datetime\",\"clear\":true}",
               "");
    CHECK_STR(
        fault(&bench, "{\"s\":\"2026-11-22\"}"),
        "/attributes/s: is no moment since 1970 like 2026-11-22T10:00:00Z, as it is needed for the "
        "downstream's field S");
    CHECK_HAS(fault(&bench, "{\"s\":\"1969-12-31T23:59:59Z\"}"), "is no moment since 1970");
    CHECK_HAS(fault(&bench, "{\"s\":1795341600}"), "is no moment since 1970");
    CHECK_STR(encode(&bench, "{}", "{\"s\":\"2026-11-22T11:00:00.999+01:00\"}"),
              "{\"S\":\"/Date(1795341600000+0000)/\"}");
    CHECK_STR(encode(&bench, "{\"s\":\"2026-11-22T10:00:00Z\"}",
                     "{\"s\":\"2026-11-22T11:00:00.5+01:00\"}"),
              "");
    CHECK_STR(encode(&bench, "{\"s\":\"2026-11-22T10:00:00Z\"}", "{}"), "{\"S\":null}");
    bench.config.protocol = SAP_V4;
    CHECK_STR(encode(&bench, "{}", "{\"s\":\"2026-11-22T10:00:00Z\"}"),
              "{\"S\":\"2026-11-22T10:00:00Z\"}");
    CHECK_RC(
        json_read(&bench.arena, STR("{\"S\":\"2026-11-22T10:00:00.0000000Z\"}"), 2, &entity, NULL),
        RC_OK);
    sap_map_compare(&bench.config, &bench.arena, STR("{\"S\":\"/Date(1795341600000+0000)/\"}"),
                    entity, &compared);
    CHECK_INT(compared.same, 1);
    CHECK_INT(compared.different, 0);
    bench_close(&bench);
}

TEST(a_constant_has_the_type_of_its_field)
{
    struct bench bench;
    bench_open(&bench,
               "{\"field\":\"D\",\"const\":12.50,\"type\":\"decimal\",\"scale\":3},"
               "{\"field\":\"N\",\"const\":7,\"type\":\"integer\"},"
               "{\"field\":\"T\",\"const\":\"2026-01-01\",\"type\":\"date\"},"
               "{\"field\":\"F\",\"const\":true,\"type\":\"boolean\"},"
               "{\"field\":\"U\",\"const\":\"kg\",\"upper\":true}",
               "");
    CHECK_STR(
        encode(&bench, "", "{}"),
        "{\"Sort\":\"PUMP-7\",\"D\":\"12.500\",\"N\":7,\"T\":\"/Date(1767225600000)/\",\"F\":true,"
        "\"U\":\"KG\"}");
    CHECK_STR(encode(&bench, "{}", "{\"a\":1}"), "");
    bench_close(&bench);
}

TEST(a_unit_that_is_an_attribute_goes_with_its_amount_and_only_with_it)
{
    struct bench bench;
    bench_open(
        &bench,
        "{\"field\":\"W\",\"from\":\"attributes.w\",\"type\":\"decimal\",\"scale\":1,\"clear\":"
        "true},"
        "{\"field\":\"Unit\",\"from\":\"attributes.u\",\"when\":\"attributes.w\",\"required\":true,"
        "\"enum\":[\"KG\",\"G\"]}",
        ",\"unmapped\":\"refuse\"");
    CHECK_STR(encode(&bench, "", "{\"u\":\"KG\"}"), "{\"Sort\":\"PUMP-7\",\"W\":\"0.0\"}");
    CHECK_STR(encode(&bench, "{\"w\":1,\"u\":\"KG\"}", "{\"w\":2,\"u\":\"KG\"}"),
              "{\"W\":\"2.0\",\"Unit\":\"KG\"}");
    CHECK_STR(encode(&bench, "{\"w\":1,\"u\":\"KG\"}", "{\"w\":1,\"u\":\"G\"}"),
              "{\"Unit\":\"G\"}");
    CHECK_STR(encode(&bench, "{\"w\":1,\"u\":\"KG\"}", "{\"u\":\"KG\"}"), "{\"W\":\"0.0\"}");
    CHECK_STR(fault(&bench, "{\"w\":1}"),
              "/attributes/u: is missing or empty, but required by the downstream's field Unit");
    CHECK_STR(fault(&bench, "{\"w\":1,\"u\":\"LB\"}"),
              "/attributes/u: is none of the values that the mapping allows for the downstream's "
              "field Unit");
    bench_close(&bench);
}
