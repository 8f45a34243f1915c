#include "operators/state/top_rows.h"

#include <string.h>

#include "operators/core/type.h"

enum {
    VERSION = 1, // of state/sorted.c
    ENTRY_MAX = 512,
    CACHE_LINE = 64,
    AHEAD = 12,
    GONE_MIN = 64,
    GONE_AHEAD = 16,
    STORED = 1, // mark of a row: a snapshot holds it
    MARK_BITS = 1,
    WRITER_MAX = 1 << 30,
    HEAD_MAX = 64, // bytes of a stored row of numbers beside its key and columns: 8 + 3 + 10 + 8 + 1 + 10
};

// ---- life

static size_t align(size_t size, size_t to) { return (size + to - 1) & ~(to - 1); }

// Rows that nearly fill cache lines fill them.
static size_t row_stride(size_t cells_size)
{
    size_t size = sizeof(leat_top_row) + cells_size, lines = align(size, CACHE_LINE);
    return lines - size <= CACHE_LINE / 8 ? lines : size;
}

// The first row begins where a line does, if the head is not much shorter.
static size_t head_size(uint32_t room)
{
    size_t size = align(LEAT_PANE_HEAD + sizeof(leat_top_list) + room * sizeof(uint64_t), 16),
           lines = align(size, CACHE_LINE);
    return (lines - size <= CACHE_LINE / 4 ? lines : size) - LEAT_PANE_HEAD;
}

static void all_columns(leat_top_rows *rows, leat_env *env, leat_arena *arena, const leat_schema *schema)
{
    uint32_t *columns = leat_arena_array(arena, uint32_t, schema->count + 1);
    for (uint32_t i = 0; i < schema->count; i++)
        columns[i] = i;
    leat_row_layout_init(&rows->layout, rows->budget, env, arena, schema, columns, schema->count);
}

bool leat_top_rows_fits(const leat_schema *schema, uint64_t room)
{
    size_t size = (schema->count + 63) / 64 * sizeof(uint64_t);
    for (uint32_t i = 0; i < schema->count; i++)
        size += leat_type_physical(schema->fields[i].type) < LEAT_PHYSICAL_I128 ? sizeof(uint64_t) : 16;
    return room <= LEAT_TOP_ROWS_MAX && head_size((uint32_t)room) + room * row_stride(size) <= ENTRY_MAX;
}

static bool is_exact(const leat_schema *schema, const leat_order *orders, uint32_t count)
{
    return count == 1 && leat_type_physical(schema->fields[orders[0].column].type) != LEAT_PHYSICAL_I128;
}

bool leat_top_rows_init(leat_top_rows *rows, leat_budget *budget, leat_env *env, leat_arena *arena,
                        const leat_keys *keys, const leat_schema *schema, const leat_order *orders,
                        uint32_t order_count, uint32_t room)
{
    LEAT_ASSERT(order_count && leat_order_has_prefix(schema->fields[orders[0].column].type));
    *rows = (leat_top_rows){.budget = budget,
                            .keys = keys,
                            .orders = orders,
                            .order_count = order_count,
                            .room = room,
                            .exact = is_exact(schema, orders, order_count),
                            .head = head_size(room)};
    all_columns(rows, env, arena, schema);
    rows->stride = row_stride(rows->layout.size);
    rows->coming = leat_arena_alloc(arena, rows->stride);
    leat_panes_init(&rows->panes, budget, rows->head + room * rows->stride);
    leat_writer_init(&rows->stored, env, WRITER_MAX);
    leat_writer_init(&rows->order, env, WRITER_MAX);
    leat_writer_init(&rows->other_order, env, WRITER_MAX);
    leat_arena_init(&rows->scratch, env, 0);
    rows->pane = leat_panes_open(&rows->panes, 0);
    return rows->pane != NULL;
}

static void free_list(leat_top_rows *rows, const leat_top_list *list)
{
    for (uint32_t rank = 0; rank < list->count; rank++)
        leat_row_layout_free(&rows->layout, leat_top_rows_at(rows, list, rank)->cells);
}

void leat_top_rows_fini(leat_top_rows *rows)
{
    leat_pane_entry *entry;
    if (!rows->budget)
        return;
    for (uint32_t slot = 0; rows->pane && rows->layout.owns; slot++) {
        if (!(entry = leat_pane_next(&rows->panes, rows->pane, 0, &slot)))
            break;
        free_list(rows, leat_pane_payload(entry));
    }
    leat_panes_fini(&rows->panes);
    leat_budget_free(rows->budget, rows->gone, rows->gone_room * sizeof *rows->gone);
    leat_row_layout_fini(&rows->layout);
    leat_writer_fini(&rows->stored);
    leat_writer_fini(&rows->order);
    leat_writer_fini(&rows->other_order);
    leat_arena_fini(&rows->scratch);
    *rows = (leat_top_rows){0};
}

size_t leat_top_rows_memory(const leat_top_rows *rows)
{
    return leat_panes_memory(&rows->panes) + rows->layout.memory + rows->gone_room * sizeof *rows->gone;
}

// ---- rows

// Inlined by force: gcc takes a function that only fetches for one without effect, and leaves out the call.
static inline __attribute__((always_inline)) void prefetch_row(const leat_top_rows *rows, uint32_t slot)
{
    const leat_top_list *list = leat_top_rows_list(rows, slot);
    if (!list)
        return;
    uint32_t last = list->count < rows->room ? list->count : rows->room - 1;
    const char *row = (const char *)leat_top_rows_at(rows, list, last);
    __builtin_prefetch(row, 1);
    __builtin_prefetch(row + rows->stride - 1, 1);
}

void leat_top_rows_prefetch(const leat_top_rows *rows, const uint32_t *slots, uint32_t i, uint32_t count)
{
    for (uint32_t at = i ? i + 2 * AHEAD : 0; at < count && at <= i + 2 * AHEAD; at++) {
        const char *entry = (const char *)leat_pane_place(&rows->panes, rows->pane, slots[at]);
        if (entry)
            __builtin_prefetch(entry, 1);
    }
    for (uint32_t at = i ? i + AHEAD : 1; at < count && at <= i + AHEAD; at++)
        prefetch_row(rows, slots[at]);
}

static leat_slice order_of(leat_top_rows *rows, const leat_top_row *row, leat_writer *writer)
{
    leat_writer_reset(writer);
    for (uint32_t i = 0; i < rows->order_count; i++) {
        const leat_layout_cell *cell = &rows->layout.cells[rows->orders[i].column];
        leat_value value = leat_row_layout_value(&rows->layout, row->cells, rows->orders[i].column, &rows->scratch);
        leat_order_encode(cell->type, &value, &rows->orders[i], writer);
    }
    LEAT_ASSERT(!writer->failed);
    return leat_writer_slice(writer);
}

static leat_slice order_at(leat_top_rows *rows, const leat_top_list *list, uint32_t rank)
{
    return order_of(rows, leat_top_rows_at(rows, list, rank), &rows->other_order);
}

static leat_slice order_in(leat_top_rows *rows, const leat_batch *batch, uint32_t row)
{
    leat_writer_reset(&rows->order);
    leat_order_encode_row(batch, row, rows->orders, rows->order_count, &rows->order);
    LEAT_ASSERT(!rows->order.failed);
    return leat_writer_slice(&rows->order);
}

static bool is_decided(const leat_top_rows *rows, uint64_t prefix) // 0 and the greatest may be a NULL's
{
    return rows->exact && prefix - 1 < UINT64_MAX - 1;
}

uint32_t leat_top_rows_rank(leat_top_rows *rows, const leat_top_list *list, const leat_batch *batch, uint32_t row,
                            uint64_t prefix)
{
    uint32_t rank = list ? list->count : 0;
    while (rank && prefix < list->prefixes[rank - 1])
        rank--;
    if (!rank || prefix != list->prefixes[rank - 1] || is_decided(rows, prefix))
        return rank;
    leat_slice order = order_in(rows, batch, row);
    while (rank && prefix == list->prefixes[rank - 1] && leat_slice_compare(order, order_at(rows, list, rank - 1)) < 0)
        rank--;
    return rank;
}

leat_top_list *leat_top_rows_make(leat_top_rows *rows, uint32_t slot)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&rows->panes, rows->pane, slot, &is_new);
    if (!entry)
        return NULL;
    leat_top_list *list = leat_pane_payload(entry);
    for (uint32_t i = 0; is_new && i < rows->room; i++)
        list->places[i] = (uint8_t)i;
    return list;
}

bool leat_top_rows_hold(leat_top_rows *rows, const leat_batch *batch, uint32_t row)
{
    leat_top_row *coming = rows->coming;
    coming->cause = batch->cause ? batch->cause[row] : 0;
    coming->time_ms = batch->event_ms ? batch->event_ms[row] : LEAT_TIME_NONE;
    coming->number = rows->next_number << MARK_BITS;
    return leat_row_layout_store(&rows->layout, batch, row, coming->cells);
}

void leat_top_rows_let_go(leat_top_rows *rows) { leat_row_layout_free(&rows->layout, rows->coming->cells); }

// The place behind the last rank becomes that of `rank`.
static void open_rank(leat_top_list *list, uint32_t rank, uint64_t prefix)
{
    uint8_t place = list->places[list->count];
    for (uint32_t i = list->count++; i > rank; i--) {
        list->places[i] = list->places[i - 1];
        list->prefixes[i] = list->prefixes[i - 1];
    }
    list->places[rank] = place;
    list->prefixes[rank] = prefix;
}

void leat_top_rows_put(leat_top_rows *rows, leat_top_list *list, uint32_t rank, uint64_t prefix)
{
    LEAT_ASSERT(list->count < rows->room && rank <= list->count);
    open_rank(list, rank, prefix);
    memcpy(leat_top_rows_at(rows, list, rank), rows->coming, sizeof(leat_top_row) + rows->layout.size);
    list->changed |= (uint16_t)(1u << list->places[rank]);
    rows->next_number++;
    rows->count++;
}

static bool note_gone(leat_top_rows *rows, uint64_t number, uint32_t slot)
{
    if (rows->gone_count == rows->gone_room) {
        uint32_t room = rows->gone_room ? rows->gone_room * 2 : GONE_MIN;
        leat_top_gone *gone =
            leat_budget_grow(rows->budget, rows->gone, rows->gone_room * sizeof *gone, room * sizeof *gone);
        if (!gone)
            return false;
        rows->gone = gone;
        rows->gone_room = room;
    }
    rows->gone[rows->gone_count++] = (leat_top_gone){number, slot};
    return true;
}

bool leat_top_rows_drop_last(leat_top_rows *rows, leat_top_list *list, uint32_t slot)
{
    leat_top_row *row = leat_top_rows_at(rows, list, list->count - 1u);
    if (row->number & STORED && !note_gone(rows, row->number >> MARK_BITS, slot))
        return false;
    leat_row_layout_free(&rows->layout, row->cells);
    list->count--;
    list->changed &= (uint16_t) ~(1u << list->places[list->count]);
    rows->count--;
    return true;
}

// ---- stored

static uint8_t *put_big(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
    return at + 8;
}

static size_t write_key(leat_top_rows *rows, uint64_t number, leat_slice key)
{
    leat_writer_reset(&rows->stored);
    uint8_t *at = leat_writer_reserve(&rows->stored, sizeof number + key.size);
    LEAT_ASSERT(at);
    memcpy(put_big(at, number), key.data, key.size);
    return rows->stored.size = sizeof number + key.size;
}

// They come from anywhere, so their keys are fetched ahead: here, where there are many to look at, and not when a row goes.
static void remove_gone(leat_top_rows *rows, leat_snapshot *snapshot, uint8_t table)
{
    for (uint32_t i = 0; i < rows->gone_count; i++) {
        const leat_top_gone *gone = &rows->gone[i];
        if (i + GONE_AHEAD < rows->gone_count)
            leat_keys_prefetch(rows->keys, gone[GONE_AHEAD].slot);
        uint32_t group = leat_keys_group(rows->keys, gone->slot);
        if (snapshot->whole[group])
            continue;
        write_key(rows, gone->number, leat_keys_bytes(rows->keys, gone->slot));
        snapshot->remove(snapshot, table, group, leat_writer_slice(&rows->stored));
    }
    if (!snapshot->keep_marks)
        rows->gone_count = 0;
}

// ---- a row whose columns and order are numbers: one reservation, and no call a value

static uint8_t *put_little(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (8 * i));
    return at + 8;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value > 0x7F; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

// As core/order_encode.h: the prefix is what is behind the byte for NULL.
static uint8_t *put_order(const leat_top_rows *rows, uint8_t *at, const leat_top_row *row, uint64_t prefix)
{
    const leat_order *order = &rows->orders[0];
    bool is_null = leat_row_layout_is_null(row->cells, order->column);
    *at++ = is_null ? 1 : 9;
    *at++ = is_null == order->nulls_last;
    return is_null ? at : put_big(at, prefix);
}

static uint8_t *put_cells(const leat_row_layout *layout, uint8_t *at, const uint64_t *cells)
{
    const uint64_t *values = cells + layout->null_words;
    for (uint32_t i = 0; i < layout->count; i++) {
        bool is_null = leat_row_layout_is_null(cells, i);
        *at++ = is_null;
        at = is_null ? at : put_little(at, values[i]);
    }
    return at;
}

static size_t write_numbers(leat_top_rows *rows, const leat_top_row *row, uint64_t prefix, leat_slice key)
{
    leat_writer *out = &rows->stored;
    leat_writer_reset(out);
    uint8_t *at = leat_writer_reserve(out, HEAD_MAX + key.size + rows->layout.count * 9);
    LEAT_ASSERT(at);
    at = put_big(at, row->number >> MARK_BITS);
    memcpy(at, key.data, key.size);
    at += key.size;
    *at++ = VERSION;
    *at++ = 0; // kind: added
    *at++ = 0; // mark
    at = put_varint(at, (uint64_t)row->time_ms << 1 ^ (uint64_t)(row->time_ms >> 63));
    at = put_little(at, row->cause);
    *at++ = 0; // word
    at = put_order(rows, at, row, prefix);
    at = put_cells(&rows->layout, at, row->cells);
    out->size = (size_t)(at - out->bytes);
    return sizeof(uint64_t) + key.size;
}

// ---- any row

static size_t write_row(leat_top_rows *rows, const leat_top_row *row, leat_slice key)
{
    leat_writer *out = &rows->stored;
    leat_slice order = order_of(rows, row, &rows->order);
    size_t key_size = write_key(rows, row->number >> MARK_BITS, key);
    leat_write_u8(out, VERSION);
    leat_write_u16(out, 0); // kind and mark: added, none
    leat_write_varint_signed(out, row->time_ms);
    leat_write_u64(out, row->cause);
    leat_write_u8(out, 0); // word
    leat_write_sized(out, order.data, order.size);
    leat_row_layout_encode(&rows->layout, row->cells, &rows->scratch, out);
    leat_arena_reset(&rows->scratch);
    LEAT_ASSERT(!out->failed);
    return key_size;
}

static void put_list(leat_top_rows *rows, leat_top_list *list, uint32_t slot, leat_snapshot *snapshot, uint8_t table)
{
    uint32_t group = leat_keys_group(rows->keys, slot);
    leat_slice key = leat_keys_bytes(rows->keys, slot);
    bool whole = snapshot->whole[group], numbers = rows->layout.plain && rows->exact;
    for (uint32_t rank = 0; rank < list->count; rank++) {
        if (!whole && !(list->changed >> list->places[rank] & 1))
            continue;
        leat_top_row *row = leat_top_rows_at(rows, list, rank);
        size_t key_size = numbers ? write_numbers(rows, row, list->prefixes[rank], key) : write_row(rows, row, key);
        const char *bytes = (const char *)rows->stored.bytes;
        snapshot->put(snapshot, table, group, leat_slice_of(bytes, key_size),
                      leat_slice_of(bytes + key_size, rows->stored.size - key_size));
        if (!snapshot->keep_marks)
            row->number |= STORED;
    }
    if (!snapshot->keep_marks)
        list->changed = 0;
}

void leat_top_rows_snapshot(leat_top_rows *rows, leat_snapshot *snapshot, uint8_t table)
{
    remove_gone(rows, snapshot, table);
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : rows->panes.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&rows->panes, rows->pane, since, &slot)); slot++)
        if (!since || entry->epoch >= since)
            put_list(rows, leat_pane_payload(entry), slot, snapshot, table);
    if (!snapshot->keep_marks)
        leat_panes_next_epoch(&rows->panes);
}

static leat_code damaged(leat_slice value, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of %zu bytes is damaged", value.size);
}

static leat_code no_memory(const leat_top_rows *rows, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored rows",
                          rows->budget->limit);
}

// Into rows->coming. The order is made anew from the columns, as that of DECIMAL has another form on 32-bit boards.
static leat_code read_row(leat_top_rows *rows, leat_slice value, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, value.data, value.size);
    uint8_t version = leat_read_u8(&reader), kind = leat_read_u8(&reader);
    bool known = version == VERSION && kind <= LEAT_DELETE;
    (void)leat_read_u8(&reader);
    rows->coming->time_ms = leat_read_varint_signed(&reader);
    rows->coming->cause = leat_read_u64(&reader);
    (void)leat_read_varint(&reader);
    (void)leat_read_sized(&reader);
    if (!known || reader.failed)
        return damaged(value, out_error);
    leat_code code = leat_row_layout_decode(&rows->layout, &reader, &rows->scratch, rows->coming->cells, out_error);
    leat_arena_reset(&rows->scratch);
    if (code != LEAT_OK || !leat_reader_left(&reader))
        return code;
    leat_top_rows_let_go(rows);
    return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row does not fit the columns");
}

// Rows come back in any order.
static uint32_t rank_of(leat_top_rows *rows, const leat_top_list *list, leat_slice order, uint64_t number)
{
    uint32_t rank = list->count;
    for (; rank; rank--) {
        int found = leat_slice_compare(order, order_at(rows, list, rank - 1));
        if (found > 0 || (found == 0 && number > leat_top_rows_at(rows, list, rank - 1)->number >> MARK_BITS))
            break;
    }
    return rank;
}

// Of a plan that kept every row there may be more than there is room for: the last ones go.
static bool make_place(leat_top_rows *rows, leat_top_list *list, uint32_t slot, uint32_t rank, bool *out_stays)
{
    *out_stays = rank < rows->room;
    if (!*out_stays)
        return note_gone(rows, rows->coming->number >> MARK_BITS, slot);
    return list->count < rows->room || leat_top_rows_drop_last(rows, list, slot);
}

leat_code leat_top_rows_restore(leat_top_rows *rows, uint32_t slot, uint64_t number, leat_slice value,
                                leat_error *out_error)
{
    leat_code code = read_row(rows, value, out_error);
    if (code != LEAT_OK)
        return code;
    leat_top_list *list = leat_top_rows_make(rows, slot);
    if (!list || number >= UINT64_MAX >> MARK_BITS) {
        leat_top_rows_let_go(rows);
        return list ? damaged(value, out_error) : no_memory(rows, out_error);
    }
    uint64_t next = rows->next_number;
    leat_slice order = order_of(rows, rows->coming, &rows->order);
    rows->coming->number = number << MARK_BITS | STORED;
    uint16_t changed = list->changed;
    uint32_t rank = rank_of(rows, list, order, number);
    bool stays, made = make_place(rows, list, slot, rank, &stays);
    if (made && stays)
        leat_top_rows_put(rows, list, rank, leat_order_prefix(order, &rows->orders[0]));
    else
        leat_top_rows_let_go(rows);
    list->changed = changed;
    rows->next_number = number >= next ? number + 1 : next;
    return made ? LEAT_OK : no_memory(rows, out_error);
}
