// Random trees over random columns: a batch, with selections and NULLs of any length, gives what its rows give one by one.
// And the truth tables of three-valued logic, exhaustively, in every form in which a condition can be run.
#include "tests/unit/expr/expr_support.h"

static uint64_t seed = 88172645463325252u;

static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % sides;
}

enum { COLUMNS = 9 };

static void schema_of(leat_type types[COLUMNS])
{
    leat_type all[COLUMNS] = {
        leat_type_of(LEAT_KIND_INT),     leat_type_of(LEAT_KIND_BIGINT),    leat_type_of(LEAT_KIND_DOUBLE),
        leat_type_of(LEAT_KIND_FLOAT),   leat_type_decimal(12, 3),          leat_type_of(LEAT_KIND_STRING),
        leat_type_of(LEAT_KIND_BOOLEAN), leat_type_of(LEAT_KIND_TIMESTAMP), leat_type_of(LEAT_KIND_INT)};
    memcpy(types, all, sizeof all);
}

static leat_value random_value(expr_test *test, leat_type type)
{
    static const char *const texts[] = {"", "a", "abc", "12", "-7", "é€", "1.5", "true", "2020-01-01", "zz top"};
    leat_value value = {.is_null = dice(5) == 0};
    (void)test;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        value.boolean = dice(2);
        break;
    case LEAT_PHYSICAL_I64:
        value.i64 = (int64_t)dice(9) - 4;
        break;
    case LEAT_PHYSICAL_F64:
        value.f64 = (double)dice(9) / 2 - 2;
        break;
    case LEAT_PHYSICAL_I128:
        value.i128 = (int)dice(9000) - 4000;
        break;
    default:
        value.text = leat_slice_text(texts[dice(10)]);
        break;
    }
    return value.is_null ? leat_value_null() : value;
}

// Wrong trees are refused by the builder; then a leaf stands in.
static leat_expr *leaf(expr_test *test)
{
    uint32_t column = dice(COLUMNS);
    if (dice(4))
        return leat_expr_column(&test->scope, 0, column, test->schema[column]);
    leat_value value = random_value(test, test->schema[column]);
    return leat_expr_literal(&test->scope, test->schema[column], value);
}

static leat_expr *random_expr(expr_test *test, int depth)
{
    static const struct {
        const char *name;
        int count;
    } calls[] = {
        {"+", 2},
        {"-", 2},
        {"*", 2},
        {"/", 2},
        {"%", 2},
        {"-", 1},
        {"=", 2},
        {"<>", 2},
        {"<", 2},
        {"<=", 2},
        {">", 2},
        {">=", 2},
        {"AND", 2},
        {"OR", 2},
        {"AND", 3},
        {"NOT", 1},
        {"IS NULL", 1},
        {"IS NOT NULL", 1},
        {"IS TRUE", 1},
        {"COALESCE", 2},
        {"COALESCE", 3},
        {"IF", 3},
        {"NULLIF", 2},
        {"BETWEEN", 3},
        {"IN", 3},
        {"IS DISTINCT FROM", 2},
        {"GREATEST", 2},
        {"ABS", 1},
        {"UPPER", 1},
        {"||", 2},
        {"SUBSTRING", 2},
        {"CHAR_LENGTH", 1},
        {"LIKE", 2},
        {"ROUND", 1},
        {"FLOOR", 1},
        {"YEAR", 1},
        {"CONCAT_WS", 3},
        {"REPLACE", 3},
        {"TO_TIMESTAMP", 1},
        {"ARRAY", 2},
        {"CARDINALITY", 1},
        {"SPLIT_INDEX", 3},
        {"SQRT", 1},
    };
    leat_expr *arguments[3], *out = NULL;
    if (depth == 0)
        return leaf(test);
    for (int tries = 0; tries < 12; tries++) {
        uint32_t pick = dice(sizeof calls / sizeof *calls + 4);
        for (int i = 0; i < 3; i++)
            arguments[i] = random_expr(test, (int)dice((uint32_t)depth));
        leat_code code;
        if (pick < sizeof calls / sizeof *calls)
            code = leat_expr_call(&test->scope, leat_slice_text(calls[pick].name), arguments,
                                  (uint32_t)calls[pick].count, &out, NULL);
        else if (pick % 2)
            code = leat_expr_cast(&test->scope, arguments[0], test->schema[dice(COLUMNS)], dice(2), &out, NULL);
        else
            code = leat_expr_case(&test->scope, arguments, 2 + dice(2), &out, NULL);
        if (code == LEAT_OK)
            return out;
    }
    return leaf(test);
}

typedef struct random_batch {
    leat_column columns[COLUMNS];
    leat_batch batch;
    uint16_t selection[TEST_ROWS];
    int64_t event_ms[TEST_ROWS];
} random_batch;

static void random_table(expr_test *test, random_batch *table, uint32_t rows)
{
    memset(table, 0, sizeof *table);
    table->batch.columns = table->columns;
    table->batch.count = rows;
    table->batch.event_ms = table->event_ms;
    for (uint32_t c = 0; c < COLUMNS; c++) {
        bool nulls = dice(3);
        column_new(&test->arena, test->schema[c], rows, &table->columns[c]);
        for (uint32_t i = 0; i < rows; i++) {
            leat_value value = random_value(test, test->schema[c]);
            while (!nulls && value.is_null)
                value = random_value(test, test->schema[c]);
            leat_column_set(&table->columns[c], i, &value, NULL);
        }
        if (!nulls)
            table->columns[c].nulls = NULL;
    }
    table->batch.selected = rows;
    if (dice(2))
        return;
    uint32_t sparse = 1 + dice(8);
    table->batch.selection = table->selection;
    table->batch.selected = 0;
    for (uint32_t i = 0; i < rows; i++)
        if (dice(sparse) == 0)
            table->selection[table->batch.selected++] = (uint16_t)i;
}

static void row_of(const random_batch *table, uint32_t row, leat_value *out_values)
{
    for (uint32_t c = 0; c < COLUMNS; c++)
        out_values[c] = leat_column_value(&table->columns[c], row);
}

static void compare_rows(expr_test *test, const leat_expr *expr, const random_batch *table)
{
    leat_program *program = program_of(test, expr);
    leat_column out;
    leat_eval rows;
    leat_eval_init(&rows, &test->env->env);
    leat_eval_begin(&test->eval, &table->batch, 1);
    leat_program_run(program, &test->eval, &table->batch, &test->arena, &out);
    uint32_t bad = 0;
    for (uint32_t k = 0; k < table->batch.selected; k++) {
        uint32_t i = leat_batch_row(&table->batch, k);
        leat_value values[COLUMNS], value, found = {.is_null = true};
        leat_row_view view = {values, 0, LEAT_TIME_NONE};
        row_of(table, i, values);
        leat_eval_row_begin(&rows, 1);
        bool good = leat_program_run_row(program, &rows, &view, 1, &value);
        if (good && !test->eval.bad[i])
            found = leat_column_value(&out, i);
        bad += !good;
        bool same = good == !test->eval.bad[i] && (!good || leat_value_equal(expr->type, &value, &found));
        if (!same || (!good && !expr->may_fail)) {
            leat_writer writer;
            leat_writer_init(&writer, &test->env->env, 65536);
            leat_expr_print(expr, NULL, &writer);
            print_error("%.*s row %u of %u: good %d/%d\n", (int)writer.size, (const char *)writer.bytes, i,
                        table->batch.count, good, !test->eval.bad[i]);
            fail_msg("batch and row differ");
        }
    }
    assert_int_equal(bad, test->eval.bad_count);
    leat_eval_fini(&rows);
}

static void compare_select(expr_test *test, const leat_expr *expr, const random_batch *table)
{
    leat_program *program = program_of(test, expr);
    leat_column out;
    uint16_t selected[TEST_ROWS];
    uint32_t at = 0;
    leat_eval_begin(&test->eval, &table->batch, 1);
    leat_program_run(program, &test->eval, &table->batch, &test->arena, &out);
    leat_eval select;
    leat_eval_init(&select, &test->env->env);
    leat_eval_begin(&select, &table->batch, 1);
    uint32_t count = leat_program_select(program, &select, &table->batch, selected);
    for (uint32_t k = 0; k < table->batch.selected; k++) {
        uint32_t i = leat_batch_row(&table->batch, k);
        bool wanted = !test->eval.bad[i] && !leat_column_is_null(&out, i) && out.boolean[i];
        bool found = at < count && selected[at] == i;
        at += found;
        assert_int_equal(wanted, found);
    }
    assert_int_equal(at, count);
    leat_eval_fini(&select);
}

static void batch_equals_rows(void **state)
{
    (void)state;
    const char *runs = getenv("LEAT_TEST_RUNS");
    uint32_t count = runs ? (uint32_t)atoi(runs) : 3000, conditions = 0;
    for (uint32_t run = 0; run < count; run++) {
        expr_test test;
        leat_type types[COLUMNS];
        static random_batch table;
        expr_test_init(&test);
        schema_of(types);
        test.schema = types;
        uint32_t rows = run % 50 == 0 ? TEST_ROWS : 1 + dice(run % 5 ? 40 : 300);
        random_table(&test, &table, rows);
        leat_expr *expr = random_expr(&test, 4);
        if (expr->type.kind != LEAT_KIND_NULL)
            compare_rows(&test, expr, &table);
        if (expr->type.kind == LEAT_KIND_BOOLEAN) {
            compare_select(&test, expr, &table);
            conditions++;
        }
        expr_test_fini(&test);
    }
    assert_true(conditions > count / 20);
}

// -- truth tables

static int truth_and(int a, int b) { return a == 0 || b == 0 ? 0 : a == 2 || b == 2 ? 2 : 1; }

static int truth_or(int a, int b) { return a == 1 || b == 1 ? 1 : a == 2 || b == 2 ? 2 : 0; }

static int truth_of_text(const char *text) { return !strcmp(text, "TRUE") ? 1 : !strcmp(text, "FALSE") ? 0 : 2; }

// The first %s is a, the second b.
static void substitute(const char *pattern, const char *a, const char *b, char out_text[256])
{
    const char *first = strstr(pattern, "%s"), *second = strstr(first + 2, "%s");
    snprintf(out_text, 256, "%.*s%s%.*s%s%s", (int)(first - pattern), pattern, a, (int)(second - first - 2), first + 2,
             b, second + 2);
}

static void expect_truth(const char *pattern, int a, int b, int wanted)
{
    static const char *const words[] = {"FALSE", "TRUE", "NULL:BOOLEAN"};
    char text[256], found[64];
    substitute(pattern, words[a], words[b], text);
    for (int as_columns = 0; as_columns < 2; as_columns++) {
        expr_test test;
        leat_value value;
        expr_test_init(&test);
        test.as_columns = as_columns;
        leat_expr *expr = expr_of(&test, text);
        leat_row_view view = {test.values, 0, 0};
        leat_eval_row_begin(&test.eval, 0);
        bool good = leat_program_run_row(program_of(&test, expr), &test.eval, &view, 1, &value);
        print_value(&test, expr->type, good, &value, found, sizeof found);
        if (truth_of_text(found) != wanted)
            fail_msg("%s: %s", text, found);
        expr_test_fini(&test);
    }
}

static void truth_tables(void **state)
{
    (void)state;
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            expect_truth("(AND %s %s)", a, b, truth_and(a, b));
            expect_truth("(OR %s %s)", a, b, truth_or(a, b));
            // The second is computed only where the first leaves it open.
            expect_truth("(AND %s (LIKE (CASE %s 'x' 'y') 'x'))", a, b, truth_and(a, b == 1));
            expect_truth("(NOT (AND (NOT %s) (NOT %s)))", a, b, truth_or(a, b));
            expect_truth("(= %s %s)", a, b, a == 2 || b == 2 ? 2 : a == b);
            expect_truth("(\"IS DISTINCT FROM\" %s %s)", a, b, a != b);
        }
}

static void type_rules(void **state)
{
    (void)state;
    static const struct {
        leat_kind a, b;
        const char *common;
    } pairs[] = {
        {LEAT_KIND_TINYINT, LEAT_KIND_INT, "INT"},
        {LEAT_KIND_INT, LEAT_KIND_BIGINT, "BIGINT"},
        {LEAT_KIND_INT, LEAT_KIND_FLOAT, "FLOAT"},
        {LEAT_KIND_BIGINT, LEAT_KIND_DOUBLE, "DOUBLE"},
        {LEAT_KIND_FLOAT, LEAT_KIND_DOUBLE, "DOUBLE"},
        {LEAT_KIND_DECIMAL, LEAT_KIND_FLOAT, "DOUBLE"},
        {LEAT_KIND_DECIMAL, LEAT_KIND_BIGINT, "DECIMAL(19, 0)"},
        {LEAT_KIND_NULL, LEAT_KIND_STRING, "STRING"},
        {LEAT_KIND_STRING, LEAT_KIND_INT, NULL},
        {LEAT_KIND_BOOLEAN, LEAT_KIND_INT, NULL},
        {LEAT_KIND_DATE, LEAT_KIND_TIMESTAMP, "TIMESTAMP"},
        {LEAT_KIND_TIMESTAMP, LEAT_KIND_TIMESTAMP_LTZ, "TIMESTAMP_LTZ"},
        {LEAT_KIND_TIME, LEAT_KIND_DATE, NULL},
        {LEAT_KIND_INTERVAL, LEAT_KIND_INTERVAL_MONTH, NULL},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        for (int swap = 0; swap < 2; swap++) {
            leat_type a = leat_type_of(swap ? pairs[i].b : pairs[i].a),
                      b = leat_type_of(swap ? pairs[i].a : pairs[i].b), common;
            char text[LEAT_TYPE_TEXT];
            bool found = leat_type_common(a, b, &common);
            assert_int_equal(found, pairs[i].common != NULL);
            if (found && strncmp(leat_type_print(common, text), pairs[i].common, strlen(pairs[i].common)))
                fail_msg("%s expected, %s found", pairs[i].common, text);
        }
}

static void printing(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"(> $2 75.5)", "($0.2 > 75.5)"},
        {"(AND (= $0 1) (\"IS NULL\" $5) $6)", "(($0.0 = 1) AND ($0.5 IS NULL) AND $0.6)"},
        {"(UPPER (SUBSTRING $5 2))", "UPPER(SUBSTRING($0.5, 2))"},
        {"(IN $0 1 2)", "($0.0 IN (1, 2))"},
        {"(CASE $6 1 2)", "CASE WHEN $0.6 THEN 1 ELSE 2 END"},
        {"(TRY_CAST $5 INT)", "TRY_CAST($0.5 AS INT)"},
        {"(+ $7 ms:60000)", "($0.7 + INTERVAL '1' MINUTE)"},
        {"(= $7 ts'2020-01-01 00:00:00')", "($0.7 = TIMESTAMP '2020-01-01 00:00:00.000')"},
        {"(- $0)", "(- $0.0)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expr_test test;
        leat_type types[COLUMNS];
        expr_test_init(&test);
        schema_of(types);
        test.schema = types;
        leat_expr *expr = expr_of(&test, cases[i][0]);
        assert_non_null(expr);
        leat_writer writer;
        leat_writer_init(&writer, &test.env->env, 65536);
        leat_expr_print(expr, NULL, &writer);
        leat_write_u8(&writer, 0);
        assert_string_equal((const char *)writer.bytes, cases[i][1]);
        assert_true(leat_expr_equal(expr, expr_of(&test, cases[i][0])));
        assert_false(leat_expr_is_constant(expr));
        leat_writer_fini(&writer);
        expr_test_fini(&test);
    }
}

// -- IN of many constants, which is a search in an ordered list, against one comparison after the other

static leat_expr *long_list(expr_test *test, uint32_t column, uint32_t count, bool nulls, const char *name,
                            leat_value *out_items)
{
    leat_expr *arguments[64], *expr = NULL;
    arguments[0] = leat_expr_column(&test->scope, 0, column, test->schema[column]);
    for (uint32_t i = 0; i < count; i++) {
        do
            out_items[i] = random_value(test, test->schema[column]);
        while (!nulls && out_items[i].is_null);
        arguments[i + 1] = leat_expr_literal(&test->scope, test->schema[column], out_items[i]);
    }
    leat_code code = leat_expr_call(&test->scope, leat_slice_text(name), arguments, count + 1, &expr, &test->error);
    assert_int_equal(code, LEAT_OK);
    assert_int_equal(expr->prepared != NULL, count >= 8);
    return expr;
}

// 0, 1, or 2 for unknown.
static int truth_of_list(leat_type type, const leat_value *value, const leat_value *items, uint32_t count)
{
    int truth = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool unknown = value->is_null || items[i].is_null;
        truth = truth_or(truth, unknown ? 2 : leat_value_compare(type, value, &items[i]) == 0);
    }
    return truth;
}

static void compare_list(expr_test *test, const random_batch *table, uint32_t column, uint32_t count, bool nulls,
                         bool negated)
{
    leat_value items[64], values[COLUMNS], found;
    leat_expr *expr = long_list(test, column, count, nulls, negated ? "NOT IN" : "IN", items);
    leat_program *program = program_of(test, expr);
    for (uint32_t i = 0; i < table->batch.count; i++) {
        leat_row_view view = {values, 0, LEAT_TIME_NONE};
        row_of(table, i, values);
        int truth = truth_of_list(test->schema[column], &values[column], items, count);
        leat_eval_row_begin(&test->eval, 1);
        assert_true(leat_program_run_row(program, &test->eval, &view, 1, &found));
        assert_int_equal(found.is_null, truth == 2);
        if (!found.is_null)
            assert_int_equal(found.boolean, negated ? !truth : truth);
    }
    compare_rows(test, expr, table);
    compare_select(test, expr, table);
}

static void lists_of_constants(void **state)
{
    (void)state;
    for (uint32_t run = 0; run < 400; run++) {
        expr_test test;
        leat_type types[COLUMNS];
        static random_batch table;
        expr_test_init(&test);
        schema_of(types);
        test.schema = types;
        random_table(&test, &table, 1 + dice(60));
        compare_list(&test, &table, run % COLUMNS, 5 + dice(50), dice(2), dice(2));
        expr_test_fini(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truth_tables),      cmocka_unit_test(type_rules),         cmocka_unit_test(printing),
        cmocka_unit_test(batch_equals_rows), cmocka_unit_test(lists_of_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
