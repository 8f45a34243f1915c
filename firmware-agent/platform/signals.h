// Termination signals as a call on a thread of their own, where everything is allowed.
//
// Usage: block before the first thread is made; start; the process ends by itself. SIGTERM and SIGINT call `stop` once; a second SIGINT ends the process at once.
// SIGPIPE is ignored. Threads: stop runs on the signal thread.
#pragma once

#include "operators/base/error.h"

void leat_signals_block(void);
LEAT_MUST_CHECK leat_code leat_signals_start(void (*stop)(void *context), void *context, leat_error *out_error);
