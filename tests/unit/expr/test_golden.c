// Expressions and what they give: as constants, row by row, and as columns of a batch with gaps in it.
#include "tests/unit/expr/expr_support.h"

typedef struct golden {
    const char *expression, *value, *type; // type: NULL when it does not matter
} golden;

static const golden cases[] = {
#include "tests/unit/expr/golden_casts.inc"
#include "tests/unit/expr/golden_collections.inc"
#include "tests/unit/expr/golden_encode.inc"
#include "tests/unit/expr/golden_json.inc"
#include "tests/unit/expr/golden_logic.inc"
#include "tests/unit/expr/golden_numbers.inc"
#include "tests/unit/expr/golden_regex.inc"
#include "tests/unit/expr/golden_texts.inc"
#include "tests/unit/expr/golden_times.inc"
};

// All are reported before the test fails.
static unsigned wrong;

static void expect(const golden *row, const char *how, const char *found)
{
    if (strcmp(row->value, found)) {
        print_error("%s (%s): expected %s, found %s\n", row->expression, how, row->value, found);
        wrong++;
    }
}

static bool expect_error(expr_test *test, const golden *row, const leat_expr *expr)
{
    bool wanted = !strncmp(row->value, "ERROR", 5);
    bool as_wanted = wanted == !expr && (!wanted || strstr(test->error.message, row->value + (row->value[5] ? 6 : 5)));
    if (!as_wanted) {
        print_error("%s: expected %s, found %s\n", row->expression, row->value, expr ? "none" : test->error.message);
        wrong++;
    }
    return !expr;
}

static void run_row(expr_test *test, const golden *row, const leat_expr *expr, const char *how)
{
    leat_row_view view = {test->values, 1000, LEAT_TIME_NONE};
    leat_value value;
    char text[4096];
    leat_eval_row_begin(&test->eval, 1600000000123);
    bool good = leat_program_run_row(program_of(test, expr), &test->eval, &view, 1, &value);
    print_value(test, expr->type, good, &value, text, sizeof text);
    expect(row, how, text);
    if (!good)
        assert_true(test->eval.bad_reason[0]);
}

// Every third row is NULL in one column; every fifth does not exist.
static void run_batch(expr_test *test, const golden *row, const leat_expr *expr, uint32_t rows, bool gaps)
{
    leat_column columns[TEST_COLUMNS], out;
    uint16_t selection[TEST_ROWS];
    leat_batch batch = {.count = rows, .selected = rows, .columns = columns, .watermark_after = LEAT_TIME_NONE};
    leat_program *program = program_of(test, expr);
    for (uint32_t c = 0; c < test->column_count; c++) {
        column_new(&test->arena, test->types[c], rows, &columns[c]);
        for (uint32_t i = 0; i < rows; i++)
            leat_column_set(&columns[c], i, &test->values[c], NULL);
    }
    for (uint32_t i = 0; gaps && i < rows && test->column_count; i += 3) {
        leat_value none = leat_value_null();
        leat_column_set(&columns[i % test->column_count], i, &none, NULL);
    }
    if (gaps) {
        batch.selection = selection;
        batch.selected = 0;
        for (uint32_t i = 0; i < rows; i++)
            if (i % 5)
                selection[batch.selected++] = (uint16_t)i;
    }
    leat_eval_begin(&test->eval, &batch, 1600000000123);
    leat_program_run(program, &test->eval, &batch, &test->arena, &out);
    for (uint32_t k = 0; k < batch.selected; k++) {
        uint32_t i = leat_batch_row(&batch, k);
        if (gaps && i % 3 == 0)
            continue;
        char text[4096];
        leat_value value = leat_column_value(&out, i);
        print_value(test, expr->type, !test->eval.bad[i], &value, text, sizeof text);
        expect(row, gaps ? "batch with gaps" : "batch", text);
    }
}

static void run_case(const golden *row)
{
    expr_test test;
    char type[LEAT_TYPE_TEXT];
    expr_test_init(&test);
    leat_expr *expr = expr_of(&test, row->expression);
    if (!expect_error(&test, row, expr)) {
        if (row->type && strcmp(row->type, leat_type_print(expr->type, type))) {
            print_error("%s: expected type %s, found %s\n", row->expression, row->type, type);
            wrong++;
        }
        run_row(&test, row, expr, "constants");
        run_row(&test, row, leat_expr_fold(&test.scope, expr), "folded");
        if (!strcmp(row->value, "BAD"))
            assert_true(expr->may_fail);
        test.as_columns = true;
        expr = expr_of(&test, row->expression);
        if (!expr)
            fail_msg("%s with columns: %s", row->expression, test.error.message);
        run_row(&test, row, expr, "row");
        run_batch(&test, row, expr, 1, false);
        run_batch(&test, row, expr, 37, false);
        run_batch(&test, row, expr, 64, true);
    }
    expr_test_fini(&test);
}

static void golden_expressions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(&cases[i]);
    assert_int_equal(wrong, 0);
    print_message("%zu expressions\n", sizeof cases / sizeof *cases);
}

// A NULL in any place of any ordinary function gives NULL, without a row going bad.
static void null_of_every_function(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expr_test test;
        expr_test_init(&test);
        test.as_columns = true;
        leat_expr *expr = expr_of(&test, cases[i].expression);
        bool plain = expr && expr->kind == LEAT_EXPR_CALL &&
                     !(expr->function->flags &
                       (LEAT_FUNCTION_LENIENT | LEAT_FUNCTION_AND | LEAT_FUNCTION_OR | LEAT_FUNCTION_COALESCE));
        for (uint32_t k = 0; plain && k < expr->argument_count; k++)
            plain = expr->arguments[k]->kind == LEAT_EXPR_COLUMN || expr->arguments[k]->kind == LEAT_EXPR_LITERAL;
        for (uint32_t c = 0; plain && c < test.column_count; c++) {
            leat_value kept = test.values[c], value;
            leat_row_view view = {test.values, 0, 0};
            test.values[c] = leat_value_null();
            leat_eval_row_begin(&test.eval, 0);
            bool good = leat_program_run_row(program_of(&test, expr), &test.eval, &view, 1, &value);
            if (!good || !value.is_null)
                fail_msg("%s: argument %u NULL: not NULL", cases[i].expression, c);
            test.values[c] = kept;
        }
        expr_test_fini(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_expressions),
        cmocka_unit_test(null_of_every_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
