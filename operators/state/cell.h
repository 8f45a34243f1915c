// Value states of a keyed operator: for each key one row of cells, numbers in place, texts and arrays in memory of the budget.
//
// A table holds all value states of an operator side by side, one entry a slot. Time-to-live is by processing time, refreshed
// on creation and on every write, where asked for by leat_cells_touch too; an expired cell is never seen, and leat_cells_sweep takes its memory back bit by bit.
// A table without keys holds one row (slot 0), the same for all keys: it is stored in LEAT_GROUP_OPERATOR.
//
// Usage: init, restore*, then read, write, put, clear; settle when cells of a slot may have become NULL; snapshot; fini.
// Ownership: memory from the budget. Threads: the operator's. Failure: NULL or false when the budget refuses; nothing has changed then.
//
// The stored form, one entry a row that has a cell set:
//   key:   the key's bytes, empty without keys
//   value: u8 version 1, varint count of states, then per state: cell; when it is set and the state expires: signed varint expiry
//   cell:  u8 type, u8 set, then by type: signed varint | 8 bytes IEEE | sized bytes | varint count and that many cells
#pragma once

#include "operators/api/leat.h"
#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/state/pane.h"

// -- one cell

static inline bool leat_cell_is_text(uint8_t type)
{
    return type == LEAT_API_STRING || type == LEAT_API_BYTES || type == LEAT_API_DECIMAL;
}
static inline bool leat_cell_is_array(uint8_t type)
{
    return type >= LEAT_API_INT_ARRAY && type <= LEAT_API_STRING_ARRAY;
}
static inline bool leat_cell_is_f64(uint8_t type) { return type == LEAT_API_DOUBLE || type == LEAT_API_FLOAT; }
// Own memory of a cell that was copied.
size_t leat_cell_memory(const leat_cell *cell);
LEAT_MUST_CHECK bool leat_cell_copy(leat_budget *budget, const leat_cell *from, leat_cell *out_copy);
void leat_cell_free(leat_budget *budget, leat_cell *cell); // becomes NULL of its type
bool leat_cell_equal(const leat_cell *a, const leat_cell *b);
void leat_cell_write(const leat_cell *cell, leat_writer *writer);
// Texts point into the reader's bytes, items lie in the arena. False when damaged.
bool leat_cell_read(leat_reader *reader, leat_arena *arena, leat_cell *out_cell);

// -- tables

typedef struct leat_cell_state {
    uint8_t type;   // leat_api_type
    int64_t ttl_ms; // 0: for ever
    bool refresh_on_read;
} leat_cell_state;

typedef struct leat_cells {
    leat_budget *budget;
    const leat_keys *keys; // NULL: one row
    const leat_cell_state *states;
    uint32_t count;
    bool expires;
    leat_panes panes;
    leat_pane *pane;
    uint32_t sweep_slot;
    size_t text_memory;
} leat_cells;

LEAT_MUST_CHECK bool leat_cells_init(leat_cells *cells, leat_budget *budget, const leat_keys *keys,
                                     const leat_cell_state *states, uint32_t count);
void leat_cells_fini(leat_cells *cells);                                        // also of zeroes
static inline leat_cell *leat_cells_row(const leat_cells *cells, uint32_t slot) // NULL: none is set
{
    leat_pane_entry *entry = leat_pane_place(&cells->panes, cells->pane, slot);
    return entry && entry->state == LEAT_PANE_LIVE ? leat_pane_payload(entry) : NULL;
}
static inline int64_t *leat_cells_expiry(const leat_cells *cells, leat_cell *row, uint32_t state)
{
    return (int64_t *)(row + cells->count) + state;
}
// The cell, NULL when it is not set or has expired.
static inline const leat_cell *leat_cells_read(const leat_cells *cells, uint32_t slot, uint32_t state, int64_t now_ms)
{
    leat_cell *row = leat_cells_row(cells, slot);
    if (!row || !row[state].set || (cells->expires && *leat_cells_expiry(cells, row, state) <= now_ms))
        return NULL;
    return row + state;
}
// A cell that leat_cells_read gave was read: its time to live begins anew, if its state says so.
void leat_cells_touch(leat_cells *cells, uint32_t slot, uint32_t state, int64_t now_ms);
// The cell to be changed in place, `set` as it is; marked as changed.
leat_cell *leat_cells_write(leat_cells *cells, uint32_t slot, uint32_t state, int64_t now_ms);
LEAT_MUST_CHECK bool leat_cells_put(leat_cells *cells, uint32_t slot, uint32_t state, const leat_cell *value,
                                    int64_t now_ms);
void leat_cells_clear(leat_cells *cells, uint32_t slot, uint32_t state);
void leat_cells_clear_all(leat_cells *cells, uint32_t slot);
// Gives the row back when no cell is set; true when nothing of it is left (not even a removal for the next snapshot).
bool leat_cells_settle(leat_cells *cells, uint32_t slot);
// Looks at up to *inout_steps slots, onwards from the last one, for expired cells. Returns a slot whose row went, to be
// called again, or LEAT_SLOT_NONE when the steps are used up.
uint32_t leat_cells_sweep(leat_cells *cells, int64_t now_ms, uint32_t *inout_steps);
size_t leat_cells_memory(const leat_cells *cells);
void leat_cells_snapshot(leat_cells *cells, leat_snapshot *snapshot, uint8_t table, leat_writer *scratch);
LEAT_MUST_CHECK leat_code leat_cells_restore(leat_cells *cells, uint32_t slot, leat_slice value, leat_arena *scratch,
                                             leat_error *out_error);
static inline __attribute__((always_inline)) void leat_cells_prefetch(const leat_cells *cells, uint32_t slot)
{
    const char *entry = (const char *)leat_pane_place(&cells->panes, cells->pane, slot);
    if (!entry)
        return;
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(entry + cells->panes.stride - 1, 1);
}
