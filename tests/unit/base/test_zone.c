#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/calendar.h"

static leat_arena arena;

static int setup(void **state)
{
    (void)state;
    leat_arena_init(&arena, leat_env_posix(0), 65536);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    leat_arena_fini(&arena);
    return 0;
}

static leat_zone *zone_of(const char *name)
{
    leat_zone *zone = NULL;
    leat_error error = {0};
    if (leat_zone_open(leat_env_posix(0), &arena, name, &zone, &error) != LEAT_OK)
        fail_msg("%s: %s", error.place, error.message);
    return zone;
}

static int64_t at(const char *text)
{
    int64_t ms;
    bool has_zone;
    if (!leat_timestamp_parse(leat_slice_text(text), &ms, &has_zone))
        fail_msg("'%s'", text);
    return ms;
}

static void check_local(const leat_zone *zone, const char *local, const char *instant)
{
    char text[LEAT_TIMESTAMP_TEXT], expected[LEAT_TIMESTAMP_TEXT];
    leat_timestamp_print(leat_zone_from_local_ms(zone, at(local)), 'T', text);
    leat_timestamp_print(at(instant), 'T', expected);
    assert_string_equal(text, expected);
}

static void test_utc(void **state)
{
    (void)state;
    leat_zone *utc = zone_of("UTC");
    assert_int_equal(leat_zone_offset_ms(utc, at("2024-07-01 00:00")), 0);
    assert_int_equal(leat_zone_offset_ms(NULL, 5), 0);
    assert_int_equal(leat_zone_from_local_ms(NULL, 5), 5);
    assert_int_equal(leat_zone_from_local_ms(utc, 5), 5);
    assert_true(leat_zone_from_local_ms(utc, INT64_MAX) == INT64_MAX);
    assert_true(leat_zone_from_local_ms(utc, INT64_MIN) == INT64_MIN);
}

static void test_berlin_gap_and_overlap(void **state)
{
    (void)state;
    leat_zone *zone = zone_of("Europe/Berlin");
    check_local(zone, "2024-03-31 01:59:59.999", "2024-03-31T00:59:59.999Z");
    check_local(zone, "2024-03-31 02:00", "2024-03-31T01:00Z"); // is 03:00 in Berlin
    check_local(zone, "2024-03-31 02:30", "2024-03-31T01:30Z"); // is 03:30
    check_local(zone, "2024-03-31 03:00", "2024-03-31T01:00Z");
    check_local(zone, "2024-10-27 01:59:59.999", "2024-10-26T23:59:59.999Z");
    check_local(zone, "2024-10-27 02:30", "2024-10-27T00:30Z"); // the first of the two
    check_local(zone, "2024-10-27 03:00", "2024-10-27T02:00Z");
    assert_int_equal(leat_zone_to_local_ms(zone, at("2024-03-31T01:30Z")), at("2024-03-31 03:30"));
    assert_int_equal(leat_zone_offset_ms(zone, at("2024-03-31T00:59:59.999Z")), 3600000);
    assert_int_equal(leat_zone_offset_ms(zone, at("2024-03-31T01:00Z")), 7200000);
    // Before 1893 Berlin kept its own sun's time.
    assert_int_equal(leat_zone_offset_ms(zone, at("1850-01-01 00:00")), (53 * 60 + 28) * 1000);
}

static void test_new_york_by_footer(void **state)
{
    (void)state;
    leat_zone *zone = zone_of("America/New_York");
    assert_int_equal(leat_zone_offset_ms(zone, at("2050-03-13T06:59:59Z")), -5 * 3600000);
    assert_int_equal(leat_zone_offset_ms(zone, at("2050-03-13T07:00:00Z")), -4 * 3600000);
    assert_int_equal(leat_zone_offset_ms(zone, at("2050-11-06T05:59:59Z")), -4 * 3600000);
    assert_int_equal(leat_zone_offset_ms(zone, at("2050-11-06T06:00:00Z")), -5 * 3600000);
    // Past the unrolled years.
    assert_int_equal(leat_zone_offset_ms(zone, at("2450-03-13T06:59:59Z")), -5 * 3600000);
    assert_int_equal(leat_zone_offset_ms(zone, at("2450-03-13T07:00:00Z")), -4 * 3600000);
    check_local(zone, "2450-11-06 01:30", "2450-11-06T05:30Z");
}

static void test_skipped_day_of_samoa(void **state)
{
    (void)state;
    leat_zone *zone = zone_of("Pacific/Apia");
    check_local(zone, "2011-12-30 12:00", "2011-12-30T22:00Z"); // is noon of the 31st
    check_local(zone, "2011-12-31 00:00", "2011-12-30T10:00Z");
}

// Every hour or so over the years, against the libc's own reader of the same files.
static void test_against_libc(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Europe/Berlin",     "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Europe/Dublin",
        "Africa/Casablanca", "Asia/Kolkata",     "Asia/Kathmandu",   "Pacific/Apia",        "America/Sao_Paulo",
        "Asia/Gaza",         "America/Nuuk",     "Africa/Cairo",     "America/Santiago",    "Pacific/Kiritimati",
        "Etc/GMT+12",        "Antarctica/Troll", "Asia/Tehran",      "Europe/London",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        leat_zone *zone = zone_of(names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        int64_t last = at("2150-01-01 00:00") / 1000;
        for (int64_t s = at("1890-01-01 00:00") / 1000; s < last; s += 19997) {
            time_t seconds = (time_t)s;
            struct tm tm;
            localtime_r(&seconds, &tm);
            if (leat_zone_offset_ms(zone, s * 1000) != (int64_t)tm.tm_gmtoff * 1000)
                fail_msg("%s at %lld: %lld instead of %ld", names[i], (long long)s,
                         (long long)leat_zone_offset_ms(zone, s * 1000) / 1000, tm.tm_gmtoff);
            int64_t local = leat_zone_to_local_ms(zone, s * 1000), back = leat_zone_from_local_ms(zone, local);
            assert_true(leat_zone_to_local_ms(zone, back) == local && back <= s * 1000);
        }
    }
    unsetenv("TZ");
    tzset();
}

// An env whose only file is the bytes of the test.
typedef struct file_env {
    leat_env env;
    leat_env_ops ops;
    uint8_t bytes[4096];
    size_t size;
} file_env;

static file_env fake;

static leat_code fake_open(leat_env *env, const char *path, leat_open_mode mode, leat_file **out_file,
                           leat_error *error)
{
    (void)path, (void)mode, (void)error;
    *out_file = (leat_file *)(void *)env;
    return LEAT_OK;
}

static void fake_close(leat_env *env, leat_file *file) { (void)env, (void)file; }

static leat_code fake_pread(leat_file *file, void *bytes, size_t size, uint64_t offset, size_t *out_read,
                            leat_error *error)
{
    (void)file, (void)error;
    size_t left = fake.size - (size_t)offset;
    *out_read = size < left ? size : left;
    memcpy(bytes, fake.bytes + offset, *out_read);
    return LEAT_OK;
}

static leat_code fake_stat(leat_file *file, leat_file_stat *out_stat, leat_error *error)
{
    (void)file, (void)error;
    *out_stat = (leat_file_stat){.size = fake.size};
    return LEAT_OK;
}

static void put(const void *bytes, size_t size)
{
    memcpy(fake.bytes + fake.size, bytes, size);
    fake.size += size;
}

static void put_header(uint8_t type_count)
{
    uint8_t header[44] = "TZif2";
    header[39] = type_count; // typecnt
    header[43] = 4;          // charcnt
    put(header, sizeof header);
}

static leat_code open_footer(const char *footer, leat_zone **zone)
{
    fake.ops = *leat_env_posix(0)->ops;
    fake.ops.open = fake_open;
    fake.ops.close = fake_close;
    fake.ops.pread = fake_pread;
    fake.ops.file_stat = fake_stat;
    fake.env.ops = &fake.ops;
    fake.size = 0;
    for (int block = 0; block < 2; block++) {
        put_header(1);
        put("\0\0\0\0\0\0XST", 10);
    }
    put("\n", 1);
    put(footer, strlen(footer));
    put("\n", 1);
    leat_error error;
    return leat_zone_open(&fake.env, &arena, "Test/Zone", zone, &error);
}

static int64_t footer_offset(const char *footer, const char *instant)
{
    leat_zone *zone;
    if (open_footer(footer, &zone) != LEAT_OK)
        fail_msg("footer '%s' refused", footer);
    return leat_zone_offset_ms(zone, at(instant)) / 1000;
}

static void test_footers(void **state)
{
    (void)state;
    assert_int_equal(footer_offset("", "2024-01-01 00:00"), 0);
    assert_int_equal(footer_offset("XST5", "2024-01-01 00:00"), -5 * 3600);
    assert_int_equal(footer_offset("<+0545>-5:45", "2024-01-01 00:00"), 5 * 3600 + 45 * 60);
    assert_int_equal(footer_offset("XST-1:02:03", "2024-01-01 00:00"), 3723);
    assert_int_equal(footer_offset("EST5EDT", "2024-07-01 00:00"), -4 * 3600); // dates of POSIX's silence
    assert_int_equal(footer_offset("EST5EDT", "2024-01-01 00:00"), -5 * 3600);
    // Julian days skip 29 February, plain days do not.
    assert_int_equal(footer_offset("AAA0BBB,J60/0,J300", "2024-02-29T23:59:59Z"), 0);
    assert_int_equal(footer_offset("AAA0BBB,J60/0,J300", "2024-03-01T00:00Z"), 3600);
    assert_int_equal(footer_offset("AAA0BBB,59/0,J300", "2024-02-29T00:00Z"), 3600);
    assert_int_equal(footer_offset("AAA0BBB,59/0,J300", "2023-03-01T00:00Z"), 3600);
    assert_int_equal(footer_offset("AAA0BBB,59/0,J300", "2023-02-28T23:59:59Z"), 0);
    // Southern summer runs over the new year; times of day may be below 0 or beyond 24 h.
    assert_int_equal(footer_offset("AAA0BBB,M10.1.0,M4.1.0/3", "2024-01-01T00:00Z"), 3600);
    assert_int_equal(footer_offset("AAA0BBB,M10.1.0,M4.1.0/3", "2024-06-01T00:00Z"), 0);
    assert_int_equal(footer_offset("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T00:59:59Z"), -2 * 3600);
    assert_int_equal(footer_offset("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00Z"), -3600);
    assert_int_equal(footer_offset("AAA0BBB,M3.4.4/50,M10.4.4/50", "2024-03-30T01:59:59Z"), 0);
    assert_int_equal(footer_offset("AAA0BBB,M3.4.4/50,M10.4.4/50", "2024-03-30T02:00:00Z"), 3600);
    // Summer all year, in the unrolled years, at their seams and beyond.
    static const char *const instants[] = {"2024-01-01T04:59:59Z", "2024-01-01T05:00Z", "2024-07-01 00:00",
                                           "2300-01-01T04:59:59Z", "2300-01-01T05:00Z", "2300-07-01 00:00"};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(footer_offset("XXX5EDT4,0/0,J365/25", instants[i]), -4 * 3600);
}

static void test_bad_footers(void **state)
{
    (void)state;
    static const char *const footers[] = {"X5",
                                          "XST",
                                          "XST25",
                                          "<XST5",
                                          "XST5EDT,M3.2.0",
                                          "XST5EDT,M13.1.0,M11.1.0",
                                          "XST5EDT,M0.1.0,M11.1.0",
                                          "XST5EDT,M3.6.0,M11.1.0",
                                          "XST5EDT,M3.2.7,M11.1.0",
                                          "XST5EDT,M3.2,M11.1.0",
                                          "XST5EDT,M3",
                                          "XST5EDT,J0,J300",
                                          "XST5EDT,J366,J300",
                                          "XST5EDT,366,300",
                                          "XST5EDT,M3.2.0/168,M11.1.0",
                                          "XST5EDT,M3.2.0,M11.1.0x",
                                          "XST5:60",
                                          "XST99999999999999"};
    leat_zone *zone;
    for (size_t i = 0; i < sizeof footers / sizeof *footers; i++)
        if (open_footer(footers[i], &zone) != LEAT_E_CORRUPT)
            fail_msg("'%s' accepted", footers[i]);
}

// Cut anywhere, and every byte set to every third value: refused or read, never past the end.
static void test_damaged_files(void **state)
{
    (void)state;
    char *original;
    size_t size;
    leat_error error;
    leat_zone *zone;
    assert_int_equal(leat_env_read_file(leat_env_posix(0), "/usr/share/zoneinfo/Europe/Berlin", &arena, 4096, &original,
                                        &size, &error),
                     LEAT_OK);
    assert_int_equal(open_footer("XST5", &zone), LEAT_OK);
    leat_arena scratch;
    leat_arena_init(&scratch, leat_env_posix(0), 65536);
    for (size_t cut = 0; cut < size; cut++) {
        memcpy(fake.bytes, original, size);
        fake.size = cut;
        assert_int_equal(leat_zone_open(&fake.env, &scratch, "Test/Zone", &zone, &error), LEAT_E_CORRUPT);
        leat_arena_reset(&scratch);
    }
    for (size_t place = 0; place < size; place++)
        for (unsigned value = 0; value < 256; value += 51) {
            memcpy(fake.bytes, original, size);
            fake.bytes[place] = (uint8_t)value;
            fake.size = size;
            if (leat_zone_open(&fake.env, &scratch, "Test/Zone", &zone, &error) == LEAT_OK)
                leat_zone_from_local_ms(zone, at("2024-03-31 02:30"));
            leat_arena_reset(&scratch);
        }
    leat_arena_fini(&scratch);
}

static void test_unknown_names(void **state)
{
    (void)state;
    leat_zone *zone = NULL;
    leat_error error;
    leat_env *env = leat_env_posix(0);
    assert_int_equal(leat_zone_open(env, &arena, "Europe/Berln", &zone, &error), LEAT_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "Europe/Berln"));
    static const char *const names[] = {"", "/etc/passwd", "../../../etc/passwd", "Europe//Berlin", "Europe/", "a b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(leat_zone_open(env, &arena, names[i], &zone, &error), LEAT_E_INVALID);
    assert_int_equal(leat_zone_open(env, &arena, "Europe", &zone, &error), LEAT_E_INVALID); // a directory
    assert_null(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utc),
        cmocka_unit_test(test_berlin_gap_and_overlap),
        cmocka_unit_test(test_new_york_by_footer),
        cmocka_unit_test(test_skipped_day_of_samoa),
        cmocka_unit_test(test_against_libc),
        cmocka_unit_test(test_footers),
        cmocka_unit_test(test_bad_footers),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_unknown_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
