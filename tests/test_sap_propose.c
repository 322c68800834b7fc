/* A first mapping from a service's description and a sample: which member gets which field, and what a person is told. */
#include <stdio.h>

#include "adapters/sap_likeness.h"
#include "adapters/sap_metadata.h"
#include "adapters/sap_propose.h"
#include "test.h"

struct bench {
    struct arena arena;
    struct call call;
    struct edmx edmx;
    struct edmx_set set;
    struct sample sample;
    struct proposal proposal;
    struct str xml;
};

static void bench_open(struct bench *bench, const char *file)
{
    char path[200], *bytes;
    *bench = (struct bench){0};
    arena_open(&bench->arena, 0);
    bench->call.arena = &bench->arena;
    (void)snprintf(path, sizeof(path), "tests/corpus/metadata/%s", file);
    FILE *stream = fopen(test_source_path(path), "re");
    CHECK(stream);
    bytes = arena_alloc(&bench->arena, 65536);
    bench->xml = (struct str){bytes, fread(bytes, 1, 65536, stream)};
    (void)fclose(stream);
    CHECK_RC(sap_edmx_read(&bench->call, bench->xml, &bench->edmx), RC_OK);
    CHECK_RC(sap_edmx_set(&bench->edmx, &bench->call, STR("Equipment"), &bench->set), RC_OK);
}

static void add(struct bench *bench, const char *document)
{
    CHECK_RC(sap_sample_add(&bench->sample, &bench->call, &bench->arena, str_of(document)), RC_OK);
}

static enum rc propose(struct bench *bench, const char *name_field)
{
    struct propose asked = {
        .head = STR(" \"base_url\": \"https://h/s\",\n \"auth\": {\"type\": \"none\"},\n"),
        .name_field = str_of(name_field)};
    return sap_propose(&asked, &bench->edmx, &bench->set, &bench->sample, &bench->call,
                       &bench->proposal);
}

/* All remarks, one per line; "!" before what must be done. */
static struct str remarks(struct bench *bench)
{
    struct str all = STR("");
    for (int i = 0; i < bench->proposal.remark_count; i++) {
        all = arena_printf(&bench->arena, STR_FMT "%s" STR_FMT "\n", STR_ARG(all),
                           bench->proposal.remarks[i].open ? "! " : "",
                           STR_ARG(bench->proposal.remarks[i].words));
    }
    return all;
}

/* What was proposed is read again, and fits the service. */
static void check_fits(struct bench *bench)
{
    struct sap_config config;
    struct sap_findings findings;
    bench->call.item_count = 0;
    if (sap_config_read(&bench->call, &bench->arena, bench->proposal.json, &config) != RC_OK) {
        FAIL("%s\n" STR_FMT, bench->call.why, STR_ARG(bench->proposal.json));
    }
    CHECK_RC(sap_metadata_compare(&config, &bench->call, bench->xml, &findings), RC_OK);
    for (int i = 0; i < findings.count; i++) {
        if (!findings.items[i].note) {
            FAIL(STR_FMT, STR_ARG(findings.items[i].words));
        }
    }
    sap_config_close(&config);
}

TEST(each_member_gets_the_field_that_says_the_same)
{
    struct bench bench;
    bench_open(&bench, "v2.xml");
    add(&bench, "{\"description\":\"Main pump\",\"serial\":\"ab-1\",\"asset\":{\"room\":\"B1\"},"
                "\"weight_kg\":12.5,\"commissioned\":\"2020-01-02\",\"count\":3,\"is_active\":true,"
                "\"tags\":[1],\"note\":\"x\"}");
    add(&bench, "{\"weight_kg\":\"13.25\",\"company_code\":\"1010\",\"work_center_plant\":\"1\"}");
    CHECK_RC(propose(&bench, ""), RC_OK);
    CHECK_STR(
        bench.proposal.json,
        "{\n \"base_url\": \"https://h/s\",\n \"auth\": {\"type\": \"none\"},\n"
        " \"protocol\": \"v2\",\n \"mapping_version\": 1,\n \"entity\": \"Equipment\",\n"
        " \"key\": [\n  {\"field\": \"Equipment\", \"from\": \"ref\"},\n"
        "  {\"field\": \"ValidityEndDate\", \"const\": \"9999-12-31\", \"type\": \"date\"}],\n"
        " \"resolve\": {\"field\": \"YY1_DEVICE_NAME\", \"from\": \"device_key\"},\n"
        " \"on_missing\": \"create\",\n \"fields\": [\n"
        "  {\"field\": \"YY1_DEVICE_NAME\", \"from\": \"device_key\", \"max\": 256, "
        "\"create_only\": true},\n"
        "  {\"field\": \"EquipmentCategory\", \"const\": \"M\", \"create_only\": true},\n"
        "  {\"field\": \"EquipmentName\", \"from\": \"attributes.description\", \"max\": 40, "
        "\"clear\": true},\n"
        "  {\"field\": \"ManufacturerSerialNumber\", \"from\": \"attributes.serial\", \"max\": 30, "
        "\"upper\": true, \"clear\": true},\n"
        "  {\"field\": \"AssetRoom\", \"from\": \"attributes.asset.room\", \"max\": 8, \"clear\": "
        "true},\n"
        "  {\"field\": \"GrossWeight\", \"from\": \"attributes.weight_kg\", \"type\": "
        "\"decimal\", \"max\": 13, \"scale\": 3, \"clear\": true},\n"
        "  {\"field\": \"GrossWeightUnit\", \"const\": \"KG\", \"when\": "
        "\"attributes.weight_kg\"},\n"
        "  {\"field\": \"OperationStartDate\", \"from\": \"attributes.commissioned\", \"type\": "
        "\"date\", \"clear\": true},\n"
        "  {\"field\": \"Count\", \"from\": \"attributes.count\", \"type\": \"integer\", \"max\": "
        "4, \"clear\": true},\n"
        "  {\"field\": \"IsActive\", \"from\": \"attributes.is_active\", \"type\": \"boolean\", "
        "\"clear\": true},\n"
        "  {\"field\": \"CompanyCode\", \"from\": \"attributes.company_code\", \"max\": 4}\n"
        " ]\n}\n");
    CHECK_STR(remarks(&bench),
              "EquipmentCategory is M (machines): ask which one your devices have\n"
              "/attributes/tags: no field of Equipment takes an array\n"
              "/attributes/note: no field of Equipment says the same; it stays in hourbell only\n"
              "/attributes/work_center_plant: no field of Equipment says the same; it stays in "
              "hourbell only\n"); /* that one cannot be created */
    CHECK_INT(bench.proposal.mapped, 8);
    CHECK_INT(bench.proposal.unmapped, 3);
    check_fits(&bench);
    arena_close(&bench.arena);
}

TEST(a_service_of_v4_gets_its_mapping_too)
{
    struct bench bench;
    bench_open(&bench, "v4.xml");
    add(&bench,
        "{\"GrossWeight\":1.25,\"gross_weight_unit\":\"KG\",\"a.b\":{\"asset/room\":\"x\"},"
        "\"equipment_name\":\"a name that is longer than the forty characters of the field\"}");
    CHECK_RC(propose(&bench, ""), RC_OK);
    CHECK_HAS(bench.proposal.json, "\"protocol\": \"v4\"");
    CHECK_HAS(bench.proposal.json,
              "{\"field\": \"GrossWeight\", \"from\": \"attributes.GrossWeight\", "
              "\"type\": \"decimal\", \"max\": 13, \"scale\": 2, \"clear\": true}");
    CHECK_HAS(
        bench.proposal.json,
        "{\"field\": \"GrossWeightUnit\", \"from\": \"attributes.gross_weight_unit\", \"max\": 3, "
        "\"when\": \"attributes.GrossWeight\"}");
    CHECK_HAS(bench.proposal.json, "\"from\": \"/attributes/a.b/asset~1room\"");
    CHECK_HAS(remarks(&bench),
              "/attributes/equipment_name: the longest of the sample has 60 characters, "
              "EquipmentName holds 40: longer ones are refused");
    check_fits(&bench);
    arena_close(&bench.arena);
}

TEST(what_nobody_can_know_is_left_to_a_person)
{
    struct bench bench;
    bench_open(&bench, "v2.xml");
    add(&bench, "{\"weight\":1}");
    CHECK_RC(propose(&bench, "ManufacturerSerialNumber"), RC_OK);
    CHECK_HAS(bench.proposal.json,
              "{\"field\": \"ManufacturerSerialNumber\", \"from\": "
              "\"device_name\", \"max\": 30, \"upper\": true, \"create_only\": true}");
    CHECK_HAS(bench.proposal.json, "\"from\": \"device_name\", \"upper\": true},\n \"on_missing\"");
    CHECK_HAS(remarks(&bench), "ManufacturerSerialNumber holds 30 characters of a device's name");
    CHECK_HAS(remarks(&bench),
              "! GrossWeightUnit: say in which unit /attributes/weight is: it is ? now");
    check_fits(&bench);
    CHECK_RC(propose(&bench, "NoSuchField"), RC_NOT_FOUND);
    CHECK_HAS(str_of(bench.call.why), "the service has no field NoSuchField");
    CHECK_RC(sap_edmx_set(&bench.edmx, &bench.call, STR("Other"), &bench.set), RC_OK);
    CHECK_RC(propose(&bench, ""), RC_NOT_FOUND);
    CHECK_HAS(str_of(bench.call.why), "no field of Other can be seen to hold the device's name");
    arena_close(&bench.arena);
}

TEST(names_are_alike_by_what_they_say)
{
    static const struct {
        const char *pointer, *property;
        int least, most;
    } cases[] = {
        {"/serialNumber", "SerialNumber", 100, 100},
        {"/serial_number", "ManufacturerSerialNumber", 80, 80},
        {"/vendor", "YY1_DEVICE_VENDOR", 100, 100},
        {"/vendor", "AssetManufacturerName", 80, 80},
        {"/location/building", "AssetLocation", 80, 80},
        {"/gross/weight_kg", "GrossWeight", 100, 100},
        {"/abc_indicator", "ABCIndicator", 100, 100},
        {"/room", "CostCenter", 0, 0},
        {"/cost_of_repair", "CostCenter", 1, 29},
        {"/kg", "GrossWeight", 0, 0},
        {"/", "GrossWeight", 0, 0},
    };
    struct arena arena;
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int is = sap_likeness(&arena, str_of(cases[i].pointer), str_of(cases[i].property));
        if (is < cases[i].least || is > cases[i].most) {
            FAIL("%s %s: %d", cases[i].pointer, cases[i].property, is);
        }
    }
    CHECK_STR(sap_likeness_unit(&arena, STR("/size/height_mm")), "MM");
    CHECK_STR(sap_likeness_unit(&arena, STR("/m")), "");
    arena_close(&arena);
}

TEST(a_sample_beyond_its_cap_is_looked_at_as_far_as_it_goes)
{
    struct bench bench;
    struct text document;
    bench_open(&bench, "v2.xml");
    text_open(&document, &bench.arena, 65536);
    for (int i = 0; i < SAMPLE_MEMBERS_MAX + 1; i++) {
        text_printf(&document, "%s\"m%d\":%d", i ? "," : "{", i, i);
    }
    text_add(&document, STR("}"));
    CHECK_RC(sap_sample_add(&bench.sample, &bench.call, &bench.arena, text_str(&document)), RC_OK);
    CHECK_INT(bench.sample.count, SAMPLE_MEMBERS_MAX);
    CHECK(bench.sample.more);
    CHECK_RC(propose(&bench, ""), RC_OK);
    CHECK_RC(sap_sample_add(&bench.sample, &bench.call, &bench.arena, STR("[]")), RC_INVALID);
    arena_close(&bench.arena);
}
