// Window table functions without aggregation: the input's columns, then window_start, window_end, window_time.
//
// TUMBLE, HOP and CUMULATE hold nothing and drop nothing that has a time, late or not: TUMBLE adds three columns to the batch, the others
// repeat each row per window (HOP: latest window first, CUMULATE: shortest first). SESSION keeps the rows of a key encoded until
// their session closes and drops late ones; its watermark is not part of its state.
//
// Stored (SESSION): table 0: key = key bytes, row number u64; value = version 1, event time i64, session time i64, cause u64, kind u8, the
// columns by leat_value_encode. Rows that have left are removed. Sessions follow from their rows.
#include <string.h>

#include "operators/base/calendar.h"
#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/key.h"
#include "operators/state/session.h"
#include "operators/window_assign.h"

enum { TABLE_ROWS = 0, VERSION = 1, IDLE_MIN = 64, KEY_MAX = LEAT_KEY_BYTES_MAX + 8 };

typedef struct kept_row {
    struct kept_row *next; // of the session by number, or of what left
    uint64_t number;
    int64_t event_ms, time_ms;
    uint64_t cause;
    uint32_t slot;
    uint32_t size; // of the columns behind it
    uint8_t kind;
    bool stored; // a snapshot holds it
} kept_row;

typedef struct kept_rows { // payload of a session
    kept_row *first, *last;
} kept_rows;

typedef struct window_rows {
    leat_operator base;
    leat_assigner assigner;
    leat_emitter results;
    // -- SESSION only
    leat_keys *keys;
    leat_sessions sessions;
    kept_row *left; // rows that have left and a snapshot still holds
    uint64_t number;
    int64_t watermark;
    uint32_t *slots; // of the batch
    uint32_t *idle;  // slots that may have nothing any more; looked at when the batch is done
    uint32_t idle_count, idle_room;
    leat_writer encoded;
    leat_arena texts;
} window_rows;

static const leat_window_rows_spec *spec_of(const window_rows *self) { return self->base.context->spec; }
static const leat_schema *input_of(const window_rows *self) { return self->base.context->inputs[0]; }
static bool is_session(const window_rows *self) { return spec_of(self)->window.kind == LEAT_WINDOW_SESSION; }

static bool time_of(const window_rows *self, const leat_batch *batch, uint32_t row, int64_t *out_time)
{
    int32_t column = spec_of(self)->window.time_column;
    const int64_t *times = column < 0 ? batch->event_ms : batch->columns[column].i64;
    bool is_null =
        !times || (column >= 0 && leat_column_is_null(&batch->columns[column], row)) || times[row] == LEAT_TIME_NONE;
    if (is_null || !leat_assigner_fits(times[row])) {
        leat_drops_add(self->base.context->drops, is_null ? LEAT_DROP_NULL_TIME : LEAT_DROP_MISFIT, 1);
        return false;
    }
    *out_time = times[row];
    return true;
}

static const leat_field *window_fields(const window_rows *self)
{
    return self->base.context->outputs[0]->fields + input_of(self)->count;
}

static leat_window_times times_of(const window_rows *self, int64_t end)
{
    const leat_assigner *assigner = &self->assigner;
    return leat_window_times_of(window_fields(self), assigner->zone, leat_assigner_start(assigner, end), end,
                                leat_assigner_due(assigner, end));
}

// ---- TUMBLE

static void begin_columns(const window_rows *self, leat_batch *out, const leat_batch *batch)
{
    uint32_t count = input_of(self)->count;
    out->schema = self->base.context->outputs[0];
    out->columns = leat_arena_array(&out->arena, leat_column, count + 3);
    memcpy(out->columns, batch->columns, count * sizeof *out->columns);
    for (uint32_t i = 0; i < 3; i++)
        leat_column_allocate(out, &out->columns[count + i], window_fields(self)[i].type, batch->count, false);
    out->event_ms = leat_arena_alloc(&out->arena, batch->count * sizeof *out->event_ms);
}

static void put_times(const window_rows *self, leat_batch *out, uint32_t row, const leat_window_times *times)
{
    leat_column *columns = out->columns + input_of(self)->count;
    columns[0].i64[row] = times->start;
    columns[1].i64[row] = times->end;
    columns[2].i64[row] = times->time;
    out->event_ms[row] = times->event_ms;
}

static void tumble(window_rows *self, leat_batch *batch)
{
    leat_operator_context *context = self->base.context;
    leat_batch *out = leat_batch_derive_with(context->pool, batch, 3 * batch->count * sizeof(int64_t));
    begin_columns(self, out, batch);
    uint16_t *selection = leat_arena_alloc(&out->arena, batch->selected * sizeof *selection);
    uint32_t count = 0;
    leat_window_times times = {0};
    int64_t time, pane = 1, pane_end = 0; // empty
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (!time_of(self, batch, row, &time))
            continue;
        time = leat_assigner_local(&self->assigner, time);
        if (time < pane || time >= pane_end) {
            pane = leat_assigner_pane(&self->assigner, time);
            pane_end = pane + self->assigner.pane_ms;
            times = times_of(self, pane_end);
        }
        put_times(self, out, row, &times);
        selection[count++] = (uint16_t)row;
    }
    if (count < batch->selected) {
        out->selection = selection;
        out->selected = count;
    }
    if (count || out->watermark_after != LEAT_TIME_NONE)
        context->emit(context, 0, out);
    leat_batch_unref(out);
}

// ---- HOP and CUMULATE

static void repeat_row(window_rows *self, const leat_batch *batch, uint32_t row, int64_t end, uint64_t ordinal)
{
    leat_window_times times = times_of(self, end);
    uint64_t cause = leat_cause_derive(batch->cause ? batch->cause[row] : 0, ordinal);
    uint32_t out = leat_emitter_row(&self->results, times.event_ms, leat_batch_kind(batch, row), cause);
    leat_batch *to = self->results.batch;
    for (uint32_t i = 0; i < input_of(self)->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        leat_column_set(&to->columns[i], out, &value, &to->arena);
    }
    put_times(self, to, out, &times);
}

static void repeat_rows(window_rows *self, const leat_batch *batch)
{
    const leat_assigner *assigner = &self->assigner;
    int64_t time;
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark)
            leat_emitter_watermark(&self->results, batch->watermark[row]);
        if (!time_of(self, batch, row, &time))
            continue;
        int64_t pane = leat_assigner_pane(assigner, leat_assigner_local(assigner, time));
        int64_t first = leat_assigner_first_end(assigner, pane), last = leat_assigner_last_end(assigner, pane);
        uint64_t ordinal = 0;
        if (assigner->kind == LEAT_WINDOW_HOP)
            for (int64_t end = last; end >= first; end -= assigner->step_ms)
                repeat_row(self, batch, row, end, ordinal++);
        else
            for (int64_t end = first; end <= last; end += assigner->step_ms)
                repeat_row(self, batch, row, end, ordinal++);
    }
    leat_emitter_watermark(&self->results, batch->watermark_after);
    leat_emitter_flush(&self->results);
}

// ---- SESSION: kept rows

static leat_code no_budget(const window_rows *self, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "the memory budget of %zu bytes does not hold the rows of %u keys' sessions",
                          self->base.context->budget->limit, leat_keys_count(self->keys));
}

static void free_row(window_rows *self, kept_row *row)
{
    leat_budget_free(self->base.context->budget, row, sizeof *row + row->size);
}

static kept_row *new_row(window_rows *self, leat_slice columns)
{
    kept_row *row = leat_budget_alloc(self->base.context->budget, sizeof *row + columns.size);
    if (!row)
        return NULL;
    row->size = (uint32_t)columns.size;
    memcpy(row + 1, columns.data, columns.size);
    return row;
}

static kept_row *keep_row(window_rows *self, const leat_batch *batch, uint32_t row, uint32_t slot, int64_t time)
{
    leat_writer_reset(&self->encoded);
    for (uint32_t i = 0; i < input_of(self)->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        leat_value_encode(input_of(self)->fields[i].type, &value, &self->encoded);
    }
    kept_row *kept = self->encoded.failed ? NULL : new_row(self, leat_writer_slice(&self->encoded));
    if (!kept)
        return NULL;
    kept->number = self->number++;
    kept->event_ms = batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
    kept->time_ms = time;
    kept->cause = batch->cause ? batch->cause[row] : 0;
    kept->kind = (uint8_t)leat_batch_kind(batch, row);
    kept->slot = slot;
    return kept;
}

static void append(kept_rows *rows, kept_row *row)
{
    row->next = NULL;
    if (rows->last)
        rows->last->next = row;
    else
        rows->first = row;
    rows->last = row;
}

static kept_row *take_first(kept_rows *rows)
{
    kept_row *row = rows->first;
    rows->first = row->next;
    return row;
}

// Two lists by number become one.
static bool absorb(void *context, void *into, void *from)
{
    (void)context;
    kept_rows *a = into, *b = from, merged = {0};
    while (a->first || b->first)
        append(&merged, !b->first || (a->first && a->first->number < b->first->number) ? take_first(a) : take_first(b));
    *a = merged;
    return true;
}

static leat_code may_be_idle(window_rows *self, uint32_t slot, leat_error *out_error)
{
    if (self->idle_count == self->idle_room) {
        uint32_t room = self->idle_room ? self->idle_room * 2 : IDLE_MIN;
        uint32_t *idle = leat_budget_grow(self->base.context->budget, self->idle, self->idle_room * sizeof *idle,
                                          room * sizeof *idle);
        if (!idle)
            return no_budget(self, out_error);
        self->idle = idle;
        self->idle_room = room;
    }
    self->idle[self->idle_count++] = slot;
    return LEAT_OK;
}

static void release_idle(window_rows *self)
{
    for (uint32_t i = 0; i < self->idle_count; i++) {
        leat_pane_entry *entry = leat_pane_place(&self->sessions.tables, self->sessions.table, self->idle[i]);
        if ((!entry || entry->state == LEAT_PANE_EMPTY) && leat_keys_live(self->keys, self->idle[i]))
            leat_keys_release(self->keys, self->idle[i]);
    }
    self->idle_count = 0;
}

// ---- SESSION: closing

static leat_window_times session_times(const window_rows *self, const leat_session *session)
{
    const leat_field *fields = window_fields(self);
    const struct leat_zone *zone = spec_of(self)->window.zone;
    leat_window_times times = leat_window_times_of(fields, NULL, session->start, session->end, session->end - 1);
    if (zone && fields[0].type.kind == LEAT_KIND_TIMESTAMP && fields[2].type.kind == LEAT_KIND_TIMESTAMP_LTZ) {
        times.start = leat_zone_to_local_ms(zone, session->start);
        times.end = leat_zone_to_local_ms(zone, session->end);
    }
    return times;
}

static void send_row(window_rows *self, const kept_row *row, const leat_window_times *times)
{
    uint32_t out = leat_emitter_row(&self->results, times->event_ms, (leat_row_kind)row->kind, row->cause);
    leat_reader reader;
    leat_reader_init(&reader, row + 1, row->size);
    leat_arena_reset(&self->texts);
    for (uint32_t i = 0; i < input_of(self)->count; i++) {
        leat_value value;
        LEAT_ASSERT(leat_value_decode(input_of(self)->fields[i].type, &reader, &self->texts, &value));
        leat_emitter_set(&self->results, out, i, &value);
    }
    put_times(self, self->results.batch, out, times);
}

static leat_code close_session(window_rows *self, uint32_t slot, leat_session *session, leat_error *out_error)
{
    leat_window_times times = session_times(self, session);
    kept_rows *rows = leat_session_payload(session);
    while (rows->first) {
        kept_row *row = take_first(rows);
        send_row(self, row, &times);
        if (!row->stored) {
            free_row(self, row);
            continue;
        }
        row->next = self->left;
        self->left = row;
    }
    return leat_sessions_remove(&self->sessions, slot, session) ? may_be_idle(self, slot, out_error) : LEAT_OK;
}

static leat_code advance(window_rows *self, int64_t watermark, leat_error *out_error)
{
    if (watermark <= self->watermark)
        return LEAT_OK;
    leat_emitter_watermark(&self->results, self->watermark);
    leat_session *session;
    uint32_t slot;
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && (session = leat_sessions_due(&self->sessions, watermark, &slot)))
        code = close_session(self, slot, session, out_error);
    self->watermark = watermark;
    return code;
}

static leat_code add_row(window_rows *self, const leat_batch *batch, uint32_t row, uint32_t slot, leat_error *out_error)
{
    int64_t time;
    leat_sessions_added added;
    if (!time_of(self, batch, row, &time))
        return may_be_idle(self, slot, out_error);
    if (!leat_sessions_add(&self->sessions, slot, time, self->watermark, absorb, NULL, &added))
        return no_budget(self, out_error);
    if (!added.session) {
        leat_drops_add(self->base.context->drops, LEAT_DROP_LATE, 1);
        return may_be_idle(self, slot, out_error);
    }
    kept_row *kept = keep_row(self, batch, row, slot, time);
    if (!kept)
        return no_budget(self, out_error);
    append(leat_session_payload(added.session), kept);
    return LEAT_OK;
}

static leat_code hold_rows(window_rows *self, leat_batch *batch, leat_error *out_error)
{
    leat_code code = leat_keys_resolve(self->keys, batch, spec_of(self)->key_columns, self->slots, out_error);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark)
            code = advance(self, batch->watermark[row], out_error);
        if (code != LEAT_OK)
            return code;
        if (self->slots[i] == LEAT_SLOT_NONE)
            leat_drops_add(self->base.context->drops, LEAT_DROP_TOO_LARGE, 1);
        else
            code = add_row(self, batch, row, self->slots[i], out_error);
    }
    return code;
}

static leat_code advance_and_send(window_rows *self, int64_t watermark, leat_error *out_error)
{
    leat_code code = advance(self, watermark, out_error);
    leat_emitter_watermark(&self->results, self->watermark);
    leat_emitter_flush(&self->results);
    release_idle(self);
    return code;
}

// ---- elements

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    window_rows *self = (window_rows *)base;
    if (is_session(self)) {
        leat_code code = batch->selected ? hold_rows(self, batch, out_error) : LEAT_OK;
        return code == LEAT_OK ? advance_and_send(self, batch->watermark_after, out_error) : code;
    }
    if (self->assigner.kind == LEAT_WINDOW_TUMBLE && batch->selected)
        tumble(self, batch);
    else
        repeat_rows(self, batch);
    return LEAT_OK;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    window_rows *self = (window_rows *)base;
    if (is_session(self))
        return advance_and_send(self, watermark, out_error);
    leat_emitter_watermark(&self->results, watermark);
    leat_emitter_flush(&self->results);
    return LEAT_OK;
}

// ---- state

static leat_slice row_key(const window_rows *self, const kept_row *row, uint8_t bytes[KEY_MAX])
{
    leat_slice key = leat_keys_bytes(self->keys, row->slot);
    memcpy(bytes, key.data, key.size);
    for (unsigned i = 0; i < 8; i++)
        bytes[key.size + i] = (uint8_t)(row->number >> 8 * i);
    return leat_slice_of((const char *)bytes, key.size + 8);
}

static void store_row(window_rows *self, leat_snapshot *snapshot, uint32_t group, const kept_row *row)
{
    uint8_t bytes[KEY_MAX];
    leat_writer *out = &self->encoded;
    leat_writer_reset(out);
    leat_write_u8(out, VERSION);
    leat_write_u64(out, (uint64_t)row->event_ms);
    leat_write_u64(out, (uint64_t)row->time_ms);
    leat_write_u64(out, row->cause);
    leat_write_u8(out, row->kind);
    leat_write_bytes(out, row + 1, row->size);
    LEAT_ASSERT(!out->failed);
    snapshot->put(snapshot, TABLE_ROWS, group, row_key(self, row, bytes), leat_writer_slice(out));
}

static void remove_left(window_rows *self, leat_snapshot *snapshot)
{
    uint8_t bytes[KEY_MAX];
    kept_row *next;
    for (kept_row *row = self->left; row; row = next) {
        uint32_t group = leat_keys_group(self->keys, row->slot);
        next = row->next;
        if (!snapshot->whole[group])
            snapshot->remove(snapshot, TABLE_ROWS, group, row_key(self, row, bytes));
        if (!snapshot->keep_marks)
            free_row(self, row);
    }
    if (!snapshot->keep_marks)
        self->left = NULL;
}

static void store_slot(window_rows *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    uint32_t group = leat_keys_group(self->keys, slot);
    bool whole = snapshot->whole[group];
    if (entry->state == LEAT_PANE_GONE) {
        if (snapshot->keep_marks)
            return;
        leat_pane_erase(&self->sessions.tables, self->sessions.table, slot);
        leat_keys_release(self->keys, slot);
        return;
    }
    for (leat_session *session = leat_sessions_slot(entry)->first; session; session = session->next)
        for (kept_row *row = ((kept_rows *)leat_session_payload(session))->first; row; row = row->next)
            if (whole || !row->stored) {
                store_row(self, snapshot, group, row);
                row->stored |= !snapshot->keep_marks;
            }
    entry->stored |= !snapshot->keep_marks;
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    window_rows *self = (window_rows *)base;
    if (!is_session(self))
        return;
    remove_left(self, snapshot); // while their keys are there
    leat_panes *tables = &self->sessions.tables;
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : tables->epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(tables, self->sessions.table, since, &slot)); slot++)
        store_slot(self, snapshot, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(tables);
}

// Rows come in any order: the list is kept by number.
static void insert(kept_rows *rows, kept_row *row)
{
    kept_row **place = &rows->first;
    if (rows->last && rows->last->number < row->number)
        place = &rows->last->next;
    while (*place && (*place)->number < row->number)
        place = &(*place)->next;
    row->next = *place;
    *place = row;
    if (!row->next)
        rows->last = row;
}

static bool is_row(window_rows *self, leat_slice columns)
{
    leat_reader reader;
    leat_value value;
    bool whole = true;
    leat_reader_init(&reader, columns.data, columns.size);
    leat_arena_reset(&self->texts);
    for (uint32_t i = 0; i < input_of(self)->count && whole; i++)
        whole = leat_value_decode(input_of(self)->fields[i].type, &reader, &self->texts, &value);
    return whole && leat_reader_left(&reader) == 0;
}

static leat_code restore_row(window_rows *self, leat_slice key, uint64_t number, leat_reader *value,
                             leat_error *out_error)
{
    int64_t event_ms = (int64_t)leat_read_u64(value), time_ms = (int64_t)leat_read_u64(value);
    uint64_t cause = leat_read_u64(value);
    uint8_t kind = leat_read_u8(value);
    leat_slice columns = leat_read_bytes(value, leat_reader_left(value));
    uint32_t slot;
    leat_sessions_added added;
    if (value->failed || !leat_assigner_fits(time_ms) || kind > LEAT_DELETE || !is_row(self, columns))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of a session is damaged");
    leat_code code = leat_keys_slot(self->keys, key, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    kept_row *row = new_row(self, columns);
    if (!row || !leat_sessions_add(&self->sessions, slot, time_ms, LEAT_TIME_NONE, absorb, NULL, &added)) {
        if (row)
            free_row(self, row);
        return no_budget(self, out_error);
    }
    row->number = number;
    row->event_ms = event_ms;
    row->time_ms = time_ms;
    row->cause = cause;
    row->kind = kind;
    row->slot = slot;
    row->stored = true;
    insert(leat_session_payload(added.session), row);
    leat_pane_find(&self->sessions.tables, self->sessions.table, slot)->stored = true;
    if (self->number <= number)
        self->number = number + 1;
    return LEAT_OK;
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    window_rows *self = (window_rows *)base;
    leat_reader reader, number;
    leat_reader_init(&reader, value.data, value.size);
    uint8_t version = leat_read_u8(&reader);
    if (!is_session(self) || version != VERSION || table != TABLE_ROWS || key.size < 8)
        return leat_error_set(out_error, LEAT_E_CORRUPT,
                              "expected rows of sessions in version %d, found table %u, version %u", VERSION, table,
                              version);
    leat_reader_init(&number, key.data + key.size - 8, 8);
    return restore_row(self, leat_slice_of(key.data, key.size - 8), leat_read_u64(&number), &reader, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    window_rows *self = (window_rows *)base;
    if (!is_session(self))
        return LEAT_OK;
    leat_panes_next_epoch(&self->sessions.tables); // what was restored has not changed
    if (restored)                                  // what follows was restored with the same watermark
        self->watermark = self->results.watermark = self->results.watermark_sent = base->context->watermark_ms;
    return LEAT_OK;
}

// ---- life

static leat_code open_session(window_rows *self, leat_error *out_error)
{
    const leat_window_rows_spec *spec = spec_of(self);
    leat_operator_context *context = self->base.context;
    if (spec->window.gap_ms <= 0 || spec->window.gap_ms >= LEAT_ASSIGN_TIME_MAX)
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a session gap of at least 1 ms, found %lld ms",
                              (long long)spec->window.gap_ms);
    leat_type *types = leat_arena_array(context->arena, leat_type, spec->key_count + 1);
    for (uint32_t i = 0; i < spec->key_count; i++)
        types[i] = input_of(self)->fields[spec->key_columns[i]].type;
    leat_code code = leat_keys_create(context->env, context->budget, types, spec->key_count, &self->keys, out_error);
    if (code != LEAT_OK)
        return code;
    if (!leat_sessions_init(&self->sessions, context->budget, sizeof(kept_rows), spec->window.gap_ms, 0)) {
        code = no_budget(self, out_error);
        leat_keys_destroy(self->keys);
        return code;
    }
    self->slots = leat_arena_alloc(context->arena, LEAT_BATCH_ROWS * sizeof *self->slots);
    leat_writer_init(&self->encoded, context->env, SIZE_MAX);
    leat_arena_init(&self->texts, context->env, 0);
    self->watermark = LEAT_TIME_NONE;
    return LEAT_OK;
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    window_rows *self = (window_rows *)base;
    const leat_window *window = &spec_of(self)->window;
    LEAT_ASSERT(base->context->outputs[0]->count == input_of(self)->count + 3);
    uint8_t kind = window->time_column < 0 ? LEAT_KIND_NULL : input_of(self)->fields[window->time_column].type.kind;
    leat_code code =
        is_session(self) ? open_session(self, out_error) : leat_assigner_init(&self->assigner, window, kind, out_error);
    if (code == LEAT_OK)
        leat_emitter_init(&self->results, base->context, 0);
    return code;
}

static void free_rows(window_rows *self, kept_row *row)
{
    for (kept_row *next; row; row = next) {
        next = row->next;
        free_row(self, row);
    }
}

static void close_operator(leat_operator *base)
{
    window_rows *self = (window_rows *)base;
    leat_emitter_fini(&self->results);
    if (!is_session(self))
        return;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->sessions.tables, self->sessions.table, 0, &slot)); slot++)
        for (leat_session *session = entry->state == LEAT_PANE_LIVE ? leat_sessions_slot(entry)->first : NULL; session;
             session = session->next)
            free_rows(self, ((kept_rows *)leat_session_payload(session))->first);
    free_rows(self, self->left);
    leat_budget_free(base->context->budget, self->idle, self->idle_room * sizeof *self->idle);
    leat_sessions_fini(&self->sessions);
    leat_writer_fini(&self->encoded);
    leat_arena_fini(&self->texts);
    leat_keys_destroy(self->keys);
}

const leat_operator_ops leat_operator_window_rows_ops = {
    .name = "window_rows",
    .instance_size = sizeof(window_rows),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
};
