#include "config/sql/parser_state.h"

#include "operators/base/suggest.h"

#include <stdarg.h>
#include <stdio.h>

// ---- diagnostics

static size_t cut_at_character(const char *text, size_t size)
{
    while (size && ((unsigned char)text[size] & 0xC0) == 0x80)
        size--;
    return size;
}

__attribute__((format(printf, 3, 0))) static void diagnose_list(leat_sql_diagnostics *diagnostics, leat_sql_span span,
                                                                const char *format, va_list arguments)
{
    if (diagnostics->count == LEAT_SQL_DIAGNOSTICS_MAX)
        return;
    leat_sql_diagnostic *diagnostic = &diagnostics->items[diagnostics->count++];
    diagnostic->span = span;
    char text[LEAT_SQL_MESSAGE_SIZE + 4];
    int size = vsnprintf(text, sizeof text, format, arguments);
    size_t kept = size < 0 ? 0 : (size_t)size;
    if (kept >= LEAT_SQL_MESSAGE_SIZE)
        kept = cut_at_character(text, LEAT_SQL_MESSAGE_SIZE - 1);
    memcpy(diagnostic->message, text, kept);
    diagnostic->message[kept] = 0;
}

void leat_sql_diagnose(leat_sql_diagnostics *diagnostics, leat_sql_span span, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    diagnose_list(diagnostics, span, format, arguments);
    va_end(arguments);
}

void error_at(parser *p, leat_sql_span span, const char *format, ...)
{
    if (p->panic)
        return;
    p->panic = p->failed = true;
    va_list arguments;
    va_start(arguments, format);
    diagnose_list(p->diagnostics, span, format, arguments);
    va_end(arguments);
}

enum { CANDIDATES_MAX = 24, WORD_MAX = 40, QUOTE_MAX = 48 };

// The words in capitals of "FROM, WHERE or the end".
static size_t expected_words(const char *expected, leat_slice out[CANDIDATES_MAX])
{
    size_t count = 0;
    while (*expected && count < CANDIDATES_MAX) {
        size_t size = strspn(expected, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
        if (size > 1)
            out[count++] = leat_slice_of(expected, size);
        expected += size ? size : 1;
    }
    return count;
}

static bool suggest_word(const parser *p, const leat_sql_token *token, const char *expected, char out_text[128])
{
    leat_slice candidates[CANDIDATES_MAX], source = token_source(p, token);
    size_t count = expected_words(expected, candidates);
    char word[WORD_MAX];
    *out_text = 0;
    bool reserved = leat_sql_keyword_class_of(token->keyword) == KEYWORD_RESERVED; // spelt well, in the wrong place
    if (token->kind != TOKEN_WORD || reserved || source.size < 3 || source.size >= sizeof word)
        return false;
    for (size_t i = 0; i < source.size; i++)
        word[i] = (char)(source.data[i] >= 'a' && source.data[i] <= 'z' ? source.data[i] - 'a' + 'A' : source.data[i]);
    for (size_t i = 0; i < count; i++)
        if (leat_slice_equal(candidates[i], leat_slice_of(word, source.size)))
            return false;
    leat_suggest_text(leat_slice_of(word, source.size), candidates, count, out_text);
    return *out_text;
}

// `SELECT a FORM t`: FORM was taken for a's alias and t is in the way; what is meant is the word before.
static const leat_sql_token *misspelt(const parser *p, const char *expected, char out_text[128])
{
    const leat_sql_token *token = current(p), *before = p->at ? &p->tokens[p->at - 1] : NULL;
    if (suggest_word(p, token, expected, out_text))
        return token;
    if (before && before->keyword == NO_KEYWORD && suggest_word(p, before, expected, out_text))
        return before;
    return token;
}

__attribute__((noinline)) static void unexpected_of(parser *p, const char *expected, const char *candidates)
{
    if (p->panic)
        return;
    if (current(p)->kind == TOKEN_BAD) { // the lexer has reported it
        p->panic = p->failed = true;
        return;
    }
    char suggestion[128];
    const leat_sql_token *token = misspelt(p, candidates, suggestion);
    if (token->kind == TOKEN_END) {
        error_at(p, token_span(p, token), "found the end of the text, expected %s", expected);
        return;
    }
    leat_slice source = token_source(p, token);
    bool cut = source.size > QUOTE_MAX;
    size_t size = cut ? cut_at_character(source.data, QUOTE_MAX) : source.size;
    error_at(p, token_span(p, token),
             token->kind == TOKEN_STRING ? "found %.*s%s, expected %s%s" : "found '%.*s'%s, expected %s%s", (int)size,
             source.data, cut ? ".." : "", expected, suggestion);
}

void unexpected(parser *p, const char *expected) { unexpected_of(p, expected, expected); }

// ---- tokens

static const leat_sql_token end_token = {.kind = TOKEN_END};

const leat_sql_token *token_ahead(const parser *p, uint32_t ahead)
{
    if (p->panic)
        return &end_token;
    return ahead < p->count - p->at ? &p->tokens[p->at + ahead] : &p->tokens[p->count - 1];
}

void advance(parser *p)
{
    uint16_t kind = p->tokens[p->at].kind;
    if (p->panic || kind == TOKEN_END)
        return;
    p->at++;
    if (kind == TOKEN_LEFT)
        p->parentheses++;
    else if (kind == TOKEN_RIGHT && p->parentheses)
        p->parentheses--;
}

bool take(parser *p, leat_sql_token_kind kind)
{
    if (p->panic || !at_kind(p, kind))
        return false;
    advance(p);
    return true;
}

bool take_word(parser *p, leat_sql_keyword keyword)
{
    if (!at_word(p, keyword))
        return false;
    advance(p);
    return true;
}

bool take_words(parser *p, leat_sql_keyword first, leat_sql_keyword second)
{
    if (!at_words(p, first, second))
        return false;
    advance(p);
    advance(p);
    return true;
}

bool expect(parser *p, leat_sql_token_kind kind)
{
    if (take(p, kind))
        return true;
    unexpected(p, leat_sql_token_kind_text(kind));
    return false;
}

bool expect_word(parser *p, leat_sql_keyword keyword)
{
    if (take_word(p, keyword))
        return true;
    unexpected(p, leat_sql_keyword_text(keyword));
    return false;
}

bool expect_close(parser *p, uint32_t open)
{
    if (take(p, TOKEN_RIGHT))
        return true;
    if (at_kind(p, TOKEN_END) && !p->panic)
        error_at(p, token_span(p, &p->tokens[open]), "'(' is not closed, expected ')' before the end of the text");
    unexpected(p, "',' or ')'");
    return false;
}

static bool is_next(const parser *p, leat_sql_keyword keyword) { return token_ahead(p, 1)->keyword == keyword; }

static bool is_number_next(const parser *p)
{
    const leat_sql_token *token = token_ahead(p, 1);
    return token->kind == TOKEN_INTEGER || token->kind == TOKEN_PARAMETER || token->keyword == KW_ALL;
}

// A word that starts a clause; those that are likely names too only with what follows them there, else they are somebody's
// forgotten backticks.
static bool at_clause(const parser *p)
{
    switch ((int)current(p)->keyword) {
    case KW_GROUP:
    case KW_ORDER:
        return is_next(p, KW_BY);
    case KW_ONE:
        return is_next(p, KW_ROW);
    case KW_AFTER:
        return is_next(p, KW_MATCH);
    case KW_FETCH:
        return is_next(p, KW_FIRST) || is_next(p, KW_NEXT);
    case KW_LIMIT:
    case KW_OFFSET:
        return is_number_next(p);
    case KW_PATTERN:
        return token_ahead(p, 1)->kind == TOKEN_LEFT;
    case KW_WITHIN:
        return is_next(p, KW_INTERVAL);
    case KW_FROM:
    case KW_WHERE:
    case KW_HAVING:
    case KW_WINDOW:
    case KW_QUALIFY:
    case KW_UNION:
    case KW_INTERSECT:
    case KW_EXCEPT:
    case KW_SELECT:
    case KW_MEASURES:
    case KW_SUBSET:
    case KW_DEFINE:
        return true;
    default:
        return false;
    }
}

bool recover(parser *p, uint32_t parentheses)
{
    if (!p->panic || p->fatal)
        return p->panic;
    p->panic = false;
    for (;; advance(p)) {
        const leat_sql_token *token = current(p);
        if (token->kind == TOKEN_END || token->kind == TOKEN_SEMICOLON || p->parentheses < parentheses)
            return true;
        if (p->parentheses == parentheses && (token->kind == TOKEN_COMMA || token->kind == TOKEN_RIGHT || at_clause(p)))
            return true;
    }
}

// ---- bounds

static void too_deep(parser *p, const char *what, int limit)
{
    error_at(p, here(p), "%s: more than %d", what, limit);
    p->fatal = true;
}

bool enter(parser *p)
{
    if (++p->depth > LEAT_SQL_DEPTH && !p->panic)
        too_deep(p, "nested too deep", LEAT_SQL_DEPTH);
    return !p->panic;
}

void leave(parser *p) { p->depth--; }

uint32_t height_begin(parser *p)
{
    uint32_t outside = p->height;
    p->height = 0;
    return outside;
}

void height_add(parser *p)
{
    if (++p->height > LEAT_SQL_HEIGHT - LEAT_SQL_DEPTH && !p->panic)
        too_deep(p, "too many operators in a row, break them up with parentheses, IN or a view",
                 LEAT_SQL_HEIGHT - LEAT_SQL_DEPTH);
}

void height_end(parser *p, uint32_t outside)
{
    height_add(p);
    if (p->height < outside)
        p->height = outside;
}

// ---- places

leat_sql_span token_span(const parser *p, const leat_sql_token *token)
{
    return (leat_sql_span){token->offset, token->size, p->origin};
}

leat_sql_span here(const parser *p) { return token_span(p, &p->tokens[p->at]); }

leat_sql_span span_since(const parser *p, uint32_t first)
{
    const leat_sql_token *start = &p->tokens[first], *last = p->at > first ? &p->tokens[p->at - 1] : start;
    return (leat_sql_span){start->offset, last->offset + last->size - start->offset, p->origin};
}

leat_slice token_source(const parser *p, const leat_sql_token *token)
{
    return leat_slice_of(p->text.data + token->offset, token->size);
}

leat_slice token_text(const parser *p, const leat_sql_token *token)
{
    return leat_sql_token_text(p->arena, p->text, token);
}

void *list_grow(parser *p, void *items, uint32_t count, size_t size)
{
    bool full = count == 0 || (count >= 4 && (count & (count - 1)) == 0);
    if (!full)
        return items;
    void *larger = leat_arena_calloc(p->arena, size * (count ? count * 2 : 4));
    if (count)
        memcpy(larger, items, size * count);
    return larger;
}

// ---- names

bool at_name(const parser *p, uint32_t ahead)
{
    const leat_sql_token *token = token_ahead(p, ahead);
    if (token->kind == TOKEN_WORD)
        return leat_sql_keyword_class_of(token->keyword) == KEYWORD_FREE;
    return token->kind == TOKEN_QUOTED || token->kind == TOKEN_PARAMETER;
}

static void take_name(parser *p, leat_sql_name *out)
{
    const leat_sql_token *token = current(p);
    *out = (leat_sql_name){.text = token_text(p, token),
                           .span = here(p),
                           .quoted = token->kind == TOKEN_QUOTED,
                           .is_parameter = token->kind == TOKEN_PARAMETER};
    advance(p);
}

bool parse_name(parser *p, const char *expected, leat_sql_name *out)
{
    const leat_sql_token *token = current(p);
    if (!at_name(p, 0)) {
        char suggestion[128];
        leat_slice source = token_source(p, token);
        if (token->kind == TOKEN_WORD && !at_clause(p) && !suggest_word(p, token, expected, suggestion))
            error_at(p, here(p), "'%.*s' is a reserved word, expected %s; write `%.*s` if it is one", (int)source.size,
                     source.data, expected, (int)source.size, source.data);
        unexpected(p, expected);
        return false;
    }
    take_name(p, out);
    return true;
}

bool parse_argument_name(parser *p, leat_sql_name *out)
{
    if (current(p)->kind != TOKEN_WORD)
        return parse_name(p, "an argument's name", out);
    take_name(p, out);
    return true;
}

leat_sql_path parse_path(parser *p, const char *expected)
{
    leat_sql_path path = {0};
    uint32_t first = p->at;
    leat_sql_name name;
    if (!parse_name(p, expected, &name))
        return path;
    *append(p, path.parts, path.count) = name;
    while (at_kind(p, TOKEN_DOT) && token_ahead(p, 1)->kind != TOKEN_STAR) {
        advance(p);
        if (!parse_name(p, "a name after '.'", &name))
            break;
        *append(p, path.parts, path.count) = name;
    }
    path.span = span_since(p, first);
    return path;
}

leat_sql_names parse_name_list(parser *p)
{
    leat_sql_names names = {0};
    uint32_t open = p->at;
    if (!expect(p, TOKEN_LEFT))
        return names;
    do {
        leat_sql_name name;
        if (!parse_name(p, "a name", &name))
            return names;
        *append(p, names.items, names.count) = name;
    } while (take(p, TOKEN_COMMA));
    expect_close(p, open);
    return names;
}

bool parse_count(parser *p, const char *expected, uint32_t *out)
{
    leat_slice text = token_source(p, current(p));
    if (!at_kind(p, TOKEN_INTEGER)) {
        unexpected(p, expected);
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.size && value <= INT32_MAX; i++)
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    if (value > INT32_MAX) {
        error_at(p, here(p), "%s is at most %d", expected, INT32_MAX);
        return false;
    }
    *out = (uint32_t)value;
    advance(p);
    return true;
}

// ---- statements

#define STATEMENT_WORDS "SELECT, WITH or CREATE VIEW"

static void parse_create_view(parser *p, leat_sql_statement *statement)
{
    statement->kind = LEAT_SQL_STATEMENT_CREATE_VIEW;
    uint32_t first = p->at - 1;
    statement->or_replace = take_words(p, KW_OR, KW_REPLACE);
    statement->temporary = take_word(p, KW_TEMPORARY);
    if (!at_word(p, KW_VIEW) && at_kind(p, TOKEN_WORD)) {
        char suggestion[128];
        leat_slice what = token_source(p, current(p));
        if (!suggest_word(p, current(p), "VIEW", suggestion))
            error_at(p, span_since(p, first),
                     "CREATE %.*s is not for a rule's SQL: sources and sinks are declared in YAML; only CREATE VIEW is",
                     (int)what.size, what.data);
    }
    if (!expect_word(p, KW_VIEW))
        return;
    if (take_word(p, KW_IF)) {
        expect_word(p, KW_NOT);
        expect_word(p, KW_EXISTS);
        statement->if_not_exists = true;
    }
    statement->target = parse_path(p, "the view's name");
    if (at_kind(p, TOKEN_LEFT))
        statement->columns = parse_name_list(p);
    if (expect_word(p, KW_AS))
        statement->query = parse_query(p);
}

static void parse_insert(parser *p, leat_sql_statement *statement)
{
    statement->kind = LEAT_SQL_STATEMENT_INSERT;
    statement->overwrite = take_word(p, KW_OVERWRITE);
    if (!statement->overwrite && !expect_word(p, KW_INTO))
        return;
    statement->target = parse_path(p, "a table");
    if (at_kind(p, TOKEN_LEFT) && !at_query_in_parentheses(p))
        statement->columns = parse_name_list(p);
    statement->query = parse_query(p);
}

static bool refuse_statement(parser *p)
{
    switch ((int)current(p)->keyword) {
    case KW_DROP:
    case KW_ALTER:
    case KW_EXPLAIN:
    case KW_DESCRIBE:
    case KW_SET:
    case KW_RESET:
    case KW_SHOW:
    case KW_USE:
    case KW_DELETE:
    case KW_UPDATE:
    case KW_MERGE:
    case KW_TRUNCATE:
    case KW_EXECUTE:
    case KW_BEGIN:
    case KW_CALL: {
        leat_slice what = token_source(p, current(p));
        error_at(p, here(p), "%.*s is not for a rule's SQL, expected " STATEMENT_WORDS, (int)what.size, what.data);
        return true;
    }
    default:
        return false;
    }
}

// What other dialects have at this place.
static bool refuse_word(parser *p)
{
    static const struct {
        const char *word, *instead;
    } words[] = {
        {"TABLESAMPLE", "write WHERE RAND() < 0.1"},
        {"ILIKE", "write LOWER(x) LIKE .."},
        {"UNPIVOT", "write a UNION ALL"},
        {"EMIT", "windows give results at their end; the rule's `emit_every` and `emit_count` say otherwise"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words && at_kind(p, TOKEN_WORD); i++) {
        leat_slice what = token_source(p, current(p));
        if (!leat_slice_is_nocase(what, words[i].word))
            continue;
        error_at(p, here(p), "%s is not in leat: %s", words[i].word, words[i].instead);
        return true;
    }
    return false;
}

static void parse_statement(parser *p, leat_sql_statement *statement)
{
    uint32_t first = p->at;
    if (refuse_statement(p))
        return;
    if (take_word(p, KW_CREATE))
        parse_create_view(p, statement);
    else if (take_word(p, KW_INSERT))
        parse_insert(p, statement);
    else if (at_query(p, 0) || at_kind(p, TOKEN_LEFT))
        statement->query = parse_query(p);
    else
        unexpected(p, STATEMENT_WORDS);
    statement->span = span_since(p, first);
    if (at_kind(p, TOKEN_RIGHT))
        error_at(p, here(p), "found ')', but no '(' is open");
    if (!refuse_word(p) && !at_kind(p, TOKEN_END) && !at_kind(p, TOKEN_SEMICOLON))
        unexpected_of(p, "',', a clause as WHERE or GROUP BY, or the end",
                      "FROM WHERE GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH UNION INTERSECT EXCEPT JOIN INNER LEFT "
                      "RIGHT FULL CROSS "
                      "MATCH_RECOGNIZE");
}

static void skip_statement(parser *p)
{
    p->panic = p->fatal;
    while (!at_kind(p, TOKEN_END) && !at_kind(p, TOKEN_SEMICOLON))
        advance(p);
}

// ---- entry

static bool parser_init(parser *p, leat_arena *arena, leat_slice text, uint32_t origin,
                        leat_sql_diagnostics *diagnostics)
{
    *p = (parser){.arena = arena, .text = text, .origin = origin, .diagnostics = diagnostics};
    leat_sql_token *tokens;
    leat_arena_init(&p->token_arena, arena->env, 0);
    p->failed = !leat_sql_lex(&p->token_arena, text, origin, &tokens, &p->count, diagnostics);
    p->tokens = tokens;
    return !(p->failed && p->count == 1);
}

// Gives the tokens back. Errors of the lexer come before those of the parser: puts them in text order.
static leat_code parser_finish(parser *p, uint32_t first)
{
    leat_arena_fini(&p->token_arena);
    leat_sql_diagnostic *items = p->diagnostics->items, item;
    for (uint32_t i = first + 1; i < p->diagnostics->count; i++) {
        item = items[i];
        uint32_t j = i;
        for (; j > first && items[j - 1].span.offset > item.span.offset; j--)
            items[j] = items[j - 1];
        items[j] = item;
    }
    return p->failed ? LEAT_E_INVALID : LEAT_OK;
}

static void parse_script(parser *p, leat_sql_script *script)
{
    while (take(p, TOKEN_SEMICOLON))
        ;
    while (!at_kind(p, TOKEN_END)) {
        p->parentheses = p->depth = p->height = 0;
        parse_statement(p, append(p, script->statements, script->count));
        skip_statement(p);
        while (take(p, TOKEN_SEMICOLON))
            ;
    }
    if (!script->count)
        unexpected(p, STATEMENT_WORDS);
}

leat_code leat_sql_parse_statements(leat_arena *arena, leat_slice text, leat_sql_script **out_script,
                                    leat_sql_diagnostics *out_diagnostics)
{
    parser p;
    uint32_t first = out_diagnostics->count;
    leat_sql_script *script = leat_arena_new(arena, leat_sql_script);
    script->text = text;
    if (parser_init(&p, arena, text, 0, out_diagnostics))
        parse_script(&p, script);
    leat_code code = parser_finish(&p, first);
    if (!code)
        *out_script = script;
    return code;
}

leat_code leat_sql_parse_expression(leat_arena *arena, leat_slice text, uint32_t origin, leat_sql_expr **out_expr,
                                    leat_sql_diagnostics *out_diagnostics)
{
    parser p;
    uint32_t first = out_diagnostics->count;
    leat_sql_expr *expr = NULL;
    if (parser_init(&p, arena, text, origin, out_diagnostics)) {
        expr = parse_expr(&p);
        if (!at_kind(&p, TOKEN_END))
            unexpected(&p, "AND, OR, an operator or the end");
    }
    leat_code code = parser_finish(&p, first);
    if (!code)
        *out_expr = expr;
    return code;
}

leat_code leat_sql_parse_type(leat_arena *arena, leat_slice text, uint32_t origin, leat_sql_type **out_type,
                              leat_sql_diagnostics *out_diagnostics)
{
    parser p;
    uint32_t first = out_diagnostics->count;
    leat_sql_type *type = NULL;
    if (parser_init(&p, arena, text, origin, out_diagnostics)) {
        type = parse_type(&p);
        if (!at_kind(&p, TOKEN_END))
            unexpected(&p, "the end of the type");
    }
    leat_code code = parser_finish(&p, first);
    if (!code)
        *out_type = type;
    return code;
}
