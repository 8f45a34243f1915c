// The detections that come with leat, as a library like any owner's: they use operators/api/leat.h and nothing else.
#pragma once

#include "operators/api/leat.h"

extern const leat_library leat_builtin_functions;

// One file each, in the order of the manual.
extern const leat_process_function leat_function_rising, leat_function_falling;
extern const leat_process_function leat_function_above, leat_function_below;
extern const leat_process_function leat_function_session;
extern const leat_process_function leat_function_silent;
