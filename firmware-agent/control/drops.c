#include "firmware-agent/control/drops.h"

#include <stdio.h>
#include <string.h>

#include "firmware-agent/platform/say.h"
#include "operators/core/spec.h"

enum { LINE_SIZE = 512 };

static void say(const char *kind, const char *name, const leat_drops *drops)
{
    char line[LINE_SIZE];
    uint64_t all = 0;
    size_t size = 0;
    for (int cause = 0; cause < LEAT_DROP_CAUSES; cause++) {
        uint64_t count = atomic_load(&drops->counts[cause]);
        if (count == 0)
            continue;
        int more = snprintf(line + size, sizeof line - size, "%s%s %llu", all ? ", " : "",
                            leat_drop_cause_name((leat_drop_cause)cause), (unsigned long long)count);
        size += more > 0 && (size_t)more < sizeof line - size ? (size_t)more : 0;
        all += count;
    }
    if (all > 0)
        leat_say(LEAT_LEVEL_INFO, "%s '%s': %llu row%s dropped: %s", kind, name, (unsigned long long)all,
                 all == 1 ? "" : "s", line);
}

static void say_future(const leat_agent *agent, uint32_t node)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_flow_figures figures;
    leat_flow_measure(leat_agent_flow(agent), node, &figures);
    if (figures.future_rows > 0)
        leat_say(LEAT_LEVEL_INFO, "source '%s': %llu rows from the future: the watermark did not follow them",
                 plan->sources[plan->nodes[node].index].name, (unsigned long long)figures.future_rows);
}

// Windows over processing time close when the clock has passed their end, and not at the end of the input: their rows are in no result.
static void say_open(const leat_agent *agent, uint32_t node)
{
    const leat_plan *plan = leat_agent_plan(agent);
    const leat_plan_node *of = &plan->nodes[node];
    leat_flow_figures figures;
    if (strcmp(of->operator_name, "window_stream") != 0 ||
        !((const leat_window_stream_spec *)of->spec)->processing_time)
        return;
    leat_flow_measure(leat_agent_flow(agent), node, &figures);
    if (figures.state_keys > 0)
        leat_say(LEAT_LEVEL_INFO,
                 "rule '%s': the input ended while windows of the clock were open for %llu key%s: no result",
                 plan->rules[of->rule].name, (unsigned long long)figures.state_keys,
                 figures.state_keys == 1 ? "" : "s");
}

void leat_drops_say(const leat_agent *agent)
{
    const leat_plan *plan = leat_agent_plan(agent);
    for (uint32_t i = 0; i < plan->source_count; i++)
        say("source", plan->sources[i].name, leat_feed_drops((leat_feed *)leat_agent_feed(agent, i)));
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].kind == LEAT_NODE_SOURCE)
            say_future(agent, i);
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].kind == LEAT_NODE_OPERATOR)
            say_open(agent, i);
    for (uint32_t i = 0; i < plan->rule_count; i++)
        say("rule", plan->rules[i].name, leat_agent_rule_drops(agent, i));
}
