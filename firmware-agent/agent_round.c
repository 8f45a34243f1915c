// One round of the coordinator as the agent sees it: what is synced, what the manifest says, what may be forgotten afterwards.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/agent_struct.h"
#include "operators/base/hash.h"

enum {
    CURSOR_SAVE_MS = 10000, // acknowledgements alone do not wear the flash more often than this
    SYNC_WAIT_MS = LEAT_AGENT_SYNC_WAIT_MS,
};

static int64_t hook_now_ms(void *context) { return leat_clock_now_ms(&((leat_agent *)context)->clock); }

static void hook_barrier(void *context, uint64_t id)
{
    leat_agent *agent = context;
    leat_agent_look_at_disk(agent);
    leat_agent_barrier_begins(agent);
    leat_flow_barrier(agent->flow, id);
}

static void hook_waiting(void *context, uint64_t id, int64_t waited_ms)
{
    leat_agent_barrier_waits(context, id, waited_ms);
}

static void hook_full(void *context, bool full)
{
    leat_agent *agent = context;
    atomic_store(&agent->checkpoint_full, full);
    leat_agent_update_hold(agent);
}

static uint64_t journal_end_of_cut(const leat_agent *agent)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        if (agent->source_cuts[i].journal_end > end)
            end = agent->source_cuts[i].journal_end;
    return end;
}

static leat_code hook_sync(void *context, uint64_t id, leat_error *out_error)
{
    leat_agent *agent = context;
    (void)id;
    leat_agent_barrier_passed(agent);
    uint64_t end = journal_end_of_cut(agent);
    leat_code code = LEAT_OK;
    if (agent->journal && end > leat_log_durable_end(agent->journal)) {
        leat_log_request_sync(agent->journal, end);
        code = leat_log_wait_durable(agent->journal, end, SYNC_WAIT_MS);
    }
    for (uint32_t i = 0; i < agent->plan->sink_count && code == LEAT_OK; i++)
        code = leat_delivery_sync(agent->lines[i], agent->sink_cuts[i], SYNC_WAIT_MS);
    return code == LEAT_OK ? LEAT_OK : leat_error_set(out_error, code, "journal or outbox cannot be synced");
}

static void name_value(leat_agent *agent, leat_coordinator *coordinator, const char *kind, const char *name,
                       const void *bytes, size_t size, uint64_t *hash)
{
    char full[LEAT_NAME_SIZE + 16];
    (void)agent;
    snprintf(full, sizeof full, "%s/%s", kind, name);
    leat_coordinator_name(coordinator, full, leat_slice_of(bytes, size));
    *hash = leat_hash_seeded(bytes, size, leat_hash_seeded(full, strlen(full), *hash));
}

static void name_cursors(leat_agent *agent, leat_coordinator *coordinator, uint64_t *hash)
{
    for (uint32_t i = 0; i < agent->plan->sink_count; i++) {
        leat_cursor cursor;
        leat_delivery_cursor(agent->lines[i], &cursor);
        name_value(agent, coordinator, "cursor", agent->plan->sinks[i].name, &cursor, sizeof cursor, hash);
    }
}

static bool hook_manifest(void *context, leat_coordinator *coordinator, uint64_t id)
{
    leat_agent *agent = context;
    const leat_plan *plan = agent->plan;
    uint64_t hash = 1, cursor_hash = 1, end = journal_end_of_cut(agent);
    (void)id;
    for (uint32_t i = 0; i < plan->source_count; i++)
        name_value(agent, coordinator, "source", plan->sources[i].name, agent->source_cuts[i].bytes,
                   agent->source_cuts[i].size, &hash);
    for (uint32_t i = 0; i < plan->sink_count; i++)
        name_value(agent, coordinator, "outbox", plan->sinks[i].name, &agent->sink_cuts[i], sizeof agent->sink_cuts[i],
                   &hash);
    name_cursors(agent, coordinator, &cursor_hash);
    leat_coordinator_name(coordinator, "journal", leat_slice_of((char *)&end, sizeof end));
    const leat_flow_lineage *lineage = &agent->recovered.lineage;
    if (lineage->incarnation)
        leat_coordinator_name(coordinator, "lineage", leat_slice_of((const char *)lineage, sizeof *lineage));
    int64_t now_ms = leat_boot_ms(agent->env);
    bool cursors_due = atomic_load(&agent->ending) || now_ms - agent->cursor_saved_ms >= CURSOR_SAVE_MS;
    for (uint32_t i = 0; i < plan->sink_count; i++)
        cursors_due |= leat_delivery_needs_commit(agent->lines[i]);
    bool changed = hash != agent->manifest_hash || (cursors_due && cursor_hash != agent->cursor_hash);
    agent->manifest_hash = hash;
    if (changed) {
        agent->cursor_hash = cursor_hash;
        agent->cursor_saved_ms = now_ms;
    }
    return changed;
}

static bool hook_ledger(void *context, leat_store *store)
{
    leat_agent *agent = context;
    // What was dropped before the cut is lost with this checkpoint; after a crash before it, the same rows are dropped, and counted, again.
    int64_t now_ms = leat_wall_ms(agent->env);
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        leat_ledger_add_drops(&agent->ledger, agent->plan->sources[i].name, &agent->source_lost[i], now_ms);
    for (uint32_t i = 0; i < agent->plan->rule_count; i++)
        leat_ledger_add_drops(&agent->ledger, agent->plan->rules[i].name, &agent->rule_lost[i], now_ms);
    return leat_ledger_flush(&agent->ledger, store);
}

// The positions that this checkpoint needs join those of the retained ones.
static void remember_cut(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    uint32_t keep = (uint32_t)plan->agent->checkpoint_retained;
    agent_retained_cut *cut = &agent->retained[agent->retained_next];
    cut->journal = UINT64_MAX;
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (leat_feed_is_push(agent->feeds[i]) && agent->source_cuts[i].journal_end < cut->journal)
            cut->journal = agent->source_cuts[i].journal_end;
    memcpy(cut->outboxes, agent->sink_cuts, plan->sink_count * sizeof *cut->outboxes);
    agent->retained_next = (agent->retained_next + 1) % keep;
    if (agent->retained_count < keep)
        agent->retained_count++;
}

bool leat_agent_log_is_full(const leat_log *log)
{
    leat_log_state state = leat_log_state_get(log);
    return state == LEAT_LOG_FULL_DISK || state == LEAT_LOG_FULL_LIMIT;
}

// What is older than all retained checkpoints may go. A full journal reaches back to the last one only: better no other to fall back to than no intake.
static void trim_logs(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    uint32_t keep = (uint32_t)plan->agent->checkpoint_retained;
    const agent_retained_cut *oldest = agent->retained_count < keep ? NULL : &agent->retained[agent->retained_next];
    const agent_retained_cut *newest =
        agent->retained_count > 0 ? &agent->retained[(agent->retained_next + keep - 1) % keep] : NULL;
    const agent_retained_cut *journal = agent->journal && leat_agent_log_is_full(agent->journal) ? newest : oldest;
    if (agent->journal && journal && journal->journal != UINT64_MAX)
        leat_log_trim(agent->journal, journal->journal);
    for (uint32_t i = 0; oldest && i < plan->sink_count; i++)
        leat_delivery_trim(agent->lines[i], oldest->outboxes[i]);
}

static void hook_committed(void *context, uint64_t id, bool written)
{
    leat_agent *agent = context;
    (void)id;
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        leat_delivery_commit(agent->lines[i], agent->sink_cuts[i], written);
    if (written)
        remember_cut(agent);
    trim_logs(agent);
    leat_agent_update_hold(agent);
}

leat_code leat_agent_make_coordinator(leat_agent *agent, leat_error *out_error)
{
    const leat_agent_settings *settings = agent->plan->agent;
    leat_coordinator_setup setup = {.env = agent->env,
                                    .store = agent->store,
                                    .hooks = {.context = agent,
                                              .now_ms = hook_now_ms,
                                              .barrier = hook_barrier,
                                              .waiting = hook_waiting,
                                              .full = hook_full,
                                              .sync = hook_sync,
                                              .manifest = hook_manifest,
                                              .ledger = hook_ledger,
                                              .committed = hook_committed,
                                              .fault = leat_agent_fault},
                                    .interval_ms = settings->checkpoint_interval_ms,
                                    .min_pause_ms = settings->checkpoint_min_pause_ms,
                                    .gap_ms = settings->commit_gap_ms,
                                    .last_id = agent->restored.id,
                                    .node_count = agent->plan->node_count,
                                    .operator_numbers = agent->operator_numbers};
    return leat_coordinator_create(&setup, &agent->coordinator, out_error);
}
