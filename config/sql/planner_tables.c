// Which streams a script reads: for the order in which rules are planned.
#include "config/sql/planner.h"

#include <string.h>

typedef struct own_name own_name;
struct own_name { // a view or CTE in sight
    leat_slice name;
    const own_name *before;
};

typedef struct reader {
    leat_arena *arena;
    leat_planner_table *items;
    uint32_t count, room;
    const own_name *names;
} reader;

static void read_query(reader *it, const leat_sql_query *query);
static void read_table(reader *it, const leat_sql_table_ref *table);

static leat_slice path_text(leat_arena *arena, const leat_sql_path *path)
{
    const char *text = "";
    for (uint32_t i = 0; i < path->count; i++)
        text = leat_arena_format(arena, "%s%s%.*s", text, i ? "." : "", (int)path->parts[i].text.size,
                                 path->parts[i].text.data);
    return leat_slice_text(text);
}

static bool is_read(const reader *it, leat_slice name)
{
    for (uint32_t i = 0; i < it->count; i++)
        if (!it->items[i].hints && leat_slice_equal(it->items[i].name, name))
            return true;
    return false;
}

// A source is listed once, but each time with options: an entry of those is told apart by its place.
static void add(reader *it, leat_planner_table table)
{
    if (it->count == it->room) {
        uint32_t room = it->room ? 2 * it->room : 32;
        leat_planner_table *items = leat_arena_array(it->arena, leat_planner_table, room);
        if (it->count)
            memcpy(items, it->items, it->count * sizeof *items);
        it->items = items;
        it->room = room;
    }
    it->items[it->count++] = table;
}

static void read_path(reader *it, const leat_sql_path *path, const leat_sql_hints *hints)
{
    if (!path->count)
        return;
    leat_slice text = path_text(it->arena, path);
    for (const own_name *name = it->names; name && path->count == 1; name = name->before)
        if (leat_slice_equal(name->name, text))
            return;
    if (hints || !is_read(it, text))
        add(it, (leat_planner_table){text, path->span, hints});
}

static bool visit(void *context, const leat_sql_expr *expr)
{
    reader *it = context;
    switch (expr->kind) {
    case LEAT_SQL_EXPR_TABLE:
        if (expr->table.query)
            read_query(it, expr->table.query);
        else
            read_path(it, &expr->table.path, NULL);
        return false;
    case LEAT_SQL_EXPR_IN_QUERY:
        read_query(it, expr->in_query.query);
        return false;
    case LEAT_SQL_EXPR_QUANTIFIED:
        read_query(it, expr->quantified.query);
        return false;
    case LEAT_SQL_EXPR_EXISTS:
    case LEAT_SQL_EXPR_SUBQUERY:
        read_query(it, expr->query);
        return false;
    default:
        return true;
    }
}

static void read_expr(reader *it, const leat_sql_expr *expr)
{
    if (expr)
        leat_sql_expr_walk(expr, visit, it);
}

static void read_table(reader *it, const leat_sql_table_ref *table)
{
    switch (table->kind) {
    case LEAT_SQL_TABLE_NAME:
        read_path(it, &table->table.path, table->hints.count ? &table->hints : NULL);
        break;
    case LEAT_SQL_TABLE_QUERY:
        read_query(it, table->query);
        break;
    case LEAT_SQL_TABLE_FUNCTION:
        read_expr(it, table->function.call);
        break;
    case LEAT_SQL_TABLE_UNNEST:
        break;
    case LEAT_SQL_TABLE_JOIN:
        read_table(it, table->join.left);
        read_table(it, table->join.right);
        read_expr(it, table->join.on);
        break;
    case LEAT_SQL_TABLE_MATCH:
        read_table(it, table->match.input);
        break;
    }
}

static void read_select(reader *it, const leat_sql_select *select)
{
    if (select->from)
        read_table(it, select->from);
    for (uint32_t i = 0; i < select->item_count; i++)
        read_expr(it, select->items[i].expr);
    read_expr(it, select->where);
    read_expr(it, select->having);
    read_expr(it, select->qualify);
}

static void read_body(reader *it, const leat_sql_query *query)
{
    switch (query->kind) {
    case LEAT_SQL_QUERY_SELECT:
        read_select(it, query->select);
        break;
    case LEAT_SQL_QUERY_TABLE:
        read_path(it, &query->table, NULL);
        break;
    case LEAT_SQL_QUERY_VALUES:
        break;
    case LEAT_SQL_QUERY_SET:
        read_query(it, query->set.left);
        read_query(it, query->set.right);
        break;
    }
}

static void name_add(reader *it, leat_slice name)
{
    own_name *own = leat_arena_new(it->arena, own_name);
    *own = (own_name){name, it->names};
    it->names = own;
}

static void read_query(reader *it, const leat_sql_query *query)
{
    const own_name *outer = it->names;
    for (uint32_t i = 0; i < query->cte_count; i++) {
        read_query(it, query->ctes[i].query);
        name_add(it, query->ctes[i].name.text);
    }
    read_body(it, query);
    it->names = outer;
}

uint32_t leat_planner_tables(leat_arena *arena, const leat_sql_script *script, const leat_planner_table **out_tables)
{
    reader it = {.arena = arena};
    for (uint32_t i = 0; i < script->count; i++) {
        const leat_sql_statement *statement = &script->statements[i];
        read_query(&it, statement->query);
        if (statement->kind == LEAT_SQL_STATEMENT_CREATE_VIEW)
            name_add(&it, statement->target.parts[statement->target.count - 1].text);
    }
    *out_tables = it.items;
    return it.count;
}
