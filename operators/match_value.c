#include "operators/match.h"

#include <string.h>

enum { MASK_BITS = 64, MASK_BLOCK = 16 }; // MASK_BLOCK: rows of which the compiler makes one loop of vectors

// ---- rows of a match

// The nodes of a path lie last first in nfa.work; `current`: the row that is tried counts as the last one.
typedef struct match_path {
    leat_match *m;
    uint32_t count;
    int32_t own_stage; // -1: the row that is tried does not count
    int64_t time_ms;   // of the match
} match_path;

static bool is_of(const leat_match_value *value, uint32_t stage)
{
    return value->stage < 0 || (uint32_t)value->stage == stage;
}

static bool counts_current(const match_path *rows, const leat_match_value *value)
{
    return rows->own_stage >= 0 && is_of(value, (uint32_t)rows->own_stage);
}

static void decode_current(leat_match *m)
{
    leat_reader reader;
    leat_reader_init(&reader, m->row->bytes.data, m->row->bytes.size);
    for (uint32_t i = 0; i < m->kept.count; i++)
        LEAT_ASSERT(leat_value_decode(m->types[i], &reader, &m->row_scratch, &m->row_values[i]));
}

static void read_current(const leat_column *column, uint32_t at, bool is_number, leat_value *out_value)
{
    if (!is_number || leat_column_is_null(column, at)) {
        *out_value = leat_column_value(column, at);
        return;
    }
    memcpy(&out_value->i64, &column->i64[at], sizeof out_value->i64);
    out_value->is_null = false;
}

static const leat_value *current_values(leat_match *m)
{
    const leat_column *columns = m->row->columns;
    if (m->row_decoded)
        return m->row_values;
    if (!columns)
        decode_current(m);
    for (uint32_t i = 0; columns && i < m->kept.count; i++)
        read_current(&columns[i], m->row->at, m->is_number[i], &m->row_values[i]);
    m->row_decoded = true;
    return m->row_values;
}

const leat_value *leat_match_row_values(pattern_nfa *nfa) { return current_values(nfa->context); }

leat_slice leat_match_row_bytes(pattern_nfa *nfa)
{
    leat_match *m = nfa->context;
    if (!m->row->columns)
        return m->row->bytes;
    const leat_value *values = current_values(m);
    leat_writer_reset(&m->writer);
    for (uint32_t i = 0; i < m->kept.count; i++)
        leat_value_encode(m->types[i], &values[i], &m->writer);
    return leat_writer_slice(&m->writer);
}

static leat_value value_from(const match_path *rows, const pattern_event *event, uint32_t column)
{
    return pattern_event_value(event, rows->m->types, column, &rows->m->row_scratch);
}

static const pattern_node *node_at(const match_path *rows, uint32_t i) { return rows->m->nfa.work.steps[i].node; }

static leat_value last_row(const match_path *rows, const leat_match_value *value)
{
    uint32_t left = value->offset;
    if (counts_current(rows, value) && !left--)
        return current_values(rows->m)[value->column];
    for (uint32_t i = 0; i < rows->count; i++)
        if (is_of(value, node_at(rows, i)->stage) && !left--)
            return value_from(rows, node_at(rows, i)->event, value->column);
    return leat_value_null();
}

static leat_value first_row(const match_path *rows, const leat_match_value *value)
{
    uint32_t left = value->offset;
    for (uint32_t i = rows->count; i--;)
        if (is_of(value, node_at(rows, i)->stage) && !left--)
            return value_from(rows, node_at(rows, i)->event, value->column);
    return counts_current(rows, value) && !left ? current_values(rows->m)[value->column] : leat_value_null();
}

// Each stage has one row or none, and no value is nested.
static leat_value line_value(const match_path *rows, const leat_match_value *value)
{
    for (uint32_t i = 0; !value->offset && i < rows->count; i++)
        if (node_at(rows, i)->stage == (uint32_t)value->stage)
            return node_at(rows, i)->event->values[value->column];
    return leat_value_null();
}

// ---- aggregates

typedef struct aggregate_rows {
    leat_batch batch;
    void **accumulators; // the same one for every row
} aggregate_rows;

static void begin_rows(leat_match *m, aggregate_rows *some, void *accumulator)
{
    *some =
        (aggregate_rows){.batch = {.kind = LEAT_ELEMENT_ROWS, .schema = &m->kept, .watermark_after = LEAT_TIME_NONE}};
    leat_arena_init(&some->batch.arena, m->base.context->env, 0);
    some->batch.columns = leat_arena_array(&some->batch.arena, leat_column, m->kept.count + 1);
    some->accumulators = leat_arena_array(&some->batch.arena, void *, LEAT_BATCH_ROWS);
    for (uint32_t i = 0; i < m->kept.count; i++)
        leat_column_allocate(&some->batch, &some->batch.columns[i], m->types[i], LEAT_BATCH_ROWS, true);
    for (uint32_t i = 0; i < LEAT_BATCH_ROWS; i++)
        some->accumulators[i] = accumulator;
}

static leat_code add_rows(leat_match *m, const leat_accumulators *set, aggregate_rows *some)
{
    leat_error error;
    some->batch.selected = some->batch.count;
    if (!some->batch.count)
        return LEAT_OK;
    leat_eval_begin(&m->batch_eval, &some->batch, m->base.context->now_ms);
    leat_code code =
        leat_accumulators_add(set, &m->batch_eval, &some->batch, some->accumulators, m->base.context->budget, &error);
    m->bad_rows += m->batch_eval.bad_count;
    some->batch.count = 0;
    return code;
}

static leat_code take_row(leat_match *m, const leat_accumulators *set, aggregate_rows *some, const leat_value *values)
{
    for (uint32_t i = 0; i < m->kept.count; i++)
        leat_column_set(&some->batch.columns[i], some->batch.count, &values[i], NULL); // the row outlives the batch
    return ++some->batch.count == LEAT_BATCH_ROWS ? add_rows(m, set, some) : LEAT_OK;
}

static leat_code take_rows(const match_path *rows, const leat_match_value *value, aggregate_rows *some)
{
    leat_match *m = rows->m;
    leat_value *values = leat_arena_array(&m->row_scratch, leat_value, m->kept.count + 1);
    leat_code code = LEAT_OK;
    for (uint32_t i = rows->count; i-- && code == LEAT_OK;) {
        if (!is_of(value, node_at(rows, i)->stage))
            continue;
        for (uint32_t column = 0; column < m->kept.count; column++)
            values[column] = value_from(rows, node_at(rows, i)->event, column);
        code = take_row(m, value->accumulators, some, values);
    }
    if (code == LEAT_OK && counts_current(rows, value))
        code = take_row(m, value->accumulators, some, current_values(m));
    return code == LEAT_OK ? add_rows(m, value->accumulators, some) : code;
}

static leat_value aggregate(const match_path *rows, const leat_match_value *value)
{
    leat_match *m = rows->m;
    size_t size = leat_accumulators_size(value->accumulators);
    void *accumulator = leat_arena_alloc_aligned(&m->row_scratch, size, 16);
    aggregate_rows some;
    leat_value result = leat_value_null();
    memset(accumulator, 0, size);
    leat_accumulators_init(value->accumulators, accumulator);
    begin_rows(m, &some, accumulator);
    if (take_rows(rows, value, &some) == LEAT_OK) {
        leat_accumulators_result(value->accumulators, accumulator, 0, &m->row_scratch, &result);
        result = leat_value_copy(value->type, &result, &m->row_scratch);
    } else {
        m->bad_rows++; // no memory for it: like a row that cannot be evaluated
    }
    leat_accumulators_release(value->accumulators, accumulator, m->base.context->budget);
    leat_arena_fini(&some.batch.arena);
    return result;
}

// ---- values

static leat_value value_of(const match_path *rows, const leat_match_value *value)
{
    switch (value->kind) {
    case LEAT_MATCH_VALUE_ROW:
        if (rows->m->nfa.is_line && rows->own_stage < 0 && value->stage >= 0)
            return line_value(rows, value);
        return value->first ? first_row(rows, value) : last_row(rows, value);
    case LEAT_MATCH_VALUE_AGGREGATE:
        return aggregate(rows, value);
    case LEAT_MATCH_VALUE_TIME:
        return (leat_value){.i64 = rows->time_ms};
    }
    return leat_value_null();
}

static void fill_values(const match_path *rows, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        rows->m->values[list[i]] = value_of(rows, &rows->m->spec->values[list[i]]);
}

// ---- conditions

// Rows of the batch one behind the other, none NULL, none bad: no row has to be looked at by itself.
static void add_dense(uint64_t *restrict masks, const uint8_t *restrict fits, size_t count, uint32_t condition)
{
    size_t i = 0;
    for (; i + MASK_BLOCK <= count; i += MASK_BLOCK)
        for (size_t k = 0; k < MASK_BLOCK; k++)
            masks[i + k] |= (uint64_t)(fits[i + k] != 0) << condition;
    for (; i < count; i++)
        masks[i] |= (uint64_t)(fits[i] != 0) << condition;
}

static void run_simple(leat_match *m, uint32_t condition, const leat_batch *batch, uint8_t *bad, bool *inout_any_bad)
{
    leat_column fits;
    leat_eval *eval = &m->batch_eval;
    leat_eval_begin(eval, batch, m->base.context->now_ms);
    eval->watermark_ms = m->watermark_ms;
    leat_program_run(m->spec->conditions[condition].program, eval, batch, &m->row_scratch, &fits);
    *inout_any_bad |= eval->bad_count > 0;
    if (!batch->selection && !eval->bad_count && !fits.nulls) {
        add_dense(m->masks, fits.boolean, batch->count, condition);
        return;
    }
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        if (eval->bad_count && eval->bad[row])
            bad[row] = 1;
        else if (!leat_column_is_null(&fits, row) && fits.boolean[row])
            m->masks[row] |= 1ull << condition;
    }
}

void leat_match_masks(leat_match *m, const leat_batch *batch)
{
    uint8_t bad[LEAT_BATCH_ROWS];
    uint64_t count = 0;
    bool any_bad = false;
    leat_arena_reset(&m->row_scratch);
    memset(bad, 0, batch->count);
    memset(m->masks, 0, batch->count * sizeof *m->masks);
    for (uint32_t i = 0; i < m->spec->condition_count; i++)
        if (m->spec->conditions[i].simple)
            run_simple(m, i, batch, bad, &any_bad);
    for (uint32_t i = 0; any_bad && i < batch->selected; i++)
        count += bad[leat_batch_row(batch, i)];
    if (count)
        leat_drops_add(m->base.context->drops, LEAT_DROP_EXPRESSION, count);
}

static void begin_row_eval(leat_match *m)
{
    leat_eval_row_begin(&m->row_eval, m->base.context->now_ms);
    m->bad_rows = 0;
}

static bool run_program(leat_match *m, const leat_program *program, const leat_value *row, leat_value *out_value)
{
    leat_row_view inputs[] = {{.values = row, .event_ms = LEAT_TIME_NONE, .watermark_ms = m->watermark_ms},
                              {.values = m->values, .event_ms = LEAT_TIME_NONE, .watermark_ms = m->watermark_ms}};
    return leat_program_run_row(program, &m->row_eval, inputs, 2, out_value) && !m->bad_rows;
}

// Bits of a number; false: NULL.
static bool number_of(leat_value value, int64_t *out_bits)
{
    memcpy(out_bits, &value.i64, sizeof *out_bits);
    return !value.is_null;
}

static bool current_number(leat_match *m, uint32_t column, int64_t *out_bits)
{
    const leat_column *columns = m->row->columns;
    if (!columns)
        return number_of(current_values(m)[column], out_bits);
    memcpy(out_bits, &columns[column].i64[m->row->at], sizeof *out_bits);
    return !leat_column_is_null(&columns[column], m->row->at);
}

// Of a partial match that does not branch the nodes lie last first by themselves.
static bool line_number(leat_match *m, const leat_match_value *value, const pattern_run *run, int32_t own_stage,
                        int64_t *out_bits)
{
    uint32_t left = value->offset;
    if (own_stage >= 0 && is_of(value, (uint32_t)own_stage) && !left--)
        return current_number(m, value->column, out_bits);
    for (const pattern_node *node = run->entry; node; node = node->next)
        if (is_of(value, node->stage) && !left--)
            return number_of(node->event->values[value->column], out_bits);
    return false;
}

static bool operand_number(leat_match *m, const match_operand *operand, const pattern_run *run, match_path *rows,
                           int64_t *out_bits)
{
    *out_bits = operand->bits;
    if (operand->kind == MATCH_OPERAND_LITERAL)
        return true;
    if (operand->kind == MATCH_OPERAND_ROW)
        return current_number(m, operand->index, out_bits);
    const leat_match_value *value = &m->spec->values[operand->index];
    if (m->nfa.is_line && !value->first)
        return line_number(m, value, run, rows->own_stage, out_bits);
    if (run->entry && !rows->count)
        rows->count = leat_pattern_path(&m->nfa, run);
    return rows->count != UINT32_MAX &&
           number_of(value->first ? first_row(rows, value) : last_row(rows, value), out_bits);
}

static bool compares_hold(leat_match *m, const match_compares *compares, const pattern_run *run, int32_t own_stage)
{
    match_path rows = {.m = m, .own_stage = own_stage};
    for (uint32_t i = 0; i < compares->count; i++) {
        const match_compare *compare = &compares->all[i];
        int64_t a, b;
        if (!operand_number(m, &compare->a, run, &rows, &a) || !operand_number(m, &compare->b, run, &rows, &b) ||
            !match_compare_holds(compare, a, b))
            return false;
    }
    return true;
}

bool leat_match_test(pattern_nfa *nfa, uint32_t index, const pattern_run *run)
{
    leat_match *m = nfa->context;
    const leat_match_condition *condition = &m->spec->conditions[index];
    if (condition->simple)
        return m->row->mask >> index & 1;
    if (m->compares[index].count)
        return compares_hold(m, &m->compares[index], run, condition->own_stage);
    match_path rows = {.m = m, .own_stage = condition->own_stage};
    leat_value fits;
    begin_row_eval(m);
    if (run->entry && condition->value_count)
        rows.count = leat_pattern_path(nfa, run);
    if (rows.count == UINT32_MAX)
        return false;
    fill_values(&rows, condition->values, condition->value_count);
    if (run_program(m, condition->program, current_values(m), &fits))
        return !fits.is_null && fits.boolean;
    leat_drops_add(m->base.context->drops, LEAT_DROP_EXPRESSION, 1);
    return false;
}

// ---- results

static bool measure(const match_path *rows, const leat_match_measure *measure, leat_value *out_value)
{
    leat_match *m = rows->m;
    if (measure->key >= 0) {
        *out_value = m->key_values[measure->key];
        return true;
    }
    if (measure->is_value) {
        *out_value = value_of(rows, &m->spec->values[measure->values[0]]);
        return !m->bad_rows;
    }
    fill_values(rows, measure->values, measure->value_count);
    return run_program(m, measure->program, m->values, out_value);
}

static uint64_t version_hash(const pattern_version *version)
{
    uint64_t hash = 0;
    for (; version; version = version->parent)
        hash = leat_hash_combine(hash, version->digit);
    return hash;
}

// Partial matches of the same rows differ by their state or by their version, and so do matches of groups.
static uint64_t cause_of(const leat_match *m, uint32_t count, const pattern_run *run, bool timeout)
{
    uint64_t cause = leat_hash_combine(leat_keys_hash(m->keys, m->slot), timeout);
    if (timeout || m->nfa.graph.has_groups)
        cause = leat_hash_combine(leat_hash_combine(cause, run->state->index), version_hash(run->version));
    for (uint32_t i = count; i--;) {
        const pattern_node *node = m->nfa.work.steps[i].node;
        cause = leat_hash_combine(leat_hash_combine(cause, node->event->cause), node->stage);
    }
    return cause;
}

// Time of a result. A match that is let go by the end of all time has the time of its last row.
static int64_t time_of(const leat_match *m, uint32_t count, int64_t time_ms)
{
    return time_ms == LEAT_TIME_MAX && count ? m->nfa.work.steps[0].node->event->time_ms : time_ms;
}

static void emit(leat_match *m, unsigned output, uint32_t columns, int64_t time_ms, uint64_t cause)
{
    leat_emitter *emitter = &m->emitters[output];
    uint32_t row = leat_emitter_row(emitter, m->spec->time_column < 0 ? LEAT_TIME_NONE : time_ms, LEAT_INSERT, cause);
    for (uint32_t i = 0; i < columns; i++) {
        leat_column *column = &emitter->batch->columns[i];
        leat_physical physical = leat_type_physical(column->type);
        if ((physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64) && !m->results[i].is_null)
            memcpy(&column->i64[row], &m->results[i].i64, sizeof *column->i64);
        else
            leat_emitter_set(emitter, row, i, &m->results[i]);
    }
}

static bool is_read(const leat_match *m, unsigned output)
{
    return !m->base.context->output_used || m->base.context->output_used[output];
}

void leat_match_found(pattern_nfa *nfa, uint32_t count, int64_t time_ms, const pattern_run *run, bool timeout)
{
    leat_match *m = nfa->context;
    const leat_match_measure *measures = timeout ? m->spec->timeout_measures : m->spec->measures;
    uint32_t columns = timeout ? m->spec->timeout_measure_count : m->spec->measure_count;
    unsigned output = timeout ? (unsigned)m->timeout_output : 0;
    match_path rows = {.m = m, .count = count, .own_stage = -1, .time_ms = time_of(m, count, time_ms)};
    bool evaluated = true;
    if (!is_read(m, output))
        return;
    begin_row_eval(m);
    leat_keys_values(m->keys, m->slot, m->key_values);
    for (uint32_t i = 0; i < columns && evaluated; i++)
        evaluated = measure(&rows, &measures[i], &m->results[i]);
    if (evaluated)
        emit(m, output, columns, rows.time_ms, cause_of(m, count, run, timeout));
    else
        leat_drops_add(m->base.context->drops, LEAT_DROP_EXPRESSION, 1);
}

void leat_match_skipped(pattern_nfa *nfa)
{
    leat_match *m = nfa->context;
    leat_drops_add(m->base.context->drops, LEAT_DROP_EXPRESSION, 1);
}

// ---- life

// A comparison reads numbers of single rows; an aggregate or the time of the match is for the program.
static bool are_of_rows(const leat_match_spec *spec, const match_compares *compares)
{
    for (uint32_t i = 0; i < 2 * compares->count; i++) {
        const match_operand *operand = i % 2 ? &compares->all[i / 2].b : &compares->all[i / 2].a;
        if (operand->kind == MATCH_OPERAND_VALUE && spec->values[operand->index].kind != LEAT_MATCH_VALUE_ROW)
            return false;
    }
    return true;
}

static void open_compares(leat_match *m)
{
    const leat_match_spec *spec = m->spec;
    leat_arena *arena = m->base.context->arena;
    m->compares = leat_arena_array(arena, match_compares, spec->condition_count + 1);
    for (uint32_t i = 0; i < spec->condition_count; i++) {
        const leat_match_condition *condition = &spec->conditions[i];
        if (!condition->simple)
            m->compares[i] = match_compares_read(arena, leat_program_expr(condition->program));
        if (!are_of_rows(spec, &m->compares[i]))
            m->compares[i].count = 0;
    }
}

leat_code leat_match_open_values(leat_match *m, leat_error *out_error)
{
    const leat_match_spec *spec = m->spec;
    leat_operator_context *context = m->base.context;
    leat_field *fields = leat_arena_array(context->arena, leat_field, spec->kept_count + 1);
    m->types = leat_arena_array(context->arena, leat_type, spec->kept_count + 1);
    m->is_number = leat_arena_array(context->arena, bool, spec->kept_count + 1);
    for (uint32_t i = 0; i < spec->kept_count; i++) {
        fields[i] = context->inputs[0]->fields[spec->kept[i]];
        m->types[i] = fields[i].type;
        leat_physical physical = leat_type_physical(m->types[i]);
        m->is_number[i] = physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64;
    }
    m->kept = (leat_schema){.count = spec->kept_count, .fields = fields, .rowtime = -1, .proctime = -1};
    for (uint32_t i = 0; i < spec->condition_count; i++)
        if (spec->conditions[i].simple && i >= MASK_BITS)
            return leat_error_set(out_error, LEAT_E_INVALID, "condition %u of a pattern is not among the first %d", i,
                                  MASK_BITS);
    uint32_t results =
        spec->measure_count > spec->timeout_measure_count ? spec->measure_count : spec->timeout_measure_count;
    open_compares(m);
    m->masks = leat_arena_array(context->arena, uint64_t, LEAT_BATCH_ROWS);
    m->row_values = leat_arena_array(context->arena, leat_value, spec->kept_count + 1);
    m->values = leat_arena_array(context->arena, leat_value, spec->value_count + 1);
    m->results = leat_arena_array(context->arena, leat_value, results + 1);
    m->key_values = leat_arena_array(context->arena, leat_value, spec->key_count + 1);
    leat_eval_init(&m->batch_eval, context->env);
    leat_eval_init(&m->row_eval, context->env);
    leat_arena_init(&m->row_scratch, context->env, 0);
    return LEAT_OK;
}

void leat_match_close_values(leat_match *m)
{
    if (!m->row_scratch.env)
        return;
    leat_eval_fini(&m->batch_eval);
    leat_eval_fini(&m->row_eval);
    leat_arena_fini(&m->row_scratch);
}
