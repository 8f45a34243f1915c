// In which order rules are planned: what a rule reads comes first.
#include <string.h>

#include "config/gateway.h"

static int find_rule(const gateway *g, leat_slice name)
{
    for (uint32_t i = 0; i < g->rule_count; i++)
        if (leat_slice_is(name, g->rules[i].plan.name))
            return (int)i;
    return -1;
}

static leat_slice before_dot(leat_slice name)
{
    const char *dot = memchr(name.data, '.', name.size);
    return dot ? leat_slice_of(name.data, (size_t)(dot - name.data)) : name;
}

// Marks that the rule reads a stream, which may be another rule's.
static void depend_on(gateway *g, gateway_rule *rule, leat_slice stream)
{
    leat_slice owner = before_dot(stream);
    int found = find_rule(g, owner);
    if (found < 0)
        return;
    rule->dependencies[rule->dependency_count++] = (uint32_t)found;
    leat_slice output = leat_slice_of(stream.data + owner.size, stream.size - owner.size);
    g->rules[found].late_read |= leat_slice_is(output, ".late");
}

static void depend(gateway *g, gateway_rule *rule, const leat_sql_script *script, leat_arena *scratch)
{
    const leat_planner_table *tables;
    uint32_t count = leat_planner_tables(scratch, script, &tables);
    rule->dependencies = leat_arena_array(g->arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        depend_on(g, rule, tables[i].name);
}

static void depend_of_form(gateway *g, gateway_rule *rule)
{
    const leat_rule_form *form = rule->form_rule;
    rule->dependencies = leat_arena_array(g->arena, uint32_t, form->stream_count + 1);
    for (uint32_t i = 0; i < form->stream_count; i++)
        depend_on(g, rule, form->streams[i]);
}

// A detection's text is bound once more when it is planned, then with its time column: here it does not outlive the look at its tables.
static leat_sql_script *bind_for_a_look(gateway *g, gateway_rule *rule, leat_arena *scratch,
                                        leat_sql_diagnostics *ignored)
{
    leat_arena *plans = g->arena;
    g->arena = scratch;
    leat_sql_script *script = gateway_bind_detection(g, rule, NULL, ignored);
    g->arena = plans;
    return script;
}

static void find_dependencies(gateway *g, gateway_rule *rule, leat_arena *scratch)
{
    leat_sql_diagnostics *ignored = leat_arena_new(scratch, leat_sql_diagnostics);
    leat_sql_script *script = NULL;
    uint32_t errors = g->report.diagnostics->error_count;
    if (rule->form_rule)
        depend_of_form(g, rule);
    if (!rule->text || rule->failed)
        return;
    if (rule->detection)
        script = bind_for_a_look(g, rule, scratch, ignored);
    else if (leat_sql_parse_statements(g->arena, rule->text->text, &script, ignored) == LEAT_OK)
        rule->script = script;
    else
        script = NULL;
    rule->failed |=
        rule->incomplete || g->report.diagnostics->error_count > errors; // values of parameters are reported here, once
    if (script)
        depend(g, rule, script, scratch);
}

// ---- depth first

typedef struct walk {
    gateway *g;
    uint32_t *order;
    uint32_t count, depth;
    uint32_t *path; // rules that are being visited
} walk;

static void report_cycle(walk *w, uint32_t from)
{
    const char *text = "";
    uint32_t start = 0;
    while (w->path[start] != from)
        start++;
    for (uint32_t i = start; i < w->depth; i++) {
        gateway_rule *rule = &w->g->rules[w->path[i]];
        text = leat_arena_format(w->g->arena, "%s'%s' reads ", text, rule->plan.name);
        rule->failed = true;
    }
    gateway_rule *first = &w->g->rules[from];
    leat_report_context(&w->g->report, "rule '%.60s'", first->plan.name);
    if (w->depth - start == 1)
        leat_report_error(&w->g->report, first->key, "the rule reads itself");
    else
        leat_report_error(&w->g->report, first->key, "rules read each other in a circle: %s'%s'", text,
                          first->plan.name);
}

enum { DEPTH_MAX = 1000, SCRATCH_CHUNK = 65536 };

static void visit(walk *w, uint32_t index)
{
    gateway_rule *rule = &w->g->rules[index];
    if (rule->order == RULE_DONE)
        return;
    if (rule->order == RULE_VISITED) {
        report_cycle(w, index);
        return;
    }
    if (w->depth == DEPTH_MAX) {
        leat_report_error(&w->g->report, rule->key, "rules read each other more than %d deep", DEPTH_MAX);
        return;
    }
    rule->order = RULE_VISITED;
    w->path[w->depth++] = index;
    for (uint32_t i = 0; i < rule->dependency_count; i++)
        visit(w, rule->dependencies[i]);
    w->depth--;
    rule->order = RULE_DONE;
    w->order[w->count++] = index;
}

void gateway_order_rules(gateway *g, uint32_t *out_order)
{
    walk w = {.g = g, .order = out_order, .path = leat_arena_array(g->arena, uint32_t, g->rule_count + 1)};
    leat_arena scratch;
    leat_arena_init(&scratch, g->options->env, SCRATCH_CHUNK);
    for (uint32_t i = 0; i < g->rule_count; i++) {
        leat_report_context(&g->report, "rule '%.60s'", g->rules[i].plan.name);
        find_dependencies(g, &g->rules[i], &scratch);
        leat_arena_reset(&scratch);
    }
    leat_arena_fini(&scratch);
    for (uint32_t i = 0; i < g->rule_count; i++)
        visit(&w, i);
    leat_report_context(&g->report, "%s", "");
}
