#include "config/sql/visit.h"

#define visit_expr leat_sql_visit_expr
#define visit_query leat_sql_visit_query
#define visit_table leat_sql_visit_table

static void visit_name(const visitor *v, leat_sql_name *name)
{
    if (v->name && name->text.data)
        v->name(v->context, name);
}

static void visit_names(const visitor *v, leat_sql_names *names)
{
    for (uint32_t i = 0; i < names->count; i++)
        visit_name(v, &names->items[i]);
}

static void visit_path(const visitor *v, leat_sql_path *path)
{
    if (v->path && path->count)
        v->path(v->context, path);
}

static void visit_list(const visitor *v, leat_sql_exprs *list)
{
    if (v->list)
        v->list(v->context, list);
    for (uint32_t i = 0; i < list->count; i++)
        visit_expr(v, list->items[i]);
}

static void visit_order(const visitor *v, leat_sql_order *order)
{
    if (v->order)
        v->order(v->context, order);
    for (uint32_t i = 0; i < order->count; i++)
        visit_expr(v, order->items[i].expr);
}

static void visit_window(const visitor *v, leat_sql_window *window)
{
    if (!window)
        return;
    visit_name(v, &window->base);
    visit_list(v, &window->partition_by);
    visit_order(v, &window->order_by);
    visit_expr(v, window->start.expr);
    visit_expr(v, window->end.expr);
}

static void visit_type(const visitor *v, leat_sql_type *type)
{
    if (!type)
        return;
    visit_path(v, &type->name);
    visit_type(v, type->key);
    visit_type(v, type->element);
    for (uint32_t i = 0; i < type->field_count; i++) {
        visit_name(v, &type->fields[i].name);
        visit_type(v, type->fields[i].type);
    }
}

static void visit_call(const visitor *v, leat_sql_call *call)
{
    visit_path(v, &call->name);
    if (call->arg_names) { // no lists among named arguments
        for (uint32_t i = 0; i < call->args.count; i++) {
            visit_name(v, &call->arg_names[i]);
            visit_expr(v, call->args.items[i]);
        }
    } else {
        visit_list(v, &call->args);
    }
    visit_order(v, &call->order_by);
    visit_order(v, &call->within_group);
    visit_expr(v, call->filter);
    visit_window(v, call->over);
}

static void visit_json(const visitor *v, leat_sql_json *json)
{
    visit_list(v, &json->args);
    visit_type(v, json->returning);
    visit_expr(v, json->empty_default);
    visit_expr(v, json->error_default);
    visit_expr(v, json->filter);
    visit_window(v, json->over);
}

static void visit_case(const visitor *v, leat_sql_expr *expr)
{
    visit_expr(v, expr->case_when.operand);
    for (uint32_t i = 0; i < expr->case_when.when_count; i++) {
        visit_expr(v, expr->case_when.whens[i].condition);
        visit_expr(v, expr->case_when.whens[i].result);
    }
    visit_expr(v, expr->case_when.otherwise);
}

static void visit_table_argument(const visitor *v, leat_sql_expr *expr)
{
    visit_path(v, &expr->table.path);
    visit_query(v, expr->table.query);
    visit_list(v, &expr->table.partition_by);
    visit_order(v, &expr->table.order_by);
}

static void visit_below(const visitor *v, leat_sql_expr *expr)
{
    switch (expr->kind) {
    case LEAT_SQL_EXPR_COLUMN:
        visit_path(v, &expr->column);
        break;
    case LEAT_SQL_EXPR_STAR:
        visit_path(v, &expr->star);
        break;
    case LEAT_SQL_EXPR_UNARY:
        visit_expr(v, expr->unary.operand);
        break;
    case LEAT_SQL_EXPR_BINARY:
        visit_expr(v, expr->binary.left);
        visit_expr(v, expr->binary.right);
        break;
    case LEAT_SQL_EXPR_BETWEEN:
        visit_expr(v, expr->between.operand);
        visit_expr(v, expr->between.low);
        visit_expr(v, expr->between.high);
        break;
    case LEAT_SQL_EXPR_LIKE:
        visit_expr(v, expr->like.operand);
        visit_expr(v, expr->like.pattern);
        visit_expr(v, expr->like.escape);
        break;
    case LEAT_SQL_EXPR_IN_LIST:
        visit_expr(v, expr->in_list.operand);
        visit_list(v, &expr->in_list.items);
        break;
    case LEAT_SQL_EXPR_IN_QUERY:
        visit_expr(v, expr->in_query.operand);
        visit_query(v, expr->in_query.query);
        break;
    case LEAT_SQL_EXPR_QUANTIFIED:
        visit_expr(v, expr->quantified.operand);
        visit_query(v, expr->quantified.query);
        break;
    case LEAT_SQL_EXPR_EXISTS:
    case LEAT_SQL_EXPR_SUBQUERY:
        visit_query(v, expr->query);
        break;
    case LEAT_SQL_EXPR_CASE:
        visit_case(v, expr);
        break;
    case LEAT_SQL_EXPR_CAST:
        visit_expr(v, expr->cast.operand);
        visit_type(v, expr->cast.type);
        break;
    case LEAT_SQL_EXPR_CALL:
        visit_call(v, &expr->call);
        break;
    case LEAT_SQL_EXPR_JSON:
        visit_json(v, &expr->json);
        break;
    case LEAT_SQL_EXPR_CONSTRUCTOR:
        visit_list(v, &expr->constructor.items);
        break;
    case LEAT_SQL_EXPR_INDEX:
        visit_expr(v, expr->index.operand);
        visit_expr(v, expr->index.index);
        break;
    case LEAT_SQL_EXPR_FIELD:
        visit_expr(v, expr->field.operand);
        visit_name(v, &expr->field.field);
        break;
    case LEAT_SQL_EXPR_TABLE:
        visit_table_argument(v, expr);
        break;
    case LEAT_SQL_EXPR_DESCRIPTOR:
        visit_names(v, &expr->descriptor);
        break;
    case LEAT_SQL_EXPR_LIST:
        visit_list(v, &expr->list);
        break;
    default:
        break;
    }
}

void leat_sql_visit_expr(const visitor *v, leat_sql_expr *expr)
{
    if (expr && (!v->expr || v->expr(v->context, expr)))
        visit_below(v, expr);
}

// ---- MATCH_RECOGNIZE

static void visit_pattern(const visitor *v, leat_sql_pattern *pattern)
{
    if (!pattern)
        return;
    if (v->pattern)
        v->pattern(v->context, pattern);
    visit_name(v, &pattern->variable);
    for (uint32_t i = 0; i < pattern->item_count; i++)
        visit_pattern(v, pattern->items[i]);
}

static void visit_match(const visitor *v, leat_sql_match_recognize *match)
{
    visit_list(v, &match->partition_by);
    visit_order(v, &match->order_by);
    for (uint32_t i = 0; i < match->measure_count; i++) {
        visit_expr(v, match->measures[i].expr);
        visit_name(v, &match->measures[i].name);
    }
    visit_name(v, &match->skip_to);
    visit_pattern(v, match->pattern);
    visit_expr(v, match->within);
    for (uint32_t i = 0; i < match->subset_count; i++) {
        visit_name(v, &match->subsets[i].name);
        visit_names(v, &match->subsets[i].members);
    }
    for (uint32_t i = 0; i < match->define_count; i++) {
        visit_name(v, &match->defines[i].variable);
        visit_expr(v, match->defines[i].condition);
    }
}

// ---- FROM, SELECT, queries

static void visit_join(const visitor *v, leat_sql_table_ref *table)
{
    visit_table(v, table->join.left);
    visit_table(v, table->join.right);
    visit_expr(v, table->join.on);
    visit_names(v, &table->join.using);
}

void leat_sql_visit_table(const visitor *v, leat_sql_table_ref *table)
{
    if (!table)
        return;
    switch (table->kind) {
    case LEAT_SQL_TABLE_NAME:
        visit_path(v, &table->table.path);
        visit_expr(v, table->table.system_time);
        break;
    case LEAT_SQL_TABLE_QUERY:
        visit_query(v, table->query);
        break;
    case LEAT_SQL_TABLE_FUNCTION:
        visit_expr(v, table->function.call);
        break;
    case LEAT_SQL_TABLE_UNNEST:
        visit_list(v, &table->unnest.items);
        break;
    case LEAT_SQL_TABLE_JOIN:
        visit_join(v, table);
        break;
    case LEAT_SQL_TABLE_MATCH:
        visit_table(v, table->match.input);
        visit_match(v, table->match.recognize);
        break;
    }
    visit_name(v, &table->alias);
    visit_names(v, &table->columns);
}

static void visit_groups(const visitor *v, leat_sql_group ***groups, uint32_t *count)
{
    if (v->groups)
        v->groups(v->context, groups, count);
    for (uint32_t i = 0; i < *count; i++) {
        leat_sql_group *group = (*groups)[i];
        visit_expr(v, group->expr);
        visit_groups(v, &group->items, &group->item_count);
    }
}

static void visit_select(const visitor *v, leat_sql_select *select)
{
    if (v->items)
        v->items(v->context, select);
    for (uint32_t i = 0; i < select->item_count; i++) {
        visit_expr(v, select->items[i].expr);
        visit_name(v, &select->items[i].alias);
    }
    visit_table(v, select->from);
    visit_expr(v, select->where);
    visit_groups(v, &select->group_by, &select->group_count);
    visit_expr(v, select->having);
    for (uint32_t i = 0; i < select->window_count; i++) {
        visit_name(v, &select->windows[i].name);
        visit_window(v, select->windows[i].window);
    }
    visit_expr(v, select->qualify);
}

static void visit_body(const visitor *v, leat_sql_query *query)
{
    switch (query->kind) {
    case LEAT_SQL_QUERY_SELECT:
        visit_select(v, query->select);
        break;
    case LEAT_SQL_QUERY_VALUES:
        visit_list(v, &query->values);
        break;
    case LEAT_SQL_QUERY_TABLE:
        visit_path(v, &query->table);
        break;
    case LEAT_SQL_QUERY_SET:
        visit_query(v, query->set.left);
        visit_query(v, query->set.right);
        break;
    }
}

void leat_sql_visit_query(const visitor *v, leat_sql_query *query)
{
    if (!query)
        return;
    for (uint32_t i = 0; i < query->cte_count; i++) {
        visit_name(v, &query->ctes[i].name);
        visit_names(v, &query->ctes[i].columns);
        visit_query(v, query->ctes[i].query);
    }
    visit_body(v, query);
    visit_order(v, &query->order_by);
    visit_expr(v, query->limit);
    visit_expr(v, query->offset);
    visit_expr(v, query->fetch);
}

void leat_sql_visit_script(const visitor *v, leat_sql_script *script)
{
    for (uint32_t i = 0; i < script->count; i++) {
        leat_sql_statement *statement = &script->statements[i];
        visit_path(v, &statement->target);
        visit_names(v, &statement->columns);
        visit_query(v, statement->query);
    }
}

// ---- the public, reading walk

typedef struct walk {
    leat_sql_expr_visit *visit;
    void *context;
} walk;

static bool walk_expr(void *context, leat_sql_expr *expr)
{
    const walk *w = context;
    return w->visit(w->context, expr);
}

void leat_sql_expr_walk(const leat_sql_expr *expr, leat_sql_expr_visit *visit, void *context)
{
    walk w = {visit, context};
    visitor v = {.context = &w, .expr = walk_expr};
    visit_expr(&v, (leat_sql_expr *)(uintptr_t)expr);
}

void leat_sql_query_walk(const leat_sql_query *query, leat_sql_expr_visit *visit, void *context)
{
    walk w = {visit, context};
    visitor v = {.context = &w, .expr = walk_expr};
    visit_query(&v, (leat_sql_query *)(uintptr_t)query);
}

void leat_sql_table_ref_walk(const leat_sql_table_ref *table, leat_sql_expr_visit *visit, void *context)
{
    walk w = {visit, context};
    visitor v = {.context = &w, .expr = walk_expr};
    visit_table(&v, (leat_sql_table_ref *)(uintptr_t)table);
}
