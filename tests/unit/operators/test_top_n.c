// Top-N, deduplication, rankings of windows, and changelogs brought into another form.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "operators/core/order_encode.h"
#include "operators/core/spec.h"
#include "tests/support/harness.h"

extern const leat_operator_ops leat_operator_top_n_ops, leat_operator_dedup_ops, leat_operator_window_rank_ops,
    leat_operator_changelog_ops;

#define INPUT "k:INT,u:STRING,v:BIGINT"
static const uint32_t key_columns[] = {0}, unique_columns[] = {0, 1};
static const leat_order descending[] = {{.column = 2, .descending = true, .nulls_last = true}};

static leat_top_n_spec top(leat_top_n_input input, int64_t from, int64_t to, bool rank)
{
    return (leat_top_n_spec){.input = input,
                             .key_count = 1,
                             .key_columns = key_columns,
                             .order_count = 1,
                             .orders = descending,
                             .unique_count = 2,
                             .unique_columns = unique_columns,
                             .from = from,
                             .to = to,
                             .rank_output = rank,
                             .emit_before = true};
}

static void run_top(const leat_top_n_spec *spec, harness_scenario scenario)
{
    harness_setup setup = {.ops = &leat_operator_top_n_ops,
                           .spec = spec,
                           .inputs = {INPUT},
                           .outputs = {spec->rank_output ? INPUT ",r:BIGINT" : INPUT},
                           .output_changelog = LEAT_CHANGELOG_RETRACT,
                           .start_ms = 1000};
    harness_run(&setup, scenario, NULL);
}

static void ranked(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,5 | 1,b,7 | 1,c,5 | 1,d,NULL | 1,e,6 | 2,f,1");
    harness_expect(h, "+I[1, a, 5, 1] \n -U[1, a, 5, 1] \n +U[1, b, 7, 1] \n +I[1, a, 5, 2] \n +I[1, c, 5, 3] \n "
                      "-U[1, a, 5, 2] \n +U[1, e, 6, 2] \n -U[1, c, 5, 3] \n +U[1, a, 5, 3] \n +I[2, f, 1, 1]");
}

static void test_rank_output(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 1, 3, true);
    run_top(&spec, ranked);
    spec.input = LEAT_TOP_N_RETRACT; // new rows only: the same
    run_top(&spec, ranked);
}

static void without_rank(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,5 | 1,b,7 | 1,c,5 | 1,d,6 | 1,e,1");
    harness_expect(h, "+I[1, a, 5] \n +I[1, b, 7] \n -D[1, a, 5] \n +I[1, d, 6]");
}

static void test_without_rank(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 1, 2, false);
    run_top(&spec, without_rank);
    spec.input = LEAT_TOP_N_RETRACT;
    run_top(&spec, without_rank);
}

// Rows against a list kept by hand: values that differ in their lowest bit, many equal ones, NULLs at either end, both signs.
enum { RANDOM_ROWS = 120, RANDOM_TOP_MAX = 20 };
typedef struct random_case {
    const char *input;
    const char *name; // what stands before a row's number in the second column
    int64_t top;
    bool by_name; // which is then a number: the last one first among equals
    leat_order orders[2];
} random_case;
typedef struct random_row {
    int64_t value;
    bool is_null;
    int number;
} random_row;

static bool stands_before(const random_case *it, const random_row *a, const random_row *b)
{
    const leat_order *order = &it->orders[0];
    if (a->is_null != b->is_null)
        return a->is_null != order->nulls_last;
    if (a->is_null || a->value == b->value)
        return it->by_name && a->number > b->number;
    return order->descending ? a->value > b->value : a->value < b->value;
}

static char *print_value(const random_row *row, char *out)
{
    strcpy(out, "NULL");
    if (!row->is_null)
        sprintf(out, "%lld", (long long)row->value);
    return out;
}

static char *print_random(const random_case *it, char *at, const char *kind, uint32_t key, const random_row *row)
{
    char name[80], value[24];
    snprintf(name, sizeof name, "%s%d", it->name, row->number);
    return at + sprintf(at, "%s[%u, %s, %s]\n", kind, key, name, print_value(row, value));
}

static void send_random(harness *h, const random_case *it, uint32_t key, const random_row *row)
{
    char name[80], value[24], text[140];
    snprintf(name, sizeof name, "%s%d", it->name, row->number);
    snprintf(text, sizeof text, "%u,%s,%s", key, name, print_value(row, value));
    harness_rows(h, 0, text);
}

static random_row random_one(uint32_t seed, int number)
{
    static const int64_t values[] = {INT64_MIN, INT64_MIN + 1, -3,       -2, -1, 0, 1, 2, 3, 1024,
                                     1025,      INT64_MAX - 1, INT64_MAX};
    return (random_row){.value = values[(seed >> 16) % (sizeof values / sizeof *values)],
                        .is_null = (seed >> 12) % 9 == 0,
                        .number = number};
}

static void random_rows(harness *h, void *argument)
{
    const random_case *it = argument;
    random_row kept[2][RANDOM_TOP_MAX + 1];
    uint32_t counts[2] = {0}, seed = 7;
    char *lines = test_malloc(RANDOM_ROWS * 300), *at = lines;
    for (int i = 0; i < RANDOM_ROWS; i++) {
        seed = seed * 1103515245 + 12345;
        uint32_t key = seed >> 30 & 1, place = counts[key];
        random_row row = random_one(seed, i);
        send_random(h, it, key + 1, &row);
        while (place && stands_before(it, &row, &kept[key][place - 1]))
            place--;
        if (place >= it->top)
            continue;
        if (counts[key] == it->top)
            at = print_random(it, at, "-D", key + 1, &kept[key][--counts[key]]);
        memmove(&kept[key][place + 1], &kept[key][place], (counts[key]++ - place) * sizeof row);
        kept[key][place] = row;
        at = print_random(it, at, "+I", key + 1, &row);
    }
    at[-1] = 0;
    harness_expect(h, lines);
    test_free(lines);
}

// Kept in the key's entry (texts in place, texts elsewhere, numbers only, an order that a prefix does not decide), or in lists.
static void test_bounds(void **state)
{
    (void)state;
    random_case cases[] = {
        {INPUT, "r", 2, false, {{0}}},
        {INPUT, "a_name_of_many_letters_", 3, false, {{0}}},
        {"k:INT,u:INT,v:BIGINT", "", 3, false, {{0}}},
        {"k:INT,u:INT,v:BIGINT", "", 3, true, {{0}}},
#ifdef __SIZEOF_INT128__ // boards of 32 bits have decimals of 18 digits
        {"k:INT,u:STRING,v:DECIMAL(20,0)", "r", 2, false, {{0}}},
#endif
        {INPUT, "r", RANDOM_TOP_MAX, false, {{0}}},
    };
    for (unsigned i = 0; i < 4 * sizeof cases / sizeof *cases; i++) {
        random_case *it = &cases[i / 4];
        it->orders[0] = (leat_order){.column = 2, .descending = i & 1, .nulls_last = i >> 1 & 1};
        it->orders[1] = (leat_order){.column = 1, .descending = true};
        leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 1, it->top, false);
        spec.orders = it->orders;
        spec.order_count = 1 + it->by_name;
        harness_setup setup = {.ops = &leat_operator_top_n_ops,
                               .spec = &spec,
                               .inputs = {it->input},
                               .outputs = {it->input},
                               .output_changelog = LEAT_CHANGELOG_RETRACT};
        harness_run(&setup, random_rows, it);
    }
}

// The first batch holds a row whose key is too long, so that bounds are not looked at; they are kept all the same.
static void too_large(harness *h, void *argument)
{
    (void)argument;
    char *rows = test_calloc(1, LEAT_KEY_BYTES_MAX + 200);
    strcpy(rows, "1,a,5 | 2,");
    memset(rows + strlen(rows), 'x', LEAT_KEY_BYTES_MAX);
    strcat(rows, ",7 | 1,a,6 | 1,a,5");
    harness_rows(h, 0, rows);
    test_free(rows);
    harness_expect(h, "+I[1, a, 5] \n -U[1, a, 5] \n +U[1, a, 6]");
    assert_int_equal(harness_drops(h, LEAT_DROP_TOO_LARGE), 1);
}

static void test_too_large(void **state)
{
    (void)state;
    static const uint32_t key[] = {1};
    leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 1, 1, false);
    spec.key_columns = key;
    run_top(&spec, too_large);
}

// What kept all rows, as they could be taken back, goes on where rows are only added: the first ones stay.
static void test_kept_all(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_RETRACT, 1, 2, false);
    harness_setup setup = {.ops = &leat_operator_top_n_ops,
                           .spec = &spec,
                           .inputs = {INPUT},
                           .outputs = {INPUT},
                           .output_changelog = LEAT_CHANGELOG_RETRACT};
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    harness_rows(h, 0, "1,a,1 | 1,b,5 | 1,c,3 | 1,d,5 | 1,e,2 | 2,f,1");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 6);
    harness_expect(h, "+I[1, a, 1] \n +I[1, b, 5] \n -D[1, a, 1] \n +I[1, c, 3] \n -D[1, c, 3] \n +I[1, d, 5] \n "
                      "+I[2, f, 1]");
    spec.input = LEAT_TOP_N_APPEND;
    harness_restore(h);
    harness_rows(h, 0, "1,g,5 | 1,h,6");
    harness_expect(h, "-D[1, d, 5] \n +I[1, h, 6]");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 3);
    harness_destroy(h);
}

// Long texts, so that what a row owns is refused too. After the failure everything is given back.
static void test_budget(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 1, 2, false);
    for (size_t budget = 30000; budget < 130000; budget += 5003) {
        harness_setup setup = {.ops = &leat_operator_top_n_ops,
                               .spec = &spec,
                               .inputs = {INPUT},
                               .outputs = {INPUT},
                               .output_changelog = LEAT_CHANGELOG_RETRACT,
                               .budget = budget};
        harness *h = harness_create(&setup, HARNESS_SINGLE);
        harness_fails(h, LEAT_E_LIMIT, "the memory budget of ");
        for (int i = 0; i < 5000; i++) {
            char row[80];
            snprintf(row, sizeof row, "%d,a_name_of_many_letters_%d,%d", i / 3, i, i);
            harness_rows(h, 0, row);
        }
        harness_destroy(h);
    }
}

static void second_only(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,5 | 1,b,7 | 1,c,9");
    harness_expect(h, "+I[1, a, 5] \n -U[1, a, 5] \n +U[1, b, 7]");
}

static void test_lower_bound(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 2, 2, false);
    run_top(&spec, second_only);
}

static void best(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,5 | 1,b,5 | 1,c,7 | 1,c,6");
    harness_expect(h, "+I[1, a, 5] \n -U[1, a, 5] \n +U[1, c, 7]");
}

static void test_top_1(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 1, 1, false);
    run_top(&spec, best);
    spec.input = LEAT_TOP_N_UPDATE;
    run_top(&spec, best);
}

static void taken_back(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,5 | 1,b,7 | 1,c,6 | 1,d,1 | 1,c,6");
    harness_expect(h, "+I[1, a, 5, 1] \n -U[1, a, 5, 1] \n +U[1, b, 7, 1] \n +I[1, a, 5, 2] \n "
                      "-U[1, a, 5, 2] \n +U[1, c, 6, 2]");
    harness_rows(h, 0, "-D 1,x,6 | -U 1,b,7"); // the first is of no row
    harness_expect(h, "-U[1, b, 7, 1] \n +U[1, c, 6, 1] \n -U[1, c, 6, 2] \n +U[1, c, 6, 2]");
    harness_rows(h, 0, "-D 1,c,6 | -D 1,d,1 | -D 1,c,6 | -D 1,a,5 | -D 1,a,5");
    harness_expect(h, "-U[1, c, 6, 1] \n +U[1, c, 6, 1] \n -U[1, c, 6, 2] \n +U[1, a, 5, 2] \n -U[1, c, 6, 1] \n "
                      "+U[1, a, 5, 1] \n -D[1, a, 5, 2] \n -D[1, a, 5, 1]");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_retract(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_RETRACT, 1, 2, true);
    run_top(&spec, taken_back);
}

static void moves_up(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,5 | 1,b,7 | 1,c,3 | -D 1,c,3 | -D 1,b,7 | +I 1,d,2 | -D 1,a,5");
    harness_expect(h, "+I[1, a, 5] \n +I[1, b, 7] \n -D[1, b, 7] \n +I[1, d, 2] \n -D[1, a, 5]");
    harness_rows(h, 0, "1,e,1 | 1,f,0 | -U 1,d,2");
    harness_expect(h, "+I[1, e, 1] \n -D[1, d, 2] \n +I[1, f, 0]");
}

static void test_retract_without_rank(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_RETRACT, 1, 2, false);
    run_top(&spec, moves_up);
}

static void rising(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,1 | 1,b,2 | 1,c,3");
    harness_expect(h, "+I[1, a, 1, 1] \n -U[1, a, 1, 1] \n +U[1, b, 2, 1] \n +I[1, a, 1, 2] \n -U[1, b, 2, 1] \n "
                      "+U[1, c, 3, 1] \n -U[1, a, 1, 2] \n +U[1, b, 2, 2] \n +I[1, a, 1, 3]");
    harness_rows(h, 0, "-U 1,a,1 | +U 1,a,9"); // from 3 to 1
    harness_expect(h, "-U[1, c, 3, 1] \n -U[1, a, 1, 3] \n +U[1, a, 9, 1] \n -U[1, b, 2, 2] \n +U[1, c, 3, 2] \n "
                      "+U[1, b, 2, 3]");
    harness_rows(h, 0, "+U 1,b,2 | +U 1,c,4 | +U 1,d,1 | +U 1,d,5");
    harness_expect(h, "-U[1, b, 2, 3] \n +U[1, b, 2, 3] \n -U[1, c, 3, 2] \n +U[1, c, 4, 2] \n -U[1, c, 4, 2] \n "
                      "+U[1, d, 5, 2] \n -U[1, b, 2, 3] \n +U[1, c, 4, 3]");
}

static void test_rising_rows(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_UPDATE, 1, 3, true);
    run_top(&spec, rising);
}

static void rows_run_out(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a,5");
    harness_time(h, 1060);
    harness_rows(h, 0, "1,b,7");
    harness_time(h, 1100); // a is gone, silently
    harness_rows(h, 0, "1,c,1 | 1,d,0");
    harness_expect(h, "+I[1, a, 5] \n +I[1, b, 7] \n +I[1, c, 1]");
    harness_time(h, 1400);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_time_to_live(void **state)
{
    (void)state;
    leat_top_n_spec spec = top(LEAT_TOP_N_APPEND, 1, 2, false);
    spec.state_ttl_ms = 100;
    run_top(&spec, rows_run_out);
}

// ---- deduplication

#define TIMED "k:INT,u:STRING"

static void run_dedup(const leat_dedup_spec *spec, harness_scenario scenario)
{
    harness_setup setup = {.ops = &leat_operator_dedup_ops,
                           .spec = spec,
                           .inputs = {TIMED},
                           .outputs = {TIMED},
                           .output_changelog = LEAT_CHANGELOG_RETRACT,
                           .start_ms = 1000};
    harness_run(&setup, scenario, NULL);
}

static void first_by_time(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a@20 | 1,b@20 | 1,c@10 | NULL,d@5 | 1,e@30");
    harness_watermark(h, 50);
    harness_rows(h, 0, "1,f@9 | NULL,g@6");
    harness_expect(h, "+I[1, a]@20 \n -U[1, a]@20 \n +U[1, c]@10 \n +I[NULL, d]@5 \n W 50 \n "
                      "-U[1, c]@10 \n +U[1, f]@9");
}

static void last_by_time(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a@20 | 1,b@20 | 1,c@10 | 1,e@30");
    harness_expect(h, "+I[1, a]@20 \n -U[1, a]@20 \n +U[1, b]@20 \n -U[1, b]@20 \n +U[1, e]@30");
}

static void first_final(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a@20 | 1,b@10 | 1,c@15 | 2,d@30");
    harness_watermark(h, 10);
    harness_rows(h, 0,
                 "1,e@11 | 1,e@9 | 2,f@9 | 2,g@25 | 3,h@9 | 4,i@10 | 2,j@25"); // those at 9 are late, that at 10 is not
    harness_watermark(h, 24);
    harness_expect(h, "+I[1, b]@10 \n W 10 \n +I[4, i]@10 \n W 24");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 3);
    harness_rows(h, 0, "4,k@24 | NULL,l@24");
    harness_watermark(h, 30);
    harness_rows(h, 0, "2,m@40 | NULL,n@29 | 5,o@31");
    harness_end_of_time(h);
    harness_expect(h, "+I[NULL, l]@24 \n +I[2, g]@25 \n W 30 \n +I[5, o]@31 \n W MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 4);
}

// Waiting does not count: the time to live begins when the row is sent.
static void final_runs_out(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a@10");
    harness_time(h, 5000);
    harness_rows(h, 0, "1,b@11");
    harness_watermark(h, 10);
    harness_time(h, 5099);
    harness_rows(h, 0, "1,c@12");
    harness_watermark(h, 12);
    harness_expect(h, "+I[1, a]@10 \n W 10 \n W 12");
    harness_time(h, 5100);
    harness_rows(h, 0, "1,d@13");
    harness_watermark(h, 13);
    harness_expect(h, "+I[1, d]@13 \n W 13");
}

// One form after the other: a row that the updating one left has been sent, one that waited is still to come.
static void test_form_changes(void **state)
{
    (void)state;
    leat_dedup_spec updating = {.key_count = 1, .key_columns = key_columns, .time_column = -1, .emit_before = true},
                    final = updating;
    final.insert_only = true;
    for (int forward = 0; forward < 2; forward++) {
        leat_dedup_spec spec = forward ? updating : final;
        harness_setup setup = {.ops = &leat_operator_dedup_ops,
                               .spec = &spec,
                               .inputs = {TIMED},
                               .outputs = {TIMED},
                               .output_changelog = LEAT_CHANGELOG_RETRACT};
        harness *h = harness_create(&setup, HARNESS_SINGLE);
        harness_rows(h, 0, "1,a@20 | 2,b@10");
        harness_watermark(h, 10);
        harness_expect_any_order(h, forward ? "+I[1, a]@20 \n +I[2, b]@10 \n W 10" : "+I[2, b]@10 \n W 10");
        harness_snapshot(h);
        spec = forward ? final : updating;
        harness_restore(h);
        harness_rows(h, 0, "1,c@15 | 2,d@10 | 3,e@16 | 3,f@12");
        harness_watermark(h, 30);
        harness_expect(h, forward ? "+I[3, f]@12 \n W 30"
                                  : "+I[3, e]@16 \n -U[3, e]@16 \n +U[3, f]@12 \n +I[1, c]@15 \n W 30");
        harness_destroy(h);
    }
}

static void first_to_come(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a@20 | 1,b@10 | NULL,c@1 | NULL,d@1");
    harness_expect(h, "+I[1, a]@20 \n +I[NULL, c]@1");
}

static void last_to_come(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "1,a@20 | 1,a@20 | 1,b@10");
    harness_expect(h, "+I[1, a]@20 \n -U[1, a]@20 \n +U[1, b]@10");
}

static void test_dedup(void **state)
{
    (void)state;
    leat_dedup_spec spec = {.key_count = 1, .key_columns = key_columns, .time_column = -1, .emit_before = true};
    run_dedup(&spec, first_by_time);
    spec.keep_last = true;
    run_dedup(&spec, last_by_time);
    spec.processing_time = true;
    run_dedup(&spec, last_to_come);
    spec.keep_last = false;
    run_dedup(&spec, first_to_come);
    spec.processing_time = false;
    spec.insert_only = true;
    run_dedup(&spec, first_final);
    spec.state_ttl_ms = 100;
    run_dedup(&spec, final_runs_out);
}

// ---- windows

static const uint32_t window_keys[] = {0, 1};

static void test_window_rank(void **state)
{
    (void)state;
    leat_window_rank_spec spec = {.key_count = 2,
                                  .key_columns = window_keys,
                                  .end_column = 1,
                                  .order_count = 1,
                                  .orders = descending,
                                  .from = 1,
                                  .to = 2,
                                  .rank_output = true};
    harness_setup setup = {.ops = &leat_operator_window_rank_ops,
                           .spec = &spec,
                           .inputs = {"k:INT,e:BIGINT,v:BIGINT"},
                           .outputs = {"k:INT,e:BIGINT,v:BIGINT,r:BIGINT"}};
    for (int mode = 0; mode < HARNESS_MODES; mode++) {
        harness *h = harness_create(&setup, (harness_mode)mode);
        harness_rows(h, 0, "1,100,5@99 | 1,100,7@99 | 1,100,5@99 | 2,100,1@99 | 1,200,3@199");
        harness_watermark(h, 98);
        harness_expect(h, "W 98");
        harness_rows(h, 0, "1,100,6@99 | 1,NULL,1@5");
        harness_watermark(h, 99);
        harness_rows(h, 0, "1,100,9@99");
        harness_end_of_time(h);
        harness_expect_any_order(h, "+I[1, 100, 7, 1]@99 \n +I[1, 100, 6, 2]@99 \n +I[2, 100, 1, 1]@99 \n W 99 \n "
                                    "+I[1, 200, 3, 1]@199 \n W MAX");
        assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
        assert_int_equal(harness_drops(h, LEAT_DROP_NULL_TIME), 1);
        harness_destroy(h);
    }
}

static void test_window_last_wins(void **state)
{
    (void)state;
    leat_window_rank_spec spec = {.key_count = 1,
                                  .key_columns = window_keys + 1,
                                  .end_column = 1,
                                  .order_count = 1,
                                  .orders = descending,
                                  .from = 1,
                                  .to = 1,
                                  .last_wins = true};
    harness_setup setup = {.ops = &leat_operator_window_rank_ops,
                           .spec = &spec,
                           .inputs = {"k:INT,e:BIGINT,v:BIGINT"},
                           .outputs = {"k:INT,e:BIGINT,v:BIGINT"}};
    for (int mode = 0; mode < HARNESS_MODES; mode++) {
        harness *h = harness_create(&setup, (harness_mode)mode);
        harness_rows(h, 0, "1,100,5@99 | 2,100,7@99 | 3,100,7@99 | 4,100,6@99");
        harness_watermark(h, 99);
        harness_expect(h, "+I[3, 100, 7]@99 \n W 99");
        harness_destroy(h);
    }
}

// After a savepoint rows of windows that had closed are late all the same.
static void test_window_savepoint(void **state)
{
    (void)state;
    leat_window_rank_spec spec = {.key_count = 2, .key_columns = window_keys, .end_column = 1, .from = 1, .to = 1};
    harness_setup setup = {.ops = &leat_operator_window_rank_ops,
                           .spec = &spec,
                           .inputs = {"k:INT,e:BIGINT,v:BIGINT"},
                           .outputs = {"k:INT,e:BIGINT,v:BIGINT"}};
    harness *h = harness_create(&setup, HARNESS_SINGLE);
    harness_rows(h, 0, "1,100,5@99 | 1,200,5@99");
    harness_watermark(h, 150);
    harness_expect(h, "+I[1, 100, 5]@99 \n W 150");
    harness_snapshot(h);
    harness_restore_savepoint(h, 0, 1);
    harness_rows(h, 0, "1,100,6@99 | 1,200,6@99");
    harness_watermark(h, 200);
    harness_expect_any_order(h, "W 150 \n +I[1, 200, 5]@99 \n W 200");
    assert_int_equal(harness_drops(h, LEAT_DROP_LATE), 1);
    harness_destroy(h);
}

// ---- changelogs

static void run_changelog(leat_changelog_mode mode, harness_scenario scenario)
{
    leat_changelog_spec spec = {.mode = mode, .key_count = 1, .key_columns = key_columns, .emit_before = true};
    harness_setup setup = {.ops = &leat_operator_changelog_ops,
                           .spec = &spec,
                           .inputs = {INPUT},
                           .outputs = {INPUT},
                           .output_changelog =
                               mode == LEAT_CHANGELOG_NORMALIZE ? LEAT_CHANGELOG_RETRACT : LEAT_CHANGELOG_UPSERT};
    harness_run(&setup, scenario, NULL);
}

static void without_before(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "+I 1,a,1 | -U 1,a,1 | +U 1,b,1 | -D 1,b,1");
    harness_watermark(h, 5);
    harness_expect(h, "+I[1, a, 1] \n +U[1, b, 1] \n -D[1, b, 1] \n W 5");
}

static void normalized(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "-D 1,x,9 | +U 1,a,1 | +I 1,a,1 | +I 1,b,NULL | -D 1,NULL,NULL | +U 1,c,2");
    harness_expect(h, "+I[1, a, 1] \n -U[1, a, 1] \n +U[1, b, NULL] \n -D[1, b, NULL] \n +I[1, c, 2]");
}

static void materialized(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "+I 1,a,1 | +I 1,b,2 | -D 1,a,1 | -U 1,x,1 | +U 1,c,3 | -D 1,c,3 | -D 1,b,2 | +I 1,a,1");
    harness_expect(h, "+I[1, a, 1] \n +U[1, b, 2] \n +U[1, c, 3] \n +U[1, b, 2] \n -D[1, b, 2] \n +I[1, a, 1]");
}

static void test_changelogs(void **state)
{
    (void)state;
    run_changelog(LEAT_CHANGELOG_DROP_BEFORE, without_before);
    run_changelog(LEAT_CHANGELOG_NORMALIZE, normalized);
    run_changelog(LEAT_CHANGELOG_MATERIALIZE, materialized);
}

// ---- order bytes

typedef struct ordered {
    env_test *env;
    leat_writer a, b;
} ordered;

static int compare(ordered *o, leat_type type, leat_value a, leat_value b, leat_order order)
{
    leat_writer_reset(&o->a);
    leat_writer_reset(&o->b);
    leat_order_encode(type, &a, &order, &o->a);
    leat_order_encode(type, &b, &order, &o->b);
    int found = leat_slice_compare(leat_writer_slice(&o->a), leat_writer_slice(&o->b));
    return (found > 0) - (found < 0);
}

static void check_ascending(ordered *o, leat_type type, const leat_value *values, uint32_t count)
{
    leat_order up = {0}, down = {.descending = true, .nulls_last = true};
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < count; k++) {
            int wanted = (i > k) - (i < k);
            assert_int_equal(compare(o, type, values[i], values[k], up), wanted);
            assert_int_equal(compare(o, type, values[i], values[k], down), -wanted);
        }
}

static leat_value text(const char *bytes, size_t size) { return (leat_value){.text = leat_slice_of(bytes, size)}; }

static void test_order_bytes(void **state)
{
    (void)state;
    ordered o = {.env = env_test_create()};
    leat_writer_init(&o.a, env_test_env(o.env), SIZE_MAX / 2);
    leat_writer_init(&o.b, env_test_env(o.env), SIZE_MAX / 2);
    leat_value integers[] = {leat_value_null(), {.i64 = INT64_MIN}, {.i64 = -1}, {.i64 = 0}, {.i64 = INT64_MAX}};
    leat_value doubles[] = {leat_value_null(), {.f64 = -1e300}, {.f64 = -1e-300},          {.f64 = 0.0},
                            {.f64 = 2.5},      {.f64 = 1e300},  {.f64 = __builtin_nan("")}};
    leat_value texts[] = {leat_value_null(), text("", 0),    text("\0", 1), text("\0a", 2),
                          text("a", 1),      text("a\0", 2), text("ab", 2), text("b", 1)};
    leat_value decimals[] = {leat_value_null(), {.i128 = -1000000000000}, {.i128 = -1}, {.i128 = 0}, {.i128 = 7}};
    leat_value booleans[] = {leat_value_null(), {.boolean = false}, {.boolean = true}};
    check_ascending(&o, leat_type_of(LEAT_KIND_BIGINT), integers, 5);
    check_ascending(&o, leat_type_of(LEAT_KIND_DOUBLE), doubles, 7);
    check_ascending(&o, leat_type_of(LEAT_KIND_STRING), texts, 8);
    check_ascending(&o, leat_type_decimal(18, 2), decimals, 5);
    check_ascending(&o, leat_type_of(LEAT_KIND_BOOLEAN), booleans, 3);
    leat_order last = {.nulls_last = true};
    assert_int_equal(compare(&o, leat_type_of(LEAT_KIND_BIGINT), integers[0], integers[4], last), 1);
    assert_int_equal(
        compare(&o, leat_type_of(LEAT_KIND_DOUBLE), (leat_value){.f64 = -0.0}, (leat_value){.f64 = 0.0}, last), 0);
    leat_writer_fini(&o.a);
    leat_writer_fini(&o.b);
    env_test_destroy(o.env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rank_output),
        cmocka_unit_test(test_without_rank),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_kept_all),
        cmocka_unit_test(test_lower_bound),
        cmocka_unit_test(test_top_1),
        cmocka_unit_test(test_retract),
        cmocka_unit_test(test_retract_without_rank),
        cmocka_unit_test(test_rising_rows),
        cmocka_unit_test(test_time_to_live),
        cmocka_unit_test(test_dedup),
        cmocka_unit_test(test_form_changes),
        cmocka_unit_test(test_window_rank),
        cmocka_unit_test(test_window_last_wins),
        cmocka_unit_test(test_window_savepoint),
        cmocka_unit_test(test_changelogs),
        cmocka_unit_test(test_order_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
