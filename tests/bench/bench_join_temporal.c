// Temporal join by event time: each row of the left input with the version of its key that is valid at its time, against a loop by hand:
// left rows wait for the watermark in a queue; of each key a ring of its versions, of which those that are over go when another comes.
//
// Usage: bench_join_temporal [million rows per run [only this number of keys, 0: all [rounds]]]
#include "tests/bench/rules.h"

enum { RING_FIRST = 4 };

typedef struct version {
    int64_t time;
    double value;
} version;

typedef struct ring {
    version *rows;
    uint32_t first, count, mask;
} ring;

typedef struct hand {
    hand_keys table;
    ring *versions;
    hand_queue waiting;
    int64_t watermark;
    hand_out out;
} hand;

static void *hand_open(const stream *s)
{
    hand *h = must_have(calloc(1, sizeof *h));
    h->table = hand_keys_make(s);
    h->versions = must_have(calloc(h->table.mask + 1, sizeof *h->versions));
    h->waiting = hand_queue_make();
    h->watermark = LEAT_TIME_NONE;
    return h;
}

static version *at(const ring *r, uint32_t i) { return &r->rows[(r->first + i) & r->mask]; }

static void grow(ring *r)
{
    uint32_t size = r->rows ? 2 * (r->mask + 1) : RING_FIRST;
    version *rows = must_have(malloc(size * sizeof *rows));
    for (uint32_t i = 0; i < r->count; i++)
        rows[i] = *at(r, i);
    free(r->rows);
    *r = (ring){rows, 0, r->count, size - 1};
}

// The newest one that the watermark has passed is still valid.
static void drop_over(ring *r, int64_t watermark)
{
    while (r->count > 1 && at(r, 1)->time <= watermark) {
        r->first++;
        r->count--;
    }
}

// By time, nearly all come in that order; a version of the same time is replaced.
static void keep(ring *r, version it)
{
    if (!r->rows || r->count > r->mask)
        grow(r);
    uint32_t i = r->count;
    while (i && at(r, i - 1)->time > it.time)
        i--;
    if (i && at(r, i - 1)->time == it.time) {
        *at(r, i - 1) = it;
        return;
    }
    for (uint32_t n = r->count++; n > i; n--)
        *at(r, n) = *at(r, n - 1);
    *at(r, i) = it;
}

static void give(hand *h, const hand_waiting *left, const version *right)
{
    int64_t key = h->table.keys[left->place];
    uint32_t out = hand_out_row(&h->out);
    h->out.columns[0][out] = h->out.columns[3][out] = key;
    h->out.columns[1][out] = hand_bits(left->value);
    h->out.columns[2][out] = left->time;
    h->out.columns[4][out] = hand_bits(right->value);
    h->out.columns[5][out] = right->time;
    results_add(&h->out.results, key, right->value, LEAT_INSERT);
}

static void meet(hand *h, const hand_waiting *left)
{
    const ring *r = &h->versions[left->place];
    uint32_t valid = r->count;
    while (valid && at(r, valid - 1)->time > left->time)
        valid--;
    if (valid)
        give(h, left, at(r, valid - 1));
}

static void prefetch_due(const hand *h, uint64_t i)
{
    const hand_queue *q = &h->waiting;
    if (!h->table.large)
        return;
    if (i + AHEAD < q->end)
        __builtin_prefetch(&h->versions[q->items[(i + AHEAD) & q->mask].place]);
    if (i + AHEAD / 2 >= q->end)
        return;
    const ring *r = &h->versions[q->items[(i + AHEAD / 2) & q->mask].place];
    __builtin_prefetch(r->rows ? at(r, 0) : NULL);
}

static void fire(hand *h, int64_t watermark)
{
    hand_queue *q = &h->waiting;
    for (; hand_queue_due(q, watermark); q->first++) {
        prefetch_due(h, q->first);
        meet(h, &q->items[q->first & q->mask]);
    }
    h->watermark = watermark;
}

static void prefetch_ring(const hand *h, const stream_rows *rows, uint32_t i)
{
    if (!h->table.large || i + AHEAD / 2 >= ROWS)
        return;
    const ring *r = &h->versions[hand_hash(&h->table, rows->keys[i + AHEAD / 2])];
    __builtin_prefetch(r->rows ? at(r, 0) : NULL, 1);
}

static void hand_rows(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS; i++) {
        hand_prefetch(&h->table, rows, i, h->versions, sizeof *h->versions);
        uint32_t place = hand_place(&h->table, rows->keys[i]);
        if (rows->input == 0) {
            hand_queue_add(&h->waiting, (hand_waiting){rows->times[i], rows->values[i], place});
            continue;
        }
        prefetch_ring(h, rows, i);
        drop_over(&h->versions[place], h->watermark);
        keep(&h->versions[place], (version){rows->times[i], rows->values[i]});
    }
    if (rows->watermark_after > h->watermark)
        fire(h, rows->watermark_after);
}

static results hand_close(void *self)
{
    hand *h = self;
    results found = h->out.results;
    for (uint64_t i = 0; i <= h->table.mask; i++)
        free(h->versions[i].rows);
    free(h->versions);
    free(h->waiting.items);
    free(h->table.keys);
    free(h);
    return found;
}

static const void *make_spec(engine *e)
{
    static const uint32_t keys[] = {0};
    static const bool nulls_meet[] = {false};
    leat_join_temporal_spec *spec = leat_arena_new(&e->arena, leat_join_temporal_spec);
    *spec = (leat_join_temporal_spec){.sides = {.kind = LEAT_JOIN_INNER,
                                                .key_count = 1,
                                                .key_columns = {keys, keys},
                                                .nulls_meet = nulls_meet,
                                                .column_counts = {3, 3}},
                                      .time_columns = {2, 2}};
    return spec;
}

static const rule join = {"temporal join",
                          "k:BIGINT,v:DOUBLE,ts:TIMESTAMP_LTZ,k2:BIGINT,v2:DOUBLE,ts2:TIMESTAMP_LTZ",
                          4,
                          hand_open,
                          hand_rows,
                          hand_close,
                          "join_temporal",
                          make_spec};

// Ten rows a second of each key, half of them versions.
static void set_times(stream *s)
{
    ten_a_second(s);
    s->ms *= 2;
    s->inputs = 2;
}

int main(int argc, char **argv)
{
    compare_all(&join, 1, argc, argv, 2, set_times);
    return 0;
}
