// Streams of packed entries in LMDB values of at most 2016 bytes: writing and reading of the format that store.h specifies.
//
// A stream has 64 - chunk_bits high bits of its keys to itself. Usage: pack_init, pack for each entry, pack_end, all within one
// write transaction; or leat_stream_read within a read transaction.
// Ownership: entries given to a visitor lie in LMDB's map or in the arena, until the transaction ends or the arena is reset.
// Threads: the store's. Failure: codes of leat_lmdb_error; LEAT_E_CORRUPT for a chunk that is missing or damaged.
#pragma once

#include <lmdb.h>

#include "firmware-agent/checkpoint/change_set.h"

enum {
    LEAT_CHUNK_BYTES = 2016, // two to a page of 4096, without overflow pages
    LEAT_CHUNK_HEADER = 5,
    LEAT_CHUNK_LAST = 1,
    LEAT_CHUNK_MORE = 2,
    LEAT_LOG_NODE_BYTES = 24, // what LMDB adds to a chunk
    LEAT_LOG_CHUNK_BITS = 24,
    LEAT_BASE_CHUNK_BITS = 20,
    LEAT_CHECKPOINT_BITS = 36,
};

// The checkpoint comes first, so that images too are appended: in any other order LMDB leaves its pages half empty.
static inline uint64_t leat_base_stream(uint64_t checkpoint, uint32_t group)
{
    return checkpoint << (8 + LEAT_BASE_CHUNK_BITS) | (uint64_t)group << LEAT_BASE_CHUNK_BITS;
}

leat_code leat_lmdb_error(leat_error *out_error, int result, const char *what);

void leat_key_write(uint64_t key, uint8_t out_bytes[8]);
bool leat_key_read(const MDB_val *value, uint64_t *out_key);
uint32_t leat_value_crc(const void *key, size_t key_size, const void *rest, size_t rest_size);
// The value behind its CRC; false when it is damaged.
bool leat_value_check(const MDB_val *key, const MDB_val *value, leat_slice *out_rest);

typedef struct leat_packer {
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t key;   // of the next chunk
    unsigned flags; // MDB_APPEND or 0
    size_t size;
    uint64_t bytes; // of all values
    uint64_t chunks;
    int result; // first failure of LMDB
    uint8_t chunk[LEAT_CHUNK_BYTES];
} leat_packer;

void leat_pack_init(leat_packer *packer, MDB_txn *txn, MDB_dbi dbi, uint64_t stream, unsigned flags);
void leat_pack(leat_packer *packer, const uint8_t *entry, size_t size);
int leat_pack_end(leat_packer *packer);

// Returning false ends the reading without failure.
typedef bool (*leat_stream_visit)(void *context, const leat_change *change, const uint8_t *entry, size_t size);
LEAT_MUST_CHECK leat_code leat_stream_read(MDB_cursor *cursor, uint64_t stream, leat_arena *arena,
                                           leat_stream_visit visit, void *context, uint64_t *out_bytes,
                                           leat_error *out_error);
// Deletes keys from `from` on while below `until`, at most `most`; out_removed is added to. A code of LMDB.
int leat_chunks_remove(MDB_txn *txn, MDB_dbi dbi, uint64_t from, uint64_t until, uint64_t most, uint64_t *out_removed);
