// Results of windows: one row for each firing, or, where updates are wanted, a changelog: +I first, -U and +U when the result has
// changed, -D when the window has lost all its rows, nothing when it is what it was.
//
// The cause of a result derives from the key, the window's bounds, the cause of the row that began the window, and a count of its
// results: a window that is begun again after it was over does not repeat the ids of the one before.
#include "operators/window_stream.h"

#include <string.h>

static uint64_t cause_of(window_stream *self, leat_stream_window *window)
{
    uint64_t key = leat_cause_derive(leat_keys_hash(self->frame.keys, window->slot), window->origin);
    uint64_t cause = leat_cause_derive(key, leat_window_cause(window->start, window->end));
    return leat_cause_derive(cause, window->firings++);
}

static bool is_time(const window_stream *self) { return window_stream_spec(self)->assigner == LEAT_ASSIGN_TIME; }

static leat_window_times times_of(const window_stream *self, const leat_stream_window *window)
{
    const leat_field *fields = leat_window_frame_fields(&self->frame);
    const leat_window *spec = &self->frame.spec->window;
    if (!is_time(self))
        return (leat_window_times){.start = window->start, .event_ms = LEAT_TIME_MAX};
    if (spec->kind != LEAT_WINDOW_SESSION)
        return leat_window_times_of(fields, self->assigner.zone, window->start, window->end, window->max_ms);
    leat_window_times times = leat_window_times_of(fields, NULL, window->start, window->end, window->max_ms);
    if (spec->zone && fields[0].type.kind == LEAT_KIND_TIMESTAMP && fields[2].type.kind == LEAT_KIND_TIMESTAMP_LTZ) {
        times.start = leat_zone_to_local_ms(spec->zone, window->start); // sessions are not cut on a grid of local time
        times.end = leat_zone_to_local_ms(spec->zone, window->end);
    }
    return times;
}

// Keys, then room for the aggregates, then what says which window it is. Returns the row.
static uint32_t begin_row(window_stream *self, leat_stream_window *window, leat_row_kind kind)
{
    const leat_window_stream_spec *spec = window_stream_spec(self);
    leat_window_frame *frame = &self->frame;
    leat_window_times times = times_of(self, window);
    uint32_t row = leat_emitter_row(&frame->results, times.event_ms, kind, cause_of(self, window)), column = 0;
    leat_batch *batch = frame->results.batch;
    leat_keys_values(frame->keys, window->slot, frame->key_values);
    for (uint32_t i = 0; i < frame->spec->key_count; i++, column++)
        leat_column_set(&batch->columns[column], row, &frame->key_values[i], &batch->arena);
    column += frame->spec->aggregate_count;
    const int64_t values[3] = {times.start, times.end, times.time};
    for (uint32_t i = 0; i < 3; i++, column++) {
        bool is_null = spec->assigner == LEAT_ASSIGN_GLOBAL || (spec->assigner == LEAT_ASSIGN_COUNT && i);
        if (is_null)
            leat_emitter_set_null(&frame->results, row, column);
        else
            batch->columns[column].i64[row] = values[i];
    }
    return row;
}

static void send(window_stream *self, leat_stream_window *window, const void *accumulator)
{
    leat_window_frame *frame = &self->frame;
    if (frame->spec->input_retracts && leat_accumulators_rows(frame->set, accumulator) == 0)
        return;
    uint32_t row = begin_row(self, window, LEAT_INSERT), column = frame->spec->key_count;
    leat_batch *batch = frame->results.batch;
    for (uint32_t i = 0; i < frame->spec->aggregate_count; i++, column++) {
        leat_value value;
        leat_accumulators_result(frame->set, accumulator, i, &batch->arena, &value);
        leat_column_set(&batch->columns[column], row, &value, &batch->arena);
    }
}

// ---- updates

static leat_type type_of(const window_stream *self, uint32_t aggregate)
{
    return self->base.context->outputs[0]->fields[self->frame.spec->key_count + aggregate].type;
}

static void encode(window_stream *self, const void *accumulator, leat_writer *out)
{
    leat_writer_reset(out);
    leat_eval_row_begin(&self->store.eval, self->base.context->now_ms);
    for (uint32_t i = 0; i < self->frame.spec->aggregate_count; i++) {
        leat_value value;
        leat_accumulators_result(self->frame.set, accumulator, i, &self->store.eval.scratch, &value);
        leat_value_encode(type_of(self, i), &value, out);
    }
}

static void send_encoded(window_stream *self, leat_stream_window *window, leat_row_kind kind, leat_slice result)
{
    uint32_t row = begin_row(self, window, kind), column = self->frame.spec->key_count;
    leat_batch *batch = self->frame.results.batch;
    leat_reader reader;
    leat_reader_init(&reader, result.data, result.size);
    for (uint32_t i = 0; i < self->frame.spec->aggregate_count; i++, column++) {
        leat_value value;
        if (!leat_value_decode(type_of(self, i), &reader, &batch->arena, &value))
            value = leat_value_null();
        leat_column_set(&batch->columns[column], row, &value, &batch->arena);
    }
}

// A sent result has at least one byte, so that it is told from none.
static leat_code keep_result(window_stream *self, leat_window_contents *contents, leat_slice result,
                             leat_error *out_error)
{
    leat_budget *budget = self->base.context->budget;
    char *copy = leat_budget_alloc(budget, result.size + 1);
    if (!copy)
        return window_stream_no_budget(self, out_error);
    memcpy(copy, result.data, result.size);
    leat_budget_free(budget, contents->result, contents->result_size);
    contents->result = copy;
    contents->result_size = (uint32_t)result.size + 1;
    return LEAT_OK;
}

static leat_code send_update(window_stream *self, leat_stream_window *window, const void *accumulator,
                             leat_error *out_error)
{
    leat_window_contents *contents = leat_window_contents_of(window);
    leat_slice before = {contents->result, contents->result ? contents->result_size - 1 : 0};
    if (leat_accumulators_rows(self->frame.set, accumulator) == 0) {
        if (contents->result)
            send_encoded(self, window, LEAT_DELETE, before);
        leat_budget_free(self->base.context->budget, contents->result, contents->result_size);
        contents->result = NULL;
        contents->result_size = 0;
        return LEAT_OK;
    }
    leat_writer *out = &self->frame.stored;
    encode(self, accumulator, out);
    leat_slice after = leat_writer_slice(out);
    if (contents->result && leat_slice_equal(before, after))
        return LEAT_OK;
    if (contents->result)
        send_encoded(self, window, LEAT_UPDATE_BEFORE, before);
    send_encoded(self, window, contents->result ? LEAT_UPDATE_AFTER : LEAT_INSERT, after);
    return keep_result(self, contents, after, out_error);
}

leat_code window_stream_emit(window_stream *self, leat_stream_window *window, leat_error *out_error)
{
    const void *accumulator;
    if (!window->filled)
        return LEAT_OK;
    leat_emitter_watermark(&self->frame.results, self->frame.heard);
    leat_code code = leat_window_contents_open(&self->store, window, &accumulator, out_error);
    if (code != LEAT_OK)
        return code;
    if (window_stream_spec(self)->updates)
        code = send_update(self, window, accumulator, out_error);
    else
        send(self, window, accumulator);
    leat_window_contents_close(&self->store, window);
    return code;
}
