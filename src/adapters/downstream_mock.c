/* A transport without a socket: it hands the request to sap_mock and tells, in the words of outbound.h, how it would
 * have ended on a wire. The port is downstream_odata's own, found again by its address. */
#include "adapters/downstream_mock.h"

#include <pthread.h>
#include <stdlib.h>

#include "adapters/downstream_odata.h"
#include "base/text.h"

const char downstream_mock_mapping[] =
    "{\"downstream\":\"mock-sap\",\"protocol\":\"v2\",\"base_url\":\"http://"
    "127.0.0.1:8181" SAP_MOCK_ROOT "\","
    "\"query\":{\"sap-client\":\"100\"},\"csrf\":\"auto\",\"repeatability\":\"oasis\",\"mapping_"
    "version\":1,"
    "\"auth\":{\"type\":\"none\"},\"entity\":\"Equipment\",\"verb\":\"PATCH\","
    "\"key\":[{\"field\":\"Equipment\",\"from\":\"ref\"},"
    "{\"field\":\"ValidityEndDate\",\"const\":\"9999-12-31\",\"type\":\"date\"}],"
    "\"resolve\":{\"field\":\"YY1_DEVICE_NAME\",\"from\":\"device_key\"},\"on_missing\":\"create\","
    "\"concurrency\":\"etag\",\"read_before_write\":true,\"read_after_write\":\"changed\","
    "\"unmapped\":\"keep\",\"fields\":["
    "{\"field\":\"YY1_DEVICE_NAME\",\"from\":\"device_key\",\"max\":256,\"create_only\":true},"
    "{\"field\":\"EquipmentCategory\",\"const\":\"M\",\"create_only\":true},"
    "{\"field\":\"EquipmentName\",\"from\":\"attributes.description\",\"max\":40,\"clear\":true},"
    "{\"field\":\"YY1_DEVICE_VENDOR\",\"from\":\"attributes.vendor\",\"max\":256,\"clear\":true},"
    "{\"field\":\"YY1_DEVICE_PRODUCT\",\"from\":\"attributes.product\",\"max\":256,\"clear\":true},"
    "{\"field\":\"YY1_DEVICE_NOTE\",\"from\":\"attributes.note\",\"max\":1333,\"clear\":true},"
    "{\"field\":\"ManufacturerSerialNumber\",\"from\":\"attributes.serial\",\"max\":30,\"upper\":"
    "true,\"clear\":true},"
    "{\"field\":\"AssetRoom\",\"from\":\"attributes.room\",\"max\":8,\"clear\":true},"
    "{\"field\":\"AssetLocation\",\"from\":\"attributes.location.building\",\"max\":10,\"clear\":"
    "true},"
    "{\"field\":\"GrossWeight\",\"from\":\"attributes.weight_kg\",\"type\":\"decimal\",\"max\":13,"
    "\"scale\":3,\"clear\":true},"
    "{\"field\":\"GrossWeightUnit\",\"const\":\"KG\",\"when\":\"attributes.weight_kg\",\"max\":3},"
    "{\"field\":\"OperationStartDate\",\"from\":\"attributes.commissioned\",\"type\":\"date\","
    "\"clear\":true},"
    "{\"field\":\"MaintenancePlant\",\"from\":\"attributes.site\",\"max\":4,\"upper\":true,"
    "\"clear\":true,"
    "\"map\":{\"berlin\":\"1010\",\"hamburg\":\"1020\",\"nowhere\":\"9Z99\"}}]}";

struct wire {
    struct transport port;
    struct downstream *downstream;
    struct sap_mock *sap;
    struct sap_config config;
    struct arena arena;
    struct downstream_mock_hooks hooks;
    struct clock *clock; /* NULL = the world's */
    pthread_mutex_t mutex;
    bool unplugged;
    struct wire *next;
};

static struct wire *all_wires;
static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;

static struct wire *wire_of(struct downstream *downstream)
{
    pthread_mutex_lock(&all_mutex);
    struct wire *wire = all_wires;
    while (wire && wire->downstream != downstream) {
        wire = wire->next;
    }
    pthread_mutex_unlock(&all_mutex);
    assert(wire);
    return wire;
}

static void passes(const struct wire *wire, int64_t ms)
{
    if (wire->hooks.wait && ms > 0) {
        wire->hooks.wait(wire->hooks.context, ms);
    }
}

/* http://host/path -> /path */
static struct str target_of(struct str url)
{
    struct str rest = url;
    for (int i = 0; i < 3 && rest.len; i++) {
        (void)text_cut(&rest, '/');
    }
    return (struct str){rest.s - 1, rest.len + 1};
}

static void copy_answer(struct arena *arena, const struct sap_answer *answer, size_t max_bytes,
                        struct inbound *ret)
{
    size_t size = answer->body.len > max_bytes ? max_bytes : answer->body.len;
    ret->status = answer->status;
    ret->headers = arena_array(arena, struct header, answer->header_count);
    ret->header_count = answer->header_count;
    for (size_t i = 0; i < answer->header_count; i++) {
        ret->headers[i] = (struct header){text_lower(arena, answer->headers[i].name),
                                          arena_copy(arena, answer->headers[i].value)};
    }
    ret->body = arena_copy(arena, str_head(answer->body, size));
    ret->cut = size < answer->body.len;
}

static void end_as(struct inbound *inbound, enum inbound_end end, const char *why)
{
    inbound->end = end;
    inbound->why = str_of(why);
    if (end != INBOUND_LOST) {
        inbound->status = 0;
    }
}

/* What the sender learns, after the mock has answered. */
static void hear(struct wire *wire, struct call *call, const struct outbound *outbound,
                 const struct sap_answer *answer, struct inbound *inbound)
{
    int64_t patience_ms = outbound->timeout_ms ? outbound->timeout_ms : 10000;
    if (answer->delay_ms >= patience_ms) {
        passes(wire, patience_ms);
        end_as(inbound, INBOUND_TIMEOUT, "the mock answers too late");
        return;
    }
    passes(wire, answer->delay_ms);
    switch (answer->drop) {
    case SAP_DROP_NONE:
        copy_answer(call->arena, answer,
                    outbound->answer_max_bytes ? outbound->answer_max_bytes : INBOUND_MAX_BYTES,
                    inbound);
        inbound->end = INBOUND_ANSWERED;
        return;
    case SAP_DROP_HALF:
        copy_answer(call->arena, answer, answer->body.len / 2, inbound);
        end_as(inbound, INBOUND_LOST, "the mock closed within its answer");
        return;
    case SAP_DROP_BEFORE: /* on a wire nobody can tell these two apart */
    case SAP_DROP_AFTER:
        end_as(inbound, INBOUND_LOST, "the mock closed without an answer");
        return;
    }
}

static void wire_perform(struct transport *port, struct call *call, struct world *world, int slot,
                         const struct outbound *outbound, struct inbound *ret)
{
    struct wire *wire = (struct wire *)port;
    struct sap_answer answer = {0};
    int64_t began_ms = clock_now_ms(world->clock);
    (void)slot;
    *ret = (struct inbound){0};
    pthread_mutex_lock(&wire->mutex);
    bool unplugged = wire->unplugged;
    pthread_mutex_unlock(&wire->mutex);
    if (unplugged) {
        end_as(ret, INBOUND_NO_CONNECTION, "the mock is unplugged");
        return;
    }
    if (wire->hooks.before) {
        wire->hooks.before(wire->hooks.context, outbound);
    }
    int64_t now_ms = clock_now_ms(world->clock);
    if (!outbound_is_in_time(outbound, now_ms)) {
        end_as(ret, INBOUND_NOT_SENT, "");
        return;
    }
    ret->sent_at_ms = now_ms;
    struct request request = {.method = outbound->method,
                              .target = target_of(outbound->url),
                              .headers = outbound->headers,
                              .header_count = outbound->header_count,
                              .body = outbound->body,
                              .loopback = true};
    pthread_mutex_lock(&wire->mutex);
    sap_mock_handle(wire->sap, call->arena, clock_now_ms(wire->clock ? wire->clock : world->clock),
                    &request, &answer);
    pthread_mutex_unlock(&wire->mutex);
    if (wire->hooks.after) {
        wire->hooks.after(wire->hooks.context, outbound, &answer);
    }
    hear(wire, call, outbound, &answer, ret);
    ret->duration_ms = clock_now_ms(world->clock) - began_ms;
}

static const struct transport_ops wire_ops = {.perform = wire_perform};

static void wire_free(struct wire *wire)
{
    sap_config_close(&wire->config);
    downstream_odata_close(wire->downstream);
    sap_mock_close(wire->sap);
    arena_close(&wire->arena);
    pthread_mutex_destroy(&wire->mutex);
    free(wire);
}

enum rc downstream_mock_open(struct call *call, const struct downstream_mock_options *options,
                             struct secrets *secrets, struct downstream **ret_downstream)
{
    struct wire *wire = calloc(1, sizeof(*wire));
    if (!wire) {
        abort();
    }
    wire->port.ops = &wire_ops;
    wire->hooks = options->hooks;
    wire->clock = options->clock;
    pthread_mutex_init(&wire->mutex, NULL);
    arena_open(&wire->arena, 0);
    wire->sap = sap_mock_open(&options->sap);
    struct str mapping = options->mapping.len ? options->mapping : str_of(downstream_mock_mapping);
    enum rc rc = sap_config_read(call, &wire->arena, mapping, &wire->config);
    if (rc == RC_OK) {
        rc = downstream_odata_open(call, &wire->config, &wire->port, secrets,
                                   options->slots ? options->slots : 4, &wire->downstream);
    }
    if (rc != RC_OK) {
        wire_free(wire);
        return rc;
    }
    pthread_mutex_lock(&all_mutex);
    wire->next = all_wires;
    all_wires = wire;
    pthread_mutex_unlock(&all_mutex);
    *ret_downstream = wire->downstream;
    return RC_OK;
}

void downstream_mock_close(struct downstream *downstream)
{
    if (!downstream) {
        return;
    }
    struct wire *wire = wire_of(downstream);
    pthread_mutex_lock(&all_mutex);
    struct wire **link = &all_wires;
    while (*link != wire) {
        link = &(*link)->next;
    }
    *link = wire->next;
    pthread_mutex_unlock(&all_mutex);
    wire_free(wire);
}

struct sap_mock *downstream_mock_sap(struct downstream *downstream)
{
    return wire_of(downstream)->sap;
}

void downstream_mock_lock(struct downstream *downstream)
{
    pthread_mutex_lock(&wire_of(downstream)->mutex);
}

void downstream_mock_unlock(struct downstream *downstream)
{
    pthread_mutex_unlock(&wire_of(downstream)->mutex);
}

const struct sap_config *downstream_mock_config(struct downstream *downstream)
{
    return &wire_of(downstream)->config;
}

void downstream_mock_unplug(struct downstream *downstream, bool unplugged)
{
    struct wire *wire = wire_of(downstream);
    pthread_mutex_lock(&wire->mutex);
    wire->unplugged = unplugged;
    pthread_mutex_unlock(&wire->mutex);
}
