// One list state, or one map state, of a keyed operator: for each key items in order of adding; those of a map have keys.
//
// A list is dense: index 0 is its oldest item. A map is walked in order of adding; taking items out while walking is allowed,
// putting new ones in is not. Maps beyond a few items are found by hash.
// Time-to-live is by processing time and for each item by itself: from its adding, in a map from its last put; with refresh_on_read
// from its last reading too, and reading a list reads all of it. Expired
// items are never seen; those of a key are taken out when it is next used, those of others by leat_items_sweep.
//
// Usage, ownership, threads, failure: as state/cell.h. Items are stored one by one, so that a long list costs a checkpoint only what changed.
//
// The stored form, one entry an item (`state` tells apart the states that share a table):
//   key:   u8 state, u64 big-endian sequence, the key's bytes
//   value: u8 version 1, u8 1 with a map key, [map key cell], value cell, signed varint expiry
#pragma once

#include "operators/state/cell.h"
#include "operators/state/removal.h"

typedef struct leat_item leat_item;
typedef struct leat_item_row leat_item_row;

typedef struct leat_items {
    leat_budget *budget;
    const leat_keys *keys; // NULL: one row, slot 0, in LEAT_GROUP_OPERATOR
    bool map;
    uint8_t type, state;
    int64_t ttl_ms;
    bool refresh_on_read; // set after init
    leat_panes panes;
    leat_pane *pane;
    leat_removals removals;
    leat_writer scratch;
    uint32_t sweep_slot;
    size_t memory; // of items, without the pane
} leat_items;

LEAT_MUST_CHECK bool leat_items_init(leat_items *items, leat_budget *budget, leat_env *env, const leat_keys *keys,
                                     bool map, uint8_t type, int64_t ttl_ms, uint8_t state);
void leat_items_fini(leat_items *items); // also of zeroes
uint32_t leat_items_count(leat_items *items, uint32_t slot, int64_t now_ms);
// Lists. NULL beyond the end.
const leat_cell *leat_items_get(leat_items *items, uint32_t slot, uint32_t index, int64_t now_ms);
LEAT_MUST_CHECK bool leat_items_add(leat_items *items, uint32_t slot, const leat_cell *value, int64_t now_ms);
void leat_items_remove(leat_items *items, uint32_t slot, uint32_t index, int64_t now_ms);
// Maps. A put under a key that is there keeps its place.
const leat_cell *leat_items_find(leat_items *items, uint32_t slot, const leat_cell *key, int64_t now_ms);
LEAT_MUST_CHECK bool leat_items_put(leat_items *items, uint32_t slot, const leat_cell *key, const leat_cell *value,
                                    int64_t now_ms);
void leat_items_unput(leat_items *items, uint32_t slot, const leat_cell *key, int64_t now_ms);
// *inout_place starts at 0.
bool leat_items_next(leat_items *items, uint32_t slot, uint32_t *inout_place, leat_cell *out_key, leat_cell *out_value,
                     int64_t now_ms);

void leat_items_clear(leat_items *items, uint32_t slot);
bool leat_items_settle(leat_items *items, uint32_t slot); // true when nothing is left of the slot
uint32_t leat_items_sweep(leat_items *items, int64_t now_ms, uint32_t *inout_steps);
size_t leat_items_memory(const leat_items *items);
static inline bool leat_items_failed(const leat_items *items)
{
    return items->removals.log.failed;
} // a removal could not be noted
void leat_items_snapshot(leat_items *items, leat_snapshot *snapshot, uint8_t table);
// Splits a stored key; false when damaged.
bool leat_items_key(leat_slice stored, uint8_t *out_state, uint64_t *out_sequence, leat_slice *out_key);
LEAT_MUST_CHECK leat_code leat_items_restore(leat_items *items, uint32_t slot, uint64_t sequence, leat_slice value,
                                             leat_arena *scratch, leat_error *out_error);
