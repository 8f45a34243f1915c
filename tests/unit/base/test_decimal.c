#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "operators/base/number.h"

#define NINES_38 "99999999999999999999999999999999999999"

static void check(const char *text, unsigned scale, const char *expected)
{
    leat_i128 unscaled;
    char printed[LEAT_NUMBER_TEXT + 8];
    if (!leat_decimal_parse(leat_slice_text(text), scale, &unscaled))
        fail_msg("'%s' refused", text);
    assert_int_equal(leat_decimal_print(unscaled, scale, printed), strlen(expected));
    assert_string_equal(printed, expected);
}

static void test_parse_and_print(void **state)
{
    (void)state;
    check("0", 0, "0");
    check("-0", 2, "0.00");
    check("1", 2, "1.00");
    check("1.005", 2, "1.01");
    check("1.004999999999999999999999999999999999999999999999999", 2, "1.00");
    check("-1.005", 2, "-1.01"); // half away from 0, as HALF_UP
    check("0.5", 0, "1");
    check("0.49", 0, "0");
    check("0.05", 0, "0");
    check("0.005", 2, "0.01");
    check("0.0005", 2, "0.00");
    check("999.999", 2, "1000.00");
    check("1e3", 1, "1000.0");
    check("12.5e-1", 2, "1.25");
    check("5e-3", 2, "0.01");
    check("5e-4", 2, "0.00");
    check("0e99999999999", 2, "0.00");
    check("1e-99999999999", 2, "0.00");
    check(".5", 1, "0.5");
    check("+7.", 0, "7");
    check(NINES_38, 0, NINES_38);
    check("-" NINES_38, 0, "-" NINES_38);
    check("0." NINES_38, 38, "0." NINES_38);
    check("-0." NINES_38, 38, "-0." NINES_38);
    check("000000000000000000000000000000000000000000000000000001.5", 1, "1.5");
    check("123456789012345678901234.5678", 4, "123456789012345678901234.5678");
}

static void test_refused(void **state)
{
    (void)state;
    leat_i128 unscaled = 7;
    static const char *const texts[] = {"",   "abc",        "1x",          "NaN",  "--1",          ".",
                                        "1e", "1" NINES_38, NINES_38 ".5", "1e38", "1e99999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(leat_decimal_parse(leat_slice_text(texts[i]), 0, &unscaled));
    assert_false(leat_decimal_parse(leat_slice_text("1"), 38, &unscaled));
    assert_true(unscaled == 7);
}

static void test_rescale(void **state)
{
    (void)state;
    leat_i128 out = 0, nines = 0;
    assert_true(leat_decimal_parse(leat_slice_text(NINES_38), 0, &nines));
    assert_true(leat_decimal_rescale(12345, 3, 1, &out) && out == 123);
    assert_true(leat_decimal_rescale(12350, 3, 1, &out) && out == 124);
    assert_true(leat_decimal_rescale(-12350, 3, 1, &out) && out == -124);
    assert_true(leat_decimal_rescale(5, 1, 0, &out) && out == 1);
    assert_true(leat_decimal_rescale(-4, 1, 0, &out) && out == 0);
    assert_true(leat_decimal_rescale(12, 0, 3, &out) && out == 12000);
    assert_true(leat_decimal_rescale(0, 0, 60, &out) && out == 0);
    assert_true(leat_decimal_rescale(nines, 38, 0, &out) && out == 1);
    assert_true(leat_decimal_rescale(nines, 50, 0, &out) && out == 0);
    assert_true(leat_decimal_rescale(nines, 0, 0, &out) && out == nines);
    assert_false(leat_decimal_rescale(nines, 0, 1, &out));
    assert_false(leat_decimal_rescale(1, 0, 38, &out));
    assert_true(leat_decimal_rescale(1, 0, 37, &out));
}

static void test_fits(void **state)
{
    (void)state;
    assert_true(leat_decimal_fits(999, 3) && leat_decimal_fits(-999, 3));
    assert_false(leat_decimal_fits(1000, 3));
    assert_false(leat_decimal_fits(-1000, 3));
    leat_i128 most = (leat_i128)(~(leat_u128)0 >> 1);
    assert_false(leat_decimal_fits(most, 38));
    assert_false(leat_decimal_fits(-most - 1, 38));
    char text[LEAT_NUMBER_TEXT + 8];
    leat_decimal_print(-most - 1, 38, text); // longer than any DECIMAL, still printed within bounds
    assert_string_equal(text, "-1.70141183460469231731687303715884105728");
}

static void test_doubles(void **state)
{
    (void)state;
    leat_i128 out;
    assert_true(leat_decimal_from_double(0.285, 2, &out) && out == 29); // BigDecimal.valueOf's view, not the bits'
    assert_true(leat_decimal_from_double(-1.5, 0, &out) && out == -2);
    assert_true(leat_decimal_from_double(1e20, 2, &out) && out == (leat_i128)10000000000000000000ull * 1000);
    assert_true(leat_decimal_from_double(4.9e-324, 2, &out) && out == 0);
    assert_false(leat_decimal_from_double(NAN, 2, &out));
    assert_false(leat_decimal_from_double(INFINITY, 2, &out));
    assert_false(leat_decimal_from_double(1e300, 2, &out));
    assert_true(leat_decimal_to_double(2137, 2) == 21.37);
    assert_true(leat_decimal_to_double(-2137, 2) == -21.37);
    assert_true(leat_decimal_to_double(0, 10) == 0);
    assert_true(leat_decimal_parse(leat_slice_text("12345678901234567890.123456789"), 9, &out));
    assert_true(leat_decimal_to_double(out, 9) == 12345678901234567890.123456789);
    for (int i = 0; i < 100000; i++) {
        double value = (double)(i * 7919 % 1000003) / 1000;
        assert_true(leat_decimal_from_double(value, 3, &out) && leat_decimal_to_double(out, 3) == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_print), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_rescale),         cmocka_unit_test(test_fits),
        cmocka_unit_test(test_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
