// `sources:`: drivers with their settings, columns, event time and watermark.
#include <string.h>

#include "config/gateway.h"
#include "operators/base/suggest.h"

typedef struct source_settings {
    const char *driver, *event_time, *watermark_as, *changelog_field, *processing_time;
    int32_t changelog;
    leat_text_list primary_key;
    int64_t out_of_orderness_ms, idle_ms, future_ms, interval_ms, wait_ms;
    int32_t ack;
    leat_text_list to;
} source_settings;

#define MEMBER(name) offsetof(source_settings, name)
static const char *const acks[] = {"durable", "fast", NULL};
static const char *const changelogs[] = {"insert", "upsert", "retract", NULL};
static const leat_setting table[] = {
    {"driver", LEAT_SETTING_TEXT, MEMBER(driver), true, NULL, 0, 0, NULL, "What reads it, such as mqtt or file."},
    {"event_time", LEAT_SETTING_TEXT, MEMBER(event_time), false, NULL, 0, 0, NULL,
     "The field that says when a row happened; without it the time of arrival is."},
    {"watermark.out_of_orderness", LEAT_SETTING_DURATION, MEMBER(out_of_orderness_ms), false, "0", 0, 0, NULL,
     "How much later than others a row may come: the watermark is the highest event time less this and 1 ms."},
    {"watermark.as", LEAT_SETTING_EXPRESSION, MEMBER(watermark_as), false, NULL, 0, 0, NULL,
     "The watermark as SQL over the fields, as in Flink's WATERMARK FOR: ts - INTERVAL '2' SECOND."},
    {"watermark.idle", LEAT_SETTING_DURATION, MEMBER(idle_ms), false, "0", 0, 0, NULL,
     "After this time without rows nobody waits for the source; 0 is never."},
    {"watermark.future", LEAT_SETTING_DURATION, MEMBER(future_ms), false, "0", 0, 0, NULL,
     "A row from further in the future flows but does not move the watermark; 0 is no guard."},
    {"watermark.interval", LEAT_SETTING_DURATION, MEMBER(interval_ms), false, "0", 0, 3600000, NULL,
     "How often the watermark may move; 0 is after every row."},
    {"wait", LEAT_SETTING_DURATION, MEMBER(wait_ms), false, "0", 0, 3600000, NULL,
     "For a table that arrives as messages: who joins it waits so long at the first start for what it holds."},
    {"processing_time", LEAT_SETTING_TEXT, MEMBER(processing_time), false, NULL, 0, 0, NULL,
     "Name of a column with the time at which the row is handled, a time attribute as PROCTIME() is."},
    {"changelog", LEAT_SETTING_CHOICE, MEMBER(changelog), false, "insert", 0, 0, changelogs,
     "What rows mean: insert: new ones only; upsert: +I, +U and -D by primary_key; retract: +I, -U, +U and -D."},
    {"changelog_field", LEAT_SETTING_TEXT, MEMBER(changelog_field), false, "op", 0, 0, NULL,
     "The field of the payload with the row kind, as sinks write it; a row without one is +I."},
    {"primary_key", LEAT_SETTING_TEXT_LIST, MEMBER(primary_key), false, NULL, 0, 0, NULL,
     "The fields that tell rows apart, for `changelog: upsert` and for tables with versions."},
    {"ack", LEAT_SETTING_CHOICE, MEMBER(ack), false, "durable", 0, 0, acks,
     "When what came is acknowledged: durable after it is on disk, fast as soon as it is written."},
    {"to", LEAT_SETTING_TEXT_LIST, MEMBER(to), false, NULL, 0, 0, NULL, "Sinks that take every row as it came."},
};
const leat_settings gateway_source_settings = {table, sizeof table / sizeof *table, sizeof(source_settings)};
static const char *const other_keys[] = {"fields", "format", NULL};

static const leat_source_description *find_driver(gateway *g, const leat_yaml_node *mapping, const char *name)
{
    gateway_names known = {.count = 0};
    for (const leat_source_description *const *entry = g->options->drivers->sources; name && *entry; entry++) {
        if (!strcmp((*entry)->name, name))
            return *entry;
        gateway_names_add(&known, (*entry)->name);
    }
    if (name)
        gateway_driver_unknown(g, mapping, &known, "sources");
    return NULL;
}

// ---- event time and watermark

static bool time_fits(gateway *g, const leat_plan_source *plan, int32_t column, const leat_yaml_node *node)
{
    const leat_type type = plan->fields[column].type;
    char text[LEAT_TYPE_TEXT];
    if (leat_type_is_timestamp(type))
        return true;
    bool number = leat_type_is_integer(type);
    leat_report_error(&g->report, node, "event_time '%s' is a %s%s", node->text.data, leat_type_print(type, text),
                      number ? "; declare the field as timestamp_ms (or _s, _us, _ns), which reads it as an instant"
                             : "; it has to be a timestamp: timestamp, timestamp_ltz, timestamp_ms ..");
    return false;
}

static bool set_event_time(gateway *g, gateway_source *source, const char *name)
{
    leat_plan_source *plan = &source->plan;
    const leat_yaml_node *node = leat_yaml_find(source->value, "event_time");
    leat_slice *known = leat_arena_array(g->arena, leat_slice, plan->field_count + 1);
    char hint[128];
    plan->event_time = -1;
    if (!name)
        return true;
    for (uint32_t i = 0; i < plan->field_count; i++) {
        known[i] = plan->fields[i].name;
        if (leat_slice_is(plan->fields[i].name, name))
            plan->event_time = (int32_t)i;
    }
    if (plan->event_time >= 0)
        return time_fits(g, plan, plan->event_time, node);
    if (!strcmp(name, "ts"))
        leat_report_error(
            &g->report, node,
            "event_time: no field is named 'ts'; the time of arrival is used when event_time is left out");
    else
        leat_report_error(&g->report, node, "event_time: unknown field '%s'%s", name,
                          leat_suggest_text(node->text, known, plan->field_count, hint));
    return false;
}

static void set_expression(gateway *g, gateway_source *source)
{
    const leat_yaml_node *node = leat_settings_node(source->value, "watermark.as");
    leat_sql_diagnostics *diagnostics = leat_arena_new(&g->scratch, leat_sql_diagnostics);
    leat_type type = leat_type_of(LEAT_KIND_TIMESTAMP);
    leat_plan_watermark *watermark = &source->plan.watermark;
    leat_sql_expr *expr;
    watermark->mode = LEAT_WATERMARK_EXPRESSION;
    watermark->expression_text = gateway_copy(g, node->text);
    bool good = leat_sql_parse_expression(g->arena, node->text, 0, &expr, diagnostics) == LEAT_OK &&
                leat_planner_expression(g->planner, expr, source->plan.name, source->plan.schema, &type,
                                        &watermark->expression, diagnostics) == LEAT_OK;
    if (!good)
        gateway_report_sql(g, node, diagnostics);
}

static bool needs_event_time(gateway *g, const gateway_source *source, const leat_yaml_node *node)
{
    if (source->plan.event_time >= 0 || !node || (node->kind == LEAT_YAML_MAPPING && !node->count))
        return true;
    leat_report_error(&g->report, node, "a watermark needs event_time: without it the watermark follows the clock");
    return false;
}

// `watermark: none` (nothing before the end) and `watermark: source` (what the source itself sends).
static void set_plain_watermark(gateway *g, gateway_source *source, const leat_yaml_node *node)
{
    bool none = leat_slice_is(node->text, "none"), own = leat_slice_is(node->text, "source");
    source->plan.watermark.mode = none ? LEAT_WATERMARK_NONE : LEAT_WATERMARK_EXPLICIT;
    if (!none && !own)
        leat_report_error(
            &g->report, node,
            "key 'watermark': expected a mapping such as { out_of_orderness: 2s }, or none, found '%.60s'",
            node->text.data);
}

static void set_watermark(gateway *g, gateway_source *source, const source_settings *settings)
{
    const leat_yaml_node *node = leat_yaml_find(source->value, "watermark");
    leat_plan_watermark *watermark = &source->plan.watermark;
    *watermark =
        (leat_plan_watermark){.mode = source->plan.event_time >= 0 ? LEAT_WATERMARK_BOUNDED : LEAT_WATERMARK_CLOCK,
                              .delay_ms = settings->out_of_orderness_ms,
                              .idle_ms = settings->idle_ms,
                              .future_ms = settings->future_ms,
                              .interval_ms = settings->interval_ms,
                              .wait_ms = settings->wait_ms};
    if (!needs_event_time(g, source, node))
        return;
    if (node && node->kind == LEAT_YAML_SCALAR)
        set_plain_watermark(g, source, node);
    else if (settings->watermark_as && leat_yaml_find(node, "out_of_orderness"))
        leat_report_error(&g->report, leat_yaml_find(node, "as"),
                          "watermark: 'as' and 'out_of_orderness' exclude each other");
    else if (settings->watermark_as)
        set_expression(g, source);
}

// ---- one source

static const leat_schema *rejected_schema(gateway *g)
{
    static const struct {
        const char *name;
        leat_kind kind;
    } columns[] = {{"payload", LEAT_KIND_STRING},  {"reason", LEAT_KIND_STRING}, {"column", LEAT_KIND_STRING},
                   {"position", LEAT_KIND_BIGINT}, {"cause", LEAT_KIND_STRING},  {"ts", LEAT_KIND_TIMESTAMP_LTZ}};
    enum { COUNT = sizeof columns / sizeof *columns };
    leat_field *fields = leat_arena_array(g->arena, leat_field, COUNT);
    leat_schema *schema = leat_arena_new(g->arena, leat_schema);
    for (size_t i = 0; i < COUNT; i++)
        fields[i] = (leat_field){leat_slice_text(columns[i].name), leat_type_of(columns[i].kind)};
    fields[COUNT - 1].type.precision = 3;
    *schema = (leat_schema){.count = COUNT, .fields = fields, .rowtime = COUNT - 1, .proctime = -1};
    return schema;
}

static void check_keys(gateway *g, const gateway_source *source)
{
    const leat_source_description *driver = source->plan.driver;
    const leat_yaml_node *watermark = leat_yaml_find(source->value, "watermark");
    bool plain = watermark && watermark->kind == LEAT_YAML_SCALAR && !leat_yaml_is_null(watermark);
    leat_settings common = gateway_source_settings;
    leat_setting *items = leat_arena_array(g->arena, leat_setting, common.count);
    const leat_settings *tables[] = {&common, driver ? &driver->settings : NULL};
    memcpy(items, common.items, common.count * sizeof *items);
    for (uint32_t i = 0; plain && i < common.count; i++) // `watermark: none` has no keys
        if (!strncmp(items[i].name, "watermark.", 10))
            items[i].name = "watermark";
    common.items = items;
    leat_settings_known known = {tables, 2, other_keys};
    if (driver)
        gateway_unknown_keys(g, source->value, &known, driver->decodes ? NULL : source->plan.format);
}

static bool read_driver(gateway *g, gateway_source *source, const source_settings *settings)
{
    const leat_source_description *driver = find_driver(g, source->value, settings->driver);
    source->plan.driver = driver;
    return driver &&
           gateway_read_driver(g, source->value, source->key, &driver->settings, (const void **)&source->plan.settings);
}

static bool read_source_format(gateway *g, gateway_source *source)
{
    const leat_source_description *driver = source->plan.driver;
    if (driver && driver->decodes)
        return gateway_takes_no_format(g, source->value, driver->name, "makes");
    return !driver || gateway_read_format(g, source->value, true, &source->plan.format, &source->plan.format_settings);
}

static void set_default_fields(gateway_source *source)
{
    const leat_source_description *driver = source->plan.driver;
    if (!driver || leat_yaml_find(source->value, "fields") || !driver->default_fields)
        return;
    source->plan.fields = driver->default_fields;
    source->plan.field_count = driver->default_field_count;
}

static void check_driver(gateway *g, const gateway_source *source)
{
    const leat_plan_source *plan = &source->plan;
    leat_error error;
    if (plan->driver->check && plan->driver->check(plan->settings, plan->fields, plan->field_count, &error) != LEAT_OK)
        gateway_driver_complains(g, source->value, source->key, &error);
}

static void warn_of_ack(gateway *g, const gateway_source *source)
{
    const leat_yaml_node *node = leat_yaml_find(source->value, "ack");
    if (node && source->plan.driver && source->plan.driver->replayable)
        leat_report_warning(&g->report, node, "'ack' changes nothing: the driver '%s' reads again from its position",
                            source->plan.driver->name);
}

// ---- changelog

static bool key_field(gateway *g, const gateway_source *source, const char *name, const leat_yaml_node *node,
                      uint32_t *out_field)
{
    const leat_plan_source *plan = &source->plan;
    leat_slice *known = leat_arena_array(g->arena, leat_slice, plan->field_count + 1);
    char hint[128];
    for (uint32_t i = 0; i < plan->field_count; i++) {
        known[i] = plan->fields[i].name;
        *out_field = i;
        if (leat_slice_is(known[i], name))
            return true;
    }
    leat_report_error(&g->report, node, "primary_key: unknown field '%.60s'%s", name,
                      leat_suggest_text(leat_slice_text(name), known, plan->field_count, hint));
    return false;
}

static bool read_key(gateway *g, const gateway_source *source, const source_settings *settings, uint32_t *out_keys,
                     uint32_t *out_count)
{
    const leat_yaml_node *node = leat_yaml_find(source->value, "primary_key");
    bool good = true;
    *out_count = 0;
    for (uint32_t i = 0; i < settings->primary_key.count && i < LEAT_COLUMNS_MAX; i++) {
        bool list = node->kind == LEAT_YAML_SEQUENCE && i < node->count;
        good &= key_field(g, source, settings->primary_key.items[i], list ? node->items[i] : node, &out_keys[i]);
        (*out_count)++;
    }
    return good;
}

// The row kind is a field of the payload behind the others; what reads the source does not see it.
static bool add_kind_field(gateway *g, gateway_source *source, const char *name)
{
    leat_plan_source *plan = &source->plan;
    leat_source_field *fields = leat_arena_array(g->arena, leat_source_field, plan->field_count + 1);
    for (uint32_t i = 0; i < plan->field_count; i++) {
        fields[i] = plan->fields[i];
        if (!leat_slice_is(fields[i].name, name))
            continue;
        leat_report_error(&g->report, leat_yaml_find(source->value, "fields"),
                          "field '%s' has the name of the row kind; call the one or the other differently "
                          "(`changelog_field`)",
                          name);
        return false;
    }
    fields[plan->field_count] =
        (leat_source_field){.name = leat_slice_text(name), .type = leat_type_of(LEAT_KIND_STRING)};
    plan->kind_field = (int32_t)plan->field_count++;
    plan->fields = fields;
    return true;
}

// What changed from one reading to the next is worked out by key; the file itself knows of no changes.
static bool check_table(gateway *g, const gateway_source *source, const source_settings *settings, uint32_t key_count)
{
    const char *driver = source->plan.driver->name;
    if (settings->changelog != LEAT_CHANGELOG_INSERT)
        leat_report_error(&g->report, leat_yaml_find(source->value, "changelog"),
                          "the driver '%s' gives a whole table, whose changes are found by primary_key; leave it out",
                          driver);
    else if (!key_count)
        leat_report_error(&g->report, source->key,
                          "the driver '%s' needs primary_key: the fields by which rows are updated", driver);
    else if (source->to.count)
        leat_report_error(&g->report, source->to_node, "a table is read by rules; `to` is for rows as they come");
    else
        return true;
    return false;
}

static bool set_changelog(gateway *g, gateway_source *source, const source_settings *settings, uint32_t *out_keys,
                          uint32_t *out_count)
{
    const leat_plan_source *plan = &source->plan;
    const leat_yaml_node *node = leat_yaml_find(source->value, "changelog");
    source->plan.kind_field = -1;
    if (!read_key(g, source, settings, out_keys, out_count))
        return false;
    if (plan->driver->table)
        return check_table(g, source, settings, *out_count);
    if (settings->changelog == LEAT_CHANGELOG_INSERT && leat_settings_given(source->value, "changelog_field")) {
        leat_report_error(&g->report, leat_yaml_find(source->value, "changelog_field"),
                          "'changelog_field' means nothing without 'changelog: upsert' or 'changelog: retract'");
        return false;
    }
    if (settings->changelog == LEAT_CHANGELOG_INSERT)
        return true;
    if (plan->driver->decodes)
        leat_report_error(&g->report, node, "the driver '%s' makes rows itself, and they are new ones only",
                          plan->driver->name);
    else if (settings->changelog == LEAT_CHANGELOG_UPSERT && !*out_count)
        leat_report_error(&g->report, node,
                          "changelog: upsert needs primary_key: the fields by which rows are updated");
    else
        return add_kind_field(g, source, settings->changelog_field);
    return false;
}

// False: its columns or its time are not known.
static bool finish(gateway *g, gateway_source *source, const source_settings *settings)
{
    leat_plan_source *plan = &source->plan;
    uint32_t keys[LEAT_COLUMNS_MAX], key_count;
    if (!set_event_time(g, source, settings->event_time) || !set_changelog(g, source, settings, keys, &key_count))
        return false;
    gateway_make_schema(g, source, settings->processing_time);
    leat_schema *schema = (leat_schema *)plan->schema; // just made
    uint32_t *own = leat_arena_array(g->arena, uint32_t, key_count + 1);
    memcpy(own, keys, key_count * sizeof *own);
    schema->changelog = (leat_changelog)settings->changelog;
    schema->key_columns = own;
    schema->key_count = key_count;
    plan->rejected = rejected_schema(g);
    plan->bounded = plan->driver->bounded && plan->driver->bounded(plan->settings);
    set_watermark(g, source, settings);
    return true;
}

static bool read_source(gateway *g, gateway_source *source)
{
    gateway_field *places;
    source_settings *settings = leat_arena_new(g->arena, source_settings);
    if (!gateway_is_driver(g, source->value))
        return false;
    bool common = leat_settings_read(&g->reader, &gateway_source_settings, source->value, source->key, settings);
    source->to = settings->to;
    source->to_node = leat_yaml_find(source->value, "to");
    source->plan.ack = settings->ack ? LEAT_ACK_FAST : LEAT_ACK_DURABLE;
    bool driver = read_driver(g, source, settings);
    bool format = read_source_format(g, source);
    check_keys(g, source);
    warn_of_ack(g, source);
    bool fields = gateway_read_fields(g, source, &places);
    set_default_fields(source);
    if (!source->plan.driver || !fields)
        return false;
    // What follows is checked after any error, and rules that read the source are checked when its columns are known.
    if (common && driver && format)
        check_driver(g, source);
    return finish(g, source, settings);
}

// ---- all

static const leat_schema **outputs_of(gateway *g, const leat_plan_source *plan)
{
    const leat_schema **outputs = leat_arena_array(g->arena, const leat_schema *, 2);
    outputs[0] = plan->schema;
    outputs[1] = plan->rejected;
    return outputs;
}

static void add_streams(gateway *g, gateway_source *source, uint32_t index)
{
    leat_plan_source *plan = &source->plan;
    leat_plan_node node = {.kind = LEAT_NODE_SOURCE,
                           .index = index,
                           .rule = UINT32_MAX,
                           .uid = leat_arena_format(g->arena, "source/%s", plan->name),
                           .label = leat_arena_format(g->arena, "%s (%s)", plan->name, plan->driver->name),
                           .output_count = 2,
                           .outputs = outputs_of(g, plan),
                           .stateful = true};
    source->node = leat_planner_add_node(g->planner, &node);
    leat_planner_stream stream = {.name = plan->name,
                                  .node = source->node,
                                  .schema = plan->schema,
                                  .bounded = plan->bounded,
                                  .has_watermark = plan->watermark.mode != LEAT_WATERMARK_NONE,
                                  .table = plan->driver->table,
                                  .waits = plan->driver->table || plan->watermark.wait_ms > 0,
                                  .compared = plan->field_count};
    leat_planner_add_stream(g->planner, &stream);
    stream.table = stream.waits = false;
    stream.name = leat_arena_format(g->arena, "%s.rejected", plan->name);
    stream.output = 1;
    stream.schema = plan->rejected;
    leat_planner_add_stream(g->planner, &stream);
}

static void add_failed(gateway *g, const char *name)
{
    leat_planner_add_failed(g->planner, name);
    leat_planner_add_failed(g->planner, leat_arena_format(g->arena, "%s.rejected", name));
}

void gateway_read_source(gateway *g, uint32_t index)
{
    gateway_source *source = &g->sources[index];
    if (read_source(g, source))
        add_streams(g, source, index);
    else
        add_failed(g, source->plan.name);
}

void gateway_read_sources(gateway *g)
{
    const leat_yaml_node *section = gateway_section(g, "sources");
    g->source_count = section ? section->count : 0;
    g->sources = leat_arena_array(g->arena, gateway_source, g->source_count + 1);
    for (uint32_t i = 0; i < g->source_count; i++) {
        gateway_source *source = &g->sources[i];
        *source = (gateway_source){.key = section->pairs[i].key, .value = section->pairs[i].value, .node = UINT32_MAX};
        source->plan.name = source->key->text.data;
        leat_report_context(&g->report, "%s", "");
        bool named = gateway_check_name(g, source->key, "source");
        leat_report_context(&g->report, "source '%.60s'", source->plan.name);
        if (read_source(g, source) && named)
            add_streams(g, source, i);
        else
            add_failed(g, source->plan.name);
    }
    leat_report_context(&g->report, "%s", "");
}
