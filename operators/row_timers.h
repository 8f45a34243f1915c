// Rows kept per key (row_frame.h) and timers that say when the operator looks at them: what deduplication and Top-N of windows are built on.
//
// Usage: open; work with frame and timers; restore, snapshot, measure, close as the operator's own. A key stays as long as it has rows or timers.
// Stored in two tables of the operator: rows (state/sorted.h) and timers (state/timer.h).
#pragma once

#include "operators/row_frame.h"
#include "operators/state/timer.h"

enum { LEAT_ROW_TIMERS_ROWS = 0, LEAT_ROW_TIMERS_TIMERS, LEAT_ROW_TIMERS_TABLES };

typedef struct leat_row_timers {
    leat_row_frame frame;
    leat_timers timers;
    leat_writer stored; // for whoever writes state
} leat_row_timers;

// After a failure nothing is left open.
LEAT_MUST_CHECK leat_code leat_row_timers_open(leat_row_timers *rows, leat_operator_context *context,
                                               uint32_t key_count, const uint32_t *key_columns, int64_t state_ttl_ms,
                                               leat_error *out_error);
void leat_row_timers_close(leat_row_timers *rows);
void leat_row_timers_snapshot(leat_row_timers *rows, leat_snapshot *snapshot);
// table: one of the two.
LEAT_MUST_CHECK leat_code leat_row_timers_restore(leat_row_timers *rows, uint8_t table, leat_slice key,
                                                  leat_slice value, leat_error *out_error);
void leat_row_timers_measure(const leat_row_timers *rows, uint64_t *out_state_bytes, uint64_t *out_keys);

// What an operator on it does with what comes.
typedef struct leat_row_timers_work {
    void (*advance)(void *owner, int64_t watermark); // to the watermark in front of a row, and behind the last one
    leat_code (*take)(void *owner, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error);
} leat_row_timers_work;

// The rows of a batch in order, each behind what its watermark makes due. Inline, so that both functions are.
static inline leat_code leat_row_timers_each(leat_row_timers *rows, const leat_batch *batch,
                                             const uint32_t *key_columns, leat_row_timers_work work, void *owner,
                                             leat_error *out_error)
{
    leat_code code = leat_row_frame_resolve(&rows->frame, batch, key_columns, out_error);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i), slot;
        if (batch->watermark)
            work.advance(owner, batch->watermark[row]);
        if (!leat_row_frame_slot(&rows->frame, i, &slot))
            continue;
        code = work.take(owner, batch, row, slot, out_error);
        if (!leat_sorted_count(&rows->frame.rows, slot))
            leat_row_frame_idle(&rows->frame, slot);
    }
    work.advance(owner, batch->watermark_after);
    return code;
}
