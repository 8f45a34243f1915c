// Joins without a bound in time: both inputs are kept, every row meets all partners that are there, and the result is a changelog.
//
// An outer row that meets nobody is padded (+I); when its first partner comes the padding is taken back (-D), and comes again when the
// last one goes. For each row kept of an outer side it is counted how many partners it has. Changes that an inner join makes keep the
// kind of the row that made them; outer joins send +I and -D only. SEMI and ANTI send left rows, when their first partner comes or the last
// one goes. Equal rows are kept once, with how often they are there; rows with a unique key replace each other.
//
// Time to live is processing time since a row was last written; one that ran out is gone for both sides, silently.
//
// Order: paddings that are taken back, then pairs, by arrival of the partner; for a retraction pairs, then new paddings.
// The cause of a change derives from the row that made it, its input, and the place among its changes.
//
// Stored: tables 0 and 1: rows, left and right (state/rows.h; matches: partners of the other side).
#include "operators/join_frame.h"

enum { SWEEP_STEPS = 32 };

typedef struct join_regular {
    leat_operator base;
    leat_join_frame frame;
    leat_rows rows[2];
    leat_kept_row **partners; // of the row that is handled
    uint32_t partner_count, partner_room;
    uint64_t cause, ordinal;
    bool wakes;
} join_regular;

static const leat_join_regular_spec *spec_of(const join_regular *self) { return self->base.context->spec; }
static bool accumulates(leat_row_kind kind) { return kind == LEAT_INSERT || kind == LEAT_UPDATE_AFTER; }
static leat_slice bytes_of(const leat_kept_row *row) { return leat_slice_of(row->bytes, row->size); }

// A row with a unique key has that before its columns.
static leat_slice columns_of(const join_regular *self, unsigned side, const leat_kept_row *row)
{
    size_t skip = spec_of(self)->unique_counts[side] ? row->identity : 0;
    leat_slice bytes = bytes_of(row);
    return leat_slice_of(bytes.data + skip, bytes.size - skip);
}

// Whether partners are counted on that side.
static bool counts_partners(const join_regular *self, unsigned side)
{
    bool left_only = self->frame.sides->kind >= LEAT_JOIN_SEMI;
    return left_only ? side == LEAT_LEFT : leat_join_outer(&self->frame, side);
}

static leat_code no_budget(const join_regular *self, leat_error *out_error)
{
    return leat_join_no_budget(&self->frame, out_error);
}

// ---- results

static void emit(join_regular *self, bool left, bool right, leat_row_kind kind)
{
    unsigned input = self->frame.input;
    leat_join_emit(&self->frame, left, right, kind, self->frame.event_ms[input],
                   leat_cause_derive(self->cause, self->ordinal++));
}

// `side` alone: padded, or the left row of SEMI and ANTI.
static void emit_alone(join_regular *self, unsigned side, leat_row_kind kind)
{
    emit(self, side == LEAT_LEFT, side == LEAT_RIGHT, kind);
}

static void load(join_regular *self, unsigned side, const leat_kept_row *row)
{
    leat_join_load(&self->frame, side, columns_of(self, side, row));
}

// ---- partners

static bool partners_room(join_regular *self)
{
    if (self->partner_count < self->partner_room)
        return true;
    uint32_t room = self->partner_room ? self->partner_room * 2 : 16;
    void *grown = leat_budget_grow(self->base.context->budget, self->partners,
                                   self->partner_room * sizeof *self->partners, room * sizeof *self->partners);
    if (!grown)
        return false;
    self->partners = grown;
    self->partner_room = room;
    return true;
}

static leat_code find_partners(join_regular *self, unsigned side, uint32_t slot, leat_error *out_error)
{
    leat_rows *rows = &self->rows[side];
    int64_t now = self->base.context->now_ms;
    self->partner_count = 0;
    for (leat_kept_row *row = leat_rows_first(rows, slot), *next; row; row = next) {
        next = row->next;
        if (row->expiry_ms <= now) {
            leat_rows_remove(rows, slot, row);
            continue;
        }
        load(self, side, row);
        if (!leat_join_meets(&self->frame))
            continue;
        for (uint32_t copy = 0; copy < row->copies; copy++) {
            if (!partners_room(self))
                return no_budget(self, out_error);
            self->partners[self->partner_count++] = row;
        }
    }
    return LEAT_OK;
}

static void touch(join_regular *self, unsigned side, uint32_t slot, leat_kept_row *row)
{
    int64_t ttl = spec_of(self)->state_ttl_ms[side];
    if (ttl)
        row->expiry_ms = self->base.context->now_ms + ttl;
    leat_rows_change(&self->rows[side], slot, row);
}

// Copies of a row have the same count: it is moved once.
static void count_partner(join_regular *self, unsigned side, uint32_t slot, uint32_t index, int32_t by)
{
    leat_kept_row *row = self->partners[index];
    if (index + 1 < self->partner_count && self->partners[index + 1] == row)
        return;
    row->matches += by;
    touch(self, side, slot, row);
}

// ---- the row's own side

static leat_kept_row *find_own(join_regular *self, unsigned side, uint32_t slot, leat_slice *out_bytes,
                               size_t *out_identity)
{
    const leat_join_regular_spec *spec = spec_of(self);
    *out_bytes =
        leat_join_encode_unique(&self->frame, spec->unique_columns[side], spec->unique_counts[side], out_identity);
    leat_kept_row *row = leat_rows_find(&self->rows[side], slot, leat_slice_of(out_bytes->data, *out_identity));
    if (!row || row->expiry_ms > self->base.context->now_ms)
        return row;
    leat_rows_remove(&self->rows[side], slot, row);
    return NULL;
}

static leat_code add_own(join_regular *self, unsigned side, uint32_t slot, uint32_t partners, leat_error *out_error)
{
    leat_slice bytes;
    size_t identity;
    leat_kept_row *row = find_own(self, side, slot, &bytes, &identity);
    bool copy = row && !spec_of(self)->unique_counts[side];
    if (row && !copy)
        leat_rows_remove(&self->rows[side], slot, row);
    if (copy)
        row->copies++;
    else
        row = self->frame.encoded.failed ? NULL : leat_rows_add(&self->rows[side], slot, 0, bytes, identity);
    if (!row)
        return no_budget(self, out_error);
    row->matches = (int32_t)partners;
    touch(self, side, slot, row);
    return LEAT_OK;
}

static void retract_own(join_regular *self, unsigned side, uint32_t slot)
{
    leat_slice bytes;
    size_t identity;
    leat_kept_row *row = find_own(self, side, slot, &bytes, &identity);
    if (row && row->copies > 1) {
        row->copies--;
        touch(self, side, slot, row);
    } else if (row) {
        leat_rows_remove(&self->rows[side], slot, row);
    }
}

// ---- INNER and outer joins

static void emit_pairs(join_regular *self, unsigned other, leat_row_kind kind)
{
    for (uint32_t i = 0; i < self->partner_count; i++) {
        load(self, other, self->partners[i]);
        emit(self, true, true, kind);
    }
}

static void take_back_paddings(join_regular *self, unsigned other, uint32_t slot)
{
    for (uint32_t i = 0; i < self->partner_count; i++) {
        if (!self->partners[i]->matches) {
            load(self, other, self->partners[i]);
            emit_alone(self, other, LEAT_DELETE);
        }
        count_partner(self, other, slot, i, 1);
    }
}

static void pad_again(join_regular *self, unsigned other, uint32_t slot)
{
    for (uint32_t i = 0; i < self->partner_count; i++) {
        if (self->partners[i]->matches == 1) {
            load(self, other, self->partners[i]);
            emit_alone(self, other, LEAT_INSERT);
        }
        count_partner(self, other, slot, i, -1);
    }
}

static leat_code accumulate(join_regular *self, unsigned side, uint32_t slot, leat_row_kind kind, leat_error *out_error)
{
    unsigned other = !side;
    bool own_outer = leat_join_outer(&self->frame, side), other_outer = leat_join_outer(&self->frame, other);
    if (own_outer && !self->partner_count)
        emit_alone(self, side, LEAT_INSERT);
    if (other_outer)
        take_back_paddings(self, other, slot);
    emit_pairs(self, other, own_outer || other_outer ? LEAT_INSERT : kind);
    return add_own(self, side, slot, self->partner_count, out_error);
}

static void retract(join_regular *self, unsigned side, uint32_t slot, leat_row_kind kind)
{
    unsigned other = !side;
    bool own_outer = leat_join_outer(&self->frame, side);
    retract_own(self, side, slot);
    if (own_outer && !self->partner_count)
        emit_alone(self, side, LEAT_DELETE);
    emit_pairs(self, other, own_outer ? LEAT_DELETE : kind);
    if (leat_join_outer(&self->frame, other))
        pad_again(self, other, slot);
}

// ---- SEMI and ANTI

static leat_code handle_left(join_regular *self, uint32_t slot, leat_row_kind kind, leat_error *out_error)
{
    bool anti = self->frame.sides->kind == LEAT_JOIN_ANTI;
    if (anti == !self->partner_count)
        emit_alone(self, LEAT_LEFT, kind);
    if (accumulates(kind))
        return add_own(self, LEAT_LEFT, slot, self->partner_count, out_error);
    retract_own(self, LEAT_LEFT, slot);
    return LEAT_OK;
}

static leat_code handle_right(join_regular *self, uint32_t slot, leat_row_kind kind, leat_error *out_error)
{
    bool anti = self->frame.sides->kind == LEAT_JOIN_ANTI, adds = accumulates(kind);
    leat_code code = adds ? add_own(self, LEAT_RIGHT, slot, 0, out_error) : LEAT_OK;
    if (!adds)
        retract_own(self, LEAT_RIGHT, slot);
    for (uint32_t i = 0; i < self->partner_count && code == LEAT_OK; i++) {
        if (self->partners[i]->matches == (adds ? 0 : 1)) {
            load(self, LEAT_LEFT, self->partners[i]);
            emit_alone(self, LEAT_LEFT, !anti ? kind : adds ? LEAT_DELETE : LEAT_INSERT);
        }
        count_partner(self, LEAT_LEFT, slot, i, adds ? 1 : -1);
    }
    return code;
}

// ---- rows

static leat_code handle(join_regular *self, unsigned side, uint32_t slot, leat_row_kind kind, leat_error *out_error)
{
    leat_code code = find_partners(self, !side, slot, out_error);
    if (code != LEAT_OK)
        return code;
    if (self->frame.sides->kind >= LEAT_JOIN_SEMI)
        return side == LEAT_LEFT ? handle_left(self, slot, kind, out_error) : handle_right(self, slot, kind, out_error);
    if (accumulates(kind))
        return accumulate(self, side, slot, kind, out_error);
    retract(self, side, slot, kind);
    return LEAT_OK;
}

// Rows that can meet nobody and are not told alone need not be kept.
static bool is_kept(const join_regular *self, unsigned side)
{
    return !self->frame.meets_nobody || counts_partners(self, side);
}

static leat_code on_row(join_regular *self, unsigned side, uint32_t i, leat_error *out_error)
{
    const leat_batch *batch = self->frame.batch;
    uint32_t row = leat_batch_row(batch, i), slot;
    if (batch->watermark) {
        leat_emitter_watermark(&self->frame.results, batch->watermark[row]);
        self->frame.watermark_ms = batch->watermark[row];
    }
    if (!leat_join_take(&self->frame, i, &row, &slot))
        return LEAT_OK;
    leat_join_may_be_empty(&self->frame, slot);
    self->cause = leat_hash_combine(batch->cause ? batch->cause[row] : 0, 0x6a00 + side);
    self->ordinal = 0;
    return is_kept(self, side) ? handle(self, side, slot, leat_batch_kind(batch, row), out_error) : LEAT_OK;
}

// ---- elements

static bool lives_for_ever(const join_regular *self)
{
    return !spec_of(self)->state_ttl_ms[LEAT_LEFT] && !spec_of(self)->state_ttl_ms[LEAT_RIGHT];
}

static void sweep(join_regular *self)
{
    for (unsigned side = 0; side < 2 && !lives_for_ever(self); side++) {
        uint32_t steps = SWEEP_STEPS, slot;
        while ((slot = leat_rows_sweep(&self->rows[side], self->base.context->now_ms, &steps)) != LEAT_SLOT_NONE)
            leat_join_may_be_empty(&self->frame, slot);
    }
}

static leat_code end_element(join_regular *self, int64_t watermark, leat_code code, leat_error *out_error)
{
    leat_emitter_watermark(&self->frame.results, watermark);
    if (watermark > self->frame.watermark_ms)
        self->frame.watermark_ms = watermark;
    sweep(self);
    leat_join_end(&self->frame);
    if (code == LEAT_OK && (leat_rows_failed(&self->rows[LEAT_LEFT]) || leat_rows_failed(&self->rows[LEAT_RIGHT])))
        return leat_error_set(out_error, LEAT_E_LIMIT, "no memory to note the rows that left a join");
    return code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    join_regular *self = (join_regular *)base;
    leat_code code = batch->selected ? leat_join_begin(&self->frame, input, batch, out_error) : LEAT_OK;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        leat_rows_prefetch(&self->rows[LEAT_LEFT], self->frame.slots, i, batch->selected);
        leat_rows_prefetch(&self->rows[LEAT_RIGHT], self->frame.slots, i, batch->selected);
        code = on_row(self, input, i, out_error);
    }
    return end_element(self, batch->watermark_after, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    return end_element((join_regular *)base, watermark, LEAT_OK, out_error);
}

// ---- state

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    join_regular *self = (join_regular *)base;
    leat_join_snapshot(&self->frame, self->rows, snapshot);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    join_regular *self = (join_regular *)base;
    const uint32_t *counts = spec_of(self)->unique_counts;
    const bool unique[] = {counts[LEAT_LEFT] > 0, counts[LEAT_RIGHT] > 0};
    return leat_join_restore(&self->frame, self->rows, unique, table, key, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)out_error;
    join_regular *self = (join_regular *)base;
    leat_rows_ready(&self->rows[LEAT_LEFT]);
    leat_rows_ready(&self->rows[LEAT_RIGHT]);
    if (restored) {
        self->frame.watermark_ms = base->context->watermark_ms;
        self->frame.results.watermark = self->frame.results.watermark_sent = base->context->watermark_ms;
    }
    return LEAT_OK;
}

// ---- life

static bool release(void *owner, uint32_t slot, bool *out_waiting)
{
    join_regular *self = owner;
    *out_waiting = false;
    return !leat_rows_any(&self->rows[LEAT_LEFT], slot) && !leat_rows_any(&self->rows[LEAT_RIGHT], slot);
}

static void release_state(join_regular *self)
{
    leat_rows_fini(&self->rows[LEAT_LEFT]);
    leat_rows_fini(&self->rows[LEAT_RIGHT]);
    leat_budget_free(self->base.context->budget, self->partners, self->partner_room * sizeof *self->partners);
    leat_join_close(&self->frame);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    join_regular *self = (join_regular *)base;
    leat_operator_context *context = base->context;
    leat_code code = leat_join_open(&self->frame, context, &spec_of(self)->sides, out_error);
    if (code != LEAT_OK)
        return code;
    self->frame.release = release;
    self->frame.owner = self;
    bool made = true;
    for (unsigned side = 0; side < 2 && made; side++)
        made = leat_rows_init(&self->rows[side], context->budget, context->env, self->frame.keys, false, true);
    if (made)
        return LEAT_OK;
    code = no_budget(self, out_error);
    release_state(self);
    return code;
}

static void close_operator(leat_operator *base) { release_state((join_regular *)base); }

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    const join_regular *self = (join_regular *)base;
    *out_state_bytes = leat_keys_memory(self->frame.keys) + leat_rows_memory(&self->rows[LEAT_LEFT]) +
                       leat_rows_memory(&self->rows[LEAT_RIGHT]);
    *out_keys = leat_keys_count(self->frame.keys);
}

const leat_operator_ops leat_operator_join_regular_ops = {
    .name = "join_regular",
    .instance_size = sizeof(join_regular),
    .open = open_operator,
    .on_batch = on_batch,
    .on_watermark = on_watermark,
    .snapshot = snapshot_state,
    .restore = restore,
    .ready = ready,
    .close = close_operator,
    .measure = measure,
};
