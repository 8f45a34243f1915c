#include "tests/support/stored.h"

#include <stdlib.h>
#include <string.h>

static char *copy_bytes(leat_slice bytes)
{
    char *copy = malloc(bytes.size + 1);
    if (!copy)
        abort();
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    return copy;
}

static stored_entry *find(stored_entries *stored, uint32_t node, uint8_t table, uint32_t group, leat_slice key)
{
    for (size_t i = 0; i < stored->count; i++) {
        stored_entry *each = &stored->items[i];
        if (each->node == node && each->table == table && each->group == group && each->key_size == key.size &&
            memcmp(each->key, key.data, key.size) == 0)
            return each;
    }
    return NULL;
}

void stored_append(stored_entries *stored, stored_entry entry)
{
    stored->items = realloc(stored->items, (stored->count + 1) * sizeof *stored->items);
    if (!stored->items)
        abort();
    stored->items[stored->count++] = entry;
}

void stored_put(stored_entries *stored, uint32_t node, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    stored_entry *found = find(stored, node, table, group, key);
    if (!found) {
        stored_append(
            stored,
            (stored_entry){.node = node, .table = table, .group = group, .key = copy_bytes(key), .key_size = key.size});
        found = &stored->items[stored->count - 1];
    }
    free(found->value);
    found->value = copy_bytes(value);
    found->value_size = value.size;
    found->live = true;
}

void stored_remove(stored_entries *stored, uint32_t node, uint8_t table, uint32_t group, leat_slice key)
{
    stored_entry *found = find(stored, node, table, group, key);
    if (found)
        found->live = false;
}

void stored_forget(stored_entries *stored)
{
    for (size_t i = 0; i < stored->count; i++) {
        free(stored->items[i].key);
        free(stored->items[i].value);
    }
    stored->count = 0;
}
