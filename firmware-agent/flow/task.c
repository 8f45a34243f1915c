#include <string.h>

#include "firmware-agent/flow/task.h"

// Elements a task handles before it gives its worker to another one.
enum { ELEMENTS_A_STEP = 16, STARVED_RETRY_MS = 50 };

void leat_task_fail(leat_task *task, const leat_error *error)
{
    if (task->failed)
        return;
    task->failed = true;
    task->error = *error;
    if (!atomic_exchange(&task->flow->failed, true))
        task->flow->setup.ports->failed(task->flow->setup.ports, error);
}

static void fail_node(leat_flow_node *node, leat_error *error)
{
    const leat_plan *plan = node->task->flow->setup.plan;
    if (node->plan->rule < plan->rule_count)
        leat_error_prefix(error, "rule '%s'", plan->rules[node->plan->rule].name);
    leat_task_fail(node->task, error);
}

// ---- down the chain

void leat_node_emit(leat_flow_node *node, unsigned output, leat_batch *batch)
{
    atomic_fetch_add_explicit(&node->rows_out, batch->selected, memory_order_relaxed);
    for (uint32_t i = 0; i < node->target_count; i++)
        if (node->targets[i].output == output)
            leat_target_send(&node->targets[i], node, batch);
}

static void pass_watermark(leat_flow_node *node, leat_batch *batch)
{
    for (uint32_t i = 0; i < node->target_count; i++)
        leat_target_send(&node->targets[i], node, batch);
}

static void raise_watermark(leat_flow_node *node, int64_t watermark_ms)
{
    if (watermark_ms == LEAT_TIME_NONE || watermark_ms <= node->context.watermark_ms)
        return;
    node->context.watermark_ms = watermark_ms;
    atomic_store_explicit(&node->watermark_ms, watermark_ms, memory_order_relaxed);
}

static void deliver_to_operator(leat_flow_node *node, uint32_t port, leat_batch *batch)
{
    leat_error error = {0};
    leat_code code = LEAT_OK;
    if (batch->selected > 0)
        code = node->operator->ops->on_batch(node->operator, port, batch, &error);
    else if (batch->watermark_after <= node->context.watermark_ms)
        return;
    else if (node->operator->ops->on_watermark)
        code = node->operator->ops->on_watermark(node->operator, batch->watermark_after, &error);
    else
        pass_watermark(node, batch);
    if (code != LEAT_OK)
        fail_node(node, &error);
    raise_watermark(node, batch->watermark_after);
}

void leat_node_deliver(leat_flow_node *node, uint32_t port, leat_batch *batch)
{
    if (node->task->failed)
        return;
    atomic_fetch_add_explicit(&node->rows_in, batch->selected, memory_order_relaxed);
    atomic_fetch_add_explicit(&node->batches, 1, memory_order_relaxed);
    if (node->sink) {
        leat_sink_deliver(node, port, batch);
        raise_watermark(node, batch->watermark_after);
    } else {
        deliver_to_operator(node, port, batch);
    }
}

// ---- marks

void leat_task_mark(leat_task *task, leat_element_kind kind, uint64_t barrier)
{
    if (task->output_count == 0)
        return;
    leat_batch *mark = leat_batch_get_mark(task->pool, kind);
    mark->barrier = barrier;
    for (uint32_t i = 0; i < task->output_count; i++)
        leat_channel_send(task->outputs[i], mark);
    leat_batch_unref(mark);
}

static void put_mark(leat_snapshot *snapshot, uint8_t table, uint64_t key, int64_t value, uint8_t flags)
{
    uint8_t bytes[9];
    uint8_t key_bytes[8];
    memcpy(bytes, &value, 8);
    memcpy(key_bytes, &key, 8);
    bytes[8] = flags;
    leat_snapshot_put_mark(snapshot, table, LEAT_GROUP_OPERATOR, leat_slice_of((char *)key_bytes, 8),
                           leat_slice_of((char *)bytes, sizeof bytes));
}

static uint8_t channel_status(const leat_valve_channel *channel)
{
    return (uint8_t)(channel->active | channel->aligned << 1);
}

static void snapshot_channels(leat_task *task, leat_snapshot *snapshot)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        leat_channel *channel = task->inputs[i];
        const leat_valve_channel *seen = leat_inputs_channel(&task->valves, i);
        bool same = channel->saved_ms == seen->watermark_ms && channel->saved_status == channel_status(seen);
        if (!leat_snapshot_mark_due(snapshot, !same, &channel->unkept) && !snapshot->whole[LEAT_GROUP_OPERATOR])
            continue;
        put_mark(snapshot, LEAT_FLOW_TABLE_CHANNEL, channel->identity, seen->watermark_ms, channel_status(seen));
        if (snapshot->keep_marks)
            continue;
        channel->saved_ms = seen->watermark_ms;
        channel->saved_status = channel_status(seen);
    }
}

static void snapshot_inputs(leat_flow_node *node, leat_snapshot *snapshot)
{
    leat_inputs *valves = &node->task->valves;
    for (uint32_t i = 0; valves->count > 1 && i < valves->count; i++) {
        leat_input *input = &valves->inputs[i];
        bool changed = input->saved_ms != input->valve.last_ms;
        if (leat_snapshot_mark_due(snapshot, changed, &input->unkept) || snapshot->whole[LEAT_GROUP_OPERATOR])
            put_mark(snapshot, LEAT_FLOW_TABLE_WATERMARK, node->instance | (uint64_t)(i + 1) << 32,
                     input->valve.last_ms, 0);
        if (!snapshot->keep_marks)
            input->saved_ms = input->valve.last_ms;
    }
}

// Watermarks and channels are restored exactly, so that a restart at any row changes no result.
static void snapshot_flow(leat_flow_node *node, leat_snapshot *snapshot)
{
    bool changed = node->saved_ms != node->context.watermark_ms;
    if (leat_snapshot_mark_due(snapshot, changed, &node->unkept) || snapshot->whole[LEAT_GROUP_OPERATOR])
        put_mark(snapshot, LEAT_FLOW_TABLE_WATERMARK, node->instance, node->context.watermark_ms, 0);
    if (!snapshot->keep_marks)
        node->saved_ms = node->context.watermark_ms;
    for (leat_flow_stale *each = node->stale; each; each = each->next)
        snapshot->remove(snapshot, each->table, LEAT_GROUP_OPERATOR,
                         leat_slice_of((char *)each->key, sizeof each->key));
    if (!snapshot->keep_marks)
        node->stale = NULL;
    if (node != &node->task->nodes[0])
        return;
    snapshot_channels(node->task, snapshot);
    snapshot_inputs(node, snapshot);
}

static void cut_drops(leat_flow_node *node)
{
    leat_flow_ports *ports = node->task->flow->setup.ports;
    for (int cause = 0; node->operator&& ports->rule_drops_cut && cause<LEAT_DROP_CAUSES; cause++) {
        uint64_t now = atomic_load_explicit(&node->drops.counts[cause], memory_order_relaxed);
        if (now != node->drops_cut[cause])
            ports->rule_drops_cut(ports, node->plan->rule, (leat_drop_cause)cause, now - node->drops_cut[cause]);
        node->drops_cut[cause] = now;
    }
}

static void snapshot_node(leat_flow_node *node, uint64_t barrier)
{
    leat_flow_ports *ports = node->task->flow->setup.ports;
    leat_snapshot *snapshot = ports->part_begin(ports, barrier, node->index, node->instance);
    if (node->operator&& node->operator->ops->snapshot)
        node->operator->ops->snapshot(node->operator, snapshot);
    if (node->source)
        leat_source_snapshot(node, snapshot);
    if (node->sink)
        leat_sink_snapshot(node, snapshot);
    snapshot_flow(node, snapshot);
    cut_drops(node);
    ports->part_done(ports, barrier, node->index, node->instance, snapshot);
    if (node->sink)
        ports->sink_cut(ports, node->plan->index, barrier);
}

// A task that had nothing to do since the last barrier gives back what it keeps for the next rows.
static void give_back_memory(leat_task *task)
{
    uint64_t batches = 0;
    for (uint32_t i = 0; i < task->node_count; i++)
        batches += atomic_load_explicit(&task->nodes[i].batches, memory_order_relaxed);
    if (batches == task->batches_at_cut)
        leat_batch_pool_trim(task->pool);
    task->batches_at_cut = batches;
}

void leat_task_cut(leat_task *task, uint64_t barrier)
{
    give_back_memory(task);
    for (uint32_t i = 0; i < task->node_count; i++)
        snapshot_node(&task->nodes[i], barrier);
    leat_task_mark(task, LEAT_ELEMENT_BARRIER, barrier);
    task->barrier_done = barrier;
    leat_flow *flow = task->flow;
    if (atomic_fetch_sub(&flow->barrier_left, 1) == 1)
        flow->setup.ports->cut_done(flow->setup.ports, barrier);
}

void leat_task_end(leat_task *task)
{
    if (task->ended || task->failed)
        return;
    task->ended = true;
    leat_task_mark(task, LEAT_ELEMENT_END, 0);
    leat_flow *flow = task->flow;
    if (atomic_fetch_sub(&flow->tasks_left, 1) == 1)
        flow->setup.ports->finished(flow->setup.ports);
}

// ---- inputs

static void send_watermark(leat_task *task, int64_t watermark_ms)
{
    leat_batch *batch = leat_batch_get(task->pool);
    batch->watermark_after = watermark_ms;
    leat_node_deliver(&task->nodes[0], 0, batch);
    leat_batch_unref(batch);
}

static void handle_rows(leat_task *task, uint32_t input, leat_batch *batch)
{
    leat_channel *channel = task->inputs[input];
    uint32_t port = task->nodes[0].sink ? channel->sink_input : channel->port;
    if (task->input_count == 1) {
        leat_node_deliver(&task->nodes[0], port, batch);
        return;
    }
    if (!batch->watermark) {
        int64_t after = leat_inputs_batch(&task->valves, input, NULL, 0, batch->watermark_after);
        if (batch->selected == 0 && after == LEAT_TIME_NONE)
            return;
        leat_batch *combined = leat_batch_derive(task->pool, batch);
        combined->watermark_after = after;
        leat_node_deliver(&task->nodes[0], port, combined);
        leat_batch_unref(combined);
        return;
    }
    size_t size = batch->count * sizeof *batch->watermark;
    leat_batch *combined = leat_batch_derive_with(task->pool, batch, size);
    combined->watermark = leat_arena_alloc(&combined->arena, size);
    memcpy(combined->watermark, batch->watermark, size);
    combined->watermark_after =
        leat_inputs_batch(&task->valves, input, combined->watermark, batch->count, batch->watermark_after);
    leat_node_deliver(&task->nodes[0], port, combined);
    leat_batch_unref(combined);
}

static void handle_status(leat_task *task, uint32_t input, bool idle)
{
    int64_t rises[LEAT_INPUTS_RISES];
    bool status;
    uint32_t count = leat_inputs_status(&task->valves, input, idle, rises, &status);
    for (uint32_t i = 0; i < count; i++)
        send_watermark(task, rises[i]);
    if (status)
        leat_task_mark(task, idle ? LEAT_ELEMENT_IDLE : LEAT_ELEMENT_ACTIVE, 0);
}

static void unblock_inputs(leat_task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++)
        task->inputs[i]->blocked = false;
}

// Aligned: a channel that has delivered the barrier waits for the others. At least once: nobody waits.
static void handle_barrier(leat_task *task, leat_channel *channel, uint64_t barrier)
{
    if (task->barrier != barrier) {
        task->barrier = barrier;
        task->barrier_count = 0;
    }
    channel->blocked = task->flow->setup.plan->agent->barrier_mode == 0;
    if (++task->barrier_count < task->input_count)
        return;
    unblock_inputs(task);
    leat_task_cut(task, barrier);
    task->barrier = 0;
}

static void handle_end(leat_task *task, leat_channel *channel)
{
    channel->ended = true;
    for (uint32_t i = 0; i < task->input_count; i++)
        if (!task->inputs[i]->ended)
            return;
    leat_task_end(task);
}

static void handle(leat_task *task, uint32_t input, leat_batch *batch)
{
    leat_channel *channel = task->inputs[input];
    switch (batch->kind) {
    case LEAT_ELEMENT_ROWS:
        handle_rows(task, input, batch);
        break;
    case LEAT_ELEMENT_BARRIER:
        handle_barrier(task, channel, batch->barrier);
        break;
    case LEAT_ELEMENT_IDLE:
        handle_status(task, input, true);
        break;
    case LEAT_ELEMENT_ACTIVE:
        handle_status(task, input, false);
        break;
    case LEAT_ELEMENT_END:
        handle_end(task, channel);
        break;
    }
}

static void wake_starved(leat_task *producer)
{
    uint32_t wanted = atomic_load(&producer->starved);
    if (wanted && leat_batch_pool_in_use(producer->pool) < wanted)
        leat_task_notify(producer);
}

static bool take_one(leat_task *task)
{
    for (uint32_t tried = 0; tried < task->input_count; tried++) {
        uint32_t input = task->next_input;
        task->next_input = (input + 1) % task->input_count;
        leat_channel *channel = task->inputs[input];
        if (channel->blocked)
            continue;
        leat_batch *batch = leat_ring_pop(&channel->ring);
        if (!batch)
            continue;
        // A producer that waits for room is woken when the ring is half empty, not at every element.
        if (leat_ring_count(&channel->ring) == leat_ring_capacity(&channel->ring) / 2)
            leat_task_notify(channel->producer);
        handle(task, input, batch);
        leat_batch_unref(batch);
        wake_starved(channel->producer);
        return true;
    }
    return false;
}

// ---- a step

static bool flush_outputs(leat_task *task)
{
    const char *waits_for = NULL;
    for (uint32_t i = 0; i < task->output_count; i++)
        if (!leat_channel_flush(task->outputs[i]))
            waits_for = task->outputs[i]->consumer->nodes[0].plan->uid;
    for (uint32_t i = 0; i < task->node_count; i++)
        if (task->nodes[i].sink && !leat_sink_flush(&task->nodes[i]))
            waits_for = task->nodes[i].plan->uid;
    task->blocked_output = waits_for != NULL;
    atomic_store_explicit(&task->waits_for, waits_for, memory_order_relaxed);
    return !waits_for;
}

static void run_timers(leat_task *task)
{
    for (uint32_t i = 0; i < task->node_count; i++) {
        leat_flow_node *node = &task->nodes[i];
        if (node->wake_ms > leat_operator_due_ms(&node->context) || !node->operator|| !node->operator->ops->on_time)
            continue;
        leat_error error = {0};
        node->wake_ms = INT64_MAX;
        if (node->operator->ops->on_time(node->operator, & error) != LEAT_OK)
            fail_node(node, &error);
    }
}

static void set_clock(leat_task *task, int64_t now_ms)
{
    for (uint32_t i = 0; i < task->node_count; i++)
        task->nodes[i].context.now_ms = now_ms;
}

static int64_t next_wake(const leat_task *task)
{
    int64_t wake_ms = INT64_MAX;
    for (uint32_t i = 0; i < task->node_count; i++)
        if (task->nodes[i].wake_ms < wake_ms)
            wake_ms = task->nodes[i].wake_ms + task->flow->setup.clock_runs;
    if (task->nodes[0].source && leat_source_wake_ms(&task->nodes[0]) < wake_ms)
        wake_ms = leat_source_wake_ms(&task->nodes[0]);
    int64_t again_ms = task->nodes[0].context.now_ms + STARVED_RETRY_MS;
    if (atomic_load(&task->starved) && again_ms < wake_ms)
        wake_ms = again_ms;
    return wake_ms;
}

bool leat_task_barrier_waits(const leat_task *task)
{
    return atomic_load_explicit(&task->flow->barrier_request, memory_order_acquire) > task->barrier_done;
}

static leat_step step_source(leat_task *task)
{
    leat_flow_node *node = &task->nodes[0];
    leat_flow *flow = task->flow;
    if (leat_task_barrier_waits(task) && !leat_source_mid_arrival(node)) {
        uint64_t barrier = atomic_load(&flow->barrier_request);
        flow->setup.ports->source_cut(flow->setup.ports, node->plan->index, barrier);
        leat_task_cut(task, barrier);
    }
    leat_step step = task->ended ? LEAT_STEP_IDLE : leat_source_step(node);
    // A barrier that came while an arrival was under way gets in at the next step.
    return step == LEAT_STEP_IDLE && leat_task_barrier_waits(task) && !task->failed ? LEAT_STEP_MORE : step;
}

// Rings bound the number of batches under way, and this their bytes. Only while somebody else has some that will come back.
bool leat_task_starves(leat_task *task)
{
    bool starves = false;
    if (leat_batch_pool_used_bytes(task->pool) <= LEAT_TASK_POOL_BYTES)
        return false;
    uint32_t wanted = leat_batch_pool_in_use(task->pool) / 2;
    for (uint32_t i = 0; i < task->output_count && !starves; i++)
        starves = leat_ring_count(&task->outputs[i]->ring) > 0;
    atomic_store(&task->starved, starves ? wanted + 1 : 0);
    return starves;
}

static leat_step step_inputs(leat_task *task)
{
    for (int i = 0; i < ELEMENTS_A_STEP; i++) {
        if (leat_task_starves(task) || !take_one(task))
            return LEAT_STEP_IDLE;
        if (task->blocked_output || task->failed)
            break;
    }
    return LEAT_STEP_MORE;
}

static const char *holder_of(const leat_task *task)
{
    uint32_t holder = leat_inputs_holder(&task->valves);
    return holder == UINT32_MAX ? NULL : task->inputs[holder]->from;
}

static void measure(leat_task *task)
{
    if (task->input_count > 1)
        atomic_store_explicit(&task->holder, holder_of(task), memory_order_relaxed);
    uint32_t fullest = 0;
    for (uint32_t i = 0; i < task->input_count; i++) {
        uint32_t fill = leat_ring_count(&task->inputs[i]->ring) * 100 / leat_ring_capacity(&task->inputs[i]->ring);
        fullest = fill > fullest ? fill : fullest;
    }
    atomic_store_explicit(&task->fill_percent, fullest, memory_order_relaxed);
    for (uint32_t i = 0; i < task->node_count; i++) {
        leat_flow_node *node = &task->nodes[i];
        uint64_t bytes = 0, keys = 0;
        if (!node->operator|| !node->operator->ops->measure)
            continue;
        node->operator->ops->measure(node->operator, & bytes, &keys);
        atomic_store_explicit(&node->state_bytes, bytes, memory_order_relaxed);
        atomic_store_explicit(&node->state_keys, keys, memory_order_relaxed);
    }
}

// Nothing is begun, and above all no barrier passes, before what came earlier is through: a cut must not lie between a node's
// state and the results that it has already made.
static leat_step step_unblocked(leat_task *task)
{
    leat_flow_ports *ports = task->flow->setup.ports;
    atomic_store(&task->starved, 0);
    if (task->blocked_output && !flush_outputs(task))
        return LEAT_STEP_BLOCKED;
    int64_t now_ms = ports->now_ms(ports);
    set_clock(task, now_ms);
    run_timers(task);
    if (task->blocked_output && !flush_outputs(task))
        return LEAT_STEP_BLOCKED;
    if (task->failed)
        return LEAT_STEP_IDLE;
    leat_step step = task->nodes[0].source ? step_source(task) : step_inputs(task);
    if (task->blocked_output && !flush_outputs(task))
        return LEAT_STEP_BLOCKED;
    return step;
}

leat_step leat_task_step(leat_task *task)
{
    if (task->failed)
        return LEAT_STEP_IDLE;
    leat_step step = step_unblocked(task);
    // A timer cannot run while the task is blocked: room wakes it, not the clock.
    bool asleep = task->failed || step == LEAT_STEP_BLOCKED;
    atomic_store(&task->wake_ms, asleep ? INT64_MAX : next_wake(task));
    measure(task);
    return task->failed ? LEAT_STEP_IDLE : step;
}
