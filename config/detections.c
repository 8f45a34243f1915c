// Short forms: `detect: rising` with parameters in the rule's own keys. Their texts are config/detections/*.yaml and `detections:` of the
// gateway file, all of one form:
//
//   detection: rising                # optional
//   text: "One sentence."
//   parameters: { from: { type: stream, required: true, text: ".." }, for: { type: duration, default: 1s } .. }
//   sql: |
//     SELECT * FROM rising(r => TABLE ${from} .., on_time => DESCRIPTOR(${time}), duration => ${for})
//
// ${time} is the time attribute of the stream that `from` names.
#include "config/detections.h"

#include <math.h>
#include <string.h>

#include "config/gateway.h"
#include "config/sql/parameter.h"
#include "config/yaml/document.h"
#include "operators/base/calendar.h"
#include "operators/base/suggest.h"

enum { DETECTIONS_MAX = 256, ITEMS_MAX = 64 };

// ---- reading a detection

static const char *const type_names[] = {"stream", "columns", "column", "expression", "duration",
                                         "number", "text",    "choice", "boolean",    NULL};

const char *gateway_parameter_type_name(parameter_type type) { return type_names[type]; }

typedef struct parameter_settings {
    int32_t type;
    bool required;
    const char *text;
    leat_text_list choices;
    double minimum, maximum;
} parameter_settings;

#define MEMBER(name) offsetof(parameter_settings, name)
static const leat_setting table[] = {
    {"type", LEAT_SETTING_CHOICE, MEMBER(type), true, NULL, 0, 0, type_names, "What the parameter takes."},
    {"required", LEAT_SETTING_BOOLEAN, MEMBER(required), false, "false", 0, 0, NULL, "Has to be given."},
    {"text", LEAT_SETTING_TEXT, MEMBER(text), false, NULL, 0, 0, NULL, "One sentence for the manual."},
    {"choices", LEAT_SETTING_TEXT_LIST, MEMBER(choices), false, NULL, 0, 0, NULL, "What a choice chooses from."},
    {"minimum", LEAT_SETTING_NUMBER, MEMBER(minimum), false, NULL, 0, 0, NULL,
     "Least number, or milliseconds of a duration."},
    {"maximum", LEAT_SETTING_NUMBER, MEMBER(maximum), false, NULL, 0, 0, NULL,
     "Greatest number, or milliseconds of a duration."},
};
static const leat_settings parameter_table = {table, sizeof table / sizeof *table, sizeof(parameter_settings)};
static const char *const parameter_keys[] = {"default", NULL};
static const char *const detection_keys[] = {"detection", "text", "parameters", "sql", NULL};

static bool read_parameter(leat_settings_reader *reader, const leat_yaml_pair *pair, detection_parameter *out)
{
    parameter_settings settings = {0};
    const leat_settings *tables[] = {&parameter_table};
    leat_settings_known known = {tables, 1, parameter_keys};
    if (pair->value->kind != LEAT_YAML_MAPPING) {
        leat_report_error(reader->report, pair->value,
                          "parameter '%.60s': expected a mapping such as { type: duration, default: 1s }",
                          pair->key->text.data);
        return false;
    }
    leat_settings_unknown(reader, pair->value, &known);
    bool good = leat_settings_read(reader, &parameter_table, pair->value, pair->key, &settings);
    *out = (detection_parameter){.name = pair->key->text.data,
                                 .text = settings.text,
                                 .type = (parameter_type)settings.type,
                                 .required = settings.required,
                                 .default_value = leat_yaml_find(pair->value, "default"),
                                 .choices = settings.choices,
                                 .minimum = leat_yaml_find(pair->value, "minimum") ? settings.minimum : -HUGE_VAL,
                                 .maximum = leat_yaml_find(pair->value, "maximum") ? settings.maximum : HUGE_VAL};
    if (leat_slice_is(pair->key->text, "time") || gateway_rule_has_key(pair->key->text)) {
        leat_report_error(reader->report, pair->key, "'%s' cannot be a parameter: it has a meaning of its own",
                          out->name);
        return false;
    }
    return good;
}

static bool read_parameters(leat_settings_reader *reader, detection *d, const leat_yaml_node *mapping)
{
    bool good = true;
    if (!mapping)
        return true;
    if (mapping->kind != LEAT_YAML_MAPPING || mapping->count > PARAMETERS_MAX) {
        leat_report_error(reader->report, mapping, "parameters: expected a mapping of at most %d", PARAMETERS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < mapping->count; i++)
        good &= read_parameter(reader, &mapping->pairs[i], &d->parameters[d->parameter_count++]);
    return good;
}

detection *gateway_read_detection(leat_arena *arena, leat_report *report, const char *name,
                                  const leat_yaml_node *mapping, const leat_yaml_node *place)
{
    detection *d = leat_arena_new(arena, detection);
    leat_settings_reader reader = {.env = arena->env, .arena = arena, .report = report, .directory = ""};
    leat_settings_known known = {NULL, 0, detection_keys};
    const leat_yaml_node *text = leat_yaml_find(mapping, "text"), *sql = leat_yaml_find(mapping, "sql");
    d->name = name;
    d->text = text && text->kind == LEAT_YAML_SCALAR ? text->text.data : "";
    d->sql = sql && sql->kind == LEAT_YAML_SCALAR && sql->text.size ? sql : NULL;
    if (!mapping || mapping->kind != LEAT_YAML_MAPPING) {
        leat_report_error(report, place, "expected a mapping with parameters and sql");
        d->failed = true;
        return d;
    }
    leat_settings_unknown(&reader, mapping, &known);
    if (!d->sql)
        leat_report_error(report, sql ? sql : place, "missing key 'sql': the text with ${parameters}");
    d->failed = !read_parameters(&reader, d, leat_yaml_find(mapping, "parameters")) || !d->sql;
    return d;
}

// ---- finding one

static detection *read_text(gateway *g, const char *name, const char *path, leat_slice text,
                            const leat_yaml_node *place)
{
    const leat_yaml_document *document = leat_yaml_parse(g->arena, path, text, &g->report);
    if (document)
        return gateway_read_detection(g->arena, &g->report, name, document->root,
                                      document->root ? document->root : place);
    detection *d = leat_arena_new(g->arena, detection);
    d->name = name;
    d->failed = true;
    return d;
}

// `name: PATH` under detections.
static detection *read_file(gateway *g, const char *name, const leat_yaml_node *node)
{
    const char *path = leat_settings_path(g->arena, g->reader.directory, node->text);
    char *text;
    size_t size;
    leat_error error;
    if (leat_env_read_file(g->options->env, path, g->arena, LEAT_YAML_BYTES_MAX, &text, &size, &error) == LEAT_OK)
        return read_text(g, name, path, leat_slice_of(text, size), node);
    leat_report_error(&g->report, node, "the detection's file cannot be read: %s", error.message);
    detection *d = leat_arena_new(g->arena, detection);
    d->name = name;
    d->failed = true;
    return d;
}

static detection *read_own(gateway *g, const leat_yaml_pair *pair)
{
    char context[LEAT_REPORT_CONTEXT];
    memcpy(context, g->report.context, sizeof context);
    leat_report_context(&g->report, "detection '%.60s'", pair->key->text.data);
    bool path = pair->value->kind == LEAT_YAML_SCALAR && !leat_yaml_is_null(pair->value) && pair->value->text.size;
    detection *d = path ? read_file(g, pair->key->text.data, pair->value)
                        : gateway_read_detection(g->arena, &g->report, pair->key->text.data, pair->value, pair->key);
    memcpy(g->report.context, context, sizeof context);
    return d;
}

static detection *read_built_in(gateway *g, leat_slice name)
{
    for (size_t i = 0; i < leat_detection_text_count; i++) {
        if (!leat_slice_is(name, leat_detection_texts[i].name))
            continue;
        const char *path = leat_arena_format(g->arena, "detections/%s.yaml", leat_detection_texts[i].name);
        detection *d =
            read_text(g, leat_detection_texts[i].name, path, leat_slice_text(leat_detection_texts[i].text), NULL);
        d->built_in = true;
        return d;
    }
    return NULL;
}

static void detection_unknown(gateway *g, const leat_yaml_node *name)
{
    leat_slice known[DETECTIONS_MAX];
    const char *list = "";
    uint32_t count = 0;
    char hint[128];
    for (size_t i = 0; i < leat_detection_text_count && count < DETECTIONS_MAX; i++) {
        list = leat_arena_format(g->arena, "%s%s%s", list, i ? ", " : "", leat_detection_texts[i].name);
        known[count++] = leat_slice_text(leat_detection_texts[i].name);
    }
    for (uint32_t i = 0; g->own_detections && i < g->own_detections->count && count < DETECTIONS_MAX; i++)
        known[count++] = g->own_detections->pairs[i].key->text;
    const char *nearest = leat_suggest_text(name->text, known, count, hint);
    if (*nearest)
        leat_report_error(&g->report, name, "unknown detection '%.60s'%s", name->text.data, nearest);
    else
        leat_report_error(&g->report, name, "unknown detection '%.60s'; there are %s", name->text.data, list);
}

static detection *remembered(const gateway *g, leat_slice name)
{
    for (uint32_t i = 0; i < g->detection_count; i++)
        if (leat_slice_is(name, g->detections[i]->name))
            return g->detections[i];
    return NULL;
}

static void remember(gateway *g, detection *d)
{
    if (g->detection_count == g->detection_capacity) {
        uint32_t capacity = g->detection_capacity * 2 + 8;
        detection **items = leat_arena_array(g->arena, detection *, capacity);
        if (g->detection_count)
            memcpy(items, g->detections, g->detection_count * sizeof *items);
        g->detections = items;
        g->detection_capacity = capacity;
    }
    g->detections[g->detection_count++] = d;
}

const detection *gateway_find_detection(gateway *g, const leat_yaml_node *name)
{
    detection *d = remembered(g, name->text);
    if (!d)
        d = read_built_in(g, name->text);
    if (!d)
        detection_unknown(g, name);
    else if (!remembered(g, name->text))
        remember(g, d);
    return d;
}

static bool is_built_in(leat_slice name)
{
    for (size_t i = 0; i < leat_detection_text_count; i++)
        if (leat_slice_is(name, leat_detection_texts[i].name))
            return true;
    return false;
}

void gateway_check_detections(gateway *g)
{
    g->own_detections = gateway_section(g, "detections");
    for (uint32_t i = 0; g->own_detections && i < g->own_detections->count; i++) {
        const leat_yaml_node *key = g->own_detections->pairs[i].key;
        if (is_built_in(key->text))
            leat_report_error(&g->report, key, "detection '%s' is built in; choose another name", key->text.data);
        else if (gateway_check_name(g, key, "detection"))
            remember(g, read_own(g, &g->own_detections->pairs[i]));
    }
}

// ---- parameters of a rule

typedef struct bound { // the value of a parameter, or of an item of its list
    const detection_parameter *parameter;
    const leat_yaml_node *node;
    leat_sql_expr *expr;
} bound;

typedef struct binding {
    gateway *g;
    gateway_rule *rule;
    const char *time;
    leat_sql_diagnostics *diagnostics;
    bound values[PARAMETERS_MAX + 1];
    uint32_t value_count;
    bool failed;
} binding;

static const leat_yaml_node *value_of(const gateway_rule *rule, const detection_parameter *parameter)
{
    const leat_yaml_node *given = leat_yaml_find(rule->value, parameter->name);
    return given ? given : parameter->default_value;
}

// Origins count parameters and, within a list, its items: what a span's origin stands for is found by the same count.
static uint32_t origin_of(uint32_t parameter, uint32_t item) { return 1 + parameter * ITEMS_MAX + item; }

static leat_sql_expr *refuse(binding *b, const leat_yaml_node *node, const detection_parameter *parameter,
                             const char *expected)
{
    b->failed = true;
    leat_report_error(&b->g->report, node, "key '%s': expected %s, found %s%.60s%s", parameter->name, expected,
                      node->kind == LEAT_YAML_SCALAR && !leat_yaml_is_null(node) ? "'" : "",
                      node->kind == LEAT_YAML_SCALAR && !leat_yaml_is_null(node) ? node->text.data
                                                                                 : leat_yaml_kind_text(node),
                      node->kind == LEAT_YAML_SCALAR && !leat_yaml_is_null(node) ? "'" : "");
    return NULL;
}

static leat_sql_expr *make_stream(binding *b, const leat_yaml_node *node, leat_sql_span span)
{
    leat_slice text = node->text;
    const char *dot = memchr(text.data, '.', text.size);
    if (!dot)
        return leat_sql_make_identifier(b->g->arena, text, span);
    leat_slice parts[2] = {leat_slice_of(text.data, (size_t)(dot - text.data)),
                           leat_slice_of(dot + 1, text.size - (size_t)(dot - text.data) - 1)};
    leat_sql_expr *expr = leat_sql_make_identifier(b->g->arena, parts[0], span);
    expr->column.parts = leat_arena_array(b->g->arena, leat_sql_name, 2);
    expr->column.count = 2;
    for (int i = 0; i < 2; i++)
        expr->column.parts[i] = (leat_sql_name){.text = parts[i], .span = span, .quoted = true};
    return expr;
}

// A bare word is a column, also one that SQL reserves: `column: value`.
static bool is_word(leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return text.size > 0;
}

static leat_sql_expr *make_expression(binding *b, const leat_yaml_node *node, leat_sql_span span)
{
    leat_sql_expr *expr;
    if (is_word(node->text))
        return leat_sql_make_identifier(b->g->arena, node->text, span);
    if (leat_sql_parse_expression(b->g->arena, node->text, span.origin, &expr, b->diagnostics) == LEAT_OK)
        return expr;
    b->failed = true;
    return NULL;
}

static bool in_range(binding *b, const leat_yaml_node *node, const detection_parameter *parameter, double number)
{
    bool low = number < parameter->minimum;
    bool high = number > parameter->maximum;
    double limit = low ? parameter->minimum : parameter->maximum;
    char text[LEAT_TIMESTAMP_TEXT + LEAT_NUMBER_TEXT];
    if (!low && !high)
        return true;
    b->failed = true;
    if (parameter->type == PARAMETER_DURATION)
        leat_duration_print((int64_t)limit, text);
    else
        leat_double_print(limit, text);
    leat_report_error(&b->g->report, node, "key '%s': expected at %s %s, found '%s'", parameter->name,
                      low ? "least" : "most", text, node->text.data);
    return false;
}

static leat_sql_expr *make_duration(binding *b, const leat_yaml_node *node, const detection_parameter *parameter,
                                    leat_sql_span span)
{
    int64_t ms;
    if (!leat_duration_parse(node->text, &ms))
        return refuse(b, node, parameter, "a duration such as 500ms, 2s, 1m or 1h30m");
    return in_range(b, node, parameter, (double)ms) ? leat_sql_make_interval(b->g->arena, ms, span) : NULL;
}

static leat_sql_expr *make_number(binding *b, const leat_yaml_node *node, const detection_parameter *parameter,
                                  leat_sql_span span)
{
    double number;
    bool plain = node->text.size && strspn(node->text.data, "0123456789.eE+-") == node->text.size;
    if (!plain || !leat_double_parse(node->text, &number) || number - number != 0)
        return refuse(b, node, parameter, "a number");
    return in_range(b, node, parameter, number) ? make_expression(b, node, span) : NULL;
}

static leat_sql_expr *make_choice(binding *b, const leat_yaml_node *node, const detection_parameter *parameter,
                                  leat_sql_span span)
{
    const char *list = "one of";
    for (uint32_t i = 0; i < parameter->choices.count; i++) {
        if (leat_slice_is(node->text, parameter->choices.items[i]))
            return leat_sql_make_string(b->g->arena, node->text, span);
        list = leat_arena_format(b->g->arena, "%s%s %s", list, i ? "," : "", parameter->choices.items[i]);
    }
    return refuse(b, node, parameter, list);
}

static leat_sql_expr *make_boolean(binding *b, const leat_yaml_node *node, const detection_parameter *parameter,
                                   leat_sql_span span)
{
    bool yes = leat_slice_is(node->text, "true");
    if (!yes && !leat_slice_is(node->text, "false"))
        return refuse(b, node, parameter, "true or false");
    return leat_sql_make_boolean(b->g->arena, yes, span);
}

static const char *const expected_texts[] = {
    "the name of a stream",
    "names of columns",
    "the name of a column",
    "an SQL expression",
    "a duration such as 2s",
    "a number",
    "a text",
    "one of its choices",
    "true or false",
};

static leat_sql_expr *make_one(binding *b, const leat_yaml_node *node, const detection_parameter *parameter,
                               uint32_t origin)
{
    leat_sql_span span = {0, (uint32_t)node->text.size, origin};
    if (node->kind != LEAT_YAML_SCALAR || leat_yaml_is_null(node))
        return refuse(b, node, parameter, expected_texts[parameter->type]);
    switch (parameter->type) {
    case PARAMETER_STREAM:
        return make_stream(b, node, span);
    case PARAMETER_COLUMNS:
    case PARAMETER_COLUMN:
        return leat_sql_make_identifier(b->g->arena, node->text, span);
    case PARAMETER_EXPRESSION:
        return make_expression(b, node, span);
    case PARAMETER_DURATION:
        return make_duration(b, node, parameter, span);
    case PARAMETER_NUMBER:
        return make_number(b, node, parameter, span);
    case PARAMETER_TEXT:
        return leat_sql_make_string(b->g->arena, node->text, span);
    case PARAMETER_CHOICE:
        return make_choice(b, node, parameter, span);
    case PARAMETER_BOOLEAN:
        return make_boolean(b, node, parameter, span);
    }
    return NULL;
}

static leat_sql_expr *make_columns(binding *b, const leat_yaml_node *node, const detection_parameter *parameter,
                                   uint32_t index)
{
    bool sequence = node->kind == LEAT_YAML_SEQUENCE;
    uint32_t count = sequence ? node->count : 1;
    leat_sql_expr **items = leat_arena_array(b->g->arena, leat_sql_expr *, count + 1);
    leat_sql_span span = {0, sequence ? 1 : (uint32_t)node->text.size, origin_of(index, 0)};
    if (count > ITEMS_MAX)
        return refuse(b, node, parameter, "at most 64 columns");
    for (uint32_t i = 0; i < count; i++)
        if (!(items[i] = make_one(b, sequence ? node->items[i] : node, parameter, origin_of(index, i))))
            return NULL;
    return leat_sql_make_list(b->g->arena, items, count, span);
}

static leat_sql_expr *make_value(binding *b, const detection_parameter *parameter, uint32_t index)
{
    const leat_yaml_node *node = value_of(b->rule, parameter);
    if (!node)
        return leat_sql_make_null(b->g->arena, (leat_sql_span){0, 0, 0});
    if (parameter->type == PARAMETER_COLUMNS)
        return make_columns(b, node, parameter, index);
    return make_one(b, node, parameter, origin_of(index, 0));
}

static const leat_sql_expr *lookup(void *context, leat_slice name)
{
    binding *b = context;
    for (uint32_t i = 0; i < b->value_count; i++)
        if (leat_slice_is(name, b->values[i].parameter->name))
            return b->values[i].expr;
    if (leat_slice_is(name, "time"))
        return leat_sql_make_identifier(b->g->arena, leat_slice_text(b->time ? b->time : "ts"),
                                        (leat_sql_span){0, 0, 0});
    return NULL;
}

leat_sql_script *gateway_bind_detection(gateway *g, gateway_rule *rule, const char *time,
                                        leat_sql_diagnostics *diagnostics)
{
    binding *b = leat_arena_new(g->arena, binding);
    const detection *d = rule->detection;
    leat_sql_script *script;
    b->g = g;
    b->rule = rule;
    b->time = time;
    b->diagnostics = diagnostics;
    for (uint32_t i = 0; i < d->parameter_count; i++) {
        leat_sql_expr *expr = make_value(b, &d->parameters[i], i);
        if (expr)
            b->values[b->value_count++] = (bound){&d->parameters[i], value_of(rule, &d->parameters[i]), expr};
    }
    if (leat_sql_parse_statements(g->arena, d->sql->text, &script, diagnostics) != LEAT_OK || b->failed)
        return NULL;
    bool good = leat_sql_bind_parameters(g->arena, script, lookup, b, diagnostics) == LEAT_OK;
    return good ? script : NULL;
}

// ---- diagnostics: a parameter's own value, else the text

static const leat_yaml_node *node_of_origin(const gateway_rule *rule, uint32_t origin)
{
    uint32_t index = (origin - 1) / ITEMS_MAX, item = (origin - 1) % ITEMS_MAX;
    if (!origin || index >= rule->detection->parameter_count)
        return NULL;
    const leat_yaml_node *node = leat_yaml_find(rule->value, rule->detection->parameters[index].name);
    bool list = node && node->kind == LEAT_YAML_SEQUENCE;
    return list ? (item < node->count ? node->items[item] : node) : node;
}

void gateway_report_detection(gateway *g, const gateway_rule *rule, const leat_sql_diagnostics *diagnostics)
{
    for (uint32_t i = 0; i < diagnostics->count; i++) {
        const leat_sql_diagnostic *d = &diagnostics->items[i];
        const leat_yaml_node *node = node_of_origin(rule, d->span.origin);
        if (node && node->kind == LEAT_YAML_SCALAR)
            leat_report_in(&g->report, node, d->span.offset, d->span.size, "%s", d->message);
        else if (node)
            leat_report_error(&g->report, node, "%s", d->message);
        else if (!rule->detection->built_in && !d->span.origin)
            leat_report_in(&g->report, rule->detection->sql, d->span.offset, d->span.size, "%s", d->message);
        else
            leat_report_error(&g->report, rule->detect, "%s", d->message);
    }
}

// ---- keys

bool gateway_check_parameters(gateway *g, gateway_rule *rule)
{
    const detection *d = rule->detection;
    bool good = true;
    for (uint32_t i = 0; i < d->parameter_count; i++) {
        const detection_parameter *parameter = &d->parameters[i];
        if (!parameter->required || leat_yaml_find(rule->value, parameter->name))
            continue;
        good = false;
        leat_report_error(&g->report, rule->key, "missing key '%s': %s", parameter->name,
                          parameter->text ? parameter->text : "");
    }
    return good;
}

const char *gateway_stream_parameter(gateway *g, const gateway_rule *rule)
{
    const detection_parameter *found = NULL;
    (void)g;
    for (uint32_t i = 0; i < rule->detection->parameter_count; i++) {
        const detection_parameter *parameter = &rule->detection->parameters[i];
        if (parameter->type == PARAMETER_STREAM && (!found || !strcmp(parameter->name, "from")))
            found = parameter;
    }
    const leat_yaml_node *node = found ? value_of(rule, found) : NULL;
    return node && node->kind == LEAT_YAML_SCALAR ? node->text.data : NULL;
}
