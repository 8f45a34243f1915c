// FROM readings /*+ OPTIONS('watermark.idle'='5s') */: the source once more, with settings of its own.
//
// A rule that reads a source with OPTIONS reads a variant of it: a source of the plan with the same section, into which the options
// are put as `--set` puts its values, read and checked as every other. Rules with equal options share it. It is called SOURCE@RULE
// after the first rule of the file that wants it, so that neither another value nor another rule makes it start anew.
//
// What says what the rows are (the driver, fields, keys) cannot be an option: that is another source.
#include <stdio.h>
#include <string.h>

#include "config/gateway.h"
#include "operators/base/hash.h"

enum { OPTIONS_MAX = 64, VARIANTS_MAX = 64 };

typedef struct variant {
    uint32_t base; // index of the source
    const leat_sql_hints *hints;
    const char *name;
} variant;

// ---- what cannot be an option

static const struct {
    const char *key, *why;
} refused[] = {
    {"driver", "it makes another source: declare one"},
    {"fields", "the columns are those of every rule that reads the source; declare another one"},
    {"event_time", "the columns are those of every rule that reads the source; declare another one"},
    {"processing_time", "the columns are those of every rule that reads the source; declare another one"},
    {"primary_key", "it says what the rows are; declare another source"},
    {"changelog", "it says what the rows are; declare another source"},
    {"changelog_field", "it says what the rows are; declare another source"},
    {"to", "rows go to a sink as they come, whoever reads them; a rule has its own `to`"},
};

static const struct {
    const char *key, *instead;
} of_flink[] = {
    {"scan.watermark.idle-timeout", "'watermark.idle'"},
    {"table.exec.source.idle-timeout", "'watermark.idle'"},
    {"scan.watermark.emit.strategy", "'watermark.interval' ('0s' is on-event)"},
    {"scan.watermark.emit.on-event.gap", "'watermark.interval'"},
    {"scan.watermark.alignment.group", "nothing: leat does not hold a source back for another"},
    {"scan.watermark.alignment.max-drift", "nothing: leat does not hold a source back for another"},
    {"scan.watermark.alignment.update-interval", "nothing: leat does not hold a source back for another"},
    {"scan.parallelism", "nothing: a source is one, `agent.workers` are shared by all"},
    {"scan.startup.mode", "a setting of the driver, where it has one: what it starts with"},
    {"scan.bounded.mode", "a setting of the driver, where it has one"},
    {"source.path", "'path'"},
    {"source.monitor-interval", "'follow' of driver file"},
    {"connector", "'driver', which cannot be an option"},
    {"format", "'format.NAME.SETTING'"},
};

static leat_slice first_part(leat_slice key)
{
    const char *dot = memchr(key.data, '.', key.size);
    return dot ? leat_slice_of(key.data, (size_t)(dot - key.data)) : key;
}

static void option_error(gateway *g, const gateway_rule *rule, leat_sql_span span, const char *message)
{
    leat_report_in(&g->report, rule->text, span.offset, span.size, "%s", message);
}

static const char *flinks(leat_slice key)
{
    for (size_t i = 0; i < sizeof of_flink / sizeof *of_flink; i++)
        if (leat_slice_is(key, of_flink[i].key))
            return of_flink[i].instead;
    return NULL;
}

// The format stays; its settings may differ: 'format.csv.header'.
static bool format_differs(const gateway_source *base, leat_slice key)
{
    const leat_format_description *format = base->plan.format;
    size_t size = format ? strlen(format->name) : 0, first = strlen("format.");
    if (key.size < first)
        return true;
    leat_slice name = leat_slice_of(key.data + first, key.size - first);
    return !size || name.size <= size + 1 || memcmp(name.data, format->name, size) || name.data[size] != '.';
}

static bool option_fits(gateway *g, const gateway_rule *rule, const gateway_source *base,
                        const leat_sql_hint_entry *entry)
{
    leat_slice key = entry->key.text;
    const char *instead = flinks(key);
    if (!entry->value.data)
        option_error(g, rule, entry->key.span, "OPTIONS takes 'key'='value', settings of the source by their names");
    else if (instead)
        option_error(g, rule, entry->key.span,
                     leat_arena_format(g->arena, "'%.*s' is an option of Flink; in leat it is %s", (int)key.size,
                                       key.data, instead));
    else if (leat_slice_is(first_part(key), "format") && format_differs(base, key))
        option_error(g, rule, entry->key.span,
                     "the format cannot be an option, only its settings ('format.csv.header'); declare another source");
    else
        for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
            if (!leat_slice_is(first_part(key), refused[i].key))
                continue;
            option_error(g, rule, entry->key.span,
                         leat_arena_format(g->arena, "'%s' cannot be an option: %s", refused[i].key, refused[i].why));
            return false;
        }
    return entry->value.data && !instead && !(leat_slice_is(first_part(key), "format") && format_differs(base, key));
}

// ---- the section with the options in it

// What the option takes the place of besides its own value.
static const leat_yaml_node *without_other(gateway *g, const leat_yaml_node *section, leat_slice key)
{
    static const char *const pairs[][2] = {{"watermark.as", "out_of_orderness"}, {"watermark.out_of_orderness", "as"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (leat_slice_is(key, pairs[i][0]))
            return gateway_without(g, section, "watermark", pairs[i][1]);
    return section;
}

static const leat_yaml_node *with_option(gateway *g, const gateway_rule *rule, const leat_yaml_node *section,
                                         const leat_sql_hint_entry *entry)
{
    // Both stand in quotes.
    uint32_t key = leat_yaml_value_offset(rule->text, entry->key.span.offset + 1),
             value = leat_yaml_value_offset(rule->text, entry->value_span.offset + 1);
    section = without_other(g, section, entry->key.text);
    return gateway_override(g, rule->text->document, section, entry->key.text, key, entry->value, value);
}

static const char *options_text(gateway *g, const leat_sql_hints *hints)
{
    const char *text = "";
    for (uint32_t i = 0; i < hints->count; i++)
        for (uint32_t e = 0; e < hints->items[i].entry_count; e++) {
            const leat_sql_hint_entry *entry = &hints->items[i].entries[e];
            text = leat_arena_format(g->arena, "%s%s%.*s=%.*s", text, *text ? ", " : "", (int)entry->key.text.size,
                                     entry->key.text.data, (int)entry->value.size, entry->value.data);
        }
    return text;
}

static const leat_yaml_node *section_of(gateway *g, const gateway_rule *rule, const gateway_source *base,
                                        const leat_sql_hints *hints)
{
    const leat_yaml_node *section = base->value;
    bool fits = true;
    for (uint32_t i = 0; i < hints->count; i++)
        for (uint32_t e = 0; e < hints->items[i].entry_count; e++) {
            const leat_sql_hint_entry *entry = &hints->items[i].entries[e];
            fits &= option_fits(g, rule, base, entry);
            if (fits && !(section = with_option(g, rule, section, entry)))
                return NULL;
        }
    return fits ? gateway_without(g, section, NULL, "to") : NULL;
}

// ---- which rules share one

static const leat_sql_hint_entry *option_at(const leat_sql_hints *hints, uint32_t index)
{
    for (uint32_t i = 0; i < hints->count; i++) {
        if (index < hints->items[i].entry_count)
            return &hints->items[i].entries[index];
        index -= hints->items[i].entry_count;
    }
    return NULL;
}

static bool has_option(const leat_sql_hints *hints, const leat_sql_hint_entry *wanted)
{
    const leat_sql_hint_entry *entry;
    for (uint32_t i = 0; (entry = option_at(hints, i)); i++)
        if (leat_slice_equal(entry->key.text, wanted->key.text) && leat_slice_equal(entry->value, wanted->value))
            return true;
    return false;
}

static bool all_in(const leat_sql_hints *a, const leat_sql_hints *b)
{
    const leat_sql_hint_entry *entry;
    for (uint32_t i = 0; (entry = option_at(a, i)); i++)
        if (!has_option(b, entry))
            return false;
    return true;
}

static bool are_options(const leat_sql_hints *hints)
{
    for (uint32_t i = 0; i < hints->count; i++)
        if (!leat_slice_is_nocase(hints->items[i].name.text, "OPTIONS"))
            return false;
    return hints->count > 0;
}

// ---- making them

typedef struct variants {
    gateway *g;
    variant items[VARIANTS_MAX];
    uint32_t count;
} variants;

static const char *name_of(variants *it, const gateway_rule *rule, const gateway_source *base)
{
    leat_arena *arena = it->g->arena;
    const char *name = leat_arena_format(arena, "%s@%s", base->plan.name, rule->plan.name);
    uint32_t number = 1;
    if (strlen(name) + 4 >= LEAT_NAME_SIZE) // told apart by a hash of all of it
        name = leat_arena_format(arena, "%.32s@%08x", base->plan.name, (unsigned)leat_hash(name, strlen(name)));
    const char *first = name;
    for (uint32_t i = 0; i < it->count; i++)
        if (!strcmp(it->items[i].name, name)) {
            name = leat_arena_format(arena, "%s.%u", first, ++number);
            i = UINT32_MAX; // once more from the start
        }
    return name;
}

static gateway_source *source_add(gateway *g)
{
    gateway_source *sources = leat_arena_array(g->arena, gateway_source, g->source_count + 1);
    memcpy(sources, g->sources, g->source_count * sizeof *sources);
    g->sources = sources;
    return &g->sources[g->source_count++];
}

static void make(variants *it, const gateway_rule *rule, uint32_t base, const leat_sql_hints *hints)
{
    gateway *g = it->g;
    const gateway_source *of = &g->sources[base];
    const char *name = name_of(it, rule, of);
    const leat_yaml_node *section = of->node == UINT32_MAX ? NULL : section_of(g, rule, of, hints);
    it->items[it->count++] = (variant){base, hints, name};
    if (!section) {
        leat_planner_add_failed(g->planner, name);
        return;
    }
    const leat_yaml_node *key = of->key;
    const char *base_name = of->plan.name;
    gateway_source *source = source_add(g);
    *source = (gateway_source){.key = key, .value = section, .node = UINT32_MAX};
    source->plan.name = name;
    source->plan.variant_of = base_name;
    source->plan.options = options_text(g, hints);
    gateway_read_source(g, g->source_count - 1);
}

static int find_source(const gateway *g, leat_slice name, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (leat_slice_is(name, g->sources[i].plan.name))
            return (int)i;
    return -1;
}

static const char *find_variant(const variants *it, uint32_t base, const leat_sql_hints *hints)
{
    for (uint32_t i = 0; i < it->count; i++)
        if (it->items[i].base == base && all_in(hints, it->items[i].hints) && all_in(it->items[i].hints, hints))
            return it->items[i].name;
    return NULL;
}

static void read_table(variants *it, const gateway_rule *rule, const leat_planner_table *table, uint32_t sources)
{
    int base = table->hints && are_options(table->hints) ? find_source(it->g, table->name, sources) : -1;
    if (base < 0)
        return; // the planner says what is wrong
    if (!find_variant(it, (uint32_t)base, table->hints)) {
        if (it->count == VARIANTS_MAX) {
            option_error(it->g, rule, table->span, "a gateway file has at most 64 variants of sources by OPTIONS");
            return;
        }
        make(it, rule, (uint32_t)base, table->hints);
    }
    leat_planner_add_variant(it->g->planner, table->hints, find_variant(it, (uint32_t)base, table->hints));
}

void gateway_read_variants(gateway *g)
{
    variants *it = leat_arena_new(&g->scratch, variants);
    uint32_t sources = g->source_count;
    *it = (variants){.g = g};
    for (uint32_t i = 0; i < g->rule_count; i++) {
        const leat_planner_table *tables;
        uint32_t count = g->rules[i].script ? leat_planner_tables(&g->scratch, g->rules[i].script, &tables) : 0;
        leat_report_context(&g->report, "rule '%.60s'", g->rules[i].plan.name);
        for (uint32_t t = 0; t < count; t++)
            read_table(it, &g->rules[i], &tables[t], sources);
    }
    leat_report_context(&g->report, "%s", "");
}
