// Arguments of table functions: by position or name, tables, keys, time columns.
#include "config/sql/planner_state.h"
#include "operators/base/suggest.h"

static int name_find(const char *const *names, uint32_t count, leat_slice name)
{
    for (uint32_t i = 0; i < count; i++)
        if (leat_slice_is_nocase(name, names[i]))
            return (int)i;
    return -1;
}

static void argument_unknown(plan_rule *rule, const leat_sql_name *name, const char *const *names, uint32_t count)
{
    leat_slice candidates[64];
    char hint[128];
    uint32_t known = count < 64 ? count : 64;
    for (uint32_t i = 0; i < known; i++)
        candidates[i] = leat_slice_text(names[i]);
    plan_error(rule, name->span, "unknown argument '%.*s'%s", (int)name->text.size, name->text.data,
               leat_suggest_text(name->text, candidates, known, hint));
}

// The parameter that argument i is for; -1 after reporting.
static int argument_place(plan_rule *rule, const leat_sql_expr *call, uint32_t i, const char *const *names,
                          uint32_t count)
{
    const leat_sql_name *name = call->call.arg_names ? &call->call.arg_names[i] : NULL;
    leat_slice function = call->call.name.parts[0].text;
    if (name && leat_sql_name_present(name)) {
        int place = name_find(names, count, name->text);
        if (place < 0)
            argument_unknown(rule, name, names, count);
        return place;
    }
    if (i < count)
        return (int)i;
    plan_error(rule, call->call.args.items[i]->span, "%.*s takes at most %u arguments, found %u", (int)function.size,
               function.data, count, call->call.args.count);
    return -1;
}

bool plan_match_arguments(plan_rule *rule, const leat_sql_expr *call, const char *const *names, uint32_t count,
                          const leat_sql_expr **out_arguments)
{
    bool fits = true;
    for (uint32_t i = 0; i < count; i++)
        out_arguments[i] = NULL;
    for (uint32_t i = 0; i < call->call.args.count; i++) {
        const leat_sql_expr *argument = call->call.args.items[i];
        int place = argument_place(rule, call, i, names, count);
        fits &= place >= 0;
        if (place < 0)
            continue;
        if (out_arguments[place]) {
            plan_error(rule, argument->span, "the argument '%s' is given twice", names[place]);
            fits = false;
        }
        out_arguments[place] = argument;
    }
    for (uint32_t i = 0; i < count; i++)
        if (out_arguments[i] && out_arguments[i]->kind == LEAT_SQL_EXPR_DEFAULT)
            out_arguments[i] = NULL;
    return fits;
}

// ---- tables

static void source_of(const plan_rule *rule, const relation *rows, leat_slice alias, const leat_sql_path *path,
                      plan_source *out)
{
    leat_sql_scope_table *table = leat_arena_new(rule->arena, leat_sql_scope_table);
    *table = (leat_sql_scope_table){.alias = alias, .path = path, .schema = rows->schema};
    out->relation = *rows;
    out->scope = (leat_sql_scope){table, 1};
}

bool plan_table_argument(plan_rule *rule, plan_name *names, const leat_sql_expr *argument, plan_source *out)
{
    relation found, rows;
    if (argument->kind != LEAT_SQL_EXPR_TABLE) {
        bool is_name = argument->kind == LEAT_SQL_EXPR_COLUMN;
        plan_error(
            rule, argument->span,
            is_name ? "a table is expected here: write TABLE %.*s" : "a table is expected here, as in TABLE t%.*s",
            is_name ? (int)argument->column.parts[0].text.size : 0, is_name ? argument->column.parts[0].text.data : "");
        return false;
    }
    const leat_sql_path *path = &argument->table.path;
    bool planned = argument->table.query ? plan_query(rule, names, argument->table.query, &found)
                                         : plan_table(rule, names, path, &found);
    if (!planned || !plan_materialize(rule, &found, &rows))
        return false;
    bool named = !argument->table.query;
    source_of(rule, &rows, named ? path->parts[path->count - 1].text : (leat_slice){0}, named ? path : NULL, out);
    return true;
}

bool plan_key_columns(plan_rule *rule, const leat_sql_exprs *exprs, const plan_source *source, const char *clause,
                      const uint32_t **out_columns)
{
    uint32_t *columns = leat_arena_array(rule->arena, uint32_t, exprs->count + 1);
    bool bound = true;
    leat_sql_binder binder;
    plan_binder_init(rule, &source->scope, clause, &binder);
    for (uint32_t i = 0; i < exprs->count; i++) {
        leat_expr *expr = leat_sql_bind(&binder, exprs->items[i]);
        if (expr && expr->kind == LEAT_EXPR_COLUMN)
            columns[i] = expr->column;
        else if (expr)
            plan_error(rule, exprs->items[i]->span,
                       "%s takes columns here; compute the value in a subquery: TABLE (SELECT ..)", clause);
        bound &= expr && expr->kind == LEAT_EXPR_COLUMN;
    }
    *out_columns = columns;
    return bound;
}

// ---- time

static const char *time_hint(plan_rule *rule, const relation *from)
{
    for (uint32_t c = 0; c < from->schema->count; c++)
        if (from->times[c]) {
            leat_slice name = from->schema->fields[c].name;
            return leat_arena_format(rule->arena, "; it is '%.*s'", (int)name.size, name.data);
        }
    return "; the input has none left (a time attribute is lost by an expression, a cast, or an aggregation without "
           "windows)";
}

bool plan_time_attribute(plan_rule *rule, const relation *from, int column, leat_sql_span span, const char *what)
{
    leat_slice name = from->schema->fields[column].name;
    if (column == from->schema->proctime)
        plan_error(rule, span, "%s takes an event time attribute, '%.*s' is processing time", what, (int)name.size,
                   name.data);
    else if (!from->times[column])
        plan_error(rule, span, "%s: '%.*s' is no time attribute%s", what, (int)name.size, name.data,
                   time_hint(rule, from));
    else
        return true;
    return false;
}

bool plan_window_time(plan_rule *rule, const relation *from, int column, leat_sql_span span, const char *what)
{
    if (!plan_time_attribute(rule, from, column, span, what))
        return false;
    if (from->has_watermark || from->bounded)
        return true;
    plan_error(rule, span, "%s: '%s' has no watermark, so that no window would ever close; set its `watermark`", what,
               from->stream);
    return false;
}

bool plan_descriptor_column(plan_rule *rule, const relation *from, const leat_sql_expr *descriptor, const char *what,
                            int32_t *out_column)
{
    if (descriptor->kind != LEAT_SQL_EXPR_DESCRIPTOR || descriptor->descriptor.count != 1) {
        plan_error(rule, descriptor->span, "%s: the time column is expected here, as in DESCRIPTOR(ts)", what);
        return false;
    }
    const leat_sql_name *name = &descriptor->descriptor.items[0];
    char hint[128];
    int column = leat_schema_find(from->schema, name->text);
    *out_column = column;
    if (column >= 0)
        return true;
    plan_error(rule, name->span, "unknown column '%.*s'%s", (int)name->text.size, name->text.data,
               leat_sql_suggest_column(from->schema, name->text, hint));
    return false;
}

bool plan_time_column(plan_rule *rule, const relation *from, const leat_sql_expr *descriptor, const char *what,
                      int32_t *out_column)
{
    return plan_descriptor_column(rule, from, descriptor, what, out_column) &&
           plan_window_time(rule, from, *out_column, descriptor->descriptor.items[0].span, what);
}
