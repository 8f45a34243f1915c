#include "operators/window_frame.h"

#include <string.h>

enum { MARK_VERSION = 1 };

static leat_code open_keys(leat_window_frame *frame, leat_error *out_error)
{
    const leat_window_aggregate_spec *spec = frame->spec;
    leat_operator_context *context = frame->context;
    leat_type *types = leat_arena_array(context->arena, leat_type, spec->key_count + 1);
    for (uint32_t i = 0; i < spec->key_count; i++)
        types[i] = context->inputs[0]->fields[spec->key_columns[i]].type;
    return leat_keys_create(context->env, context->budget, types, spec->key_count, &frame->keys, out_error);
}

leat_code leat_window_frame_open(leat_window_frame *frame, leat_operator_context *context, leat_error *out_error)
{
    const leat_window_aggregate_spec *spec = context->spec;
    *frame = (leat_window_frame){
        .context = context,
        .spec = spec,
        .set = spec->accumulators,
        .watermark = LEAT_TIME_NONE,
        .fired = LEAT_TIME_NONE,
        .heard = LEAT_TIME_NONE,
        .stored_watermark = LEAT_TIME_NONE,
        .stored_fired = LEAT_TIME_NONE,
    };
    LEAT_ASSERT(context->outputs[0]->count == spec->key_count + spec->aggregate_count + 3);
    leat_code code = open_keys(frame, out_error);
    if (code != LEAT_OK)
        return code;
    frame->key_values = leat_arena_array(context->arena, leat_value, spec->key_count + 1);
    leat_eval_init(&frame->eval, context->env);
    leat_emitter_init(&frame->results, context, 0);
    leat_writer_init(&frame->stored, context->env, SIZE_MAX);
    return LEAT_OK;
}

void leat_window_frame_close(leat_window_frame *frame)
{
    leat_emitter_fini(&frame->results);
    leat_eval_fini(&frame->eval);
    leat_writer_fini(&frame->stored);
    leat_budget_free(frame->context->budget, frame->marks, LEAT_KEY_GROUPS * sizeof *frame->marks);
    leat_keys_destroy(frame->keys);
}

leat_code leat_window_frame_no_budget(const leat_window_frame *frame, leat_error *out_error)
{
    size_t limit = frame->context->budget->limit;
    if (!limit)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the windows of %u keys",
                              leat_keys_count(frame->keys));
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "the memory budget of %zu bytes does not hold the windows of %u keys", limit,
                          leat_keys_count(frame->keys));
}

// ---- a batch

static void find_times(leat_window_frame *frame)
{
    int32_t column = frame->spec->window.time_column;
    frame->times = column < 0 ? frame->batch->event_ms : frame->batch->columns[column].i64;
    frame->time_nulls = column < 0 ? NULL : frame->batch->columns[column].nulls;
    if (frame->time_nulls && !memchr(frame->time_nulls, 1, frame->batch->count))
        frame->time_nulls = NULL;
}

leat_code leat_window_frame_begin(leat_window_frame *frame, leat_batch *batch, leat_error *out_error)
{
    leat_eval_begin(&frame->eval, batch, frame->context->now_ms);
    frame->eval.watermark_ms = frame->context->watermark_ms;
    leat_arena *scratch = &frame->eval.scratch;
    uint32_t count = batch->selected;
    frame->batch = batch;
    frame->slots = leat_arena_alloc(scratch, count * sizeof *frame->slots);
    frame->rows = leat_arena_alloc(scratch, count * sizeof *frame->rows);
    frame->accumulators = leat_arena_alloc(scratch, count * sizeof *frame->accumulators);
    frame->late = leat_arena_alloc(scratch, count * sizeof *frame->late);
    frame->waiting = frame->late_count = 0;
    find_times(frame);
    return leat_keys_resolve(frame->keys, batch, frame->spec->key_columns, frame->slots, out_error);
}

leat_code leat_window_frame_add(leat_window_frame *frame, leat_error *out_error)
{
    leat_batch *batch = frame->batch;
    uint32_t count = frame->waiting;
    frame->waiting = 0;
    if (count == batch->selected)
        return leat_accumulators_add(frame->set, &frame->eval, batch, frame->accumulators, frame->context->budget,
                                     out_error);
    leat_batch *some = leat_batch_derive(frame->context->pool, batch);
    some->selection = frame->rows;
    some->selected = count;
    leat_code code =
        leat_accumulators_add(frame->set, &frame->eval, some, frame->accumulators, frame->context->budget, out_error);
    leat_batch_unref(some);
    return code;
}

void leat_window_frame_late(leat_window_frame *frame, uint32_t row)
{
    frame->late[frame->late_count++] = (uint16_t)row;
}

void leat_window_frame_too_large(leat_window_frame *frame)
{
    leat_drops_add(frame->context->drops, LEAT_DROP_TOO_LARGE, 1);
}

static bool late_is_read(const leat_window_frame *frame)
{
    const leat_operator_context *context = frame->context;
    return frame->spec->late_output && context->output_count > 1 && (!context->output_used || context->output_used[1]);
}

// Late rows leave as they came, watermarks too.
static void send_late(leat_window_frame *frame)
{
    leat_operator_context *context = frame->context;
    leat_batch *batch = frame->batch;
    if (!frame->late_count && batch->watermark_after == LEAT_TIME_NONE && !batch->watermark)
        return;
    leat_batch *late = leat_batch_derive(context->pool, batch);
    late->selection = frame->late;
    late->selected = frame->late_count;
    if (frame->late_count < batch->selected) {
        late->selection = leat_arena_alloc(&late->arena, frame->late_count * sizeof *frame->late + 1);
        memcpy((void *)late->selection, frame->late, frame->late_count * sizeof *frame->late);
    } else {
        late->selection = batch->selection;
    }
    late->watermark_after = frame->heard;
    context->emit(context, 1, late);
    leat_batch_unref(late);
}

leat_code leat_window_frame_end(leat_window_frame *frame, leat_error *out_error)
{
    leat_code code = leat_window_frame_flush(frame, out_error);
    if (code != LEAT_OK)
        return code;
    leat_drops *drops = frame->context->drops;
    if (frame->eval.bad_count)
        leat_drops_add(drops, LEAT_DROP_EXPRESSION, frame->eval.bad_count);
    if (late_is_read(frame))
        send_late(frame);
    else if (frame->late_count)
        leat_drops_add(drops, LEAT_DROP_LATE, frame->late_count);
    leat_window_frame_send(frame);
    return LEAT_OK;
}

void leat_window_frame_send(leat_window_frame *frame)
{
    leat_emitter_watermark(&frame->results, frame->heard);
    leat_emitter_flush(&frame->results);
}

// ---- results

const leat_field *leat_window_frame_fields(const leat_window_frame *frame)
{
    return frame->context->outputs[0]->fields + frame->spec->key_count + frame->spec->aggregate_count;
}

static void set_time(leat_batch *batch, uint32_t column, uint32_t row, int64_t value)
{
    batch->columns[column].i64[row] = value;
}

void leat_window_frame_result(leat_window_frame *frame, uint32_t slot, const void *accumulator,
                              const leat_window_times *times, uint64_t window_cause, uint64_t firing)
{
    const leat_window_aggregate_spec *spec = frame->spec;
    if (leat_accumulators_rows(frame->set, accumulator) == 0)
        return;
    uint64_t cause = leat_cause_derive(leat_cause_derive(leat_keys_hash(frame->keys, slot), window_cause), firing);
    uint32_t row = leat_emitter_row(&frame->results, times->event_ms, LEAT_INSERT, cause), column = 0;
    leat_batch *batch = frame->results.batch;
    leat_keys_values(frame->keys, slot, frame->key_values);
    for (uint32_t i = 0; i < spec->key_count; i++, column++)
        leat_column_set(&batch->columns[column], row, &frame->key_values[i], &batch->arena);
    for (uint32_t i = 0; i < spec->aggregate_count; i++, column++) {
        leat_value value;
        leat_accumulators_result(frame->set, accumulator, i, &batch->arena, &value);
        leat_column_set(&batch->columns[column], row, &value, &batch->arena);
    }
    set_time(batch, column, row, times->start);
    set_time(batch, column + 1, row, times->end);
    set_time(batch, column + 2, row, times->time);
}

// ---- the watermark in the state

void leat_window_frame_snapshot(leat_window_frame *frame, leat_snapshot *snapshot)
{
    if (frame->watermark == LEAT_TIME_NONE && frame->fired == LEAT_TIME_NONE)
        return;
    bool changed = frame->watermark != frame->stored_watermark || frame->fired != frame->stored_fired;
    bool due = leat_snapshot_mark_due(snapshot, changed, &frame->marks_unkept);
    leat_writer *out = &frame->stored;
    leat_writer_reset(out);
    leat_write_u8(out, MARK_VERSION);
    leat_write_u64(out, (uint64_t)frame->watermark);
    leat_write_u64(out, (uint64_t)frame->fired);
    for (uint32_t group = 0; group < LEAT_KEY_GROUPS; group++)
        if (leat_operator_owns(frame->context, group) && (due || snapshot->whole[group]))
            leat_snapshot_put_mark(snapshot, LEAT_WINDOW_MARKS, group, (leat_slice){"", 0}, leat_writer_slice(out));
    if (!snapshot->keep_marks) {
        frame->stored_watermark = frame->watermark;
        frame->stored_fired = frame->fired;
    }
}

static leat_code begin_restore(leat_window_frame *frame, leat_error *out_error)
{
    frame->marks = leat_budget_alloc(frame->context->budget, LEAT_KEY_GROUPS * sizeof *frame->marks);
    if (!frame->marks)
        return leat_window_frame_no_budget(frame, out_error);
    for (uint32_t i = 0; i < LEAT_KEY_GROUPS; i++)
        frame->marks[i] = (leat_window_mark){LEAT_TIME_NONE, LEAT_TIME_NONE};
    frame->watermark = frame->fired = LEAT_TIME_MAX;
    return LEAT_OK;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

leat_code leat_window_frame_restore(leat_window_frame *frame, uint32_t group, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    uint8_t version = leat_read_u8(&reader);
    int64_t watermark = (int64_t)leat_read_u64(&reader), fired = (int64_t)leat_read_u64(&reader);
    if (reader.failed || version != MARK_VERSION || group >= LEAT_KEY_GROUPS)
        return leat_error_set(out_error, LEAT_E_CORRUPT,
                              "expected the stored watermark of a window in version %d, found version %u", MARK_VERSION,
                              version);
    leat_code code = frame->marks ? LEAT_OK : begin_restore(frame, out_error);
    if (code != LEAT_OK)
        return code;
    frame->marks[group] = (leat_window_mark){watermark, fired};
    // Instances that were apart may have been at different watermarks: no row is late that was not late in all of them.
    frame->watermark = smaller(frame->watermark, watermark);
    frame->fired = smaller(frame->fired, fired);
    return LEAT_OK;
}

leat_window_mark leat_window_frame_mark_of(const leat_window_frame *frame, uint32_t slot)
{
    leat_window_mark none = {LEAT_TIME_NONE, LEAT_TIME_NONE};
    return frame->marks ? frame->marks[leat_keys_group(frame->keys, slot)] : none;
}

void leat_window_frame_ready(leat_window_frame *frame, bool restored)
{
    leat_budget_free(frame->context->budget, frame->marks, LEAT_KEY_GROUPS * sizeof *frame->marks);
    frame->marks = NULL;
    if (!restored)
        return;
    int64_t running = frame->context->watermark_ms; // recovery gives it back, a savepoint does not
    if (!frame->spec->keep_watermark || running > frame->watermark)
        frame->watermark = running;
    leat_window_frame_rise(frame, running);
    frame->results.watermark = frame->results.watermark_sent = running; // what follows was restored with it
    if (frame->fired < frame->watermark)
        frame->fired = frame->watermark;
}
