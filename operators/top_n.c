// Top-N: the rows `from` to `to` of each key in an order, as a changelog that changes with every row.
//
// Ties stay in order of arrival. With the rank in the output, or a first rank above 1, a row that comes or goes shifts the
// rows behind it, rank by rank: -U of the row that stood there, +U of the one that stands there now; the last shift is +I or -D where the list
// has become longer or shorter. Without, a row that comes is +I and the one that it pushes out -D before it. Top-1 is an update of one row.
// A retraction takes out the first row that is equal to it; one that finds none is ignored.
//
// Inputs: APPEND keeps `to` rows a key; RETRACT keeps all; UPDATE (rows of a unique key that only rise, such as counts in descending
// order) keeps `to` rows and passes over -U: the new row of a unique key takes the old one's place.
//
// Causes derive from that of the row that came, and count what it made. Time to live: each row for itself, from its last write.
//
// Where rows are only added and few are kept, they lie in the key's entry (top_n_append.c), else in lists (state/sorted.h).
//
// Most rows of a stream do not get among the first ones. Where rows are only added and never run out, each key has a bound beside its
// rows: what its last row's order begins with. A batch is held against the bounds column by column, and only rows that may get in
// are looked at further. A bound that is not known passes everything, so it is no part of the state.
//
// Stored: table 0: rows (state/sorted.h), in one form for both.
#include "operators/top_n.h"

#include <string.h>

enum { TABLE_ROWS = 0, AHEAD = 24, BOUNDS_LARGE = 1 << 15 };

// ---- results

static void send(leat_top_n *self, const leat_sorted_row *row, leat_row_kind kind, int64_t rank)
{
    if (!leat_top_n_wanted(self, kind, rank))
        return;
    uint32_t out = leat_row_frame_send(&self->frame, row, kind, leat_top_n_cause(self));
    leat_value value = {.i64 = rank};
    if (self->spec->rank_output)
        leat_emitter_set(&self->frame.results, out, self->frame.input->count, &value);
}

static leat_sorted_row *at(const leat_top_n *self, int64_t rank)
{
    return leat_sorted_get(&self->frame.rows, self->slot, (uint32_t)(rank - 1));
}

static int64_t count_of(const leat_top_n *self) { return leat_sorted_count(&self->frame.rows, self->slot); }

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// The list has become longer by the row at `rank`.
static void shift_down(leat_top_n *self, int64_t rank)
{
    int64_t last = smaller(count_of(self), self->spec->to);
    for (int64_t r = rank; r <= last; r++) {
        if (r == count_of(self)) {
            send(self, at(self, r), LEAT_INSERT, r);
            break;
        }
        send(self, at(self, r + 1), LEAT_UPDATE_BEFORE, r);
        send(self, at(self, r), LEAT_UPDATE_AFTER, r);
    }
}

// The list has become shorter by `gone`, which stood at `rank`.
static void shift_up(leat_top_n *self, const leat_sorted_row *gone, int64_t rank)
{
    for (int64_t r = rank; r <= self->spec->to; r++) {
        const leat_sorted_row *before = r == rank ? gone : at(self, r - 1);
        if (r > count_of(self)) {
            send(self, before, LEAT_DELETE, r);
            break;
        }
        send(self, before, LEAT_UPDATE_BEFORE, r);
        send(self, at(self, r), LEAT_UPDATE_AFTER, r);
    }
}

// ---- rows come and go

static void drop_beyond(leat_top_n *self)
{
    while (self->spec->input != LEAT_TOP_N_RETRACT && count_of(self) > self->spec->to)
        leat_row_frame_drop(&self->frame, self->slot, (uint32_t)count_of(self) - 1);
}

static void announce(leat_top_n *self, int64_t rank)
{
    int64_t to = self->spec->to;
    if (self->top_1 && count_of(self) > 1) {
        send(self, at(self, 2), LEAT_UPDATE_BEFORE, 1);
        send(self, at(self, 1), LEAT_UPDATE_AFTER, 1);
    } else if (self->ranked) {
        shift_down(self, rank);
    } else {
        if (count_of(self) > to)
            send(self, at(self, to + 1), LEAT_DELETE, to);
        send(self, at(self, rank), LEAT_INSERT, rank);
    }
}

// A row that got no further than to the last one: its order is at hand.
static void set_exact_bound(leat_top_n *self)
{
    if (self->bounded && count_of(self) >= self->spec->to)
        self->bounds[self->slot] =
            ~leat_order_prefix(leat_sorted_order(at(self, self->spec->to)), &self->spec->orders[0]);
}

// Without a look at the row, which most often lies in no cache: its lowest bit is taken for the one that lets more rows pass.
static void set_bound(leat_top_n *self)
{
    if (!self->bounded || count_of(self) < self->spec->to)
        return;
    uint64_t prefix = leat_sorted_prefix(&self->frame.rows, self->slot, (uint32_t)self->spec->to - 1);
    bool is_null = (prefix >> 63) == self->spec->orders[0].nulls_last;
    uint64_t null_prefix = self->spec->orders[0].nulls_last ? UINT64_MAX : 0;
    self->bounds[self->slot] = ~(is_null ? null_prefix : prefix << 1 | 1);
}

static leat_code insert(leat_top_n *self, leat_slice order, leat_error *out_error)
{
    uint32_t index = leat_sorted_upper(&self->frame.rows, self->slot, order);
    if (self->spec->input != LEAT_TOP_N_RETRACT && index >= self->spec->to) {
        set_exact_bound(self);
        return LEAT_OK;
    }
    if (!leat_row_frame_keep(&self->frame, self->batch, self->row, self->slot, order, &index))
        return leat_row_frame_no_budget(&self->frame, out_error);
    if (index < self->spec->to)
        announce(self, (int64_t)index + 1);
    drop_beyond(self);
    set_bound(self);
    return LEAT_OK;
}

static void retract(leat_top_n *self, leat_slice order)
{
    leat_slice bytes = leat_row_frame_encode(&self->frame, self->batch, self->row);
    uint32_t index = leat_sorted_lower(&self->frame.rows, self->slot, order),
             end = leat_sorted_upper(&self->frame.rows, self->slot, order);
    int64_t to = self->spec->to;
    while (index < end &&
           !leat_slice_equal(leat_sorted_bytes(leat_sorted_get(&self->frame.rows, self->slot, index)), bytes))
        index++;
    if (index == end)
        return;
    leat_sorted_row *gone = leat_sorted_remove(&self->frame.rows, self->slot, index);
    if (self->ranked) {
        shift_up(self, gone, (int64_t)index + 1);
    } else if (index < to) {
        send(self, gone, LEAT_DELETE, (int64_t)index + 1);
        if (count_of(self) >= to)
            send(self, at(self, to), LEAT_INSERT, to);
    }
    leat_sorted_free(&self->frame.rows, gone);
}

// ---- rows of a unique key that rise

static bool same_unique(leat_top_n *self, const leat_sorted_row *kept)
{
    const leat_value *values = leat_row_frame_decode(&self->frame, leat_sorted_bytes(kept));
    for (uint32_t i = 0; i < self->spec->unique_count; i++) {
        uint32_t column = self->spec->unique_columns[i];
        leat_value value = leat_column_value(&self->batch->columns[column], self->row);
        if (!leat_value_equal(self->frame.input->fields[column].type, &value, &values[column]))
            return false;
    }
    return true;
}

static int64_t rank_of_unique(leat_top_n *self)
{
    int64_t count = count_of(self);
    for (int64_t r = 1; r <= count; r++)
        if (same_unique(self, at(self, r)))
            return r;
    return 0;
}

// The row at `now` stood at `before`, with other contents: those between move by one.
static void announce_rise(leat_top_n *self, const leat_sorted_row *old, int64_t before, int64_t now)
{
    if (!self->ranked || now >= before) {
        send(self, old, LEAT_UPDATE_BEFORE, before);
        send(self, at(self, now), LEAT_UPDATE_AFTER, self->ranked ? now : before);
        return;
    }
    for (int64_t r = now; r <= before; r++) {
        if (r < before)
            send(self, at(self, r + 1), LEAT_UPDATE_BEFORE, r);
        if (r == now)
            send(self, old, LEAT_UPDATE_BEFORE, before);
        send(self, at(self, r), LEAT_UPDATE_AFTER, r);
    }
}

// A row that has fallen, which only lost state upstream can cause: every rank between is told anew.
static void announce_fall(leat_top_n *self, const leat_sorted_row *old, int64_t before, int64_t now)
{
    send(self, old, LEAT_UPDATE_BEFORE, before);
    for (int64_t r = before; r < now; r++) {
        send(self, at(self, r), LEAT_UPDATE_BEFORE, r + 1);
        send(self, at(self, r), LEAT_UPDATE_AFTER, r);
    }
    send(self, at(self, now), LEAT_UPDATE_AFTER, now);
}

static leat_code replace(leat_top_n *self, leat_slice order, int64_t before, leat_error *out_error)
{
    uint32_t index;
    leat_sorted_row *old = leat_sorted_remove(&self->frame.rows, self->slot, (uint32_t)before - 1);
    uint64_t sequence = self->frame.rows.next_sequence;
    if (leat_slice_equal(order, leat_sorted_order(old))) // keeps its place among equals
        self->frame.rows.next_sequence = old->sequence;
    bool kept = leat_row_frame_keep(&self->frame, self->batch, self->row, self->slot, order, &index);
    if (self->frame.rows.next_sequence < sequence)
        self->frame.rows.next_sequence = sequence;
    if (kept && self->ranked && index >= before)
        announce_fall(self, old, before, (int64_t)index + 1);
    else if (kept)
        announce_rise(self, old, before, (int64_t)index + 1);
    leat_sorted_free(&self->frame.rows, old);
    return kept ? LEAT_OK : leat_row_frame_no_budget(&self->frame, out_error);
}

// Of one row only a better one is an update.
static leat_code update_top_1(leat_top_n *self, leat_slice order, leat_error *out_error)
{
    leat_slice best = count_of(self) ? leat_sorted_order(at(self, 1)) : (leat_slice){0};
    if (count_of(self) && leat_slice_compare(order, best) >= 0)
        return LEAT_OK;
    return insert(self, order, out_error);
}

static leat_code update(leat_top_n *self, leat_slice order, leat_error *out_error)
{
    if (self->top_1)
        return update_top_1(self, order, out_error);
    int64_t before = rank_of_unique(self);
    return before ? replace(self, order, before, out_error) : insert(self, order, out_error);
}

// ---- elements

static leat_code on_row(leat_top_n *self, uint64_t prefix, leat_error *out_error)
{
    if (self->append)
        return leat_top_n_append(self, prefix, out_error);
    leat_row_kind kind = leat_batch_kind(self->batch, self->row);
    leat_slice order =
        leat_row_frame_order(&self->frame, self->batch, self->row, self->spec->orders, self->spec->order_count);
    self->made = 0;
    leat_row_frame_expire(&self->frame, self->slot);
    if (self->spec->input == LEAT_TOP_N_UPDATE && kind == LEAT_UPDATE_BEFORE)
        return LEAT_OK;
    if (kind == LEAT_UPDATE_BEFORE || kind == LEAT_DELETE)
        retract(self, order);
    else
        return self->spec->input == LEAT_TOP_N_UPDATE ? update(self, order, out_error) : insert(self, order, out_error);
    return LEAT_OK;
}

static leat_code bound_room(leat_top_n *self, leat_error *out_error)
{
    uint32_t room = leat_keys_capacity(self->frame.keys);
    if (room <= self->bound_room)
        return LEAT_OK;
    uint64_t *bounds = leat_budget_grow(self->base.context->budget, self->bounds, self->bound_room * sizeof *bounds,
                                        room * sizeof *bounds);
    if (!bounds)
        return leat_row_frame_no_budget(&self->frame, out_error);
    self->bounds = bounds;
    self->bound_room = room;
    return LEAT_OK;
}

// Which is behind the bound is anyone's guess, so rows are listed without branches.
static uint32_t list_passed(leat_top_n *self, const leat_batch *batch)
{
    const uint32_t *slots = self->frame.slots;
    const uint64_t *bounds = self->bounds, *prefixes = self->prefixes;
    uint32_t count = batch->selected, passed = 0;
    bool ahead = self->bound_room > BOUNDS_LARGE;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t prefix = ~prefixes[i], bound = bounds[slots[i]];
        if (ahead)
            __builtin_prefetch(&bounds[slots[i + AHEAD < count ? i + AHEAD : i]], 1);
        bool equal = prefix == bound && self->prefix_only && prefix - 1 < UINT64_MAX - 1; // neither is that of a NULL
        self->passed[passed] = i;
        self->passed_slots[passed] = slots[i];
        passed += (prefix >= bound) & !equal;
    }
    return passed;
}

// With the first rows: rules that nothing comes to stay small.
static void open_lists(leat_top_n *self)
{
    leat_arena *arena = self->base.context->arena;
    self->prefixes = leat_arena_array(arena, uint64_t, LEAT_BATCH_ROWS);
    self->passed = leat_arena_array(arena, uint32_t, LEAT_BATCH_ROWS);
    self->passed_slots = leat_arena_array(arena, uint32_t, LEAT_BATCH_ROWS);
}

static leat_code begin_bounds(leat_top_n *self, leat_batch *batch, leat_error *out_error)
{
    leat_code code = bound_room(self, out_error);
    if (code != LEAT_OK)
        return code;
    if (!self->prefixes)
        open_lists(self);
    leat_order_prefixes(batch, &self->spec->orders[0], self->prefixes);
    if (self->append)
        leat_top_rows_begin(&self->rows, batch);
    return LEAT_OK;
}

static inline void prefetch(const leat_top_n *self, const uint32_t *slots, uint32_t i, uint32_t count)
{
    if (self->append)
        leat_top_rows_prefetch(&self->rows, slots, i, count);
    else
        leat_sorted_prefetch(&self->frame.rows, slots, i, count);
}

static leat_code add_passed(leat_top_n *self, leat_batch *batch, leat_error *out_error)
{
    uint32_t passed = list_passed(self, batch);
    leat_code code = LEAT_OK;
    for (uint32_t n = 0; n < passed && code == LEAT_OK; n++) {
        prefetch(self, self->passed_slots, n, passed);
        self->row = leat_batch_row(batch, self->passed[n]);
        self->slot = self->passed_slots[n];
        if (~self->prefixes[self->passed[n]] < self->bounds[self->slot])
            continue; // since the rows before it
        if (batch->watermark)
            leat_emitter_watermark(&self->frame.results, batch->watermark[self->row]);
        code = on_row(self, self->prefixes[self->passed[n]], out_error);
    }
    return code;
}

static leat_code add_all(leat_top_n *self, leat_batch *batch, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < batch->selected && code == LEAT_OK; i++) {
        self->row = leat_batch_row(batch, i);
        if (!self->append)
            leat_sorted_prefetch(&self->frame.rows, self->frame.slots, i, batch->selected);
        if (batch->watermark)
            leat_emitter_watermark(&self->frame.results, batch->watermark[self->row]);
        if (!leat_row_frame_slot(&self->frame, i, &self->slot))
            continue;
        code = on_row(self, self->bounded ? self->prefixes[i] : 0, out_error);
        if (!self->append && !leat_sorted_count(&self->frame.rows, self->slot))
            leat_row_frame_idle(&self->frame, self->slot);
    }
    return code;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input;
    leat_top_n *self = (leat_top_n *)base;
    leat_code code = leat_row_frame_resolve(&self->frame, batch, self->spec->key_columns, out_error);
    self->batch = batch;
    bool passes = self->bounded && !batch->row_kind && !leat_keys_refused(self->frame.keys);
    if (code == LEAT_OK && self->bounded)
        code = begin_bounds(self, batch, out_error);
    if (code == LEAT_OK)
        code = passes ? add_passed(self, batch, out_error) : add_all(self, batch, out_error);
    return leat_row_frame_finish(&self->frame, batch->watermark_after, code, out_error);
}

static leat_code on_watermark(leat_operator *base, int64_t watermark, leat_error *out_error)
{
    return leat_row_frame_finish(&((leat_top_n *)base)->frame, watermark, LEAT_OK, out_error);
}

static leat_code on_time(leat_operator *base, leat_error *out_error)
{
    leat_top_n *self = (leat_top_n *)base;
    leat_row_frame_sweep(&self->frame);
    return leat_row_frame_finish(&self->frame, LEAT_TIME_NONE, LEAT_OK, out_error);
}

// ---- state and life

static void snapshot_state(leat_operator *base, leat_snapshot *snapshot)
{
    leat_top_n *self = (leat_top_n *)base;
    if (self->append)
        leat_top_rows_snapshot(&self->rows, snapshot, TABLE_ROWS);
    else
        leat_row_frame_snapshot(&self->frame, snapshot, TABLE_ROWS);
}

static leat_code restore(leat_operator *base, uint8_t table, uint32_t group, leat_slice key, leat_slice value,
                         leat_error *out_error)
{
    (void)group;
    if (table != TABLE_ROWS)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "Top-N has no table %u", table);
    leat_top_n *self = (leat_top_n *)base;
    return self->append ? leat_top_n_append_restore(self, key, value, out_error)
                        : leat_row_frame_restore(&self->frame, key, value, out_error);
}

static leat_code ready(leat_operator *base, bool restored, leat_error *out_error)
{
    (void)restored, (void)out_error;
    leat_top_n *self = (leat_top_n *)base;
    if (self->frame.rows.count)
        leat_row_frame_wake(&self->frame);
    return LEAT_OK;
}

static void open_bounds(leat_top_n *self)
{
    const leat_top_n_spec *spec = self->spec;
    leat_operator_context *context = self->base.context;
    bool first = spec->order_count && leat_order_has_prefix(context->inputs[0]->fields[spec->orders[0].column].type);
    self->bounded = first && spec->input == LEAT_TOP_N_APPEND && !spec->state_ttl_ms;
    if (!self->bounded)
        return;
    leat_type type = context->inputs[0]->fields[spec->orders[0].column].type;
    self->prefix_only = spec->order_count == 1 && leat_type_physical(type) != LEAT_PHYSICAL_I128;
    self->append = leat_top_rows_fits(context->inputs[0], (uint64_t)spec->to);
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    leat_top_n *self = (leat_top_n *)base;
    const leat_top_n_spec *spec = self->spec = base->context->spec;
    LEAT_ASSERT(spec->from >= 1 && spec->to >= spec->from && spec->to < UINT32_MAX);
    LEAT_ASSERT(base->context->outputs[0]->count == base->context->inputs[0]->count + spec->rank_output);
    self->ranked = spec->rank_output || spec->from > 1;
    self->top_1 = spec->to == 1 && spec->input != LEAT_TOP_N_RETRACT;
    open_bounds(self);
    leat_code code = leat_row_frame_open(&self->frame, base->context, spec->key_count, spec->key_columns,
                                         spec->state_ttl_ms, out_error);
    return code == LEAT_OK && self->append ? leat_top_n_append_open(self, out_error) : code;
}

static void close_operator(leat_operator *base)
{
    leat_top_n *self = (leat_top_n *)base;
    leat_budget_free(base->context->budget, self->bounds, self->bound_room * sizeof *self->bounds);
    leat_top_rows_fini(&self->rows);
    leat_row_frame_close(&self->frame);
}

static void measure(leat_operator *base, uint64_t *out_state_bytes, uint64_t *out_keys)
{
    leat_top_n *self = (leat_top_n *)base;
    leat_row_frame_measure(&self->frame, out_state_bytes, out_keys);
    *out_state_bytes += self->bound_room * sizeof *self->bounds;
    if (self->append)
        *out_state_bytes += leat_top_rows_memory(&self->rows);
}

const leat_operator_ops leat_operator_top_n_ops = {
    .name = "top_n",
    .instance_size = sizeof(leat_top_n),
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
