// The trigger by distance: what a window fires for is a row that lies further than the threshold from the row that fired last.
//
// Of that row, the mark, a window keeps the columns that the expression reads. A purge leaves it: it is the trigger's, not the
// window's contents. The first row of a window becomes the mark and fires nothing. A distance that is NULL or cannot be computed is not far.
//
// Stored with the window (window_stream_state.c): u8 version 1, then the columns (leat_value_encode).
#include "operators/window_contents.h"

#include <string.h>

enum { MARK_VERSION = 1 };

void leat_window_mark_release(leat_window_store *store, leat_stream_window *window)
{
    leat_window_contents *contents = leat_window_contents_of(window);
    leat_budget_free(store->budget, contents->mark, contents->mark_size);
    store->memory -= contents->mark_size;
    contents->mark = NULL;
    contents->mark_size = 0;
}

bool leat_window_mark_set(leat_window_store *store, leat_stream_window *window, leat_slice mark)
{
    leat_window_contents *contents = leat_window_contents_of(window);
    if (!contents->mark || contents->mark_size != mark.size) {
        char *room = leat_budget_alloc(store->budget, mark.size);
        if (!room)
            return false;
        leat_window_mark_release(store, window);
        contents->mark = room;
        contents->mark_size = mark.size;
        store->memory += mark.size;
    }
    memcpy(contents->mark, mark.data, mark.size);
    return true;
}

static leat_code mark_row(leat_window_store *store, leat_stream_window *window, uint32_t row, leat_error *out_error)
{
    const leat_window_stream_spec *spec = store->spec;
    const leat_schema *schema = store->frame->context->inputs[0];
    leat_writer_reset(&store->bytes);
    leat_write_u8(&store->bytes, MARK_VERSION);
    for (uint32_t i = 0; i < spec->trigger_column_count; i++) {
        uint32_t column = spec->trigger_columns[i];
        leat_value value = leat_column_value(&store->frame->batch->columns[column], row);
        leat_value_encode(schema->fields[column].type, &value, &store->bytes);
    }
    bool set = !store->bytes.failed && leat_window_mark_set(store, window, leat_writer_slice(&store->bytes));
    return set ? LEAT_OK : leat_window_frame_no_budget(store->frame, out_error);
}

// The columns of the row and of the mark, where the expression finds them.
static void read_both(leat_window_store *store, const leat_window_contents *contents, uint32_t row)
{
    const leat_window_stream_spec *spec = store->spec;
    const leat_schema *schema = store->frame->context->inputs[0];
    leat_reader reader;
    leat_reader_init(&reader, contents->mark, contents->mark_size);
    (void)leat_read_u8(&reader);
    for (uint32_t i = 0; i < spec->trigger_column_count; i++) {
        uint32_t column = spec->trigger_columns[i];
        store->values[column] = leat_column_value(&store->frame->batch->columns[column], row);
        if (!leat_value_decode(schema->fields[column].type, &reader, &store->eval.scratch, &store->last_values[column]))
            store->last_values[column] = leat_value_null();
    }
}

static void forget_both(leat_window_store *store)
{
    for (uint32_t i = 0; i < store->spec->trigger_column_count; i++)
        store->values[store->spec->trigger_columns[i]] = store->last_values[store->spec->trigger_columns[i]] =
            leat_value_null();
}

static bool is_far(leat_window_store *store, const leat_window_contents *contents, uint32_t row)
{
    const leat_batch *batch = store->frame->batch;
    int64_t time_ms = batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
    leat_value delta;
    leat_eval_row_begin(&store->eval, store->frame->context->now_ms);
    read_both(store, contents, row);
    leat_row_view views[2] = {{store->values, time_ms, store->frame->watermark},
                              {store->last_values, time_ms, store->frame->watermark}};
    bool known = leat_program_run_row(store->spec->trigger_delta, &store->eval, views, 2, &delta) && !delta.is_null;
    forget_both(store);
    return known && delta.f64 > store->spec->trigger_threshold;
}

leat_code leat_window_delta_on_row(leat_window_store *store, leat_stream_window *window, uint32_t row, bool *out_far,
                                   leat_error *out_error)
{
    const leat_window_contents *contents = leat_window_contents_of(window);
    *out_far = contents->mark && is_far(store, contents, row);
    return contents->mark && !*out_far ? LEAT_OK : mark_row(store, window, row, out_error);
}
