#include "firmware-agent/checkpoint/chunk.h"

#include <errno.h>
#include <string.h>

#include "operators/base/checksum.h"

leat_code leat_lmdb_error(leat_error *out_error, int result, const char *what)
{
    leat_code code;
    switch (result) {
    case MDB_SUCCESS:
        return LEAT_OK;
    case MDB_NOTFOUND:
        code = LEAT_E_NOT_FOUND;
        break;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        code = LEAT_E_LIMIT;
        break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_BAD_DBI:
    case MDB_INCOMPATIBLE:
    case MDB_CURSOR_FULL:
    case MDB_KEYEXIST:
        code = LEAT_E_CORRUPT;
        break;
    case MDB_PANIC:
        code = LEAT_E_IO;
        break;
    default:
        if (result > 0)
            return leat_error_errno(out_error, result, "%s", what);
        code = LEAT_E_CORRUPT;
        break;
    }
    return leat_error_set(out_error, code, "%s: %s", what, mdb_strerror(result));
}

void leat_key_write(uint64_t key, uint8_t out_bytes[8])
{
    for (unsigned i = 0; i < 8; i++)
        out_bytes[i] = (uint8_t)(key >> (56 - 8 * i));
}

bool leat_key_read(const MDB_val *value, uint64_t *out_key)
{
    leat_reader reader;
    leat_reader_init(&reader, value->mv_data, value->mv_size);
    *out_key = leat_read_u64be(&reader);
    return !reader.failed && leat_reader_left(&reader) == 0;
}

uint32_t leat_value_crc(const void *key, size_t key_size, const void *rest, size_t rest_size)
{
    return leat_crc32c(leat_crc32c(0, key, key_size), rest, rest_size);
}

bool leat_value_check(const MDB_val *key, const MDB_val *value, leat_slice *out_rest)
{
    leat_reader reader;
    leat_reader_init(&reader, value->mv_data, value->mv_size);
    uint32_t crc = leat_read_u32(&reader);
    if (reader.failed)
        return false;
    *out_rest = leat_slice_of((const char *)value->mv_data + 4, value->mv_size - 4);
    return crc == leat_value_crc(key->mv_data, key->mv_size, out_rest->data, out_rest->size);
}

void leat_pack_init(leat_packer *packer, MDB_txn *txn, MDB_dbi dbi, uint64_t stream, unsigned flags)
{
    *packer = (leat_packer){.txn = txn, .dbi = dbi, .key = stream, .flags = flags, .size = LEAT_CHUNK_HEADER};
}

static void chunk_put(leat_packer *packer, uint8_t flags)
{
    uint8_t key[8];
    leat_key_write(packer->key++, key);
    packer->chunk[4] = flags;
    uint32_t crc = leat_value_crc(key, sizeof key, packer->chunk + 4, packer->size - 4);
    for (unsigned i = 0; i < 4; i++)
        packer->chunk[i] = (uint8_t)(crc >> (8 * i));
    MDB_val k = {sizeof key, key}, v = {packer->size, packer->chunk};
    if (packer->result == MDB_SUCCESS)
        packer->result = mdb_put(packer->txn, packer->dbi, &k, &v, packer->flags);
    packer->bytes += packer->size;
    packer->chunks++;
    packer->size = LEAT_CHUNK_HEADER;
}

static void chunk_add(leat_packer *packer, const uint8_t *bytes, size_t size)
{
    memcpy(packer->chunk + packer->size, bytes, size);
    packer->size += size;
}

void leat_pack(leat_packer *packer, const uint8_t *entry, size_t size)
{
    if (size > LEAT_CHUNK_BYTES - packer->size && packer->size > LEAT_CHUNK_HEADER)
        chunk_put(packer, 0);
    enum { ROOM = LEAT_CHUNK_BYTES - LEAT_CHUNK_HEADER };
    bool split = size > ROOM;
    for (; size > ROOM; entry += ROOM, size -= ROOM) {
        chunk_add(packer, entry, ROOM);
        chunk_put(packer, LEAT_CHUNK_MORE);
    }
    chunk_add(packer, entry, size);
    if (split)
        chunk_put(packer, 0);
}

int leat_pack_end(leat_packer *packer)
{
    chunk_put(packer, LEAT_CHUNK_LAST);
    return packer->result;
}

// ---- reading

typedef struct piece {
    uint8_t flags;
    leat_slice bytes;
} piece;

static leat_code piece_get(MDB_cursor *cursor, uint64_t key, bool seek, piece *out_piece, leat_error *out_error)
{
    uint8_t bytes[8];
    leat_key_write(key, bytes);
    MDB_val k = {sizeof bytes, bytes}, v;
    int result = mdb_cursor_get(cursor, &k, &v, seek ? MDB_SET_KEY : MDB_NEXT);
    uint64_t found = 0;
    if (result == MDB_NOTFOUND || (result == MDB_SUCCESS && (!leat_key_read(&k, &found) || found != key)))
        return leat_error_set(out_error, LEAT_E_CORRUPT, "chunk %016llx is missing", (unsigned long long)key);
    if (result != MDB_SUCCESS)
        return leat_lmdb_error(out_error, result, "cannot read a chunk");
    leat_slice rest;
    if (!leat_value_check(&k, &v, &rest) || rest.size < 1)
        return leat_error_set(out_error, LEAT_E_CORRUPT, "chunk %016llx is damaged", (unsigned long long)key);
    out_piece->flags = (uint8_t)rest.data[0];
    out_piece->bytes = leat_slice_of(rest.data + 1, rest.size - 1);
    return LEAT_OK;
}

// Entries of one run of whole ones; false when the visitor has enough, *out_bad when these are no entries.
static bool visit_run(leat_slice run, leat_stream_visit visit, void *context, bool *out_bad)
{
    leat_reader reader;
    leat_reader_init(&reader, run.data, run.size);
    leat_change change;
    const uint8_t *entry = reader.cursor;
    while (leat_change_read(&reader, &change)) {
        if (!visit(context, &change, entry, (size_t)(reader.cursor - entry)))
            return false;
        entry = reader.cursor;
    }
    *out_bad = reader.failed;
    return true;
}

// An entry over several chunks, put together in the arena.
static leat_code join(MDB_cursor *cursor, uint64_t *key, leat_arena *arena, piece *at, leat_error *out_error)
{
    size_t size = at->bytes.size, capacity = 8 * (size_t)LEAT_CHUNK_BYTES;
    char *joined = leat_arena_alloc(arena, capacity);
    memcpy(joined, at->bytes.data, size);
    while (at->flags & LEAT_CHUNK_MORE) {
        leat_code code = piece_get(cursor, ++*key, false, at, out_error);
        if (code != LEAT_OK)
            return code;
        if (capacity - size < at->bytes.size) {
            char *bigger = leat_arena_alloc(arena, capacity * 4);
            memcpy(bigger, joined, size);
            joined = bigger;
            capacity *= 4;
        }
        memcpy(joined + size, at->bytes.data, at->bytes.size);
        size += at->bytes.size;
    }
    at->bytes = leat_slice_of(joined, size);
    return LEAT_OK;
}

leat_code leat_stream_read(MDB_cursor *cursor, uint64_t stream, leat_arena *arena, leat_stream_visit visit,
                           void *context, uint64_t *out_bytes, leat_error *out_error)
{
    uint64_t key = stream, bytes = 0;
    for (bool seek = true;; seek = false, key++) {
        piece at = {0};
        leat_code code = piece_get(cursor, key, seek, &at, out_error);
        if (code == LEAT_OK && (at.flags & LEAT_CHUNK_MORE))
            code = join(cursor, &key, arena, &at, out_error);
        if (code != LEAT_OK)
            return code;
        bytes += at.bytes.size;
        bool bad = false;
        if (!visit_run(at.bytes, visit, context, &bad))
            break;
        if (bad)
            return leat_error_set(out_error, LEAT_E_CORRUPT, "chunk %016llx holds no entries", (unsigned long long)key);
        if (at.flags & LEAT_CHUNK_LAST)
            break;
    }
    if (out_bytes)
        *out_bytes = bytes;
    return LEAT_OK;
}

// The cursor is set anew for each key: after a deletion its neighbourhood is not to be trusted (ITS#9723).
int leat_chunks_remove(MDB_txn *txn, MDB_dbi dbi, uint64_t from, uint64_t until, uint64_t most, uint64_t *out_removed)
{
    MDB_cursor *cursor = NULL;
    int result = mdb_cursor_open(txn, dbi, &cursor);
    for (uint64_t removed = 0; result == MDB_SUCCESS && removed < most; removed++) {
        uint8_t bytes[8];
        leat_key_write(from, bytes);
        MDB_val key = {sizeof bytes, bytes}, value;
        result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (result == MDB_SUCCESS && (!leat_key_read(&key, &from) || from >= until))
            break;
        if (result == MDB_SUCCESS)
            result = mdb_cursor_del(cursor, 0);
        *out_removed += result == MDB_SUCCESS;
    }
    if (cursor)
        mdb_cursor_close(cursor);
    return result == MDB_NOTFOUND ? MDB_SUCCESS : result;
}
