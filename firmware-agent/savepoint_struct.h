// What the two sides of a savepoint share: names and numbers of its files, and lines of its manifest. Nobody else includes this.
#pragma once

#include "firmware-agent/savepoint.h"
#include "operators/core/operator.h"

typedef enum savepoint_part { SAVEPOINT_STATE, SAVEPOINT_JOURNAL, SAVEPOINT_OUTBOX, SAVEPOINT_PARTS } savepoint_part;

enum {
    SAVEPOINT_PART_HEAD = 12, // "leatpart", u32 version
    SAVEPOINT_BLOCK_HEAD = 8, // u32 size, u32 crc
    SAVEPOINT_MANIFEST_MAX = 16 << 20,
};

extern const char *const leat_savepoint_part_names[SAVEPOINT_PARTS];

// One file of blocks, as the manifest tells of it.
typedef struct savepoint_part_sums {
    uint64_t bytes, blocks;
    uint32_t crc;
} savepoint_part_sums;

// CRC of a block: of its size as it stands in the file, then its payload.
uint32_t leat_savepoint_block_crc(uint32_t size, const void *payload);
// Adds one entry's bytes to its operator's sum.
uint32_t leat_savepoint_entry_crc(uint32_t crc, uint8_t table, uint32_t group, leat_slice key, leat_slice value);

// -- fields of a line: ` name=value`
void leat_savepoint_write_text(leat_writer *out, const char *name, const char *value);
void leat_savepoint_write_bytes(leat_writer *out, const char *name, leat_slice value); // hex, `-` when empty
// False: there is no such field, or it is no such value. Texts and bytes lie in the arena.
bool leat_savepoint_read_text(leat_slice line, const char *name, leat_arena *arena, const char **out_value);
bool leat_savepoint_read_bytes(leat_slice line, const char *name, leat_arena *arena, leat_slice *out_value);
const char *leat_savepoint_byte_order(void); // of this machine: "little", "big"
bool leat_savepoint_read_word(leat_slice line, const char *name, leat_slice *out_word); // bare; false: it is not there
bool leat_savepoint_read_number(leat_slice line, const char *name, uint64_t *out_value);
bool leat_savepoint_read_hex(leat_slice line, const char *name, uint64_t *out_value);
