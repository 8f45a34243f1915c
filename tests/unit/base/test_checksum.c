#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "operators/base/checksum.h"
#include "operators/base/hash.h"

typedef uint32_t crc(uint32_t, const void *, size_t);

static uint64_t random_state = 88172645463325252ull;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static void check_vectors(crc *function)
{
    uint8_t bytes[32];
    memset(bytes, 0, 32);
    assert_int_equal(function(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xFF, 32);
    assert_int_equal(function(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(function(0, bytes, 32), 0x46dd794e);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = (uint8_t)(31 - i);
    assert_int_equal(function(0, bytes, 32), 0x113fdb5c);
    assert_int_equal(function(0, "123456789", 9), 0xe3069283);
    assert_int_equal(function(0, "", 0), 0);
    assert_int_equal(function(0, NULL, 0), 0);
}

static void test_vectors_of_rfc_3720(void **state)
{
    (void)state;
    check_vectors(leat_crc32c);
    check_vectors(leat_crc32c_software);
}

static void test_hardware_equals_software(void **state)
{
    (void)state;
    uint8_t bytes[600];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_next();
    for (size_t begin = 0; begin < 9; begin++)
        for (size_t size = 0; size < 580; size++)
            assert_int_equal(leat_crc32c((uint32_t)size, bytes + begin, size),
                             leat_crc32c_software((uint32_t)size, bytes + begin, size));
}

static void test_parts_give_the_whole(void **state)
{
    (void)state;
    uint8_t bytes[100];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)random_next();
    uint32_t whole = leat_crc32c(0, bytes, 100);
    for (size_t cut = 0; cut <= 100; cut++)
        assert_int_equal(leat_crc32c(leat_crc32c(0, bytes, cut), bytes + cut, 100 - cut), whole);
}

static void test_each_flipped_bit_is_seen(void **state)
{
    (void)state;
    uint8_t bytes[64] = {0};
    uint32_t intact = leat_crc32c(0, bytes, 64);
    for (unsigned bit = 0; bit < 512; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(leat_crc32c(0, bytes, 64), intact);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

// Values from xxHash's own sanity checks: key groups and result ids in stored state hang on them.
static void test_hash_is_xxh3(void **state)
{
    (void)state;
    assert_true(leat_hash("", 0) == 0x2D06800538D394C2ull);
    assert_true(leat_hash(NULL, 0) == 0x2D06800538D394C2ull);
    assert_true(leat_hash_seeded("abc", 3, 0) == leat_hash("abc", 3));
    assert_true(leat_hash("abc", 3) == 0x78AF5F94892F3950ull);
    assert_true(leat_hash_seeded("abc", 3, 1) != leat_hash("abc", 3));
    assert_true(leat_hash_combine(1, 2) != leat_hash_combine(2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_rfc_3720),  cmocka_unit_test(test_hardware_equals_software),
        cmocka_unit_test(test_parts_give_the_whole), cmocka_unit_test(test_each_flipped_bit_is_seen),
        cmocka_unit_test(test_hash_is_xxh3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
