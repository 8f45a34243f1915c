#include "operators/join_pairs.h"

#include <string.h>

enum { NO_ROW = UINT16_MAX, TESTS_MAX = 16 };

typedef enum compare_op { LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, UNEQUAL } compare_op;

typedef struct operand {
    bool literal;
    unsigned side;
    uint32_t column;
    int64_t value; // of a literal; a double's bits
} operand;

// A comparison of two numbers of one physical form, which needs no program.
struct leat_join_test {
    compare_op op;
    bool f64;
    operand a, b;
};

static const leat_schema *schema_of(const leat_join_pairs *pairs, unsigned side)
{
    return pairs->frame->context->inputs[side];
}

static uint32_t columns_of(const leat_join_pairs *pairs, unsigned side) { return schema_of(pairs, side)->count; }

// ---- what is kept

// A key of which equal values are the same in every bit stands in the partner too.
static int32_t key_of(const leat_join_pairs *pairs, unsigned side, uint32_t column)
{
    const leat_join_sides *sides = pairs->frame->sides;
    leat_physical physical = leat_type_physical(schema_of(pairs, side)->fields[column].type);
    if (physical != LEAT_PHYSICAL_I64 && physical != LEAT_PHYSICAL_TEXT && physical != LEAT_PHYSICAL_BOOL)
        return -1;
    for (uint32_t k = 0; k < sides->key_count; k++)
        if (sides->key_columns[side][k] == column)
            return (int32_t)k;
    return -1;
}

static leat_join_source source_of(leat_join_pairs *pairs, unsigned side, uint32_t column, int32_t time_column,
                                  const bool *unread)
{
    bool in_result = column < pairs->frame->sides->column_counts[side] && !(unread && unread[column]);
    int32_t key = key_of(pairs, side, column);
    if (!in_result && !pairs->read[side][column])
        return (leat_join_source){.kind = LEAT_JOIN_FROM_NOWHERE};
    if ((int32_t)column == time_column)
        return (leat_join_source){.kind = LEAT_JOIN_FROM_TIME};
    if (key >= 0)
        return (leat_join_source){LEAT_JOIN_FROM_KEY, (uint32_t)key};
    pairs->kept[side][pairs->kept_count[side]] = column;
    return (leat_join_source){LEAT_JOIN_FROM_CELL, pairs->kept_count[side]++};
}

static void plan_sources(leat_join_pairs *pairs, unsigned side, int32_t time_column, const bool *unread)
{
    leat_arena *arena = pairs->frame->context->arena;
    uint32_t count = columns_of(pairs, side);
    pairs->sources[side] = leat_arena_array(arena, leat_join_source, count + 1);
    pairs->kept[side] = leat_arena_array(arena, uint32_t, count + 1);
    for (uint32_t c = 0; c < count; c++)
        pairs->sources[side][c] = source_of(pairs, side, c, time_column, unread);
}

// ---- what goes where

static void plan_kept_column(leat_join_pairs *pairs, leat_join_moves *moves, unsigned side, uint32_t column,
                             uint32_t out)
{
    leat_join_source source = pairs->sources[side][column];
    switch (source.kind) {
    case LEAT_JOIN_FROM_NOWHERE:
        moves->nowhere[moves->nowhere_count++] = out;
        return;
    case LEAT_JOIN_FROM_CELL:
        moves->cells[moves->cell_count++] = (leat_join_move){out, source.index};
        return;
    case LEAT_JOIN_FROM_KEY:
        moves->arriving[moves->arriving_count++] =
            (leat_join_move){out, pairs->frame->sides->key_columns[!side][source.index]};
        return;
    case LEAT_JOIN_FROM_TIME:
        moves->times[moves->time_count++] = out;
        return;
    }
}

static void plan_moves(leat_join_pairs *pairs, unsigned input, const bool *unread)
{
    const uint32_t *counts = pairs->frame->sides->column_counts;
    leat_arena *arena = pairs->frame->context->arena;
    leat_join_moves *moves = &pairs->moves[input];
    uint32_t count = counts[0] + counts[1], first = input ? counts[0] : 0, others = input ? 0 : counts[0];
    moves->arriving = leat_arena_array(arena, leat_join_move, count + 1);
    moves->cells = leat_arena_array(arena, leat_join_move, count + 1);
    moves->times = leat_arena_array(arena, uint32_t, count + 1);
    moves->nowhere = leat_arena_array(arena, uint32_t, count + 1);
    for (uint32_t c = 0; c < counts[input]; c++)
        if (unread && unread[c])
            moves->nowhere[moves->nowhere_count++] = first + c;
        else
            moves->arriving[moves->arriving_count++] = (leat_join_move){first + c, c};
    for (uint32_t c = 0; c < counts[!input]; c++)
        plan_kept_column(pairs, moves, !input, c, others + c);
}

// ---- conditions that are comparisons

static bool read_operand(const leat_expr *expr, operand *out)
{
    *out = (operand){.literal = expr->kind == LEAT_EXPR_LITERAL};
    if (out->literal) {
        memcpy(&out->value, &expr->literal.i64, sizeof out->value);
        return !expr->literal.is_null;
    }
    out->side = expr->input;
    out->column = expr->column;
    return expr->kind == LEAT_EXPR_COLUMN;
}

static bool read_op(const leat_expr *expr, compare_op *out)
{
    static const char *const names[] = {"<", "<=", ">", ">=", "=", "<>"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (expr->argument_count == 2 && !strcmp(leat_expr_called(expr), names[i])) {
            *out = (compare_op)i;
            return true;
        }
    return false;
}

static bool read_test(leat_join_pairs *pairs, const leat_expr *expr)
{
    leat_join_test *test = &pairs->tests[pairs->test_count];
    if (pairs->test_count == TESTS_MAX || !read_op(expr, &test->op) || !read_operand(expr->arguments[0], &test->a) ||
        !read_operand(expr->arguments[1], &test->b))
        return false;
    leat_physical physical = leat_type_physical(expr->arguments[0]->type);
    test->f64 = physical == LEAT_PHYSICAL_F64;
    pairs->test_count++;
    return physical == leat_type_physical(expr->arguments[1]->type) && (test->f64 || physical == LEAT_PHYSICAL_I64);
}

static bool read_tests(leat_join_pairs *pairs, const leat_expr *expr)
{
    if (strcmp(leat_expr_called(expr), "AND") != 0)
        return read_test(pairs, expr);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (!read_tests(pairs, expr->arguments[i]))
            return false;
    return true;
}

static void plan_condition(leat_join_pairs *pairs)
{
    leat_arena *arena = pairs->frame->context->arena;
    const leat_program *condition = pairs->frame->sides->condition;
    for (unsigned side = 0; side < 2; side++)
        pairs->read[side] = leat_arena_array(arena, bool, columns_of(pairs, side) + 1);
    if (!condition)
        return;
    for (uint32_t side = 0; side < 2; side++)
        leat_expr_columns(leat_program_expr(condition), side, pairs->read[side]);
    pairs->tests = leat_arena_array(arena, leat_join_test, TESTS_MAX + 1);
    if (!read_tests(pairs, leat_program_expr(condition)))
        pairs->test_count = 0;
}

void leat_join_pairs_init(leat_join_pairs *pairs, leat_join_frame *frame, leat_time_rows rows[2],
                          const int32_t time_columns[2], const bool *const unread[2])
{
    leat_arena *arena = frame->context->arena;
    *pairs = (leat_join_pairs){.frame = frame, .rows = {&rows[0], &rows[1]}};
    pairs->key_values = leat_arena_array(arena, leat_value, frame->sides->key_count + 1);
    plan_condition(pairs);
    for (unsigned side = 0; side < 2; side++)
        plan_sources(pairs, side, time_columns[side], unread[side]);
    for (unsigned input = 0; input < 2; input++)
        plan_moves(pairs, input, unread[input]);
}

// ---- values

void leat_join_pairs_begin(leat_join_pairs *pairs, unsigned input, const leat_batch *batch)
{
    pairs->batch = batch;
    pairs->input = input;
    pairs->loaded = false;
}

static void load_arriving(leat_join_pairs *pairs)
{
    leat_join_frame *frame = pairs->frame;
    const leat_batch *batch = pairs->batch;
    if (pairs->loaded)
        return;
    for (uint32_t c = 0; c < columns_of(pairs, pairs->input); c++)
        frame->values[pairs->input][c] = leat_column_value(&batch->columns[c], pairs->row);
    frame->event_ms[pairs->input] = batch->event_ms ? batch->event_ms[pairs->row] : LEAT_TIME_NONE;
    pairs->loaded = true;
}

// `keys`: the values of its key.
static leat_value kept_value(leat_join_pairs *pairs, unsigned side, uint32_t column, const leat_time_row *kept,
                             const leat_value *keys)
{
    leat_join_source source = pairs->sources[side][column];
    switch (source.kind) {
    case LEAT_JOIN_FROM_CELL:
        return leat_row_layout_value(&pairs->rows[side]->layout, kept->cells, source.index, &pairs->frame->texts[side]);
    case LEAT_JOIN_FROM_KEY:
        return keys[source.index];
    case LEAT_JOIN_FROM_TIME:
        return (leat_value){.i64 = kept->time_ms};
    case LEAT_JOIN_FROM_NOWHERE:
        break;
    }
    return leat_value_null();
}

// ---- the condition

#define COMPARE(a, b)                                                                                                  \
    (test->op == LESS            ? (a) < (b)                                                                           \
     : test->op == LESS_EQUAL    ? (a) <= (b)                                                                          \
     : test->op == GREATER       ? (a) > (b)                                                                           \
     : test->op == GREATER_EQUAL ? (a) >= (b)                                                                          \
     : test->op == EQUAL         ? (a) == (b)                                                                          \
                                 : (a) != (b))

static bool compare(const leat_join_test *test, int64_t a, int64_t b)
{
    double x, y;
    if (!test->f64)
        return COMPARE(a, b);
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return COMPARE(x, y);
}

// False: NULL.
static bool operand_value(const leat_join_pairs *pairs, const operand *it, const leat_time_row *kept,
                          int64_t *out_value)
{
    *out_value = it->value;
    if (it->literal)
        return true;
    uint32_t column = it->column;
    if (it->side != pairs->input) {
        leat_join_source source = pairs->sources[it->side][column];
        if (source.kind == LEAT_JOIN_FROM_TIME)
            return *out_value = kept->time_ms, true;
        if (source.kind == LEAT_JOIN_FROM_CELL) {
            memcpy(out_value, leat_row_layout_place(&pairs->rows[it->side]->layout, kept->cells, source.index),
                   sizeof *out_value);
            return !leat_row_layout_is_null(kept->cells, source.index);
        }
        column = pairs->frame->sides->key_columns[pairs->input][source.index];
    }
    memcpy(out_value, &pairs->batch->columns[column].i64[pairs->row], sizeof *out_value);
    return !leat_column_is_null(&pairs->batch->columns[column], pairs->row);
}

static bool tests_hold(const leat_join_pairs *pairs, const leat_time_row *kept)
{
    for (uint32_t i = 0; i < pairs->test_count; i++) {
        const leat_join_test *test = &pairs->tests[i];
        int64_t a, b;
        if (!operand_value(pairs, &test->a, kept, &a) || !operand_value(pairs, &test->b, kept, &b) ||
            !compare(test, a, b))
            return false;
    }
    return true;
}

static void load_kept(leat_join_pairs *pairs, const leat_time_row *kept)
{
    leat_join_frame *frame = pairs->frame;
    const leat_join_sides *sides = frame->sides;
    unsigned side = !pairs->input;
    for (uint32_t k = 0; k < sides->key_count; k++)
        pairs->key_values[k] = frame->values[pairs->input][sides->key_columns[pairs->input][k]];
    leat_arena_reset(&frame->texts[side]);
    for (uint32_t c = 0; c < columns_of(pairs, side); c++)
        if (pairs->read[side][c])
            frame->values[side][c] = kept_value(pairs, side, c, kept, pairs->key_values);
    frame->event_ms[side] = kept->time_ms;
}

bool leat_join_pairs_holds(leat_join_pairs *pairs, const leat_time_row *kept)
{
    if (pairs->test_count)
        return tests_hold(pairs, kept);
    load_arriving(pairs);
    load_kept(pairs, kept);
    return leat_join_condition_holds(pairs->frame);
}

// ---- results

static void fill_column(const leat_join_pairs *pairs, const leat_column *from, leat_column *out, leat_arena *arena,
                        uint32_t count)
{
    const uint16_t *rows = pairs->rows_of;
    leat_physical physical = leat_type_physical(out->type);
    bool numbers = (physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64) && !pairs->padded;
    for (uint32_t i = pairs->filled; i < count && numbers; i++)
        out->i64[i] = from->i64[rows[i]];
    for (uint32_t i = pairs->filled; i < count && numbers && from->nulls; i++) {
        out->nulls[i] = from->nulls[rows[i]];
        out->i64[i] = out->nulls[i] ? 0 : out->i64[i];
    }
    for (uint32_t i = pairs->filled; i < count && !numbers; i++) {
        if (rows[i] == NO_ROW)
            continue;
        leat_value value = leat_column_value(from, rows[i]);
        leat_column_set(out, i, &value, arena);
    }
}

// The arriving side of the results so far.
static void fill(leat_join_pairs *pairs)
{
    leat_batch *out = pairs->frame->results.batch;
    const leat_join_moves *moves = &pairs->moves[pairs->input];
    if (!out || pairs->filled == out->count)
        return;
    for (uint32_t i = 0; i < moves->arriving_count && pairs->batch; i++) // without: all of them are padded
        fill_column(pairs, &pairs->batch->columns[moves->arriving[i].from], &out->columns[moves->arriving[i].out],
                    &out->arena, out->count);
    pairs->filled = out->count;
    pairs->padded = false;
}

static uint32_t new_row(leat_join_pairs *pairs, int64_t event_ms, uint64_t cause, uint16_t arriving)
{
    leat_emitter *results = &pairs->frame->results;
    if (results->batch && results->batch->count >= results->capacity) {
        fill(pairs);
        leat_emitter_flush(results);
    }
    if (!results->batch)
        pairs->filled = 0;
    if (!pairs->rows_of)
        pairs->rows_of = leat_arena_array(pairs->frame->context->arena, uint16_t, LEAT_BATCH_ROWS);
    uint32_t row = leat_emitter_row(results, event_ms, LEAT_INSERT, cause);
    pairs->rows_of[row] = arriving;
    return row;
}

int64_t leat_join_pairs_time(leat_join_pairs *pairs, const leat_time_row *kept, int64_t otherwise)
{
    int32_t column = pairs->frame->context->outputs[0]->rowtime;
    uint32_t split = pairs->frame->sides->column_counts[LEAT_LEFT];
    if (column < 0)
        return otherwise;
    unsigned side = (uint32_t)column >= split;
    operand it = {.side = side, .column = side ? (uint32_t)column - split : (uint32_t)column};
    int64_t value;
    return operand_value(pairs, &it, kept, &value) ? value : otherwise;
}

static void copy_plain(const leat_join_moves *moves, const leat_row_layout *layout, const leat_time_row *kept,
                       leat_batch *out, uint32_t row)
{
    const uint64_t *cells = kept->cells + layout->null_words;
    for (uint32_t i = 0; i < moves->cell_count; i++) {
        leat_column *column = &out->columns[moves->cells[i].out];
        memcpy(&column->i64[row], &cells[moves->cells[i].from], sizeof *column->i64); // 0 below a NULL
        column->nulls[row] = leat_row_layout_is_null(kept->cells, moves->cells[i].from);
    }
}

void leat_join_pairs_emit(leat_join_pairs *pairs, const leat_time_row *kept, int64_t event_ms, uint64_t cause)
{
    const leat_join_moves *moves = &pairs->moves[pairs->input];
    const leat_row_layout *layout = &pairs->rows[!pairs->input]->layout;
    uint32_t row = new_row(pairs, event_ms, cause, (uint16_t)pairs->row);
    leat_batch *out = pairs->frame->results.batch;
    if (layout->plain)
        copy_plain(moves, layout, kept, out, row);
    for (uint32_t i = 0; i < moves->cell_count && !layout->plain; i++)
        leat_row_layout_copy(layout, kept->cells, moves->cells[i].from, &out->columns[moves->cells[i].out], row,
                             &out->arena);
    for (uint32_t i = 0; i < moves->time_count; i++)
        out->columns[moves->times[i]].i64[row] = kept->time_ms;
    for (uint32_t i = 0; i < moves->nowhere_count; i++)
        leat_emitter_set_null(&pairs->frame->results, row, moves->nowhere[i]);
}

// The frame's values of that side are set.
static void emit_side(leat_join_pairs *pairs, unsigned side, int64_t time_ms, uint64_t cause)
{
    leat_join_frame *frame = pairs->frame;
    const uint32_t *counts = frame->sides->column_counts;
    leat_value null = leat_value_null();
    bool left = side == LEAT_LEFT;
    uint32_t row = new_row(pairs, leat_join_time(frame, left, !left, time_ms), cause, NO_ROW);
    pairs->padded = true;
    for (uint32_t c = 0; c < counts[0] + counts[1]; c++) {
        bool given = (c >= counts[0]) == (side == LEAT_RIGHT);
        leat_emitter_set(&frame->results, row, c,
                         given ? &frame->values[side][side == LEAT_RIGHT ? c - counts[0] : c] : &null);
    }
}

void leat_join_pairs_emit_arrived(leat_join_pairs *pairs, int64_t time_ms, uint64_t cause)
{
    load_arriving(pairs);
    emit_side(pairs, pairs->input, time_ms, cause);
}

void leat_join_pairs_emit_kept(leat_join_pairs *pairs, unsigned side, uint32_t slot, const leat_time_row *kept,
                               uint64_t cause)
{
    leat_join_frame *frame = pairs->frame;
    leat_keys_values(frame->keys, slot, pairs->key_values);
    leat_arena_reset(&frame->texts[side]);
    for (uint32_t c = 0; c < frame->sides->column_counts[side]; c++)
        frame->values[side][c] = kept_value(pairs, side, c, kept, pairs->key_values);
    if (side == pairs->input)
        pairs->loaded = false;
    emit_side(pairs, side, kept->time_ms, cause);
}

void leat_join_pairs_end(leat_join_pairs *pairs)
{
    fill(pairs);
    pairs->filled = 0;
    pairs->padded = false;
    pairs->batch = NULL;
}
