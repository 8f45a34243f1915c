// The image that recovery reads, in memory: entries by node, table, key group and key.
//
// Usage: from zeroes; put and remove as snapshots say; forget. Ownership: copies. Failure: out of memory ends the process.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "operators/base/bytes.h"

typedef struct stored_entry {
    uint32_t node, group;
    uint8_t table;
    bool live;
    char *key, *value;
    size_t key_size, value_size;
} stored_entry;

typedef struct stored_entries {
    stored_entry *items;
    size_t count;
} stored_entries;

void stored_put(stored_entries *stored, uint32_t node, uint8_t table, uint32_t group, leat_slice key, leat_slice value);
void stored_remove(stored_entries *stored, uint32_t node, uint8_t table, uint32_t group, leat_slice key);
void stored_forget(stored_entries *stored);
void stored_append(stored_entries *stored, stored_entry entry); // takes its bytes
