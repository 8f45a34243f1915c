// First rows by event time, in the form that those who read them take.
//
// ROW_NUMBER() .. ORDER BY ts = 1 is planned so that it gives each key's first row at once and puts it right when an earlier one comes. Who takes
// new rows only asks for them here, and here alone is decided: the deduplications that its rows come from, through nodes which give new rows when
// they get such, then wait for the watermark and give each row once. A deduplication has one form for all that read it: it keeps its rows once, and
// whoever takes changes takes new rows too. Where another origin takes rows back all the same, nothing is changed.
#include "config/sql/planner_state.h"

struct plan_first_row {
    uint32_t node; // another one has come in its place when that has not this spec: nodes may be taken back
    leat_dedup_spec *spec;
    leat_schema *schema;
    const char *label, *state_bound; // where it waits
    plan_first_row *before;
};

void plan_first_row_add(plan_rule *rule, const relation *made, leat_dedup_spec *spec, leat_schema *schema,
                        const char *label, const char *state_bound)
{
    plan_first_row *added = leat_arena_new(rule->arena, plan_first_row);
    *added = (plan_first_row){made->node, spec, schema, label, state_bound, rule->planner->first_rows};
    rule->planner->first_rows = added;
}

typedef struct search {
    leat_planner *planner;
    leat_arena arena;
    const plan_first_row **rows; // per node; NULL: none, or it waits already
    bool *able;                  // per node: gives new rows, or would
} search;

static void search_begin(search *it, leat_planner *planner)
{
    *it = (search){.planner = planner};
    leat_arena_init(&it->arena, planner->options.env, 0);
    it->rows = leat_arena_array(&it->arena, const plan_first_row *, planner->node_count + 1);
    it->able = leat_arena_array(&it->arena, bool, planner->node_count + 1);
    for (const plan_first_row *row = planner->first_rows; row; row = row->before)
        if (row->node < planner->node_count && planner->nodes[row->node].spec == row->spec && !row->spec->insert_only)
            it->rows[row->node] = row;
}

static void search_end(search *it) { leat_arena_fini(&it->arena); }

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

static bool input_gives(const search *it, const leat_plan_input *input)
{
    return it->able[input->node] || gives_inserts(it->planner, input->node, input->output);
}

static bool can_give(search *it, uint32_t index)
{
    for (uint32_t i = 0; i <= index; i++) {
        const leat_plan_node *node = &it->planner->nodes[i];
        bool all = carried(node) > 0;
        for (uint32_t k = 0; k < carried(node); k++)
            all &= input_gives(it, &node->inputs[k]);
        it->able[i] = all || it->rows[i];
    }
    return it->able[index];
}

static void turn(leat_plan_node *node, const plan_first_row *row)
{
    row->spec->insert_only = true;
    row->schema->changelog = LEAT_CHANGELOG_INSERT;
    if (!node->computes) // each form goes on with the state of the other
        node->computes = node->label;
    node->label = row->label;
    node->state_bound = row->state_bound;
}

static void turn_origins(search *it, uint32_t index)
{
    bool *wanted = leat_arena_array(&it->arena, bool, index + 1);
    wanted[index] = true;
    for (uint32_t i = index + 1; i-- > 0;) {
        leat_plan_node *node = &it->planner->nodes[i];
        if (!wanted[i])
            continue;
        if (it->rows[i])
            turn(node, it->rows[i]);
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

static bool ask(leat_planner *planner, uint32_t node, uint32_t output, bool tried)
{
    search it;
    if (gives_inserts(planner, node, output))
        return true;
    search_begin(&it, planner);
    bool can = can_give(&it, node);
    if (can && !tried) {
        turn_origins(&it, node);
        settle(planner);
    }
    search_end(&it);
    return can;
}

bool leat_planner_inserts(leat_planner *planner, uint32_t node, uint32_t output)
{
    return ask(planner, node, output, false);
}

bool plan_inserts(plan_rule *rule, relation *rows)
{
    if (rows->schema->changelog == LEAT_CHANGELOG_INSERT)
        return true;
    if (!ask(rule->planner, rows->node, rows->output, rule->tried))
        return false;
    if (rows->schema->changelog == LEAT_CHANGELOG_INSERT)
        return true;
    leat_schema *schema = leat_arena_new(rule->arena, leat_schema); // under other names than the node's
    *schema = *rows->schema;
    schema->changelog = LEAT_CHANGELOG_INSERT;
    rows->schema = schema;
    return true;
}
