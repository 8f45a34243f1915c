#include "operators/state/timer_struct.h"

#include <string.h>

enum {
    VERSION = 2, // 1: no flag but NAMED
    NAMED = 1,
    LATE = 2
};

static void write_timer(leat_writer *writer, int64_t time, const char *name, size_t size, uint64_t setter)
{
    leat_write_varint_signed(writer, time);
    leat_write_u8(writer, (name ? NAMED : 0) | (setter ? LATE : 0));
    if (name)
        leat_write_sized(writer, name, size);
    if (setter)
        leat_write_u64(writer, setter);
}

static void write_slot(const leat_timers *timers, const leat_timer_slot *head, leat_writer *writer)
{
    uint64_t count = head->kind != LEAT_TIMER_NONE;
    uint32_t last = 0;
    for (uint32_t i = head->first; i; i = timers->records[i - 1].next, count++)
        last = i;
    leat_writer_reset(writer);
    leat_write_u8(writer, VERSION);
    leat_write_varint(writer, count);
    if (head->kind) {
        uint32_t name = (uint32_t)head->kind - LEAT_TIMER_NAMED;
        bool named = head->kind >= LEAT_TIMER_NAMED;
        write_timer(writer, head->time, named ? leat_timers_name(timers, name) : NULL,
                    named ? timers->name_sizes[name] : 0, 0);
    }
    // The oldest first: restored in this order they lie as before.
    for (uint32_t i = last; i; i = timers->records[i - 1].previous)
        write_timer(writer, timers->records[i - 1].time, timers->records[i - 1].name,
                    timers->records[i - 1].name_size ? timers->records[i - 1].name_size - 1 : 0,
                    timers->records[i - 1].setter);
    LEAT_ASSERT(!writer->failed);
}

static void snapshot_slot(leat_timers *timers, leat_snapshot *snapshot, uint8_t table, leat_writer *scratch,
                          uint32_t slot, leat_pane_entry *entry)
{
    const leat_timer_slot *head = leat_pane_payload(entry);
    uint32_t group = leat_keys_group(timers->keys, slot);
    leat_slice key = leat_keys_bytes(timers->keys, slot);
    bool whole = snapshot->whole[group];
    bool some = entry->state == LEAT_PANE_LIVE && (head->kind || head->first);
    if (!whole && entry->epoch < timers->panes.epoch)
        return;
    if (some) {
        write_slot(timers, head, scratch);
        snapshot->put(snapshot, table, group, key, leat_writer_slice(scratch));
    } else if (entry->stored && !whole) {
        snapshot->remove(snapshot, table, group, key);
    }
    if (snapshot->keep_marks)
        return;
    entry->stored = some;
    if (entry->state == LEAT_PANE_GONE)
        leat_pane_erase(&timers->panes, timers->pane, slot);
}

void leat_timers_snapshot(leat_timers *timers, leat_snapshot *snapshot, uint8_t table, leat_writer *scratch)
{
    uint32_t since = snapshot->any_whole ? 0 : timers->panes.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&timers->panes, timers->pane, since, &slot)); slot++)
        snapshot_slot(timers, snapshot, table, scratch, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&timers->panes);
}

leat_code leat_timers_restore(leat_timers *timers, uint32_t slot, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    uint8_t version = leat_read_u8(&reader);
    bool known = version >= 1 && version <= VERSION;
    uint64_t count = leat_read_varint(&reader);
    for (uint64_t i = 0; i < count && known && !reader.failed; i++) {
        int64_t time = leat_read_varint_signed(&reader);
        uint8_t flags = leat_read_u8(&reader);
        bool named = flags & NAMED;
        leat_slice name = named ? leat_read_sized(&reader) : leat_slice_of("", 0);
        uint64_t setter = flags & LATE ? leat_read_u64(&reader) : 0;
        known = flags <= (version == 1 ? NAMED : NAMED | LATE) && !(flags & LATE && setter == 0);
        char text[LEAT_TIMER_NAME_MAX + 1] = {0};
        if (reader.failed || !known || name.size > LEAT_TIMER_NAME_MAX)
            break;
        memcpy(text, name.data, name.size);
        if (!(setter ? leat_timers_set_late(timers, slot, time, named ? text : NULL, setter)
                     : leat_timers_set(timers, slot, time, named ? text : NULL)))
            return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored timers",
                                  timers->budget->limit);
    }
    if (!known || reader.failed || leat_reader_left(&reader))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "stored timers of %zu bytes are damaged", value.size);
    leat_pane_entry *entry = leat_timers_entry(timers, slot);
    if (entry) {
        entry->epoch = 0;
        entry->stored = 1;
    }
    return LEAT_OK;
}
