// What a program is made of: blocks of steps over registers and selections.
//
// Selection 0 holds the rows that exist. AND, OR, CASE and COALESCE split selections; a step runs for the rows of its own.
// A register that was computed for a selection is defined for every selection split from it, which is what lets equal
// subtrees be computed once. A program of type BOOLEAN has a second block that ends in a selection instead of a column.
#pragma once

#include "operators/expr/function.h"

typedef enum leat_operation {
    LEAT_LOAD_COLUMN,
    LEAT_LOAD_ROWTIME,
    LEAT_LOAD_PROCTIME,
    LEAT_LOAD_WATERMARK,
    LEAT_CALL,            // the kernel computes `out`
    LEAT_SPLIT_TRUE,      // selection_out: rows where the argument is TRUE; selection_rest: all others
    LEAT_SPLIT_NULL,      // selection_out: rows where it is NULL
    LEAT_SPLIT_NOT_FALSE, // selection_out: TRUE or NULL
    LEAT_SPLIT_NOT_TRUE,  // selection_out: FALSE or NULL
    LEAT_FILTER,          // the kernel lists rows in selection_out
    LEAT_BRANCHES,        // `out` is made, to be filled by COPY
    LEAT_COPY,            // the argument's rows of the selection go into `out`
} leat_operation;

typedef struct leat_block {
    const leat_step *steps;
    uint32_t step_count;
    const leat_vector *registers; // types, and the values of constants
    uint32_t register_count;
    uint32_t selection_count;
    uint16_t result; // register, or selection of a filter
} leat_block;

struct leat_program {
    const leat_expr *expr;
    const leat_zone *zone;
    leat_block value;
    leat_block filter; // BOOLEAN only
};
