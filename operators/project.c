// One program per output column; what is a bare column of the input is shared, not copied.
#include "operators/core/operator.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"

typedef struct project {
    leat_operator base;
    leat_eval eval;
} project;

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    (void)out_error;
    const leat_project_spec *spec = base->context->spec;
    LEAT_ASSERT(spec->count == base->context->outputs[0]->count);
    leat_eval_init(&((project *)base)->eval, base->context->env);
    return LEAT_OK;
}

static void leave_out_bad(leat_batch *batch, const leat_eval *eval)
{
    uint16_t *selection = leat_arena_alloc(&batch->arena, batch->selected * sizeof *selection);
    uint32_t count = 0;
    for (uint32_t i = 0; i < batch->selected; i++)
        if (!eval->bad[leat_batch_row(batch, i)])
            selection[count++] = (uint16_t)leat_batch_row(batch, i);
    batch->selection = selection;
    batch->selected = count;
}

static size_t computed_bytes(const leat_project_spec *spec, const leat_batch *batch)
{
    uint32_t computed = 0;
    for (uint32_t i = 0; i < spec->count; i++)
        computed += leat_program_column(spec->programs[i]) < 0;
    return (size_t)computed * batch->count * (sizeof(int64_t) + 1);
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input, (void)out_error;
    leat_operator_context *context = base->context;
    const leat_project_spec *spec = context->spec;
    leat_eval *eval = &((project *)base)->eval;
    leat_batch *out = leat_batch_derive_with(context->pool, batch, computed_bytes(spec, batch));
    leat_eval_begin(eval, batch, context->now_ms);
    eval->watermark_ms = context->watermark_ms;
    out->schema = context->outputs[0];
    out->columns = leat_arena_array(&out->arena, leat_column, spec->count);
    for (uint32_t i = 0; i < spec->count; i++)
        leat_program_run(spec->programs[i], eval, batch, &out->arena, &out->columns[i]);
    if (eval->bad_count) {
        leat_drops_add(context->drops, LEAT_DROP_EXPRESSION, eval->bad_count);
        leave_out_bad(out, eval);
    }
    if (out->selected || out->watermark_after != LEAT_TIME_NONE)
        context->emit(context, 0, out);
    leat_batch_unref(out);
    return LEAT_OK;
}

static void close_operator(leat_operator *base) { leat_eval_fini(&((project *)base)->eval); }

const leat_operator_ops leat_operator_project_ops = {
    .name = "project",
    .instance_size = sizeof(project),
    .open = open_operator,
    .on_batch = on_batch,
    .close = close_operator,
};
