// What a bad disk, or whoever edits a savepoint, may make of the entries of a snapshot; and a process in which the state is restored from that.
//
// Usage: damage_entries changes a few entries of an image; damage_survived plays what follows in a fork of this process, with memory bounded, and says how
// that went. The same seed makes the same damage.
//
// Kinds of damage: bits and bytes changed, numbers made huge or negative, values cut, lengthened, emptied, exchanged between entries, moved to another
// table, key or key group, entries lost and doubled.
//
// Failure: out of memory ends the process.
#pragma once

#include "operators/base/env.h"
#include "tests/support/stored.h"

enum { DAMAGE_REFUSED = 3 }; // exit code

void damage_entries(stored_entries *stored, uint64_t seed);
// A piece of memory beyond this that is asked for in one is no size that a rule of a test needs: the process ends with a failure.
void damage_bound_memory(leat_env *env, size_t piece_max);

typedef enum damage_outcome { DAMAGE_TAKEN, DAMAGE_WAS_REFUSED, DAMAGE_CRASHED } damage_outcome;
// In a child: play, which returns or ends the process with DAMAGE_REFUSED. What a crash had to say is printed to standard error.
damage_outcome damage_survived(void (*play)(void *context), void *context, unsigned seconds_max);
