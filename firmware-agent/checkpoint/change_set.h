// What one task hands over at a barrier: puts and removes of keyed state, packed, in memory, without locks.
//
// Usage: init once per instance; at a barrier `operator` for each operator of the chain, then put and remove (the
// leat_snapshot of leat_change_set_snapshot calls them); hand it to leat_store_commit through the coordinator; reset keeps capacity.
//
// Bytes (also the format of base and log streams, see store.h): entries one after the other,
//   varint   operator number (1..65535; 0 is the checkpoint's own manifest: key = name, value = bytes)
//   u8       table: 0..15 the operator's, 16..31 the flow's own; bit 7 set: removed
//   u8       group 0..127 keyed, 128 the operator's own
//   varint   key size, then the key
//   varint   value size, then the value (absent when removed)
//
// Ownership: memory comes from the env up to limit. Threads: one at a time. Failure: a full set stays `failed` and is refused
// by commit: a half-remembered checkpoint must never be written.
#pragma once

#include "operators/base/bytes.h"
#include "operators/core/operator.h"

enum { LEAT_CHANGE_TABLES = 2 * LEAT_STATE_TABLES };

typedef struct leat_change_set {
    leat_writer entries;
    uint32_t operator_number;
    uint64_t count, reasons; // entries; those that are no marks (operator.h)
    leat_snapshot snapshot;  // its put and remove find the set around it
} leat_change_set;

typedef struct leat_change {
    uint32_t operator_number;
    uint8_t table;
    uint32_t group;
    bool removed;
    leat_slice key, value;
} leat_change;

void leat_change_set_init(leat_change_set *set, leat_env *env, size_t limit);
void leat_change_set_fini(leat_change_set *set);
void leat_change_set_reset(leat_change_set *set);
void leat_change_set_operator(leat_change_set *set, uint32_t operator_number); // of what follows
void leat_change_set_put(leat_change_set *set, uint8_t table, uint32_t group, leat_slice key, leat_slice value);
void leat_change_set_remove(leat_change_set *set, uint8_t table, uint32_t group, leat_slice key);
// The interface that operators write to; `whole` as leat_store_plan_next gave it, NULL for none. Valid until the next call.
leat_snapshot *leat_change_set_snapshot(leat_change_set *set, const bool whole[LEAT_KEY_GROUPS + 1]);

// One entry from packed bytes; false at the end and on bytes that are no entry (reader->failed).
bool leat_change_read(leat_reader *reader, leat_change *out_change);
void leat_change_write(leat_writer *writer, const leat_change *change);
