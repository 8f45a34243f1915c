// Kept rows by slot and identity, where the list of a slot is too long to be walked for each of its rows (state/rows.h).
//
// Usage: from zeroes; add, find, remove; fini. Ownership: memory from the budget; rows stay their owner's. Threads: the operator's.
// Failure: when the budget refuses, the index gives up what it has, and `lost` says so for good: who asks walks the list again.
#pragma once

#include "operators/base/bytes.h"
#include "operators/core/budget.h"

struct leat_kept_row;

typedef struct leat_row_index_entry {
    uint64_t tag; // of hash and slot: of two rows with equal identities another one in each slot
    struct leat_kept_row *row;
} leat_row_index_entry;

typedef struct leat_row_index {
    leat_row_index_entry *entries; // open addressing, at most half full
    uint32_t mask, used;
    bool lost;
} leat_row_index;

void leat_row_index_fini(leat_row_index *index, leat_budget *budget);
void leat_row_index_add(leat_row_index *index, leat_budget *budget, uint32_t slot, struct leat_kept_row *row);
struct leat_kept_row *leat_row_index_find(const leat_row_index *index, uint32_t slot, uint64_t hash,
                                          leat_slice identity);                                    // NULL: none
void leat_row_index_remove(leat_row_index *index, uint32_t slot, const struct leat_kept_row *row); // that was added
size_t leat_row_index_memory(const leat_row_index *index);
