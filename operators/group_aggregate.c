// Unbounded GROUP BY: every row that changes a group's result gives a change of the changelog at once.
//
// First row of a group: +I. Then -U (when wanted) and +U, nothing when the result stays the same, unless state has a time to live:
// then it is repeated, so that what follows does not forget the group earlier. A group without rows is deleted with -D. A retraction for an
// unknown group is ignored. Time to live is processing time since the last row; a group that ran out goes silently.
//
// The cause of a change derives from the key, the cause of the row that began the group, and a count kept in the state: a group
// that comes again after a deletion does not repeat the ids of the one before.
//
// Stored: table 0: key = key bytes; value = version 1, seed u64, changes varint, last row at i64 (processing time), accumulator. A deleted
// group is removed.
#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/key.h"
#include "operators/core/spec.h"
#include "operators/expr/aggregate.h"
#include "operators/state/pane.h"

enum { TABLE_GROUPS = 0, VERSION = 1, SWEEPS_PER_TTL = 8 };

// Payload of an entry; the accumulator follows. entry.word: changes sent.
typedef struct group_head {
    uint64_t seed;       // cause of the first row
    int64_t last_row_ms; // processing time
} group_head;
_Static_assert(sizeof(group_head) == 16, "the accumulator is 16-aligned");

typedef struct group_aggregate {
    leat_operator base;
    const leat_accumulators *set;
    leat_keys *keys;
    leat_eval eval;
    leat_emitter changes;
    leat_panes tables;
    leat_pane *groups;
    leat_value *key_values, *before, *after;
    leat_arena texts; // of `before`
    leat_writer stored;
    const leat_accumulators_input *input; // of the batch
    leat_batch *batch;
    uint32_t *idle; // slots of the batch that may have no group
    uint32_t idle_count;
    bool wakes; // on_time was asked for
} group_aggregate;

static const leat_group_aggregate_spec *spec_of(const group_aggregate *self) { return self->base.context->spec; }
static group_head *head_of(leat_pane_entry *entry) { return leat_pane_payload(entry); }
static void *accumulator_of(leat_pane_entry *entry) { return head_of(entry) + 1; }

static leat_code no_budget(const group_aggregate *self, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_LIMIT,
                          "the memory budget of %zu bytes does not hold the state of %u groups",
                          self->base.context->budget->limit, leat_keys_count(self->keys));
}

// ---- changes

static void read_results(const group_aggregate *self, leat_pane_entry *entry, leat_value *out_values)
{
    for (uint32_t i = 0; i < spec_of(self)->aggregate_count; i++)
        leat_accumulators_result(self->set, accumulator_of(entry), i, (leat_arena *)&self->texts, &out_values[i]);
}

static leat_type type_of(const group_aggregate *self, uint32_t aggregate)
{
    return self->base.context->outputs[0]->fields[spec_of(self)->key_count + aggregate].type;
}

// What the group showed so far; its texts must outlive the change of the accumulator.
static void keep_before(group_aggregate *self, leat_pane_entry *entry)
{
    leat_arena_reset(&self->texts);
    read_results(self, entry, self->before);
    for (uint32_t i = 0; i < spec_of(self)->aggregate_count; i++)
        self->before[i] = leat_value_copy(type_of(self, i), &self->before[i], &self->texts);
}

static bool same(const group_aggregate *self)
{
    for (uint32_t i = 0; i < spec_of(self)->aggregate_count; i++)
        if (!leat_value_equal(type_of(self, i), &self->before[i], &self->after[i]))
            return false;
    return true;
}

static void send(group_aggregate *self, uint32_t slot, uint32_t row, leat_row_kind kind, uint64_t cause,
                 const leat_value *values)
{
    const leat_group_aggregate_spec *spec = spec_of(self);
    int64_t event_ms = self->batch->event_ms ? self->batch->event_ms[row] : LEAT_TIME_NONE;
    uint32_t out = leat_emitter_row(&self->changes, event_ms, kind, leat_cause_derive(cause, kind)), column = 0;
    leat_keys_values(self->keys, slot, self->key_values);
    for (uint32_t i = 0; i < spec->key_count; i++)
        leat_emitter_set(&self->changes, out, column++, &self->key_values[i]);
    for (uint32_t i = 0; i < spec->aggregate_count; i++)
        leat_emitter_set(&self->changes, out, column++, &values[i]);
}

static void send_change(group_aggregate *self, uint32_t slot, uint32_t row, leat_pane_entry *entry, bool is_new)
{
    const leat_group_aggregate_spec *spec = spec_of(self);
    read_results(self, entry, self->after);
    if (!is_new && !spec->state_ttl_ms && same(self))
        return;
    uint64_t group = leat_cause_derive(leat_keys_hash(self->keys, slot), head_of(entry)->seed);
    uint64_t cause = leat_cause_derive(group, entry->word++);
    if (!is_new && spec->emit_before)
        send(self, slot, row, LEAT_UPDATE_BEFORE, cause, self->before);
    send(self, slot, row, is_new ? LEAT_INSERT : LEAT_UPDATE_AFTER, cause, self->after);
}

// ---- groups

// Returns whether the slot may be given back.
static bool end_group(group_aggregate *self, uint32_t slot, leat_pane_entry *entry)
{
    leat_accumulators_release(self->set, accumulator_of(entry), self->base.context->budget);
    return leat_pane_remove(&self->tables, self->groups, slot, entry);
}

static bool ran_out(const group_aggregate *self, leat_pane_entry *entry)
{
    int64_t ttl = spec_of(self)->state_ttl_ms;
    return ttl && self->base.context->now_ms - head_of(entry)->last_row_ms >= ttl;
}

static void wake_after(group_aggregate *self, int64_t ms)
{
    leat_operator_context *context = self->base.context;
    if (!spec_of(self)->state_ttl_ms || self->wakes)
        return;
    self->wakes = true;
    context->wake_at(context, context->now_ms + ms);
}

static void sweep_later(group_aggregate *self) { wake_after(self, spec_of(self)->state_ttl_ms / SWEEPS_PER_TTL + 1); }

static leat_pane_entry *begin_group(group_aggregate *self, uint32_t slot, uint32_t row)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&self->tables, self->groups, slot, &is_new);
    if (!entry)
        return NULL;
    head_of(entry)->seed = self->batch->cause ? self->batch->cause[row] : 0;
    leat_accumulators_init(self->set, accumulator_of(entry));
    wake_after(self, spec_of(self)->state_ttl_ms);
    return entry;
}

static void delete_group(group_aggregate *self, uint32_t slot, uint32_t row, leat_pane_entry *entry, bool is_new)
{
    uint64_t group = leat_cause_derive(leat_keys_hash(self->keys, slot), head_of(entry)->seed);
    if (!is_new)
        send(self, slot, row, LEAT_DELETE, leat_cause_derive(group, entry->word), self->before);
    end_group(self, slot, entry);
    self->idle[self->idle_count++] = slot;
}

static leat_code on_row(group_aggregate *self, uint32_t slot, uint32_t row, leat_error *out_error)
{
    leat_row_kind kind = leat_batch_kind(self->batch, row);
    bool retract = kind == LEAT_UPDATE_BEFORE || kind == LEAT_DELETE;
    leat_pane_entry *entry = leat_pane_find(&self->tables, self->groups, slot);
    if (entry && ran_out(self, entry)) {
        end_group(self, slot, entry);
        entry = NULL;
    }
    bool is_new = !entry;
    if (is_new && retract) {
        self->idle[self->idle_count++] = slot;
        return LEAT_OK;
    }
    if (is_new)
        entry = begin_group(self, slot, row);
    else
        keep_before(self, entry);
    if (!entry)
        return no_budget(self, out_error);
    leat_code code = leat_accumulators_add_row(self->set, self->input, row, retract, accumulator_of(entry),
                                               self->base.context->budget, out_error);
    if (code != LEAT_OK)
        return code;
    leat_pane_mark(&self->tables, self->groups, slot, entry);
    head_of(entry)->last_row_ms = self->base.context->now_ms;
    if (retract && leat_accumulators_rows(self->set, accumulator_of(entry)) == 0)
        delete_group(self, slot, row, entry, is_new);
    else
        send_change(self, slot, row, entry, is_new);
    return LEAT_OK;
}

static void release_slot(group_aggregate *self, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_place(&self->tables, self->groups, slot);
    if ((!entry || entry->state == LEAT_PANE_EMPTY) && leat_keys_live(self->keys, slot))
        leat_keys_release(self->keys, slot);
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    group_aggregate *self = (group_aggregate *)base;
    leat_operator_context *context = base->context;
    leat_eval_begin(&self->eval, batch, context->now_ms);
    self->eval.watermark_ms = context->watermark_ms;
    uint32_t *slots = leat_arena_alloc(&self->eval.scratch, batch->selected * sizeof *slots);
    self->idle = leat_arena_alloc(&self->eval.scratch, batch->selected * sizeof *slots);
    self->idle_count = 0;
    self->batch = batch;
    leat_code code = leat_keys_resolve(self->keys, batch, spec_of(self)->key_columns, slots, out_error);
    if (code != LEAT_OK)
        return code;
    self->input = leat_accumulators_prepare(self->set, &self->eval, batch);
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark)
            leat_emitter_watermark(&self->changes, batch->watermark[row]);
        bool bad = self->eval.bad_count && self->eval.bad[row];
        if (slots[i] == LEAT_SLOT_NONE)
            leat_drops_add(context->drops, LEAT_DROP_TOO_LARGE, bad ? 0 : 1);
        else if (bad)
            self->idle[self->idle_count++] = slots[i];
        else
            code = on_row(self, slots[i], row, out_error);
    }
    if (self->eval.bad_count)
        leat_drops_add(context->drops, LEAT_DROP_EXPRESSION, self->eval.bad_count);
    leat_emitter_watermark(&self->changes, batch->watermark_after);
    leat_emitter_flush(&self->changes);
    for (uint32_t i = 0; i < self->idle_count; i++)
        release_slot(self, self->idle[i]);
    return code;
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    (void)out_error;
    group_aggregate *self = (group_aggregate *)base;
    leat_emitter_watermark(&self->changes, watermark);
    leat_emitter_flush(&self->changes);
    return LEAT_OK;
}

// Removes what ran out, a few times per time to live.
static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    (void)out_error;
    group_aggregate *self = (group_aggregate *)base;
    leat_pane_entry *entry;
    self->wakes = false;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->groups, 0, &slot)); slot++)
        if (entry->state == LEAT_PANE_LIVE && ran_out(self, entry) && end_group(self, slot, entry))
            leat_keys_release(self->keys, slot);
    if (self->groups->used)
        sweep_later(self);
    return LEAT_OK;
}

// ---- state

static void store(group_aggregate *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    leat_writer *out = &self->stored;
    leat_writer_reset(out);
    leat_write_u8(out, VERSION);
    leat_write_u64(out, head_of(entry)->seed);
    leat_write_varint(out, entry->word);
    leat_write_u64(out, (uint64_t)head_of(entry)->last_row_ms);
    leat_accumulators_encode(self->set, accumulator_of(entry), out);
    LEAT_ASSERT(!out->failed);
    snapshot->put(snapshot, TABLE_GROUPS, leat_keys_group(self->keys, slot), leat_keys_bytes(self->keys, slot),
                  leat_writer_slice(out));
}

static void store_slot(group_aggregate *self, leat_snapshot *snapshot, uint32_t slot, leat_pane_entry *entry)
{
    uint32_t group = leat_keys_group(self->keys, slot);
    bool whole = snapshot->whole[group];
    if (entry->state == LEAT_PANE_LIVE) {
        if (!whole && entry->epoch != self->tables.epoch)
            return;
        store(self, snapshot, slot, entry);
        entry->stored |= !snapshot->keep_marks;
        return;
    }
    if (!whole)
        snapshot->remove(snapshot, TABLE_GROUPS, group, leat_keys_bytes(self->keys, slot));
    if (snapshot->keep_marks)
        return;
    leat_pane_erase(&self->tables, self->groups, slot);
    leat_keys_release(self->keys, slot);
}

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    group_aggregate *self = (group_aggregate *)base;
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : self->tables.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->groups, since, &slot)); slot++)
        store_slot(self, snapshot, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&self->tables);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    group_aggregate *self = (group_aggregate *)base;
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    uint8_t version = leat_read_u8(&reader);
    if (version != VERSION || table != TABLE_GROUPS)
        return leat_error_set(out_error, LEAT_E_CORRUPT,
                              "expected stored groups in version %d, found table %u, version %u", VERSION, table,
                              version);
    uint32_t slot;
    bool is_new;
    leat_code code = leat_keys_slot(self->keys, key, &slot, out_error);
    if (code != LEAT_OK)
        return code;
    leat_pane_entry *entry = leat_pane_make(&self->tables, self->groups, slot, &is_new);
    if (!entry)
        return no_budget(self, out_error);
    entry->stored = true;
    head_of(entry)->seed = leat_read_u64(&reader);
    entry->word = leat_read_varint(&reader);
    head_of(entry)->last_row_ms = (int64_t)leat_read_u64(&reader);
    leat_accumulators_init(self->set, accumulator_of(entry));
    code = leat_accumulators_decode(self->set, accumulator_of(entry), &reader, base->context->budget, out_error);
    if (code == LEAT_OK && reader.failed)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored group of %zu bytes is damaged", value.size);
    return code;
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)restored, (void)out_error;
    group_aggregate *self = (group_aggregate *)base;
    leat_panes_next_epoch(&self->tables); // what was restored has not changed
    if (self->groups->used)
        sweep_later(self);
    return LEAT_OK;
}

// ---- life

static leat_code open_keys(group_aggregate *self, leat_error *out_error)
{
    const leat_group_aggregate_spec *spec = spec_of(self);
    leat_operator_context *context = self->base.context;
    leat_type *types = leat_arena_array(context->arena, leat_type, spec->key_count + 1);
    for (uint32_t i = 0; i < spec->key_count; i++)
        types[i] = context->inputs[0]->fields[spec->key_columns[i]].type;
    return leat_keys_create(context->env, context->budget, types, spec->key_count, &self->keys, out_error);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    group_aggregate *self = (group_aggregate *)base;
    leat_operator_context *context = base->context;
    const leat_group_aggregate_spec *spec = context->spec;
    LEAT_ASSERT(context->outputs[0]->count == spec->key_count + spec->aggregate_count);
    self->set = spec->accumulators;
    leat_code code = open_keys(self, out_error);
    if (code != LEAT_OK)
        return code;
    leat_panes_init(&self->tables, context->budget, sizeof(group_head) + leat_accumulators_size(self->set));
    self->groups = leat_panes_open(&self->tables, 0);
    if (!self->groups) {
        code = no_budget(self, out_error);
        leat_panes_fini(&self->tables);
        leat_keys_destroy(self->keys);
        return code;
    }
    self->key_values = leat_arena_array(context->arena, leat_value, spec->key_count + 1);
    self->before = leat_arena_array(context->arena, leat_value, spec->aggregate_count + 1);
    self->after = leat_arena_array(context->arena, leat_value, spec->aggregate_count + 1);
    leat_arena_init(&self->texts, context->env, 0);
    leat_eval_init(&self->eval, context->env);
    leat_emitter_init(&self->changes, context, 0);
    leat_writer_init(&self->stored, context->env, SIZE_MAX);
    return LEAT_OK;
}

static void close_operator(leat_operator *base)
{
    group_aggregate *self = (group_aggregate *)base;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&self->tables, self->groups, 0, &slot)); slot++)
        if (entry->state == LEAT_PANE_LIVE)
            leat_accumulators_release(self->set, accumulator_of(entry), base->context->budget);
    leat_panes_fini(&self->tables);
    leat_emitter_fini(&self->changes);
    leat_eval_fini(&self->eval);
    leat_arena_fini(&self->texts);
    leat_writer_fini(&self->stored);
    leat_keys_destroy(self->keys);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    group_aggregate *self = (group_aggregate *)base;
    *out_keys = leat_keys_count(self->keys);
    *out_state_bytes = leat_keys_memory(self->keys) + leat_panes_memory(&self->tables);
}

const leat_operator_ops leat_operator_group_aggregate_ops = {
    .name = "group_aggregate",
    .instance_size = sizeof(group_aggregate),
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
