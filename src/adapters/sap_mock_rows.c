/* Rows are packed into one piece of memory each, and stand in three chained hash tables. The hash is no defence
 * against an attacker: the mock serves its own users on loopback. */
#include "adapters/sap_mock_rows.h"

#include <stdlib.h>

#define FIRST_HEADS 1024
#define VALUE_MAX_BYTES 65535

static const int index_fields[SAP_INDEX_COUNT] = {EDM_EQUIPMENT, EDM_SORT_CODE, EDM_NAME};

static void *must_have(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

struct str sap_rows_bare(struct str equipment)
{
    struct str bare = equipment;
    for (size_t i = 0; i < equipment.len; i++) {
        if (equipment.s[i] < '0' || equipment.s[i] > '9') {
            return equipment;
        }
    }
    while (bare.len > 1 && bare.s[0] == '0') {
        bare = str_from(bare, 1);
    }
    return bare;
}

static uint64_t hash_of(struct str value)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < value.len; i++) {
        hash = (hash ^ (unsigned char)value.s[i]) * UINT64_C(1099511628211);
    }
    return hash ^ (hash >> 29);
}

static uint64_t index_hash(int index, struct str value)
{
    return hash_of(index == SAP_BY_EQUIPMENT ? sap_rows_bare(value) : value);
}

void sap_rows_open(struct sap_rows *rows)
{
    *rows = (struct sap_rows){.head_count = FIRST_HEADS, .next_number = 10000000};
    for (int i = 0; i < SAP_INDEX_COUNT; i++) {
        rows->heads[i] = must_have(calloc(FIRST_HEADS, sizeof(uint32_t)));
    }
}

void sap_rows_close(struct sap_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->rows[i].blob);
    }
    free(rows->rows);
    for (int i = 0; i < SAP_INDEX_COUNT; i++) {
        free(rows->heads[i]);
    }
    *rows = (struct sap_rows){0};
}

static void link_in(struct sap_rows *rows, int index, size_t at)
{
    struct sap_row *row = &rows->rows[at];
    uint32_t *head = &rows->heads[index][row->hash[index] & (rows->head_count - 1)];
    row->next[index] = *head;
    *head = (uint32_t)at + 1;
}

static void link_out(struct sap_rows *rows, int index, size_t at)
{
    struct sap_row *row = &rows->rows[at];
    uint32_t *link = &rows->heads[index][row->hash[index] & (rows->head_count - 1)];
    while (*link != (uint32_t)at + 1) {
        assert(*link);
        link = &rows->rows[*link - 1].next[index];
    }
    *link = row->next[index];
}

static void widen(struct sap_rows *rows)
{
    rows->head_count *= 2;
    for (int index = 0; index < SAP_INDEX_COUNT; index++) {
        free(rows->heads[index]);
        rows->heads[index] = must_have(calloc(rows->head_count, sizeof(uint32_t)));
        for (size_t at = 0; at < rows->count; at++) {
            link_in(rows, index, at);
        }
    }
}

void sap_rows_get(const struct sap_rows *rows, size_t at, struct sap_values *ret_values)
{
    const struct sap_row *row = &rows->rows[at];
    *ret_values = (struct sap_values){0};
    for (size_t i = 0; i + 3 <= row->blob_bytes;) {
        const unsigned char *head = (const unsigned char *)row->blob + i;
        size_t len = (size_t)head[1] << 8 | head[2];
        ret_values->of[head[0]] = (struct str){row->blob + i + 3, len};
        i += 3 + len;
    }
}

struct str sap_rows_value(const struct sap_rows *rows, size_t at, int field)
{
    struct sap_values values;
    sap_rows_get(rows, at, &values);
    return values.of[field];
}

static void pack(struct sap_row *row, const struct sap_values *values)
{
    size_t size = 0, at = 0;
    for (int i = 0; i < sap_edm_count; i++) {
        assert(values->of[i].len <= VALUE_MAX_BYTES);
        size += values->of[i].len ? 3 + values->of[i].len : 0;
    }
    char *blob = must_have(malloc(size ? size : 1));
    for (int i = 0; i < sap_edm_count; i++) {
        struct str value = values->of[i];
        if (value.len) {
            blob[at] = (char)i;
            blob[at + 1] = (char)(value.len >> 8);
            blob[at + 2] = (char)(value.len & 0xFF);
            memcpy(blob + at + 3, value.s, value.len);
            at += 3 + value.len;
        }
    }
    free(row->blob); /* only now: the values may point into it */
    row->blob = blob;
    row->blob_bytes = (uint32_t)size;
}

static void stamp(struct sap_rows *rows, struct sap_row *row, int64_t now_ms)
{
    row->changed_at_ms = now_ms;
    row->change_no = ++rows->change_no;
}

size_t sap_rows_add(struct sap_rows *rows, const struct sap_values *values, int64_t end_at_ms,
                    int64_t now_ms)
{
    assert(sap_edm_count <= SAP_FIELDS_MAX && rows->count < UINT32_MAX - 1);
    if (rows->count == rows->room) {
        rows->room = rows->room ? rows->room * 2 : 64;
        rows->rows = must_have(realloc(rows->rows, rows->room * sizeof(struct sap_row)));
    }
    size_t at = rows->count++;
    struct sap_row *row = &rows->rows[at];
    *row = (struct sap_row){.end_at_ms = end_at_ms};
    pack(row, values);
    stamp(rows, row, now_ms);
    for (int i = 0; i < SAP_INDEX_COUNT; i++) {
        row->hash[i] = index_hash(i, values->of[index_fields[i]]);
        link_in(rows, i, at);
    }
    if (rows->count > rows->head_count * 2) {
        widen(rows);
    }
    return at;
}

void sap_rows_set(struct sap_rows *rows, size_t at, const struct sap_values *values, int64_t now_ms)
{
    struct sap_row *row = &rows->rows[at];
    for (int i = 0; i < SAP_INDEX_COUNT; i++) {
        uint64_t hash = index_hash(i, values->of[index_fields[i]]);
        if (hash != row->hash[i]) {
            link_out(rows, i, at);
            row->hash[i] = hash;
            link_in(rows, i, at);
        }
    }
    pack(row, values);
    stamp(rows, row, now_ms);
}

void sap_rows_end(struct sap_rows *rows, size_t at, int64_t end_at_ms, int64_t now_ms)
{
    rows->rows[at].end_at_ms = end_at_ms;
    stamp(rows, &rows->rows[at], now_ms);
}

static int64_t along(const struct sap_rows *rows, int index, uint32_t link, uint64_t hash)
{
    while (link && rows->rows[link - 1].hash[index] != hash) {
        link = rows->rows[link - 1].next[index];
    }
    return (int64_t)link - 1;
}

int64_t sap_rows_first(const struct sap_rows *rows, int index, struct str value)
{
    uint64_t hash = index_hash(index, value);
    return along(rows, index, rows->heads[index][hash & (rows->head_count - 1)], hash);
}

int64_t sap_rows_next(const struct sap_rows *rows, int index, size_t row)
{
    return along(rows, index, rows->rows[row].next[index], rows->rows[row].hash[index]);
}
