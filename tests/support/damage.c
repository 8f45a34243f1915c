#include "tests/support/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "operators/base/hash.h"
#include "operators/core/operator.h"

enum { PLACES_MAX = 4 };

typedef struct dice {
    uint64_t seed, count;
} dice;

static uint64_t roll(dice *self, uint64_t below)
{
    uint64_t mixed = leat_hash_combine(self->seed, ++self->count);
    return below ? (mixed >> 8) % below : 0;
}

// ---- one value

static void replace(char **bytes, size_t *size, const void *with, size_t with_size)
{
    char *made = malloc(with_size + 1);
    if (!made)
        abort();
    if (with_size)
        memcpy(made, with, with_size);
    free(*bytes);
    *bytes = made;
    *size = with_size;
}

// In a block of exactly its size, so that AddressSanitizer sees the first byte read past its end.
static void fit(char **bytes, size_t size)
{
    char *made = malloc(size ? size : 1);
    if (!made)
        abort();
    if (size)
        memcpy(made, *bytes, size);
    free(*bytes);
    *bytes = made;
}

static void put_number(dice *self, char *bytes, size_t size)
{
    static const uint64_t numbers[] = {0,
                                       1,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0xffff,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x100000000,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       0xffffffffffffffff,
                                       0xfffffffffffffffe,
                                       1000000,
                                       0x7ffffffff,
                                       0x3ffffffff,
                                       0xffffff8001};
    uint64_t number = numbers[roll(self, sizeof numbers / sizeof *numbers)];
    size_t width = (size_t)1 << roll(self, 4);
    if (size == 0)
        return;
    size_t at = roll(self, size);
    memcpy(bytes + at, &number, width < size - at ? width : size - at);
}

static void lengthen(dice *self, char **bytes, size_t *size)
{
    size_t more = 1 + roll(self, 40), old = *size;
    char *made = malloc(old + more);
    if (!made)
        abort();
    if (old)
        memcpy(made, *bytes, old);
    for (size_t i = 0; i < more; i++)
        made[old + i] = (char)roll(self, 256);
    free(*bytes);
    *bytes = made;
    *size = old + more;
}

static void damage_bytes(dice *self, char **bytes, size_t *size)
{
    uint64_t how = roll(self, 10);
    if (how < 3 && *size) {
        for (uint64_t i = roll(self, 3) + 1; i > 0; i--)
            (*bytes)[roll(self, *size)] ^= (char)(1 << roll(self, 8));
    } else if (how < 6) {
        put_number(self, *bytes, *size);
    } else if (how < 8) {
        *size = roll(self, *size + 1);
    } else if (how < 9) {
        lengthen(self, bytes, size);
    } else if (*size) {
        size_t from = roll(self, *size), run = 1 + roll(self, 16);
        memset(*bytes + from, roll(self, 2) ? 0 : (int)roll(self, 256), run < *size - from ? run : *size - from);
    }
}

// ---- the image

static stored_entry *any_live(dice *self, const stored_entries *stored)
{
    for (size_t tries = 0; stored->count && tries < 64; tries++) {
        stored_entry *entry = &stored->items[roll(self, stored->count)];
        if (entry->live)
            return entry;
    }
    return NULL;
}

static void exchange(stored_entry *a, stored_entry *b)
{
    stored_entry old = *a;
    a->value = b->value, a->value_size = b->value_size;
    b->value = old.value, b->value_size = old.value_size;
}

static void double_entry(dice *self, stored_entries *stored, const stored_entry *entry)
{
    stored_entry copy = *entry;
    copy.key = copy.value = NULL;
    replace(&copy.key, &copy.key_size, entry->key, entry->key_size);
    replace(&copy.value, &copy.value_size, entry->value, entry->value_size);
    if (roll(self, 2))
        damage_bytes(self, &copy.key, &copy.key_size);
    stored_append(stored, copy);
}

static void resize(dice *self, char **bytes, size_t *size)
{
    if (roll(self, 2))
        lengthen(self, bytes, size);
    else
        *size = roll(self, *size + 1);
}

// Watermarks, generators and sequences, which any eight bytes are: another size, or not there. A watermark of the year 100000 would be taken for one, and
// whatever fires each second fires until then.
static void damage_entry_of_flow(dice *self, stored_entry *entry)
{
    switch (roll(self, 4)) {
    case 0:
        entry->live = false;
        break;
    case 1:
        entry->table = (uint8_t)roll(self, LEAT_STATE_TABLES);
        break;
    case 2:
        resize(self, &entry->key, &entry->key_size);
        break;
    default:
        resize(self, &entry->value, &entry->value_size);
    }
}

static void damage_entry(dice *self, stored_entries *stored, stored_entry *entry)
{
    stored_entry *other;
    if (entry->table >= LEAT_STATE_TABLES) {
        damage_entry_of_flow(self, entry);
        return;
    }
    switch (roll(self, 16)) {
    case 0:
        entry->live = false;
        break;
    case 1:
        double_entry(self, stored, entry);
        break;
    case 2:
        entry->table = (uint8_t)roll(self, LEAT_STATE_TABLES);
        break;
    case 3:
        entry->group = (uint32_t)roll(self, 132);
        break;
    case 4:
        if ((other = any_live(self, stored)) && other->table < LEAT_STATE_TABLES)
            exchange(entry, other);
        break;
    case 5:
    case 6:
        damage_bytes(self, &entry->key, &entry->key_size);
        break;
    default:
        damage_bytes(self, &entry->value, &entry->value_size);
    }
}

void damage_entries(stored_entries *stored, uint64_t seed)
{
    dice self = {seed, 0};
    stored_entry *entry;
    for (uint64_t places = 1 + roll(&self, PLACES_MAX); places && (entry = any_live(&self, stored)); places--)
        damage_entry(&self, stored, entry);
    for (size_t i = 0; i < stored->count; i++) {
        fit(&stored->items[i].key, stored->items[i].key_size);
        fit(&stored->items[i].value, stored->items[i].value_size);
    }
}

// ---- memory

static const leat_env_ops *real_ops;
static size_t piece_bound;

static void check_piece(size_t size)
{
    if (size <= piece_bound)
        return;
    fprintf(stderr, "%zu bytes of memory were asked for in one piece\n", size);
    abort();
}

static void *bounded_alloc(leat_env *env, size_t size)
{
    check_piece(size);
    return real_ops->alloc(env, size);
}

static void *bounded_grow(leat_env *env, void *old, size_t old_size, size_t new_size)
{
    check_piece(new_size);
    return real_ops->grow(env, old, old_size, new_size);
}

void damage_bound_memory(leat_env *env, size_t piece_max)
{
    static leat_env_ops bounded;
    real_ops = env->ops;
    piece_bound = piece_max;
    bounded = *real_ops;
    bounded.alloc = bounded_alloc;
    bounded.grow = bounded_grow;
    env->ops = &bounded;
}

// ---- the process

static void repeat_text(FILE *text)
{
    char bytes[4096];
    rewind(text);
    for (size_t size; (size = fread(bytes, 1, sizeof bytes, text)) > 0;)
        fwrite(bytes, 1, size, stderr);
}

damage_outcome damage_survived(void (*play)(void *context), void *context, unsigned seconds_max)
{
    FILE *said = tmpfile();
    int status = 0;
    fflush(stdout);
    pid_t child = said ? fork() : -1;
    if (child < 0)
        abort();
    if (child == 0) {
        alarm(seconds_max);
        dup2(fileno(said), STDERR_FILENO);
        if (!freopen("/dev/null", "w", stdout))
            abort();
        play(context);
        _exit(0);
    }
    waitpid(child, &status, 0);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code != 0 && code != DAMAGE_REFUSED) {
        fprintf(stderr, "exit code %d\n", code);
        repeat_text(said);
    }
    fclose(said);
    return code == 0 ? DAMAGE_TAKEN : code == DAMAGE_REFUSED ? DAMAGE_WAS_REFUSED : DAMAGE_CRASHED;
}
