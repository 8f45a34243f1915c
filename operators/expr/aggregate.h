// Accumulators: the memory of SUM, AVG, COUNT(DISTINCT) and the like, one struct for all aggregates of a query.
//
// Usage: the binder resolves each call (leat_aggregate_resolve), the plan lays a set out (leat_accumulators_create), an operator
// keeps one accumulator (leat_accumulators_size bytes, 16-aligned, cleared then init'ed) per key and pane and calls
// add for a whole batch with a pointer per row. Common sets (COUNT, SUM, AVG, MIN, MAX over one numeric column) run as one
// fused loop. What does not fit into the fixed struct (strings, distinct sets, lists) hangs on it and is given back by release.
//
// Semantics: NULLs are skipped; SUM, AVG, MIN, MAX of nothing are NULL, COUNT is 0; AVG and SUM of integers as Flink types them
// (AVG(INT) is INT, truncated; SUM(INT) INT, SUM(DECIMAL(p,s)) DECIMAL(38,s)). Retraction takes a row out again; MIN and MAX under
// retraction keep a multiset. FIRST_VALUE and LAST_VALUE are by order of arrival.
//
// Threads: a set is immutable; accumulators belong to their operator. Failure: add and merge fail only with LEAT_E_LIMIT (budget).
#pragma once

#include "operators/core/budget.h"
#include "operators/expr/program.h"

typedef struct leat_aggregate_function leat_aggregate_function;

typedef struct leat_aggregate {
    const leat_aggregate_function *function;
    leat_slice name; // canonical, for explain
    bool distinct;
    uint32_t argument_count; // 0: COUNT(*)
    const leat_program *arguments[3];
    const leat_program *filter; // FILTER (WHERE ...) or NULL
    leat_type argument_types[3];
    leat_type type;       // of the result
    leat_value parameter; // constant argument (LISTAGG separator, PERCENTILE fraction), else NULL value
} leat_aggregate;

bool leat_aggregate_known(leat_slice name);
// Arguments as typed trees. `retract` asks for one that can take rows out again.
LEAT_MUST_CHECK leat_code leat_aggregate_resolve(leat_expr_scope *scope, leat_slice name, bool distinct,
                                                 leat_expr **arguments, uint32_t count, leat_expr *filter, bool retract,
                                                 leat_aggregate *out_aggregate, leat_error *out_error);

typedef struct leat_accumulators leat_accumulators;
LEAT_MUST_CHECK leat_code leat_accumulators_create(leat_arena *arena, const leat_aggregate *aggregates, uint32_t count,
                                                   bool retract, leat_accumulators **out_set, leat_error *out_error);
size_t leat_accumulators_size(const leat_accumulators *set);
bool leat_accumulators_has_variable(const leat_accumulators *set); // release is needed
void leat_accumulators_init(const leat_accumulators *set, void *accumulator);
// accumulators[i] is that of the i-th existing row. Evaluates arguments and filters for the batch (leat_eval_begin was called); a
// row that turns out bad is in eval->bad and has not been added to any aggregate.
LEAT_MUST_CHECK leat_code leat_accumulators_add(const leat_accumulators *set, leat_eval *eval, const leat_batch *batch,
                                                void *const *accumulators, leat_budget *budget, leat_error *out_error);
// The two halves of add, for operators that need the evaluated arguments more than once or per row: prepare evaluates all
// arguments of the batch, add_row takes physical row `row` into one accumulator (retracting when the row's kind is -U or -D).
typedef struct leat_accumulators_input leat_accumulators_input; // lives in eval->scratch
const leat_accumulators_input *leat_accumulators_prepare(const leat_accumulators *set, leat_eval *eval,
                                                         const leat_batch *batch);
LEAT_MUST_CHECK leat_code leat_accumulators_add_row(const leat_accumulators *set, const leat_accumulators_input *input,
                                                    uint32_t row, bool retract, void *accumulator, leat_budget *budget,
                                                    leat_error *out_error);
// For operators that keep evaluated arguments, to take them out again: which there are, those of a batch, and an input made of columns
// that lie elsewhere and are read when a row is taken.
uint32_t leat_accumulators_argument_count(const leat_accumulators *set);
leat_type leat_accumulators_argument_type(const leat_accumulators *set, uint32_t index);
struct leat_accumulators_input {
    const leat_column *const *columns;
    leat_env *env;
};
static inline const leat_column *leat_accumulators_argument(const leat_accumulators_input *input, uint32_t index)
{
    return input->columns[index];
}
// The memory of a set of COUNT, SUM and AVG of one column of plain numbers, which is its only argument: rows and values are counted
// and added without a call. The type of the argument says which sum it is.
typedef struct leat_accumulators_sum {
    int64_t rows, count;
    union {
        int64_t i64;
        double f64;
    } sum;
} leat_accumulators_sum;
bool leat_accumulators_is_sum(const leat_accumulators *set);
// Results of the aggregate `index` out of `count` of them, into rows from 0 of a column with null bytes, which are 0.
void leat_accumulators_sum_results(const leat_accumulators *set, uint32_t index, const leat_accumulators_sum *sums,
                                   uint32_t count, leat_column *out_column);
LEAT_MUST_CHECK leat_code leat_accumulators_merge(const leat_accumulators *set, void *into, const void *from,
                                                  leat_budget *budget, leat_error *out_error);
// Result of the aggregate `index`; text points into the accumulator.
void leat_accumulators_result(const leat_accumulators *set, const void *accumulator, uint32_t index, leat_arena *arena,
                              leat_value *out_value);
// Rows that are in it now (added minus retracted); 0: a retracting group is to be deleted.
int64_t leat_accumulators_rows(const leat_accumulators *set, const void *accumulator);
void leat_accumulators_release(const leat_accumulators *set, void *accumulator, leat_budget *budget);
void leat_accumulators_encode(const leat_accumulators *set, const void *accumulator, leat_writer *out);
LEAT_MUST_CHECK leat_code leat_accumulators_decode(const leat_accumulators *set, void *accumulator, leat_reader *reader,
                                                   leat_budget *budget, leat_error *out_error);
