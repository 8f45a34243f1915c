// Interval join of two inputs, rows of a key not more than 100 ms apart, against a loop by hand: of each key a ring of rows for either
// input, which is cleared of what is over when the key comes by.
//
// Usage: bench_join [million rows per run [only this number of keys, 0: all [rounds]]]
#include "tests/bench/rules.h"

enum { REACH_MS = 100, RING_FIRST = 4 };

typedef struct kept_row {
    int64_t time;
    double value;
} kept_row;

typedef struct ring {
    kept_row *rows;
    uint32_t first, count, mask;
} ring;

typedef struct sides {
    ring of[2];
} sides;

typedef struct hand {
    hand_keys table;
    sides *sides;
    int64_t watermark;
    hand_out out;
} hand;

static void *hand_open(const stream *s)
{
    hand *h = must_have(calloc(1, sizeof *h));
    h->table = hand_keys_make(s);
    h->sides = must_have(calloc(h->table.mask + 1, sizeof *h->sides));
    h->watermark = LEAT_TIME_NONE;
    return h;
}

static void drop_over(ring *r, int64_t watermark)
{
    while (r->count && r->rows[r->first & r->mask].time + REACH_MS < watermark) {
        r->first++;
        r->count--;
    }
}

static void grow(ring *r)
{
    uint32_t size = r->rows ? 2 * (r->mask + 1) : RING_FIRST;
    kept_row *rows = must_have(malloc(size * sizeof *rows));
    for (uint32_t i = 0; i < r->count; i++)
        rows[i] = r->rows[(r->first + i) & r->mask];
    free(r->rows);
    r->rows = rows;
    r->first = 0;
    r->mask = size - 1;
}

// By time; nearly all rows come in that order.
static void keep(ring *r, kept_row row)
{
    if (!r->rows || r->count > r->mask)
        grow(r);
    uint32_t at = r->first + r->count++;
    for (; at != r->first && r->rows[(at - 1) & r->mask].time > row.time; at--)
        r->rows[at & r->mask] = r->rows[(at - 1) & r->mask];
    r->rows[at & r->mask] = row;
}

static void give(hand *h, int64_t key, const kept_row *left, const kept_row *right)
{
    uint32_t out = hand_out_row(&h->out);
    h->out.columns[0][out] = h->out.columns[3][out] = key;
    h->out.columns[1][out] = hand_bits(left->value);
    h->out.columns[2][out] = left->time;
    h->out.columns[4][out] = hand_bits(right->value);
    h->out.columns[5][out] = right->time;
    h->out.columns[6][out] = left->time > right->time ? left->time : right->time;
    results_add(&h->out.results, key, right->value, LEAT_INSERT);
}

static void meet(hand *h, int64_t key, const ring *others, unsigned input, const kept_row *row)
{
    for (uint32_t i = 0; i < others->count; i++) {
        const kept_row *other = &others->rows[(others->first + i) & others->mask];
        if (other->time > row->time + REACH_MS)
            return;
        if (other->time >= row->time - REACH_MS)
            give(h, key, input ? other : row, input ? row : other);
    }
}

static void prefetch_rings(const hand *h, const stream_rows *rows, uint32_t i)
{
    if (!h->table.large || i + AHEAD / 2 >= ROWS)
        return;
    const sides *s = &h->sides[hand_hash(&h->table, rows->keys[i + AHEAD / 2])];
    for (unsigned side = 0; side < 2; side++)
        __builtin_prefetch(s->of[side].rows ? &s->of[side].rows[s->of[side].first & s->of[side].mask] : NULL, 1);
}

static void hand_rows(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS; i++) {
        hand_prefetch(&h->table, rows, i, h->sides, sizeof *h->sides);
        prefetch_rings(h, rows, i);
        sides *s = &h->sides[hand_place(&h->table, rows->keys[i])];
        kept_row row = {rows->times[i], rows->values[i]};
        drop_over(&s->of[0], h->watermark);
        drop_over(&s->of[1], h->watermark);
        meet(h, rows->keys[i], &s->of[!rows->input], rows->input, &row);
        keep(&s->of[rows->input], row);
    }
    h->watermark = rows->watermark_after;
}

static results hand_close(void *self)
{
    hand *h = self;
    results found = h->out.results;
    for (uint64_t i = 0; i <= h->table.mask; i++)
        for (unsigned side = 0; side < 2; side++)
            free(h->sides[i].of[side].rows);
    free(h->sides);
    free(h->table.keys);
    free(h);
    return found;
}

static const void *make_spec(engine *e)
{
    static const uint32_t keys[] = {0};
    static const bool nulls_meet[] = {false};
    leat_join_interval_spec *spec = leat_arena_new(&e->arena, leat_join_interval_spec);
    *spec = (leat_join_interval_spec){.sides = {.kind = LEAT_JOIN_INNER,
                                                .key_count = 1,
                                                .key_columns = {keys, keys},
                                                .nulls_meet = nulls_meet,
                                                .column_counts = {3, 3}},
                                      .lower_ms = -REACH_MS,
                                      .upper_ms = REACH_MS,
                                      .time_columns = {2, 2}};
    return spec;
}

static const rule join = {"interval join, 100 ms",
                          "k:BIGINT,v:DOUBLE,ts:TIMESTAMP_LTZ,k2:BIGINT,v2:DOUBLE,ts2:TIMESTAMP_LTZ",
                          4,
                          hand_open,
                          hand_rows,
                          hand_close,
                          "join_interval",
                          make_spec};

// Ten rows a second of each key, half of them of each input.
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
