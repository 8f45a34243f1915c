// All aggregates of a query: the layout of one accumulator, and the loops over a batch.
//
// Layout: a row counter, then the slots. Aggregates of the same numeric argument and filter share a basket {count, sum, min, max},
// so that the usual set over a column is one loop. Stored form: signed row counter, then each slot's own (aggregate_slot.c).
#include <stddef.h>
#include <string.h>

#include "operators/expr/aggregate_function.h"

typedef struct rows_header {
    int64_t rows;
} rows_header;

struct leat_accumulators {
    uint32_t count;
    leat_slot *slots;
    const leat_program **programs; // evaluated once each
    uint32_t program_count;
    uint32_t size;
    bool has_variable;
    const leat_slot *fused; // a basket without a filter that is the only aggregate with memory of its own; or NULL
};

// -- layout

static int program_index(leat_accumulators *set, const leat_program *program)
{
    for (uint32_t i = 0; i < set->program_count; i++)
        if (leat_expr_is_deterministic(leat_program_expr(program)) &&
            leat_expr_equal(leat_program_expr(set->programs[i]), leat_program_expr(program)))
            return (int)i;
    set->programs[set->program_count] = program;
    return (int)set->program_count++;
}

static bool is_plain_number(leat_type type)
{
    return leat_type_physical(type) == LEAT_PHYSICAL_F64 ||
           (leat_type_physical(type) == LEAT_PHYSICAL_I64 && type.kind != LEAT_KIND_NULL);
}

static leat_slot_form form_of(const leat_aggregate *aggregate, bool retract)
{
    leat_aggregate_kind kind = aggregate->function->kind;
    bool extreme = kind == LEAT_AGGREGATE_MIN || kind == LEAT_AGGREGATE_MAX;
    bool end = kind == LEAT_AGGREGATE_FIRST || kind == LEAT_AGGREGATE_LAST;
    bool list = kind >= LEAT_AGGREGATE_LISTAGG;
    bool pair = kind == LEAT_AGGREGATE_MIN_BY || kind == LEAT_AGGREGATE_MAX_BY;
    leat_type type = aggregate->argument_types[0];
    if (kind == LEAT_AGGREGATE_COUNT && aggregate->argument_count == 0)
        return aggregate->filter ? LEAT_SLOT_COUNT : LEAT_SLOT_ROWS;
    if (extreme && retract)
        return LEAT_SLOT_UNIQUE;
    if (kind == LEAT_AGGREGATE_PERCENTILE)
        return LEAT_SLOT_UNIQUE;
    if (kind == LEAT_AGGREGATE_APPROX_COUNT_DISTINCT)
        return LEAT_SLOT_SKETCH;
    if (pair)
        return retract ? LEAT_SLOT_LIST : LEAT_SLOT_PAIR;
    if (end)
        return retract ? LEAT_SLOT_LIST : LEAT_SLOT_KEPT;
    if (aggregate->distinct && !extreme)
        return LEAT_SLOT_UNIQUE;
    if (list)
        return LEAT_SLOT_LIST;
    if (kind >= LEAT_AGGREGATE_STDDEV_POP)
        return LEAT_SLOT_MOMENTS;
    if (aggregate->argument_count == 1 && is_plain_number(type))
        return LEAT_SLOT_BASKET;
    return kind == LEAT_AGGREGATE_COUNT ? LEAT_SLOT_COUNT : extreme ? LEAT_SLOT_KEPT : LEAT_SLOT_DECIMAL;
}

static leat_slot *shared_basket(leat_accumulators *set, const leat_slot *slot)
{
    for (leat_slot *other = set->slots; other < slot; other++)
        if (other->form == LEAT_SLOT_BASKET && other->owner && other->columns[0] == slot->columns[0] &&
            other->filter == slot->filter)
            return other;
    return NULL;
}

static void plan_slot(leat_accumulators *set, leat_slot *slot, const leat_aggregate *aggregate, bool retract)
{
    leat_aggregate_kind kind = aggregate->function->kind;
    slot->aggregate = aggregate;
    slot->form = form_of(aggregate, retract);
    slot->owner = slot->form != LEAT_SLOT_ROWS;
    slot->filter = aggregate->filter ? program_index(set, aggregate->filter) : -1;
    for (uint32_t i = 0; i < aggregate->argument_count; i++)
        slot->columns[i] = program_index(set, aggregate->arguments[i]);
    if (slot->form != LEAT_SLOT_BASKET)
        return;
    slot->is_double = leat_type_physical(aggregate->argument_types[0]) == LEAT_PHYSICAL_F64;
    slot->extremes = kind == LEAT_AGGREGATE_MIN || kind == LEAT_AGGREGATE_MAX;
    leat_slot *basket = shared_basket(set, slot);
    if (basket) {
        basket->extremes |= slot->extremes;
        slot->owner = false;
    }
}

static void place_slots(leat_accumulators *set)
{
    size_t size = sizeof(rows_header);
    for (uint32_t i = 0; i < set->count; i++) {
        leat_slot *slot = &set->slots[i];
        if (!slot->owner)
            continue;
        size_t alignment =
            slot->form == LEAT_SLOT_DECIMAL || slot->form == LEAT_SLOT_KEPT || slot->form == LEAT_SLOT_PAIR ? 16 : 8;
        size = (size + alignment - 1) & ~(alignment - 1);
        slot->offset = (uint32_t)size;
        size += leat_slot_size(slot);
        set->has_variable |= leat_slot_is_variable(slot);
    }
    for (uint32_t i = 0; i < set->count; i++) {
        leat_slot *slot = &set->slots[i];
        leat_slot *basket = slot->form == LEAT_SLOT_BASKET && !slot->owner ? shared_basket(set, slot) : NULL;
        if (!basket)
            continue;
        slot->offset = basket->offset;
        slot->extremes = basket->extremes;
    }
    set->size = (uint32_t)((size + 15) & ~(size_t)15);
}

// What one loop can do: the only aggregate with memory of its own is a basket, and takes every row.
static const leat_slot *fused_slot(const leat_accumulators *set)
{
    const leat_slot *only = NULL;
    for (uint32_t i = 0; i < set->count; i++) {
        if (!set->slots[i].owner)
            continue;
        if (only || set->slots[i].form != LEAT_SLOT_BASKET || set->slots[i].filter >= 0)
            return NULL;
        only = &set->slots[i];
    }
    return only;
}

leat_code leat_accumulators_create(leat_arena *arena, const leat_aggregate *aggregates, uint32_t count, bool retract,
                                   leat_accumulators **out_set, leat_error *out_error)
{
    leat_accumulators *set = leat_arena_new(arena, leat_accumulators);
    if (count > LEAT_COLUMNS_MAX)
        return leat_error_set(out_error, LEAT_E_LIMIT, "%u aggregates are more than %d", count, LEAT_COLUMNS_MAX);
    size_t size = sizeof(leat_aggregate) * (count + 1);
    leat_aggregate *copies = leat_arena_alloc_aligned(arena, size, 16);
    if (count)
        memcpy(copies, aggregates, sizeof *copies * count);
    set->count = count;
    set->slots = leat_arena_array(arena, leat_slot, count + 1);
    set->programs = leat_arena_array(arena, const leat_program *, count * 4 + 1);
    for (uint32_t i = 0; i < count; i++)
        plan_slot(set, &set->slots[i], &copies[i], retract);
    place_slots(set);
    set->fused = fused_slot(set);
    *out_set = set;
    return LEAT_OK;
}

size_t leat_accumulators_size(const leat_accumulators *set) { return set->size; }

bool leat_accumulators_has_variable(const leat_accumulators *set) { return set->has_variable; }

void leat_accumulators_init(const leat_accumulators *set, void *accumulator)
{
    memset(accumulator, 0, set->size);
    for (uint32_t i = 0; i < set->count; i++)
        if (set->slots[i].owner)
            leat_slot_init(&set->slots[i], accumulator);
}

// -- adding

const leat_accumulators_input *leat_accumulators_prepare(const leat_accumulators *set, leat_eval *eval,
                                                         const leat_batch *batch)
{
    leat_accumulators_input *input = leat_arena_alloc(&eval->scratch, sizeof *input);
    leat_column *columns = leat_arena_alloc_aligned(&eval->scratch, sizeof *columns * (set->program_count + 1), 16);
    const leat_column **pointers = leat_arena_alloc(&eval->scratch, sizeof *pointers * (set->program_count + 1));
    for (uint32_t i = 0; i < set->program_count; i++) {
        leat_program_run(set->programs[i], eval, batch, &eval->scratch, &columns[i]);
        pointers[i] = &columns[i];
    }
    *input = (leat_accumulators_input){pointers, eval->env};
    return input;
}

// The rows of a batch to be taken: physical index, accumulator, and whether in or out.
typedef struct taken_rows {
    const leat_accumulators *set;
    const leat_accumulators_input *input;
    const uint16_t *rows; // NULL: all in order
    void *const *accumulators;
    const int8_t *signs; // NULL: all in
    uint32_t count;
    leat_budget *budget;
} taken_rows;

static inline uint32_t taken_row(const taken_rows *taken, uint32_t i) { return taken->rows ? taken->rows[i] : i; }

#define BASKET_LOOP(member, add_sum, better_min, better_max)                                                           \
    for (uint32_t i = 0; i < taken->count; i++) {                                                                      \
        uint32_t row = taken_row(taken, i);                                                                            \
        if (nulls && nulls[row])                                                                                       \
            continue;                                                                                                  \
        leat_basket *basket = leat_slot_at(slot, taken->accumulators[i]);                                              \
        __typeof__(column->member[0]) x = column->member[row];                                                         \
        basket->count++;                                                                                               \
        basket->sum.member = add_sum;                                                                                  \
        if (extremes) {                                                                                                \
            basket->min.member = (better_min) ? x : basket->min.member;                                                \
            basket->max.member = (better_max) ? x : basket->max.member;                                                \
        }                                                                                                              \
    }

static inline void basket_doubles(const leat_slot *slot, const taken_rows *taken, bool extremes)
{
    const leat_column *column = taken->input->columns[slot->columns[0]];
    const uint8_t *nulls = column->nulls;
    BASKET_LOOP(f64, basket->sum.f64 + x, (x < basket->min.f64) | (basket->min.f64 != basket->min.f64),
                (x > basket->max.f64) | (basket->max.f64 != basket->max.f64))
}

static inline void basket_integers(const leat_slot *slot, const taken_rows *taken, bool extremes)
{
    const leat_column *column = taken->input->columns[slot->columns[0]];
    const uint8_t *nulls = column->nulls;
    BASKET_LOOP(i64, (int64_t)((uint64_t)basket->sum.i64 + (uint64_t)x), x<basket->min.i64, x> basket->max.i64)
}

static void add_basket(const leat_slot *slot, const taken_rows *taken)
{
    if (slot->is_double && slot->extremes)
        basket_doubles(slot, taken, true);
    else if (slot->is_double)
        basket_doubles(slot, taken, false);
    else if (slot->extremes)
        basket_integers(slot, taken, true);
    else
        basket_integers(slot, taken, false);
}

// An accumulator that is one basket.
typedef struct fused {
    int64_t rows;
    leat_basket basket;
} fused;

// Extremes are NaN before the first value, both of them; then one comparison each, which is one instruction.
static inline void fused_double(fused *at, double x)
{
    leat_basket *basket = &at->basket;
    double min = basket->min.f64, max = basket->max.f64;
    at->rows++;
    basket->count++;
    basket->sum.f64 += x;
    if (__builtin_expect(__builtin_isunordered(min, max), false)) {
        basket->min.f64 = min != min ? x : x < min ? x : min;
        basket->max.f64 = max != max ? x : x > max ? x : max;
    } else {
        basket->min.f64 = x < min ? x : min;
        basket->max.f64 = x > max ? x : max;
    }
}

static inline void fused_integer(fused *at, int64_t x)
{
    leat_basket *basket = &at->basket;
    int64_t min = basket->min.i64, max = basket->max.i64;
    at->rows++;
    basket->count++;
    basket->sum.i64 = (int64_t)((uint64_t)basket->sum.i64 + (uint64_t)x);
    basket->min.i64 = x < min ? x : min;
    basket->max.i64 = x > max ? x : max;
}

static void fused_rows(const taken_rows *taken, const leat_column *column, bool is_double)
{
    void *const *accumulators = taken->accumulators;
    const uint16_t *rows = taken->rows;
    const double *doubles = column->f64;
    const int64_t *integers = column->i64;
    uint32_t count = taken->count;
    if (is_double && !rows)
        for (uint32_t i = 0; i < count; i++)
            fused_double(accumulators[i], doubles[i]);
    else if (is_double)
        for (uint32_t i = 0; i < count; i++)
            fused_double(accumulators[i], doubles[rows[i]]);
    else
        for (uint32_t i = 0; i < count; i++)
            fused_integer(accumulators[i], integers[rows ? rows[i] : i]);
}

// The whole of the usual set, COUNT(*), SUM, AVG, MIN, MAX of one column without NULLs, in one pass over the accumulators.
static bool add_fused(const leat_accumulators *set, const taken_rows *taken)
{
    const leat_slot *only = set->fused;
    if (!only || taken->signs || !only->extremes)
        return false;
    const leat_column *column = taken->input->columns[only->columns[0]];
    if (column->nulls &&
        memchr(column->nulls, 1, taken->count && taken->rows ? taken->rows[taken->count - 1] + 1u : taken->count))
        return false;
    fused_rows(taken, column, only->is_double);
    return true;
}

static leat_code refused(leat_error *out_error)
{
    return leat_error_set(out_error, LEAT_E_LIMIT, "the rule's memory budget is used up by its aggregates");
}

static bool add_slot(const leat_slot *slot, const taken_rows *taken)
{
    leat_slot_row row = {taken->input->columns, 0, 1, taken->budget, taken->input->env};
    for (uint32_t i = 0; i < taken->count; i++) {
        row.row = taken_row(taken, i);
        row.sign = taken->signs ? taken->signs[i] : 1;
        if (!leat_slot_add(slot, taken->accumulators[i], &row))
            return false;
    }
    return true;
}

static void count_rows(const taken_rows *taken)
{
    for (uint32_t i = 0; i < taken->count; i++)
        ((rows_header *)taken->accumulators[i])->rows += taken->signs ? taken->signs[i] : 1;
}

static leat_code add_taken(const taken_rows *taken, leat_error *out_error)
{
    const leat_accumulators *set = taken->set;
    if (add_fused(set, taken))
        return LEAT_OK;
    count_rows(taken);
    for (uint32_t i = 0; i < set->count; i++) {
        const leat_slot *slot = &set->slots[i];
        if (!slot->owner)
            continue;
        if (slot->form == LEAT_SLOT_BASKET && slot->filter < 0 && !taken->signs)
            add_basket(slot, taken);
        else if (!add_slot(slot, taken))
            return refused(out_error);
    }
    return LEAT_OK;
}

static bool takes_out(leat_row_kind kind) { return kind == LEAT_UPDATE_BEFORE || kind == LEAT_DELETE; }

leat_code leat_accumulators_add(const leat_accumulators *set, leat_eval *eval, const leat_batch *batch,
                                void *const *accumulators, leat_budget *budget, leat_error *out_error)
{
    uint32_t existing = batch->selection ? batch->selected : batch->count, count = 0;
    taken_rows taken = {
        set, leat_accumulators_prepare(set, eval, batch), batch->selection, accumulators, NULL, existing, budget};
    if (!eval->bad_count && !batch->row_kind)
        return add_taken(&taken, out_error);
    uint16_t *rows = leat_arena_alloc(&eval->scratch, sizeof *rows * (existing + 1));
    void **kept = leat_arena_alloc(&eval->scratch, sizeof *kept * (existing + 1));
    int8_t *signs = leat_arena_alloc(&eval->scratch, existing + 1);
    for (uint32_t i = 0; i < existing; i++) {
        uint32_t row = leat_batch_row(batch, i);
        rows[count] = (uint16_t)row;
        kept[count] = accumulators[i];
        signs[count] = takes_out(leat_batch_kind(batch, row)) ? -1 : 1;
        count += !eval->bad[row];
    }
    taken.rows = rows;
    taken.accumulators = kept;
    taken.signs = batch->row_kind ? signs : NULL;
    taken.count = count;
    return add_taken(&taken, out_error);
}

leat_code leat_accumulators_add_row(const leat_accumulators *set, const leat_accumulators_input *input, uint32_t row,
                                    bool retract, void *accumulator, leat_budget *budget, leat_error *out_error)
{
    leat_slot_row taken = {input->columns, row, retract ? -1 : 1, budget, input->env};
    ((rows_header *)accumulator)->rows += taken.sign;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->slots[i].owner && !leat_slot_add(&set->slots[i], accumulator, &taken))
            return refused(out_error);
    return LEAT_OK;
}

// -- arguments that are kept, and sums

uint32_t leat_accumulators_argument_count(const leat_accumulators *set) { return set->program_count; }

leat_type leat_accumulators_argument_type(const leat_accumulators *set, uint32_t index)
{
    LEAT_ASSERT(index < set->program_count);
    return leat_program_type(set->programs[index]);
}

_Static_assert(offsetof(fused, basket.count) == offsetof(leat_accumulators_sum, count) &&
                   offsetof(fused, basket.sum) == offsetof(leat_accumulators_sum, sum),
               "a sum is a basket that keeps no extremes");

bool leat_accumulators_is_sum(const leat_accumulators *set)
{
    return set->fused && !set->fused->extremes && set->program_count == 1;
}

static void averages(const leat_accumulators_sum *sums, uint32_t count, leat_column *out)
{
    for (uint32_t i = 0; i < count; i++) {
        out->nulls[i] = sums[i].count <= 0;
        out->f64[i] = sums[i].count <= 0 ? 0 : sums[i].sum.f64 / (double)sums[i].count;
    }
}

void leat_accumulators_sum_results(const leat_accumulators *set, uint32_t index, const leat_accumulators_sum *sums,
                                   uint32_t count, leat_column *out_column)
{
    const leat_slot *slot = &set->slots[index];
    leat_value value;
    if (slot->aggregate->function->kind == LEAT_AGGREGATE_AVG && slot->aggregate->type.kind == LEAT_KIND_DOUBLE) {
        averages(sums, count, out_column);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        leat_slot_result(slot, &sums[i], sums[i].rows, NULL, &value);
        leat_column_set(out_column, i, &value, NULL);
    }
}

// -- the rest, slot by slot

leat_code leat_accumulators_merge(const leat_accumulators *set, void *into, const void *from, leat_budget *budget,
                                  leat_error *out_error)
{
    ((rows_header *)into)->rows += ((const rows_header *)from)->rows;
    for (uint32_t i = 0; i < set->count; i++)
        if (set->slots[i].owner && !leat_slot_merge(&set->slots[i], into, from, budget))
            return refused(out_error);
    return LEAT_OK;
}

void leat_accumulators_result(const leat_accumulators *set, const void *accumulator, uint32_t index, leat_arena *arena,
                              leat_value *out_value)
{
    LEAT_ASSERT(index < set->count);
    leat_slot_result(&set->slots[index], accumulator, leat_accumulators_rows(set, accumulator), arena, out_value);
}

int64_t leat_accumulators_rows(const leat_accumulators *set, const void *accumulator)
{
    (void)set;
    return ((const rows_header *)accumulator)->rows;
}

void leat_accumulators_release(const leat_accumulators *set, void *accumulator, leat_budget *budget)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->slots[i].owner)
            leat_slot_release(&set->slots[i], accumulator, budget);
}

enum { VARINT_MAX = 10, WORD = 8 };

static uint8_t *put_signed(uint8_t *out, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
    for (; zigzag >= 0x80; zigzag >>= 7)
        *out++ = (uint8_t)(zigzag | 0x80);
    *out++ = (uint8_t)zigzag;
    return out;
}

static uint8_t *put_word(uint8_t *out, int64_t value)
{
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    value = (int64_t)__builtin_bswap64((uint64_t)value);
#endif
    memcpy(out, &value, sizeof value);
    return out + sizeof value;
}

// The usual set as leat_slot_encode writes it, with one look at the writer: of a million changed keys it is half a snapshot.
static bool encode_fused(const leat_slot *only, const fused *accumulator, leat_writer *out)
{
    const leat_basket *basket = &accumulator->basket;
    uint8_t *begin = leat_writer_reserve(out, 2 * VARINT_MAX + 3 * WORD), *end = begin;
    if (!begin)
        return false;
    end = put_signed(end, accumulator->rows);
    end = put_signed(end, basket->count);
    end = put_word(end, basket->sum.i64);
    if (only->extremes) {
        end = put_word(end, basket->min.i64);
        end = put_word(end, basket->max.i64);
    }
    out->size += (size_t)(end - begin);
    return true;
}

void leat_accumulators_encode(const leat_accumulators *set, const void *accumulator, leat_writer *out)
{
    if (set->fused && encode_fused(set->fused, accumulator, out))
        return;
    leat_write_varint_signed(out, leat_accumulators_rows(set, accumulator));
    for (uint32_t i = 0; i < set->count; i++)
        if (set->slots[i].owner)
            leat_slot_encode(&set->slots[i], accumulator, out);
}

leat_code leat_accumulators_decode(const leat_accumulators *set, void *accumulator, leat_reader *reader,
                                   leat_budget *budget, leat_error *out_error)
{
    leat_accumulators_init(set, accumulator);
    ((rows_header *)accumulator)->rows = leat_read_varint_signed(reader);
    for (uint32_t i = 0; i < set->count; i++) {
        bool no_room = false;
        if (set->slots[i].owner && !leat_slot_decode(&set->slots[i], accumulator, reader, budget, &no_room)) {
            leat_accumulators_release(set, accumulator, budget);
            return no_room ? refused(out_error)
                           : leat_error_set(out_error, LEAT_E_CORRUPT,
                                            "a stored accumulator is damaged at its aggregate %u", i + 1);
        }
    }
    return LEAT_OK;
}
