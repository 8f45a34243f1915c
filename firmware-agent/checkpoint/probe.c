// LMDB trusts its file: a damaged page can crash the process that reads it (reliability: 38 of 5,000 damaged sectors did).
// So a child reads a suspect file first, every page that is reachable, and its death is the answer.
#include <stdio.h>

#include "firmware-agent/checkpoint/store_struct.h"
#include "firmware-agent/platform/child.h"

typedef struct probe {
    const char *path;
    uint64_t map_bytes;
} probe;

// Touches every byte; the sum keeps the compiler from leaving the reads out. entries bounds walks through pages that form a circle.
static int walk(MDB_txn *txn, MDB_dbi dbi, uint64_t entries_max, uint32_t *sum)
{
    MDB_cursor *cursor;
    int result = mdb_cursor_open(txn, dbi, &cursor);
    if (result != MDB_SUCCESS)
        return result;
    MDB_val key, value;
    uint64_t entries = 0;
    while ((result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS) {
        *sum += leat_value_crc(key.mv_data, key.mv_size, value.mv_data, value.mv_size);
        if (++entries > entries_max)
            return MDB_CORRUPTED;
    }
    mdb_cursor_close(cursor);
    return result == MDB_NOTFOUND ? MDB_SUCCESS : result;
}

static int probe_txn(MDB_env *env, MDB_txn *txn)
{
    static const char *const names[] = {"log", "base", "meta"};
    MDB_envinfo size;
    uint32_t sum = 0;
    mdb_env_info(env, &size);
    uint64_t entries_max = size.me_mapsize / 16;
    int result = walk(txn, 0, entries_max, &sum); // the free list
    for (size_t i = 0; i < 3 && result == MDB_SUCCESS; i++) {
        MDB_dbi dbi;
        result = mdb_dbi_open(txn, names[i], 0, &dbi);
        if (result == MDB_SUCCESS)
            result = walk(txn, dbi, entries_max, &sum);
    }
    return result;
}

static leat_code probe_file(void *context)
{
    const probe *self = context;
    MDB_env *env;
    MDB_txn *txn;
    if (mdb_env_create(&env) != MDB_SUCCESS)
        return LEAT_E_MEMORY;
    mdb_env_set_maxdbs(env, 8);
    mdb_env_set_mapsize(env, (size_t)self->map_bytes);
    int result = mdb_env_open(env, self->path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS | MDB_NOLOCK, 0640);
    if (result == MDB_SUCCESS)
        result = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (result == MDB_SUCCESS)
        result = probe_txn(env, txn);
    return result == MDB_SUCCESS ? LEAT_OK : LEAT_E_CORRUPT;
}

leat_code leat_store_probe(const char *path, uint64_t map_bytes, leat_error *out_error)
{
    probe self = {path, map_bytes};
    leat_code code = leat_child_try(probe_file, &self, out_error);
    if (code != LEAT_OK && out_error)
        snprintf(out_error->place, sizeof out_error->place, "%.255s", path);
    return code;
}
