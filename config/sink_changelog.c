// What a sink takes of a changelog, and the node that brings a stream into that form: -U left out for a reader that knows rows by key,
// rows of different keys brought together under the sink's own, or the rows before updates given to a reader that knows none.
#include <string.h>

#include "config/gateway.h"
#include "operators/base/error.h"
#include "operators/base/suggest.h"

static const char *const names[] = {"insert", "upsert", "retract"};

static void advise(gateway *g, const gateway_sink *sink, const gateway_feed *feed)
{
    leat_changelog changelog = feed->input.schema->changelog;
    const leat_sink_description *driver = sink->plan.driver;
    const char *what =
        changelog == LEAT_CHANGELOG_UPSERT ? "updates and deletes by key" : "updates and takes rows back";
    leat_report_error(
        &g->report, feed->place,
        "'%s' gives %s, and sink '%s' (%s) only takes new rows; aggregate over a window (TUMBLE, HOP) for "
        "final results, or %s",
        feed->stream, what, sink->plan.name, driver->name,
        driver->takes_upsert ? "give the sink `changelog: upsert` and its `primary_key`"
                             : "use a sink that takes changes, such as file");
}

static bool takes(const gateway_sink *sink, leat_changelog changelog)
{
    const leat_sink_description *driver = sink->plan.driver;
    if (changelog == LEAT_CHANGELOG_INSERT)
        return true;
    if (sink->changelog_set)
        return changelog <= sink->changelog || sink->changelog == LEAT_CHANGELOG_UPSERT;
    return changelog == LEAT_CHANGELOG_UPSERT ? driver->takes_upsert : driver->takes_retract;
}

static bool driver_takes(gateway *g, const gateway_sink *sink)
{
    const leat_sink_description *driver = sink->plan.driver;
    bool able = sink->changelog == LEAT_CHANGELOG_INSERT ||
                (sink->changelog == LEAT_CHANGELOG_UPSERT ? driver->takes_upsert : driver->takes_retract);
    if (!able)
        leat_report_error(&g->report, leat_yaml_find(sink->value, "changelog"),
                          "the driver '%s' takes no changes of the kind '%s'", driver->name, names[sink->changelog]);
    return able;
}

// ---- the sink's key in the columns of a stream

static bool find_keys(gateway *g, const gateway_sink *sink, const gateway_feed *feed, uint32_t *out_keys,
                      uint32_t *out_count)
{
    const leat_schema *schema = feed->input.schema;
    const leat_yaml_node *place = leat_yaml_find(sink->value, "primary_key");
    leat_slice known[LEAT_COLUMNS_MAX];
    char hint[128];
    for (uint32_t i = 0; i < schema->count; i++)
        known[i] = schema->fields[i].name;
    *out_count = 0;
    for (uint32_t i = 0; i < sink->primary_key.count && i < LEAT_COLUMNS_MAX; i++) {
        const char *name = sink->primary_key.items[i];
        int column = leat_schema_find(schema, leat_slice_text(name));
        if (column < 0) {
            leat_report_error(&g->report, place, "primary_key: '%s' has no column '%.60s'%s", feed->stream, name,
                              leat_suggest_text(leat_slice_text(name), known, schema->count, hint));
            return false;
        }
        out_keys[(*out_count)++] = (uint32_t)column;
    }
    if (*out_count || schema->changelog == LEAT_CHANGELOG_INSERT)
        return true;
    *out_count = schema->key_count;
    memcpy(out_keys, schema->key_columns, schema->key_count * sizeof *out_keys);
    if (!schema->key_count)
        leat_report_error(&g->report, feed->place,
                          "sink '%s' updates by key, and the rows of '%s' have none of their own: set the sink's "
                          "`primary_key`",
                          sink->plan.name, feed->stream);
    return schema->key_count > 0;
}

static bool among(const uint32_t *columns, uint32_t count, uint32_t column)
{
    for (uint32_t i = 0; i < count; i++)
        if (columns[i] == column)
            return true;
    return false;
}

// Whether what tells the stream's rows apart is part of the sink's key: then one of its keys has one row at a time.
static bool key_covers(const leat_schema *schema, const uint32_t *keys, uint32_t count)
{
    for (uint32_t i = 0; i < schema->key_count; i++)
        if (!among(keys, count, schema->key_columns[i]))
            return false;
    return schema->key_count > 0;
}

// ---- filters on the way to the sink

typedef struct way {
    bool filtered; // one of them may let a -U through and keep its +U back
    bool in_pairs; // both come in one batch: an operator made them, not a device
} way;

static void look_back(const leat_plan_node *nodes, uint32_t node, way *out)
{
    const leat_plan_node *at = &nodes[node];
    if (at->kind != LEAT_NODE_OPERATOR) {
        out->in_pairs = false;
        return;
    }
    bool passes = !strcmp(at->operator_name, "filter") || !strcmp(at->operator_name, "project") ||
                  !strcmp(at->operator_name, "union");
    out->filtered |= !strcmp(at->operator_name, "filter");
    for (uint32_t i = 0; passes && i < at->input_count; i++)
        look_back(nodes, at->inputs[i].node, out);
}

// ---- the node

static const leat_schema *upsert_schema(gateway *g, const leat_schema *from, const uint32_t *keys, uint32_t count)
{
    leat_schema *schema = leat_arena_new(g->arena, leat_schema);
    uint32_t *own = leat_arena_array(g->arena, uint32_t, count + 1);
    memcpy(own, keys, count * sizeof *own);
    *schema = *from;
    schema->changelog = LEAT_CHANGELOG_UPSERT;
    schema->key_columns = own;
    schema->key_count = count;
    return schema;
}

static void add_node(gateway *g, const gateway_sink *sink, gateway_feed *feed, const leat_schema *schema, bool covers)
{
    uint32_t node_count;
    const leat_plan_node *nodes = leat_planner_nodes(g->planner, &node_count);
    const leat_schema **lists = leat_arena_array(g->arena, const leat_schema *, 2);
    leat_plan_input *edge = leat_arena_new(g->arena, leat_plan_input);
    leat_changelog_spec *spec = leat_arena_new(g->arena, leat_changelog_spec);
    const gateway_rule *rule = &g->rules[feed->input.rule];
    lists[0] = feed->input.schema;
    lists[1] = schema;
    // What keeps nothing runs beside what made the rows, where both rows of a change still stand side by side.
    bool parallel = nodes[feed->input.node].parallel;
    *edge = (leat_plan_input){.node = feed->input.node,
                              .output = feed->input.output,
                              .exchange = parallel && !covers ? LEAT_EXCHANGE_GLOBAL : LEAT_EXCHANGE_FORWARD};
    way back = {.in_pairs = true};
    look_back(nodes, feed->input.node, &back);
    leat_changelog_mode without = back.filtered ? LEAT_CHANGELOG_DELETE_BEFORE : LEAT_CHANGELOG_DROP_BEFORE;
    *spec = (leat_changelog_spec){.mode = covers ? without : LEAT_CHANGELOG_MATERIALIZE,
                                  .in_pairs = back.in_pairs,
                                  .key_count = schema->key_count,
                                  .key_columns = schema->key_columns,
                                  .state_ttl_ms = rule->state_ttl_ms};
    leat_plan_node node = {.kind = LEAT_NODE_OPERATOR,
                           .index = UINT32_MAX,
                           .rule = feed->input.rule,
                           .operator_name = "changelog",
                           .spec = spec,
                           .uid = leat_arena_format(g->arena, "%s/changelog-%s%s%s", rule->plan.uid, sink->plan.name,
                                                    feed->input.output_name ? "-" : "",
                                                    feed->input.output_name ? feed->input.output_name : ""),
                           .label = !covers         ? "UPSERT: the last row of the sink's key"
                                    : back.filtered ? "UPSERT: -U without +U is -D"
                                                    : "UPSERT: without -U",
                           .port_count = 1,
                           .port_schemas = lists,
                           .input_count = 1,
                           .inputs = edge,
                           .output_count = 1,
                           .outputs = lists + 1,
                           .parallel = parallel && covers,
                           .stateful = !covers,
                           .state_bound = covers ? NULL : "all rows that stand under the sink's keys"};
    feed->input.node = leat_planner_add_node(g->planner, &node);
    feed->input.output = 0;
    feed->input.schema = schema;
}

static void upsert(gateway *g, const gateway_sink *sink, gateway_feed *feed)
{
    const leat_schema *schema = feed->input.schema;
    uint32_t keys[LEAT_COLUMNS_MAX], count;
    if (!find_keys(g, sink, feed, keys, &count) || schema->changelog == LEAT_CHANGELOG_INSERT)
        return;
    bool covers = key_covers(schema, keys, count);
    if (feed->input.rule == UINT32_MAX) {
        if (schema->changelog != LEAT_CHANGELOG_UPSERT || !covers)
            leat_report_error(&g->report, feed->place,
                              "a source's rows go to a sink that updates by key through a rule: SELECT * FROM %s",
                              feed->stream);
        return;
    }
    if (schema->changelog == LEAT_CHANGELOG_UPSERT && !covers)
        leat_report_error(&g->report, feed->place,
                          "'%s' updates by another key than sink '%s' has in `primary_key`, and does not say which row "
                          "an update replaces; read its source with `changelog: retract`",
                          feed->stream, sink->plan.name);
    else if (schema->changelog == LEAT_CHANGELOG_RETRACT)
        add_node(g, sink, feed, upsert_schema(g, schema, keys, count), covers);
}

// ---- updates by key, whose rows before them the sink wants

static void add_rows_before(gateway *g, const gateway_sink *sink, gateway_feed *feed)
{
    const gateway_rule *rule = &g->rules[feed->input.rule];
    const leat_schema *given = feed->input.schema;
    const leat_schema **lists = leat_arena_array(g->arena, const leat_schema *, 2);
    leat_schema *whole = leat_arena_new(g->arena, leat_schema);
    leat_plan_input *edge = leat_arena_new(g->arena, leat_plan_input);
    leat_changelog_spec *spec = leat_arena_new(g->arena, leat_changelog_spec);
    *whole = *given;
    whole->changelog = LEAT_CHANGELOG_RETRACT;
    lists[0] = given;
    lists[1] = whole;
    *edge = (leat_plan_input){.node = feed->input.node,
                              .output = feed->input.output,
                              .exchange = LEAT_EXCHANGE_KEY,
                              .key_count = given->key_count,
                              .key_columns = given->key_columns};
    *spec = (leat_changelog_spec){.mode = LEAT_CHANGELOG_NORMALIZE,
                                  .key_count = given->key_count,
                                  .key_columns = given->key_columns,
                                  .emit_before = true,
                                  .state_ttl_ms = rule->state_ttl_ms};
    leat_plan_node node = {.kind = LEAT_NODE_OPERATOR,
                           .index = UINT32_MAX,
                           .rule = feed->input.rule,
                           .operator_name = "changelog",
                           .spec = spec,
                           .uid = leat_arena_format(g->arena, "%s/changelog-%s%s%s", rule->plan.uid, sink->plan.name,
                                                    feed->input.output_name ? "-" : "",
                                                    feed->input.output_name ? feed->input.output_name : ""),
                           .label = "RETRACT: with -U",
                           .port_count = 1,
                           .port_schemas = lists,
                           .input_count = 1,
                           .inputs = edge,
                           .output_count = 1,
                           .outputs = lists + 1,
                           .parallel = true,
                           .stateful = true,
                           .state_bound = "the last row of every key"};
    feed->input.node = leat_planner_add_node(g->planner, &node);
    feed->input.output = 0;
    feed->input.schema = whole;
}

static void retract(gateway *g, const gateway_sink *sink, gateway_feed *feed)
{
    const gateway_rule *rule = feed->input.rule == UINT32_MAX ? NULL : &g->rules[feed->input.rule];
    const leat_schema *given = feed->input.schema;
    if (given->changelog != LEAT_CHANGELOG_UPSERT || !rule)
        return;
    LEAT_ASSERT(given->key_count); // a query that leaves the key out takes whole changes itself
    if (rule->unbounded || rule->state_ttl_ms)
        add_rows_before(g, sink, feed);
    else
        leat_report_error(&g->report, feed->place,
                          "sink '%s' takes whole changes, and '%s' gives updates without the rows before them, for "
                          "which the last row of every key is kept (unbounded state): read its source with `changelog: "
                          "retract`, or set the rule's `state_ttl`, or `unbounded: true`",
                          sink->plan.name, feed->stream);
}

// A row has one member of each name.
static bool kind_has_a_name(gateway *g, const gateway_sink *sink, const gateway_feed *feed)
{
    const char *name = sink->plan.changelog_field;
    if (feed->input.schema->changelog == LEAT_CHANGELOG_INSERT || !name ||
        leat_schema_find(feed->input.schema, leat_slice_text(name)) < 0)
        return true;
    leat_report_error(&g->report, feed->place,
                      "'%s' has a column '%s', which is also where sink '%s' says the kind of a row; give the sink "
                      "another `changelog_field`",
                      feed->stream, name, sink->plan.name);
    return false;
}

void gateway_ask_inserts(gateway *g, const gateway_sink *sink, const gateway_feed *feed)
{
    if (!sink->failed && !takes(sink, feed->input.schema->changelog))
        (void)leat_planner_inserts(g->planner, feed->input.node, feed->input.output);
}

void gateway_match_changelog(gateway *g, gateway_sink *sink, gateway_feed *feed)
{
    leat_changelog changelog = feed->input.schema->changelog;
    if (sink->failed || !kind_has_a_name(g, sink, feed))
        return;
    if (!takes(sink, changelog))
        advise(g, sink, feed);
    else if (sink->changelog_set && driver_takes(g, sink) && sink->changelog == LEAT_CHANGELOG_UPSERT)
        upsert(g, sink, feed);
    else if (sink->changelog_set && sink->changelog == LEAT_CHANGELOG_RETRACT)
        retract(g, sink, feed);
}
