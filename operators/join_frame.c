#include "operators/join_frame.h"

#include <string.h>

#include "operators/core/row_encode.h"

static const leat_schema *schema_of(const leat_join_frame *frame, unsigned side)
{
    return frame->context->inputs[side];
}

leat_code leat_join_no_budget(const leat_join_frame *frame, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "the memory budget of %zu bytes does not hold the rows of a join with %u keys",
                          frame->context->budget->limit, leat_keys_count(frame->keys));
}

// ---- life

// Equal keys have equal bytes only when both sides encode them the same way; config brings them to one type.
static leat_type *key_types(leat_join_frame *frame)
{
    const leat_join_sides *sides = frame->sides;
    leat_type *types = leat_arena_array(frame->context->arena, leat_type, sides->key_count + 1);
    for (uint32_t i = 0; i < sides->key_count; i++) {
        types[i] = schema_of(frame, LEAT_LEFT)->fields[sides->key_columns[LEAT_LEFT][i]].type;
        leat_type other = schema_of(frame, LEAT_RIGHT)->fields[sides->key_columns[LEAT_RIGHT][i]].type;
        LEAT_ASSERT(leat_type_physical(types[i]) == leat_type_physical(other) && types[i].scale == other.scale);
    }
    return types;
}

leat_code leat_join_open(leat_join_frame *frame, leat_operator_context *context, const leat_join_sides *sides,
                         leat_error *out_error)
{
    bool left_only = sides->kind == LEAT_JOIN_SEMI || sides->kind == LEAT_JOIN_ANTI;
    frame->context = context;
    frame->sides = sides;
    LEAT_ASSERT(context->outputs[0]->count ==
                sides->column_counts[LEAT_LEFT] + (left_only ? 0 : sides->column_counts[LEAT_RIGHT]));
    leat_code code =
        leat_keys_create(context->env, context->budget, key_types(frame), sides->key_count, &frame->keys, out_error);
    if (code != LEAT_OK)
        return code;
    frame->slots = leat_arena_alloc(context->arena, LEAT_BATCH_ROWS * sizeof *frame->slots);
    for (unsigned side = 0; side < 2; side++) {
        frame->values[side] = leat_arena_array(context->arena, leat_value, schema_of(frame, side)->count + 1);
        leat_arena_init(&frame->texts[side], context->env, 0);
    }
    leat_eval_init(&frame->eval, context->env);
    leat_writer_init(&frame->encoded, context->env, SIZE_MAX);
    leat_emitter_init(&frame->results, context, 0);
    frame->watermark_ms = LEAT_TIME_NONE;
    return LEAT_OK;
}

void leat_join_close(leat_join_frame *frame)
{
    leat_emitter_fini(&frame->results);
    leat_writer_fini(&frame->encoded);
    leat_eval_fini(&frame->eval);
    leat_arena_fini(&frame->texts[LEAT_LEFT]);
    leat_arena_fini(&frame->texts[LEAT_RIGHT]);
    leat_slot_set_fini(&frame->empty, frame->context->budget);
    leat_slot_set_fini(&frame->waiting, frame->context->budget);
    leat_keys_destroy(frame->keys);
}

// ---- slots of which nothing may be left

void leat_join_may_be_empty(leat_join_frame *frame, uint32_t slot)
{
    leat_slot_set_add(&frame->empty, frame->context->budget, slot);
}

static void release_empty(leat_join_frame *frame)
{
    while (frame->empty.count) {
        uint32_t slot = leat_slot_set_take(&frame->empty);
        bool waiting = false;
        if (!leat_keys_live(frame->keys, slot))
            continue;
        if (frame->release(frame->owner, slot, &waiting))
            leat_keys_release(frame->keys, slot);
        else if (waiting)
            leat_slot_set_add(&frame->waiting, frame->context->budget, slot);
    }
}

void leat_join_stored(leat_join_frame *frame, const leat_snapshot *snapshot)
{
    if (snapshot->keep_marks)
        return;
    while (frame->waiting.count)
        leat_slot_set_add(&frame->empty, frame->context->budget, leat_slot_set_take(&frame->waiting));
    release_empty(frame);
}

void leat_join_end(leat_join_frame *frame)
{
    leat_emitter_flush(&frame->results);
    release_empty(frame);
}

// ---- rows in

leat_code leat_join_begin(leat_join_frame *frame, unsigned input, const leat_batch *batch, leat_error *out_error)
{
    frame->batch = batch;
    frame->input = input;
    return leat_keys_resolve(frame->keys, batch, frame->sides->key_columns[input], frame->slots, out_error);
}

bool leat_join_take(leat_join_frame *frame, uint32_t i, uint32_t *out_row, uint32_t *out_slot)
{
    const leat_batch *batch = frame->batch;
    const leat_join_sides *sides = frame->sides;
    uint32_t row = leat_batch_row(batch, i);
    if (frame->slots[i] == LEAT_SLOT_NONE) {
        leat_drops_add(frame->context->drops, LEAT_DROP_TOO_LARGE, 1);
        return false;
    }
    frame->sources[frame->input] = (leat_join_row_source){.columns = batch->columns, .row = row, .unread = true};
    frame->event_ms[frame->input] = batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
    frame->meets_nobody = false;
    for (uint32_t k = 0; k < sides->key_count; k++)
        frame->meets_nobody |=
            !sides->nulls_meet[k] && leat_column_is_null(&batch->columns[sides->key_columns[frame->input][k]], row);
    *out_row = row;
    *out_slot = frame->slots[i];
    return true;
}

static void encode_columns(leat_join_frame *frame)
{
    const leat_join_row_source *source = &frame->sources[frame->input];
    leat_row_encode(source->columns, schema_of(frame, frame->input)->count, source->row, &frame->encoded);
}

leat_slice leat_join_encode(leat_join_frame *frame)
{
    leat_writer_reset(&frame->encoded);
    encode_columns(frame);
    return leat_writer_slice(&frame->encoded);
}

leat_slice leat_join_encode_unique(leat_join_frame *frame, const uint32_t *columns, uint32_t count,
                                   size_t *out_identity)
{
    const leat_join_row_source *source = &frame->sources[frame->input];
    leat_writer_reset(&frame->encoded);
    for (uint32_t i = 0; i < count; i++)
        leat_row_encode(&source->columns[columns[i]], 1, source->row, &frame->encoded);
    *out_identity = frame->encoded.size;
    encode_columns(frame);
    if (!count)
        *out_identity = frame->encoded.size;
    return leat_writer_slice(&frame->encoded);
}

// ---- rows out

void leat_join_load(leat_join_frame *frame, unsigned side, leat_slice row)
{
    frame->sources[side] = (leat_join_row_source){.bytes = row, .unread = true};
}

static void decode_values(leat_join_frame *frame, unsigned side, leat_slice row)
{
    const leat_schema *schema = schema_of(frame, side);
    leat_reader reader;
    leat_reader_init(&reader, row.data, row.size);
    leat_arena_reset(&frame->texts[side]);
    for (uint32_t c = 0; c < schema->count; c++)
        LEAT_ASSERT(leat_value_decode(schema->fields[c].type, &reader, &frame->texts[side], &frame->values[side][c]));
}

const leat_value *leat_join_values(leat_join_frame *frame, unsigned side)
{
    leat_join_row_source *source = &frame->sources[side];
    if (!source->unread)
        return frame->values[side];
    source->unread = false;
    if (!source->columns)
        decode_values(frame, side, source->bytes);
    for (uint32_t c = 0; source->columns && c < schema_of(frame, side)->count; c++)
        frame->values[side][c] = leat_column_value(&source->columns[c], source->row);
    return frame->values[side];
}

static bool is_row(leat_join_frame *frame, unsigned side, leat_slice row)
{
    const leat_schema *schema = schema_of(frame, side);
    leat_reader reader;
    bool whole = true;
    leat_reader_init(&reader, row.data, row.size);
    leat_arena_reset(&frame->texts[side]);
    for (uint32_t c = 0; c < schema->count && whole; c++)
        whole = leat_value_decode(schema->fields[c].type, &reader, &frame->texts[side], &frame->values[side][c]);
    return whole && leat_reader_left(&reader) == 0;
}

bool leat_join_condition_holds(leat_join_frame *frame)
{
    leat_row_view views[2];
    leat_value result;
    for (unsigned side = 0; side < 2; side++)
        views[side] = (leat_row_view){leat_join_values(frame, side), frame->event_ms[side], frame->watermark_ms};
    leat_eval_row_begin(&frame->eval, frame->context->now_ms);
    if (leat_program_run_row(frame->sides->condition, &frame->eval, views, 2, &result))
        return !result.is_null && result.boolean;
    leat_drops_add(frame->context->drops, LEAT_DROP_EXPRESSION, 1);
    return false;
}

bool leat_join_meets(leat_join_frame *frame)
{
    return !frame->meets_nobody && (!frame->sides->condition || leat_join_condition_holds(frame));
}

static void copy_cell(const leat_column *from, uint32_t from_row, leat_column *to, uint32_t row, leat_arena *arena)
{
    leat_physical physical = leat_type_physical(to->type);
    if (physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64) {
        bool is_null = leat_column_is_null(from, from_row);
        to->nulls[row] = is_null;
        to->i64[row] = is_null ? 0 : from->i64[from_row];
        return;
    }
    leat_value value = leat_column_value(from, from_row);
    leat_column_set(to, row, &value, arena);
}

static void set_columns(leat_join_frame *frame, uint32_t row, uint32_t first, unsigned side, bool given)
{
    leat_batch *batch = frame->results.batch;
    const leat_join_row_source *source = &frame->sources[side];
    leat_column *columns = batch->columns + first;
    uint32_t count = frame->sides->column_counts[side];
    if (given && !source->columns)
        LEAT_ASSERT(leat_row_decode_first(source->bytes, columns, count, row, &batch->arena)); // our own bytes
    for (uint32_t c = 0; given && source->columns && c < count; c++)
        copy_cell(&source->columns[c], source->row, &columns[c], row, &batch->arena);
    for (uint32_t c = 0; !given && c < count; c++)
        leat_emitter_set_null(&frame->results, row, first + c);
}

void leat_join_emit(leat_join_frame *frame, bool left, bool right, leat_row_kind kind, int64_t event_ms, uint64_t cause)
{
    const leat_join_sides *sides = frame->sides;
    uint32_t row = leat_emitter_row(&frame->results, event_ms, kind, cause);
    set_columns(frame, row, 0, LEAT_LEFT, left);
    if (sides->kind != LEAT_JOIN_SEMI && sides->kind != LEAT_JOIN_ANTI)
        set_columns(frame, row, sides->column_counts[LEAT_LEFT], LEAT_RIGHT, right);
}

int64_t leat_join_time(leat_join_frame *frame, bool left, bool right, int64_t otherwise)
{
    int32_t column = frame->context->outputs[0]->rowtime;
    uint32_t split = frame->sides->column_counts[LEAT_LEFT];
    if (column < 0)
        return otherwise;
    unsigned side = (uint32_t)column >= split;
    if (!(side ? right : left))
        return otherwise;
    const leat_value *value = &leat_join_values(frame, side)[side ? (uint32_t)column - split : (uint32_t)column];
    return value->is_null ? otherwise : value->i64;
}

// ---- stored

leat_code leat_join_restore_row(leat_join_frame *frame, unsigned side, bool unique, leat_rows *rows, leat_slice key,
                                leat_slice value, leat_error *out_error)
{
    uint64_t number;
    leat_slice bytes, row;
    uint32_t slot, identity;
    if (!leat_rows_key(key, &number, &bytes))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored key of a join, %zu bytes, is damaged", key.size);
    if (!leat_rows_stored_bytes(value, &row, &identity) ||
        !is_row(frame, side, leat_slice_of(row.data + (unique ? identity : 0), row.size - (unique ? identity : 0))))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of a join, %zu bytes, is damaged", value.size);
    leat_code code = leat_keys_slot(frame->keys, bytes, &slot, out_error);
    return code == LEAT_OK ? leat_rows_restore(rows, slot, number, value, out_error) : code;
}

// ---- state of joins that keep the rows of both sides

void leat_join_snapshot(leat_join_frame *frame, leat_rows rows[2], leat_snapshot *snapshot)
{
    for (uint8_t side = 0; side < 2; side++)
        leat_rows_snapshot(&rows[side], snapshot, side);
    leat_join_stored(frame, snapshot);
}

leat_code leat_join_restore(leat_join_frame *frame, leat_rows rows[2], const bool unique[2], uint8_t table,
                            leat_slice key, leat_slice value, leat_error *out_error)
{
    if (table > LEAT_RIGHT)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a join has no table %u", table);
    return leat_join_restore_row(frame, table, unique[table], &rows[table], key, value, out_error);
}
