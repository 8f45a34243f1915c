// FROM t JOIN (VALUES (1, 'a'), (2, 'b')) AS v (id, name) ON ..: the constants beside each row, as UNNEST of an array of them.
//
// In Flink these are a source that has ended, and a regular join, which keeps the rows of the stream; what comes out is the same.
// SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, 'b' is another way to write them.
#include "config/sql/planner_join.h"

enum { VALUES_MAX = 1024 };

typedef struct constants {
    plan_rule *rule;
    leat_sql_expr **rows; // ROW(..) each
    uint32_t count, width;
    leat_sql_names names; // of a SELECT; count 0: EXPR$0 and so on
    bool failed;
} constants;

static bool find_column(void *context, const leat_sql_expr *expr)
{
    if (expr->kind == LEAT_SQL_EXPR_COLUMN || expr->kind == LEAT_SQL_EXPR_STAR || expr->kind == LEAT_SQL_EXPR_SUBQUERY)
        *(const leat_sql_expr **)context = expr;
    return true;
}

static void refuse(constants *it, leat_sql_span span, const char *what)
{
    if (!it->failed)
        plan_error(it->rule, span, "%s", what);
    it->failed = true;
}

static void add_row(constants *it, leat_sql_exprs items, leat_sql_span span)
{
    leat_sql_expr *row = leat_arena_new(it->rule->arena, leat_sql_expr);
    const leat_sql_expr *column = NULL;
    for (uint32_t i = 0; i < items.count; i++)
        leat_sql_expr_walk(items.items[i], find_column, &column);
    if (column)
        refuse(it, column->span, "VALUES takes constants");
    else if (it->count && items.count != it->width)
        refuse(it, span, "the rows of VALUES have as many columns each");
    else if (it->count == VALUES_MAX)
        refuse(it, span, "VALUES has at most 1024 rows; put them into a file and read it with the driver `table`");
    if (it->failed)
        return;
    *row = (leat_sql_expr){.kind = LEAT_SQL_EXPR_CONSTRUCTOR, .span = span};
    row->constructor.kind = LEAT_SQL_CONSTRUCT_ROW;
    row->constructor.items =
        (leat_sql_exprs){leat_arena_array(it->rule->arena, leat_sql_expr *, items.count + 1), items.count};
    if (items.count)
        memcpy(row->constructor.items.items, items.items, items.count * sizeof(leat_sql_expr *));
    it->width = items.count;
    it->rows[it->count++] = row;
}

// ---- one type for each column

enum { TYPES_MAX = 16 };

typedef struct column_types {
    leat_type types[TYPES_MAX];
    leat_sql_expr *values[TYPES_MAX]; // one of each type
    uint32_t count;
} column_types;

static void add_type(constants *it, column_types *types, leat_sql_expr *value)
{
    leat_sql_binder binder;
    plan_binder_init(it->rule, NULL, "VALUES", &binder);
    leat_expr *bound = leat_sql_bind(&binder, value);
    it->failed |= !bound;
    for (uint32_t i = 0; bound && i < types->count; i++)
        if (leat_type_equal(types->types[i], bound->type))
            return;
    if (!bound || types->count == TYPES_MAX)
        return;
    types->types[types->count] = bound->type;
    types->values[types->count++] = value;
}

static leat_sql_expr *truth(constants *it, bool value, leat_sql_span span)
{
    leat_sql_expr *literal = leat_arena_new(it->rule->arena, leat_sql_expr);
    *literal = (leat_sql_expr){.kind = LEAT_SQL_EXPR_LITERAL, .span = span};
    literal->literal.kind = value ? LEAT_SQL_LITERAL_TRUE : LEAT_SQL_LITERAL_FALSE;
    return literal;
}

// CASE WHEN TRUE THEN value WHEN FALSE THEN .. END: the value, in the type that all of them have in common.
static leat_sql_expr *alike(constants *it, const column_types *types, leat_sql_expr *value)
{
    leat_sql_expr *made = leat_arena_new(it->rule->arena, leat_sql_expr);
    leat_sql_when *whens = leat_arena_array(it->rule->arena, leat_sql_when, types->count + 1);
    whens[0] = (leat_sql_when){truth(it, true, value->span), value};
    for (uint32_t i = 0; i < types->count; i++)
        whens[i + 1] = (leat_sql_when){truth(it, false, value->span), types->values[i]};
    *made = (leat_sql_expr){.kind = LEAT_SQL_EXPR_CASE, .span = value->span};
    made->case_when.whens = whens;
    made->case_when.when_count = types->count + 1;
    return made;
}

static void unify(constants *it)
{
    for (uint32_t c = 0; c < it->width && !it->failed; c++) {
        column_types types = {.count = 0};
        for (uint32_t r = 0; r < it->count; r++)
            add_type(it, &types, it->rows[r]->constructor.items.items[c]);
        for (uint32_t r = 0; r < it->count && types.count > 1; r++) {
            leat_sql_expr **value = &it->rows[r]->constructor.items.items[c];
            *value = alike(it, &types, *value);
        }
    }
    it->rule->failed |= it->failed;
}

// ---- the rows

static bool is_tuple(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_CONSTRUCTOR &&
           (expr->constructor.kind == LEAT_SQL_CONSTRUCT_ROW || expr->constructor.kind == LEAT_SQL_CONSTRUCT_TUPLE);
}

static void add_values(constants *it, const leat_sql_exprs *values)
{
    for (uint32_t i = 0; i < values->count && !it->failed; i++) {
        leat_sql_expr *value = values->items[i];
        add_row(it, is_tuple(value) ? value->constructor.items : (leat_sql_exprs){&values->items[i], 1}, value->span);
    }
}

static void add_select(constants *it, const leat_sql_select *select)
{
    leat_arena *arena = it->rule->arena;
    leat_sql_exprs items = {leat_arena_array(arena, leat_sql_expr *, select->item_count + 1), select->item_count};
    bool first = !it->count;
    if (first)
        it->names.items = leat_arena_array(arena, leat_sql_name, select->item_count + 1);
    for (uint32_t i = 0; i < select->item_count; i++) {
        items.items[i] = select->items[i].expr;
        if (first)
            it->names.items[it->names.count++] = (leat_sql_name){.text = plan_item_name(it->rule, &select->items[i], i),
                                                                 .span = select->items[i].expr->span};
    }
    add_row(it, items, select->item_count ? select->items[0].expr->span : (leat_sql_span){0});
}

static bool is_constant(const leat_sql_query *query)
{
    const leat_sql_select *select = query->select;
    if (query->cte_count || query->order_by.count || query->limit || query->fetch || query->offset)
        return false;
    if (query->kind == LEAT_SQL_QUERY_SET)
        return query->set.op == LEAT_SQL_UNION && query->set.all && is_constant(query->set.left) &&
               is_constant(query->set.right);
    if (query->kind == LEAT_SQL_QUERY_SELECT)
        return !select->from && !select->where && !select->is_grouped && !select->having && !select->distinct;
    return query->kind == LEAT_SQL_QUERY_VALUES;
}

static void add_query(constants *it, const leat_sql_query *query)
{
    if (query->kind == LEAT_SQL_QUERY_VALUES)
        add_values(it, &query->values);
    else if (query->kind == LEAT_SQL_QUERY_SELECT)
        add_select(it, query->select);
    else {
        add_query(it, query->set.left);
        add_query(it, query->set.right);
    }
}

bool plan_is_values(const leat_sql_table_ref *table)
{
    return table->kind == LEAT_SQL_TABLE_QUERY && is_constant(table->query);
}

static bool kind_fits(plan_rule *rule, const leat_sql_table_ref *join)
{
    leat_sql_join_kind kind = join->join.kind;
    if ((kind == LEAT_SQL_JOIN_INNER || kind == LEAT_SQL_JOIN_CROSS || kind == LEAT_SQL_JOIN_COMMA) &&
        !join->join.natural && !join->join.using.count)
        return true;
    plan_error(rule, join->join.right->span,
               "VALUES is joined by CROSS JOIN or JOIN .. ON; for other joins put the rows into a file and read it "
               "with the driver `table`");
    return false;
}

// A join with UNNEST(ARRAY[ROW(..), ..]) in its place; NULL after reporting.
const leat_sql_table_ref *plan_values_join(plan_rule *rule, const leat_sql_table_ref *join)
{
    const leat_sql_table_ref *table = join->join.right;
    leat_sql_table_ref *made = leat_arena_new(rule->arena, leat_sql_table_ref),
                       *unnest = leat_arena_new(rule->arena, leat_sql_table_ref);
    leat_sql_expr *array = leat_arena_new(rule->arena, leat_sql_expr),
                  **items = leat_arena_array(rule->arena, leat_sql_expr *, 1);
    constants it = {.rule = rule, .rows = leat_arena_array(rule->arena, leat_sql_expr *, VALUES_MAX)};
    if (!kind_fits(rule, join))
        return NULL;
    add_query(&it, table->query);
    if (!it.failed)
        unify(&it);
    if (it.failed)
        return NULL;
    *array = (leat_sql_expr){.kind = LEAT_SQL_EXPR_CONSTRUCTOR, .span = table->span};
    array->constructor.kind = LEAT_SQL_CONSTRUCT_ARRAY;
    array->constructor.items = (leat_sql_exprs){it.rows, it.count};
    items[0] = array;
    *unnest = (leat_sql_table_ref){
        .kind = LEAT_SQL_TABLE_UNNEST, .span = table->span, .alias = table->alias, .columns = table->columns};
    if (!unnest->columns.count)
        unnest->columns = it.names;
    unnest->unnest.items = (leat_sql_exprs){items, 1};
    *made = *join;
    made->join.right = unnest;
    return made;
}
