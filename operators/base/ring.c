#include "operators/base/ring.h"

// head and tail run freely through 32 bits and are masked only at the slots, so full (difference == capacity) and empty
// (difference 0) are told apart without a spare slot. Each side re-reads the other's index only when its own copy says
// that it cannot go on: most calls touch no cache line of the other core.

void leat_ring_init(leat_ring *ring, leat_arena *arena, uint32_t capacity)
{
    LEAT_ASSERT(capacity && (capacity & (capacity - 1)) == 0 && capacity <= 1u << 31);
    LEAT_ASSERT((uintptr_t)ring % alignof(leat_ring) == 0);
    ring->slots = leat_arena_alloc_aligned(arena, sizeof(void *) * (size_t)capacity, 64);
    ring->mask = capacity - 1;
    ring->head_seen = ring->tail_seen = 0;
    atomic_init(&ring->head, 0);
    atomic_init(&ring->tail, 0);
}

bool leat_ring_push(leat_ring *ring, void *item)
{
    LEAT_ASSERT(item);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail - ring->head_seen > ring->mask) {
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen > ring->mask)
            return false;
    }
    ring->slots[tail & ring->mask] = item;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    return true;
}

void *leat_ring_peek(leat_ring *ring)
{
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen)
            return NULL;
    }
    return ring->slots[head & ring->mask];
}

void *leat_ring_pop(leat_ring *ring)
{
    void *item = leat_ring_peek(ring);
    if (item) {
        uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
        atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    }
    return item;
}

uint32_t leat_ring_count(const leat_ring *ring)
{
    // Head first: tail only grows, so the difference never goes below 0; it may exceed the capacity when seen from a third
    // thread, hence the bound.
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t count = atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
    return count > ring->mask ? ring->mask + 1 : count;
}
