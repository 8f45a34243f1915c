// What is due, computed block by block: rows are gathered into the batch that goes out, arguments are evaluated for all of it, then rows go
// through their frames one after the other, and results are taken column by column where an accumulator is plain numbers.
#include "operators/over.h"

#include <stdlib.h>
#include <string.h>

enum { AHEAD = 24, CACHE_LINE = 64 };

typedef struct over_block {
    const over_due *due;
    uint32_t count;
    leat_batch *out;
    const leat_accumulators_input *input; // NULL: no aggregates
    bool large;                           // beyond the cache
} over_block;

static bool is_bad(const over *self, uint32_t row) { return self->eval.bad_count && self->eval.bad[row]; }

// What rows further on need: the ends of their frames.
static inline __attribute__((always_inline)) void prefetch_frame(const over *self, const over_block *block, uint32_t i,
                                                                 uint32_t stride)
{
    if (!block->large || i + AHEAD >= block->count)
        return;
    const over_key *key = over_key_of(self->entries[i + AHEAD]);
    if (!key->rows)
        return;
    __builtin_prefetch(key->rows + (size_t)over_place(key, key->first) * stride, 1);
    __builtin_prefetch(key->rows + (size_t)over_place(key, key->first + key->count) * stride, 1);
}

// ---- into the frame and out of it, any aggregates

static leat_code add_to(over *self, leat_pane_entry *entry, const leat_accumulators_input *input, uint32_t row,
                        bool retract, leat_error *out_error)
{
    if (!self->spec->accumulators)
        return LEAT_OK;
    return leat_accumulators_add_row(self->spec->accumulators, input, row, retract, over_accumulator(entry),
                                     self->base.context->budget, out_error);
}

static void rank(over_ranks *ranks, int64_t time)
{
    ranks->row_count++;
    if (ranks->dense_rank && ranks->time_ms == time)
        return;
    ranks->rank = ranks->row_count;
    ranks->dense_rank++;
    ranks->time_ms = time;
}

static bool keep_lag(over *self, uint32_t slot, const leat_batch *out, uint32_t row)
{
    uint32_t index;
    leat_writer_reset(&self->stored);
    for (uint32_t i = 0; i < self->spec->function_count; i++) {
        const leat_over_function *function = &self->spec->functions[i];
        if (function->kind != LEAT_OVER_LAG)
            continue;
        leat_value value = leat_column_value(&out->columns[function->column], row);
        leat_value_encode(self->frame.input->fields[function->column].type, &value, &self->stored);
    }
    if (self->stored.failed ||
        !leat_sorted_insert(&self->lags, slot, (leat_slice){0}, leat_writer_slice(&self->stored), &index))
        return false;
    while (leat_sorted_count(&self->lags, slot) > self->lag_rows)
        leat_sorted_free(&self->lags, leat_sorted_remove(&self->lags, slot, 0));
    return true;
}

static leat_code leave(over *self, leat_pane_entry *entry, leat_error *out_error)
{
    bool good = over_frame_leaving(self, over_key_of(entry));
    leat_code code = good ? add_to(self, entry, &self->leaving_input, 0, true, out_error) : LEAT_OK;
    over_frame_drop(self, over_key_of(entry));
    return code;
}

static bool leaves(const over *self, const over_key *key, int64_t time)
{
    if (!self->spec->bounded || !key->count)
        return false;
    if (!self->spec->range)
        return key->count > self->spec->preceding;
    return (uint64_t)time - (uint64_t)over_frame_time(self, key) > (uint64_t)self->spec->preceding;
}

static leat_code count_in(over *self, const over_block *block, uint32_t i, leat_error *out_error)
{
    if (is_bad(self, i)) {
        leat_drops_add(self->base.context->drops, LEAT_DROP_EXPRESSION, 1);
        return LEAT_OK;
    }
    if (self->ranks_at >= 0)
        rank(over_ranks_of(self, self->entries[i]), block->due[i].time_ms);
    if (self->lag_count && !keep_lag(self, block->due[i].slot, block->out, i))
        return over_no_budget(self, out_error);
    return add_to(self, self->entries[i], block->input, i, false, out_error);
}

static leat_code enter(over *self, const over_block *block, uint32_t i, leat_error *out_error)
{
    leat_pane_entry *entry = self->entries[i];
    over_key *key = over_key_of(entry);
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && leaves(self, key, block->due[i].time_ms))
        code = leave(self, entry, out_error);
    if (code == LEAT_OK && self->spec->bounded &&
        !over_frame_push(self, key, block->due[i].time_ms, block->input, i, is_bad(self, i)))
        return over_no_budget(self, out_error);
    return code == LEAT_OK ? count_in(self, block, i, out_error) : code;
}

// ---- results of any functions

static void lag_value(over *self, const over_block *block, uint32_t i, uint32_t nth, const leat_over_function *function,
                      leat_value *out_value)
{
    uint32_t slot = block->due[i].slot, count = leat_sorted_count(&self->lags, slot);
    leat_reader reader;
    *out_value = leat_value_null();
    if (count <= function->offset) {
        if (function->otherwise >= 0)
            *out_value = leat_column_value(&block->out->columns[function->otherwise], i);
        return;
    }
    leat_slice bytes = leat_sorted_bytes(leat_sorted_get(&self->lags, slot, count - 1 - function->offset));
    leat_reader_init(&reader, bytes.data, bytes.size);
    for (uint32_t f = 0; f < self->spec->function_count; f++) {
        const leat_over_function *each = &self->spec->functions[f];
        if (each->kind != LEAT_OVER_LAG)
            continue;
        leat_type type = self->frame.input->fields[each->column].type;
        bool whole = leat_value_decode(type, &reader, &self->texts, out_value);
        LEAT_ASSERT(whole);
        if (nth-- == 0)
            return;
    }
}

static void function_value(over *self, const over_block *block, uint32_t i, uint32_t index, uint32_t *inout_lags,
                           leat_value *out_value)
{
    const leat_over_function *function = &self->spec->functions[index];
    leat_pane_entry *entry = self->entries[i];
    *out_value = (leat_value){0};
    switch (function->kind) {
    case LEAT_OVER_AGGREGATE:
        leat_accumulators_result(self->spec->accumulators, over_accumulator(entry), function->aggregate, &self->texts,
                                 out_value);
        break;
    case LEAT_OVER_LAG:
        lag_value(self, block, i, (*inout_lags)++, function, out_value);
        break;
    case LEAT_OVER_ROW_NUMBER:
        out_value->i64 = (int64_t)over_ranks_of(self, entry)->row_count;
        break;
    case LEAT_OVER_RANK:
        out_value->i64 = (int64_t)over_ranks_of(self, entry)->rank;
        break;
    case LEAT_OVER_DENSE_RANK:
        out_value->i64 = (int64_t)over_ranks_of(self, entry)->dense_rank;
        break;
    }
}

static void results(over *self, const over_block *block, uint32_t i)
{
    uint32_t lags = 0;
    if (is_bad(self, i))
        return;
    leat_arena_reset(&self->texts);
    for (uint32_t f = 0; f < self->spec->function_count; f++) {
        leat_value value;
        function_value(self, block, i, f, &lags, &value);
        leat_column_set(&block->out->columns[self->frame.input->count + f], i, &value, &block->out->arena);
    }
}

// ---- count and sum of one column of numbers
//
// What a frame's row is then: [time], the value, bytes for bad and NULL. The loops are one text, so that nothing is asked for each row.

typedef struct sum_loop {
    bool is_double, is_range, is_bounded;
    uint32_t value_at, stride; // flags stand behind the value
} sum_loop;
enum { WORD = 8 };

static inline __attribute__((always_inline)) void sum_change(const sum_loop *loop, leat_accumulators_sum *sum,
                                                             const uint8_t *value, int sign)
{
    if (loop->is_double) {
        double x;
        memcpy(&x, value, sizeof x);
        sum->sum.f64 = sign < 0 ? sum->sum.f64 - x : sum->sum.f64 + x;
    } else {
        uint64_t x;
        memcpy(&x, value, sizeof x);
        sum->sum.i64 = (int64_t)(sign < 0 ? (uint64_t)sum->sum.i64 - x : (uint64_t)sum->sum.i64 + x);
    }
    sum->count += sign;
}

static inline __attribute__((always_inline)) void sum_leave(const sum_loop *loop, const over *self, over_key *key,
                                                            int64_t time, leat_accumulators_sum *sum)
{
    uint64_t preceding = (uint64_t)self->spec->preceding;
    for (; key->count; key->first++, key->count--) {
        const uint8_t *row = key->rows + (size_t)over_place(key, key->first) * loop->stride;
        const uint8_t *value = row + loop->value_at, *flags = value + WORD;
        int64_t at;
        memcpy(&at, row, sizeof at);
        if (loop->is_range ? (uint64_t)time - (uint64_t)at <= preceding : key->count <= preceding)
            break;
        sum->rows -= !flags[0];
        if (!(flags[0] | flags[1]))
            sum_change(loop, sum, value, -1);
    }
}

static inline __attribute__((always_inline)) void sum_put(const sum_loop *loop, over_key *key, int64_t time,
                                                          const uint8_t *value, bool bad, bool is_null)
{
    uint8_t *row = key->rows + (size_t)over_place(key, key->first + key->count++) * loop->stride;
    uint8_t *to = row + loop->value_at;
    if (loop->is_range)
        memcpy(row, &time, sizeof time);
    memcpy(to, value, WORD);
    to[WORD] = bad;
    to[WORD + 1] = is_null;
}

static inline __attribute__((always_inline)) leat_code
sum_rows(const sum_loop *loop, over *self, const over_block *block, uint32_t from, uint32_t to, leat_error *out_error)
{
    const leat_column *column = leat_accumulators_argument(block->input, 0);
    const uint8_t *nulls = column->nulls, *values = column->values, *bad = self->eval.bad_count ? self->eval.bad : NULL;
    for (uint32_t i = from; i < to; i++) {
        prefetch_frame(self, block, i, loop->stride);
        over_key *key = over_key_of(self->entries[i]);
        leat_accumulators_sum *sum = over_accumulator(self->entries[i]);
        bool is_bad = bad && bad[i], is_null = nulls && nulls[i];
        if (loop->is_bounded) {
            sum_leave(loop, self, key, block->due[i].time_ms, sum);
            if (key->count == over_room(key) && !over_frame_room(self, key, 1))
                return over_no_budget(self, out_error);
            sum_put(loop, key, block->due[i].time_ms, values + (size_t)i * WORD, is_bad, is_null);
        }
        sum->rows += !is_bad;
        if (!is_bad && !is_null)
            sum_change(loop, sum, values + (size_t)i * WORD, 1);
        if (is_bad)
            leat_drops_add(self->base.context->drops, LEAT_DROP_EXPRESSION, 1);
        self->sums[i] = *sum; // where it has peers they are told again
    }
    return LEAT_OK;
}

static leat_code enter_sums(over *self, const over_block *block, uint32_t from, uint32_t to, leat_error *out_error)
{
    bool range = self->spec->range && self->spec->bounded, rows = self->spec->bounded && !range;
    if (self->is_double && range)
        return sum_rows(&(sum_loop){true, true, true, WORD, 3 * WORD}, self, block, from, to, out_error);
    if (self->is_double && rows)
        return sum_rows(&(sum_loop){true, false, true, 0, 2 * WORD}, self, block, from, to, out_error);
    if (range)
        return sum_rows(&(sum_loop){false, true, true, WORD, 3 * WORD}, self, block, from, to, out_error);
    if (rows)
        return sum_rows(&(sum_loop){false, false, true, 0, 2 * WORD}, self, block, from, to, out_error);
    return sum_rows(&(sum_loop){self->is_double, false, false, 0, 0}, self, block, from, to, out_error);
}

static void sum_results(over *self, const over_block *block)
{
    for (uint32_t f = 0; f < self->spec->function_count; f++)
        leat_accumulators_sum_results(self->spec->accumulators, self->spec->functions[f].aggregate, self->sums,
                                      block->count, &block->out->columns[self->frame.input->count + f]);
}

// ---- a block

static void find_entries(over *self, const over_block *block)
{
    for (uint32_t i = 0; i < block->count; i++) {
        self->entries[i] = leat_pane_place(&self->tables, self->key_table, block->due[i].slot);
        if (!block->large)
            continue;
        __builtin_prefetch(self->entries[i], 1);
        __builtin_prefetch((const char *)self->entries[i] + CACHE_LINE, 1);
    }
}

static leat_code enter_all(over *self, const over_block *block, uint32_t from, uint32_t to, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (self->is_sum)
        return enter_sums(self, block, from, to, out_error);
    for (uint32_t i = from; i < to && code == LEAT_OK; i++) {
        prefetch_frame(self, block, i, self->layout.stride);
        code = enter(self, block, i, out_error);
        if (!self->peers)
            results(self, block, i);
    }
    return code;
}

static void results_all(over *self, const over_block *block, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (self->is_sum)
            self->sums[i] = *(leat_accumulators_sum *)over_accumulator(self->entries[i]);
        else
            results(self, block, i);
}

// Peers are added together before any of them is told the result.
static leat_code pass_through(over *self, const over_block *block, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (!self->peers)
        return enter_all(self, block, 0, block->count, out_error);
    for (uint32_t i = 0, end; i < block->count && code == LEAT_OK; i = end) {
        for (end = i + 1; end < block->count && block->due[end].time_ms == block->due[i].time_ms;)
            end++;
        code = enter_all(self, block, i, end, out_error);
        if (!self->is_sum || end - i > 1)
            results_all(self, block, i, end);
    }
    return code;
}

static void done(over *self, const over_block *block)
{
    int64_t after = self->spec->processing_time;
    for (uint32_t i = 0; i < block->count; i++) {
        over_key *key = over_key_of(self->entries[i]);
        key->waiting--;
        if (block->due[i].time_ms + after > key->last_ms) // a mark behind it may have been settled before
            key->last_ms = block->due[i].time_ms + after;
        leat_pane_mark(&self->tables, self->key_table, block->due[i].slot, self->entries[i]);
    }
}

// ---- what goes out

static void set_watermarks(over *self, const over_block *block)
{
    int64_t sent = self->frame.results.watermark_sent;
    leat_batch *out = block->out;
    if (block->due[block->count - 1].watermark <= sent)
        return;
    out->watermark = leat_arena_alloc(&out->arena, sizeof *out->watermark * block->count);
    for (uint32_t i = 0; i < block->count; i++)
        out->watermark[i] = block->due[i].watermark > sent ? block->due[i].watermark : sent;
}

// Rows whose arguments failed are counted and not sent.
static void leave_out_bad(over *self, leat_batch *out)
{
    if (!self->eval.bad_count)
        return;
    uint16_t *selection = leat_arena_alloc(&out->arena, sizeof *selection * (out->count + 1));
    out->selected = 0;
    for (uint32_t i = 0; i < out->count; i++)
        if (!self->eval.bad[i])
            selection[out->selected++] = (uint16_t)i;
    out->selection = selection;
}

static void send(over *self, const over_block *block, int64_t watermark_after)
{
    leat_operator_context *context = self->base.context;
    leat_emitter *results = &self->frame.results;
    leat_batch *out = block->out;
    leave_out_bad(self, out);
    out->watermark_after = watermark_after > results->watermark_sent ? watermark_after : LEAT_TIME_NONE;
    if (watermark_after > results->watermark_sent)
        results->watermark = results->watermark_sent = watermark_after;
    if (!context->output_used || context->output_used[0])
        context->emit(context, 0, out);
}

static void gather(over *self, over_block *block)
{
    leat_operator_context *context = self->base.context;
    block->out = leat_batch_get_rows_always(context->pool, context->outputs[0], block->count);
    block->out->count = block->out->selected = block->count;
    leat_arena *arena = &block->out->arena;
    self->rows = leat_arena_alloc(arena, sizeof *self->rows * block->count);
    self->entries = leat_arena_alloc(arena, sizeof *self->entries * block->count);
    self->sums = self->is_sum ? leat_arena_alloc(arena, sizeof *self->sums * block->count) : NULL;
    for (uint32_t i = 0; i < block->count; i++)
        self->rows[i] = block->due[i].row;
    leat_row_queue_gather(&self->queue, self->rows, block->count, block->out);
    set_watermarks(self, block);
}

// The rows of the input are the first columns of what goes out.
static void evaluate(over *self, over_block *block)
{
    leat_batch view = *block->out;
    view.schema = self->frame.input;
    leat_eval_begin(&self->eval, &view, self->base.context->now_ms);
    self->eval.watermark_ms = self->frame.results.watermark_sent;
    if (self->spec->accumulators)
        block->input = leat_accumulators_prepare(self->spec->accumulators, &self->eval, &view);
}

static over_block begin_block(const over *self, uint32_t from, uint32_t to)
{
    return (over_block){
        .due = self->due + from, .count = to - from, .large = leat_keys_capacity(self->frame.keys) > OVER_LARGE};
}

static leat_code run_block(over *self, uint32_t from, uint32_t to, int64_t watermark_after, leat_error *out_error)
{
    over_block block = begin_block(self, from, to);
    gather(self, &block);
    find_entries(self, &block);
    evaluate(self, &block);
    leat_code code = pass_through(self, &block, out_error);
    done(self, &block);
    if (code == LEAT_OK && self->is_sum)
        sum_results(self, &block);
    leat_row_queue_release(&self->queue, self->rows, block.count);
    if (code == LEAT_OK)
        send(self, &block, watermark_after);
    leat_batch_unref(block.out);
    return code;
}

// ---- more peers than a block holds: all are added first, then told their results; so they are gathered twice

static leat_code add_peers(over *self, uint32_t from, uint32_t to, leat_error *out_error)
{
    over_block block = begin_block(self, from, to);
    gather(self, &block);
    find_entries(self, &block);
    evaluate(self, &block);
    leat_code code = enter_all(self, &block, 0, block.count, out_error);
    leat_batch_unref(block.out);
    return code;
}

static leat_code send_peers(over *self, uint32_t from, uint32_t to, int64_t watermark_after)
{
    over_block block = begin_block(self, from, to);
    gather(self, &block);
    find_entries(self, &block);
    evaluate(self, &block);
    results_all(self, &block, 0, block.count);
    if (self->is_sum)
        sum_results(self, &block);
    done(self, &block);
    leat_row_queue_release(&self->queue, self->rows, block.count);
    send(self, &block, watermark_after);
    leat_batch_unref(block.out);
    return LEAT_OK;
}

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

static int64_t after_block(const over *self, uint32_t to, bool last)
{
    return last && to == self->due_count ? self->watermark : self->due[to - 1].watermark;
}

static leat_code run_peers(over *self, uint32_t from, uint32_t to, bool last, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = from; i < to && code == LEAT_OK; i += OVER_BLOCK)
        code = add_peers(self, i, smaller(i + OVER_BLOCK, to), out_error);
    for (uint32_t i = from; i < to && code == LEAT_OK; i += OVER_BLOCK) {
        uint32_t end = smaller(i + OVER_BLOCK, to);
        code = send_peers(self, i, end, after_block(self, end, last));
    }
    return code;
}

// ---- ORDER BY further columns: rows of one time by what they are ordered by, then as they came

typedef struct ordered_row {
    leat_slice order;
    over_due due;
    uint32_t index;
} ordered_row;

static int compare_ordered(const void *a, const void *b)
{
    const ordered_row *x = a, *y = b;
    int found = leat_slice_compare(x->order, y->order);
    return found ? found : (x->index > y->index) - (x->index < y->index);
}

static leat_slice order_of(over *self, uint32_t row)
{
    leat_writer_reset(&self->frame.order);
    for (uint32_t i = 0; i < self->spec->order_count; i++) {
        const leat_order *order = &self->spec->orders[i];
        leat_value value = leat_row_queue_value(&self->queue, row, order->column, &self->values);
        leat_order_encode(self->frame.input->fields[order->column].type, &value, order, &self->frame.order);
    }
    leat_slice bytes = leat_writer_slice(&self->frame.order);
    return leat_slice_of(leat_arena_copy(&self->values, bytes.data, bytes.size), bytes.size);
}

static void order_peers(over *self, over_due *due, uint32_t count)
{
    leat_arena_reset(&self->values);
    ordered_row *rows = leat_arena_alloc(&self->values, sizeof *rows * count);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (ordered_row){order_of(self, due[i].row), due[i], i};
    qsort(rows, count, sizeof *rows, compare_ordered);
    for (uint32_t i = 0; i < count; i++)
        due[i] = rows[i].due;
}

static void order_all(over *self)
{
    for (uint32_t i = 0, end; i < self->due_count; i = end) {
        for (end = i + 1; end < self->due_count && self->due[end].time_ms == self->due[i].time_ms;)
            end++;
        if (end - i > 1)
            order_peers(self, self->due + i, end - i);
    }
}

// ---- all of it

// Where the block that begins there ends: peers are not parted. More than OVER_BLOCK: they are all peers.
static uint32_t block_end(const over *self, uint32_t from)
{
    uint32_t end = smaller(from + OVER_BLOCK, self->due_count);
    if (!self->peers || end == self->due_count)
        return end;
    while (end > from && self->due[end].time_ms == self->due[end - 1].time_ms)
        end--;
    if (end > from)
        return end;
    for (end = from + 1; end < self->due_count && self->due[end].time_ms == self->due[from].time_ms;)
        end++;
    return end;
}

leat_code over_run(over *self, bool last, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (self->spec->order_count)
        order_all(self);
    for (uint32_t from = 0, end; from < self->due_count && code == LEAT_OK; from = end) {
        end = block_end(self, from);
        code = end - from > OVER_BLOCK ? run_peers(self, from, end, last, out_error)
                                       : run_block(self, from, end, after_block(self, end, last), out_error);
    }
    self->due_count = 0;
    return code;
}

void over_open_block(over *self)
{
    const leat_accumulators *set = self->spec->accumulators;
    bool plain = set && leat_accumulators_is_sum(set) && !self->lag_count && self->ranks_at < 0;
    over_open_layout(self);
    self->is_sum = plain;
    self->is_double = plain && self->layout.physicals[0] == LEAT_PHYSICAL_F64;
    uint32_t time = self->layout.timed ? WORD : 0;
    LEAT_ASSERT(!plain || (self->layout.cells[0] == time && self->layout.flags == time + WORD &&
                           self->layout.stride == time + 2 * WORD)); // as sum_rows has it
}
