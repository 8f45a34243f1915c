// The parts of the process operator: what they share. Only for operators/process*.c.
//
//   process.c          the operator: batches, watermarks, timers, snapshots
//   process_context.c  what a function calls: state, timers, emit
//   process_view.c     a batch as a function sees it: columns, expressions
//   process_order.c    ORDER BY: rows held back and sorted
#pragma once

#include "operators/core/emitter.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"
#include "operators/state/cell.h"
#include "operators/state/held.h"
#include "operators/state/items.h"
#include "operators/state/slot_set.h"
#include "operators/state/timer.h"

// Tables of the snapshot; LEAT_PROCESS_TIMERS + time domain.
enum {
    LEAT_PROCESS_CELLS,
    LEAT_PROCESS_SHARED,
    LEAT_PROCESS_TIMERS,
    LEAT_PROCESS_ITEMS = LEAT_PROCESS_TIMERS + 2,
    LEAT_PROCESS_HELD,
    LEAT_PROCESS_CLOCK,
    LEAT_PROCESS_GENERATION,
};

typedef struct leat_process leat_process;

typedef struct leat_process_slot_state {
    leat_cells *cells; // values
    leat_items *items; // lists, maps
    uint32_t index;    // among the cells
    bool shared, map;
    bool plain; // a value per key that does not expire
    leat_cell null;
} leat_process_slot_state;

typedef struct leat_process_input {
    const leat_process_table *table;
    const leat_schema *schema;
    bool keyed, sorted;
    bool batch_time;      // its time is the batch's event time
    const int64_t *times; // of the batch at hand, NULL: rows have no time
    const uint8_t *time_nulls;
    leat_column_view *columns;
} leat_process_input;

typedef struct leat_process_emitter {
    leat_emitter emitter;
    uint32_t columns; // of the schema
} leat_process_emitter;

// The row or timer that is being handled.
typedef struct leat_process_call {
    uint32_t slot;           // LEAT_SLOT_NONE: no key
    const leat_batch *batch; // NULL: a timer
    uint32_t row;            // physical
    int64_t event_ms;        // of what it emits
    uint64_t cause;
    uint32_t emitted;
    leat_cell *cells; // of the slot; NULL: none, or not looked up yet
    bool key_ready;   // keys are decoded
    bool settle;      // cells of the slot may have become NULL
    bool marked;      // cells are marked as changed
} leat_process_call;

struct leat_process {
    leat_operator base;            // first
    leat_context function_context; // what the function is given
    const leat_process_spec *spec;
    const leat_process_function *function;
    bool skip_downtime;
    leat_process_input *inputs;
    leat_process_emitter *emitters;
    leat_cell *scalars;
    leat_column_view *expressions;
    uint32_t expression_count;
    // -- state
    leat_keys *keys; // NULL: no keyed table
    uint32_t key_count;
    const leat_type *key_types;
    leat_value *key_values;
    leat_process_slot_state *states;
    leat_cell_state *cell_states; // keyed ones, then shared ones
    leat_cells cells, shared;
    leat_items *items;
    uint32_t items_count;
    leat_timers timers[2]; // by time domain
    leat_held held;
    // Slots to look at when the call ends, because nothing may be left of their keys; waiting: for the
    // snapshot that tells of the removal.
    leat_slot_set empty, waiting;
    // -- time
    int64_t now_ms;
    int64_t watermark_ms;
    int64_t forwarded_ms; // passed on
    int64_t asked_ms;     // of wake_at
    int64_t stored_now_ms;
    uint64_t generation; // how often a savepoint has made watermarks start anew
    bool generation_stored;
    // -- one call
    leat_process_call call;
    leat_code code; // LEAT_OK: no fault yet
    char message[512];
    leat_arena scratch;     // of a batch: views
    leat_arena row_scratch; // of an emitted row
    leat_eval eval;
    leat_writer writer;
    leat_cell lost;  // what write gives when there is no memory
    uint32_t *slots; // of the batch's rows, during a call
};

static inline leat_process *leat_process_of(leat_context *context)
{
    return (leat_process *)((char *)context - offsetof(leat_process, function_context));
}

// process_context.c
extern const leat_context_api leat_process_context_api;
leat_cell leat_process_cell(leat_type type, const leat_value *value,
                            leat_arena *arena); // a scalar as a function sees it
// What stopped the rule, once p->code is set or the function returned something else than 0.
leat_code leat_process_fault(leat_process *p, leat_error *out_error);

// process_view.c
uint8_t leat_process_api_type(leat_type type); // 0: none
// Columns and expressions of the batch; rows marked in p->eval.bad are to be dropped.
void leat_process_view(leat_process *p, uint32_t input, const leat_batch *batch);

// process_order.c
LEAT_MUST_CHECK bool leat_process_hold(leat_process *p, uint32_t input, const leat_batch *batch, uint32_t row,
                                       uint32_t slot, int64_t time_ms);
// Handles the rows that the watermark passes, sorted.
leat_code leat_process_flush_held(leat_process *p, int64_t until_ms, leat_error *out_error);

// process.c
// Handles the existing rows of a batch, slots by their order, without moving time.
leat_code leat_process_row(leat_process *p, uint32_t input, const leat_batch *batch, uint32_t row, uint32_t slot,
                           leat_row *view, leat_error *out_error);
leat_row leat_process_row_view(leat_process *p, uint32_t input);
// Finds the time column of the batch; before rows of it are handled or held.
void leat_process_begin_batch(leat_process *p, uint32_t input, const leat_batch *batch);
