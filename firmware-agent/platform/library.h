// Shared objects: drivers of ours, functions of the owner.
//
// A library stays loaded until the process ends. Threads: one. Failure: LEAT_E_NOT_FOUND, LEAT_E_INVALID (no such symbol, not a library),
// LEAT_E_PERMISSION (an owner's library that somebody else could change).
#pragma once

#include "operators/base/env.h"

// The driver library `name` ("leat_mqtt.so"): in $LEAT_DRIVERS, in `drivers/` beside the executable, or where it was installed.
LEAT_MUST_CHECK leat_code leat_library_driver(leat_env *env, const char *name, const char *symbol,
                                              const void **out_symbol, leat_error *out_error);
// An owner's library: must belong to root (or to the user that runs the agent, when that is not root) and be writable by nobody else, and so must its directory.
LEAT_MUST_CHECK leat_code leat_library_owner(leat_env *env, const char *path, const char *symbol,
                                             const void **out_symbol, leat_error *out_error);
