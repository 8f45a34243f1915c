#include "firmware-agent/ledger.h"

#include <stdio.h>
#include <string.h>

void leat_ledger_init(leat_ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
    pthread_mutex_init(&ledger->lock, NULL);
}

// Under the lock.
static leat_ledger_entry *find(leat_ledger *ledger, const char *source, const char *cause)
{
    for (uint32_t i = 0; i < ledger->used; i++)
        if (strcmp(ledger->entries[i].source, source) == 0 && strcmp(ledger->entries[i].cause, cause) == 0)
            return &ledger->entries[i];
    if (ledger->used == LEAT_LEDGER_ROWS)
        return NULL;
    bool last = ledger->used == LEAT_LEDGER_ROWS - 1;
    leat_ledger_entry *entry = &ledger->entries[ledger->used++];
    snprintf(entry->source, sizeof entry->source, "%s", last ? "other" : source);
    snprintf(entry->cause, sizeof entry->cause, "%s", last ? "other" : cause);
    return entry;
}

static void add(leat_ledger *ledger, const char *source, const char *cause, uint64_t unsaved, uint64_t total,
                int64_t last_ms)
{
    pthread_mutex_lock(&ledger->lock);
    leat_ledger_entry *entry = find(ledger, source, cause);
    if (!entry)
        entry = &ledger->entries[LEAT_LEDGER_ROWS - 1];
    entry->count += unsaved;
    entry->total += total;
    entry->last_ms = entry->last_ms > last_ms ? entry->last_ms : last_ms;
    pthread_mutex_unlock(&ledger->lock);
}

void leat_ledger_add(leat_ledger *ledger, const char *source, const char *cause, uint64_t count, int64_t now_ms)
{
    add(ledger, source, cause, count, count, now_ms);
}

void leat_ledger_add_drops(leat_ledger *ledger, const char *source, leat_drops *drops, int64_t now_ms)
{
    for (int cause = 0; cause < LEAT_DROP_CAUSES; cause++) {
        uint64_t count = atomic_exchange(&drops->counts[cause], 0);
        if (count > 0)
            leat_ledger_add(ledger, source, leat_drop_cause_name((leat_drop_cause)cause), count, now_ms);
    }
}

void leat_drops_take(const leat_drops *dropped, leat_drops *seen, leat_drops *lost)
{
    for (int cause = 0; cause < LEAT_DROP_CAUSES; cause++) {
        uint64_t now = atomic_load_explicit(&dropped->counts[cause], memory_order_relaxed);
        uint64_t before = atomic_load_explicit(&seen->counts[cause], memory_order_relaxed);
        if (now == before)
            continue;
        leat_drops_add(lost, (leat_drop_cause)cause, now - before);
        atomic_store_explicit(&seen->counts[cause], now, memory_order_relaxed);
    }
}

// ---- what earlier runs left in the store

static void add_stored(leat_ledger *ledger, leat_slice source, leat_slice cause, uint64_t unsaved, uint64_t total,
                       int64_t last_ms)
{
    char source_text[LEAT_NAME_SIZE], cause_text[LEAT_NAME_SIZE];
    snprintf(source_text, sizeof source_text, "%.*s", (int)source.size, source.data);
    snprintf(cause_text, sizeof cause_text, "%.*s", (int)cause.size, cause.data);
    add(ledger, source_text, cause_text, unsaved, total, last_ms);
}

static void load_row(void *context, leat_slice source, leat_slice cause, uint64_t count, int64_t first_ms,
                     int64_t last_ms)
{
    (void)first_ms;
    add_stored(context, source, cause, 0, count, last_ms);
}

static void carry_row(void *context, leat_slice source, leat_slice cause, uint64_t count, int64_t first_ms,
                      int64_t last_ms)
{
    (void)first_ms;
    add_stored(context, source, cause, count, count, last_ms);
}

void leat_ledger_load(leat_ledger *ledger, leat_store *store) { leat_store_ledger_visit(store, load_row, ledger); }

void leat_ledger_carry(leat_ledger *ledger, leat_store *store) { leat_store_ledger_visit(store, carry_row, ledger); }

bool leat_ledger_flush(leat_ledger *ledger, leat_store *store)
{
    bool any = false;
    pthread_mutex_lock(&ledger->lock);
    for (uint32_t i = 0; i < ledger->used; i++) {
        leat_ledger_entry *entry = &ledger->entries[i];
        if (entry->count == 0)
            continue;
        leat_store_ledger_add(store, leat_slice_text(entry->source), leat_slice_text(entry->cause), entry->count,
                              entry->last_ms);
        entry->count = 0;
        any = true;
    }
    pthread_mutex_unlock(&ledger->lock);
    return any;
}
