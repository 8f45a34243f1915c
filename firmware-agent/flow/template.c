#include "firmware-agent/flow/template.h"

#include <string.h>

#include "operators/base/calendar.h"
#include "operators/base/suggest.h"

typedef struct part {
    leat_slice text; // literal, when column < 0
    int column;
    bool quoted; // a value within a JSON string
} part;

struct leat_template {
    part *parts;
    uint32_t count;
    bool topic;
};

static bool fixed_name(const leat_template_names *names, leat_slice name, const char **out_text)
{
    const struct {
        const char *name, *text;
    } fixed[] = {{"rule", names->rule}, {"output", names->output}, {"gateway", names->gateway}, {"sink", names->sink}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (!leat_slice_is(name, fixed[i].name))
            continue;
        *out_text = fixed[i].text ? fixed[i].text : "";
        return true;
    }
    return false;
}

static leat_code unknown_name(leat_arena *arena, leat_slice name, const leat_schema *schema, leat_error *out_error)
{
    leat_slice *known = leat_arena_array(arena, leat_slice, schema->count);
    char hint[128];
    for (uint32_t i = 0; i < schema->count; i++)
        known[i] = schema->fields[i].name;
    return leat_error_set(out_error, LEAT_E_INVALID,
                          "{%.*s} is neither rule, output, gateway, sink nor a column of the stream%s", (int)name.size,
                          name.data, leat_suggest_text(name, known, schema->count, hint));
}

static leat_code name_part(leat_arena *arena, leat_slice name, const leat_template_names *names,
                           const leat_schema *schema, part *out_part, leat_error *out_error)
{
    const char *text;
    out_part->column = leat_schema_find(schema, name);
    if (out_part->column >= 0)
        return LEAT_OK;
    if (!fixed_name(names, name, &text))
        return unknown_name(arena, name, schema, out_error);
    out_part->text = leat_slice_text(text);
    return LEAT_OK;
}

// `{"..`, `{}`, `[`: as JSON begins and no {name} does.
static bool looks_like_json(const char *text)
{
    static const char blanks[] = " \t\r\n";
    text += strspn(text, blanks);
    return *text == '[' || (*text == '{' && strchr("\"}", text[1 + strspn(text + 1, blanks)]));
}

// Whether a JSON string is open behind the literal, which begins within one or not.
static bool quote_open(leat_slice literal, bool open)
{
    for (size_t i = 0; i < literal.size; i++) {
        if (literal.data[i] == '\\' && open)
            i++;
        else if (literal.data[i] == '"')
            open = !open;
    }
    return open;
}

leat_code leat_template_parse(leat_arena *arena, const char *text, bool topic, const leat_template_names *names,
                              const leat_schema *schema, leat_template **out_template, leat_error *out_error)
{
    size_t size = strlen(text);
    leat_template *parsed = leat_arena_new(arena, leat_template);
    parsed->topic = topic;
    parsed->parts = leat_arena_array(arena, part, size + 1);
    const char *copy = leat_arena_copy(arena, text, size), *end = copy + size;
    bool json = !topic && looks_like_json(copy), open = false;
    for (const char *cursor = copy; cursor < end;) {
        part *next = &parsed->parts[parsed->count++];
        const char *close = *cursor == '{' ? memchr(cursor, '}', (size_t)(end - cursor)) : NULL;
        const char *quote = topic || !close ? NULL : memchr(cursor, '"', (size_t)(close - cursor));
        if (close && !quote) { // {"json": ...} is no name
            leat_code code = name_part(arena, leat_slice_of(cursor + 1, (size_t)(close - cursor - 1)), names, schema,
                                       next, out_error);
            if (code != LEAT_OK)
                return code;
            next->quoted = json && open;
            cursor = close + 1;
            continue;
        }
        const char *stop = memchr(cursor + 1, '{', (size_t)(end - cursor - 1));
        stop = stop ? stop : end;
        *next = (part){.text = leat_slice_of(cursor, (size_t)(stop - cursor)), .column = -1};
        open = quote_open(next->text, open);
        cursor = stop;
    }
    *out_template = parsed;
    return LEAT_OK;
}

static void write_escaped(leat_slice text, leat_writer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = (uint8_t)text.data[i];
        if (c == '"' || c == '\\')
            leat_write_format(out, "\\%c", c);
        else if (c < 0x20)
            leat_write_format(out, "\\u%04x", c);
        else
            leat_write_u8(out, c);
    }
}

static void write_safe(const leat_template *parsed, bool quoted, leat_slice text, leat_writer *out)
{
    if (quoted) {
        write_escaped(text, out);
        return;
    }
    if (!parsed->topic) {
        leat_write_bytes(out, text.data, text.size);
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        leat_write_u8(out, (uint8_t)(c == '/' || c == '+' || c == '#' || c == 0 ? '_' : c));
    }
}

static size_t print_scalar(leat_type type, const leat_value *value, char *out_text)
{
    switch (type.kind) {
    case LEAT_KIND_FLOAT:
        return leat_float_print((float)value->f64, out_text);
    case LEAT_KIND_DOUBLE:
        return leat_double_print(value->f64, out_text);
    case LEAT_KIND_DECIMAL:
        return leat_decimal_print(value->i128, type.scale, out_text);
    case LEAT_KIND_DATE:
        return leat_date_print(value->i64, out_text);
    case LEAT_KIND_TIME:
        return leat_time_print(value->i64, out_text);
    case LEAT_KIND_TIMESTAMP:
        return leat_timestamp_print(value->i64, ' ', out_text);
    default:
        return leat_integer_print(value->i64, out_text);
    }
}

static void write_value(const leat_template *parsed, bool quoted, const leat_column *column, uint32_t row,
                        leat_writer *out)
{
    leat_value value = leat_column_value(column, row);
    char text[LEAT_NUMBER_TEXT + LEAT_TIMESTAMP_TEXT];
    leat_physical physical = leat_type_physical(column->type);
    if (value.is_null)
        leat_write_text(out, "null");
    else if (physical == LEAT_PHYSICAL_TEXT)
        write_safe(parsed, quoted, value.text, out);
    else if (physical == LEAT_PHYSICAL_NESTED)
        leat_write_text(out, "nested");
    else if (column->type.kind == LEAT_KIND_BOOLEAN)
        leat_write_text(out, value.boolean ? "true" : "false");
    else
        write_safe(parsed, quoted, leat_slice_of(text, print_scalar(column->type, &value, text)), out);
}

void leat_template_render(const leat_template *parsed, const leat_batch *batch, uint32_t row, leat_writer *out)
{
    for (uint32_t i = 0; i < parsed->count; i++) {
        const part *next = &parsed->parts[i];
        if (next->column < 0 && next->quoted)
            write_escaped(next->text, out);
        else if (next->column < 0)
            leat_write_bytes(out, next->text.data, next->text.size);
        else
            write_value(parsed, next->quoted, &batch->columns[next->column], row, out);
    }
}
