// Row patterns: contiguity, loops, negation, time, what follows a match, and that nothing of it depends on batches or restarts.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "tests/unit/operators/match_fixture.h"

// The letters of a text are the names of rows 1, 2, 3.. of key k at the times 1, 2, 3.., each time followed by its watermark.
typedef struct letters {
    const char *text, *expected; // matches as lists of numbers: "1;2 1;3"
} letters;

static void feed_letter(harness *h, const char *key, int number, char letter, int64_t time)
{
    char row[64];
    snprintf(row, sizeof row, "%s,%d,%c,@@%lld", key, number, letter, (long long)time);
    harness_rows(h, 0, row);
}

static void play_letters(harness *h, void *argument)
{
    const letters *given = argument;
    char expected[4096] = "", item[128];
    const char *at = given->expected;
    for (int i = 0; given->text[i]; i++) {
        feed_letter(h, "k", i + 1, given->text[i], i + 1);
        harness_watermark(h, i + 1);
    }
    harness_end_of_time(h);
    size_t used = 0;
    int64_t watermark = 0;
    while (*at) { // "1;2@5": found at time 5
        size_t size = strcspn(at, " ");
        snprintf(item, sizeof item, "%.*s", (int)size, at);
        char *time = strchr(item, '@');
        int64_t ms = time ? atoll(time + 1) : 0;
        *time = 0;
        if (ms - 1 > watermark)
            used += (size_t)snprintf(expected + used, sizeof expected - used, "W %lld\n", (long long)ms - 1);
        watermark = ms - 1;
        used += (size_t)snprintf(expected + used, sizeof expected - used, "+I[k, [%s]]@%lld\n", item, (long long)ms);
        at += size + (at[size] == ' ');
    }
    snprintf(expected + used, sizeof expected - used, "W MAX");
    harness_expect(h, expected);
}

static void check_skip(const char *pattern, leat_match_skip skip, int32_t stage, const char *text, const char *expected)
{
    match_fixture f;
    letters given = {text, expected};
    match_begin(&f, pattern);
    f.spec.skip = skip;
    f.spec.skip_stage = stage;
    harness_run(&f.setup, play_letters, &given);
    match_end(&f);
}

static void check(const char *pattern, const char *text, const char *expected)
{
    check_skip(pattern, LEAT_MATCH_NO_SKIP, 0, text, expected);
}

static void test_contiguity(void **state)
{
    (void)state;
    check("a b", "axbab", "4;5@5");
    check("a ~b", "axbab", "1;3@3 4;5@5");
    check("a *b", "axbb", "1;3@3 1;4@4");
    check("a ~b", "aabb", "1;3@3 2;3@3");
    check("a *b *c", "abbc", "1;2;4@4 1;3;4@4");
    check("a", "aba", "1@1 3@3");
    check("a .", "abab", "1;2@2 3;4@4");
}

static void test_loops(void **state)
{
    (void)state;
    check("c ~a{1,} ~b", "caab", "1;2;3;4@4 1;2;4@4");
    check("c ~a{1,}s ~b", "caxab", "1;2;5@5");
    check("c ~a{1,}c ~b", "caaab", "1;2;3;4;5@5 1;2;5@5 1;2;4;5@5 1;2;3;5@5");
    check("a{2,2}", "axaa", "1;3@3 3;4@4");
    check("a{2,2}s", "axaa", "3;4@4");
    check("a{1,3}", "aaa", "1@1 1;2@2 2@2 1;2;3@3 2;3@3 3@3");
    check("a{2,} ~b", "aaab", "1;2;3;4@4 1;2;4@4 2;3;4@4");
    check("c ~a{1,}? ~b", "cab", "1;2;3@3 1;3@3");
    check("c ~a? ~b", "cxab", "1;3;4@4 1;4@4");
    check("c ~a{1,}ux ~b", "caxab", "1;2;5@5");
    check("c a{1,}? b", "cb", "1;2@2");
}

static void test_greedy(void **state)
{
    (void)state;
    check("c ~a{1,}g ~b", "caab", "1;2;3;4@4");
    check("c ~a{1,}?g ~b", "caab", "1;2;3;4@4");
    check("c ~a{2,5}g ~b", "caaab", "1;2;3;4;5@5");
    check("c a{1,}sg .", "caaab", "1;2;3;4;5@5"); // the next stage would take the loop's rows too
    check("c a{1,}s .", "caab", "1;2;3@3 1;2;3;4@4");
}

static void test_negation(void **state)
{
    (void)state;
    check("a !b ~c", "acabc", "1;2@2");
    check("a -b ~c", "axcabc", "1;3@3");
    check("a -b *c", "acbc", "1;2@2");
    check("a -b ~d? ~c", "adbc", "1;2;4@4"); // once the optional one is there, b may come
    check("a !b", "axab", "1@2");
    check("a{1,} -b ~c", "aabc", "");
}

// ---- what follows a match

static void test_skip(void **state)
{
    (void)state;
    check_skip("a{2,2}", LEAT_MATCH_NO_SKIP, 0, "aaaa", "1;2@2 2;3@3 3;4@4");
    check_skip("a{2,2}", LEAT_MATCH_SKIP_TO_NEXT, 0, "aaaa", "1;2@2 2;3@3 3;4@4");
    check_skip("a{2,2}", LEAT_MATCH_SKIP_PAST_LAST, 0, "aaaa", "1;2@2 3;4@4");
    check_skip("a *b", LEAT_MATCH_NO_SKIP, 0, "abb", "1;2@2 1;3@3");
    check_skip("a *b", LEAT_MATCH_SKIP_TO_NEXT, 0, "abb", "1;2@2");
    check_skip("a{2,2} b{2,2}s", LEAT_MATCH_SKIP_TO_FIRST, 1, "aaabb", "2;3;4;5@5");
    check_skip("a{2,2} b{2,2}s", LEAT_MATCH_SKIP_TO_LAST, 1, "aaabbb", "2;3;4;5@5");
    // A match waits for one that began earlier, which may then skip it.
    check_skip("a ~b ~c", LEAT_MATCH_SKIP_PAST_LAST, 0, "aabc", "1;3;4@4");
    check_skip("a{1,} ~x ~b", LEAT_MATCH_SKIP_PAST_LAST, 0, "aaxbb", "1;2;3;4@4");
}

static void skips_strictly(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@1 | k,2,b,@@2 | k,3,a,@@3 | k,4,b,@@4");
    harness_end_of_time(h);
    harness_expect(h, "W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_EXPRESSION), 2);
}

static void test_skip_errors(void **state)
{
    (void)state;
    match_fixture f;
    match_begin(&f, "a b"); // to its own first row
    f.spec.skip = LEAT_MATCH_SKIP_TO_FIRST;
    f.spec.skip_strict = true;
    harness_run(&f.setup, skips_strictly, NULL);
    match_end(&f);
    match_begin(&f, "a c? b"); // to a stage without rows
    f.spec.skip = LEAT_MATCH_SKIP_TO_LAST;
    f.spec.skip_stage = 1;
    f.spec.skip_strict = true;
    harness_run(&f.setup, skips_strictly, NULL);
    match_end(&f);
}

// ---- time

static void times_out(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@1 | k,2,a,@@5");
    harness_watermark(h, 9);
    harness_rows(h, 0, "k,3,b,@@11");
    harness_watermark(h, 10);
    harness_expect(h, "W 10");
    harness_watermark(h, 11);
    harness_expect(h, "+I[k, [2;3]]@11 \n W 11 \n 1:+I[k, [1]]@11");
    harness_rows(h, 0, "j,4,a,@@20");
    harness_watermark(h, 29);
    harness_expect(h, "W 29");
    harness_watermark(h, 30); // 20 + 10: over, though nothing else comes for the key
    harness_expect(h, "W 30 \n 1:+I[j, [4]]@30");
}

static void quirk(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@0 | j,2,a,@@1");
    harness_watermark(h, 5);
    harness_rows(h, 0, "i,4,x,@@5"); // late, but between the two watermarks
    harness_watermark(h, 500);       // Flink sets no timer for a match that began at 0
    harness_expect(h, "W 500 \n 1:+I[j, [2]]@11");
    harness_rows(h, 0, "k,3,x,@@600");
    harness_watermark(h, 700);
    harness_expect(h, "W 700 \n 1:+I[k, [1]]@10");
}

static void not_followed(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@1 | k,2,b,@@2 | k,3,a,@@20 | k,4,b,@@30 | k,5,a,@@40 | k,6,b,@@49");
    harness_watermark(h, 29);
    harness_expect(h, "W 29");
    harness_watermark(h, 60);
    harness_expect(h, "+I[k, [3]]@30 \n W 60");
    harness_end_of_time(h);
    harness_expect(h, "W MAX");
}

// A timer stays when its match ends, and tells of another match that the time of a stage is over.
static void timers_stay(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@1000 | k,2,b,@@1002 | k,3,x,@@1004");
    harness_watermark(h, 1500);
    harness_rows(h, 0, "j,4,a,@@1600"); // a timer at 2600
    harness_watermark(h, 1600);
    harness_rows(h, 0, "k,5,a,@@1995");
    harness_watermark(h, 2002);
    harness_expect(h, "+I[k, [1;2]]@1002 \n W 2002"); // 1995 and 9 is not over yet
    harness_watermark(h, 2003);
    harness_expect(h, "W 2003");
    harness_watermark(h, 2004); // the timer of the row behind the match
    harness_expect(h, "W 2004 \n 1:+I[k, [5]]@2004");
    harness_watermark(h, 2599);
    harness_expect(h, "W 2599");
    harness_watermark(h, 2600);
    harness_expect(h, "W 2600 \n 1:+I[j, [4]]@1609");
}

static void late(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@5");
    harness_watermark(h, 5);
    harness_rows(h, 0, "k,2,b,@@5 | k,3,b,@@6 | k,4,x,NULL");
    harness_expect(h, "W 5 \n 1:+I[k, 2, b, 5]@5");
    harness_end_of_time(h);
    harness_expect(h, "+I[k, [1;3]]@6 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_NULL_TIME), 1);
}

static void disorder(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,3,c,@@7 | k,1,a,@@3 | j,9,a,@@4 | k,2,b,@@5 | NULL,8,a,@@1 | NULL,8,b,@@2 | NULL,8,c,@@3");
    harness_end_of_time(h);
    harness_expect(h, "+I[NULL, [8;8;8]]@3 \n +I[k, [1;2;3]]@7 \n W MAX");
}

static void run(const char *pattern, int64_t within, bool timeout, bool late_rows, harness_scenario scenario)
{
    match_fixture f;
    match_begin(&f, pattern);
    f.spec.within_ms = within;
    match_side_outputs(&f, timeout, late_rows);
    harness_run(&f.setup, scenario, NULL);
    match_end(&f);
}

static void test_time(void **state)
{
    (void)state;
    run("a ~bw9", 1000, true, false, timers_stay);
    run("a ~b", 10, true, false, times_out);
    run("a ~b", 10, true, false, quirk);
    run("a -b", 10, false, false, not_followed);
    run("a b", 0, false, true, late);
    run("a b c", 0, false, false, disorder);
}

static void sorted(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,9,b,@@5 | k,7,a,@@5 | k,8,b,@@5 | k,1,c,@@6");
    harness_end_of_time(h);
    harness_expect(h, "+I[k, [9;8;7]]@5 \n W MAX"); // descending by n
}

static void test_order(void **state)
{
    (void)state;
    static const uint32_t order[] = {0};
    static const bool descending[] = {true};
    match_fixture f;
    match_begin(&f, "b b a");
    f.spec.order_count = 1;
    f.spec.order = order;
    f.spec.order_descending = descending;
    harness_run(&f.setup, sorted, NULL);
    match_end(&f);
}

// ---- processing time

static void as_they_come(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@9 | k,2,b,@@3 | k,3,a,@@1");
    harness_expect(h, "+I[k, [1;2]]");
    harness_time(h, 1010); // the millisecond has to be over, as in Flink
    harness_expect_nothing(h);
    harness_time(h, 1011);
    harness_expect(h, "1:+I[k, [3]]");
    harness_rows(h, 0, "k,4,b,@@4");
    harness_expect_nothing(h);
}

static void test_processing_time(void **state)
{
    (void)state;
    match_fixture f;
    match_begin(&f, "a ~b");
    f.spec.within_ms = 10;
    f.spec.time_column = -1;
    match_side_outputs(&f, true, false);
    f.setup.start_ms = 1000;
    harness_run(&f.setup, as_they_come, NULL);
    match_end(&f);
}

// ---- conditions that read the match

// n > last n of the stage, or there is none: own: the row that is tried counts.
static void rising_condition(match_fixture *f, uint32_t stage, bool own)
{
    uint32_t *list = leat_arena_array(&f->arena, uint32_t, 1);
    list[0] = match_value_add(f, (leat_match_value){.kind = LEAT_MATCH_VALUE_ROW,
                                                    .type = leat_type_of(LEAT_KIND_INT),
                                                    .stage = (int32_t)stage,
                                                    .offset = own,
                                                    .column = 0});
    leat_expr *last = match_column(f, 1, list[0], LEAT_KIND_INT);
    leat_expr *greater = match_call(f, ">", match_column(f, 0, 0, LEAT_KIND_INT), last);
    leat_expr_scope scope = {.arena = &f->arena};
    leat_expr *is_null, *either;
    leat_error error;
    assert_int_equal(leat_expr_call(&scope, leat_slice_text("IS NULL"), &last, 1, &is_null, &error), LEAT_OK);
    either = match_call(f, "OR", greater, is_null);
    f->stages[stage].where = match_add(f, (leat_match_condition){.program = match_compile(f, either),
                                                                 .value_count = 1,
                                                                 .values = list,
                                                                 .own_stage = own ? (int32_t)stage : -1});
}

static void rises(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,5,a,@@1 | k,7,a,@@2 | k,9,a,@@3 | k,3,x,@@4 | k,4,a,@@5 | k,2,x,@@6");
    harness_end_of_time(h);
    harness_expect(h, "+I[k, [5;7;9;3]]@4 \n +I[k, [4;2]]@6 \n W MAX");
}

static void test_iterative(void **state)
{
    (void)state;
    for (int own = 0; own < 2; own++) {
        match_fixture f;
        match_begin(&f, "a{1,}sg x");
        rising_condition(&f, 0, own);
        f.spec.skip = LEAT_MATCH_SKIP_PAST_LAST;
        harness_run(&f.setup, rises, NULL);
        match_end(&f);
    }
}

// ---- limits

static void exhausts(harness *h, void *argument)
{
    (void)argument;
    for (int i = 1; i < 300; i++)
        feed_letter(h, "k", i, 'a', i);
    harness_fails(h, LEAT_E_LIMIT, "partial matches and waiting rows");
    harness_watermark(h, 300);
}

static void test_budget(void **state)
{
    (void)state;
    match_fixture f;
    match_begin(&f, "a *a *b");
    f.setup.budget = 200000;
    harness *h = harness_create(&f.setup, HARNESS_WHOLE);
    exhausts(h, NULL);
    harness_destroy(h);
    match_end(&f);
}

// Partial matches that do not branch: memory ends at another allocation each time.
static void exhausts_line(harness *h, int rows)
{
    for (int i = 1; i <= rows; i++)
        feed_letter(h, i % 3 ? "k" : "j", i, i % 7 ? 'a' : 'b', i);
    harness_fails(h, LEAT_E_LIMIT, "partial matches and waiting rows");
    harness_watermark(h, rows);
}

static void test_budget_of_lines(void **state)
{
    (void)state;
    static const char *const patterns[] = {"a ~c", "a ~b ~c", ". ~b ~d"};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++)
        for (size_t budget = 450000; budget < 520000; budget += 7919) {
            match_fixture f;
            match_begin(&f, patterns[p]);
            f.setup.budget = budget;
            harness *h = harness_create(&f.setup, HARNESS_WHOLE);
            exhausts_line(h, 2200);
            harness_destroy(h);
            match_end(&f);
        }
}

static void long_loop(harness *h, void *argument)
{
    (void)argument;
    feed_letter(h, "k", 1, 'c', 1);
    for (int i = 2; i <= 3000; i++)
        feed_letter(h, "k", i, 'a', i);
    harness_watermark(h, 3000);
    harness_snapshot(h);
    harness_restore(h);
    harness_rows(h, 0, "k,0,x,@@3001");
    harness_watermark(h, 3001);
    harness_expect(h, "W 3001"); // broken: everything of it is gone
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_long_loop(void **state)
{
    (void)state;
    match_fixture f;
    match_begin(&f, "c a{1,}s b");
    f.spec.skip = LEAT_MATCH_SKIP_PAST_LAST;
    f.setup.budget = 2 << 20; // a few hundred bytes a row, however long the loop is
    harness *h = harness_create(&f.setup, HARNESS_WHOLE);
    long_loop(h, NULL);
    harness_destroy(h);
    match_end(&f);
}

// ---- savepoints, and everything at random

static void over_savepoint(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "k,1,a,@@5 | k,2,b,@@9");
    harness_watermark(h, 8);
    harness_snapshot_whole(h);
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 0, "k,3,b,@@7"); // no watermark yet: not late
    harness_end_of_time(h);
    harness_expect(h, "W 8 \n +I[k, [1;3]]@7 \n W MAX");
}

static void test_savepoint(void **state)
{
    (void)state;
    match_fixture f;
    match_begin(&f, "a ~b");
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    over_savepoint(h, NULL);
    harness_destroy(h);
    match_end(&f);
}

typedef struct random_round {
    uint64_t seed;
} random_round;

static uint64_t random_next(uint64_t *seed)
{
    *seed = leat_hash_combine(*seed, 77);
    return *seed;
}

static void random_rows(harness *h, void *argument)
{
    uint64_t seed = ((random_round *)argument)->seed;
    int64_t watermark = 0;
    for (int i = 0; i < 40; i++) {
        const char *key = random_next(&seed) % 3 ? "k" : "j";
        int64_t time = watermark + (int64_t)(random_next(&seed) % 8);
        feed_letter(h, key, i, (char)('a' + random_next(&seed) % 4), time);
        if (random_next(&seed) % 3 == 0)
            harness_watermark(h, watermark += (int64_t)(random_next(&seed) % 4));
    }
    feed_letter(h, "z", 99, 'x', watermark + 1); // between the last watermark and the end
    harness_end_of_time(h);                      // that all modes say the same is checked by the harness
}

static void test_random(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "a ~b *c",           "a{1,} ~b",         "a{1,}c *b{1,2}? ~c", "a{2,}sg b?",   "a -b ~c? ~d", "a ~b{1,}?g ~c",
        "a{1,3} !b ~c{1,}s", "a ~b{1,}ud *c ~d", "a *.{2,3}c ~d",      "a ~b{0,}? -c", "a{1,2}? ~b",  ". ~.{1,}g d",
    };
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++)
        for (int skip = 0; skip <= LEAT_MATCH_SKIP_TO_LAST; skip++)
            for (uint64_t round = 0; round < 3; round++) {
                match_fixture f;
                random_round given = {round + 10 * p + 1000 * (uint64_t)skip};
                match_begin(&f, patterns[p]);
                for (uint32_t i = 0; i < f.spec.stage_count; i++)
                    f.stages[i].from += !f.stages[i].from;
                f.spec.skip = (leat_match_skip)skip;
                f.spec.skip_stage = (int32_t)(round % f.spec.stage_count);
                f.spec.within_ms = 9;
                harness_run(&f.setup, random_rows, &given);
                match_end(&f);
            }
}

// ---- damaged state

typedef struct stored_key {
    leat_snapshot snapshot; // first
    uint32_t group;
    size_t key_size, size;
    char key[64], value[512];
} stored_key;

static void catch_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    stored_key *stored = (stored_key *)snapshot;
    assert_int_equal(table, 1);
    assert_true(key.size <= sizeof stored->key && value.size <= sizeof stored->value);
    stored->group = group;
    stored->key_size = key.size;
    stored->size = value.size;
    memcpy(stored->key, key.data, key.size);
    memcpy(stored->value, value.data, value.size);
}

static void store_match(const harness_setup *setup, const char *names, stored_key *out)
{
    harness *h = harness_create(setup, HARNESS_SINGLE);
    for (int i = 0; names[i]; i++)
        feed_letter(h, "k", i + 1, names[i], i + 1);
    harness_watermark(h, 50);
    *out = (stored_key){.snapshot = {.all_whole = true, .any_whole = true, .put = catch_put}};
    memset(out->snapshot.whole, 1, sizeof out->snapshot.whole);
    leat_operator *match = harness_operator(h);
    match->ops->snapshot(match, &out->snapshot);
    assert_true(out->size > 0);
    harness_destroy(h);
}

// Whatever the bytes: they are refused, or rows are taken after them.
static void restore_damaged(const harness_setup *setup, const stored_key *stored)
{
    leat_error error;
    harness *h = harness_create(setup, HARNESS_SINGLE);
    leat_operator *match = harness_operator(h);
    leat_code code = match->ops->restore(match, 1, stored->group, leat_slice_of(stored->key, stored->key_size),
                                         leat_slice_of(stored->value, stored->size), &error);
    assert_true(code == LEAT_OK || code == LEAT_E_CORRUPT);
    for (int i = 0; code == LEAT_OK && i < 3; i++)
        feed_letter(h, "k", 60 + i, "abc"[i], 60 + i);
    if (code == LEAT_OK)
        harness_end_of_time(h);
    harness_destroy(h);
}

static void damage(const char *pattern, const char *names)
{
    match_fixture f;
    stored_key stored;
    match_begin(&f, pattern);
    f.spec.within_ms = 90;
    store_match(&f.setup, names, &stored);
    for (size_t at = 0; at < stored.size; at++)
        for (int by = 1; by < 256; by += by < 8 || by >= 248 ? 1 : 40) {
            stored_key damaged = stored;
            damaged.value[at] = (char)(damaged.value[at] + by);
            restore_damaged(&f.setup, &damaged);
        }
    for (; stored.size; stored.size--)
        restore_damaged(&f.setup, &stored);
    match_end(&f);
}

static void test_damage(void **state)
{
    (void)state;
    damage("a ~b ~c", "aab"); // without branches
    damage("a ~b{1,} c", "abb");
    damage("a ~bw9 ~c", "aabac"); // with timers
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contiguity),
        cmocka_unit_test(test_loops),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_negation),
        cmocka_unit_test(test_skip),
        cmocka_unit_test(test_skip_errors),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_processing_time),
        cmocka_unit_test(test_iterative),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_long_loop),
        cmocka_unit_test(test_savepoint),
        cmocka_unit_test(test_budget_of_lines),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
