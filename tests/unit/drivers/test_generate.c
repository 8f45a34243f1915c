#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/source/generate.h"
#include "tests/unit/drivers/decoding.h"

static decoding d; // for its pool and printer
static leat_generate_settings settings;
static leat_generate_field_settings field_settings[7];
static leat_source_setup setup;
static leat_source *source;
static leat_error error;

static void open_source(void)
{
    source = leat_arena_calloc(&d.arena, leat_source_generate_ops.instance_size);
    source->ops = &leat_source_generate_ops;
    assert_int_equal(source->ops->open(source, &setup, &error), LEAT_OK);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const colors[] = {"red", "green"};
    decoding_init(&d);
    memset(field_settings, 0, sizeof field_settings);
    settings = (leat_generate_settings){.rows = 3000, .seed = 7, .keys = 5, .interval_ms = 100, .disorder_ms = 250};
    decoding_field(&d, "ts", leat_type_of(LEAT_KIND_TIMESTAMP_LTZ), NULL, 0);
    decoding_field(&d, "key", leat_type_of(LEAT_KIND_STRING), NULL, 0);
    decoding_field(&d, "n", leat_type_of(LEAT_KIND_BIGINT), NULL, 0);
    decoding_field(&d, "x", leat_type_of(LEAT_KIND_DOUBLE), NULL, 0);
    decoding_field(&d, "w", leat_type_of(LEAT_KIND_DOUBLE), NULL, 0);
    decoding_field(&d, "c", leat_type_of(LEAT_KIND_STRING), NULL, 0);
    decoding_field(&d, "m", leat_type_decimal(8, 2), NULL, 0);
    field_settings[2] = (leat_generate_field_settings){.generate = LEAT_GENERATE_SEQUENCE, .minimum = 10};
    field_settings[3] = (leat_generate_field_settings){.generate = LEAT_GENERATE_RANDOM, .minimum = -1, .maximum = 1};
    field_settings[4] = (leat_generate_field_settings){.generate = LEAT_GENERATE_WALK, .minimum = 20, .maximum = 30};
    field_settings[5] = (leat_generate_field_settings){.generate = LEAT_GENERATE_CHOICE, .values = {colors, 2}};
    for (int i = 0; i < 7; i++)
        d.fields[i].settings = &field_settings[i];
    assert_int_equal(decoding_open(&d, &leat_format_json_ops, NULL, &error), LEAT_OK);
    setup = (leat_source_setup){.env = d.env,
                                .arena = &d.arena,
                                .name = "g",
                                .settings = &settings,
                                .fields = d.fields,
                                .field_count = 7,
                                .schema = &d.schema};
    assert_int_equal(leat_source_generate_description.check(&settings, d.fields, 7, &error), LEAT_OK);
    open_source();
    return 0;
}
static int tear_down(void **state)
{
    (void)state;
    decoding_fini(&d);
    return 0;
}

static void print_raw(const leat_raw *raw, uint32_t capacity)
{
    static uint32_t offsets[LEAT_BATCH_ROWS];
    for (size_t offset = 0; offset < raw->payload.size;) {
        leat_batch *batch = leat_batch_get_rows(d.pool, &d.schema, capacity);
        leat_decode_target target = {batch, capacity, offsets, NULL};
        assert_int_equal(source->ops->decode(source, raw, &offset, &target), LEAT_OK);
        decoding_print(&d, batch, offsets, (uint32_t)raw->position);
        leat_batch_unref(batch);
    }
}

static char *run(uint32_t capacity)
{
    leat_raw raw;
    int64_t wait_ms;
    decoding_reset(&d);
    while (source->ops->pull(source, &raw, &wait_ms, &error) == LEAT_OK)
        print_raw(&raw, capacity);
    return strdup(decoding_text(&d));
}

static void test_same_rows_again(void **state)
{
    (void)state;
    char *whole = run(1024);
    assert_int_equal(d.rows, 3000);
    assert_int_equal(source->ops->seek(source, leat_slice_of("", 0), &error), LEAT_OK);
    char *small = run(7);
    assert_string_equal(whole, small);
    free(small);
    for (uint64_t row = 0; row < 3000; row += 311) {
        open_source();
        assert_int_equal(source->ops->seek(source, leat_slice_of((char *)&row, 8), &error), LEAT_OK);
        leat_slice position = source->ops->position(source);
        assert_memory_equal(position.data, &row, 8);
        char *rest = run(1024);
        char mark[32];
        snprintf(mark, sizeof mark, "@%llu ", (unsigned long long)row);
        assert_string_equal(rest, strstr(whole, mark));
        free(rest);
    }
    settings.seed = 8;
    source->ops->seek(source, leat_slice_of("", 0), &error);
    char *other = run(1024);
    assert_string_not_equal(whole, other);
    free(other);
    free(whole);
}

static void test_values_are_in_range(void **state)
{
    (void)state;
    leat_raw raw;
    int64_t wait_ms;
    int keys[5] = {0}, reds = 0, early = 0;
    double last_walk = 0;
    assert_int_equal(source->ops->pull(source, &raw, &wait_ms, &error), LEAT_OK);
    leat_batch *batch = leat_batch_get_rows(d.pool, &d.schema, 1024);
    leat_decode_target target = {batch, 1024, NULL, NULL};
    size_t offset = 0;
    source->ops->decode(source, &raw, &offset, &target);
    for (uint32_t i = 0; i < batch->count; i++) {
        int64_t due = 1704067200000 + i * 100;
        assert_in_range(batch->columns[0].i64[i], due - 250, due);
        early += batch->columns[0].i64[i] < due;
        keys[batch->columns[1].text[i].data[4] - '0']++;
        assert_int_equal(batch->columns[2].i64[i], 10 + i);
        assert_true(batch->columns[3].f64[i] >= -1 && batch->columns[3].f64[i] <= 1);
        assert_true(batch->columns[4].f64[i] >= 20 && batch->columns[4].f64[i] <= 30);
        reds += leat_slice_is(batch->columns[5].text[i], "red");
        assert_true(batch->columns[6].i128[i] >= 0 && batch->columns[6].i128[i] <= 10000);
        last_walk = batch->columns[4].f64[i];
    }
    (void)last_walk;
    for (int i = 0; i < 5; i++)
        assert_in_range(keys[i], 150, 260);
    assert_in_range(reds, 400, 620);
    assert_true(early > 900);
    leat_batch_unref(batch);
}

static void test_rate(void **state)
{
    (void)state;
    leat_raw raw;
    int64_t wait_ms;
    uint64_t rows = 0;
    settings.rate = 1000;
    int64_t begin = leat_boot_ms(d.env);
    while (leat_boot_ms(d.env) - begin < 300)
        if (source->ops->pull(source, &raw, &wait_ms, &error) == LEAT_OK)
            rows += raw.payload.size;
        else
            usleep((unsigned)wait_ms * 1000);
    int64_t took = leat_boot_ms(d.env) - begin;
    assert_in_range(rows, 250, took + 2);
}

static void test_bad_settings(void **state)
{
    (void)state;
    field_settings[5].values.count = 0;
    assert_int_equal(leat_source_generate_description.check(&settings, d.fields, 7, &error), LEAT_E_INVALID);
    field_settings[5].generate = LEAT_GENERATE_TIME;
    assert_int_equal(leat_source_generate_description.check(&settings, d.fields, 7, &error), LEAT_E_INVALID);
    field_settings[5].generate = LEAT_GENERATE_KEY;
    field_settings[3].minimum = 2;
    assert_int_equal(leat_source_generate_description.check(&settings, d.fields, 7, &error), LEAT_E_INVALID);
    field_settings[3].minimum = 0;
    settings.start = "yesterday";
    assert_int_equal(leat_source_generate_description.check(&settings, d.fields, 7, &error), LEAT_E_INVALID);
    assert_int_equal(source->ops->seek(source, leat_slice_of("123", 3), &error), LEAT_E_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_same_rows_again),
        CASE(test_values_are_in_range),
        CASE(test_rate),
        CASE(test_bad_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
