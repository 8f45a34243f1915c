// The three greatest values of each key, as a changelog, against a loop by hand: rows of a key rarely get among them once it has many.
//
// Usage: bench_top_n [million rows per run [only this number of keys, 0: all [rounds]]]
#include "operators/core/order_encode.h"
#include "tests/bench/rules.h"

enum { TOP = 3 };

typedef struct top_rows {
    double values[TOP];
    int64_t times[TOP];
    uint32_t count;
} top_rows;

typedef struct hand {
    hand_keys table;
    top_rows *tops;
    hand_out out;
} hand;

static void *hand_open(const stream *s)
{
    hand *h = must_have(calloc(1, sizeof *h));
    h->table = hand_keys_make(s);
    h->tops = must_have(calloc(h->table.mask + 1, sizeof *h->tops));
    return h;
}

static void give(hand *h, int64_t key, double value, int64_t time, leat_row_kind kind)
{
    uint32_t row = hand_out_row(&h->out);
    h->out.columns[0][row] = key;
    h->out.columns[1][row] = hand_bits(value);
    h->out.columns[2][row] = time;
    h->out.columns[3][row] = kind;
    results_add(&h->out.results, key, value, kind);
}

static void take(hand *h, int64_t key, top_rows *top, double value, int64_t time)
{
    if (top->count == TOP && value <= top->values[TOP - 1])
        return;
    if (top->count == TOP)
        give(h, key, top->values[TOP - 1], top->times[TOP - 1], LEAT_DELETE);
    else
        top->count++;
    uint32_t at = top->count - 1;
    for (; at && value > top->values[at - 1]; at--) {
        top->values[at] = top->values[at - 1];
        top->times[at] = top->times[at - 1];
    }
    top->values[at] = value;
    top->times[at] = time;
    give(h, key, value, time, LEAT_INSERT);
}

static void hand_rows(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS; i++) {
        hand_prefetch(&h->table, rows, i, h->tops, sizeof *h->tops);
        take(h, rows->keys[i], &h->tops[hand_place(&h->table, rows->keys[i])], rows->values[i], rows->times[i]);
    }
}

static results hand_close(void *self)
{
    hand *h = self;
    results found = h->out.results;
    free(h->table.keys);
    free(h->tops);
    free(h);
    return found;
}

static const void *make_spec(engine *e)
{
    static const uint32_t keys[] = {0};
    static const leat_order by_value = {.column = 1, .descending = true};
    leat_top_n_spec *spec = leat_arena_new(&e->arena, leat_top_n_spec);
    *spec = (leat_top_n_spec){
        .key_count = 1, .key_columns = keys, .order_count = 1, .orders = &by_value, .from = 1, .to = TOP};
    return spec;
}

static const rule top_3 = {"Top-3 of each key", ENGINE_INPUT, 1, hand_open, hand_rows, hand_close, "top_n", make_spec};

int main(int argc, char **argv)
{
    compare_all(&top_3, 1, argc, argv, 4, ten_a_second);
    return 0;
}
