// FROM t CROSS JOIN UNNEST(t.items) [WITH ORDINALITY] AS x (item, place), and LEFT JOIN .. ON TRUE.
#include "config/sql/planner_join.h"

// Columns of an item, named as AS says, else by the ROW's fields or as Flink does.
static void item_fields(leat_type type, bool ordinality, leat_field *out_fields, uint32_t *out_count)
{
    static const char *const of_map[] = {"KEY", "VALUE"};
    uint32_t count = 0;

    const leat_type *item = type.fields[0].type;
    if (type.kind == LEAT_KIND_MAP)
        for (uint32_t i = 0; i < 2; i++)
            out_fields[count++] = (leat_field){leat_slice_text(of_map[i]), *type.fields[i].type};
    else if (item->kind == LEAT_KIND_ROW)
        for (uint32_t i = 0; i < item->field_count; i++)
            out_fields[count++] = (leat_field){item->fields[i].name, *item->fields[i].type};
    else
        out_fields[count++] = (leat_field){leat_slice_text("f0"), *item};
    if (ordinality)
        out_fields[count++] = (leat_field){leat_slice_text("ORDINALITY"), leat_type_of(LEAT_KIND_INT)};
    *out_count = count;
}

static bool rename_fields(plan_rule *rule, const leat_sql_names *names, leat_field *fields, uint32_t count)
{
    if (names->count && names->count != count) {
        plan_error(rule, names->items[0].span, "%u column names for %u columns", names->count, count);
        return false;
    }
    for (uint32_t i = 0; i < names->count; i++)
        fields[i].name = names->items[i].text;
    return true;
}

static leat_expr *bind_collection(plan_rule *rule, const plan_source *left, const leat_sql_table_ref *table)
{
    leat_sql_binder binder;
    char text[LEAT_TYPE_TEXT];
    if (table->unnest.items.count != 1) {
        plan_error(rule, table->span, "UNNEST takes one collection in leat, found %u", table->unnest.items.count);
        return NULL;
    }
    plan_binder_init(rule, &left->scope, "UNNEST", &binder);
    leat_expr *bound = leat_sql_bind(&binder, table->unnest.items.items[0]);
    rule->failed |= !bound;
    if (!bound || bound->type.kind == LEAT_KIND_ARRAY || bound->type.kind == LEAT_KIND_MAP)
        return bound;
    plan_error(rule, table->unnest.items.items[0]->span, "UNNEST takes an ARRAY or a MAP, found %s",
               leat_type_print(bound->type, text));
    return NULL;
}

static bool is_true(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_LITERAL && expr->literal.kind == LEAT_SQL_LITERAL_TRUE;
}

// As in Flink, LEFT JOIN UNNEST takes ON TRUE only.
static bool kind_fits(plan_rule *rule, const leat_sql_table_ref *join)
{
    leat_sql_join_kind kind = join->join.kind;
    bool left = kind == LEAT_SQL_JOIN_LEFT;
    if (kind == LEAT_SQL_JOIN_RIGHT || kind == LEAT_SQL_JOIN_FULL || join->join.natural || join->join.using.count)
        plan_error(rule, join->join.right->span, "UNNEST is joined by CROSS JOIN, or by LEFT JOIN .. ON TRUE");
    else if (left && (!join->join.on || !is_true(join->join.on)))
        plan_error(rule, join->join.on ? join->join.on->span : join->span, "LEFT JOIN UNNEST takes ON TRUE only");
    else
        return true;
    return false;
}

static leat_schema *joined(plan_rule *rule, const relation *left, const leat_field *items, uint32_t count)
{
    leat_field *fields;
    uint32_t kept = left->schema->count;
    leat_schema *schema = plan_schema_new(rule, kept + count, &fields);
    for (uint32_t c = 0; c < kept + count; c++)
        fields[c] = c < kept ? left->schema->fields[c] : items[c - kept];
    plan_schema_unique(rule, fields, kept + count);
    schema->rowtime = left->schema->rowtime;
    schema->proctime = left->schema->proctime;
    schema->changelog = left->schema->changelog;
    return schema;
}

static relation unnest_rows(plan_rule *rule, const relation *left, const leat_unnest_spec *spec,
                            const leat_schema *schema, const char *text)
{
    relation out = plan_chain(rule, left, "unnest", spec, schema,
                              leat_arena_format(rule->arena, "%s UNNEST(%s)%s", spec->outer ? "LEFT" : "CROSS", text,
                                                spec->ordinality ? " WITH ORDINALITY" : ""));
    bool *times = leat_arena_array(rule->arena, bool, schema->count + 1);
    memcpy(times, left->times, left->schema->count * sizeof *times);
    out.times = times;
    out.window_start = left->window_start;
    out.window_end = left->window_end;
    return out;
}

static bool filter_on(plan_rule *rule, const leat_sql_table_ref *join, plan_source *out)
{
    leat_sql_binder binder;
    relation before = out->relation;
    if (!join->join.on || is_true(join->join.on))
        return true;
    plan_binder_init(rule, &out->scope, "ON", &binder);
    leat_expr *bound = leat_sql_bind_condition(&binder, join->join.on);
    rule->failed |= !bound;
    return bound && plan_filter(rule, &before, leat_expr_fold(&rule->expr, bound),
                                plan_join_text(rule, before.schema, &bound, 1), join->join.on->span, &out->relation);
}

bool plan_unnest(plan_rule *rule, plan_source *left, const leat_sql_table_ref *join, plan_source *out)
{
    const leat_sql_table_ref *table = join->join.right;
    leat_unnest_spec *spec = leat_arena_new(rule->arena, leat_unnest_spec);
    leat_field *fields = leat_arena_array(rule->arena, leat_field, LEAT_COLUMNS_MAX + 2), *own;
    uint32_t count;
    relation given = left->relation;
    if (!plan_normalized(rule, &given, table->span, &left->relation)) // a row's key is not that of its items
        return false;
    leat_expr *collection = kind_fits(rule, join) ? bind_collection(rule, left, table) : NULL;
    if (!collection || !plan_compile(rule, leat_expr_fold(&rule->expr, collection), table->span, &spec->collection))
        return false;
    item_fields(collection->type, table->unnest.ordinality, fields, &count);
    if (!rename_fields(rule, &table->columns, fields, count))
        return false;
    if (left->relation.schema->count + count > LEAT_COLUMNS_MAX) {
        plan_error(rule, table->span, "a stream has at most %d columns", LEAT_COLUMNS_MAX);
        return false;
    }
    spec->outer = join->join.kind == LEAT_SQL_JOIN_LEFT;
    spec->ordinality = table->unnest.ordinality;
    leat_schema *items = plan_schema_new(rule, count, &own);
    memcpy(own, fields, count * sizeof *own);
    leat_sql_scope_table *tables = leat_arena_array(rule->arena, leat_sql_scope_table, left->scope.count + 1);
    memcpy(tables, left->scope.tables, left->scope.count * sizeof *tables);
    tables[left->scope.count] =
        (leat_sql_scope_table){.alias = table->alias.text, .schema = items, .first = left->relation.schema->count};
    out->relation = unnest_rows(rule, &left->relation, spec, joined(rule, &left->relation, fields, count),
                                plan_join_text(rule, left->relation.schema, &collection, 1));
    out->scope = (leat_sql_scope){tables, left->scope.count + 1};
    return filter_on(rule, join, out);
}
