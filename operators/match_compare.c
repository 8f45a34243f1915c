#include "operators/match_compare.h"

#include <string.h>

enum { COMPARES_MAX = 16 };

static bool read_operand(const leat_expr *expr, match_operand *out)
{
    if (expr->kind == LEAT_EXPR_LITERAL) {
        *out = (match_operand){.kind = MATCH_OPERAND_LITERAL};
        memcpy(&out->bits, &expr->literal.i64, sizeof out->bits);
        return !expr->literal.is_null;
    }
    *out = (match_operand){.kind = expr->input ? MATCH_OPERAND_VALUE : MATCH_OPERAND_ROW, .index = expr->column};
    return expr->kind == LEAT_EXPR_COLUMN;
}

static bool read_op(const leat_expr *expr, match_compare_op *out)
{
    static const char *const names[] = {"<", "<=", ">", ">=", "=", "<>"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (expr->argument_count == 2 && !strcmp(leat_expr_called(expr), names[i])) {
            *out = (match_compare_op)i;
            return true;
        }
    return false;
}

// FLOAT beside DOUBLE is compared by rules of its own.
static bool compares_as_they_are(const leat_expr *a, const leat_expr *b, bool *out_f64)
{
    leat_physical physical = leat_type_physical(a->type);
    *out_f64 = physical == LEAT_PHYSICAL_F64;
    if (physical != leat_type_physical(b->type))
        return false;
    return *out_f64 ? a->type.kind == b->type.kind : physical == LEAT_PHYSICAL_I64;
}

static bool read_compare(match_compares *to, const leat_expr *expr)
{
    if (to->count == COMPARES_MAX)
        return false;
    match_compare *compare = &to->all[to->count++];
    return read_op(expr, &compare->op) && read_operand(expr->arguments[0], &compare->a) &&
           read_operand(expr->arguments[1], &compare->b) &&
           compares_as_they_are(expr->arguments[0], expr->arguments[1], &compare->f64);
}

static bool read_all(match_compares *to, const leat_expr *expr)
{
    if (strcmp(leat_expr_called(expr), "AND") != 0)
        return read_compare(to, expr);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (!read_all(to, expr->arguments[i]))
            return false;
    return true;
}

match_compares match_compares_read(leat_arena *arena, const leat_expr *condition)
{
    match_compares read = {.all = leat_arena_array(arena, match_compare, COMPARES_MAX)};
    return read_all(&read, condition) ? read : (match_compares){0};
}

#define COMPARE(x, y)                                                                                                  \
    switch (compare->op) {                                                                                             \
    case MATCH_LESS:                                                                                                   \
        return (x) < (y);                                                                                              \
    case MATCH_LESS_EQUAL:                                                                                             \
        return (x) <= (y);                                                                                             \
    case MATCH_GREATER:                                                                                                \
        return (x) > (y);                                                                                              \
    case MATCH_GREATER_EQUAL:                                                                                          \
        return (x) >= (y);                                                                                             \
    case MATCH_EQUAL:                                                                                                  \
        return (x) == (y);                                                                                             \
    case MATCH_UNEQUAL:                                                                                                \
        return (x) != (y);                                                                                             \
    }

static bool doubles_hold(const match_compare *compare, int64_t a, int64_t b)
{
    double x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    COMPARE(x, y)
    return false;
}

bool match_compare_holds(const match_compare *compare, int64_t a, int64_t b)
{
    if (compare->f64)
        return doubles_hold(compare, a, b);
    COMPARE(a, b)
    return false;
}
