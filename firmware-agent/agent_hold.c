// When sources are held back, and the watch over barriers that do not come through.
//
// What fills up is never allowed to stop the barrier that would empty it: results under way are taken beyond the outbox's bound, and the sources
// wait instead, from the moment an outbox, the disk or the checkpoint file has no room until there is some again.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/agent_struct.h"
#include "firmware-agent/platform/say.h"

enum {
    TIGHT_BYTES = 64 << 20, // free on the disk; with less, little may be under way
    TIGHT_BATCH = 16 << 10, // payload that a source reads before it looks again
    STALL_MS = 10000,       // a barrier under way so long, and no task that it waits for has done anything
};

// ---- intake

static bool wants_hold(const leat_agent *agent)
{
    bool tight = atomic_load(&agent->tight), hold = atomic_load(&agent->checkpoint_full);
    for (uint32_t i = 0; i < agent->plan->sink_count && !hold; i++)
        hold = leat_delivery_wants_hold(agent->lines[i], tight);
    return hold;
}

void leat_agent_update_hold(leat_agent *agent)
{
    pthread_mutex_lock(&agent->hold_lock);
    bool hold = wants_hold(agent), begins = hold && !atomic_load(&agent->held);
    atomic_store(&agent->held, hold);
    leat_flow_hold(agent->flow, hold);
    pthread_mutex_unlock(&agent->hold_lock);
    // What is not committed cannot leave, and what has not left takes the room.
    if (begins)
        leat_coordinator_request(agent->coordinator);
}

void leat_agent_look_at_disk(leat_agent *agent)
{
    uint64_t bytes = UINT64_MAX;
    leat_error ignored;
    if (agent->env->ops->free_space(agent->env, agent->plan->agent->state, &bytes, &ignored) != LEAT_OK)
        bytes = UINT64_MAX;
    atomic_store(&agent->tight, bytes < TIGHT_BYTES);
    leat_flow_set_batch_bytes(agent->flow, bytes < TIGHT_BYTES ? TIGHT_BATCH : 0);
}

// ---- barriers

static void set_stalled(leat_agent *agent, const char *text)
{
    pthread_mutex_lock(&agent->hold_lock);
    snprintf(agent->stalled, sizeof agent->stalled, "%s", text);
    pthread_mutex_unlock(&agent->hold_lock);
}

void leat_agent_barrier_begins(leat_agent *agent)
{
    agent->stall_progress = leat_flow_progress(agent->flow);
    agent->stall_seen_ms = leat_boot_ms(agent->env);
}

// A receiver that is away while its outbox is full explains the wait, and was told when it began.
static bool is_explained(const leat_agent *agent)
{
    for (uint32_t i = 0; i < agent->plan->sink_count; i++) {
        leat_delivery_figures figures;
        leat_delivery_measure(agent->lines[i], &figures);
        if (figures.full)
            return true;
    }
    return false;
}

void leat_agent_barrier_waits(leat_agent *agent, uint64_t id, int64_t waited_ms)
{
    char waits[LEAT_AGENT_STALL_TEXT - 80], text[LEAT_AGENT_STALL_TEXT];
    uint64_t progress = leat_flow_progress(agent->flow);
    int64_t now_ms = leat_boot_ms(agent->env);
    if (progress != agent->stall_progress) {
        agent->stall_progress = progress;
        agent->stall_seen_ms = now_ms;
        return;
    }
    if (now_ms - agent->stall_seen_ms < STALL_MS)
        return;
    leat_flow_waits(agent->flow, waits, sizeof waits);
    snprintf(text, sizeof text, "barrier %llu is under way for %lld s: %s", (unsigned long long)id,
             (long long)waited_ms / 1000, waits);
    if (!agent->stalled[0])
        leat_say(is_explained(agent) ? LEAT_LEVEL_WARNING : LEAT_LEVEL_ERROR, "the flow does not move: %s", text);
    set_stalled(agent, text);
}

void leat_agent_barrier_passed(leat_agent *agent)
{
    if (!agent->stalled[0])
        return;
    leat_say(LEAT_LEVEL_INFO, "the flow moves again");
    set_stalled(agent, "");
}
