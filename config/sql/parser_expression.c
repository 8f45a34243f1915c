// Operators by precedence, as Calcite orders them (SqlStdOperatorTable), with `||` on the level of `*`.
// IS DISTINCT FROM stands with the comparisons: on Calcite's level, that of `+`, `a + 1 IS DISTINCT FROM b + 1` would not type.

#include "config/sql/parser_state.h"
#include "config/sql/precedence.h"

leat_sql_expr *new_expr(parser *p, leat_sql_expr_kind kind)
{
    leat_sql_expr *expr = leat_arena_new(p->arena, leat_sql_expr);
    expr->kind = kind;
    expr->span = here(p);
    return expr;
}

static leat_sql_expr *parse_precedence(parser *p, int minimum);

leat_sql_expr *parse_expr(parser *p) { return parse_precedence(p, PRECEDENCE_LOWEST); }
leat_sql_expr *parse_operand(parser *p) { return parse_precedence(p, PRECEDENCE_RANGE + 1); }

leat_sql_exprs parse_exprs(parser *p)
{
    leat_sql_exprs exprs = {0};
    do
        *append(p, exprs.items, exprs.count) = parse_expr(p);
    while (take(p, TOKEN_COMMA));
    return exprs;
}

// The binary operator at the current token, without taking it; -1 when there is none.
static int binary_operator(const parser *p)
{
    switch ((int)current(p)->kind) {
    case TOKEN_EQUAL:
        return LEAT_SQL_EQUAL;
    case TOKEN_NOT_EQUAL:
        return LEAT_SQL_NOT_EQUAL;
    case TOKEN_LESS:
        return LEAT_SQL_LESS;
    case TOKEN_LESS_EQUAL:
        return LEAT_SQL_LESS_EQUAL;
    case TOKEN_GREATER:
        return LEAT_SQL_GREATER;
    case TOKEN_GREATER_EQUAL:
        return LEAT_SQL_GREATER_EQUAL;
    case TOKEN_PLUS:
        return LEAT_SQL_ADD;
    case TOKEN_MINUS:
        return LEAT_SQL_SUBTRACT;
    case TOKEN_STAR:
        return LEAT_SQL_MULTIPLY;
    case TOKEN_SLASH:
        return LEAT_SQL_DIVIDE;
    case TOKEN_PERCENT:
        return LEAT_SQL_MODULO;
    case TOKEN_CONCAT:
        return LEAT_SQL_CONCAT;
    default:
        break;
    }
    switch ((int)current(p)->keyword) {
    case KW_OR:
        return LEAT_SQL_OR;
    case KW_AND:
        return LEAT_SQL_AND;
    case KW_OVERLAPS:
        return LEAT_SQL_OVERLAPS;
    default:
        return -1;
    }
}

static bool is_comparison(int op) { return op >= LEAT_SQL_EQUAL && op <= LEAT_SQL_GREATER_EQUAL; }

static leat_sql_expr *make_binary(parser *p, leat_sql_binary_op op, leat_sql_expr *left, leat_sql_expr *right,
                                  leat_sql_span op_span)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_BINARY);
    expr->binary.op = op;
    expr->binary.left = left;
    expr->binary.right = right;
    expr->binary.op_span = op_span;
    return expr;
}

static leat_sql_expr *parse_quantified(parser *p, leat_sql_expr *left, leat_sql_binary_op op)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_QUANTIFIED);
    expr->quantified.operand = left;
    expr->quantified.op = op;
    expr->quantified.quantifier = at_word(p, KW_ANY)    ? LEAT_SQL_ANY
                                  : at_word(p, KW_SOME) ? LEAT_SQL_SOME
                                                        : LEAT_SQL_ALL;
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    expr->quantified.query = parse_query(p);
    expect_close(p, open);
    return expr;
}

static leat_sql_expr *parse_binary(parser *p, leat_sql_expr *left, leat_sql_binary_op op)
{
    leat_sql_span op_span = here(p);
    advance(p);
    bool quantified =
        (at_word(p, KW_ANY) || at_word(p, KW_SOME) || at_word(p, KW_ALL)) && token_ahead(p, 1)->kind == TOKEN_LEFT;
    if (is_comparison(op) && quantified)
        return parse_quantified(p, left, op);
    return make_binary(p, op, left, parse_precedence(p, leat_sql_binary_precedence(op) + 1), op_span);
}

static leat_sql_expr *parse_between(parser *p, leat_sql_expr *operand, bool negated)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_BETWEEN);
    advance(p);
    expr->between.operand = operand;
    expr->between.negated = negated;
    expr->between.symmetric = take_word(p, KW_SYMMETRIC);
    if (!expr->between.symmetric)
        take_word(p, KW_ASYMMETRIC);
    expr->between.low = parse_operand(p);
    expect_word(p, KW_AND);
    expr->between.high = parse_operand(p);
    return expr;
}

static leat_sql_expr *parse_like(parser *p, leat_sql_expr *operand, bool negated)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_LIKE);
    expr->like.operand = operand;
    expr->like.negated = negated;
    expr->like.similar = at_word(p, KW_SIMILAR);
    advance(p);
    if (expr->like.similar)
        expect_word(p, KW_TO);
    expr->like.pattern = parse_operand(p);
    if (take_word(p, KW_ESCAPE))
        expr->like.escape = parse_operand(p);
    return expr;
}

static leat_sql_expr *parse_in(parser *p, leat_sql_expr *operand, bool negated)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_IN_LIST);
    advance(p);
    uint32_t open = p->at;
    if (!at_kind(p, TOKEN_LEFT))
        unexpected(p, "'(' after IN");
    advance(p);
    if (at_query(p, 0)) {
        expr->kind = LEAT_SQL_EXPR_IN_QUERY;
        expr->in_query.operand = operand;
        expr->in_query.negated = negated;
        expr->in_query.query = parse_query(p);
    } else {
        expr->in_list.operand = operand;
        expr->in_list.negated = negated;
        expr->in_list.items = parse_exprs(p);
    }
    expect_close(p, open);
    return expr;
}

static leat_sql_expr *parse_range(parser *p, leat_sql_expr *operand)
{
    bool negated = take_word(p, KW_NOT);
    switch ((int)current(p)->keyword) {
    case KW_BETWEEN:
        return parse_between(p, operand, negated);
    case KW_LIKE:
    case KW_SIMILAR:
        return parse_like(p, operand, negated);
    default:
        return parse_in(p, operand, negated);
    }
}

static bool at_range(const parser *p)
{
    const leat_sql_token *token = at_word(p, KW_NOT) ? token_ahead(p, 1) : current(p);
    return token->keyword == KW_BETWEEN || token->keyword == KW_LIKE || token->keyword == KW_SIMILAR ||
           token->keyword == KW_IN;
}

static leat_sql_unary_op parse_is_json(parser *p)
{
    if (take_word(p, KW_OBJECT))
        return LEAT_SQL_IS_JSON_OBJECT;
    if (take_word(p, KW_ARRAY))
        return LEAT_SQL_IS_JSON_ARRAY;
    if (take_word(p, KW_SCALAR))
        return LEAT_SQL_IS_JSON_SCALAR;
    take_word(p, KW_VALUE);
    return LEAT_SQL_IS_JSON;
}

static leat_sql_unary_op parse_is_test(parser *p)
{
    if (take_word(p, KW_NULL))
        return LEAT_SQL_IS_NULL;
    if (take_word(p, KW_TRUE))
        return LEAT_SQL_IS_TRUE;
    if (take_word(p, KW_FALSE))
        return LEAT_SQL_IS_FALSE;
    if (take_word(p, KW_UNKNOWN))
        return LEAT_SQL_IS_UNKNOWN;
    if (take_word(p, KW_JSON))
        return parse_is_json(p);
    unexpected(p, "NULL, TRUE, FALSE, UNKNOWN, DISTINCT FROM or JSON after IS");
    return LEAT_SQL_IS_NULL;
}

static leat_sql_expr *parse_is(parser *p, leat_sql_expr *operand)
{
    uint32_t first = p->at;
    advance(p);
    bool negated = take_word(p, KW_NOT);
    if (take_word(p, KW_DISTINCT)) {
        expect_word(p, KW_FROM);
        leat_sql_span op_span = span_since(p, first);
        leat_sql_binary_op op = negated ? LEAT_SQL_IS_NOT_DISTINCT_FROM : LEAT_SQL_IS_DISTINCT_FROM;
        return make_binary(p, op, operand, parse_precedence(p, PRECEDENCE_COMPARISON + 1), op_span);
    }
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_UNARY);
    expr->unary.op = parse_is_test(p) + (negated ? 1 : 0);
    expr->unary.operand = operand;
    return expr;
}

_Static_assert(LEAT_SQL_IS_NULL + 1 == LEAT_SQL_IS_NOT_NULL &&
                   LEAT_SQL_IS_JSON_SCALAR + 1 == LEAT_SQL_IS_NOT_JSON_SCALAR,
               "each test is followed by its negation");

static leat_sql_expr *parse_index(parser *p, leat_sql_expr *operand)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_INDEX);
    advance(p);
    expr->index.operand = operand;
    expr->index.index = parse_expr(p);
    expect(p, TOKEN_RIGHT_BRACKET);
    return expr;
}

static leat_sql_expr *parse_field(parser *p, leat_sql_expr *operand)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_FIELD);
    advance(p);
    expr->field.operand = operand;
    parse_name(p, "a field after '.'", &expr->field.field);
    return expr;
}

// The operator at the current token applied to left, or NULL when there is none that binds at least as tight as minimum.
static leat_sql_expr *parse_infix(parser *p, leat_sql_expr *left, int minimum)
{
    if (at_kind(p, TOKEN_LEFT_BRACKET))
        return parse_index(p, left);
    if (at_kind(p, TOKEN_DOT))
        return parse_field(p, left);
    if (at_word(p, KW_IS)) {
        bool distinct = token_ahead(p, token_ahead(p, 1)->keyword == KW_NOT ? 2 : 1)->keyword == KW_DISTINCT;
        return (distinct ? PRECEDENCE_COMPARISON : PRECEDENCE_IS) >= minimum ? parse_is(p, left) : NULL;
    }
    if (at_range(p))
        return PRECEDENCE_RANGE >= minimum ? parse_range(p, left) : NULL;
    int op = binary_operator(p);
    return op >= 0 && leat_sql_binary_precedence(op) >= minimum ? parse_binary(p, left, op) : NULL;
}

static leat_sql_expr *parse_prefix(parser *p)
{
    uint32_t first = p->at;
    leat_sql_unary_op op = at_word(p, KW_NOT)        ? LEAT_SQL_NOT
                           : at_kind(p, TOKEN_MINUS) ? LEAT_SQL_NEGATE
                                                     : LEAT_SQL_PLUS_SIGN;
    if (op == LEAT_SQL_PLUS_SIGN && !at_kind(p, TOKEN_PLUS))
        return parse_primary(p);
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_UNARY);
    advance(p);
    expr->unary.op = op;
    expr->unary.operand = parse_precedence(p, op == LEAT_SQL_NOT ? PRECEDENCE_NOT : PRECEDENCE_SIGN);
    expr->span = span_since(p, first);
    return expr;
}

static leat_sql_expr *parse_precedence(parser *p, int minimum)
{
    uint32_t first = p->at, outside = height_begin(p);
    leat_sql_expr *left = NULL;
    if (enter(p)) {
        left = parse_prefix(p);
        for (leat_sql_expr *next; (next = parse_infix(p, left, minimum)); left = next) {
            next->span = span_since(p, first);
            height_add(p);
        }
    }
    height_end(p, outside);
    leave(p);
    return left;
}

// ---- primaries

// CASE x WHEN 1, 2 THEN r: a WHEN of each value, each with a result of its own.
static void parse_when(parser *p, leat_sql_expr *expr)
{
    leat_sql_exprs values = {0};
    if (expr->case_when.operand)
        values = parse_exprs(p);
    else
        *append(p, values.items, values.count) = parse_expr(p);
    expect_word(p, KW_THEN);
    uint32_t result = p->at;
    for (uint32_t i = 0; i < values.count; i++) {
        leat_sql_when *when = append(p, expr->case_when.whens, expr->case_when.when_count);
        when->condition = values.items[i];
        p->at = result;
        when->result = parse_expr(p);
    }
}

static leat_sql_expr *parse_case(parser *p)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_CASE);
    advance(p);
    if (!at_word(p, KW_WHEN))
        expr->case_when.operand = parse_expr(p);
    if (!at_word(p, KW_WHEN))
        unexpected(p, "WHEN");
    while (take_word(p, KW_WHEN))
        parse_when(p, expr);
    if (take_word(p, KW_ELSE))
        expr->case_when.otherwise = parse_expr(p);
    if (!take_word(p, KW_END))
        unexpected(p, "WHEN, ELSE or END");
    return expr;
}

static leat_sql_expr *parse_cast(parser *p)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_CAST);
    expr->cast.is_try = at_word(p, KW_TRY_CAST);
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    expr->cast.operand = parse_expr(p);
    if (expect_word(p, KW_AS))
        expr->cast.type = parse_type(p);
    expect_close(p, open);
    return expr;
}

static leat_sql_expr *parse_exists(parser *p)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_EXISTS);
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    expr->query = parse_query(p);
    expect_close(p, open);
    return expr;
}

// ROW(a, b): at ROW. ARRAY[a, b], MAP[k, v]: at ARRAY, MAP.
static leat_sql_expr *parse_constructor(parser *p, leat_sql_constructor_kind kind)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_CONSTRUCTOR);
    leat_sql_token_kind close = kind == LEAT_SQL_CONSTRUCT_ROW ? TOKEN_RIGHT : TOKEN_RIGHT_BRACKET;
    expr->constructor.kind = kind;
    advance(p);
    leat_sql_span open = here(p);
    expect(p, kind == LEAT_SQL_CONSTRUCT_ROW ? TOKEN_LEFT : TOKEN_LEFT_BRACKET);
    if (!at_kind(p, close))
        expr->constructor.items = parse_exprs(p);
    if (!at_kind(p, close))
        unexpected(p, close == TOKEN_RIGHT ? "',' or ')'" : "',' or ']'");
    advance(p);
    if (kind == LEAT_SQL_CONSTRUCT_MAP && expr->constructor.items.count % 2)
        error_at(p, open, "MAP[..] takes pairs: MAP[key, value, ..]");
    return expr;
}

// (query), (a), (a, b)
static leat_sql_expr *parse_parentheses(parser *p)
{
    uint32_t open = p->at;
    leat_sql_expr *expr;
    if (at_query_in_parentheses(p)) {
        expr = new_expr(p, LEAT_SQL_EXPR_SUBQUERY);
        advance(p);
        expr->query = parse_query(p);
        expect_close(p, open);
        return expr;
    }
    advance(p);
    leat_sql_exprs items = parse_exprs(p);
    expect_close(p, open);
    if (items.count == 1)
        return items.items[0];
    expr = new_expr(p, LEAT_SQL_EXPR_CONSTRUCTOR);
    expr->constructor.kind = LEAT_SQL_CONSTRUCT_TUPLE;
    expr->constructor.items = items;
    return expr;
}

static bool is_function_without_parentheses(leat_sql_keyword keyword)
{
    switch ((int)keyword) {
    case KW_CURRENT_DATE:
    case KW_CURRENT_TIME:
    case KW_CURRENT_TIMESTAMP:
    case KW_LOCALTIME:
    case KW_LOCALTIMESTAMP:
    case KW_CURRENT_USER:
    case KW_SESSION_USER:
    case KW_SYSTEM_USER:
    case KW_USER:
    case KW_CURRENT_CATALOG:
    case KW_CURRENT_SCHEMA:
    case KW_CURRENT_PATH:
    case KW_CURRENT_ROLE:
        return true;
    default:
        return false;
    }
}

static leat_sql_path parse_function_word(parser *p)
{
    leat_sql_path path = {.span = here(p)};
    *append(p, path.parts, path.count) = (leat_sql_name){.text = token_source(p, current(p)), .span = here(p)};
    advance(p);
    return path;
}

static leat_sql_expr *parse_function_word_call(parser *p, uint32_t first)
{
    leat_sql_keyword word = current(p)->keyword;
    leat_sql_path name = parse_function_word(p);
    if (at_kind(p, TOKEN_LEFT))
        return parse_call(p, name, first);
    if (word == KW_USER) { // no function of Flink: a column may be called so without quotes
        leat_sql_expr *column = new_expr(p, LEAT_SQL_EXPR_COLUMN);
        column->column = name;
        return column;
    }
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_CALL);
    expr->call.name = name;
    expr->call.no_parentheses = true;
    LEAT_ASSERT(is_function_without_parentheses(word));
    return expr;
}

// A name: a column, or a function where '(' follows.
static leat_sql_expr *parse_named(parser *p)
{
    uint32_t first = p->at;
    if (at_kind(p, TOKEN_PARAMETER) && token_ahead(p, 1)->kind != TOKEN_DOT && token_ahead(p, 1)->kind != TOKEN_LEFT) {
        leat_sql_expr *parameter = new_expr(p, LEAT_SQL_EXPR_PARAMETER);
        parse_name(p, "a parameter", &parameter->parameter);
        return parameter;
    }
    leat_sql_path path = parse_path(p, "an expression");
    if (at_kind(p, TOKEN_LEFT))
        return parse_call(p, path, first);
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_COLUMN);
    expr->column = path;
    return expr;
}

static leat_sql_expr *parse_word(parser *p)
{
    const leat_sql_token *next = token_ahead(p, 1);
    leat_sql_keyword word = current(p)->keyword;
    switch ((int)word) {
    case KW_CASE:
        return parse_case(p);
    case KW_CAST:
    case KW_TRY_CAST:
        return parse_cast(p);
    case KW_EXISTS:
        return parse_exists(p);
    case KW_ROW:
        return parse_constructor(p, LEAT_SQL_CONSTRUCT_ROW);
    case KW_ARRAY:
        return parse_constructor(p, LEAT_SQL_CONSTRUCT_ARRAY);
    case KW_MAP:
        if (next->kind == TOKEN_LEFT_BRACKET)
            return parse_constructor(p, LEAT_SQL_CONSTRUCT_MAP);
        break;
    default:
        break;
    }
    bool callable = leat_sql_keyword_class_of(word) == KEYWORD_FUNCTION && next->kind == TOKEN_LEFT;
    if (callable || is_function_without_parentheses(word))
        return parse_function_word_call(p, p->at);
    return parse_named(p);
}

// `(a - b) DAY` of other engines.
static void refuse_qualifier(parser *p)
{
    static const leat_sql_keyword units[] = {KW_YEAR, KW_MONTH, KW_DAY, KW_HOUR, KW_MINUTE, KW_SECOND};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (at_word(p, units[i]))
            error_at(p, here(p),
                     "found '%s' behind parentheses: the difference of two times is an interval of days and less "
                     "without it, as in (a - b) > INTERVAL '1' DAY; in months it is TIMESTAMPDIFF(MONTH, b, a)",
                     leat_sql_keyword_text(units[i]));
}

leat_sql_expr *parse_primary(parser *p)
{
    uint32_t first = p->at;
    leat_sql_expr *expr = NULL;
    if (at_kind(p, TOKEN_LEFT)) {
        expr = parse_parentheses(p);
        if (expr && expr->kind != LEAT_SQL_EXPR_SUBQUERY &&
            !(expr->kind == LEAT_SQL_EXPR_CONSTRUCTOR && expr->constructor.kind == LEAT_SQL_CONSTRUCT_TUPLE)) {
            refuse_qualifier(p);
            return expr; // keeps the span of what stands inside
        }
    } else if (at_kind(p, TOKEN_QUOTED) || at_kind(p, TOKEN_PARAMETER)) {
        expr = parse_named(p);
    } else if (at_kind(p, TOKEN_STAR)) {
        error_at(p, here(p),
                 "found '*', expected an expression: '*' stands for all columns only in SELECT * and COUNT(*)");
    } else {
        expr = parse_literal(p);
        if (!expr)
            expr = parse_special_call(p);
        if (!expr)
            expr = parse_json(p);
        if (!expr && at_kind(p, TOKEN_WORD))
            expr = parse_word(p);
    }
    if (!expr) {
        unexpected(p, "an expression");
        expr = new_expr(p, LEAT_SQL_EXPR_LITERAL);
    }
    expr->span = span_since(p, first);
    return expr;
}
