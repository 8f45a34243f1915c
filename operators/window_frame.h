// What the windows with aggregates have in common around their state: keys, evaluation, rows waiting to be added, results, late
// rows, and the watermark that is kept.
//
// Usage: open; then per batch begin, take or late for each row (flush before state is read or merged), end. A row that is taken is added
// to its accumulator with the next flush, all of them by one call, so that a batch that lies in one pane costs one fused loop.
//
// The watermark: `watermark` is what lateness is judged by, `fired` what windows have fired up to. They are the same until an
// operator that does not keep its watermark (DataStream) is restored from a savepoint: then rows may come back to windows that
// have fired. Both are stored per key group, since entries of windows that are over are not removed from a checkpoint one by
// one: what was over under the stored watermark is left out when it is restored.
//
// Stored: table LEAT_WINDOW_MARKS, key empty, value: version 1, watermark i64, fired i64 (little-endian).
#pragma once

#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/key.h"
#include "operators/core/spec.h"
#include "operators/expr/aggregate.h"
#include "operators/window_assign.h"

enum { LEAT_WINDOW_MARKS = 15 };

typedef struct leat_window_mark {
    int64_t watermark, fired;
} leat_window_mark;

typedef struct leat_window_frame {
    leat_operator_context *context;
    const leat_window_aggregate_spec *spec;
    const leat_accumulators *set;
    leat_keys *keys;
    leat_eval eval;
    leat_emitter results;
    leat_value *key_values; // key_count
    leat_writer stored;     // bytes on their way into a snapshot
    // -- of the batch that is being handled
    leat_batch *batch;
    uint32_t *slots;           // of existing rows; LEAT_SLOT_NONE: to be dropped (leat_window_frame_too_large)
    const int64_t *times;      // by physical row; NULL: the rows have no time
    const uint8_t *time_nulls; // NULL: none is NULL
    uint16_t *rows;            // waiting
    void **accumulators;       // theirs
    uint32_t waiting;
    uint16_t *late;
    uint32_t late_count;
    // -- watermark
    int64_t watermark, fired;
    int64_t
        heard; // what is passed on: `watermark`, once one has come in; a lower one after a savepoint passes the kept one on
    int64_t stored_watermark, stored_fired; // as the last snapshot has them
    bool marks_unkept;                      // see leat_snapshot_mark_due
    leat_window_mark *marks;                // as restored, LEAT_KEY_GROUPS; NULL when nothing was, and after ready
} leat_window_frame;

LEAT_MUST_CHECK leat_code leat_window_frame_open(leat_window_frame *frame, leat_operator_context *context,
                                                 leat_error *out_error);
void leat_window_frame_close(leat_window_frame *frame);
LEAT_MUST_CHECK leat_code leat_window_frame_begin(leat_window_frame *frame, leat_batch *batch, leat_error *out_error);
static inline void leat_window_frame_take(leat_window_frame *frame, uint32_t row, void *accumulator)
{
    frame->rows[frame->waiting] = (uint16_t)row;
    frame->accumulators[frame->waiting++] = accumulator;
}
LEAT_MUST_CHECK leat_code leat_window_frame_add(leat_window_frame *frame,
                                                leat_error *out_error); // what waits; use flush
static inline leat_code leat_window_frame_flush(leat_window_frame *frame, leat_error *out_error)
{
    return frame->waiting ? leat_window_frame_add(frame, out_error) : LEAT_OK;
}
void leat_window_frame_late(leat_window_frame *frame, uint32_t row);
void leat_window_frame_too_large(leat_window_frame *frame); // counts a row whose key is too long
// Adds what waits, sends late rows, results and the watermark after the batch (frame->watermark).
LEAT_MUST_CHECK leat_code leat_window_frame_end(leat_window_frame *frame, leat_error *out_error);
// Passes the watermark on, behind the results so far, and sends them.
void leat_window_frame_send(leat_window_frame *frame);
// Called when nothing is due before `watermark` any more.
static inline void leat_window_frame_rise(leat_window_frame *frame, int64_t watermark)
{
    frame->watermark = watermark > frame->watermark ? watermark : frame->watermark;
    frame->fired = watermark > frame->fired ? watermark : frame->fired;
    if (watermark != LEAT_TIME_NONE)
        frame->heard = frame->watermark;
}

// The fields of window_start, window_end and window_time in the output.
const leat_field *leat_window_frame_fields(const leat_window_frame *frame);
// What the cause of a window's results is derived from, beside the key; on the scale of windows.
static inline uint64_t leat_window_cause(int64_t start, int64_t end)
{
    return leat_cause_derive((uint64_t)start, (uint64_t)end);
}
// One result, unless the window holds no rows any more.
void leat_window_frame_result(leat_window_frame *frame, uint32_t slot, const void *accumulator,
                              const leat_window_times *times, uint64_t window_cause, uint64_t firing);
leat_code leat_window_frame_no_budget(const leat_window_frame *frame, leat_error *out_error);

void leat_window_frame_snapshot(leat_window_frame *frame, leat_snapshot *snapshot);
LEAT_MUST_CHECK leat_code leat_window_frame_restore(leat_window_frame *frame, uint32_t group, leat_slice value,
                                                    leat_error *out_error);
// The marks under which the entries of a key were stored; only in ready, before leat_window_frame_ready.
leat_window_mark leat_window_frame_mark_of(const leat_window_frame *frame, uint32_t slot);
void leat_window_frame_ready(leat_window_frame *frame, bool restored);
