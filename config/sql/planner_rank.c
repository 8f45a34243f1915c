// Rankings that are filtered: Top-N, deduplication, both within windows; and ORDER BY with LIMIT.
//
// SELECT .., ROW_NUMBER() OVER (..) AS rownum stays pending until the query around it (or QUALIFY) says what it filters: a rank between constants
// makes one of the nodes here, anything else an OVER window (planner_over.c).

#include "config/sql/planner_over.h"

#include "operators/core/order_encode.h"
#include "operators/expr/function.h"

enum { RANK_MAX = 1 << 30 };

// ---- which node

typedef struct ranked {
    plan_rule *rule;
    plan_ranking ranking;
    const relation *from;
    int64_t first, last; // ranks
    bool rank_output;
    int32_t window_time; // column that the input's windows were cut by, -1
    // -- made here
    plan_columns columns;
    relation input;
    uint32_t *keys;
    leat_order *orders;
} ranked;

static bool among(const uint32_t *columns, uint32_t count, uint32_t column)
{
    for (uint32_t i = 0; i < count; i++)
        if (columns[i] == column)
            return true;
    return false;
}

static bool is_key(const ranked *it, int32_t column)
{
    for (uint32_t i = 0; i < it->ranking.key_count; i++) {
        const leat_expr *key = it->ranking.keys[i];
        if (column >= 0 && key->kind == LEAT_EXPR_COLUMN && key->input == 0 && key->column == (uint32_t)column)
            return true;
    }
    return false;
}

static bool ranks_window(const ranked *it)
{
    return is_key(it, it->from->window_start) && is_key(it, it->from->window_end);
}

static plan_time_kind order_time(const ranked *it)
{
    const plan_over_order *order = it->ranking.orders;
    if (it->ranking.order_count != 1)
        return PLAN_TIME_NONE;
    if (it->window_time >= 0 && order->expr->kind == LEAT_EXPR_COLUMN &&
        (int32_t)order->expr->column == it->window_time)
        return PLAN_TIME_EVENT;
    return plan_time_of(it->from, order->expr);
}

static bool first_by_time(const ranked *it, plan_time_kind *out_time)
{
    *out_time = order_time(it);
    return it->first == 1 && it->last == 1 && *out_time != PLAN_TIME_NONE;
}

static bool gives_inserts(const ranked *it) { return it->from->schema->changelog == LEAT_CHANGELOG_INSERT; }

static leat_schema *ranked_schema(const ranked *it, leat_changelog changelog, bool rank)
{
    leat_field *fields;
    uint32_t count = it->input.schema->count;
    leat_schema *schema = plan_schema_new(it->rule, count + rank, &fields);
    memcpy(fields, it->input.schema->fields, count * sizeof *fields);
    if (rank)
        fields[count] = (leat_field){leat_slice_text("$rank"), leat_type_of(LEAT_KIND_BIGINT)};
    schema->rowtime = it->input.schema->rowtime;
    schema->proctime = it->input.schema->proctime;
    schema->changelog = changelog;
    return schema;
}

// What tells the rows of a ranking apart: the partition and the rank, or the partition alone when it has one row.
static void set_key(const ranked *it, leat_schema *schema, bool rank)
{
    uint32_t count = it->ranking.key_count, *own = leat_arena_array(it->rule->arena, uint32_t, count + 2);
    if (schema->changelog == LEAT_CHANGELOG_INSERT)
        return;
    if (it->last > it->first && !rank) { // what told the input's rows apart still does
        schema->key_columns = it->from->schema->key_columns;
        schema->key_count = it->from->schema->key_count;
        return;
    }
    memcpy(own, it->keys, count * sizeof *own);
    if (rank)
        own[count++] = it->input.schema->count;
    schema->key_columns = own;
    schema->key_count = count;
}

static const char *ranked_label(const ranked *it, const char *what)
{
    plan_rule *rule = it->rule;
    const char *text = what;
    for (uint32_t i = 0; i < it->ranking.key_count; i++) {
        leat_slice name = it->input.schema->fields[it->keys[i]].name;
        text = leat_arena_format(rule->arena, "%s%s%.*s", text, i ? ", " : " BY ", (int)name.size, name.data);
    }
    return plan_orders_label(rule, text, it->ranking.orders, it->ranking.order_count);
}

static const char *rank_text(const ranked *it)
{
    return it->first == 1
               ? leat_arena_format(it->rule->arena, "TOP %lld", (long long)it->last)
               : leat_arena_format(it->rule->arena, "RANKS %lld TO %lld", (long long)it->first, (long long)it->last);
}

static const char *kept_until(const ranked *it, const char *what)
{
    plan_rule *rule = it->rule;
    if (!it->ranking.key_count)
        return what;
    return rule->request->state_ttl_ms ? leat_arena_format(rule->arena, "%s per key, until %s after its last change",
                                                           what, plan_duration(rule, rule->request->state_ttl_ms))
                                       : leat_arena_format(rule->arena, "%s per key, for ever", what);
}

static bool window_node(ranked *it, relation *out)
{
    plan_rule *rule = it->rule;
    plan_time_kind time;
    bool dedup = first_by_time(it, &time), local = false;
    leat_window_rank_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    for (uint32_t i = 0; i < it->from->schema->count; i++)
        local |= it->from->times[i] && it->from->schema->fields[i].type.kind == LEAT_KIND_TIMESTAMP_LTZ;
    *spec = (leat_window_rank_spec){.key_count = it->ranking.key_count,
                                    .key_columns = it->keys,
                                    .end_column = it->from->window_end,
                                    .zone = local ? rule->planner->options.zone : NULL,
                                    .order_count = it->ranking.order_count,
                                    .orders = it->orders,
                                    .from = it->first,
                                    .to = it->last,
                                    .last_wins = dedup && it->ranking.orders->descending,
                                    .rank_output = it->rank_output};
    leat_plan_node node = {
        .operator_name = "window_rank",
        .spec = spec,
        .label = ranked_label(it, leat_arena_format(rule->arena, "%s of windows", rank_text(it))),
        .state_bound = leat_arena_format(rule->arena, "%lld rows per key and open window", (long long)it->last)};
    if (!plan_has_watermark(rule, it->from, it->ranking.span, "a ranking of windows"))
        return false;
    *out = plan_keyed(rule, &it->input, &node, spec->key_columns, spec->key_count,
                      ranked_schema(it, LEAT_CHANGELOG_INSERT, it->rank_output));
    return true;
}

static bool dedup_node(ranked *it, plan_time_kind time, relation *out)
{
    plan_rule *rule = it->rule;
    const leat_expr *order = it->ranking.orders->expr;
    leat_dedup_spec *spec = leat_arena_new(rule->arena, leat_dedup_spec);
    *spec = (leat_dedup_spec){.key_count = it->ranking.key_count,
                              .key_columns = it->keys,
                              .time_column = order->kind == LEAT_EXPR_COLUMN ? (int32_t)order->column : -1,
                              .processing_time = time == PLAN_TIME_PROCESSING,
                              .keep_last = it->ranking.orders->descending,
                              .emit_before = true,
                              .state_ttl_ms = rule->request->state_ttl_ms};
    bool inserts = spec->processing_time && !spec->keep_last;
    bool watermark = it->from->has_watermark || it->from->bounded;
    leat_schema *schema = ranked_schema(it, inserts ? LEAT_CHANGELOG_INSERT : LEAT_CHANGELOG_RETRACT, false);
    leat_plan_node node = {.operator_name = "dedup",
                           .spec = spec,
                           .label = ranked_label(it, spec->keep_last ? "LAST ROW" : "FIRST ROW"),
                           .state_bound = kept_until(it, "one row")};
    if (it->ranking.key_count && !plan_state_allowed(rule, it->ranking.span, "deduplication keeps every key for ever",
                                                     "deduplicate within windows"))
        return false;
    set_key(it, schema, false);
    *out = plan_keyed(rule, &it->input, &node, spec->key_columns, spec->key_count, schema);
    if (!spec->processing_time && !spec->keep_last && watermark)
        plan_first_row_add(rule, out, spec, schema, ranked_label(it, "FIRST ROW, when the watermark reaches it,"),
                           kept_until(it, "one row, only its time once it was sent,"));
    return true;
}

// Rows of a unique key that only rise: their order follows counts and maxima down, minima up, and what does not change.
static bool only_rises(const ranked *it)
{
    const leat_schema *schema = it->from->schema;
    if (!schema->key_count || !it->from->monotone || !it->ranking.order_count)
        return false;
    for (uint32_t i = 0; i < it->ranking.key_count; i++)
        if (!among(schema->key_columns, schema->key_count, it->keys[i]))
            return false;
    for (uint32_t i = 0; i < it->ranking.order_count; i++) {
        uint32_t column = it->orders[i].column;
        plan_monotone monotone = column < schema->count ? it->from->monotone[column] : PLAN_ANY;
        if (monotone != PLAN_CONSTANT && monotone != (it->orders[i].descending ? PLAN_RISES : PLAN_FALLS))
            return false;
    }
    return true;
}

static bool top_n_allowed(const ranked *it)
{
    leat_sql_span span = it->ranking.span;
    if (ranks_window(it)) // of rows that are taken back
        return plan_state_allowed(it->rule, span,
                                  "rows that may be taken back are ranked within windows as without them: Top-N keeps "
                                  "every window for ever",
                                  "aggregate over the windows first");
    return plan_state_allowed(it->rule, span, "Top-N keeps every key for ever",
                              it->from->by_clock
                                  ? "rank within windows over event time, PARTITION BY window_start, window_end"
                                  : "rank within windows, PARTITION BY window_start, window_end");
}

static bool top_n_node(ranked *it, relation *out)
{
    plan_rule *rule = it->rule;
    bool inserts = it->from->schema->changelog == LEAT_CHANGELOG_INSERT;
    leat_top_n_spec *spec = leat_arena_new(rule->arena, leat_top_n_spec);
    bool rises = !inserts && only_rises(it);
    *spec = (leat_top_n_spec){.input = inserts ? LEAT_TOP_N_APPEND
                                       : rises ? LEAT_TOP_N_UPDATE
                                               : LEAT_TOP_N_RETRACT,
                              .key_count = it->ranking.key_count,
                              .key_columns = it->keys,
                              .order_count = it->ranking.order_count,
                              .orders = it->orders,
                              .unique_count = it->from->schema->key_count,
                              .unique_columns = it->from->schema->key_columns,
                              .from = it->first,
                              .to = it->last,
                              .rank_output = it->rank_output,
                              .emit_before = true,
                              .state_ttl_ms = rule->request->state_ttl_ms};
    const char *kept = inserts || rises ? leat_arena_format(rule->arena, "%lld rows", (long long)it->last) : "all rows";
    // In the order in which they come the first rows stay the first.
    bool final = inserts && !it->ranking.order_count;
    leat_schema *schema = ranked_schema(it, final ? LEAT_CHANGELOG_INSERT : LEAT_CHANGELOG_RETRACT, it->rank_output);
    leat_plan_node node = {.operator_name = "top_n",
                           .spec = spec,
                           .label = ranked_label(it, rank_text(it)),
                           .state_bound = kept_until(it, kept)};
    if ((it->ranking.key_count || spec->input == LEAT_TOP_N_RETRACT) && !top_n_allowed(it))
        return false;
    if (!final)
        set_key(it, schema, it->rank_output);
    *out = plan_keyed(rule, &it->input, &node, spec->key_columns, spec->key_count, schema);
    return true;
}

static bool orders_fit(const ranked *it)
{
    for (uint32_t i = 0; i < it->ranking.order_count; i++)
        if (leat_type_physical(it->ranking.orders[i].expr->type) == LEAT_PHYSICAL_NESTED)
            return false;
    return true;
}

// These are columns like others: no watermark says when their windows are over.
static bool refuse_clock(const ranked *it)
{
    bool start = false, end = false;
    for (uint32_t i = 0; i < it->ranking.key_count && it->from->by_clock; i++) {
        const leat_expr *key = it->ranking.keys[i];
        bool plain = key->kind == LEAT_EXPR_COLUMN && key->input == 0;
        leat_slice name = plain ? it->from->schema->fields[key->column].name : leat_slice_text("");
        start |= leat_slice_is_nocase(name, "window_start");
        end |= leat_slice_is_nocase(name, "window_end");
    }
    if (start && end)
        plan_error(it->rule, it->ranking.span,
                   "a ranking within windows over processing time is not in leat, nor in Flink: nothing says when they "
                   "are over; use windows over event time");
    return start && end;
}

static bool rank_node(ranked *it, plan_rank_place *out_place, relation *out)
{
    plan_time_kind time;
    uint32_t most = it->ranking.key_count + it->ranking.order_count;
    relation from = *it->from, whole;
    if (refuse_clock(it) || !plan_normalized(it->rule, &from, it->ranking.span, &whole))
        return false;
    it->from = &whole;
    bool by_time = first_by_time(it, &time), windows = ranks_window(it);
    if (by_time || windows) // these keep less of new rows, and give final ones
        (void)plan_inserts(it->rule, &whole);
    LEAT_ASSERT(orders_fit(it));
    plan_columns_init(&it->columns, it->rule, it->from, most);
    it->keys = leat_arena_array(it->rule->arena, uint32_t, it->ranking.key_count + 1);
    for (uint32_t i = 0; i < it->ranking.key_count; i++)
        it->keys[i] = plan_columns_of(&it->columns, it->ranking.keys[i], NULL);
    it->orders = plan_orders(&it->columns, it->ranking.orders, it->ranking.order_count);
    it->rank_output &= it->first != it->last;
    if (!plan_columns_add(&it->columns, it->ranking.span, &it->input))
        return false;
    *out_place = (plan_rank_place){it->rank_output ? it->input.schema->count : UINT32_MAX, it->first};
    if (windows && gives_inserts(it))
        return window_node(it, out);
    return by_time && gives_inserts(it) ? dedup_node(it, time, out) : top_n_node(it, out);
}

static bool refuse_kind(plan_rule *rule, const plan_ranking *ranking)
{
    if (ranking->kind == LEAT_OVER_ROW_NUMBER)
        return true;
    plan_error(rule, ranking->span,
               "Top-N counts with ROW_NUMBER; RANK and DENSE_RANK, which give ties one rank, are "
               "not in leat, nor in Flink's streaming mode");
    return false;
}

// ---- a ranking that the query around filters

relation plan_rank_pending(plan_rule *rule, const plan_overs *overs, const relation *input, const plan_item *items,
                           uint32_t count, leat_sql_span span)
{
    leat_field *fields;
    plan_rank *rank = leat_arena_alloc_aligned(rule->arena, sizeof *rank, 16);
    leat_schema *schema = plan_schema_new(rule, count, &fields);
    *rank = (plan_rank){.overs = *overs, .input = *input, .count = count, .span = span, .request = rule->request};
    rank->items = leat_arena_array(rule->arena, plan_item, count + 1);
    memcpy(rank->items, items, count * sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (leat_field){items[i].name, items[i].expr->type};
    schema->changelog = input->schema->changelog;
    relation out = plan_relation_of(rule, input->node, input->output, schema, input);
    bool *times = (bool *)out.times;
    for (uint32_t i = 0; i < count; i++) {
        const leat_expr *expr = items[i].expr;
        bool column = expr->kind == LEAT_EXPR_COLUMN && expr->input == 0;
        times[i] = (column && input->times[expr->column]) || expr->kind == LEAT_EXPR_ROWTIME;
        if (column && (int32_t)expr->column == input->window_start)
            out.window_start = (int32_t)i;
        if (column && (int32_t)expr->column == input->window_end)
            out.window_end = (int32_t)i;
        if (times[i] && schema->rowtime < 0)
            schema->rowtime = (int32_t)i;
        if (schema->proctime < 0 && plan_time_of(input, expr) == PLAN_TIME_PROCESSING)
            schema->proctime = (int32_t)i;
    }
    out.rank = rank;
    return out;
}

int32_t plan_rank_column(const relation *from)
{
    for (uint32_t i = 0; i < from->rank->count; i++) {
        const leat_expr *expr = from->rank->items[i].expr;
        if (expr->kind == LEAT_EXPR_COLUMN && expr->input == LEAT_SQL_INPUT_OVER)
            return (int32_t)i;
    }
    return -1;
}

leat_expr *plan_rank_replace(plan_rule *rule, leat_expr *expr, const plan_rank_place *place)
{
    if (place->column != UINT32_MAX)
        return plan_over_replace(rule, expr, place->column);
    if (expr->kind == LEAT_EXPR_COLUMN && expr->input == LEAT_SQL_INPUT_OVER)
        return leat_expr_literal(&rule->expr, expr->type, (leat_value){.i64 = place->constant});
    if (!expr->argument_count)
        return expr;
    leat_expr *copy = leat_arena_alloc_aligned(rule->arena, sizeof *copy, 16);
    *copy = *expr;
    copy->arguments = leat_arena_array(rule->arena, leat_expr *, expr->argument_count);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = plan_rank_replace(rule, expr->arguments[i], place);
    return copy;
}

static bool project_ranked(plan_rule *rule, const plan_rank *rank, const relation *rows, const plan_rank_place *place,
                           relation *out)
{
    plan_item *items = leat_arena_array(rule->arena, plan_item, rank->count + 1);
    for (uint32_t i = 0; i < rank->count; i++) {
        items[i] = rank->items[i];
        items[i].expr = plan_rank_replace(rule, items[i].expr, place);
    }
    return plan_project(rule, rows, items, rank->count, rank->span, out);
}

static int32_t cut_by(const relation *from) { return from->pending ? from->pending->window.time_column : -1; }

static bool start_ranked(plan_rule *rule, const plan_overs *overs, const relation *input,
                         const plan_rank_bounds *bounds, bool rank_read, relation *rows, ranked *out)
{
    *out = (ranked){.rule = rule,
                    .ranking = plan_overs_ranking(overs),
                    .from = rows,
                    .first = bounds->from,
                    .last = bounds->to,
                    .rank_output = rank_read,
                    .window_time = cut_by(input)};
    return refuse_kind(rule, &out->ranking) &&
           !plan_refuse_clock(rule, input, "a ranking of their rows is not in leat yet") &&
           plan_materialize(rule, input, rows);
}

bool plan_rank_filter(plan_rule *rule, const relation *from, leat_expr *condition, bool rank_read, leat_sql_span span,
                      leat_expr **out_rest, bool *out_ranked, relation *out)
{
    const plan_rank *rank = from->rank;
    plan_rank_bounds bounds = {.column = (uint32_t)plan_rank_column(from), .from = INT64_MIN, .to = INT64_MAX};
    plan_rank_place place;
    relation rows, top;
    ranked it;
    *out_ranked = false;
    *out_rest = condition;
    if (plan_rank_column(from) < 0)
        return true;
    if (!plan_rank_take(rule, &bounds, condition, out_rest))
        return false;
    if (!bounds.bounded && !bounds.variable)
        return true;
    if (!plan_rank_check(rule, &bounds, span))
        return false;
    rank_read |= *out_rest && plan_reads_rank(&bounds, *out_rest);
    *out_ranked = true;
    const leat_rule_request *before = rule->request;
    rule->request = rank->request;
    bool made = start_ranked(rule, &rank->overs, &rank->input, &bounds, rank_read, &rows, &it) &&
                rank_node(&it, &place, &top) && project_ranked(rule, rank, &top, &place, out);
    rule->request = before;
    return made;
}

bool plan_rank_materialize(plan_rule *rule, const relation *from, relation *out)
{
    const plan_rank *rank = from->rank;
    relation rows, input;
    plan_rank_place place = {0};
    plan_overs overs = rank->overs;
    if (!plan_materialize(rule, &rank->input, &input) || !plan_over(&overs, &input, &place.column, &rows))
        return false;
    return project_ranked(rule, rank, &rows, &place, out);
}

bool plan_rank_qualify(plan_rule *rule, const plan_overs *overs, const relation *input, leat_expr *condition,
                       bool rank_read, leat_sql_span span, leat_expr **out_rest, bool *out_ranked,
                       plan_rank_place *out_place, relation *out)
{
    plan_rank_bounds bounds = {.input = LEAT_SQL_INPUT_OVER, .from = INT64_MIN, .to = INT64_MAX};
    relation *rows = leat_arena_new(rule->arena, relation);
    ranked it;
    *out_ranked = false;
    if (!plan_rank_take(rule, &bounds, condition, out_rest))
        return false;
    if (!bounds.bounded && !bounds.variable)
        return true;
    if (!plan_rank_check(rule, &bounds, span))
        return false;
    rank_read |= *out_rest && plan_reads_rank(&bounds, *out_rest);
    *out_ranked = true;
    return start_ranked(rule, overs, input, &bounds, rank_read, rows, &it) && rank_node(&it, out_place, out);
}

// ---- DEDUPLICATE_KEEP_FIRST(input => TABLE t PARTITION BY k)

bool plan_is_keep_first(const leat_sql_expr *call)
{
    return call->kind == LEAT_SQL_EXPR_CALL && call->call.name.count == 1 &&
           leat_slice_is_nocase(call->call.name.parts[0].text, "DEDUPLICATE_KEEP_FIRST");
}

static bool keep_first_input(plan_rule *rule, plan_name *names, const leat_sql_expr *call, plan_source *out,
                             const leat_sql_expr **out_argument)
{
    static const char *const arguments[] = {"input"};
    if (!plan_match_arguments(rule, call, arguments, 1, out_argument))
        return false;
    if (!*out_argument)
        plan_error(rule, call->span, "DEDUPLICATE_KEEP_FIRST takes a table: input => TABLE t PARTITION BY k");
    if (!*out_argument || !plan_table_argument(rule, names, *out_argument, out))
        return false;
    if (!(*out_argument)->table.partition_by.count)
        plan_error(rule, (*out_argument)->span, "DEDUPLICATE_KEEP_FIRST needs PARTITION BY: what makes rows the same");
    else if (!plan_inserts(rule, &out->relation))
        plan_error(rule, (*out_argument)->span,
                   "DEDUPLICATE_KEEP_FIRST takes new rows only, and its input updates and takes rows back");
    else
        return true;
    return false;
}

bool plan_keep_first(plan_rule *rule, plan_name *names, const leat_sql_table_ref *table, relation *out)
{
    const leat_sql_expr *call = table->function.call, *argument = NULL;
    const uint32_t *keys;
    plan_source source;
    if (!keep_first_input(rule, names, call, &source, &argument) ||
        !plan_key_columns(rule, &argument->table.partition_by, &source, "PARTITION BY", &keys))
        return false;
    uint32_t count = argument->table.partition_by.count;
    plan_ranking ranking = {.kind = LEAT_OVER_ROW_NUMBER, .span = call->span, .key_count = count};
    plan_over_order order = {.expr = leat_expr_special(&rule->expr, LEAT_EXPR_PROCTIME), .label = "arrival"};
    ranking.orders = &order;
    ranking.order_count = 1;
    ranked it = {.rule = rule, .ranking = ranking, .from = &source.relation, .first = 1, .last = 1};
    it.window_time = -1;
    it.input = source.relation;
    it.keys = plan_columns_copy(rule, keys, count);
    return dedup_node(&it, PLAN_TIME_PROCESSING, out);
}

// ---- ORDER BY, LIMIT, OFFSET, FETCH

static bool bind_count(plan_rule *rule, const leat_sql_expr *expr, const char *what, int64_t least, int64_t *out_count)
{
    leat_type type = leat_type_of(LEAT_KIND_BIGINT);
    leat_sql_binder binder;
    if (!expr)
        return true;
    plan_binder_init(rule, NULL, what, &binder);
    leat_expr *value = leat_sql_bind_constant(&binder, expr, &type, what);
    if (!value)
        return false;
    if (value->literal.is_null || value->literal.i64 < least || value->literal.i64 > RANK_MAX) {
        plan_error(rule, expr->span, "%s takes a number from %lld to %d", what, (long long)least, RANK_MAX);
        return false;
    }
    *out_count = value->literal.i64;
    return true;
}

// ORDER BY 2: the second column.
static bool ordinals(plan_rule *rule, const relation *from, const leat_sql_order *order, plan_over_order *orders)
{
    for (uint32_t i = 0; i < order->count; i++) {
        const leat_sql_expr *expr = order->items[i].expr;
        if (expr->kind != LEAT_SQL_EXPR_LITERAL || expr->literal.kind != LEAT_SQL_LITERAL_INTEGER)
            continue;
        int64_t number = orders[i].expr->literal.i64;
        if (number < 1 || number > from->schema->count) {
            plan_error(rule, expr->span, "ORDER BY %lld: the query has %u columns", (long long)number,
                       from->schema->count);
            return false;
        }
        orders[i].expr = plan_column(rule, from, (uint32_t)number - 1);
    }
    return true;
}

static bool sort_node(plan_rule *rule, const relation *given, const plan_over_order *orders, uint32_t count,
                      leat_sql_span span, relation *out)
{
    plan_time_kind time = plan_time_of(given, orders[0].expr);
    plan_columns columns;
    relation input;
    if (time == PLAN_TIME_NONE || orders[0].descending) {
        plan_error(rule, span,
                   "ORDER BY without LIMIT sorts a stream by an ascending time attribute first, such as ORDER BY ts");
        return false;
    }
    relation rows = *given, *from = &rows;
    if (!plan_inserts(rule, from)) {
        plan_error(rule, span, "ORDER BY time takes new rows only, and its input updates and takes rows back");
        return false;
    }
    *out = *from;
    if (time == PLAN_TIME_PROCESSING && count == 1)
        return true; // rows come in this order
    if (time == PLAN_TIME_PROCESSING) {
        plan_error(rule, orders[1].span,
                   "rows of one millisecond have no further order: ORDER BY processing time alone");
        return false;
    }
    plan_columns_init(&columns, rule, from, count);
    leat_over_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    *spec =
        (leat_over_spec){.sort = true,
                         .time_column = orders[0].expr->kind == LEAT_EXPR_COLUMN ? (int32_t)orders[0].expr->column : -1,
                         .order_count = count - 1,
                         .orders = plan_orders(&columns, orders + 1, count - 1)};
    if (!plan_has_watermark(rule, from, span, "ORDER BY time") || !plan_columns_add(&columns, span, &input))
        return false;
    leat_plan_node node = {.operator_name = "over",
                           .spec = spec,
                           .label = plan_orders_label(rule, "SORT", orders, count),
                           .state_bound = "rows that the watermark has not passed"};
    relation sorted = plan_keyed(rule, &input, &node, NULL, 0, input.schema);
    plan_item *items = leat_arena_array(rule->arena, plan_item, from->schema->count + 1);
    for (uint32_t i = 0; i < from->schema->count; i++)
        items[i] = (plan_item){plan_column(rule, from, i), from->schema->fields[i].name, NULL};
    return plan_project(rule, &sorted, items, from->schema->count, span, out);
}

static bool limit_node(plan_rule *rule, const relation *from, const plan_over_order *orders, uint32_t count,
                       int64_t offset, int64_t limit, leat_sql_span span, relation *out)
{
    ranked it = {.rule = rule,
                 .ranking = {.kind = LEAT_OVER_ROW_NUMBER, .span = span, .orders = orders, .order_count = count},
                 .from = from,
                 .first = offset + 1,
                 .last = offset + limit,
                 .window_time = -1};
    relation top, whole;
    plan_item *items = leat_arena_array(rule->arena, plan_item, from->schema->count + 1);
    if (from->schema->changelog == LEAT_CHANGELOG_UPSERT) {
        if (!plan_normalized(rule, from, span, &whole))
            return false;
        it.from = &whole;
    }
    plan_columns_init(&it.columns, rule, it.from, count);
    it.keys = leat_arena_array(rule->arena, uint32_t, 1);
    it.orders = plan_orders(&it.columns, orders, count);
    if (!plan_columns_add(&it.columns, span, &it.input) || !top_n_node(&it, &top))
        return false;
    for (uint32_t i = 0; i < from->schema->count; i++)
        items[i] = (plan_item){plan_column(rule, from, i), from->schema->fields[i].name, NULL};
    return plan_project(rule, &top, items, from->schema->count, span, out);
}

bool plan_sorted(plan_rule *rule, const relation *from, const leat_sql_query *query, relation *out)
{
    leat_sql_scope_table table = {.schema = from->schema};
    leat_sql_scope scope = {&table, 1};
    leat_sql_binder binder;
    plan_over_order *orders;
    int64_t offset = 0, limit = -1;
    const leat_sql_order *order = &query->order_by;
    relation rows;
    if (!order->count && !query->limit && !query->fetch && !query->offset) {
        *out = *from;
        return true;
    }
    plan_binder_init(rule, &scope, "ORDER BY", &binder);
    if (!plan_bind_orders(rule, &binder, order, &orders) || !ordinals(rule, from, order, orders) ||
        !bind_count(rule, query->offset, "OFFSET", 0, &offset) || !bind_count(rule, query->limit, "LIMIT", 1, &limit) ||
        !bind_count(rule, query->fetch, "FETCH FIRST", 1, &limit) || !plan_materialize(rule, from, &rows))
        return false;
    if (limit >= 0)
        return limit_node(rule, &rows, orders, order->count, offset, limit,
                          order->count   ? query->order_span
                          : query->limit ? query->limit_span
                                         : query->fetch_span,
                          out);
    if (!query->offset)
        return sort_node(rule, &rows, orders, order->count, query->order_span, out);
    plan_error(rule, query->offset_span, "OFFSET needs a LIMIT: without one every row is kept");
    return false;
}
