// `leat run`: the agent in the foreground until it ends, is stopped, or fails.
#pragma once

#include "firmware-agent/agent.h"
#include "firmware-agent/control/gateway.h"

// Returns the exit code: EX_OK (finished or stopped), EX_TEMPFAIL (results wait for a receiver, or a fault that a restart may cure),
// EX_CONFIG, EX_CANTCREAT (state directory), EX_UNAVAILABLE (another agent runs there).
int leat_run(leat_gateway *gateway, const leat_agent_start *start);
