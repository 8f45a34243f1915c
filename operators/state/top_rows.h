// The first rows of each key in an order, for rows that are only added: so few that they lie in the key's entry. A row that pushes out another
// takes its place, and touches the head of the entry and that place.
//
// Usage: init, restore*; begin a batch; then per row: find the key's list, ask for the rank, hold the row's columns, drop what it pushes
// out, and put it in; snapshot; fini. Rows are of one size (state/row_layout.h) with all columns of the schema.
// Ownership: memory from the budget; a row is where it is until it is dropped. Threads: the operator's.
// Failure: NULL, false or a code when the budget refuses; nothing has changed then.
// Limits: LEAT_TOP_ROWS_MAX rows a key, entries of ENTRY_MAX bytes (top_rows.c): leat_top_rows_fits says whether a schema keeps them.
//
// The stored form is that of state/sorted.h.
#pragma once

#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/core/order_encode.h"
#include "operators/state/pane.h"
#include "operators/state/row_layout.h"

enum { LEAT_TOP_ROWS_MAX = 13 };

typedef struct leat_top_row {
    uint64_t cause;
    int64_t time_ms;
    uint64_t number; // of arrival, above a mark of top_rows.c
    uint64_t cells[];
} leat_top_row;

typedef struct leat_top_list {
    uint16_t changed; // bits of places: the next snapshot is to hold their rows, and need not look at the others
    uint8_t count;
    uint8_t places[LEAT_TOP_ROWS_MAX]; // of rows by rank, then those that are free
    uint64_t prefixes[];               // by rank, of the first order column (core/order_encode.h)
} leat_top_list;

typedef struct leat_top_gone {
    uint64_t number;
    uint32_t slot;
} leat_top_gone;

typedef struct leat_top_rows {
    leat_budget *budget;
    const leat_keys *keys;
    const leat_order *orders;
    uint32_t order_count, room; // rows a key
    bool exact;                 // equal prefixes are equal orders, NULLs apart
    leat_row_layout layout;
    size_t head, stride; // of an entry: what is before the rows, a row
    leat_panes panes;
    leat_pane *pane;
    leat_top_row *coming; // the row that was held last
    uint64_t next_number, count;
    leat_top_gone *gone; // stored rows that are no longer there
    uint32_t gone_count, gone_room;
    leat_writer stored, order, other_order;
    leat_arena scratch;
} leat_top_rows;

bool leat_top_rows_fits(const leat_schema *schema, uint64_t room);
LEAT_MUST_CHECK bool leat_top_rows_init(leat_top_rows *rows, leat_budget *budget, leat_env *env, leat_arena *arena,
                                        const leat_keys *keys, const leat_schema *schema, const leat_order *orders,
                                        uint32_t order_count, uint32_t room);
void leat_top_rows_fini(leat_top_rows *rows);                                             // also of zeroes
static inline leat_top_list *leat_top_rows_list(const leat_top_rows *rows, uint32_t slot) // NULL: without rows
{
    leat_pane_entry *entry = leat_pane_find(&rows->panes, rows->pane, slot);
    return entry ? leat_pane_payload(entry) : NULL;
}
static inline leat_top_row *leat_top_rows_at(const leat_top_rows *rows, const leat_top_list *list, uint32_t rank)
{
    return (leat_top_row *)((char *)(uintptr_t)list + rows->head + list->places[rank] * rows->stride);
}
static inline void leat_top_rows_begin(leat_top_rows *rows, const leat_batch *batch) // before rows of it are held
{
    leat_row_layout_begin(&rows->layout, batch);
}
// Called for each row i of a batch: fetches the lists of rows further on, and what they push out.
void leat_top_rows_prefetch(const leat_top_rows *rows, const uint32_t *slots, uint32_t i, uint32_t count);
// Where a row of the batch would come to stand (from 0), behind its equals; list may be NULL.
uint32_t leat_top_rows_rank(leat_top_rows *rows, const leat_top_list *list, const leat_batch *batch, uint32_t row,
                            uint64_t prefix);
// The list, made if need be, and marked as changed.
leat_top_list *leat_top_rows_make(leat_top_rows *rows, uint32_t slot);
// rows->coming becomes the row of the batch. It is put in, or let go.
LEAT_MUST_CHECK bool leat_top_rows_hold(leat_top_rows *rows, const leat_batch *batch, uint32_t row);
void leat_top_rows_let_go(leat_top_rows *rows);
void leat_top_rows_put(leat_top_rows *rows, leat_top_list *list, uint32_t rank, uint64_t prefix); // there is room
LEAT_MUST_CHECK bool leat_top_rows_drop_last(leat_top_rows *rows, leat_top_list *list, uint32_t slot);
size_t leat_top_rows_memory(const leat_top_rows *rows);
void leat_top_rows_snapshot(leat_top_rows *rows, leat_snapshot *snapshot, uint8_t table);
LEAT_MUST_CHECK leat_code leat_top_rows_restore(leat_top_rows *rows, uint32_t slot, uint64_t number, leat_slice value,
                                                leat_error *out_error);
