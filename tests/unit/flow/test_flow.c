// The flow stepped by hand: chaining, exchanges, backpressure, watermarks, the end, failure.
#include "tests/unit/flow/flow_fixture.h"

#define STREAM                                                                                                         \
    "{driver: script, format: json, fields: {k: string, v: bigint, t: timestamp_ms}, event_time: t, watermark: "
#define ASCENDING STREAM "{out_of_orderness: 0ms}}"
#define EXPLICIT STREAM "source}"
#define AGENT(workers) "agent: {name: gw, workers: " #workers ", time_zone: UTC}\n"
#define SUMS(from)                                                                                                     \
    "  sums: {sql: \"SELECT k, SUM(v) AS s FROM TABLE(TUMBLE(TABLE " from                                              \
    ", DESCRIPTOR(t), INTERVAL '1' SECOND)) GROUP BY k, window_start, window_end\", to: out}\n"

static const char filter_yaml[] = AGENT(1) "sources: {a: " ASCENDING "}\n"
                                           "rules: {r: {sql: \"SELECT k, v FROM a WHERE v > 0\", to: out}}\n"
                                           "sinks: {out: {driver: collect, format: json}}\n";
#define SUMS_YAML(workers)                                                                                             \
    AGENT(workers) "sources: {a: " EXPLICIT "}\nrules:\n" SUMS("a") "sinks: {out: {driver: collect, format: json}}\n"

// ---- shape

static void one_worker_is_one_task(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(SUMS_YAML(1), 0);
    assert_int_equal(leat_flow_task_count(f->flow), 1);
    flow_close(f);
}

static void instances_by_workers(void **state)
{
    (void)state;
    flow_fixture *two = flow_open(SUMS_YAML(2), 0), *four = flow_open(SUMS_YAML(4), 0);
    // The source's task, the aggregate's instances with what is chained to them, the sink's.
    assert_int_equal(leat_flow_task_count(two->flow), 1 + 2 + 1);
    assert_int_equal(leat_flow_task_count(four->flow), 1 + 4 + 1);
    leat_writer text;
    leat_writer_init(&text, &four->env->env, 4096);
    leat_flow_task_print(four->flow, 1, &text);
    assert_non_null(memmem(text.bytes, text.size, "[1 of 4]", 8));
    leat_writer_fini(&text);
    flow_close(two);
    flow_close(four);
}

static void rows_pass_in_order(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(filter_yaml, 0);
    flow_kvt(f, "a", "x", 1, 5);
    flow_kvt(f, "a", "y", -1, 6);
    flow_kvt(f, "a", "z", 2, 4);
    flow_run(f);
    flow_expect(f, "out+I {\"k\":\"x\",\"v\":1}@5\nout+I {\"k\":\"z\",\"v\":2}@4\n");
    assert_int_equal(flow_sink_watermark(f, "out"), 5);
    assert_int_equal(f->wait_ms, -1); // nothing to wake up for
    flow_close(f);
}

static void one_source_many_rules(void **state)
{
    static const char yaml[] =
        AGENT(1) "sources: {a: " ASCENDING "}\n"
                 "rules:\n  p: {sql: \"SELECT k FROM a WHERE v > 1\", to: [out, other]}\n"
                 "  q: {sql: \"SELECT v FROM a WHERE v < 3\", to: other}\n  r: {sql: \"SELECT k FROM p WHERE k = "
                 "'y'\", to: out}\n"
                 "sinks: {out: {driver: collect, format: json}, other: {driver: collect, format: json}}\n";
    (void)state;
    flow_fixture *f = flow_open(yaml, 1);
    flow_kvt(f, "a", "x", 1, 1);
    flow_kvt(f, "a", "y", 2, 2);
    flow_kvt(f, "a", "z", 3, 3);
    flow_run(f);
    uint32_t out = 0, other = 0;
    flow_text(f);
    for (uint32_t i = 0; i < f->result_count; i++)
        *(strcmp(f->plan->sinks[f->results[i].sink].name, "out") == 0 ? &out : &other) += 1;
    assert_int_equal(out, 2 + 1);
    assert_int_equal(other, 2 + 2);
    assert_int_equal(f->sources[0].next, 3); // read once
    flow_close(f);
}

// ---- keys

static void every_instance_sees_watermarks(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(SUMS_YAML(4), 0);
    flow_kvt(f, "a", "only", 7, 100);
    flow_watermark(f, "a", 999);
    flow_run(f);
    flow_expect(f, "out+I {\"k\":\"only\",\"s\":7}@999\n"); // all four channels of the sink have 999
    assert_int_equal(flow_sink_watermark(f, "out"), 999);
    flow_close(f);
}

static void same_key_same_instance(void **state)
{
    (void)state;
    flow_fixture *one = flow_open(SUMS_YAML(1), 0), *four = flow_open(SUMS_YAML(4), 3);
    for (int i = 0; i < 500; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%d", i % 37);
        flow_kvt(one, "a", key, i, i * 10);
        flow_kvt(four, "a", key, i, i * 10);
        if (i % 50 != 49)
            continue;
        flow_watermark(one, "a", i * 10 - 100);
        flow_watermark(four, "a", i * 10 - 100);
        flow_run(four);
    }
    flow_end(one, "a");
    flow_end(four, "a");
    flow_run(one);
    flow_run(four);
    assert_true(one->result_count > 37);
    flow_expect_same(one, four);
    flow_close(one);
    flow_close(four);
}

// ---- union

static const char union_yaml[] =
    AGENT(1) "sources: {a: " EXPLICIT ", b: " EXPLICIT
             "}\nrules:\n  u: {sql: \"SELECT k, v, t FROM a UNION ALL SELECT k, v, t FROM b\"}\n" SUMS(
                 "u") "sinks: {out: {driver: collect, format: json}}\n";

static void union_waits_for_the_minimum(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(union_yaml, 0);
    flow_kvt(f, "a", "x", 1, 10);
    flow_kvt(f, "b", "x", 2, 20);
    flow_watermark(f, "a", 5000);
    flow_run(f);
    assert_int_equal(f->result_count, 0);
    flow_watermark(f, "b", 998);
    flow_run(f);
    assert_int_equal(f->result_count, 0);
    flow_watermark(f, "b", 999);
    flow_run(f);
    flow_expect(f, "out+I {\"k\":\"x\",\"s\":3}@999\n");
    flow_close(f);
}

static void idle_source_is_left_out(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(union_yaml, 0);
    flow_kvt(f, "a", "x", 1, 10);
    flow_watermark(f, "a", 2000);
    flow_run(f);
    assert_int_equal(f->result_count, 0);
    flow_status(f, "b", 'I');
    flow_run(f);
    assert_int_equal(f->result_count, 1);
    flow_watermark(f, "b", 9000); // idle: not heard
    flow_run(f);
    assert_int_equal(flow_sink_watermark(f, "out"), 2000);
    flow_status(f, "b", 'A');
    flow_watermark(f, "b", 1500); // behind: stays out until it has caught up
    flow_watermark(f, "a", 3000);
    flow_run(f);
    assert_int_equal(flow_sink_watermark(f, "out"), 3000);
    flow_watermark(f, "b", 3500);
    flow_run(f);
    flow_watermark(f, "a", 4000);
    flow_run(f);
    assert_int_equal(flow_sink_watermark(f, "out"), 3500);
    flow_close(f);
}

// The end of a source that was idle is heard: everything fires.
static void end_of_an_idle_source(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(union_yaml, 0);
    flow_kvt(f, "a", "x", 1, 10);
    flow_status(f, "a", 'I');
    flow_status(f, "b", 'I');
    flow_end(f, "a");
    flow_end(f, "b");
    flow_run(f);
    assert_int_equal(f->result_count, 1);
    assert_int_equal(flow_sink_watermark(f, "out"), INT64_MAX);
    assert_int_equal(f->finishes, 1);
    flow_close(f);
}

static void idle_by_time(void **state)
{
    static const char yaml[] =
        AGENT(1) "sources: {a: " STREAM "{out_of_orderness: 0ms, idle: 10s}}, b: " ASCENDING "}\n"
                 "rules:\n  u: {sql: \"SELECT k, v, t FROM a UNION ALL SELECT k, v, t FROM b\"}\n" SUMS("u") //
        "sinks: {out: {driver: collect, format: json}}\n";
    (void)state;
    flow_fixture *f = flow_open(yaml, 0);
    flow_kvt(f, "b", "x", 1, 10);
    flow_kvt(f, "b", "x", 1, 2001);
    flow_run(f);
    assert_int_equal(f->result_count, 0);
    assert_int_equal(f->wait_ms, 10000); // the only thing to wake up for
    flow_clock(f, f->now_ms + 9999);
    assert_int_equal(f->result_count, 0);
    assert_int_equal(f->wait_ms, 1);
    flow_clock(f, f->now_ms + 1);
    assert_int_equal(f->result_count, 1);
    assert_int_equal(f->wait_ms, -1);
    flow_kvt(f, "a", "x", 5, 3000);
    flow_run(f);
    assert_int_equal(f->wait_ms, 10000);
    flow_close(f);
}

// ---- backpressure

static void full_outbox(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(filter_yaml, 16);
    f->room = 0;
    for (int i = 1; i <= 2000; i++)
        flow_kvt(f, "a", "x", i, i);
    flow_end(f, "a");
    flow_run(f);
    uint32_t asked = f->sources[0].asked;
    assert_true(f->sources[0].next <= 32); // it stopped reading
    flow_run(f);
    assert_int_equal(f->sources[0].asked, asked);
    for (int i = 0; f->result_count < 2000; i++) {
        assert_true(i < 2000);
        assert_int_equal(f->finishes, 0);
        f->room = 1 + i % 40;
        leat_flow_wake_sink(f->flow, 0);
        flow_run(f);
    }
    f->room = -1;
    flow_run(f);
    flow_text(f); // sequences without gaps
    for (int i = 0; i < 2000; i++)
        assert_int_equal(f->results[i].event_ms, i + 1);
    assert_int_equal(f->finishes, 1);
    flow_close(f);
}

static void full_outbox_behind_rings(void **state)
{
    static const char yaml[] = AGENT(2) "sources: {a: " EXPLICIT "}\nrules:\n" SUMS(
        "a") "  r: {sql: \"SELECT k, v FROM a\", to: out}\nsinks: {out: {driver: collect, format: json}}\n";
    (void)state;
    flow_fixture *f = flow_open(yaml, 1);
    f->room = 0;
    for (int i = 0; i < 3000; i++)
        flow_kvt(f, "a", i % 2 ? "x" : "y", 1, i);
    flow_end(f, "a");
    flow_run(f);
    assert_true(f->sources[0].next < 200); // a ring, and what was under way
    for (int i = 0; f->finishes == 0; i++) {
        assert_true(i < 10000);
        f->room = 7;
        leat_flow_wake_sink(f->flow, 0);
        flow_run(f);
    }
    flow_text(f);
    assert_int_equal(f->result_count, 3000 + 6);
    flow_close(f);
}

// A barrier must not pass between an operator's state and a result that has found no room.
static void barrier_waits_for_held_results(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(SUMS_YAML(1), 0);
    f->room = 0;
    flow_kvt(f, "a", "x", 1, 10);
    flow_watermark(f, "a", 999);
    flow_run(f);
    leat_flow_barrier(f->flow, ++f->barrier);
    flow_run(f);
    assert_int_equal(f->cut_done, 0);
    f->room = -1;
    flow_run(f);
    assert_int_equal(f->cut_done, 1);
    flow_recover(f, false);
    flow_watermark(f, "a", 5000);
    flow_run(f);
    flow_expect(f, "out+I {\"k\":\"x\",\"s\":1}@999\n");
    flow_close(f);
}

// ---- the end

static void bounded_run(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 4; workers += 3) {
        flow_fixture *f = flow_open(workers == 1 ? SUMS_YAML(1) : SUMS_YAML(4), 0);
        flow_kvt(f, "a", "x", 1, 10);
        flow_run(f);
        assert_int_equal(f->result_count, 0);
        flow_end(f, "a");
        flow_run(f);
        assert_int_equal(f->result_count, 1);
        assert_int_equal(f->finishes, 1);
        assert_int_equal(f->sources[0].ends, 1);
        assert_int_equal(flow_sink_watermark(f, "out"), INT64_MAX);
        flow_checkpoint(f); // barriers follow the end
        flow_checkpoint(f);
        flow_run(f);
        assert_int_equal(f->finishes, 1);
        flow_recover(f, false); // and what they cut is an ended run
        flow_run(f);
        assert_int_equal(f->result_count, 1);
        assert_int_equal(f->finishes, 2); // of the new flow
        flow_close(f);
    }
}

static void one_source_ends_before_the_other(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(union_yaml, 0);
    flow_kvt(f, "a", "x", 1, 10);
    flow_end(f, "a");
    flow_run(f);
    flow_checkpoint(f);
    assert_int_equal(f->finishes, 0);
    flow_recover(f, false);
    flow_kvt(f, "b", "x", 2, 20);
    flow_watermark(f, "b", 999);
    flow_run(f);
    flow_expect(f, "out+I {\"k\":\"x\",\"s\":3}@999\n");
    flow_end(f, "b");
    flow_checkpoint(f);
    assert_int_equal(f->finishes, 1);
    flow_close(f);
}

static void end_sources(void **state)
{
    (void)state;
    for (int drain = 0; drain < 2; drain++) {
        flow_fixture *f = flow_open(SUMS_YAML(1), 0);
        flow_kvt(f, "a", "x", 1, 10);
        flow_run(f);
        leat_flow_end_sources(f->flow, drain);
        flow_kvt(f, "a", "x", 1, 20);
        flow_run(f);
        assert_int_equal(f->sources[0].next, 1); // no further arrivals
        assert_int_equal(f->result_count, drain);
        assert_int_equal(f->finishes, 1);
        flow_close(f);
    }
}

// ---- sources

static const char rejected_yaml[] =
    AGENT(1) "sources: {a: " ASCENDING
             "}\nrules:\n  bad: {sql: \"SELECT payload, `column` AS c FROM a.rejected\", to: bad}\n"
             "  r: {sql: \"SELECT k FROM a\", to: out}\n"
             "sinks: {out: {driver: collect, format: json}, bad: {driver: collect, format: json}}\n";

static void rejected_rows(void **state)
{
    (void)state;
    flow_fixture *one = flow_open(rejected_yaml, 1), *all = flow_open(rejected_yaml, 0);
    flow_fixture *both[] = {one, all};
    for (int i = 0; i < 2; i++) {
        flow_row(both[i], "a", "nonsense");
        flow_kvt(both[i], "a", "x", 1, 1);
        flow_row(both[i], "a", "{\"k\":\"y\",\"v\":\"text\",\"t\":2}");
        flow_row(both[i], "a",
                 "[{\"k\":\"p\",\"v\":1,\"t\":3},{\"k\":\"q\",\"v\":[],\"t\":3},{\"k\":\"r\",\"v\":1,\"t\":3}]");
        flow_row(both[i], "a", "{\"k\":\"timeless\",\"v\":1}");
        flow_run(both[i]);
    }
    assert_true(one->result_count >= 6);
    uint64_t dropped = 0;
    for (int i = 0; i < LEAT_DROP_CAUSES; i++)
        dropped += one->sources[0].drops.counts[i];
    assert_int_equal(dropped, 4);
    assert_int_equal(one->sources[0].drops.counts[LEAT_DROP_NULL_TIME], 1);
    flow_expect_same(one, all); // ids do not depend on where batches were cut
    flow_close(one);
    flow_close(all);
}

// One arrival with more rows than a batch has place for: no barrier comes in its middle.
static void large_arrival(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(filter_yaml, 4);
    char json[8192] = "[";
    for (int i = 1; i <= 100; i++)
        snprintf(json + strlen(json), sizeof json - strlen(json), "%s{\"k\":\"x\",\"v\":%d,\"t\":%d}", i > 1 ? "," : "",
                 i, i);
    strcat(json, "]");
    flow_row(f, "a", json);
    flow_kvt(f, "a", "y", 1, 200);
    f->room = 10;
    flow_run(f);
    leat_flow_barrier(f->flow, ++f->barrier);
    while (f->result_count < 100) {
        assert_int_equal(f->cut_done, 0);
        f->room = 10;
        flow_run(f);
    }
    f->room = -1;
    flow_run(f);
    assert_int_equal(f->cut_done, 1);
    assert_true(f->sources[0].cut >= 1);
    assert_int_equal(f->result_count, 101);
    for (uint32_t i = 1; i < f->result_count; i++)
        assert_int_not_equal(f->results[i].id, f->results[i - 1].id);
    flow_close(f);
}

static const char clock_yaml[] =
    AGENT(1) "sources: {a: {driver: script, format: json, fields: {k: string, v: bigint}}}\nrules:\n"
             "  sums: {sql: \"SELECT k, SUM(v) AS s FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' SECOND)) "
             "GROUP BY k, "
             "window_start, window_end\", to: out}\n"
             "sinks: {out: {driver: collect, format: json}}\n";

static void clock_watermarks(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(clock_yaml, 0);
    flow_row(f, "a", "{\"k\":\"x\",\"v\":1}");
    flow_run(f);
    assert_in_range(f->wait_ms, 1, 100);
    flow_clock(f, 1000999);
    assert_int_equal(f->result_count, 0);
    flow_clock(f, 1001000);
    flow_expect(f, "out+I {\"k\":\"x\",\"s\":1}@1000999\n");
    flow_close(f);
}

// A reading that was under way when the clock moved event time is not late.
static void arrival_is_never_late(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(clock_yaml, 0);
    flow_clock(f, 1000500);
    f->now_ms = 1000100;
    flow_row(f, "a", "{\"k\":\"x\",\"v\":1}");
    f->now_ms = 1000500;
    flow_run(f);
    flow_clock(f, 1001000);
    assert_int_equal(f->result_count, 1);
    assert_int_equal(f->rule_drops[0].counts[LEAT_DROP_LATE], 0);
    flow_close(f);
}

// ---- timers and failure

static const char silent_yaml[] = AGENT(
    1) "sources: {a: {driver: script, format: json, fields: {k: string, v: bigint}}}\nrules:\n"
       "  quiet: {detect: silent, from: a, key: k, for: 5s, to: out}\nsinks: {out: {driver: collect, format: json}}\n";

static void processing_timers(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(silent_yaml, 0);
    flow_row(f, "a", "{\"k\":\"x\",\"v\":1}");
    flow_run(f);
    assert_int_equal(f->result_count, 0);
    for (int i = 0; i < 100 && f->result_count == 0; i++) {
        assert_true(f->wait_ms >= 0);
        flow_clock(f, f->now_ms + (f->wait_ms > 0 ? f->wait_ms : 1));
    }
    assert_int_equal(f->result_count, 1);
    assert_in_range(f->now_ms, 1005000, 1005200);
    flow_close(f);
}

// What a timer made and found no room for belongs to the cut; and while it waits for room nobody looks at the clock.
static void timer_before_a_barrier(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(silent_yaml, 0);
    flow_row(f, "a", "{\"k\":\"x\",\"v\":1}");
    flow_run(f);
    f->room = 0;
    f->now_ms = 1006000;
    leat_flow_barrier(f->flow, ++f->barrier);
    flow_run(f);
    flow_clock(f, 1007000);
    assert_int_equal(f->cut_done, 0);
    assert_int_equal(f->wait_ms, -1);
    f->room = -1;
    flow_run(f);
    assert_int_equal(f->cut_done, 1);
    flow_recover(f, false);
    flow_run(f);
    assert_int_equal(f->result_count, 1);
    flow_close(f);
}

static void failure_is_told_once(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(filter_yaml, 1);
    f->refuse = LEAT_E_IO;
    flow_kvt(f, "a", "x", 1, 1);
    flow_kvt(f, "a", "x", 2, 2);
    flow_end(f, "a");
    assert_int_equal(flow_try(f), LEAT_E_IO);
    assert_int_equal(flow_try(f), LEAT_E_IO);
    assert_int_equal(f->failures, 1);
    assert_string_equal(f->failure, "the sink refuses");
    leat_flow_barrier(f->flow, 1);
    assert_int_equal(flow_try(f), LEAT_E_IO);
    assert_int_equal(f->cut_done, 0); // a failed task cuts nothing
    assert_int_equal(f->finishes, 0);
    assert_int_equal(f->result_count, 0);
    flow_close(f);
}

static void figures_and_holder(void **state)
{
    (void)state;
    flow_fixture *f = flow_open(union_yaml, 0);
    flow_kvt(f, "a", "x", 1, 10);
    flow_watermark(f, "a", 500);
    flow_watermark(f, "b", 100);
    flow_run(f);
    bool held = false;
    for (uint32_t i = 0; i < f->plan->node_count; i++) {
        leat_flow_figures figures;
        leat_flow_measure(f->flow, i, &figures);
        held |= figures.holder && strcmp(figures.holder, "source/b") == 0;
        if (f->plan->nodes[i].kind == LEAT_NODE_SOURCE && f->plan->nodes[i].index == 0)
            assert_int_equal(figures.rows_in, 1);
    }
    assert_true(held);
    assert_int_equal(leat_flow_heartbeat(f->flow), UINT64_MAX);
    flow_close(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_is_one_task),
        cmocka_unit_test(instances_by_workers),
        cmocka_unit_test(rows_pass_in_order),
        cmocka_unit_test(one_source_many_rules),
        cmocka_unit_test(every_instance_sees_watermarks),
        cmocka_unit_test(same_key_same_instance),
        cmocka_unit_test(union_waits_for_the_minimum),
        cmocka_unit_test(idle_source_is_left_out),
        cmocka_unit_test(end_of_an_idle_source),
        cmocka_unit_test(idle_by_time),
        cmocka_unit_test(full_outbox),
        cmocka_unit_test(full_outbox_behind_rings),
        cmocka_unit_test(barrier_waits_for_held_results),
        cmocka_unit_test(bounded_run),
        cmocka_unit_test(one_source_ends_before_the_other),
        cmocka_unit_test(end_sources),
        cmocka_unit_test(rejected_rows),
        cmocka_unit_test(large_arrival),
        cmocka_unit_test(clock_watermarks),
        cmocka_unit_test(arrival_is_never_late),
        cmocka_unit_test(processing_timers),
        cmocka_unit_test(timer_before_a_barrier),
        cmocka_unit_test(failure_is_told_once),
        cmocka_unit_test(figures_and_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
