#include "firmware-agent/agent_struct.h"

#include <string.h>

#include "firmware-agent/platform/env_posix.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/wait.h"

enum { SYNC_WAIT_MS = LEAT_AGENT_SYNC_WAIT_MS, END_POLL_MS = 20 }; // while the last results are delivered

void leat_agent_fail(leat_agent *agent, const leat_error *error)
{
    pthread_mutex_lock(&agent->lock);
    if (!agent->failed)
        agent->error = *error;
    agent->failed = true;
    pthread_cond_broadcast(&agent->news);
    pthread_mutex_unlock(&agent->lock);
}

void leat_agent_fault(void *context, const leat_error *error) { leat_agent_fail(context, error); }

static void make_tables(leat_agent *agent)
{
    const leat_plan *plan = agent->plan;
    leat_arena *arena = &agent->arena;
    agent->feeds = leat_arena_array(arena, leat_feed *, plan->source_count + 1);
    agent->lines = leat_arena_array(arena, leat_delivery_line *, plan->sink_count + 1);
    agent->rule_drops = leat_arena_array(arena, leat_drops, plan->rule_count + 1);
    agent->rule_lost = leat_arena_array(arena, leat_drops, plan->rule_count + 1);
    agent->source_lost = leat_arena_array(arena, leat_drops, plan->source_count + 1);
    agent->source_seen = leat_arena_array(arena, leat_drops, plan->source_count + 1);
    agent->source_cuts = leat_arena_array(arena, agent_source_cut, plan->source_count + 1);
    agent->sink_cuts = leat_arena_array(arena, uint64_t, plan->sink_count + 1);
    agent->recovered.source_positions = leat_arena_array(arena, leat_slice, plan->source_count + 1);
    agent->recovered.outbox_cuts = leat_arena_array(arena, uint64_t, plan->sink_count + 1);
    agent->recovered.cursors = leat_arena_array(arena, leat_cursor, plan->sink_count + 1);
    memset(agent->recovered.outbox_cuts, 0xff, (plan->sink_count + 1) * sizeof *agent->recovered.outbox_cuts);
    agent->retained = leat_arena_array(arena, agent_retained_cut, plan->agent->checkpoint_retained);
    for (int64_t i = 0; i < plan->agent->checkpoint_retained; i++)
        agent->retained[i].outboxes = leat_arena_array(arena, uint64_t, plan->sink_count + 1);
}

static leat_code open_agent(leat_agent *agent, leat_error *out_error)
{
    leat_code code = leat_agent_open_state(agent, out_error);
    if (code != LEAT_OK)
        return code;
    leat_clock_init(&agent->clock, agent->env, agent->opened.floor_ms);
    code = leat_log_writer_create(agent->env, true, &agent->writer, out_error);
    if (code == LEAT_OK)
        code = leat_agent_recover(agent, out_error);
    return code == LEAT_OK ? leat_agent_make_coordinator(agent, out_error) : code;
}

leat_code leat_agent_create(leat_env *env, const leat_plan *plan, const leat_agent_start *start, leat_agent **out_agent,
                            leat_error *out_error)
{
    leat_agent *agent = leat_env_calloc(env, sizeof *agent);
    if (!agent)
        return leat_error_set(out_error, LEAT_E_MEMORY, "no memory for the agent");
    agent->ports = leat_agent_ports;
    agent->env = env;
    agent->plan = plan;
    if (start)
        agent->start = *start;
    leat_arena_init(&agent->arena, env, 16384);
    leat_ledger_init(&agent->ledger);
    pthread_mutex_init(&agent->lock, NULL);
    pthread_mutex_init(&agent->hold_lock, NULL);
    leat_wait_init(&agent->news);
    make_tables(agent);
    leat_code code = open_agent(agent, out_error);
    if (code != LEAT_OK) {
        leat_agent_destroy(agent);
        return code;
    }
    agent->started_ms = leat_clock_now_ms(&agent->clock);
    *out_agent = agent;
    return LEAT_OK;
}

static bool all_delivered(const leat_agent *agent)
{
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        if (!leat_delivery_is_done(agent->lines[i]))
            return false;
    return true;
}

static uint64_t acknowledged(const leat_agent *agent)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < agent->plan->sink_count; i++) {
        leat_delivery_figures figures;
        leat_delivery_measure(agent->lines[i], &figures);
        sum += figures.sequence;
    }
    return sum;
}

static bool has_failed(leat_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    bool failed = agent->failed;
    pthread_mutex_unlock(&agent->lock);
    return failed;
}

// Delivers what is committed. With `progress` the time begins anew whenever a receiver acknowledges something.
static bool deliver_rest(leat_agent *agent, bool progress)
{
    int64_t timeout_ms = agent->plan->agent->stop_timeout_ms, since_ms = leat_boot_ms(agent->env);
    uint64_t seen = acknowledged(agent);
    while (!all_delivered(agent)) {
        if (leat_boot_ms(agent->env) - since_ms >= timeout_ms || has_failed(agent))
            return false;
        pthread_mutex_lock(&agent->lock);
        leat_wait(&agent->news, &agent->lock, END_POLL_MS);
        pthread_mutex_unlock(&agent->lock);
        uint64_t now = acknowledged(agent);
        if (progress && now != seen)
            since_ms = leat_boot_ms(agent->env);
        seen = now;
    }
    return true;
}

static leat_agent_end wait_for_end(leat_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    while (!agent->stop && !agent->finished && !agent->failed)
        leat_wait(&agent->news, &agent->lock, -1);
    leat_agent_end end = agent->failed ? LEAT_END_FAILED : agent->stop ? LEAT_END_STOPPED : LEAT_END_FINISHED;
    agent->winding_down = true;
    pthread_mutex_unlock(&agent->lock);
    return end;
}

static void end_cleanly(leat_agent *agent, leat_agent_end end)
{
    leat_error error;
    if (end == LEAT_END_FINISHED)
        leat_store_set_finished(agent->store, true);
    leat_ledger_flush(&agent->ledger, agent->store);
    if (leat_store_flush(agent->store, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_WARNING, "checkpoint file", &error);
    else if (leat_agent_unmark_running(agent, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_WARNING, "state directory", &error);
}

// Everything that was read is in a checkpoint, what could be delivered is, and its cursors are kept.
static leat_agent_end wind_down(leat_agent *agent, leat_agent_end end, bool *out_saved)
{
    int64_t timeout_ms = agent->plan->agent->stop_timeout_ms;
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        leat_feed_request_stop(agent->feeds[i]);
    // Nothing more is read, nothing is drained: what lies in journals and files is the next run's.
    leat_flow_end_sources(agent->flow, false);
    atomic_store(&agent->ending, true);
    bool saved = leat_coordinator_final(agent->coordinator, end == LEAT_END_FINISHED ? SYNC_WAIT_MS : timeout_ms);
    bool delivered = saved && deliver_rest(agent, end == LEAT_END_FINISHED);
    saved = saved && leat_coordinator_final(agent->coordinator, timeout_ms);
    if (!saved && !has_failed(agent))
        leat_say(LEAT_LEVEL_WARNING, "the last checkpoint could not be made in time");
    if (end == LEAT_END_FINISHED && !(saved && delivered))
        end = LEAT_END_UNDELIVERED;
    *out_saved = saved;
    return has_failed(agent) ? LEAT_END_FAILED : end;
}

// Everything rests. What cannot be written here is no reason to end: the last checkpoint is there to go on from.
static leat_agent_end save(leat_agent *agent, leat_agent_end end, bool checkpointed)
{
    leat_code code = LEAT_OK;
    if (!agent->saving)
        return end;
    if (end != LEAT_END_STOPPED)
        code = leat_error_set(&agent->not_saved, LEAT_E_CONFLICT, "the run ended by itself before the savepoint");
    else if (!checkpointed)
        code = leat_error_set(&agent->not_saved, LEAT_E_IO, "the last checkpoint could not be made");
    else
        code = leat_agent_save(agent, &agent->not_saved);
    leat_savepoint_writer_destroy(agent->saving);
    agent->saving = NULL;
    if (code == LEAT_OK)
        leat_say(LEAT_LEVEL_INFO, "savepoint: %s", agent->savepoint);
    else
        leat_say_error(LEAT_LEVEL_ERROR, "no savepoint", &agent->not_saved);
    return code != LEAT_OK && end == LEAT_END_STOPPED && !agent->stop_anyway ? LEAT_END_NOT_SAVED : end;
}

leat_agent_end leat_agent_run(leat_agent *agent, leat_error *out_error)
{
    leat_error error = {0};
    bool checkpointed = false;
    atomic_store(&agent->running, true);
    if (leat_agent_start_parts(agent, &error) != LEAT_OK)
        leat_agent_fail(agent, &error);
    leat_agent_end end = wait_for_end(agent);
    if (end != LEAT_END_FAILED)
        end = wind_down(agent, end, &checkpointed);
    leat_agent_stop_parts(agent);
    end = save(agent, end, checkpointed);
    if (end == LEAT_END_FAILED && out_error)
        *out_error = agent->error;
    if (end != LEAT_END_FAILED)
        end_cleanly(agent, end);
    return end;
}

void leat_agent_stop(leat_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    agent->stop = agent->stop_anyway = true;
    pthread_cond_broadcast(&agent->news);
    pthread_mutex_unlock(&agent->lock);
}

leat_code leat_agent_stop_with_savepoint(leat_agent *agent, const char *directory, leat_error *out_error)
{
    leat_savepoint_writer *writer;
    leat_code code = leat_savepoint_writer_create(agent->env, agent->plan, directory, &writer, out_error);
    if (code != LEAT_OK)
        return code;
    pthread_mutex_lock(&agent->lock);
    bool late = agent->stop || agent->finished || agent->failed || agent->winding_down;
    if (!late) {
        agent->saving = writer;
        agent->stop = true;
        pthread_cond_broadcast(&agent->news);
    }
    pthread_mutex_unlock(&agent->lock);
    if (!late)
        return LEAT_OK;
    leat_savepoint_writer_destroy(writer);
    return leat_error_set(out_error, LEAT_E_CONFLICT, "the agent is stopping already");
}

const char *leat_agent_savepoint(const leat_agent *agent, leat_error *out_error)
{
    if (!agent->savepoint && out_error)
        *out_error = agent->not_saved;
    return agent->savepoint;
}

void leat_agent_destroy(leat_agent *agent)
{
    if (!agent)
        return;
    leat_savepoint_writer_destroy(agent->saving);
    leat_agent_destroy_parts(agent);
    leat_store_close(agent->store);
    pthread_cond_destroy(&agent->news);
    pthread_mutex_destroy(&agent->lock);
    pthread_mutex_destroy(&agent->hold_lock);
    leat_env *env = agent->env;
    leat_arena_fini(&agent->arena);
    leat_env_free(env, agent, sizeof *agent);
}

// ---- for the control side

const leat_plan *leat_agent_plan(const leat_agent *agent) { return agent->plan; }

const leat_flow *leat_agent_flow(const leat_agent *agent) { return agent->flow; }

const leat_feed *leat_agent_feed(const leat_agent *agent, uint32_t source) { return agent->feeds[source]; }

const leat_delivery_line *leat_agent_line(const leat_agent *agent, uint32_t sink) { return agent->lines[sink]; }

const leat_drops *leat_agent_rule_drops(const leat_agent *agent, uint32_t rule) { return &agent->rule_drops[rule]; }

leat_ledger *leat_agent_ledger(leat_agent *agent) { return &agent->ledger; }

int64_t leat_agent_now_ms(const leat_agent *agent) { return leat_clock_now_ms(&agent->clock); }

void leat_agent_measure(const leat_agent *agent, leat_agent_figures *out_figures)
{
    *out_figures = (leat_agent_figures){.started_ms = agent->started_ms,
                                        .memory_bytes = leat_env_posix_memory(agent->env),
                                        .restored_id = agent->restored.id,
                                        .restored_entries = agent->restored.entries,
                                        .restored_us = agent->restored.duration_us,
                                        .running = atomic_load(&agent->running),
                                        .held = atomic_load(&agent->held)};
    pthread_mutex_lock((pthread_mutex_t *)&agent->hold_lock);
    memcpy(out_figures->stalled, agent->stalled, sizeof out_figures->stalled);
    pthread_mutex_unlock((pthread_mutex_t *)&agent->hold_lock);
    leat_coordinator_measure(agent->coordinator, &out_figures->checkpoint);
    if (!agent->journal)
        return;
    out_figures->has_journal = true;
    out_figures->journal = leat_log_stats_get(agent->journal);
    out_figures->journal_bytes = leat_log_append_end(agent->journal) - leat_log_oldest(agent->journal);
    out_figures->journal_full = leat_agent_log_is_full(agent->journal);
}
