// What is due, computed block by block: rows decoded, and a list of steps over them (out of the frame, into it, send, forget). Arguments
// are evaluated once for a block.
#include "operators/over.h"

static leat_code add_to(over *self, leat_pane_entry *entry, const leat_accumulators_input *input, uint32_t row,
                        bool retract, leat_error *out_error)
{
    if (!input)
        return LEAT_OK;
    return leat_accumulators_add_row(self->spec->accumulators, input, row, retract, over_accumulator(entry),
                                     self->base.context->budget, out_error);
}

static void rank(over_key *key, int64_t time)
{
    key->row_count++;
    if (key->dense_rank && key->rank_ms == time)
        return;
    key->rank = key->row_count;
    key->dense_rank++;
    key->rank_ms = time;
}

static bool keep_lag(over *self, uint32_t slot, uint32_t row)
{
    uint32_t index;
    if (!self->lag_count)
        return true;
    leat_writer_reset(&self->stored);
    for (uint32_t i = 0; i < self->spec->function_count; i++) {
        const leat_over_function *function = &self->spec->functions[i];
        if (function->kind != LEAT_OVER_LAG)
            continue;
        leat_value value = leat_column_value(&self->block.columns[function->column], row);
        leat_value_encode(self->frame.input->fields[function->column].type, &value, &self->stored);
    }
    if (self->stored.failed ||
        !leat_sorted_insert(&self->lags, slot, (leat_slice){0}, leat_writer_slice(&self->stored), &index))
        return false;
    while (leat_sorted_count(&self->lags, slot) > self->lag_rows)
        leat_sorted_free(&self->lags, leat_sorted_remove(&self->lags, slot, 0));
    return true;
}

static leat_code take_in(over *self, const over_step *it, const leat_accumulators_input *input, leat_error *out_error)
{
    leat_pane_entry *entry = over_entry(self, it->slot);
    leat_pane_mark(&self->tables, self->key_table, it->slot, entry);
    rank(over_key_of(entry), self->block_time[it->row]);
    if (!keep_lag(self, it->slot, it->row))
        return leat_row_frame_no_budget(&self->frame, out_error);
    return add_to(self, entry, input, it->row, false, out_error);
}

static void lag_value(over *self, uint32_t slot, uint32_t nth, const leat_over_function *function, uint32_t row,
                      leat_value *out_value)
{
    uint32_t count = leat_sorted_count(&self->lags, slot);
    leat_reader reader;
    *out_value = leat_value_null();
    if (count <= function->offset) {
        if (function->otherwise >= 0)
            *out_value = leat_column_value(&self->block.columns[function->otherwise], row);
        return;
    }
    leat_slice bytes = leat_sorted_bytes(leat_sorted_get(&self->lags, slot, count - 1 - function->offset));
    leat_reader_init(&reader, bytes.data, bytes.size);
    for (uint32_t i = 0; i < self->spec->function_count; i++) {
        const leat_over_function *each = &self->spec->functions[i];
        if (each->kind != LEAT_OVER_LAG)
            continue;
        leat_type type = self->frame.input->fields[each->column].type;
        bool whole = leat_value_decode(type, &reader, &self->texts, out_value);
        LEAT_ASSERT(whole);
        if (nth-- == 0)
            return;
    }
}

static void function_value(over *self, uint32_t index, const over_step *it, leat_pane_entry *entry,
                           uint32_t *inout_lags, leat_value *out_value)
{
    const leat_over_function *function = &self->spec->functions[index];
    const over_key *key = over_key_of(entry);
    *out_value = (leat_value){0};
    switch (function->kind) {
    case LEAT_OVER_AGGREGATE:
        leat_accumulators_result(self->spec->accumulators, over_accumulator(entry), function->aggregate, &self->texts,
                                 out_value);
        break;
    case LEAT_OVER_LAG:
        lag_value(self, it->slot, (*inout_lags)++, function, it->row, out_value);
        break;
    case LEAT_OVER_ROW_NUMBER:
        out_value->i64 = (int64_t)key->row_count;
        break;
    case LEAT_OVER_RANK:
        out_value->i64 = (int64_t)key->rank;
        break;
    case LEAT_OVER_DENSE_RANK:
        out_value->i64 = (int64_t)key->dense_rank;
        break;
    }
}

static void send(over *self, const over_step *it)
{
    const leat_over_spec *spec = self->spec;
    uint32_t count = self->frame.input->count, lags = 0, row = it->row;
    leat_pane_entry *entry = over_entry(self, it->slot);
    uint32_t out = leat_emitter_row(&self->frame.results, self->block_event[row], LEAT_INSERT, self->block_causes[row]);
    leat_arena_reset(&self->texts);
    for (uint32_t i = 0; i < count; i++) {
        leat_value value = leat_column_value(&self->block.columns[i], row);
        leat_emitter_set(&self->frame.results, out, i, &value);
    }
    for (uint32_t i = 0; i < spec->function_count; i++) {
        leat_value value;
        function_value(self, i, it, entry, &lags, &value);
        leat_emitter_set(&self->frame.results, out, count + i, &value);
    }
}

// What was removed in the meantime is not there to be cleared.
static void clear_values(over *self, uint32_t slot)
{
    leat_pane_entry *entry = over_entry(self, slot);
    over_key *key = over_key_of(entry);
    leat_pane_mark(&self->tables, self->key_table, slot, entry);
    leat_sorted_clear(&self->lags, slot);
    key->row_count = key->rank = key->dense_rank = 0;
    if (!self->spec->accumulators)
        return;
    leat_accumulators_release(self->spec->accumulators, over_accumulator(entry), self->base.context->budget);
    leat_accumulators_init(self->spec->accumulators, over_accumulator(entry));
}

static leat_code run_step(over *self, const over_step *it, const leat_accumulators_input *input, leat_error *out_error)
{
    bool bad = it->kind <= OVER_STEP_SEND && self->eval.bad_count && self->eval.bad[it->row];
    switch (it->kind) {
    case OVER_STEP_OUT:
        return bad ? LEAT_OK : add_to(self, over_entry(self, it->slot), input, it->row, true, out_error);
    case OVER_STEP_IN:
        if (bad)
            leat_drops_add(self->base.context->drops, LEAT_DROP_EXPRESSION, 1);
        return bad ? LEAT_OK : take_in(self, it, input, out_error);
    case OVER_STEP_SEND:
        if (!bad)
            send(self, it);
        break;
    case OVER_STEP_CLEAR:
        clear_values(self, it->slot);
        break;
    case OVER_STEP_WATERMARK:
        leat_emitter_watermark(&self->frame.results, it->watermark);
        break;
    }
    return LEAT_OK;
}

leat_code over_run(over *self, leat_error *out_error)
{
    const leat_accumulators_input *input = NULL;
    leat_code code = LEAT_OK;
    self->block.selected = self->block.count;
    leat_eval_begin(&self->eval, &self->block, self->base.context->now_ms);
    if (self->spec->accumulators && self->block.count)
        input = leat_accumulators_prepare(self->spec->accumulators, &self->eval, &self->block);
    for (uint32_t i = 0; i < self->step_count && code == LEAT_OK; i++)
        code = run_step(self, &self->steps[i], input, out_error);
    self->step_count = 0;
    self->block.count = 0;
    leat_arena_reset(&self->block.arena);
    return code;
}

leat_code over_make_room(over *self, uint32_t rows, leat_error *out_error)
{
    bool room = self->block.count + rows <= OVER_BLOCK && self->step_count + 2 * rows + 2 <= OVER_STEPS;
    return room ? LEAT_OK : over_run(self, out_error);
}

void over_add_step(over *self, over_step_kind kind, uint32_t slot, uint32_t row)
{
    self->steps[self->step_count++] = (over_step){.kind = kind, .slot = slot, .row = row};
}

uint32_t over_add_row(over *self, const leat_sorted_row *row)
{
    leat_batch *block = &self->block;
    const leat_value *values = leat_row_frame_decode(&self->frame, leat_sorted_bytes(row));
    uint32_t at = block->count++;
    for (uint32_t i = 0; i < self->frame.input->count; i++)
        leat_column_set(&block->columns[i], at, &values[i], &block->arena);
    self->block_causes[at] = row->cause;
    self->block_event[at] = row->time_ms;
    self->block_time[at] = over_time(row);
    return at;
}

void over_open_block(over *self)
{
    leat_operator_context *context = self->base.context;
    leat_batch *block = &self->block;
    *block = (leat_batch){.schema = self->frame.input,
                          .event_ms = self->block_event,
                          .cause = self->block_causes,
                          .watermark_after = LEAT_TIME_NONE};
    leat_arena_init(&block->arena, context->env, 0);
    block->columns = leat_arena_array(context->arena, leat_column, block->schema->count + 1);
    for (uint32_t i = 0; i < block->schema->count; i++) {
        leat_column *column = &block->columns[i];
        column->type = block->schema->fields[i].type;
        column->nulls = leat_arena_calloc(context->arena, OVER_BLOCK);
        column->values = leat_arena_alloc_aligned(
            context->arena, OVER_BLOCK * leat_physical_size(leat_type_physical(column->type)), 16);
    }
}
