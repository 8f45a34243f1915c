#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/drivers/decoding.h"

#define TYPE(kind) leat_type_of(LEAT_KIND_##kind)

static decoding d;

static void open_fields(const char *specification);

static int setup(void **state)
{
    (void)state;
    decoding_init(&d);
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
    if (decoding_open(&d, &leat_format_json_ops, NULL, &error) != LEAT_OK)
        fail_msg("%s", error.message);
}

// "a:INT b:DOUBLE=x.y[0]" with kinds as below.
static void open_fields(const char *specification)
{
    static const struct {
        const char *name;
        leat_kind kind;
        leat_time_unit unit;
    } kinds[] = {
        {"BOOLEAN", LEAT_KIND_BOOLEAN, 0},
        {"TINYINT", LEAT_KIND_TINYINT, 0},
        {"SMALLINT", LEAT_KIND_SMALLINT, 0},
        {"INT", LEAT_KIND_INT, 0},
        {"BIGINT", LEAT_KIND_BIGINT, 0},
        {"FLOAT", LEAT_KIND_FLOAT, 0},
        {"DOUBLE", LEAT_KIND_DOUBLE, 0},
        {"STRING", LEAT_KIND_STRING, 0},
        {"BYTES", LEAT_KIND_BYTES, 0},
        {"DATE", LEAT_KIND_DATE, 0},
        {"TIME", LEAT_KIND_TIME, 0},
        {"TS", LEAT_KIND_TIMESTAMP, LEAT_TIME_UNIT_ISO},
        {"LTZ", LEAT_KIND_TIMESTAMP_LTZ, 0},
        {"S", LEAT_KIND_TIMESTAMP_LTZ, LEAT_TIME_UNIT_S},
        {"MS", LEAT_KIND_TIMESTAMP_LTZ, LEAT_TIME_UNIT_MS},
        {"US", LEAT_KIND_TIMESTAMP_LTZ, LEAT_TIME_UNIT_US},
        {"NS", LEAT_KIND_TIMESTAMP_LTZ, LEAT_TIME_UNIT_NS},
        {"INTERVAL", LEAT_KIND_INTERVAL, 0},
        {"INTS", LEAT_KIND_ARRAY, 0},
        {"TEXTS", LEAT_KIND_ARRAY, 0},
        {"DECIMAL", LEAT_KIND_DECIMAL, 0},
        {"MAP", LEAT_KIND_MAP, 0},
        {"ROW", LEAT_KIND_ROW, 0},
    };
    char *text = leat_arena_copy(&d.arena, specification, strlen(specification));
    for (char *save = NULL, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *kind = strchr(word, ':'), *path = strchr(word, '=');
        *kind++ = 0;
        if (path)
            *path++ = 0;
        size_t i = 0;
        while (i < sizeof kinds / sizeof *kinds && strcmp(kinds[i].name, kind) != 0)
            i++;
        assert_true(i < sizeof kinds / sizeof *kinds);
        leat_type type = leat_type_of(kinds[i].kind);
        if (kinds[i].kind == LEAT_KIND_DECIMAL)
            type = leat_type_decimal(6, 2);
        if (kinds[i].kind == LEAT_KIND_ARRAY)
            type = leat_type_array(&d.arena, strcmp(kind, "INTS") == 0 ? TYPE(INT) : TYPE(STRING));
        if (kinds[i].kind == LEAT_KIND_MAP || kinds[i].kind == LEAT_KIND_ROW) {
            leat_type *types = leat_arena_array(&d.arena, leat_type, 2);
            leat_type_field *fields = leat_arena_array(&d.arena, leat_type_field, 2);
            types[0] = kinds[i].kind == LEAT_KIND_MAP ? TYPE(STRING) : TYPE(INT);
            types[1] = kinds[i].kind == LEAT_KIND_MAP ? TYPE(INT) : TYPE(STRING);
            fields[0] = (leat_type_field){leat_slice_text("x"), &types[0]};
            fields[1] = (leat_type_field){leat_slice_text("y"), &types[1]};
            type = (leat_type){.kind = (uint8_t)kinds[i].kind, .field_count = 2, .fields = fields};
        }
        decoding_field(&d, word, type, path, kinds[i].unit);
    }
    must_open();
}

static void expect(const char *payload, const char *wanted)
{
    decoding_run(&d, payload, strlen(payload));
    assert_string_equal(decoding_text(&d), wanted);
    decoding_run(&d, payload, strlen(payload)); // by the shape that the first one left
    assert_string_equal(decoding_text(&d), wanted);
}

static void expect_reject(const char *payload, leat_drop_cause cause, const char *column)
{
    for (int i = 0; i < 2; i++) {
        decoding_run(&d, payload, strlen(payload));
        if (d.rows != 0 || d.rejects != 1 || d.cause != cause || strcmp(d.column, column) != 0)
            fail_msg("%s: %s", payload, decoding_text(&d));
    }
}

// ---- syntax

// clang-format off
static const char *const good[] = {
    "0", "-0", "1", "-1", "10", "123456789012345678901234567890", "0.0", "-0.0", "1.5", "1e5", "1E5", "1e+5",
    "1e-5", "1.5e300", "1e400", "-1e400", "1e-400", "0e0", "0E+0",
    "0.000000000000000000000000000000000000000000000000001", "true", "false", "null", "\"\"", "\"a\"", "\"\\\"\"",
    "\"\\\\\"", "\"\\/\"", "\"\\b\\f\\n\\r\\t\"", "\"\\u0000\"", "\"\\u0041\"", "\"\\uD83D\\uDE00\"",
    "\"\\ud800\\udc00\"", "\"\\uDBFF\\uDFFF\"", "\"\\uFFFF\"", "\"\\u00e9\"", "\"\xC3\xA9\"", "\"\xE2\x82\xAC\"",
    "\"\xF0\x9F\x98\x80\"", "\"\xEF\xBF\xBF\"", "\"\xF4\x8F\xBF\xBF\"", "\"\x7F\"", "\"a\\u0062c\"", "\"/\"",
    "\"'\"", "\"\\\\u0061\"", "\"\\\\\\\"\"", "[]", "[ ]", "[1]", "[1,2]", "[ 1 , 2 ]", "[[]]", "[[],[]]",
    "[\"a\",null,true]", "[{}]", "{}", "{ }", "{\"a\":1}", "{\"a\":{\"b\":{}}}", "{\"\":0}", "{\"a\":1,\"a\":2}",
    "{\"a\\u0062\":[]}", "\t1\t", "\r\n1\r\n", "{\"a\" : [ { } ] }", "[1.0,-2E-2]", "\"01234567890123456789\\n\"",
    ("\"01234567\xC3\xA9" "01234567\""), "\"abcdefg\\\"\"",
};
// clang-format on

// clang-format off
static const char *const bad[] = {
    "", " ", "-", "+1", "01", "-01", "00", "1.", ".5", "-.5", "1e", "1e+", "1E-", "1.e5", "1.5e", "0x1", "1a",
    "1 2", "- 1", "--1", "1..2", "1e5.5", "Infinity", "-Infinity", "NaN", "nan", "tru", "True", "TRUE", "fals",
    "nul", "nulll", "truefalse", "undefined", "\"", "\"a", "'a'", "\"a\\\"", "\"\\x\"", "\"\\\"", "\"\\u\"",
    "\"\\u1\"", "\"\\u12\"", "\"\\u123\"", "\"\\u123g\"", "\"\\u 123\"", "\"\\ud800\"", "\"\\udc00\"",
    "\"\\ud800\\n\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "\"\\ud800\\\"", "\"\\ud800x\"",
    "\"\\udfff\\ud800\"", "\"\\U0041\"", "\"\x01\"", "\"\t\"", "\"\n\"", "\"a\nb\"", "\"\x1F\"", "\"\x80\"",
    "\"\xBF\"", "\"\xC0\x80\"", "\"\xC1\xBF\"", "\"\xC3\"", "\"\xC3(\"", "\"\xE0\x80\x80\"", "\"\xE0\x9F\xBF\"",
    "\"\xE2\x82\"", "\"\xED\xA0\x80\"", "\"\xED\xBF\xBF\"", "\"\xF0\x80\x80\x80\"", "\"\xF0\x9F\x98\"",
    "\"\xF4\x90\x80\x80\"", "\"\xF5\x80\x80\x80\"", "\"\xFF\"", "\"\xFE\xFE\"", "\"01234567\xFF" "01234567\"", "[",
    "]", "[1", "[1,", "[,1]", "[1,]", "[1,,2]", "[1 2]", "[1}", "[1]]", "[\"a\"", "[a]", "[[[", "{", "{]", "{\"a\"",
    "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{,\"a\":1}", "{\"a\" 1}", "{\"a\"::1}", "{\"a\":1 \"b\":2}",
    "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{\"a\":1,,\"b\":2}", "{\"a\\x\":1}", "{\"\xFF\":1}",
    "{\"\\ud800\":1}", "{\"a\":}", "{:1}", "{\"a\":1]", "{{}}", "{[]}", "//x\n1", "/**/1", "1#", "\xC2\xA0" "1",
    "\x0B" "1", "\f1", "\xEF\xBB\xBF" "1", "@", "*", "1;", "\"a\"\"b\"", "<1>", "\\u0031", "\x01",
};
// clang-format on

static void test_syntax(void **state)
{
    (void)state;
    char text[512];
    assert_true(sizeof good / sizeof *good + sizeof bad / sizeof *bad >= 120);
    open_fields("k:INT w:STRING=v.q d:DOUBLE=v[3]");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "{\"k\":7,\"u\":%s,\"z\":1}", good[i]);
        expect(text, "@0 {\"k\":7,\"w\":null,\"d\":null}\n");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"k\":7,\"u\":%s,\"z\":1}", bad[i]);
        decoding_run(&d, text, strlen(text));
        if (d.rows || !d.rejects || d.cause != LEAT_DROP_UNDECODABLE)
            fail_msg("accepted: %s: %s", text, decoding_text(&d));
        snprintf(text, sizeof text, "{\"v\":%s}", bad[i]); // where a path leads through
        decoding_run(&d, text, strlen(text));
        if (d.rows || !d.rejects || d.cause != LEAT_DROP_UNDECODABLE)
            fail_msg("accepted on the path: %s: %s", text, decoding_text(&d));
    }
}

static void test_declared_value_of_every_kind_refuses_bad_syntax(void **state)
{
    (void)state;
    char text[512];
    open_fields("a:INT b:DOUBLE c:STRING d:BOOLEAN e:DECIMAL f:INTS g:TS h:MS i:MAP j:ROW k:FLOAT");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (char name = 'a'; name <= 'k'; name++) {
            snprintf(text, sizeof text, "{\"%c\":%s}", name, bad[i]);
            decoding_run(&d, text, strlen(text));
            if (d.rows || !d.rejects || d.cause != LEAT_DROP_UNDECODABLE)
                fail_msg("accepted: %s: %s", text, decoding_text(&d));
        }
}

static void test_place_of_a_fault(void **state)
{
    (void)state;
    open_fields("a:INT");
    decoding_run(&d, "{\"a\":1 \"b\":2}", 13);
    assert_string_equal(d.reason, "byte 7: expected ',' or '}', found '\"'");
    decoding_run(&d, "{\"a\":", 5);
    assert_string_equal(d.reason, "byte 5: expected a value, found the end");
    decoding_run(&d, "{\"a\":tru\n", 9);
    assert_string_equal(d.payload, "{\"a\":tru");
    expect_reject("42", LEAT_DROP_UNDECODABLE, "");
    expect_reject("\"text\"", LEAT_DROP_UNDECODABLE, "");
    expect_reject("{\"a\":1}x", LEAT_DROP_UNDECODABLE, "");
    expect_reject("{\"a\":1}{\"a\":2}", LEAT_DROP_UNDECODABLE, "");
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    static const char whole[] =
        "{\"a\":-12.5e1,\"s\":\"x\\u00e9\\ud83d\\ude00\xE2\x82\xAC\",\"o\":{\"p\":[1,{\"q\":true}]},\"n\":null}";
    open_fields("a:DOUBLE s:STRING q:BOOLEAN=o.p[1].q n:INT");
    expect(whole, "@0 {\"a\":-125,\"s\":\"x\xC3\xA9\xF0\x9F\x98\x80\xE2\x82\xAC\",\"q\":true,\"n\":null}\n");
    for (size_t size = 1; size + 1 < sizeof whole; size++) {
        decoding_run(&d, whole, sizeof whole - 1); // teaches the shape
        decoding_run(&d, whole, size);
        assert_int_equal(d.rows, 0);
        assert_int_equal(d.rejects, 1);
        assert_int_equal(d.cause, LEAT_DROP_UNDECODABLE);
    }
    decoding_run(&d, whole, 0);
    assert_int_equal(d.rows + d.rejects, 0);
}

static void test_limits(void **state)
{
    (void)state;
    char text[256];
    open_fields("a:INT");
    for (int depth = 31; depth <= 32; depth++) {
        size_t size = (size_t)snprintf(text, sizeof text, "{\"a\":1,\"u\":");
        memset(text + size, '[', (size_t)depth);
        memset(text + size + depth, ']', (size_t)depth);
        snprintf(text + size + 2 * depth, 8, "}");
        decoding_run(&d, text, strlen(text));
        assert_int_equal(d.rows, depth == 31);
        if (depth == 32)
            assert_int_equal(d.cause, LEAT_DROP_TOO_LARGE);
    }
    char *large = malloc(LEAT_PAYLOAD_BYTES_MAX + 1);
    memset(large, ' ', LEAT_PAYLOAD_BYTES_MAX + 1);
    memcpy(large, "{\"a\":1}", 7);
    decoding_run(&d, large, LEAT_PAYLOAD_BYTES_MAX);
    assert_int_equal(d.rows, 1);
    decoding_run(&d, large, LEAT_PAYLOAD_BYTES_MAX + 1);
    assert_int_equal(d.rows, 0);
    assert_int_equal(d.cause, LEAT_DROP_TOO_LARGE);
    memset(large, '[', LEAT_PAYLOAD_BYTES_MAX);
    decoding_run(&d, large, LEAT_PAYLOAD_BYTES_MAX);
    assert_int_equal(d.rejects, 1);
    free(large);
}

// ---- types

static void test_numbers(void **state)
{
    (void)state;
    open_fields("t:TINYINT s:SMALLINT i:INT b:BIGINT f:FLOAT d:DOUBLE");
    expect("{\"t\":-128,\"s\":32767,\"i\":-2147483648,\"b\":-9223372036854775808,\"f\":0.1,\"d\":0.1}",
           "@0 {\"t\":-128,\"s\":32767,\"i\":-2147483648,\"b\":-9223372036854775808,\"f\":0.1,\"d\":0.1}\n");
    expect("{\"b\":9223372036854775807,\"i\":1e3,\"s\":1.0,\"d\":1e-400,\"f\":-0}",
           "@0 {\"t\":null,\"s\":1,\"i\":1000,\"b\":9223372036854775807,\"f\":-0,\"d\":0}\n");
    expect("{\"b\":123.4500e4,\"d\":123456789012345678901234567890}",
           "@0 {\"t\":null,\"s\":null,\"i\":null,\"b\":1234500,\"f\":null,\"d\":1.2345678901234568e+29}\n");
    static const char *const misfits[][2] = {
        {"{\"t\":128}", "t"},
        {"{\"t\":-129}", "t"},
        {"{\"s\":32768}", "s"},
        {"{\"i\":2147483648}", "i"},
        {"{\"i\":1.5}", "i"},
        {"{\"b\":1e-1}", "b"},
        {"{\"b\":1e19}", "b"},
        {"{\"b\":9223372036854775808}", "b"},
        {"{\"b\":-9223372036854775809}", "b"},
        {"{\"b\":12345678901234567890}", "b"},
        {"{\"b\":1e999999999}", "b"},
        {"{\"d\":1e400}", "d"},
        {"{\"d\":-1e400}", "d"},
        {"{\"f\":1e39}", "f"},
        {"{\"i\":\"1\"}", "i"},
        {"{\"i\":true}", "i"},
        {"{\"i\":[]}", "i"},
        {"{\"i\":{}}", "i"},
        {"{\"d\":\"1\"}", "d"},
        {"{\"d\":false}", "d"},
        {"{\"b\":1.00000000000000000001}", "b"},
        {"{\"t\":1,\"s\":99999,\"i\":1.5}", "s"},
    };
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++)
        expect_reject(misfits[i][0], LEAT_DROP_MISFIT, misfits[i][1]);
    decoding_run(&d, "{\"t\":300}", 9);
    assert_string_equal(d.reason, "expected TINYINT, found 300: is out of range");
}

static void test_texts_and_booleans(void **state)
{
    (void)state;
    open_fields("s:STRING b:BOOLEAN y:BYTES");
    expect("{\"s\":\"a\\tb\\\"\\u20ac\",\"b\":false,\"y\":\"aGVsbG8=\"}",
           "@0 {\"s\":\"a\\tb\\\"\xE2\x82\xAC\",\"b\":false,\"y\":\"aGVsbG8=\"}\n");
    expect("{\"s\":\"\\u0000\",\"y\":\"aGVsbA\"}", "@0 {\"s\":\"\\u0000\",\"b\":null,\"y\":\"aGVsbA==\"}\n");
    expect_reject("{\"s\":1}", LEAT_DROP_MISFIT, "s");
    expect_reject("{\"s\":true}", LEAT_DROP_MISFIT, "s");
    expect_reject("{\"b\":1}", LEAT_DROP_MISFIT, "b");
    expect_reject("{\"b\":\"true\"}", LEAT_DROP_MISFIT, "b");
    expect_reject("{\"y\":\"a\"}", LEAT_DROP_MISFIT, "y");
    expect_reject("{\"y\":\"a*==\"}", LEAT_DROP_MISFIT, "y");
}

static void test_decimals(void **state)
{
    (void)state;
    open_fields("m:DECIMAL");
    expect("{\"m\":1234.56}", "@0 {\"m\":1234.56}\n");
    expect("{\"m\":\"-0.07\"}", "@0 {\"m\":-0.07}\n");
    expect("{\"m\":9999.99}", "@0 {\"m\":9999.99}\n");
    expect("{\"m\":0.005}", "@0 {\"m\":0.01}\n"); // half up, as Flink
    expect_reject("{\"m\":10000}", LEAT_DROP_MISFIT, "m");
    expect_reject("{\"m\":9999.995}", LEAT_DROP_MISFIT, "m");
    expect_reject("{\"m\":1e50}", LEAT_DROP_MISFIT, "m");
    expect_reject("{\"m\":\"x\"}", LEAT_DROP_MISFIT, "m");
    expect_reject("{\"m\":true}", LEAT_DROP_MISFIT, "m");
}

static void test_times(void **state)
{
    (void)state;
    open_fields("t:TS l:LTZ s:S m:MS u:US n:NS d:DATE c:TIME i:INTERVAL");
    expect("{\"t\":\"2024-02-29T12:00:00.5\",\"l\":\"2024-02-29T12:00:00+02:00\",\"d\":\"2024-02-29\",\"c\":\"01:02:"
           "03\",\"i\":\"2s\"}",
           "@0 {\"t\":\"2024-02-29 "
           "12:00:00.500\",\"l\":\"2024-02-29T10:00:00.000Z\",\"s\":null,\"m\":null,\"u\":null,\"n\":null,"
           "\"d\":\"2024-02-29\",\"c\":\"01:02:03.000\",\"i\":2000}\n");
    expect("{\"s\":1700000000.1239,\"m\":1700000000123,\"u\":1700000000123999,\"n\":-1}",
           "@0 "
           "{\"t\":null,\"l\":null,\"s\":\"2023-11-14T22:13:20.123Z\",\"m\":\"2023-11-14T22:13:20.123Z\",\"u\":\"2023-"
           "11-14T22:13:20.123Z\","
           "\"n\":\"1969-12-31T23:59:59.999Z\",\"d\":null,\"c\":null,\"i\":null}\n");
    static const char *const misfits[][2] = {
        {"{\"t\":\"2023-02-29 00:00:00\"}", "t"},
        {"{\"t\":1700000000}", "t"},
        {"{\"t\":\"\"}", "t"},
        {"{\"l\":\"yesterday\"}", "l"},
        {"{\"m\":\"1700000000123\"}", "m"},
        {"{\"m\":1e300}", "m"},
        {"{\"m\":999999999999999999}", "m"},
        {"{\"s\":99999999999999}", "s"},
        {"{\"d\":\"2023-13-01\"}", "d"},
        {"{\"c\":\"25:00:00\"}", "c"},
    };
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++)
        expect_reject(misfits[i][0], LEAT_DROP_MISFIT, misfits[i][1]);
}

static void test_nested(void **state)
{
    (void)state;
    open_fields("a:INTS t:TEXTS m:MAP r:ROW");
    expect("{\"a\":[1, "
           "2,null],\"t\":[\"x\",\"\\n\"],\"m\":{\"p\":1,\"q\":null,\"p\":3},\"r\":{\"y\":\"Y\",\"z\":[],\"x\":5}}",
           "@0 {\"a\":[1,2,null],\"t\":[\"x\",\"\\n\"],\"m\":{\"p\":3,\"q\":null},\"r\":{\"x\":5,\"y\":\"Y\"}}\n");
    expect("{\"a\":[],\"t\":null,\"m\":{},\"r\":{}}",
           "@0 {\"a\":[],\"t\":null,\"m\":{},\"r\":{\"x\":null,\"y\":null}}\n");
    expect_reject("{\"a\":[1,\"x\"]}", LEAT_DROP_MISFIT, "a");
    expect_reject("{\"a\":[1.5]}", LEAT_DROP_MISFIT, "a");
    expect_reject("{\"a\":{}}", LEAT_DROP_MISFIT, "a");
    expect_reject("{\"m\":{\"p\":\"x\"}}", LEAT_DROP_MISFIT, "m");
    expect_reject("{\"r\":[1]}", LEAT_DROP_MISFIT, "r");
}

// ---- rows

static void test_paths(void **state)
{
    (void)state;
    open_fields("a:INT=a.b[1].c b:INT=a.b[0] c:STRING=[\"x.y\"] d:INT=a.e");
    expect("{\"a\":{\"b\":[7,{\"c\":8},9],\"e\":1},\"x.y\":\"z\"}", "@0 {\"a\":8,\"b\":7,\"c\":\"z\",\"d\":1}\n");
    expect("{\"a\":5}", "@0 {\"a\":null,\"b\":null,\"c\":null,\"d\":null}\n");
    expect("{\"a\":{\"b\":5,\"e\":2}}", "@0 {\"a\":null,\"b\":null,\"c\":null,\"d\":2}\n");
    expect("{\"a\":{\"b\":[[],{\"c\":8}],\"e\":2}}", "!0 4 b expected INT, found []: is not of that kind\n");
}

static void test_bad_paths(void **state)
{
    (void)state;
    static const char *const paths[] = {"a..b", ".a", "a.", "a[", "a[x]", "a[1", "a[]", "[\"x", ""};
    leat_error error = {0};
    decoding_field(&d, "a", TYPE(INT), "x", 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        d.fields[0].path = paths[i];
        assert_int_equal(decoding_open(&d, &leat_format_json_ops, NULL, &error), LEAT_E_INVALID);
    }
}

static void test_whole_value(void **state)
{
    (void)state;
    open_fields("v:DOUBLE=$");
    expect("23.5\n24\n", "@0 {\"v\":23.5}\n@5 {\"v\":24}\n");
    expect_reject("{\"v\":1}", LEAT_DROP_MISFIT, "v");
}

static void test_last_of_equal_names_wins(void **state)
{
    (void)state;
    open_fields("a:INT b:INT=o.b c:INT=o.c s:STRING");
    expect("{\"a\":1,\"a\":2}", "@0 {\"a\":2,\"b\":null,\"c\":null,\"s\":null}\n");
    expect("{\"a\":\"x\",\"a\":2}", "@0 {\"a\":2,\"b\":null,\"c\":null,\"s\":null}\n");
    expect("{\"a\":null,\"a\":2}", "@0 {\"a\":2,\"b\":null,\"c\":null,\"s\":null}\n");
    expect("{\"a\":2,\"a\":null}", "@0 {\"a\":null,\"b\":null,\"c\":null,\"s\":null}\n");
    expect("{\"o\":{\"b\":1,\"c\":null},\"o\":{\"c\":2}}", "@0 {\"a\":null,\"b\":null,\"c\":2,\"s\":null}\n");
    expect("{\"o\":{\"b\":1},\"o\":5}", "@0 {\"a\":null,\"b\":null,\"c\":null,\"s\":null}\n");
    expect("{\"s\":\"x\",\"\\u0073\":\"y\"}", "@0 {\"a\":null,\"b\":null,\"c\":null,\"s\":\"y\"}\n");
    expect_reject("{\"a\":1,\"a\":\"x\"}", LEAT_DROP_MISFIT, "a");
}

static void test_arrays_and_lines(void **state)
{
    (void)state;
    open_fields("a:INT");
    expect("[{\"a\":1},{\"a\":2}]", "@1 {\"a\":1}\n@9 {\"a\":2}\n");
    expect("[]", "");
    expect(" [ {\"a\":1} , {} ] \n{\"a\":3}\n\n\r\n{\"a\":4}",
           "@3 {\"a\":1}\n@13 {\"a\":null}\n@19 {\"a\":3}\n@30 {\"a\":4}\n");
    expect("\xEF\xBB\xBF{\"a\":1}", "@3 {\"a\":1}\n");
    expect("{\n\"a\":1\n}\n", "@0 {\"a\":1}\n");
    expect("{\"a\":1}\n{\"a\":}\n{\"a\":3}\n",
           "!8 3  byte 5: expected a value, found '}'\n@0 {\"a\":1}\n@15 {\"a\":3}\n");
}

// The lines of results, without regard to which batch a rejection came with.
static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static char *sorted(const char *text)
{
    static char *lines[100000];
    char *copy = strdup(text), *out = calloc(1, strlen(text) + 2), *save = NULL;
    size_t count = 0;
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        lines[count++] = line;
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0, at = 0; i < count; i++)
        at += (size_t)sprintf(out + at, "%s\n", lines[i]);
    free(copy);
    return out;
}

static void same_at_any_capacity(const char *payload, size_t size, uint8_t flags)
{
    char *wanted = NULL;
    static const uint32_t capacities[] = {1024, 1, 2, 3, 7};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        decoding_reset(&d);
        decoding_flagged(&d, payload, size, "", capacities[i], flags);
        char *got = sorted(decoding_text(&d));
        if (wanted)
            assert_string_equal(got, wanted);
        free(wanted);
        wanted = got;
    }
    free(wanted);
}

static void test_full_batches(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"a\":1,\"s\":\"x\"}\n[{\"a\":2},{\"s\":\"y\\n\",\"a\":3}, {\"a\":\"bad\"},7,{\"a\":4}]\n"
        "[]\n{\"a\":}\n[{\"a\":5},{\"a\":6},x]\n[{\"a\":7}\n{\"a\":8}\n";
    open_fields("a:INT s:STRING");
    same_at_any_capacity(payload, sizeof payload - 1, 0);
    same_at_any_capacity(payload, sizeof payload - 1, LEAT_RAW_BLOCK | LEAT_RAW_LINES);
    for (size_t size = 0; size < sizeof payload; size++)
        same_at_any_capacity(payload, size, size % 2 ? LEAT_RAW_LINES : 0);
}

static void test_lines_do_not_depend_on_cuts(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"a\":1}\n", "{\"a\":\n", "2}\n", "garbage\n", "[{\"a\":3},\n", "\n", "{\"a\":4,\"s\":\"\\ud800\"}\n",
        "{\"a\":5}\n"};
    enum { LINES = sizeof lines / sizeof *lines };
    open_fields("a:INT s:STRING");
    for (unsigned cuts = 0; cuts < 1u << (LINES - 1); cuts++) {
        char block[256] = "";
        uint32_t rows = 0, rejects = 0;
        for (int i = 0; i < LINES; i++) {
            strcat(block, lines[i]);
            if (i == LINES - 1 || cuts >> i & 1) {
                decoding_reset(&d);
                decoding_flagged(&d, block, strlen(block), "", 1024, LEAT_RAW_BLOCK | LEAT_RAW_LINES);
                rows += d.rows;
                rejects += d.rejects;
                block[0] = 0;
            }
        }
        assert_int_equal(rows, 3); // the one of the array before its fault too
        assert_int_equal(rejects, 5);
    }
}

static void test_topic(void **state)
{
    (void)state;
    decoding_field(&d, "line", TYPE(STRING), "topic[1]", 0);
    decoding_field(&d, "number", TYPE(INT), "topic[2]", 0);
    decoding_field(&d, "factor", TYPE(DOUBLE), "topic[3]", 0);
    decoding_field(&d, "v", TYPE(INT), NULL, 0);
    must_open();
    decoding_flagged(&d, "[{\"v\":1},{\"v\":2}]", 17, "plant/l-4/17/0.5", 1024, 0);
    assert_string_equal(decoding_text(&d), "@1 {\"line\":\"l-4\",\"number\":17,\"factor\":0.5,\"v\":1}\n"
                                           "@9 {\"line\":\"l-4\",\"number\":17,\"factor\":0.5,\"v\":2}\n");
    decoding_reset(&d);
    decoding_flagged(&d, "{\"v\":1}", 7, "plant", 1024, 0);
    assert_string_equal(decoding_text(&d), "@0 {\"line\":null,\"number\":null,\"factor\":null,\"v\":1}\n");
    decoding_reset(&d);
    decoding_flagged(&d, "{\"v\":1}", 7, "plant/l/x17", 1024, 0);
    assert_int_equal(d.cause, LEAT_DROP_MISFIT);
    assert_string_equal(d.column, "number");
    assert_true(leat_slice_is(leat_topic_part(leat_slice_text("/a//b"), 0), ""));
    assert_true(leat_slice_is(leat_topic_part(leat_slice_text("/a//b"), 1), "a"));
    assert_true(leat_slice_is(leat_topic_part(leat_slice_text("/a//b"), 3), "b"));
    assert_true(leat_slice_is(leat_topic_part(leat_slice_text("/a//b"), 4), ""));
}

static void test_no_row_leaks_into_the_next(void **state)
{
    (void)state;
    open_fields("a:INT b:STRING c:INT");
    expect(
        "{\"a\":null,\"b\":null,\"c\":\"x\"}\n{\"a\":1,\"b\":\"y\",\"c\":2}\n{\"c\":3}\n{\"b\":\"\\ud800\"}\n{\"a\":4,"
        "\"b\":\"z\",\"c\":5}",
        "!0 4 c expected INT, found \"x\": is not of that kind\n!58 3  byte 6: expected a pair of surrogates, found "
        "'\\'\n"
        "@28 {\"a\":1,\"b\":\"y\",\"c\":2}\n@50 {\"a\":null,\"b\":null,\"c\":3}\n@73 {\"a\":4,\"b\":\"z\",\"c\":5}\n");
}

// ---- encoding

static void test_encode(void **state)
{
    (void)state;
    leat_error error = {0};
    leat_field fields[] = {{leat_slice_text("a\"b"), TYPE(INT)},
                           {leat_slice_text("t"), TYPE(TIMESTAMP)},
                           {leat_slice_text("l"), TYPE(TIMESTAMP_LTZ)},
                           {leat_slice_text("d"), TYPE(DOUBLE)},
                           {leat_slice_text("s"), TYPE(STRING)}};
    leat_schema schema = {
        .count = 5, .fields = fields, .changelog = LEAT_CHANGELOG_RETRACT, .rowtime = -1, .proctime = -1};
    leat_json_settings ms = {LEAT_JSON_MS};
    leat_format_setup encoder = {.env = d.env, .arena = &d.arena, .schema = &schema};
    leat_format *format = leat_arena_calloc(&d.arena, leat_format_json_ops.instance_size);
    format->ops = &leat_format_json_ops;
    assert_int_equal(format->ops->open(format, &encoder, &error), LEAT_OK);
    leat_batch *batch = leat_batch_get_rows(d.pool, &schema, 1);
    uint8_t kind = LEAT_UPDATE_AFTER;
    batch->count = 1;
    batch->row_kind = &kind;
    batch->columns[0].i64[0] = -5;
    batch->columns[1].i64[0] = batch->columns[2].i64[0] = 1700000000123;
    batch->columns[3].f64[0] = 0.1;
    batch->columns[4].text[0] = leat_slice_of("\x01\xFF\xC3\xA9\"", 5);
    leat_envelope envelope = {.id = "00ff", .sequence = 7, .rule = "r", .gateway = "g"};
    format->ops->encode(format, batch, 0, &envelope, &d.text);
    assert_string_equal(decoding_text(&d),
                        "{\"a\\\"b\":-5,\"t\":\"2023-11-14 22:13:20.123\",\"l\":\"2023-11-14T22:13:20.123Z\",\"d\":0.1,"
                        "\"s\":\"\\u0001\\ufffd\xC3\xA9\\\"\",\"op\":\"+U\",\"_id\":\"00ff\",\"_seq\":7,\"_rule\":"
                        "\"r\",\"_gateway\":\"g\"}");
    encoder.settings = &ms;
    schema.changelog = LEAT_CHANGELOG_INSERT;
    kind = LEAT_INSERT;
    assert_int_equal(format->ops->open(format, &encoder, &error), LEAT_OK);
    leat_writer_reset(&d.text);
    batch->columns[3].nulls[0] = 1;
    format->ops->encode(format, batch, 0, NULL, &d.text);
    assert_string_equal(
        decoding_text(&d),
        "{\"a\\\"b\":-5,\"t\":1700000000123,\"l\":1700000000123,\"d\":null,\"s\":\"\\u0001\\ufffd\xC3\xA9\\\"\"}");
    leat_batch_unref(batch);
    must_open();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_syntax),
        CASE(test_declared_value_of_every_kind_refuses_bad_syntax),
        CASE(test_place_of_a_fault),
        CASE(test_cut_at_every_byte),
        CASE(test_limits),
        CASE(test_numbers),
        CASE(test_texts_and_booleans),
        CASE(test_decimals),
        CASE(test_times),
        CASE(test_nested),
        CASE(test_paths),
        CASE(test_bad_paths),
        CASE(test_whole_value),
        CASE(test_last_of_equal_names_wins),
        CASE(test_arrays_and_lines),
        CASE(test_full_batches),
        CASE(test_lines_do_not_depend_on_cuts),
        CASE(test_topic),
        CASE(test_no_row_leaks_into_the_next),
        CASE(test_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
