// A TCP connection to a device or gateway, made so that nothing waits beyond its limit and stop is seen meanwhile.
//
// libmodbus itself takes dotted addresses only, or blocks in the resolver, and its select() ends the process on descriptors from
// 1024 on: so the socket is made here and handed over.
#pragma once

#include "drivers/bus/modbus_settings.h"
#include "drivers/source.h"

enum { LEAT_MODBUS_DESCRIPTORS = 1024 }; // FD_SETSIZE

// Tries the addresses of the name in turn, at most timeout_ms for all. *out_socket is the caller's.
// LEAT_E_TIMEOUT, LEAT_E_CLOSED, LEAT_E_NOT_FOUND (no such name), LEAT_E_LIMIT (too many descriptors).
LEAT_MUST_CHECK leat_code leat_modbus_socket_connect(const leat_modbus_url *url, leat_env *env, leat_intake *intake,
                                                     int64_t timeout_ms, int *out_socket, leat_error *out_error);
// The descriptors of this process reach too high for libmodbus.
LEAT_MUST_CHECK leat_code leat_modbus_descriptor_check(int descriptor, leat_error *out_error);
