#include "firmware-agent/flow/flow.h"

#include <stdio.h>
#include <string.h>

#include "firmware-agent/flow/task.h"
#include "operators/base/hash.h"

// ---- life

leat_code leat_flow_create(const leat_flow_setup *setup, leat_flow **out_flow, leat_error *out_error)
{
    leat_flow *flow = leat_env_calloc(setup->env, sizeof *flow);
    if (!flow)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the flow");
    flow->setup = *setup;
    if (flow->setup.batch_rows == 0 || flow->setup.batch_rows > LEAT_BATCH_ROWS)
        flow->setup.batch_rows = LEAT_BATCH_ROWS;
    leat_arena_init(&flow->arena, setup->env, 16384);
    leat_code code = leat_graph_build(flow, out_error);
    if (code != LEAT_OK) {
        leat_flow_destroy(flow);
        return code;
    }
    atomic_store(&flow->tasks_left, flow->task_count);
    *out_flow = flow;
    return LEAT_OK;
}

static void destroy_channels(leat_task *task)
{
    leat_env *env = task->flow->setup.env;
    for (uint32_t i = 0; i < task->output_count; i++) {
        leat_channel *channel = task->outputs[i];
        for (uint32_t k = 0; k < channel->pending_count; k++)
            leat_batch_unref(channel->pending[k]);
        leat_env_free(env, channel->pending, channel->pending_capacity * sizeof *channel->pending);
        for (leat_batch *batch; (batch = leat_ring_pop(&channel->ring));)
            leat_batch_unref(batch);
    }
}

static void destroy_node(leat_flow_node *node)
{
    if (node->operator&& node->operator->ops->close)
        node->operator->ops->close(node->operator);
    if (node->source)
        leat_source_state_destroy(node);
    if (node->sink)
        leat_sink_state_destroy(node);
    leat_arena_fini(&node->arena);
}

void leat_flow_destroy(leat_flow *flow)
{
    if (!flow)
        return;
    leat_flow_stop(flow);
    for (uint32_t t = 0; flow->tasks && t < flow->task_count; t++)
        if (flow->tasks[t].flow)
            destroy_channels(&flow->tasks[t]);
    for (uint32_t t = 0; flow->tasks && t < flow->task_count; t++)
        for (uint32_t i = 0; i < flow->tasks[t].node_count; i++)
            if (flow->tasks[t].nodes[i].plan)
                destroy_node(&flow->tasks[t].nodes[i]);
    // Batches of one task may hang in another's operators: pools go last.
    for (uint32_t t = 0; flow->tasks && t < flow->task_count; t++)
        if (flow->tasks[t].pool)
            leat_batch_pool_destroy(flow->tasks[t].pool);
    leat_env *env = flow->setup.env;
    leat_arena_fini(&flow->arena);
    leat_env_free(env, flow, sizeof *flow);
}

// ---- restore

static leat_flow_node *instance_of(leat_flow *flow, uint32_t node, uint32_t instance)
{
    leat_flow_node *first = flow->by_node[node];
    leat_task *task = first->task + instance;
    return &task->nodes[first - first->task->nodes];
}

static int64_t read_i64(leat_slice bytes)
{
    int64_t value = LEAT_TIME_NONE;
    if (bytes.size >= sizeof value)
        memcpy(&value, bytes.data, sizeof value);
    return value;
}

static void note_stale(leat_flow *flow, uint32_t node, uint8_t table, leat_slice key)
{
    leat_flow_stale *stale = leat_arena_new(&flow->arena, leat_flow_stale);
    if (key.size != sizeof stale->key)
        return;
    stale->next = flow->by_node[node]->stale;
    stale->table = table;
    memcpy(stale->key, key.data, key.size);
    flow->by_node[node]->stale = stale;
}

// Of one input of an instance. At another parallelism the channels tell it anew.
static void restore_input(leat_flow *flow, uint32_t node, leat_slice key, leat_slice value)
{
    uint32_t instance = (uint32_t)read_i64(key), input = (uint32_t)(read_i64(key) >> 32) - 1;
    leat_flow_node *target = instance < flow->instances[node] ? instance_of(flow, node, instance) : NULL;
    if (!target || target != &target->task->nodes[0] || input >= target->task->valves.count) {
        note_stale(flow, node, LEAT_FLOW_TABLE_WATERMARK, key);
        return;
    }
    leat_input *restored = &target->task->valves.inputs[input];
    restored->valve.last_ms = restored->saved_ms = read_i64(value);
}

static void restore_watermark(leat_flow *flow, uint32_t node, leat_slice key, leat_slice value)
{
    int64_t instance = read_i64(key);
    if (instance >> 32 != 0) {
        restore_input(flow, node, key, value);
        return;
    }
    if (instance < 0 || instance >= (int64_t)flow->instances[node])
        note_stale(flow, node, LEAT_FLOW_TABLE_WATERMARK, key);
    for (uint32_t i = 0; i < flow->instances[node]; i++) {
        leat_flow_node *target = instance_of(flow, node, i);
        // At another parallelism every instance takes the lowest that was kept.
        int64_t watermark_ms = read_i64(value);
        bool exact = instance == (int64_t)i;
        if (!exact && (target->saved_ms != LEAT_TIME_NONE || (target->context.watermark_ms != LEAT_TIME_NONE &&
                                                              target->context.watermark_ms <= watermark_ms)))
            continue;
        target->context.watermark_ms = watermark_ms;
        atomic_store(&target->watermark_ms, watermark_ms);
        if (exact)
            target->saved_ms = watermark_ms;
    }
}

static void restore_channel(leat_flow *flow, uint32_t node, leat_slice key, leat_slice value)
{
    uint64_t identity = (uint64_t)read_i64(key);
    bool known = false;
    for (uint32_t i = 0; i < flow->instances[node] && value.size >= 9; i++) {
        leat_task *task = instance_of(flow, node, i)->task;
        for (uint32_t k = 0; k < task->input_count; k++) {
            if (task->inputs[k]->identity != identity)
                continue;
            known = true;
            uint8_t status = (uint8_t)value.data[8];
            task->inputs[k]->saved_ms = read_i64(value);
            task->inputs[k]->saved_status = status;
            *leat_inputs_channel(&task->valves, k) = (leat_valve_channel){
                .watermark_ms = read_i64(value), .active = status & 1, .aligned = (status >> 1) & 1};
        }
    }
    if (!known)
        note_stale(flow, node, LEAT_FLOW_TABLE_CHANNEL, key);
}

static leat_code restore_operator(leat_flow *flow, uint32_t node, uint8_t table, uint32_t group, leat_slice key,
                                  leat_slice value, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (flow->setup.plan->nodes[node].kind != LEAT_NODE_OPERATOR)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "sources and sinks have no state table %u", table);
    for (uint32_t i = 0; i < flow->instances[node] && code == LEAT_OK; i++) {
        leat_flow_node *target = instance_of(flow, node, i);
        bool owned = group == LEAT_GROUP_OPERATOR || leat_operator_owns(&target->context, group);
        if (!target->operator|| !target->operator->ops->restore || !owned)
            continue;
        code = target->operator->ops->restore(target->operator, table, group, key, value, out_error);
    }
    return code;
}

leat_code leat_flow_restore(leat_flow *flow, uint32_t node, uint8_t table, uint32_t group, leat_slice key,
                            leat_slice value, leat_error *out_error)
{
    LEAT_ASSERT(node < flow->setup.plan->node_count);
    switch (table) {
    case LEAT_FLOW_TABLE_WATERMARK:
        restore_watermark(flow, node, key, value);
        return LEAT_OK;
    case LEAT_FLOW_TABLE_CHANNEL:
        restore_channel(flow, node, key, value);
        return LEAT_OK;
    case LEAT_FLOW_TABLE_GENERATOR:
        if (flow->by_node[node]->source)
            leat_source_restore(flow->by_node[node], value);
        return LEAT_OK;
    case LEAT_FLOW_TABLE_SEQUENCE:
        if (flow->by_node[node]->sink)
            leat_sink_restore(flow->by_node[node], value);
        return LEAT_OK;
    default:
        return restore_operator(flow, node, table, group, key, value, out_error);
    }
}

// Generators, valves and watermarks start anew, as Flink's do after a savepoint; operators keep what they declared.
static void forget_watermarks(leat_flow *flow)
{
    for (uint32_t t = 0; t < flow->task_count; t++) {
        leat_task *task = &flow->tasks[t];
        leat_inputs *valves = &task->valves;
        leat_inputs_init(valves, &flow->arena, valves->count, valves->input_of, valves->channel_count);
        for (uint32_t i = 0; i < task->node_count; i++) {
            task->nodes[i].context.watermark_ms = LEAT_TIME_NONE;
            task->nodes[i].context.watermarks_anew = true;
            atomic_store(&task->nodes[i].watermark_ms, LEAT_TIME_NONE);
            if (task->nodes[i].source)
                leat_source_forget(&task->nodes[i]);
        }
    }
}

static void restore_valves(leat_task *task)
{
    // With one channel rows pass by the valve, which then only knows the status.
    if (task->input_count > 1)
        task->valves.last_ms = task->nodes[0].context.watermark_ms;
    leat_inputs_restored(&task->valves);
}

leat_code leat_flow_ready(leat_flow *flow, bool restored, bool savepoint, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (savepoint)
        forget_watermarks(flow);
    for (uint32_t t = 0; t < flow->task_count && code == LEAT_OK; t++) {
        leat_task *task = &flow->tasks[t];
        if (restored && !savepoint)
            restore_valves(task);
        for (uint32_t i = 0; i < task->node_count && code == LEAT_OK; i++) {
            leat_operator *operator= task->nodes[i].operator;
            if (operator&& operator->ops->ready)
                code = operator->ops->ready(operator, restored, out_error);
        }
    }
    return code;
}

// ---- running

leat_code leat_flow_start(leat_flow *flow, leat_error *out_error) { return leat_workers_start(flow, out_error); }

leat_code leat_flow_step(leat_flow *flow, int64_t *out_wait_ms, leat_error *out_error)
{
    bool moved = true;
    while (moved && !atomic_load(&flow->failed)) {
        moved = false;
        for (uint32_t t = 0; t < flow->task_count; t++) {
            leat_task *task = &flow->tasks[t];
            atomic_exchange(&task->state, TASK_RUNNING);
            moved |= leat_task_step(task) == LEAT_STEP_MORE;
            // Somebody handed it an element, or room, while others ran.
            moved |= atomic_exchange(&task->state, TASK_RESTING) == TASK_AGAIN;
        }
        for (uint32_t t = 0; t < flow->task_count && !moved; t++)
            moved = atomic_load(&flow->tasks[t].state) == TASK_QUEUED;
    }
    int64_t wake_ms = INT64_MAX, now_ms = flow->setup.ports->now_ms(flow->setup.ports);
    for (uint32_t t = 0; t < flow->task_count; t++) {
        leat_task *task = &flow->tasks[t];
        if (task->failed) {
            if (out_error)
                *out_error = task->error;
            return task->error.code;
        }
        int64_t wanted = atomic_load(&task->wake_ms);
        wake_ms = wanted < wake_ms ? wanted : wake_ms;
    }
    *out_wait_ms = wake_ms == INT64_MAX ? -1 : wake_ms > now_ms ? wake_ms - now_ms : 0;
    return LEAT_OK;
}

void leat_flow_wake_source(leat_flow *flow, uint32_t source)
{
    if (flow->sources[source])
        leat_task_notify(flow->sources[source]->task);
}

void leat_flow_wake_sink(leat_flow *flow, uint32_t sink)
{
    if (flow->sinks[sink])
        leat_task_notify(flow->sinks[sink]->task);
}

static void wake_sources(leat_flow *flow)
{
    for (uint32_t i = 0; i < flow->setup.plan->source_count; i++)
        leat_flow_wake_source(flow, i);
}

void leat_flow_barrier(leat_flow *flow, uint64_t id)
{
    atomic_store(&flow->barrier_left, flow->task_count);
    atomic_store(&flow->barrier_request, id);
    wake_sources(flow);
}

void leat_flow_hold(leat_flow *flow, bool held)
{
    if (atomic_exchange(&flow->held, held) && !held)
        wake_sources(flow);
}

void leat_flow_set_batch_bytes(leat_flow *flow, uint32_t batch_bytes) { atomic_store(&flow->batch_bytes, batch_bytes); }

void leat_flow_end_sources(leat_flow *flow, bool drain)
{
    atomic_store(&flow->drain, drain);
    atomic_store(&flow->end_sources, true);
    wake_sources(flow);
}

void leat_flow_stop(leat_flow *flow) { leat_workers_stop(flow); }

// ---- figures

uint64_t leat_flow_progress(const leat_flow *flow)
{
    uint64_t barrier = atomic_load(&flow->barrier_request), progress = barrier;
    for (uint32_t t = 0; t < flow->task_count; t++) {
        const leat_task *task = &flow->tasks[t];
        bool passed = atomic_load(&task->barrier_done) >= barrier;
        progress = leat_hash_combine(progress, passed);
        for (uint32_t i = 0; i < task->node_count && !passed; i++)
            progress = leat_hash_combine(progress,
                                         atomic_load(&task->nodes[i].batches) + atomic_load(&task->nodes[i].rows_out));
    }
    return progress;
}

// "source/s waits for sink/out, which takes nothing"
static int print_wait(const leat_task *task, char *text, size_t size)
{
    const char *uid = task->nodes[0].plan->uid, *waits_for = atomic_load(&task->waits_for);
    if (!waits_for)
        return snprintf(
            text, size,
            atomic_load(&task->state) == TASK_RESTING ? "%s waits for its inputs; " : "%s is within a step; ", uid);
    const leat_flow_node *last = &task->nodes[task->node_count - 1];
    if (last->plan->uid == waits_for || strcmp(uid, waits_for) == 0)
        return snprintf(text, size, "%s: its outbox takes nothing; ", waits_for);
    return snprintf(text, size, "%s waits for %s, which takes nothing; ", uid, waits_for);
}

void leat_flow_waits(const leat_flow *flow, char *out_text, size_t size)
{
    uint64_t barrier = atomic_load(&flow->barrier_request);
    size_t used = 0;
    snprintf(out_text, size, "every task has let it pass");
    // Those that know what they wait for first: the others wait for them.
    for (int round = 0; round < 2; round++) {
        for (uint32_t t = 0; t < flow->task_count && used < size; t++) {
            const leat_task *task = &flow->tasks[t];
            bool knows = atomic_load(&task->waits_for) != NULL;
            if (atomic_load(&task->barrier_done) >= barrier || knows != (round == 0))
                continue;
            int printed = print_wait(task, out_text + used, size - used);
            used += printed > 0 ? (size_t)printed : 0;
        }
    }
    if (used >= 2 && used < size)
        out_text[used - 2] = 0;
}

void leat_flow_measure(const leat_flow *flow, uint32_t node, leat_flow_figures *out_figures)
{
    *out_figures = (leat_flow_figures){.watermark_ms = INT64_MAX};
    for (uint32_t i = 0; i < flow->instances[node]; i++) {
        leat_flow_node *instance = instance_of((leat_flow *)flow, node, i);
        out_figures->rows_in += atomic_load(&instance->rows_in);
        out_figures->rows_out += atomic_load(&instance->rows_out);
        out_figures->batches += atomic_load(&instance->batches);
        out_figures->state_bytes += atomic_load(&instance->state_bytes);
        out_figures->state_keys += atomic_load(&instance->state_keys);
        out_figures->busy_ns += atomic_load(&instance->task->busy_ns);
        int64_t watermark_ms = atomic_load(&instance->watermark_ms);
        if (watermark_ms < out_figures->watermark_ms)
            out_figures->watermark_ms = watermark_ms;
        uint32_t fill = atomic_load(&instance->task->fill_percent);
        if (fill > out_figures->ring_fill_percent)
            out_figures->ring_fill_percent = fill;
        const char *holder = atomic_load(&instance->task->holder);
        if (holder && !out_figures->holder)
            out_figures->holder = holder;
        out_figures->idle |= instance->source && leat_source_is_idle(instance);
        if (instance->source)
            out_figures->future_rows += leat_source_future_rows(instance);
    }
}

uint32_t leat_flow_task_count(const leat_flow *flow) { return flow->task_count; }

void leat_flow_task_print(const leat_flow *flow, uint32_t index, leat_writer *out)
{
    const leat_task *task = &flow->tasks[index];
    leat_write_format(out, "task %u:", index);
    for (uint32_t i = 0; i < task->node_count; i++)
        leat_write_format(out, "%s %s", i ? " ->" : "", task->nodes[i].plan->uid);
    if (task->nodes[0].parallelism > 1)
        leat_write_format(out, " [%u of %u]", task->nodes[0].instance + 1, task->nodes[0].parallelism);
}

uint64_t leat_flow_heartbeat(const leat_flow *flow) { return leat_workers_heartbeat(flow); }
