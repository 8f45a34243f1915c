// Each row as often as one of its columns says; not at all for NULL, 0 or less. INTERSECT ALL and EXCEPT ALL end in it.
//
// The event time, kind and watermark of a row are those of its copies; their causes derive from its own and the copy's number, so that a
// retraction takes back what the insertion gave.
#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/spec.h"

typedef struct repeat {
    leat_operator base;
    leat_emitter results;
} repeat;

static void emit_row(repeat *self, const leat_batch *batch, uint32_t row, uint64_t number)
{
    uint32_t columns = self->base.context->inputs[0]->count;
    int64_t event_ms = batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
    uint64_t cause = leat_cause_derive(batch->cause ? batch->cause[row] : 0, number);
    uint32_t out = leat_emitter_row(&self->results, event_ms, leat_batch_kind(batch, row), cause);
    for (uint32_t c = 0; c < columns; c++) {
        leat_value value = leat_column_value(&batch->columns[c], row);
        leat_emitter_set(&self->results, out, c, &value);
    }
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input, (void)out_error;
    repeat *self = (repeat *)base;
    const leat_repeat_spec *spec = base->context->spec;
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        const leat_column *counts = &batch->columns[spec->count_column];
        int64_t count = leat_column_is_null(counts, row) ? 0 : counts->i64[row];
        if (batch->watermark)
            leat_emitter_watermark(&self->results, batch->watermark[row]);
        for (int64_t number = 0; number < count; number++)
            emit_row(self, batch, row, (uint64_t)number);
    }
    leat_emitter_watermark(&self->results, batch->watermark_after);
    leat_emitter_flush(&self->results);
    return LEAT_OK;
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    const leat_operator_context *context = base->context;
    const leat_repeat_spec *spec = context->spec;
    if (context->inputs[0]->fields[spec->count_column].type.kind != LEAT_KIND_BIGINT)
        return leat_error_set(out_error, LEAT_E_INVALID, "expected a BIGINT that says how often a row comes");
    leat_emitter_init(&((repeat *)base)->results, base->context, 0);
    return LEAT_OK;
}

static void close_operator(leat_operator *base) { leat_emitter_fini(&((repeat *)base)->results); }

const leat_operator_ops leat_operator_repeat_ops = {
    .name = "repeat",
    .instance_size = sizeof(repeat),
    .open = open_operator,
    .on_batch = on_batch,
    .close = close_operator,
};
