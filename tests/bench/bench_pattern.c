// MATCH_RECOGNIZE with three stages within a second - PATTERN (A B C), A: a high value, B below A, C below B, skipping past the last row -
// against a loop by hand: rows wait for the watermark in a queue; of each key the two partial matches that there can be.
//
// Usage: bench_pattern [million rows per run [only this number of keys, 0: all [rounds]]]
#include "operators/expr/program.h"
#include "tests/bench/rules.h"

enum { WITHIN_MS = 1000, HIGH = 950 };

typedef struct partial {
    int64_t time; // of A; LEAT_TIME_NONE: there is none
    double a, b;
} partial;

typedef struct partials {
    partial one, two; // stages done
} partials;

typedef struct hand {
    hand_keys table;
    partials *partials;
    hand_queue queue;
    hand_out out;
} hand;

static const partial none = {.time = LEAT_TIME_NONE};

static void *hand_open(const stream *s)
{
    hand *h = must_have(calloc(1, sizeof *h));
    h->table = hand_keys_make(s);
    h->partials = must_have(malloc((h->table.mask + 1) * sizeof *h->partials));
    for (uint64_t i = 0; i <= h->table.mask; i++)
        h->partials[i] = (partials){none, none};
    h->queue = hand_queue_make();
    return h;
}

static void give(hand *h, int64_t key, const partial *p, double c)
{
    uint32_t out = hand_out_row(&h->out);
    h->out.columns[0][out] = key;
    h->out.columns[1][out] = p->time;
    h->out.columns[2][out] = hand_bits(p->a);
    h->out.columns[3][out] = hand_bits(p->b);
    h->out.columns[4][out] = hand_bits(c);
    results_add(&h->out.results, key, p->a * 1000000 + p->b * 1000 + c, LEAT_INSERT);
}

static bool lives(const partial *p, int64_t time) { return p->time != LEAT_TIME_NONE && time - p->time < WITHIN_MS; }

static void take(hand *h, const hand_waiting *row)
{
    partials *p = &h->partials[row->place];
    if (lives(&p->two, row->time) && row->value < p->two.b) {
        give(h, h->table.keys[row->place], &p->two, row->value);
        *p = (partials){none, none};
        return;
    }
    p->two = none;
    if (lives(&p->one, row->time) && row->value < p->one.a)
        p->two = (partial){p->one.time, p->one.a, row->value};
    p->one = row->value >= HIGH ? (partial){row->time, row->value, 0} : none;
}

static void fire(hand *h, int64_t watermark)
{
    hand_queue *q = &h->queue;
    while (hand_queue_due(q, watermark))
        take(h, &q->items[q->first++ & q->mask]);
}

static void hand_rows(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS; i++) {
        fire(h, rows->watermarks[i]);
        hand_prefetch(&h->table, rows, i, h->partials, sizeof *h->partials);
        hand_queue_add(&h->queue,
                       (hand_waiting){rows->times[i], rows->values[i], hand_place(&h->table, rows->keys[i])});
    }
    fire(h, rows->watermark_after);
}

static results hand_close(void *self)
{
    hand *h = self;
    results found = h->out.results;
    free(h->partials);
    free(h->queue.items);
    free(h->table.keys);
    free(h);
    return found;
}

// ---- the operator

enum { KEPT_V, KEPT_TIME };
enum { A_VALUE, B_VALUE, C_VALUE, A_TIME, VALUES };
static const uint32_t numbers[] = {A_VALUE, B_VALUE, C_VALUE, A_TIME};

static const leat_program *compile(leat_arena *arena, leat_expr *expr)
{
    leat_error error;
    leat_program *program;
    must(leat_program_compile(arena, expr, NULL, &program, &error), &error);
    return program;
}

static leat_expr *call(leat_arena *arena, const char *name, leat_expr *left, leat_expr *right)
{
    leat_expr_scope scope = {.arena = arena};
    leat_expr *sides[] = {left, right}, *result;
    leat_error error;
    must(leat_expr_call(&scope, leat_slice_text(name), sides, 2, &result, &error), &error);
    return result;
}

static leat_expr *column(leat_arena *arena, uint32_t input, uint32_t index, leat_kind kind)
{
    leat_expr_scope scope = {.arena = arena};
    return leat_expr_column(&scope, input, index, leat_type_of(kind));
}

static leat_expr *number(leat_arena *arena, double value)
{
    leat_expr_scope scope = {.arena = arena};
    return leat_expr_literal(&scope, leat_type_of(LEAT_KIND_DOUBLE), (leat_value){.f64 = value});
}

// v >= HIGH when rows arrive; below the value of the stage before for each partial match.
static leat_match_condition *make_conditions(leat_arena *arena)
{
    leat_match_condition *conditions = leat_arena_array(arena, leat_match_condition, 3);
    leat_expr *high = call(arena, ">=", column(arena, 0, 1, LEAT_KIND_DOUBLE), number(arena, HIGH));
    conditions[0] = (leat_match_condition){.program = compile(arena, high), .simple = true, .own_stage = -1};
    for (int stage = 1; stage < 3; stage++) {
        leat_expr *below = call(arena, "<", column(arena, 0, KEPT_V, LEAT_KIND_DOUBLE),
                                column(arena, 1, numbers[stage - 1], LEAT_KIND_DOUBLE));
        conditions[stage] = (leat_match_condition){
            .program = compile(arena, below), .value_count = 1, .values = &numbers[stage - 1], .own_stage = stage};
    }
    return conditions;
}

static leat_match_value *make_values(leat_arena *arena)
{
    leat_match_value *values = leat_arena_array(arena, leat_match_value, VALUES);
    for (int stage = 0; stage < 3; stage++)
        values[stage] = (leat_match_value){.type = leat_type_of(LEAT_KIND_DOUBLE), .stage = stage, .column = KEPT_V};
    values[A_TIME] = (leat_match_value){.type = leat_type_of(LEAT_KIND_TIMESTAMP_LTZ), .stage = 0, .column = KEPT_TIME};
    return values;
}

// The key, when A was, the three values, and all three in one number.
static leat_match_measure *make_measures(leat_arena *arena)
{
    leat_match_measure *measures = leat_arena_array(arena, leat_match_measure, 6);
    leat_expr *values[3];
    for (uint32_t i = 0; i < 3; i++)
        values[i] = column(arena, 1, i, LEAT_KIND_DOUBLE);
    leat_expr *sum = call(arena, "+", call(arena, "*", values[0], number(arena, 1000000)),
                          call(arena, "+", call(arena, "*", values[1], number(arena, 1000)), values[2]));
    leat_expr *exprs[] = {column(arena, 1, A_TIME, LEAT_KIND_TIMESTAMP_LTZ), values[0], values[1], values[2]};
    static const uint32_t reads[] = {A_TIME, A_VALUE, B_VALUE, C_VALUE};
    measures[0] = (leat_match_measure){.key = 0};
    for (uint32_t i = 0; i < 4; i++)
        measures[1 + i] = (leat_match_measure){
            .program = compile(arena, exprs[i]), .value_count = 1, .values = &reads[i], .key = -1, .is_value = true};
    measures[5] = (leat_match_measure){.program = compile(arena, sum), .value_count = 3, .values = numbers, .key = -1};
    return measures;
}

static const void *make_spec(engine *e)
{
    static const uint32_t keys[] = {0}, kept[] = {1, 2};
    static const char *const names[] = {"A", "B", "C"};
    leat_match_stage *stages = leat_arena_array(&e->arena, leat_match_stage, 3);
    for (int i = 0; i < 3; i++)
        stages[i] = (leat_match_stage){.name = leat_slice_text(names[i]), .from = 1, .to = 1, .where = i, .until = -1};
    leat_match_spec *spec = leat_arena_new(&e->arena, leat_match_spec);
    *spec = (leat_match_spec){.key_count = 1,
                              .key_columns = keys,
                              .time_column = 2,
                              .kept_count = 2,
                              .kept = kept,
                              .stage_count = 3,
                              .stages = stages,
                              .condition_count = 3,
                              .conditions = make_conditions(&e->arena),
                              .value_count = VALUES,
                              .values = make_values(&e->arena),
                              .within_ms = WITHIN_MS,
                              .skip = LEAT_MATCH_SKIP_PAST_LAST,
                              .measure_count = 6,
                              .measures = make_measures(&e->arena)};
    return spec;
}

static const rule pattern = {"pattern A B C within 1 s",
                             "k:BIGINT,since:TIMESTAMP_LTZ,a:DOUBLE,b:DOUBLE,c:DOUBLE,all:DOUBLE",
                             5,
                             hand_open,
                             hand_rows,
                             hand_close,
                             "match",
                             make_spec};

int main(int argc, char **argv)
{
    compare_all(&pattern, 1, argc, argv, 2, ten_a_second);
    return 0;
}
