// Tries in a child process what might end it.
//
// Threads: any; the child has only the calling one, so work must not need another's lock. Failure: LEAT_E_CORRUPT when work
// failed, died of a signal or took more than a minute. Without a process to spare (no memory) the answer is LEAT_OK.
#pragma once

#include "operators/base/error.h"

// What work changes in memory is lost; whether it would have lived through it is the answer.
LEAT_MUST_CHECK leat_code leat_child_try(leat_code (*work)(void *context), void *context, leat_error *out_error);
