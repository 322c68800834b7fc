/* Does any $metadata break its reader, or the comparison with a mapping? Each finding names a place that the mapping has;
 * every set that is named can be looked at. */
#include "adapters/downstream_mock.h"
#include "adapters/sap_metadata.h"

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
