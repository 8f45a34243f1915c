// Columns of interval joins that nobody reads: they are neither kept nor given.
//
// Known when all rules are planned: what reads a join is a projection, or filters and then a projection, nearly always. Before anything else
// all columns count as read. State is read back by its label, so what is kept stands in that.
#include <string.h>

#include "config/sql/planner_join.h"
#include "operators/expr/program.h"

static bool is_operator(const leat_plan_node *node, const char *name)
{
    return node->kind == LEAT_NODE_OPERATOR && !strcmp(node->operator_name, name);
}

static void read_by(const leat_program *program, bool *used) { leat_expr_columns(leat_program_expr(program), 0, used); }

static bool find_reads(const leat_planner *planner, uint32_t node, bool *used);

// False: it may read all of them.
static bool consumer_reads(const leat_planner *planner, uint32_t consumer, const leat_plan_input *input, bool *used)
{
    const leat_plan_node *node = &planner->nodes[consumer];
    for (uint32_t k = 0; k < input->key_count; k++)
        used[input->key_columns[k]] = true;
    if (is_operator(node, "project")) {
        const leat_project_spec *spec = node->spec;
        for (uint32_t i = 0; i < spec->count; i++)
            read_by(spec->programs[i], used);
        return true;
    }
    if (!is_operator(node, "filter"))
        return false;
    read_by(((const leat_filter_spec *)node->spec)->predicate, used);
    return find_reads(planner, consumer, used);
}

// What is read of a node's main output.
static bool find_reads(const leat_planner *planner, uint32_t node, bool *used)
{
    bool any = false;
    for (uint32_t c = 0; c < planner->node_count; c++)
        for (uint32_t i = 0; i < planner->nodes[c].input_count; i++) {
            const leat_plan_input *input = &planner->nodes[c].inputs[i];
            if (input->node != node || input->output)
                continue;
            any = true;
            if (!consumer_reads(planner, c, input, used))
                return false;
        }
    return any;
}

static const char *label_of(leat_planner *planner, const leat_plan_node *node, const bool *used)
{
    const leat_schema *schema = node->outputs[0];
    const char *label = node->label, *between = "; gives ";
    for (uint32_t c = 0; c < schema->count; c++)
        if (used[c]) {
            leat_slice name = schema->fields[c].name;
            label = leat_arena_format(planner->options.arena, "%s%s%.*s", label, between, (int)name.size, name.data);
            between = ", ";
        }
    return label;
}

static void drop_unread(leat_planner *planner, leat_plan_node *node, const bool *used)
{
    const leat_schema *schema = node->outputs[0];
    leat_join_interval_spec *spec = leat_arena_new(planner->options.arena, leat_join_interval_spec);
    bool *unread = leat_arena_array(planner->options.arena, bool, schema->count + 1), any = false;
    for (uint32_t c = 0; c < schema->count; c++)
        any |= unread[c] = !used[c];
    if (!any)
        return;
    *spec = *(const leat_join_interval_spec *)node->spec;
    spec->unread[0] = unread;
    spec->unread[1] = unread + spec->sides.column_counts[0];
    node->spec = spec;
    node->label = label_of(planner, node, used);
}

void leat_planner_drop_unread(leat_planner *planner)
{
    for (uint32_t i = 0; i < planner->node_count; i++) {
        leat_plan_node *node = &planner->nodes[i];
        if (!is_operator(node, "join_interval"))
            continue;
        const leat_schema *schema = node->outputs[0];
        bool *used = leat_arena_array(planner->options.arena, bool, schema->count + 1);
        if (!find_reads(planner, i, used))
            continue;
        if (schema->rowtime >= 0)
            used[schema->rowtime] = true;
        if (schema->proctime >= 0)
            used[schema->proctime] = true;
        drop_unread(planner, node, used);
    }
}
