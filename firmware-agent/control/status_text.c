// `leat status` for people: the same figures as the JSON, a line each.
#include <stdio.h>
#include <string.h>

#include "firmware-agent/control/status.h"

static const char *print_lag(const leat_agent *agent, int64_t watermark_ms, char text[LEAT_TIMESTAMP_TEXT])
{
    if (watermark_ms == LEAT_TIME_NONE)
        return "-";
    if (watermark_ms == LEAT_TIME_MAX)
        return "end";
    int64_t lag_ms = leat_agent_now_ms(agent) - watermark_ms;
    if (lag_ms < 0)
        return "ahead";
    leat_duration_print(lag_ms, text);
    return text;
}

static void print_bytes(uint64_t bytes, char text[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1024 && unit < 3; unit++)
        value /= 1024;
    snprintf(text, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void print_drops(const leat_drops *drops, leat_writer *out)
{
    for (int cause = 0; cause < LEAT_DROP_CAUSES; cause++) {
        uint64_t count = atomic_load(&drops->counts[cause]);
        if (count > 0)
            leat_write_format(out, "  %s %llu", leat_drop_cause_name((leat_drop_cause)cause),
                              (unsigned long long)count);
    }
    leat_write_u8(out, '\n');
}

static uint32_t source_node(const leat_plan *plan, uint32_t source)
{
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i].kind == LEAT_NODE_SOURCE && plan->nodes[i].index == source)
            return i;
    return UINT32_MAX;
}

static void print_sources(const leat_agent *agent, leat_writer *out)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_write_format(out, "%-20s %-9s %12s %10s %-14s dropped\n", "SOURCE", "driver", "rows", "behind", "state");
    for (uint32_t i = 0; i < plan->source_count; i++) {
        leat_flow_figures flow = {.watermark_ms = LEAT_TIME_NONE};
        leat_feed_figures feed;
        char lag[LEAT_TIMESTAMP_TEXT];
        uint32_t node = source_node(plan, i);
        if (node != UINT32_MAX)
            leat_flow_measure(leat_agent_flow(agent), node, &flow);
        leat_feed_measure(leat_agent_feed(agent, i), &feed);
        const char *state = feed.held        ? "held back"
                            : !feed.noted    ? (flow.idle ? "idle" : "reading")
                            : feed.connected ? "connected"
                                             : "not connected";
        leat_write_format(out, "%-20s %-9s %12llu %10s %-14s", plan->sources[i].name, plan->sources[i].driver->name,
                          (unsigned long long)flow.rows_in, print_lag(agent, flow.watermark_ms, lag), state);
        print_drops(leat_feed_drops((leat_feed *)leat_agent_feed(agent, i)), out);
        if (flow.future_rows > 0)
            leat_write_format(out, "    %llu rows from the future: the watermark does not follow them\n",
                              (unsigned long long)flow.future_rows);
        if (feed.noted && !feed.connected && feed.note[0])
            leat_write_format(out, "    %s\n", feed.note);
    }
}

static void print_rules(const leat_agent *agent, leat_writer *out)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_write_format(out, "\n%-20s %-9s %12s %10s %-14s dropped\n", "RULE", "kind", "results", "behind", "state");
    for (uint32_t i = 0; i < plan->rule_count; i++) {
        uint64_t bytes = 0;
        leat_flow_figures last;
        char lag[LEAT_TIMESTAMP_TEXT], size[32];
        leat_flow_measure(leat_agent_flow(agent), plan->rules[i].node, &last);
        for (uint32_t n = 0; n < plan->node_count; n++) {
            leat_flow_figures figures;
            if (plan->nodes[n].kind != LEAT_NODE_OPERATOR || plan->nodes[n].rule != i)
                continue;
            leat_flow_measure(leat_agent_flow(agent), n, &figures);
            bytes += figures.state_bytes;
        }
        print_bytes(bytes, size);
        leat_write_format(out, "%-20s %-9s %12llu %10s %-14s", plan->rules[i].name, plan->rules[i].kind,
                          (unsigned long long)last.rows_out, print_lag(agent, last.watermark_ms, lag), size);
        print_drops(leat_agent_rule_drops(agent, i), out);
    }
}

static void print_sinks(const leat_agent *agent, leat_writer *out)
{
    const leat_plan *plan = leat_agent_plan(agent);
    leat_write_format(out, "\n%-20s %-9s %12s %10s %-14s\n", "SINK", "driver", "delivered", "waiting", "state");
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        leat_delivery_figures figures;
        leat_delivery_measure(leat_agent_line(agent, i), &figures);
        const char *state = figures.full        ? "outbox full"
                            : !figures.noted    ? "ready"
                            : figures.connected ? "connected"
                                                : "not connected";
        leat_write_format(out, "%-20s %-9s %12llu %10llu %-14s\n", plan->sinks[i].name, plan->sinks[i].driver->name,
                          (unsigned long long)figures.sequence, (unsigned long long)figures.backlog, state);
        if (figures.noted && !figures.connected && figures.note[0])
            leat_write_format(out, "    %s\n", figures.note);
    }
}

static void print_store(const leat_agent *agent, const leat_agent_figures *figures, leat_writer *out)
{
    char bytes[32], memory[32], age[LEAT_TIMESTAMP_TEXT] = "-";
    const leat_coordinator_figures *checkpoint = &figures->checkpoint;
    print_bytes(checkpoint->bytes, bytes);
    print_bytes(figures->memory_bytes, memory);
    if (checkpoint->committed_at_ms != INT64_MIN)
        leat_duration_print(leat_agent_now_ms(agent) - checkpoint->committed_at_ms, age);
    leat_write_format(out, "\nCHECKPOINT %llu, %s old, %s in %.1f ms%s; memory %s\n",
                      (unsigned long long)checkpoint->id, age, bytes, (double)checkpoint->duration_us / 1000,
                      checkpoint->disk_full ? ", THE DISK IS FULL" : "", memory);
}

static void print_flash(leat_agent *agent, const leat_agent_figures *figures, leat_writer *out)
{
    const leat_plan *plan = leat_agent_plan(agent);
    uint64_t outboxes = 0;
    char journal[32], outbox[32], checkpoints[32], hourly[32];
    int64_t elapsed_ms = leat_agent_now_ms(agent) - figures->started_ms;
    for (uint32_t i = 0; i < plan->sink_count; i++) {
        leat_delivery_figures line;
        leat_delivery_measure(leat_agent_line(agent, i), &line);
        outboxes += line.log.page_bytes;
    }
    uint64_t all = outboxes + figures->journal.page_bytes + figures->checkpoint.flash_bytes;
    double per_hour = elapsed_ms > 0 ? (double)all * 3600000 / (double)elapsed_ms : 0;
    print_bytes(figures->journal.page_bytes, journal);
    print_bytes(outboxes, outbox);
    print_bytes(figures->checkpoint.flash_bytes, checkpoints);
    print_bytes((uint64_t)per_hour, hourly);
    leat_write_format(out, "FLASH %s an hour (journal %s, outboxes %s, checkpoints %s since start)%s\n", hourly,
                      journal, outbox, checkpoints,
                      plan->agent->flash_budget_bytes > 0 && per_hour * 24 > (double)plan->agent->flash_budget_bytes
                          ? ", OVER THE BUDGET"
                          : "");
}

static void print_ledger(leat_agent *agent, leat_writer *out)
{
    leat_ledger *ledger = leat_agent_ledger(agent);
    pthread_mutex_lock(&ledger->lock);
    for (uint32_t i = 0; i < ledger->used; i++)
        leat_write_format(out, "LOST  %s: %s %llu\n", ledger->entries[i].source, ledger->entries[i].cause,
                          (unsigned long long)ledger->entries[i].total);
    pthread_mutex_unlock(&ledger->lock);
}

void leat_status_print(leat_agent *agent, leat_writer *out)
{
    leat_agent_figures figures;
    char uptime[LEAT_TIMESTAMP_TEXT];
    leat_agent_measure(agent, &figures);
    leat_duration_print(leat_agent_now_ms(agent) - figures.started_ms, uptime);
    leat_write_format(out, "%s, up %s\n\n", leat_agent_plan(agent)->agent->name, uptime);
    if (figures.stalled[0])
        leat_write_format(out, "STALLED %s\n\n", figures.stalled);
    else if (figures.held)
        leat_write_format(out, "HELD  sources are not read: an outbox or the disk has no room\n\n");
    print_sources(agent, out);
    print_rules(agent, out);
    print_sinks(agent, out);
    print_store(agent, &figures, out);
    print_flash(agent, &figures, out);
    print_ledger(agent, out);
}
