#include "operators/expr/json_path.h"

#include <stdio.h>
#include <string.h>

typedef enum step_kind { STEP_NAME, STEP_INDEX, STEP_SLICE, STEP_ANY } step_kind;

typedef struct path_step {
    step_kind kind;
    bool deep; // ..: of the value and of everything in it
    leat_slice name;
    const int64_t *indexes;
    uint32_t index_count;
    int64_t from, to; // of a slice; INT64_MIN: open
} path_step;

struct leat_json_path {
    bool lax, definite;
    uint32_t count;
    path_step steps[LEAT_JSON_PATH_STEPS];
};

// -- compiling

typedef struct path_reader {
    leat_arena *arena;
    leat_slice text;
    size_t at;
    leat_json_path *path;
    char *error;
} path_reader;

static bool refuse(path_reader *r, const char *why)
{
    if (!r->error[0])
        snprintf(r->error, LEAT_JSON_PATH_ERROR, "%s (at character %zu)", why, r->at + 1);
    return false;
}

static char peek(const path_reader *r) { return r->at < r->text.size ? r->text.data[r->at] : 0; }

static bool take(path_reader *r, char c)
{
    bool there = r->at < r->text.size && r->text.data[r->at] == c;
    r->at += there;
    return there;
}

static void read_blanks(path_reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r')
        r->at++;
}

static bool add(path_reader *r, path_step step)
{
    if (r->path->count == LEAT_JSON_PATH_STEPS)
        return refuse(r, "it has too many steps");
    r->path->steps[r->path->count++] = step;
    if (step.deep || step.kind == STEP_ANY || step.kind == STEP_SLICE || step.index_count > 1)
        r->path->definite = false;
    return true;
}

static bool read_name(path_reader *r, bool deep)
{
    size_t begin = r->at;
    while (r->at < r->text.size && !strchr(".[( ", r->text.data[r->at]))
        r->at++;
    if (peek(r) == '(')
        return refuse(r, "functions of paths are not in leat");
    if (r->at == begin)
        return refuse(r, "a name is missing");
    return add(
        r, (path_step){.kind = STEP_NAME, .deep = deep, .name = leat_slice_of(r->text.data + begin, r->at - begin)});
}

static bool read_quoted(path_reader *r, bool deep)
{
    char quote = r->text.data[r->at++];
    char *name = leat_arena_alloc_aligned(r->arena, r->text.size + 1, 1);
    size_t size = 0;
    while (r->at < r->text.size && r->text.data[r->at] != quote) {
        if (r->text.data[r->at] == '\\' && r->at + 1 < r->text.size)
            r->at++;
        name[size++] = r->text.data[r->at++];
    }
    if (!take(r, quote))
        return refuse(r, "a quote is not closed");
    read_blanks(r);
    if (peek(r) == ',')
        return refuse(r, "several names between [ and ] are not in leat");
    return add(r, (path_step){.kind = STEP_NAME, .deep = deep, .name = leat_slice_of(name, size)});
}

static bool read_integer(path_reader *r, int64_t *out_value)
{
    size_t begin = r->at;
    r->at += peek(r) == '-';
    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return leat_integer_parse(leat_slice_of(r->text.data + begin, r->at - begin), out_value);
}

static bool read_slice(path_reader *r, bool deep, int64_t from)
{
    int64_t to = INT64_MIN;
    r->at++;
    read_blanks(r);
    if (peek(r) != ']' && !read_integer(r, &to))
        return refuse(r, "a number is missing behind the colon");
    return add(r, (path_step){.kind = STEP_SLICE, .deep = deep, .from = from, .to = to});
}

static bool read_indexes(path_reader *r, bool deep)
{
    enum { INDEXES_MAX = 32 };
    int64_t *indexes = leat_arena_array(r->arena, int64_t, INDEXES_MAX);
    uint32_t count = 0;
    if (peek(r) == ':')
        return read_slice(r, deep, INT64_MIN);
    do {
        read_blanks(r);
        if (count == INDEXES_MAX || !read_integer(r, &indexes[count]))
            return refuse(r, "a number, a name in quotes or * is missing");
        count++;
        read_blanks(r);
    } while (take(r, ','));
    if (peek(r) == ':' && count == 1)
        return read_slice(r, deep, indexes[0]);
    return add(r, (path_step){.kind = STEP_INDEX, .deep = deep, .indexes = indexes, .index_count = count});
}

static bool read_bracket(path_reader *r, bool deep)
{
    r->at++;
    read_blanks(r);
    char c = peek(r);
    bool read;
    if (c == '?')
        return refuse(r, "filters are not in leat");
    if (c == '*')
        read = take(r, '*') && add(r, (path_step){.kind = STEP_ANY, .deep = deep});
    else if (c == '\'' || c == '"')
        read = read_quoted(r, deep);
    else
        read = read_indexes(r, deep);
    read_blanks(r);
    return read && (take(r, ']') || refuse(r, "] is missing"));
}

static bool read_step(path_reader *r)
{
    bool dot = take(r, '.'), deep = dot && take(r, '.');
    if (peek(r) == '[')
        return read_bracket(r, deep);
    if (!dot)
        return refuse(r, "a dot or [ is missing");
    if (take(r, '*'))
        return add(r, (path_step){.kind = STEP_ANY, .deep = deep});
    return read_name(r, deep);
}

static bool take_mode(path_reader *r, const char *mode)
{
    size_t size = strlen(mode);
    if (r->text.size <= r->at + size || !leat_slice_is_nocase(leat_slice_of(r->text.data + r->at, size), mode))
        return false;
    char behind = r->text.data[r->at + size];
    if (behind != ' ' && behind != '\t' && behind != '\n' && behind != '\r')
        return false;
    r->at += size;
    return true;
}

const leat_json_path *leat_json_path_compile(leat_arena *arena, leat_slice text, char out_error[LEAT_JSON_PATH_ERROR])
{
    path_reader r = {.arena = arena, .error = out_error};
    r.path = leat_arena_new(arena, leat_json_path);
    r.text = leat_slice_of(leat_arena_copy(arena, text.data ? text.data : "", text.size), text.size);
    r.path->definite = true;
    out_error[0] = 0;
    read_blanks(&r);
    r.path->lax = take_mode(&r, "lax");
    if (!r.path->lax)
        take_mode(&r, "strict");
    read_blanks(&r);
    while (r.text.size > r.at && strchr(" \t\r\n", r.text.data[r.text.size - 1]))
        r.text.size--;
    if (r.at == r.text.size)
        refuse(&r, "it is empty");
    else if (!take(&r, '$') && peek(&r) != '[')
        read_name(&r, false); // $. may be left out
    while (!out_error[0] && r.at < r.text.size)
        read_step(&r);
    return out_error[0] ? NULL : r.path;
}

bool leat_json_path_is_lax(const leat_json_path *path) { return path && path->lax; }

// -- finding

typedef struct search {
    const leat_json_path *path;
    leat_arena *scratch;
    leat_slice *items;
    uint32_t count, capacity;
} search;

static void collect(search *s, leat_slice value)
{
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? s->capacity * 2 : 8;
        leat_slice *grown = leat_arena_array(s->scratch, leat_slice, capacity);
        if (s->count)
            memcpy(grown, s->items, sizeof *grown * s->count);
        s->items = grown;
        s->capacity = capacity;
    }
    s->items[s->count++] = value;
}

static int64_t length_of(leat_slice array)
{
    leat_json_walk walk = {array, 0};
    leat_slice item;
    int64_t count = 0;
    while (leat_json_next(&walk, NULL, &item))
        count++;
    return count;
}

static bool item_at(leat_slice array, int64_t index, leat_slice *out_item)
{
    leat_json_walk walk = {array, 0};
    if (index < 0 && (index += length_of(array)) < 0)
        return false;
    while (leat_json_next(&walk, NULL, out_item))
        if (index-- == 0)
            return true;
    return false;
}

// From the step `i` on; `certain` while all steps before were definite. False: what a strict path must not miss is missing.
static bool walk_steps(search *s, uint32_t i, leat_slice value, bool certain);

static bool walk_name(search *s, uint32_t i, leat_slice value, bool certain)
{
    leat_slice item;
    if (leat_json_kind_of(value) != LEAT_JSON_OBJECT)
        return !certain;
    if (leat_json_member(value, s->path->steps[i].name, &item))
        return walk_steps(s, i + 1, item, certain);
    return !certain || i + 1 == s->path->count;
}

static bool walk_indexes(search *s, uint32_t i, leat_slice value, bool certain)
{
    const path_step *step = &s->path->steps[i];
    leat_slice item;
    if (leat_json_kind_of(value) != LEAT_JSON_ARRAY)
        return !certain;
    for (uint32_t k = 0; k < step->index_count; k++)
        if (item_at(value, step->indexes[k], &item) && !walk_steps(s, i + 1, item, certain && step->index_count == 1))
            return false;
    return true;
}

static bool walk_slice(search *s, uint32_t i, leat_slice value, bool certain)
{
    const path_step *step = &s->path->steps[i];
    leat_json_walk walk = {value, 0};
    leat_slice item;
    if (leat_json_kind_of(value) != LEAT_JSON_ARRAY)
        return !certain;
    int64_t length = length_of(value), from = step->from == INT64_MIN ? 0 : step->from;
    int64_t to = step->to == INT64_MIN ? length : step->to;
    from += from < 0 ? length : 0;
    to += to < 0 ? length : 0;
    for (int64_t at = 0; leat_json_next(&walk, NULL, &item); at++)
        if (at >= from && at < to && !walk_steps(s, i + 1, item, false))
            return false;
    return true;
}

static bool walk_any(search *s, uint32_t i, leat_slice value)
{
    leat_json_kind kind = leat_json_kind_of(value);
    leat_json_walk walk = {value, 0};
    leat_slice name, item;
    if (kind > LEAT_JSON_ARRAY)
        return true;
    while (leat_json_next(&walk, kind == LEAT_JSON_OBJECT ? &name : NULL, &item))
        if (!walk_steps(s, i + 1, item, false))
            return false;
    return true;
}

static bool walk_step(search *s, uint32_t i, leat_slice value, bool certain)
{
    switch (s->path->steps[i].kind) {
    case STEP_NAME:
        return walk_name(s, i, value, certain);
    case STEP_INDEX:
        return walk_indexes(s, i, value, certain);
    case STEP_SLICE:
        return walk_slice(s, i, value, certain);
    case STEP_ANY:
        return walk_any(s, i, value);
    }
    return true;
}

// The value itself, then everything below it.
static bool walk_deep(search *s, uint32_t i, leat_slice value)
{
    leat_json_kind kind = leat_json_kind_of(value);
    leat_json_walk walk = {value, 0};
    leat_slice name, item;
    if (!walk_step(s, i, value, false))
        return false;
    if (kind > LEAT_JSON_ARRAY)
        return true;
    while (leat_json_next(&walk, kind == LEAT_JSON_OBJECT ? &name : NULL, &item))
        if (!walk_deep(s, i, item))
            return false;
    return true;
}

static bool walk_steps(search *s, uint32_t i, leat_slice value, bool certain)
{
    if (i == s->path->count) {
        collect(s, value);
        return true;
    }
    return s->path->steps[i].deep ? walk_deep(s, i, value) : walk_step(s, i, value, certain);
}

// One value: the usual path, without a list.
static bool find_definite(const leat_json_path *path, leat_slice value, leat_slice *out_value)
{
    for (uint32_t i = 0; i < path->count; i++) {
        const path_step *step = &path->steps[i];
        leat_json_kind kind = leat_json_kind_of(value);
        bool found = step->kind == STEP_NAME ? kind == LEAT_JSON_OBJECT && leat_json_member(value, step->name, &value)
                                             : kind == LEAT_JSON_ARRAY && item_at(value, step->indexes[0], &value);
        if (!found)
            return false;
    }
    *out_value = value;
    return true;
}

leat_json_found leat_json_find(const leat_json_path *path, leat_slice text, leat_arena *scratch)
{
    leat_json_found found = {.state = leat_json_path_is_lax(path) ? LEAT_JSON_EMPTY : LEAT_JSON_ERROR};
    leat_slice whole;
    if (!path || !leat_json_check(text, &whole))
        return found;
    if (path->definite) {
        if (find_definite(path, whole, &found.value) && leat_json_kind_of(found.value) != LEAT_JSON_NULL)
            found.state = LEAT_JSON_FOUND;
        return found;
    }
    search s = {.path = path, .scratch = scratch};
    // What a lax path misses leaves what was found until then: nothing, as definite steps stand first.
    if (!walk_steps(&s, 0, whole, true) && !path->lax)
        return found;
    return (leat_json_found){.state = LEAT_JSON_FOUND, .list = true, .items = s.items, .count = s.count};
}
