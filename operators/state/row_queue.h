// Rows that wait for their time, taken in order of time, then of arrival.
//
// Rows lie column by column at places that are used again; the queue moves places, not rows. A row that is not before the last one goes
// behind it, which is what nearly all do; others go into a heap. Rows that are taken within the call in which they came are read out of
// their batch and are never copied: a row is given as a number, which is a place or, with LEAT_ROW_OF_BATCH, a row of the batch at hand.
//
// Usage: init, restore*; then for each batch: begin, add, take and gather and release what was taken, settle; snapshot between batches;
// fini. Ownership: memory from the budget. Threads: the operator's. Failure: false when the budget refuses. Limits: 2^31 rows.
//
// The stored form, one entry a row:
//   key:   u64 big-endian sequence, the key's bytes
//   value: u8 version 2, signed varint time, signed varint event time, u64 cause, the columns as core/row_encode.h
#pragma once

#include "operators/core/key.h"
#include "operators/core/operator.h"
#include "operators/state/removal.h"

#define LEAT_ROW_OF_BATCH 0x80000000u

typedef struct leat_row_due {
    int64_t time_ms;
    uint32_t row, unused;
} leat_row_due;

typedef struct leat_row_text leat_row_text; // memory of texts of several rows

typedef struct leat_row_queue {
    leat_budget *budget;
    leat_env *env;
    const leat_keys *keys;
    const leat_schema *schema;
    // -- places
    uint32_t room, count;
    void *memory; // of all that follows
    size_t memory_size;
    leat_column *columns; // nested values as their bytes
    bool *has_nulls;      // of a column, ever
    int64_t *time_ms, *event_ms;
    uint64_t *cause, *sequence;
    uint32_t *slot, *free; // free: places without a row, a stack
    uint8_t *state;
    leat_row_text **texts; // NULL: no column needs them
    leat_row_text *text;   // being filled
    size_t text_memory;
    uint32_t unstored;
    // -- the order
    leat_row_due *ring;
    uint64_t head, tail, fresh; // fresh: the first one of the batch at hand
    uint32_t ring_room;
    leat_row_due *heap;
    uint32_t heap_count, heap_room;
    uint64_t next_sequence;
    // -- the batch at hand
    const leat_batch *batch;
    uint32_t *batch_slot; // NULL: nothing has come yet
    leat_arena *arena;
    // -- stored
    leat_removals removals;
    leat_writer scratch;
    leat_arena values;
} leat_row_queue;

LEAT_MUST_CHECK bool leat_row_queue_init(leat_row_queue *queue, leat_operator_context *context, const leat_keys *keys);
void leat_row_queue_fini(leat_row_queue *queue); // also of zeroes
void leat_row_queue_begin(leat_row_queue *queue, const leat_batch *batch);
LEAT_MUST_CHECK bool leat_row_queue_add(leat_row_queue *queue, uint32_t row, uint32_t slot, int64_t time_ms);
// The number of a row that does not wait at all.
static inline uint32_t leat_row_queue_pass(leat_row_queue *queue, uint32_t row, uint32_t slot)
{
    queue->batch_slot[row] = slot;
    return row | LEAT_ROW_OF_BATCH;
}
LEAT_MUST_CHECK bool leat_row_queue_settle(leat_row_queue *queue); // the batch at hand may go
static inline bool leat_row_queue_empty(const leat_row_queue *queue)
{
    return queue->head == queue->tail && !queue->heap_count;
}
// The time of the first row; there is one.
static inline int64_t leat_row_queue_first(const leat_row_queue *queue)
{
    int64_t time = queue->heap_count ? queue->heap[0].time_ms : INT64_MAX;
    if (queue->head < queue->tail && queue->ring[queue->head & (queue->ring_room - 1)].time_ms < time)
        time = queue->ring[queue->head & (queue->ring_room - 1)].time_ms;
    return time;
}
bool leat_row_queue_take_any(leat_row_queue *queue, int64_t until_ms, leat_row_due *out_due);
// Takes the first row when its time is not behind until_ms.
static inline bool leat_row_queue_take(leat_row_queue *queue, int64_t until_ms, leat_row_due *out_due)
{
    if (queue->heap_count)
        return leat_row_queue_take_any(queue, until_ms, out_due);
    *out_due = queue->ring[queue->head & (queue->ring_room - 1)];
    if (queue->head == queue->tail || out_due->time_ms > until_ms)
        return false;
    queue->head++;
    return true;
}
static inline uint32_t leat_row_queue_slot(const leat_row_queue *queue, uint32_t row)
{
    return row & LEAT_ROW_OF_BATCH ? queue->batch_slot[row & ~LEAT_ROW_OF_BATCH] : queue->slot[row];
}
// A column of a row; texts hold until the row is released, nested values as long as the arena.
leat_value leat_row_queue_value(const leat_row_queue *queue, uint32_t row, uint32_t column, leat_arena *arena);
// Event times, causes and all columns of `count` rows into the first ones of a batch that was made for as many.
void leat_row_queue_gather(const leat_row_queue *queue, const uint32_t *rows, uint32_t count, leat_batch *out);
void leat_row_queue_release(leat_row_queue *queue, const uint32_t *rows, uint32_t count);
static inline bool leat_row_queue_failed(const leat_row_queue *queue) { return queue->removals.log.failed; }
size_t leat_row_queue_memory(const leat_row_queue *queue);
void leat_row_queue_snapshot(leat_row_queue *queue, leat_snapshot *snapshot, uint8_t table);
// Splits a stored key; false when damaged.
bool leat_row_queue_key(leat_slice stored, uint64_t *out_sequence, leat_slice *out_key);
LEAT_MUST_CHECK leat_code leat_row_queue_restore(leat_row_queue *queue, uint32_t slot, uint64_t sequence,
                                                 leat_slice value, leat_error *out_error);
