// The watermark of several inputs by the rules of Flink's CombinedWatermarkStatus (2.3), against a model of it, batches against single watermarks, and
// restored in the middle against not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-agent/flow/inputs.h"
#include "tests/support/env_test.h"

enum { CHANNELS_MAX = 6, INPUTS_MAX = 3, NOTHING = 0, IDLE = 1, ACTIVE = 2 };

typedef struct fixture {
    env_test *env;
    leat_arena arena;
    leat_inputs inputs;
    uint32_t input_of[CHANNELS_MAX + 1];
} fixture;

static void open_inputs(fixture *f, uint32_t inputs, uint32_t channels_each)
{
    f->env = env_test_create();
    leat_arena_init(&f->arena, &f->env->env, 1024);
    for (uint32_t i = 0; i < inputs * channels_each; i++)
        f->input_of[i] = i % inputs; // channels of an input do not lie side by side
    leat_inputs_init(&f->inputs, &f->arena, inputs, f->input_of, inputs * channels_each);
}

static void close_inputs(fixture *f)
{
    leat_arena_fini(&f->arena);
    env_test_destroy(f->env);
}

static int64_t water(fixture *f, uint32_t channel, int64_t ms)
{
    return leat_inputs_watermark(&f->inputs, channel, ms) ? f->inputs.last_ms : LEAT_TIME_NONE;
}

static void expect_status(fixture *f, uint32_t channel, bool idle, int want, int64_t want_ms)
{
    int64_t rises[LEAT_INPUTS_RISES];
    bool changed;
    uint32_t count = leat_inputs_status(&f->inputs, channel, idle, rises, &changed);
    assert_int_equal(!changed ? NOTHING : f->inputs.idle ? IDLE : ACTIVE, want);
    assert_int_equal(count > 0 ? rises[count - 1] : LEAT_TIME_NONE, want_ms);
}

static void waking_behind_holds(void **state)
{
    fixture f;
    (void)state;
    open_inputs(&f, 2, 1);
    assert_int_equal(water(&f, 0, 10), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 5), 5);
    expect_status(&f, 1, true, NOTHING, 10);
    assert_int_equal(water(&f, 0, 20), 20);
    expect_status(&f, 1, false, NOTHING, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 0, 30), LEAT_TIME_NONE); // input 1 stands at 5 and counts
    assert_int_equal(water(&f, 1, 12), LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 25), 25);
    assert_int_equal(water(&f, 1, 40), 30);
    close_inputs(&f);
}

// Two channels of one input: there one that wakes up behind stays out.
static void channels_of_one_input(void **state)
{
    fixture f;
    (void)state;
    open_inputs(&f, 1, 2);
    water(&f, 0, 10);
    assert_int_equal(water(&f, 1, 5), 5);
    expect_status(&f, 1, true, NOTHING, 10);
    expect_status(&f, 1, false, NOTHING, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 0, 30), 30);
    close_inputs(&f);
}

static void all_idle_gives_the_highest(void **state)
{
    fixture f;
    (void)state;
    open_inputs(&f, 2, 1);
    water(&f, 0, 10);
    assert_int_equal(water(&f, 1, 5), 5);
    expect_status(&f, 0, true, NOTHING, LEAT_TIME_NONE);
    assert_int_equal(water(&f, 1, 6), 6);
    expect_status(&f, 1, true, IDLE, 10);
    assert_int_equal(water(&f, 1, 50), LEAT_TIME_NONE); // of an idle input
    expect_status(&f, 1, false, ACTIVE, LEAT_TIME_NONE);
    expect_status(&f, 1, true, IDLE, LEAT_TIME_NONE);
    close_inputs(&f);
}

// The valve of an input flushes its highest channel; then its idleness lets the other input go on: two rises.
static void a_status_may_cause_two_rises(void **state)
{
    fixture f;
    int64_t rises[LEAT_INPUTS_RISES];
    bool changed;
    (void)state;
    open_inputs(&f, 2, 2); // channels 0 and 2 are input 0, 1 and 3 are input 1
    water(&f, 1, 100);
    water(&f, 3, 100);
    water(&f, 0, 5);
    assert_int_equal(water(&f, 2, 20), 5);
    expect_status(&f, 2, true, NOTHING, LEAT_TIME_NONE);
    assert_int_equal(leat_inputs_status(&f.inputs, 0, true, rises, &changed), 2);
    assert_int_equal(rises[0], 20);
    assert_int_equal(rises[1], 100);
    assert_false(changed); // input 1 is active
    close_inputs(&f);
}

static void holder(void **state)
{
    fixture f;
    (void)state;
    open_inputs(&f, 2, 1);
    assert_int_equal(leat_inputs_holder(&f.inputs), UINT32_MAX);
    water(&f, 0, 10);
    assert_int_equal(leat_inputs_holder(&f.inputs), 1);
    water(&f, 1, 20);
    assert_int_equal(leat_inputs_holder(&f.inputs), 0);
    expect_status(&f, 0, true, NOTHING, 20);
    assert_int_equal(leat_inputs_holder(&f.inputs), UINT32_MAX);
    expect_status(&f, 0, false, NOTHING, LEAT_TIME_NONE);
    assert_int_equal(leat_inputs_holder(&f.inputs), 0);
    close_inputs(&f);
}

// ---- a model: valves of their own, and what Flink's operator does with what they let out

typedef struct model {
    leat_valve valves[INPUTS_MAX];
    int64_t watermark[INPUTS_MAX], combined;
    bool idle[INPUTS_MAX], all_idle;
    uint32_t count;
} model;

static bool model_update(model *m)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    m->all_idle = true;
    for (uint32_t i = 0; i < m->count; i++) {
        most = m->watermark[i] > most ? m->watermark[i] : most;
        if (m->idle[i])
            continue;
        m->all_idle = false;
        least = m->watermark[i] < least ? m->watermark[i] : least;
    }
    int64_t next = m->all_idle ? most : least;
    if (next <= m->combined)
        return false;
    m->combined = next;
    return true;
}

static bool model_watermark(model *m, uint32_t input, uint32_t place, int64_t ms)
{
    if (!leat_valve_watermark(&m->valves[input], place, ms))
        return false;
    m->watermark[input] = m->valves[input].last_ms;
    m->idle[input] = false;
    return model_update(m);
}

static uint32_t model_status(model *m, uint32_t input, uint32_t place, bool idle, int64_t rises[2], bool *out_status)
{
    bool rose, changed;
    uint32_t count = 0;
    *out_status = false;
    leat_valve_status(&m->valves[input], place, idle, &rose, &changed);
    if (rose) {
        m->watermark[input] = m->valves[input].last_ms;
        if (model_update(m))
            rises[count++] = m->combined;
    }
    if (!changed)
        return count;
    bool was_idle = m->all_idle;
    m->idle[input] = idle;
    if (model_update(m))
        rises[count++] = m->combined;
    *out_status = was_idle != m->all_idle;
    return count;
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*seed >> 33);
}

// A second instance with what a checkpoint holds.
static void restart(fixture *f)
{
    leat_inputs old = f->inputs;
    leat_inputs_init(&f->inputs, &f->arena, old.count, old.input_of, old.channel_count);
    for (uint32_t i = 0; i < old.channel_count; i++)
        *leat_inputs_channel(&f->inputs, i) = *leat_inputs_channel(&old, i);
    for (uint32_t i = 0; i < old.count; i++)
        f->inputs.inputs[i].valve.last_ms = old.inputs[i].valve.last_ms;
    f->inputs.last_ms = old.last_ms;
    leat_inputs_restored(&f->inputs);
    assert_int_equal(f->inputs.idle, old.idle);
}

static void check_status(fixture *f, model *m, uint32_t channel, bool idle)
{
    int64_t got[2], want[2];
    bool got_status, want_status;
    uint32_t count = leat_inputs_status(&f->inputs, channel, idle, got, &got_status);
    assert_int_equal(count, model_status(m, channel % m->count, f->inputs.place_of[channel], idle, want, &want_status));
    assert_memory_equal(got, want, count * sizeof *got);
    assert_int_equal(got_status, want_status);
}

static void check_batch(fixture *f, model *m, uint32_t channel, int64_t from_ms, uint64_t *seed)
{
    int64_t column[5], want[5], ms = from_ms, before = m->combined;
    uint32_t rows = next_random(seed) % 6, input = channel % m->count, place = f->inputs.place_of[channel];
    for (uint32_t i = 0; i < rows; i++) {
        column[i] = ms += (int64_t)(next_random(seed) % 4);
        model_watermark(m, input, place, ms);
        want[i] = m->combined;
    }
    ms += (int64_t)(next_random(seed) % 4);
    model_watermark(m, input, place, ms);
    int64_t after = leat_inputs_batch(&f->inputs, channel, rows ? column : NULL, rows, ms);
    assert_memory_equal(column, want, rows * sizeof *want);
    assert_int_equal(after, m->combined > before ? m->combined : LEAT_TIME_NONE);
}

static void random_against_the_model(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 600; round++) {
        fixture f;
        uint64_t seed = round * 7919 + 1;
        model m = {.count = 1 + next_random(&seed) % INPUTS_MAX, .combined = LEAT_TIME_NONE};
        uint32_t each = 1 + next_random(&seed) % (CHANNELS_MAX / INPUTS_MAX);
        open_inputs(&f, m.count, each);
        for (uint32_t i = 0; i < m.count; i++) {
            leat_valve_init(&m.valves[i], &f.arena, each);
            m.watermark[i] = LEAT_TIME_NONE;
        }
        for (int step = 0; step < 300; step++) {
            uint32_t channel = next_random(&seed) % (m.count * each), what = next_random(&seed) % 8;
            int64_t ms = step / 4 + (int64_t)(next_random(&seed) % 12);
            if (round % 2)
                restart(&f);
            if (what < 3) {
                bool rose = model_watermark(&m, channel % m.count, f.inputs.place_of[channel], ms);
                assert_int_equal(water(&f, channel, ms), rose ? m.combined : LEAT_TIME_NONE);
            } else if (what < 5) {
                check_batch(&f, &m, channel, ms, &seed);
            } else {
                check_status(&f, &m, channel, what == 5);
            }
            assert_int_equal(f.inputs.last_ms, m.combined);
        }
        close_inputs(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waking_behind_holds),
        cmocka_unit_test(channels_of_one_input),
        cmocka_unit_test(all_idle_gives_the_highest),
        cmocka_unit_test(a_status_may_cause_two_rises),
        cmocka_unit_test(holder),
        cmocka_unit_test(random_against_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
