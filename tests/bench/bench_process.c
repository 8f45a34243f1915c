// rising through the process operator against a loop by hand that raises the same alerts, same rows, same run; counts allocations on the way.
//
// Usage: bench_process [MILLION_ROWS]. Prints one line a key count: M rows/s by hand, M rows/s of the operator, their ratio (target 0.3),
// allocations after the first round.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "operators/base/hash.h"
#include "operators/core/spec.h"
#include "operators/expr/program.h"
#include "operators/functions/builtin.h"
#include "tests/support/harness.h"

extern const leat_operator_ops leat_operator_process_ops;

// Every key has 10 rows a second: alerts are rare, as in the field.
enum { DURATION_MS = 1000, ROUNDS = 3 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); // neighbours on the machine take none of it
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static uint64_t random_state = 1;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

typedef struct rows {
    size_t count;
    int64_t *key, *ts;
    double *value;
    uint64_t *cause;
} rows;

static rows make_rows(size_t count, uint32_t keys)
{
    rows r = {count, malloc(count * 8), malloc(count * 8), malloc(count * 8), malloc(count * 8)};
    for (size_t i = 0; i < count; i++) {
        r.key[i] = (int64_t)(leat_hash_mix(next_random() % keys + 1) | 1);
        r.ts[i] = (int64_t)(i * 100 / keys);
        r.value[i] = (double)(next_random() % 1000);
        r.cause[i] = i;
    }
    return r;
}

static void free_rows(rows *r)
{
    free(r->key);
    free(r->ts);
    free(r->value);
    free(r->cause);
}

// The first half of the rows makes the keys and their memory and is not timed.
static size_t warm_up(const rows *r) { return r->count / 2 / LEAT_BATCH_ROWS * LEAT_BATCH_ROWS; }

// ---- by hand

// As one would write it for this rule alone: a hash table with 50 % load, prefetched where it is large, and since all timers run equally
// long, a queue in which a timer that was put out is left standing. Alerts come in order of time under the same watermarks.
typedef struct hand_state {
    int64_t key; // 0: empty
    double last;
    int64_t timer_ms; // -1: none
} hand_state;
typedef struct hand_timer {
    uint32_t place;
    int64_t at_ms;
} hand_timer;

static inline uint64_t place_of(int64_t key, uint64_t mask)
{
    return ((uint64_t)key * 0x9e3779b97f4a7c15ULL >> 32) & mask;
}

static double by_hand(const rows *r, uint32_t keys, uint64_t *out_alerts)
{
    uint64_t size = 2;
    while (size < 2 * (uint64_t)keys)
        size *= 2;
    hand_state *states = calloc(size, sizeof *states);
    hand_timer *timers = malloc(r->count * sizeof *timers);
    uint64_t alerts = 0, first = 0, count = 0, mask = size - 1;
    double start = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (i == warm_up(r))
            start = seconds();
        if (keys > 100000 && i + 24 < r->count)
            __builtin_prefetch(&states[place_of(r->key[i + 24], mask)], 1);
        uint64_t place = place_of(r->key[i], mask);
        while (states[place].key != r->key[i] && states[place].key)
            place = (place + 1) & mask;
        hand_state *s = &states[place];
        if (!s->key) {
            *s = (hand_state){r->key[i], r->value[i], -1};
        } else if (r->value[i] < s->last) {
            s->timer_ms = -1;
        } else if (r->value[i] > s->last && s->timer_ms < 0) {
            s->timer_ms = r->ts[i] + DURATION_MS;
            timers[count++] = (hand_timer){(uint32_t)place, s->timer_ms};
        }
        s->last = r->value[i];
        if ((i + 1) % LEAT_BATCH_ROWS && i + 1 < r->count)
            continue;
        for (; first < count && timers[first].at_ms <= r->ts[i] - 1; first++) {
            hand_state *due = &states[timers[first].place];
            alerts += due->timer_ms == timers[first].at_ms;
            due->timer_ms = due->timer_ms == timers[first].at_ms ? -1 : due->timer_ms;
        }
    }
    double time = seconds() - start;
    free(states);
    free(timers);
    *out_alerts = alerts;
    return time;
}

// ---- the operator

static uint64_t emitted;

static void emit(leat_operator_context *context, unsigned output, leat_batch *batch)
{
    (void)context, (void)output;
    emitted += batch->selected;
}

static void wake_at(leat_operator_context *context, int64_t ms) { (void)context, (void)ms; }

static void make_spec(leat_arena *arena, const leat_schema *schema, leat_process_spec *spec)
{
    static uint32_t key_column = 0, time_column = 2;
    static const leat_process_state states[] = {{"last", LEAT_STATE_VALUE, LEAT_API_DOUBLE, 0},
                                                {"timer", LEAT_STATE_VALUE, LEAT_API_BIGINT, 0}};
    leat_process_table *table = leat_arena_new(arena, leat_process_table);
    *table = (leat_process_table){.key_count = 1, .key_columns = &key_column, .time_column = 2};
    leat_expr_scope scope = {.arena = arena};
    leat_program *value;
    leat_error error = {0};
    if (leat_program_compile(arena, leat_expr_column(&scope, 0, 1, schema->fields[1].type), NULL, &value, &error) !=
        LEAT_OK)
        abort();
    leat_process_argument *arguments = leat_arena_array(arena, leat_process_argument, 5);
    arguments[0].given = true;
    arguments[1] = (leat_process_argument){.given = true, .descriptor_count = 1, .descriptor_columns = &time_column};
    arguments[2] = (leat_process_argument){.given = true, .expression = value};
    arguments[3] = (leat_process_argument){
        .given = true, .type = leat_type_of(LEAT_KIND_INTERVAL), .scalar = {.i64 = DURATION_MS}};
    *spec = (leat_process_spec){.function = &leat_function_rising,
                                .argument_count = 5,
                                .arguments = arguments,
                                .table_count = 1,
                                .tables = table,
                                .state_count = 2,
                                .states = states,
                                .output_count = 1,
                                .emit_keys = true};
}

static void feed(leat_operator *operator, leat_batch * batch, const rows *r, size_t begin)
{
    leat_error error = {0};
    size_t count = r->count - begin < LEAT_BATCH_ROWS ? r->count - begin : LEAT_BATCH_ROWS;
    batch->count = batch->selected = (uint32_t)count;
    batch->columns[0].i64 = r->key + begin;
    batch->columns[1].f64 = r->value + begin;
    batch->columns[2].i64 = r->ts + begin;
    batch->event_ms = r->ts + begin;
    batch->cause = r->cause + begin;
    batch->watermark_after = r->ts[begin + count - 1] - 1;
    if (operator->ops->on_batch(operator, 0, batch, &error) != LEAT_OK) {
        printf("%s\n", error.message);
        exit(1);
    }
    operator->context->watermark_ms = batch->watermark_after;
}

static double by_operator(const rows *r, uint64_t *out_allocations)
{
    env_test *test = env_test_create();
    leat_env *env = env_test_env(test);
    leat_arena arena;
    leat_arena_init(&arena, env, 0);
    leat_error error = {0};
    leat_batch_pool *pool;
    leat_budget budget;
    leat_drops drops = {0};
    leat_budget_init(&budget, env, 0);
    if (leat_batch_pool_create(env, 64 << 20, &pool, &error) != LEAT_OK)
        exit(1);
    const leat_schema *input = harness_schema(&arena, "k:BIGINT,v:DOUBLE,ts:TIMESTAMP_LTZ*");
    const leat_schema *output =
        harness_schema(&arena, "k:BIGINT,alert_at:TIMESTAMP_LTZ,since:TIMESTAMP_LTZ,value:DOUBLE");
    leat_process_spec spec;
    make_spec(&arena, input, &spec);
    leat_operator_context context = {.env = env,
                                     .spec = &spec,
                                     .inputs = &input,
                                     .outputs = &output,
                                     .input_count = 1,
                                     .output_count = 1,
                                     .pool = pool,
                                     .arena = &arena,
                                     .budget = &budget,
                                     .drops = &drops,
                                     .parallelism = 1,
                                     .watermark_ms = LEAT_TIME_NONE,
                                     .emit = emit,
                                     .wake_at = wake_at};
    leat_operator *operator= leat_arena_calloc(&arena, leat_operator_process_ops.instance_size);
    operator->ops = & leat_operator_process_ops;
    operator->context = & context;
    if (operator->ops->open(operator, & error) != LEAT_OK || operator->ops->ready(operator, false, &error) != LEAT_OK)
        exit(1);
    leat_batch *batch = leat_batch_get_mark(pool, LEAT_ELEMENT_ROWS);
    batch->schema = input;
    batch->columns = leat_arena_array(&batch->arena, leat_column, 3);
    for (int i = 0; i < 3; i++)
        batch->columns[i].type = input->fields[i].type;
    double start = 0;
    for (size_t i = 0; i < r->count; i += LEAT_BATCH_ROWS) {
        if (i == warm_up(r)) {
            *out_allocations = test->alloc_count;
            start = seconds();
        }
        feed(operator, batch, r, i);
    }
    double time = seconds() - start;
    *out_allocations = test->alloc_count - *out_allocations;
    leat_batch_unref(batch);
    operator->ops->close(operator);
    leat_batch_pool_destroy(pool);
    leat_arena_fini(&arena);
    env_test_destroy(test);
    return time;
}

static void run(uint32_t keys, size_t count)
{
    rows r = make_rows(count, keys);
    double hand = 1e9, operator_time = 1e9;
    uint64_t alerts = 0, allocations = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double time = by_hand(&r, keys, &alerts);
        hand = time < hand ? time : hand;
        emitted = 0;
        time = by_operator(&r, &allocations);
        operator_time = time < operator_time ? time : operator_time;
    }
    printf(
        "rising %7u keys: by hand %6.1f M/s, operator %6.1f M/s, ratio %.2f (target 0.30), %llu alerts (by hand %llu), "
        "%llu allocations in the second half\n",
        keys, (double)(count - warm_up(&r)) / hand / 1e6, (double)(count - warm_up(&r)) / operator_time / 1e6,
        hand / operator_time, (unsigned long long)emitted, (unsigned long long)alerts, (unsigned long long)allocations);
    free_rows(&r);
    if (emitted != alerts)
        exit(1); // not the same rule
}

int main(int argc, char **argv)
{
    size_t count = (argc > 1 ? strtoul(argv[1], NULL, 10) : 8) * 1000000;
    static const uint32_t keys[] = {100, 10000, 1000000};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        size_t two_seconds = (size_t)keys[i] * 20; // with less no timer goes off
        run(keys[i], count > two_seconds ? count : two_seconds);
    }
    return 0;
}
