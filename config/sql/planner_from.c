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
    plan_error(rule, columns->items[0].span, "%u column names for %u column%s", columns->count, rows->schema->count,
               rows->schema->count == 1 ? "" : "s");
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

// The names as a SELECT gives them: those that it gives twice mean nothing, though its columns are told apart.
static const leat_schema *given_by(plan_rule *rule, const leat_sql_query *query, const leat_schema *schema)
{
    const leat_sql_select *select = query->kind == LEAT_SQL_QUERY_SELECT ? query->select : NULL;
    leat_field *fields;
    if (!select || select->item_count != schema->count)
        return schema;
    for (uint32_t i = 0; i < select->item_count; i++)
        if (select->items[i].expr->kind == LEAT_SQL_EXPR_STAR)
            return schema;
    leat_schema *given = plan_schema_new(rule, schema->count, &fields);
    for (uint32_t i = 0; i < schema->count; i++)
        fields[i] = (leat_field){plan_item_name(rule, &select->items[i], i), schema->fields[i].type};
    return given;
}

// A name of its own needs one for each column.
static bool names_differ(plan_rule *rule, const plan_name *name)
{
    const leat_schema *given = given_by(rule, name->query, name->relation.schema);
    for (uint32_t c = 1; c < given->count; c++)
        for (uint32_t b = 0; b < c; b++) {
            leat_slice column = given->fields[c].name;
            if (!leat_slice_equal(column, given->fields[b].name))
                continue;
            plan_error(rule, name->query->select->items[c].expr->span,
                       "'%.*s' has column '%.*s' twice; give them names, as in %.*s (a, b)", (int)name->name.size,
                       name->name.data, (int)column.size, column.data, (int)name->name.size, name->name.data);
            return false;
        }
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
        rule->sorts = name->is_view;
        bool planned = plan_query(rule, name->before, name->query, &name->relation) &&
                       ((name->columns && name->columns->count) || names_differ(rule, name)) &&
                       rename_columns(rule, name->columns, &name->relation);
        name->state = planned ? PLAN_READ : PLAN_FAILED;
    }
    *out = name->relation;
    return name->state == PLAN_READ;
}

// A table that is read again and again: its changes, worked out in the rule.
static relation table_changes(plan_rule *rule, const plan_stream *stream)
{
    const leat_schema *given = stream->relation.schema;
    leat_table_spec *spec = leat_arena_new(rule->arena, leat_table_spec);
    leat_schema *schema = leat_arena_new(rule->arena, leat_schema);
    *spec = (leat_table_spec){
        .key_count = given->key_count, .key_columns = given->key_columns, .compared = stream->stream.compared};
    *schema = *given;
    schema->changelog = LEAT_CHANGELOG_UPSERT;
    relation made = plan_chain(rule, &stream->relation, "table", spec, schema,
                               leat_arena_format(rule->arena, "TABLE %s: changes by key", stream->stream.name));
    leat_plan_node *node = &rule->planner->nodes[made.node];
    node->stateful = true;
    node->state_bound = "the table";
    made.times = stream->relation.times;
    return made;
}

static const plan_stream *find_stream(const plan_rule *rule, leat_slice name)
{
    for (uint32_t i = 0; i < rule->planner->stream_count; i++)
        if (leat_slice_is(name, rule->planner->streams[i].stream.name))
            return &rule->planner->streams[i];
    return NULL;
}

static bool read_stream(plan_rule *rule, const plan_stream *stream, relation *out)
{
    rule->reads_failed |= stream->failed;
    rule->failed |= stream->failed;
    *out = stream->stream.table && !stream->failed ? table_changes(rule, stream) : stream->relation;
    return !stream->failed;
}

bool plan_table(plan_rule *rule, plan_name *names, const leat_sql_path *path, relation *out)
{
    leat_slice text = path_text(rule, path);
    for (plan_name *name = names; name && path->count == 1; name = name->before)
        if (leat_slice_equal(name->name, text))
            return plan_named(rule, name, path, out);
    const plan_stream *stream = find_stream(rule, text);
    return stream ? read_stream(rule, stream, out) : table_unknown(rule, names, path, text);
}

// ---- what is refused

static bool refuse(plan_rule *rule, leat_sql_span span, const char *what)
{
    plan_error(rule, span, "%s is not in leat yet", what);
    return false;
}

// ---- FROM

static bool plan_stream_table(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, bool joined,
                              relation *out)
{
    if (table->table.system_time && !joined) {
        plan_error(rule, table->span, "FOR SYSTEM_TIME AS OF stands on the right side of a join only");
        return false;
    }
    if (table->hints.count) {
        const char *variant = plan_variant_of(rule, &table->table.path, &table->hints);
        const plan_stream *stream = variant ? find_stream(rule, leat_slice_text(variant)) : NULL;
        return stream && read_stream(rule, stream, out);
    }
    return plan_table(rule, names, &table->table.path, out);
}

static bool plan_function_table(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    if (table->lateral)
        return refuse(rule, table->span, "LATERAL TABLE(f(..)), a table function for each row,");
    if (plan_is_keep_first(table->function.call))
        return plan_keep_first(rule, names, table, out);
    return plan_is_window_function(table->function.call) ? plan_window_function(rule, names, table, out)
                                                         : plan_process_function(rule, names, table, out);
}

static bool plan_rows_of(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, bool joined, relation *out)
{
    switch (table->kind) {
    case LEAT_SQL_TABLE_NAME:
        return plan_stream_table(rule, names, table, joined, out);
    case LEAT_SQL_TABLE_QUERY:
        return plan_query(rule, names, table->query, out);
    case LEAT_SQL_TABLE_FUNCTION:
        return plan_function_table(rule, names, table, out);
    case LEAT_SQL_TABLE_UNNEST:
        plan_error(rule, table->span,
                   "UNNEST stands behind a table whose column it takes apart: FROM t CROSS JOIN UNNEST(..)");
        return false;
    case LEAT_SQL_TABLE_JOIN:
        return false; // plan_join_from
    case LEAT_SQL_TABLE_MATCH:
        return plan_match_recognize(rule, names, table, out);
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

static const leat_schema *given_names(plan_rule *rule, const leat_sql_table_ref *table, const leat_schema *schema)
{
    bool query = table->kind == LEAT_SQL_TABLE_QUERY && !table->columns.count;
    return query ? given_by(rule, table->query, schema) : schema;
}

static bool plan_one(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, bool joined, plan_source *out)
{
    if (!plan_rows_of(rule, names, table, joined, &out->relation) ||
        !rename_columns(rule, &table->columns, &out->relation))
        return false;
    bool named = table->kind == LEAT_SQL_TABLE_NAME && !leat_sql_name_present(&table->alias);
    leat_sql_scope_table *names_of = leat_arena_new(rule->arena, leat_sql_scope_table);
    *names_of = (leat_sql_scope_table){.alias = table_alias(table),
                                       .path = named ? &table->table.path : NULL,
                                       .schema = given_names(rule, table, out->relation.schema)};
    names_of->given = names_of->schema != out->relation.schema;
    out->scope = (leat_sql_scope){names_of, 1};
    return true;
}

bool plan_from(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, plan_source *out)
{
    return table->kind == LEAT_SQL_TABLE_JOIN ? plan_join_from(rule, names, table, NULL, out)
                                              : plan_one(rule, names, table, false, out);
}

bool plan_from_where(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, const plan_hints *hints,
                     plan_source *out)
{
    return table->kind == LEAT_SQL_TABLE_JOIN ? plan_join_from(rule, names, table, hints, out)
                                              : plan_one(rule, names, table, false, out);
}

bool plan_from_versions(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, plan_source *out)
{
    return plan_one(rule, names, table, true, out);
}
