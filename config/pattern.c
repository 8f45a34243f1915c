// `pattern:`: rows that follow each other, as in Flink's CEP: stages with what may lie between them, loops, times, negation.
#include <string.h>

#include "config/pattern.h"
#include "operators/base/suggest.h"

typedef struct pattern_settings {
    int64_t within_ms;
    int32_t time;
} pattern_settings;

static const char *const times[] = {"event", "processing", NULL};
enum { TIME_EVENT, TIME_PROCESSING };
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
    "What has to come, in order: a list of NAME: CONDITION, or NAME: a mapping with the keys below; with `group` it is "
    "a group of stages.",
    "What happens to other partial matches: no_skip (the default), skip_to_next, skip_past_last_event, "
    "{ skip_to_first: STAGE }, { skip_to_last: STAGE }. When the match has no row of that stage, or begins with it, "
    "nothing is skipped; with "
    "`on_miss: drop` beside the stage the match is dropped and counted instead.",
    "Columns of a result as NAME: EXPRESSION; stage.column is that of the last row of a stage, a plain column that of "
    "the last row.",
    "The same for partial matches that took too long: the stream RULE.timeout.",
};

static const char *const misses[] = {"ignore", "drop", NULL};

const leat_rule_text *pattern_expression(pattern_reader *r, const leat_yaml_node *node, const char *key)
{
    const leat_rule_text *text = node ? gateway_expression(r->g, r->rule, node, key) : NULL;
    r->failed |= node && !text;
    return text;
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

static bool can_be_skipped_to(const pattern_reader *r, uint32_t stage)
{
    const leat_match_stage *found = &r->stages[stage].stage;
    return !pattern_is_not(found) && !found->span;
}

static void find_skip_stage(pattern_reader *r, const leat_yaml_node *node)
{
    leat_slice names[LEAT_MATCH_STAGES];
    char hint[128];
    bool text = node->kind == LEAT_YAML_SCALAR;
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->stage_count; i++) {
        const leat_slice name = r->stages[i].stage.name;
        bool named = text && leat_slice_equal(name, node->text), takes = can_be_skipped_to(r, i);
        if (named && takes && r->nested[i])
            fail(r, node, "'%.*s' is in a group: a match skips to stages outside of groups only, as in Flink",
                 (int)name.size, name.data);
        r->form->skip_stage = (int32_t)i;
        if (named && takes)
            return;
        if (takes && !r->nested[i])
            names[count++] = name;
    }
    fail(r, node, "key 'after_match': expected a stage of the pattern that takes rows%s",
         text ? leat_suggest_text(node->text, names, count, hint) : "");
}

// `{ skip_to_first: b, on_miss: drop }`
static void read_miss(pattern_reader *r, const leat_yaml_pair *pair)
{
    bool text = pair->value->kind == LEAT_YAML_SCALAR, found = false;
    if (!leat_slice_is(pair->key->text, "on_miss"))
        fail(r, pair->key, "key 'after_match': expected on_miss beside the stage, found '%.60s'", pair->key->text.data);
    else
        for (int i = 0; misses[i] && !found; i++) {
            found = text && leat_slice_is(pair->value->text, misses[i]);
            r->form->skip_strict = i == 1;
        }
    if (leat_slice_is(pair->key->text, "on_miss") && !found)
        fail(r, pair->value, "key 'on_miss': expected ignore or drop");
}

static void read_after_match(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "after_match");
    bool mapping = node && node->kind == LEAT_YAML_MAPPING && node->count >= 1 && node->count <= 2;
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
    if (to_stage && mapping && node->count == 2)
        read_miss(r, &node->pairs[1]);
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
        measures[i].text = pattern_expression(r, node->pairs[i].value, key);
    }
    *out_count = count;
    return measures;
}

static void read_timeout(pattern_reader *r)
{
    const leat_yaml_node *node = leat_yaml_find(r->value, "timeout");
    r->form->timeouts = read_measures(r, "timeout", false, &r->form->timeout_count);
    if (node && !r->form->within_ms && !pattern_bounds_steps(r))
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
    pattern_read_stages(&r);
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
    pattern_stage_manual(out);
}

extern const gateway_form gateway_pattern_form;
const gateway_form gateway_pattern_form = {.key = "pattern", .read = read_pattern, .manual = manual};
