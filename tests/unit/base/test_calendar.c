#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "operators/base/calendar.h"

enum { MS_PER_DAY = 86400000 };

static int64_t days_by_timegm(int year, int month, int day)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return (int64_t)timegm(&tm) / 86400;
}

static void test_days_against_timegm(void **state)
{
    (void)state;
    for (int year = -1030; year <= 4970; year++) // 3000 years to both sides of the epoch
        for (unsigned month = 1; month <= 12; month++) {
            unsigned last = leat_days_in_month(year, month);
            int64_t first_day = leat_days_from_civil(year, month, 1);
            assert_true(first_day == days_by_timegm(year, (int)month, 1));
            assert_true(first_day + last == days_by_timegm(year, (int)month + 1, 1));
            assert_true(leat_days_from_civil(year, month, last) == first_day + last - 1);
        }
}

static void test_civil_round_trip(void **state)
{
    (void)state;
    int64_t begin = leat_days_from_civil(1, 1, 1), end = leat_days_from_civil(9999, 12, 31);
    int64_t steps[] = {0, 1, 86399999};
    for (int64_t day = begin; day <= end; day++) {
        leat_civil civil;
        int64_t ms = day * MS_PER_DAY + steps[(day - begin) % 3];
        leat_civil_from_ms(ms, &civil);
        assert_true(leat_civil_to_ms(&civil) == ms);
        if (day % 97 == 0) {
            time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
            struct tm tm;
            gmtime_r(&seconds, &tm);
            assert_int_equal(civil.year, tm.tm_year + 1900);
            assert_int_equal(civil.month, tm.tm_mon + 1);
            assert_int_equal(civil.day, tm.tm_mday);
            assert_int_equal(civil.hour, tm.tm_hour);
            assert_int_equal(civil.second, tm.tm_sec);
        }
    }
    leat_civil civil;
    leat_civil_from_ms(-1, &civil);
    assert_int_equal(civil.year, 1969);
    assert_int_equal(civil.millisecond, 999);
    leat_civil_from_ms(INT64_MIN, &civil); // no year of the calendar, but no overflow either
    leat_civil_from_ms(INT64_MAX, &civil);
}

static void test_leap_years(void **state)
{
    (void)state;
    assert_int_equal(leat_days_in_month(1900, 2), 28);
    assert_int_equal(leat_days_in_month(2000, 2), 29);
    assert_int_equal(leat_days_in_month(2023, 2), 28);
    assert_int_equal(leat_days_in_month(2024, 2), 29);
}

static void check_timestamp(const char *text, const char *expected, bool expected_zone)
{
    int64_t ms;
    bool has_zone = !expected_zone;
    char printed[LEAT_TIMESTAMP_TEXT];
    if (!leat_timestamp_parse(leat_slice_text(text), &ms, &has_zone))
        fail_msg("'%s' refused", text);
    assert_int_equal(leat_timestamp_print(ms, ' ', printed), strlen(expected));
    assert_string_equal(printed, expected);
    assert_int_equal(has_zone, expected_zone);
    assert_int_equal(leat_timestamp_parse(leat_slice_text(text), &ms, NULL), !expected_zone);
}

static void test_timestamps(void **state)
{
    (void)state;
    check_timestamp("2020-10-10 00:00:01", "2020-10-10 00:00:01.000", false);
    check_timestamp("2020-10-10T00:00", "2020-10-10 00:00:00.000", false);
    check_timestamp("2020-10-10 23:59:59.9", "2020-10-10 23:59:59.900", false);
    check_timestamp("2020-10-10 23:59:59.123456789", "2020-10-10 23:59:59.123", false);
    check_timestamp("2020-10-10T00:00:01Z", "2020-10-10 00:00:01.000", true);
    check_timestamp("2020-10-10T00:00:01.5+02:00", "2020-10-09 22:00:01.500", true);
    check_timestamp("2020-12-31T23:00-0130", "2021-01-01 00:30:00.000", true);
    check_timestamp("2020-10-10T00:00+02", "2020-10-09 22:00:00.000", true);
    check_timestamp("0001-01-01 00:00:00", "0001-01-01 00:00:00.000", false);
    check_timestamp("9999-12-31 23:59:59.999", "9999-12-31 23:59:59.999", false);
    check_timestamp("1969-12-31 23:59:59.999", "1969-12-31 23:59:59.999", false);
    check_timestamp("2024-02-29 12:00", "2024-02-29 12:00:00.000", false);
}

static void test_refused_timestamps(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2020",
        "2020-10-10",
        "2020-10-10 ",
        "2020-10-10 0",
        "2020-10-10 00",
        "2020-10-10 00:0",
        "2020-10-10 00:00:",
        "2020-10-10 00:00:1",
        "2020-10-10 00:00:01.",
        "2020-10-10 00:00:01,5",
        "2020-10-10 24:00",
        "2020-10-10 00:60",
        "2020-10-10 00:00:60",
        "2020-02-30 00:00",
        "2023-02-29 00:00",
        "2020-13-01 00:00",
        "2020-00-01 00:00",
        "2020-01-00 00:00",
        "0000-01-01 00:00",
        "20200-01-01 00:00",
        "2020-1-01 00:00",
        "2020/01/01 00:00",
        "2020-01-01x00:00",
        "2020-01-01 00:00 ",
        " 2020-01-01 00:00",
        "2020-01-01 00:00z",
        "2020-01-01 00:00+",
        "2020-01-01 00:00+2",
        "2020-01-01 00:00+02:",
        "2020-01-01 00:00+02:0",
        "2020-01-01 00:00+02:60",
        "2020-01-01 00:00+19:00",
        "2020-01-01 00:00+18:01",
        "2020-01-01 00:00ZZ",
        "-020-01-01 00:00",
    };
    int64_t ms = 7;
    bool has_zone;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (leat_timestamp_parse(leat_slice_text(texts[i]), &ms, &has_zone))
            fail_msg("'%s' accepted", texts[i]);
    assert_int_equal(ms, 7);
}

static void test_every_month_end(void **state)
{
    (void)state;
    char text[LEAT_TIMESTAMP_TEXT], printed[LEAT_TIMESTAMP_TEXT];
    for (int year = 1; year <= 9999; year += year < 1800 || year > 2200 ? 37 : 1)
        for (unsigned month = 1; month <= 12; month++) {
            int64_t days;
            unsigned last = leat_days_in_month(year, month);
            snprintf(text, sizeof text, "%04d-%02u-%02u", year, month, last);
            assert_true(leat_date_parse(leat_slice_text(text), &days));
            leat_date_print(days, printed);
            assert_string_equal(printed, text);
            snprintf(text, sizeof text, "%04d-%02u-%02u", year, month, last + 1);
            assert_false(leat_date_parse(leat_slice_text(text), &days));
        }
}

static void test_times(void **state)
{
    (void)state;
    int64_t ms;
    char text[LEAT_TIMESTAMP_TEXT];
    assert_true(leat_time_parse(leat_slice_text("23:59:59.999"), &ms) && ms == MS_PER_DAY - 1);
    assert_true(leat_time_parse(leat_slice_text("01:02"), &ms) && ms == 3720000);
    assert_false(leat_time_parse(leat_slice_text("01:02Z"), &ms));
    assert_false(leat_time_parse(leat_slice_text("1:02"), &ms));
    leat_time_print(3723004, text);
    assert_string_equal(text, "01:02:03.004");
    leat_time_print(-1, text);
    assert_string_equal(text, "23:59:59.999");
}

static void test_print_of_absurd_values_stays_in_bounds(void **state)
{
    (void)state;
    char *text = test_malloc(LEAT_TIMESTAMP_TEXT); // cmocka guards both ends
    size_t size;
    static const int64_t values[] = {INT64_MIN, INT64_MIN + 1, INT64_MAX, -62135596800001, 253402300800000};
    for (size_t i = 0; i < 5; i++) {
        size = leat_timestamp_print(values[i], 'T', text);
        assert_int_equal(size, strlen(text));
        size = leat_date_print(values[i], text);
        assert_int_equal(size, strlen(text));
        size = leat_time_print(values[i], text);
        assert_int_equal(size, strlen(text));
        size = leat_duration_print(values[i], text);
        assert_int_equal(size, strlen(text));
    }
    leat_timestamp_print(253402300800000, 'T', text);
    assert_string_equal(text, "10000-01-01T00:00:00.000");
    test_free(text);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"500ms", 500},     {"2s", 2000},
        {"1m", 60000},      {"1h", 3600000},
        {"1d", MS_PER_DAY}, {"1h30m", 5400000},
        {"0s", 0},          {"1d2h3m4s5ms", 93784005},
        {"90m", 5400000},   {"9223372036854775807ms", INT64_MAX},
    };
    int64_t ms;
    char text[LEAT_TIMESTAMP_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(leat_duration_parse(leat_slice_text(cases[i].text), &ms));
        assert_true(ms == cases[i].ms);
        leat_duration_print(ms, text);
        assert_true(leat_duration_parse(leat_slice_text(text), &ms) && ms == cases[i].ms);
    }
    leat_duration_print(5400000, text);
    assert_string_equal(text, "1h30m");
    leat_duration_print(0, text);
    assert_string_equal(text, "0s");
    leat_duration_print(-1500, text);
    assert_string_equal(text, "-1s500ms");
    static const char *const refused[] = {"",
                                          "5",
                                          "-1s",
                                          "+1s",
                                          "1.5s",
                                          "s",
                                          "1x",
                                          "1S",
                                          "1 s",
                                          "1s ",
                                          "1h30",
                                          "1h 30m",
                                          "9223372036854775808ms",
                                          "9223372036854775807s",
                                          "99999999999999999999ms",
                                          "106751991168d",
                                          "9223372036854775807ms1ms"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (leat_duration_parse(leat_slice_text(refused[i]), &ms))
            fail_msg("'%s' accepted", refused[i]);
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"512", 512},
        {"0", 0},
        {"10kB", 10000},
        {"64MiB", 64ull << 20},
        {"64 MiB", 64ull << 20},
        {"1GiB", 1ull << 30},
        {"3TB", 3000000000000},
        {"7B", 7},
        {"1mib", 1 << 20},
        {"18446744073709551615", UINT64_MAX},
    };
    uint64_t bytes;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!leat_size_parse(leat_slice_text(cases[i].text), &bytes) || bytes != cases[i].bytes)
            fail_msg("'%s'", cases[i].text);
    static const char *const refused[] = {"",
                                          "MiB",
                                          "-1",
                                          "1.5MiB",
                                          "1 ",
                                          "1  MiB",
                                          "1XB",
                                          "64MiBx",
                                          "1Ki",
                                          "18446744073709551616",
                                          "18446744073709551615kB",
                                          "16777216TiB"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (leat_size_parse(leat_slice_text(refused[i]), &bytes))
            fail_msg("'%s' accepted", refused[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_days_against_timegm),
        cmocka_unit_test(test_civil_round_trip),
        cmocka_unit_test(test_leap_years),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_refused_timestamps),
        cmocka_unit_test(test_every_month_end),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_print_of_absurd_values_stays_in_bounds),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
