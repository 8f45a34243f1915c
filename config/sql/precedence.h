// How tight operators bind: for the parser and, so that it writes no parenthesis too few, the printer.
#pragma once

#include "config/sql/ast.h"

enum {
    PRECEDENCE_LOWEST,
    PRECEDENCE_OR,
    PRECEDENCE_AND,
    PRECEDENCE_NOT,
    PRECEDENCE_IS,
    PRECEDENCE_COMPARISON,
    PRECEDENCE_RANGE, // BETWEEN, LIKE, IN
    PRECEDENCE_SUM,
    PRECEDENCE_PRODUCT, // and ||
    PRECEDENCE_SIGN,
    PRECEDENCE_PRIMARY
};

static inline int leat_sql_binary_precedence(leat_sql_binary_op op)
{
    if (op == LEAT_SQL_OR)
        return PRECEDENCE_OR;
    if (op == LEAT_SQL_AND)
        return PRECEDENCE_AND;
    if (op <= LEAT_SQL_OVERLAPS)
        return PRECEDENCE_COMPARISON;
    return op <= LEAT_SQL_SUBTRACT ? PRECEDENCE_SUM : PRECEDENCE_PRODUCT;
}
