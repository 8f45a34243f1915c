#include "operators/core/batch.h"

#include <string.h>

// Free batches wait in lists by size, so that marks do not walk about with the memory of full batches, full batches find theirs, and
// a source whose results are small does not make one large after the other: each list begins at four times the size of the one
// before. What lies in the lists is kept for the next round; only what one exceptional batch took (ARENA_KEPT) goes back at once.
enum {
    ARENA_SMALL = 4096, // the first list's
    SIZES = 5,          // the last list's: above ARENA_SMALL * 64
    MARK_LISTS = 3,     // what marks may take: a batch that was small has grown, and none is left as small
    LOOK_TAKES = 1024,  // what lay idle for so long goes back by halves
    ARENA_KEPT = 1 << 20,
    COLUMN_ALIGNMENT = 16, // leat_i128 needs 16
};

// Arenas take their chunks through an env that counts, because a batch grows after it was handed out.
typedef struct counting_env {
    leat_env env; // first: a leat_env * is a counting_env *
    leat_env *inner;
    atomic_size_t held;
} counting_env;

struct leat_batch_pool {
    counting_env memory;
    size_t budget;
    leat_batch *free[SIZES];        // the owner's
    uint32_t free_count[SIZES];     // their lengths
    uint32_t least[SIZES];          // the shortest they were since they were looked at last
    uint32_t takes;                 // since then
    size_t free_bytes;              // of these
    atomic_uint handed_out;         // written by the owner
    _Atomic(leat_batch *) returned; // a stack that any thread pushes to and the owner takes whole, hence without ABA
    atomic_uint given_back;
};

// ---- memory

static void *counting_alloc(leat_env *env, size_t size)
{
    counting_env *self = (counting_env *)env;
    void *memory = leat_env_alloc(self->inner, size);
    if (memory)
        atomic_fetch_add_explicit(&self->held, size, memory_order_relaxed);
    return memory;
}

static void counting_free(leat_env *env, void *memory, size_t size)
{
    counting_env *self = (counting_env *)env;
    if (!memory)
        return;
    atomic_fetch_sub_explicit(&self->held, size, memory_order_relaxed);
    leat_env_free(self->inner, memory, size);
}

// Arenas ask for nothing else.
static const leat_env_ops counting_ops = {.alloc = counting_alloc, .free = counting_free};

static size_t held(const leat_batch_pool *pool)
{
    return atomic_load_explicit(&pool->memory.held, memory_order_relaxed);
}

// Makes room for `size` bytes in one chunk of an arena that holds nothing yet.
static void arena_reserve(leat_arena *arena, size_t size)
{
    if (arena->first && size <= (size_t)(arena->limit - arena->cursor))
        return;
    leat_arena_alloc(arena, size);
    leat_arena_reset(arena); // keeps the largest chunk
}

// Steps of an eighth of the power of two below, so that batches of slowly growing size settle after a few rounds.
static size_t round_up(size_t size)
{
    size_t step = (size_t)1 << (60 - __builtin_clzll((unsigned long long)size | 1024));
    return (size + step - 1) & ~(step - 1);
}

// What took several chunks this time gets one of their sum, and from then on the batch allocates nothing.
static void arena_settle(leat_arena *arena)
{
    size_t size = arena->size;
    if (size > ARENA_KEPT) {
        leat_arena_fini(arena);
        return;
    }
    leat_arena_reset(arena);
    if (arena->size < size) {
        leat_arena_fini(arena);
        arena_reserve(arena, round_up(size));
    }
}

// ---- the pool

leat_code leat_batch_pool_create(leat_env *env, size_t budget_bytes, leat_batch_pool **out_pool, leat_error *out_error)
{
    leat_batch_pool *pool = leat_env_calloc(env, sizeof *pool);
    if (!pool)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a batch pool");
    pool->memory.env.ops = &counting_ops;
    pool->memory.inner = env;
    pool->budget = budget_bytes;
    *out_pool = pool;
    return LEAT_OK;
}

static size_t bytes_of(const leat_batch *batch) { return batch->arena.size + sizeof *batch; }

static unsigned list_of(size_t size)
{
    unsigned list = 0;
    for (size_t most = ARENA_SMALL; list + 1 < SIZES && size > most; most *= 4)
        list++;
    return list;
}

// Sorts what came back into the lists of free ones.
static void collect(leat_batch_pool *pool)
{
    leat_batch *batch = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (batch) {
        leat_batch *next = batch->next;
        leat_batch **list = &pool->free[list_of(batch->arena.size)];
        batch->next = *list;
        *list = batch;
        pool->free_count[list - pool->free]++;
        pool->free_bytes += bytes_of(batch);
        batch = next;
    }
}

static leat_batch *pop(leat_batch_pool *pool, unsigned list)
{
    leat_batch *batch = pool->free[list];
    if (!batch)
        return NULL;
    pool->free[list] = batch->next;
    pool->free_bytes -= bytes_of(batch);
    if (--pool->free_count[list] < pool->least[list])
        pool->least[list] = pool->free_count[list];
    return batch;
}

static void destroy_some(leat_batch_pool *pool, unsigned list, uint32_t count)
{
    for (leat_batch *batch; count && (batch = pop(pool, list)); count--) {
        leat_arena_fini(&batch->arena);
        counting_free(&pool->memory.env, batch, sizeof *batch);
    }
}

// A burst leaves no more behind than is used.
static void look_at_idle(leat_batch_pool *pool)
{
    if (++pool->takes < LOOK_TAKES)
        return;
    pool->takes = 0;
    for (unsigned list = 0; list < SIZES; list++) {
        destroy_some(pool, list, (pool->least[list] + 1) / 2);
        pool->least[list] = pool->free_count[list];
    }
}

static void destroy_free(leat_batch_pool *pool)
{
    for (unsigned list = 0; list < SIZES; list++)
        destroy_some(pool, list, UINT32_MAX);
}

void leat_batch_pool_destroy(leat_batch_pool *pool)
{
    if (!pool)
        return;
    LEAT_ASSERT(leat_batch_pool_in_use(pool) == 0);
    collect(pool);
    destroy_free(pool);
    LEAT_ASSERT(held(pool) == 0);
    leat_env_free(pool->memory.inner, pool, sizeof *pool);
}

uint32_t leat_batch_pool_in_use(const leat_batch_pool *pool)
{
    // In this order: what is given back was handed out before.
    uint32_t given_back = atomic_load_explicit(&pool->given_back, memory_order_acquire);
    return atomic_load_explicit(&pool->handed_out, memory_order_relaxed) - given_back;
}

void leat_batch_pool_trim(leat_batch_pool *pool)
{
    collect(pool);
    destroy_free(pool);
}

size_t leat_batch_pool_used_bytes(leat_batch_pool *pool)
{
    collect(pool);
    return held(pool) - pool->free_bytes;
}

static leat_batch *make(leat_batch_pool *pool)
{
    leat_batch *batch = counting_alloc(&pool->memory.env, sizeof *batch);
    if (!batch)
        return NULL;
    memset(batch, 0, sizeof *batch);
    leat_arena_init(&batch->arena, &pool->memory.env, ARENA_SMALL / 2);
    return batch;
}

static bool within_budget(leat_batch_pool *pool, size_t size)
{
    if (held(pool) + size <= pool->budget)
        return true;
    // Before a task is held back, memory that only waits is given up.
    destroy_free(pool);
    return held(pool) + size <= pool->budget;
}

// Larger ones too, as a batch that grew comes back as such.
static leat_batch *pop_fitting(leat_batch_pool *pool, unsigned list, unsigned end)
{
    leat_batch *batch = pop(pool, list);
    while (!batch && ++list < end)
        batch = pop(pool, list);
    return batch;
}

// A free batch is taken as it is; making one is what the budget is asked for.
static leat_batch *take(leat_batch_pool *pool, size_t size, bool bounded)
{
    unsigned list = list_of(size);
    if (!pool->free[list])
        collect(pool);
    look_at_idle(pool);
    leat_batch *batch = pop_fitting(pool, list, size ? SIZES : MARK_LISTS);
    if (!batch && bounded && !within_budget(pool, size + sizeof *batch))
        return NULL;
    return batch ? batch : make(pool);
}

static void prepare(leat_batch_pool *pool, leat_batch *batch, leat_element_kind kind)
{
    leat_arena arena = batch->arena;
    *batch = (leat_batch){.kind = kind, .watermark_after = LEAT_TIME_NONE, .arena = arena, .pool = pool};
    atomic_init(&batch->references, 1);
    uint32_t handed_out = atomic_load_explicit(&pool->handed_out, memory_order_relaxed);
    atomic_store_explicit(&pool->handed_out, handed_out + 1, memory_order_relaxed);
}

static leat_batch *get(leat_batch_pool *pool, leat_element_kind kind, size_t size, bool bounded)
{
    leat_batch *batch = take(pool, size, bounded);
    if (batch)
        prepare(pool, batch, kind);
    return batch;
}

leat_batch *leat_batch_get(leat_batch_pool *pool) { return get(pool, LEAT_ELEMENT_ROWS, 0, true); }

// As with an arena, running out of memory here is a bug of sizing: marks and derived batches cannot be refused.
leat_batch *leat_batch_get_mark(leat_batch_pool *pool, leat_element_kind kind)
{
    leat_batch *batch = get(pool, kind, 0, false);
    LEAT_ASSERT(batch);
    return batch;
}

static size_t aligned(size_t size) { return (size + COLUMN_ALIGNMENT - 1) & ~(size_t)(COLUMN_ALIGNMENT - 1); }

static size_t rows_size(const leat_schema *schema, uint32_t rows)
{
    size_t size =
        aligned(sizeof(leat_column) * schema->count) + 2 * aligned(sizeof(int64_t) * rows) + 4 * COLUMN_ALIGNMENT;
    for (uint32_t i = 0; i < schema->count; i++)
        size += aligned(leat_physical_size(leat_type_physical(schema->fields[i].type)) * rows) + aligned(rows);
    return size;
}

static leat_batch *get_rows(leat_batch_pool *pool, const leat_schema *schema, uint32_t capacity, bool bounded)
{
    LEAT_ASSERT(capacity <= LEAT_BATCH_ROWS);
    size_t size = rows_size(schema, capacity);
    leat_batch *batch = get(pool, LEAT_ELEMENT_ROWS, size, bounded);
    if (!batch)
        return NULL;
    arena_reserve(&batch->arena, size);
    batch->schema = schema;
    batch->columns = leat_arena_array(&batch->arena, leat_column, schema->count);
    batch->event_ms = leat_arena_alloc(&batch->arena, sizeof(int64_t) * capacity);
    batch->cause = leat_arena_alloc(&batch->arena, sizeof(uint64_t) * capacity);
    for (uint32_t i = 0; i < schema->count; i++)
        leat_column_allocate(batch, &batch->columns[i], schema->fields[i].type, capacity, true);
    return batch;
}

leat_batch *leat_batch_get_rows(leat_batch_pool *pool, const leat_schema *schema, uint32_t capacity)
{
    return get_rows(pool, schema, capacity, true);
}

leat_batch *leat_batch_get_rows_always(leat_batch_pool *pool, const leat_schema *schema, uint32_t capacity)
{
    leat_batch *batch = get_rows(pool, schema, capacity, true); // which first gives up memory that only waits
    batch = batch ? batch : get_rows(pool, schema, capacity, false);
    LEAT_ASSERT(batch);
    return batch;
}

static void share(leat_batch *batch, leat_batch *parent)
{
    batch->kind = parent->kind;
    batch->count = parent->count;
    batch->selected = parent->selected;
    batch->selection = parent->selection;
    batch->schema = parent->schema;
    batch->event_ms = parent->event_ms;
    batch->row_kind = parent->row_kind;
    batch->cause = parent->cause;
    batch->watermark = parent->watermark;
    batch->watermark_after = parent->watermark_after;
    batch->barrier = parent->barrier;
    batch->ids = parent->ids;
    batch->parent = leat_batch_ref(parent);
}

leat_batch *leat_batch_derive(leat_batch_pool *pool, leat_batch *parent)
{
    return leat_batch_derive_with(pool, parent, 0);
}

leat_batch *leat_batch_derive_with(leat_batch_pool *pool, leat_batch *parent, size_t size)
{
    uint32_t columns = parent->schema ? parent->schema->count : 0;
    size += columns * sizeof(leat_column) + parent->count * sizeof *parent->selection;
    leat_batch *batch = get(pool, LEAT_ELEMENT_ROWS, size, false);
    LEAT_ASSERT(batch);
    arena_reserve(&batch->arena, size); // so that it comes back as what was asked for
    share(batch, parent);
    if (columns && parent->columns) {
        batch->columns = leat_arena_alloc(&batch->arena, sizeof(leat_column) * columns);
        memcpy(batch->columns, parent->columns, sizeof(leat_column) * columns);
    }
    return batch;
}

leat_batch *leat_batch_ref(leat_batch *batch)
{
    atomic_fetch_add_explicit(&batch->references, 1, memory_order_relaxed);
    return batch;
}

static bool drop_reference(leat_batch *batch)
{
    // The only holder need not lock the bus: nobody else can take a reference any more.
    return atomic_load_explicit(&batch->references, memory_order_acquire) == 1 ||
           atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel) == 1;
}

static void give_back(leat_batch *batch)
{
    leat_batch_pool *pool = batch->pool;
    arena_settle(&batch->arena);
    batch->next = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &batch->next, batch, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    // Last: who sees this counted may destroy the pool.
    atomic_fetch_add_explicit(&pool->given_back, 1, memory_order_release);
}

void leat_batch_unref(leat_batch *batch)
{
    while (batch && drop_reference(batch)) {
        leat_batch *parent = batch->parent;
        give_back(batch);
        batch = parent;
    }
}

// ---- columns

void leat_column_allocate(leat_batch *batch, leat_column *column, leat_type type, uint32_t rows, bool with_nulls)
{
    size_t size = leat_physical_size(leat_type_physical(type)) * rows;
    column->type = type;
    column->values = leat_arena_alloc_aligned(&batch->arena, size, COLUMN_ALIGNMENT);
    column->nulls = with_nulls ? leat_arena_alloc_aligned(&batch->arena, rows, 1) : NULL;
    if (with_nulls)
        memset(column->nulls, 0, rows);
}

leat_value leat_column_value(const leat_column *column, uint32_t row)
{
    leat_value value = {.is_null = leat_column_is_null(column, row)};
    if (value.is_null)
        return value;
    switch (leat_type_physical(column->type)) {
    case LEAT_PHYSICAL_BOOL:
        value.boolean = column->boolean[row] != 0;
        break;
    case LEAT_PHYSICAL_I64:
        value.i64 = column->i64[row];
        break;
    case LEAT_PHYSICAL_F64:
        value.f64 = column->f64[row];
        break;
    case LEAT_PHYSICAL_I128:
        value.i128 = column->i128[row];
        break;
    case LEAT_PHYSICAL_TEXT:
        value.text = column->text[row];
        break;
    case LEAT_PHYSICAL_NESTED:
        value.nested = column->nested[row];
        break;
    }
    return value;
}

static void set_physical(leat_column *column, uint32_t row, const leat_value *value)
{
    switch (leat_type_physical(column->type)) {
    case LEAT_PHYSICAL_BOOL:
        column->boolean[row] = value->boolean;
        break;
    case LEAT_PHYSICAL_I64:
        column->i64[row] = value->i64;
        break;
    case LEAT_PHYSICAL_F64:
        column->f64[row] = value->f64;
        break;
    case LEAT_PHYSICAL_I128:
        column->i128[row] = value->i128;
        break;
    case LEAT_PHYSICAL_TEXT:
        column->text[row] = value->text;
        break;
    case LEAT_PHYSICAL_NESTED:
        column->nested[row] = value->nested;
        break;
    }
}

void leat_column_set(leat_column *column, uint32_t row, const leat_value *value, leat_arena *arena)
{
    LEAT_ASSERT(column->nulls || !value->is_null);
    if (column->nulls)
        column->nulls[row] = value->is_null;
    if (value->is_null) {
        // A defined value below a NULL: kernels compute on it before they look at the nulls.
        memset((uint8_t *)column->values + row * leat_physical_size(leat_type_physical(column->type)), 0,
               leat_physical_size(leat_type_physical(column->type)));
        return;
    }
    leat_value copy = arena ? leat_value_copy(column->type, value, arena) : *value;
    set_physical(column, row, &copy);
}
