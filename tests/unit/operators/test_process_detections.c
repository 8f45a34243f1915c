// The built-in detections: what their heads promise, and rising and sessions against slow models under disorder.
#include <stdio.h>
#include <stdlib.h>

#include "operators/base/hash.h"
#include "operators/functions/builtin.h"
#include "tests/unit/operators/process_support.h"

#define INPUT "k:INT,v:DOUBLE,ts:TIMESTAMP_LTZ*"

enum { KEYS = 5, ROWS = 600, ROWS_OF_KEY = 1024, TEXT = 1 << 14 };

static uint64_t random_state;
static uint32_t below(uint32_t end)
{
    random_state += 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(leat_hash_mix(random_state) % end);
}

static void set_up(process_case *c, const leat_process_function *function)
{
    process_case_init(c, function);
    process_table(c, INPUT, 0);
    process_descriptor(c, 1, 2);
    if (function != &leat_function_silent)
        process_expression(c, 2, 1);
}

typedef struct lines {
    char text[TEXT];
    size_t size;
} lines;

static void add_line(lines *l, const char *format, ...) LEAT_PRINTF(2, 3);
static void add_line(lines *l, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    l->size += (size_t)vsnprintf(l->text + l->size, TEXT - l->size, format, arguments);
    va_end(arguments);
    assert_true(l->size < TEXT);
}

static void check_lines(harness *h, lines *l)
{
    harness_expect_any_order(h, l->text);
    l->size = 0;
    l->text[0] = 0;
}

// ---- rising, falling

typedef struct rising_model {
    bool known;
    double last;
    int64_t timer; // INT64_MIN: none
} rising_model;

static void rising_row(rising_model *m, double value, int64_t time, double sign)
{
    double step = sign * (value - m->last);
    if (m->known && step < 0)
        m->timer = INT64_MIN;
    else if (m->known && step > 0 && m->timer == INT64_MIN)
        m->timer = time + 50;
    m->known = true;
    m->last = value;
}

static void rising_watermark(rising_model *models, int64_t watermark, lines *l)
{
    for (int k = 0; k < KEYS; k++) {
        rising_model *m = &models[k];
        if (m->timer == INT64_MIN || m->timer > watermark)
            continue;
        add_line(l, "+I[%d, %lld, %lld, %.1f]@%lld\n", k, (long long)m->timer, (long long)m->timer - 50, m->last,
                 (long long)m->timer);
        m->timer = INT64_MIN;
    }
    add_line(l, "W %lld\n", (long long)watermark);
}

static void rising_scenario(harness *h, void *argument)
{
    double sign = *(const double *)argument;
    rising_model models[KEYS] = {0};
    static lines l;
    int64_t now = 0, watermark = INT64_MIN;
    for (int k = 0; k < KEYS; k++)
        models[k].timer = INT64_MIN;
    random_state = 7;
    for (int i = 0; i < ROWS; i++) {
        uint32_t key = below(KEYS), step = below(10);
        int64_t time = (now += below(8)) - below(30);
        // Mostly one way, so that there is something to find.
        double value = models[key].last + sign * (step < 7 ? 0.5 * step : -1);
        char row[96];
        snprintf(row, sizeof row, "%u,%.1f,@@%lld", key, value, (long long)time);
        harness_rows(h, 0, row);
        rising_row(&models[key], value, time, sign);
        if (below(4) == 0 && now - 20 > watermark) {
            watermark = now - 20;
            harness_watermark(h, watermark);
            rising_watermark(models, watermark, &l);
            check_lines(h, &l);
        }
    }
}

static void test_rising(void **state)
{
    (void)state;
    for (double sign = 1; sign >= -1; sign -= 2) {
        process_case c;
        set_up(&c, sign > 0 ? &leat_function_rising : &leat_function_falling);
        process_interval(&c, 3, 50);
        process_case_finish(&c, "k:INT,alert_at:TIMESTAMP_LTZ,since:TIMESTAMP_LTZ,value:DOUBLE");
        harness_run(&c.setup, rising_scenario, &sign);
        process_case_fini(&c);
    }
}

// ---- above, below

static void above_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,79,@@0 | 1,81,@@10 | 1,85,@@15 | 2,90,@@10 | 2,70,@@15 | 1,NULL,@@16 | 1,83,@@20");
    harness_watermark(h, 109);
    harness_expect(h, "W 109");
    harness_watermark(h, 110);
    harness_expect(h, "+I[1, raised, 110, 10, 83.0, 85.0]@110\n W 110");
    harness_rows(h, 0, "1,79,@@120 | 1,88,@@125 | 1,78,@@130 | 1,78.5,@@140 | 1,77,@@150");
    harness_watermark(h, 199);
    harness_expect(h, "W 199");
    harness_watermark(h, 200);
    harness_expect(h, "+I[1, cleared, 200, 10, 77.0, 88.0]@200\n W 200");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0); // both keys are calm
}

static void at_once_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,5,@@1 | 1,4.5,@@2 | 1,5,@@3 | 1,4,@@4 | 1,3,@@5 | 1,5.5,@@6 | 1,6,@@7 | 1,1,@@8");
    harness_expect(
        h, "+I[1, raised, 2, 2, 4.5, 4.5]@2\n +I[1, cleared, 6, 2, 5.5, 3.0]@6\n +I[1, raised, 8, 8, 1.0, 1.0]@8");
}

static void test_limits(void **state)
{
    (void)state;
    process_case c;
    const char *output = "k:INT,state:STRING,changed_at:TIMESTAMP_LTZ,since:TIMESTAMP_LTZ,value:DOUBLE,extreme:DOUBLE";
    set_up(&c, &leat_function_above);
    process_double(&c, 3, 80);
    process_interval(&c, 4, 100);
    process_double(&c, 5, 2);
    process_interval(&c, 6, 50);
    process_case_finish(&c, output);
    harness_run(&c.setup, above_scenario, NULL);
    process_case_fini(&c);
    set_up(&c, &leat_function_below);
    process_double(&c, 3, 5);
    process_double(&c, 5, 0.5);
    process_case_finish(&c, output);
    harness_run(&c.setup, at_once_scenario, NULL);
    process_case_fini(&c);
}

// ---- sessions

typedef struct session_model {
    struct {
        int64_t time;
        double value;
    } rows[ROWS_OF_KEY];
    uint32_t count;
} session_model;

enum { GAP = 20 };

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void session_row(session_model *m, int64_t time, double value, int64_t watermark)
{
    bool joins = false;
    for (uint32_t i = 0; i < m->count; i++)
        joins |= llabs(m->rows[i].time - time) <= GAP;
    if (!joins && time + GAP - 1 <= watermark)
        return;
    m->rows[m->count].time = time;
    m->rows[m->count++].value = value;
}

// Sessions from the sorted rows; those that are due are told and their rows forgotten.
static void session_watermark(session_model *m, int key, int64_t watermark, lines *l)
{
    qsort(m->rows, m->count, sizeof m->rows[0], by_time);
    uint32_t kept = 0;
    for (uint32_t begin = 0, end; begin < m->count; begin = end) {
        for (end = begin + 1; end < m->count && m->rows[end].time - m->rows[end - 1].time <= GAP;)
            end++;
        int64_t last = m->rows[end - 1].time;
        if (last + GAP - 1 > watermark) {
            while (begin < end)
                m->rows[kept++] = m->rows[begin++];
            continue;
        }
        double low = m->rows[begin].value, high = low, sum = 0;
        for (uint32_t i = begin; i < end; i++) {
            low = m->rows[i].value < low ? m->rows[i].value : low;
            high = m->rows[i].value > high ? m->rows[i].value : high;
            sum += m->rows[i].value;
        }
        char mean[LEAT_NUMBER_TEXT];
        size_t size = leat_double_print_java(sum / (end - begin), mean);
        add_line(l, "+I[%d, %lld, %lld, %u, %.1f, %.1f, %.*s]@%lld\n", key, (long long)m->rows[begin].time,
                 (long long)last, end - begin, low, high, (int)size, mean, (long long)last + GAP - 1);
    }
    m->count = kept;
}

static session_model session_models[KEYS];

static void session_scenario(harness *h, void *argument)
{
    (void)argument;
    static lines l;
    int64_t now = 0, watermark = INT64_MIN;
    random_state = 11;
    memset(session_models, 0, sizeof session_models);
    for (int i = 0; i < ROWS; i++) {
        uint32_t key = below(KEYS), value = below(100);
        int64_t time = (now += below(9)) - below(90);
        char row[96];
        snprintf(row, sizeof row, "%u,%u,@@%lld", key, value, (long long)time);
        harness_rows(h, 0, row);
        session_row(&session_models[key], time, value, watermark);
        if (below(6) == 0 && now - 60 > watermark) {
            watermark = now - 60;
            harness_watermark(h, watermark);
            for (int k = 0; k < KEYS; k++)
                session_watermark(&session_models[k], k, watermark, &l);
            add_line(&l, "W %lld\n", (long long)watermark);
            check_lines(h, &l);
        }
    }
    harness_end_of_time(h);
    for (int k = 0; k < KEYS; k++)
        session_watermark(&session_models[k], k, INT64_MAX, &l);
    add_line(&l, "W MAX\n");
    check_lines(h, &l);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

// A row between two open sessions makes them one.
static void bridge_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,1,@@100 | 1,9,@@140 | 1,NULL,@@120");
    harness_watermark(h, 158);
    harness_expect(h, "W 158");
    harness_watermark(h, 159);
    harness_expect(h, "+I[1, 100, 140, 3, 1.0, 9.0, 5.0]@159\n W 159");
    harness_rows(h, 0, "1,1,@@139 | 1,NULL,@@200"); // late for a session of its own
    harness_end_of_time(h);
    harness_expect(h, "+I[1, 200, 200, 1, NULL, NULL, NULL]@219\n W MAX");
}

static void test_sessions(void **state)
{
    (void)state;
    process_case c;
    set_up(&c, &leat_function_session);
    process_interval(&c, 3, GAP);
    process_case_finish(&c,
                        "k:INT,session_start:TIMESTAMP_LTZ,session_end:TIMESTAMP_LTZ,row_count:BIGINT,min_value:DOUBLE,"
                        "max_value:DOUBLE,mean_value:DOUBLE");
    harness_run(&c.setup, bridge_scenario, NULL);
    harness_run(&c.setup, session_scenario, NULL);
    process_case_fini(&c);
}

// ---- silent

static void silent_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 1000);
    harness_rows(h, 0, "1,0,@@1 | 2,0,@@1");
    harness_time(h, 1080);
    harness_rows(h, 0, "1,0,@@2");
    harness_time(h, 1150);
    harness_expect(h, "+I[2, silent, 1100, 1000, 100]@1100");
    harness_time(h, 1500);
    harness_expect(h, "+I[1, silent, 1180, 1080, 100]@1180");
    harness_rows(h, 0, "2,0,@@3");
    harness_expect(h, "+I[2, back, 1500, 1000, 500]@3");
    harness_time(h, 1599);
    harness_expect_nothing(h);
    harness_time(h, 1600);
    harness_expect(h, "+I[2, silent, 1600, 1500, 100]@1600");
}

static void silent_event_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,0,@@10 | 2,0,@@20 | 1,0,@@60 | 1,0,@@40");
    harness_watermark(h, 119);
    harness_expect(h, "W 119");
    harness_watermark(h, 160);
    harness_expect(h, "+I[2, silent, 120, 20, 100]@120\n +I[1, silent, 160, 60, 100]@160\n W 160");
    harness_rows(h, 0, "2,0,@@180 | 2,0,@@15");
    harness_expect(h, "+I[2, back, 180, 20, 160]@180");
}

static void set_up_silent(process_case *c, const char *clock)
{
    set_up(c, &leat_function_silent);
    process_interval(c, 2, 100);
    if (clock)
        process_text(c, 3, clock);
    process_case_finish(c, "k:INT,state:STRING,changed_at:TIMESTAMP_LTZ,last_seen:TIMESTAMP_LTZ,silent_ms:BIGINT");
}

static void test_silent(void **state)
{
    (void)state;
    process_case c;
    set_up_silent(&c, NULL);
    harness_run(&c.setup, silent_scenario, NULL);
    process_case_fini(&c);
    set_up_silent(&c, "event");
    harness_run(&c.setup, silent_event_scenario, NULL);
    process_case_fini(&c);
}

// The agent is down from 1040 to 5000: 60 ms of the 100 are left.
static void test_downtime_does_not_count(void **state)
{
    (void)state;
    process_case c;
    set_up_silent(&c, NULL);
    harness *h = harness_create(&c.setup, HARNESS_SINGLE);
    harness_time(h, 1000);
    harness_rows(h, 0, "1,0,@@1");
    harness_time(h, 1040);
    harness_snapshot(h);
    harness_context(h)->now_ms = 5000;
    harness_restore(h);
    assert_int_equal(harness_wake_ms(h), 5060);
    harness_time(h, 5059);
    harness_expect_nothing(h);
    harness_time(h, 5060);
    harness_expect(h, "+I[1, silent, 5060, 1000, 4060]@5060");
    harness_destroy(h);
    process_case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rising),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_downtime_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
