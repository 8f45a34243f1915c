// PERCENTILE, MIN_BY, MAX_BY, the JSON aggregates, LISTAGG(DISTINCT) and APPROX_COUNT_DISTINCT: rows in and out, merges and
// round trips in random order are to give what the rows that are left give from scratch; and what Flink's own tests expect.
#include <math.h>

#include "operators/expr/aggregate_sketch.h"
#include "tests/unit/expr/expr_support.h"

enum { X, Y, K, COLUMNS, ROWS_MAX = 4096, GROUPS = 3 };

typedef struct tested_row {
    leat_value values[COLUMNS]; // INT, DOUBLE, STRING
} tested_row;

typedef struct row_list {
    tested_row rows[ROWS_MAX];
    uint32_t count;
} row_list;

typedef void (*expect)(const row_list *rows, char *out, size_t size);

static uint64_t seed = 88172645463325252u;

static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 11) % sides;
}

// -- from scratch

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static uint32_t numbers(const row_list *rows, bool weighted, bool distinct, double *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        const leat_value *y = &rows->rows[i].values[Y], *x = &rows->rows[i].values[X];
        int64_t times = !weighted ? 1 : x->is_null || x->i64 < 0 ? 0 : x->i64;
        for (int64_t k = 0; !y->is_null && k < times; k++)
            out[count++] = y->f64;
    }
    qsort(out, count, sizeof *out, by_value);
    if (!distinct)
        return count;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || out[i] != out[i - 1])
            out[kept++] = out[i];
    return kept;
}

static void print_percentiles(const row_list *rows, bool weighted, bool distinct, const double *wanted, uint32_t count,
                              char *out, size_t size)
{
    static double values[ROWS_MAX * 20];
    uint32_t n = numbers(rows, weighted, distinct, values);
    size_t used = (size_t)snprintf(out, size, count > 1 && n ? "[" : n ? "" : "NULL");
    for (uint32_t i = 0; n && i < count; i++) {
        double at = wanted[i] * (n - 1);
        uint32_t low = (uint32_t)floor(at), high = (uint32_t)ceil(at);
        double value = values[low] + (at - low) * (values[high] - values[low]);
        used += (size_t)snprintf(out + used, size - used, "%s%.6f", i ? ", " : "", value);
    }
    if (count > 1 && n)
        snprintf(out + used, size - used, "]");
}

static void median(const row_list *rows, char *out, size_t size)
{
    print_percentiles(rows, false, false, (double[]){0.5}, 1, out, size);
}

static void several(const row_list *rows, char *out, size_t size)
{
    print_percentiles(rows, false, false, (double[]){0.9, 0.0, 0.3, 1.0}, 4, out, size);
}

static void weighted(const row_list *rows, char *out, size_t size)
{
    print_percentiles(rows, true, false, (double[]){0.3}, 1, out, size);
}

static void of_distinct(const row_list *rows, char *out, size_t size)
{
    print_percentiles(rows, false, true, (double[]){0.25}, 1, out, size);
}

static const tested_row *best(const row_list *rows, int sign)
{
    const tested_row *found = NULL;
    for (uint32_t i = 0; i < rows->count; i++) {
        const tested_row *row = &rows->rows[i];
        if (!row->values[Y].is_null && (!found || sign * (row->values[Y].f64 - found->values[Y].f64) > 0))
            found = row;
    }
    return found;
}

static void least(const row_list *rows, char *out, size_t size)
{
    const tested_row *row = best(rows, -1);
    if (row && !row->values[X].is_null)
        snprintf(out, size, "%lld", (long long)row->values[X].i64);
    else
        snprintf(out, size, "NULL");
}

static void greatest(const row_list *rows, char *out, size_t size)
{
    const tested_row *row = best(rows, 1);
    leat_slice text = row ? row->values[K].text : leat_slice_text("");
    if (row && !row->values[K].is_null)
        snprintf(out, size, "%.*s", (int)text.size, text.data);
    else
        snprintf(out, size, "NULL");
}

static void json_array(const row_list *rows, bool nulls, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (uint32_t i = 0; i < rows->count; i++) {
        const leat_value *x = &rows->rows[i].values[X];
        if (x->is_null && !nulls)
            continue;
        const char *comma = used > 1 ? "," : "";
        if (x->is_null)
            used += (size_t)snprintf(out + used, size - used, "%snull", comma);
        else
            used += (size_t)snprintf(out + used, size - used, "%s%lld", comma, (long long)x->i64);
    }
    snprintf(out + used, size - used, "]");
}

static void array_absent(const row_list *rows, char *out, size_t size) { json_array(rows, false, out, size); }

static void array_null(const row_list *rows, char *out, size_t size) { json_array(rows, true, out, size); }

static const char *const keys[] = {"a", "b", "cc", "d"};

static void json_object(const row_list *rows, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "{");
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const leat_value *last = NULL;
        for (uint32_t i = 0; i < rows->count; i++)
            if (!rows->rows[i].values[K].is_null && leat_slice_is(rows->rows[i].values[K].text, keys[k]))
                last = &rows->rows[i].values[X];
        if (!last)
            continue;
        used += (size_t)snprintf(out + used, size - used, "%s\"%s\":", used > 1 ? "," : "", keys[k]);
        if (last->is_null)
            used += (size_t)snprintf(out + used, size - used, "null");
        else
            used += (size_t)snprintf(out + used, size - used, "%lld", (long long)last->i64);
    }
    snprintf(out + used, size - used, "}");
}

static void how_many(const row_list *rows, char *out, size_t size)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        bool first = !rows->rows[i].values[X].is_null;
        for (uint32_t k = 0; k < i && first; k++)
            first = rows->rows[k].values[X].is_null || rows->rows[k].values[X].i64 != rows->rows[i].values[X].i64;
        count += first;
    }
    snprintf(out, size, "%lld", (long long)count);
}

// -- the calls

static const struct {
    const char *name, *arguments[3];
    bool distinct, append_only;
    expect expected;
    int columns[2]; // that are its own, for taking out the oldest row like one
} calls[] = {
    {"PERCENTILE", {"$1", "0.5"}, false, false, median, {Y, Y}},
    {"PERCENTILE", {"$1", "(ARRAY 0.9 0.0 0.3 1.0)"}, false, false, several, {Y, Y}},
    {"PERCENTILE", {"$1", "0.3", "$0"}, false, false, weighted, {Y, X}},
    {"PERCENTILE", {"$1", "0.25e0"}, true, false, of_distinct, {Y, Y}},
    {"MIN_BY", {"$0", "$1"}, false, false, least, {X, Y}},
    {"MAX_BY", {"$2", "$1"}, false, false, greatest, {K, Y}},
    {"JSON_ARRAYAGG", {"(JSON_STRING $0)", "@ABSENT"}, false, false, array_absent, {X, X}},
    {"JSON_ARRAYAGG", {"(JSON_STRING $0)", "@NULL"}, false, false, array_null, {X, X}},
    {"JSON_OBJECTAGG", {"$2", "(JSON_STRING $0)", "@NULL"}, false, false, json_object, {K, X}},
    {"APPROX_COUNT_DISTINCT", {"$0"}, false, true, how_many, {X, X}},
};
enum { CALLS = sizeof calls / sizeof *calls };

typedef struct tested_call {
    expr_test test;
    leat_type types[COLUMNS];
    leat_aggregate aggregate;
    leat_accumulators *set;
    leat_budget budget;
    void *accumulators[GROUPS];
    row_list lists[GROUPS];
} tested_call;

static leat_code resolve(tested_call *it, const char *name, const char *const arguments[3], bool distinct, bool retract)
{
    leat_expr *trees[3];
    uint32_t count = 0;
    for (; count < 3 && arguments[count]; count++)
        trees[count] = expr_of(&it->test, arguments[count]);
    return leat_aggregate_resolve(&it->test.scope, leat_slice_text(name), distinct, trees, count, NULL, retract,
                                  &it->aggregate, &it->test.error);
}

static void call_init(tested_call *it, int index, bool retract)
{
    memset(it, 0, sizeof *it);
    expr_test_init(&it->test);
    it->types[X] = leat_type_of(LEAT_KIND_INT);
    it->types[Y] = leat_type_of(LEAT_KIND_DOUBLE);
    it->types[K] = leat_type_of(LEAT_KIND_STRING);
    it->test.schema = it->types;
    leat_budget_init(&it->budget, &it->test.env->env, 0);
    if (resolve(it, calls[index].name, calls[index].arguments, calls[index].distinct, retract) != LEAT_OK)
        fail_msg("%s: %s", calls[index].name, it->test.error.message);
    assert_int_equal(leat_accumulators_create(&it->test.arena, &it->aggregate, 1, retract, &it->set, NULL), LEAT_OK);
    for (int g = 0; g < GROUPS; g++) {
        it->accumulators[g] = leat_arena_alloc_aligned(&it->test.arena, leat_accumulators_size(it->set), 16);
        leat_accumulators_init(it->set, it->accumulators[g]);
    }
}

static void call_fini(tested_call *it)
{
    for (int g = 0; g < GROUPS; g++)
        leat_accumulators_release(it->set, it->accumulators[g], &it->budget);
    assert_int_equal(it->budget.used, 0);
    expr_test_fini(&it->test);
}

static tested_row random_row(void)
{
    tested_row row = {
        {{.i64 = (int64_t)dice(12) - 2}, {.f64 = (double)dice(9) / 2}, {.text = leat_slice_text(keys[dice(4)])}}};
    for (int c = 0; c < COLUMNS; c++)
        if (dice(6) == 0)
            row.values[c] = leat_value_null();
    return row;
}

static void list_remove(tested_call *it, int index, row_list *list, const tested_row *row)
{
    for (uint32_t i = 0; i < list->count; i++) {
        bool same = true;
        for (int k = 0; k < 2; k++) {
            int c = calls[index].columns[k];
            same &= leat_value_equal(it->types[c], &list->rows[i].values[c], &row->values[c]);
        }
        if (!same)
            continue;
        memmove(&list->rows[i], &list->rows[i + 1], sizeof *list->rows * (list->count - i - 1));
        list->count--;
        return;
    }
    fail_msg("a row to take out is not there");
}

static void add(tested_call *it, int index, bool retract, uint32_t rows)
{
    leat_column columns[COLUMNS];
    uint8_t kinds[TEST_ROWS];
    void *accumulators[TEST_ROWS];
    leat_batch batch = {.count = rows, .selected = rows, .columns = columns, .row_kind = retract ? kinds : NULL};
    for (int c = 0; c < COLUMNS; c++)
        column_new(&it->test.arena, it->types[c], rows, &columns[c]);
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t g = dice(GROUPS);
        row_list *list = &it->lists[g];
        bool out = retract && list->count && dice(5) < 2;
        tested_row row = out ? list->rows[dice(list->count)] : random_row();
        if (out)
            list_remove(it, index, list, &row);
        else
            list->rows[list->count++] = row;
        for (int c = 0; c < COLUMNS; c++)
            leat_column_set(&columns[c], i, &row.values[c], NULL);
        kinds[i] = out ? LEAT_UPDATE_BEFORE : LEAT_INSERT;
        accumulators[i] = it->accumulators[g];
    }
    leat_eval_begin(&it->test.eval, &batch, 0);
    assert_int_equal(leat_accumulators_add(it->set, &it->test.eval, &batch, accumulators, &it->budget, NULL), LEAT_OK);
}

static void print_found(tested_call *it, const leat_value *value, char *out, size_t size)
{
    leat_type type = it->aggregate.type;
    bool number = type.kind == LEAT_KIND_DOUBLE, array = type.kind == LEAT_KIND_ARRAY;
    if (value->is_null || (!number && !array)) {
        print_value(&it->test, type, true, value, out, size);
        return;
    }
    uint32_t count = array ? value->nested.count : 1;
    size_t used = (size_t)snprintf(out, size, array ? "[" : "");
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.6f", i ? ", " : "",
                                 array ? value->nested.items[i].f64 : value->f64);
    snprintf(out + used, size - used, array ? "]" : "");
}

static void check(tested_call *it, int index, const char *when)
{
    static char wanted[65536], found[65536];
    leat_arena arena;
    leat_arena_init(&arena, &it->test.env->env, 4096);
    for (int g = 0; g < GROUPS; g++) {
        leat_value value;
        leat_accumulators_result(it->set, it->accumulators[g], 0, &arena, &value);
        calls[index].expected(&it->lists[g], wanted, sizeof wanted);
        print_found(it, &value, found, sizeof found);
        if (strcmp(wanted, found))
            fail_msg("%s (%d) %s: %u rows give %s, found %s", calls[index].name, index, when, it->lists[g].count,
                     wanted, found);
    }
    leat_arena_fini(&arena);
}

static void round_trip(tested_call *it, int g)
{
    leat_writer writer;
    leat_reader reader;
    leat_writer_init(&writer, &it->test.env->env, 1 << 24);
    leat_accumulators_encode(it->set, it->accumulators[g], &writer);
    leat_accumulators_release(it->set, it->accumulators[g], &it->budget);
    memset(it->accumulators[g], 0xee, leat_accumulators_size(it->set));
    leat_reader_init(&reader, writer.bytes, writer.size);
    assert_int_equal(leat_accumulators_decode(it->set, it->accumulators[g], &reader, &it->budget, NULL), LEAT_OK);
    assert_int_equal(leat_reader_left(&reader), 0);
    // A part of it is damaged, never a crash; what is refused holds no memory.
    void *other = leat_arena_alloc_aligned(&it->test.arena, leat_accumulators_size(it->set), 16);
    size_t used = it->budget.used;
    for (size_t size = 0; size < writer.size && size < 200; size++) {
        leat_reader_init(&reader, writer.bytes, size);
        assert_int_equal(leat_accumulators_decode(it->set, other, &reader, &it->budget, NULL), LEAT_E_CORRUPT);
    }
    assert_int_equal(it->budget.used, used);
    leat_writer_fini(&writer);
}

static void merge(tested_call *it, int into, int from)
{
    row_list *a = &it->lists[into], *b = &it->lists[from];
    assert_int_equal(
        leat_accumulators_merge(it->set, it->accumulators[into], it->accumulators[from], &it->budget, NULL), LEAT_OK);
    memcpy(a->rows + a->count, b->rows, sizeof *b->rows * b->count);
    a->count += b->count;
    b->count = 0;
    leat_accumulators_release(it->set, it->accumulators[from], &it->budget);
    leat_accumulators_init(it->set, it->accumulators[from]);
}

static void run_call(int index, bool retract)
{
    static tested_call it;
    call_init(&it, index, retract);
    check(&it, index, "empty");
    for (int step = 0; step < 10; step++) {
        add(&it, index, retract, 1 + dice(40));
        check(&it, index, retract ? "after rows in and out" : "after rows");
        if (dice(2))
            round_trip(&it, (int)dice(GROUPS));
        check(&it, index, "after a round trip");
        uint32_t into = dice(GROUPS);
        if (dice(3) == 0)
            merge(&it, (int)into, (int)((into + 1) % GROUPS));
        check(&it, index, "after a merge");
    }
    call_fini(&it);
}

static void same_as_from_scratch(void **state)
{
    (void)state;
    for (int run = 0; run < 12; run++)
        for (int i = 0; i < CALLS; i++) {
            run_call(i, false);
            if (!calls[i].append_only)
                run_call(i, true);
        }
}

// -- what Flink's tests expect

typedef struct flink_row {
    double value;
    int frequency, sign; // frequency 99: NULL
} flink_row;

static void percentile_as_flink(const char *const arguments[3], const flink_row *rows, uint32_t count,
                                const char *wanted)
{
    static tested_call it;
    leat_column columns[COLUMNS];
    uint8_t kinds[32];
    void *accumulators[32];
    leat_batch batch = {.count = count, .selected = count, .columns = columns, .row_kind = kinds};
    leat_value value;
    char found[256];
    call_init(&it, 0, true);
    assert_int_equal(resolve(&it, "PERCENTILE", arguments, false, true), LEAT_OK);
    assert_int_equal(leat_accumulators_create(&it.test.arena, &it.aggregate, 1, true, &it.set, NULL), LEAT_OK);
    for (int c = 0; c < COLUMNS; c++)
        column_new(&it.test.arena, it.types[c], count, &columns[c]);
    for (uint32_t i = 0; i < count; i++) {
        columns[Y].f64[i] = rows[i].value;
        columns[X].i64[i] = rows[i].frequency;
        columns[X].nulls[i] = rows[i].frequency == 99;
        kinds[i] = rows[i].sign < 0 ? LEAT_DELETE : LEAT_INSERT;
        accumulators[i] = it.accumulators[0];
    }
    leat_eval_begin(&it.test.eval, &batch, 0);
    assert_int_equal(leat_accumulators_add(it.set, &it.test.eval, &batch, accumulators, &it.budget, NULL), LEAT_OK);
    leat_accumulators_result(it.set, it.accumulators[0], 0, &it.test.arena, &value);
    print_value(&it.test, it.aggregate.type, true, &value, found, sizeof found);
    assert_string_equal(found, wanted);
    call_fini(&it);
}

static void percentiles_of_flink(void **state)
{
    (void)state;
    static const flink_row a[] = {{1, 1, 1}, {5, 2, 1}, {4, 1, 1}, {2, 4, 1}, {9, 3, 1}, {1, 2, 1}, {4, 1, 1}};
    static const flink_row b[] = {{3, 99, 1}, {2, 3, 1},  {2, -1, 1}, {6, 2, 1},
                                  {9, 1, 1},  {9, 1, -1}, {2, 3, -1}, {4, 1, 1}};
    static const flink_row c[] = {{1, 2, 1},   {2, 1, 1},   {2, -1, 1}, {2, 99, 1}, {2, 1, -1},
                                  {2, -1, -1}, {2, 99, -1}, {1, 2, -1}, {2, 1, 1}};
    static const struct {
        const char *arguments[3], *a, *b, *c;
    } cases[] = {
        {{"$1", "0.5"}, "4.0", "3.5", "2.0"},
        {{"$1", "0.3"}, "1.7999999999999998", "2.9", "2.0"},
        {{"$1", "0.5", "$0"}, "3.0", "6.0", "2.0"},
        {{"$1", "(ARRAY 0.9 0.7 0.3 1.0)"},
         "[6.600000000000001, 4.199999999999999, 1.7999999999999998, 9.0]",
         "[5.4, 4.199999999999999, 2.9, 6.0]",
         "[2.0, 2.0, 2.0, 2.0]"},
        {{"$1", "(ARRAY_REMOVE (ARRAY 0.0) 0.0)"}, "NULL", "NULL", "NULL"},
        {{"$1", "(ARRAY 0.9 0.7 0.3 1.0)", "$0"},
         "[9.0, 5.0, 2.0, 9.0]",
         "[6.0, 6.0, 5.2, 6.0]",
         "[2.0, 2.0, 2.0, 2.0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        percentile_as_flink(cases[i].arguments, a, sizeof a / sizeof *a, cases[i].a);
        percentile_as_flink(cases[i].arguments, b, sizeof b / sizeof *b, cases[i].b);
        percentile_as_flink(cases[i].arguments, c, sizeof c / sizeof *c, cases[i].c);
    }
}

// -- the estimate, over four orders of magnitude

static void estimates_are_near(void **state)
{
    (void)state;
    env_test *env = env_test_create();
    leat_budget budget;
    leat_budget_init(&budget, &env->env, 0);
    leat_type type = leat_type_of(LEAT_KIND_BIGINT);
    for (int64_t wanted = 10; wanted <= 1000000; wanted *= 10) {
        leat_sketch whole = {0}, half = {0};
        for (int64_t i = 0; i < wanted; i++) {
            leat_value value = {.i64 = i * 7};
            for (int twice = 0; twice < 2; twice++)
                assert_true(leat_sketch_add(i % 2 ? &half : &whole, leat_value_hash(type, &value), &budget));
        }
        assert_true(leat_sketch_merge(&whole, &half, &budget));
        int64_t found = leat_sketch_estimate(&whole);
        if (llabs(found - wanted) > wanted / 33 + (wanted < 1000 ? 1 : 0))
            fail_msg("of %lld different values %lld are found", (long long)wanted, (long long)found);
        leat_sketch_fini(&whole, &budget);
        leat_sketch_fini(&half, &budget);
    }
    assert_int_equal(budget.used, 0);
    env_test_destroy(env);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *arguments[3];
        bool distinct, retract;
        const char *message;
    } cases[] = {
        {"PERCENTILE", {"$1", "1.5"}, false, false, "PERCENTILE takes percentages from 0.0 to 1.0"},
        {"PERCENTILE", {"$1", "-1"}, false, false, "PERCENTILE takes percentages from 0.0 to 1.0"},
        {"PERCENTILE", {"$1", "(ARRAY 0.5 2.0)"}, false, false, "PERCENTILE takes percentages from 0.0 to 1.0"},
        {"PERCENTILE", {"$1", "$1"}, false, false, "a constant percentage"},
        {"PERCENTILE", {"$1", "'x'"}, false, false, "PERCENTILE takes percentages"},
        {"PERCENTILE",
         {"$2", "0.5"},
         false,
         false,
         "PERCENTILE takes (double, any, integer?), but was given (STRING, "},
        {"PERCENTILE", {"$1", "0.5", "$0"}, true, false, "either DISTINCT or a frequency"},
        {"APPROX_COUNT_DISTINCT", {"$0"}, false, true, "use COUNT(DISTINCT ..)"},
        {"MIN_BY", {"$0", "(ARRAY $0)"}, false, false, "do not compare ARRAY<INT>"},
        {"MIN_BY", {"$0"}, false, false, "MIN_BY takes (any, any), but was given"},
        {"RANK", {NULL}, false, false, "aggregate function RANK is not in leat; use ROW_NUMBER()"},
        {"PERCENTIL", {"$1", "0.5"}, false, false, "did you mean 'PERCENTILE'?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static tested_call it;
        call_init(&it, 0, false);
        leat_code code = resolve(&it, cases[i].name, cases[i].arguments, cases[i].distinct, cases[i].retract);
        if (code == LEAT_OK || !strstr(it.test.error.message, cases[i].message))
            fail_msg("%s: expected '%s', found '%s'", cases[i].name, cases[i].message,
                     code == LEAT_OK ? "nothing" : it.test.error.message);
        call_fini(&it);
    }
}

// The budget may refuse at any size: what was taken in stays as it was.
static void budget_refuses(void **state)
{
    (void)state;
    for (int i = 0; i < CALLS; i++)
        for (size_t limit = 1; limit < 3000; limit += 101) {
            static tested_call it;
            leat_column columns[COLUMNS];
            void *accumulators[64];
            leat_batch batch = {.count = 64, .selected = 64, .columns = columns};
            call_init(&it, i, false);
            it.budget.limit = limit;
            for (int c = 0; c < COLUMNS; c++)
                column_new(&it.test.arena, it.types[c], 64, &columns[c]);
            for (uint32_t r = 0; r < 64; r++) {
                tested_row row = random_row();
                for (int c = 0; c < COLUMNS; c++)
                    leat_column_set(&columns[c], r, &row.values[c], NULL);
                accumulators[r] = it.accumulators[0];
            }
            leat_eval_begin(&it.test.eval, &batch, 0);
            leat_code code =
                leat_accumulators_add(it.set, &it.test.eval, &batch, accumulators, &it.budget, &it.test.error);
            assert_true(code == LEAT_OK || code == LEAT_E_LIMIT);
            assert_true(it.budget.used <= limit);
            call_fini(&it);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_from_scratch), cmocka_unit_test(percentiles_of_flink),
        cmocka_unit_test(estimates_are_near),   cmocka_unit_test(refused),
        cmocka_unit_test(budget_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
