// A budget that ends anywhere: whatever keeps rows refuses cleanly, while rows come and while they are restored, and gives everything back.
#include "operators/core/order_encode.h"
#include "tests/unit/operators/joins.h"

#include "tests/unit/operators/aggregates.h"

extern const leat_operator_ops leat_operator_top_n_ops, leat_operator_dedup_ops, leat_operator_window_rank_ops,
    leat_operator_over_ops, leat_operator_over_sorted_ops, leat_operator_group_aggregate_ops,
    leat_operator_join_regular_ops, leat_operator_join_temporal_ops, leat_operator_join_interval_ops,
    leat_operator_join_window_ops;

#define SIDE "k:STRING,v:BIGINT,e:TIMESTAMP,ts:TIMESTAMP*"
#define BOTH SIDE ",k2:STRING,w:BIGINT,e2:TIMESTAMP,us:TIMESTAMP"

enum { ROWS = 240, KEYS = 40, STEP_MIN = 499, LIMIT_MAX = 130000 };

static const uint32_t keys[] = {0, 2}, unique[] = {1};
static const leat_order orders[] = {{.column = 1, .descending = true}, {.column = 0}};

typedef struct subject {
    const char *name;
    harness_setup setup;
    bool retracts; // some rows are taken back
} subject;

static unsigned mix(unsigned i) { return i * 2654435761u >> 12; }

// Keys and values come back; some rows go again, some that never came.
static void feed_row(harness *h, const subject *it, unsigned i)
{
    static const char *const kinds[] = {"+I", "-D", "-U", "+U"};
    char row[160];
    unsigned at = mix(i), key = at % 3 ? at / 3 % KEYS : 0, time = i + at % 7;
    const char *kind = it->retracts ? kinds[at % 11 < 4 ? at % 11 : 0] : "+I";
    snprintf(row, sizeof row, "%s a_key_that_is_not_short_%u,%u,%u,@@%u", kind, key, at % 5 ? at / 5 % 9 : i,
             (time / 20 + 1) * 20, time);
    harness_rows(h, it->setup.inputs[1] ? at / 64 % 2 : 0, row);
}

static void feed(harness *h, const subject *it)
{
    for (unsigned i = 0; i < ROWS && !harness_failed(h); i++) {
        feed_row(h, it, i);
        if (i % 60 == 59)
            harness_watermark(h, (int64_t)i - 30);
        if (i % 90 == 89)
            harness_snapshot(h);
    }
}

static void set_room(harness *h, size_t room)
{
    harness_context(h)->budget->limit = harness_context(h)->budget->used + room;
    harness_fails(h, LEAT_E_LIMIT, "budget");
}

static bool refused(harness *h)
{
    (void)harness_drops(h, LEAT_DROP_LATE); // delivers what is pending
    bool failed = harness_failed(h);
    harness_fails(h, LEAT_OK, NULL);
    return failed;
}

static bool rows_are_refused(const subject *it, size_t room)
{
    harness *h = harness_create(&it->setup, room & 1 ? HARNESS_SINGLE : HARNESS_WHOLE);
    set_room(h, room);
    feed(h, it);
    harness_end_of_time(h);
    bool is = refused(h);
    harness_destroy(h);
    return is;
}

static bool restore_is_refused(const subject *it, size_t room)
{
    harness *h = harness_create(&it->setup, HARNESS_WHOLE);
    size_t open = harness_context(h)->budget->used;
    feed(h, it);
    harness_snapshot(h);
    harness_context(h)->budget->limit = open + room;
    harness_fails(h, LEAT_E_LIMIT, "budget");
    harness_restore(h);
    bool is = refused(h);
    harness_destroy(h);
    return is;
}

// Longer ones where every instruction is emulated (./dev cross sets it).
static size_t step_behind(size_t room)
{
    return getenv("LEAT_TEST_ROUNDS") ? STEP_MIN * 8 + room / 2 : STEP_MIN + room / 8;
}

static void attack(const subject *it)
{
    unsigned rows = 0, restores = 0;
    for (size_t room = 0; room < LIMIT_MAX; room += step_behind(room)) {
        bool few = rows_are_refused(it, room), stored = restore_is_refused(it, room);
        rows += few;
        restores += stored;
        if (!few && !stored)
            break;
    }
    if (!rows || !restores)
        fail_msg("%s: refused %u times while rows came, %u times while they were restored", it->name, rows, restores);
}

// ---- who

static subject one(const char *name, const leat_operator_ops *ops, const void *spec, const char *output, bool retracts)
{
    return (subject){name,
                     {.ops = ops,
                      .spec = spec,
                      .inputs = {SIDE},
                      .outputs = {output},
                      .output_changelog = LEAT_CHANGELOG_RETRACT,
                      .start_ms = 1000},
                     retracts};
}

static subject two(const char *name, const leat_operator_ops *ops, const void *spec, bool left_only, bool retracts)
{
    subject it = one(name, ops, spec, left_only ? SIDE : BOTH, retracts);
    it.setup.inputs[1] = SIDE;
    return it;
}

static void test_top_n(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        leat_top_n_spec spec = {.input = i % 3,
                                .key_count = 1,
                                .key_columns = keys,
                                .order_count = 1 + i / 3 % 2,
                                .orders = orders,
                                .unique_count = 1,
                                .unique_columns = unique,
                                .from = 1,
                                .to = i / 3 == 3 ? 40 : 3,
                                .rank_output = i & 1,
                                .emit_before = true};
        subject it = one("top_n", &leat_operator_top_n_ops, &spec, i & 1 ? SIDE ",r:BIGINT" : SIDE,
                         spec.input == LEAT_TOP_N_RETRACT);
        attack(&it);
    }
}

static void test_dedup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        leat_dedup_spec spec = {.key_count = 1,
                                .key_columns = keys,
                                .time_column = -1,
                                .processing_time = i > 2,
                                .keep_last = i & 1,
                                .insert_only = i == 2,
                                .emit_before = true};
        subject it = one("dedup", &leat_operator_dedup_ops, &spec, SIDE, false);
        attack(&it);
    }
}

static void test_window_rank(void **state)
{
    (void)state;
    leat_window_rank_spec spec = {
        .key_count = 2, .key_columns = keys, .end_column = 2, .order_count = 2, .orders = orders, .from = 1, .to = 3};
    subject it = one("window_rank", &leat_operator_window_rank_ops, &spec, SIDE, false);
    attack(&it);
}

// Accumulators in their struct, and such as own memory.
static void test_aggregates(void **state)
{
    (void)state;
    static const char *const calls[] = {"SUM(v)", "ARRAY_AGG(k)", "MAX(k)"};
    static const char *const outputs[] = {"BIGINT", "ARRAY<STRING>", "STRING"};
    for (unsigned i = 0; i < 9; i++) {
        env_test *env = env_test_create();
        leat_arena arena;
        char over[96], group[96];
        leat_over_function function = {.kind = LEAT_OVER_AGGREGATE};
        leat_arena_init(&arena, env_test_env(env), 4096);
        leat_accumulators *set = aggregates_make(&arena, harness_schema(&arena, SIDE), calls[i % 3], i / 3 != 1).set;
        leat_over_sorted_spec sorted = {.range = i & 1,
                                        .key_count = 1,
                                        .key_columns = keys,
                                        .order = orders,
                                        .accumulators = set,
                                        .function_count = 1,
                                        .functions = &function};
        leat_over_spec timed = {.range = true,
                                .bounded = true,
                                .preceding = 50,
                                .time_column = -1,
                                .key_count = 1,
                                .key_columns = keys,
                                .accumulators = set,
                                .aggregate_count = 1,
                                .function_count = 1,
                                .functions = &function};
        leat_group_aggregate_spec groups = {.key_count = 1,
                                            .key_columns = keys,
                                            .accumulators = set,
                                            .aggregate_count = 1,
                                            .input_retracts = true,
                                            .emit_before = true};
        snprintf(over, sizeof over, SIDE ",a:%s", outputs[i % 3]);
        snprintf(group, sizeof group, "k:STRING,a:%s", outputs[i % 3]);
        subject subjects[] = {one("over", &leat_operator_over_ops, &timed, over, false),
                              one("over_sorted", &leat_operator_over_sorted_ops, &sorted, over, true),
                              one("group_aggregate", &leat_operator_group_aggregate_ops, &groups, group, true)};
        attack(&subjects[i / 3]);
        leat_arena_fini(&arena);
        env_test_destroy(env);
    }
}

static void test_join_regular(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        leat_join_kind kind = (leat_join_kind)(i % 6);
        leat_join_regular_spec spec = {
            .sides = joins_sides(kind, 4, 4), .unique_counts = {i / 6, 0}, .unique_columns = {unique, unique}};
        subject it = two("join_regular", &leat_operator_join_regular_ops, &spec, kind >= LEAT_JOIN_SEMI, true);
        attack(&it);
    }
}

static void test_join_temporal(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        leat_join_temporal_spec spec = {.sides = joins_sides(i & 1 ? LEAT_JOIN_LEFT : LEAT_JOIN_INNER, 4, 4),
                                        .time_columns = {3, 3},
                                        .processing_time = i > 1,
                                        .state_ttl_ms = i & 1 ? 5000 : 0};
        subject it = two("join_temporal", &leat_operator_join_temporal_ops, &spec, false, true);
        attack(&it);
    }
}

static void test_join_interval(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        leat_join_interval_spec spec = {
            .sides = joins_sides((leat_join_kind)i, 4, 4), .lower_ms = -20, .upper_ms = 30, .time_columns = {3, 3}};
        subject it = two("join_interval", &leat_operator_join_interval_ops, &spec, false, false);
        it.setup.outputs[1] = it.setup.outputs[2] = SIDE;
        attack(&it);
    }
}

static void test_join_window(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        leat_join_window_spec spec = {.sides = joins_sides((leat_join_kind)i, 4, 4)};
        spec.sides.key_count = 2;
        spec.sides.key_columns[0] = spec.sides.key_columns[1] = keys;
        subject it = two("join_window", &leat_operator_join_window_ops, &spec, i >= LEAT_JOIN_SEMI, false);
        attack(&it);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_n),         cmocka_unit_test(test_dedup),        cmocka_unit_test(test_window_rank),
        cmocka_unit_test(test_aggregates),    cmocka_unit_test(test_join_regular), cmocka_unit_test(test_join_temporal),
        cmocka_unit_test(test_join_interval), cmocka_unit_test(test_join_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
