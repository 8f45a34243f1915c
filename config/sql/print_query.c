#include "config/sql/precedence.h"
#include "config/sql/print_text.h"

void put_query_block(printer *out, const leat_sql_query *query)
{
    put(out, "(");
    if (out->indent >= 0) {
        out->indent++;
        put_line(out);
        put_query(out, query);
        out->indent--;
        put(out, ")");
        return;
    }
    put_query(out, query);
    put(out, ")");
}

static void put_hint(printer *out, const leat_sql_hint *hint)
{
    put_name(out, &hint->name);
    if (!hint->entry_count)
        return;
    put(out, "(");
    for (uint32_t i = 0; i < hint->entry_count; i++) {
        const leat_sql_hint_entry *entry = &hint->entries[i];
        put(out, i ? ", " : "");
        if (entry->key.quoted || entry->value.data)
            put_string(out, entry->key.text);
        else
            put_slice(out, entry->key.text);
        if (entry->value.data) {
            put(out, " = ");
            put_string(out, entry->value);
        }
    }
    put(out, ")");
}

static void put_hints(printer *out, const leat_sql_hints *hints)
{
    if (!hints->count)
        return;
    put(out, " /*+ ");
    for (uint32_t i = 0; i < hints->count; i++) {
        put(out, i ? ", " : "");
        put_hint(out, &hints->items[i]);
    }
    put(out, " */");
}

// ---- FROM

static void put_table(printer *out, const leat_sql_table_ref *table);

static void put_join(printer *out, const leat_sql_table_ref *join)
{
    static const char *const words[] = {"JOIN ", "LEFT JOIN ", "RIGHT JOIN ", "FULL JOIN ", "CROSS JOIN ", ", "};
    put_table(out, join->join.left);
    if (join->join.kind != LEAT_SQL_JOIN_COMMA)
        put_line(out);
    put(out, join->join.natural ? "NATURAL " : "");
    put(out, words[join->join.kind]);
    bool nested = join->join.right->kind == LEAT_SQL_TABLE_JOIN;
    put(out, nested ? "(" : "");
    put_table(out, join->join.right);
    put(out, nested ? ")" : "");
    if (join->join.on) {
        put(out, " ON ");
        put_expr(out, join->join.on);
    } else if (join->join.using.count) {
        put(out, " USING (");
        put_names(out, &join->join.using);
        put(out, ")");
    }
}

static void put_table_function(printer *out, const leat_sql_table_ref *table)
{
    put(out, table->function.in_table ? "TABLE(" : "");
    put_expr(out, table->function.call);
    put(out, table->function.in_table ? ")" : "");
    put_hints(out, &table->hints);
}

static void put_match_table(printer *out, const leat_sql_table_ref *table)
{
    bool join = table->match.input->kind == LEAT_SQL_TABLE_JOIN;
    put(out, join ? "(" : "");
    put_table(out, table->match.input);
    put(out, join ? ")" : "");
    put_line(out);
    put_match(out, table->match.recognize);
}

static void put_table_source(printer *out, const leat_sql_table_ref *table)
{
    switch (table->kind) {
    case LEAT_SQL_TABLE_NAME:
        put_path(out, &table->table.path);
        put_hints(out, &table->hints);
        if (table->table.system_time) {
            put(out, " FOR SYSTEM_TIME AS OF ");
            put_operand(out, table->table.system_time, PRECEDENCE_RANGE + 1);
        }
        break;
    case LEAT_SQL_TABLE_QUERY:
        put_query_block(out, table->query);
        break;
    case LEAT_SQL_TABLE_FUNCTION:
        put_table_function(out, table);
        break;
    case LEAT_SQL_TABLE_UNNEST:
        put(out, "UNNEST(");
        put_exprs(out, &table->unnest.items);
        put(out, table->unnest.ordinality ? ") WITH ORDINALITY" : ")");
        break;
    case LEAT_SQL_TABLE_JOIN:
        put_join(out, table);
        break;
    case LEAT_SQL_TABLE_MATCH:
        put_match_table(out, table);
        break;
    }
}

static void put_table(printer *out, const leat_sql_table_ref *table)
{
    put(out, table->lateral ? "LATERAL " : "");
    put_table_source(out, table);
    if (!table->alias.text.data)
        return;
    put(out, " AS ");
    put_name(out, &table->alias);
    if (table->columns.count) {
        put(out, " (");
        put_names(out, &table->columns);
        put(out, ")");
    }
}

// ---- SELECT

static void put_clause(printer *out, const char *words, const leat_sql_expr *expr)
{
    if (!expr)
        return;
    put_line(out);
    put(out, words);
    put_expr(out, expr);
}

static void put_group(printer *out, const leat_sql_group *group)
{
    static const char *const words[] = {"", "(", "GROUPING SETS (", "CUBE (", "ROLLUP ("};
    put(out, words[group->kind]);
    if (group->kind == LEAT_SQL_GROUP_EXPR) {
        // a row that stands alone would read as a list of keys
        bool tuple =
            group->expr->kind == LEAT_SQL_EXPR_CONSTRUCTOR && group->expr->constructor.kind == LEAT_SQL_CONSTRUCT_TUPLE;
        put(out, tuple ? "(" : "");
        put_expr(out, group->expr);
        put(out, tuple ? ")" : "");
        return;
    }
    for (uint32_t i = 0; i < group->item_count; i++) {
        put(out, i ? ", " : "");
        put_group(out, group->items[i]);
    }
    put(out, ")");
}

static void put_group_by(printer *out, const leat_sql_select *select)
{
    if (!select->is_grouped)
        return;
    put_line(out);
    put(out, select->group_distinct ? "GROUP BY DISTINCT " : "GROUP BY ");
    for (uint32_t i = 0; i < select->group_count; i++) {
        put(out, i ? ", " : "");
        put_group(out, select->group_by[i]);
    }
}

static void put_select_list(printer *out, const leat_sql_select *select)
{
    put(out, "SELECT");
    put_hints(out, &select->hints);
    put(out, select->distinct ? " DISTINCT " : " ");
    for (uint32_t i = 0; i < select->item_count; i++) {
        put(out, i ? ", " : "");
        put_expr(out, select->items[i].expr);
        if (select->items[i].alias.text.data) {
            put(out, " AS ");
            put_name(out, &select->items[i].alias);
        }
    }
}

static void put_select(printer *out, const leat_sql_select *select)
{
    put_select_list(out, select);
    if (select->from) {
        put_line(out);
        put(out, "FROM ");
        put_table(out, select->from);
    }
    put_clause(out, "WHERE ", select->where);
    put_group_by(out, select);
    put_clause(out, "HAVING ", select->having);
    for (uint32_t i = 0; i < select->window_count; i++) {
        if (!i)
            put_line(out);
        put(out, i ? ", " : "WINDOW ");
        put_name(out, &select->windows[i].name);
        put(out, " AS ");
        put_window(out, select->windows[i].window);
    }
    put_clause(out, "QUALIFY ", select->qualify);
}

// ---- queries

static bool has_tail(const leat_sql_query *query)
{
    return query->cte_count || query->order_by.count || query->limit || query->offset || query->fetch;
}

static void put_set_operand(printer *out, const leat_sql_query *query, bool block)
{
    if (block || has_tail(query))
        put_query_block(out, query);
    else
        put_query(out, query);
}

static void put_set(printer *out, const leat_sql_query *query)
{
    static const char *const words[] = {"UNION", "INTERSECT", "EXCEPT"};
    bool tight = query->set.op == LEAT_SQL_INTERSECT;
    const leat_sql_query *left = query->set.left, *right = query->set.right;
    bool left_set = left->kind == LEAT_SQL_QUERY_SET, right_set = right->kind == LEAT_SQL_QUERY_SET;
    put_set_operand(out, left, left_set && tight && left->set.op != LEAT_SQL_INTERSECT);
    put_line(out);
    put(out, words[query->set.op]);
    put(out, query->set.all ? " ALL" : "");
    put_line(out);
    put_set_operand(out, right, right_set && (tight || right->set.op != LEAT_SQL_INTERSECT));
}

static void put_ctes(printer *out, const leat_sql_query *query)
{
    for (uint32_t i = 0; i < query->cte_count; i++) {
        const leat_sql_cte *cte = &query->ctes[i];
        put(out, i ? ", " : query->recursive ? "WITH RECURSIVE " : "WITH ");
        put_name(out, &cte->name);
        if (cte->columns.count) {
            put(out, " (");
            put_names(out, &cte->columns);
            put(out, ")");
        }
        put(out, " AS ");
        put_query_block(out, cte->query);
    }
    if (query->cte_count)
        put_line(out);
}

static void put_limit(printer *out, const char *before, const leat_sql_expr *expr, const char *after)
{
    if (!expr)
        return;
    put_line(out);
    put(out, before);
    put_operand(out, expr, PRECEDENCE_RANGE + 1);
    put(out, after);
}

void put_query(printer *out, const leat_sql_query *query)
{
    put_ctes(out, query);
    switch (query->kind) {
    case LEAT_SQL_QUERY_SELECT:
        put_select(out, query->select);
        break;
    case LEAT_SQL_QUERY_VALUES:
        put(out, "VALUES ");
        put_exprs(out, &query->values);
        break;
    case LEAT_SQL_QUERY_TABLE:
        put(out, "TABLE ");
        put_path(out, &query->table);
        break;
    case LEAT_SQL_QUERY_SET:
        put_set(out, query);
        break;
    }
    if (query->order_by.count) {
        put_line(out);
        put(out, "ORDER BY ");
        put_order(out, &query->order_by);
    }
    put_limit(out, "LIMIT ", query->limit, "");
    put_limit(out, "OFFSET ", query->offset, " ROWS");
    put_limit(out, "FETCH FIRST ", query->fetch, " ROWS ONLY");
}
