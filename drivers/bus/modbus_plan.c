#include "drivers/bus/modbus_plan.h"

#include <string.h>

static uint16_t registers_of(uint8_t type, int64_t length)
{
    static const uint8_t registers[] = {
        [LEAT_MODBUS_BOOL] = 1,   [LEAT_MODBUS_INT16] = 1,   [LEAT_MODBUS_UINT16] = 1,
        [LEAT_MODBUS_INT32] = 2,  [LEAT_MODBUS_UINT32] = 2,  [LEAT_MODBUS_INT64] = 4,
        [LEAT_MODBUS_UINT64] = 4, [LEAT_MODBUS_FLOAT32] = 2, [LEAT_MODBUS_FLOAT64] = 4,
    };
    return type == LEAT_MODBUS_STRING ? (uint16_t)length : registers[type];
}

leat_modbus_point leat_modbus_point_of(const leat_modbus_field_settings *field)
{
    leat_modbus_point point = {.order = (uint8_t)field->order, .bit = (int8_t)field->bit, .offset = field->offset};
    for (int kind = 0; kind < LEAT_MODBUS_KINDS; kind++)
        if (field->address[kind] >= 0) {
            point.kind = (uint8_t)kind;
            point.address = (uint16_t)field->address[kind];
        }
    bool bit = leat_modbus_is_bits(point.kind) || point.bit >= 0;
    point.type = field->type != LEAT_MODBUS_AUTO ? (uint8_t)field->type : bit ? LEAT_MODBUS_BOOL : LEAT_MODBUS_UINT16;
    point.count = leat_modbus_is_bits(point.kind) ? 1 : registers_of(point.type, field->length);
    point.scaled = field->scale != 0 || field->offset != 0;
    point.scale = field->scale != 0 ? field->scale : 1;
    return point;
}

static bool lies_before(const leat_modbus_point *a, const leat_modbus_point *b)
{
    return a->kind != b->kind ? a->kind < b->kind : a->address < b->address;
}

static void sort(leat_modbus_plan *plan, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = i;
        for (; j > 0 && lies_before(&plan->points[i], &plan->points[plan->order[j - 1]]); j--)
            plan->order[j] = plan->order[j - 1];
        plan->order[j] = i;
    }
}

static uint32_t end_of(const leat_modbus_point *point) { return (uint32_t)point->address + point->count; }

static leat_modbus_block block_of(const leat_modbus_plan *plan, uint32_t first, uint32_t points)
{
    const leat_modbus_point *start = &plan->points[plan->order[first]];
    uint32_t end = 0;
    for (uint32_t i = first; i < first + points; i++)
        if (end_of(&plan->points[plan->order[i]]) > end)
            end = end_of(&plan->points[plan->order[i]]);
    return (leat_modbus_block){start->kind, start->address, (uint16_t)(end - start->address), first, points};
}

static bool joins(const leat_modbus_block *block, const leat_modbus_point *point, const leat_modbus_settings *settings)
{
    int64_t factor = leat_modbus_is_bits(block->kind) ? 16 : 1, most = settings->max_registers * factor;
    if (factor > 1 && most > LEAT_MODBUS_BITS_MAX)
        most = LEAT_MODBUS_BITS_MAX;
    return point->kind == block->kind && end_of(point) - block->address <= (uint32_t)most &&
           point->address <= (uint32_t)block->address + block->count + (uint32_t)(settings->join_gap * factor);
}

void leat_modbus_plan_make(leat_modbus_plan *plan, const leat_modbus_point *points, uint32_t count,
                           const leat_modbus_settings *settings, leat_arena *arena)
{
    *plan = (leat_modbus_plan){.points = points, .block_capacity = count};
    plan->order = leat_arena_array(arena, uint32_t, count + 1);
    plan->blocks = leat_arena_array(arena, leat_modbus_block, count + 1);
    sort(plan, count);
    leat_modbus_block *last = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (last && joins(last, &points[plan->order[i]], settings)) {
            *last = block_of(plan, last->first, last->points + 1);
        } else {
            last = &plan->blocks[plan->block_count++];
            *last = block_of(plan, i, 1);
        }
    }
}

// Points of the first part; 0: there is no place to cut. A cut lies between two points that do not overlap.
static uint32_t cut_of(const leat_modbus_plan *plan, const leat_modbus_block *block)
{
    uint32_t best = 0, best_gap = 0, best_away = UINT32_MAX, end = 0;
    for (uint32_t i = 0; i < block->points; i++) {
        const leat_modbus_point *point = &plan->points[plan->order[block->first + i]];
        if (i > 0 && point->address >= end) {
            uint32_t gap = point->address - end,
                     away = i * 2 > block->points ? i * 2 - block->points : block->points - i * 2;
            if (!best || gap > best_gap || (gap == best_gap && away < best_away)) {
                best = i;
                best_gap = gap;
                best_away = away;
            }
        }
        end = end_of(point) > end ? end_of(point) : end;
    }
    return best;
}

bool leat_modbus_plan_split(leat_modbus_plan *plan, uint32_t block)
{
    leat_modbus_block whole = plan->blocks[block];
    uint32_t cut = cut_of(plan, &whole);
    if (!cut)
        return false;
    LEAT_ASSERT(plan->block_count < plan->block_capacity);
    memmove(&plan->blocks[block + 1], &plan->blocks[block], (plan->block_count - block) * sizeof *plan->blocks);
    plan->block_count++;
    plan->blocks[block] = block_of(plan, whole.first, cut);
    plan->blocks[block + 1] = block_of(plan, whole.first + cut, whole.points - cut);
    return true;
}
