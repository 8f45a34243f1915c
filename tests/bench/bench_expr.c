// What expressions cost beside a loop by hand: the filter v > 75 AND k <> 3, the projection v * 1.8 + 32, one row at a time,
// the usual aggregates of one column, JSON_VALUE and REGEXP.
//
// Usage: bench_expr. Prints ns a row, by hand and as a program, and the ratio.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "operators/expr/aggregate.h"
#include "tests/support/env_test.h"

enum { ROWS = 1024, ROUNDS = 20000, GROUPS = 100 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

typedef struct bench_state {
    leat_expr_scope scope;
    leat_column columns[2];
    leat_batch batch;
    leat_eval eval;
    leat_arena memory;
    double v[ROWS];
    int64_t k[ROWS];
} bench_state;

static leat_expr *call(bench_state *bench, const char *name, leat_expr *a, leat_expr *b)
{
    leat_expr *pair[2] = {a, b}, *out;
    LEAT_ASSERT(leat_expr_call(&bench->scope, leat_slice_text(name), pair, 2, &out, NULL) == LEAT_OK);
    return out;
}

static leat_expr *v(bench_state *bench)
{
    return leat_expr_column(&bench->scope, 0, 0, leat_type_of(LEAT_KIND_DOUBLE));
}

static leat_expr *k(bench_state *bench)
{
    return leat_expr_column(&bench->scope, 0, 1, leat_type_of(LEAT_KIND_BIGINT));
}

static leat_expr *number(bench_state *bench, double value)
{
    return leat_expr_literal(&bench->scope, leat_type_of(LEAT_KIND_DOUBLE), (leat_value){.f64 = value});
}

static leat_program *compiled(bench_state *bench, leat_expr *expr)
{
    leat_program *program;
    LEAT_ASSERT(leat_program_compile(bench->scope.arena, expr, NULL, &program, NULL) == LEAT_OK);
    return program;
}

static void print(const char *what, double by_hand, double program)
{
    double scale = 1e9 / ((double)ROWS * ROUNDS);
    printf("%-28s by hand %6.2f ns/row   program %6.2f ns/row   ratio %.2f\n", what, by_hand * scale, program * scale,
           program / by_hand);
}

__attribute__((noinline)) static uint32_t filter_by_hand(const double *restrict values, const int64_t *restrict keys,
                                                         uint32_t count, uint16_t *restrict out)
{
    uint32_t passed = 0;
    for (uint32_t i = 0; i < count; i++) {
        out[passed] = (uint16_t)i;
        passed += (values[i] > 75) & (keys[i] != 3);
    }
    return passed;
}

__attribute__((noinline)) static void project_by_hand(const double *restrict values, uint32_t count,
                                                      double *restrict out)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = values[i] * 1.8 + 32;
}

static void bench_filter(bench_state *bench, double threshold)
{
    static uint16_t out[ROWS];
    leat_expr *three = leat_expr_literal(&bench->scope, leat_type_of(LEAT_KIND_BIGINT), (leat_value){.i64 = 3});
    leat_program *program = compiled(bench, call(bench, "AND", call(bench, ">", v(bench), number(bench, threshold)),
                                                 call(bench, "<>", k(bench), three)));
    uint64_t sum = 0, other = 0;
    double start = seconds();
    for (int i = 0; i < ROUNDS; i++) {
        sum += filter_by_hand(bench->v, bench->k, ROWS, out);
        __asm__ volatile("" : : "r"(out) : "memory");
    }
    double by_hand = seconds() - start;
    start = seconds();
    for (int i = 0; i < ROUNDS; i++) {
        leat_eval_begin(&bench->eval, &bench->batch, 0);
        other += leat_program_select(program, &bench->eval, &bench->batch, out);
    }
    char what[64];
    snprintf(what, sizeof what, "filter, %.0f %% pass", 100.0 * (double)other / ((double)ROWS * ROUNDS));
    print(what, by_hand, seconds() - start);
    LEAT_ASSERT(threshold != 75 || sum == other);
}

static void bench_project(bench_state *bench)
{
    static double out[ROWS];
    leat_column column;
    leat_program *program =
        compiled(bench, call(bench, "+", call(bench, "*", v(bench), number(bench, 1.8)), number(bench, 32)));
    double start = seconds();
    for (int i = 0; i < ROUNDS; i++) {
        project_by_hand(bench->v, ROWS, out);
        __asm__ volatile("" : : "r"(out) : "memory");
    }
    double by_hand = seconds() - start;
    start = seconds();
    for (int i = 0; i < ROUNDS; i++) {
        leat_arena_reset(&bench->memory);
        leat_eval_begin(&bench->eval, &bench->batch, 0);
        leat_program_run(program, &bench->eval, &bench->batch, &bench->memory, &column);
    }
    print("projection", by_hand, seconds() - start);
}

static void bench_row(bench_state *bench)
{
    leat_expr *three = leat_expr_literal(&bench->scope, leat_type_of(LEAT_KIND_BIGINT), (leat_value){.i64 = 3});
    leat_program *program = compiled(
        bench, call(bench, "AND", call(bench, ">", v(bench), number(bench, 75)), call(bench, "<>", k(bench), three)));
    leat_value values[2], result;
    leat_row_view view = {values, 0, LEAT_TIME_NONE};
    uint64_t passed = 0, calls = 0;
    double start = seconds();
    for (int round = 0; round < ROUNDS / 100; round++)
        for (int i = 0; i < ROWS; i++, calls++) {
            values[0] = (leat_value){.f64 = bench->v[i]};
            values[1] = (leat_value){.i64 = bench->k[i]};
            leat_eval_row_begin(&bench->eval, 0);
            passed +=
                leat_program_run_row(program, &bench->eval, &view, 1, &result) && !result.is_null && result.boolean;
        }
    printf("%-28s %.0f ns (%llu passed)\n", "one row of the filter", (seconds() - start) * 1e9 / (double)calls,
           (unsigned long long)passed);
}

typedef struct hand_group {
    int64_t rows, count;
    double sum, min, max;
} hand_group;

static void bench_aggregate(bench_state *bench, leat_env *env)
{
    static const char *const names[] = {"AVG", "MIN", "MAX", "COUNT"};
    static hand_group groups[GROUPS];
    leat_aggregate aggregates[4];
    leat_accumulators *set;
    leat_budget budget;
    void *accumulators[ROWS];
    leat_budget_init(&budget, env, 0);
    for (uint32_t i = 0; i < 4; i++) {
        leat_expr *argument = v(bench);
        LEAT_ASSERT(leat_aggregate_resolve(&bench->scope, leat_slice_text(names[i]), false, &argument, i < 3, NULL,
                                           false, &aggregates[i], NULL) == LEAT_OK);
    }
    LEAT_ASSERT(leat_accumulators_create(bench->scope.arena, aggregates, 4, false, &set, NULL) == LEAT_OK);
    size_t size = leat_accumulators_size(set);
    uint8_t *memory = leat_arena_alloc_aligned(bench->scope.arena, size * GROUPS, 16);
    for (int i = 0; i < GROUPS; i++)
        leat_accumulators_init(set, memory + size * (size_t)i);
    double start = seconds();
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < ROWS; i++) {
            hand_group *group = &groups[(uint32_t)bench->k[i] % GROUPS];
            group->rows++;
            group->count++;
            group->sum += bench->v[i];
            group->min = bench->v[i] < group->min ? bench->v[i] : group->min;
            group->max = bench->v[i] > group->max ? bench->v[i] : group->max;
        }
    double hand = seconds() - start;
    start = seconds();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ROWS; i++)
            accumulators[i] = memory + size * ((uint32_t)bench->k[i] % GROUPS);
        leat_eval_begin(&bench->eval, &bench->batch, 0);
        LEAT_ASSERT(leat_accumulators_add(set, &bench->eval, &bench->batch, accumulators, &budget, NULL) == LEAT_OK);
    }
    print("avg min max count", hand, seconds() - start);
}

// JSON_VALUE beside a search for the name by hand, REGEXP beside PCRE2 called for each text: a million rows each.
enum { TEXT_ROUNDS = 1000 };

typedef struct bench_texts {
    leat_slice texts[ROWS];
    leat_column column;
    leat_batch batch;
} bench_texts;

static void texts_fill(bench_state *bench, bench_texts *out)
{
    for (int i = 0; i < ROWS; i++) {
        const char *text = leat_arena_format(bench->scope.arena,
                                             "{\"device\":\"press-%lld\",\"site\":\"north hall\",\"values\":{"
                                             "\"temperature\":%.2f,\"pressure\":1.25},\"ok\":true}",
                                             (long long)bench->k[i], bench->v[i]);
        out->texts[i] = leat_slice_text(text);
    }
    out->column = (leat_column){.type = leat_type_of(LEAT_KIND_STRING), .text = out->texts};
    out->batch = (leat_batch){.count = ROWS, .selected = ROWS, .columns = &out->column};
}

static leat_expr *text(bench_state *bench, const char *value)
{
    return leat_expr_literal(&bench->scope, leat_type_of(LEAT_KIND_STRING),
                             (leat_value){.text = leat_slice_text(value)});
}

static double run_texts(bench_state *bench, bench_texts *texts, leat_expr *expr)
{
    leat_column column;
    leat_program *program = compiled(bench, expr);
    double start = seconds();
    for (int i = 0; i < TEXT_ROUNDS; i++) {
        leat_arena_reset(&bench->memory);
        leat_eval_begin(&bench->eval, &texts->batch, 0);
        leat_program_run(program, &bench->eval, &texts->batch, &bench->memory, &column);
    }
    return seconds() - start;
}

static void print_texts(const char *what, double by_hand, double program)
{
    double scale = 1e9 / ((double)ROWS * TEXT_ROUNDS);
    printf("%-28s by hand %6.1f ns/row   program %6.1f ns/row   ratio %.2f\n", what, by_hand * scale, program * scale,
           program / by_hand);
}

static void bench_json(bench_state *bench, bench_texts *texts)
{
    leat_type number = leat_type_of(LEAT_KIND_DOUBLE);
    leat_expr *none = leat_expr_literal(&bench->scope, number, leat_value_null()), *expr;
    leat_expr *arguments[] = {leat_expr_column(&bench->scope, 0, 0, texts->column.type),
                              text(bench, "$.values.temperature"), text(bench, ""), none, none};
    LEAT_ASSERT(leat_expr_call(&bench->scope, leat_slice_text("JSON_VALUE"), arguments, 5, &expr, NULL) == LEAT_OK);
    double start = seconds(), sum = 0;
    for (int round = 0; round < TEXT_ROUNDS; round++)
        for (int i = 0; i < ROWS; i++) {
            static const char name[] = "\"temperature\":";
            const char *found = memmem(texts->texts[i].data, texts->texts[i].size, name, sizeof name - 1);
            sum += strtod(found + sizeof name - 1, NULL);
        }
    double by_hand = seconds() - start;
    __asm__ volatile("" : : "x"(sum));
    print_texts("JSON_VALUE RETURNING DOUBLE", by_hand, run_texts(bench, texts, expr));
}

static void bench_regex(bench_state *bench, bench_texts *texts)
{
    static const char pattern[] = "\"press-[0-9]*7\"";
    int code;
    PCRE2_SIZE at;
    uint64_t found = 0;
    pcre2_code *regex = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF,
                                      &code, &at, NULL);
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(regex, NULL);
    double start = seconds();
    for (int round = 0; round < TEXT_ROUNDS; round++)
        for (int i = 0; i < ROWS; i++)
            found += pcre2_match(regex, (PCRE2_SPTR)texts->texts[i].data, texts->texts[i].size, 0, 0, match, NULL) > 0;
    double by_hand = seconds() - start;
    LEAT_ASSERT(found);
    leat_expr *column = leat_expr_column(&bench->scope, 0, 0, texts->column.type);
    print_texts("REGEXP", by_hand, run_texts(bench, texts, call(bench, "REGEXP", column, text(bench, pattern))));
    pcre2_match_data_free(match);
    pcre2_code_free(regex);
}

int main(void)
{
    static bench_state bench;
    env_test *env = env_test_create();
    leat_arena arena;
    leat_arena_init(&arena, &env->env, 65536);
    leat_arena_init(&bench.memory, &env->env, 65536);
    leat_eval_init(&bench.eval, &env->env);
    bench.scope.arena = &arena;
    uint64_t state = 7;
    for (int i = 0; i < ROWS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        bench.v[i] = (double)(state >> 40) / 16777216.0 * 150;
        bench.k[i] = (int64_t)(state >> 20) & 1023;
    }
    bench.columns[0] = (leat_column){.type = leat_type_of(LEAT_KIND_DOUBLE), .f64 = bench.v};
    bench.columns[1] = (leat_column){.type = leat_type_of(LEAT_KIND_BIGINT), .i64 = bench.k};
    bench.batch = (leat_batch){.count = ROWS, .selected = ROWS, .columns = bench.columns};
    bench_filter(&bench, 75);
    bench_filter(&bench, 148);
    bench_project(&bench);
    bench_row(&bench);
    bench_aggregate(&bench, &env->env);
    static bench_texts texts;
    texts_fill(&bench, &texts);
    bench_json(&bench, &texts);
    bench_regex(&bench, &texts);
    leat_eval_fini(&bench.eval);
    leat_arena_fini(&bench.memory);
    leat_arena_fini(&arena);
    env_test_destroy(env);
    return 0;
}
