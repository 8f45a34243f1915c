// The valve by the rules of Flink's StatusWatermarkValve, against a model of it, and batches against single watermarks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-agent/flow/valve.h"
#include "tests/support/env_test.h"

enum { CHANNELS_MAX = 5, NOTHING = 0, IDLE = 1, ACTIVE = 2 };

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_valve valve;
} fixture;

static void open_valve(fixture *f, uint32_t channels)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, &f->env->env, 1024);
    leat_valve_init(&f->valve, &f->arena, channels);
}

static void close_valve(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

// What comes out: LEAT_TIME_NONE for nothing.
static int64_t water(fixture *f, uint32_t channel, int64_t ms)
{
    return leat_valve_watermark(&f->valve, channel, ms) ? f->valve.last_ms : LEAT_TIME_NONE;
}

static int status(fixture *f, uint32_t channel, bool idle, int64_t *out_ms)
{
    bool watermark, changed;
    leat_valve_status(&f->valve, channel, idle, &watermark, &changed);
    *out_ms = watermark ? f->valve.last_ms : LEAT_TIME_NONE;
    return !changed ? NOTHING : f->valve.idle ? IDLE : ACTIVE;
}

static void expect_status(fixture *f, uint32_t channel, bool idle, int want, int64_t want_ms)
{
    int64_t ms;
    assert_int_equal(status(f, channel, idle, &ms), want);
    assert_int_equal(ms, want_ms);
}

static void minimum_of_inputs(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 3);
    assert_int_equal(water(&f, 0, 0), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 0), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 2, 0), 0);
    assert_int_equal(water(&f, 0, 12), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 2, 8), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 2, 10), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 15), 10);
    assert_int_equal(water(&f, 2, 17), 12);
    assert_int_equal(water(&f, 0, 20), 15);
    close_valve(&f);
}

static void decreasing_is_ignored(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 3);
    water(&f, 0, 25);
    water(&f, 1, 10);
    assert_int_equal(water(&f, 2, 17), 10);
    assert_int_equal(water(&f, 0, 12), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 8), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 2, 15), LEAT_TIME_NONE);
    close_valve(&f);
}

static void idle_one_by_one(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 3);
    water(&f, 0, 25);
    water(&f, 1, 10);
    assert_int_equal(water(&f, 2, 17), 10);
    expect_status(&f, 1, true, NOTHING, 17);
    expect_status(&f, 2, true, NOTHING, 25);
    expect_status(&f, 2, true, NOTHING, LEAT_TIME_NONE); // twice says nothing new
    expect_status(&f, 0, true, IDLE, LEAT_TIME_NONE);
    close_valve(&f);
}

static void partially_idle(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 3);
    water(&f, 0, 15);
    assert_int_equal(water(&f, 1, 10), LEAT_TIME_NONE);
    expect_status(&f, 2, true, NOTHING, 10);
    assert_int_equal(water(&f, 1, 18), 15);
    assert_int_equal(water(&f, 0, 20), 18);
    close_valve(&f);
}

static void one_channel(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 1);
    assert_int_equal(water(&f, 0, 0), 0);
    assert_int_equal(water(&f, 0, 25), 25);
    expect_status(&f, 0, true, IDLE, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 0, 50), LEAT_TIME_NONE); // of an idle channel
    expect_status(&f, 0, false, ACTIVE, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 0, 50), 50);
    close_valve(&f);
}

// The last active channel held the minimum: what the others have reached is flushed, then IDLE.
static void flush_of_the_maximum(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 3);
    water(&f, 0, 5);
    water(&f, 1, 10);
    assert_int_equal(water(&f, 2, 3), 3);
    expect_status(&f, 1, true, NOTHING, LEAT_TIME_NONE);
    expect_status(&f, 0, true, NOTHING, LEAT_TIME_NONE);
    expect_status(&f, 2, true, IDLE, 10);
    // All are behind 10 but channel 1.
    expect_status(&f, 2, false, ACTIVE, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 2, 9), LEAT_TIME_NONE);
    expect_status(&f, 1, false, NOTHING, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 20), 20); // channel 2 is out until it has caught up
    assert_int_equal(water(&f, 2, 19), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 2, 21), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 30), 21); // and then it counts
    close_valve(&f);
}

static void no_flush_when_another_held(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 2);
    water(&f, 0, 5);
    assert_int_equal(water(&f, 1, 20), 5);
    expect_status(&f, 0, true, NOTHING, 20); // it held, the rest may go on
    expect_status(&f, 1, true, IDLE, LEAT_TIME_NONE);
    expect_status(&f, 0, false, ACTIVE, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 0, 6), LEAT_TIME_NONE);
    expect_status(&f, 0, true, IDLE, LEAT_TIME_NONE); // 6 is not 20: nothing to flush
    close_valve(&f);
}

static void idle_without_watermarks(void **state)
{
    fixture f;
    (void)state;
    open_valve(&f, 2);
    expect_status(&f, 0, true, NOTHING, LEAT_TIME_NONE);
    expect_status(&f, 1, true, IDLE, LEAT_TIME_NONE);
    expect_status(&f, 0, false, ACTIVE, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 0, INT64_MAX), INT64_MAX);
    close_valve(&f);
}

// ---- a model, written as Flink's code reads

typedef struct model {
    int64_t watermark[CHANNELS_MAX], last;
    bool active[CHANNELS_MAX], aligned[CHANNELS_MAX], idle;
    uint32_t count;
} model;

static int64_t model_minimum(model *m)
{
    int64_t least = INT64_MAX;
    bool any = false;
    for (uint32_t i = 0; i < m->count; i++)
        if (m->aligned[i]) {
            any = true;
            least = m->watermark[i] < least ? m->watermark[i] : least;
        }
    if (!any || least <= m->last)
        return LEAT_TIME_NONE;
    return m->last = least;
}

static int64_t model_watermark(model *m, uint32_t i, int64_t ms)
{
    if (m->idle || !m->active[i] || ms <= m->watermark[i])
        return LEAT_TIME_NONE;
    m->watermark[i] = ms;
    if (!m->aligned[i] && ms >= m->last)
        m->aligned[i] = true;
    return model_minimum(m);
}

static int model_status(model *m, uint32_t i, bool idle, int64_t *out_ms)
{
    *out_ms = LEAT_TIME_NONE;
    if (idle == !m->active[i])
        return NOTHING;
    m->active[i] = !idle;
    if (!idle) {
        if (m->watermark[i] >= m->last)
            m->aligned[i] = true;
        bool was = m->idle;
        m->idle = false;
        return was ? ACTIVE : NOTHING;
    }
    m->aligned[i] = false;
    bool any = false;
    for (uint32_t k = 0; k < m->count; k++)
        any |= m->active[k];
    if (any) {
        if (m->watermark[i] == m->last)
            *out_ms = model_minimum(m);
        return NOTHING;
    }
    for (uint32_t k = 0; k < m->count && m->watermark[i] == m->last; k++)
        if (m->watermark[k] > *out_ms)
            *out_ms = m->watermark[k];
    if (*out_ms > m->last)
        m->last = *out_ms;
    else
        *out_ms = LEAT_TIME_NONE;
    m->idle = true;
    return IDLE;
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*seed >> 33);
}

static void random_against_the_model(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 400; round++) {
        fixture f;
        uint64_t seed = round * 7919 + 1;
        model m = {.count = 1 + next_random(&seed) % CHANNELS_MAX, .last = LEAT_TIME_NONE};
        open_valve(&f, m.count);
        for (uint32_t i = 0; i < m.count; i++) {
            m.watermark[i] = LEAT_TIME_NONE;
            m.active[i] = m.aligned[i] = true;
        }
        for (int step = 0; step < 300; step++) {
            uint32_t channel = next_random(&seed) % m.count, what = next_random(&seed) % 8;
            if (what < 6) {
                int64_t ms = step / 4 + (int64_t)(next_random(&seed) % 12);
                assert_int_equal(water(&f, channel, ms), model_watermark(&m, channel, ms));
                continue;
            }
            int64_t got, want;
            int wanted = model_status(&m, channel, what == 6, &want);
            assert_int_equal(status(&f, channel, what == 6, &got), wanted);
            assert_int_equal(got, want);
        }
        close_valve(&f);
    }
}

// ---- batches

static void random_batches(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 400; round++) {
        fixture one, rows;
        uint64_t seed = round * 104729 + 3;
        uint32_t count = 1 + next_random(&seed) % CHANNELS_MAX;
        int64_t at[CHANNELS_MAX];
        open_valve(&one, count);
        open_valve(&rows, count);
        for (uint32_t i = 0; i < count; i++)
            at[i] = LEAT_TIME_NONE;
        for (int step = 0; step < 100; step++) {
            uint32_t channel = next_random(&seed) % count, size = next_random(&seed) % 6;
            int64_t column[8], unused;
            if (next_random(&seed) % 5 == 0) {
                bool idle = next_random(&seed) % 2;
                assert_int_equal(status(&one, channel, idle, &unused), status(&rows, channel, idle, &unused));
            }
            int64_t before = rows.valve.last_ms;
            bool with_column = next_random(&seed) % 3 > 0;
            for (uint32_t i = 0; i < size && with_column; i++) {
                if (next_random(&seed) % 2)
                    at[channel] =
                        (at[channel] == LEAT_TIME_NONE ? step : at[channel]) + (int64_t)(next_random(&seed) % 5);
                column[i] = at[channel];
            }
            if (next_random(&seed) % 2)
                at[channel] = (at[channel] == LEAT_TIME_NONE ? step : at[channel]) + (int64_t)(next_random(&seed) % 5);
            int64_t wanted[8];
            for (uint32_t i = 0; i < size && with_column; i++) {
                leat_valve_watermark(&rows.valve, channel, column[i]);
                wanted[i] = rows.valve.last_ms;
            }
            leat_valve_watermark(&rows.valve, channel, at[channel]);
            int64_t after =
                leat_valve_batch(&one.valve, channel, with_column ? column : NULL, with_column ? size : 0, at[channel]);
            assert_int_equal(after, rows.valve.last_ms > before ? rows.valve.last_ms : LEAT_TIME_NONE);
            for (uint32_t i = 0; i < size && with_column; i++)
                assert_int_equal(column[i], wanted[i]);
            assert_int_equal(one.valve.last_ms, rows.valve.last_ms);
            for (uint32_t i = 0; i < count; i++) {
                assert_int_equal(one.valve.channels[i].watermark_ms, rows.valve.channels[i].watermark_ms);
                assert_int_equal(one.valve.channels[i].aligned, rows.valve.channels[i].aligned);
            }
        }
        close_valve(&one);
        close_valve(&rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimum_of_inputs),
        cmocka_unit_test(decreasing_is_ignored),
        cmocka_unit_test(idle_one_by_one),
        cmocka_unit_test(partially_idle),
        cmocka_unit_test(one_channel),
        cmocka_unit_test(flush_of_the_maximum),
        cmocka_unit_test(no_flush_when_another_held),
        cmocka_unit_test(idle_without_watermarks),
        cmocka_unit_test(random_against_the_model),
        cmocka_unit_test(random_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
