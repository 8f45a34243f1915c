#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/bytes.h"

static void test_slices(void **state)
{
    (void)state;
    leat_slice empty = leat_slice_text(NULL);
    assert_int_equal(empty.size, 0);
    assert_true(leat_slice_equal(empty, leat_slice_of(NULL, 0)));
    assert_true(leat_slice_is(leat_slice_of("abcd", 3), "abc"));
    assert_false(leat_slice_is(leat_slice_of("abcd", 4), "abc"));
    assert_true(leat_slice_is_nocase(leat_slice_text("SeLeCt"), "select"));
    assert_false(leat_slice_is_nocase(leat_slice_text("[{"), "{["));
    assert_false(leat_slice_is_nocase(leat_slice_text("@"), "`")); // differ by the bit of the case, but are no letters
    assert_true(leat_slice_compare(leat_slice_text("a"), leat_slice_text("ab")) < 0);
    assert_true(leat_slice_compare(leat_slice_text("b"), leat_slice_text("ab")) > 0);
    assert_true(leat_slice_compare(leat_slice_text("\xC3\xA4"), leat_slice_text("z")) > 0);
    assert_int_equal(leat_slice_compare(empty, leat_slice_of(NULL, 0)), 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, 1ull << 63, UINT64_MAX};
    enum { COUNT = sizeof values / sizeof *values };
    leat_writer writer;
    leat_writer_init(&writer, leat_env_posix(0), 100000);
    for (size_t i = 0; i < COUNT; i++) {
        leat_write_u8(&writer, (uint8_t)values[i]);
        leat_write_u16(&writer, (uint16_t)values[i]);
        leat_write_u32(&writer, (uint32_t)values[i]);
        leat_write_u64(&writer, values[i]);
        leat_write_u64be(&writer, values[i]);
        leat_write_varint(&writer, values[i]);
        leat_write_varint_signed(&writer, (int64_t)values[i]);
        leat_write_sized(&writer, &values[i], i % 9);
    }
    leat_write_f64(&writer, -0.0);
    assert_false(writer.failed);
    leat_reader reader;
    leat_reader_init(&reader, writer.bytes, writer.size);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(leat_read_u8(&reader), (uint8_t)values[i]);
        assert_int_equal(leat_read_u16(&reader), (uint16_t)values[i]);
        assert_int_equal(leat_read_u32(&reader), (uint32_t)values[i]);
        assert_true(leat_read_u64(&reader) == values[i]);
        assert_true(leat_read_u64be(&reader) == values[i]);
        assert_true(leat_read_varint(&reader) == values[i]);
        assert_true(leat_read_varint_signed(&reader) == (int64_t)values[i]);
        assert_true(leat_slice_equal(leat_read_sized(&reader), leat_slice_of((const char *)&values[i], i % 9)));
    }
    assert_true(signbit(leat_read_f64(&reader)));
    assert_false(reader.failed);
    assert_int_equal(leat_reader_left(&reader), 0);
    leat_writer_fini(&writer);
}

static void test_byte_order(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
    leat_reader reader;
    leat_reader_init(&reader, bytes, 8);
    assert_true(leat_read_u64(&reader) == 0x0807060504030201ull);
    leat_reader_init(&reader, bytes, 8);
    assert_true(leat_read_u64be(&reader) == 0x0102030405060708ull);
    leat_reader_init(&reader, bytes, 8);
    assert_int_equal(leat_read_u16be(&reader), 0x0102);
    assert_int_equal(leat_read_u32be(&reader), 0x03040506);
}

static void test_reader_stays_failed(void **state)
{
    (void)state;
    leat_reader reader;
    leat_reader_init(&reader, "abc", 3);
    assert_int_equal(leat_read_u32(&reader), 0);
    assert_true(reader.failed);
    assert_int_equal(leat_read_u8(&reader), 0); // would fit, but the position is not to be trusted
    assert_int_equal(leat_read_bytes(&reader, 1).size, 0);
    assert_int_equal(leat_read_bytes(&reader, 0).size, 0);
    assert_int_equal(leat_reader_left(&reader), 0);
    leat_reader_init(&reader, NULL, 0);
    assert_int_equal(leat_read_bytes(&reader, 0).size, 0);
    assert_false(reader.failed);
    leat_read_bytes(&reader, SIZE_MAX);
    assert_true(reader.failed);
}

static bool varint_fails(const char *bytes, size_t size)
{
    leat_reader reader;
    leat_reader_init(&reader, bytes, size);
    return leat_read_varint(&reader) == 0 && reader.failed;
}

static void test_bad_varints(void **state)
{
    (void)state;
    assert_true(varint_fails("", 0));
    assert_true(varint_fails("\x80", 1));
    for (size_t size = 0; size < 10; size++)
        assert_true(varint_fails("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", size));
    assert_false(varint_fails("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10));
    assert_true(varint_fails("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10)); // 65 bits
    assert_true(varint_fails("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11));
}

static void test_sized_larger_than_rest(void **state)
{
    (void)state;
    leat_reader reader;
    leat_reader_init(&reader,
                     "\x04"
                     "abc",
                     4);
    assert_int_equal(leat_read_sized(&reader).size, 0);
    assert_true(reader.failed);
    leat_reader_init(&reader, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10);
    assert_int_equal(leat_read_sized(&reader).size, 0);
    assert_true(reader.failed);
}

static void test_101_bytes_into_100(void **state)
{
    (void)state;
    char bytes[101];
    memset(bytes, 'x', sizeof bytes);
    leat_writer writer;
    leat_writer_init(&writer, leat_env_posix(0), 100);
    leat_write_bytes(&writer, bytes, 101);
    assert_true(writer.failed);
    assert_int_equal(writer.size, 0);
    leat_write_u8(&writer, 1); // stays refused
    assert_int_equal(writer.size, 0);
    leat_writer_reset(&writer);
    leat_write_bytes(&writer, bytes, 100);
    assert_false(writer.failed);
    assert_int_equal(writer.size, 100);
    assert_true(writer.capacity <= 100);
    leat_write_u8(&writer, 1);
    assert_true(writer.failed);
    assert_int_equal(writer.size, 100);
    assert_null(leat_writer_reserve(&writer, SIZE_MAX));
    leat_writer_fini(&writer);
    leat_writer_fini(&writer);
}

static void test_sized_is_all_or_nothing(void **state)
{
    (void)state;
    leat_writer writer;
    leat_writer_init(&writer, leat_env_posix(0), 10);
    leat_write_sized(&writer, "0123456789", 10);
    assert_true(writer.failed);
    assert_int_equal(writer.size, 0);
    leat_writer_fini(&writer);
}

static void test_format(void **state)
{
    (void)state;
    leat_writer writer;
    leat_writer_init(&writer, leat_env_posix(0), 600);
    leat_write_text(&writer, "n=");
    leat_write_format(&writer, "%d;", 42);
    leat_write_format(&writer, "%0595d", 7); // 600 bytes in all, exactly the limit
    assert_false(writer.failed);
    assert_int_equal(writer.size, 600);
    assert_memory_equal(writer.bytes, "n=42;000", 8);
    assert_int_equal(writer.bytes[599], '7');
    leat_writer_reset(&writer);
    leat_write_format(&writer, "%0601d", 7);
    assert_true(writer.failed);
    assert_int_equal(leat_writer_slice(&writer).size, 0);
    leat_writer_fini(&writer);
}

static void test_writer_without_memory(void **state)
{
    (void)state;
    leat_env *env = leat_env_posix(0);
    size_t before = leat_env_posix_memory(env);
    leat_env_posix(before + 300);
    leat_writer writer;
    leat_writer_init(&writer, env, SIZE_MAX);
    for (int i = 0; i < 1000; i++)
        leat_write_u8(&writer, (uint8_t)i);
    assert_true(writer.failed);
    assert_in_range(writer.size, 64, 300);
    for (size_t i = 0; i < writer.size; i++) // what was written is still there
        assert_int_equal(writer.bytes[i], (uint8_t)i);
    leat_writer_fini(&writer);
    assert_int_equal(leat_env_posix_memory(env), before);
    leat_env_posix(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_byte_order),
        cmocka_unit_test(test_reader_stays_failed),
        cmocka_unit_test(test_bad_varints),
        cmocka_unit_test(test_sized_larger_than_rest),
        cmocka_unit_test(test_101_bytes_into_100),
        cmocka_unit_test(test_sized_is_all_or_nothing),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_writer_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
