// The agent's Unix socket: one JSON object a line in, one a line out. 0660; callers are the agent's own user, root, or its group.
//
// Requests: {"command":"status"}, {"command":"stop"}. An answer is the object asked for, or {"error":"..."}.
// Threads: one of its own serves up to eight callers at a time; what they ask for is read from figures that any thread may read.
// Failure: a socket that cannot be made is a fault at start; a bad request gets an error line.
#pragma once

#include "firmware-agent/agent.h"

typedef struct leat_socket leat_socket;

LEAT_MUST_CHECK leat_code leat_socket_start(leat_env *env, leat_agent *agent, const char *path,
                                            leat_socket **out_socket, leat_error *out_error);
void leat_socket_stop(leat_socket *server); // NULL allowed; removes the file
// The caller's side: sends one line, takes one line. The answer lies in the arena.
LEAT_MUST_CHECK leat_code leat_socket_ask(const char *path, const char *request, leat_arena *arena, char **out_answer,
                                          leat_error *out_error);
