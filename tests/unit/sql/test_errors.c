// What is wrong is said at its place, all of it in one run; bounds end with a message and never with the stack.

#include "config/sql/parser.h"
#include "tests/support/env_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
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

static const struct {
    const char *text, *errors;
} golden[] = {
#include "tests/unit/sql/golden_errors.inc"
};

static leat_code parse(leat_slice text, leat_sql_diagnostics *diagnostics)
{
    leat_sql_script *script;
    *diagnostics = (leat_sql_diagnostics){0};
    return leat_sql_parse_statements(&arena, text, &script, diagnostics);
}

static void messages_and_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        leat_sql_diagnostics diagnostics;
        assert_int_equal(parse(leat_slice_text(golden[i].text), &diagnostics), LEAT_E_INVALID);
        char found[8192] = "";
        size_t size = 0;
        for (uint32_t j = 0; j < diagnostics.count; j++)
            size += (size_t)snprintf(found + size, sizeof found - size, "%u+%u: %s\n", diagnostics.items[j].span.offset,
                                     diagnostics.items[j].span.size, diagnostics.items[j].message);
        if (strcmp(found, golden[i].errors))
            fail_msg("%s\nexpected\n%sfound\n%s", golden[i].text, golden[i].errors, found);
    }
}

// prefix, then `part` repeated.
static leat_slice repeat(const char *prefix, const char *part, size_t count)
{
    size_t first = strlen(prefix), size = strlen(part);
    char *text = leat_arena_alloc(&arena, first + size * count + 1);
    memcpy(text, prefix, first);
    for (size_t i = 0; i < count; i++)
        memcpy(text + first + i * size, part, size);
    return leat_slice_of(text, first + size * count);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    static const char *const parts[][2] = {
        {"SELECT ", "("},
        {"SELECT ", "f("},
        {"SELECT ", "NOT "},
        {"SELECT ", "- "},
        {"SELECT ", "a["},
        {"SELECT ", "CASE WHEN "},
        {"SELECT ", "(SELECT "},
        {"", "("},
        {"", "SELECT * FROM ("},
        {"", "WITH a AS ("},
        {"SELECT CAST(a AS ", "ARRAY<"},
        {"SELECT CAST(a AS ", "ROW<a "},
        {"SELECT a FROM t GROUP BY ", "CUBE ("},
        {"SELECT * FROM t MATCH_RECOGNIZE (PATTERN (", "("},
        {"SELECT * FROM t MATCH_RECOGNIZE (PATTERN (", "{- "},
        {"SELECT * FROM ", "(t JOIN "},
        {"SELECT * FROM ", "t, (u, "},
        {"SELECT ", "a OR ("},
        {"SELECT ", "a IN ("},
        {"SELECT ", "EXISTS (SELECT "},
        {"SELECT 1 ", "UNION (SELECT 1 "},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        leat_sql_diagnostics diagnostics;
        assert_int_equal(parse(repeat(parts[i][0], parts[i][1], 10000), &diagnostics), LEAT_E_INVALID);
        assert_int_equal(diagnostics.count, 1);
        assert_string_equal(diagnostics.items[0].message, "nested too deep: more than 200");
        leat_arena_reset(&arena);
    }
}

static void chains_are_bounded(void **state)
{
    (void)state;
    static const char *const parts[][2] = {
        {"SELECT 1", " + 1"},
        {"SELECT a", " OR a"},
        {"SELECT a", " IS NULL"},
        {"SELECT a", "[1]"},
        {"SELECT f()", ".x"},
        {"SELECT 1", " UNION SELECT 1"},
        {"SELECT 1", " INTERSECT SELECT 1"},
        {"SELECT * FROM t", ", t"},
        {"SELECT * FROM t", " CROSS JOIN t"},
        {"SELECT CAST(a AS INT", " ARRAY"},
        {"SELECT * FROM t", " MATCH_RECOGNIZE (PATTERN (A))"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        leat_sql_diagnostics diagnostics;
        assert_int_equal(parse(repeat(parts[i][0], parts[i][1], 5000), &diagnostics), LEAT_E_INVALID);
        assert_int_equal(diagnostics.count, 1);
        assert_non_null(strstr(diagnostics.items[0].message, "too many operators"));
        leat_arena_reset(&arena);
    }
}

static void width_is_not(void **state)
{
    (void)state;
    leat_sql_diagnostics diagnostics;
    assert_int_equal(parse(repeat("SELECT 1", ", a", 20000), &diagnostics), LEAT_OK);
    assert_int_equal(parse(repeat("SELECT 1", "; SELECT 2", 10000), &diagnostics), LEAT_OK);
    assert_int_equal(parse(repeat("SELECT 1", " OR 1", 700), &diagnostics), LEAT_OK);
}

static void tokens_are_bounded(void **state)
{
    (void)state;
    leat_sql_diagnostics diagnostics;
    assert_int_equal(parse(repeat("SELECT 1", ", a", 40000), &diagnostics), LEAT_E_INVALID);
    assert_int_equal(diagnostics.count, 1);
    assert_string_equal(diagnostics.items[0].message, "the text is too long: more than 65535 words and signs");
}

static void diagnostics_are_bounded(void **state)
{
    (void)state;
    leat_sql_diagnostics diagnostics;
    assert_int_equal(parse(repeat("SELECT 1", ", a b c", 100), &diagnostics), LEAT_E_INVALID);
    assert_int_equal(diagnostics.count, LEAT_SQL_DIAGNOSTICS_MAX);
    assert_int_equal(parse(leat_slice_of("SELECT '\xff'", 10), &diagnostics), LEAT_E_INVALID);
    assert_string_equal(diagnostics.items[0].message, "the text is not UTF-8");
    assert_int_equal(parse(leat_slice_of("", 0), &diagnostics), LEAT_E_INVALID);
    assert_int_equal(parse(leat_slice_of("SELECT \0 1", 10), &diagnostics), LEAT_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_and_places), cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(chains_are_bounded),  cmocka_unit_test(width_is_not),
        cmocka_unit_test(tokens_are_bounded),  cmocka_unit_test(diagnostics_are_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
