// The stored form of OVER.
//
// Table 0: key = key bytes; value = version 1, signed varints: last time fired, cleanup time, expiry, time of the last rank; varints:
// rows, rank, dense rank, rows in the frame; u8 cleared; accumulators. Table 1: rows (state/sorted.h). Table 2: values for LAG, as rows.
// Table 3: timers.
#include "operators/over.h"

static void store_key(over *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    leat_writer *out = &self->stored;
    const over_key *key = over_key_of(entry);
    leat_writer_reset(out);
    leat_write_u8(out, OVER_VERSION);
    leat_write_varint_signed(out, key->last_ms);
    leat_write_varint_signed(out, key->cleanup_ms);
    leat_write_varint_signed(out, key->expiry_ms);
    leat_write_varint_signed(out, key->rank_ms);
    leat_write_varint(out, key->row_count);
    leat_write_varint(out, key->rank);
    leat_write_varint(out, key->dense_rank);
    leat_write_varint(out, key->in_frame);
    leat_write_u8(out, key->cleared);
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
        entry->stored |= !snapshot->keep_marks;
        return;
    }
    if (!whole)
        snapshot->remove(snapshot, OVER_KEYS, group, leat_keys_bytes(self->frame.keys, slot));
    if (!snapshot->keep_marks)
        leat_pane_erase(&self->tables, self->key_table, slot);
}

void over_snapshot(leat_operator *base, leat_snapshot *snapshot)
{
    over *self = (over *)base;
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : self->tables.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->key_table, since, &slot)); slot++)
        store_slot(self, snapshot, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&self->tables);
    leat_sorted_snapshot(&self->lags, snapshot, OVER_LAGS);
    leat_timers_snapshot(&self->timers, snapshot, OVER_TIMERS, &self->stored);
    leat_row_frame_snapshot(&self->frame, snapshot, OVER_ROWS);
}

static leat_code restore_key(over *self, uint32_t slot, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    if (leat_read_u8(&reader) != OVER_VERSION)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "expected stored keys of OVER in version %d", OVER_VERSION);
    leat_pane_entry *entry = over_make_key(self, slot);
    if (!entry)
        return leat_row_frame_no_budget(&self->frame, out_error);
    over_key *key = over_key_of(entry);
    entry->stored = true;
    key->last_ms = leat_read_varint_signed(&reader);
    key->cleanup_ms = leat_read_varint_signed(&reader);
    key->expiry_ms = leat_read_varint_signed(&reader);
    key->rank_ms = leat_read_varint_signed(&reader);
    key->row_count = leat_read_varint(&reader);
    key->rank = leat_read_varint(&reader);
    key->dense_rank = leat_read_varint(&reader);
    key->in_frame = (uint32_t)leat_read_varint(&reader);
    key->cleared = leat_read_u8(&reader);
    leat_code code = LEAT_OK;
    if (self->spec->accumulators)
        code = leat_accumulators_decode(self->spec->accumulators, over_accumulator(entry), &reader,
                                        self->base.context->budget, out_error);
    if (code == LEAT_OK && reader.failed)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored key of OVER of %zu bytes is damaged", value.size);
    return code;
}

static leat_code restore_keyed(over *self, uint8_t table, leat_slice key, leat_slice value, leat_error *out_error)
{
    uint32_t slot;
    uint64_t sequence = 0;
    if (table == OVER_LAGS && !leat_sorted_key(key, &sequence, &key))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "the key of a stored row is damaged");
    leat_code code = leat_keys_slot(self->frame.keys, key, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    if (table == OVER_KEYS)
        return restore_key(self, slot, value, out_error);
    if (table == OVER_LAGS)
        return leat_sorted_restore(&self->lags, slot, sequence, value, NULL, out_error);
    return leat_timers_restore(&self->timers, slot, value, out_error);
}

leat_code over_restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                       leat_error *out_error)
{
    (void)group;
    over *self = (over *)base;
    if (table > OVER_TIMERS)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "OVER has no table %u", table);
    return table == OVER_ROWS ? leat_row_frame_restore(&self->frame, key, value, out_error)
                              : restore_keyed(self, table, key, value, out_error);
}

// A frame that counts rows which are not there would be read past its end.
leat_code over_check_frames(const over *self, leat_error *out_error)
{
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->key_table, 0, &slot)); slot++)
        if (over_key_of(entry)->in_frame > leat_sorted_count(&self->frame.rows, slot))
            return leat_error_set(out_error, LEAT_E_CORRUPT, "stored rows of OVER are missing");
    return LEAT_OK;
}
