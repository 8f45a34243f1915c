// What operators share that keep rows per key: keys, rows in an order, their encoding, and results with all the input's columns.
//
// Usage: open; on_batch resolves slots, then per row keep, remove, send; idle when a slot may have nothing any more; finish at the end
// of every call; snapshot, restore, close. A kept row's `word` is the processing time of its last write where the operator has a time to live.
#pragma once

#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/order_encode.h"
#include "operators/core/spec.h"
#include "operators/state/sorted.h"

typedef enum leat_row_frame_rest {
    LEAT_ROW_FRAME_FREE = 0,
    LEAT_ROW_FRAME_BUSY,
    LEAT_ROW_FRAME_WAITS, // nothing but a removal that the next snapshot tells
} leat_row_frame_rest;

typedef struct leat_row_frame {
    leat_operator_context *context;
    const leat_schema *input;
    leat_keys *keys;
    leat_sorted rows;
    leat_emitter results;
    leat_writer encoded, order;
    leat_arena values; // of decoded rows; reset by leat_row_frame_decode
    leat_value *columns;
    uint32_t *slots; // of the batch
    uint32_t *idle;
    uint32_t idle_count, idle_room;
    // Whether the slot has state beside its rows; NULL: never. Called when it has no rows.
    leat_row_frame_rest (*rest)(void *owner, uint32_t slot);
    void *owner;
    uint32_t *waiting; // slots that the next snapshot sets free
    uint32_t waiting_count, waiting_room;
    bool failed;    // a list of slots did not fit
    bool bare_rows; // the operator also keeps rows without their columns
    int64_t state_ttl_ms;
    int64_t wake_ms; // INT64_MAX: nothing asked for
} leat_row_frame;

LEAT_MUST_CHECK leat_code leat_row_frame_open(leat_row_frame *frame, leat_operator_context *context, uint32_t key_count,
                                              const uint32_t *key_columns, int64_t state_ttl_ms, leat_error *out_error);
void leat_row_frame_close(leat_row_frame *frame);
leat_code leat_row_frame_no_budget(const leat_row_frame *frame, leat_error *out_error);
// frame->slots for the batch's rows.
LEAT_MUST_CHECK leat_code leat_row_frame_resolve(leat_row_frame *frame, const leat_batch *batch,
                                                 const uint32_t *key_columns, leat_error *out_error);
// The slot of the i-th existing row; false: it has none and was counted.
bool leat_row_frame_slot(leat_row_frame *frame, uint32_t i, uint32_t *out_slot);
leat_slice leat_row_frame_encode(leat_row_frame *frame, const leat_batch *batch, uint32_t row);
leat_slice leat_row_frame_order(leat_row_frame *frame, const leat_batch *batch, uint32_t row, const leat_order *orders,
                                uint32_t count);
// Keeps a row of the batch under the order given; NULL: no budget.
leat_sorted_row *leat_row_frame_keep(leat_row_frame *frame, const leat_batch *batch, uint32_t row, uint32_t slot,
                                     leat_slice order, uint32_t *out_index);
// The columns of a kept row; they hold until the next call.
const leat_value *leat_row_frame_decode(leat_row_frame *frame, leat_slice bytes);
// A result with the columns of a kept row; its index in the emitter's batch, for further columns.
uint32_t leat_row_frame_send(leat_row_frame *frame, const leat_sorted_row *row, leat_row_kind kind, uint64_t cause);
// The same of a row of the batch.
uint32_t leat_row_frame_pass(leat_row_frame *frame, const leat_batch *batch, uint32_t row, leat_row_kind kind,
                             uint64_t cause);
static inline uint64_t leat_row_frame_cause(const leat_batch *batch, uint32_t row)
{
    return batch->cause ? batch->cause[row] : 0;
}
static inline int64_t leat_row_frame_time(const leat_batch *batch, uint32_t row)
{
    return batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
}
void leat_row_frame_drop(leat_row_frame *frame, uint32_t slot, uint32_t index); // removes and frees
void leat_row_frame_idle(leat_row_frame *frame, uint32_t slot);
bool leat_row_frame_expired(const leat_row_frame *frame, const leat_sorted_row *row);
// Takes out what ran out of a slot.
void leat_row_frame_expire(leat_row_frame *frame, uint32_t slot);
// Time to live: asks to be woken when rows may have run out; sweep is what on_time does.
void leat_row_frame_wake(leat_row_frame *frame);
void leat_row_frame_sweep(leat_row_frame *frame);
// End of a call: passes the watermark on, flushes, and gives slots back.
leat_code leat_row_frame_finish(leat_row_frame *frame, int64_t watermark, leat_code code, leat_error *out_error);
void leat_row_frame_snapshot(leat_row_frame *frame, leat_snapshot *snapshot, uint8_t table); // after the other tables
LEAT_MUST_CHECK leat_code leat_row_frame_restore(leat_row_frame *frame, leat_slice key, leat_slice value,
                                                 leat_error *out_error);
void leat_row_frame_measure(const leat_row_frame *frame, uint64_t *out_state_bytes, uint64_t *out_keys);
