// Which columns of a subquery the query around it may read, told by name, so that a rank that nobody reads is not kept up to date.
//
// Too many names do no harm: a column that is taken for read is only computed. So all names that the text has anywhere count, and a star
// counts for every column.
#include "config/sql/planner_state.h"
#include "config/sql/visit.h"

enum { NAMES_MAX = 256 };

struct plan_wanted {
    leat_slice names[NAMES_MAX];
    uint32_t count;
    bool all;
};

static void add(plan_wanted *wanted, leat_slice name)
{
    if (wanted->count == NAMES_MAX)
        wanted->all = true;
    else
        wanted->names[wanted->count++] = name;
}

static bool on_expr(void *context, leat_sql_expr *expr)
{
    plan_wanted *wanted = context;
    wanted->all |= expr->kind == LEAT_SQL_EXPR_STAR;
    if (expr->kind == LEAT_SQL_EXPR_FIELD)
        add(wanted, expr->field.field.text);
    return true;
}

static void on_path(void *context, leat_sql_path *path)
{
    for (uint32_t i = 0; i < path->count; i++)
        add(context, path->parts[i].text);
}

static void on_name(void *context, leat_sql_name *name) { add(context, name->text); }

bool plan_wants(const plan_wanted *wanted, leat_slice name)
{
    if (!wanted || wanted->all)
        return true;
    for (uint32_t i = 0; i < wanted->count; i++)
        if (leat_slice_equal(wanted->names[i], name))
            return true;
    return false;
}

const plan_wanted *plan_wanted_below(plan_rule *rule, const leat_sql_select *select, const plan_wanted *above)
{
    plan_wanted *wanted = leat_arena_new(rule->arena, plan_wanted);
    const visitor read = {.context = wanted, .expr = on_expr, .path = on_path, .name = on_name};
    leat_sql_select own = *select; // without what its own FROM reads, and without what nobody reads of it
    leat_sql_query query = {.kind = LEAT_SQL_QUERY_SELECT, .select = &own};
    *wanted = (plan_wanted){0};
    own.from = NULL;
    own.items = leat_arena_array(rule->arena, leat_sql_select_item, select->item_count + 1);
    own.item_count = 0;
    for (uint32_t i = 0; i < select->item_count; i++)
        if (select->distinct || plan_wants(above, plan_item_name(rule, &select->items[i], i)))
            own.items[own.item_count++] = select->items[i];
    leat_sql_visit_query(&read, &query);
    return wanted;
}
