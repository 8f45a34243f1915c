// Names of what the tree's enumerations stand for, and structural equality.

#include "config/sql/ast.h"

#include <string.h>
#include <strings.h>

const char *leat_sql_unit_name(leat_sql_unit unit)
{
    static const char *const names[LEAT_SQL_UNIT_COUNT] = {
        "",           "YEAR",   "QUARTER",     "MONTH",       "WEEK",       "DAY",     "HOUR",
        "MINUTE",     "SECOND", "MILLISECOND", "MICROSECOND", "NANOSECOND", "DECADE",  "CENTURY",
        "MILLENNIUM", "EPOCH",  "DOW",         "DOY",         "ISODOW",     "ISOYEAR",
    };
    return names[unit];
}

const char *leat_sql_unary_op_text(leat_sql_unary_op op)
{
    static const char *const texts[LEAT_SQL_UNARY_OP_COUNT] = {
        "NOT",
        "-",
        "+",
        "IS NULL",
        "IS NOT NULL",
        "IS TRUE",
        "IS NOT TRUE",
        "IS FALSE",
        "IS NOT FALSE",
        "IS UNKNOWN",
        "IS NOT UNKNOWN",
        "IS JSON",
        "IS NOT JSON",
        "IS JSON OBJECT",
        "IS NOT JSON OBJECT",
        "IS JSON ARRAY",
        "IS NOT JSON ARRAY",
        "IS JSON SCALAR",
        "IS NOT JSON SCALAR",
    };
    return texts[op];
}

const char *leat_sql_binary_op_text(leat_sql_binary_op op)
{
    static const char *const texts[LEAT_SQL_BINARY_OP_COUNT] = {
        "OR",       "AND", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM",
        "OVERLAPS", "+",   "-", "||", "*", "/",  "%",
    };
    return texts[op];
}

const char *leat_sql_json_function_name(leat_sql_json_function function)
{
    static const char *const names[LEAT_SQL_JSON_FUNCTION_COUNT] = {
        "JSON_EXISTS", "JSON_VALUE", "JSON_QUERY", "JSON_OBJECT", "JSON_ARRAY", "JSON_OBJECTAGG", "JSON_ARRAYAGG",
    };
    return names[function];
}

leat_sql_span leat_sql_span_join(leat_sql_span a, leat_sql_span b)
{
    if (a.origin == b.origin && b.offset + b.size >= a.offset)
        a.size = b.offset + b.size - a.offset;
    return a;
}

// ---- equality

#define both(a, b) ((a) != NULL && (b) != NULL)
#define expr_equal leat_sql_expr_equal
#define type_equal leat_sql_type_equal
#define query_equal leat_sql_query_equal

static bool name_equal(const leat_sql_name *a, const leat_sql_name *b)
{
    return !a->text.data == !b->text.data && a->is_parameter == b->is_parameter && leat_slice_equal(a->text, b->text);
}

static bool names_equal(const leat_sql_names *a, const leat_sql_names *b)
{
    bool equal = a->count == b->count;
    for (uint32_t i = 0; equal && i < a->count; i++)
        equal = name_equal(&a->items[i], &b->items[i]);
    return equal;
}

static bool path_equal(const leat_sql_path *a, const leat_sql_path *b)
{
    return names_equal(&(leat_sql_names){a->parts, a->count}, &(leat_sql_names){b->parts, b->count});
}

static bool function_name_equal(const leat_sql_path *a, const leat_sql_path *b)
{
    bool equal = a->count == b->count;
    for (uint32_t i = 0; equal && i < a->count; i++) {
        leat_slice x = a->parts[i].text, y = b->parts[i].text;
        equal = x.size == y.size && (!x.size || !strncasecmp(x.data, y.data, x.size));
    }
    return equal;
}

static bool exprs_equal(const leat_sql_exprs *a, const leat_sql_exprs *b)
{
    bool equal = a->count == b->count;
    for (uint32_t i = 0; equal && i < a->count; i++)
        equal = expr_equal(a->items[i], b->items[i]);
    return equal;
}

static bool order_equal(const leat_sql_order *a, const leat_sql_order *b)
{
    bool equal = a->count == b->count;
    for (uint32_t i = 0; equal && i < a->count; i++)
        equal = a->items[i].descending == b->items[i].descending && a->items[i].nulls == b->items[i].nulls &&
                expr_equal(a->items[i].expr, b->items[i].expr);
    return equal;
}

static bool qualifier_equal(const leat_sql_interval_qualifier *a, const leat_sql_interval_qualifier *b)
{
    return a->from == b->from && a->to == b->to && a->precision == b->precision && a->precision_to == b->precision_to;
}

bool leat_sql_type_equal(const leat_sql_type *a, const leat_sql_type *b)
{
    if (!both(a, b))
        return a == b;
    bool equal = a->kind == b->kind && a->not_null == b->not_null && a->precision == b->precision &&
                 a->scale == b->scale && qualifier_equal(&a->interval, &b->interval) && type_equal(a->key, b->key) &&
                 type_equal(a->element, b->element) && a->field_count == b->field_count &&
                 path_equal(&a->name, &b->name);
    for (uint32_t i = 0; equal && i < a->field_count; i++)
        equal = name_equal(&a->fields[i].name, &b->fields[i].name) && type_equal(a->fields[i].type, b->fields[i].type);
    return equal;
}

static bool literal_equal(const leat_sql_literal *a, const leat_sql_literal *b)
{
    if (a->kind != b->kind || a->kind <= LEAT_SQL_LITERAL_UNKNOWN)
        return a->kind == b->kind;
    if (a->kind != LEAT_SQL_LITERAL_INTERVAL)
        return leat_slice_equal(a->text, b->text);
    return leat_slice_equal(a->text, b->text) && a->interval_negative == b->interval_negative &&
           qualifier_equal(&a->interval, &b->interval);
}

static bool bound_equal(const leat_sql_bound *a, const leat_sql_bound *b)
{
    return a->kind == b->kind && expr_equal(a->expr, b->expr);
}

static bool window_equal(const leat_sql_window *a, const leat_sql_window *b)
{
    if (!both(a, b))
        return a == b;
    return a->is_reference == b->is_reference && name_equal(&a->base, &b->base) &&
           exprs_equal(&a->partition_by, &b->partition_by) && order_equal(&a->order_by, &b->order_by) &&
           a->frame == b->frame && bound_equal(&a->start, &b->start) && bound_equal(&a->end, &b->end);
}

static bool arguments_equal(const leat_sql_call *a, const leat_sql_call *b)
{
    bool equal = exprs_equal(&a->args, &b->args) && !a->arg_names == !b->arg_names;
    for (uint32_t i = 0; equal && a->arg_names && i < a->args.count; i++)
        equal = name_equal(&a->arg_names[i], &b->arg_names[i]);
    return equal;
}

static bool call_equal(const leat_sql_call *a, const leat_sql_call *b)
{
    return function_name_equal(&a->name, &b->name) && a->no_parentheses == b->no_parentheses &&
           a->distinct == b->distinct && a->unit == b->unit && a->trim == b->trim && a->nulls == b->nulls &&
           arguments_equal(a, b) && order_equal(&a->order_by, &b->order_by) &&
           order_equal(&a->within_group, &b->within_group) && expr_equal(a->filter, b->filter) &&
           window_equal(a->over, b->over);
}

static bool json_equal(const leat_sql_json *a, const leat_sql_json *b)
{
    return a->function == b->function && exprs_equal(&a->args, &b->args) && type_equal(a->returning, b->returning) &&
           a->on_empty == b->on_empty && a->on_error == b->on_error && expr_equal(a->empty_default, b->empty_default) &&
           expr_equal(a->error_default, b->error_default) && a->wrapper == b->wrapper && a->nulls == b->nulls &&
           expr_equal(a->filter, b->filter) && window_equal(a->over, b->over);
}

static bool case_equal(const leat_sql_expr *a, const leat_sql_expr *b)
{
    bool equal = a->case_when.when_count == b->case_when.when_count &&
                 expr_equal(a->case_when.operand, b->case_when.operand) &&
                 expr_equal(a->case_when.otherwise, b->case_when.otherwise);
    for (uint32_t i = 0; equal && i < a->case_when.when_count; i++)
        equal = expr_equal(a->case_when.whens[i].condition, b->case_when.whens[i].condition) &&
                expr_equal(a->case_when.whens[i].result, b->case_when.whens[i].result);
    return equal;
}

static bool table_argument_equal(const leat_sql_expr *a, const leat_sql_expr *b)
{
    return path_equal(&a->table.path, &b->table.path) && query_equal(a->table.query, b->table.query) &&
           exprs_equal(&a->table.partition_by, &b->table.partition_by) &&
           order_equal(&a->table.order_by, &b->table.order_by);
}

bool leat_sql_expr_equal(const leat_sql_expr *a, const leat_sql_expr *b)
{
    if (!both(a, b))
        return a == b;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case LEAT_SQL_EXPR_LITERAL:
        return literal_equal(&a->literal, &b->literal);
    case LEAT_SQL_EXPR_COLUMN:
        return path_equal(&a->column, &b->column);
    case LEAT_SQL_EXPR_STAR:
        return path_equal(&a->star, &b->star);
    case LEAT_SQL_EXPR_PARAMETER:
        return name_equal(&a->parameter, &b->parameter);
    case LEAT_SQL_EXPR_UNARY:
        return a->unary.op == b->unary.op && expr_equal(a->unary.operand, b->unary.operand);
    case LEAT_SQL_EXPR_BINARY:
        return a->binary.op == b->binary.op && expr_equal(a->binary.left, b->binary.left) &&
               expr_equal(a->binary.right, b->binary.right);
    case LEAT_SQL_EXPR_BETWEEN:
        return a->between.negated == b->between.negated && a->between.symmetric == b->between.symmetric &&
               expr_equal(a->between.operand, b->between.operand) && expr_equal(a->between.low, b->between.low) &&
               expr_equal(a->between.high, b->between.high);
    case LEAT_SQL_EXPR_LIKE:
        return a->like.negated == b->like.negated && a->like.similar == b->like.similar &&
               expr_equal(a->like.operand, b->like.operand) && expr_equal(a->like.pattern, b->like.pattern) &&
               expr_equal(a->like.escape, b->like.escape);
    case LEAT_SQL_EXPR_IN_LIST:
        return a->in_list.negated == b->in_list.negated && expr_equal(a->in_list.operand, b->in_list.operand) &&
               exprs_equal(&a->in_list.items, &b->in_list.items);
    case LEAT_SQL_EXPR_IN_QUERY:
        return a->in_query.negated == b->in_query.negated && expr_equal(a->in_query.operand, b->in_query.operand) &&
               query_equal(a->in_query.query, b->in_query.query);
    case LEAT_SQL_EXPR_QUANTIFIED:
        return a->quantified.op == b->quantified.op && a->quantified.quantifier == b->quantified.quantifier &&
               expr_equal(a->quantified.operand, b->quantified.operand) &&
               query_equal(a->quantified.query, b->quantified.query);
    case LEAT_SQL_EXPR_EXISTS:
    case LEAT_SQL_EXPR_SUBQUERY:
        return query_equal(a->query, b->query);
    case LEAT_SQL_EXPR_CASE:
        return case_equal(a, b);
    case LEAT_SQL_EXPR_CAST:
        return a->cast.is_try == b->cast.is_try && expr_equal(a->cast.operand, b->cast.operand) &&
               type_equal(a->cast.type, b->cast.type);
    case LEAT_SQL_EXPR_CALL:
        return call_equal(&a->call, &b->call);
    case LEAT_SQL_EXPR_JSON:
        return json_equal(&a->json, &b->json);
    case LEAT_SQL_EXPR_CONSTRUCTOR:
        return a->constructor.kind == b->constructor.kind && exprs_equal(&a->constructor.items, &b->constructor.items);
    case LEAT_SQL_EXPR_INDEX:
        return expr_equal(a->index.operand, b->index.operand) && expr_equal(a->index.index, b->index.index);
    case LEAT_SQL_EXPR_FIELD:
        return expr_equal(a->field.operand, b->field.operand) && name_equal(&a->field.field, &b->field.field);
    case LEAT_SQL_EXPR_TABLE:
        return table_argument_equal(a, b);
    case LEAT_SQL_EXPR_DESCRIPTOR:
        return names_equal(&a->descriptor, &b->descriptor);
    case LEAT_SQL_EXPR_LIST:
        return exprs_equal(&a->list, &b->list);
    case LEAT_SQL_EXPR_DEFAULT:
    case LEAT_SQL_EXPR_KIND_COUNT:
        break;
    }
    return true;
}

// ---- equality of queries

static bool hints_equal(const leat_sql_hints *a, const leat_sql_hints *b)
{
    bool equal = a->count == b->count;
    for (uint32_t i = 0; equal && i < a->count; i++) {
        const leat_sql_hint *x = &a->items[i], *y = &b->items[i];
        equal = name_equal(&x->name, &y->name) && x->entry_count == y->entry_count;
        for (uint32_t j = 0; equal && j < x->entry_count; j++)
            equal = name_equal(&x->entries[j].key, &y->entries[j].key) &&
                    !x->entries[j].value.data == !y->entries[j].value.data &&
                    leat_slice_equal(x->entries[j].value, y->entries[j].value);
    }
    return equal;
}

static bool pattern_equal(const leat_sql_pattern *a, const leat_sql_pattern *b)
{
    bool equal = a->kind == b->kind && name_equal(&a->variable, &b->variable) && a->item_count == b->item_count &&
                 a->grouped == b->grouped && a->min == b->min && a->max == b->max && a->reluctant == b->reluctant &&
                 name_equal(&a->min_parameter, &b->min_parameter) && name_equal(&a->max_parameter, &b->max_parameter);
    for (uint32_t i = 0; equal && i < a->item_count; i++)
        equal = pattern_equal(a->items[i], b->items[i]);
    return equal;
}

static bool match_lists_equal(const leat_sql_match_recognize *a, const leat_sql_match_recognize *b)
{
    bool equal = a->measure_count == b->measure_count && a->subset_count == b->subset_count &&
                 a->define_count == b->define_count;
    for (uint32_t i = 0; equal && i < a->measure_count; i++)
        equal = a->measures[i].semantics == b->measures[i].semantics &&
                expr_equal(a->measures[i].expr, b->measures[i].expr) &&
                name_equal(&a->measures[i].name, &b->measures[i].name);
    for (uint32_t i = 0; equal && i < a->subset_count; i++)
        equal = name_equal(&a->subsets[i].name, &b->subsets[i].name) &&
                names_equal(&a->subsets[i].members, &b->subsets[i].members);
    for (uint32_t i = 0; equal && i < a->define_count; i++)
        equal = name_equal(&a->defines[i].variable, &b->defines[i].variable) &&
                expr_equal(a->defines[i].condition, b->defines[i].condition);
    return equal;
}

static bool match_equal(const leat_sql_match_recognize *a, const leat_sql_match_recognize *b)
{
    return exprs_equal(&a->partition_by, &b->partition_by) && order_equal(&a->order_by, &b->order_by) &&
           a->rows == b->rows && a->skip == b->skip && name_equal(&a->skip_to, &b->skip_to) &&
           pattern_equal(a->pattern, b->pattern) && expr_equal(a->within, b->within) && match_lists_equal(a, b);
}

static bool table_equal(const leat_sql_table_ref *a, const leat_sql_table_ref *b)
{
    if (!both(a, b))
        return a == b;
    if (a->kind != b->kind || a->lateral != b->lateral || !name_equal(&a->alias, &b->alias) ||
        !names_equal(&a->columns, &b->columns) || !hints_equal(&a->hints, &b->hints))
        return false;
    switch (a->kind) {
    case LEAT_SQL_TABLE_NAME:
        return path_equal(&a->table.path, &b->table.path) && expr_equal(a->table.system_time, b->table.system_time);
    case LEAT_SQL_TABLE_QUERY:
        return query_equal(a->query, b->query);
    case LEAT_SQL_TABLE_FUNCTION:
        return a->function.in_table == b->function.in_table && expr_equal(a->function.call, b->function.call);
    case LEAT_SQL_TABLE_UNNEST:
        return a->unnest.ordinality == b->unnest.ordinality && exprs_equal(&a->unnest.items, &b->unnest.items);
    case LEAT_SQL_TABLE_JOIN:
        return a->join.kind == b->join.kind && a->join.natural == b->join.natural &&
               table_equal(a->join.left, b->join.left) && table_equal(a->join.right, b->join.right) &&
               expr_equal(a->join.on, b->join.on) && names_equal(&a->join.using, &b->join.using);
    case LEAT_SQL_TABLE_MATCH:
        return table_equal(a->match.input, b->match.input) && match_equal(a->match.recognize, b->match.recognize);
    }
    return false;
}

static bool groups_equal(leat_sql_group *const *a, leat_sql_group *const *b, uint32_t count)
{
    bool equal = true;
    for (uint32_t i = 0; equal && i < count; i++)
        equal = a[i]->kind == b[i]->kind && expr_equal(a[i]->expr, b[i]->expr) &&
                a[i]->item_count == b[i]->item_count && groups_equal(a[i]->items, b[i]->items, a[i]->item_count);
    return equal;
}

static bool select_lists_equal(const leat_sql_select *a, const leat_sql_select *b)
{
    bool equal =
        a->item_count == b->item_count && a->window_count == b->window_count && a->group_count == b->group_count;
    for (uint32_t i = 0; equal && i < a->item_count; i++)
        equal = expr_equal(a->items[i].expr, b->items[i].expr) && name_equal(&a->items[i].alias, &b->items[i].alias);
    for (uint32_t i = 0; equal && i < a->window_count; i++)
        equal = name_equal(&a->windows[i].name, &b->windows[i].name) &&
                window_equal(a->windows[i].window, b->windows[i].window);
    return equal && groups_equal(a->group_by, b->group_by, a->group_count);
}

static bool select_equal(const leat_sql_select *a, const leat_sql_select *b)
{
    return hints_equal(&a->hints, &b->hints) && a->distinct == b->distinct && a->is_grouped == b->is_grouped &&
           a->group_distinct == b->group_distinct && table_equal(a->from, b->from) && expr_equal(a->where, b->where) &&
           expr_equal(a->having, b->having) && expr_equal(a->qualify, b->qualify) && select_lists_equal(a, b);
}

static bool body_equal(const leat_sql_query *a, const leat_sql_query *b)
{
    switch (a->kind) {
    case LEAT_SQL_QUERY_SELECT:
        return select_equal(a->select, b->select);
    case LEAT_SQL_QUERY_VALUES:
        return exprs_equal(&a->values, &b->values);
    case LEAT_SQL_QUERY_TABLE:
        return path_equal(&a->table, &b->table);
    case LEAT_SQL_QUERY_SET:
        return a->set.op == b->set.op && a->set.all == b->set.all && query_equal(a->set.left, b->set.left) &&
               query_equal(a->set.right, b->set.right);
    }
    return false;
}

bool leat_sql_query_equal(const leat_sql_query *a, const leat_sql_query *b)
{
    if (!both(a, b))
        return a == b;
    bool equal = a->kind == b->kind && a->recursive == b->recursive && a->cte_count == b->cte_count &&
                 order_equal(&a->order_by, &b->order_by) && expr_equal(a->limit, b->limit) &&
                 expr_equal(a->offset, b->offset) && expr_equal(a->fetch, b->fetch);
    for (uint32_t i = 0; equal && i < a->cte_count; i++)
        equal = name_equal(&a->ctes[i].name, &b->ctes[i].name) &&
                names_equal(&a->ctes[i].columns, &b->ctes[i].columns) &&
                query_equal(a->ctes[i].query, b->ctes[i].query);
    return equal && body_equal(a, b);
}

bool leat_sql_script_equal(const leat_sql_script *a, const leat_sql_script *b)
{
    bool equal = a->count == b->count;
    for (uint32_t i = 0; equal && i < a->count; i++) {
        const leat_sql_statement *x = &a->statements[i], *y = &b->statements[i];
        equal = x->kind == y->kind && x->temporary == y->temporary && x->if_not_exists == y->if_not_exists &&
                x->or_replace == y->or_replace && x->overwrite == y->overwrite && path_equal(&x->target, &y->target) &&
                names_equal(&x->columns, &y->columns) && query_equal(x->query, y->query);
    }
    return equal;
}
