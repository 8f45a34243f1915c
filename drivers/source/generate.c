// Rows out of nothing but a seed and their number, so that any row can be made again: position is the next row's number.
//
// Position, 8 bytes: the number of the next row, little-endian. A raw of n rows has a payload of n bytes (their contents mean
// nothing) and the first row's number as its position, so that row i of it has offset i, as formats have it.
//
// A walk is not a sum of steps, which could not be sought, but value noise: a smooth curve through random points, one every
// WALK_STEP rows of a key.
#include "drivers/source/generate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "drivers/format/text.h"
#include "operators/base/calendar.h"
#include "operators/base/hash.h"

enum { BLOCK_ROWS = LEAT_BATCH_ROWS, POSITION_SIZE = 8, WALK_STEP = 16, WAIT_MS_MAX = 1000 };

typedef struct generate_source {
    leat_source source;
    const leat_generate_settings *settings;
    leat_env *env;
    int64_t start_ms;
    uint64_t next;       // row
    uint64_t paced_from; // row that was due at paced_at_ns
    int64_t paced_at_ns; // 0: not yet
    uint8_t token[POSITION_SIZE];
} generate_source;

static const char blank_payload[BLOCK_ROWS];

static leat_code generate_open(leat_source *source, const leat_source_setup *setup, leat_error *out_error)
{
    generate_source *self = (generate_source *)source;
    source->setup = setup;
    self->settings = setup->settings;
    self->env = setup->env;
    const char *start = self->settings->start ? self->settings->start : "2024-01-01 00:00:00";
    bool has_zone;
    if (!leat_timestamp_parse(leat_slice_text(start), &self->start_ms, &has_zone))
        return leat_error_set(out_error, LEAT_E_INVALID, "start: expected a timestamp, found '%s'", start);
    return LEAT_OK;
}

static void generate_close(leat_source *source) { (void)source; }

static leat_slice generate_position(leat_source *source)
{
    generate_source *self = (generate_source *)source;
    for (int i = 0; i < POSITION_SIZE; i++)
        self->token[i] = (uint8_t)(self->next >> (8 * i));
    return leat_slice_of((const char *)self->token, POSITION_SIZE);
}

static leat_code generate_seek(leat_source *source, leat_slice position, leat_error *out_error)
{
    generate_source *self = (generate_source *)source;
    leat_reader reader;
    leat_reader_init(&reader, position.data, position.size);
    if (position.size != 0 && position.size != POSITION_SIZE)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "expected a row number of 8 bytes, found %zu bytes",
                              position.size);
    self->next = position.size ? leat_read_u64(&reader) : 0;
    self->paced_at_ns = 0;
    return LEAT_OK;
}

// Rows that the rate allows now; 0: none for *out_wait_ms.
static uint64_t rows_due(generate_source *self, int64_t *out_wait_ms)
{
    double rate = self->settings->rate;
    if (rate <= 0)
        return BLOCK_ROWS;
    int64_t now_ns = leat_boot_ns(self->env);
    if (!self->paced_at_ns) {
        self->paced_at_ns = now_ns;
        self->paced_from = self->next;
    }
    double elapsed_s = (double)(now_ns - self->paced_at_ns) / 1e9;
    double due = floor(elapsed_s * rate) + 1 - (double)(self->next - self->paced_from);
    if (due >= 1)
        return due < BLOCK_ROWS ? (uint64_t)due : BLOCK_ROWS;
    double wait_ms = ((double)(self->next - self->paced_from) / rate - elapsed_s) * 1000;
    *out_wait_ms = wait_ms < 1 ? 1 : wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : (int64_t)ceil(wait_ms);
    return 0;
}

static leat_code generate_pull(leat_source *source, leat_raw *out_raw, int64_t *out_wait_ms, leat_error *out_error)
{
    generate_source *self = (generate_source *)source;
    (void)out_error;
    *out_wait_ms = 0;
    uint64_t left = self->settings->rows ? (uint64_t)self->settings->rows - self->next : UINT64_MAX;
    if (self->settings->rows && self->next >= (uint64_t)self->settings->rows)
        return LEAT_END;
    uint64_t count = rows_due(self, out_wait_ms);
    if (count == 0)
        return LEAT_AGAIN;
    if (count > left)
        count = left;
    *out_raw = (leat_raw){
        .arrival_ms = leat_wall_ms(self->env),
        .tag = 1,
        .payload = {blank_payload, (size_t)count},
        .position = self->next,
    };
    self->next += count;
    return LEAT_OK;
}

// ---- values

static uint64_t noise(const generate_source *self, uint64_t number, uint64_t salt)
{
    return leat_hash_mix(leat_hash_combine(leat_hash_mix((uint64_t)self->settings->seed + 0x9E3779B97F4A7C15), salt) ^
                         leat_hash_mix(number + 1));
}

static double unit(uint64_t random)
{ // [0, 1)
    return (double)(random >> 11) * 0x1p-53;
}

static uint64_t key_of(const generate_source *self, uint64_t row)
{
    return self->settings->keys > 1 ? noise(self, row, 1) % (uint64_t)self->settings->keys : 0;
}

static int64_t event_ms(const generate_source *self, uint64_t row)
{
    int64_t disorder = self->settings->disorder_ms;
    int64_t back = disorder > 0 ? (int64_t)(noise(self, row, 2) % (uint64_t)(disorder + 1)) : 0;
    return self->start_ms + (int64_t)row * self->settings->interval_ms - back;
}

static double walk(const generate_source *self, uint64_t row, uint64_t salt)
{
    uint64_t key = key_of(self, row);
    salt = leat_hash_combine(salt, key);
    uint64_t step = WALK_STEP * (uint64_t)(self->settings->keys > 1 ? self->settings->keys : 1);
    uint64_t point = row / step;
    double at = (double)(row % step) / (double)step, smooth = at * at * (3 - 2 * at);
    double from = unit(noise(self, point, salt)), to = unit(noise(self, point + 1, salt));
    return from + (to - from) * smooth;
}

static leat_generator generator_of(const leat_source_field *field, const leat_generate_field_settings *settings)
{
    if (settings && settings->generate != LEAT_GENERATE_AUTO)
        return (leat_generator)settings->generate;
    if (leat_type_is_timestamp(field->type))
        return LEAT_GENERATE_TIME;
    return field->type.kind == LEAT_KIND_STRING ? LEAT_GENERATE_KEY : LEAT_GENERATE_RANDOM;
}

static void set_number(const leat_source_field *field, double number, int64_t integer, leat_value *out, char *text)
{
    switch (leat_type_physical(field->type)) {
    case LEAT_PHYSICAL_BOOL:
        out->boolean = integer & 1;
        break;
    case LEAT_PHYSICAL_I64:
        out->i64 = integer;
        break;
    case LEAT_PHYSICAL_F64:
        out->f64 = field->type.kind == LEAT_KIND_FLOAT ? (double)(float)number : number;
        break;
    case LEAT_PHYSICAL_I128:
        out->is_null = !leat_decimal_from_double(number, field->type.scale, &out->i128);
        break;
    default:
        out->text = leat_slice_of(text, leat_integer_print(integer, text));
    }
}

static void set_between(const leat_source_field *field, const leat_generate_field_settings *settings, double share,
                        leat_value *out, char *text)
{
    bool bounded = settings && (settings->minimum != 0 || settings->maximum != 0);
    double low = bounded ? settings->minimum : 0, high = bounded ? settings->maximum : 100;
    if (field->type.kind == LEAT_KIND_BOOLEAN) {
        out->boolean = share < 0.5;
        return;
    }
    set_number(field, low + (high - low) * share, (int64_t)floor(low + (high - low + 1) * share), out, text);
}

enum { VALUE_TEXT = 64 };
static void make_value(const generate_source *self, uint32_t index, uint64_t row, leat_arena *arena, leat_value *out,
                       char text[VALUE_TEXT])
{
    const leat_source_field *field = &self->source.setup->fields[index];
    const leat_generate_field_settings *settings = field->settings;
    uint64_t salt = 16 + index;
    *out = (leat_value){0};
    switch (generator_of(field, settings)) {
    case LEAT_GENERATE_TIME:
        out->i64 = event_ms(self, row);
        break;
    case LEAT_GENERATE_SEQUENCE:
        set_number(field, (double)row + (settings ? settings->minimum : 0),
                   (int64_t)row + (int64_t)(settings ? settings->minimum : 0), out, text);
        break;
    case LEAT_GENERATE_KEY:
        if (leat_type_physical(field->type) != LEAT_PHYSICAL_TEXT) {
            set_number(field, (double)key_of(self, row), (int64_t)key_of(self, row), out, text);
            break;
        }
        int size = snprintf(text, VALUE_TEXT, "key-%llu", (unsigned long long)key_of(self, row));
        out->text = leat_slice_of(text, (size_t)size);
        break;
    case LEAT_GENERATE_CHOICE: {
        leat_slice chosen = leat_slice_text(settings->values.items[noise(self, row, salt) % settings->values.count]);
        out->is_null = leat_text_to_value(field, chosen, arena, out) != NULL;
        break;
    }
    case LEAT_GENERATE_WALK:
        set_between(field, settings, walk(self, row, salt), out, text);
        break;
    case LEAT_GENERATE_RANDOM:
    case LEAT_GENERATE_AUTO:
        set_between(field, settings, unit(noise(self, row, salt)), out, text);
        break;
    }
}

static leat_code generate_decode(leat_source *source, const leat_raw *raw, size_t *offset, leat_decode_target *target)
{
    const generate_source *self = (const generate_source *)source;
    leat_batch *batch = target->batch;
    char text[VALUE_TEXT];
    leat_value value;
    for (; *offset < raw->payload.size && batch->count < target->capacity; ++*offset) {
        uint32_t row = batch->count++;
        if (target->row_offsets)
            target->row_offsets[row] = (uint32_t)*offset;
        for (uint32_t i = 0; i < source->setup->field_count; i++) {
            make_value(self, i, raw->position + *offset, &batch->arena, &value, text);
            if (value.is_null)
                leat_column_set_null(&batch->columns[i], row);
            else
                leat_column_set(&batch->columns[i], row, &value, &batch->arena);
        }
    }
    return LEAT_OK;
}

// ---- description

static leat_code generate_check(const void *settings, const leat_source_field *fields, uint32_t field_count,
                                leat_error *out_error)
{
    const leat_generate_settings *generate = settings;
    int64_t ms;
    bool has_zone;
    if (generate->start && !leat_timestamp_parse(leat_slice_text(generate->start), &ms, &has_zone))
        return leat_error_set(out_error, LEAT_E_INVALID, "start: expected a timestamp, found '%s'", generate->start);
    for (uint32_t i = 0; i < field_count; i++) {
        const leat_generate_field_settings *field = fields[i].settings;
        if (leat_type_physical(fields[i].type) == LEAT_PHYSICAL_NESTED)
            return leat_error_set(out_error, LEAT_E_UNSUPPORTED, "field '%.*s': generate makes no ARRAY, MAP or ROW",
                                  (int)fields[i].name.size, fields[i].name.data);
        leat_generator generator = generator_of(&fields[i], field);
        if (generator == LEAT_GENERATE_CHOICE && !field->values.count)
            return leat_error_set(out_error, LEAT_E_INVALID, "field '%.*s': `generate: choice` needs `values`",
                                  (int)fields[i].name.size, fields[i].name.data);
        if (generator == LEAT_GENERATE_TIME && !leat_type_is_timestamp(fields[i].type))
            return leat_error_set(out_error, LEAT_E_INVALID, "field '%.*s': `generate: time` needs a timestamp",
                                  (int)fields[i].name.size, fields[i].name.data);
        if (field && field->minimum > field->maximum && generator != LEAT_GENERATE_SEQUENCE)
            return leat_error_set(out_error, LEAT_E_INVALID, "field '%.*s': min is greater than max",
                                  (int)fields[i].name.size, fields[i].name.data);
    }
    return LEAT_OK;
}

static bool generate_bounded(const void *settings) { return ((const leat_generate_settings *)settings)->rows > 0; }

#define MEMBER(name) offsetof(leat_generate_settings, name)
static const leat_setting settings_table[] = {
    {.name = "rows",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(rows),
     .default_text = "0",
     .minimum = 0,
     .maximum = 1e15,
     .text = "How many rows; 0 is endless."},
    {.name = "rate",
     .type = LEAT_SETTING_NUMBER,
     .offset = MEMBER(rate),
     .default_text = "0",
     .minimum = 0,
     .maximum = 1e9,
     .text = "Rows a second; 0 is as fast as they are taken."},
    {.name = "seed",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(seed),
     .default_text = "1",
     .text = "The same seed gives the same rows."},
    {.name = "keys",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(keys),
     .default_text = "10",
     .minimum = 1,
     .maximum = 1e9,
     .text = "How many different keys."},
    {.name = "interval",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(interval_ms),
     .default_text = "1s",
     .text = "Event time between two rows."},
    {.name = "disorder",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(disorder_ms),
     .default_text = "0ms",
     .text = "How much earlier than its turn a row's event time may be."},
    {.name = "start",
     .type = LEAT_SETTING_TEXT,
     .offset = MEMBER(start),
     .default_text = "2024-01-01 00:00:00",
     .text = "Event time of the first row."},
};

static const char *const generators[] = {"auto", "sequence", "random", "choice", "walk", "key", "time", NULL};
#define FIELD_MEMBER(name) offsetof(leat_generate_field_settings, name)
static const leat_setting field_settings_table[] = {
    {.name = "generate",
     .type = LEAT_SETTING_CHOICE,
     .offset = FIELD_MEMBER(generate),
     .default_text = "auto",
     .choices = generators,
     .text = "How values are made; auto: key for text, time for instants, random for the rest."},
    {.name = "min",
     .type = LEAT_SETTING_NUMBER,
     .offset = FIELD_MEMBER(minimum),
     .default_text = "0",
     .text = "Least value of random and walk, first one of sequence."},
    {.name = "max",
     .type = LEAT_SETTING_NUMBER,
     .offset = FIELD_MEMBER(maximum),
     .default_text = "0",
     .text = "Greatest value of random and walk; min and max both 0 mean 0 to 100."},
    {.name = "values",
     .type = LEAT_SETTING_TEXT_LIST,
     .offset = FIELD_MEMBER(values),
     .text = "What choice chooses from."},
};

const leat_source_description leat_source_generate_description = {
    .name = "generate",
    .summary = "rows made from a seed, for trials, demos and load",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_generate_settings)},
    .field_settings = {field_settings_table, sizeof field_settings_table / sizeof *field_settings_table,
                       sizeof(leat_generate_field_settings)},
    .replayable = true,
    .decodes = true,
    .fields_required = true,
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS,
    .check = generate_check,
    .bounded = generate_bounded,
};

const leat_source_ops leat_source_generate_ops = {
    .abi = LEAT_DRIVER_ABI,
    .size = sizeof(leat_source_ops),
    .name = "generate",
    .instance_size = sizeof(generate_source),
    .open = generate_open,
    .close = generate_close,
    .pull = generate_pull,
    .seek = generate_seek,
    .position = generate_position,
    .decode = generate_decode,
};
