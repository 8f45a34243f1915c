#include "operators/match_rows.h"

#include <string.h>

enum { VALUE_VERSION = 1, ALIGNMENT = 16, AHEAD = 16 };

bool leat_match_rows_fit(const leat_schema *kept)
{
    for (uint32_t i = 0; i < kept->count; i++)
        if (leat_type_physical(kept->fields[i].type) == LEAT_PHYSICAL_NESTED)
            return false;
    return true;
}

void leat_match_rows_init(match_rows *rows, leat_budget *budget, leat_env *env, leat_arena *arena,
                          const leat_keys *keys, const leat_schema *kept)
{
    *rows = (match_rows){
        .budget = budget, .keys = keys, .kept = kept, .front_ms = LEAT_TIME_MAX, .back_ms = LEAT_TIME_NONE};
    rows->columns = leat_arena_array(arena, leat_column, kept->count + 1);
    rows->at = leat_arena_array(arena, uint32_t, LEAT_BATCH_ROWS);
    rows->slots = leat_arena_array(arena, uint32_t, LEAT_BATCH_ROWS);
    rows->sequences = leat_arena_array(arena, uint64_t, LEAT_BATCH_ROWS);
    leat_removals_init(&rows->removals, env);
    leat_writer_init(&rows->scratch, env, SIZE_MAX / 2);
}

static void free_blocks(match_rows *rows, match_block *block)
{
    for (match_block *next; block; block = next) {
        next = block->next;
        leat_budget_free(rows->budget, block, block->size);
    }
}

void leat_match_rows_fini(match_rows *rows)
{
    if (!rows->budget)
        return;
    free_blocks(rows, rows->head);
    free_blocks(rows, rows->taken);
    free_blocks(rows, rows->spare);
    leat_removals_fini(&rows->removals);
    leat_writer_fini(&rows->scratch);
    *rows = (match_rows){0};
}

void leat_match_rows_begin(match_rows *rows, const leat_batch *batch, const uint32_t *kept, const int64_t *times,
                           const uint64_t *masks)
{
    for (uint32_t i = 0; i < rows->kept->count; i++)
        rows->columns[i] = batch->columns[kept[i]];
    rows->times = times;
    rows->masks = masks;
    rows->causes = batch->cause;
    rows->first = rows->count = 0;
}

// For a number of rows that the compiler knows.
static void number_all(uint32_t *restrict at, uint64_t *restrict sequences, uint64_t sequence)
{
    for (uint32_t i = 0; i < LEAT_BATCH_ROWS; i++)
        at[i] = i;
    for (uint64_t i = 0; i < LEAT_BATCH_ROWS; i++)
        sequences[i] = sequence + i;
}

void leat_match_rows_push_all(match_rows *rows, const leat_batch *batch, const uint32_t *slots, uint64_t sequence)
{
    uint32_t count = batch->selected;
    number_all(rows->at, rows->sequences, sequence);
    for (uint32_t i = 0; batch->selection && i < count; i++)
        rows->at[i] = batch->selection[i];
    memcpy(rows->slots, slots, count * sizeof *slots);
    rows->count = count;
    rows->back_ms = rows->times[rows->at[count - 1]];
    if (!rows->waiting)
        rows->front_ms = rows->times[rows->at[0]];
    rows->waiting += count;
}

// ---- taking

static int64_t front_of(const match_rows *rows)
{
    if (rows->head)
        return rows->head->times[rows->head->first];
    return rows->first < rows->count ? rows->times[rows->at[rows->first]] : LEAT_TIME_MAX;
}

uint64_t leat_match_rows_front_sequence(const match_rows *rows)
{
    return rows->head ? rows->head->sequences[rows->head->first] : rows->sequences[rows->first];
}

static void end_block(match_rows *rows)
{
    match_block *block = rows->head;
    rows->head = block->next;
    if (!rows->head)
        rows->tail = NULL;
    block->next = rows->taken;
    rows->taken = block;
}

static void take_from_block(match_rows *rows, match_row *out_row)
{
    match_block *block = rows->head;
    uint32_t i = block->first++;
    *out_row = (match_row){.time_ms = block->times[i],
                           .sequence = block->sequences[i],
                           .cause = block->causes[i],
                           .mask = block->masks[i],
                           .slot = block->slots[i],
                           .at = i,
                           .columns = block->columns};
    if (block->first == block->count)
        end_block(rows);
}

static void take_from_batch(match_rows *rows, match_row *out_row)
{
    uint32_t i = rows->first++, at = rows->at[i];
    *out_row = (match_row){.time_ms = rows->times[at],
                           .sequence = rows->sequences[i],
                           .cause = rows->causes ? rows->causes[at] : 0,
                           .mask = rows->masks[at],
                           .slot = rows->slots[i],
                           .at = at,
                           .columns = rows->columns};
}

bool leat_match_rows_only_one(const match_rows *rows, int64_t until_ms)
{
    const match_block *block = rows->head;
    uint32_t i = block ? block->first + 1 : rows->first + 1;
    if (block && i < block->count)
        return block->times[i] > until_ms;
    if (block && block->next)
        return block->next->times[block->next->first] > until_ms;
    i = block ? rows->first : i;
    return i >= rows->count || rows->times[rows->at[i]] > until_ms;
}

static leat_slice stored_key(match_rows *rows, uint32_t slot, uint64_t sequence)
{
    leat_slice key = leat_keys_bytes(rows->keys, slot);
    leat_writer_reset(&rows->scratch);
    leat_write_u64be(&rows->scratch, sequence);
    leat_write_bytes(&rows->scratch, key.data, key.size);
    return leat_writer_slice(&rows->scratch);
}

// Of many keys the marks are beyond the cache.
static uint32_t pass_block(const match_rows *rows, const match_block *block, int64_t until_ms, uint64_t conditions,
                           const uint32_t *marks)
{
    uint32_t i = block->first;
    for (; i < block->count; i++) {
        if (i + AHEAD < block->count)
            __builtin_prefetch(&marks[block->slots[i + AHEAD]]);
        if (block->times[i] > until_ms || block->masks[i] & conditions || marks[block->slots[i]] ||
            block->sequences[i] < rows->stored_below)
            break;
    }
    return i - block->first;
}

void leat_match_rows_pass_blocks(match_rows *rows, int64_t until_ms, uint64_t conditions, const uint32_t *marks)
{
    while (rows->head) {
        match_block *block = rows->head;
        uint32_t passed = pass_block(rows, block, until_ms, conditions, marks);
        block->first += passed;
        rows->waiting -= passed;
        if (block->first < block->count)
            break;
        end_block(rows);
    }
    rows->front_ms = front_of(rows);
    if (!rows->waiting)
        rows->back_ms = LEAT_TIME_NONE;
}

void leat_match_rows_take(match_rows *rows, match_row *out_row)
{
    if (rows->head)
        take_from_block(rows, out_row);
    else
        take_from_batch(rows, out_row);
    rows->waiting--;
    rows->front_ms = front_of(rows);
    if (!rows->waiting)
        rows->back_ms = LEAT_TIME_NONE;
    if (out_row->sequence < rows->stored_below)
        (void)leat_removals_add(&rows->removals, leat_keys_group(rows->keys, out_row->slot),
                                stored_key(rows, out_row->slot, out_row->sequence));
}

void leat_match_rows_give_back(match_rows *rows)
{
    for (match_block *block = rows->taken, *next; block; block = next) {
        next = block->next;
        match_block *least = block;
        if (!rows->spare || rows->spare->size < block->size) { // the larger one is kept
            least = rows->spare;
            rows->spare = block;
            block->next = NULL;
        }
        if (least)
            leat_budget_free(rows->budget, least, least->size);
    }
    rows->taken = NULL;
}

// ---- the end of a batch

static size_t aligned(size_t size) { return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

static size_t width_of(leat_type type) { return leat_physical_size(leat_type_physical(type)); }
static bool is_text(leat_type type) { return leat_type_physical(type) == LEAT_PHYSICAL_TEXT; }

static size_t text_size(const match_rows *rows, const leat_column *column)
{
    size_t size = 0;
    for (uint32_t i = rows->first; i < rows->count; i++)
        if (!leat_column_is_null(column, rows->at[i]))
            size += column->text[rows->at[i]].size;
    return size;
}

static size_t column_size(const match_rows *rows, const leat_column *column, uint32_t count)
{
    size_t size = aligned(count * width_of(column->type)) + (column->nulls ? aligned(count) : 0);
    return size + (is_text(column->type) ? aligned(text_size(rows, column)) : 0);
}

static size_t block_size(const match_rows *rows, uint32_t count)
{
    size_t size = aligned(sizeof(match_block)) + 4 * aligned(count * sizeof(uint64_t)) +
                  aligned(count * sizeof(uint32_t)) + aligned((rows->kept->count + 1) * sizeof(leat_column));
    for (uint32_t i = 0; i < rows->kept->count; i++)
        size += column_size(rows, &rows->columns[i], count);
    return size;
}

static void *cut(char **inout_at, size_t size)
{
    char *at = *inout_at;
    *inout_at += aligned(size);
    return at;
}

static void copy_texts(const match_rows *rows, const leat_column *from, leat_column *to, char *bytes)
{
    for (uint32_t i = rows->first; i < rows->count; i++) {
        leat_slice text = leat_column_is_null(from, rows->at[i]) ? (leat_slice){0} : from->text[rows->at[i]];
        if (text.size)
            memcpy(bytes, text.data, text.size);
        to->text[i - rows->first] = leat_slice_of(bytes, text.size);
        bytes += text.size;
    }
}

#define COPY(member)                                                                                                   \
    for (uint32_t i = rows->first; i < rows->count; i++)                                                               \
    to->member[i - rows->first] = from->member[rows->at[i]]

static void copy_values(const match_rows *rows, const leat_column *from, leat_column *to)
{
    switch (leat_type_physical(from->type)) {
    case LEAT_PHYSICAL_BOOL:
        COPY(boolean);
        break;
    case LEAT_PHYSICAL_I128:
        COPY(i128);
        break;
    default:
        COPY(i64);
    }
    if (from->nulls)
        COPY(nulls);
}

static void copy_column(const match_rows *rows, const leat_column *from, leat_column *to, char **inout_at)
{
    uint32_t count = rows->count - rows->first;
    *to = (leat_column){.type = from->type};
    to->values = cut(inout_at, count * width_of(from->type));
    to->nulls = from->nulls ? cut(inout_at, count) : NULL;
    if (!is_text(from->type)) {
        copy_values(rows, from, to);
        return;
    }
    copy_texts(rows, from, to, cut(inout_at, text_size(rows, from)));
    if (from->nulls)
        COPY(nulls);
}

static match_block *block_make(match_rows *rows, size_t size)
{
    match_block *block = rows->spare;
    if (block && block->size >= size) {
        rows->spare = NULL;
        return block;
    }
    block = leat_budget_alloc(rows->budget, size);
    if (block)
        block->size = size;
    return block;
}

static void fill_block(match_rows *rows, match_block *block)
{
    uint32_t count = rows->count - rows->first;
    char *at = (char *)block + aligned(sizeof *block);
    *block = (match_block){.size = block->size, .count = count};
    block->times = cut(&at, count * sizeof *block->times);
    block->sequences = cut(&at, count * sizeof *block->sequences);
    block->causes = cut(&at, count * sizeof *block->causes);
    block->masks = cut(&at, count * sizeof *block->masks);
    block->slots = cut(&at, count * sizeof *block->slots);
    block->columns = cut(&at, (rows->kept->count + 1) * sizeof *block->columns);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows->at[rows->first + i];
        block->times[i] = rows->times[row];
        block->causes[i] = rows->causes ? rows->causes[row] : 0;
        block->masks[i] = rows->masks[row];
    }
    memcpy(block->sequences, rows->sequences + rows->first, count * sizeof *block->sequences);
    memcpy(block->slots, rows->slots + rows->first, count * sizeof *block->slots);
    for (uint32_t i = 0; i < rows->kept->count; i++)
        copy_column(rows, &rows->columns[i], &block->columns[i], &at);
}

bool leat_match_rows_end(match_rows *rows)
{
    uint32_t count = rows->count - rows->first;
    leat_match_rows_release_taken(rows);
    if (!count)
        return true;
    match_block *block = block_make(rows, block_size(rows, count));
    if (!block)
        return false;
    fill_block(rows, block);
    *(rows->tail ? &rows->tail->next : &rows->head) = block;
    rows->tail = block;
    rows->first = rows->count = 0;
    return true;
}

// ---- state

// As held.h stores a row: its bytes are the mask and the kept columns.
static void put_row(match_rows *rows, leat_snapshot *snapshot, uint8_t table, uint32_t group, const match_block *block,
                    uint32_t i)
{
    leat_writer *writer = &rows->scratch;
    size_t key_size = stored_key(rows, block->slots[i], block->sequences[i]).size;
    leat_write_u8(writer, VALUE_VERSION);
    leat_write_varint(writer, 0);
    leat_write_varint_signed(writer, block->times[i]);
    leat_write_u8(writer, LEAT_INSERT);
    leat_write_u64(writer, block->causes[i]);
    leat_write_u64(writer, block->masks[i]);
    for (uint32_t c = 0; c < rows->kept->count; c++) {
        leat_value value = leat_column_value(&block->columns[c], i);
        leat_value_encode(rows->kept->fields[c].type, &value, writer);
    }
    LEAT_ASSERT(!writer->failed);
    const char *bytes = (const char *)writer->bytes;
    snapshot->put(snapshot, table, group, leat_slice_of(bytes, key_size),
                  leat_slice_of(bytes + key_size, writer->size - key_size));
}

void leat_match_rows_snapshot(match_rows *rows, leat_snapshot *snapshot, uint8_t table, uint64_t next_sequence)
{
    leat_removals_emit(&rows->removals, snapshot, table);
    for (const match_block *block = rows->head; block; block = block->next)
        for (uint32_t i = block->first; i < block->count; i++) {
            uint32_t group = leat_keys_group(rows->keys, block->slots[i]);
            if (snapshot->whole[group] || block->sequences[i] >= rows->stored_below)
                put_row(rows, snapshot, table, group, block, i);
        }
    if (!snapshot->keep_marks)
        rows->stored_below = next_sequence;
}

void leat_match_rows_mark(const match_rows *rows, uint64_t *slots)
{
    for (const match_block *block = rows->head; block; block = block->next)
        for (uint32_t i = block->first; i < block->count; i++)
            slots[block->slots[i] / 64] |= 1ull << block->slots[i] % 64;
}
