// What the flow asks of the agent: time, the next record, positions at a barrier, a result's way to its outbox.
#include <string.h>

#include "firmware-agent/agent_struct.h"

static leat_agent *agent_of(leat_flow_ports *ports) { return (leat_agent *)ports; }

static int64_t port_now_ms(leat_flow_ports *ports) { return leat_clock_now_ms(&agent_of(ports)->clock); }

static leat_code port_source_next(leat_flow_ports *ports, uint32_t source, leat_raw *out_raw, int64_t *out_wait_ms,
                                  leat_error *out_error)
{
    return leat_feed_next(agent_of(ports)->feeds[source], out_raw, out_wait_ms, out_error);
}

static leat_source *port_source_decoder(leat_flow_ports *ports, uint32_t source)
{
    return leat_feed_decoder(agent_of(ports)->feeds[source]);
}

static void port_source_cut(leat_flow_ports *ports, uint32_t source, uint64_t id)
{
    leat_agent *agent = agent_of(ports);
    agent_source_cut *cut = &agent->source_cuts[source];
    (void)id;
    leat_slice position = leat_feed_position(agent->feeds[source], &cut->journal_end);
    LEAT_ASSERT(position.size <= LEAT_AGENT_POSITION_MAX);
    cut->size = (uint32_t)position.size;
    if (position.size > 0)
        memcpy(cut->bytes, position.data, position.size);
    leat_drops_take(leat_feed_drops(agent->feeds[source]), &agent->source_seen[source], &agent->source_lost[source]);
}

static void port_rule_drops_cut(leat_flow_ports *ports, uint32_t rule, leat_drop_cause cause, uint64_t count)
{
    leat_drops_add(&agent_of(ports)->rule_lost[rule], cause, count);
}

static void port_source_note(leat_flow_ports *ports, uint32_t source, bool good, const char *text)
{
    leat_feed_note(agent_of(ports)->feeds[source], good, text);
}

static leat_drops *port_source_drops(leat_flow_ports *ports, uint32_t source)
{
    return leat_feed_drops(agent_of(ports)->feeds[source]);
}

static leat_drops *port_rule_drops(leat_flow_ports *ports, uint32_t rule) { return &agent_of(ports)->rule_drops[rule]; }

static leat_code port_result(leat_flow_ports *ports, const leat_flow_result *result, leat_error *out_error)
{
    leat_agent *agent = agent_of(ports);
    leat_delivery_line *line = agent->lines[result->sink];
    leat_code code = leat_delivery_result(line, result, out_error);
    if (code == LEAT_OK &&
        (agent->plan->sinks[result->sink].commit == LEAT_COMMIT_NOW || leat_delivery_is_crowded(line)))
        leat_coordinator_request(agent->coordinator);
    if (!atomic_load(&agent->held) && leat_delivery_wants_hold(line, atomic_load(&agent->tight)))
        leat_agent_update_hold(agent);
    return code;
}

static void port_sink_cut(leat_flow_ports *ports, uint32_t sink, uint64_t id)
{
    leat_agent *agent = agent_of(ports);
    (void)id;
    agent->sink_cuts[sink] = leat_delivery_end(agent->lines[sink]);
}

// So that a later start can say what state of a changed plan was. Format: agent_recovery.c.
static void describe(leat_agent *agent, uint32_t index, leat_snapshot *snapshot)
{
    const leat_plan *plan = agent->plan;
    const leat_plan_node *node = &plan->nodes[index];
    uint8_t bytes[1024];
    leat_writer text = {.bytes = bytes, .capacity = sizeof bytes, .limit = sizeof bytes};
    const char *rule = node->rule < plan->rule_count ? plan->rules[node->rule].name : "";
    leat_write_u8(&text, 1);
    leat_write_sized(&text, node->uid, strlen(node->uid));
    leat_write_sized(&text, rule, strlen(rule));
    leat_write_sized(&text, node->operator_name, strlen(node->operator_name));
    if (!text.failed)
        snapshot->put(snapshot, LEAT_AGENT_TABLE_NODE, LEAT_GROUP_OPERATOR, leat_slice_of("n", 1),
                      leat_writer_slice(&text));
    agent->described[index] = true;
}

static leat_snapshot *port_part_begin(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance)
{
    leat_agent *agent = agent_of(ports);
    const leat_plan_node *plan = &agent->plan->nodes[node];
    leat_snapshot *snapshot = leat_coordinator_part_begin(agent->coordinator, id, node);
    bool due = !agent->described[node] || snapshot->whole[LEAT_GROUP_OPERATOR];
    if (instance == 0 && due && plan->kind == LEAT_NODE_OPERATOR && plan->stateful)
        describe(agent, node, snapshot);
    return snapshot;
}

static void port_part_done(leat_flow_ports *ports, uint64_t id, uint32_t node, uint32_t instance,
                           leat_snapshot *snapshot)
{
    (void)id;
    (void)node;
    (void)instance;
    leat_coordinator_part_done(agent_of(ports)->coordinator, snapshot);
}

static void port_cut_done(leat_flow_ports *ports, uint64_t id)
{
    leat_coordinator_cut_done(agent_of(ports)->coordinator, id);
}

static void port_failed(leat_flow_ports *ports, const leat_error *error) { leat_agent_fail(agent_of(ports), error); }

static void port_finished(leat_flow_ports *ports)
{
    leat_agent *agent = agent_of(ports);
    pthread_mutex_lock(&agent->lock);
    agent->finished = true;
    pthread_cond_broadcast(&agent->news);
    pthread_mutex_unlock(&agent->lock);
}

const leat_flow_ports leat_agent_ports = {.now_ms = port_now_ms,
                                          .source_next = port_source_next,
                                          .source_decoder = port_source_decoder,
                                          .source_note = port_source_note,
                                          .source_cut = port_source_cut,
                                          .source_drops = port_source_drops,
                                          .rule_drops = port_rule_drops,
                                          .rule_drops_cut = port_rule_drops_cut,
                                          .result = port_result,
                                          .sink_cut = port_sink_cut,
                                          .part_begin = port_part_begin,
                                          .part_done = port_part_done,
                                          .cut_done = port_cut_done,
                                          .failed = port_failed,
                                          .finished = port_finished};
