// Text to tokens, all at once: the parser looks back and ahead as it likes.
//
// A token is a place, not a value: text is unescaped by leat_sql_token_text when a node needs it. Comments and white space are
// gone, hints `/*+ .. */` stay as tokens. Ownership: tokens in the arena. Failure: diagnostics; the tokens then end early or
// hold TOKEN_BAD, which the parser passes over silently. Limits: LEAT_SQL_TOKENS.
#pragma once

#include "config/sql/parser.h"

// Keywords and tokens are private to config/sql, so their names are short.
typedef enum leat_sql_keyword {
    NO_KEYWORD,
#define X(word, class) KW_##word,
#include "config/sql/keywords.def"
#undef X
    KEYWORD_COUNT
} leat_sql_keyword;

typedef enum leat_sql_keyword_class { KEYWORD_RESERVED, KEYWORD_FUNCTION, KEYWORD_FREE } leat_sql_keyword_class;

const char *leat_sql_keyword_text(leat_sql_keyword keyword);
leat_sql_keyword_class leat_sql_keyword_class_of(leat_sql_keyword keyword);
leat_sql_keyword leat_sql_keyword_find(leat_slice word); // without case; NO_KEYWORD when it is none

#define LEAT_SQL_TOKEN_KINDS(X)                                                                                        \
    X(END, "the end")                                                                                                  \
    X(BAD, "")                                                                                                         \
    X(WORD, "a name")                                                                                                  \
    X(QUOTED, "a name")                                                                                                \
    X(PARAMETER, "a parameter")                                                                                        \
    X(INTEGER, "a number")                                                                                             \
    X(DECIMAL, "a number")                                                                                             \
    X(APPROXIMATE, "a number")                                                                                         \
    X(STRING, "a string")                                                                                              \
    X(BINARY, "a binary string")                                                                                       \
    X(UNICODE, "a string")                                                                                             \
    X(LEFT, "'('")                                                                                                     \
    X(RIGHT, "')'")                                                                                                    \
    X(LEFT_BRACKET, "'['")                                                                                             \
    X(RIGHT_BRACKET, "']'")                                                                                            \
    X(LEFT_BRACE, "'{'")                                                                                               \
    X(RIGHT_BRACE, "'}'")                                                                                              \
    X(LEFT_EXCLUSION, "'{-'")                                                                                          \
    X(RIGHT_EXCLUSION, "'-}'")                                                                                         \
    X(COMMA, "','")                                                                                                    \
    X(DOT, "'.'")                                                                                                      \
    X(SEMICOLON, "';'")                                                                                                \
    X(PLUS, "'+'")                                                                                                     \
    X(MINUS, "'-'")                                                                                                    \
    X(STAR, "'*'")                                                                                                     \
    X(SLASH, "'/'")                                                                                                    \
    X(PERCENT, "'%'")                                                                                                  \
    X(CONCAT, "'||'")                                                                                                  \
    X(BAR, "'|'")                                                                                                      \
    X(EQUAL, "'='")                                                                                                    \
    X(NOT_EQUAL, "'<>'")                                                                                               \
    X(LESS, "'<'")                                                                                                     \
    X(LESS_EQUAL, "'<='")                                                                                              \
    X(GREATER, "'>'")                                                                                                  \
    X(GREATER_EQUAL, "'>='")                                                                                           \
    X(ARROW, "'=>'")                                                                                                   \
    X(QUESTION, "'?'")                                                                                                 \
    X(CARET, "'^'")                                                                                                    \
    X(DOLLAR, "'$'")                                                                                                   \
    X(COLON, "':'")                                                                                                    \
    X(HINT_OPEN, "'/*+'")                                                                                              \
    X(HINT_CLOSE, "'*/'")

typedef enum leat_sql_token_kind {
#define X(name, text) TOKEN_##name,
    LEAT_SQL_TOKEN_KINDS(X)
#undef X
        TOKEN_KIND_COUNT
} leat_sql_token_kind;

const char *leat_sql_token_kind_text(leat_sql_token_kind kind); // "a name", "'('"

typedef struct leat_sql_token {
    uint32_t offset, size;
    uint16_t kind;    // leat_sql_token_kind
    uint16_t keyword; // of a WORD: leat_sql_keyword, or NO_KEYWORD
} leat_sql_token;

// The last token is an END of size 0. False when there were errors.
bool leat_sql_lex(leat_arena *arena, leat_slice text, uint32_t origin, leat_sql_token **out_tokens, uint32_t *out_count,
                  leat_sql_diagnostics *diagnostics);

// Without quotes, doubled quotes and U& escapes; a parameter's name; the digits of X'..'.
leat_slice leat_sql_token_text(leat_arena *arena, leat_slice text, const leat_sql_token *token);
