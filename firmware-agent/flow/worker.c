// The threads that move the tasks: one queue of runnable tasks, any worker runs any task, nobody polls.
//
// A task's state says where it is: RESTING, in the queue, running, or running with something new to look at (AGAIN). Whoever hands a
// task an element first writes the element, then does a read-modify-write on the state; a worker does one before it reads the
// elements. One of the two comes second and sees what the other did, so that no wake-up is lost; plain loads would not do.
//
// Alarms: `alarm_ms` is never later than what a resting task waits for. A worker that is awake looks at it between two
// steps, also under full load; of those that sleep one waits for it (`watched_ms`), the others until they are signalled.
#include <stdio.h>

#include "firmware-agent/flow/task.h"
#include "firmware-agent/platform/wait.h"

typedef struct worker {
    leat_flow *flow;
    pthread_t thread;
    _Atomic uint64_t steps;
    _Atomic bool stepping;
} worker;

struct leat_workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    leat_task *head, *tail;
    uint32_t sleeping;
    int64_t alarm_ms;   // the next processing time at which a task may want to run; INT64_MAX: none
    int64_t watched_ms; // the earliest one that a sleeping worker wakes up for
    bool stop;
    uint32_t count;
    worker threads[LEAT_WORKERS_MAX];
};

// ---- queue; under the lock

static void enqueue(leat_workers *workers, leat_task *task)
{
    task->queue_next = NULL;
    if (workers->tail)
        workers->tail->queue_next = task;
    else
        workers->head = task;
    workers->tail = task;
}

static leat_task *dequeue(leat_workers *workers)
{
    leat_task *task = workers->head;
    workers->head = task->queue_next;
    if (!workers->head)
        workers->tail = NULL;
    return task;
}

static void make_runnable(leat_workers *workers, leat_task *task)
{
    pthread_mutex_lock(&workers->lock);
    enqueue(workers, task);
    if (workers->sleeping > 0)
        pthread_cond_signal(&workers->work);
    pthread_mutex_unlock(&workers->lock);
}

void leat_task_notify(leat_task *task)
{
    // Always a successful exchange, also where it changes nothing: see the head of this file.
    int state = atomic_load_explicit(&task->state, memory_order_relaxed), next;
    do {
        next = state == TASK_RESTING || state == TASK_QUEUED ? TASK_QUEUED : TASK_AGAIN;
    } while (!atomic_compare_exchange_weak(&task->state, &state, next));
    if (state != TASK_RESTING)
        return;
    // Loaded behind the exchange: before the workers start, leat_workers_start queues the task; who let it rest has seen them start.
    leat_workers *workers = atomic_load(&task->flow->workers);
    if (workers)
        make_runnable(workers, task);
}

// ---- alarms; under the lock

static int64_t now_ms(leat_flow *flow) { return flow->setup.ports->now_ms(flow->setup.ports); }

// Queues the resting tasks whose time has come and finds the next time. One that is not resting will be looked at when it has run.
static void ring_alarms(leat_workers *workers, leat_flow *flow, int64_t now)
{
    workers->alarm_ms = INT64_MAX;
    for (uint32_t i = 0; i < flow->task_count; i++) {
        leat_task *task = &flow->tasks[i];
        int64_t wake_ms = atomic_load(&task->wake_ms);
        int resting = TASK_RESTING;
        if (wake_ms > now)
            workers->alarm_ms = wake_ms < workers->alarm_ms ? wake_ms : workers->alarm_ms;
        else if (atomic_compare_exchange_strong(&task->state, &resting, TASK_QUEUED))
            enqueue(workers, task);
    }
}

static void check_alarms(leat_workers *workers, leat_flow *flow)
{
    if (workers->alarm_ms == INT64_MAX)
        return;
    int64_t now = now_ms(flow);
    if (workers->alarm_ms <= now)
        ring_alarms(workers, flow, now);
    // One of them is for this worker.
    if (workers->head && workers->head->queue_next && workers->sleeping > 0)
        pthread_cond_signal(&workers->work);
}

static void sleep_until_work(leat_workers *workers, leat_flow *flow)
{
    int64_t wait_ms = -1, watched_ms = workers->watched_ms, mine_ms = workers->alarm_ms;
    bool watches = mine_ms < watched_ms;
    if (watches) {
        int64_t now = now_ms(flow);
        wait_ms = mine_ms > now ? mine_ms - now : 0;
        workers->watched_ms = mine_ms;
    }
    workers->sleeping++;
    leat_wait(&workers->work, &workers->lock, wait_ms);
    workers->sleeping--;
    // Awake, it looks itself; whoever goes to sleep after this watches what is left.
    if (watches && workers->watched_ms == mine_ms)
        workers->watched_ms = INT64_MAX;
}

// ---- a worker

static leat_step step_task(worker *self, leat_task *task)
{
    leat_env *env = task->flow->setup.env;
    atomic_store_explicit(&self->stepping, true, memory_order_relaxed);
    int64_t start_ns = leat_boot_ns(env);
    leat_step step = leat_task_step(task);
    atomic_fetch_add_explicit(&task->busy_ns, (uint64_t)(leat_boot_ns(env) - start_ns), memory_order_relaxed);
    atomic_fetch_add_explicit(&self->steps, 1, memory_order_relaxed);
    atomic_store_explicit(&self->stepping, false, memory_order_relaxed);
    return step;
}

// True: the task rests. False: it is QUEUED, and the caller puts it there.
static bool run_task(worker *self, leat_task *task)
{
    atomic_exchange(&task->state, TASK_RUNNING);
    leat_step step = step_task(self, task);
    int running = TASK_RUNNING;
    if (step != LEAT_STEP_MORE && atomic_compare_exchange_strong(&task->state, &running, TASK_RESTING))
        return true;
    atomic_exchange(&task->state, TASK_QUEUED);
    return false;
}

static void *work(void *argument)
{
    worker *self = argument;
    leat_flow *flow = self->flow;
    leat_workers *workers = atomic_load(&flow->workers);
    pthread_mutex_lock(&workers->lock);
    while (!workers->stop) {
        check_alarms(workers, flow);
        if (!workers->head) {
            sleep_until_work(workers, flow);
            continue;
        }
        leat_task *task = dequeue(workers);
        pthread_mutex_unlock(&workers->lock);
        bool rests = run_task(self, task);
        pthread_mutex_lock(&workers->lock);
        // This worker goes on with the queue itself, so nobody has to be woken for it.
        if (!rests)
            enqueue(workers, task);
        int64_t wake_ms = atomic_load(&task->wake_ms);
        if (wake_ms < workers->alarm_ms)
            workers->alarm_ms = wake_ms;
    }
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

static leat_code start_one(leat_flow *flow, uint32_t index, leat_error *out_error)
{
    leat_workers *workers = atomic_load(&flow->workers);
    worker *self = &workers->threads[index];
    self->flow = flow;
    int failed = pthread_create(&self->thread, NULL, work, self);
    if (failed)
        return leat_error_errno(out_error, failed, "worker thread %u", index);
    char name[16];
    snprintf(name, sizeof name, "leat-worker%u", index % 1000);
    pthread_setname_np(self->thread, name);
    workers->count = index + 1;
    return LEAT_OK;
}

leat_code leat_workers_start(leat_flow *flow, leat_error *out_error)
{
    leat_workers *workers = leat_arena_new(&flow->arena, leat_workers);
    pthread_mutex_init(&workers->lock, NULL);
    leat_wait_init(&workers->work);
    workers->alarm_ms = workers->watched_ms = INT64_MAX;
    for (uint32_t i = 0; i < flow->task_count; i++) {
        atomic_exchange(&flow->tasks[i].state, TASK_QUEUED);
        enqueue(workers, &flow->tasks[i]);
    }
    atomic_store(&flow->workers, workers);
    leat_code code = LEAT_OK;
    for (uint32_t i = 0; i < flow->setup.workers && i < LEAT_WORKERS_MAX && code == LEAT_OK; i++)
        code = start_one(flow, i, out_error);
    if (code != LEAT_OK)
        leat_workers_stop(flow);
    return code;
}

void leat_workers_stop(leat_flow *flow)
{
    leat_workers *workers = atomic_load(&flow->workers);
    if (!workers)
        return;
    pthread_mutex_lock(&workers->lock);
    workers->stop = true;
    pthread_cond_broadcast(&workers->work);
    pthread_mutex_unlock(&workers->lock);
    for (uint32_t i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i].thread, NULL);
    workers->count = 0;
}

uint64_t leat_workers_heartbeat(const leat_flow *flow)
{
    const leat_workers *workers = atomic_load(&flow->workers);
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; workers && i < workers->count; i++) {
        uint64_t steps = atomic_load_explicit(&workers->threads[i].steps, memory_order_relaxed);
        if (atomic_load_explicit(&workers->threads[i].stepping, memory_order_relaxed) && steps < least)
            least = steps;
    }
    return least;
}
