#include "operators/core/budget.h"

#include <string.h>

void leat_budget_init(leat_budget *budget, leat_env *env, size_t limit)
{
    budget->env = env;
    budget->limit = limit;
    atomic_init(&budget->used, 0);
}

// Counts before it allocates, so that two workers cannot pass the limit together.
static bool take(leat_budget *budget, size_t size)
{
    size_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    do {
        if (size > SIZE_MAX - used || (budget->limit && used + size > budget->limit))
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used, &used, used + size, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void give_back(leat_budget *budget, size_t size)
{
    size_t before = atomic_fetch_sub_explicit(&budget->used, size, memory_order_relaxed);
    LEAT_ASSERT(before >= size);
}

void *leat_budget_alloc(leat_budget *budget, size_t size)
{
    if (!take(budget, size))
        return NULL;
    void *memory = leat_env_calloc(budget->env, size);
    if (!memory)
        give_back(budget, size);
    return memory;
}

void *leat_budget_grow(leat_budget *budget, void *old, size_t old_size, size_t new_size)
{
    size_t more = new_size > old_size ? new_size - old_size : 0;
    if (!take(budget, more))
        return NULL;
    uint8_t *memory = leat_env_grow(budget->env, old, old_size, new_size);
    if (!memory) {
        give_back(budget, more);
        return NULL;
    }
    if (more)
        memset(memory + old_size, 0, more);
    else
        give_back(budget, old_size - new_size);
    return memory;
}

void leat_budget_free(leat_budget *budget, void *memory, size_t size)
{
    if (!memory)
        return;
    leat_env_free(budget->env, memory, size);
    give_back(budget, size);
}
