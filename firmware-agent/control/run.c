#include "firmware-agent/control/run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sysexits.h>

#include "firmware-agent/agent.h"
#include "firmware-agent/control/socket.h"
#include "firmware-agent/platform/notify.h"
#include "firmware-agent/platform/say.h"
#include "firmware-agent/platform/signals.h"
#include "firmware-agent/platform/wait.h"

// ---- watchdog: systemd hears of us only while barriers pass through every task and checkpoints come through, or while a full outbox holds
// them back: a restart would not bring its receiver nearer

typedef struct watchdog {
    leat_agent *agent;
    int64_t interval_ms;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool stop, running;
} watchdog;

static uint64_t rounds(const leat_agent *agent)
{
    leat_agent_figures figures;
    leat_agent_measure(agent, &figures);
    return figures.checkpoint.count + figures.checkpoint.skipped + figures.checkpoint.failed;
}

static bool is_held_back(const leat_agent *agent)
{
    for (uint32_t i = 0; i < leat_agent_plan(agent)->sink_count; i++) {
        leat_delivery_figures figures;
        leat_delivery_measure(leat_agent_line(agent, i), &figures);
        if (figures.full)
            return true;
    }
    return false;
}

static void *feed_watchdog(void *argument)
{
    watchdog *dog = argument;
    uint64_t seen = rounds(dog->agent);
    pthread_mutex_lock(&dog->lock);
    while (!dog->stop) {
        leat_wait(&dog->news, &dog->lock, dog->interval_ms);
        uint64_t now = rounds(dog->agent);
        if (now != seen || is_held_back(dog->agent))
            leat_notify("WATCHDOG=1");
        seen = now;
    }
    pthread_mutex_unlock(&dog->lock);
    return NULL;
}

static void start_watchdog(watchdog *dog, leat_agent *agent, const leat_plan *plan)
{
    int64_t wanted_ms = leat_notify_watchdog_ms();
    pthread_mutex_init(&dog->lock, NULL);
    leat_wait_init(&dog->news);
    dog->agent = agent;
    dog->interval_ms = wanted_ms / 2;
    if (wanted_ms <= 0)
        return;
    if (dog->interval_ms <= plan->agent->checkpoint_interval_ms)
        leat_say(LEAT_LEVEL_WARNING, "WatchdogSec= is too short for agent.checkpoint.interval; it is not fed");
    else
        dog->running = pthread_create(&dog->thread, NULL, feed_watchdog, dog) == 0;
}

static void stop_watchdog(watchdog *dog)
{
    pthread_mutex_lock(&dog->lock);
    dog->stop = true;
    pthread_cond_broadcast(&dog->news);
    pthread_mutex_unlock(&dog->lock);
    if (dog->running)
        pthread_join(dog->thread, NULL);
}

// ---- a run

static void stop_agent(void *agent)
{
    leat_say(LEAT_LEVEL_INFO, "stopping");
    leat_notify("STOPPING=1");
    leat_agent_stop(agent);
}

static int exit_code(leat_agent_end end, const leat_error *error)
{
    switch (end) {
    case LEAT_END_FINISHED:
        leat_say(LEAT_LEVEL_INFO, "finished: every source has ended, everything is delivered");
        return EX_OK;
    case LEAT_END_STOPPED:
        leat_say(LEAT_LEVEL_INFO, "stopped");
        return EX_OK;
    case LEAT_END_UNDELIVERED:
        leat_say(LEAT_LEVEL_WARNING,
                 "results wait in the outbox: a receiver could not be reached; the next run delivers them");
        return EX_TEMPFAIL;
    case LEAT_END_FAILED:
        break;
    }
    leat_say_error(LEAT_LEVEL_ERROR, "failed, start again from the last checkpoint", error);
    return EX_TEMPFAIL;
}

static int create_failed(const leat_error *error)
{
    leat_say_error(LEAT_LEVEL_ERROR, "cannot start", error);
    if (error->code == LEAT_E_CONFLICT)
        return EX_UNAVAILABLE;
    bool directory = error->code == LEAT_E_IO || error->code == LEAT_E_PERMISSION || error->code == LEAT_E_NO_SPACE ||
                     error->code == LEAT_E_NOT_FOUND;
    return directory ? EX_CANTCREAT : EX_CONFIG;
}

static int run_agent(leat_gateway *gateway, leat_agent *agent)
{
    leat_error error = {0};
    leat_arena arena;
    leat_socket *server = NULL;
    watchdog dog = {0};
    leat_arena_init(&arena, gateway->env, 4096);
    // Without its socket the agent still does its work.
    if (leat_socket_start(gateway->env, agent, leat_gateway_socket(gateway, &arena), &server, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_WARNING, "no status socket", &error);
    if (leat_signals_start(stop_agent, agent, &error) != LEAT_OK)
        leat_say_error(LEAT_LEVEL_WARNING, "signals", &error);
    start_watchdog(&dog, agent, gateway->plan);
    leat_notify("READY=1");
    leat_say(LEAT_LEVEL_INFO, "%s runs: %u sources, %u rules, %u sinks", gateway->plan->agent->name,
             gateway->plan->source_count, gateway->plan->rule_count, gateway->plan->sink_count);
    leat_agent_end end = leat_agent_run(agent, &error);
    stop_watchdog(&dog);
    leat_socket_stop(server);
    leat_arena_fini(&arena);
    return exit_code(end, &error);
}

int leat_run(leat_gateway *gateway)
{
    leat_error error = {0};
    leat_agent *agent;
    leat_say_level((leat_level)gateway->plan->agent->log_level);
    leat_signals_block();
    if (leat_agent_create(gateway->env, gateway->plan, &agent, &error) != LEAT_OK)
        return create_failed(&error);
    int code = run_agent(gateway, agent);
    leat_agent_destroy(agent);
    return code;
}
