// A checkpoint as the harness keeps it: (table, group, key) -> value, sorted, in memory of its own.
//
// Usage: from zeroes; put, remove, copy; clear gives everything back. Failure: ends the test.
#pragma once

#include "operators/core/operator.h"

typedef struct harness_image_entry {
    uint8_t table;
    uint32_t group;
    leat_slice key, value; // own memory
} harness_image_entry;

typedef struct harness_image {
    harness_image_entry *entries;
    size_t count, room;
} harness_image;

void harness_image_clear(harness_image *image);
void harness_image_put(harness_image *image, uint8_t table, uint32_t group, leat_slice key, leat_slice value);
void harness_image_remove(harness_image *image, uint8_t table, uint32_t group,
                          leat_slice key); // none: made and removed between two snapshots
void harness_image_copy(harness_image *to, const harness_image *from);
bool harness_image_equal(const harness_image *a, const harness_image *b);
