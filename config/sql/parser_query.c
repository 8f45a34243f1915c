#include "config/sql/parser_state.h"

bool at_query(const parser *p, uint32_t ahead)
{
    leat_sql_keyword word = token_ahead(p, ahead)->keyword;
    if (word == KW_TABLE) // TABLE t, not TABLE(f())
        return at_name(p, ahead + 1);
    return word == KW_SELECT || word == KW_WITH || word == KW_VALUES;
}

bool at_query_in_parentheses(const parser *p)
{
    uint32_t ahead = 0;
    while (token_ahead(p, ahead)->kind == TOKEN_LEFT)
        ahead++;
    return ahead && at_query(p, ahead);
}

// ---- ORDER BY, windows, hints

leat_sql_order parse_order_items(parser *p)
{
    leat_sql_order order = {0};
    uint32_t level = p->parentheses;
    do {
        leat_sql_order_item *item = append(p, order.items, order.count);
        item->expr = parse_expr(p);
        if (!take_word(p, KW_ASC))
            item->descending = take_word(p, KW_DESC);
        if (take_words(p, KW_NULLS, KW_FIRST))
            item->nulls = LEAT_SQL_NULLS_FIRST;
        else if (take_words(p, KW_NULLS, KW_LAST))
            item->nulls = LEAT_SQL_NULLS_LAST;
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
    return order;
}

static void parse_bound(parser *p, leat_sql_bound *bound)
{
    uint32_t first = p->at;
    bool unbounded = at_word(p, KW_UNBOUNDED) &&
                     (token_ahead(p, 1)->keyword == KW_PRECEDING || token_ahead(p, 1)->keyword == KW_FOLLOWING);
    if (take_words(p, KW_CURRENT, KW_ROW)) {
        bound->kind = LEAT_SQL_CURRENT_ROW;
        bound->span = span_since(p, first);
        return;
    }
    if (unbounded)
        advance(p);
    else
        bound->expr = parse_operand(p);
    bool following = take_word(p, KW_FOLLOWING);
    if (!following && !take_word(p, KW_PRECEDING))
        unexpected(p, "PRECEDING or FOLLOWING");
    bound->kind = unbounded ? (following ? LEAT_SQL_UNBOUNDED_FOLLOWING : LEAT_SQL_UNBOUNDED_PRECEDING)
                            : (following ? LEAT_SQL_FOLLOWING : LEAT_SQL_PRECEDING);
    bound->span = span_since(p, first);
}

static void parse_frame(parser *p, leat_sql_window *window)
{
    if (!at_word(p, KW_ROWS) && !at_word(p, KW_RANGE))
        return;
    window->frame = at_word(p, KW_ROWS) ? LEAT_SQL_FRAME_ROWS : LEAT_SQL_FRAME_RANGE;
    advance(p);
    window->end.kind = LEAT_SQL_CURRENT_ROW;
    bool between = take_word(p, KW_BETWEEN);
    parse_bound(p, &window->start);
    if (between) {
        expect_word(p, KW_AND);
        parse_bound(p, &window->end);
    }
}

leat_sql_window *parse_window(parser *p, bool reference)
{
    leat_sql_window *window = leat_arena_new(p->arena, leat_sql_window);
    uint32_t first = p->at;
    if (reference && !at_kind(p, TOKEN_LEFT)) {
        window->is_reference = parse_name(p, "a window's name or '('", &window->base);
        window->span = window->base.span;
        return window;
    }
    expect(p, TOKEN_LEFT);
    if (at_name(p, 0))
        parse_name(p, "a window's name", &window->base);
    if (take_words(p, KW_PARTITION, KW_BY))
        window->partition_by = parse_exprs(p);
    if (take_words(p, KW_ORDER, KW_BY))
        window->order_by = parse_order_items(p);
    parse_frame(p, window);
    if (!take(p, TOKEN_RIGHT))
        unexpected(p, "PARTITION BY, ORDER BY, ROWS, RANGE or ')'");
    window->span = span_since(p, first);
    return window;
}

static void parse_hint_entry(parser *p, leat_sql_hint_entry *entry)
{
    const leat_sql_token *token = current(p);
    if (token->kind != TOKEN_STRING && token->kind != TOKEN_WORD && token->kind != TOKEN_QUOTED &&
        token->kind != TOKEN_INTEGER) {
        unexpected(p, "a hint's key");
        return;
    }
    entry->key = (leat_sql_name){.text = token_text(p, token), .span = here(p), .quoted = token->kind == TOKEN_STRING};
    advance(p);
    if (!take(p, TOKEN_EQUAL))
        return;
    entry->value_span = here(p);
    entry->value = token_text(p, current(p));
    expect(p, TOKEN_STRING);
}

leat_sql_hints parse_hints(parser *p)
{
    leat_sql_hints hints = {0};
    if (!take(p, TOKEN_HINT_OPEN))
        return hints;
    do {
        leat_sql_hint *hint = append(p, hints.items, hints.count);
        if (!parse_name(p, "a hint, as OPTIONS or STATE_TTL", &hint->name))
            break;
        uint32_t open = p->at;
        if (!take(p, TOKEN_LEFT))
            continue;
        do
            parse_hint_entry(p, append(p, hint->entries, hint->entry_count));
        while (take(p, TOKEN_COMMA));
        expect_close(p, open);
    } while (take(p, TOKEN_COMMA));
    expect(p, TOKEN_HINT_CLOSE);
    return hints;
}

// ---- SELECT

static bool at_qualified_star(const parser *p)
{
    uint32_t ahead = 0;
    while (at_name(p, ahead) && token_ahead(p, ahead + 1)->kind == TOKEN_DOT) {
        ahead += 2;
        if (token_ahead(p, ahead)->kind == TOKEN_STAR)
            return true;
    }
    return false;
}

static leat_sql_expr *parse_select_star(parser *p)
{
    uint32_t first = p->at;
    leat_sql_expr *star = new_expr(p, LEAT_SQL_EXPR_STAR);
    if (!at_kind(p, TOKEN_STAR)) {
        star->star = parse_path(p, "a table");
        expect(p, TOKEN_DOT);
    }
    expect(p, TOKEN_STAR);
    star->span = span_since(p, first);
    return star;
}

static void parse_select_item(parser *p, leat_sql_select_item *item)
{
    if (at_kind(p, TOKEN_STAR) || at_qualified_star(p)) {
        item->expr = parse_select_star(p);
        return;
    }
    item->expr = parse_expr(p);
    if (take_word(p, KW_AS) || at_name(p, 0))
        parse_name(p, "an alias", &item->alias);
}

#define AFTER_SELECT_ITEM "',', AS, FROM or the end of the SELECT list"

static bool ends_select_list(const parser *p)
{
    switch ((int)current(p)->keyword) {
    case KW_FROM:
    case KW_WHERE:
    case KW_GROUP:
    case KW_HAVING:
    case KW_WINDOW:
    case KW_QUALIFY:
    case KW_ORDER:
    case KW_LIMIT:
    case KW_OFFSET:
    case KW_FETCH:
    case KW_UNION:
    case KW_INTERSECT:
    case KW_EXCEPT:
        return true;
    default:
        return at_kind(p, TOKEN_END) || at_kind(p, TOKEN_RIGHT) || at_kind(p, TOKEN_SEMICOLON);
    }
}

static void parse_select_list(parser *p, leat_sql_select *select)
{
    uint32_t level = p->parentheses;
    do {
        parse_select_item(p, append(p, select->items, select->item_count));
        if (!p->panic && !at_kind(p, TOKEN_COMMA) && !ends_select_list(p))
            unexpected(p, AFTER_SELECT_ITEM);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
}

// ---- GROUP BY

static leat_sql_group *parse_group(parser *p);

static void parse_group_items(parser *p, leat_sql_group *group)
{
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    if (!at_kind(p, TOKEN_RIGHT))
        do
            *append(p, group->items, group->item_count) = parse_group(p);
        while (take(p, TOKEN_COMMA));
    expect_close(p, open);
}

// After a list of keys: no operator that would make it the start of an expression.
static bool ends_group(const leat_sql_token *token)
{
    switch ((int)token->keyword) {
    case KW_IS:
    case KW_IN:
    case KW_NOT:
    case KW_BETWEEN:
    case KW_LIKE:
    case KW_SIMILAR:
    case KW_AND:
    case KW_OR:
    case KW_OVERLAPS:
        return false;
    default:
        return token->kind == TOKEN_COMMA || token->kind == TOKEN_RIGHT || token->kind == TOKEN_END ||
               token->kind == TOKEN_SEMICOLON || token->kind == TOKEN_WORD;
    }
}

// (a, b) is a list; (a + b) * 2 starts with a parenthesis too, so an expression is tried where a list cannot be.
static bool at_group_list(const parser *p)
{
    if (!at_kind(p, TOKEN_LEFT) || at_query_in_parentheses(p))
        return false;
    uint32_t ahead = 1, level = 1;
    bool comma = token_ahead(p, 1)->kind == TOKEN_RIGHT;
    for (; level && token_ahead(p, ahead)->kind != TOKEN_END; ahead++) {
        leat_sql_token_kind kind = token_ahead(p, ahead)->kind;
        level += kind == TOKEN_LEFT ? 1 : kind == TOKEN_RIGHT ? -1U : 0;
        comma |= kind == TOKEN_COMMA && level == 1;
    }
    return comma && ends_group(token_ahead(p, ahead));
}

static leat_sql_group *parse_group(parser *p)
{
    leat_sql_group *group = leat_arena_new(p->arena, leat_sql_group);
    uint32_t first = p->at, outside = height_begin(p);
    if (!enter(p)) {
        leave(p);
        return group;
    }
    if (take_words(p, KW_GROUPING, KW_SETS))
        group->kind = LEAT_SQL_GROUPING_SETS;
    else if (take_word(p, KW_CUBE))
        group->kind = LEAT_SQL_CUBE;
    else if (take_word(p, KW_ROLLUP))
        group->kind = LEAT_SQL_ROLLUP;
    else
        group->kind = at_group_list(p) ? LEAT_SQL_GROUP_LIST : LEAT_SQL_GROUP_EXPR;
    if (group->kind == LEAT_SQL_GROUP_EXPR)
        group->expr = parse_expr(p);
    else
        parse_group_items(p, group);
    group->span = span_since(p, first);
    height_end(p, outside);
    leave(p);
    return group;
}

static void parse_group_by(parser *p, leat_sql_select *select)
{
    uint32_t first = p->at, level = p->parentheses;
    if (!take_word(p, KW_GROUP))
        return;
    expect_word(p, KW_BY);
    select->is_grouped = true;
    select->group_distinct = take_word(p, KW_DISTINCT);
    do {
        *append(p, select->group_by, select->group_count) = parse_group(p);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
    select->group_span = span_since(p, first);
}

// ---- the other clauses

static leat_sql_expr *parse_condition(parser *p, leat_sql_keyword keyword, leat_sql_span *out_span)
{
    uint32_t first = p->at, level = p->parentheses;
    if (!take_word(p, keyword))
        return NULL;
    leat_sql_expr *condition = parse_expr(p);
    if (out_span)
        *out_span = span_since(p, first);
    recover(p, level);
    return condition;
}

static void parse_named_windows(parser *p, leat_sql_select *select)
{
    uint32_t level = p->parentheses;
    if (!take_word(p, KW_WINDOW))
        return;
    do {
        leat_sql_named_window *named = append(p, select->windows, select->window_count);
        if (parse_name(p, "a window's name", &named->name) && expect_word(p, KW_AS))
            named->window = parse_window(p, false);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
}

static leat_sql_select *parse_select(parser *p)
{
    leat_sql_select *select = leat_arena_new(p->arena, leat_sql_select);
    uint32_t level = p->parentheses;
    advance(p);
    select->hints = parse_hints(p);
    select->distinct = take_word(p, KW_DISTINCT);
    if (!select->distinct)
        take_word(p, KW_ALL);
    parse_select_list(p, select);
    if (take_word(p, KW_FROM)) {
        select->from = parse_from(p);
        recover(p, level);
    }
    select->where = parse_condition(p, KW_WHERE, &select->where_span);
    parse_group_by(p, select);
    select->having = parse_condition(p, KW_HAVING, &select->having_span);
    parse_named_windows(p, select);
    select->qualify = parse_condition(p, KW_QUALIFY, NULL);
    return select;
}

// ---- queries

static leat_sql_query *new_query(parser *p, leat_sql_query_kind kind)
{
    leat_sql_query *query = leat_arena_new(p->arena, leat_sql_query);
    query->kind = kind;
    query->span = here(p);
    return query;
}

static leat_sql_query *parse_values(parser *p)
{
    leat_sql_query *query = new_query(p, LEAT_SQL_QUERY_VALUES);
    uint32_t level = p->parentheses;
    advance(p);
    do {
        *append(p, query->values.items, query->values.count) = parse_expr(p);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
    return query;
}

static leat_sql_query *parse_query_primary(parser *p)
{
    uint32_t first = p->at;
    leat_sql_query *query;
    if (at_kind(p, TOKEN_LEFT)) {
        advance(p);
        query = parse_query(p);
        expect_close(p, first);
        return query;
    }
    if (at_word(p, KW_SELECT)) {
        query = new_query(p, LEAT_SQL_QUERY_SELECT);
        query->select = parse_select(p);
    } else if (at_word(p, KW_VALUES)) {
        query = parse_values(p);
    } else if (at_word(p, KW_TABLE)) {
        query = new_query(p, LEAT_SQL_QUERY_TABLE);
        advance(p);
        query->table = parse_path(p, "a table after TABLE");
    } else {
        query = new_query(p, LEAT_SQL_QUERY_VALUES);
        unexpected(p, "SELECT, VALUES, WITH or '('");
    }
    query->span = span_since(p, first);
    return query;
}

static bool at_set_operator(const parser *p, int minimum)
{
    if (at_word(p, KW_INTERSECT))
        return true;
    return minimum == 0 && (at_word(p, KW_UNION) || at_word(p, KW_EXCEPT));
}

// INTERSECT binds tighter (minimum 1) than UNION and EXCEPT (0).
static leat_sql_query *parse_set(parser *p, int minimum)
{
    uint32_t first = p->at;
    leat_sql_query *left = parse_query_primary(p);
    while (at_set_operator(p, minimum)) {
        leat_sql_query *query = new_query(p, LEAT_SQL_QUERY_SET);
        query->set.op = at_word(p, KW_UNION)       ? LEAT_SQL_UNION
                        : at_word(p, KW_INTERSECT) ? LEAT_SQL_INTERSECT
                                                   : LEAT_SQL_EXCEPT;
        advance(p);
        query->set.all = take_word(p, KW_ALL);
        if (!query->set.all)
            take_word(p, KW_DISTINCT);
        query->set.left = left;
        query->set.right = query->set.op == LEAT_SQL_INTERSECT ? parse_query_primary(p) : parse_set(p, 1);
        query->span = span_since(p, first);
        height_add(p);
        left = query;
    }
    return left;
}

static leat_sql_cte *parse_with(parser *p, uint32_t *out_count, bool *out_recursive)
{
    leat_sql_cte *ctes = NULL;
    uint32_t level = p->parentheses;
    if (!take_word(p, KW_WITH))
        return NULL;
    *out_recursive = take_word(p, KW_RECURSIVE);
    do {
        leat_sql_cte *cte = append(p, ctes, *out_count);
        parse_name(p, "a name after WITH", &cte->name);
        if (at_kind(p, TOKEN_LEFT))
            cte->columns = parse_name_list(p);
        expect_word(p, KW_AS);
        uint32_t open = p->at;
        expect(p, TOKEN_LEFT);
        cte->query = parse_query(p);
        expect_close(p, open);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
    return ctes;
}

static void parse_fetch(parser *p, leat_sql_query *query)
{
    if (!take_word(p, KW_FIRST) && !take_word(p, KW_NEXT))
        unexpected(p, "FIRST or NEXT");
    query->fetch = parse_operand(p);
    if (!take_word(p, KW_ROW) && !take_word(p, KW_ROWS))
        unexpected(p, "ROW or ROWS");
    expect_word(p, KW_ONLY);
}

static void parse_limits(parser *p, leat_sql_query *query)
{
    uint32_t level = p->parentheses;
    for (;;) {
        uint32_t first = p->at;
        if (take_word(p, KW_LIMIT)) {
            query->limit = take_word(p, KW_ALL) ? NULL : parse_operand(p);
            query->limit_span = span_since(p, first);
        } else if (take_word(p, KW_OFFSET)) {
            query->offset = parse_operand(p);
            if (!take_word(p, KW_ROW))
                take_word(p, KW_ROWS);
            query->offset_span = span_since(p, first);
        } else if (take_word(p, KW_FETCH)) {
            parse_fetch(p, query);
            query->fetch_span = span_since(p, first);
        } else {
            return;
        }
        recover(p, level);
    }
}

static bool has_tail(const leat_sql_query *query)
{
    return query->cte_count || query->order_by.count || query->limit || query->offset || query->fetch;
}

static bool at_tail(const parser *p)
{
    return at_word(p, KW_ORDER) || at_word(p, KW_LIMIT) || at_word(p, KW_OFFSET) || at_word(p, KW_FETCH);
}

// (SELECT .. LIMIT 1) LIMIT 2: the outer clauses need a node of their own, SELECT * FROM (..).
static leat_sql_query *wrap(parser *p, leat_sql_query *inner)
{
    leat_sql_query *query = new_query(p, LEAT_SQL_QUERY_SELECT);
    query->select = leat_arena_new(p->arena, leat_sql_select);
    leat_sql_select_item *item = append(p, query->select->items, query->select->item_count);
    item->expr = new_expr(p, LEAT_SQL_EXPR_STAR);
    item->expr->span = inner->span;
    leat_sql_table_ref *from = leat_arena_new(p->arena, leat_sql_table_ref);
    from->kind = LEAT_SQL_TABLE_QUERY;
    from->span = inner->span;
    from->query = inner;
    query->select->from = from;
    query->span = inner->span;
    return query;
}

static leat_sql_query *parse_whole_query(parser *p)
{
    uint32_t first = p->at, cte_count = 0;
    bool recursive = false;
    leat_sql_cte *ctes = parse_with(p, &cte_count, &recursive);
    leat_sql_query *query = parse_set(p, 0);
    if (has_tail(query) && (cte_count || at_tail(p)))
        query = wrap(p, query);
    if (cte_count) {
        query->ctes = ctes;
        query->cte_count = cte_count;
        query->recursive = recursive;
    }
    uint32_t order = p->at;
    if (take_word(p, KW_ORDER)) {
        expect_word(p, KW_BY);
        query->order_by = parse_order_items(p);
        query->order_span = span_since(p, order);
    }
    parse_limits(p, query);
    query->span = span_since(p, first);
    return query;
}

leat_sql_query *parse_query(parser *p)
{
    uint32_t outside = height_begin(p);
    leat_sql_query *query = enter(p) ? parse_whole_query(p) : new_query(p, LEAT_SQL_QUERY_VALUES);
    height_end(p, outside);
    leave(p);
    return query;
}
