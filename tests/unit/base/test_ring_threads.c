#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "firmware-agent/platform/env_posix.h"
#include "operators/base/ring.h"

enum { ITEMS = 300000 };

typedef struct channel {
    leat_ring ring;
    uint64_t payload[64]; // written before push, read after pop: the thread sanitizer sees a missing barrier
} channel;

static void *produce(void *context)
{
    channel *c = context;
    for (uintptr_t i = 1; i <= ITEMS; i++) {
        while (!leat_ring_push(&c->ring, (void *)i))
            sched_yield();
    }
    return NULL;
}

static void test_order_across_threads(void **state)
{
    (void)state;
    leat_arena arena;
    leat_arena_init(&arena, leat_env_posix(0), 4096);
    channel *c = leat_arena_alloc_aligned(&arena, sizeof *c, alignof(channel));
    for (uint32_t capacity = 1; capacity <= 64; capacity *= 8) {
        leat_ring_init(&c->ring, &arena, capacity);
        pthread_t producer;
        assert_int_equal(pthread_create(&producer, NULL, produce, c), 0);
        for (uintptr_t expected = 1; expected <= ITEMS;) {
            void *item = leat_ring_pop(&c->ring);
            if (!item) {
                sched_yield();
                continue;
            }
            assert_int_equal((uintptr_t)item, expected);
            expected++;
        }
        pthread_join(producer, NULL);
        assert_null(leat_ring_pop(&c->ring));
        assert_int_equal(leat_ring_count(&c->ring), 0);
    }
    leat_arena_fini(&arena);
}

static void *produce_payload(void *context)
{
    channel *c = context;
    for (uint64_t i = 0; i < ITEMS; i++) {
        // 32 slots and 64 cells: a cell is written again only after its item of the last round was popped.
        while (leat_ring_count(&c->ring) >= 32)
            sched_yield();
        uint64_t *cell = &c->payload[i % 64];
        *cell = i;
        while (!leat_ring_push(&c->ring, cell))
            sched_yield();
    }
    return NULL;
}

static void test_contents_are_visible(void **state)
{
    (void)state;
    leat_arena arena;
    leat_arena_init(&arena, leat_env_posix(0), 4096);
    channel *c = leat_arena_alloc_aligned(&arena, sizeof *c, alignof(channel));
    leat_ring_init(&c->ring, &arena, 32);
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, produce_payload, c), 0);
    for (uint64_t expected = 0; expected < ITEMS;) {
        uint64_t *cell = leat_ring_peek(&c->ring);
        if (!cell) {
            sched_yield();
            continue;
        }
        assert_int_equal(*cell, expected);
        assert_ptr_equal(leat_ring_pop(&c->ring), cell);
        expected++;
    }
    pthread_join(producer, NULL);
    leat_arena_fini(&arena);
}

static void test_full_and_empty(void **state)
{
    (void)state;
    leat_arena arena;
    leat_arena_init(&arena, leat_env_posix(0), 4096);
    leat_ring *ring = leat_arena_alloc_aligned(&arena, sizeof *ring, alignof(leat_ring));
    leat_ring_init(ring, &arena, 4);
    int items[5];
    // Indexes that pass 2^32.
    atomic_store(&ring->head, UINT32_MAX - 1);
    atomic_store(&ring->tail, UINT32_MAX - 1);
    ring->head_seen = ring->tail_seen = UINT32_MAX - 1;
    for (int round = 0; round < 3; round++) {
        assert_null(leat_ring_peek(ring));
        for (int i = 0; i < 4; i++)
            assert_true(leat_ring_push(ring, &items[i]));
        assert_false(leat_ring_push(ring, &items[4]));
        assert_int_equal(leat_ring_count(ring), 4);
        for (int i = 0; i < 4; i++)
            assert_ptr_equal(leat_ring_pop(ring), &items[i]);
        assert_null(leat_ring_pop(ring));
    }
    leat_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_and_empty),
        cmocka_unit_test(test_order_across_threads),
        cmocka_unit_test(test_contents_are_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
