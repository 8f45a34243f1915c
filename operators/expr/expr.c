// Building typed trees.
#include <string.h>

#include "operators/expr/function.h"

// A leat_value holds 128-bit integers, which must lie on 16 bytes.
static void *aligned_new(leat_arena *arena, size_t size)
{
    void *memory = leat_arena_alloc_aligned(arena, size ? size : 1, 16);
    memset(memory, 0, size);
    return memory;
}

static leat_expr *expr_new(leat_expr_scope *scope, leat_expr_kind kind, leat_type type)
{
    leat_expr *expr = aligned_new(scope->arena, sizeof *expr);
    expr->kind = kind;
    expr->type = type;
    return expr;
}

static leat_expr **arguments_copy(leat_expr_scope *scope, leat_expr **arguments, uint32_t count)
{
    leat_expr **copy = aligned_new(scope->arena, sizeof *copy * count);
    if (count)
        memcpy(copy, arguments, sizeof *copy * count);
    return copy;
}

static bool any_may_fail(leat_expr *const *arguments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (arguments[i]->may_fail)
            return true;
    return false;
}

leat_expr *leat_expr_column(leat_expr_scope *scope, uint32_t input, uint32_t column, leat_type type)
{
    leat_expr *expr = expr_new(scope, LEAT_EXPR_COLUMN, type);
    expr->input = input;
    expr->column = column;
    return expr;
}

leat_expr *leat_expr_literal(leat_expr_scope *scope, leat_type type, leat_value value)
{
    leat_expr *expr = expr_new(scope, LEAT_EXPR_LITERAL, type);
    expr->literal = type.kind == LEAT_KIND_NULL ? leat_value_null() : leat_value_copy(type, &value, scope->arena);
    return expr;
}

leat_expr *leat_expr_special(leat_expr_scope *scope, leat_expr_kind kind)
{
    LEAT_ASSERT(kind >= LEAT_EXPR_ROWTIME && kind <= LEAT_EXPR_WATERMARK);
    leat_type type = leat_type_of(LEAT_KIND_TIMESTAMP_LTZ);
    type.precision = 3;
    return expr_new(scope, kind, type);
}

leat_code leat_expr_call(leat_expr_scope *scope, leat_slice name, leat_expr **arguments, uint32_t count,
                         leat_expr **out_expr, leat_error *out_error)
{
    leat_rule rule = {
        .scope = scope, .arguments = arguments_copy(scope, arguments, count), .count = count, .error = out_error};
    leat_code code = leat_function_resolve(&rule, name);
    if (code != LEAT_OK)
        return code;
    if (rule.replaced) {
        *out_expr = rule.replaced;
        return LEAT_OK;
    }
    leat_expr *expr = expr_new(scope, LEAT_EXPR_CALL, rule.type);
    expr->function = rule.function;
    expr->prepared = rule.prepared;
    expr->arguments = rule.arguments;
    expr->argument_count = rule.count;
    bool fails = (rule.function->flags & LEAT_FUNCTION_FAILS) && !rule.cannot_fail;
    expr->may_fail = fails || any_may_fail(rule.arguments, rule.count);
    *out_expr = expr;
    return LEAT_OK;
}

static bool is_condition(const leat_expr *expr)
{
    return expr->type.kind == LEAT_KIND_BOOLEAN || expr->type.kind == LEAT_KIND_NULL;
}

static leat_code case_common_type(leat_expr **arguments, uint32_t count, leat_type *out_type, leat_error *out_error)
{
    leat_type type = leat_type_of(LEAT_KIND_NULL);
    for (uint32_t i = 0; i < count; i++) {
        bool is_else = i == count - 1 && count % 2 == 1;
        if (i % 2 == 0 && !is_else) {
            char text[LEAT_TYPE_TEXT];
            if (!is_condition(arguments[i]))
                return leat_error_set(out_error, LEAT_E_INVALID, "CASE: WHEN takes BOOLEAN, but was given %s",
                                      leat_type_print(arguments[i]->type, text));
            continue;
        }
        char first[LEAT_TYPE_TEXT], second[LEAT_TYPE_TEXT];
        leat_type common;
        if (!leat_type_operated(type, arguments[i]->type, &common))
            return leat_error_set(out_error, LEAT_E_INVALID,
                                  "CASE: the results %s and %s have no common type; write a CAST",
                                  leat_type_print(type, first), leat_type_print(arguments[i]->type, second));
        type = common;
    }
    *out_type = type;
    return LEAT_OK;
}

leat_code leat_expr_case(leat_expr_scope *scope, leat_expr **arguments, uint32_t count, leat_expr **out_expr,
                         leat_error *out_error)
{
    leat_type type = leat_type_of(LEAT_KIND_NULL);
    LEAT_ASSERT(count >= 2);
    leat_code code = case_common_type(arguments, count, &type, out_error);
    if (code != LEAT_OK)
        return code;
    leat_expr *expr = expr_new(scope, LEAT_EXPR_CASE, type);
    uint32_t with_else = count | 1;
    expr->arguments = aligned_new(scope->arena, sizeof *expr->arguments * with_else);
    expr->argument_count = with_else;
    for (uint32_t i = 0; i < with_else; i++) {
        leat_expr *argument =
            i < count ? arguments[i] : leat_expr_literal(scope, leat_type_of(LEAT_KIND_NULL), leat_value_null());
        bool is_when = i % 2 == 0 && i != with_else - 1;
        leat_type wanted = is_when ? leat_type_of(LEAT_KIND_BOOLEAN) : type;
        code = leat_expr_coerce(scope, argument, wanted, &expr->arguments[i], out_error);
        if (code != LEAT_OK)
            return code;
    }
    expr->may_fail = any_may_fail(expr->arguments, with_else);
    *out_expr = expr;
    return LEAT_OK;
}

static bool is_null_literal(const leat_expr *expr) { return expr->kind == LEAT_EXPR_LITERAL && expr->literal.is_null; }

static leat_expr *cast_new(leat_expr_scope *scope, leat_expr *value, leat_type type, bool try_cast)
{
    leat_expr *expr = expr_new(scope, LEAT_EXPR_CAST, type);
    expr->arguments = arguments_copy(scope, &value, 1);
    expr->argument_count = 1;
    expr->try_cast = try_cast;
    expr->may_fail = value->may_fail || (!try_cast && leat_cast_may_fail(value->type, type));
    return value->kind == LEAT_EXPR_LITERAL ? leat_expr_fold(scope, expr) : expr;
}

leat_code leat_expr_cast(leat_expr_scope *scope, leat_expr *value, leat_type type, bool try_cast, leat_expr **out_expr,
                         leat_error *out_error)
{
    if (is_null_literal(value)) {
        *out_expr = leat_expr_literal(scope, type, leat_value_null());
        return LEAT_OK;
    }
    bool shorter = leat_type_is_timestamp(type) && value->type.precision > type.precision;
    if (leat_type_equal(value->type, type) && !shorter) {
        *out_expr = value;
        return LEAT_OK;
    }
    if (!leat_cast_kernel(value->type, type)) {
        char from[LEAT_TYPE_TEXT], to[LEAT_TYPE_TEXT];
        bool number_to_time = leat_type_is_numeric(value->type) && leat_type_is_timestamp(type);
        return leat_error_set(out_error, LEAT_E_INVALID, "%s cannot be cast to %s%s",
                              leat_type_print(value->type, from), leat_type_print(type, to),
                              number_to_time ? "; use TO_TIMESTAMP_LTZ(number, 0 or 3)" : "");
    }
    *out_expr = cast_new(scope, value, type, try_cast);
    return LEAT_OK;
}

leat_code leat_expr_coerce(leat_expr_scope *scope, leat_expr *value, leat_type type, leat_expr **out_expr,
                           leat_error *out_error)
{
    char from[LEAT_TYPE_TEXT], to[LEAT_TYPE_TEXT];
    bool text_as_time = value->type.kind == LEAT_KIND_STRING && leat_type_is_temporal(type);
    if (!text_as_time && !is_null_literal(value) && !leat_type_casts_implicitly(value->type, type))
        return leat_error_set(out_error, LEAT_E_INVALID, "expected %s, found %s", leat_type_print(type, to),
                              leat_type_print(value->type, from));
    if (leat_type_equal(value->type, type)) {
        *out_expr = value;
        return LEAT_OK;
    }
    leat_expr *result = NULL;
    leat_code code = leat_expr_cast(scope, value, type, false, &result, out_error);
    if (code != LEAT_OK)
        return code;
    LEAT_ASSERT(result);
    if (text_as_time && value->kind == LEAT_EXPR_LITERAL && result->kind != LEAT_EXPR_LITERAL)
        return leat_error_set(out_error, LEAT_E_INVALID, "'%.*s' is no %s", (int)value->literal.text.size,
                              value->literal.text.data, leat_type_print(type, to));
    *out_expr = result;
    return LEAT_OK;
}
