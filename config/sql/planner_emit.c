// Windows of SQL that window_time does not have, planned onto window_stream, which is slower and knows triggers: those that do more
// than give one result at their end (`emit_every`, `emit_count`, `emit`, `evict`), and those over processing time.
#include "config/sql/planner_state.h"

static void use_trigger(const leat_rule_emit *emit, leat_window_stream_spec *spec)
{
    spec->purging = emit->discarding;
    spec->trigger = LEAT_TRIGGER_EVENT_TIME;
    spec->trigger_count = emit->count;
    spec->trigger_interval_ms = emit->every_ms;
    spec->trigger_at_end = emit->count || (emit->every_ms && emit->processing_time);
    if (emit->count)
        spec->trigger = LEAT_TRIGGER_COUNT;
    else if (emit->every_ms)
        spec->trigger =
            emit->processing_time ? LEAT_TRIGGER_CONTINUOUS_PROCESSING_TIME : LEAT_TRIGGER_CONTINUOUS_EVENT_TIME;
}

static void use_evictor(const leat_rule_emit *emit, leat_window_stream_spec *spec)
{
    spec->evictor = emit->evict_count ? LEAT_EVICTOR_COUNT : emit->evict_ms ? LEAT_EVICTOR_TIME : LEAT_EVICTOR_NONE;
    spec->evictor_count = emit->evict_count;
    spec->evictor_ms = emit->evict_ms;
    spec->evict_after = emit->evict_after;
}

void plan_rows_kept(plan_rule *rule, const leat_sql_aggregates *aggregates, const leat_expr *delta, uint32_t columns,
                    leat_window_stream_spec *spec)
{
    bool used[LEAT_COLUMNS_MAX + 8] = {0};
    uint32_t *kept = leat_arena_array(rule->arena, uint32_t, columns + 1);
    for (uint32_t i = 0; i < aggregates->count; i++) {
        for (uint32_t k = 0; k < aggregates->items[i].argument_count; k++)
            leat_expr_columns(aggregates->arguments[i][k], 0, used);
        if (aggregates->filters[i])
            leat_expr_columns(aggregates->filters[i], 0, used);
    }
    for (uint32_t input = 0; delta && input < 2; input++)
        leat_expr_columns(delta, input, used);
    spec->row_column_count = 0;
    for (uint32_t i = 0; i < columns; i++)
        if (used[i])
            kept[spec->row_column_count++] = i;
    spec->row_columns = kept;
}

const void *plan_emit_spec(plan_rule *rule, const leat_window_aggregate_spec *aggregate,
                           const leat_sql_aggregates *aggregates, uint32_t columns)
{
    const leat_rule_emit *emit = rule->request->emit;
    leat_window_stream_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    *spec = (leat_window_stream_spec){.aggregate = *aggregate};
    use_trigger(emit, spec);
    use_evictor(emit, spec);
    plan_rows_kept(rule, aggregates, NULL, columns, spec);
    return spec;
}

bool plan_emit_fits(plan_rule *rule, leat_sql_span span, bool attached, bool retracts)
{
    const leat_rule_emit *emit = rule->request->emit;
    if (!emit)
        return true;
    if (attached)
        plan_error(rule, span,
                   "`%s` works on windows that this query makes; these are those of its input, which sends each result "
                   "once",
                   emit->key);
    else if (retracts && (emit->discarding || emit->evict_count || emit->evict_ms))
        plan_error(rule, span, "`%s` means nothing where the input takes rows back (a changelog)",
                   emit->discarding ? "emit" : "evict");
    else
        return true;
    return false;
}

// ---- processing time: a row is in the window that the clock is in, which is over once the clock has passed its last instant

const void *plan_clock_spec(plan_rule *rule, const leat_window_aggregate_spec *aggregate)
{
    leat_window_stream_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    *spec = (leat_window_stream_spec){
        .aggregate = *aggregate, .processing_time = true, .trigger = LEAT_TRIGGER_PROCESSING_TIME, .purging = true};
    spec->aggregate.keep_watermark = spec->aggregate.late_output = false;
    spec->aggregate.allowed_lateness_ms = 0;
    return spec;
}

bool plan_clock_fits(plan_rule *rule, leat_sql_span span)
{
    const leat_rule_request *request = rule->request;
    const char *key = request->emit                  ? request->emit->key
                      : request->allowed_lateness_ms ? "allowed_lateness"
                      : request->late_output         ? "late_to"
                                                     : NULL;
    if (!key)
        return true;
    if (request->emit)
        plan_error(rule, span, "`%s` works on windows of event time; over processing time write the rule's `window`",
                   key);
    else
        plan_error(rule, span, "`%s` is set, but no row is late for a window over processing time", key);
    return false;
}
