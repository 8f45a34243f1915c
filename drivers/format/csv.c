// CSV (RFC 4180): a record a line, fields between delimiters, quotes around fields that hold delimiters, quotes (doubled) or line
// ends.
//
// Decoding: with `header` the names of the first line say which column a field belongs to (the declared path, else the
// name); without, fields are taken in the order in which the columns are declared, or by a path "[2]". Fields more than
// needed are skipped, missing ones are NULL, as is an unquoted field that equals null_text. Empty lines are no rows. A file's
// header is its first line (LEAT_RAW_HEAD, LEAT_RAW_AGAIN); a message that is no part of a file has a header of its own.
//
// A record ends at the first line end outside of quotes, counted from its own beginning; with LEAT_RAW_LINES at the first line end
// at all. So a damaged record is left at a place that does not depend on what came before it.
#include "drivers/format/csv.h"

#include <stdio.h>
#include <string.h>

#include "drivers/format/number_scan.h"
#include "drivers/format/text.h"
#include "drivers/format/topic.h"
#include "operators/base/calendar.h"

enum { CSV_FIELDS_MAX = 1024, COLUMN_NONE = -1 };

typedef struct csv_format {
    leat_format format;
    char delimiter;
    bool header;
    leat_slice null_text;
    leat_topic_columns topics;
    // -- decoding
    int32_t *columns; // per field of a record: column, or COLUMN_NONE
    uint32_t column_count;
    uint32_t mapped;  // columns that some field gives
    bool has_columns; // known: no header, or the header was read
    const leat_raw *raw;
    leat_decode_target *target;
    bool sliced;
    // -- the current record
    uint32_t row;
    int32_t misfit; // column, or COLUMN_NONE
    leat_slice misfit_text;
    const char *misfit_reason;
    const char *fault; // of syntax
    const char *fault_text;
    char reason[LEAT_REASON_TEXT];
} csv_format;

typedef struct csv_field {
    const char *data;
    size_t size;
    bool quoted, doubled; // doubled: has "" in it
} csv_field;

// ---- syntax

static const char *fail(csv_format *self, const char *at, const char *text)
{
    self->fault = at;
    self->fault_text = text;
    return NULL;
}

static const char *read_quoted(csv_format *self, const char *p, const char *end, csv_field *out)
{
    *out = (csv_field){.data = ++p, .quoted = true};
    for (;;) {
        const char *quote = p < end ? memchr(p, '"', (size_t)(end - p)) : NULL;
        if (!quote)
            return fail(self, end, "the closing quote of a field");
        if (quote + 1 < end && quote[1] == '"') {
            out->doubled = true;
            p = quote + 2;
            continue;
        }
        out->size = (size_t)(quote - out->data);
        p = quote + 1;
        if (p == end || *p == self->delimiter || *p == '\n' || (*p == '\r' && (p + 1 == end || p[1] == '\n')))
            return p;
        return fail(self, p, "a delimiter or the end of the line after a quoted field");
    }
}

// The field at p; the result is at the delimiter or the line end behind it.
static inline const char *read_field(csv_format *self, const char *p, const char *end, csv_field *out)
{
    if (p < end && *p == '"')
        return read_quoted(self, p, end, out);
    const char *begin = p;
    while (p < end && *p != self->delimiter && *p != '\n' && *p != '"')
        p++;
    if (p < end && *p == '"')
        return fail(self, p, "no quote inside an unquoted field");
    const char *stop = p;
    if ((p == end || *p == '\n') && stop > begin && stop[-1] == '\r')
        stop--;
    *out = (csv_field){.data = begin, .size = (size_t)(stop - begin)};
    return p;
}

static const char *skip_line_end(const char *p, const char *end)
{
    if (p < end && *p == '\r')
        p++;
    return p < end && *p == '\n' ? p + 1 : p;
}

// The line end at which the record ends, whatever its fields are worth.
static const char *record_end(const csv_format *self, const char *p, const char *end)
{
    bool lines = self->raw->flags & LEAT_RAW_LINES, quoted = false;
    for (; p < end; p++) {
        quoted ^= *p == '"';
        if (*p == '\n' && (lines || !quoted))
            break;
    }
    return p;
}

// How far the record at p may reach.
static const char *record_limit(const csv_format *self, const char *p, const char *end)
{
    const char *newline = self->raw->flags & LEAT_RAW_LINES ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    return newline ? newline : end;
}

static leat_slice field_text(const csv_format *self, const csv_field *field)
{
    if (!field->doubled)
        return leat_slice_of(field->data, field->size);
    char *copy = leat_arena_alloc_aligned(&self->target->batch->arena, field->size, 1);
    size_t size = 0;
    for (size_t i = 0; i < field->size; i++) {
        copy[size++] = field->data[i];
        i += field->data[i] == '"';
    }
    return leat_slice_of(copy, size);
}

// ---- header

static const char *column_key(const leat_source_field *field, size_t *out_size)
{
    *out_size = field->path ? strlen(field->path) : field->name.size;
    return field->path ? field->path : field->name.data;
}

static int32_t column_named(const csv_format *self, leat_slice name)
{
    const leat_format_setup *setup = self->format.setup;
    uint32_t part;
    for (uint32_t i = 0; i < setup->field_count; i++) {
        size_t size;
        const char *key = column_key(&setup->fields[i], &size);
        if (!leat_topic_path(&setup->fields[i], &part) && leat_slice_equal(name, leat_slice_of(key, size)))
            return (int32_t)i;
    }
    return COLUMN_NONE;
}

static void map_column(csv_format *self, uint32_t position, int32_t column)
{
    while (self->column_count <= position)
        self->columns[self->column_count++] = COLUMN_NONE;
    if (column != COLUMN_NONE && self->columns[position] == COLUMN_NONE)
        self->mapped++;
    self->columns[position] = column;
}

static bool path_position(const leat_source_field *field, uint32_t *out_position)
{
    const char *p = field->path;
    uint32_t position = 0;
    if (!p || *p++ != '[' || *p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9' && position < CSV_FIELDS_MAX; p++)
        position = position * 10 + (uint32_t)(*p - '0');
    *out_position = position;
    return p[0] == ']' && p[1] == 0;
}

static leat_code map_by_position(csv_format *self, leat_error *out_error)
{
    const leat_format_setup *setup = self->format.setup;
    uint32_t part, position, next = 0;
    for (uint32_t i = 0; i < setup->field_count; i++) {
        if (leat_topic_path(&setup->fields[i], &part))
            continue;
        if (!path_position(&setup->fields[i], &position))
            position = next;
        if (position >= CSV_FIELDS_MAX)
            return leat_error_set(out_error, LEAT_E_LIMIT, "column '%.*s': a record has at most %d fields",
                                  (int)setup->fields[i].name.size, setup->fields[i].name.data, CSV_FIELDS_MAX);
        if (position < self->column_count && self->columns[position] != COLUMN_NONE)
            return leat_error_set(out_error, LEAT_E_INVALID, "column '%.*s': field [%u] already belongs to a column",
                                  (int)setup->fields[i].name.size, setup->fields[i].name.data, position);
        map_column(self, position, (int32_t)i);
        next = position + 1;
    }
    self->has_columns = true;
    return LEAT_OK;
}

// The names at p; the result is behind the header line. A header that is no CSV maps nothing: every column is NULL then, and
// the reject says why.
static const char *read_header(csv_format *self, const char *p, const char *end)
{
    const char *begin = p, *limit = record_limit(self, p, end);
    csv_field field;
    bool taken[LEAT_COLUMNS_MAX] = {false};
    self->column_count = self->mapped = 0;
    self->has_columns = true;
    for (uint32_t position = 0;; position++) {
        p = read_field(self, p, limit, &field);
        if (!p)
            break;
        int32_t column = column_named(self, field_text(self, &field));
        if (position < CSV_FIELDS_MAX && (column == COLUMN_NONE || !taken[column])) {
            map_column(self, position, column);
            if (column != COLUMN_NONE)
                taken[column] = true;
        }
        if (p == limit || *p != self->delimiter)
            return skip_line_end(p, end);
        p++;
    }
    p = record_end(self, begin, end);
    self->target->reject(self->target, LEAT_DROP_UNDECODABLE, leat_slice_of(begin, (size_t)(p - begin)),
                         (uint32_t)(begin - self->raw->payload.data), NULL, "the header line is not CSV");
    return p < end ? p + 1 : p;
}

// ---- rows

static void clear_row(csv_format *self)
{
    bool exists = self->row < self->target->capacity; // a full batch has no next row
    for (uint32_t i = 0; exists && i < self->format.setup->field_count; i++)
        self->target->batch->columns[i].nulls[self->row] = 0;
}

static void note_misfit(csv_format *self, int32_t column, leat_slice text, const char *reason)
{
    if (self->misfit != COLUMN_NONE)
        return;
    self->misfit = column;
    self->misfit_text = text;
    self->misfit_reason = reason;
}

static void put_general(csv_format *self, int32_t index, leat_slice text, bool quoted)
{
    leat_batch *batch = self->target->batch;
    leat_value value = {0};
    const char *reason = leat_text_to_value(&self->format.setup->fields[index], text, &batch->arena, &value);
    if (reason) {
        note_misfit(self, index, text, reason);
        return;
    }
    leat_column_put(&batch->columns[index], self->row, &value);
    if (batch->columns[index].type.kind == LEAT_KIND_STRING && !quoted)
        self->sliced = true;
}

static bool is_null(const csv_format *self, const csv_field *field)
{
    return !field->quoted && field->size == self->null_text.size &&
           (field->size == 0 || memcmp(field->data, self->null_text.data, field->size) == 0);
}

static inline void put_field(csv_format *self, int32_t index, const csv_field *field)
{
    leat_column *column = &self->target->batch->columns[index];
    leat_scanned_number number;
    const char *end = field->data + field->size;
    int64_t integer;
    double real;
    if (is_null(self, field)) {
        leat_column_set_null(column, self->row);
        return;
    }
    switch (column->type.kind) {
    case LEAT_KIND_BIGINT:
        if (field->size && leat_scan_number(&number, field->data, end) && number.end == end &&
            leat_scanned_integer(&number, &integer) == LEAT_SCANNED_OK) {
            column->i64[self->row] = integer;
            return;
        }
        break;
    case LEAT_KIND_DOUBLE:
        if (field->size && leat_scan_number(&number, field->data, end) && number.end == end &&
            leat_scanned_double(&number, &real)) {
            column->f64[self->row] = real;
            return;
        }
        break;
    default:
        break;
    }
    put_general(self, index, field_text(self, field), field->doubled);
}

static void reject(csv_format *self, leat_drop_cause cause, const char *begin, const char *end, const char *column)
{
    if (end > begin && end[-1] == '\r')
        end--;
    self->target->reject(self->target, cause, leat_slice_of(begin, (size_t)(end - begin)),
                         (uint32_t)(begin - self->raw->payload.data), column, self->reason);
    clear_row(self);
}

static void reject_misfit(csv_format *self, const char *begin, const char *end)
{
    const leat_source_field *field = &self->format.setup->fields[self->misfit];
    char name[LEAT_NAME_SIZE];
    snprintf(name, sizeof name, "%.*s", (int)field->name.size, field->name.data);
    leat_misfit_print(self->reason, field->type, self->misfit_text, self->misfit_reason);
    reject(self, LEAT_DROP_MISFIT, begin, end, name);
}

static void finish_row(csv_format *self, const char *begin, const char *end)
{
    leat_batch *batch = self->target->batch;
    if (self->misfit == COLUMN_NONE) {
        const leat_topic_column *topic = leat_topic_columns_fill(&self->topics, batch, self->row);
        if (topic)
            note_misfit(self, (int32_t)topic->field, topic->text, topic->misfit);
    }
    if (self->misfit != COLUMN_NONE) {
        reject_misfit(self, begin, end);
        return;
    }
    if (self->target->row_offsets)
        self->target->row_offsets[self->row] = (uint32_t)(begin - self->raw->payload.data);
    batch->count++;
}

static void nulls_of_missing(csv_format *self, uint32_t from_position)
{
    const leat_format_setup *setup = self->format.setup;
    leat_batch *batch = self->target->batch;
    for (uint32_t position = from_position; position < self->column_count; position++)
        if (self->columns[position] != COLUMN_NONE)
            leat_column_set_null(&batch->columns[self->columns[position]], self->row);
    if (self->mapped + self->topics.count == setup->field_count)
        return;
    bool given[LEAT_COLUMNS_MAX] = {false};
    for (uint32_t position = 0; position < self->column_count; position++)
        if (self->columns[position] != COLUMN_NONE)
            given[self->columns[position]] = true;
    for (uint32_t i = 0; i < setup->field_count; i++)
        if (!given[i])
            leat_column_set_null(&batch->columns[i], self->row);
}

// The fields of the record at p into the next row; the result is at its line end, NULL on a fault of syntax.
static const char *read_record(csv_format *self, const char *p, const char *end)
{
    uint32_t position = 0;
    csv_field field;
    self->row = self->target->batch->count;
    self->misfit = COLUMN_NONE;
    for (;; position++, p++) {
        p = read_field(self, p, end, &field);
        if (!p)
            return NULL;
        if (position < self->column_count && self->columns[position] != COLUMN_NONE)
            put_field(self, self->columns[position], &field);
        if (p == end || *p != self->delimiter)
            break;
    }
    nulls_of_missing(self, position + 1);
    return p;
}

static const char *decode_record(csv_format *self, const char *p, const char *end)
{
    const char *begin = p;
    p = read_record(self, p, record_limit(self, p, end));
    if (p) {
        finish_row(self, begin, p);
        return skip_line_end(p, end);
    }
    p = record_end(self, begin, end);
    snprintf(self->reason, sizeof self->reason, "byte %zu: expected %s", (size_t)(self->fault - begin),
             self->fault_text);
    reject(self, LEAT_DROP_UNDECODABLE, begin, p, NULL);
    return p < end ? p + 1 : p;
}

// One copy of what was read for all texts that refer to it.
static void keep_texts(csv_format *self, uint32_t first_row, const char *begin, const char *end)
{
    leat_batch *batch = self->target->batch;
    const char *copy = leat_arena_copy(&batch->arena, begin, (size_t)(end - begin));
    for (uint32_t position = 0; position < self->column_count; position++) {
        int32_t index = self->columns[position];
        if (index == COLUMN_NONE || batch->columns[index].type.kind != LEAT_KIND_STRING)
            continue;
        leat_slice *texts = batch->columns[index].text;
        for (uint32_t row = first_row; row < batch->count; row++)
            if ((uintptr_t)texts[row].data >= (uintptr_t)begin && (uintptr_t)texts[row].data < (uintptr_t)end)
                texts[row].data = copy + (texts[row].data - begin);
    }
}

static const char *skip_byte_order_mark(const char *p, const char *end)
{
    return end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0 ? p + 3 : p;
}

static bool has_header_here(const csv_format *self)
{
    const unsigned head = LEAT_RAW_HEAD | LEAT_RAW_AGAIN;
    return self->header && (!(self->raw->flags & LEAT_RAW_BLOCK) || (self->raw->flags & head));
}

static leat_code csv_decode(leat_format *format, const leat_raw *raw, size_t *offset, leat_decode_target *target)
{
    csv_format *self = (csv_format *)format;
    const char *payload = raw->payload.data, *end = payload + raw->payload.size;
    self->raw = raw;
    self->target = target;
    self->row = target->batch->count;
    self->sliced = false;
    if (*offset >= raw->payload.size)
        return LEAT_OK;
    const char *p = payload + *offset;
    if (raw->payload.size > LEAT_PAYLOAD_BYTES_MAX) {
        snprintf(self->reason, sizeof self->reason, "longer than 256 KiB");
        reject(self, LEAT_DROP_TOO_LARGE, payload, end, NULL);
        *offset = raw->payload.size;
        return LEAT_OK;
    }
    if (*offset == 0 && (!(raw->flags & LEAT_RAW_BLOCK) || (raw->flags & (LEAT_RAW_HEAD | LEAT_RAW_AGAIN))))
        p = skip_byte_order_mark(p, end);
    if (*offset == 0 && has_header_here(self))
        p = read_header(self, p, end);
    if (raw->flags & LEAT_RAW_AGAIN)
        p = end;
    if (p < end && !self->has_columns) {
        snprintf(self->reason, sizeof self->reason, "the header line was not seen");
        reject(self, LEAT_DROP_UNDECODABLE, p, end, NULL);
        p = end;
    }
    if (self->topics.count)
        leat_topic_columns_load(&self->topics, format->setup->fields, raw->topic, &target->batch->arena);
    uint32_t first_row = target->batch->count;
    const char *begin = p;
    while (p < end) {
        if (*p == '\n' || *p == '\r') { // an empty line
            const char *next = skip_line_end(p, end);
            if (*p == '\n' || next - p == 2 || next == end) {
                p = next;
                continue;
            }
        }
        if (target->batch->count >= target->capacity)
            break;
        p = decode_record(self, p, end);
    }
    if (self->sliced && target->batch->count > first_row)
        keep_texts(self, first_row, begin, p);
    *offset = (size_t)(p - payload);
    return LEAT_OK;
}

// ---- rows to text

static void put_text(const csv_format *self, leat_writer *out, leat_slice text)
{
    bool quoted = leat_slice_equal(text, self->null_text);
    for (size_t i = 0; i < text.size && !quoted; i++)
        quoted = text.data[i] == '"' || text.data[i] == '\n' || text.data[i] == '\r' || text.data[i] == self->delimiter;
    if (!quoted) {
        leat_write_bytes(out, text.data, text.size);
        return;
    }
    leat_write_u8(out, '"');
    for (size_t at = 0; at < text.size;) {
        const char *quote = memchr(text.data + at, '"', text.size - at);
        size_t plain = quote ? (size_t)(quote - text.data) + 1 - at : text.size - at;
        leat_write_bytes(out, text.data + at, plain);
        if (quote)
            leat_write_u8(out, '"');
        at += plain;
    }
    leat_write_u8(out, '"');
}

static void put_value(const csv_format *self, leat_type type, const leat_value *value, leat_writer *out)
{
    char text[LEAT_NUMBER_TEXT + 8];
    size_t size = 0;
    switch ((leat_kind)type.kind) {
    case LEAT_KIND_BOOLEAN:
        leat_write_text(out, value->boolean ? "true" : "false");
        return;
    case LEAT_KIND_STRING:
        put_text(self, out, value->text);
        return;
    case LEAT_KIND_BYTES:
        leat_base64_write(out, value->text);
        return;
    case LEAT_KIND_FLOAT:
        size = leat_float_print((float)value->f64, text);
        break;
    case LEAT_KIND_DOUBLE:
        size = leat_double_print(value->f64, text);
        break;
    case LEAT_KIND_DECIMAL:
        size = leat_decimal_print(value->i128, type.scale, text);
        break;
    case LEAT_KIND_DATE:
        size = leat_date_print(value->i64, text);
        break;
    case LEAT_KIND_TIME:
        size = leat_time_print(value->i64, text);
        break;
    case LEAT_KIND_TIMESTAMP:
        size = leat_timestamp_print(value->i64, ' ', text);
        break;
    case LEAT_KIND_TIMESTAMP_LTZ:
        size = leat_timestamp_print(value->i64, 'T', text);
        text[size++] = 'Z';
        break;
    default:
        size = leat_integer_print(value->i64, text);
        break;
    }
    put_text(self, out, leat_slice_of(text, size));
}

static void csv_encode(leat_format *format, const leat_batch *batch, uint32_t row, const leat_envelope *envelope,
                       leat_writer *out)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    const csv_format *self = (const csv_format *)format;
    const leat_schema *schema = format->setup->schema;
    (void)envelope; // a record has no place for it
    for (uint32_t i = 0; i < schema->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        if (i > 0)
            leat_write_u8(out, (uint8_t)self->delimiter);
        if (value.is_null)
            leat_write_bytes(out, self->null_text.data, self->null_text.size);
        else
            put_value(self, schema->fields[i].type, &value, out);
    }
    if (schema->changelog != LEAT_CHANGELOG_INSERT) {
        leat_write_u8(out, (uint8_t)self->delimiter);
        leat_write_text(out, kinds[leat_batch_kind(batch, row)]);
    }
}

static void csv_encode_header(leat_format *format, leat_writer *out)
{
    const csv_format *self = (const csv_format *)format;
    const leat_schema *schema = format->setup->schema;
    if (!self->header)
        return;
    for (uint32_t i = 0; i < schema->count; i++) {
        if (i > 0)
            leat_write_u8(out, (uint8_t)self->delimiter);
        put_text(self, out, schema->fields[i].name);
    }
    if (schema->changelog != LEAT_CHANGELOG_INSERT) {
        leat_write_u8(out, (uint8_t)self->delimiter);
        put_text(self, out,
                 leat_slice_text(self->format.setup->changelog_field ? self->format.setup->changelog_field : "op"));
    }
}

// ---- open

static leat_code check_types(const leat_format_setup *setup, leat_error *out_error)
{
    for (uint32_t i = 0; i < setup->field_count; i++)
        if (leat_type_physical(setup->fields[i].type) == LEAT_PHYSICAL_NESTED)
            return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "column '%.*s': CSV has no ARRAY, MAP or ROW",
                                  (int)setup->fields[i].name.size, setup->fields[i].name.data);
    for (uint32_t i = 0; setup->schema && !setup->fields && i < setup->schema->count; i++)
        if (leat_type_physical(setup->schema->fields[i].type) == LEAT_PHYSICAL_NESTED)
            return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "column '%.*s': CSV has no ARRAY, MAP or ROW",
                                  (int)setup->schema->fields[i].name.size, setup->schema->fields[i].name.data);
    return LEAT_OK;
}

static leat_code csv_open(leat_format *format, const leat_format_setup *setup, leat_error *out_error)
{
    csv_format *self = (csv_format *)format;
    const leat_csv_settings *settings = setup->settings;
    const char *delimiter = settings && settings->delimiter ? settings->delimiter : ",";
    format->setup = setup;
    if (strcmp(delimiter, "\\t") == 0)
        delimiter = "\t";
    if (strlen(delimiter) != 1 || strchr("\"\r\n", *delimiter))
        return leat_error_set(out_error, LEAT_E_INVALID,
                              "delimiter: expected one character other than a quote, found '%s'", delimiter);
    self->delimiter = *delimiter;
    self->header = settings && settings->header;
    self->null_text = leat_slice_text(settings && settings->null_text ? settings->null_text : "");
    leat_code code = check_types(setup, out_error);
    if (code != LEAT_OK || !setup->fields)
        return code;
    self->columns = leat_arena_array(setup->arena, int32_t, CSV_FIELDS_MAX);
    leat_topic_columns_init(&self->topics, setup);
    return self->header ? LEAT_OK : map_by_position(self, out_error);
}

static void csv_close(leat_format *format)
{
    (void)format; // everything lies in the setup's arena
}

static const leat_setting settings_table[] = {
    {.name = "delimiter",
     .type = LEAT_SETTING_TEXT,
     .offset = offsetof(leat_csv_settings, delimiter),
     .default_text = ",",
     .text = "The character between two fields; \\t for a tab."},
    {.name = "header",
     .type = LEAT_SETTING_BOOLEAN,
     .offset = offsetof(leat_csv_settings, header),
     .default_text = "false",
     .text = "The first line holds the names of the columns."},
    {.name = "null_text",
     .type = LEAT_SETTING_TEXT,
     .offset = offsetof(leat_csv_settings, null_text),
     .default_text = "",
     .text = "What stands for NULL where it is not in quotes."},
};

const leat_format_description leat_format_csv_description = {
    .name = "csv",
    .summary = "Comma-separated values (RFC 4180), a record a line",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_csv_settings)},
    .decodes = true,
    .encodes = true,
};

const leat_format_ops leat_format_csv_ops = {
    .name = "csv",
    .instance_size = sizeof(csv_format),
    .open = csv_open,
    .close = csv_close,
    .decode = csv_decode,
    .encode = csv_encode,
    .encode_header = csv_encode_header,
};
