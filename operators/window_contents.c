#include "operators/window_contents.h"

#include <string.h>

static bool keeps_rows(const leat_window_store *store) { return store->spec->evictor != LEAT_EVICTOR_NONE; }

void leat_window_store_init(leat_window_store *store, leat_window_frame *frame)
{
    leat_operator_context *context = frame->context;
    *store = (leat_window_store){.frame = frame, .spec = context->spec, .budget = context->budget, .next_sequence = 1};
    store->values = leat_arena_array(context->arena, leat_value, context->inputs[0]->count + 1);
    store->last_values = leat_arena_array(context->arena, leat_value, context->inputs[0]->count + 1);
    store->result = leat_arena_alloc_aligned(context->arena, leat_accumulators_size(frame->set) + 16, 16);
    for (uint32_t i = 0; i < context->inputs[0]->count; i++)
        store->values[i] = store->last_values[i] = leat_value_null();
    leat_eval_init(&store->eval, context->env);
    leat_writer_init(&store->bytes, context->env, SIZE_MAX);
    leat_removals_init(&store->removals, context->env);
}

void leat_window_store_fini(leat_window_store *store)
{
    for (uint32_t i = 0; i < store->orphan_count; i++)
        leat_budget_free(store->budget, store->orphans[i].row, sizeof(leat_window_row) + store->orphans[i].row->size);
    leat_budget_free(store->budget, store->orphans, store->orphan_room * sizeof *store->orphans);
    leat_removals_fini(&store->removals);
    leat_writer_fini(&store->bytes);
    leat_eval_fini(&store->eval);
}

size_t leat_window_contents_size(const leat_window_store *store)
{
    size_t head = (sizeof(leat_window_contents) + 15) & ~(size_t)15;
    return head + (keeps_rows(store) ? 0 : leat_accumulators_size(store->frame->set));
}

void leat_window_contents_begin(const leat_window_store *store, leat_stream_window *window)
{
    if (!keeps_rows(store))
        leat_accumulators_init(store->frame->set, leat_window_accumulator(window));
}

// ---- rows

static void encode(leat_window_store *store, uint32_t row)
{
    const leat_window_stream_spec *spec = store->spec;
    const leat_schema *schema = store->frame->context->inputs[0];
    leat_writer_reset(&store->bytes);
    for (uint32_t i = 0; i < spec->row_column_count; i++) {
        uint32_t column = spec->row_columns[i];
        leat_value value = leat_column_value(&store->frame->batch->columns[column], row);
        leat_value_encode(schema->fields[column].type, &value, &store->bytes);
    }
}

void leat_window_row_values(const leat_window_store *store, const leat_window_row *row, leat_arena *arena,
                            leat_value *out_values)
{
    const leat_window_stream_spec *spec = store->spec;
    const leat_schema *schema = store->frame->context->inputs[0];
    leat_reader reader;
    leat_reader_init(&reader, row->bytes, row->size);
    for (uint32_t i = 0; i < spec->row_column_count; i++) {
        uint32_t column = spec->row_columns[i];
        if (!leat_value_decode(schema->fields[column].type, &reader, arena, &out_values[column]))
            out_values[column] = leat_value_null();
    }
}

static void append(leat_window_contents *contents, leat_window_row *row)
{
    row->next = NULL;
    if (contents->last)
        contents->last->next = row;
    else
        contents->first = row;
    contents->last = row;
    contents->row_count++;
}

static leat_code add_row(leat_window_store *store, leat_stream_window *window, uint32_t row, leat_error *out_error)
{
    const leat_batch *batch = store->frame->batch;
    encode(store, row);
    leat_window_row *kept = leat_budget_alloc(store->budget, sizeof *kept + store->bytes.size);
    if (!kept || store->bytes.failed) {
        leat_budget_free(store->budget, kept, kept ? sizeof *kept + store->bytes.size : 0);
        return leat_window_frame_no_budget(store->frame, out_error);
    }
    kept->size = (uint32_t)store->bytes.size;
    kept->sequence = store->next_sequence++;
    kept->has_time = batch->event_ms && batch->event_ms[row] != LEAT_TIME_NONE;
    kept->time_ms = kept->has_time ? batch->event_ms[row] : 0;
    if (kept->size)
        memcpy(kept->bytes, store->bytes.bytes, kept->size);
    store->memory += sizeof *kept + kept->size;
    append(leat_window_contents_of(window), kept);
    return LEAT_OK;
}

// The next snapshot has to tell that what it knows under the row's sequence is gone.
static void forget_stored(leat_window_store *store, uint32_t slot, leat_window_row *row)
{
    const leat_keys *keys = store->frame->keys;
    if (!row->stored)
        return;
    leat_slice key = leat_keys_bytes(keys, slot);
    leat_writer_reset(&store->bytes);
    leat_write_u64be(&store->bytes, row->sequence);
    leat_write_bytes(&store->bytes, key.data, key.size);
    bool noted = leat_removals_add(&store->removals, leat_keys_group(keys, slot), leat_writer_slice(&store->bytes));
    LEAT_ASSERT(noted);
    row->stored = false;
}

static void free_row(leat_window_store *store, uint32_t slot, leat_window_row *row)
{
    forget_stored(store, slot, row);
    store->memory -= sizeof *row + row->size;
    leat_budget_free(store->budget, row, sizeof *row + row->size);
}

void leat_window_row_remove(leat_window_store *store, leat_stream_window *window, leat_window_row *before)
{
    leat_window_contents *contents = leat_window_contents_of(window);
    leat_window_row **at = before ? &before->next : &contents->first, *row = *at;
    *at = row->next;
    if (contents->last == row)
        contents->last = before;
    contents->row_count--;
    free_row(store, window->slot, row);
}

// Rows take the place behind those that are there, so they get new sequences.
static void merge_rows(leat_window_store *store, leat_stream_window *into, leat_stream_window *from)
{
    leat_window_contents *taken = leat_window_contents_of(from);
    for (leat_window_row *row = taken->first, *next; row; row = next) {
        next = row->next;
        forget_stored(store, from->slot, row);
        row->sequence = store->next_sequence++;
        append(leat_window_contents_of(into), row);
    }
    taken->first = taken->last = NULL;
    taken->row_count = 0;
}

// ---- what a window holds

leat_code leat_window_contents_add(leat_window_store *store, leat_stream_window *window, uint32_t row,
                                   leat_error *out_error)
{
    leat_window_frame *frame = store->frame;
    leat_row_kind kind = leat_batch_kind(frame->batch, row);
    bool retract = kind == LEAT_UPDATE_BEFORE || kind == LEAT_DELETE;
    window->filled = true;
    if (keeps_rows(store))
        return add_row(store, window, row, out_error);
    return leat_accumulators_add_row(frame->set, store->input, row, retract, leat_window_accumulator(window),
                                     store->budget, out_error);
}

leat_code leat_window_contents_merge(leat_window_store *store, leat_stream_window *into, leat_stream_window *from,
                                     leat_error *out_error)
{
    const leat_accumulators *set = store->frame->set;
    into->filled |= from->filled;
    if (keeps_rows(store)) {
        merge_rows(store, into, from);
        return LEAT_OK;
    }
    return leat_accumulators_merge(set, leat_window_accumulator(into), leat_window_accumulator(from), store->budget,
                                   out_error);
}

static leat_batch *batch_of(leat_window_store *store, const leat_window_row **inout_row, uint32_t count)
{
    const leat_schema *schema = store->frame->context->inputs[0];
    leat_batch *batch = leat_batch_get_rows_always(store->frame->context->pool, schema, count);
    const leat_window_row *row = *inout_row;
    for (uint32_t i = 0; i < count; i++, row = row->next) {
        leat_window_row_values(store, row, &batch->arena, store->values);
        for (uint32_t c = 0; c < schema->count; c++)
            leat_column_set(&batch->columns[c], i, &store->values[c], NULL); // texts point into the row, which stays
        batch->event_ms[i] = row->has_time ? row->time_ms : LEAT_TIME_NONE;
    }
    batch->count = batch->selected = count;
    *inout_row = row;
    return batch;
}

static leat_code add_rows(leat_window_store *store, leat_batch *batch, leat_error *out_error)
{
    leat_window_frame *frame = store->frame;
    leat_code code = LEAT_OK;
    leat_eval_begin(&store->eval, batch, frame->context->now_ms);
    store->eval.watermark_ms = frame->context->watermark_ms;
    const leat_accumulators_input *input = leat_accumulators_prepare(frame->set, &store->eval, batch);
    for (uint32_t i = 0; i < batch->count && code == LEAT_OK; i++)
        if (!store->eval.bad_count || !store->eval.bad[i])
            code = leat_accumulators_add_row(frame->set, input, i, false, store->result, store->budget, out_error);
    leat_batch_unref(batch);
    return code;
}

static leat_code fold_rows(leat_window_store *store, const leat_window_contents *contents, leat_error *out_error)
{
    const leat_window_row *row = contents->first;
    leat_code code = LEAT_OK;
    memset(store->result, 0, leat_accumulators_size(store->frame->set));
    leat_accumulators_init(store->frame->set, store->result);
    for (uint32_t left = contents->row_count; left && code == LEAT_OK;) {
        uint32_t count = left < LEAT_BATCH_ROWS ? left : LEAT_BATCH_ROWS;
        code = add_rows(store, batch_of(store, &row, count), out_error);
        left -= count;
    }
    return code;
}

leat_code leat_window_contents_open(leat_window_store *store, leat_stream_window *window, const void **out_accumulator,
                                    leat_error *out_error)
{
    *out_accumulator = keeps_rows(store) ? store->result : leat_window_accumulator(window);
    if (!keeps_rows(store))
        return LEAT_OK;
    if (!store->spec->evict_after)
        leat_window_evict(store, window);
    return fold_rows(store, leat_window_contents_of(window), out_error);
}

void leat_window_contents_close(leat_window_store *store, leat_stream_window *window)
{
    if (!keeps_rows(store))
        return;
    leat_accumulators_release(store->frame->set, store->result, store->budget);
    if (store->spec->evict_after)
        leat_window_evict(store, window);
    window->filled = leat_window_contents_of(window)->row_count > 0;
}

void leat_window_contents_clear(leat_window_store *store, leat_stream_window *window)
{
    const leat_accumulators *set = store->frame->set;
    window->filled = false;
    if (keeps_rows(store)) {
        while (leat_window_contents_of(window)->first)
            leat_window_row_remove(store, window, NULL);
        return;
    }
    leat_accumulators_release(set, leat_window_accumulator(window), store->budget);
    memset(leat_window_accumulator(window), 0, leat_accumulators_size(set));
    leat_accumulators_init(set, leat_window_accumulator(window));
}

void leat_window_contents_release(leat_window_store *store, leat_stream_window *window)
{
    leat_window_contents *contents = leat_window_contents_of(window);
    leat_window_contents_clear(store, window);
    if (!keeps_rows(store))
        leat_accumulators_release(store->frame->set, leat_window_accumulator(window), store->budget);
    leat_budget_free(store->budget, contents->result, contents->result_size);
    contents->result = NULL;
    contents->result_size = 0;
    leat_window_mark_release(store, window);
}
