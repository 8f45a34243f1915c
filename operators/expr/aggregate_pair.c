// MIN_BY and MAX_BY: the pair that wins so far, both in stored form one after the other; first what is compared.
// Of equal ones the first stays, so panes are to be merged in the order of their rows.
#include <string.h>

#include "operators/expr/aggregate_function.h"

static leat_value value_at(leat_type type, leat_reader *reader, leat_arena *arena)
{
    leat_value value = leat_value_null();
    LEAT_ASSERT(leat_value_decode(type, reader, arena, &value));
    return value;
}

static bool wins(const leat_slot *slot, const leat_value *value, const leat_value *best)
{
    int order = leat_value_compare(slot->aggregate->argument_types[0], value, best);
    return slot->aggregate->function->kind == LEAT_AGGREGATE_MIN_BY ? order < 0 : order > 0;
}

// The compared half of a stored pair; it is no nested value, so that it needs no arena.
static leat_value compared_of(const leat_slot *slot, leat_slice bytes, leat_reader *out_reader)
{
    leat_reader_init(out_reader, bytes.data, bytes.size);
    return value_at(slot->aggregate->argument_types[0], out_reader, NULL);
}

static leat_slice bytes_of(const leat_kept *kept) { return leat_slice_of(kept->bytes, kept->size); }

static bool replace(leat_kept *kept, leat_slice bytes, leat_budget *budget)
{
    bool done = leat_kept_set_bytes(kept, bytes, budget);
    kept->has |= done;
    return done;
}

bool leat_pair_add(const leat_slot *slot, leat_kept *kept, const leat_slot_row *row)
{
    const leat_aggregate *aggregate = slot->aggregate;
    leat_value compared = leat_column_value(row->columns[slot->columns[0]], row->row);
    leat_value given = leat_column_value(row->columns[slot->columns[1]], row->row);
    leat_reader reader;
    if (kept->has) {
        leat_value best = compared_of(slot, bytes_of(kept), &reader);
        if (!wins(slot, &compared, &best))
            return true;
    }
    leat_writer writer;
    leat_writer_init(&writer, row->env, LEAT_RECORD_BYTES_MAX);
    leat_value_encode(aggregate->argument_types[0], &compared, &writer);
    leat_value_encode(aggregate->argument_types[1], &given, &writer);
    bool done = !writer.failed && replace(kept, leat_writer_slice(&writer), row->budget);
    leat_writer_fini(&writer);
    return done;
}

bool leat_pair_merge(const leat_slot *slot, leat_kept *into, const leat_kept *from, leat_budget *budget)
{
    leat_reader a, b;
    if (!from->has)
        return true;
    if (into->has) {
        leat_value best = compared_of(slot, bytes_of(into), &a), other = compared_of(slot, bytes_of(from), &b);
        if (!wins(slot, &other, &best))
            return true;
    }
    return replace(into, bytes_of(from), budget);
}

void leat_pair_result(const leat_slot *slot, const leat_kept *kept, leat_arena *arena, leat_value *out)
{
    leat_reader reader;
    *out = leat_value_null();
    if (!kept->has)
        return;
    compared_of(slot, bytes_of(kept), &reader);
    *out = value_at(slot->aggregate->argument_types[1], &reader, arena);
}

// Under retraction all pairs are kept, in order of arrival.
void leat_pair_bag_result(const leat_slot *slot, const leat_bag *bag, leat_arena *arena, leat_value *out)
{
    leat_value best = leat_value_null();
    leat_reader reader, best_reader = {0};
    bool any = false;
    *out = leat_value_null();
    for (uint32_t i = 0; i < bag->entry_count; i++) {
        if (bag->entries[i].count <= 0)
            continue;
        leat_value value = compared_of(slot, leat_bag_value(bag, i), &reader);
        if (any && !wins(slot, &value, &best))
            continue;
        any = true;
        best = value;
        best_reader = reader;
    }
    if (any)
        *out = value_at(slot->aggregate->argument_types[1], &best_reader, arena);
}

void leat_pair_encode(const leat_kept *kept, leat_writer *out)
{
    leat_write_u8(out, kept->has);
    if (kept->has)
        leat_write_sized(out, kept->bytes, kept->size);
}

bool leat_pair_decode(const leat_slot *slot, leat_kept *kept, leat_reader *reader, leat_budget *budget,
                      bool *out_refused)
{
    leat_arena arena;
    leat_value value;
    leat_reader inner;
    if (!leat_read_u8(reader))
        return !reader->failed;
    leat_slice bytes = leat_read_sized(reader);
    if (reader->failed)
        return false;
    leat_arena_init(&arena, budget->env, 1024);
    leat_reader_init(&inner, bytes.data, bytes.size);
    bool good = true;
    for (uint32_t i = 0; i < 2; i++)
        good = good && leat_value_decode(slot->aggregate->argument_types[i], &inner, &arena, &value) &&
               (i == 1 || !value.is_null);
    leat_arena_fini(&arena);
    *out_refused = good && !replace(kept, bytes, budget);
    return good && !*out_refused;
}
