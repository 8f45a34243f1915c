// Builds an operator's output: rows one by one, with watermarks in between, cut into batches.
//
// Usage: init in open; during a call append rows (leat_emitter_row, then set its columns) and rises of the watermark
// (leat_emitter_watermark) in the order in which they happen; leat_emitter_flush at the end of every on_batch, on_watermark and
// on_time. A full batch is sent at once. Side outputs (index > 0) get one emitter each and the same watermarks.
//
// Ownership: the emitter holds one batch between init/flush. Threads: the operator's. Failure: none; when the pool is at its budget
// a batch may exceed it a little (the task stops reading its inputs instead).
#pragma once

#include "operators/core/operator.h"

typedef struct leat_emitter {
    leat_operator_context *context;
    unsigned output;
    leat_batch *batch;      // being filled, NULL: none
    int64_t watermark;      // last one appended
    int64_t watermark_sent; // last one that left in a batch
    uint32_t capacity;      // rows a batch, LEAT_BATCH_ROWS
    // -- private to emitter.c
    uint32_t room;       // rows that the columns of `batch` have place for so far
    uint32_t room_first; // what the next batch starts with, learned from the last ones
} leat_emitter;

void leat_emitter_init(leat_emitter *emitter, leat_operator_context *context, unsigned output);
void leat_emitter_fini(leat_emitter *emitter);
// A new row of the output's schema: all columns NULL-free and unset; returns its index in emitter->batch, whose columns the caller fills.
uint32_t leat_emitter_row(leat_emitter *emitter, int64_t event_ms, leat_row_kind kind, uint64_t cause);
void leat_emitter_set(leat_emitter *emitter, uint32_t row, uint32_t column, const leat_value *value); // copies strings
void leat_emitter_set_null(leat_emitter *emitter, uint32_t row, uint32_t column);
// Lower or equal values are ignored.
void leat_emitter_watermark(leat_emitter *emitter, int64_t watermark_ms);
void leat_emitter_flush(leat_emitter *emitter);
