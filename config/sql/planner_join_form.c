// `join:` to nodes: the join, then the columns of its result.
#include "config/sql/join_form.h"
#include "config/sql/planner_join.h"

static bool add_keys(plan_join *join, const leat_join_form *form)
{
    plan_rule *rule = join->rule;
    bool good = true;
    for (uint32_t k = 0; k < form->key_count; k++) {
        leat_expr *both[2], *equal;
        leat_error error;
        int left = plan_text_column(rule, form->keys[k].left, join->sides[0].schema);
        int right = plan_text_column(rule, form->keys[k].right, join->sides[1].schema);
        good &= left >= 0 && right >= 0;
        if (left < 0 || right < 0)
            continue;
        both[0] = leat_expr_column(&rule->expr, 0, (uint32_t)left, join->schema->fields[left].type);
        both[1] =
            leat_expr_column(&rule->expr, 0, join->split + (uint32_t)right, join->sides[1].schema->fields[right].type);
        if (leat_expr_call(&rule->expr, leat_slice_text("="), both, 2, &equal, &error) == LEAT_OK) {
            good &= plan_join_add(join, equal);
            continue;
        }
        plan_error(rule, plan_text_span(form->keys[k].right), "%s", error.message);
        good = false;
    }
    return good;
}

// Columns go by left and right, and by the names of their streams.
static leat_sql_scope scope_of(plan_rule *rule, const leat_join_form *form, const plan_join *join)
{
    const leat_slice aliases[] = {leat_slice_text("left"), leat_slice_text("right"), form->left->text,
                                  form->right->text};
    leat_sql_scope_table *tables = leat_arena_array(rule->arena, leat_sql_scope_table, 4);
    for (uint32_t t = 0; t < 4; t++)
        tables[t] = (leat_sql_scope_table){.alias = aliases[t],
                                           .schema = join->sides[t % 2].schema,
                                           .first = t % 2 ? join->split : 0,
                                           .qualified_only = t > 1};
    return (leat_sql_scope){tables, 4};
}

static bool bind_items(plan_rule *rule, const leat_join_form *form, const leat_sql_scope *scope, plan_item *items)
{
    bool good = true;
    for (uint32_t i = 0; i < form->item_count; i++) {
        const leat_rule_text *text = form->items[i].text;
        leat_sql_binder binder;
        leat_expr *bound = NULL;
        if (plan_text_begin(rule, text)) {
            plan_binder_init(rule, scope, "select", &binder);
            bound = leat_sql_bind(&binder, text->expr);
        }
        rule->failed |= !bound;
        good &= bound != NULL;
        items[i] =
            (plan_item){bound, form->items[i].name, leat_arena_copy(rule->arena, text->text.data, text->text.size)};
    }
    return good;
}

static void name_late(plan_rule *rule, const plan_join *join, uint32_t node)
{
    static const char *const names[] = {"late_left", "late_right"};
    rule->output_count = 0;
    for (uint32_t side = 0; side < 2; side++)
        rule->outputs[rule->output_count++] = (leat_rule_output){
            .name = names[side], .node = node, .output = 1 + side, .schema = join->sides[side].schema};
}

bool leat_plan_join(plan_rule *rule, const leat_rule_form *base, relation *out)
{
    const leat_join_form *form = (const leat_join_form *)base;
    plan_join *join = leat_arena_new(rule->arena, plan_join);
    relation left, right, pairs;
    bool read = plan_text_stream(rule, form->left, &left);
    if (!plan_text_stream(rule, form->right, &right) || !read)
        return false;
    if (left.schema->count + right.schema->count > LEAT_COLUMNS_MAX) {
        plan_error(rule, plan_text_span(form->right), "a stream has at most %d columns", LEAT_COLUMNS_MAX);
        return false;
    }
    plan_join_begin(join, rule, LEAT_JOIN_INNER, &left, &right, plan_text_span(form->right));
    leat_sql_scope scope = scope_of(rule, form, join);
    plan_item *items = leat_arena_array(rule->arena, plan_item, form->item_count + 1);
    bool keyed = add_keys(join, form);
    if (!bind_items(rule, form, &scope, items) || !keyed || !plan_text_begin(rule, form->right))
        return false;
    join->bounds = (plan_bounds){.lower_ms = -form->upper_ms, .upper_ms = -form->lower_ms};
    if (!plan_join_make_streams(join, &pairs))
        return false;
    name_late(rule, join, pairs.node);
    return plan_project(rule, &pairs, items, form->item_count, plan_text_span(form->right), out);
}
