// Unbounded GROUP BY: the changelog.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_group_aggregate_ops;

#define INPUT "k:INT,v:BIGINT"
#define OUTPUT "k:INT,n:BIGINT,s:BIGINT"

static const uint32_t key_columns[] = {0};

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_group_aggregate_spec spec;
    harness_setup setup;
} fixture;

static void fixture_begin(fixture *f, const char *calls, bool retract)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    aggregates set = aggregates_make(&f->arena, harness_schema(&f->arena, INPUT), calls, retract);
    f->spec = (leat_group_aggregate_spec){
        .key_count = 1,
        .key_columns = key_columns,
        .accumulators = set.set,
        .aggregate_count = set.count,
        .input_retracts = retract,
        .emit_before = true,
    };
    f->setup = (harness_setup){
        .ops = &leat_operator_group_aggregate_ops,
        .spec = &f->spec,
        .inputs = {INPUT},
        .outputs = {OUTPUT},
        .output_changelog = LEAT_CHANGELOG_RETRACT,
    };
}

static void fixture_end(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static void retract_to_delete(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "-D 9,1 | +I 1,5 | +I 1,7 | -D 1,5 | -D 1,7 | +I 1,2");
    harness_expect(
        h, "+I[1, 1, 5] \n -U[1, 1, 5] \n +U[1, 2, 12] \n -U[1, 2, 12] \n +U[1, 1, 7] \n -D[1, 1, 7] \n +I[1, 1, 2]");
}

static void watermarks_pass(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5@10");
    harness_watermark(h, 20);
    harness_rows(h, 0, "2,7@3"); // late rows count
    harness_watermark(h, 30);
    harness_expect(h, "+I[1, 1, 5]@10 \n W 20 \n +I[2, 1, 7]@3 \n W 30");
}

static void test_changelog(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "COUNT(*) SUM(v)", true);
    harness_run(&f.setup, retract_to_delete, &f);
    harness_run(&f.setup, watermarks_pass, &f);
    fixture_end(&f);
}

static void unchanged(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5 | 1,3 | 1,9 | NULL,1 | NULL,NULL");
    harness_expect(h, "+I[1, 5, 5] \n +U[1, 3, 5] \n +U[1, 3, 9] \n +I[NULL, 1, 1]");
}

static void test_unchanged_gives_nothing(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "MIN(v) MAX(v)", false);
    f.spec.emit_before = false;
    f.setup.output_changelog = LEAT_CHANGELOG_UPSERT;
    harness_run(&f.setup, unchanged, &f);
    fixture_end(&f);
}

static void global(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5 | 2,3");
    harness_expect(h, "+I[1, 5] \n -U[1, 5] \n +U[2, 8]");
}

static void test_without_key(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "COUNT(*) SUM(v)", false);
    f.spec.key_count = 0;
    f.spec.key_columns = NULL;
    f.setup.outputs[0] = "n:BIGINT,s:BIGINT";
    harness_run(&f.setup, global, &f);
    fixture_end(&f);
}

static void time_to_live(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5 | 2,1");
    harness_time(h, 1000 + 60);
    harness_rows(h, 0, "1,0"); // changes nothing, but is repeated and keeps the group alive
    harness_time(h, 1000 + 100);
    harness_rows(h, 0, "2,4 | 1,2"); // 2 has run out, 1 has not
    harness_expect(
        h, "+I[1, 5, 5] \n +I[2, 1, 1] \n -U[1, 5, 5] \n +U[1, 5, 5] \n +I[2, 4, 4] \n -U[1, 5, 5] \n +U[1, 5, 5]");
    harness_time(h, 1000 + 400);
    harness_expect_nothing(h);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_time_to_live(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, "MAX(v) MAX(v)", false);
    f.spec.state_ttl_ms = 100;
    f.setup.start_ms = 1000;
    harness_run(&f.setup, time_to_live, &f);
    fixture_end(&f);
}

// ---- against a plain model

static uint64_t seed;
static int64_t below(int64_t end)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (int64_t)((seed >> 33) % (uint64_t)end);
}

static void random_round(harness_mode mode, uint64_t round)
{
    fixture f;
    fixture_begin(&f, "COUNT(*) SUM(v)", true);
    harness *h = harness_create(&f.setup, mode);
    char *out = test_calloc(1, 1 << 17);
    size_t size = 0;
    struct {
        long long n, sum;
    } groups[6] = {0};
    seed = round + 17;
    for (unsigned i = 0; i < 300; i++) {
        int key = (int)below(6);
        long long value = below(3);
        bool retract = below(5) < 2;
        char text[64];
        snprintf(text, sizeof text, "%s %d,%lld", retract ? "-D" : "+I", key, value);
        harness_rows(h, 0, text);
        long long n = groups[key].n, sum = groups[key].sum;
        if (!n && retract)
            continue;
        groups[key].n += retract ? -1 : 1;
        groups[key].sum += retract ? -value : value;
        if (!groups[key].n)
            groups[key].sum = 0;
        if (!n)
            size += (size_t)sprintf(out + size, "+I[%d, 1, %lld]\n", key, value);
        else if (!groups[key].n)
            size += (size_t)sprintf(out + size, "-D[%d, %lld, %lld]\n", key, n, sum);
        else
            size += (size_t)sprintf(out + size, "-U[%d, %lld, %lld]\n+U[%d, %lld, %lld]\n", key, n, sum, key,
                                    groups[key].n, groups[key].sum);
        if (mode == HARNESS_SINGLE && below(10) == 0) {
            below(4) ? harness_snapshot(h) : harness_snapshot_whole(h);
            if (below(2))
                harness_restore(h);
        }
    }
    harness_expect(h, out);
    harness_destroy(h);
    test_free(out);
    fixture_end(&f);
}

static void test_random(void **state)
{
    (void)state;
    for (int mode = 0; mode < HARNESS_MODES; mode++)
        for (uint64_t round = 0; round < 20; round++)
            random_round((harness_mode)mode, round);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changelog),   cmocka_unit_test(test_unchanged_gives_nothing),
        cmocka_unit_test(test_without_key), cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
