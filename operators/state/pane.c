#include "operators/state/pane.h"

#include <string.h>

enum {
    ITEMS_MIN = 8,
    DIRECTORY_MIN = 4,
    CACHE_LINE = 64,
    ALIGNED = 8,              // what every allocator gives at the least
    CACHE_BYTES = 256 * 1024, // L2 of the smallest board: below it prefetching costs more than it gives
    PREFETCH_ROWS = 32,       // ahead: so many entries lie in the smallest L1 beside what is worked on
};

void leat_panes_init(leat_panes *panes, leat_budget *budget, size_t payload_size)
{
    *panes = (leat_panes){.budget = budget, .stride = LEAT_PANE_HEAD + ((payload_size + 15) & ~(size_t)15), .epoch = 1};
}

static size_t chunk_size(const leat_panes *panes) { return panes->stride * LEAT_PANE_CHUNK + CACHE_LINE - ALIGNED; }

static void free_chunk(const leat_panes *panes, leat_pane_chunk *chunk)
{
    if (chunk->entries)
        leat_budget_free(panes->budget, chunk->entries - chunk->shift, chunk_size(panes));
    chunk->entries = NULL;
}

static void destroy(leat_panes *panes, leat_pane *pane)
{
    for (uint32_t i = 0; i < pane->chunk_count; i++)
        free_chunk(panes, &pane->chunks[i]);
    leat_budget_free(panes->budget, pane->chunks, pane->chunk_count * sizeof *pane->chunks);
    leat_budget_free(panes->budget, pane, sizeof *pane);
}

void leat_panes_fini(leat_panes *panes)
{
    while (panes->count)
        leat_panes_drop(panes, panes->count - 1);
    leat_budget_free(panes->budget, panes->items, panes->capacity * sizeof *panes->items);
    panes->items = NULL;
    panes->capacity = 0;
}

uint32_t leat_panes_lower(const leat_panes *panes, int64_t start)
{
    uint32_t low = 0, high = panes->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (leat_panes_get(panes, middle)->start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

leat_pane *leat_panes_find(const leat_panes *panes, int64_t start)
{
    uint32_t index = leat_panes_lower(panes, start);
    return index < panes->count && leat_panes_get(panes, index)->start == start ? leat_panes_get(panes, index) : NULL;
}

// Makes sure that one more item fits behind the last one. Dropped ones leave room in front, which is taken back first.
static bool room_for_item(leat_panes *panes)
{
    if (panes->first + panes->count < panes->capacity)
        return true;
    if (panes->first > panes->capacity / 2) {
        memmove(panes->items, panes->items + panes->first, panes->count * sizeof *panes->items);
        panes->first = 0;
        return true;
    }
    uint32_t capacity = panes->capacity ? panes->capacity * 2 : ITEMS_MIN;
    void *items = leat_budget_grow(panes->budget, panes->items, panes->capacity * sizeof *panes->items,
                                   capacity * sizeof *panes->items);
    if (!items)
        return false;
    panes->items = items;
    panes->capacity = capacity;
    return true;
}

leat_pane *leat_panes_open(leat_panes *panes, int64_t start)
{
    uint32_t index = leat_panes_lower(panes, start);
    if (index < panes->count && leat_panes_get(panes, index)->start == start)
        return leat_panes_get(panes, index);
    if (!room_for_item(panes))
        return NULL;
    leat_pane *pane = leat_budget_alloc(panes->budget, sizeof *pane);
    if (!pane)
        return NULL;
    pane->start = start;
    leat_pane **place = panes->items + panes->first + index;
    memmove(place + 1, place, (panes->count - index) * sizeof *place);
    *place = pane;
    panes->count++;
    return pane;
}

void leat_panes_drop(leat_panes *panes, uint32_t index)
{
    leat_pane **place = panes->items + panes->first + index;
    destroy(panes, *place);
    panes->count--;
    if (index == 0)
        panes->first++;
    else
        memmove(place, place + 1, (panes->count - index) * sizeof *place);
    if (panes->count == 0)
        panes->first = 0;
}

size_t leat_panes_memory(const leat_panes *panes)
{
    size_t size = panes->capacity * sizeof *panes->items;
    for (uint32_t i = 0; i < panes->count; i++) {
        const leat_pane *pane = leat_panes_get(panes, i);
        size += sizeof *pane + pane->chunk_count * sizeof *pane->chunks;
        for (uint32_t c = 0; c < pane->chunk_count; c++)
            size += pane->chunks[c].entries ? chunk_size(panes) : 0;
    }
    return size;
}

// ---- entries

static bool lengthen_directory(const leat_panes *panes, leat_pane *pane, uint32_t needed)
{
    uint32_t count = pane->chunk_count ? pane->chunk_count * 2 : DIRECTORY_MIN;
    if (count < needed)
        count = needed;
    void *chunks = leat_budget_grow(panes->budget, pane->chunks, pane->chunk_count * sizeof *pane->chunks,
                                    count * sizeof *pane->chunks);
    if (!chunks)
        return false;
    pane->chunks = chunks;
    pane->chunk_count = count;
    return true;
}

static bool open_chunk(const leat_panes *panes, leat_pane *pane, uint32_t index)
{
    if (index >= pane->chunk_count && !lengthen_directory(panes, pane, index + 1))
        return false;
    leat_pane_chunk *chunk = &pane->chunks[index];
    if (chunk->entries)
        return true;
    uint8_t *memory = leat_budget_alloc(panes->budget, chunk_size(panes));
    if (!memory)
        return false;
    chunk->shift = (uint16_t)(-(uintptr_t)memory % CACHE_LINE);
    chunk->entries = memory + chunk->shift;
    return true;
}

static bool begin_entry(const leat_panes *panes, leat_pane *pane, uint32_t slot, leat_pane_entry *entry)
{
    if (entry->state == LEAT_PANE_GONE) {
        memset(leat_pane_payload(entry), 0, panes->stride - LEAT_PANE_HEAD);
        entry->word = 0;
    } else {
        pane->chunks[slot >> LEAT_PANE_CHUNK_BITS].used++;
        pane->used++;
    }
    entry->state = LEAT_PANE_LIVE;
    return true;
}

leat_pane_entry *leat_pane_make(const leat_panes *panes, leat_pane *pane, uint32_t slot, bool *out_new)
{
    leat_pane_entry *entry = leat_pane_place(panes, pane, slot);
    if (!entry) {
        if (!open_chunk(panes, pane, slot >> LEAT_PANE_CHUNK_BITS))
            return NULL;
        entry = leat_pane_place(panes, pane, slot);
    }
    *out_new = entry->state != LEAT_PANE_LIVE && begin_entry(panes, pane, slot, entry);
    leat_pane_mark(panes, pane, slot, entry);
    return entry;
}

static inline leat_pane_entry *entry_in(const leat_pane_chunk *chunk, size_t stride, uint32_t slot)
{
    return (leat_pane_entry *)(chunk->entries + stride * (slot & (LEAT_PANE_CHUNK - 1)));
}

// Entries of rows from `begin` that are LIVE already, NULL excepted; what does not change in registers, which a loop that may make
// one cannot have. Returns the index of the row that it stopped at. ahead: with state beyond the cache, row by row: fetching
// a whole batch, or by 32, before it is touched took a third longer at a million keys.
static inline uint32_t live_entries(const leat_panes *panes, const leat_pane *pane, const uint32_t *slots,
                                    uint32_t begin, uint32_t count, bool ahead, void **out_payloads)
{
    leat_pane_chunk *chunks = pane->chunks;
    uint32_t chunk_count = pane->chunk_count, epoch = panes->epoch;
    size_t stride = panes->stride;
    for (uint32_t i = begin; i < count; i++) {
        uint32_t next = slots[i + PREFETCH_ROWS < count ? i + PREFETCH_ROWS : i];
        if (ahead && next >> LEAT_PANE_CHUNK_BITS < chunk_count && chunks[next >> LEAT_PANE_CHUNK_BITS].entries)
            __builtin_prefetch(entry_in(&chunks[next >> LEAT_PANE_CHUNK_BITS], stride, next), 1);
        if (slots[i] >> LEAT_PANE_CHUNK_BITS >= chunk_count)
            return i;
        leat_pane_chunk *chunk = &chunks[slots[i] >> LEAT_PANE_CHUNK_BITS];
        if (!chunk->entries)
            return i;
        leat_pane_entry *entry = entry_in(chunk, stride, slots[i]);
        if (entry->state != LEAT_PANE_LIVE)
            return i;
        entry->epoch = epoch; // unconditional: whether it was marked already cannot be predicted
        chunk->epoch = epoch;
        out_payloads[i] = leat_pane_payload(entry);
    }
    return count;
}

bool leat_pane_make_all(const leat_panes *panes, leat_pane *pane, const uint32_t *slots, uint32_t count,
                        void **out_payloads, uint32_t *out_new, uint32_t *out_new_count)
{
    uint32_t new_count = 0;
    for (uint32_t i = 0;; i++) {
        i = panes->stride * pane->used > CACHE_BYTES ? live_entries(panes, pane, slots, i, count, true, out_payloads)
                                                     : live_entries(panes, pane, slots, i, count, false, out_payloads);
        if (i == count)
            break;
        bool is_new;
        leat_pane_entry *entry = leat_pane_make(panes, pane, slots[i], &is_new);
        if (!entry)
            return *out_new_count = new_count, false;
        out_new[new_count++] = i;
        out_payloads[i] = leat_pane_payload(entry);
    }
    *out_new_count = new_count;
    return true;
}

void leat_pane_erase(const leat_panes *panes, leat_pane *pane, uint32_t slot)
{
    leat_pane_chunk *chunk = &pane->chunks[slot >> LEAT_PANE_CHUNK_BITS];
    memset(leat_pane_place(panes, pane, slot), 0, panes->stride);
    pane->used--;
    if (--chunk->used == 0)
        free_chunk(panes, chunk);
}

bool leat_pane_remove(const leat_panes *panes, leat_pane *pane, uint32_t slot, leat_pane_entry *entry)
{
    if (!entry->stored) {
        leat_pane_erase(panes, pane, slot);
        return true;
    }
    entry->state = LEAT_PANE_GONE;
    leat_pane_mark(panes, pane, slot, entry);
    return false;
}

leat_pane_entry *leat_pane_next(const leat_panes *panes, const leat_pane *pane, uint32_t since, uint32_t *inout_slot)
{
    uint32_t slot = *inout_slot;
    while (slot >> LEAT_PANE_CHUNK_BITS < pane->chunk_count) {
        const leat_pane_chunk *chunk = &pane->chunks[slot >> LEAT_PANE_CHUNK_BITS];
        if (!chunk->entries || chunk->epoch < since) {
            slot = (slot | (LEAT_PANE_CHUNK - 1)) + 1;
            continue;
        }
        leat_pane_entry *entry = leat_pane_place(panes, pane, slot);
        if (entry->state != LEAT_PANE_EMPTY)
            return *inout_slot = slot, entry;
        slot++;
    }
    return NULL;
}
