#include "firmware-agent/flow/source_ids.h"

#include <string.h>

enum { READERS_MIN = 2 };

// The column of the node's input that its output column is, as it is; -1: it is computed.
static int passed_column(const leat_plan_node *node, uint32_t column)
{
    if (node->kind != LEAT_NODE_OPERATOR || node->input_count != 1)
        return -1;
    if (!strcmp(node->operator_name, "filter"))
        return (int)column;
    if (strcmp(node->operator_name, "project") != 0)
        return -1;
    const leat_project_spec *spec = node->spec;
    return leat_program_column(spec->programs[column]);
}

// The source's column that an edge deals out by; -1: another stream's, or none of it.
static int source_column(const leat_plan *plan, const leat_plan_input *input, uint32_t source)
{
    if (input->exchange != LEAT_EXCHANGE_KEY || input->key_count != 1)
        return -1;
    int column = (int)input->key_columns[0];
    while (column >= 0 && input->node != source) {
        const leat_plan_node *node = &plan->nodes[input->node];
        column = input->output ? -1 : passed_column(node, (uint32_t)column);
        input = node->inputs;
    }
    return column >= 0 && input->output == 0 ? column : -1;
}

int leat_source_ids_column(const leat_plan *plan, uint32_t source)
{
    uint32_t readers[LEAT_COLUMNS_MAX] = {0};
    int most = -1;
    for (uint32_t i = source + 1; i < plan->node_count; i++)
        for (uint32_t k = 0; k < plan->nodes[i].input_count; k++) {
            int column = source_column(plan, &plan->nodes[i].inputs[k], source);
            if (column >= 0 && ++readers[column] >= READERS_MIN && (most < 0 || readers[column] > readers[most]))
                most = column;
        }
    return most;
}

void leat_source_ids_init(leat_source_ids *ids, leat_env *env, const leat_plan *plan, uint32_t node)
{
    int column = leat_source_ids_column(plan, node);
    leat_error ignored;
    *ids = (leat_source_ids){.dictionary = node + 1};
    leat_budget_init(&ids->budget, env, 0);
    if (column < 0)
        return;
    ids->column = (uint32_t)column;
    const leat_type *type = &plan->nodes[node].outputs[0]->fields[column].type;
    if (leat_keys_create(env, &ids->budget, type, 1, &ids->keys, &ignored) != LEAT_OK)
        ids->keys = NULL;
}

void leat_source_ids_fini(leat_source_ids *ids)
{
    leat_keys_destroy(ids->keys);
    ids->keys = NULL;
}

void leat_source_ids_give(leat_source_ids *ids, leat_batch *batch)
{
    leat_error ignored;
    if (!ids->keys || !batch->selected)
        return;
    uint32_t *slots = leat_arena_array(&batch->arena, uint32_t, batch->selected);
    uint32_t *numbers = batch->selection ? leat_arena_array(&batch->arena, uint32_t, batch->count) : slots;
    if (leat_keys_count(ids->keys) > LEAT_SOURCE_IDS_MAX ||
        leat_keys_resolve(ids->keys, batch, &ids->column, slots, &ignored) != LEAT_OK) {
        leat_source_ids_fini(ids);
        return;
    }
    for (uint32_t i = 0; batch->selection && i < batch->selected; i++)
        numbers[batch->selection[i]] = slots[i];
    const leat_column *column = &batch->columns[ids->column];
    batch->ids = (leat_value_ids){.ids = numbers,
                                  .values = column->values,
                                  .nulls = column->nulls,
                                  .dictionary = ids->dictionary,
                                  .limit = leat_keys_capacity(ids->keys)};
}
