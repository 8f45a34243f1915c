// What the files of the parser share: the place in the tokens, errors and recovery, bounds.
//
// Panic: after an error the current token reads as END until recover() is called, so that every loop and every take()
// stops by itself and nothing is reported twice. A parse function then returns a node that may be half filled and is never
// read: a text with an error gives no tree. The functions that read lists of clauses recover.
//
// Bounds: enter() counts what nests in the recursion. A chain (`a + b + c ..`) does not nest but makes a high tree, so
// each level hands the height of its tree up in `height`.
#pragma once

#include "config/sql/lexer.h"

#include <string.h>

// Short in the parser's files, long for the linker: a bare `leave` could meet a namesake.
#define take leat_sql_parser_take
#define take_word leat_sql_parser_take_word
#define take_words leat_sql_parser_take_words
#define advance leat_sql_parser_advance
#define at_name leat_sql_parser_at_name
#define at_query leat_sql_parser_at_query
#define at_query_in_parentheses leat_sql_parser_at_query_in_parentheses
#define enter leat_sql_parser_enter
#define error_at leat_sql_parser_error_at
#define expect leat_sql_parser_expect
#define expect_close leat_sql_parser_expect_close
#define expect_word leat_sql_parser_expect_word
#define height_add leat_sql_parser_height_add
#define height_begin leat_sql_parser_height_begin
#define height_end leat_sql_parser_height_end
#define here leat_sql_parser_here
#define leave leat_sql_parser_leave
#define list_grow leat_sql_parser_list_grow
#define new_expr leat_sql_parser_new_expr
#define parse_call leat_sql_parser_parse_call
#define parse_call_suffix leat_sql_parser_parse_call_suffix
#define parse_count leat_sql_parser_parse_count
#define parse_expr leat_sql_parser_parse_expr
#define parse_exprs leat_sql_parser_parse_exprs
#define parse_filter leat_sql_parser_parse_filter
#define parse_from leat_sql_parser_parse_from
#define parse_hints leat_sql_parser_parse_hints
#define parse_interval_qualifier leat_sql_parser_parse_interval_qualifier
#define parse_json leat_sql_parser_parse_json
#define parse_literal leat_sql_parser_parse_literal
#define parse_match leat_sql_parser_parse_match
#define parse_name leat_sql_parser_parse_name
#define parse_name_list leat_sql_parser_parse_name_list
#define parse_operand leat_sql_parser_parse_operand
#define parse_order_items leat_sql_parser_parse_order_items
#define parse_path leat_sql_parser_parse_path
#define parse_primary leat_sql_parser_parse_primary
#define parse_query leat_sql_parser_parse_query
#define parse_special_call leat_sql_parser_parse_special_call
#define parse_type leat_sql_parser_parse_type
#define parse_unit leat_sql_parser_parse_unit
#define parse_window leat_sql_parser_parse_window
#define recover leat_sql_parser_recover
#define span_since leat_sql_parser_span_since
#define token_ahead leat_sql_parser_token_ahead
#define token_source leat_sql_parser_token_source
#define token_span leat_sql_parser_token_span
#define token_text leat_sql_parser_token_text
#define unexpected leat_sql_parser_unexpected

typedef struct parser {
    leat_arena *arena;
    leat_slice text;
    uint32_t origin;
    leat_arena token_arena; // given back when the text is parsed
    const leat_sql_token *tokens;
    uint32_t count, at;
    uint32_t parentheses; // open ones, for recovery
    uint32_t depth, height;
    bool panic, fatal, failed;
    leat_sql_diagnostics *diagnostics;
} parser;

const leat_sql_token *token_ahead(const parser *p, uint32_t ahead); // END in panic and past the end
static inline const leat_sql_token *current(const parser *p) { return token_ahead(p, 0); }
void advance(parser *p);

static inline bool at_kind(const parser *p, leat_sql_token_kind kind) { return current(p)->kind == kind; }
static inline bool at_word(const parser *p, leat_sql_keyword keyword) { return current(p)->keyword == keyword; }
static inline bool at_words(const parser *p, leat_sql_keyword first, leat_sql_keyword second)
{
    return at_word(p, first) && token_ahead(p, 1)->keyword == second;
}
bool take(parser *p, leat_sql_token_kind kind);
bool take_word(parser *p, leat_sql_keyword keyword);
bool take_words(parser *p, leat_sql_keyword first, leat_sql_keyword second); // both or none
bool expect(parser *p, leat_sql_token_kind kind);
bool expect_word(parser *p, leat_sql_keyword keyword);
bool expect_close(parser *p, uint32_t open); // ')', open: index of the token '('

// "found 'x', expected EXPECTED (did you mean 'Y'?)"; words in capitals of `expected` are what could have been meant.
void unexpected(parser *p, const char *expected);
void error_at(parser *p, leat_sql_span span, const char *format, ...) LEAT_PRINTF(3, 4);
// After an error: on to the next ',' , clause keyword or ')' of the level with that many open parentheses. True when there was one.
bool recover(parser *p, uint32_t parentheses);

bool enter(parser *p); // false: too deep, reported
void leave(parser *p);
uint32_t height_begin(parser *p);             // start of a level: keep the result
void height_add(parser *p);                   // one more on top of what was parsed in this level
void height_end(parser *p, uint32_t outside); // end of a level

leat_sql_span token_span(const parser *p, const leat_sql_token *token);
leat_sql_span here(const parser *p);                       // of the current token
leat_sql_span span_since(const parser *p, uint32_t first); // from token `first` to the last one taken
leat_slice token_source(const parser *p, const leat_sql_token *token);
leat_slice token_text(const parser *p, const leat_sql_token *token);

// Lists grow in the arena: *append(p, items, count) = item.
void *list_grow(parser *p, void *items, uint32_t count, size_t size);
#define append(p, items, count) ((items) = list_grow((p), (items), (count), sizeof *(items)), &(items)[(count)++])

// ---- names (parser.c)
bool at_name(const parser *p, uint32_t ahead); // a name that needs no backticks, a quoted one, a parameter
bool parse_name(parser *p, const char *expected, leat_sql_name *out);
// Before `=>` any word is a name, reserved or not: functions call their arguments `value` and `end`.
bool parse_argument_name(parser *p, leat_sql_name *out);
leat_sql_path parse_path(parser *p, const char *expected);
leat_sql_names parse_name_list(parser *p); // ( a, b )
bool parse_count(parser *p, const char *expected, uint32_t *out);

// ---- expressions
leat_sql_expr *new_expr(parser *p, leat_sql_expr_kind kind);
leat_sql_expr *parse_expr(parser *p);
leat_sql_exprs parse_exprs(parser *p);   // a, b, c
leat_sql_expr *parse_operand(parser *p); // binds tighter than AND and comparisons
leat_sql_expr *parse_primary(parser *p);
leat_sql_expr *parse_literal(parser *p); // NULL when the current token starts none
bool parse_interval_qualifier(parser *p, leat_sql_interval_qualifier *out);
leat_sql_unit parse_unit(parser *p, leat_sql_span *out_span);
leat_sql_expr *parse_call(parser *p, leat_sql_path name, uint32_t first); // at '('
leat_sql_expr *parse_special_call(parser *p); // functions with words inside; NULL when the current token starts none
leat_sql_expr *parse_json(parser *p);         // the same
void parse_call_suffix(parser *p, leat_sql_call *call);
leat_sql_expr *parse_filter(parser *p);
leat_sql_type *parse_type(parser *p);

// ---- queries
bool at_query(const parser *p, uint32_t ahead); // SELECT, WITH, VALUES
bool at_query_in_parentheses(const parser *p);  // ( .. ( SELECT
leat_sql_query *parse_query(parser *p);
leat_sql_table_ref *parse_from(parser *p);
leat_sql_order parse_order_items(parser *p);
leat_sql_window *parse_window(parser *p, bool reference); // after OVER, after w AS
leat_sql_hints parse_hints(parser *p);
leat_sql_match_recognize *parse_match(parser *p);
