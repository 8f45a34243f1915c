// Making JSON: objects and arrays out of values, texts in quotes and out of them.
#include <string.h>

#include "operators/expr/function.h"
#include "operators/expr/json.h"
#include "operators/expr/utf8.h"

static void set_written(leat_call *call, uint32_t row, const leat_writer *writer)
{
    char *text = leat_call_text(call, writer->size);
    if (writer->size)
        memcpy(text, writer->bytes, writer->size);
    call->out->text[row] = leat_slice_of(text, writer->size);
    if (writer->failed)
        leat_call_fail(call, row, "%s: the text would be longer than %d bytes", call->step->expr->function->name,
                       LEAT_STRING_BYTES_MAX);
}

static void json_object(leat_call *call);
static void json_array(leat_call *call);
static void json(leat_call *call);

// What another of these functions made is JSON already.
static bool is_made(const leat_expr *expr)
{
    leat_kernel kernel = expr->kind == LEAT_EXPR_CALL ? expr->function->kernel : NULL;
    return kernel == json_object || kernel == json_array || kernel == json;
}

bool leat_expr_is_json(const leat_expr *expr) { return is_made(expr); }

static bool nulls_absent(const leat_call *call) { return leat_slice_is(leat_argument_text(call, 0, 0), "ABSENT"); }

static void json_object(leat_call *call)
{
    leat_writer writer;
    uint32_t pairs = (call->step->argument_count - 1) / 2;
    leat_json_field *fields = leat_arena_alloc_aligned(&call->eval->scratch, sizeof *fields * (pairs + 1), 16);
    leat_value *values = leat_arena_alloc_aligned(&call->eval->scratch, sizeof *values * (pairs + 1), 16);
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        uint32_t count = 0;
        bool named = true;
        leat_writer_reset(&writer);
        for (uint32_t i = 0; i < pairs; i++) {
            const leat_expr *item = call->step->expr->arguments[2 * i + 2];
            values[i] = leat_argument_value(call, 2 * i + 2, row);
            named &= !leat_argument_null(call, 2 * i + 1, row);
            if (!named || (values[i].is_null && nulls_absent(call)))
                continue;
            bool made = is_made(item) && !values[i].is_null;
            fields[count] = (leat_json_field){.name = leat_argument_text(call, 2 * i + 1, row),
                                              .item = values[i].text,
                                              .type = item->type,
                                              .value = made ? NULL : &values[i],
                                              .index = count};
            count++;
        }
        leat_json_write_fields(fields, count, &call->eval->scratch, &writer);
        set_written(call, row, &writer);
        if (!named)
            leat_call_fail(call, row, "JSON_OBJECT: a key is NULL");
    }
    leat_writer_fini(&writer);
}

static void json_array(leat_call *call)
{
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        bool any = false;
        leat_writer_reset(&writer);
        leat_write_u8(&writer, '[');
        for (uint32_t i = 1; i < call->step->argument_count; i++) {
            const leat_expr *item = call->step->expr->arguments[i];
            leat_value value = leat_argument_value(call, i, row);
            if (value.is_null && nulls_absent(call))
                continue;
            if (any)
                leat_write_u8(&writer, ',');
            any = true;
            if (is_made(item) && !value.is_null)
                leat_write_bytes(&writer, value.text.data, value.text.size);
            else
                leat_json_write_value(item->type, &value, &call->eval->scratch, &writer);
        }
        leat_write_u8(&writer, ']');
        set_written(call, row, &writer);
    }
    leat_writer_fini(&writer);
}

static void json(leat_call *call)
{
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        leat_slice value;
        leat_writer_reset(&writer);
        bool good = leat_json_check(leat_argument_text(call, 0, row), &value);
        if (good)
            leat_json_write(value, &call->eval->scratch, &writer);
        set_written(call, row, &writer);
        if (!good)
            leat_call_fail(call, row, "JSON: the text is no JSON");
    }
    leat_writer_fini(&writer);
}

static void json_string(leat_call *call)
{
    leat_writer writer;
    leat_type type = leat_argument_type(call, 0);
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        leat_value value = leat_argument_value(call, 0, row);
        leat_writer_reset(&writer);
        leat_json_write_value(type, &value, &call->eval->scratch, &writer);
        set_written(call, row, &writer);
    }
    leat_writer_fini(&writer);
}

// -- quotes

static void quote_code(uint32_t code, leat_writer *out)
{
    if (code >= 0x10000) {
        leat_write_format(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                          0xdc00 + ((code - 0x10000) & 0x3ff));
        return;
    }
    leat_write_format(out, "\\u%04x", code);
}

// All but ASCII as \uXXXX.
static void quote(leat_slice text, leat_writer *out)
{
    static const char from[] = "\"\\/\b\f\n\r\t", to[] = "\"\\/bfnrt";
    leat_write_u8(out, '"');
    for (size_t i = 0, step; i < text.size; i += step) {
        step = leat_utf8_size(text.data + i, text.size - i);
        unsigned char c = (unsigned char)text.data[i];
        const char *known = c && c < 0x80 ? strchr(from, c) : NULL;
        if (known)
            leat_write_format(out, "\\%c", to[known - from]);
        else if (c < 0x80)
            leat_write_u8(out, c);
        else
            quote_code(leat_utf8_decode(text.data + i, step), out);
    }
    leat_write_u8(out, '"');
}

static void json_quote(leat_call *call)
{
    leat_writer writer;
    leat_writer_init(&writer, call->eval->env, LEAT_STRING_BYTES_MAX);
    LEAT_EACH(call, row)
    {
        leat_writer_reset(&writer);
        quote(leat_argument_text(call, 0, row), &writer);
        set_written(call, row, &writer);
    }
    leat_writer_fini(&writer);
}

static void json_unquote(leat_call *call)
{
    LEAT_EACH(call, row)
    {
        leat_slice text = leat_argument_text(call, 0, row), value;
        call->out->text[row] = text;
        if (!text.size || text.data[0] != '"' || !leat_json_check(text, &value) || value.size != text.size)
            continue;
        char *out = leat_call_text(call, text.size);
        call->out->text[row] = leat_slice_of(out, leat_json_characters(leat_json_inside(text), out));
    }
}

// -- result rules

static leat_code written_type(leat_rule *rule, uint32_t first, uint32_t step)
{
    char text[LEAT_TYPE_TEXT];
    for (uint32_t i = first; i < rule->count; i += step) {
        leat_type type = rule->arguments[i]->type;
        if (type.kind == LEAT_KIND_MAP && type.fields[0].type->kind != LEAT_KIND_STRING)
            return leat_error_set(rule->error, LEAT_E_INVALID, "%s takes maps with keys of STRING, not %s",
                                  rule->function->name, leat_type_print(type, text));
    }
    return leat_result_string(rule);
}

static leat_code object_type(leat_rule *rule)
{
    char text[LEAT_TYPE_TEXT];
    if (rule->count % 2 == 0)
        return leat_error_set(rule->error, LEAT_E_INVALID, "JSON_OBJECT takes keys and values in turn");
    for (uint32_t i = 1; i < rule->count; i += 2)
        if (rule->arguments[i]->type.kind != LEAT_KIND_STRING)
            return leat_error_set(rule->error, LEAT_E_INVALID, "JSON_OBJECT: a key is STRING, not %s",
                                  leat_type_print(rule->arguments[i]->type, text));
    return written_type(rule, 2, 2);
}

static leat_code array_type(leat_rule *rule) { return written_type(rule, 1, 1); }

static leat_code string_type(leat_rule *rule) { return written_type(rule, 0, 1); }

enum { F = LEAT_FUNCTION_FAILS, MAKES = LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_FAILS };

// clang-format off: a row is a line
const leat_function leat_functions_json_make[] = {
    {"JSON_OBJECT", "literal, any...", object_type, json_object, NULL, MAKES,
     "A JSON object of keys and values, keys in order; NULL ON NULL unless ABSENT ON NULL is written."},
    {"JSON_ARRAY", "literal, any...", array_type, json_array, NULL, MAKES,
     "A JSON array of values; ABSENT ON NULL unless NULL ON NULL is written."},
    {"JSON", "text", leat_result_string, json, NULL, F,
     "A text that is JSON, put into JSON_OBJECT or JSON_ARRAY as it is."},
    {"JSON_STRING", "any", string_type, json_string, NULL, F, "A value as JSON."},
    {"JSON_QUOTE", "text", leat_result_string, json_quote, NULL, F, "A text as a JSON text, in ASCII."},
    {"JSON_UNQUOTE", "text", leat_result_string, json_unquote, NULL, 0,
     "The characters of a JSON text; what is none stays as it is."},
    {.name = NULL},
};
// clang-format on
