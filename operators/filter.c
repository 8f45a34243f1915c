// Lets pass the rows for which the predicate is TRUE: untouched when all do, else as a selection of the same columns.
#include <string.h>

#include "operators/core/operator.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"

typedef struct filter {
    leat_operator base;
    leat_eval eval;
} filter;

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    (void)out_error;
    leat_eval_init(&((filter *)base)->eval, base->context->env);
    return LEAT_OK;
}

static void emit_watermark(leat_operator_context *context, const leat_batch *batch)
{
    if (batch->watermark_after == LEAT_TIME_NONE)
        return;
    leat_batch *mark = leat_batch_get_mark(context->pool, LEAT_ELEMENT_ROWS);
    mark->schema = context->outputs[0];
    mark->watermark_after = batch->watermark_after;
    context->emit(context, 0, mark);
    leat_batch_unref(mark);
}

static void emit_some(leat_operator_context *context, leat_batch *batch, const uint16_t *selection, uint32_t count)
{
    leat_batch *some = leat_batch_derive(context->pool, batch);
    uint16_t *own = leat_arena_alloc(&some->arena, count * sizeof *own);
    memcpy(own, selection, count * sizeof *own);
    some->selection = own;
    some->selected = count;
    context->emit(context, 0, some);
    leat_batch_unref(some);
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input, (void)out_error;
    leat_operator_context *context = base->context;
    const leat_filter_spec *spec = context->spec;
    leat_eval *eval = &((filter *)base)->eval;
    leat_eval_begin(eval, batch, context->now_ms);
    eval->watermark_ms = context->watermark_ms;
    uint16_t *selection = leat_arena_alloc(&eval->scratch, batch->selected * sizeof *selection);
    uint32_t count = leat_program_select(spec->predicate, eval, batch, selection);
    if (eval->bad_count)
        leat_drops_add(context->drops, LEAT_DROP_EXPRESSION, eval->bad_count);
    if (count == 0)
        emit_watermark(context, batch);
    else if (count == batch->selected)
        context->emit(context, 0, batch);
    else
        emit_some(context, batch, selection, count);
    return LEAT_OK;
}

static void close_operator(leat_operator *base) { leat_eval_fini(&((filter *)base)->eval); }

const leat_operator_ops leat_operator_filter_ops = {
    .name = "filter",
    .instance_size = sizeof(filter),
    .open = open_operator,
    .on_batch = on_batch,
    .close = close_operator,
};
