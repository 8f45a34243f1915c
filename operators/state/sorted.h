// Rows that an operator keeps per key in an order: by order bytes (core/order_encode.h), then by arrival.
//
// Usage: init, restore*, then insert, find, remove, take and the walk by index; settle when rows of a slot may be gone; snapshot; fini.
// A removed row is the caller's until leat_sorted_free. Ownership: memory from the budget. Threads: the operator's.
// Failure: NULL when the budget refuses; nothing has changed then.
// Cost: insertion finds its place by halving and moves pointers; taking the first row moves nothing.
//
// The stored form, one entry a row:
//   key:   u64 big-endian sequence, the key's bytes
//   value: u8 version 1, u8 kind, u8 mark, signed varint time, u64 cause, varint word, sized order bytes, the encoded row
#pragma once

#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/state/pane.h"
#include "operators/state/removal.h"

typedef struct leat_sorted_row {
    uint64_t sequence, cause, word; // word: the operator's
    int64_t time_ms;
    uint32_t slot, order_size, size, epoch;
    uint8_t kind, mark; // mark: the operator's; leat_sorted_touch after a change of mark or word
    bool stored;
    char bytes[]; // order bytes, then the encoded row
} leat_sorted_row;

typedef struct leat_sorted {
    leat_budget *budget;
    const leat_keys *keys;
    leat_panes panes;
    leat_pane *pane;
    uint64_t next_sequence;
    uint32_t epoch;
    leat_removals removals;
    leat_writer scratch;
    size_t memory, list_memory;
    uint64_t count;
    leat_sorted_row *spare; // given back last: rows of a schema are often of one size, and where one goes another comes
} leat_sorted;

LEAT_MUST_CHECK bool leat_sorted_init(leat_sorted *sorted, leat_budget *budget, leat_env *env, const leat_keys *keys);
void leat_sorted_fini(leat_sorted *sorted); // also of zeroes
static inline leat_slice leat_sorted_order(const leat_sorted_row *row)
{
    return leat_slice_of(row->bytes, row->order_size);
}
static inline leat_slice leat_sorted_bytes(const leat_sorted_row *row)
{
    return leat_slice_of(row->bytes + row->order_size, row->size);
}
// Called for each row i of a batch: fetches what the lists of rows further on need, the last row first of all.
void leat_sorted_prefetch(const leat_sorted *sorted, const uint32_t *slots, uint32_t i, uint32_t count);
uint32_t leat_sorted_count(const leat_sorted *sorted, uint32_t slot);
leat_sorted_row *leat_sorted_get(const leat_sorted *sorted, uint32_t slot, uint32_t index);
// The first byte of a row's order (1 for all above) and 63 bits of the eight behind it, without a look at the row.
uint64_t leat_sorted_prefix(const leat_sorted *sorted, uint32_t slot, uint32_t index);
// First index whose order is above (or, with_equal, not below) the given one.
uint32_t leat_sorted_upper(const leat_sorted *sorted, uint32_t slot, leat_slice order);
uint32_t leat_sorted_lower(const leat_sorted *sorted, uint32_t slot, leat_slice order);
leat_sorted_row *leat_sorted_insert(leat_sorted *sorted, uint32_t slot, leat_slice order, leat_slice row,
                                    uint32_t *out_index);
leat_sorted_row *leat_sorted_remove(leat_sorted *sorted, uint32_t slot, uint32_t index);
void leat_sorted_free(leat_sorted *sorted, leat_sorted_row *row);
void leat_sorted_clear(leat_sorted *sorted, uint32_t slot);
void leat_sorted_touch(leat_sorted *sorted, leat_sorted_row *row);
size_t leat_sorted_memory(const leat_sorted *sorted);
static inline bool leat_sorted_failed(const leat_sorted *sorted) // a removal could not be noted
{
    return sorted->removals.log.failed;
}
void leat_sorted_snapshot(leat_sorted *sorted, leat_snapshot *snapshot, uint8_t table);
bool leat_sorted_key(leat_slice stored, uint64_t *out_sequence, leat_slice *out_key);
// out_row may be NULL.
LEAT_MUST_CHECK leat_code leat_sorted_restore(leat_sorted *sorted, uint32_t slot, uint64_t sequence, leat_slice value,
                                              const leat_sorted_row **out_row, leat_error *out_error);
