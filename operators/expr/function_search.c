// Looking into texts: lengths, positions, patterns.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/utf8.h"

static void char_length(leat_call *call)
{
    LEAT_EACH(call, row) call->out->i64[row] = (int64_t)leat_utf8_count(leat_argument_text(call, 0, row));
}

static void ascii(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        call->out->i64[row] = text.size ? (int64_t)(signed char)text.data[0] : 0;
    }
}

// Position in code points from 1, searching from the code point `from`; 0 when there is none.
static int64_t position_of(leat_slice text, leat_slice what, int64_t from)
{
    if (from < 1)
        from = 1;
    size_t start = leat_utf8_offset(text, (size_t)from - 1);
    if (what.size == 0)
        return (size_t)from <= leat_utf8_count(text) + 1 ? from : 0;
    const char *found = memmem(text.data + start, text.size - start, what.data, what.size);
    return found ? (int64_t)leat_utf8_count(leat_slice_of(text.data, (size_t)(found - text.data))) + 1 : 0;
}

static void position(leat_call *call)
{
    bool has_from = call->step->argument_count > 2;
    LEAT_EACH(call, row)
    {
        int64_t from = has_from ? leat_argument_i64(call, 2, row) : 1;
        call->out->i64[row] = position_of(leat_argument_text(call, 1, row), leat_argument_text(call, 0, row), from);
    }
}

static void instr(leat_call *call)
{
    LEAT_EACH(call, row)
    call->out->i64[row] = position_of(leat_argument_text(call, 0, row), leat_argument_text(call, 1, row), 1);
}

static int64_t nth_forwards(leat_slice text, leat_slice what, int64_t from, int64_t nth)
{
    int64_t found = from - 1;
    if (what.size == 0)
        return 1;
    for (int64_t i = 0; i < nth; i++) {
        found = position_of(text, what, found + 1);
        if (!found)
            return 0;
    }
    return found;
}

// Where the code point in front of `offset` begins: a byte that leads several is never one of those that follow.
static size_t step_back(leat_slice text, size_t offset)
{
    for (size_t size = offset < 4 ? offset : 4; size > 1; size--)
        if (leat_utf8_size(text.data + offset - size, text.size - offset + size) == size)
            return offset - size;
    return offset - 1;
}

// From the code point `from` before the end on, towards the beginning.
static int64_t nth_backwards(leat_slice text, leat_slice what, int64_t from, int64_t nth)
{
    int64_t count = (int64_t)leat_utf8_count(text), length = (int64_t)leat_utf8_count(what);
    if (!length)
        return count + 1;
    int64_t at = count - length + (from > 1 ? 2 - from : 1);
    size_t offset = at >= 1 ? leat_utf8_offset(text, (size_t)at - 1) : 0;
    for (; at >= 1; at--) {
        if (text.size - offset >= what.size && memcmp(text.data + offset, what.data, what.size) == 0 && --nth == 0)
            return at;
        offset = offset ? step_back(text, offset) : 0;
    }
    return 0;
}

// The n-th of overlapping places; a start below 0 counts from the end and searches backwards.
static void instr_from(leat_call *call)
{
    bool has_nth = call->step->argument_count > 3;
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), what = leat_argument_text(call, 1, row);
        int64_t from = leat_argument_i64(call, 2, row), nth = has_nth ? leat_argument_i64(call, 3, row) : 1;
        if (nth < 1)
            leat_call_fail(call, row, "INSTR: the number of the place is from 1, found %lld", (long long)nth);
        else
            call->out->i64[row] = from > 0   ? nth_forwards(text, what, from, nth)
                                  : from < 0 ? nth_backwards(text, what, from < -INT64_MAX ? INT64_MAX : -from, nth)
                                             : 0;
    }
}

static bool starts(leat_slice text, leat_slice with)
{
    return with.size <= text.size && (with.size == 0 || memcmp(text.data, with.data, with.size) == 0);
}

static bool ends(leat_slice text, leat_slice with)
{
    return with.size <= text.size &&
           (with.size == 0 || memcmp(text.data + text.size - with.size, with.data, with.size) == 0);
}

static void startswith(leat_call *call)
{
    LEAT_EACH(call, row)
    call->out->boolean[row] = starts(leat_argument_text(call, 0, row), leat_argument_text(call, 1, row));
}

static void endswith(leat_call *call)
{
    LEAT_EACH(call, row)
    call->out->boolean[row] = ends(leat_argument_text(call, 0, row), leat_argument_text(call, 1, row));
}

// The piece `index` between separators; false when there is none.
static bool piece(leat_slice text, leat_slice separator, int64_t index, leat_slice *out)
{
    if (index < 0 || text.size == 0)
        return false;
    for (;;) {
        const char *found = separator.size ? memmem(text.data, text.size, separator.data, separator.size) : NULL;
        size_t size = found ? (size_t)(found - text.data) : text.size;
        if (index-- == 0) {
            *out = leat_slice_of(text.data, size);
            return true;
        }
        if (!found)
            return false;
        text = leat_slice_of(text.data + size + separator.size, text.size - size - separator.size);
    }
}

static void split_index(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice found = {NULL, 0};
        if (!piece(leat_argument_text(call, 0, row), leat_argument_text(call, 1, row), leat_argument_i64(call, 2, row),
                   &found))
            leat_call_null(call, row);
        call->out->text[row] = found;
    }
}

// -- LIKE

// The shapes of nearly all patterns need no search with backtracking.
typedef enum like_shape { LIKE_EXACT, LIKE_STARTS, LIKE_ENDS, LIKE_CONTAINS, LIKE_ANY, LIKE_GENERAL } like_shape;

typedef struct like_pattern {
    like_shape shape;
    leat_slice text; // without the outer %
    int escape;      // -1: none
} like_pattern;

static like_pattern like_classify(leat_slice text, int escape)
{
    like_pattern pattern = {LIKE_GENERAL, text, escape};
    bool front = text.size && text.data[0] == '%', back = text.size > 1 && text.data[text.size - 1] == '%';
    leat_slice middle = leat_slice_of(text.data + front, text.size - front - back);
    for (size_t i = 0; i < middle.size; i++)
        if (middle.data[i] == '%' || middle.data[i] == '_' || (unsigned char)middle.data[i] == escape)
            return pattern;
    if (escape == '%' || escape == '_')
        return pattern;
    pattern.text = middle;
    pattern.shape = front && text.size == 1 ? LIKE_ANY
                    : front && back         ? LIKE_CONTAINS
                    : front                 ? LIKE_ENDS
                    : back                  ? LIKE_STARTS
                                            : LIKE_EXACT;
    return pattern;
}

// Greedy with one point to return to, the last %: linear in practice, quadratic at worst.
static bool like_general(leat_slice text, leat_slice pattern, int escape)
{
    size_t t = 0, p = 0, back_t = 0, back_p = SIZE_MAX;
    while (t < text.size) {
        size_t step = leat_utf8_size(text.data + t, text.size - t);
        bool literal = p < pattern.size && (unsigned char)pattern.data[p] == escape && p + 1 < pattern.size;
        size_t at = p + literal;
        if (p < pattern.size && !literal && pattern.data[p] == '%') {
            back_p = ++p;
            back_t = t;
            continue;
        }
        if (p < pattern.size && !literal && pattern.data[p] == '_') {
            t += step;
            p++;
            continue;
        }
        if (at < pattern.size && pattern.data[at] == text.data[t]) {
            t++;
            p = at + 1;
            continue;
        }
        if (back_p == SIZE_MAX)
            return false;
        back_t += leat_utf8_size(text.data + back_t, text.size - back_t);
        t = back_t;
        p = back_p;
    }
    while (p < pattern.size && pattern.data[p] == '%' && escape != '%')
        p++;
    return p == pattern.size;
}

static bool like_matches(const like_pattern *pattern, leat_slice text)
{
    switch (pattern->shape) {
    case LIKE_ANY:
        return true;
    case LIKE_EXACT:
        return leat_slice_equal(text, pattern->text);
    case LIKE_STARTS:
        return starts(text, pattern->text);
    case LIKE_ENDS:
        return ends(text, pattern->text);
    case LIKE_CONTAINS:
        return pattern->text.size == 0 || memmem(text.data, text.size, pattern->text.data, pattern->text.size);
    case LIKE_GENERAL:
        return like_general(text, pattern->text, pattern->escape);
    }
    return false;
}

static void like_with(leat_call *call, bool wanted)
{
    bool constant = leat_argument(call, 1)->mask == 0, has_escape = call->step->argument_count > 2;
    like_pattern pattern = {LIKE_ANY, {NULL, 0}, -1};
    bool classified = false;
    LEAT_EACH(call, row)
    {
        if (!constant || !classified) {
            leat_slice escape = has_escape ? leat_argument_text(call, 2, row) : (leat_slice){NULL, 0};
            pattern = like_classify(leat_argument_text(call, 1, row), escape.size ? (unsigned char)escape.data[0] : -1);
            classified = true;
        }
        call->out->boolean[row] = like_matches(&pattern, leat_argument_text(call, 0, row)) == wanted;
    }
}

static void like(leat_call *call) { like_with(call, true); }

static void not_like(leat_call *call) { like_with(call, false); }

static leat_code like_type(leat_rule *rule)
{
    const leat_expr *escape = rule->count > 2 ? rule->arguments[2] : NULL;
    if (escape && !escape->literal.is_null && (escape->literal.text.size != 1))
        return leat_error_set(rule->error, LEAT_E_INVALID, "ESCAPE takes one ASCII character, but was given '%.*s'",
                              (int)escape->literal.text.size, escape->literal.text.data);
    return leat_result_boolean(rule);
}

// clang-format off: a row is a line
const leat_function leat_functions_search[] = {
    {"CHAR_LENGTH", "text", leat_result_int, char_length, NULL, 0, "How many characters."},
    {"CHARACTER_LENGTH", "text", leat_result_int, char_length, NULL, 0, "The same as CHAR_LENGTH."},
    {"ASCII", "text", leat_result_int, ascii, NULL, 0, "Code of the first character, 0 for an empty text."},
    {"POSITION", "text, text", leat_result_int, position, NULL, 0,
     "Where the first text begins within the second, from 1; 0 when it does not."},
    {"LOCATE", "text, text, integer?", leat_result_int, position, NULL, 0, "POSITION, searching from a position on."},
    {"INSTR", "text, text", leat_result_int, instr, NULL, 0,
     "Where the second text begins within the first, from 1; 0 when it does not."},
    {"INSTR", "text, text, integer, integer?", leat_result_int, instr_from, NULL, LEAT_FUNCTION_FAILS,
     "The same from a position on, for the n-th time; a position below 0 counts from the end, backwards."},
    {"STARTSWITH", "text, text", leat_result_boolean, startswith, NULL, 0,
     "Whether the first text begins with the second."},
    {"ENDSWITH", "text, text", leat_result_boolean, endswith, NULL, 0, "Whether the first text ends with the second."},
    {"SPLIT_INDEX", "text, text, integer", leat_result_string, split_index, NULL, LEAT_FUNCTION_NULLABLE,
     "Piece of a text between separators, counted from 0."},
    {"LIKE", "text, text", leat_result_boolean, like, NULL, LEAT_FUNCTION_INFIX,
     "Whether a text matches a pattern; % is any text, _ one character."},
    {"LIKE", "text, text, literal", like_type, like, NULL, 0, "LIKE with an escape character."},
    {"NOT LIKE", "text, text", leat_result_boolean, not_like, NULL, LEAT_FUNCTION_INFIX,
     "Whether a text does not match a pattern."},
    {"NOT LIKE", "text, text, literal", like_type, not_like, NULL, 0, "NOT LIKE with an escape character."},
    {.name = NULL},
};
// clang-format on
