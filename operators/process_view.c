#include "operators/process.h"

// ---- types

static uint8_t array_type(leat_type element)
{
    switch (leat_type_physical(element)) {
    case LEAT_PHYSICAL_I64:
        return LEAT_API_INT_ARRAY;
    case LEAT_PHYSICAL_F64:
        return LEAT_API_DOUBLE_ARRAY;
    case LEAT_PHYSICAL_TEXT:
        return LEAT_API_STRING_ARRAY;
    default:
        return 0;
    }
}

uint8_t leat_process_api_type(leat_type type)
{
    static const uint8_t types[LEAT_KIND_COUNT] = {
        [LEAT_KIND_BOOLEAN] = LEAT_API_BOOLEAN,
        [LEAT_KIND_TINYINT] = LEAT_API_INT,
        [LEAT_KIND_SMALLINT] = LEAT_API_INT,
        [LEAT_KIND_INT] = LEAT_API_INT,
        [LEAT_KIND_BIGINT] = LEAT_API_BIGINT,
        [LEAT_KIND_FLOAT] = LEAT_API_FLOAT,
        [LEAT_KIND_DOUBLE] = LEAT_API_DOUBLE,
        [LEAT_KIND_DECIMAL] = LEAT_API_DECIMAL,
        [LEAT_KIND_STRING] = LEAT_API_STRING,
        [LEAT_KIND_BYTES] = LEAT_API_BYTES,
        [LEAT_KIND_DATE] = LEAT_API_INT,
        [LEAT_KIND_TIME] = LEAT_API_INT,
        [LEAT_KIND_TIMESTAMP] = LEAT_API_TIMESTAMP,
        [LEAT_KIND_TIMESTAMP_LTZ] = LEAT_API_INSTANT,
        [LEAT_KIND_INTERVAL] = LEAT_API_INTERVAL,
    };
    return type.kind == LEAT_KIND_ARRAY && type.field_count ? array_type(*type.fields[0].type) : types[type.kind];
}

// ---- columns

typedef struct view_rows {
    const leat_batch *batch;
    const uint8_t *bad; // NULL: none
} view_rows;

static bool skip(const view_rows *rows, const leat_column *column, uint32_t row)
{
    return leat_column_is_null(column, row) || (rows->bad && rows->bad[row]);
}

static void *decimal_texts(leat_process *p, const view_rows *rows, const leat_column *column)
{
    leat_column_text *texts = leat_arena_calloc(&p->scratch, rows->batch->count * sizeof *texts);
    for (uint32_t i = 0; i < rows->batch->selected; i++) {
        uint32_t row = leat_batch_row(rows->batch, i);
        if (skip(rows, column, row))
            continue;
        char text[LEAT_NUMBER_TEXT + 8];
        size_t size = leat_decimal_print(column->i128[row], column->type.scale, text);
        texts[row] = (leat_column_text){leat_arena_copy(&p->scratch, text, size), size};
    }
    return texts;
}

static void *array_cells(leat_process *p, const view_rows *rows, const leat_column *column)
{
    leat_cell *cells = leat_arena_calloc(&p->scratch, rows->batch->count * sizeof *cells);
    for (uint32_t i = 0; i < rows->batch->selected; i++) {
        uint32_t row = leat_batch_row(rows->batch, i);
        if (skip(rows, column, row))
            continue;
        leat_value value = {.nested = column->nested[row]};
        cells[row] = leat_process_cell(column->type, &value, &p->scratch);
    }
    return cells;
}

static leat_column_view view_of(leat_process *p, const view_rows *rows, const leat_column *column)
{
    leat_column_view view = {.type = leat_process_api_type(column->type), .nulls = column->nulls};
    if (view.type == LEAT_API_DECIMAL)
        view.values = decimal_texts(p, rows, column);
    else if (leat_cell_is_array((uint8_t)view.type))
        view.values = array_cells(p, rows, column);
    else if (view.type)
        view.values = column->values;
    return view;
}

// ---- expressions

static double *doubles(leat_process *p, const view_rows *rows, const leat_column *column)
{
    double *values = leat_arena_calloc(&p->scratch, rows->batch->count * sizeof *values);
    for (uint32_t i = 0; i < rows->batch->selected; i++) {
        uint32_t row = leat_batch_row(rows->batch, i);
        if (skip(rows, column, row))
            continue;
        values[row] = column->type.kind == LEAT_KIND_DECIMAL
                          ? leat_decimal_to_double(column->i128[row], column->type.scale)
                          : (double)column->i64[row];
    }
    return values;
}

static bool wants_double(leat_api_type wanted, leat_type type)
{
    if (type.kind == LEAT_KIND_DECIMAL)
        return wanted == LEAT_API_DOUBLE || wanted == 0;
    return wanted == LEAT_API_DOUBLE && leat_type_is_integer(type);
}

static leat_column_view expression_view(leat_process *p, const leat_program *program, leat_api_type wanted,
                                        const leat_batch *batch)
{
    leat_column column = {0};
    leat_program_run(program, &p->eval, batch, &p->scratch, &column);
    view_rows rows = {batch, p->eval.bad_count ? p->eval.bad : NULL};
    if (!wants_double(wanted, column.type))
        return view_of(p, &rows, &column);
    return (leat_column_view){.type = LEAT_API_DOUBLE, .nulls = column.nulls, .values = doubles(p, &rows, &column)};
}

static void view_expressions(leat_process *p, const leat_batch *batch)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < p->spec->argument_count; i++) {
        if (p->function->parameters[i].kind != LEAT_ARGUMENT_EXPRESSION)
            continue;
        const leat_process_argument *argument = &p->spec->arguments[i];
        leat_column_view *view = &p->expressions[next++];
        *view = (leat_column_view){0};
        if (argument->given && argument->expression)
            *view = expression_view(p, argument->expression, p->function->parameters[i].type, batch);
    }
}

void leat_process_view(leat_process *p, uint32_t input, const leat_batch *batch)
{
    leat_process_input *in = &p->inputs[input];
    view_rows rows = {batch, NULL};
    leat_arena_reset(&p->scratch);
    leat_process_begin_batch(p, input, batch);
    for (uint32_t i = 0; i < in->schema->count; i++)
        in->columns[i] = view_of(p, &rows, &batch->columns[i]);
    p->eval.bad_count = 0;
    if (input != 0 || !p->expression_count)
        return;
    p->eval.watermark_ms = p->watermark_ms;
    leat_eval_begin(&p->eval, batch, p->now_ms);
    view_expressions(p, batch);
}
