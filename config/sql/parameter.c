#include "config/sql/parameter.h"

#include "config/sql/visit.h"
#include "operators/base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct binding {
    leat_arena *arena;
    leat_sql_lookup *lookup;
    void *context;
    leat_sql_diagnostics *diagnostics;
    bool failed;
} binding;

static void refuse(binding *b, const leat_sql_expr *value, const leat_sql_name *parameter, const char *expected)
{
    b->failed = true;
    int size = parameter->text.size > 60 ? 60 : (int)parameter->text.size;
    leat_sql_diagnose(b->diagnostics, value ? value->span : parameter->span,
                      value ? "parameter %.*s: expected %s" : "unknown parameter ${%.*s}%s", size, parameter->text.data,
                      value ? expected : "");
}

static const leat_sql_expr *find(binding *b, const leat_sql_name *parameter)
{
    const leat_sql_expr *value = b->lookup(b->context, parameter->text);
    if (!value)
        refuse(b, NULL, parameter, "");
    return value;
}

static const leat_sql_expr *find_list(binding *b, const leat_sql_expr *item)
{
    const leat_sql_expr *value =
        item && item->kind == LEAT_SQL_EXPR_PARAMETER ? b->lookup(b->context, item->parameter.text) : NULL;
    return value && value->kind == LEAT_SQL_EXPR_LIST ? value : NULL;
}

// ---- expressions

static bool bind_expr(void *context, leat_sql_expr *expr)
{
    binding *b = context;
    if (expr->kind != LEAT_SQL_EXPR_PARAMETER)
        return true;
    leat_sql_name parameter = expr->parameter;
    const leat_sql_expr *value = find(b, &parameter);
    if (value && value->kind == LEAT_SQL_EXPR_LIST && value->list.count == 1)
        value = value->list.items[0];
    if (value && value->kind == LEAT_SQL_EXPR_LIST)
        refuse(b, value, &parameter, "one value here, not a list");
    else if (value)
        *expr = *value;
    return false; // what was bound has no parameters of its own
}

// ---- lists: a list takes the place of its parameter

static uint32_t spliced_count(binding *b, leat_sql_expr *const *items, uint32_t count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        const leat_sql_expr *list = find_list(b, items[i]);
        total += list ? list->list.count : 1;
    }
    return total;
}

static bool has_list(binding *b, leat_sql_expr *const *items, uint32_t count)
{
    bool found = false;
    for (uint32_t i = 0; !found && i < count; i++)
        found = find_list(b, items[i]);
    return found;
}

static void bind_list(void *context, leat_sql_exprs *list)
{
    binding *b = context;
    if (!has_list(b, list->items, list->count))
        return;
    leat_sql_exprs out = {leat_arena_array(b->arena, leat_sql_expr *, spliced_count(b, list->items, list->count)), 0};
    for (uint32_t i = 0; i < list->count; i++) {
        const leat_sql_expr *value = find_list(b, list->items[i]);
        if (!value)
            out.items[out.count++] = list->items[i];
        for (uint32_t j = 0; value && j < value->list.count; j++)
            out.items[out.count++] = value->list.items[j];
    }
    *list = out;
}

static void bind_order(void *context, leat_sql_order *order)
{
    binding *b = context;
    uint32_t total = 0;
    bool found = false;
    for (uint32_t i = 0; i < order->count; i++) {
        const leat_sql_expr *list = find_list(b, order->items[i].expr);
        total += list ? list->list.count : 1;
        found |= list != NULL;
    }
    if (!found)
        return;
    leat_sql_order out = {leat_arena_array(b->arena, leat_sql_order_item, total), 0};
    for (uint32_t i = 0; i < order->count; i++) {
        const leat_sql_expr *list = find_list(b, order->items[i].expr);
        uint32_t count = list ? list->list.count : 1;
        for (uint32_t j = 0; j < count; j++) {
            out.items[out.count] = order->items[i];
            if (list)
                out.items[out.count].expr = list->list.items[j];
            out.count++;
        }
    }
    *order = out;
}

static void bind_groups(void *context, leat_sql_group ***groups, uint32_t *count)
{
    binding *b = context;
    uint32_t total = 0;
    for (uint32_t i = 0; i < *count; i++) {
        const leat_sql_expr *list = find_list(b, (*groups)[i]->expr);
        total += list ? list->list.count : 1;
    }
    leat_sql_group **out = leat_arena_array(b->arena, leat_sql_group *, total);
    uint32_t out_count = 0;
    for (uint32_t i = 0; i < *count; i++) {
        const leat_sql_expr *list = find_list(b, (*groups)[i]->expr);
        if (!list)
            out[out_count++] = (*groups)[i];
        for (uint32_t j = 0; list && j < list->list.count; j++) {
            leat_sql_group *group = leat_arena_new(b->arena, leat_sql_group);
            *group = *(*groups)[i];
            group->expr = list->list.items[j];
            out[out_count++] = group;
        }
    }
    *groups = out;
    *count = out_count;
}

static void bind_items(void *context, leat_sql_select *select)
{
    binding *b = context;
    uint32_t total = 0;
    for (uint32_t i = 0; i < select->item_count; i++) {
        const leat_sql_expr *list = find_list(b, select->items[i].expr);
        total += list ? list->list.count : 1;
    }
    leat_sql_select_item *out = leat_arena_array(b->arena, leat_sql_select_item, total);
    uint32_t count = 0;
    for (uint32_t i = 0; i < select->item_count; i++) {
        const leat_sql_expr *list = find_list(b, select->items[i].expr);
        if (!list)
            out[count++] = select->items[i];
        for (uint32_t j = 0; list && j < list->list.count; j++)
            out[count++].expr = list->list.items[j];
    }
    select->items = out;
    select->item_count = count;
}

// ---- names

static const leat_sql_path *find_identifier(binding *b, const leat_sql_name *parameter)
{
    const leat_sql_expr *value = find(b, parameter);
    if (value && value->kind == LEAT_SQL_EXPR_LIST && value->list.count == 1)
        value = value->list.items[0];
    if (value && value->kind != LEAT_SQL_EXPR_COLUMN) {
        refuse(b, value, parameter, "a name");
        return NULL;
    }
    return value ? &value->column : NULL;
}

static void bind_name(void *context, leat_sql_name *name)
{
    binding *b = context;
    if (!name->is_parameter)
        return;
    leat_sql_name parameter = *name;
    const leat_sql_path *path = find_identifier(b, &parameter);
    if (path && path->count == 1)
        *name = path->parts[0];
    else if (path)
        refuse(b, b->lookup(b->context, parameter.text), &parameter, "one name without a dot");
}

static void bind_path(void *context, leat_sql_path *path)
{
    binding *b = context;
    bool found = false;
    for (uint32_t i = 0; i < path->count; i++)
        found |= path->parts[i].is_parameter;
    if (!found)
        return;
    leat_sql_path out = {.span = path->span};
    uint32_t capacity = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < path->count; i++) {
            const leat_sql_path *value = path->parts[i].is_parameter ? find_identifier(b, &path->parts[i]) : NULL;
            if (path->parts[i].is_parameter && !value)
                return;
            uint32_t count = value ? value->count : 1;
            if (!pass)
                capacity += count;
            else
                memcpy(&out.parts[out.count], value ? value->parts : &path->parts[i], count * sizeof *out.parts);
            out.count += pass ? count : 0;
        }
        if (!pass)
            out.parts = leat_arena_array(b->arena, leat_sql_name, capacity);
    }
    if (path->count == 1)
        out.span = out.parts[0].span;
    *path = out;
}

// ---- patterns

static void bind_repetition(binding *b, uint32_t *count, leat_sql_name *parameter)
{
    if (!parameter->text.data)
        return;
    const leat_sql_expr *value = find(b, parameter);
    int64_t number;
    bool good = value && value->kind == LEAT_SQL_EXPR_LITERAL && value->literal.kind == LEAT_SQL_LITERAL_INTEGER &&
                leat_integer_parse(value->literal.text, &number) && number >= 0 && number <= INT32_MAX;
    if (good)
        *count = (uint32_t)number;
    else if (value)
        refuse(b, value, parameter, "a number of repetitions");
    if (good)
        *parameter = (leat_sql_name){0};
}

static void bind_pattern(void *context, leat_sql_pattern *pattern)
{
    binding *b = context;
    if (!pattern->min_parameter.text.data && !pattern->max_parameter.text.data)
        return;
    leat_sql_name last = pattern->max_parameter.text.data ? pattern->max_parameter : pattern->min_parameter;
    bool failed = b->failed;
    bind_repetition(b, &pattern->min, &pattern->min_parameter);
    bind_repetition(b, &pattern->max, &pattern->max_parameter);
    if (b->failed == failed && pattern->max < pattern->min)
        refuse(b, b->lookup(b->context, last.text), &last, "an upper bound not below the lower one");
}

static visitor binding_visitor(binding *b)
{
    return (visitor){.context = b,
                     .expr = bind_expr,
                     .list = bind_list,
                     .items = bind_items,
                     .order = bind_order,
                     .groups = bind_groups,
                     .name = bind_name,
                     .path = bind_path,
                     .pattern = bind_pattern};
}

leat_code leat_sql_bind_parameters(leat_arena *arena, leat_sql_script *script, leat_sql_lookup *lookup, void *context,
                                   leat_sql_diagnostics *out_diagnostics)
{
    binding b = {arena, lookup, context, out_diagnostics, false};
    visitor v = binding_visitor(&b);
    leat_sql_visit_script(&v, script);
    return b.failed ? LEAT_E_INVALID : LEAT_OK;
}

leat_code leat_sql_bind_expression(leat_arena *arena, leat_sql_expr *expr, leat_sql_lookup *lookup, void *context,
                                   leat_sql_diagnostics *out_diagnostics)
{
    binding b = {arena, lookup, context, out_diagnostics, false};
    visitor v = binding_visitor(&b);
    leat_sql_visit_expr(&v, expr);
    return b.failed ? LEAT_E_INVALID : LEAT_OK;
}

// ---- finding

typedef struct finder {
    leat_arena *arena;
    leat_sql_names names;
    uint32_t capacity;
} finder;

static void find_name(void *context, leat_sql_name *name)
{
    finder *f = context;
    if (!name->is_parameter)
        return;
    for (uint32_t i = 0; i < f->names.count; i++)
        if (leat_slice_equal(f->names.items[i].text, name->text))
            return;
    if (f->names.count == f->capacity) {
        leat_sql_name *larger = leat_arena_array(f->arena, leat_sql_name, f->capacity * 2 + 8);
        if (f->names.count)
            memcpy(larger, f->names.items, f->names.count * sizeof *larger);
        f->names.items = larger;
        f->capacity = f->capacity * 2 + 8;
    }
    f->names.items[f->names.count++] = *name;
}

static bool find_expr(void *context, leat_sql_expr *expr)
{
    if (expr->kind == LEAT_SQL_EXPR_PARAMETER)
        find_name(context, &expr->parameter);
    return true;
}

static void find_path(void *context, leat_sql_path *path)
{
    for (uint32_t i = 0; i < path->count; i++)
        find_name(context, &path->parts[i]);
}

static void find_pattern(void *context, leat_sql_pattern *pattern)
{
    find_name(context, &pattern->min_parameter);
    find_name(context, &pattern->max_parameter);
}

leat_sql_names leat_sql_find_parameters(leat_arena *arena, const leat_sql_script *script)
{
    finder f = {.arena = arena};
    visitor v = {.context = &f, .expr = find_expr, .name = find_name, .path = find_path, .pattern = find_pattern};
    leat_sql_visit_script(&v, (leat_sql_script *)(uintptr_t)script);
    return f.names;
}

// ---- values

static leat_sql_expr *make(leat_arena *arena, leat_sql_expr_kind kind, leat_sql_span span)
{
    leat_sql_expr *expr = leat_arena_new(arena, leat_sql_expr);
    expr->kind = kind;
    expr->span = span;
    return expr;
}

static leat_sql_expr *make_literal(leat_arena *arena, leat_sql_literal_kind kind, leat_slice text, leat_sql_span span)
{
    leat_sql_expr *expr = make(arena, LEAT_SQL_EXPR_LITERAL, span);
    expr->literal.kind = kind;
    expr->literal.text = leat_slice_of(leat_arena_copy(arena, text.data, text.size), text.size);
    return expr;
}

leat_sql_expr *leat_sql_make_identifier(leat_arena *arena, leat_slice name, leat_sql_span span)
{
    leat_sql_expr *expr = make(arena, LEAT_SQL_EXPR_COLUMN, span);
    expr->column.parts = leat_arena_new(arena, leat_sql_name);
    *expr->column.parts =
        (leat_sql_name){leat_slice_of(leat_arena_copy(arena, name.data, name.size), name.size), span, true, false};
    expr->column.count = 1;
    expr->column.span = span;
    return expr;
}

leat_sql_expr *leat_sql_make_interval(leat_arena *arena, int64_t duration_ms, leat_sql_span span)
{
    static const struct {
        leat_sql_unit unit;
        uint64_t size_ms;
    } steps[] = {{LEAT_SQL_UNIT_DAY, 86400000},
                 {LEAT_SQL_UNIT_HOUR, 3600000},
                 {LEAT_SQL_UNIT_MINUTE, 60000},
                 {LEAT_SQL_UNIT_SECOND, 1000}};
    uint64_t size = duration_ms < 0 ? -(uint64_t)duration_ms : (uint64_t)duration_ms;
    size_t step = 0;
    while (step < 3 && (!size || size % steps[step].size_ms))
        step++;
    const char *sign = duration_ms < 0 ? "-" : "";
    char *text = size % 1000 ? leat_arena_format(arena, "%s%" PRIu64 ".%03" PRIu64, sign, size / 1000, size % 1000)
                             : leat_arena_format(arena, "%s%" PRIu64, sign, size / steps[step].size_ms);
    leat_sql_expr *expr = make(arena, LEAT_SQL_EXPR_LITERAL, span);
    expr->literal.kind = LEAT_SQL_LITERAL_INTERVAL;
    expr->literal.text = leat_slice_text(text);
    expr->literal.interval =
        (leat_sql_interval_qualifier){.from = steps[step].unit, .precision = -1, .precision_to = -1};
    expr->literal.interval_value = duration_ms;
    return expr;
}

leat_sql_expr *leat_sql_make_string(leat_arena *arena, leat_slice text, leat_sql_span span)
{
    return make_literal(arena, LEAT_SQL_LITERAL_STRING, text, span);
}

leat_sql_expr *leat_sql_make_integer(leat_arena *arena, int64_t value, leat_sql_span span)
{
    char text[32];
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    int length = snprintf(text, sizeof text, "%" PRIu64, size);
    leat_sql_expr *expr = make_literal(arena, LEAT_SQL_LITERAL_INTEGER, leat_slice_of(text, (size_t)length), span);
    if (value >= 0)
        return expr;
    leat_sql_expr *negative = make(arena, LEAT_SQL_EXPR_UNARY, span);
    negative->unary.op = LEAT_SQL_NEGATE;
    negative->unary.operand = expr;
    return negative;
}

leat_sql_expr *leat_sql_make_boolean(leat_arena *arena, bool value, leat_sql_span span)
{
    return make_literal(arena, value ? LEAT_SQL_LITERAL_TRUE : LEAT_SQL_LITERAL_FALSE,
                        leat_slice_text(value ? "TRUE" : "FALSE"), span);
}

leat_sql_expr *leat_sql_make_null(leat_arena *arena, leat_sql_span span)
{
    return make_literal(arena, LEAT_SQL_LITERAL_NULL, leat_slice_text("NULL"), span);
}

leat_sql_expr *leat_sql_make_list(leat_arena *arena, leat_sql_expr *const *items, uint32_t count, leat_sql_span span)
{
    leat_sql_expr *expr = make(arena, LEAT_SQL_EXPR_LIST, span);
    expr->list.items = leat_arena_array(arena, leat_sql_expr *, count + 1);
    expr->list.count = count;
    if (count)
        memcpy(expr->list.items, items, count * sizeof *items);
    return expr;
}
