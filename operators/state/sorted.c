#include "operators/state/sorted.h"

#include <string.h>

enum { VERSION = 1, AHEAD = 12, ROWS_FETCHED = 1, CACHE_LINE = 64 };

// Most comparisons are decided by the prefix, without a look at the row.
typedef struct row_item {
    uint64_t prefix; // of the order bytes: never falls with them
    leat_sorted_row *row;
} row_item;

// Payload of a slot's entry: rows first .. first + count are in the order. Few of them lie in the entry.
enum { INLINED = 5 }; // an entry is two cache lines
typedef struct row_list {
    row_item *more; // NULL: inlined
    uint32_t first, count, capacity;
    row_item inlined[INLINED];
} row_list;

static inline row_item *items_of(row_list *list) { return (list->more ? list->more : list->inlined) + list->first; }

// Most orders begin with a byte of 0 or 1, for NULL: it takes one bit here, so that numbers keep 63 of theirs.
static uint64_t prefix_of(leat_slice order)
{
    uint8_t bytes[9] = {0};
    uint64_t word = 0;
    size_t size = order.size < sizeof bytes ? order.size : sizeof bytes;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)order.data[i];
    for (unsigned i = 1; i < sizeof bytes; i++)
        word = word << 8 | bytes[i];
    return bytes[0] > 1 ? UINT64_MAX : (uint64_t)bytes[0] << 63 | word >> 1;
}

bool leat_sorted_init(leat_sorted *sorted, leat_budget *budget, leat_env *env, const leat_keys *keys)
{
    *sorted = (leat_sorted){.budget = budget, .keys = keys, .epoch = 1};
    leat_panes_init(&sorted->panes, budget, sizeof(row_list));
    leat_removals_init(&sorted->removals, env);
    leat_writer_init(&sorted->scratch, env, SIZE_MAX / 2);
    sorted->pane = leat_panes_open(&sorted->panes, 0);
    return sorted->pane != NULL;
}

static size_t row_size(const leat_sorted_row *row) { return sizeof *row + row->order_size + row->size; }

static void free_row(leat_sorted *sorted, leat_sorted_row *row)
{
    sorted->memory -= row_size(row);
    leat_budget_free(sorted->budget, row, row_size(row));
}

void leat_sorted_free(leat_sorted *sorted, leat_sorted_row *row)
{
    if (sorted->spare)
        free_row(sorted, sorted->spare);
    sorted->spare = row;
}

static leat_sorted_row *take_spare(leat_sorted *sorted, size_t size)
{
    leat_sorted_row *row = sorted->spare;
    if (!row || row_size(row) != size)
        return NULL;
    sorted->spare = NULL;
    memset(row, 0, sizeof *row);
    return row;
}

static void list_free(leat_sorted *sorted, row_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        free_row(sorted, items_of(list)[i].row);
    leat_budget_free(sorted->budget, list->more, list->capacity * sizeof *list->more);
}

void leat_sorted_fini(leat_sorted *sorted)
{
    leat_pane_entry *entry;
    if (!sorted->budget)
        return;
    for (uint32_t slot = 0; sorted->pane && (entry = leat_pane_next(&sorted->panes, sorted->pane, 0, &slot)); slot++)
        list_free(sorted, leat_pane_payload(entry));
    if (sorted->spare)
        free_row(sorted, sorted->spare);
    leat_panes_fini(&sorted->panes);
    leat_removals_fini(&sorted->removals);
    leat_writer_fini(&sorted->scratch);
    *sorted = (leat_sorted){0};
}

static row_list *list_of(const leat_sorted *sorted, uint32_t slot)
{
    leat_pane_entry *entry = leat_pane_find(&sorted->panes, sorted->pane, slot);
    return entry ? leat_pane_payload(entry) : NULL;
}

// Inlined by force: gcc takes a function that only fetches for one without effect, and leaves out the call.
static inline __attribute__((always_inline)) void prefetch_list(const leat_sorted *sorted, uint32_t slot)
{
    const char *entry = (const char *)leat_pane_place(&sorted->panes, sorted->pane, slot);
    if (!entry)
        return;
    __builtin_prefetch(entry, 1);
    __builtin_prefetch(entry + CACHE_LINE, 1);
}

static inline __attribute__((always_inline)) void prefetch_rows(const leat_sorted *sorted, uint32_t slot)
{
    row_list *list = list_of(sorted, slot);
    for (uint32_t n = list ? list->count : 0, end = n > ROWS_FETCHED ? n - ROWS_FETCHED : 0; n > end; n--) {
        const char *row = (const char *)items_of(list)[n - 1].row;
        __builtin_prefetch(row, 1);
        __builtin_prefetch(row + CACHE_LINE, 1);
    }
}

void leat_sorted_prefetch(const leat_sorted *sorted, const uint32_t *slots, uint32_t i, uint32_t count)
{
    for (uint32_t first = i ? i + 2 * AHEAD : 0; first < count && first <= i + 2 * AHEAD; first++)
        prefetch_list(sorted, slots[first]);
    for (uint32_t first = i ? i + AHEAD : 1; first < count && first <= i + AHEAD; first++)
        prefetch_rows(sorted, slots[first]);
}

uint32_t leat_sorted_count(const leat_sorted *sorted, uint32_t slot)
{
    row_list *list = list_of(sorted, slot);
    return list ? list->count : 0;
}

leat_sorted_row *leat_sorted_get(const leat_sorted *sorted, uint32_t slot, uint32_t index)
{
    row_list *list = list_of(sorted, slot);
    LEAT_ASSERT(list && index < list->count);
    return items_of(list)[index].row;
}

uint64_t leat_sorted_prefix(const leat_sorted *sorted, uint32_t slot, uint32_t index)
{
    row_list *list = list_of(sorted, slot);
    LEAT_ASSERT(list && index < list->count);
    return items_of(list)[index].prefix;
}

static int compare(const leat_sorted_row *row, leat_slice order)
{
    size_t size = row->order_size < order.size ? row->order_size : order.size;
    int found = size ? memcmp(row->bytes, order.data, size) : 0;
    return found ? found : (row->order_size > order.size) - (row->order_size < order.size);
}

// First index whose row is not before (order, sequence).
static uint32_t place_of(row_list *list, leat_slice order, uint64_t sequence)
{
    const row_item *items = items_of(list);
    uint64_t prefix = prefix_of(order);
    uint32_t low = 0, high = list->count, middle = high - 1; // most rows belong behind the last one
    for (; low < high; middle = low + (high - low) / 2) {
        const row_item *item = &items[middle];
        bool before = item->prefix < prefix;
        if (item->prefix == prefix) {
            int found = compare(item->row, order);
            before = found < 0 || (found == 0 && item->row->sequence < sequence);
        }
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t leat_sorted_upper(const leat_sorted *sorted, uint32_t slot, leat_slice order)
{
    row_list *list = list_of(sorted, slot);
    return list ? place_of(list, order, UINT64_MAX) : 0;
}

uint32_t leat_sorted_lower(const leat_sorted *sorted, uint32_t slot, leat_slice order)
{
    row_list *list = list_of(sorted, slot);
    return list ? place_of(list, order, 0) : 0;
}

static bool room(leat_sorted *sorted, row_list *list)
{
    uint32_t capacity = list->more ? list->capacity : INLINED;
    if (list->first + list->count < capacity)
        return true;
    if (list->first > (list->more ? capacity / 2 : 0)) {
        memmove(items_of(list) - list->first, items_of(list), list->count * sizeof *list->more);
        list->first = 0;
        return true;
    }
    row_item *items = leat_budget_alloc(sorted->budget, 2 * capacity * sizeof *items);
    if (!items)
        return false;
    memcpy(items, items_of(list), list->count * sizeof *items);
    leat_budget_free(sorted->budget, list->more, list->capacity * sizeof *items);
    sorted->list_memory += (2 * capacity - list->capacity) * sizeof *items;
    list->more = items;
    list->capacity = 2 * capacity;
    list->first = 0;
    return true;
}

// Without rows the list goes.
static void erase_empty(leat_sorted *sorted, uint32_t slot)
{
    row_list *list = list_of(sorted, slot);
    if (!list || list->count)
        return;
    leat_budget_free(sorted->budget, list->more, list->capacity * sizeof *list->more);
    sorted->list_memory -= list->capacity * sizeof *list->more;
    leat_pane_erase(&sorted->panes, sorted->pane, slot);
}

static leat_sorted_row *new_row(leat_sorted *sorted, uint32_t slot, leat_slice order, leat_slice bytes)
{
    size_t size = sizeof(leat_sorted_row) + order.size + bytes.size;
    leat_sorted_row *row = take_spare(sorted, size);
    bool is_new = !row;
    if (is_new && !(row = leat_budget_alloc(sorted->budget, size)))
        return NULL;
    row->slot = slot;
    row->order_size = (uint32_t)order.size;
    row->size = (uint32_t)bytes.size;
    if (order.size)
        memcpy(row->bytes, order.data, order.size);
    if (bytes.size)
        memcpy(row->bytes + order.size, bytes.data, bytes.size);
    sorted->memory += is_new ? size : 0;
    return row;
}

static bool add(leat_sorted *sorted, leat_sorted_row *row, uint32_t *out_index)
{
    bool is_new;
    leat_pane_entry *entry = leat_pane_make(&sorted->panes, sorted->pane, row->slot, &is_new);
    row_list *list = entry ? leat_pane_payload(entry) : NULL;
    if (!list || !room(sorted, list)) {
        erase_empty(sorted, row->slot);
        return false;
    }
    uint32_t index = place_of(list, leat_sorted_order(row), row->sequence);
    row_item *place = items_of(list) + index;
    memmove(place + 1, place, (list->count - index) * sizeof *place);
    *place = (row_item){prefix_of(leat_sorted_order(row)), row};
    list->count++;
    sorted->count++;
    *out_index = index;
    return true;
}

leat_sorted_row *leat_sorted_insert(leat_sorted *sorted, uint32_t slot, leat_slice order, leat_slice bytes,
                                    uint32_t *out_index)
{
    leat_sorted_row *row = new_row(sorted, slot, order, bytes);
    if (!row)
        return NULL;
    row->sequence = sorted->next_sequence;
    row->epoch = sorted->epoch;
    if (!add(sorted, row, out_index)) {
        leat_sorted_free(sorted, row);
        return NULL;
    }
    sorted->next_sequence++;
    return row;
}

static leat_slice stored_key(leat_sorted *sorted, const leat_sorted_row *row)
{
    leat_slice key = leat_keys_bytes(sorted->keys, row->slot);
    leat_writer_reset(&sorted->scratch);
    leat_write_u64be(&sorted->scratch, row->sequence);
    leat_write_bytes(&sorted->scratch, key.data, key.size);
    return leat_writer_slice(&sorted->scratch);
}

leat_sorted_row *leat_sorted_remove(leat_sorted *sorted, uint32_t slot, uint32_t index)
{
    row_list *list = list_of(sorted, slot);
    LEAT_ASSERT(list && index < list->count);
    row_item *place = items_of(list) + index;
    leat_sorted_row *row = place->row;
    list->count--;
    sorted->count--;
    if (index == 0)
        list->first++;
    else
        memmove(place, place + 1, (list->count - index) * sizeof *place);
    if (row->stored)
        (void)leat_removals_add(&sorted->removals, leat_keys_group(sorted->keys, slot), stored_key(sorted, row));
    erase_empty(sorted, slot);
    return row;
}

void leat_sorted_clear(leat_sorted *sorted, uint32_t slot)
{
    while (leat_sorted_count(sorted, slot))
        leat_sorted_free(sorted, leat_sorted_remove(sorted, slot, leat_sorted_count(sorted, slot) - 1));
}

static void mark(leat_sorted *sorted, uint32_t slot)
{
    leat_pane_mark(&sorted->panes, sorted->pane, slot, leat_pane_find(&sorted->panes, sorted->pane, slot));
}

void leat_sorted_touch(leat_sorted *sorted, leat_sorted_row *row)
{
    row->epoch = sorted->epoch;
    mark(sorted, row->slot);
}

size_t leat_sorted_memory(const leat_sorted *sorted)
{
    return sorted->memory + leat_panes_memory(&sorted->panes) + sorted->list_memory;
}

static void put_row(leat_sorted *sorted, leat_snapshot *snapshot, uint8_t table, uint32_t group,
                    const leat_sorted_row *row)
{
    leat_writer *writer = &sorted->scratch;
    size_t key_size = stored_key(sorted, row).size;
    leat_write_u8(writer, VERSION);
    leat_write_u8(writer, row->kind);
    leat_write_u8(writer, row->mark);
    leat_write_varint_signed(writer, row->time_ms);
    leat_write_u64(writer, row->cause);
    leat_write_varint(writer, row->word);
    leat_write_sized(writer, row->bytes, row->order_size);
    leat_write_bytes(writer, row->bytes + row->order_size, row->size);
    LEAT_ASSERT(!writer->failed);
    const char *bytes = (const char *)writer->bytes;
    snapshot->put(snapshot, table, group, leat_slice_of(bytes, key_size),
                  leat_slice_of(bytes + key_size, writer->size - key_size));
}

static void put_list(leat_sorted *sorted, leat_snapshot *snapshot, uint8_t table, uint32_t slot, row_list *list)
{
    uint32_t group = leat_keys_group(sorted->keys, slot);
    for (uint32_t i = 0; i < list->count; i++) {
        leat_sorted_row *row = items_of(list)[i].row;
        if (!snapshot->whole[group] && row->epoch < sorted->epoch)
            continue;
        put_row(sorted, snapshot, table, group, row);
        if (!snapshot->keep_marks)
            row->stored = true;
    }
}

void leat_sorted_snapshot(leat_sorted *sorted, leat_snapshot *snapshot, uint8_t table)
{
    leat_removals_emit(&sorted->removals, snapshot, table);
    uint32_t since = snapshot->any_whole || snapshot->all_whole ? 0 : sorted->panes.epoch;
    leat_pane_entry *entry;
    for (uint32_t slot = 0; (entry = leat_pane_next(&sorted->panes, sorted->pane, since, &slot)); slot++)
        put_list(sorted, snapshot, table, slot, leat_pane_payload(entry));
    if (snapshot->keep_marks)
        return;
    sorted->epoch++;
    leat_panes_next_epoch(&sorted->panes);
}

bool leat_sorted_key(leat_slice stored, uint64_t *out_sequence, leat_slice *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, stored.data, stored.size);
    *out_sequence = leat_read_u64be(&reader);
    *out_key = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed;
}

leat_code leat_sorted_restore(leat_sorted *sorted, uint32_t slot, uint64_t sequence, leat_slice value,
                              const leat_sorted_row **out_row, leat_error *out_error)
{
    leat_reader reader;
    uint32_t index;
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    leat_sorted_row head = {.kind = leat_read_u8(&reader)};
    head.mark = leat_read_u8(&reader);
    head.time_ms = leat_read_varint_signed(&reader);
    head.cause = leat_read_u64(&reader);
    head.word = leat_read_varint(&reader);
    leat_slice order = leat_read_sized(&reader);
    if (!known || reader.failed || head.kind > LEAT_DELETE)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of %zu bytes is damaged", value.size);
    leat_sorted_row *row = new_row(sorted, slot, order, leat_read_bytes(&reader, leat_reader_left(&reader)));
    if (row) {
        row->kind = head.kind;
        row->mark = head.mark;
        row->time_ms = head.time_ms;
        row->cause = head.cause;
        row->word = head.word;
        row->sequence = sequence;
        row->stored = true;
    }
    if (!row || !add(sorted, row, &index)) {
        if (row)
            leat_sorted_free(sorted, row);
        return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored rows",
                              sorted->budget->limit);
    }
    if (sequence >= sorted->next_sequence)
        sorted->next_sequence = sequence + 1;
    if (out_row)
        *out_row = row;
    return LEAT_OK;
}
