#include "config/sql/lexer.h"

#include <string.h>

static const struct {
    const char *text;
    leat_sql_keyword_class class;
} keywords[KEYWORD_COUNT] = {
    [NO_KEYWORD] = {"", KEYWORD_FREE},
#define X(word, class) [KW_##word] = {#word, KEYWORD_##class},
#include "config/sql/keywords.def"
#undef X
};

static const char *const token_texts[TOKEN_KIND_COUNT] = {
#define X(name, text) [TOKEN_##name] = text,
    LEAT_SQL_TOKEN_KINDS(X)
#undef X
};

const char *leat_sql_keyword_text(leat_sql_keyword keyword) { return keywords[keyword].text; }
leat_sql_keyword_class leat_sql_keyword_class_of(leat_sql_keyword keyword) { return keywords[keyword].class; }
const char *leat_sql_token_kind_text(leat_sql_token_kind kind) { return token_texts[kind]; }

// Order of a word, without case, and a keyword: bytes of the capitals, so '_' after 'Z' as in the table.
static int keyword_order(leat_slice word, const char *keyword)
{
    for (size_t i = 0; i < word.size; i++) {
        int a = (unsigned char)word.data[i], b = (unsigned char)keyword[i];
        if (a >= 'a' && a <= 'z')
            a += 'A' - 'a';
        if (a != b)
            return a < b ? -1 : 1;
    }
    return keyword[word.size] ? -1 : 0;
}

leat_sql_keyword leat_sql_keyword_find(leat_slice word)
{
    int low = 1, high = KEYWORD_COUNT - 1;
    while (low <= high) {
        int middle = (low + high) / 2;
        int order = keyword_order(word, keywords[middle].text);
        if (!order)
            return (leat_sql_keyword)middle;
        if (order < 0)
            high = middle - 1;
        else
            low = middle + 1;
    }
    return NO_KEYWORD;
}

typedef struct lexer {
    leat_slice text;
    uint32_t origin;
    size_t at;
    bool in_hint;
    bool failed;
    leat_sql_diagnostics *diagnostics; // NULL: the counting pass
} lexer;

static bool is_digit(int c) { return c >= '0' && c <= '9'; }
static bool is_word_start(int c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80; }
static bool is_word(int c) { return is_word_start(c) || is_digit(c) || c == '$'; }
static int hex_value(int c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int peek(const lexer *lex, size_t ahead)
{
    return lex->at + ahead < lex->text.size ? (unsigned char)lex->text.data[lex->at + ahead] : -1;
}

#define lexer_error(lex, start, size_, ...)                                                                            \
    do {                                                                                                               \
        (lex)->failed = true;                                                                                          \
        if ((lex)->diagnostics)                                                                                        \
            leat_sql_diagnose((lex)->diagnostics,                                                                      \
                              (leat_sql_span){(uint32_t)(start), (uint32_t)(size_), (lex)->origin}, __VA_ARGS__);      \
    } while (0)

static bool skip_block_comment(lexer *lex)
{
    size_t start = lex->at;
    for (lex->at += 2; lex->at < lex->text.size; lex->at++)
        if (peek(lex, 0) == '*' && peek(lex, 1) == '/') {
            lex->at += 2;
            return true;
        }
    lexer_error(lex, start, 2, "comment '/*' is not closed, expected '*/'");
    return false;
}

static void skip_line(lexer *lex)
{
    while (lex->at < lex->text.size && peek(lex, 0) != '\n')
        lex->at++;
}

static void skip_blank(lexer *lex)
{
    for (;;) {
        int c = peek(lex, 0);
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            lex->at++;
        else if ((c == '-' && peek(lex, 1) == '-') || (c == '/' && peek(lex, 1) == '/'))
            skip_line(lex);
        else if (c == '/' && peek(lex, 1) == '*' && peek(lex, 2) != '+')
            skip_block_comment(lex);
        else
            return;
    }
}

static bool is_utf8(leat_slice text)
{
    const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size;
    while (at < end) {
        unsigned char c = *at++;
        int more = c < 0x80                ? 0
                   : c >= 0xC2 && c < 0xE0 ? 1
                   : c >= 0xE0 && c < 0xF0 ? 2
                   : c >= 0xF0 && c < 0xF5 ? 3
                                           : -1;
        if (more < 0 || end - at < more)
            return false;
        if (more > 1 && ((c == 0xE0 && *at < 0xA0) || (c == 0xED && *at > 0x9F) || (c == 0xF0 && *at < 0x90) ||
                         (c == 0xF4 && *at > 0x8F)))
            return false;
        for (; more; more--)
            if ((*at++ & 0xC0) != 0x80)
                return false;
    }
    return true;
}

// From the opening quote to one past the closing one; a doubled quote is one character.
static bool scan_quoted(lexer *lex, int quote, size_t start, const char *what)
{
    for (lex->at++; lex->at < lex->text.size; lex->at++) {
        if (peek(lex, 0) != quote)
            continue;
        lex->at++;
        if (peek(lex, 0) != quote)
            return true;
    }
    lexer_error(lex, start, 1, "%s is not closed, expected %c", what, quote);
    return false;
}

static leat_sql_token_kind scan_string(lexer *lex, size_t start)
{
    return scan_quoted(lex, '\'', start, "string") ? TOKEN_STRING : TOKEN_BAD;
}

static leat_sql_token_kind scan_name(lexer *lex, size_t start)
{
    if (!scan_quoted(lex, '`', start, "name"))
        return TOKEN_BAD;
    if (lex->at - start > 2)
        return TOKEN_QUOTED;
    lexer_error(lex, start, 2, "a name in backticks is empty");
    return TOKEN_BAD;
}

static leat_sql_token_kind scan_double_quoted(lexer *lex, size_t start)
{
    if (!scan_quoted(lex, '"', start, "text in double quotes"))
        return TOKEN_BAD;
    int size = (int)(lex->at - start);
    lexer_error(lex, start, size, "found %.*s: strings are written in single quotes, names in `backticks`",
                size > 60 ? 60 : size, lex->text.data + start);
    return TOKEN_BAD;
}

static leat_sql_token_kind scan_binary(lexer *lex, size_t start)
{
    lex->at++;
    if (!scan_quoted(lex, '\'', start, "binary string"))
        return TOKEN_BAD;
    size_t digits = lex->at - start - 3;
    bool good = digits % 2 == 0;
    for (size_t i = start + 2; i < lex->at - 1; i++)
        good &= hex_value((unsigned char)lex->text.data[i]) >= 0;
    if (good)
        return TOKEN_BINARY;
    lexer_error(lex, start, lex->at - start, "a binary string is an even number of hexadecimal digits, as X'0A1F'");
    return TOKEN_BAD;
}

// One escape of U&'..' at text[at], which is the backslash: \0041, \+01F600, \\. Size of the escape, 0 when it is wrong.
static size_t unicode_escape(leat_slice text, size_t at, uint32_t *out_code)
{
    if (at + 1 < text.size && text.data[at + 1] == '\\') {
        *out_code = '\\';
        return 2;
    }
    size_t digits = at + 1 < text.size && text.data[at + 1] == '+' ? 6 : 4, first = at + (digits == 6 ? 2 : 1);
    uint32_t code = 0;
    for (size_t i = first; i < first + digits; i++) {
        int value = i < text.size ? hex_value((unsigned char)text.data[i]) : -1;
        if (value < 0)
            return 0;
        code = code * 16 + (uint32_t)value;
    }
    *out_code = code;
    return code && code < 0x110000 && (code < 0xD800 || code > 0xDFFF) ? first + digits - at : 0;
}

static leat_sql_token_kind scan_unicode(lexer *lex, size_t start)
{
    lex->at += 2;
    if (!scan_quoted(lex, '\'', start, "string"))
        return TOKEN_BAD;
    leat_slice inner = {lex->text.data, lex->at - 1};
    for (size_t i = start + 3; i < inner.size; i++) {
        if (inner.data[i] != '\\')
            continue;
        uint32_t code;
        size_t size = unicode_escape(inner, i, &code);
        if (!size) {
            lexer_error(lex, i, 1, "expected four hexadecimal digits after '\\', as U&'\\00B0C'");
            return TOKEN_BAD;
        }
        i += size - 1;
    }
    return TOKEN_UNICODE;
}

static leat_sql_token_kind scan_parameter(lexer *lex, size_t start)
{
    for (lex->at += 2; is_word(peek(lex, 0)); lex->at++)
        ;
    if (lex->at > start + 2 && peek(lex, 0) == '}') {
        lex->at++;
        return TOKEN_PARAMETER;
    }
    lexer_error(lex, start, 2, "a parameter is written ${name}");
    return TOKEN_BAD;
}

static leat_sql_token_kind scan_number(lexer *lex, size_t start)
{
    leat_sql_token_kind kind = TOKEN_INTEGER;
    while (is_digit(peek(lex, 0)))
        lex->at++;
    if (peek(lex, 0) == '.') {
        kind = TOKEN_DECIMAL;
        for (lex->at++; is_digit(peek(lex, 0)); lex->at++)
            ;
    }
    if ((peek(lex, 0) | 0x20) == 'e') {
        size_t sign = peek(lex, 1) == '+' || peek(lex, 1) == '-';
        if (is_digit(peek(lex, 1 + sign))) {
            kind = TOKEN_APPROXIMATE;
            for (lex->at += 1 + sign; is_digit(peek(lex, 0)); lex->at++)
                ;
        }
    }
    if (!is_word(peek(lex, 0)) || (peek(lex, 0) == '$' && peek(lex, 1) == '{'))
        return kind;
    while (is_word(peek(lex, 0)))
        lex->at++;
    int size = (int)(lex->at - start);
    lexer_error(lex, start, size, "found '%.*s', which is neither a number nor a name", size > 60 ? 60 : size,
                lex->text.data + start);
    return TOKEN_BAD;
}

static leat_sql_token_kind scan_word(lexer *lex, size_t start, leat_sql_token *token)
{
    while (is_word(peek(lex, 0)) && !(peek(lex, 0) == '$' && peek(lex, 1) == '{'))
        lex->at++;
    token->keyword = (uint16_t)leat_sql_keyword_find((leat_slice){lex->text.data + start, lex->at - start});
    return TOKEN_WORD;
}

static const struct {
    char text[4];
    uint16_t kind;
} symbols[] = {
    // the longer one first
    {"/*+", TOKEN_HINT_OPEN},
    {"<>", TOKEN_NOT_EQUAL},
    {"!=", TOKEN_NOT_EQUAL},
    {"<=", TOKEN_LESS_EQUAL},
    {">=", TOKEN_GREATER_EQUAL},
    {"=>", TOKEN_ARROW},
    {"||", TOKEN_CONCAT},
    {"{-", TOKEN_LEFT_EXCLUSION},
    {"-}", TOKEN_RIGHT_EXCLUSION},
    {"(", TOKEN_LEFT},
    {")", TOKEN_RIGHT},
    {"[", TOKEN_LEFT_BRACKET},
    {"]", TOKEN_RIGHT_BRACKET},
    {"{", TOKEN_LEFT_BRACE},
    {"}", TOKEN_RIGHT_BRACE},
    {",", TOKEN_COMMA},
    {".", TOKEN_DOT},
    {";", TOKEN_SEMICOLON},
    {"+", TOKEN_PLUS},
    {"-", TOKEN_MINUS},
    {"*", TOKEN_STAR},
    {"/", TOKEN_SLASH},
    {"%", TOKEN_PERCENT},
    {"|", TOKEN_BAR},
    {"=", TOKEN_EQUAL},
    {"<", TOKEN_LESS},
    {">", TOKEN_GREATER},
    {"?", TOKEN_QUESTION},
    {"^", TOKEN_CARET},
    {"$", TOKEN_DOLLAR},
    {":", TOKEN_COLON},
};

// What other languages write.
static const struct {
    const char *text, *instead;
} foreign[] = {{"==", "="}, {"&&", "AND"}, {"::", "CAST(.. AS type)"}, {"<=>", "IS NOT DISTINCT FROM"}};

static bool refuse_foreign(lexer *lex, size_t start)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        size_t size = strlen(foreign[i].text);
        if (lex->text.size - start < size || memcmp(lex->text.data + start, foreign[i].text, size))
            continue;
        lex->at += size;
        lexer_error(lex, start, size, "found '%s', write %s", foreign[i].text, foreign[i].instead);
        return true;
    }
    return false;
}

static leat_sql_token_kind scan_symbol(lexer *lex, size_t start)
{
    if (refuse_foreign(lex, start))
        return TOKEN_BAD;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        size_t size = strlen(symbols[i].text);
        if (lex->text.size - start >= size && !memcmp(lex->text.data + start, symbols[i].text, size)) {
            lex->at += size;
            lex->in_hint |= symbols[i].kind == TOKEN_HINT_OPEN;
            return (leat_sql_token_kind)symbols[i].kind;
        }
    }
    lex->at++;
    unsigned char c = (unsigned char)lex->text.data[start];
    if (c < 0x20 || c == 0x7F)
        lexer_error(lex, start, 1, "found the control character 0x%02X", c);
    else
        lexer_error(lex, start, 1, "found '%c', which SQL has no use for", c);
    return TOKEN_BAD;
}

static leat_sql_token_kind scan_kind(lexer *lex, leat_sql_token *token)
{
    size_t start = lex->at;
    int c = peek(lex, 0), next = peek(lex, 1);
    if (lex->in_hint && c == '*' && next == '/') {
        lex->in_hint = false;
        lex->at += 2;
        return TOKEN_HINT_CLOSE;
    }
    if (c == '\'')
        return scan_string(lex, start);
    if (c == '`')
        return scan_name(lex, start);
    if (c == '"')
        return scan_double_quoted(lex, start);
    if ((c | 0x20) == 'x' && next == '\'')
        return scan_binary(lex, start);
    if ((c | 0x20) == 'u' && next == '&' && peek(lex, 2) == '\'')
        return scan_unicode(lex, start);
    if (c == '$' && next == '{')
        return scan_parameter(lex, start);
    if (is_digit(c) || (c == '.' && is_digit(next)))
        return scan_number(lex, start);
    return is_word_start(c) ? scan_word(lex, start, token) : scan_symbol(lex, start);
}

static leat_sql_token lexer_next(lexer *lex)
{
    skip_blank(lex);
    leat_sql_token token = {.offset = (uint32_t)lex->at, .kind = TOKEN_END};
    if (lex->at < lex->text.size) {
        token.kind = (uint16_t)scan_kind(lex, &token);
        token.size = (uint32_t)(lex->at - token.offset);
    }
    return token;
}

static uint32_t count_tokens(leat_slice text)
{
    lexer lex = {.text = text};
    uint32_t count = 1;
    while (count <= LEAT_SQL_TOKENS && lexer_next(&lex).kind != TOKEN_END)
        count++;
    return count;
}

bool leat_sql_lex(leat_arena *arena, leat_slice text, uint32_t origin, leat_sql_token **out_tokens, uint32_t *out_count,
                  leat_sql_diagnostics *diagnostics)
{
    lexer lex = {.text = text, .origin = origin, .diagnostics = diagnostics};
    bool fits = text.size < UINT32_MAX / 2, readable = fits && is_utf8(text);
    uint32_t count = readable ? count_tokens(text) : 1;
    if (!fits)
        lexer_error(&lex, 0, 0, "the text is too long");
    else if (!readable)
        lexer_error(&lex, 0, 0, "the text is not UTF-8");
    else if (count > LEAT_SQL_TOKENS) {
        lexer_error(&lex, 0, 0, "the text is too long: more than %d words and signs", LEAT_SQL_TOKENS - 1);
        count = 1;
    }
    if (count == 1)
        lex.at = lex.failed ? text.size : 0;
    leat_sql_token *tokens = leat_arena_array(arena, leat_sql_token, count);
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = lexer_next(&lex);
    *out_tokens = tokens;
    *out_count = count;
    return !lex.failed;
}

static size_t write_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | ((code >> (6 * (more - i))) & 0x3F));
    return more + 1;
}

static leat_slice unescape(leat_arena *arena, leat_slice inner, char quote, bool unicode)
{
    bool plain = !memchr(inner.data, quote, inner.size) && !(unicode && memchr(inner.data, '\\', inner.size));
    if (plain)
        return inner;
    char *out = leat_arena_alloc(arena, inner.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < inner.size; i++) {
        uint32_t code;
        size_t escape = unicode && inner.data[i] == '\\' ? unicode_escape(inner, i, &code) : 0;
        if (escape) {
            size += write_utf8(out + size, code);
            i += escape - 1;
            continue;
        }
        out[size++] = inner.data[i];
        i += inner.data[i] == quote;
    }
    out[size] = 0;
    return (leat_slice){out, size};
}

leat_slice leat_sql_token_text(leat_arena *arena, leat_slice text, const leat_sql_token *token)
{
    leat_slice whole = {text.data + token->offset, token->size};
    switch (token->kind) {
    case TOKEN_QUOTED:
        return unescape(arena, (leat_slice){whole.data + 1, whole.size - 2}, '`', false);
    case TOKEN_STRING:
        return unescape(arena, (leat_slice){whole.data + 1, whole.size - 2}, '\'', false);
    case TOKEN_UNICODE:
        return unescape(arena, (leat_slice){whole.data + 3, whole.size - 4}, '\'', true);
    case TOKEN_BINARY:
        return (leat_slice){whole.data + 2, whole.size - 3};
    case TOKEN_PARAMETER:
        return (leat_slice){whole.data + 2, whole.size - 3};
    default:
        return whole;
    }
}
