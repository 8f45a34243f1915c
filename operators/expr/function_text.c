// Texts made out of texts. Positions and lengths count code points, from 1.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/utf8.h"

static leat_slice from_to(leat_slice text, size_t begin, size_t end)
{
    return leat_slice_of(text.data + begin, end - begin);
}

static bool too_long(leat_call *call, uint32_t row, size_t size)
{
    if (size <= LEAT_STRING_BYTES_MAX)
        return false;
    leat_call_fail(call, row, "%s: the text would be longer than %d bytes", call->step->expr->function->name,
                   LEAT_STRING_BYTES_MAX);
    return true;
}

// -- case

typedef uint32_t (*code_map)(uint32_t code);

static leat_slice mapped(leat_call *call, leat_slice text, code_map map)
{
    char *out = leat_call_text(call, text.size * 2 + 4);
    size_t size = 0;
    for (size_t i = 0, step; i < text.size; i += step) {
        step = leat_utf8_size(text.data + i, text.size - i);
        if (step == 1 && (unsigned char)text.data[i] >= 0x80)
            out[size++] = text.data[i];
        else if (map == leat_utf8_upper && step == 2 && memcmp(text.data + i, "\xc3\x9f", 2) == 0)
            out[size++] = 'S', out[size++] = 'S'; // the one letter of these scripts that becomes two
        else
            size += leat_utf8_encode(map(leat_utf8_decode(text.data + i, step)), out + size);
    }
    return leat_slice_of(out, size);
}

static void upper(leat_call *call)
{
    LEAT_EACH(call, row) call->out->text[row] = mapped(call, leat_argument_text(call, 0, row), leat_utf8_upper);
}

static void lower(leat_call *call)
{
    LEAT_EACH(call, row) call->out->text[row] = mapped(call, leat_argument_text(call, 0, row), leat_utf8_lower);
}

// Words are of the letters and digits of ASCII, as in Flink.
static leat_slice capitalised(leat_call *call, leat_slice text)
{
    char *out = leat_call_text(call, text.size);
    bool inside = false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool is_upper = c >= 'A' && c <= 'Z', is_lower = c >= 'a' && c <= 'z';
        out[i] = is_lower && !inside ? (char)(c - 32) : is_upper && inside ? (char)(c + 32) : c;
        inside = is_upper || is_lower || (c >= '0' && c <= '9');
    }
    return leat_slice_of(out, text.size);
}

static void initcap(leat_call *call)
{
    LEAT_EACH(call, row) call->out->text[row] = capitalised(call, leat_argument_text(call, 0, row));
}

// -- parts

static leat_slice part(leat_slice text, int64_t position, int64_t length)
{
    int64_t count = (int64_t)leat_utf8_count(text), start = position > 0   ? position - 1
                                                            : position < 0 ? count + position
                                                                           : 0;
    if (start < 0 || start >= count)
        return leat_slice_of(text.data, 0);
    if (length > count - start)
        length = count - start;
    size_t begin = leat_utf8_offset(text, (size_t)start);
    leat_slice rest = from_to(text, begin, text.size);
    return from_to(rest, 0, leat_utf8_offset(rest, (size_t)length));
}

static void substring(leat_call *call)
{
    bool has_length = call->step->argument_count > 2;
    LEAT_EACH(call, row)
    {
        int64_t length = has_length ? leat_argument_i64(call, 2, row) : INT64_MAX;
        call->out->text[row] = leat_slice_of(NULL, 0);
        if (length < 0)
            leat_call_null(call, row);
        else
            call->out->text[row] = part(leat_argument_text(call, 0, row), leat_argument_i64(call, 1, row), length);
    }
}

static void left(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t length = leat_argument_i64(call, 1, row);
        call->out->text[row] = part(leat_argument_text(call, 0, row), 1, length < 0 ? 0 : length);
    }
}

static void right(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        int64_t length = leat_argument_i64(call, 1, row), count = (int64_t)leat_utf8_count(text);
        if (length < 0)
            length = 0;
        size_t begin = leat_utf8_offset(text, (size_t)(length < count ? count - length : 0));
        call->out->text[row] = from_to(text, begin, text.size);
    }
}

static bool has_code(leat_slice set, const char *code, size_t size)
{
    for (size_t i = 0, step; i < set.size; i += step) {
        step = leat_utf8_size(set.data + i, set.size - i);
        if (step == size && memcmp(set.data + i, code, size) == 0)
            return true;
    }
    return false;
}

static leat_slice trimmed(leat_slice text, leat_slice set, bool leading, bool trailing)
{
    while (leading && text.size) {
        size_t size = leat_utf8_size(text.data, text.size);
        if (!has_code(set, text.data, size))
            break;
        text = from_to(text, size, text.size);
    }
    while (trailing && text.size) {
        size_t last = text.size - 1;
        while (last > 0 && text.size - last < 4 && ((unsigned char)text.data[last] & 0xc0) == 0x80)
            last--;
        if (!has_code(set, text.data + last, text.size - last))
            break;
        text = from_to(text, 0, last);
    }
    return text;
}

static void trim_with(leat_call *call, bool leading, bool trailing)
{
    bool has_set = call->step->argument_count > 1;
    LEAT_EACH(call, row)
    {
        leat_slice set = has_set ? leat_argument_text(call, 1, row) : leat_slice_text(" ");
        call->out->text[row] = trimmed(leat_argument_text(call, 0, row), set, leading, trailing);
    }
}

static void btrim(leat_call *call) { trim_with(call, true, true); }

static void ltrim(leat_call *call) { trim_with(call, true, false); }

static void rtrim(leat_call *call) { trim_with(call, false, true); }

// TRIM(mode, characters, text)
static void trim(leat_call *call)
{
    leat_slice mode = leat_argument_text(call, 0, 0);
    bool leading = !leat_slice_is_nocase(mode, "TRAILING"), trailing = !leat_slice_is_nocase(mode, "LEADING");
    LEAT_EACH(call, row)
    call->out->text[row] =
        trimmed(leat_argument_text(call, 2, row), leat_argument_text(call, 1, row), leading, trailing);
}

// -- joining

static void append(char *out, size_t *size, leat_slice text)
{
    if (text.size)
        memcpy(out + *size, text.data, text.size);
    *size += text.size;
}

static void concat(leat_call *call)
{
    uint32_t parts = call->step->argument_count;
    LEAT_EACH(call, row)
    {
        size_t total = 0, size = 0;
        for (uint32_t i = 0; i < parts; i++)
            total += leat_argument_text(call, i, row).size;
        if (too_long(call, row, total))
            continue;
        char *out = leat_call_text(call, total);
        for (uint32_t i = 0; i < parts; i++)
            append(out, &size, leat_argument_text(call, i, row));
        call->out->text[row] = leat_slice_of(out, size);
    }
}

static void concat_ws_row(leat_call *call, uint32_t row)
{
    leat_slice separator = leat_argument_text(call, 0, row);
    size_t total = 0, size = 0;
    bool any = false;
    for (uint32_t i = 1; i < call->step->argument_count; i++)
        if (!leat_argument_null(call, i, row))
            total += leat_argument_text(call, i, row).size + separator.size;
    if (too_long(call, row, total))
        return;
    char *out = leat_call_text(call, total);
    for (uint32_t i = 1; i < call->step->argument_count; i++) {
        if (leat_argument_null(call, i, row))
            continue;
        if (any)
            append(out, &size, separator);
        append(out, &size, leat_argument_text(call, i, row));
        any = true;
    }
    call->out->text[row] = leat_slice_of(out, size);
}

static void concat_ws(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        if (leat_argument_null(call, 0, row))
            leat_call_null(call, row);
        else
            concat_ws_row(call, row);
    }
}

static void repeat(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        int64_t times = leat_argument_i64(call, 1, row);
        size_t size = 0;
        call->out->text[row] = leat_slice_of(text.data, 0);
        if (times <= 0 || text.size == 0)
            continue;
        if (times > LEAT_STRING_BYTES_MAX || too_long(call, row, text.size * (size_t)times)) {
            too_long(call, row, SIZE_MAX);
            continue;
        }
        char *out = leat_call_text(call, text.size * (size_t)times);
        for (int64_t i = 0; i < times; i++)
            append(out, &size, text);
        call->out->text[row] = leat_slice_of(out, size);
    }
}

static void reverse(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        char *out = leat_call_text(call, text.size);
        for (size_t i = 0, step; i < text.size; i += step) {
            step = leat_utf8_size(text.data + i, text.size - i);
            memcpy(out + text.size - i - step, text.data + i, step);
        }
        call->out->text[row] = leat_slice_of(out, text.size);
    }
}

static size_t append_padding(char *out, leat_slice padding, size_t count)
{
    size_t size = 0, at = 0;
    while (count--) {
        size_t step = leat_utf8_size(padding.data + at, padding.size - at);
        append(out, &size, leat_slice_of(padding.data + at, step));
        at = at + step < padding.size ? at + step : 0;
    }
    return size;
}

static void pad(leat_call *call, bool on_the_left)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), padding = leat_argument_text(call, 2, row);
        int64_t length = leat_argument_i64(call, 1, row), count = (int64_t)leat_utf8_count(text);
        call->out->text[row] = leat_slice_of(text.data, 0);
        if (length < 0 || padding.size == 0) {
            leat_call_null(call, row);
            continue;
        }
        if (length <= count) {
            call->out->text[row] = from_to(text, 0, leat_utf8_offset(text, (size_t)length));
            continue;
        }
        if (too_long(call, row, length > LEAT_STRING_BYTES_MAX ? SIZE_MAX : (size_t)(length - count) * 4 + text.size))
            continue;
        char *out = leat_call_text(call, (size_t)(length - count) * 4 + text.size);
        size_t size = on_the_left ? append_padding(out, padding, (size_t)(length - count)) : 0;
        append(out, &size, text);
        size += on_the_left ? 0 : append_padding(out + size, padding, (size_t)(length - count));
        call->out->text[row] = leat_slice_of(out, size);
    }
}

static void lpad(leat_call *call) { pad(call, true); }

static void rpad(leat_call *call) { pad(call, false); }

// -- replacing

static size_t find(leat_slice text, leat_slice what, size_t from)
{
    if (from > text.size)
        return SIZE_MAX;
    const char *found = memmem(text.data + from, text.size - from, what.data, what.size);
    return found ? (size_t)(found - text.data) : SIZE_MAX;
}

static void replace_row(leat_call *call, uint32_t row)
{
    leat_slice text = leat_argument_text(call, 0, row), what = leat_argument_text(call, 1, row),
               by = leat_argument_text(call, 2, row);
    size_t times = 0, size = 0, done = 0;
    call->out->text[row] = text;
    if (what.size == 0)
        return;
    for (size_t at = find(text, what, 0); at != SIZE_MAX; at = find(text, what, at + what.size))
        times++;
    size_t total = text.size - times * what.size + times * by.size;
    if (times == 0 || too_long(call, row, total))
        return;
    char *out = leat_call_text(call, total);
    for (size_t at = find(text, what, 0); at != SIZE_MAX; at = find(text, what, done)) {
        append(out, &size, from_to(text, done, at));
        append(out, &size, by);
        done = at + what.size;
    }
    append(out, &size, from_to(text, done, text.size));
    call->out->text[row] = leat_slice_of(out, size);
}

static void replace(leat_call *call) { LEAT_EACH(call, row) replace_row(call, row); }

static void overlay_row(leat_call *call, uint32_t row)
{
    leat_slice text = leat_argument_text(call, 0, row), by = leat_argument_text(call, 1, row);
    int64_t start = leat_argument_i64(call, 2, row), count = (int64_t)leat_utf8_count(text);
    int64_t length = call->step->argument_count > 3 ? leat_argument_i64(call, 3, row) : (int64_t)leat_utf8_count(by);
    call->out->text[row] = text;
    if (start <= 0 || start > count || too_long(call, row, text.size + by.size))
        return;
    size_t size = 0;
    char *out = leat_call_text(call, text.size + by.size);
    append(out, &size, from_to(text, 0, leat_utf8_offset(text, (size_t)start - 1)));
    append(out, &size, by);
    if (length > 0 && length <= count - start)
        append(out, &size, from_to(text, leat_utf8_offset(text, (size_t)(start - 1 + length)), text.size));
    call->out->text[row] = leat_slice_of(out, size);
}

static void overlay(leat_call *call) { LEAT_EACH(call, row) overlay_row(call, row); }

// -- characters

static void chr(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t code = leat_argument_i64(call, 0, row);
        char *out = leat_call_text(call, 4);
        call->out->text[row] = leat_slice_of(out, code < 0 ? 0 : leat_utf8_encode((uint32_t)(code & 0xff), out));
    }
}

static void uuid(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        uint8_t bytes[16];
        static const char digits[] = "0123456789abcdef";
        char *out = leat_call_text(call, 36);
        size_t at = 0;
        call->eval->env->ops->random(call->eval->env, bytes, sizeof bytes);
        bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
        bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
        for (int i = 0; i < 16; i++) {
            if (i == 4 || i == 6 || i == 8 || i == 10)
                out[at++] = '-';
            out[at++] = digits[bytes[i] >> 4];
            out[at++] = digits[bytes[i] & 15];
        }
        call->out->text[row] = leat_slice_of(out, 36);
    }
}

// TRIM('BOTH' | 'LEADING' | 'TRAILING', characters, text)
static leat_code trim_type(leat_rule *rule)
{
    leat_slice mode = rule->arguments[0]->literal.text;
    if (!leat_slice_is_nocase(mode, "BOTH") && !leat_slice_is_nocase(mode, "LEADING") &&
        !leat_slice_is_nocase(mode, "TRAILING"))
        return leat_error_set(rule->error, LEAT_E_INVALID, "TRIM takes BOTH, LEADING or TRAILING, but was given '%.*s'",
                              (int)mode.size, mode.data);
    return leat_result_string(rule);
}

enum { N = LEAT_FUNCTION_NULLABLE, F = LEAT_FUNCTION_FAILS };

// clang-format off: a row is a line
const leat_function leat_functions_text[] = {
    {"UPPER", "text", leat_result_string, upper, NULL, 0, "Upper case (Latin, Greek, Cyrillic, Armenian)."},
    {"LOWER", "text", leat_result_string, lower, NULL, 0, "Lower case."},
    {"INITCAP", "text", leat_result_string, initcap, NULL, 0,
     "First letter of each word in upper case, the others in lower case; words are of ASCII letters and digits."},
    {"SUBSTRING", "text, integer, integer?", leat_result_string, substring, NULL, N,
     "Part from a position, counted from the end when negative, of a length."},
    {"SUBSTR", "text, integer, integer?", leat_result_string, substring, NULL, N, "The same as SUBSTRING."},
    {"LEFT", "text, integer", leat_result_string, left, NULL, 0, "The first characters."},
    {"RIGHT", "text, integer", leat_result_string, right, NULL, 0, "The last characters."},
    {"TRIM", "text", leat_result_string, btrim, NULL, 0, "Without spaces at both ends."},
    {"TRIM", "literal, text, text", trim_type, trim, NULL, 0, "Without the given characters at both ends, or at one."},
    {"BTRIM", "text, text?", leat_result_string, btrim, NULL, 0,
     "Without spaces, or the given characters, at both ends."},
    {"LTRIM", "text, text?", leat_result_string, ltrim, NULL, 0,
     "Without spaces, or the given characters, at the start."},
    {"RTRIM", "text, text?", leat_result_string, rtrim, NULL, 0,
     "Without spaces, or the given characters, at the end."},
    {"||", "text, text", leat_result_string, concat, NULL, F | LEAT_FUNCTION_INFIX, "Both texts joined."},
    {"CONCAT", "text, text...", leat_result_string, concat, NULL, F, "All texts joined; NULL when one is NULL."},
    {"CONCAT_WS", "text, text, text...", leat_result_string, concat_ws, NULL, F | LEAT_FUNCTION_LENIENT,
     "Texts joined with a separator, NULLs left out."},
    {"REPEAT", "text, integer", leat_result_string, repeat, NULL, F, "The text so many times."},
    {"REVERSE", "text", leat_result_string, reverse, NULL, 0, "The characters from last to first."},
    {"LPAD", "text, integer, text", leat_result_string, lpad, NULL, F, "Filled on the left, or cut, to a length."},
    {"RPAD", "text, integer, text", leat_result_string, rpad, NULL, F, "Filled on the right, or cut, to a length."},
    {"REPLACE", "text, text, text", leat_result_string, replace, NULL, F,
     "Every occurrence of the second replaced by the third."},
    {"OVERLAY", "text, text, integer, integer?", leat_result_string, overlay, NULL, F,
     "The second in place of the characters from a position."},
    {"CHR", "integer", leat_result_string, chr, NULL, 0, "The character of a code, modulo 256."},
    {"UUID", "", leat_result_string, uuid, NULL, LEAT_FUNCTION_VOLATILE, "A random UUID, another one for each row."},
    {.name = NULL},
};
// clang-format on
