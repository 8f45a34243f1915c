#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/drivers/decoding.h"

#define TYPE(kind) leat_type_of(LEAT_KIND_##kind)

static decoding d;
static leat_csv_settings settings;

static int setup(void **state)
{
    (void)state;
    decoding_init(&d);
    settings = (leat_csv_settings){0};
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    decoding_fini(&d);
    return 0;
}

static void must_open(void)
{
    leat_error error = {0};
    if (decoding_open(&d, &leat_format_csv_ops, &settings, &error) != LEAT_OK)
        fail_msg("%s", error.message);
}

static void open_abc(void)
{
    decoding_field(&d, "a", TYPE(INT), NULL, 0);
    decoding_field(&d, "b", TYPE(STRING), NULL, 0);
    decoding_field(&d, "c", TYPE(DOUBLE), NULL, 0);
    must_open();
}

static void expect(const char *payload, const char *wanted)
{
    decoding_run(&d, payload, strlen(payload));
    assert_string_equal(decoding_text(&d), wanted);
}

static void test_records(void **state)
{
    (void)state;
    open_abc();
    expect("1,x,2.5\n-2,\"y\",1e3\r\n3,,\n4\n\n\r\n5,z,6,7,8",
           "@0 {\"a\":1,\"b\":\"x\",\"c\":2.5}\n@8 {\"a\":-2,\"b\":\"y\",\"c\":1000}\n"
           "@20 {\"a\":3,\"b\":null,\"c\":null}\n@24 {\"a\":4,\"b\":null,\"c\":null}\n@29 "
           "{\"a\":5,\"b\":\"z\",\"c\":6}\n");
    expect("\xEF\xBB\xBF"
           "1,\"\",3",
           "@3 {\"a\":1,\"b\":\"\",\"c\":3}\n");
    expect("", "");
    expect("\n", "");
}

static void test_quotes(void **state)
{
    (void)state;
    open_abc();
    expect("1,\"a\"\"b\"\"\",2\n1,\"x,y\",2\n1,\"x\ny\r\nz\",2\n1,\"\",2\n",
           "@0 {\"a\":1,\"b\":\"a\\\"b\\\"\",\"c\":2}\n@13 {\"a\":1,\"b\":\"x,y\",\"c\":2}\n@23 "
           "{\"a\":1,\"b\":\"x\\ny\\r\\nz\",\"c\":2}\n"
           "@36 {\"a\":1,\"b\":\"\",\"c\":2}\n");
    expect("\"1\",\"b\",\"2\"\r\n", "@0 {\"a\":1,\"b\":\"b\",\"c\":2}\n");
    static const char *const bad[] = {"1,\"x",     "1,x\"y,2", "1,\"x\"y,2", "1,\"x\" ,2", "\"",
                                      "1,\"x\"\"", "1,\"\"\"", "1,x\"\n",    "1,\"x\"\r,2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        decoding_run(&d, bad[i], strlen(bad[i]));
        if (d.rows || d.rejects != 1 || d.cause != LEAT_DROP_UNDECODABLE)
            fail_msg("%s: %s", bad[i], decoding_text(&d));
    }
    decoding_run(&d, "1,x\"y,2\n2,\"z\",3\n", 17); // an odd quote: the record ends where quotes are even again
    assert_int_equal(d.rejects, 1);
    assert_int_equal(d.rows, 0);
}

static void test_lines_end_records(void **state)
{
    (void)state;
    open_abc();
    decoding_reset(&d);
    decoding_flagged(&d, "1,x\"y,2\n2,\"z\",3\n3,\"q\nr\",4\n", 26, "", 1024, LEAT_RAW_BLOCK | LEAT_RAW_LINES);
    assert_int_equal(d.rows, 1);
    assert_int_equal(d.rejects, 3);
}

static void test_misfits(void **state)
{
    (void)state;
    open_abc();
    static const char *const bad[][2] = {
        {"x,y,1", "a"},    {"1.5,y,1", "a"}, {"2147483648,y,1", "a"}, {"1,y,x", "c"},  {"1,y,1e400", "c"},
        {"1,\xFF,2", "b"}, {" 1,y,1", "a"},  {"\"\",y,1", "a"},       {"1,y,1-", "c"}, {"0x1,y,1", "a"},
        {"1,y,--1", "c"},  {"-,y,1", "a"},   {"+,y,1", "a"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        decoding_run(&d, bad[i][0], strlen(bad[i][0]));
        if (d.rows || d.rejects != 1 || d.cause != LEAT_DROP_MISFIT || strcmp(d.column, bad[i][1]) != 0)
            fail_msg("%s: %s", bad[i][0], decoding_text(&d));
    }
    expect(
        "007,y,.5\n+1,y,+2\n-0,y,NaN\n",
        "@0 {\"a\":7,\"b\":\"y\",\"c\":0.5}\n@9 {\"a\":1,\"b\":\"y\",\"c\":2}\n@17 {\"a\":0,\"b\":\"y\",\"c\":null}\n");
}

static void test_other_kinds(void **state)
{
    (void)state;
    decoding_field(&d, "m", leat_type_decimal(6, 2), NULL, 0);
    decoding_field(&d, "t", TYPE(TIMESTAMP), NULL, LEAT_TIME_UNIT_ISO);
    decoding_field(&d, "l", TYPE(TIMESTAMP_LTZ), NULL, LEAT_TIME_UNIT_MS);
    decoding_field(&d, "o", TYPE(BOOLEAN), NULL, 0);
    decoding_field(&d, "y", TYPE(BYTES), NULL, 0);
    decoding_field(&d, "d", TYPE(DATE), NULL, 0);
    decoding_field(&d, "h", TYPE(BIGINT), "topic[1]", 0);
    must_open();
    decoding_reset(&d);
    decoding_flagged(&d, "1.005,2024-01-01 00:00:00,1700000000123,TRUE,aGk=,2024-02-29\n", 61, "a/5", 8, 0);
    assert_string_equal(
        decoding_text(&d),
        "@0 {\"m\":1.01,\"t\":\"2024-01-01 00:00:00.000\",\"l\":\"2023-11-14T22:13:20.123Z\",\"o\":true,\"y\":\"aGk=\","
        "\"d\":\"2024-02-29\",\"h\":5}\n");
    static const char *const bad[][2] = {{"99999", "m"},  {"1,x", "t"},   {"1,2024-01-01 00:00:00,x", "l"},
                                         {",,,yes", "o"}, {",,,,*", "y"}, {",,,,,2023-02-29", "d"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        decoding_run(&d, bad[i][0], strlen(bad[i][0]));
        assert_int_equal(d.cause, LEAT_DROP_MISFIT);
        assert_string_equal(d.column, bad[i][1]);
    }
}

static void test_header(void **state)
{
    (void)state;
    settings = (leat_csv_settings){.header = true, .delimiter = ";", .null_text = "NA"};
    decoding_field(&d, "a", TYPE(INT), NULL, 0);
    decoding_field(&d, "b", TYPE(STRING), "Name, long", 0);
    decoding_field(&d, "z", TYPE(STRING), NULL, 0);
    must_open();
    static const char payload[] = "other;\"Name, long\";a\n9;x;1\n9;NA;NA\n9;\"NA\";2\n9;;3\n";
    static const char rows[] = "@21 {\"a\":1,\"b\":\"x\",\"z\":null}\n@27 {\"a\":null,\"b\":null,\"z\":null}\n@35 "
                               "{\"a\":2,\"b\":\"NA\",\"z\":null}\n"
                               "@44 {\"a\":3,\"b\":\"\",\"z\":null}\n";
    expect(payload, rows);
    for (uint32_t capacity = 1; capacity < 4; capacity++) {
        decoding_reset(&d);
        decoding_flagged(&d, payload, sizeof payload - 1, "", capacity, 0);
        assert_string_equal(decoding_text(&d), rows);
    }
    // Blocks of a file: the header once, at the head or given again.
    decoding_reset(&d);
    decoding_flagged(&d, "a\n1\n", 4, "", 8, LEAT_RAW_BLOCK | LEAT_RAW_LINES | LEAT_RAW_HEAD);
    decoding_flagged(&d, "2\n", 2, "", 8, LEAT_RAW_BLOCK | LEAT_RAW_LINES);
    decoding_flagged(&d, "z;a\n", 4, "", 8, LEAT_RAW_BLOCK | LEAT_RAW_LINES | LEAT_RAW_AGAIN);
    decoding_flagged(&d, "q;3\n", 4, "", 8, LEAT_RAW_BLOCK | LEAT_RAW_LINES);
    assert_string_equal(decoding_text(&d), "@2 {\"a\":1,\"b\":null,\"z\":null}\n@0 {\"a\":2,\"b\":null,\"z\":null}\n@0 "
                                           "{\"a\":3,\"b\":null,\"z\":\"q\"}\n");
}

static void test_header_never_seen(void **state)
{
    (void)state;
    settings.header = true;
    open_abc();
    decoding_reset(&d);
    decoding_flagged(&d, "1,x,2\n", 6, "", 8, LEAT_RAW_BLOCK | LEAT_RAW_LINES);
    assert_int_equal(d.rejects, 1);
    assert_int_equal(d.rows, 0);
}

static void test_positions(void **state)
{
    (void)state;
    leat_error error = {0};
    decoding_field(&d, "a", TYPE(INT), "[2]", 0);
    decoding_field(&d, "b", TYPE(STRING), "[0]", 0);
    must_open();
    expect("x,y,7", "@0 {\"a\":7,\"b\":\"x\"}\n");
    d.fields[1].path = "[2]";
    assert_int_equal(decoding_open(&d, &leat_format_csv_ops, &settings, &error), LEAT_E_INVALID);
    d.fields[1].path = "[2000]";
    assert_int_equal(decoding_open(&d, &leat_format_csv_ops, &settings, &error), LEAT_E_LIMIT);
    d.fields[1].path = NULL;
    settings.delimiter = "::";
    assert_int_equal(decoding_open(&d, &leat_format_csv_ops, &settings, &error), LEAT_E_INVALID);
    settings.delimiter = "\"";
    assert_int_equal(decoding_open(&d, &leat_format_csv_ops, &settings, &error), LEAT_E_INVALID);
    settings.delimiter = NULL;
    d.fields[1].type = leat_type_array(&d.arena, TYPE(INT));
    assert_int_equal(decoding_open(&d, &leat_format_csv_ops, &settings, &error), LEAT_E_UNSUPPORTED);
}

// Random records with random damage: the same rows whatever the capacity, and nothing lost without a rejection.
static void test_full_batches(void **state)
{
    (void)state;
    static const char *const pieces[] = {"1", "2.5",     ",",        ",",    "\n",       "\n",   "\"", "\"\"",
                                         "x", "\"a,b\"", "\"a\nb\"", "\r\n", "\xC3\xA9", "\xFF", ""};
    unsigned seed = 7;
    open_abc();
    for (int round = 0; round < 3000; round++) {
        char text[256] = "";
        for (int i = 0; i < 30; i++)
            strcat(text, pieces[(seed = seed * 1103515245 + 12345) >> 16 & 0x7FFF ? (seed >> 16) % 15 : 0]);
        uint8_t flags = round & 1 ? LEAT_RAW_LINES | LEAT_RAW_BLOCK : 0;
        uint32_t rows = 0, rejects = 0;
        static const uint32_t capacities[] = {1024, 1, 3};
        for (int i = 0; i < 3; i++) {
            decoding_reset(&d);
            decoding_flagged(&d, text, strlen(text), "", capacities[i], flags);
            if (i > 0 && (d.rows != rows || d.rejects != rejects))
                fail_msg("%s", text);
            rows = d.rows;
            rejects = d.rejects;
        }
    }
}

static void test_encode_and_back(void **state)
{
    (void)state;
    leat_error error = {0};
    settings.header = true;
    open_abc();
    leat_format_setup encoder = {.env = d.env, .arena = &d.arena, .schema = &d.schema, .settings = &settings};
    leat_format *format = leat_arena_calloc(&d.arena, leat_format_csv_ops.instance_size);
    format->ops = &leat_format_csv_ops;
    assert_int_equal(format->ops->open(format, &encoder, &error), LEAT_OK);
    leat_batch *batch = leat_batch_get_rows(d.pool, &d.schema, 4);
    static const char *const texts[] = {"plain", "with, \"quotes\"\nand a line", "", "z"};
    batch->count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        batch->columns[0].i64[i] = -(int)i;
        batch->columns[1].text[i] = leat_slice_text(texts[i]);
        batch->columns[2].f64[i] = i / 8.0;
        batch->columns[2].nulls[i] = i == 3;
    }
    leat_writer out;
    leat_writer_init(&out, d.env, 1 << 16);
    format->ops->encode_header(format, &out);
    for (uint32_t i = 0; i < 4; i++) {
        leat_write_u8(&out, '\n');
        format->ops->encode(format, batch, i, NULL, &out);
    }
    leat_write_u8(&out, 0);
    assert_string_equal((char *)out.bytes,
                        "a,b,c\n0,plain,0\n-1,\"with, \"\"quotes\"\"\nand a line\",0.125\n-2,\"\",0.25\n-3,z,");
    expect(
        (char *)out.bytes,
        "@6 {\"a\":0,\"b\":\"plain\",\"c\":0}\n@16 {\"a\":-1,\"b\":\"with, \\\"quotes\\\"\\nand a line\",\"c\":0.125}\n"
        "@55 {\"a\":-2,\"b\":\"\",\"c\":0.25}\n@66 {\"a\":-3,\"b\":\"z\",\"c\":null}\n");
    leat_writer_fini(&out);
    leat_batch_unref(batch);
}

static void test_too_large(void **state)
{
    (void)state;
    open_abc();
    char *large = malloc(LEAT_PAYLOAD_BYTES_MAX + 1);
    memset(large, '1', LEAT_PAYLOAD_BYTES_MAX + 1);
    decoding_run(&d, large, LEAT_PAYLOAD_BYTES_MAX + 1);
    assert_int_equal(d.cause, LEAT_DROP_TOO_LARGE);
    free(large);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_records),      CASE(test_quotes),          CASE(test_lines_end_records), CASE(test_misfits),
        CASE(test_other_kinds),  CASE(test_header),          CASE(test_header_never_seen), CASE(test_positions),
        CASE(test_full_batches), CASE(test_encode_and_back), CASE(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
