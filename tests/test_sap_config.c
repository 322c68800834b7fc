/* downstream.json: what is taken, what is refused, and that the repository's own file is the demonstration's mapping. */
#include "adapters/downstream_file.h"
#include "adapters/downstream_mock.h"
#include "fixture_sap.h"

struct bench {
    struct arena arena;
    struct call call;
};

static void bench_open(struct bench *bench)
{
    *bench = (struct bench){0};
    arena_open(&bench->arena, 0);
    bench->call.arena = &bench->arena;
}

/* The mapping of the demonstration with one part replaced: "pointer: detail" of the first fault, "" = taken. */
static struct str refused(struct bench *bench, const char *from, const char *to)
{
    struct sap_config config;
    struct str json = arena_copy(&bench->arena, str_of(fixture_sap_mapping(from, to)));
    bench->call.item_count = 0;
    if (sap_config_read(&bench->call, &bench->arena, json, &config) == RC_OK) {
        sap_config_close(&config);
        return STR("");
    }
    const struct problem_item *item = &bench->call.items[0];
    return arena_printf(&bench->arena, STR_FMT ": " STR_FMT, STR_ARG(item->pointer),
                        STR_ARG(item->detail));
}

/* P10 */
TEST(what_is_wrong_in_a_mapping_is_named_with_its_place)
{
    static const char *const cases[][3] = {
        {"{\"downstream\"", "[{\"downstream\"", ""},
        {"\"entity\":\"Equipment\"", "\"entity\":\"Equip ment\"",
         "/entity: must be a name of letters, digits and _"},
        {"\"entity\":\"Equipment\",", "", "/entity: is missing"},
        {"\"entity\":\"Equipment\"", "\"entity\":7", "/entity: must be a text"},
        {"\"verb\":\"PATCH\"", "\"verb\":\"PUT\"", "/verb: must be one of: PATCH, MERGE, tunnel"},
        {"\"verb\":\"PATCH\"", "\"werb\":\"PATCH\"", "/werb: is unknown"},
        {"\"protocol\":\"v2\"", "\"protocol\":\"v3\"", "/protocol: must be one of: v2, v4"},
        {"{\"type\":\"none\"}", "{\"type\":\"bearer\",\"token\":\"abc\"}",
         "/auth/token: must name a secret, like secret:sap/user; never the secret itself"},
        {"\"mapping_version\":1", "\"mapping_version\":0",
         "/mapping_version: must be a number from 1 to 2147483647"},
        {"\"mapping_version\":1,", "", "/mapping_version: is missing"},
        {"http://127.0.0.1:8181", "http://sap.example",
         "/base_url: plain http:// shows secrets to the network; https://, or \"allow_http\": "
         "true"},
        {"http://127.0.0.1:8181", "https://user:pw@sap.example",
         "/base_url: must be an address without user, query, fragment, blanks, and slash at its "
         "end"},
        {"http://127.0.0.1:8181", "ftp://sap.example",
         "/base_url: must begin with https:// (or http://)"},
        {"API_EQUIPMENT\"", "API_EQUIPMENT/\"",
         "/base_url: must be an address without user, query, fragment, blanks, and slash at its "
         "end"},
        {"{\"type\":\"none\"}", "{\"type\":\"basic\",\"user\":\"sap\",\"password\":\"secret:x\"}",
         "/auth/user: must name a secret, like secret:sap/user; never the secret itself"},
        {"{\"type\":\"none\"}", "{\"type\":\"basic\",\"user\":\"secret:u\"}",
         "/auth/password: is missing"},
        {"{\"type\":\"none\"}", "{}", "/auth/type: is missing"},
        {"{\"type\":\"none\"}",
         "{\"type\":\"oauth2_client_credentials\",\"client_id\":\"secret:a\",\"client_secret\":"
         "\"secret:b\",\"token_url\":\"http://idp.example/t\"}",
         "/auth/token_url: plain http:// shows secrets to the network; https://, or "
         "\"allow_http\": true"},
        {"\"query\":{\"sap-client\":\"100\"}", "\"query\":{\"$top\":\"1\"}",
         "/query: must be an object of texts, none of OData's $ options"},
        {"\"from\":\"ref\"", "\"const\":\"1\"",
         "/key: exactly one part is \"from\": \"ref\": the number that the downstream gives"},
        {"\"const\":\"9999-12-31\"", "\"const\":\"9999-12-32\"",
         "/key/1/type: must be string, or date with a const like 9999-12-31"},
        {"\"resolve\":{\"field\":\"YY1_DEVICE_NAME\"", "\"resolve\":{\"field\":\"EquipmentName\"",
         "/resolve/field: on_missing create needs this field among `fields`, with the same from "
         "and upper, or what it makes is not found again"},
        {"\"from\":\"attributes.vendor\"", "\"from\":\"vendor\"",
         "/fields/3/from: must be device_name, device_key, attributes.<name> or "
         "/attributes/<name>"},
        {"\"from\":\"attributes.vendor\"", "\"from\":\"attributes..vendor\"",
         "/fields/3/from: must be device_name, device_key, attributes.<name> or "
         "/attributes/<name>"},
        {"{\"field\":\"YY1_DEVICE_VENDOR\"", "{\"field\":\"EquipmentName\"",
         "/fields/3/field: is mapped twice"},
        {"{\"field\":\"YY1_DEVICE_VENDOR\"", "{\"field\":\"ValidityEndDate\"",
         "/fields: ValidityEndDate is a part of the key: it goes into addresses, never into a body "
         "(the number itself may, with create_only)"},
        {"\"max\":256,\"create_only\":true", "\"max\":256",
         "/fields/0/create_only: a name never changes and is never cut: create_only must be true, "
         "overflow must not be cut"},
        {"\"const\":\"KG\",", "\"const\":\"KG\",\"from\":\"attributes.a\",",
         "/fields/10/from: either from or const must be given"},
        {"\"scale\":3", "\"scale\":16", "/fields/9/scale: must be a number from 0 to 15"},
        {"\"map\":{\"berlin\":\"1010\"", "\"map\":{\"berlin\":1010",
         "/fields/12/map: must be an object of texts"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"map\":{\"a\":\"b\",\"c\":1}",
         "/fields/3/map: must be an object of texts"},
        {"\"attributes.vendor\",\"max\":256", "\"attributes.vendor\",\"max\":3,\"enum\":[\"a\",1]",
         "/fields/3/enum: must be an array of texts"},
        {"\"read_before_write\":true", "\"read_before_write\":false",
         "/read_before_write: false means to overwrite blindly: say \"concurrency\": \"overwrite\" "
         "as well"},
        {"\"unmapped\":\"keep\"", "\"errors\":{\"retry_text\":[7]}",
         "/errors/retry_text: must be an array of texts"},
        {"\"unmapped\":\"keep\"", "\"errors\":{\"retry\":[]}", "/errors/retry: is unknown"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"pattern\":\"[0-9\"",
         "/fields/3/pattern: is no extended regular expression of POSIX"},
        {"\"attributes.vendor\",\"max\":256", "\"attributes.vendor\",\"max\":3,\"pattern\":\"a)\"",
         "/fields/3/pattern: has a ) without its ("},
        {"\"attributes.vendor\",\"max\":256", "\"attributes.vendor\",\"max\":3,\"pattern\":\"(a\"",
         "/fields/3/pattern: has a ( without its )"},
        {"\"attributes.vendor\",\"max\":256", "\"attributes.vendor\",\"max\":3,\"pattern\":\"\"",
         "/fields/3/pattern: has more than 256 characters, or none"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"pattern\":\"\\\\w+\"",
         "/fields/3/pattern: has an escape that is none of punctuation"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"pattern\":\"a{x}\"",
         "/fields/3/pattern: has a { that is no count"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"pattern\":\"\\u00e4\"",
         "/fields/3/pattern: has a character that is not ASCII"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"pattern\":\"((a{50})+{50})?\"",
         "/fields/3/pattern: stands for too much with all its counts"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"enum\":[\"a\",\"long\"]",
         "/fields/3/enum: long is longer than max"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"enum\":[\"a\"],\"map\":{\"a\":\"b\"}",
         "/fields/3/enum: map says already what may come"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"map\":{\"a\":\"b\",\"c/d\":\"long\"}",
         "/fields/3/map/c~1d: has 4 characters, at most 3 fit into the downstream's field "
         "YY1_DEVICE_VENDOR"},
        {"\"attributes.vendor\",\"max\":256",
         "\"attributes.vendor\",\"max\":3,\"type\":\"decimal\",\"upper\":true",
         "/fields/3/type: map, enum, pattern, upper, alpha and overflow cut go with type string"},
        {"\"attributes.vendor\",\"max\":256", "\"attributes.vendor\",\"max\":3,\"when\":\"vendor\"",
         "/fields/3/when: goes with const or an attribute, and is attributes.<name> or "
         "/attributes/<name>"},
        {"\"const\":\"KG\"", "\"const\":null",
         "/fields/10/const: must be a text, a number, true or false"},
        {"\"const\":\"KG\"", "\"const\":\"POUND\"",
         "/fields/10/const: has 5 characters, at most 3 fit into the downstream's field "
         "GrossWeightUnit"},
        {"\"const\":\"KG\"", "\"const\":[]",
         "/fields/10/const: is an object or an array, not the one value that fits into the "
         "downstream's field GrossWeightUnit"},
        {"\"const\":\"KG\"", "\"type\":\"date\",\"const\":\"KG\"",
         "/fields/10/const: is no date like 2026-11-22, as it is needed for the downstream's field "
         "GrossWeightUnit"},
    };
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct str is = refused(&bench, cases[i][0], cases[i][1]);
        if (cases[i][2][0] ? !str_is(is, cases[i][2]) : is.len == 0) {
            FAIL("case %zu: " STR_FMT, i, STR_ARG(is));
        }
    }
    arena_close(&bench.arena);
}

TEST(odata_v4_knows_no_verb_but_patch)
{
    static const char *const verbs[] = {"\"verb\":\"PATCH\"", "\"verb\":\"MERGE\"",
                                        "\"verb\":\"tunnel\""};
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(verbs); i++) {
        struct sap_config config;
        struct str json = str_of(fixture_sap_mapping("\"verb\":\"PATCH\"", verbs[i]));
        bench.call.item_count = 0;
        json = fixture_sap_as_v4(&bench.arena, json);
        CHECK_RC(sap_config_read(&bench.call, &bench.arena, json, &config), i ? RC_INVALID : RC_OK);
        CHECK_STR(i ? bench.call.items[0].pointer : STR("/verb"), "/verb");
    }
    arena_close(&bench.arena);
}

TEST(what_is_right_in_a_mapping_is_taken)
{
    static const char *const cases[][2] = {
        {"http://127.0.0.1:8181", "http://localhost"},
        {"http://127.0.0.1:8181", "http://[::1]:9"},
        {"http://127.0.0.1:8181", "https://sap.example:44300"},
        {"\"csrf\":\"auto\"", "\"allow_http\":true,\"base\":1"},
        {"{\"type\":\"none\"}",
         "{\"type\":\"basic\",\"user\":\"secret:sap/user\",\"password\":\"secret:sap/password\"}"},
        {"\"csrf\":\"auto\"", "\"csrf\":\"off\",\"note\":\"words\""},
        {"{\"field\":\"YY1_DEVICE_VENDOR\"", "{\"note\":\"words\",\"field\":\"YY1_DEVICE_VENDOR\""},
        {"\"from\":\"attributes.vendor\"", "\"from\":\"/attributes/a.b~1c\""},
        {"\"attributes.vendor\"",
         "\"attributes.vendor\",\"pattern\":\"[][:alpha:]]{2}(x|[^]y])*\\\\.\""},
        {"\"attributes.vendor\"",
         "\"attributes.vendor\",\"when\":\"attributes.b\",\"enum\":[\"a\"]"},
    };
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (i != 3) {
            CHECK_STR(refused(&bench, cases[i][0], cases[i][1]), "");
        }
    }
    arena_close(&bench.arena);
}

/* Members of the repository's file in the order of the built-in mapping: compared as JSON. */
TEST(the_repositorys_downstream_json_is_the_mapping_of_the_demonstration)
{
    struct bench bench;
    yyjson_val *file, *own, *key;
    yyjson_obj_iter members;
    static char bytes[65536];
    bench_open(&bench);
    FILE *stream = fopen(test_source_path("downstream.json"), "re");
    CHECK(stream);
    size_t size = fread(bytes, 1, sizeof(bytes), stream);
    (void)fclose(stream);
    struct sap_config config;
    CHECK_RC(sap_config_read(&bench.call, &bench.arena, (struct str){bytes, size}, &config), RC_OK);
    CHECK_RC(json_read(&bench.arena, (struct str){bytes, size}, 8, &file, NULL), RC_OK);
    CHECK_RC(json_read(&bench.arena, str_of(downstream_mock_mapping), 8, &own, NULL), RC_OK);
    CHECK_INT(yyjson_obj_size(file), yyjson_obj_size(own) + 1); /* and its note */
    yyjson_obj_iter_init(own, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        yyjson_val *other = yyjson_obj_getn(file, json_str(key).s, json_str(key).len);
        CHECK(other);
        CHECK_BYTES(json_write(&bench.arena, other),
                    json_write(&bench.arena, yyjson_obj_iter_get_val(key)));
    }
    arena_close(&bench.arena);
}

TEST(a_plain_downstream_is_read_as_strictly)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"base_url\":\"https://a/b\",\"x\":1}",
        "{\"base_url\":\"http://a/b\"}",
        "{\"base_url\":\"https://a/b\",\"auth\":{\"type\":\"bearer\"}}",
        "{\"base_url\":\"https://a/b\",\"auth\":{\"type\":\"bearer\",\"token\":\"t\"}}",
        "{\"base_url\":\"https://a/b\",\"body\":\"half\"}",
        "{\"base_url\":\"https://a/b\",\"read_back\":1}"};
    struct bench bench;
    struct http_config config;
    bench_open(&bench);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        bench.call.item_count = 0;
        CHECK_RC(http_config_read(&bench.call, &bench.arena, str_of(bad[i]), &config), RC_INVALID);
    }
    bench.call.item_count = 0;
    CHECK_RC(http_config_read(&bench.call, &bench.arena,
                              STR("{\"base_url\":\"https://a/"
                                  "b\",\"auth\":{\"type\":\"bearer\",\"token\":\"secret:t\"},\"on_"
                                  "missing\":\"create\",\"read_back\":true,\"body\":\"full\"}"),
                              &config),
             RC_OK);
    CHECK_STR(config.token_secret, "t");
    CHECK(config.create && config.read_back && config.full);
    arena_close(&bench.arena);
}

TEST(a_port_is_opened_from_its_file)
{
    struct bench bench;
    struct downstream *downstream = NULL;
    bench_open(&bench);
    CHECK_RC(
        downstream_file_open(&bench.call, STR("odata"), STR("no-such-file"), NULL, 2, &downstream),
        RC_NOT_FOUND);
    CHECK_HAS(str_of(bench.call.why), "no-such-file");
    CHECK_RC(downstream_file_open(&bench.call, STR("ldap"), STR("x"), NULL, 2, &downstream),
             RC_INVALID);
    CHECK_RC(downstream_file_open(&bench.call, STR("odata"),
                                  str_of(test_source_path("downstream.json")), NULL, 2,
                                  &downstream),
             RC_OK);
    CHECK_INT(downstream->mapping_version, 1);
    CHECK(downstream->reads_back && downstream->credentials_sha.len == 0);
    downstream_file_close(downstream);
    bench.call.item_count = 0;
    CHECK_RC(downstream_file_open(&bench.call, STR("http"),
                                  str_of(test_source_path("downstream.json")), NULL, 2,
                                  &downstream),
             RC_INVALID);
    CHECK_HAS(str_of(bench.call.why), "downstream.json");
    arena_close(&bench.arena);
}
