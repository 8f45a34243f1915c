// A region of memory that is given back whole.
//
// Usage: init, alloc while building, then either reset (keeps the largest chunk for the next round) or fini.
// Lifetimes in leat are three: agent, rule, batch; each has its arenas, and an arena is always a parameter.
//
// Ownership: chunks come from the env. Threads: one at a time. Failure: alloc never returns NULL: running out of memory
// in an arena is a bug of sizing at start (plans, programs) and ends the process with a message; keyed state and the batch
// pool, which grow with the data, do not use it blindly but ask their budget first (leat_arena_size).
#pragma once

#include "operators/base/env.h"

typedef struct leat_arena_chunk leat_arena_chunk;

typedef struct leat_arena {
    leat_env *env;
    leat_arena_chunk *first; // newest chunk
    uint8_t *cursor, *limit;
    size_t chunk_size;
    size_t size; // bytes taken from env by all chunks
} leat_arena;

void leat_arena_init(leat_arena *arena, leat_env *env, size_t chunk_size);
void leat_arena_fini(leat_arena *arena); // also after a failed or missing init of zeroes
void leat_arena_reset(leat_arena *arena);
void *leat_arena_slow(leat_arena *arena, size_t size, size_t alignment);

static inline void *leat_arena_alloc_aligned(leat_arena *arena, size_t size, size_t alignment)
{
    uintptr_t start = ((uintptr_t)arena->cursor + alignment - 1) & ~(uintptr_t)(alignment - 1);
    if (arena->cursor && start + size <= (uintptr_t)arena->limit && size <= (size_t)(arena->limit - arena->cursor)) {
        arena->cursor = (uint8_t *)start + size;
        return (void *)start;
    }
    return leat_arena_slow(arena, size, alignment);
}
// Aligned for any type, not cleared.
static inline void *leat_arena_alloc(leat_arena *arena, size_t size)
{
    return leat_arena_alloc_aligned(arena, size, _Alignof(max_align_t));
}
void *leat_arena_calloc(leat_arena *arena, size_t size);
#define leat_arena_new(arena, type) ((type *)leat_arena_calloc((arena), sizeof(type)))
#define leat_arena_array(arena, type, count) ((type *)leat_arena_calloc((arena), sizeof(type) * (size_t)(count)))
char *leat_arena_copy(leat_arena *arena, const char *text, size_t size); // terminated copy
char *leat_arena_format(leat_arena *arena, const char *format, ...) LEAT_PRINTF(2, 3);
