// What store.c (open, questions), meta.c (rows), commit.c, restore.c and probe.c share of one store.
#pragma once

#include <lmdb.h>
#include <pthread.h>

#include "firmware-agent/checkpoint/chunk.h"
#include "firmware-agent/checkpoint/store.h"

enum {
    LEAT_STORE_PATH = 512,
    LEAT_STORE_IMAGES = LEAT_STORE_RETAINED_MAX + 6,
    LEAT_STORE_MANIFEST_OWN = 0,
    LEAT_STORE_MANIFEST_USER = 1
};

typedef struct store_image {
    uint64_t id, bytes;
} store_image;

// Whole images of one key group, rising; what a retained checkpoint may need, and a few that wait for removal.
typedef struct store_group {
    uint32_t count;
    store_image images[LEAT_STORE_IMAGES];
} store_group;

typedef struct store_operator {
    uint64_t uid;
    uint32_t number;
    uint64_t born, dead; // checkpoint ids; born 0: with the next commit; dead 0: alive
    bool dying;          // dead with the next commit
    bool changed;
} store_operator;

typedef struct store_loss {
    char source[LEAT_NAME_SIZE], cause[LEAT_NAME_SIZE];
    uint64_t count;
    int64_t first_ms, last_ms;
    bool changed;
} store_loss;

struct leat_store {
    leat_env *env;
    leat_store_options options; // texts point into the arrays below
    char directory[LEAT_STORE_PATH], agent[LEAT_NAME_SIZE];
    pthread_t owner;
    MDB_env *lmdb;
    MDB_dbi log, base, meta;
    size_t page_size;

    uint64_t generation, next_id, last_id;
    uint64_t retained[LEAT_STORE_RETAINED_MAX]; // newest first
    unsigned retained_count;
    int64_t floor_ms;
    uint64_t oldest_id;           // checkpoints below are not retained any more, whatever is still there of them
    bool finished, marks_changed; // agent, finished, floor, generation, next, oldest, anchor
    bool tainted; // its pages are not in order, or not all can be read: replaced by restore before anything is written

    store_group *groups; // LEAT_STORE_GROUPS
    store_operator *operators;
    size_t operator_count, operator_capacity;
    uint32_t operator_next;
    store_loss *losses;
    size_t loss_count, loss_capacity;

    uint64_t log_bytes, base_bytes; // as pages of LMDB
    uint64_t compact_until;         // a cycle runs until every group has an image newer than this; 0: none runs
    // The checkpoint before the last cycle that was completed: nothing that it stands on is shared with the newest ones. 0: none.
    uint64_t anchor_id;
    uint64_t since_bytes, since_at_begin; // of the log above the anchor; what it was when the cycle began
    bool planned;
    bool plan[LEAT_STORE_GROUPS];
    unsigned plan_count;
    uint64_t commits, page_bytes;
};

void leat_store_check(const leat_store *store); // the thread
void leat_store_path(const leat_store *store, const char *name, char out_path[LEAT_STORE_PATH]);
uint64_t leat_store_map_bytes(const leat_store_options *options); // as the map begins
// After a commit that hit the end of the map: a larger one, within map_bytes. LEAT_E_LIMIT when there cannot be one.
LEAT_MUST_CHECK leat_code leat_store_enlarge(leat_store *store, leat_error *out_error);

// meta.c: rows of the table `meta`. Loading tells LEAT_E_CORRUPT when a row is damaged without which the rest means nothing.
LEAT_MUST_CHECK leat_code leat_meta_load(leat_store *store, MDB_txn *txn, leat_error *out_error);
void leat_meta_release(leat_store *store);
int leat_meta_put(leat_store *store, MDB_txn *txn, const char *key, const void *bytes, size_t size);
int leat_meta_put_changed(leat_store *store, MDB_txn *txn,
                          uint64_t id); // operators, ledger, marks; id 0: no checkpoint
void leat_meta_committed(leat_store *store, uint64_t id);
bool leat_meta_changed(const leat_store *store);
int leat_meta_put_group(leat_store *store, MDB_txn *txn, unsigned group, const store_group *images);
bool leat_meta_operator_visible(const leat_store *store, uint32_t number, uint64_t checkpoint, uint64_t *out_uid);
int leat_meta_fall_back(leat_store *store, MDB_txn *txn, uint64_t id); // operators as of checkpoint id

// What the log table holds: last_id, retained ids, sizes.
LEAT_MUST_CHECK leat_code leat_store_survey(leat_store *store, MDB_txn *txn, leat_error *out_error);
// Processing time of the newest manifest that can be read.
void leat_store_load_floor(leat_store *store, MDB_txn *txn);
// Newest image of a group at or below id; NULL when there is none.
const store_image *leat_store_image(const store_group *group, uint64_t id);
// A file of its own at path with empty tables and the store's marks; the store's LMDB environment is it afterwards.
LEAT_MUST_CHECK leat_code leat_store_create_at(leat_store *store, const char *path, leat_error *out_error);
// In a child only: an environment of its own on the store's file, for reading. The parent's is left alone.
LEAT_MUST_CHECK leat_code leat_store_open_in_child(leat_store *store);
void leat_store_new_remove(leat_store *store);
void leat_store_new_path(const leat_store *store, char out_path[LEAT_STORE_PATH]);
// Gives the complete file at leat_store_new_path its name; aside: the former one is kept as state.mdb.damaged-N. Then loads it.
LEAT_MUST_CHECK leat_code leat_store_replace(leat_store *store, bool aside, leat_error *out_error);
// rebuild.c: what checkpoint id holds (0: nothing) becomes a new file, with ledger and marks of this one; the generation rises.
LEAT_MUST_CHECK leat_code leat_store_rebuild(leat_store *store, uint64_t id, leat_error *out_error);
// restore.c: entries of one checkpoint, the owner's manifest through visitor->manifest. Verified before the first call.
LEAT_MUST_CHECK leat_code leat_store_read(leat_store *store, uint64_t id, const leat_store_visitor *visitor,
                                          uint64_t *out_entries, bool *out_visited, leat_error *out_error);

// probe.c: reads the whole file in a child process. LEAT_E_CORRUPT when the child met damage or died of it.
LEAT_MUST_CHECK leat_code leat_store_probe(const char *path, uint64_t map_bytes, leat_error *out_error);
