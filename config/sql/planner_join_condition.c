// Conditions of joins: which are keys, which bound the times of both sides, which speak of one side alone.
#include "config/sql/planner_join.h"
#include "operators/expr/function.h"

// ---- trees

static bool is_call(const leat_expr *expr, const char *name)
{
    return expr->kind == LEAT_EXPR_CALL && !strcmp(expr->function->name, name);
}

static bool is_special(const leat_expr *expr)
{
    if (expr->kind >= LEAT_EXPR_ROWTIME)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (is_special(expr->arguments[i]))
            return true;
    return false;
}

// A copy with other columns: `change` gives what stands for a column.
typedef leat_expr *change_column(void *context, const leat_expr *column);

static leat_expr *changed(leat_arena *arena, const leat_expr *expr, change_column *change, void *context)
{
    if (expr->kind == LEAT_EXPR_COLUMN)
        return change(context, expr);
    leat_expr *copy = leat_arena_new(arena, leat_expr);
    *copy = *expr;
    copy->arguments = leat_arena_array(arena, leat_expr *, expr->argument_count + 1);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = changed(arena, expr->arguments[i], change, context);
    return copy;
}

static unsigned side_of(const plan_join *join, uint32_t column) { return column >= join->split; }
static uint32_t column_of_side(const plan_join *join, uint32_t column)
{
    return column >= join->split ? column - join->split : column;
}

static leat_expr *to_side(void *context, const leat_expr *column)
{
    plan_join *join = context;
    return leat_expr_column(&join->rule->expr, 0, column_of_side(join, column->column), column->type);
}

static leat_expr *to_inputs(void *context, const leat_expr *column)
{
    plan_join *join = context;
    return leat_expr_column(&join->rule->expr, side_of(join, column->column), column_of_side(join, column->column),
                            column->type);
}

void plan_join_reads(const plan_join *join, const leat_expr *expr, bool out_sides[2])
{
    bool used[LEAT_COLUMNS_MAX] = {0};
    out_sides[0] = out_sides[1] = false;
    leat_expr_columns(expr, 0, used);
    for (uint32_t c = 0; c < join->schema->count; c++)
        out_sides[side_of(join, c)] |= used[c];
}

// ---- begin

void plan_join_begin(plan_join *join, plan_rule *rule, leat_join_kind kind, const relation *left, const relation *right,
                     leat_sql_span span)
{
    leat_field *fields;
    uint32_t count = left->schema->count + right->schema->count;
    leat_schema *schema = plan_schema_new(rule, count, &fields);
    *join = (plan_join){.rule = rule,
                        .kind = kind,
                        .span = span,
                        .sides = {*left, *right},
                        .split = left->schema->count,
                        .schema = schema,
                        .ttl_ms = {rule->request->state_ttl_ms, rule->request->state_ttl_ms}};
    for (uint32_t c = 0; c < left->schema->count; c++)
        fields[c] = left->schema->fields[c];
    for (uint32_t c = 0; c < right->schema->count; c++)
        fields[left->schema->count + c] = right->schema->fields[c];
    plan_schema_unique(rule, fields, count);
}

static bool is_true(const leat_expr *expr)
{
    return expr->kind == LEAT_EXPR_LITERAL && !expr->literal.is_null && expr->literal.boolean;
}

static bool is_known(const plan_join *join, const leat_expr *condition)
{
    for (uint32_t i = 0; i < join->condition_count; i++)
        if (leat_expr_equal(join->conditions[i], condition))
            return true;
    return false;
}

bool plan_join_add(plan_join *join, leat_expr *condition)
{
    bool added = true;
    if (is_call(condition, "AND")) {
        for (uint32_t i = 0; i < condition->argument_count && added; i++)
            added = plan_join_add(join, condition->arguments[i]);
        return added;
    }
    if (is_true(condition) || is_known(join, condition))
        return true;
    if (join->condition_count == PLAN_JOIN_CONDITIONS) {
        plan_error(join->rule, join->span, "a join takes at most %d conditions", PLAN_JOIN_CONDITIONS);
        return false;
    }
    join->conditions[join->condition_count++] = condition;
    return true;
}

// ---- what padding with NULL makes of a condition

static bool is_strict(const leat_expr *expr)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "LIKE", "NOT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is_call(expr, names[i]))
            return true;
    return expr->kind == LEAT_EXPR_CAST;
}

static bool is_null_then(const plan_join *join, const leat_expr *expr, unsigned side)
{
    if (expr->kind == LEAT_EXPR_COLUMN)
        return side_of(join, expr->column) == side;
    if (expr->kind == LEAT_EXPR_LITERAL)
        return expr->literal.is_null;
    bool any = false, all = expr->argument_count > 0;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        any |= is_null_then(join, expr->arguments[i], side);
        all &= is_null_then(join, expr->arguments[i], side);
    }
    if (is_call(expr, "AND") || is_call(expr, "OR"))
        return all;
    return any && is_strict(expr);
}

bool plan_join_rejects_padding(const plan_join *join, const leat_expr *expr, unsigned side)
{
    bool any = false, all = expr->argument_count > 0;
    if (is_null_then(join, expr, side))
        return true;
    if (is_call(expr, "IS NOT NULL"))
        return is_null_then(join, expr->arguments[0], side);
    if (!is_call(expr, "AND") && !is_call(expr, "OR") && !is_call(expr, "IS TRUE"))
        return false;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        any |= plan_join_rejects_padding(join, expr->arguments[i], side);
        all &= plan_join_rejects_padding(join, expr->arguments[i], side);
    }
    return is_call(expr, "OR") ? all : any;
}

// ---- text

const char *plan_join_text(plan_rule *rule, const leat_schema *schema, leat_expr *const *conditions, uint32_t count)
{
    const leat_schema *inputs[] = {schema, schema};
    leat_writer writer;
    leat_writer_init(&writer, rule->planner->options.env, SIZE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        leat_write_text(&writer, i ? " AND " : "");
        leat_expr_print(conditions[i], inputs, &writer);
    }
    const char *text = leat_arena_copy(rule->arena, (const char *)writer.bytes, writer.size);
    leat_writer_fini(&writer);
    return text;
}

// ---- bounds of time

typedef struct time_use {
    const plan_join *join;
    uint32_t count, column;
    bool others; // columns that are no time attribute
} time_use;

static bool is_processing_time(const plan_join *join, uint32_t column)
{
    return join->sides[side_of(join, column)].schema->proctime == (int32_t)column_of_side(join, column);
}

static bool is_time(const plan_join *join, uint32_t column)
{
    return join->sides[side_of(join, column)].times[column_of_side(join, column)] || is_processing_time(join, column);
}

static void look_for_times(time_use *use, const leat_expr *expr)
{
    if (expr->kind == LEAT_EXPR_COLUMN && is_time(use->join, expr->column)) {
        use->count++;
        use->column = expr->column;
    } else if (expr->kind == LEAT_EXPR_COLUMN) {
        use->others = true;
    }
    for (uint32_t i = 0; i < expr->argument_count; i++)
        look_for_times(use, expr->arguments[i]);
}

static leat_expr *to_zero(void *context, const leat_expr *column)
{
    plan_join *join = context;
    return leat_expr_literal(&join->rule->expr, column->type, (leat_value){.i64 = 0});
}

// How far from its time attribute an expression lies.
static bool offset_of(plan_join *join, const leat_expr *expr, int64_t *out_ms)
{
    leat_expr *folded = leat_expr_fold(&join->rule->expr, changed(join->rule->arena, expr, to_zero, join));
    if (folded->kind != LEAT_EXPR_LITERAL || folded->literal.is_null || !leat_type_is_timestamp(folded->type))
        return false;
    *out_ms = folded->literal.i64;
    return true;
}

typedef struct time_bound {
    enum { BOUND_NONE, BOUND_EQUAL, BOUND_LOWER, BOUND_UPPER } kind; // of the left time
    int64_t ms;
    bool processing_time;
    uint32_t columns[2];
} time_bound;

static const struct {
    const char *name;
    int lower; // of the left operand: 1 lower, -1 upper, 0 equal
    int64_t strict;
} comparisons[] = {{"=", 0, 0}, {">=", 1, 0}, {">", 1, 1}, {"<=", -1, 0}, {"<", -1, 1}};

static int comparison_of(const leat_expr *expr)
{
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (is_call(expr, comparisons[i].name) && expr->argument_count == 2)
            return (int)i;
    return -1;
}

static time_bound bound_of(plan_join *join, const leat_expr *expr)
{
    time_bound bound = {0};
    time_use uses[2] = {{.join = join}, {.join = join}};
    int64_t offsets[2];
    int comparison = comparison_of(expr);
    if (comparison < 0)
        return bound;
    for (unsigned i = 0; i < 2; i++)
        look_for_times(&uses[i], expr->arguments[i]);
    if (uses[0].others || uses[1].others || uses[0].count != 1 || uses[1].count != 1)
        return bound;
    unsigned first = side_of(join, uses[0].column), second = side_of(join, uses[1].column);
    bound.processing_time = is_processing_time(join, uses[0].column);
    if (first == second || bound.processing_time != is_processing_time(join, uses[1].column))
        return bound;
    if (!offset_of(join, expr->arguments[0], &offsets[0]) || !offset_of(join, expr->arguments[1], &offsets[1]))
        return bound;
    int direction = first == 0 ? comparisons[comparison].lower : -comparisons[comparison].lower;
    bound.ms = first == 0 ? offsets[1] - offsets[0] : offsets[0] - offsets[1];
    bound.ms += direction * comparisons[comparison].strict;
    bound.kind = direction > 0 ? BOUND_LOWER : direction < 0 ? BOUND_UPPER : BOUND_EQUAL;
    bound.columns[first] = column_of_side(join, uses[0].column);
    bound.columns[second] = column_of_side(join, uses[1].column);
    return bound;
}

static bool bounds_fit(const time_bound *found, uint32_t count)
{
    if (count == 1)
        return found[0].kind == BOUND_EQUAL;
    return count == 2 && found[0].kind != BOUND_EQUAL && found[1].kind != BOUND_EQUAL &&
           found[0].kind != found[1].kind && found[0].processing_time == found[1].processing_time;
}

// As in Flink: either one equation of times, or one lower and one upper bound; anything else is no interval.
void plan_join_find_bounds(plan_join *join)
{
    time_bound found[3];
    uint32_t places[3], count = 0, kept = 0;
    for (uint32_t i = 0; i < join->condition_count && count < 3; i++) {
        found[count] = bound_of(join, join->conditions[i]);
        places[count] = i;
        count += found[count].kind != BOUND_NONE;
    }
    if (!count || !bounds_fit(found, count))
        return;
    const time_bound *lower = found[0].kind == BOUND_UPPER ? &found[1] : &found[0];
    const time_bound *upper = count == 1 ? lower : lower == found ? &found[1] : &found[0];
    join->bounds = (plan_bounds){.found = true,
                                 .processing_time = lower->processing_time,
                                 .lower_ms = lower->ms,
                                 .upper_ms = upper->ms,
                                 .columns = {found[0].columns[0], found[0].columns[1]}};
    for (uint32_t i = 0; i < join->condition_count; i++)
        if (i != places[0] && (count == 1 || i != places[1]))
            join->conditions[kept++] = join->conditions[i];
    join->condition_count = kept;
}

// ---- windows

static bool equates(const plan_join *join, const leat_expr *expr, int32_t left, int32_t right)
{
    if (!is_call(expr, "=") || expr->arguments[0]->kind != LEAT_EXPR_COLUMN ||
        expr->arguments[1]->kind != LEAT_EXPR_COLUMN || left < 0 || right < 0)
        return false;
    uint32_t a = expr->arguments[0]->column, b = expr->arguments[1]->column, c = (uint32_t)right + join->split;
    return (a == (uint32_t)left && b == c) || (b == (uint32_t)left && a == c);
}

// As Flink: windows of one kind, sizes and offset, over times of one type. Of others no two need have the same bounds.
static bool windows_differ(const plan_join *join)
{
    const plan_windows *left = join->sides[0].windows, *right = join->sides[1].windows;
    if (!left || !right)
        return false;
    const leat_window *a = &left->window, *b = &right->window;
    return a->kind != b->kind || a->size_ms != b->size_ms || a->slide_ms != b->slide_ms ||
           a->offset_ms != b->offset_ms || a->gap_ms != b->gap_ms || left->time != right->time;
}

bool plan_join_of_windows(const plan_join *join)
{
    const relation *left = &join->sides[0], *right = &join->sides[1];
    bool start = false, end = false;
    for (uint32_t i = 0; i < join->condition_count; i++) {
        start |= equates(join, join->conditions[i], left->window_start, right->window_start);
        end |= equates(join, join->conditions[i], left->window_end, right->window_end);
    }
    return start && end && !windows_differ(join);
}

static const char *differing_windows(const plan_join *join)
{
    const plan_windows *left = join->sides[0].windows, *right = join->sides[1].windows;
    return leat_arena_format(join->rule->arena, "a window join needs the same windows on both sides, found %s and %s",
                             left->label, right->label);
}

const char *plan_join_missing(plan_join *join)
{
    const relation *left = &join->sides[0], *right = &join->sides[1];
    for (uint32_t i = 0; i < join->condition_count; i++) {
        time_bound bound = bound_of(join, join->conditions[i]);
        if (equates(join, join->conditions[i], left->window_start, right->window_start))
            return windows_differ(join) ? differing_windows(join)
                                        : "a window join also equates window_end of both sides";
        if (equates(join, join->conditions[i], left->window_end, right->window_end))
            return windows_differ(join) ? differing_windows(join)
                                        : "a window join also equates window_start of both sides";
        if (bound.kind == BOUND_LOWER)
            return "the left time has a lower bound here and no upper one; an interval join needs both, as in BETWEEN";
        if (bound.kind == BOUND_UPPER)
            return "the left time has an upper bound here and no lower one; an interval join needs both, as in BETWEEN";
    }
    return NULL;
}

// ---- sorting

// Keys are compared by their stored form: both sides need one type.
static bool same_form(plan_join *join, leat_expr *keys[2])
{
    leat_type a = keys[0]->type, b = keys[1]->type, common;
    leat_error error;
    bool alike = leat_type_physical(a) == leat_type_physical(b) && a.scale == b.scale;
    if (alike || (leat_type_is_integer(a) && leat_type_is_integer(b)))
        return true;
    return leat_type_common(a, b, &common) &&
           leat_expr_coerce(&join->rule->expr, keys[0], common, &keys[0], &error) == LEAT_OK &&
           leat_expr_coerce(&join->rule->expr, keys[1], common, &keys[1], &error) == LEAT_OK;
}

static bool take_key(plan_join *join, const leat_expr *expr)
{
    bool reads[2][2];
    bool nulls_meet = is_call(expr, "IS NOT DISTINCT FROM");
    if ((!nulls_meet && !is_call(expr, "=")) || is_special(expr) || !leat_expr_is_deterministic(expr))
        return false;
    for (unsigned i = 0; i < 2; i++)
        plan_join_reads(join, expr->arguments[i], reads[i]);
    bool straight = reads[0][0] && !reads[0][1] && reads[1][1] && !reads[1][0];
    bool crossed = reads[0][1] && !reads[0][0] && reads[1][0] && !reads[1][1];
    if (!straight && !crossed)
        return false;
    leat_expr *keys[2];
    for (unsigned side = 0; side < 2; side++)
        keys[side] = changed(join->rule->arena, expr->arguments[straight ? side : !side], to_side, join);
    if (!same_form(join, keys))
        return false;
    for (unsigned side = 0; side < 2; side++)
        join->keys[side][join->key_count] = keys[side];
    join->nulls_meet[join->key_count++] = nulls_meet;
    return true;
}

// Whether a condition on one side alone may be asked before the join.
static bool may_filter(const plan_join *join, unsigned side)
{
    if (join->temporal)
        return side == 0 && join->kind == LEAT_JOIN_INNER;
    switch (join->kind) {
    case LEAT_JOIN_INNER:
    case LEAT_JOIN_SEMI:
        return true;
    case LEAT_JOIN_LEFT:
    case LEAT_JOIN_ANTI:
        return side == 1;
    case LEAT_JOIN_RIGHT:
        return side == 0;
    case LEAT_JOIN_FULL:
        return false;
    }
    return false;
}

static bool filter_side(plan_join *join, leat_expr *expr, bool *out_taken)
{
    bool reads[2];
    plan_join_reads(join, expr, reads);
    unsigned side = reads[1];
    *out_taken = reads[0] != reads[1] && may_filter(join, side) && !expr->may_fail && !is_special(expr) &&
                 leat_expr_is_deterministic(expr);
    if (!*out_taken)
        return true;
    leat_expr *own = changed(join->rule->arena, expr, to_side, join);
    relation filtered;
    if (!plan_filter(join->rule, &join->sides[side], own, plan_join_text(join->rule, join->sides[side].schema, &own, 1),
                     join->span, &filtered))
        return false;
    join->sides[side] = filtered;
    return true;
}

static bool add_rest(plan_join *join, leat_expr *expr)
{
    leat_error error;
    leat_expr *own = changed(join->rule->arena, expr, to_inputs, join);
    leat_expr *both[] = {join->rest, own};
    if (!join->rest) {
        join->rest = own;
        return true;
    }
    if (leat_expr_call(&join->rule->expr, leat_slice_text("AND"), both, 2, &join->rest, &error) == LEAT_OK)
        return true;
    plan_error(join->rule, join->span, "%s", error.message);
    return false;
}

bool plan_join_sort(plan_join *join)
{
    join->text = plan_join_text(join->rule, join->schema, join->conditions, join->condition_count);
    for (uint32_t i = 0; i < join->condition_count; i++) {
        leat_expr *expr = leat_expr_fold(&join->rule->expr, join->conditions[i]);
        bool taken = false;
        if (take_key(join, expr))
            continue;
        if (!filter_side(join, expr, &taken) || (!taken && !add_rest(join, expr)))
            return false;
    }
    return true;
}
