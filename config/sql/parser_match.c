#include "config/sql/parser_state.h"

static leat_sql_pattern *new_pattern(parser *p, leat_sql_pattern_kind kind)
{
    leat_sql_pattern *pattern = leat_arena_new(p->arena, leat_sql_pattern);
    pattern->kind = kind;
    pattern->span = here(p);
    return pattern;
}

static leat_sql_pattern *parse_alternation(parser *p);

// ---- quantifiers

static void parse_repetition(parser *p, uint32_t *out, leat_sql_name *out_parameter)
{
    if (at_kind(p, TOKEN_PARAMETER))
        parse_name(p, "a parameter", out_parameter);
    else
        parse_count(p, "a number of repetitions", out);
}

static void parse_braces(parser *p, leat_sql_pattern *repeat)
{
    leat_sql_span place = here(p);
    bool from = !at_kind(p, TOKEN_COMMA);
    repeat->max = LEAT_SQL_PATTERN_UNBOUNDED;
    if (from)
        parse_repetition(p, &repeat->min, &repeat->min_parameter);
    if (!take(p, TOKEN_COMMA)) {
        repeat->max = repeat->min;
        repeat->max_parameter = repeat->min_parameter;
    } else if (!at_kind(p, TOKEN_RIGHT_BRACE)) {
        repeat->max = 0;
        parse_repetition(p, &repeat->max, &repeat->max_parameter);
    } else if (!from) {
        unexpected(p, "a number of repetitions");
    }
    bool known = !repeat->min_parameter.text.data && !repeat->max_parameter.text.data;
    if (!p->panic && known && repeat->max < repeat->min)
        error_at(p, place, "a pattern repeats at least %u and at most %u times", repeat->min, repeat->max);
    expect(p, TOKEN_RIGHT_BRACE);
}

static bool at_quantifier(const parser *p)
{
    return at_kind(p, TOKEN_STAR) || at_kind(p, TOKEN_PLUS) || at_kind(p, TOKEN_QUESTION) ||
           at_kind(p, TOKEN_LEFT_BRACE);
}

static leat_sql_pattern *parse_quantifier(parser *p, leat_sql_pattern *item, uint32_t first)
{
    leat_sql_pattern *repeat = new_pattern(p, LEAT_SQL_PATTERN_REPEAT);
    uint32_t start = p->at;
    *append(p, repeat->items, repeat->item_count) = item;
    leat_sql_token_kind kind = current(p)->kind;
    advance(p);
    repeat->min = kind == TOKEN_PLUS;
    repeat->max = kind == TOKEN_QUESTION ? 1 : LEAT_SQL_PATTERN_UNBOUNDED;
    if (kind == TOKEN_LEFT_BRACE)
        parse_braces(p, repeat);
    repeat->reluctant = take(p, TOKEN_QUESTION);
    repeat->quantifier = span_since(p, start);
    repeat->span = span_since(p, first);
    return repeat;
}

// ---- terms

static leat_sql_pattern *parse_permute(parser *p)
{
    leat_sql_pattern *pattern = new_pattern(p, LEAT_SQL_PATTERN_PERMUTE);
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    do
        *append(p, pattern->items, pattern->item_count) = parse_alternation(p);
    while (take(p, TOKEN_COMMA));
    expect_close(p, open);
    return pattern;
}

static leat_sql_pattern *parse_pattern_group(parser *p)
{
    uint32_t open = p->at;
    advance(p);
    leat_sql_pattern *pattern = at_kind(p, TOKEN_RIGHT) ? new_pattern(p, LEAT_SQL_PATTERN_EMPTY) : parse_alternation(p);
    pattern->grouped = true;
    expect_close(p, open);
    return pattern;
}

static leat_sql_pattern *parse_pattern_exclusion(parser *p)
{
    leat_sql_pattern *pattern = new_pattern(p, LEAT_SQL_PATTERN_EXCLUSION);
    advance(p);
    *append(p, pattern->items, pattern->item_count) = parse_alternation(p);
    expect(p, TOKEN_RIGHT_EXCLUSION);
    return pattern;
}

static leat_sql_pattern *parse_variable(parser *p)
{
    leat_sql_pattern *pattern = new_pattern(p, LEAT_SQL_PATTERN_VARIABLE);
    parse_name(p, "a pattern variable or '('", &pattern->variable);
    return pattern;
}

static leat_sql_pattern *parse_anchor(parser *p, leat_sql_pattern_kind kind)
{
    leat_sql_pattern *pattern = new_pattern(p, kind);
    advance(p);
    return pattern;
}

static leat_sql_pattern *parse_term(parser *p)
{
    if (at_kind(p, TOKEN_LEFT))
        return parse_pattern_group(p);
    if (at_kind(p, TOKEN_LEFT_EXCLUSION))
        return parse_pattern_exclusion(p);
    if (at_kind(p, TOKEN_CARET))
        return parse_anchor(p, LEAT_SQL_PATTERN_START);
    if (at_kind(p, TOKEN_DOLLAR))
        return parse_anchor(p, LEAT_SQL_PATTERN_END);
    return at_word(p, KW_PERMUTE) ? parse_permute(p) : parse_variable(p);
}

static leat_sql_pattern *parse_factor(parser *p)
{
    uint32_t first = p->at;
    leat_sql_pattern *term = parse_term(p);
    term->span = span_since(p, first);
    if (at_quantifier(p))
        term = parse_quantifier(p, term, first);
    if (at_quantifier(p))
        unexpected(p, "a variable, '|' or ')': a pattern has one quantifier only");
    return term;
}

static bool at_factor(const parser *p)
{
    return at_name(p, 0) || at_kind(p, TOKEN_LEFT) || at_kind(p, TOKEN_LEFT_EXCLUSION) || at_kind(p, TOKEN_CARET) ||
           at_kind(p, TOKEN_DOLLAR) || at_word(p, KW_PERMUTE);
}

static leat_sql_pattern *parse_sequence(parser *p)
{
    uint32_t first = p->at;
    leat_sql_pattern *factor = parse_factor(p);
    if (!at_factor(p))
        return factor;
    leat_sql_pattern *pattern = new_pattern(p, LEAT_SQL_PATTERN_SEQUENCE);
    *append(p, pattern->items, pattern->item_count) = factor;
    while (at_factor(p))
        *append(p, pattern->items, pattern->item_count) = parse_factor(p);
    pattern->span = span_since(p, first);
    return pattern;
}

static leat_sql_pattern *parse_alternation(parser *p)
{
    uint32_t first = p->at, outside = height_begin(p);
    leat_sql_pattern *pattern = NULL;
    if (enter(p)) {
        leat_sql_pattern *left = pattern = parse_sequence(p);
        if (at_kind(p, TOKEN_BAR)) {
            pattern = new_pattern(p, LEAT_SQL_PATTERN_ALTERNATION);
            *append(p, pattern->items, pattern->item_count) = left;
        }
        while (take(p, TOKEN_BAR))
            *append(p, pattern->items, pattern->item_count) = parse_sequence(p);
        pattern->span = span_since(p, first);
    } else {
        pattern = new_pattern(p, LEAT_SQL_PATTERN_EMPTY);
    }
    height_end(p, outside);
    leave(p);
    return pattern;
}

// ---- clauses

static void parse_measures(parser *p, leat_sql_match_recognize *match)
{
    uint32_t level = p->parentheses;
    do {
        leat_sql_measure *measure = append(p, match->measures, match->measure_count);
        leat_sql_token_kind next = token_ahead(p, 1)->kind;
        if ((at_word(p, KW_FINAL) || at_word(p, KW_RUNNING)) && (next == TOKEN_WORD || next == TOKEN_QUOTED) &&
            token_ahead(p, 1)->keyword != KW_AS) {
            measure->semantics = at_word(p, KW_FINAL) ? LEAT_SQL_FINAL : LEAT_SQL_RUNNING;
            advance(p);
        }
        measure->expr = parse_expr(p);
        if (expect_word(p, KW_AS))
            parse_name(p, "a measure's name", &measure->name);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
}

static void parse_rows_per_match(parser *p, leat_sql_match_recognize *match)
{
    uint32_t first = p->at;
    if (take_word(p, KW_ONE)) {
        expect_word(p, KW_ROW);
        match->rows = LEAT_SQL_ONE_ROW;
    } else if (take_word(p, KW_ALL)) {
        expect_word(p, KW_ROWS);
        match->rows = LEAT_SQL_ALL_ROWS;
    } else {
        return;
    }
    expect_word(p, KW_PER);
    expect_word(p, KW_MATCH);
    if (match->rows == LEAT_SQL_ALL_ROWS) {
        if (take_word(p, KW_SHOW))
            match->rows = LEAT_SQL_ALL_ROWS_SHOW_EMPTY;
        else if (take_word(p, KW_OMIT))
            match->rows = LEAT_SQL_ALL_ROWS_OMIT_EMPTY;
        else if (take_word(p, KW_WITH))
            match->rows = LEAT_SQL_ALL_ROWS_WITH_UNMATCHED;
        if (match->rows == LEAT_SQL_ALL_ROWS_WITH_UNMATCHED) {
            expect_word(p, KW_UNMATCHED);
            expect_word(p, KW_ROWS);
        } else if (match->rows != LEAT_SQL_ALL_ROWS) {
            expect_word(p, KW_EMPTY);
            expect_word(p, KW_MATCHES);
        }
    }
    match->rows_span = span_since(p, first);
}

static void parse_skip_to(parser *p, leat_sql_match_recognize *match)
{
    if (take_words(p, KW_NEXT, KW_ROW)) {
        match->skip = LEAT_SQL_SKIP_TO_NEXT_ROW;
        return;
    }
    bool named = token_ahead(p, 1)->kind == TOKEN_WORD || token_ahead(p, 1)->kind == TOKEN_QUOTED ||
                 token_ahead(p, 1)->kind == TOKEN_PARAMETER;
    bool clause = at_words(p, KW_LAST, KW_PATTERN) || at_words(p, KW_FIRST, KW_PATTERN);
    match->skip = LEAT_SQL_SKIP_TO_LAST;
    if (named && !clause && take_word(p, KW_FIRST))
        match->skip = LEAT_SQL_SKIP_TO_FIRST;
    else if (named && !clause)
        take_word(p, KW_LAST);
    parse_name(p, "NEXT ROW, FIRST, LAST or a pattern variable", &match->skip_to);
}

static void parse_after_match(parser *p, leat_sql_match_recognize *match)
{
    uint32_t first = p->at;
    if (!take_word(p, KW_AFTER))
        return;
    expect_word(p, KW_MATCH);
    expect_word(p, KW_SKIP);
    if (take_word(p, KW_TO)) {
        parse_skip_to(p, match);
    } else if (take_word(p, KW_PAST)) {
        expect_word(p, KW_LAST);
        expect_word(p, KW_ROW);
        match->skip = LEAT_SQL_SKIP_PAST_LAST_ROW;
    } else {
        unexpected(p, "TO or PAST");
    }
    match->skip_span = span_since(p, first);
}

static void parse_pattern_clause(parser *p, leat_sql_match_recognize *match)
{
    if (!take_word(p, KW_PATTERN)) {
        unexpected(p, "MEASURES, ONE ROW PER MATCH, AFTER MATCH or PATTERN");
        return;
    }
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    match->pattern = at_kind(p, TOKEN_RIGHT) ? new_pattern(p, LEAT_SQL_PATTERN_EMPTY) : parse_alternation(p);
    if (!at_kind(p, TOKEN_RIGHT))
        unexpected(p, "a pattern variable, a quantifier, '|' or ')'");
    expect_close(p, open);
    if (take_word(p, KW_WITHIN))
        match->within = parse_operand(p);
}

static void parse_subsets(parser *p, leat_sql_match_recognize *match)
{
    uint32_t level = p->parentheses;
    if (!take_word(p, KW_SUBSET))
        return;
    do {
        leat_sql_subset *subset = append(p, match->subsets, match->subset_count);
        if (parse_name(p, "a subset's name", &subset->name) && expect(p, TOKEN_EQUAL))
            subset->members = parse_name_list(p);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
}

static void parse_defines(parser *p, leat_sql_match_recognize *match)
{
    uint32_t level = p->parentheses;
    if (!take_word(p, KW_DEFINE))
        return;
    do {
        leat_sql_define *define = append(p, match->defines, match->define_count);
        if (parse_name(p, "a pattern variable", &define->variable) && expect_word(p, KW_AS))
            define->condition = parse_expr(p);
        recover(p, level);
    } while (take(p, TOKEN_COMMA));
}

leat_sql_match_recognize *parse_match(parser *p)
{
    leat_sql_match_recognize *match = leat_arena_new(p->arena, leat_sql_match_recognize);
    uint32_t first = p->at;
    advance(p);
    uint32_t open = p->at;
    expect(p, TOKEN_LEFT);
    uint32_t level = p->parentheses;
    if (take_words(p, KW_PARTITION, KW_BY))
        match->partition_by = parse_exprs(p);
    if (take_words(p, KW_ORDER, KW_BY))
        match->order_by = parse_order_items(p);
    recover(p, level);
    if (take_word(p, KW_MEASURES))
        parse_measures(p, match);
    parse_rows_per_match(p, match);
    recover(p, level);
    parse_after_match(p, match);
    recover(p, level);
    parse_pattern_clause(p, match);
    recover(p, level);
    parse_subsets(p, match);
    parse_defines(p, match);
    if (!take(p, TOKEN_RIGHT)) {
        if (at_kind(p, TOKEN_END) && !p->panic)
            expect_close(p, open);
        unexpected(p, "DEFINE, SUBSET, WITHIN, AND, OR, ',' or ')'");
    }
    match->span = span_since(p, first);
    return match;
}
