// A bag of values that an aggregate has to remember one by one: DISTINCT sets, what MIN or FIRST_VALUE may fall back to when
// rows are retracted, the lists of LISTAGG and ARRAY_AGG. Lies within an accumulator; its memory is the budget's.
//
// A unique bag holds each value once with a count and finds it through an open-addressing index; a list holds every value in
// order of arrival. A value is the bytes of leat_value_encode. Removed entries stay as holes until half are holes.
//
// Failure: add and merge refuse with false when the budget does, and nothing is changed then.
#pragma once

#include "operators/core/budget.h"
#include "operators/core/type.h"

enum { LEAT_BAG_NONE = UINT32_MAX };

typedef struct leat_bag_entry {
    uint64_t hash;
    int64_t count; // 0: a hole; negative: retracted before it was added
    uint32_t offset, size;
} leat_bag_entry;

typedef struct leat_bag {
    leat_bag_entry *entries;
    uint8_t *bytes;
    uint32_t *index; // entry + 1; 0: free. NULL for lists and small bags
    uint32_t entry_count, entry_capacity, index_capacity;
    uint32_t byte_count, byte_capacity;
    uint32_t live; // entries with a count above 0
    uint32_t best; // entry of the least or greatest, LEAT_BAG_NONE: not known
} leat_bag;

void leat_bag_init(leat_bag *bag);
void leat_bag_fini(leat_bag *bag, leat_budget *budget);
// Takes `count` (negative: out again). Unique bags add up counts. A list that is asked to remove what it lacks stays as it is.
bool leat_bag_add(leat_bag *bag, bool unique, leat_slice value, int64_t count, leat_budget *budget);
bool leat_bag_merge(leat_bag *into, const leat_bag *from, bool unique, leat_budget *budget);
static inline leat_slice leat_bag_value(const leat_bag *bag, uint32_t entry)
{
    return leat_slice_of((const char *)bag->bytes + bag->entries[entry].offset, bag->entries[entry].size);
}
void leat_bag_encode(const leat_bag *bag, leat_writer *out);
// False when the bytes are damaged or the budget refuses (out_refused).
bool leat_bag_decode(leat_bag *bag, bool unique, leat_reader *reader, leat_budget *budget, bool *out_refused);
