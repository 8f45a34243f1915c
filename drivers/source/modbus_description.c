// What `modbus` understands. The driver is modbus.c, in leat_modbus.so; what both need of the settings lies here, because only
// this file is part of the agent.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/bus/modbus_settings.h"

// ---- url

static bool starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

// Digits up to the end, 1..65535.
static bool is_port(const char *text)
{
    size_t size = strspn(text, "0123456789");
    long port = size <= 5 && !text[size] ? strtol(text, NULL, 10) : 0;
    return port >= 1 && port <= 65535;
}

static leat_code parse_tcp(const char *rest, leat_modbus_url *out, leat_error *out_error)
{
    bool bracket = *rest == '[';
    const char *host = rest + bracket, *end = host + strcspn(host, bracket ? "]" : ":");
    size_t size = (size_t)(end - host);
    const char *after = bracket && *end ? end + 1 : end;
    const char *port = *after == ':' ? after + 1 : "502";
    if (!size || size >= LEAT_MODBUS_HOST_SIZE || memchr(host, '/', size) || (bracket && !*end) ||
        (*after && *after != ':') || !is_port(port))
        return leat_error_set(out_error, LEAT_E_INVALID, "url: expected tcp://HOST[:PORT], found 'tcp://%s'", rest);
    snprintf(out->host, sizeof out->host, "%.*s", (int)size, host);
    snprintf(out->port, sizeof out->port, "%s", port);
    return LEAT_OK;
}

static bool is_one_of(int number, const int *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (known[i] == number)
            return true;
    return false;
}

static bool number_of(leat_slice text, int *out)
{
    *out = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || i > 7)
            return false;
        *out = *out * 10 + (text.data[i] - '0');
    }
    return text.size > 0;
}

static bool parity_of(leat_slice text, char *out)
{
    static const char *const names[] = {"none", "even", "odd"};
    for (size_t i = 0; i < 3; i++)
        if (leat_slice_is_nocase(text, names[i]) ||
            (text.size == 1 && (text.data[0] & ~0x20) == (names[i][0] & ~0x20))) {
            *out = (char)(names[i][0] & ~0x20);
            return true;
        }
    return false;
}

// What libmodbus knows; it takes 9600 for anything else without a word.
static const int bauds[] = {110,   300,    600,    1200,   2400,   4800,   9600,   19200,  38400,
                            57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000};
static const int data_bits[] = {7, 8}, stop_bits[] = {1, 2};

static bool parse_option(leat_slice name, leat_slice value, leat_modbus_url *out)
{
    if (leat_slice_is(name, "parity"))
        return parity_of(value, &out->parity);
    int number;
    if (!number_of(value, &number))
        return false;
    if (leat_slice_is(name, "baud")) {
        out->baud = number;
        return is_one_of(number, bauds, sizeof bauds / sizeof *bauds);
    }
    if (leat_slice_is(name, "bits")) {
        out->bits = number;
        return is_one_of(number, data_bits, 2);
    }
    out->stop = number;
    return leat_slice_is(name, "stop") && is_one_of(number, stop_bits, 2);
}

static leat_code parse_serial(const char *rest, leat_modbus_url *out, leat_error *out_error)
{
    size_t size = strcspn(rest, "?");
    if (!size || size >= LEAT_MODBUS_HOST_SIZE || *rest != '/')
        return leat_error_set(out_error, LEAT_E_INVALID, "url: expected rtu:/dev/DEVICE, found 'rtu:%s'", rest);
    snprintf(out->host, sizeof out->host, "%.*s", (int)size, rest);
    const char *option = rest + size;
    while (*option) {
        option++; // '?' or '&'
        size_t length = strcspn(option, "&"), name = strcspn(option, "=&");
        bool good = name < length &&
                    parse_option(leat_slice_of(option, name), leat_slice_of(option + name + 1, length - name - 1), out);
        if (!good)
            return leat_error_set(out_error, LEAT_E_INVALID,
                                  "url: expected baud=19200, parity=none|even|odd, bits=7|8 or stop=1|2, found '%.*s'",
                                  (int)length, option);
        option += length;
    }
    return LEAT_OK;
}

leat_code leat_modbus_url_parse(const char *text, leat_modbus_url *out_url, leat_error *out_error)
{
    *out_url = (leat_modbus_url){.baud = 19200, .bits = 8, .stop = 1, .parity = 'E'}; // the standard's own defaults
    if (starts_with(text, "tcp://"))
        return parse_tcp(text + 6, out_url, out_error);
    out_url->serial = true;
    if (starts_with(text, "rtu:"))
        return parse_serial(text + (starts_with(text, "rtu://") ? 6 : 4), out_url, out_error);
    return leat_error_set(out_error, LEAT_E_INVALID,
                          "url: expected tcp://HOST:502 or rtu:/dev/ttyUSB0?baud=19200, found '%s'", text);
}

// ---- fields

static const char *const kinds[] = {"coil", "discrete", "input", "holding"};
static const char *const types[] = {"auto",  "bool",   "int16",   "uint16",  "int32",  "uint32",
                                    "int64", "uint64", "float32", "float64", "string", NULL};
static const char *const orders[] = {"abcd", "badc", "cdab", "dcba", NULL};

static int kind_count(const leat_modbus_field_settings *field)
{
    int count = 0;
    for (int kind = 0; kind < LEAT_MODBUS_KINDS; kind++)
        count += field->address[kind] >= 0;
    return count;
}

static bool is_bit(const leat_modbus_field_settings *field)
{
    return field->address[LEAT_MODBUS_COIL] >= 0 || field->address[LEAT_MODBUS_DISCRETE] >= 0 || field->bit >= 0 ||
           field->type == LEAT_MODBUS_BOOL;
}

static bool is_scaled(const leat_modbus_field_settings *field) { return field->scale != 0 || field->offset != 0; }

bool leat_modbus_field_type(const void *field_settings, leat_type *out_type)
{
    const leat_modbus_field_settings *field = field_settings;
    static const leat_kind of[] = {
        [LEAT_MODBUS_AUTO] = LEAT_KIND_INT,       [LEAT_MODBUS_BOOL] = LEAT_KIND_BOOLEAN,
        [LEAT_MODBUS_INT16] = LEAT_KIND_INT,      [LEAT_MODBUS_UINT16] = LEAT_KIND_INT,
        [LEAT_MODBUS_INT32] = LEAT_KIND_INT,      [LEAT_MODBUS_UINT32] = LEAT_KIND_BIGINT,
        [LEAT_MODBUS_INT64] = LEAT_KIND_BIGINT,   [LEAT_MODBUS_UINT64] = LEAT_KIND_BIGINT,
        [LEAT_MODBUS_FLOAT32] = LEAT_KIND_DOUBLE, [LEAT_MODBUS_FLOAT64] = LEAT_KIND_DOUBLE,
        [LEAT_MODBUS_STRING] = LEAT_KIND_STRING,
    };
    bool bit = is_bit(field), text = field->type == LEAT_MODBUS_STRING;
    if ((bit && field->type > LEAT_MODBUS_BOOL) || ((bit || text) && is_scaled(field)))
        return false;
    *out_type = leat_type_of(bit ? LEAT_KIND_BOOLEAN : is_scaled(field) ? LEAT_KIND_DOUBLE : of[field->type]);
    return true;
}

static int64_t registers_of(const leat_modbus_field_settings *field)
{
    switch ((leat_modbus_type)field->type) {
    case LEAT_MODBUS_INT32:
    case LEAT_MODBUS_UINT32:
    case LEAT_MODBUS_FLOAT32:
        return 2;
    case LEAT_MODBUS_INT64:
    case LEAT_MODBUS_UINT64:
    case LEAT_MODBUS_FLOAT64:
        return 4;
    case LEAT_MODBUS_STRING:
        return field->length;
    default:
        return 1;
    }
}

static const char *contradiction(const leat_modbus_field_settings *field, const leat_modbus_settings *settings)
{
    bool bits = field->address[LEAT_MODBUS_COIL] >= 0 || field->address[LEAT_MODBUS_DISCRETE] >= 0;
    bool text = field->type == LEAT_MODBUS_STRING;
    if (bits && (field->type > LEAT_MODBUS_BOOL || field->bit >= 0))
        return "a coil or discrete input is a bool and has no `bit`";
    if (field->bit >= 0 && field->type > LEAT_MODBUS_BOOL)
        return "`bit` takes one bit of a register: the type is bool";
    if ((is_bit(field) || text) && is_scaled(field))
        return "only numbers have `scale` and `offset`";
    if (text && field->length < 1)
        return "a string needs its `length` in registers";
    if (!text && field->length > 0)
        return "only strings have a `length`";
    if (!bits && registers_of(field) > settings->max_registers)
        return "more registers than `max_registers`";
    return NULL;
}

// Config may have chosen the column's type by itself: the decoder converts numbers and booleans, but not text.
static bool fits_column(const leat_modbus_field_settings *field, leat_type type)
{
    leat_physical physical = leat_type_physical(type);
    bool text = field->type == LEAT_MODBUS_STRING;
    return text ? type.kind == LEAT_KIND_STRING
                : physical == LEAT_PHYSICAL_BOOL || physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64;
}

static leat_code check_field(const leat_modbus_settings *settings, const leat_source_field *field,
                             leat_error *out_error)
{
    const leat_modbus_field_settings *own = field->settings;
    int size = (int)field->name.size;
    const char *name = field->name.data;
    if (!own || kind_count(own) != 1)
        return leat_error_set(
            out_error, LEAT_E_INVALID,
            "field '%.*s': expected exactly one of coil, discrete, input and holding with its address", size, name);
    const char *wrong = contradiction(own, settings);
    if (wrong)
        return leat_error_set(out_error, LEAT_E_INVALID, "field '%.*s': %s", size, name, wrong);
    for (int kind = 0; kind < LEAT_MODBUS_KINDS; kind++)
        if (own->address[kind] >= 0 && own->address[kind] + registers_of(own) > LEAT_MODBUS_ADDRESSES)
            return leat_error_set(out_error, LEAT_E_INVALID,
                                  "field '%.*s': %s %lld reaches beyond the last address 65535", size, name,
                                  kinds[kind], (long long)own->address[kind]);
    char text[LEAT_TYPE_TEXT];
    if (!fits_column(own, field->type))
        return leat_error_set(out_error, LEAT_E_INVALID, "field '%.*s': %s cannot become %s", size, name,
                              types[own->type], leat_type_print(field->type, text));
    return LEAT_OK;
}

static leat_code check_units(const leat_modbus_settings *settings, const leat_modbus_url *url, leat_error *out_error)
{
    const leat_integer_list *units = &settings->units;
    if (units->count == 0 || units->count > LEAT_MODBUS_UNITS_MAX)
        return leat_error_set(out_error, LEAT_E_INVALID, "unit: expected 1 to %d units", LEAT_MODBUS_UNITS_MAX);
    for (uint32_t i = 0; i < units->count; i++) {
        if (units->items[i] < (url->serial ? 1 : 0) || units->items[i] > (url->serial ? 247 : 255))
            return leat_error_set(out_error, LEAT_E_INVALID, "unit: expected %s, found %lld",
                                  url->serial ? "1 to 247" : "0 to 255", (long long)units->items[i]);
        for (uint32_t j = 0; j < i; j++)
            if (units->items[j] == units->items[i])
                return leat_error_set(out_error, LEAT_E_INVALID, "unit: %lld stands there twice",
                                      (long long)units->items[i]);
    }
    return LEAT_OK;
}

static leat_code modbus_check(const void *settings, const leat_source_field *fields, uint32_t field_count,
                              leat_error *out_error)
{
    const leat_modbus_settings *modbus = settings;
    leat_modbus_url url;
    leat_code code = leat_modbus_url_parse(modbus->url, &url, out_error);
    if (code == LEAT_OK)
        code = check_units(modbus, &url, out_error);
    for (uint32_t i = 0; i < field_count && code == LEAT_OK; i++)
        code = check_field(modbus, &fields[i], out_error);
    return code;
}

// ---- tables

#define MEMBER(name) offsetof(leat_modbus_settings, name)
static const leat_setting settings_table[] = {
    {.name = "url",
     .type = LEAT_SETTING_TEXT,
     .offset = MEMBER(url),
     .required = true,
     .text = "Device or gateway: tcp://HOST[:502], or rtu:/dev/ttyUSB0?baud=19200&parity=even&bits=8&stop=1."},
    {.name = "unit",
     .type = LEAT_SETTING_INTEGER_LIST,
     .offset = MEMBER(units),
     .default_text = "1",
     .minimum = 0,
     .maximum = 255,
     .text = "Unit (slave address), or a list of units with the same registers; a row each."},
    {.name = "poll",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(poll_ms),
     .default_text = "1s",
     .minimum = 10,
     .maximum = 86400000,
     .text = "Time between two readings; one that is overdue is skipped and counted."},
    {.name = "timeout",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(timeout_ms),
     .default_text = "500ms",
     .minimum = 10,
     .maximum = 30000,
     .text = "Longest time that a device may take for its whole answer."},
    {.name = "gap",
     .type = LEAT_SETTING_DURATION,
     .offset = MEMBER(gap_ms),
     .default_text = "0ms",
     .minimum = 0,
     .maximum = 10000,
     .text = "Silence before each request; 0: 3.5 characters on a serial line, none on TCP."},
    {.name = "max_registers",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(max_registers),
     .default_text = "125",
     .minimum = 1,
     .maximum = LEAT_MODBUS_REGISTERS_MAX,
     .text = "Most registers that the device gives in one answer (16 bits each)."},
    {.name = "join_gap",
     .type = LEAT_SETTING_INTEGER,
     .offset = MEMBER(join_gap),
     .default_text = "8",
     .minimum = 0,
     .maximum = LEAT_MODBUS_REGISTERS_MAX,
     .text = "Fields that lie at most so many unused registers apart are read with one request."},
};

#define FIELD_MEMBER(name) offsetof(leat_modbus_field_settings, name)
#define ADDRESS(key, kind, what)                                                                                       \
    {                                                                                                                  \
        .name = key, .type = LEAT_SETTING_INTEGER, .offset = FIELD_MEMBER(address[kind]), .default_text = "-1",        \
        .minimum = -1, .maximum = LEAT_MODBUS_ADDRESSES - 1,                                                           \
        .text = "Address of " what ", from 0, as it is on the wire; -1: none."                                         \
    }
static const leat_setting field_settings_table[] = {
    ADDRESS("input", LEAT_MODBUS_INPUT, "an input register"),
    ADDRESS("holding", LEAT_MODBUS_HOLDING, "a holding register"),
    ADDRESS("coil", LEAT_MODBUS_COIL, "a coil"),
    ADDRESS("discrete", LEAT_MODBUS_DISCRETE, "a discrete input"),
    {.name = "type",
     .type = LEAT_SETTING_CHOICE,
     .offset = FIELD_MEMBER(type),
     .default_text = "auto",
     .choices = types,
     .text = "What lies there; auto: bool for coils, discrete inputs and bits, uint16 for registers."},
    {.name = "order",
     .type = LEAT_SETTING_CHOICE,
     .offset = FIELD_MEMBER(order),
     .default_text = "abcd",
     .choices = orders,
     .text = "Order of the bytes, A the most significant: abcd is the standard's, cdab has the low register first."},
    {.name = "bit",
     .type = LEAT_SETTING_INTEGER,
     .offset = FIELD_MEMBER(bit),
     .default_text = "-1",
     .minimum = -1,
     .maximum = 15,
     .text = "One bit of the register, 0 the least significant; -1: none."},
    {.name = "length",
     .type = LEAT_SETTING_INTEGER,
     .offset = FIELD_MEMBER(length),
     .default_text = "0",
     .minimum = 0,
     .maximum = LEAT_MODBUS_REGISTERS_MAX,
     .text = "Registers of a string, two characters each."},
    {.name = "scale",
     .type = LEAT_SETTING_NUMBER,
     .offset = FIELD_MEMBER(scale),
     .text = "Multiplies the number, which becomes a DOUBLE."},
    {.name = "offset", .type = LEAT_SETTING_NUMBER, .offset = FIELD_MEMBER(offset), .text = "Added after `scale`."},
};

const leat_source_description leat_source_modbus_description = {
    .name = "modbus",
    .summary = "registers, coils and inputs of Modbus devices (TCP, RTU), polled",
    .library = "leat_modbus.so",
    .settings = {settings_table, sizeof settings_table / sizeof *settings_table, sizeof(leat_modbus_settings)},
    .field_settings = {field_settings_table, sizeof field_settings_table / sizeof *field_settings_table,
                       sizeof(leat_modbus_field_settings)},
    .decodes = true,
    .fields_required = true,
    .needs_fields_path = true,
    .implicit = LEAT_IMPLICIT_SOURCE | LEAT_IMPLICIT_TS | LEAT_IMPLICIT_UNIT | LEAT_IMPLICIT_QUALITY,
    .check = modbus_check,
    .field_type = leat_modbus_field_type,
};
