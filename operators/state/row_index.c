#include "operators/state/row_index.h"

#include "operators/base/hash.h"
#include "operators/state/rows.h"

enum { PLACES_MIN = 64 };

// For one hash another tag in each slot, as the mix is one to one.
static uint64_t tag_of(uint64_t hash, uint32_t slot) { return hash ^ leat_hash_mix((uint64_t)slot + 1); }

static size_t places_of(const leat_row_index *index) { return index->entries ? (size_t)index->mask + 1 : 0; }

size_t leat_row_index_memory(const leat_row_index *index) { return places_of(index) * sizeof *index->entries; }

void leat_row_index_fini(leat_row_index *index, leat_budget *budget)
{
    leat_budget_free(budget, index->entries, leat_row_index_memory(index));
    *index = (leat_row_index){.lost = index->lost};
}

static void put(leat_row_index *index, leat_row_index_entry entry)
{
    uint32_t place = (uint32_t)entry.tag & index->mask;
    while (index->entries[place].row)
        place = (place + 1) & index->mask;
    index->entries[place] = entry;
}

static bool make_room(leat_row_index *index, leat_budget *budget)
{
    size_t before = places_of(index), places = before ? before * 2 : PLACES_MIN;
    if (index->used < before / 2)
        return true;
    leat_row_index larger = {.mask = (uint32_t)(places - 1), .used = index->used};
    larger.entries = places > UINT32_MAX / 2 ? NULL : leat_budget_alloc(budget, places * sizeof *larger.entries);
    if (!larger.entries)
        return false;
    for (size_t i = 0; i < before; i++)
        if (index->entries[i].row)
            put(&larger, index->entries[i]);
    leat_budget_free(budget, index->entries, before * sizeof *index->entries);
    *index = larger;
    return true;
}

void leat_row_index_add(leat_row_index *index, leat_budget *budget, uint32_t slot, leat_kept_row *row)
{
    if (index->lost)
        return;
    if (!make_room(index, budget)) {
        index->lost = true;
        leat_row_index_fini(index, budget);
        return;
    }
    put(index, (leat_row_index_entry){tag_of(row->hash, slot), row});
    index->used++;
}

leat_kept_row *leat_row_index_find(const leat_row_index *index, uint32_t slot, uint64_t hash, leat_slice identity)
{
    uint64_t tag = tag_of(hash, slot);
    if (!index->entries)
        return NULL;
    for (uint32_t place = (uint32_t)tag & index->mask; index->entries[place].row; place = (place + 1) & index->mask)
        if (index->entries[place].tag == tag &&
            leat_slice_equal(leat_kept_row_identity(index->entries[place].row), identity))
            return index->entries[place].row;
    return NULL;
}

// No tombstones: those behind move up.
static void close_hole(leat_row_index *index, uint32_t hole)
{
    uint32_t mask = index->mask;
    for (uint32_t next = (hole + 1) & mask; index->entries[next].row; next = (next + 1) & mask) {
        uint32_t home = (uint32_t)index->entries[next].tag & mask;
        if (((next - home) & mask) < ((next - hole) & mask))
            continue; // would come to lie before its home
        index->entries[hole] = index->entries[next];
        hole = next;
    }
    index->entries[hole] = (leat_row_index_entry){0};
    index->used--;
}

void leat_row_index_remove(leat_row_index *index, uint32_t slot, const leat_kept_row *row)
{
    if (index->lost)
        return;
    LEAT_ASSERT(index->entries);
    uint32_t place = (uint32_t)tag_of(row->hash, slot) & index->mask;
    while (index->entries[place].row != row) {
        LEAT_ASSERT(index->entries[place].row);
        place = (place + 1) & index->mask;
    }
    close_hole(index, place);
}
