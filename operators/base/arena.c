#include "operators/base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct leat_arena_chunk {
    leat_arena_chunk *next; // older
    size_t size;            // with this header, as taken from env
};

enum { CHUNK_SIZE_DEFAULT = 4096, CHUNK_HEADER = 16 };
_Static_assert(sizeof(leat_arena_chunk) <= CHUNK_HEADER, "the header keeps the bytes after it 16-aligned");

static uint8_t *chunk_begin(leat_arena_chunk *chunk) { return (uint8_t *)chunk + CHUNK_HEADER; }
static uint8_t *chunk_end(leat_arena_chunk *chunk) { return (uint8_t *)chunk + chunk->size; }

static void open_chunk(leat_arena *arena, leat_arena_chunk *chunk)
{
    arena->first = chunk;
    arena->cursor = chunk_begin(chunk);
    arena->limit = chunk_end(chunk);
}

void leat_arena_init(leat_arena *arena, leat_env *env, size_t chunk_size)
{
    *arena = (leat_arena){.env = env, .chunk_size = chunk_size ? chunk_size : CHUNK_SIZE_DEFAULT};
}

static void free_chunks_except(leat_arena *arena, leat_arena_chunk *kept)
{
    for (leat_arena_chunk *chunk = arena->first, *next; chunk; chunk = next) {
        next = chunk->next;
        if (chunk != kept)
            leat_env_free(arena->env, chunk, chunk->size);
    }
    arena->first = NULL;
    arena->cursor = arena->limit = NULL;
    arena->size = 0;
}

void leat_arena_fini(leat_arena *arena) { free_chunks_except(arena, NULL); }

void leat_arena_reset(leat_arena *arena)
{
    leat_arena_chunk *largest = arena->first;
    for (leat_arena_chunk *chunk = arena->first; chunk; chunk = chunk->next)
        if (chunk->size > largest->size)
            largest = chunk;
    free_chunks_except(arena, largest);
    if (!largest)
        return;
    largest->next = NULL;
    arena->size = largest->size;
    open_chunk(arena, largest);
}

static _Noreturn void exhausted(const leat_arena *arena, size_t size)
{
    fprintf(stderr, "leat: out of memory: an arena of %zu bytes needs %zu more\n", arena->size, size);
    fflush(stderr);
    abort();
}

static leat_arena_chunk *add_chunk(leat_arena *arena, size_t size)
{
    leat_arena_chunk *chunk = leat_env_alloc(arena->env, size);
    if (!chunk)
        exhausted(arena, size);
    *chunk = (leat_arena_chunk){.size = size};
    arena->size += size;
    return chunk;
}

static void *align(uint8_t *pointer, size_t alignment) { return pointer + (-(uintptr_t)pointer & (alignment - 1)); }

// A large block gets a chunk of its own behind the newest, so that the room left in the newest is not given up for it.
static void *alloc_own_chunk(leat_arena *arena, size_t needed, size_t alignment)
{
    leat_arena_chunk *chunk = add_chunk(arena, needed);
    if (arena->first) {
        chunk->next = arena->first->next;
        arena->first->next = chunk;
    } else {
        arena->first = chunk;
        arena->cursor = arena->limit = chunk_end(chunk);
    }
    return align(chunk_begin(chunk), alignment);
}

void *leat_arena_slow(leat_arena *arena, size_t size, size_t alignment)
{
    LEAT_ASSERT(alignment && (alignment & (alignment - 1)) == 0);
    if (size > SIZE_MAX / 2 || alignment > SIZE_MAX / 4)
        exhausted(arena, size);
    size_t needed = CHUNK_HEADER + size + alignment;
    if (needed > arena->chunk_size / 4)
        return alloc_own_chunk(arena, needed, alignment);
    leat_arena_chunk *chunk = add_chunk(arena, arena->chunk_size);
    chunk->next = arena->first;
    open_chunk(arena, chunk);
    return leat_arena_alloc_aligned(arena, size, alignment);
}

void *leat_arena_calloc(leat_arena *arena, size_t size)
{
    void *memory = leat_arena_alloc(arena, size);
    memset(memory, 0, size);
    return memory;
}

char *leat_arena_copy(leat_arena *arena, const char *text, size_t size)
{
    char *copy = leat_arena_alloc_aligned(arena, size + 1, 1);
    if (size)
        memcpy(copy, text, size);
    copy[size] = 0;
    return copy;
}

char *leat_arena_format(leat_arena *arena, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    LEAT_ASSERT(size >= 0);
    char *text = leat_arena_alloc_aligned(arena, (size_t)size + 1, 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}
