/* Open addressing with linear probing. The hash is seeded by where the arena lies, which differs from
 * process to process, so that nobody outside can choose names that fall on one another; what a table
 * answers does not depend on the seed. No removal: who needs it keeps a mark at the number. */
#include "base/table.h"

#define FIRST_SLOTS 32

void table_open(struct table *table, struct arena *arena)
{
    *table = (struct table){.arena = arena, .seed = (uint64_t)(uintptr_t)arena};
}

static uint64_t mixed(uint64_t a, uint64_t b)
{
    __uint128_t product =
        (__uint128_t)(a ^ UINT64_C(0x9e3779b97f4a7c15)) * (b ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(struct str name, uint64_t seed)
{
    uint64_t hash = mixed(seed, name.len);
    for (size_t at = 0; at < name.len; at += 8) {
        uint64_t eight = 0;
        memcpy(&eight, name.s + at, name.len - at < 8 ? name.len - at : 8);
        hash = mixed(hash ^ eight, seed + at);
    }
    return hash;
}

/* The slot that holds the name, or the free one where it belongs. */
static struct table_slot *slot_of(const struct table *table, struct str name, uint64_t hash)
{
    size_t mask = table->slot_count - 1;
    for (size_t at = (size_t)hash & mask;; at = (at + 1) & mask) {
        struct table_slot *slot = &table->slots[at];
        if (!slot->taken || (slot->hash == hash && str_equal(slot->name, name))) {
            return slot;
        }
    }
}

bool table_find(const struct table *table, struct str name, uint32_t *ret_number)
{
    if (table->slot_count == 0) {
        return false;
    }
    const struct table_slot *slot = slot_of(table, name, hash_of(name, table->seed));
    if (slot->taken) {
        *ret_number = slot->number;
    }
    return slot->taken;
}

static void grow(struct table *table)
{
    struct table_slot *old = table->slots;
    size_t old_count = table->slot_count;
    table->slot_count = old_count ? old_count * 2 : FIRST_SLOTS;
    table->slots = arena_array(table->arena, struct table_slot, table->slot_count);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].taken) {
            *slot_of(table, old[i].name, old[i].hash) = old[i];
        }
    }
}

bool table_put(struct table *table, struct str name, uint32_t number)
{
    if (table->count * 2 >= table->slot_count) {
        grow(table);
    }
    uint64_t hash = hash_of(name, table->seed);
    struct table_slot *slot = slot_of(table, name, hash);
    bool was_there = slot->taken;
    *slot = (struct table_slot){.name = name, .hash = hash, .number = number, .taken = true};
    table->count += was_there ? 0 : 1;
    return was_there;
}
