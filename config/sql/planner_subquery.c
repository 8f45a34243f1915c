// EXISTS, IN, ANY and ALL among the conditions of WHERE: semi and anti joins with the rows of the subquery.
//
// x > ALL (..) is TRUE where there is no row for which x > y is not TRUE.
// The subquery's own conditions that speak of the query around it become conditions of the join, the others filter its rows.
#include "config/sql/planner_correlation.h"
#include "config/sql/print.h"

typedef struct subquery {
    plan_rule *rule;
    plan_name *names;
    const leat_sql_query *query;
    const leat_sql_expr *operand; // NULL: EXISTS
    const char *comparison;       // "=" of IN, and as written with ANY and ALL
    const char *test;             // of a comparison with ANY or ALL: what joins; NULL: that it is TRUE
    bool negated;
    leat_sql_span span;
    leat_expr **operands; // bound, over the rows around
} subquery;

static bool is_not(const leat_sql_expr *expr)
{
    return expr->kind == LEAT_SQL_EXPR_UNARY && expr->unary.op == LEAT_SQL_NOT;
}

static subquery subquery_of(const leat_sql_expr *expr)
{
    subquery it = {.span = expr->span, .comparison = "="};
    for (; is_not(expr); expr = expr->unary.operand)
        it.negated = !it.negated;
    if (expr->kind == LEAT_SQL_EXPR_QUANTIFIED) {
        bool all = expr->quantified.quantifier == LEAT_SQL_ALL;
        it.query = expr->quantified.query;
        it.operand = expr->quantified.operand;
        it.comparison = leat_sql_binary_op_text(expr->quantified.op);
        it.test = all ? (it.negated ? "IS FALSE" : "IS NOT TRUE") : it.negated ? "IS NOT FALSE" : NULL;
        it.negated ^= all;
    }
    if (expr->kind == LEAT_SQL_EXPR_EXISTS)
        it.query = expr->query;
    if (expr->kind == LEAT_SQL_EXPR_IN_QUERY) {
        it.query = expr->in_query.query;
        it.operand = expr->in_query.operand;
        it.negated ^= expr->in_query.negated;
    }
    return it;
}

bool plan_is_subquery(const leat_sql_expr *condition) { return subquery_of(condition).query != NULL; }

// ---- rows of the subquery

typedef struct correlation {
    const plan_source *outer;
    plan_source inner;
    plan_join join;
    leat_sql_scope scope;          // outer tables, then the subquery's own
    const leat_sql_select *select; // taken apart; NULL: planned as a whole
    plan_subquery tied;            // as a whole: what ties it
    uint32_t item_count;           // columns of its select list; those of the ties follow
} correlation;

static bool has_aggregate(void *context, const leat_sql_expr *expr)
{
    if (expr->kind == LEAT_SQL_EXPR_CALL && expr->call.name.count == 1) {
        static const char *const names[] = {"COUNT", "SUM", "AVG", "MIN", "MAX", "LISTAGG", "ARRAY_AGG"};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            *(bool *)context |= leat_slice_is_nocase(expr->call.name.parts[0].text, names[i]);
    }
    return true;
}

static bool find_query(void *context, const leat_sql_expr *expr)
{
    bool query = expr->kind == LEAT_SQL_EXPR_SUBQUERY || expr->kind == LEAT_SQL_EXPR_EXISTS ||
                 expr->kind == LEAT_SQL_EXPR_IN_QUERY || expr->kind == LEAT_SQL_EXPR_QUANTIFIED;
    *(bool *)context |= query;
    return !query;
}

// Whether it asks queries elsewhere than as a whole condition, which is a join.
static bool asks_values(const leat_sql_expr *condition)
{
    bool asks = false;
    if (condition->kind == LEAT_SQL_EXPR_BINARY && condition->binary.op == LEAT_SQL_AND)
        return asks_values(condition->binary.left) || asks_values(condition->binary.right);
    if (!plan_is_subquery(condition))
        leat_sql_expr_walk(condition, find_query, &asks);
    return asks;
}

// Its FROM and WHERE can be taken apart; anything more is planned as a query of its own, which sees nothing of the one around it.
static bool is_plain(const leat_sql_query *query)
{
    bool aggregates = false, asks = false;
    const leat_sql_select *select = query->select;
    if (query->kind != LEAT_SQL_QUERY_SELECT || query->cte_count || query->limit || query->offset || query->fetch ||
        !select->from || select->is_grouped || select->having || select->qualify || select->window_count)
        return false;
    for (uint32_t i = 0; i < select->item_count; i++) {
        leat_sql_expr_walk(select->items[i].expr, has_aggregate, &aggregates);
        leat_sql_expr_walk(select->items[i].expr, find_query, &asks);
    }
    return !aggregates && !asks && (!select->where || !asks_values(select->where));
}

// A row is enough for EXISTS, in whatever order.
static const leat_sql_query *without_limit(subquery *it)
{
    const leat_sql_query *query = it->query;
    const leat_sql_expr *count = query->limit ? query->limit : query->fetch;
    bool none = count && (count->kind != LEAT_SQL_EXPR_LITERAL || leat_slice_is(count->literal.text, "0"));
    leat_sql_query *plain;
    if (it->operand || none || query->offset || query->kind != LEAT_SQL_QUERY_SELECT)
        return query;
    plain = leat_arena_new(it->rule->arena, leat_sql_query);
    *plain = *query;
    plain->limit = plain->fetch = NULL;
    plain->order_by = (leat_sql_order){0};
    return plain;
}

static bool plan_rows(plan_subquery *tied)
{
    if (plan_subquery_splits(tied->query) && !plan_subquery_begin(tied))
        return false;
    return tied->ties.count ? plan_subquery_rows(tied, false) : plan_subquery_whole(tied, false);
}

static bool plan_whole(subquery *it, correlation *with)
{
    leat_sql_scope_table *table = leat_arena_new(it->rule->arena, leat_sql_scope_table);
    plan_subquery *tied = &with->tied;
    *tied = (plan_subquery){.rule = it->rule,
                            .names = it->names,
                            .around = &with->outer->scope,
                            .around_rows = &with->outer->relation,
                            .query = it->query,
                            .what = it->operand ? "IN" : "EXISTS"};
    if (!plan_rows(tied))
        return false;
    with->inner.relation = tied->rows;
    with->item_count = tied->item_count;
    *table = (leat_sql_scope_table){.schema = with->inner.relation.schema};
    with->inner.scope = (leat_sql_scope){table, 1};
    return true;
}

static bool add_ties(subquery *it, correlation *with)
{
    uint32_t first = with->outer->relation.schema->count + with->item_count;
    leat_sql_binder binder;
    plan_binder_init(it->rule, &with->scope, "WHERE", &binder);
    for (uint32_t k = 0; k < with->tied.ties.count; k++) {
        leat_type type = with->inner.relation.schema->fields[with->item_count + k].type;
        leat_expr *sides[] = {with->tied.ties.items[k].outer, leat_expr_column(&it->rule->expr, 0, first + k, type)};
        leat_expr *equal = leat_sql_apply(&binder, "=", sides, 2, it->span);
        it->rule->failed |= !equal;
        if (!equal || !plan_join_add(&with->join, equal))
            return false;
    }
    return true;
}

static bool plan_parts(subquery *it, correlation *with)
{
    relation rows;
    with->select = it->query->select;
    if (!plan_from_where(it->rule, it->names, with->select->from, plan_where_hints(it->rule, with->select->where),
                         &with->inner) ||
        !plan_materialize(it->rule, &with->inner.relation, &rows))
        return false;
    with->inner.relation = rows;
    return true;
}

static void join_scopes(subquery *it, correlation *with)
{
    const leat_sql_scope *outer = &with->outer->scope, *inner = &with->inner.scope;
    uint32_t count = outer->count + inner->count;
    leat_sql_scope_table *tables = leat_arena_array(it->rule->arena, leat_sql_scope_table, count + 1);
    for (uint32_t t = 0; t < count; t++) {
        bool is_outer = t < outer->count;
        tables[t] = is_outer ? outer->tables[t] : inner->tables[t - outer->count];
        tables[t].outer = is_outer;
        tables[t].first += is_outer ? 0 : with->outer->relation.schema->count;
    }
    with->scope = (leat_sql_scope){tables, count};
}

// ---- conditions

// Subqueries of the subquery, which may speak of it and not of the query around: its rows are joined with theirs first.
static bool join_nested(subquery *it, correlation *with, const leat_sql_expr *condition)
{
    if (condition->kind == LEAT_SQL_EXPR_BINARY && condition->binary.op == LEAT_SQL_AND)
        return join_nested(it, with, condition->binary.left) && join_nested(it, with, condition->binary.right);
    return !plan_is_subquery(condition) || plan_semi_join(it->rule, it->names, &with->inner, condition);
}

static bool add_condition(subquery *it, correlation *with, const leat_sql_expr *condition)
{
    leat_sql_binder binder;
    if (condition->kind == LEAT_SQL_EXPR_BINARY && condition->binary.op == LEAT_SQL_AND)
        return add_condition(it, with, condition->binary.left) && add_condition(it, with, condition->binary.right);
    if (plan_is_subquery(condition)) // its rows are those of FROM already: join_nested
        return true;
    plan_binder_init(it->rule, &with->scope, "WHERE", &binder);
    leat_expr *bound = leat_sql_bind_condition(&binder, condition);
    it->rule->failed |= !bound;
    return bound && plan_join_add(&with->join, bound);
}

static uint32_t operand_count(const leat_sql_expr *operand)
{
    return operand->kind == LEAT_SQL_EXPR_CONSTRUCTOR ? operand->constructor.items.count : 1;
}

static const leat_sql_expr *operand_at(const leat_sql_expr *operand, uint32_t i)
{
    return operand->kind == LEAT_SQL_EXPR_CONSTRUCTOR ? operand->constructor.items.items[i] : operand;
}

// Column i of the subquery's select list, over both.
static leat_expr *selected(subquery *it, correlation *with, leat_sql_binder *binder, uint32_t i)
{
    const relation *rows = &with->inner.relation;
    uint32_t first = with->outer->relation.schema->count;
    bool star =
        with->select && with->select->item_count == 1 && with->select->items[0].expr->kind == LEAT_SQL_EXPR_STAR;
    if (with->select && !star)
        return leat_sql_bind(binder, with->select->items[i].expr);
    return leat_expr_column(&it->rule->expr, 0, first + i, rows->schema->fields[i].type);
}

static uint32_t selected_count(const correlation *with)
{
    bool star =
        with->select && with->select->item_count == 1 && with->select->items[0].expr->kind == LEAT_SQL_EXPR_STAR;
    if (!with->select)
        return with->item_count;
    return star ? with->inner.relation.schema->count : with->select->item_count;
}

// NOT IN is not TRUE as soon as a comparison is unknown.
static leat_expr *or_unknown(leat_sql_binder *binder, leat_expr *equal, leat_sql_span span)
{
    leat_expr *unknown = leat_sql_apply(binder, "IS NULL", &equal, 1, span);
    leat_expr *either[] = {equal, unknown};
    return leat_sql_apply(binder, "OR", either, 2, span);
}

static bool add_operand(subquery *it, correlation *with)
{
    leat_sql_binder own;
    uint32_t count = it->operand ? operand_count(it->operand) : 0;
    if (it->operand && selected_count(with) != count) {
        plan_error(it->rule, it->span, "%s compares %u value%s with the %u column%s of its query",
                   it->test || strcmp(it->comparison, "=") ? it->comparison : "IN", count, count == 1 ? "" : "s",
                   selected_count(with), selected_count(with) == 1 ? "" : "s");
        return false;
    }
    plan_binder_init(it->rule, &with->scope, "SELECT", &own);
    for (uint32_t i = 0; i < count; i++) {
        leat_expr *sides[] = {it->operands[i], selected(it, with, &own, i)};
        leat_expr *equal = leat_sql_apply(&own, it->comparison, sides, 2, it->span);
        if (equal && it->test)
            equal = leat_sql_apply(&own, it->test, &equal, 1, it->span);
        else if (equal && it->negated)
            equal = or_unknown(&own, equal, it->span);
        it->rule->failed |= !equal;
        if (!equal || !plan_join_add(&with->join, equal))
            return false;
    }
    return true;
}

// Queries in it become columns of the rows around.
static bool bind_operand(subquery *it, plan_source *source)
{
    plan_scalars *queries = leat_arena_new(it->rule->arena, plan_scalars);
    leat_sql_binder binder;
    uint32_t count = it->operand ? operand_count(it->operand) : 0;
    bool bound = true;
    plan_binder_init(it->rule, &source->scope, "WHERE", &binder);
    plan_scalars_begin(queries, it->rule, it->names, source, NULL, &binder);
    it->operands = leat_arena_array(it->rule->arena, leat_expr *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        bound &= (it->operands[i] = leat_sql_bind(&binder, operand_at(it->operand, i))) != NULL;
    it->rule->failed |= !bound;
    if (!bound || !plan_scalars_join(queries, NULL, NULL, &source->relation))
        return false;
    for (uint32_t i = 0; i < count; i++)
        it->operands[i] = plan_scalars_place(queries, it->operands[i]);
    return true;
}

// An aggregate without groups has one row, whatever there is: EXISTS is TRUE.
static bool always_exists(const subquery *it)
{
    const leat_sql_query *query = it->query;
    return !it->operand && !query->limit && !query->fetch && !query->offset && plan_subquery_has_one_row(query);
}

static bool check_only(subquery *it, correlation *with, plan_source *source)
{
    plan_rule *rule = it->rule;
    plan_trial trial;
    plan_trial_begin(&trial, rule);
    bool planned = plan_whole(it, with);
    rule->failed |= !planned;
    plan_trial_end(&trial, it->names);
    if (!planned || !it->negated)
        return planned;
    relation rows = source->relation;
    leat_expr *never = leat_expr_literal(&rule->expr, leat_type_of(LEAT_KIND_BOOLEAN), (leat_value){.boolean = false});
    return plan_filter(rule, &rows, never, "NOT EXISTS of an aggregate", it->span, &source->relation);
}

bool plan_semi_join(plan_rule *rule, plan_name *names, plan_source *source, const leat_sql_expr *condition)
{
    subquery it = subquery_of(condition);
    correlation *with = leat_arena_new(rule->arena, correlation);
    relation rows;
    LEAT_ASSERT(it.query); // a condition of another kind does not come here
    it.rule = rule;
    it.names = names;
    it.query = without_limit(&it);
    if (!plan_materialize(rule, &source->relation, &rows))
        return false;
    source->relation = rows;
    if (!bind_operand(&it, source))
        return false;
    rows = source->relation;
    with->outer = source;
    if (always_exists(&it))
        return check_only(&it, with, source);
    if (!(is_plain(it.query) ? plan_parts(&it, with) : plan_whole(&it, with)))
        return false;
    if (with->select && with->select->where && !join_nested(&it, with, with->select->where))
        return false;
    if (rows.schema->count + with->inner.relation.schema->count > LEAT_COLUMNS_MAX) {
        plan_error(rule, it.span, "a query and its subquery may have %d columns together", LEAT_COLUMNS_MAX);
        return false;
    }
    join_scopes(&it, with);
    plan_join_begin(&with->join, rule, it.negated ? LEAT_JOIN_ANTI : LEAT_JOIN_SEMI, &rows, &with->inner.relation,
                    it.span);
    if (with->select && with->select->where && !add_condition(&it, with, with->select->where))
        return false;
    relation out;
    if (!add_ties(&it, with) || !add_operand(&it, with) || !plan_join_choose(&with->join, &out))
        return false;
    source->relation = out;
    return true;
}
