// Expressions as short texts, and three ways to run them, for the tests of operators/expr.
//
//   (NAME a b ...)      call; names with blanks or signs of their own in double quotes: ("IS NULL" a)
//   (CASE w t ... e)    (CAST a TYPE)  (TRY_CAST a TYPE)
//   12 INT, 12L BIGINT, 1.5 DECIMAL(2, 1), 1.5e0 DOUBLE, 1.5f FLOAT, 'text', @text, @'text' and #1 a text and an INT that stay literals,
//   TRUE FALSE NULL, NULL:TYPE, ts'2020-01-01 00:00:00', ltz'...', date'...', time'...', ms:1000 INTERVAL, mo:3 months, dec:38,10:1.5
//   $0 column 0 of the given schema
// With `as_columns` every literal but @text, #1 and NULL becomes a column whose values are added to `values`.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/expr/aggregate.h"
#include "operators/expr/function.h"
#include "tests/support/env_test.h"

enum { TEST_COLUMNS = 32, TEST_ROWS = 1024 };

typedef struct expr_test {
    env_test *env;
    leat_arena arena;
    leat_eval eval;
    leat_expr_scope scope;
    bool as_columns;
    const leat_type *schema; // of $n
    uint32_t column_count;
    leat_type types[TEST_COLUMNS];
    leat_value values[TEST_COLUMNS];
    leat_error error;
    const char *cursor;
} expr_test;

static inline void expr_test_init(expr_test *test)
{
    memset(test, 0, sizeof *test);
    test->env = env_test_create();
    leat_arena_init(&test->arena, &test->env->env, 65536);
    leat_eval_init(&test->eval, &test->env->env);
    test->scope.arena = &test->arena;
}

static inline void expr_test_fini(expr_test *test)
{
    leat_eval_fini(&test->eval);
    leat_arena_fini(&test->arena);
    env_test_destroy(test->env);
}

static inline void skip_blanks(expr_test *test)
{
    while (*test->cursor == ' ')
        test->cursor++;
}

static inline leat_type parse_type(expr_test *test)
{
    char word[24];
    size_t size = 0;
    while ((*test->cursor >= 'A' && *test->cursor <= 'Z') || *test->cursor == '_')
        word[size++] = *test->cursor++;
    word[size] = 0;
    static const struct {
        const char *name;
        leat_kind kind;
    } names[] = {
        {"BOOLEAN", LEAT_KIND_BOOLEAN},     {"TINYINT", LEAT_KIND_TINYINT},
        {"SMALLINT", LEAT_KIND_SMALLINT},   {"INT", LEAT_KIND_INT},
        {"BIGINT", LEAT_KIND_BIGINT},       {"FLOAT", LEAT_KIND_FLOAT},
        {"DOUBLE", LEAT_KIND_DOUBLE},       {"DECIMAL", LEAT_KIND_DECIMAL},
        {"STRING", LEAT_KIND_STRING},       {"BYTES", LEAT_KIND_BYTES},
        {"DATE", LEAT_KIND_DATE},           {"TIME", LEAT_KIND_TIME},
        {"TIMESTAMP", LEAT_KIND_TIMESTAMP}, {"TIMESTAMP_LTZ", LEAT_KIND_TIMESTAMP_LTZ},
        {"INTERVAL", LEAT_KIND_INTERVAL},   {"MONTHS", LEAT_KIND_INTERVAL_MONTH},
    };
    leat_type type = leat_type_of(LEAT_KIND_NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(word, names[i].name))
            type = leat_type_of(names[i].kind);
    if (leat_type_is_timestamp(type))
        type.precision = 3;
    if (*test->cursor == '(') {
        int precision = 0, scale = 0, used = 0;
        if (sscanf(test->cursor, "(%d,%d)%n", &precision, &scale, &used) < 2)
            sscanf(test->cursor, "(%d)%n", &precision, &used);
        test->cursor += used;
        if (type.kind == LEAT_KIND_DECIMAL)
            type = leat_type_decimal((unsigned)precision, (unsigned)scale);
        type.precision = (uint8_t)precision;
    }
    return type;
}

static inline leat_slice parse_quoted(expr_test *test, char quote)
{
    const char *begin = ++test->cursor;
    while (*test->cursor != quote)
        test->cursor++;
    return leat_slice_of(begin, (size_t)(test->cursor++ - begin));
}

static inline leat_expr *made(expr_test *test, leat_type type, leat_value value)
{
    if (!test->as_columns || type.kind == LEAT_KIND_NULL || test->column_count == TEST_COLUMNS)
        return leat_expr_literal(&test->scope, type, value);
    test->types[test->column_count] = type;
    test->values[test->column_count] = leat_value_copy(type, &value, &test->arena);
    test->column_count++;
    return leat_expr_column(&test->scope, 0, test->column_count - 1, type);
}

static inline leat_expr *parse_number(expr_test *test)
{
    size_t size = strspn(test->cursor, "-0123456789.eELf+");
    char text[64];
    assert_true(size < sizeof text);
    memcpy(text, test->cursor, size);
    text[size] = 0;
    test->cursor += size;
    leat_value value = {.is_null = false};
    if (strpbrk(text, "eE") || text[size - 1] == 'f') {
        bool is_float = text[size - 1] == 'f';
        value.f64 = is_float ? (double)(float)strtod(text, NULL) : strtod(text, NULL);
        return made(test, leat_type_of(is_float ? LEAT_KIND_FLOAT : LEAT_KIND_DOUBLE), value);
    }
    if (text[size - 1] == 'L') {
        value.i64 = strtoll(text, NULL, 10);
        return made(test, leat_type_of(LEAT_KIND_BIGINT), value);
    }
    char *dot = strchr(text, '.');
    if (!dot) {
        value.i64 = strtoll(text, NULL, 10);
        return made(test, leat_type_of(LEAT_KIND_INT), value);
    }
    unsigned scale = (unsigned)(text + size - dot - 1), digits = (unsigned)size - 1 - (text[0] == '-');
    assert_true(leat_decimal_parse(leat_slice_of(text, size), scale, &value.i128));
    return made(test, leat_type_decimal(digits, scale), value);
}

static inline leat_expr *parse_expr(expr_test *test);

static inline leat_expr *parse_time(expr_test *test, leat_kind kind)
{
    leat_value value = {.is_null = false};
    leat_slice text = parse_quoted(test, '\'');
    leat_type type = leat_type_of(kind);
    if (kind == LEAT_KIND_DATE) {
        assert_true(leat_date_parse(text, &value.i64));
    } else if (kind == LEAT_KIND_TIME) {
        assert_true(leat_time_parse(text, &value.i64));
        type.precision = 0;
    } else {
        assert_true(leat_timestamp_parse(text, &value.i64, NULL));
        type.precision = 3;
    }
    return made(test, type, value);
}

static inline bool take_word(expr_test *test, const char *word)
{
    size_t size = strlen(word);
    if (strncmp(test->cursor, word, size))
        return false;
    test->cursor += size;
    return true;
}

static inline leat_expr *parse_interval(expr_test *test, leat_kind kind)
{
    leat_value value = {.i64 = strtoll(test->cursor, (char **)&test->cursor, 10)};
    return made(test, leat_type_of(kind), value);
}

static inline leat_expr *parse_null(expr_test *test)
{
    leat_type type = leat_type_of(LEAT_KIND_NULL);
    if (*test->cursor == ':') {
        test->cursor++;
        type = parse_type(test);
    }
    return made(test, type, leat_value_null());
}

static inline leat_expr *parse_decimal(expr_test *test)
{
    int precision, scale, used;
    sscanf(test->cursor, "%d,%d:%n", &precision, &scale, &used);
    test->cursor += used;
    size_t size = strspn(test->cursor, "-0123456789.");
    leat_value value = {.is_null = false};
    assert_true(leat_decimal_parse(leat_slice_of(test->cursor, size), (unsigned)scale, &value.i128));
    test->cursor += size;
    return made(test, leat_type_decimal((unsigned)precision, (unsigned)scale), value);
}

static inline leat_expr *parse_call(expr_test *test)
{
    leat_slice name;
    leat_expr *arguments[64], *out = NULL;
    uint32_t count = 0;
    test->cursor++;
    if (*test->cursor == '"') {
        name = parse_quoted(test, '"');
    } else {
        size_t size = strcspn(test->cursor, " )");
        name = leat_slice_of(test->cursor, size);
        test->cursor += size;
    }
    bool is_cast = leat_slice_is(name, "CAST") || leat_slice_is(name, "TRY_CAST");
    leat_type type = {0};
    for (skip_blanks(test); *test->cursor != ')'; skip_blanks(test)) {
        if (is_cast && count == 1) {
            type = parse_type(test);
            continue;
        }
        arguments[count] = parse_expr(test);
        if (!arguments[count++])
            return NULL;
    }
    test->cursor++;
    leat_code code;
    if (is_cast)
        code = leat_expr_cast(&test->scope, arguments[0], type, leat_slice_is(name, "TRY_CAST"), &out, &test->error);
    else if (leat_slice_is(name, "CASE"))
        code = leat_expr_case(&test->scope, arguments, count, &out, &test->error);
    else
        code = leat_expr_call(&test->scope, name, arguments, count, &out, &test->error);
    return code == LEAT_OK ? out : NULL;
}

static inline leat_expr *parse_expr(expr_test *test)
{
    leat_value value = {.is_null = false};
    skip_blanks(test);
    if (*test->cursor == '(')
        return parse_call(test);
    if (*test->cursor == '\'') {
        value.text = parse_quoted(test, '\'');
        return made(test, leat_type_of(LEAT_KIND_STRING), value);
    }
    if (*test->cursor == '@') {
        bool quoted = *++test->cursor == '\'';
        size_t size = quoted ? 0 : strcspn(test->cursor, " )");
        value.text = quoted ? parse_quoted(test, '\'') : leat_slice_of(test->cursor, size);
        test->cursor += size;
        return leat_expr_literal(&test->scope, leat_type_of(LEAT_KIND_STRING), value);
    }
    if (*test->cursor == '#') {
        value.i64 = strtoll(test->cursor + 1, (char **)&test->cursor, 10);
        return leat_expr_literal(&test->scope, leat_type_of(LEAT_KIND_INT), value);
    }
    if (*test->cursor == '$') {
        uint32_t column = (uint32_t)strtoul(test->cursor + 1, (char **)&test->cursor, 10);
        return leat_expr_column(&test->scope, 0, column, test->schema[column]);
    }
    value.boolean = *test->cursor == 'T';
    if (take_word(test, "TRUE") || take_word(test, "FALSE"))
        return made(test, leat_type_of(LEAT_KIND_BOOLEAN), value);
    if (take_word(test, "NULL"))
        return parse_null(test);
    if (take_word(test, "ROWTIME"))
        return leat_expr_special(&test->scope, LEAT_EXPR_ROWTIME);
    if (take_word(test, "WATERMARK"))
        return leat_expr_special(&test->scope, LEAT_EXPR_WATERMARK);
    if (take_word(test, "ts"))
        return parse_time(test, LEAT_KIND_TIMESTAMP);
    if (take_word(test, "ltz"))
        return parse_time(test, LEAT_KIND_TIMESTAMP_LTZ);
    if (take_word(test, "date"))
        return parse_time(test, LEAT_KIND_DATE);
    if (take_word(test, "time"))
        return parse_time(test, LEAT_KIND_TIME);
    if (take_word(test, "ms:"))
        return parse_interval(test, LEAT_KIND_INTERVAL);
    if (take_word(test, "mo:"))
        return parse_interval(test, LEAT_KIND_INTERVAL_MONTH);
    if (take_word(test, "dec:"))
        return parse_decimal(test);
    return parse_number(test);
}

static inline leat_expr *expr_of(expr_test *test, const char *text)
{
    test->cursor = text;
    test->column_count = 0;
    return parse_expr(test);
}

static inline leat_program *program_of(expr_test *test, const leat_expr *expr)
{
    leat_program *program = NULL;
    assert_int_equal(leat_program_compile(&test->arena, expr, test->scope.zone, &program, &test->error), LEAT_OK);
    return program;
}

// "BAD" for a bad row, else the value's text.
static inline void print_value(expr_test *test, leat_type type, bool good, const leat_value *value, char *out,
                               size_t size)
{
    leat_writer writer;
    leat_writer_init(&writer, &test->env->env, 1 << 20);
    if (good)
        leat_value_print(type, value, test->scope.zone, &writer);
    else
        leat_write_text(&writer, "BAD");
    snprintf(out, size, "%.*s", (int)writer.size, (const char *)writer.bytes);
    leat_writer_fini(&writer);
}

static inline void column_new(leat_arena *arena, leat_type type, uint32_t rows, leat_column *out)
{
    size_t size = leat_physical_size(leat_type_physical(type));
    out->type = type;
    out->values = leat_arena_alloc_aligned(arena, size * (rows + 1), 16);
    memset(out->values, 0, size * (rows + 1));
    out->nulls = leat_arena_calloc(arena, rows + 1);
}
