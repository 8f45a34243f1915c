// What joins have in common around their state: the keys of both inputs, rows on their way into and out of the state, the condition,
// results, and slots that may be given back.
//
// Usage: open; then per batch begin, and for each row take (which tells its slot), encode to keep it, load for each kept row of the
// other side that may be its partner, meets to ask, emit to send. end behind each element.
//
// A row that was taken stays in its batch and a loaded one in its bytes: results are made from there, column by column. Values are made of
// them only where somebody asks (leat_join_values).
//
// Ownership: memory from the budget and the frame's arenas. Values taken from a batch hold while it is handled, loaded ones until the
// next load of that side.
#pragma once

#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/key.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"
#include "operators/state/rows.h"
#include "operators/state/slot_set.h"

enum { LEAT_LEFT = 0, LEAT_RIGHT = 1 };

typedef struct leat_join_row_source { // of a side's row
    const leat_column *columns;       // NULL: it is in `bytes`
    uint32_t row;
    leat_slice bytes;
    bool unread; // the side's values are those of another row
} leat_join_row_source;

typedef struct leat_join_frame {
    leat_operator_context *context;
    const leat_join_sides *sides;
    leat_keys *keys;
    leat_eval eval;
    leat_emitter results;
    leat_value *values[2];
    leat_join_row_source sources[2];
    leat_arena texts[2]; // nested items of loaded values
    int64_t event_ms[2], watermark_ms;
    leat_writer encoded;
    bool meets_nobody; // the row taken has NULL in a key that only equals
    // -- of the batch
    const leat_batch *batch;
    uint32_t *slots;
    unsigned input;
    leat_slot_set empty, waiting; // may have no state any more; have a removal that the next snapshot tells
    bool (*release)(void *owner, uint32_t slot, bool *out_waiting);
    void *owner;
} leat_join_frame;

// `release`: whether nothing is left of a slot; *out_waiting when only the next snapshot knows.
LEAT_MUST_CHECK leat_code leat_join_open(leat_join_frame *frame, leat_operator_context *context,
                                         const leat_join_sides *sides, leat_error *out_error);
void leat_join_close(leat_join_frame *frame);
static inline bool leat_join_outer(const leat_join_frame *frame, unsigned side)
{
    leat_join_kind kind = frame->sides->kind;
    return kind == LEAT_JOIN_FULL || kind == (side == LEAT_LEFT ? LEAT_JOIN_LEFT : LEAT_JOIN_RIGHT);
}

LEAT_MUST_CHECK leat_code leat_join_begin(leat_join_frame *frame, unsigned input, const leat_batch *batch,
                                          leat_error *out_error);
// The i-th existing row of the batch; false: its key is too long, it is counted and dropped.
bool leat_join_take(leat_join_frame *frame, uint32_t i, uint32_t *out_row, uint32_t *out_slot);
leat_slice leat_join_encode(leat_join_frame *frame); // the row taken; holds until the next encode
// The same behind the values of some of its columns, by which it is to be found; none: the row is its own identity.
leat_slice leat_join_encode_unique(leat_join_frame *frame, const uint32_t *columns, uint32_t count,
                                   size_t *out_identity);
void leat_join_load(leat_join_frame *frame, unsigned side, leat_slice row);
const leat_value *leat_join_values(leat_join_frame *frame, unsigned side); // of the row taken or loaded last
// Whether the rows of both sides that were taken and loaded last are partners, their keys being equal.
bool leat_join_meets(leat_join_frame *frame);
bool leat_join_condition_holds(leat_join_frame *frame); // of the values that are there
// A result of what was taken and loaded last; a side that is left out is NULL. SEMI and ANTI have left columns only.
void leat_join_emit(leat_join_frame *frame, bool left, bool right, leat_row_kind kind, int64_t event_ms,
                    uint64_t cause);
// The value of the output's time attribute in such a result; `otherwise` when it has none.
int64_t leat_join_time(leat_join_frame *frame, bool left, bool right, int64_t otherwise);
void leat_join_may_be_empty(leat_join_frame *frame, uint32_t slot);
void leat_join_end(leat_join_frame *frame);                                   // sends results, gives empty slots back
void leat_join_stored(leat_join_frame *frame, const leat_snapshot *snapshot); // behind a snapshot
leat_code leat_join_no_budget(const leat_join_frame *frame, leat_error *out_error);
// A row of a side as leat_rows_snapshot put it; unique: it has its identity before its columns. LEAT_E_CORRUPT: it is no row of that input.
LEAT_MUST_CHECK leat_code leat_join_restore_row(leat_join_frame *frame, unsigned side, bool unique, leat_rows *rows,
                                                leat_slice key, leat_slice value, leat_error *out_error);
// State of joins that keep nothing but the rows of both sides: table 0 left, 1 right.
void leat_join_snapshot(leat_join_frame *frame, leat_rows rows[2], leat_snapshot *snapshot);
LEAT_MUST_CHECK leat_code leat_join_restore(leat_join_frame *frame, leat_rows rows[2], const bool unique[2],
                                            uint8_t table, leat_slice key, leat_slice value, leat_error *out_error);

static inline uint64_t leat_join_pair_cause(uint64_t left, uint64_t right)
{
    return leat_cause_derive(leat_hash_combine(left, right), 0);
}
static inline uint64_t leat_join_pad_cause(uint64_t cause, unsigned side)
{
    return leat_cause_derive(cause, 0x9ad0 + side);
}
