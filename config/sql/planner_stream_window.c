// `window:` to nodes: the streams united, a filter, one window_stream, and a projection for the columns of `select`.
//
// What `select` may read is bound over a relation that no node makes: the input's columns and behind them those of the window. Grouping
// it by the keys and the window's columns gives the operator's output, as for GROUP BY (planner_group.c).
#include "config/sql/planner_state.h"
#include "config/sql/window_form.h"

typedef struct stream_window {
    plan_rule *rule;
    const leat_window_form *form;
    relation input, visible;
    leat_sql_scope_table table;
    leat_sql_scope scope;
    leat_sql_aggregates *aggregates;
    plan_group group;
    uint32_t window_columns; // of `visible`, behind those of the input
    leat_expr **exprs;       // of items
    leat_window_stream_spec *spec;
    leat_schema *schema; // of the operator
} stream_window;

// ---- input

static bool unite(stream_window *it)
{
    const leat_window_form *form = it->form;
    relation *parts = leat_arena_array(it->rule->arena, relation, form->from_count);
    bool found = true;
    for (uint32_t i = 0; i < form->from_count; i++)
        found &= plan_text_stream(it->rule, form->from[i], &parts[i]);
    if (!found)
        return false;
    it->input = parts[0];
    if (form->from_count == 1)
        return true;
    plan_text_begin(it->rule, form->from[1]);
    for (uint32_t i = 1; i < form->from_count; i++) {
        if (parts[i].schema->count == parts[0].schema->count)
            continue;
        plan_text_begin(it->rule, form->from[i]);
        plan_error(it->rule, plan_text_span(form->from[i]), "'%.*s' has %u columns and '%.*s' has %u",
                   (int)form->from[i]->text.size, form->from[i]->text.data, parts[i].schema->count,
                   (int)form->from[0]->text.size, form->from[0]->text.data, parts[0].schema->count);
        return false;
    }
    return plan_union(it->rule, parts, form->from_count, plan_text_span(form->from[1]), &it->input);
}

// Updates by key say only what is new; what a window has counted of the row before is taken out of it again.
static bool make_whole(stream_window *it)
{
    const leat_rule_text *from = it->form->from[0];
    relation whole;
    if (!it->form->spec.updates)
        return true; // refused later
    plan_text_begin(it->rule, from);
    if (!plan_normalized(it->rule, &it->input, plan_text_span(from), &whole))
        return false;
    it->input = whole;
    return true;
}

static void use_scope(stream_window *it, const leat_schema *schema)
{
    bool one = it->form->from_count == 1;
    it->table = (leat_sql_scope_table){.alias = one ? it->form->from[0]->text : (leat_slice){0}, .schema = schema};
    it->scope = (leat_sql_scope){&it->table, 1};
}

static bool filter(stream_window *it)
{
    const leat_rule_text *where = it->form->where;
    leat_sql_binder binder;
    if (!where)
        return true;
    if (!plan_text_begin(it->rule, where))
        return false;
    use_scope(it, it->input.schema);
    plan_binder_init(it->rule, &it->scope, "where", &binder);
    leat_expr *condition = leat_sql_bind_condition(&binder, where->expr);
    const char *label = leat_arena_copy(it->rule->arena, where->text.data, where->text.size);
    return condition && plan_filter(it->rule, &it->input, leat_expr_fold(&it->rule->expr, condition), label,
                                    where->expr->span, &it->input);
}

static bool check_input(stream_window *it)
{
    const leat_window_stream_spec *spec = &it->form->spec;
    const leat_rule_text *from = it->form->from[0];
    bool by_event_time = (spec->assigner == LEAT_ASSIGN_TIME && !spec->processing_time) ||
                         spec->trigger == LEAT_TRIGGER_CONTINUOUS_EVENT_TIME;
    plan_text_begin(it->rule, from);
    if (!plan_inserts(it->rule, &it->input) && !spec->updates)
        plan_error(it->rule, plan_text_span(from),
                   "'%.*s' takes rows back (a changelog), which these windows cannot; with `updates: true` they can",
                   (int)from->text.size, from->text.data);
    else if (by_event_time && !it->input.has_watermark && !it->input.bounded)
        plan_error(it->rule, plan_text_span(from),
                   "'%.*s' has no watermark, so that no window would ever close; set its `watermark`",
                   (int)from->text.size, from->text.data);
    else
        return true;
    return false;
}

// ---- what the window adds

static leat_type time_type(const stream_window *it)
{
    int32_t rowtime = it->input.schema->rowtime;
    leat_type instant = leat_type_of(LEAT_KIND_TIMESTAMP_LTZ);
    instant.precision = 3;
    return rowtime >= 0 && !it->form->spec.processing_time ? it->input.schema->fields[rowtime].type : instant;
}

// The operator's last three columns; `out_count` of them mean something.
static void window_fields(const stream_window *it, leat_field *out_fields, uint32_t *out_count)
{
    leat_type type = time_type(it);
    bool counted = it->form->spec.assigner == LEAT_ASSIGN_COUNT;
    out_fields[0] = (leat_field){leat_slice_text("window_start"), type};
    out_fields[1] = (leat_field){leat_slice_text("window_end"), type};
    out_fields[2] = (leat_field){leat_slice_text("window_time"), type};
    if (counted)
        out_fields[0] = (leat_field){leat_slice_text("window_id"), leat_type_of(LEAT_KIND_BIGINT)};
    *out_count = counted ? 1 : it->form->spec.assigner == LEAT_ASSIGN_GLOBAL ? 0 : 3;
}

static bool make_visible(stream_window *it)
{
    const leat_schema *from = it->input.schema;
    leat_field *fields, window[3];
    window_fields(it, window, &it->window_columns);
    if (from->count + 3 > LEAT_COLUMNS_MAX) {
        plan_error(it->rule, plan_text_span(it->form->from[0]), "a window's input has at most %d columns",
                   LEAT_COLUMNS_MAX - 3);
        return false;
    }
    leat_schema *schema = plan_schema_new(it->rule, from->count + it->window_columns, &fields);
    for (uint32_t i = 0; i < from->count; i++)
        fields[i] = from->fields[i];
    for (uint32_t i = 0; i < it->window_columns; i++)
        fields[from->count + i] = window[i];
    plan_schema_unique(it->rule, fields, schema->count);
    it->visible = it->input;
    it->visible.schema = schema;
    use_scope(it, schema);
    return true;
}

// ---- keys

static bool is_key_twice(const stream_window *it, uint32_t column)
{
    for (uint32_t i = 0; i < it->group.key_count; i++)
        if (it->group.keys[i]->column == column)
            return true;
    return false;
}

static bool read_keys(stream_window *it)
{
    const leat_window_form *form = it->form;
    plan_rule *rule = it->rule;
    it->group = (plan_group){.input = &it->visible, .scope = &it->scope, .what = "by"};
    it->group.keys = leat_arena_array(rule->arena, leat_expr *, form->by_count + it->window_columns + 1);
    bool good = true;
    for (uint32_t i = 0; i < form->by_count; i++) {
        int column = plan_text_column(rule, form->by[i], it->input.schema);
        good &= column >= 0;
        if (column >= 0 && is_key_twice(it, (uint32_t)column)) {
            plan_error(rule, plan_text_span(form->by[i]), "column '%.*s' is in 'by' twice", (int)form->by[i]->text.size,
                       form->by[i]->text.data);
            good = false;
        } else if (column >= 0) {
            it->group.keys[it->group.key_count++] = plan_column(rule, &it->visible, (uint32_t)column);
        }
    }
    for (uint32_t i = 0; i < it->window_columns; i++)
        it->group.keys[it->group.key_count++] = plan_column(rule, &it->visible, it->input.schema->count + i);
    return good;
}

// ---- select

// Columns outside of aggregates have to be the same for all rows of a window.
static bool check_grouped(stream_window *it, const leat_sql_binder *binder, const leat_expr *expr, leat_sql_span span)
{
    bool fits = true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        fits &= check_grouped(it, binder, expr->arguments[i], span);
    if (expr->kind != LEAT_EXPR_COLUMN || expr->input != 0)
        return fits;
    for (uint32_t i = 0; i < it->group.key_count; i++)
        if (leat_expr_equal(it->group.keys[i], expr))
            return true;
    leat_slice name = it->visible.schema->fields[expr->column].name;
    plan_error(it->rule, leat_sql_binder_span(binder, expr, span),
               "column '%.*s' is neither in 'by' nor inside an aggregate", (int)name.size, name.data);
    return false;
}

static bool read_item(stream_window *it, uint32_t index)
{
    const leat_form_item *item = &it->form->items[index];
    leat_sql_binder binder;
    if (!plan_text_begin(it->rule, item->text))
        return false;
    plan_binder_init(it->rule, &it->scope, "select", &binder);
    binder.aggregates = it->aggregates;
    leat_expr *expr = leat_sql_bind(&binder, item->text->expr);
    it->exprs[index] = expr;
    it->rule->failed |= !expr;
    bool keyed = it->group.key_count == it->form->by_count + it->window_columns; // else what is a key is not known
    return expr && (!keyed || check_grouped(it, &binder, expr, item->text->expr->span));
}

static bool read_items(stream_window *it)
{
    const leat_window_form *form = it->form;
    bool good = true;
    it->aggregates = leat_sql_aggregates_new(it->rule->arena, it->input.schema->changelog != LEAT_CHANGELOG_INSERT);
    it->exprs = leat_arena_array(it->rule->arena, leat_expr *, form->item_count + 1);
    for (uint32_t i = 0; i < form->item_count; i++)
        good &= read_item(it, i);
    return good;
}

// Aggregates are over the rows, which do not have the columns of their window.
static bool reads_window(const stream_window *it, const leat_expr *expr)
{
    bool used[LEAT_COLUMNS_MAX + 8] = {0};
    bool any = false;
    leat_expr_columns(expr, 0, used);
    for (uint32_t i = 0; i < it->window_columns; i++)
        any |= used[it->input.schema->count + i];
    return any;
}

static bool check_aggregates(stream_window *it)
{
    const leat_sql_aggregates *aggregates = it->aggregates;
    for (uint32_t i = 0; i < aggregates->count; i++) {
        bool reads = aggregates->filters[i] && reads_window(it, aggregates->filters[i]);
        for (uint32_t k = 0; k < aggregates->items[i].argument_count; k++)
            reads |= reads_window(it, aggregates->arguments[i][k]);
        if (!reads)
            continue;
        plan_error(it->rule, plan_text_span(it->form->items[0].text),
                   "%s: an aggregate is over the rows of a window, which do not have its bounds",
                   aggregates->labels[i]);
        return false;
    }
    return true;
}

// ---- the spec

static bool read_gap(stream_window *it)
{
    const leat_rule_text *gap = it->form->gap;
    leat_sql_binder binder;
    leat_error error;
    leat_expr *coerced;
    if (!gap)
        return true;
    if (!plan_text_begin(it->rule, gap))
        return false;
    plan_binder_init(it->rule, &it->scope, "session_gap", &binder);
    leat_expr *expr = leat_sql_bind(&binder, gap->expr);
    if (!expr)
        return !(it->rule->failed = true);
    if (expr->type.kind == LEAT_KIND_INTERVAL) {
        coerced = expr;
    } else if (leat_expr_coerce(&it->rule->expr, expr, leat_type_of(LEAT_KIND_BIGINT), &coerced, &error) != LEAT_OK) {
        plan_error(it->rule, gap->expr->span, "session_gap: %s", error.message);
        return false;
    }
    return plan_compile(it->rule, leat_expr_fold(&it->rule->expr, coerced), gap->expr->span, &it->spec->gap);
}

// The columns of the last row under names of their own: last_v beside v.
static const leat_schema *last_schema(stream_window *it)
{
    const leat_schema *from = it->input.schema;
    leat_field *fields;
    leat_schema *schema = plan_schema_new(it->rule, from->count, &fields);
    for (uint32_t i = 0; i < from->count; i++) {
        leat_slice name = from->fields[i].name;
        const char *text = leat_arena_format(it->rule->arena, "last_%.*s", (int)name.size, name.data);
        fields[i] = (leat_field){leat_slice_text(text), from->fields[i].type};
    }
    return schema;
}

// A distance of two rows, under the key `name`.
static bool read_delta(stream_window *it, const leat_rule_text *delta, const char *name,
                       const struct leat_program **out_program, leat_expr **out_delta)
{
    leat_sql_binder binder;
    leat_error error;
    *out_delta = NULL;
    if (!delta)
        return true;
    if (!plan_text_begin(it->rule, delta))
        return false;
    leat_sql_scope_table tables[2] = {{.alias = it->table.alias, .schema = it->input.schema},
                                      {.schema = last_schema(it), .input = 1}};
    leat_sql_scope scope = {tables, 2};
    plan_binder_init(it->rule, &scope, name, &binder);
    leat_expr *expr = leat_sql_bind(&binder, delta->expr);
    if (!expr)
        return !(it->rule->failed = true);
    if (leat_expr_cast(&it->rule->expr, expr, leat_type_of(LEAT_KIND_DOUBLE), false, out_delta, &error) != LEAT_OK) {
        plan_error(it->rule, delta->expr->span, "%s: %s", name, error.message);
        return false;
    }
    *out_delta = leat_expr_fold(&it->rule->expr, *out_delta);
    return plan_compile(it->rule, *out_delta, delta->expr->span, out_program);
}

static bool read_deltas(stream_window *it, leat_expr **out_evictor)
{
    leat_expr *trigger;
    bool used[LEAT_COLUMNS_MAX + 8] = {0};
    uint32_t columns = it->input.schema->count;
    if (!read_delta(it, it->form->delta, "evict.delta", &it->spec->evictor_delta, out_evictor) ||
        !read_delta(it, it->form->trigger_delta, "trigger.delta", &it->spec->trigger_delta, &trigger))
        return false;
    uint32_t *kept = leat_arena_array(it->rule->arena, uint32_t, columns + 1);
    for (uint32_t input = 0; trigger && input < 2; input++)
        leat_expr_columns(trigger, input, used);
    for (uint32_t i = 0; i < columns; i++)
        if (used[i])
            kept[it->spec->trigger_column_count++] = i;
    it->spec->trigger_columns = kept;
    return true;
}

static bool drops_late(const stream_window *it)
{
    return it->form->spec.assigner == LEAT_ASSIGN_TIME && !it->form->spec.processing_time;
}

static bool make_spec(stream_window *it, const uint32_t *keys)
{
    const leat_window_form *form = it->form;
    leat_accumulators *accumulators;
    leat_error error;
    leat_expr *delta;
    it->spec = leat_arena_alloc_aligned(it->rule->arena, sizeof *it->spec, 16);
    *it->spec = form->spec;
    if (!read_gap(it) || !read_deltas(it, &delta))
        return false;
    if (leat_accumulators_create(it->rule->arena, it->aggregates->items, it->aggregates->count, it->aggregates->retract,
                                 &accumulators, &error) != LEAT_OK) {
        plan_text_begin(it->rule, form->items[0].text);
        plan_error(it->rule, plan_text_span(form->items[0].text), "%s", error.message);
        return false;
    }
    it->spec->aggregate.key_count = form->by_count;
    it->spec->aggregate.key_columns = keys;
    it->spec->aggregate.accumulators = accumulators;
    it->spec->aggregate.aggregate_count = it->aggregates->count;
    it->spec->aggregate.late_output = it->rule->request->late_output && drops_late(it);
    it->spec->aggregate.input_retracts = it->input.schema->changelog != LEAT_CHANGELOG_INSERT;
    plan_rows_kept(it->rule, it->aggregates, delta, it->input.schema->count, it->spec);
    return true;
}

// ---- the node

static const char *label_of(const stream_window *it)
{
    const leat_window_form *form = it->form;
    const char *text = form->label;
    for (uint32_t i = 0; i < form->by_count; i++)
        text = leat_arena_format(it->rule->arena, "%s%s%.*s", text, i ? ", " : " BY ", (int)form->by[i]->text.size,
                                 form->by[i]->text.data);
    for (uint32_t i = 0; i < it->aggregates->count; i++)
        text = leat_arena_format(it->rule->arena, "%s%s%s", text, i ? ", " : ": ", it->aggregates->labels[i]);
    return text;
}

static const char *bound_of(const stream_window *it)
{
    const leat_window_stream_spec *spec = it->spec;
    const char *rows = spec->evictor ? "rows of " : "";
    const char *per = it->form->by_count ? " per key" : "";
    if (spec->assigner == LEAT_ASSIGN_COUNT || it->form->spec.count_size)
        return leat_arena_format(it->rule->arena, "%swindows of %lld rows%s", rows, (long long)spec->count_size, per);
    if (spec->assigner == LEAT_ASSIGN_GLOBAL)
        return leat_arena_format(it->rule->arena, "%sone window%s%s", rows, per,
                                 spec->purging || spec->evictor ? "" : ", for ever");
    return leat_arena_format(it->rule->arena, "%sopen windows%s", rows, per);
}

static leat_schema *make_schema(stream_window *it, const uint32_t *keys)
{
    uint32_t count = it->form->by_count, aggregates = it->aggregates->count, window;
    leat_field *fields;
    leat_schema *schema = plan_schema_new(it->rule, count + aggregates + 3, &fields);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = it->input.schema->fields[keys[i]];
    for (uint32_t i = 0; i < aggregates; i++)
        fields[count + i] = (leat_field){leat_slice_text(it->aggregates->labels[i]), it->aggregates->items[i].type};
    window_fields(it, fields + count + aggregates, &window);
    plan_schema_unique(it->rule, fields, schema->count);
    schema->rowtime = window == 3 ? (int32_t)schema->count - 1 : -1;
    if (!it->spec->updates)
        return schema;
    uint32_t *own = leat_arena_array(it->rule->arena, uint32_t, count + 2), bounds = window == 3 ? 2 : 1;
    for (uint32_t i = 0; i < count; i++)
        own[i] = i;
    for (uint32_t i = 0; i < bounds; i++)
        own[count + i] = count + aggregates + i;
    schema->changelog = LEAT_CHANGELOG_RETRACT;
    schema->key_count = count + bounds;
    schema->key_columns = own;
    return schema;
}

static void make_node(stream_window *it, const uint32_t *keys, relation *out)
{
    plan_rule *rule = it->rule;
    bool late = it->spec->aggregate.late_output;
    const leat_schema **lists = leat_arena_array(rule->arena, const leat_schema *, 3);
    it->schema = make_schema(it, keys);
    lists[0] = lists[2] = it->input.schema;
    lists[1] = it->schema;
    leat_exchange exchange = it->form->by_count ? LEAT_EXCHANGE_KEY : LEAT_EXCHANGE_GLOBAL;
    leat_plan_node node = {.operator_name = "window_stream",
                           .spec = it->spec,
                           .label = label_of(it),
                           .port_count = 1,
                           .port_schemas = lists,
                           .input_count = 1,
                           .inputs = plan_input(rule, &it->input, exchange, keys, it->form->by_count),
                           .output_count = late ? 2 : 1,
                           .outputs = lists + 1,
                           .stateful = true,
                           .state_bound = bound_of(it)};
    uint32_t index = plan_node_add(rule, &node);
    rule->has_window = true;
    *out = plan_relation_of(rule, index, 0, it->schema, &it->input);
    out->repeats = !it->spec->updates;
    if (!late)
        return;
    rule->has_late = true;
    rule->late = it->input;
    rule->late.node = index;
    rule->late.output = 1;
}

static bool project(stream_window *it, const relation *from, relation *out)
{
    uint32_t by = it->form->by_count, aggregates = it->aggregates->count, count = it->form->item_count;
    uint32_t *columns = leat_arena_array(it->rule->arena, uint32_t, it->group.key_count + 1);
    plan_item *items = leat_arena_array(it->rule->arena, plan_item, count + 1);
    for (uint32_t i = 0; i < it->group.key_count; i++)
        columns[i] = i < by ? i : aggregates + i;
    plan_grouped grouped = {.relation = *from, .key_columns = columns, .first_aggregate = by, .first_property = -1};
    for (uint32_t i = 0; i < count; i++) {
        const leat_form_item *item = &it->form->items[i];
        leat_expr *expr = plan_regroup(it->rule, &it->group, &grouped, it->exprs[i]);
        items[i] = (plan_item){expr, item->name,
                               leat_arena_copy(it->rule->arena, item->text->text.data, item->text->text.size)};
    }
    plan_text_begin(it->rule, it->form->items[0].text);
    return plan_project(it->rule, from, items, count, plan_text_span(it->form->items[0].text), out);
}

bool leat_plan_window(plan_rule *rule, const leat_rule_form *form, relation *out)
{
    stream_window it = {.rule = rule, .form = (const leat_window_form *)form};
    relation windows;
    if (!unite(&it) || !make_whole(&it) || !filter(&it) || !check_input(&it) || !make_visible(&it))
        return false;
    bool keyed = read_keys(&it), selected = read_items(&it);
    if (!keyed || !selected || !check_aggregates(&it))
        return false;
    uint32_t *keys = leat_arena_array(rule->arena, uint32_t, it.form->by_count + 1);
    for (uint32_t i = 0; i < it.form->by_count; i++)
        keys[i] = it.group.keys[i]->column;
    if (!make_spec(&it, keys))
        return false;
    make_node(&it, keys, &windows);
    return project(&it, &windows, out);
}
