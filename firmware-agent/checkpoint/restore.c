// Reading a checkpoint: verified whole before anybody sees an entry of it; and going back to an older one.
#include <string.h>

#include "firmware-agent/checkpoint/change_table.h"
#include "firmware-agent/checkpoint/store_struct.h"
#include "firmware-agent/platform/child.h"

typedef struct reading {
    leat_store *store;
    uint64_t id;
    const leat_store_visitor *visitor;
    MDB_txn *txn;
    MDB_cursor *log, *base;
    leat_arena arena;         // entries that lie in several chunks
    leat_change_table latest; // of the log: newest entry of each key
    // of the log's stream that is being read
    uint64_t stream_id, previous;
    bool previous_seen, out_of_order, out_of_memory;
    uint64_t damaged; // the checkpoint whose log or image is what was met
    // of the visit
    uint64_t entries;
    leat_code code;
    leat_error *error;
} reading;

static bool own_name(const leat_change *change, const char *name)
{
    return change->operator_number == 0 && change->table == LEAT_STORE_MANIFEST_OWN && leat_slice_is(change->key, name);
}

static uint64_t number_of(leat_slice bytes)
{
    leat_reader reader;
    leat_reader_init(&reader, bytes.data, bytes.size);
    return leat_read_u64(&reader);
}

static uint64_t image_id(const reading *self, uint32_t group)
{
    const store_image *image = leat_store_image(&self->store->groups[group], self->id);
    return image ? image->id : 0;
}

// ---- pass 1: every chunk that this checkpoint stands on, and the newest entries of the log

// A group written whole in this checkpoint must have an image at least as new, or a row of meta is out of date.
static bool images_known(const reading *self, leat_slice groups)
{
    for (size_t i = 0; i < groups.size; i++)
        if ((uint8_t)groups.data[i] >= LEAT_STORE_GROUPS || image_id(self, (uint8_t)groups.data[i]) < self->stream_id)
            return false;
    return true;
}

static bool log_entry(void *context, const leat_change *change, const uint8_t *entry, size_t size)
{
    reading *self = context;
    if (own_name(change, "previous")) {
        self->previous = number_of(change->value);
        self->previous_seen = true;
    } else if (own_name(change, "whole")) {
        self->out_of_order |= !images_known(self, change->value);
    }
    if (change->operator_number == 0 || image_id(self, change->group) >= self->stream_id)
        return true;
    self->out_of_memory |= !leat_change_table_put(&self->latest, change, entry, size);
    return !self->out_of_memory;
}

static leat_code read_log_stream(reading *self, uint64_t stream_id, leat_error *out_error)
{
    self->stream_id = self->damaged = stream_id;
    self->previous_seen = false;
    leat_code code =
        leat_stream_read(self->log, stream_id << LEAT_LOG_CHUNK_BITS, &self->arena, log_entry, self, NULL, out_error);
    if (self->out_of_memory)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory to restore a checkpoint");
    if (code == LEAT_OK && (!self->previous_seen || self->out_of_order))
        code = leat_error_set(out_error, LEAT_E_CORRUPT, "checkpoint %llu does not fit its key groups",
                              (unsigned long long)stream_id);
    return code;
}

// The first checkpoint of the log above `below`, 0 when there is none.
static leat_code log_seek(reading *self, uint64_t below, uint64_t *out_id, leat_error *out_error)
{
    uint8_t bytes[8];
    leat_key_write((below + 1) << LEAT_LOG_CHUNK_BITS, bytes);
    MDB_val key = {sizeof bytes, bytes}, value;
    uint64_t found = 0;
    int result = mdb_cursor_get(self->log, &key, &value, MDB_SET_RANGE);
    *out_id = 0;
    self->damaged = self->id;
    if (result == MDB_NOTFOUND)
        return LEAT_OK;
    if (result == MDB_SUCCESS && !leat_key_read(&key, &found))
        result = MDB_CORRUPTED;
    *out_id = found >> LEAT_LOG_CHUNK_BITS;
    return leat_lmdb_error(out_error, result, "cannot read the table log");
}

static leat_code read_log(reading *self, leat_error *out_error)
{
    uint64_t floor = UINT64_MAX, before = 0;
    for (uint32_t group = 0; group < LEAT_STORE_GROUPS; group++)
        floor = image_id(self, group) < floor ? image_id(self, group) : floor;
    if (floor >= self->id) // the manifest at least is read
        floor = self->id - 1;
    for (uint64_t at = floor, next; at < self->id; at = next) {
        leat_code code = log_seek(self, at, &next, out_error);
        if (code == LEAT_OK && (next == 0 || next > self->id))
            code =
                leat_error_set(out_error, LEAT_E_CORRUPT, "checkpoint %llu is missing", (unsigned long long)self->id);
        if (code == LEAT_OK)
            code = read_log_stream(self, next, out_error);
        bool follows = before ? self->previous == before : self->previous <= floor;
        if (code == LEAT_OK && !follows)
            code = leat_error_set(out_error, LEAT_E_CORRUPT, "the checkpoint before %llu is missing",
                                  (unsigned long long)next);
        if (code != LEAT_OK)
            return code;
        before = next;
    }
    return LEAT_OK;
}

static bool entry_ignored(void *context, const leat_change *change, const uint8_t *entry, size_t size)
{
    (void)context, (void)change, (void)entry, (void)size;
    return true;
}

static leat_code read_images(reading *self, leat_stream_visit visit, leat_error *out_error)
{
    for (uint32_t group = 0; group < LEAT_STORE_GROUPS; group++) {
        const store_image *image = leat_store_image(&self->store->groups[group], self->id);
        if (!image || image->bytes == 0)
            continue;
        uint64_t stream = leat_base_stream(image->id, group);
        self->damaged = image->id;
        leat_code code = leat_stream_read(self->base, stream, &self->arena, visit, self, NULL, out_error);
        if (code == LEAT_OK)
            code = self->code;
        if (code != LEAT_OK)
            return code;
    }
    return LEAT_OK;
}

// ---- pass 2: to the visitor

static bool give(reading *self, const leat_change *change)
{
    uint64_t uid = 0;
    if (change->removed || !self->visitor->entry ||
        !leat_meta_operator_visible(self->store, change->operator_number, self->id, &uid))
        return true;
    self->entries++;
    self->code = self->visitor->entry(self->visitor->context, uid, change->operator_number, change->table,
                                      change->group, change->key, change->value, self->error);
    return self->code == LEAT_OK;
}

static bool give_manifest(void *context, const leat_change *change, const uint8_t *entry, size_t size)
{
    reading *self = context;
    (void)entry, (void)size;
    if (change->operator_number != 0)
        return false;
    if (change->table != LEAT_STORE_MANIFEST_OWN && self->visitor->manifest)
        self->code = self->visitor->manifest(self->visitor->context, change->key, change->value, self->error);
    return self->code == LEAT_OK;
}

static bool give_base(void *context, const leat_change *change, const uint8_t *entry, size_t size)
{
    reading *self = context;
    (void)entry, (void)size;
    return leat_change_table_has(&self->latest, change) || give(self, change);
}

static void give_latest(reading *self)
{
    size_t slots = self->latest.slots ? self->latest.mask + 1 : 0;
    for (size_t i = 0; i < slots && self->code == LEAT_OK; i++) {
        leat_reader reader;
        leat_change change;
        if (!self->latest.slots[i].entry)
            continue;
        leat_reader_init(&reader, self->latest.slots[i].entry, self->latest.slots[i].size);
        if (leat_change_read(&reader, &change))
            give(self, &change);
    }
}

static leat_code give_all(reading *self, leat_error *out_error)
{
    self->error = out_error;
    leat_code code = leat_stream_read(self->log, self->id << LEAT_LOG_CHUNK_BITS, &self->arena, give_manifest, self,
                                      NULL, out_error);
    if (code == LEAT_OK)
        code = self->code;
    if (code == LEAT_OK)
        code = read_images(self, give_base, out_error);
    if (code == LEAT_OK) {
        give_latest(self);
        code = self->code;
    }
    return code;
}

// ---- one checkpoint

static void reading_end(reading *self)
{
    if (self->log)
        mdb_cursor_close(self->log);
    if (self->base)
        mdb_cursor_close(self->base);
    if (self->txn)
        mdb_txn_abort(self->txn);
    leat_change_table_fini(&self->latest);
    leat_arena_fini(&self->arena);
}

static leat_code reading_begin(reading *self, leat_store *store, uint64_t id, const leat_store_visitor *visitor,
                               leat_error *out_error)
{
    *self = (reading){.store = store, .id = id, .visitor = visitor};
    leat_arena_init(&self->arena, store->env, 64 << 10);
    leat_change_table_init(&self->latest, store->env);
    int result = mdb_txn_begin(store->lmdb, NULL, MDB_RDONLY, &self->txn);
    if (result == MDB_SUCCESS)
        result = mdb_cursor_open(self->txn, store->log, &self->log);
    if (result == MDB_SUCCESS)
        result = mdb_cursor_open(self->txn, store->base, &self->base);
    return leat_lmdb_error(out_error, result, "cannot read the state");
}

// visitor NULL: verifies only. out_visited: the visitor has seen something, so that a failure is not damage any more.
// out_damaged: after LEAT_E_CORRUPT, no checkpoint between it and id is intact.
static leat_code read_one(leat_store *store, uint64_t id, const leat_store_visitor *visitor, uint64_t *out_entries,
                          bool *out_visited, uint64_t *out_damaged, leat_error *out_error)
{
    reading self;
    *out_visited = false;
    leat_code code = reading_begin(&self, store, id, visitor, out_error);
    if (code == LEAT_OK)
        code = read_log(&self, out_error);
    if (code == LEAT_OK)
        code = read_images(&self, entry_ignored, out_error);
    if (code == LEAT_OK && visitor) {
        *out_visited = true;
        code = give_all(&self, out_error);
    }
    *out_entries = self.entries;
    *out_damaged = self.damaged < id ? self.damaged : id;
    reading_end(&self);
    return code;
}

leat_code leat_store_read(leat_store *store, uint64_t id, const leat_store_visitor *visitor, uint64_t *out_entries,
                          bool *out_visited, leat_error *out_error)
{
    uint64_t ignored;
    return read_one(store, id, visitor, out_entries, out_visited, &ignored, out_error);
}

leat_code leat_store_visit(leat_store *store, uint64_t id, const leat_store_visitor *visitor, leat_error *out_error)
{
    leat_store_check(store);
    for (unsigned i = 0; i < store->retained_count; i++) {
        uint64_t entries;
        bool visited;
        if (store->retained[i] == id || id == LEAT_STORE_LATEST)
            return leat_store_read(store, store->retained[i], visitor, &entries, &visited, out_error);
    }
    return leat_error_set(out_error, LEAT_E_NOT_FOUND, "checkpoint %llu is not retained", (unsigned long long)id);
}

static bool floor_entry(void *context, const leat_change *change, const uint8_t *entry, size_t size)
{
    leat_store *store = context;
    (void)entry, (void)size;
    if (own_name(change, "floor") && (int64_t)number_of(change->value) > store->floor_ms)
        store->floor_ms = (int64_t)number_of(change->value);
    return change->operator_number == 0;
}

void leat_store_load_floor(leat_store *store, MDB_txn *txn)
{
    MDB_cursor *cursor;
    leat_arena arena;
    leat_error ignored; // an older one will do
    if (mdb_cursor_open(txn, store->log, &cursor) != MDB_SUCCESS)
        return;
    leat_arena_init(&arena, store->env, 4096);
    for (unsigned i = 0; i < store->retained_count; i++)
        if (leat_stream_read(cursor, store->retained[i] << LEAT_LOG_CHUNK_BITS, &arena, floor_entry, store, NULL,
                             &ignored) == LEAT_OK)
            break;
    leat_arena_fini(&arena);
    mdb_cursor_close(cursor);
}

// ---- going back

static int remove_above(leat_store *store, MDB_txn *txn, uint64_t id)
{
    uint64_t removed = 0;
    int result = leat_chunks_remove(txn, store->log, (id + 1) << LEAT_LOG_CHUNK_BITS, UINT64_MAX, UINT64_MAX, &removed);
    if (result == MDB_SUCCESS)
        result = leat_chunks_remove(txn, store->base, leat_base_stream(id + 1, 0), UINT64_MAX, UINT64_MAX, &removed);
    for (unsigned group = 0; group < LEAT_STORE_GROUPS && result == MDB_SUCCESS; group++) {
        store_group *images = &store->groups[group];
        uint32_t kept = 0;
        while (kept < images->count && images->images[kept].id <= id)
            kept++;
        bool changed = kept < images->count;
        images->count = kept;
        if (changed)
            result = leat_meta_put_group(store, txn, group, images);
    }
    return result;
}

static leat_code fall_back(leat_store *store, uint64_t id, leat_error *out_error)
{
    MDB_txn *txn;
    int result = mdb_txn_begin(store->lmdb, NULL, 0, &txn);
    if (result != MDB_SUCCESS)
        return leat_lmdb_error(out_error, result, "cannot go back to an older checkpoint");
    store->generation++;
    store->marks_changed = true; // generation, next, floor
    store->planned = false;
    store->compact_until = 0;
    store->anchor_id = store->anchor_id <= id ? store->anchor_id : 0;
    if (store->retained_count)
        store->oldest_id = store->retained[store->retained_count - 1];
    result = remove_above(store, txn, id);
    if (result == MDB_SUCCESS)
        result = leat_meta_fall_back(store, txn, id);
    if (result == MDB_SUCCESS)
        result = leat_meta_put_changed(store, txn, 0);
    leat_code code = LEAT_OK;
    if (result == MDB_SUCCESS)
        code = leat_store_survey(store, txn, out_error);
    if (result != MDB_SUCCESS || code != LEAT_OK)
        mdb_txn_abort(txn);
    else
        result = mdb_txn_commit(txn);
    if (code == LEAT_OK)
        code = leat_lmdb_error(out_error, result, "cannot go back to an older checkpoint");
    if (code == LEAT_OK)
        leat_meta_committed(store, 0);
    return code;
}

static void note_damage(leat_store_restored *restored, uint64_t id)
{
    restored->damaged_count++;
    restored->damaged_from = id;
    if (restored->damaged_to < id)
        restored->damaged_to = id;
}

typedef struct trial {
    leat_store *store;
    uint64_t id;
} trial;

static leat_code read_in_child(void *context)
{
    const trial *self = context;
    uint64_t entries;
    bool visited;
    leat_error ignored;
    leat_code code = leat_store_open_in_child(self->store);
    return code == LEAT_OK ? leat_store_read(self->store, self->id, NULL, &entries, &visited, &ignored) : code;
}

// The newest checkpoint of the log at or below id, retained or not: until compaction has come by, the log has more than those. 0: none.
static uint64_t logged_at_or_below(leat_store *store, uint64_t id)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    uint8_t bytes[8];
    uint64_t found = 0;
    if (mdb_txn_begin(store->lmdb, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        return 0;
    if (mdb_cursor_open(txn, store->log, &cursor) == MDB_SUCCESS) {
        leat_key_write((id + 1) << LEAT_LOG_CHUNK_BITS, bytes);
        MDB_val key = {sizeof bytes, bytes}, value;
        int result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        result = mdb_cursor_get(cursor, &key, &value, result == MDB_SUCCESS ? MDB_PREV : MDB_LAST);
        if (result != MDB_SUCCESS || !leat_key_read(&key, &found))
            found = 0;
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    found >>= LEAT_LOG_CHUNK_BITS;
    return found <= id ? found : 0;
}

// What to try next: a retained one; behind them, after damage, whatever else is there. A tainted file is not searched, only asked for the anchor.
static uint64_t candidate(leat_store *store, uint64_t id, bool damage)
{
    for (unsigned i = 0; i < store->retained_count; i++)
        if (store->retained[i] <= id)
            return store->retained[i];
    if (!damage)
        return 0;
    if (store->tainted)
        return store->anchor_id <= id ? store->anchor_id : 0;
    return logged_at_or_below(store, id);
}

static leat_code try_one(leat_store *store, uint64_t id, const leat_store_visitor *visitor, uint64_t *out_entries,
                         bool *out_visited, uint64_t *out_damaged, leat_error *out_error)
{
    trial own = {store, id};
    bool direct = id == store->last_id && !store->tainted;
    *out_visited = false;
    *out_damaged = id;
    // What a child has lived through can be read here: the same pages in the same order.
    leat_code code = store->tainted ? leat_child_try(read_in_child, &own, out_error) : LEAT_OK;
    if (code == LEAT_OK)
        code = read_one(store, id, direct ? visitor : NULL, out_entries, out_visited, out_damaged, out_error);
    return code;
}

// Newest intact one at or below id, 0 when there is none; handed to the visitor at once where nothing has to be put right before.
static leat_code choose(leat_store *store, uint64_t id, const leat_store_visitor *visitor,
                        leat_store_restored *restored, leat_error *out_error)
{
    uint64_t at, damaged;
    for (uint64_t below = id; (at = candidate(store, below, restored->damaged_count > 0)) != 0; below = damaged - 1) {
        bool visited;
        leat_code code = try_one(store, at, visitor, &restored->entries, &visited, &damaged, out_error);
        if (code == LEAT_OK)
            restored->id = at;
        if (code != LEAT_E_CORRUPT || visited)
            return code;
        note_damage(restored, at);
        if (damaged == 0)
            break;
    }
    return LEAT_OK;
}

// A damaged file is read, never written: LMDB would trust its pages.
static leat_code put_right(leat_store *store, const leat_store_visitor *visitor, leat_store_restored *restored,
                           leat_error *out_error)
{
    restored->rebuilt = store->tainted || restored->damaged_count > 0;
    leat_code code = restored->rebuilt ? leat_store_rebuild(store, restored->id, out_error)
                                       : fall_back(store, restored->id, out_error);
    bool visited;
    if (code != LEAT_OK || restored->id == 0)
        return code;
    return leat_store_read(store, restored->id, visitor, &restored->entries, &visited, out_error);
}

leat_code leat_store_restore(leat_store *store, uint64_t id, const leat_store_visitor *visitor,
                             leat_store_restored *out_restored, leat_error *out_error)
{
    leat_store_check(store);
    leat_store_restored restored = {0};
    int64_t begin_ns = leat_boot_ns(store->env);
    leat_code code = choose(store, id, visitor, &restored, out_error);
    if (code == LEAT_OK && (restored.id < store->last_id || store->tainted || restored.damaged_count > 0))
        code = put_right(store, visitor, &restored, out_error);
    restored.generation = store->generation;
    restored.duration_us = (leat_boot_ns(store->env) - begin_ns) / 1000;
    if (out_restored)
        *out_restored = restored;
    return code;
}
