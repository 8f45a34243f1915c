// SESSION windows with aggregates, and a comparison with a slow plain model.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "operators/base/hash.h"
#include "operators/core/key.h"
#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_window_session_ops;

#define INPUT "k:STRING,v:BIGINT,ts:TIMESTAMP*"
#define OUTPUT "k:STRING,n:BIGINT,s:BIGINT,window_start:TIMESTAMP,window_end:TIMESTAMP,window_time:TIMESTAMP*"

static const uint32_t key_columns[] = {0};

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_window_aggregate_spec spec;
    harness_setup setup;
} fixture;

static void fixture_begin(fixture *f, int64_t gap, int64_t lateness, bool retract)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, env_test_env(f->env), 4096);
    aggregates set = aggregates_make(&f->arena, harness_schema(&f->arena, INPUT), "COUNT(*) SUM(v)", retract);
    f->spec = (leat_window_aggregate_spec){
        .window = {.kind = LEAT_WINDOW_SESSION, .gap_ms = gap, .time_column = 2},
        .key_count = 1,
        .key_columns = key_columns,
        .accumulators = set.set,
        .aggregate_count = set.count,
        .allowed_lateness_ms = lateness,
        .input_retracts = retract,
        .keep_watermark = true,
    };
    f->setup = (harness_setup){
        .ops = &leat_operator_window_session_ops,
        .spec = &f->spec,
        .inputs = {INPUT},
        .outputs = {OUTPUT},
    };
}

static void fixture_end(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static void run(int64_t gap, int64_t lateness, bool retract, harness_scenario scenario)
{
    fixture f;
    fixture_begin(&f, gap, lateness, retract);
    harness_run(&f.setup, scenario, &f);
    fixture_end(&f);
}

static void touching(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@0 | a,2,@@10 | b,1,@@0 | b,2,@@11"); // exactly the gap apart is one session
    harness_end_of_time(h);
    harness_expect_any_order(
        h, "+I[a, 2, 3, 0, 20, 19]@19 \n +I[b, 1, 1, 0, 10, 9]@9 \n +I[b, 1, 2, 11, 21, 20]@20 \n W MAX");
}

static void bridge(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1,@@1 | a,2,@@2 | a,4,@@8 | a,8,@@10 | b,1,@@9 | a,16,@@4 | a,32,@@16");
    harness_end_of_time(h);
    harness_expect_any_order(
        h, "+I[b, 1, 1, 9, 14, 13]@13 \n +I[a, 5, 31, 1, 15, 14]@14 \n +I[a, 1, 32, 16, 21, 20]@20 \n W MAX");
}

// The rows of Flink's session tests, in one script for three latenesses.
static void feed(harness *h)
{
    harness_rows(h, 0, "x,1,@@1000");
    harness_watermark(h, 1999);
    harness_rows(h, 0, "x,1,@@2000");
    harness_watermark(h, 4998);
    harness_rows(h, 0, "x,1,@@4500 | x,1,@@8500");
    harness_watermark(h, 7400);
    harness_rows(h, 0, "x,1,@@7000");
    harness_watermark(h, 11501);
    harness_rows(h, 0, "x,1,@@11600");
    harness_watermark(h, 14600);
    harness_rows(h, 0, "x,1,@@10000 | x,1,@@14500");
    harness_watermark(h, 100000);
}

static void lateness_0(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect(
        h, "W 7400 \n +I[x, 5, 5, 1000, 11500, 11499]@11499 \n W 11501 \n"
           "+I[x, 1, 1, 11600, 14600, 14599]@14599 \n W 14600 \n +I[x, 1, 1, 14500, 17500, 17499]@17499 \n W 100000");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
}

static void lateness_10(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect(h, "W 7400 \n +I[x, 5, 5, 1000, 11500, 11499]@11499 \n W 11501 \n"
                      "+I[x, 1, 1, 11600, 14600, 14599]@14599 \n W 14600 \n +I[x, 2, 2, 10000, 14600, 14599]@14599 \n"
                      "+I[x, 3, 3, 10000, 17500, 17499]@17499 \n W 100000");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 0);
}

static void lateness_10000(harness *h, void *argument)
{
    (void)argument;
    feed(h);
    harness_expect(h, "W 7400 \n +I[x, 5, 5, 1000, 11500, 11499]@11499 \n W 11501 \n"
                      "+I[x, 1, 1, 11600, 14600, 14599]@14599 \n W 14600 \n +I[x, 7, 7, 1000, 14600, 14599]@14599 \n"
                      "+I[x, 8, 8, 1000, 17500, 17499]@17499 \n W 100000");
}

static void retracting(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "+I a,1,@@1 | +I a,2,@@2 | -D a,1,@@3 | +I b,8,@@38 | -D b,8,@@39 | -U a,2,@@4 | +U a,5,@@4");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 1, 5, 1, 9, 8]@8 \n W MAX");
}

static void test_rules(void **state)
{
    (void)state;
    run(10, 0, false, touching);
    run(5, 0, false, bridge);
    run(3000, 0, false, lateness_0);
    run(3000, 10, false, lateness_10);
    run(3000, 10000, false, lateness_10000);
    run(5, 0, true, retracting);
}

static void test_late_output_and_kept_watermark(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, 10, 0, false);
    f.spec.late_output = true;
    f.setup.outputs[1] = INPUT;
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    harness_rows(h, 0, "a,1,@@0 | b,1,@@0");
    harness_watermark(h, 5);
    harness_rows(h, 0, "a,1,@@6");
    harness_watermark(h, 12);
    harness_expect_any_order(h, "W 5 \n +I[b, 1, 1, 0, 10, 9]@9 \n W 12");
    harness_snapshot(h);
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 0, "b,2,@@2 | a,2,@@2"); // the first is still late, the second joins a live session
    harness_end_of_time(h);
    harness_expect_any_order(h, "1:+I[b, 2, 2]@2 \n +I[a, 3, 4, 0, 16, 15]@15 \n W MAX");
    harness_snapshot_whole(h);
    assert_int_equal(harness_state_entries(h), LEAT_KEY_GROUPS);
    harness_destroy(h);
    fixture_end(&f);
}

// ---- refusals

// The budget ends somewhere in between, at every place once: a clean refusal, and nothing is left behind.
static void test_budget(void **state)
{
    (void)state;
    for (size_t room = 0; room < 30000; room += 331) {
        fixture f;
        fixture_begin(&f, 10, 0, false);
        harness *h = harness_create(&f.setup, room % 2 ? HARNESS_SINGLE : HARNESS_WHOLE);
        harness_context(h)->budget->limit = harness_context(h)->budget->used + room;
        harness_fails(h, LEAT_E_LIMIT, "budget");
        for (int i = 0; i < 300; i++) {
            char row[64];
            snprintf(row, sizeof row, "key-that-is-not-inlined-%d,%d,@@%d", i % 150, i, i / 3 * 2);
            harness_rows(h, 0, row);
            if (i % 50 == 49)
                harness_watermark(h, i / 2);
        }
        harness_end_of_time(h);
        if (room == 0)
            harness_expect(h, "");
        harness_destroy(h);
        fixture_end(&f);
    }
}

// A key that is too long is dropped and counted; the rows around it go on.
static void too_large(harness *h, void *argument)
{
    (void)argument;
    char *rows = test_calloc(1, LEAT_KEY_BYTES_MAX + 200);
    strcpy(rows, "a,1,@@1 | ");
    memset(rows + strlen(rows), 'x', LEAT_KEY_BYTES_MAX);
    strcat(rows, ",2,@@2 | a,4,@@3 | b,8,@@4");
    harness_rows(h, 0, rows);
    test_free(rows);
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[a, 2, 5, 1, 13, 12]@12 \n +I[b, 1, 8, 4, 14, 13]@13 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_TOO_LARGE), 1);
}

static void test_too_large(void **state)
{
    (void)state;
    run(10, 0, false, too_large);
}

// SUM(v / v), which fails where v is 0.
static void divide(fixture *f)
{
    leat_expr_scope scope = {.arena = &f->arena};
    const leat_schema *schema = harness_schema(&f->arena, INPUT);
    leat_error error;
    leat_expr *v[2], *quotient;
    leat_aggregate items[2];
    for (int i = 0; i < 2; i++)
        v[i] = leat_expr_column(&scope, 0, 1, schema->fields[1].type);
    assert_int_equal(leat_expr_call(&scope, leat_slice_text("/"), v, 2, &quotient, &error), LEAT_OK);
    assert_int_equal(
        leat_aggregate_resolve(&scope, leat_slice_text("COUNT"), false, &quotient, 1, NULL, false, &items[0], &error),
        LEAT_OK);
    assert_int_equal(
        leat_aggregate_resolve(&scope, leat_slice_text("SUM"), false, &quotient, 1, NULL, false, &items[1], &error),
        LEAT_OK);
    leat_accumulators *set;
    assert_int_equal(leat_accumulators_create(&f->arena, items, 2, false, &set, &error), LEAT_OK);
    f->spec.accumulators = set;
}

static void bad_rows(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,0,@@1 | b,0,@@2");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0); // nothing was opened
    harness_rows(h, 0, "a,0,@@3 | a,5,@@4 | c,0,@@4 | b,3,@@5 | b,0,@@6");
    harness_end_of_time(h);
    harness_expect_any_order(h, "+I[a, 1, 1, 4, 14, 13]@13 \n +I[b, 1, 1, 5, 15, 14]@14 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_EXPRESSION), 5);
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 0);
}

static void test_bad_rows(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, 10, 0, false);
    divide(&f);
    harness_run(&f.setup, bad_rows, &f);
    fixture_end(&f);
}

// ---- another parallelism

static uint32_t owner_of(int key, uint32_t parallelism)
{
    char bytes[16];
    bytes[0] = 0;
    bytes[1] = (char)snprintf(bytes + 2, sizeof bytes - 2, "k%d", key);
    return leat_key_group(leat_hash(bytes, 2 + (size_t)bytes[1])) % parallelism;
}

// One image, restored by two and by three: every key goes on exactly once, and a late row is late in each.
static void test_parallelism(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f, 10, 0, false);
    harness *h = harness_create(&f.setup, HARNESS_SINGLE);
    for (int i = 0; i < 40; i++) {
        char row[64];
        snprintf(row, sizeof row, "k%d,%d,@@%d", i % 20, i, 21 + i / 20);
        harness_rows(h, 0, row);
    }
    harness_watermark(h, 19);
    harness_expect(h, "W 19");
    harness_snapshot(h);
    uint64_t late = 0;
    for (uint32_t parallelism = 2; parallelism <= 3; parallelism++)
        for (uint32_t instance = 0; instance < parallelism; instance++) {
            harness_restore_savepoint(h, instance, parallelism);
            char expected[4096] = "", own[32] = "";
            for (int key = 0; key < 20; key++)
                if (owner_of(key, parallelism) == instance) {
                    size_t size = strlen(expected);
                    snprintf(expected + size, sizeof expected - size, "+I[k%d, 2, %d, 21, 32, 31]@31 \n ", key,
                             20 + 2 * key);
                    snprintf(own, sizeof own, "k%d,1,@@3", key);
                }
            harness_rows(h, 0, own);
            harness_end_of_time(h);
            strcat(expected, "W MAX");
            harness_expect_any_order(h, expected);
            assert_int_equal(harness_drops(h, LEAT_DROP_LATE), ++late);
        }
    harness_destroy(h);
    fixture_end(&f);
}

// ---- against a plain model: sessions as an unsorted list with their rows' sums

enum { MODEL_SESSIONS = 400 };
typedef struct model_session {
    int key;
    bool live, fired;
    int64_t start, end, n, sum;
} model_session;
typedef struct model {
    int64_t gap, lateness, watermark;
    model_session sessions[MODEL_SESSIONS];
    unsigned count;
    char *out;
    size_t size;
    uint64_t late;
} model;

LEAT_PRINTF(2, 3)
static void model_print(model *m, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    m->size += (size_t)vsnprintf(m->out + m->size, 1 << 16, format, list);
    va_end(list);
}

static void model_fire(model *m, model_session *s)
{
    s->fired = true;
    model_print(m, "+I[k%d, %lld, %lld, %lld, %lld, %lld]@%lld\n", s->key, (long long)s->n, (long long)s->sum,
                (long long)s->start, (long long)s->end, (long long)s->end - 1, (long long)s->end - 1);
}

static void model_watermark(model *m, int64_t watermark)
{
    if (watermark <= m->watermark)
        return;
    for (unsigned i = 0; i < m->count; i++) {
        model_session *s = &m->sessions[i];
        if (s->live && !s->fired && s->end - 1 <= watermark)
            model_fire(m, s);
        if (s->live && (watermark == INT64_MAX || s->end - 1 + m->lateness <= watermark))
            s->live = false;
    }
    m->watermark = watermark;
    model_print(m, watermark == INT64_MAX ? "W MAX\n" : "W %lld\n", (long long)watermark);
}

static void model_add(model *m, int key, int64_t value, int64_t time)
{
    model_session new = {key, true, false, time, time + m->gap, 1, value};
    bool merged = false;
    for (unsigned i = 0; i < m->count; i++) {
        model_session *s = &m->sessions[i];
        if (!s->live || s->key != key || s->start > time + m->gap || s->end < time)
            continue;
        new.start = s->start < new.start ? s->start : new.start;
        new.end = s->end > new.end ? s->end : new.end;
        new.n += s->n;
        new.sum += s->sum;
        s->live = false;
        merged = true;
    }
    if (!merged && m->watermark != INT64_MIN && new.end - 1 + m->lateness <= m->watermark) {
        m->late++;
        return;
    }
    m->sessions[m->count++] = new;
    if (m->watermark != INT64_MIN && new.end - 1 <= m->watermark)
        model_fire(m, &m->sessions[m->count - 1]);
}

static uint64_t seed;
static int64_t below(int64_t end)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (int64_t)((seed >> 33) % (uint64_t)end);
}

static void random_round(int64_t gap, int64_t lateness, harness_mode mode, uint64_t round)
{
    fixture f;
    fixture_begin(&f, gap, lateness, false);
    model *m = test_calloc(1, sizeof *m);
    *m = (model){.gap = gap, .lateness = lateness, .watermark = INT64_MIN, .out = test_calloc(1, 1 << 18)};
    harness *h = harness_create(&f.setup, mode);
    seed = round * 7919 + 5;
    int64_t now = 0, risen = INT64_MIN;
    bool last_was_watermark = false;
    for (unsigned i = 0; i < 200; i++) {
        now += below(5);
        if (below(3) == 0 && now - 5 > risen) {
            // Several rises without results between are told by the last one.
            risen = now - 5;
            harness_watermark(h, risen);
            size_t before = m->size;
            model_watermark(m, risen);
            if (last_was_watermark && m->out[before] == 'W') {
                size_t line = before - 1;
                while (line && m->out[line - 1] != '\n')
                    line--;
                memmove(m->out + line, m->out + before, m->size - before + 1);
                m->size -= before - line;
            }
            last_was_watermark = true;
        }
        int key = (int)below(4);
        int64_t value = below(100), time = now - (below(4) ? below(6) : below(60));
        char text[64];
        snprintf(text, sizeof text, "k%d,%lld,@@%lld", key, (long long)value, (long long)time);
        harness_rows(h, 0, text);
        size_t before = m->size;
        model_add(m, key, value, time);
        last_was_watermark = last_was_watermark && before == m->size;
        if (mode == HARNESS_SINGLE && below(10) == 0) {
            below(4) ? harness_snapshot(h) : harness_snapshot_whole(h);
            if (below(2))
                harness_restore(h);
        }
    }
    size_t before = m->size;
    harness_end_of_time(h);
    model_watermark(m, INT64_MAX);
    (void)before;
    harness_expect_any_order(h, m->out);
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), m->late);
    harness_destroy(h);
    test_free(m->out);
    test_free(m);
    fixture_end(&f);
}

static void test_random(void **state)
{
    (void)state;
    for (int64_t gap = 3; gap <= 12; gap += 9)
        for (int64_t lateness = 0; lateness <= 20; lateness += 10)
            for (int mode = 0; mode < HARNESS_MODES; mode++)
                for (uint64_t round = 0; round < 8; round++)
                    random_round(gap, lateness, (harness_mode)mode, round + 100 * (uint64_t)gap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),    cmocka_unit_test(test_late_output_and_kept_watermark),
        cmocka_unit_test(test_budget),   cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_bad_rows), cmocka_unit_test(test_parallelism),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
