// Times at which something is due.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "operators/state/due_times.h"
#include "tests/support/env_test.h"

enum { SPAN = 500, STEPS = 20000 };

// Against a set of marks: mostly in order, some far out of it, many twice.
static void test_takes_what_is_due(void **state)
{
    (void)state;
    static bool set[STEPS + SPAN + 1];
    env_test *env = env_test_create();
    leat_budget budget;
    leat_due_times times;
    uint64_t random = 7;
    leat_budget_init(&budget, env_test_env(env), 0);
    leat_due_times_init(&times, &budget);
    for (int64_t now = 0; now < STEPS; now++) {
        for (unsigned i = 0; i < 3; i++) {
            random = leat_hash_mix(random + 1);
            int64_t due = now + 1 + (int64_t)(random % 10 ? random % 7 : random % SPAN);
            if (random % 4)
                continue;
            set[due] = true;
            assert_true(leat_due_times_add(&times, due));
            assert_true(leat_due_times_add(&times, due));
        }
        bool expected = set[now];
        assert_int_equal(leat_due_times_take(&times, now), expected);
        assert_false(leat_due_times_take(&times, now));
    }
    assert_true(leat_due_times_memory(&times) < 64 * 1024);
    leat_due_times_fini(&times);
    assert_int_equal(budget.used, 0);
    env_test_destroy(env);
}

static void test_around_zero(void **state)
{
    (void)state;
    env_test *env = env_test_create();
    leat_budget budget;
    leat_due_times times;
    leat_budget_init(&budget, env_test_env(env), 0);
    leat_due_times_init(&times, &budget);
    assert_true(leat_due_times_add(&times, 5));
    assert_true(leat_due_times_add(&times, 0));
    assert_true(leat_due_times_add(&times, -5));
    assert_false(leat_due_times_take(&times, -6));
    assert_true(leat_due_times_take(&times, -5));
    assert_true(leat_due_times_take(&times, 0));
    assert_false(leat_due_times_take(&times, 4));
    assert_true(leat_due_times_take(&times, LEAT_TIME_MAX));
    assert_false(leat_due_times_take(&times, LEAT_TIME_MAX));
    leat_due_times_fini(&times);
    env_test_destroy(env);
}

static void test_budget_refuses(void **state)
{
    (void)state;
    env_test *env = env_test_create();
    leat_budget budget;
    leat_due_times times;
    leat_budget_init(&budget, env_test_env(env), 600);
    leat_due_times_init(&times, &budget);
    int64_t due = 0;
    while (leat_due_times_add(&times, due))
        due++;
    assert_int_equal(due, 64);
    assert_true(leat_due_times_take(&times, LEAT_TIME_MAX));
    leat_due_times_fini(&times);
    assert_int_equal(budget.used, 0);
    env_test_destroy(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_is_due),
        cmocka_unit_test(test_around_zero),
        cmocka_unit_test(test_budget_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
