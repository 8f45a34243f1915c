// A set of slots that are to be looked at later, each once.
//
// Usage: from zeroes; add, take; fini. Ownership: memory from the budget. Threads: the operator's. Failure: without memory add does
// nothing, so a slot must be one that is looked at again when its key is next used.
#pragma once

#include "operators/core/budget.h"

typedef struct leat_slot_set {
    uint64_t *bits; // which are in
    uint32_t words;
    uint32_t *items;
    uint32_t count, capacity;
} leat_slot_set;

void leat_slot_set_fini(leat_slot_set *set, leat_budget *budget);
void leat_slot_set_add(leat_slot_set *set, leat_budget *budget, uint32_t slot);
uint32_t leat_slot_set_take(leat_slot_set *set); // the last one added; count is not 0
