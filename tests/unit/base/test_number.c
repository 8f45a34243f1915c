#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operators/base/number.h"

enum { ROUNDS = 100000 };

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_parse(const char *text)
{
    double value, expected = strtod(text, NULL);
    if (!leat_double_parse(leat_slice_text(text), &value) || bits_of(value) != bits_of(expected))
        fail_msg("'%s' gives %.17g instead of %.17g", text, value, expected);
}

static void test_parse_against_strtod(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "1",
        "0.1",
        "-0.0",
        "1e400",
        "-1e400",
        "1e-400",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "9007199254740993",
        "9007199254740992.5",
        "18446744073709551615",
        "18446744073709551616",
        "12345678901234567890123",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "0.30000000000000004",
        "123456789012345678e-10",
        "0e999999999999999999999",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "00012",
        ".5",
        "5.",
        "+1.5",
        "9007199254740993.00000000000000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_parse(texts[i]);
    char text[64];
    for (int i = 0; i < ROUNDS; i++) {
        double value = double_of(random_next());
        if (!isfinite(value))
            continue;
        snprintf(text, sizeof text, "%.*g", (int)(random_next() % 20), value);
        check_parse(text);
        snprintf(text, sizeof text, "%.*f", (int)(random_next() % 8), (double)(int64_t)random_next() / 1e9);
        check_parse(text);
    }
}

// Digits far behind the point decide between two neighbours; a few thousand of them do not fit any buffer on the way.
static void test_parse_long_texts(void **state)
{
    (void)state;
    char *text = malloc(20010);
    assert_non_null(text);
    strcpy(text, "9007199254740993.");
    memset(text + 17, '0', 5000);
    text[5017] = 0;
    check_parse(text); // a tie: to even
    text[5016] = '1';
    check_parse(text); // just above
    strcpy(text, "0.");
    memset(text + 2, '0', 5000);
    strcpy(text + 5002, "123e5000");
    check_parse(text);
    memset(text, '7', 5000);
    strcpy(text + 5000, "e-4990");
    check_parse(text);
    // A million zeros against the exponent are beyond what strtod's own clamp would survive if ours came first.
    strcpy(text, "0.");
    memset(text + 2, '0', 20000);
    strcpy(text + 20002, "1e19999");
    check_parse(text);
    free(text);
}

static bool json(const char *text, double *value, bool *is_integer, int64_t *integer, size_t *used)
{
    const char *end = NULL;
    bool found = leat_number_parse(text, text + strlen(text), value, is_integer, integer, &end);
    *used = found ? (size_t)(end - text) : 0;
    return found;
}

static void test_json_numbers(void **state)
{
    (void)state;
    double value;
    bool is_integer;
    int64_t integer;
    size_t used;
    assert_true(json("-12,", &value, &is_integer, &integer, &used));
    assert_true(is_integer && integer == -12 && used == 3 && value == -12);
    assert_true(json("-0", &value, &is_integer, &integer, &used));
    assert_true(is_integer && integer == 0 && signbit(value));
    assert_true(json("1.5e3]", &value, &is_integer, &integer, &used));
    assert_true(!is_integer && value == 1500 && used == 5);
    assert_true(json("9223372036854775807", &value, &is_integer, &integer, &used));
    assert_true(is_integer && integer == INT64_MAX);
    assert_true(json("-9223372036854775808", &value, &is_integer, &integer, &used));
    assert_true(is_integer && integer == INT64_MIN);
    assert_true(json("9223372036854775808", &value, &is_integer, &integer, &used));
    assert_true(!is_integer && value == 9223372036854775808.0);
    assert_true(json("12345678901234567890", &value, &is_integer, &integer, &used)); // 20 digits
    assert_true(!is_integer && value == 12345678901234567890.0);
    assert_true(json("1e2", &value, &is_integer, &integer, &used));
    assert_true(!is_integer && value == 100);
    assert_true(json("1e400", &value, NULL, NULL, &used));
    assert_true(isinf(value) && used == 5);
    static const char *const refused[] = {"",     "-",  "+1",  "01",  "-01", ".5", "5.",
                                          "5.e1", "1e", "1e+", "-e1", "NaN", "abc"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(json(refused[i], &value, &is_integer, &integer, &used));
}

// Nothing is read past the end, whatever stands there.
static void test_end_is_respected(void **state)
{
    (void)state;
    const char *text = "-12.75e-3";
    static const bool expected[] = {false, false, true, true, false, true, true, false, false, true};
    for (size_t size = 0; size <= 9; size++) {
        char *exact = malloc(size ? size : 1);
        memcpy(exact, text, size);
        double value;
        const char *end;
        assert_int_equal(leat_number_parse(exact, exact + size, &value, NULL, NULL, &end), expected[size]);
        free(exact);
    }
}

static void test_whole_texts(void **state)
{
    (void)state;
    double value = 7;
    int64_t integer = 7;
    static const char *const no_doubles[] = {"",     " 1", "1 ", "1x",  "nan",   "inf",
                                             "0x10", ".",  "e5", "--1", "1e5.0", "Infinity1"};
    for (size_t i = 0; i < sizeof no_doubles / sizeof *no_doubles; i++)
        assert_false(leat_double_parse(leat_slice_text(no_doubles[i]), &value));
    assert_true(value == 7);
    assert_true(leat_double_parse(leat_slice_text("NaN"), &value) && isnan(value));
    assert_true(leat_double_parse(leat_slice_text("-Infinity"), &value) && value == -INFINITY);
    static const char *const no_integers[] = {
        "", "-", "1.0", "1e3", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "1 ", "0x1"};
    for (size_t i = 0; i < sizeof no_integers / sizeof *no_integers; i++)
        assert_false(leat_integer_parse(leat_slice_text(no_integers[i]), &integer));
    assert_int_equal(integer, 7);
    assert_true(leat_integer_parse(leat_slice_text("+0009223372036854775807"), &integer) && integer == INT64_MAX);
    assert_true(leat_integer_parse(leat_slice_text("-9223372036854775808"), &integer) && integer == INT64_MIN);
}

static void check_prints(double value, const char *json_text, const char *java_text)
{
    char text[LEAT_NUMBER_TEXT];
    assert_int_equal(leat_double_print(value, text), strlen(json_text));
    assert_string_equal(text, json_text);
    assert_int_equal(leat_double_print_java(value, text), strlen(java_text));
    assert_string_equal(text, java_text);
}

static void test_print_shapes(void **state)
{
    (void)state;
    check_prints(0, "0", "0.0");
    check_prints(-0.0, "-0", "-0.0");
    check_prints(1, "1", "1.0");
    check_prints(-1.5, "-1.5", "-1.5");
    check_prints(0.1, "0.1", "0.1");
    check_prints(0.1 + 0.2, "0.30000000000000004", "0.30000000000000004");
    check_prints(21.37, "21.37", "21.37");
    check_prints(100, "100", "100.0");
    check_prints(0.001, "0.001", "0.001");
    check_prints(0.0001, "0.0001", "1.0E-4");
    check_prints(0.00099, "0.00099", "9.9E-4");
    check_prints(9999999, "9999999", "9999999.0");
    check_prints(1e7, "10000000", "1.0E7");
    check_prints(12345678.9, "12345678.9", "1.23456789E7");
    check_prints(1e10, "10000000000", "1.0E10");
    check_prints(1e-6, "0.000001", "1.0E-6");
    check_prints(1e-7, "1e-7", "1.0E-7");
    check_prints(1e15, "1000000000000000", "1.0E15");
    check_prints(9007199254740993.0, "9007199254740992", "9.007199254740992E15");
    check_prints(123456789012345680000.0, "123456789012345680000", "1.2345678901234568E20");
    check_prints(1e21, "1e+21", "1.0E21");
    check_prints(1e23, "1e+23", "1.0E23");
    check_prints(2e23, "2e+23", "2.0E23");
    check_prints(1e30, "1e+30", "1.0E30");
    check_prints(1.2345e-9, "1.2345e-9", "1.2345E-9");
    check_prints(DBL_MAX, "1.7976931348623157e+308", "1.7976931348623157E308");
    check_prints(-DBL_MAX, "-1.7976931348623157e+308", "-1.7976931348623157E308");
    check_prints(DBL_MIN, "2.2250738585072014e-308", "2.2250738585072014E-308");
    check_prints(4.9e-324, "5e-324", "4.9E-324");
    check_prints(1e-323, "1e-323", "9.9E-324");
    check_prints(2e-323, "2e-323", "2.0E-323");
    check_prints(NAN, "null", "NaN");
    check_prints(-NAN, "null", "NaN");
    check_prints(INFINITY, "null", "Infinity");
    check_prints(-INFINITY, "null", "-Infinity");
    check_prints(5.684341886080802e-14, "5.684341886080802e-14", "5.684341886080802E-14"); // 2^-44
}

static void test_print_floats(void **state)
{
    (void)state;
    static const struct {
        float value;
        const char *json, *java;
    } cases[] = {
        {0.1f, "0.1", "0.1"},
        {3.1415927f, "3.1415927", "3.1415927"},
        {1, "1", "1.0"},
        {16777216, "16777216", "1.6777216E7"},
        {FLT_MAX, "3.4028235e+38", "3.4028235E38"},
        {1e-45f, "1e-45", "1.4E-45"},
        {-0.0f, "-0", "-0.0"},
        {1e10f, "10000000000", "1.0E10"},
        {NAN, "null", "NaN"},
        {INFINITY, "null", "Infinity"},
    };
    char text[LEAT_NUMBER_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_float_print(cases[i].value, text);
        assert_string_equal(text, cases[i].json);
        leat_float_print_java(cases[i].value, text);
        assert_string_equal(text, cases[i].java);
    }
}

static size_t significant_digits(const char *text)
{
    size_t count = 0, zeros = 0;
    for (; *text && *text != 'e' && *text != 'E'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0))
            continue;
        count++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

static size_t digits_needed(double value)
{
    char text[64];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value)
            return (size_t)precision;
    }
    return 17;
}

static void check_round_trip(double value)
{
    char text[LEAT_NUMBER_TEXT];
    double back;
    size_t size = leat_double_print(value, text);
    assert_true(size < LEAT_NUMBER_TEXT);
    if (bits_of(strtod(text, NULL)) != bits_of(value) || !leat_double_parse(leat_slice_of(text, size), &back) ||
        bits_of(back) != bits_of(value))
        fail_msg("%.17g printed as %s", value, text);
    // Whole numbers below 2^53 are written out; all others have no digit more than printf needs.
    if (fabs(value) >= 9007199254740992.0 || value != trunc(value))
        assert_true(significant_digits(text) <= digits_needed(value));
    size = leat_double_print_java(value, text);
    assert_true(size < LEAT_NUMBER_TEXT);
    assert_true(bits_of(strtod(text, NULL)) == bits_of(value));
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        double value = double_of(random_next());
        if (isfinite(value))
            check_round_trip(value);
        check_round_trip(double_of(random_next() >> (12 + random_next() % 52))); // denormals
        check_round_trip((double)(int64_t)random_next());
        check_round_trip((double)(random_next() % 100000000) / 10000);
        check_round_trip((double)(random_next() % 1000000) / 100 * 1.1);
    }
    for (int exponent = -1074; exponent <= 1023; exponent++) {
        double power = ldexp(1, exponent);
        check_round_trip(power);
        check_round_trip(nextafter(power, 0) ? nextafter(power, 0) : power);
        check_round_trip(nextafter(power, INFINITY));
    }
}

static void test_round_trip_floats(void **state)
{
    (void)state;
    char text[LEAT_NUMBER_TEXT], needed[64];
    for (int i = 0; i < 4 * ROUNDS; i++) {
        float value = float_of((uint32_t)random_next() >> (i % 4 == 0 ? 9 : 0));
        if (!isfinite(value))
            continue;
        leat_float_print(value, text);
        assert_true(strtof(text, NULL) == value && strlen(text) < LEAT_NUMBER_TEXT);
        int precision = 1;
        do
            snprintf(needed, sizeof needed, "%.*e", precision - 1, (double)value);
        while (strtof(needed, NULL) != value && ++precision < 9);
        if (fabsf(value) >= 16777216 || value != truncf(value))
            assert_true(significant_digits(text) <= (size_t)precision);
        leat_float_print_java(value, text);
        assert_true(strtof(text, NULL) == value);
    }
}

static void test_print_integers(void **state)
{
    (void)state;
    char text[LEAT_NUMBER_TEXT], expected[LEAT_NUMBER_TEXT];
    static const int64_t edges[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 1000; i++) {
        int64_t value = i < 8 ? edges[i] : (int64_t)random_next() >> random_next() % 60;
        snprintf(expected, sizeof expected, "%lld", (long long)value);
        assert_int_equal(leat_integer_print(value, text), strlen(expected));
        assert_string_equal(text, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_against_strtod), cmocka_unit_test(test_parse_long_texts),
        cmocka_unit_test(test_json_numbers),         cmocka_unit_test(test_end_is_respected),
        cmocka_unit_test(test_whole_texts),          cmocka_unit_test(test_print_shapes),
        cmocka_unit_test(test_print_floats),         cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_round_trip_floats),    cmocka_unit_test(test_print_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
