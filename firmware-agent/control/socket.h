// The agent's Unix socket: one JSON object a line in, one a line out. 0660; callers are the agent's own user, root, or its group.
//
// Requests: {"command":"status"}, {"command":"status_text"}, {"command":"stop"}, {"command":"stop","savepoint":"DIRECTORY"}. An answer is the object asked
// for, or {"error":"..."}. A stop is answered when all is over, and its connection stays open until the process has ended.
// Threads: one of its own serves up to eight callers at a time; what they ask for is read from figures that any thread may read.
// Failure: a socket that cannot be made is a fault at start; a bad request gets an error line.
#pragma once

#include "firmware-agent/agent.h"

typedef struct leat_socket leat_socket;

LEAT_MUST_CHECK leat_code leat_socket_start(leat_env *env, leat_agent *agent, const char *path,
                                            leat_socket **out_socket, leat_error *out_error);
// `answer` is the line for those who asked for the stop. NULL allowed; removes the file.
void leat_socket_stop(leat_socket *server, leat_slice answer);
// The caller's side: sends one line, takes one line, within 10 s; with `to_the_end` however long it takes, and returns when the agent's process
// has let go of its state directory. The answer lies in the arena.
LEAT_MUST_CHECK leat_code leat_socket_ask(const char *path, leat_slice request, bool to_the_end, leat_arena *arena,
                                          char **out_answer, leat_error *out_error);
