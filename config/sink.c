// `sinks:`: drivers with their settings, and what flows into them.
#include <string.h>

#include "config/gateway.h"
#include "operators/base/limits.h"
#include "operators/base/suggest.h"

typedef struct sink_settings {
    const char *driver, *topic, *payload, *changelog_field;
    int32_t changelog;
    leat_text_list primary_key;
    bool envelope;
    int32_t commit;
    int64_t outbox_max_bytes;
} sink_settings;

#define MEMBER(name) offsetof(sink_settings, name)
static const char *const commits[] = {"checkpoint", "now", "none", NULL};
static const char *const changelogs[] = {"insert", "upsert", "retract", NULL};
static const leat_setting table[] = {
    {"driver", LEAT_SETTING_TEXT, MEMBER(driver), true, NULL, 0, 0, NULL, "What delivers, such as mqtt or file."},
    {"topic", LEAT_SETTING_TEXT, MEMBER(topic), false, NULL, 0, 0, NULL,
     "Where a result goes; {rule}, {output}, {gateway}, {sink} and {column} stand for their values."},
    {"commit", LEAT_SETTING_CHOICE, MEMBER(commit), false, "checkpoint", 0, 0, commits,
     "When results leave: with the next checkpoint; now: a result asks for one at once; none: at once and without a "
     "guarantee."},
    {"payload", LEAT_SETTING_TEXT, MEMBER(payload), false, NULL, 0, 0, NULL,
     "A text with {column} in it that is sent in place of the format's."},
    {"envelope", LEAT_SETTING_BOOLEAN, MEMBER(envelope), false, NULL, 0, 0, NULL,
     "Put id, sequence, rule and gateway into the payload; by default where the receiver needs the id to tell "
     "repeats."},
    {"changelog", LEAT_SETTING_CHOICE, MEMBER(changelog), false, "insert", 0, 0, changelogs,
     "Which changes it takes: insert: new rows only; upsert: updates and deletes by primary_key; retract: the row "
     "before an "
     "update too. Left out: what the driver can."},
    {"primary_key", LEAT_SETTING_TEXT_LIST, MEMBER(primary_key), false, NULL, 0, 0, NULL,
     "The columns by which `changelog: upsert` updates; by default those that tell the rule's rows apart."},
    {"changelog_field", LEAT_SETTING_TEXT, MEMBER(changelog_field), false, "op", 0, 0, NULL,
     "The member of a JSON payload, or the column of a CSV, with the row kind: +I, -U, +U or -D."},
    {"outbox.max", LEAT_SETTING_SIZE, MEMBER(outbox_max_bytes), false, NULL, 16 << 20, -1, NULL,
     "Size of the outbox at which the rules are held back; by default the agent's outbox.max."},
};
const leat_settings gateway_sink_settings = {table, sizeof table / sizeof *table, sizeof(sink_settings)};
static const char *const other_keys[] = {"format", NULL};

// ---- one sink

static const leat_sink_description *find_driver(gateway *g, const leat_yaml_node *mapping, const char *name)
{
    gateway_names known = {.count = 0};
    for (const leat_sink_description *const *entry = g->options->drivers->sinks; name && *entry; entry++) {
        if (!strcmp((*entry)->name, name))
            return *entry;
        gateway_names_add(&known, (*entry)->name);
    }
    if (name)
        gateway_driver_unknown(g, mapping, &known, "sinks");
    return NULL;
}

static bool read_driver(gateway *g, gateway_sink *sink, const sink_settings *settings)
{
    const leat_sink_description *driver = find_driver(g, sink->value, settings->driver);
    leat_error error;
    sink->plan.driver = driver;
    if (!driver || !gateway_read_driver(g, sink->value, sink->key, &driver->settings, &sink->plan.settings))
        return false;
    if (!driver->check || driver->check(sink->plan.settings, &error) == LEAT_OK)
        return true;
    gateway_driver_complains(g, sink->value, sink->key, &error);
    return false;
}

static bool read_sink_format(gateway *g, gateway_sink *sink)
{
    const leat_sink_description *driver = sink->plan.driver;
    if (driver && driver->encodes)
        return gateway_takes_no_format(g, sink->value, driver->name, "writes");
    return !driver || gateway_read_format(g, sink->value, false, &sink->plan.format, &sink->plan.format_settings);
}

static bool check_topic(gateway *g, const gateway_sink *sink, const sink_settings *settings)
{
    const leat_sink_description *driver = sink->plan.driver;
    bool own = leat_settings_find(&driver->settings, leat_slice_text("topic"));
    if (driver->needs_topic && !settings->topic) {
        leat_report_error(&g->report, sink->key, "missing key 'topic': %s", table[1].text);
        return false;
    }
    if (settings->topic && !driver->needs_topic && !own) {
        leat_report_error(&g->report, leat_yaml_find(sink->value, "topic"), "the driver '%s' has no topics",
                          driver->name);
        return false;
    }
    return true;
}

static void set_common(gateway *g, gateway_sink *sink, const sink_settings *settings)
{
    leat_plan_sink *plan = &sink->plan;
    const leat_sink_description *driver = plan->driver;
    plan->topic = settings->topic;
    plan->payload = settings->payload;
    plan->changelog_field = settings->changelog_field;
    sink->changelog = (leat_changelog)settings->changelog;
    sink->changelog_set = leat_yaml_find(sink->value, "changelog") != NULL;
    sink->primary_key = settings->primary_key;
    plan->commit = (leat_commit)settings->commit;
    plan->outbox_max_bytes = settings->outbox_max_bytes ? settings->outbox_max_bytes : g->plan->agent->outbox_max_bytes;
    plan->envelope = leat_yaml_find(sink->value, "envelope") ? settings->envelope : driver && driver->guarantee == 'I';
}

static bool read_sink(gateway *g, gateway_sink *sink)
{
    sink_settings *settings = leat_arena_new(g->arena, sink_settings);
    if (!gateway_is_driver(g, sink->value))
        return false;
    bool common = leat_settings_read(&g->reader, &gateway_sink_settings, sink->value, sink->key, settings);
    bool driver = read_driver(g, sink, settings);
    bool format = read_sink_format(g, sink);
    const leat_settings *tables[] = {&gateway_sink_settings, sink->plan.driver ? &sink->plan.driver->settings : NULL};
    leat_settings_known known = {tables, 2, other_keys};
    if (sink->plan.driver)
        gateway_unknown_keys(g, sink->value, &known, sink->plan.format);
    bool topic = !sink->plan.driver || check_topic(g, sink, settings);
    set_common(g, sink, settings);
    return common && driver && format && topic;
}

void gateway_read_sinks(gateway *g)
{
    const leat_yaml_node *section = gateway_section(g, "sinks");
    g->sink_count = section ? section->count : 0;
    g->sinks = leat_arena_array(g->arena, gateway_sink, g->sink_count + 1);
    for (uint32_t i = 0; i < g->sink_count; i++) {
        gateway_sink *sink = &g->sinks[i];
        *sink = (gateway_sink){.key = section->pairs[i].key, .value = section->pairs[i].value};
        sink->plan.name = sink->key->text.data;
        leat_report_context(&g->report, "%s", "");
        bool named = gateway_check_name(g, sink->key, "sink");
        leat_report_context(&g->report, "sink '%.60s'", sink->plan.name);
        sink->failed = !read_sink(g, sink) || !named;
    }
    leat_report_context(&g->report, "%s", "");
}

// ---- what flows in

static gateway_sink *find_sink(gateway *g, const char *name)
{
    for (uint32_t i = 0; i < g->sink_count; i++)
        if (!strcmp(g->sinks[i].plan.name, name))
            return &g->sinks[i];
    return NULL;
}

static void sink_unknown(gateway *g, const char *name, const leat_yaml_node *place)
{
    leat_slice *known = leat_arena_array(g->arena, leat_slice, g->sink_count + 1);
    char hint[128];
    for (uint32_t i = 0; i < g->sink_count; i++)
        known[i] = leat_slice_text(g->sinks[i].plan.name);
    leat_report_error(&g->report, place, "unknown sink '%.60s'%s", name,
                      g->sink_count ? leat_suggest_text(leat_slice_text(name), known, g->sink_count, hint)
                                    : ": there are none under 'sinks'");
}

static void feed_add(gateway *g, gateway_sink *sink, const gateway_feed *feed)
{
    for (uint32_t i = 0; i < sink->feed_count; i++)
        if (!strcmp(sink->feeds[i].stream, feed->stream)) {
            leat_report_error(&g->report, feed->place, "sink '%s' is named twice", sink->plan.name);
            return;
        }
    if (sink->feed_count == sink->feed_capacity) {
        uint32_t capacity = sink->feed_capacity * 2 + 4;
        gateway_feed *feeds = leat_arena_array(g->arena, gateway_feed, capacity);
        if (sink->feed_count)
            memcpy(feeds, sink->feeds, sink->feed_count * sizeof *feeds);
        sink->feeds = feeds;
        sink->feed_capacity = capacity;
    }
    sink->feeds[sink->feed_count++] = *feed;
}

void gateway_feed_sink(gateway *g, const leat_text_list *names, const leat_yaml_node *place, const gateway_feed *feed)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (!names->items[i])
            continue;
        const leat_yaml_node *item =
            place && place->kind == LEAT_YAML_SEQUENCE && i < place->count ? place->items[i] : place;
        gateway_sink *sink = find_sink(g, names->items[i]);
        gateway_feed own = *feed;
        own.place = item;
        if (!sink) {
            sink_unknown(g, names->items[i], item);
            continue;
        }
        sink->fed = true;
        feed_add(g, sink, &own);
    }
}

static const char *owner_of(gateway *g, const gateway_feed *feed)
{
    bool rule = feed->input.rule != UINT32_MAX;
    return rule ? leat_arena_format(g->arena, "rule '%s'", g->rules[feed->input.rule].plan.name)
                : leat_arena_format(g->arena, "source '%s'", feed->stream);
}

// {name} of a topic or payload: fixed names and columns, as firmware-agent/flow/template.c reads them.
static void check_template(gateway *g, const gateway_sink *sink, const gateway_feed *feed, const char *text,
                           const char *key)
{
    static const char *const fixed[] = {"rule", "output", "gateway", "sink"};
    const leat_schema *schema = feed->input.schema;
    leat_slice known[LEAT_COLUMNS_MAX + 4];
    uint32_t count = 0;
    char hint[128];
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        known[count++] = leat_slice_text(fixed[i]);
    for (uint32_t i = 0; i < schema->count && i < LEAT_COLUMNS_MAX; i++)
        known[count++] = schema->fields[i].name;
    for (const char *open = strchr(text, '{'); open; open = strchr(open + 1, '{')) {
        const char *close = strchr(open, '}');
        leat_slice name = leat_slice_of(open + 1, close ? (size_t)(close - open - 1) : 0);
        bool found = !close || memchr(open, '"', (size_t)(close - open));
        for (uint32_t i = 0; i < count && !found; i++)
            found = leat_slice_equal(known[i], name);
        if (found)
            continue;
        leat_report_in(&g->report, leat_yaml_find(sink->value, key), (uint32_t)(open - text), (uint32_t)name.size + 2,
                       "%s: {%.*s} is neither rule, output, gateway, sink nor a column of '%s'%s", key,
                       name.size > 60 ? 60 : (int)name.size, name.data, feed->stream,
                       leat_suggest_text(name, known, count, hint));
    }
}

static void check_feed(gateway *g, gateway_sink *sink, gateway_feed *feed)
{
    leat_report_context(&g->report, "%s", owner_of(g, feed));
    gateway_match_changelog(g, sink, feed);
    leat_report_context(&g->report, "sink '%.60s'", sink->plan.name);
    if (sink->plan.topic)
        check_template(g, sink, feed, sink->plan.topic, "topic");
    if (sink->plan.payload)
        check_template(g, sink, feed, sink->plan.payload, "payload");
}

static void add_node(gateway *g, gateway_sink *sink, uint32_t index)
{
    uint32_t count = sink->feed_count;
    leat_plan_sink_input *inputs = leat_arena_array(g->arena, leat_plan_sink_input, count);
    leat_plan_input *edges = leat_arena_array(g->arena, leat_plan_input, count);
    const leat_schema **schemas = leat_arena_array(g->arena, const leat_schema *, count);
    uint32_t node_count;
    const leat_plan_node *nodes = leat_planner_nodes(g->planner, &node_count);
    for (uint32_t i = 0; i < count; i++) {
        inputs[i] = sink->feeds[i].input;
        schemas[i] = inputs[i].schema;
        edges[i] =
            (leat_plan_input){.node = inputs[i].node,
                              .output = inputs[i].output,
                              .exchange = nodes[inputs[i].node].parallel ? LEAT_EXCHANGE_GLOBAL : LEAT_EXCHANGE_FORWARD,
                              .port = i};
    }
    sink->plan.inputs = inputs;
    sink->plan.input_count = count;
    leat_plan_node node = {.kind = LEAT_NODE_SINK,
                           .index = index,
                           .rule = UINT32_MAX,
                           .uid = leat_arena_format(g->arena, "sink/%s", sink->plan.name),
                           .label = leat_arena_format(g->arena, "%s (%s)", sink->plan.name, sink->plan.driver->name),
                           .port_count = count,
                           .port_schemas = schemas,
                           .input_count = count,
                           .inputs = edges,
                           .stateful = true};
    leat_planner_add_node(g->planner, &node);
}

static bool same_columns(const leat_schema *a, const leat_schema *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = leat_slice_equal(a->fields[i].name, b->fields[i].name);
    return same;
}

// CSV has one header, which is the first stream's: rows of other columns would stand under the wrong names.
static void warn_mixed_columns(gateway *g, const gateway_sink *sink)
{
    const gateway_feed *first = NULL;
    if (!sink->plan.format || strcmp(sink->plan.format->name, "csv") != 0 || sink->plan.payload)
        return;
    for (uint32_t k = 0; k < sink->feed_count; k++) {
        const gateway_feed *feed = &sink->feeds[k];
        if (feed->failed || !feed->input.schema)
            continue;
        if (first && !same_columns(first->input.schema, feed->input.schema))
            leat_report_warning(&g->report, feed->place,
                                "'%s' and '%s' have different columns, and both write to sink '%s', whose CSV has the "
                                "columns of '%s'; give each a sink of its own",
                                feed->stream, first->stream, sink->plan.name, first->stream);
        first = first ? first : feed;
    }
}

static void ask_inserts(gateway *g)
{
    for (uint32_t i = 0; i < g->sink_count; i++)
        for (uint32_t k = 0; k < g->sinks[i].feed_count; k++)
            if (!g->sinks[i].feeds[k].failed && g->sinks[i].plan.driver)
                gateway_ask_inserts(g, &g->sinks[i], &g->sinks[i].feeds[k]);
}

void gateway_finish_sinks(gateway *g)
{
    ask_inserts(g);
    for (uint32_t i = 0; i < g->sink_count; i++) {
        gateway_sink *sink = &g->sinks[i];
        for (uint32_t k = 0; k < sink->feed_count; k++)
            if (!sink->feeds[k].failed && sink->plan.driver)
                check_feed(g, sink, &sink->feeds[k]);
        leat_report_context(&g->report, "%s", "");
        warn_mixed_columns(g, sink);
        if (!sink->fed)
            leat_report_warning(&g->report, sink->key, "sink '%s' gets nothing: no rule has it in 'to'",
                                sink->plan.name);
    }
    uint32_t index = 0; // sinks that nobody writes to are not part of the plan
    for (uint32_t i = 0; i < g->sink_count && !g->report.diagnostics->error_count; i++)
        if (g->sinks[i].feed_count)
            add_node(g, &g->sinks[i], index++);
}
