/* Does any $metadata break its reader, the comparison with a mapping, or a first mapping made from it? Each finding names a place
 * that the mapping has; every set that is named can be looked at; what is proposed is JSON. */
#include "adapters/downstream_mock.h"
#include "adapters/sap_metadata.h"
#include "adapters/sap_propose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_sets(const struct edmx *edmx, struct call *call)
{
    for (int i = 0; i < edmx->set_count && i < 16; i++) {
        struct edmx_set set;
        enum rc rc = sap_edmx_set(edmx, call, edmx->sets[i], &set);
        assert(rc == RC_OK && str_equal(set.name, edmx->sets[i]));
        for (int k = 0; k < set.property_count; k++) {
            assert(sap_edmx_property(&set, set.properties[k].name));
            assert(!set.properties[k].key || !set.properties[k].updatable);
        }
        (void)rc;
    }
}

static void propose(const struct edmx *edmx, struct call *call)
{
    static struct sample sample;
    struct propose asked = {.head = STR("\"base_url\": \"https://h/s\",")};
    struct proposal proposal;
    struct edmx_set set;
    yyjson_val *root;
    sample = (struct sample){0};
    enum rc rc =
        sap_sample_add(&sample, call, call->arena,
                       STR("{\"a\":1.5,\"GrossWeight_kg\":2,\"b\":{\"c.d\":\"2026-11-22\"},"
                           "\"e\":true,\"AssetRoom\":\"x\"}"));
    assert(rc == RC_OK);
    if (edmx->set_count && sap_edmx_set(edmx, call, edmx->sets[0], &set) == RC_OK &&
        sap_propose(&asked, edmx, &set, &sample, call, &proposal) == RC_OK) {
        rc = json_read(call->arena, proposal.json, 6, &root, NULL);
        assert(rc == RC_OK);
    }
    (void)rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct sap_config config;
    struct edmx edmx;
    struct sap_findings findings;
    struct str xml = {(const char *)data, size}, json = str_of(downstream_mock_mapping);
    if (size > 65536) {
        return 0;
    }
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    enum rc rc = sap_config_read(&call, &arena, json, &config);
    assert(rc == RC_OK);
    if (sap_edmx_read(&call, xml, &edmx) == RC_OK) {
        look_at_sets(&edmx, &call);
        propose(&edmx, &call);
        rc = sap_metadata_compare(&config, &call, xml, &findings);
        assert(rc == RC_OK && findings.wrong <= findings.count);
        for (int i = 0; i < findings.count; i++) {
            assert(findings.items[i].words.len);
            assert(json_line(&arena, json, findings.items[i].pointer) == 1);
        }
    }
    arena_close(&arena);
    return 0;
}
