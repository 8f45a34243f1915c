// The identity of a row: what made it. Equal after every restart, on which result ids and the proof "none lost, none
// doubled" stand.
//
// A source row's cause is hash(source name, position, index within the position). An operator that makes rows of its own
// derives theirs: window results from (key, window start, end, count of the firing), timers from (key, name, time), matches from the ids
// of their rows, changelog rows from (key, change count). An operator that turns one row into several mixes in the ordinal.
// At a sink: id = hash(gateway, rule uid, output, cause, ordinal), printed as 16 hex digits.
#pragma once

#include "operators/base/bytes.h"
#include "operators/base/hash.h"

static inline uint64_t leat_cause_source(uint64_t source_hash, uint64_t position, uint32_t index)
{
    return leat_hash_combine(leat_hash_combine(source_hash, position), index);
}
static inline uint64_t leat_cause_derive(uint64_t cause, uint64_t ordinal)
{
    return leat_hash_combine(cause, ordinal + 1);
}
