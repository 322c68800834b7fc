/* A service's description against the mapping: what is read of V2 and V4, and what is found. */
#include <stdio.h>

#include "adapters/downstream_odata.h"
#include "adapters/sap_metadata.h"
#include "fixture_sap.h"

struct bench {
    struct arena arena;
    struct call call;
    struct sap_config config;
    struct edmx edmx;
    struct edmx_set set;
    struct sap_findings findings;
};

static void bench_open(struct bench *bench)
{
    *bench = (struct bench){0};
    arena_open(&bench->arena, 0);
    bench->call.arena = &bench->arena;
}

static struct str corpus(struct bench *bench, const char *name)
{
    static char path[200];
    (void)snprintf(path, sizeof(path), "tests/corpus/metadata/%s", name);
    FILE *file = fopen(test_source_path(path), "re");
    CHECK(file);
    char *bytes = arena_alloc(&bench->arena, 65536);
    size_t size = fread(bytes, 1, 65536, file);
    (void)fclose(file);
    return (struct str){bytes, size};
}

static struct str replaced(struct bench *bench, struct str text, const char *from, const char *to)
{
    const char *at = memmem(text.s, text.len, from, strlen(from));
    CHECK(at);
    size_t before = (size_t)(at - text.s), after = before + strlen(from);
    return arena_printf(&bench->arena, STR_FMT "%s" STR_FMT, STR_ARG(str_head(text, before)), to,
                        STR_ARG(str_from(text, after)));
}

static void read_set(struct bench *bench, const char *file, const char *set)
{
    CHECK_RC(sap_edmx_read(&bench->call, corpus(bench, file), &bench->edmx), RC_OK);
    CHECK_RC(sap_edmx_set(&bench->edmx, &bench->call, str_of(set), &bench->set), RC_OK);
}

static const struct edmx_property *property(const struct bench *bench, const char *name)
{
    const struct edmx_property *found = sap_edmx_property(&bench->set, str_of(name));
    CHECK(found);
    return found;
}

/* "max precision scale flags", flags: k key, m must, c creatable, u updatable, f filterable, U upper case */
static struct str seen(struct bench *bench, const char *name)
{
    const struct edmx_property *is = property(bench, name);
    return arena_printf(&bench->arena, STR_FMT " %d %d %d %s%s%s%s%s%s", STR_ARG(is->type),
                        (int)is->max, (int)is->precision, (int)is->scale, is->key ? "k" : "",
                        is->must ? "m" : "", is->creatable ? "c" : "", is->updatable ? "u" : "",
                        is->filterable ? "f" : "", is->upper ? "U" : "");
}

TEST(metadata_of_v2_is_read_with_saps_annotations)
{
    struct bench bench;
    bench_open(&bench);
    read_set(&bench, "v2.xml", "Equipment");
    CHECK_INT(bench.edmx.protocol, SAP_V2);
    CHECK_INT(bench.edmx.set_count, 3);
    CHECK(bench.set.creatable && bench.set.updatable);
    CHECK_INT(bench.set.property_count, 15); /* one of them by derivation */
    CHECK_STR(seen(&bench, "Equipment"), "Edm.String 18 0 0 kmcfU");
    CHECK_STR(seen(&bench, "ValidityEndDate"), "Edm.DateTime 0 0 0 kmf");
    CHECK_STR(seen(&bench, "EquipmentName"), "Edm.String 40 0 0 cuf");
    CHECK_STR(seen(&bench, "ManufacturerSerialNumber"), "Edm.String 30 0 0 cufU");
    CHECK_STR(seen(&bench, "GrossWeight"), "Edm.Decimal 0 13 3 cuf");
    CHECK_STR(property(&bench, "GrossWeight")->unit, "GrossWeightUnit");
    CHECK_STR(seen(&bench, "CreationDate"), "Edm.DateTime 0 0 0 f");
    CHECK_STR(seen(&bench, "WorkCenterPlant"), "Edm.String 4 0 0 u");
    CHECK_STR(seen(&bench, "CompanyCode"), "Edm.String 4 0 0 mcuf");
    CHECK_STR(seen(&bench, "AssetRoom"), "Edm.String 8 0 0 cuf");
    CHECK_RC(sap_edmx_set(&bench.edmx, &bench.call, STR("OldEquipment"), &bench.set), RC_OK);
    CHECK(!bench.set.creatable && !bench.set.updatable);
    CHECK_RC(sap_edmx_set(&bench.edmx, &bench.call, STR("EquipmentType"), &bench.set),
             RC_NOT_FOUND);
    arena_close(&bench.arena);
}

TEST(metadata_of_v4_is_read_with_its_annotations_wherever_they_stand)
{
    struct bench bench;
    bench_open(&bench);
    read_set(&bench, "v4.xml", "Equipment");
    CHECK_INT(bench.edmx.protocol, SAP_V4);
    CHECK(bench.set.creatable && bench.set.updatable);
    CHECK_STR(seen(&bench, "Equipment"), "Edm.String 18 0 0 kcfU");
    CHECK_STR(seen(&bench, "ValidityEndDate"), "Edm.Date 0 0 0 kf");
    CHECK_STR(seen(&bench, "EquipmentName"), "Edm.String 40 0 0 cuf"); /* by its type definition */
    CHECK_STR(seen(&bench, "ManufacturerSerialNumber"), "Edm.String 30 0 0 cufU");
    CHECK_STR(seen(&bench, "GrossWeight"), "Edm.Decimal 0 13 -1 cuf");
    CHECK_STR(property(&bench, "GrossWeight")->unit, "GrossWeightUnit");
    CHECK_STR(seen(&bench, "EquipmentCategory"), "Edm.String 1 0 0 cf");
    CHECK_STR(seen(&bench, "CreationDate"), "Edm.Date 0 0 0 f");
    CHECK_STR(seen(&bench, "AssetRoom"), "Edm.String 8 0 0 cuf");
    CHECK_STR(seen(&bench, "WorkCenterPlant"), "Edm.String 4 0 0 f");
    CHECK_STR(seen(&bench, "CompanyCode"), "Edm.String 4 0 0 mcuf");
    CHECK_STR(seen(&bench, "Note"), "Edm.String 0 0 0 cu");
    CHECK_RC(sap_edmx_set(&bench.edmx, &bench.call, STR("OldEquipment"), &bench.set), RC_OK);
    CHECK(!bench.set.creatable && !bench.set.updatable);
    CHECK_STR(seen(&bench, "EquipmentCategory"), "Edm.String 1 0 0 cuf"); /* another set's rule */
    arena_close(&bench.arena);
}

TEST(what_is_no_metadata_is_told_with_its_line)
{
    static const char *const cases[][2] = {
        {"", "the service's $metadata is no metadata: line 1: no element found"},
        {"<html>\n<body></html>", "the service's $metadata is no metadata: line 2: mismatched tag"},
        {"<html></html>", "the service's $metadata is no metadata: it is no Edmx document"},
        {"<Edmx Version=\"4.0\"/>", "the service's $metadata is no metadata: it has no types"},
        {"{\"d\":{}}", "the service's $metadata is no metadata: line 1: not well-formed (invalid "
                       "token)"},
        {"<!DOCTYPE a [<!ENTITY b \"b\">]>\n<Edmx Version=\"1.0\">&b;</Edmx>",
         "the service's $metadata is no metadata: line 1: it has a document type definition"},
    };
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bench.call.why[0] = 0;
        CHECK_RC(sap_edmx_read(&bench.call, str_of(cases[i][0]), &bench.edmx), RC_BROKEN);
        CHECK_STR(str_of(bench.call.why), cases[i][1]);
    }
    arena_close(&bench.arena);
}

TEST(metadata_beyond_every_cap_is_refused_not_fatal)
{
    static char xml[(size_t)4 << 20];
    static const char *const pieces[] = {
        "<EntityType Name=\"T\"/>", "<EntitySet Name=\"S\"/>",
        "<Annotations Target=\"a/b\"><Annotation Term=\"Unit\"/></Annotations>"};
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        size_t size = (size_t)snprintf(xml, sizeof(xml), "<Edmx Version=\"1.0\">");
        while (size + 100 < sizeof(xml)) {
            memcpy(xml + size, pieces[i], strlen(pieces[i]));
            size += strlen(pieces[i]);
        }
        CHECK_RC(sap_edmx_read(&bench.call, (struct str){xml, size}, &bench.edmx), RC_BROKEN);
        CHECK_HAS(str_of(bench.call.why), "it is larger than any service's");
    }
    size_t size = (size_t)snprintf(xml, sizeof(xml), "<Edmx Version=\"1.0\"><EntityType Name=\"");
    memset(xml + size, 'x', 1000);
    size += 1000;
    size += (size_t)snprintf(xml + size, 100, "\"/></Edmx>");
    CHECK_RC(sap_edmx_read(&bench.call, (struct str){xml, size}, &bench.edmx), RC_BROKEN);
    CHECK_HAS(str_of(bench.call.why), "a name is longer than any");
    arena_close(&bench.arena);
}

/* ---- against a mapping ---------------------------------------------------------------------------------------------- */

static const char mapping_v2[] =
    "{\"base_url\":\"http://127.0.0.1/x\",\"mapping_version\":1,\"auth\":{\"type\":\"none\"},\n"
    "\"entity\":\"Equipment\",\"on_missing\":\"create\",\n"
    "\"key\":[{\"field\":\"Equipment\",\"from\":\"ref\"},\n"
    "{\"field\":\"ValidityEndDate\",\"const\":\"9999-12-31\",\"type\":\"date\"}],\n"
    "\"resolve\":{\"field\":\"YY1_DEVICE_NAME\",\"from\":\"device_key\"},\"fields\":[\n"
    "{\"field\":\"YY1_DEVICE_NAME\",\"from\":\"device_key\",\"max\":256,\"create_only\":true},\n"
    "{\"field\":\"CompanyCode\",\"const\":\"1010\"},\n"
    "{\"field\":\"ManufacturerSerialNumber\",\"from\":\"attributes.serial\",\"max\":30,"
    "\"upper\":true},\n"
    "{\"field\":\"GrossWeight\",\"from\":\"attributes.w\",\"type\":\"decimal\",\"max\":13,"
    "\"scale\":3}]}";

/* Compare the mapping with one part of it and one of the metadata replaced: "line pointer: words" of each finding. */
static struct str compared(struct bench *bench, const char *from, const char *to,
                           const char *xml_from, const char *xml_to)
{
    struct str json = replaced(bench, str_of(mapping_v2), from, to);
    struct str xml = replaced(bench, corpus(bench, "v2.xml"), xml_from, xml_to);
    struct str all = STR("");
    bench->call.item_count = 0;
    CHECK_RC(sap_config_read(&bench->call, &bench->arena, json, &bench->config), RC_OK);
    CHECK_RC(sap_metadata_compare(&bench->config, &bench->call, xml, &bench->findings), RC_OK);
    for (int i = 0; i < bench->findings.count; i++) {
        const struct sap_finding *one = &bench->findings.items[i];
        all = arena_printf(&bench->arena, STR_FMT "%s%s%d " STR_FMT ": " STR_FMT, STR_ARG(all),
                           all.len ? "\n" : "", one->note ? "note " : "",
                           json_line(&bench->arena, json, one->pointer), STR_ARG(one->pointer),
                           STR_ARG(one->words));
    }
    return all;
}

#define WEIGHT                                                                                     \
    "{\"field\":\"GrossWeight\",\"from\":\"attributes.w\",\"type\":\"decimal\",\"max\":13,"        \
    "\"scale\":3}"

TEST(each_thing_that_does_not_fit_is_found_with_the_line_of_the_mapping)
{
    static const struct {
        const char *from, *to, *xml_from, *xml_to, *found;
    } cases[] = {
        {"{", "{", "<", "<", ""},
        {"\"Equipment\",\"on", "\"Equipmnt\",\"on", "<", "<",
         "2 /entity: Equipmnt: the service has no such entity set (it has Equipment)"},
        {"\"Equipment\",\"on", "\"Pumps\",\"on", "<", "<",
         "2 /entity: Pumps: the service has no such entity set"},
        {"{", "{", "Edmx Version=\"1.0\"", "Edmx Version=\"4.0\"",
         "1 /protocol: the service speaks v4, the mapping says v2"},
        {"{", "{", "sap:deletable", "sap:creatable=\"false\" sap:updatable",
         "2 /on_missing: Equipment: the service creates none: say \"on_missing\": \"fail\"\n"
         "2 /entity: Equipment: the service updates none"},
        {"\"Equipment\",\"from\":\"ref\"", "\"EquipmentName\",\"from\":\"ref\"", "<", "<",
         "3 /key/0/field: EquipmentName: is no part of the service's key\n"
         "3 /key: Equipment is a part of the service's key, and missing here"},
        {",\n{\"field\":\"ValidityEndDate\",\"const\":\"9999-12-31\",\"type\":\"date\"}", "", "<",
         "<", "3 /key: ValidityEndDate is a part of the service's key, and missing here"},
        {",\"type\":\"date\"", "", "<", "<",
         "4 /key/1/type: ValidityEndDate: its type does not fit, the service has it as "
         "Edm.DateTime"},
        {"{", "{", "MaxLength=\"256\"", "MaxLength=\"256\" sap:filterable=\"false\"",
         "5 /resolve/field: YY1_DEVICE_NAME: the service does not search by it"},
        {"{", "{", "MaxLength=\"256\"", "MaxLength=\"256\" sap:display-format=\"UpperCase\"",
         "5 /resolve/upper: YY1_DEVICE_NAME: the service makes it upper case, so a name is not "
         "found again: say \"upper\": true\n"
         "6 /fields/0/upper: YY1_DEVICE_NAME: the service makes it upper case: say \"upper\": "
         "true"},
        {"{", "{", "MaxLength=\"256\"", "MaxLength=\"25\"",
         "6 /fields/0/max: YY1_DEVICE_NAME: max is 256, the service holds 25: say \"max\": 25"},
        {"\"max\":256,", "", "<", "<",
         "6 /fields/0/max: YY1_DEVICE_NAME: max is 0, the service holds 256: say \"max\": 256"},
        {"\"1010\"", "\"10100\"", "<", "<",
         "7 /fields/1/const: CompanyCode: the constant has 5 characters, the service holds 4"},
        {"ManufacturerSerialNumber", "ManufacturerSerialNummer", "<", "<",
         "8 /fields/2/field: ManufacturerSerialNummer: the service has no such field (it has "
         "ManufacturerSerialNumber)"},
        {",\"upper\":true", "", "<", "<",
         "8 /fields/2/upper: ManufacturerSerialNumber: the service makes it upper case: say "
         "\"upper\": true"},
        {"{", "{", "MaxLength=\"30\" sap:display-format=\"UpperCase\"", "MaxLength=\"30\"",
         "note 8 /fields/2/upper: ManufacturerSerialNumber: the service does not say that it makes "
         "it upper case; what is sent is all the same upper case"},
        {"\"scale\":3", "\"scale\":4", "<", "<",
         "9 /fields/3/scale: GrossWeight: scale is 4, the service keeps 3 digits behind the "
         "point"},
        {"\"max\":13", "\"max\":14", "<", "<",
         "9 /fields/3/max: GrossWeight: max is 14, the service keeps 10 digits before the point: "
         "say \"max\": 13"},
        {"\"max\":13,", "", "<", "<",
         "9 /fields/3/max: GrossWeight: max is 0, the service keeps 10 digits before the point: "
         "say \"max\": 13"},
        {WEIGHT, "{\"field\":\"GrossWeight\",\"from\":\"attributes.w\"}", "<", "<",
         "9 /fields/3/type: GrossWeight: its type does not fit, the service has it as "
         "Edm.Decimal"},
        {WEIGHT, "{\"field\":\"CreationDate\",\"from\":\"attributes.c\",\"type\":\"date\"}", "<",
         "<", "9 /fields/3/field: CreationDate: the service only shows it, nobody can set it"},
        {WEIGHT, "{\"field\":\"WorkCenterPlant\",\"from\":\"attributes.c\",\"max\":4}", "<", "<",
         "9 /fields/3/field: WorkCenterPlant: the service does not take it at a create"},
        {WEIGHT,
         "{\"field\":\"WorkCenterPlant\",\"from\":\"attributes.c\",\"max\":4,\"create_only\":"
         "true}",
         "<", "<",
         "9 /fields/3/field: WorkCenterPlant: the service takes it in updates only, so with "
         "create_only it is never sent"},
        {WEIGHT, "{\"field\":\"EquipmentCategory\",\"const\":\"M\"}", "<", "<",
         "9 /fields/3/create_only: EquipmentCategory: the service does not update it: say "
         "\"create_only\": true"},
        {WEIGHT, "{\"field\":\"Count\",\"from\":\"attributes.c\",\"type\":\"integer\"}", "<", "<",
         "9 /fields/3/max: Count: max is 0, the service has it as Edm.Int16: say \"max\": 4"},
        {WEIGHT,
         "{\"field\":\"OperationStartDate\",\"from\":\"attributes.c\",\"type\":\"date\","
         "\"clear\":true}",
         "\"OperationStartDate\" Type=\"Edm.DateTime\"",
         "\"OperationStartDate\" Type=\"Edm.DateTime\" Nullable=\"false\" DefaultValue=\"0\"",
         "9 /fields/3/clear: OperationStartDate: the service cannot have none: leave clear out"},
        {"CompanyCode\",\"const\":\"1010\"", "AssetRoom\",\"const\":\"B1\"", "<", "<",
         "note 5 /fields: CompanyCode is not mapped; the service calls it mandatory at a create"},
    };
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str is =
            compared(&bench, cases[i].from, cases[i].to, cases[i].xml_from, cases[i].xml_to);
        if (!str_is(is, cases[i].found)) {
            FAIL("case %zu: " STR_FMT, i, STR_ARG(is));
        }
        CHECK_INT(bench.findings.wrong > 0, strstr(cases[i].found, "note") == NULL && is.len > 0);
    }
    arena_close(&bench.arena);
}

TEST(a_mapping_for_v4_is_held_against_v4s_types)
{
    struct bench bench;
    bench_open(&bench);
    struct str xml = corpus(&bench, "v4.xml");
    CHECK_RC(sap_config_read(&bench.call, &bench.arena, str_of(mapping_v2), &bench.config), RC_OK);
    bench.config.protocol = SAP_V4;
    CHECK_RC(sap_metadata_compare(&bench.config, &bench.call, xml, &bench.findings), RC_OK);
    CHECK_INT(bench.findings.count, 0);
    bench.config.fields[3].scale = 14;
    CHECK_RC(sap_metadata_compare(&bench.config, &bench.call, xml, &bench.findings), RC_OK);
    CHECK_INT(bench.findings.wrong, 1);
    CHECK_STR(bench.findings.items[0].pointer, "/fields/3/scale");
    arena_close(&bench.arena);
}

/* The demonstration's mapping, in both versions, over the mock's own description. */
TEST(the_mocks_description_fits_the_mapping_of_the_demonstration_in_both_versions)
{
    struct bench bench;
    bench_open(&bench);
    for (int v4 = 0; v4 < 2; v4++) {
        struct fixture_sap fixture;
        struct outcome outcome;
        struct str xml, mapping = str_of(downstream_mock_mapping);
        mapping = v4 ? fixture_sap_as_v4(&bench.arena, mapping) : mapping;
        fixture_sap_open(&fixture, arena_copy(&bench.arena, mapping).s, NULL);
        downstream_check(fixture.downstream, &fixture.call, &fixture.world, &outcome);
        CHECK_INT(outcome.class, OUTCOME_EFFECT);
        size_t asked = sap_mock_log_count(fixture.sap);
        downstream_odata_metadata(fixture.downstream, &fixture.call, &fixture.world, &outcome,
                                  &xml);
        CHECK_STR(outcome.code, "DONE");
        CHECK_INT(sap_mock_log_count(fixture.sap), asked + 1); /* one session for both */
        CHECK_INT(fixture_sap_writes(&fixture), 0);
        CHECK_RC(sap_metadata_compare(downstream_mock_config(fixture.downstream), &bench.call, xml,
                                      &bench.findings),
                 RC_OK);
        for (int i = 0; i < bench.findings.count; i++) {
            FAIL("v%d: " STR_FMT, v4 ? 4 : 2, STR_ARG(bench.findings.items[i].words));
        }
        fixture_sap_close(&fixture);
    }
    arena_close(&bench.arena);
}
