// FROM t, LATERAL (SELECT .. WHERE u.id = t.id): a join with the rows that the subquery has for each combination of what ties it to
// the tables before it. ORDER BY .. LIMIT n in it is a Top-N for each combination, an aggregate one row for each that has any (in
// Flink too, where SQL has a row with COUNT 0 for the others).
#include "config/sql/planner_correlation.h"

static const char WHAT[] = "LATERAL";

static bool is_true(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_LITERAL && expr->literal.kind == LEAT_SQL_LITERAL_TRUE;
}

static bool kind_fits(plan_rule *rule, const leat_sql_table_ref *join)
{
    leat_sql_join_kind kind = join->join.kind;
    if (kind == LEAT_SQL_JOIN_RIGHT || kind == LEAT_SQL_JOIN_FULL || join->join.natural || join->join.using.count)
        plan_error(rule, join->join.right->span,
                   "LATERAL stands behind a comma, CROSS JOIN, JOIN .. ON, or LEFT JOIN .. ON TRUE");
    else if (kind == LEAT_SQL_JOIN_LEFT && (!join->join.on || !is_true(join->join.on)))
        plan_error(rule, join->join.on ? join->join.on->span : join->span, "LEFT JOIN LATERAL takes ON TRUE only");
    else
        return true;
    return false;
}

static bool plan_rows(plan_subquery *it)
{
    if (plan_subquery_splits(it->query) && !plan_subquery_begin(it))
        return false;
    return it->ties.count ? plan_subquery_rows(it, false) : plan_subquery_whole(it, false);
}

// The names of the subquery's columns, as AS says or as it gives them.
static bool table_of(const plan_subquery *it, const leat_sql_table_ref *table, uint32_t first,
                     leat_sql_scope_table *out)
{
    leat_field *fields;
    leat_schema *schema = plan_schema_new(it->rule, it->item_count, &fields);
    const leat_sql_names *names = &table->columns;
    if (names->count && names->count != it->item_count) {
        plan_error(it->rule, names->items[0].span, "%u column names for %u column%s", names->count, it->item_count,
                   it->item_count == 1 ? "" : "s");
        return false;
    }
    for (uint32_t i = 0; i < it->item_count; i++) {
        fields[i] = it->rows.schema->fields[i];
        if (names->count)
            fields[i].name = names->items[i].text;
    }
    *out = (leat_sql_scope_table){.alias = table->alias.text, .schema = schema, .first = first};
    return true;
}

// Columns of both, without the ties.
static bool keep_items(plan_subquery *it, uint32_t first, leat_sql_span span, relation *rows)
{
    relation joined = *rows;
    plan_item *items = leat_arena_array(it->rule->arena, plan_item, first + it->item_count + 1);
    for (uint32_t c = 0; c < first + it->item_count; c++)
        items[c] = (plan_item){plan_column(it->rule, &joined, c), joined.schema->fields[c].name, NULL};
    return !it->ties.count || plan_project(it->rule, &joined, items, first + it->item_count, span, rows);
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

bool plan_lateral(plan_rule *rule, plan_name *names, plan_source *left, const leat_sql_table_ref *join,
                  plan_source *out)
{
    const leat_sql_table_ref *table = join->join.right;
    plan_subquery *it = leat_arena_new(rule->arena, plan_subquery);
    leat_expr *outer[PLAN_TIES_MAX];
    uint32_t first = left->relation.schema->count, count = left->scope.count;
    *it = (plan_subquery){.rule = rule,
                          .names = names,
                          .around = &left->scope,
                          .around_rows = &left->relation,
                          .query = table->query,
                          .what = WHAT};
    if (!kind_fits(rule, join))
        return false;
    const leat_rule_request *before = plan_subquery_meant(it);
    bool planned = plan_rows(it);
    rule->request = before;
    if (!planned)
        return false;
    for (uint32_t k = 0; k < it->ties.count; k++)
        outer[k] = it->ties.items[k].outer;
    bool filtered, every = join->join.kind == LEAT_SQL_JOIN_LEFT;
    leat_sql_scope_table *tables = leat_arena_array(rule->arena, leat_sql_scope_table, count + 1);
    memcpy(tables, left->scope.tables, count * sizeof *tables);
    if (!table_of(it, table, first, &tables[count]) || !plan_subquery_check_meant(it, before, table->span) ||
        !plan_subquery_join(it, every ? LEAT_JOIN_LEFT : LEAT_JOIN_INNER, &left->relation, outer, table->span, NULL,
                            &filtered, &out->relation) ||
        !keep_items(it, first, table->span, &out->relation))
        return false;
    out->scope = (leat_sql_scope){tables, count + 1};
    return filter_on(rule, join, out);
}
