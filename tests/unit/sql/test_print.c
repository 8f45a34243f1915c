// Every construct of the dialect: it parses, prints, and the print parses to the same tree.

#include "config/sql/lexer.h"
#include "config/sql/print.h"
#include "tests/support/env_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static env_test *env;
static leat_arena arena;

static int setup(void **state)
{
    (void)state;
    env = env_test_create();
    leat_arena_init(&arena, env_test_env(env), 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    leat_arena_fini(&arena);
    env_test_destroy(env);
    return 0;
}

static const char *const queries[] = {
#include "tests/unit/sql/dialect_queries.inc"
};

static const char *const expressions[] = {
#include "tests/unit/sql/dialect_expressions.inc"
};

static leat_sql_script *parse(const char *text)
{
    leat_sql_script *script = NULL;
    leat_sql_diagnostics diagnostics = {0};
    if (leat_sql_parse_statements(&arena, leat_slice_text(text), &script, &diagnostics))
        fail_msg("%s\n%u: %s", text, diagnostics.items[0].span.offset, diagnostics.items[0].message);
    return script;
}

static leat_sql_expr *parse_expression(const char *text)
{
    leat_sql_expr *expr = NULL;
    leat_sql_diagnostics diagnostics = {0};
    if (leat_sql_parse_expression(&arena, leat_slice_text(text), 0, &expr, &diagnostics))
        fail_msg("%s\n%u: %s", text, diagnostics.items[0].span.offset, diagnostics.items[0].message);
    return expr;
}

static void queries_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        leat_sql_script *script = parse(queries[i]);
        leat_slice printed = leat_sql_print(&arena, script);
        leat_sql_script *again = parse(printed.data);
        if (!leat_sql_script_equal(script, again))
            fail_msg("%s\nprints as\n%s\nwhich is something else", queries[i], printed.data);
        assert_string_equal(printed.data, leat_sql_print(&arena, again).data);
    }
}

static void expressions_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        leat_sql_expr *expr = parse_expression(expressions[i]);
        assert_string_equal(leat_sql_expr_print(&arena, expr).data, expressions[i]);
        assert_true(leat_sql_expr_equal(expr, parse_expression(expressions[i])));
    }
}

// Written, and what it prints as: parentheses only where they are needed.
static void precedence(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"(a or b) and c", "(a OR b) AND c"},
        {"a or (b and c)", "a OR b AND c"},
        {"(a and b) or c", "a AND b OR c"},
        {"not (a = b)", "NOT a = b"},
        {"(not a) = b", "(NOT a) = b"},
        {"not (a and b)", "NOT (a AND b)"},
        {"(not a) and b", "NOT a AND b"},
        {"not (a is null)", "NOT a IS NULL"},
        {"(a = b) is true", "a = b IS TRUE"},
        {"a = (b is null)", "a = (b IS NULL)"},
        {"(a + b) * c", "(a + b) * c"},
        {"a + (b * c)", "a + b * c"},
        {"a - (b - c)", "a - (b - c)"},
        {"(a - b) - c", "a - b - c"},
        {"a / (b * c)", "a / (b * c)"},
        {"a || (b || c)", "a || (b || c)"},
        {"-(a + b)", "-(a + b)"},
        {"(-a) * b", "-a * b"},
        {"- -a", "- -a"},
        {"-(a[1])", "-a[1]"},
        {"(a + 1) between 2 and (3 + 4)", "a + 1 BETWEEN 2 AND 3 + 4"},
        {"(a between 1 and 2) and b", "a BETWEEN 1 AND 2 AND b"},
        {"a between 1 and (b and c)", "a BETWEEN 1 AND (b AND c)"},
        {"(a = b) = c", "a = b = c"},
        {"a = (b = c)", "a = (b = c)"},
        {"(a like b) = c", "a LIKE b = c"},
        {"(a, b) in ((1, 2))", "(a, b) IN ((1, 2))"},
        {"((a))", "a"},
        {"a != b", "a <> b"},
        {"(a % b) + c", "a % b + c"},
        {"(a || 'x') = b", "a || 'x' = b"},
        {"not not a", "NOT NOT a"},
        {"(a is distinct from b) or c", "a IS DISTINCT FROM b OR c"},
        {"a + 1 is not distinct from b + 1", "a + 1 IS NOT DISTINCT FROM b + 1"},
        {"case when (a) then (b) end", "CASE WHEN a THEN b END"},
        {"(a).b", "(a).b"},
        {"substring(a from 1 for 2)", "substring(a, 1, 2)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_sql_expr *expr = parse_expression(cases[i][0]);
        assert_string_equal(leat_sql_expr_print(&arena, expr).data, cases[i][1]);
        assert_true(leat_sql_expr_equal(expr, parse_expression(cases[i][1])));
    }
}

static void names_are_quoted_where_they_have_to_be(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a", "a"},     {"end", "`end`"},     {"a b", "`a b`"},     {"a`b", "`a``b`"},
        {"1a", "`1a`"}, {"first", "`first`"}, {"Größe", "`Größe`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(leat_sql_name_print(&arena, leat_slice_text(cases[i][0])).data, cases[i][1]);
}

static void keywords_are_sorted_and_found(void **state)
{
    (void)state;
    for (int i = 1; i < KEYWORD_COUNT; i++) {
        const char *text = leat_sql_keyword_text((leat_sql_keyword)i);
        if (i > 1)
            assert_true(strcmp(leat_sql_keyword_text((leat_sql_keyword)(i - 1)), text) < 0);
        assert_int_equal(leat_sql_keyword_find(leat_slice_text(text)), i);
    }
    assert_int_equal(leat_sql_keyword_find(leat_slice_text("select")), KW_SELECT);
    assert_int_equal(leat_sql_keyword_find(leat_slice_text("selec")), NO_KEYWORD);
    assert_int_equal(leat_sql_keyword_find(leat_slice_text("row_numbe")), NO_KEYWORD);
}

static void intervals_have_their_value(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {
        {"INTERVAL '1' SECOND", 1000},
        {"INTERVAL '0.005' SECOND", 5},
        {"INTERVAL '-1' SECOND", -1000},
        {"INTERVAL -'8' HOUR", -28800000},
        {"INTERVAL -'-1' DAY", 86400000},
        {"INTERVAL '1:30' MINUTE TO SECOND", 90000},
        {"INTERVAL '1 2:03:04.5' DAY TO SECOND", 93784500},
        {"INTERVAL '2' WEEK", 1209600000},
        {"INTERVAL '1-2' YEAR TO MONTH", 14},
        {"INTERVAL '3' YEAR", 36},
        {"INTERVAL '2' QUARTER", 6},
        {"INTERVAL '1 12' DAY TO HOUR", 129600000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(parse_expression(cases[i].text)->literal.interval_value, cases[i].value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_round_trip),
        cmocka_unit_test(expressions_round_trip),
        cmocka_unit_test(precedence),
        cmocka_unit_test(names_are_quoted_where_they_have_to_be),
        cmocka_unit_test(keywords_are_sorted_and_found),
        cmocka_unit_test(intervals_have_their_value),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
