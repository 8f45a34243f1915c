// What `leat status` shows: one JSON object about the running agent, and the same as text for people.
//
// Threads: any. Failure: the writer's.
#pragma once

#include "firmware-agent/agent.h"

void leat_status_write(leat_agent *agent, leat_writer *out); // JSON, one line without its end
void leat_status_print(leat_agent *agent, leat_writer *out); // text, several lines, ended by an empty one
