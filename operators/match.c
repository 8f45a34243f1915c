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
// Most rows begin no match: a key without partial matches has no state.
//
// Stored: table 0: rows that wait (state/held.h; a row is u64 which simple conditions it fits, then the kept columns).
// Table 1: key = key bytes, value = match_store.h; a key without partial matches is removed.
#include "operators/match.h"

#include <stdlib.h>
#include <string.h>

#include "operators/match_store.h"

enum { TABLE_ROWS, TABLE_KEYS, IDLE_MIN = 64 };

// A row or an alarm that is due.
typedef struct leat_match_due {
    uint32_t slot;
    int64_t time_ms;
    uint64_t tie;       // rows: arrival; alarms: hash of the key, so that a restart changes nothing
    leat_held_row *row; // NULL: an alarm
    const leat_value *order;
    const leat_match *m;
} leat_match_due;

typedef struct due_key { // of one slot: due[first..end)
    uint32_t first, end;
    int64_t time_ms;
    uint64_t tie;
    bool by_alarm;
} due_key;

static leat_code no_budget(const leat_match *m, leat_error *out_error)
{
    return leat_error_set(
        out_error, LEAT_E_LIMIT,
        "the memory budget of %zu bytes is used up by the partial matches and waiting rows of %u keys; "
        "WITHIN bounds how long they last",
        m->base.context->budget->limit, m->keys ? leat_keys_count(m->keys) : 0);
}

// ---- slots

static leat_match_key *key_find(const leat_match *m, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&m->panes, m->pane, slot);
    return entry ? leat_pane_payload(entry) : NULL;
}

static leat_match_key *key_make(leat_match *m, uint32_t slot)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&m->panes, m->pane, slot, &is_new);
    leat_match_key *key = entry ? leat_pane_payload(entry) : NULL;
    if (!key || !is_new)
        return key;
    *key = (leat_match_key){.alarm_ms = INT64_MAX};
    return leat_pattern_begin_key(&m->nfa, &key->pattern) ? key : NULL;
}

static bool may_be_idle(leat_match *m, uint32_t slot)
{
    if (m->idle_count == m->idle_room) {
        uint32_t room = m->idle_room ? m->idle_room * 2 : IDLE_MIN;
        uint32_t *idle =
            leat_budget_grow(m->base.context->budget, m->idle, m->idle_room * sizeof *idle, room * sizeof *idle);
        if (!idle)
            return false;
        m->idle = idle;
        m->idle_room = room;
    }
    m->idle[m->idle_count++] = slot;
    return true;
}

static void release_idle(leat_match *m)
{
    for (uint32_t i = 0; i < m->idle_count; i++) {
        uint32_t slot = m->idle[i];
        leat_pane_entry *entry = leat_pane_place(&m->panes, m->pane, slot);
        bool stateless = !entry || entry->state == LEAT_PANE_EMPTY;
        if (stateless && leat_keys_live(m->keys, slot) && !leat_held_any(&m->held, slot))
            leat_keys_release(m->keys, slot);
    }
    m->idle_count = 0;
}

// ---- one key

static bool handle_row(leat_match *m, leat_match_key **inout_key, leat_slice row, int64_t time_ms, uint64_t cause)
{
    leat_reader reader;
    leat_arena_reset(&m->row_scratch);
    leat_reader_init(&reader, row.data, row.size);
    m->mask = leat_read_u64(&reader);
    m->row = leat_read_bytes(&reader, leat_reader_left(&reader));
    m->row_decoded = false;
    if (!*inout_key) {
        bool begins;
        if (!leat_pattern_begins(&m->nfa, &begins))
            return false;
        if (!begins)
            return true;
        *inout_key = key_make(m, m->slot);
    }
    if (!*inout_key || !leat_pattern_row(&m->nfa, &(*inout_key)->pattern, m->row, time_ms, cause))
        return false;
    leat_pattern_set_timer(&m->nfa, &(*inout_key)->pattern, time_ms);
    return true;
}

static bool set_alarm(leat_match *m, leat_match_key *key, uint32_t slot)
{
    int64_t timer = key->pattern.timer_ms;
    if (timer == INT64_MAX || timer >= key->alarm_ms)
        return true;
    if (!leat_alarms_reserve(&m->alarms))
        return false;
    leat_alarms_push(&m->alarms, timer, slot);
    key->alarm_ms = timer;
    return true;
}

static bool end_key(leat_match *m, leat_match_key *key, uint32_t slot, int64_t now_ms)
{
    m->nfa.new_start = false;
    if (!key)
        return may_be_idle(m, slot);
    leat_pane_entry *entry = leat_pane_of_payload(key);
    if (leat_pattern_is_idle(&key->pattern)) {
        leat_pattern_clear(&m->nfa, &key->pattern);
        return !leat_pane_remove(&m->panes, m->pane, slot, entry) || may_be_idle(m, slot);
    }
    if (key->pattern.timer_ms <= now_ms)
        leat_pattern_next_timer(&m->nfa, &key->pattern);
    leat_pane_mark(&m->panes, m->pane, slot, entry);
    return set_alarm(m, key, slot);
}

static bool advance_key(leat_match *m, leat_match_key *key, int64_t time_ms)
{
    return !key || leat_pattern_advance(&m->nfa, &key->pattern, time_ms);
}

// Rows in order, then the time up to which they were due.
static bool run_key(leat_match *m, const leat_match_due *due, uint32_t count, int64_t until_ms)
{
    m->slot = due[0].slot;
    leat_match_key *key = key_find(m, m->slot);
    bool done = true;
    for (uint32_t i = 0; i < count && done; i++) {
        const leat_held_row *row = due[i].row;
        if (!row && key)
            key->alarm_ms = INT64_MAX;
        if (!row)
            continue;
        done = advance_key(m, key, row->time_ms) &&
               handle_row(m, &key, leat_slice_of(row->bytes, row->size), row->time_ms, row->cause);
    }
    return done && advance_key(m, key, until_ms) && end_key(m, key, m->slot, until_ms);
}

// ---- what is due

static int compare_numbers(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int compare_order(const leat_match_due *a, const leat_match_due *b)
{
    const leat_match *m = a->m;
    for (uint32_t i = 0; i < m->spec->order_count; i++) {
        int order = leat_value_compare(m->types[m->spec->order[i]], &a->order[i], &b->order[i]);
        if (order)
            return m->spec->order_descending[i] ? -order : order;
    }
    return 0;
}

// By key, rows before alarms.
static int compare_due(const void *left, const void *right)
{
    const leat_match_due *a = left, *b = right;
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    if (!a->row != !b->row)
        return a->row ? -1 : 1;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    int order = a->row ? compare_order(a, b) : 0;
    return order ? order : compare_numbers(a->tie, b->tie);
}

static int compare_keys(const void *left, const void *right)
{
    const due_key *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    if (a->by_alarm != b->by_alarm)
        return a->by_alarm ? 1 : -1;
    return compare_numbers(a->tie, b->tie);
}

static const leat_value *order_values(leat_match *m, const leat_held_row *row)
{
    leat_reader reader;
    leat_value *values = leat_arena_array(&m->scratch, leat_value, m->kept.count + m->spec->order_count + 1);
    leat_reader_init(&reader, row->bytes, row->size);
    (void)leat_read_u64(&reader);
    for (uint32_t i = 0; i < m->kept.count; i++)
        LEAT_ASSERT(leat_value_decode(m->types[i], &reader, &m->scratch, &values[i]));
    for (uint32_t i = 0; i < m->spec->order_count; i++)
        values[m->kept.count + i] = values[m->spec->order[i]];
    return values + m->kept.count;
}

static int64_t really_due(void *context, const leat_alarm *alarm)
{
    const leat_match_key *key = key_find(context, alarm->slot);
    return key && key->pattern.timer_ms != INT64_MAX ? key->pattern.timer_ms : LEAT_TIME_NONE;
}

typedef struct due_list {
    leat_match_due *items;
    uint32_t count, room;
} due_list;

static leat_match_due *due_add(leat_match *m, due_list *list)
{
    if (list->count == list->room) {
        uint32_t room = list->room ? list->room * 2 : 16;
        leat_match_due *items = leat_arena_array(&m->scratch, leat_match_due, room);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->room = room;
    }
    return &list->items[list->count++];
}

static void take_due(leat_match *m, int64_t until_ms, due_list *list)
{
    leat_alarm alarm;
    for (leat_held_row *row; (row = leat_held_take(&m->held, until_ms));)
        *due_add(m, list) = (leat_match_due){.slot = row->slot,
                                             .time_ms = row->time_ms,
                                             .tie = row->sequence,
                                             .row = row,
                                             .order = m->spec->order_count ? order_values(m, row) : NULL,
                                             .m = m};
    while (leat_alarms_take(&m->alarms, until_ms, really_due, m, &alarm))
        *due_add(m, list) = (leat_match_due){
            .slot = alarm.slot, .time_ms = alarm.due_ms, .tie = leat_keys_hash(m->keys, alarm.slot), .m = m};
}

static due_key key_of(const leat_match_due *due, uint32_t first, uint32_t end)
{
    due_key key = {first, end, due[first].time_ms, due[first].tie, !due[first].row};
    for (uint32_t i = first + 1; i < end; i++)
        if (due[i].time_ms < key.time_ms) {
            key.time_ms = due[i].time_ms;
            key.tie = due[i].tie;
            key.by_alarm = !due[i].row;
        }
    return key;
}

static bool run_list(leat_match *m, due_list *list, int64_t until_ms)
{
    due_key *keys = leat_arena_array(&m->scratch, due_key, list->count + 1);
    uint32_t count = 0;
    bool done = true;
    qsort(list->items, list->count, sizeof *list->items, compare_due);
    for (uint32_t first = 0, end; first < list->count; first = end) {
        for (end = first + 1; end < list->count && list->items[end].slot == list->items[first].slot;)
            end++;
        keys[count++] = key_of(list->items, first, end);
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (uint32_t i = 0; i < count && done; i++)
        done = run_key(m, list->items + keys[i].first, keys[i].end - keys[i].first, until_ms);
    return done;
}

static leat_code run_due(leat_match *m, int64_t until_ms, leat_error *out_error)
{
    due_list list = {0};
    leat_arena_reset(&m->scratch);
    take_due(m, until_ms, &list);
    bool done = list.count == 1 ? run_key(m, list.items, 1, until_ms) : !list.count || run_list(m, &list, until_ms);
    for (uint32_t i = 0; i < list.count; i++)
        if (list.items[i].row)
            leat_held_free(&m->held, list.items[i].row);
    return done ? LEAT_OK : no_budget(m, out_error);
}

// ---- event time

static void forward(leat_match *m, int64_t watermark_ms)
{
    for (uint32_t i = 0; i < m->base.context->output_count; i++)
        leat_emitter_watermark(&m->emitters[i], watermark_ms);
}

static leat_code advance(leat_match *m, int64_t watermark_ms, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    if (watermark_ms <= m->watermark_ms)
        return LEAT_OK;
    forward(m, m->watermark_ms);
    m->watermark_ms = watermark_ms;
    if (m->spec->time_column >= 0 &&
        (leat_held_due(&m->held, watermark_ms) || leat_alarms_least(&m->alarms) <= watermark_ms))
        code = run_due(m, watermark_ms, out_error);
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

static bool late(leat_match *m, const leat_batch *batch, uint32_t row, uint32_t slot)
{
    const bool *used = m->base.context->output_used;
    if (m->late_output >= 0 && (!used || used[m->late_output]))
        emit_late(m, batch, row);
    else
        leat_drops_add(m->base.context->drops, LEAT_DROP_LATE, 1);
    return may_be_idle(m, slot);
}

static bool hold(leat_match *m, const leat_batch *batch, uint32_t row, uint32_t slot)
{
    if (!m->times || (m->time_nulls && m->time_nulls[row]) || m->times[row] == LEAT_TIME_NONE) {
        leat_drops_add(m->base.context->drops, LEAT_DROP_NULL_TIME, 1);
        return may_be_idle(m, slot);
    }
    if (m->times[row] <= m->watermark_ms)
        return late(m, batch, row, slot);
    leat_slice encoded = encode(m, batch, row);
    return !m->writer.failed &&
           leat_held_add(&m->held, 0, slot, m->times[row], LEAT_INSERT, batch->cause ? batch->cause[row] : 0, encoded);
}

// ---- processing time

static bool sorts(const leat_match *m) { return m->spec->time_column < 0 && m->spec->order_count; }

static void wake(leat_match *m)
{
    int64_t least = leat_alarms_least(&m->alarms);
    if (m->spec->time_column >= 0)
        return;
    if (sorts(m) && m->held.count && m->held.heap[0]->time_ms + 1 < least)
        least = m->held.heap[0]->time_ms + 1;
    if (least >= m->asked_ms)
        return;
    m->asked_ms = least;
    m->base.context->wake_at(m->base.context, least);
}

// Rows that are sorted wait until their millisecond is over.
static leat_code catch_up(leat_match *m, leat_error *out_error)
{
    int64_t now = m->base.context->now_ms;
    if (m->spec->time_column >= 0)
        return LEAT_OK;
    if ((!sorts(m) || !leat_held_due(&m->held, now - 1)) && leat_alarms_least(&m->alarms) > now)
        return LEAT_OK;
    return run_due(m, sorts(m) ? now - 1 : now, out_error);
}

static bool handle_now(leat_match *m, const leat_batch *batch, uint32_t row, uint32_t slot)
{
    int64_t now = m->base.context->now_ms;
    uint64_t cause = batch->cause ? batch->cause[row] : 0;
    leat_slice encoded = encode(m, batch, row);
    if (m->writer.failed)
        return false;
    if (sorts(m))
        return leat_held_add(&m->held, 0, slot, now, LEAT_INSERT, cause, encoded);
    m->slot = slot;
    leat_match_key *key = key_find(m, slot);
    return advance_key(m, key, now) && handle_row(m, &key, encoded, now, cause) &&
           end_key(m, key, slot, LEAT_TIME_NONE);
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

static leat_code add_rows(leat_match *m, const leat_batch *batch, leat_error *out_error)
{
    leat_code code = leat_keys_resolve(m->keys, batch, m->spec->key_columns, m->slots, out_error);
    if (code != LEAT_OK)
        return code;
    begin_times(m, batch);
    leat_match_masks(m, batch);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark)
            code = advance(m, batch->watermark[row], out_error);
        if (code == LEAT_OK && !add_row(m, batch, row, m->slots[i]))
            code = no_budget(m, out_error);
    }
    return code;
}

static void end(leat_match *m)
{
    forward(m, m->watermark_ms);
    for (uint32_t i = 0; i < m->base.context->output_count; i++)
        leat_emitter_flush(&m->emitters[i]);
    release_idle(m);
    wake(m);
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
    if (code == LEAT_OK)
        end(m);
    return code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark_ms, leat_error *out_error)
{
    leat_match *m = (leat_match *)base;
    leat_code code = catch_up(m, out_error);
    if (code == LEAT_OK)
        code = advance(m, watermark_ms, out_error);
    if (code == LEAT_OK)
        end(m);
    return code;
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    leat_match *m = (leat_match *)base;
    m->asked_ms = INT64_MAX;
    leat_code code = catch_up(m, out_error);
    if (code == LEAT_OK)
        end(m);
    return code;
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
    if (!leat_held_any(&m->held, slot))
        leat_keys_release(m->keys, slot);
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    leat_match *m = (leat_match *)base;
    leat_held_snapshot(&m->held, snapshot, TABLE_ROWS);
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
        return no_budget(m, out_error);
    leat_match_key *key = leat_pane_payload(entry);
    if (!is_new)
        leat_pattern_clear(&m->nfa, &key->pattern);
    *key = (leat_match_key){.alarm_ms = INT64_MAX};
    entry->stored = true;
    leat_arena_reset(&m->scratch);
    return leat_pattern_restore(&m->nfa, &key->pattern, value, &m->scratch, out_error);
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
    return table == TABLE_ROWS ? leat_held_restore(&m->held, slot, sequence, value, out_error)
                               : restore_key(m, slot, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)restored;
    leat_match *m = (leat_match *)base;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&m->panes, m->pane, 0, &slot)); slot++)
        if (entry->state == LEAT_PANE_LIVE && !set_alarm(m, leat_pane_payload(entry), slot))
            return no_budget(m, out_error);
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
    leat_panes_init(&m->panes, context->budget, sizeof(leat_match_key));
    leat_alarms_init(&m->alarms, context->budget);
    m->pane = leat_panes_open(&m->panes, 0);
    if (!m->pane || !leat_held_init(&m->held, context->budget, context->env, m->keys))
        return no_budget(m, out_error);
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
    leat_budget_free(context->budget, m->idle, m->idle_room * sizeof *m->idle);
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
    if (code == LEAT_OK)
        code = open_state(m, out_error);
    m->nfa.test = leat_match_test;
    m->nfa.found = leat_match_found;
    m->nfa.skipped = leat_match_skipped;
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
