#include "config/sql/parser_state.h"

// ---- arguments

static leat_sql_expr *parse_star(parser *p)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_STAR);
    advance(p);
    return expr;
}

static leat_sql_expr *parse_descriptor(parser *p)
{
    uint32_t first = p->at;
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_DESCRIPTOR);
    advance(p);
    expr->descriptor = parse_name_list(p);
    expr->span = span_since(p, first);
    return expr;
}

// PARTITION BY k, PARTITION BY (a, b): without parentheses one only, a comma would end the argument.
static leat_sql_exprs parse_argument_partition(parser *p)
{
    leat_sql_exprs keys = {0};
    uint32_t open = p->at;
    if (!take(p, TOKEN_LEFT)) {
        *append(p, keys.items, keys.count) = parse_expr(p);
        return keys;
    }
    keys = parse_exprs(p);
    expect_close(p, open);
    return keys;
}

static leat_sql_order parse_argument_order(parser *p)
{
    uint32_t open = p->at;
    if (take(p, TOKEN_LEFT)) {
        leat_sql_order order = parse_order_items(p);
        expect_close(p, open);
        return order;
    }
    leat_sql_order order = {0};
    leat_sql_order_item *item = append(p, order.items, order.count);
    item->expr = parse_expr(p);
    if (!take_word(p, KW_ASC))
        item->descending = take_word(p, KW_DESC);
    return order;
}

// TABLE t PARTITION BY k ORDER BY (a, b)
static leat_sql_expr *parse_table_argument(parser *p)
{
    uint32_t first = p->at;
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_TABLE);
    advance(p);
    uint32_t open = p->at;
    if (take(p, TOKEN_LEFT)) {
        expr->table.query = parse_query(p);
        expect_close(p, open);
    } else {
        expr->table.path = parse_path(p, "a table after TABLE");
        if (at_kind(p, TOKEN_HINT_OPEN))
            error_at(p, token_span(p, current(p)),
                     "a hint stands behind a table of a FROM: TABLE (SELECT * FROM .. /*+ .. */) instead of TABLE ..");
    }
    expr->table.is_partitioned = take_words(p, KW_PARTITION, KW_BY);
    if (expr->table.is_partitioned)
        expr->table.partition_by = parse_argument_partition(p);
    if (take_words(p, KW_ORDER, KW_BY))
        expr->table.order_by = parse_argument_order(p);
    expr->span = span_since(p, first);
    return expr;
}

static leat_sql_expr *parse_argument(parser *p)
{
    const leat_sql_token *next = token_ahead(p, 1);
    if (at_kind(p, TOKEN_STAR) && (next->kind == TOKEN_RIGHT || next->kind == TOKEN_COMMA))
        return parse_star(p);
    if (at_word(p, KW_TABLE))
        return parse_table_argument(p);
    if (at_word(p, KW_DESCRIPTOR) && next->kind == TOKEN_LEFT)
        return parse_descriptor(p);
    if (take_word(p, KW_DEFAULT)) {
        leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_DEFAULT);
        expr->span = span_since(p, p->at - 1);
        return expr;
    }
    return parse_expr(p);
}

static void parse_arguments(parser *p, leat_sql_call *call)
{
    uint32_t name_count = 0;
    bool named = false;
    leat_sql_name *names = NULL;
    do {
        leat_sql_name *name = append(p, names, name_count);
        if (token_ahead(p, 1)->kind == TOKEN_ARROW && parse_argument_name(p, name)) {
            named = true;
            advance(p);
        }
        *append(p, call->args.items, call->args.count) = parse_argument(p);
    } while (take(p, TOKEN_COMMA));
    call->arg_names = named ? names : NULL;
}

// ---- after the arguments

leat_sql_expr *parse_filter(parser *p)
{
    if (!at_word(p, KW_FILTER) || token_ahead(p, 1)->kind != TOKEN_LEFT)
        return NULL;
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    expect_word(p, KW_WHERE);
    leat_sql_expr *filter = parse_expr(p);
    expect_close(p, open);
    return filter;
}

static leat_sql_order parse_within_group(parser *p)
{
    leat_sql_order order = {0};
    if (!at_word(p, KW_WITHIN) || token_ahead(p, 1)->keyword != KW_GROUP)
        return order;
    advance(p);
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    expect_word(p, KW_ORDER);
    expect_word(p, KW_BY);
    order = parse_order_items(p);
    expect_close(p, open);
    return order;
}

void parse_call_suffix(parser *p, leat_sql_call *call)
{
    if (take_words(p, KW_IGNORE, KW_NULLS))
        call->nulls = LEAT_SQL_IGNORE_NULLS;
    else if (take_words(p, KW_RESPECT, KW_NULLS))
        call->nulls = LEAT_SQL_RESPECT_NULLS;
    call->within_group = parse_within_group(p);
    call->filter = parse_filter(p);
    if (take_word(p, KW_OVER))
        call->over = parse_window(p, true);
}

leat_sql_expr *parse_call(parser *p, leat_sql_path name, uint32_t first)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_CALL);
    expr->call.name = name;
    uint32_t open = p->at;
    advance(p);
    expr->call.distinct = take_word(p, KW_DISTINCT);
    if (!expr->call.distinct && at_word(p, KW_ALL))
        advance(p);
    if (!at_kind(p, TOKEN_RIGHT))
        parse_arguments(p, &expr->call);
    if (take_words(p, KW_ORDER, KW_BY))
        expr->call.order_by = parse_order_items(p);
    expect_close(p, open);
    parse_call_suffix(p, &expr->call);
    expr->span = span_since(p, first);
    return expr;
}

// ---- functions with words inside

static leat_sql_expr *begin_special(parser *p)
{
    leat_sql_expr *expr = new_expr(p, LEAT_SQL_EXPR_CALL);
    expr->call.name.span = here(p);
    *append(p, expr->call.name.parts, expr->call.name.count) =
        (leat_sql_name){.text = token_source(p, current(p)), .span = here(p)};
    advance(p);
    advance(p); // '('
    return expr;
}

static void add_argument(parser *p, leat_sql_expr *call, leat_sql_expr *argument)
{
    *append(p, call->call.args.items, call->call.args.count) = argument;
}

// The plain form goes on here after its first argument: SUBSTRING(x, 1, 2).
static void parse_more_arguments(parser *p, leat_sql_expr *call)
{
    while (take(p, TOKEN_COMMA))
        add_argument(p, call, parse_expr(p));
}

static void parse_extract(parser *p, leat_sql_expr *call)
{
    call->call.unit = parse_unit(p, &call->call.unit_span);
    expect_word(p, KW_FROM);
    add_argument(p, call, parse_expr(p));
}

static void parse_rounding(parser *p, leat_sql_expr *call)
{
    add_argument(p, call, parse_expr(p));
    if (take_word(p, KW_TO))
        call->call.unit = parse_unit(p, &call->call.unit_span);
    else
        parse_more_arguments(p, call);
}

static void parse_timestamp_arithmetic(parser *p, leat_sql_expr *call)
{
    call->call.unit = parse_unit(p, &call->call.unit_span);
    for (int i = 0; i < 2; i++) {
        expect(p, TOKEN_COMMA);
        add_argument(p, call, parse_expr(p));
    }
}

static void parse_substring(parser *p, leat_sql_expr *call)
{
    add_argument(p, call, parse_expr(p));
    if (!take_word(p, KW_FROM)) {
        parse_more_arguments(p, call);
        return;
    }
    add_argument(p, call, parse_expr(p));
    if (take_word(p, KW_FOR))
        add_argument(p, call, parse_expr(p));
}

static leat_sql_trim_side parse_trim_side(parser *p)
{
    if (take_word(p, KW_BOTH))
        return LEAT_SQL_TRIM_BOTH;
    if (take_word(p, KW_LEADING))
        return LEAT_SQL_TRIM_LEADING;
    return take_word(p, KW_TRAILING) ? LEAT_SQL_TRIM_TRAILING : LEAT_SQL_TRIM_UNSAID;
}

static void parse_trim(parser *p, leat_sql_expr *call)
{
    call->call.trim = parse_trim_side(p);
    leat_sql_expr *characters = at_word(p, KW_FROM) ? NULL : parse_expr(p);
    if (!take_word(p, KW_FROM)) {
        if (call->call.trim)
            unexpected(p, "FROM");
        add_argument(p, call, characters); // TRIM(x)
        parse_more_arguments(p, call);
        return;
    }
    add_argument(p, call, parse_expr(p));
    if (characters)
        add_argument(p, call, characters);
}

static void parse_position(parser *p, leat_sql_expr *call)
{
    add_argument(p, call, parse_operand(p));
    expect_word(p, KW_IN);
    add_argument(p, call, parse_expr(p));
    if (take_word(p, KW_FROM))
        add_argument(p, call, parse_expr(p));
}

static void parse_overlay(parser *p, leat_sql_expr *call)
{
    add_argument(p, call, parse_expr(p));
    if (!take_word(p, KW_PLACING)) {
        if (!at_kind(p, TOKEN_COMMA))
            unexpected(p, "PLACING");
        parse_more_arguments(p, call);
        return;
    }
    add_argument(p, call, parse_expr(p));
    expect_word(p, KW_FROM);
    add_argument(p, call, parse_expr(p));
    if (take_word(p, KW_FOR))
        add_argument(p, call, parse_expr(p));
}

static const struct {
    uint16_t word;
    void (*parse)(parser *p, leat_sql_expr *call);
} specials[] = {
    {KW_EXTRACT, parse_extract},
    {KW_FLOOR, parse_rounding},
    {KW_CEIL, parse_rounding},
    {KW_CEILING, parse_rounding},
    {KW_TIMESTAMPADD, parse_timestamp_arithmetic},
    {KW_TIMESTAMPDIFF, parse_timestamp_arithmetic},
    {KW_SUBSTRING, parse_substring},
    {KW_TRIM, parse_trim},
    {KW_POSITION, parse_position},
    {KW_OVERLAY, parse_overlay},
};

leat_sql_expr *parse_special_call(parser *p)
{
    uint32_t first = p->at;
    if (token_ahead(p, 1)->kind != TOKEN_LEFT)
        return NULL;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (!at_word(p, specials[i].word))
            continue;
        leat_sql_expr *call = begin_special(p);
        specials[i].parse(p, call);
        expect_close(p, first + 1);
        return call;
    }
    return NULL;
}
