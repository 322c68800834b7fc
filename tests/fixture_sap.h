/* A world with nothing but a downstream: the mock SAP in process, a manual clock, one secret store. For tests of
 * the connector: encode, send, read back, without a store. */
#ifndef FIXTURE_SAP_H
#define FIXTURE_SAP_H

#include "adapters/clock_manual.h"
#include "adapters/downstream_mock.h"
#include "adapters/sap_mock.h"
#include "adapters/sap_talk.h"
#include "odata_versions.h"

#define FIXTURE_NOW_MS INT64_C(1795340100000) /* 2026-11-22T09:35:00Z */

#define DOC_PUMP                                                                                   \
    "{\"description\":\"Pump "                                                                     \
    "7\",\"serial\":\"ab-1\",\"weight_kg\":12.5,\"commissioned\":\"1965-03-01\",\"site\":"         \
    "\"berlin\"}"

struct fixture_sap {
    struct clock_manual clock;
    struct settings settings;
    struct world world;
    struct arena arena;
    struct call call;
    struct secrets secrets;
    struct downstream *downstream;
    struct sap_mock *sap;
    struct str user, password; /* what the secrets say */
    int sends;                 /* makes repeat ids */
    struct lease lease;        /* the last one */
};

/* in: mapping "" = the mock's own; sap: may be NULL */
void fixture_sap_open(struct fixture_sap *, const char *mapping,
                      const struct sap_mock_options *sap);
void fixture_sap_close(struct fixture_sap *);

/* Encode and send, as a first delivery (base "") or a later one. */
struct outcome fixture_sap_deliver(struct fixture_sap *, const char *name, const char *base,
                                   const char *target, const char *ref);
/* The same lease again: read back. */
struct outcome fixture_sap_read_back(struct fixture_sap *);
/* A lease without sending it. */
void fixture_sap_lease(struct fixture_sap *, const char *name, const char *base, const char *target,
                       const char *ref);
struct outcome fixture_sap_send(struct fixture_sap *);

/* Create a device with DOC_PUMP as its document. out: its reference. */
struct str fixture_sap_create(struct fixture_sap *);
/* A mapping with one part replaced. */
struct str fixture_sap_with(struct arena *, struct str mapping, const char *from, const char *to);
/* The same mapping in V4. */
struct str fixture_sap_as_v4(struct arena *, struct str mapping);
/* A mock that wants a logon. */
extern const struct sap_mock_options fixture_sap_guarded;
/* The mapping of the demonstration with one part replaced; good until the next call. */
char *fixture_sap_mapping(const char *from, const char *to);

/* How many lines of the mock's log are effective writes. */
int fixture_sap_effects(const struct fixture_sap *);
int fixture_sap_writes(const struct fixture_sap *);
const struct sap_log *fixture_sap_last_write(const struct fixture_sap *);
/* A field of the row with that device name. */
struct str fixture_sap_value(const struct fixture_sap *, const char *name, const char *field);

#endif
