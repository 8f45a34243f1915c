#include "config/sql/parser_state.h"

static leat_sql_table_ref *new_table(parser *p, leat_sql_table_kind kind)
{
    leat_sql_table_ref *table = leat_arena_new(p->arena, leat_sql_table_ref);
    table->kind = kind;
    table->span = here(p);
    return table;
}

static leat_sql_table_ref *parse_joins(parser *p);

// ---- one table

static leat_sql_expr *parse_table_call(parser *p)
{
    uint32_t first = p->at;
    leat_sql_path name = {0};
    bool word = at_kind(p, TOKEN_WORD) && leat_sql_keyword_class_of(current(p)->keyword) == KEYWORD_FUNCTION;
    if (word) {
        *append(p, name.parts, name.count) = (leat_sql_name){.text = token_source(p, current(p)), .span = here(p)};
        name.span = here(p);
        advance(p);
    } else {
        name = parse_path(p, "a table function");
    }
    if (at_kind(p, TOKEN_LEFT))
        return parse_call(p, name, first);
    unexpected(p, "'(' after the table function");
    return new_expr(p, LEAT_SQL_EXPR_CALL);
}

// TABLE(f(..)), at TABLE
static leat_sql_table_ref *parse_table_function(parser *p)
{
    leat_sql_table_ref *table = new_table(p, LEAT_SQL_TABLE_FUNCTION);
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    table->function.in_table = true;
    table->function.call = parse_table_call(p);
    expect_close(p, open);
    return table;
}

static leat_sql_table_ref *parse_unnest(parser *p)
{
    leat_sql_table_ref *table = new_table(p, LEAT_SQL_TABLE_UNNEST);
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    table->unnest.items = parse_exprs(p);
    expect_close(p, open);
    table->unnest.ordinality = take_words(p, KW_WITH, KW_ORDINALITY);
    return table;
}

// (SELECT ..) or (a JOIN b)
static leat_sql_table_ref *parse_table_parentheses(parser *p)
{
    uint32_t open = p->at;
    leat_sql_table_ref *table;
    if (at_query_in_parentheses(p)) {
        table = new_table(p, LEAT_SQL_TABLE_QUERY);
        advance(p);
        table->query = parse_query(p);
    } else {
        advance(p);
        table = parse_joins(p);
    }
    expect_close(p, open);
    return table;
}

static void parse_system_time(parser *p, leat_sql_table_ref *table)
{
    if (!at_word(p, KW_FOR))
        return;
    advance(p);
    if (!take_word(p, KW_SYSTEM_TIME))
        unexpected(p, "SYSTEM_TIME AS OF after FOR");
    expect_word(p, KW_AS);
    expect_word(p, KW_OF);
    table->table.system_time = parse_operand(p);
}

static leat_sql_table_ref *parse_named_table(parser *p)
{
    leat_sql_table_ref *table = new_table(p, LEAT_SQL_TABLE_NAME);
    uint32_t first = p->at;
    leat_sql_path path = parse_path(p, "a table, a function or '('");
    if (at_kind(p, TOKEN_LEFT)) {
        table->kind = LEAT_SQL_TABLE_FUNCTION;
        table->function.call = parse_call(p, path, first);
        return table;
    }
    table->table.path = path;
    table->hints = parse_hints(p);
    parse_system_time(p, table);
    return table;
}

static leat_sql_table_ref *parse_table_source(parser *p)
{
    if (at_word(p, KW_TABLE) && token_ahead(p, 1)->kind == TOKEN_LEFT)
        return parse_table_function(p);
    if (at_word(p, KW_UNNEST))
        return parse_unnest(p);
    return at_kind(p, TOKEN_LEFT) ? parse_table_parentheses(p) : parse_named_table(p);
}

static void parse_alias(parser *p, leat_sql_table_ref *table)
{
    if (!take_word(p, KW_AS) && !at_name(p, 0))
        return;
    if (parse_name(p, "an alias", &table->alias) && at_kind(p, TOKEN_LEFT))
        table->columns = parse_name_list(p);
}

static leat_sql_table_ref *parse_match_table(parser *p, leat_sql_table_ref *input, uint32_t first)
{
    leat_sql_table_ref *table = new_table(p, LEAT_SQL_TABLE_MATCH);
    input->span = span_since(p, first);
    table->match.input = input;
    table->match.recognize = parse_match(p);
    height_add(p);
    return table;
}

// A join in parentheses has its own places for all of these, so one with an alias is refused here.
static void check_alias(parser *p, const leat_sql_table_ref *table)
{
    if (table->kind == LEAT_SQL_TABLE_JOIN && table->alias.text.data)
        error_at(p, table->alias.span, "a join in parentheses has no alias; write (SELECT * FROM ..) AS %.*s",
                 (int)(table->alias.text.size > 64 ? 64 : table->alias.text.size), table->alias.text.data);
}

static leat_sql_table_ref *parse_table_primary(parser *p)
{
    uint32_t first = p->at, inner = first;
    bool lateral = take_word(p, KW_LATERAL);
    leat_sql_table_ref *table = parse_table_source(p);
    if (table->alias.text.data && (lateral || at_name(p, 0) || at_word(p, KW_AS))) // ((t AS a) AS b)
        error_at(p, here(p), "a table has one alias only");
    table->lateral |= lateral;
    bool has_alias = table->alias.text.data;
    if (!has_alias) {
        parse_alias(p, table);
        check_alias(p, table);
    }
    if (at_kind(p, TOKEN_HINT_OPEN) && (table->kind == LEAT_SQL_TABLE_NAME || table->kind == LEAT_SQL_TABLE_FUNCTION) &&
        !table->hints.count)
        table->hints = parse_hints(p);
    table->span = span_since(p, first);
    while (at_word(p, KW_MATCH_RECOGNIZE)) {
        table = parse_match_table(p, table, inner);
        parse_alias(p, table);
        table->span = span_since(p, first);
    }
    return table;
}

// ---- joins

static bool at_join(const parser *p)
{
    switch ((int)current(p)->keyword) {
    case KW_JOIN:
    case KW_INNER:
    case KW_LEFT:
    case KW_RIGHT:
    case KW_FULL:
    case KW_CROSS:
    case KW_NATURAL:
        return true;
    default:
        return at_kind(p, TOKEN_COMMA);
    }
}

static leat_sql_join_kind parse_join_kind(parser *p)
{
    leat_sql_join_kind kind = at_word(p, KW_LEFT)    ? LEAT_SQL_JOIN_LEFT
                              : at_word(p, KW_RIGHT) ? LEAT_SQL_JOIN_RIGHT
                              : at_word(p, KW_FULL)  ? LEAT_SQL_JOIN_FULL
                              : at_word(p, KW_CROSS) ? LEAT_SQL_JOIN_CROSS
                                                     : LEAT_SQL_JOIN_INNER;
    if (!at_word(p, KW_JOIN))
        advance(p);
    if (kind == LEAT_SQL_JOIN_LEFT || kind == LEAT_SQL_JOIN_RIGHT || kind == LEAT_SQL_JOIN_FULL)
        take_word(p, KW_OUTER);
    expect_word(p, KW_JOIN);
    return kind;
}

static void parse_join_condition(parser *p, leat_sql_table_ref *join)
{
    uint32_t level = p->parentheses;
    if (join->join.kind == LEAT_SQL_JOIN_CROSS || join->join.natural)
        return;
    if (take_word(p, KW_ON)) {
        join->join.on = parse_expr(p);
    } else if (take_word(p, KW_USING)) {
        join->join.using = parse_name_list(p);
    } else {
        unexpected(p, "ON or USING");
    }
    recover(p, level);
}

static leat_sql_table_ref *parse_join(parser *p, leat_sql_table_ref *left)
{
    leat_sql_table_ref *join = new_table(p, LEAT_SQL_TABLE_JOIN);
    join->join.left = left;
    join->join.kind = LEAT_SQL_JOIN_COMMA;
    if (take(p, TOKEN_COMMA)) {
        join->join.right = parse_table_primary(p);
        return join;
    }
    join->join.natural = take_word(p, KW_NATURAL);
    join->join.kind = parse_join_kind(p);
    join->join.right = parse_table_primary(p);
    parse_join_condition(p, join);
    return join;
}

static leat_sql_table_ref *parse_joins(parser *p)
{
    uint32_t first = p->at, outside = height_begin(p);
    leat_sql_table_ref *left;
    if (enter(p)) {
        left = parse_table_primary(p);
        while (at_join(p)) {
            left = parse_join(p, left);
            left->span = span_since(p, first);
            height_add(p);
        }
    } else {
        left = new_table(p, LEAT_SQL_TABLE_NAME);
    }
    height_end(p, outside);
    leave(p);
    return left;
}

leat_sql_table_ref *parse_from(parser *p) { return parse_joins(p); }
