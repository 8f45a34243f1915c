// `pattern:`: rows that follow each other, as in Flink's CEP: stages with what may lie between them, loops, times, negation.
#include <string.h>

#include "config/gateway.h"
#include "config/sql/pattern_form.h"
#include "operators/base/suggest.h"

typedef struct pattern_settings {
    int64_t within_ms;
    int32_t time;
} pattern_settings;

typedef struct stage_settings {
    int32_t contiguity, inner;
    bool optional, greedy;
} stage_settings;

static const char *const times[] = {"event", "processing", NULL};
enum { TIME_EVENT, TIME_PROCESSING };
// In the order of leat_match_contiguity.
static const char *const contiguities[] = {"next",     "followed_by",     "followed_by_any",
                                           "not_next", "not_followed_by", NULL};
static const char *const inners[] = {"consecutive", "relaxed", "combinations", NULL};

static const leat_setting table[] = {
    {"within", LEAT_SETTING_DURATION, offsetof(pattern_settings, within_ms), false, NULL, 1, -1, NULL,
     "The last row comes less than this after the first one; what takes longer is dropped, and told to `timeout`."},
    {"time", LEAT_SETTING_CHOICE, offsetof(pattern_settings, time), false, "event", 0, 0, times,
     "In which order rows are matched: that of their event time, or as they come."},
};
static const leat_settings settings = {table, sizeof table / sizeof *table, sizeof(pattern_settings)};
static const char *const others[] = {"from", "by", "stages", "after_match", "measures", "timeout", NULL};
static const char *const other_texts[] = {
    "The stream whose rows are matched.",
    "Column or columns: rows of equal values are matched for themselves.",
    "What has to come, in order: a list of NAME: CONDITION, or NAME: a mapping with the keys below.",
    "What happens to other partial matches: no_skip (the default), skip_to_next, skip_past_last_event, "
    "{ skip_to_first: STAGE }, { skip_to_last: STAGE }.",
    "Columns of a result as NAME: EXPRESSION; stage.column is that of the last row of a stage, a plain column that of "
    "the last row.",
    "The same for partial matches that took too long: the stream RULE.timeout.",
};

static const leat_setting stage_table[] = {
    {"contiguity", LEAT_SETTING_CHOICE, offsetof(stage_settings, contiguity), false, "next", 0, 0, contiguities,
     "What may lie before the stage's row: nothing (next), rows that do not fit (followed_by), any rows "
     "(followed_by_any); or no "
     "such row may come (not_next, not_followed_by)."},
    {"inner", LEAT_SETTING_CHOICE, offsetof(stage_settings, inner), false, "relaxed", 0, 0, inners,
     "What may lie between the rows of the stage: nothing, rows that do not fit, any rows."},
    {"optional", LEAT_SETTING_BOOLEAN, offsetof(stage_settings, optional), false, "false", 0, 0, NULL,
     "The stage need not come."},
    {"greedy", LEAT_SETTING_BOOLEAN, offsetof(stage_settings, greedy), false, "false", 0, 0, NULL,
     "The stage takes as many rows as it can before the next one begins."},
};
static const leat_settings stage_keys = {stage_table, sizeof stage_table / sizeof *stage_table, sizeof(stage_settings)};
static const char *const stage_others[] = {"where", "times", "until", NULL};

typedef struct pattern_reader {
    gateway *g;
    gateway_rule *rule;
    const leat_yaml_node *value;
    leat_pattern_form *form;
    leat_pattern_stage *stages;
    bool failed;
} pattern_reader;

#define fail(r, node, ...)                                                                                             \
    do {                                                                                                               \
        leat_report_error(&(r)->g->report, node, __VA_ARGS__);                                                         \
        (r)->failed = true;                                                                                            \
    } while (0)

static const leat_rule_text *expression(pattern_reader *r, const leat_yaml_node *node, const char *key)
{
    const leat_rule_text *text = node ? gateway_expression(r->g, r->rule, node, key) : NULL;
    r->failed |= node && !text;
    return text;
}

// ---- one stage

static bool given(const leat_yaml_node *value, const char *key) { return leat_settings_given(value, key); }

static const leat_yaml_node *at(const leat_yaml_node *value, const char *key)
{
    const leat_yaml_node *node = leat_settings_node(value, key);
    return node ? node : value;
}

static int64_t times_number(pattern_reader *r, const leat_yaml_node *node)
{
    int64_t number = 0;
    bool digits = node->kind == LEAT_YAML_SCALAR && node->text.size && node->text.size < 6;
    for (size_t i = 0; digits && i < node->text.size; i++) {
        digits = node->text.data[i] >= '0' && node->text.data[i] <= '9';
        number = number * 10 + (node->text.data[i] - '0');
    }
    if (!digits || number < 1 || number > LEAT_MATCH_STATES)
        fail(r, node, "key 'times': expected a number from 1 to %d, or { from: 1, to: 3 }", LEAT_MATCH_STATES);
    return digits && number ? number : 1;
}

// `times: 3`, `times: { from: 2, to: 5 }`, `times: { from: 1 }` without an end.
static void read_times(pattern_reader *r, const leat_yaml_node *value, leat_match_stage *stage)
{
    const leat_yaml_node *node = leat_yaml_find(value, "times");
    bool mapping = node && node->kind == LEAT_YAML_MAPPING;
    if (!node)
        return;
    stage->repeated = true;
    stage->from = stage->to = mapping ? 1 : (uint32_t)times_number(r, node);
    if (mapping)
        stage->to = UINT32_MAX;
    for (uint32_t i = 0; mapping && i < node->count; i++) {
        const leat_yaml_pair *pair = &node->pairs[i];
        if (leat_slice_is(pair->key->text, "from"))
            stage->from = (uint32_t)times_number(r, pair->value);
        else if (leat_slice_is(pair->key->text, "to"))
            stage->to = (uint32_t)times_number(r, pair->value);
        else
            fail(r, pair->key, "unknown key '%s' of 'times': expected from and to", pair->key->text.data);
    }
}

static bool is_not(const leat_match_stage *stage)
{
    return stage->contiguity == LEAT_MATCH_NOT_NEXT || stage->contiguity == LEAT_MATCH_NOT_FOLLOWED;
}

static void check_negation(pattern_reader *r, uint32_t i, const leat_yaml_node *value)
{
    static const char *const loops[] = {"times", "inner", "optional", "greedy", "until"};
    const char *word = contiguities[r->stages[i].stage.contiguity];
    for (size_t k = 0; k < sizeof loops / sizeof *loops; k++)
        if (leat_settings_node(value, loops[k]))
            fail(r, at(value, loops[k]), "'%s' means nothing beside '%s': the stage takes no rows", loops[k], word);
    if (i && r->stages[i - 1].stage.optional)
        fail(r, at(value, "contiguity"),
             "'%s' behind an optional stage is not in leat, nor in Flink: write two rules, one with the stage and one "
             "without",
             word);
}

static void check_loop(pattern_reader *r, uint32_t i, const leat_yaml_node *value)
{
    const leat_match_stage *stage = &r->stages[i].stage;
    if (stage->to < stage->from)
        fail(r, at(value, "times"), "a stage repeats at least %u and at most %u times", stage->from, stage->to);
    if (!stage->repeated && given(value, "inner"))
        fail(r, at(value, "inner"), "'inner' needs 'times': it says what may lie between the rows of one stage");
    if (!stage->repeated && stage->greedy)
        fail(r, at(value, "greedy"), "'greedy' needs 'times': a stage of one row takes one");
    if (stage->greedy && stage->inner == LEAT_MATCH_ANY)
        fail(r, at(value, "greedy"), "'greedy' and 'inner: combinations' exclude each other");
    if (leat_yaml_find(value, "until") && stage->to != UINT32_MAX)
        fail(r, at(value, "until"), "'until' needs a loop without an end: times: { from: %u }", stage->from);
    if (i && stage->optional && r->stages[i - 1].stage.greedy)
        fail(r, at(value, "optional"), "an optional stage behind a greedy one is not in leat, nor in Flink");
}

static leat_match_contiguity inner_of(int32_t choice)
{
    static const leat_match_contiguity made[] = {LEAT_MATCH_NEXT, LEAT_MATCH_FOLLOWED, LEAT_MATCH_ANY};
    return made[choice];
}

static void read_stage_keys(pattern_reader *r, uint32_t i, const leat_yaml_node *name, const leat_yaml_node *value)
{
    const leat_settings *tables[] = {&stage_keys};
    leat_pattern_stage *stage = &r->stages[i];
    stage_settings set = {0};
    leat_settings_known known = {tables, 1, stage_others};
    r->failed |= !leat_settings_read(&r->g->reader, &stage_keys, value, name, &set);
    uint32_t errors = r->g->report.diagnostics->error_count;
    leat_settings_unknown(&r->g->reader, value, &known);
    r->failed |= r->g->report.diagnostics->error_count > errors;
    stage->stage.contiguity = (leat_match_contiguity)set.contiguity;
    stage->stage.inner = inner_of(set.inner);
    read_times(r, value, &stage->stage);
    stage->stage.optional = set.optional;
    stage->stage.greedy = set.greedy;
    stage->where = expression(r, leat_yaml_find(value, "where"), "where");
    stage->until = expression(r, leat_yaml_find(value, "until"), "until");
    if (!i && given(value, "contiguity"))
        fail(r, at(value, "contiguity"), "the first stage begins the pattern: nothing comes before it");
    else if (is_not(&stage->stage))
        check_negation(r, i, value);
    else
        check_loop(r, i, value);
}

static bool check_stage_name(pattern_reader *r, uint32_t i, const leat_yaml_node *name)
{
    if (!gateway_check_name(r->g, name, "stage"))
        return false;
    for (uint32_t k = 0; k < i; k++)
        if (leat_slice_equal(r->stages[k].stage.name, name->text)) {
            fail(r, name, "there are two stages named '%.*s'", (int)name->text.size, name->text.data);
            return false;
        }
    return true;
}

static void read_stage(pattern_reader *r, uint32_t i, const leat_yaml_node *item)
{
    if (item->kind != LEAT_YAML_MAPPING || item->count != 1) {
        fail(r, item, "key 'stages': expected one stage as NAME: CONDITION or NAME: { where: CONDITION, .. }, found %s",
             item->kind == LEAT_YAML_MAPPING ? "several keys" : leat_yaml_kind_text(item));
        return;
    }
    const leat_yaml_node *name = item->pairs[0].key, *value = item->pairs[0].value;
    r->failed |= !check_stage_name(r, i, name);
    r->stages[i].stage = (leat_match_stage){.name = name->text, .from = 1, .to = 1, .where = -1, .until = -1};
    if (value->kind == LEAT_YAML_MAPPING)
        read_stage_keys(r, i, name, value);
    else if (!leat_yaml_is_null(value))
        r->stages[i].where = expression(r, value, "stages");
}

static void read_stages(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "stages");
    uint32_t count = node && node->kind == LEAT_YAML_SEQUENCE ? node->count : 0;
    if (!count || count > LEAT_MATCH_STAGES) {
        fail(r, node ? node : r->value, "key 'pattern.stages': expected a list of 1 to %d stages as NAME: CONDITION",
             LEAT_MATCH_STAGES);
        return;
    }
    r->stages = leat_arena_array(r->g->arena, leat_pattern_stage, count);
    r->form->stages = r->stages;
    r->form->stage_count = count;
    for (uint32_t i = 0; i < count; i++)
        read_stage(r, i, node->items[i]);
    const leat_match_stage *last = &r->stages[count - 1].stage;
    if (last->contiguity == LEAT_MATCH_NOT_FOLLOWED && !r->form->within_ms && last->name.size)
        fail(r, node->items[count - 1],
             "'not_followed_by' at the end needs 'within': when is it sure that no such row comes?");
}

// ---- what follows a match

static const struct {
    const char *name;
    leat_match_skip skip;
} skips[] = {
    {"no_skip", LEAT_MATCH_NO_SKIP},
    {"skip_to_next", LEAT_MATCH_SKIP_TO_NEXT},
    {"skip_past_last_event", LEAT_MATCH_SKIP_PAST_LAST},
    {"skip_to_first", LEAT_MATCH_SKIP_TO_FIRST},
    {"skip_to_last", LEAT_MATCH_SKIP_TO_LAST},
};
enum { SKIPS = sizeof skips / sizeof *skips };

static int find_skip(pattern_reader *r, const leat_yaml_node *node)
{
    leat_slice names[SKIPS];
    char hint[128];
    for (int i = 0; i < SKIPS; i++) {
        names[i] = leat_slice_text(skips[i].name);
        if (node->kind == LEAT_YAML_SCALAR && leat_slice_is(node->text, skips[i].name))
            return i;
    }
    bool text = node->kind == LEAT_YAML_SCALAR;
    fail(r, node,
         "key 'after_match': expected no_skip, skip_to_next, skip_past_last_event, { skip_to_first: STAGE } or "
         "{ skip_to_last: STAGE }%s",
         text ? leat_suggest_text(node->text, names, SKIPS, hint) : "");
    return -1;
}

static void find_skip_stage(pattern_reader *r, const leat_yaml_node *node)
{
    leat_slice names[LEAT_MATCH_STAGES];
    char hint[128];
    LEAT_ASSERT(r->stages || !r->form->stage_count);
    for (uint32_t i = 0; i < r->form->stage_count; i++) {
        names[i] = r->stages[i].stage.name;
        r->form->skip_stage = (int32_t)i;
        if (node->kind == LEAT_YAML_SCALAR && leat_slice_equal(names[i], node->text) && !is_not(&r->stages[i].stage))
            return;
    }
    bool text = node->kind == LEAT_YAML_SCALAR;
    fail(r, node, "key 'after_match': expected a stage of the pattern that takes rows%s",
         text ? leat_suggest_text(node->text, names, r->form->stage_count, hint) : "");
}

static void read_after_match(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "after_match");
    bool mapping = node && node->kind == LEAT_YAML_MAPPING && node->count == 1;
    int index = node ? find_skip(r, mapping ? node->pairs[0].key : node) : 0;
    if (index < 0)
        return;
    r->form->skip = skips[index].skip;
    bool to_stage = r->form->skip >= LEAT_MATCH_SKIP_TO_FIRST;
    if (!node)
        return;
    if (to_stage != mapping)
        fail(r, node, to_stage ? "'%s' needs a stage: { %s: STAGE }" : "'%s' takes nothing: write after_match: %s",
             skips[index].name, skips[index].name);
    else if (to_stage)
        find_skip_stage(r, node->pairs[0].value);
}

// ---- streams and columns

static void read_by(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "by");
    bool list = node && node->kind == LEAT_YAML_SEQUENCE;
    uint32_t count = !node ? 0 : list ? node->count : 1;
    const leat_rule_text **names = leat_arena_array(r->g->arena, const leat_rule_text *, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = gateway_name(r->g, r->rule, list ? node->items[i] : node, "by");
        r->failed |= !names[i];
    }
    r->form->by = names;
    r->form->by_count = count;
}

static void read_from(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "from");
    leat_slice *streams = leat_arena_array(r->g->arena, leat_slice, 1);
    r->form->form.streams = streams;
    if (!node) {
        fail(r, r->value, "missing key 'pattern.from': which stream");
        return;
    }
    r->form->from = gateway_name(r->g, r->rule, node, "from");
    r->failed |= !r->form->from;
    if (!r->form->from)
        return;
    streams[0] = r->form->from->text;
    r->form->form.stream_count = 1;
}

static const leat_pattern_measure *read_measures(pattern_reader *r, const char *key, bool required, uint32_t *out_count)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, key);
    uint32_t count = node && node->kind == LEAT_YAML_MAPPING ? node->count : 0;
    leat_pattern_measure *measures = leat_arena_array(r->g->arena, leat_pattern_measure, count + 1);
    *out_count = 0;
    if (!node && !required)
        return NULL;
    if (!count || count > LEAT_COLUMNS_MAX) {
        fail(r, node ? node : r->value, "key 'pattern.%s': expected 1 to %d columns as NAME: EXPRESSION", key,
             LEAT_COLUMNS_MAX);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        measures[i].name = node->pairs[i].key->text;
        measures[i].text = expression(r, node->pairs[i].value, key);
    }
    *out_count = count;
    return measures;
}

static void read_timeout(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "timeout");
    r->form->timeouts = read_measures(r, "timeout", false, &r->form->timeout_count);
    if (node && !r->form->within_ms)
        fail(r, node, "'timeout' needs 'within': without it no partial match takes too long");
}

static const leat_rule_form *read_pattern(gateway *g, gateway_rule *rule, const leat_yaml_node *value)
{
    const leat_settings *tables[] = {&settings};
    leat_settings_known known = {tables, 1, others};
    pattern_reader r = {.g = g, .rule = rule, .value = value};
    pattern_settings set = {0};
    if (value->kind != LEAT_YAML_MAPPING) {
        leat_report_error(&g->report, value,
                          "key 'pattern': expected a mapping with from, stages and measures, found %s",
                          leat_yaml_kind_text(value));
        return NULL;
    }
    r.form = leat_arena_new(g->arena, leat_pattern_form);
    r.form->form.plan = leat_plan_pattern;
    r.failed = !leat_settings_read(&g->reader, &settings, value, rule->key, &set);
    uint32_t errors = g->report.diagnostics->error_count;
    leat_settings_unknown(&g->reader, value, &known);
    r.failed |= g->report.diagnostics->error_count > errors;
    if (rule->allowed_lateness_ms)
        fail(&r, leat_yaml_find(rule->value, "allowed_lateness"),
             "'allowed_lateness' means nothing beside 'pattern': what comes behind the watermark is late; let the "
             "watermark of the source wait longer");
    r.form->within_ms = set.within_ms;
    r.form->processing_time = set.time == TIME_PROCESSING;
    read_from(&r);
    read_by(&r);
    read_stages(&r);
    read_after_match(&r);
    r.form->measures = read_measures(&r, "measures", true, &r.form->measure_count);
    read_timeout(&r);
    r.form->form.summary = gateway_copy(g, leat_slice_of(value->document->text.data + value->offset,
                                                         value->end > value->offset ? value->end - value->offset : 0));
    return r.failed ? NULL : &r.form->form;
}

// ---- the manual

static void manual(leat_writer *out)
{
    leat_write_text(
        out, "\n### `pattern:`\n\nRows that follow each other (see `docs/patterns.md`).\n\n| key | |\n| --- | --- |\n");
    for (size_t i = 0; others[i]; i++)
        leat_write_format(out, "| `%s` | %s |\n", others[i], other_texts[i]);
    for (uint32_t i = 0; i < settings.count; i++)
        leat_write_format(out, "| `%s` | %s |\n", table[i].name, table[i].text);
    leat_write_text(
        out, "\nOf a stage:\n\n| key | |\n| --- | --- |\n| `where` | The condition; without it every row fits. |\n"
             "| `times` | So many rows: a number, or { from: 2, to: 5 }; without `to` as many as come. |\n"
             "| `until` | Ends a loop; the row for which it holds is not taken. |\n");
    for (uint32_t i = 0; i < stage_keys.count; i++)
        leat_write_format(out, "| `%s` | %s |\n", stage_table[i].name, stage_table[i].text);
}

extern const gateway_form gateway_pattern_form;
const gateway_form gateway_pattern_form = {.key = "pattern", .read = read_pattern, .manual = manual};
