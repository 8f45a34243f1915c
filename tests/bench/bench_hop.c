// AVG, MIN, MAX, COUNT over windows of an hour every five minutes, against a loop by hand: twelve steps per key, added once a row and
// brought together for each window. Five minutes are a million rows, so with a million keys nearly all of the work is bringing together.
//
// Usage: bench_hop [million rows per run [only this number of keys, 0: all [rounds]]]
#include "tests/bench/rules.h"
#include "tests/unit/operators/aggregates.h"

enum { STEP_MS = 5 * 60 * 1000, STEPS = 12 };

typedef struct step {
    int64_t count;
    double sum, min, max;
} step;

typedef struct hand {
    hand_keys table;
    step *steps[STEPS]; // of places
    int64_t now;        // number of the newest step
    hand_out out;
} hand;

static void *hand_open(const stream *s)
{
    hand *h = must_have(calloc(1, sizeof *h));
    h->table = hand_keys_make(s);
    for (unsigned i = 0; i < STEPS; i++)
        h->steps[i] = must_have(calloc(h->table.mask + 1, sizeof(step)));
    return h;
}

static void merge(step *into, const step *from)
{
    if (!from->count)
        return;
    into->min = into->count && into->min < from->min ? into->min : from->min;
    into->max = into->count && into->max > from->max ? into->max : from->max;
    into->count += from->count;
    into->sum += from->sum;
}

static void give(hand *h, int64_t key, const step *whole, int64_t end)
{
    uint32_t row = hand_out_row(&h->out);
    h->out.columns[0][row] = key;
    h->out.columns[1][row] = hand_bits(whole->sum / (double)whole->count);
    h->out.columns[2][row] = hand_bits(whole->min);
    h->out.columns[3][row] = hand_bits(whole->max);
    h->out.columns[4][row] = whole->count;
    h->out.columns[5][row] = end - STEPS * STEP_MS;
    h->out.columns[6][row] = end;
    results_add(&h->out.results, key, whole->sum / (double)whole->count, LEAT_INSERT);
}

// The window that ends with the newest step; the oldest one makes room for the next.
static void fire(hand *h)
{
    for (uint64_t place = 0; place <= h->table.mask; place++) {
        step whole = {0};
        if (!h->table.keys[place])
            continue;
        for (unsigned i = 0; i < STEPS; i++)
            merge(&whole, &h->steps[i][place]);
        if (whole.count)
            give(h, h->table.keys[place], &whole, (h->now + 1) * STEP_MS);
    }
    h->now++;
    memset(h->steps[h->now % STEPS], 0, (h->table.mask + 1) * sizeof(step));
}

static void add(step *s, double value)
{
    s->min = s->count && s->min < value ? s->min : value;
    s->max = s->count && s->max > value ? s->max : value;
    s->count++;
    s->sum += value;
}

static void hand_rows(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS;) {
        while (rows->times[i] >= (h->now + 1) * STEP_MS)
            fire(h);
        step *steps = h->steps[h->now % STEPS];
        int64_t end = (h->now + 1) * STEP_MS;
        for (; i < ROWS && rows->times[i] < end; i++) {
            hand_prefetch(&h->table, rows, i, steps, sizeof *steps);
            add(&steps[hand_place(&h->table, rows->keys[i])], rows->values[i]);
        }
    }
}

static results hand_close(void *self)
{
    hand *h = self;
    results found = h->out.results;
    for (unsigned i = 0; i < STEPS; i++)
        free(h->steps[i]);
    free(h->table.keys);
    free(h);
    return found;
}

static const void *make_spec(engine *e)
{
    static const uint32_t keys[] = {0};
    aggregates set = aggregates_make(&e->arena, e->inputs[0], "AVG(v) MIN(v) MAX(v) COUNT(v)", false);
    leat_window_aggregate_spec *spec = leat_arena_new(&e->arena, leat_window_aggregate_spec);
    *spec = (leat_window_aggregate_spec){
        .window = {.kind = LEAT_WINDOW_HOP, .size_ms = STEPS * STEP_MS, .slide_ms = STEP_MS, .time_column = -1},
        .key_count = 1,
        .key_columns = keys,
        .accumulators = set.set,
        .aggregate_count = 4,
        .keep_watermark = true};
    return spec;
}

static const rule hop = {"HOP 1 h by 5 min",
                         "k:BIGINT,a:DOUBLE,b:DOUBLE,c:DOUBLE,n:BIGINT,window_start:TIMESTAMP,window_end:TIMESTAMP,"
                         "window_time:TIMESTAMP*",
                         1,
                         hand_open,
                         hand_rows,
                         hand_close,
                         "window_time",
                         make_spec};

static void set_times(stream *s)
{
    s->ms = STEP_MS;
    s->per_rows = SECOND_ROWS;
}

int main(int argc, char **argv)
{
    compare_all(&hop, 1, argc, argv, 16, set_times);
    return 0;
}
