// MATCH_RECOGNIZE: the clause becomes a match operator; what Flink does not run is refused by name.
#include "config/sql/planner_match.h"

#include "operators/base/suggest.h"
#include "operators/match_graph.h"

typedef struct clause {
    plan_rule *rule;
    const leat_sql_match_recognize *sql;
    plan_source source;
    plan_match match;
    plan_match_output measures;
} clause;

static bool refuse(clause *c, leat_sql_span span, const char *what, const char *instead)
{
    plan_error(c->rule, span, "%s is not in leat, nor in Flink: %s", what, instead);
    return false;
}

// ---- PATTERN

static bool refuse_pattern(clause *c, const leat_sql_pattern *pattern)
{
    switch (pattern->kind) {
    case LEAT_SQL_PATTERN_ALTERNATION:
        return refuse(c, pattern->span, "alternation (|) in PATTERN", "join the conditions with OR in DEFINE");
    case LEAT_SQL_PATTERN_PERMUTE:
        return refuse(c, pattern->span, "PERMUTE", "write a rule for each order");
    case LEAT_SQL_PATTERN_EXCLUSION:
        return refuse(c, pattern->span, "exclusion ({- -}) in PATTERN",
                      "read only the variables that you want in MEASURES");
    case LEAT_SQL_PATTERN_START:
    case LEAT_SQL_PATTERN_END:
        return refuse(c, pattern->span, pattern->kind == LEAT_SQL_PATTERN_START ? "the anchor ^" : "the anchor $",
                      "a stream has no first and no last row");
    case LEAT_SQL_PATTERN_EMPTY:
        return refuse(c, pattern->span, "an empty PATTERN", "name at least one variable");
    default:
        return refuse(c, pattern->span, "a group with a quantifier in PATTERN",
                      "quantifiers stand behind single variables; write the variables of the group out");
    }
}

static bool add_variable(clause *c, const leat_sql_pattern *variable, leat_match_stage **out_stage)
{
    leat_slice name = variable->variable.text;
    if (plan_match_find_stage(&c->match, name) >= 0) {
        plan_error(c->rule, variable->span,
                   "variable '%.*s' is twice in PATTERN: give the second one a name of its own and the same condition",
                   (int)name.size, name.data);
        return false;
    }
    if (c->match.stage_count == LEAT_MATCH_STAGES) {
        plan_error(c->rule, variable->span, "a pattern has at most %d variables", LEAT_MATCH_STAGES);
        return false;
    }
    *out_stage = &c->match.stages[plan_match_stage(&c->match, name)];
    return true;
}

// As Flink maps them; {n} and ? have no longer and shorter form.
static bool set_quantifier(clause *c, const leat_sql_pattern *repeat, leat_match_stage *stage)
{
    bool once = repeat->min == 0 && repeat->max == 1;
    if (once && repeat->reluctant)
        return refuse(c, repeat->quantifier, "the reluctant ??",
                      "write ?, or a pattern of its own without the variable");
    if (repeat->max == 0) {
        plan_error(c->rule, repeat->quantifier, "a variable that repeats 0 times matches nothing: leave it out");
        return false;
    }
    if (repeat->min > LEAT_MATCH_STATES ||
        (repeat->max > LEAT_MATCH_STATES && repeat->max != LEAT_SQL_PATTERN_UNBOUNDED)) {
        plan_error(c->rule, repeat->quantifier, "a variable repeats at most %d times, found %u", LEAT_MATCH_STATES,
                   repeat->min > LEAT_MATCH_STATES ? repeat->min : repeat->max);
        return false;
    }
    stage->optional = repeat->min == 0;
    stage->repeated = !once;
    stage->from = repeat->min ? repeat->min : 1;
    stage->to = repeat->max;
    stage->inner = LEAT_MATCH_NEXT;
    stage->greedy = !once && !repeat->reluctant && repeat->min != repeat->max;
    return true;
}

// {0,n} is optional too, but Flink lets it follow a greedy one.
static bool follows_greedy(clause *c, const leat_sql_pattern *repeat)
{
    uint32_t count = c->match.stage_count;
    bool refused = count > 1 && c->match.stages[count - 2].greedy && c->match.stages[count - 1].optional &&
                   (repeat->max == 1 || repeat->max == LEAT_SQL_PATTERN_UNBOUNDED);
    if (!refused)
        return false;
    refuse(c, repeat->span, "an optional variable behind a greedy one",
           "make the one before reluctant (+?, *?), or the optional one {0,n}");
    return true;
}

static bool add_pattern(clause *c, const leat_sql_pattern *pattern)
{
    leat_match_stage *stage;
    if (pattern->kind == LEAT_SQL_PATTERN_VARIABLE)
        return add_variable(c, pattern, &stage);
    if (pattern->kind == LEAT_SQL_PATTERN_REPEAT && pattern->items[0]->kind == LEAT_SQL_PATTERN_VARIABLE)
        return add_variable(c, pattern->items[0], &stage) && set_quantifier(c, pattern, stage) &&
               !follows_greedy(c, pattern);
    if (pattern->kind == LEAT_SQL_PATTERN_REPEAT && pattern->items[0]->kind != LEAT_SQL_PATTERN_SEQUENCE)
        return refuse_pattern(c, pattern->items[0]);
    if (pattern->kind != LEAT_SQL_PATTERN_SEQUENCE)
        return refuse_pattern(c, pattern);
    bool all = true;
    for (uint32_t i = 0; i < pattern->item_count; i++)
        all &= add_pattern(c, pattern->items[i]);
    return all;
}

// All variables together.
static bool check_size(clause *c)
{
    leat_arena scratch;
    pattern_graph graph;
    leat_error error;
    leat_match_spec spec = {.stage_count = c->match.stage_count, .stages = c->match.stages};
    leat_arena_init(&scratch, c->rule->arena->env, 0);
    leat_code code = leat_pattern_compile(&scratch, &spec, &graph, &error);
    leat_arena_fini(&scratch);
    if (code != LEAT_OK)
        plan_error(c->rule, c->sql->pattern->span, "%s", error.message);
    return code == LEAT_OK;
}

static bool check_pattern(clause *c)
{
    const leat_match_stage *stages = c->match.stages;
    uint32_t count = c->match.stage_count, optional = 0;
    for (uint32_t i = 0; i < count; i++)
        optional += stages[i].optional;
    if (optional == count) // before: that a star alone is greedy too says less
        return refuse(c, c->sql->pattern->span, "a PATTERN that can be empty", "one variable at least has to be there");
    if (stages[count - 1].greedy)
        return refuse(c, c->sql->pattern->span, "a greedy last variable",
                      "end with a variable without a quantifier, or make the last one reluctant (+?, {n,m}?)");
    return check_size(c);
}

// ---- the other clauses

static bool check_clauses(clause *c)
{
    const leat_sql_match_recognize *sql = c->sql;
    bool fits = true;
    if (sql->rows > LEAT_SQL_ONE_ROW)
        fits =
            refuse(c, sql->rows_span, "ALL ROWS PER MATCH", "ONE ROW PER MATCH, with ARRAY_AGG for what all rows say");
    if (sql->subset_count)
        fits = refuse(c, sql->subsets[0].name.span, "SUBSET", "name each variable where you read it");
    if (!sql->measure_count) {
        plan_error(c->rule, sql->span, "MATCH_RECOGNIZE needs MEASURES: what to say of a match");
        fits = false;
    }
    if (!sql->pattern) // the parser has said so
        return false;
    return fits;
}

static bool order_column(clause *c, const leat_sql_order_item *item, int32_t *out_column)
{
    leat_sql_binder binder;
    plan_binder_init(c->rule, &c->source.scope, "ORDER BY", &binder);
    leat_expr *bound = leat_sql_bind(&binder, item->expr);
    c->rule->failed |= !bound;
    if (bound && bound->kind != LEAT_EXPR_COLUMN)
        plan_error(c->rule, item->expr->span, "ORDER BY takes columns here; compute the value in a subquery");
    *out_column = bound && bound->kind == LEAT_EXPR_COLUMN ? (int32_t)bound->column : -1;
    return *out_column >= 0;
}

static bool time_order(clause *c, const leat_sql_order_item *item, int32_t column)
{
    const relation *input = &c->source.relation;
    if (item->descending) {
        plan_error(c->rule, item->expr->span, "the time comes ascending in ORDER BY: rows are matched as time goes");
        return false;
    }
    if (column == input->schema->proctime) {
        c->match.spec->time_column = -1;
        return true;
    }
    if (!plan_time_attribute(c->rule, input, column, item->expr->span, "MATCH_RECOGNIZE ORDER BY"))
        return false;
    c->match.spec->time_column = column;
    if (input->has_watermark || input->bounded)
        return true;
    plan_error(c->rule, item->expr->span,
               "'%s' has no watermark, so that no row would ever be matched; set its `watermark`", input->stream);
    return false;
}

static bool plan_order_by(clause *c)
{
    const leat_sql_order *order = &c->sql->order_by;
    leat_match_spec *spec = c->match.spec;
    uint32_t *columns = leat_arena_array(c->rule->arena, uint32_t, order->count + 1);
    bool *descending = leat_arena_array(c->rule->arena, bool, order->count + 1), fits = true;
    int32_t column;
    if (!order->count) {
        plan_error(c->rule, c->sql->span,
                   "MATCH_RECOGNIZE needs ORDER BY a time attribute: rows of a stream have no other order");
        return false;
    }
    for (uint32_t i = 0; i < order->count; i++) {
        const leat_sql_order_item *item = &order->items[i];
        if (!order_column(c, item, &column) || (i == 0 && !time_order(c, item, column))) {
            fits = false;
            continue;
        }
        if (i == 0)
            continue;
        if (item->nulls == (item->descending ? LEAT_SQL_NULLS_FIRST : LEAT_SQL_NULLS_LAST)) {
            plan_error(c->rule, item->expr->span, "NULLS %s is not in leat here: NULL counts as the lowest value",
                       item->descending ? "FIRST" : "LAST");
            fits = false;
        }
        columns[spec->order_count] = plan_match_keep(&c->match, (uint32_t)column);
        descending[spec->order_count++] = item->descending;
    }
    spec->order = columns;
    spec->order_descending = descending;
    return fits;
}

static bool plan_skip(clause *c)
{
    static const leat_match_skip skips[] = {[LEAT_SQL_SKIP_UNSAID] = LEAT_MATCH_SKIP_TO_NEXT,
                                            [LEAT_SQL_SKIP_TO_NEXT_ROW] = LEAT_MATCH_SKIP_TO_NEXT,
                                            [LEAT_SQL_SKIP_PAST_LAST_ROW] = LEAT_MATCH_SKIP_PAST_LAST,
                                            [LEAT_SQL_SKIP_TO_FIRST] = LEAT_MATCH_SKIP_TO_FIRST,
                                            [LEAT_SQL_SKIP_TO_LAST] = LEAT_MATCH_SKIP_TO_LAST};
    leat_match_spec *spec = c->match.spec;
    const leat_sql_name *to = &c->sql->skip_to;
    char hint[128];
    leat_slice names[LEAT_MATCH_STAGES];
    spec->skip = skips[c->sql->skip];
    spec->skip_strict = true;
    if (c->sql->skip < LEAT_SQL_SKIP_TO_FIRST)
        return true;
    spec->skip_stage = plan_match_find_stage(&c->match, to->text);
    if (spec->skip_stage >= 0)
        return true;
    for (uint32_t i = 0; i < c->match.stage_count; i++)
        names[i] = c->match.stages[i].name;
    plan_error(c->rule, to->span, "AFTER MATCH SKIP: '%.*s' is no variable of the pattern%s", (int)to->text.size,
               to->text.data, leat_suggest_text(to->text, names, c->match.stage_count, hint));
    return false;
}

static bool plan_within(clause *c)
{
    leat_sql_binder binder;
    if (!c->sql->within)
        return true;
    plan_binder_init(c->rule, NULL, "WITHIN", &binder);
    leat_expr *bound = leat_sql_bind_constant(&binder, c->sql->within, NULL, "WITHIN");
    c->rule->failed |= !bound;
    if (!bound)
        return false;
    if (bound->type.kind == LEAT_KIND_INTERVAL_MONTH)
        plan_error(c->rule, c->sql->within->span, "WITHIN: months and years have no fixed length; write days");
    else if (bound->type.kind != LEAT_KIND_INTERVAL || bound->literal.is_null || bound->literal.i64 <= 0)
        plan_error(c->rule, c->sql->within->span, "WITHIN takes an interval above 0, as in INTERVAL '10' SECOND");
    else {
        c->match.spec->within_ms = bound->literal.i64;
        return true;
    }
    return false;
}

static bool plan_define(clause *c, const leat_sql_define *define)
{
    int stage = plan_match_find_stage(&c->match, define->variable.text);
    leat_slice names[LEAT_MATCH_STAGES];
    char hint[128];
    if (stage >= 0 && c->match.stages[stage].where >= 0) {
        plan_error(c->rule, define->variable.span, "variable '%.*s' is defined twice", (int)define->variable.text.size,
                   define->variable.text.data);
        return false;
    }
    if (stage >= 0) {
        c->match.stages[stage].where = plan_match_condition(&c->match, stage, "DEFINE", define->condition);
        return c->match.stages[stage].where >= 0;
    }
    for (uint32_t i = 0; i < c->match.stage_count; i++)
        names[i] = c->match.stages[i].name;
    plan_error(c->rule, define->variable.span, "DEFINE: '%.*s' is no variable of the pattern%s",
               (int)define->variable.text.size, define->variable.text.data,
               leat_suggest_text(define->variable.text, names, c->match.stage_count, hint));
    return false;
}

static bool plan_measures(clause *c)
{
    const leat_sql_match_recognize *sql = c->sql;
    bool bound = true;
    plan_match_output_init(&c->match, sql->partition_by.count + sql->measure_count, &c->measures);
    for (uint32_t i = 0; i < sql->partition_by.count; i++)
        plan_match_key(&c->match, &c->measures, i, c->match.spec->key_columns[i]);
    for (uint32_t i = 0; i < sql->measure_count; i++) {
        const leat_sql_measure *measure = &sql->measures[i];
        if (measure->semantics == LEAT_SQL_RUNNING)
            bound = refuse(c, measure->expr->span, "RUNNING in MEASURES",
                           "measures are over the whole match: leave it out");
        else
            bound &= plan_match_measure(&c->match, &c->measures, "MEASURES", measure->name.text, measure->expr);
    }
    return bound;
}

// ---- all of it

static bool plan_keys(clause *c)
{
    const leat_sql_exprs *keys = &c->sql->partition_by;
    bool bound = plan_key_columns(c->rule, keys, &c->source, "PARTITION BY", &c->match.spec->key_columns);
    c->match.spec->key_count = keys->count;
    c->rule->failed |= !bound;
    return bound;
}

static bool plan_parts(clause *c)
{
    bool pattern = add_pattern(c, c->sql->pattern) && check_pattern(c);
    bool fits = plan_keys(c), ordered = plan_order_by(c), within = plan_within(c);
    if (!pattern)
        return false;
    fits &= plan_skip(c) && ordered && within;
    for (uint32_t i = 0; i < c->sql->define_count; i++)
        fits &= plan_define(c, &c->sql->defines[i]);
    return (ordered && c->match.spec->key_columns ? plan_measures(c) : false) && fits;
}

static const char *label(clause *c)
{
    leat_arena *arena = c->rule->arena;
    const char *text = "PATTERN (";
    for (uint32_t i = 0; i < c->match.stage_count; i++) {
        const leat_match_stage *stage = &c->match.stages[i];
        const char *times = !stage->repeated ? stage->optional ? "?" : ""
                            : stage->to == UINT32_MAX
                                ? stage->optional    ? "*"
                                  : stage->from == 1 ? "+"
                                                     : leat_arena_format(arena, "{%u,}", stage->from)
                                : leat_arena_format(arena, "{%u,%u}", stage->optional ? 0 : stage->from, stage->to);
        bool reluctant = stage->repeated && !stage->greedy && stage->from != stage->to;
        text = leat_arena_format(arena, "%s%s%.*s%s%s", text, i ? " " : "", (int)stage->name.size, stage->name.data,
                                 times, reluctant ? "?" : "");
    }
    text = leat_arena_format(arena, "%s)", text);
    if (c->match.spec->within_ms)
        text = leat_arena_format(arena, "%s WITHIN %s", text, plan_duration(c->rule, c->match.spec->within_ms));
    for (uint32_t i = 0; i < c->match.spec->key_count; i++) {
        leat_slice name = c->source.relation.schema->fields[c->match.spec->key_columns[i]].name;
        text = leat_arena_format(arena, "%s%s%.*s", text, i ? ", " : " BY ", (int)name.size, name.data);
    }
    return text;
}

bool plan_match_recognize(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    clause *c = leat_arena_new(rule->arena, clause);
    relation rows;
    c->rule = rule;
    c->sql = table->match.recognize;
    if (!plan_from(rule, names, table->match.input, &c->source) || !plan_materialize(rule, &c->source.relation, &rows))
        return false;
    c->source.relation = rows;
    if (!plan_inserts(rule, &c->source.relation)) {
        plan_error(rule, table->match.input->span,
                   "MATCH_RECOGNIZE takes rows that are only added, and '%s' also changes or deletes rows",
                   rows.stream);
        return false;
    }
    plan_match_begin(rule, &c->source.relation, true, &c->match);
    if (!check_clauses(c) || !plan_parts(c) || rule->failed)
        return false;
    *out = plan_match_node(&c->match, &c->measures, NULL, label(c));
    return true;
}
