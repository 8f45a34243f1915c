// Parameters are bound as trees: names where names stand, values where values stand, and never as text.

#include "config/sql/parameter.h"
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

static leat_sql_span origin(uint32_t parameter) { return (leat_sql_span){0, 1, parameter}; }

static const leat_sql_expr *lookup(void *context, leat_slice name)
{
    (void)context;
    leat_sql_expr *keys[2] = {leat_sql_make_identifier(&arena, leat_slice_text("line"), origin(2)),
                              leat_sql_make_identifier(&arena, leat_slice_text("order"), origin(2))};
    if (leat_slice_is(name, "from"))
        return leat_sql_make_identifier(&arena, leat_slice_text("my table; DROP"), origin(1));
    if (leat_slice_is(name, "keys"))
        return leat_sql_make_list(&arena, keys, 2, origin(2));
    if (leat_slice_is(name, "none"))
        return leat_sql_make_list(&arena, keys, 0, origin(2));
    if (leat_slice_is(name, "gap"))
        return leat_sql_make_interval(&arena, 90000, origin(3));
    if (leat_slice_is(name, "count"))
        return leat_sql_make_integer(&arena, 3, origin(4));
    if (leat_slice_is(name, "text"))
        return leat_sql_make_string(&arena, leat_slice_text("it's ${from}"), origin(5));
    if (leat_slice_is(name, "condition")) {
        leat_sql_diagnostics diagnostics = {0};
        leat_sql_expr *expr = NULL;
        assert_int_equal(leat_sql_parse_expression(&arena, leat_slice_text("a > 1 OR b"), 6, &expr, &diagnostics),
                         LEAT_OK);
        return expr;
    }
    return NULL;
}

static leat_sql_script *parse(const char *text)
{
    leat_sql_script *script = NULL;
    leat_sql_diagnostics diagnostics = {0};
    if (leat_sql_parse_statements(&arena, leat_slice_text(text), &script, &diagnostics))
        fail_msg("%s: %s", text, diagnostics.items[0].message);
    return script;
}

static void places(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"SELECT x FROM ${from}", "SELECT x\nFROM `my table; DROP`"},
        {"SELECT ${from}.x, ${from} AS ${from} FROM t",
         "SELECT `my table; DROP`.x, `my table; DROP` AS `my table; DROP`\nFROM t"},
        {"SELECT ${keys}, x FROM t GROUP BY ${keys}, x", "SELECT line, `order`, x\nFROM t\nGROUP BY line, `order`, x"},
        {"SELECT f(${none}) OVER (PARTITION BY ${none}, a ORDER BY ${keys}) FROM t",
         "SELECT f() OVER (PARTITION BY a ORDER BY line, `order`)\nFROM t"},
        {"SELECT a FROM t WHERE c AND ${condition}", "SELECT a\nFROM t\nWHERE c AND (a > 1 OR b)"},
        {"SELECT ${text}", "SELECT 'it''s ${from}'"},
        {"SELECT * FROM TABLE(SESSION(TABLE ${from} PARTITION BY ${keys}, DESCRIPTOR(${from}), ${gap}))",
         "SELECT *\nFROM TABLE(SESSION(TABLE `my table; DROP` PARTITION BY (line, `order`), DESCRIPTOR(`my table; "
         "DROP`), "
         "INTERVAL '90' SECOND))"},
        {"SELECT * FROM f(k => ${count}, r => TABLE ${from} PARTITION BY ${keys})",
         "SELECT *\nFROM f(k => 3, r => TABLE `my table; DROP` PARTITION BY (line, `order`))"},
        {"SELECT * FROM t MATCH_RECOGNIZE (PARTITION BY ${keys} PATTERN (A{${count}} B{1,${count}}) WITHIN ${gap} "
         "DEFINE A AS ${condition})",
         "SELECT *\nFROM t\nMATCH_RECOGNIZE (\n  PARTITION BY line, `order`\n  PATTERN (A{3} B{1,3}) WITHIN INTERVAL "
         "'90' SECOND\n"
         "  DEFINE A AS a > 1 OR b\n)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_sql_script *script = parse(cases[i][0]);
        leat_sql_diagnostics diagnostics = {0};
        if (leat_sql_bind_parameters(&arena, script, lookup, NULL, &diagnostics))
            fail_msg("%s: %s", cases[i][0], diagnostics.items[0].message);
        assert_string_equal(leat_sql_print(&arena, script).data, cases[i][1]);
        assert_true(leat_sql_script_equal(script, parse(cases[i][1])));
        assert_int_equal(leat_sql_find_parameters(&arena, script).count, 0);
    }
}

static void misfits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t origin;
        const char *message;
    } cases[] = {
        {"SELECT ${nothing}", 0, "unknown parameter ${nothing}"},
        {"SELECT a FROM ${text}", 5, "parameter text: expected a name"},
        {"SELECT a AS ${gap}", 3, "parameter gap: expected a name"},
        {"SELECT a + ${keys}", 2, "parameter keys: expected one value here, not a list"},
        {"SELECT * FROM t MATCH_RECOGNIZE (PATTERN (A{${text}}))", 5,
         "parameter text: expected a number of repetitions"},
        {"SELECT * FROM t MATCH_RECOGNIZE (PATTERN (A{5,${count}}))", 4,
         "parameter count: expected an upper bound not below the lower one"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_sql_diagnostics diagnostics = {0};
        assert_int_equal(leat_sql_bind_parameters(&arena, parse(cases[i].text), lookup, NULL, &diagnostics),
                         LEAT_E_INVALID);
        assert_string_equal(diagnostics.items[0].message, cases[i].message);
        assert_int_equal(diagnostics.items[0].span.origin, cases[i].origin);
    }
}

static void names_are_found_once(void **state)
{
    (void)state;
    leat_sql_names names = leat_sql_find_parameters(&arena, parse("SELECT ${b}, ${a} FROM ${c} WHERE ${b} > ${a}"));
    assert_int_equal(names.count, 3);
    assert_true(leat_slice_is(names.items[0].text, "b"));
    assert_true(leat_slice_is(names.items[2].text, "c"));
}

static void intervals_print_in_the_largest_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t duration_ms;
        const char *text;
    } cases[] = {
        {0, "INTERVAL '0' SECOND"},          {5, "INTERVAL '0.005' SECOND"}, {1000, "INTERVAL '1' SECOND"},
        {120000, "INTERVAL '2' MINUTE"},     {7200000, "INTERVAL '2' HOUR"}, {86400000, "INTERVAL '1' DAY"},
        {-1500, "INTERVAL '-1.500' SECOND"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_sql_expr *made = leat_sql_make_interval(&arena, cases[i].duration_ms, origin(1)), *read = NULL;
        leat_sql_diagnostics diagnostics = {0};
        leat_slice text = leat_sql_expr_print(&arena, made);
        assert_string_equal(text.data, cases[i].text);
        assert_int_equal(leat_sql_parse_expression(&arena, text, 0, &read, &diagnostics), LEAT_OK);
        assert_int_equal(read->literal.interval_value, cases[i].duration_ms);
        assert_true(leat_sql_expr_equal(made, read));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(misfits),
        cmocka_unit_test(names_are_found_once),
        cmocka_unit_test(intervals_print_in_the_largest_unit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
