/* A table from names to numbers, for objects with many members: finding one takes the same time
 * however many there are, and however the names were chosen. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include "base/arena.h"

struct table_slot {
    struct str name;
    uint64_t hash;
    uint32_t number;
    bool taken;
};

struct table {
    struct arena *arena;
    struct table_slot *slots; /* a power of two of them, at most half taken; NULL = none yet */
    size_t slot_count, count;
    uint64_t seed;
};

/* An empty table; it grows in the arena. Names are not copied. */
void table_open(struct table *, struct arena *);
/* The number of a name. out: false if the name is not there; ret_number untouched then. */
bool table_find(const struct table *, struct str name, uint32_t *ret_number);
/* Set a name's number. out: true if the name was there before. */
bool table_put(struct table *, struct str name, uint32_t number);

#endif
