/* Requests to the mock SAP, made by hand: so that the mock is not judged by the connector that it judges. */
#ifndef MOCK_DESK_H
#define MOCK_DESK_H

#include "adapters/sap_mock.h"
#include "odata_versions.h"

#define DESK_NOW_MS INT64_C(1795340100000) /* 2026-11-22T09:35:00Z */

struct mock_desk {
    struct arena arena;
    struct sap_mock *sap;
    struct sap_answer answer; /* the last one */
    int64_t now_ms;
    struct str token, cookie; /* of the session; token "" = do without */
    struct str etag;          /* as last answered */
    const char *pump;         /* target of the first equipment that is made */
};

/* in: options: NULL = a mock that wants no logon, with open controls. A session is made unless a logon is wanted. */
void mock_desk_open(struct mock_desk *, const struct sap_mock_options *options);
void mock_desk_close(struct mock_desk *);
/* A new session. */
void mock_desk_logon(struct mock_desk *);
/* in: target: "~/Equipment" is below the root of the version; body "" = none; more: NULL or pairs of a header, at most four
 * out: the status */
int mock_desk_ask(struct mock_desk *, const char *method, const char *target, const char *body,
                  const struct header *more, size_t more_count);
int mock_desk_get(struct mock_desk *, const char *target);
/* With one more header. */
int mock_desk_with(struct mock_desk *, const char *method, const char *target, const char *body,
                   const char *name, struct str value);
struct str mock_desk_header(const struct mock_desk *, const char *name);
/* The first equipment: number 10000000, YY1_DEVICE_NAME pump, EquipmentName a. */
void mock_desk_create(struct mock_desk *);
/* Change it, with the ETag that is known. */
int mock_desk_patch(struct mock_desk *, const char *body);
int mock_desk_effects(const struct mock_desk *);
struct str mock_desk_value(const struct mock_desk *, const char *field);

#endif
