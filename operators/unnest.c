// Takes collections apart: a row becomes as many rows as its ARRAY has items or its MAP has entries, in their order.
//
// The event time, kind and watermark of a row are those of all rows that it becomes; their causes derive from its own and the item's place, so
// that a retraction takes back what the insertion gave.
#include "operators/core/cause.h"
#include "operators/core/emitter.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"

typedef struct unnest {
    leat_operator base;
    leat_eval eval;
    leat_emitter results;
    leat_type type; // of the collection
} unnest;

static const leat_unnest_spec *spec_of(const unnest *self) { return self->base.context->spec; }
static uint32_t input_columns(const unnest *self) { return self->base.context->inputs[0]->count; }

static uint32_t item_columns(const unnest *self)
{
    if (self->type.kind == LEAT_KIND_MAP)
        return 2;
    const leat_type *item = self->type.fields[0].type;
    return item->kind == LEAT_KIND_ROW ? item->field_count : 1;
}

// Column c of an item; a ROW that is NULL is NULL in all its fields.
static leat_value item_value(const unnest *self, const leat_nested *items, uint32_t index, uint32_t c)
{
    if (self->type.kind == LEAT_KIND_MAP)
        return items->items[2 * index + c];
    const leat_value *item = &items->items[index];
    if (self->type.fields[0].type->kind != LEAT_KIND_ROW)
        return *item;
    return item->is_null ? leat_value_null() : item->nested.items[c];
}

static void emit_item(unnest *self, const leat_batch *batch, uint32_t row, const leat_nested *items, uint32_t index)
{
    uint32_t columns = input_columns(self), count = item_columns(self);
    int64_t event_ms = batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
    uint64_t cause = leat_cause_derive(batch->cause ? batch->cause[row] : 0, index);
    uint32_t out = leat_emitter_row(&self->results, event_ms, leat_batch_kind(batch, row), cause);
    leat_value value;
    for (uint32_t c = 0; c < columns; c++) {
        value = leat_column_value(&batch->columns[c], row);
        leat_emitter_set(&self->results, out, c, &value);
    }
    for (uint32_t c = 0; c < count; c++) {
        value = items ? item_value(self, items, index, c) : leat_value_null();
        leat_emitter_set(&self->results, out, columns + c, &value);
    }
    value = items ? (leat_value){.i64 = index + 1} : leat_value_null();
    if (spec_of(self)->ordinality)
        leat_emitter_set(&self->results, out, columns + count, &value);
}

static void on_row(unnest *self, const leat_batch *batch, uint32_t row, const leat_column *collections)
{
    leat_value value = leat_column_value(collections, row);
    uint32_t count = value.is_null ? 0 : value.nested.count;
    if (self->type.kind == LEAT_KIND_MAP)
        count /= 2;
    for (uint32_t i = 0; i < count; i++)
        emit_item(self, batch, row, &value.nested, i);
    if (!count && spec_of(self)->outer)
        emit_item(self, batch, row, NULL, 0);
}

static leat_code on_batch(leat_operator *base, unsigned input, leat_batch *batch, leat_error *out_error)
{
    (void)input, (void)out_error;
    unnest *self = (unnest *)base;
    leat_operator_context *context = base->context;
    leat_column collections;
    leat_eval_begin(&self->eval, batch, context->now_ms);
    self->eval.watermark_ms = context->watermark_ms;
    if (batch->selected)
        leat_program_run(spec_of(self)->collection, &self->eval, batch, &self->eval.scratch, &collections);
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (batch->watermark)
            leat_emitter_watermark(&self->results, batch->watermark[row]);
        if (self->eval.bad_count && self->eval.bad[row])
            leat_drops_add(context->drops, LEAT_DROP_EXPRESSION, 1);
        else
            on_row(self, batch, row, &collections);
    }
    leat_emitter_watermark(&self->results, batch->watermark_after);
    leat_emitter_flush(&self->results);
    return LEAT_OK;
}

static leat_code open_operator(leat_operator *base, leat_error *out_error)
{
    (void)out_error;
    unnest *self = (unnest *)base;
    self->type = leat_program_type(spec_of(self)->collection);
    LEAT_ASSERT(self->type.kind == LEAT_KIND_ARRAY || self->type.kind == LEAT_KIND_MAP);
    LEAT_ASSERT(base->context->outputs[0]->count ==
                input_columns(self) + item_columns(self) + spec_of(self)->ordinality);
    leat_eval_init(&self->eval, base->context->env);
    leat_emitter_init(&self->results, base->context, 0);
    return LEAT_OK;
}

static void close_operator(leat_operator *base)
{
    unnest *self = (unnest *)base;
    leat_emitter_fini(&self->results);
    leat_eval_fini(&self->eval);
}

const leat_operator_ops leat_operator_unnest_ops = {
    .name = "unnest",
    .instance_size = sizeof(unnest),
    .open = open_operator,
    .on_batch = on_batch,
    .close = close_operator,
};
