#include <stdlib.h>

#include "operators/process.h"

// A row that is due, with what it is sorted by.
typedef struct due_row {
    leat_held_row *row;
    const leat_value *order; // of its table's ORDER BY
    const leat_process_table *table;
    const leat_schema *schema;
} due_row;

bool leat_process_hold(leat_process *p, uint32_t input, const leat_batch *batch, uint32_t row, uint32_t slot,
                       int64_t time_ms)
{
    leat_writer_reset(&p->writer);
    for (uint32_t i = 0; i < batch->schema->count; i++) {
        leat_value value = leat_column_value(&batch->columns[i], row);
        leat_value_encode(batch->columns[i].type, &value, &p->writer);
    }
    return !p->writer.failed && leat_held_add(&p->held, input, slot, time_ms, leat_batch_kind(batch, row),
                                              batch->cause ? batch->cause[row] : 0, leat_writer_slice(&p->writer));
}

// Values of a held row; they live in the arena and in the row's bytes.
static leat_value *decode(const leat_held_row *row, const leat_schema *schema, leat_arena *arena)
{
    leat_reader reader;
    leat_value *values = leat_arena_array(arena, leat_value, schema->count + 1);
    leat_reader_init(&reader, row->bytes, row->size);
    for (uint32_t i = 0; i < schema->count; i++)
        if (!leat_value_decode(schema->fields[i].type, &reader, arena, &values[i]))
            return NULL;
    return values;
}

// The time comes first, ascending; between tables the first one; what is equal stays in order of arrival.
static int compare(const void *left, const void *right)
{
    const due_row *a = left, *b = right;
    if (a->row->time_ms != b->row->time_ms)
        return a->row->time_ms < b->row->time_ms ? -1 : 1;
    if (a->row->input != b->row->input)
        return a->row->input < b->row->input ? -1 : 1;
    for (uint32_t i = 0; i < a->table->order_count; i++) {
        leat_type type = a->schema->fields[a->table->order_columns[i]].type;
        int order = leat_value_compare(type, &a->order[i], &b->order[i]);
        if (order)
            return a->table->order_descending && a->table->order_descending[i] ? -order : order;
    }
    return a->row->sequence < b->row->sequence ? -1 : a->row->sequence > b->row->sequence;
}

static leat_code corrupt(leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_CORRUPT,
                          "a row that was held back for ORDER BY does not fit the table's columns");
}

static leat_code take_due(leat_process *p, int64_t until_ms, leat_arena *arena, due_row **out_rows, uint32_t *out_count,
                          leat_error *out_error)
{
    due_row *rows = leat_arena_array(arena, due_row, p->held.count);
    leat_code code = LEAT_OK;
    uint32_t count = 0;
    for (leat_held_row *row; (row = leat_held_take(&p->held, until_ms)); count++) {
        rows[count] = (due_row){.row = row};
        if (row->input >= p->spec->table_count || code != LEAT_OK) {
            code = code == LEAT_OK ? corrupt(out_error) : code;
            continue;
        }
        rows[count].table = p->inputs[row->input].table;
        rows[count].schema = p->inputs[row->input].schema;
        leat_value *values = decode(row, rows[count].schema, arena);
        if (!values) {
            code = corrupt(out_error);
            continue;
        }
        leat_value *order = leat_arena_array(arena, leat_value, rows[count].table->order_count + 1);
        for (uint32_t i = 0; i < rows[count].table->order_count; i++)
            order[i] = values[rows[count].table->order_columns[i]];
        rows[count].order = order;
    }
    *out_rows = rows;
    *out_count = count;
    return code;
}

// Rows of one table, from `rows` on, as a batch.
static leat_batch *make_batch(leat_process *p, const due_row *rows, uint32_t count, leat_arena *arena)
{
    leat_batch *batch = leat_batch_get_mark(p->base.context->pool, LEAT_ELEMENT_ROWS);
    const leat_schema *schema = rows[0].schema;
    batch->schema = schema;
    batch->columns = leat_arena_array(&batch->arena, leat_column, schema->count);
    batch->event_ms = leat_arena_alloc(&batch->arena, count * sizeof *batch->event_ms);
    batch->cause = leat_arena_alloc(&batch->arena, count * sizeof *batch->cause);
    batch->row_kind = leat_arena_alloc(&batch->arena, count);
    for (uint32_t i = 0; i < schema->count; i++)
        leat_column_allocate(batch, &batch->columns[i], schema->fields[i].type, count, true);
    for (uint32_t row = 0; row < count; row++) {
        const leat_value *values = decode(rows[row].row, schema, arena);
        for (uint32_t i = 0; i < schema->count; i++)
            leat_column_set(&batch->columns[i], row, &values[i], &batch->arena);
        batch->event_ms[row] = rows[row].row->time_ms;
        batch->cause[row] = rows[row].row->cause;
        batch->row_kind[row] = rows[row].row->kind;
    }
    batch->count = batch->selected = count;
    return batch;
}

static leat_code run(leat_process *p, const due_row *rows, uint32_t count, leat_arena *arena, leat_error *out_error)
{
    uint32_t input = rows[0].row->input;
    leat_batch *batch = make_batch(p, rows, count, arena);
    leat_process_view(p, input, batch);
    leat_row view = leat_process_row_view(p, input);
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < count && code == LEAT_OK; i++)
        code = leat_process_row(p, input, batch, i, rows[i].row->slot, &view, out_error);
    leat_batch_unref(batch);
    return code;
}

static uint32_t run_length(const due_row *rows, uint32_t count)
{
    uint32_t length = 1;
    while (length < count && length < LEAT_BATCH_ROWS && rows[length].row->input == rows[0].row->input)
        length++;
    return length;
}

leat_code leat_process_flush_held(leat_process *p, int64_t until_ms, leat_error *out_error)
{
    if (!leat_held_due(&p->held, until_ms))
        return LEAT_OK;
    leat_arena arena;
    due_row *rows;
    uint32_t count;
    leat_arena_init(&arena, p->base.context->env, 0);
    leat_code code = take_due(p, until_ms, &arena, &rows, &count, out_error);
    if (code == LEAT_OK)
        qsort(rows, count, sizeof *rows, compare);
    for (uint32_t i = 0, length; i < count && code == LEAT_OK; i += length) {
        length = run_length(rows + i, count - i);
        code = run(p, rows + i, length, &arena, out_error);
    }
    for (uint32_t i = 0; i < count; i++)
        leat_held_free(&p->held, rows[i].row);
    leat_arena_fini(&arena);
    return code;
}
