// FROM: streams, views and CTEs, subqueries, table functions; and by name everything else that may stand there.
#include "config/sql/planner_state.h"

#include "operators/base/suggest.h"

// ---- tables by name

static leat_slice path_text(plan_rule *rule, const leat_sql_path *path)
{
    const char *text = "";
    for (uint32_t i = 0; i < path->count; i++)
        text = leat_arena_format(rule->arena, "%s%s%.*s", text, i ? "." : "", (int)path->parts[i].text.size,
                                 path->parts[i].text.data);
    return leat_slice_text(text);
}

static bool table_unknown(plan_rule *rule, plan_name *names, const leat_sql_path *path, leat_slice name)
{
    const leat_planner *planner = rule->planner;
    leat_slice *known = leat_arena_array(rule->arena, leat_slice, planner->stream_count + 256);
    uint32_t count = 0;
    char hint[128];
    for (plan_name *at = names; at && count < 256; at = at->before)
        known[count++] = at->name;
    for (uint32_t i = 0; i < planner->stream_count; i++)
        known[count++] = leat_slice_text(planner->streams[i].stream.name);
    plan_error(rule, path->span, "unknown table '%.*s': there is no source, rule or view of that name%s",
               (int)name.size, name.data, leat_suggest_text(name, known, count, hint));
    return false;
}

static bool count_fits(plan_rule *rule, const leat_sql_names *columns, const relation *rows)
{
    if (columns->count == rows->schema->count)
        return true;
    plan_error(rule, columns->items[0].span, "%u column names for %u columns", columns->count, rows->schema->count);
    return false;
}

static bool rename_columns(plan_rule *rule, const leat_sql_names *columns, relation *rows)
{
    leat_slice *names = leat_arena_array(rule->arena, leat_slice, rows->schema->count + 1);
    relation made;
    if (!columns || !columns->count)
        return true;
    if (!count_fits(rule, columns, rows) || !plan_materialize(rule, rows, &made))
        return false;
    for (uint32_t i = 0; i < columns->count; i++)
        names[i] = columns->items[i].text;
    *rows = plan_renamed(rule, &made, names);
    return true;
}

// Views and CTEs are planned when they are first read, once.
static bool plan_named(plan_rule *rule, plan_name *name, const leat_sql_path *path, relation *out)
{
    if (name->state == PLAN_READING) {
        plan_error(rule, path->span, "'%.*s' reads itself", (int)name->name.size, name->name.data);
        return false;
    }
    if (name->state == PLAN_UNREAD) {
        name->state = PLAN_READING;
        bool planned = plan_query(rule, name->before, name->query, &name->relation) &&
                       rename_columns(rule, name->columns, &name->relation);
        name->state = planned ? PLAN_READ : PLAN_FAILED;
    }
    *out = name->relation;
    return name->state == PLAN_READ;
}

bool plan_table(plan_rule *rule, plan_name *names, const leat_sql_path *path, relation *out)
{
    leat_slice text = path_text(rule, path);
    for (plan_name *name = names; name && path->count == 1; name = name->before)
        if (leat_slice_equal(name->name, text))
            return plan_named(rule, name, path, out);
    for (uint32_t i = 0; i < rule->planner->stream_count; i++) {
        const plan_stream *stream = &rule->planner->streams[i];
        if (!leat_slice_is(text, stream->stream.name))
            continue;
        rule->reads_failed |= stream->failed;
        rule->failed |= stream->failed;
        *out = stream->relation;
        return !stream->failed;
    }
    return table_unknown(rule, names, path, text);
}

// ---- what is refused

typedef struct condition_signs {
    bool interval, window;
} condition_signs;

static bool look_at_condition(void *context, const leat_sql_expr *expr)
{
    condition_signs *signs = context;
    signs->interval |= expr->kind == LEAT_SQL_EXPR_LITERAL && expr->literal.kind == LEAT_SQL_LITERAL_INTERVAL;
    if (expr->kind == LEAT_SQL_EXPR_COLUMN)
        signs->window |= leat_slice_is(expr->column.parts[expr->column.count - 1].text, "window_start");
    return true;
}

static const char *join_name(const leat_sql_table_ref *join)
{
    const leat_sql_table_ref *right = join->join.right;
    condition_signs signs = {0};
    if (right->kind == LEAT_SQL_TABLE_NAME && right->table.system_time)
        return "a temporal join (FOR SYSTEM_TIME AS OF)";
    if (right->kind == LEAT_SQL_TABLE_UNNEST)
        return "UNNEST";
    if (right->kind == LEAT_SQL_TABLE_FUNCTION && right->lateral)
        return "a join with a table function (LATERAL)";
    if (join->join.on)
        leat_sql_expr_walk(join->join.on, look_at_condition, &signs);
    if (signs.window)
        return "a window join";
    if (signs.interval)
        return "an interval join";
    return join->join.kind == LEAT_SQL_JOIN_CROSS || join->join.kind == LEAT_SQL_JOIN_COMMA
               ? "a join of several tables in FROM"
               : "a regular join";
}

static bool refuse(plan_rule *rule, leat_sql_span span, const char *what)
{
    plan_error(rule, span, "%s is not in leat yet", what);
    return false;
}

// ---- FROM

static bool plan_stream_table(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    if (table->table.system_time)
        return refuse(rule, table->span, "FOR SYSTEM_TIME AS OF (a temporal join)");
    if (table->hints.count) {
        plan_error(rule, table->hints.items[0].name.span,
                   "hints are not in leat: the settings of the source and the rule say it");
        return false;
    }
    return plan_table(rule, names, &table->table.path, out);
}

static bool plan_function_table(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    if (table->lateral)
        return refuse(rule, table->span, "LATERAL");
    return plan_is_window_function(table->function.call) ? plan_window_function(rule, names, table, out)
                                                         : plan_process_function(rule, names, table, out);
}

static bool plan_rows_of(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    switch (table->kind) {
    case LEAT_SQL_TABLE_NAME:
        return plan_stream_table(rule, names, table, out);
    case LEAT_SQL_TABLE_QUERY:
        return plan_query(rule, names, table->query, out);
    case LEAT_SQL_TABLE_FUNCTION:
        return plan_function_table(rule, names, table, out);
    case LEAT_SQL_TABLE_UNNEST:
        return refuse(rule, table->span, "UNNEST");
    case LEAT_SQL_TABLE_JOIN:
        return refuse(rule, table->span, join_name(table));
    case LEAT_SQL_TABLE_MATCH:
        return refuse(rule, table->match.recognize->span, "MATCH_RECOGNIZE");
    }
    return false;
}

static leat_slice table_alias(const leat_sql_table_ref *table)
{
    if (leat_sql_name_present(&table->alias))
        return table->alias.text;
    if (table->kind == LEAT_SQL_TABLE_NAME)
        return table->table.path.parts[table->table.path.count - 1].text;
    return (leat_slice){0};
}

// Tables of joins are bound beside each other, so that each side reports its own errors.
static bool plan_sides(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table)
{
    relation ignored;
    if (table->kind == LEAT_SQL_TABLE_JOIN) {
        bool left = plan_sides(rule, names, table->join.left), right = plan_sides(rule, names, table->join.right);
        return left && right;
    }
    return table->kind != LEAT_SQL_TABLE_NAME || table->table.system_time ||
           plan_table(rule, names, &table->table.path, &ignored);
}

bool plan_from(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, plan_source *out)
{
    if (table->kind == LEAT_SQL_TABLE_JOIN && !plan_sides(rule, names, table))
        return false;
    if (!plan_rows_of(rule, names, table, &out->relation) || !rename_columns(rule, &table->columns, &out->relation))
        return false;
    bool named = table->kind == LEAT_SQL_TABLE_NAME && !leat_sql_name_present(&table->alias);
    leat_sql_scope_table *names_of = leat_arena_new(rule->arena, leat_sql_scope_table);
    *names_of = (leat_sql_scope_table){
        .alias = table_alias(table), .path = named ? &table->table.path : NULL, .schema = out->relation.schema};
    out->scope = (leat_sql_scope){names_of, 1};
    return true;
}
