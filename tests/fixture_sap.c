/* See fixture_sap.h. */
#include "fixture_sap.h"

#include <stdio.h>

#include "core/name.h"

static void waits(void *context, int64_t ms)
{
    clock_manual_advance(&((struct fixture_sap *)context)->clock, ms);
}

static enum rc secret(struct secrets *secrets, struct call *call, struct str name,
                      struct str *ret_value)
{
    struct fixture_sap *fixture =
        (struct fixture_sap *)(void *)((char *)secrets - offsetof(struct fixture_sap, secrets));
    (void)call;
    *ret_value = str_is(name, "sap/user") ? fixture->user : fixture->password;
    return ret_value->len ? RC_OK : RC_NOT_FOUND;
}

static const struct secrets_ops secret_ops = {.get = secret};

struct str fixture_sap_with(struct arena *arena, struct str text, const char *from, const char *to)
{
    const char *at = memmem(text.s, text.len, from, strlen(from));
    assert(at);
    return arena_printf(arena, "%.*s%s%.*s", (int)(at - text.s), text.s, to,
                        (int)(text.len - (size_t)(at - text.s) - strlen(from)), at + strlen(from));
}

struct str fixture_sap_as_v4(struct arena *arena, struct str mapping)
{
    struct str v4 = fixture_sap_with(arena, mapping, "\"v2\"", "\"v4\"");
    return fixture_sap_with(arena, v4, SAP_MOCK_ROOT "\"", SAP_MOCK_ROOT_V4 "\"");
}

void fixture_sap_open(struct fixture_sap *fixture, const char *mapping,
                      const struct sap_mock_options *sap)
{
    struct downstream_mock_options options = {.mapping = str_of(mapping),
                                              .hooks = {.context = fixture, .wait = waits}};
    *fixture = (struct fixture_sap){.secrets = {&secret_ops}};
    arena_open(&fixture->arena, 0);
    if (odata_v4) {
        options.mapping = fixture_sap_as_v4(
            &fixture->arena, mapping[0] ? options.mapping : str_of(downstream_mock_mapping));
    }
    if (sap) {
        options.sap = *sap;
        fixture->user = sap->user;
        fixture->password = sap->bearer.len ? sap->bearer : sap->password;
    }
    clock_manual_open(&fixture->clock, FIXTURE_NOW_MS, 1);
    settings_default(&fixture->settings);
    fixture->world = (struct world){.secrets = &fixture->secrets,
                                    .clock = &fixture->clock.clock,
                                    .settings = &fixture->settings};
    call_open(&fixture->call, &fixture->arena, &fixture->world);
    CHECK_RC(
        downstream_mock_open(&fixture->call, &options, &fixture->secrets, &fixture->downstream),
        RC_OK);
    fixture->world.downstream = fixture->downstream;
    fixture->sap = downstream_mock_sap(fixture->downstream);
}

void fixture_sap_close(struct fixture_sap *fixture)
{
    downstream_mock_close(fixture->downstream);
    arena_close(&fixture->arena);
}

void fixture_sap_lease(struct fixture_sap *fixture, const char *name, const char *base,
                       const char *target, const char *ref)
{
    int64_t now_ms = clock_now_ms(&fixture->clock.clock);
    struct lease *lease = &fixture->lease;
    *lease = (struct lease){.mode = LEASE_SEND,
                            .realm = STR("live"),
                            .device_name = str_of(name),
                            .base = str_of(base),
                            .ref = str_of(ref),
                            .trace_id = fixture->call.id,
                            .lease_no = 1,
                            .first_sent_at_ms = now_ms,
                            .send_before_at_ms = now_ms + 60000};
    CHECK_RC(name_device_key(&fixture->call, lease->realm, lease->device_name, STR(""),
                             &lease->device_name, &lease->key),
             RC_OK);
    lease->body.target = str_of(target);
    lease->body.delivery = ++fixture->sends;
    lease->body.repeat_id = arena_printf(&fixture->arena, "%032x", 0x5a000000 + fixture->sends);
    CHECK_RC(downstream_encode(fixture->downstream, &fixture->call, lease->device_name, lease->base,
                               lease->body.target, &lease->body.bytes),
             RC_OK);
}

struct outcome fixture_sap_send(struct fixture_sap *fixture)
{
    struct outcome outcome;
    downstream_send(fixture->downstream, &fixture->call, &fixture->world, &fixture->lease,
                    &outcome);
    return outcome;
}

struct outcome fixture_sap_deliver(struct fixture_sap *fixture, const char *name, const char *base,
                                   const char *target, const char *ref)
{
    fixture_sap_lease(fixture, name, base, target, ref);
    return fixture_sap_send(fixture);
}

struct outcome fixture_sap_read_back(struct fixture_sap *fixture)
{
    struct outcome outcome;
    fixture->lease.mode = LEASE_READ_BACK;
    downstream_read_back(fixture->downstream, &fixture->call, &fixture->world, &fixture->lease,
                         &outcome);
    return outcome;
}

int fixture_sap_effects(const struct fixture_sap *fixture)
{
    int count = 0;
    for (size_t i = 0; i < sap_mock_log_count(fixture->sap); i++) {
        count += sap_mock_log_at(fixture->sap, i)->effect;
    }
    return count;
}

int fixture_sap_writes(const struct fixture_sap *fixture)
{
    int count = 0;
    for (size_t i = 0; i < sap_mock_log_count(fixture->sap); i++) {
        count += sap_mock_log_at(fixture->sap, i)->write;
    }
    return count;
}

const struct sap_log *fixture_sap_last_write(const struct fixture_sap *fixture)
{
    const struct sap_log *last = NULL;
    for (size_t i = 0; i < sap_mock_log_count(fixture->sap); i++) {
        const struct sap_log *line = sap_mock_log_at(fixture->sap, i);
        last = line->write ? line : last;
    }
    CHECK(last);
    return last;
}

struct str fixture_sap_value(const struct fixture_sap *fixture, const char *name, const char *field)
{
    int64_t row = sap_mock_row_find(fixture->sap, str_of(name));
    CHECK(row >= 0);
    return sap_mock_row_value(fixture->sap, (size_t)row, field);
}

struct str fixture_sap_create(struct fixture_sap *fixture)
{
    struct outcome outcome = fixture_sap_deliver(fixture, "Pump-7", "", DOC_PUMP, "");
    CHECK_STR(outcome.code, "DONE");
    CHECK_INT(outcome.class, OUTCOME_EFFECT);
    return outcome.ref;
}

const struct sap_mock_options fixture_sap_guarded = {.user = {"hourbell", 8},
                                                     .password = {"secret", 6}};

char *fixture_sap_mapping(const char *from, const char *to)
{
    static char mapping[8192];
    const char *at = strstr(downstream_mock_mapping, from);
    assert(at); /* the mapping has no such part */
    (void)snprintf(mapping, sizeof(mapping), "%.*s%s%s", (int)(at - downstream_mock_mapping),
                   downstream_mock_mapping, to, at + strlen(from));
    return mapping;
}
