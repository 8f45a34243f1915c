// What one life of a process leaves to the next: a directory with checkpoints in leat's own store, and nothing else.
//
// Usage: open; restore, which gives the entries of the newest checkpoint to the flow and keeps the named values; at a barrier `part` for each
// part; name; commit. A life ends at any moment and in any way, SIGKILL above all; what it committed the next one finds.
//
// Named values are what the owner of a flow remembers beside its state: places in files, positions, the clock.
// The store compacts after a few KiB, so that a few dozen lives go through its whole cycle.
//
// Failure: prints what went wrong and exits with 1.
#pragma once

#include "config/plan.h"
#include "firmware-agent/flow/flow.h"

typedef struct life life;

life *life_open(leat_env *env, const leat_plan *plan, const char *directory);
bool life_restore(life *self, leat_flow *flow); // false: this is the first life
void life_begin(life *self, bool whole);        // a checkpoint; whole: what was restored came from elsewhere
leat_snapshot *life_part(life *self, uint32_t node);
void life_name(life *self, const char *name, const void *bytes, size_t size);
void life_commit(life *self, int64_t now_ms);
bool life_named(const life *self, const char *name, void *bytes, size_t size); // of the checkpoint that was restored
// The other side: starts this program with these arguments again and again until one of them ends by itself, and returns its exit code. Each fourth
// is killed at a random moment within the time that a life takes, wherever it is; one that ends by any signal but SIGKILL is a failure.
int life_after_life(char **arguments, unsigned seconds_max);
