// Any number of inputs of the same columns become one stream, in the order in which their batches arrive. Who runs the operator has
// combined their watermarks already.
//
// Two inputs may bring rows of one cause: the same table twice, grouping sets whose keys are all NULL. The number of the input goes into
// the cause, for all but the first.
#include "operators/core/cause.h"
#include "operators/core/operator.h"
#include "operators/core/spec.h"

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    const leat_operator_context *context = base->context;
    const leat_schema *output = context->outputs[0];
    for (unsigned i = 0; i < context->input_count; i++) {
        const leat_schema *input = context->inputs[i];
        if (input->count != output->count)
            return leat_error_set(out_error, LEAT_E_INVALID,
                                  "expected %u columns in every input of a union, found %u in input %u", output->count,
                                  input->count, i + 1);
    }
    return LEAT_OK;
}

static void tell_inputs_apart(leat_batch *batch, unsigned input)
{
    const uint64_t *causes = batch->cause;
    uint64_t *derived = leat_arena_alloc(&batch->arena, batch->count * sizeof *derived);
    for (uint32_t i = 0; i < batch->count; i++)
        derived[i] = leat_cause_derive(causes[i], input);
    batch->cause = derived;
}

// Columns go by their places; names are those of the output.
static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)out_error;
    leat_operator_context *context = base->context;
    bool same_cause = input == 0 || !batch->cause;
    if ((batch->schema == context->outputs[0] && same_cause) || !batch->selected) {
        context->emit(context, 0, batch);
        return LEAT_OK;
    }
    leat_batch *renamed = leat_batch_derive(context->pool, batch);
    renamed->schema = context->outputs[0];
    if (!same_cause)
        tell_inputs_apart(renamed, input);
    context->emit(context, 0, renamed);
    leat_batch_unref(renamed);
    return LEAT_OK;
}

static void close_operator(leat_operator *base) { (void)base; }

const leat_operator_ops leat_operator_union_ops = {
    .name = "union",
    .instance_size = sizeof(leat_operator),
    .one_stream = true,
    .open = open_operator,
    .on_batch = on_batch,
    .close = close_operator,
};
