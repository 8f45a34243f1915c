#include "operators/base/env.h"

#include <string.h>

#include "operators/base/arena.h"

void *leat_env_alloc(leat_env *env, size_t size) { return env->ops->alloc(env, size); }

void *leat_env_calloc(leat_env *env, size_t size)
{
    void *memory = env->ops->alloc(env, size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void *leat_env_grow(leat_env *env, void *old, size_t old_size, size_t new_size)
{
    return env->ops->grow(env, old, old_size, new_size);
}

void leat_env_free(leat_env *env, void *memory, size_t size) { env->ops->free(env, memory, size); }

typedef struct file_text {
    char *bytes;
    size_t size, capacity; // capacity without the byte of the terminator
} file_text;

// Asks for one byte more than expected: getting it is how one learns that the file is longer than its stat said, as files
// of /proc and /sys are, and those that grow meanwhile.
static leat_code read_to_end(leat_file *file, const leat_env_ops *ops, leat_arena *arena, size_t size_max,
                             file_text *text, leat_error *out_error)
{
    for (;;) {
        size_t wanted = text->capacity + 1 - text->size, got = 0;
        leat_code code = ops->pread(file, text->bytes + text->size, wanted, text->size, &got, out_error);
        if (code != LEAT_OK)
            return code;
        text->size += got;
        if (got < wanted)
            return LEAT_OK;
        if (text->size > size_max)
            return LEAT_E_LIMIT;
        size_t capacity = text->capacity < size_max / 2 ? text->capacity * 2 : size_max;
        char *longer = leat_arena_alloc(arena, capacity + 1);
        memcpy(longer, text->bytes, text->size);
        text->bytes = longer;
        text->capacity = capacity;
    }
}

static leat_code refuse_longer(const char *path, size_t size_max, leat_error *out_error)
{
    leat_error_at(out_error, LEAT_E_LIMIT, path, "the file is longer than the limit of %zu bytes", size_max);
    return LEAT_E_LIMIT;
}

static leat_code read_opened(leat_file *file, const leat_env_ops *ops, const char *path, leat_arena *arena,
                             size_t size_max, file_text *text, leat_error *out_error)
{
    leat_file_stat stat;
    leat_code code = ops->file_stat(file, &stat, out_error);
    if (code != LEAT_OK)
        return code;
    if (stat.is_directory) {
        leat_error_at(out_error, LEAT_E_INVALID, path, "expected a file, found a directory");
        return LEAT_E_INVALID;
    }
    if (stat.size > size_max)
        return refuse_longer(path, size_max, out_error);
    text->capacity = stat.size ? (size_t)stat.size : (size_max < 4096 ? size_max : 4096);
    text->bytes = leat_arena_alloc(arena, text->capacity + 1);
    code = read_to_end(file, ops, arena, size_max, text, out_error);
    return code == LEAT_E_LIMIT ? refuse_longer(path, size_max, out_error) : code;
}

leat_code leat_env_read_file(leat_env *env, const char *path, struct leat_arena *arena, size_t size_max,
                             char **out_text, size_t *out_size, leat_error *out_error)
{
    LEAT_ASSERT(size_max < SIZE_MAX - 4096);
    leat_file *file = NULL;
    leat_code code = env->ops->open(env, path, LEAT_OPEN_READ, &file, out_error);
    if (code != LEAT_OK)
        return code;
    file_text text = {0};
    code = read_opened(file, env->ops, path, arena, size_max, &text, out_error);
    env->ops->close(env, file);
    if (code != LEAT_OK)
        return code;
    text.bytes[text.size] = 0;
    *out_text = text.bytes;
    if (out_size)
        *out_size = text.size;
    return LEAT_OK;
}
