// A process function and its arguments as the plan would give them to the operator: runs declare() and makes the spec.
//
// Usage: process_case_init with the function; process_table, then the arguments by index; process_case_finish; the spec goes into a
// harness_setup. Conditions and expressions are bare columns of the first table.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "operators/api/leat.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"
#include "tests/support/harness.h"

extern const leat_operator_ops leat_operator_process_ops;

enum { PROCESS_MAX = 16 };

typedef struct process_case {
    env_test *test;
    leat_arena arena;
    leat_process_spec spec;
    leat_process_table tables[PROCESS_MAX];
    leat_process_argument arguments[PROCESS_MAX];
    leat_process_state states[PROCESS_MAX];
    const char *output_names[PROCESS_MAX];
    const leat_schema *schemas[PROCESS_MAX];
    uint32_t keys[PROCESS_MAX][4], descriptors[PROCESS_MAX][4];
    uint32_t columns; // of output 0
    const char *refused;
    harness_setup setup;
} process_case;

// ---- declare

static inline process_case *case_of(leat_declare *declare) { return (process_case *)declare; }
static inline uint32_t case_column_count(leat_declare *d, uint32_t table) { return case_of(d)->schemas[table]->count; }
static inline const char *case_column_name(leat_declare *d, uint32_t table, uint32_t column)
{
    leat_slice name = case_of(d)->schemas[table]->fields[column].name;
    return leat_arena_copy(&case_of(d)->arena, name.data, name.size);
}
static inline leat_api_type case_column_type(leat_declare *d, uint32_t table, uint32_t column)
{
    (void)d, (void)table, (void)column;
    return LEAT_API_INT;
}
static inline int case_given(leat_declare *d, uint32_t i) { return case_of(d)->arguments[i].given; }
static inline leat_cell case_scalar(leat_declare *d, uint32_t i)
{
    const leat_process_argument *a = &case_of(d)->arguments[i];
    leat_cell cell = {.set = a->given && !a->scalar.is_null};
    if (a->type.kind == LEAT_KIND_STRING)
        cell = a->given ? leat_cell_text(a->scalar.text.data, (uint32_t)a->scalar.text.size) : cell;
    else
        cell.i64 = a->scalar.i64;
    return cell;
}
static inline int32_t case_descriptor(leat_declare *d, uint32_t parameter, uint32_t i)
{
    const leat_process_argument *a = &case_of(d)->arguments[parameter];
    return i < a->descriptor_count ? (int32_t)a->descriptor_columns[i] : -1;
}
static inline leat_api_type case_expression_type(leat_declare *d, uint32_t i)
{
    (void)d, (void)i;
    return LEAT_API_DOUBLE;
}
static inline void case_output_column(leat_declare *d, uint32_t output, const char *name, leat_api_type type)
{
    (void)name, (void)type;
    case_of(d)->columns += output == 0;
}
static inline uint32_t case_output(leat_declare *d, const char *name)
{
    case_of(d)->output_names[case_of(d)->spec.output_count] = name;
    return case_of(d)->spec.output_count++;
}
static inline uint32_t case_state(leat_declare *d, const char *name, leat_state_kind kind, leat_api_type type,
                                  int64_t ttl_ms)
{
    process_case *c = case_of(d);
    c->states[c->spec.state_count] = (leat_process_state){name, kind, type, ttl_ms};
    return c->spec.state_count++;
}
static inline void case_fail(leat_declare *d, uint32_t parameter, const char *message)
{
    (void)parameter;
    case_of(d)->refused = message;
}

static const leat_declare_api process_case_api = {.size = sizeof(leat_declare_api),
                                                  .column_count = case_column_count,
                                                  .column_name = case_column_name,
                                                  .column_type = case_column_type,
                                                  .given = case_given,
                                                  .scalar = case_scalar,
                                                  .descriptor = case_descriptor,
                                                  .expression_type = case_expression_type,
                                                  .output_column = case_output_column,
                                                  .output = case_output,
                                                  .state = case_state,
                                                  .fail = case_fail};

// ---- building

static inline void process_case_init(process_case *c, const leat_process_function *function)
{
    *c = (process_case){.test = env_test_create()};
    leat_arena_init(&c->arena, env_test_env(c->test), 0);
    c->spec.function = function;
    c->spec.argument_count = function->parameter_count;
    c->spec.arguments = c->arguments;
    c->spec.tables = c->tables;
    c->spec.states = c->states;
    c->spec.output_names = c->output_names;
    c->spec.output_count = 1;
    c->spec.emit_keys = true;
    c->setup.ops = &leat_operator_process_ops;
    c->setup.spec = &c->spec;
}

static inline void process_case_fini(process_case *c)
{
    leat_arena_fini(&c->arena);
    env_test_destroy(c->test);
}

// A table of the given columns, keyed by column `key` (-1: one partition), its time in the rowtime column.
static inline leat_process_table *process_table(process_case *c, const char *columns, int key)
{
    uint32_t i = c->spec.table_count++;
    c->setup.inputs[i] = columns;
    c->schemas[i] = harness_schema(&c->arena, columns);
    c->keys[i][0] = (uint32_t)key;
    c->tables[i] =
        (leat_process_table){.key_count = key >= 0, .key_columns = c->keys[i], .time_column = c->schemas[i]->rowtime};
    c->arguments[i].given = true;
    return &c->tables[i];
}

static inline void process_scalar(process_case *c, uint32_t i, leat_kind kind, leat_value value)
{
    c->arguments[i] = (leat_process_argument){.given = true, .type = leat_type_of(kind), .scalar = value};
}
static inline void process_i64(process_case *c, uint32_t i, int64_t value)
{
    process_scalar(c, i, LEAT_KIND_BIGINT, (leat_value){.i64 = value});
}
static inline void process_interval(process_case *c, uint32_t i, int64_t value)
{
    process_scalar(c, i, LEAT_KIND_INTERVAL, (leat_value){.i64 = value});
}
static inline void process_double(process_case *c, uint32_t i, double value)
{
    process_scalar(c, i, LEAT_KIND_DOUBLE, (leat_value){.f64 = value});
}
static inline void process_text(process_case *c, uint32_t i, const char *text)
{
    process_scalar(c, i, LEAT_KIND_STRING, (leat_value){.text = leat_slice_text(text)});
}

static inline void process_expression(process_case *c, uint32_t i, uint32_t column)
{
    leat_program *program;
    leat_error error = {0};
    leat_expr_scope scope = {.arena = &c->arena};
    leat_expr *expr = leat_expr_column(&scope, 0, column, c->schemas[0]->fields[column].type);
    if (leat_program_compile(&c->arena, expr, NULL, &program, &error) != LEAT_OK)
        fail_msg("%s", error.message);
    c->arguments[i] = (leat_process_argument){.given = true, .expression = program};
}

static inline void process_descriptor(process_case *c, uint32_t i, uint32_t column)
{
    c->descriptors[i][0] = column;
    c->arguments[i] =
        (leat_process_argument){.given = true, .descriptor_count = 1, .descriptor_columns = c->descriptors[i]};
}

static inline void process_case_finish(process_case *c, const char *output)
{
    c->setup.outputs[0] = output;
    assert_int_equal(c->spec.function->declare((leat_declare *)c, &process_case_api), 0);
    if (c->refused)
        fail_msg("refused: %s", c->refused);
}
