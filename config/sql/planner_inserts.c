// First rows by event time, in the form that those who read them take.
//
// ROW_NUMBER() .. ORDER BY ts = 1 is planned so that it gives each key's first row at once and puts it right when an earlier one comes. Who takes
// new rows only asks for them here, and here alone is decided: the deduplications that its rows come from, through nodes which give new rows when
// they get such, then wait for the watermark and give each row once. A deduplication has one form for all that read it: it keeps its rows once, and
// whoever takes changes takes new rows too. Where another origin takes rows back all the same, nothing is changed.
#include "config/sql/planner_state.h"

struct plan_first_row {
    leat_dedup_spec *spec; // by which its node is found: nodes may be taken back
    leat_schema *schema;
    const char *label, *state_bound; // where it waits
    plan_first_row *before;
};

void plan_first_row_add(plan_rule *rule, leat_dedup_spec *spec, leat_schema *schema, const char *label,
                        const char *state_bound)
{
    plan_first_row *added = leat_arena_new(rule->arena, plan_first_row);
    *added = (plan_first_row){spec, schema, label, state_bound, rule->planner->first_rows};
    rule->planner->first_rows = added;
}

static plan_first_row *find(const leat_planner *planner, const leat_plan_node *node)
{
    plan_first_row *row = planner->first_rows;
    while (row && row->spec != node->spec)
        row = row->before;
    return row;
}

// Of how many of its inputs, the first ones, it is known that it gives new rows when they do; 0: of none.
static uint32_t carried(const leat_plan_node *node)
{
    static const char *const names[] = {"filter", "project", "union", "unnest", "window_rows", "split"};
    if (node->kind != LEAT_NODE_OPERATOR)
        return 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(node->operator_name, names[i]))
            return node->input_count;
    if (!strcmp(node->operator_name, "join_temporal"))
        return 1; // versions may change
    if (strcmp(node->operator_name, "join_regular") != 0)
        return 0;
    const leat_join_regular_spec *spec = node->spec;
    return spec->sides.kind == LEAT_JOIN_INNER || spec->sides.kind == LEAT_JOIN_SEMI ? node->input_count : 0;
}

static bool gives_inserts(const leat_planner *planner, uint32_t node, uint32_t output)
{
    const leat_plan_node *from = &planner->nodes[node];
    return from->outputs && output < from->output_count && from->outputs[output]->changelog == LEAT_CHANGELOG_INSERT;
}

// Which nodes give new rows, or would.
static bool *find_able(const leat_planner *planner)
{
    bool *able = leat_arena_array(planner->options.arena, bool, planner->node_count + 1);
    for (uint32_t i = 0; i < planner->node_count; i++) {
        const leat_plan_node *node = &planner->nodes[i];
        uint32_t count = carried(node);
        able[i] = count > 0;
        for (uint32_t k = 0; k < count; k++)
            able[i] &=
                able[node->inputs[k].node] || gives_inserts(planner, node->inputs[k].node, node->inputs[k].output);
        able[i] |= find(planner, node) != NULL;
    }
    return able;
}

static void turn(leat_planner *planner, uint32_t index)
{
    leat_plan_node *node = &planner->nodes[index];
    const plan_first_row *row = find(planner, node);
    if (!row)
        return;
    row->spec->insert_only = true;
    row->schema->changelog = LEAT_CHANGELOG_INSERT;
    node->label = row->label;
    node->state_bound = row->state_bound;
}

static void turn_origins(leat_planner *planner, uint32_t index)
{
    bool *wanted = leat_arena_array(planner->options.arena, bool, planner->node_count + 1);
    wanted[index] = true;
    for (uint32_t i = index + 1; i-- > 0;) {
        const leat_plan_node *node = &planner->nodes[i];
        if (!wanted[i])
            continue;
        turn(planner, i);
        for (uint32_t k = 0; k < carried(node); k++)
            wanted[node->inputs[k].node] = true;
    }
}

// What reads turned nodes gives new rows as well.
static void settle(leat_planner *planner)
{
    for (uint32_t i = 0; i < planner->node_count; i++) {
        const leat_plan_node *node = &planner->nodes[i];
        bool inserts = carried(node) > 0;
        for (uint32_t k = 0; k < carried(node); k++)
            inserts &= gives_inserts(planner, node->inputs[k].node, node->inputs[k].output);
        for (uint32_t k = 0; inserts && k < node->output_count; k++)
            if (node->outputs[k]->changelog != LEAT_CHANGELOG_INSERT)
                ((leat_schema *)node->outputs[k])->changelog = LEAT_CHANGELOG_INSERT; // the planner's own
    }
}

bool leat_planner_inserts(leat_planner *planner, uint32_t node, uint32_t output)
{
    if (gives_inserts(planner, node, output))
        return true;
    if (!find_able(planner)[node])
        return false;
    turn_origins(planner, node);
    settle(planner);
    return true;
}

bool plan_inserts(plan_rule *rule, relation *rows)
{
    if (rows->schema->changelog == LEAT_CHANGELOG_INSERT)
        return true;
    bool able = rule->tried ? find_able(rule->planner)[rows->node]
                            : leat_planner_inserts(rule->planner, rows->node, rows->output);
    if (!able || rows->schema->changelog == LEAT_CHANGELOG_INSERT)
        return able;
    leat_schema *schema = leat_arena_new(rule->arena, leat_schema); // under other names than the node's
    *schema = *rows->schema;
    schema->changelog = LEAT_CHANGELOG_INSERT;
    rows->schema = schema;
    return true;
}
