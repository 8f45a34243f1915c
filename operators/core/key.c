#include "operators/core/key_slot.h"

#include "operators/base/hash.h"
#include "operators/core/key_encode.h"

// ---- failure

static leat_code out_of_budget(const leat_keys *keys, leat_error *out_error)
{
    if (!keys->budget->limit)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for more than %u keys", keys->count);
    return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up: %u keys take %zu bytes",
                          keys->budget->limit, keys->count, keys->memory);
}

// ---- tables

static size_t entry_size(const leat_keys *keys)
{
    return keys->shape == SHAPE_INTEGER ? sizeof(integer_entry) : sizeof(byte_entry);
}

static size_t table_size(const leat_keys *keys) { return ((size_t)keys->mask + 1) * entry_size(keys); }

// Folded before and after: neither keys that differ in their upper bits only nor equal distances fall into one place.
static inline uint32_t integer_place(int64_t key)
{
    uint64_t mixed = ((uint64_t)key ^ (uint64_t)key >> 32) * 0x9e3779b97f4a7c15ULL;
    return (uint32_t)(mixed ^ mixed >> 32);
}

static void integer_put(integer_entry *table, uint32_t mask, integer_entry entry)
{
    uint32_t place = integer_place(entry.key) & mask;
    while (table[place].slot_plus)
        place = (place + 1) & mask;
    table[place] = entry;
}

static void byte_put(byte_entry *table, uint32_t mask, byte_entry entry)
{
    uint32_t place = entry.tag & mask;
    while (table[place].slot_plus)
        place = (place + 1) & mask;
    table[place] = entry;
}

static void move_entries(const leat_keys *keys, void *to, uint32_t to_mask)
{
    for (uint64_t i = 0; i <= keys->mask; i++) {
        if (keys->shape == SHAPE_INTEGER) {
            integer_entry entry = ((integer_entry *)keys->table)[i];
            if (entry.slot_plus)
                integer_put(to, to_mask, entry);
        } else {
            byte_entry entry = ((byte_entry *)keys->table)[i];
            if (entry.slot_plus)
                byte_put(to, to_mask, entry);
        }
    }
}

// Makes sure that one more entry fits.
static bool table_room(leat_keys *keys)
{
    uint64_t places = (uint64_t)keys->mask + 1;
    if (keys->table_used < places / 2)
        return true;
    if (places > UINT32_MAX / 2)
        return false;
    void *table = leat_keys_alloc(keys, places * 2 * entry_size(keys));
    if (!table)
        return false;
    uint32_t mask = (uint32_t)(places * 2 - 1);
    move_entries(keys, table, mask);
    leat_keys_free(keys, keys->table, table_size(keys));
    keys->table = table;
    keys->mask = mask;
    return true;
}

// ---- integer shape

static void integer_record_fill(integer_record *record, const uint8_t *bytes, uint8_t size)
{
    record->size = size;
    memcpy(record->bytes, bytes, size);
    record->group = (uint8_t)leat_key_group(leat_hash(bytes, size));
}

static uint32_t integer_insert(leat_keys *keys, int64_t key)
{
    uint32_t slot = table_room(keys) ? leat_keys_next_slot(keys) : LEAT_SLOT_NONE;
    if (slot == LEAT_SLOT_NONE)
        return slot;
    uint8_t bytes[INTEGER_BYTES];
    leat_key_put_i64(bytes, (uint64_t)key);
    integer_record_fill(leat_keys_integer(keys, slot), bytes, INTEGER_BYTES);
    integer_put(keys->table, keys->mask, (integer_entry){.key = key, .slot_plus = slot + 1});
    keys->table_used++;
    leat_keys_commit_slot(keys, slot);
    return slot;
}

static inline uint32_t integer_probe(const leat_keys *keys, int64_t key, uint32_t home)
{
    const integer_entry *table = keys->table;
    uint32_t mask = keys->mask;
    for (uint32_t place = home & mask;; place = (place + 1) & mask) {
        if (table[place].key == key && table[place].slot_plus)
            return table[place].slot_plus - 1;
        if (!table[place].slot_plus)
            return LEAT_SLOT_NONE;
    }
}

static uint32_t integer_null(leat_keys *keys)
{
    if (keys->null_slot_plus)
        return keys->null_slot_plus - 1;
    uint32_t slot = leat_keys_next_slot(keys);
    if (slot == LEAT_SLOT_NONE)
        return slot;
    integer_record_fill(leat_keys_integer(keys, slot), (const uint8_t[]){1}, 1);
    keys->null_slot_plus = slot + 1;
    leat_keys_commit_slot(keys, slot);
    return slot;
}

static uint32_t integer_get(leat_keys *keys, int64_t key, uint32_t home)
{
    uint32_t slot = integer_probe(keys, key, home);
    return slot != LEAT_SLOT_NONE ? slot : integer_insert(keys, key);
}

typedef struct row_range {
    const leat_batch *batch;
    const uint32_t *columns;
    uint32_t begin, count; // in existing rows
} row_range;

// One look at the homes of all rows: those that hold another key are listed in out_displaced. Returns how many these are.
static inline uint32_t integer_homes(const leat_keys *keys, const int64_t *values, uint32_t count, bool ahead,
                                     uint32_t *out_slots, uint16_t *out_displaced)
{
    const integer_entry *table = keys->table;
    uint32_t mask = keys->mask, displaced = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (ahead)
            __builtin_prefetch(&table[integer_place(values[i + AHEAD_ROWS < count ? i + AHEAD_ROWS : i]) & mask]);
        const integer_entry *entry = &table[integer_place(values[i]) & mask];
        out_slots[i] = entry->slot_plus - 1; // LEAT_SLOT_NONE when the place is empty
        out_displaced[displaced] = (uint16_t)i;
        displaced += (entry->key != values[i]) & (entry->slot_plus != 0);
    }
    return displaced;
}

// The places behind, for what the rounds before have left.
static void integer_displaced(const leat_keys *keys, const int64_t *values, uint16_t *rows, uint32_t count,
                              uint32_t *out_slots)
{
    const integer_entry *table = keys->table;
    uint32_t mask = keys->mask;
    for (uint32_t round = 1; round < PROBE_ROUNDS && count; round++) {
        uint32_t left = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint16_t row = rows[i];
            const integer_entry *entry = &table[(integer_place(values[row]) + round) & mask];
            out_slots[row] = entry->slot_plus - 1;
            rows[left] = row;
            left += (entry->key != values[row]) & (entry->slot_plus != 0);
        }
        count = left;
    }
    for (uint32_t i = 0; i < count; i++)
        out_slots[rows[i]] = integer_probe(keys, values[rows[i]], integer_place(values[rows[i]]) + PROBE_ROUNDS);
}

static bool integer_probe_rows(leat_keys *keys, const int64_t *values, uint32_t count, uint32_t *out_slots)
{
    uint16_t displaced[ROWS_AT_ONCE];
    uint32_t displaced_count = table_size(keys) > INTEGER_AHEAD_BYTES
                                   ? integer_homes(keys, values, count, true, out_slots, displaced)
                                   : integer_homes(keys, values, count, false, out_slots, displaced);
    integer_displaced(keys, values, displaced, displaced_count, out_slots);
    for (uint32_t i = 0; i < count; i++) {
        if (out_slots[i] != LEAT_SLOT_NONE)
            continue;
        out_slots[i] = integer_get(keys, values[i], integer_place(values[i]));
        if (out_slots[i] == LEAT_SLOT_NONE)
            return false;
    }
    return true;
}

static bool integer_probe_nulls(leat_keys *keys, const int64_t *values, const uint8_t *nulls, uint32_t count,
                                uint32_t *out_slots)
{
    for (uint32_t i = 0; i < count; i++) {
        out_slots[i] = nulls[i] ? integer_null(keys) : integer_get(keys, values[i], integer_place(values[i]));
        if (out_slots[i] == LEAT_SLOT_NONE)
            return false;
    }
    return true;
}

static bool integer_resolve(leat_keys *keys, row_range rows, uint32_t *out_slots)
{
    const leat_column *column = &rows.batch->columns[rows.columns[0]];
    const uint16_t *selection = rows.batch->selection ? rows.batch->selection + rows.begin : NULL;
    const int64_t *values = column->i64 + rows.begin;
    const uint8_t *nulls = column->nulls ? column->nulls + rows.begin : NULL;
    int64_t selected_values[ROWS_AT_ONCE];
    uint8_t selected_nulls[ROWS_AT_ONCE];
    for (uint32_t i = 0; selection && i < rows.count; i++) {
        selected_values[i] = column->i64[selection[i]];
        selected_nulls[i] = leat_column_is_null(column, selection[i]);
    }
    if (selection) {
        values = selected_values;
        nulls = selected_nulls;
    }
    if (nulls && memchr(nulls, 1, rows.count))
        return integer_probe_nulls(keys, values, nulls, rows.count, out_slots);
    return integer_probe_rows(keys, values, rows.count, out_slots);
}

static void integer_remove(leat_keys *keys, const integer_record *record, uint32_t slot)
{
    if (record->size == 1) {
        keys->null_slot_plus = 0;
        return;
    }
    leat_reader reader;
    leat_reader_init(&reader, record->bytes + 1, 8);
    int64_t key = (int64_t)leat_read_u64(&reader);
    integer_entry *table = keys->table;
    uint32_t mask = keys->mask, hole = integer_place(key) & mask;
    while (table[hole].slot_plus != slot + 1)
        hole = (hole + 1) & mask;
    for (uint32_t next = (hole + 1) & mask; table[next].slot_plus; next = (next + 1) & mask) {
        uint32_t home = integer_place(table[next].key) & mask;
        if (((next - home) & mask) < ((next - hole) & mask))
            continue; // would come to lie before its home
        table[hole] = table[next];
        hole = next;
    }
    table[hole] = (integer_entry){0};
    keys->table_used--;
}

// ---- byte shape

static uint32_t byte_insert(leat_keys *keys, uint64_t hash, leat_slice key)
{
    uint32_t slot = table_room(keys) ? leat_keys_next_slot(keys) : LEAT_SLOT_NONE;
    if (slot == LEAT_SLOT_NONE || !leat_keys_record_fill(keys, leat_keys_byte(keys, slot), hash, key))
        return LEAT_SLOT_NONE;
    byte_put(keys->table, keys->mask, (byte_entry){.tag = (uint32_t)(hash >> 32), .slot_plus = slot + 1});
    keys->table_used++;
    leat_keys_commit_slot(keys, slot);
    return slot;
}

static inline uint64_t load_u64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

// Short keys are the rule, and a call of memcmp costs more than comparing one: up to 32 bytes by four words that overlap.
static inline bool bytes_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size < 8 || size > 32)
        return memcmp(a, b, size) == 0;
    size_t last = size - 8, second = last < 8 ? last : 8, third = last < 8 ? 0 : last - 8;
    uint64_t differing = (load_u64(a) ^ load_u64(b)) | (load_u64(a + second) ^ load_u64(b + second));
    differing |= (load_u64(a + third) ^ load_u64(b + third)) | (load_u64(a + last) ^ load_u64(b + last));
    return differing == 0;
}

static inline bool record_is(const byte_record *record, uint64_t hash, leat_slice key)
{
    return record->hash == hash && record->size == key.size &&
           bytes_equal(leat_keys_record_bytes(record), (const uint8_t *)key.data, key.size);
}

static uint32_t byte_probe(const leat_keys *keys, uint64_t hash, leat_slice key)
{
    const byte_entry *table = keys->table;
    uint32_t mask = keys->mask, tag = (uint32_t)(hash >> 32);
    for (uint32_t place = tag & mask; table[place].slot_plus; place = (place + 1) & mask)
        if (table[place].tag == tag && record_is(leat_keys_byte(keys, table[place].slot_plus - 1), hash, key))
            return table[place].slot_plus - 1;
    return LEAT_SLOT_NONE;
}

static uint32_t byte_get(leat_keys *keys, uint64_t hash, leat_slice key)
{
    uint32_t slot = byte_probe(keys, hash, key);
    return slot != LEAT_SLOT_NONE ? slot : byte_insert(keys, hash, key);
}

static const uint32_t TOO_LONG = UINT32_MAX; // in sizes

typedef struct encoded_rows {
    uint64_t hashes[ROWS_AT_ONCE];
    uint32_t offsets[ROWS_AT_ONCE]; // into keys->scratch
    uint32_t sizes[ROWS_AT_ONCE];
} encoded_rows;

static bool scratch_room(leat_keys *keys, size_t used)
{
    if (keys->scratch_size - used >= LEAT_KEY_ENCODE_ROOM)
        return true;
    size_t size = 2 * keys->scratch_size + LEAT_KEY_ENCODE_ROOM;
    uint8_t *scratch = leat_keys_grow(keys, keys->scratch, keys->scratch_size, size);
    if (!scratch)
        return false;
    keys->scratch = scratch;
    keys->scratch_size = size;
    return true;
}

static bool encode_rows(leat_keys *keys, row_range rows, encoded_rows *out)
{
    const leat_batch *batch = rows.batch;
    uint32_t used = 0;
    for (uint32_t i = 0; i < rows.count; i++) {
        if (!scratch_room(keys, used))
            return false;
        uint32_t row = leat_batch_row(batch, rows.begin + i);
        uint8_t *bytes = keys->scratch + used;
        size_t size = keys->shape == SHAPE_TEXT
                          ? leat_key_encode_text(&batch->columns[rows.columns[0]], row, bytes)
                          : leat_key_encode_row(batch, rows.columns, keys->type_count, row, bytes);
        out->offsets[i] = used;
        out->sizes[i] = size == LEAT_KEY_TOO_LONG ? TOO_LONG : (uint32_t)size;
        out->hashes[i] = 0;
        if (size == LEAT_KEY_TOO_LONG)
            continue;
        out->hashes[i] = leat_hash(bytes, size);
        used += (uint32_t)size;
    }
    return true;
}

// For each row the first slot (plus 1) whose tag is that of the row's hash: nearly always the right one. Looks only at the table,
// in rounds as for integers, and has the records fetched for the comparison that follows.
static void byte_candidates(const leat_keys *keys, const uint64_t *hashes, uint32_t count, uint32_t *out_slots_plus)
{
    const byte_entry *table = keys->table;
    uint32_t mask = keys->mask, left = count;
    uint16_t rows[ROWS_AT_ONCE];
    bool prefetch = table_size(keys) + (size_t)keys->slot_end * sizeof(byte_record) > L2_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = (uint16_t)i;
        if (prefetch)
            __builtin_prefetch(&table[(hashes[i] >> 32) & mask]);
    }
    for (uint32_t round = 0; left; round++) {
        uint32_t before = left;
        left = 0;
        for (uint32_t i = 0; i < before; i++) {
            uint16_t row = rows[i];
            uint32_t tag = (uint32_t)(hashes[row] >> 32);
            const byte_entry *entry = &table[(tag + round) & mask];
            out_slots_plus[row] = entry->slot_plus;
            rows[left] = row;
            left += (entry->tag != tag) & (entry->slot_plus != 0);
        }
    }
    for (uint32_t i = 0; prefetch && i < count; i++)
        if (out_slots_plus[i])
            __builtin_prefetch(leat_keys_byte(keys, out_slots_plus[i] - 1));
}

static bool byte_resolve(leat_keys *keys, row_range rows, uint32_t *out_slots)
{
    encoded_rows encoded;
    uint32_t candidates[ROWS_AT_ONCE];
    if (!encode_rows(keys, rows, &encoded))
        return false;
    byte_candidates(keys, encoded.hashes, rows.count, candidates);
    for (uint32_t i = 0; i < rows.count; i++) {
        leat_slice key = leat_slice_of((const char *)keys->scratch + encoded.offsets[i], encoded.sizes[i]);
        if (candidates[i] && record_is(leat_keys_byte(keys, candidates[i] - 1), encoded.hashes[i], key)) {
            out_slots[i] = candidates[i] - 1;
            continue;
        }
        if (encoded.sizes[i] == TOO_LONG) {
            out_slots[i] = LEAT_SLOT_NONE;
            keys->refused++;
            continue;
        }
        out_slots[i] = byte_get(keys, encoded.hashes[i], key);
        if (out_slots[i] == LEAT_SLOT_NONE)
            return false;
    }
    return true;
}

static void byte_remove(leat_keys *keys, const byte_record *record, uint32_t slot)
{
    byte_entry *table = keys->table;
    uint32_t mask = keys->mask, hole = (uint32_t)(record->hash >> 32) & mask;
    while (table[hole].slot_plus != slot + 1)
        hole = (hole + 1) & mask;
    for (uint32_t next = (hole + 1) & mask; table[next].slot_plus; next = (next + 1) & mask) {
        uint32_t home = table[next].tag & mask;
        if (((next - home) & mask) < ((next - hole) & mask))
            continue; // would come to lie before its home
        table[hole] = table[next];
        hole = next;
    }
    table[hole] = (byte_entry){0};
    keys->table_used--;
    if (record->size > INLINE_BYTES) {
        uint8_t *bytes;
        memcpy(&bytes, record->inlined, sizeof bytes);
        leat_keys_give_bytes(keys, bytes, record->size);
    }
}

// ---- the dictionary

static key_shape shape_of(const leat_type *types, uint32_t type_count)
{
    if (type_count != 1)
        return SHAPE_COMPOSITE;
    leat_physical physical = leat_type_physical(types[0]);
    if (physical == LEAT_PHYSICAL_I64)
        return SHAPE_INTEGER;
    return physical == LEAT_PHYSICAL_TEXT ? SHAPE_TEXT : SHAPE_COMPOSITE;
}

static bool build(leat_keys *keys, const leat_type *types)
{
    keys->mask = TABLE_MIN - 1;
    keys->types = leat_keys_alloc(keys, keys->type_count * sizeof *types);
    keys->table = leat_keys_alloc(keys, table_size(keys));
    if (!keys->types || !keys->table)
        return false;
    memcpy(keys->types, types, keys->type_count * sizeof *types);
    return true;
}

leat_code leat_keys_create(leat_env *env, struct leat_budget *budget, const leat_type *types, uint32_t type_count,
                           leat_keys **out_keys, leat_error *out_error)
{
    leat_keys *keys = leat_budget_alloc(budget, sizeof *keys);
    if (!keys)
        return leat_error_set(out_error, budget->limit ? LEAT_E_LIMIT : LEAT_E_MEMORY,
                              "the memory budget of %zu bytes does not hold a key dictionary", budget->limit);
    *keys = (leat_keys){.env = env,
                        .budget = budget,
                        .shape = shape_of(types, type_count),
                        .type_count = type_count,
                        .memory = sizeof *keys};
    leat_arena_init(&keys->nested, env, 0);
    if (!build(keys, types)) {
        leat_code code = out_of_budget(keys, out_error);
        leat_keys_destroy(keys);
        return code;
    }
    *out_keys = keys;
    return LEAT_OK;
}

void leat_keys_destroy(leat_keys *keys)
{
    if (!keys)
        return;
    for (uint32_t i = 0; i < keys->page_count; i++)
        leat_keys_free(keys, keys->pages[i], PAGE_SLOTS * leat_keys_record_size(keys));
    for (key_block *block = keys->blocks, *next; block; block = next) {
        next = block->next;
        leat_keys_free(keys, block, BLOCK_BYTES);
    }
    leat_keys_free(keys, keys->free_keys, CLASS_COUNT * sizeof *keys->free_keys);
    leat_keys_free(keys, keys->pages, keys->page_room * sizeof *keys->pages);
    leat_keys_free(keys, keys->free_bits, keys->free_words * sizeof(uint64_t));
    leat_keys_free(keys, keys->free_summary, keys->summary_words * sizeof(uint64_t));
    leat_keys_free(keys, keys->table, table_size(keys));
    leat_keys_free(keys, keys->types, keys->type_count * sizeof *keys->types);
    leat_keys_free(keys, keys->scratch, keys->scratch_size);
    leat_keys_ids_fini(keys);
    leat_arena_fini(&keys->nested);
    leat_budget_free(keys->budget, keys, sizeof *keys);
}

static bool resolve_range(leat_keys *keys, row_range rows, uint32_t *out_slots)
{
    return keys->shape == SHAPE_INTEGER ? integer_resolve(keys, rows, out_slots) : byte_resolve(keys, rows, out_slots);
}

// Rows whose number is not known yet are looked up by their value, one by one: in the long run there are none.
static leat_code resolve_unknown(leat_keys *keys, const leat_batch *batch, const uint32_t *columns, uint32_t *slots,
                                 leat_error *out_error)
{
    for (uint32_t i = 0; i < batch->selected; i++) {
        row_range row = {.batch = batch, .columns = columns, .begin = i, .count = 1};
        if (slots[i] != LEAT_SLOT_NONE)
            continue;
        if (!resolve_range(keys, row, &slots[i]))
            return out_of_budget(keys, out_error);
        leat_keys_learn_id(keys, batch->ids.ids[leat_batch_row(batch, i)], slots[i]);
    }
    return LEAT_OK;
}

static leat_code resolve_values(leat_keys *keys, const leat_batch *batch, const uint32_t *columns, uint32_t *out_slots,
                                leat_error *out_error)
{
    for (uint32_t begin = 0; begin < batch->selected; begin += ROWS_AT_ONCE) {
        uint32_t left = batch->selected - begin;
        row_range rows = {
            .batch = batch, .columns = columns, .begin = begin, .count = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE};
        if (!resolve_range(keys, rows, out_slots + begin))
            return out_of_budget(keys, out_error);
    }
    return LEAT_OK;
}

leat_code leat_keys_resolve(leat_keys *keys, const leat_batch *batch, const uint32_t *columns, uint32_t *out_slots,
                            leat_error *out_error)
{
    uint32_t unknown;
    keys->refused = 0;
    if (!batch->ids.ids || keys->type_count != 1 || !leat_keys_by_id(keys, batch, columns[0], out_slots, &unknown))
        return resolve_values(keys, batch, columns, out_slots, out_error);
    if (unknown < batch->selected / UNKNOWN_PART)
        return unknown ? resolve_unknown(keys, batch, columns, out_slots, out_error) : LEAT_OK;
    // Many new ones at once are found as if there were no numbers, as their misses then overlap.
    leat_code code = resolve_values(keys, batch, columns, out_slots, out_error);
    for (uint32_t i = 0; code == LEAT_OK && i < batch->selected; i++)
        leat_keys_learn_id(keys, batch->ids.ids[leat_batch_row(batch, i)], out_slots[i]);
    return code;
}

uint32_t leat_keys_refused(const leat_keys *keys) { return keys->refused; }

static bool decode(const leat_keys *keys, leat_slice key_bytes, leat_value *out_values)
{
    leat_arena *arena = (leat_arena *)&keys->nested; // not part of what the dictionary says
    leat_arena_reset(arena);
    leat_reader reader;
    leat_reader_init(&reader, key_bytes.data, key_bytes.size);
    leat_value dropped;
    for (uint32_t i = 0; i < keys->type_count; i++)
        if (!leat_value_decode(keys->types[i], &reader, arena, out_values ? &out_values[i] : &dropped))
            return false;
    return leat_reader_left(&reader) == 0;
}

static bool integer_decode(leat_slice key_bytes, bool *out_null, int64_t *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, key_bytes.data, key_bytes.size);
    *out_null = leat_read_u8(&reader) == 1;
    *out_key = *out_null ? 0 : (int64_t)leat_read_u64(&reader);
    return !reader.failed && leat_reader_left(&reader) == 0 && (*out_null || key_bytes.data[0] == 0);
}

uint32_t leat_keys_find(const leat_keys *keys, leat_slice key_bytes)
{
    bool is_null;
    int64_t key;
    if (key_bytes.size == 0)
        key_bytes.data = ""; // memcmp takes no NULL
    if (keys->shape != SHAPE_INTEGER)
        return byte_probe(keys, leat_hash(key_bytes.data, key_bytes.size), key_bytes);
    if (!integer_decode(key_bytes, &is_null, &key))
        return LEAT_SLOT_NONE;
    if (is_null)
        return keys->null_slot_plus - 1; // LEAT_SLOT_NONE while there is none
    return integer_probe(keys, key, integer_place(key));
}

static uint32_t insert(leat_keys *keys, leat_slice key_bytes)
{
    bool is_null;
    int64_t key;
    if (keys->shape != SHAPE_INTEGER)
        return byte_insert(keys, leat_hash(key_bytes.data, key_bytes.size), key_bytes);
    LEAT_ASSERT(integer_decode(key_bytes, &is_null, &key));
    return is_null ? integer_null(keys) : integer_insert(keys, key);
}

leat_code leat_keys_slot(leat_keys *keys, leat_slice key_bytes, uint32_t *out_slot, leat_error *out_error)
{
    if (key_bytes.size > LEAT_KEY_BYTES_MAX)
        return leat_error_set(out_error, LEAT_E_LIMIT, "a stored key of %zu bytes is longer than %d", key_bytes.size,
                              LEAT_KEY_BYTES_MAX);
    uint32_t slot = leat_keys_find(keys, key_bytes);
    if (slot == LEAT_SLOT_NONE) {
        if (!decode(keys, key_bytes, NULL))
            return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored key of %zu bytes does not fit the key's columns",
                                  key_bytes.size);
        slot = insert(keys, key_bytes);
    }
    if (slot == LEAT_SLOT_NONE)
        return out_of_budget(keys, out_error);
    *out_slot = slot;
    return LEAT_OK;
}

leat_slice leat_keys_bytes(const leat_keys *keys, uint32_t slot)
{
    LEAT_ASSERT(leat_keys_live(keys, slot));
    if (keys->shape == SHAPE_INTEGER) {
        const integer_record *record = leat_keys_integer(keys, slot);
        return leat_slice_of((const char *)record->bytes, record->size);
    }
    const byte_record *record = leat_keys_byte(keys, slot);
    return leat_slice_of((const char *)leat_keys_record_bytes(record), record->size);
}

uint64_t leat_keys_hash(const leat_keys *keys, uint32_t slot)
{
    LEAT_ASSERT(leat_keys_live(keys, slot));
    if (keys->shape == SHAPE_INTEGER) {
        const integer_record *record = leat_keys_integer(keys, slot);
        return leat_hash(record->bytes, record->size);
    }
    return leat_keys_byte(keys, slot)->hash;
}

uint32_t leat_keys_group(const leat_keys *keys, uint32_t slot)
{
    LEAT_ASSERT(leat_keys_live(keys, slot));
    return keys->shape == SHAPE_INTEGER ? leat_keys_integer(keys, slot)->group
                                        : leat_key_group(leat_keys_byte(keys, slot)->hash);
}

uint32_t leat_keys_count(const leat_keys *keys) { return keys->count; }
uint32_t leat_keys_capacity(const leat_keys *keys) { return keys->page_count * PAGE_SLOTS; }

bool leat_keys_live(const leat_keys *keys, uint32_t slot)
{
    return slot < keys->slot_end && !(keys->free_bits[slot / 64] >> slot % 64 & 1);
}

void leat_keys_release(leat_keys *keys, uint32_t slot)
{
    LEAT_ASSERT(leat_keys_live(keys, slot));
    if (keys->shape == SHAPE_INTEGER)
        integer_remove(keys, leat_keys_integer(keys, slot), slot);
    else
        byte_remove(keys, leat_keys_byte(keys, slot), slot);
    leat_keys_forget_id(keys, slot);
    leat_keys_mark_free(keys, slot);
    keys->count--;
}

void leat_keys_values(const leat_keys *keys, uint32_t slot, leat_value *out_values)
{
    bool decoded = decode(keys, leat_keys_bytes(keys, slot), out_values);
    LEAT_ASSERT(decoded);
}

size_t leat_keys_memory(const leat_keys *keys) { return keys->memory; }
