// What sources and sinks share: a driver by name, its settings, the format of what it carries.
#include <string.h>

#include "config/gateway.h"
#include "operators/base/suggest.h"

void gateway_names_add(gateway_names *names, const char *name)
{
    if (names->count < sizeof names->items / sizeof *names->items)
        names->items[names->count++] = leat_slice_text(name);
}

bool gateway_is_driver(gateway *g, const leat_yaml_node *value)
{
    if (value->kind == LEAT_YAML_MAPPING)
        return true;
    leat_report_error(&g->report, value, "expected a mapping such as { driver: mqtt, .. }, found %s",
                      leat_yaml_kind_text(value));
    return false;
}

void gateway_driver_unknown(gateway *g, const leat_yaml_node *mapping, const gateway_names *known, const char *section)
{
    const leat_yaml_node *node = leat_yaml_find(mapping, "driver");
    const char *list = "";
    char hint[128];
    for (uint32_t i = 0; i < known->count; i++)
        list = leat_arena_format(g->arena, "%s%s%s", list, i ? ", " : "", known->items[i].data);
    const char *nearest = leat_suggest_text(node->text, known->items, known->count, hint);
    if (*nearest)
        leat_report_error(&g->report, node, "unknown driver '%.60s'%s", node->text.data, nearest);
    else
        leat_report_error(&g->report, node, "unknown driver '%.60s'; for %s there are %s", node->text.data, section,
                          list);
}

bool gateway_read_driver(gateway *g, const leat_yaml_node *mapping, const leat_yaml_node *key,
                         const leat_settings *settings, const void **out_settings)
{
    void *own = leat_arena_calloc(g->arena, settings->size + 1);
    *out_settings = own;
    return leat_settings_read(&g->reader, settings, mapping, key, own);
}

bool gateway_takes_no_format(gateway *g, const leat_yaml_node *mapping, const char *driver, const char *makes)
{
    const leat_yaml_node *node = leat_yaml_find(mapping, "format");
    if (node)
        leat_report_error(&g->report, node, "the driver '%s' %s rows itself and takes no format", driver, makes);
    return !node;
}

// ---- formats

static const leat_format_description *find_format(gateway *g, const leat_yaml_node *name)
{
    leat_slice known[32];
    uint32_t count = 0;
    char hint[128];
    for (const leat_format_description *const *entry = g->options->drivers->formats; *entry && count < 32; entry++) {
        if (leat_slice_is(name->text, (*entry)->name))
            return *entry;
        known[count++] = leat_slice_text((*entry)->name);
    }
    leat_report_error(&g->report, name, "unknown format '%.60s'%s", name->text.data,
                      leat_suggest_text(name->text, known, count, hint));
    return NULL;
}

static const leat_format_description *default_format(gateway *g)
{
    for (const leat_format_description *const *entry = g->options->drivers->formats; *entry; entry++)
        if (!strcmp((*entry)->name, "json"))
            return *entry;
    return NULL;
}

static bool read_format_settings(gateway *g, const leat_format_description *format, const leat_yaml_node *name,
                                 const leat_yaml_node *mapping, const void **out_settings)
{
    const leat_settings *tables[] = {&format->settings};
    leat_settings_known known = {tables, 1, NULL};
    void *settings = leat_arena_calloc(g->arena, format->settings.size + 1);
    *out_settings = settings;
    if (mapping && mapping->kind != LEAT_YAML_MAPPING && !leat_yaml_is_null(mapping)) {
        leat_report_error(&g->report, mapping, "format '%s': expected a mapping of its settings, found %s",
                          format->name, leat_yaml_kind_text(mapping));
        return false;
    }
    leat_settings_unknown(&g->reader, mapping, &known);
    return leat_settings_read(&g->reader, &format->settings, mapping, name, settings);
}

static bool format_fits(gateway *g, const leat_format_description *format, const leat_yaml_node *name, bool decodes)
{
    if (decodes ? format->decodes : format->encodes)
        return true;
    leat_report_error(&g->report, name, "format '%s' cannot %s", format->name, decodes ? "read" : "write");
    return false;
}

bool gateway_read_format(gateway *g, const leat_yaml_node *mapping, bool decodes,
                         const leat_format_description **out_format, const void **out_settings)
{
    const leat_yaml_node *node = leat_yaml_find(mapping, "format"), *name = node, *settings = NULL;
    *out_format = NULL;
    if (!node) {
        *out_format = default_format(g);
        return !*out_format || read_format_settings(g, *out_format, NULL, NULL, out_settings);
    }
    if (node->kind == LEAT_YAML_MAPPING && node->count == 1) {
        name = node->pairs[0].key;
        settings = node->pairs[0].value;
    } else if (node->kind != LEAT_YAML_SCALAR || leat_yaml_is_null(node)) {
        leat_report_error(&g->report, node, "key 'format': expected a name such as json, or { csv: { header: true } }");
        return false;
    }
    const leat_format_description *format = find_format(g, name);
    if (!format || !format_fits(g, format, name, decodes))
        return false;
    *out_format = format;
    return read_format_settings(g, format, name, settings, out_settings);
}

// Keys of the format that stand beside `format:` are told where they belong.
void gateway_unknown_keys(gateway *g, const leat_yaml_node *mapping, const leat_settings_known *known,
                          const leat_format_description *format)
{
    const char *others[64];
    uint32_t count = 0;
    for (; known->others && known->others[count] && count < 32; count++)
        others[count] = known->others[count];
    for (uint32_t i = 0; format && i < mapping->count && count < 63; i++) {
        leat_slice key = mapping->pairs[i].key->text;
        if (leat_settings_knows(known, key) || !leat_settings_find(&format->settings, key))
            continue;
        leat_report_error(&g->report, mapping->pairs[i].key,
                          "'%s' is a setting of the format: format: { %s: { %s: .. } }", key.data, format->name,
                          key.data);
        others[count++] = key.data;
    }
    others[count] = NULL;
    leat_settings_known all = {known->tables, known->table_count, others};
    leat_settings_unknown(&g->reader, mapping, &all);
}

// "path: '-' is ..." points at the value of `path`.
void gateway_driver_complains(gateway *g, const leat_yaml_node *mapping, const leat_yaml_node *key,
                              const leat_error *error)
{
    const char *colon = strchr(error->message, ':');
    leat_slice name = leat_slice_of(error->message, colon ? (size_t)(colon - error->message) : 0);
    int index = colon ? leat_yaml_index(mapping, name) : -1;
    const leat_yaml_node *fields = leat_yaml_find(mapping, "fields");
    const leat_yaml_node *place = index >= 0 ? mapping->pairs[index].value : key;
    if (index < 0 && colon && name.size > 8 && !memcmp(name.data, "field '", 7)) { // "field 'temperature': .."
        int field = leat_yaml_index(fields, leat_slice_of(name.data + 7, name.size - 8));
        place = field >= 0 ? fields->pairs[field].key : key;
    }
    leat_report_error(&g->report, place, "%s", error->message);
}
