// A compiled expression: a flat list of instructions over column registers, run for a whole batch at a time.
//
// Each instruction is a kernel that loops over the rows of a selection; nothing walks a tree or switches per row. AND, OR, CASE
// and COALESCE narrow the selection, so that a branch that is not taken can neither fail nor cost. Constants are folded at compile time;
// equal subtrees are computed once. NULL follows three-valued logic.
//
// Bad rows: a row whose evaluation fails (integer division by zero, a text that is no number) is marked in
// leat_eval.bad; the operator drops and counts it. Integer arithmetic wraps, double arithmetic follows IEEE, and a DECIMAL that
// does not fit its type is NULL, as in Flink.
//
// Ownership: a program is immutable and shared; scratch memory is the evaluator's (one per operator instance) and the result's
// columns belong to the batch arena given. Threads: program any, evaluator one.
#pragma once

#include "operators/core/batch.h"
#include "operators/expr/expr.h"

typedef struct leat_program leat_program;

// Compiles against the input schemas (input 1 exists for joins and patterns).
LEAT_MUST_CHECK leat_code leat_program_compile(leat_arena *arena, const leat_expr *expr, const leat_zone *zone,
                                               leat_program **out_program, leat_error *out_error);
leat_type leat_program_type(const leat_program *program);
// When the program is a bare column of input 0: its index; else -1.
int leat_program_column(const leat_program *program);
// For `leat explain`.
const leat_expr *leat_program_expr(const leat_program *program);

typedef struct leat_eval {
    leat_env *env;
    leat_arena scratch; // reset by leat_eval_begin
    int64_t now_ms;     // processing time, set by the operator before each batch
    int64_t
        watermark_ms; // of the rows of a batch without watermark column, set by the operator; LEAT_TIME_NONE: none yet
    uint8_t *bad;     // per physical row, 1 = failed; valid until the next leat_eval_begin
    uint32_t bad_count;
    char bad_reason[160]; // of the first one since leat_eval_begin
    // -- private
    void *registers;
    uint32_t register_capacity;
} leat_eval;

void leat_eval_init(leat_eval *eval, leat_env *env);
void leat_eval_fini(leat_eval *eval);
// Starts a batch: forgets scratch and bad rows.
void leat_eval_begin(leat_eval *eval, const leat_batch *batch, int64_t now_ms);
// Evaluates for the existing rows of the batch minus the bad ones; out_column is indexed physically; its values lie in `memory`
// (the output batch's arena) or are shared with the batch's own column when the program is a bare column.
void leat_program_run(const leat_program *program, leat_eval *eval, const leat_batch *batch, leat_arena *memory,
                      leat_column *out_column);
// Writes the physical indexes of existing rows for which the BOOLEAN program is TRUE; returns how many. Bad rows are not among them.
uint32_t leat_program_select(const leat_program *program, leat_eval *eval, const leat_batch *batch,
                             uint16_t *out_selection);
// One row given as values, inputs[k][column]; for patterns, joins and timers. False when the row is bad (reason in eval).
// The result's memory holds until the next leat_eval_begin or leat_eval_row_begin.
void leat_eval_row_begin(leat_eval *eval, int64_t now_ms);
typedef struct leat_row_view {
    const leat_value *values;
    int64_t event_ms, watermark_ms;
} leat_row_view;
bool leat_program_run_row(const leat_program *program, leat_eval *eval, const leat_row_view *inputs,
                          uint32_t input_count, leat_value *out_value);
