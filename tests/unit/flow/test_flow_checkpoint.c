// Cuts and recoveries: at every row, at another parallelism, with blocked inputs, at least once, beside savepoints.
#include "firmware-agent/flow/task.h"
#include "tests/unit/flow/flow_fixture.h"

#define SOURCE(watermark)                                                                                              \
    "{driver: script, format: json, fields: {k: string, v: bigint, t: timestamp_ms}, event_time: t, "                  \
    "watermark: " watermark "}"
#define BODY                                                                                                           \
    "rules:\n  u: {sql: \"SELECT k, v, t FROM a UNION ALL SELECT k, v, t FROM b\"}\n"                                  \
    "  sums: {sql: \"SELECT k, SUM(v) AS s FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(t), INTERVAL '1' SECOND)) GROUP BY "  \
    "k, "                                                                                                              \
    "window_start, window_end\", to: out}\n"                                                                           \
    "  totals: {sql: \"SELECT k, COUNT(*) AS n, SUM(v) AS s FROM a GROUP BY k\", to: changes, unbounded: true}\n"      \
    "  plain: {sql: \"SELECT k, v FROM b WHERE v > 5\", to: [out, plain]}\n"                                           \
    "sinks: {out: {driver: collect, format: json}, changes: {driver: collect, format: json}, plain: {driver: "         \
    "collect, format: json}}\n"
#define YAML(workers, more, watermark)                                                                                 \
    "agent: {name: gw, workers: " #workers ", time_zone: UTC" more                                                     \
    "}\nsources: {a: " SOURCE(watermark) ", b: " SOURCE(watermark) "}\n" BODY

static const char one_worker[] = YAML(1, "", "{out_of_orderness: 300ms}");
static const char three_workers[] = YAML(3, "", "{out_of_orderness: 300ms}");
static const char by_hand[] = YAML(1, "", "source");
static const char by_hand_three[] = YAML(3, "", "source");
static const char at_least_once[] = YAML(1, ", barriers: at_least_once", "source");

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*seed >> 33);
}

static void add_rows(flow_fixture *f, uint64_t seed, int rows)
{
    for (int i = 0; i < rows; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%u", next_random(&seed) % 5);
        int64_t v = next_random(&seed) % 12, t = i * 40 + (int64_t)(next_random(&seed) % 600);
        flow_kvt(f, next_random(&seed) % 2 ? "a" : "b", key, v, t);
        if (next_random(&seed) % 20 == 0)
            flow_row(f, "a", "not json");
    }
}

// Arrivals wait until they are let in one by one.
static void hold_back(flow_fixture *f, uint32_t *counts)
{
    for (uint32_t i = 0; i < f->plan->source_count; i++) {
        counts[i] = f->sources[i].count;
        f->sources[i].count = 0;
    }
}

static bool let_one_in(flow_fixture *f, const uint32_t *counts, uint64_t *seed)
{
    uint32_t first = next_random(seed) % 2;
    for (uint32_t k = 0; k < 2; k++) {
        flow_source *source = &f->sources[(first + k) % 2];
        if (source->count < counts[(first + k) % 2]) {
            source->count++;
            return true;
        }
    }
    return false;
}

static void finish(flow_fixture *f)
{
    flow_end(f, "a");
    flow_end(f, "b");
    flow_run(f);
    assert_int_equal(f->finishes > 0, true);
}

// Recovers at every row; results that the crash took back come again with the same ids.
static void at_every_row(const char *yaml, uint64_t seed, bool crash_late, bool whole)
{
    flow_fixture *plain = flow_open(yaml, 0), *broken = flow_open(yaml, 1 + seed % 3);
    uint32_t counts[FLOW_SOURCES];
    uint64_t order = seed, other = seed;
    add_rows(plain, seed, 120);
    add_rows(broken, seed, 120);
    broken->whole = whole;
    hold_back(plain, counts);
    while (let_one_in(plain, counts, &order))
        flow_run(plain);
    finish(plain);
    hold_back(broken, counts);
    while (let_one_in(broken, counts, &other)) {
        flow_run(broken);
        if (!crash_late || next_random(&order) % 3 == 0)
            flow_checkpoint(broken);
        if (broken->barrier > 0 && (!crash_late || next_random(&order) % 4 == 0))
            flow_recover(broken, false);
    }
    finish(broken);
    assert_true(plain->result_count > 60);
    flow_expect_same(plain, broken);
    flow_close(plain);
    flow_close(broken);
}

static void recovery_at_every_row(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        at_every_row(one_worker, seed, false, seed % 2);
        at_every_row(three_workers, seed, false, seed % 2);
    }
}

static void recovery_now_and_then(void **state)
{
    (void)state;
    for (uint64_t seed = 11; seed <= 20; seed++) {
        at_every_row(one_worker, seed, true, false);
        at_every_row(three_workers, seed, true, false);
    }
}

// ---- idleness over a restart

static void idleness_is_restored(const char *yaml)
{
    flow_fixture *f = flow_open(yaml, 0);
    flow_kvt(f, "a", "x", 1, 10);
    flow_watermark(f, "a", 500);
    flow_status(f, "b", 'I');
    flow_run(f);
    flow_checkpoint(f);
    flow_recover(f, false);
    flow_watermark(f, "a", 999);
    flow_run(f);
    uint32_t fired = f->result_count;
    assert_true(fired >= 2); // the count and the sum
    flow_checkpoint(f);
    flow_recover(f, false);
    flow_status(f, "b", 'A'); // also those who know only of its status hear that it is back
    flow_kvt(f, "b", "x", 1, 1500);
    flow_watermark(f, "b", 1999);
    flow_run(f);
    assert_int_equal(f->result_count, fired);
    flow_watermark(f, "a", 1999);
    flow_run(f);
    assert_int_equal(f->result_count, fired + 1);
    flow_status(f, "a", 'I');
    flow_status(f, "b", 'I');
    flow_run(f);
    flow_checkpoint(f);
    flow_recover(f, false);
    flow_status(f, "a", 'A');
    flow_status(f, "b", 'A');
    flow_kvt(f, "b", "x", 1, 2500);
    flow_watermark(f, "a", 2999);
    flow_watermark(f, "b", 2999);
    flow_run(f);
    assert_int_equal(f->result_count, fired + 2);
    flow_close(f);
}

static void idleness_over_a_restart(void **state)
{
    (void)state;
    idleness_is_restored(by_hand);
    idleness_is_restored(by_hand_three);
}

// ---- another parallelism, and back

static void change_workers(flow_fixture *f, const char *yaml)
{
    leat_flow_destroy(f->flow);
    leat_plan_destroy(f->plan);
    f->plan = flow_compile(f, yaml);
    flow_back_to_cut(f);
    flow_restore(f, false);
}

static void another_parallelism(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(by_hand_three, 0), *plain = flow_open(by_hand, 0);
    flow_fixture *both[] = {f, plain};
    for (int round = 0; round < 9; round++) {
        for (int i = 0; i < 2; i++) {
            for (int k = 0; k < 7; k++) {
                char key[8];
                snprintf(key, sizeof key, "k%d", k);
                flow_kvt(both[i], k % 2 ? "a" : "b", key, round + k, round * 500 + k * 100);
            }
            flow_watermark(both[i], "a", round * 500 + 499);
            if (round == 2 || round == 6)
                flow_status(both[i], "b", 'I');
            if (round == 4 || round == 8)
                flow_status(both[i], "b", 'A');
            flow_watermark(both[i], "b", round * 500 + 499);
            flow_run(both[i]);
        }
        flow_checkpoint(f);
        change_workers(f, round % 2 ? by_hand_three : by_hand);
        for (uint32_t i = 0; i < f->plan->node_count; i++) {
            leat_flow_figures one, two;
            leat_flow_measure(f->flow, i, &one);
            leat_flow_measure(plain->flow, i, &two);
            assert_int_equal(one.watermark_ms, two.watermark_ms);
        }
    }
    finish(f);
    finish(plain);
    flow_expect_same(f, plain);
    flow_close(f);
    flow_close(plain);
}

// ---- savepoints

static void savepoint_starts_generators_anew(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(one_worker, 0);
    flow_kvt(f, "a", "x", 1, 5000);
    flow_kvt(f, "b", "x", 1, 5000);
    flow_run(f);
    flow_checkpoint(f);
    flow_recover(f, true);
    for (uint32_t i = 0; i < f->plan->node_count; i++) {
        leat_flow_figures figures;
        leat_flow_measure(f->flow, i, &figures);
        if (f->plan->nodes[i].kind == LEAT_NODE_SOURCE)
            assert_int_equal(figures.watermark_ms, LEAT_TIME_NONE);
    }
    flow_kvt(f, "a", "x", 1, 1000);
    flow_run(f);
    flow_close(f);
}

// A savepoint beside the checkpoints leaves their marks of change as they are.
static void savepoint_keeps_marks(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(one_worker, 0);
    flow_kvt(f, "a", "x", 1, 5000);
    flow_kvt(f, "b", "x", 9, 5000);
    flow_run(f);
    f->keep_marks = f->whole = true;
    flow_checkpoint(f);
    f->keep_marks = f->whole = false;
    for (uint32_t i = 0; i < f->entry_count; i++)
        f->entries[i].live = false; // the savepoint went elsewhere
    flow_checkpoint(f);
    flow_recover(f, false);
    flow_kvt(f, "a", "x", 1, 10); // late: it is if the watermarks came back
    flow_run(f);
    assert_int_equal(f->rule_drops[0].counts[LEAT_DROP_LATE] + f->rule_drops[1].counts[LEAT_DROP_LATE] +
                         f->rule_drops[2].counts[LEAT_DROP_LATE] + f->rule_drops[3].counts[LEAT_DROP_LATE],
                     1);
    flow_close(f);
}

// ---- alignment

// The union's task gets a barrier from a before b's: what a sends behind it has to wait.
static void alignment(const char *yaml, bool aligned)
{
    flow_fixture *f = flow_open(yaml, 1);
    leat_task *union_task = NULL;
    for (uint32_t t = 0; t < f->flow->task_count; t++) {
        leat_task *task = &f->flow->tasks[t];
        if (task->nodes[0].operator&& task->input_count == 2)
            union_task = task;
    }
    assert_non_null(union_task);
    leat_task *a = f->flow->sources[flow_source_index(f, "a")]->task,
              *b = f->flow->sources[flow_source_index(f, "b")]->task;
    leat_flow_barrier(f->flow, ++f->barrier);
    flow_kvt(f, "a", "x", 1, 10);
    flow_kvt(f, "b", "x", 2, 10);
    while (leat_task_step(a) == LEAT_STEP_MORE) {
    }
    while (leat_task_step(union_task) == LEAT_STEP_MORE) {
    }
    assert_int_equal(f->cut_done, 0);
    assert_int_equal(union_task->nodes[0].rows_in, aligned ? 0 : 1);
    while (leat_task_step(b) == LEAT_STEP_MORE) {
    }
    while (leat_task_step(union_task) == LEAT_STEP_MORE) {
    }
    flow_run(f);
    assert_int_equal(f->cut_done, 1);
    assert_int_equal(union_task->nodes[0].rows_in, 2);
    flow_close(f);
}

static void barriers_align(void **state)
{
    (void)state;
    alignment(by_hand, true);
}

static void at_least_once_does_not_wait(void **state)
{
    (void)state;
    alignment(at_least_once, false);
}

// What a stuck barrier is told with: which task waits, and for what.
static void what_waits_for_what(void **state)
{
    (void)state;
    char text[512];
    flow_fixture *f = flow_open(one_worker, 1);
    leat_flow_waits(f->flow, text, sizeof text);
    assert_string_equal(text, "every task has let it pass");
    f->room = 0;
    for (int i = 0; i < 50; i++)
        flow_kvt(f, "a", "x", i, 1000 * i);
    assert_int_equal(flow_try(f), LEAT_OK);
    leat_flow_barrier(f->flow, ++f->barrier);
    assert_int_equal(flow_try(f), LEAT_OK);
    assert_int_equal(flow_try(f), LEAT_OK); // nothing moves, however often it is tried
    assert_int_equal(f->cut_done, 0);
    leat_flow_waits(f->flow, text, sizeof text);
    assert_non_null(strstr(text, "takes nothing"));
    char cut[8]; // shorter than the answer: cut off, and terminated
    leat_flow_waits(f->flow, cut, sizeof cut);
    assert_int_equal(strncmp(cut, text, 7), 0);
    assert_int_equal(strlen(cut), 7);
    f->room = -1;
    for (uint32_t i = 0; i < f->plan->sink_count; i++)
        leat_flow_wake_sink(f->flow, i);
    flow_run(f);
    assert_int_equal(f->cut_done, f->barrier);
    leat_flow_waits(f->flow, text, sizeof text);
    assert_string_equal(text, "every task has let it pass");
    flow_close(f);
}

static void every_node_has_its_part(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(three_workers, 0);
    uint32_t nodes = 0;
    for (uint32_t t = 0; t < f->flow->task_count; t++)
        nodes += f->flow->tasks[t].node_count;
    flow_checkpoint(f);
    assert_int_equal(f->parts, nodes);
    assert_int_equal(f->source_cuts, 2);
    flow_checkpoint(f);
    assert_int_equal(f->parts, 2 * nodes);
    flow_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovery_at_every_row),
        cmocka_unit_test(recovery_now_and_then),
        cmocka_unit_test(idleness_over_a_restart),
        cmocka_unit_test(another_parallelism),
        cmocka_unit_test(savepoint_starts_generators_anew),
        cmocka_unit_test(savepoint_keeps_marks),
        cmocka_unit_test(barriers_align),
        cmocka_unit_test(at_least_once_does_not_wait),
        cmocka_unit_test(every_node_has_its_part),
        cmocka_unit_test(what_waits_for_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
