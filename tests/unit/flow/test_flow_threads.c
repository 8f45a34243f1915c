// The flow on four workers: fed from threads, with barriers every few milliseconds and sinks that refuse now and then, against the same
// flow stepped by hand. Also run under ThreadSanitizer.
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/flow/flow_fixture.h"

#define SOURCE                                                                                                         \
    "{driver: script, format: json, fields: {k: string, v: bigint, t: timestamp_ms}, event_time: t, watermark: "       \
    "{out_of_orderness: 500ms}}"
#define YAML(workers)                                                                                                  \
    "agent: {name: gw, workers: " #workers ", time_zone: UTC}\nsources: {a: " SOURCE ", b: " SOURCE ", c: " SOURCE     \
    "}\n"                                                                                                              \
    "rules:\n  u: {sql: \"SELECT k, v, t FROM a UNION ALL SELECT k, v, t FROM b UNION ALL SELECT k, v, t FROM c\"}\n"  \
    "  sums: {sql: \"SELECT k, SUM(v) AS s, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(t), INTERVAL '1' "     \
    "SECOND)) GROUP BY k, "                                                                                            \
    "window_start, window_end\", to: out}\n"                                                                           \
    "  some: {sql: \"SELECT k, v FROM a WHERE v > 90\", to: [some, out]}\n"                                            \
    "sinks: {out: {driver: collect, format: json}, some: {driver: collect, format: json}}\n"

enum { SOURCES = 3, KEYS = 50, DEADLINE_S = 240 };
#ifdef LEAT_SANITIZED
enum { ROWS = 20000 };
#else
enum { ROWS = 66700 }; // of each source: 200 000
#endif

typedef struct feeder {
    flow_fixture *fixture;
    uint32_t source;
    _Atomic bool *done;
    pthread_t thread;
} feeder;

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*seed >> 33);
}

// Rows come within the allowed disorder, so none is late whichever source is ahead.
static void fill(flow_fixture *f)
{
    static const char *const names[SOURCES] = {"a", "b", "c"};
    for (uint32_t s = 0; s < SOURCES; s++) {
        uint64_t seed = s + 1;
        for (int i = 0; i < ROWS; i++) {
            char key[8];
            snprintf(key, sizeof key, "k%u", next_random(&seed) % KEYS);
            flow_kvt(f, names[s], key, next_random(&seed) % 100, i + (int64_t)(next_random(&seed) % 400));
        }
    }
}

static void pause_us(long us) { nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL); }

// Lets the rows of one source in, some at a time.
static void *feed(void *argument)
{
    feeder *self = argument;
    flow_fixture *f = self->fixture;
    flow_source *source = &f->sources[self->source];
    uint64_t seed = self->source + 77;
    for (uint32_t in = 0; in < ROWS;) {
        in += 1 + next_random(&seed) % 300;
        pthread_mutex_lock(&f->lock);
        source->count = in < ROWS ? in : ROWS;
        source->ended = in >= ROWS;
        pthread_mutex_unlock(&f->lock);
        leat_flow_wake_source(f->flow, self->source);
        if (next_random(&seed) % 16 == 0)
            pause_us(500);
    }
    return NULL;
}

// A sink that takes some and then nothing for a moment.
static void *drain(void *argument)
{
    feeder *self = argument;
    flow_fixture *f = self->fixture;
    uint64_t seed = 5;
    while (!atomic_load(self->done)) {
        pthread_mutex_lock(&f->lock);
        f->room = next_random(&seed) % 400;
        pthread_mutex_unlock(&f->lock);
        for (uint32_t sink = 0; sink < f->plan->sink_count; sink++)
            leat_flow_wake_sink(f->flow, sink);
        pause_us(next_random(&seed) % 1000);
    }
    return NULL;
}

static bool is_finished(flow_fixture *f, uint64_t *out_cut)
{
    pthread_mutex_lock(&f->lock);
    bool finished = f->finishes > 0;
    *out_cut = f->cut_done;
    pthread_mutex_unlock(&f->lock);
    return finished;
}

static int64_t seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void barriers_until_finished(flow_fixture *f)
{
    int64_t start = seconds();
    uint64_t cut, beats = 0, last = UINT64_MAX;
    while (!is_finished(f, &cut)) {
        if (cut == f->barrier)
            leat_flow_barrier(f->flow, ++f->barrier);
        uint64_t beat = leat_flow_heartbeat(f->flow);
        beats += beat != last;
        last = beat;
        pause_us(2000);
        if (seconds() - start > DEADLINE_S)
            fail_msg("no end: barrier %llu of %llu, %u results", (unsigned long long)cut,
                     (unsigned long long)f->barrier, f->result_count);
    }
    while (is_finished(f, &cut) && cut < f->barrier)
        pause_us(1000);
    assert_true(beats > 1);
    assert_true(f->barrier > 1);
}

static void same_as_by_hand(void **state)
{
    (void)state;
    flow_fixture *threads = flow_open_not_ready(YAML(4), 64), *plain = flow_open(YAML(1), 0);
    _Atomic bool done = false;
    feeder feeders[SOURCES + 1];
    leat_error error = {0};
    leat_flow_destroy(threads->flow);
    threads->workers = 4;
    flow_make(threads);
    assert_int_equal(leat_flow_ready(threads->flow, false, false, &error), LEAT_OK);
    fill(threads);
    fill(plain);
    for (uint32_t s = 0; s < SOURCES; s++)
        threads->sources[s].count = 0;
    assert_int_equal(leat_flow_start(threads->flow, &error), LEAT_OK);
    for (uint32_t i = 0; i <= SOURCES; i++) {
        feeders[i] = (feeder){.fixture = threads, .source = i, .done = &done};
        assert_int_equal(pthread_create(&feeders[i].thread, NULL, i < SOURCES ? feed : drain, &feeders[i]), 0);
    }
    barriers_until_finished(threads);
    atomic_store(&done, true);
    for (uint32_t i = 0; i <= SOURCES; i++)
        pthread_join(feeders[i].thread, NULL);
    leat_flow_stop(threads->flow);
    for (uint32_t s = 0; s < SOURCES; s++)
        plain->sources[s].ended = true;
    flow_run(plain);
    assert_int_equal(threads->failures, 0);
    assert_int_equal(threads->finishes, 1);
    assert_true(plain->result_count > 1000);
    flow_expect_same(threads, plain);
    flow_close(threads);
    flow_close(plain);
}

// ---- nobody polls

static uint64_t asked(flow_fixture *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t count = f->sources[0].asked;
    pthread_mutex_unlock(&f->lock);
    return count;
}

// Sleeping workers step for what arrives and for nothing else.
static void light_load_sleeps(void **state)
{
    static const char yaml[] = "agent: {name: gw, workers: 4, time_zone: UTC}\nsources: {a: " SOURCE "}\n"
                               "rules: {r: {sql: \"SELECT k, v FROM a WHERE v > 0\", to: out}}\n"
                               "sinks: {out: {driver: collect, format: json}}\n";
    (void)state;
    flow_fixture *f = flow_open_not_ready(yaml, 0);
    leat_error error = {0};
    struct timespec before, after;
    leat_flow_destroy(f->flow);
    f->workers = 4;
    flow_make(f);
    assert_int_equal(leat_flow_ready(f->flow, false, false, &error), LEAT_OK);
    assert_int_equal(leat_flow_start(f->flow, &error), LEAT_OK);
    pause_us(20000);
    uint64_t start = asked(f);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (int i = 1; i <= 50; i++) {
        flow_kvt(f, "a", "x", i, i);
        leat_flow_wake_source(f->flow, 0);
        pause_us(10000);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    leat_flow_stop(f->flow);
    assert_int_equal(f->result_count, 50);
    uint64_t calls = asked(f) - start;
    double busy_ms = (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6;
    print_message("%.2f calls of the source a row, %.3f ms of CPU a row\n", (double)calls / 50, busy_ms / 50);
    assert_true(calls <= 50 * 3 + 5);
    flow_close(f);
}

// A timer of a resting task fires while another keeps the only worker busy.
static void alarms_under_load(void **state)
{
    static const char yaml[] =
        "agent: {name: gw, workers: 1, time_zone: UTC}\n"
        "sources: {a: " SOURCE ", s: {driver: script, format: json, fields: {k: string, v: bigint}}}\n"
        "rules:\n  r: {sql: \"SELECT k, v FROM a WHERE v < 0\", to: out}\n"
        "  quiet: {detect: silent, from: s, key: k, for: 5s, to: alarm}\n"
        "sinks: {out: {driver: collect, format: json}, alarm: {driver: collect, format: json}}\n";
    (void)state;
    flow_fixture *f = flow_open_not_ready(yaml, 1);
    leat_error error = {0};
    leat_flow_destroy(f->flow);
    f->workers = 1;
    flow_make(f);
    assert_int_equal(leat_flow_ready(f->flow, false, false, &error), LEAT_OK);
    uint32_t busy = flow_source_index(f, "a");
    for (int i = 0; i < 1000; i++)
        flow_kvt(f, "a", "x", 1, i);
    flow_row(f, "s", "{\"k\":\"x\",\"v\":1}");
    assert_int_equal(leat_flow_start(f->flow, &error), LEAT_OK);
    int64_t start = seconds();
    uint32_t results = 0;
    while (results == 0 && seconds() - start < 60) {
        pthread_mutex_lock(&f->lock);
        f->sources[busy].next = 0; // never without an arrival
        results = f->result_count;
        pthread_mutex_unlock(&f->lock);
        f->now_ms += 10;
        pause_us(20);
    }
    assert_int_equal(results, 1);
    leat_flow_stop(f->flow);
    flow_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_as_by_hand), cmocka_unit_test(light_load_sleeps),
                                       cmocka_unit_test(alarms_under_load)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
