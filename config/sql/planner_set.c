// INTERSECT and EXCEPT, as Flink plans them.
//
// Without ALL: the rows of the left query that have, or have not, an equal one on the right (a semi or anti join in which NULLs are equal), each
// once. With ALL: both sides together, counted per row and side; a row comes as often as the counts say: the lesser of both, or their difference.
#include "config/sql/planner_join.h"
#include "config/sql/planner_over.h"

typedef struct set_operation {
    plan_rule *rule;
    const leat_sql_query *query;
    const char *name;
    relation sides[2];
    uint32_t columns;
} set_operation;

static bool plan_sides(set_operation *it, plan_name *names)
{
    const leat_sql_query *queries[] = {it->query->set.left, it->query->set.right};
    relation rows[2], made;
    bool planned = true;
    for (unsigned side = 0; side < 2; side++)
        planned &= plan_query(it->rule, names, queries[side], &made) && plan_materialize(it->rule, &made, &rows[side]);
    if (!planned)
        return false;
    it->columns = rows[0].schema->count;
    if (rows[1].schema->count != it->columns)
        plan_error(it->rule, it->query->span, "%s: the first query has %u columns, the second has %u", it->name,
                   it->columns, rows[1].schema->count);
    else if (2 * it->columns > LEAT_COLUMNS_MAX || it->columns > 60)
        plan_error(it->rule, it->query->span, "%s takes at most 60 columns", it->name);
    else
        return plan_alike(it->rule, rows, 2, it->name, it->query->span, it->sides);
    return false;
}

static plan_item *all_columns(set_operation *it, const relation *from, uint32_t more)
{
    plan_item *items = leat_arena_array(it->rule->arena, plan_item, it->columns + more + 1);
    for (uint32_t c = 0; c < it->columns; c++)
        items[c] = (plan_item){plan_column(it->rule, from, c), it->sides[0].schema->fields[c].name, NULL};
    return items;
}

static leat_expr *call(set_operation *it, const char *function, leat_expr *left, leat_expr *right)
{
    leat_expr *both[] = {left, right}, *made = NULL;
    leat_error error;
    if (leat_expr_call(&it->rule->expr, leat_slice_text(function), both, 2, &made, &error) == LEAT_OK)
        return made;
    plan_error(it->rule, it->query->span, "%s: %s", it->name, error.message);
    return NULL;
}

// ---- without ALL

static bool add_equalities(set_operation *it, plan_join *join)
{
    for (uint32_t c = 0; c < it->columns; c++) {
        const leat_field *fields = join->schema->fields;
        leat_expr *equal = call(it, "IS NOT DISTINCT FROM", leat_expr_column(&it->rule->expr, 0, c, fields[c].type),
                                leat_expr_column(&it->rule->expr, 0, join->split + c, fields[join->split + c].type));
        if (!equal || !plan_join_add(join, equal))
            return false;
    }
    return true;
}

static const char *kept_for_ever(set_operation *it)
{
    return leat_arena_format(it->rule->arena, "%s keeps every row of both queries for ever", it->name);
}

static bool distinct_rows(set_operation *it, relation *out)
{
    plan_join *join = leat_arena_alloc_aligned(it->rule->arena, sizeof *join, 16);
    bool intersect = it->query->set.op == LEAT_SQL_INTERSECT;
    relation rows;
    plan_join_begin(join, it->rule, intersect ? LEAT_JOIN_SEMI : LEAT_JOIN_ANTI, &it->sides[0], &it->sides[1],
                    it->query->span);
    if (!add_equalities(it, join))
        return false;
    if (!plan_join_of_windows(join) &&
        !plan_state_allowed(it->rule, it->query->span, kept_for_ever(it), "use windows on both sides"))
        return false;
    return plan_join_choose(join, &rows) &&
           plan_distinct(it->rule, &rows, all_columns(it, &rows, 0), it->columns, it->query->span, it->name, out);
}

// ---- with ALL

// The rows of both sides, each with a 1 in the column of its own side.
static bool mark_sides(set_operation *it, relation *out)
{
    leat_type type = leat_type_of(LEAT_KIND_BIGINT);
    relation marked[2];
    for (int64_t side = 0; side < 2; side++) {
        plan_item *items = all_columns(it, &it->sides[side], 2);
        for (int64_t i = 0; i < 2; i++)
            items[it->columns + i] =
                (plan_item){leat_expr_literal(&it->rule->expr, type, (leat_value){.i64 = i == side}),
                            leat_slice_text(i ? "$right" : "$left"), i == side ? "1" : "0"};
        if (!plan_project(it->rule, &it->sides[side], items, it->columns + 2, it->query->span, &marked[side]))
            return false;
    }
    return plan_union(it->rule, marked, 2, it->query->span, out);
}

static bool sum_side(set_operation *it, const relation *rows, uint32_t side, leat_sql_aggregates *set)
{
    leat_error error;
    leat_expr **arguments = leat_arena_array(it->rule->arena, leat_expr *, 1);
    arguments[0] = plan_column(it->rule, rows, it->columns + side);
    set->arguments[side] = arguments;
    set->filters[side] = NULL;
    set->labels[side] = side ? "rows on the right" : "rows on the left";
    set->items[side] = (leat_aggregate){0};
    set->count = side + 1;
    if (leat_aggregate_resolve(&it->rule->expr, leat_slice_text("SUM"), false, arguments, 1, NULL, set->retract,
                               &set->items[side], &error) == LEAT_OK)
        return true;
    plan_error(it->rule, it->query->span, "%s: %s", it->name, error.message);
    return false;
}

static bool count_rows(set_operation *it, const relation *rows, plan_grouped *out)
{
    leat_arena *arena = it->rule->arena;
    leat_sql_aggregates *set = leat_sql_aggregates_new(arena, rows->schema->changelog != LEAT_CHANGELOG_INSERT);
    uint64_t all = (UINT64_C(1) << it->columns) - 1;
    plan_group group = {.input = rows,
                        .span = it->query->span,
                        .what = it->name,
                        .sets = &all,
                        .set_count = 1,
                        .key_count = it->columns,
                        .aggregates = set};
    set->items = leat_arena_alloc_aligned(arena, 2 * sizeof *set->items, 16);
    set->arguments = leat_arena_array(arena, leat_expr **, 2);
    set->filters = leat_arena_array(arena, leat_expr *, 2);
    set->labels = leat_arena_array(arena, const char *, 2);
    set->capacity = 2;
    group.keys = leat_arena_array(arena, leat_expr *, it->columns);
    group.key_labels = leat_arena_array(arena, const char *, it->columns);
    for (uint32_t c = 0; c < it->columns; c++) {
        leat_slice name = rows->schema->fields[c].name;
        group.keys[c] = plan_column(it->rule, rows, c);
        group.key_labels[c] = leat_arena_copy(arena, name.data, name.size);
    }
    return sum_side(it, rows, 0, set) && sum_side(it, rows, 1, set) && plan_group_by(it->rule, &group, out);
}

// How often each row comes, as a last column; only rows that come at all.
static bool times_of_rows(set_operation *it, const plan_grouped *grouped, relation *out)
{
    bool intersect = it->query->set.op == LEAT_SQL_INTERSECT;
    const relation *rows = &grouped->relation;
    plan_item *items = all_columns(it, rows, 1);
    relation counted;
    for (uint32_t c = 0; c < it->columns; c++)
        items[c].expr = plan_column(it->rule, rows, grouped->key_columns[c]);
    items[it->columns].name = leat_slice_text("$times");
    items[it->columns].label = intersect ? "the lesser count" : "the difference";
    items[it->columns].expr = call(it, intersect ? "LEAST" : "-", plan_column(it->rule, rows, grouped->first_aggregate),
                                   plan_column(it->rule, rows, grouped->first_aggregate + 1));
    if (!items[it->columns].expr || !plan_project(it->rule, rows, items, it->columns + 1, it->query->span, &counted))
        return false;
    leat_expr *zero = leat_expr_literal(&it->rule->expr, leat_type_of(LEAT_KIND_BIGINT), (leat_value){.i64 = 0}),
              *some = call(it, ">", plan_column(it->rule, &counted, it->columns), zero);
    return some && plan_filter(it->rule, &counted, some, "more than 0 times", it->query->span, out);
}

static bool repeat_rows(set_operation *it, const relation *rows, relation *out)
{
    leat_repeat_spec *spec = leat_arena_new(it->rule->arena, leat_repeat_spec);
    leat_schema *schema = leat_arena_new(it->rule->arena, leat_schema);
    *spec = (leat_repeat_spec){.count_column = it->columns};
    *schema = *rows->schema;
    schema->key_count = 0; // equal rows may stand side by side
    schema->changelog = LEAT_CHANGELOG_RETRACT;
    relation repeated = plan_chain(it->rule, rows, "repeat", spec, schema, it->name);
    return plan_project(it->rule, &repeated, all_columns(it, &repeated, 0), it->columns, it->query->span, out);
}

static bool all_rows(set_operation *it, relation *out)
{
    relation rows, counted;
    plan_grouped grouped;
    return plan_state_allowed(it->rule, it->query->span, kept_for_ever(it), "leave out ALL and use windows") &&
           mark_sides(it, &rows) && count_rows(it, &rows, &grouped) && times_of_rows(it, &grouped, &counted) &&
           repeat_rows(it, &counted, out);
}

bool plan_set_operation(plan_rule *rule, plan_name *names, const leat_sql_query *query, relation *out)
{
    static const char *const texts[2][2] = {{"EXCEPT", "EXCEPT ALL"}, {"INTERSECT", "INTERSECT ALL"}};
    bool intersect = query->set.op == LEAT_SQL_INTERSECT;
    set_operation it = {.rule = rule, .query = query, .name = texts[intersect][query->set.all]};
    if (!plan_sides(&it, names))
        return false;
    return query->set.all ? all_rows(&it, out) : distinct_rows(&it, out);
}
