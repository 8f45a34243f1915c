#include "tests/support/harness_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/harness.h"

// ---- splitting

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

static leat_slice trim(leat_slice text)
{
    while (text.size && is_blank(text.data[0]))
        text = leat_slice_of(text.data + 1, text.size - 1);
    while (text.size && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

// The first part before a separator that stands outside of quotes and brackets; the rest follows the separator.
static bool next_part(leat_slice *rest, char separator, leat_slice *out_part)
{
    if (!rest->data)
        return false;
    int depth = 0;
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->size; i++) {
        char c = rest->data[i];
        if (c == '\'')
            quoted = !quoted;
        else if (!quoted && strchr("([<", c))
            depth++;
        else if (!quoted && strchr(")]>", c))
            depth--;
        else if (!quoted && depth == 0 && c == separator)
            break;
    }
    *out_part = trim(leat_slice_of(rest->data, i));
    *rest = i < rest->size ? leat_slice_of(rest->data + i + 1, rest->size - i - 1) : leat_slice_of(NULL, 0);
    return true;
}

// ---- schemas

static leat_type_field *parse_fields(leat_arena *arena, leat_slice text, bool named, uint32_t *out_count);

static leat_type parse_nested(leat_arena *arena, leat_kind kind, leat_slice inner)
{
    leat_type type = {.kind = (uint8_t)kind};
    type.fields = parse_fields(arena, inner, kind == LEAT_KIND_ROW, &type.field_count);
    return type;
}

static leat_type with_digits(leat_kind kind, leat_slice inner)
{
    unsigned precision = 0, scale = 0;
    sscanf(inner.data, "%u,%u", &precision, &scale);
    if (kind == LEAT_KIND_DECIMAL)
        return leat_type_decimal(precision, scale);
    leat_type type = leat_type_of(kind);
    type.precision = (uint8_t)precision;
    return type;
}

static leat_kind kind_by_name(leat_slice name)
{
    static const char *const names[LEAT_KIND_COUNT] = {
        [LEAT_KIND_NULL] = "NULL",
        [LEAT_KIND_BOOLEAN] = "BOOLEAN",
        [LEAT_KIND_TINYINT] = "TINYINT",
        [LEAT_KIND_SMALLINT] = "SMALLINT",
        [LEAT_KIND_INT] = "INT",
        [LEAT_KIND_BIGINT] = "BIGINT",
        [LEAT_KIND_FLOAT] = "FLOAT",
        [LEAT_KIND_DOUBLE] = "DOUBLE",
        [LEAT_KIND_DECIMAL] = "DECIMAL",
        [LEAT_KIND_STRING] = "STRING",
        [LEAT_KIND_BYTES] = "BYTES",
        [LEAT_KIND_DATE] = "DATE",
        [LEAT_KIND_TIME] = "TIME",
        [LEAT_KIND_TIMESTAMP] = "TIMESTAMP",
        [LEAT_KIND_TIMESTAMP_LTZ] = "TIMESTAMP_LTZ",
        [LEAT_KIND_INTERVAL] = "INTERVAL",
        [LEAT_KIND_INTERVAL_MONTH] = "INTERVAL_MONTH",
        [LEAT_KIND_ARRAY] = "ARRAY",
        [LEAT_KIND_MAP] = "MAP",
        [LEAT_KIND_ROW] = "ROW",
    };
    for (int i = 0; i < LEAT_KIND_COUNT; i++)
        if (leat_slice_is(name, names[i]))
            return (leat_kind)i;
    fail_msg("unknown type '%.*s'", (int)name.size, name.data);
    return LEAT_KIND_NULL;
}

static leat_type parse_type(leat_arena *arena, leat_slice text)
{
    size_t name_size = 0;
    while (name_size < text.size && !strchr("(<", text.data[name_size]))
        name_size++;
    leat_kind kind = kind_by_name(leat_slice_of(text.data, name_size));
    if (name_size == text.size)
        return leat_type_of(kind);
    leat_slice inner = leat_slice_of(text.data + name_size + 1, text.size - name_size - 2);
    return text.data[name_size] == '(' ? with_digits(kind, inner) : parse_nested(arena, kind, inner);
}

enum { FIELDS_MAX = 64 };

static leat_type_field *parse_fields(leat_arena *arena, leat_slice text, bool named, uint32_t *out_count)
{
    leat_type_field *fields = leat_arena_array(arena, leat_type_field, FIELDS_MAX);
    uint32_t count = 0;
    for (leat_slice part; next_part(&text, ',', &part); count++) {
        assert_true(count < FIELDS_MAX);
        leat_slice name = leat_slice_of("", 0);
        leat_slice after_name = part;
        if (named && next_part(&after_name, ':', &name))
            part = after_name;
        leat_type *type = leat_arena_new(arena, leat_type);
        *type = parse_type(arena, trim(part));
        fields[count] = (leat_type_field){.name = name, .type = type};
    }
    *out_count = count;
    return fields;
}

leat_type harness_type(leat_arena *arena, const char *text) { return parse_type(arena, trim(leat_slice_text(text))); }

static void parse_column(leat_arena *arena, leat_schema *schema, leat_field *fields, leat_slice part)
{
    leat_slice rest = part, name;
    if (!next_part(&rest, ':', &name) || !rest.data)
        fail_msg("expected 'name:TYPE', found '%.*s'", (int)part.size, part.data);
    char mark = rest.data[rest.size - 1];
    if (mark == '*')
        schema->rowtime = (int32_t)schema->count;
    if (mark == '!')
        schema->proctime = (int32_t)schema->count;
    if (mark == '*' || mark == '!')
        rest.size--;
    fields[schema->count++] = (leat_field){
        .name = leat_slice_of(leat_arena_copy(arena, name.data, name.size), name.size),
        .type = parse_type(arena, trim(rest)),
    };
}

const leat_schema *harness_schema(leat_arena *arena, const char *text)
{
    leat_schema *schema = leat_arena_new(arena, leat_schema);
    leat_field *fields = leat_arena_array(arena, leat_field, FIELDS_MAX);
    *schema = (leat_schema){.fields = fields, .rowtime = -1, .proctime = -1};
    leat_slice rest = leat_slice_text(text);
    for (leat_slice part; rest.size && next_part(&rest, ',', &part);) {
        assert_true(schema->count < FIELDS_MAX);
        parse_column(arena, schema, fields, part);
    }
    return schema;
}

// ---- values

static leat_value parse_value(leat_arena *arena, leat_type type, leat_slice text);

static leat_value parse_items(leat_arena *arena, leat_type type, leat_slice text)
{
    leat_value *items = leat_arena_alloc_aligned(arena, sizeof(leat_value) * FIELDS_MAX, _Alignof(leat_value));
    leat_slice rest = leat_slice_of(text.data + 1, text.size - 2);
    uint32_t count = 0;
    for (leat_slice part; rest.size && next_part(&rest, ';', &part); count++) {
        assert_true(count < FIELDS_MAX);
        items[count] = parse_value(arena, *type.fields[count % type.field_count].type, part);
    }
    return (leat_value){.nested = {.count = count, .items = items}};
}

static leat_slice unquote(leat_slice text)
{
    if (text.size >= 2 && text.data[0] == '\'' && text.data[text.size - 1] == '\'')
        return leat_slice_of(text.data + 1, text.size - 2);
    return text;
}

static bool parse_scalar(leat_type type, leat_slice text, leat_value *out)
{
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        out->boolean = leat_slice_is(text, "true");
        return out->boolean || leat_slice_is(text, "false");
    case LEAT_PHYSICAL_I64:
        return leat_integer_parse(text, &out->i64);
    case LEAT_PHYSICAL_F64:
        return leat_double_parse(text, &out->f64);
    case LEAT_PHYSICAL_I128:
        return leat_decimal_parse(text, type.scale, &out->i128);
    default:
        return false;
    }
}

static leat_value parse_value(leat_arena *arena, leat_type type, leat_slice text)
{
    leat_value value = {.is_null = false};
    if (leat_slice_is(text, "NULL"))
        return leat_value_null();
    leat_physical physical = leat_type_physical(type);
    if (physical == LEAT_PHYSICAL_NESTED)
        return parse_items(arena, type, text);
    if (physical == LEAT_PHYSICAL_TEXT) {
        leat_slice bare = unquote(text);
        value.text = leat_slice_of(leat_arena_copy(arena, bare.data, bare.size), bare.size);
    } else if (!parse_scalar(type, text, &value)) {
        char name[LEAT_TYPE_TEXT];
        fail_msg("'%.*s' is no %s", (int)text.size, text.data, leat_type_print(type, name));
    }
    return value;
}

static leat_row_kind parse_kind(leat_slice *text)
{
    static const char *const names[] = {"+I ", "-U ", "+U ", "-D "};
    for (int kind = 0; kind < 4; kind++)
        if (text->size > 3 && memcmp(text->data, names[kind], 3) == 0) {
            *text = trim(leat_slice_of(text->data + 3, text->size - 3));
            return (leat_row_kind)kind;
        }
    return LEAT_INSERT;
}

// "values@time": the time stands behind the last @ unless that is a value of its own (",@" or the row's only text).
static int64_t parse_event_time(leat_slice *text)
{
    size_t at = text->size;
    while (at > 0 && text->data[at - 1] != '@' && text->data[at - 1] != '\'')
        at--;
    int64_t event_ms;
    if (at == 0 || text->data[at - 1] != '@' ||
        !leat_integer_parse(trim(leat_slice_of(text->data + at, text->size - at)), &event_ms))
        return LEAT_TIME_NONE;
    *text = trim(leat_slice_of(text->data, at - 1));
    return event_ms;
}

static harness_row parse_row(leat_arena *arena, const leat_schema *schema, leat_slice text)
{
    leat_slice whole = text;
    harness_row row = {.kind = parse_kind(&text), .watermark = LEAT_TIME_NONE};
    row.event_ms = parse_event_time(&text);
    row.values = leat_arena_alloc_aligned(arena, sizeof(leat_value) * (schema->count + 1), _Alignof(leat_value));
    uint32_t column = 0;
    for (leat_slice part; next_part(&text, ',', &part); column++) {
        if (column == schema->count)
            break;
        row.values[column] = leat_slice_is(part, "@") ? (leat_value){.i64 = row.event_ms}
                                                      : parse_value(arena, schema->fields[column].type, part);
    }
    if (column != schema->count || text.data)
        fail_msg("expected %u values, found '%.*s'", schema->count, (int)whole.size, whole.data);
    return row;
}

void harness_rows_parse(leat_arena *arena, const leat_schema *schema, const char *rows,
                        void (*take)(void *context, const harness_row *row), void *context)
{
    leat_slice rest = trim(leat_slice_text(rows));
    for (leat_slice part; rest.size && next_part(&rest, '|', &part);) {
        harness_row row = parse_row(arena, schema, part);
        take(context, &row);
    }
}

// ---- printing

static const char *value_text(leat_arena *arena, leat_type type, const leat_value *value);

static const char *nested_text(leat_arena *arena, leat_type type, const leat_nested *nested)
{
    const char *text = "[";
    for (uint32_t i = 0; i < nested->count; i++)
        text = leat_arena_format(arena, "%s%s%s", text, i ? ";" : "",
                                 value_text(arena, *type.fields[i % type.field_count].type, &nested->items[i]));
    return leat_arena_format(arena, "%s]", text);
}

static const char *value_text(leat_arena *arena, leat_type type, const leat_value *value)
{
    char number[LEAT_NUMBER_TEXT + 8];
    if (value->is_null)
        return "NULL";
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        return value->boolean ? "true" : "false";
    case LEAT_PHYSICAL_I64:
        return leat_arena_format(arena, "%lld", (long long)value->i64);
    case LEAT_PHYSICAL_F64:
        return leat_arena_copy(arena, number,
                               type.kind == LEAT_KIND_FLOAT ? leat_float_print_java((float)value->f64, number)
                                                            : leat_double_print_java(value->f64, number));
    case LEAT_PHYSICAL_I128:
        return leat_arena_copy(arena, number, leat_decimal_print(value->i128, type.scale, number));
    case LEAT_PHYSICAL_TEXT:
        return leat_arena_copy(arena, value->text.data, value->text.size);
    case LEAT_PHYSICAL_NESTED:
        return nested_text(arena, type, &value->nested);
    }
    return "?";
}

const char *harness_row_text(leat_arena *arena, const leat_batch *batch, uint32_t row)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    const char *text = leat_arena_format(arena, "%s[", kinds[leat_batch_kind(batch, row)]);
    for (uint32_t i = 0; i < batch->schema->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        text = leat_arena_format(arena, "%s%s%s", text, i ? ", " : "",
                                 value_text(arena, batch->schema->fields[i].type, &value));
    }
    if (!batch->event_ms || batch->event_ms[row] == LEAT_TIME_NONE)
        return leat_arena_format(arena, "%s]", text);
    return leat_arena_format(arena, "%s]@%lld", text, (long long)batch->event_ms[row]);
}

// ---- batches

void harness_row_put(leat_batch *batch, uint32_t row, const harness_row *from)
{
    for (uint32_t i = 0; i < batch->schema->count; i++)
        leat_column_set(&batch->columns[i], row, &from->values[i], &batch->arena);
    batch->event_ms[row] = from->event_ms;
    batch->cause[row] = from->cause;
    if (from->kind != LEAT_INSERT && !batch->row_kind)
        batch->row_kind = leat_arena_calloc(&batch->arena, LEAT_BATCH_ROWS);
    if (batch->row_kind)
        batch->row_kind[row] = (uint8_t)from->kind;
}

static void append_to_batch(void *context, const harness_row *row)
{
    leat_batch *batch = context;
    assert_true(batch->count < LEAT_BATCH_ROWS);
    harness_row_put(batch, batch->count, row);
    batch->cause[batch->count] = batch->count;
    batch->selected = ++batch->count;
}

leat_batch *harness_batch(leat_batch_pool *pool, leat_arena *arena, const leat_schema *schema, const char *rows)
{
    leat_batch *batch = leat_batch_get_rows(pool, schema, LEAT_BATCH_ROWS);
    assert_non_null(batch);
    harness_rows_parse(arena, schema, rows, append_to_batch, batch);
    return batch;
}

const char *harness_batch_text(leat_arena *arena, const leat_batch *batch)
{
    const char *text = "";
    for (uint32_t i = 0; i < batch->selected; i++)
        text = leat_arena_format(arena, "%s%s%s", text, i ? " | " : "",
                                 harness_row_text(arena, batch, leat_batch_row(batch, i)));
    return text;
}
