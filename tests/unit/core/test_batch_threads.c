// Batches made on one thread and given up on others, in any order.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "operators/base/ring.h"
#include "tests/support/harness.h"

enum { CONSUMERS = 3, BATCHES = 30000 };

typedef struct consumer {
    leat_ring ring;
    leat_batch_pool *pool; // of its own, for derived batches
    pthread_t thread;
    int64_t sum;
} consumer;

static char stop_mark;

static void *consume(void *argument)
{
    consumer *self = argument;
    for (;;) {
        leat_batch *batch = leat_ring_pop(&self->ring);
        if (batch == (void *)&stop_mark)
            return NULL;
        if (!batch) {
            sched_yield();
            continue;
        }
        leat_batch *derived = leat_batch_derive(self->pool, batch);
        leat_batch_unref(batch);
        for (uint32_t i = 0; i < derived->count; i++)
            self->sum += derived->columns[0].i64[i];
        leat_batch_unref(derived);
    }
}

static void push(consumer *to, void *item)
{
    while (!leat_ring_push(&to->ring, item))
        sched_yield();
}

static leat_batch *get_waiting(leat_batch_pool *pool, const leat_schema *schema, uint32_t rows)
{
    for (;;) {
        leat_batch *batch = leat_batch_get_rows(pool, schema, rows);
        if (batch)
            return batch;
        sched_yield(); // backpressure: the consumers hold all of the budget
    }
}

// Every batch goes to every consumer with a reference of its own; the last one to finish gives it back.
static int64_t produce(leat_batch_pool *pool, const leat_schema *schema, consumer *consumers)
{
    int64_t sum = 0;
    for (int n = 0; n < BATCHES; n++) {
        uint32_t rows = 1 + (uint32_t)n % 100;
        leat_batch *batch = get_waiting(pool, schema, rows);
        for (uint32_t i = 0; i < rows; i++)
            sum += batch->columns[0].i64[i] = n + i;
        batch->count = batch->selected = rows;
        for (int c = 0; c < CONSUMERS; c++)
            push(&consumers[c], leat_batch_ref(batch));
        leat_batch_unref(batch);
    }
    return sum;
}

static void references_across_threads(void **state)
{
    (void)state;
    env_test *test = env_test_create();
    leat_arena arena;
    leat_arena_init(&arena, &test->env, 0);
    leat_error error;
    leat_batch_pool *pool;
    const leat_schema *schema = harness_schema(&arena, "a:BIGINT,t:STRING");
    assert_int_equal(leat_batch_pool_create(&test->env, 256 << 10, &pool, &error), LEAT_OK);
    consumer *consumers = leat_arena_alloc_aligned(&arena, CONSUMERS * sizeof(consumer), 64);
    for (int c = 0; c < CONSUMERS; c++) {
        consumers[c].sum = 0;
        leat_ring_init(&consumers[c].ring, &arena, 64);
        assert_int_equal(leat_batch_pool_create(&test->env, 64 << 10, &consumers[c].pool, &error), LEAT_OK);
        assert_int_equal(pthread_create(&consumers[c].thread, NULL, consume, &consumers[c]), 0);
    }
    int64_t sum = produce(pool, schema, consumers);
    for (int c = 0; c < CONSUMERS; c++) {
        push(&consumers[c], &stop_mark);
        pthread_join(consumers[c].thread, NULL);
        assert_true(consumers[c].sum == sum);
        leat_batch_pool_destroy(consumers[c].pool);
    }
    assert_int_equal(leat_batch_pool_in_use(pool), 0);
    leat_batch_pool_destroy(pool);
    leat_arena_fini(&arena);
    env_test_destroy(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(references_across_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
