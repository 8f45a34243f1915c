// Patterns with groups, times between rows, and rows that wait in and out of order.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/match.h"
#include "tests/unit/operators/match_fixture.h"

static void feed(harness *h, const char *key, int number, char letter, int64_t time)
{
    char row[64];
    snprintf(row, sizeof row, "%s,%d,%c,@@%lld", key, number, letter, (long long)time);
    harness_rows(h, 0, row);
}

typedef struct given {
    const char *rows, *expected;
} given;

// A letter a row, its number and time counted from 1.
static void play(harness *h, void *argument)
{
    const given *g = argument;
    for (int i = 0; g->rows[i]; i++)
        feed(h, "k", i + 1, g->rows[i], i + 1);
    harness_end_of_time(h);
    harness_expect(h, g->expected);
}

static void check(const char *pattern, int64_t within_ms, const char *rows, const char *expected)
{
    match_fixture f;
    given g = {rows, expected};
    match_begin(&f, pattern);
    f.spec.within_ms = within_ms;
    harness_run(&f.setup, play, &g);
    match_end(&f);
}

static void test_rounds(void **state)
{
    (void)state;
    check("c ~( a b ){2,2} ~d", 0, "cabxabd", "+I[k, [1;2;3;5;6;7]]@7 \n W MAX");
    check("c ~( a b ){2,2} ~d", 0, "caabxabd", "W MAX"); // relaxed: the second a is not waited for
    check("c *( a b ){2,2} ~d", 0, "caababd", "+I[k, [1;3;4;5;6;7]]@7 \n W MAX");
    check("c ( a b ){1,}s ~d", 0, "cababxabd", "+I[k, [1;2;3;4;5;9]]@9 \n +I[k, [1;2;3;9]]@9 \n W MAX");
    check("( a ~b )? ~d", 0, "axbdd", "+I[k, [1;3;4]]@4 \n +I[k, [4]]@4 \n +I[k, [5]]@5 \n W MAX");
    check("c ~( a ~b ){1,}ux ~d", 0, "cabxabd", "+I[k, [1;2;3;7]]@7 \n W MAX");
    check("c ~( a ( b x ){1,2}? ){2,2} d", 0, "cabxad", "+I[k, [1;2;3;4;5;6]]@6 \n +I[k, [1;2;5;6]]@6 \n W MAX");
    check("( a b ) -x ~d", 0, "abdabxd", "+I[k, [1;2;3]]@3 \n W MAX");
}

static void test_steps(void **state)
{
    (void)state;
    check("a ~bw3 ~c", 0, "axbxxxc", "+I[k, [1;3;7]]@7 \n W MAX");
    check("a ~bw3 ~c", 0, "axxbc", "W MAX");
    check("a ~bw3 ~c", 0, "axxxabc", "+I[k, [5;6;7]]@7 \n W MAX");
}

static bool compiles(const char *pattern, leat_error *out_error)
{
    match_fixture f;
    pattern_graph graph;
    match_begin(&f, pattern);
    bool compiled = leat_pattern_compile(&f.arena, &f.spec, &graph, out_error) == LEAT_OK;
    match_end(&f);
    return compiled;
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "a !( b )",     "a ( b ){1,}g c", "a ( b? ){1,}",        "a ( ( b? ) c? ){2,} d",
        "a ( b -c ) d", "( !a b )",       "a ( b ( c? ){1,} ) d"};
    leat_error error;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(compiles(refused[i], &error));
    assert_true(compiles("a ( b? c ){1,} d", &error));
    assert_true(compiles("a ( b? ){1,3} d", &error));
    assert_false(compiles("( ( ( a ){30,30} ){30,30} ){30,30}", &error)); // too many states, and no long wait for them
    match_fixture f;
    pattern_graph graph;
    match_begin(&f, "a ( b c ) d");
    f.stages[1].span = 4; // behind the end
    assert_int_equal(leat_pattern_compile(&f.arena, &f.spec, &graph, &error), LEAT_E_INVALID);
    match_end(&f);
}

// Rows behind later ones wait elsewhere than those in order, and come between them; a row that begins nothing counts when it stands between two.
static void disordered(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@1 | k,2,b,@@4 | j,3,x,@@5 | k,4,x,@@2 | j,5,a,@@3 | j,6,b,@@4 | k,7,a,@@6 | k,8,b,@@6");
    harness_watermark(h, 5);
    harness_rows(h, 0, "k,9,b,@@9 | j,10,a,@@7 | j,11,b,@@8 | k,12,a,@@8 | z,13,x,@@9");
    harness_end_of_time(h);
    harness_expect(h, "+I[j, [5;6]]@4 \n W 5 \n +I[k, [7;8]]@6 \n +I[k, [12;9]]@9 \n +I[j, [10;11]]@8 \n W MAX");
}

static void test_disorder(void **state)
{
    (void)state;
    match_fixture f;
    match_begin(&f, "a b");
    harness_run(&f.setup, disordered, NULL);
    match_end(&f);
}

// Events of a key after a savepoint may be earlier than those that it holds, and of their very time.
static void back_in_time(harness *h)
{
    harness_rows(h, 0, "k,1,a,@@10 | k,2,a,@@10");
    harness_watermark(h, 10);
    harness_snapshot_whole(h);
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 0, "k,3,a,@@5");
    harness_watermark(h, 5);
    harness_rows(h, 0, "k,4,a,@@10 | k,5,b,@@11");
    harness_end_of_time(h);
    harness_expect(h,
                   "W 10 \n W 5 \n +I[k, [3;5]]@11 \n +I[k, [1;5]]@11 \n +I[k, [2;5]]@11 \n +I[k, [4;5]]@11 \n W MAX");
}

static void test_back_in_time(void **state)
{
    (void)state;
    match_fixture f;
    match_begin(&f, "a ~b");
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    back_in_time(h);
    harness_destroy(h);
    match_end(&f);
}

// Keys of which nothing is left make room when memory is scarce; what waits or has begun stays.
static void test_many_keys(void **state)
{
    (void)state;
    match_fixture f;
    char key[16], expected[16];
    match_begin(&f, "a ~b");
    f.setup.budget = 400000;
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    harness_rows(h, 0, "begun,1,a,@@1 | late,2,a,@@900000 | later,3,a,@@950000");
    harness_watermark(h, 1);
    harness_expect(h, "W 1");
    for (int i = 0; i < 20000; i++) { // each with a row that comes to nothing
        snprintf(key, sizeof key, "key%d", i);
        feed(h, key, i, i % 2 ? 'x' : 'b', 2 + i);
        if (i % 16)
            continue;
        harness_watermark(h, 2 + i);
        snprintf(expected, sizeof expected, "W %d", 2 + i);
        harness_expect(h, expected);
    }
    assert_true(leat_keys_count(((leat_match *)harness_operator(h))->keys) < 10000);
    harness_rows(h, 0, "begun,4,b,@@30000 | late,5,b,@@900001 | later,6,b,@@950001");
    harness_end_of_time(h);
    harness_expect(h, "+I[begun, [1;4]]@30000 \n +I[late, [2;5]]@900001 \n +I[later, [3;6]]@950001 \n W MAX");
    harness_destroy(h);
    match_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),   cmocka_unit_test(test_steps),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_disorder), cmocka_unit_test(test_back_in_time), cmocka_unit_test(test_many_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
