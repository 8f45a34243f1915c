// `rules:`: SQL or a short form, with what SQL has no words for.
#include <string.h>

#include "config/gateway.h"
#include "config/sql/print.h"
#include "operators/base/suggest.h"

typedef struct rule_settings {
    leat_text_list to, late_to;
    const char *uid;
    int64_t allowed_lateness_ms, state_ttl_ms, memory_bytes;
    int32_t state_ttl_refresh;
    bool unbounded;
} rule_settings;

static const char *const ttl_refreshes[] = {"write", "read", NULL};
enum { TTL_REFRESH_READ = 1 };

#define MEMBER(name) offsetof(rule_settings, name)
static const leat_setting table[] = {
    {"to", LEAT_SETTING_TEXT_LIST, MEMBER(to), false, NULL, 0, 0, NULL, "The sink or sinks that take the results."},
    {"uid", LEAT_SETTING_TEXT, MEMBER(uid), false, NULL, 0, 0, NULL,
     "Stable name of the rule's state, which survives a renaming; by default the rule's name."},
    {"allowed_lateness", LEAT_SETTING_DURATION, MEMBER(allowed_lateness_ms), false, "0", 0, 0, NULL,
     "How long after its end a window still takes rows; it gives its whole result again for each."},
    {"late_to", LEAT_SETTING_TEXT_LIST, MEMBER(late_to), false, NULL, 0, 0, NULL,
     "The sink or sinks that take rows which came too late; they are also the stream RULE.late."},
    {"state_ttl", LEAT_SETTING_DURATION, MEMBER(state_ttl_ms), false, "0", 0, LEAT_WINDOW_MS_MAX, NULL,
     "After this time without rows a key is forgotten; 0 is never."},
    {"state_ttl_refresh", LEAT_SETTING_CHOICE, MEMBER(state_ttl_refresh), false, "write", 0, 0, ttl_refreshes,
     "What begins the time anew in states of process functions: writing, or reading too. SQL's own go by writing."},
    {"unbounded", LEAT_SETTING_BOOLEAN, MEMBER(unbounded), false, "false", 0, 0, NULL,
     "State that grows with the number of keys and without an end is meant."},
    {"memory", LEAT_SETTING_SIZE, MEMBER(memory_bytes), false, NULL, 65536, -1, NULL,
     "Budget of the rule's state; by default the agent's rule_memory."},
};
const leat_settings gateway_rule_settings = {table, sizeof table / sizeof *table, sizeof(rule_settings)};

// Forms of rules beside sql and detect, in the order of the manual.
static const gateway_form *const forms[] = {
    &gateway_pattern_form, &gateway_window_form, &gateway_join_form, &gateway_split_form, NULL,
};

enum { FORMS = sizeof forms / sizeof *forms };

// 'evict' of 'evict.count': the table's keys lie in a mapping of that name.
static bool names_group(const leat_settings *settings, leat_slice name)
{
    for (size_t i = 0; i < settings->count; i++) {
        const char *dot = strchr(settings->items[i].name, '.');
        if (dot &&
            leat_slice_equal(leat_slice_of(settings->items[i].name, (size_t)(dot - settings->items[i].name)), name))
            return true;
    }
    return false;
}

bool gateway_rule_has_key(leat_slice name)
{
    static const char *const others[] = {"sql", "detect", "outputs"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (leat_slice_is(name, others[i]))
            return true;
    for (uint32_t i = 0; forms[i]; i++)
        if (leat_slice_is(name, forms[i]->key))
            return true;
    return leat_settings_find(&gateway_rule_settings, name) || leat_settings_find(&gateway_emit_settings, name) ||
           names_group(&gateway_emit_settings, name);
}

// ---- reading

static void check_keys(gateway *g, gateway_rule *rule)
{
    const char *others[PARAMETERS_MAX + FORMS + 6];
    const leat_settings *tables[] = {&gateway_rule_settings, &gateway_emit_settings};
    uint32_t count = 0;
    others[count++] = "sql";
    others[count++] = "detect";
    others[count++] = "outputs";
    for (uint32_t i = 0; forms[i]; i++)
        others[count++] = forms[i]->key;
    bool from_in_sql = !rule->detection && leat_yaml_find(rule->value, "sql") && leat_yaml_find(rule->value, "from");
    if (from_in_sql)
        others[count++] = "from";
    for (uint32_t i = 0; rule->detection && i < rule->detection->parameter_count; i++)
        others[count++] = rule->detection->parameters[i].name;
    others[count] = NULL;
    leat_settings_known known = {tables, 2, others};
    bool guess = rule->detect && !rule->detection; // its parameters are not known
    if (!guess)
        leat_settings_unknown(&g->reader, rule->value, &known);
    if (from_in_sql)
        leat_report_error(&g->report, leat_yaml_find(rule->value, "from"),
                          "'from' belongs to a short form; with sql the FROM clause says it");
}

static bool read_detect(gateway *g, gateway_rule *rule)
{
    const leat_yaml_node *name = rule->detect;
    if (name->kind != LEAT_YAML_SCALAR || leat_yaml_is_null(name)) {
        leat_report_error(&g->report, name, "key 'detect': expected the name of a detection, found %s",
                          leat_yaml_kind_text(name));
        return false;
    }
    rule->detection = gateway_find_detection(g, name);
    rule->plan.kind = rule->detection ? rule->detection->name : "";
    rule->text = rule->detection ? rule->detection->sql : NULL;
    if (!rule->detection || rule->detection->failed)
        return false;
    rule->incomplete = !gateway_check_parameters(g, rule);
    return true;
}

static bool read_sql(gateway *g, gateway_rule *rule, const leat_yaml_node *sql)
{
    rule->plan.kind = "sql";
    rule->text = sql;
    if (sql->kind == LEAT_YAML_SCALAR && sql->text.size && !leat_yaml_is_null(sql))
        return true;
    leat_report_error(&g->report, sql, "key 'sql': expected a query, found %s", leat_yaml_kind_text(sql));
    rule->text = NULL;
    return false;
}

// ---- forms

void gateway_print_forms(leat_writer *out)
{
    for (uint32_t i = 0; forms[i]; i++)
        forms[i]->manual(out);
}

static const gateway_form *find_form(const gateway_rule *rule)
{
    for (uint32_t i = 0; forms[i]; i++)
        if (leat_yaml_find(rule->value, forms[i]->key))
            return forms[i];
    return NULL;
}

static bool excluded(gateway *g, const gateway_rule *rule, const char *key)
{
    for (uint32_t i = 0; forms[i]; i++) {
        const leat_yaml_node *other = leat_yaml_find(rule->value, forms[i]->key);
        if (!other || !strcmp(forms[i]->key, key))
            continue;
        leat_report_error(&g->report, other, "'%s' and '%s' exclude each other", key, forms[i]->key);
        return true;
    }
    return false;
}

static bool read_form(gateway *g, gateway_rule *rule)
{
    rule->plan.kind = rule->form->key;
    if (excluded(g, rule, rule->form->key))
        return false;
    rule->form_rule = rule->form->read(g, rule, leat_yaml_find(rule->value, rule->form->key));
    return rule->form_rule != NULL;
}

static bool read_text(gateway *g, gateway_rule *rule)
{
    const leat_yaml_node *sql = leat_yaml_find(rule->value, "sql");
    rule->detect = leat_yaml_find(rule->value, "detect");
    rule->plan.kind = "";
    rule->form = find_form(rule);
    if (sql && rule->detect) {
        leat_report_error(&g->report, rule->detect, "'sql' and 'detect' exclude each other");
        return false;
    }
    if (rule->form && (sql || rule->detect))
        return !excluded(g, rule, sql ? "sql" : "detect");
    if (rule->form)
        return read_form(g, rule);
    if (sql)
        return read_sql(g, rule, sql);
    if (rule->detect)
        return read_detect(g, rule);
    leat_report_error(&g->report, rule->key,
                      "missing key 'sql', 'detect', 'window', 'pattern', 'join' or 'split': what to compute");
    return false;
}

static void take_settings(gateway *g, gateway_rule *rule, const rule_settings *settings)
{
    rule->to = settings->to;
    rule->late_to = settings->late_to;
    rule->allowed_lateness_ms = settings->allowed_lateness_ms;
    rule->state_ttl_ms = settings->state_ttl_ms;
    rule->state_ttl_reads = settings->state_ttl_refresh == TTL_REFRESH_READ;
    rule->unbounded = settings->unbounded;
    rule->plan.uid = settings->uid ? settings->uid : rule->plan.name;
    rule->plan.memory_bytes = settings->memory_bytes ? settings->memory_bytes : g->plan->agent->rule_memory_bytes;
    rule->plan.late_node = UINT32_MAX;
}

static void check_uid(gateway *g, const gateway_rule *rule)
{
    const leat_yaml_node *node = leat_yaml_find(rule->value, "uid");
    if (node && node->kind == LEAT_YAML_SCALAR && !gateway_check_name(g, node, "uid"))
        return;
    for (const gateway_rule *other = g->rules; other < rule; other++) {
        if (strcmp(other->plan.uid, rule->plan.uid))
            continue;
        leat_report_error(&g->report, node ? node : rule->key, "uid '%s' is that of rule '%s' too", rule->plan.uid,
                          other->plan.name);
        return;
    }
}

// False: there is nothing to plan. After any other error the query is checked all the same.
static bool read_rule(gateway *g, gateway_rule *rule)
{
    rule_settings *settings = leat_arena_new(g->arena, rule_settings);
    rule->plan.uid = rule->plan.name;
    rule->plan.kind = "";
    if (rule->value->kind != LEAT_YAML_MAPPING) {
        leat_report_error(&g->report, rule->value, "expected a mapping with sql or detect, found %s",
                          leat_yaml_kind_text(rule->value));
        return false;
    }
    leat_settings_read(&g->reader, &gateway_rule_settings, rule->value, rule->key, settings);
    take_settings(g, rule, settings);
    gateway_read_emit(g, rule);
    rule->outputs = leat_yaml_find(rule->value, "outputs");
    bool text = read_text(g, rule);
    check_keys(g, rule);
    check_uid(g, rule);
    return text;
}

static bool name_is_new(gateway *g, const gateway_rule *rule)
{
    for (uint32_t i = 0; i < g->source_count; i++) {
        if (strcmp(g->sources[i].plan.name, rule->plan.name))
            continue;
        leat_report_error(&g->report, rule->key, "rule '%s' has the name of a source; SQL could not tell them apart",
                          rule->plan.name);
        return false;
    }
    return true;
}

void gateway_read_rules(gateway *g)
{
    const leat_yaml_node *section = gateway_section(g, "rules");
    g->rule_count = section ? section->count : 0;
    g->rules = leat_arena_array(g->arena, gateway_rule, g->rule_count + 1);
    for (uint32_t i = 0; i < g->rule_count; i++) {
        gateway_rule *rule = &g->rules[i];
        *rule = (gateway_rule){.key = section->pairs[i].key, .value = section->pairs[i].value};
        rule->plan.name = rule->key->text.data;
        leat_report_context(&g->report, "%s", "");
        bool named = gateway_check_name(g, rule->key, "rule") && name_is_new(g, rule);
        leat_report_context(&g->report, "rule '%.60s'", rule->plan.name);
        rule->failed = !read_rule(g, rule) || !named;
    }
    leat_report_context(&g->report, "%s", "");
}

// ---- planning

// The time attribute of what the rule reads; *out_failed: that stream has errors of its own.
static const char *time_of(gateway *g, const gateway_rule *rule)
{
    const char *stream = gateway_stream_parameter(g, rule);
    const leat_planner_stream *found = stream ? leat_planner_find_stream(g->planner, leat_slice_text(stream)) : NULL;
    if (!found || found->schema->rowtime < 0)
        return NULL;
    return gateway_copy(g, found->schema->fields[found->schema->rowtime].name);
}

// `${time}` of a stream without one would only be an unknown column to the planner.
static bool has_time(gateway *g, const gateway_rule *rule)
{
    const char *stream = gateway_stream_parameter(g, rule);
    const leat_planner_stream *found = stream ? leat_planner_find_stream(g->planner, leat_slice_text(stream)) : NULL;
    bool used = rule->text && strstr(rule->text->text.data, "${time}");
    if (!used || !found || found->schema->rowtime >= 0)
        return true;
    const leat_yaml_node *from = leat_yaml_find(rule->value, "from");
    leat_report_error(&g->report, from ? from : rule->key, "'%s' has no time attribute, which '%s' needs", stream,
                      rule->plan.kind);
    return false;
}

static leat_sql_script *script_of(gateway *g, gateway_rule *rule, leat_sql_diagnostics *diagnostics)
{
    leat_sql_script *script = NULL;
    if (rule->detection)
        return has_time(g, rule) ? gateway_bind_detection(g, rule, time_of(g, rule), diagnostics) : NULL;
    if (rule->script)
        return rule->script;
    return leat_sql_parse_statements(g->arena, rule->text->text, &script, diagnostics) == LEAT_OK ? script : NULL;
}

static void report(gateway *g, const gateway_rule *rule, const leat_sql_diagnostics *diagnostics)
{
    gateway_report_texts(g, rule);
    if (rule->form_rule)
        return;
    if (rule->detection)
        gateway_report_detection(g, rule, diagnostics);
    else
        gateway_report_sql(g, rule->text, diagnostics);
}

// A rule that reads a failed one fails without words; any other that does has said why.
static void explain_failure(gateway *g, const gateway_rule *rule, const leat_sql_diagnostics *diagnostics,
                            uint32_t errors)
{
    report(g, rule, diagnostics);
    if (g->report.diagnostics->error_count == errors && !rule->result.reads_failed && !diagnostics->count)
        leat_report_error(&g->report, rule->key, "the rule could not be planned");
}

// SQL's operators write what they read, so that there is nothing to choose.
static void check_refresh(gateway *g, const gateway_rule *rule)
{
    const leat_yaml_node *node = leat_yaml_find(rule->value, "state_ttl_refresh");
    if (!rule->state_ttl_reads || rule->result.has_ttl_states)
        return;
    leat_report_error(
        &g->report, node ? node : rule->key,
        "'state_ttl_refresh: read' is for states of process functions that have a time to live, and the rule "
        "has none: what SQL keeps is refreshed when rows are written");
}

static void plan_one(gateway *g, uint32_t index, leat_sql_diagnostics *diagnostics)
{
    gateway_rule *rule = &g->rules[index];
    *diagnostics = (leat_sql_diagnostics){0};
    uint32_t errors = g->report.diagnostics->error_count;
    leat_sql_script *script = rule->form_rule ? NULL : script_of(g, rule, diagnostics);
    leat_rule_request request = {.rule = index,
                                 .name = rule->plan.name,
                                 .uid = rule->plan.uid,
                                 .script = script,
                                 .form = rule->form_rule,
                                 .allowed_lateness_ms = rule->allowed_lateness_ms,
                                 .late_output = rule->late_to.count || rule->late_read,
                                 .state_ttl_ms = rule->state_ttl_ms,
                                 .state_ttl_reads = rule->state_ttl_reads,
                                 .unbounded = rule->unbounded,
                                 .emit = rule->emit};
    if (!script && !rule->form_rule)
        leat_planner_add_failed(g->planner, rule->plan.name);
    rule->failed =
        (!script && !rule->form_rule) || leat_planner_rule(g->planner, &request, &rule->result, diagnostics) != LEAT_OK;
    rule->failed |= !gateway_texts_parsed(rule);
    if (rule->failed) {
        leat_planner_add_failed(g->planner, leat_arena_format(g->arena, "%s.late", rule->plan.name));
        explain_failure(g, rule, diagnostics, errors);
        return;
    }
    check_refresh(g, rule);
    rule->plan.text = script ? leat_sql_print(g->arena, script).data : rule->form_rule->summary;
    rule->plan.node = rule->result.node;
    rule->plan.output = rule->result.output;
    rule->plan.schema = rule->result.schema;
    rule->plan.late_node = rule->result.late_node;
    rule->plan.late_output = rule->result.late_output;
}

static void add_failed(gateway *g, const char *name)
{
    leat_planner_add_failed(g->planner, name);
    leat_planner_add_failed(g->planner, leat_arena_format(g->arena, "%s.late", name));
}

// ---- outputs: {hot: alarms, cold: [log, alarms]}

static const leat_rule_output *find_output(const gateway_rule *rule, leat_slice name)
{
    for (uint32_t i = 0; i < rule->result.output_count; i++)
        if (leat_slice_is(name, rule->result.outputs[i].name))
            return &rule->result.outputs[i];
    return NULL;
}

static void output_unknown(gateway *g, const gateway_rule *rule, const leat_yaml_node *key)
{
    leat_slice names[LEAT_PLANNER_OUTPUTS];
    uint32_t count = 0;
    char hint[128];
    for (uint32_t i = 0; i < rule->result.output_count; i++)
        names[count++] = leat_slice_text(rule->result.outputs[i].name);
    if (leat_slice_is(key->text, "late") && !count)
        leat_report_error(&g->report, key,
                          "the rule has no output 'late': late rows go where the rule's `late_to` says");
    else if (count)
        leat_report_error(&g->report, key, "the rule has no output '%.60s'%s", key->text.data,
                          leat_suggest_text(key->text, names, count, hint));
    else
        leat_report_error(&g->report, key, "the rule has no output '%.60s': it has its results only", key->text.data);
}

static bool sink_names(gateway *g, const leat_yaml_node *node, leat_text_list *out_names)
{
    uint32_t count = node->kind == LEAT_YAML_SEQUENCE ? node->count : 1;
    const char **names = leat_arena_array(g->arena, const char *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        const leat_yaml_node *item = node->kind == LEAT_YAML_SEQUENCE ? node->items[i] : node;
        if (item->kind != LEAT_YAML_SCALAR || leat_yaml_is_null(item)) {
            leat_report_error(&g->report, item, "key 'outputs': expected the name of a sink, found %s",
                              leat_yaml_kind_text(item));
            return false;
        }
        names[i] = item->text.data;
    }
    *out_names = (leat_text_list){names, count};
    return true;
}

static void feed_output(gateway *g, uint32_t index, const leat_yaml_node *key, const leat_yaml_node *value)
{
    gateway_rule *rule = &g->rules[index];
    leat_text_list names;
    if (!sink_names(g, value, &names))
        return;
    const leat_rule_output *output = rule->failed ? NULL : find_output(rule, key->text);
    if (!output && !rule->failed)
        output_unknown(g, rule, key);
    gateway_feed feed = {.stream = leat_arena_format(g->arena, "%s.%s", rule->plan.name, key->text.data),
                         .failed = !output};
    if (output)
        feed.input = (leat_plan_sink_input){.node = output->node,
                                            .output = output->output,
                                            .rule = index,
                                            .output_name = output->name,
                                            .schema = output->schema};
    gateway_feed_sink(g, &names, value, &feed);
}

static void feed_outputs(gateway *g, uint32_t index)
{
    const leat_yaml_node *outputs = g->rules[index].outputs;
    if (!outputs)
        return;
    if (outputs->kind != LEAT_YAML_MAPPING) {
        leat_report_error(&g->report, outputs, "key 'outputs': expected OUTPUT: SINK, found %s",
                          leat_yaml_kind_text(outputs));
        return;
    }
    for (uint32_t i = 0; i < outputs->count; i++)
        feed_output(g, index, outputs->pairs[i].key, outputs->pairs[i].value);
}

static void feed_sinks(gateway *g, uint32_t index)
{
    gateway_rule *rule = &g->rules[index];
    gateway_feed feed = {.stream = rule->plan.name, .failed = rule->failed};
    feed.input = (leat_plan_sink_input){
        .node = rule->plan.node, .output = rule->plan.output, .rule = index, .schema = rule->plan.schema};
    gateway_feed_sink(g, &rule->to, leat_yaml_find(rule->value, "to"), &feed);
    bool late = !rule->failed && rule->plan.late_node != UINT32_MAX;
    feed = (gateway_feed){.stream = leat_arena_format(g->arena, "%s.late", rule->plan.name), .failed = !late};
    feed.input = (leat_plan_sink_input){.node = rule->plan.late_node,
                                        .output = rule->plan.late_output,
                                        .rule = index,
                                        .output_name = "late",
                                        .schema = rule->result.late_schema};
    gateway_feed_sink(g, &rule->late_to, leat_yaml_find(rule->value, "late_to"), &feed);
    if (rule->form_rule && rule->late_to.count && !rule->failed && !late)
        leat_report_error(&g->report, leat_yaml_find(rule->value, "late_to"),
                          "`late_to` is set, but nothing in this rule drops late rows");
    feed_outputs(g, index);
}

void gateway_plan_rules(gateway *g)
{
    uint32_t *order = leat_arena_array(g->arena, uint32_t, g->rule_count + 1);
    leat_sql_diagnostics *diagnostics = leat_arena_new(&g->scratch, leat_sql_diagnostics); // one rule after the other
    gateway_order_rules(g, order);
    gateway_read_variants(g);
    for (uint32_t i = 0; i < g->rule_count; i++) {
        gateway_rule *rule = &g->rules[order[i]];
        leat_report_context(&g->report, "rule '%.60s'", rule->plan.name);
        if (rule->failed)
            add_failed(g, rule->plan.name);
        else
            plan_one(g, order[i], diagnostics);
    }
    for (uint32_t i = 0; i < g->rule_count; i++) {
        leat_report_context(&g->report, "rule '%.60s'", g->rules[i].plan.name);
        feed_sinks(g, i);
    }
    leat_report_context(&g->report, "%s", "");
}
