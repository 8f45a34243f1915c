#include <string.h>

#include "operators/base/hash.h"
#include "operators/expr/aggregate_bag.h"

enum { SMALL = 8, BYTES_MAX = UINT32_MAX / 2 };
#define TIMES_MAX (INT64_C(1) << 48) // of one value, in a stored form that is not damaged: sums of them do not overflow

void leat_bag_init(leat_bag *bag)
{
    memset(bag, 0, sizeof *bag);
    bag->best = LEAT_BAG_NONE;
}

void leat_bag_fini(leat_bag *bag, leat_budget *budget)
{
    leat_budget_free(budget, bag->entries, bag->entry_capacity * sizeof *bag->entries);
    leat_budget_free(budget, bag->bytes, bag->byte_capacity);
    leat_budget_free(budget, bag->index, bag->index_capacity * sizeof *bag->index);
    leat_bag_init(bag);
}

static void index_put(leat_bag *bag, uint32_t entry)
{
    uint32_t mask = bag->index_capacity - 1, at = (uint32_t)bag->entries[entry].hash & mask;
    while (bag->index[at])
        at = (at + 1) & mask;
    bag->index[at] = entry + 1;
}

static void index_refill(leat_bag *bag)
{
    memset(bag->index, 0, bag->index_capacity * sizeof *bag->index);
    for (uint32_t i = 0; i < bag->entry_count; i++)
        index_put(bag, i);
}

static bool index_grow(leat_bag *bag, leat_budget *budget)
{
    uint32_t capacity = bag->index_capacity ? bag->index_capacity * 2 : 4 * SMALL;
    uint32_t *index = leat_budget_alloc(budget, capacity * sizeof *index);
    if (!index)
        return false;
    leat_budget_free(budget, bag->index, bag->index_capacity * sizeof *index);
    bag->index = index;
    bag->index_capacity = capacity;
    index_refill(bag);
    return true;
}

static bool entry_is(const leat_bag *bag, uint32_t entry, uint64_t hash, leat_slice value)
{
    return bag->entries[entry].hash == hash && leat_slice_equal(leat_bag_value(bag, entry), value);
}

static uint32_t find_unique(const leat_bag *bag, uint64_t hash, leat_slice value)
{
    if (bag->index) {
        uint32_t mask = bag->index_capacity - 1;
        for (uint32_t at = (uint32_t)hash & mask; bag->index[at]; at = (at + 1) & mask)
            if (entry_is(bag, bag->index[at] - 1, hash, value))
                return bag->index[at] - 1;
        return LEAT_BAG_NONE;
    }
    for (uint32_t i = 0; i < bag->entry_count; i++)
        if (entry_is(bag, i, hash, value))
            return i;
    return LEAT_BAG_NONE;
}

static uint32_t find_in_list(const leat_bag *bag, uint64_t hash, leat_slice value)
{
    for (uint32_t i = 0; i < bag->entry_count; i++)
        if (bag->entries[i].count && entry_is(bag, i, hash, value))
            return i;
    return LEAT_BAG_NONE;
}

// Room for one more entry of `size` bytes. Doubles; for the first few entries by small steps, as most groups are small.
static bool reserve(leat_bag *bag, bool unique, size_t size, leat_budget *budget)
{
    if (bag->entry_count == bag->entry_capacity) {
        uint32_t capacity = bag->entry_capacity ? bag->entry_capacity * 2 : 2;
        void *grown = leat_budget_grow(budget, bag->entries, bag->entry_capacity * sizeof *bag->entries,
                                       capacity * sizeof *bag->entries);
        if (!grown)
            return false;
        bag->entries = grown;
        bag->entry_capacity = capacity;
    }
    if (bag->byte_count + size > bag->byte_capacity) {
        size_t capacity = bag->byte_capacity ? bag->byte_capacity * (size_t)2 : 32;
        while (capacity < bag->byte_count + size)
            capacity *= 2;
        void *grown = capacity > BYTES_MAX ? NULL : leat_budget_grow(budget, bag->bytes, bag->byte_capacity, capacity);
        if (!grown)
            return false;
        bag->bytes = grown;
        bag->byte_capacity = (uint32_t)capacity;
    }
    if (unique && bag->entry_count >= SMALL && (bag->entry_count + 1) * 2 > bag->index_capacity)
        return index_grow(bag, budget);
    return true;
}

static bool append(leat_bag *bag, bool unique, uint64_t hash, leat_slice value, int64_t count, leat_budget *budget)
{
    if (!reserve(bag, unique, value.size, budget))
        return false;
    leat_bag_entry *entry = &bag->entries[bag->entry_count];
    *entry = (leat_bag_entry){hash, count, bag->byte_count, (uint32_t)value.size};
    if (value.size)
        memcpy(bag->bytes + bag->byte_count, value.data, value.size);
    bag->byte_count += (uint32_t)value.size;
    bag->entry_count++;
    bag->live += count > 0;
    if (bag->index)
        index_put(bag, bag->entry_count - 1);
    return true;
}

// Closes the holes, keeping the order.
static void compact(leat_bag *bag)
{
    uint32_t kept = 0, bytes = 0, best = LEAT_BAG_NONE;
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        leat_bag_entry entry = bag->entries[i];
        if (entry.count == 0)
            continue;
        memmove(bag->bytes + bytes, bag->bytes + entry.offset, entry.size);
        entry.offset = bytes;
        bytes += entry.size;
        best = i == bag->best ? kept : best;
        bag->entries[kept++] = entry;
    }
    bag->entry_count = kept;
    bag->byte_count = bytes;
    bag->best = best;
    if (bag->index)
        index_refill(bag);
}

static void change(leat_bag *bag, uint32_t entry, int64_t count)
{
    int64_t before = bag->entries[entry].count, after = before + count;
    bag->entries[entry].count = after;
    bag->live += (uint32_t)(after > 0) - (uint32_t)(before > 0);
    if (entry == bag->best && after <= 0)
        bag->best = LEAT_BAG_NONE;
    if (after == 0 && bag->entry_count >= SMALL && bag->live < bag->entry_count / 2)
        compact(bag);
}

bool leat_bag_add(leat_bag *bag, bool unique, leat_slice value, int64_t count, leat_budget *budget)
{
    uint64_t hash = leat_hash(value.data, value.size);
    if (!unique && count > 0)
        return append(bag, unique, hash, value, count, budget);
    uint32_t entry = unique ? find_unique(bag, hash, value) : find_in_list(bag, hash, value);
    if (entry != LEAT_BAG_NONE) {
        change(bag, entry, count);
        return true;
    }
    return unique ? append(bag, unique, hash, value, count, budget) : true;
}

bool leat_bag_merge(leat_bag *into, const leat_bag *from, bool unique, leat_budget *budget)
{
    for (uint32_t i = 0; i < from->entry_count; i++)
        if (from->entries[i].count &&
            !leat_bag_add(into, unique, leat_bag_value(from, i), from->entries[i].count, budget))
            return false;
    return true;
}

void leat_bag_encode(const leat_bag *bag, leat_writer *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < bag->entry_count; i++)
        count += bag->entries[i].count != 0;
    leat_write_varint(out, count);
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        leat_slice value = leat_bag_value(bag, i);
        if (bag->entries[i].count == 0)
            continue;
        leat_write_varint_signed(out, bag->entries[i].count);
        leat_write_sized(out, value.data, value.size);
    }
}

bool leat_bag_decode(leat_bag *bag, bool unique, leat_reader *reader, leat_budget *budget, bool *out_refused)
{
    uint64_t count = leat_read_varint(reader);
    *out_refused = false;
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        int64_t times = leat_read_varint_signed(reader);
        leat_slice value = leat_read_sized(reader);
        if (reader->failed || times == 0 || times > TIMES_MAX || times < -TIMES_MAX)
            return false;
        if (!append(bag, unique, leat_hash(value.data, value.size), value, times, budget)) {
            *out_refused = true;
            return false;
        }
    }
    return !reader->failed;
}
