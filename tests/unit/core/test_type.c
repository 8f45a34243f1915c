// Types, and values: encode, decode, compare, hash, with random values of random types.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "operators/base/hash.h"
#include "operators/core/schema.h"
#include "tests/support/env_test.h"
#include "tests/support/harness.h"

static uint64_t seed = 1;

static uint64_t random_u64(void)
{
    seed += 0x9e3779b97f4a7c15ULL;
    return leat_hash_mix(seed);
}

static leat_type random_type(leat_arena *arena, int depth)
{
    static const char *const scalars[] = {"BOOLEAN",          "TINYINT",        "INT",    "BIGINT", "FLOAT",
                                          "DOUBLE",           "DECIMAL(38,10)", "STRING", "BYTES",  "DATE",
                                          "TIMESTAMP_LTZ(3)", "INTERVAL",       "NULL"};
    static const char *const nested[] = {"ARRAY<STRING>", "ARRAY<ARRAY<DOUBLE>>", "MAP<STRING,INT>",
                                         "ROW<a:INT,b:ARRAY<BOOLEAN>,c:MAP<INT,DECIMAL(10,2)>>"};
    if (depth == 0 && random_u64() % 3 == 0)
        return harness_type(arena, nested[random_u64() % 4]);
    return harness_type(arena, scalars[random_u64() % 13]);
}

static double random_double(void)
{
    static const double special[] = {0.0, -0.0, 1.5, -1.5, INFINITY, -INFINITY, 1e308, 5e-324};
    uint64_t pick = random_u64();
    double value;
    if (pick % 4 == 0)
        return special[pick / 4 % 8];
    if (pick % 16 == 1) { // NaNs of all payloads
        pick = 0x7ff0000000000001ULL | random_u64();
        memcpy(&value, &pick, sizeof value);
        return value;
    }
    return (double)(int64_t)(pick % 17) - 8;
}

static leat_value random_value(leat_arena *arena, leat_type type);

static leat_nested random_nested(leat_arena *arena, leat_type type)
{
    uint32_t count = type.kind == LEAT_KIND_ROW ? type.field_count : (uint32_t)(random_u64() % 4) * type.field_count;
    leat_value *items = leat_arena_alloc_aligned(arena, sizeof(leat_value) * (count + 1), _Alignof(leat_value));
    for (uint32_t i = 0; i < count; i++)
        items[i] = random_value(arena, *type.fields[i % type.field_count].type);
    return (leat_nested){.count = count, .items = items};
}

// From a small set, so that equal pairs happen.
static leat_value random_value(leat_arena *arena, leat_type type)
{
    leat_value value = {.is_null = random_u64() % 5 == 0};
    if (value.is_null)
        return value;
    switch (leat_type_physical(type)) {
    case LEAT_PHYSICAL_BOOL:
        value.boolean = random_u64() & 1;
        break;
    case LEAT_PHYSICAL_I64:
        value.i64 = random_u64() % 4 ? (int64_t)(random_u64() % 5) - 2 : (int64_t)random_u64();
        break;
    case LEAT_PHYSICAL_F64:
        value.f64 = random_double();
        break;
    case LEAT_PHYSICAL_I128:
        value.i128 = (leat_i128)(int64_t)random_u64() * (random_u64() % 3 ? 1 : INT64_MAX);
        break;
    case LEAT_PHYSICAL_TEXT:
        value.text.size = random_u64() % 4 ? random_u64() % 3 : random_u64() % 300;
        char *text = leat_arena_alloc(arena, value.text.size + 1);
        for (size_t i = 0; i < value.text.size; i++)
            text[i] = (char)(random_u64() % 2 ? 'a' : random_u64());
        value.text.data = text;
        break;
    case LEAT_PHYSICAL_NESTED:
        value.nested = random_nested(arena, type);
        break;
    }
    return value;
}

static void encode_new(leat_env *env, leat_writer *writer, leat_type type, const leat_value *value)
{
    leat_writer_init(writer, env, 1 << 20);
    leat_value_encode(type, value, writer);
    assert_false(writer->failed);
}

static int sign(int x) { return (x > 0) - (x < 0); }

static void check_pair(leat_env *env, leat_arena *arena, leat_type type)
{
    leat_value a = random_value(arena, type), b = random_value(arena, type);
    leat_writer wa, wb;
    encode_new(env, &wa, type, &a);
    encode_new(env, &wb, type, &b);
    bool equal = leat_value_equal(type, &a, &b);
    assert_int_equal(equal, leat_slice_equal(leat_writer_slice(&wa), leat_writer_slice(&wb)));
    assert_int_equal(sign(leat_value_compare(type, &a, &b)), -sign(leat_value_compare(type, &b, &a)));
    assert_int_equal(equal, leat_value_compare(type, &a, &b) == 0);
    if (equal)
        assert_true(leat_value_hash(type, &a) == leat_value_hash(type, &b));
    leat_writer_fini(&wa);
    leat_writer_fini(&wb);
}

static void check_round_trip(leat_env *env, leat_arena *arena, leat_type type)
{
    leat_value value = random_value(arena, type), decoded, copy = leat_value_copy(type, &value, arena);
    assert_true(leat_value_equal(type, &value, &copy));
    leat_writer writer;
    encode_new(env, &writer, type, &value);
    leat_reader reader;
    leat_reader_init(&reader, writer.bytes, writer.size);
    assert_true(leat_value_decode(type, &reader, arena, &decoded));
    assert_int_equal(leat_reader_left(&reader), 0);
    assert_true(leat_value_equal(type, &value, &decoded));
    leat_writer_fini(&writer);
}

static void round_trips(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_arena arena;
    for (int i = 0; i < 20000; i++) {
        leat_arena_init(&arena, &test->env, 0);
        leat_type type = random_type(&arena, 0);
        check_round_trip(&test->env, &arena, type);
        check_pair(&test->env, &arena, type);
        leat_arena_fini(&arena);
    }
    env_test_destroy(test);
}

// A copy of exactly the size, so that the address sanitizer sees a byte read too far.
static bool decodes(leat_arena *arena, leat_type type, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (size)
        memcpy(exact, bytes, size);
    leat_reader reader;
    leat_reader_init(&reader, exact, size);
    leat_value value;
    bool good = leat_value_decode(type, &reader, arena, &value);
    free(exact);
    return good;
}

static void truncated_and_damaged_bytes(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_arena arena;
    for (int i = 0; i < 2000; i++) {
        leat_arena_init(&arena, &test->env, 0);
        leat_type type = random_type(&arena, 0);
        leat_value value = random_value(&arena, type);
        leat_writer writer;
        encode_new(&test->env, &writer, type, &value);
        for (size_t size = 0; size < writer.size; size++)
            assert_false(decodes(&arena, type, writer.bytes, size));
        for (int damage = 0; damage < 20; damage++) {
            writer.bytes[random_u64() % writer.size] = (uint8_t)random_u64();
            (void)decodes(&arena, type, writer.bytes, writer.size); // must only end well
        }
        leat_writer_fini(&writer);
        leat_arena_fini(&arena);
    }
    env_test_destroy(test);
}

static void order_of_doubles(void **state)
{
    (void)state;
    leat_type type = leat_type_of(LEAT_KIND_DOUBLE);
    leat_value null = leat_value_null(), minus = {.f64 = -0.0}, plus = {.f64 = 0.0}, nan = {.f64 = NAN},
               other = {.f64 = -NAN}, infinite = {.f64 = INFINITY};
    assert_true(leat_value_equal(type, &minus, &plus));
    assert_true(leat_value_equal(type, &nan, &other));
    assert_true(leat_value_hash(type, &nan) == leat_value_hash(type, &other));
    assert_true(leat_value_hash(type, &minus) == leat_value_hash(type, &plus));
    assert_true(leat_value_compare(type, &null, &minus) < 0);
    assert_true(leat_value_compare(type, &infinite, &nan) < 0);
    assert_true(leat_value_equal(type, &null, &null));
}

// Stored keys and savepoints contain these bytes: they never change.
static void stored_form(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_writer writer;
    leat_value integer = {.i64 = -2}, text = {.text = {"ab", 2}}, null = leat_value_null(), nan = {.f64 = -NAN};
    encode_new(&test->env, &writer, leat_type_of(LEAT_KIND_INT), &integer);
    leat_value_encode(leat_type_of(LEAT_KIND_STRING), &text, &writer);
    leat_value_encode(leat_type_of(LEAT_KIND_STRING), &null, &writer);
    leat_value_encode(leat_type_of(LEAT_KIND_DOUBLE), &nan, &writer);
    static const uint8_t expected[] = {0,   0xfe, 255, 255, 255, 255, 255, 255, 255, 0,    2,   'a',
                                       'b', 1,    0,   0,   0,   0,   0,   0,   0,   0xf8, 0x7f};
    assert_int_equal(writer.size, sizeof expected);
    assert_memory_equal(writer.bytes, expected, sizeof expected);
    leat_writer_fini(&writer);
    env_test_destroy(test);
}

static void prints_and_compares_types(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_arena arena;
    leat_arena_init(&arena, &test->env, 0);
    char text[LEAT_TYPE_TEXT];
    assert_string_equal(leat_type_print(leat_type_decimal(10, 2), text), "DECIMAL(10, 2)");
    assert_string_equal(leat_type_print(leat_type_array(&arena, leat_type_of(LEAT_KIND_INT)), text), "ARRAY<INT>");
    assert_string_equal(leat_type_print(harness_type(&arena, "ROW<a:INT,b:MAP<STRING,TIMESTAMP>>"), text),
                        "ROW<a INT, b MAP<STRING, TIMESTAMP(3)>>");
    leat_type deep = leat_type_of(LEAT_KIND_INTERVAL_MONTH);
    for (int i = 0; i < 40; i++)
        deep = leat_type_array(&arena, deep);
    assert_int_equal(strlen(leat_type_print(deep, text)), LEAT_TYPE_TEXT - 1);
    assert_true(leat_type_equal(harness_type(&arena, "ROW<a:INT>"), harness_type(&arena, "ROW<a:INT>")));
    assert_false(leat_type_equal(harness_type(&arena, "ROW<a:INT>"), harness_type(&arena, "ROW<b:INT>")));
    assert_false(leat_type_equal(leat_type_decimal(10, 2), leat_type_decimal(10, 3)));
    assert_true(leat_type_equal(harness_type(&arena, "TIMESTAMP(6)"), harness_type(&arena, "TIMESTAMP(3)")));
    assert_int_equal(leat_integer_max(leat_type_of(LEAT_KIND_TINYINT)), 127);
    assert_true(leat_integer_min(leat_type_of(LEAT_KIND_BIGINT)) == INT64_MIN);
    leat_arena_fini(&arena);
    env_test_destroy(test);
}

static void schema_find(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_arena arena;
    leat_arena_init(&arena, &test->env, 0);
    const leat_schema *schema = harness_schema(&arena, "Key:STRING,ts:TIMESTAMP_LTZ*,p:TIMESTAMP_LTZ!");
    assert_int_equal(schema->rowtime, 1);
    assert_int_equal(schema->proctime, 2);
    assert_int_equal(leat_schema_find(schema, leat_slice_text("ts")), 1);
    assert_int_equal(leat_schema_find(schema, leat_slice_text("key")), -1);
    assert_int_equal(leat_schema_find_nocase(schema, leat_slice_text("KEY")), 0);
    assert_int_equal(leat_schema_find_nocase(schema, leat_slice_text("Ke")), -1);
    leat_arena_fini(&arena);
    env_test_destroy(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(truncated_and_damaged_bytes),
        cmocka_unit_test(order_of_doubles),
        cmocka_unit_test(stored_form),
        cmocka_unit_test(prints_and_compares_types),
        cmocka_unit_test(schema_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
