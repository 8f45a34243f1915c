// A bound on the memory of one rule's state. Reserving beyond it fails and changes nothing.
// Threads: one rule's workers share it (atomic).
#pragma once

#include <stdatomic.h>

#include "operators/base/env.h"

typedef struct leat_budget {
    leat_env *env;
    _Atomic size_t used;
    size_t limit; // bytes; 0: none
} leat_budget;

void leat_budget_init(leat_budget *budget, leat_env *env, size_t limit);
void *leat_budget_alloc(leat_budget *budget, size_t size); // NULL beyond the limit; cleared
void *leat_budget_grow(leat_budget *budget, void *old, size_t old_size, size_t new_size);
void leat_budget_free(leat_budget *budget, void *memory, size_t size);
