#include "firmware-agent/platform/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static struct {
    void (*stop)(void *context);
    void *context;
} target;

static void wanted(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

void leat_signals_block(void)
{
    sigset_t set;
    wanted(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void *wait_for_signal(void *unused)
{
    sigset_t set;
    int number;
    (void)unused;
    wanted(&set);
    if (sigwait(&set, &number) == 0)
        target.stop(target.context);
    while (sigwait(&set, &number) == 0)
        if (number == SIGINT)
            _exit(130);
    return NULL;
}

leat_code leat_signals_start(void (*stop)(void *context), void *context, leat_error *out_error)
{
    pthread_t thread;
    target.stop = stop;
    target.context = context;
    int failed = pthread_create(&thread, NULL, wait_for_signal, NULL);
    if (failed)
        return leat_error_errno(out_error, failed, "signal thread");
    pthread_setname_np(thread, "signals");
    pthread_detach(thread);
    return LEAT_OK;
}
