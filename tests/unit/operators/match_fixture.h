// Patterns for tests of the match operator, from short texts.
//
// A pattern is a list of stages separated by blanks. A stage: how it follows (nothing: next, ~ followed_by, * followed_by_any, ! not_next, -
// not_followed_by), the letter that `name` has to be (. for any), then as wanted {from,to} or {from,}, and letters: s consecutive, c combinations,
// ? optional, g greedy, uX until name is X, wN within N ms of the row before. The name of a stage is its letter; of a second one with that letter its
// number. A group: how it follows and ( as a stage of its own, then stages, then ) with what a stage has behind its letter.
#pragma once

#include <ctype.h>
#include <stdlib.h>

#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_match_ops;

#define MATCH_INPUT "k:STRING,n:INT,name:STRING,ts:TIMESTAMP_LTZ*"
#define MATCH_OUTPUT "k:STRING,match:ARRAY<INT>"

typedef struct match_fixture {
    env_test *env;
    leat_arena arena;
    leat_match_spec spec;
    leat_match_stage stages[LEAT_MATCH_STAGES];
    leat_match_condition conditions[2 * LEAT_MATCH_STAGES];
    leat_match_value *values; // 0: the numbers of the match
    leat_match_measure measures[4], timeouts[4];
    harness_setup setup;
    uint32_t open[8], depth; // groups that are being read
} match_fixture;

static const uint32_t match_keys[] = {0}, match_kept[] = {1, 2};

static inline const leat_program *match_compile(match_fixture *f, leat_expr *expr)
{
    leat_program *program;
    leat_error error;
    if (leat_program_compile(&f->arena, expr, NULL, &program, &error) != LEAT_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    return program;
}

static inline leat_expr *match_call(match_fixture *f, const char *name, leat_expr *left, leat_expr *right)
{
    leat_expr_scope scope = {.arena = &f->arena};
    leat_expr *arguments[] = {left, right}, *result;
    leat_error error;
    if (leat_expr_call(&scope, leat_slice_text(name), arguments, 2, &result, &error) != LEAT_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    return result;
}

static inline leat_expr *match_column(match_fixture *f, uint32_t input, uint32_t column, leat_kind kind)
{
    leat_expr_scope scope = {.arena = &f->arena};
    return leat_expr_column(&scope, input, column, leat_type_of(kind));
}

static inline int32_t match_add(match_fixture *f, leat_match_condition condition)
{
    f->conditions[f->spec.condition_count] = condition;
    return (int32_t)f->spec.condition_count++;
}

// name = 'x', evaluated when the row arrives.
static inline int32_t match_name_is(match_fixture *f, char letter)
{
    leat_expr_scope scope = {.arena = &f->arena};
    leat_value text = {.text = leat_slice_of(leat_arena_copy(&f->arena, &letter, 1), 1)};
    leat_expr *literal = leat_expr_literal(&scope, leat_type_of(LEAT_KIND_STRING), text);
    leat_expr *equal = match_call(f, "=", match_column(f, 0, 2, LEAT_KIND_STRING), literal);
    return match_add(f, (leat_match_condition){.program = match_compile(f, equal), .simple = true, .own_stage = -1});
}

static inline uint32_t match_value_add(match_fixture *f, leat_match_value value)
{
    f->values[f->spec.value_count] = value;
    return f->spec.value_count++;
}

// What stands behind the letter, or behind ) of a group.
static inline const char *match_quantifier(match_fixture *f, leat_match_stage *stage, const char *at)
{
    if (*at == '{') {
        char *end;
        stage->repeated = true;
        stage->from = (uint32_t)strtoul(at + 1, &end, 10);
        stage->to = end[1] == '}' ? UINT32_MAX : (uint32_t)strtoul(end + 1, &end, 10);
        at = strchr(at, '}') + 1;
    }
    for (; *at && *at != ' '; at++) {
        stage->inner = *at == 's' ? LEAT_MATCH_NEXT : *at == 'c' ? LEAT_MATCH_ANY : stage->inner;
        stage->optional |= *at == '?';
        stage->greedy |= *at == 'g';
        if (*at == 'u')
            stage->until = match_name_is(f, *++at);
        else if (*at == 'w')
            stage->within_ms = *++at - '0';
    }
    return *at ? at + 1 : at;
}

static inline const char *match_group_end(match_fixture *f, const char *at)
{
    uint32_t group = f->open[--f->depth];
    f->stages[group].span = f->spec.stage_count - group - 1;
    return match_quantifier(f, &f->stages[group], at + 1);
}

static inline const char *match_stage(match_fixture *f, const char *at)
{
    if (*at == ')')
        return match_group_end(f, at);
    static const char prefixes[] = "~*!-";
    leat_match_stage *stage = &f->stages[f->spec.stage_count++];
    const char *prefix = strchr(prefixes, *at);
    *stage = (leat_match_stage){.from = 1, .to = 1, .inner = LEAT_MATCH_FOLLOWED, .where = -1, .until = -1};
    if (prefix && *at) {
        stage->contiguity = (leat_match_contiguity)(prefix - prefixes + 1);
        at++;
    }
    stage->name = leat_slice_of(at, 1);
    if (*at == '(') {
        f->open[f->depth++] = f->spec.stage_count - 1;
        return at + 2;
    }
    if (*at != '.')
        stage->where = match_name_is(f, *at);
    return match_quantifier(f, stage, at + 1);
}

static inline void match_begin(match_fixture *f, const char *pattern)
{
    *f = (match_fixture){.env = env_test_create()};
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    f->values = leat_arena_alloc_aligned(&f->arena, 64 * sizeof *f->values, 16);
    f->spec = (leat_match_spec){.key_count = 1,
                                .key_columns = match_keys,
                                .time_column = 3,
                                .kept_count = 2,
                                .kept = match_kept,
                                .stages = f->stages,
                                .conditions = f->conditions,
                                .values = f->values,
                                .measure_count = 2,
                                .measures = f->measures,
                                .timeout_measure_count = 2,
                                .timeout_measures = f->timeouts};
    for (const char *at = pattern; *at;)
        at = match_stage(f, at);
    aggregates set = aggregates_make(&f->arena, harness_schema(&f->arena, "n:INT,name:STRING"), "ARRAY_AGG(n)", false);
    leat_type array = leat_type_array(&f->arena, leat_type_of(LEAT_KIND_INT));
    uint32_t *list = leat_arena_array(&f->arena, uint32_t, 1);
    list[0] = match_value_add(
        f, (leat_match_value){.kind = LEAT_MATCH_VALUE_AGGREGATE, .type = array, .stage = -1, .accumulators = set.set});
    leat_expr_scope scope = {.arena = &f->arena};
    f->measures[0].key = 0;
    f->measures[1] = (leat_match_measure){.program = match_compile(f, leat_expr_column(&scope, 1, list[0], array)),
                                          .value_count = 1,
                                          .values = list,
                                          .key = -1};
    f->timeouts[0] = f->measures[0];
    f->timeouts[1] = f->measures[1];
    f->setup = (harness_setup){
        .ops = &leat_operator_match_ops, .spec = &f->spec, .inputs = {MATCH_INPUT}, .outputs = {MATCH_OUTPUT}};
}

static inline void match_end(match_fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static inline void match_side_outputs(match_fixture *f, bool timeout, bool late)
{
    f->spec.timeout_output = timeout;
    f->spec.late_output = late;
    f->setup.outputs[1] = timeout ? MATCH_OUTPUT : late ? MATCH_INPUT : NULL;
    f->setup.outputs[2] = timeout && late ? MATCH_INPUT : NULL;
}
