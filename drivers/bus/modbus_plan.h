// Which requests read the fields of one unit: fields of a kind that lie close together share a request (a block).
//
// Usage: points from the settings, then leat_modbus_plan_make; leat_modbus_plan_split when a device refuses a block, which
// the plan remembers. Ownership: all memory is the arena's. Threads: one. Failure: none.
// Limits: at most one block a field.
#pragma once

#include "drivers/bus/modbus_settings.h"

// A field as it is read and decoded.
typedef struct leat_modbus_point {
    uint8_t kind;  // leat_modbus_kind
    uint8_t type;  // leat_modbus_type, never AUTO
    uint8_t order; // leat_modbus_order
    int8_t bit;    // -1: none
    bool scaled;
    uint16_t address;
    uint16_t count; // registers, or 1 bit
    double scale, offset;
} leat_modbus_point;

typedef struct leat_modbus_block {
    uint8_t kind;
    uint16_t address, count;
    uint32_t first, points; // in plan->order
} leat_modbus_block;

typedef struct leat_modbus_plan {
    const leat_modbus_point *points;
    uint32_t *order; // points by kind and address
    leat_modbus_block *blocks;
    uint32_t block_count, block_capacity;
} leat_modbus_plan;

leat_modbus_point leat_modbus_point_of(const leat_modbus_field_settings *field);
void leat_modbus_plan_make(leat_modbus_plan *plan, const leat_modbus_point *points, uint32_t count,
                           const leat_modbus_settings *settings, leat_arena *arena);
// Replaces the block by two that read less: at its widest gap, else in the middle. False when it is one piece.
bool leat_modbus_plan_split(leat_modbus_plan *plan, uint32_t block);

static inline bool leat_modbus_is_bits(uint8_t kind) { return kind <= LEAT_MODBUS_DISCRETE; }
static inline size_t leat_modbus_bytes(uint8_t kind, uint16_t count) // of a block's values
{
    return leat_modbus_is_bits(kind) ? ((size_t)count + 7) / 8 : (size_t)count * 2;
}
