// A sink's end of the flow: rows to topics and payloads, with stable ids, handed over in order.
#include <stdio.h>
#include <string.h>

#include "drivers/format.h"
#include "firmware-agent/flow/task.h"
#include "firmware-agent/flow/template.h"
#include "operators/core/cause.h"

enum { PAYLOAD_LIMIT = LEAT_RECORD_BYTES_MAX - 8192, TOPIC_LIMIT = 4096 };

// One stream that the sink is fed by.
typedef struct sink_input {
    leat_format *format;
    leat_format_setup format_setup;
    leat_template *topic, *payload; // NULL: none
    const char *rule;
    const char *output;
    uint64_t uid_hash;
    uint64_t last_cause; // rows of one cause follow each other: their ordinal tells them apart
    uint64_t ordinal;
    uint64_t too_large; // results dropped since the last barrier
} sink_input;

typedef struct held_batch {
    leat_batch *batch;
    uint32_t input;
} held_batch;

struct leat_sink_state {
    leat_flow_node *node;
    const leat_plan_sink *plan;
    sink_input *inputs;
    uint64_t sequence, sequence_saved;
    leat_writer topic, payload;
    held_batch *held; // batches that the outbox had no room for
    uint32_t held_count, held_capacity;
    uint32_t held_row; // rows of held[0] that are through
};

// ---- life

// Whether what cannot be read again has a part in the node's rows.
static bool is_journalled(const leat_plan *plan, uint32_t node, bool *seen)
{
    const leat_plan_node *at = &plan->nodes[node];
    if (seen[node])
        return false;
    seen[node] = true;
    if (at->kind == LEAT_NODE_SOURCE)
        return plan->sources[at->index].driver && !plan->sources[at->index].driver->replayable;
    for (uint32_t i = 0; i < at->input_count; i++)
        if (is_journalled(plan, at->inputs[i].node, seen))
            return true;
    return false;
}

static uint64_t uid_hash(leat_flow *flow, const leat_plan_sink_input *input)
{
    const leat_plan *plan = flow->setup.plan;
    const char *uid = input->rule < plan->rule_count ? plan->rules[input->rule].uid : "";
    const char *output = input->output_name ? input->output_name : "";
    uint64_t hash = leat_hash(plan->agent->name, strlen(plan->agent->name));
    hash = leat_hash_seeded(uid, strlen(uid), hash);
    hash = leat_hash_seeded(output, strlen(output), hash);
    // Each life from a savepoint takes in messages of its own: a window over them has the same cause and another result.
    uint64_t incarnation = flow->setup.lineage.incarnation;
    bool own = incarnation && is_journalled(plan, input->node, leat_arena_array(&flow->arena, bool, plan->node_count));
    return own ? leat_hash_combine(hash, incarnation) : hash;
}

static const char *name_of_stream(const leat_flow *flow, const leat_plan_sink_input *input)
{
    const leat_plan *plan = flow->setup.plan;
    return input->rule < plan->rule_count ? plan->rules[input->rule].name
                                          : plan->sources[plan->nodes[input->node].index].name;
}

static leat_code open_encoder(leat_flow *flow, const leat_plan_sink *plan, const leat_plan_sink_input *from,
                              sink_input *input, leat_error *out_error)
{
    const leat_format_ops *ops = leat_format_find(plan->format ? plan->format->name : "json");
    if (!ops || !ops->encode)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "sink '%s': format '%s' cannot write", plan->name,
                              plan->format ? plan->format->name : "json");
    input->format_setup = (leat_format_setup){.env = flow->setup.env,
                                              .arena = &flow->arena,
                                              .settings = plan->format_settings,
                                              .schema = from->schema,
                                              .changelog_field = plan->changelog_field};
    input->format = leat_arena_calloc(&flow->arena, ops->instance_size);
    input->format->ops = ops;
    input->format->setup = &input->format_setup;
    leat_code code = ops->open(input->format, &input->format_setup, out_error);
    if (code != LEAT_OK)
        input->format = NULL; // close is for what was opened
    return code;
}

static leat_code open_input(leat_sink_state *state, uint32_t index, leat_error *out_error)
{
    leat_flow *flow = state->node->task->flow;
    const leat_plan_sink *plan = state->plan;
    const leat_plan_sink_input *from = &plan->inputs[index];
    sink_input *input = &state->inputs[index];
    input->rule = name_of_stream(flow, from);
    input->output = from->output_name;
    input->uid_hash = uid_hash(flow, from);
    leat_template_names names = {
        .rule = input->rule, .output = from->output_name, .gateway = flow->setup.plan->agent->name, .sink = plan->name};
    leat_code code = LEAT_OK;
    if (plan->topic)
        code = leat_template_parse(&flow->arena, plan->topic, true, &names, from->schema, &input->topic, out_error);
    if (code == LEAT_OK && plan->payload)
        code =
            leat_template_parse(&flow->arena, plan->payload, false, &names, from->schema, &input->payload, out_error);
    if (code == LEAT_OK)
        code = open_encoder(flow, plan, from, input, out_error);
    return code;
}

leat_code leat_sink_state_create(leat_flow_node *node, leat_error *out_error)
{
    leat_flow *flow = node->task->flow;
    leat_sink_state *state = leat_arena_new(&flow->arena, leat_sink_state);
    node->sink = state;
    state->node = node;
    state->plan = &flow->setup.plan->sinks[node->plan->index];
    state->inputs = leat_arena_array(&flow->arena, sink_input, state->plan->input_count);
    leat_writer_init(&state->topic, flow->setup.env, TOPIC_LIMIT);
    leat_writer_init(&state->payload, flow->setup.env, PAYLOAD_LIMIT);
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < state->plan->input_count && code == LEAT_OK; i++)
        code = open_input(state, i, out_error);
    return code;
}

void leat_sink_state_destroy(leat_flow_node *node)
{
    leat_sink_state *state = node->sink;
    if (!state)
        return;
    for (uint32_t i = 0; i < state->plan->input_count; i++)
        if (state->inputs[i].format && state->inputs[i].format->ops->close)
            state->inputs[i].format->ops->close(state->inputs[i].format);
    for (uint32_t i = 0; i < state->held_count; i++)
        leat_batch_unref(state->held[i].batch);
    leat_env_free(node->task->flow->setup.env, state->held, state->held_capacity * sizeof *state->held);
    leat_writer_fini(&state->topic);
    leat_writer_fini(&state->payload);
}

// ---- sequence in checkpoints: version, sequence

static void cut_drops(leat_sink_state *state)
{
    leat_flow *flow = state->node->task->flow;
    leat_flow_ports *ports = flow->setup.ports;
    for (uint32_t i = 0; i < state->plan->input_count; i++) {
        uint32_t rule = state->plan->inputs[i].rule;
        if (state->inputs[i].too_large && ports->rule_drops_cut && rule < flow->setup.plan->rule_count)
            ports->rule_drops_cut(ports, rule, LEAT_DROP_TOO_LARGE, state->inputs[i].too_large);
        state->inputs[i].too_large = 0;
    }
}

void leat_sink_snapshot(leat_flow_node *node, leat_snapshot *snapshot)
{
    leat_sink_state *state = node->sink;
    cut_drops(state);
    uint8_t bytes[9] = {1};
    if (state->sequence == state->sequence_saved && !snapshot->whole[LEAT_GROUP_OPERATOR])
        return;
    memcpy(bytes + 1, &state->sequence, 8);
    snapshot->put(snapshot, LEAT_FLOW_TABLE_SEQUENCE, LEAT_GROUP_OPERATOR, leat_slice_of("s", 1),
                  leat_slice_of((char *)bytes, sizeof bytes));
    if (!snapshot->keep_marks)
        state->sequence_saved = state->sequence;
}

void leat_sink_restore(leat_flow_node *node, leat_slice value)
{
    if (value.size != 9 || value.data[0] != 1)
        return;
    memcpy(&node->sink->sequence, value.data + 1, 8);
    node->sink->sequence_saved = node->sink->sequence;
}

// ---- rows

static uint64_t result_id(const sink_input *input, uint64_t cause, uint64_t ordinal)
{
    return leat_hash_combine(leat_hash_combine(input->uid_hash, cause), ordinal);
}

static void encode(leat_sink_state *state, const sink_input *input, const leat_batch *batch, uint32_t row, uint64_t id)
{
    char id_text[17];
    snprintf(id_text, sizeof id_text, "%016llx", (unsigned long long)id);
    leat_envelope envelope = {0};
    if (state->plan->envelope)
        envelope = (leat_envelope){.id = id_text,
                                   .sequence = state->sequence + 1,
                                   .rule = input->rule,
                                   .gateway = state->node->task->flow->setup.plan->agent->name};
    leat_writer_reset(&state->topic);
    leat_writer_reset(&state->payload);
    if (input->topic)
        leat_template_render(input->topic, batch, row, &state->topic);
    if (input->payload)
        leat_template_render(input->payload, batch, row, &state->payload);
    else
        input->format->ops->encode(input->format, batch, row, &envelope, &state->payload);
}

// False: no room now; nothing was changed.
static bool hand_over(leat_sink_state *state, uint32_t index, const leat_batch *batch, uint32_t row)
{
    leat_flow_node *node = state->node;
    leat_flow_ports *ports = node->task->flow->setup.ports;
    sink_input *input = &state->inputs[index];
    uint64_t cause = batch->cause ? batch->cause[row] : 0;
    uint64_t ordinal = cause == input->last_cause ? input->ordinal + 1 : 0;
    uint64_t id = result_id(input, cause, ordinal);
    encode(state, input, batch, row, id);
    if (state->topic.failed || state->payload.failed) {
        const leat_plan_sink_input *from = &state->plan->inputs[index];
        const leat_plan *plan = node->task->flow->setup.plan;
        input->too_large++;
        leat_drops_add(from->rule < plan->rule_count ? ports->rule_drops(ports, from->rule)
                                                     : ports->source_drops(ports, plan->nodes[from->node].index),
                       LEAT_DROP_TOO_LARGE, 1);
        return true;
    }
    leat_flow_result result = {.sink = node->plan->index,
                               .rule = input->rule,
                               .output = input->output,
                               .kind = leat_batch_kind(batch, row),
                               .id = id,
                               .sequence = state->sequence + 1,
                               .event_ms = batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE,
                               .topic = leat_writer_slice(&state->topic),
                               .payload = leat_writer_slice(&state->payload)};
    leat_error error = {0};
    leat_code code = ports->result(ports, &result, &error);
    if (code == LEAT_AGAIN)
        return false;
    if (code != LEAT_OK) {
        leat_task_fail(node->task, &error);
        return true;
    }
    state->sequence++;
    input->last_cause = cause;
    input->ordinal = ordinal;
    atomic_fetch_add_explicit(&node->rows_out, 1, memory_order_relaxed);
    return true;
}

// Rows from `first` on; returns how many are through.
static uint32_t hand_over_rows(leat_sink_state *state, uint32_t input, const leat_batch *batch, uint32_t first)
{
    uint32_t i = first;
    while (i < batch->selected && !state->node->task->failed &&
           hand_over(state, input, batch, leat_batch_row(batch, i)))
        i++;
    return i;
}

static void hold(leat_sink_state *state, uint32_t input, leat_batch *batch)
{
    if (state->held_count == state->held_capacity) {
        uint32_t capacity = state->held_capacity ? state->held_capacity * 2 : 8;
        held_batch *grown = leat_env_grow(state->node->task->flow->setup.env, state->held,
                                          state->held_capacity * sizeof *grown, capacity * sizeof *grown);
        LEAT_ASSERT(grown);
        state->held = grown;
        state->held_capacity = capacity;
    }
    state->held[state->held_count++] = (held_batch){leat_batch_ref(batch), input};
    state->node->task->blocked_output = true;
}

void leat_sink_deliver(leat_flow_node *node, uint32_t input, leat_batch *batch)
{
    leat_sink_state *state = node->sink;
    if (batch->selected == 0)
        return;
    if (state->held_count > 0) {
        hold(state, input, batch);
        return;
    }
    uint32_t through = hand_over_rows(state, input, batch, 0);
    if (through == batch->selected || node->task->failed)
        return;
    state->held_row = through;
    hold(state, input, batch);
}

bool leat_sink_flush(leat_flow_node *node)
{
    leat_sink_state *state = node->sink;
    while (state->held_count > 0) {
        leat_batch *batch = state->held[0].batch;
        state->held_row = hand_over_rows(state, state->held[0].input, batch, state->held_row);
        if (state->held_row < batch->selected && !node->task->failed)
            return false;
        leat_batch_unref(batch);
        state->held_row = 0;
        memmove(state->held, state->held + 1, --state->held_count * sizeof *state->held);
    }
    return true;
}

bool leat_sink_held(const leat_flow_node *node) { return node->sink->held_count > 0; }
