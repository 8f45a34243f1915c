// The newest of several entries for the same key: a hash table over packed entries that lie elsewhere.
//
// Usage: init, put in the order of time, then each; fini. Ownership: entries are borrowed until fini.
// Threads: one. Failure: put gives false when there is no memory.
#pragma once

#include "firmware-agent/checkpoint/change_set.h"

typedef struct leat_change_slot {
    uint64_t hash;
    const uint8_t *entry; // NULL: free
    uint32_t size;
} leat_change_slot;

typedef struct leat_change_table {
    leat_env *env;
    leat_change_slot *slots;
    size_t mask, count; // mask 0 with slots NULL: empty
} leat_change_table;

void leat_change_table_init(leat_change_table *table, leat_env *env);
void leat_change_table_fini(leat_change_table *table);
bool leat_change_table_put(leat_change_table *table, const leat_change *change, const uint8_t *entry, size_t size);
bool leat_change_table_has(const leat_change_table *table, const leat_change *change);
