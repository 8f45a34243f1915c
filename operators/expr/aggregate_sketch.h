// How many different values, estimated: HyperLogLog with 2^14 registers, a standard error of 0.8 percent.
//
// A few values are held as a small table of (register, rank) and cost little; from some thousand on there is a byte a register.
// Source: P. Flajolet et al., "HyperLogLog" (2007); the estimate is O. Ertl's, "New cardinality estimation algorithms for HyperLogLog
// sketches" (2017), which needs no tables of corrections. Values cannot be taken out again.
//
// Stored form: form (1 byte: 0 table, 1 registers); table: count (varint), then 4 bytes an entry, register * 64 + rank;
// registers: 16384 bytes. Failure: add and merge refuse with false when the budget does; what they hold then is still right.
#pragma once

#include "operators/base/bytes.h"
#include "operators/core/budget.h"

typedef struct leat_sketch {
    uint8_t *registers; // NULL while there is a table
    uint32_t *table;    // open addressing; 0: free
    uint32_t count, capacity;
} leat_sketch;

void leat_sketch_fini(leat_sketch *sketch, leat_budget *budget);
bool leat_sketch_add(leat_sketch *sketch, uint64_t hash, leat_budget *budget);
bool leat_sketch_merge(leat_sketch *into, const leat_sketch *from, leat_budget *budget);
int64_t leat_sketch_estimate(const leat_sketch *sketch);
void leat_sketch_encode(const leat_sketch *sketch, leat_writer *out);
bool leat_sketch_decode(leat_sketch *sketch, leat_reader *reader, leat_budget *budget, bool *out_refused);
