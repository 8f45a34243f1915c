// Numbers for a source's key column, where several rules deal its rows out by the same one: the key is then looked up once for all of
// them (operators/core/batch.h: leat_value_ids).
//
// Usage: init, then give for each batch before it is sent; fini. Threads: the source's task. Failure: none; where it does not pay,
// or there is no memory, or the column has more than LEAT_SOURCE_IDS_MAX values, batches go without.
#pragma once

#include "config/plan.h"
#include "operators/core/budget.h"
#include "operators/core/key.h"

enum { LEAT_SOURCE_IDS_MAX = 1 << 16 };

typedef struct leat_source_ids {
    leat_keys *keys; // NULL: no numbers
    leat_budget budget;
    uint32_t column;
    uint64_t dictionary;
} leat_source_ids;

void leat_source_ids_init(leat_source_ids *ids, leat_env *env, const leat_plan *plan, uint32_t node);
void leat_source_ids_fini(leat_source_ids *ids);
void leat_source_ids_give(leat_source_ids *ids, leat_batch *batch);
// The column of a source's node by which most operators deal out its rows, if two do at least; -1: none.
int leat_source_ids_column(const leat_plan *plan, uint32_t node);
