// Top-N where rows are only added and never run out, and few are kept: they lie in the key's entry (state/top_rows.h), column by column,
// and no row is encoded before a snapshot. The results are those of top_n.c, told before the list changes.
#include "operators/top_n.h"

static leat_code no_budget(const leat_top_n *self, leat_error *out_error)
{
    return leat_error_set(
        out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes does not hold the %llu rows kept for %u keys",
        self->base.context->budget->limit, (unsigned long long)self->rows.count, leat_keys_count(self->frame.keys));
}

// ---- results

static void send(leat_top_n *self, const leat_top_row *row, leat_row_kind kind, int64_t rank)
{
    if (!leat_top_n_wanted(self, kind, rank))
        return;
    leat_emitter *results = &self->frame.results;
    uint32_t out = leat_emitter_row(results, row->time_ms, kind, leat_top_n_cause(self));
    leat_row_layout_copy_all(&self->rows.layout, row->cells, results->batch->columns, out, &results->batch->arena);
    leat_value value = {.i64 = rank};
    if (self->spec->rank_output)
        leat_emitter_set(results, out, self->frame.input->count, &value);
}

// Ranks from 1, that of the coming row is `rank`: it and the rows behind it move down by one.
static void shift_down(leat_top_n *self, const leat_top_list *list, int64_t rank)
{
    const leat_top_row *moving = self->rows.coming;
    for (int64_t r = rank; r <= self->spec->to; r++) {
        if (r > list->count) {
            send(self, moving, LEAT_INSERT, r);
            break;
        }
        const leat_top_row *stood = leat_top_rows_at(&self->rows, list, (uint32_t)r - 1);
        send(self, stood, LEAT_UPDATE_BEFORE, r);
        send(self, moving, LEAT_UPDATE_AFTER, r);
        moving = stood;
    }
}

static void announce(leat_top_n *self, const leat_top_list *list, int64_t rank)
{
    bool full = list->count == self->spec->to;
    if (self->ranked || self->top_1) {
        shift_down(self, list, rank);
        return;
    }
    if (full)
        send(self, leat_top_rows_at(&self->rows, list, list->count - 1u), LEAT_DELETE, list->count);
    send(self, self->rows.coming, LEAT_INSERT, rank);
}

// ---- rows

static void set_bound(leat_top_n *self, const leat_top_list *list)
{
    if (list && list->count == self->spec->to)
        self->bounds[self->slot] = ~list->prefixes[list->count - 1];
}

static bool take_in(leat_top_n *self, leat_top_list *list, uint32_t rank, uint64_t prefix)
{
    if (list->count == self->spec->to && !leat_top_rows_drop_last(&self->rows, list, self->slot))
        return false;
    leat_top_rows_put(&self->rows, list, rank, prefix);
    return true;
}

leat_code leat_top_n_append(leat_top_n *self, uint64_t prefix, leat_error *out_error)
{
    leat_row_kind kind = leat_batch_kind(self->batch, self->row);
    LEAT_ASSERT(kind == LEAT_INSERT || kind == LEAT_UPDATE_AFTER);
    leat_top_list *list = leat_top_rows_list(&self->rows, self->slot);
    uint32_t rank = leat_top_rows_rank(&self->rows, list, self->batch, self->row, prefix);
    self->made = 0;
    if (rank == self->spec->to) {
        set_bound(self, list);
        return LEAT_OK;
    }
    list = leat_top_rows_make(&self->rows, self->slot);
    if (!list || !leat_top_rows_hold(&self->rows, self->batch, self->row))
        return no_budget(self, out_error);
    announce(self, list, (int64_t)rank + 1);
    if (!take_in(self, list, rank, prefix)) {
        leat_top_rows_let_go(&self->rows);
        return no_budget(self, out_error);
    }
    set_bound(self, list);
    return LEAT_OK;
}

// ---- life

leat_code leat_top_n_append_open(leat_top_n *self, leat_error *out_error)
{
    leat_operator_context *context = self->base.context;
    const leat_top_n_spec *spec = self->spec;
    if (leat_top_rows_init(&self->rows, context->budget, context->env, context->arena, self->frame.keys,
                           context->inputs[0], spec->orders, spec->order_count, (uint32_t)spec->to))
        return LEAT_OK;
    leat_code code = no_budget(self, out_error);
    leat_top_rows_fini(&self->rows);
    leat_row_frame_close(&self->frame);
    return code;
}

leat_code leat_top_n_append_restore(leat_top_n *self, leat_slice key, leat_slice value, leat_error *out_error)
{
    uint64_t number;
    uint32_t slot;
    leat_slice bytes;
    if (!leat_sorted_key(key, &number, &bytes))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "the key of a stored row is damaged");
    leat_code code = leat_keys_slot(self->frame.keys, bytes, &slot, out_error);
    return code == LEAT_OK ? leat_top_rows_restore(&self->rows, slot, number, value, out_error) : code;
}
