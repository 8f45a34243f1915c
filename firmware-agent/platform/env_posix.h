// The env of a Linux process: the only place of leat that makes system calls on clocks, files, memory and randomness.
//
// Usage: main calls leat_env_posix once and hands the pointer down; it lives as long as the process. A further call gives
// the same env and sets its memory limit anew.
//
// Threads: any. Failure: as env.h says. Every descriptor is O_CLOEXEC, every call interrupted by a signal is repeated.
// Details that a caller may rely on: preallocate reserves blocks and leaves the size of the file as it is; pwrite to
// something that cannot seek (a pipe, a tty) writes at its end; sync of something that has no disk below is nothing.
#pragma once

#include "operators/base/env.h"

// memory_limit: bytes that alloc and grow give out at most, 0 for none.
leat_env *leat_env_posix(size_t memory_limit);
// Bytes given out now.
size_t leat_env_posix_memory(const leat_env *env);
