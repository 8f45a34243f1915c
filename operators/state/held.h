// Rows that an operator holds back until the watermark has passed them.
//
// A held row is its encoded bytes and where it belongs; rows come out in order of time, then of arrival.
//
// Usage: init, restore*, then add, take; snapshot; fini. Ownership: memory from the budget; a taken row is the caller's until
// leat_held_free. Threads: the operator's. Failure: false when the budget refuses; nothing has changed then.
//
// The stored form, one entry a row:
//   key:   u64 big-endian sequence, the key's bytes
//   value: u8 version 1, varint input, signed varint time, u8 kind, u64 cause, the encoded row
#pragma once

#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/state/pane.h"
#include "operators/state/removal.h"

typedef struct leat_held_row {
    int64_t time_ms;
    uint64_t sequence, cause;
    uint32_t slot, input, epoch, size;
    uint8_t kind;
    bool stored;
    char bytes[];
} leat_held_row;

typedef struct leat_held {
    leat_budget *budget;
    const leat_keys *keys;
    leat_held_row **heap;
    uint32_t count, capacity;
    uint64_t next_sequence;
    leat_panes panes; // how many rows a slot has: the entry's word
    leat_pane *pane;
    uint32_t epoch;
    leat_removals removals;
    leat_writer scratch;
    size_t memory;
} leat_held;

LEAT_MUST_CHECK bool leat_held_init(leat_held *held, leat_budget *budget, leat_env *env, const leat_keys *keys);
void leat_held_fini(leat_held *held); // also of zeroes
LEAT_MUST_CHECK bool leat_held_add(leat_held *held, uint32_t input, uint32_t slot, int64_t time_ms, leat_row_kind kind,
                                   uint64_t cause, leat_slice row);
static inline bool leat_held_due(const leat_held *held, int64_t until_ms)
{
    return held->count && held->heap[0]->time_ms <= until_ms;
}
leat_held_row *leat_held_take(leat_held *held, int64_t until_ms); // NULL: none is due
void leat_held_free(leat_held *held, leat_held_row *row);
bool leat_held_any(const leat_held *held, uint32_t slot);
void leat_held_snapshot(leat_held *held, leat_snapshot *snapshot, uint8_t table);
bool leat_held_key(leat_slice stored, uint64_t *out_sequence, leat_slice *out_key);
// The row's bytes in its stored form; false: damaged.
bool leat_held_stored_bytes(leat_slice value, leat_slice *out_bytes);
LEAT_MUST_CHECK leat_code leat_held_restore(leat_held *held, uint32_t slot, uint64_t sequence, leat_slice value,
                                            leat_error *out_error);
