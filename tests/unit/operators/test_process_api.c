// What the conformance functions do not use: a broadcast table with shared state, maps, expiring state, passed columns, DECIMAL and
// ARRAY columns, a sorted table beside an unsorted one, a savepoint at another parallelism.
#include <stdio.h>

#include "tests/unit/operators/process_support.h"

#define PARAMETERS(list) .parameters = list, .parameter_count = sizeof list / sizeof list[0]
#define HEAD(function_name) .size = sizeof(leat_process_function), .api = LEAT_API, .name = function_name

static const leat_parameter one_table[] = {{.size = sizeof(leat_parameter), .name = "r", .kind = LEAT_ARGUMENT_TABLE}};
static const leat_parameter two_tables[] = {
    {.size = sizeof(leat_parameter), .name = "r", .kind = LEAT_ARGUMENT_TABLE},
    {.size = sizeof(leat_parameter), .name = "rules", .kind = LEAT_ARGUMENT_TABLE, .flags = LEAT_PARAMETER_BROADCAST}};

// ---- limits are broadcast, readings above the latest one are told; a map counts them by text

static int limits_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->state(declare, "limit", (leat_state_kind)(LEAT_STATE_VALUE | LEAT_STATE_SHARED), LEAT_API_DOUBLE, 0);
    api->state(declare, "counts", LEAT_STATE_MAP, LEAT_API_BIGINT, 100);
    api->state(declare, "names", (leat_state_kind)(LEAT_STATE_LIST | LEAT_STATE_SHARED), LEAT_API_STRING, 0);
    return 0;
}

static int limits_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    double value = leat_row_f64(row, 1);
    if (row->input == 1) {
        leat_text name = leat_row_text(row, 0);
        api->list_add(context, 2, leat_cell_text(name.bytes, name.size));
        return api->put(context, 0, leat_cell_f64(value));
    }
    if (!api->read(context, 0)->set || value <= api->read(context, 0)->f64)
        return 0;
    leat_cell key = leat_cell_text("over", 4), count = api->map_get(context, 1, key);
    count.set = 1;
    count.i64++;
    api->map_put(context, 1, key, count);
    leat_cell cells[] = {leat_cell_f64(value), count, api->list_get(context, 2, api->list_size(context, 2) - 1)};
    api->emit(context, 0, cells, 3);
    return 0;
}

static const leat_process_function limits = {HEAD("limits"), PARAMETERS(two_tables), .declare = limits_declare,
                                             .process = limits_process};

static void limits_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_time(h, 1);
    harness_rows(h, 0, "a,5");
    harness_rows(h, 1, "low,3");
    harness_rows(h, 0, "a,5 | b,9 | a,1 | a,6");
    harness_time(h, 101); // the counts have expired
    harness_rows(h, 0, "a,7");
    harness_rows(h, 1, "high,8");
    harness_rows(h, 0, "a,7 | b,9 | b,9");
    harness_expect(h, "+I[a, 5.0, 1, low]\n+I[b, 9.0, 1, low]\n+I[a, 6.0, 2, low]\n+I[a, 7.0, 1, low]\n"
                      "+I[b, 9.0, 1, high]\n+I[b, 9.0, 2, high]");
}

static void set_up_limits(process_case *c)
{
    process_case_init(c, &limits);
    process_table(c, "k:STRING,v:DOUBLE", 0);
    process_table(c, "name:STRING,limit:DOUBLE", -1)->broadcast = true;
    process_case_finish(c, "k:STRING,v:DOUBLE,count:BIGINT,rule:STRING");
}

static void test_broadcast(void **state)
{
    (void)state;
    process_case c;
    set_up_limits(&c);
    harness_run(&c.setup, limits_scenario, NULL);
    process_case_fini(&c);
}

// Every instance of the savepoint has the shared state, and only its own keys.
static void test_rescale(void **state)
{
    (void)state;
    process_case c;
    set_up_limits(&c);
    for (unsigned instance = 0; instance < 2; instance++) {
        harness *h = harness_create(&c.setup, HARNESS_SINGLE);
        harness_rows(h, 1, "low,3");
        for (int i = 0; i < 20; i++) {
            char row[32];
            snprintf(row, sizeof row, "key%d,5", i);
            harness_rows(h, 0, row);
        }
        harness_snapshot_whole(h);
        harness_restore_savepoint(h, instance, 2);
        uint64_t bytes, keys;
        harness_operator(h)->ops->measure(harness_operator(h), &bytes, &keys);
        assert_in_range(keys, 1, 19);
        harness_snapshot(h);
        harness_context(h)->instance = 0;
        harness_context(h)->parallelism = 1;
        harness_destroy(h);
    }
    process_case_fini(&c);
}

// ---- columns of all kinds, passed on

static int describe_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->output_column(declare, 0, "text", LEAT_API_STRING);
    api->output_column(declare, 0, "same", LEAT_API_DECIMAL);
    return 0;
}

static int describe_process(leat_context *context, const leat_row *row)
{
    char text[128];
    leat_text amount = leat_row_is_null(row, 1) ? (leat_text){"none", 4} : leat_row_text(row, 1);
    const leat_cell *list = &((const leat_cell *)row->columns[2].values)[row->index];
    int size = snprintf(text, sizeof text, "%.*s/%u/%g/%d", (int)amount.size, amount.bytes, list->count,
                        list->count ? list->items[0].f64 : 0, (int)leat_row_i64(row, 3));
    leat_cell cells[] = {leat_cell_text(text, (uint32_t)size), leat_cell_null(LEAT_API_DECIMAL)};
    if (!leat_row_is_null(row, 1)) {
        cells[1] = leat_cell_text(amount.bytes, amount.size);
        cells[1].type = LEAT_API_DECIMAL;
    }
    context->api->emit(context, 0, cells, 2);
    return 0;
}

static const leat_process_function describe = {HEAD("describe"), PARAMETERS(one_table), .declare = describe_declare,
                                               .process = describe_process};

static void describe_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,12.50,[1.5;2],7@3 | b,NULL,[],8@4 | c,-0.05,NULL,9@5");
    harness_expect(h, "+I[a, 12.50, [1.5;2.0], 7, 12.50/2/1.5/7, 12.50]@3\n"
                      "+I[b, NULL, [], 8, none/0/0/8, NULL]@4\n"
                      "+I[c, -0.05, NULL, 9, -0.05/0/0/9, -0.05]@5");
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_columns(void **state)
{
    (void)state;
    process_case c;
    process_case_init(&c, &describe);
    leat_process_table *table = process_table(&c, "k:STRING,d:DECIMAL(10,2),l:ARRAY<DOUBLE>,t:TINYINT", -1);
    table->row_semantics = table->pass_columns = true;
    process_case_finish(&c, "k:STRING,d:DECIMAL(10,2),l:ARRAY<DOUBLE>,t:TINYINT,text:STRING,same:DECIMAL(10,2)");
    harness_run(&c.setup, describe_scenario, NULL);
    process_case_fini(&c);
}

// ---- one table sorted, the other not

static int order_declare(leat_declare *declare, const leat_declare_api *api)
{
    api->output_column(declare, 0, "input", LEAT_API_INT);
    api->output_column(declare, 0, "amount", LEAT_API_DECIMAL);
    return 0;
}

static int order_process(leat_context *context, const leat_row *row)
{
    leat_text amount = leat_row_text(row, 1);
    leat_cell cells[] = {leat_cell_i64(LEAT_API_INT, row->input), leat_cell_text(amount.bytes, amount.size)};
    cells[1].type = LEAT_API_DECIMAL;
    context->api->emit(context, 0, cells, 2);
    return 0;
}

static const leat_parameter left_right[] = {{.size = sizeof(leat_parameter), .name = "a", .kind = LEAT_ARGUMENT_TABLE},
                                            {.size = sizeof(leat_parameter), .name = "b", .kind = LEAT_ARGUMENT_TABLE}};
static const leat_process_function order = {HEAD("order"), PARAMETERS(left_right), .declare = order_declare,
                                            .process = order_process};

static void order_scenario(harness *h, void *argument)
{
    (void)argument;
    harness_rows(h, 0, "a,1.1,@@30 | b,1.2,@@10 | a,1.3,@@20 | a,9.9,NULL");
    harness_rows(h, 1, "a,2.1,@@5");
    harness_watermark(h, 10);
    harness_rows(h, 1, "a,2.2,@@15");
    harness_watermark(h, 25);
    harness_rows(h, 1, "a,2.3,@@17");
    harness_expect(
        h, "+I[a, 1, 2.1]@5\n+I[b, 0, 1.2]@10\nW 10\n+I[a, 1, 2.2]@15\n+I[a, 0, 1.3]@20\nW 25\n+I[a, 1, 2.3]@17");
    harness_end_of_time(h);
    harness_expect(h, "+I[a, 0, 1.1]@30\nW MAX");
    assert_int_equal(harness_drops(h, LEAT_DROP_NULL_TIME), 1);
    harness_snapshot(h);
    assert_int_equal(harness_state_entries(h), 0);
}

static void test_sorted_beside_unsorted(void **state)
{
    (void)state;
    static const uint32_t columns[] = {2};
    process_case c;
    process_case_init(&c, &order);
    leat_process_table *table = process_table(&c, "k:STRING,d:DECIMAL(5,1),ts:TIMESTAMP*", 0);
    table->order_count = 1;
    table->order_columns = columns;
    process_table(&c, "k:STRING,d:DECIMAL(5,1),ts:TIMESTAMP*", 0);
    // NULL is no event time of a batch: the column itself is looked at.
    process_case_finish(&c, "k:STRING,input:INT,amount:DECIMAL(5,1)");
    c.setup.inputs[0] = "k:STRING,d:DECIMAL(5,1),ts:TIMESTAMP";
    harness_run(&c.setup, order_scenario, NULL);
    process_case_fini(&c);
}

// ---- time to live that reading refreshes: 'w' writes a value, a list and a map, 'r' reads them, 'c' counts the list only

static int keeper_declare_as(leat_declare *declare, const leat_declare_api *api, int flags)
{
    api->state(declare, "value", (leat_state_kind)(LEAT_STATE_VALUE | flags), LEAT_API_BIGINT, 100);
    api->state(declare, "list", (leat_state_kind)(LEAT_STATE_LIST | flags), LEAT_API_BIGINT, 100);
    api->state(declare, "map", (leat_state_kind)(LEAT_STATE_MAP | flags), LEAT_API_BIGINT, 100);
    return 0;
}

static int keeper_declare(leat_declare *declare, const leat_declare_api *api)
{
    return keeper_declare_as(declare, api, 0);
}

static int reader_declare(leat_declare *declare, const leat_declare_api *api)
{
    return keeper_declare_as(declare, api, LEAT_STATE_REFRESH_READ);
}

static void keeper_write(leat_context *context, int64_t value)
{
    const leat_context_api *api = context->api;
    leat_cell cell = leat_cell_i64(LEAT_API_BIGINT, value);
    api->put(context, 0, cell);
    api->list_add(context, 1, cell);
    api->map_put(context, 2, leat_cell_text(value % 2 ? "odd" : "even", value % 2 ? 3 : 4), cell);
}

static int keeper_process(leat_context *context, const leat_row *row)
{
    const leat_context_api *api = context->api;
    char what = leat_row_text(row, 1).bytes[0];
    if (what == 'w') {
        keeper_write(context, leat_row_i64(row, 2));
        return 0;
    }
    leat_cell cells[] = {leat_cell_null(LEAT_API_BIGINT), leat_cell_i64(LEAT_API_BIGINT, api->list_size(context, 1)),
                         leat_cell_null(LEAT_API_BIGINT)};
    if (what == 'r') {
        cells[0] = *api->read(context, 0);
        cells[2] = api->map_get(context, 2, leat_cell_text("odd", 3));
    }
    api->emit(context, 0, cells, 3);
    return 0;
}

static const leat_process_function keeper = {HEAD("keeper"), PARAMETERS(one_table), .declare = keeper_declare,
                                             .process = keeper_process};
static const leat_process_function reader = {HEAD("reader"), PARAMETERS(one_table), .declare = reader_declare,
                                             .process = keeper_process};

static void keeper_scenario(harness *h, void *argument)
{
    bool reads = *(const bool *)argument;
    harness_time(h, 1000);
    harness_rows(h, 0, "a,w,1 | a,w,2 | b,w,3");
    harness_time(h, 1060);
    harness_rows(h, 0, "a,r,0");
    harness_expect(h, "+I[a, 2, 2, 1]");
    harness_time(h, 1120); // what was written is 120 ms old, what was read 60
    harness_rows(h, 0, "a,r,0 | b,r,0");
    harness_expect(h, reads ? "+I[a, 2, 2, 1]\n+I[b, NULL, 0, NULL]" : "+I[a, NULL, 0, NULL]\n+I[b, NULL, 0, NULL]");
    harness_time(h, 1200);
    harness_rows(h, 0, "a,c,0"); // reads the list and nothing else
    harness_expect(h, reads ? "+I[a, NULL, 2, NULL]" : "+I[a, NULL, 0, NULL]");
    harness_time(h, 1219);
    harness_rows(h, 0, "a,w,4"); // the value anew, 'even' anew; 'odd' is 99 ms old
    harness_rows(h, 0, "a,r,0");
    harness_expect(h, reads ? "+I[a, 4, 3, 1]" : "+I[a, 4, 1, NULL]");
    harness_time(h, 1319); // exactly the time to live: gone
    harness_rows(h, 0, "a,r,0");
    harness_expect(h, "+I[a, NULL, 0, NULL]");
    harness_time(h, 5000);
    harness_rows(h, 0, "a,c,0 | b,c,0");
    harness_expect(h, "+I[a, NULL, 0, NULL]\n+I[b, NULL, 0, NULL]");
}

static void run_keeper(const leat_process_function *function, bool reads)
{
    process_case c;
    process_case_init(&c, function);
    process_table(&c, "k:STRING,what:STRING,n:BIGINT", 0);
    process_case_finish(&c, "k:STRING,value:BIGINT,list:BIGINT,map:BIGINT");
    harness_run(&c.setup, keeper_scenario, &reads);
    process_case_fini(&c);
}

static void test_refresh_on_write(void **state)
{
    (void)state;
    run_keeper(&keeper, false);
}

static void test_refresh_on_read(void **state)
{
    (void)state;
    run_keeper(&reader, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh_on_write), cmocka_unit_test(test_refresh_on_read),
        cmocka_unit_test(test_broadcast),        cmocka_unit_test(test_rescale),
        cmocka_unit_test(test_columns),          cmocka_unit_test(test_sorted_beside_unsorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
