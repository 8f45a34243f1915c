#include <stdio.h>
#include <string.h>

#include "firmware-agent/checkpoint/store_struct.h"

enum { META_VALUE = 8 + LEAT_STORE_IMAGES * 16, META_KEY = 256 };

// ---- writing rows

int leat_meta_put(leat_store *store, MDB_txn *txn, const char *key, const void *bytes, size_t size)
{
    uint8_t value[4 + META_VALUE];
    LEAT_ASSERT(size <= META_VALUE);
    uint32_t crc = leat_value_crc(key, strlen(key), bytes, size);
    for (unsigned i = 0; i < 4; i++)
        value[i] = (uint8_t)(crc >> (8 * i));
    if (size)
        memcpy(value + 4, bytes, size);
    MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {4 + size, value};
    return mdb_put(txn, store->meta, &k, &v, 0);
}

static void little(uint8_t *bytes, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static int put_u64(leat_store *store, MDB_txn *txn, const char *key, uint64_t value)
{
    uint8_t bytes[8];
    little(bytes, value);
    return leat_meta_put(store, txn, key, bytes, sizeof bytes);
}

static int put_operator(leat_store *store, MDB_txn *txn, const store_operator *row, uint64_t born, uint64_t dead)
{
    char key[META_KEY];
    uint8_t bytes[24];
    snprintf(key, sizeof key, "operator/%016llx/%08x", (unsigned long long)row->uid, row->number);
    little(bytes, row->number);
    little(bytes + 8, born);
    little(bytes + 16, dead);
    return leat_meta_put(store, txn, key, bytes, sizeof bytes);
}

static int put_loss(leat_store *store, MDB_txn *txn, const store_loss *row)
{
    char key[META_KEY];
    uint8_t bytes[24];
    snprintf(key, sizeof key, "ledger/%s/%s", row->cause, row->source);
    little(bytes, row->count);
    little(bytes + 8, (uint64_t)row->first_ms);
    little(bytes + 16, (uint64_t)row->last_ms);
    return leat_meta_put(store, txn, key, bytes, sizeof bytes);
}

int leat_meta_put_group(leat_store *store, MDB_txn *txn, unsigned group, const store_group *images)
{
    char key[META_KEY];
    uint8_t bytes[META_VALUE];
    snprintf(key, sizeof key, "base/%03u", group);
    for (uint32_t i = 0; i < images->count; i++) {
        little(bytes + 16 * (size_t)i, images->images[i].id);
        little(bytes + 16 * (size_t)i + 8, images->images[i].bytes);
    }
    return leat_meta_put(store, txn, key, bytes, 16 * (size_t)images->count);
}

static int put_marks(leat_store *store, MDB_txn *txn)
{
    int result = leat_meta_put(store, txn, "agent", store->agent, strlen(store->agent));
    if (result == MDB_SUCCESS)
        result = put_u64(store, txn, "finished", store->finished);
    if (result == MDB_SUCCESS)
        result = put_u64(store, txn, "generation", store->generation);
    if (result == MDB_SUCCESS)
        result = put_u64(store, txn, "next", store->next_id);
    if (result == MDB_SUCCESS)
        result = put_u64(store, txn, "floor", (uint64_t)store->floor_ms);
    if (result == MDB_SUCCESS)
        result = put_u64(store, txn, "oldest", store->oldest_id);
    if (result == MDB_SUCCESS)
        result = put_u64(store, txn, "anchor", store->anchor_id);
    if (result == MDB_SUCCESS)
        result = put_u64(store, txn, "format", 1);
    return result;
}

int leat_meta_put_changed(leat_store *store, MDB_txn *txn, uint64_t id)
{
    int result = store->marks_changed ? put_marks(store, txn) : MDB_SUCCESS;
    for (size_t i = 0; i < store->operator_count && result == MDB_SUCCESS; i++) {
        const store_operator *row = &store->operators[i];
        if (id && row->changed)
            result = put_operator(store, txn, row, row->born ? row->born : id, row->dying ? id : row->dead);
    }
    for (size_t i = 0; i < store->loss_count && result == MDB_SUCCESS; i++)
        if (store->losses[i].changed)
            result = put_loss(store, txn, &store->losses[i]);
    return result;
}

void leat_meta_committed(leat_store *store, uint64_t id)
{
    store->marks_changed = false;
    for (size_t i = 0; i < store->operator_count && id; i++) {
        store_operator *row = &store->operators[i];
        row->born = row->born ? row->born : id;
        if (row->dying)
            row->dead = id;
        row->dying = row->changed = false;
    }
    for (size_t i = 0; i < store->loss_count; i++)
        store->losses[i].changed = false;
}

bool leat_meta_changed(const leat_store *store)
{
    for (size_t i = 0; i < store->loss_count; i++)
        if (store->losses[i].changed)
            return true;
    return store->marks_changed;
}

int leat_meta_fall_back(leat_store *store, MDB_txn *txn, uint64_t id)
{
    int result = MDB_SUCCESS;
    for (size_t i = 0; i < store->operator_count && result == MDB_SUCCESS; i++) {
        store_operator *row = &store->operators[i];
        if (row->dead > id)
            row->dead = 0;
        if (row->born)
            result = put_operator(store, txn, row, row->born, row->dead);
    }
    return result;
}

// ---- rows in memory

static void *grown(leat_store *store, void *rows, size_t *capacity, size_t size)
{
    size_t more = *capacity ? *capacity * 2 : 16;
    void *memory =
        rows ? leat_env_grow(store->env, rows, *capacity * size, more * size) : leat_env_alloc(store->env, more * size);
    LEAT_ASSERT(memory); // bounded, and small beside what one batch takes
    *capacity = more;
    return memory;
}

static store_operator *operator_add(leat_store *store)
{
    if (store->operator_count == store->operator_capacity)
        store->operators = grown(store, store->operators, &store->operator_capacity, sizeof *store->operators);
    store_operator *row = &store->operators[store->operator_count++];
    *row = (store_operator){0};
    return row;
}

static store_operator *operator_alive(leat_store *store, uint64_t uid)
{
    for (size_t i = 0; i < store->operator_count; i++)
        if (store->operators[i].uid == uid && !store->operators[i].dead && !store->operators[i].dying)
            return &store->operators[i];
    return NULL;
}

uint32_t leat_store_operator(leat_store *store, uint64_t uid_hash)
{
    leat_store_check(store);
    store_operator *row = operator_alive(store, uid_hash);
    if (row)
        return row->number;
    if (store->operator_next > LEAT_STORE_OPERATORS_MAX)
        return 0;
    row = operator_add(store);
    *row = (store_operator){.uid = uid_hash, .number = store->operator_next++, .changed = true};
    return row->number;
}

void leat_store_operator_forget(leat_store *store, uint64_t uid_hash)
{
    leat_store_check(store);
    store_operator *row = operator_alive(store, uid_hash);
    if (row)
        row->dying = row->changed = true;
}

bool leat_meta_operator_visible(const leat_store *store, uint32_t number, uint64_t checkpoint, uint64_t *out_uid)
{
    for (size_t i = 0; i < store->operator_count; i++) {
        const store_operator *row = &store->operators[i];
        if (row->number != number)
            continue;
        *out_uid = row->uid;
        return row->born && row->born <= checkpoint && (!row->dead || checkpoint < row->dead);
    }
    return false;
}

static void name_copy(char out_name[LEAT_NAME_SIZE], leat_slice name)
{
    size_t size = name.size < LEAT_NAME_SIZE ? name.size : LEAT_NAME_SIZE - 1;
    for (size_t i = 0; i < size; i++)
        out_name[i] = name.data[i] == '/' || name.data[i] == 0 ? '.' : name.data[i];
    out_name[size] = 0;
}

static store_loss *loss_find(leat_store *store, const char *source, const char *cause)
{
    for (size_t i = 0; i < store->loss_count; i++)
        if (strcmp(store->losses[i].source, source) == 0 && strcmp(store->losses[i].cause, cause) == 0)
            return &store->losses[i];
    return NULL;
}

static store_loss *loss_add(leat_store *store, const store_loss *row)
{
    if (store->loss_count == LEAT_STORE_LEDGER_MAX)
        return &store->losses[store->loss_count - 1];
    if (store->loss_count == store->loss_capacity)
        store->losses = grown(store, store->losses, &store->loss_capacity, sizeof *store->losses);
    store->losses[store->loss_count] = *row;
    return &store->losses[store->loss_count++];
}

static store_loss *loss_get(leat_store *store, leat_slice source, leat_slice cause)
{
    enum { ROWS_FOR_OTHER = 64 }; // one a cause
    store_loss row = {0};
    name_copy(row.source, source);
    name_copy(row.cause, cause);
    store_loss *found = loss_find(store, row.source, row.cause);
    if (!found && store->loss_count >= LEAT_STORE_LEDGER_MAX - ROWS_FOR_OTHER) {
        name_copy(row.source, leat_slice_text("other"));
        found = loss_find(store, row.source, row.cause);
    }
    return found ? found : loss_add(store, &row);
}

void leat_store_ledger_add(leat_store *store, leat_slice source, leat_slice cause, uint64_t count, int64_t now_ms)
{
    leat_store_check(store);
    store_loss *row = loss_get(store, source, cause);
    if (row->count == 0 || now_ms < row->first_ms)
        row->first_ms = now_ms;
    if (row->count == 0 || now_ms > row->last_ms)
        row->last_ms = now_ms;
    row->count += count;
    row->changed = true;
}

void leat_store_ledger_visit(leat_store *store, leat_store_ledger_row row, void *context)
{
    leat_store_check(store);
    for (size_t i = 0; i < store->loss_count; i++) {
        const store_loss *loss = &store->losses[i];
        row(context, leat_slice_text(loss->source), leat_slice_text(loss->cause), loss->count, loss->first_ms,
            loss->last_ms);
    }
}

// ---- loading

static bool load_group(leat_store *store, unsigned long group, leat_reader *value)
{
    store_group *images = &store->groups[group < LEAT_STORE_GROUPS ? group : 0];
    if (group >= LEAT_STORE_GROUPS || leat_reader_left(value) % 16 != 0 ||
        leat_reader_left(value) / 16 > LEAT_STORE_IMAGES)
        return false;
    images->count = 0;
    while (leat_reader_left(value)) {
        store_image image = {leat_read_u64(value), 0};
        image.bytes = leat_read_u64(value);
        images->images[images->count++] = image;
    }
    return true;
}

static void load_operator(leat_store *store, uint64_t uid, leat_reader *value)
{
    store_operator row = {.uid = uid, .number = (uint32_t)leat_read_u64(value)};
    row.born = leat_read_u64(value);
    row.dead = leat_read_u64(value);
    *operator_add(store) = row;
    if (row.number >= store->operator_next)
        store->operator_next = row.number + 1;
}

static void load_loss(leat_store *store, const char *name, leat_reader *value)
{
    const char *slash = strchr(name, '/');
    if (!slash)
        return;
    store_loss row = {.count = leat_read_u64(value)};
    row.first_ms = (int64_t)leat_read_u64(value);
    row.last_ms = (int64_t)leat_read_u64(value);
    name_copy(row.source, leat_slice_text(slash + 1));
    name_copy(row.cause, leat_slice_of(name, (size_t)(slash - name)));
    loss_add(store, &row);
}

static uint64_t parse_number(const char *text, unsigned digits, unsigned radix)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < digits && text[i]; i++)
        number = number * radix + (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    return number;
}

static bool load_mark(leat_store *store, const char *key, leat_slice rest, leat_reader *value)
{
    if (strcmp(key, "agent") == 0) {
        name_copy(store->agent, rest);
        return true;
    }
    uint64_t number = leat_read_u64(value);
    if (strcmp(key, "finished") == 0)
        store->finished = number != 0;
    else if (strcmp(key, "generation") == 0)
        store->generation = number;
    else if (strcmp(key, "next") == 0)
        store->next_id = number;
    else if (strcmp(key, "floor") == 0)
        store->floor_ms = (int64_t)number;
    else if (strcmp(key, "oldest") == 0)
        store->oldest_id = number;
    else if (strcmp(key, "anchor") == 0)
        store->anchor_id = number;
    else if (strcmp(key, "format") == 0)
        return number == 1;
    return true;
}

static bool load_row(leat_store *store, const char *key, leat_slice rest)
{
    leat_reader value;
    leat_reader_init(&value, rest.data, rest.size);
    bool good = true;
    if (strncmp(key, "base/", 5) == 0)
        good = load_group(store, (unsigned long)parse_number(key + 5, 3, 10), &value);
    else if (strncmp(key, "operator/", 9) == 0)
        load_operator(store, parse_number(key + 9, 16, 16), &value);
    else if (strncmp(key, "ledger/", 7) == 0)
        load_loss(store, key + 7, &value);
    else
        good = load_mark(store, key, rest, &value);
    return good && !value.failed;
}

static leat_code load_next(leat_store *store, const MDB_val *k, const MDB_val *v, leat_error *out_error)
{
    char key[META_KEY];
    size_t size = k->mv_size < sizeof key ? k->mv_size : sizeof key - 1;
    memcpy(key, k->mv_data, size);
    key[size] = 0;
    leat_slice rest;
    if (leat_value_check(k, v, &rest) && load_row(store, key, rest))
        return LEAT_OK;
    if (strncmp(key, "ledger/", 7) == 0) {
        // The count is gone; that it is gone is a loss of its own.
        leat_store_ledger_add(store, leat_slice_text("store"), leat_slice_text("ledger-damaged"), 1,
                              leat_wall_ms(store->env));
        return LEAT_OK;
    }
    return leat_error_set(out_error, LEAT_E_CORRUPT, "the row %s is damaged", key);
}

leat_code leat_meta_load(leat_store *store, MDB_txn *txn, leat_error *out_error)
{
    MDB_cursor *cursor;
    int result = mdb_cursor_open(txn, store->meta, &cursor);
    if (result != MDB_SUCCESS)
        return leat_lmdb_error(out_error, result, "cannot read the table meta");
    MDB_val key, value;
    leat_code code = LEAT_OK;
    while (code == LEAT_OK && (result = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS)
        code = load_next(store, &key, &value, out_error);
    mdb_cursor_close(cursor);
    if (code == LEAT_OK && result != MDB_NOTFOUND)
        code = leat_lmdb_error(out_error, result, "cannot read the table meta");
    if (code == LEAT_OK && store->next_id == 0)
        code = leat_error_set(out_error, LEAT_E_CORRUPT, "the table meta is incomplete");
    return code;
}

void leat_meta_release(leat_store *store)
{
    leat_env_free(store->env, store->operators, store->operator_capacity * sizeof *store->operators);
    leat_env_free(store->env, store->losses, store->loss_capacity * sizeof *store->losses);
    store->operators = NULL;
    store->losses = NULL;
    store->operator_count = store->operator_capacity = store->loss_count = store->loss_capacity = 0;
}
