#include "operators/state/row_queue.h"

#include <string.h>

#include "operators/core/row_encode.h"

enum { VERSION = 2, ROOM_MIN = 16, TEXT_BYTES = 16384, ALIGNED = 16 };
enum { LIVE = 1, STORED = 2 };

struct leat_row_text {
    size_t size, used;
    uint32_t rows;
    char bytes[];
};

// ---- life

static leat_physical physical_of(const leat_row_queue *queue, uint32_t column)
{
    return leat_type_physical(queue->schema->fields[column].type);
}

static bool is_variable(leat_physical physical) { return physical >= LEAT_PHYSICAL_TEXT; }

static size_t cell_size(leat_physical physical)
{
    return is_variable(physical) ? sizeof(leat_slice) : leat_physical_size(physical);
}

bool leat_row_queue_init(leat_row_queue *queue, leat_operator_context *context, const leat_keys *keys)
{
    *queue =
        (leat_row_queue){.budget = context->budget, .env = context->env, .keys = keys, .schema = context->inputs[0]};
    leat_removals_init(&queue->removals, context->env);
    leat_writer_init(&queue->scratch, context->env, SIZE_MAX / 2);
    leat_arena_init(&queue->values, context->env, 0);
    queue->columns = leat_arena_array(context->arena, leat_column, queue->schema->count + 1);
    queue->has_nulls = leat_arena_array(context->arena, bool, queue->schema->count + 1);
    queue->arena = context->arena;
    for (uint32_t i = 0; i < queue->schema->count; i++)
        queue->columns[i].type = queue->schema->fields[i].type;
    queue->ring = leat_budget_alloc(queue->budget, ROOM_MIN * sizeof *queue->ring);
    queue->ring_room = queue->ring ? ROOM_MIN : 0;
    return queue->ring != NULL;
}

static bool has_texts(const leat_row_queue *queue)
{
    for (uint32_t i = 0; i < queue->schema->count; i++)
        if (is_variable(physical_of(queue, i)))
            return true;
    return false;
}

static void free_text(leat_row_queue *queue, leat_row_text *text)
{
    if (!text)
        return;
    queue->text_memory -= sizeof *text + text->size;
    leat_budget_free(queue->budget, text, sizeof *text + text->size);
}

static void drop_text(leat_row_queue *queue, leat_row_text *text)
{
    if (!text || --text->rows)
        return;
    text->used = 0;
    if (text != queue->text)
        free_text(queue, text);
}

void leat_row_queue_fini(leat_row_queue *queue)
{
    if (!queue->budget)
        return;
    for (uint32_t row = 0; queue->texts && row < queue->room; row++)
        if (queue->state[row] & LIVE)
            drop_text(queue, queue->texts[row]);
    free_text(queue, queue->text);
    leat_budget_free(queue->budget, queue->memory, queue->memory_size);
    leat_budget_free(queue->budget, queue->ring, queue->ring_room * sizeof *queue->ring);
    leat_budget_free(queue->budget, queue->heap, queue->heap_room * sizeof *queue->heap);
    leat_removals_fini(&queue->removals);
    leat_writer_fini(&queue->scratch);
    leat_arena_fini(&queue->values);
    *queue = (leat_row_queue){0};
}

size_t leat_row_queue_memory(const leat_row_queue *queue)
{
    return queue->memory_size + queue->text_memory + queue->ring_room * sizeof *queue->ring +
           queue->heap_room * sizeof *queue->heap;
}

// ---- places

// Lays one array after the other; without memory it only counts.
typedef struct layout {
    char *memory;
    size_t size;
    uint32_t room, old_room;
} layout;

static void *place(layout *it, void *old, size_t item_size)
{
    char *at = it->memory ? it->memory + it->size : NULL;
    it->size += (item_size * it->room + ALIGNED - 1) & ~(size_t)(ALIGNED - 1);
    if (!at)
        return old;
    if (old)
        memcpy(at, old, item_size * it->old_room);
    return at;
}

static void lay_out(leat_row_queue *queue, layout *it)
{
    for (uint32_t i = 0; i < queue->schema->count; i++) {
        leat_column *column = &queue->columns[i];
        column->values = place(it, column->values, cell_size(physical_of(queue, i)));
        column->nulls = place(it, column->nulls, 1);
    }
    queue->time_ms = place(it, queue->time_ms, sizeof *queue->time_ms);
    queue->event_ms = place(it, queue->event_ms, sizeof *queue->event_ms);
    queue->cause = place(it, queue->cause, sizeof *queue->cause);
    queue->sequence = place(it, queue->sequence, sizeof *queue->sequence);
    queue->slot = place(it, queue->slot, sizeof *queue->slot);
    queue->free = place(it, queue->free, sizeof *queue->free);
    queue->state = place(it, queue->state, 1);
    if (has_texts(queue))
        queue->texts = place(it, queue->texts, sizeof *queue->texts);
}

static bool grow(leat_row_queue *queue, uint32_t needed)
{
    uint32_t room = queue->room ? queue->room : ROOM_MIN;
    while (room - queue->count < needed && room < LEAT_ROW_OF_BATCH)
        room *= 2;
    layout it = {.room = room, .old_room = queue->room};
    lay_out(queue, &it);
    size_t size = it.size;
    it.memory = room < LEAT_ROW_OF_BATCH ? leat_budget_alloc(queue->budget, size) : NULL;
    if (!it.memory)
        return false;
    it.size = 0;
    lay_out(queue, &it);
    leat_budget_free(queue->budget, queue->memory, queue->memory_size);
    queue->memory = it.memory;
    queue->memory_size = size;
    uint32_t free_count = queue->room - queue->count;
    memmove(queue->free + (room - queue->room), queue->free, free_count * sizeof *queue->free);
    for (uint32_t i = 0; i < room - queue->room; i++) // the lowest are taken first
        queue->free[i] = room - 1 - i;
    queue->room = room;
    return true;
}

static bool places(leat_row_queue *queue, uint32_t needed)
{
    return queue->room - queue->count >= needed || grow(queue, needed);
}

static uint32_t take_place(leat_row_queue *queue)
{
    uint32_t row = queue->free[queue->room - ++queue->count];
    queue->state[row] = LIVE;
    queue->unstored++;
    return row;
}

// ---- texts

static char *text_room(leat_row_queue *queue, size_t size)
{
    leat_row_text *text = queue->text;
    if (!text || text->size - text->used < size) {
        size_t room = size > TEXT_BYTES ? size : TEXT_BYTES;
        leat_row_text *more = leat_budget_alloc(queue->budget, sizeof *more + room);
        if (!more)
            return NULL;
        if (text && !text->rows)
            free_text(queue, text);
        more->size = room;
        queue->text_memory += sizeof *more + room;
        queue->text = text = more;
    }
    char *at = text->bytes + text->used;
    text->used += size;
    text->rows++;
    return at;
}

// Values of one row: texts as they are, nested ones as bytes in scratch, which `slices` gets.
static size_t variable_bytes(leat_row_queue *queue, const leat_value *values, leat_slice *slices)
{
    size_t size = 0;
    leat_writer_reset(&queue->scratch);
    for (uint32_t i = 0; i < queue->schema->count; i++)
        if (physical_of(queue, i) == LEAT_PHYSICAL_NESTED)
            leat_value_encode(queue->schema->fields[i].type, &values[i], &queue->scratch);
    if (queue->scratch.failed)
        return 0; // the caller sees it
    leat_reader nested;
    leat_reader_init(&nested, queue->scratch.bytes, queue->scratch.size);
    for (uint32_t i = 0; i < queue->schema->count; i++) {
        leat_physical physical = physical_of(queue, i);
        slices[i] = physical == LEAT_PHYSICAL_TEXT && !values[i].is_null ? values[i].text : (leat_slice){0};
        if (physical == LEAT_PHYSICAL_NESTED) {
            const char *begin = (const char *)nested.cursor;
            leat_value unused;
            bool whole = leat_value_decode(queue->schema->fields[i].type, &nested, &queue->values, &unused);
            LEAT_ASSERT(whole);
            slices[i] = leat_slice_of(begin, (size_t)((const char *)nested.cursor - begin));
        }
        size += slices[i].size;
    }
    return size;
}

static bool set_variable(leat_row_queue *queue, uint32_t row, const leat_value *values)
{
    leat_arena_reset(&queue->values);
    leat_slice *slices = leat_arena_alloc(&queue->values, sizeof *slices * queue->schema->count);
    size_t size = variable_bytes(queue, values, slices);
    char *at = queue->scratch.failed ? NULL : text_room(queue, size);
    if (!at)
        return false;
    queue->texts[row] = queue->text;
    for (uint32_t i = 0; i < queue->schema->count; i++) {
        if (!is_variable(physical_of(queue, i)))
            continue;
        if (slices[i].size)
            memcpy(at, slices[i].data, slices[i].size);
        queue->columns[i].text[row] = leat_slice_of(at, slices[i].size);
        at += slices[i].size;
    }
    return true;
}

// ---- copying between columns

typedef struct copy {
    const uint32_t *to, *from; // NULL: consecutive
    uint32_t count, to_first, from_first;
} copy;

static inline uint32_t to_index(const copy *it, uint32_t i) { return it->to ? it->to[i] : it->to_first + i; }
static inline uint32_t from_index(const copy *it, uint32_t i) { return it->from[i] & ~LEAT_ROW_OF_BATCH; }

// Rows of a batch that come in order and are due at once are consecutive on both sides.
#define COPY_LOOP(type, member, value)                                                                                 \
    do {                                                                                                               \
        const type *source = member;                                                                                   \
        type *target = to;                                                                                             \
        if (!it->from && !it->to)                                                                                      \
            for (uint32_t i = 0; i < it->count; i++)                                                                   \
                target[it->to_first + i] = source[it->from_first + i] value;                                           \
        else                                                                                                           \
            for (uint32_t i = 0; i < it->count; i++)                                                                   \
                target[to_index(it, i)] = source[from_index(it, i)] value;                                             \
    } while (0)

// A value of -0 is told as 0 after a restart, so it is one from the beginning.
static void copy_fixed(const copy *it, leat_physical physical, void *to, const leat_column *from)
{
    switch (physical) {
    case LEAT_PHYSICAL_BOOL:
        COPY_LOOP(uint8_t, from->boolean, );
        break;
    case LEAT_PHYSICAL_I64:
        COPY_LOOP(int64_t, from->i64, );
        break;
    case LEAT_PHYSICAL_F64:
        COPY_LOOP(double, from->f64, +0.0);
        break;
    case LEAT_PHYSICAL_I128:
        COPY_LOOP(leat_i128, from->i128, );
        break;
    default:
        break;
    }
}

static void copy_nulls(const copy *it, uint8_t *to, const uint8_t *from) { COPY_LOOP(uint8_t, from, ); }
static void copy_times(const copy *it, int64_t *to, const int64_t *from) { COPY_LOOP(int64_t, from, ); }
static void copy_causes(const copy *it, uint64_t *to, const uint64_t *from) { COPY_LOOP(uint64_t, from, ); }

// ---- the batch at hand

void leat_row_queue_begin(leat_row_queue *queue, const leat_batch *batch)
{
    queue->batch = batch;
    queue->fresh = queue->tail;
    if (!queue->batch_slot)
        queue->batch_slot = leat_arena_array(queue->arena, uint32_t, LEAT_BATCH_ROWS);
}

static void store_columns(leat_row_queue *queue, const copy *it)
{
    const leat_batch *batch = queue->batch;
    for (uint32_t i = 0; i < queue->schema->count; i++) {
        const leat_column *from = &batch->columns[i];
        copy_fixed(it, physical_of(queue, i), queue->columns[i].values, from);
        queue->has_nulls[i] |= from->nulls && memchr(from->nulls, 1, batch->count);
        if (from->nulls && queue->has_nulls[i])
            copy_nulls(it, queue->columns[i].nulls, from->nulls);
        else if (queue->has_nulls[i])
            for (uint32_t n = 0; n < it->count; n++)
                queue->columns[i].nulls[it->to[n]] = 0;
    }
    if (batch->cause)
        copy_causes(it, queue->cause, batch->cause);
    for (uint32_t n = 0; n < it->count; n++) {
        uint32_t to = it->to[n], from = it->from[n] & ~LEAT_ROW_OF_BATCH;
        queue->event_ms[to] = batch->event_ms ? batch->event_ms[from] : LEAT_TIME_NONE;
        queue->cause[to] = batch->cause ? queue->cause[to] : 0;
        queue->slot[to] = queue->batch_slot[from];
        queue->sequence[to] = queue->next_sequence + from;
    }
}

static bool store_texts(leat_row_queue *queue, const copy *it)
{
    leat_value values[LEAT_COLUMNS_MAX];
    for (uint32_t n = 0; queue->texts && n < it->count; n++) {
        for (uint32_t i = 0; i < queue->schema->count; i++)
            if (is_variable(physical_of(queue, i)))
                values[i] = leat_column_value(&queue->batch->columns[i], it->from[n] & ~LEAT_ROW_OF_BATCH);
        if (!set_variable(queue, it->to[n], values))
            return false;
    }
    return true;
}

// Gives rows of the batch places; rows[i] becomes the place.
static bool store_rows(leat_row_queue *queue, leat_row_due *const *rows, uint32_t count)
{
    uint32_t from[LEAT_BATCH_ROWS], to[LEAT_BATCH_ROWS];
    if (!places(queue, count))
        return false;
    for (uint32_t n = 0; n < count; n++) {
        from[n] = rows[n]->row;
        rows[n]->row = to[n] = take_place(queue);
        queue->time_ms[to[n]] = rows[n]->time_ms;
        if (queue->texts)
            queue->texts[to[n]] = NULL;
    }
    copy it = {.to = to, .from = from, .count = count};
    store_columns(queue, &it);
    return store_texts(queue, &it);
}

bool leat_row_queue_settle(leat_row_queue *queue)
{
    leat_row_due *rows[LEAT_BATCH_ROWS];
    uint32_t count = 0;
    uint64_t at = queue->fresh > queue->head ? queue->fresh : queue->head;
    for (; at < queue->tail; at++)
        rows[count++] = &queue->ring[at & (queue->ring_room - 1)];
    if (count && !store_rows(queue, rows, count))
        return false;
    queue->next_sequence += queue->batch->count;
    queue->batch = NULL;
    return true;
}

// ---- the order

static uint64_t sequence_of(const leat_row_queue *queue, uint32_t row)
{
    return row & LEAT_ROW_OF_BATCH ? queue->next_sequence + (row & ~LEAT_ROW_OF_BATCH) : queue->sequence[row];
}

static bool before(const leat_row_queue *queue, const leat_row_due *a, const leat_row_due *b)
{
    return a->time_ms != b->time_ms ? a->time_ms < b->time_ms : sequence_of(queue, a->row) < sequence_of(queue, b->row);
}

static bool ring_grow(leat_row_queue *queue)
{
    uint32_t room = queue->ring_room * 2;
    leat_row_due *ring = leat_budget_alloc(queue->budget, room * sizeof *ring);
    if (!ring)
        return false;
    for (uint64_t i = queue->head; i < queue->tail; i++)
        ring[i & (room - 1)] = queue->ring[i & (queue->ring_room - 1)];
    leat_budget_free(queue->budget, queue->ring, queue->ring_room * sizeof *ring);
    queue->ring = ring;
    queue->ring_room = room;
    return true;
}

static bool heap_push(leat_row_queue *queue, leat_row_due item)
{
    if (queue->heap_count == queue->heap_room) {
        uint32_t room = queue->heap_room ? queue->heap_room * 2 : ROOM_MIN;
        void *heap = leat_budget_grow(queue->budget, queue->heap, queue->heap_room * sizeof item, room * sizeof item);
        if (!heap)
            return false;
        queue->heap = heap;
        queue->heap_room = room;
    }
    uint32_t at = queue->heap_count++;
    for (; at && before(queue, &item, &queue->heap[(at - 1) / 2]); at = (at - 1) / 2)
        queue->heap[at] = queue->heap[(at - 1) / 2];
    queue->heap[at] = item;
    return true;
}

static leat_row_due heap_pop(leat_row_queue *queue)
{
    leat_row_due first = queue->heap[0], last = queue->heap[--queue->heap_count];
    uint32_t at = 0, child;
    while ((child = 2 * at + 1) < queue->heap_count) {
        if (child + 1 < queue->heap_count && before(queue, &queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (!before(queue, &queue->heap[child], &last))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
    return first;
}

static bool add_before(leat_row_queue *queue, leat_row_due item)
{
    leat_row_due *row = &item;
    return store_rows(queue, &row, 1) && heap_push(queue, item);
}

bool leat_row_queue_add(leat_row_queue *queue, uint32_t row, uint32_t slot, int64_t time_ms)
{
    leat_row_due item = {.time_ms = time_ms, .row = leat_row_queue_pass(queue, row, slot)};
    uint64_t tail = queue->tail;
    if (queue->head < tail && queue->ring[(tail - 1) & (queue->ring_room - 1)].time_ms > time_ms)
        return add_before(queue, item);
    if (tail - queue->head == queue->ring_room && !ring_grow(queue))
        return false;
    queue->ring[queue->tail++ & (queue->ring_room - 1)] = item;
    return true;
}

bool leat_row_queue_take_any(leat_row_queue *queue, int64_t until_ms, leat_row_due *out_due)
{
    if (leat_row_queue_empty(queue) || leat_row_queue_first(queue) > until_ms)
        return false;
    leat_row_due *first = &queue->ring[queue->head & (queue->ring_room - 1)];
    bool in_ring = queue->head < queue->tail && (!queue->heap_count || before(queue, first, &queue->heap[0]));
    *out_due = in_ring ? *first : heap_pop(queue);
    queue->head += in_ring;
    return true;
}

// ---- out again

leat_value leat_row_queue_value(const leat_row_queue *queue, uint32_t row, uint32_t column, leat_arena *arena)
{
    if (row & LEAT_ROW_OF_BATCH)
        return leat_column_value(&queue->batch->columns[column], row & ~LEAT_ROW_OF_BATCH);
    const leat_column *from = &queue->columns[column];
    if (physical_of(queue, column) != LEAT_PHYSICAL_NESTED)
        return leat_column_value(from, row);
    leat_value value;
    leat_reader reader;
    leat_reader_init(&reader, from->text[row].data, from->text[row].size);
    bool whole = leat_value_decode(from->type, &reader, arena, &value);
    LEAT_ASSERT(whole); // our own bytes
    return value;
}

static void gather_variable(const leat_row_queue *queue, const copy *it, const uint32_t *rows, uint32_t column,
                            leat_batch *out)
{
    for (uint32_t i = 0; i < it->count; i++) {
        leat_value value = leat_row_queue_value(queue, rows[i], column, &out->arena);
        leat_column_set(&out->columns[column], it->to_first + i, &value, &out->arena);
    }
}

static bool consecutive(const uint32_t *rows, uint32_t count)
{
    uint32_t wrong = 0;
    for (uint32_t i = 1; i < count; i++)
        wrong |= rows[i] - rows[i - 1] - 1;
    return !wrong;
}

static void gather_run(const leat_row_queue *queue, const uint32_t *rows, uint32_t at, uint32_t count, leat_batch *out)
{
    bool of_batch = rows[at] & LEAT_ROW_OF_BATCH;
    const leat_column *columns = of_batch ? queue->batch->columns : queue->columns;
    copy it = {.from = rows + at, .count = count, .to_first = at, .from_first = rows[at] & ~LEAT_ROW_OF_BATCH};
    if (consecutive(rows + at, count))
        it.from = NULL;
    for (uint32_t i = 0; i < queue->schema->count; i++) {
        if (is_variable(physical_of(queue, i))) {
            gather_variable(queue, &it, rows + at, i, out);
            continue;
        }
        copy_fixed(&it, physical_of(queue, i), out->columns[i].values, &columns[i]);
        if (columns[i].nulls && (of_batch || queue->has_nulls[i]))
            copy_nulls(&it, out->columns[i].nulls, columns[i].nulls);
    }
    const int64_t *event_ms = of_batch ? queue->batch->event_ms : queue->event_ms;
    const uint64_t *cause = of_batch ? queue->batch->cause : queue->cause;
    for (uint32_t i = 0; i < count && !(event_ms && cause); i++) {
        out->event_ms[at + i] = LEAT_TIME_NONE;
        out->cause[at + i] = 0;
    }
    if (event_ms)
        copy_times(&it, out->event_ms, event_ms);
    if (cause)
        copy_causes(&it, out->cause, cause);
}

void leat_row_queue_gather(const leat_row_queue *queue, const uint32_t *rows, uint32_t count, leat_batch *out)
{
    for (uint32_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && !((rows[begin] ^ rows[end]) & LEAT_ROW_OF_BATCH);)
            end++;
        gather_run(queue, rows, begin, end - begin, out);
    }
}

static leat_slice stored_key(leat_row_queue *queue, uint32_t row)
{
    leat_slice key = leat_keys_bytes(queue->keys, queue->slot[row]);
    leat_writer_reset(&queue->scratch);
    leat_write_u64be(&queue->scratch, queue->sequence[row]);
    leat_write_bytes(&queue->scratch, key.data, key.size);
    return leat_writer_slice(&queue->scratch);
}

void leat_row_queue_release(leat_row_queue *queue, const uint32_t *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i];
        if (row & LEAT_ROW_OF_BATCH)
            continue;
        if (queue->state[row] & STORED)
            (void)leat_removals_add(&queue->removals, leat_keys_group(queue->keys, queue->slot[row]),
                                    stored_key(queue, row));
        else
            queue->unstored--;
        if (queue->texts)
            drop_text(queue, queue->texts[row]);
        queue->state[row] = 0;
        queue->free[queue->room - queue->count--] = row;
    }
}

// ---- stored

static void put_row(leat_row_queue *queue, leat_snapshot *snapshot, uint8_t table, uint32_t group, uint32_t row)
{
    leat_writer *out = &queue->scratch;
    size_t key_size = stored_key(queue, row).size;
    leat_write_u8(out, VERSION);
    leat_write_varint_signed(out, queue->time_ms[row]);
    leat_write_varint_signed(out, queue->event_ms[row]);
    leat_write_u64(out, queue->cause[row]);
    for (uint32_t i = 0; i < queue->schema->count; i++) {
        leat_slice bytes = is_variable(physical_of(queue, i)) ? queue->columns[i].text[row] : (leat_slice){0};
        if (physical_of(queue, i) == LEAT_PHYSICAL_NESTED)
            leat_write_bytes(out, bytes.data, bytes.size);
        else
            leat_row_encode(&queue->columns[i], 1, row, out);
    }
    LEAT_ASSERT(!out->failed);
    const char *bytes = (const char *)out->bytes;
    snapshot->put(snapshot, table, group, leat_slice_of(bytes, key_size),
                  leat_slice_of(bytes + key_size, out->size - key_size));
}

void leat_row_queue_snapshot(leat_row_queue *queue, leat_snapshot *snapshot, uint8_t table)
{
    leat_removals_emit(&queue->removals, snapshot, table);
    if (!queue->unstored && !snapshot->any_whole && !snapshot->all_whole)
        return;
    for (uint32_t row = 0; row < queue->room; row++) {
        if (!(queue->state[row] & LIVE))
            continue;
        uint32_t group = leat_keys_group(queue->keys, queue->slot[row]);
        if ((queue->state[row] & STORED) && !snapshot->whole[group])
            continue;
        put_row(queue, snapshot, table, group, row);
        if (!snapshot->keep_marks)
            queue->state[row] |= STORED;
    }
    if (!snapshot->keep_marks)
        queue->unstored = 0;
}

bool leat_row_queue_key(leat_slice stored, uint64_t *out_sequence, leat_slice *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, stored.data, stored.size);
    *out_sequence = leat_read_u64be(&reader);
    *out_key = leat_read_bytes(&reader, leat_reader_left(&reader));
    return !reader.failed;
}

static bool set_row(leat_row_queue *queue, uint32_t row, const leat_value *values)
{
    for (uint32_t i = 0; i < queue->schema->count; i++) {
        queue->columns[i].nulls[row] = values[i].is_null;
        queue->has_nulls[i] |= values[i].is_null;
        if (!is_variable(physical_of(queue, i)))
            leat_column_set(&queue->columns[i], row, &values[i], NULL);
    }
    return !queue->texts || set_variable(queue, row, values);
}

static leat_code damaged(leat_slice value, leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_CORRUPT, "a stored row of %zu bytes is damaged", value.size);
}

static bool decode_columns(leat_row_queue *queue, leat_reader *reader, leat_arena *arena, leat_value *out_values)
{
    for (uint32_t i = 0; i < queue->schema->count; i++)
        if (!leat_value_decode(queue->schema->fields[i].type, reader, arena, &out_values[i]))
            return false;
    return !reader->failed && !leat_reader_left(reader);
}

typedef struct stored_row {
    int64_t time_ms, event_ms;
    uint64_t cause, sequence;
    uint32_t slot;
    leat_value values[LEAT_COLUMNS_MAX];
} stored_row;

static bool restore_row(leat_row_queue *queue, const stored_row *stored)
{
    if (!places(queue, 1))
        return false;
    uint32_t row = take_place(queue);
    queue->state[row] |= STORED;
    queue->unstored--;
    queue->time_ms[row] = stored->time_ms;
    queue->event_ms[row] = stored->event_ms;
    queue->cause[row] = stored->cause;
    queue->sequence[row] = stored->sequence;
    queue->slot[row] = stored->slot;
    if (queue->texts)
        queue->texts[row] = NULL;
    if (stored->sequence >= queue->next_sequence)
        queue->next_sequence = stored->sequence + 1;
    return set_row(queue, row, stored->values) &&
           heap_push(queue, (leat_row_due){.time_ms = stored->time_ms, .row = row});
}

leat_code leat_row_queue_restore(leat_row_queue *queue, uint32_t slot, uint64_t sequence, leat_slice value,
                                 leat_error *out_error)
{
    stored_row stored;
    leat_reader reader;
    leat_arena nested;
    memset(stored.values, 0, queue->schema->count * sizeof *stored.values);
    leat_reader_init(&reader, value.data, value.size);
    bool known = leat_read_u8(&reader) == VERSION;
    stored.time_ms = leat_read_varint_signed(&reader);
    stored.event_ms = leat_read_varint_signed(&reader);
    stored.cause = leat_read_u64(&reader);
    stored.sequence = sequence;
    stored.slot = slot;
    if (!known || reader.failed)
        return damaged(value, out_error);
    leat_arena_init(&nested, queue->env, 0);
    bool whole = decode_columns(queue, &reader, &nested, stored.values);
    bool placed = whole && restore_row(queue, &stored);
    leat_arena_fini(&nested);
    if (!whole)
        return damaged(value, out_error);
    if (!placed)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the memory budget of %zu bytes is used up by stored rows",
                              queue->budget->limit);
    return LEAT_OK;
}
