// Side outputs by condition: each row goes to the outputs whose condition is TRUE for it, to all of them or to the first one; rows for
// which none is go to output 0. Rows, times, kinds and causes stay what they are; every output gets all watermarks.
//
// A row for which a condition cannot be evaluated is dropped and counted: it belongs nowhere.
#include "operators/core/operator.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"

typedef struct split {
    leat_operator base;
    leat_eval eval;
} split;

static const leat_split_spec *spec_of(const split *self) { return self->base.context->spec; }

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    split *self = (split *)base;
    (void)out_error;
    LEAT_ASSERT(base->context->output_count == spec_of(self)->count + 1);
    leat_eval_init(&self->eval, base->context->env);
    return LEAT_OK;
}

static void close_operator(leat_operator *base) { leat_eval_fini(&((split *)base)->eval); }

// Watermarks reach every output, so a batch goes out without rows too.
static void send(split *self, unsigned output, leat_batch *batch, const uint16_t *rows, uint32_t count)
{
    leat_operator_context *context = self->base.context;
    if ((context->output_used && !context->output_used[output]) || (!count && batch->watermark_after == LEAT_TIME_NONE))
        return;
    leat_batch *part = leat_batch_derive(context->pool, batch);
    uint16_t *selection = leat_arena_alloc(&part->arena, count * sizeof *rows + 2);
    for (uint32_t i = 0; i < count; i++)
        selection[i] = rows[i];
    part->selection = selection;
    part->selected = count;
    context->emit(context, output, part);
    leat_batch_unref(part);
}

// matched[row]: how many outputs have taken it.
static void mark(uint8_t *matched, const uint16_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        matched[rows[i]] = 1;
}

static uint32_t keep_unmatched(const uint8_t *matched, uint16_t *rows, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!matched[rows[i]])
            rows[kept++] = rows[i];
    return kept;
}

static uint32_t keep_good(const leat_eval *eval, uint16_t *rows, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!eval->bad_count || !eval->bad[rows[i]])
            rows[kept++] = rows[i];
    return kept;
}

static uint32_t all_rows(const leat_batch *batch, uint16_t *out_rows)
{
    for (uint32_t i = 0; i < batch->selected; i++)
        out_rows[i] = (uint16_t)leat_batch_row(batch, i);
    return batch->selected;
}

// Rows for which the condition is TRUE; where the first match counts only those are asked that have none yet.
static uint32_t match(split *self, uint32_t condition, leat_batch *batch, uint8_t *matched, uint16_t *out_rows)
{
    const leat_split_spec *spec = spec_of(self);
    leat_batch *asked = leat_batch_derive(self->base.context->pool, batch);
    if (spec->first_match) {
        uint16_t *rows = leat_arena_alloc(&asked->arena, sizeof *rows * batch->selected + 2);
        asked->selected = keep_unmatched(matched, rows, all_rows(batch, rows));
        asked->selection = rows;
    }
    uint32_t count = leat_program_select(spec->conditions[condition], &self->eval, asked, out_rows);
    leat_batch_unref(asked);
    mark(matched, out_rows, count);
    return count;
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    split *self = (split *)base;
    const leat_split_spec *spec = spec_of(self);
    (void)input;
    (void)out_error;
    leat_eval_begin(&self->eval, batch, base->context->now_ms);
    self->eval.watermark_ms = base->context->watermark_ms;
    leat_arena *scratch = &self->eval.scratch;
    uint16_t **rows = leat_arena_alloc(scratch, sizeof *rows * (spec->count + 1));
    uint32_t *counts = leat_arena_alloc(scratch, sizeof *counts * (spec->count + 1));
    uint8_t *matched = leat_arena_calloc(scratch, batch->count + 1);
    for (uint32_t i = 0; i <= spec->count; i++)
        rows[i] = leat_arena_alloc(scratch, sizeof **rows * batch->selected + 2);
    for (uint32_t i = 0; i < spec->count; i++)
        counts[i + 1] = match(self, i, batch, matched, rows[i + 1]);
    counts[0] = keep_unmatched(matched, rows[0], all_rows(batch, rows[0]));
    for (uint32_t i = 0; i <= spec->count; i++)
        send(self, i, batch, rows[i], keep_good(&self->eval, rows[i], counts[i]));
    if (self->eval.bad_count)
        leat_drops_add(base->context->drops, LEAT_DROP_EXPRESSION, self->eval.bad_count);
    return LEAT_OK;
}

const leat_operator_ops leat_operator_split_ops = {
    .name = "split",
    .instance_size = sizeof(split),
    .open = open_operator,
    .on_batch = on_batch,
    .close = close_operator,
};
