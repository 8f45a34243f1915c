// The stored form of OVER.
//
// Table 0: key = key bytes; value = version 2, signed varints: last time fired, end; u8 cleared; varint marks, each two signed varints: due,
// time; with ranks: signed varint time of the last one, varints rows, rank, dense rank; varints: number of the frame's first row, rows in
// the frame; those rows of it that are in no chunk (over_frame.c); accumulators.
// Table 1: rows that wait (state/row_queue.h). Table 2: values for LAG, as rows (state/sorted.h).
// Table 3: chunks of frames: key = u32 number of the chunk, key bytes; value = version 2, its OVER_CHUNK rows. Rows are numbered; chunk n begins
// with row n * OVER_CHUNK. A frame of at least two chunks has those that lie wholly in it here. They are written once and never again: what a
// checkpoint writes does not grow with the frame.
#include "operators/over.h"

// ---- which rows are in chunks

static void wanted_chunks(const over_key *key, uint32_t *out_from, uint32_t *out_to)
{
    uint32_t end = key->first + key->count;
    bool some = key->count >= 2 * OVER_CHUNK;
    *out_from = some ? key->first / OVER_CHUNK + (key->first % OVER_CHUNK != 0) : 0;
    *out_to = some ? end / OVER_CHUNK : 0;
    if (*out_to < *out_from) // numbers begin anew at 2^32, where a chunk begins
        *out_to += (uint32_t)(UINT32_MAX / OVER_CHUNK) + 1;
}

// Rows that are in no chunk: from the first to *out_head, from *out_tail to the last.
static void loose_rows(const over_key *key, uint32_t *out_head, uint32_t *out_tail)
{
    uint32_t from, to;
    wanted_chunks(key, &from, &to);
    *out_head = from == to ? key->first : from * OVER_CHUNK;
    *out_tail = from == to ? key->first : to * OVER_CHUNK;
}

static leat_slice chunk_key(over *self, uint32_t slot, uint32_t chunk)
{
    leat_slice bytes = leat_keys_bytes(self->frame.keys, slot);
    leat_writer_reset(&self->frame.encoded);
    leat_write_u32(&self->frame.encoded, chunk);
    leat_write_bytes(&self->frame.encoded, bytes.data, bytes.size);
    return leat_writer_slice(&self->frame.encoded);
}

static void put_chunk(over *self, leat_snapshot *snapshot, uint32_t slot, const over_key *key, uint32_t chunk)
{
    uint32_t from = chunk * OVER_CHUNK;
    leat_writer_reset(&self->stored);
    leat_write_u8(&self->stored, OVER_VERSION);
    over_frame_write(self, key, from, from + OVER_CHUNK, &self->stored);
    LEAT_ASSERT(!self->stored.failed);
    snapshot->put(snapshot, OVER_CHUNKS, leat_keys_group(self->frame.keys, slot), chunk_key(self, slot, chunk),
                  leat_writer_slice(&self->stored));
}

static void store_chunks(over *self, leat_snapshot *snapshot, uint32_t slot, over_key *key)
{
    uint32_t group = leat_keys_group(self->frame.keys, slot), from, to;
    bool whole = snapshot->whole[group];
    if (!key->rows)
        return;
    over_ring *ring = over_ring_of(key);
    wanted_chunks(key, &from, &to);
    for (uint32_t chunk = ring->stored_from; chunk != ring->stored_to && !whole; chunk++)
        if (chunk < from || chunk >= to)
            snapshot->remove(snapshot, OVER_CHUNKS, group, chunk_key(self, slot, chunk));
    for (uint32_t chunk = from; chunk != to; chunk++)
        if (whole || chunk < ring->stored_from || chunk >= ring->stored_to)
            put_chunk(self, snapshot, slot, key, chunk);
    if (snapshot->keep_marks)
        return;
    ring->stored_from = from;
    ring->stored_to = to;
}

// ---- keys

static void write_ranks(const over_ranks *ranks, leat_writer *out)
{
    leat_write_varint_signed(out, ranks->time_ms);
    leat_write_varint(out, ranks->row_count);
    leat_write_varint(out, ranks->rank);
    leat_write_varint(out, ranks->dense_rank);
}

static void store_key(over *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    leat_writer *out = &self->stored;
    over_key *key = over_key_of(entry);
    uint32_t head, tail;
    leat_writer_reset(out);
    leat_write_u8(out, OVER_VERSION);
    leat_write_varint_signed(out, key->last_ms);
    leat_write_varint_signed(out, key->end_ms);
    leat_write_u8(out, key->cleared);
    leat_write_varint(out, key->marks ? key->marks->count : 0);
    for (uint32_t i = 0; key->marks && i < key->marks->count; i++) {
        leat_write_varint_signed(out, key->marks->items[i].due_ms);
        leat_write_varint_signed(out, key->marks->items[i].time_ms);
    }
    if (self->ranks_at >= 0)
        write_ranks(over_ranks_of(self, entry), out);
    leat_write_varint(out, key->first);
    leat_write_varint(out, key->count);
    loose_rows(key, &head, &tail);
    over_frame_write(self, key, key->first, head, out);
    over_frame_write(self, key, tail, key->first + key->count, out);
    if (self->spec->accumulators)
        leat_accumulators_encode(self->spec->accumulators, over_accumulator(entry), out);
    LEAT_ASSERT(!out->failed);
    snapshot->put(snapshot, OVER_KEYS, leat_keys_group(self->frame.keys, slot), leat_keys_bytes(self->frame.keys, slot),
                  leat_writer_slice(out));
}

static void store_slot(over *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    uint32_t group = leat_keys_group(self->frame.keys, slot);
    bool whole = snapshot->whole[group];
    if (entry->state == LEAT_PANE_LIVE) {
        if (!whole && entry->epoch != self->tables.epoch)
            return;
        store_key(self, snapshot, slot, entry);
        store_chunks(self, snapshot, slot, over_key_of(entry));
        entry->stored |= !snapshot->keep_marks;
        return;
    }
    if (!whole)
        snapshot->remove(snapshot, OVER_KEYS, group, leat_keys_bytes(self->frame.keys, slot));
    if (!snapshot->keep_marks)
        leat_pane_erase(&self->tables, self->key_table, slot);
}

// What the watermark has settled is stored as such, as a savepoint made of this checkpoint forgets the watermark. Keys change by that.
static void settle_keys(over *self)
{
    leat_pane_entry *entry;
    if (self->watermark < self->least_mark_ms)
        return;
    self->least_mark_ms = INT64_MAX;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->key_table, 0, &slot)); slot++) {
        over_marks *marks = entry->state == LEAT_PANE_LIVE ? over_key_of(entry)->marks : NULL;
        if (marks && marks->count && marks->items[0].due_ms <= self->watermark) {
            over_settle_marks(self, over_key_of(entry));
            leat_pane_mark(&self->tables, self->key_table, slot, entry);
        }
        if (marks && marks->count && marks->items[0].due_ms < self->least_mark_ms)
            self->least_mark_ms = marks->items[0].due_ms;
    }
}

void over_snapshot(leat_operator *base, leat_snapshot *snapshot)
{
    over *self = (over *)base;
    settle_keys(self);
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : self->tables.epoch;
    leat_pane_entry *entry;
    leat_removals_emit(&self->removals, snapshot, OVER_CHUNKS);
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->key_table, since, &slot)); slot++)
        store_slot(self, snapshot, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&self->tables);
    leat_row_queue_snapshot(&self->queue, snapshot, OVER_ROWS);
    leat_sorted_snapshot(&self->lags, snapshot, OVER_LAGS);
    leat_row_frame_snapshot(&self->frame, snapshot, OVER_ROWS); // it has no rows: sets slots free
}

// ---- restored

static leat_code damaged(leat_slice value, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored key of OVER of %zu bytes is damaged", value.size);
}

static leat_code read_marks(over *self, over_key *key, leat_reader *reader, leat_error *out_error)
{
    uint64_t count = leat_read_varint(reader);
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        over_mark mark = {.due_ms = leat_read_varint_signed(reader)};
        mark.time_ms = leat_read_varint_signed(reader);
        if (!over_add_mark(self, key, mark))
            return over_no_budget(self, out_error);
    }
    return LEAT_OK;
}

static leat_code read_frame(over *self, over_key *key, leat_reader *reader, leat_slice value, leat_error *out_error)
{
    uint64_t first = leat_read_varint(reader), count = leat_read_varint(reader);
    uint32_t end = (uint32_t)first + (uint32_t)count;
    if (reader->failed || first > UINT32_MAX || count > INT32_MAX / 2 || (count && !self->spec->bounded))
        return damaged(value, out_error);
    if (!count) {
        key->first = (uint32_t)first;
        return key->count ? damaged(value, out_error) : LEAT_OK;
    }
    if (!over_frame_cover(self, key, (uint32_t)first, end))
        return over_no_budget(self, out_error);
    if (key->first != first || key->first + key->count != end)
        return damaged(value, out_error);
    uint32_t head, tail;
    loose_rows(key, &head, &tail);
    leat_code code = over_frame_read(self, key, key->first, head, reader, out_error);
    return code == LEAT_OK ? over_frame_read(self, key, tail, end, reader, out_error) : code;
}

static void read_ranks(over_ranks *ranks, leat_reader *reader)
{
    ranks->time_ms = leat_read_varint_signed(reader);
    ranks->row_count = leat_read_varint(reader);
    ranks->rank = leat_read_varint(reader);
    ranks->dense_rank = leat_read_varint(reader);
}

static leat_code restore_key(over *self, uint32_t slot, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    if (leat_read_u8(&reader) != OVER_VERSION)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "expected stored keys of OVER in version %d", OVER_VERSION);
    leat_pane_entry *entry = over_make_key(self, slot);
    if (!entry)
        return over_no_budget(self, out_error);
    over_key *key = over_key_of(entry);
    key->last_ms = leat_read_varint_signed(&reader);
    key->end_ms = leat_read_varint_signed(&reader);
    key->cleared = leat_read_u8(&reader);
    leat_code code = read_marks(self, key, &reader, out_error);
    if (self->ranks_at >= 0)
        read_ranks(over_ranks_of(self, entry), &reader);
    if (code == LEAT_OK)
        code = read_frame(self, key, &reader, value, out_error);
    entry->stored = true;
    if (code == LEAT_OK && self->spec->accumulators)
        code = leat_accumulators_decode(self->spec->accumulators, over_accumulator(entry), &reader,
                                        self->base.context->budget, out_error);
    if (code == LEAT_OK && (reader.failed || leat_reader_left(&reader)))
        return damaged(value, out_error);
    if (code == LEAT_OK && over_cleans_up(self) && key->end_ms != LEAT_TIME_NONE && !over_set_alarm(self, slot, key))
        return over_no_budget(self, out_error);
    return code;
}

// Chunks may come before their key: until it comes its frame is what has come so far.
static leat_code restore_chunk(over *self, uint32_t slot, uint32_t chunk, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_pane_entry *entry = over_make_key(self, slot);
    if (!entry)
        return over_no_budget(self, out_error);
    over_key *key = over_key_of(entry);
    uint32_t from = chunk * OVER_CHUNK, to = from + OVER_CHUNK, first = key->first, count = key->count;
    leat_reader_init(&reader, value.data, value.size);
    if (leat_read_u8(&reader) != OVER_VERSION || !self->spec->bounded)
        return damaged(value, out_error);
    if (!over_frame_cover(self, key, from, to))
        return over_no_budget(self, out_error);
    if (entry->stored && (key->first != first || key->count != count))
        return damaged(value, out_error);
    entry->word++; // chunks that have come
    leat_code code = over_frame_read(self, key, from, to, &reader, out_error);
    return code == LEAT_OK && leat_reader_left(&reader) ? damaged(value, out_error) : code;
}

static leat_code restore_row(over *self, uint32_t slot, uint64_t sequence, leat_slice value, leat_error *out_error)
{
    leat_pane_entry *entry = over_make_key(self, slot);
    if (!entry)
        return over_no_budget(self, out_error);
    over_key_of(entry)->waiting++;
    return leat_row_queue_restore(&self->queue, slot, sequence, value, out_error);
}

// The arguments of each LAG, as keep_lag wrote them: they are decoded without a further look.
static bool are_lags(over *self, const leat_sorted_row *row)
{
    leat_reader reader;
    leat_value value;
    bool whole = true;
    leat_slice bytes = leat_sorted_bytes(row);
    leat_reader_init(&reader, bytes.data, bytes.size);
    leat_arena_reset(&self->values);
    for (uint32_t f = 0; f < self->spec->function_count && whole; f++)
        if (self->spec->functions[f].kind == LEAT_OVER_LAG)
            whole = leat_value_decode(self->frame.input->fields[self->spec->functions[f].column].type, &reader,
                                      &self->values, &value);
    return whole && leat_reader_left(&reader) == 0;
}

static leat_code restore_lags(over *self, uint32_t slot, uint64_t sequence, leat_slice value, leat_error *out_error)
{
    const leat_sorted_row *row;
    leat_code code = leat_sorted_restore(&self->lags, slot, sequence, value, &row, out_error);
    return code == LEAT_OK && !are_lags(self, row) ? damaged(value, out_error) : code;
}

static bool split_key(uint8_t table, leat_slice *inout_key, uint64_t *out_number)
{
    leat_reader reader;
    if (table == OVER_ROWS || table == OVER_LAGS)
        return leat_row_queue_key(*inout_key, out_number, inout_key);
    if (table != OVER_CHUNKS)
        return true;
    leat_reader_init(&reader, inout_key->data, inout_key->size);
    *out_number = leat_read_u32(&reader);
    *inout_key = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed;
}

leat_code over_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                       leat_error *out_error)
{
    (void)group;
    over *self = (over *)base;
    uint32_t slot;
    uint64_t number = 0;
    if (table > OVER_CHUNKS)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "OVER has no table %u", table);
    if (!split_key(table, &key, &number))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "the key of a stored row is damaged");
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    switch (table) {
    case OVER_KEYS:
        return restore_key(self, slot, value, out_error);
    case OVER_ROWS:
        return restore_row(self, slot, number, value, out_error);
    case OVER_LAGS:
        return restore_lags(self, slot, number, value, out_error);
    default:
        return restore_chunk(self, slot, (uint32_t)number, value, out_error);
    }
}

// A frame whose chunks are not there would be read as zeroes.
static leat_code check_key(over *self, leat_pane_entry *entry, leat_error *out_error)
{
    over_key *key = over_key_of(entry);
    uint32_t from, to;
    wanted_chunks(key, &from, &to);
    if (!entry->stored || entry->word != to - from)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "stored rows of OVER are missing");
    entry->word = 0;
    if (key->rows) {
        over_ring_of(key)->stored_from = from;
        over_ring_of(key)->stored_to = to;
    }
    int64_t last = key->last_ms;
    if (key->marks && key->marks->count && key->marks->items[key->marks->count - 1].time_ms > last)
        last = key->marks->items[key->marks->count - 1].time_ms;
    if ((self->spec->bounded || self->spec->sort) && last > self->late_ms)
        self->late_ms = last;
    return LEAT_OK;
}

leat_code over_check_restored(over *self, leat_error *out_error)
{
    leat_pane_entry *entry;
    leat_code code = LEAT_OK;
    for (uint32_t slot = 0; code == LEAT_OK && (entry = leat_pane_next(&self->tables, self->key_table, 0, &slot));
         slot++)
        code = check_key(self, entry, out_error);
    return code;
}
