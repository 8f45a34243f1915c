// Regular joins of two inputs, both of them kept, against loops by hand.
//
// "updates": either input has a row a key, which changes (-U, +U); the result is the changelog of the pairs. By hand: a row of either side a key.
// "facts": rows that are only added on the left, a row a key on the right. By hand: of each key its rows in an array that grows, as one that
// comes on the right later would have to meet them all.
//
// Usage: bench_join_regular [million rows per run [only this number of keys, 0: all [rounds]]]
#include "tests/bench/rules.h"

enum { ROWS_FIRST = 4 };

// ---- rows

// What was sent last of each key: its -U is the row as it was. A -U that was the last one of a batch is followed by its +U in the next.
typedef struct sent {
    int64_t time;
    double value;
    bool there;
} sent;
static struct {
    hand_keys table;
    sent *rows[2];
    uint64_t next[2]; // key and value to be sent
    bool open[2];     // its -U was sent
} told;

static void begin_updates(const stream *s)
{
    free(told.table.keys);
    told.table = hand_keys_make(s);
    for (unsigned side = 0; side < 2; side++) {
        free(told.rows[side]);
        told.rows[side] = must_have(calloc(told.table.mask + 1, sizeof *told.rows[side]));
        told.next[side] = side * (POOL_ROWS / 2);
        told.open[side] = false;
    }
}

static void refill_updates(const stream *s, uint64_t batch, stream_rows *rows)
{
    if (batch == 0)
        begin_updates(s);
    unsigned side = rows->input;
    for (uint32_t i = 0; i < ROWS; i++) {
        int64_t key = rows->own_keys[i] = s->keys[told.next[side] % POOL_ROWS];
        sent *row = &told.rows[side][hand_place(&told.table, key)];
        bool before = row->there && !told.open[side];
        rows->kinds[i] = before ? LEAT_UPDATE_BEFORE : row->there ? LEAT_UPDATE_AFTER : LEAT_INSERT;
        told.open[side] = before;
        if (!before)
            *row = (sent){rows->times[i], s->values[told.next[side]++ % POOL_ROWS], true};
        rows->times[i] = row->time;
        rows->own_values[i] = row->value;
    }
    rows->keys = rows->own_keys;
    rows->values = rows->own_values;
    rows->changes = true;
}

// The right rows first, one a key.
static void refill_facts(const stream *s, uint64_t batch, stream_rows *rows)
{
    uint64_t first = batch * ROWS;
    rows->input = first < s->key_count;
    if (!rows->input)
        return;
    for (uint32_t i = 0; i < ROWS; i++)
        rows->own_keys[i] = (int64_t)leat_hash_mix((first + i) % s->key_count + 1);
    for (uint32_t i = 0; i < ROWS; i++)
        rows->kinds[i] = LEAT_UPDATE_AFTER; // a key that comes again replaces its row
    rows->keys = rows->own_keys;
    rows->changes = true;
}

// ---- by hand

typedef struct kept_row {
    int64_t time;
    double value;
    bool there;
} kept_row;

typedef struct kept_key {
    kept_row rows[2];
    kept_row *facts;
    uint32_t count, room;
} kept_key;

typedef struct hand {
    hand_keys table;
    kept_key *kept;
    hand_out out;
} hand;

static void *hand_open(const stream *s)
{
    hand *h = must_have(calloc(1, sizeof *h));
    h->table = hand_keys_make(s);
    h->kept = must_have(calloc(h->table.mask + 1, sizeof *h->kept));
    return h;
}

static void give(hand *h, int64_t key, const kept_row *left, const kept_row *right, unsigned kind)
{
    uint32_t out = hand_out_row(&h->out);
    h->out.columns[0][out] = h->out.columns[3][out] = key;
    h->out.columns[1][out] = hand_bits(left->value);
    h->out.columns[2][out] = left->time;
    h->out.columns[4][out] = hand_bits(right->value);
    h->out.columns[5][out] = right->time;
    h->out.columns[6][out] = kind;
    results_add(&h->out.results, key, right->value, kind);
}

static void hand_updates(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS; i++) {
        hand_prefetch(&h->table, rows, i, h->kept, sizeof *h->kept);
        kept_key *kept = &h->kept[hand_place(&h->table, rows->keys[i])];
        unsigned kind = rows->kinds[i];
        kept_row *own = &kept->rows[rows->input];
        *own = (kept_row){rows->times[i], rows->values[i], kind != LEAT_UPDATE_BEFORE};
        if (kept->rows[!rows->input].there)
            give(h, rows->keys[i], &kept->rows[0], &kept->rows[1], kind);
    }
}

static void keep_fact(kept_key *kept, kept_row row)
{
    if (kept->count == kept->room) {
        kept->room = kept->room ? 2 * kept->room : ROWS_FIRST;
        kept->facts = must_have(realloc(kept->facts, kept->room * sizeof row));
    }
    kept->facts[kept->count++] = row;
}

static void prefetch_fact(const hand *h, const stream_rows *rows, uint32_t i)
{
    if (!h->table.large || i + AHEAD / 2 >= ROWS)
        return;
    const kept_key *kept = &h->kept[hand_hash(&h->table, rows->keys[i + AHEAD / 2])];
    __builtin_prefetch(kept->facts + kept->count, 1);
}

static void hand_facts(void *self, const stream_rows *rows)
{
    hand *h = self;
    for (uint32_t i = 0; i < ROWS; i++) {
        hand_prefetch(&h->table, rows, i, h->kept, sizeof *h->kept);
        prefetch_fact(h, rows, i);
        kept_key *kept = &h->kept[hand_place(&h->table, rows->keys[i])];
        kept_row row = {rows->times[i], rows->values[i], true};
        if (rows->input) {
            kept->rows[1] = row;
            continue;
        }
        if (kept->rows[1].there)
            give(h, rows->keys[i], &row, &kept->rows[1], LEAT_INSERT);
        keep_fact(kept, row);
    }
}

static results hand_close(void *self)
{
    hand *h = self;
    results found = h->out.results;
    for (uint64_t i = 0; i <= h->table.mask; i++)
        free(h->kept[i].facts);
    free(h->kept);
    free(h->table.keys);
    free(h);
    return found;
}

// ---- the operator

static const void *make_spec(engine *e, bool left_unique)
{
    static const uint32_t keys[] = {0};
    static const bool nulls_meet[] = {false};
    leat_join_regular_spec *spec = leat_arena_new(&e->arena, leat_join_regular_spec);
    *spec = (leat_join_regular_spec){.sides = {.kind = LEAT_JOIN_INNER,
                                               .key_count = 1,
                                               .key_columns = {keys, keys},
                                               .nulls_meet = nulls_meet,
                                               .column_counts = {3, 3}},
                                     .unique_counts = {left_unique, 1},
                                     .unique_columns = {left_unique ? keys : NULL, keys}};
    return spec;
}

static const void *updates_spec(engine *e) { return make_spec(e, true); }
static const void *facts_spec(engine *e) { return make_spec(e, false); }

#define OUTPUT "k:BIGINT,v:DOUBLE,ts:TIMESTAMP_LTZ,k2:BIGINT,v2:DOUBLE,ts2:TIMESTAMP_LTZ"
static const rule updates = {"regular join, updates", OUTPUT,      4, hand_open, hand_updates, hand_close,
                             "join_regular",          updates_spec};
static const rule facts = {"regular join, facts", OUTPUT,    4, hand_open, hand_facts, hand_close,
                           "join_regular",        facts_spec};

static void set_updates(stream *s)
{
    ten_a_second(s);
    s->inputs = 2;
    s->refill = refill_updates;
}

static void set_facts(stream *s)
{
    ten_a_second(s);
    s->inputs = 2;
    s->refill = refill_facts;
}

int main(int argc, char **argv)
{
    compare_all(&updates, 1, argc, argv, 2, set_updates);
    compare_all(&facts, 1, argc, argv, 2, set_facts);
    return 0;
}
