// Keys of a keyed operator: encoded bytes, key group, and a dense slot id that state is indexed by.
//
// The format of a key is the concatenation of leat_value_encode of its columns; its hash is leat_hash of these bytes and its
// group hash % LEAT_KEY_GROUPS. Bytes and hash are persisted, slot ids never. A dictionary belongs to one operator instance
// on one thread. A slot lives until leat_keys_release; released slots are handed out again, smallest first.
// Memory: open addressing, at most half full; key bytes in blocks; counted against the budget.
// Limits: LEAT_KEY_BYTES_MAX; `slots_max` slots (0: 2^31).
#pragma once

#include "operators/core/batch.h"

typedef struct leat_keys leat_keys;
#define LEAT_SLOT_NONE UINT32_MAX

struct leat_budget;
LEAT_MUST_CHECK leat_code leat_keys_create(leat_env *env, struct leat_budget *budget, const leat_type *types,
                                           uint32_t type_count, leat_keys **out_keys, leat_error *out_error);
void leat_keys_destroy(leat_keys *keys);
// For each existing row i of the batch: out_slots[i] (i counts existing rows, not physical ones). New keys get a slot.
// A row whose key is longer than LEAT_KEY_BYTES_MAX gets LEAT_SLOT_NONE and is counted (leat_keys_refused): whoever resolves
// drops such rows as LEAT_DROP_TOO_LARGE; one row must not fail a rule.
// Beyond the budget: LEAT_E_LIMIT with a message; the rows before keep their slots.
// NULLs are a key of their own, as in GROUP BY. Vectorised: hash all, prefetch, probe. Fast paths: one integer, one string column.
LEAT_MUST_CHECK leat_code leat_keys_resolve(leat_keys *keys, const leat_batch *batch, const uint32_t *columns,
                                            uint32_t *out_slots, leat_error *out_error);
uint32_t leat_keys_refused(const leat_keys *keys); // rows of the last leat_keys_resolve that got no slot
// For stored keys; one that is too long, or is none of the columns' types, is an error.
LEAT_MUST_CHECK leat_code leat_keys_slot(leat_keys *keys, leat_slice key_bytes, uint32_t *out_slot,
                                         leat_error *out_error);
uint32_t leat_keys_find(const leat_keys *keys, leat_slice key_bytes); // LEAT_SLOT_NONE when unknown
leat_slice leat_keys_bytes(const leat_keys *keys, uint32_t slot);
uint64_t leat_keys_hash(const leat_keys *keys, uint32_t slot);
void leat_keys_prefetch(const leat_keys *keys, uint32_t slot); // what leat_keys_hash reads
uint32_t leat_keys_group(const leat_keys *keys, uint32_t slot);
uint32_t leat_keys_count(const leat_keys *keys);    // live slots
uint32_t leat_keys_capacity(const leat_keys *keys); // every slot is below it; grows in steps
bool leat_keys_live(const leat_keys *keys, uint32_t slot);
void leat_keys_release(leat_keys *keys, uint32_t slot);
// Decodes the key's columns; slices point into the dictionary and hold until the slot is released;
// items of ARRAY, MAP and ROW hold until the next call.
void leat_keys_values(const leat_keys *keys, uint32_t slot, leat_value *out_values);
size_t leat_keys_memory(const leat_keys *keys);
// For exchanges, without a dictionary: hash of the key columns of each existing row.
void leat_keys_hash_rows(const leat_batch *batch, const uint32_t *columns, uint32_t column_count, uint64_t *out_hashes);
static inline uint32_t leat_key_group(uint64_t hash) { return (uint32_t)(hash % LEAT_KEY_GROUPS); }
