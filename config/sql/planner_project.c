// Stateless nodes: filter, project, union, and the plain rows of a window function.
#include "config/sql/planner_over.h"
#include "config/sql/print.h"

bool plan_compile(plan_rule *rule, const leat_expr *expr, leat_sql_span span, const leat_program **out_program)
{
    leat_program *program;
    leat_error error;
    if (leat_program_compile(rule->arena, expr, rule->expr.zone, &program, &error) != LEAT_OK) {
        plan_error(rule, span, "%s", error.message);
        return false;
    }
    *out_program = program;
    return true;
}

leat_expr *plan_column(plan_rule *rule, const relation *from, uint32_t column)
{
    return leat_expr_column(&rule->expr, 0, column, from->schema->fields[column].type);
}

// ---- filter

static bool is_true(const leat_expr *expr)
{
    return expr->kind == LEAT_EXPR_LITERAL && !expr->literal.is_null && expr->literal.boolean;
}

// Of updates by key, a row that no longer passes has to be taken back: that takes the row before, unless the key alone decides.
static bool decides_by_key(const leat_schema *schema, const leat_expr *predicate)
{
    bool used[LEAT_COLUMNS_MAX + 8] = {0};
    leat_expr_columns(predicate, 0, used);
    for (uint32_t i = 0; i < schema->key_count; i++)
        used[schema->key_columns[i]] = false;
    for (uint32_t i = 0; i < schema->count; i++)
        if (used[i])
            return false;
    return true;
}

bool plan_filter(plan_rule *rule, const relation *from, const leat_expr *predicate, const char *label,
                 leat_sql_span span, relation *out)
{
    relation whole;
    if (from->schema->changelog == LEAT_CHANGELOG_UPSERT && !decides_by_key(from->schema, predicate)) {
        if (!plan_normalized(rule, from, span, &whole))
            return false;
        from = &whole;
    }
    leat_filter_spec *spec = leat_arena_new(rule->arena, leat_filter_spec);
    if (is_true(predicate)) {
        *out = *from;
        return true;
    }
    if (!plan_compile(rule, predicate, span, &spec->predicate))
        return false;
    relation result = plan_chain(rule, from, "filter", spec, from->schema, label);
    *out = *from;
    out->node = result.node;
    out->output = 0;
    return true;
}

// ---- project

static int item_column(const plan_item *item)
{
    return item->expr->kind == LEAT_EXPR_COLUMN && item->expr->input == 0 ? (int)item->expr->column : -1;
}

static bool is_identity(const plan_rule *rule, const relation *from, const plan_item *items, uint32_t count)
{
    const leat_schema *made = plan_node_schema(rule, from);
    if (count != from->schema->count || made->count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (item_column(&items[i]) != (int)i || !leat_slice_equal(items[i].name, made->fields[i].name))
            return false;
    return true;
}

static int item_of_column(const plan_item *items, uint32_t count, int column)
{
    for (uint32_t i = 0; column >= 0 && i < count; i++)
        if (item_column(&items[i]) == column)
            return (int)i;
    return -1;
}

// A primary key holds on only when all its columns are there.
static void keep_keys(plan_rule *rule, const leat_schema *from, const plan_item *items, uint32_t count,
                      leat_schema *schema)
{
    uint32_t *keys = leat_arena_array(rule->arena, uint32_t, from->key_count + 1);
    for (uint32_t i = 0; i < from->key_count; i++) {
        int item = item_of_column(items, count, (int)from->key_columns[i]);
        if (item < 0)
            return;
        keys[i] = (uint32_t)item;
    }
    schema->key_count = from->key_count;
    schema->key_columns = keys;
}

static leat_schema *project_schema(plan_rule *rule, const relation *from, const plan_item *items, uint32_t count)
{
    leat_field *fields;
    leat_schema *schema = plan_schema_new(rule, count, &fields);
    for (uint32_t i = 0; i < count; i++) {
        fields[i] = (leat_field){items[i].name, items[i].expr->type};
        int column = item_column(&items[i]);
        if (schema->rowtime < 0 && ((column >= 0 && from->times[column]) || items[i].expr->kind == LEAT_EXPR_ROWTIME))
            schema->rowtime = (int32_t)i;
        if (schema->proctime < 0 &&
            (items[i].expr->kind == LEAT_EXPR_PROCTIME || (column >= 0 && column == from->schema->proctime)))
            schema->proctime = (int32_t)i;
    }
    schema->changelog = from->schema->changelog;
    keep_keys(rule, from->schema, items, count, schema);
    return schema;
}

static size_t append(char *text, size_t at, const char *more, size_t size)
{
    if (text)
        memcpy(text + at, more, size);
    return at + size;
}

// Writes "a, x + 1 AS b" and returns its size; text NULL: only measures.
static size_t write_label(const plan_item *items, uint32_t count, char *text)
{
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        leat_slice name = items[i].name;
        at = append(text, at, ", ", i ? 2 : 0);
        if (items[i].label && !leat_slice_is(name, items[i].label)) {
            at = append(text, at, items[i].label, strlen(items[i].label));
            at = append(text, at, " AS ", 4);
        }
        at = append(text, at, name.data, name.size);
    }
    return at;
}

static const char *project_label(plan_rule *rule, const plan_item *items, uint32_t count)
{
    char *text = leat_arena_calloc(rule->arena, write_label(items, count, NULL) + 1);
    write_label(items, count, text);
    return text;
}

static void carry_times(const relation *from, const plan_item *items, uint32_t count, bool *times)
{
    for (uint32_t i = 0; i < count; i++) {
        int column = item_column(&items[i]);
        times[i] = (column >= 0 && from->times[column]) || items[i].expr->kind == LEAT_EXPR_ROWTIME;
    }
}

static const plan_monotone *carry_monotone(plan_rule *rule, const relation *from, const plan_item *items,
                                           uint32_t count)
{
    if (!from->monotone)
        return NULL;
    plan_monotone *monotone = leat_arena_array(rule->arena, plan_monotone, count + 1);
    for (uint32_t i = 0; i < count; i++)
        monotone[i] = item_column(&items[i]) >= 0 ? from->monotone[item_column(&items[i])] : PLAN_ANY;
    return monotone;
}

static bool project_columns_fit(plan_rule *rule, uint32_t count, leat_sql_span span)
{
    if (count > LEAT_COLUMNS_MAX)
        plan_error(rule, span, "a stream has at most %d columns, found %u", LEAT_COLUMNS_MAX, count);
    return count <= LEAT_COLUMNS_MAX;
}

static bool has_keys(const leat_schema *schema, const plan_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < schema->key_count; i++)
        if (item_of_column(items, count, (int)schema->key_columns[i]) < 0)
            return false;
    return true;
}

bool plan_project(plan_rule *rule, const relation *from, const plan_item *items, uint32_t count, leat_sql_span span,
                  relation *out)
{
    if (!project_columns_fit(rule, count, span))
        return false;
    relation whole;
    if (from->schema->changelog == LEAT_CHANGELOG_UPSERT && !has_keys(from->schema, items, count)) {
        if (!plan_normalized(rule, from, span, &whole))
            return false;
        from = &whole;
    }
    if (is_identity(rule, from, items, count)) {
        const leat_schema *schema = plan_node_schema(rule, from);
        *out = *from;
        out->schema = schema;
        return true;
    }
    leat_project_spec *spec = leat_arena_new(rule->arena, leat_project_spec);
    const leat_program **programs = leat_arena_array(rule->arena, const leat_program *, count + 1);
    *spec = (leat_project_spec){.count = count, .programs = (const struct leat_program *const *)programs};
    bool compiled = true;
    for (uint32_t i = 0; i < count; i++)
        compiled &= plan_compile(rule, leat_expr_fold(&rule->expr, items[i].expr), span, &programs[i]);
    if (!compiled)
        return false;
    leat_schema *schema = project_schema(rule, from, items, count);
    bool *times = leat_arena_array(rule->arena, bool, count + 1);
    carry_times(from, items, count, times);
    *out = plan_chain(rule, from, "project", spec, schema, project_label(rule, items, count));
    out->times = times;
    out->by_clock = from->by_clock;
    out->window_start = item_of_column(items, count, from->window_start);
    out->window_end = item_of_column(items, count, from->window_end);
    out->monotone = carry_monotone(rule, from, items, count);
    return true;
}

bool plan_extend(plan_rule *rule, const relation *from, const plan_item *items, uint32_t count, leat_sql_span span,
                 relation *out)
{
    uint32_t kept = from->schema->count;
    plan_item *all = leat_arena_array(rule->arena, plan_item, kept + count + 1);
    for (uint32_t i = 0; i < kept; i++)
        all[i] = (plan_item){plan_column(rule, from, i), from->schema->fields[i].name, NULL};
    for (uint32_t i = 0; i < count; i++)
        all[kept + i] = items[i];
    return plan_project(rule, from, all, kept + count, span, out);
}

// ---- union

// Brings a part to the types of the union.
static bool union_part(plan_rule *rule, const relation *part, const leat_field *fields, uint32_t number,
                       const char *what, leat_sql_span span, relation *out)
{
    uint32_t count = part->schema->count;
    plan_item *items = leat_arena_array(rule->arena, plan_item, count + 1);
    bool same = true;
    for (uint32_t i = 0; i < count; i++) {
        leat_error error;
        items[i] = (plan_item){plan_column(rule, part, i), fields[i].name, NULL};
        if (leat_type_equal(items[i].expr->type, fields[i].type))
            continue;
        same = false;
        if (leat_expr_coerce(&rule->expr, items[i].expr, fields[i].type, &items[i].expr, &error) == LEAT_OK)
            continue;
        plan_error(rule, span, "%s: column %u of part %u: %s", what, i + 1, number + 1, error.message);
        return false;
    }
    *out = *part;
    return same || plan_project(rule, part, items, count, span, out);
}

static bool union_types(plan_rule *rule, const relation *parts, uint32_t count, const char *what, leat_sql_span span,
                        leat_field *fields)
{
    bool fit = true;
    for (uint32_t c = 0; c < parts[0].schema->count; c++) {
        fields[c] = parts[0].schema->fields[c];
        for (uint32_t p = 1; p < count; p++) {
            char left[LEAT_TYPE_TEXT], right[LEAT_TYPE_TEXT];
            leat_type type = parts[p].schema->fields[c].type;
            if (leat_type_operated(fields[c].type, type, &fields[c].type))
                continue;
            plan_error(rule, span, "%s: column %u ('%.*s') is %s on the left and %s on the right", what, c + 1,
                       (int)fields[c].name.size, fields[c].name.data, leat_type_print(fields[c].type, left),
                       leat_type_print(type, right));
            fit = false;
        }
    }
    return fit;
}

// What holds of the union: a column is a time attribute or a window's bound when it is in every part.
static void union_meet(const relation *parts, uint32_t count, leat_schema *schema, relation *out)
{
    bool *times = (bool *)out->times;
    schema->rowtime = -1;
    for (uint32_t c = 0; c < schema->count; c++) {
        times[c] = true;
        for (uint32_t p = 0; p < count; p++)
            times[c] &= parts[p].times[c];
        if (times[c] && schema->rowtime < 0)
            schema->rowtime = (int32_t)c;
    }
    out->bounded = out->has_watermark = true;
    out->by_clock = parts[0].by_clock;
    out->window_start = parts[0].window_start;
    out->window_end = parts[0].window_end;
    for (uint32_t p = 0; p < count; p++) {
        out->bounded &= parts[p].bounded;
        out->has_watermark &= parts[p].has_watermark;
        out->repeats |= parts[p].repeats;
        if (parts[p].window_start != out->window_start || parts[p].window_end != out->window_end)
            out->window_start = out->window_end = -1;
        if (parts[p].schema->changelog > schema->changelog)
            schema->changelog = parts[p].schema->changelog;
    }
}

bool plan_alike(plan_rule *rule, const relation *parts, uint32_t count, const char *what, leat_sql_span span,
                relation *out_parts)
{
    leat_field *fields = leat_arena_array(rule->arena, leat_field, parts[0].schema->count + 1);
    if (!union_types(rule, parts, count, what, span, fields))
        return false;
    for (uint32_t p = 0; p < count; p++) { // rows of different parts may have one key
        relation whole;
        if (!plan_normalized(rule, &parts[p], span, &whole) ||
            !union_part(rule, &whole, fields, p, what, span, &out_parts[p]))
            return false;
    }
    return true;
}

bool plan_union(plan_rule *rule, const relation *parts, uint32_t count, leat_sql_span span, relation *out)
{
    leat_field *fields;
    leat_schema *schema = plan_schema_new(rule, parts[0].schema->count, &fields);
    relation *fitted = leat_arena_array(rule->arena, relation, count);
    if (!plan_alike(rule, parts, count, "UNION", span, fitted))
        return false;
    for (uint32_t c = 0; c < schema->count; c++) {
        fields[c] = parts[0].schema->fields[c];
        fields[c].type = fitted[0].schema->fields[c].type;
    }
    leat_plan_input *inputs = leat_arena_array(rule->arena, leat_plan_input, count);
    const leat_schema **ports = leat_arena_array(rule->arena, const leat_schema *, count);
    const leat_schema **outputs = leat_arena_array(rule->arena, const leat_schema *, 1);
    for (uint32_t p = 0; p < count; p++) {
        inputs[p] = *plan_input(rule, &fitted[p], LEAT_EXCHANGE_FORWARD, NULL, 0);
        inputs[p].port = p;
        ports[p] = schema;
    }
    leat_union_spec *spec = leat_arena_new(rule->arena, leat_union_spec);
    spec->input_count = count;
    outputs[0] = schema;
    leat_plan_node node = {.operator_name = "union",
                           .spec = spec,
                           .label = "UNION ALL",
                           .port_count = count,
                           .port_schemas = ports,
                           .input_count = count,
                           .inputs = inputs,
                           .output_count = 1,
                           .outputs = outputs};
    *out = plan_relation_of(rule, plan_node_add(rule, &node), 0, schema, &fitted[0]);
    union_meet(fitted, count, schema, out);
    return true;
}

// ---- the rows of a window function

static const char *rows_label(plan_rule *rule, const plan_window *window)
{
    return leat_arena_format(rule->arena, "%s: rows", window->label);
}

bool plan_refuse_clock(plan_rule *rule, const relation *from, const char *what)
{
    if (!from->pending || !from->pending->by_clock)
        return false;
    plan_error(rule, from->pending->span, "windows over processing time: %s", what);
    return true;
}

// The clock becomes a column by which the rows get their windows. These bound nothing: no watermark says when they are over.
static bool clock_rows(plan_rule *rule, const relation *from, relation *out)
{
    plan_window window = *from->pending;
    uint32_t count = window.input->schema->count;
    plan_item *items = leat_arena_array(rule->arena, plan_item, count + 3);
    plan_item clock = {leat_expr_special(&rule->expr, LEAT_EXPR_PROCTIME), leat_slice_text("$clock"), "PROCTIME()"};
    leat_field *fields;
    relation timed, marked, pending = *from;
    if (window.window.kind == LEAT_WINDOW_SESSION) {
        plan_error(rule, window.span,
                   "the rows of sessions over processing time are not in leat: aggregate them, GROUP BY window_start, "
                   "window_end");
        return false;
    }
    if (!plan_extend(rule, window.input, &clock, 1, window.span, &timed))
        return false;
    leat_schema *schema = plan_schema_new(rule, count + 4, &fields);
    for (uint32_t c = 0; c < count + 4; c++)
        fields[c] = c < count    ? timed.schema->fields[c]
                    : c == count ? (leat_field){leat_slice_text("$clock"), timed.schema->fields[count].type}
                                 : from->schema->fields[c - 1];
    schema->changelog = from->schema->changelog;
    window.by_clock = false;
    window.window.time_column = (int32_t)count;
    window.input = &timed;
    pending.pending = &window;
    pending.schema = schema;
    if (!plan_materialize(rule, &pending, &marked))
        return false;
    marked.times = leat_arena_array(rule->arena, bool, count + 5);
    marked.window_start = marked.window_end = -1;
    for (uint32_t c = 0; c < count + 2; c++) {
        uint32_t column = c < count ? c : c + 1;
        items[c] = (plan_item){plan_column(rule, &marked, column), schema->fields[column].name, NULL};
    }
    items[count + 2] = clock;
    items[count + 2].name = leat_slice_text("window_time");
    if (!plan_project(rule, &marked, items, count + 3, window.span, out))
        return false;
    out->by_clock = true;
    return true;
}

// An update may take a row from one window to another: of updates by key it has to be known what they replace.
static bool normalize_pending(plan_rule *rule, const relation *from, relation *out)
{
    plan_window *window = leat_arena_new(rule->arena, plan_window);
    relation *input = leat_arena_new(rule->arena, relation);
    leat_schema *schema = leat_arena_new(rule->arena, leat_schema);
    *out = *from;
    if (from->schema->changelog != LEAT_CHANGELOG_UPSERT)
        return true;
    *window = *from->pending;
    *schema = *from->schema;
    if (!plan_normalized(rule, window->input, window->span, input))
        return false;
    window->input = input;
    schema->changelog = input->schema->changelog;
    out->pending = window;
    out->schema = schema;
    return true;
}

bool plan_materialize(plan_rule *rule, const relation *given, relation *out)
{
    relation rows, *from = &rows;
    if (given->rank)
        return plan_rank_materialize(rule, given, out);
    if (!given->pending) {
        *out = *given;
        return true;
    }
    if (!normalize_pending(rule, given, from))
        return false;
    const plan_window *window = from->pending;
    bool session = window->window.kind == LEAT_WINDOW_SESSION;
    if (window->by_clock)
        return clock_rows(rule, from, out);
    leat_window_rows_spec *spec = leat_arena_alloc_aligned(rule->arena, sizeof *spec, 16);
    *spec = (leat_window_rows_spec){
        .window = window->window, .key_count = window->key_count, .key_columns = window->key_columns};
    leat_exchange exchange = !session            ? LEAT_EXCHANGE_FORWARD
                             : window->key_count ? LEAT_EXCHANGE_KEY
                                                 : LEAT_EXCHANGE_GLOBAL;
    const leat_schema **lists = leat_arena_array(rule->arena, const leat_schema *, 2);
    lists[0] = window->input->schema;
    lists[1] = from->schema;
    leat_plan_node node = {
        .operator_name = "window_rows",
        .spec = spec,
        .label = rows_label(rule, window),
        .port_count = 1,
        .port_schemas = lists,
        .input_count = 1,
        .inputs = plan_input(rule, window->input, exchange, window->key_columns, session ? window->key_count : 0),
        .output_count = 1,
        .outputs = lists + 1,
        .stateful = session,
        .state_bound = session ? "rows of open sessions" : NULL};
    *out = *from;
    out->node = plan_node_add(rule, &node);
    out->output = 0;
    out->pending = NULL;
    return true;
}
