// Cuts a plan into tasks: which nodes are chained, how many instances each has, and which channels run between them.
#include <string.h>

#include "firmware-agent/flow/task.h"
#include "operators/base/hash.h"

enum { NODE_CHUNK = 512 }; // most nodes keep little; larger blocks have chunks of their own

typedef struct build {
    leat_flow *flow;
    const leat_plan *plan;
    uint32_t *instances;  // per plan node
    uint32_t *root;       // per plan node: the node that its task begins with
    uint32_t *chained;    // per plan node: how many nodes its task has, counted at the root
    uint32_t *first_task; // per root: index of its first instance's task
    uint32_t *place;      // per plan node: index in its task's chain
} build;

static bool spreads(leat_exchange exchange)
{
    return exchange == LEAT_EXCHANGE_KEY || exchange == LEAT_EXCHANGE_REBALANCE || exchange == LEAT_EXCHANGE_BROADCAST;
}

static uint32_t instances_of(const build *b, const leat_plan_node *node)
{
    uint32_t instances = 1;
    if (node->kind != LEAT_NODE_OPERATOR || !node->parallel)
        return 1;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const leat_plan_input *input = &node->inputs[i];
        uint32_t wanted = spreads(input->exchange)                   ? (uint32_t)b->plan->agent->workers
                          : input->exchange == LEAT_EXCHANGE_FORWARD ? b->instances[input->node]
                                                                     : 1;
        if (wanted > instances)
            instances = wanted;
    }
    return instances;
}

// A node joins its producer's task when it has no other input and nothing has to be dealt out between them.
static bool is_chained(const build *b, uint32_t index)
{
    const leat_plan_node *node = &b->plan->nodes[index];
    if (node->kind == LEAT_NODE_SOURCE || node->input_count != 1)
        return false;
    uint32_t producer = b->instances[node->inputs[0].node];
    if (producer != b->instances[index])
        return false;
    return producer == 1 || node->inputs[0].exchange == LEAT_EXCHANGE_FORWARD;
}

static void lay_out(build *b)
{
    for (uint32_t i = 0; i < b->plan->node_count; i++) {
        const leat_plan_node *node = &b->plan->nodes[i];
        b->instances[i] = instances_of(b, node);
        b->root[i] = is_chained(b, i) ? b->root[node->inputs[0].node] : i;
        b->place[i] = b->chained[b->root[i]]++;
    }
    for (uint32_t i = 0; i < b->plan->node_count; i++) {
        if (b->root[i] != i)
            continue;
        b->first_task[i] = b->flow->task_count;
        b->flow->task_count += b->instances[i];
    }
}

static leat_task *task_of(const build *b, uint32_t node, uint32_t instance)
{
    return &b->flow->tasks[b->first_task[b->root[node]] + instance];
}

static leat_flow_node *node_of(const build *b, uint32_t node, uint32_t instance)
{
    return &task_of(b, node, instance)->nodes[b->place[node]];
}

// ---- tasks and nodes

static leat_code make_task(build *b, uint32_t root, uint32_t instance, leat_error *out_error)
{
    leat_flow *flow = b->flow;
    leat_task *task = task_of(b, root, instance);
    task->flow = flow;
    task->index = (uint32_t)(task - flow->tasks);
    task->node_count = b->chained[root];
    task->nodes = leat_arena_array(&flow->arena, leat_flow_node, task->node_count);
    atomic_init(&task->wake_ms, INT64_MAX);
    return leat_batch_pool_create(flow->setup.env, LEAT_TASK_POOL_BYTES, &task->pool, out_error);
}

static void emit(leat_operator_context *context, unsigned output, leat_batch *batch)
{
    leat_node_emit(context->runner, output, batch);
}

static void wake_at(leat_operator_context *context, int64_t processing_ms)
{
    leat_flow_node *node = context->runner;
    if (processing_ms == INT64_MAX || processing_ms < node->wake_ms)
        node->wake_ms = processing_ms;
}

static void make_context(leat_flow_node *node)
{
    leat_flow *flow = node->task->flow;
    const leat_plan_node *plan = node->plan;
    node->outputs_used = leat_arena_array(&flow->arena, bool, plan->output_count + 1);
    node->context = (leat_operator_context){.env = flow->setup.env,
                                            .spec = plan->spec,
                                            .inputs = plan->port_schemas,
                                            .outputs = plan->outputs,
                                            .input_count = plan->port_count,
                                            .output_count = plan->output_count,
                                            .pool = node->task->pool,
                                            .arena = &node->arena,
                                            .instance = node->instance,
                                            .parallelism = node->parallelism,
                                            .clock_runs = flow->setup.clock_runs,
                                            .watermark_ms = LEAT_TIME_NONE,
                                            .output_used = node->outputs_used,
                                            .emit = emit,
                                            .wake_at = wake_at,
                                            .runner = node};
    if (plan->kind != LEAT_NODE_OPERATOR)
        return;
    node->context.budget = &flow->budgets[plan->rule];
    node->drops.total = flow->setup.ports->rule_drops(flow->setup.ports, plan->rule);
    node->context.drops = &node->drops;
}

static void make_node(build *b, uint32_t index, uint32_t instance)
{
    leat_flow *flow = b->flow;
    leat_flow_node *node = node_of(b, index, instance);
    node->plan = &b->plan->nodes[index];
    node->index = index;
    node->instance = instance;
    node->parallelism = b->instances[index];
    node->task = task_of(b, index, instance);
    node->wake_ms = INT64_MAX;
    node->saved_ms = LEAT_TIME_NONE;
    atomic_init(&node->watermark_ms, LEAT_TIME_NONE);
    leat_arena_init(&node->arena, flow->setup.env, NODE_CHUNK);
    make_context(node);
    if (instance == 0)
        flow->by_node[index] = node;
    if (node->plan->kind == LEAT_NODE_SOURCE)
        flow->sources[node->plan->index] = node;
    if (node->plan->kind == LEAT_NODE_SINK)
        flow->sinks[node->plan->index] = node;
}

// ---- targets and channels

static uint32_t output_channels(const build *b, uint32_t producer)
{
    uint32_t channels = 0;
    for (uint32_t i = 0; i < b->plan->node_count; i++)
        for (uint32_t k = 0; k < b->plan->nodes[i].input_count; k++)
            if (b->root[b->plan->nodes[i].inputs[k].node] == producer)
                channels += b->instances[i];
    return channels;
}

static uint32_t input_channels(const build *b, uint32_t index)
{
    uint32_t channels = 0;
    for (uint32_t k = 0; k < b->plan->nodes[index].input_count; k++)
        channels += b->instances[b->plan->nodes[index].inputs[k].node];
    return channels;
}

static uint32_t reader_count(const build *b, uint32_t index)
{
    uint32_t readers = 0;
    for (uint32_t i = 0; i < b->plan->node_count; i++)
        for (uint32_t k = 0; k < b->plan->nodes[i].input_count; k++)
            readers += b->plan->nodes[i].inputs[k].node == index;
    return readers;
}

static void make_tables(build *b)
{
    leat_arena *arena = &b->flow->arena;
    for (uint32_t i = 0; i < b->plan->node_count; i++) {
        for (uint32_t instance = 0; instance < b->instances[i]; instance++) {
            leat_task *task = task_of(b, i, instance);
            node_of(b, i, instance)->targets = leat_arena_array(arena, leat_target, reader_count(b, i));
            if (b->root[i] != i)
                continue;
            task->outputs = leat_arena_array(arena, leat_channel *, output_channels(b, i));
            task->inputs = leat_arena_array(arena, leat_channel *, input_channels(b, i));
        }
    }
}

static uint64_t identity_of(const build *b, const leat_flow_node *from, const leat_plan_input *edge,
                            const leat_flow_node *to)
{
    const char *producer = b->plan->nodes[edge->node].uid, *consumer = b->plan->nodes[to->index].uid;
    uint64_t identity = leat_hash(producer, strlen(producer));
    identity = leat_hash_seeded(consumer, strlen(consumer), identity);
    identity = leat_hash_combine(identity, (uint64_t)from->instance << 32 | to->instance);
    return leat_hash_combine(identity, (uint64_t)edge->output << 32 | edge->port);
}

// Hundreds of rules that fill the rings of one sink would hold a hundred times what one does: the more rings, the shorter.
static uint32_t ring_room(const build *b, uint32_t consumer)
{
    uint32_t room = LEAT_RING_ELEMENTS, channels = input_channels(b, consumer);
    while (room > LEAT_RING_ELEMENTS_MIN && room * channels > LEAT_TASK_INPUT_ELEMENTS)
        room /= 2;
    return room;
}

static leat_channel *make_channel(build *b, leat_flow_node *from, leat_flow_node *to, uint32_t edge_index)
{
    const leat_plan_input *edge = &to->plan->inputs[edge_index];
    leat_channel *channel = leat_arena_alloc_aligned(&b->flow->arena, sizeof *channel, _Alignof(leat_channel));
    memset(channel, 0, sizeof *channel);
    leat_ring_init(&channel->ring, &b->flow->arena, ring_room(b, to->index));
    channel->producer = from->task;
    channel->consumer = to->task;
    channel->from = from->task->nodes[0].plan->uid;
    channel->port = edge->port;
    channel->sink_input = edge_index;
    channel->identity = identity_of(b, from, edge, to);
    channel->saved_ms = LEAT_TIME_NONE;
    channel->saved_status = 3;
    from->task->outputs[from->task->output_count++] = channel;
    to->task->inputs[to->task->input_count++] = channel;
    return channel;
}

static void connect_instance(build *b, uint32_t consumer, uint32_t edge_index, uint32_t instance)
{
    const leat_plan_input *edge = &b->plan->nodes[consumer].inputs[edge_index];
    leat_flow_node *from = node_of(b, edge->node, instance);
    leat_target *target = &from->targets[from->target_count++];
    target->output = edge->output;
    target->exchange = edge->exchange;
    target->key_count = edge->key_count;
    target->key_columns = edge->key_columns;
    target->port = b->plan->nodes[consumer].kind == LEAT_NODE_SINK ? edge_index : edge->port;
    from->outputs_used[edge->output] = true;
    if (b->root[consumer] != consumer) {
        target->node = node_of(b, consumer, instance);
        return;
    }
    uint32_t producers = b->instances[edge->node], consumers = b->instances[consumer];
    bool one_to_one = edge->exchange == LEAT_EXCHANGE_FORWARD && producers == consumers;
    uint32_t first = one_to_one ? instance : 0;
    target->channel_count = one_to_one || edge->exchange == LEAT_EXCHANGE_GLOBAL ? 1 : consumers;
    if (edge->exchange == LEAT_EXCHANGE_FORWARD && !one_to_one)
        target->exchange = consumers > 1 ? LEAT_EXCHANGE_REBALANCE : LEAT_EXCHANGE_GLOBAL;
    target->channels = leat_arena_array(&b->flow->arena, leat_channel *, target->channel_count);
    for (uint32_t i = 0; i < target->channel_count; i++)
        target->channels[i] = make_channel(b, from, node_of(b, consumer, first + i), edge_index);
}

// One an input; what an operator takes as one stream, and a sink everything, meets in one.
static void make_valves(build *b, leat_task *task)
{
    const leat_plan_node *first = task->nodes[0].plan;
    const leat_operator_ops *ops = first->kind == LEAT_NODE_OPERATOR ? leat_operator_find(first->operator_name) : NULL;
    bool many = ops && !ops->one_stream;
    uint32_t *input_of = leat_arena_array(&b->flow->arena, uint32_t, task->input_count + 1);
    for (uint32_t i = 0; many && i < task->input_count; i++)
        input_of[i] = task->inputs[i]->port;
    leat_inputs_init(&task->valves, &b->flow->arena, many ? first->port_count : 1, input_of, task->input_count);
}

static void connect_nodes(build *b)
{
    for (uint32_t i = 0; i < b->plan->node_count; i++)
        for (uint32_t k = 0; k < b->plan->nodes[i].input_count; k++)
            for (uint32_t instance = 0; instance < b->instances[b->plan->nodes[i].inputs[k].node]; instance++)
                connect_instance(b, i, k, instance);
    for (uint32_t i = 0; i < b->flow->task_count; i++)
        make_valves(b, &b->flow->tasks[i]);
}

// ---- operators

static leat_code open_operator(leat_flow_node *node, leat_error *out_error)
{
    const leat_operator_ops *ops = leat_operator_find(node->plan->operator_name);
    if (!ops)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "operator '%s' is not built in",
                              node->plan->operator_name);
    leat_operator *operator= leat_arena_calloc(&node->arena, ops->instance_size);
    operator->ops = ops;
    operator->context = & node->context;
    leat_code code = ops->open(operator, out_error);
    if (code == LEAT_OK)
        node->operator= operator;
    else
        leat_error_prefix(out_error, "%s", node->plan->uid);
    return code;
}

static leat_code open_node(leat_flow_node *node, leat_error *out_error)
{
    node->context.now_ms = node->task->flow->setup.ports->now_ms(node->task->flow->setup.ports);
    switch (node->plan->kind) {
    case LEAT_NODE_SOURCE:
        return leat_source_state_create(node, out_error);
    case LEAT_NODE_SINK:
        return leat_sink_state_create(node, out_error);
    case LEAT_NODE_OPERATOR:
        break;
    }
    return open_operator(node, out_error);
}

static leat_code open_all(leat_flow *flow, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t t = 0; t < flow->task_count && code == LEAT_OK; t++)
        for (uint32_t i = 0; i < flow->tasks[t].node_count && code == LEAT_OK; i++)
            code = open_node(&flow->tasks[t].nodes[i], out_error);
    return code;
}

static void make_budgets(leat_flow *flow)
{
    const leat_plan *plan = flow->setup.plan;
    flow->budgets = leat_arena_array(&flow->arena, leat_budget, plan->rule_count);
    for (uint32_t i = 0; i < plan->rule_count; i++)
        leat_budget_init(&flow->budgets[i], flow->setup.env, (size_t)plan->rules[i].memory_bytes);
}

leat_code leat_graph_build(leat_flow *flow, leat_error *out_error)
{
    const leat_plan *plan = flow->setup.plan;
    leat_arena *arena = &flow->arena;
    build b = {.flow = flow, .plan = plan};
    b.instances = flow->instances = leat_arena_array(arena, uint32_t, plan->node_count);
    b.root = leat_arena_array(arena, uint32_t, plan->node_count);
    b.chained = leat_arena_array(arena, uint32_t, plan->node_count);
    b.first_task = leat_arena_array(arena, uint32_t, plan->node_count);
    b.place = leat_arena_array(arena, uint32_t, plan->node_count);
    flow->sources = leat_arena_array(arena, leat_flow_node *, plan->source_count);
    flow->sinks = leat_arena_array(arena, leat_flow_node *, plan->sink_count);
    flow->by_node = leat_arena_array(arena, leat_flow_node *, plan->node_count);
    make_budgets(flow);
    lay_out(&b);
    flow->tasks = leat_arena_array(arena, leat_task, flow->task_count);
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < plan->node_count && code == LEAT_OK; i++)
        for (uint32_t k = 0; b.root[i] == i && k < b.instances[i] && code == LEAT_OK; k++)
            code = make_task(&b, i, k, out_error);
    if (code != LEAT_OK)
        return code;
    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t k = 0; k < b.instances[i]; k++)
            make_node(&b, i, k);
    make_tables(&b);
    connect_nodes(&b);
    return open_all(flow, out_error);
}
