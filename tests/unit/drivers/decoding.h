// What the tests, fuzz targets and benchmarks of formats share: fields in short form, and a payload decoded to rows and rejections
// as text.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/format.h"
#include "drivers/format/csv.h"
#include "drivers/format/json.h"
#include "firmware-agent/platform/env_posix.h"

enum { DECODING_FIELDS_MAX = LEAT_COLUMNS_MAX };

typedef struct decoding {
    leat_env *env;
    leat_arena arena;
    leat_batch_pool *pool;
    leat_source_field fields[DECODING_FIELDS_MAX];
    leat_field columns[DECODING_FIELDS_MAX];
    leat_schema schema;
    leat_format_setup setup;
    leat_format *format;
    // -- printing of rows
    leat_format_setup printer_setup;
    leat_format *printer;
    leat_decode_target target; // of the current call
    // -- results
    leat_writer text; // "@offset {row}" and "!offset cause column" lines
    uint32_t rows, rejects;
    leat_drop_cause cause; // of the last reject
    char column[LEAT_NAME_SIZE], reason[512], payload[512];
    uint32_t reject_offset;
} decoding;

static inline void decoding_init(decoding *self)
{
    leat_error error = {0};
    memset(self, 0, sizeof *self);
    self->env = leat_env_posix(0);
    leat_arena_init(&self->arena, self->env, 65536);
    if (leat_batch_pool_create(self->env, (size_t)256 << 20, &self->pool, &error) != LEAT_OK)
        abort();
    leat_writer_init(&self->text, self->env, (size_t)1 << 30);
}

static inline void decoding_fini(decoding *self)
{
    if (self->format)
        self->format->ops->close(self->format);
    leat_writer_fini(&self->text);
    leat_batch_pool_destroy(self->pool);
    leat_arena_fini(&self->arena);
}

static inline void decoding_field(decoding *self, const char *name, leat_type type, const char *path,
                                  leat_time_unit unit)
{
    uint32_t i = self->setup.field_count++;
    self->fields[i] = (leat_source_field){.name = leat_slice_text(name), .type = type, .path = path, .time_unit = unit};
    self->columns[i] = (leat_field){leat_slice_text(name), type};
}

static inline leat_code decoding_open(decoding *self, const leat_format_ops *ops, const void *settings,
                                      leat_error *error)
{
    self->schema =
        (leat_schema){.count = self->setup.field_count, .fields = self->columns, .rowtime = -1, .proctime = -1};
    self->setup.env = self->env;
    self->setup.arena = &self->arena;
    self->setup.settings = settings;
    self->setup.fields = self->fields;
    self->format = leat_arena_calloc(&self->arena, ops->instance_size);
    self->format->ops = ops;
    self->format->setup = &self->setup;
    self->printer_setup = (leat_format_setup){.env = self->env, .arena = &self->arena, .schema = &self->schema};
    self->printer = leat_arena_calloc(&self->arena, leat_format_json_ops.instance_size);
    self->printer->ops = &leat_format_json_ops;
    if (leat_format_json_ops.open(self->printer, &self->printer_setup, error) != LEAT_OK)
        abort();
    return ops->open(self->format, &self->setup, error);
}

typedef struct decoding_target {
    leat_decode_target target;
    decoding *self;
} decoding_target;

static inline void decoding_reject(leat_decode_target *target, leat_drop_cause cause, leat_slice payload,
                                   uint32_t offset, const char *column, const char *reason)
{
    decoding *self = ((decoding_target *)target)->self;
    self->rejects++;
    self->cause = cause;
    self->reject_offset = offset;
    snprintf(self->column, sizeof self->column, "%s", column ? column : "");
    snprintf(self->reason, sizeof self->reason, "%s", reason ? reason : "");
    snprintf(self->payload, sizeof self->payload, "%.*s", (int)(payload.size < 500 ? payload.size : 500), payload.data);
    leat_write_format(&self->text, "!%u %d %s %s\n", offset, (int)cause, self->column, self->reason);
}

// Rows of the batch in the order of rejections between them are not kept; rows come after their batch's rejections.
static inline void decoding_print(decoding *self, leat_batch *batch, const uint32_t *offsets, uint32_t base)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        leat_write_format(&self->text, "@%u ", base + offsets[i]);
        self->printer->ops->encode(self->printer, batch, i, NULL, &self->text);
        leat_write_u8(&self->text, '\n');
    }
    self->rows += batch->count;
}

static inline void decoding_raw(decoding *self, const leat_raw *raw, uint32_t capacity)
{
    static uint32_t offsets[LEAT_BATCH_ROWS];
    size_t offset = 0;
    unsigned idle = 0;
    do {
        leat_batch *batch = leat_batch_get_rows(self->pool, &self->schema, capacity);
        decoding_target target = {
            {.batch = batch, .capacity = capacity, .row_offsets = offsets, .reject = decoding_reject}, self};
        size_t before = offset;
        if (!batch || self->format->ops->decode(self->format, raw, &offset, &target.target) != LEAT_OK)
            abort();
        if (offset < before || offset > raw->payload.size)
            abort();
        idle = offset == before ? idle + 1 : 0;
        if (idle > 1)
            abort(); // no progress
        decoding_print(self, batch, offsets, 0);
        leat_batch_unref(batch);
    } while (offset < raw->payload.size);
}

static inline void decoding_reset(decoding *self)
{
    leat_writer_reset(&self->text);
    self->rows = self->rejects = 0;
    self->column[0] = self->reason[0] = self->payload[0] = 0;
}

// From a block of exactly that size, so that a sanitizer sees the first byte read past its end.
static inline void decoding_flagged(decoding *self, const char *bytes, size_t size, const char *topic,
                                    uint32_t capacity, uint8_t flags)
{
    char *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes, size);
    leat_raw raw = {.payload = {copy, size}, .topic = leat_slice_text(topic), .flags = flags};
    decoding_raw(self, &raw, capacity);
    free(copy);
}

static inline void decoding_run(decoding *self, const char *bytes, size_t size)
{
    decoding_reset(self);
    decoding_flagged(self, bytes, size, "", LEAT_BATCH_ROWS, 0);
}

static inline const char *decoding_text(decoding *self)
{
    leat_write_u8(&self->text, 0);
    self->text.size--;
    return (const char *)self->text.bytes;
}
