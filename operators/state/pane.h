// Dense tables by slot id that remember what changed: one of them holds the state of a keyed operator, an ordered set of them
// the panes of its windows.
//
// An entry is a head of 16 bytes and the caller's payload (16-aligned, cleared when it is made). Entries of 64 neighbouring slots
// share a chunk, which is allocated when the first of them is made and given back with the last: no memory for slots that
// are not there, no hash, and the address of an entry is two additions.
//
// Change marks: `leat_pane_mark` stamps the entry, which is in the cache anyway, and the chunk's place in the directory with the
// epoch; a snapshot looks only into chunks of the present epoch and ends it (leat_panes_next_epoch).
//
// Usage: init; open a pane, make entries, mark what is changed; walk; drop panes; fini. The payload's own memory is the caller's:
// release it before dropping. Ownership: everything comes from the budget. Threads: the operator's.
// Failure: NULL or false when the budget refuses; nothing has changed then.
#pragma once

#include "operators/core/batch.h"
#include "operators/core/budget.h"

enum { LEAT_PANE_CHUNK = 64, LEAT_PANE_CHUNK_BITS = 6, LEAT_PANE_HEAD = 16 };

typedef enum leat_pane_state {
    LEAT_PANE_EMPTY = 0,
    LEAT_PANE_LIVE,
    LEAT_PANE_GONE, // no longer there, but the last snapshot knows it: removed with the next one
} leat_pane_state;

typedef struct leat_pane_entry {
    uint32_t epoch; // of its last change
    uint8_t state;  // leat_pane_state
    uint8_t stored; // a snapshot holds it
    uint8_t unused[2];
    uint64_t word; // the caller's
} leat_pane_entry;
_Static_assert(sizeof(leat_pane_entry) == LEAT_PANE_HEAD, "payloads are 16-aligned");

typedef struct leat_pane_chunk {
    uint8_t *entries; // NULL: none; at a cache line, so that an entry of 64 bytes is one
    uint32_t epoch;   // newest of its entries
    uint16_t used;    // entries that are not EMPTY
    uint16_t shift;   // of entries in what was allocated
} leat_pane_chunk;

typedef struct leat_pane {
    int64_t start; // by which panes are ordered
    leat_pane_chunk *chunks;
    uint32_t chunk_count; // of the directory
    uint32_t used;
} leat_pane;

typedef struct leat_panes {
    leat_budget *budget;
    size_t stride;     // head and payload
    uint32_t epoch;    // from 1
    leat_pane **items; // ascending by start, from `first`
    uint32_t first, count, capacity;
} leat_panes;

void leat_panes_init(leat_panes *panes, leat_budget *budget, size_t payload_size);
void leat_panes_fini(leat_panes *panes); // also of zeroes
static inline leat_pane *leat_panes_get(const leat_panes *panes, uint32_t index)
{
    return panes->items[panes->first + index];
}
uint32_t leat_panes_lower(const leat_panes *panes,
                          int64_t start); // first index with a start not below; count when none
leat_pane *leat_panes_find(const leat_panes *panes, int64_t start);
leat_pane *leat_panes_open(leat_panes *panes, int64_t start); // finds or creates
void leat_panes_drop(leat_panes *panes, uint32_t index);
static inline void leat_panes_next_epoch(leat_panes *panes) { panes->epoch++; }
size_t leat_panes_memory(const leat_panes *panes);

static inline void *leat_pane_payload(leat_pane_entry *entry) { return (uint8_t *)entry + LEAT_PANE_HEAD; }
static inline leat_pane_entry *leat_pane_of_payload(void *payload)
{
    return (leat_pane_entry *)((uint8_t *)payload - LEAT_PANE_HEAD);
}
// NULL when the entry's chunk is not there; the entry may be EMPTY.
static inline leat_pane_entry *leat_pane_place(const leat_panes *panes, const leat_pane *pane, uint32_t slot)
{
    uint32_t chunk = slot >> LEAT_PANE_CHUNK_BITS;
    if (chunk >= pane->chunk_count || !pane->chunks[chunk].entries)
        return NULL;
    return (leat_pane_entry *)(pane->chunks[chunk].entries + panes->stride * (slot & (LEAT_PANE_CHUNK - 1)));
}
// Only when it is LIVE.
static inline leat_pane_entry *leat_pane_find(const leat_panes *panes, const leat_pane *pane, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_place(panes, pane, slot);
    return entry && entry->state == LEAT_PANE_LIVE ? entry : NULL;
}
static inline void leat_pane_mark(const leat_panes *panes, leat_pane *pane, uint32_t slot, leat_pane_entry *entry)
{
    leat_pane_chunk *chunk = &pane->chunks[slot >> LEAT_PANE_CHUNK_BITS];
    entry->epoch = panes->epoch;
    if (chunk->epoch != panes->epoch)
        chunk->epoch = panes->epoch;
}
// Finds or makes, and marks. *out_new: it was not LIVE; its payload is cleared.
leat_pane_entry *leat_pane_make(const leat_panes *panes, leat_pane *pane, uint32_t slot, bool *out_new);
// The same for a batch: out_payloads[i] for slots[i]. New ones are listed in out_new (room for count). False: no memory; the entries
// listed so far exist.
bool leat_pane_make_all(const leat_panes *panes, leat_pane *pane, const uint32_t *slots, uint32_t count,
                        void **out_payloads, uint32_t *out_new, uint32_t *out_new_count);
// Makes an entry EMPTY; its chunk goes when it was the last one.
void leat_pane_erase(const leat_panes *panes, leat_pane *pane, uint32_t slot);
// Makes it GONE when a snapshot holds it, else EMPTY. Returns whether it is EMPTY now (the slot may be released).
bool leat_pane_remove(const leat_panes *panes, leat_pane *pane, uint32_t slot, leat_pane_entry *entry);

// Walks entries that are not EMPTY in ascending order of slots: for (slot = 0; (entry = leat_pane_next(panes, pane, 0, &slot)); slot++).
// since > 0: skips chunks that have not changed since that epoch (all entries of the others are given).
leat_pane_entry *leat_pane_next(const leat_panes *panes, const leat_pane *pane, uint32_t since, uint32_t *inout_slot);
