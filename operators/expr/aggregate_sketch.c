#include "operators/expr/aggregate_sketch.h"

#include <math.h>
#include <string.h>

#include "operators/base/hash.h"

enum {
    INDEX_BITS = 14,
    REGISTERS = 1 << INDEX_BITS,
    RANK_BITS = 6,
    RANK_MAX = 64 - INDEX_BITS + 1,
    TABLE_MIN = 16,
    TABLE_MAX = REGISTERS / 8, // entries of 4 bytes: half of what the registers take
};

void leat_sketch_fini(leat_sketch *sketch, leat_budget *budget)
{
    leat_budget_free(budget, sketch->registers, REGISTERS);
    leat_budget_free(budget, sketch->table, sketch->capacity * sizeof *sketch->table);
    memset(sketch, 0, sizeof *sketch);
}

static void table_put(leat_sketch *sketch, uint32_t index, uint32_t rank)
{
    uint32_t mask = sketch->capacity - 1, at = (uint32_t)leat_hash_mix(index + 1) & mask;
    while (sketch->table[at] && sketch->table[at] >> RANK_BITS != index)
        at = (at + 1) & mask;
    sketch->count += !sketch->table[at];
    if ((sketch->table[at] & ((1 << RANK_BITS) - 1)) < rank)
        sketch->table[at] = index << RANK_BITS | rank;
}

static bool to_registers(leat_sketch *sketch, leat_budget *budget)
{
    uint8_t *registers = leat_budget_alloc(budget, REGISTERS);
    if (!registers)
        return false;
    for (uint32_t i = 0; i < sketch->capacity; i++)
        if (sketch->table[i])
            registers[sketch->table[i] >> RANK_BITS] = (uint8_t)(sketch->table[i] & ((1 << RANK_BITS) - 1));
    leat_sketch_fini(sketch, budget);
    sketch->registers = registers;
    return true;
}

static bool table_grow(leat_sketch *sketch, leat_budget *budget)
{
    leat_sketch grown = {.capacity = sketch->capacity ? sketch->capacity * 2 : TABLE_MIN};
    grown.table = leat_budget_alloc(budget, grown.capacity * sizeof *grown.table);
    if (!grown.table)
        return false;
    for (uint32_t i = 0; i < sketch->capacity; i++)
        if (sketch->table[i])
            table_put(&grown, sketch->table[i] >> RANK_BITS, sketch->table[i] & ((1 << RANK_BITS) - 1));
    leat_sketch_fini(sketch, budget);
    *sketch = grown;
    return true;
}

// Room for one more register.
static bool reserve(leat_sketch *sketch, leat_budget *budget)
{
    if (sketch->registers || (sketch->count + 1) * 4 <= sketch->capacity * 3)
        return true;
    return sketch->capacity < TABLE_MAX ? table_grow(sketch, budget) : to_registers(sketch, budget);
}

static bool put(leat_sketch *sketch, uint32_t index, uint32_t rank, leat_budget *budget)
{
    if (!reserve(sketch, budget))
        return false;
    if (!sketch->registers)
        table_put(sketch, index, rank);
    else if (sketch->registers[index] < rank)
        sketch->registers[index] = (uint8_t)rank;
    return true;
}

bool leat_sketch_add(leat_sketch *sketch, uint64_t hash, leat_budget *budget)
{
    uint64_t mixed = leat_hash_mix(hash + 0x9e3779b97f4a7c15u);
    uint64_t rest = mixed << INDEX_BITS | (uint64_t)1 << (INDEX_BITS - 1);
    return put(sketch, (uint32_t)(mixed >> (64 - INDEX_BITS)), (uint32_t)__builtin_clzll(rest) + 1, budget);
}

bool leat_sketch_merge(leat_sketch *into, const leat_sketch *from, leat_budget *budget)
{
    for (uint32_t i = 0; from->registers && i < REGISTERS; i++)
        if (from->registers[i] && !put(into, i, from->registers[i], budget))
            return false;
    for (uint32_t i = 0; i < from->capacity; i++)
        if (from->table[i] && !put(into, from->table[i] >> RANK_BITS, from->table[i] & ((1 << RANK_BITS) - 1), budget))
            return false;
    return true;
}

// -- Ertl's estimate

static double sigma(double x)
{
    double y = 1, z = x, before;
    if (x == 1)
        return INFINITY;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    double y = 1, z = 1 - x, before;
    if (x == 0 || x == 1)
        return 0;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

static void count_ranks(const leat_sketch *sketch, uint32_t counts[RANK_MAX + 1])
{
    memset(counts, 0, sizeof *counts * (RANK_MAX + 1));
    counts[0] = sketch->registers ? 0 : REGISTERS - sketch->count;
    for (uint32_t i = 0; sketch->registers && i < REGISTERS; i++)
        counts[sketch->registers[i]]++;
    for (uint32_t i = 0; i < sketch->capacity; i++)
        if (sketch->table[i])
            counts[sketch->table[i] & ((1 << RANK_BITS) - 1)]++;
}

int64_t leat_sketch_estimate(const leat_sketch *sketch)
{
    uint32_t counts[RANK_MAX + 1];
    const double registers = REGISTERS;
    count_ranks(sketch, counts);
    double z = registers * tau(1 - counts[RANK_MAX] / registers);
    for (int rank = RANK_MAX - 1; rank > 0; rank--)
        z = 0.5 * (z + counts[rank]);
    z += registers * sigma(counts[0] / registers);
    return llround(registers / (2 * 0.69314718055994530942) * registers / z);
}

// -- stored form

void leat_sketch_encode(const leat_sketch *sketch, leat_writer *out)
{
    leat_write_u8(out, sketch->registers != NULL);
    if (sketch->registers) {
        leat_write_bytes(out, sketch->registers, REGISTERS);
        return;
    }
    leat_write_varint(out, sketch->count);
    for (uint32_t i = 0; i < sketch->capacity; i++)
        if (sketch->table[i])
            leat_write_u32(out, sketch->table[i]);
}

static bool decode_registers(leat_sketch *sketch, leat_reader *reader, leat_budget *budget, bool *out_refused)
{
    leat_slice bytes = leat_read_bytes(reader, REGISTERS);
    if (reader->failed)
        return false;
    for (size_t i = 0; i < bytes.size; i++)
        if ((uint8_t)bytes.data[i] > RANK_MAX)
            return false;
    *out_refused = !to_registers(sketch, budget);
    if (!*out_refused)
        memcpy(sketch->registers, bytes.data, REGISTERS);
    return !*out_refused;
}

bool leat_sketch_decode(leat_sketch *sketch, leat_reader *reader, leat_budget *budget, bool *out_refused)
{
    uint8_t form = leat_read_u8(reader);
    *out_refused = false;
    if (form == 1)
        return decode_registers(sketch, reader, budget, out_refused);
    uint64_t count = leat_read_varint(reader);
    for (uint64_t i = 0; form == 0 && i < count && !reader->failed; i++) {
        uint32_t entry = leat_read_u32(reader), rank = entry & ((1 << RANK_BITS) - 1);
        if (reader->failed || entry >> RANK_BITS >= REGISTERS || rank == 0 || rank > RANK_MAX)
            return false;
        *out_refused = !put(sketch, entry >> RANK_BITS, rank, budget);
        if (*out_refused)
            return false;
    }
    return form == 0 && !reader->failed;
}
