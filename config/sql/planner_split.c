// `split:` to a node: a condition for each further stream, and the rows that none of them takes.
#include "config/sql/planner_state.h"
#include "config/sql/window_form.h"

static bool read_condition(plan_rule *rule, const leat_split_form *form, const relation *from, uint32_t index,
                           const leat_program **out_program)
{
    const leat_rule_text *text = form->items[index].text;
    leat_sql_scope_table table = {.alias = form->from->text, .schema = from->schema};
    leat_sql_scope scope = {&table, 1};
    leat_sql_binder binder;
    if (!plan_text_begin(rule, text))
        return false;
    plan_binder_init(rule, &scope, "to", &binder);
    leat_expr *condition = leat_sql_bind_condition(&binder, text->expr);
    rule->failed |= !condition;
    return condition && plan_compile(rule, leat_expr_fold(&rule->expr, condition), text->expr->span, out_program);
}

static const char *label_of(plan_rule *rule, const leat_split_form *form)
{
    const char *text = form->first_match ? "first of " : "";
    for (uint32_t i = 0; i < form->item_count; i++)
        text = leat_arena_format(rule->arena, "%s%s%.*s: %.*s", text, i ? ", " : "", (int)form->items[i].name.size,
                                 form->items[i].name.data, (int)form->items[i].text->text.size,
                                 form->items[i].text->text.data);
    return text;
}

// The rest is the rule's own stream, and under its name too when it has one.
static void name_outputs(plan_rule *rule, const leat_split_form *form, uint32_t node, const leat_schema *schema)
{
    rule->output_count = 0;
    for (uint32_t i = 0; i < form->item_count; i++)
        rule->outputs[rule->output_count++] =
            (leat_rule_output){.name = leat_arena_copy(rule->arena, form->items[i].name.data, form->items[i].name.size),
                               .node = node,
                               .output = i + 1,
                               .schema = schema};
    if (form->otherwise)
        rule->outputs[rule->output_count++] =
            (leat_rule_output){.name = form->otherwise, .node = node, .output = 0, .schema = schema};
}

bool leat_plan_split(plan_rule *rule, const leat_rule_form *base, relation *out)
{
    const leat_split_form *form = (const leat_split_form *)base;
    relation from;
    bool good = true;
    if (!plan_text_stream(rule, form->from, &from))
        return false;
    leat_split_spec *spec = leat_arena_new(rule->arena, leat_split_spec);
    const leat_program **programs = leat_arena_array(rule->arena, const leat_program *, form->item_count + 1);
    for (uint32_t i = 0; i < form->item_count; i++)
        good &= read_condition(rule, form, &from, i, &programs[i]);
    if (!good)
        return false;
    *spec = (leat_split_spec){.count = form->item_count,
                              .conditions = (const struct leat_program *const *)programs,
                              .first_match = form->first_match};
    const leat_schema **lists = leat_arena_array(rule->arena, const leat_schema *, form->item_count + 2);
    for (uint32_t i = 0; i < form->item_count + 2; i++)
        lists[i] = from.schema;
    leat_plan_node node = {.operator_name = "split",
                           .spec = spec,
                           .label = label_of(rule, form),
                           .port_count = 1,
                           .port_schemas = lists,
                           .input_count = 1,
                           .inputs = plan_input(rule, &from, LEAT_EXCHANGE_FORWARD, NULL, 0),
                           .output_count = form->item_count + 1,
                           .outputs = lists + 1};
    *out = from;
    out->node = plan_node_add(rule, &node);
    out->output = 0;
    name_outputs(rule, form, out->node, from.schema);
    return true;
}
