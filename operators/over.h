// One OVER operator in several files: over.c keeps rows and says when they are due, over_block.c computes what is due block by block,
// over_store.c writes and reads the state. Private to them.
#pragma once

#include "operators/expr/aggregate.h"
#include "operators/row_frame.h"
#include "operators/state/timer.h"

enum {
    OVER_KEYS = 0,
    OVER_ROWS,
    OVER_LAGS,
    OVER_TIMERS,
    OVER_VERSION = 1,
    OVER_BLOCK = 64,
    OVER_STEPS = 4 * OVER_BLOCK
};

// Payload of a key's entry; the accumulators follow.
typedef struct over_key {
    int64_t last_ms;    // time that last fired; begins at 0 (ORDER BY: at none)
    int64_t cleanup_ms; // LEAT_TIME_NONE: none
    int64_t expiry_ms;  // LEAT_TIME_NONE: none
    int64_t rank_ms;    // time of the row that was ranked last
    uint64_t row_count, rank, dense_rank;
    uint32_t in_frame; // of the key's rows, from the first
    bool cleared;      // nothing has come since it was
} over_key;
_Static_assert(sizeof(over_key) % 16 == 0, "the accumulator is 16-aligned");

typedef enum over_step_kind {
    OVER_STEP_OUT,
    OVER_STEP_IN,
    OVER_STEP_SEND,
    OVER_STEP_CLEAR,
    OVER_STEP_WATERMARK
} over_step_kind;

typedef struct over_step {
    over_step_kind kind;
    uint32_t slot, row; // row of the block
    int64_t watermark;
} over_step;

typedef struct over {
    leat_operator base;
    const leat_over_spec *spec;
    leat_row_frame frame;
    leat_panes tables;
    leat_pane *key_table;
    leat_timers timers;
    leat_sorted lags;
    uint32_t lag_count, lag_rows; // values of one row, rows kept
    leat_eval eval;
    leat_batch block;
    uint64_t block_causes[OVER_BLOCK];
    int64_t block_event[OVER_BLOCK], block_time[OVER_BLOCK];
    over_step steps[OVER_STEPS];
    uint32_t step_count;
    int64_t watermark;
    leat_writer stored;
    leat_arena texts;
} over;

static inline over_key *over_key_of(leat_pane_entry *entry) { return leat_pane_payload(entry); }
static inline void *over_accumulator(leat_pane_entry *entry) { return over_key_of(entry) + 1; }
static inline leat_pane_entry *over_entry(const over *self, uint32_t slot)
{
    return leat_pane_find(&self->tables, self->key_table, slot);
}
// The time that a kept row is ordered by.
static inline int64_t over_time(const leat_sorted_row *row)
{
    leat_reader reader;
    leat_reader_init(&reader, row->bytes, row->order_size);
    return (int64_t)(leat_read_u64be(&reader) ^ UINT64_C(1) << 63);
}
leat_pane_entry *over_make_key(over *self, uint32_t slot); // NULL: no budget

// ---- over_block.c

void over_open_block(over *self);
// Room for that many rows and their steps; runs what there is when it has none.
LEAT_MUST_CHECK leat_code over_make_room(over *self, uint32_t rows, leat_error *out_error);
uint32_t over_add_row(over *self, const leat_sorted_row *row);
void over_add_step(over *self, over_step_kind kind, uint32_t slot, uint32_t row);
LEAT_MUST_CHECK leat_code over_run(over *self, leat_error *out_error);

// ---- over_store.c

void over_snapshot(leat_operator *base, leat_snapshot *snapshot);
leat_code over_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                       leat_error *out_error);
leat_code over_check_frames(const over *self, leat_error *out_error);
