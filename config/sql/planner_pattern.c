// `pattern:`: stages that were read from YAML become a match operator.
#include "config/sql/pattern_form.h"
#include "config/sql/planner_match.h"

typedef struct pattern {
    plan_rule *rule;
    const leat_pattern_form *form;
    relation input;
    plan_match match;
    plan_match_output matches, timeouts;
} pattern;

// ---- what is matched

static int32_t time_column(const relation *input)
{
    for (uint32_t i = 0; i < input->schema->count; i++)
        if (input->times[i])
            return (int32_t)i;
    return -1;
}

static bool plan_time(pattern *p)
{
    leat_match_spec *spec = p->match.spec;
    leat_sql_span from = plan_text_span(p->form->from);
    spec->time_column = p->form->processing_time ? -1 : time_column(&p->input);
    if (p->form->processing_time)
        return true;
    p->rule->diagnostics = p->form->from->diagnostics;
    if (spec->time_column < 0)
        plan_error(p->rule, from, "'%s' has no event time; set `event_time` of the source, or `time: processing` here",
                   p->input.stream);
    else if (!p->input.has_watermark && !p->input.bounded)
        plan_error(p->rule, from, "'%s' has no watermark, so that no row would ever be matched; set its `watermark`",
                   p->input.stream);
    else
        return true;
    return false;
}

static bool plan_input_rows(pattern *p)
{
    if (!plan_text_stream(p->rule, p->form->from, &p->input))
        return false;
    if (plan_inserts(p->rule, &p->input))
        return true;
    plan_error(p->rule, plan_text_span(p->form->from),
               "a pattern takes rows that are only added, and '%s' also changes or deletes rows", p->input.stream);
    return false;
}

static bool plan_keys(pattern *p)
{
    uint32_t *keys = leat_arena_array(p->rule->arena, uint32_t, p->form->by_count + 1);
    bool found = true;
    for (uint32_t i = 0; i < p->form->by_count; i++) {
        int column = plan_text_column(p->rule, p->form->by[i], p->input.schema);
        found &= column >= 0;
        keys[i] = (uint32_t)column;
    }
    p->match.spec->key_count = p->form->by_count;
    p->match.spec->key_columns = keys;
    return found;
}

// ---- conditions and measures

static bool plan_condition(pattern *p, uint32_t stage, const char *clause, const leat_rule_text *text,
                           int32_t *out_index)
{
    if (!text)
        return true;
    if (!plan_text_begin(p->rule, text) || !text->expr)
        return false;
    *out_index = plan_match_condition(&p->match, (int32_t)stage, clause, text->expr);
    return *out_index >= 0;
}

static bool plan_stages(pattern *p)
{
    bool planned = true;
    for (uint32_t i = 0; i < p->form->stage_count; i++) {
        leat_match_stage stage = p->form->stages[i].stage;
        if (stage.span)
            stage.name = (leat_slice){0}; // a group has no rows that an expression could read
        uint32_t index = plan_match_stage(&p->match, stage.name);
        stage.where = stage.until = -1;
        p->match.stages[index] = stage;
    }
    for (uint32_t i = 0; i < p->form->stage_count; i++) {
        const leat_pattern_stage *stage = &p->form->stages[i];
        planned &= plan_condition(p, i, "where", stage->where, &p->match.stages[i].where);
        planned &= plan_condition(p, i, "until", stage->until, &p->match.stages[i].until);
    }
    return planned;
}

static bool plan_measures(pattern *p, const leat_pattern_measure *measures, uint32_t count, const char *clause,
                          plan_match_output *out)
{
    bool planned = true;
    plan_match_output_init(&p->match, count, out);
    for (uint32_t i = 0; i < count; i++) {
        const leat_pattern_measure *measure = &measures[i];
        bool text = plan_text_begin(p->rule, measure->text) && measure->text->expr;
        planned &= text && plan_match_measure(&p->match, out, clause, measure->name, measure->text->expr);
    }
    return planned;
}

static bool stays(const leat_match_stage *stage, leat_match_contiguity contiguity)
{
    return contiguity == LEAT_MATCH_FOLLOWED || contiguity == LEAT_MATCH_ANY || contiguity == LEAT_MATCH_NOT_FOLLOWED ||
           (stage->repeated && stage->inner != LEAT_MATCH_NEXT);
}

// A stage that may wait for ever needs a time, or the word that this is meant.
static bool plan_bound(pattern *p)
{
    bool waits = false;
    for (uint32_t i = 0; i < p->form->stage_count; i++)
        waits |= stays(&p->form->stages[i].stage, p->form->stages[i].stage.contiguity);
    if (!waits || p->form->within_ms || p->rule->request->unbounded)
        return true;
    p->rule->diagnostics = p->form->from->diagnostics;
    plan_error(p->rule, plan_text_span(p->form->from),
               "partial matches of this pattern wait for ever (unbounded state): set `within`, or the rule's "
               "`unbounded: true`");
    return false;
}

static const char *times_text(leat_arena *arena, const leat_match_stage *stage)
{
    static const char *const words[] = {
        [LEAT_MATCH_NEXT] = " consecutive", [LEAT_MATCH_FOLLOWED] = "", [LEAT_MATCH_ANY] = " combinations"};
    if (!stage->repeated)
        return "";
    const char *end = stage->to == UINT32_MAX ? "" : leat_arena_format(arena, "%u", stage->to);
    return leat_arena_format(arena, "{%u,%s}%s", stage->from, end, words[stage->inner]);
}

// What comes after the name of a stage: two patterns of one label read each other's state.
static const char *quantifier_text(pattern *p, const leat_match_stage *stage)
{
    leat_arena *arena = p->rule->arena;
    return leat_arena_format(arena, "%s%s%s%s%s", times_text(arena, stage), stage->optional ? "?" : "",
                             stage->greedy ? " greedy" : "", stage->within_ms ? " within " : "",
                             stage->within_ms ? plan_duration(p->rule, stage->within_ms) : "");
}

static const char *sequence_text(pattern *p, uint32_t first, uint32_t end)
{
    static const char *const words[] = {[LEAT_MATCH_NEXT] = "next ",
                                        [LEAT_MATCH_FOLLOWED] = "followed_by ",
                                        [LEAT_MATCH_ANY] = "followed_by_any ",
                                        [LEAT_MATCH_NOT_NEXT] = "not_next ",
                                        [LEAT_MATCH_NOT_FOLLOWED] = "not_followed_by "};
    leat_arena *arena = p->rule->arena;
    const char *text = "";
    for (uint32_t i = first; i < end; i += p->form->stages[i].stage.span + 1) {
        const leat_match_stage *stage = &p->form->stages[i].stage;
        const char *members =
            stage->span ? leat_arena_format(arena, " (%s)", sequence_text(p, i + 1, i + 1 + stage->span)) : "";
        text = leat_arena_format(arena, "%s%s%s%.*s%s%s", text, i > first ? ", " : "",
                                 i > first ? words[stage->contiguity] : "", (int)stage->name.size, stage->name.data,
                                 members, quantifier_text(p, stage));
    }
    return text;
}

static const char *label(pattern *p)
{
    leat_arena *arena = p->rule->arena;
    const char *text = sequence_text(p, 0, p->form->stage_count);
    if (p->form->within_ms)
        text = leat_arena_format(arena, "%s within %s", text, plan_duration(p->rule, p->form->within_ms));
    for (uint32_t i = 0; i < p->form->by_count; i++)
        text = leat_arena_format(arena, "%s%s%.*s", text, i ? ", " : " by ", (int)p->form->by[i]->text.size,
                                 p->form->by[i]->text.data);
    return text;
}

bool leat_plan_pattern(plan_rule *rule, const leat_rule_form *base, relation *out)
{
    pattern *p = leat_arena_new(rule->arena, pattern);
    p->rule = rule;
    p->form = (const leat_pattern_form *)base;
    if (!plan_input_rows(p))
        return false;
    plan_match_begin(rule, &p->input, false, &p->match);
    leat_match_spec *spec = p->match.spec;
    spec->within_ms = p->form->within_ms;
    spec->skip = p->form->skip;
    spec->skip_stage = p->form->skip_stage;
    spec->skip_strict = p->form->skip_strict;
    bool keys = plan_keys(p), time = plan_time(p);
    if (!time || !plan_bound(p))
        return false;
    bool planned = plan_stages(p);
    planned &= plan_measures(p, p->form->measures, p->form->measure_count, "measures", &p->matches);
    p->match.timeout = true;
    planned &= plan_measures(p, p->form->timeouts, p->form->timeout_count, "timeout", &p->timeouts);
    if (!planned || !keys || rule->failed)
        return false;
    *out = plan_match_node(&p->match, &p->matches, p->form->timeout_count ? &p->timeouts : NULL, label(p));
    return true;
}
