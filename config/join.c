// `join:`: rows of two streams whose times are near each other, with late rows as streams of their own.
#include <string.h>

#include "config/gateway.h"
#include "config/sql/join_form.h"

typedef struct join_settings {
    int64_t lower_ms, upper_ms;
    bool lower_exclusive, upper_exclusive;
} join_settings;

#define MEMBER(name) offsetof(join_settings, name)
static const leat_setting table[] = {
    {"lower", LEAT_SETTING_DURATION, MEMBER(lower_ms), true, NULL, -1e15, 1e15, NULL,
     "How far the right row's time is at least behind the left one's; negative: how far before it may be."},
    {"upper", LEAT_SETTING_DURATION, MEMBER(upper_ms), true, NULL, -1e15, 1e15, NULL,
     "How far the right row's time is at most behind the left one's."},
    {"lower_exclusive", LEAT_SETTING_BOOLEAN, MEMBER(lower_exclusive), false, "false", 0, 0, NULL,
     "Exactly `lower` is not near enough."},
    {"upper_exclusive", LEAT_SETTING_BOOLEAN, MEMBER(upper_exclusive), false, "false", 0, 0, NULL,
     "Exactly `upper` is not near enough."},
};
static const leat_settings settings = {table, sizeof table / sizeof *table, sizeof(join_settings)};
static const char *const others[] = {"left", "right", "by", "keys", "select", NULL};

typedef struct join_reader {
    gateway *g;
    gateway_rule *rule;
    const leat_yaml_node *value;
    leat_join_form *form;
} join_reader;

static const leat_rule_text *read_stream(join_reader *r, const char *key)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, key);
    if (!node)
        leat_report_error(&r->g->report, r->value, "missing key 'join.%s': which stream", key);
    return node ? gateway_name(r->g, r->rule, node, key) : NULL;
}

// ---- keys

static bool add_key(join_reader *r, leat_join_key *keys, const leat_yaml_node *left, const leat_yaml_node *right)
{
    leat_join_key *key = &keys[r->form->key_count++];
    key->left = gateway_name(r->g, r->rule, left, "keys");
    key->right = gateway_name(r->g, r->rule, right, "keys");
    return key->left && key->right;
}

static bool read_by(join_reader *r, const leat_yaml_node *by)
{
    uint32_t count = by->kind == LEAT_YAML_SEQUENCE ? by->count : 1;
    leat_join_key *keys = leat_arena_array(r->g->arena, leat_join_key, count + 1);
    bool good = true;
    r->form->keys = keys;
    for (uint32_t i = 0; i < count; i++) {
        const leat_yaml_node *item = by->kind == LEAT_YAML_SEQUENCE ? by->items[i] : by;
        good &= add_key(r, keys, item, item);
    }
    return good;
}

static bool read_pairs(join_reader *r, const leat_yaml_node *node)
{
    bool good = true;
    if (node->kind != LEAT_YAML_MAPPING || !node->count) {
        leat_report_error(&r->g->report, node, "key 'join.keys': expected LEFT COLUMN: RIGHT COLUMN, found %s",
                          leat_yaml_kind_text(node));
        return false;
    }
    leat_join_key *keys = leat_arena_array(r->g->arena, leat_join_key, node->count + 1);
    r->form->keys = keys;
    for (uint32_t i = 0; i < node->count; i++)
        good &= add_key(r, keys, node->pairs[i].key, node->pairs[i].value);
    return good;
}

static bool read_keys(join_reader *r)
{
    const leat_yaml_node *by = leat_yaml_find(r->value, "by"), *keys = leat_yaml_find(r->value, "keys");
    if (by && keys) {
        leat_report_error(&r->g->report, keys, "'by' and 'keys' exclude each other");
        return false;
    }
    if (!by && !keys) {
        leat_report_error(
            &r->g->report, r->value,
            "missing key 'join.by' (columns of both) or 'join.keys' (LEFT: RIGHT): which rows belong together");
        return false;
    }
    return by ? read_by(r, by) : read_pairs(r, keys);
}

// ---- select

static bool read_items(join_reader *r)
{
    const leat_yaml_node *select = leat_yaml_find(r->value, "select");
    bool good = true;
    if (!select || select->kind != LEAT_YAML_MAPPING || !select->count || select->count > LEAT_COLUMNS_MAX) {
        leat_report_error(&r->g->report, select ? select : r->value,
                          "key 'join.select': expected 1 to %d columns as NAME: EXPRESSION", LEAT_COLUMNS_MAX);
        return false;
    }
    leat_join_item *items = leat_arena_array(r->g->arena, leat_join_item, select->count + 1);
    for (uint32_t i = 0; i < select->count; i++) {
        items[i].name = select->pairs[i].key->text;
        good &= gateway_check_name(r->g, select->pairs[i].key, "column");
        items[i].text = gateway_expression(r->g, r->rule, select->pairs[i].value, "select");
        good &= items[i].text != NULL;
    }
    r->form->items = items;
    r->form->item_count = select->count;
    return good;
}

// ---- bounds

static bool read_bounds(join_reader *r)
{
    join_settings set;
    if (!leat_settings_read(&r->g->reader, &settings, r->value, r->rule->key, &set))
        return false;
    r->form->lower_ms = set.lower_ms + set.lower_exclusive;
    r->form->upper_ms = set.upper_ms - set.upper_exclusive;
    if (r->form->lower_ms <= r->form->upper_ms)
        return true;
    const char *exclusive = set.lower_exclusive ? "lower_exclusive" : "upper_exclusive";
    bool above = set.lower_ms > set.upper_ms;
    leat_report_error(&r->g->report, leat_yaml_find(r->value, above ? "lower" : exclusive),
                      above ? "'lower' is above 'upper': nothing would join"
                            : "nothing lies between 'lower' and 'upper' without its bounds: nothing would join");
    return false;
}

static const leat_rule_form *read_join(gateway *g, gateway_rule *rule, const leat_yaml_node *value)
{
    const leat_settings *tables[] = {&settings};
    leat_settings_known known = {tables, 1, others};
    if (value->kind != LEAT_YAML_MAPPING) {
        leat_report_error(&g->report, value, "key 'join': expected a mapping, found %s", leat_yaml_kind_text(value));
        return NULL;
    }
    leat_join_form *form = leat_arena_new(g->arena, leat_join_form);
    join_reader r = {g, rule, value, form};
    uint32_t errors = g->report.diagnostics->error_count;
    leat_settings_unknown(&g->reader, value, &known);
    form->left = read_stream(&r, "left");
    form->right = read_stream(&r, "right");
    bool good = read_bounds(&r);
    good &= read_keys(&r);
    good &= read_items(&r);
    if (!form->left || !form->right || !good || g->report.diagnostics->error_count > errors)
        return NULL;
    leat_slice *streams = leat_arena_array(g->arena, leat_slice, 2);
    streams[0] = form->left->text;
    streams[1] = form->right->text;
    form->form = (leat_rule_form){.plan = leat_plan_join, .stream_count = 2, .streams = streams};
    form->form.summary = gateway_copy(g, leat_slice_of(value->document->text.data + value->offset,
                                                       value->end > value->offset ? value->end - value->offset : 0));
    return &form->form;
}

static void manual(leat_writer *out)
{
    leat_write_text(
        out,
        "\n### `join:`\n\nPairs of rows of two streams whose times are near each other. Rows behind the watermark are "
        "late: the streams RULE.late_left and RULE.late_right.\n\n| key | |\n| --- | --- |\n"
        "| `left`, `right` | The streams; rows of both need an event time. |\n"
        "| `by` | The column or columns, of the same names on both sides, in which a pair is equal. |\n"
        "| `keys` | The same where names differ: `LEFT COLUMN: RIGHT COLUMN`. |\n");
    for (uint32_t i = 0; i < settings.count; i++)
        leat_write_format(out, "| `%s` | %s |\n", table[i].name, table[i].text);
    leat_write_text(out,
                    "| `select` | `NAME: EXPRESSION`: columns of the result, SQL over `left.column` and `right.column` "
                    "(reserved words in backticks); streams go by their own names too. |\n");
}

const gateway_form gateway_join_form = {.key = "join", .read = read_join, .manual = manual};
