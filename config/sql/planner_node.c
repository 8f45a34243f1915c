// Making nodes and schemas.
#include "config/sql/planner_state.h"
#include "operators/base/calendar.h"

#include <stdarg.h>
#include <stdio.h>

void plan_error(plan_rule *rule, leat_sql_span span, const char *format, ...)
{
    char message[LEAT_SQL_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    rule->failed = true;
    leat_sql_diagnose(rule->diagnostics, span, "%s", message);
}

void plan_binder_init(plan_rule *rule, const leat_sql_scope *scope, const char *clause, leat_sql_binder *out_binder)
{
    *out_binder =
        (leat_sql_binder){.expr = &rule->expr, .diagnostics = rule->diagnostics, .scope = scope, .clause = clause};
}

// ---- nodes

static uint32_t uid_number(plan_rule *rule, const char *operator_name)
{
    for (uint32_t i = 0; i < rule->counted_count; i++)
        if (!strcmp(rule->counted[i], operator_name))
            return ++rule->counts[i];
    LEAT_ASSERT(rule->counted_count < PLAN_OPERATORS);
    rule->counted[rule->counted_count] = operator_name;
    return rule->counts[rule->counted_count++] = 1;
}

// Keyed nodes run in all workers, and so does what is chained behind nothing but such.
static bool runs_parallel(const plan_rule *rule, const leat_plan_node *node)
{
    bool all = node->input_count > 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const leat_plan_input *input = &node->inputs[i];
        if (input->exchange == LEAT_EXCHANGE_KEY)
            return true;
        if (input->exchange == LEAT_EXCHANGE_GLOBAL)
            return false;
        if (input->exchange == LEAT_EXCHANGE_FORWARD)
            all &= rule->planner->nodes[input->node].parallel;
    }
    return all;
}

// FORWARD joins instances of the same number only.
static void fit_exchanges(const plan_rule *rule, leat_plan_node *node)
{
    leat_plan_input *inputs = (leat_plan_input *)node->inputs; // the planner's own until the node is made
    for (uint32_t i = 0; i < node->input_count; i++) {
        bool from_parallel = rule->planner->nodes[inputs[i].node].parallel;
        if (inputs[i].exchange == LEAT_EXCHANGE_FORWARD && from_parallel != node->parallel)
            inputs[i].exchange = node->parallel ? LEAT_EXCHANGE_REBALANCE : LEAT_EXCHANGE_GLOBAL;
    }
}

uint32_t leat_planner_add_node(leat_planner *planner, const leat_plan_node *node)
{
    if (planner->node_count == planner->node_capacity) {
        uint32_t capacity = planner->node_capacity ? planner->node_capacity * 2 : 64;
        leat_plan_node *nodes = leat_arena_array(planner->options.arena, leat_plan_node, capacity);
        if (planner->node_count)
            memcpy(nodes, planner->nodes, sizeof *nodes * planner->node_count);
        planner->nodes = nodes;
        planner->node_capacity = capacity;
    }
    planner->nodes[planner->node_count] = *node;
    return planner->node_count++;
}

const leat_plan_node *leat_planner_nodes(const leat_planner *planner, uint32_t *out_count)
{
    *out_count = planner->node_count;
    return planner->nodes;
}

uint32_t plan_node_add(plan_rule *rule, leat_plan_node *draft)
{
    draft->kind = LEAT_NODE_OPERATOR;
    draft->index = UINT32_MAX;
    draft->rule = rule->request->rule;
    draft->parallel = runs_parallel(rule, draft);
    fit_exchanges(rule, draft);
    if (!draft->uid)
        draft->uid = leat_arena_format(rule->arena, "%s/%s-%u", rule->request->uid, draft->operator_name,
                                       uid_number(rule, draft->operator_name));
    if (rule->planner->node_count < LEAT_PLANNER_NODES)
        return leat_planner_add_node(rule->planner, draft);
    if (!rule->failed)
        plan_error(rule, rule->request->script->statements[0].span, "the gateway file has more than %d operators",
                   LEAT_PLANNER_NODES);
    return rule->planner->node_count - 1;
}

uint32_t *plan_columns_copy(plan_rule *rule, const uint32_t *columns, uint32_t count)
{
    uint32_t *copy = leat_arena_array(rule->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        copy[i] = columns[i];
    return copy;
}

leat_plan_input *plan_input(plan_rule *rule, const relation *from, leat_exchange exchange, const uint32_t *keys,
                            uint32_t key_count)
{
    leat_plan_input *input = leat_arena_new(rule->arena, leat_plan_input);
    *input = (leat_plan_input){.node = from->node,
                               .output = from->output,
                               .exchange = exchange,
                               .key_count = key_count,
                               .key_columns = keys ? plan_columns_copy(rule, keys, key_count) : NULL};
    return input;
}

static const leat_schema **schema_list(plan_rule *rule, const leat_schema *schema)
{
    const leat_schema **list = leat_arena_array(rule->arena, const leat_schema *, 1);
    list[0] = schema;
    return list;
}

relation plan_relation_of(plan_rule *rule, uint32_t node, uint32_t output, const leat_schema *schema,
                          const relation *like)
{
    bool *times = leat_arena_array(rule->arena, bool, schema->count + 1);
    if (schema->rowtime >= 0)
        times[schema->rowtime] = true;
    return (relation){.node = node,
                      .output = output,
                      .schema = schema,
                      .times = times,
                      .window_start = -1,
                      .window_end = -1,
                      .windows = like->windows,
                      .bounded = like->bounded,
                      .has_watermark = like->has_watermark,
                      .repeats = like->repeats,
                      .waits = like->waits,
                      .stream = like->stream};
}

relation plan_chain(plan_rule *rule, const relation *from, const char *operator_name, const void *spec,
                    const leat_schema *schema, const char *label)
{
    leat_plan_node node = {.operator_name = operator_name,
                           .spec = spec,
                           .label = label,
                           .port_count = 1,
                           .port_schemas = schema_list(rule, from->schema),
                           .input_count = 1,
                           .inputs = plan_input(rule, from, LEAT_EXCHANGE_FORWARD, NULL, 0),
                           .output_count = 1,
                           .outputs = schema_list(rule, schema)};
    return plan_relation_of(rule, plan_node_add(rule, &node), 0, schema, from);
}

const leat_schema *plan_node_schema(const plan_rule *rule, const relation *from)
{
    const leat_plan_node *node = &rule->planner->nodes[from->node];
    return node->outputs && from->output < node->output_count ? node->outputs[from->output] : from->schema;
}

// ---- schemas

leat_schema *plan_schema_new(plan_rule *rule, uint32_t count, leat_field **out_fields)
{
    leat_schema *schema = leat_arena_new(rule->arena, leat_schema);
    *out_fields = leat_arena_array(rule->arena, leat_field, count + 1);
    *schema = (leat_schema){.count = count, .fields = *out_fields, .rowtime = -1, .proctime = -1};
    return schema;
}

static bool name_taken(const leat_field *fields, uint32_t count, uint32_t except, leat_slice name)
{
    for (uint32_t i = 0; i < count; i++)
        if (i != except && leat_slice_equal(fields[i].name, name))
            return true;
    return false;
}

static leat_slice unique_name(plan_rule *rule, const leat_field *fields, uint32_t count, uint32_t index)
{
    leat_slice name = fields[index].name;
    for (uint32_t number = 0;; number++) {
        const char *text = leat_arena_format(rule->arena, "%.*s%u", (int)name.size, name.data, number);
        if (!name_taken(fields, count, index, leat_slice_text(text)))
            return leat_slice_text(text);
    }
}

void plan_schema_unique(plan_rule *rule, leat_field *fields, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (name_taken(fields, i, UINT32_MAX, fields[i].name))
            fields[i].name = unique_name(rule, fields, count, i);
}

relation plan_renamed(plan_rule *rule, const relation *from, const leat_slice *names)
{
    leat_field *fields;
    relation renamed = *from;
    leat_schema *schema = plan_schema_new(rule, from->schema->count, &fields);
    *schema = *from->schema;
    schema->fields = fields;
    for (uint32_t i = 0; i < schema->count; i++)
        fields[i] = (leat_field){names[i], from->schema->fields[i].type};
    renamed.schema = schema;
    return renamed;
}

leat_type plan_timestamp(void)
{
    leat_type type = leat_type_of(LEAT_KIND_TIMESTAMP);
    type.precision = 3;
    return type;
}

const char *plan_duration(plan_rule *rule, int64_t ms)
{
    char text[LEAT_TIMESTAMP_TEXT];
    leat_duration_print(ms < 0 ? -ms : ms, text);
    return leat_arena_format(rule->arena, "%s%s", ms < 0 ? "-" : "", text);
}
