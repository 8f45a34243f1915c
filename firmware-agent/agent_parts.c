// The parts that carry what the last run left: journal, sources, outboxes, flow. Built once the checkpoint's manifest is known.
#include "firmware-agent/agent_struct.h"
#include "firmware-agent/platform/say.h"

// ---- callbacks of logs

static void journal_moved(void *context, leat_log *log)
{
    leat_agent *agent = context;
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        if (agent->feeds[i] && leat_feed_is_push(agent->feeds[i]) &&
            leat_feed_has_news(agent->feeds[i], leat_log_written_end(log)))
            leat_flow_wake_source(agent->flow, i);
}

static void journal_state(void *context, leat_log *log, leat_log_state state, const leat_error *reason)
{
    leat_agent *agent = context;
    (void)log;
    if (state == LEAT_LOG_POISONED) {
        leat_error error = *reason;
        leat_error_prefix(&error, "journal");
        leat_agent_fail(agent, &error);
    } else if (state == LEAT_LOG_ROOM) {
        leat_say(LEAT_LEVEL_INFO, "the journal has room again; intake goes on");
    } else {
        leat_say(LEAT_LEVEL_WARNING, "%s: intake is held back, what is acknowledged is kept",
                 state == LEAT_LOG_FULL_DISK ? "the disk is full" : "the journal has reached its bound");
    }
}

static void sink_checkpoint(void *context) { leat_coordinator_request(((leat_agent *)context)->coordinator); }

static void sink_room(void *context, uint32_t sink)
{
    leat_agent *agent = context;
    if (!atomic_load(&agent->running))
        return;
    leat_flow_wake_sink(agent->flow, sink);
    if (atomic_load(&agent->held) || leat_delivery_wants_hold(agent->lines[sink], atomic_load(&agent->tight)))
        leat_agent_update_hold(agent);
}

// ---- parts

static bool has_push_source(const leat_plan *plan)
{
    for (uint32_t i = 0; i < plan->source_count; i++)
        if (!plan->sources[i].driver->replayable)
            return true;
    return false;
}

static leat_code open_journal(leat_agent *agent, leat_error *out_error)
{
    const leat_agent_settings *settings = agent->plan->agent;
    leat_log_options options = {.directory = leat_agent_path(agent, "", "journal"),
                                .max_bytes = (uint64_t)settings->journal_max_bytes,
                                .headroom_bytes = leat_log_headroom(agent->env, settings->state),
                                .sync_ms = settings->journal_sync_ms,
                                .position_min = agent->recovered.journal_end,
                                .generation_min = (uint32_t)agent->opened.generation,
                                .scan_from = agent->recovered.journal_end,
                                .on_state = journal_state,
                                .context = agent};
    if (!has_push_source(agent->plan))
        return LEAT_OK;
    leat_log_opened *opened = leat_arena_new(&agent->arena, leat_log_opened);
    leat_code code = leat_log_open(agent->writer, &options, &agent->journal, opened, out_error);
    for (unsigned i = 0; code == LEAT_OK && i < opened->gap_count; i++) {
        if (opened->gaps[i].to <= agent->recovered.journal_end)
            continue;
        leat_ledger_add(&agent->ledger, "journal", "damage", 1, leat_wall_ms(agent->env));
        leat_say(LEAT_LEVEL_WARNING, "journal: bytes %llu to %llu are damaged and left out",
                 (unsigned long long)opened->gaps[i].from, (unsigned long long)opened->gaps[i].to);
    }
    return code;
}

static leat_code make_feeds(leat_agent *agent, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < agent->plan->source_count && code == LEAT_OK; i++) {
        leat_feed_setup setup = {
            .env = agent->env, .plan = agent->plan, .source = i, .journal = agent->journal, .ledger = &agent->ledger};
        code = leat_feed_create(&setup, &agent->feeds[i], out_error);
        if (code == LEAT_OK)
            code = leat_feed_seek(agent->feeds[i], agent->recovered.source_positions[i], out_error);
    }
    return code;
}

static leat_code make_lines(leat_agent *agent, leat_error *out_error)
{
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < agent->plan->sink_count && code == LEAT_OK; i++) {
        leat_delivery_setup setup = {.env = agent->env,
                                     .plan = agent->plan,
                                     .sink = i,
                                     .directory = leat_agent_path(agent, "outbox-", agent->plan->sinks[i].name),
                                     .writer = agent->writer,
                                     .ledger = &agent->ledger,
                                     .generation = agent->opened.generation,
                                     .cut = agent->recovered.outbox_cuts[i],
                                     .cursor = agent->recovered.cursors[i],
                                     .context = agent,
                                     .room = sink_room,
                                     .checkpoint = sink_checkpoint,
                                     .fault = leat_agent_fault};
        code = leat_delivery_create(&setup, &agent->lines[i], out_error);
    }
    return code;
}

static leat_code make_flow(leat_agent *agent, leat_error *out_error)
{
    leat_flow_setup setup = {.env = agent->env,
                             .plan = agent->plan,
                             .ports = &agent->ports,
                             .lineage = agent->recovered.lineage,
                             .clock_runs = true,
                             .workers = (uint32_t)agent->plan->agent->workers};
    return leat_flow_create(&setup, &agent->flow, out_error);
}

leat_code leat_agent_build(leat_agent *agent, leat_error *out_error)
{
    agent->built = true;
    leat_code code = leat_agent_settle_life(agent, out_error);
    if (code == LEAT_OK)
        code = open_journal(agent, out_error);
    if (code == LEAT_OK)
        code = make_feeds(agent, out_error);
    if (code == LEAT_OK)
        code = make_lines(agent, out_error);
    if (code == LEAT_OK)
        code = make_flow(agent, out_error);
    return code;
}

// ---- life

leat_code leat_agent_start_parts(leat_agent *agent, leat_error *out_error)
{
    leat_agent_look_at_disk(agent);
    leat_agent_update_hold(agent);
    leat_code code = leat_flow_start(agent->flow, out_error);
    if (code == LEAT_OK && agent->journal)
        leat_log_subscribe(agent->journal, journal_moved, agent);
    if (code == LEAT_OK)
        code = leat_coordinator_start(agent->coordinator, out_error);
    for (uint32_t i = 0; i < agent->plan->sink_count && code == LEAT_OK; i++)
        code = leat_delivery_start(agent->lines[i], out_error);
    for (uint32_t i = 0; i < agent->plan->source_count && code == LEAT_OK; i++)
        code = leat_feed_start(agent->feeds[i], out_error);
    return code;
}

void leat_agent_stop_parts(leat_agent *agent)
{
    atomic_store(&agent->running, false);
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        leat_feed_stop(agent->feeds[i]);
    if (agent->journal)
        leat_log_subscribe(agent->journal, NULL, NULL);
    leat_coordinator_stop(agent->coordinator);
    leat_flow_stop(agent->flow);
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        leat_delivery_stop(agent->lines[i]);
}

void leat_agent_destroy_parts(leat_agent *agent)
{
    leat_error error;
    leat_coordinator_destroy(agent->coordinator);
    leat_flow_destroy(agent->flow);
    for (uint32_t i = 0; i < agent->plan->sink_count; i++)
        leat_delivery_destroy(agent->lines[i]);
    for (uint32_t i = 0; i < agent->plan->source_count; i++)
        leat_feed_destroy(agent->feeds[i]);
    if (agent->journal && leat_log_close(agent->journal, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_ERROR, "journal", &error);
    if (agent->writer)
        leat_log_writer_destroy(agent->writer);
}
