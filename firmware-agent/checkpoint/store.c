#include "firmware-agent/checkpoint/store.h"

#include <stdio.h>
#include <string.h>

#include "firmware-agent/checkpoint/pages.h"
#include "firmware-agent/checkpoint/store_struct.h"
#include "firmware-agent/platform/child.h"
#include "firmware-agent/platform/reserve.h"

enum {
    ASIDE_MAX = 4,
    LOCK_SIZE = 8 << 10,
    MAP_STEP = 64 << 10
}; // MAP_STEP: a multiple of every page size in use (4, 16, 64 KiB)

#define STATE_NAME "state.mdb"
#define LOCK_NAME "state.mdb-lock"
#define CLEAN_NAME "state.mdb-clean"
#define NEW_NAME "state.new"

void leat_store_check(const leat_store *store) { LEAT_ASSERT(pthread_equal(store->owner, pthread_self())); }

void leat_store_bind(leat_store *store) { store->owner = pthread_self(); }

void leat_store_path(const leat_store *store, const char *name, char out_path[LEAT_STORE_PATH])
{
    int size = snprintf(out_path, LEAT_STORE_PATH, "%s/%s", store->directory, name);
    LEAT_ASSERT(size > 0 && size < LEAT_STORE_PATH);
}

static uint64_t whole_steps(uint64_t bytes) { return (bytes + MAP_STEP - 1) / MAP_STEP * MAP_STEP; }

static uint64_t map_limit(const leat_store_options *options)
{
    uint64_t most = sizeof(size_t) == 4 ? 2047ULL << 20 : 1ULL << 46;
    return options->map_bytes && whole_steps(options->map_bytes) < most ? whole_steps(options->map_bytes) : most;
}

uint64_t leat_store_map_bytes(const leat_store_options *options)
{
    uint64_t bytes = options->map_start ? options->map_start : sizeof(size_t) == 4 ? 256ULL << 20 : 1ULL << 30;
    return whole_steps(bytes) < map_limit(options) ? whole_steps(bytes) : map_limit(options);
}

const store_image *leat_store_image(const store_group *group, uint64_t id)
{
    for (uint32_t i = group->count; i > 0; i--)
        if (group->images[i - 1].id <= id)
            return &group->images[i - 1];
    return NULL;
}

// ---- LMDB's side

static bool exists(leat_store *store, const char *path)
{
    leat_file_stat stat;
    leat_error ignored;
    return store->env->ops->path_stat(store->env, path, &stat, &ignored) == LEAT_OK;
}

static void lmdb_close(leat_store *store)
{
    if (store->lmdb)
        mdb_env_close(store->lmdb);
    store->lmdb = NULL;
}

// LMDB writes its lock file through a mapping: on a full disk that is SIGBUS unless the file has its blocks before. 0 or an errno.
static int reserve_lock(const char *path, unsigned flags)
{
    char lock[LEAT_STORE_PATH + sizeof "-lock"];
    if (flags & (MDB_NOLOCK | MDB_RDONLY))
        return 0;
    snprintf(lock, sizeof lock, "%s-lock", path);
    return leat_platform_reserve(lock, LOCK_SIZE);
}

static leat_code lmdb_open(leat_store *store, const char *path, unsigned flags, leat_error *out_error)
{
    int result = mdb_env_create(&store->lmdb);
    if (result != MDB_SUCCESS)
        return leat_lmdb_error(out_error, result, "cannot make an LMDB environment");
    result = mdb_env_set_maxdbs(store->lmdb, 4);
    if (result == MDB_SUCCESS)
        result = mdb_env_set_mapsize(store->lmdb, (size_t)leat_store_map_bytes(&store->options));
    if (result == MDB_SUCCESS)
        result = reserve_lock(path, flags);
    if (result == MDB_SUCCESS)
        result = mdb_env_open(store->lmdb, path, MDB_NOSUBDIR | MDB_NOTLS | flags, 0640);
    if (result == MDB_SUCCESS)
        return LEAT_OK;
    lmdb_close(store);
    leat_code code = leat_lmdb_error(out_error, result, "cannot open the state");
    if (out_error)
        snprintf(out_error->place, sizeof out_error->place, "%.255s", path);
    return code;
}

static int tables_open(leat_store *store, MDB_txn *txn, unsigned flags)
{
    int result = mdb_dbi_open(txn, "log", flags, &store->log);
    if (result == MDB_SUCCESS)
        result = mdb_dbi_open(txn, "base", flags, &store->base);
    if (result == MDB_SUCCESS)
        result = mdb_dbi_open(txn, "meta", flags, &store->meta);
    return result;
}

// ---- creation: complete in state.new before it gets its name

void leat_store_new_path(const leat_store *store, char out_path[LEAT_STORE_PATH])
{
    leat_store_path(store, NEW_NAME "/" STATE_NAME, out_path);
}

void leat_store_new_remove(leat_store *store)
{
    static const char *const names[] = {NEW_NAME "/" STATE_NAME, NEW_NAME "/" LOCK_NAME};
    leat_error ignored; // what is not there need not go
    char path[LEAT_STORE_PATH];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        leat_store_path(store, names[i], path);
        (void)store->env->ops->unlink(store->env, path, &ignored);
    }
    leat_store_path(store, NEW_NAME, path);
    (void)store->env->ops->remove_directory(store->env, path, &ignored);
}

static leat_code write_first(leat_store *store, leat_error *out_error)
{
    MDB_txn *txn = NULL;
    MDB_stat stat;
    int result = mdb_txn_begin(store->lmdb, NULL, 0, &txn);
    if (result != MDB_SUCCESS)
        return leat_lmdb_error(out_error, result, "cannot create the state");
    result = tables_open(store, txn, MDB_CREATE);
    store->marks_changed = true;
    if (result == MDB_SUCCESS)
        result = leat_meta_put_changed(store, txn, 0);
    if (result == MDB_SUCCESS)
        result = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (result == MDB_SUCCESS)
        result = mdb_env_stat(store->lmdb, &stat);
    if (result != MDB_SUCCESS)
        return leat_lmdb_error(out_error, result, "cannot create the state");
    store->page_size = stat.ms_psize;
    leat_meta_committed(store, 0);
    return LEAT_OK;
}

leat_code leat_store_create_at(leat_store *store, const char *path, leat_error *out_error)
{
    char directory[LEAT_STORE_PATH];
    leat_store_path(store, NEW_NAME, directory);
    leat_store_new_remove(store);
    leat_code code = store->env->ops->make_directory(store->env, directory, 0750, out_error);
    if (code == LEAT_OK)
        code = lmdb_open(store, path, 0, out_error);
    if (code == LEAT_OK) {
        code = write_first(store, out_error);
        if (code != LEAT_OK)
            lmdb_close(store);
    }
    return code;
}

static leat_code sync_path(leat_store *store, const char *path, leat_error *out_error)
{
    leat_file *file = NULL;
    leat_code code = store->env->ops->open(store->env, path, LEAT_OPEN_WRITE, &file, out_error);
    if (code != LEAT_OK)
        return code;
    code = store->env->ops->sync(file, out_error);
    store->env->ops->close(store->env, file);
    return code;
}

// ---- opening what is there

static uint64_t tree_bytes(MDB_txn *txn, MDB_dbi dbi, size_t page_size)
{
    MDB_stat stat;
    return mdb_stat(txn, dbi, &stat) == MDB_SUCCESS ? stat.ms_leaf_pages * (uint64_t)page_size : 0;
}

// The id of the checkpoint that the cursor's chunk belongs to; 0 at the end or on a key that is none.
static uint64_t id_at(MDB_cursor *cursor, MDB_cursor_op op, int *result)
{
    MDB_val key, value;
    uint64_t number = 0;
    *result = mdb_cursor_get(cursor, &key, &value, op);
    if (*result == MDB_NOTFOUND) {
        *result = MDB_SUCCESS;
        return 0;
    }
    if (*result == MDB_SUCCESS && !leat_key_read(&key, &number))
        *result = MDB_CORRUPTED;
    return number >> LEAT_LOG_CHUNK_BITS;
}

static int survey_ids(leat_store *store, MDB_cursor *cursor)
{
    int result;
    uint64_t id = id_at(cursor, MDB_LAST, &result);
    store->last_id = id;
    store->retained_count = 0;
    while (result == MDB_SUCCESS && id && store->retained_count < store->options.retained) {
        uint8_t bytes[8];
        leat_key_write(id << LEAT_LOG_CHUNK_BITS, bytes);
        MDB_val key = {sizeof bytes, bytes}, value;
        result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        uint64_t first = 0;
        if (result != MDB_SUCCESS || !leat_key_read(&key, &first))
            return MDB_CORRUPTED;
        if (first == id << LEAT_LOG_CHUNK_BITS &&
            id >= store->oldest_id) // else partly removed already: not retained any more
            store->retained[store->retained_count++] = id;
        id = id_at(cursor, MDB_PREV, &result);
    }
    return result;
}

// How much of the log is newer than the anchor: what the next cycle is measured by.
static uint64_t bytes_since_anchor(const leat_store *store, MDB_cursor *cursor)
{
    uint8_t bytes[8];
    leat_key_write((store->anchor_id + 1) << LEAT_LOG_CHUNK_BITS, bytes);
    MDB_val key = {sizeof bytes, bytes}, value;
    uint64_t sum = 0;
    int result = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; result == MDB_SUCCESS; result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        sum += value.mv_size + LEAT_LOG_NODE_BYTES;
    return sum;
}

leat_code leat_store_survey(leat_store *store, MDB_txn *txn, leat_error *out_error)
{
    MDB_cursor *cursor;
    int result = mdb_cursor_open(txn, store->log, &cursor);
    if (result == MDB_SUCCESS) {
        result = survey_ids(store, cursor);
        if (result == MDB_SUCCESS && !store->tainted) // else there will be a new file
            store->since_bytes = bytes_since_anchor(store, cursor);
        mdb_cursor_close(cursor);
    }
    if (store->next_id <= store->last_id)
        store->next_id = store->last_id + 1;
    store->log_bytes = tree_bytes(txn, store->log, store->page_size);
    store->base_bytes = tree_bytes(txn, store->base, store->page_size);
    return leat_lmdb_error(out_error, result, "cannot read the table log");
}

static void forget(leat_store *store)
{
    leat_meta_release(store);
    memset(store->groups, 0, LEAT_STORE_GROUPS * sizeof *store->groups);
    store->operator_next = 1;
    store->next_id = 1;
    store->last_id = store->generation = store->compact_until = store->oldest_id = store->anchor_id = 0;
    store->since_bytes = 0;
    store->retained_count = 0;
    store->floor_ms = INT64_MIN;
    store->finished = store->marks_changed = store->planned = store->tainted = false;
    snprintf(store->agent, sizeof store->agent, "%s", store->options.agent ? store->options.agent : "");
}

static leat_code load(leat_store *store, leat_error *out_error)
{
    leat_meta_release(store);
    MDB_txn *txn = NULL;
    int dead;
    mdb_reader_check(store->lmdb, &dead);
    MDB_stat stat;
    int result = mdb_env_stat(store->lmdb, &stat);
    store->page_size = stat.ms_psize;
    if (result == MDB_SUCCESS)
        result = mdb_txn_begin(store->lmdb, NULL, MDB_RDONLY, &txn);
    if (result == MDB_SUCCESS)
        result = tables_open(store, txn, 0);
    leat_code code = result == MDB_NOTFOUND ? leat_error_set(out_error, LEAT_E_CORRUPT, "a table is missing")
                                            : leat_lmdb_error(out_error, result, "cannot read the state");
    store->next_id = 0;
    if (code == LEAT_OK)
        code = leat_meta_load(store, txn, out_error);
    if (code == LEAT_OK)
        code = leat_store_survey(store, txn, out_error);
    if (code == LEAT_OK)
        leat_store_load_floor(store, txn);
    // Handles opened in a read transaction live on when it is committed.
    if (code == LEAT_OK)
        code = leat_lmdb_error(out_error, mdb_txn_commit(txn), "cannot read the state");
    else if (txn)
        mdb_txn_abort(txn);
    return code;
}

leat_code leat_store_open_in_child(leat_store *store)
{
    char path[LEAT_STORE_PATH];
    leat_error ignored;
    leat_store_path(store, STATE_NAME, path);
    store->lmdb = NULL;
    leat_code code = lmdb_open(store, path, MDB_RDONLY | MDB_NOLOCK, &ignored);
    return code == LEAT_OK ? load(store, &ignored) : code;
}

static leat_code load_in_child(void *store) { return leat_store_open_in_child(store); }

static leat_code open_there(leat_store *store, const char *path, bool suspect, leat_error *out_error)
{
    leat_code code = suspect ? leat_store_probe(path, leat_store_map_bytes(&store->options), out_error) : LEAT_OK;
    leat_error ignored;
    store->tainted = code == LEAT_E_CORRUPT ||
                     (code == LEAT_OK && suspect && leat_pages_check(store->env, path, &ignored) == LEAT_E_CORRUPT);
    // Some of it may be intact still: one checkpoint after the other will be tried.
    if (store->tainted)
        code = leat_child_try(load_in_child, store, code == LEAT_OK ? out_error : &ignored);
    if (code == LEAT_OK)
        code = lmdb_open(store, path, 0, out_error);
    if (code == LEAT_OK) {
        code = load(store, out_error);
        if (code != LEAT_OK)
            lmdb_close(store);
    }
    return code;
}

static leat_code set_aside(leat_store *store, char out_name[LEAT_NAME_SIZE], leat_error *out_error)
{
    char from[LEAT_STORE_PATH], to[LEAT_STORE_PATH];
    leat_error ignored;
    leat_store_path(store, STATE_NAME, from);
    for (unsigned i = 1; i <= ASIDE_MAX; i++) { // the last name is used again: damage must not fill the disk
        snprintf(out_name, LEAT_NAME_SIZE, STATE_NAME ".damaged-%u", i);
        leat_store_path(store, out_name, to);
        if (!exists(store, to))
            break;
    }
    leat_code code = store->env->ops->rename(store->env, from, to, out_error);
    leat_store_path(store, LOCK_NAME, from);
    (void)store->env->ops->unlink(store->env, from, &ignored);
    return code;
}

leat_code leat_store_replace(leat_store *store, bool aside, leat_error *out_error)
{
    char path[LEAT_STORE_PATH], final[LEAT_STORE_PATH], lock[LEAT_STORE_PATH], name[LEAT_NAME_SIZE];
    leat_error ignored;
    leat_store_new_path(store, path);
    leat_store_path(store, STATE_NAME, final);
    leat_store_path(store, LOCK_NAME, lock);
    lmdb_close(store);
    leat_code code = sync_path(store, path, out_error);
    if (code == LEAT_OK && aside)
        code = set_aside(store, name, out_error);
    if (code == LEAT_OK)
        code = store->env->ops->rename(store->env, path, final, out_error);
    if (code == LEAT_OK)
        code = store->env->ops->sync_directory(store->env, store->directory, out_error);
    (void)store->env->ops->unlink(store->env, lock, &ignored); // of the former file
    leat_store_new_remove(store);
    if (code != LEAT_OK)
        return code;
    forget(store);
    return open_there(store, final, false, out_error);
}

static leat_code create(leat_store *store, leat_error *out_error)
{
    char path[LEAT_STORE_PATH];
    leat_store_new_path(store, path);
    leat_code code = leat_store_create_at(store, path, out_error);
    return code == LEAT_OK ? leat_store_replace(store, false, out_error) : code;
}

static leat_code open_file(leat_store *store, leat_store_opened *opened, leat_error *out_error)
{
    char path[LEAT_STORE_PATH], clean[LEAT_STORE_PATH];
    leat_store_path(store, STATE_NAME, path);
    leat_store_path(store, CLEAN_NAME, clean);
    bool was_clean = exists(store, clean);
    leat_code code = LEAT_OK;
    if (was_clean && store->env->ops->unlink(store->env, clean, out_error) == LEAT_OK)
        code = store->env->ops->sync_directory(store->env, store->directory, out_error);
    if (code != LEAT_OK)
        return code;
    bool there = exists(store, path);
    if (there) {
        code = open_there(store, path, store->options.suspect || !was_clean, out_error);
        if (code != LEAT_E_CORRUPT)
            return code;
        opened->set_aside = true;
        if (out_error)
            opened->reason = *out_error;
        code = set_aside(store, opened->aside, out_error);
        if (code != LEAT_OK)
            return code;
    }
    opened->created = true;
    forget(store);
    return create(store, out_error);
}

// ---- life

static leat_code options_check(const leat_store_options *options, leat_error *out_error)
{
    if (options->retained > LEAT_STORE_RETAINED_MAX)
        return leat_error_set(out_error, LEAT_E_INVALID, "%u retained checkpoints, at most %d are possible",
                              options->retained, LEAT_STORE_RETAINED_MAX);
    if (options->log_over_base != 0 && !(options->log_over_base >= 1 && options->log_over_base <= 4))
        return leat_error_set(out_error, LEAT_E_INVALID, "log_over_base is %g, expected 1 to 4",
                              options->log_over_base);
    if (strlen(options->directory) + LEAT_NAME_SIZE >= LEAT_STORE_PATH)
        return leat_error_at(out_error, LEAT_E_INVALID, options->directory, "the path is too long");
    return LEAT_OK;
}

static void store_init(leat_store *store, leat_env *env, const leat_store_options *options)
{
    store->env = env;
    store->options = *options;
    store->owner = pthread_self();
    if (store->options.retained == 0)
        store->options.retained = LEAT_STORE_RETAINED_DEFAULT;
    if (store->options.log_over_base == 0)
        store->options.log_over_base = 1.5;
    if (store->options.log_min_bytes == 0)
        store->options.log_min_bytes = 8 << 20;
    snprintf(store->directory, sizeof store->directory, "%s", options->directory);
    store->options.directory = store->directory;
    forget(store);
}

static void store_release(leat_store *store)
{
    lmdb_close(store);
    leat_meta_release(store);
    leat_env_free(store->env, store->groups, LEAT_STORE_GROUPS * sizeof *store->groups);
    leat_env_free(store->env, store, sizeof *store);
}

leat_code leat_store_open(leat_env *env, const leat_store_options *options, leat_store **out_store,
                          leat_store_opened *out_opened, leat_error *out_error)
{
    leat_error own = {0}; // the reason for setting aside is wanted even when the caller does not want errors
    leat_store_opened opened = {0};
    leat_code code = options_check(options, out_error);
    if (code != LEAT_OK)
        return code;
    leat_store *store = leat_env_calloc(env, sizeof *store);
    store_group *groups = leat_env_calloc(env, LEAT_STORE_GROUPS * sizeof *groups);
    if (!store || !groups) {
        leat_env_free(env, store, sizeof *store);
        leat_env_free(env, groups, LEAT_STORE_GROUPS * sizeof *groups);
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the checkpoint store");
    }
    store->groups = groups;
    store->env = env;
    store_init(store, env, options);
    code = env->ops->make_directory(env, store->directory, 0750, &own);
    if (code == LEAT_OK)
        code = open_file(store, &opened, &own);
    store->options.agent = store->agent;
    opened.finished = store->finished;
    opened.generation = store->generation;
    opened.floor_ms = store->floor_ms;
    memcpy(opened.agent, store->agent, sizeof opened.agent);
    if (out_opened)
        *out_opened = opened;
    if (code != LEAT_OK) {
        if (out_error)
            *out_error = own;
        store_release(store);
        return code;
    }
    *out_store = store;
    return LEAT_OK;
}

void leat_store_close(leat_store *store)
{
    if (!store)
        return;
    leat_store_check(store);
    lmdb_close(store);
    char clean[LEAT_STORE_PATH];
    leat_store_path(store, CLEAN_NAME, clean);
    leat_file *file = NULL;
    leat_error ignored; // without the mark the next open looks more closely, that is all
    if (store->env->ops->open(store->env, clean, LEAT_OPEN_WRITE, &file, &ignored) == LEAT_OK)
        store->env->ops->close(store->env, file);
    store_release(store);
}

static uint64_t map_size(const leat_store *store)
{
    MDB_envinfo size;
    return mdb_env_info(store->lmdb, &size) == MDB_SUCCESS ? size.me_mapsize : 0;
}

// By half: on 32 bit the new map has to be found beside others.
leat_code leat_store_enlarge(leat_store *store, leat_error *out_error)
{
    uint64_t now = map_size(store), most = map_limit(&store->options), wanted = whole_steps(now + now / 2);
    wanted = wanted < most ? wanted : most;
    if (wanted <= now)
        return leat_error_set(out_error, LEAT_E_LIMIT,
                              "the state does not fit into agent.map_size, %llu MiB: allow more and start again",
                              (unsigned long long)(now >> 20));
    // No transaction is open here, ever: every one begins and ends within one call on this thread.
    int result = mdb_env_set_mapsize(store->lmdb, (size_t)wanted);
    if (result != MDB_SUCCESS)
        return leat_error_set(out_error, LEAT_E_LIMIT, "the map of the state cannot be enlarged to %llu MiB: %s",
                              (unsigned long long)(wanted >> 20), mdb_strerror(result));
    store->options.map_start = wanted;
    return LEAT_OK;
}

leat_code leat_store_grow(leat_store *store, uint64_t map_bytes, leat_error *out_error)
{
    leat_store_check(store);
    leat_store_options wanted = store->options;
    wanted.map_bytes = map_bytes;
    if (map_limit(&wanted) <= map_limit(&store->options))
        return LEAT_OK;
    store->options.map_bytes = map_bytes;
    return leat_store_enlarge(store, out_error);
}

void leat_store_set_finished(leat_store *store, bool finished)
{
    leat_store_check(store);
    store->marks_changed |= store->finished != finished;
    store->finished = finished;
}

void leat_store_set_agent(leat_store *store, const char *name)
{
    leat_store_check(store);
    snprintf(store->agent, sizeof store->agent, "%s", name);
    store->marks_changed = true;
}

leat_store_stats leat_store_stats_get(const leat_store *store)
{
    leat_store_check(store);
    leat_store_stats stats = {
        .last_id = store->retained_count ? store->retained[0] : 0,
        .oldest_id = store->retained_count ? store->retained[store->retained_count - 1] : 0,
        .log_bytes = store->log_bytes,
        .base_bytes = store->base_bytes,
        .map_bytes = map_size(store),
        .commits = store->commits,
        .page_bytes = store->page_bytes,
        .compacting = store->compact_until != 0,
    };
    MDB_envinfo size;
    if (mdb_env_info(store->lmdb, &size) == MDB_SUCCESS)
        stats.file_bytes = ((uint64_t)size.me_last_pgno + 1) * store->page_size;
    return stats;
}

unsigned leat_store_retained(leat_store *store, uint64_t out_ids[LEAT_STORE_RETAINED_MAX])
{
    leat_store_check(store);
    memcpy(out_ids, store->retained, store->retained_count * sizeof *out_ids);
    return store->retained_count;
}
