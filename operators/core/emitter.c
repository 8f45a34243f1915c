#include "operators/core/emitter.h"

#include <string.h>

// A batch starts with room for few rows and grows fourfold, so that under light load a result of one row costs no full
// batch of memory to clear.
enum { ROOM_MIN = 16, ROOM_GROWTH = 4 };

void leat_emitter_init(leat_emitter *emitter, leat_operator_context *context, unsigned output)
{
    LEAT_ASSERT(output < context->output_count);
    *emitter = (leat_emitter){
        .context = context,
        .output = output,
        .watermark = LEAT_TIME_NONE,
        .watermark_sent = LEAT_TIME_NONE,
        .capacity = LEAT_BATCH_ROWS,
        .room_first = ROOM_MIN,
    };
}

void leat_emitter_fini(leat_emitter *emitter)
{
    leat_batch_unref(emitter->batch);
    emitter->batch = NULL;
}

static const leat_schema *schema_of(const leat_emitter *emitter) { return emitter->context->outputs[emitter->output]; }

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static void *longer(leat_batch *batch, const void *old, size_t item_size, uint32_t room)
{
    void *copy = leat_arena_alloc(&batch->arena, item_size * room);
    memcpy(copy, old, item_size * batch->count);
    return copy;
}

static void lengthen_column(leat_batch *batch, leat_column *column, uint32_t room)
{
    leat_column old = *column;
    leat_column_allocate(batch, column, old.type, room, true);
    memcpy(column->values, old.values, leat_physical_size(leat_type_physical(old.type)) * batch->count);
    memcpy(column->nulls, old.nulls, batch->count);
}

static void lengthen(leat_emitter *emitter)
{
    leat_batch *batch = emitter->batch;
    uint32_t room = smaller(emitter->room * ROOM_GROWTH, emitter->capacity);
    batch->event_ms = longer(batch, batch->event_ms, sizeof *batch->event_ms, room);
    batch->cause = longer(batch, batch->cause, sizeof *batch->cause, room);
    if (batch->row_kind)
        batch->row_kind = longer(batch, batch->row_kind, sizeof *batch->row_kind, room);
    if (batch->watermark)
        batch->watermark = longer(batch, batch->watermark, sizeof *batch->watermark, room);
    for (uint32_t i = 0; i < batch->schema->count; i++)
        lengthen_column(batch, &batch->columns[i], room);
    emitter->room = room;
}

// A -U is not the last row of a full batch: what it is replaced by stands behind it, for readers that look at both.
static bool is_full(const leat_emitter *emitter, leat_row_kind kind)
{
    uint32_t count = emitter->batch->count;
    return count >= emitter->capacity || (kind == LEAT_UPDATE_BEFORE && count > 0 && count + 1 == emitter->capacity);
}

static void make_room(leat_emitter *emitter, leat_row_kind kind)
{
    if (emitter->batch && is_full(emitter, kind))
        leat_emitter_flush(emitter);
    if (!emitter->batch) {
        emitter->room = smaller(emitter->room_first, emitter->capacity);
        emitter->batch = leat_batch_get_rows_always(emitter->context->pool, schema_of(emitter), emitter->room);
    } else if (emitter->batch->count == emitter->room) {
        lengthen(emitter);
    }
}

// While a batch has no watermark array all its rows carry the watermark that was last sent.
static void begin_watermarks(leat_emitter *emitter)
{
    leat_batch *batch = emitter->batch;
    batch->watermark = leat_arena_alloc(&batch->arena, sizeof(int64_t) * emitter->room);
    for (uint32_t i = 0; i < batch->count; i++)
        batch->watermark[i] = emitter->watermark_sent;
}

static void begin_row_kinds(leat_emitter *emitter)
{
    leat_batch *batch = emitter->batch;
    batch->row_kind = leat_arena_alloc(&batch->arena, emitter->room);
    memset(batch->row_kind, LEAT_INSERT, batch->count);
}

uint32_t leat_emitter_row(leat_emitter *emitter, int64_t event_ms, leat_row_kind kind, uint64_t cause)
{
    make_room(emitter, kind);
    leat_batch *batch = emitter->batch;
    if (emitter->watermark != emitter->watermark_sent && !batch->watermark)
        begin_watermarks(emitter);
    if (kind != LEAT_INSERT && !batch->row_kind)
        begin_row_kinds(emitter);
    uint32_t row = batch->count;
    batch->event_ms[row] = event_ms;
    batch->cause[row] = cause;
    if (batch->watermark)
        batch->watermark[row] = emitter->watermark;
    if (batch->row_kind)
        batch->row_kind[row] = (uint8_t)kind;
    batch->count = batch->selected = row + 1;
    return row;
}

void leat_emitter_set(leat_emitter *emitter, uint32_t row, uint32_t column, const leat_value *value)
{
    leat_batch *batch = emitter->batch;
    LEAT_ASSERT(column < batch->schema->count && row < batch->count);
    leat_column_set(&batch->columns[column], row, value, &batch->arena);
}

void leat_emitter_set_null(leat_emitter *emitter, uint32_t row, uint32_t column)
{
    leat_value null = leat_value_null();
    leat_emitter_set(emitter, row, column, &null);
}

void leat_emitter_watermark(leat_emitter *emitter, int64_t watermark_ms)
{
    if (watermark_ms > emitter->watermark)
        emitter->watermark = watermark_ms;
}

// One big result does not make every later batch big: the start follows down by one step a batch.
static void learn_room(leat_emitter *emitter, uint32_t count)
{
    if (emitter->room > emitter->room_first)
        emitter->room_first = emitter->room;
    else if (count < emitter->room_first / ROOM_GROWTH && emitter->room_first > ROOM_MIN)
        emitter->room_first /= ROOM_GROWTH;
}

static leat_batch *take_batch(leat_emitter *emitter)
{
    leat_batch *batch = emitter->batch;
    if (batch)
        learn_room(emitter, batch->count);
    else if (emitter->watermark > emitter->watermark_sent)
        batch = leat_batch_get_mark(emitter->context->pool, LEAT_ELEMENT_ROWS);
    emitter->batch = NULL;
    return batch;
}

void leat_emitter_flush(leat_emitter *emitter)
{
    leat_batch *batch = take_batch(emitter);
    if (!batch)
        return;
    batch->schema = schema_of(emitter);
    if (emitter->watermark > emitter->watermark_sent)
        batch->watermark_after = emitter->watermark;
    emitter->watermark_sent = emitter->watermark;
    leat_operator_context *context = emitter->context;
    if (!context->output_used || context->output_used[emitter->output])
        context->emit(context, emitter->output, batch);
    leat_batch_unref(batch);
}
