// match: row patterns, as Flink's MATCH_RECOGNIZE and CEP.
//
// Event time: a row waits until the watermark has passed it. Then, key by key, what has passed is gone through in order of time, of the
// ORDER BY columns behind it, of arrival; before each time, and at the watermark, partial matches that have lasted too long end.
// Keys come in the order of what made them due: their first row, or a partial match whose time is over. Processing time: rows are handled as they come.
//
// The time of a match is that of the row, or watermark, that made it known; with a rule for what follows a match this can be later
// than its last row. So no match is late for what reads it.
//
// Conditions that only read the row are evaluated when it arrives, for the whole batch; of its columns those are kept that matches need.
// Most rows begin no match: a key without partial matches has no state, and a row that comes to nothing when it is due costs no more than having
// waited. Keys of which nothing is left are given back when there are many.
//
// Stored: table 0: rows that wait (state/held.h, match_rows.h; a row is u64 which simple conditions it fits, then the kept columns).
// Table 1: key = key bytes, value = match_store.h; a key without partial matches is removed.
#include "operators/match.h"

#include "operators/match_store.h"

enum { TABLE_ROWS, TABLE_KEYS };

// ---- event time

static leat_code advance(leat_match *m, int64_t watermark_ms, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    int64_t before_ms = m->watermark_ms;
    if (watermark_ms <= before_ms)
        return LEAT_OK;
    m->watermark_ms = watermark_ms;
    if (m->begin_mask && !m->held.count)
        leat_match_rows_pass(&m->rows, watermark_ms, m->begin_mask, m->marks);
    if (m->spec->time_column >= 0 && (m->rows.front_ms <= watermark_ms || leat_held_due(&m->held, watermark_ms) ||
                                      leat_alarms_least(&m->alarms) <= watermark_ms))
        code = leat_match_run_due(m, watermark_ms, before_ms, out_error);
    return code;
}

static leat_slice encode(leat_match *m, const leat_batch *batch, uint32_t row)
{
    leat_writer_reset(&m->writer);
    leat_write_u64(&m->writer, m->masks[row]);
    for (uint32_t i = 0; i < m->kept.count; i++) {
        leat_value value = leat_column_value(&batch->columns[m->spec->kept[i]], row);
        leat_value_encode(m->types[i], &value, &m->writer);
    }
    return leat_writer_slice(&m->writer);
}

static void emit_late(leat_match *m, const leat_batch *batch, uint32_t row)
{
    leat_emitter *emitter = &m->emitters[m->late_output];
    leat_emitter_watermark(emitter, m->watermark_ms);
    uint32_t out =
        leat_emitter_row(emitter, m->times[row], leat_batch_kind(batch, row), batch->cause ? batch->cause[row] : 0);
    for (uint32_t i = 0; i < batch->schema->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        leat_emitter_set(emitter, out, i, &value);
    }
}

static void drop_late(leat_match *m, const leat_batch *batch, uint32_t row)
{
    const bool *used = m->base.context->output_used;
    if (m->late_output >= 0 && (!used || used[m->late_output]))
        emit_late(m, batch, row);
    else
        leat_drops_add(m->base.context->drops, LEAT_DROP_LATE, 1);
}

static bool hold(leat_match *m, const leat_batch *batch, uint32_t row, uint32_t slot)
{
    if (!m->times || (m->time_nulls && m->time_nulls[row]) || m->times[row] == LEAT_TIME_NONE) {
        leat_drops_add(m->base.context->drops, LEAT_DROP_NULL_TIME, 1);
        return true;
    }
    if (m->times[row] <= m->watermark_ms) {
        drop_late(m, batch, row);
        return true;
    }
    if (m->rows_fit && leat_match_rows_in_order(&m->rows, m->times[row])) {
        leat_match_rows_push(&m->rows, row, slot, m->held.next_sequence++);
        return true;
    }
    leat_slice encoded = encode(m, batch, row);
    return !m->writer.failed &&
           leat_held_add(&m->held, 0, slot, m->times[row], LEAT_INSERT, batch->cause ? batch->cause[row] : 0, encoded);
}

// ---- processing time

static void wake(leat_match *m)
{
    int64_t least = leat_alarms_least(&m->alarms);
    if (m->spec->time_column >= 0)
        return;
    if (leat_match_sorts(m) && m->held.count && m->held.heap[0]->time_ms + 1 < least)
        least = m->held.heap[0]->time_ms + 1;
    if (least >= m->asked_ms)
        return;
    m->asked_ms = least;
    m->base.context->wake_at(m->base.context, least);
}

static leat_code catch_up(leat_match *m, leat_error *out_error)
{
    int64_t now = m->base.context->now_ms;
    if (m->spec->time_column >= 0)
        return LEAT_OK;
    if ((!leat_match_sorts(m) || !leat_held_due(&m->held, now - 1)) && leat_alarms_least(&m->alarms) > now)
        return LEAT_OK;
    return leat_match_run_due(m, now, m->watermark_ms, out_error);
}

static bool handle_now(leat_match *m, const leat_batch *batch, uint32_t row, uint32_t slot)
{
    int64_t now = m->base.context->now_ms;
    uint64_t cause = batch->cause ? batch->cause[row] : 0;
    if (leat_match_sorts(m)) {
        leat_slice encoded = encode(m, batch, row);
        return !m->writer.failed && leat_held_add(&m->held, 0, slot, now, LEAT_INSERT, cause, encoded);
    }
    match_row at_hand = {
        .time_ms = now, .cause = cause, .mask = m->masks[row], .slot = slot, .at = row, .columns = m->rows.columns};
    m->slot = slot;
    leat_match_key *key = leat_match_key_find(m, slot);
    return leat_match_advance_key(m, key, now) && leat_match_handle_row(m, &key, &at_hand) &&
           leat_match_end_key(m, key, slot, LEAT_TIME_NONE);
}

// ---- elements

static void begin_times(leat_match *m, const leat_batch *batch)
{
    int32_t column = m->spec->time_column;
    m->times = NULL;
    m->time_nulls = NULL;
    if (column < 0)
        return;
    bool own = column == batch->schema->rowtime && batch->event_ms;
    m->times = own ? batch->event_ms : batch->columns[column].i64;
    m->time_nulls = own ? NULL : batch->columns[column].nulls;
}

static bool add_row(leat_match *m, const leat_batch *batch, uint32_t row, uint32_t slot)
{
    if (slot == LEAT_SLOT_NONE) {
        leat_drops_add(m->base.context->drops, LEAT_DROP_TOO_LARGE, 1);
        return true;
    }
    return m->spec->time_column < 0 ? handle_now(m, batch, row, slot) : hold(m, batch, row, slot);
}

static leat_code resolve(leat_match *m, const leat_batch *batch, leat_error *out_error)
{
    leat_code code = leat_keys_resolve(m->keys, batch, m->spec->key_columns, m->slots, out_error);
    if (code == LEAT_E_LIMIT) {
        leat_match_release_idle(m);
        code = leat_keys_resolve(m->keys, batch, m->spec->key_columns, m->slots, out_error);
    }
    return code != LEAT_OK || leat_match_reserve_marks(m) ? code : leat_match_no_budget(m, out_error);
}

// Of rows one behind the other, each with its watermark; one loop without branches.
static bool rise(const leat_match *m, const leat_batch *batch)
{
    const int64_t *times = m->times, *watermarks = batch->watermark;
    const uint32_t *slots = m->slots;
    int64_t last_ms = LEAT_TIME_NONE;
    bool wrong = false;
    for (uint32_t i = 0; i < batch->count; i++) {
        int64_t time_ms = times[i];
        wrong |= (time_ms <= watermarks[i]) | (time_ms < last_ms) | (slots[i] == LEAT_SLOT_NONE);
        last_ms = time_ms;
    }
    return !wrong;
}

static bool rise_selected(const leat_match *m, const leat_batch *batch)
{
    int64_t last_ms = LEAT_TIME_NONE;
    bool rises = true;
    for (uint32_t i = 0; i < batch->selected && rises; i++) {
        uint32_t row = leat_batch_row(batch, i);
        rises = m->times[row] >= last_ms && !(batch->watermark && m->times[row] <= batch->watermark[row]) &&
                !(m->time_nulls && m->time_nulls[row]) && m->slots[i] != LEAT_SLOT_NONE;
        last_ms = m->times[row];
    }
    return rises;
}

// Whether no row of the batch is late, or comes behind one that it should be before: most batches are such.
static bool comes_in_order(const leat_match *m, const leat_batch *batch)
{
    if (!m->rows_fit || !m->times || m->held.count)
        return false;
    int64_t first_ms = m->times[leat_batch_row(batch, 0)];
    bool plain = !batch->selection && batch->watermark && !m->time_nulls;
    return first_ms >= m->rows.back_ms && first_ms > m->watermark_ms &&
           (plain ? rise(m, batch) : rise_selected(m, batch));
}

// The first row from `i` on whose watermark is not below due_ms, or how many there are; *inout_ms: the watermark before it.
static uint32_t find_step(const leat_batch *batch, uint32_t i, int64_t due_ms, int64_t *inout_ms)
{
    const int64_t *watermarks = batch->watermark;
    const uint16_t *selection = batch->selection;
    uint32_t first = i, count = batch->selected;
    if (selection)
        while (i < count && watermarks[selection[i]] < due_ms)
            i++;
    else
        while (i < count && watermarks[i] < due_ms)
            i++;
    if (i > first && watermarks[leat_batch_row(batch, i - 1)] > *inout_ms)
        *inout_ms = watermarks[leat_batch_row(batch, i - 1)];
    return i;
}

// The watermark rises from row to row, but only where something is due by it there is something to do. A row that begins nothing may be passed over before its
// time, as no other will come before it: the batch is in order.
static leat_code advance_over(leat_match *m, const leat_batch *batch, leat_error *out_error)
{
    int64_t last_ms = batch->watermark[leat_batch_row(batch, batch->selected - 1)];
    for (uint32_t i = 0;; i++) {
        if (m->begin_mask)
            leat_match_rows_pass(&m->rows, last_ms, m->begin_mask, m->marks);
        int64_t alarm_ms = leat_alarms_least(&m->alarms);
        i = find_step(batch, i, m->rows.front_ms < alarm_ms ? m->rows.front_ms : alarm_ms, &m->watermark_ms);
        if (i == batch->selected)
            return LEAT_OK;
        int64_t before_ms = m->watermark_ms, watermark_ms = batch->watermark[leat_batch_row(batch, i)];
        if (watermark_ms <= before_ms)
            continue;
        m->watermark_ms = watermark_ms;
        leat_code code = leat_match_run_due(m, watermark_ms, before_ms, out_error);
        if (code != LEAT_OK)
            return code;
    }
}

static leat_code add_row_by_row(leat_match *m, const leat_batch *batch, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark)
            code = advance(m, batch->watermark[row], out_error);
        if (code == LEAT_OK && !add_row(m, batch, row, m->slots[i]))
            code = leat_match_no_budget(m, out_error);
    }
    return code;
}

static leat_code add_rows(leat_match *m, const leat_batch *batch, leat_error *out_error)
{
    leat_code code = resolve(m, batch, out_error);
    if (code != LEAT_OK)
        return code;
    begin_times(m, batch);
    leat_match_masks(m, batch);
    leat_match_rows_begin(&m->rows, batch, m->spec->kept, m->times, m->masks);
    if (!comes_in_order(m, batch))
        return add_row_by_row(m, batch, out_error);
    leat_match_rows_push_all(&m->rows, batch, m->slots, m->held.next_sequence);
    m->held.next_sequence += batch->selected;
    return batch->watermark ? advance_over(m, batch, out_error) : LEAT_OK;
}

static leat_code end(leat_match *m, leat_error *out_error)
{
    leat_match_forward(m, m->watermark_ms);
    for (uint32_t i = 0; i < m->base.context->output_count; i++)
        leat_emitter_flush(&m->emitters[i]);
    wake(m);
    if (!leat_match_rows_end(&m->rows))
        return leat_match_no_budget(m, out_error);
    leat_match_release_many(m);
    return LEAT_OK;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    leat_match *m = (leat_match *)base;
    leat_code code = catch_up(m, out_error);
    if (code == LEAT_OK && batch->selected)
        code = add_rows(m, batch, out_error);
    if (code == LEAT_OK)
        code = advance(m, batch->watermark_after, out_error);
    return code == LEAT_OK ? end(m, out_error) : code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark_ms, leat_error *out_error)
{
    leat_match *m = (leat_match *)base;
    leat_code code = catch_up(m, out_error);
    if (code == LEAT_OK)
        code = advance(m, watermark_ms, out_error);
    return code == LEAT_OK ? end(m, out_error) : code;
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    leat_match *m = (leat_match *)base;
    m->asked_ms = INT64_MAX;
    leat_code code = catch_up(m, out_error);
    return code == LEAT_OK ? end(m, out_error) : code;
}

// ---- state

static void store_slot(leat_match *m, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    uint32_t group = leat_keys_group(m->keys, slot);
    bool whole = snapshot->whole[group];
    leat_slice key = leat_keys_bytes(m->keys, slot);
    if (entry->state == LEAT_PANE_LIVE) {
        leat_match_key *state = leat_pane_payload(entry);
        if (!whole && entry->epoch != m->panes.epoch)
            return;
        leat_writer_reset(&m->writer);
        leat_arena_reset(&m->scratch);
        leat_pattern_store(&m->nfa, &state->pattern, &m->scratch, &m->writer);
        LEAT_ASSERT(!m->writer.failed);
        snapshot->put(snapshot, TABLE_KEYS, group, key, leat_writer_slice(&m->writer));
        entry->stored |= !snapshot->keep_marks;
        return;
    }
    if (!whole)
        snapshot->remove(snapshot, TABLE_KEYS, group, key);
    if (snapshot->keep_marks)
        return;
    leat_pane_erase(&m->panes, m->pane, slot);
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    leat_match *m = (leat_match *)base;
    leat_held_snapshot(&m->held, snapshot, TABLE_ROWS);
    leat_match_rows_snapshot(&m->rows, snapshot, TABLE_ROWS, m->held.next_sequence);
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : m->panes.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&m->panes, m->pane, since, &slot)); slot++)
        store_slot(m, snapshot, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&m->panes);
}

static leat_code restore_key(leat_match *m, uint32_t slot, leat_slice value, leat_error *out_error)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&m->panes, m->pane, slot, &is_new);
    if (!entry)
        return leat_match_no_budget(m, out_error);
    leat_match_key *key = leat_pane_payload(entry);
    m->marks[slot] |= MATCH_MARK_LIVE;
    if (!is_new)
        leat_pattern_clear(&m->nfa, &key->pattern);
    *key = (leat_match_key){0};
    entry->stored = true;
    leat_arena_reset(&m->scratch);
    return leat_pattern_restore(&m->nfa, &key->pattern, value, &m->scratch, out_error);
}

// A row is decoded without a further look when it is its turn.
static leat_code restore_row(leat_match *m, uint32_t slot, uint64_t sequence, leat_slice value, leat_error *out_error)
{
    leat_slice bytes;
    leat_reader reader;
    leat_value column;
    bool whole = leat_held_stored_bytes(value, &bytes);
    leat_reader_init(&reader, bytes.data, bytes.size);
    leat_arena_reset(&m->scratch);
    (void)leat_read_u64(&reader); // the mask
    for (uint32_t i = 0; i < m->kept.count && whole; i++)
        whole = leat_value_decode(m->types[i], &reader, &m->scratch, &column);
    if (!whole || reader.failed || leat_reader_left(&reader))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of a pattern, %zu bytes, is damaged",
                              value.size);
    return leat_held_restore(&m->held, slot, sequence, value, out_error);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    leat_match *m = (leat_match *)base;
    uint64_t sequence = 0;
    uint32_t slot;
    if (table > TABLE_KEYS || (table == TABLE_ROWS && !leat_held_key(key, &sequence, &key)))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "state table %u is not of a pattern, or its key is damaged",
                              table);
    leat_code code = leat_keys_slot(m->keys, key, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    if (!leat_match_reserve_marks(m))
        return leat_match_no_budget(m, out_error);
    return table == TABLE_ROWS ? restore_row(m, slot, sequence, value, out_error)
                               : restore_key(m, slot, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)restored;
    leat_match *m = (leat_match *)base;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&m->panes, m->pane, 0, &slot)); slot++)
        if (entry->state == LEAT_PANE_LIVE && !leat_match_set_alarm(m, leat_pane_payload(entry), slot))
            return leat_match_no_budget(m, out_error);
    leat_panes_next_epoch(&m->panes); // what was restored has not changed
    m->watermark_ms = base->context->watermark_ms;
    for (uint32_t i = 0; i < base->context->output_count; i++)
        m->emitters[i].watermark = m->emitters[i].watermark_sent = m->watermark_ms;
    wake(m);
    return LEAT_OK;
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    leat_match *m = (leat_match *)base;
    *out_state_bytes = atomic_load_explicit(&base->context->budget->used, memory_order_relaxed);
    *out_keys = leat_keys_count(m->keys);
}

// ---- life

static void open_outputs(leat_match *m)
{
    leat_operator_context *context = m->base.context;
    int next = 1;
    m->timeout_output = m->spec->timeout_output ? next++ : -1;
    m->late_output = m->spec->late_output ? next++ : -1;
    LEAT_ASSERT(context->output_count >= (unsigned)next && context->output_count <= LEAT_MATCH_OUTPUTS);
    for (uint32_t i = 0; i < context->output_count; i++)
        leat_emitter_init(&m->emitters[i], context, i);
}

static leat_code open_state(leat_match *m, leat_error *out_error)
{
    leat_operator_context *context = m->base.context;
    leat_type *types = leat_arena_array(context->arena, leat_type, m->spec->key_count + 1);
    for (uint32_t i = 0; i < m->spec->key_count; i++)
        types[i] = context->inputs[0]->fields[m->spec->key_columns[i]].type;
    leat_code code = leat_keys_create(context->env, context->budget, types, m->spec->key_count, &m->keys, out_error);
    if (code != LEAT_OK)
        return code;
    m->rows_fit = leat_match_rows_fit(&m->kept);
    leat_match_rows_init(&m->rows, context->budget, context->env, context->arena, m->keys, &m->kept);
    leat_panes_init(&m->panes, context->budget, sizeof(leat_match_key));
    leat_alarms_init(&m->alarms, context->budget);
    m->pane = leat_panes_open(&m->panes, 0);
    if (!m->pane || !leat_held_init(&m->held, context->budget, context->env, m->keys))
        return leat_match_no_budget(m, out_error);
    return LEAT_OK;
}

static void close_operator(leat_operator *base)
{
    leat_match *m = (leat_match *)base;
    leat_operator_context *context = base->context;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; m->pane && (entry = leat_pane_next(&m->panes, m->pane, 0, &slot)); slot++)
        if (entry->state == LEAT_PANE_LIVE)
            leat_pattern_clear(&m->nfa, &((leat_match_key *)leat_pane_payload(entry))->pattern);
    for (uint32_t i = 0; i < context->output_count && i < LEAT_MATCH_OUTPUTS; i++)
        leat_emitter_fini(&m->emitters[i]);
    leat_match_free_marks(m);
    leat_budget_free(context->budget, m->due.items, m->due.room * sizeof *m->due.items);
    leat_match_rows_fini(&m->rows);
    leat_held_fini(&m->held);
    if (m->panes.budget)
        leat_panes_fini(&m->panes);
    if (m->alarms.budget)
        leat_alarms_fini(&m->alarms);
    leat_pattern_fini(&m->nfa);
    leat_match_close_values(m);
    leat_arena_fini(&m->scratch);
    leat_writer_fini(&m->writer);
    leat_keys_destroy(m->keys);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    leat_match *m = (leat_match *)base;
    leat_operator_context *context = base->context;
    m->spec = context->spec;
    m->watermark_ms = LEAT_TIME_NONE;
    m->asked_ms = INT64_MAX;
    open_outputs(m);
    leat_arena_init(&m->scratch, context->env, 0);
    leat_writer_init(&m->writer, context->env, SIZE_MAX / 2);
    m->slots = leat_arena_array(context->arena, uint32_t, LEAT_BATCH_ROWS);
    leat_code code = leat_match_open_values(m, out_error);
    if (code == LEAT_OK)
        code = leat_pattern_init(&m->nfa, m->spec, m->types, context->arena, context->budget, out_error);
    if (code == LEAT_OK && !m->spec->order_count)
        m->begin_mask = leat_pattern_begin_mask(&m->nfa);
    if (code == LEAT_OK)
        code = open_state(m, out_error);
    m->nfa.test = leat_match_test;
    m->nfa.found = leat_match_found;
    m->nfa.skipped = leat_match_skipped;
    m->nfa.row = leat_match_row_bytes;
    m->nfa.values = leat_match_row_values;
    m->nfa.context = m;
    if (code != LEAT_OK)
        close_operator(base);
    return code;
}

const leat_operator_ops leat_operator_match_ops = {
    .name = "match",
    .instance_size = sizeof(leat_match),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .on_time = on_time,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
