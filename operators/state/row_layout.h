// How chosen columns of a row lie in state: at fixed places, so that rows of a kind have one size and may be moved by memmove.
//
// A row is a mask of its NULLs, then a cell a column: the value itself; a text (and the stored form of an ARRAY, MAP or ROW) of up to 12
// bytes stands in its cell, a longer one has memory of its own. Doubles are kept in their stored form: -0.0 as 0.0, one NaN.
//
// Usage: init; begin a batch, store rows of it, or decode a stored one; value, copy, encode; free before a row is forgotten.
// Ownership: cells from the arena, long texts from the budget; what value gives points into the row. Threads: the operator's.
// Failure: false when the budget refuses or bytes are damaged; nothing is held then.
#pragma once

#include "operators/core/batch.h"
#include "operators/core/budget.h"

typedef struct leat_layout_cell {
    leat_type type;
    uint32_t column, offset;
    leat_physical physical;
    const uint64_t *values; // of the batch that was begun, where the layout is plain
    const uint8_t *nulls;
} leat_layout_cell;

typedef struct leat_row_layout {
    leat_budget *budget;
    leat_layout_cell *cells;
    uint32_t count, null_words, size;
    bool plain;    // every cell is 8 bytes, and none has memory of its own
    bool owns;     // some may have
    size_t memory; // theirs
    leat_writer encoded;
} leat_row_layout;

// size is a multiple of 8.
void leat_row_layout_init(leat_row_layout *layout, leat_budget *budget, leat_env *env, leat_arena *arena,
                          const leat_schema *schema, const uint32_t *columns, uint32_t count);
void leat_row_layout_fini(leat_row_layout *layout); // also of zeroes
void leat_row_layout_begin(leat_row_layout *layout, const leat_batch *batch);
LEAT_MUST_CHECK bool leat_row_layout_store(leat_row_layout *layout, const leat_batch *batch, uint32_t row,
                                           uint64_t *out_cells);
void leat_row_layout_free(leat_row_layout *layout, uint64_t *cells);
static inline bool leat_row_layout_is_null(const uint64_t *cells, uint32_t cell)
{
    return cells[cell / 64] >> cell % 64 & 1;
}
static inline const void *leat_row_layout_place(const leat_row_layout *layout, const uint64_t *cells, uint32_t cell)
{
    return (const char *)cells + layout->cells[cell].offset;
}
// Nested items lie in the arena.
leat_value leat_row_layout_value(const leat_row_layout *layout, const uint64_t *cells, uint32_t cell,
                                 leat_arena *arena);
// Into a column with NULLs; texts are copied into the arena.
void leat_row_layout_copy(const leat_row_layout *layout, const uint64_t *cells, uint32_t cell, leat_column *out,
                          uint32_t row, leat_arena *arena);
// All cells, into the first columns.
void leat_row_layout_copy_all(const leat_row_layout *layout, const uint64_t *cells, leat_column *columns, uint32_t row,
                              leat_arena *arena);
// One value after the other, as leat_value_encode.
void leat_row_layout_encode(const leat_row_layout *layout, const uint64_t *cells, leat_arena *scratch,
                            leat_writer *writer);
LEAT_MUST_CHECK leat_code leat_row_layout_decode(leat_row_layout *layout, leat_reader *reader, leat_arena *scratch,
                                                 uint64_t *out_cells, leat_error *out_error);
