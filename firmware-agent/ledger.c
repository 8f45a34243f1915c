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

void leat_ledger_add(leat_ledger *ledger, const char *source, const char *cause, uint64_t count, int64_t now_ms)
{
    pthread_mutex_lock(&ledger->lock);
    leat_ledger_entry *entry = find(ledger, source, cause);
    if (!entry)
        entry = &ledger->entries[LEAT_LEDGER_ROWS - 1];
    entry->count += count;
    entry->total += count;
    entry->last_ms = now_ms;
    pthread_mutex_unlock(&ledger->lock);
}

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
