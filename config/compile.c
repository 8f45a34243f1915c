// A gateway file to a plan: the order of the parts, names, and what only the whole shows.
#include <stdio.h>
#include <string.h>

#include "config/gateway.h"
#include "config/yaml/document.h"
#include "operators/base/hash.h"
#include "operators/base/limits.h"
#include "operators/base/suggest.h"

enum { PLAN_CHUNK = 65536, SOURCES_MAX = 256, RULES_MAX = 1024 };

static const char *const sections[] = {"agent", "functions", "detections", "sources", "rules", "sinks", NULL};

// ---- the document

static void check_sections(gateway *g)
{
    leat_slice known[8];
    uint32_t count = 0;
    char hint[128];
    for (; sections[count]; count++)
        known[count] = leat_slice_text(sections[count]);
    for (uint32_t i = 0; i < g->root.count; i++) {
        const leat_yaml_node *key = g->root.pairs[i].key;
        bool found = false;
        for (uint32_t k = 0; k < count; k++)
            found |= leat_slice_equal(known[k], key->text);
        if (!found)
            leat_report_error(&g->report, key, "unknown section '%.60s'%s", key->text.data,
                              leat_suggest_text(key->text, known, count, hint));
    }
}

static bool read_document(gateway *g, const char *path, leat_slice text)
{
    g->document = leat_yaml_parse(g->arena, path, text, &g->report);
    const leat_yaml_node *root = g->document ? g->document->root : NULL;
    if (!g->document)
        return false;
    if (!root || root->kind != LEAT_YAML_MAPPING) {
        leat_report_at(&g->report, g->document, root ? root->offset : 0, 1,
                       "expected a mapping with sources, rules and sinks, found %s", leat_yaml_kind_text(root));
        return false;
    }
    g->root = *root;
    return true;
}

static const char *directory_of(leat_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == path)
        return "/";
    return slash ? leat_arena_copy(arena, path, (size_t)(slash - path)) : "";
}

// ---- functions

static void load_function(gateway *g, const leat_yaml_node *node)
{
    const leat_function_catalog *functions = g->options->functions;
    leat_error error = {0};
    if (node->kind != LEAT_YAML_SCALAR || leat_yaml_is_null(node) || !node->text.size) {
        leat_report_error(&g->report, node, "expected the path of a shared object, found %s",
                          leat_yaml_kind_text(node));
        return;
    }
    if (!functions || !functions->load) {
        leat_report_error(&g->report, node, "libraries of functions are not loaded here");
        return;
    }
    const char *path = leat_settings_path(g->arena, g->reader.directory, node->text);
    if (functions->load(functions->context, path, &error) == LEAT_OK)
        return;
    leat_report_error(&g->report, node, "%s %s", error.place[0] ? error.place : path, error.message);
    leat_planner_miss_functions(g->planner);
}

static void load_item(gateway *g, const leat_yaml_node *item)
{
    static const char *const keys[] = {"library", NULL};
    leat_settings_known known = {NULL, 0, keys};
    const leat_yaml_node *library = leat_yaml_find(item, "library");
    leat_settings_unknown(&g->reader, item, &known);
    if (item->kind == LEAT_YAML_MAPPING && !library)
        leat_report_error(&g->report, item, "missing key 'library': the path of a shared object");
    else
        load_function(g, library ? library : item);
}

// `functions: { name: PATH }`, or a list of paths or { library: PATH }.
static void read_functions(gateway *g)
{
    const leat_yaml_node *node = leat_yaml_find(&g->root, "functions");
    leat_report_context(&g->report, "functions");
    if (!leat_yaml_is_null(node) && node->kind == LEAT_YAML_SCALAR)
        load_function(g, node);
    for (uint32_t i = 0; node && node->kind == LEAT_YAML_SEQUENCE && i < node->count; i++)
        load_item(g, node->items[i]);
    for (uint32_t i = 0; node && node->kind == LEAT_YAML_MAPPING && i < node->count; i++)
        load_item(g, node->pairs[i].value);
    leat_report_context(&g->report, "%s", "");
}

// ---- what only the whole shows

static bool is_read(const leat_plan *plan, uint32_t node)
{
    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t k = 0; k < plan->nodes[i].input_count; k++)
            if (plan->nodes[i].inputs[k].node == node)
                return true;
    return false;
}

static bool has_variant(const gateway *g, const char *source)
{
    for (uint32_t i = 0; i < g->source_count; i++)
        if (g->sources[i].plan.variant_of && !strcmp(g->sources[i].plan.variant_of, source))
            return true;
    return false;
}

static void warn_unread(gateway *g)
{
    for (uint32_t i = 0; i < g->source_count; i++)
        if (!is_read(g->plan, g->sources[i].node))
            leat_report_warning(&g->report, g->sources[i].key, "nobody reads source '%s'%s", g->sources[i].plan.name,
                                has_variant(g, g->sources[i].plan.name) ? " without OPTIONS: it is taken in for nothing"
                                                                        : "");
    for (uint32_t i = 0; i < g->rule_count; i++)
        if (!is_read(g->plan, g->rules[i].plan.node))
            leat_report_warning(&g->report, g->rules[i].key, "nobody takes the results of rule '%s': it has no 'to'",
                                g->rules[i].plan.name);
}

static uint64_t hash_text(uint64_t hash, const char *text) { return leat_hash_seeded(text, strlen(text), hash); }

static uint64_t hash_schema(uint64_t hash, const leat_schema *schema)
{
    char text[LEAT_TYPE_TEXT];
    for (uint32_t i = 0; i < schema->count; i++) {
        hash = leat_hash_seeded(schema->fields[i].name.data, schema->fields[i].name.size, hash);
        hash = hash_text(hash, leat_type_print(schema->fields[i].type, text));
    }
    return hash;
}

static uint64_t hash_node(uint64_t hash, const leat_plan_node *node)
{
    hash = hash_text(hash, node->uid);
    for (uint32_t i = 0; i < node->output_count; i++)
        hash = hash_schema(hash, node->outputs[i]);
    for (uint32_t i = 0; i < node->input_count; i++)
        for (uint32_t k = 0; k < node->inputs[i].key_count; k++)
            hash = leat_hash_combine(hash, node->inputs[i].key_columns[k] + 1u);
    return hash;
}

// What the state of a node is made from: the stateful nodes above it, as far as they go, as one number; 0: none.
static uint64_t made_from(const leat_plan_node *node, const uint64_t *states)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (states[node->inputs[i].node])
            hash = leat_hash_combine(leat_hash_combine(hash, i + 1), states[node->inputs[i].node]);
    return hash;
}

static const leat_plan_node *finished_nodes(gateway *g, uint32_t *out_count)
{
    const leat_plan_node *planned = leat_planner_nodes(g->planner, out_count);
    leat_plan_node *nodes = leat_arena_array(g->arena, leat_plan_node, *out_count + 1);
    uint64_t *states = leat_arena_array(g->arena, uint64_t, *out_count + 1);
    for (uint32_t i = 0; i < *out_count; i++) {
        nodes[i] = planned[i];
        states[i] = made_from(&nodes[i], states);
        if (nodes[i].kind != LEAT_NODE_OPERATOR || !nodes[i].stateful)
            continue;
        nodes[i].computes = gateway_computes(g->arena, &nodes[i], states[i]);
        states[i] = leat_hash(nodes[i].computes, strlen(nodes[i].computes));
    }
    return nodes;
}

static void finish_plan(gateway *g)
{
    leat_plan *plan = g->plan;
    leat_plan_source *sources = leat_arena_array(g->arena, leat_plan_source, g->source_count + 1);
    leat_plan_rule *rules = leat_arena_array(g->arena, leat_plan_rule, g->rule_count + 1);
    leat_plan_sink *sinks = leat_arena_array(g->arena, leat_plan_sink, g->sink_count + 1);
    plan->bounded = g->source_count > 0;
    for (uint32_t i = 0; i < g->source_count; i++) {
        sources[i] = g->sources[i].plan;
        plan->bounded &= sources[i].bounded;
    }
    for (uint32_t i = 0; i < g->rule_count; i++)
        rules[i] = g->rules[i].plan;
    for (uint32_t i = 0; i < g->sink_count; i++)
        if (g->sinks[i].feed_count)
            sinks[plan->sink_count++] = g->sinks[i].plan;
    plan->sources = sources;
    plan->source_count = g->source_count;
    plan->rules = rules;
    plan->rule_count = g->rule_count;
    plan->sinks = sinks;
    leat_planner_drop_unread(g->planner);
    plan->nodes = finished_nodes(g, &plan->node_count);
    plan->fingerprint = 0;
    for (uint32_t i = 0; i < plan->node_count; i++)
        plan->fingerprint = hash_node(plan->fingerprint, &plan->nodes[i]);
    gateway_compose_guarantees(g);
    warn_unread(g);
}

// ---- the parts, in order

static void feed_sources(gateway *g)
{
    for (uint32_t i = 0; i < g->source_count; i++) {
        const gateway_source *source = &g->sources[i];
        gateway_feed feed = {.stream = source->plan.name, .failed = source->node == UINT32_MAX};
        feed.input = (leat_plan_sink_input){.node = source->node, .rule = UINT32_MAX, .schema = source->plan.schema};
        leat_report_context(&g->report, "source '%.60s'", source->plan.name);
        gateway_feed_sink(g, &source->to, source->to_node, &feed);
    }
    leat_report_context(&g->report, "%s", "");
}

// Quadratic checks follow: these bounds are what makes them harmless.
static bool count_fits(gateway *g, const char *section, uint32_t most)
{
    const leat_yaml_node *node = leat_yaml_find(&g->root, section);
    if (!node || node->kind != LEAT_YAML_MAPPING || node->count <= most)
        return true;
    leat_report_error(&g->report, node, "%u %s; at most %u", node->count, section, most);
    return false;
}

static void compile(gateway *g)
{
    gateway_apply_overrides(g);
    check_sections(g);
    gateway_read_agent(g);
    g->planner = leat_planner_create(&(leat_planner_options){
        .env = g->options->env, .arena = g->arena, .zone = g->plan->zone, .functions = g->options->functions});
    read_functions(g);
    gateway_check_detections(g);
    if (!count_fits(g, "sources", SOURCES_MAX) || !count_fits(g, "rules", RULES_MAX) ||
        !count_fits(g, "sinks", SOURCES_MAX))
        return;
    gateway_read_sources(g);
    gateway_read_sinks(g);
    gateway_read_rules(g);
    if (!g->source_count && !g->report.diagnostics->error_count)
        leat_report_at(&g->report, g->document, 0, 1, "there are no sources: nothing would ever come");
    gateway_plan_rules(g);
    feed_sources(g);
    gateway_finish_sinks(g);
    if (!g->report.diagnostics->error_count)
        finish_plan(g);
}

static leat_code first_error(const leat_diagnostics *diagnostics, leat_error *out_error)
{
    for (uint32_t i = 0; i < diagnostics->count; i++) {
        const leat_diagnostic *d = &diagnostics->items[i];
        if (d->warning)
            continue;
        char place[LEAT_ERROR_PLACE_SIZE];
        snprintf(place, sizeof place, "%s:%u:%u", d->path, d->line, d->column);
        return leat_error_at(out_error, LEAT_E_INVALID, place, "%s", d->message);
    }
    return leat_error_set(out_error, LEAT_E_INVALID, "the gateway file has errors");
}

leat_code leat_compile_text(const leat_compile_options *options, const char *path, leat_slice text,
                            leat_plan **out_plan, leat_diagnostics *diagnostics, leat_error *out_error)
{
    leat_plan *plan = leat_env_calloc(options->env, sizeof *plan);
    if (!plan)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a plan");
    leat_arena_init(&plan->arena, options->env, PLAN_CHUNK);
    plan->path = leat_arena_copy(&plan->arena, path, strlen(path));
    gateway *g = leat_arena_new(&plan->arena, gateway);
    leat_arena_init(&g->scratch, options->env, PLAN_CHUNK);
    g->options = options;
    g->plan = plan;
    g->arena = &plan->arena;
    g->report = (leat_report){.diagnostics = diagnostics, .path = plan->path};
    g->reader = (leat_settings_reader){.env = options->env,
                                       .arena = g->arena,
                                       .report = &g->report,
                                       .directory = directory_of(g->arena, path),
                                       .variable = options->variable,
                                       .secrets_unread = options->secrets_unread};
    // The file's text outlives the caller's: values are shown and bound from it.
    leat_slice own = leat_slice_of(leat_arena_copy(g->arena, text.data, text.size), text.size);
    if (read_document(g, plan->path, own))
        compile(g);
    leat_arena_fini(&g->scratch);
    leat_report_sort(&g->report);
    if (!diagnostics->error_count) {
        *out_plan = plan;
        return LEAT_OK;
    }
    leat_plan_destroy(plan);
    return first_error(diagnostics, out_error);
}

leat_code leat_compile_file(const leat_compile_options *options, const char *path, leat_plan **out_plan,
                            leat_diagnostics *diagnostics, leat_error *out_error)
{
    leat_arena arena;
    char *text;
    size_t size;
    leat_arena_init(&arena, options->env, PLAN_CHUNK);
    leat_code code = leat_env_read_file(options->env, path, &arena, LEAT_YAML_BYTES_MAX + 1, &text, &size, out_error);
    if (code == LEAT_OK)
        code = leat_compile_text(options, path, leat_slice_of(text, size), out_plan, diagnostics, out_error);
    leat_arena_fini(&arena);
    return code;
}

void leat_plan_destroy(leat_plan *plan)
{
    if (!plan)
        return;
    leat_env *env = plan->arena.env;
    leat_arena arena = plan->arena;
    leat_arena_fini(&arena);
    leat_env_free(env, plan, sizeof *plan);
}
