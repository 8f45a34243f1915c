// The set of slots against a plain array of flags, also when the budget refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "operators/state/slot_set.h"
#include "tests/support/env_test.h"

enum { SLOTS = 5000 };

static void test_against_flags(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_budget budget;
    leat_budget_init(&budget, env_test_env(test), 0);
    leat_slot_set set = {0};
    bool in[SLOTS] = {0};
    uint32_t count = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t roll = leat_hash_mix(i + 1);
        if (roll % 5 < 3 || !set.count) {
            uint32_t slot = (uint32_t)(roll >> 8) % SLOTS;
            leat_slot_set_add(&set, &budget, slot);
            count += !in[slot];
            in[slot] = true;
        } else {
            uint32_t slot = leat_slot_set_take(&set);
            assert_true(in[slot]);
            in[slot] = false;
            count--;
        }
        assert_int_equal(set.count, count);
    }
    leat_slot_set_fini(&set, &budget);
    assert_int_equal(budget.used, 0);
    env_test_destroy(test);
}

// What does not fit is left out, and what was in stays.
static void test_refusing_budget(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_budget budget;
    leat_budget_init(&budget, env_test_env(test), 1024);
    leat_slot_set set = {0};
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        leat_slot_set_add(&set, &budget, slot);
    leat_slot_set_add(&set, &budget, 1000000);
    assert_in_range(set.count, 1, SLOTS - 1);
    for (uint32_t slot = set.count; slot-- > 0;)
        assert_int_equal(leat_slot_set_take(&set), slot);
    leat_slot_set_fini(&set, &budget);
    assert_int_equal(budget.used, 0);
    env_test_destroy(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_flags), cmocka_unit_test(test_refusing_budget)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
