// The journal record of one reading of one unit, and its way into a row.
//
// Bytes (version 1), integers little-endian, values as they were on the wire:
//   u8 version, u8 unit, u8 quality (0 good, 1 bad), u8 reason (0 none, 1..11 the exception, 0x80 no answer, 0x81 garbled, 0x82 link)
//   then blocks up to the end: u8 kind (leat_modbus_kind), u16 address, u16 count, and
//     registers: count * 2 bytes, high byte first    bits: (count + 7) / 8 bytes, the first in the lowest bit
// A block that could not be read is missing; fields without a block are NULL. Blocks carry their addresses, so a record that
// was written under other fields is still read right.
#pragma once

#include "drivers/bus/modbus_plan.h"
#include "drivers/source.h"

enum { LEAT_MODBUS_RECORD_HEAD = 4, LEAT_MODBUS_BLOCK_HEAD = 5, LEAT_MODBUS_BLOCKS_MAX = LEAT_COLUMNS_MAX };

typedef enum leat_modbus_reason {
    LEAT_MODBUS_NONE = 0, // 1..11: the exception of the last block that was refused
    LEAT_MODBUS_NO_ANSWER = 0x80,
    LEAT_MODBUS_GARBLED = 0x81,
    LEAT_MODBUS_LINK = 0x82,
} leat_modbus_reason;

typedef struct leat_modbus_record {
    uint8_t unit;
    bool bad;
    uint8_t reason;
    uint32_t block_count;
    struct {
        uint8_t kind;
        uint16_t address, count;
        const uint8_t *bytes;
    } blocks[LEAT_MODBUS_BLOCKS_MAX];
} leat_modbus_record;

size_t leat_modbus_record_begin(uint8_t *bytes, uint8_t unit, bool bad, uint8_t reason); // size of the head
size_t leat_modbus_block_begin(uint8_t *bytes, uint8_t kind, uint16_t address, uint16_t count);
bool leat_modbus_record_parse(leat_slice payload, leat_modbus_record *out_record); // false: not such a record

// Puts the field's value into the column, NULL where the record has none or the float is NaN. Texts are copied into the arena;
// bytes that are not UTF-8 are taken as ISO 8859-1. The value's reason when it does not fit the column, else NULL.
const char *leat_modbus_value_set(const leat_modbus_point *point, const leat_modbus_record *record,
                                  uint32_t *block_hint, leat_column *column, uint32_t row, leat_arena *arena);
