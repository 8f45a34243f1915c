// What lies in registers becomes values: every type in every order against Python's struct, bits, texts, scale; how fields are
// joined to requests and split again; what the settings refuse.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka needs the headers above.
#include <cmocka.h>

#include "drivers/bus/modbus_codec.h"
#include "tests/support/env_test.h"
#include "tests/support/feed_probe.h"

extern const leat_source_ops leat_source_modbus_ops;

typedef struct golden {
    leat_modbus_type type;
    int order;
    const char *hex;
    int64_t integer;
    double number;
    bool is_number;
} golden;
static const golden goldens[] = {
#include "tests/unit/drivers/golden_modbus.inc"
};

typedef struct fixture {
    env_test *test;
    leat_batch_pool *pool;
    leat_batch *batch;
    leat_modbus_field_settings field;
    leat_type type; // SQL
    leat_column column;
    leat_modbus_record record;
    uint8_t bytes[512];
    const char *reason;
} fixture;

static int setup(void **state)
{
    fixture *self = calloc(1, sizeof *self);
    leat_error error;
    self->test = env_test_create();
    assert_int_equal(leat_batch_pool_create(env_test_env(self->test), 1 << 20, &self->pool, &error), LEAT_OK);
    self->batch = leat_batch_get(self->pool);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    fixture *self = *state;
    leat_batch_unref(self->batch);
    leat_batch_pool_destroy(self->pool);
    env_test_destroy(self->test);
    free(self);
    return 0;
}

static leat_modbus_field_settings field_of(leat_modbus_kind kind, int64_t address, leat_modbus_type type)
{
    leat_modbus_field_settings field = {.address = {-1, -1, -1, -1}, .type = type, .bit = -1};
    field.address[kind] = address;
    return field;
}

// Decodes self->field from a record whose only block is `bytes` at `address`.
static leat_value decode_as(fixture *self, leat_modbus_kind kind, uint16_t address, uint16_t count, leat_type type)
{
    uint8_t record[600];
    size_t size = leat_modbus_record_begin(record, 7, false, 0);
    size += leat_modbus_block_begin(record + size, (uint8_t)kind, address, count);
    memcpy(record + size, self->bytes, leat_modbus_bytes((uint8_t)kind, count));
    size += leat_modbus_bytes((uint8_t)kind, count);
    assert_true(leat_modbus_record_parse(leat_slice_of((char *)record, size), &self->record));
    assert_int_equal(self->record.unit, 7);
    leat_modbus_point point = leat_modbus_point_of(&self->field);
    uint32_t hint = 0;
    leat_column_allocate(self->batch, &self->column, type, 1, true);
    self->reason = leat_modbus_value_set(&point, &self->record, &hint, &self->column, 0, &self->batch->arena);
    return leat_column_value(&self->column, 0);
}

static leat_value decode(fixture *self, leat_modbus_kind kind, uint16_t address, uint16_t count)
{
    assert_true(leat_modbus_field_type(&self->field, &self->type));
    return decode_as(self, kind, address, count, self->type);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
    return size;
}

static void test_types_and_orders(void **state)
{
    fixture *self = *state;
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        const golden *one = &goldens[i];
        memset(self->bytes, 0xEE, sizeof self->bytes);
        size_t size = from_hex(one->hex, self->bytes + 4); // behind two other registers
        self->field = field_of(LEAT_MODBUS_HOLDING, 102, one->type);
        self->field.order = one->order;
        leat_value value = decode(self, LEAT_MODBUS_HOLDING, 100, (uint16_t)(2 + size / 2));
        assert_null(self->reason);
        bool same = one->is_number ? value.f64 == one->number : value.i64 == one->integer;
        if (value.is_null || !same)
            fail_msg("%s as type %d, order %d: %lld, %g", one->hex, (int)one->type, one->order, (long long)value.i64,
                     value.f64);
        // Scaled: a DOUBLE whatever it was.
        self->field.scale = 0.5;
        self->field.offset = -3;
        value = decode(self, LEAT_MODBUS_HOLDING, 100, (uint16_t)(2 + size / 2));
        assert_int_equal(self->type.kind, LEAT_KIND_DOUBLE);
        double plain = one->is_number ? one->number : (double)one->integer;
        assert_true(value.f64 == plain * 0.5 - 3);
    }
}

static void test_sql_types(void **state)
{
    (void)state;
    static const struct {
        leat_modbus_kind kind;
        leat_modbus_type type;
        int bit;
        double scale;
        leat_kind expected;
    } cases[] = {
        {LEAT_MODBUS_COIL, LEAT_MODBUS_AUTO, -1, 0, LEAT_KIND_BOOLEAN},
        {LEAT_MODBUS_DISCRETE, LEAT_MODBUS_BOOL, -1, 0, LEAT_KIND_BOOLEAN},
        {LEAT_MODBUS_HOLDING, LEAT_MODBUS_AUTO, 3, 0, LEAT_KIND_BOOLEAN},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_BOOL, -1, 0, LEAT_KIND_BOOLEAN},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_AUTO, -1, 0, LEAT_KIND_INT},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_UINT16, -1, 0, LEAT_KIND_INT},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_UINT16, -1, 1, LEAT_KIND_DOUBLE},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_INT32, -1, 0, LEAT_KIND_INT},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_UINT32, -1, 0, LEAT_KIND_BIGINT},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_UINT64, -1, 0, LEAT_KIND_BIGINT},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_FLOAT32, -1, 0, LEAT_KIND_DOUBLE},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_STRING, -1, 0, LEAT_KIND_STRING},
        {LEAT_MODBUS_COIL, LEAT_MODBUS_INT16, -1, 0, LEAT_KIND_NULL},
        {LEAT_MODBUS_COIL, LEAT_MODBUS_BOOL, -1, 2, LEAT_KIND_NULL},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_FLOAT32, 3, 0, LEAT_KIND_NULL},
        {LEAT_MODBUS_INPUT, LEAT_MODBUS_STRING, -1, 2, LEAT_KIND_NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_modbus_field_settings field = field_of(cases[i].kind, 1, cases[i].type);
        leat_type type = {0};
        field.bit = cases[i].bit;
        field.scale = cases[i].scale;
        bool derived = leat_modbus_field_type(&field, &type);
        assert_int_equal(derived, cases[i].expected != LEAT_KIND_NULL);
        assert_int_equal(type.kind, cases[i].expected);
    }
}

static void test_bits(void **state)
{
    fixture *self = *state;
    memcpy(self->bytes, (uint8_t[]){0xA5, 0x01}, 2); // coils 20.. : 1 0 1 0 0 1 0 1 1
    for (int i = 0; i < 9; i++) {
        self->field = field_of(LEAT_MODBUS_COIL, 20 + i, LEAT_MODBUS_AUTO);
        assert_int_equal(decode(self, LEAT_MODBUS_COIL, 20, 9).boolean, "101001011"[i] == '1');
    }
    for (int bit = 0; bit < 16; bit++) { // register 0xA501, and swapped 0x01A5
        self->field = field_of(LEAT_MODBUS_INPUT, 3, LEAT_MODBUS_AUTO);
        self->field.bit = bit;
        assert_int_equal(decode(self, LEAT_MODBUS_INPUT, 3, 1).boolean, 0xA501 >> bit & 1);
        self->field.order = LEAT_MODBUS_DCBA;
        assert_int_equal(decode(self, LEAT_MODBUS_INPUT, 3, 1).boolean, 0x01A5 >> bit & 1);
    }
    self->field = field_of(LEAT_MODBUS_INPUT, 3, LEAT_MODBUS_BOOL);
    assert_true(decode(self, LEAT_MODBUS_INPUT, 3, 1).boolean);
}

static void test_texts(void **state)
{
    fixture *self = *state;
    static const struct {
        const char *bytes;
        size_t size;
        int order;
        const char *expected;
    } cases[] = {
        {"Pump 7\0\0", 8, LEAT_MODBUS_ABCD, "Pump 7"},
        {"uPpm7 \0\0", 8, LEAT_MODBUS_BADC, "Pump 7"},
        {"uPpm7 \0\0", 8, LEAT_MODBUS_DCBA, "Pump 7"},
        {"ABCDEFGH", 8, LEAT_MODBUS_CDAB, "ABCDEFGH"},
        {"AB\0DEFGH", 8, LEAT_MODBUS_ABCD, "AB"},
        {"        ", 8, LEAT_MODBUS_ABCD, ""},
        {"\xC2\xB0"
         "C    ",
         8, LEAT_MODBUS_ABCD,
         "\xC2\xB0"
         "C"},
        {"\xB0"
         "C     ",
         8, LEAT_MODBUS_ABCD,
         "\xC2\xB0"
         "C"}, // ISO 8859-1
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8, LEAT_MODBUS_ABCD, "ÿÿÿÿÿÿÿÿ"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(self->bytes, cases[i].bytes, cases[i].size);
        self->field = field_of(LEAT_MODBUS_HOLDING, 0, LEAT_MODBUS_STRING);
        self->field.length = (int64_t)cases[i].size / 2;
        self->field.order = cases[i].order;
        leat_value value = decode(self, LEAT_MODBUS_HOLDING, 0, (uint16_t)(cases[i].size / 2));
        if (!leat_slice_is(value.text, cases[i].expected))
            fail_msg("text %zu: '%.*s'", i, (int)value.text.size, value.text.data);
    }
    memset(self->bytes, 'x', sizeof self->bytes);
    self->field.length = 125;
    assert_int_equal(decode(self, LEAT_MODBUS_HOLDING, 0, 125).text.size, 250);
}

static void test_misfits(void **state)
{
    fixture *self = *state;
    memset(self->bytes, 0xFF, sizeof self->bytes);
    self->field = field_of(LEAT_MODBUS_HOLDING, 0, LEAT_MODBUS_UINT64);
    decode(self, LEAT_MODBUS_HOLDING, 0, 4);
    assert_string_equal(self->reason, "is out of range");
    self->field.scale = 1; // as a DOUBLE it fits
    assert_true(decode(self, LEAT_MODBUS_HOLDING, 0, 4).f64 == 0x1p64);
    assert_null(self->reason);
    self->field = field_of(LEAT_MODBUS_HOLDING, 0, LEAT_MODBUS_FLOAT32); // NaN: no value
    assert_true(decode(self, LEAT_MODBUS_HOLDING, 0, 2).is_null);
    self->field = field_of(LEAT_MODBUS_HOLDING, 9, LEAT_MODBUS_INT16); // not in the record
    assert_true(decode(self, LEAT_MODBUS_HOLDING, 0, 4).is_null);
    self->field = field_of(LEAT_MODBUS_HOLDING, 3, LEAT_MODBUS_INT32); // only half of it
    assert_true(decode(self, LEAT_MODBUS_HOLDING, 0, 4).is_null);
    // Another column than the settings say: numbers are converted.
    self->field = field_of(LEAT_MODBUS_HOLDING, 0, LEAT_MODBUS_UINT16);
    assert_true(decode_as(self, LEAT_MODBUS_HOLDING, 0, 1, leat_type_of(LEAT_KIND_DOUBLE)).f64 == 65535);
    decode_as(self, LEAT_MODBUS_HOLDING, 0, 1, leat_type_of(LEAT_KIND_SMALLINT));
    assert_string_equal(self->reason, "is out of range");
}

// Damaged records are refused, never read beyond.
static void test_damaged_records(void **state)
{
    fixture *self = *state;
    uint8_t record[64];
    size_t size = leat_modbus_record_begin(record, 1, true, 3);
    assert_true(leat_modbus_record_parse(leat_slice_of((char *)record, size), &self->record));
    assert_true(self->record.bad && self->record.reason == 3 && self->record.block_count == 0);
    size += leat_modbus_block_begin(record + size, LEAT_MODBUS_HOLDING, 0x1234, 2);
    memset(record + size, 1, 4);
    size += 4;
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut + 1); // found by the address sanitizer
        memcpy(copy, record, cut);
        assert_int_equal(leat_modbus_record_parse(leat_slice_of((char *)copy, cut), &self->record), cut == 4);
        free(copy);
    }
    assert_true(leat_modbus_record_parse(leat_slice_of((char *)record, size), &self->record));
    assert_int_equal(self->record.blocks[0].address, 0x1234);
    record[0] = 2;
    assert_false(leat_modbus_record_parse(leat_slice_of((char *)record, size), &self->record));
}

// ---- plan

static void make_plan(fixture *self, leat_modbus_plan *plan, const leat_modbus_field_settings *fields, uint32_t count,
                      int64_t max_registers, int64_t join_gap)
{
    leat_modbus_settings settings = {.max_registers = max_registers, .join_gap = join_gap};
    leat_modbus_point *points = leat_arena_array(&self->batch->arena, leat_modbus_point, count);
    for (uint32_t i = 0; i < count; i++)
        points[i] = leat_modbus_point_of(&fields[i]);
    leat_modbus_plan_make(plan, points, count, &settings, &self->batch->arena);
}

static void assert_blocks(const leat_modbus_plan *plan, const char *expected)
{
    char text[512] = "";
    for (uint32_t i = 0; i < plan->block_count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%u:%u+%u ", plan->blocks[i].kind,
                 plan->blocks[i].address, plan->blocks[i].count);
    assert_string_equal(text, expected);
}

static void test_plan(void **state)
{
    fixture *self = *state;
    leat_modbus_plan plan;
    leat_modbus_field_settings fields[] = {
        field_of(LEAT_MODBUS_HOLDING, 20, LEAT_MODBUS_FLOAT32), field_of(LEAT_MODBUS_HOLDING, 10, LEAT_MODBUS_INT16),
        field_of(LEAT_MODBUS_HOLDING, 10, LEAT_MODBUS_INT16),   field_of(LEAT_MODBUS_HOLDING, 40, LEAT_MODBUS_INT64),
        field_of(LEAT_MODBUS_INPUT, 11, LEAT_MODBUS_INT16),     field_of(LEAT_MODBUS_COIL, 500, LEAT_MODBUS_BOOL),
        field_of(LEAT_MODBUS_COIL, 600, LEAT_MODBUS_BOOL),
    };
    make_plan(self, &plan, fields, 7, 125, 9);
    assert_blocks(&plan, "0:500+101 2:11+1 3:10+12 3:40+4 ");
    make_plan(self, &plan, fields, 7, 125, 8);
    assert_blocks(&plan, "0:500+101 2:11+1 3:10+1 3:20+2 3:40+4 ");
    make_plan(self, &plan, fields, 7, 125, 0);
    assert_blocks(&plan, "0:500+1 0:600+1 2:11+1 3:10+1 3:20+2 3:40+4 ");
    make_plan(self, &plan, fields, 7, 33, 125);
    assert_blocks(&plan, "0:500+101 2:11+1 3:10+12 3:40+4 ");
    make_plan(self, &plan, fields, 7, 34, 125);
    assert_blocks(&plan, "0:500+101 2:11+1 3:10+34 ");
    // Split at the widest gap, then on, down to what cannot be split: two fields of the same register.
    assert_true(leat_modbus_plan_split(&plan, 2));
    assert_blocks(&plan, "0:500+101 2:11+1 3:10+12 3:40+4 ");
    assert_true(leat_modbus_plan_split(&plan, 2));
    assert_blocks(&plan, "0:500+101 2:11+1 3:10+1 3:20+2 3:40+4 ");
    assert_false(leat_modbus_plan_split(&plan, 2));
    assert_false(leat_modbus_plan_split(&plan, 1));
    // Neighbours without a gap are cut in the middle.
    leat_modbus_field_settings row[125];
    for (int i = 0; i < 125; i++)
        row[i] = field_of(LEAT_MODBUS_HOLDING, 1000 - i, LEAT_MODBUS_INT16);
    make_plan(self, &plan, row, 125, 125, 0);
    assert_blocks(&plan, "3:876+125 ");
    assert_true(leat_modbus_plan_split(&plan, 0));
    assert_int_equal(plan.blocks[0].count + plan.blocks[1].count, 125);
    assert_in_range(plan.blocks[0].count, 62, 63);
    for (uint32_t i = 0; i < plan.block_count;)
        i += !leat_modbus_plan_split(&plan, i);
    assert_int_equal(plan.block_count, 125);
}

// ---- settings

static leat_code check(const char *url, const leat_modbus_field_settings *field, leat_type type, int64_t unit,
                       char *out)
{
    leat_modbus_settings settings = {.url = url, .units = {&unit, 1}, .max_registers = 100};
    leat_source_field one = {.name = {"f", 1}, .type = type, .settings = field};
    leat_error error = {0};
    leat_code code = leat_source_modbus_description.check(&settings, &one, 1, &error);
    snprintf(out, 200, "%.199s", error.message);
    return code;
}

static void assert_refused(const leat_modbus_field_settings *field, const char *part)
{
    char message[200];
    leat_type type = leat_type_of(field->type == LEAT_MODBUS_STRING ? LEAT_KIND_STRING : LEAT_KIND_INT);
    leat_code code = check("tcp://a", field, type, 1, message);
    if ((code == LEAT_OK) != (part == NULL) || (part && !strstr(message, part)))
        fail_msg("expected '%s', found '%s'", part ? part : "", message);
}

static void test_check(void **state)
{
    (void)state;
    leat_modbus_field_settings field = field_of(LEAT_MODBUS_HOLDING, 65535, LEAT_MODBUS_INT16);
    assert_refused(&field, NULL);
    field.type = LEAT_MODBUS_INT32;
    assert_refused(&field, "beyond the last address");
    field = field_of(LEAT_MODBUS_HOLDING, 0, LEAT_MODBUS_INT16);
    field.address[LEAT_MODBUS_COIL] = 0;
    assert_refused(&field, "exactly one of");
    field.address[LEAT_MODBUS_COIL] = field.address[LEAT_MODBUS_HOLDING] = -1;
    assert_refused(&field, "exactly one of");
    field = field_of(LEAT_MODBUS_COIL, 0, LEAT_MODBUS_FLOAT32);
    assert_refused(&field, "is a bool");
    field = field_of(LEAT_MODBUS_COIL, 0, LEAT_MODBUS_AUTO);
    field.bit = 1;
    assert_refused(&field, "no `bit`");
    field = field_of(LEAT_MODBUS_INPUT, 0, LEAT_MODBUS_INT16);
    field.bit = 1;
    assert_refused(&field, "one bit of a register");
    field = field_of(LEAT_MODBUS_INPUT, 0, LEAT_MODBUS_STRING);
    assert_refused(&field, "needs its `length`");
    field.length = 101;
    assert_refused(&field, "max_registers");
    field.scale = 2;
    field.length = 2;
    assert_refused(&field, "only numbers");
    field = field_of(LEAT_MODBUS_INPUT, 0, LEAT_MODBUS_INT16);
    field.length = 2;
    assert_refused(&field, "only strings");
    char message[200];
    field = field_of(LEAT_MODBUS_INPUT, 0, LEAT_MODBUS_INT16);
    assert_int_equal(check("tcp://a", &field, leat_type_of(LEAT_KIND_STRING), 1, message), LEAT_E_INVALID);
    assert_int_equal(check("tcp://a", &field, leat_type_of(LEAT_KIND_INT), 0, message), LEAT_OK);
    assert_int_equal(check("rtu:/dev/x", &field, leat_type_of(LEAT_KIND_INT), 0, message), LEAT_E_INVALID);
    assert_int_equal(check("rtu:/dev/x", &field, leat_type_of(LEAT_KIND_INT), 248, message), LEAT_E_INVALID);
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *expected; // NULL: refused
    } cases[] = {
        {"tcp://10.0.0.5", "tcp 10.0.0.5 502"},
        {"tcp://plc.local:1502", "tcp plc.local 1502"},
        {"tcp://[fe80::1]:503", "tcp fe80::1 503"},
        {"tcp://[::1]", "tcp ::1 502"},
        {"rtu:/dev/ttyUSB0", "rtu /dev/ttyUSB0 19200 E 8 1"},
        {"rtu:/dev/ttyUSB0?baud=9600&parity=none&stop=2&bits=7", "rtu /dev/ttyUSB0 9600 N 7 2"},
        {"rtu:///dev/ttyS1?parity=O", "rtu /dev/ttyS1 19200 O 8 1"},
        {"tcp://", NULL},
        {"tcp://a:0", NULL},
        {"tcp://a:65536", NULL},
        {"tcp://a:1x", NULL},
        {"tcp://a/b", NULL},
        {"tcp://[::1", NULL},
        {"tcp://[::1]x", NULL},
        {"udp://a", NULL},
        {"rtu:ttyUSB0", NULL},
        {"rtu:/dev/x?baud=12345", NULL},
        {"rtu:/dev/x?parity=mark", NULL},
        {"rtu:/dev/x?stop=3", NULL},
        {"rtu:/dev/x?speed=9600", NULL},
        {"rtu:/dev/x?baud", NULL},
        {"rtu:/dev/x?", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_modbus_url url;
        leat_error error;
        char text[400] = "";
        bool good = leat_modbus_url_parse(cases[i].url, &url, &error) == LEAT_OK;
        if (good && url.serial)
            snprintf(text, sizeof text, "rtu %s %d %c %d %d", url.host, url.baud, url.parity, url.bits, url.stop);
        else if (good)
            snprintf(text, sizeof text, "tcp %s %s", url.host, url.port);
        if (good != (cases[i].expected != NULL) || (good && strcmp(text, cases[i].expected) != 0))
            fail_msg("%s: '%s'", cases[i].url, text);
    }
}

// ---- rows

static void test_rows(void **state)
{
    (void)state;
    static feed_probe probe;
    env_test *test = env_test_create();
    int64_t unit = 3;
    leat_modbus_settings settings = {
        .url = "tcp://a", .units = {&unit, 1}, .poll_ms = 1000, .timeout_ms = 100, .max_registers = 125};
    leat_modbus_field_settings own[] = {field_of(LEAT_MODBUS_HOLDING, 1, LEAT_MODBUS_INT16),
                                        field_of(LEAT_MODBUS_HOLDING, 2, LEAT_MODBUS_UINT64)};
    leat_source_field fields[] = {
        {.name = {"a", 1}, .type = leat_type_of(LEAT_KIND_INT), .settings = &own[0]},
        {.name = {"b", 1}, .type = leat_type_of(LEAT_KIND_BIGINT), .settings = &own[1]},
    };
    feed_probe_init(&probe, env_test_env(test));
    feed_probe_open(&probe, &leat_source_modbus_ops, &leat_source_modbus_description, &settings, fields, 2);
    uint8_t record[32];
    size_t size = leat_modbus_record_begin(record, 3, false, 0);
    size += leat_modbus_block_begin(record + size, LEAT_MODBUS_HOLDING, 1, 5);
    memcpy(record + size, "\0\7\0\0\0\0\0\0\1\0", 10);
    leat_raw raw = {.tag = 1, .payload = leat_slice_of((char *)record, size + 10)};
    leat_batch *batch = feed_probe_decode(&probe, &raw);
    assert_int_equal(batch->columns[0].i64[0], 7);
    assert_int_equal(batch->columns[1].i64[0], 256);
    assert_int_equal(batch->columns[4].i64[0], 3); // source, ts, unit, quality
    assert_true(leat_slice_is(batch->columns[5].text[0], "good"));
    record[size + 2] = 0xFF;
    assert_null(feed_probe_decode(&probe, &raw));
    assert_string_equal(probe.reject_column, "b");
    raw.payload.size = size;
    assert_null(feed_probe_decode(&probe, &raw));
    assert_int_equal(probe.rejects, 2);
    leat_modbus_record_begin(record, 3, true, LEAT_MODBUS_NO_ANSWER);
    raw.payload.size = LEAT_MODBUS_RECORD_HEAD;
    batch = feed_probe_decode(&probe, &raw);
    assert_true(batch->columns[0].nulls[0] && batch->columns[1].nulls[0]);
    assert_true(leat_slice_is(batch->columns[5].text[0], "bad"));
    feed_probe_fini(&probe);
    env_test_destroy(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_types_and_orders, setup, teardown),
        cmocka_unit_test(test_sql_types),
        cmocka_unit_test_setup_teardown(test_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_misfits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plan, setup, teardown),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
