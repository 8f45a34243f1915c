// Watermark generators: what each mode gives after a row and when nothing comes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware-agent/flow/watermark.h"

static leat_generator make(const leat_plan_watermark *spec)
{
    leat_generator generator;
    leat_generator_init(&generator, spec);
    assert_int_equal(generator.watermark_ms, LEAT_TIME_NONE);
    return generator;
}

static void bounded(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_BOUNDED, .delay_ms = 10};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_row(&g, 1337, 0), 1326);
    assert_int_equal(leat_generator_row(&g, 12345, 0), 12334);
    assert_int_equal(leat_generator_row(&g, 12300, 0), 12334);
    assert_int_equal(leat_generator_row(&g, 12340, 0), 12334);
    assert_int_equal(leat_generator_row(&g, 12346, 0), 12335);
}

static void ascending(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_BOUNDED};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_row(&g, 0, 0), -1);
    assert_int_equal(leat_generator_row(&g, 0, 0), -1);
    assert_int_equal(leat_generator_row(&g, 7, 0), 6);
    assert_int_equal(leat_generator_clock(&g, 999999), 6); // the clock has no say
}

// SQL: exactly the value, and a NULL says nothing.
static void expression(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_EXPRESSION, .delay_ms = 5000};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_row(&g, LEAT_TIME_NONE, 0), LEAT_TIME_NONE);
    assert_int_equal(leat_generator_row(&g, 4999, 0), 4999);
    assert_int_equal(leat_generator_row(&g, LEAT_TIME_NONE, 0), 4999);
    assert_int_equal(leat_generator_row(&g, 4998, 0), 4999);
    assert_int_equal(leat_generator_row(&g, 5000, 0), 5000);
}

static void future_guard(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_BOUNDED, .future_ms = 60000};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_row(&g, 1000000, 1000000), 999999);
    assert_int_equal(leat_generator_row(&g, 1060001, 1000000), 999999);
    assert_int_equal(g.from_future, 1);
    assert_int_equal(leat_generator_row(&g, INT64_MAX, 1000000), 999999);
    assert_int_equal(g.from_future, 2);
    assert_int_equal(leat_generator_row(&g, 1060000, 1000000), 1059999); // exactly the bound is still taken
    assert_int_equal(leat_generator_row(&g, 1060001, 1000001), 1060000);
    assert_int_equal(g.from_future, 2);
}

static void interval(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_BOUNDED, .interval_ms = 200};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_row(&g, 100, 1000), 99);
    assert_int_equal(leat_generator_row(&g, 5000, 1100), 99);
    assert_int_equal(leat_generator_row(&g, 200, 1199), 99);
    assert_int_equal(leat_generator_row(&g, 5001, 1200), 5000);
    assert_int_equal(leat_generator_row(&g, 5002, 1201), 5000);
    assert_int_equal(leat_generator_clock(&g, 1202), 5001); // nothing comes: nobody waits for the rest of it
}

// The SQL assigner does not wait when event time has moved by more than the interval.
static void interval_of_sql(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_EXPRESSION, .interval_ms = 200};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_row(&g, 100, 1000), 100);
    assert_int_equal(leat_generator_row(&g, 300, 1001), 100);
    assert_int_equal(leat_generator_row(&g, 301, 1002), 301);
    assert_int_equal(leat_generator_row(&g, 302, 1202), 302);
}

static void clock_mode(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_CLOCK};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_clock(&g, 1000), 999);
    assert_int_equal(leat_generator_clock(&g, 900), 999);
    assert_int_equal(leat_generator_row(&g, 1000, 1000), 999);
    assert_int_equal(leat_generator_row(&g, 1500, 1500), 1499);
    assert_int_equal(leat_generator_clock(&g, 1600), 1599);
}

static void silent_modes(void **state)
{
    const leat_plan_watermark none = {.mode = LEAT_WATERMARK_NONE}, explicit_mode = {.mode = LEAT_WATERMARK_EXPLICIT};
    leat_generator a = make(&none), b = make(&explicit_mode);
    (void)state;
    assert_int_equal(leat_generator_row(&a, 5, 5), LEAT_TIME_NONE);
    assert_int_equal(leat_generator_row(&b, 5, 5), LEAT_TIME_NONE);
}

// Event time near its ends: never an overflow, never a rise from one.
static void edges(void **state)
{
    const leat_plan_watermark spec = {.mode = LEAT_WATERMARK_BOUNDED, .delay_ms = 10};
    leat_generator g = make(&spec);
    (void)state;
    assert_int_equal(leat_generator_row(&g, INT64_MIN + 1, 0), LEAT_TIME_NONE);
    assert_int_equal(leat_generator_row(&g, INT64_MIN + 11, 0), LEAT_TIME_NONE);
    assert_int_equal(leat_generator_row(&g, INT64_MIN + 12, 0), INT64_MIN + 1);
    assert_int_equal(leat_generator_row(&g, INT64_MAX, 0), INT64_MAX - 11);
    assert_int_equal(leat_generator_row(&g, -1, 0), INT64_MAX - 11);
    const leat_plan_watermark sql = {.mode = LEAT_WATERMARK_EXPRESSION};
    leat_generator h = make(&sql);
    assert_int_equal(leat_generator_row(&h, INT64_MIN + 1, 0), INT64_MIN + 1);
    assert_int_equal(leat_generator_row(&h, INT64_MAX, 0), INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounded),      cmocka_unit_test(ascending),    cmocka_unit_test(expression),
        cmocka_unit_test(future_guard), cmocka_unit_test(interval),     cmocka_unit_test(interval_of_sql),
        cmocka_unit_test(clock_mode),   cmocka_unit_test(silent_modes), cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
