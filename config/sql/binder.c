#include "config/sql/binder.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- errors

void leat_sql_binder_error(leat_sql_binder *binder, leat_sql_span span, const char *format, ...)
{
    char message[LEAT_SQL_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    binder->errors++;
    leat_sql_diagnose(binder->diagnostics, span, "%s", message);
}

void leat_sql_binder_fail(leat_sql_binder *binder, leat_sql_span span, const leat_error *error)
{
    leat_sql_binder_error(binder, span, "%s", error->message);
}

leat_sql_span leat_sql_binder_span(const leat_sql_binder *binder, const leat_expr *expr, leat_sql_span otherwise)
{
    for (const leat_sql_mark *mark = binder->marks; mark; mark = mark->next)
        if (mark->expr == expr)
            return mark->span;
    return otherwise;
}

static void mark_add(leat_sql_binder *binder, const leat_expr *expr, leat_sql_span span)
{
    leat_sql_mark *mark = leat_arena_new(binder->expr->arena, leat_sql_mark);
    *mark = (leat_sql_mark){.expr = expr, .span = span, .next = binder->marks};
    binder->marks = mark;
}

// ---- applying

leat_expr *leat_sql_text(leat_expr_scope *scope, leat_slice text)
{
    return leat_expr_literal(scope, leat_type_of(LEAT_KIND_STRING), (leat_value){.text = text});
}

leat_expr *leat_sql_apply(leat_sql_binder *binder, const char *name, leat_expr **arguments, uint32_t count,
                          leat_sql_span span)
{
    for (uint32_t i = 0; i < count; i++)
        if (!arguments[i])
            return NULL;
    leat_expr *result;
    leat_error error;
    if (leat_expr_call(binder->expr, leat_slice_text(name), arguments, count, &result, &error) == LEAT_OK)
        return result;
    leat_sql_binder_fail(binder, span, &error);
    return NULL;
}

static leat_expr *negated_if(leat_sql_binder *binder, bool negated, leat_expr *expr, leat_sql_span span)
{
    return negated ? leat_sql_apply(binder, "NOT", &expr, 1, span) : expr;
}

bool leat_sql_bind_all(leat_sql_binder *binder, const leat_sql_exprs *exprs, leat_expr **out_exprs)
{
    bool all = true;
    for (uint32_t i = 0; i < exprs->count; i++) {
        out_exprs[i] = leat_sql_bind(binder, exprs->items[i]);
        all &= out_exprs[i] != NULL;
    }
    return all;
}

// ---- columns

static bool is_alias(const leat_sql_select *select, leat_slice name)
{
    for (uint32_t i = 0; select && i < select->item_count; i++)
        if (leat_sql_name_present(&select->items[i].alias) && leat_slice_equal(select->items[i].alias.text, name))
            return true;
    return false;
}

static leat_expr *column_missing(leat_sql_binder *binder, const leat_sql_expr *expr, const leat_error *error)
{
    leat_slice name = expr->column.parts[0].text;
    if (expr->column.count == 1 && is_alias(binder->select, name))
        leat_sql_binder_error(
            binder, expr->span,
            "unknown column '%.*s': an alias of SELECT is not visible in %s; repeat the expression or use a subquery",
            (int)name.size, name.data, binder->clause);
    else
        leat_sql_binder_fail(binder, expr->span, error);
    return NULL;
}

static leat_expr *bind_field(leat_sql_binder *binder, leat_expr *operand, const leat_sql_name *field,
                             leat_sql_span span)
{
    leat_expr *arguments[] = {operand, leat_sql_text(binder->expr, field->text)};
    char type[LEAT_TYPE_TEXT];
    if (operand && operand->type.kind != LEAT_KIND_ROW) {
        leat_sql_binder_error(binder, span, "%s has no fields, so no '%.*s'", leat_type_print(operand->type, type),
                              (int)field->text.size, field->text.data);
        return NULL;
    }
    return leat_sql_apply(binder, "FIELD", arguments, 2, span);
}

static leat_expr *bind_column(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    static const leat_sql_scope nothing = {0};
    leat_sql_found found;
    leat_error error;
    if (!binder->scope) {
        leat_sql_binder_error(binder, expr->span, "%s takes no columns, only constants", binder->clause);
        return NULL;
    }
    const leat_sql_scope *scope = binder->scope ? binder->scope : &nothing;
    if (leat_sql_scope_find(scope, &expr->column, &found, &error) != LEAT_OK)
        return column_missing(binder, expr, &error);
    leat_expr *result = leat_expr_column(binder->expr, found.input, found.column, found.type);
    mark_add(binder, result, expr->span);
    for (uint32_t i = found.part_count; result && i < expr->column.count; i++)
        result = bind_field(binder, result, &expr->column.parts[i], expr->span);
    return result;
}

// ---- operators

static leat_expr *bind_unary(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    const leat_sql_expr *operand = expr->unary.operand;
    leat_sql_unary_op op = expr->unary.op;
    if (op == LEAT_SQL_NEGATE && operand->kind == LEAT_SQL_EXPR_LITERAL)
        return leat_sql_bind_literal(binder, &operand->literal, true, expr->span);
    leat_expr *bound = leat_sql_bind(binder, operand);
    if (op == LEAT_SQL_PLUS_SIGN && bound && !leat_type_is_numeric(bound->type)) {
        char type[LEAT_TYPE_TEXT];
        leat_sql_binder_error(binder, expr->span, "+ takes a number, found %s", leat_type_print(bound->type, type));
        return NULL;
    }
    if (op == LEAT_SQL_PLUS_SIGN)
        return bound;
    return leat_sql_apply(binder, op == LEAT_SQL_NEGATE ? "-" : leat_sql_unary_op_text(op), &bound, 1, expr->span);
}

// Both ends of (begin, end) or (begin, INTERVAL ..), the earlier one first.
static bool bind_period(leat_sql_binder *binder, const leat_sql_expr *period, leat_expr *out_ends[2])
{
    bool pair = period->kind == LEAT_SQL_EXPR_CONSTRUCTOR && period->constructor.items.count == 2 &&
                period->constructor.kind <= LEAT_SQL_CONSTRUCT_TUPLE;
    leat_expr *ends[2] = {NULL, NULL};
    if (!pair)
        leat_sql_binder_error(binder, period->span,
                              "OVERLAPS takes (begin, end) or (begin, INTERVAL ..) on both sides");
    if (!pair || !leat_sql_bind_all(binder, &period->constructor.items, ends))
        return false;
    if (ends[1]->type.kind == LEAT_KIND_INTERVAL || ends[1]->type.kind == LEAT_KIND_INTERVAL_MONTH)
        ends[1] = leat_sql_apply(binder, "+", ends, 2, period->span);
    out_ends[0] = ends[1] ? leat_sql_apply(binder, "LEAST", ends, 2, period->span) : NULL;
    out_ends[1] = ends[1] ? leat_sql_apply(binder, "GREATEST", ends, 2, period->span) : NULL;
    return out_ends[0] && out_ends[1];
}

// Periods that only touch overlap, as in Flink.
static leat_expr *bind_overlaps(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_expr *left[2], *right[2];
    bool bound = bind_period(binder, expr->binary.left, left);
    bound &= bind_period(binder, expr->binary.right, right);
    if (!bound)
        return NULL;
    leat_expr *first[] = {left[1], right[0]}, *second[] = {right[1], left[0]};
    leat_expr *both[] = {leat_sql_apply(binder, ">=", first, 2, expr->span),
                         leat_sql_apply(binder, ">=", second, 2, expr->span)};
    return leat_sql_apply(binder, "AND", both, 2, expr->span);
}

static leat_expr *bind_binary(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    if (expr->binary.op == LEAT_SQL_OVERLAPS)
        return bind_overlaps(binder, expr);
    leat_expr *sides[] = {leat_sql_bind(binder, expr->binary.left), leat_sql_bind(binder, expr->binary.right)};
    return leat_sql_apply(binder, leat_sql_binary_op_text(expr->binary.op), sides, 2, expr->span);
}

static leat_expr *between(leat_sql_binder *binder, leat_expr *operand, leat_expr *low, leat_expr *high,
                          leat_sql_span span)
{
    leat_expr *above[] = {operand, low}, *below[] = {operand, high};
    leat_expr *both[] = {leat_sql_apply(binder, ">=", above, 2, span), NULL};
    both[1] = both[0] ? leat_sql_apply(binder, "<=", below, 2, span) : NULL;
    return leat_sql_apply(binder, "AND", both, 2, span);
}

static leat_expr *bind_between(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_expr *operand = leat_sql_bind(binder, expr->between.operand);
    leat_expr *low = leat_sql_bind(binder, expr->between.low), *high = leat_sql_bind(binder, expr->between.high);
    if (!operand || !low || !high)
        return NULL;
    leat_expr *result = between(binder, operand, low, high, expr->span);
    if (result && expr->between.symmetric) {
        leat_expr *either[] = {result, between(binder, operand, high, low, expr->span)};
        result = leat_sql_apply(binder, "OR", either, 2, expr->span);
    }
    return negated_if(binder, expr->between.negated, result, expr->span);
}

static leat_expr *bind_like(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_expr *arguments[3] = {leat_sql_bind(binder, expr->like.operand), leat_sql_bind(binder, expr->like.pattern)};
    uint32_t count = 2;
    if (expr->like.escape)
        arguments[count++] = leat_sql_bind(binder, expr->like.escape);
    leat_expr *result =
        leat_sql_apply(binder, expr->like.similar ? "SIMILAR TO" : "LIKE", arguments, count, expr->span);
    return negated_if(binder, expr->like.negated, result, expr->span);
}

static leat_expr *bind_in_list(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    uint32_t count = expr->in_list.items.count;
    leat_expr **arguments = leat_arena_array(binder->expr->arena, leat_expr *, count + 1);
    arguments[0] = leat_sql_bind(binder, expr->in_list.operand);
    leat_sql_bind_all(binder, &expr->in_list.items, arguments + 1);
    leat_expr *result = leat_sql_apply(binder, "IN", arguments, count + 1, expr->span);
    return negated_if(binder, expr->in_list.negated, result, expr->span);
}

static leat_expr *bind_case(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    uint32_t when_count = expr->case_when.when_count, count = 0;
    leat_expr **arguments = leat_arena_array(binder->expr->arena, leat_expr *, 2 * when_count + 1);
    leat_expr *operand = expr->case_when.operand ? leat_sql_bind(binder, expr->case_when.operand) : NULL;
    bool complete = operand || !expr->case_when.operand;
    for (uint32_t i = 0; i < when_count; i++) {
        const leat_sql_when *when = &expr->case_when.whens[i];
        leat_expr *condition = leat_sql_bind(binder, when->condition);
        if (operand && condition) {
            leat_expr *sides[] = {operand, condition};
            condition = leat_sql_apply(binder, "=", sides, 2, when->condition->span);
        }
        arguments[count++] = condition;
        arguments[count++] = leat_sql_bind(binder, when->result);
    }
    if (expr->case_when.otherwise)
        arguments[count++] = leat_sql_bind(binder, expr->case_when.otherwise);
    for (uint32_t i = 0; i < count; i++)
        complete &= arguments[i] != NULL;
    leat_expr *result = NULL;
    leat_error error;
    if (complete && leat_expr_case(binder->expr, arguments, count, &result, &error) != LEAT_OK)
        leat_sql_binder_fail(binder, expr->span, &error);
    return result;
}

// TIME is TIME(0).
static leat_expr *whole_seconds(leat_sql_binder *binder, leat_expr *time, leat_sql_span span)
{
    leat_expr *arguments[] = {time, leat_sql_text(binder->expr, leat_slice_text("SECOND"))};
    return leat_sql_apply(binder, "FLOOR", arguments, 2, span);
}

static leat_expr *bind_cast(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_expr *operand = leat_sql_bind(binder, expr->cast.operand), *result = NULL;
    leat_type type;
    leat_error error;
    if (!leat_sql_bind_type(binder, expr->cast.type, &type) || !operand)
        return NULL;
    if (leat_expr_cast(binder->expr, operand, type, expr->cast.is_try, &result, &error) != LEAT_OK) {
        leat_sql_binder_fail(binder, expr->span, &error);
        return NULL;
    }
    bool seconds = type.kind == LEAT_KIND_TIME && expr->cast.type->precision <= 0;
    return seconds ? whole_seconds(binder, result, expr->span) : result;
}

static leat_expr *bind_constructor(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    static const char *const names[] = {[LEAT_SQL_CONSTRUCT_ROW] = "ROW",
                                        [LEAT_SQL_CONSTRUCT_TUPLE] = "ROW",
                                        [LEAT_SQL_CONSTRUCT_ARRAY] = "ARRAY",
                                        [LEAT_SQL_CONSTRUCT_MAP] = "MAP"};
    uint32_t count = expr->constructor.items.count;
    leat_expr **items = leat_arena_array(binder->expr->arena, leat_expr *, count + 1);
    if (!leat_sql_bind_all(binder, &expr->constructor.items, items))
        return NULL;
    return leat_sql_apply(binder, names[expr->constructor.kind], items, count, expr->span);
}

static leat_expr *bind_index(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_expr *arguments[] = {leat_sql_bind(binder, expr->index.operand), leat_sql_bind(binder, expr->index.index)};
    char type[LEAT_TYPE_TEXT];
    if (arguments[0] && arguments[0]->type.kind != LEAT_KIND_ARRAY && arguments[0]->type.kind != LEAT_KIND_MAP) {
        leat_sql_binder_error(binder, expr->index.operand->span, "[ ] takes an ARRAY or a MAP, found %s",
                              leat_type_print(arguments[0]->type, type));
        return NULL;
    }
    return leat_sql_apply(binder, "ITEM", arguments, 2, expr->span);
}

// ---- what is refused

static const char *refusal(const leat_sql_expr *expr)
{
    switch (expr->kind) {
    case LEAT_SQL_EXPR_STAR:
        return "* may only stand alone in SELECT or in COUNT(*)";
    case LEAT_SQL_EXPR_IN_QUERY:
        return "IN (SELECT ..) stands in SELECT, WHERE, HAVING, GROUP BY, arguments of aggregates and the ON of inner "
               "joins; put "
               "it into a query in FROM";
    case LEAT_SQL_EXPR_QUANTIFIED:
        return "ANY, SOME and ALL over a query have to stand alone or beside other conditions with AND in WHERE";
    case LEAT_SQL_EXPR_EXISTS:
        return "EXISTS stands in SELECT, WHERE, HAVING, GROUP BY, arguments of aggregates and the ON of inner joins; "
               "put it into "
               "a query in FROM";
    case LEAT_SQL_EXPR_SUBQUERY:
        return "a query as a value (scalar subquery) stands in SELECT, WHERE, HAVING, GROUP BY, arguments of "
               "aggregates and the "
               "ON of inner joins; compute it in a query in FROM";
    case LEAT_SQL_EXPR_TABLE:
        return "TABLE is only an argument of a function in FROM";
    case LEAT_SQL_EXPR_DESCRIPTOR:
        return "DESCRIPTOR is only an argument of a function in FROM";
    case LEAT_SQL_EXPR_DEFAULT:
        return "DEFAULT is only an argument of a function in FROM";
    case LEAT_SQL_EXPR_LIST:
        return "a list may not stand here";
    case LEAT_SQL_EXPR_PARAMETER:
        return "a parameter may only stand in a detection's text";
    default:
        return "this expression is not in leat";
    }
}

leat_expr *leat_sql_bind(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    switch (expr->kind) {
    case LEAT_SQL_EXPR_LITERAL:
        return leat_sql_bind_literal(binder, &expr->literal, false, expr->span);
    case LEAT_SQL_EXPR_COLUMN:
        return bind_column(binder, expr);
    case LEAT_SQL_EXPR_UNARY:
        return bind_unary(binder, expr);
    case LEAT_SQL_EXPR_BINARY:
        return bind_binary(binder, expr);
    case LEAT_SQL_EXPR_BETWEEN:
        return bind_between(binder, expr);
    case LEAT_SQL_EXPR_LIKE:
        return bind_like(binder, expr);
    case LEAT_SQL_EXPR_IN_LIST:
        return bind_in_list(binder, expr);
    case LEAT_SQL_EXPR_CASE:
        return bind_case(binder, expr);
    case LEAT_SQL_EXPR_CAST:
        return bind_cast(binder, expr);
    case LEAT_SQL_EXPR_CALL:
        return leat_sql_bind_call(binder, expr);
    case LEAT_SQL_EXPR_JSON:
        return leat_sql_bind_json(binder, expr);
    case LEAT_SQL_EXPR_CONSTRUCTOR:
        return bind_constructor(binder, expr);
    case LEAT_SQL_EXPR_INDEX:
        return bind_index(binder, expr);
    case LEAT_SQL_EXPR_FIELD:
        return bind_field(binder, leat_sql_bind(binder, expr->field.operand), &expr->field.field, expr->span);
    case LEAT_SQL_EXPR_SUBQUERY:
    case LEAT_SQL_EXPR_EXISTS:
    case LEAT_SQL_EXPR_IN_QUERY:
        if (binder->query_value)
            return binder->query_value(binder, expr);
        // fall through
    default:
        leat_sql_binder_error(binder, expr->span, "%s", refusal(expr));
        return NULL;
    }
}

leat_expr *leat_sql_bind_condition(leat_sql_binder *binder, const leat_sql_expr *expr)
{
    leat_expr *bound = leat_sql_bind(binder, expr), *result = NULL;
    leat_error error;
    if (!bound)
        return NULL;
    if (leat_expr_coerce(binder->expr, bound, leat_type_of(LEAT_KIND_BOOLEAN), &result, &error) == LEAT_OK)
        return result;
    char type[LEAT_TYPE_TEXT];
    leat_sql_binder_error(binder, expr->span, "%s takes a condition (BOOLEAN), found %s", binder->clause,
                          leat_type_print(bound->type, type));
    return NULL;
}

leat_expr *leat_sql_bind_constant(leat_sql_binder *binder, const leat_sql_expr *expr, const leat_type *wanted,
                                  const char *what)
{
    leat_expr *bound = leat_sql_bind(binder, expr), *result = bound;
    leat_error error;
    if (!bound)
        return NULL;
    if (wanted && leat_expr_coerce(binder->expr, bound, *wanted, &result, &error) != LEAT_OK) {
        leat_error_prefix(&error, "%s", what);
        leat_sql_binder_fail(binder, expr->span, &error);
        return NULL;
    }
    result = leat_expr_fold(binder->expr, result);
    if (result->kind == LEAT_EXPR_LITERAL)
        return result;
    leat_sql_binder_error(binder, expr->span, "%s has to be a constant", what);
    return NULL;
}
