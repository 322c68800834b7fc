/* The equipment rows of the mock: in memory, found by number, sort code or device name in constant time. */
#ifndef ADAPTERS_SAP_MOCK_ROWS_H
#define ADAPTERS_SAP_MOCK_ROWS_H

#include "adapters/sap_edm.h"
#include "base/arena.h"

#define SAP_FIELDS_MAX 48
#define SAP_END_OF_TIME_MS INT64_C(253402214400000) /* 9999-12-31T00:00:00Z */

enum { SAP_BY_EQUIPMENT, SAP_BY_SORT_CODE, SAP_BY_NAME, SAP_INDEX_COUNT };

struct sap_row {
    char *blob; /* packed values: field, length, bytes */
    uint32_t blob_bytes;
    uint32_t next[SAP_INDEX_COUNT]; /* chain: place + 1; 0 = end */
    uint64_t hash[SAP_INDEX_COUNT];
    int64_t end_at_ms; /* ValidityEndDate */
    int64_t changed_at_ms;
    uint64_t change_no; /* makes the ETag */
};

struct sap_rows {
    struct sap_row *rows;
    size_t count, room;
    uint32_t *heads[SAP_INDEX_COUNT];
    size_t head_count;
    uint64_t change_no;
    int64_t next_number;
};

/* A row's values as texts; "" = initial. Texts point into the row until it is written. */
struct sap_values {
    struct str of[SAP_FIELDS_MAX];
};

void sap_rows_open(struct sap_rows *);
void sap_rows_close(struct sap_rows *);
void sap_rows_get(const struct sap_rows *, size_t row, struct sap_values *ret_values);
struct str sap_rows_value(const struct sap_rows *, size_t row, int field);
/* A new row. out: its place. */
size_t sap_rows_add(struct sap_rows *, const struct sap_values *, int64_t end_at_ms,
                    int64_t now_ms);
/* Write all values of a row anew. */
void sap_rows_set(struct sap_rows *, size_t row, const struct sap_values *, int64_t now_ms);
/* Change the valid-to date only (a new usage period began elsewhere). */
void sap_rows_end(struct sap_rows *, size_t row, int64_t end_at_ms, int64_t now_ms);
/* Follow a chain: the first row whose indexed value may be the given one, then the next. out: -1 = no more. */
int64_t sap_rows_first(const struct sap_rows *, int index, struct str value);
int64_t sap_rows_next(const struct sap_rows *, int index, size_t row);
/* An equipment number without its leading zeros, if it is all digits. */
struct str sap_rows_bare(struct str equipment);

#endif
