#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "operators/base/suggest.h"

static leat_slice candidates[5];

static int setup(void **state)
{
    (void)state;
    static const char *const names[] = {"temperature", "humidity", "pressure", "id", "vibration_rms"};
    for (size_t i = 0; i < 5; i++)
        candidates[i] = leat_slice_text(names[i]);
    return 0;
}

static int nearest(const char *name) { return leat_suggest(leat_slice_text(name), candidates, 5); }

static void test_nearest(void **state)
{
    (void)state;
    assert_int_equal(nearest("temperatur"), 0);
    assert_int_equal(nearest("tempreature"), 0);
    assert_int_equal(nearest("TEMPERATURE"), 0);
    assert_int_equal(nearest("humdiity"), 1);
    assert_int_equal(nearest("di"), 3); // one swap, not two replacements
    assert_int_equal(nearest("vibrationrms"), 4);
    assert_int_equal(nearest("voltage"), -1);
    assert_int_equal(nearest(""), -1);
    assert_int_equal(leat_suggest(leat_slice_text("a"), NULL, 0), -1);
}

static void test_long_names(void **state)
{
    (void)state;
    char name[1000];
    memset(name, 'a', sizeof name);
    leat_slice self = leat_slice_of(name, sizeof name);
    assert_int_equal(leat_suggest(self, &self, 1), -1);
    leat_slice longest = leat_slice_of(name, 63);
    assert_int_equal(leat_suggest(longest, &longest, 1), 0);
    char text[128];
    assert_true(strlen(leat_suggest_text(longest, &longest, 1, text)) < sizeof text);
    assert_string_equal(text + strlen(text) - 4, "a'?)");
}

static void test_text(void **state)
{
    (void)state;
    char text[128];
    assert_string_equal(leat_suggest_text(leat_slice_text("temprature"), candidates, 5, text),
                        " (did you mean 'temperature'?)");
    assert_string_equal(leat_suggest_text(leat_slice_text("xyzxyz"), candidates, 5, text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
