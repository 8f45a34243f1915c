// `fields:` of a source: columns, their types, and where the driver or the format finds them.
#include <string.h>

#include "config/gateway.h"
#include "config/sql/binder.h"
#include "operators/base/limits.h"
#include "operators/base/suggest.h"

typedef struct type_name {
    const char *name;
    uint8_t kind, precision;
    leat_time_unit unit;
    const char *text; // for the manual
} type_name;

static const type_name type_names[] = {
    {"boolean", LEAT_KIND_BOOLEAN, 0, LEAT_TIME_UNIT_NONE, "true or false"},
    {"tinyint", LEAT_KIND_TINYINT, 0, LEAT_TIME_UNIT_NONE, "8-bit integer"},
    {"smallint", LEAT_KIND_SMALLINT, 0, LEAT_TIME_UNIT_NONE, "16-bit integer"},
    {"int", LEAT_KIND_INT, 0, LEAT_TIME_UNIT_NONE, "32-bit integer"},
    {"bigint", LEAT_KIND_BIGINT, 0, LEAT_TIME_UNIT_NONE, "64-bit integer"},
    {"float", LEAT_KIND_FLOAT, 0, LEAT_TIME_UNIT_NONE, "32-bit floating point"},
    {"double", LEAT_KIND_DOUBLE, 0, LEAT_TIME_UNIT_NONE, "64-bit floating point"},
    {"decimal", LEAT_KIND_DECIMAL, 0, LEAT_TIME_UNIT_NONE, "exact decimal: `decimal(p, s)`; without them (10, 0)"},
    {"string", LEAT_KIND_STRING, 0, LEAT_TIME_UNIT_NONE, "text"},
    {"bytes", LEAT_KIND_BYTES, 0, LEAT_TIME_UNIT_NONE, "bytes"},
    {"date", LEAT_KIND_DATE, 0, LEAT_TIME_UNIT_ISO, "`2024-05-01`"},
    {"time", LEAT_KIND_TIME, 0, LEAT_TIME_UNIT_ISO, "`12:30:00`"},
    {"timestamp", LEAT_KIND_TIMESTAMP, 3, LEAT_TIME_UNIT_ISO, "text without a zone: TIMESTAMP(3)"},
    {"timestamp_ltz", LEAT_KIND_TIMESTAMP_LTZ, 3, LEAT_TIME_UNIT_ISO,
     "text with a zone (`Z`, `+02:00`): TIMESTAMP_LTZ(3)"},
    {"timestamp_s", LEAT_KIND_TIMESTAMP_LTZ, 3, LEAT_TIME_UNIT_S, "seconds since 1970: TIMESTAMP_LTZ(3)"},
    {"timestamp_ms", LEAT_KIND_TIMESTAMP_LTZ, 3, LEAT_TIME_UNIT_MS, "milliseconds since 1970: TIMESTAMP_LTZ(3)"},
    {"timestamp_us", LEAT_KIND_TIMESTAMP_LTZ, 3, LEAT_TIME_UNIT_US, "microseconds since 1970: TIMESTAMP_LTZ(3)"},
    {"timestamp_ns", LEAT_KIND_TIMESTAMP_LTZ, 3, LEAT_TIME_UNIT_NS, "nanoseconds since 1970: TIMESTAMP_LTZ(3)"},
};
enum { TYPE_NAMES = sizeof type_names / sizeof *type_names };
static const char *const sql_names[] = {"array",   "map",     "row", "char", "varchar",  "binary",  "varbinary",
                                        "integer", "numeric", "dec", "real", "interval", "multiset"};
enum { SQL_NAMES = sizeof sql_names / sizeof *sql_names };

const char *const gateway_field_keys[] = {"type", "path", "unit", NULL};

typedef struct field_reader {
    gateway *g;
    const leat_source_description *driver; // NULL: unknown
    const leat_yaml_node *key, *value;
    leat_source_field *field;
} field_reader;

// ---- types

static const type_name *find_type(leat_slice name)
{
    for (size_t i = 0; i < TYPE_NAMES; i++)
        if (leat_slice_is_nocase(name, type_names[i].name))
            return &type_names[i];
    return NULL;
}

static leat_slice first_word(leat_slice text)
{
    size_t size = 0;
    while (size < text.size && ((text.data[size] | 0x20) >= 'a' ? (text.data[size] | 0x20) <= 'z' : false))
        size++;
    while (size < text.size &&
           (text.data[size] == '_' || ((text.data[size] | 0x20) >= 'a' && (text.data[size] | 0x20) <= 'z')))
        size++;
    return leat_slice_of(text.data, size);
}

static bool is_type(leat_slice text)
{
    leat_slice word = first_word(text);
    for (size_t i = 0; i < SQL_NAMES; i++)
        if (leat_slice_is_nocase(word, sql_names[i]))
            return true;
    return find_type(word) && (word.size < text.size ? strchr("( ", text.data[word.size]) != NULL : true);
}

static void type_unknown(field_reader *r, const leat_yaml_node *node)
{
    leat_slice known[TYPE_NAMES + SQL_NAMES];
    char hint[128];
    for (size_t i = 0; i < TYPE_NAMES; i++)
        known[i] = leat_slice_text(type_names[i].name);
    for (size_t i = 0; i < SQL_NAMES; i++)
        known[TYPE_NAMES + i] = leat_slice_text(sql_names[i]);
    leat_report_error(&r->g->report, node, "field '%.*s': unknown type '%.60s'%s", (int)r->field->name.size,
                      r->field->name.data, node->text.data,
                      leat_suggest_text(first_word(node->text), known, TYPE_NAMES + SQL_NAMES, hint));
}

// `DECIMAL(10, 2)`, `array<int>`: the SQL parser's own.
static bool sql_type(field_reader *r, const leat_yaml_node *node)
{
    leat_sql_diagnostics *diagnostics = leat_arena_new(&r->g->scratch, leat_sql_diagnostics);
    leat_expr_scope scope = {.arena = r->g->arena, .zone = r->g->plan->zone};
    leat_sql_binder binder = {.expr = &scope, .diagnostics = diagnostics, .clause = "a type"};
    leat_sql_type *type;
    bool good = leat_sql_parse_type(r->g->arena, node->text, 0, &type, diagnostics) == LEAT_OK &&
                leat_sql_bind_type(&binder, type, &r->field->type);
    if (!good)
        gateway_report_sql(r->g, node, diagnostics);
    return good;
}

static bool storable(field_reader *r, const leat_yaml_node *node)
{
    switch ((leat_kind)r->field->type.kind) {
    case LEAT_KIND_NULL:
    case LEAT_KIND_INTERVAL:
    case LEAT_KIND_INTERVAL_MONTH:
        leat_report_error(&r->g->report, node, "field '%.*s': %s is no type of a field", (int)r->field->name.size,
                          r->field->name.data, node->text.data);
        return false;
    default:
        return true;
    }
}

static bool read_type(field_reader *r, const leat_yaml_node *node)
{
    const type_name *known = find_type(node->text);
    if (!is_type(node->text)) {
        type_unknown(r, node);
        return false;
    }
    if (known) {
        r->field->type = leat_type_of((leat_kind)known->kind);
        if (known->precision)
            r->field->type.precision = known->precision;
        r->field->time_unit = known->unit;
        return true;
    }
    if (!sql_type(r, node))
        return false;
    r->field->time_unit = leat_type_is_temporal(r->field->type) ? LEAT_TIME_UNIT_ISO : LEAT_TIME_UNIT_NONE;
    return storable(r, node);
}

// ---- the driver's own type names: float32, uint16 ..

static leat_kind kind_of_wire(const char *name)
{
    static const struct {
        const char *name;
        leat_kind kind;
    } wires[] = {{"int8", LEAT_KIND_INT},       {"uint8", LEAT_KIND_INT},     {"int16", LEAT_KIND_INT},
                 {"uint16", LEAT_KIND_INT},     {"int32", LEAT_KIND_INT},     {"uint32", LEAT_KIND_BIGINT},
                 {"int64", LEAT_KIND_BIGINT},   {"uint64", LEAT_KIND_BIGINT}, {"float32", LEAT_KIND_DOUBLE},
                 {"float64", LEAT_KIND_DOUBLE}, {"bool", LEAT_KIND_BOOLEAN},  {"bit", LEAT_KIND_BOOLEAN},
                 {"string", LEAT_KIND_STRING}};
    for (size_t i = 0; i < sizeof wires / sizeof *wires; i++)
        if (!strcmp(wires[i].name, name))
            return wires[i].kind;
    return LEAT_KIND_DOUBLE;
}

static void derive_type(field_reader *r, const leat_setting *wire)
{
    const char *name = "float64";
    LEAT_ASSERT(r->driver); // whose table `wire` is from
    if (r->driver->field_type) {
        r->field->type = leat_type_of(LEAT_KIND_DOUBLE);
        (void)r->driver->field_type(r->field->settings, &r->field->type); // the driver's check tells contradictions
        return;
    }
    const void *member = (const char *)r->field->settings + wire->offset;
    if (wire->type == LEAT_SETTING_CHOICE)
        name = wire->choices[*(const int32_t *)member];
    else if (wire->type == LEAT_SETTING_TEXT && *(const char *const *)member)
        name = *(const char *const *)member;
    leat_kind kind = kind_of_wire(name);
    bool scaled = leat_yaml_find(r->value, "scale") || leat_yaml_find(r->value, "offset");
    if (scaled && (kind == LEAT_KIND_INT || kind == LEAT_KIND_BIGINT))
        kind = LEAT_KIND_DOUBLE;
    r->field->type = leat_type_of(kind);
}

// ---- one field

static const leat_settings *own_settings(const field_reader *r)
{
    return r->driver && r->driver->field_settings.count ? &r->driver->field_settings : NULL;
}

static const char *scalar_text(field_reader *r, const leat_yaml_node *node, const char *what)
{
    if (node->kind == LEAT_YAML_SCALAR && !leat_yaml_is_null(node) && node->text.size)
        return node->text.data;
    leat_report_error(&r->g->report, node, "field '%.*s': expected %s, found %s", (int)r->field->name.size,
                      r->field->name.data, what, leat_yaml_kind_text(node));
    return NULL;
}

static bool is_known_key(const field_reader *r, leat_slice key)
{
    for (const char *const *name = gateway_field_keys; *name; name++)
        if (leat_slice_is(key, *name))
            return true;
    return leat_settings_find(own_settings(r), key);
}

// `{ double: a.b[0] }`: the key that is a type.
static const leat_yaml_pair *type_pair(const field_reader *r)
{
    for (uint32_t i = 0; i < r->value->count; i++)
        if (!is_known_key(r, r->value->pairs[i].key->text) && is_type(r->value->pairs[i].key->text))
            return &r->value->pairs[i];
    return NULL;
}

static bool read_own_settings(field_reader *r)
{
    const leat_settings *table = own_settings(r);
    if (!table)
        return true;
    void *settings = leat_arena_calloc(r->g->arena, table->size);
    r->field->settings = settings;
    return leat_settings_read(&r->g->reader, table, r->value && r->value->kind == LEAT_YAML_MAPPING ? r->value : NULL,
                              r->key, settings);
}

static void check_keys(field_reader *r, const leat_yaml_pair *typed)
{
    const leat_settings *tables[] = {own_settings(r)};
    const char *others[] = {"type", "path", "unit", typed ? typed->key->text.data : NULL, NULL};
    leat_settings_known known = {tables, 1, others};
    leat_settings_unknown(&r->g->reader, r->value, &known);
}

static bool read_sql_type(field_reader *r, const leat_yaml_pair *typed)
{
    const leat_yaml_node *type = leat_yaml_find(r->value, "type");
    if (typed && type) {
        leat_report_error(&r->g->report, typed->key, "field '%.*s' has two types", (int)r->field->name.size,
                          r->field->name.data);
        return false;
    }
    if (typed) {
        r->field->path = scalar_text(r, typed->value, "a path such as a.b[0]");
        return read_type(r, typed->key) && r->field->path;
    }
    if (type)
        return scalar_text(r, type, "a type") && read_type(r, type);
    if (r->value->count == 1 && !is_known_key(r, r->value->pairs[0].key->text)) {
        type_unknown(r, r->value->pairs[0].key);
        return false;
    }
    leat_report_error(&r->g->report, r->key, "field '%.*s': missing key 'type', such as double or string",
                      (int)r->field->name.size, r->field->name.data);
    return false;
}

static bool read_texts(field_reader *r)
{
    const leat_yaml_node *path = leat_yaml_find(r->value, "path"), *unit = leat_yaml_find(r->value, "unit");
    bool good = true;
    if (path && !leat_settings_find(own_settings(r), leat_slice_text("path")))
        good = (r->field->path = scalar_text(r, path, "a path such as a.b[0]"));
    if (unit && !leat_settings_find(own_settings(r), leat_slice_text("unit")))
        good &= (r->field->unit_text = scalar_text(r, unit, "a unit such as degC")) != NULL;
    return good;
}

static bool read_mapping(field_reader *r)
{
    const leat_setting *wire = leat_settings_find(own_settings(r), leat_slice_text("type"));
    const leat_yaml_pair *typed = wire ? NULL : type_pair(r);
    bool good = read_own_settings(r), typed_well = true;
    if (wire)
        derive_type(r, wire);
    else
        typed_well = read_sql_type(r, typed);
    bool texts = read_texts(r);
    if (typed_well || r->value->count > 1)
        check_keys(r, typed);
    return good && typed_well && texts;
}

static bool read_field(field_reader *r)
{
    r->field->name = r->key->text;
    r->field->path = NULL;
    if (!gateway_check_name(r->g, r->key, "field"))
        return false;
    if (r->value->kind == LEAT_YAML_MAPPING)
        return read_mapping(r);
    if (!scalar_text(r, r->value, "a type such as double, or a mapping"))
        return false;
    if (r->driver && r->driver->needs_fields_path) {
        leat_report_error(&r->g->report, r->value, "field '%.*s': the driver '%s' wants a mapping such as { %s: .. }",
                          (int)r->field->name.size, r->field->name.data, r->driver->name,
                          r->driver->field_settings.items[0].name);
        return false;
    }
    return read_own_settings(r) && read_type(r, r->value);
}

bool gateway_read_fields(gateway *g, gateway_source *source, gateway_field **out_places)
{
    const leat_yaml_node *mapping = leat_yaml_find(source->value, "fields");
    const leat_source_description *driver = source->plan.driver;
    bool good = true;
    *out_places = NULL;
    if (mapping && mapping->kind != LEAT_YAML_MAPPING) {
        leat_report_error(&g->report, mapping,
                          "key 'fields': expected a mapping such as { temperature: double }, found %s",
                          leat_yaml_kind_text(mapping));
        return false;
    }
    if ((!mapping || !mapping->count) && driver && driver->fields_required) {
        leat_report_error(&g->report, source->key,
                          "missing key 'fields': the columns, such as { temperature: double }");
        return false;
    }
    uint32_t count = mapping ? mapping->count : 0;
    if (count + 5 > LEAT_COLUMNS_MAX) {
        leat_report_error(&g->report, source->key, "%u fields; at most %d", count, LEAT_COLUMNS_MAX - 5);
        return false;
    }
    leat_source_field *fields = leat_arena_array(g->arena, leat_source_field, count + 1);
    *out_places = leat_arena_array(g->arena, gateway_field, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        field_reader r = {g, driver, mapping->pairs[i].key, mapping->pairs[i].value, &fields[i]};
        (*out_places)[i] = (gateway_field){r.key, r.value};
        good &= read_field(&r);
    }
    source->plan.fields = fields;
    source->plan.field_count = count;
    return good;
}

// ---- schema

static leat_type instant(void)
{
    leat_type type = leat_type_of(LEAT_KIND_TIMESTAMP_LTZ);
    type.precision = 3;
    return type;
}

static const struct {
    uint32_t bit;
    const char *name;
    int kind;
} implicit_columns[] = {{LEAT_IMPLICIT_SOURCE, "source", LEAT_KIND_STRING},
                        {LEAT_IMPLICIT_TS, "ts", LEAT_KIND_TIMESTAMP_LTZ},
                        {LEAT_IMPLICIT_TOPIC, "topic", LEAT_KIND_STRING},
                        {LEAT_IMPLICIT_UNIT, "unit", LEAT_KIND_INT},
                        {LEAT_IMPLICIT_QUALITY, "quality", LEAT_KIND_STRING}};

static bool has_field(const leat_plan_source *source, const char *name)
{
    for (uint32_t i = 0; i < source->field_count; i++)
        if (leat_slice_is(source->fields[i].name, name))
            return true;
    return false;
}

// The columns in their order, with or without the field of the row kind.
static leat_schema *make_schema(gateway *g, const leat_plan_source *plan, const char *processing_time, bool with_kind)
{
    leat_schema *schema = leat_arena_new(g->arena, leat_schema);
    leat_field *fields = leat_arena_array(g->arena, leat_field, plan->field_count + 6);
    *schema = (leat_schema){.fields = fields, .rowtime = -1, .proctime = -1};
    for (uint32_t i = 0; i < plan->field_count; i++)
        if (with_kind || (int32_t)i != plan->kind_field)
            fields[schema->count++] = (leat_field){plan->fields[i].name, plan->fields[i].type};
    for (size_t i = 0; i < sizeof implicit_columns / sizeof *implicit_columns; i++) {
        if (!(plan->implicit & implicit_columns[i].bit))
            continue;
        if (implicit_columns[i].bit == LEAT_IMPLICIT_TS && plan->event_time < 0)
            schema->rowtime = (int32_t)schema->count;
        fields[schema->count] = (leat_field){leat_slice_text(implicit_columns[i].name), instant()};
        if (implicit_columns[i].bit != LEAT_IMPLICIT_TS)
            fields[schema->count].type = leat_type_of((leat_kind)implicit_columns[i].kind);
        schema->count++;
    }
    if (processing_time) {
        schema->proctime = (int32_t)schema->count;
        fields[schema->count++] = (leat_field){leat_slice_text(processing_time), instant()};
    }
    if (plan->event_time >= 0)
        schema->rowtime = plan->event_time;
    return schema;
}

void gateway_make_schema(gateway *g, gateway_source *source, const char *processing_time)
{
    leat_plan_source *plan = &source->plan;
    for (size_t i = 0; i < sizeof implicit_columns / sizeof *implicit_columns; i++)
        if ((plan->driver->implicit & implicit_columns[i].bit) && !has_field(plan, implicit_columns[i].name))
            plan->implicit |= implicit_columns[i].bit;
    plan->schema = plan->decoded = make_schema(g, plan, processing_time, false);
    if (plan->kind_field >= 0)
        plan->decoded = make_schema(g, plan, processing_time, true);
    if (processing_time && gateway_check_name(g, leat_yaml_find(source->value, "processing_time"), "column") &&
        leat_schema_find(plan->schema, leat_slice_text(processing_time)) != plan->schema->proctime)
        leat_report_error(&g->report, leat_yaml_find(source->value, "processing_time"),
                          "processing_time: the source has a column '%.60s' already", processing_time);
}

void gateway_print_types(leat_writer *out)
{
    for (size_t i = 0; i < TYPE_NAMES; i++)
        leat_write_format(out, "| `%s` | %s |\n", type_names[i].name, type_names[i].text);
}
