#include "operators/state/slot_set.h"

enum { SLOTS_MIN = 64 };

void leat_slot_set_fini(leat_slot_set *set, leat_budget *budget)
{
    leat_budget_free(budget, set->bits, set->words * sizeof *set->bits);
    leat_budget_free(budget, set->items, set->capacity * sizeof *set->items);
    *set = (leat_slot_set){0};
}

static bool bits_room(leat_slot_set *set, leat_budget *budget, uint32_t slot)
{
    uint32_t words = slot / 64 + 1;
    if (words <= set->words)
        return true;
    words = words < set->words * 2 ? set->words * 2 : words;
    uint64_t *bits = leat_budget_grow(budget, set->bits, set->words * sizeof *bits, words * sizeof *bits);
    if (!bits)
        return false;
    set->bits = bits;
    set->words = words;
    return true;
}

static bool items_room(leat_slot_set *set, leat_budget *budget)
{
    if (set->count < set->capacity)
        return true;
    uint32_t capacity = set->capacity ? set->capacity * 2 : SLOTS_MIN;
    uint32_t *items = leat_budget_grow(budget, set->items, set->capacity * sizeof *items, capacity * sizeof *items);
    if (!items)
        return false;
    set->items = items;
    set->capacity = capacity;
    return true;
}

void leat_slot_set_add(leat_slot_set *set, leat_budget *budget, uint32_t slot)
{
    if (!bits_room(set, budget, slot) || !items_room(set, budget) || (set->bits[slot / 64] >> slot % 64 & 1))
        return;
    set->bits[slot / 64] |= UINT64_C(1) << slot % 64;
    set->items[set->count++] = slot;
}

uint32_t leat_slot_set_take(leat_slot_set *set)
{
    uint32_t slot = set->items[--set->count];
    set->bits[slot / 64] &= ~(UINT64_C(1) << slot % 64);
    return slot;
}
