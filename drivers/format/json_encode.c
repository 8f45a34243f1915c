// Rows to JSON objects: columns in order, then what the envelope gives. The names with their escapes are made once, at open.
#include <stdio.h>

#include "drivers/format/json.h"
#include "operators/base/calendar.h"

static void put_value(leat_json_format *self, leat_type type, const leat_value *value, leat_writer *out);

static bool needs_escape(unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }

static void put_escape(leat_writer *out, unsigned char c)
{
    static const char short_forms[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (const char *form = short_forms; *form; form += 2)
        if (*form == (char)c) {
            char text[2] = {'\\', form[1]};
            leat_write_bytes(out, text, 2);
            return;
        }
    leat_write_format(out, "\\u%04x", c);
}

// Bytes that are no UTF-8 become U+FFFD: what leaves is always JSON.
static void put_text(leat_writer *out, leat_slice text)
{
    size_t valid = leat_utf8_valid(text.data, text.size);
    leat_write_u8(out, '"');
    for (size_t at = 0; at < text.size;) {
        size_t plain = at;
        while (plain < valid && !needs_escape((unsigned char)text.data[plain]))
            plain++;
        leat_write_bytes(out, text.data + at, plain - at);
        at = plain;
        if (at == text.size)
            break;
        if (at < valid) {
            put_escape(out, (unsigned char)text.data[at++]);
        } else {
            leat_write_text(out, "\\ufffd");
            at++;
            valid = at + leat_utf8_valid(text.data + at, text.size - at);
        }
    }
    leat_write_u8(out, '"');
}

static void put_integer(leat_writer *out, int64_t value)
{
    char text[LEAT_NUMBER_TEXT];
    leat_write_bytes(out, text, leat_integer_print(value, text));
}

static void put_instant(leat_json_format *self, leat_type type, int64_t ms, leat_writer *out)
{
    char text[LEAT_TIMESTAMP_TEXT];
    if (self->settings.timestamps == LEAT_JSON_MS) {
        put_integer(out, ms);
        return;
    }
    bool zoned = type.kind == LEAT_KIND_TIMESTAMP_LTZ;
    leat_write_u8(out, '"');
    leat_write_bytes(out, text, leat_timestamp_print(ms, zoned ? 'T' : ' ', text));
    leat_write_text(out, zoned ? "Z\"" : "\"");
}

static void put_quoted(leat_writer *out, const char *text, size_t size)
{
    leat_write_u8(out, '"');
    leat_write_bytes(out, text, size);
    leat_write_u8(out, '"');
}

static void put_map(leat_json_format *self, leat_type type, leat_nested map, leat_writer *out)
{
    leat_write_u8(out, '{');
    for (uint32_t i = 0; i + 1 < map.count; i += 2) {
        if (i > 0)
            leat_write_u8(out, ',');
        if (type.fields[0].type->kind == LEAT_KIND_STRING && !map.items[i].is_null) {
            put_text(out, map.items[i].text);
        } else { // any other key by its own text, in quotes
            leat_writer key;
            leat_writer_init(&key, out->env, LEAT_STRING_BYTES_MAX);
            put_value(self, *type.fields[0].type, &map.items[i], &key);
            leat_slice text = leat_writer_slice(&key);
            if (text.size >= 2 && text.data[0] == '"')
                leat_write_bytes(out, text.data, text.size);
            else
                put_text(out, text);
            leat_writer_fini(&key);
        }
        leat_write_u8(out, ':');
        put_value(self, *type.fields[1].type, &map.items[i + 1], out);
    }
    leat_write_u8(out, '}');
}

static void put_nested(leat_json_format *self, leat_type type, leat_nested nested, leat_writer *out)
{
    bool is_row = type.kind == LEAT_KIND_ROW;
    leat_write_u8(out, is_row ? '{' : '[');
    for (uint32_t i = 0; i < nested.count; i++) {
        if (i > 0)
            leat_write_u8(out, ',');
        if (is_row) {
            put_text(out, type.fields[i].name);
            leat_write_u8(out, ':');
        }
        put_value(self, *type.fields[is_row ? i : 0].type, &nested.items[i], out);
    }
    leat_write_u8(out, is_row ? '}' : ']');
}

static void put_value(leat_json_format *self, leat_type type, const leat_value *value, leat_writer *out)
{
    char text[LEAT_NUMBER_TEXT + 8];
    if (value->is_null) {
        leat_write_bytes(out, "null", 4);
        return;
    }
    switch ((leat_kind)type.kind) {
    case LEAT_KIND_BOOLEAN:
        leat_write_text(out, value->boolean ? "true" : "false");
        break;
    case LEAT_KIND_FLOAT:
        leat_write_bytes(out, text, leat_float_print((float)value->f64, text));
        break;
    case LEAT_KIND_DOUBLE:
        leat_write_bytes(out, text, leat_double_print(value->f64, text));
        break;
    case LEAT_KIND_DECIMAL:
        leat_write_bytes(out, text, leat_decimal_print(value->i128, type.scale, text));
        break;
    case LEAT_KIND_STRING:
        put_text(out, value->text);
        break;
    case LEAT_KIND_BYTES:
        leat_write_u8(out, '"');
        leat_base64_write(out, value->text);
        leat_write_u8(out, '"');
        break;
    case LEAT_KIND_DATE:
        put_quoted(out, text, leat_date_print(value->i64, text));
        break;
    case LEAT_KIND_TIME:
        put_quoted(out, text, leat_time_print(value->i64, text));
        break;
    case LEAT_KIND_TIMESTAMP:
    case LEAT_KIND_TIMESTAMP_LTZ:
        put_instant(self, type, value->i64, out);
        break;
    case LEAT_KIND_ARRAY:
    case LEAT_KIND_ROW:
        put_nested(self, type, value->nested, out);
        break;
    case LEAT_KIND_MAP:
        put_map(self, type, value->nested, out);
        break;
    case LEAT_KIND_NULL:
        leat_write_bytes(out, "null", 4);
        break;
    default: // integers and intervals
        put_integer(out, value->i64);
        break;
    }
}

void leat_json_encode_init(leat_json_format *self)
{
    const leat_format_setup *setup = self->format.setup;
    leat_writer name;
    leat_writer_init(&name, setup->env, SIZE_MAX);
    self->names = leat_arena_array(setup->arena, leat_slice, setup->schema->count);
    for (uint32_t i = 0; i < setup->schema->count; i++) {
        leat_writer_reset(&name);
        leat_write_u8(&name, i ? ',' : '{');
        put_text(&name, setup->schema->fields[i].name);
        leat_write_u8(&name, ':');
        leat_slice made = leat_writer_slice(&name);
        self->names[i] = leat_slice_of(leat_arena_copy(setup->arena, made.data, made.size), made.size);
    }
    leat_writer_fini(&name);
}

static void put_member(leat_writer *out, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    leat_write_format(out, ",\"%s\":", name);
    put_text(out, leat_slice_text(text));
}

void leat_json_encode(leat_format *format, const leat_batch *batch, uint32_t row, const leat_envelope *envelope,
                      leat_writer *out)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    leat_json_format *self = (leat_json_format *)format;
    const leat_schema *schema = format->setup->schema;
    size_t begin = out->size;
    leat_row_kind kind = leat_batch_kind(batch, row);
    for (uint32_t i = 0; i < schema->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        leat_write_bytes(out, self->names[i].data, self->names[i].size);
        put_value(self, schema->fields[i].type, &value, out);
    }
    if (kind != LEAT_INSERT || schema->changelog != LEAT_CHANGELOG_INSERT)
        put_member(out, format->setup->changelog_field ? format->setup->changelog_field : "op", kinds[kind]);
    if (envelope) {
        put_member(out, "_id", envelope->id);
        if (envelope->sequence) {
            leat_write_text(out, ",\"_seq\":");
            put_integer(out, (int64_t)envelope->sequence);
        }
        put_member(out, "_rule", envelope->rule);
        put_member(out, "_gateway", envelope->gateway);
    }
    if (out->failed)
        return;
    if (out->size == begin)
        leat_write_u8(out, '{');
    else
        out->bytes[begin] = '{'; // a schema without columns begins with the envelope's comma
    leat_write_u8(out, '}');
}
