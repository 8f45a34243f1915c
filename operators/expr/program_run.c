// Running blocks: for a batch, column by column, and for a single row, in registers of one row.
#include <stdio.h>
#include <string.h>

#include "operators/expr/code.h"

// Memory of the registers, one block in eval->registers, sized by the largest program seen.
typedef struct workspace {
    leat_vector *vectors;
    leat_rows *selections;
    unsigned char (*cells)[16]; // values of single-row registers
    uint8_t *null_cells;
} workspace;

enum { ROW_CHUNK = 4096 }; // columns of full batches have chunks of their own

static size_t workspace_size(uint32_t capacity)
{
    return capacity * (16 + sizeof(leat_vector) + sizeof(leat_rows) + 1);
}

static workspace workspace_of(leat_eval *eval, const leat_block *block)
{
    uint32_t wanted = block->register_count > block->selection_count ? block->register_count : block->selection_count;
    if (wanted > eval->register_capacity) {
        uint32_t capacity = wanted + 16;
        leat_env_free(eval->env, eval->registers, workspace_size(eval->register_capacity));
        eval->registers = leat_env_alloc(eval->env, workspace_size(capacity));
        LEAT_ASSERT(eval->registers);
        eval->register_capacity = capacity;
    }
    workspace space;
    uint32_t capacity = eval->register_capacity;
    space.cells = eval->registers;
    space.vectors = (leat_vector *)(void *)(space.cells + capacity);
    space.selections = (leat_rows *)(void *)(space.vectors + capacity);
    space.null_cells = (uint8_t *)(space.selections + capacity);
    return space;
}

void leat_eval_init(leat_eval *eval, leat_env *env)
{
    memset(eval, 0, sizeof *eval);
    eval->env = env;
    eval->watermark_ms = LEAT_TIME_NONE;
    leat_arena_init(&eval->scratch, env, ROW_CHUNK);
}

void leat_eval_fini(leat_eval *eval)
{
    leat_env_free(eval->env, eval->registers, workspace_size(eval->register_capacity));
    leat_arena_fini(&eval->scratch);
    eval->registers = NULL;
    eval->register_capacity = 0;
}

void leat_eval_begin(leat_eval *eval, const leat_batch *batch, int64_t now_ms)
{
    leat_arena_reset(&eval->scratch);
    eval->now_ms = now_ms;
    eval->bad = leat_arena_alloc_aligned(&eval->scratch, batch->count + 1, 8);
    memset(eval->bad, 0, batch->count + 1);
    eval->bad_count = 0;
    eval->bad_reason[0] = 0;
}

void leat_eval_row_begin(leat_eval *eval, int64_t now_ms)
{
    leat_arena_reset(&eval->scratch);
    eval->now_ms = now_ms;
    eval->bad = NULL;
    eval->bad_count = 0;
    eval->bad_reason[0] = 0;
}

void leat_call_fail(leat_call *call, uint32_t row, const char *format, ...)
{
    leat_eval *eval = call->eval;
    call->out->nulls[row] = 1;
    if (call->step->try_cast || eval->bad[row])
        return;
    if (eval->bad_count == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(eval->bad_reason, sizeof eval->bad_reason, format, arguments);
        va_end(arguments);
    }
    eval->bad[row] = 1;
    eval->bad_count++;
}

static uint16_t *new_rows(leat_call *call, uint32_t count)
{
    return leat_arena_alloc_aligned(&call->eval->scratch, sizeof(uint16_t) * (count + 1), 8);
}

static leat_arena *arena_of_out(const leat_call *call)
{
    return call->step->out == call->result ? call->result_memory : &call->eval->scratch;
}

static uint8_t *new_nulls(leat_call *call)
{
    uint8_t *nulls = leat_arena_alloc_aligned(arena_of_out(call), call->physical + 1, 8);
    memset(nulls, 0, call->physical + 1);
    return nulls;
}

static void allocate(leat_call *call, leat_vector *vector)
{
    size_t size = leat_physical_size(leat_type_physical(vector->column.type));
    vector->column.values = leat_arena_alloc_aligned(arena_of_out(call), size * (call->physical + 1), 16);
    vector->column.nulls = NULL;
    vector->mask = UINT32_MAX;
}

// -- NULLs of ordinary functions: NULL where any argument is

static bool any_nulls(const leat_call *call)
{
    for (uint32_t i = 0; i < call->step->argument_count; i++)
        if (leat_argument(call, i)->column.nulls)
            return true;
    return false;
}

static void merge_nulls(leat_call *call)
{
    uint8_t *restrict out = call->out->nulls = new_nulls(call);
    for (uint32_t i = 0; i < call->step->argument_count; i++) {
        const leat_vector *vector = leat_argument(call, i);
        const uint8_t *restrict nulls = vector->column.nulls;
        if (!nulls)
            continue;
        if (vector->mask == 0) {
            if (nulls[0])
                memset(out, 1, call->physical);
            continue;
        }
        for (uint32_t row = 0; row < call->physical; row++)
            out[row] |= nulls[row];
    }
}

// Leaves only rows without NULL.
static void skip_nulls(leat_call *call)
{
    uint16_t *rows = new_rows(call, call->count);
    const uint8_t *nulls = call->out->nulls;
    uint32_t count = 0;
    LEAT_EACH(call, row)
    {
        rows[count] = (uint16_t)row;
        count += !nulls[row];
    }
    call->rows = rows;
    call->count = count;
}

static void run_call(leat_call *call)
{
    const leat_step *step = call->step;
    unsigned flags = step->flags;
    allocate(call, &call->registers[step->out]);
    if (flags & LEAT_FUNCTION_LENIENT) {
        bool some =
            flags & LEAT_FUNCTION_TOTAL ? any_nulls(call) : flags & (LEAT_FUNCTION_NULLABLE | LEAT_FUNCTION_FAILS);
        if (some)
            call->out->nulls = new_nulls(call);
    } else if (any_nulls(call)) {
        merge_nulls(call);
        if (!(flags & LEAT_FUNCTION_TOTAL))
            skip_nulls(call);
    } else if (flags & (LEAT_FUNCTION_NULLABLE | LEAT_FUNCTION_FAILS)) {
        call->out->nulls = new_nulls(call);
    }
    // Computing all rows without a list is faster than a fair part of them with one.
    if ((flags & LEAT_FUNCTION_TOTAL) && call->rows && call->count >= call->physical / 4) {
        call->rows = NULL;
        call->count = call->physical;
    }
    step->kernel(call);
}

// -- selections

static void run_split(leat_call *call)
{
    const leat_step *step = call->step;
    const leat_vector *argument = leat_argument(call, 0);
    const uint8_t *nulls = argument->column.nulls, *values = argument->column.boolean;
    static const uint8_t none = 0;
    uint32_t mask = argument->mask, null_mask = nulls ? mask : 0;
    leat_operation operation = (leat_operation)step->operation;
    uint16_t *out = new_rows(call, call->count);
    uint16_t *rest = step->selection_rest != UINT16_MAX ? new_rows(call, call->count) : NULL;
    uint32_t count = 0, rest_count = 0;
    if (!nulls)
        nulls = &none;
    LEAT_EACH(call, row)
    {
        bool null = nulls[row & null_mask], taken;
        if (operation == LEAT_SPLIT_NULL)
            taken = null;
        else if (operation == LEAT_SPLIT_TRUE)
            taken = !null && values[row & mask];
        else
            taken = null || values[row & mask] != (operation == LEAT_SPLIT_NOT_TRUE);
        out[count] = (uint16_t)row;
        count += taken;
        if (rest) {
            rest[rest_count] = (uint16_t)row;
            rest_count += !taken;
        }
    }
    call->selections[step->selection_out] = (leat_rows){out, count};
    if (rest)
        call->selections[step->selection_rest] = (leat_rows){rest, rest_count};
}

static void run_filter(leat_call *call)
{
    call->passed = new_rows(call, call->count);
    call->passed_count = 0;
    call->step->kernel(call);
    call->selections[call->step->selection_out] = (leat_rows){call->passed, call->passed_count};
}

// -- copying a branch's rows

#define COPY_LOOP(member)                                                                                              \
    LEAT_EACH(call, row) call->out->member[row] = from->column.member[row & from->mask];                               \
    break

static void run_copy(leat_call *call)
{
    const leat_vector *from = leat_argument(call, 0);
    switch (leat_type_physical(call->out->type)) {
    case LEAT_PHYSICAL_BOOL:
        COPY_LOOP(boolean);
    case LEAT_PHYSICAL_I64:
        COPY_LOOP(i64);
    case LEAT_PHYSICAL_F64:
        COPY_LOOP(f64);
    case LEAT_PHYSICAL_I128:
        COPY_LOOP(i128);
    case LEAT_PHYSICAL_TEXT:
        COPY_LOOP(text);
    case LEAT_PHYSICAL_NESTED:
        COPY_LOOP(nested);
    }
    LEAT_EACH(call, row)
    call->out->nulls[row] = from->column.nulls ? from->column.nulls[row & from->mask] : 0;
}

// -- loads of a batch

static void load_time(leat_call *call, const int64_t *times, int64_t otherwise)
{
    leat_vector *vector = &call->registers[call->step->out];
    allocate(call, vector);
    vector->column.nulls = new_nulls(call);
    for (uint32_t row = 0; row < call->physical; row++) {
        int64_t time = times ? times[row] : otherwise;
        vector->column.i64[row] = time;
        vector->column.nulls[row] = time == LEAT_TIME_NONE;
    }
}

static void load_constant_time(leat_call *call, int64_t time)
{
    leat_vector *vector = &call->registers[call->step->out];
    int64_t *cell = leat_arena_alloc(&call->eval->scratch, sizeof *cell);
    *cell = time;
    *vector = (leat_vector){.column = {.type = vector->column.type, .values = cell}, .mask = 0};
}

static void load(leat_call *call)
{
    const leat_step *step = call->step;
    leat_vector *vector = &call->registers[step->out];
    switch (step->operation) {
    case LEAT_LOAD_COLUMN:
        LEAT_ASSERT(step->input == 0);
        vector->column.values = call->batch->columns[step->column].values;
        vector->column.nulls = call->batch->columns[step->column].nulls;
        vector->mask = UINT32_MAX;
        return;
    case LEAT_LOAD_ROWTIME:
        load_time(call, call->batch->event_ms, LEAT_TIME_NONE);
        return;
    case LEAT_LOAD_WATERMARK:
        load_time(call, call->batch->watermark, call->eval->watermark_ms);
        return;
    default:
        load_constant_time(call, call->eval->now_ms);
        return;
    }
}

static void run_step(leat_call *call, const leat_step *step)
{
    leat_rows rows = call->selections[step->selection];
    call->step = step;
    call->out = &call->registers[step->out].column;
    call->rows = rows.rows;
    call->count = rows.count;
    switch ((leat_operation)step->operation) {
    case LEAT_CALL:
        run_call(call);
        return;
    case LEAT_SPLIT_TRUE:
    case LEAT_SPLIT_NULL:
    case LEAT_SPLIT_NOT_FALSE:
    case LEAT_SPLIT_NOT_TRUE:
        run_split(call);
        return;
    case LEAT_FILTER:
        run_filter(call);
        return;
    case LEAT_BRANCHES:
        allocate(call, &call->registers[step->out]);
        call->out->nulls = new_nulls(call);
        return;
    case LEAT_COPY:
        run_copy(call);
        return;
    default:
        load(call);
        return;
    }
}

// The existing rows without those that are bad already.
static leat_rows existing_rows(leat_call *call)
{
    const leat_batch *batch = call->batch;
    const leat_eval *eval = call->eval;
    if (eval->bad_count == 0)
        return (leat_rows){batch->selection, batch->selection ? batch->selected : batch->count};
    uint32_t count = 0, all = batch->selection ? batch->selected : batch->count;
    uint16_t *rows = new_rows(call, all);
    for (uint32_t i = 0; i < all; i++) {
        uint32_t row = leat_batch_row(batch, i);
        rows[count] = (uint16_t)row;
        count += !eval->bad[row];
    }
    return (leat_rows){rows, count};
}

static leat_call run_block(const leat_program *program, const leat_block *block, leat_eval *eval,
                           const leat_batch *batch, leat_arena *result_memory)
{
    workspace space = workspace_of(eval, block);
    leat_call call = {.eval = eval,
                      .zone = program->zone,
                      .memory = &eval->scratch,
                      .registers = space.vectors,
                      .selections = space.selections,
                      .batch = batch,
                      .physical = batch->count,
                      .result_memory = result_memory,
                      .result = result_memory ? block->result : UINT32_MAX};
    if (block->register_count)
        memcpy(space.vectors, block->registers, sizeof *space.vectors * block->register_count);
    space.selections[0] = existing_rows(&call);
    for (uint32_t i = 0; i < block->step_count; i++)
        run_step(&call, &block->steps[i]);
    return call;
}

// -- results of a batch

static void copy_text(leat_call *call, leat_rows rows, const leat_vector *from, leat_arena *memory, leat_column *out)
{
    size_t size = 0;
    call->rows = rows.rows;
    call->count = rows.count;
    LEAT_EACH(call, row)
    size += leat_column_is_null(&from->column, row & from->mask) ? 0 : from->column.text[row & from->mask].size;
    char *bytes = leat_arena_alloc_aligned(memory, size + 1, 1);
    LEAT_EACH(call, row)
    {
        leat_slice text = from->column.text[row & from->mask];
        if (leat_column_is_null(&from->column, row & from->mask)) {
            out->text[row] = (leat_slice){bytes, 0};
            continue;
        }
        if (text.size)
            memcpy(bytes, text.data, text.size);
        out->text[row] = (leat_slice){bytes, text.size};
        bytes += text.size;
    }
}

static void copy_value(leat_rows rows, const leat_vector *from, leat_arena *memory, leat_column *out)
{
    for (uint32_t i = 0; i < rows.count; i++) {
        uint32_t row = rows.rows ? rows.rows[i] : i;
        leat_value value = leat_column_value(&from->column, row & from->mask);
        if (value.is_null)
            continue;
        leat_column_set(out, row, &value, memory);
    }
}

static uint8_t *copy_nulls(const leat_vector *from, uint32_t physical, leat_arena *memory)
{
    if (!from->column.nulls)
        return NULL;
    uint8_t *nulls = leat_arena_alloc_aligned(memory, physical + 1, 8);
    if (from->mask == 0)
        memset(nulls, from->column.nulls[0], physical);
    else
        memcpy(nulls, from->column.nulls, physical);
    return nulls;
}

static void copy_result(leat_call *call, const leat_vector *from, leat_arena *memory, leat_column *out)
{
    leat_rows rows = call->selections[0];
    size_t size = leat_physical_size(leat_type_physical(from->column.type));
    out->type = from->column.type;
    out->values = leat_arena_alloc_aligned(memory, size * (call->physical + 1), 16);
    out->nulls = copy_nulls(from, call->physical, memory);
    switch (leat_type_physical(from->column.type)) {
    case LEAT_PHYSICAL_TEXT:
        copy_text(call, rows, from, memory, out);
        return;
    case LEAT_PHYSICAL_NESTED:
        copy_value(rows, from, memory, out);
        return;
    default:
        break;
    }
    if (from->mask != 0)
        memcpy(out->values, from->column.values, size * call->physical);
    else
        for (uint32_t row = 0; row < call->physical; row++)
            memcpy((char *)out->values + size * row, from->column.values, size);
}

void leat_program_run(const leat_program *program, leat_eval *eval, const leat_batch *batch, leat_arena *memory,
                      leat_column *out_column)
{
    int column = leat_program_column(program);
    if (column >= 0) {
        *out_column = batch->columns[column];
        return;
    }
    bool flat = leat_type_physical(program->expr->type) <= LEAT_PHYSICAL_I128;
    leat_call call = run_block(program, &program->value, eval, batch, flat ? memory : NULL);
    const leat_vector *result = &call.registers[program->value.result];
    // Texts and nested values may lie in the batch or in the program, and constants are one value: these are copied.
    if (flat && result->mask != 0)
        *out_column = result->column;
    else
        copy_result(&call, result, memory, out_column);
}

uint32_t leat_program_select(const leat_program *program, leat_eval *eval, const leat_batch *batch,
                             uint16_t *out_selection)
{
    LEAT_ASSERT(program->expr->type.kind == LEAT_KIND_BOOLEAN);
    uint32_t bad_before = eval->bad_count;
    leat_call call = run_block(program, &program->filter, eval, batch, NULL);
    leat_rows rows = call.selections[program->filter.result];
    if (eval->bad_count == bad_before && rows.rows) {
        memcpy(out_selection, rows.rows, sizeof *out_selection * rows.count);
        return rows.count;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows.count; i++) {
        uint32_t row = rows.rows ? rows.rows[i] : i;
        out_selection[count] = (uint16_t)row;
        count += !eval->bad[row];
    }
    return count;
}

// -- a single row

static void load_cell(leat_vector *vector, void *cell, uint8_t *null, const leat_value *value)
{
    vector->column.values = cell;
    vector->column.nulls = null;
    *null = value->is_null;
    if (!value->is_null)
        switch (leat_type_physical(vector->column.type)) {
        case LEAT_PHYSICAL_BOOL:
            vector->column.boolean[0] = value->boolean;
            break;
        case LEAT_PHYSICAL_I64:
            vector->column.i64[0] = value->i64;
            break;
        case LEAT_PHYSICAL_F64:
            vector->column.f64[0] = value->f64;
            break;
        case LEAT_PHYSICAL_I128:
            vector->column.i128[0] = value->i128;
            break;
        case LEAT_PHYSICAL_TEXT:
            vector->column.text[0] = value->text;
            break;
        case LEAT_PHYSICAL_NESTED:
            vector->column.nested[0] = value->nested;
            break;
        }
}

static int64_t time_of_row(const leat_call *call, leat_operation operation)
{
    switch (operation) {
    case LEAT_LOAD_ROWTIME:
        return call->inputs[0].event_ms;
    case LEAT_LOAD_WATERMARK:
        return call->inputs[0].watermark_ms;
    default:
        return call->eval->now_ms;
    }
}

static bool argument_is_null(const leat_call *call, uint32_t index)
{
    const uint8_t *nulls = leat_argument(call, index)->column.nulls;
    return nulls && nulls[0];
}

static void split_row(leat_call *call)
{
    const leat_step *step = call->step;
    uint32_t count = call->count, taken = 0;
    if (count) {
        bool null = argument_is_null(call, 0);
        bool value = !null && leat_argument(call, 0)->column.boolean[0];
        switch ((leat_operation)step->operation) {
        case LEAT_SPLIT_NULL:
            taken = null;
            break;
        case LEAT_SPLIT_TRUE:
            taken = value;
            break;
        case LEAT_SPLIT_NOT_FALSE:
            taken = null || value;
            break;
        default:
            taken = null || !value;
            break;
        }
    }
    call->selections[step->selection_out] = (leat_rows){NULL, taken};
    if (step->selection_rest != UINT16_MAX)
        call->selections[step->selection_rest] = (leat_rows){NULL, count - taken};
}

static void call_row(leat_call *call, uint8_t *null)
{
    const leat_step *step = call->step;
    *null = 0;
    if (!call->count) {
        memset(call->out->values, 0, leat_physical_size(leat_type_physical(call->out->type)));
        return;
    }
    if (!(step->flags & LEAT_FUNCTION_LENIENT))
        for (uint32_t i = 0; i < step->argument_count; i++)
            if (argument_is_null(call, i)) {
                *null = 1;
                return;
            }
    step->kernel(call);
}

static void run_row_step(leat_call *call, const workspace *space, const leat_step *step)
{
    leat_vector *vector = &call->registers[step->out];
    uint8_t *null = &space->null_cells[step->out];
    leat_operation operation = (leat_operation)step->operation;
    call->step = step;
    call->out = &vector->column;
    call->count = call->selections[step->selection].count;
    if (operation >= LEAT_SPLIT_TRUE && operation <= LEAT_SPLIT_NOT_TRUE) {
        split_row(call);
        return;
    }
    if (operation == LEAT_COPY) {
        run_copy(call);
        return;
    }
    if (operation == LEAT_LOAD_COLUMN) {
        load_cell(vector, space->cells[step->out], null, &call->inputs[step->input].values[step->column]);
        return;
    }
    vector->column.values = space->cells[step->out];
    vector->column.nulls = null;
    if (operation == LEAT_CALL) {
        call_row(call, null);
    } else if (operation == LEAT_BRANCHES) {
        *null = 1;
    } else {
        vector->column.i64[0] = time_of_row(call, operation);
        *null = vector->column.i64[0] == LEAT_TIME_NONE;
    }
}

bool leat_program_run_row(const leat_program *program, leat_eval *eval, const leat_row_view *inputs,
                          uint32_t input_count, leat_value *out_value)
{
    const leat_block *block = &program->value;
    workspace space = workspace_of(eval, block);
    uint8_t bad = 0, *batch_bad = eval->bad;
    uint32_t batch_bad_count = eval->bad_count;
    leat_call call = {.eval = eval,
                      .zone = program->zone,
                      .memory = &eval->scratch,
                      .registers = space.vectors,
                      .selections = space.selections,
                      .inputs = inputs,
                      .physical = 1,
                      .single = true,
                      .result = UINT32_MAX};
    (void)input_count;
    eval->bad = &bad;
    eval->bad_count = 0;
    memcpy(space.vectors, block->registers, sizeof *space.vectors * block->register_count);
    space.selections[0] = (leat_rows){NULL, 1};
    for (uint32_t i = 0; i < block->step_count; i++)
        run_row_step(&call, &space, &block->steps[i]);
    *out_value = leat_column_value(&space.vectors[block->result].column, 0);
    eval->bad = batch_bad;
    eval->bad_count = batch_bad_count;
    return !bad;
}
