// Questions about trees: constant, deterministic, equal, what they read; folding.
#include <string.h>

#include "operators/expr/function.h"

static bool is_volatile(const leat_expr *expr)
{
    return expr->kind == LEAT_EXPR_CALL && (expr->function->flags & LEAT_FUNCTION_VOLATILE);
}

bool leat_expr_is_constant(const leat_expr *expr)
{
    if (expr->kind == LEAT_EXPR_COLUMN || expr->kind >= LEAT_EXPR_ROWTIME || is_volatile(expr))
        return false;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (!leat_expr_is_constant(expr->arguments[i]))
            return false;
    return true;
}

bool leat_expr_is_deterministic(const leat_expr *expr)
{
    if (expr->kind == LEAT_EXPR_PROCTIME || expr->kind == LEAT_EXPR_WATERMARK || is_volatile(expr))
        return false;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (!leat_expr_is_deterministic(expr->arguments[i]))
            return false;
    return true;
}

static bool same_node(const leat_expr *a, const leat_expr *b)
{
    switch (a->kind) {
    case LEAT_EXPR_COLUMN:
        return a->input == b->input && a->column == b->column;
    case LEAT_EXPR_LITERAL:
        return leat_value_equal(a->type, &a->literal, &b->literal);
    case LEAT_EXPR_CALL:
        return a->function == b->function;
    case LEAT_EXPR_CAST:
        return a->try_cast == b->try_cast;
    default:
        return true;
    }
}

bool leat_expr_equal(const leat_expr *a, const leat_expr *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->argument_count != b->argument_count || !leat_type_equal(a->type, b->type))
        return false;
    if (a->type.kind == LEAT_KIND_NULL && a->kind == LEAT_EXPR_LITERAL)
        return true;
    if (!same_node(a, b))
        return false;
    for (uint32_t i = 0; i < a->argument_count; i++)
        if (!leat_expr_equal(a->arguments[i], b->arguments[i]))
            return false;
    return true;
}

const char *leat_expr_called(const leat_expr *expr) { return expr->kind == LEAT_EXPR_CALL ? expr->function->name : ""; }

void leat_expr_columns(const leat_expr *expr, uint32_t input, bool *out_used)
{
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == input)
        out_used[expr->column] = true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        leat_expr_columns(expr->arguments[i], input, out_used);
}

// Runs the tree once; NULL when that fails.
static leat_expr *folded_constant(leat_expr_scope *scope, leat_expr *expr)
{
    leat_arena arena;
    leat_eval eval;
    leat_program *program;
    leat_value value;
    leat_expr *result = NULL;
    leat_arena_init(&arena, scope->arena->env, 4096);
    leat_eval_init(&eval, scope->arena->env);
    if (leat_program_compile(&arena, expr, scope->zone, &program, NULL) == LEAT_OK) {
        leat_eval_row_begin(&eval, 0);
        if (leat_program_run_row(program, &eval, NULL, 0, &value))
            result = leat_expr_literal(scope, expr->type, value);
    }
    leat_eval_fini(&eval);
    leat_arena_fini(&arena);
    return result;
}

static leat_expr *with_folded_arguments(leat_expr_scope *scope, leat_expr *expr)
{
    leat_expr **folded = leat_arena_alloc(scope->arena, sizeof *folded * expr->argument_count);
    bool changed = false;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        folded[i] = leat_expr_fold(scope, expr->arguments[i]);
        changed |= folded[i] != expr->arguments[i];
    }
    if (!changed)
        return expr;
    leat_expr *copy = leat_arena_alloc_aligned(scope->arena, sizeof *copy, 16);
    *copy = *expr;
    copy->arguments = folded;
    return copy;
}

leat_expr *leat_expr_fold(leat_expr_scope *scope, leat_expr *expr)
{
    if (expr->kind == LEAT_EXPR_LITERAL || expr->type.kind == LEAT_KIND_NULL)
        return expr;
    if (leat_expr_is_constant(expr) && !leat_expr_is_json(expr)) { // a text would be put into quotes
        leat_expr *folded = folded_constant(scope, expr);
        return folded ? folded : expr;
    }
    return expr->argument_count ? with_folded_arguments(scope, expr) : expr;
}
