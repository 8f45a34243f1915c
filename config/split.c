// `split:`: one stream into several, by conditions.
#include <string.h>

#include "config/gateway.h"
#include "config/sql/window_form.h"

typedef struct split_settings {
    const char *otherwise;
    int32_t match;
} split_settings;

#define MEMBER(name) offsetof(split_settings, name)
static const char *const matches[] = {"first", "all", NULL};
enum { MATCH_FIRST, MATCH_ALL };
static const leat_setting table[] = {
    {"otherwise", LEAT_SETTING_TEXT, MEMBER(otherwise), false, NULL, 0, 0, NULL,
     "Name of the stream of rows for which no condition is TRUE; they are the rule's own stream too."},
    {"match", LEAT_SETTING_CHOICE, MEMBER(match), false, "first", 0, 0, matches,
     "A row goes to the first stream whose condition is TRUE, or to all of them."},
};
static const leat_settings settings = {table, sizeof table / sizeof *table, sizeof(split_settings)};
static const char *const others[] = {"from", "to", NULL};

static bool read_streams(gateway *g, gateway_rule *rule, const leat_yaml_node *to, leat_split_form *form)
{
    bool mapping = to && to->kind == LEAT_YAML_MAPPING && to->count;
    if (!mapping || to->count > LEAT_PLANNER_OUTPUTS - 1) {
        leat_report_error(&g->report, to ? to : rule->key,
                          "key 'split.to': expected 1 to %d streams as NAME: CONDITION", LEAT_PLANNER_OUTPUTS - 1);
        return false;
    }
    leat_form_item *items = leat_arena_array(g->arena, leat_form_item, to->count);
    bool good = true;
    for (uint32_t i = 0; i < to->count; i++) {
        items[i].name = to->pairs[i].key->text;
        good &= gateway_check_name(g, to->pairs[i].key, "stream");
        if (leat_slice_is(items[i].name, "late")) {
            leat_report_error(&g->report, to->pairs[i].key, "stream 'late' is that of late rows; give it another name");
            good = false;
        }
        items[i].text = gateway_expression(g, rule, to->pairs[i].value, "to");
        good &= items[i].text != NULL;
    }
    form->items = items;
    form->item_count = to->count;
    return good;
}

static bool otherwise_fits(gateway *g, const leat_yaml_node *value, const leat_split_form *form)
{
    const leat_yaml_node *node = leat_yaml_find(value, "otherwise");
    if (!form->otherwise || !node)
        return true;
    for (uint32_t i = 0; i < form->item_count; i++)
        if (leat_slice_is(form->items[i].name, form->otherwise)) {
            leat_report_error(&g->report, node, "stream '%.60s' has a condition already", form->otherwise);
            return false;
        }
    return gateway_check_name(g, node, "stream");
}

static const leat_rule_form *read_form(gateway *g, gateway_rule *rule, const leat_yaml_node *value)
{
    const leat_settings *tables[] = {&settings};
    leat_settings_known known = {tables, 1, others};
    split_settings set = {0};
    if (value->kind != LEAT_YAML_MAPPING) {
        leat_report_error(&g->report, value, "key 'split': expected a mapping, found %s", leat_yaml_kind_text(value));
        return NULL;
    }
    leat_split_form *form = leat_arena_new(g->arena, leat_split_form);
    uint32_t errors = g->report.diagnostics->error_count;
    bool good = leat_settings_read(&g->reader, &settings, value, rule->key, &set);
    leat_settings_unknown(&g->reader, value, &known);
    const leat_yaml_node *from = leat_yaml_find(value, "from");
    if (!from)
        leat_report_error(&g->report, value, "missing key 'split.from': which stream");
    form->from = from ? gateway_name(g, rule, from, "from") : NULL;
    form->otherwise = set.otherwise;
    form->first_match = set.match == MATCH_FIRST;
    good &= read_streams(g, rule, leat_yaml_find(value, "to"), form) && otherwise_fits(g, value, form);
    if (!form->from || !good || g->report.diagnostics->error_count > errors)
        return NULL;
    leat_slice *streams = leat_arena_array(g->arena, leat_slice, 1);
    streams[0] = form->from->text;
    form->form = (leat_rule_form){.plan = leat_plan_split, .stream_count = 1, .streams = streams};
    form->form.summary = gateway_copy(g, leat_slice_of(value->document->text.data + value->offset,
                                                       value->end > value->offset ? value->end - value->offset : 0));
    return &form->form;
}

static void manual(leat_writer *out)
{
    leat_write_text(out, "\n### `split:`\n\nOne stream into several, by conditions.\n\n| key | |\n| --- | --- |\n"
                         "| `from` | The stream. |\n"
                         "| `to` | `NAME: CONDITION`: the streams RULE.NAME and what their rows fulfil, as SQL. |\n");
    for (uint32_t i = 0; i < settings.count; i++)
        leat_write_format(out, "| `%s` | %s |\n", table[i].name, table[i].text);
}

const gateway_form gateway_split_form = {.key = "split", .read = read_form, .manual = manual};
