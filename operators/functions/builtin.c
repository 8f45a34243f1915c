#include "operators/functions/builtin.h"

static const leat_process_function *const processes[] = {&leat_function_rising,
                                                         &leat_function_falling,
                                                         &leat_function_above,
                                                         &leat_function_below,
                                                         &leat_function_session,
                                                         &leat_function_silent,
                                                         NULL};

const leat_library leat_builtin_functions = {
    .size = sizeof(leat_library), .api = LEAT_API, .name = "builtin", .processes = processes};
