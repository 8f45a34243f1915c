// Pairs of an arriving row with kept ones, for joins that keep rows by time (state/time_rows.h): which columns are kept, the condition, and
// results, column by column.
//
// Of a row only what the result or the condition reads is kept, and of that neither keys, which the partner has too, nor the time, which
// stands beside the columns. A result's columns of the arriving side are filled in for a whole batch of results at once.
//
// Usage: init; init the rows of both sides with kept_columns; then per batch begin; for each row arrive, then meets and emit for each
// candidate; or emit_arrived and emit_kept with the other side NULL; end behind each element, before the frame's.
// Ownership: of the frame's arena; values of a batch hold while it is handled. Threads: the operator's.
#pragma once

#include "operators/join_frame.h"
#include "operators/state/time_rows.h"

typedef enum leat_join_source_kind {
    LEAT_JOIN_FROM_NOWHERE, // nobody reads it: NULL
    LEAT_JOIN_FROM_CELL,    // `index`: of the kept cells
    LEAT_JOIN_FROM_KEY,     // `index`: of the keys
    LEAT_JOIN_FROM_TIME,
} leat_join_source_kind;

typedef struct leat_join_source { // of a column of a kept row
    leat_join_source_kind kind;
    uint32_t index;
} leat_join_source;

typedef struct leat_join_move {
    uint32_t out, from; // a column of the result; of the arriving batch, or a cell
} leat_join_move;

typedef struct leat_join_moves { // for pairs with an arriving row of one side
    leat_join_move *arriving, *cells;
    uint32_t *times, *nowhere; // columns of the result
    uint32_t arriving_count, cell_count, time_count, nowhere_count;
} leat_join_moves;

typedef struct leat_join_test leat_join_test;

typedef struct leat_join_pairs {
    leat_join_frame *frame;
    leat_time_rows *rows[2];
    leat_join_source *sources[2]; // of each column
    uint32_t *kept[2], kept_count[2];
    leat_join_moves moves[2];
    bool *read[2]; // by the condition
    leat_join_test *tests;
    uint32_t test_count; // comparisons that are the condition; 0: it is the program
    leat_value *key_values;
    // -- of the batch
    const leat_batch *batch;
    unsigned input;
    uint32_t row;      // that arrives
    bool loaded;       // its values are in the frame
    uint16_t *rows_of; // for each result: the arriving row
    uint32_t filled;   // results that are whole
    bool padded;       // among the others is one without arriving row
} leat_join_pairs;

// unread[side][column]: nobody reads it in the result; NULL: all may be read. time_columns: -1: the time is no column.
void leat_join_pairs_init(leat_join_pairs *pairs, leat_join_frame *frame, leat_time_rows rows[2],
                          const int32_t time_columns[2], const bool *const unread[2]);
static inline const uint32_t *leat_join_pairs_kept(const leat_join_pairs *pairs, unsigned side, uint32_t *out_count)
{
    *out_count = pairs->kept_count[side];
    return pairs->kept[side];
}
void leat_join_pairs_begin(leat_join_pairs *pairs, unsigned input, const leat_batch *batch);
static inline void leat_join_pairs_arrive(leat_join_pairs *pairs, uint32_t row)
{
    pairs->row = row;
    pairs->loaded = false;
}
// Whether the arriving row and the kept one of the other side fulfil the condition.
bool leat_join_pairs_holds(leat_join_pairs *pairs, const leat_time_row *kept);
static inline bool leat_join_pairs_meets(leat_join_pairs *pairs, const leat_time_row *kept)
{
    return !pairs->frame->sides->condition || leat_join_pairs_holds(pairs, kept);
}
// The value of the result's time attribute, `otherwise` when it has none.
int64_t leat_join_pairs_time(leat_join_pairs *pairs, const leat_time_row *kept, int64_t otherwise);
void leat_join_pairs_emit(leat_join_pairs *pairs, const leat_time_row *kept, int64_t event_ms, uint64_t cause);
// With the other side NULL; `time_ms` is the row's, and the result's unless that has a time attribute of this side.
void leat_join_pairs_emit_arrived(leat_join_pairs *pairs, int64_t time_ms, uint64_t cause);
void leat_join_pairs_emit_kept(leat_join_pairs *pairs, unsigned side, uint32_t slot, const leat_time_row *kept,
                               uint64_t cause);
void leat_join_pairs_end(leat_join_pairs *pairs);
