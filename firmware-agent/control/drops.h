// What a bounded run tells at its end of rows that were dropped on the way: nobody asks for its status while it runs.
#pragma once

#include "firmware-agent/agent.h"

// One line for each source and rule that dropped something, by cause; nothing where nothing was. After run.
void leat_drops_say(const leat_agent *agent);
