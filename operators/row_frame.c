#include "operators/row_frame.h"

#include "operators/core/row_encode.h"

enum { IDLE_MIN = 64, SWEEPS_PER_TTL = 8 };

// ---- life

leat_code leat_row_frame_no_budget(const leat_row_frame *frame, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "the memory budget of %zu bytes does not hold the %llu rows kept for %u keys",
                          frame->context->budget->limit, (unsigned long long)frame->rows.count,
                          frame->keys ? leat_keys_count(frame->keys) : 0);
}

static leat_code open_keys(leat_row_frame *frame, uint32_t key_count, const uint32_t *key_columns,
                           leat_error *out_error)
{
    leat_operator_context *context = frame->context;
    leat_type *types = leat_arena_array(context->arena, leat_type, key_count + 1);
    for (uint32_t i = 0; i < key_count; i++)
        types[i] = frame->input->fields[key_columns[i]].type;
    return leat_keys_create(context->env, context->budget, types, key_count, &frame->keys, out_error);
}

leat_code leat_row_frame_open(leat_row_frame *frame, leat_operator_context *context, uint32_t key_count,
                              const uint32_t *key_columns, int64_t state_ttl_ms, leat_error *out_error)
{
    *frame = (leat_row_frame){
        .context = context, .input = context->inputs[0], .state_ttl_ms = state_ttl_ms, .wake_ms = INT64_MAX};
    leat_code code = open_keys(frame, key_count, key_columns, out_error);
    if (code != LEAT_OK)
        return code;
    if (!leat_sorted_init(&frame->rows, context->budget, context->env, frame->keys)) {
        code = leat_row_frame_no_budget(frame, out_error);
        leat_sorted_fini(&frame->rows);
        leat_keys_destroy(frame->keys);
        return code;
    }
    frame->slots = leat_arena_alloc(context->arena, LEAT_BATCH_ROWS * sizeof *frame->slots);
    frame->columns = leat_arena_array(context->arena, leat_value, frame->input->count + 1);
    leat_writer_init(&frame->encoded, context->env, SIZE_MAX / 2);
    leat_writer_init(&frame->order, context->env, SIZE_MAX / 2);
    leat_arena_init(&frame->values, context->env, 0);
    leat_emitter_init(&frame->results, context, 0);
    return LEAT_OK;
}

void leat_row_frame_close(leat_row_frame *frame)
{
    leat_emitter_fini(&frame->results);
    leat_budget_free(frame->context->budget, frame->idle, frame->idle_room * sizeof *frame->idle);
    leat_budget_free(frame->context->budget, frame->waiting, frame->waiting_room * sizeof *frame->waiting);
    leat_sorted_fini(&frame->rows);
    leat_writer_fini(&frame->encoded);
    leat_writer_fini(&frame->order);
    leat_arena_fini(&frame->values);
    leat_keys_destroy(frame->keys);
}

// ---- rows

leat_code leat_row_frame_resolve(leat_row_frame *frame, const leat_batch *batch, const uint32_t *key_columns,
                                 leat_error *out_error)
{
    return batch->selected ? leat_keys_resolve(frame->keys, batch, key_columns, frame->slots, out_error) : LEAT_OK;
}

bool leat_row_frame_slot(leat_row_frame *frame, uint32_t i, uint32_t *out_slot)
{
    *out_slot = frame->slots[i];
    if (*out_slot == LEAT_SLOT_NONE)
        leat_drops_add(frame->context->drops, LEAT_DROP_TOO_LARGE, 1);
    return *out_slot != LEAT_SLOT_NONE;
}

leat_slice leat_row_frame_encode(leat_row_frame *frame, const leat_batch *batch, uint32_t row)
{
    leat_writer_reset(&frame->encoded);
    leat_row_encode(batch->columns, frame->input->count, row, &frame->encoded);
    return leat_writer_slice(&frame->encoded);
}

leat_slice leat_row_frame_order(leat_row_frame *frame, const leat_batch *batch, uint32_t row, const leat_order *orders,
                                uint32_t count)
{
    leat_writer_reset(&frame->order);
    leat_order_encode_row(batch, row, orders, count, &frame->order);
    return leat_writer_slice(&frame->order);
}

leat_sorted_row *leat_row_frame_keep(leat_row_frame *frame, const leat_batch *batch, uint32_t row, uint32_t slot,
                                     leat_slice order, uint32_t *out_index)
{
    leat_slice bytes = leat_row_frame_encode(frame, batch, row);
    bool whole = !frame->encoded.failed && !frame->order.failed;
    leat_sorted_row *kept = whole ? leat_sorted_insert(&frame->rows, slot, order, bytes, out_index) : NULL;
    if (!kept)
        return NULL;
    kept->time_ms = leat_row_frame_time(batch, row);
    kept->kind = (uint8_t)leat_batch_kind(batch, row);
    kept->cause = leat_row_frame_cause(batch, row);
    if (frame->state_ttl_ms) {
        kept->word = (uint64_t)frame->context->now_ms;
        leat_row_frame_wake(frame);
    }
    return kept;
}

const leat_value *leat_row_frame_decode(leat_row_frame *frame, leat_slice bytes)
{
    leat_reader reader;
    leat_arena_reset(&frame->values);
    leat_reader_init(&reader, bytes.data, bytes.size);
    for (uint32_t i = 0; i < frame->input->count; i++) {
        bool whole = leat_value_decode(frame->input->fields[i].type, &reader, &frame->values, &frame->columns[i]);
        LEAT_ASSERT(whole); // our own bytes, of this schema: state belongs to its columns' types
    }
    return frame->columns;
}

uint32_t leat_row_frame_send(leat_row_frame *frame, const leat_sorted_row *row, leat_row_kind kind, uint64_t cause)
{
    uint32_t out = leat_emitter_row(&frame->results, row->time_ms, kind, cause);
    leat_batch *batch = frame->results.batch;
    bool whole = leat_row_decode(leat_sorted_bytes(row), batch->columns, frame->input->count, out, &batch->arena);
    LEAT_ASSERT(whole); // our own bytes, of this schema: state belongs to its columns' types
    return out;
}

uint32_t leat_row_frame_pass(leat_row_frame *frame, const leat_batch *batch, uint32_t row, leat_row_kind kind,
                             uint64_t cause)
{
    uint32_t out = leat_emitter_row(&frame->results, leat_row_frame_time(batch, row), kind, cause);
    for (uint32_t i = 0; i < frame->input->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        leat_emitter_set(&frame->results, out, i, &value);
    }
    return out;
}

void leat_row_frame_drop(leat_row_frame *frame, uint32_t slot, uint32_t index)
{
    leat_sorted_free(&frame->rows, leat_sorted_remove(&frame->rows, slot, index));
}

// ---- slots

static void push(leat_row_frame *frame, uint32_t **list, uint32_t *count, uint32_t *capacity, uint32_t slot)
{
    if (*count == *capacity) {
        uint32_t more = *capacity ? *capacity * 2 : IDLE_MIN;
        uint32_t *grown =
            leat_budget_grow(frame->context->budget, *list, *capacity * sizeof *grown, more * sizeof *grown);
        if (!grown) {
            frame->failed = true;
            return;
        }
        *list = grown;
        *capacity = more;
    }
    (*list)[(*count)++] = slot;
}

void leat_row_frame_idle(leat_row_frame *frame, uint32_t slot)
{
    push(frame, &frame->idle, &frame->idle_count, &frame->idle_room, slot);
}

static void release(leat_row_frame *frame, uint32_t slot)
{
    if (!leat_keys_live(frame->keys, slot) || leat_sorted_count(&frame->rows, slot))
        return;
    leat_row_frame_rest rest = frame->rest ? frame->rest(frame->owner, slot) : LEAT_ROW_FRAME_FREE;
    if (rest == LEAT_ROW_FRAME_FREE)
        leat_keys_release(frame->keys, slot);
    else if (rest == LEAT_ROW_FRAME_WAITS)
        push(frame, &frame->waiting, &frame->waiting_count, &frame->waiting_room, slot);
}

static void release_idle(leat_row_frame *frame)
{
    for (uint32_t i = 0; i < frame->idle_count; i++)
        release(frame, frame->idle[i]);
    frame->idle_count = 0;
}

leat_code leat_row_frame_finish(leat_row_frame *frame, int64_t watermark, leat_code code, leat_error *out_error)
{
    leat_emitter_watermark(&frame->results, watermark);
    leat_emitter_flush(&frame->results);
    release_idle(frame);
    if (code == LEAT_OK && (frame->failed || leat_sorted_failed(&frame->rows)))
        return leat_row_frame_no_budget(frame, out_error);
    return code;
}

// ---- time to live

bool leat_row_frame_expired(const leat_row_frame *frame, const leat_sorted_row *row)
{
    return frame->state_ttl_ms && frame->context->now_ms - (int64_t)row->word >= frame->state_ttl_ms;
}

void leat_row_frame_expire(leat_row_frame *frame, uint32_t slot)
{
    if (!frame->state_ttl_ms)
        return;
    for (uint32_t i = leat_sorted_count(&frame->rows, slot); i-- > 0;)
        if (leat_row_frame_expired(frame, leat_sorted_get(&frame->rows, slot, i)))
            leat_row_frame_drop(frame, slot, i);
}

void leat_row_frame_wake(leat_row_frame *frame)
{
    if (!frame->state_ttl_ms || frame->wake_ms != INT64_MAX)
        return;
    frame->wake_ms = frame->context->now_ms + frame->state_ttl_ms / SWEEPS_PER_TTL + 1;
    frame->context->wake_at(frame->context, frame->wake_ms);
}

void leat_row_frame_sweep(leat_row_frame *frame)
{
    frame->wake_ms = INT64_MAX;
    for (uint32_t slot = 0; leat_pane_next(&frame->rows.panes, frame->rows.pane, 0, &slot); slot++) {
        leat_row_frame_expire(frame, slot);
        release(frame, slot);
    }
    if (frame->rows.count)
        leat_row_frame_wake(frame);
}

// ---- state

void leat_row_frame_snapshot(leat_row_frame *frame, leat_snapshot *snapshot, uint8_t table)
{
    leat_sorted_snapshot(&frame->rows, snapshot, table);
    if (snapshot->keep_marks)
        return;
    uint32_t count = frame->waiting_count;
    frame->waiting_count = 0;
    for (uint32_t i = 0; i < count; i++) // a slot that waits again does so at a place already passed
        release(frame, frame->waiting[i]);
}

static bool whole_row(leat_row_frame *frame, const leat_sorted_row *row)
{
    leat_reader reader;
    leat_value value;
    leat_slice bytes = leat_sorted_bytes(row);
    leat_arena_reset(&frame->values);
    leat_reader_init(&reader, bytes.data, bytes.size);
    for (uint32_t i = 0; i < frame->input->count; i++)
        if (!leat_value_decode(frame->input->fields[i].type, &reader, &frame->values, &value))
            return false;
    return !leat_reader_left(&reader);
}

leat_code leat_row_frame_restore(leat_row_frame *frame, leat_slice key, leat_slice value, leat_error *out_error)
{
    uint64_t sequence;
    leat_slice bytes;
    uint32_t slot;
    const leat_sorted_row *row;
    if (!leat_sorted_key(key, &sequence, &bytes))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "the key of a stored row is damaged");
    leat_code code = leat_keys_slot(frame->keys, bytes, &slot, out_error);
    if (code == LEAT_OK)
        code = leat_sorted_restore(&frame->rows, slot, sequence, value, &row, out_error);
    bool bare = frame->bare_rows && code == LEAT_OK && !row->size;
    if (code == LEAT_OK && !bare && !whole_row(frame, row))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row does not fit the columns");
    return code;
}

void leat_row_frame_measure(const leat_row_frame *frame, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    *out_keys = leat_keys_count(frame->keys);
    *out_state_bytes = leat_keys_memory(frame->keys) + leat_sorted_memory(&frame->rows);
}
