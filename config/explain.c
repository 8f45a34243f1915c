// A plan as text for people, and as a graph.
#include <inttypes.h>
#include <string.h>

#include "config/plan.h"
#include "operators/base/calendar.h"

typedef struct printer {
    const leat_plan *plan;
    leat_writer *out;
    bool color;
} printer;

enum { TREE_DEPTH_MAX = 64 };

static void bold(printer *p, const char *text)
{
    leat_write_format(p->out, p->color ? "\033[1m%s\033[0m" : "%s", text);
}

static void duration(printer *p, int64_t ms)
{
    char text[LEAT_TIMESTAMP_TEXT];
    leat_duration_print(ms, text);
    leat_write_text(p->out, text);
}

static void bytes(printer *p, int64_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    int unit = 0;
    for (; unit < 3 && size && size % 1024 == 0; unit++)
        size /= 1024;
    leat_write_format(p->out, "%" PRId64 " %s", size, units[unit]);
}

// Each line of the text with an indentation.
static void indented(printer *p, const char *text, const char *indent)
{
    while (text && *text) {
        size_t size = strcspn(text, "\n");
        leat_write_format(p->out, "%s%.*s\n", indent, (int)size, text);
        text += size + (text[size] == '\n');
    }
}

static void schema(printer *p, const leat_schema *columns)
{
    char text[LEAT_TYPE_TEXT];
    for (uint32_t i = 0; i < columns->count; i++)
        leat_write_format(p->out, "%s%.*s %s%s", i ? ", " : "", (int)columns->fields[i].name.size,
                          columns->fields[i].name.data, leat_type_print(columns->fields[i].type, text),
                          (int32_t)i == columns->rowtime ? " *rowtime*" : "");
    if (columns->changelog != LEAT_CHANGELOG_INSERT)
        leat_write_format(p->out, "; %s",
                          columns->changelog == LEAT_CHANGELOG_UPSERT ? "updates by key" : "updates and retractions");
    leat_write_text(p->out, "\n");
}

// ---- sources

static void watermark(printer *p, const leat_plan_source *source)
{
    const leat_plan_watermark *w = &source->watermark;
    leat_write_text(p->out, "  watermark  ");
    switch (w->mode) {
    case LEAT_WATERMARK_CLOCK:
        leat_write_text(p->out, "follows the clock; event time is the time of arrival");
        break;
    case LEAT_WATERMARK_BOUNDED:
        leat_write_text(p->out, "highest event time - ");
        duration(p, w->delay_ms);
        leat_write_text(p->out, " - 1ms");
        break;
    case LEAT_WATERMARK_EXPRESSION:
        leat_write_format(p->out, "%s", w->expression_text);
        break;
    case LEAT_WATERMARK_NONE:
        leat_write_text(p->out, "none before the end");
        break;
    case LEAT_WATERMARK_EXPLICIT:
        leat_write_text(p->out, "as the source sends it");
        break;
    }
    const struct {
        const char *text;
        int64_t ms;
    } more[] = {{"idle after ", w->idle_ms}, {"future beyond ", w->future_ms}, {"every ", w->interval_ms}};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (more[i].ms) {
            leat_write_format(p->out, ", %s", more[i].text);
            duration(p, more[i].ms);
        }
    leat_write_text(p->out, "\n");
}

static void print_source(printer *p, const leat_plan_source *source)
{
    bold(p, source->name);
    leat_write_format(p->out, ": %s%s%s%s\n", source->driver->name, source->format ? ", " : "",
                      source->format ? source->format->name : "", source->bounded ? ", comes to an end" : "");
    leat_write_text(p->out, "  columns    ");
    schema(p, source->schema);
    watermark(p, source);
    const char *intake = source->driver->replayable        ? "read again from its position after a crash"
                         : source->driver->decodes         ? "through the journal, synced in groups"
                         : source->ack == LEAT_ACK_DURABLE ? "through the journal, acknowledged when on disk"
                                                           : "through the journal, acknowledged at once";
    leat_write_format(p->out, "  intake     %s\n", intake);
    if (source->variant_of)
        leat_write_format(p->out, "  options    %s, of source %s\n", source->options, source->variant_of);
}

// ---- rules

static const char *const exchange_names[] = {
    [LEAT_EXCHANGE_FORWARD] = "",          [LEAT_EXCHANGE_KEY] = "by key",       [LEAT_EXCHANGE_GLOBAL] = "all to one",
    [LEAT_EXCHANGE_REBALANCE] = "in turn", [LEAT_EXCHANGE_BROADCAST] = "to all",
};

static void exchange(printer *p, const leat_plan_input *edge)
{
    const leat_plan_node *from = &p->plan->nodes[edge->node];
    const leat_schema *columns = from->outputs[edge->output];
    if (edge->exchange == LEAT_EXCHANGE_FORWARD)
        return;
    leat_write_format(p->out, "  <- %s", exchange_names[edge->exchange]);
    for (uint32_t i = 0; i < edge->key_count; i++)
        leat_write_format(p->out, "%s%.*s", i ? ", " : " ", (int)columns->fields[edge->key_columns[i]].name.size,
                          columns->fields[edge->key_columns[i]].name.data);
}

// What the node is, then what it reads, deeper; other rules and sources by name.
static void print_tree(printer *p, uint32_t index, uint32_t rule, uint32_t depth)
{
    const leat_plan_node *node = &p->plan->nodes[index];
    leat_write_format(p->out, "    %*s", (int)depth * 2, "");
    if (node->kind == LEAT_NODE_SOURCE || node->rule != rule || depth > TREE_DEPTH_MAX) {
        bool source = node->kind == LEAT_NODE_SOURCE;
        leat_write_format(p->out, "%s %s\n", source ? "source" : "rule",
                          source ? p->plan->sources[node->index].name : p->plan->rules[node->rule].name);
        return;
    }
    leat_write_format(p->out, "%s", node->operator_name);
    if (node->label && *node->label)
        leat_write_format(p->out, ": %s", node->label);
    if (node->input_count == 1)
        exchange(p, &node->inputs[0]);
    leat_write_format(p->out, "  [%s%s%s%s]\n", node->uid, node->parallel ? ", parallel" : "",
                      node->state_bound ? ", state: " : "", node->state_bound ? node->state_bound : "");
    for (uint32_t i = 0; i < node->input_count; i++) {
        bool again = false; // several edges to one port may come from one node
        for (uint32_t k = 0; k < i; k++)
            again |= node->inputs[k].node == node->inputs[i].node;
        if (!again)
            print_tree(p, node->inputs[i].node, rule, depth + 1);
    }
}

static void print_rule(printer *p, uint32_t index)
{
    const leat_plan_rule *rule = &p->plan->rules[index];
    bold(p, rule->name);
    leat_write_format(p->out, ": %s\n", rule->kind);
    indented(p, rule->text, "    ");
    leat_write_text(p->out, "  columns    ");
    schema(p, rule->schema);
    leat_write_text(p->out, "  plan\n");
    print_tree(p, rule->node, index, 0);
    leat_write_text(p->out, "  budget     ");
    bytes(p, rule->memory_bytes);
    leat_write_format(p->out, " of state; uid %s%s\n", rule->uid,
                      rule->late_node != UINT32_MAX ? "; late rows kept apart" : "");
    if (rule->guarantee && *rule->guarantee)
        leat_write_text(p->out, "  guarantee\n");
    indented(p, rule->guarantee, "    ");
}

// ---- sinks

static const char *const commit_texts[] = {
    [LEAT_COMMIT_CHECKPOINT] = "with the checkpoint that covers them",
    [LEAT_COMMIT_NOW] = "at once: a result asks for a checkpoint",
    [LEAT_COMMIT_NONE] = "at once, without a guarantee",
};

static void input_name(printer *p, const leat_plan_sink_input *input)
{
    const leat_plan_node *node = &p->plan->nodes[input->node];
    const char *name =
        input->rule < p->plan->rule_count ? p->plan->rules[input->rule].name : p->plan->sources[node->index].name;
    leat_write_format(p->out, "%s%s%s", name, input->output_name ? "." : "",
                      input->output_name ? input->output_name : "");
}

// What stands between a rule and this sink alone.
static void print_match(printer *p, const leat_plan_sink *sink)
{
    for (uint32_t i = 0; i < sink->input_count; i++) {
        const leat_plan_node *node = &p->plan->nodes[sink->inputs[i].node];
        if (node->kind == LEAT_NODE_SOURCE || strcmp(node->operator_name, "changelog") != 0 ||
            node == &p->plan->nodes[p->plan->rules[node->rule].node])
            continue;
        leat_write_text(p->out, "\n  changes    of ");
        input_name(p, &sink->inputs[i]);
        leat_write_format(p->out, ": %s  [%s%s%s]", node->label, node->uid, node->state_bound ? ", state: " : "",
                          node->state_bound ? node->state_bound : "");
    }
}

static void print_sink(printer *p, const leat_plan_sink *sink)
{
    bold(p, sink->name);
    leat_write_format(p->out, ": %s%s%s%s\n  takes      ", sink->driver->name, sink->format ? ", " : "",
                      sink->format ? sink->format->name : "", sink->envelope ? ", with id and sequence" : "");
    for (uint32_t i = 0; i < sink->input_count; i++) {
        leat_write_text(p->out, i ? ", " : "");
        input_name(p, &sink->inputs[i]);
    }
    print_match(p, sink);
    if (sink->topic)
        leat_write_format(p->out, "\n  topic      %s", sink->topic);
    leat_write_format(p->out, "\n  delivered  %s\n", commit_texts[sink->commit]);
    if (sink->driver->guarantee_text)
        leat_write_format(p->out, "  promises   %s\n", sink->driver->guarantee_text);
    leat_write_text(p->out, "  outbox     up to ");
    bytes(p, sink->outbox_max_bytes);
    leat_write_text(p->out, "\n");
}

void leat_plan_print(const leat_plan *plan, bool color, leat_writer *out)
{
    printer p = {plan, out, color};
    leat_write_format(out, "gateway %s, %" PRId64 " worker%s, a checkpoint every ", plan->agent->name,
                      plan->agent->workers, plan->agent->workers == 1 ? "" : "s");
    duration(&p, plan->agent->checkpoint_interval_ms);
    leat_write_format(out, ", state in %s, time zone %s%s\n", plan->agent->state, plan->agent->time_zone,
                      plan->bounded ? ", ends with its input" : "");
    for (uint32_t i = 0; i < plan->source_count; i++) {
        leat_write_text(out, "\nsource ");
        print_source(&p, &plan->sources[i]);
    }
    for (uint32_t i = 0; i < plan->rule_count; i++) {
        leat_write_text(out, "\nrule ");
        print_rule(&p, i);
    }
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        leat_write_text(out, "\nsink ");
        print_sink(&p, &plan->sinks[i]);
    }
}

// ---- Graphviz

static void quoted(leat_writer *out, const char *text)
{
    for (; text && *text; text++) {
        if (*text == '"' || *text == '\\')
            leat_write_u8(out, '\\');
        if (*text == '\n')
            leat_write_text(out, "\\n");
        else
            leat_write_u8(out, (uint8_t)*text);
    }
}

static void dot_node(leat_writer *out, const leat_plan_node *node, uint32_t index)
{
    static const char *const shapes[] = {
        [LEAT_NODE_SOURCE] = "cds", [LEAT_NODE_OPERATOR] = "box", [LEAT_NODE_SINK] = "house"};
    leat_write_format(out, "  n%u [shape=%s, label=\"", index, shapes[node->kind]);
    if (node->kind == LEAT_NODE_OPERATOR) {
        quoted(out, node->operator_name);
        leat_write_text(out, node->label && *node->label ? "\\n" : "");
    }
    quoted(out, node->label);
    leat_write_format(out, "\"%s];\n", node->parallel ? ", peripheries=2" : "");
}

static void dot_edges(const leat_plan *plan, leat_writer *out, const leat_plan_node *node, uint32_t index)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        const leat_plan_input *edge = &node->inputs[i];
        const leat_schema *columns = plan->nodes[edge->node].outputs[edge->output];
        leat_write_format(out, "  n%u -> n%u [label=\"%s", edge->node, index, exchange_names[edge->exchange]);
        for (uint32_t k = 0; k < edge->key_count; k++) {
            leat_write_text(out, k ? ", " : " ");
            const leat_slice name = columns->fields[edge->key_columns[k]].name;
            for (size_t c = 0; c < name.size; c++)
                quoted(out, (char[]){name.data[c], 0});
        }
        leat_write_format(out, "\"%s];\n", edge->output ? ", style=dashed" : "");
    }
}

void leat_plan_print_dot(const leat_plan *plan, leat_writer *out)
{
    leat_write_text(out, "digraph leat {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=11];\n");
    for (uint32_t r = 0; r < plan->rule_count; r++) {
        leat_write_format(out, "  subgraph cluster_%u {\n    label=\"", r);
        quoted(out, plan->rules[r].name);
        leat_write_text(out, "\";\n");
        for (uint32_t i = 0; i < plan->node_count; i++)
            if (plan->nodes[i].kind == LEAT_NODE_OPERATOR && plan->nodes[i].rule == r)
                leat_write_format(out, "    n%u;\n", i);
        leat_write_text(out, "  }\n");
    }
    for (uint32_t i = 0; i < plan->node_count; i++)
        dot_node(out, &plan->nodes[i], i);
    for (uint32_t i = 0; i < plan->node_count; i++)
        dot_edges(plan, out, &plan->nodes[i], i);
    leat_write_text(out, "}\n");
}
