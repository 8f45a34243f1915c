// The loss ledger on its way to disk: what was lost or dropped, by source and cause, from any thread.
//
// Usage: init -> carry or load -> add, flush ... . Rows gather here and go into the store with the next checkpoint (leat_ledger_flush, on the store's thread).
// Limits: LEAT_LEDGER_ROWS pairs of source and cause; beyond them a source's row "other" takes the count.
// Failure: none: memory is reserved at init.
#pragma once

#include <pthread.h>

#include "firmware-agent/checkpoint/store.h"
#include "operators/core/drop.h"

enum { LEAT_LEDGER_ROWS = 256 };

typedef struct leat_ledger_entry {
    char source[LEAT_NAME_SIZE], cause[LEAT_NAME_SIZE];
    uint64_t count, total; // not yet in the store; since the state directory was made
    int64_t last_ms;
} leat_ledger_entry;

typedef struct leat_ledger {
    pthread_mutex_t lock;
    leat_ledger_entry entries[LEAT_LEDGER_ROWS];
    uint32_t used;
} leat_ledger;

void leat_ledger_init(leat_ledger *ledger);
void leat_ledger_add(leat_ledger *ledger, const char *source, const char *cause, uint64_t count, int64_t now_ms);
// Drops of one source or rule since they were moved last.
void leat_ledger_add_drops(leat_ledger *ledger, const char *source, leat_drops *drops, int64_t now_ms);
// What dropped has counted since seen was brought up to it joins `lost`; seen is brought up to it. One thread for each pair.
void leat_drops_take(const leat_drops *dropped, leat_drops *seen, leat_drops *lost);
// What the store has counts in the totals (load), or joins what goes into the next store because this one is forgotten (carry).
void leat_ledger_load(leat_ledger *ledger, leat_store *store);
void leat_ledger_carry(leat_ledger *ledger, leat_store *store);
bool leat_ledger_flush(leat_ledger *ledger, leat_store *store); // true when there was something
