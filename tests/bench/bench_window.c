// Windows against the best loop written by hand, in one program and one run: rows 1 to 4 of the table in README.md.
//
// Rows: random integer keys, doubles, a simulated second every million rows, a watermark before every row. Tumbling windows of
// ten seconds: AVG, MIN, MAX, COUNT. By hand: one table with open addressing and the four sums in the entry; the same
// with prefetch; and, as the ceiling, an array indexed by the key. Sessions: gap of five times a key's mean distance; by hand with
// the same table and a list by last row, which closes sessions in order of time as the operator does (their number is compared); as
// the ceiling a dense array that closes a session when its key comes again.
//
// Usage: bench_window [million rows per run [only this number of keys]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/hash.h"
#include "tests/unit/operators/aggregates.h"

enum { ROWS = LEAT_BATCH_ROWS, SECOND_ROWS = 1 << 20, POOL_ROWS = 1 << 22 };
static const int64_t WINDOW_MS = 10000;

typedef struct stream {
    int64_t *keys;     // scattered over 64 bits
    uint32_t *indexes; // the same, dense: for the loops that need no table
    double *values;
    uint64_t rows; // of a run
    uint64_t key_count;
} stream;

static double now_seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int64_t time_of(uint64_t row) { return (int64_t)(row * 1000 / SECOND_ROWS); }

static stream make_stream(uint64_t key_count, uint64_t rows)
{
    stream s = {.keys = malloc(POOL_ROWS * sizeof(int64_t)),
                .indexes = malloc(POOL_ROWS * sizeof(uint32_t)),
                .values = malloc(POOL_ROWS * sizeof(double)),
                .rows = rows,
                .key_count = key_count};
    uint64_t x = 88172645463325252ULL;
    for (uint64_t i = 0; i < POOL_ROWS; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        s.indexes[i] = (uint32_t)(x % key_count);
        s.keys[i] = (int64_t)leat_hash_mix(s.indexes[i] + 1);
        s.values[i] = (double)(x >> 40);
    }
    return s;
}

static void free_stream(stream *s)
{
    free(s->keys);
    free(s->indexes);
    free(s->values);
}

// ---- by hand

typedef struct hand_entry {
    int64_t key; // 0: empty
    int64_t count;
    double sum, min, max;
} hand_entry;

static volatile double sink;

static inline void hand_add(hand_entry *e, double value)
{
    if (e->count == 0) {
        e->min = e->max = value;
    } else {
        e->min = value < e->min ? value : e->min;
        e->max = value > e->max ? value : e->max;
    }
    e->count++;
    e->sum += value;
}

static double hand_flush(hand_entry *table, uint64_t size, double *out)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < size; i++)
        if (table[i].count) {
            out[n++ & 1023] = table[i].sum / (double)table[i].count + table[i].min + table[i].max;
            table[i].count = 0;
            table[i].sum = 0;
        }
    return out[0];
}

static inline uint64_t place_of(int64_t key, uint64_t mask)
{
    return ((uint64_t)key * 0x9e3779b97f4a7c15ULL >> 32) & mask;
}

static double hand_hash(const stream *s, bool prefetch)
{
    uint64_t size = 16;
    while (size < s->key_count * 2)
        size *= 2;
    hand_entry *table = calloc(size, sizeof *table);
    double out[1024], begin = now_seconds();
    int64_t end = WINDOW_MS;
    for (uint64_t at = 0; at < s->rows; at += ROWS) {
        const int64_t *keys = s->keys + at % POOL_ROWS;
        const double *values = s->values + at % POOL_ROWS;
        if (time_of(at) >= end) {
            sink = hand_flush(table, size, out);
            end += WINDOW_MS;
        }
        for (uint32_t i = 0; i < ROWS; i++) {
            if (prefetch && i + 24 < ROWS)
                __builtin_prefetch(&table[place_of(keys[i + 24], size - 1)], 1);
            uint64_t place = place_of(keys[i], size - 1);
            while (table[place].key != keys[i] && table[place].key)
                place = (place + 1) & (size - 1);
            table[place].key = keys[i];
            hand_add(&table[place], values[i]);
        }
    }
    double seconds = now_seconds() - begin;
    free(table);
    return (double)s->rows / seconds / 1e6;
}

static double hand_dense(const stream *s)
{
    hand_entry *table = calloc(s->key_count, sizeof *table);
    double out[1024], begin = now_seconds();
    int64_t end = WINDOW_MS;
    for (uint64_t at = 0; at < s->rows; at += ROWS) {
        const uint32_t *keys = s->indexes + at % POOL_ROWS;
        const double *values = s->values + at % POOL_ROWS;
        if (time_of(at) >= end) {
            sink = hand_flush(table, s->key_count, out);
            end += WINDOW_MS;
        }
        for (uint32_t i = 0; i < ROWS; i++) {
            if (s->key_count > 100000 && i + 24 < ROWS)
                __builtin_prefetch(&table[keys[i + 24]], 1);
            hand_add(&table[keys[i]], values[i]);
        }
    }
    double seconds = now_seconds() - begin;
    free(table);
    return (double)s->rows / seconds / 1e6;
}

typedef struct hand_session {
    int64_t last, count;
    double sum, min, max;
} hand_session;

static inline double hand_session_add(hand_session *e, int64_t time, int64_t gap, double value)
{
    double closed = 0;
    if (e->count && time - e->last > gap) {
        closed = e->sum / (double)e->count + e->min + e->max;
        e->count = 0;
        e->sum = 0;
    }
    e->min = e->count && e->min < value ? e->min : value;
    e->max = e->count && e->max > value ? e->max : value;
    e->last = time;
    e->count++;
    e->sum += value;
    return closed;
}

static double hand_sessions(const stream *s, int64_t gap)
{
    hand_session *table = calloc(s->key_count, sizeof *table);
    double closed = 0, begin = now_seconds();
    for (uint64_t at = 0; at < s->rows; at += ROWS) {
        const uint32_t *keys = s->indexes + at % POOL_ROWS;
        const double *values = s->values + at % POOL_ROWS;
        for (uint32_t i = 0; i < ROWS; i++) {
            if (s->key_count > 100000 && i + 24 < ROWS)
                __builtin_prefetch(&table[keys[i + 24]], 1);
            closed += hand_session_add(&table[keys[i]], time_of(at + i), gap, values[i]);
        }
    }
    double seconds = now_seconds() - begin;
    sink = closed;
    free(table);
    return (double)s->rows / seconds / 1e6;
}

typedef struct hand_out {
    int64_t key;
    double average, min, max;
    int64_t start, end;
} hand_out;

typedef struct hand_keyed_session {
    int64_t key;            // 0: empty
    uint32_t before, after; // of the list by last row: places + 1, 0 ends it
    int64_t start;
    hand_session session;
} hand_keyed_session;

typedef struct hand_sessions_table {
    hand_keyed_session *entries;
    uint32_t oldest, newest; // places + 1
    uint64_t closed;
    hand_out *out;
} hand_sessions_table;

static inline void hand_unlink(hand_sessions_table *t, hand_keyed_session *e)
{
    *(e->before ? &t->entries[e->before - 1].after : &t->oldest) = e->after;
    *(e->after ? &t->entries[e->after - 1].before : &t->newest) = e->before;
}

static inline void hand_link(hand_sessions_table *t, hand_keyed_session *e)
{
    uint32_t place = (uint32_t)(e - t->entries) + 1;
    e->before = t->newest;
    e->after = 0;
    *(t->newest ? &t->entries[t->newest - 1].after : &t->oldest) = place;
    t->newest = place;
}

static inline void hand_close_session(hand_sessions_table *t, hand_keyed_session *e)
{
    hand_session *session = &e->session;
    t->out[t->closed++ % ROWS] =
        (hand_out){e->key, session->sum / (double)session->count, session->min, session->max, e->start, session->last};
    *session = (hand_session){0};
}

static inline void hand_touch(hand_sessions_table *t, hand_keyed_session *e, int64_t time, int64_t gap, double value)
{
    if (e->session.count)
        hand_unlink(t, e);
    if (e->session.count && time - e->session.last > gap)
        hand_close_session(t, e);
    if (!e->session.count)
        e->start = time;
    hand_session_add(&e->session, time, gap, value);
    hand_link(t, e);
}

// What the operator gives, by hand: sessions come out when the watermark passes their end. All gaps are equal, so a list by
// last row has them in that order.
static double hand_sessions_hash(const stream *s, int64_t gap, bool prefetch, uint64_t *out_closed)
{
    uint64_t size = 16;
    while (size < s->key_count * 2)
        size *= 2;
    hand_out out[ROWS];
    hand_sessions_table t = {.entries = calloc(size, sizeof *t.entries), .out = out};
    double begin = now_seconds();
    for (uint64_t at = 0; at < s->rows; at += ROWS) {
        const int64_t *keys = s->keys + at % POOL_ROWS;
        const double *values = s->values + at % POOL_ROWS;
        for (uint32_t i = 0; i < ROWS; i++) {
            if (prefetch && i + 24 < ROWS)
                __builtin_prefetch(&t.entries[place_of(keys[i + 24], size - 1)], 1);
            int64_t watermark = at + i ? time_of(at + i - 1) - 1 : INT64_MIN;
            while (t.oldest && t.entries[t.oldest - 1].session.last + gap - 1 <= watermark) {
                hand_keyed_session *due = &t.entries[t.oldest - 1];
                hand_unlink(&t, due);
                hand_close_session(&t, due);
            }
            uint64_t place = place_of(keys[i], size - 1);
            while (t.entries[place].key != keys[i] && t.entries[place].key)
                place = (place + 1) & (size - 1);
            t.entries[place].key = keys[i];
            hand_touch(&t, &t.entries[place], time_of(at + i), gap, values[i]);
        }
    }
    double seconds = now_seconds() - begin;
    sink = out[0].average;
    *out_closed = t.closed;
    free(t.entries);
    return (double)s->rows / seconds / 1e6;
}

// ---- the engine

typedef struct engine {
    leat_env *env;
    leat_arena arena;
    leat_budget budget;
    leat_drops drops;
    leat_batch_pool *pool;
    leat_operator_context context;
    leat_operator *instance;
    const leat_schema *inputs[1], *outputs[1];
    uint64_t results;
    uint8_t *stored; // where snapshots are copied to
    size_t stored_size, stored_most;
} engine;

static engine *self; // of the run

static void emit(leat_operator_context *context, unsigned output, leat_batch *batch)
{
    (void)context, (void)output;
    self->results += batch->selected;
}
static void wake_at(leat_operator_context *context, int64_t ms) { (void)context, (void)ms; }

enum { STORED_ROOM = 256 << 20 };
static void put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    (void)snapshot, (void)table, (void)group;
    if (self->stored_size + key.size + value.size > STORED_ROOM)
        abort();
    memcpy(self->stored + self->stored_size, key.data, key.size);
    memcpy(self->stored + self->stored_size + key.size, value.data, value.size);
    self->stored_size += key.size + value.size;
}
static void put_removal(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    put(snapshot, table, group, key, (leat_slice){"", 0});
}

static void must(leat_code code, const leat_error *error)
{
    if (code == LEAT_OK)
        return;
    fprintf(stderr, "%s\n", error->message);
    exit(1);
}

static const leat_schema *make_schema(leat_arena *arena, const char *const *names, const leat_kind *kinds,
                                      uint32_t count)
{
    leat_field *fields = leat_arena_array(arena, leat_field, count);
    for (uint32_t i = 0; i < count; i++)
        fields[i] = (leat_field){leat_slice_text(names[i]), leat_type_of(kinds[i])};
    leat_schema *schema = leat_arena_new(arena, leat_schema);
    *schema = (leat_schema){.count = count, .fields = fields, .rowtime = -1, .proctime = -1};
    return schema;
}

static void engine_open(engine *e, const char *name, leat_window window)
{
    static const char *const in_names[] = {"k", "v"};
    static const leat_kind in_kinds[] = {LEAT_KIND_BIGINT, LEAT_KIND_DOUBLE};
    static const char *const out_names[] = {"k", "a", "b", "c", "d", "window_start", "window_end", "window_time"};
    static const leat_kind out_kinds[] = {LEAT_KIND_BIGINT,    LEAT_KIND_DOUBLE,   LEAT_KIND_DOUBLE,
                                          LEAT_KIND_DOUBLE,    LEAT_KIND_BIGINT,   LEAT_KIND_TIMESTAMP,
                                          LEAT_KIND_TIMESTAMP, LEAT_KIND_TIMESTAMP};
    static const uint32_t key_columns[] = {0};
    leat_error error;
    *e = (engine){.env = leat_env_posix(0), .stored = malloc(STORED_ROOM)};
    self = e;
    leat_arena_init(&e->arena, e->env, 1 << 16);
    leat_budget_init(&e->budget, e->env, 0);
    must(leat_batch_pool_create(e->env, 64 << 20, &e->pool, &error), &error);
    e->inputs[0] = make_schema(&e->arena, in_names, in_kinds, 2);
    e->outputs[0] = make_schema(&e->arena, out_names, out_kinds, 8);
    aggregates set = aggregates_make(&e->arena, e->inputs[0], "AVG(v) MIN(v) MAX(v) COUNT(v)", false);
    leat_window_aggregate_spec *spec = leat_arena_new(&e->arena, leat_window_aggregate_spec);
    *spec = (leat_window_aggregate_spec){.window = window,
                                         .key_count = 1,
                                         .key_columns = key_columns,
                                         .accumulators = set.set,
                                         .aggregate_count = 4,
                                         .keep_watermark = true};
    e->context = (leat_operator_context){.env = e->env,
                                         .spec = spec,
                                         .inputs = e->inputs,
                                         .outputs = e->outputs,
                                         .pool = e->pool,
                                         .input_count = 1,
                                         .output_count = 1,
                                         .arena = &e->arena,
                                         .budget = &e->budget,
                                         .drops = &e->drops,
                                         .parallelism = 1,
                                         .watermark_ms = LEAT_TIME_NONE,
                                         .emit = emit,
                                         .wake_at = wake_at};
    const leat_operator_ops *ops = leat_operator_find(name);
    e->instance = leat_env_calloc(e->env, ops->instance_size);
    e->instance->ops = ops;
    e->instance->context = &e->context;
    must(ops->open(e->instance, &error), &error);
    must(ops->ready(e->instance, false, &error), &error);
}

static void engine_close(engine *e)
{
    e->instance->ops->close(e->instance);
    leat_env_free(e->env, e->instance, e->instance->ops->instance_size);
    leat_batch_pool_destroy(e->pool);
    leat_arena_fini(&e->arena);
    free(e->stored);
}

static void take_snapshot(engine *e)
{
    leat_snapshot snapshot = {.put = put, .remove = put_removal};
    e->stored_size = 0;
    e->instance->ops->snapshot(e->instance, &snapshot);
    if (e->stored_size > e->stored_most)
        e->stored_most = e->stored_size;
}

static leat_batch *make_batch(engine *e)
{
    leat_batch *batch = leat_batch_get_rows(e->pool, e->inputs[0], ROWS);
    batch->watermark = leat_arena_alloc(&batch->arena, ROWS * sizeof(int64_t));
    batch->count = batch->selected = ROWS;
    batch->columns[0].nulls = batch->columns[1].nulls = NULL;
    memset(batch->cause, 0, ROWS * sizeof *batch->cause);
    return batch;
}

static void fill_batch(const stream *s, leat_batch *batch, uint64_t at, bool numbered)
{
    batch->columns[0].i64 = s->keys + at % POOL_ROWS;
    batch->columns[1].f64 = s->values + at % POOL_ROWS;
    for (uint32_t i = 0; i < ROWS; i++) {
        batch->event_ms[i] = time_of(at + i);
        batch->watermark[i] = at + i ? time_of(at + i - 1) - 1 : LEAT_TIME_NONE;
    }
    batch->watermark_after = time_of(at + ROWS - 1) - 1;
    if (numbered)
        batch->ids = (leat_value_ids){.ids = s->indexes + at % POOL_ROWS,
                                      .values = batch->columns[0].values,
                                      .dictionary = 1,
                                      .limit = (uint32_t)s->key_count};
}

// Million rows a second of thread time, without the time in which the rows are made. The clock is a system call: it is read once
// for several batches.
static double engine_run(const stream *s, const char *name, leat_window window, bool snapshots, bool numbered,
                         uint64_t *out_results)
{
    enum { BATCHES = 16 };
    engine e;
    engine_open(&e, name, window);
    leat_batch *batches[BATCHES];
    for (unsigned i = 0; i < BATCHES; i++)
        batches[i] = make_batch(&e);
    double seconds = 0;
    leat_error error;
    for (uint64_t at = 0; at < s->rows; at += BATCHES * ROWS) {
        for (unsigned i = 0; i < BATCHES; i++)
            fill_batch(s, batches[i], at + i * ROWS, numbered);
        double begin = now_seconds();
        for (unsigned i = 0; i < BATCHES; i++)
            must(e.instance->ops->on_batch(e.instance, 0, batches[i], &error), &error);
        if (snapshots && (at + BATCHES * ROWS) % SECOND_ROWS == 0)
            take_snapshot(&e);
        seconds += now_seconds() - begin;
    }
    for (unsigned i = 0; i < BATCHES; i++)
        leat_batch_unref(batches[i]);
    *out_results = e.results;
    engine_close(&e);
    return (double)s->rows / seconds / 1e6;
}

static double best(double a, double b) { return a > b ? a : b; }

enum { ROUNDS = 5 };

static int ascending(const void *a, const void *b) { return *(const double *)a < *(const double *)b ? -1 : 1; }

static double median(double rates[ROUNDS])
{
    qsort(rates, ROUNDS, sizeof *rates, ascending);
    return rates[ROUNDS / 2];
}

// Medians of rounds in which every loop runs once, so that a neighbour on the machine slows all of them.
static void compare(const stream *s)
{
    leat_window tumble = {.kind = LEAT_WINDOW_TUMBLE, .size_ms = WINDOW_MS, .time_column = -1};
    int64_t gap = (int64_t)(5 * s->key_count * 1000 / SECOND_ROWS) + 2;
    leat_window session = {.kind = LEAT_WINDOW_SESSION, .gap_ms = gap, .time_column = -1};
    double hash[ROUNDS], dense[ROUNDS], window[ROUNDS], stored[ROUNDS], hand[ROUNDS], hand_hashed[ROUNDS],
        sessions[ROUNDS], ids[ROUNDS];
    uint64_t results, closed;
    for (unsigned i = 0; i < ROUNDS; i++) {
        hash[i] = best(hand_hash(s, false), hand_hash(s, true));
        dense[i] = hand_dense(s);
        window[i] = engine_run(s, "window_time", tumble, false, false, &results);
        stored[i] = engine_run(s, "window_time", tumble, true, false, &results);
        ids[i] = engine_run(s, "window_time", tumble, false, true, &results);
        hand[i] = hand_sessions(s, gap);
        hand_hashed[i] = best(hand_sessions_hash(s, gap, false, &closed), hand_sessions_hash(s, gap, true, &closed));
        sessions[i] = engine_run(s, "window_session", session, false, false, &results);
        if (results < closed || results > closed + ROWS) { // the last batch's end has a watermark of its own
            fprintf(stderr, "%llu sessions by hand, %llu by the operator\n", (unsigned long long)closed,
                    (unsigned long long)results);
            exit(1);
        }
    }
    double h = median(hash), d = median(dense), w = median(window), k = median(stored), r = median(sessions);
    double sh = median(hand_hashed), sd = median(hand);
    double n = median(ids);
    printf("%9llu | %9.1f %9.1f | %9.1f %6.2f %6.2f | %9.1f %6.2f | %9.1f %8.2f | %9.1f %9.1f | %9.1f %6.2f %6.2f\n",
           (unsigned long long)s->key_count, h, d, w, w / h, w / d, n, n / d, k, k / w, sh, sd, r, r / sh, r / sd);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint64_t rows = (argc > 1 ? strtoull(argv[1], NULL, 10) : 24) * SECOND_ROWS;
    static const uint64_t key_counts[] = {100, 10000, 1000000};
    printf("%9s | %9s %9s | %9s %6s %6s | %9s %6s | %9s %8s | %9s %9s | %9s %6s %6s\n", "keys", "hash", "dense",
           "tumble", "/hash", "/dense", "numbered", "/dense", "snapshots", "/without", "by hash", "dense", "sessions",
           "/hash", "/dense");
    uint64_t only = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    for (unsigned i = 0; i < 3; i++) {
        if (only && only != key_counts[i])
            continue;
        stream s = make_stream(key_counts[i], rows);
        compare(&s);
        free_stream(&s);
    }
    return 0;
}
