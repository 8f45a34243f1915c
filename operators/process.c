// process: runs a process function of operators/api/leat.h, with keyed state and timers.
//
// Before a row everything that is due at its watermark happens: rows held back by ORDER BY are handled (the function still sees
// the previous watermark), then the watermark is taken over, then timers fire, then it is passed on. Processing-time timers fire when
// the clock has reached them, at the latest before the next batch.
//
// State: tables of LEAT_PROCESS_*; LEAT_PROCESS_CLOCK holds the processing time of the snapshot (key "now": u8 version 1,
// signed varint) for functions whose timers do not count downtime; LEAT_PROCESS_GENERATION how many savepoints it has been
// restored from (key "now": u8 version 1, varint), 0 when absent.
#include "operators/process.h"

#include <string.h>

#include "operators/core/cause.h"

enum { SWEEP_STEPS = 32, CLOCK_VERSION = 1, GENERATION_VERSION = 1, PREFETCH_ROWS = 24, PREFETCH_KEYS = 4096 };

// ---- slots of which nothing may be left

static bool has_items(leat_process *p, uint32_t slot)
{
    for (uint32_t i = 0; i < p->items_count; i++)
        if (p->items[i].keys && leat_pane_find(&p->items[i].panes, p->items[i].pane, slot))
            return true;
    return false;
}

static void settle_slot(leat_process *p, uint32_t slot)
{
    (void)leat_cells_settle(&p->cells, slot);
    for (uint32_t i = 0; i < p->items_count; i++)
        if (p->items[i].keys)
            (void)leat_items_settle(&p->items[i], slot);
}

static bool has_state(leat_process *p, uint32_t slot)
{
    return leat_cells_row(&p->cells, slot) || leat_timers_any(&p->timers[0], slot) ||
           leat_timers_any(&p->timers[1], slot) || leat_held_any(&p->held, slot) || has_items(p, slot);
}

static void release(leat_process *p, uint32_t slot)
{
    if (!leat_keys_live(p->keys, slot))
        return;
    settle_slot(p, slot);
    if (has_state(p, slot))
        return;
    bool free = leat_cells_settle(&p->cells, slot);
    free &= leat_timers_release(&p->timers[0], slot);
    free &= leat_timers_release(&p->timers[1], slot);
    if (free)
        leat_keys_release(p->keys, slot);
    else
        leat_slot_set_add(&p->waiting, p->base.context->budget, slot);
}

static void release_empty(leat_process *p)
{
    while (p->empty.count)
        release(p, leat_slot_set_take(&p->empty));
}

// After a call: most keys keep a value, which is looked at first.
static inline void end_call(leat_process *p)
{
    if (p->call.slot == LEAT_SLOT_NONE)
        return;
    if (p->call.cells && p->call.cells->set)
        return;
    if (p->call.settle)
        (void)leat_cells_settle(&p->cells, p->call.slot);
    if (!leat_cells_row(&p->cells, p->call.slot))
        leat_slot_set_add(&p->empty, p->base.context->budget, p->call.slot);
}

// ---- rows

leat_row leat_process_row_view(leat_process *p, uint32_t input)
{
    return (leat_row){
        .size = sizeof(leat_row),
        .input = input,
        .column_count = p->inputs[input].schema->count,
        .columns = p->inputs[input].columns,
        .expressions = input == 0 ? p->expressions : NULL,
    };
}

void leat_process_begin_batch(leat_process *p, uint32_t input, const leat_batch *batch)
{
    leat_process_input *in = &p->inputs[input];
    in->times = NULL;
    in->time_nulls = NULL;
    if (in->table->time_column < 0)
        return;
    const leat_column *column = &batch->columns[in->table->time_column];
    in->times = in->batch_time && batch->event_ms ? batch->event_ms : column->i64;
    in->time_nulls = in->batch_time && batch->event_ms ? NULL : column->nulls;
}

// Rows that cannot be handled are counted and dropped.
static bool is_bad(leat_process *p, const leat_process_input *in, uint32_t row)
{
    bool failed = p->eval.bad_count && p->eval.bad[row], timeless = in->time_nulls && in->time_nulls[row];
    if (!failed && !timeless)
        return false;
    leat_drops_add(p->base.context->drops, failed ? LEAT_DROP_EXPRESSION : LEAT_DROP_NULL_TIME, 1);
    return true;
}

leat_code leat_process_row(leat_process *p, uint32_t input, const leat_batch *batch, uint32_t row, uint32_t slot,
                           leat_row *view, leat_error *out_error)
{
    const leat_process_input *in = &p->inputs[input];
    leat_process_call *call = &p->call;
    call->slot = slot;
    call->cells = NULL;
    if ((p->eval.bad_count || in->time_nulls) && is_bad(p, in, row)) {
        end_call(p);
        return LEAT_OK;
    }
    view->index = row;
    view->time_ms = in->times ? in->times[row] : LEAT_TIME_NONE;
    view->kind = (uint8_t)leat_batch_kind(batch, row);
    call->batch = batch;
    call->row = row;
    call->event_ms = in->times ? view->time_ms : batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
    call->cause = batch->cause ? batch->cause[row] : 0;
    call->emitted = 0;
    call->key_ready = call->settle = call->marked = false;
    if (p->function->process(&p->function_context, view) || p->code != LEAT_OK)
        return leat_process_fault(p, out_error);
    end_call(p);
    return LEAT_OK;
}

// ---- timers

// A timer for a time that has passed can fire again under the same name and time: what set it tells them apart, and how often watermarks
// have started anew.
static uint64_t timer_cause(const leat_process *p, const leat_timer_due *due, leat_time_domain domain)
{
    uint64_t cause = leat_hash_combine(leat_keys_hash(p->keys, due->slot), (uint64_t)due->time_ms);
    cause = leat_hash_combine(cause, due->name ? leat_hash(due->name, strlen(due->name)) : 0);
    if (due->setter)
        cause = leat_hash_combine(cause, due->setter);
    if (domain == LEAT_PROCESSING_TIME)
        return leat_hash_combine(cause, domain);
    return leat_hash_combine(cause, domain + 2 * p->generation);
}

static leat_code fire(leat_process *p, leat_time_domain domain, int64_t until_ms, leat_error *out_error)
{
    leat_timer_due due;
    while (leat_timers_take(&p->timers[domain], until_ms, &due)) {
        leat_timer timer = {.size = sizeof timer, .domain = domain, .time_ms = due.time_ms, .name = due.name};
        p->call = (leat_process_call){
            .slot = due.slot, .event_ms = due.time_ms, .cause = timer_cause(p, &due, domain), .settle = true};
        if (p->function->timer(&p->function_context, &timer) || p->code != LEAT_OK)
            return leat_process_fault(p, out_error);
        end_call(p);
    }
    return LEAT_OK;
}

static leat_code advance(leat_process *p, int64_t watermark_ms, leat_error *out_error)
{
    if (watermark_ms <= p->watermark_ms)
        return LEAT_OK;
    leat_code code = leat_process_flush_held(p, watermark_ms, out_error);
    p->watermark_ms = watermark_ms;
    if (code == LEAT_OK && leat_timers_due(&p->timers[LEAT_EVENT_TIME], watermark_ms))
        code = fire(p, LEAT_EVENT_TIME, watermark_ms, out_error);
    p->forwarded_ms = watermark_ms;
    return code;
}

static leat_code fire_processing(leat_process *p, leat_error *out_error)
{
    int64_t due_ms = leat_operator_due_ms(p->base.context);
    if (!leat_timers_due(&p->timers[LEAT_PROCESSING_TIME], due_ms))
        return LEAT_OK;
    return fire(p, LEAT_PROCESSING_TIME, due_ms, out_error);
}

// ---- batches

static leat_code hold(leat_process *p, uint32_t input, const leat_batch *batch, uint32_t row, uint32_t slot,
                      leat_error *out_error)
{
    const leat_process_input *in = &p->inputs[input];
    LEAT_ASSERT(in->times); // ORDER BY without a time column is refused at creation
    bool no_time = in->time_nulls && in->time_nulls[row];
    int64_t time_ms = in->times[row];
    if (no_time || time_ms <= p->watermark_ms) {
        leat_drops_add(p->base.context->drops, no_time ? LEAT_DROP_NULL_TIME : LEAT_DROP_LATE, 1);
        leat_slot_set_add(&p->empty, p->base.context->budget, slot);
        return LEAT_OK;
    }
    if (leat_process_hold(p, input, batch, row, slot, time_ms))
        return LEAT_OK;
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "function %s: the memory budget of %zu bytes is used up by rows waiting for ORDER BY",
                          p->function->name, p->base.context->budget->limit);
}

// A row whose key is longer than LEAT_KEY_BYTES_MAX has no slot.
static bool has_no_slot(leat_process *p, uint32_t input, uint32_t slot)
{
    if (slot != LEAT_SLOT_NONE || !p->inputs[input].keyed)
        return false;
    leat_drops_add(p->base.context->drops, LEAT_DROP_TOO_LARGE, 1);
    return true;
}

// Up to the watermark of physical row `row`. Rows of other keys and instances lie between, not selected here, and what is due
// fires under the watermark of the step that made it due, not under the last one: functions see the watermark.
static leat_code advance_through(leat_process *p, const leat_batch *batch, uint32_t *next, uint32_t row,
                                 leat_error *out_error)
{
    int64_t target = batch->watermark[row];
    leat_code code = LEAT_OK;
    if (leat_timers_due(&p->timers[LEAT_EVENT_TIME], target) || leat_held_due(&p->held, target))
        for (uint32_t i = *next; i <= row && code == LEAT_OK; i++)
            if (batch->watermark[i] > p->watermark_ms)
                code = advance(p, batch->watermark[i], out_error);
    *next = row + 1;
    return code == LEAT_OK && target > p->watermark_ms ? advance(p, target, out_error) : code;
}

static leat_code advance_to_end(leat_process *p, const leat_batch *batch, uint32_t next, leat_error *out_error)
{
    return batch->watermark && next < batch->count ? advance_through(p, batch, &next, batch->count - 1, out_error)
                                                   : LEAT_OK;
}

static leat_code hold_rows(leat_process *p, uint32_t input, const leat_batch *batch, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    uint32_t next = 0;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark)
            code = advance_through(p, batch, &next, row, out_error);
        leat_process_begin_batch(p, input, batch); // rows that came due were of another batch
        if (code == LEAT_OK && !has_no_slot(p, input, p->slots[i]))
            code = hold(p, input, batch, row, p->slots[i], out_error);
    }
    return code == LEAT_OK ? advance_to_end(p, batch, next, out_error) : code;
}

// Inlined by force: gcc 12 takes a function that only prefetches for one without effect and drops the call.
static inline __attribute__((always_inline)) void prefetch(const leat_process *p, uint32_t slot, bool keys)
{
    leat_cells_prefetch(&p->cells, slot);
    leat_timers_prefetch(&p->timers[0], slot);
    if (keys)
        leat_keys_prefetch(p->keys, slot);
}

// A timer's order is the key's hash, which is asked for with the first timer of a key: not worth fetching once nearly all keys have had one.
static bool asks_for_hashes(const leat_process *p)
{
    return p->timers[LEAT_EVENT_TIME].pane->used < leat_keys_count(p->keys) - leat_keys_count(p->keys) / 32;
}

static leat_code run_rows(leat_process *p, uint32_t input, const leat_batch *batch, leat_error *out_error)
{
    bool keyed = p->inputs[input].keyed, ahead = keyed && leat_keys_count(p->keys) > PREFETCH_KEYS;
    bool keys = ahead && asks_for_hashes(p);
    leat_process_view(p, input, batch);
    leat_row view = leat_process_row_view(p, input);
    leat_code code = LEAT_OK;
    uint32_t next = 0;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (ahead && i + PREFETCH_ROWS < batch->selected && p->slots[i + PREFETCH_ROWS] != LEAT_SLOT_NONE)
            prefetch(p, p->slots[i + PREFETCH_ROWS], keys);
        if (batch->watermark && batch->watermark[row] > p->watermark_ms) {
            bool held = leat_held_due(&p->held, batch->watermark[row]);
            code = advance_through(p, batch, &next, row, out_error);
            if (held) // another table's rows have taken the views' place
                leat_process_view(p, input, batch);
        }
        if (code == LEAT_OK && !(keyed && has_no_slot(p, input, p->slots[i])))
            code = leat_process_row(p, input, batch, row, keyed ? p->slots[i] : LEAT_SLOT_NONE, &view, out_error);
    }
    return code == LEAT_OK ? advance_to_end(p, batch, next, out_error) : code;
}

static void wake(leat_process *p)
{
    const leat_timers *timers = &p->timers[LEAT_PROCESSING_TIME];
    if (!timers->heap_count || timers->heap[0].time >= p->asked_ms)
        return;
    p->asked_ms = timers->heap[0].time;
    p->base.context->wake_at(p->base.context, p->asked_ms);
}

static void sweep(leat_process *p)
{
    uint32_t steps = SWEEP_STEPS, slot;
    while ((slot = leat_cells_sweep(&p->cells, p->now_ms, &steps)) != LEAT_SLOT_NONE)
        leat_slot_set_add(&p->empty, p->base.context->budget, slot);
    for (uint32_t i = 0; i < p->items_count; i++)
        for (steps = SWEEP_STEPS; (slot = leat_items_sweep(&p->items[i], p->now_ms, &steps)) != LEAT_SLOT_NONE;)
            if (p->items[i].keys)
                leat_slot_set_add(&p->empty, p->base.context->budget, slot);
}

static leat_code begin(leat_process *p, leat_error *out_error)
{
    p->now_ms = p->base.context->now_ms;
    leat_arena_reset(&p->row_scratch);
    return fire_processing(p, out_error);
}

static void end(leat_process *p)
{
    sweep(p);
    release_empty(p);
    for (uint32_t i = 0; i < p->base.context->output_count; i++) {
        leat_emitter_watermark(&p->emitters[i].emitter, p->forwarded_ms);
        leat_emitter_flush(&p->emitters[i].emitter);
    }
    wake(p);
}

static leat_code on_batch(leat_operator *self, unsigned input, leat_batch *batch, leat_error *out_error)
{
    leat_process *p = (leat_process *)self;
    const leat_process_input *in = &p->inputs[input];
    uint32_t slots[LEAT_BATCH_ROWS];
    p->slots = slots;
    leat_code code = begin(p, out_error);
    if (code == LEAT_OK && in->keyed)
        code = leat_keys_resolve(p->keys, batch, in->table->key_columns, slots, out_error);
    if (code == LEAT_OK && batch->selected)
        code = in->sorted ? hold_rows(p, input, batch, out_error) : run_rows(p, input, batch, out_error);
    if (code == LEAT_OK)
        code = advance(p, batch->watermark_after, out_error);
    end(p);
    p->slots = NULL;
    return code;
}

static leat_code on_watermark(leat_operator *self, int64_t watermark_ms, leat_error *out_error)
{
    leat_process *p = (leat_process *)self;
    leat_code code = begin(p, out_error);
    if (code == LEAT_OK)
        code = advance(p, watermark_ms, out_error);
    end(p);
    return code;
}

static leat_code on_time(leat_operator *self, leat_error *out_error)
{
    leat_process *p = (leat_process *)self;
    p->asked_ms = INT64_MAX;
    leat_code code = begin(p, out_error);
    end(p);
    return code;
}

// ---- snapshots

static leat_slice clock_key(void) { return leat_slice_of("now", 3); }

static void snapshot_clock(leat_process *p, leat_snapshot *snapshot)
{
    if (!p->skip_downtime)
        return;
    leat_writer_reset(&p->writer);
    leat_write_u8(&p->writer, CLOCK_VERSION);
    leat_write_varint_signed(&p->writer, p->base.context->now_ms);
    snapshot->put(snapshot, LEAT_PROCESS_CLOCK, LEAT_GROUP_OPERATOR, clock_key(), leat_writer_slice(&p->writer));
}

static void snapshot_generation(leat_process *p, leat_snapshot *snapshot)
{
    if (!p->generation || (p->generation_stored && !snapshot->whole[LEAT_GROUP_OPERATOR]))
        return;
    leat_writer_reset(&p->writer);
    leat_write_u8(&p->writer, GENERATION_VERSION);
    leat_write_varint(&p->writer, p->generation);
    snapshot->put(snapshot, LEAT_PROCESS_GENERATION, LEAT_GROUP_OPERATOR, clock_key(), leat_writer_slice(&p->writer));
    if (!snapshot->keep_marks)
        p->generation_stored = true;
}

static void snapshot(leat_operator *self, leat_snapshot *snapshot)
{
    leat_process *p = (leat_process *)self;
    snapshot_clock(p, snapshot);
    snapshot_generation(p, snapshot);
    leat_cells_snapshot(&p->shared, snapshot, LEAT_PROCESS_SHARED, &p->writer);
    for (uint32_t i = 0; i < p->items_count; i++)
        leat_items_snapshot(&p->items[i], snapshot, LEAT_PROCESS_ITEMS);
    if (!p->keys)
        return;
    leat_cells_snapshot(&p->cells, snapshot, LEAT_PROCESS_CELLS, &p->writer);
    for (uint8_t domain = 0; domain < 2; domain++)
        leat_timers_snapshot(&p->timers[domain], snapshot, LEAT_PROCESS_TIMERS + domain, &p->writer);
    leat_held_snapshot(&p->held, snapshot, LEAT_PROCESS_HELD);
    while (!snapshot->keep_marks && p->waiting.count)
        leat_slot_set_add(&p->empty, p->base.context->budget, leat_slot_set_take(&p->waiting));
    release_empty(p);
}

static leat_code restore_clock(leat_process *p, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == CLOCK_VERSION;
    p->stored_now_ms = leat_read_varint_signed(&reader);
    return known && !reader.failed ? LEAT_OK : leat_error_set(out_error, LEAT_E_CORRUPT, "the stored clock is damaged");
}

static leat_code restore_generation(leat_process *p, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == GENERATION_VERSION;
    p->generation = leat_read_varint(&reader);
    p->generation_stored = true;
    return known && !reader.failed
               ? LEAT_OK
               : leat_error_set(out_error, LEAT_E_CORRUPT, "the stored count of savepoints is damaged");
}

static leat_code restore_keyed(leat_process *p, uint8_t table, leat_slice key, leat_slice value, leat_error *out_error)
{
    uint64_t sequence = 0;
    uint32_t slot;
    if (table == LEAT_PROCESS_HELD && !leat_held_key(key, &sequence, &key))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "the stored key of a row is damaged");
    if (!p->keys)
        return leat_error_set(out_error, LEAT_E_CONFLICT,
                              "function %s has keyed state in the checkpoint and no key now", p->function->name);
    leat_code code = leat_keys_slot(p->keys, key, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    if (table == LEAT_PROCESS_HELD)
        return leat_held_restore(&p->held, slot, sequence, value, out_error);
    if (table == LEAT_PROCESS_CELLS)
        return leat_cells_restore(&p->cells, slot, value, &p->scratch, out_error);
    return leat_timers_restore(&p->timers[table - LEAT_PROCESS_TIMERS], slot, value, out_error);
}

static leat_code restore_item(leat_process *p, leat_slice key, leat_slice value, leat_error *out_error)
{
    uint8_t state;
    uint64_t sequence;
    uint32_t slot = 0;
    if (!leat_items_key(key, &state, &sequence, &key))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "the stored key of an item is damaged");
    if (state >= p->spec->state_count || !p->states[state].items)
        return leat_error_set(out_error, LEAT_E_CONFLICT, "function %s has no list or map as its state %u any more",
                              p->function->name, state);
    leat_code code = p->states[state].shared ? LEAT_OK : leat_keys_slot(p->keys, key, &slot, out_error);
    return code == LEAT_OK ? leat_items_restore(p->states[state].items, slot, sequence, value, &p->scratch, out_error)
                           : code;
}

static leat_code restore(leat_operator *self, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    leat_process *p = (leat_process *)self;
    (void)group;
    leat_arena_reset(&p->scratch);
    switch (table) {
    case LEAT_PROCESS_CELLS:
    case LEAT_PROCESS_TIMERS:
    case LEAT_PROCESS_TIMERS + 1:
    case LEAT_PROCESS_HELD:
        return restore_keyed(p, table, key, value, out_error);
    case LEAT_PROCESS_SHARED:
        return leat_cells_restore(&p->shared, 0, value, &p->scratch, out_error);
    case LEAT_PROCESS_ITEMS:
        return restore_item(p, key, value, out_error);
    case LEAT_PROCESS_CLOCK:
        return restore_clock(p, value, out_error);
    case LEAT_PROCESS_GENERATION:
        return restore_generation(p, value, out_error);
    default:
        return leat_error_set(out_error, LEAT_E_CORRUPT, "state table %u is not of a process function", table);
    }
}

static leat_code ready(leat_operator *self, bool restored, leat_error *out_error)
{
    leat_process *p = (leat_process *)self;
    (void)out_error;
    p->now_ms = p->base.context->now_ms;
    p->watermark_ms = p->forwarded_ms = p->base.context->watermark_ms;
    if (restored && p->skip_downtime && p->stored_now_ms != LEAT_TIME_NONE && p->now_ms > p->stored_now_ms)
        leat_timers_shift(&p->timers[LEAT_PROCESSING_TIME], p->now_ms - p->stored_now_ms);
    if (restored && p->base.context->watermarks_anew) {
        p->generation++;
        p->generation_stored = false;
    }
    wake(p);
    return LEAT_OK;
}

static void measure(leat_operator *self, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    leat_process *p = (leat_process *)self;
    uint64_t bytes = leat_cells_memory(&p->cells) + leat_cells_memory(&p->shared) + p->held.memory;
    for (uint32_t i = 0; i < p->items_count; i++)
        bytes += leat_items_memory(&p->items[i]);
    for (int domain = 0; domain < 2; domain++)
        bytes += leat_timers_memory(&p->timers[domain]);
    *out_state_bytes = bytes + (p->keys ? leat_keys_memory(p->keys) : 0);
    *out_keys = p->keys ? leat_keys_count(p->keys) : 0;
}

// ---- open, close

static void open_inputs(leat_process *p)
{
    leat_operator_context *context = p->base.context;
    p->inputs = leat_arena_array(context->arena, leat_process_input, p->spec->table_count);
    for (uint32_t i = 0; i < p->spec->table_count; i++) {
        const leat_process_table *table = &p->spec->tables[i];
        const leat_schema *schema = context->inputs[i];
        p->inputs[i] = (leat_process_input){
            .table = table,
            .schema = schema,
            .keyed = !table->row_semantics && !table->broadcast,
            .sorted = table->order_count > 0,
            .batch_time = table->time_column >= 0 && table->time_column == schema->rowtime,
            .columns = leat_arena_array(context->arena, leat_column_view, schema->count + 1),
        };
    }
}

static void open_arguments(leat_process *p)
{
    leat_arena *arena = p->base.context->arena;
    p->scalars = leat_arena_array(arena, leat_cell, p->spec->argument_count + 1);
    for (uint32_t i = 0; i < p->spec->argument_count; i++) {
        const leat_process_argument *argument = &p->spec->arguments[i];
        leat_argument_kind kind = p->function->parameters[i].kind;
        p->expression_count += kind == LEAT_ARGUMENT_EXPRESSION;
        if (kind == LEAT_ARGUMENT_SCALAR && argument->given)
            p->scalars[i] = leat_process_cell(argument->type, &argument->scalar, arena);
    }
    p->expressions = leat_arena_array(arena, leat_column_view, p->expression_count + 1);
}

static leat_code open_keys(leat_process *p, leat_error *out_error)
{
    leat_operator_context *context = p->base.context;
    const leat_process_input *first = NULL;
    for (uint32_t i = 0; i < p->spec->table_count && !first; i++)
        if (p->inputs[i].keyed)
            first = &p->inputs[i];
    if (!first)
        return LEAT_OK;
    leat_type *types = leat_arena_array(context->arena, leat_type, first->table->key_count + 1);
    p->key_count = first->table->key_count;
    p->key_types = types;
    p->key_values = leat_arena_array(context->arena, leat_value, p->key_count + 1);
    for (uint32_t i = 0; i < p->key_count; i++)
        types[i] = first->schema->fields[first->table->key_columns[i]].type;
    return leat_keys_create(context->env, context->budget, types, p->key_count, &p->keys, out_error);
}

static int64_t ttl_of(const leat_process *p, uint32_t state)
{
    return p->spec->states[state].ttl_ms ? p->spec->states[state].ttl_ms : p->spec->state_ttl_ms;
}

// Values first: those per key, then those that are shared, each numbered by itself.
static bool open_states(leat_process *p)
{
    leat_operator_context *context = p->base.context;
    uint32_t count = p->spec->state_count, counts[2] = {0};
    p->states = leat_arena_array(context->arena, leat_process_slot_state, count + 1);
    p->items = leat_arena_array(context->arena, leat_items, count + 1);
    leat_cell_state *cells[2] = {leat_arena_array(context->arena, leat_cell_state, count + 1),
                                 leat_arena_array(context->arena, leat_cell_state, count + 1)};
    for (uint32_t i = 0; i < count; i++) {
        const leat_process_state *declared = &p->spec->states[i];
        leat_process_slot_state *state = &p->states[i];
        state->shared = declared->kind & LEAT_STATE_SHARED;
        bool value = (declared->kind & LEAT_STATE_FORM) == LEAT_STATE_VALUE;
        bool refresh_on_read = declared->kind & LEAT_STATE_REFRESH_READ;
        state->map = (declared->kind & LEAT_STATE_FORM) == LEAT_STATE_MAP;
        state->null.type = (uint8_t)declared->type;
        state->plain = value && !state->shared;
        if (!value) {
            state->items = &p->items[p->items_count];
            if (!leat_items_init(state->items, context->budget, context->env, state->shared ? NULL : p->keys,
                                 state->map, state->null.type, ttl_of(p, i), (uint8_t)i))
                return false;
            state->items->refresh_on_read = refresh_on_read;
            p->items_count++;
            continue;
        }
        state->cells = state->shared ? &p->shared : &p->cells;
        state->index = counts[state->shared];
        cells[state->shared][counts[state->shared]++] =
            (leat_cell_state){state->null.type, ttl_of(p, i), refresh_on_read};
    }
    if (!leat_cells_init(&p->cells, context->budget, p->keys, cells[0], counts[0]) ||
        !leat_cells_init(&p->shared, context->budget, NULL, cells[1], counts[1]))
        return false;
    for (uint32_t i = 0; i < count; i++)
        p->states[i].plain &= !p->cells.expires;
    return true;
}

static bool open_memory(leat_process *p)
{
    leat_operator_context *context = p->base.context;
    return open_states(p) && leat_timers_init(&p->timers[0], context->budget, p->keys) &&
           leat_timers_init(&p->timers[1], context->budget, p->keys) &&
           leat_held_init(&p->held, context->budget, context->env, p->keys);
}

static void close_all(leat_process *p)
{
    for (uint32_t i = 0; p->emitters && i < p->base.context->output_count; i++)
        leat_emitter_fini(&p->emitters[i].emitter);
    leat_cells_fini(&p->cells);
    leat_cells_fini(&p->shared);
    for (uint32_t i = 0; p->items && i < p->spec->state_count; i++)
        leat_items_fini(&p->items[i]);
    leat_timers_fini(&p->timers[0]);
    leat_timers_fini(&p->timers[1]);
    leat_held_fini(&p->held);
    leat_slot_set_fini(&p->empty, p->base.context->budget);
    leat_slot_set_fini(&p->waiting, p->base.context->budget);
    leat_keys_destroy(p->keys);
    leat_eval_fini(&p->eval);
    leat_arena_fini(&p->scratch);
    leat_arena_fini(&p->row_scratch);
    leat_writer_fini(&p->writer);
}

static leat_code check(const leat_process *p, leat_error *out_error)
{
    const leat_process_function *function = p->function;
    if (function->api != LEAT_API || !function->process)
        return leat_error_set(out_error, LEAT_E_UNSUPPORTED,
                              "function %s was made for version %u of leat.h, the agent has %u", function->name,
                              function->api, LEAT_API);
    if (p->spec->argument_count != function->parameter_count || p->spec->table_count != p->base.context->input_count)
        return leat_error_set(out_error, LEAT_E_INVALID,
                              "function %s takes %u arguments, the plan has %u; %u tables for %u inputs",
                              function->name, function->parameter_count, p->spec->argument_count, p->spec->table_count,
                              p->base.context->input_count);
    for (uint32_t i = 0; i < p->spec->table_count; i++)
        if (p->spec->tables[i].order_count && (p->spec->tables[i].time_column < 0 || !p->inputs[i].keyed))
            return leat_error_set(out_error, LEAT_E_INVALID, "function %s: ORDER BY needs on_time and a keyed table",
                                  function->name);
    return LEAT_OK;
}

static void open_rest(leat_process *p)
{
    leat_operator_context *context = p->base.context;
    leat_arena_init(&p->scratch, context->env, 0);
    leat_arena_init(&p->row_scratch, context->env, 0);
    leat_eval_init(&p->eval, context->env);
    leat_writer_init(&p->writer, context->env, SIZE_MAX / 2);
    p->emitters = leat_arena_array(context->arena, leat_process_emitter, context->output_count + 1);
    for (uint32_t i = 0; i < context->output_count; i++) {
        leat_emitter_init(&p->emitters[i].emitter, context, i);
        p->emitters[i].columns = context->outputs[i]->count;
    }
    p->call.slot = LEAT_SLOT_NONE;
    p->now_ms = context->now_ms;
    p->watermark_ms = p->forwarded_ms = context->watermark_ms;
    p->asked_ms = INT64_MAX;
    p->stored_now_ms = LEAT_TIME_NONE;
    p->skip_downtime = p->spec->wall_timers_skip_downtime;
    if (p->function->size > offsetof(leat_process_function, flags) &&
        (p->function->flags & LEAT_FUNCTION_SKIP_DOWNTIME))
        p->skip_downtime = true;
    p->function_context.api = &leat_process_context_api;
    p->function_context.self = leat_arena_calloc(context->arena, p->function->instance_size + 1);
}

static leat_code open_process(leat_operator *self, leat_error *out_error)
{
    leat_process *p = (leat_process *)self;
    p->spec = p->base.context->spec;
    p->function = p->spec->function;
    open_inputs(p);
    leat_code code = check(p, out_error);
    if (code != LEAT_OK)
        return code;
    open_arguments(p);
    open_rest(p);
    code = open_keys(p, out_error);
    if (code == LEAT_OK && !open_memory(p))
        code = leat_error_set(out_error, LEAT_E_LIMIT,
                              "function %s: the memory budget of %zu bytes does not hold its tables", p->function->name,
                              p->base.context->budget->limit);
    if (code == LEAT_OK && p->function->open && p->function->open(&p->function_context))
        code = leat_process_fault(p, out_error);
    if (code != LEAT_OK)
        close_all(p);
    return code;
}

static void close_process(leat_operator *self)
{
    leat_process *p = (leat_process *)self;
    p->call = (leat_process_call){.slot = LEAT_SLOT_NONE};
    if (p->function->close)
        p->function->close(&p->function_context);
    close_all(p);
}

extern const leat_operator_ops leat_operator_process_ops;
const leat_operator_ops leat_operator_process_ops = {
    .name = "process",
    .instance_size = sizeof(leat_process),
    .open = open_process,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_time = on_time,
    .snapshot = snapshot,
    .restore = restore,
    .ready = ready,
    .close = close_process,
    .measure = measure,
};
