// A damaged file is replaced: what is intact of it is read once more and becomes the first checkpoint of a new file.
#include <string.h>

#include "firmware-agent/checkpoint/store_struct.h"

typedef struct gathering {
    leat_env *env;
    leat_change_set set;
    leat_arena arena;
    leat_store_named *names;
    size_t count;
} gathering;

static leat_code gather_manifest(void *context, leat_slice name, leat_slice bytes, leat_error *out_error)
{
    gathering *self = context;
    if (self->count == LEAT_STORE_MANIFEST_MAX)
        return leat_error_set(out_error, LEAT_E_LIMIT, "a manifest of more than %d names", LEAT_STORE_MANIFEST_MAX);
    self->names[self->count++] = (leat_store_named){
        {leat_arena_copy(&self->arena, name.data, name.size), name.size},
        {leat_arena_copy(&self->arena, bytes.data, bytes.size), bytes.size},
    };
    return LEAT_OK;
}

static leat_code gather_entry(void *context, uint64_t uid_hash, uint32_t operator_number, uint8_t table, uint32_t group,
                              leat_slice key, leat_slice value, leat_error *out_error)
{
    gathering *self = context;
    (void)uid_hash;
    leat_change_set_operator(&self->set, operator_number);
    leat_change_set_put(&self->set, table, group, key, value);
    return self->set.entries.failed ? leat_error_set(out_error, LEAT_E_MEMORY, "no memory to rebuild the state")
                                    : LEAT_OK;
}

static leat_code gather(leat_store *store, uint64_t id, gathering *self, leat_error *out_error)
{
    self->env = store->env;
    leat_arena_init(&self->arena, store->env, 64 << 10);
    leat_change_set_init(&self->set, store->env, SIZE_MAX / 4);
    self->names = leat_arena_array(&self->arena, leat_store_named, LEAT_STORE_MANIFEST_MAX);
    leat_store_visitor visitor = {self, gather_manifest, gather_entry};
    uint64_t entries;
    bool visited;
    return id ? leat_store_read(store, id, &visitor, &entries, &visited, out_error) : LEAT_OK;
}

static leat_code write_checkpoint(leat_store *fresh, uint64_t id, const gathering *found, leat_error *out_error)
{
    bool whole[LEAT_STORE_GROUPS];
    memset(whole, true, sizeof whole);
    leat_change_set *sets[1] = {(leat_change_set *)(uintptr_t)&found->set};
    leat_store_checkpoint checkpoint = {.id = id,
                                        .floor_ms = fresh->floor_ms,
                                        .manifest = found->names,
                                        .manifest_count = found->count,
                                        .sets = sets,
                                        .set_count = 1,
                                        .whole = whole};
    return leat_store_commit(fresh, &checkpoint, NULL, out_error);
}

// The rows of operators and ledger go along: all of them count as changed.
static void rows_changed(leat_store *fresh, uint64_t id)
{
    size_t kept = 0;
    for (size_t i = 0; i < fresh->operator_count; i++) {
        store_operator row = fresh->operators[i];
        if (row.born > id || (row.dead && row.dead <= id))
            continue;
        row.dead = 0;
        row.dying = false;
        row.changed = true;
        fresh->operators[kept++] = row;
    }
    fresh->operator_count = kept;
    for (size_t i = 0; i < fresh->loss_count; i++)
        fresh->losses[i].changed = true;
}

static leat_code write_new(leat_store *fresh, uint64_t id, const gathering *found, leat_error *out_error)
{
    char path[LEAT_STORE_PATH];
    uint64_t next_id = fresh->next_id;
    leat_store_new_path(fresh, path);
    rows_changed(fresh, id);
    if (id)
        fresh->next_id = id;
    leat_code code = leat_store_create_at(fresh, path, out_error);
    if (code == LEAT_OK && id)
        code = write_checkpoint(fresh, id, found, out_error);
    fresh->next_id = next_id;
    fresh->oldest_id = id;
    fresh->marks_changed = true;
    if (code == LEAT_OK)
        code = leat_store_flush(fresh, out_error);
    if (fresh->lmdb)
        mdb_env_close(fresh->lmdb);
    fresh->lmdb = NULL;
    return code;
}

// The new store shares rows and texts with the old one until the old one is loaded from the new file.
static leat_code write_beside(leat_store *store, uint64_t id, const gathering *found, leat_error *out_error)
{
    leat_store fresh = *store;
    fresh.groups = leat_env_calloc(store->env, LEAT_STORE_GROUPS * sizeof *fresh.groups);
    if (!fresh.groups)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory to rebuild the state");
    fresh.lmdb = NULL;
    fresh.last_id = 0;
    fresh.retained_count = 0;
    fresh.anchor_id = fresh.compact_until = fresh.since_bytes = 0;
    fresh.generation = store->generation + 1;
    fresh.tainted = false;
    leat_code code = write_new(&fresh, id, found, out_error);
    leat_env_free(store->env, fresh.groups, LEAT_STORE_GROUPS * sizeof *fresh.groups);
    store->operators = fresh.operators;
    store->operator_count = fresh.operator_count;
    store->operator_capacity = fresh.operator_capacity;
    store->losses = fresh.losses;
    store->loss_count = fresh.loss_count;
    store->loss_capacity = fresh.loss_capacity;
    return code;
}

leat_code leat_store_rebuild(leat_store *store, uint64_t id, leat_error *out_error)
{
    gathering found = {0};
    leat_code code = gather(store, id, &found, out_error);
    if (code == LEAT_OK)
        code = write_beside(store, id, &found, out_error);
    leat_change_set_fini(&found.set);
    leat_arena_fini(&found.arena);
    if (code == LEAT_OK)
        code = leat_store_replace(store, id == 0, out_error);
    return code;
}
