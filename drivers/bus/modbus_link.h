// One serial bus or one TCP connection, with the rules that libmodbus needs from outside.
//
// Usage: init, open, read while is_open, close; open again after a result that asks for it.
// Rules: no recovery of libmodbus's own (it may retry for ever). Serial: everything that lies in the receiver is thrown away
// before each request, and after a failure the line is left alone for one more `timeout`, so that a late answer is not taken
// for the next one's. TCP: after a failure the connection is not used again. The whole answer has to come within `timeout`.
//
// Threads: one. Failure: read gives a result, open an error; neither leaves anything half open.
#pragma once

#include <modbus/modbus.h>

#include "drivers/bus/modbus_settings.h"
#include "drivers/source.h"

typedef enum leat_modbus_outcome {
    LEAT_MODBUS_READ = 0,
    LEAT_MODBUS_EXCEPTION, // the device answered, and refused
    LEAT_MODBUS_ABSENT,    // a gateway says that the unit does not answer
    LEAT_MODBUS_TIMEOUT,
    LEAT_MODBUS_NOISE,  // an answer that is not to this request, or damaged
    LEAT_MODBUS_BROKEN, // connection or device file is gone
} leat_modbus_outcome;

typedef struct leat_modbus_result {
    leat_modbus_outcome outcome;
    uint8_t exception; // 1..11
    int error_number;  // as libmodbus has it, for leat_modbus_result_text
} leat_modbus_result;

typedef struct leat_modbus_link {
    leat_env *env;
    leat_intake *intake;
    const leat_modbus_url *url;
    int64_t timeout_ms, gap_ns;
    modbus_t *context; // NULL: not open
    bool is_answered;  // since it was opened
    int64_t quiet_ns;  // boot clock: no request before
} leat_modbus_link;

void leat_modbus_link_init(leat_modbus_link *link, leat_env *env, leat_intake *intake, const leat_modbus_url *url,
                           const leat_modbus_settings *settings);
LEAT_MUST_CHECK leat_code leat_modbus_link_open(leat_modbus_link *link, leat_error *out_error);
void leat_modbus_link_close(leat_modbus_link *link); // also when not open
// Writes leat_modbus_bytes(kind, count) bytes.
leat_modbus_result leat_modbus_link_read(leat_modbus_link *link, uint8_t unit, uint8_t kind, uint16_t address,
                                         uint16_t count, uint8_t *out_bytes);
const char *leat_modbus_result_text(leat_modbus_result result);
