// AVG over the rows before each row of its key, by time (RANGE, half a second) and by number (ROWS, five of them), against a loop by hand:
// rows wait for the watermark in a queue; of each key a ring of the rows in its frame, and their sum. MAX the same way (RANGE, a minute; ROWS,
// twenty of them): by hand the ring holds the rows that no later one of the frame reaches.
//
// Usage: bench_over [million rows per run [only this number of keys, 0: all [rounds]]]
#include "tests/bench/rules.h"
#include "tests/unit/operators/aggregates.h"

enum { RANGE_MS = 500, PRECEDING = 4, MAX_RANGE_MS = 60000, MAX_PRECEDING = 19, RING_FIRST = 8 };

typedef struct frame_row {
    int64_t time;
    double value;
} frame_row;

typedef struct frame {
    frame_row *ring;
    uint32_t first, count, mask;
    double sum;
    int64_t rows; // so far
} frame;

typedef struct hand {
    hand_keys table;
    frame *frames;
    hand_queue queue;
    int64_t range_ms; // 0: PRECEDING rows
    bool greatest;    // MAX; of each row its number stands in its time where rows are counted
    hand_out out;
} hand;

static hand *open_frames(const stream *s, int64_t range_ms)
{
    hand *h = must_have(calloc(1, sizeof *h));
    h->table = hand_keys_make(s);
    h->frames = must_have(calloc(h->table.mask + 1, sizeof *h->frames));
    h->queue = hand_queue_make();
    h->range_ms = range_ms;
    return h;
}

static void *open_range(const stream *s) { return open_frames(s, RANGE_MS); }
static void *open_rows(const stream *s) { return open_frames(s, 0); }

static void *open_greatest(const stream *s, int64_t range_ms)
{
    hand *h = open_frames(s, range_ms);
    h->greatest = true;
    return h;
}

static void *open_max_range(const stream *s) { return open_greatest(s, MAX_RANGE_MS); }
static void *open_max_rows(const stream *s) { return open_greatest(s, 0); }

static void grow(frame *f)
{
    uint32_t size = f->ring ? 2 * (f->mask + 1) : RING_FIRST;
    frame_row *ring = must_have(malloc(size * sizeof *ring));
    for (uint32_t i = 0; i < f->count; i++)
        ring[i] = f->ring[(f->first + i) & f->mask];
    free(f->ring);
    f->ring = ring;
    f->first = 0;
    f->mask = size - 1;
}

static void leave(frame *f)
{
    f->sum -= f->ring[f->first & f->mask].value;
    f->first++;
    f->count--;
}

// What is behind the greatest row is there because it may be the greatest once those before have left.
static void enter_greatest(const hand *h, frame *f, int64_t time, double value)
{
    int64_t at = h->range_ms ? time : f->rows++, since = at - (h->range_ms ? h->range_ms : MAX_PRECEDING);
    while (f->count && f->ring[f->first & f->mask].time < since) {
        f->first++;
        f->count--;
    }
    while (f->count && f->ring[(f->first + f->count - 1) & f->mask].value <= value)
        f->count--;
    if (!f->ring || f->count > f->mask)
        grow(f);
    f->ring[(f->first + f->count++) & f->mask] = (frame_row){at, value};
}

static void enter(const hand *h, frame *f, int64_t time, double value)
{
    if (h->greatest) {
        enter_greatest(h, f, time, value);
        return;
    }
    while (f->count && (h->range_ms ? f->ring[f->first & f->mask].time < time - h->range_ms : f->count > PRECEDING))
        leave(f);
    if (!f->ring || f->count > f->mask)
        grow(f);
    f->ring[(f->first + f->count++) & f->mask] = (frame_row){time, value};
    f->sum += value;
}

static void give(hand *h, const hand_waiting *row)
{
    const frame *f = &h->frames[row->place];
    int64_t key = h->table.keys[row->place];
    double result = h->greatest ? f->ring[f->first & f->mask].value : f->sum / (double)f->count;
    uint32_t out = hand_out_row(&h->out);
    h->out.columns[0][out] = key;
    h->out.columns[1][out] = hand_bits(row->value);
    h->out.columns[2][out] = row->time;
    h->out.columns[3][out] = hand_bits(result);
    results_add(&h->out.results, key, result, LEAT_INSERT);
}

// Rows of one time are peers: with RANGE all of them are in the frame of each.
static void fire(hand *h, int64_t watermark)
{
    hand_queue *q = &h->queue;
    while (hand_queue_due(q, watermark)) {
        uint64_t first = q->first, end = first;
        int64_t time = q->items[first & q->mask].time;
        for (; end < q->end && q->items[end & q->mask].time == time; end++) {
            const hand_waiting *row = &q->items[end & q->mask];
            enter(h, &h->frames[row->place], time, row->value);
            if (!h->range_ms)
                give(h, row);
        }
        for (uint64_t i = first; i < end && h->range_ms; i++)
            give(h, &q->items[i & q->mask]);
        q->first = end;
    }
}

// The frame of a row further on: it comes first, then its ring.
static void prefetch_ring(const hand *h)
{
    const hand_queue *q = &h->queue;
    if (!h->table.large || q->end - q->first < 2)
        return;
    const frame *f = &h->frames[q->items[(q->end - 1) & q->mask].place];
    __builtin_prefetch(f->ring ? &f->ring[f->first & f->mask] : NULL, 1);
}

static void hand_rows(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS; i++) {
        fire(h, rows->watermarks[i]);
        hand_prefetch(&h->table, rows, i, h->frames, sizeof *h->frames);
        hand_queue_add(&h->queue,
                       (hand_waiting){rows->times[i], rows->values[i], hand_place(&h->table, rows->keys[i])});
        prefetch_ring(h);
    }
    fire(h, rows->watermark_after);
}

static results hand_close(void *self)
{
    hand *h = self;
    results found = h->out.results;
    for (uint64_t i = 0; i <= h->table.mask; i++)
        free(h->frames[i].ring);
    free(h->frames);
    free(h->queue.items);
    free(h->table.keys);
    free(h);
    return found;
}

static const void *make_spec(engine *e, const char *aggregate, bool range, int64_t preceding)
{
    static const uint32_t keys[] = {0};
    static const leat_over_function function = {.kind = LEAT_OVER_AGGREGATE};
    aggregates set = aggregates_make(&e->arena, e->inputs[0], aggregate, true);
    leat_over_spec *spec = leat_arena_new(&e->arena, leat_over_spec);
    *spec = (leat_over_spec){.range = range,
                             .bounded = true,
                             .preceding = preceding,
                             .time_column = -1,
                             .key_count = 1,
                             .key_columns = keys,
                             .accumulators = set.set,
                             .aggregate_count = 1,
                             .function_count = 1,
                             .functions = &function};
    return spec;
}

static const void *range_spec(engine *e) { return make_spec(e, "AVG(v)", true, RANGE_MS); }
static const void *rows_spec(engine *e) { return make_spec(e, "AVG(v)", false, PRECEDING); }
static const void *max_range_spec(engine *e) { return make_spec(e, "MAX(v)", true, MAX_RANGE_MS); }
static const void *max_rows_spec(engine *e) { return make_spec(e, "MAX(v)", false, MAX_PRECEDING); }

#define OUTPUT ENGINE_INPUT ",a:DOUBLE"
static const rule overs[] = {
    {"AVG OVER RANGE 500 ms", OUTPUT, 3, open_range, hand_rows, hand_close, "over", range_spec},
    {"AVG OVER 5 ROWS", OUTPUT, 3, open_rows, hand_rows, hand_close, "over", rows_spec},
    {"MAX OVER RANGE 1 minute", OUTPUT, 3, open_max_range, hand_rows, hand_close, "over", max_range_spec},
    {"MAX OVER 20 ROWS", OUTPUT, 3, open_max_rows, hand_rows, hand_close, "over", max_rows_spec},
};

int main(int argc, char **argv)
{
    compare_all(overs, sizeof overs / sizeof *overs, argc, argv, 4, ten_a_second);
    return 0;
}
