// The format, as far as it is needed (LMDB 0.9, W = size of a word, little-endian machines):
//   page    W number, u16 pad, u16 flags, then u16 lower, u16 upper, u16 offsets of nodes; or, of an overflow page, u32 count of pages
//   node    u16 lo, u16 hi, u16 flags, u16 key size, key; then the value (leaf), padded to 2 bytes. Size of the value or, in a branch,
//           the child's number = lo | hi << 16 (| flags << 32)
//   meta    page, u32 magic, u32 version, W address, W map size, tree[2] (free list, main), W last page, W transaction
//   tree    u32 pad (page size in the first), u16 flags, u16 depth, W branch, leaf, overflow pages, W entries, W root
//   free    key W transaction; value W count, W page numbers, falling
#include "firmware-agent/checkpoint/pages.h"

#include <string.h>

enum {
    WORD = sizeof(size_t),
    PAGE_HEADER = WORD + 8,
    NODE_HEADER = 8,
    TREE_SIZE = 8 + 5 * WORD,
    META_TREES = PAGE_HEADER + 8 + 2 * WORD,
    META_SIZE = META_TREES + 2 * TREE_SIZE + 2 * WORD,
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
    NODE_BIG = 1,
    NODE_TREE = 2,
    TREE_INTEGER_KEY = 8,
    DEPTH_MAX = 32,
    PAGE_SIZE_MAX = 65536,
};

typedef struct tree {
    uint16_t flags, depth;
    size_t branches, leaves, overflows, entries, root;
} tree;

typedef struct checker {
    leat_env *env;
    leat_file *file;
    const char *path;
    leat_error *error;
    size_t page_size, last_page;
    uint8_t *pages; // one for each level
    uint8_t *seen;  // a bit for each page
    size_t seen_size;
    tree found; // counts of the tree that is being walked
    uint8_t last_key[512];
    size_t last_key_size;
    bool any_key;
    leat_code (*value)(struct checker *self, const uint8_t *node, size_t key_size, const uint8_t *value, size_t size);
} checker;

static uint16_t u16_at(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint32_t u32_at(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static size_t word_at(const uint8_t *bytes)
{
    size_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static leat_code bad(checker *self, size_t page, const char *what)
{
    return leat_error_at(self->error, LEAT_E_CORRUPT, self->path, "page %zu: %s", page, what);
}

static tree tree_at(const uint8_t *bytes)
{
    return (tree){u16_at(bytes + 4),
                  u16_at(bytes + 6),
                  word_at(bytes + 8),
                  word_at(bytes + 8 + WORD),
                  word_at(bytes + 8 + 2 * WORD),
                  word_at(bytes + 8 + 3 * WORD),
                  word_at(bytes + 8 + 4 * WORD)};
}

static leat_code load_page(checker *self, size_t number, uint8_t *page)
{
    size_t got = 0;
    if (number < 2 || number > self->last_page)
        return bad(self, number, "is not within the file");
    leat_code code =
        self->env->ops->pread(self->file, page, self->page_size, (uint64_t)number * self->page_size, &got, self->error);
    if (code != LEAT_OK)
        return code;
    if (got < self->page_size)
        return bad(self, number, "lies behind the end of the file");
    return word_at(page) == number ? LEAT_OK : bad(self, number, "carries another number");
}

static leat_code mark(checker *self, size_t number)
{
    uint8_t bit = (uint8_t)(1 << number % 8);
    if (number < 2 || number > self->last_page)
        return bad(self, number, "is not within the file");
    if (self->seen[number / 8] & bit)
        return bad(self, number, "is used twice");
    self->seen[number / 8] |= bit;
    return LEAT_OK;
}

// ---- values

static leat_code value_plain(checker *self, const uint8_t *node, size_t key_size, const uint8_t *value, size_t size)
{
    (void)self, (void)node, (void)key_size, (void)value, (void)size;
    return LEAT_OK;
}

static leat_code value_free(checker *self, const uint8_t *node, size_t key_size, const uint8_t *value, size_t size)
{
    (void)node;
    size_t count = size >= WORD ? word_at(value) : 0;
    if (key_size != WORD || size < WORD || count > size / WORD - 1)
        return bad(self, 0, "a row of the free list is no list");
    for (size_t i = 1; i <= count; i++) {
        size_t number = word_at(value + i * WORD);
        if (i > 1 && number >= word_at(value + (i - 1) * WORD))
            return bad(self, number, "the free list is out of order");
        leat_code code = mark(self, number);
        if (code != LEAT_OK)
            return code;
    }
    return LEAT_OK;
}

// An overflow value: its pages are marked; its bytes are needed for the free list only.
static leat_code value_big(checker *self, const uint8_t *node, size_t key_size, const uint8_t *reference, size_t size)
{
    uint8_t head[PAGE_HEADER];
    size_t number = word_at(reference), got = 0;
    size_t count = (PAGE_HEADER - 1 + size) / self->page_size + 1;
    leat_code code = LEAT_OK;
    for (size_t i = 0; i < count && code == LEAT_OK; i++)
        code = mark(self, number + i);
    if (code == LEAT_OK)
        code =
            self->env->ops->pread(self->file, head, sizeof head, (uint64_t)number * self->page_size, &got, self->error);
    if (code != LEAT_OK)
        return code;
    if (got < sizeof head || word_at(head) != number || u16_at(head + WORD + 2) != PAGE_OVERFLOW ||
        u32_at(head + WORD + 4) != count)
        return bad(self, number, "is no overflow page");
    self->found.overflows += count;
    if (self->value != value_free)
        return LEAT_OK;
    uint8_t *bytes = leat_env_alloc(self->env, size);
    if (!bytes)
        return leat_error_set(self->error, LEAT_E_MEMORY, "no memory to check the free list");
    code = self->env->ops->pread(self->file, bytes, size, (uint64_t)number * self->page_size + PAGE_HEADER, &got,
                                 self->error);
    if (code == LEAT_OK && got < size)
        code = bad(self, number, "lies behind the end of the file");
    if (code == LEAT_OK)
        code = value_free(self, node, key_size, bytes, size);
    leat_env_free(self->env, bytes, size);
    return code;
}

// ---- pages

static int key_order(const checker *self, const uint8_t *key, size_t size)
{
    if (self->value == value_free) {
        size_t a = word_at(self->last_key), b = word_at(key);
        return (a > b) - (a < b);
    }
    size_t common = size < self->last_key_size ? size : self->last_key_size;
    int order = memcmp(self->last_key, key, common);
    return order ? order : (self->last_key_size > size) - (self->last_key_size < size);
}

static leat_code leaf_node(checker *self, size_t page, const uint8_t *node)
{
    size_t key_size = u16_at(node + 6), size = (size_t)u16_at(node) | (size_t)u16_at(node + 2) << 16;
    const uint8_t *key = node + NODE_HEADER;
    if (key_size == 0 || key_size > 511 || (self->value == value_free && key_size != WORD))
        return bad(self, page, "a key has an impossible size");
    if (self->any_key && key_order(self, key, key_size) >= 0)
        return bad(self, page, "keys are out of order");
    memcpy(self->last_key, key, key_size);
    self->last_key_size = key_size;
    self->any_key = true;
    self->found.entries++;
    return u16_at(node + 4) & NODE_BIG ? value_big(self, node, key_size, key + key_size, size)
                                       : self->value(self, node, key_size, key + key_size, size);
}

static size_t node_size(const uint8_t *node, bool leaf)
{
    size_t size = NODE_HEADER + (size_t)u16_at(node + 6);
    if (leaf)
        size += u16_at(node + 4) & NODE_BIG ? (size_t)WORD : (size_t)u16_at(node) | (size_t)u16_at(node + 2) << 16;
    return (size + 1) & ~(size_t)1;
}

// Nodes fill the page from upper to its end, without holes and without overlap.
static leat_code page_bounds(checker *self, size_t number, const uint8_t *page, bool leaf)
{
    size_t lower = u16_at(page + WORD + 4), upper = u16_at(page + WORD + 6), sum = 0;
    if (self->page_size == PAGE_SIZE_MAX && upper == 0)
        upper = PAGE_SIZE_MAX;
    if (lower < PAGE_HEADER || lower % 2 || lower > upper || upper > self->page_size)
        return bad(self, number, "impossible bounds");
    size_t count = (lower - PAGE_HEADER) / 2;
    for (size_t i = 0; i < count; i++) {
        size_t at = u16_at(page + PAGE_HEADER + 2 * i);
        if (at < upper || at % 2 || at + NODE_HEADER > self->page_size ||
            node_size(page + at, leaf) > self->page_size - at)
            return bad(self, number, "a node lies outside");
        if (u16_at(page + at + 4) & (leaf ? (uint16_t) ~(NODE_BIG | NODE_TREE) : 0))
            return bad(self, number, "a node has unknown flags");
        sum += node_size(page + at, leaf);
    }
    return sum == self->page_size - upper && count >= (leaf ? 1u : 2u) ? LEAT_OK : bad(self, number, "nodes overlap");
}

static leat_code walk(checker *self, size_t number, unsigned level, unsigned depth)
{
    uint8_t *page = self->pages + level * self->page_size;
    bool leaf = level + 1 == depth;
    leat_code code = mark(self, number);
    if (code == LEAT_OK)
        code = load_page(self, number, page);
    if (code == LEAT_OK && u16_at(page + WORD + 2) != (leaf ? PAGE_LEAF : PAGE_BRANCH))
        code = bad(self, number, "is of another kind");
    if (code == LEAT_OK)
        code = page_bounds(self, number, page, leaf);
    self->found.leaves += leaf;
    self->found.branches += !leaf;
    size_t count = code == LEAT_OK ? (u16_at(page + WORD + 4) - (size_t)PAGE_HEADER) / 2 : 0;
    for (size_t i = 0; i < count && code == LEAT_OK; i++) {
        const uint8_t *node = page + u16_at(page + PAGE_HEADER + 2 * i);
        size_t child = (size_t)u16_at(node) | (size_t)u16_at(node + 2) << 16;
        if (WORD > 4)
            child |= (size_t)((uint64_t)u16_at(node + 4) << 32);
        code = leaf ? leaf_node(self, number, node) : walk(self, child, level + 1, depth);
    }
    return code;
}

static leat_code check_tree(checker *self, tree said,
                            leat_code (*value)(checker *, const uint8_t *, size_t, const uint8_t *, size_t))
{
    self->found = (tree){0};
    self->any_key = false;
    self->value = value;
    if (said.root == SIZE_MAX)
        return said.entries == 0 && said.depth == 0 ? LEAT_OK : bad(self, 0, "a tree has no root");
    if (said.depth == 0 || said.depth > DEPTH_MAX)
        return bad(self, said.root, "impossible depth of a tree");
    leat_code code = walk(self, said.root, 0, said.depth);
    if (code != LEAT_OK)
        return code;
    bool fits = self->found.branches == said.branches && self->found.leaves == said.leaves &&
                self->found.overflows == said.overflows && self->found.entries == said.entries;
    return fits ? LEAT_OK : bad(self, said.root, "the counts of a tree do not fit");
}

// ---- the main tree: its values are trees

enum { TABLES_MAX = 16 };

typedef struct tables {
    checker checker; // first
    tree trees[TABLES_MAX];
    size_t count;
} tables;

static leat_code value_tree(checker *self, const uint8_t *node, size_t key_size, const uint8_t *value, size_t size)
{
    tables *all = (tables *)self;
    (void)key_size;
    if (u16_at(node + 4) != NODE_TREE || size != TREE_SIZE || all->count == TABLES_MAX)
        return bad(self, 0, "a table's row is none");
    all->trees[all->count++] = tree_at(value);
    return LEAT_OK;
}

static leat_code check_trees(tables *all, const uint8_t *meta)
{
    checker *self = &all->checker;
    tree free_list = tree_at(meta + META_TREES), main_tree = tree_at(meta + META_TREES + TREE_SIZE);
    if (!(free_list.flags & TREE_INTEGER_KEY) || main_tree.flags != 0)
        return bad(self, 0, "a tree has unknown flags");
    leat_code code = check_tree(self, main_tree, value_tree);
    for (size_t i = 0; i < all->count && code == LEAT_OK; i++) {
        if (all->trees[i].flags != 0)
            return bad(self, 0, "a table has unknown flags");
        code = check_tree(self, all->trees[i], value_plain);
    }
    return code == LEAT_OK ? check_tree(self, free_list, value_free) : code;
}

// ---- meta pages

static bool meta_good(const uint8_t *meta, size_t number)
{
    return word_at(meta) == number && u16_at(meta + WORD + 2) & PAGE_META && u32_at(meta + PAGE_HEADER) == 0xBEEFC0DE &&
           u32_at(meta + PAGE_HEADER + 4) == 1;
}

static size_t meta_transaction(const uint8_t *meta) { return word_at(meta + META_SIZE - WORD); }

static leat_code load_meta(checker *self, uint8_t out_meta[META_SIZE])
{
    uint8_t metas[2][META_SIZE] = {{0}};
    size_t got = 0, page_size = 0;
    for (size_t i = 0; i < 2; i++) {
        leat_code code =
            self->env->ops->pread(self->file, metas[i], META_SIZE, (uint64_t)i * page_size, &got, self->error);
        if (code != LEAT_OK)
            return code;
        if (got < META_SIZE || !meta_good(metas[i], i))
            return bad(self, i, "is no meta page");
        if (i == 0)
            page_size = u32_at(metas[0] + META_TREES);
        if (page_size < 512 || page_size > PAGE_SIZE_MAX || (page_size & (page_size - 1)) ||
            u32_at(metas[i] + META_TREES) != page_size)
            return bad(self, i, "impossible page size");
    }
    memcpy(out_meta, metas[meta_transaction(metas[1]) > meta_transaction(metas[0])], META_SIZE);
    self->page_size = page_size;
    self->last_page = word_at(out_meta + META_SIZE - 2 * WORD);
    return LEAT_OK;
}

static leat_code check_opened(tables *all)
{
    checker *self = &all->checker;
    uint8_t meta[META_SIZE] = {0};
    leat_file_stat stat;
    leat_code code = load_meta(self, meta);
    if (code == LEAT_OK)
        code = self->env->ops->file_stat(self->file, &stat, self->error);
    if (code != LEAT_OK)
        return code;
    if (self->last_page < 1 || self->last_page >= stat.size / self->page_size + 65536)
        return bad(self, self->last_page, "is not within the file");
    self->seen_size = self->last_page / 8 + 1;
    self->seen = leat_env_calloc(self->env, self->seen_size);
    self->pages = leat_env_alloc(self->env, DEPTH_MAX * self->page_size);
    code = self->seen && self->pages ? check_trees(all, meta)
                                     : leat_error_set(self->error, LEAT_E_MEMORY, "no memory to check the state");
    leat_env_free(self->env, self->seen, self->seen_size);
    leat_env_free(self->env, self->pages, DEPTH_MAX * self->page_size);
    return code;
}

leat_code leat_pages_check(leat_env *env, const char *path, leat_error *out_error)
{
    leat_error own;
    tables all = {.checker = {.env = env, .path = path, .error = out_error ? out_error : &own}};
    leat_code code = env->ops->open(env, path, LEAT_OPEN_READ, &all.checker.file, out_error);
    if (code != LEAT_OK)
        return code;
    code = check_opened(&all);
    env->ops->close(env, all.checker.file);
    return code;
}
