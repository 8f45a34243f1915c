// Rows that wait for the watermark in the order of time in which they came: most of a stream. Those that come behind a later one wait in
// state/held.h; both share one numbering, and one stored form (that of held.h).
//
// While a batch is handled its rows are read where they lie in it; what is left of them at its end is copied, column by column, into one block. A
// snapshot writes the rows that came since the one before, which their numbers tell.
//
// Usage: init; begin a batch, push its rows, take what is due, end the batch; release_taken when taken rows are no longer read; fini.
// Ownership: memory from the budget. Threads: the operator's. Failure: end_batch returns false when the budget refuses; the rows that were left are
// lost then, and the operator with them.
// Limits: kept columns of nested types are not taken (leat_match_rows_fit): such rows all wait in held.h.
#pragma once

#include "operators/state/held.h"

typedef struct match_row { // one that is due: read until release_taken
    int64_t time_ms;
    uint64_t sequence, cause, mask;
    uint32_t slot;
    uint32_t at;                // in `columns`, the kept ones
    const leat_column *columns; // NULL: encoded in `bytes`
    leat_slice bytes;
} match_row;

typedef struct match_block match_block;
struct match_block {
    match_block *next;
    size_t size;
    uint32_t first, count; // rows before `first` are gone
    int64_t *times;
    uint64_t *sequences, *causes, *masks;
    uint32_t *slots;
    leat_column *columns;
};

typedef struct match_rows {
    leat_budget *budget;
    const leat_keys *keys;
    const leat_schema *kept;
    match_block *head, *tail;   // of batches before
    match_block *taken, *spare; // read until release_taken; for the next block
    // -- rows of the batch at hand
    leat_column *columns;
    const int64_t *times;
    const uint64_t *masks, *causes; // causes NULL: 0
    uint32_t *at, *slots;           // LEAT_BATCH_ROWS of them
    uint64_t *sequences;
    uint32_t first, count;
    // --
    int64_t front_ms, back_ms; // of the first and the last one; LEAT_TIME_MAX, LEAT_TIME_NONE: there is none
    uint32_t waiting;
    uint64_t stored_below; // rows with lower numbers are in a snapshot
    leat_removals removals;
    leat_writer scratch;
} match_rows;

bool leat_match_rows_fit(const leat_schema *kept);
void leat_match_rows_init(match_rows *rows, leat_budget *budget, leat_env *env, leat_arena *arena,
                          const leat_keys *keys, const leat_schema *kept);
void leat_match_rows_fini(match_rows *rows); // also of zeroes
// `columns` of the operator's kept ones, in the batch; masks and times by physical row.
void leat_match_rows_begin(match_rows *rows, const leat_batch *batch, const uint32_t *kept, const int64_t *times,
                           const uint64_t *masks);
// Time not below that of the last one that waits: the caller asked leat_match_rows_in_order.
static inline bool leat_match_rows_in_order(const match_rows *rows, int64_t time_ms)
{
    return time_ms >= rows->back_ms;
}
static inline void leat_match_rows_push(match_rows *rows, uint32_t row, uint32_t slot, uint64_t sequence)
{
    uint32_t i = rows->count++;
    rows->at[i] = row;
    rows->slots[i] = slot;
    rows->sequences[i] = sequence;
    rows->back_ms = rows->times[row];
    if (!rows->waiting++)
        rows->front_ms = rows->back_ms;
}
// All rows of the batch, in order of time, none before those that wait.
void leat_match_rows_push_all(match_rows *rows, const leat_batch *batch, const uint32_t *slots, uint64_t sequence);
void leat_match_rows_pass_blocks(match_rows *rows, int64_t until_ms, uint64_t conditions, const uint32_t *marks);
// Passes over rows at the front that are due, fit none of the conditions, and whose slots have no mark.
static inline void leat_match_rows_pass(match_rows *rows, int64_t until_ms, uint64_t conditions, const uint32_t *marks)
{
    if (rows->front_ms > until_ms)
        return;
    if (rows->head)
        leat_match_rows_pass_blocks(rows, until_ms, conditions, marks);
    const int64_t *times = rows->times;
    const uint64_t *masks = rows->masks;
    const uint32_t *at = rows->at, *slots = rows->slots;
    uint32_t count = rows->count, i = rows->head ? count : rows->first, first = i;
    while (i < count && times[at[i]] <= until_ms && !(masks[at[i]] & conditions) && !marks[slots[i]])
        i++;
    if (i == first)
        return;
    rows->first = i;
    rows->waiting -= i - first;
    rows->front_ms = i < rows->count ? rows->times[rows->at[i]] : LEAT_TIME_MAX;
    rows->back_ms = rows->waiting ? rows->back_ms : LEAT_TIME_NONE;
}
uint64_t leat_match_rows_front_sequence(const match_rows *rows);         // there is one
void leat_match_rows_take(match_rows *rows, match_row *out_row);         // the first one; there is one
bool leat_match_rows_only_one(const match_rows *rows, int64_t until_ms); // due, the first one being so
void leat_match_rows_give_back(match_rows *rows);
static inline void leat_match_rows_release_taken(match_rows *rows)
{
    if (rows->taken)
        leat_match_rows_give_back(rows);
}
LEAT_MUST_CHECK bool leat_match_rows_end(match_rows *rows);
void leat_match_rows_snapshot(match_rows *rows, leat_snapshot *snapshot, uint8_t table, uint64_t next_sequence);
// Sets a bit for the slot of each row that waits.
void leat_match_rows_mark(const match_rows *rows, uint64_t *slots);
