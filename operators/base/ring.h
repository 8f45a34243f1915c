// A bounded queue of pointers between one producer thread and one consumer thread, without locks.
//
// Usage: push returns false when full (the producer holds back: backpressure, never a drop), pop returns NULL when empty.
// Sleeping and waking is the business of who owns the threads. Capacity is a power of two.
// Source: L. Lamport's single-producer single-consumer queue with cached opposite index (as in folly, rigtorp).
#pragma once

#include <stdalign.h>
#include <stdatomic.h>

#include "operators/base/arena.h"

typedef struct leat_ring {
    void **slots;
    uint32_t mask;
    alignas(64) _Atomic uint32_t head; // next to pop
    uint32_t tail_seen;                // consumer's copy of tail
    alignas(64) _Atomic uint32_t tail; // next to push
    uint32_t head_seen;                // producer's copy of head
} leat_ring;

static inline uint32_t leat_ring_capacity(const leat_ring *ring) { return ring->mask + 1; }
void leat_ring_init(leat_ring *ring, leat_arena *arena, uint32_t capacity);
bool leat_ring_push(leat_ring *ring, void *item); // item is not NULL
void *leat_ring_pop(leat_ring *ring);
void *leat_ring_peek(leat_ring *ring);           // consumer only
uint32_t leat_ring_count(const leat_ring *ring); // a snapshot, exact only to its own thread
