/* Does any downstream.json break its readers? What is refused names a place; what is taken can map a document. */
#include "adapters/downstream_file.h"
#include "adapters/sap_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const struct sap_config *config, struct call *call)
{
    struct str bytes;
    struct str target = STR("{\"description\":\"x\",\"weight_kg\":12.5,\"site\":\"berlin\",\"a\":{"
                            "\"b\":[1,true]},\"commissioned\":\"2026-11-22\"}");
    call->item_count = 0;
    if (sap_map_encode(config, call, STR("Pump-7"), STR(""), target, &bytes) == RC_OK &&
        bytes.len) {
        yyjson_val *root;
        enum rc rc = json_read(call->arena, bytes, 2, &root, NULL); /* what is sealed is JSON */
        assert(rc == RC_OK);
        (void)rc;
        rc = sap_map_encode(config, call, STR("Pump-7"), target, target, &bytes);
        assert(rc != RC_OK || bytes.len == 0); /* nothing differs from itself */
    } else {
        assert(call->item_count > 0 || bytes.len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct sap_config sap;
    struct http_config http;
    struct str json = {(const char *)data, size};
    if (size > 65536) {
        return 0;
    }
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    if (sap_config_read(&call, &arena, json, &sap) == RC_OK) {
        assert(sap.key_count > 0 && sap.field_count > 0 && sap.mapping_version > 0);
        use(&sap, &call);
        sap_config_close(&sap);
    } else {
        assert(call.item_count > 0 && call.problem != PROBLEM_NONE);
    }
    call = (struct call){.arena = &arena};
    if (http_config_read(&call, &arena, json, &http) != RC_OK) {
        assert(call.item_count > 0);
    }
    arena_close(&arena);
    return 0;
}
