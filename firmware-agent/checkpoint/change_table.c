#include "firmware-agent/checkpoint/change_table.h"

#include <string.h>

#include "operators/base/hash.h"

enum { SLOTS_FIRST = 256 };

static uint64_t change_hash(const leat_change *change)
{
    uint64_t place = (uint64_t)change->operator_number << 16 | (uint64_t)change->table << 8 | change->group;
    return leat_hash_seeded(change->key.data, change->key.size, place);
}

static bool same(const leat_change_slot *slot, const leat_change *change)
{
    leat_reader reader;
    leat_change other;
    leat_reader_init(&reader, slot->entry, slot->size);
    return leat_change_read(&reader, &other) && other.operator_number == change->operator_number &&
           other.table == change->table && other.group == change->group && leat_slice_equal(other.key, change->key);
}

static leat_change_slot *find(const leat_change_table *table, uint64_t hash, const leat_change *change)
{
    for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        leat_change_slot *slot = &table->slots[i];
        if (!slot->entry || (slot->hash == hash && same(slot, change)))
            return slot;
    }
}

static bool grow(leat_change_table *table)
{
    size_t old_count = table->slots ? table->mask + 1 : 0, count = old_count ? old_count * 2 : SLOTS_FIRST;
    leat_change_slot *slots = leat_env_calloc(table->env, count * sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < old_count; i++) {
        if (!table->slots[i].entry)
            continue;
        size_t at = table->slots[i].hash & (count - 1);
        while (slots[at].entry)
            at = (at + 1) & (count - 1);
        slots[at] = table->slots[i];
    }
    leat_env_free(table->env, table->slots, old_count * sizeof *slots);
    table->slots = slots;
    table->mask = count - 1;
    return true;
}

void leat_change_table_init(leat_change_table *table, leat_env *env) { *table = (leat_change_table){.env = env}; }

void leat_change_table_fini(leat_change_table *table)
{
    if (table->slots)
        leat_env_free(table->env, table->slots, (table->mask + 1) * sizeof *table->slots);
    leat_change_table_init(table, table->env);
}

bool leat_change_table_put(leat_change_table *table, const leat_change *change, const uint8_t *entry, size_t size)
{
    if ((!table->slots || table->count * 4 >= table->mask * 3) && !grow(table))
        return false;
    uint64_t hash = change_hash(change);
    leat_change_slot *slot = find(table, hash, change);
    table->count += slot->entry == NULL;
    *slot = (leat_change_slot){.hash = hash, .entry = entry, .size = (uint32_t)size};
    return true;
}

bool leat_change_table_has(const leat_change_table *table, const leat_change *change)
{
    return table->slots && find(table, change_hash(change), change)->entry;
}
