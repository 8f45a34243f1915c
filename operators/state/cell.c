#include "operators/state/cell.h"

#include <string.h>

enum { VERSION = 1, ITEMS_MAX = 1 << 20 };

// ---- one cell

size_t leat_cell_memory(const leat_cell *cell)
{
    if (!cell->set)
        return 0;
    if (leat_cell_is_text(cell->type))
        return cell->text.size;
    if (!leat_cell_is_array(cell->type))
        return 0;
    size_t size = cell->count * sizeof *cell->items;
    for (uint32_t i = 0; i < cell->count; i++)
        size += leat_cell_memory(&cell->items[i]);
    return size;
}

// Items first, the texts of all of them behind.
static void copy_array(const leat_cell *from, char *memory, leat_cell *out_copy)
{
    leat_cell *items = (leat_cell *)memory;
    char *text = memory + from->count * sizeof *items;
    for (uint32_t i = 0; i < from->count; i++) {
        items[i] = from->items[i];
        if (!items[i].set || !leat_cell_is_text(items[i].type))
            continue;
        if (items[i].text.size)
            memcpy(text, items[i].text.bytes, items[i].text.size);
        items[i].text.bytes = text;
        text += items[i].text.size;
    }
    out_copy->items = items;
}

bool leat_cell_copy(leat_budget *budget, const leat_cell *from, leat_cell *out_copy)
{
    leat_cell copy = *from;
    size_t size = leat_cell_memory(from);
    if (size) {
        char *memory = leat_budget_alloc(budget, size);
        if (!memory)
            return false;
        if (leat_cell_is_text(from->type)) {
            memcpy(memory, from->text.bytes, size);
            copy.text.bytes = memory;
        } else {
            copy_array(from, memory, &copy);
        }
    }
    *out_copy = copy;
    return true;
}

void leat_cell_free(leat_budget *budget, leat_cell *cell)
{
    size_t size = leat_cell_memory(cell);
    if (size)
        leat_budget_free(budget, leat_cell_is_text(cell->type) ? (void *)cell->text.bytes : (void *)cell->items, size);
    *cell = (leat_cell){.type = cell->type};
}

bool leat_cell_equal(const leat_cell *a, const leat_cell *b)
{
    if (!a->set || !b->set)
        return a->set == b->set;
    if (leat_cell_is_text(a->type) != leat_cell_is_text(b->type) || leat_cell_is_array(a->type) ||
        leat_cell_is_array(b->type))
        return false;
    if (!leat_cell_is_text(a->type))
        return a->i64 == b->i64;
    return a->text.size == b->text.size && (!a->text.size || memcmp(a->text.bytes, b->text.bytes, a->text.size) == 0);
}

void leat_cell_write(const leat_cell *cell, leat_writer *writer)
{
    leat_write_u8(writer, cell->type);
    leat_write_u8(writer, cell->set != 0);
    if (!cell->set)
        return;
    if (leat_cell_is_text(cell->type)) {
        leat_write_sized(writer, cell->text.bytes, cell->text.size);
    } else if (leat_cell_is_f64(cell->type)) {
        leat_write_f64(writer, cell->f64);
    } else if (leat_cell_is_array(cell->type)) {
        leat_write_varint(writer, cell->count);
        for (uint32_t i = 0; i < cell->count; i++)
            leat_cell_write(&cell->items[i], writer);
    } else {
        leat_write_varint_signed(writer, cell->i64);
    }
}

static bool read_items(leat_reader *reader, leat_arena *arena, leat_cell *out_cell)
{
    uint64_t count = leat_read_varint(reader);
    if (reader->failed || count > leat_reader_left(reader) || count > ITEMS_MAX)
        return false;
    leat_cell *items = leat_arena_calloc(arena, count * sizeof *items);
    for (uint64_t i = 0; i < count; i++)
        if (!leat_cell_read(reader, arena, &items[i]) || leat_cell_is_array(items[i].type))
            return false;
    out_cell->count = (uint32_t)count;
    out_cell->items = items;
    return true;
}

bool leat_cell_read(leat_reader *reader, leat_arena *arena, leat_cell *out_cell)
{
    *out_cell = (leat_cell){.type = leat_read_u8(reader)};
    out_cell->set = leat_read_u8(reader);
    if (reader->failed || out_cell->set > 1 || out_cell->type < LEAT_API_BOOLEAN ||
        out_cell->type > LEAT_API_STRING_ARRAY)
        return false;
    if (!out_cell->set)
        return true;
    if (leat_cell_is_array(out_cell->type))
        return read_items(reader, arena, out_cell);
    if (leat_cell_is_text(out_cell->type)) {
        leat_slice text = leat_read_sized(reader);
        out_cell->text = (leat_text){text.data, (uint32_t)text.size};
    } else if (leat_cell_is_f64(out_cell->type)) {
        out_cell->f64 = leat_read_f64(reader);
    } else {
        out_cell->i64 = leat_read_varint_signed(reader);
    }
    return !reader->failed;
}

// ---- tables

bool leat_cells_init(leat_cells *cells, leat_budget *budget, const leat_keys *keys, const leat_cell_state *states,
                     uint32_t count)
{
    *cells = (leat_cells){.budget = budget, .keys = keys, .states = states, .count = count};
    for (uint32_t i = 0; i < count; i++)
        cells->expires |= states[i].ttl_ms > 0;
    size_t payload = count * (sizeof(leat_cell) + (cells->expires ? sizeof(int64_t) : 0));
    leat_panes_init(&cells->panes, budget, payload);
    cells->pane = leat_panes_open(&cells->panes, 0);
    return cells->pane != NULL;
}

static void empty_cell(leat_cells *cells, leat_cell *cell)
{
    cells->text_memory -= leat_cell_memory(cell);
    leat_cell_free(cells->budget, cell);
}

static void empty_row(leat_cells *cells, leat_cell *row)
{
    for (uint32_t i = 0; i < cells->count; i++)
        empty_cell(cells, &row[i]);
}

void leat_cells_fini(leat_cells *cells)
{
    leat_pane_entry *entry;
    for (uint32_t slot = 0; cells->pane && (entry = leat_pane_next(&cells->panes, cells->pane, 0, &slot)); slot++)
        if (entry->state == LEAT_PANE_LIVE)
            empty_row(cells, leat_pane_payload(entry));
    if (cells->budget)
        leat_panes_fini(&cells->panes);
    *cells = (leat_cells){0};
}

static void mark(leat_cells *cells, uint32_t slot, leat_cell *row)
{
    leat_pane_mark(&cells->panes, cells->pane, slot, leat_pane_of_payload(row));
}

static leat_cell *make_row(leat_cells *cells, uint32_t slot)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&cells->panes, cells->pane, slot, &is_new);
    if (!entry)
        return NULL;
    leat_cell *row = leat_pane_payload(entry);
    for (uint32_t i = 0; is_new && i < cells->count; i++)
        row[i].type = cells->states[i].type;
    return row;
}

static int64_t expiry_at(int64_t now_ms, int64_t ttl_ms)
{
    int64_t at;
    return ttl_ms == 0 || __builtin_add_overflow(now_ms, ttl_ms, &at) ? INT64_MAX : at;
}

static void refresh(leat_cells *cells, leat_cell *row, uint32_t state, int64_t now_ms)
{
    int64_t *expiry = leat_cells_expiry(cells, row, state);
    if (*expiry <= now_ms)
        empty_cell(cells, &row[state]);
    *expiry = expiry_at(now_ms, cells->states[state].ttl_ms);
}

void leat_cells_touch(leat_cells *cells, uint32_t slot, uint32_t state, int64_t now_ms)
{
    leat_cell *row = cells->states[state].refresh_on_read ? leat_cells_row(cells, slot) : NULL;
    if (!row || !cells->states[state].ttl_ms)
        return;
    int64_t *expiry = leat_cells_expiry(cells, row, state), anew = expiry_at(now_ms, cells->states[state].ttl_ms);
    if (*expiry == anew)
        return;
    *expiry = anew;
    mark(cells, slot, row);
}

leat_cell *leat_cells_write(leat_cells *cells, uint32_t slot, uint32_t state, int64_t now_ms)
{
    leat_cell *row = leat_cells_row(cells, slot);
    if (row)
        mark(cells, slot, row);
    else if (!(row = make_row(cells, slot)))
        return NULL;
    if (cells->expires)
        refresh(cells, row, state, now_ms);
    return row + state;
}

bool leat_cells_put(leat_cells *cells, uint32_t slot, uint32_t state, const leat_cell *value, int64_t now_ms)
{
    leat_cell copy; // first: the value may be the cell's own
    if (!leat_cell_copy(cells->budget, value, &copy))
        return false;
    leat_cell *cell = leat_cells_write(cells, slot, state, now_ms);
    if (!cell) {
        leat_cell_free(cells->budget, &copy);
        return false;
    }
    empty_cell(cells, cell);
    *cell = copy;
    cell->type = cells->states[state].type;
    cells->text_memory += leat_cell_memory(cell);
    return true;
}

void leat_cells_clear(leat_cells *cells, uint32_t slot, uint32_t state)
{
    leat_cell *row = leat_cells_row(cells, slot);
    if (!row || !row[state].set)
        return;
    empty_cell(cells, &row[state]);
    mark(cells, slot, row);
}

void leat_cells_clear_all(leat_cells *cells, uint32_t slot)
{
    leat_cell *row = leat_cells_row(cells, slot);
    if (!row)
        return;
    empty_row(cells, row);
    mark(cells, slot, row);
}

static bool any_set(const leat_cells *cells, const leat_cell *row)
{
    for (uint32_t i = 0; i < cells->count; i++)
        if (row[i].set)
            return true;
    return false;
}

bool leat_cells_settle(leat_cells *cells, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_place(&cells->panes, cells->pane, slot);
    if (!entry || entry->state == LEAT_PANE_EMPTY)
        return true;
    if (entry->state == LEAT_PANE_GONE || any_set(cells, leat_pane_payload(entry)))
        return false;
    return leat_pane_remove(&cells->panes, cells->pane, slot, entry);
}

// Whether the row went.
static bool sweep_row(leat_cells *cells, uint32_t slot, leat_cell *row, int64_t now_ms)
{
    bool changed = false;
    for (uint32_t i = 0; i < cells->count; i++) {
        if (!row[i].set || *leat_cells_expiry(cells, row, i) > now_ms)
            continue;
        empty_cell(cells, &row[i]);
        changed = true;
    }
    if (!changed)
        return false;
    mark(cells, slot, row);
    if (any_set(cells, row))
        return false;
    leat_cells_settle(cells, slot);
    return true;
}

uint32_t leat_cells_sweep(leat_cells *cells, int64_t now_ms, uint32_t *inout_steps)
{
    if (!cells->expires)
        return LEAT_SLOT_NONE;
    while (*inout_steps) {
        --*inout_steps;
        uint32_t slot = cells->sweep_slot;
        leat_pane_entry *entry = leat_pane_next(&cells->panes, cells->pane, 0, &slot);
        cells->sweep_slot = entry ? slot + 1 : 0;
        if (!entry)
            return LEAT_SLOT_NONE;
        if (entry->state == LEAT_PANE_LIVE && sweep_row(cells, slot, leat_pane_payload(entry), now_ms))
            return slot;
    }
    return LEAT_SLOT_NONE;
}

size_t leat_cells_memory(const leat_cells *cells) { return leat_panes_memory(&cells->panes) + cells->text_memory; }

// ---- snapshots

static void write_row(const leat_cells *cells, leat_cell *row, leat_writer *writer)
{
    leat_writer_reset(writer);
    leat_write_u8(writer, VERSION);
    leat_write_varint(writer, cells->count);
    for (uint32_t i = 0; i < cells->count; i++) {
        leat_cell_write(&row[i], writer);
        if (row[i].set && cells->states[i].ttl_ms)
            leat_write_varint_signed(writer, *leat_cells_expiry(cells, row, i));
    }
    LEAT_ASSERT(!writer->failed);
}

static void snapshot_row(leat_cells *cells, leat_snapshot *snapshot, uint8_t table, leat_writer *scratch, uint32_t slot,
                         leat_pane_entry *entry)
{
    uint32_t group = cells->keys ? leat_keys_group(cells->keys, slot) : (uint32_t)LEAT_GROUP_OPERATOR;
    leat_slice key = cells->keys ? leat_keys_bytes(cells->keys, slot) : leat_slice_of("", 0);
    bool whole = snapshot->whole[group];
    bool some = entry->state == LEAT_PANE_LIVE && any_set(cells, leat_pane_payload(entry));
    if (!whole && entry->epoch < cells->panes.epoch)
        return;
    if (some) {
        write_row(cells, leat_pane_payload(entry), scratch);
        snapshot->put(snapshot, table, group, key, leat_writer_slice(scratch));
    } else if (entry->stored && !whole) {
        snapshot->remove(snapshot, table, group, key);
    }
    if (snapshot->keep_marks)
        return;
    entry->stored = some;
    if (entry->state == LEAT_PANE_GONE)
        leat_pane_erase(&cells->panes, cells->pane, slot);
}

void leat_cells_snapshot(leat_cells *cells, leat_snapshot *snapshot, uint8_t table, leat_writer *scratch)
{
    uint32_t since = snapshot->any_whole ? 0 : cells->panes.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&cells->panes, cells->pane, since, &slot)); slot++)
        snapshot_row(cells, snapshot, table, scratch, slot, entry);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&cells->panes);
}

static leat_code damaged(leat_slice value, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_CORRUPT, "stored values of %zu bytes are damaged", value.size);
}

// States may have been added behind those that were stored.
static leat_code restore_cells(leat_cells *cells, uint32_t slot, leat_slice value, leat_arena *scratch,
                               leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    uint64_t count = leat_read_varint(&reader);
    if (!known || reader.failed)
        return damaged(value, out_error);
    if (count > cells->count)
        return leat_error_set(out_error, LEAT_E_CONFLICT, "the function kept %llu values a key and keeps %u now",
                              (unsigned long long)count, cells->count);
    for (uint32_t i = 0; i < count; i++) {
        leat_cell cell;
        if (!leat_cell_read(&reader, scratch, &cell))
            return damaged(value, out_error);
        if (cell.type != cells->states[i].type)
            return leat_error_set(out_error, LEAT_E_CONFLICT,
                                  "value %u of the function has another type than the stored one", i);
        if (!cell.set)
            continue;
        int64_t expiry = cells->states[i].ttl_ms ? leat_read_varint_signed(&reader) : INT64_MAX;
        if (!leat_cells_put(cells, slot, i, &cell, 0))
            return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored values",
                                  cells->budget->limit);
        if (cells->expires)
            *leat_cells_expiry(cells, leat_cells_row(cells, slot), i) = expiry;
    }
    return reader.failed || leat_reader_left(&reader) ? damaged(value, out_error) : LEAT_OK;
}

leat_code leat_cells_restore(leat_cells *cells, uint32_t slot, leat_slice value, leat_arena *scratch,
                             leat_error *out_error)
{
    leat_code code = restore_cells(cells, slot, value, scratch, out_error);
    leat_cell *row = leat_cells_row(cells, slot);
    if (row) {
        leat_pane_of_payload(row)->epoch = 0;
        leat_pane_of_payload(row)->stored = 1;
    }
    return code;
}
