// Conditions that compare numbers of the row that is tried with each other, with constants, and with single rows of the partial match: most are such, and
// need no program. With AND between them.
//
// Usage: read once when the operator opens; no comparisons: the condition is its program. Ownership: arena. Threads: any.
#pragma once

#include "operators/expr/program.h"

typedef enum match_operand_kind {
    MATCH_OPERAND_LITERAL,
    MATCH_OPERAND_ROW,   // `index`: a kept column of the row that is tried
    MATCH_OPERAND_VALUE, // `index`: of the spec's values
} match_operand_kind;

typedef struct match_operand {
    match_operand_kind kind;
    uint32_t index;
    int64_t bits; // of a literal
} match_operand;

typedef enum match_compare_op {
    MATCH_LESS,
    MATCH_LESS_EQUAL,
    MATCH_GREATER,
    MATCH_GREATER_EQUAL,
    MATCH_EQUAL,
    MATCH_UNEQUAL
} match_compare_op;

typedef struct match_compare {
    match_compare_op op;
    bool f64; // doubles; else integers
    match_operand a, b;
} match_compare;

typedef struct match_compares {
    uint32_t count;
    match_compare *all;
} match_compares;

match_compares match_compares_read(leat_arena *arena, const leat_expr *condition);
bool match_compare_holds(const match_compare *compare, int64_t a, int64_t b); // bits
