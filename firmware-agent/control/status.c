#include "firmware-agent/control/status.h"

#include <string.h>

#include "firmware-agent/control/json_writer.h"

#ifndef LEAT_VERSION
#define LEAT_VERSION "development"
#endif

static void write_time(leat_json_writer *json, const char *name, int64_t ms)
{
    if (ms == LEAT_TIME_NONE)
        leat_json_null(json, name);
    else
        leat_json_number(json, name, ms);
}

static void write_drops(leat_json_writer *json, const leat_drops *drops)
{
    leat_json_open(json, "dropped", '{');
    for (int cause = 0; cause < LEAT_DROP_CAUSES; cause++) {
        uint64_t count = atomic_load(&drops->counts[cause]);
        if (count > 0)
            leat_json_unsigned(json, leat_drop_cause_name((leat_drop_cause)cause), count);
    }
    leat_json_close(json, '}');
}

static void write_flow_figures(leat_json_writer *json, const leat_agent *agent, const leat_flow_figures *figures)
{
    leat_json_unsigned(json, "rows_in", figures->rows_in);
    leat_json_unsigned(json, "rows_out", figures->rows_out);
    write_time(json, "watermark", figures->watermark_ms);
    if (figures->watermark_ms != LEAT_TIME_NONE && figures->watermark_ms != LEAT_TIME_MAX)
        leat_json_number(json, "watermark_lag_ms", leat_agent_now_ms(agent) - figures->watermark_ms);
}

static uint32_t node_of(const leat_plan *plan, leat_plan_node_kind kind, uint32_t index)
{
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].kind == kind && plan->nodes[i].index == index)
            return i;
    return UINT32_MAX;
}

static void write_feed(leat_json_writer *json, const leat_agent *agent, uint32_t source)
{
    leat_feed_figures figures;
    leat_feed_measure(leat_agent_feed(agent, source), &figures);
    leat_json_unsigned(json, "arrivals", figures.arrivals);
    if (figures.noted) {
        leat_json_bool(json, "connected", figures.connected);
        leat_json_string(json, "note", figures.note);
    }
    leat_json_bool(json, "held", figures.held);
    leat_json_open(json, "counters", '{');
    for (uint32_t i = 0; i < figures.counter_count; i++)
        leat_json_unsigned(json, figures.counters[i].name, figures.counters[i].value);
    leat_json_close(json, '}');
    write_drops(json, leat_feed_drops((leat_feed *)leat_agent_feed(agent, source)));
}

static void write_sources(leat_json_writer *json, const leat_agent *agent)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_json_open(json, "sources", '[');
    for (uint32_t i = 0; i < plan->source_count; i++) {
        uint32_t node = node_of(plan, LEAT_NODE_SOURCE, i);
        leat_json_open(json, NULL, '{');
        leat_json_string(json, "name", plan->sources[i].name);
        leat_json_string(json, "driver", plan->sources[i].driver->name);
        if (node != UINT32_MAX) {
            leat_flow_figures figures;
            leat_flow_measure(leat_agent_flow(agent), node, &figures);
            write_flow_figures(json, agent, &figures);
            leat_json_bool(json, "idle", figures.idle);
            leat_json_unsigned(json, "future_rows", figures.future_rows);
        }
        write_feed(json, agent, i);
        leat_json_close(json, '}');
    }
    leat_json_close(json, ']');
}

static void write_rules(leat_json_writer *json, const leat_agent *agent)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_json_open(json, "rules", '[');
    for (uint32_t i = 0; i < plan->rule_count; i++) {
        leat_flow_figures main_figures = {.watermark_ms = LEAT_TIME_NONE};
        uint64_t state_bytes = 0, state_keys = 0, rows_in = 0;
        bool first = true;
        for (uint32_t n = 0; n < plan->node_count; n++) {
            leat_flow_figures figures;
            if (plan->nodes[n].kind != LEAT_NODE_OPERATOR || plan->nodes[n].rule != i)
                continue;
            leat_flow_measure(leat_agent_flow(agent), n, &figures);
            rows_in = first ? figures.rows_in : rows_in;
            first = false;
            state_bytes += figures.state_bytes;
            state_keys += figures.state_keys;
            if (n == plan->rules[i].node)
                main_figures = figures;
        }
        main_figures.rows_in = rows_in;
        leat_json_open(json, NULL, '{');
        leat_json_string(json, "name", plan->rules[i].name);
        leat_json_string(json, "kind", plan->rules[i].kind);
        write_flow_figures(json, agent, &main_figures);
        leat_json_unsigned(json, "state_bytes", state_bytes);
        leat_json_unsigned(json, "state_keys", state_keys);
        leat_json_unsigned(json, "state_limit_bytes", (uint64_t)plan->rules[i].memory_bytes);
        write_drops(json, leat_agent_rule_drops(agent, i));
        leat_json_close(json, '}');
    }
    leat_json_close(json, ']');
}

static void write_tasks(leat_json_writer *json, const leat_agent *agent)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_json_open(json, "tasks", '[');
    for (uint32_t n = 0; n < plan->node_count; n++) {
        leat_flow_figures figures;
        leat_flow_measure(leat_agent_flow(agent), n, &figures);
        leat_json_open(json, NULL, '{');
        leat_json_string(json, "node", plan->nodes[n].uid);
        write_flow_figures(json, agent, &figures);
        leat_json_unsigned(json, "batches", figures.batches);
        leat_json_unsigned(json, "state_bytes", figures.state_bytes);
        leat_json_unsigned(json, "state_keys", figures.state_keys);
        leat_json_unsigned(json, "ring_fill_percent", figures.ring_fill_percent);
        leat_json_close(json, '}');
    }
    leat_json_close(json, ']');
}

static void write_sinks(leat_json_writer *json, const leat_agent *agent)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_json_open(json, "sinks", '[');
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        leat_delivery_figures figures;
        leat_delivery_measure(leat_agent_line(agent, i), &figures);
        leat_json_open(json, NULL, '{');
        leat_json_string(json, "name", plan->sinks[i].name);
        leat_json_string(json, "driver", plan->sinks[i].driver->name);
        leat_json_unsigned(json, "results", figures.results);
        leat_json_unsigned(json, "acknowledged_sequence", figures.sequence);
        leat_json_unsigned(json, "backlog", figures.backlog);
        leat_json_unsigned(json, "backlog_bytes", figures.backlog_bytes);
        leat_json_unsigned(json, "sent", figures.sent);
        leat_json_unsigned(json, "resent", figures.resent);
        leat_json_unsigned(json, "refused", figures.refused);
        leat_json_unsigned(json, "failures", figures.failures);
        leat_json_bool(json, "full", figures.full);
        if (figures.noted) {
            leat_json_bool(json, "connected", figures.connected);
            leat_json_string(json, "note", figures.note);
        }
        leat_json_close(json, '}');
    }
    leat_json_close(json, ']');
}

static void write_checkpoint(leat_json_writer *json, const leat_agent *agent, const leat_agent_figures *figures)
{
    const leat_coordinator_figures *checkpoint = &figures->checkpoint;
    leat_json_open(json, "checkpoint", '{');
    leat_json_unsigned(json, "id", checkpoint->id);
    if (checkpoint->committed_at_ms != INT64_MIN)
        leat_json_number(json, "age_ms", leat_agent_now_ms(agent) - checkpoint->committed_at_ms);
    leat_json_number(json, "duration_us", checkpoint->duration_us);
    leat_json_number(json, "commit_us", checkpoint->commit_us);
    leat_json_unsigned(json, "bytes", checkpoint->bytes);
    leat_json_unsigned(json, "count", checkpoint->count);
    leat_json_unsigned(json, "unchanged", checkpoint->skipped);
    leat_json_unsigned(json, "failed", checkpoint->failed);
    leat_json_bool(json, "disk_full", checkpoint->disk_full);
    leat_json_unsigned(json, "restored_id", figures->restored_id);
    leat_json_unsigned(json, "restored_entries", figures->restored_entries);
    leat_json_number(json, "restored_us", figures->restored_us);
    leat_json_close(json, '}');
}

static uint64_t per_hour(uint64_t bytes, int64_t elapsed_ms)
{
    return elapsed_ms > 0 ? (uint64_t)((double)bytes * 3600000.0 / (double)elapsed_ms) : 0;
}

// Bytes written to flash, by cause: whole 4 KiB pages, as syncs and commits touched them.
static void write_flash(leat_json_writer *json, const leat_agent *agent, const leat_agent_figures *figures)
{
    const leat_plan *plan = leat_agent_plan(agent);
    int64_t elapsed_ms = leat_agent_now_ms(agent) - figures->started_ms;
    uint64_t outboxes = 0;
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        leat_delivery_figures line;
        leat_delivery_measure(leat_agent_line(agent, i), &line);
        outboxes += line.log.page_bytes;
    }
    uint64_t all = outboxes + figures->journal.page_bytes + figures->checkpoint.flash_bytes;
    leat_json_open(json, "flash", '{');
    leat_json_unsigned(json, "journal_bytes", figures->journal.page_bytes);
    leat_json_unsigned(json, "outbox_bytes", outboxes);
    leat_json_unsigned(json, "checkpoint_bytes", figures->checkpoint.flash_bytes);
    leat_json_unsigned(json, "bytes_per_hour", per_hour(all, elapsed_ms));
    if (plan->agent->flash_budget_bytes > 0) {
        leat_json_number(json, "budget_bytes_per_day", plan->agent->flash_budget_bytes);
        leat_json_bool(json, "over_budget", per_hour(all, elapsed_ms) * 24 > (uint64_t)plan->agent->flash_budget_bytes);
    }
    leat_json_close(json, '}');
}

static void write_ledger(leat_json_writer *json, leat_agent *agent)
{
    leat_ledger *ledger = leat_agent_ledger(agent);
    leat_json_open(json, "ledger", '[');
    pthread_mutex_lock(&ledger->lock);
    for (uint32_t i = 0; i < ledger->used; i++) {
        leat_json_open(json, NULL, '{');
        leat_json_string(json, "source", ledger->entries[i].source);
        leat_json_string(json, "cause", ledger->entries[i].cause);
        leat_json_unsigned(json, "count", ledger->entries[i].total);
        leat_json_number(json, "last", ledger->entries[i].last_ms);
        leat_json_close(json, '}');
    }
    pthread_mutex_unlock(&ledger->lock);
    leat_json_close(json, ']');
}

void leat_status_write(leat_agent *agent, leat_writer *out)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_json_writer json = {.out = out};
    leat_agent_figures figures;
    leat_agent_measure(agent, &figures);
    leat_json_open(&json, NULL, '{');
    leat_json_string(&json, "agent", plan->agent->name);
    leat_json_string(&json, "version", LEAT_VERSION);
    leat_json_string(&json, "file", plan->path);
    leat_json_number(&json, "now", leat_agent_now_ms(agent));
    leat_json_number(&json, "uptime_ms", leat_agent_now_ms(agent) - figures.started_ms);
    leat_json_unsigned(&json, "memory_bytes", figures.memory_bytes);
    leat_json_bool(&json, "held", figures.held);
    leat_json_string(&json, "stalled", figures.stalled);
    write_sources(&json, agent);
    write_rules(&json, agent);
    write_sinks(&json, agent);
    write_tasks(&json, agent);
    write_checkpoint(&json, agent, &figures);
    if (figures.has_journal) {
        leat_json_open(&json, "journal", '{');
        leat_json_unsigned(&json, "records", figures.journal.records);
        leat_json_unsigned(&json, "kept_bytes", figures.journal_bytes);
        leat_json_unsigned(&json, "syncs", figures.journal.syncs);
        leat_json_bool(&json, "full", figures.journal_full);
        leat_json_close(&json, '}');
    }
    write_flash(&json, agent, &figures);
    write_ledger(&json, agent);
    leat_json_close(&json, '}');
}
