#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "operators/base/error.h"

static void test_code_names(void **state)
{
    (void)state;
    for (unsigned code = 0; code < LEAT_CODE_COUNT; code++)
        assert_non_null(leat_code_name((leat_code)code));
    assert_string_equal(leat_code_name(LEAT_E_NO_SPACE), "no-space");
    assert_string_equal(leat_code_name((leat_code)1000), "unknown");
    assert_string_equal(leat_code_name((leat_code)-1), "unknown");
}

static void test_set_empties_place(void **state)
{
    (void)state;
    leat_error error = {0};
    assert_int_equal(leat_error_at(&error, LEAT_E_INVALID, "gateway.yaml:31:14", "found %d", 7), LEAT_E_INVALID);
    assert_string_equal(error.place, "gateway.yaml:31:14");
    assert_string_equal(error.message, "found 7");
    assert_int_equal(leat_error_set(&error, LEAT_E_LIMIT, "too many"), LEAT_E_LIMIT);
    assert_string_equal(error.place, "");
    assert_int_equal(error.code, LEAT_E_LIMIT);
}

static void test_null_error(void **state)
{
    (void)state;
    assert_int_equal(leat_error_set(NULL, LEAT_E_IO, "x"), LEAT_E_IO);
    assert_int_equal(leat_error_at(NULL, LEAT_E_IO, NULL, "x"), LEAT_E_IO);
    assert_int_equal(leat_error_errno(NULL, ENOSPC, "x"), LEAT_E_NO_SPACE);
    leat_error_prefix(NULL, "x");
}

static void test_prefix_and_own_message_as_argument(void **state)
{
    (void)state;
    leat_error error;
    leat_error_at(&error, LEAT_E_IO, "file", "broken");
    leat_error_prefix(&error, "source '%s'", "a");
    assert_string_equal(error.message, "source 'a': broken");
    assert_string_equal(error.place, "file");
    leat_error_at(&error, error.code, error.place, "again: %s", error.message);
    assert_string_equal(error.message, "again: source 'a': broken");
    assert_string_equal(error.place, "file");
}

static void test_cut_at_character_boundary(void **state)
{
    (void)state;
    char text[3000];
    leat_error error;
    for (size_t ascii = 0; ascii < 4; ascii++) { // shifts the two-byte letters over the cut
        memset(text, 'a', ascii);
        for (size_t i = ascii; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xC3\xA4", 3);
        leat_error_at(&error, LEAT_E_INVALID, text, "%s", text);
        size_t size = strlen(error.message);
        assert_in_range(size, LEAT_ERROR_MESSAGE_SIZE - 2, LEAT_ERROR_MESSAGE_SIZE - 1);
        assert_int_equal((size - ascii) % 2, 0);
        assert_in_range(strlen(error.place), LEAT_ERROR_PLACE_SIZE - 2, LEAT_ERROR_PLACE_SIZE - 1);
        leat_error_prefix(&error, "%s", text);
        assert_in_range(strlen(error.message), LEAT_ERROR_MESSAGE_SIZE - 2, LEAT_ERROR_MESSAGE_SIZE - 1);
        leat_error_errno(&error, EIO, "%s", text);
        assert_true(strlen(error.message) < LEAT_ERROR_MESSAGE_SIZE);
    }
}

static void test_errno_codes(void **state)
{
    (void)state;
    static const struct {
        int number;
        leat_code code;
    } cases[] = {
        {ENOSPC, LEAT_E_NO_SPACE},  {EDQUOT, LEAT_E_NO_SPACE},        {EACCES, LEAT_E_PERMISSION},
        {EROFS, LEAT_E_PERMISSION}, {ENOENT, LEAT_E_NOT_FOUND},       {EEXIST, LEAT_E_EXISTS},
        {ENODEV, LEAT_E_CLOSED},    {EPIPE, LEAT_E_CLOSED},           {ETIMEDOUT, LEAT_E_TIMEOUT},
        {ENOMEM, LEAT_E_MEMORY},    {EMFILE, LEAT_E_LIMIT},           {EIO, LEAT_E_IO},
        {EAGAIN, LEAT_AGAIN},       {EOPNOTSUPP, LEAT_E_UNSUPPORTED}, {123456, LEAT_E_IO},
    };
    leat_error error;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(leat_error_errno(&error, cases[i].number, "open"), cases[i].code);
    leat_error_errno(&error, ENOENT, "cannot open '%s'", "x");
    assert_string_equal(error.message, "cannot open 'x': No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_code_names),
        cmocka_unit_test(test_set_empties_place),
        cmocka_unit_test(test_null_error),
        cmocka_unit_test(test_prefix_and_own_message_as_argument),
        cmocka_unit_test(test_cut_at_character_boundary),
        cmocka_unit_test(test_errno_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
