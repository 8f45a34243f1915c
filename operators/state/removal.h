// What was removed since the last snapshot, of things that are stored one by one (list elements, buffered rows): a log of their
// stored keys, so that nothing else has to outlive the removal.
//
// Usage: init; add when something that a snapshot holds goes; emit within the snapshot before anything is put, because a stored
// key may have been taken again. Threads: the operator's. Failure: add returns false without memory.
#pragma once

#include "operators/core/operator.h"

typedef struct leat_removals {
    leat_writer log; // u32 group, sized key, each
} leat_removals;

void leat_removals_init(leat_removals *removals, leat_env *env);
void leat_removals_fini(leat_removals *removals);
bool leat_removals_add(leat_removals *removals, uint32_t group, leat_slice key);
// Groups that are written whole need none. Forgets them all unless marks are to be kept.
void leat_removals_emit(leat_removals *removals, leat_snapshot *snapshot, uint8_t table);
