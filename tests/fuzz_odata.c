/* Does anything that a downstream may send break the connector? Entities, lists, errors, messages, cookies: all readers
 * get the same bytes. And whatever a status comes with, a write is never taken for unsent when it may have left. */
#include "adapters/downstream_mock.h"
#include "adapters/sap_classify.h"
#include "adapters/sap_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_headers(struct arena *arena, struct str bytes)
{
    struct header headers[] = {{STR("sap-message"), bytes},
                               {STR("sap-messages"), bytes},
                               {STR("set-cookie"), bytes},
                               {STR("retry-after"), bytes}};
    struct inbound inbound = {.headers = headers, .header_count = COUNT_OF(headers)};
    struct str text;
    (void)sap_wire_message(arena, &inbound, &text);
    assert(sap_wire_cookies(arena, &inbound, STR("A=1")).len <= SAP_COOKIES_MAX_BYTES);
    int64_t at_ms = inbound_retry_after(bytes, 1000000, 3600000);
    assert(at_ms == 0 || (at_ms > 1000000 && at_ms <= 1000000 + 3600000));
}

static void read_bodies(const struct sap_config *config, struct arena *arena, struct str bytes)
{
    struct sap_entity entity, list[2];
    struct sap_compared compared;
    int count;
    if (sap_wire_entity(arena, bytes, &entity) == RC_OK) {
        (void)sap_wire_ref(config, arena, entity.object);
        assert(sap_wire_end(config, arena, entity.object).len <= 10);
        sap_map_compare(
            config, arena,
            STR("{\"EquipmentName\":\"a\",\"GrossWeight\":\"1.000\",\"OperationStartDate\":null}"),
            entity.object, &compared);
        assert(compared.same + compared.different == 3);
    }
    if (sap_wire_list(arena, bytes, list, &count) == RC_OK) {
        assert(count >= 0 && (count == 0) == (list[0].object == NULL));
    }
}

static void classify(const struct sap_config *config, struct arena *arena, struct str bytes,
                     int status)
{
    struct sap_error error;
    struct inbound inbound = {.end = INBOUND_ANSWERED, .status = status, .body = bytes};
    struct outcome outcome = {0};
    sap_wire_error(arena, STR("application/json"), bytes, &error);
    assert(error.detail_count <= SAP_DETAILS_MAX);
    struct sap_reply reply = {.answer = &inbound, .error = &error, .write = true};
    sap_classify_apply(sap_classify(config, &reply), &outcome);
    bool unsure_status = status == 500 || status == 502 || status == 504;
    assert(!unsure_status || outcome.class == OUTCOME_UNSURE ||
           outcome.class == OUTCOME_NO_EFFECT || outcome.class == OUTCOME_STOP);
    assert(status == 500 || !unsure_status || outcome.class != OUTCOME_NO_EFFECT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 204, 400, 403, 404, 409, 412, 500, 502, 503};
    struct arena arena;
    struct sap_config config;
    struct str bytes = {(const char *)data, size};
    if (size > 65536) {
        return 0;
    }
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    enum rc rc = sap_config_read(&call, &arena, str_of(downstream_mock_mapping), &config);
    assert(rc == RC_OK);
    (void)rc;
    read_headers(&arena, bytes);
    read_bodies(&config, &arena, bytes);
    config.protocol = SAP_V4;
    read_bodies(&config, &arena, bytes);
    config.protocol = SAP_V2;
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        classify(&config, &arena, bytes, statuses[i]);
    }
    arena_close(&arena);
    return 0;
}
