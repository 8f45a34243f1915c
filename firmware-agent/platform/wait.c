#include "firmware-agent/platform/wait.h"

#include <time.h>

#include "operators/base/error.h"

enum { WAIT_MS_MAX = 3600 * 1000 }; // keeps the sum below in range on 32 bit; callers look again anyway

void leat_wait_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    LEAT_ASSERT(pthread_condattr_init(&attributes) == 0);
    LEAT_ASSERT(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    LEAT_ASSERT(pthread_cond_init(condition, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

void leat_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t timeout_ms)
{
    if (timeout_ms < 0) {
        pthread_cond_wait(condition, lock);
        return;
    }
    if (timeout_ms > WAIT_MS_MAX)
        timeout_ms = WAIT_MS_MAX;
    struct timespec until;
    LEAT_ASSERT(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(condition, lock, &until);
}
