// Condition variables that wait for a number of milliseconds, unmoved by the wall clock.
//
// Threads: as pthread_cond. Failure: none; a spurious wake is a wake.
#pragma once

#include <pthread.h>
#include <stdint.h>

void leat_wait_init(pthread_cond_t *condition);
// Waits until signalled or, unless timeout_ms < 0, until the time is over.
void leat_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t timeout_ms);
