// What a condition says of a rank: from which to which, and what is left of it.
#include <inttypes.h>

#include "config/sql/planner_over.h"
#include "operators/expr/function.h"

enum { RANK_MAX = 1 << 30, CHOICES_MAX = 64 };

static bool is_call(const leat_expr *expr, const char *name, uint32_t count)
{
    return expr->kind == LEAT_EXPR_CALL && expr->argument_count == count && !strcmp(expr->function->name, name);
}

// A comparison may have brought it to a wider type.
static bool is_rank(const plan_rank_bounds *bounds, const leat_expr *expr)
{
    while (expr->kind == LEAT_EXPR_CAST && leat_type_is_numeric(expr->type))
        expr = expr->arguments[0];
    return expr->kind == LEAT_EXPR_COLUMN && expr->input == bounds->input && expr->column == bounds->column;
}

bool plan_reads_rank(const plan_rank_bounds *bounds, const leat_expr *expr)
{
    bool reads = is_rank(bounds, expr);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        reads |= plan_reads_rank(bounds, expr->arguments[i]);
    return reads;
}

// What the rank is compared with: ranks are whole, so that of a fraction it matters between which ones it lies.
typedef struct rank_limit {
    int64_t floor;
    bool whole, is_null;
} rank_limit;

static leat_expr *folded_call(plan_rule *rule, const char *name, leat_expr *left, leat_expr *right)
{
    leat_expr *operands[] = {left, right}, *made;
    leat_error error;
    if (leat_expr_call(&rule->expr, leat_slice_text(name), operands, right ? 2 : 1, &made, &error) != LEAT_OK)
        return NULL;
    return leat_expr_fold(&rule->expr, made);
}

static bool is_literal(const leat_expr *expr) { return expr && expr->kind == LEAT_EXPR_LITERAL; }

static bool fraction(plan_rule *rule, leat_expr *value, rank_limit *out_limit)
{
    leat_error error;
    leat_expr *floored = folded_call(rule, "FLOOR", value, NULL), *whole, *number;
    whole = is_literal(floored) ? folded_call(rule, "=", value, floored) : NULL;
    if (!whole || !is_literal(whole) ||
        leat_expr_cast(&rule->expr, floored, leat_type_of(LEAT_KIND_BIGINT), false, &number, &error) != LEAT_OK)
        return false;
    number = leat_expr_fold(&rule->expr, number);
    if (!is_literal(number) || number->literal.is_null)
        return false;
    *out_limit = (rank_limit){.floor = number->literal.i64, .whole = whole->literal.boolean};
    return true;
}

static bool constant(plan_rule *rule, leat_expr *expr, rank_limit *out_limit)
{
    leat_expr *value = leat_expr_fold(&rule->expr, expr);
    if (!is_literal(value) || (!value->literal.is_null && !leat_type_is_numeric(value->type)))
        return false;
    *out_limit = (rank_limit){.is_null = value->literal.is_null, .whole = true};
    if (out_limit->is_null)
        return true;
    if (!leat_type_is_integer(value->type))
        return fraction(rule, value, out_limit);
    out_limit->floor = value->literal.i64;
    return true;
}

static void narrow(plan_rank_bounds *bounds, int64_t from, int64_t to)
{
    if (from > bounds->from)
        bounds->from = from;
    if (to < bounds->to)
        bounds->to = to;
    bounds->bounded = true;
}

// Comparisons with the rank on the left, their mirror images, and what NOT makes of them.
static const struct {
    const char *name, *mirror, *negated;
} comparisons[] = {{"=", "=", NULL}, {"<", ">", ">="}, {"<=", ">=", ">"}, {">", "<", "<="}, {">=", "<=", "<"}};

static int64_t above(rank_limit limit) { return limit.floor == INT64_MAX ? INT64_MAX : limit.floor + 1; }

static int64_t below(rank_limit limit) { return limit.whole ? limit.floor - (limit.floor > INT64_MIN) : limit.floor; }

static bool narrow_by(plan_rank_bounds *bounds, const char *name, rank_limit limit)
{
    if (limit.is_null || (!limit.whole && !strcmp(name, "=")))
        narrow(bounds, 1, 0); // never TRUE
    else if (!strcmp(name, "="))
        narrow(bounds, limit.floor, limit.floor);
    else if (!strcmp(name, "<"))
        narrow(bounds, INT64_MIN, below(limit));
    else if (!strcmp(name, "<="))
        narrow(bounds, INT64_MIN, limit.floor);
    else if (!strcmp(name, ">"))
        narrow(bounds, above(limit), INT64_MAX);
    else
        narrow(bounds, limit.whole ? limit.floor : above(limit), INT64_MAX);
    return true;
}

static bool take_between(plan_rule *rule, plan_rank_bounds *bounds, const leat_expr *expr)
{
    rank_limit low, high;
    return is_call(expr, "BETWEEN", 3) && is_rank(bounds, expr->arguments[0]) &&
           constant(rule, expr->arguments[1], &low) && constant(rule, expr->arguments[2], &high) &&
           narrow_by(bounds, ">=", low) && narrow_by(bounds, "<=", high);
}

static const char *mirror_of(const char *name)
{
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (!strcmp(comparisons[i].name, name))
            return comparisons[i].mirror;
    return name;
}

// Whether the condition, or where negated its opposite, is a bound of the rank, which it then narrows.
static bool take_bound(plan_rule *rule, plan_rank_bounds *bounds, const leat_expr *expr, bool negated)
{
    rank_limit limit;
    if (is_call(expr, "NOT", 1))
        return take_bound(rule, bounds, expr->arguments[0], !negated);
    if (!negated && take_between(rule, bounds, expr))
        return true;
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
        if (!is_call(expr, comparisons[i].name, 2) || (negated && !comparisons[i].negated))
            continue;
        bool left = is_rank(bounds, expr->arguments[0]), right = is_rank(bounds, expr->arguments[1]);
        if (!left && !right)
            return false;
        const char *name = negated ? comparisons[i].negated : comparisons[i].name;
        if (constant(rule, expr->arguments[left], &limit))
            return narrow_by(bounds, left ? name : mirror_of(name), limit);
        bounds->variable |= !plan_reads_rank(bounds, expr->arguments[left]);
    }
    return false;
}

static bool is_truth(plan_rule *rule, leat_expr *expr, bool truth)
{
    leat_expr *value = leat_expr_fold(&rule->expr, expr);
    return is_literal(value) && value->type.kind == LEAT_KIND_BOOLEAN && !value->literal.is_null &&
           value->literal.boolean == truth;
}

static bool take_all(plan_rule *rule, plan_rank_bounds *bounds, const leat_expr *all, leat_expr **out_rest)
{
    for (uint32_t i = 0; i < all->argument_count; i++) {
        leat_expr *rest, *both[2];
        leat_error error;
        if (!plan_rank_take(rule, bounds, all->arguments[i], &rest))
            return false;
        both[0] = *out_rest;
        both[1] = rest;
        if (!*out_rest || !rest)
            *out_rest = *out_rest ? *out_rest : rest;
        else if (leat_expr_call(&rule->expr, leat_slice_text("AND"), both, 2, out_rest, &error) != LEAT_OK)
            return false;
    }
    return true;
}

// x of x OR FALSE.
static leat_expr *only_choice(plan_rule *rule, leat_expr *expr)
{
    leat_expr *choice = NULL;
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        if (is_truth(rule, expr->arguments[i], false))
            continue;
        if (choice)
            return NULL;
        choice = expr->arguments[i];
    }
    return choice;
}

// ---- rn = 1 OR rn BETWEEN 3 AND 5, rn IN (1, 2)

typedef struct rank_choices {
    struct {
        int64_t from, to;
    } items[CHOICES_MAX];
    uint32_t count;
    bool exact; // they say all that the condition says
} rank_choices;

// False: no range of ranks.
static bool add_choice(rank_choices *choices, const plan_rank_bounds *range)
{
    if (!range->bounded || range->to == INT64_MAX || choices->count == CHOICES_MAX)
        return false;
    int64_t from = range->from < 1 ? 1 : range->from;
    if (from > range->to)
        return true; // never TRUE
    choices->items[choices->count].from = from;
    choices->items[choices->count++].to = range->to;
    return true;
}

static bool read_choices(plan_rule *rule, const plan_rank_bounds *bounds, const leat_expr *expr, rank_choices *out)
{
    bool listed = !strcmp(expr->function->name, "IN");
    if (listed && !is_rank(bounds, expr->arguments[0]))
        return false;
    for (uint32_t i = listed; i < expr->argument_count; i++) {
        plan_rank_bounds range = {bounds->input, bounds->column, INT64_MIN, INT64_MAX, false, false};
        leat_expr *rest = NULL;
        rank_limit limit;
        bool read = listed ? constant(rule, expr->arguments[i], &limit) && narrow_by(&range, "=", limit)
                           : plan_rank_take(rule, &range, expr->arguments[i], &rest);
        if (!read || !add_choice(out, &range))
            return false;
        out->exact &= !rest;
    }
    return true;
}

static int64_t end_of_run(const rank_choices *choices, int64_t end)
{
    for (uint32_t i = 0; i < choices->count; i++)
        if (choices->items[i].from <= end + 1 && choices->items[i].to > end)
            return end_of_run(choices, choices->items[i].to);
    return end;
}

// From the first choice to the last one; where some rank between is none of them, the condition stays.
static bool take_choices(plan_rule *rule, plan_rank_bounds *bounds, leat_expr *expr, leat_expr **out_rest)
{
    rank_choices choices = {.exact = true};
    int64_t first = INT64_MAX, last = 0;
    if (!read_choices(rule, bounds, expr, &choices))
        return false;
    for (uint32_t i = 0; i < choices.count; i++) {
        first = choices.items[i].from < first ? choices.items[i].from : first;
        last = choices.items[i].to > last ? choices.items[i].to : last;
    }
    narrow(bounds, choices.count ? first : 1, last);
    *out_rest = choices.exact && choices.count && end_of_run(&choices, first - 1) == last ? NULL : expr;
    return true;
}

bool plan_rank_take(plan_rule *rule, plan_rank_bounds *bounds, leat_expr *expr, leat_expr **out_rest)
{
    bool is_or = expr->kind == LEAT_EXPR_CALL && !strcmp(expr->function->name, "OR");
    leat_expr *choice = is_or ? only_choice(rule, expr) : NULL;
    *out_rest = NULL;
    if (choice)
        return plan_rank_take(rule, bounds, choice, out_rest);
    bool is_in = expr->kind == LEAT_EXPR_CALL && !strcmp(expr->function->name, "IN");
    if ((is_or || is_in) && plan_reads_rank(bounds, expr) && take_choices(rule, bounds, expr, out_rest))
        return true;
    if (expr->kind == LEAT_EXPR_CALL && !strcmp(expr->function->name, "AND"))
        return take_all(rule, bounds, expr, out_rest);
    if (!take_bound(rule, bounds, expr, false) && !is_truth(rule, expr, true))
        *out_rest = expr;
    return true;
}

bool plan_rank_check(plan_rule *rule, plan_rank_bounds *bounds, leat_sql_span span)
{
    if (bounds->variable && bounds->to == INT64_MAX)
        plan_error(rule, span, "Top-N needs a limit that is a whole number: a limit out of a column is not in leat");
    else if (bounds->to == INT64_MAX)
        plan_error(rule, span,
                   "Top-N needs an upper bound of the rank, such as rownum <= 5: without one every row is kept");
    else if (bounds->to > RANK_MAX)
        plan_error(rule, span, "Top-N takes ranks up to %d", RANK_MAX);
    else if (bounds->to < 1)
        plan_error(rule, span, "ranks begin at 1: no row has a rank like this");
    else if (bounds->from > bounds->to)
        plan_error(rule, span, "no rank is at least %" PRId64 " and at most %" PRId64, bounds->from, bounds->to);
    else {
        bounds->from = bounds->from < 1 ? 1 : bounds->from;
        return true;
    }
    return false;
}
