// What the agent tells its operator: lines on stderr with a level in the `<N>` form that systemd's journal reads.
//
// Only firmware-agent says anything, once, where a decision is taken. Threads: any; a line is written whole.
#pragma once

#include "operators/base/error.h"

typedef enum leat_level { LEAT_LEVEL_ERROR = 0, LEAT_LEVEL_WARNING, LEAT_LEVEL_INFO, LEAT_LEVEL_DEBUG } leat_level;

void leat_say_level(leat_level most); // lines above it are left out; INFO at first
void leat_say(leat_level level, const char *format, ...) LEAT_PRINTF(2, 3);
void leat_say_error(leat_level level, const char *context, const leat_error *error); // "context: place: message"
