/* The fields of an equipment as the mock SAP has them: a part of those of API_EQUIPMENT, from SAP's published
 * description of the service, and one extension field as key users make them (YY1_...). To add one: a line in
 * sap_edm.c; the mock's $metadata, checks and answers follow. */
#ifndef ADAPTERS_SAP_EDM_H
#define ADAPTERS_SAP_EDM_H

#include "base/arena.h"

/* clang-format off */
enum edm { EDM_STRING, EDM_DECIMAL, EDM_DATE, EDM_MOMENT, EDM_BOOLEAN };

struct edm_field {
    const char *name;
    enum edm type;
    int max;   /* MaxLength in UTF-16 units, or Precision; 0 = none */
    int scale; /* of decimals */
    bool upper, creatable, updatable;
};

/* Fixed places of the fields that the mock itself uses. */
enum {
    EDM_EQUIPMENT,
    EDM_VALIDITY_END,
    EDM_CATEGORY,
    EDM_SORT_CODE,
    EDM_NAME,
    EDM_CHANGED_AT,
    EDM_CREATED_AT,
    EDM_PLANT
};

extern const struct edm_field sap_edm_fields[];
extern const int sap_edm_count;

/* out: place of the field, -1 = unknown. */
int sap_edm_find(struct str name);
const char *sap_edm_type_name(enum edm);
/* Length as ABAP counts it: UTF-16 code units. */
size_t sap_edm_length(struct str utf8);
/* Upper case as ABAP makes it: character by character, so that no text grows (sharp s stays). */
struct str sap_edm_upper(struct arena *, struct str utf8);

/* A day of the proleptic Gregorian calendar, years 0001..9999, as ms since 1970; machines are older than 1970. */
bool sap_edm_day_read(struct str day, int64_t *ret_at_ms); /* 2026-11-22 */
void sap_edm_day_write(int64_t at_ms, char ret_day[11]);
/* A date as a service writes it: /Date(ms)/, /Date(ms+offset)/, 2026-11-22, 2026-11-22T00:00:00. */
bool sap_edm_date_read(struct str text, int64_t *ret_at_ms);

#endif
