// One aggregate's part of an accumulator, form by form: take a row, merge, result, stored form.
//
// Stored form, all little-endian or varint: COUNT signed count; BASKET signed count, 8 bytes sum, then 8 + 8 bytes min and max
// when the set keeps them; DECIMAL 16 bytes sum, signed count, signed overflows; MOMENTS signed count, mean, squares; KEPT
// has (1 byte), then the value's stored form (leat_value_encode); UNIQUE and LIST as of aggregate_bag; PAIR has (1 byte), then size and
// both values' stored forms; SKETCH as of aggregate_sketch.
#include <math.h>
#include <string.h>

#include "operators/expr/aggregate_function.h"

enum { ENTRY_MOST = 64 }; // bytes of a bag's entry that is encoded on the stack, as nearly all are

size_t leat_slot_size(const leat_slot *slot)
{
    switch (slot->form) {
    case LEAT_SLOT_ROWS:
        return 0;
    case LEAT_SLOT_COUNT:
        return sizeof(int64_t);
    case LEAT_SLOT_BASKET:
        return slot->extremes ? sizeof(leat_basket) : offsetof(leat_basket, min);
    case LEAT_SLOT_DECIMAL:
        return sizeof(leat_decimal_slot);
    case LEAT_SLOT_MOMENTS:
        return sizeof(leat_moments);
    case LEAT_SLOT_KEPT:
        return sizeof(leat_kept);
    case LEAT_SLOT_UNIQUE:
    case LEAT_SLOT_LIST:
        return sizeof(leat_bag);
    case LEAT_SLOT_PAIR:
        return sizeof(leat_kept);
    case LEAT_SLOT_SKETCH:
        return sizeof(leat_sketch);
    }
    return 0;
}

// Extremes begin where any value replaces them: NaN is replaced by the first, and stays only when all are NaN.
static void basket_init(const leat_slot *slot, leat_basket *basket)
{
    memset(basket, 0, leat_slot_size(slot));
    if (!slot->extremes)
        return;
    if (slot->is_double) {
        basket->min.f64 = basket->max.f64 = NAN;
    } else {
        basket->min.i64 = INT64_MAX;
        basket->max.i64 = INT64_MIN;
    }
}

void leat_slot_init(const leat_slot *slot, void *accumulator)
{
    void *at = leat_slot_at(slot, accumulator);
    if (slot->form == LEAT_SLOT_BASKET)
        basket_init(slot, at);
    else if (slot->form == LEAT_SLOT_UNIQUE || slot->form == LEAT_SLOT_LIST)
        leat_bag_init(at);
    else
        memset(at, 0, leat_slot_size(slot));
}

// -- kept values

static leat_physical kept_physical(const leat_slot *slot)
{
    return leat_type_physical(slot->aggregate->argument_types[0]);
}

static leat_value kept_value(const leat_slot *slot, const leat_kept *kept, leat_arena *arena)
{
    leat_value value = {.is_null = !kept->has};
    leat_reader reader;
    if (!kept->has)
        return value;
    switch (kept_physical(slot)) {
    case LEAT_PHYSICAL_BOOL:
        value.boolean = kept->i64 != 0;
        break;
    case LEAT_PHYSICAL_I64:
        value.i64 = kept->i64;
        break;
    case LEAT_PHYSICAL_F64:
        value.f64 = kept->f64;
        break;
    case LEAT_PHYSICAL_I128:
        value.i128 = kept->i128;
        break;
    case LEAT_PHYSICAL_TEXT:
        value.text = leat_slice_of(kept->bytes, kept->size);
        break;
    case LEAT_PHYSICAL_NESTED:
        leat_reader_init(&reader, kept->bytes, kept->size);
        LEAT_ASSERT(leat_value_decode(slot->aggregate->argument_types[0], &reader, arena, &value));
        break;
    }
    return value;
}

bool leat_kept_set_bytes(leat_kept *kept, leat_slice bytes, leat_budget *budget)
{
    if (bytes.size > kept->capacity || !kept->bytes) {
        size_t capacity = bytes.size < 16 ? 16 : bytes.size + bytes.size / 2;
        char *grown = leat_budget_alloc(budget, capacity);
        if (!grown)
            return false;
        leat_budget_free(budget, kept->bytes, kept->capacity);
        kept->bytes = grown;
        kept->capacity = (uint32_t)capacity;
    }
    if (bytes.size)
        memcpy(kept->bytes, bytes.data, bytes.size);
    kept->size = (uint32_t)bytes.size;
    return true;
}

static bool kept_nested(const leat_slot *slot, leat_kept *kept, const leat_value *value, leat_budget *budget)
{
    leat_writer writer;
    leat_writer_init(&writer, budget->env, LEAT_RECORD_BYTES_MAX);
    leat_value_encode(slot->aggregate->argument_types[0], value, &writer);
    bool done = !writer.failed && leat_kept_set_bytes(kept, leat_writer_slice(&writer), budget);
    leat_writer_fini(&writer);
    return done;
}

static bool kept_set(const leat_slot *slot, leat_kept *kept, const leat_value *value, leat_budget *budget)
{
    bool done = true;
    switch (kept_physical(slot)) {
    case LEAT_PHYSICAL_BOOL:
        kept->i64 = value->boolean;
        break;
    case LEAT_PHYSICAL_I64:
        kept->i64 = value->i64;
        break;
    case LEAT_PHYSICAL_F64:
        kept->f64 = value->f64;
        break;
    case LEAT_PHYSICAL_I128:
        kept->i128 = value->i128;
        break;
    case LEAT_PHYSICAL_TEXT:
        done = leat_kept_set_bytes(kept, value->text, budget);
        break;
    case LEAT_PHYSICAL_NESTED:
        done = kept_nested(slot, kept, value, budget);
        break;
    }
    kept->has |= done;
    return done;
}

static bool kept_add(const leat_slot *slot, leat_kept *kept, const leat_value *value, leat_budget *budget)
{
    leat_type type = slot->aggregate->argument_types[0];
    leat_aggregate_kind kind = slot->aggregate->function->kind;
    bool better = !kept->has || kind == LEAT_AGGREGATE_LAST;
    if (!better && kind != LEAT_AGGREGATE_FIRST) {
        leat_value now = kept_value(slot, kept, NULL);
        int order = leat_value_compare(type, value, &now);
        better = kind == LEAT_AGGREGATE_MIN ? order < 0 : order > 0;
    }
    return better ? kept_set(slot, kept, value, budget) : true;
}

// -- taking a row

static bool any_null(const leat_slot *slot, const leat_slot_row *row)
{
    for (uint32_t i = 0; i < slot->aggregate->argument_count; i++)
        if (leat_column_is_null(row->columns[slot->columns[i]], row->row))
            return true;
    return false;
}

// ARRAY_AGG takes every row, MIN_BY what has something to compare, JSON_OBJECTAGG what has a key.
static bool left_out(const leat_slot *slot, const leat_slot_row *row)
{
    leat_aggregate_kind kind = slot->aggregate->function->kind;
    if (kind == LEAT_AGGREGATE_ARRAY_AGG || slot->aggregate->argument_count == 0)
        return false;
    bool first_null = leat_column_is_null(row->columns[slot->columns[0]], row->row);
    if (kind == LEAT_AGGREGATE_MIN_BY || kind == LEAT_AGGREGATE_MAX_BY)
        return first_null;
    if (kind == LEAT_AGGREGATE_JSON_OBJECTAGG && first_null)
        return true;
    if (kind == LEAT_AGGREGATE_JSON_OBJECTAGG || kind == LEAT_AGGREGATE_JSON_ARRAYAGG)
        return leat_slice_is(slot->aggregate->parameter.text, "ABSENT") && any_null(slot, row);
    return any_null(slot, row);
}

static bool filtered_out(const leat_slot *slot, const leat_slot_row *row)
{
    if (slot->filter < 0)
        return false;
    const leat_column *filter = row->columns[slot->filter];
    return leat_column_is_null(filter, row->row) || !filter->boolean[row->row];
}

static void basket_add(const leat_slot *slot, leat_basket *basket, const leat_slot_row *row)
{
    const leat_column *column = row->columns[slot->columns[0]];
    basket->count += row->sign;
    if (slot->is_double) {
        double x = column->f64[row->row];
        basket->sum.f64 += (double)row->sign * x;
        if (slot->extremes) {
            basket->min.f64 = x < basket->min.f64 || basket->min.f64 != basket->min.f64 ? x : basket->min.f64;
            basket->max.f64 = x > basket->max.f64 || basket->max.f64 != basket->max.f64 ? x : basket->max.f64;
        }
        return;
    }
    int64_t x = column->i64[row->row];
    basket->sum.i64 = (int64_t)((uint64_t)basket->sum.i64 + (uint64_t)row->sign * (uint64_t)x);
    if (slot->extremes) {
        basket->min.i64 = x < basket->min.i64 ? x : basket->min.i64;
        basket->max.i64 = x > basket->max.i64 ? x : basket->max.i64;
    }
}

static double as_double(const leat_column *column, uint32_t row)
{
    switch (leat_type_physical(column->type)) {
    case LEAT_PHYSICAL_F64:
        return column->f64[row];
    case LEAT_PHYSICAL_I128:
        return leat_decimal_to_double(column->i128[row], column->type.scale);
    default:
        return (double)column->i64[row];
    }
}

// With a best value known, one comparison keeps it known.
static void bag_best(const leat_slot *slot, leat_bag *bag, const leat_value *value, uint32_t before)
{
    leat_aggregate_kind kind = slot->aggregate->function->kind;
    leat_type type = slot->aggregate->argument_types[0];
    leat_value best;
    leat_reader reader;
    if ((kind != LEAT_AGGREGATE_MIN && kind != LEAT_AGGREGATE_MAX) || bag->best == LEAT_BAG_NONE)
        return;
    leat_slice bytes = leat_bag_value(bag, bag->best);
    leat_reader_init(&reader, bytes.data, bytes.size);
    LEAT_ASSERT(leat_value_decode(type, &reader, NULL, &best));
    int order = leat_value_compare(type, value, &best);
    if (kind == LEAT_AGGREGATE_MIN ? order >= 0 : order <= 0)
        return;
    // An old value that came back from nothing: which one was not looked up.
    bag->best = bag->entry_count == before ? LEAT_BAG_NONE : before;
}

// How often a row counts: PERCENTILE may name it.
static int64_t frequency(const leat_slot *slot, const leat_slot_row *row)
{
    bool named = slot->aggregate->function->kind == LEAT_AGGREGATE_PERCENTILE && slot->aggregate->argument_count > 1;
    int64_t times = named ? row->columns[slot->columns[1]]->i64[row->row] : 1;
    return times > 0 ? times : 0;
}

// How many arguments an entry holds.
static uint32_t bag_arguments(const leat_slot *slot)
{
    return slot->aggregate->function->kind == LEAT_AGGREGATE_PERCENTILE ? 1 : slot->aggregate->argument_count;
}

static leat_value encode_arguments(const leat_slot *slot, const leat_slot_row *row, leat_writer *writer)
{
    leat_value first = leat_value_null();
    for (uint32_t i = 0; i < bag_arguments(slot); i++) {
        leat_value value = leat_column_value(row->columns[slot->columns[i]], row->row);
        leat_value_encode(slot->aggregate->argument_types[i], &value, writer);
        first = i ? first : value;
    }
    return first;
}

static bool bag_add(const leat_slot *slot, leat_bag *bag, const leat_slot_row *row)
{
    int64_t count = row->sign * frequency(slot, row);
    if (count == 0)
        return true;
    uint8_t bytes[ENTRY_MOST];
    leat_writer writer = {.bytes = bytes, .capacity = sizeof bytes, .limit = sizeof bytes};
    leat_value first = encode_arguments(slot, row, &writer);
    bool is_long = writer.failed;
    if (is_long) {
        leat_writer_init(&writer, row->env, LEAT_RECORD_BYTES_MAX);
        encode_arguments(slot, row, &writer);
    }
    uint32_t before = bag->entry_count, live = bag->live;
    bool done = !writer.failed &&
                leat_bag_add(bag, slot->form == LEAT_SLOT_UNIQUE, leat_writer_slice(&writer), count, row->budget);
    if (done && bag->live > live)
        bag_best(slot, bag, &first, before);
    if (is_long)
        leat_writer_fini(&writer);
    return done;
}

static bool sketch_add(const leat_slot *slot, leat_sketch *sketch, const leat_slot_row *row)
{
    leat_value value = leat_column_value(row->columns[slot->columns[0]], row->row);
    return leat_sketch_add(sketch, leat_value_hash(slot->aggregate->argument_types[0], &value), row->budget);
}

bool leat_slot_add(const leat_slot *slot, void *accumulator, const leat_slot_row *row)
{
    void *at = leat_slot_at(slot, accumulator);
    if (filtered_out(slot, row))
        return true;
    if (left_out(slot, row))
        return true;
    switch (slot->form) {
    case LEAT_SLOT_ROWS:
        return true;
    case LEAT_SLOT_COUNT:
        *(int64_t *)at += row->sign;
        return true;
    case LEAT_SLOT_BASKET:
        basket_add(slot, at, row);
        return true;
    case LEAT_SLOT_DECIMAL:
        leat_decimal_add(at, row->columns[slot->columns[0]]->i128[row->row], row->sign);
        return true;
    case LEAT_SLOT_MOMENTS:
        leat_moments_add(at, as_double(row->columns[slot->columns[0]], row->row), row->sign);
        return true;
    case LEAT_SLOT_UNIQUE:
    case LEAT_SLOT_LIST:
        return bag_add(slot, at, row);
    case LEAT_SLOT_PAIR:
        return row->sign < 0 || leat_pair_add(slot, at, row);
    case LEAT_SLOT_SKETCH:
        return row->sign < 0 || sketch_add(slot, at, row);
    case LEAT_SLOT_KEPT:
        break;
    }
    leat_value value = leat_column_value(row->columns[slot->columns[0]], row->row);
    return row->sign < 0 || kept_add(slot, at, &value, row->budget);
}

// -- merging

static void basket_merge(const leat_slot *slot, leat_basket *into, const leat_basket *from)
{
    into->count += from->count;
    if (slot->is_double)
        into->sum.f64 += from->sum.f64;
    else
        into->sum.i64 = (int64_t)((uint64_t)into->sum.i64 + (uint64_t)from->sum.i64);
    if (!slot->extremes || from->count == 0)
        return;
    if (slot->is_double) {
        into->min.f64 = from->min.f64 < into->min.f64 || into->min.f64 != into->min.f64 ? from->min.f64 : into->min.f64;
        into->max.f64 = from->max.f64 > into->max.f64 || into->max.f64 != into->max.f64 ? from->max.f64 : into->max.f64;
    } else {
        into->min.i64 = from->min.i64 < into->min.i64 ? from->min.i64 : into->min.i64;
        into->max.i64 = from->max.i64 > into->max.i64 ? from->max.i64 : into->max.i64;
    }
}

static void moments_merge(leat_moments *into, const leat_moments *from)
{
    if (from->count <= 0 || into->count <= 0) {
        int64_t count = into->count + from->count;
        if (from->count > 0)
            *into = *from;
        into->count = count;
        return;
    }
    // In the order of Flink's WelfordM2AggFunction, to the last bit.
    double count = (double)(into->count + from->count), distance = from->mean - into->mean;
    double both = (double)(into->count * from->count);
    into->squares = into->squares + from->squares + both / count * distance * distance;
    into->mean += (double)from->count / count * distance;
    into->count += from->count;
}

static bool kept_merge(const leat_slot *slot, leat_kept *into, const leat_kept *from, leat_budget *budget)
{
    leat_arena arena;
    if (!from->has)
        return true;
    leat_arena_init(&arena, budget->env, 1024);
    leat_value value = kept_value(slot, from, &arena);
    bool done = kept_add(slot, into, &value, budget);
    leat_arena_fini(&arena);
    return done;
}

static void decimal_merge(leat_decimal_slot *into, const leat_decimal_slot *from)
{
    int64_t count = into->count + from->count;
    leat_decimal_add(into, from->sum, 1);
    into->count = count;
    into->overflows += from->overflows;
}

static bool bag_merge(const leat_slot *slot, leat_bag *into, const leat_bag *from, leat_budget *budget)
{
    bool done = leat_bag_merge(into, from, slot->form == LEAT_SLOT_UNIQUE, budget);
    into->best = LEAT_BAG_NONE;
    return done;
}

bool leat_slot_merge(const leat_slot *slot, void *into, const void *from, leat_budget *budget)
{
    void *a = leat_slot_at(slot, into);
    const void *b = leat_slot_at(slot, from);
    switch (slot->form) {
    case LEAT_SLOT_ROWS:
        break;
    case LEAT_SLOT_COUNT:
        *(int64_t *)a += *(const int64_t *)b;
        break;
    case LEAT_SLOT_BASKET:
        basket_merge(slot, a, b);
        break;
    case LEAT_SLOT_DECIMAL:
        decimal_merge(a, b);
        break;
    case LEAT_SLOT_MOMENTS:
        moments_merge(a, b);
        break;
    case LEAT_SLOT_KEPT:
        return kept_merge(slot, a, b, budget);
    case LEAT_SLOT_UNIQUE:
    case LEAT_SLOT_LIST:
        return bag_merge(slot, a, b, budget);
    case LEAT_SLOT_PAIR:
        return leat_pair_merge(slot, a, b, budget);
    case LEAT_SLOT_SKETCH:
        return leat_sketch_merge(a, b, budget);
    }
    return true;
}

// -- result, release

static void basket_result(const leat_slot *slot, const leat_basket *basket, leat_value *out)
{
    leat_aggregate_kind kind = slot->aggregate->function->kind;
    if (kind == LEAT_AGGREGATE_COUNT) {
        *out = (leat_value){.i64 = basket->count};
    } else if (kind == LEAT_AGGREGATE_SUM || kind == LEAT_AGGREGATE_AVG) {
        leat_sum_result(slot->aggregate, basket->count, basket, out);
    } else {
        *out = (leat_value){.is_null = basket->count <= 0};
        bool min = kind == LEAT_AGGREGATE_MIN;
        if (slot->is_double)
            out->f64 = min ? basket->min.f64 : basket->max.f64;
        else
            out->i64 = min ? basket->min.i64 : basket->max.i64;
    }
}

void leat_slot_result(const leat_slot *slot, const void *accumulator, int64_t rows, leat_arena *arena, leat_value *out)
{
    void *at = leat_slot_at(slot, accumulator);
    switch (slot->form) {
    case LEAT_SLOT_ROWS:
        *out = (leat_value){.i64 = rows};
        return;
    case LEAT_SLOT_COUNT:
        *out = (leat_value){.i64 = *(int64_t *)at};
        return;
    case LEAT_SLOT_BASKET:
        basket_result(slot, at, out);
        return;
    case LEAT_SLOT_DECIMAL:
        leat_decimal_result(slot->aggregate, at, out);
        return;
    case LEAT_SLOT_MOMENTS:
        leat_moments_result(slot->aggregate, at, out);
        return;
    case LEAT_SLOT_KEPT:
        *out = kept_value(slot, at, arena);
        return;
    case LEAT_SLOT_UNIQUE:
    case LEAT_SLOT_LIST:
        leat_bag_result(slot, at, arena, out);
        return;
    case LEAT_SLOT_PAIR:
        leat_pair_result(slot, at, arena, out);
        return;
    case LEAT_SLOT_SKETCH:
        *out = (leat_value){.i64 = leat_sketch_estimate(at)};
        return;
    }
}

void leat_slot_release(const leat_slot *slot, void *accumulator, leat_budget *budget)
{
    void *at = leat_slot_at(slot, accumulator);
    if (!leat_slot_is_variable(slot))
        return;
    if (slot->form == LEAT_SLOT_SKETCH) {
        leat_sketch_fini(at, budget);
    } else if (slot->form == LEAT_SLOT_KEPT || slot->form == LEAT_SLOT_PAIR) {
        leat_kept *kept = at;
        leat_budget_free(budget, kept->bytes, kept->capacity);
        memset(kept, 0, sizeof *kept);
    } else {
        leat_bag_fini(at, budget);
    }
}

// -- stored form

static void write_i128(leat_writer *out, leat_i128 value)
{
    leat_write_u64(out, (uint64_t)value);
    leat_write_u64(out, leat_decimal_high(value));
}

static leat_i128 read_i128(leat_reader *reader)
{
    uint64_t low = leat_read_u64(reader), high = leat_read_u64(reader);
    return leat_decimal_join(high, low);
}

static void kept_encode(const leat_slot *slot, const leat_kept *kept, leat_writer *out)
{
    leat_write_u8(out, kept->has);
    if (!kept->has)
        return;
    if (kept_physical(slot) == LEAT_PHYSICAL_NESTED) {
        leat_write_bytes(out, kept->bytes, kept->size);
        return;
    }
    leat_value value = kept_value(slot, kept, NULL);
    leat_value_encode(slot->aggregate->argument_types[0], &value, out);
}

static bool kept_decode(const leat_slot *slot, leat_kept *kept, leat_reader *reader, leat_budget *budget,
                        bool *out_refused)
{
    leat_arena arena;
    leat_value value;
    if (!leat_read_u8(reader))
        return !reader->failed;
    leat_arena_init(&arena, budget->env, 1024);
    bool read = leat_value_decode(slot->aggregate->argument_types[0], reader, &arena, &value) && !value.is_null;
    *out_refused = read && !kept_set(slot, kept, &value, budget);
    leat_arena_fini(&arena);
    return read && !*out_refused;
}

void leat_slot_encode(const leat_slot *slot, const void *accumulator, leat_writer *out)
{
    const void *at = leat_slot_at(slot, accumulator);
    const leat_basket *basket = at;
    const leat_decimal_slot *decimal = at;
    const leat_moments *moments = at;
    switch (slot->form) {
    case LEAT_SLOT_ROWS:
        return;
    case LEAT_SLOT_COUNT:
        leat_write_varint_signed(out, *(const int64_t *)at);
        return;
    case LEAT_SLOT_BASKET:
        leat_write_varint_signed(out, basket->count);
        leat_write_u64(out, (uint64_t)basket->sum.i64);
        if (slot->extremes) {
            leat_write_u64(out, (uint64_t)basket->min.i64);
            leat_write_u64(out, (uint64_t)basket->max.i64);
        }
        return;
    case LEAT_SLOT_DECIMAL:
        write_i128(out, decimal->sum);
        leat_write_varint_signed(out, decimal->count);
        leat_write_varint_signed(out, decimal->overflows);
        return;
    case LEAT_SLOT_MOMENTS:
        leat_write_varint_signed(out, moments->count);
        leat_write_f64(out, moments->mean);
        leat_write_f64(out, moments->squares);
        return;
    case LEAT_SLOT_KEPT:
        kept_encode(slot, at, out);
        return;
    case LEAT_SLOT_UNIQUE:
    case LEAT_SLOT_LIST:
        leat_bag_encode(at, out);
        return;
    case LEAT_SLOT_PAIR:
        leat_pair_encode(at, out);
        return;
    case LEAT_SLOT_SKETCH:
        leat_sketch_encode(at, out);
        return;
    }
}

static void basket_decode(const leat_slot *slot, leat_basket *basket, leat_reader *reader)
{
    basket->count = leat_read_varint_signed(reader);
    basket->sum.i64 = (int64_t)leat_read_u64(reader);
    if (slot->extremes) {
        basket->min.i64 = (int64_t)leat_read_u64(reader);
        basket->max.i64 = (int64_t)leat_read_u64(reader);
    }
}

// The values of one entry of a bag, as bag_add wrote them: results decode them without a further look.
static bool is_entry(const leat_slot *slot, leat_slice bytes, leat_arena *arena)
{
    leat_reader reader;
    leat_value value;
    bool whole = true;
    leat_reader_init(&reader, bytes.data, bytes.size);
    for (uint32_t i = 0; i < bag_arguments(slot) && whole; i++)
        whole = leat_value_decode(slot->aggregate->argument_types[i], &reader, arena, &value);
    return whole && leat_reader_left(&reader) == 0;
}

static bool bag_decode(const leat_slot *slot, leat_bag *bag, leat_reader *reader, leat_budget *budget,
                       bool *out_refused)
{
    leat_arena arena;
    bool whole = leat_bag_decode(bag, slot->form == LEAT_SLOT_UNIQUE, reader, budget, out_refused);
    leat_arena_init(&arena, budget->env, 1024);
    for (uint32_t i = 0; i < bag->entry_count && whole; i++)
        whole = is_entry(slot, leat_bag_value(bag, i), &arena);
    leat_arena_fini(&arena);
    return whole;
}

bool leat_slot_decode(const leat_slot *slot, void *accumulator, leat_reader *reader, leat_budget *budget,
                      bool *out_refused)
{
    void *at = leat_slot_at(slot, accumulator);
    leat_decimal_slot *decimal = at;
    leat_moments *moments = at;
    *out_refused = false;
    switch (slot->form) {
    case LEAT_SLOT_ROWS:
        break;
    case LEAT_SLOT_COUNT:
        *(int64_t *)at = leat_read_varint_signed(reader);
        break;
    case LEAT_SLOT_BASKET:
        basket_decode(slot, at, reader);
        break;
    case LEAT_SLOT_DECIMAL:
        decimal->sum = read_i128(reader);
        decimal->count = leat_read_varint_signed(reader);
        decimal->overflows = leat_read_varint_signed(reader);
        break;
    case LEAT_SLOT_MOMENTS:
        moments->count = leat_read_varint_signed(reader);
        moments->mean = leat_read_f64(reader);
        moments->squares = leat_read_f64(reader);
        break;
    case LEAT_SLOT_KEPT:
        return kept_decode(slot, at, reader, budget, out_refused);
    case LEAT_SLOT_UNIQUE:
    case LEAT_SLOT_LIST:
        return bag_decode(slot, at, reader, budget, out_refused);
    case LEAT_SLOT_PAIR:
        return leat_pair_decode(slot, at, reader, budget, out_refused);
    case LEAT_SLOT_SKETCH:
        return leat_sketch_decode(at, reader, budget, out_refused);
    }
    return !reader->failed;
}
