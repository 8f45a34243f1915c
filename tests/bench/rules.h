// What benchmarks of single operators share: one stream of rows, a loop by hand and the operator on it, medians of rounds, one line a table row.
//
// Rows: random integer keys, whole numbers from 0 to 999 as values, times that rise, a watermark before every row which is 1 ms behind the
// row before. The first half of a run makes the keys and fills what is kept; it is not timed. With snapshots the operator's changes are copied
// every SECOND_ROWS rows, which is what a loaded machine sees in a second. Both sides get the same batches, made outside the timed part,
// and must give the same results: their number and a sum over all of them, in any order.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/hash.h"
#include "operators/core/spec.h"
#include "tests/support/harness.h"

enum {
    ROWS = LEAT_BATCH_ROWS,
    BLOCK = 16,
    SECOND_ROWS = 1 << 20,
    POOL_ROWS = 1 << 22,
    ROUNDS = 5,
    ROUNDS_MAX = 99,
    AHEAD = 24
};

static inline void must(leat_code code, const leat_error *error)
{
    if (code == LEAT_OK)
        return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

static inline void *must_have(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

// ---- rows

struct stream_rows;
typedef struct stream {
    int64_t *keys; // scattered over 64 bits, never 0
    double *values;
    uint64_t key_count, rows; // rows of a run
    uint64_t ms, per_rows;    // time of a row: start_ms + number * ms / per_rows
    int64_t start_ms;
    unsigned inputs; // batches go to them in turn; each has times of its own
    void (*refill)(const struct stream *s, uint64_t batch, struct stream_rows *rows); // NULL: they stay as they are
} stream;

typedef struct stream_rows { // a batch
    const int64_t *keys;
    const double *values;
    int64_t times[ROWS], watermarks[ROWS];
    int64_t watermark_after;
    unsigned input;
    bool changes; // kinds tells them
    // -- where a refill puts rows
    uint8_t kinds[ROWS];
    int64_t own_keys[ROWS];
    double own_values[ROWS];
} stream_rows;

static inline stream stream_make(uint64_t key_count)
{
    stream s = {.keys = must_have(malloc(POOL_ROWS * sizeof(int64_t))),
                .values = must_have(malloc(POOL_ROWS * sizeof(double))),
                .key_count = key_count,
                .inputs = 1};
    uint64_t x = 88172645463325252ULL;
    for (uint64_t i = 0; i < POOL_ROWS; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        s.keys[i] = (int64_t)leat_hash_mix(x % key_count + 1);
        s.values[i] = (double)((x >> 40) % 1000);
    }
    return s;
}

static inline void stream_free(stream *s)
{
    free(s->keys);
    free(s->values);
}

static inline int64_t stream_time(const stream *s, uint64_t row)
{
    return s->start_ms + (int64_t)(row * s->ms / s->per_rows);
}

// With several inputs the watermark is that of the slowest one: it rises behind the last of them.
static inline void stream_fill(const stream *s, uint64_t batch, stream_rows *rows)
{
    uint64_t first = batch / s->inputs * ROWS;
    rows->keys = s->keys + batch * ROWS % POOL_ROWS;
    rows->values = s->values + batch * ROWS % POOL_ROWS;
    rows->input = (unsigned)(batch % s->inputs);
    rows->changes = false;
    for (uint32_t i = 0; i < ROWS; i++)
        rows->times[i] = stream_time(s, first + i);
    int64_t before = first ? stream_time(s, first - 1) - 1 : LEAT_TIME_NONE;
    for (uint32_t i = 0; i < ROWS; i++)
        rows->watermarks[i] = s->inputs > 1 || !i ? before : rows->times[i - 1] - 1;
    rows->watermark_after = rows->input + 1 == s->inputs ? rows->times[ROWS - 1] - 1 : before;
    if (s->refill)
        s->refill(s, batch, rows);
}

// ---- results

typedef struct results {
    uint64_t count, sum;
} results;

static inline void results_add(results *r, int64_t key, double value, unsigned kind)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    r->sum += ((uint64_t)key ^ bits) * (kind + 1);
    r->count++;
}

// ---- by hand: keys at places of a table with open addressing and half load; what a rule knows of a key stands at the same place.

typedef struct hand_keys {
    int64_t *keys; // 0: empty
    uint64_t mask;
    bool large; // beyond the cache: prefetched
} hand_keys;

static inline hand_keys hand_keys_make(const stream *s)
{
    uint64_t size = 16;
    while (size < 2 * s->key_count)
        size *= 2;
    return (hand_keys){must_have(calloc(size, sizeof(int64_t))), size - 1, s->key_count > 5000};
}

static inline uint64_t hand_hash(const hand_keys *table, int64_t key)
{
    return ((uint64_t)key * 0x9e3779b97f4a7c15ULL >> 32) & table->mask;
}

static inline uint32_t hand_place(hand_keys *table, int64_t key)
{
    uint64_t place = hand_hash(table, key);
    while (table->keys[place] != key && table->keys[place])
        place = (place + 1) & table->mask;
    table->keys[place] = key;
    return (uint32_t)place;
}

// Fetches key and state of a later row of the batch.
static inline void hand_prefetch(const hand_keys *table, const stream_rows *rows, uint32_t i, const void *states,
                                 size_t size)
{
    if (!table->large || i + AHEAD >= ROWS)
        return;
    uint64_t place = hand_hash(table, rows->keys[i + AHEAD]);
    __builtin_prefetch(&table->keys[place], 1);
    __builtin_prefetch((const char *)states + place * size, 1);
}

enum { OUT_COLUMNS = 8 };
typedef struct hand_out { // where results are written to, column by column
    int64_t columns[OUT_COLUMNS][ROWS];
    results results;
} hand_out;

static inline uint32_t hand_out_row(hand_out *out) { return out->results.count % ROWS; }

static inline int64_t hand_bits(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// Rows that wait for the watermark, by time and arrival; nearly all come in that order.
typedef struct hand_waiting {
    int64_t time;
    double value;
    uint32_t place;
} hand_waiting;
typedef struct hand_queue {
    hand_waiting *items;
    uint64_t first, end, mask;
} hand_queue;

static inline hand_queue hand_queue_make(void)
{
    return (hand_queue){.items = must_have(malloc(1024 * sizeof(hand_waiting))), .mask = 1023};
}

static inline void hand_queue_grow(hand_queue *q)
{
    hand_queue more = {.items = must_have(malloc(2 * (q->mask + 1) * sizeof *q->items)), .mask = 2 * q->mask + 1};
    for (uint64_t i = q->first; i < q->end; i++)
        more.items[more.end++] = q->items[i & q->mask];
    free(q->items);
    *q = more;
}

static inline void hand_queue_add(hand_queue *q, hand_waiting row)
{
    if (q->end - q->first > q->mask)
        hand_queue_grow(q);
    uint64_t at = q->end++;
    for (; at > q->first && q->items[(at - 1) & q->mask].time > row.time; at--)
        q->items[at & q->mask] = q->items[(at - 1) & q->mask];
    q->items[at & q->mask] = row;
}

static inline bool hand_queue_due(const hand_queue *q, int64_t watermark)
{
    return q->first < q->end && q->items[q->first & q->mask].time <= watermark;
}

// ---- the operator

typedef struct engine {
    leat_env *env;
    leat_arena arena;
    leat_budget budget;
    leat_drops drops;
    leat_batch_pool *pool;
    leat_operator_context context;
    leat_operator *instance;
    const leat_schema *inputs[2], *outputs[1];
    leat_batch *batches[BLOCK];
    uint32_t sum_column;
    results results;
    char *stored; // where snapshots are copied to
    size_t stored_size;
} engine;

static engine *engine_self; // of the run

static inline void engine_emit(leat_operator_context *context, unsigned output, leat_batch *batch)
{
    (void)context, (void)output;
    const int64_t *keys = batch->selected ? batch->columns[0].i64 : NULL;
    const double *values = batch->selected ? batch->columns[engine_self->sum_column].f64 : NULL;
    for (uint32_t i = 0; i < batch->selected; i++) {
        uint32_t row = leat_batch_row(batch, i);
        results_add(&engine_self->results, keys[row], values[row], leat_batch_kind(batch, row));
    }
}

static inline void engine_wake_at(leat_operator_context *context, int64_t ms) { (void)context, (void)ms; }

// Each second writes over the one before.
enum { STORED_ROOM = 1 << 26 };
static inline void engine_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    (void)snapshot, (void)table, (void)group;
    if (engine_self->stored_size + key.size + value.size > STORED_ROOM)
        engine_self->stored_size = 0;
    memcpy(engine_self->stored + engine_self->stored_size, key.data, key.size);
    if (value.size)
        memcpy(engine_self->stored + engine_self->stored_size + key.size, value.data, value.size);
    engine_self->stored_size += key.size + value.size;
}

static inline void engine_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    engine_put(snapshot, table, group, key, (leat_slice){"", 0});
}

static inline void engine_snapshot(engine *e)
{
    leat_snapshot snapshot = {.put = engine_put, .remove = engine_remove};
    e->instance->ops->snapshot(e->instance, &snapshot);
}

#define ENGINE_INPUT "k:BIGINT,v:DOUBLE,ts:TIMESTAMP_LTZ*"

static inline void engine_begin(engine *e, unsigned inputs, const char *output, uint32_t sum_column)
{
    leat_error error;
    *e = (engine){.env = leat_env_posix(0), .stored = must_have(malloc(STORED_ROOM)), .sum_column = sum_column};
    engine_self = e;
    leat_arena_init(&e->arena, e->env, 1 << 16);
    leat_budget_init(&e->budget, e->env, 0);
    must(leat_batch_pool_create(e->env, 64 << 20, &e->pool, &error), &error);
    for (unsigned i = 0; i < inputs; i++)
        e->inputs[i] = harness_schema(&e->arena, ENGINE_INPUT);
    e->outputs[0] = harness_schema(&e->arena, output);
    e->context = (leat_operator_context){.env = e->env,
                                         .inputs = e->inputs,
                                         .outputs = e->outputs,
                                         .pool = e->pool,
                                         .input_count = inputs,
                                         .output_count = 1,
                                         .arena = &e->arena,
                                         .budget = &e->budget,
                                         .drops = &e->drops,
                                         .parallelism = 1,
                                         .watermark_ms = LEAT_TIME_NONE,
                                         .emit = engine_emit,
                                         .wake_at = engine_wake_at};
}

static inline void engine_batches(engine *e)
{
    for (unsigned i = 0; i < BLOCK; i++) {
        leat_batch *batch = e->batches[i] = leat_batch_get_rows(e->pool, e->inputs[0], ROWS);
        batch->watermark = leat_arena_alloc(&batch->arena, ROWS * sizeof(int64_t));
        batch->count = batch->selected = ROWS;
        for (uint32_t c = 0; c < 3; c++)
            batch->columns[c].nulls = NULL;
    }
}

static inline void engine_open(engine *e, const char *name, const void *spec)
{
    leat_error error;
    const leat_operator_ops *ops = leat_operator_find(name);
    e->context.spec = spec;
    e->instance = leat_env_calloc(e->env, ops->instance_size);
    e->instance->ops = ops;
    e->instance->context = &e->context;
    must(ops->open(e->instance, &error), &error);
    if (ops->ready)
        must(ops->ready(e->instance, false, &error), &error);
    engine_batches(e);
}

static inline void engine_close(engine *e)
{
    for (unsigned i = 0; i < BLOCK; i++)
        leat_batch_unref(e->batches[i]);
    e->instance->ops->close(e->instance);
    leat_env_free(e->env, e->instance, e->instance->ops->instance_size);
    leat_batch_pool_destroy(e->pool);
    leat_arena_fini(&e->arena);
    free(e->stored);
}

static inline void engine_fill(const stream *s, uint64_t number, stream_rows *rows, leat_batch *batch)
{
    batch->columns[0].values = (void *)(uintptr_t)rows->keys;
    batch->columns[1].values = (void *)(uintptr_t)rows->values;
    batch->columns[2].i64 = batch->event_ms = rows->times;
    if (s->inputs == 1)
        memcpy(batch->watermark, rows->watermarks, sizeof rows->watermarks);
    else
        batch->watermark = NULL;
    batch->watermark_after = rows->watermark_after;
    batch->row_kind = rows->changes ? rows->kinds : NULL;
    for (uint32_t i = 0; i < ROWS; i++)
        batch->cause[i] = number * ROWS + i;
}

static inline void engine_rows(engine *e, leat_batch *batch, unsigned input)
{
    leat_error error;
    must(e->instance->ops->on_batch(e->instance, input, batch, &error), &error);
    if (batch->watermark_after > e->context.watermark_ms)
        e->context.watermark_ms = batch->watermark_after;
}

// ---- both

typedef struct rule {
    const char *name;
    const char *output; // columns
    uint32_t sum_column;
    void *(*hand_open)(const stream *s);
    void (*hand_rows)(void *hand, const stream_rows *rows);
    results (*hand_close)(void *hand);
    const char *operator;
    const void *(*make_spec)(engine *e);
} rule;

static inline double now_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static stream_rows block_rows[BLOCK];

static inline void run_block(const rule *r, void *hand, engine *e)
{
    for (unsigned i = 0; i < BLOCK; i++)
        if (hand)
            r->hand_rows(hand, &block_rows[i]);
        else
            engine_rows(e, e->batches[i], block_rows[i].input);
}

// Million rows a second of the second half. The clock is a system call: it is read once for several batches.
static inline double run_rows(const rule *r, const stream *s, void *hand, engine *e, bool snapshots)
{
    double seconds = 0;
    for (uint64_t at = 0; at < s->rows; at += BLOCK * ROWS) {
        for (unsigned i = 0; i < BLOCK; i++) {
            stream_fill(s, at / ROWS + i, &block_rows[i]);
            if (!hand)
                engine_fill(s, at / ROWS + i, &block_rows[i], e->batches[i]);
        }
        double begin = now_seconds();
        run_block(r, hand, e);
        if (snapshots && (at + BLOCK * ROWS) % SECOND_ROWS == 0)
            engine_snapshot(e);
        seconds += at >= s->rows / 2 ? now_seconds() - begin : 0;
    }
    return (double)s->rows / 2 / seconds / 1e6;
}

static inline double run_hand(const rule *r, const stream *s, results *out_results)
{
    void *hand = r->hand_open(s);
    double rate = run_rows(r, s, hand, NULL, false);
    *out_results = r->hand_close(hand);
    return rate;
}

static inline double run_operator(const rule *r, const stream *s, bool snapshots, results *out_results)
{
    engine e;
    engine_begin(&e, s->inputs, r->output, r->sum_column);
    engine_open(&e, r->operator, r->make_spec(&e));
    double rate = run_rows(r, s, NULL, &e, snapshots);
    *out_results = e.results;
    engine_close(&e);
    return rate;
}

static inline int ascending(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

static inline double median(double *rates, unsigned rounds)
{
    qsort(rates, rounds, sizeof *rates, ascending);
    return rates[rounds / 2];
}

static inline void check_same(const rule *r, results hand, results found)
{
    if (hand.count == found.count && hand.sum == found.sum && hand.count)
        return;
    fprintf(stderr, "%s: %llu results with sum %llx by hand, %llu with %llx by the operator\n", r->name,
            (unsigned long long)hand.count, (unsigned long long)hand.sum, (unsigned long long)found.count,
            (unsigned long long)found.sum);
    exit(1);
}

// Medians of rounds in which every loop runs once, so that a neighbour on the machine slows all of them.
static inline void compare(const rule *r, const stream *s, unsigned rounds)
{
    double hand[ROUNDS_MAX], plain[ROUNDS_MAX], stored[ROUNDS_MAX];
    results by_hand, found = {0};
    for (unsigned i = 0; i < rounds; i++) {
        hand[i] = run_hand(r, s, &by_hand);
        plain[i] = run_operator(r, s, false, &found);
        check_same(r, by_hand, found);
        stored[i] = run_operator(r, s, true, &found);
        check_same(r, by_hand, found);
    }
    double h = median(hand, rounds), p = median(plain, rounds), k = median(stored, rounds);
    printf(
        "%-24s %8llu keys | by hand %7.2f M/s | operator %7.2f M/s %5.2f | snapshots %7.2f M/s %5.2f | %llu results\n",
        r->name, (unsigned long long)s->key_count, h, p, p / h, k, k / h, (unsigned long long)found.count);
    fflush(stdout);
}

// Arguments of a program: [million rows per run, twice as many for a million keys [only this number of keys, 0: all [rounds]]].
static inline void compare_all(const rule *rules, unsigned count, int argc, char **argv, uint64_t million,
                               void (*set_times)(stream *s))
{
    static const uint64_t key_counts[] = {100, 10000, 1000000};
    uint64_t only = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t rounds = argc > 3 ? strtoull(argv[3], NULL, 10) : ROUNDS;
    if (!rounds || rounds > ROUNDS_MAX)
        exit(2);
    for (unsigned r = 0; r < count; r++)
        for (unsigned i = 0; i < 3; i++) {
            if (only && only != key_counts[i])
                continue;
            stream s = stream_make(key_counts[i]);
            s.rows = (argc > 1 ? strtoull(argv[1], NULL, 10) : million) * SECOND_ROWS;
            s.rows *= key_counts[i] >= 1000000 ? 2 : 1; // so that each has several rows
            set_times(&s);
            compare(&rules[r], &s, (unsigned)rounds);
            stream_free(&s);
        }
}

// Every key has ten rows a second, as in the field. OVER takes rows up to time 0 for late.
static inline void ten_a_second(stream *s)
{
    s->start_ms = 1;
    s->ms = 100;
    s->per_rows = s->key_count;
}
