// One agent a state directory.
#pragma once

#include "operators/base/error.h"

// Takes `path` (a file, created when missing) for this process until it ends. LEAT_E_CONFLICT: another process has it.
LEAT_MUST_CHECK leat_code leat_lock_take(const char *path, leat_error *out_error);
