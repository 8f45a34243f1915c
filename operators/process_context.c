#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "operators/core/cause.h"
#include "operators/process.h"

// ---- faults

static void fault(leat_process *p, leat_code code, const char *format, ...) LEAT_PRINTF(3, 4);
static void fault(leat_process *p, leat_code code, const char *format, ...)
{
    if (p->code != LEAT_OK)
        return; // the first one counts
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(p->message, sizeof p->message, format, arguments);
    va_end(arguments);
    p->code = code;
}

static void out_of_memory(leat_process *p)
{
    fault(p, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up", p->base.context->budget->limit);
}

leat_code leat_process_fault(leat_process *p, leat_error *out_error)
{
    fault(p, LEAT_E_INVALID, "it failed and did not say why");
    return leat_error_set(out_error, p->code, "function %s: %s", p->function->name, p->message);
}

static void fail(leat_context *context, const char *message)
{
    fault(leat_process_of(context), LEAT_E_INVALID, "%s", message ? message : "");
}

// ---- time, key, arguments

static int64_t watermark(leat_context *context) { return leat_process_of(context)->watermark_ms; }
static int64_t processing_time(leat_context *context) { return leat_process_of(context)->now_ms; }

static void array_cell(leat_type type, const leat_value *value, leat_arena *arena, leat_cell *out_cell)
{
    leat_type element = *type.fields[0].type;
    leat_cell *items = leat_arena_calloc(arena, value->nested.count * sizeof *items);
    for (uint32_t i = 0; i < value->nested.count; i++)
        items[i] = leat_process_cell(element, &value->nested.items[i], arena);
    out_cell->count = value->nested.count;
    out_cell->items = items;
}

leat_cell leat_process_cell(leat_type type, const leat_value *value, leat_arena *arena)
{
    leat_cell cell = {.type = leat_process_api_type(type)};
    if (value->is_null || !cell.type)
        return cell;
    cell.set = 1;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        cell.i64 = value->boolean;
        break;
    case LEAT_PHYSICAL_I64:
        cell.i64 = value->i64;
        break;
    case LEAT_PHYSICAL_F64:
        cell.f64 = value->f64;
        break;
    case LEAT_PHYSICAL_I128: {
        char *text = leat_arena_alloc(arena, LEAT_NUMBER_TEXT + 8);
        cell.text = (leat_text){text, (uint32_t)leat_decimal_print(value->i128, type.scale, text)};
        break;
    }
    case LEAT_PHYSICAL_TEXT:
        cell.text = (leat_text){value->text.data, (uint32_t)value->text.size};
        break;
    case LEAT_PHYSICAL_NESTED:
        array_cell(type, value, arena, &cell);
        break;
    }
    return cell;
}

// Decoded at most once a call.
static const leat_value *key_values(leat_process *p)
{
    if (!p->call.key_ready)
        leat_keys_values(p->keys, p->call.slot, p->key_values);
    p->call.key_ready = true;
    return p->key_values;
}

static leat_cell key(leat_context *context, uint32_t i)
{
    leat_process *p = leat_process_of(context);
    if (p->call.slot == LEAT_SLOT_NONE || i >= p->key_count)
        return (leat_cell){0};
    return leat_process_cell(p->key_types[i], &key_values(p)[i], &p->row_scratch);
}

static leat_cell scalar(leat_context *context, uint32_t parameter)
{
    leat_process *p = leat_process_of(context);
    return parameter < p->spec->argument_count ? p->scalars[parameter] : (leat_cell){0};
}

static int32_t descriptor(leat_context *context, uint32_t parameter, uint32_t i)
{
    leat_process *p = leat_process_of(context);
    if (parameter >= p->spec->argument_count || i >= p->spec->arguments[parameter].descriptor_count)
        return -1;
    return (int32_t)p->spec->arguments[parameter].descriptor_columns[i];
}

static int32_t column(leat_context *context, uint32_t table, const char *name)
{
    leat_process *p = leat_process_of(context);
    return table < p->spec->table_count ? leat_schema_find(p->inputs[table].schema, leat_slice_text(name)) : -1;
}

// ---- values

static leat_process_slot_state *state_at(leat_process *p, uint32_t state)
{
    if (state < p->spec->state_count)
        return &p->states[state];
    fault(p, LEAT_E_INVALID, "it has no state %u", state);
    return NULL;
}

static inline uint32_t slot_of(const leat_process *p, const leat_process_slot_state *state)
{
    return state->shared ? 0 : p->call.slot;
}

// A state that may be changed now; NULL: there is none of that kind, or no key.
static leat_process_slot_state *changeable(leat_process *p, uint32_t state, bool value, bool map)
{
    leat_process_slot_state *s = state_at(p, state);
    if (!s)
        return NULL;
    if (value ? !s->cells : !s->items || s->map != map) {
        fault(p, LEAT_E_INVALID, "its state %s is of another kind", p->spec->states[state].name);
        return NULL;
    }
    if (!s->shared && p->call.slot == LEAT_SLOT_NONE) {
        fault(p, LEAT_E_INVALID, "its state %s needs a key: this row belongs to a table without PARTITION BY",
              p->spec->states[state].name);
        return NULL;
    }
    return s;
}

// The cells of the key at hand, which stay where they are during the call.
static inline leat_cell *cells_at_hand(leat_process *p)
{
    if (!p->call.cells)
        p->call.cells = leat_cells_row(&p->cells, p->call.slot);
    return p->call.cells;
}

static inline const leat_process_slot_state *plain_state(const leat_process *p, uint32_t state)
{
    return state < p->spec->state_count && p->states[state].plain ? &p->states[state] : NULL;
}

static const leat_cell *read_state(leat_context *context, uint32_t state)
{
    leat_process *p = leat_process_of(context);
    const leat_process_slot_state *plain = plain_state(p, state);
    if (plain) {
        const leat_cell *row = cells_at_hand(p);
        return row ? row + plain->index : &plain->null;
    }
    leat_process_slot_state *s = state_at(p, state);
    if (!s || !s->cells)
        return &p->lost;
    const leat_cell *cell = leat_cells_read(s->cells, slot_of(p, s), s->index, p->now_ms);
    if (!cell)
        return &s->null;
    leat_cells_touch(s->cells, slot_of(p, s), s->index, p->now_ms);
    return cell;
}

// Everything that is not in order, or new.
static __attribute__((noinline)) leat_cell *write_slowly(leat_process *p, uint32_t state)
{
    leat_process_slot_state *s = changeable(p, state, true, false);
    leat_cell *cell = s ? leat_cells_write(s->cells, slot_of(p, s), s->index, p->now_ms) : NULL;
    if (!cell) {
        if (s)
            out_of_memory(p);
        p->lost = (leat_cell){0};
        return &p->lost;
    }
    return cell;
}

static leat_cell *write_state(leat_context *context, uint32_t state)
{
    leat_process *p = leat_process_of(context);
    const leat_process_slot_state *plain = plain_state(p, state);
    leat_cell *row = plain ? cells_at_hand(p) : NULL;
    p->call.settle = true;
    if (!row)
        return write_slowly(p, state);
    if (!p->call.marked)
        leat_pane_mark(&p->cells.panes, p->cells.pane, p->call.slot, leat_pane_of_payload(row));
    p->call.marked = true;
    return row + plain->index;
}

static int put(leat_context *context, uint32_t state, leat_cell value)
{
    leat_process *p = leat_process_of(context);
    leat_process_slot_state *s = changeable(p, state, true, false);
    if (!s)
        return -1;
    value.type = s->null.type;
    p->call.settle = true;
    if (leat_cells_put(s->cells, slot_of(p, s), s->index, &value, p->now_ms))
        return 0;
    out_of_memory(p);
    return -1;
}

static void clear_one(leat_process *p, leat_process_slot_state *s)
{
    uint32_t slot = slot_of(p, s);
    if (slot == LEAT_SLOT_NONE)
        return;
    p->call.settle = true;
    if (s->cells)
        leat_cells_clear(s->cells, slot, s->index);
    else
        leat_items_clear(s->items, slot);
}

static void clear(leat_context *context, uint32_t state)
{
    leat_process *p = leat_process_of(context);
    leat_process_slot_state *s = state_at(p, state);
    if (s)
        clear_one(p, s);
}

static void clear_all_state(leat_context *context)
{
    leat_process *p = leat_process_of(context);
    for (uint32_t i = 0; i < p->spec->state_count; i++)
        if (!p->states[i].shared)
            clear_one(p, &p->states[i]);
}

// ---- lists and maps

static leat_items *items_of(leat_process *p, uint32_t state, bool map, uint32_t *out_slot)
{
    leat_process_slot_state *s = changeable(p, state, false, map);
    if (!s)
        return NULL;
    *out_slot = slot_of(p, s);
    p->call.settle = true;
    return s->items;
}

static int kept(leat_process *p, const leat_items *items, bool done)
{
    if (!done || leat_items_failed(items))
        out_of_memory(p);
    return done ? 0 : -1;
}

static uint32_t list_size(leat_context *context, uint32_t state)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, false, &slot);
    return items ? leat_items_count(items, slot, p->now_ms) : 0;
}

static leat_cell cell_or_null(const leat_items *items, const leat_cell *cell)
{
    return cell ? *cell : (leat_cell){.type = items->type};
}

static leat_cell list_get(leat_context *context, uint32_t state, uint32_t index)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, false, &slot);
    return items ? cell_or_null(items, leat_items_get(items, slot, index, p->now_ms)) : (leat_cell){0};
}

static int list_add(leat_context *context, uint32_t state, leat_cell value)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, false, &slot);
    if (!items)
        return -1;
    value.type = items->type;
    return kept(p, items, leat_items_add(items, slot, &value, p->now_ms));
}

static void list_remove(leat_context *context, uint32_t state, uint32_t index)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, false, &slot);
    if (!items)
        return;
    leat_items_remove(items, slot, index, p->now_ms);
    (void)kept(p, items, true);
}

static leat_cell map_get(leat_context *context, uint32_t state, leat_cell map_key)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, true, &slot);
    return items ? cell_or_null(items, leat_items_find(items, slot, &map_key, p->now_ms)) : (leat_cell){0};
}

static int map_put(leat_context *context, uint32_t state, leat_cell map_key, leat_cell value)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, true, &slot);
    if (!items)
        return -1;
    value.type = items->type;
    return kept(p, items, leat_items_put(items, slot, &map_key, &value, p->now_ms));
}

static void map_remove(leat_context *context, uint32_t state, leat_cell map_key)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, true, &slot);
    if (!items)
        return;
    leat_items_unput(items, slot, &map_key, p->now_ms);
    (void)kept(p, items, true);
}

static int map_next(leat_context *context, uint32_t state, uint32_t *iterator, leat_cell *out_key, leat_cell *out_value)
{
    leat_process *p = leat_process_of(context);
    uint32_t slot;
    leat_items *items = items_of(p, state, true, &slot);
    return items && leat_items_next(items, slot, iterator, out_key, out_value, p->now_ms);
}

// ---- timers

static bool may_use_timers(leat_process *p)
{
    if (p->call.slot == LEAT_SLOT_NONE)
        fault(p, LEAT_E_INVALID, "timers need a key: this row belongs to a table without PARTITION BY");
    else if (!p->function->timer)
        fault(p, LEAT_E_INVALID, "it sets timers and has no callback for them");
    return p->call.slot != LEAT_SLOT_NONE && p->function->timer;
}

static uint64_t setter_of(const leat_process *p) { return leat_hash_combine(p->call.cause, 1) | 1; }

static int timer_set(leat_context *context, leat_time_domain domain, int64_t time_ms, const char *name)
{
    leat_process *p = leat_process_of(context);
    if (!may_use_timers(p))
        return -1;
    if (name && strlen(name) > LEAT_TIMER_NAME_MAX) {
        fault(p, LEAT_E_INVALID, "the name of a timer has more than %d bytes", LEAT_TIMER_NAME_MAX);
        return -1;
    }
    leat_timers *timers = &p->timers[domain == LEAT_PROCESSING_TIME];
    int64_t passed_ms = domain == LEAT_PROCESSING_TIME ? p->now_ms : p->watermark_ms;
    if (time_ms <= passed_ms ? leat_timers_set_late(timers, p->call.slot, time_ms, name, setter_of(p))
                             : leat_timers_set(timers, p->call.slot, time_ms, name))
        return 0;
    out_of_memory(p);
    return -1;
}

static void timer_clear(leat_context *context, leat_time_domain domain, int64_t time_ms, const char *name)
{
    leat_process *p = leat_process_of(context);
    if (p->call.slot == LEAT_SLOT_NONE)
        return;
    p->call.settle = true;
    leat_timers_clear(&p->timers[domain == LEAT_PROCESSING_TIME], p->call.slot, time_ms, name);
}

static void timers_clear_all(leat_context *context)
{
    leat_process *p = leat_process_of(context);
    if (p->call.slot == LEAT_SLOT_NONE)
        return;
    p->call.settle = true;
    for (int domain = 0; domain < 2; domain++)
        leat_timers_clear_all(&p->timers[domain], p->call.slot);
}

// ---- emit

static leat_nested nested_value(leat_process *p, const leat_cell *cell)
{
    leat_value *items = leat_arena_calloc(&p->row_scratch, (cell->count + 1) * sizeof *items);
    for (uint32_t i = 0; i < cell->count; i++) {
        const leat_cell *item = &cell->items[i];
        items[i].is_null = !item->set;
        if (leat_cell_is_text(item->type))
            items[i].text = leat_slice_of(item->text.bytes, item->text.size);
        else
            items[i].i64 = item->i64; // the same bits for doubles
    }
    return (leat_nested){.count = cell->count, .items = items};
}

// False: the cell does not fit the column.
static bool value_of(leat_process *p, leat_type type, const leat_cell *cell, leat_value *out_value)
{
    *out_value = (leat_value){.is_null = !cell->set};
    if (!cell->set)
        return true;
    bool text = leat_cell_is_text(cell->type), array = leat_cell_is_array(cell->type),
         f64 = leat_cell_is_f64(cell->type);
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        out_value->boolean = cell->i64 != 0;
        return cell->type == LEAT_API_BOOLEAN;
    case LEAT_PHYSICAL_I64:
        out_value->i64 = cell->i64;
        return !text && !array && !f64;
    case LEAT_PHYSICAL_F64:
        out_value->f64 = f64 ? cell->f64 : (double)cell->i64;
        if (type.kind == LEAT_KIND_FLOAT)
            out_value->f64 = (float)out_value->f64;
        return !text && !array;
    case LEAT_PHYSICAL_I128:
        return text &&
               leat_decimal_parse(leat_slice_of(cell->text.bytes, cell->text.size), type.scale, &out_value->i128);
    case LEAT_PHYSICAL_TEXT:
        out_value->text = leat_slice_of(cell->text.bytes, cell->text.size);
        return text;
    case LEAT_PHYSICAL_NESTED:
        out_value->nested = array ? nested_value(p, cell) : (leat_nested){0};
        return array && type.kind == LEAT_KIND_ARRAY;
    }
    return false;
}

static uint64_t next_cause(leat_process *p) { return leat_cause_derive(p->call.cause, p->call.emitted++); }

// Columns that come before the function's own; returns how many.
static uint32_t set_front(leat_process *p, leat_emitter *emitter, uint32_t row)
{
    const leat_process_input *first = &p->inputs[0];
    if (first->table->pass_columns) {
        for (uint32_t i = 0; p->call.batch && i < first->schema->count; i++) {
            leat_value value = leat_column_value(&p->call.batch->columns[i], p->call.row);
            leat_emitter_set(emitter, row, i, &value);
        }
        return first->schema->count;
    }
    if (!p->spec->emit_keys)
        return 0;
    const leat_value *values = p->call.slot == LEAT_SLOT_NONE ? NULL : key_values(p);
    for (uint32_t i = 0; i < p->key_count; i++) {
        if (values)
            leat_emitter_set(emitter, row, i, &values[i]);
        else
            leat_emitter_set_null(emitter, row, i);
    }
    return p->key_count;
}

static void set_cells(leat_process *p, uint32_t output, uint32_t row, uint32_t first, const leat_cell *cells,
                      uint32_t count)
{
    leat_process_emitter *out = &p->emitters[output];
    const leat_schema *schema = p->base.context->outputs[output];
    uint32_t end = out->columns - p->spec->emit_rowtime;
    for (uint32_t i = first; i < end; i++) {
        leat_value value = leat_value_null();
        if (i - first < count && !value_of(p, schema->fields[i].type, &cells[i - first], &value)) {
            fault(p, LEAT_E_INVALID, "what it emits as column %.*s is not of that column's type",
                  (int)schema->fields[i].name.size, schema->fields[i].name.data);
            value = leat_value_null();
        }
        leat_emitter_set(&out->emitter, row, i, &value);
    }
    if (end - first < count)
        fault(p, LEAT_E_INVALID, "it emits %u cells for %u columns", count, end - first);
}

static void emit(leat_context *context, uint32_t output, const leat_cell *cells, uint32_t count)
{
    leat_process *p = leat_process_of(context);
    if (output >= p->base.context->output_count) {
        fault(p, LEAT_E_INVALID, "it has no output %u", output);
        return;
    }
    uint64_t cause = next_cause(p);
    if (p->base.context->output_used && !p->base.context->output_used[output])
        return;
    leat_process_emitter *out = &p->emitters[output];
    leat_emitter_watermark(&out->emitter, p->forwarded_ms);
    uint32_t row = leat_emitter_row(&out->emitter, p->call.event_ms, LEAT_INSERT, cause);
    uint32_t first = set_front(p, &out->emitter, row);
    set_cells(p, output, row, first, cells, count);
    if (p->spec->emit_rowtime) {
        leat_value time = {.is_null = p->call.event_ms == LEAT_TIME_NONE, .i64 = p->call.event_ms};
        leat_emitter_set(&out->emitter, row, out->columns - 1, &time);
    }
    leat_arena_reset(&p->row_scratch);
}

const leat_context_api leat_process_context_api = {
    .size = sizeof(leat_context_api),
    .watermark = watermark,
    .processing_time = processing_time,
    .key = key,
    .scalar = scalar,
    .descriptor = descriptor,
    .read = read_state,
    .write = write_state,
    .put = put,
    .clear = clear,
    .clear_all_state = clear_all_state,
    .list_size = list_size,
    .list_get = list_get,
    .list_add = list_add,
    .list_remove = list_remove,
    .map_get = map_get,
    .map_put = map_put,
    .map_remove = map_remove,
    .map_next = map_next,
    .timer_set = timer_set,
    .timer_clear = timer_clear,
    .timers_clear_all = timers_clear_all,
    .emit = emit,
    .fail = fail,
    .column = column,
};
