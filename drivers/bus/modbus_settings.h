// The settings of the Modbus source, as its description stores them (compiled into the agent) and the module reads them.
#pragma once

#include "drivers/driver.h"

enum {
    LEAT_MODBUS_REGISTERS_MAX = 125, // of one request
    LEAT_MODBUS_BITS_MAX = 2000,
    LEAT_MODBUS_ADDRESSES = 65536,
    LEAT_MODBUS_HOST_SIZE = 256,
    LEAT_MODBUS_UNITS_MAX = 247,
};

typedef enum leat_modbus_kind {
    LEAT_MODBUS_COIL = 0,
    LEAT_MODBUS_DISCRETE,
    LEAT_MODBUS_INPUT,
    LEAT_MODBUS_HOLDING,
    LEAT_MODBUS_KINDS
} leat_modbus_kind;

typedef enum leat_modbus_type {
    LEAT_MODBUS_AUTO = 0, // bool for coils, discrete inputs and bits; uint16 for registers
    LEAT_MODBUS_BOOL,
    LEAT_MODBUS_INT16,
    LEAT_MODBUS_UINT16,
    LEAT_MODBUS_INT32,
    LEAT_MODBUS_UINT32,
    LEAT_MODBUS_INT64,
    LEAT_MODBUS_UINT64,
    LEAT_MODBUS_FLOAT32,
    LEAT_MODBUS_FLOAT64,
    LEAT_MODBUS_STRING,
} leat_modbus_type;

// Where the bytes A (most significant) B C D of a value lie on the wire.
typedef enum leat_modbus_order {
    LEAT_MODBUS_ABCD = 0, // as the standard has it
    LEAT_MODBUS_BADC,     // bytes of each register swapped
    LEAT_MODBUS_CDAB,     // least significant register first
    LEAT_MODBUS_DCBA,     // both
} leat_modbus_order;

typedef struct leat_modbus_settings {
    const char *url;
    leat_integer_list units;
    int64_t poll_ms, timeout_ms;
    int64_t gap_ms; // 0: 3.5 characters on a serial line, none on TCP
    int64_t max_registers, join_gap;
} leat_modbus_settings;

typedef struct leat_modbus_field_settings {
    int64_t address[LEAT_MODBUS_KINDS]; // -1: not this kind
    int32_t type, order;                // leat_modbus_type, leat_modbus_order
    int64_t bit;                        // -1: none
    int64_t length;                     // registers of a string
    double scale, offset;               // scale 0: not given
} leat_modbus_field_settings;

typedef struct leat_modbus_url {
    bool serial;
    char host[LEAT_MODBUS_HOST_SIZE]; // or the path of the serial device
    char port[8];
    int baud, bits, stop;
    char parity; // 'N' 'E' 'O'
} leat_modbus_url;

// tcp://HOST[:PORT] or rtu:PATH[?baud=..&parity=..&bits=..&stop=..]
LEAT_MUST_CHECK leat_code leat_modbus_url_parse(const char *text, leat_modbus_url *out_url, leat_error *out_error);

// The SQL type of a field: BOOLEAN, INT, BIGINT, DOUBLE or STRING. False when the settings contradict each other.
bool leat_modbus_field_type(const void *field_settings, leat_type *out_type);

extern const leat_source_description leat_source_modbus_description;
