// The parts of the Top-N operator: what they share. Only for operators/top_n*.c.
//
//   top_n.c         the operator; rows that come and go, in an order of any length
//   top_n_append.c  rows that are only added, of which few are kept
#pragma once

#include "operators/row_frame.h"
#include "operators/state/top_rows.h"

typedef struct leat_top_n {
    leat_operator base; // first
    const leat_top_n_spec *spec;
    leat_row_frame frame;
    bool ranked, top_1;
    bool append;        // rows are kept by top_n_append.c, and frame.rows is empty
    bool bounded;       // rows are held against bounds
    bool prefix_only;   // of which equal ones are equal rows: of one order column, whose value is its prefix
    leat_top_rows rows; // append
    uint64_t *bounds;   // by slot: the prefix of its last row, inverted; 0: none
    uint32_t bound_room;
    uint64_t *prefixes;     // of the batch
    uint32_t *passed;       // its rows that may get in
    uint32_t *passed_slots; // theirs
    // -- of the row being handled
    leat_batch *batch;
    uint32_t row, slot;
    uint64_t made; // results so far
} leat_top_n;

static inline uint64_t leat_top_n_cause(leat_top_n *self)
{
    return leat_cause_derive(leat_row_frame_cause(self->batch, self->row), self->made++);
}

static inline bool leat_top_n_wanted(const leat_top_n *self, leat_row_kind kind, int64_t rank)
{
    return (kind != LEAT_UPDATE_BEFORE || self->spec->emit_before) && rank >= self->spec->from &&
           rank <= self->spec->to;
}

// top_n_append.c
LEAT_MUST_CHECK leat_code leat_top_n_append_open(leat_top_n *self, leat_error *out_error);
// The row at hand.
LEAT_MUST_CHECK leat_code leat_top_n_append(leat_top_n *self, uint64_t prefix, leat_error *out_error);
LEAT_MUST_CHECK leat_code leat_top_n_append_restore(leat_top_n *self, leat_slice key, leat_slice value,
                                                    leat_error *out_error);
