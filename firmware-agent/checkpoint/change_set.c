#include "firmware-agent/checkpoint/change_set.h"

#include <stddef.h>
#include <string.h>

enum { REMOVED = 0x80, TABLE_MASK = 0x7F };

static leat_change_set *set_of(leat_snapshot *snapshot)
{
    return (leat_change_set *)(void *)((char *)snapshot - offsetof(leat_change_set, snapshot));
}

void leat_change_write(leat_writer *writer, const leat_change *change)
{
    leat_write_varint(writer, change->operator_number);
    leat_write_u8(writer, (uint8_t)(change->table | (change->removed ? REMOVED : 0)));
    leat_write_u8(writer, (uint8_t)change->group);
    leat_write_sized(writer, change->key.data, change->key.size);
    if (!change->removed)
        leat_write_sized(writer, change->value.data, change->value.size);
}

bool leat_change_read(leat_reader *reader, leat_change *out_change)
{
    if (leat_reader_left(reader) == 0)
        return false;
    uint64_t number = leat_read_varint(reader);
    uint8_t table = leat_read_u8(reader);
    out_change->group = leat_read_u8(reader);
    out_change->operator_number = (uint32_t)number;
    out_change->removed = table & REMOVED;
    out_change->table = table & TABLE_MASK;
    out_change->key = leat_read_sized(reader);
    out_change->value = out_change->removed ? leat_slice_of("", 0) : leat_read_sized(reader);
    if (number > UINT16_MAX || out_change->table >= LEAT_CHANGE_TABLES || out_change->group > LEAT_GROUP_OPERATOR)
        reader->failed = true;
    return !reader->failed;
}

static void add(leat_change_set *set, const leat_change *change)
{
    LEAT_ASSERT(change->operator_number > 0 && change->operator_number <= UINT16_MAX);
    LEAT_ASSERT(change->table < LEAT_CHANGE_TABLES && change->group <= LEAT_GROUP_OPERATOR);
    leat_change_write(&set->entries, change);
    set->count++;
    set->reasons += !set->snapshot.is_mark;
}

void leat_change_set_put(leat_change_set *set, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    leat_change change = {set->operator_number, table, group, false, key, value};
    add(set, &change);
}

void leat_change_set_remove(leat_change_set *set, uint8_t table, uint32_t group, leat_slice key)
{
    leat_change change = {set->operator_number, table, group, true, key, {"", 0}};
    add(set, &change);
}

static void snapshot_put(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key, leat_slice value)
{
    leat_change_set_put(set_of(snapshot), table, group, key, value);
}

static void snapshot_remove(leat_snapshot *snapshot, uint8_t table, uint32_t group, leat_slice key)
{
    leat_change_set_remove(set_of(snapshot), table, group, key);
}

leat_snapshot *leat_change_set_snapshot(leat_change_set *set, const bool whole[LEAT_KEY_GROUPS + 1])
{
    leat_snapshot *snapshot = &set->snapshot;
    *snapshot = (leat_snapshot){.put = snapshot_put, .remove = snapshot_remove};
    snapshot->all_whole = whole != NULL;
    for (size_t group = 0; whole && group <= LEAT_KEY_GROUPS; group++) {
        snapshot->whole[group] = whole[group];
        snapshot->any_whole |= whole[group];
        snapshot->all_whole &= whole[group];
    }
    return snapshot;
}

void leat_change_set_operator(leat_change_set *set, uint32_t operator_number)
{
    set->operator_number = operator_number;
}

void leat_change_set_init(leat_change_set *set, leat_env *env, size_t limit)
{
    *set = (leat_change_set){0};
    leat_writer_init(&set->entries, env, limit);
}

void leat_change_set_fini(leat_change_set *set) { leat_writer_fini(&set->entries); }

void leat_change_set_reset(leat_change_set *set)
{
    leat_writer_reset(&set->entries);
    set->count = set->reasons = 0;
}
