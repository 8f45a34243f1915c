// Texts by a format, by a table of characters, by number; and what a text consists of.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/utf8.h"

// -- PRINTF: the part of java.util.Formatter that C's printf shares with it

typedef struct format_spec {
    char flags[8];
    int width, precision; // -1: none
    char conversion;
} format_spec;

enum { WIDTH_MAX = 1000 };

static int read_number(leat_slice format, size_t *at)
{
    int number = 0;
    while (*at < format.size && format.data[*at] >= '0' && format.data[*at] <= '9' && number <= WIDTH_MAX)
        number = number * 10 + (format.data[(*at)++] - '0');
    return number;
}

// Behind the %; false when it is none.
static bool read_spec(leat_slice format, size_t *at, format_spec *out)
{
    size_t flags = 0;
    *out = (format_spec){.width = -1, .precision = -1};
    while (*at < format.size && strchr("-+ 0#", format.data[*at]) && flags + 1 < sizeof out->flags)
        out->flags[flags++] = format.data[(*at)++];
    if (*at < format.size && format.data[*at] >= '1' && format.data[*at] <= '9')
        out->width = read_number(format, at);
    if (*at < format.size && format.data[*at] == '.') {
        ++*at;
        out->precision = read_number(format, at);
    }
    if (*at >= format.size || out->width > WIDTH_MAX || out->precision > WIDTH_MAX)
        return false;
    out->conversion = format.data[(*at)++];
    return true;
}

static void write_padded(const format_spec *spec, leat_slice text, leat_writer *out)
{
    if (spec->precision >= 0)
        text.size = leat_utf8_offset(text, (size_t)spec->precision);
    size_t length = leat_utf8_count(text), width = spec->width > 0 ? (size_t)spec->width : 0;
    bool left = strchr(spec->flags, '-') != NULL;
    for (size_t i = length; !left && i < width; i++)
        leat_write_u8(out, ' ');
    leat_write_bytes(out, text.data, text.size);
    for (size_t i = length; left && i < width; i++)
        leat_write_u8(out, ' ');
}

static void c_format(const format_spec *spec, const char *length, char out_format[40])
{
    char width[12] = "", precision[12] = "";
    if (spec->width >= 0)
        snprintf(width, sizeof width, "%d", spec->width);
    if (spec->precision >= 0)
        snprintf(precision, sizeof precision, ".%d", spec->precision);
    snprintf(out_format, 40, "%%%s%s%s%s%c", spec->flags, width, precision, length, spec->conversion);
}

// Formats that the compiler cannot check: made by c_format alone.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static bool write_integer(const format_spec *spec, leat_type type, int64_t value, leat_writer *out)
{
    char format[40];
    uint64_t bits = (uint64_t)value;
    if (spec->precision >= 0 || !leat_type_is_integer(type))
        return false;
    c_format(spec, "ll", format);
    if (spec->conversion != 'd' && value < 0 && type.kind != LEAT_KIND_BIGINT)
        bits &= type.kind == LEAT_KIND_INT ? UINT32_MAX : type.kind == LEAT_KIND_SMALLINT ? UINT16_MAX : UINT8_MAX;
    if (spec->conversion == 'd')
        leat_write_format(out, format, (long long)value);
    else
        leat_write_format(out, format, (unsigned long long)bits);
    return true;
}

static bool write_real(const format_spec *spec, leat_type type, const leat_value *value, leat_writer *out)
{
    char format[40];
    bool decimal = type.kind == LEAT_KIND_DECIMAL;
    if (!decimal && leat_type_physical(type) != LEAT_PHYSICAL_F64)
        return false;
    if (!decimal && !isfinite(value->f64)) {
        format_spec plain = *spec;
        plain.precision = -1;
        write_padded(&plain,
                     leat_slice_text(isnan(value->f64) ? "NaN"
                                     : value->f64 > 0  ? "Infinity"
                                                       : "-Infinity"),
                     out);
        return true;
    }
    c_format(spec, "", format);
    leat_write_format(out, format, decimal ? leat_decimal_to_double(value->i128, type.scale) : value->f64);
    return true;
}
#pragma GCC diagnostic pop

static bool write_text(leat_call *call, const format_spec *spec, leat_type type, const leat_value *value,
                       leat_writer *out)
{
    leat_writer text;
    leat_writer_init(&text, call->eval->env, LEAT_STRING_BYTES_MAX);
    if (value->is_null)
        leat_write_text(&text, spec->conversion == 'b' ? "false" : "null");
    else if (type.kind == LEAT_KIND_BOOLEAN)
        leat_write_text(&text, value->boolean ? "true" : "false");
    else if (spec->conversion == 'b')
        leat_write_text(&text, "true");
    else
        leat_value_print(type, value, call->zone, &text);
    write_padded(spec, leat_writer_slice(&text), out);
    leat_writer_fini(&text);
    return true;
}

static bool write_argument(leat_call *call, const format_spec *spec, uint32_t index, uint32_t row, leat_writer *out)
{
    if (index >= call->step->argument_count)
        return false;
    leat_type type = leat_argument_type(call, index);
    leat_value value = leat_argument_value(call, index, row);
    bool as_text = spec->conversion == 's' || spec->conversion == 'b';
    if (as_text || (value.is_null && strchr("dxXofeE", spec->conversion)))
        return write_text(call, spec, type, &value, out);
    if (strchr("dxXo", spec->conversion))
        return write_integer(spec, type, value.i64, out);
    return strchr("feE", spec->conversion) && write_real(spec, type, &value, out);
}

static bool write_formatted(leat_call *call, uint32_t row, leat_writer *out)
{
    leat_slice format = leat_argument_text(call, 0, row);
    uint32_t next = 1;
    for (size_t at = 0; at < format.size;) {
        format_spec spec;
        if (format.data[at] != '%') {
            leat_write_u8(out, (uint8_t)format.data[at++]);
            continue;
        }
        at++;
        if (!read_spec(format, &at, &spec))
            return false;
        if (spec.conversion == '%' || spec.conversion == 'n')
            leat_write_u8(out, spec.conversion == '%' ? '%' : '\n');
        else if (!write_argument(call, &spec, next++, row, out))
            return false;
    }
    return !out->failed;
}

static void printf_of(leat_call *call)
{
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        call->out->text[row] = leat_slice_of(NULL, 0);
        if (leat_argument_null(call, 0, row)) {
            leat_call_null(call, row);
            continue;
        }
        leat_writer_reset(&writer);
        if (!write_formatted(call, row, &writer)) {
            leat_call_fail(call, row,
                           "PRINTF: the format does not fit its arguments, or is none of %%d %%x %%o %%f %%e %%s %%b");
            continue;
        }
        char *out = leat_call_text(call, writer.size);
        if (writer.size)
            memcpy(out, writer.bytes, writer.size);
        call->out->text[row] = leat_slice_of(out, writer.size);
    }
    leat_writer_fini(&writer);
}

// -- TRANSLATE: of a character that stands twice in the list the first place counts; one without a partner is dropped

static bool translated(leat_slice code, leat_slice from, leat_slice to, leat_slice *out)
{
    for (size_t f = 0, t = 0, step; f < from.size; f += step) {
        step = leat_utf8_size(from.data + f, from.size - f);
        size_t partner = t < to.size ? leat_utf8_size(to.data + t, to.size - t) : 0;
        if (leat_slice_equal(leat_slice_of(from.data + f, step), code)) {
            *out = leat_slice_of(to.data + t, partner);
            return true;
        }
        t += partner;
    }
    return false;
}

static void translate(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), from = {NULL, 0}, to = {NULL, 0};
        if (leat_argument_null(call, 0, row)) {
            leat_call_null(call, row);
            continue;
        }
        if (!leat_argument_null(call, 1, row))
            from = leat_argument_text(call, 1, row);
        if (!leat_argument_null(call, 2, row))
            to = leat_argument_text(call, 2, row);
        char *out = leat_call_text(call, 4 * text.size);
        size_t size = 0;
        for (size_t i = 0, step; i < text.size; i += step) {
            step = leat_utf8_size(text.data + i, text.size - i);
            leat_slice code = leat_slice_of(text.data + i, step), put = code;
            translated(code, from, to, &put);
            if (put.size)
                memcpy(out + size, put.data, put.size);
            size += put.size;
        }
        call->out->text[row] = leat_slice_of(out, size);
    }
}

static void elt(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        int64_t index = leat_argument_i64(call, 0, row);
        uint32_t count = call->step->argument_count;
        bool null = leat_argument_null(call, 0, row), inside = index >= 1 && index < count;
        leat_value value = leat_value_null();
        if (!null && inside)
            value = leat_argument_value(call, (uint32_t)index, row);
        leat_column_set(call->out, row, &value, NULL);
    }
}

// -- what a text consists of; FALSE of an empty one and of NULL

static void is_alpha(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        bool is = !leat_argument_null(call, 0, row) && text.size;
        for (size_t i = 0, step; is && i < text.size; i += step) {
            step = leat_utf8_size(text.data + i, text.size - i);
            uint32_t code = leat_utf8_decode(text.data + i, step);
            is = leat_utf8_is_letter_or_digit(code) && !(code >= '0' && code <= '9');
        }
        call->out->boolean[row] = is;
    }
}

static void is_digit(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row);
        bool is = !leat_argument_null(call, 0, row) && text.size;
        for (size_t i = 0; is && i < text.size; i++)
            is = text.data[i] >= '0' && text.data[i] <= '9';
        call->out->boolean[row] = is;
    }
}

static void is_decimal(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        double number;
        leat_slice text = leat_argument_text(call, 0, row);
        call->out->boolean[row] = !leat_argument_null(call, 0, row) && leat_text_to_double(text, &number);
    }
}

enum { F = LEAT_FUNCTION_FAILS, SEES = LEAT_FUNCTION_LENIENT, N = LEAT_FUNCTION_NULLABLE };

// clang-format off: a row is a line
const leat_function leat_functions_format[] = {
    {"PRINTF", "text, any...", leat_result_string, printf_of, NULL, SEES | N | F,
     "A text by a format with %d %x %X %o %f %e %s %b %n %%, flags, width and precision as in Java."},
    {"TRANSLATE", "text, text, text", leat_result_string, translate, NULL, SEES | N,
     "Every character of the second text replaced by the one at the same place of the third, or dropped."},
    {"TRANSLATE3", "text, text, text", leat_result_string, translate, NULL, SEES | N, "The same as TRANSLATE."},
    {"ELT", "integer, text, text...", leat_result_second, elt, NULL, SEES | N,
     "The text of a number, from 1; NULL when there is none."},
    {"ELT", "integer, bytes, bytes...", leat_result_second, elt, NULL, SEES | N, "The same for BYTES."},
    {"IS_ALPHA", "text", leat_result_boolean, is_alpha, NULL, SEES, "Whether a text consists of letters."},
    {"IS_DIGIT", "text", leat_result_boolean, is_digit, NULL, SEES, "Whether a text consists of digits."},
    {"IS_DECIMAL", "text", leat_result_boolean, is_decimal, NULL, SEES, "Whether a text is a number."},
    {.name = NULL},
};
// clang-format on
