// What a rule promises from its sources to its sinks: the weaker of the two ends, never better: docs/guarantees.md.
#include "config/gateway.h"

#include <stdio.h>
#include <string.h>

typedef enum source_class { SOURCE_EXACT, SOURCE_TWICE, SOURCE_BOUND, SOURCE_GAP, SOURCE_CLASSES } source_class;
typedef enum sink_class { SINK_EXACT, SINK_IDENTIFIED, SINK_TWICE, SINK_NOTHING, SINK_CLASSES } sink_class;

// Crash and power cut alike; what a longer outage or a full disk does is said by the manual.
static const char *const matrix[SOURCE_CLASSES][SINK_CLASSES] = {
    [SOURCE_EXACT] = {"exactly once", "exactly once, repeats are told by their id", "at least once",
                      "not guaranteed (commit: none)"},
    [SOURCE_TWICE] = {"at least once: the source may repeat", "at least once: the source may repeat", "at least once",
                      "not guaranteed (commit: none)"},
    [SOURCE_BOUND] = {"a power cut may lose what came since the last journal.sync, else exactly once",
                      "a power cut may lose what came since the last journal.sync, else exactly once by id",
                      "a power cut may lose what came since the last journal.sync, else at least once",
                      "not guaranteed (commit: none)"},
    [SOURCE_GAP] = {"exactly once for what was read; what was not read meanwhile is a recorded gap",
                    "exactly once by id for what was read; what was not read meanwhile is a recorded gap",
                    "at least once for what was read; what was not read meanwhile is a recorded gap",
                    "not guaranteed (commit: none)"},
};

// A quality of service that the driver declares as its setting `qos`; -1: none.
static int64_t qos_of(const leat_plan_source *source)
{
    const leat_setting *setting = leat_settings_find(&source->driver->settings, leat_slice_text("qos"));
    return setting && setting->type == LEAT_SETTING_INTEGER
               ? *(const int64_t *)((const char *)source->settings + setting->offset)
               : -1;
}

static source_class class_of_source(const leat_plan_source *source)
{
    const leat_source_description *driver = source->driver;
    int64_t qos = qos_of(source);
    char said = driver->guarantee ? driver->guarantee(source->settings) : 0;
    if (said == 'E' || (!said && driver->replayable))
        return SOURCE_EXACT;
    if (said == 'G' || (!said && (driver->decodes || qos == 0)))
        return SOURCE_GAP;
    if (source->ack == LEAT_ACK_FAST)
        return SOURCE_BOUND;
    return !said && qos == 2 ? SOURCE_EXACT : SOURCE_TWICE;
}

static sink_class class_of_sink(const leat_plan_sink *sink)
{
    if (sink->commit == LEAT_COMMIT_NONE)
        return SINK_NOTHING;
    const leat_sink_description *driver = sink->driver;
    switch (driver->guarantee_with ? driver->guarantee_with(sink->settings) : driver->guarantee) {
    case 'E':
        return SINK_EXACT;
    case 'P':
        return SINK_IDENTIFIED;
    case 'I': // a template has no place for the id
        return sink->envelope && !sink->payload ? SINK_IDENTIFIED : SINK_TWICE;
    case 'A':
        return SINK_TWICE;
    default:
        return SINK_NOTHING;
    }
}

const char *gateway_guarantee(const leat_plan_source *source, const leat_plan_sink *sink)
{
    sink_class end = class_of_sink(sink);
    if (end == SINK_NOTHING && sink->commit != LEAT_COMMIT_NONE)
        return "not guaranteed by the sink";
    return matrix[class_of_source(source)][end];
}

// Marks the sources that a node's rows come from.
static void mark_sources(const leat_plan *plan, uint32_t index, bool *visited, bool *out_sources)
{
    const leat_plan_node *node = &plan->nodes[index];
    if (visited[index])
        return;
    visited[index] = true;
    if (node->kind == LEAT_NODE_SOURCE)
        out_sources[node->index] = true;
    for (uint32_t i = 0; i < node->input_count; i++)
        mark_sources(plan, node->inputs[i].node, visited, out_sources);
}

static const char *lines_of(gateway *g, uint32_t rule, const bool *sources)
{
    const leat_plan *plan = g->plan;
    const char *text = "";
    for (uint32_t s = 0; s < plan->sink_count; s++) {
        bool fed = false;
        for (uint32_t i = 0; i < plan->sinks[s].input_count; i++)
            fed |= plan->sinks[s].inputs[i].rule == rule;
        for (uint32_t k = 0; fed && k < plan->source_count; k++)
            if (sources[k])
                text = leat_arena_format(g->arena, "%s%s%s to %s: %s", text, *text ? "\n" : "", plan->sources[k].name,
                                         plan->sinks[s].name, gateway_guarantee(&plan->sources[k], &plan->sinks[s]));
    }
    return text;
}

void gateway_compose_guarantees(gateway *g)
{
    leat_plan *plan = g->plan;
    leat_plan_rule *rules = (leat_plan_rule *)(uintptr_t)plan->rules;
    for (uint32_t i = 0; i < plan->rule_count; i++) {
        bool *visited = leat_arena_array(g->arena, bool, plan->node_count + 1);
        bool *sources = leat_arena_array(g->arena, bool, plan->source_count + 1);
        mark_sources(plan, rules[i].node, visited, sources);
        rules[i].guarantee = lines_of(g, i, sources);
    }
}
