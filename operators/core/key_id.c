#include "operators/core/key_slot.h"

enum { CHANGES_MAX = 8 };

static bool grow(leat_keys *keys, uint32_t **items, uint32_t *room, uint32_t needed)
{
    uint32_t wanted = *room ? *room : 64;
    while (wanted < needed)
        wanted *= 2;
    uint32_t *grown = leat_keys_grow(keys, *items, *room * sizeof *grown, wanted * sizeof *grown);
    if (!grown)
        return false;
    for (uint32_t i = *room; i < wanted; i++)
        grown[i] = UINT32_MAX;
    *items = grown;
    *room = wanted;
    return true;
}

static bool follows(leat_keys *keys, const leat_value_ids *ids)
{
    key_ids *own = &keys->ids;
    if (own->dictionary == ids->dictionary)
        return own->room >= ids->limit || grow(keys, &own->slots, &own->room, ids->limit);
    if (own->changes > CHANGES_MAX)
        return false;
    own->changes++;
    own->dictionary = ids->dictionary;
    for (uint32_t i = 0; i < own->room; i++)
        own->slots[i] = LEAT_SLOT_NONE;
    for (uint32_t i = 0; i < own->slot_room; i++)
        own->of_slot[i] = LEAT_VALUE_ID_NONE;
    return own->room >= ids->limit || grow(keys, &own->slots, &own->room, ids->limit);
}

bool leat_keys_by_id(leat_keys *keys, const leat_batch *batch, uint32_t column, uint32_t *out_slots,
                     uint32_t *out_unknown)
{
    const leat_value_ids *ids = &batch->ids;
    if (ids->values != batch->columns[column].values || ids->nulls != batch->columns[column].nulls ||
        !follows(keys, ids))
        return false;
    const uint32_t *slots = keys->ids.slots;
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t id = ids->ids[leat_batch_row(batch, i)];
        uint32_t slot = id < ids->limit ? slots[id] : LEAT_SLOT_NONE;
        unknown += slot == LEAT_SLOT_NONE;
        out_slots[i] = slot;
    }
    *out_unknown = unknown;
    return true;
}

void leat_keys_learn_id(leat_keys *keys, uint32_t id, uint32_t slot)
{
    key_ids *own = &keys->ids;
    if (id >= own->room || slot == LEAT_SLOT_NONE)
        return;
    if (slot >= own->slot_room && !grow(keys, &own->of_slot, &own->slot_room, slot + 1))
        return; // without it the number could not be forgotten
    own->slots[id] = slot;
    own->of_slot[slot] = id;
}

void leat_keys_forget_id(leat_keys *keys, uint32_t slot)
{
    key_ids *own = &keys->ids;
    if (slot >= own->slot_room || own->of_slot[slot] == LEAT_VALUE_ID_NONE)
        return;
    own->slots[own->of_slot[slot]] = LEAT_SLOT_NONE;
    own->of_slot[slot] = LEAT_VALUE_ID_NONE;
}

void leat_keys_ids_fini(leat_keys *keys)
{
    leat_keys_free(keys, keys->ids.slots, keys->ids.room * sizeof(uint32_t));
    leat_keys_free(keys, keys->ids.of_slot, keys->ids.slot_room * sizeof(uint32_t));
}
