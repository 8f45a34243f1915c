#include <math.h>
#include <string.h>

#include "drivers/format/json_field.h"

enum { MAP_ENTRIES_MAX = 1024 }; // a name is looked for among all entries before it

static const char wrong_kind[] = "is not of that kind";
static const char out_of_range[] = "is out of range";

// What the reading of one value of any kind carries; `reason` is set when it does not fit.
typedef struct leat_json_reading {
    leat_json_scan *scan;
    leat_arena *arena;
    leat_time_unit time_unit;
    const char *reason;
} leat_json_reading;

void leat_json_note_misfit(leat_json_format *self, uint32_t field, const char *begin, const char *end,
                           const char *reason)
{
    self->misfit = true;
    self->misfits[field] = (leat_json_misfit){self->serial, leat_slice_of(begin, (size_t)(end - begin)), reason};
}

const char *leat_json_line_end(const leat_json_format *self, const char *p)
{
    const char *end = self->part_end;
    const char *newline = self->raw->flags & LEAT_RAW_LINES ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    return newline ? newline : end;
}

void leat_json_settle_line(leat_json_format *self, const char *p)
{
    if (!self->line_open)
        return;
    self->line_open = false;
    self->scan.end = leat_json_line_end(self, p);
}

leat_slice leat_json_text_take(leat_json_text text, leat_arena *arena)
{
    char *copy = leat_arena_alloc_aligned(arena, text.size + 1, 1);
    if (text.escaped)
        return leat_slice_of(copy, leat_json_unescape(text, copy));
    memcpy(copy, text.data, text.size);
    return leat_slice_of(copy, text.size);
}

// ---- any kind, through a leat_value

static const char *read_value(leat_json_reading *reading, const leat_type *type, const char *p, unsigned depth,
                              leat_value *out);

static const char *read_number(leat_json_reading *reading, const leat_type *type, const char *p, leat_value *out)
{
    leat_scanned_number number;
    p = leat_json_number(reading->scan, p, &number);
    if (!p)
        return NULL;
    leat_slice text = leat_slice_of(number.begin, (size_t)(number.end - number.begin));
    switch ((leat_kind)type->kind) {
    case LEAT_KIND_TINYINT:
    case LEAT_KIND_SMALLINT:
    case LEAT_KIND_INT:
    case LEAT_KIND_BIGINT:
    case LEAT_KIND_INTERVAL:
    case LEAT_KIND_INTERVAL_MONTH: {
        leat_scanned scanned = leat_scanned_integer(&number, &out->i64);
        bool bounded = leat_type_is_integer(*type);
        if (scanned == LEAT_SCANNED_FRACTION)
            reading->reason = "has a fraction";
        else if (scanned == LEAT_SCANNED_RANGE ||
                 (bounded && (out->i64 < leat_integer_min(*type) || out->i64 > leat_integer_max(*type))))
            reading->reason = out_of_range;
        break;
    }
    case LEAT_KIND_FLOAT:
    case LEAT_KIND_DOUBLE:
        if (!leat_scanned_double(&number, &out->f64))
            reading->reason = out_of_range;
        else if (type->kind == LEAT_KIND_FLOAT && !isfinite((float)out->f64))
            reading->reason = out_of_range;
        else if (type->kind == LEAT_KIND_FLOAT)
            out->f64 = (float)out->f64;
        break;
    case LEAT_KIND_DECIMAL:
        reading->reason = leat_decimal_from_text(*type, text, &out->i128);
        break;
    case LEAT_KIND_TIMESTAMP:
    case LEAT_KIND_TIMESTAMP_LTZ:
        if (reading->time_unit == LEAT_TIME_UNIT_NONE || reading->time_unit == LEAT_TIME_UNIT_ISO)
            reading->reason = "is a number, and the field's instants are text";
        else
            reading->reason = leat_number_to_instant(reading->time_unit, text, &out->i64);
        break;
    default:
        reading->reason = wrong_kind;
    }
    return p;
}

static const char *read_string(leat_json_reading *reading, const leat_type *type, const char *p, leat_value *out)
{
    leat_json_text text;
    p = leat_json_string(reading->scan, p + 1, &text);
    if (!p)
        return NULL;
    if (type->field_count || !leat_type_physical(*type)) { // nested and BOOLEAN: not even worth a copy
        reading->reason = wrong_kind;
        return p;
    }
    leat_source_field field = {.type = *type, .time_unit = reading->time_unit};
    reading->reason = leat_quoted_to_value(&field, leat_json_text_take(text, reading->arena), reading->arena, out);
    return p;
}

// How many items or members the checked container at p has.
static uint32_t count_entries(leat_json_scan *scan, const char *p, unsigned depth)
{
    bool is_object = *p == '{';
    uint32_t count = 0;
    leat_json_text key;
    p = leat_json_blank(scan, p + 1);
    while (*p != ']' && *p != '}') {
        if (is_object) {
            p = leat_json_blank(scan, leat_json_string(scan, p + 1, &key)) + 1;
            p = leat_json_blank(scan, p);
        }
        p = leat_json_blank(scan, leat_json_skip_value(scan, p, depth + 1));
        if (*p == ',')
            p = leat_json_blank(scan, p + 1);
        count++;
    }
    return count;
}

static void read_items(leat_json_reading *reading, const leat_type *element, const char *p, unsigned depth,
                       leat_value *out)
{
    uint32_t count = count_entries(reading->scan, p, depth);
    leat_value *items = leat_values_new(reading->arena, count);
    p = leat_json_blank(reading->scan, p + 1);
    for (uint32_t i = 0; i < count && !reading->reason; i++) {
        p = leat_json_blank(reading->scan, read_value(reading, element, p, depth + 1, &items[i]));
        p = leat_json_blank(reading->scan, p + 1);
    }
    out->nested = (leat_nested){count, items};
}

static leat_slice read_key(leat_json_reading *reading, const char **p)
{
    leat_json_text key;
    *p = leat_json_blank(reading->scan, leat_json_string(reading->scan, *p + 1, &key));
    *p = leat_json_blank(reading->scan, *p + 1);
    return key.escaped ? leat_json_text_take(key, reading->arena) : leat_slice_of(key.data, key.size);
}

static void read_row(leat_json_reading *reading, const leat_type *type, const char *p, unsigned depth, leat_value *out)
{
    uint32_t count = count_entries(reading->scan, p, depth);
    leat_value *items = leat_values_new(reading->arena, type->field_count);
    for (uint32_t i = 0; i < type->field_count; i++)
        items[i].is_null = true;
    p = leat_json_blank(reading->scan, p + 1);
    for (; count > 0; count--) {
        leat_slice name = read_key(reading, &p);
        uint32_t field = 0;
        while (field < type->field_count && !leat_slice_equal(type->fields[field].name, name))
            field++;
        const char *begin = p;
        p = leat_json_skip_value(reading->scan, p, depth + 1);
        if (field < type->field_count && !reading->reason)
            read_value(reading, type->fields[field].type, begin, depth + 1, &items[field]);
        p = leat_json_blank(reading->scan, p);
        p = leat_json_blank(reading->scan, p + 1);
    }
    out->nested = (leat_nested){type->field_count, items};
}

static void read_map(leat_json_reading *reading, const leat_type *type, const char *p, unsigned depth, leat_value *out)
{
    uint32_t count = count_entries(reading->scan, p, depth), entries = 0;
    if (count > MAP_ENTRIES_MAX) {
        reading->reason = "has too many entries";
        return;
    }
    leat_value *items = leat_values_new(reading->arena, 2 * count);
    p = leat_json_blank(reading->scan, p + 1);
    for (; count > 0 && !reading->reason; count--) {
        leat_slice name = read_key(reading, &p);
        uint32_t at = 0;
        while (at < entries && !leat_slice_equal(items[2 * at].text, name))
            at++;
        if (at == entries) {
            items[2 * at].text = leat_slice_of(leat_arena_copy(reading->arena, name.data, name.size), name.size);
            entries++;
        }
        p = read_value(reading, type->fields[1].type, p, depth + 1, &items[2 * at + 1]);
        p = leat_json_blank(reading->scan, p);
        p = leat_json_blank(reading->scan, p + 1);
    }
    out->nested = (leat_nested){2 * entries, items};
}

// The syntax is checked first, so that the readers of the inside need no look at faults.
static const char *read_container(leat_json_reading *reading, const leat_type *type, const char *p, unsigned depth,
                                  leat_value *out)
{
    const char *end = leat_json_skip_value(reading->scan, p, depth);
    if (!end)
        return NULL;
    if (*p == '[' && type->kind == LEAT_KIND_ARRAY)
        read_items(reading, type->fields[0].type, p, depth, out);
    else if (*p == '{' && type->kind == LEAT_KIND_ROW)
        read_row(reading, type, p, depth, out);
    else if (*p == '{' && type->kind == LEAT_KIND_MAP && type->fields[0].type->kind == LEAT_KIND_STRING)
        read_map(reading, type, p, depth, out);
    else
        reading->reason = wrong_kind;
    return end;
}

static const char *read_value(leat_json_reading *reading, const leat_type *type, const char *p, unsigned depth,
                              leat_value *out)
{
    char c = leat_json_peek(reading->scan, p);
    out->is_null = false;
    if (c == '"')
        return read_string(reading, type, p, out);
    if (leat_json_begins_number(c))
        return read_number(reading, type, p, out);
    if (c == '{' || c == '[')
        return read_container(reading, type, p, depth, out);
    const char *end = leat_json_skip_value(reading->scan, p, depth);
    if (c == 'n') {
        out->is_null = true;
    } else if (type->kind == LEAT_KIND_BOOLEAN) {
        out->boolean = c == 't';
    } else {
        reading->reason = wrong_kind;
    }
    return end;
}

const char *leat_json_field_general(leat_json_format *self, uint32_t index, const char *p, unsigned depth)
{
    const leat_source_field *field = &self->format.setup->fields[index];
    leat_json_reading reading = {&self->scan, &self->batch->arena, field->time_unit, NULL};
    leat_value value = {0};
    leat_json_settle_line(self, p);
    const char *end = read_value(&reading, &field->type, p, depth, &value);
    if (!end)
        return NULL;
    if (reading.reason)
        leat_json_note_misfit(self, index, p, end, reading.reason);
    else
        leat_column_put(&self->batch->columns[index], self->row, &value);
    return end;
}
