// What the files of the dictionary share: how it lies in memory (key_slot.c: slots and their records; key.c: the tables).
#pragma once

#include <string.h>

#include "operators/core/budget.h"
#include "operators/core/key.h"

// How a dictionary lies in memory
//
// slot -> key: pages of PAGE_SLOTS records that never move, because leat_keys_bytes hands out pointers into them.
//   integer shape (one I64 column): 16 bytes, the encoded key (9 bytes) and its group;
//   byte shape (everything else): 32 bytes, the hash and the encoded key, inline up to 20 bytes, else in a block of its size class.
// key -> slot: open addressing with linear probing, no tombstones (removal shifts back), at most half full.
//   integer shape: the key itself stands in the table, so a hit touches one cache line; placed by a mix of the integer, since
//   XXH3 is only needed once per new key;
//   byte shape: upper half of the hash and the slot, 8 bytes; the lower bits of that half are the place, so that
//   growing and removing never look at the records.
// A NULL integer has its slot beside the table.
//
// Rows are probed by 256, without a branch that depends on where a key lies: one pass looks at the homes of all, the next at the
// places behind for those that were not at home, and so on; what is left after a few passes, and new keys, go one by one. (A loop that
// probes row by row mispredicts once per displaced key, which took 45 % of a window's time.)
//
// Released slots are bits in `free_bits`, with a summary of one bit per word above: the smallest is found by two scans.

enum {
    PAGE_BITS = 8,
    PAGE_SLOTS = 1 << PAGE_BITS,
    INTEGER_BYTES = 9, // null byte and 8 bytes: the stored form of core/type.c
    INLINE_BYTES = 20,
    TABLE_MIN = 16,
    UNKNOWN_PART = 16,     // of a batch: from there on numbers that are not known yet are many
    ROWS_AT_ONCE = 256,    // hashes and places of that many rows lie on the stack
    PROBE_ROUNDS = 4,      // passes over a batch; at half load 5 % of the keys lie further from home
    L2_BYTES = 256 * 1024, // of the smallest board; prefetching within the cache costs more than it gives
    INTEGER_AHEAD_BYTES =
        1 << 20,     // a loop without branches overlaps its misses by itself: below, prefetching cost 3 % at 10 k keys
    AHEAD_ROWS = 24, // measured; row by row: fetching 256 places before the first is looked at took a fifth longer
    BLOCK_BYTES = 16384,
    CLASS_STEP = 32,
    CLASS_COUNT = LEAT_KEY_BYTES_MAX / CLASS_STEP + 1,
};

typedef struct integer_entry {
    int64_t key;
    uint32_t slot_plus; // slot + 1; 0: empty
    uint32_t unused;
} integer_entry;

typedef struct byte_entry {
    uint32_t tag; // hash >> 32
    uint32_t slot_plus;
} byte_entry;

typedef struct integer_record {
    uint8_t group;
    uint8_t size; // 9, or 1 for NULL
    uint8_t unused[5];
    uint8_t bytes[INTEGER_BYTES];
} integer_record;
_Static_assert(sizeof(integer_record) == 16, "four to a cache line");

typedef struct byte_record {
    uint64_t hash;
    uint32_t size;
    uint8_t inlined[INLINE_BYTES]; // longer keys: a pointer to their block, by memcpy
} byte_record;
_Static_assert(sizeof(byte_record) == 32, "two to a cache line");

typedef struct key_block {
    struct key_block *next;
} key_block;

typedef enum key_shape { SHAPE_INTEGER, SHAPE_TEXT, SHAPE_COMPOSITE } key_shape;

// Slots by the numbers that a batch brings for its key column (key_id.c). A number is forgotten with its slot.
typedef struct key_ids {
    uint64_t dictionary;
    uint32_t changes; // of dictionaries; after a few the numbers are left alone
    uint32_t *slots, *of_slot;
    uint32_t room, slot_room;
} key_ids;

struct leat_keys {
    leat_env *env;
    leat_budget *budget;
    key_shape shape;
    leat_type *types;
    uint32_t type_count;
    size_t memory;
    // -- key -> slot
    void *table;
    uint32_t mask; // places - 1
    uint32_t table_used;
    uint32_t null_slot_plus; // integer shape
    // -- slot -> key
    uint8_t **pages;
    uint32_t page_count, page_room;
    uint32_t slot_end; // slots at or above were never handed out
    uint32_t count;
    uint64_t *free_bits, *free_summary;
    uint32_t free_words, summary_words;
    uint32_t free_count;
    // -- bytes of long keys
    key_block *blocks;
    size_t block_left;
    uint8_t **free_keys; // CLASS_COUNT; released ones, linked through their first bytes; NULL: no key was long yet
    key_ids ids;
    // -- room for encoding the rows of one call
    uint8_t *scratch;
    size_t scratch_size;
    uint32_t refused;  // rows of the last call that have no slot
    leat_arena nested; // items of the key that leat_keys_values decoded last
};

// ---- records

static inline size_t leat_keys_record_size(const leat_keys *keys)
{
    return keys->shape == SHAPE_INTEGER ? sizeof(integer_record) : sizeof(byte_record);
}

static inline void *leat_keys_record(const leat_keys *keys, uint32_t slot, size_t size)
{
    return keys->pages[slot >> PAGE_BITS] + (size_t)(slot & (PAGE_SLOTS - 1)) * size;
}

static inline integer_record *leat_keys_integer(const leat_keys *keys, uint32_t slot)
{
    return leat_keys_record(keys, slot, sizeof(integer_record));
}

static inline byte_record *leat_keys_byte(const leat_keys *keys, uint32_t slot)
{
    return leat_keys_record(keys, slot, sizeof(byte_record));
}

static inline const uint8_t *leat_keys_record_bytes(const byte_record *record)
{
    const uint8_t *bytes = record->inlined;
    if (record->size > INLINE_BYTES)
        memcpy(&bytes, record->inlined, sizeof bytes);
    return bytes;
}

// ---- key_slot.c

// Memory of the budget, counted; NULL: refused.
void *leat_keys_alloc(leat_keys *keys, size_t size);
void *leat_keys_grow(leat_keys *keys, void *old, size_t old_size, size_t new_size);
void leat_keys_free(leat_keys *keys, void *memory, size_t size);
void leat_keys_mark_free(leat_keys *keys, uint32_t slot);
// The slot that the next key gets; it is not taken before leat_keys_commit_slot. LEAT_SLOT_NONE: no memory.
uint32_t leat_keys_next_slot(leat_keys *keys);
void leat_keys_commit_slot(leat_keys *keys, uint32_t slot);
// Bytes of a key that is not inline: fill takes them (false: no memory), give_bytes hands them back.
void leat_keys_give_bytes(leat_keys *keys, uint8_t *bytes, size_t size);
bool leat_keys_record_fill(leat_keys *keys, byte_record *record, uint64_t hash, leat_slice key);

// ---- key_id.c

// The slots of rows by their numbers, LEAT_SLOT_NONE for those that are not known yet (*out_unknown). False: the batch has no
// numbers for that column.
bool leat_keys_by_id(leat_keys *keys, const leat_batch *batch, uint32_t column, uint32_t *out_slots,
                     uint32_t *out_unknown);
void leat_keys_learn_id(leat_keys *keys, uint32_t id, uint32_t slot);
void leat_keys_forget_id(leat_keys *keys, uint32_t slot); // the slot is released
void leat_keys_ids_fini(leat_keys *keys);
