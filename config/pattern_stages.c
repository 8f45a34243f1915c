// The stages of `pattern:`: how each follows the one before, how often it comes, groups of them; and what Flink's CEP refuses of that.
#include <string.h>

#include "config/pattern.h"
#include "operators/match_graph.h"

typedef struct stage_settings {
    int64_t within_ms;
    int32_t contiguity, inner;
    bool optional, greedy;
} stage_settings;

// In the order of leat_match_contiguity.
static const char *const contiguities[] = {"next",     "followed_by",     "followed_by_any",
                                           "not_next", "not_followed_by", NULL};
static const char *const inners[] = {"consecutive", "relaxed", "combinations", NULL};

static const leat_setting stage_table[] = {
    {"contiguity", LEAT_SETTING_CHOICE, offsetof(stage_settings, contiguity), false, "next", 0, 0, contiguities,
     "What may lie before the stage's row: nothing (next), rows that do not fit (followed_by), any rows "
     "(followed_by_any); or no "
     "such row may come (not_next, not_followed_by)."},
    {"inner", LEAT_SETTING_CHOICE, offsetof(stage_settings, inner), false, "relaxed", 0, 0, inners,
     "What may lie between the rows of the stage, or the rounds of a group: nothing, rows that do not fit, any rows."},
    {"optional", LEAT_SETTING_BOOLEAN, offsetof(stage_settings, optional), false, "false", 0, 0, NULL,
     "The stage need not come."},
    {"greedy", LEAT_SETTING_BOOLEAN, offsetof(stage_settings, greedy), false, "false", 0, 0, NULL,
     "The stage takes as many rows as it can before the next one begins."},
    {"within", LEAT_SETTING_DURATION, offsetof(stage_settings, within_ms), false, NULL, 1, -1, NULL,
     "The stage's row comes less than this after the row before it."},
};
static const leat_settings stage_keys = {stage_table, sizeof stage_table / sizeof *stage_table, sizeof(stage_settings)};
static const char *const stage_others[] = {"where", "times", "until", "group", NULL};

typedef struct stage_place {
    uint32_t index;
    int32_t before; // the stage before it in the same list; -1: it is the first
    const leat_yaml_node *name, *value;
} stage_place;

static bool given(const leat_yaml_node *value, const char *key) { return leat_settings_given(value, key); }

static const leat_yaml_node *at(const leat_yaml_node *value, const char *key)
{
    const leat_yaml_node *node = leat_settings_node(value, key);
    return node ? node : value;
}

// ---- how often

static uint32_t times_number(pattern_reader *r, const leat_yaml_node *node, uint32_t least)
{
    uint32_t number = 0;
    bool digits = node->kind == LEAT_YAML_SCALAR && node->text.size && node->text.size < 6;
    for (size_t i = 0; digits && i < node->text.size; i++) {
        digits = node->text.data[i] >= '0' && node->text.data[i] <= '9';
        number = number * 10 + (uint32_t)(node->text.data[i] - '0');
    }
    if (digits && number >= least && number <= LEAT_MATCH_STATES)
        return number;
    fail(r, node, "key 'times': expected a number from 1 to %d, or { from: 1, to: 3 }", LEAT_MATCH_STATES);
    return 1;
}

static int64_t times_within(pattern_reader *r, const leat_yaml_node *node)
{
    int64_t ms = 0;
    if (node->kind != LEAT_YAML_SCALAR || !leat_duration_parse(node->text, &ms) || ms <= 0)
        fail(r, node, "key 'times.within': expected a duration above 0 such as 500ms, 2s, 1m or 1h30m");
    return ms;
}

static void read_times_key(pattern_reader *r, const leat_yaml_pair *pair, leat_match_stage *stage)
{
    if (leat_slice_is(pair->key->text, "from"))
        stage->from = times_number(r, pair->value, 0);
    else if (leat_slice_is(pair->key->text, "to"))
        stage->to = times_number(r, pair->value, 1);
    else if (leat_slice_is(pair->key->text, "within"))
        stage->within_ms = times_within(r, pair->value);
    else
        fail(r, pair->key, "unknown key '%s' of 'times': expected from, to and within", pair->key->text.data);
}

// From 0 on: the stage is optional, and then from 1 on.
static void read_from_zero(pattern_reader *r, const leat_yaml_node *value, leat_match_stage *stage)
{
    if (stage->to == UINT32_MAX)
        fail(r, at(value, "times"),
             "key 'times': from 0 without an end is not in leat, nor in Flink: write "
             "times: { from: 1 } and optional: true");
    if (given(value, "optional"))
        fail(r, at(value, "optional"), "'optional' says once more what times: { from: 0 } says");
    stage->optional = true;
    stage->from = 1;
}

// `times: 3`, `times: { from: 2, to: 5 }`, `times: { from: 1 }` without an end.
static void read_times(pattern_reader *r, const leat_yaml_node *value, leat_match_stage *stage)
{
    const leat_yaml_node *node = leat_yaml_find(value, "times");
    bool mapping = node && node->kind == LEAT_YAML_MAPPING;
    if (!node)
        return;
    stage->repeated = true;
    stage->from = stage->to = mapping ? 1 : times_number(r, node, 1);
    if (mapping)
        stage->to = UINT32_MAX;
    for (uint32_t i = 0; mapping && i < node->count; i++)
        read_times_key(r, &node->pairs[i], stage);
    if (!stage->from)
        read_from_zero(r, value, stage);
}

// ---- what Flink refuses

static bool members_can_be_empty(const leat_pattern_stage *group)
{
    for (uint32_t i = 1; i <= group->stage.span; i += group[i].stage.span + 1) {
        const leat_match_stage *stage = &group[i].stage;
        if (!stage->optional && !pattern_is_not(stage) && !(stage->span && members_can_be_empty(&group[i])))
            return false;
    }
    return true;
}

static bool may_be_left_out(const leat_pattern_stage *stage)
{
    return stage->stage.optional || (stage->stage.span && members_can_be_empty(stage));
}

static void check_negation(pattern_reader *r, const stage_place *p)
{
    static const char *const loops[] = {"times", "inner", "optional", "greedy", "until"};
    const char *word = contiguities[r->stages[p->index].stage.contiguity];
    for (size_t k = 0; k < sizeof loops / sizeof *loops; k++)
        if (leat_settings_node(p->value, loops[k]))
            fail(r, at(p->value, loops[k]), "'%s' means nothing beside '%s': the stage takes no rows", loops[k], word);
    if (p->before >= 0 && may_be_left_out(&r->stages[p->before]))
        fail(r, at(p->value, "contiguity"),
             "'%s' behind an optional stage is not in leat, nor in Flink: write two rules, one with the stage and one "
             "without",
             word);
}

static void check_loop(pattern_reader *r, const stage_place *p)
{
    const leat_match_stage *stage = &r->stages[p->index].stage;
    if (stage->to < stage->from)
        fail(r, at(p->value, "times"), "a stage repeats at least %u and at most %u times", stage->from, stage->to);
    if (!stage->repeated && given(p->value, "inner"))
        fail(r, at(p->value, "inner"), "'inner' needs 'times': it says what may lie between the rows of one stage");
    if (!stage->repeated && stage->greedy && !stage->span)
        fail(r, at(p->value, "greedy"), "'greedy' needs 'times': a stage of one row takes one");
    if (stage->greedy && stage->inner == LEAT_MATCH_ANY)
        fail(r, at(p->value, "greedy"), "'greedy' and 'inner: combinations' exclude each other");
    if (leat_yaml_find(p->value, "until") && stage->to != UINT32_MAX)
        fail(r, at(p->value, "until"), "'until' needs a loop without an end: times: { from: %u }", stage->from);
    if (p->before >= 0 && given(p->value, "optional") && stage->optional && r->stages[p->before].stage.greedy)
        fail(r, at(p->value, "optional"), "an optional stage behind a greedy one is not in leat, nor in Flink");
    if (stage->repeated && given(p->value, "within"))
        fail(r, at(p->value, "within"), "a stage that repeats has its time in 'times': times: { from: %u, within: 5s }",
             stage->from);
    if (stage->within_ms && r->form->within_ms && stage->within_ms > r->form->within_ms)
        fail(r, at(p->value, given(p->value, "within") ? "within" : "times"),
             "a stage cannot take longer than the whole pattern, which has 'within' too");
}

// ---- groups

static void read_list(pattern_reader *r, const leat_yaml_node *node, bool nested);

static void check_group(pattern_reader *r, const stage_place *p)
{
    const leat_match_stage *group = &r->stages[p->index].stage;
    const char *word = contiguities[group->contiguity];
    if (pattern_is_not(group))
        fail(r, at(p->value, "contiguity"), "'%s' takes one stage; a group cannot be what must not come", word);
    if (group->greedy)
        fail(r, at(p->value, "greedy"), "'greedy' is not in leat for a group, nor in Flink: its stages may be greedy");
    if (leat_yaml_find(p->value, "where"))
        fail(r, leat_yaml_find(p->value, "where"), "a group has no condition of its own: its stages have");
    if (group->within_ms)
        fail(r, at(p->value, given(p->value, "within") ? "within" : "times"),
             "a group has no time of its own: its stages have, and the whole pattern");
    if (group->repeated && group->to == UINT32_MAX && members_can_be_empty(&r->stages[p->index]))
        fail(r, leat_yaml_find(p->value, "group"),
             "all stages of this group may be left out, so that it could repeat for ever without a row");
}

// The last one of a list of `count` entries that begins at `first`.
static uint32_t last_of(const pattern_reader *r, uint32_t first, uint32_t end)
{
    uint32_t last = first;
    while (last + r->stages[last].stage.span + 1 < end)
        last += r->stages[last].stage.span + 1;
    return last;
}

static void read_group(pattern_reader *r, const stage_place *p)
{
    const leat_yaml_node *list = leat_yaml_find(p->value, "group");
    if (!list)
        return;
    read_list(r, list, true);
    uint32_t span = r->stage_count - p->index - 1;
    r->stages[p->index].stage.span = span;
    if (!span)
        return;
    check_group(r, p);
    if (r->stages[last_of(r, p->index + 1, r->stage_count)].stage.contiguity == LEAT_MATCH_NOT_FOLLOWED)
        fail(r, list, "'not_followed_by' cannot end a group: put it behind the group");
}

// ---- one stage

static leat_match_contiguity inner_of(int32_t choice)
{
    static const leat_match_contiguity made[] = {LEAT_MATCH_NEXT, LEAT_MATCH_FOLLOWED, LEAT_MATCH_ANY};
    return made[choice];
}

static void read_settings(pattern_reader *r, const stage_place *p, leat_match_stage *stage)
{
    const leat_settings *tables[] = {&stage_keys};
    stage_settings set = {0};
    leat_settings_known known = {tables, 1, stage_others};
    r->failed |= !leat_settings_read(&r->g->reader, &stage_keys, p->value, p->name, &set);
    uint32_t errors = r->g->report.diagnostics->error_count;
    leat_settings_unknown(&r->g->reader, p->value, &known);
    r->failed |= r->g->report.diagnostics->error_count > errors;
    stage->contiguity = (leat_match_contiguity)set.contiguity;
    stage->inner = inner_of(set.inner);
    stage->optional = set.optional;
    stage->greedy = set.greedy;
    stage->within_ms = set.within_ms;
}

static void read_keys(pattern_reader *r, const stage_place *p)
{
    leat_pattern_stage *stage = &r->stages[p->index];
    read_settings(r, p, &stage->stage);
    read_times(r, p->value, &stage->stage);
    stage->where = pattern_expression(r, leat_yaml_find(p->value, "where"), "where");
    stage->until = pattern_expression(r, leat_yaml_find(p->value, "until"), "until");
    read_group(r, p);
    if (p->before < 0 && given(p->value, "contiguity"))
        fail(r, at(p->value, "contiguity"),
             r->nested[p->index] ? "the first stage of a group follows as the group says"
                                 : "the first stage begins the pattern: nothing comes before it");
    else if (pattern_is_not(&stage->stage) && !stage->stage.span)
        check_negation(r, p);
    else
        check_loop(r, p);
}

// Any text will do, as in Flink: an expression has it in backticks where it is no word.
static bool is_stage_name(leat_slice name)
{
    bool good = name.size > 0 && name.size < LEAT_NAME_SIZE;
    for (size_t i = 0; good && i < name.size; i++)
        good = (unsigned char)name.data[i] >= ' ' && name.data[i] != '`';
    return good;
}

static bool check_name(pattern_reader *r, uint32_t i, const leat_yaml_node *name)
{
    if (name->kind != LEAT_YAML_SCALAR || !is_stage_name(name->text)) {
        fail(r, name, "the name of a stage is a text of 1 to %d bytes without ` and line breaks", LEAT_NAME_SIZE - 1);
        return false;
    }
    for (uint32_t k = 0; k < i; k++)
        if (leat_slice_equal(r->stages[k].stage.name, name->text)) {
            fail(r, name, "there are two stages named '%.*s'", (int)name->text.size, name->text.data);
            return false;
        }
    return true;
}

static void read_stage(pattern_reader *r, const leat_yaml_node *item, uint32_t index, int32_t before)
{
    if (item->kind != LEAT_YAML_MAPPING || item->count != 1) {
        fail(r, item, "key 'stages': expected one stage as NAME: CONDITION or NAME: { where: CONDITION, .. }, found %s",
             item->kind == LEAT_YAML_MAPPING ? "several keys" : leat_yaml_kind_text(item));
        return;
    }
    stage_place p = {index, before, item->pairs[0].key, item->pairs[0].value};
    r->failed |= !check_name(r, index, p.name);
    r->stages[index].stage.name = p.name->text;
    if (p.value->kind == LEAT_YAML_MAPPING)
        read_keys(r, &p);
    else if (!leat_yaml_is_null(p.value))
        r->stages[index].where = pattern_expression(r, p.value, "stages");
}

static void read_list(pattern_reader *r, const leat_yaml_node *node, bool nested)
{
    uint32_t count = node->kind == LEAT_YAML_SEQUENCE ? node->count : 0;
    int32_t before = -1;
    if (!count || count > LEAT_MATCH_STAGES - r->stage_count) {
        fail(r, node, "key '%s': expected a list of 1 to %d stages as NAME: CONDITION",
             nested ? "group" : "pattern.stages", LEAT_MATCH_STAGES);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (r->stage_count == LEAT_MATCH_STAGES) {
            fail(r, node->items[i], "a pattern has at most %d stages, those in groups counted", LEAT_MATCH_STAGES);
            return;
        }
        uint32_t index = r->stage_count++;
        r->nested[index] = nested;
        r->stages[index].stage = (leat_match_stage){.from = 1, .to = 1, .where = -1, .until = -1};
        read_stage(r, node->items[i], index, before);
        before = (int32_t)index;
    }
}

// How many states they become: with groups in groups a few numbers make many.
static void check_size(pattern_reader *r, const leat_yaml_node *node)
{
    leat_match_stage stages[LEAT_MATCH_STAGES];
    leat_arena scratch;
    pattern_graph graph;
    leat_error error;
    leat_match_spec spec = {.stage_count = r->stage_count, .stages = stages, .within_ms = r->form->within_ms};
    for (uint32_t i = 0; i < r->stage_count; i++) {
        stages[i] = r->stages[i].stage;
        stages[i].where = r->stages[i].where ? 0 : -1;
        stages[i].until = r->stages[i].until ? 0 : -1;
    }
    leat_arena_init(&scratch, r->g->arena->env, 0);
    if (leat_pattern_compile(&scratch, &spec, &graph, &error) != LEAT_OK)
        fail(r, node, "%s", error.message);
    leat_arena_fini(&scratch);
}

void pattern_read_stages(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "stages");
    r->stages = leat_arena_array(r->g->arena, leat_pattern_stage, LEAT_MATCH_STAGES);
    read_list(r, node ? node : r->value, false);
    r->form->stages = r->stages;
    r->form->stage_count = r->stage_count;
    if (!node || !r->stage_count)
        return;
    uint32_t index = last_of(r, 0, r->stage_count);
    const leat_match_stage *last = &r->stages[index].stage;
    if (last->contiguity == LEAT_MATCH_NOT_FOLLOWED && !r->form->within_ms && !last->within_ms && last->name.size)
        fail(r, node->items[node->count - 1],
             "'not_followed_by' at the end needs 'within': when is it sure that no such row comes?");
    if (!r->failed)
        check_size(r, node);
}

bool pattern_bounds_steps(const pattern_reader *r)
{
    bool any = false;
    for (uint32_t i = 0; i < r->stage_count; i++)
        any |= r->stages[i].stage.within_ms > 0;
    return any;
}

// ---- the manual

void pattern_stage_manual(leat_writer *out)
{
    leat_write_text(
        out, "\nOf a stage:\n\n| key | |\n| --- | --- |\n| `where` | The condition; without it every row fits. |\n"
             "| `group` | Instead of a condition: a list of stages that come in order, as a whole. |\n"
             "| `times` | So many rows: a number, or { from: 2, to: 5 }; without `to` as many as come; with `within: "
             "5s` each "
             "less than this after the one before. |\n"
             "| `until` | Ends a loop; the row for which it holds is not taken. |\n");
    for (uint32_t i = 0; i < stage_keys.count; i++)
        leat_write_format(out, "| `%s` | %s |\n", stage_table[i].name, stage_table[i].text);
}
