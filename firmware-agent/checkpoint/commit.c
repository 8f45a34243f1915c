// Writing a checkpoint, and compaction: which groups to write whole, and what nobody needs any more.
#include <errno.h>
#include <string.h>

#include "firmware-agent/checkpoint/change_table.h"
#include "firmware-agent/checkpoint/store_struct.h"

enum {
    SLICE_BYTES = 256 << 10, // of group images per checkpoint: about 10 ms of flash
    SLICE_GROUPS = 16,
    FIRST_CYCLE_BYTES =
        256 << 10, // of the log while there is no anchor, that is, only one thing that everything stands on
    REMOVED_CHUNKS_MIN = 256,
};

// ---- compaction's plan

static uint64_t newest_image(const store_group *group) { return group->count ? group->images[group->count - 1].id : 0; }

// What the newest images hold, without those that the anchor and older checkpoints stand on.
static uint64_t state_bytes(const leat_store *store)
{
    uint64_t sum = 0;
    for (unsigned group = 0; group < LEAT_STORE_GROUPS; group++)
        if (store->groups[group].count)
            sum += store->groups[group].images[store->groups[group].count - 1].bytes;
    return sum;
}

static uint64_t log_since_cycle(const leat_store *store)
{
    return store->since_bytes < store->log_bytes ? store->since_bytes : store->log_bytes;
}

// The groups whose images are oldest hold the log's tail: they come first.
static void plan_slice(leat_store *store)
{
    uint64_t bytes = state_bytes(store), group_bytes = (bytes ? bytes : store->log_bytes) / LEAT_STORE_GROUPS + 1,
             wanted = SLICE_BYTES / group_bytes;
    wanted = wanted < 1 ? 1 : wanted > SLICE_GROUPS ? SLICE_GROUPS : wanted;
    while (store->plan_count < wanted) {
        unsigned best = LEAT_STORE_GROUPS;
        for (unsigned group = 0; group < LEAT_STORE_GROUPS; group++) {
            uint64_t id = newest_image(&store->groups[group]);
            if (!store->plan[group] && id <= store->compact_until &&
                (best == LEAT_STORE_GROUPS || id < newest_image(&store->groups[best])))
                best = group;
        }
        if (best == LEAT_STORE_GROUPS)
            return;
        store->plan[best] = true;
        store->plan_count++;
    }
}

static bool log_is_long(const leat_store *store)
{
    double threshold = store->options.log_over_base * (double)state_bytes(store);
    uint64_t least = store->options.log_min_bytes;
    if (!store->anchor_id && least > FIRST_CYCLE_BYTES)
        least = FIRST_CYCLE_BYTES;
    return (double)log_since_cycle(store) > (threshold > (double)least ? threshold : (double)least);
}

// What the cycle began behind shares nothing with the checkpoints from now on.
static void cycle_done(leat_store *store)
{
    store->anchor_id = store->compact_until;
    store->marks_changed = true;
    store->since_bytes -= store->since_at_begin;
    store->compact_until = 0;
}

static void plan(leat_store *store)
{
    memset(store->plan, 0, sizeof store->plan);
    store->plan_count = 0;
    store->planned = true;
    if (!store->compact_until && log_is_long(store)) {
        store->compact_until = store->last_id;
        store->since_at_begin = store->since_bytes;
    }
    if (store->compact_until)
        plan_slice(store);
    if (store->compact_until && store->plan_count == 0)
        cycle_done(store);
}

unsigned leat_store_plan_next(leat_store *store, bool out_whole[LEAT_STORE_GROUPS])
{
    leat_store_check(store);
    if (!store->planned)
        plan(store);
    memcpy(out_whole, store->plan, sizeof store->plan);
    return store->plan_count;
}

// ---- one commit

typedef struct commit {
    leat_store *store;
    const leat_store_checkpoint *checkpoint;
    MDB_txn *txn;
    uint64_t id;
    leat_packer packer;
    leat_writer scratch;
    leat_change_table images; // entries of whole groups, newest of each key
    bool whole[LEAT_STORE_GROUPS];
    bool group_changed[LEAT_STORE_GROUPS];
    store_group *groups; // as they will be
    leat_store_committed done;
    uint64_t log_chunks;
    int result;
} commit;

static void manifest_put(commit *self, uint8_t table, leat_slice name, leat_slice bytes)
{
    leat_change change = {0, table, LEAT_GROUP_OPERATOR, false, name, bytes};
    leat_writer_reset(&self->scratch);
    leat_change_write(&self->scratch, &change);
    leat_pack(&self->packer, self->scratch.bytes, self->scratch.size);
}

static void manifest_number(commit *self, const char *name, uint64_t value)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    manifest_put(self, LEAT_STORE_MANIFEST_OWN, leat_slice_text(name),
                 leat_slice_of((const char *)bytes, sizeof bytes));
}

static void put_manifest(commit *self)
{
    char groups[LEAT_STORE_GROUPS];
    size_t count = 0;
    for (unsigned group = 0; group < LEAT_STORE_GROUPS; group++)
        if (self->whole[group])
            groups[count++] = (char)group;
    manifest_number(self, "previous", self->store->last_id);
    manifest_number(self, "floor", (uint64_t)self->checkpoint->floor_ms);
    manifest_put(self, LEAT_STORE_MANIFEST_OWN, leat_slice_text("whole"), leat_slice_of(groups, count));
    for (size_t i = 0; i < self->checkpoint->manifest_count; i++)
        manifest_put(self, LEAT_STORE_MANIFEST_USER, self->checkpoint->manifest[i].name,
                     self->checkpoint->manifest[i].bytes);
}

static leat_code put_set(commit *self, const leat_change_set *set, leat_error *out_error)
{
    leat_reader reader;
    leat_reader_init(&reader, set->entries.bytes, set->entries.size);
    leat_change change;
    const uint8_t *entry = reader.cursor;
    while (leat_change_read(&reader, &change)) {
        size_t size = (size_t)(reader.cursor - entry);
        if (!self->whole[change.group])
            leat_pack(&self->packer, entry, size);
        else if (!leat_change_table_put(&self->images, &change, entry, size))
            return leat_error_set(out_error, LEAT_E_MEMORY, "no memory to sort a key group's image");
        entry = reader.cursor;
    }
    LEAT_ASSERT(!reader.failed); // made by change_set.c
    return LEAT_OK;
}

static leat_code put_log(commit *self, leat_error *out_error)
{
    leat_pack_init(&self->packer, self->txn, self->store->log, self->id << LEAT_LOG_CHUNK_BITS, MDB_APPEND);
    put_manifest(self);
    if (self->scratch.failed)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the manifest");
    for (size_t i = 0; i < self->checkpoint->set_count; i++) {
        if (self->checkpoint->sets[i]->entries.failed)
            return leat_error_set(out_error, LEAT_E_MEMORY, "a change set is incomplete: it exceeded its limit");
        leat_code code = put_set(self, self->checkpoint->sets[i], out_error);
        if (code != LEAT_OK)
            return code;
    }
    self->result = leat_pack_end(&self->packer);
    self->done.log_bytes = self->packer.bytes;
    self->log_chunks = self->packer.chunks;
    return leat_lmdb_error(out_error, self->result, "cannot write the checkpoint");
}

// ---- images

static leat_change slot_change(const leat_change_slot *slot)
{
    leat_reader reader;
    leat_change change;
    leat_reader_init(&reader, slot->entry, slot->size);
    LEAT_ASSERT(leat_change_read(&reader, &change));
    return change;
}

static void image_note(commit *self, unsigned group, uint64_t bytes)
{
    store_group *images = &self->groups[group];
    LEAT_ASSERT(images->count < LEAT_STORE_IMAGES);
    images->images[images->count++] = (store_image){self->id, bytes};
    self->group_changed[group] = true;
    self->done.base_bytes += bytes;
}

// An empty group has an image too, of no chunks.
static void put_image(commit *self, unsigned group, const leat_change_slot *const *slots, size_t count)
{
    if (count == 0) {
        image_note(self, group, 0);
        return;
    }
    leat_pack_init(&self->packer, self->txn, self->store->base, leat_base_stream(self->id, group), MDB_APPEND);
    for (size_t i = 0; i < count; i++)
        leat_pack(&self->packer, slots[i]->entry, slots[i]->size);
    int result = leat_pack_end(&self->packer);
    if (self->result == MDB_SUCCESS)
        self->result = result;
    image_note(self, group, self->packer.bytes);
}

// Live slots in the order of their groups; starts[g] is where group g begins.
static void sort_by_group(const leat_change_table *images, const leat_change_slot **out_slots,
                          size_t starts[LEAT_STORE_GROUPS + 1])
{
    size_t slot_count = images->slots ? images->mask + 1 : 0, at[LEAT_STORE_GROUPS + 1] = {0};
    for (size_t i = 0; i < slot_count; i++) {
        leat_change change;
        if (images->slots[i].entry && (change = slot_change(&images->slots[i]), !change.removed))
            at[change.group + 1]++;
    }
    for (unsigned group = 0; group < LEAT_STORE_GROUPS; group++)
        at[group + 1] += at[group];
    memcpy(starts, at, sizeof at);
    for (size_t i = 0; i < slot_count; i++) {
        leat_change change;
        if (images->slots[i].entry && (change = slot_change(&images->slots[i]), !change.removed))
            out_slots[at[change.group]++] = &images->slots[i];
    }
}

static leat_code put_images(commit *self, leat_error *out_error)
{
    size_t starts[LEAT_STORE_GROUPS + 1], size = (self->images.count + 1) * sizeof(leat_change_slot *);
    const leat_change_slot **slots = leat_env_alloc(self->store->env, size);
    if (!slots)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory to sort a key group's image");
    sort_by_group(&self->images, slots, starts);
    for (unsigned group = 0; group < LEAT_STORE_GROUPS; group++)
        if (self->whole[group])
            put_image(self, group, slots + starts[group], starts[group + 1] - starts[group]);
    leat_env_free(self->store->env, slots, size);
    return leat_lmdb_error(out_error, self->result, "cannot write a key group");
}

// ---- removal of what no retained checkpoint needs

// The oldest checkpoint that is retained once this one is committed.
static uint64_t oldest_after(const commit *self)
{
    const leat_store *store = self->store;
    unsigned kept =
        store->options.retained - 1 < store->retained_count ? store->options.retained - 1 : store->retained_count;
    return kept ? store->retained[kept - 1] : self->id;
}

// Checkpoints whose images and log stay, rising; the last is the oldest retained one, and all behind it stay too.
typedef struct keeping {
    uint64_t ids[3];
    unsigned count;
} keeping;

static keeping kept_after(const commit *self)
{
    const leat_store *store = self->store;
    uint64_t oldest = oldest_after(self);
    keeping kept = {0};
    if (store->anchor_id && store->anchor_id < oldest)
        kept.ids[kept.count++] = store->anchor_id;
    if (store->compact_until > store->anchor_id && store->compact_until < oldest) // the anchor to be
        kept.ids[kept.count++] = store->compact_until;
    kept.ids[kept.count++] = oldest;
    return kept;
}

static bool image_is_needed(const store_group *images, uint32_t index, const keeping *kept)
{
    if (index + 1 == images->count || images->images[index + 1].id > kept->ids[kept->count - 1])
        return true;
    for (unsigned i = 0; i < kept->count; i++)
        if (images->images[index].id <= kept->ids[i] && images->images[index + 1].id > kept->ids[i])
            return true;
    return false;
}

static void remove_images(commit *self, unsigned group, const keeping *kept, uint64_t *out_removed)
{
    store_group *images = &self->groups[group];
    for (uint32_t i = 0; i < images->count && self->result == MDB_SUCCESS;) {
        if (image_is_needed(images, i, kept)) {
            i++;
            continue;
        }
        uint64_t stream = leat_base_stream(images->images[i].id, group);
        self->result = leat_chunks_remove(self->txn, self->store->base, stream, stream + (1u << LEAT_BASE_CHUNK_BITS),
                                          UINT64_MAX, out_removed);
        images->count--;
        memmove(images->images + i, images->images + i + 1, (images->count - i) * sizeof *images->images);
        self->group_changed[group] = true;
    }
}

// The first checkpoint of the log that `id` stands on. Its own manifest is one of them always.
static uint64_t log_tail(const commit *self, uint64_t id)
{
    uint64_t tail = id;
    for (unsigned group = 0; group < LEAT_STORE_GROUPS; group++) {
        const store_image *image = leat_store_image(&self->groups[group], id);
        uint64_t first = image ? image->id + 1 : 0;
        tail = first < tail ? first : tail;
    }
    return tail;
}

static void remove_log(commit *self, const keeping *kept, uint64_t most, uint64_t *out_removed)
{
    uint64_t from = 0;
    for (unsigned i = 0; i < kept->count; i++) {
        uint64_t tail = log_tail(self, kept->ids[i]);
        if (self->result == MDB_SUCCESS && *out_removed < most && tail > from && tail > 1)
            self->result = leat_chunks_remove(self->txn, self->store->log, from << LEAT_LOG_CHUNK_BITS,
                                              tail << LEAT_LOG_CHUNK_BITS, most - *out_removed, out_removed);
        from = kept->ids[i] + 1;
    }
}

static leat_code remove_unneeded(commit *self, leat_error *out_error)
{
    uint64_t removed = 0, most = 4 * (self->done.log_bytes + self->done.base_bytes) / LEAT_CHUNK_BYTES;
    keeping kept = kept_after(self);
    most = most < REMOVED_CHUNKS_MIN ? REMOVED_CHUNKS_MIN : most;
    for (unsigned group = 0; group < LEAT_STORE_GROUPS; group++)
        if (self->whole[group] || removed < most)
            remove_images(self, group, &kept, &removed);
    remove_log(self, &kept, most, &removed);
    for (unsigned group = 0; group < LEAT_STORE_GROUPS && self->result == MDB_SUCCESS; group++)
        if (self->group_changed[group])
            self->result = leat_meta_put_group(self->store, self->txn, group, &self->groups[group]);
    self->done.removed_chunks = removed;
    return leat_lmdb_error(out_error, self->result, "cannot remove old state");
}

// ---- how much flash it cost

static uint64_t pages_of(MDB_txn *txn, MDB_dbi dbi)
{
    MDB_stat stat;
    if (mdb_stat(txn, dbi, &stat) != MDB_SUCCESS)
        return 0;
    return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

static uint64_t pages_all(const leat_store *store, MDB_txn *txn)
{
    return pages_of(txn, 0) + pages_of(txn, 1) + pages_of(txn, store->log) + pages_of(txn, store->base) +
           pages_of(txn, store->meta);
}

// Every page that a transaction writes is new, or replaces one that the free list then holds under the transaction's id.
static uint64_t pages_freed(MDB_txn *txn, size_t txn_id)
{
    MDB_cursor *cursor;
    MDB_val key = {sizeof txn_id, &txn_id}, value;
    size_t count = 0;
    if (mdb_cursor_open(txn, 0, &cursor) != MDB_SUCCESS)
        return 0;
    if (mdb_cursor_get(cursor, &key, &value, MDB_SET) == MDB_SUCCESS && value.mv_size >= sizeof count)
        memcpy(&count, value.mv_data, sizeof count);
    mdb_cursor_close(cursor);
    return count;
}

static uint64_t measure(leat_store *store, size_t txn_id, uint64_t pages_before)
{
    MDB_txn *txn;
    if (mdb_txn_begin(store->lmdb, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS)
        return 0;
    MDB_stat stat;
    uint64_t pages = pages_all(store, txn) + pages_freed(txn, txn_id);
    pages = pages > pages_before ? pages - pages_before : 0;
    if (mdb_stat(txn, store->log, &stat) == MDB_SUCCESS)
        store->log_bytes = stat.ms_leaf_pages * (uint64_t)store->page_size;
    if (mdb_stat(txn, store->base, &stat) == MDB_SUCCESS)
        store->base_bytes = stat.ms_leaf_pages * (uint64_t)store->page_size;
    mdb_txn_abort(txn);
    return (pages + 1) * store->page_size; // and the meta page
}

// ---- together

static void committed(commit *self)
{
    leat_store *store = self->store;
    memcpy(store->groups, self->groups, LEAT_STORE_GROUPS * sizeof *store->groups);
    unsigned kept =
        store->options.retained - 1 < store->retained_count ? store->options.retained - 1 : store->retained_count;
    memmove(store->retained + 1, store->retained, kept * sizeof *store->retained);
    store->retained[0] = self->id;
    store->retained_count = kept + 1;
    store->last_id = self->id;
    store->next_id = self->id + 1;
    store->floor_ms = self->checkpoint->floor_ms > store->floor_ms ? self->checkpoint->floor_ms : store->floor_ms;
    store->since_bytes += self->done.log_bytes + self->log_chunks * LEAT_LOG_NODE_BYTES;
    store->planned = false;
    store->commits++;
    leat_meta_committed(store, self->id);
}

static leat_code write_all(commit *self, leat_error *out_error)
{
    leat_code code = put_log(self, out_error);
    if (code == LEAT_OK)
        code = put_images(self, out_error);
    if (code == LEAT_OK)
        code = remove_unneeded(self, out_error);
    if (code == LEAT_OK)
        code = leat_lmdb_error(out_error, leat_meta_put_changed(self->store, self->txn, self->id),
                               "cannot write the checkpoint");
    return code;
}

// LMDB calls a write that was cut short an I/O error too, which on a regular file means a full disk, a quota or a size limit. Only a call that failed
// leaves its reason in errno. A disk that broke in the middle of a write also cuts it short: the next attempt meets the error itself.
static int commit_transaction(MDB_txn *txn)
{
    errno = 0;
    int result = mdb_txn_commit(txn);
    return result == EIO && errno != EIO ? ENOSPC : result;
}

static leat_code transact(commit *self, leat_error *out_error)
{
    leat_store *store = self->store;
    leat_code code =
        leat_lmdb_error(out_error, mdb_txn_begin(store->lmdb, NULL, 0, &self->txn), "cannot begin a checkpoint");
    if (code != LEAT_OK)
        return code;
    size_t txn_id = mdb_txn_id(self->txn);
    uint64_t pages_before = pages_all(store, self->txn);
    code = write_all(self, out_error);
    if (code != LEAT_OK) {
        mdb_txn_abort(self->txn);
        return code;
    }
    code = leat_lmdb_error(out_error, commit_transaction(self->txn), "cannot commit the checkpoint");
    if (code != LEAT_OK)
        return code;
    committed(self);
    self->done.page_bytes = measure(store, txn_id, pages_before);
    store->page_bytes += self->done.page_bytes;
    return LEAT_OK;
}

static leat_code attempt(leat_store *store, const leat_store_checkpoint *checkpoint, uint64_t id,
                         leat_store_committed *out_done, leat_error *out_error)
{
    commit *self = leat_env_calloc(store->env, sizeof *self);
    store_group *groups = leat_env_calloc(store->env, LEAT_STORE_GROUPS * sizeof *groups);
    leat_code code = LEAT_E_MEMORY;
    if (self && groups) {
        self->store = store;
        self->checkpoint = checkpoint;
        self->id = id;
        self->groups = groups;
        memcpy(groups, store->groups, LEAT_STORE_GROUPS * sizeof *groups);
        if (checkpoint->whole)
            memcpy(self->whole, checkpoint->whole, sizeof self->whole);
        leat_writer_init(&self->scratch, store->env, 64 << 20);
        leat_change_table_init(&self->images, store->env);
        code = transact(self, out_error);
        leat_change_table_fini(&self->images);
        leat_writer_fini(&self->scratch);
        *out_done = self->done;
    } else {
        leat_error_set(out_error, LEAT_E_MEMORY, "no memory for a checkpoint");
    }
    leat_env_free(store->env, groups, LEAT_STORE_GROUPS * sizeof *groups);
    leat_env_free(store->env, self, sizeof *self);
    return code;
}

leat_code leat_store_commit(leat_store *store, const leat_store_checkpoint *checkpoint,
                            leat_store_committed *out_committed, leat_error *out_error)
{
    leat_store_check(store);
    int64_t begin_ns = leat_boot_ns(store->env);
    uint64_t id = checkpoint->id ? checkpoint->id : store->next_id;
    if (id < store->next_id || id >> LEAT_CHECKPOINT_BITS)
        return leat_error_set(out_error, LEAT_E_CONFLICT, "checkpoint %llu is not above %llu", (unsigned long long)id,
                              (unsigned long long)store->last_id);
    LEAT_ASSERT(checkpoint->manifest_count <= LEAT_STORE_MANIFEST_MAX);
    LEAT_ASSERT(!store->tainted); // restore comes first
    leat_store_committed done = {0};
    leat_code code;
    while ((code = attempt(store, checkpoint, id, &done, out_error)) == LEAT_E_LIMIT)
        if (leat_store_enlarge(store, out_error) != LEAT_OK)
            return LEAT_E_LIMIT;
    done.id = id;
    done.duration_us = (leat_boot_ns(store->env) - begin_ns) / 1000;
    if (out_committed && code == LEAT_OK)
        *out_committed = done;
    return code;
}

static int flush_once(leat_store *store)
{
    MDB_txn *txn;
    int result = mdb_txn_begin(store->lmdb, NULL, 0, &txn);
    if (result != MDB_SUCCESS)
        return result;
    result = leat_meta_put_changed(store, txn, 0);
    if (result == MDB_SUCCESS)
        return commit_transaction(txn);
    mdb_txn_abort(txn);
    return result;
}

leat_code leat_store_flush(leat_store *store, leat_error *out_error)
{
    leat_store_check(store);
    if (!leat_meta_changed(store) || store->tainted)
        return LEAT_OK; // tainted: kept in memory until restore has replaced the file
    int result;
    while ((result = flush_once(store)) == MDB_MAP_FULL)
        if (leat_store_enlarge(store, out_error) != LEAT_OK)
            return LEAT_E_LIMIT;
    if (result == MDB_SUCCESS)
        leat_meta_committed(store, 0);
    return leat_lmdb_error(out_error, result, "cannot write the ledger");
}
