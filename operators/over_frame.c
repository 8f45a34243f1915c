// What frames keep of their rows: the time and the evaluated arguments of the aggregates, in a ring for each key.
#include "operators/over.h"

#include <string.h>

enum { ROOM_FIRST_BITS = 3, ROOM_BITS_MAX = 31, WORD = 8 };

static uint32_t aligned(uint32_t size, uint32_t to) { return (size + to - 1) & ~(to - 1); }

static uint32_t cell_size(leat_physical physical)
{
    return physical == LEAT_PHYSICAL_I128   ? sizeof(leat_i128)
           : physical >= LEAT_PHYSICAL_TEXT ? sizeof(leat_slice)
                                            : WORD;
}

void over_open_layout(over *self)
{
    over_row_layout *layout = &self->layout;
    leat_arena *arena = self->base.context->arena;
    const leat_accumulators *set = self->spec->accumulators;
    bool wide = false;
    layout->timed = self->spec->range;
    layout->count = set ? leat_accumulators_argument_count(set) : 0;
    layout->cells = leat_arena_array(arena, uint32_t, layout->count + 1);
    layout->physicals = leat_arena_calloc(arena, layout->count + 1);
    self->leaving = leat_arena_array(arena, leat_column, layout->count + 1);
    const leat_column **columns = leat_arena_array(arena, const leat_column *, layout->count + 1);
    uint32_t at = layout->timed ? WORD : 0;
    for (uint32_t i = 0; i < layout->count; i++) {
        self->leaving[i].type = leat_accumulators_argument_type(set, i);
        leat_physical physical = leat_type_physical(self->leaving[i].type);
        columns[i] = &self->leaving[i];
        layout->physicals[i] = (uint8_t)physical;
        layout->owns |= physical >= LEAT_PHYSICAL_TEXT;
        wide |= cell_size(physical) > WORD;
        layout->cells[i] = at = aligned(at, cell_size(physical));
        at += cell_size(physical);
    }
    layout->flags = at;
    layout->stride = aligned(at + 1 + layout->count, wide ? 2 * WORD : WORD);
    self->leaving_input = (leat_accumulators_input){columns, self->base.context->env};
}

// ---- the ring

static size_t ring_size(const over *self, uint32_t room)
{
    return room ? sizeof(over_ring) + (size_t)room * self->layout.stride : 0;
}

static void free_ring(over *self, over_key *key)
{
    if (!key->rows)
        return;
    self->frame_memory -= ring_size(self, over_room(key));
    leat_budget_free(self->base.context->budget, over_ring_of(key), ring_size(self, over_room(key)));
    key->rows = NULL;
}

bool over_frame_room(over *self, over_key *key, uint32_t rows)
{
    if (over_room(key) - key->count >= rows)
        return true;
    uint8_t bits = key->rows ? key->room_bits : ROOM_FIRST_BITS;
    while (bits < ROOM_BITS_MAX && (UINT32_C(1) << bits) - key->count < rows)
        bits++;
    uint32_t room = UINT32_C(1) << bits;
    bool fits = room - key->count >= rows && room <= SIZE_MAX / 2 / self->layout.stride;
    over_ring *ring = fits ? leat_budget_alloc(self->base.context->budget, ring_size(self, room)) : NULL;
    if (!ring)
        return false;
    for (uint32_t i = 0; i < key->count; i++)
        memcpy((uint8_t *)(ring + 1) + (size_t)((key->first + i) & (room - 1)) * self->layout.stride,
               over_frame_row(self, key, key->first + i), self->layout.stride);
    if (key->rows)
        *ring = *over_ring_of(key);
    free_ring(self, key);
    self->frame_memory += ring_size(self, room);
    key->rows = (uint8_t *)(ring + 1);
    key->room_bits = bits;
    return true;
}

static leat_slice *slice_at(const over *self, uint8_t *row, uint32_t cell)
{
    return (leat_slice *)(void *)(row + self->layout.cells[cell]);
}

static bool own(over *self, leat_slice *cell, leat_slice bytes)
{
    char *copy = leat_budget_alloc(self->base.context->budget, bytes.size + 1);
    if (!copy)
        return false;
    if (bytes.size)
        memcpy(copy, bytes.data, bytes.size);
    self->frame_memory += bytes.size + 1;
    *cell = leat_slice_of(copy, bytes.size);
    return true;
}

static void disown(over *self, uint8_t *row)
{
    for (uint32_t i = 0; self->layout.owns && i < self->layout.count; i++) {
        leat_slice *cell = slice_at(self, row, i);
        if (self->layout.physicals[i] < LEAT_PHYSICAL_TEXT || !cell->data)
            continue;
        self->frame_memory -= cell->size + 1;
        leat_budget_free(self->base.context->budget, (void *)(uintptr_t)cell->data, cell->size + 1);
        *cell = (leat_slice){0};
    }
}

static bool set_cell(over *self, uint8_t *row, uint32_t i, const leat_column *column, uint32_t from)
{
    leat_physical physical = (leat_physical)self->layout.physicals[i];
    uint8_t *cell = row + self->layout.cells[i];
    bool is_null = leat_column_is_null(column, from);
    row[self->layout.flags + 1 + i] = is_null;
    if (physical >= LEAT_PHYSICAL_TEXT)
        *slice_at(self, row, i) = (leat_slice){0};
    if (is_null)
        return true;
    if (physical == LEAT_PHYSICAL_TEXT)
        return own(self, slice_at(self, row, i), column->text[from]);
    if (physical < LEAT_PHYSICAL_TEXT) {
        size_t size = leat_physical_size(physical);
        memcpy(cell, (const uint8_t *)column->values + size * from, size);
        return true;
    }
    leat_value value = leat_column_value(column, from);
    leat_writer_reset(&self->stored);
    leat_value_encode(column->type, &value, &self->stored);
    return !self->stored.failed && own(self, slice_at(self, row, i), leat_writer_slice(&self->stored));
}

bool over_frame_push(over *self, over_key *key, int64_t time_ms, const leat_accumulators_input *input, uint32_t row,
                     bool bad)
{
    if (!over_frame_room(self, key, 1))
        return false;
    uint8_t *to = over_frame_row(self, key, key->first + key->count);
    memset(to, 0, self->layout.stride);
    if (self->layout.timed)
        memcpy(to, &time_ms, sizeof time_ms);
    to[self->layout.flags] = bad;
    key->count++;
    for (uint32_t i = 0; i < self->layout.count && !bad; i++)
        if (!set_cell(self, to, i, leat_accumulators_argument(input, i), row))
            return false;
    return true;
}

static void nested_cell(over *self, leat_column *column, leat_slice bytes)
{
    leat_value value;
    leat_reader reader;
    leat_reader_init(&reader, bytes.data, bytes.size);
    bool whole = leat_value_decode(column->type, &reader, &self->values, &value);
    LEAT_ASSERT(whole); // our own bytes
    column->nested = leat_arena_alloc(&self->values, sizeof *column->nested);
    *column->nested = value.nested;
}

bool over_frame_leaving(over *self, const over_key *key)
{
    uint8_t *row = over_frame_row(self, key, key->first);
    if (row[self->layout.flags])
        return false;
    leat_arena_reset(&self->values);
    for (uint32_t i = 0; i < self->layout.count; i++) {
        self->leaving[i].nulls = row + self->layout.flags + 1 + i;
        self->leaving[i].values = row + self->layout.cells[i];
        if (self->layout.physicals[i] == LEAT_PHYSICAL_NESTED && !*self->leaving[i].nulls)
            nested_cell(self, &self->leaving[i], *slice_at(self, row, i));
    }
    return true;
}

void over_frame_drop(over *self, over_key *key)
{
    if (self->layout.owns)
        disown(self, over_frame_row(self, key, key->first));
    key->first++;
    key->count--;
}

static void remove_chunks(over *self, uint32_t slot, over_ring *ring)
{
    leat_slice bytes = leat_keys_bytes(self->frame.keys, slot);
    for (; ring->stored_from != ring->stored_to; ring->stored_from++) {
        leat_writer_reset(&self->stored);
        leat_write_u32(&self->stored, ring->stored_from);
        leat_write_bytes(&self->stored, bytes.data, bytes.size);
        (void)leat_removals_add(&self->removals, leat_keys_group(self->frame.keys, slot),
                                leat_writer_slice(&self->stored));
    }
}

void over_frame_free(over *self, uint32_t slot, over_key *key)
{
    if (key->rows)
        remove_chunks(self, slot, over_ring_of(key));
    while (key->count)
        over_frame_drop(self, key);
    free_ring(self, key);
}

// ---- stored: [signed varint time], u8 bad, then of a good row each argument: u8 1 for NULL, or 0 and its bytes (numbers as 8 bytes, others as
// leat_value_encode).

static void write_cell(const over *self, uint8_t *row, uint32_t i, leat_writer *out)
{
    leat_column column = {.type = self->leaving[i].type, .values = row + self->layout.cells[i]};
    leat_physical physical = (leat_physical)self->layout.physicals[i];
    bool is_null = row[self->layout.flags + 1 + i];
    leat_write_u8(out, is_null);
    if (is_null)
        return;
    if (physical == LEAT_PHYSICAL_I64 || physical == LEAT_PHYSICAL_F64) {
        leat_write_u64(out, (uint64_t)column.i64[0]);
    } else if (physical == LEAT_PHYSICAL_NESTED) {
        leat_write_bytes(out, column.text->data, column.text->size);
    } else {
        leat_value value = leat_column_value(&column, 0);
        leat_value_encode(column.type, &value, out);
    }
}

void over_frame_write(over *self, const over_key *key, uint32_t from, uint32_t to, leat_writer *out)
{
    for (uint32_t number = from; number != to; number++) {
        uint8_t *row = over_frame_row(self, key, number);
        int64_t time;
        memcpy(&time, row, sizeof time);
        if (self->layout.timed)
            leat_write_varint_signed(out, time);
        leat_write_u8(out, row[self->layout.flags]);
        for (uint32_t i = 0; i < self->layout.count && !row[self->layout.flags]; i++)
            write_cell(self, row, i, out);
    }
}

static leat_code read_value(over *self, uint8_t *row, uint32_t i, leat_reader *reader)
{
    leat_value value;
    leat_column column = {.type = self->leaving[i].type, .values = row + self->layout.cells[i]};
    const char *begin = (const char *)reader->cursor;
    if (!leat_value_decode(column.type, reader, &self->values, &value) || value.is_null)
        return LEAT_E_CORRUPT;
    if (self->layout.physicals[i] == LEAT_PHYSICAL_NESTED)
        value.text = leat_slice_of(begin, (size_t)((const char *)reader->cursor - begin));
    if (self->layout.physicals[i] >= LEAT_PHYSICAL_TEXT)
        return own(self, column.text, value.text) ? LEAT_OK : LEAT_E_LIMIT;
    leat_column_set(&column, 0, &value, NULL);
    return LEAT_OK;
}

static leat_code read_cell(over *self, uint8_t *row, uint32_t i, leat_reader *reader)
{
    leat_physical physical = (leat_physical)self->layout.physicals[i];
    uint8_t is_null = leat_read_u8(reader);
    row[self->layout.flags + 1 + i] = is_null == 1;
    if (is_null || reader->failed)
        return is_null == 1 && !reader->failed ? LEAT_OK : LEAT_E_CORRUPT;
    if (physical != LEAT_PHYSICAL_I64 && physical != LEAT_PHYSICAL_F64)
        return read_value(self, row, i, reader);
    uint64_t word = leat_read_u64(reader);
    memcpy(row + self->layout.cells[i], &word, sizeof word);
    return reader->failed ? LEAT_E_CORRUPT : LEAT_OK;
}

static leat_code read_row(over *self, uint8_t *row, leat_reader *reader)
{
    disown(self, row); // damaged bytes may tell a row twice
    memset(row, 0, self->layout.stride);
    int64_t time = self->layout.timed ? leat_read_varint_signed(reader) : 0;
    if (self->layout.timed)
        memcpy(row, &time, sizeof time);
    uint8_t bad = leat_read_u8(reader);
    row[self->layout.flags] = bad;
    leat_arena_reset(&self->values);
    leat_code code = bad <= 1 && !reader->failed ? LEAT_OK : LEAT_E_CORRUPT;
    for (uint32_t i = 0; i < self->layout.count && !bad && code == LEAT_OK; i++)
        code = read_cell(self, row, i, reader);
    return code;
}

bool over_frame_cover(over *self, over_key *key, uint32_t from, uint32_t to)
{
    uint32_t first = key->count ? key->first : from, end = key->count ? key->first + key->count : to;
    if ((int32_t)(from - first) < 0)
        first = from;
    if ((int32_t)(to - end) > 0)
        end = to;
    if (end - first > INT32_MAX / 2)
        return false;
    if (over_room(key) < end - first && !over_frame_room(self, key, end - first - key->count))
        return false;
    key->first = first;
    key->count = end - first;
    return true;
}

leat_code over_frame_read(over *self, over_key *key, uint32_t from, uint32_t to, leat_reader *reader,
                          leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t number = from; number != to && code == LEAT_OK; number++)
        code = read_row(self, over_frame_row(self, key, number), reader);
    if (code == LEAT_E_CORRUPT)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of OVER is damaged");
    return code == LEAT_OK ? LEAT_OK : over_no_budget(self, out_error);
}
